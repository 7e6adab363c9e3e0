"""``uq-harness bench`` on the demo model and the trained small one: what it counts, prints and refuses."""

import json
import os
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support import SHARED, requires_shared
from uq_harness.cli import app
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    AnswerEntailment,
    AnswerLogProbs,
    Evidence,
    Need,
    PairwiseEntailment,
    Samples,
    TokenRelevance,
)
from uq_harness.files import write_whole
from uq_harness.methods import Method, build_methods
from uq_harness.studies.bench.groups import groups_of
from uq_harness.studies.bench.ledger import Entry, Ledger
from uq_harness.studies.bench.report import Accounts, Bench, Round, Work, summary
from uq_harness.studies.bench.run import run_bench

LEXICAL = {"nli_model": "lexical", "similarity_model": "lexical", "device": "cpu"}


METHODS = "g_nll+self_certainty+exgrad+p_true+pointwise_mutual_information+degree+ln_pe+token_sar"


@pytest.fixture(scope="module")
def kept() -> list[Bench]:
    return []


@pytest.fixture(scope="module")
def found(kept: list[Bench]) -> Bench:
    return run_bench(
        "demo",
        tasks=["uq_demo"],
        methods=METHODS,
        model_arguments=LEXICAL,
        chat=True,
        limit=6,
        batch_size=2,
        repeats=2,
        keep=kept.append,
    )


class TestCounts:
    def test_every_method_alone_and_all_together(self, found: Bench) -> None:
        names = {cost.name for cost in found.costs}
        assert names == {"decoding", *METHODS.split("+"), "together"}
        assert found.tasks == {"uq_demo": 6}
        assert (found.measured, found.complete, found.failed) == (12, True, {})

    def test_samples_cost_row_steps_and_comparisons_pairs(self, found: Bench) -> None:
        work = {cost.name: cost.work for cost in found.costs}
        assert len({one.answer_tokens for one in work.values()}) == 1
        assert work["decoding"].row_steps == work["g_nll"].row_steps < work["token_sar"].row_steps
        assert work["token_sar"].row_steps < work["degree"].row_steps  # 5 of the 10 samples
        assert work["g_nll"].nli_pairs == work["g_nll"].similarity_pairs == 0
        assert work["degree"].nli_pairs > work["degree"].similarity_pairs == 0
        assert work["token_sar"].similarity_pairs > work["token_sar"].nli_pairs == 0

    def test_together_the_samples_are_drawn_once(self, found: Bench) -> None:
        work = {cost.name: cost.work for cost in found.costs}
        assert work["together"].row_steps == pytest.approx(work["degree"].row_steps)
        assert work["together"].nli_pairs == work["degree"].nli_pairs

    def test_medians_lie_in_their_ranges(self, found: Bench) -> None:
        assert found.generation.lowest > 0
        for cost in found.costs:
            for spread in (cost.seconds, cost.extra, cost.share):
                assert spread.lowest <= spread.median <= spread.highest

    def test_a_method_beside_others_costs_what_no_other_one_reads(self, found: Bench) -> None:
        costs = {cost.name: cost for cost in found.costs}
        assert costs["together"].beside is costs["decoding"].beside is None
        assert costs["p_true"].beside == costs["p_true"].extra  # it shares nothing
        assert {part.name for part in found.groups} == {
            "10 samples, temperature 1",
            "5 samples, temperature 1",
            "distributions",
        }

    def test_what_has_been_measured_is_kept_chunk_by_chunk(self, found: Bench, kept: list[Bench]) -> None:
        assert [one.measured for one in kept] == [4, 6, 10, 12]
        assert [one.complete for one in kept] == [False, False, False, True]
        assert kept[-1] == found


def test_what_was_measured_before_it_was_stopped_is_told() -> None:
    def stop(found: Bench) -> None:
        raise KeyboardInterrupt

    methods = {"methods": "g_nll+exgrad", "model_arguments": LEXICAL, "chat": True}
    found = run_bench("demo", tasks=["uq_demo"], **methods, limit=6, batch_size=2, keep=stop)
    assert (found.measured, found.complete) == (4, False)
    assert {cost.name for cost in found.costs} == {"decoding", "g_nll", "exgrad", "together"}


