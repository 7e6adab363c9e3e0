"""The demo model writes on from tokens as servers do, by torch alone: what stubs of servers answer from."""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness.demo import MODEL_DIR


@dataclass(frozen=True)
class Step:
    """One token that was written.

    Attributes:
        token: The token.
        own: The model's own log-probabilities of all tokens.
        drawn: Those of the law that it was drawn from.
    """

    token: int
    own: torch.Tensor
    drawn: torch.Tensor

    def top(self, count: int, own: bool = True) -> list[tuple[int, float]]:
        """The likeliest tokens, best first."""
        law = self.own if own else self.drawn
        values, tokens = law.topk(count)
        return [(int(t), float(v)) for t, v in zip(tokens, values, strict=True) if v > -1e9]


@dataclass
class Writer:
    """The demo model with its tokenizer; threads may share it."""

    known: dict[Any, list[Step]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def model(self) -> Any:
        return AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()

    @cached_property
    def tokenizer(self) -> Any:
        return AutoTokenizer.from_pretrained(MODEL_DIR)

    def chat(self, messages: list[dict[str, str]]) -> list[int]:
        """The tokens of a chat, ready for an answer."""
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text)["input_ids"])

    def decode(self, tokens: list[int], special: bool = False) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=not special))

    def write(
        self,
        ids: list[int],
        count: int,
        temperature: float,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int = 0,
        bias: dict[int, float] | None = None,
    ) -> list[Step]:
        """Writes on up to the end-of-sequence token or a number of tokens."""
        key = (tuple(ids), count, temperature, top_p, top_k, seed, tuple((bias or {}).items()))
        with self.lock:
            if key not in self.known:
                self.known[key] = self._write(ids, count, temperature, top_p, top_k, seed, bias or {})
            return self.known[key]

    @torch.no_grad()
    def _write(
        self, ids: list[int], count: int, temperature: float, top_p: float, top_k: int, seed: int, bias: Any
    ) -> Any:
        generator = torch.Generator().manual_seed(seed % 2**63)
        steps: list[Step] = []
        past, fed = None, torch.tensor([ids])
        while len(steps) < count and not (steps and steps[-1].token == self.tokenizer.eos_token_id):
            out = self.model(fed, past_key_values=past, use_cache=True)
            past, logits = out.past_key_values, out.logits[0, -1].clone()
            own = logits.log_softmax(-1)
            for token, added in bias.items():
                logits[token] += added
            drawn = _law(logits, temperature, top_p, top_k)
            token = (
                int(drawn.argmax()) if not temperature else int(torch.multinomial(drawn.exp(), 1, generator=generator))
            )
            steps.append(Step(token, own, drawn))
            fed = torch.tensor([[token]])
        return steps

    @torch.no_grad()
    def read(self, ids: list[int]) -> torch.Tensor:
        """Log-probabilities at each place, ``[tokens, vocabulary]``; those of place i are about token i + 1."""
        with self.lock:
            return torch.as_tensor(self.model(torch.tensor([ids])).logits[0].log_softmax(-1))


def _law(logits: torch.Tensor, temperature: float, top_p: float, top_k: int) -> torch.Tensor:
    """Log-probabilities after temperature and cuts."""
    law = (logits / (temperature or 1.0)).log_softmax(-1)
    values, order = law.sort(descending=True)
    out = torch.zeros_like(order, dtype=torch.bool)
    if top_k > 0:
        out[top_k:] = True
    out |= values.exp().cumsum(-1) - values.exp() >= top_p
    return law.index_fill(0, order[out], -torch.inf).log_softmax(-1)


WRITER = Writer()
