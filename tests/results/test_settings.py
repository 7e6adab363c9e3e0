"""What runs of one model are told apart by, in every reader."""

import csv
import json
import sys

import pytest

from tests.results.files import simulated, write_run
from uq_harness.cli import main
from uq_harness.results.load import load_runs
from uq_harness.results.settings import answer_settings, as_label, repeated_runs, telling_settings

METHODS = {"sar": 2.5}
# How one run differs from another, and how a label says so.
CHANGES = {
    "gen_kwargs": ({"settings": {"generation_kwargs": {"until": ["\n"]}}}, 'until=["\\n"]'),
    "gen_kwargs of the command line": ({"config": {"gen_kwargs": {"max_gen_toks": 50}}}, "max_gen_toks=50"),
    "system instruction": ({"system_instruction": "Be brief."}, "system_instruction=Be brief."),
    "chat template": ({"chat_template_sha": "9a6ac2cf411f"}, "chat_template=9a6ac2cf"),
    "shots": ({"n-shot": {"uq_sciq": 3}}, "num_fewshot=3"),
    "multiturn": ({"n-shot": {"uq_sciq": 3}, "fewshot_as_multiturn": True}, "fewshot_as_multiturn=true"),
    "description": ({"settings": {"description": "Facts."}}, "description=Facts."),
    "wording": ({"settings": {"doc_to_text": "{{question}}"}}, "doc_to_text={{question}}"),
    "task version": ({"version": 2.0}, "task_version=2.0"),
    "seed of sampling": ({"config": {"torch_seed": 7}}, "seed=7"),
    "dtype": ({"config": {"model_dtype": "torch.bfloat16"}}, "dtype=bfloat16"),
    "limit": ({"config": {"limit": 40.0}}, "limit=40"),
    "lm_eval's version": ({"lm_eval_version": "0.4.14"}, "lm_eval=0.4.14"),
    "model type": ({"config": {"model": "hf"}}, "model_type=hf"),
    "model argument": ({"config": {"model_args": {"pretrained": "a-model", "peft": "lora"}}}, "peft=lora"),
    "arguments in one line": ({"config": {"model_args": "pretrained=a-model,peft=lora"}}, "peft=lora"),
}
every_change = pytest.mark.parametrize("change", CHANGES)


def two_runs(folder, changed, lines=None):
    """A run, and a later one in which something is changed."""
    lines = lines or simulated(200, METHODS)
    write_run(folder, lines, date="2026-05-01T12-00-00", started=1.7e9)
    write_run(folder, lines, date="2026-05-02T12-00-00", started=1.8e9, **changed)
    return folder


def base_of(changed):
    """The base run's configuration where the change replaces all of it."""
    return {"model": "uq-hf", "model_args": {"pretrained": "a-model"}, **changed}


@pytest.fixture(params=CHANGES)
def changed(request):
    change, label = CHANGES[request.param]
    if "config" in change:
        change = {**change, "config": base_of(change["config"])}
    return change, label


def test_both_stay_and_the_label_says_what_differs(tmp_path, changed):
    change, label = changed
    runs = load_runs(two_runs(tmp_path, change))
    assert len(runs) == 2
    assert label in as_label(telling_settings(runs)[1])


def test_equal_runs_are_repeated_runs(tmp_path, caplog):
    assert len(load_runs(two_runs(tmp_path, {}))) == 1
    assert "was run 2 times: only the newest is read" in caplog.text


@pytest.mark.parametrize(
    "same",
    [
        {"config": base_of({"batch_size": 1, "device": "cpu", "use_cache": "c"})},
        {"config": base_of({"model_args": {"pretrained": "a-model", "methods": "sar", "nli_batch_size": 4}})},
        {"config": base_of({"fewshot_seed": 3})},
        {"n-shot": {"uq_sciq": 0}},
        {"transformers_version": "6", "git_hash": "abc", "fewshot_as_multiturn": True},
    ],
    ids=str,
)
def test_what_changes_no_answer_tells_nothing_apart(tmp_path, same):
    assert len(load_runs(two_runs(tmp_path, same))) == 1


def test_runs_whose_prompts_differ_are_never_the_same(tmp_path):
    lines, others = simulated(200, METHODS), simulated(200, METHODS)
    others[7]["prompt_hash"] = "another"
    write_run(tmp_path, lines, date="2026-05-01T12-00-00")
    write_run(tmp_path, others, date="2026-05-02T12-00-00")
    runs = load_runs(tmp_path)
    assert len(runs) == 2
    told = telling_settings(runs)
    assert [set(one) for one in told] == [{"prompts"}, {"prompts"}]
    assert told[0] != told[1]


def test_files_without_prompt_hashes_and_other_questions_tell_nothing_of_prompts(tmp_path):
    lines = simulated(200, METHODS)
    write_run(tmp_path, lines[:150], date="2026-05-01T12-00-00")
    for line in lines:
        del line["prompt_hash"]
    write_run(tmp_path, lines[100:], date="2026-05-02T12-00-00")
    assert len(repeated_runs(load_runs(tmp_path, repeated=True))) == 1


def test_long_texts_are_told_apart_by_a_hash(tmp_path):
    for day, end in enumerate(("yes", "no"), 1):
        text = "Answer the question in as few words as you can, and say " + end
        write_run(tmp_path, simulated(20, METHODS), date=f"2026-05-0{day}T12-00-00", system_instruction=text)
    found = [answer_settings(run)["system_instruction"] for run in load_runs(tmp_path)]
    assert len(set(found)) == 2
    assert all(len(text) < 45 and text.startswith("Answer the question in") for text in found)


class TestReaders:
    @pytest.fixture
    def call(self, monkeypatch, capsys):
        def call(*words, status=0):
            monkeypatch.setattr(sys, "argv", ["uq-harness", *map(str, words)])
            with pytest.raises(SystemExit) as end:
                main()
            said = "".join(capsys.readouterr())
            assert (end.value.code or 0) == status, said
            return said

        return call

    @pytest.fixture
    def folder(self, tmp_path):
        return two_runs(tmp_path / "runs", {"n-shot": {"uq_sciq": 3}, "system_instruction": "Be brief."})

    def test_the_report_has_a_column_for_each(self, call, folder, tmp_path):
        call("report", folder, "--output", tmp_path / "out", "--no-plots")
        with (tmp_path / "out" / "report.csv").open(encoding="utf-8") as table:
            models = {row["model"] for row in csv.DictReader(table)}
        assert models == {"a-model", "a-model (num_fewshot=3, system_instruction=Be brief.)"}
        assert "earlier runs" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")

    def test_the_leaderboard_says_what_differs(self, call, folder, tmp_path):
        call("leaderboard", folder, "--output", tmp_path / "out")
        with (tmp_path / "out" / "leaderboard.csv").open(encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
        assert {(row["model"], row["settings"]) for row in rows} == {
            ("a-model", ""),
            ("a-model", "num_fewshot=3, system_instruction=Be brief."),
        }
        page = (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")
        assert "<option>a-model (num_fewshot=3, system_instruction=Be brief.)</option>" in page

    def test_threshold_takes_none_by_itself_and_says_how_to_choose(self, call, folder, tmp_path):
        said = call("threshold", folder, "--target", "0.3", status=2)
        assert "a-model on uq_sciq (exact_match) was run with several settings" in said
        assert "num_fewshot=3, system_instruction=Be brief." in said
        chosen = max(folder.rglob("results_*.json"))
        assert str(chosen) in said
        written = json.loads(call("threshold", chosen, "--target", "0.3", "--json"))
        assert written["source"]["settings"]["num_fewshot"] == "3"
