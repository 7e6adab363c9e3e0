"""Making paraphrases: question by question, many at a time, resumable."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from uq_harness.endpoints.chat import ChatClient
from uq_harness.endpoints.failures import EndpointError, RequestRefused
from uq_harness.endpoints.settings import Endpoint
from uq_harness.errors import UQHarnessError
from uq_harness.files import user_path
from uq_harness.studies.paraphrase.file import open_output
from uq_harness.studies.paraphrase.prompt import further, prompt, read_reply
from uq_harness.studies.paraphrase.questions import Question

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """What a run left in its file.

    Attributes:
        path: The file.
        questions: The number of questions that were to be paraphrased.
        known: How many of them the file had all paraphrases of before.
        short: Questions with fewer paraphrases than wanted, and how many they have.
        refused: Questions whose requests the endpoint refused, and the reason.
    """

    path: Path
    questions: int
    known: int
    short: dict[str, int]
    refused: dict[str, str]


def make_paraphrases(
    endpoint: Endpoint,
    questions: Sequence[Question],
    output: str | Path,
    n: int = 5,
    rounds: int = 5,
    limit: int | None = None,
) -> Made:
    """Writes a file with n paraphrases of each question.

    A question's line is on disk when the question is done, so a killed run loses only the questions it was at; the same
    call goes on where it stopped, and asks again for what is missing. In the end the lines are in the questions'
    order.

    Args:
        endpoint: The chat model.
        questions: The questions; distinct.
        output: The file.
        n: Paraphrases of each question.
        rounds: The most requests a question; a further one asks for what is still missing.
        limit: Only the first so many questions are paraphrased.

    Raises:
        UQHarnessError: An argument is not allowed, or the file holds something else.
        EndpointError: The endpoint cannot be used, or no longer; what was found is in the file.
    """
    _check_counts(n=n, rounds=rounds, limit=1 if limit is None else limit)
    wanted = list(questions[:limit])
    path = user_path(output, "output")
    refused: dict[str, str] = {}
    with open_output(path, questions) as file:
        missing = [q for q in wanted if len(file.paraphrases.get(q.question, ())) < n]
        if missing:
            client = ChatClient(endpoint)
            client.check()
            failure: EndpointError | None = None
            known = {q.question: list(file.paraphrases.get(q.question, ())) for q in missing}

            def work(question: Question) -> Found:
                return _paraphrase(client, question.question, known[question.question], n, rounds)

            with tqdm(total=len(wanted), initial=len(wanted) - len(missing), desc="questions", disable=None) as bar:
                for question, found in client.map(work, missing):
                    if found.new:
                        file.add(question.question, found.new)
                    if isinstance(found.error, RequestRefused):
                        refused[question.question] = str(found.error)
                    elif found.error is not None:
                        failure = failure or found.error
                        client.stop()
                        continue
                    bar.update()
            if failure is not None:
                done = sum(len(file.paraphrases.get(q.question, ())) >= n for q in wanted)
                raise EndpointError(
                    f"{failure}. {done} of {len(wanted)} questions are done and in {path}: start again with the same "
                    "arguments to go on"
                )
        file.finish()
        counts = {q.question: len(file.paraphrases.get(q.question, ())) for q in wanted}
    short = {question: count for question, count in counts.items() if count < n}
    return Made(path, len(wanted), len(wanted) - len(missing), short, refused)


@dataclass(frozen=True)
class Found:
    """What was found for a question, and what ended the search early."""

    new: list[str]
    error: EndpointError | None = None


def _paraphrase(client: ChatClient, question: str, known: Sequence[str], n: int, rounds: int) -> Found:
    """Asks until there are n paraphrases, the rounds are over, or asking again would be the same request."""
    new: list[str] = []
    for _ in range(rounds):
        taken = [*known, *new]
        wanted = n - len(taken)
        try:
            reply = client.ask(prompt(question, wanted, taken))
        except EndpointError as error:
            return Found(new, error)
        found = further(question, taken, read_reply(reply))[:wanted]
        new += found
        if len(found) == wanted or (not found and client.endpoint.temperature == 0):
            break
    return Found(new)


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UQHarnessError(f"{name}={value!r} is not allowed, use a whole number from 1 on")
