"""Chat templates that take lists of parts, templates that lose the question, and templates that open a thought."""

import logging
from pathlib import Path

import pytest
from transformers import AddedToken, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from uq_harness import UncertaintyModel
from uq_harness.answering.template import holds
from uq_harness.answering.thinking import ThinkingNotice
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import QuestionInstance
from uq_harness.models import UQHFLM

QUESTION = "What do people call the capital city of Foloria?"
WRITES = {
    "text": "{{ message['content'] | trim }}",
    "parts": "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}",
    "parts, texts refused": (
        "{% if message['content'] is string %}{{ raise_exception('a list is wanted') }}{% endif %}"
        "{{ message['content'][0]['text'] }}"
    ),
    "lost": "{{ message['text'] }}",
}


def template(writes: str, opens: str = "") -> str:
    turn = "<|im_start|>{{ message['role'] }}\n" + writes + "<|im_end|>\n"
    header = "{% if add_generation_prompt %}<|im_start|>assistant\n" + opens + "{% endif %}"
    return "{% for message in messages %}" + turn + "{% endfor %}" + header


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="module")
def model() -> object:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR)


def saved(model, tokenizer: PreTrainedTokenizerBase, folder: Path) -> str:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def request(lm: UQHFLM) -> QuestionInstance:
    prompt = lm.apply_chat_template([{"role": "user", "content": QUESTION}])
    arguments = (prompt, {"until": [], "max_gen_toks": 8})
    return QuestionInstance("generate_until", {}, arguments, 0, question=QUESTION, message=QUESTION)


class TestParts:
    @pytest.mark.parametrize("kind", ["parts", "parts, texts refused"])
    def test_questions_get_the_same_prompt_as_with_a_template_of_texts(
        self, kind: str, model, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
    ) -> None:
        answers, prompts = [], []
        for number, name in enumerate(("text", kind)):
            tokenizer.chat_template = template(WRITES[name])
            answers += UncertaintyModel(model, tokenizer, methods="g_nll+semgrad", max_new_tokens=8).answer([QUESTION])
            lm = UQHFLM(saved(model, tokenizer, tmp_path / str(number)), methods="g_nll", device="cpu")
            prompts += lm.prompts([request(lm)])
        assert answers[1].uncertainty == answers[0].uncertainty
        assert answers[1].text == answers[0].text
        assert prompts[1].token_ids == prompts[0].token_ids
        assert prompts[1].semantic_token == prompts[0].semantic_token

    def test_a_lost_question_is_an_error_before_the_first_answer(
        self, model, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
    ) -> None:
        tokenizer.chat_template = template(WRITES["lost"])
        message = rf"chat template of .* loses the question '{QUESTION[:-1]}\?'.*--apply_chat_template"
        with pytest.raises(UQHarnessError, match=message):
            UncertaintyModel(model, tokenizer, methods="g_nll").answer([QUESTION])
        lm = UQHFLM(saved(model, tokenizer, tmp_path), methods="g_nll", device="cpu")
        with pytest.raises(UQHarnessError, match=message):
            lm.generate_until([request(lm)])


@pytest.mark.parametrize(
    ("prompt", "words", "held"),
    [
        ("<user> Who wrote Emma?</user>", "  Who wrote Emma?\n", True),
        ("<user>Is it &quot;2 &lt; 3&quot;?</user>", 'Is it "2 < 3"?', True),
        ("<user>W</user>", "Who?", False),
        ("<user></user>", "?!", True),
    ],
)
def test_what_a_template_does_around_words_does_not_matter(prompt: str, words: str, held: bool) -> None:
    assert holds(prompt, words) is held


class TestThinking:
    def test_a_template_that_opens_a_thought_gets_one_hint(
        self, model, tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
    ) -> None:
        tokenizer.chat_template = template(WRITES["text"], opens="<think>\n")
        uncertain = UncertaintyModel(model, tokenizer, methods="g_nll", max_new_tokens=4)
        uncertain.answer([QUESTION, QUESTION])
        uncertain.answer([QUESTION])
        hints = [record.getMessage() for record in caplog.records if "think_end_token=" in record.getMessage()]
        assert len(hints) == 1
        assert "give think_end_token=</think>," in hints[0]

    def test_no_hint_where_the_user_said_how_thoughts_end(
        self, model, tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
    ) -> None:
        tokenizer.chat_template = template(WRITES["text"], opens="<think>\n")
        UncertaintyModel(model, tokenizer, methods="g_nll", max_new_tokens=4, think_end_token="</think>").answer(
            [QUESTION]
        )
        assert "think_end_token" not in caplog.text

    @pytest.mark.parametrize(
        ("prompt", "answer", "hint"),
        [
            ("user: Who?", "It may be ... </think> Austen", "</think>"),
            ("user: Who?", "<think> It may be", "</think>"),
            ("user: Who?", "I think Austen", None),
            ("user: <think></think>\n", "Austen", None),
            ("user: Who?", "analysis ...<|channel|>final<|message|>Austen", "<|channel|>final<|message|>"),
        ],
    )
    def test_marks_in_prompts_and_answers(
        self,
        prompt: str,
        answer: str,
        hint: str | None,
        tokenizer: PreTrainedTokenizerBase,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        ThinkingNotice(tokenizer, None).look(*tokenizer([prompt, answer])["input_ids"])
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * (hint is not None)
        if hint is not None:
            assert f"think_end_token={hint}," in caplog.text

    def test_a_mark_that_texts_do_not_show_is_named_by_its_number(
        self, tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
    ) -> None:
        tokenizer.add_tokens([AddedToken("[/THINK]", special=True)], special_tokens=True)
        number = tokenizer.convert_tokens_to_ids("[/THINK]")
        ThinkingNotice(tokenizer, None).look([], [*tokenizer("so")["input_ids"], number])
        assert f"think_end_token={number}," in caplog.text
