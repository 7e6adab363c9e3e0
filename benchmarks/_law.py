"""Whether a server's scores of sampling methods, and its first tokens, have the law of those in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _sides import Sides
from scipy.stats import chisquare

from uq_harness.answering.answerer import Answerer
from uq_harness.backends.served.requests import TokenRequest
from uq_harness.backends.served.sampling import first_seed
from uq_harness.evidence import Evidence, Samples
from uq_harness.evidence.prompt import Prompt
from uq_harness.functional import FloatArray
from uq_harness.methods import Method, build_methods

METHODS = "degree+ln_pe+semantic_entropy+token_sar+sar+sentence_sar+self_consistency"
DRAWN_AT_A_TIME = 10
LEAST_EXPECTED = 5.0  # rarer tokens count as one


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
    methods = build_methods(METHODS, {})
    prompts = sides.prompts(count)
    served = _by_seed(sides, sides.by_server, methods, prompts, seeds, lambda seed: say(f"server, seed {seed}"))
    in_torch = _by_seed(sides, sides.by_torch, methods, prompts, seeds, lambda seed: say(f"torch, seed {seed}"))
    rows = {name: _difference(served[name], in_torch[name]) for name in served}
    return {
        "questions": len(prompts),
        "seeds": seeds,
        "differences": rows,
        "worst": max((abs(row["errors"]) for row in rows.values()), default=0.0),
    }


def _by_seed(
    sides: Sides,
    build: Callable[[Sequence[Method], int], Answerer],
    methods: Sequence[Method],
    prompts: Sequence[Prompt],
    seeds: int,
    say: Callable[[int], None],
) -> dict[str, FloatArray]:
    """Each score, and what samples look like, ``[seeds, questions]``."""
    found: dict[str, list[list[float]]] = {}
    for seed in range(1, seeds + 1):
        say(seed)
        answerer = build(methods, seed)
        rows = [answerer.scores(one) | _of_samples(one) for one in sides.answer(answerer, prompts)]
        for name in rows[0]:
            found.setdefault(name, []).append([row[name] for row in rows])
    return {name: np.array(values) for name, values in found.items()}


def _of_samples(evidence: Evidence) -> dict[str, float]:
    """Mean log-likelihood and number of tokens of the largest set of samples at each temperature."""
    found = {}
    for samples in sorted((need for need in evidence.values if isinstance(need, Samples)), key=lambda one: one.count):
        drawn = evidence[samples]
        found[f"log-likelihood at {samples.temperature:g}"] = np.mean([one.log_likelihood() for one in drawn]).item()
        found[f"tokens at {samples.temperature:g}"] = np.mean([len(one.token_ids) for one in drawn]).item()
    return found


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
