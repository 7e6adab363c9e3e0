"""Given texts, read by the engine: a fixed continuation of a raw prompt, and answers after other answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from uq_harness import functional
from uq_harness.backends.served.answers import log_probabilities
from uq_harness.backends.served.engine import Steps
from uq_harness.backends.served.requests import TokenReply, TokenRequest
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import AnswersGivenAnswers, ConditionalLogProbs, Sample
from uq_harness.evidence.prompt import Prompt
from uq_harness.functional import FloatArray

log = logging.getLogger(__name__)
Ask = Callable[[list[TokenRequest]], Steps[list[TokenReply]]]
Tokenise = Callable[[str], list[int]]


def forced_logprobs(
    texts: Sequence[tuple[Sequence[int], Sequence[int]]], ask: Ask, max_length: int
) -> Steps[list[FloatArray]]:
    """Log-probability of each token of given texts after given prompts, in nats, ``[tokens]`` each.

    ``nan`` for a text that does not fit into the context behind its prompt; an empty text takes no request.

    Args:
        texts: For each text the prompt's tokens and its own.
        ask: Sends requests.
        max_length: The model's context in tokens.
    """
    found = [np.full(len(text), np.nan) for _, text in texts]
    fitting = [i for i, (prompt, text) in enumerate(texts) if text and len(prompt) + len(text) <= max_length]
    too_long = sum(len(prompt) + len(text) > max_length for prompt, text in texts)
    if too_long:
        log.warning("%d texts do not fit into the context behind their prompts and get no score", too_long)
    if fitting:
        requests = [forced_request(*texts[i]) for i in fitting]
        for i, reply in zip(fitting, (yield from ask(requests)), strict=True):
            found[i] = forced_values(reply, len(texts[i][1]))
    return found


def forced_request(prompt: Sequence[int], text: Sequence[int], top: int = 0) -> TokenRequest:
    """Asks for the log-probabilities of a text's tokens after a prompt, and of the likeliest tokens beside them."""
    return TokenRequest((*prompt, *text), 0, forced=len(text), forced_top=top)


def forced_values(reply: TokenReply, count: int) -> FloatArray:
    """The log-probabilities of given tokens in a reply.

    Raises:
        UQHarnessError: They are not there.
    """
    if reply.forced is None:
        raise UQHarnessError("the engine gives no log-probabilities of given tokens: it cannot be used")
    return log_probabilities(reply.forced, count)


def continuation_logprob(prompt: str, continuation: str, encode: Tokenise, ask: Ask, max_length: int) -> Steps[float]:
    """Log-probability of a continuation of a raw-text prompt, in nats; ``nan`` where both do not fit into the context.

    Args:
        prompt: The prompt.
        continuation: What follows it.
        encode: Token ids of a whole text, with the special tokens that it begins with.
        ask: Sends requests.
        max_length: The model's context in tokens.
    """
    start, whole = len(encode(prompt)), encode(prompt + continuation)
    (found,) = yield from forced_logprobs([(whole[:start], whole[start:])], ask, max_length)
    return float(found.sum())


def unconditional_logprobs(answer: Sequence[int], bos: int | None, ask: Ask, max_length: int) -> Steps[FloatArray]:
    """Log-probability of each token of an answer behind the beginning-of-sequence token alone, in nats.

    Args:
        answer: Its tokens.
        bos: The beginning-of-sequence token; ``None`` where there is none, and the first token's entry is ``nan``.
        ask: Sends requests.
        max_length: The model's context in tokens.
    """
    if bos is not None:
        (found,) = yield from forced_logprobs([((bos,), answer)], ask, max_length)
        return found
    if not answer:
        return np.empty(0)
    (found,) = yield from forced_logprobs([(answer[:1], answer[1:])], ask, max_length)
    return np.append(np.nan, found)


def conditionals(
    need: AnswersGivenAnswers, prompt: Prompt, samples: Sequence[Sample], tokenise: Tokenise, ask: Ask, max_length: int
) -> Steps[ConditionalLogProbs]:
    """Distinct answers, and their likelihoods after prompts that state one of them; ``nan`` where one does not fit.

    Args:
        need: How answers are made distinct and stated.
        prompt: The question's prompt.
        samples: The sampled answers, with their log-probabilities.
        tokenise: Token ids of a text, without special tokens.
        ask: Sends requests.
        max_length: The model's context in tokens.
    """
    likelihoods = [sample.log_likelihood(need.sampled) for sample in samples]
    drawn = [sample.text for sample in samples]
    answers, probabilities = functional.merge_by_f1(drawn, likelihoods, need.threshold, need.most)
    count = len(answers)
    logprobs = np.zeros((count, count))
    if count > 1:  # one answer alone tells nothing
        stated = [tuple(prompt.stating(answer, words=need.prompt)) for answer in answers]
        written = [tuple(tokenise(answer)) for answer in answers]
        pairs = [(one, other) for one in stated for other in written]
        distinct = list(dict.fromkeys(pairs))
        found = yield from forced_logprobs(distinct, ask, max_length)
        sums = dict(zip(distinct, (float(one.sum()) for one in found), strict=True))
        logprobs = np.array([sums[pair] for pair in pairs]).reshape(count, count)
    return ConditionalLogProbs(tuple(answers), probabilities, logprobs)
