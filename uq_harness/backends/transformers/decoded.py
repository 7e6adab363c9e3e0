"""What decoding yields: answers to one prompt, and a batch of such prompts as the passes behind it take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers.cache_utils import DynamicCache

from uq_harness.backends.transformers.cache import CacheRow, stack
from uq_harness.backends.transformers.forward import Prefill, left_pad
from uq_harness.evidence import SampleSet
from uq_harness.functional import FloatArray


@dataclass(frozen=True)
class DecodedAnswer:
    """An answer, greedy or drawn by a sampler.

    Attributes:
        token_ids: Its tokens, the end-of-sequence token included when it was chosen.
        logprobs: Log-probability of each token under the model itself (temperature 1, nothing cut off), float64.
        entropies: Entropy in nats of the model's distribution for each token, float64.
        ended: Whether the answer ended by itself, not by the token limit.
        state: Of a sample, where wanted, the input of the middle block at the last token that was fed back to the
            model, or at the prompt's last token where none was, ``[width]``, on the CPU.
        laws: Of a sample, where wanted, the log-probability of each token under the law that it was drawn from.
        logits: Of a sample, where wanted, the logit of each token.
        tempered: Of a beam search's answer, where wanted, the log-probability of each token at another temperature.
        distributions: Of a greedy answer what `Sums` has taken of each token's distribution, where it has.
        read: Its text and the range of its tokens that count, where they are known; ``None`` for one still to be read.
    """

    token_ids: tuple[int, ...]
    logprobs: FloatArray
    entropies: FloatArray
    ended: bool
    state: Tensor | None = None
    laws: FloatArray | None = None
    logits: FloatArray | None = None
    tempered: FloatArray | None = None
    distributions: tuple[FloatArray, ...] = ()
    read: tuple[str, range] | None = None


@dataclass(frozen=True)
class DecodedPrompt:
    """All answers to one prompt.

    Attributes:
        number: Which of the given prompts it is.
        prompt_ids: Its tokens.
        greedy: The greedy answer.
        samples: The answers of every sampler; those of a beam search best first.
        head_states: The state that the head read to predict each token of the greedy answer, ``[tokens, width]``; only
            the first where the others are not kept.
        middle_states: The states that entered the captured block, from the wanted prompt column to the answer's last
            but one token, ``[columns, width]``.
        cache: The prompt's keys and values; ``None`` where the model's cache cannot be shared.
        row_steps: Its forward tokens: tokens that went through the model in all steps, the prompt counted as one.
        seconds: Its share of the time that decoding took, by its share of each step's forward tokens.
        seconds_of_sets: Of these the seconds of what the greedy answer does not read, by all sample sets that do.
        self_attention: The weight that each token of the greedy answer but the last gave to itself when it was fed,
            ``[blocks, heads, tokens - 1]``; ``None`` where it was not wanted, or no token was fed.
    """

    number: int
    prompt_ids: Sequence[int]
    greedy: DecodedAnswer
    samples: dict[SampleSet, list[DecodedAnswer]]
    head_states: Tensor
    middle_states: Tensor | None
    cache: CacheRow | None
    row_steps: int
    seconds: float
    self_attention: Tensor | None = None
    seconds_of_sets: Mapping[frozenset[SampleSet], float] = field(default_factory=dict)


@dataclass
class Decoded:
    """A batch of greedy answers, and the samples.

    Attributes:
        prompt_ids: Prompts, padded on the left, ``[batch, prompt]``.
        prompt_mask: Attention mask of the prompts, ``[batch, prompt]``.
        token_ids: Answers, padded on the right, ``[batch, steps]``.
        lengths: Number of tokens of each answer, end-of-sequence token included.
        ended: Whether each answer ended by itself, not by the token limit.
        logprobs: Log-probability of each token, float64, ``[batch, steps]``.
        entropies: Entropy of each token's distribution in nats, float64, ``[batch, steps]``.
        head_states: The state that the head read to predict each token, zero behind an answer's end,
            ``[batch, steps, width]``; only the first where the others are not kept.
        middle_states: The states entering the captured block from prompt column ``first_column`` on, zero behind an
            answer's last but one token, ``[batch, columns, width]``; ``None`` where no block was captured.
        first_column: The prompt column where ``middle_states`` begin.
        prompt_cache: Keys and values of the prompts; ``None`` where they were not kept or cannot be shared.
        samples: For each prompt the answers of every sampler; those of a beam search best first.
        row_steps: The forward tokens of all prompts.
        read: The text of each greedy answer and the range of its tokens that count; ``None`` for one still to be read.
        self_attention: That of each greedy answer, as in `DecodedPrompt`.
        distributions: For each greedy answer what `Sums` has taken of each token's distribution, where it has.
    """

    prompt_ids: Tensor
    prompt_mask: Tensor
    token_ids: Tensor
    lengths: list[int]
    ended: list[bool]
    logprobs: Tensor
    entropies: Tensor
    head_states: Tensor
    middle_states: Tensor | None
    first_column: int
    prompt_cache: DynamicCache | None
    samples: list[dict[SampleSet, list[DecodedAnswer]]]
    row_steps: int
    read: list[tuple[str, range] | None]
    self_attention: list[Tensor | None]
    distributions: list[tuple[FloatArray, ...]]

    @classmethod
    def of(cls, prompts: Sequence[DecodedPrompt], pad_id: int, device: torch.device) -> Decoded:
        """Puts prompts together in one batch, whenever each of them was answered.

        Args:
            prompts: The prompts, with the same things kept of each.
            pad_id: Token that fills the padding.
            device: Where the token ids are put.
        """
        answers = [prompt.greedy for prompt in prompts]
        ids, mask = left_pad([prompt.prompt_ids for prompt in prompts], pad_id, device)
        caches = [prompt.cache for prompt in prompts if prompt.cache is not None]
        captured = [prompt.middle_states for prompt in prompts if prompt.middle_states is not None]
        before = [len(states) - len(p.greedy.token_ids) + 1 for p, states in zip(prompts, captured, strict=False)]
        return cls(
            prompt_ids=ids,
            prompt_mask=mask,
            token_ids=pad_sequence([torch.tensor(answer.token_ids, device=device) for answer in answers], True),
            lengths=[len(answer.token_ids) for answer in answers],
            ended=[answer.ended for answer in answers],
            logprobs=pad_sequence([torch.as_tensor(answer.logprobs) for answer in answers], True),
            entropies=pad_sequence([torch.as_tensor(answer.entropies) for answer in answers], True),
            head_states=pad_sequence([prompt.head_states for prompt in prompts], True),
            middle_states=_align(captured, before) if captured else None,
            first_column=ids.shape[1] - max(before, default=1),
            prompt_cache=stack(caches) if caches else None,
            samples=[prompt.samples for prompt in prompts],
            row_steps=sum(prompt.row_steps for prompt in prompts),
            read=[answer.read for answer in answers],
            self_attention=[prompt.self_attention for prompt in prompts],
            distributions=[answer.distributions for answer in answers],
        )

    @property
    def prefill(self) -> Prefill:
        """The prompts, which need not be read again."""
        return Prefill(self.prompt_ids, self.prompt_mask, self.head_states[:, 0], self.prompt_cache, {})


def _align(states: Sequence[Tensor], before: Sequence[int]) -> Tensor:
    """States of several prompts one above the other, the ends of the prompts in one column.

    Args:
        states: States, ``[columns, width]`` each.
        before: How many of them belong to the prompt.
    """
    left = [pad(state, (0, 0, max(before) - n, 0)) for state, n in zip(states, before, strict=True)]
    return pad_sequence(left, batch_first=True)
