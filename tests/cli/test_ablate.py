"""``uq-harness ablate`` as a user types it: what it writes, scoring again without a model, and wrong use."""

import json
import shlex
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_command_line import command
from tests.studies.ablation.made_up import evidence, sps
from uq_harness.cli.ablate import ablate as ablate_command
from uq_harness.errors import UQHarnessError
from uq_harness.studies.ablation.evidence import AblationEvidence

PASS = shlex.split(
    "--model_args pretrained=demo,dtype=float32 --tasks uq_demo --apply_chat_template --batch_size 16 --limit 48 "
    "--device cpu"
)


def ablate(arguments: list[str], output: Path, **options) -> None:
    """The command in this process."""
    defaults = {"betas": "1", "gammas": "1", "no_plots": True}
    ablate_command(Namespace(args=arguments), output, **{**defaults, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ablate")
    output = command("uq_harness", "ablate", *PASS, "--layers", "0-2", "--output", "out", folder=folder)
    (folder / "stdout").write_text(output, encoding="utf-8")
    return folder


def found(folder: Path) -> dict:
    return json.loads((folder / "ablation.json").read_text(encoding="utf-8"))["ablations"][0]


def test_tables_are_shown_and_written(folder: Path) -> None:
    output = (folder / "stdout").read_text(encoding="utf-8")
    assert "demo / uq_demo: 48 answers" in output
    assert "token -3  <|im_start|>" in output
    assert "layers 0-2" in output
    assert "last token" in output
    markdown = (folder / "out" / "ablation.md").read_text(encoding="utf-8")
    assert "| SemGrad (default) | " in markdown
    assert "## HybridGrad on demo / uq_demo" in markdown


def test_everything_is_in_the_folder(folder: Path) -> None:
    names = {file.name for file in (folder / "out").iterdir() if file.is_file()}
    pictures = {name for name in names if name.endswith((".png", ".svg", ".pdf"))}
    assert {name.partition(".")[0] for name in pictures} == {
        f"uq_demo_exact_match_{what}" for what in ("entropies", "hybridgrad", "states")
    }
    assert names == {"ablation.json", "ablation.md", "evidence_uq_demo_exact_match.npz", *pictures}


def test_lm_evals_own_results_and_samples_are_those_of_a_stock_run(folder: Path) -> None:
    results = json.loads(next((folder / "out").rglob("results_*.json")).read_text(encoding="utf-8"))
    assert results["config"]["model"] == "uq-hf"
    ours = {one["label"]: one["auroc"] for one in found(folder / "out")["semgrad"]}
    assert results["results"]["uq_demo"]["auroc_semgrad,exact_match"] == pytest.approx(ours["SemGrad (default)"])
    lines = next((folder / "out").rglob("samples_*.jsonl")).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 48
    assert "gradient_sizes" not in json.loads(lines[0])["doc"]["uq"]


def test_scoring_again_needs_no_model_and_gives_the_same(folder: Path) -> None:
    again = ["--from", "out/evidence_uq_demo_exact_match.npz", "--layers", "0-2", "--output", "again", "--no-figures"]
    printed = command("uq_harness", "ablate", *again, "--json", folder=folder)
    assert json.loads(printed)["ablations"] == [found(folder / "out")]
    assert {file.name for file in (folder / "again").iterdir()} == {"ablation.json", "ablation.md"}


def test_evidence_of_several_runs_shares_a_table(tmp_path: Path) -> None:
    files = [evidence(seed=seed, task=f"uq_{seed}").write(tmp_path) for seed in (1, 2)]
    ablate([], tmp_path / "out", evidence=files)
    markdown = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert "| variant | made-up / uq_1 | made-up / uq_2 |" in markdown


def test_an_sps_file_adds_the_correlation(tmp_path: Path) -> None:
    file = evidence().write(tmp_path)
    ablate([], tmp_path / "out", evidence=[file], sps=[sps().write(tmp_path)])
    assert -1 <= found(tmp_path / "out")["preservation"]["rho"] <= 1


def test_answers_that_are_all_right_leave_tables_of_undefined(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = evidence(correct=np.ones(60)).write(tmp_path)
    ablate([], tmp_path / "out", evidence=[file], no_plots=False)
    assert "undefined" in capsys.readouterr().out
    assert found(tmp_path / "out")["semgrad"][0]["auroc"] is None


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--tasks", "uq_demo,arc_easy"], "task arc_easy is unknown, or has no uncertainty: use uq_bench, uq_demo,"),
        (["--limit", "2", "--samples", '{"uq_demo": [1]}'], "lm_eval refuses these arguments: If --samples"),
        (["--model", "hf"], "--model hf gives no gradients"),
        (["--predict_only"], "--predict_only would do nothing"),
        (["--model_args", "pretrained=/nowhere/at/all"], "model '/nowhere/at/all' could not be loaded"),
    ],
)
def test_arguments_that_an_ablation_cannot_use(tmp_path: Path, extra: list[str], message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        ablate([*PASS, *extra], tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "2-9"}, r"'2-9' ends behind the model's last block: it has the blocks 0 to 5"),
        ({"layers": "top"}, r"layer span 'top' is not allowed"),
        ({"betas": "0"}, r"--betas 0 is not allowed"),
    ],
)
def test_wrong_use_is_found_before_the_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, message: str
) -> None:
    from uq_harness.backends.transformers.backend import TransformersBackend

    monkeypatch.setattr(TransformersBackend, "gather", lambda *arguments: pytest.fail("questions were answered"))
    with pytest.raises(UQHarnessError, match=message):
        ablate(PASS, tmp_path / "out", **options)


def test_a_model_without_a_chat_template(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from uq_harness.demo import MODEL_DIR

    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path / "bare")
    AutoModelForCausalLM.from_pretrained(MODEL_DIR).save_pretrained(tmp_path / "bare")
    bare = [argument.replace("pretrained=demo", f"pretrained={tmp_path / 'bare'}") for argument in PASS]
    with pytest.raises(UQHarnessError, match="has no chat template: leave out --apply_chat_template"):
        ablate(bare, tmp_path / "out")
    bare = [argument for argument in bare if argument != "--apply_chat_template"]
    ablate([*bare, "--limit", "12"], tmp_path / "out")
    made = AblationEvidence.read(tmp_path / "out" / "evidence_uq_demo_exact_match.npz")
    assert set(made.semantic_token) == {-1}
    assert made.model.template is None


def test_sps_of_another_model_is_refused_before_the_first_answer(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match="SPS file was made for another model: models/made-up"):
        ablate(PASS, tmp_path / "out", sps=[sps().write(tmp_path)])


@pytest.mark.parametrize(("arguments", "options"), [(["--limit", "3"], {}), ([], {"positions": 4})])
def test_what_would_do_nothing_without_a_model_is_refused(tmp_path: Path, arguments: list, options: dict) -> None:
    file = evidence().write(tmp_path)
    with pytest.raises(UQHarnessError, match="has no effect with --from"):
        ablate(arguments, tmp_path / "out", evidence=[file], **options)


def test_no_task_and_no_evidence(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match="no task is named: add --tasks"):
        ablate([], tmp_path / "out")
