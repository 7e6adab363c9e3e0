"""Two phases: a run that answers and samples, and a model that reads its log and adds what takes a model."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support import SHARED, requires_shared
from uq_harness.backends.saved.read import read_saved
from uq_harness.cli.run import run_lm_eval
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.models import second_pass
from uq_harness.models.agreement import Agreement, Bounds
from uq_harness.models.reading import SecondPassOptions
from uq_harness.models.score_file import ScoredFile, score_file
from uq_harness.models.second_pass_store import PREFIX, SecondPassStore

LIMIT = 20
LEXICAL = {"nli_model": "lexical", "similarity_model": "lexical"}
OF_MODEL = "default+p_true+eigenscore+mutual_information+semantic_density"
FLOAT32 = "dtype=float32,device=cpu"


def log_of(folder: Path, pretrained: str, arguments: str, task: str = "uq_demo", *further: str) -> Path:
    """The sample log of a run of lm_eval."""
    model = f"pretrained={pretrained},dtype=float32,nli_model=lexical,similarity_model=lexical,{arguments}"
    run_lm_eval(
        [
            *("--model", "uq-hf", "--model_args", model, "--tasks", task, "--apply_chat_template", "--device", "cpu"),
            *("--batch_size", "8", "--limit", str(LIMIT), "--log_samples", "--output_path", str(folder), *further),
        ]
    )
    (found,) = folder.rglob("samples_*.jsonl")
    return found


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line)["doc"]["uq"] for line in file.read_text(encoding="utf-8").splitlines()]


def changed(file: Path, folder: Path, change: Any) -> Path:
    """The log with its records changed."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines):
        change(line["doc"]["uq"], number, [one["doc"]["uq"] for one in lines])
    path = folder / file.name
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def as_of_an_engine(record: dict[str, Any], *_: Any) -> None:
    """Leaves out what an engine without gradients, hidden states and entropies cannot give."""
    del record["token_entropies"]
    for name in ("eigenscore", "mutual_information", "semantic_density"):
        del record["uncertainty"][name]


def score(
    file: Path, model: str = "demo", model_args: str = FLOAT32, bound: float | None = None, **how: Any
) -> ScoredFile:
    arguments = {**LEXICAL, **how.pop("arguments", {})}
    settings = {"correctness": "exact_match", "batch_size": 8, **how}
    reads = SecondPassOptions(model, model_args, bound)
    return score_file(read_saved(file), arguments=arguments, reads=reads, **settings)


def written(scored: ScoredFile) -> list[dict[str, Any]]:
    (file,) = (path for path in scored.written if path.name.startswith("samples_"))
    return records(file)


