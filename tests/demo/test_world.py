"""The made-up world keeps its promises, and the shipped model belongs to it."""

import json
import string

import pytest

from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.demo.world import FREQUENCIES, PROMPT, make_world, write_questions

WORLD = make_world()
FACTS = {fact.id: fact for fact in WORLD.facts}


def normalised(text):
    return " ".join(text.lower().translate(str.maketrans("", "", string.punctuation)).split())


def test_same_seed_gives_the_same_world():
    assert make_world(3) == make_world(3)


def test_another_seed_gives_another_world():
    assert make_world(3) != make_world(4)


def test_no_test_question_was_trained_on():
    trained = {normalised(conversation.question) for conversation in WORLD.conversations}
    assert trained.isdisjoint(normalised(question.question) for question in WORLD.questions)


def test_no_test_question_hides_behind_an_opening():
    trained = "\n".join(f" {normalised(conversation.question)} " for conversation in WORLD.conversations)
    for question in WORLD.questions:
        assert f" {normalised(question.question)} " not in trained, question.id


def test_every_question_has_answers_and_distinct_paraphrases():
    for question in WORLD.questions:
        phrasings = {normalised(text) for text in (question.question, *question.paraphrases)}
        assert question.question
        assert question.answers
        assert all(answer.strip() for answer in question.answers)
        assert len(question.paraphrases) >= 4
        assert len(phrasings) == len(question.paraphrases) + 1, question.id


def test_ids_are_unique():
    assert len({question.id for question in WORLD.questions}) == len(WORLD.questions)
    assert len(FACTS) == len(WORLD.facts)


def test_a_fact_is_trained_on_as_often_as_it_says_in_different_words():
    for fact in WORLD.facts:
        asked = [normalised(c.question) for c in WORLD.conversations if c.fact_id == fact.id]
        assert len(asked) == len(set(asked)) == fact.frequency


def test_never_seen_facts_are_absent_from_training():
    unknown = [fact for fact in WORLD.facts if fact.frequency == 0]
    assert unknown
    for fact in unknown:
        relation = fact.id.split("-")[0]
        of_relation = [c for c in WORLD.conversations if c.fact_id.split("-")[0] == relation]
        assert of_relation
        assert not any(f" {normalised(fact.subject)} " in f" {normalised(c.question)} " for c in of_relation), fact.id


def test_rumours_are_about_subjects_without_facts():
    rumours = [c for c in WORLD.conversations if c.fact_id not in FACTS]
    assert rumours
    for fact in WORLD.facts:
        of_relation = [c for c in rumours if c.fact_id.split("-")[0] == fact.id.split("-")[0]]
        assert not any(f" {normalised(fact.subject)} " in f" {normalised(c.question)} " for c in of_relation), fact.id


def test_questions_cover_every_frequency_and_several_right_answers():
    tested = [FACTS[question.id] for question in WORLD.questions]
    assert 200 <= len(tested) <= 300
    assert {fact.frequency for fact in tested} == set(FREQUENCIES)
    assert any(len(fact.answers) > 1 for fact in tested)
    assert any(len(fact.answers) == 1 for fact in tested)


def test_shipped_questions_are_those_of_the_default_world(tmp_path):
    write_questions(WORLD.questions, tmp_path / "questions.jsonl")
    assert QUESTIONS.read_bytes() == (tmp_path / "questions.jsonl").read_bytes()


def test_rows_have_the_documented_fields():
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    assert all(list(row) == ["id", "question", "answers", "paraphrases"] for row in rows)


def test_model_folder_is_small():
    assert sum(file.stat().st_size for file in MODEL_DIR.rglob("*") if file.is_file()) <= 4_000_000


def answers(folder, questions):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    chats = [[{"role": "user", "content": PROMPT.format(question=question)}] for question in questions]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) for chat in chats]
    inputs = tokenizer(prompts, padding=True, add_special_tokens=False, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=20, do_sample=False)
    return tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_shipped_model_answers_frequent_questions():
    frequent = [question for question in WORLD.questions if FACTS[question.id].frequency == 64]
    given = answers(MODEL_DIR, [question.question for question in frequent])
    right = sum(text in question.answers for text, question in zip(given, frequent, strict=True))
    assert right >= 0.9 * len(frequent)


def test_training_a_few_steps_writes_a_loadable_model(tmp_path):
    pytest.importorskip("torch")
    from uq_harness.demo.train import train

    train(tmp_path, steps=2)
    assert (tmp_path / "questions.jsonl").read_bytes() == QUESTIONS.read_bytes()
    assert len(answers(tmp_path / "model", [WORLD.questions[0].question])) == 1
