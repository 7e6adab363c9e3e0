"""What an engine is asked about tokens, and what it replies: plain numbers, whatever the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray


@dataclass(frozen=True)
class TokenRequest:
    """Asks an engine to go on from a prompt, or to read given tokens.

    Every setting is in the request: an engine must not fill in defaults of the model (``generation_config.json``).

    Attributes:
        prompt_ids: The prompt's tokens; for a forced text, prompt and text.
        max_tokens: Limit on the tokens of each answer; 0 where the engine shall only read.
        count: Number of answers.
        temperature: 0 for greedy answers, else what divides the logits.
        top_p: Smallest mass of the likeliest tokens that are drawn from; 1 for all.
        top_k: Number of the likeliest tokens that are drawn from; 0 for all.
        seed: Answer i is that of seed + i, so that the first answers do not depend on the count.
        end_ids: Tokens that end an answer, sorted.
        stop_strings: Texts that end an answer; its tokens still hold them.
        top: Number of likeliest tokens to tell for each token of an answer; 0 for none.
        forced: Number of the prompt's last tokens whose log-probabilities are wanted; 0 for none.
        forced_top: Number of likeliest tokens to tell for each forced token.
    """

    prompt_ids: tuple[int, ...]
    max_tokens: int
    count: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    end_ids: tuple[int, ...] = ()
    stop_strings: tuple[str, ...] = ()
    top: int = 0
    forced: int = 0
    forced_top: int = 0


@dataclass(frozen=True)
class Choice:
    """One answer.

    Attributes:
        token_ids: All tokens that the engine emitted, the end-of-sequence token included.
        logprobs: Log-probability of each under the model itself (temperature 1, nothing cut off), in nats,
            shape ``[tokens]``; ``nan`` where the engine does not tell one.
        top: For each token the likeliest tokens with their log-probabilities; empty where none were asked for.
        ended: Whether the answer ended by itself or at a stop string, not at the token limit.
    """

    token_ids: tuple[int, ...]
    logprobs: FloatArray
    top: tuple[Mapping[int, float], ...] = ()
    ended: bool = True


@dataclass(frozen=True)
class Usage:
    """What a request cost.

    Attributes:
        requests: Number of requests that went to the engine, those included that had to be sent again; 0 for a reply
            that was known.
        prompt_tokens: Tokens of the prompts that the engine counted, where it replied.
        completion_tokens: Tokens that it wrote.
        cached_tokens: Tokens of the prompts that it had in its cache, where it says so.
        seconds: Time from request to reply.
        kept_prompt_tokens: Tokens of the prompts of replies that an earlier run has paid for.
        kept_completion_tokens: Tokens that were written in them.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    kept_prompt_tokens: int = 0
    kept_completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.seconds + other.seconds,
            self.kept_prompt_tokens + other.kept_prompt_tokens,
            self.kept_completion_tokens + other.kept_completion_tokens,
        )

    def as_cost(self) -> dict[str, float]:
        """The same as a record's ``cost``."""
        return {
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
            "request_seconds": self.seconds,
            "kept_prompt_tokens": self.kept_prompt_tokens,
            "kept_completion_tokens": self.kept_completion_tokens,
        }


@dataclass(frozen=True)
class TokenReply:
    """The reply to a `TokenRequest`.

    Attributes:
        choices: The answers, in the order of their seeds.
        forced: Log-probability of each forced token under the model itself, in nats, ``[forced]``.
        forced_top: For each forced token the log-probabilities of the likeliest tokens, best first.
        usage: What it cost.
    """

    choices: tuple[Choice, ...] = ()
    forced: FloatArray | None = None
    forced_top: tuple[FloatArray, ...] = ()
    usage: Usage = field(default_factory=Usage)


class QuestionRefusedError(UQHarnessError):
    """An engine refuses this very request: its question has no scores, and the run goes on."""
