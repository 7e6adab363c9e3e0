"""Help: groups, spellings, and an example of each command that works as it stands."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.parsing import command_line
from tests.docs.terminal import Terminal
from tests.endpoints.servers import says, serving
from tests.report.runs import made_up, write_run
from tests.studies.sps.data import demo_rows, write_rows
from uq_harness.cli import main
from uq_harness.cli.app import DECIDE, LOOK_UP, RUN, STUDY
from uq_harness.cli.run import EXAMPLE, run_help

COMMANDS = command_line().commands


def _answers(folder: Path) -> None:
    line = {
        "question": "Who wrote Emma?",
        "answers": ["Jane Austen"],
        "answer": "Jane Austen",
        "token_logprobs": [-0.1],
    }
    (folder / "answers.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")


def _runs(*names: str) -> Callable[[Path], object]:
    return lambda folder: [write_run(folder / name, *made_up(300, accuracy=0.9)) for name in names]


# What an example reads that a user has from elsewhere.
BEFORE: dict[str, Callable[[Path], object]] = {
    "compare": _runs("baseline", "candidate"),
    "leaderboard": _runs("out"),
    "report": _runs("out"),
    "score": _answers,
    "sps": lambda folder: write_rows(folder / "paraphrases.jsonl", demo_rows(4)),
    "threshold": _runs("results"),
}


def example_of(name: str) -> str:
    """The example at the end of a command's help."""
    if name == "run":
        return EXAMPLE
    return str(COMMANDS[name].epilog).removeprefix("Example: ").replace("\\[", "[")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "paraphrase"])
def test_the_example_of_each_command_works(name: str, tmp_path: Path) -> None:
    BEFORE.get(name, lambda _: None)(tmp_path)
    terminal = Terminal(tmp_path)
    assert terminal.run(example_of(name))
    assert terminal.ran


def test_the_example_of_paraphrase_works_with_a_server(tmp_path: Path, monkeypatch, capsys) -> None:
    example = example_of("paraphrase")
    with serving(lambda message, number: says("\n".join(f"{i}. Wording {number} {i}?" for i in range(1, 6)))) as server:
        words = example.replace("http://localhost:8000/v1", server.url).replace("MODEL", "m").split()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code in (None, 0), capsys.readouterr().err
    assert len((tmp_path / "paraphrases.jsonl").read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_the_example_and_is_in_a_group(name: str, monkeypatch, capsys) -> None:
    assert COMMANDS[name].rich_help_panel in (RUN, DECIDE, STUDY, LOOK_UP)
    monkeypatch.setattr(sys, "argv", ["uq-harness", name, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (None, 0)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.endswith(" ".join(example_of(name).split()))
    assert not re.search(r"<(str|bool|int|float|path|list)|\{\w+\.\.\.\}", shown) or name == "run"


def test_groups_are_in_order(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["uq-harness", "--help"])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    places = [shown.index(group) for group in (RUN, DECIDE, STUDY, LOOK_UP)]
    assert places == sorted(places)


class TestSpelling:
    def test_options_have_underscores_and_hyphens_are_accepted(self, monkeypatch, capsys) -> None:
        for name, command in COMMANDS.items():
            options = [word for one in command.params for word in (*one.opts, *one.secondary_opts)]
            assert not [word for word in options if "-" in word[2:]], name
        for option in ("--batch_size", "--batch-size"):
            monkeypatch.setattr(sys, "argv", ["uq-harness", "bench", option, "0"])
            with pytest.raises(SystemExit) as end:
                main()
            assert end.value.code == 2
            assert "--batch_size" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("command", "given", "has"),
        [
            ("threshold", "--method", "--methods"),
            ("threshold", "--task", "--tasks"),
            ("paraphrase", "--task", "--tasks"),
            ("ablate", "--no-figures", "--no_plots"),
            ("report", "--no-figures", "--no_plots"),
            ("ablate", "--output_path", "--output"),
            ("sps", "--no-chat-template", "--no_chat_template"),
            ("score", "--first-sample-answers", "--first_sample_answers"),
        ],
    )
    def test_older_names_mean_the_same(self, command: str, given: str, has: str) -> None:
        normalise = COMMANDS[command].context_settings["token_normalize_func"]
        assert f"--{normalise(given[2:])}" == has
        assert has in {word for one in COMMANDS[command].params for word in (*one.opts, *one.secondary_opts)}

    def test_run_hands_lm_eval_its_own_spelling(self, monkeypatch, capsys) -> None:
        words = ["--model", "uq-hf", "--model-args", "pretrained=demo,methods=semgard", "--tasks", "uq_demo"]
        monkeypatch.setattr(sys, "argv", ["uq-harness", "run", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        assert "did you mean semgrad" in capsys.readouterr().err


def test_help_of_run_tells_the_models_and_their_arguments() -> None:
    text = run_help()
    assert "--apply_chat_template" in text
    for name in ("uq-hf", "uq-vllm", "uq-api", "pretrained", "methods", "sp_token", "batch_invariant"):
        assert name in text
    assert "(default: auto)" in text
    assert "usage: uq-harness run" in text


@pytest.mark.parametrize("word", ["ls", "validate"])
def test_commands_of_lm_eval_are_named(word: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["uq-harness", word])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert f"use `lm_eval {word} " in capsys.readouterr().err


def test_a_shell_completes_commands_and_options() -> None:
    def complete(words: str) -> set[str]:
        environment = {
            **os.environ,
            "_UQ_HARNESS_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        code = "import sys; sys.argv = ['uq-harness']; from uq_harness.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
        return set(done.stdout.decode().split())

    assert complete("uq-harness thr") == {"threshold"}
    assert {"--model", "--model_args"} <= complete("uq-harness bench --mod")


def test_demo_as_json(tmp_path: Path) -> None:
    told = json.loads(Terminal(tmp_path).run("uq-harness demo --methods g_nll --output out --json 2> noise"))
    assert (tmp_path / told["report"]).is_file()
    assert (tmp_path / told["samples"]).is_file()
    risks = told["error_rates"]["g_nll"]
    assert list(risks) == ["25%", "50%", "75%", "100%"]
    assert 0 <= risks["25%"] < risks["100%"] < 1


def test_one_method_is_shown_whole(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["uq-harness", "methods", "semgrad"])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    for text in ("arXiv 2605.04638", "StateGradient", "semgrad_norm", "top_half", "docs/methods/semgrad.md", "∂ℓ_H"):
        assert text in shown
    monkeypatch.setattr(sys, "argv", ["uq-harness", "methods", "semgard"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "did you mean semgrad" in capsys.readouterr().err
