"""uq-api by chat messages, and by the native ways of SGLang and llama.cpp, from end to end through lm_eval."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.model import CachingLM
from lm_eval.tasks import TaskManager

import uq_harness
from tests.backends.chat_completions.demo_chat import DemoChat
from tests.backends.json_server import JsonServer, Route, serving_json
from tests.backends.served.engine_stubs import LlamaCppStub, SGLangStub
from uq_harness.demo import QUESTIONS
from uq_harness.errors import UQHarnessError
from uq_harness.models.api import UQAPILM
from uq_harness.models.api_chat import UQChatLM

LIMIT = 12
CHEAP = {"nli_model": "lexical", "similarity_model": "lexical"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = Path(QUESTIONS).read_text().splitlines()[:LIMIT]
    file = tmp_path_factory.mktemp("data") / "questions.jsonl"
    file.write_text("\n".join(rows))
    return str(file)


def evaluated(model: str, data: str, arguments: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    uq_harness.register()
    metadata = {"data_files": data, "fewshot_files": data, "correctness": "exact_match"}
    found: dict[str, Any] = simple_evaluate(
        model,
        model_args={**CHEAP, **arguments},
        tasks=["uq_sciq"],
        task_manager=TaskManager(metadata=metadata),
        metadata=metadata,
        apply_chat_template=True,
        bootstrap_iters=0,
        **settings,
    )
    return found


def records(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [sample["doc"]["uq"] for sample in results["samples"]["uq_sciq"]]


@contextmanager
def endpoint(routes: Mapping[str, Route], route: str, **arguments: Any) -> Iterator[tuple[dict[str, Any], JsonServer]]:
    with serving_json(routes) as server:
        settings = {"base_url": f"{server.root}/v1", "model": "demo", "route": route, "max_retries": 0}
        yield settings | arguments, server


def chat_routes(chat: DemoChat) -> dict[str, Route]:
    return {"/v1/chat/completions": chat.complete}


@pytest.fixture(scope="module")
def by_torch(data: str) -> dict[str, Any]:
    return evaluated("uq-hf", data, {"pretrained": "demo", "device": "cpu", "methods": "g_nll+p_true", "batch_size": 4})


def test_a_chat_endpoint_gives_the_scores_of_the_model_itself(data: str, by_torch: dict[str, Any]) -> None:
    methods = "g_nll+ln_pe+self_consistency+degree+semantic_entropy+token_sar"
    with endpoint(chat_routes(DemoChat()), "chat", methods=methods) as (arguments, _):
        results = evaluated("uq-api", data, {**arguments, "prompt_price": 1, "completion_price": 2})
    for mine, theirs in zip(records(results), records(by_torch), strict=True):
        assert mine["answer"] == theirs["answer"]
        assert mine["uncertainty"]["g_nll"] == pytest.approx(theirs["uncertainty"]["g_nll"], abs=1e-4)
        assert mine["token_logprobs"] == pytest.approx(theirs["token_logprobs"], abs=1e-4)
        assert all(score is not None for score in mine["uncertainty"].values())
        assert mine["cost"]["requests"] == 3  # one, and one for each of the two temperatures
        assert mine["cost"]["price"] > 0
    task, of_torch = (one["results"]["uq_sciq"] for one in (results, by_torch))
    assert task["auroc_g_nll,exact_match"] == of_torch["auroc_g_nll,exact_match"]
    told = results["config"]["uncertainty"]
    assert (told["engine"], told["log_probabilities"], told["seeds"]) == ("chat completions", "the model's", True)


@pytest.mark.parametrize(
    ("stub", "route"),
    [
        (SGLangStub(), "sglang"),
        (LlamaCppStub(), "llama.cpp"),
        (SGLangStub(), "auto"),
        (LlamaCppStub(), "auto"),
    ],
)
def test_native_routes_give_the_scores_of_the_model_itself(
    stub: SGLangStub | LlamaCppStub, route: str, data: str, by_torch: dict[str, Any]
) -> None:
    with endpoint(stub.routes(), route, tokenizer="demo", methods="g_nll+p_true") as (arguments, _):
        results = evaluated("uq-api", data, arguments, limit=None if route != "auto" else 2)
    for mine, theirs in zip(records(results), records(by_torch), strict=route != "auto"):
        assert mine["answer"] == theirs["answer"]
        assert mine["uncertainty"] == pytest.approx(theirs["uncertainty"], abs=1e-4)


def test_auto_takes_messages_where_there_is_nothing_else(data: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lm_eval.uq_harness")
    with endpoint(chat_routes(DemoChat()), "auto", tokenizer="demo", methods="g_nll") as (arguments, _):
        model = UQAPILM.create_from_arg_obj({**CHEAP, **arguments})
    assert isinstance(model, UQChatLM)
    assert [r.getMessage() for r in caplog.records if "route=auto" in r.getMessage()] == [
        "route=auto: the server is asked by route=chat"
    ]


def test_auto_does_not_drop_arguments_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with endpoint(chat_routes(DemoChat()), "auto", methods="g_nll") as (arguments, _):
        with pytest.raises(UQHarnessError, match="save_samples=true keeps tokens"):
            UQAPILM.create_from_arg_obj({**arguments, **CHEAP, "save_samples": "true"})
        with caplog.at_level(logging.WARNING, "uq_harness"):
            UQAPILM.create_from_arg_obj({**arguments, **CHEAP, "tokenizer": "demo", "save_samples": False})
    assert "tokenizer is not used" in caplog.text


def test_the_journal_of_another_endpoint_does_not_answer_for_one_that_is_gone(tmp_path: Path) -> None:
    journal = {**CHEAP, "journal": str(tmp_path / "run.journal"), "methods": "g_nll"}
    with endpoint(chat_routes(DemoChat()), "chat") as (arguments, _):
        UQAPILM.create_from_arg_obj(arguments | journal)
    UQAPILM.create_from_arg_obj(arguments | journal)
    with pytest.raises(UQHarnessError, match=r"holds the replies of another server \(base_url was"):
        UQAPILM.create_from_arg_obj(arguments | journal | {"base_url": "http://127.0.0.1:9/v1"})


@dataclass(frozen=True)
class Renamed(DemoChat):
    """An endpoint that calls itself by a name, and whose values differ from the demo's."""

    name: str = "demo"
    shift: float = 0.0

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        reply = super().complete(body)
        for choice in reply["choices"]:
            for token in (choice["logprobs"] or {"content": ()})["content"]:
                for one in (token, *token["top_logprobs"]):
                    one["logprob"] += self.shift
        return {**reply, "system_fingerprint": self.name}