def test_the_account_of_a_question_divides_stages_and_pairs() -> None:
    ten, five = Samples(10, 1.0), Samples(5, 1.0)
    pairs, own = PairwiseEntailment(ten), AnswerEntailment(ten)
    ledger = Ledger(build_methods("degree+noncontradiction+token_sar", {}))
    evidence = Evidence(
        "Which city?",
        Answer("Paris", (5, 2), np.array([-0.5, -0.25]), None, complete=True),
        undefined=frozenset([ten, five]),
        seconds={
            **{frozenset([ten]): 1e5, frozenset([ten, five]): 2e5, frozenset([five]): 0.0},
            **{frozenset([pairs]): 1e6, frozenset([own]): 2e6, frozenset([pairs, own]): 4e6},
            **{frozenset([TokenRelevance(five)]): 8e6},
        },
        pairs={frozenset([pairs]): 3, frozenset([pairs, own]): 1, frozenset([TokenRelevance(five)]): 7},
    )
    ledger.record(evidence)
    (entry,) = ledger.entries
    assert entry.alone == pytest.approx({"degree": 5e6, "noncontradiction": 6e6, "token_sar": 8e6}, rel=1e-3)
    assert entry.beside == pytest.approx({"degree": 1e6, "noncontradiction": 2e6, "token_sar": 8e6}, rel=1e-3)
    assert entry.pairs == {
        "nli": {"degree": 4, "noncontradiction": 1, "token_sar": 0},
        "similarity": {"degree": 0, "noncontradiction": 0, "token_sar": 7},
    }


@dataclass(frozen=True)
class Broken(Method):
    name = "broken"

    def needs(self) -> tuple[Need, ...]:
        return (AnswerLogProbs(),)

    def score(self, evidence: Evidence) -> float:
        raise ZeroDivisionError("of this method")


def test_a_method_that_fails_does_not_keep_the_others_from_their_scores() -> None:
    ledger = Ledger([Broken(), *build_methods("g_nll", {})])
    answer = Answer("Paris", (5, 2), np.array([-0.5, -0.25]), None, complete=True)
    ledger.record(Evidence("Which city?", answer))
    assert ledger.failed == {"broken": "ZeroDivisionError: of this method"}
    assert ledger.entries[0].alone["g_nll"] > 0


