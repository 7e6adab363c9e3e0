"""What a server is asked for each method, beside the least that its evidence takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from _sides import Sides

from uq_harness.backends.served.requests import TokenReply, TokenRequest
from uq_harness.evidence import DiverseBeams, Evidence, Samples, SampleSet
from uq_harness.evidence.sets import SampleSets
from uq_harness.methods import Method


def count_requests(sides: Sides, count: int) -> dict[str, Any]:
    """Requests and tokens a question of each method that the server can serve, and of all of them together."""
    served, prompts = sides.served_methods(), sides.prompts(count)
    rows = {}
    for name, methods in [*((one.name, [one]) for one in served), ("together", served)]:
        sides.engine.forget()
        evidence = sides.answer(sides.by_server(methods, seed=1), prompts)
        rows[name] = _row(list(sides.sent), evidence, methods)
    return {"questions": len(prompts), "methods": rows}


def _row(
    sent: Sequence[tuple[TokenRequest, TokenReply]], evidence: Sequence[Evidence], methods: Sequence[Method]
) -> Any:
    """Numbers a question: what was sent, and the least.

    - ``requests`` went to the server. The least is one for the greedy answer, one for each set of samples, one for each
      distinct text that is read, and one for each beam that is not the greedy answer.
    - ``written`` are the tokens that the server counted. The least are those of the answers; the beginnings that beams
      and the greedy answer share count once.
    - ``read`` are the tokens of prompts that the server counted. The least is each beginning of a prompt once, as a
      server reads them that forgets none.
    """
    number = len(evidence)
    paid = [(request, reply) for request, reply in sent if reply.usage.requests]
    written, read, requests = (
        sum(getattr(reply.usage, what) for _, reply in paid)
        for what in ("completion_tokens", "prompt_tokens", "requests")
    )
    least_requests = sum(_least_requests(one, methods) for one in evidence)
    least_requests += len({request for request, _ in paid if request.forced})
    least_written = sum(_least_written(one, methods) for one in evidence)
    least_read = _nodes({request.prompt_ids for request, _ in paid})
    totals = {
        "requests": requests,
        "least_requests": least_requests,
        "written_tokens": written,
        "least_written_tokens": least_written,
        "read_tokens": read,
        "least_read_tokens": least_read,
    }
    return {name: value / number for name, value in totals.items()}


def _sets(evidence: Evidence, methods: Sequence[Method]) -> dict[SampleSet, list[tuple[int, ...]]]:
    """The tokens of each sampler's answers."""
    samplers = SampleSets.of(need for method in methods for need in method.needs()).samplers
    return {one: [sample.emitted_ids or sample.token_ids for sample in evidence[one]] for one in samplers}


def _least_requests(evidence: Evidence, methods: Sequence[Method]) -> int:
    """Those that write: the greedy answer, each set of samples, and each further beam."""
    found = 1
    greedy = evidence.answer.emitted_ids or evidence.answer.token_ids
    for sampler, tokens in _sets(evidence, methods).items():
        found += 1 if isinstance(sampler, Samples) else len({*tokens} - {greedy})
    return found


def _least_written(evidence: Evidence, methods: Sequence[Method]) -> int:
    greedy = tuple(evidence.answer.emitted_ids or evidence.answer.token_ids or ())
    beams, drawn = {greedy}, 0
    for sampler, tokens in _sets(evidence, methods).items():
        if isinstance(sampler, DiverseBeams):
            beams |= set(tokens)
        else:
            drawn += sum(map(len, tokens))
    return _nodes(beams) + drawn


def _nodes(texts: Iterable[Sequence[int]]) -> int:
    """Number of distinct beginnings of some texts: what reading them takes if a common beginning is read once.

    >>> _nodes([(1, 2, 3), (1, 2, 4), (1, 2)])
    4
    """
    total, last = 0, ()
    for text in sorted(map(tuple, texts)):
        common = next(
            (i for i, (a, b) in enumerate(zip(last, text, strict=False)) if a != b), min(len(last), len(text))
        )
        total, last = total + len(text) - common, text
    return total
