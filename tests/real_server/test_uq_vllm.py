"""``uq-vllm``: lm_eval's vLLM in this process, with uncertainty."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.tasks import TaskManager

import uq_harness
from tests.real_server.asking import WORDS, questions
from tests.real_server.server import LONGEST, requires_vllm
from uq_harness.errors import UQHarnessError
from uq_harness.models import UQHFLM
from uq_harness.models.uncertain import UncertainLM

if TYPE_CHECKING:
    from uq_harness.models.vllm import UQVLLM

pytestmark = requires_vllm
LIMIT = 12
CHEAP = {"nli_model": "lexical", "similarity_model": "lexical"}


def evaluate(lm: UncertainLM, **how: Any) -> dict[str, Any]:
    """The results of the demo's first questions."""
    uq_harness.register()
    found: dict[str, Any] = simple_evaluate(
        lm, tasks=["uq_demo"], task_manager=TaskManager(), limit=LIMIT, apply_chat_template=True, **how
    )
    return found


def records(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [sample["doc"]["uq"] for sample in results["samples"]["uq_demo"]]


def test_on_a_cpu_prompts_are_read_whole(in_process: "UQVLLM") -> None:
    assert not in_process.model.llm_engine.vllm_config.scheduler_config.enable_chunked_prefill


def test_a_stock_task_comes_out_as_with_torch(in_process: "UQVLLM") -> None:
    found, own = evaluate(in_process), evaluate(UQHFLM("demo", methods="g_nll+p_true", dtype="float32", device="cpu"))
    for one, other in zip(records(found), records(own), strict=True):
        assert (one["answer"], one["token_ids"]) == (other["answer"], other["token_ids"])
        assert one["uncertainty"] == pytest.approx(other["uncertainty"], abs=1e-4)
        assert one["semantic_token"] == other["semantic_token"]
        assert one["cost"]["requests"] == 2
    metrics = {name: value for name, value in found["results"]["uq_demo"].items() if name.startswith(("acc", "auroc"))}
    assert {"auroc_g_nll", "auroc_p_true"} <= {name.partition(",")[0] for name in metrics}
    assert metrics == {name: own["results"]["uq_demo"][name] for name in metrics}
    described = found["config"]["uncertainty"]
    assert described["methods"] == ["g_nll", "p_true"]
    assert described["engine"]["name"] == "vllm"


def test_answers_outlast_the_end_of_the_engine(
    in_process: "UQVLLM", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered before is in the response cache, under what lm_eval looks for."""
    monkeypatch.setattr(in_process, "batch_size", 4)
    generate, rounds = in_process.model.generate, list[int]()

    def counted(prompts: list[Any], *rest: Any, **how: Any) -> Any:
        rounds.append(len(prompts))
        return generate(prompts, *rest, **how)

    def dying(*asked: Any, **how: Any) -> Any:
        if len(rounds) == 2:
            raise RuntimeError("the engine is dead")
        return counted(*asked, **how)

    monkeypatch.setattr(in_process.model, "generate", dying)
    with pytest.raises(UQHarnessError, match="the engine is dead"):
        evaluate(in_process, use_cache=str(tmp_path / "cache"))
    rounds.clear()
    monkeypatch.setattr(in_process.model, "generate", counted)
    found = evaluate(in_process, use_cache=str(tmp_path / "cache"))
    assert len(records(found)) == LIMIT
    assert 0 < sum(rounds) <= 2 * (LIMIT - 4)


def test_other_requests_are_those_of_lm_eval(in_process: "UQVLLM", in_torch: UQHFLM) -> None:
    prompts = [
        in_torch.apply_chat_template([{"role": "user", "content": WORDS.format(question)}]) for question in questions(3)
    ]
    limits = {"until": ["\n"], "max_gen_toks": 24, "do_sample": False, "temperature": 0.0}
    plain = [Instance("generate_until", {}, (one, limits), 0) for one in prompts]
    assert in_process.generate_until(plain) == in_torch.generate_until(plain)
    pair = [Instance("loglikelihood", {}, (prompts[0], " yes"), 0)]
    (found,), (own,) = in_process.loglikelihood(pair), in_torch.loglikelihood(pair)
    assert found == pytest.approx(own, abs=1e-4)


def test_a_set_shrinks_to_what_the_loaded_engine_gives(in_process: "UQVLLM") -> None:
    """Which is less than vLLM gives as it usually is."""
    how = {"dtype": "float32", "max_model_len": LONGEST, "max_num_seqs": 32, "enforce_eager": True, **CHEAP}
    lm = type(in_process)("demo", methods="sampling", logprobs_mode="processed_logprobs", **how)
    assert "mutual_information" not in {method.name for method in lm.methods}
    told = lm.get_model_info()["uncertainty"]
    assert "those after temperature and cuts" in told["left_out"]["mutual_information"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_parallel_size": 2}, "vllm serve MODEL --data-parallel-size 2`, and ask it: --model uq-api"),
        ({"methods": "semgrad"}, "semgrad cannot be computed: gradients"),
        ({"sp_token": "measured"}, "use auto, last, or the position itself"),
        ({"seed": -1}, "seed=-1 is not allowed"),
        ({"method": "g_nll"}, "unknown option 'method'.*methods"),
        ({"pretrained": None}, "names no model"),
    ],
)
def test_what_cannot_be_is_said_before_the_model_is_loaded(
    arguments: dict[str, Any], message: str, in_process: "UQVLLM", monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(**given: Any) -> None:
        if "method" in given:
            raise TypeError("EngineArgs.__init__() got an unexpected keyword argument 'method'")
        pytest.fail("the model is loaded")

    monkeypatch.setattr("lm_eval.models.vllm_causallms.LLM", load)
    with pytest.raises(UQHarnessError, match=message):
        type(in_process)(**{"pretrained": "demo", **arguments})
