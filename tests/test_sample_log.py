"""The files of a run as other programs read them: strict JSON, and sample logs without repetition."""

import json
import math
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from datasets import load_dataset
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from uq_harness.demo import QUESTIONS
from uq_harness.evaluation.plugin import register_models, tasks_folder
from uq_harness.methods import all_methods
from uq_harness.methods.g_nll import GNLL

register_models()
LIMIT = 8
MEASURES = ("auroc", "aurc", "prr")


def run(
    folder: Path, methods: str = "default", metadata: dict | None = None, models: dict | None = None, **kwargs: Any
) -> dict:
    """A run that writes its files as lm_eval's command line does."""
    arguments = {"pretrained": "demo", "methods": methods, **(models or {})}
    tracker = EvaluationTracker(output_path=str(folder))
    found = lm_eval.simple_evaluate(
        model="uq-hf",
        model_args=arguments,
        tasks=kwargs.pop("tasks", ["uq_demo"]),
        device="cpu",
        batch_size=8,
        apply_chat_template=True,
        evaluation_tracker=tracker,
        task_manager=TaskManager(
            metadata={**arguments, **(metadata or {})}, include_path=tasks_folder(), include_defaults=False
        ),
        limit=LIMIT,
        **kwargs,
    )
    samples = found.pop("samples")
    tracker.save_results_aggregated(results=found, samples=samples)
    for task in samples:
        tracker.save_results_samples(task_name=task, samples=samples[task])
    return found


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def with_an_undefined_score(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in whose middle a score is undefined."""
    folder = tmp_path_factory.mktemp("undefined")
    score, calls = GNLL.score, []

    def undefined_once(self: GNLL, evidence: Any) -> float:
        calls.append(evidence)
        return math.nan if len(calls) == LIMIT // 2 else score(self, evidence)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GNLL, "score", undefined_once)
        run(folder)
    return next(folder.rglob("samples_uq_demo_*.jsonl"))


def test_datasets_loads_a_log_with_an_undefined_score(with_an_undefined_score: Path) -> None:
    loaded = load_dataset(
        "json", data_files=str(with_an_undefined_score), split="train", cache_dir=str(with_an_undefined_score.parent)
    )
    scores = [doc["uq"]["uncertainty"]["g_nll"] for doc in loaded["doc"]]
    assert scores.count(None) == 1
    assert all(isinstance(score, float) for score in scores if score is not None)


def test_pandas_loads_a_log_with_an_undefined_score(with_an_undefined_score: Path) -> None:
    import pandas

    frame = pandas.read_json(with_an_undefined_score, lines=True)
    assert len(frame) == LIMIT
    assert set(frame["accuracy"]) <= {0.0, 1.0}
    scores = [doc["uq"]["uncertainty"]["g_nll"] for doc in frame["doc"]]
    assert sum(score is None for score in scores) == 1


def test_a_log_is_hardly_larger_than_its_records(tmp_path: Path) -> None:
    """Beside them stand question, references, prompt, answer and three hashes, which are lm_eval's own."""
    run(tmp_path, methods="all", models={"nli_model": "lexical", "similarity_model": "lexical"})
    file = next(tmp_path.rglob("samples_*.jsonl"))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    records = [json.dumps(line["doc"]["uq"], ensure_ascii=False).encode() for line in lines]
    assert file.stat().st_size <= 1.3 * sum(map(len, records))


def test_no_score_stands_outside_the_record(tmp_path: Path) -> None:
    run(tmp_path, methods="sampling_free")
    for line in next(tmp_path.rglob("samples_*.jsonl")).read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        assert sample["metrics"] == ["accuracy", "exact_match"]
        scores = [str(score) for score in sample.pop("doc")["uq"]["uncertainty"].values() if len(str(score)) > 5]
        assert scores
        assert not any(score in json.dumps(sample) for score in scores)


def test_what_the_log_leaves_out_stands_in_the_results(tmp_path: Path) -> None:
    found = run(tmp_path, methods="sampling_free")["results"]["uq_demo"]
    methods = [name for name, method in all_methods().items() if "sampling_free" in method.sets]
    for name in (f"{measure}_{method}" for measure in MEASURES for method in methods):
        assert isinstance(found[f"{name},exact_match"], float), name
        assert isinstance(found[f"{name}_stderr,exact_match"], float), name
    assert isinstance(found["accuracy_stderr,exact_match"], float)
    for count in ("undefined_scores", "undefined_verdicts", "truncated_answers"):
        assert found[f"{count},exact_match"] == 0


@pytest.mark.parametrize("tasks", [["uq_demo"], ["uq_bench"]])
def test_an_undefined_result_is_json(tasks: list[str], tmp_path: Path) -> None:
    """All answers are wrong, so no AUROC is defined, nor is the group's mean of them."""
    rows = [json.loads(line) for line in Path(QUESTIONS).read_text(encoding="utf-8").splitlines()][:LIMIT]
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(json.dumps({**row, "answers": ["no such answer"]}) for row in rows), encoding="utf-8")
    run(
        tmp_path / "out",
        "g_nll",
        {"data_files": str(file), "correctness": "exact_match"},
        tasks=tasks,
    )
    content = strict(next(tmp_path.rglob("results_*.json")).read_text(encoding="utf-8"))
    for numbers in content["results"].values():
        assert numbers["auroc_g_nll,exact_match"] == "N/A"
        assert numbers["auroc_g_nll_stderr,exact_match"] == "N/A"
        assert numbers["accuracy,exact_match"] == 0
    for log in tmp_path.rglob("samples_*.jsonl"):
        for line in log.read_text(encoding="utf-8").splitlines():
            strict(line)