def test_prices_come_from_stages_and_from_sample_sets_alone() -> None:
    """Worked by hand: degree and ln_pe share ten samples, token_sar reads five of them."""
    methods = build_methods("degree+ln_pe+token_sar", {})
    groups = groups_of(methods)
    ten, five = groups
    entry = Entry(
        alone={"degree": 0.5, "ln_pe": 0.0, "token_sar": 0.25},
        beside={"degree": 0.5, "ln_pe": 0.0, "token_sar": 0.25},
        pairs={"nli": {"degree": 40.0}, "similarity": {"token_sar": 12.0}},
        cost={"decode_seconds": 3.0, "answer_seconds": 1.0, "row_steps": 30.0, "nli_seconds": 0.5, "nli_pairs": 40.0}
        | {"similarity_seconds": 0.25, "similarity_pairs": 12.0},
        scoring=0.0,
    )
    others = {"decoding": [(5, {"row_steps": 5.0})], ten: [(5, {"row_steps": 30.0})], five: [(5, {"row_steps": 20.0})]}
    seconds = {"generation": 2.0, "decoding": 1.0, ten: 3.5, five: 3.0, "together": 4.0}
    one = summary([Round(0, 1, seconds, Accounts((entry,), others))], methods, groups)
    costs = {cost.name: cost for cost in one["costs"]}
    assert {name: cost.extra.median for name, cost in costs.items()} == {
        "decoding": -1.0,
        "degree": 3.0,
        "ln_pe": 2.5,
        "token_sar": 2.25,
        "together": 3.0,
    }
    assert costs["degree"].share.median == 1.5
    assert (costs["degree"].beside.median, costs["ln_pe"].beside.median) == (0.5, 0.0)
    assert costs["token_sar"].work == Work(answer_tokens=5, row_steps=20, nli_pairs=0, similarity_pairs=12)
    assert {part.name: part.seconds.median for part in one["stages"]} == {
        "answers": 1.0,
        "samples": 2.0,
        "nli": 0.5,
        "similarity": 0.25,
    }
    del seconds[five]  # it failed
    left = summary([Round(0, 1, seconds, Accounts((entry,), others))], methods, groups)["costs"]
    assert {cost.name for cost in left} == {"decoding", "degree", "ln_pe", "together"}


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["bench", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


SMALL = ["--limit", 2, "--batch_size", 2, "--repeats", 1, "--device", "cpu", "--methods", "semgrad"]


def test_json_has_the_papers_numbers_beside() -> None:
    content = json.loads(run(*SMALL, "--apply_chat_template", "--threads", 1, "--json"))
    assert content["threads"] == 1
    assert [cost["name"] for cost in content["costs"]] == ["decoding", "semgrad"]
    assert content["costs"][1]["beside"]["median"] > 0
    assert content["paper"]["table"] == 3
    assert {"torch", "transformers", "lm_eval", "uq_harness"} <= set(content["versions"])


def test_the_file_holds_what_json_prints(tmp_path) -> None:
    file = tmp_path / "bench.json"
    content = json.loads(run(*SMALL, "--apply_chat_template", "--json", "--output", file))
    assert json.loads(file.read_text(encoding="utf-8")) == content
    assert [one.name for one in tmp_path.iterdir()] == ["bench.json"]


def test_a_disk_that_fills_up_ends_it_with_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bench.json"
    file.write_text("the last one", encoding="utf-8")
    write = Path.write_text

    def part(path: Path, text: str, **options: str) -> int:
        write(path, text[:100], **options)
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr(Path, "write_text", part)
    result = CliRunner().invoke(app, ["bench", *map(str, SMALL), "--apply_chat_template", "--output", str(file)])
    assert result.exit_code == 1
    assert "bench.json' cannot be written: No space left on device" in result.stderr
    assert "semgrad" in result.stdout
    assert [(one.name, one.read_text(encoding="utf-8")) for one in tmp_path.iterdir()] == [
        ("bench.json", "the last one")
    ]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "bench.json")
    write_whole(tmp_path / "link.json", "{}")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "bench.json").read_text(encoding="utf-8") == "{}"


@requires_shared
def test_tables_of_another_model_and_data() -> None:
    data = {"data_files": str(SHARED / "data" / "sciq" / "questions.jsonl")}
    arguments = ["--model", SHARED / "models" / "qa-small", "--tasks", "uq_sciq", "--metadata", json.dumps(data)]
    output = run(*SMALL, *arguments, "--model_args", "dtype=float32", "--apply_chat_template")
    assert "float32 on cpu" in output
    assert "2 questions of uq_sciq" in output.replace("\n", " ")
    assert "0.25 (1.2)" in output  # SemGrad on SciQ in the paper: 0.2506 s beyond generation's 0.2088
    assert "row-steps" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "/nowhere"], "model '/nowhere' could not be loaded"),
        (["--model_args", "pretrained=demo"], "pretrained is given twice"),
        (["--model_args", "methods=sar"], "methods is given twice: leave it out of --model_args, and give --methods"),
        (["--model_args", "batch_size=4"], "batch_size is given twice"),
        (["--methods", "semgard"], "did you mean semgrad"),
        (["--tasks", "uq_dmeo"], "unknown task 'uq_dmeo': use some of .*uq_demo"),
        (["--tasks", ","], "no task is given"),
        (["--metadata", "{"], "is not valid JSON"),
        (["--metadata", "[]"], "is not a JSON object"),
        (["--metadata", '{"data_files": "/nowhere.jsonl"}'], "'/nowhere.jsonl' does not exist"),
        (["--output", "/nowhere/bench.json"], "no folder '/nowhere'"),
        (["--output", "/dev/full"], "'/dev/full' is no file"),
        (["--output", "/"], "'/' is no file"),
    ],
)
def test_wrong_use(arguments: list[str], message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        run(*SMALL, *arguments)


def test_a_model_without_chat_template(tmp_path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from uq_harness.demo import MODEL_DIR

    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    AutoModelForCausalLM.from_pretrained(MODEL_DIR).save_pretrained(tmp_path)
    with pytest.raises(UQHarnessError, match="has no chat template"):
        run(*SMALL, "--model", tmp_path, "--apply_chat_template")
