"""How lm_eval's command line ends in a run of this package, and that what was found is kept."""

import json
import resource
import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lm_eval._cli.harness import HarnessCLI
from lm_eval.loggers import EvaluationTracker

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation import plugin
from uq_harness.evaluation.command import begin, try_output

plugin.guard_command()
plugin.guard_tracker()
SAMPLES = [
    {
        "doc_id": number,
        "doc": {"question": "Who?", "uq": {}},
        "arguments": [("Who?", {})],
        "resps": [["Ann"]],
        "filtered_resps": ["Ann"],
        "target": ["Ann"],
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
    }
    for number in range(40)
]


def execute(run: Callable[[Namespace], None], **arguments: object) -> int:
    """The status that lm_eval's command line ends with."""
    cli = HarnessCLI()
    try:
        cli.execute(Namespace(func=run, **arguments))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def save(output: Path, before: Callable[[Path], None] = lambda folder: None) -> EvaluationTracker:
    """Saves as lm_eval's command line does at the end of a run."""
    tracker = EvaluationTracker(output_path=str(output))
    tracker.general_config_tracker.log_experiment_args("uq-hf", {"pretrained": "demo"}, None, None, False)
    try_output(len(SAMPLES))
    before(output / "demo")
    tracker.save_results_aggregated(results={"results": {}, "configs": {}}, samples={"uq_demo": SAMPLES})
    tracker.save_results_samples(task_name="uq_demo", samples=SAMPLES)
    return tracker


def fails(_: Namespace) -> None:
    raise UQHarnessError("this is\x1b[31m not allowed")


def test_a_refusal_is_a_sentence_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(fails) == 2
    assert capsys.readouterr().err == "uq-harness: this is⟨U+001B⟩[31m not allowed\n"


def test_other_errors_stay_lm_evals() -> None:
    def breaks(_: Namespace) -> None:
        raise ValueError("another")

    with pytest.raises(ValueError, match="another"):
        execute(breaks)


def test_an_interrupt_of_another_run_stays_pythons() -> None:
    def interrupted(_: Namespace) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(interrupted)


@pytest.mark.parametrize(
    ("use_cache", "message"), [(None, "are lost.*with --use_cache PATH"), ("c", "are kept in --use_cache c")]
)
def test_an_interrupted_run_says_how_to_go_on(
    use_cache: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    def interrupted(_: Namespace) -> None:
        begin()
        raise KeyboardInterrupt

    assert execute(interrupted, use_cache=use_cache) == 130
    assert re.search(message, capsys.readouterr().err)


def test_an_output_folder_is_tried_before_the_first_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert execute(lambda _: save(tmp_path / "file" / "out") and None) == 2
    assert "results cannot be written there (Not a directory): name another folder" in capsys.readouterr().err


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_want_of_room_is_found_before_the_first_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Namespace) -> None:
        with files_of_at_most(4096):
            save(tmp_path, before=lambda _: pytest.fail("the run went on"))

    assert execute(run) == 2
    assert "(File too large)" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json*"))


def test_a_whole_run_ends_well(tmp_path: Path) -> None:
    assert execute(lambda _: save(tmp_path) and None) == 0
    (file,) = tmp_path.rglob("samples_*.jsonl")
    assert [json.loads(line)["doc_id"] for line in file.read_text().splitlines()] == list(range(40))
    assert len(list(tmp_path.rglob("results_*.json"))) == 1


def test_what_cannot_be_written_is_kept_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def take_away(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.write_text("in the way")

    assert execute(lambda _: save(tmp_path, before=take_away) and None) == 2
    told = capsys.readouterr().err
    kept = [Path(part.split("; ")[0].strip()) for part in told.split("what belongs in it is in ")[1:]]
    assert [path.name.partition("_")[0] for path in kept] == ["results", "samples"]
    assert len(kept[1].read_text().splitlines()) == 40
    for path in kept:
        shutil.rmtree(path.parents[1])


def test_a_torn_file_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Namespace) -> None:
        tracker = EvaluationTracker(output_path=str(tmp_path))
        tracker.general_config_tracker.log_experiment_args("uq-hf", {"pretrained": "demo"}, None, None, False)
        begin()
        tracker.save_results_aggregated(results={"results": {}, "configs": {}}, samples={"uq_demo": SAMPLES})
        with files_of_at_most(3000):
            tracker.save_results_samples(task_name="uq_demo", samples=SAMPLES)

    assert execute(run) == 2
    assert "samples_uq_demo" in (told := capsys.readouterr().err)
    assert "could not be written whole, nor could a copy in" in told


def test_runs_of_other_packages_are_left_alone(tmp_path: Path) -> None:
    def run(_: Namespace) -> None:
        tracker = EvaluationTracker(output_path=str(tmp_path / "file" / "out"))
        tracker.save_results_aggregated(results={"results": {}, "configs": {}}, samples={})

    (tmp_path / "file").write_text("in the way")
    assert execute(run) == 0
