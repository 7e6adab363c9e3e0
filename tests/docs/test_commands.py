"""Every command of README and docs: run where it can run offline, else read as the program would read it."""

import re
import shlex
from collections.abc import Callable

import pytest

from tests.docs.blocks import ROOT, blocks, pages, prose_of, text_of
from tests.docs.conftest import Reading
from tests.docs.parsing import check, command_line, lm_eval_options, options_of, spelt

WITH_COMMANDS = [page for page in pages() if blocks(page, "bash")]
INLINE = [
    (page, " ".join(found[1].split()))
    for page in pages()
    for found in re.finditer(r"`((?:uq-harness|lm_eval) [^`]*)`", prose_of(page))
]


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_a_pages_commands_run_one_after_another(page: str, read: Callable[[str], Reading]) -> None:
    terminal = read(page).terminal
    assert terminal.ran or terminal.read


@pytest.mark.parametrize(("page", "command"), INLINE)
def test_commands_in_the_text_exist_with_their_options(page: str, command: str) -> None:
    program, *words = shlex.split(command)
    options = {word for word in words if word.startswith("-")}
    if program == "lm_eval":
        assert options <= lm_eval_options()
    elif words[0].startswith("-"):
        assert options <= {name for parameter in command_line().params for name in parameter.opts} | {"--help"}
    else:
        assert spelt(words[0], words) <= options_of(words[0])


@pytest.mark.parametrize("page", pages())
def test_options_in_the_text_exist(page: str) -> None:
    known = lm_eval_options().union(*(options_of(command) for command in command_line().commands))
    scripts = set(re.findall(r"python (benchmarks/\w+\.py)", text_of(page)))
    known |= {option for script in scripts for option in re.findall(r'"(--[\w-]+)"', text_of(script))}
    named = set(re.findall(r"`(--?[a-zA-Z][\w-]*)", prose_of(page)))
    assert {name for name in named - known if f"--{name[2:].replace('-', '_')}" not in known} == set()


def test_nothing_tells_to_install_the_package_from_an_index_without_a_release() -> None:
    assert "There is no release on a package index yet" in text_of("docs/install.md")
    places = [ROOT / page for page in pages()] + sorted((ROOT / "uq_harness").rglob("*.py"))
    told = re.compile(r"pip install(?: --?[\w-]+)* ['\"]?uq-harness(?!\[)")  # its extras are added to what is there
    assert [str(place) for place in places if told.search(place.read_text(encoding="utf-8"))] == []


def test_readme_names_every_command() -> None:
    named = set(re.findall(r"uq-harness (\w+)", text_of("README.md"))) | set(
        re.findall(r"`(\w+)`", text_of("README.md"))
    )
    assert set(command_line().commands) <= named


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("uq-harness compare out", "Missing"),
        ("uq-harness report out --output r --colour", "No such option"),
        ("lm_eval --model uq-hf --taks uq_sciq", "unrecognized arguments"),
        ("lm_eval --model uq-hf --model_args pretrained=x --tasks uq_scik", "no such tasks"),
        ("lm_eval --model uq-hf --model_args pretrained=x,metods=all --tasks uq_sciq", "no such model arguments"),
        ("lm_eval --model uq-hf --model_args pretrained=x,methods=semgard --tasks uq_sciq", "did you mean semgrad"),
        ("""lm_eval --model uq-hf ... --metadata '{"correctness": "bam"}'""", "did you mean bem"),
        ("lm_eval --model uq-hf ... --metadata correctness.name=bam correctness.threshold=0.8", "did you mean bem"),
        ("pip install 'uq-harness[plot]'", "plot"),
        ("docker build --build-arg TORCH=2 .", "no such build arguments"),
        ("docker run --rm uq-harness lm_eval --model uq-hf --model_args pretrained=x --tasks uq_scik", "no such tasks"),
    ],
)
def test_a_wrong_command_would_be_found(command: str, complaint: str) -> None:
    with pytest.raises(Exception, match=complaint):
        check(shlex.split(command))
