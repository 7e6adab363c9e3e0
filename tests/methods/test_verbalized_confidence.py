"""Verbalised confidence: the reply about the answer from every kind of backend, and what becomes of it."""

import copy
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.backends.chat_completions.demo_chat import DemoChat
from tests.backends.chat_completions.test_backend import chat
from tests.backends.chat_completions.test_backend import gathered as chatted
from tests.backends.json_server import Refused
from tests.backends.served.demo import CONTEXT, WORDS, demo, engine, gathered, prompts, served, stop
from uq_harness import UncertaintyModel
from uq_harness.answering.answerer import Answerer
from uq_harness.backends.saved.backend import SavedBackend
from uq_harness.backends.saved.read import read_saved
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.second_pass import GivenAnswer, GivenPrompt, SecondPass
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Answer, Evidence
from uq_harness.evidence.prompt import Prompt
from uq_harness.methods import build_methods, scores, select_methods
from uq_harness.methods.verbalized_confidence import REPLY
from uq_harness.models.score_file import score_file
from uq_harness.similarity.build import build_nli, build_similarity

METHODS = build_methods("verbalized_confidence", {})
SERVICES = build_nli(model="lexical"), build_similarity(model="lexical")


def own_backend(kind: type[TransformersBackend] = TransformersBackend, context: int = CONTEXT) -> TransformersBackend:
    backend = kind(*demo(), max_length=context, pad_id=0)
    backend.prepare([REPLY])
    return backend


def plain(prompt: Prompt, answer: str) -> str:
    """The reply that the model gives by itself to the conversation that its template writes."""
    model, tokenizer = demo()
    turns = [("user", prompt.message), ("assistant", answer), ("user", REPLY.message)]
    text = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in turns], tokenize=False, add_generation_prompt=True
    )
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    written: list[int] = []
    while len(written) < REPLY.max_tokens and tokenizer.eos_token_id not in written:
        with torch.no_grad():
            scored = model(torch.cat([ids, torch.tensor([written], dtype=torch.long)], 1), use_cache=False).logits
        written.append(int(scored[0, -1].argmax()))
    cut = "" if tokenizer.eos_token_id in written else "…"
    return tokenizer.decode(written, skip_special_tokens=True).strip() + cut


def score(reply: str) -> float:
    nothing = Answer("x", None, None, None, complete=None)
    return scores(METHODS, Evidence("?", nothing, {REPLY: reply}))["verbalized_confidence"]


def test_the_score_is_what_is_left_of_certainty() -> None:
    assert score("0.9") == pytest.approx(0.1)
    assert score("30 %") == pytest.approx(0.7)
    assert (score("0"), score("1.0")) == (1.0, 0.0)
    assert math.isnan(score("I am sure"))


def test_it_belongs_to_all_alone() -> None:
    sets = {name: [one.name for one in select_methods(name)] for name in ("all", "sampling_free", "cheap", "default")}
    assert [name for name, some in sets.items() if "verbalized_confidence" in some] == ["all"]


def test_the_reply_is_that_of_the_model_by_itself() -> None:
    asked = prompts(8)
    for prompt, found in zip(asked, gathered(own_backend(), asked, stop()), strict=True):
        assert found[REPLY] == plain(prompt, found.answer.text)
        assert found.cost["scored_texts"] == 1
        assert found.cost["scoring_seconds"] > 0


@pytest.mark.parametrize("size", [1, 8, 64])
def test_the_batch_and_the_order_change_no_reply(size: int) -> None:
    asked = prompts(24, every=7)
    whole = [one[REPLY] for one in gathered(own_backend(), asked, stop(), 24)]
    order = np.random.default_rng(size).permutation(len(asked)).tolist()
    other = gathered(own_backend(), [asked[row] for row in order], stop(), size)
    assert [one[REPLY] for one in other] == [whole[row] for row in order]


def test_stop_strings_of_the_task_do_not_cut_the_reply() -> None:
    asked = prompts(4)
    whole = gathered(own_backend(), asked, stop())
    letter = whole[0][REPLY][1]
    until = stop([letter])
    for prompt, found in zip(asked, gathered(own_backend(), asked, until), strict=True):
        assert letter not in found.answer.text
        assert found[REPLY] == plain(prompt, found.answer.text)
    for one, of_engine in zip(
        gathered(own_backend(), asked, until), gathered(served(engine(), [REPLY]), asked, until), strict=True
    ):
        assert of_engine[REPLY] == one[REPLY]


def test_an_engine_is_asked_once_more() -> None:
    asked = prompts(5)
    own = gathered(own_backend(), asked, stop())
    for ours, found in zip(own, gathered(served(engine(), [REPLY]), asked, stop()), strict=True):
        assert (found.answer.text, found[REPLY]) == (ours.answer.text, ours[REPLY])
        assert found.cost["requests"] == 2


def test_a_second_pass_gives_the_same_replies() -> None:
    asked = prompts(6)
    own = gathered(own_backend(), asked, stop())
    given = [
        GivenPrompt(**vars(prompt), answer=GivenAnswer(one.answer.text, one.answer.token_ids, one.answer.token_ids))
        for prompt, one in zip(asked, own, strict=True)
    ]
    again = gathered(own_backend(SecondPass), given, stop(), 4)
    assert [one[REPLY] for one in again] == [one[REPLY] for one in own]


