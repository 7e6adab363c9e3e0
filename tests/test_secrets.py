"""Secrets among settings: what is taken for one, and that no output shows any."""

import json
import sys

import pytest

from tests.results.files import simulated, write_run
from uq_harness.cli import main
from uq_harness.models.cache_stamp import STAMP, check_stamp
from uq_harness.rendering.secrets import HIDDEN, holds_key, without_secrets
from uq_harness.results.load import load_runs


@pytest.mark.parametrize(
    "name",
    [
        *("token", "hf_token", "HF_TOKEN", "access_token", "auth-token", "use_auth_token", "custom_token", "tokens"),
        *("key", "api_key", "apikey", "OPENAI_API_KEY", "api_key_env", "client_secret", "password", "db_passwd", "pwd"),
        *("credentials", "Authorization", "cookie", "passphrase", "private_key"),
    ],
)
@pytest.mark.parametrize("value", ["x", 1234, ["x"], {"a": "x"}])
def test_arguments_that_say_so_are_dropped(name, value):
    assert without_secrets({name: value, "pretrained": "m"}) == {"pretrained": "m"}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "sp_token",
            "semantic_token",
            "think_end_token",
            "tokenizer",
            "tokenizer_pad_token",
            "tokenizer_eos_token",
            "eot_token_id",
        ),
        *("max_new_tokens", "max_tokens", "max_completion_tokens", "add_bos_token", "answer_tokens", "prefix_token_id"),
        *("use_fast_tokenizer", "keyword", "pretrained", "methods", "dtype", "token_recall"),
    ],
)
def test_settings_of_models_stay(name):
    assert without_secrets({name: "auto"}) == {name: "auto"}


@pytest.mark.parametrize("value", ["hf_A", "hf_abcDEF123", "sk-proj-1", "gsk_1", "ghp_1", "Bearer abc"])
def test_values_that_begin_as_keys_do_are_dropped(value):
    assert without_secrets({"anything": value, "deep": [{"other": value}, value]}) == {"deep": [{}, HIDDEN]}


def test_models_whose_names_begin_as_keys_do_stay():
    settings = {
        "pretrained": "hf_checkpoint",
        "path": "hf_models/a",
        "peft": "sk-adapter",
        "text": "risk-averse task-1",
    }
    assert without_secrets(settings) == settings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pretrained=m,token=hf_A,dtype=auto", "pretrained=m,token=(hidden),dtype=auto"),
        ("{'token': 'hf A', 'sp_token': 'auto'}", "{'token': (hidden), 'sp_token': 'auto'}"),
        ('{"api_key": "a,b"}', '{"api_key": (hidden)}'),
        ("https://me:pass@host/v1?api_key=abc&n=1", "https://host/v1?api_key=(hidden)&n=1"),
        ("ask with hf_" + "A" * 34 + " please", "ask with (hidden) please"),
    ],
)  # fmt: skip
def test_in_texts_the_value_is_hidden(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "key",
    [
        "hf_" + 34 * "A",
        "hf_oauth_eyJhbGciOiJFZERTQSJ9.eyJzY29wZSI6",
        "sk-" + 24 * "a1",
        "sk-proj-a_b1-c2d3e4f5A6b7C8d9E0f1-G2",
        "sk-ant-api03-" + 40 * "aB3",
        "sk-or-v1-" + 32 * "0f",
        "sk-lf-01234567-89ab-cdef-0123-456789abcdef",
        "gsk_" + 26 * "x9",
        "xai-" + 40 * "k4",
        "nvapi-" + 21 * "Zy8",
        "ghp_" + 18 * "a0",
        "github_pat_" + 11 * "A1" + "_" + 59 * "b",
        "glpat-ab_cd-ef1gh2ij3kl4mn",
        "AKIAIOSFODNNEXAMPLES",
        "AIza" + 35 * "c",
    ],
)
@pytest.mark.parametrize("text", ["{}", "my key is {}.", "OPENAI={},", "\u5bc6\u94a5{}\u3002"])
def test_what_looks_like_a_key_is_found_in_a_text(key, text):
    assert holds_key(text.format(key))
    assert key not in without_secrets(text.format(key))


@pytest.mark.parametrize(
    "text",
    [
        "hf_transformers_checkpoint_dir",
        "the sk-learn-contrib-extension package",
        "sk-SK_slovak-language-id",
        "risk-adjusted-returns-and-more",
        "xai-explainable_artificial_intelligence",
        "AIzawa, and AKIAK",
        "sk-" + 200_000 * "a",
        "sk-" + 100_000 * "a-",
    ],
)
def test_names_that_begin_as_keys_do_are_none_in_a_text(text):
    assert not holds_key(text)
    assert without_secrets(text) == text


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "", [], {}])
def test_other_values_stay(value):
    assert without_secrets({"a": value}) == {"a": value}