def test_an_endpoint_that_calls_itself_something_else_goes_on_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = str(tmp_path / "cache.db")
    routes = chat_routes(Renamed())
    with endpoint(routes, "chat", methods="g_nll", journal=str(tmp_path / "j")) as (arguments, _):
        CachingLM(UQAPILM.create_from_arg_obj({**CHEAP, **arguments}), file)
        assert "calls itself" not in caplog.text
        routes["/v1/chat/completions"] = Renamed(name="fp_2", shift=-0.03).complete
        CachingLM(UQAPILM.create_from_arg_obj({**CHEAP, **arguments}), file)
        assert "calls itself 'fp_2' and called itself 'demo'" in caplog.text
        routes["/v1/chat/completions"] = Renamed(shift=-0.5).complete
        with pytest.raises(UQHarnessError, match=r"the journal .*\(first_written was .* and is now"):
            UQAPILM.create_from_arg_obj({**CHEAP, **arguments})
        with pytest.raises(UQHarnessError, match=r"--use_cache .*\(first_written was .* and is now"):
            CachingLM(UQAPILM.create_from_arg_obj({**CHEAP, **arguments, "journal": str(tmp_path / "other")}), file)


def test_a_llama_cpp_server_that_is_off_is_known_by_its_journal(tmp_path: Path) -> None:
    file = str(tmp_path / "cache.db")
    given = {**CHEAP, "tokenizer": "demo", "methods": "g_nll", "journal": str(tmp_path / "j"), "seed": 1}
    with endpoint(LlamaCppStub().routes(), "llama.cpp", **given) as (arguments, _):
        CachingLM(UQAPILM.create_from_arg_obj(arguments), file)
    CachingLM(UQAPILM.create_from_arg_obj(arguments), file)
    newer = LlamaCppStub().routes() | {"/props": lambda _: {"build_info": "b2-demo"}}
    with (
        endpoint(newer, "llama.cpp", **given) as (arguments_then, _),
        pytest.raises(UQHarnessError, match="build was 'b1-demo' and is now 'b2-demo'"),
    ):
        UQAPILM.create_from_arg_obj(arguments_then)


def test_system_prompt_and_worked_examples_are_turns(data: str) -> None:
    with endpoint(chat_routes(DemoChat()), "chat") as (arguments, server):
        evaluated(
            *("uq-api", data, arguments),
            limit=1,
            num_fewshot=2,
            fewshot_as_multiturn=True,
            system_instruction="Be brief.",
        )
        messages = server.bodies[-1][1]["messages"]
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert messages[0]["content"] == "Be brief."


