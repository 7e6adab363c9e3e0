"""uq-api from end to end, through stock lm_eval, against a server that answers from the demo model."""

import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM
from lm_eval.tasks import TaskManager

import uq_harness
from tests.endpoints.servers import HANG_UP, fails
from tests.endpoints.token_server import NAME, TokenServer, serving_tokens
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import QuestionInstance, record_of
from uq_harness.models.api import UQAPILM

LIMIT = 12
CHEAP = {"nli_model": "lexical", "similarity_model": "lexical"}
DRAWS_NOTHING = ("g_nll", "p_true")
KEY = "sk-" + "Zq7" * 14


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with serving_tokens() as found:
        yield found


def arguments(server: TokenServer, **further: Any) -> dict[str, Any]:
    return {"base_url": server.url, "model": NAME, "tokenizer": "demo", "max_retries": 2, **CHEAP, **further}


def evaluated(
    model: str, given: Mapping[str, Any], tasks: Any = "uq_demo", limit: int = LIMIT, **further: Any
) -> dict[str, Any]:
    uq_harness.register()
    found: dict[str, Any] = simple_evaluate(
        model,
        model_args=dict(given),
        tasks=[tasks],
        task_manager=TaskManager(),
        limit=limit,
        apply_chat_template=tasks == "uq_demo",
        bootstrap_iters=0,
        **further,
    )
    return found


