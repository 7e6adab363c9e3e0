"""The paper's numbers and run configurations."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from lm_eval.config.evaluate_config import EvaluatorConfig

from tests.support import SHARED, requires_shared
from uq_harness.cli.run import run_lm_eval
from uq_harness.correctness.base import build_judge
from uq_harness.errors import UQHarnessError
from uq_harness.methods import all_methods, all_options, build_methods, select_methods
from uq_harness.report.published._configurations import configuration_files
from uq_harness.report.published.tables import PAPER_TABLES, paper_table

FILES = {file.stem: file for file in configuration_files()}
NAMES = {
    1: "table_1_auroc",
    2: "table_2_ablation_auroc",
    3: "table_3_seconds_per_example",
    4: "table_4_llm_judge_llama3.1",
    5: "table_5_aurc",
}


@requires_shared
@pytest.mark.parametrize("number", PAPER_TABLES)
def test_every_number_is_the_papers(number: int) -> None:
    assert SHARED is not None
    published = json.loads((SHARED / "spec" / "paper_results.json").read_text(encoding="utf-8"))[NAMES[number]]
    table = paper_table(number)
    assert len(table.rows) == len(published)
    for row, numbers in zip(table.rows, published.values(), strict=True):
        assert (*row.values, *row.averages) == (
            *(value for name, value in numbers.items() if not name.startswith("Avg")),
            *(value for name, value in numbers.items() if name.startswith("Avg")),
        )


@pytest.mark.parametrize("number", [1, 5])
def test_printed_averages_are_those_of_the_printed_numbers(number: int) -> None:
    for row in paper_table(number).rows:
        assert row.averages[0] == pytest.approx(sum(row.values) / 9, abs=0.011)


@pytest.mark.parametrize("number", PAPER_TABLES)
def test_every_table_has_its_source_and_fits_this_package(number: int) -> None:
    table = paper_table(number)
    assert "arXiv 2605.04638" in table.source
    assert {row.method for row in table.rows} - {None} <= set(all_methods())
    assert {column.task for column in table.columns} == {"uq_sciq", "uq_triviaqa", "uq_truthfulqa"}
    assert all(len(row.values) == len(table.columns) for row in table.rows)


def test_the_variants_whose_labels_are_lost_have_no_options() -> None:
    lost = [row for row in paper_table(2).rows if row.options is None]
    assert [row.title for row in lost] == [f"layer span {n} (label lost)" for n in (1, 2, 3, 4)]
    assert "not legible" in paper_table(2).notes[0]


def test_a_table_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UQHarnessError, match="1, 2, 3, 4 or 5"):
        paper_table(6)


@pytest.mark.parametrize("file", configuration_files(), ids=lambda file: file.stem)
def test_lm_evals_own_loader_reads_every_configuration(file: Path) -> None:
    loaded = EvaluatorConfig.from_config(file)
    assert loaded.model == "uq-hf"
    assert loaded.tasks == ["uq_sciq", "uq_triviaqa", "uq_truthfulqa"]
    assert loaded.apply_chat_template is True
    assert loaded.log_samples
    chosen = {method.name for method in select_methods(loaded.model_args["methods"])}
    assert chosen == {row.method for row in paper_table(1).rows}
    assert loaded.model_args["pretrained"] in {column.model for column in paper_table(1).columns}
    options = {name: value for name, value in loaded.model_args.items() if name in all_options()}
    assert {*loaded.model_args} - {*options} == {"pretrained", "dtype", "methods", "nli_model", "similarity_model"}
    build_methods(loaded.model_args["methods"], options)
    judge = build_judge(loaded.metadata["correctness"])
    assert (judge.name, judge.threshold) == ("bem", 0.7)


@pytest.mark.parametrize("model", ["qwen3_4b", "llama3.1_8b", "mistral_nemo_12b"])
def test_the_codes_runs_differ_from_the_texts_in_what_is_listed_alone(model: str) -> None:
    text, code = (EvaluatorConfig.from_config(FILES[f"{family}_{model}"]) for family in ("paper", "paper_code"))
    cut_offs = {
        "entropy_top_p": 0.9,
        **{f"{sampled}_top_k": 50 for sampled in ("entropy", "degree", "sar", "consistency", "mi")},
        "sample_logprobs": "sampled",
    }
    tied = {"head_gradient": "tied"} if model == "qwen3_4b" else {}  # the only one with tied embeddings
    assert code.model_args == text.model_args | cut_offs | tied
    differing = {name for name, value in asdict(text).items() if asdict(code)[name] != value}
    assert differing == {"model_args", "output_path", "use_cache", "metadata"}  # lm_eval adds the arguments to metadata
    assert code.metadata["correctness"] == text.metadata["correctness"]


@pytest.mark.parametrize("family", ["paper", "paper_code"])
def test_a_configuration_runs_with_arguments_that_make_it_small(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--model_args", "pretrained=demo,methods=g_nll+semgrad", "--tasks", "uq_demo", "--device", "cpu"]
    judge = ["--metadata", '{"correctness": "exact_match"}']
    run_lm_eval(["--config", str(FILES[f"{family}_qwen3_4b"]), *small, *judge, "--limit", "4"])
    (samples,) = (tmp_path / "results" / family / "demo").glob("samples_uq_demo_*.jsonl")
    assert len(samples.read_text(encoding="utf-8").splitlines()) == 4
