"""Whether a server's scores of sampling methods, and the tokens that it draws, have the law of those in torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from _sides import Sides
from scipy.stats import chisquare

from uq_harness.answering.answerer import Answerer
from uq_harness.backends.served.requests import TokenRequest
from uq_harness.backends.served.sampling import first_seed
from uq_harness.evidence import Samples
from uq_harness.evidence.prompt import Prompt
from uq_harness.evidence.sets import SampleSets
from uq_harness.functional import FloatArray
from uq_harness.methods import Method, build_methods

METHODS = "degree+ln_pe+semantic_entropy+token_sar+sar+sentence_sar+self_consistency"
DRAWN_AT_A_TIME = 10
LEAST_EXPECTED = 5.0  # rarer tokens count as one
ROWS = 64  # answers that torch reads at a time
T = TypeVar("T")


def compare_in_law(sides: Sides, count: int, seeds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Mean scores of the server less those of torch, with their joint standard errors.

    Both sides answer the same questions, so a question's difficulty cancels, and what is left is the noise of the
    draws. Its size is known from the seeds: they and the questions are drawn independently, so the variance of a
    side's mean is the mean over questions of the variance over seeds, divided by the number of draws.

    Args:
        sides: The server and the model.
        count: Number of questions.
        seeds: Number of seeds each way; their variances take two.
        say: Told how far the work is.
    """
    prompts = sides.prompts(count)
    served = _by_seed(sides, sides.by_server, prompts, seeds, lambda seed: say(f"server, seed {seed}"))
    in_torch = _by_seed(sides, sides.by_torch, prompts, seeds, lambda seed: say(f"torch, seed {seed}"))
    rows = {name: _difference(values, in_torch.scores[name]) for name, values in served.scores.items()}
    say("drawn tokens")
    return {
        "questions": len(prompts),
        "seeds": seeds,
        "differences": rows,
        "worst": max(abs(row["errors"]) for row in rows.values()),
        "tokens_of_server": _drawn_tokens(sides, prompts, served.drawn),
        "tokens_of_torch": _drawn_tokens(sides, prompts, in_torch.drawn),
    }


@dataclass
class _Found:
    """What a side finds with several seeds.

    Attributes:
        scores: Each method's scores, ``[seeds, questions]``.
        drawn: For each question, how often each answer was drawn at each temperature.
    """

    scores: dict[str, FloatArray]
    drawn: list[Counter[tuple[float, tuple[int, ...]]]]


def _by_seed(
    sides: Sides,
    build: Callable[[Sequence[Method], int], Answerer],
    prompts: Sequence[Prompt],
    seeds: int,
    say: Callable[[int], None],
) -> _Found:
    methods = build_methods(METHODS, {})
    drawn: list[Counter[tuple[float, tuple[int, ...]]]] = [Counter() for _ in prompts]
    rows = []
    for seed in range(1, seeds + 1):
        say(seed)
        answerer = build(methods, seed)
        found = sides.answer(answerer, prompts)
        rows.append([answerer.scores(one) for one in found])
        for counter, one in zip(drawn, found, strict=True):
            for need in SampleSets.of(need for method in methods for need in method.needs()).samplers:
                counter.update((need.temperature, sample.token_ids) for sample in one[need])
    scores = {name: np.array([[one[name] for one in row] for row in rows]) for name in rows[0][0]}
    return _Found(scores, drawn)


def _difference(served: FloatArray, in_torch: FloatArray) -> dict[str, float]:
    """Of the means of two sides ``[seeds, questions]``; questions with undefined scores are left out on both."""
    defined = np.isfinite(served).all(axis=0) & np.isfinite(in_torch).all(axis=0)
    sides = [served[:, defined], in_torch[:, defined]]
    error = float(np.sqrt(sum(side.var(axis=0, ddof=1).mean() / side.size for side in sides)))
    difference = float(sides[0].mean() - sides[1].mean())
    return {
        "server": float(sides[0].mean()),
        "torch": float(sides[1].mean()),
        "difference": difference,
        "standard_error": error,
        "errors": difference / error if error else 0.0,
        "undefined_questions": int((~defined).sum()),
    }


