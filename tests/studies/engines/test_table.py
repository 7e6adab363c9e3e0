"""The table of engines says what the backends say, in the four words that it has."""

from dataclasses import replace

import pytest

from tests.backends.test_what_engines_serve import ANSWER, TEXTS, TOKENS, VALUES, WEIGHTS
from uq_harness.backends.served.engine import Ability
from uq_harness.evidence import AnswerEntropies
from uq_harness.methods import all_methods
from uq_harness.studies.engines.known import Abilities, known_engines, reader
from uq_harness.studies.engines.table import EngineTable, Way, cell_of, engine_table

# What a file may hold of them: entropies.
ENTROPIES = {name for name in WEIGHTS if {*map(type, all_methods()[name]().needs())} & {AnswerEntropies}} - {
    *("paragrad", "semgrad", "hybridgrad", "exgrad", "conditional_pmi")
}
KNOWN = TEXTS | ANSWER | VALUES | TOKENS | WEIGHTS  # the others have tests of their own


@pytest.fixture(scope="module")
def table() -> EngineTable:
    return engine_table()


def those(table: EngineTable, engine: str, *ways: Way) -> set[str]:
    return {method for method in KNOWN if table.cells[method, engine].way in ways}


def test_a_model_in_memory_gives_everything(table: EngineTable) -> None:
    assert those(table, "uq-hf", Way.EXACT) == KNOWN


@pytest.mark.parametrize("engine", ["uq-vllm", "vllm"])
def test_vllm_gives_twelve_and_the_rest_in_a_second_pass(table: EngineTable, engine: str) -> None:
    assert those(table, engine, Way.BOUNDED) == {"semantic_density"}
    assert those(table, engine, Way.SECOND_PASS) == WEIGHTS
    assert those(table, engine, Way.NONE) == set()


def test_messages_give_texts_and_values_and_nothing_afterwards(table: EngineTable) -> None:
    assert those(table, "chat-texts", Way.EXACT) == TEXTS
    assert those(table, "chat", Way.EXACT) == TEXTS | ANSWER | VALUES
    assert not those(table, "chat", Way.SECOND_PASS, Way.BOUNDED)


def test_a_file_gives_what_it_holds_and_the_rest_in_a_second_pass(table: EngineTable) -> None:
    assert those(table, "saved", Way.EXACT) == TEXTS | ANSWER | VALUES | ENTROPIES
    assert those(table, "saved", Way.NONE) == set()


def test_what_is_missing_is_said_in_words(table: EngineTable) -> None:
    for cell in table.cells.values():
        assert (cell.missing is None) == (cell.way in (Way.EXACT, Way.BOUNDED))
    assert "gradients" in (table.cells["semgrad", "vllm"].missing or "")


def served(**lacking: str) -> tuple[set[str], set[str]]:
    """An engine without some abilities, with the methods that it gives now or in a second pass."""
    model = reader()
    engine = next(one for one in known_engines(model) if one.name == "vllm")
    engine = replace(engine, missing=Abilities({Ability[name]: why for name, why in lacking.items()}).missing)
    cells = {name: cell_of(all_methods()[name](), engine, model) for name in KNOWN}
    now = {name for name, cell in cells.items() if cell.way in (Way.EXACT, Way.BOUNDED)}
    return now, {name for name, cell in cells.items() if cell.way is Way.SECOND_PASS}


def test_given_tokens_that_an_engine_does_not_read_are_read_afterwards() -> None:
    now, afterwards = served(FORCED="given tokens", FORCED_ALTERNATIVES="given tokens")
    assert now == TEXTS | ANSWER | VALUES
    assert afterwards == WEIGHTS | TOKENS


def test_samples_that_cannot_be_drawn_cannot_be_read_afterwards() -> None:
    now, afterwards = served(SEEDS="seeds")
    sampled = {name for name in KNOWN if all_methods()[name].sampling and name != "semantic_density"}
    assert now == (ANSWER | TOKENS) - sampled
    assert afterwards == WEIGHTS - sampled
