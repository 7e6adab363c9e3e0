"""``sp_token`` may name a result file of ``uq-harness sps``, made for this model and this chat template."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from uq_harness.answering.identity import ModelIdentity, template_fingerprint
from uq_harness.answering.recommended_token import RecommendedToken
from uq_harness.answering.semantic_token import Anchor, SemanticToken
from uq_harness.errors import UQHarnessError

MODEL = ModelIdentity("a/model", "torch.float32", "w1", "t1")


def write(folder: Path, **changes: object) -> str:
    content = {
        "uq_harness_sps": 2,
        "model": {"name": "a/model", "dtype": "torch.float32", "weights": "w1", "template": "t1", "blocks": 6},
        "recommended": {"position": -4, "text": "assistant", "sps": 0.4},
        "no_recommendation": None,
        **changes,
    }
    file = folder / "sps.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return str(file)


def test_the_file_s_position_is_taken_and_described(tmp_path: Path) -> None:
    file = write(tmp_path)
    token = SemanticToken.parse(file)
    assert (token.position, str(token)) == (-4, "-4")
    assert token.locate(10, Anchor(5, first=True), None, 5) == -4
    assert token.describe() == {
        "sp_token": "-4",
        "sp_token_recommended": {
            "file": file,
            "position": -4,
            "text": "assistant",
            "made_for": {"name": "a/model", "dtype": "torch.float32", "weights": "w1", "template": "t1"},
        },
    }
    token.check(MODEL)


def test_other_choices_need_no_check_and_describe_themselves() -> None:
    for value, described in (("auto", "auto"), ("last", "-1"), (-3.0, "-3")):
        token = SemanticToken.parse(value)
        token.check(MODEL)
        assert token.describe() == {"sp_token": described}


def test_another_model_is_refused(tmp_path: Path) -> None:
    token = SemanticToken.parse(write(tmp_path))
    with pytest.raises(
        UQHarnessError, match=r"another model: a/model .*weights w1.*b/model .*weights w2.*uq-harness sps"
    ):
        token.check(replace(MODEL, name="b/model", weights="w2"))
    with pytest.raises(UQHarnessError, match="loaded with another dtype"):
        token.check(replace(MODEL, dtype="torch.float16", weights="w2"))
    token.check(replace(MODEL, name="/a/copy/of/it", dtype="torch.bfloat16"))


@pytest.mark.parametrize(("template", "message"), [("t2", "this model's is t2"), (None, "this model has none")])
def test_another_chat_template_is_refused(tmp_path: Path, template: str | None, message: str) -> None:
    with pytest.raises(UQHarnessError, match=f"another chat template, t1, and {message}"):
        SemanticToken.parse(write(tmp_path)).check(replace(MODEL, template=template))


def test_prompts_that_go_through_no_template_or_another_way_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match="add --apply_chat_template"):
        SemanticToken.parse(write(tmp_path)).locate(10, None, None, 0)
    bare = {"name": "a/model", "dtype": "torch.float32", "weights": "w1", "template": None}
    without = SemanticToken.parse(write(tmp_path, model=bare))
    without.check(MODEL)
    assert without.locate(10, None, None, 0) == -4
    with pytest.raises(UQHarnessError, match="leave out --apply_chat_template"):
        without.locate(10, Anchor(5, first=True), None, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uq_harness_sps": 1}, "is not a result file of this version"),  # it recommends positions inside the question
        ({"uq_harness_sps": True}, "is not a result file of this version"),
        ({"uq_harness_sps": 2.0}, "is not a result file of this version"),
        (
            {"recommended": None, "no_recommendation": "SemGrad's layers were left out"},
            "recommends no token .*left out",
        ),
        ({"model": {}}, "is damaged"),
        ({"recommended": {"position": "last", "text": "?"}}, "is damaged"),
        ({"recommended": {"position": -2.7, "text": "?"}}, "is damaged .*position is -2.7"),
        ({"recommended": {"position": True, "text": "?"}}, "is damaged .*position is True"),
        ({"recommended": {"position": -4, "text": ["?"]}}, "is damaged .*text is"),
        ({"recommended": [-4]}, "is damaged"),
        ({"model": "a/model"}, "is damaged"),
        ({"model": {"name": 1, "dtype": "d", "weights": "w", "template": None}}, "is damaged .*name is 1"),
        ({"recommended": {"position": 3, "text": "?"}}, "is damaged .*from the prompt's end"),
    ],
)
def test_files_without_a_recommendation(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(UQHarnessError, match=rf"sp_token=.*sps\.json {message}"):
        RecommendedToken.read(write(tmp_path, **changes))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match=r"nowhere\.json cannot be read \(No such file"):
        SemanticToken.parse("nowhere.json")
    with pytest.raises(UQHarnessError, match=r"is a folder: name the sps\.json"):
        SemanticToken.parse(str(tmp_path))
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(UQHarnessError, match="is not valid JSON"):
        SemanticToken.parse(str(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"uq_harness_sps": 2, "recommended": {"position": Infinity}}', "9" * 5000], ids=range(3)
)
def test_texts_that_are_no_json_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "sps.json").write_text(text)
    with pytest.raises(UQHarnessError, match="is not valid JSON"):
        SemanticToken.parse(str(tmp_path / "sps.json"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("~no-such-user/sps.json", "no such user's home folder"),
        ("a" * 400, "has 400 characters, too many for a path"),
        ("a" * 5000 + ".json", "has 5005 characters, too many for a path"),
        ("sps\0.json", "holds a NUL character"),
    ],
)
def test_paths_that_cannot_exist(value: str, message: str) -> None:
    with pytest.raises(UQHarnessError, match=f"^sp_token .*{message}"):
        SemanticToken.parse(value)


def test_a_template_s_fingerprint_depends_on_text_and_arguments_not_on_the_day() -> None:
    daily = "{{ strftime_now('%d') }}{{ messages[0].content }}"
    assert template_fingerprint(daily, {}) == template_fingerprint(daily, {})
    others = {template_fingerprint(daily, {}), template_fingerprint(daily, {"enable_thinking": False})}
    assert len({*others, template_fingerprint(daily + " ", {})}) == 3
    assert template_fingerprint(None, {}) is None