SECRETS = [f"S3CRET{number}" for number in range(12)]


def hiding(folder, side: str, gap: float):
    """A run with a secret in every place where a user may have put one."""
    arguments = {
        "pretrained": f"https://me:{SECRETS[0]}@host/model",
        "token": f"hf_{SECRETS[1]}{side}",
        "anything": f"hf_{SECRETS[2]}{side}",
        "base_url": f"https://me:{SECRETS[3]}@host/v1",
    }
    judge = {
        "name": "exact_match",
        "threshold": 1.0,
        "api_key": f"{SECRETS[4]}{side}",
        "headers": {"X": f"sk-{SECRETS[5]}"},
    }
    metadata = {"version": 1.0, "judges": [judge], **arguments, "correctness": judge, "my_password": SECRETS[6] + side}
    return write_run(
        folder,
        simulated(120, {"sar": gap, "g_nll": 1.0}, seed=len(side)),
        model="a-model",
        settings={"metadata": metadata, "generation_kwargs": {"until": [], "secret": SECRETS[7]}},
        config={
            "model": "uq-hf",
            "model_args": arguments,
            "gen_kwargs": f"until=x,api_key={SECRETS[8]}{side}",
            "uncertainty": {"nli_token": f"{SECRETS[9]}{side}"},
        },
        model_name=arguments["pretrained"],
        system_instruction=f"Your key is sk-{SECRETS[10]}{'x' * 20}{side}",
        pretty_env_info=f"HF_TOKEN=hf_{SECRETS[11]}",
    )  # fmt: skip


@pytest.fixture
def said(tmp_path, monkeypatch, capsys, caplog):
    """Everything that all commands print, log and write about two runs that hold secrets."""
    for side, gap in (("old", 1.0), ("new", 2.0)):
        hiding(tmp_path / side, side, gap)
    out = tmp_path / "out"
    old, new = tmp_path / "old", tmp_path / "new"
    log = next(new.rglob("samples_*.jsonl"))
    commands = [
        ["report", old, new, "--output", out / "report"],
        ["report", old, new, "--output", out / "report", "--no-plots", "--json"],
        ["leaderboard", tmp_path, "--output", out / "board"],
        ["compare", old, new, "--allow_different", "judge", "--markdown", out / "c.md", "--junit", out / "c.xml"],
        ["compare", old, new, "--allow_different", "judge", "--json"],
        ["compare", old, new, "--methods", "none"],
        ["threshold", new, "--method", "sar", "--target", "0.3", "--output", out / "policy"],
        ["threshold", new, "--method", "sar", "--target", "0.3", "--json"],
        ["threshold", tmp_path, "--method", "sar", "--target", "0.3"],
        ["score", log, "--methods", "g_nll", "--correctness", "f1", "--output", out / "score", "--model_name", "m"],
        ["score", log, "--methods", "g_nll", "--correctness", "f1", "--json"],
    ]
    texts = []
    for command in commands:
        monkeypatch.setattr(sys, "argv", ["uq-harness", *map(str, command)])
        with pytest.raises(SystemExit) as end:
            main()
        texts.append("".join(capsys.readouterr()))
        assert (end.value.code or 0) == (2 if "none" in command else 0), texts[-1]
    files = [file for file in out.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {
        ".html",
        ".md",
        ".tex",
        ".csv",
        ".parquet",
        ".xml",
        ".json",
        ".jsonl",
        ".png",
        ".svg",
        ".pdf",
    }
    return "\n".join([*texts, caplog.text, *(file.read_bytes().decode("utf-8", "replace") for file in files)])


def test_no_output_shows_a_secret(said):
    assert [secret for secret in SECRETS if secret in said] == []
    assert "https://host/model" in said


def test_what_is_read_holds_none(tmp_path):
    hiding(tmp_path, "old", 1.0)
    (run,) = load_runs(tmp_path)
    held = json.dumps(run.configuration, default=str) + run.model
    assert [secret for secret in SECRETS if secret in held] == []
    assert run.judge_settings["threshold"] == 1.0


def test_the_stamp_of_a_response_cache_holds_none_and_does_not_depend_on_them():
    database: dict[str, object] = {}
    check_stamp(database, "cache", {"pretrained": "m", "api_key": "A"})
    assert database[STAMP] == {"pretrained": "m"}
    check_stamp(database, "cache", {"pretrained": "m", "api_key": "B"})
