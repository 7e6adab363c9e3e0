"""What each engine gives, said once: as its probe found it, or where none was at hand as its documentation says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from uq_harness.backends.chat_completions.backend import ChatBackend
from uq_harness.backends.chat_completions.probe import Found
from uq_harness.backends.chat_completions.request import TakenSettings
from uq_harness.backends.chat_completions.server import ChatServer, Client
from uq_harness.backends.saved.alternatives import SavedAlternatives
from uq_harness.backends.saved.backend import SavedBackend
from uq_harness.backends.saved.read import SavedAnswer, SavedSample, SavedSet, SavedTokens
from uq_harness.backends.served import abilities
from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.rescoring import is_bounded
from uq_harness.backends.transformers.second_pass import SecondPass
from uq_harness.demo import MODEL_DIR
from uq_harness.evidence import Need
from uq_harness.methods.semantic_density import SemanticDensity

Missing = Callable[[Need[Any]], str | None]


@dataclass(frozen=True)
class KnownEngine:
    """An engine, and what its backend says is missing.

    Attributes:
        name: What ``uq-harness engines NAME`` calls it.
        title: The column's heading.
        tried: Whether it was run while this was written; else its documentation was read.
        remark: With which settings it gives what it gives.
        missing: `Backend.missing` of its backend.
        bounded: Whether what it gives for a need is exact only up to a bound, which the records hold.
        tells_tokens: Whether ``save_samples`` can keep the tokens of prompts and answers, which a second pass reads.
    """

    name: str
    title: str
    tried: bool
    remark: str
    missing: Missing
    bounded: Callable[[Need[Any]], bool] = lambda need: False
    tells_tokens: bool = True


@dataclass(frozen=True)
class Abilities:
    """Abilities of an engine that is asked by tokens; see `uq_harness.backends.served.engine.Engine`.

    Attributes:
        lacking: Those that it does not have, with the reason in words.
        most_alternatives: How many likeliest tokens it tells at most.
    """

    lacking: Mapping[Ability, str] = field(default_factory=dict)
    most_alternatives: int = 20

    def lacks(self, ability: Ability) -> str | None:
        """Why an ability cannot be had; ``None`` where it is there."""
        return self.lacking.get(ability)

    def missing(self, need: Need[Any]) -> str | None:
        """What it lacks for a need."""
        return abilities.missing(need, self, n_ends=2)  # most chat models have two tokens that end an answer


_VLLM = Abilities()  # tests/real_server asks a real one
_SGLANG = Abilities()
_LLAMA_CPP = Abilities()


def reader() -> SecondPass:
    """A model as small as the demo model, as what reads tokens that another engine wrote.

    Any model with a dense head lacks as little, whatever its weights.
    """
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(MODEL_DIR)).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    return SecondPass(model, tokenizer, max_length=model.config.max_position_embeddings, pad_id=tokenizer.pad_token_id)


def known_engines(transformers: SecondPass) -> tuple[KnownEngine, ...]:
    """All engines, in the order of the table's columns.

    Args:
        transformers: A model in memory.
    """
    return (
        KnownEngine("uq-hf", "`uq-hf`", True, "the model in this process", transformers.missing),
        KnownEngine("uq-vllm", "`uq-vllm`", True, "vLLM 0.32 in this process, as it starts", _VLLM.missing, is_bounded),
        KnownEngine("vllm", "vLLM server", True, "vLLM 0.32, `vllm serve` as it starts", _VLLM.missing, is_bounded),
        KnownEngine(
            "sglang",
            "SGLang server",
            False,
            "started with `--enable-deterministic-inference` and `SGLANG_RETURN_ORIGINAL_LOGPROB=1`",
            _SGLANG.missing,
            is_bounded,
        ),
        KnownEngine(
            "llama.cpp",
            "llama.cpp server",
            False,
            "`llama-server --parallel 1`; each given token takes a request",
            _LLAMA_CPP.missing,
            is_bounded,
        ),
        KnownEngine(
            "chat",
            "chat with log-probabilities",
            True,
            "messages only; log-probabilities are the model's own at any temperature",
            _chat(values=None).missing,
            tells_tokens=False,
        ),
        KnownEngine(
            "chat-texts",
            "chat without",
            True,
            "messages only; the endpoint tells texts",
            _chat(values="log-probabilities, which this endpoint does not tell").missing,
            tells_tokens=False,
        ),
        KnownEngine("saved", "saved answers", True, "a file that holds all that it can", SavedBackend(_SAVED).missing),
    )


def _chat(values: str | None) -> ChatBackend:
    # nothing is sent: it takes no setting that would have to be tried
    server = ChatServer(cast(Client, None), "any", TakenSettings())
    told = values is None
    return ChatBackend(Found(server, values=values, greedy_law=told, own_law=told, seeds=True), seed=0)


def saved_answer(*sets: SavedSet, tokens: bool = True, alternatives: SavedAlternatives | None = None) -> SavedAnswer:
    """An answer as ``save_samples`` keeps it.

    Args:
        *sets: Its sampled answers.
        tokens: Whether the tokens of prompt and answer are kept.
        alternatives: The likeliest tokens at each of its own, which a user's file may hold.
    """
    return SavedAnswer(
        place="",
        question="?",
        references=("!",),
        answer="!",
        logprobs=np.zeros(1),
        entropies=np.zeros(1),
        sets=sets,
        uncertainty={},
        prompt="?",
        record={},
        tokens=SavedTokens((0,), (1,), (1,), "?", -1, "?") if tokens else None,
        has_prompt=True,
        alternatives=alternatives,
    )


SAMPLE = SavedSample("!", np.zeros(1), ("!",), (1,), (1,), complete=True)
_BEAMS = SemanticDensity()
_LISTED = 20  # as many likeliest tokens as servers tell
_SAVED = replace(
    saved_answer(
        SavedSet((SAMPLE,)),  # serves whatever is drawn
        SavedSet((SAMPLE,), {"groups": _BEAMS.density_beams, "penalty": _BEAMS.density_penalty}),
        alternatives=SavedAlternatives(np.full((1, _LISTED), -4.0), (("!",) * _LISTED,), ("!",)),
    ),
    record={"confidence_reply": "0.9"},
)