@pytest.fixture(scope="module")
def results() -> dict:
    arguments = {"pretrained": "demo", "methods": "g_nll"}
    return lm_eval.simple_evaluate(
        model="uq-hf",
        model_args=arguments,
        tasks=["uq_demo"],
        device="cpu",
        batch_size=8,
        apply_chat_template=True,
        task_manager=TaskManager(metadata=arguments, include_path=tasks_folder(), include_defaults=False),
        limit=LIMIT,
    )


class TestLoggersOfLmEval:
    """What `--wandb_args` and `--trackio_args` do with a run, without a network."""

    def test_wandb(self, results: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("wandb", reason="needs wandb, which the extra dev brings")
        from lm_eval.loggers import WandbLogger

        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_DIR", str(tmp_path))
        monkeypatch.setenv("WANDB_SILENT", "true")
        logger = WandbLogger({"project": "uncertainty"})
        self.log(logger, results)
        assert logger.run.summary["uq_demo/auroc_g_nll,exact_match"] == pytest.approx(
            results["results"]["uq_demo"]["auroc_g_nll,exact_match"]
        )
        assert "uq_demo_eval_results" in logger.run.summary.keys()  # noqa: SIM118  # no mapping
        logger.run.finish()

    def test_trackio(self, results: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
        pytest.importorskip("trackio", reason="needs trackio, which the extra dev brings")
        from lm_eval.loggers import TrackioLogger

        logger = TrackioLogger({"project": "uncertainty"})
        self.log(logger, results)
        logger.finish()
        assert list(tmp_path.rglob("uncertainty.*"))

    def test_hub_up_to_the_upload(self, results: dict, tmp_path: Path) -> None:
        """lm_eval's tracker gets a Hub that notes what would be uploaded."""
        uploads: dict[str, str] = {}

        class Hub:
            def create_repo(self, **kwargs: Any) -> None:
                assert kwargs["repo_type"] == "dataset"

            def upload_file(self, **kwargs: Any) -> None:
                uploads[kwargs["repo_id"]] = Path(kwargs["path_or_fileobj"]).read_text(encoding="utf-8")

            def upload_folder(self, **kwargs: Any) -> None:
                (file,) = Path(kwargs["folder_path"]).glob("samples_uq_demo_*.jsonl")
                uploads[f"{kwargs['repo_id']}, samples"] = file.read_text(encoding="utf-8")

        tracker = EvaluationTracker(
            output_path=str(tmp_path),
            hub_results_org="lab",
            push_results_to_hub=True,
            push_samples_to_hub=True,
            token="hf_never_written",
        )
        tracker.api = Hub()
        found = {name: value for name, value in results.items() if name != "samples"}
        tracker.general_config_tracker.log_experiment_args("uq-hf", {"pretrained": "demo"}, None, None, False)
        tracker.save_results_aggregated(results=found, samples=results["samples"])
        tracker.save_results_samples(task_name="uq_demo", samples=[dict(one) for one in results["samples"]["uq_demo"]])
        assert list(uploads) == ["lab/lm-eval-results-private", "lab/lm-eval-results-private, samples"]
        content, lines = uploads.values()
        assert "auroc_g_nll,exact_match" in strict(content)["results"]["uq_demo"]
        assert len([strict(line) for line in lines.splitlines()]) == LIMIT
        assert "hf_never_written" not in content + lines

    def test_the_files_have_what_lm_evals_script_for_zeno_reads(self, tmp_path: Path) -> None:
        run(tmp_path, "g_nll")
        (file,) = tmp_path.rglob("results_*.json")
        (log,) = tmp_path.rglob("samples_uq_demo_*.jsonl")
        config = strict(file.read_text(encoding="utf-8"))["configs"]["uq_demo"]
        samples = [strict(line) for line in log.read_text(encoding="utf-8").splitlines()]
        means = [one["metric"] for one in config["metric_list"] if one.get("aggregation") == "mean"]
        assert means == ["accuracy"]
        assert config["output_type"] == "generate_until"
        for sample in samples:
            assert sample["accuracy"] in (0, 1)
            assert sample["filter"] in [chain["name"] for chain in config["filter_list"]]
            assert isinstance(sample["arguments"]["gen_args_0"]["arg_0"], str)
            assert isinstance(sample["filtered_resps"][0], str)
            assert sample["target"]

    @staticmethod
    def log(logger: Any, results: dict) -> None:
        """As lm_eval's command line does."""
        found = {name: value for name, value in results.items() if name != "samples"}
        logger.post_init(found)
        logger.log_eval_result()
        logger.log_eval_samples(results["samples"])
