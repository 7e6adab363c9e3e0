"""One batched forward pass over all questions and paraphrases, reduced to cosines layer by layer and token by token."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.forward import in_float64, left_pad
from uq_harness.backends.transformers.position_states import visit_last_positions
from uq_harness.batching import in_shrinking_batches
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import LayerSpan
from uq_harness.functional import FloatArray
from uq_harness.models import UQHFLM
from uq_harness.studies.sps.prompts import USER_TOKENS, Position, PromptSet, Source, commonest_tokens, make_prompts
from uq_harness.studies.sps.result import DataSetSps, SpsResult


@dataclass(frozen=True)
class Segment:
    """Consecutive prompts of one question within a batch.

    Attributes:
        question: The question's number.
        rows: Number of prompts.
    """

    question: int
    rows: int


@dataclass(frozen=True)
class UnitSums:
    """What a batch adds.

    Attributes:
        segments: The batch's prompts by question.
        all_prompts: Sum of the unit vectors of each segment, ``[segments, layers, positions, width]``, float64.
        questions: Sum of the unit vectors of the batch's prompts that are not paraphrases, ``[layers, positions,
            width]``, float64.
    """

    segments: Sequence[Segment]
    all_prompts: Tensor
    questions: Tensor


class CosineSums:
    """Gathers the sums of one data set, whose prompts come question by question.

    Args:
        sizes: For each question the number of its prompts, itself and its paraphrases.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._seen = 0
        self._open: Tensor | float = 0.0
        self._within: Tensor | float = 0.0
        self._questions: Tensor | float = 0.0

    def add(self, sums: UnitSums) -> None:
        """Adds a batch."""
        self._questions = self._questions + sums.questions
        for segment, units in zip(sums.segments, sums.all_prompts, strict=True):
            self._open = self._open + units
            self._seen += segment.rows
            if self._seen == self._sizes[segment.question]:
                self._within = self._within + mean_of_pairs(self._open, self._seen)
                self._open, self._seen = 0.0, 0

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Mean cosine within questions (mean over questions) and between them, each ``[layers, positions]``."""
        assert isinstance(self._within, Tensor)
        assert isinstance(self._questions, Tensor)
        count = len(self._sizes)
        between = mean_of_pairs(self._questions, count)
        return (self._within / count).cpu().numpy(), between.cpu().numpy()


def mean_of_pairs(total: Tensor | float, count: int) -> Tensor:
    """Mean cosine over all pairs of ``count`` unit vectors, from their sum over the last dimension.

    >>> import torch
    >>> mean_of_pairs(torch.tensor([[2.0, 0.0], [1.0, 1.0]]), 2)
    tensor([1., 0.])
    """
    assert isinstance(total, Tensor)
    return (total.square().sum(-1) - count) / (count * (count - 1))


log = logging.getLogger(__name__)


def measure(
    lm: UQHFLM,
    sources: Sequence[Source],
    *,
    max_paraphrases: int = 5,
    positions: int | None = None,
    layers: str = "all",
    batch_size: int = 16,
    chat_template: bool = True,
) -> SpsResult:
    """The Semantic Preservation Score of every layer and position, on every data set.

    Args:
        lm: The model, as a run loads it.
        sources: The data sets.
        max_paraphrases: Only the first so many distinct paraphrases of each question.
        positions: How many of the prompt's last tokens; by default all that the chat template puts behind the user's
            text and a few of that.
        layers: ``all`` (the state entering every block, and what leaves the last one), ``a-b`` (0 is the embedding,
            the number of blocks what leaves the last one), or ``top_half``, ``last_quarter`` as SemGrad takes them.
        batch_size: Prompts in one forward pass; it halves where memory runs out.
        chat_template: Whether prompts go through the model's chat template; a model without one never uses one.

    Raises:
        UQHarnessError: A prompt has fewer tokens than ``positions``, or the model has not those layers.
    """
    if lm.world_size > 1:
        raise UQHarnessError(f"{lm.world_size} processes were started, but this analysis runs in one")
    architecture = Architecture.of(lm.model)
    chosen = _layers(layers, architecture.n_blocks)
    chat_template = chat_template and lm.tokenizer.chat_template is not None
    sets = [make_prompts(lm, source, max_paraphrases, chat_template=chat_template) for source in sources]
    count = _positions(positions, sets)
    found = [_measure_one(lm, architecture, prompts, chosen, count, batch_size) for prompts in sets]
    choices: Counter[int] = sum((prompts.template_choices for prompts in sets), Counter())
    return SpsResult.of(
        lm.identity,
        through_template=all(prompts.through_template for prompts in sets),
        blocks=architecture.n_blocks,
        layers=chosen,
        positions=_tokens(lm, sets, count),
        data_sets=found,
        template_choice=choices.most_common(1)[0][0],
        candidates=1 + max(prompts.suffix for prompts in sets),
        max_paraphrases=max_paraphrases,
        example=sets[0].example,
    )


def _layers(name: str, n_blocks: int) -> range:
    if name == "all":
        return range(n_blocks + 1)
    if name[:1].isdecimal():
        try:
            return LayerSpan(name).resolve(n_blocks + 1)
        except UQHarnessError:
            raise UQHarnessError(
                f"--layers {name} is not allowed: use all, top_half, last_quarter, or layers such as 2-5 from 0 (the "
                f"embedding) to {n_blocks} (what leaves the model's last block)"
            ) from None
    return LayerSpan(name).resolve(n_blocks)


def _positions(wanted: int | None, sets: Sequence[PromptSet]) -> int:
    """How many of the last tokens are looked at; no prompt may have fewer."""
    shortest = min(sets, key=PromptSet.shortest)
    room = shortest.shortest()
    if wanted is None:
        return min(room, max(prompts.suffix for prompts in sets) + USER_TOKENS)
    if wanted > room:
        raise UQHarnessError(
            f"--positions {wanted} goes beyond the beginning of the shortest prompt, which has {room} tokens "
            f"({shortest.source.name}): use a number from 1 to {room}"
        )
    return wanted


def _tokens(lm: UQHFLM, sets: Sequence[PromptSet], count: int) -> list[Position]:
    """The commonest token of every position."""
    last = np.array([ids[-count:] for prompts in sets for ids in chain.from_iterable(prompts.variants)])
    return commonest_tokens(last, lambda token: str(lm.tok_decode([token], skip_special_tokens=False)))


@dataclass(frozen=True)
class _Row:
    """A prompt.

    Attributes:
        question: Number of its question.
        paraphrase: Whether it is a paraphrase, and not the question itself.
        ids: Its tokens.
    """

    question: int
    paraphrase: bool
    ids: NDArray[np.int32]


def _rows(variants: Sequence[Sequence[NDArray[np.int32]]]) -> Iterator[_Row]:
    """All prompts question by question, the longest first so that memory runs out early or never."""
    for number in sorted(range(len(variants)), key=lambda number: -max(map(len, variants[number]))):
        for place, ids in enumerate(variants[number]):
            yield _Row(number, place > 0, ids)


def _measure_one(
    lm: UQHFLM, architecture: Architecture, prompts: PromptSet, layers: range, count: int, batch_size: int
) -> DataSetSps:
    started = time.perf_counter()
    rows = list(_rows(prompts.variants))
    sums = CosineSums([len(variants) for variants in prompts.variants])
    precision = lm.mixed_precision_dtype
    work = partial(_unit_sums, architecture, layers, count, lm.tokenizer.pad_token_id)
    with (
        tqdm(total=len(rows), disable=None, desc=f"Reading {prompts.source.name}") as bar,
        torch.autocast(lm.device.type, precision, enabled=precision is not None),
    ):
        for batch, found in in_shrinking_batches(work, rows, batch_size):
            sums.add(found)
            bar.update(len(batch))
    within, between = sums.means()
    undefined = int(np.isnan(within - between).sum())
    if undefined:
        log.warning(
            "%s: the score is undefined for %d of %d states, which are zero or not finite for some prompt",
            prompts.source.name,
            undefined,
            within.size,
        )
    source = prompts.source
    return DataSetSps(
        name=source.name,
        file=str(source.file.path),
        task=str(source.task.config.task),
        checked=source.documents is not None,
        questions=len(prompts.variants),
        paraphrases=len(rows) - len(prompts.variants),
        dropped=source.file.dropped,
        seconds=time.perf_counter() - started,
        within=within,
        between=between,
    )


def _unit_sums(architecture: Architecture, layers: range, count: int, pad: int, batch: Sequence[_Row]) -> UnitSums:
    """Sums of the unit vectors of a batch's states, in float64."""
    home = architecture.input_device
    ids, mask = left_pad([row.ids.tolist() for row in batch], pad, home)
    segments = [Segment(question, len(list(rows))) for question, rows in groupby(batch, lambda row: row.question)]
    of_segment = torch.repeat_interleave(torch.tensor([segment.rows for segment in segments]))
    originals = torch.tensor([row for row, one in enumerate(batch) if not one.paraphrase], dtype=torch.long)
    all_prompts: list[Tensor] = []
    questions: list[Tensor] = []

    def visit(layer: int, states: Tensor) -> None:
        units = in_float64(states)
        units = units / units.norm(dim=-1, keepdim=True)
        total = units.new_zeros(len(segments), *units.shape[1:])
        total.index_add_(0, of_segment.to(units.device), units)
        all_prompts.append(total.to(all_prompts[0].device if all_prompts else total.device))
        questions.append(units[originals.to(units.device)].sum(0).to(all_prompts[0].device))

    visit_last_positions(architecture, ids, mask, layers, count, visit)
    return UnitSums(segments, torch.stack(all_prompts, 1), torch.stack(questions))