def _drawn_tokens(
    sides: Sides, prompts: Sequence[Prompt], drawn: Sequence[Counter[tuple[float, tuple[int, ...]]]]
) -> dict[str, Any]:
    """Every drawn token against its distribution in torch: what it is less what it should be on average.

    Given the tokens before it, the expected value of each of these differences is 0 and their variance is known, so
    that their sum over all tokens, in standard deviations, is about standard normal if the draws have torch's law.
    """
    sums: dict[str, FloatArray] = {}
    tokens: Counter[str] = Counter()
    for prompt, counter in zip(prompts, drawn, strict=True):
        for temperature in sorted({temperature for temperature, _ in counter}):
            answers = {text: count for (heat, text), count in counter.items() if heat == temperature and text}
            for some in _batches(answers.items()):
                values = _departures(sides, prompt, [text for text, _ in some], temperature)
                for (text, count), found in zip(some, values, strict=True):
                    tokens[f"at {temperature:g}"] += count * len(text)
                    for what, value in found.items():
                        name = f"{what} at {temperature:g}"
                        sums[name] = sums.get(name, np.zeros(2)) + count * value
    return {
        "tokens": dict(tokens),
        "deviations": {name: float(total / np.sqrt(variance)) for name, (total, variance) in sums.items()},
    }


def _departures(
    sides: Sides, prompt: Prompt, texts: Sequence[tuple[int, ...]], temperature: float
) -> list[dict[str, FloatArray]]:
    """For each answer the summed differences and variances, ``[2]`` each."""
    start, longest = len(prompt.token_ids), max(map(len, texts))
    rows = torch.tensor([[*prompt.token_ids, *text, *[0] * (longest - len(text))] for text in texts])
    ends = sorted(sides.stop.end_ids)
    with torch.no_grad():
        logits = sides.in_torch(rows).logits[:, start - 1 : -1].double()
    logprobs = (logits / temperature).log_softmax(-1)
    probabilities = logprobs.exp()
    likeliest, place = probabilities.max(-1)
    mean = (probabilities * logprobs).sum(-1)
    spread = (probabilities * logprobs**2).sum(-1) - mean**2
    ending = probabilities[..., ends].sum(-1)
    found = []
    for row, text in enumerate(texts):
        at, ids = slice(0, len(text)), torch.tensor(text)
        own = logprobs[row, at].gather(-1, ids[:, None])[:, 0]
        parts = {
            "log-probability": (own - mean[row, at], spread[row, at]),
            "is likeliest": _of_share(ids == place[row, at], likeliest[row, at]),
            "ends the answer": _of_share(torch.isin(ids, torch.tensor(ends)), ending[row, at]),
        }
        found.append({name: np.array([float(one.sum()) for one in pair]) for name, pair in parts.items()})
    return found


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while some := list(islice(left, ROWS)):
        yield some


def _of_share(happens: torch.Tensor, probability: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return happens.double() - probability, probability * (1 - probability)


def compare_first_tokens(sides: Sides, prompts: int, draws: int) -> list[dict[str, float]]:
    """χ² tests of a server's first tokens against the distribution in torch, at two temperatures.

    Tokens are drawn as samples of a run are: some at a time, those of each run's seed.
    """
    found = []
    for number, prompt in enumerate(sides.prompts(prompts)):
        logits = _next_logits(sides.in_torch, prompt)
        for temperature in (1.0, 0.7):
            samples = Samples(DRAWN_AT_A_TIME, temperature)
            seeds = [first_seed(seed, prompt.token_ids, samples) for seed in range(draws // DRAWN_AT_A_TIME)]
            requests = [
                TokenRequest(
                    tuple(prompt.token_ids), max_tokens=1, count=DRAWN_AT_A_TIME, temperature=temperature, seed=seed
                )
                for seed in seeds
            ]
            tokens = [choice.token_ids[0] for request in requests for choice in sides.engine.ask(request).choices]
            test = _test(np.bincount(tokens, minlength=len(logits)), torch.softmax(logits / temperature, 0).numpy())
            found.append({"prompt": number, "temperature": temperature, "draws": len(tokens), **test})
    return found


def _next_logits(model: Any, prompt: Prompt) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([list(prompt.token_ids)], device=model.device)).logits[0, -1]
    return logits.double().cpu()


def _test(counts: Any, probabilities: FloatArray) -> dict[str, float]:
    """The χ² test of counts; tokens that are too rare for it count as one."""
    expected = probabilities * counts.sum()
    often = expected >= LEAST_EXPECTED
    seen, wanted = [*counts[often], counts[~often].sum()], [*expected[often], expected[~often].sum()]
    if wanted[-1] < LEAST_EXPECTED and len(wanted) > 1:  # so is the rest: it joins the rarest
        rarest = int(np.argmin(wanted[:-1]))
        for values in (seen, wanted):
            values[rarest] += values.pop()
    if len(wanted) < 2:
        return {"cells": len(wanted), "chi_square": 0.0, "p": 1.0}
    test = chisquare(seen, np.array(wanted) * sum(seen) / sum(wanted))
    return {"cells": len(wanted), "chi_square": float(test.statistic), "p": float(test.pvalue)}
