"""``save_samples``: what a second pass needs of a run, kept in the answers' records.

A second pass (``uq-harness score SAMPLES --model MODEL``) reads what another engine has written, token by token. So the
records keep the prompt's tokens, the user's message, every emitted token, and the sampled answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Evidence, Need, Sample, SampleSet, sample_sets
from uq_harness.evidence.needs import DiverseBeams
from uq_harness.evidence.sets import SampleSets
from uq_harness.files import plain
from uq_harness.methods import Method, all_options, build_methods, select_methods, settings
from uq_harness.methods.arguments import read_flag

DIGITS = 7  # significant ones, more than float32 has


@dataclass(frozen=True)
class SampleSaver:
    """Keeps what a second pass needs in the record of every answer.

    Attributes:
        methods: The methods whose samples are kept.
        further: Those among them that the run does not score itself.
    """

    methods: tuple[Method, ...]
    further: tuple[Method, ...]

    def needs(self) -> tuple[Need[Any], ...]:
        """The sample sets, of those that share their samples the largest."""
        sets: tuple[SampleSet, ...] = SampleSets.of(
            sample_sets(need for method in self.methods for need in method.needs())
        ).samplers
        return sets

    def record(self, evidence: Evidence) -> dict[str, Any]:
        """``prompt_token_ids``, ``message``, ``emitted_ids`` where they are more than the answer's, ``sample_sets``."""
        emitted = evidence.answer.emitted_ids
        known = {
            "prompt_token_ids": None if evidence.prompt_ids is None else list(evidence.prompt_ids),
            "message": evidence.message,
            "emitted_ids": None if emitted is None else list(emitted),
        }
        sets = [
            {**conditions(one), "samples": [_sample(sample) for sample in evidence.values[one]]}
            for one in self.needs()
            if isinstance(one, SampleSet) and one in evidence.values and one not in evidence.undefined
        ]
        return {**{name: value for name, value in known.items() if value is not None}, "sample_sets": sets}

    def describe(self) -> dict[str, Any]:
        """Whose samples are kept, for the results' configuration."""
        return {"save_samples": [method.name for method in self.methods], **settings(self.further)}


def conditions(one: SampleSet) -> dict[str, float]:
    """How the samples of a set were drawn, as the records say it.

    >>> from uq_harness.evidence import Samples
    >>> conditions(Samples(10, 0.5, 0.99, 5))
    {'temperature': 0.5, 'top_p': 0.99, 'top_k': 5}
    """
    if isinstance(one, DiverseBeams):
        return {"groups": one.groups, "penalty": one.penalty}
    return {"temperature": one.temperature, "top_p": one.top_p, "top_k": one.top_k}


def _sample(sample: Sample) -> dict[str, Any]:
    logprobs = sample.logprobs
    return {
        "text": sample.text,
        "token_ids": list(sample.token_ids),
        **({} if logprobs is None else {"token_logprobs": plain([_rounded(value) for value in logprobs.tolist()])}),
        "complete": sample.complete,
        **({} if sample.emitted_ids is None else {"emitted_ids": list(sample.emitted_ids)}),
    }


def _rounded(value: float) -> float:
    """The number with `DIGITS` significant digits.

    >>> _rounded(-0.12345678912), _rounded(-1.23456789e-9)
    (-0.1234568, -1.234568e-09)
    """
    return float(f"{value:.{DIGITS}g}")


def read_save_samples(
    value: Any, methods: str | Iterable[str], options: Mapping[str, Any]
) -> tuple[SampleSaver | None, dict[str, Any]]:
    """What the argument ``save_samples`` of a model means.

    ``true`` keeps the samples that the chosen methods draw. Names of methods, joined by ``+``, have their samples drawn
    and kept too: those of a method that only the second pass can score.

    Args:
        value: The argument.
        methods: The argument ``methods``.
        options: The options of methods that were given.

    Returns:
        The saver, ``None`` where nothing is to be kept; and the options that belong to the chosen methods.

    Raises:
        UQHarnessError: The value is neither true, false, nor names of methods with samples.

    >>> saver, _ = read_save_samples("eigenscore", "g_nll", {"eigenscore_samples": 5})
    >>> saver.needs()
    (Samples(count=5, temperature=0.5, top_p=0.99, top_k=5),)
    """
    names = _names(value)
    if names is None:
        return None, dict(options)
    chosen = select_methods(methods)
    try:
        further = [one for one in select_methods(names) if one not in chosen] if names else []
    except UQHarnessError as error:
        raise UQHarnessError(f"save_samples={value!r}: {error}") from None
    without = [one.name for one in further if not one.sampling and one.name in names]
    if without:
        raise UQHarnessError(
            f"save_samples={value!r}: {', '.join(without)} draws no samples. Name methods with samples, such as "
            "eigenscore, or write save_samples=true: prompts and answers are kept either way"
        )
    further = [one for one in further if one.sampling]
    own = {field.name for method in chosen for field in method.options()}
    theirs = {field.name for method in further for field in method.options()}
    kept = {name: given for name, given in options.items() if name in own or name not in theirs}
    drawn = build_methods([one.name for one in further], _of(options, theirs)) if further else []
    scored = [one for one in build_methods(methods, kept) if one.sampling]
    return SampleSaver((*scored, *drawn), tuple(drawn)), kept


def _of(options: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names and name in all_options()}


def _names(value: Any) -> Sequence[str] | None:
    """The methods that are named; none for true, ``None`` for false."""
    try:
        return [] if read_flag("save_samples", value) else None
    except UQHarnessError:
        if not isinstance(value, str) or not value.strip("[] "):
            raise UQHarnessError(
                f"save_samples={value!r} is not allowed: use true, false, or names of methods joined by +"
            ) from None
        return [name.strip() for name in value.strip("[] ").replace(",", "+").split("+") if name.strip()]
