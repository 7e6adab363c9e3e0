"""Reading files of saved answers: a user's own JSON lines, and the sample logs of lm_eval, which become the same."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.backends.saved.alternatives import SavedAlternatives, read_alternatives
from uq_harness.backends.told_logprobs import UNKNOWN_LOGPROB
from uq_harness.errors import UQHarnessError, close_names
from uq_harness.files import check_characters, not_blank, question_and_texts, read_json_lines, user_path
from uq_harness.functional import FloatArray
from uq_harness.results.files import RunFiles, run_of_samples

log = logging.getLogger(__name__)
KIND = "file of saved answers"
SHAPE = (
    'one JSON object a line, such as {"question": "Who ...?", "answers": ["right"], "answer": "given", '
    '"token_logprobs": [-0.1], "samples": ["other", "given"]}'
)
# How a set was drawn: independent samples, or a diverse beam search.
CONDITIONS = ("temperature", "top_p", "top_k")
BEAMS = ("groups", "penalty")
_FIELDS = (
    "question",
    "answers",
    "answer",
    "token_ids",
    "token_logprobs",
    "token_entropies",
    "token_top_logprobs",
    "tokens",
    "emitted_ids",
    "samples",
    "sample_sets",
    "uncertainty",
    "prompt",
    "prompt_token_ids",
    "semantic_token",
    "confidence_reply",
)


@dataclass(frozen=True)
class SavedSample:
    """A sampled answer, as far as the file has it.

    Attributes:
        text: Its text.
        logprobs: Log-probability of each token under the model itself, in nats; ``None`` where the file has none.
        tokens: Texts of its tokens; likewise.
        token_ids: Its tokens; likewise.
        emitted_ids: All tokens that the model wrote, `token_ids` among them side by side; likewise.
        complete: Whether it ended by itself; likewise.
    """

    text: str
    logprobs: FloatArray | None = None
    tokens: tuple[str, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    emitted_ids: tuple[int, ...] | None = None
    complete: bool | None = None


@dataclass(frozen=True)
class SavedSet:
    """Samples that were drawn alike.

    Attributes:
        samples: The samples.
        conditions: How they were drawn, as far as the file says: ``temperature``, ``top_p``, ``top_k``, or ``groups``
            and ``penalty`` of a diverse beam search.
    """

    samples: tuple[SavedSample, ...]
    conditions: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedTokens:
    """The tokens of a prompt and its answer, which a second pass reads.

    Attributes:
        prompt_ids: The prompt's.
        token_ids: The answer's.
        emitted_ids: All that the model wrote, `token_ids` among them side by side.
        message: The user's message that put the question; ``None`` where the file has none.
        semantic_token: Position of the semantic-preserving token from the prompt's end; likewise.
        semantic_text: Its text; likewise.
    """

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    emitted_ids: tuple[int, ...]
    message: str | None
    semantic_token: int | None
    semantic_text: str | None


@dataclass(frozen=True)
class SavedAnswer:
    """A question with the answer that was given, and what was saved with it.

    Attributes:
        place: File and line.
        question: The bare question.
        references: Right answers.
        answer: The answer to judge and score.
        logprobs: Log-probability of each of its tokens, in nats; ``None`` where the file has none.
        entropies: Entropy of the distribution that each token was taken from, in nats; likewise.
        sets: Sampled answers.
        uncertainty: Scores that the file holds already; ``nan`` for ``null``.
        prompt: The whole prompt; the question where the file has none.
        record: The other fields of a run's record.
        tokens: What a second pass reads; ``None`` where the file does not have it.
        has_prompt: Whether the file has the prompt.
        alternatives: The likeliest tokens at each of the answer's; ``None`` where the file has none.
    """

    place: str
    question: str
    references: tuple[str, ...]
    answer: str
    logprobs: FloatArray | None
    entropies: FloatArray | None
    sets: tuple[SavedSet, ...]
    uncertainty: Mapping[str, float]
    prompt: str
    record: Mapping[str, Any]
    tokens: SavedTokens | None = None
    has_prompt: bool = False
    alternatives: SavedAlternatives | None = None

    @property
    def refused(self) -> bool:
        """Whether the question was refused, so that there is no answer to score."""
        return "refused" in self.record

    @property
    def confidence_reply(self) -> str | None:
        """What the model replied when it was asked about its answer; ``None`` where the file has nothing."""
        reply: str | None = self.record.get("confidence_reply")
        return reply


@dataclass(frozen=True)
class SavedFile:
    """What a file holds.

    Attributes:
        path: The file.
        answers: Its answers, in order.
        task: Name of the task.
        model: Name of the model that answered, as far as it is known.
        settings: lm_eval's configuration of the task; empty for a user's own file.
        configuration: What lm_eval noted of the run; likewise.
    """

    path: Path
    answers: tuple[SavedAnswer, ...]
    task: str
    model: str | None
    settings: Mapping[str, Any]
    configuration: Mapping[str, Any]


def read_saved(file: str | Path, *, first_sample_answers: bool = False) -> SavedFile:
    """Reads a file of saved answers, or a sample log of lm_eval.

    Args:
        file: JSON lines, UTF-8.
        first_sample_answers: Whether a line without ``answer`` takes its first sample for it, which is then not
            a sample any more.

    Raises:
        UQHarnessError: The file does not exist or holds no answer, or a line is wrong; file and line are named.
    """
    path = user_path(file, KIND)
    rows = read_json_lines(path, KIND, SHAPE)
    if not rows:
        raise UQHarnessError(f"{KIND} {str(path)!r} holds no answer: it needs {SHAPE}")
    logged = "doc" in rows[0][1]
    if logged:
        rows = _of_one_judge(rows)
    else:
        _warn_of_typos(rows)
    _warn_of_sentinels(path, [row for _, row in rows])
    answers = tuple(_answer(place, row, first_sample_answers) for place, row in rows)
    run = run_of_samples(path.resolve()) if logged else None
    return SavedFile(
        path=path,
        answers=answers,
        task=run.task if run else path.stem,
        model=_model(run) if run else None,
        settings=run.content.get("configs", {}).get(run.task, {}) if run else {},
        configuration={key: value for key, value in run.content.items() if key != "results"} if run else {},
    )


def _model(run: RunFiles) -> str:
    return str(run.content.get("model_name") or run.path.parent.name)


def _of_one_judge(rows: Sequence[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """The lines of the log's first judge, in the shape of a user's own lines."""
    first = rows[0][1].get("filter")
    return [(place, _unfolded(place, row)) for place, row in rows if row.get("filter") == first]


def _unfolded(place: str, row: Mapping[str, Any]) -> dict[str, Any]:
    doc = row.get("doc")
    if not isinstance(doc, Mapping) or not isinstance(record := doc.get("uq", {}), Mapping):
        raise UQHarnessError(f"{place}: the line is not a sample of lm_eval, which has doc, and doc.uq in it")
    verdict = ("judge", "correctness", "correct")
    return {
        **{name: doc[name] for name in ("question", "answers") if name in doc},
        "answer": _first(row.get("filtered_resps")),
        "prompt": _prompt(row.get("arguments")),
        **{name: value for name, value in record.items() if name not in verdict},
    }


def _first(responses: Any) -> Any:
    """The answer that lm_eval passed on; a text by itself is one too."""
    if isinstance(responses, list):
        return responses[0] if responses else None
    return responses


def _prompt(arguments: Any) -> str | None:
    """The prompt, where the log has one: lm_eval writes the arguments of a request as an object of objects."""
    first = arguments.get("gen_args_0") if isinstance(arguments, Mapping) else None
    prompt = first.get("arg_0") if isinstance(first, Mapping) else None
    return prompt if isinstance(prompt, str) else None


def _warn_of_sentinels(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    found = sum(_sentinels(row) for row in rows)
    if found:
        log.warning(
            "%s: %d log-probabilities are %s or less, by which a server says that it does not know them: they count "
            "as unknown",
            *(path, found, UNKNOWN_LOGPROB),
        )


def _sentinels(row: Mapping[str, Any]) -> int:
    """How many log-probabilities of a line's answer and samples are none."""
    sets = [row, *_objects(row.get("sample_sets"))]
    holders = [row, *(sample for one in sets for sample in _objects(one.get("samples")))]
    told = [value for one in holders if isinstance(values := one.get("token_logprobs"), list) for value in values]
    return sum(isinstance(value, int | float) and value <= UNKNOWN_LOGPROB for value in told)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _warn_of_typos(rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Fields of other names are left alone; one that resembles a known name would be missed."""
    unknown = dict.fromkeys(name for _, row in rows for name in row if name not in _FIELDS)
    for name in unknown:
        close = close_names(name, _FIELDS, 1, 0.8)
        if close:
            log.warning("the field %r is not read: is %s meant?", name, close[0])


def _answer(place: str, row: dict[str, Any], first_sample_answers: bool) -> SavedAnswer:
    question, references = question_and_texts(place, row, "answers", SHAPE)
    if not not_blank(references):
        raise UQHarnessError(f"{place}: the question {question!r} has no reference answer that is not blank")
    sets = _sets(place, row)
    answer, logprobs = row.get("answer"), _numbers(place, row, "token_logprobs")
    if answer is None and first_sample_answers:
        first, sets = _split(place, sets)
        answer, logprobs = first.text, first.logprobs
    if not isinstance(answer, str):
        raise UQHarnessError(
            f"{place}: the answer is {answer!r}: it needs to be a text. Where the file has samples only, "
            "--first_sample_answers takes the first of them for the answer"
        )
    check_characters(answer, f"{place}: a text")
    entropies = _numbers(place, row, "token_entropies")
    tokens = _texts_or_none(place, row, "tokens")
    ids = _ids_or_none(place, row, "token_ids")
    _check_lengths(place, token_ids=ids, token_logprobs=logprobs, token_entropies=entropies, tokens=tokens)
    prompt = row.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise UQHarnessError(f"{place}: the prompt is {prompt!r}: it needs to be a text")
    check_characters(prompt or "", f"{place}: a text")
    return SavedAnswer(
        place=place,
        question=question,
        references=tuple(not_blank(references)),
        answer=answer,
        logprobs=_log_probabilities(place, logprobs),
        entropies=entropies,
        sets=sets,
        uncertainty=_scores(place, row.get("uncertainty")),
        prompt=question if prompt is None else prompt,
        record=_record(place, row),
        tokens=_tokens(place, row, ids),
        has_prompt=prompt is not None,
        alternatives=read_alternatives(place, row, logprobs, tokens),
    )


def _tokens(place: str, row: Mapping[str, Any], ids: tuple[int, ...] | None) -> SavedTokens | None:
    """What a second pass reads, where a line has it."""
    prompt, emitted = _ids_or_none(place, row, "prompt_token_ids"), _emitted(place, row, ids)
    if prompt is None or ids is None or emitted is None:
        return None
    if not prompt:
        raise UQHarnessError(f"{place}: prompt_token_ids is empty: it needs to be the tokens of the prompt")
    message, semantic = row.get("message"), row.get("semantic_token")
    if message is not None and not isinstance(message, str):
        raise UQHarnessError(f"{place}: the message is {message!r}: it needs to be a text")
    check_characters(message or "", f"{place}: a text")
    if semantic is not None and not _is_position(semantic, len(prompt)):
        raise UQHarnessError(
            f'{place}: semantic_token is {semantic!r}: it needs to be an object such as {{"position": -4, "text": '
            f'"<|im_start|>"}}, its position from -{len(prompt)} to -1'
        )
    position, text = (None, None) if semantic is None else (semantic["position"], semantic["text"])
    return SavedTokens(prompt, ids, emitted, message, position, text)


def _is_position(value: Any, length: int) -> bool:
    return (
        isinstance(value, dict)
        and _is_whole(value.get("position"))
        and -length <= value["position"] <= -1
        and isinstance(value.get("text"), str)
    )


def _emitted(place: str, row: Mapping[str, Any], ids: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """All tokens that the model wrote: those of the answer where a line says nothing else."""
    emitted = _ids_or_none(place, row, "emitted_ids")
    if emitted is None or ids is None:
        return ids
    if not any(emitted[at : at + len(ids)] == ids for at in range(len(emitted) - len(ids) + 1)):
        raise UQHarnessError(
            f"{place}: the token_ids {list(ids)} do not stand side by side among the emitted_ids {list(emitted)}"
        )
    return emitted


def _ids_or_none(place: str, row: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    ids = row.get(name)
    if ids is None:
        return None
    if not isinstance(ids, list) or not all(_is_whole(one) and one >= 0 for one in ids):
        raise UQHarnessError(f"{place}: {name} is {ids!r}: it needs to be a list of token numbers, whole and from 0 on")
    return tuple(ids)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# Fields of a run's record that are handed on, and what a message calls them.
_KEPT: dict[str, tuple[Callable[[Any], bool], str]] = {
    "answer_tokens": (lambda value: _is_number(value) and value >= 0, "a number"),
    "complete": (lambda value: isinstance(value, bool), "true or false"),
    "refused": (lambda value: isinstance(value, str), "a text"),
    "confidence_reply": (lambda value: isinstance(value, str), "a text"),
    "tokens": (lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value), "a list of texts"),
    "token_values": (
        lambda value: isinstance(value, dict) and all(map(_are_numbers, value.values())),
        "an object of lists",
    ),
    "cost": (lambda value: isinstance(value, dict) and all(map(_is_number, value.values())), "an object of numbers"),
}
# Those that are read for their own sake too, and handed on so that what was written can be scored again.
_ALWAYS_HANDED_ON = ("token_ids", "token_top_logprobs")
_HANDED_ON = (*_ALWAYS_HANDED_ON, "emitted_ids", "prompt_token_ids", "message", "semantic_token", "sample_sets")


def _record(place: str, row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name in _KEPT if row.get(name) is not None}
    for name, value in kept.items():
        fits, what = _KEPT[name]
        if not fits(value):
            raise UQHarnessError(f"{place}: {name} is {value!r}: it needs to be {what}")
    names = [name for name in _HANDED_ON if "prompt_token_ids" in row or name in _ALWAYS_HANDED_ON]
    return kept | {name: row[name] for name in names if row.get(name) is not None}


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(value is None or _is_number(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sets(place: str, row: Mapping[str, Any]) -> tuple[SavedSet, ...]:
    if row.get("samples") is not None and row.get("sample_sets") is not None:
        raise UQHarnessError(f"{place}: samples and sample_sets stand side by side: put the samples into a set")
    if row.get("samples") is not None:
        return (SavedSet(_samples(place, row["samples"])),)
    sets = row.get("sample_sets") or []
    if not isinstance(sets, list) or not all(isinstance(one, dict) and "samples" in one for one in sets):
        raise UQHarnessError(f'{place}: sample_sets needs objects such as {{"temperature": 0.7, "samples": ["..."]}}')
    return tuple(SavedSet(_samples(place, one["samples"]), _conditions(place, one)) for one in sets)


def _conditions(place: str, one: Mapping[str, Any]) -> dict[str, float]:
    of_beams = any(name in one for name in BEAMS)
    names = BEAMS if of_beams else CONDITIONS
    for name, value in one.items():
        if name not in (*names, "samples"):
            raise UQHarnessError(f"{place}: a set of samples has no {name!r}: it has samples, {', '.join(names)}")
        if name != "samples" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise UQHarnessError(f"{place}: {name} is {value!r}: it needs to be a number")
    if of_beams and not all(name in one for name in BEAMS):
        raise UQHarnessError(f"{place}: a set of a diverse beam search needs both of {', '.join(BEAMS)}")
    return {name: _number(f"{place}: {name}", one[name]) for name in names if name in one}


def _samples(place: str, samples: Any) -> tuple[SavedSample, ...]:
    if not isinstance(samples, list):
        raise UQHarnessError(f"{place}: the samples are {samples!r}: they need to be a list")
    return tuple(_sample(f"{place}, sample {number}", one) for number, one in enumerate(samples, 1))


def _sample(place: str, one: Any) -> SavedSample:
    if isinstance(one, str):
        check_characters(one, f"{place}: a text")
        return SavedSample(one)
    if not isinstance(one, dict) or not isinstance(one.get("text"), str):
        raise UQHarnessError(
            f'{place}: {one!r} is neither a text nor an object such as {{"text": "...", "token_logprobs": [-0.1]}}'
        )
    check_characters(one["text"], f"{place}: a text")
    logprobs, tokens = _numbers(place, one, "token_logprobs"), _texts_or_none(place, one, "tokens")
    ids, complete = _ids_or_none(place, one, "token_ids"), one.get("complete")
    _check_lengths(place, token_ids=ids, token_logprobs=logprobs, tokens=tokens)
    if complete is not None and not isinstance(complete, bool):
        raise UQHarnessError(f"{place}: complete is {complete!r}: it needs to be true or false")
    return SavedSample(
        text=one["text"],
        logprobs=_log_probabilities(place, logprobs),
        tokens=None if tokens is None else tuple(tokens),
        token_ids=ids,
        emitted_ids=_emitted(place, one, ids),
        complete=complete,
    )


def _texts_or_none(place: str, row: Mapping[str, Any], name: str) -> list[str] | None:
    texts = row.get(name)
    if texts is not None and not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise UQHarnessError(f"{place}: the {name} are {texts!r}: they need to be a list of texts")
    return texts


def _split(place: str, sets: tuple[SavedSet, ...]) -> tuple[SavedSample, tuple[SavedSet, ...]]:
    if not sets or not sets[0].samples:
        raise UQHarnessError(f"{place}: there is neither an answer nor a sample that could be taken for it")
    first, *others = sets[0].samples
    return first, (SavedSet(tuple(others), sets[0].conditions), *sets[1:])


def _numbers(place: str, row: Mapping[str, Any], name: str) -> FloatArray | None:
    values = row.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or not all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values
    ):
        raise UQHarnessError(f"{place}: {name} is {values!r}: it needs to be a list of numbers")
    return np.array([_number(f"{place}: {name}", value) for value in values], dtype=np.float64)


def _number(place: str, value: float | None) -> float:
    """A number of a file; ``null`` is ``nan``."""
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        raise UQHarnessError(f"{place} holds a whole number that is too large, beyond 1e308") from None


def _log_probabilities(place: str, values: FloatArray | None) -> FloatArray | None:
    if values is None:
        return None
    if (values > 1e-2).any():  # a little above 0 comes from rounding in 16-bit types
        raise UQHarnessError(
            f"{place}: token_logprobs holds {float(values[values > 1e-2][0])!r}, but a log-probability is at most 0: "
            "take the natural logarithm of probabilities first"
        )
    return np.where(values <= UNKNOWN_LOGPROB, np.nan, values)


def _check_lengths(place: str, **columns: Any) -> None:
    lengths = {name: len(values) for name, values in columns.items() if values is not None}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise UQHarnessError(f"{place}: {told}: each needs one entry a token")


def _scores(place: str, scores: Any) -> dict[str, float]:
    if scores is None:
        return {}
    if not isinstance(scores, Mapping) or not all(
        score is None or (isinstance(score, int | float) and not isinstance(score, bool)) for score in scores.values()
    ):
        raise UQHarnessError(f"{place}: uncertainty is {scores!r}: it needs to be an object of a number a method")
    return {str(name): _number(f"{place}: uncertainty {name!r}", score) for name, score in scores.items()}
