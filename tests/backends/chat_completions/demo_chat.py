"""A chat endpoint that answers from the demo model through its template, and misbehaves as told."""

from dataclasses import dataclass
from typing import Any

from tests.backends.demo_writer import WRITER, Step
from tests.backends.json_server import Refused


@dataclass(frozen=True)
class DemoChat:
    """What the endpoint does with requests.

    Attributes:
        logprobs: Whether it tells log-probabilities.
        top: How many likeliest tokens it takes to tell at most.
        after_temperature: Whether they are those after temperature and cuts.
        fixed_temperature: A temperature in the place of each request's.
        refused: Settings that it refuses.
        ignored: Settings that it passes over.
        moves_thinking: Whether thoughts come before each message and outside of it.
        not_told: Whether tokens that are not among the 20 likeliest have −9999.
        tells_the_end: Whether the end-of-sequence token is among the tokens.
        shared_seed: Whether all answers of a request have one seed.
        whole_texts: Whether ``bytes`` is left out.
    """

    logprobs: bool = True
    top: int = 20
    after_temperature: bool = False
    fixed_temperature: float | None = None
    refused: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    moves_thinking: bool = False
    not_told: bool = False
    tells_the_end: bool = True
    shared_seed: bool = False
    whole_texts: bool = False

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The reply to a body."""
        unknown = self.refused & body.keys()
        if unknown or body.get("top_logprobs", 0) > self.top:
            raise Refused(f"unsupported: {', '.join(unknown) or 'top_logprobs'}")
        body = {name: value for name, value in body.items() if name not in self.ignored}
        prompt = WRITER.chat(body["messages"])
        choices = [self._choice(body, prompt, i) for i in range(body.get("n", 1))]
        usage = {"prompt_tokens": len(prompt), "completion_tokens": sum(choice.pop("count") for choice in choices)}
        return {"object": "chat.completion", "choices": choices, "usage": usage, "system_fingerprint": "demo"}

    def _choice(self, body: dict[str, Any], prompt: list[int], number: int) -> dict[str, Any]:
        temperature = body.get("temperature", 1.0) if self.fixed_temperature is None else self.fixed_temperature
        limit = body.get("max_tokens") or body["max_completion_tokens"]
        seed = body.get("seed", id(body)) + (0 if self.shared_seed else number)
        cuts = body.get("top_p", 1.0), max(0, body.get("top_k", 0))
        steps = WRITER.write(prompt, limit, temperature, *cuts, seed if temperature else 0)
        ended = steps[-1].token == WRITER.tokenizer.eos_token_id
        text, steps, stopped = _stopped(steps, body.get("stop", ()))
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self.moves_thinking:
            message["reasoning_content"] = "Let me think. "
            steps = WRITER.write(WRITER.chat([{"role": "user", "content": "Think!"}]), 3, 0.0) + steps
        told = steps if self.tells_the_end or not ended else steps[:-1]
        top = body.get("top_logprobs", 0)
        shown = self.logprobs and body.get("logprobs")
        return {
            "index": number,
            "message": message,
            "logprobs": {"content": [self._token(step, top) for step in told]} if shown else None,
            "finish_reason": "stop" if ended or stopped else "length",
            "count": len(steps),
        }

    def _token(self, step: Step, top: int) -> dict[str, Any]:
        law = step.drawn if self.after_temperature else step.own
        among = step.token in dict(step.top(20))
        told = float(law[step.token]) if among or not self.not_told else -9999.0
        likeliest = step.top(top, own=not self.after_temperature)
        return {
            **self._named(step.token),
            "logprob": told,
            "top_logprobs": [{**self._named(token), "logprob": value} for token, value in likeliest],
        }

    def _named(self, token: int) -> dict[str, Any]:
        name = WRITER.decode([token], special=True)
        written = None if self.whole_texts else list(name.encode())
        return {"token": name, "bytes": written}


def _stopped(steps: list[Step], stops: Any) -> tuple[str, list[Step], bool]:
    """Text and tokens up to the first stop string, which is cut from the text only."""
    for count in range(1, len(steps) + 1):
        text = WRITER.decode([step.token for step in steps[:count]])
        places = [place for stop in stops if (place := text.find(stop)) >= 0]
        if places:
            return text[: min(places)], steps[:count], True
    return WRITER.decode([step.token for step in steps]), steps, False
