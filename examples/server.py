"""Answers questions over HTTP and says how probably each answer is wrong; requests that wait share batches.

It needs FastAPI and uvicorn (``pip install fastapi uvicorn``). Started as ``python examples/server.py --port 8000``, it
answers ``{"question": "..."}`` posted to ``/answer``, and shows all of its interface at ``/docs``. With ``--policy`` it
gives only answers that the policy allows, and refuses to start with a model that the policy was not made for.
"""

from __future__ import annotations

import argparse
import logging
import math

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from uq_harness import Abstainer, UncertaintyModel
from uq_harness.errors import UQHarnessError

# How questions are put, and how long answers may be: as in the run that the policy was made from.
PROMPT = "Please directly answer the following question with one or few words:\n{question}"
MAX_NEW_TOKENS = 150


class Question(BaseModel):
    """What is asked."""

    question: str


class Reply(BaseModel):
    """What is answered: no text where the policy abstains; scores and probability are null where they are undefined."""

    question: str
    answer: str | None
    uncertainty: dict[str, float | None]
    error_probability: float | None


def create_app(model: UncertaintyModel, abstainer: Abstainer | None = None) -> FastAPI:
    """The server's application.

    Args:
        model: What answers.
        abstainer: Decides which answers are given; ``None`` gives all of them.

    Raises:
        UQHarnessError: The policy was not made for this model.
    """
    if abstainer is not None:
        abstainer.check(model)
    app = FastAPI(title="Answers with uncertainty")

    @app.post("/answer")
    async def answer(asked: Question) -> Reply:
        (found,) = await model.aanswer([asked.question])
        given = abstainer is None or abstainer.should_answer(found)
        return Reply(
            question=found.question,
            answer=found.text if given else None,
            uncertainty={method: number_or_null(score) for method, score in found.uncertainty.items()},
            error_probability=None if abstainer is None else number_or_null(abstainer.error_probability(found)),
        )

    @app.get("/model")
    async def describe() -> dict[str, object]:
        return model.describe()

    @app.exception_handler(UQHarnessError)
    async def refuse(_: Request, error: UQHarnessError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=422)

    return app


def number_or_null(value: float) -> float | None:
    """The value, or ``None`` where it is undefined: JSON has no NaN."""
    return value if math.isfinite(value) else None


def main() -> None:
    """Loads the model and serves it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo", help="a name on the hub, a folder, or demo")
    parser.add_argument("--device", help="without it the first GPU, or the CPU where there is none")
    parser.add_argument("--methods", default="semgrad", help="methods of uncertainty, joined by +")
    parser.add_argument("--policy", help="threshold.json of uq-harness threshold; its method is the one computed")
    parser.add_argument("--batch-size", type=int, default=16, help="questions that are answered together at most")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 for any free port")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning"])
    given = parser.parse_args()
    logging.basicConfig(level="INFO")
    logging.getLogger("uq_harness").setLevel(given.log_level.upper())  # debug tells the size of each batch
    abstainer = Abstainer.load(given.policy) if given.policy else None
    model = UncertaintyModel.from_pretrained(
        given.model,
        methods=given.methods if abstainer is None else abstainer.method,
        device=given.device,
        prompt=PROMPT,
        max_new_tokens=MAX_NEW_TOKENS,
        batch_size=given.batch_size,
    )
    uvicorn.run(create_app(model, abstainer), host=given.host, port=given.port, log_config=None)


if __name__ == "__main__":
    try:
        main()
    except UQHarnessError as error:
        raise SystemExit(f"{error}") from None
