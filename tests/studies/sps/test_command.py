"""``uq-harness sps`` as a user types it, and its result as ``sp_token``."""

import json
import sys
from pathlib import Path

import pytest
from lm_eval.api.instance import Instance

from tests.studies.sps.data import demo_model, demo_rows, write_rows
from uq_harness.cli import main
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import QuestionInstance, record_of

GREEDY = {"until": [], "max_gen_toks": 20, "do_sample": False}


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Status of the command in this process."""
    monkeypatch.setattr(sys, "argv", ["uq-harness", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write_rows(tmp_path / "facts.jsonl", demo_rows(4)))


def run(monkeypatch: pytest.MonkeyPatch, file: str, output: Path, *more: str) -> int:
    settings = ["--model", "demo", "--model_args", "dtype=float32", "--device", "cpu", "--paraphrases", file]
    settings.append("--apply_chat_template")
    return command(monkeypatch, "sps", *settings, "--output", str(output), *more)


def test_writes_results_and_pictures_and_shows_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, file: str, tmp_path: Path
) -> None:
    assert run(monkeypatch, file, tmp_path / "out") == 0
    written = sorted(one.name for one in (tmp_path / "out").iterdir())
    assert written == ["sps.json", "sps_facts.pdf", "sps_facts.png", "sps_facts.svg"]
    shown = capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "sps.json").read_text(encoding="utf-8"))
    assert f"Highest score: position {content['recommended']['position']}" in shown
    assert "<|im_start|>" in shown
    assert "the last 6 positions, the user's last token and what the chat template puts behind it" in shown
    assert "Compare the AUROC of both tokens with `uq-harness ablate`" in shown
    assert "lexical" in shown
    assert content["data_sets"]["facts"]["questions"] == 4
    assert content["model"]["name"] == "demo"


def test_json_is_the_result_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, file: str, tmp_path: Path
) -> None:
    assert run(monkeypatch, file, tmp_path, "--json", "--layers", "0-1", "--positions", "2") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((tmp_path / "sps.json").read_text(encoding="utf-8"))
    assert len(shown["data_sets"]["facts"]["sps"]) == 2


def test_without_the_template_as_lm_eval_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, file: str, tmp_path: Path
) -> None:
    assert run(monkeypatch, file, tmp_path, "--no_chat_template", "--no-plots") == 0
    assert [one.name for one in tmp_path.glob("sps*")] == ["sps.json"]
    assert json.loads((tmp_path / "sps.json").read_text(encoding="utf-8"))["model"]["template"] is None
    assert "put without it, as lm_eval does without --apply_chat_template" in caplog.text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--layers", "upper"], "layer span 'upper' is not allowed"),
        (["--positions", "900"], "--positions 900 goes beyond"),
        (["--tasks", "uq_dmeo"], "task 'uq_dmeo' is unknown"),
        (["--metadata", "{"], "is not valid JSON"),
        (["--metadata", "[]"], "is not a JSON object"),
        (["--model_args", "float32"], "--model_args holds 'float32'"),
        (["--model_args", "methods=semgrad"], "--model_args sets methods"),
        (["--model_args", "device=cpu"], "device is given twice: leave it out of --model_args, or leave out --device"),
        (["--model", "./nowhere"], "model './nowhere' could not be loaded"),
        (["--paraphrases", "nowhere.jsonl"], "paraphrase file 'nowhere.jsonl' does not exist"),
    ],
)
def test_wrong_use_ends_with_status_2_and_says_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    file: str,
    tmp_path: Path,
    more: list[str],
    message: str,
) -> None:
    assert run(monkeypatch, file, tmp_path, *more) == 2
    assert message in capsys.readouterr().err


class TestAsSpToken:
    """The result handed to ``uq-hf``."""

    @pytest.fixture(scope="class")
    @staticmethod
    def sps_file(tmp_path_factory: pytest.TempPathFactory, result) -> str:
        return str(result.write(tmp_path_factory.mktemp("sps")))

    @staticmethod
    def scores(sp_token: str | int, **kwargs) -> list[float]:
        lm = demo_model(methods="semgrad+hybridgrad", sp_token=sp_token)
        chat = kwargs.get("chat", True)
        requests = []
        for row in demo_rows(4, start=60):
            text = row["question"]
            prompt = lm.apply_chat_template([{"role": "user", "content": text}]) if chat else text
            requests.append(QuestionInstance("generate_until", {}, (prompt, dict(GREEDY)), 0, question=text))
        answers = lm.generate_until(requests, disable_tqdm=True)
        return [score for answer in answers for score in record_of(answer)["uncertainty"].values()]

    def test_gives_what_its_position_gives(self, sps_file: str, result) -> None:
        assert self.scores(sps_file) == self.scores(result.recommended.position)
        assert self.scores(sps_file) != self.scores(result.recommended.position - 1)

    def test_stands_in_the_results_configuration(self, sps_file: str, result) -> None:
        info = demo_model(methods="semgrad", sp_token=sps_file).get_model_info()["uncertainty"]
        assert info["sp_token"] == str(result.recommended.position)
        assert info["sp_token_recommended"]["file"] == sps_file

    def test_another_model_is_refused_at_load(self, sps_file: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        other = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32)
        with torch.no_grad():
            other.model.embed_tokens.weight.mul_(1.01)
        tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        with pytest.raises(UQHarnessError, match="was made for another model"):
            demo_model(pretrained=other, tokenizer=tokenizer, sp_token=sps_file)

    def test_other_template_arguments_are_refused_at_load(self, sps_file: str) -> None:
        with pytest.raises(UQHarnessError, match="was made with another chat template"):
            demo_model(sp_token=sps_file, chat_template_args={"enable_thinking": False})

    def test_prompts_without_the_template_are_refused_before_the_first_answer(self, sps_file: str) -> None:
        with pytest.raises(UQHarnessError, match="add --apply_chat_template"):
            self.scores(sps_file, chat=False)

    def test_other_tasks_do_not_care(self, sps_file: str) -> None:
        lm = demo_model(sp_token=sps_file)
        other = Instance("generate_until", {}, ("Hello", {"until": [], "max_gen_toks": 2}), 0)
        assert len(lm.generate_until([other], disable_tqdm=True)) == 1
