"""A chat model as the judge."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from uq_harness.correctness.base import Judge, register_judge
from uq_harness.errors import UQHarnessError

if TYPE_CHECKING:
    from uq_harness.endpoints.replies import ReplyCache
    from uq_harness.endpoints.settings import Endpoint

log = logging.getLogger(__name__)

PROMPT = """\
Is the candidate answer to the question correct? It is correct if it says the same as at least one of the reference \
answers, also in other words or with more detail, and contradicts none of what that answer says. Rely on the reference \
answers, not on what you know.

Question: {question}
Reference answers:
{references}
Candidate answer: {answer}

Reply with one word, yes or no."""
NO_ANSWER = "(no answer)"


@register_judge
@dataclass(frozen=True)
class LLMJudge(Judge):
    """1 if a chat model says yes when asked whether the answer is correct, 0 if it says no.

    It sees the question, all reference answers and the answer; the first word of its reply decides, and a reply with
    another first word is not a verdict. Li et al., arXiv 2605.04638, appendix D.1; the prompt is this package's.

    Attributes:
        threshold: The smallest score of a correct answer.
        model: The name by which the endpoint knows the model; needed.
        base_url: The endpoint's address; None means the environment variable OPENAI_BASE_URL, or OpenAI.
        api_key_env: The environment variable that holds the key; None means OPENAI_API_KEY.
        temperature: Sampling temperature; None leaves it to the endpoint.
        max_tokens: The longest reply; None leaves it to the endpoint, which models that think before they answer need.
        think_end: The mark that ends what the model thinks aloud before it replies.
        timeout: Seconds to wait for a whole reply.
        concurrency: The most requests at a time.
        retries: How often a request that failed is sent again.
        cache: The file of replies; None means the user's cache folder.
    """

    name: ClassVar[str] = "llm_judge"
    threshold: float = 0.5
    model: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = 0.0
    max_tokens: int | None = 16
    think_end: str = "</think>"
    timeout: float = 60.0
    concurrency: int = 8
    retries: int = 6
    cache: str | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        if not isinstance(self.model, str) or not self.model.strip():
            self.refuse("model", "the name by which the endpoint knows the chat model that judges")
        if self.cache is not None and (not isinstance(self.cache, str) or not self.cache):
            self.refuse("cache", "the path of a file, or leave it out")
        self._endpoint()

    def prepare(self) -> None:
        """Opens the file of replies and sends one request.

        Raises:
            UQHarnessError: The file, a package or the key cannot be had, or the endpoint cannot be used.
        """
        from uq_harness.endpoints.chat import ChatClient
        from uq_harness.endpoints.replies import ReplyCache

        ReplyCache(self.cache)
        ChatClient(self._endpoint()).check()

    def score(
        self, questions: Sequence[str], answers: Sequence[str], references: Sequence[Sequence[str]]
    ) -> list[float]:
        """The verdicts; ``nan`` where the reply was neither yes nor no, or no reply came after all retries.

        An endpoint that fails half way leaves the rest undefined, with an error in the log, so that the answers are
        not lost with it. Replies are kept as they come.
        """
        from uq_harness.endpoints.chat import ChatClient
        from uq_harness.endpoints.yes_no import ask_yes_no

        kept = self.usable_references(questions, answers, references)
        prompts = [prompt(*parts) for parts in zip(questions, answers, kept, strict=True)]
        return ask_yes_no(ChatClient(self._endpoint()), prompts, self._replies(), self.key).values

    def describe(self) -> dict[str, Any]:
        """Name and options, with the address that is used; never the key."""
        endpoint = self._endpoint()
        return {**super().describe(), "base_url": endpoint.url, "api_key_env": endpoint.known_variable}

    def _replies(self) -> ReplyCache | None:
        """The file of replies; None where it was lost since `prepare`, for the answers are worth more than the file."""
        from uq_harness.endpoints.replies import ReplyCache

        try:
            return ReplyCache(self.cache)
        except UQHarnessError as error:
            log.warning("%s: %s. The run goes on without it", self.key, error)
            return None

    def _endpoint(self) -> Endpoint:
        from uq_harness.endpoints.settings import Endpoint

        return Endpoint(
            model=self.model,
            base_url=self.base_url,
            api_key_env=self.api_key_env,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            think_end=self.think_end,
            timeout=self.timeout,
            concurrency=self.concurrency,
            retries=self.retries,
        )


def prompt(question: str, answer: str, references: Sequence[str]) -> str:
    """What the chat model is asked.

    >>> print(prompt("Who wrote Emma?", "It was Austen.", ["Jane Austen", "Austen"]))
    Is the candidate answer to the question correct? ...
    Question: Who wrote Emma?
    Reference answers:
    - Jane Austen
    - Austen
    Candidate answer: It was Austen.
    <BLANKLINE>
    Reply with one word, yes or no.
    """
    listed = "\n".join(f"- {reference.strip()}" for reference in references)
    return PROMPT.format(question=question.strip(), references=listed, answer=answer.strip() or NO_ANSWER)