def records(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [sample["doc"]["uq"] for sample in results["samples"]["uq_demo"]]


def scores(results: Mapping[str, Any], method: str) -> list[float]:
    return [record["uncertainty"][method] for record in records(results)]


def test_answers_scores_and_metrics_are_those_of_uq_hf(server: TokenServer) -> None:
    ours = evaluated("uq-api", arguments(server, num_concurrent=4))
    theirs = evaluated("uq-hf", {"pretrained": "demo", "device": "cpu", "dtype": "float32", "methods": "g_nll+p_true"})
    assert [record["answer"] for record in records(ours)] == [record["answer"] for record in records(theirs)]
    assert [record["token_ids"] for record in records(ours)] == [record["token_ids"] for record in records(theirs)]
    for method in DRAWS_NOTHING:
        assert scores(ours, method) == pytest.approx(scores(theirs, method), abs=1e-4)
        name = f"auroc_{method},exact_match"
        assert ours["results"]["uq_demo"][name] == theirs["results"]["uq_demo"][name]
    assert ours["config"]["uncertainty"]["methods"] == ["g_nll", "p_true"]
    cost = [record["cost"] for record in records(ours)]
    assert sum(one["requests"] for one in cost) == server.tried - 5
    assert sum(one["prompt_tokens"] for one in cost) <= server.prompt_tokens
    assert sum(one["requests"] for one in cost) == 2 * LIMIT


def test_the_number_of_requests_at_a_time_changes_nothing(server: TokenServer) -> None:
    methods = "sampling"
    one, many = (
        evaluated("uq-api", arguments(server, methods=methods, seed=7, num_concurrent=number), limit=4)
        for number in (1, 64)
    )
    assert "eigenscore" not in one["config"]["uncertainty"]["methods"]
    assert len(one["config"]["uncertainty"]["methods"]) > 5
    for mine, other in zip(records(one), records(many), strict=True):
        assert mine["uncertainty"] == other["uncertainty"]
        assert mine["answer"] == other["answer"]


def test_every_request_says_every_setting(server: TokenServer) -> None:
    """The stub refuses any that does not; and a refusal would leave scores undefined."""
    found = evaluated("uq-api", arguments(server, methods="g_nll+p_true+ln_pe"), limit=2)
    assert all(value is not None for record in records(found) for value in record["uncertainty"].values())
    assert {body["stop_token_ids"][0] for body in server.bodies if body["stop_token_ids"]} == {2}


def test_prices_make_money_of_tokens(server: TokenServer) -> None:
    found = evaluated("uq-api", arguments(server, prompt_price=2, completion_price="10"), limit=2)
    for record in records(found):
        cost = record["cost"]
        assert cost["price"] == pytest.approx((2 * cost["prompt_tokens"] + 10 * cost["completion_tokens"]) / 1e6)
        assert cost["price"] > 0


def test_an_answer_of_the_journal_has_the_price_that_was_paid_for_it(server: TokenServer, tmp_path: Path) -> None:
    given = arguments(server, prompt_price=2, completion_price=10, journal=str(tmp_path / "j"), seed=1)
    first, again = (records(evaluated("uq-api", given, limit=2)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert one["cost"]["kept_price"] == 0
        assert other["cost"]["requests"] == 0
        assert other["cost"]["price"] == other["cost"]["kept_price"] == one["cost"]["price"] > 0


def test_a_response_cache_is_bound_to_the_prices_in_its_records(server: TokenServer, tmp_path: Path) -> None:
    file = str(tmp_path / "cache.db")
    CachingLM(UQAPILM(**arguments(server, prompt_price=2, completion_price=10)), file)
    with pytest.raises(UQHarnessError, match=r"prompt_price was 2.0 and is now 3.0"):
        CachingLM(UQAPILM(**arguments(server, prompt_price=3, completion_price=10)), file)


def test_a_method_that_takes_weights_is_refused_with_the_way_out(server: TokenServer) -> None:
    with pytest.raises(UQHarnessError, match=r"semgrad cannot be computed.*uq-harness score"):
        UQAPILM(**arguments(server, methods="semgrad+g_nll"))


def test_a_server_that_gives_no_values_of_given_tokens_leaves_p_true_out_of_a_set(server: TokenServer) -> None:
    server.forced = False
    lm = UQAPILM(**arguments(server))
    assert [method.name for method in lm.methods] == ["g_nll"]
    told = lm.get_model_info()["uncertainty"]
    assert told["methods"] == ["g_nll"]
    assert list(told["left_out"]) == ["p_true"]
    assert "prompt_logprobs" in told["left_out"]["p_true"]
    with pytest.raises(UQHarnessError, match=r"p_true cannot be computed.*prompt_logprobs"):
        UQAPILM(**arguments(server, methods="p_true"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"base_url": None}, "names no server: give base_url"),
        ({"base_url": "http://127.0.0.1:1/v1/completions"}, "leave out /completions"),
        ({"base_url": "ftp://x"}, "base_url='ftp://x' is not allowed"),
        ({"model": None}, "names no model"),
        ({"model": "other"}, "does not know the model 'other'.*demo-model"),
        ({"tokenizer": "/nowhere"}, "the tokenizer '/nowhere' could not be loaded"),
        ({"methods": "g_nl"}, "g_nl"),
        ({"route": "pigeon"}, "route='pigeon' is not allowed"),
        ({"num_concurrent": 0}, "num_concurrent=0 is not allowed"),
        ({"timeout": -1}, "timeout=-1 is not allowed"),
        ({"max_retries": "x"}, "max_retries='x' is not allowed"),
        ({"requests_per_minute": 0}, "requests_per_minute=0 is not allowed"),
        ({"seed": -1}, "seed=-1 is not allowed"),
        ({"prompt_price": 1}, "completion_price is missing"),
        ({"prompt_price": 1, "completion_price": "much"}, "completion_price='much' is not allowed"),
        ({"sp_token": "measured"}, "takes the model's hidden states"),
        ({"max_length": 4096}, "max_length=4096 is not allowed: use a whole number from 1 to 1024"),
        ({"max_gen_toks": 0}, "max_gen_toks=0 is not allowed"),
        ({"end_token_ids": "5+99999"}, "end_token_ids='99999' is not allowed"),
        ({"think_end_token": 5000}, "think_end_token=5000 is not allowed"),
        ({"chat_template_args": "x"}, "chat_template_args='x' is not allowed"),
        ({"api_key_env": "NOT_SET_ANYWHERE"}, "is not set"),
        ({"tokenized_requests": False}, "tokenized_requests is an argument of lm_eval's local-completions"),
        ({"num_concurent": 3}, "did you mean.*num_concurrent"),
        ({"journal": "/proc/none/j"}, "the journal '/proc/none/j' cannot be used"),
    ],
)
def test_bad_arguments_are_errors_before_the_work(server: TokenServer, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UQHarnessError, match=said):
        UQAPILM(**{**arguments(server), **wrong})
    assert server.tried <= 5


@pytest.mark.parametrize("name", ["auth_token", "header", "api_key"])
def test_keys_among_the_arguments_are_refused_and_not_quoted(server: TokenServer, name: str) -> None:
    with pytest.raises(UQHarnessError, match="name it with api_key_env=NAME") as caught:
        UQAPILM(**arguments(server, **{name: KEY}))
    assert KEY not in str(caught.value)


def test_the_context_is_the_server_s_and_a_prompt_too_long_is_cut_with_a_warning(
    server: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.max_model_len = 60
    lm = UQAPILM(**arguments(server, methods="g_nll"))
    text = lm.apply_chat_template([{"role": "user", "content": "Who wrote it? " * 20}])
    request = QuestionInstance(
        "generate_until",
        {},
        (text, {"until": [], "max_gen_toks": 8}),
        0,
        ("t", 0, 1),
        "Who wrote it? ",
        "Who wrote it? ",
    )
    (answer,) = lm.generate_until([request], disable_tqdm=True)
    assert "is cut to its last 52 to leave space" in caplog.text
    assert record_of(answer)["answer_tokens"] <= 8
    assert max(len(body["prompt"]) + body["max_tokens"] for body in server.bodies) <= 60


def test_a_template_that_is_not_the_server_s_is_warned_of(
    server: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    UQAPILM(**arguments(server, methods="g_nll"))
    assert "chat template" not in caplog.text
    server.template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    UQAPILM(**arguments(server, methods="g_nll"))
    assert f"the chat template of tokenizer=demo is not the one that the endpoint {server.url} uses" in caplog.text


@pytest.mark.parametrize("save", [False, True])
def test_a_server_that_tells_more_than_20_alternatives_serves_more_beams(server: TokenServer, save: bool) -> None:
    wanted = {"methods": "semantic_density", "density_beams": 24}
    if save:
        wanted |= {"methods": "g_nll", "save_samples": "semantic_density"}
    with pytest.raises(UQHarnessError, match=r"the 25 likeliest tokens.*tells 20 at most.*--max-logprobs 25"):
        UQAPILM(**arguments(server, **wanted))
    server.most = 50
    found = evaluated("uq-api", arguments(server, **wanted), limit=1)
    assert all(value is not None for record in records(found) for value in record["uncertainty"].values())


# ------------------------------------------------------------------ other tasks, and the key


def other_task(folder: Path, kind: str) -> str:
    """A task of lm_eval's own kinds."""
    rows = [{"text": f"Question {number}:", "choices": [" yes", " no"], "gold": number % 2} for number in range(3)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    how = {
        "multiple_choice": 'doc_to_choice: "{{choices}}"\ndoc_to_target: gold',
        "generate_until": 'doc_to_target: " yes"\ngeneration_kwargs: {until: ["\\n"], max_gen_toks: 5}',
    }[kind]
    (folder / "own.yaml").write_text(
        f"task: own_task\ndataset_path: json\ndataset_kwargs: {{data_files: {folder}/rows.jsonl}}\n"
        f'test_split: train\noutput_type: {kind}\ndoc_to_text: "{{{{text}}}}"\n{how}\n'
    )
    return "own_task"


def others_evaluated(server: TokenServer, folder: Path, kind: str, **further: Any) -> dict[str, Any]:
    name = other_task(folder, kind)
    found: dict[str, Any] = simple_evaluate(
        "uq-api",
        model_args=arguments(server, **further),
        tasks=[name],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
    )
    return found


@pytest.mark.parametrize("kind", ["multiple_choice", "generate_until"])
def test_other_tasks_run_as_with_local_completions(server: TokenServer, tmp_path: Path, kind: str) -> None:
    one, many = (others_evaluated(server, tmp_path, kind, num_concurrent=number) for number in (1, 4))
    answers = [[sample["resps"] for sample in found["samples"]["own_task"]] for found in (one, many)]
    assert answers[0] == answers[1]
    sent = [body for body in server.bodies if isinstance(body["prompt"][0], list)]
    assert len({json.dumps(body.get("stop")) for body in sent}) == 1  # whatever the number of requests at a time
    assert all(body.get("stop", ["<|im_end|>"])[-1] == "<|im_end|>" for body in sent)


@pytest.mark.parametrize("word", [" a", "🙂"])  # of fewer and of more tokens than characters
def test_prompts_of_other_tasks_that_are_cut_are_warned_of(
    server: TokenServer, caplog: pytest.LogCaptureFixture, word: str
) -> None:
    server.max_model_len = 60
    lm = UQAPILM(**arguments(server, methods="g_nll"))
    one = len(lm.tok_encode(word * 2)) - len(lm.tok_encode(word))
    room = 60 - 1 - 8
    fits = word * (room // one)
    requests = [
        Instance("generate_until", {}, (text, {"until": ["\n"], "max_gen_toks": 8}), 0) for text in (fits, fits + word)
    ]
    lm.generate_until(requests[:1], disable_tqdm=True)
    assert "do not fit" not in caplog.text
    lm.generate_until(requests, disable_tqdm=True)
    assert "1 of 2 prompts do not fit into the context of 60 tokens with their answers" in caplog.text
    assert max(len(body["prompt"][0]) for body in server.bodies if isinstance(body["prompt"][0], list)) <= room


@pytest.fixture
def heard() -> Iterator[io.StringIO]:
    """All that is logged at any level, as lm_eval's handlers would write it."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("lm_eval", "asyncio", "uq_harness", "openai"))]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.addHandler(handler)
        one.setLevel(logging.DEBUG)
    yield text
    for one, level in zip(loggers, levels, strict=True):
        one.removeHandler(handler)
        one.setLevel(level)


@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize("kind", ["multiple_choice", "generate_until", "questions"])
def test_the_key_is_in_no_log_and_no_error(
    server: TokenServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    heard: io.StringIO,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    number: int,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.before = lambda _, number: fails(401, f"no such key: {KEY}") if number > 5 else None
    given = {"num_concurrent": number, "api_key_env": "MY_KEY", "max_retries": 0}

    def run() -> None:
        if kind == "questions":
            evaluated("uq-api", arguments(server, **given), limit=2)
        else:
            others_evaluated(server, tmp_path, kind, **given)

    with pytest.raises(UQHarnessError, match="refuses access") as caught:
        run()
    assert server.keys[-1] == f"Bearer {KEY}"
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in repr(error)
        error = error.__cause__ or error.__context__
    assert "refuses access" in str(caught.value)
    assert KEY not in heard.getvalue()
    assert KEY not in "".join(capfd.readouterr())


# ------------------------------------------------------------------ stock lm_eval as a program


def command(server: TokenServer, folder: Path, **further: Any) -> list[str]:
    given = arguments(server, methods="g_nll+ln_pe", num_concurrent=2, seed=3, **further)
    return [
        *(sys.executable, "-m", "lm_eval", "--model", "uq-api", "--tasks", "uq_demo", "--limit", "8"),
        *("--model_args", ",".join(f"{name}={value}" for name, value in given.items()), "--apply_chat_template"),
        *("--use_cache", str(folder / "cache"), "--output_path", str(folder / "out"), "--log_samples"),
    ]


def test_a_killed_run_goes_on_and_sends_nothing_twice(server: TokenServer, tmp_path: Path) -> None:
    environment = {**os.environ, "MY_KEY": KEY, "HF_HUB_OFFLINE": "1"}
    whole = 8 * 2 + 5
    run = subprocess.Popen(
        command(server, tmp_path, api_key_env="MY_KEY"), env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    while len(server.bodies) < 10 and run.poll() is None:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    said = b"".join(run.communicate())
    time.sleep(0.5)  # what was under way is answered
    sent = len(server.bodies)
    assert 10 <= sent < whole, said.decode()
    done = subprocess.run(
        command(server, tmp_path, api_key_env="MY_KEY"), env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    questions = [json.dumps(body) for body in server.bodies if body["max_tokens"] > 8 or body["n"] == 10]
    under_way = 2  # replies that were on their way when the run was killed
    assert len(questions) <= 16 + under_way
    assert len(set(questions)) == 16
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any("samples_uq_demo" in file.name for file in files)
    assert any(file.suffix == ".journal" for file in files)
    for content in (said, done.stdout, done.stderr, *(file.read_bytes() for file in files)):
        assert KEY.encode() not in content


def test_a_server_that_dies_and_comes_back_costs_nothing(server: TokenServer) -> None:
    """Lost connections and a restart in the middle: the same numbers."""
    whole = evaluated("uq-api", arguments(server, num_concurrent=4), limit=6)
    begin = server.tried
    server.before = lambda _, number: HANG_UP if begin + 7 <= number < begin + 12 else None
    again = evaluated("uq-api", arguments(server, num_concurrent=4, max_retries=6), limit=6)
    for method in DRAWS_NOTHING:
        assert scores(again, method) == scores(whole, method)


def test_what_is_answered_stays_when_the_server_dies_for_good(server: TokenServer, tmp_path: Path) -> None:
    given = arguments(server, methods="g_nll", num_concurrent=1, max_retries=0, journal=str(tmp_path / "j"))
    server.before = lambda _, number: HANG_UP if number >= 9 else None
    with pytest.raises(UQHarnessError, match="cannot be reached"):
        evaluated("uq-api", given, limit=8)
    server.before = lambda *_: None
    answered = len(server.bodies) - 5
    evaluated("uq-api", given, limit=8)
    assert len(server.bodies) - 5 - 5 == 8
    assert answered == 4


def test_a_run_whose_every_question_is_refused_is_an_error_and_leaves_nothing(server: TokenServer) -> None:
    probes = 5
    server.before = lambda body, number: fails(400, "no such task here") if number >= probes else None
    with pytest.raises(UQHarnessError, match=r"none of 3 questions was answered.*no such task here"):
        evaluated("uq-api", arguments(server), limit=3)


@pytest.mark.parametrize(("name", "one", "other"), [("max_gen_toks", 16, 32), ("revision", "main", "v1")])
def test_a_response_cache_is_bound_to_what_answers_depend_on(
    server: TokenServer, tmp_path: Path, name: str, one: Any, other: Any
) -> None:
    file = str(tmp_path / "cache.db")
    CachingLM(UQAPILM(**arguments(server, **{name: one})), file)
    with pytest.raises(UQHarnessError, match=f"{name} was {one!r} and is now {other!r}"):
        CachingLM(UQAPILM(**arguments(server, **{name: other})), file)


def test_a_repository_without_end_tokens_is_warned_of(
    server: TokenServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "tokenizer"
    shutil.copytree(MODEL_DIR, folder, ignore=shutil.ignore_patterns("generation_config.json", "*.safetensors"))
    with caplog.at_level(logging.WARNING, "uq_harness"):
        UQAPILM(**arguments(server, tokenizer=str(folder)))
        assert "give end_token_ids" in caplog.text
        caplog.clear()
        UQAPILM(**arguments(server, tokenizer=str(folder), end_token_ids="2"))
        UQAPILM(**arguments(server))
    assert "end_token_ids" not in caplog.text


def test_a_refused_question_is_not_judged_and_asked_again_by_the_next_run(server: TokenServer, tmp_path: Path) -> None:
    given = arguments(server, methods="g_nll", num_concurrent=1)
    refused: list[list[int]] = []

    def before(body: dict[str, Any], number: int) -> Any:
        if body["max_tokens"] > 8 and not refused:
            refused.append(body["prompt"])
        return fails(400, "not this one") if body["prompt"] in refused else None

    server.before = before
    first = evaluated("uq-api", given, limit=6, use_cache=str(tmp_path / "cache"))
    (lost,) = (record for record in records(first) if "refused" in record)
    assert "not this one" in lost["refused"]
    assert (lost["answer"], lost["correct"], lost["correctness"]) == ("", None, None)
    metrics = first["results"]["uq_demo"]
    assert metrics["refused_questions,exact_match"] == 1
    answered = [record["correct"] for record in records(first) if record is not lost]
    assert metrics["accuracy,exact_match"] == pytest.approx(sum(answered) / 5)
    assert metrics["truncated_answers,exact_match"] == 0

    server.before = lambda *_: None
    sent = len(server.bodies)
    again = evaluated("uq-api", given, limit=6, use_cache=str(tmp_path / "cache"))
    asked = [body["prompt"] for body in server.bodies[sent:] if body["max_tokens"] > 8]
    assert asked == refused
    assert all(isinstance(value, float) for value in scores(again, "g_nll"))
    assert "refused_questions,exact_match" not in again["results"]["uq_demo"]


def test_a_question_that_is_refused_has_no_scores_and_the_rest_has(server: TokenServer) -> None:
    refused: list[int] = []

    def before(body: dict[str, Any], number: int) -> Any:
        if number >= 6 and not refused:
            refused.append(len(body["prompt"]))
        return fails(400, "not this one") if len(body["prompt"]) in refused[:1] and number >= 6 else None

    server.before = before
    found = scores(evaluated("uq-api", arguments(server, methods="g_nll", num_concurrent=1), limit=6), "g_nll")
    assert found.count(None) >= 1
    assert any(isinstance(value, float) for value in found)