def test_a_chat_endpoint_is_asked_in_messages() -> None:
    question = WORDS + "What do people call the capital city of Foloria?"
    with chat(DemoChat()) as (backend, server):
        assert backend.missing(REPLY) is None
        (found,) = chatted(backend, "a", questions=(question,), needs=(REPLY,))
        (_, answered), (_, asked) = server.bodies
    assert [one["role"] for one in asked["messages"]] == ["user", "assistant", "user"]
    assert [one["content"] for one in asked["messages"]] == [question, found.answer.text, REPLY.message]
    assert (asked["max_tokens"], asked["temperature"]) == (REPLY.max_tokens, 0.0)
    assert "stop" in answered
    assert "stop" not in asked
    assert found[REPLY] == plain(Prompt(question, question, (), -1), found.answer.text)
    assert found.cost["requests"] == 2


def test_a_chat_endpoint_that_refuses_the_turn_leaves_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    class OneTurn(DemoChat):
        def complete(self, body: dict) -> dict:
            if len(body["messages"]) > 1:
                raise Refused("one turn only")
            return super().complete(body)

    with chat(OneTurn()) as (backend, _), caplog.at_level(logging.WARNING, "uq_harness"):
        found = chatted(backend, needs=(REPLY,))
    assert all(one.answer.text and one.refused is None and not one.defines([REPLY]) for one in found)
    assert "refused samples or further turns for 3 of 3 questions" in caplog.text


@pytest.mark.parametrize("is_served", [False, True])
def test_a_turn_that_does_not_fit_into_the_context_is_undefined(
    is_served: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (prompt,) = prompts(1)
    short = len(prompt.go_on("", REPLY.message))  # there is no room for answer and reply behind it
    backend = served(engine(), [REPLY], max_length=short) if is_served else own_backend(context=short)
    with caplog.at_level(logging.WARNING, "uq_harness"):
        (found,) = gathered(backend, [prompt], stop())
    assert found.answer.text
    assert not found.defines([REPLY])
    assert math.isnan(scores(METHODS, found)["verbalized_confidence"])
    assert "does not fit into the context" in caplog.text


def test_without_a_chat_template_nothing_begins() -> None:
    tokenizer = copy.deepcopy(demo()[1])
    tokenizer.chat_template = None
    assert "a chat template" in str(ServedBackend(engine(), tokenizer, max_length=CONTEXT).missing(REPLY))
    words = "verbalized_confidence cannot be computed: a chat template, which writes.*the methods .*g_nll"
    with pytest.raises(UQHarnessError, match=words):
        UncertaintyModel(demo()[0], tokenizer, methods="g_nll+verbalized_confidence", apply_chat_template=False)


def test_without_a_chat_template_all_is_all_else(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = copy.deepcopy(demo()[1])
    tokenizer.chat_template = None
    how = {"apply_chat_template": False, "max_new_tokens": 4, "nli_model": "lexical", "similarity_model": "lexical"}
    with caplog.at_level(logging.WARNING, "uq_harness"):
        model = UncertaintyModel(demo()[0], tokenizer, methods="all", **how)
    assert set(model.describe()["methods"]) == {one.name for one in select_methods("all")} - {"verbalized_confidence"}
    assert "leaves out verbalized_confidence (a chat template" in caplog.text


def saved_file(folder: Path, *replies: str | None) -> Path:
    rows = [
        {
            **{"question": f"Which {n}?", "answers": ["a"], "answer": "a"},
            **({} if reply is None else {"confidence_reply": reply}),
        }
        for n, reply in enumerate(replies)
    ]
    file = folder / "saved.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def test_a_file_that_holds_replies_is_scored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = read_saved(saved_file(tmp_path, "0.75", "no idea", None))
    without = SavedBackend(file.answers[2])
    assert "confidence_reply" in str(without.missing(REPLY))
    arguments = {"nli_model": "lexical", "similarity_model": "lexical"}
    with caplog.at_level(logging.WARNING, "uq_harness"):
        scored = score_file(
            file, arguments=arguments, methods="verbalized_confidence", correctness="exact_match", output=tmp_path
        )
    (report,) = scored.methods
    assert (report.computed, report.undefined, sum(report.lacking.values())) == (2, 1, 1)
    assert "1 of 2 replies state no probability" in caplog.text
    assert "'no idea'" in caplog.text
    (log,) = (path for path in scored.written if path.name.startswith("samples_"))
    records = [json.loads(line)["doc"]["uq"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert [one["uncertainty"]["verbalized_confidence"] for one in records] == [0.25, None, None]
    assert [one.get("confidence_reply") for one in records] == ["0.75", "no idea", None]
    again = read_saved(log)  # what was written can be scored again
    assert [one.confidence_reply for one in again.answers] == ["0.75", "no idea", None]


@pytest.mark.parametrize("reply", [3, ["0.9"], True])
def test_a_reply_in_a_file_is_a_text(reply: object, tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match=r"confidence_reply is .*: it needs to be a text"):
        read_saved(saved_file(tmp_path, reply))  # type: ignore[arg-type]


def test_replies_without_a_number_are_counted_and_kept_in_the_records(caplog: pytest.LogCaptureFixture) -> None:
    asked = prompts(3)
    answerer = Answerer(own_backend(), SERVICES, METHODS)
    with caplog.at_level(logging.WARNING, "uq_harness"):
        found = dict(answerer.answer(asked, stop(), 4))
    replies = [found[row][REPLY] for row in range(3)]
    for row, reply in enumerate(replies):
        record = answerer.record(found[row])
        assert record["confidence_reply"] == reply
        assert record["uncertainty"] == {"verbalized_confidence": None}  # the demo model knows no numbers
    assert "3 of 3 replies state no probability" in caplog.text
    assert any(repr(reply) in caplog.text for reply in replies)