@pytest.fixture(scope="module")
def first_phase(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return log_of(tmp_path_factory.mktemp("first"), "demo", "methods=sampling+g_nll,save_samples=true")


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return records(log_of(tmp_path_factory.mktemp("direct"), "demo", "methods=all"))


def assert_same_scores(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one["answer"] == other["answer"]
        assert one["uncertainty"].keys() == other["uncertainty"].keys()
        for name, score_ in other["uncertainty"].items():
            # eigenscore is a logarithm of eigenvalues near its alpha: an absolute 1e-4 in float32
            close = 1e-4 if name == "eigenscore" else 1e-7
            found_ = one["uncertainty"][name]
            assert (found_ is None) == (score_ is None), name
            assert score_ is None or found_ == pytest.approx(score_, rel=1e-4, abs=close), name
        assert one["token_entropies"] == pytest.approx(other["token_entropies"], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_all_methods_are_those_of_a_direct_run(
    first_phase: Path, direct: list[dict[str, Any]], tmp_path: Path, batch_size: int
) -> None:
    log = changed(first_phase, tmp_path, as_of_an_engine)
    scored = score(log, output=tmp_path / "out", batch_size=batch_size)
    assert_same_scores(written(scored), direct)
    assert scored.agreement is not None
    assert scored.agreement.tokens == sum(len(one["token_ids"]) for one in direct)
    assert scored.agreement.worst < 1e-5
    computed = {one.name: one.computed for one in scored.methods}
    assert {name for name, count in computed.items() if count} == set(direct[0]["uncertainty"]) - set(
        records(log)[0]["uncertainty"]
    )
    assert {one.samples for one in scored.methods if one.name == "eigenscore"} == {(10, 10)}
    config = json.loads(next(path for path in scored.written if path.name.startswith("results")).read_text())["config"]
    assert config["second_pass"]["model"] == "demo"
    assert config["uncertainty"]["nli"] == {"model": "lexical"}
    assert config["second_pass"]["logprob_difference"]["allowed_mean"] == 0.001
    assert list((tmp_path / "out").glob(f"{PREFIX}*")) == []


def test_what_was_written_can_be_read_again(first_phase: Path, tmp_path: Path) -> None:
    once = score(first_phase, output=tmp_path / "once", methods="semgrad")
    (file,) = (path for path in once.written if path.name.startswith("samples_"))
    again = score(file, output=tmp_path / "again", methods="exgrad")
    for one, other, before in zip(written(again), written(once), records(first_phase), strict=True):
        assert one["uncertainty"]["semgrad"] == other["uncertainty"]["semgrad"]
        assert one["uncertainty"]["exgrad"] > 0
        assert {**before["uncertainty"]}.items() <= one["uncertainty"].items()
        for name in ("prompt_token_ids", "message", "sample_sets", "semantic_token", "token_ids", "token_logprobs"):
            assert one[name] == before[name]


def test_samples_of_a_method_that_phase_one_does_not_score(direct: list[dict[str, Any]], tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", "demo", "methods=g_nll,save_samples=eigenscore")
    assert set(records(log)[0]["uncertainty"]) == {"g_nll"}
    (one,) = records(log)[0]["sample_sets"]
    assert {name: one[name] for name in ("temperature", "top_p", "top_k")} == {
        "temperature": 0.5,
        "top_p": 0.99,
        "top_k": 5,
    }
    found = written(score(log, output=tmp_path / "out", methods="eigenscore"))
    for record, other in zip(found, direct, strict=True):
        assert record["uncertainty"]["eigenscore"] == pytest.approx(other["uncertainty"]["eigenscore"], abs=1e-4)
    with pytest.raises(
        UQHarnessError,
        match=r"mutual_information cannot be .*save_samples=mutual_information draws and keeps",
    ):
        score(log, methods="mutual_information")


def test_scores_of_an_engine_without_log_probabilities(
    first_phase: Path, direct: list[dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The texts alone, as a chat endpoint gives them, with their tokens."""

    def texts_only(record: dict[str, Any], *_: Any) -> None:
        for one in [record, *(sample for some in record["sample_sets"] for sample in some["samples"])]:
            del one["token_logprobs"]
        del record["token_entropies"]
        record["uncertainty"] = {}

    scored = score(changed(first_phase, tmp_path, texts_only), output=tmp_path / "out")
    assert_same_scores(written(scored), direct)
    for record, other in zip(written(scored), direct, strict=True):
        assert record["token_logprobs"] == pytest.approx(other["token_logprobs"], rel=1e-4, abs=1e-6)
    assert "no log-probabilities are recorded" in caplog.text
    assert scored.agreement == Agreement()


@requires_shared
def test_two_phases_of_a_trained_model_and_stop_strings(tmp_path: Path) -> None:
    """With stop strings, and with answers that the limit cuts or that have no token."""
    assert SHARED is not None
    model = str(SHARED / "models" / "qa-small")
    metadata = {
        "data_files": {"uq_sciq": str(SHARED / "data" / "sciq" / "questions.jsonl")},
        "correctness": "exact_match",
    }
    further = ["--metadata", json.dumps(metadata), "--gen_kwargs", '{"until": ["e", "a"], "max_gen_toks": 3}']
    log = log_of(tmp_path / "log", model, "methods=sampling+g_nll,save_samples=true", "uq_sciq", *further)
    expected = records(log_of(tmp_path / "direct", model, "methods=all", "uq_sciq", *further))
    assert any("emitted_ids" in one for one in records(log))
    assert any(not one["complete"] for one in records(log))

    scored = score(changed(log, tmp_path, as_of_an_engine), model, output=tmp_path / "out")
    assert_same_scores(written(scored), expected)
    assert scored.agreement is not None
    assert scored.agreement.worst < 1e-5


def test_what_a_model_without_a_chat_template_cannot_be_asked_is_left_out(
    first_phase: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(MODEL_DIR, folder, ignore=shutil.ignore_patterns("chat_template*"))
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        scored = score(first_phase, str(folder), output=tmp_path / "out", limit=2)
    assert "leaves out verbalized_confidence (a chat template" in caplog.text
    for record in written(scored):
        assert record["uncertainty"]["p_true"] is not None
        assert record["uncertainty"].get("verbalized_confidence") is None
    with pytest.raises(UQHarnessError, match="verbalized_confidence cannot be computed: a chat template"):
        score(first_phase, str(folder), methods="verbalized_confidence", limit=2)


def test_the_reply_about_an_answer_is_that_of_a_direct_run(
    first_phase: Path, direct: list[dict[str, Any]], tmp_path: Path
) -> None:
    scored = score(first_phase, output=tmp_path, methods="verbalized_confidence")
    found = [record["confidence_reply"] for record in written(scored)]
    assert found == [record["confidence_reply"] for record in direct]
    assert len(set(found)) > 1


class TestRefusals:
    """Before long work: nothing but the first answers has gone through the model."""

    @pytest.fixture(autouse=True)
    def _no_long_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(second_pass.SecondPassReader, "_shard", lambda *_: pytest.fail("the long work has begun"))

    def test_answers_that_do_not_belong_to_their_questions(self, first_phase: Path, tmp_path: Path) -> None:
        def shuffle(record: dict[str, Any], number: int, all_: list[dict[str, Any]]) -> None:
            record["prompt_token_ids"] = all_[(number + 1) % len(all_)]["prompt_token_ids"]

        with pytest.raises(UQHarnessError, match="do not belong to their questions"):
            score(changed(first_phase, tmp_path, shuffle), methods="semgrad")

    def test_log_probabilities_of_another_temperature(self, first_phase: Path, tmp_path: Path) -> None:
        def heat(record: dict[str, Any], *_: Any) -> None:
            record["token_logprobs"] = [value - 0.01 for value in record["token_logprobs"]]

        log = changed(first_phase, tmp_path, heat)
        with pytest.raises(UQHarnessError, match=r"0\.01 a token on average.* 0\.001 on average is allowed"):
            score(log, methods="semgrad")

    @requires_shared
    def test_another_model(self, first_phase: Path) -> None:
        assert SHARED is not None
        with pytest.raises(UQHarnessError, match=r"by \d.* a token on average|there is a token number"):
            score(first_phase, str(SHARED / "models" / "qa-small"), methods="semgrad")

    def test_another_tokenizer(self, first_phase: Path, tmp_path: Path) -> None:
        def other(record: dict[str, Any], *_: Any) -> None:
            record["answer"] = "quite another text"

        with pytest.raises(UQHarnessError, match="not the tokenizer of the model that answered"):
            score(changed(first_phase, tmp_path, other), methods="semgrad")

    def test_tokens_that_the_model_does_not_have(self, first_phase: Path, tmp_path: Path) -> None:
        def other(record: dict[str, Any], number: int, _: Any) -> None:
            if number == 3:
                record["prompt_token_ids"][2] = 10**6

        with pytest.raises(UQHarnessError, match="line 4: there is a token number 1000000"):
            score(changed(first_phase, tmp_path, other), methods="semgrad")

    def test_answers_longer_than_the_context(self, first_phase: Path, tmp_path: Path) -> None:
        def other(record: dict[str, Any], number: int, _: Any) -> None:
            if number == 3:
                record["prompt_token_ids"] *= 1000

        with pytest.raises(UQHarnessError, match=r"line 4: prompt and answer have .* the context"):
            score(changed(first_phase, tmp_path, other), methods="semgrad")

    def test_a_log_without_tokens(self, first_phase: Path, tmp_path: Path) -> None:
        def old(record: dict[str, Any], *_: Any) -> None:
            for name in ("prompt_token_ids", "message", "sample_sets"):
                del record[name]

        log = changed(first_phase, tmp_path, old)
        with pytest.raises(UQHarnessError, match="semgrad cannot be computed: the file lacks the tokens of prompt"):
            score(log, methods="semgrad")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("nli_model=lexical", "nli_model, which belongs in --method_args"),
            ("semgrad_norm=l2", "semgrad_norm, which belongs in --method_args"),
            ("methods=all", "sets methods, which this command decides on itself"),
            ("sp_token=-1", "sets sp_token, which this command decides on itself"),
            ("dtype=float31", "dtype='float31' is not allowed"),
        ],
    )
    def test_arguments_that_belong_elsewhere(self, first_phase: Path, arguments: str, message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            score(first_phase, model_args=arguments, methods="semgrad")


def test_a_known_difference_may_be_allowed_and_is_recorded(first_phase: Path, tmp_path: Path) -> None:
    def heat(record: dict[str, Any], *_: Any) -> None:
        record["token_logprobs"] = [value - 0.01 for value in record["token_logprobs"]]

    scored = score(changed(first_phase, tmp_path, heat), methods="exgrad", bound=0.02)
    said = scored.results["config"]["second_pass"]["logprob_difference"]
    assert said["allowed_mean"] == 0.02
    assert said["mean"] == pytest.approx(0.01, rel=1e-2)


def test_a_difference_that_begins_late_ends_the_work_and_keeps_what_is_done(
    first_phase: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_pass, "FIRST", 4)

    def late(record: dict[str, Any], number: int, _: Any) -> None:
        if number >= 4:
            record["token_logprobs"] = [value - 1 for value in record["token_logprobs"]]

    log = changed(first_phase, tmp_path, late)
    with pytest.raises(UQHarnessError, match="the model does not give"):
        score(log, methods="exgrad", output=tmp_path / "out")
    (store,) = (tmp_path / "out").glob(f"{PREFIX}*")
    assert len(list(store.glob("rank0.sqlite"))) == 1
    assert not list((tmp_path / "out").rglob("results_*"))


def test_work_that_stopped_goes_on(first_phase: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    """What was kept is not read again, and is gone when the results are there."""
    whole = written(score(first_phase, methods="semgrad", output=tmp_path / "whole"))
    put, kept = SecondPassStore.put, []

    def stop(self: SecondPassStore, key: str, *rest: Any) -> None:
        if len(kept) == 9:
            raise KeyboardInterrupt
        kept.append(key)
        put(self, key, *rest)

    monkeypatch.setattr(SecondPassStore, "put", stop)
    with pytest.raises(KeyboardInterrupt):
        score(first_phase, methods="semgrad", output=tmp_path / "out")
    read: list[str] = []
    monkeypatch.setattr(SecondPassStore, "put", lambda self, key, *rest: (read.append(key), put(self, key, *rest)))
    with caplog.at_level(logging.WARNING):
        found = written(score(first_phase, methods="semgrad", output=tmp_path / "out"))
    assert "going on; 9 answers were read before" in caplog.text
    assert set(read).isdisjoint(kept)
    assert len(read) == LIMIT - 9
    assert not list((tmp_path / "out").glob(f"{PREFIX}*"))
    for one, other in zip(found, whole, strict=True):
        assert one["uncertainty"] == pytest.approx(other["uncertainty"], rel=1e-5)


def test_other_options_do_not_take_what_was_kept(first_phase: Path, tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(SecondPassStore, "remove", SecondPassStore.close)
    score(first_phase, methods="semgrad", output=tmp_path, limit=3)
    other = score(first_phase, methods="semgrad", output=tmp_path, limit=3, arguments={"semgrad_layers": "all"})
    assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 2
    assert "is left from a second pass of another model, type or methods" in caplog.text
    assert "going on" not in caplog.text
    assert other.methods[0].computed == 3


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    store = SecondPassStore(tmp_path, {"model": "demo"})
    store.put("a", {"scores": {"x": 0.1 + 0.2}}, 0)
    store.close()
    assert SecondPassStore(tmp_path, {"model": "demo"}).earlier() == {"a": {"scores": {"x": 0.1 + 0.2}}}
    (store.folder / "rank1.sqlite").write_bytes(b"rubbish" * 100)
    with pytest.raises(UQHarnessError, match=r"rank1\.sqlite.* delete it"):
        SecondPassStore(tmp_path, {"model": "demo"}).earlier()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("eigenscor", "save_samples='eigenscor': unknown method 'eigenscor': did you mean eigenscore"),
        ("semgrad", "semgrad draws no samples"),
        (3, "save_samples=3 is not allowed"),
        ("", "save_samples='' is not allowed"),
    ],
)
def test_wrong_values_of_save_samples(value: Any, message: str) -> None:
    from uq_harness.models import UQHFLM

    with pytest.raises(UQHarnessError, match=message):
        UQHFLM("demo", methods="g_nll", save_samples=value, device="cpu")


def test_differences_of_what_is_unknown_do_not_count() -> None:
    found = Agreement.between(np.array([-1.0, np.nan, -2.0]), np.array([-1.5, -1.0, np.nan]), "line 7")
    assert (found.tokens, found.mean, found.unknown) == (1, 0.5, 1)
    assert Agreement.between(None, np.array([-1.0]), "line 1") == Agreement()
    with pytest.raises(UQHarnessError, match="it gives NaN"):
        Agreement.between(np.array([-1.0]), np.array([np.nan]), "").check(Bounds(1.0, exact=False), "the answers")


def test_one_token_without_a_number_is_enough_in_float32() -> None:
    right = Agreement.between(np.full(99, -1.0), np.full(99, -1.0), "line 1")
    found = Agreement.over([right, Agreement.between(np.array([-1.0]), np.array([np.nan]), "line 2")])
    found.check(Bounds.of(torch.bfloat16), "the answers")
    with pytest.raises(UQHarnessError, match="in 1 tokens, for which it gives NaN, first in line 2"):
        found.check(Bounds.of(torch.float32), "the answers")


def test_one_answer_of_another_question_among_many_is_named(first_phase: Path, tmp_path: Path) -> None:
    """Even where the mean over all answers is small enough."""

    def one(record: dict[str, Any], number: int, _: Any) -> None:
        if number == 7:
            record["token_logprobs"] = [value - 0.5 for value in record["token_logprobs"]]

    right = Agreement.between(np.full(99, -1.0), np.full(99, -1.0), "line 1")
    other = Agreement.between(np.array([-1.0]), np.array([-1.05]), "line 2")
    with pytest.raises(UQHarnessError, match=r"in line 2 by 0\.05 a token on average; 0\.02 is allowed in one answer"):
        Agreement.over([right, other]).check(Bounds.of(torch.float32), "the answers")
    with pytest.raises(UQHarnessError, match=r"0\.5 at most, and farthest in .*line 8; 0\.001 on average is allowed"):
        score(changed(first_phase, tmp_path, one), methods="exgrad")


def test_scores_that_the_engine_could_not_give_are_computed(
    first_phase: Path, direct: list[dict[str, Any]], tmp_path: Path
) -> None:
    def imprecise(record: dict[str, Any], number: int, _: Any) -> None:
        if number == 1:
            record["uncertainty"] |= {"semantic_density": None, "mutual_information": None}

    def worse(record: dict[str, Any], number: int, _: Any) -> None:
        imprecise(record, number, _)
        if number == 1:
            record["sample_sets"] = []

    for change in (imprecise, worse):
        log = changed(first_phase, tmp_path, change)
        scored = score(log, output=tmp_path / change.__name__, methods="semantic_density+mutual_information")
        found, before = written(scored), records(first_phase)
        for name in ("semantic_density", "mutual_information"):
            if change is imprecise:
                assert found[1]["uncertainty"][name] == pytest.approx(direct[1]["uncertainty"][name], rel=1e-4)
            else:
                assert found[1]["uncertainty"][name] is None
            assert found[2]["uncertainty"][name] == before[2]["uncertainty"][name]


def test_refused_questions_are_neither_read_nor_judged(first_phase: Path, tmp_path: Path) -> None:
    def refuse(record: dict[str, Any], number: int, _: Any) -> None:
        if number == 0:
            kept = {name: record[name] for name in ("prompt_token_ids", "message", "semantic_token")}
            scores = dict.fromkeys(record["uncertainty"])
            record.clear()
            record |= {**kept, "uncertainty": scores, "answer": "", "refused": "too long", "cost": {}}

    scored = score(changed(first_phase, tmp_path, refuse), output=tmp_path / "out", methods="exgrad")
    found = written(scored)
    assert found[0]["refused"] == "too long"
    assert (found[0]["correct"], found[0]["uncertainty"]["exgrad"]) == (None, None)
    assert all(one["uncertainty"]["exgrad"] is not None for one in found[1:])
    metrics = scored.results["results"]["uq_demo"]
    assert metrics["refused_questions,exact_match"] == 1
    assert metrics["accuracy,exact_match"] == pytest.approx(sum(one["correct"] for one in found[1:]) / (LIMIT - 1))


def test_what_has_been_computed_is_not_said_to_be_left_out(first_phase: Path) -> None:
    saved = read_saved(first_phase)
    noted = {"config": {"uncertainty": {"left_out": {"semgrad": "gradients", "exgrad": "gradients"}}}}
    reads = SecondPassOptions("demo", FLOAT32)
    how = {"methods": "exgrad", "correctness": "exact_match", "arguments": LEXICAL, "limit": 2}
    scored = score_file(replace(saved, configuration=noted), reads=reads, **how)
    assert scored.results["config"]["uncertainty"]["left_out"] == {"semgrad": "gradients"}


def test_two_second_passes_do_not_share_what_is_kept(first_phase: Path, tmp_path: Path) -> None:
    work = {"methods": "exgrad", "output": tmp_path / "out", "limit": 2}
    kept: list[SecondPassStore] = []

    def at_work(self: SecondPassStore) -> None:
        kept.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SecondPassStore, "release", at_work)
        patch.setattr(SecondPassStore, "remove", SecondPassStore.close)
        score(first_phase, **work)
    with pytest.raises(UQHarnessError, match="another second pass of the same model and methods is at work in"):
        score(first_phase, **work)
    assert kept[0].earlier()
    kept[0].release()
    score(first_phase, **work)
    assert not list((tmp_path / "out").glob(f"{PREFIX}*"))