def test_a_second_run_asks_only_what_the_endpoint_does(data: str, tmp_path: Path) -> None:
    counts, found = [], []
    with endpoint(chat_routes(DemoChat()), "chat", journal=str(tmp_path / "run.journal")) as (arguments, server):
        for _ in range(2):
            found.append(records(evaluated("uq-api", data, {**arguments, "methods": "g_nll+ln_pe", "seed": 3})))
            counts.append(len(server.bodies))
    assert counts[1] - counts[0] == counts[0] - 2 * LIMIT  # the probe alone
    assert [one["uncertainty"] for one in found[0]] == [one["uncertainty"] for one in found[1]]
    assert {one["cost"]["requests"] for one in found[1]} == {0}


def test_the_journal_alone_answers_when_the_endpoint_is_gone(data: str, tmp_path: Path) -> None:
    with endpoint(chat_routes(DemoChat()), "chat", journal=str(tmp_path / "run.journal"), seed=3) as (arguments, _):
        first = records(evaluated("uq-api", data, arguments, limit=2))
    again = records(evaluated("uq-api", data, arguments, limit=2))
    assert [one["uncertainty"] for one in first] == [one["uncertainty"] for one in again]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tokenizer": "demo"}, "tokenizer is for servers that take prompts as tokens"),
        ({"save_samples": True}, "save_samples is for servers that take prompts as tokens"),
        ({"think_end_token": 3}, "think_end_token=3 is not allowed"),
        ({"methods": "p_true"}, "p_true cannot be computed: the log-probability of a given text behind a raw prompt"),
        ({"base_urk": 1}, "unknown option 'base_urk'"),
        ({"api_key": "sk-secret"}, "api_key= is not taken"),
    ],
)
def test_what_is_not_for_chats_is_refused(arguments: dict[str, Any], words: str) -> None:
    with endpoint(chat_routes(DemoChat()), "chat") as (settings, _), pytest.raises(UQHarnessError, match=words):
        UQAPILM.create_from_arg_obj({**CHEAP, **settings, **arguments})


def test_a_set_of_methods_shrinks_to_what_the_endpoint_gives(caplog: pytest.LogCaptureFixture) -> None:
    with endpoint(chat_routes(DemoChat(logprobs=False)), "chat", methods="sampling") as (settings, _):
        model = UQAPILM.create_from_arg_obj({**CHEAP, **settings})
    assert {method.name for method in model.methods} == {
        *("answer_entailment", "degree", "discrete_semantic_entropy", "dissimilarity", "eccentricity"),
        *("eigenvalue_laplacian", "exact_match_rate", "kernel_language_entropy", "label_prob", "lexical_similarity"),
        *("luq", "noncontradiction", "num_semantic_sets", "self_consistency"),
        *("semantic_alphabet_size", "coverage_adjusted_semantic_entropy"),
    }
    assert "methods=sampling leaves out" in caplog.text


def test_plain_prompts_are_refused_with_the_option_that_makes_messages(data: str) -> None:
    uq_harness.register()
    metadata = {"data_files": data, "correctness": "exact_match"}
    with (
        endpoint(chat_routes(DemoChat()), "chat") as (settings, _),
        pytest.raises(UQHarnessError, match="--apply_chat_t"),
    ):
        simple_evaluate(
            "uq-api",
            model_args={**CHEAP, **settings},
            tasks=["uq_sciq"],
            task_manager=TaskManager(metadata=metadata),
            metadata=metadata,
            limit=1,
        )


@pytest.mark.parametrize(
    ("chat", "words"),
    [
        (DemoChat(fixed_temperature=1.0), "does not honour temperature 0"),
        (DemoChat(refused=frozenset({"temperature"})), "takes no temperature"),
        (DemoChat(logprobs=False), "g_nll cannot be computed: log-probabilities, which this endpoint does not tell"),
        (DemoChat(moves_thinking=True), "g_nll cannot be computed: log-probabilities of the message's tokens: the end"),
    ],
)
def test_what_an_endpoint_does_not_do_is_said_before_the_work(chat: DemoChat, words: str) -> None:
    with endpoint(chat_routes(chat), "chat") as (settings, server):
        with pytest.raises(UQHarnessError, match=words):
            UQAPILM.create_from_arg_obj({**CHEAP, **settings})
        assert len(server.bodies) < 25


def test_the_log_shows_messages(data: str) -> None:
    with endpoint(chat_routes(DemoChat()), "chat") as (arguments, _):
        (sample,) = evaluated("uq-api", data, arguments, limit=1)["samples"]["uq_sciq"]
    assert json.loads(sample["arguments"][0][0][0])[-1]["role"] == "user"
