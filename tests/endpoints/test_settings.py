"""What may be set about an endpoint, and that the key never shows."""

import json
import math

import pytest

from uq_harness.endpoints.settings import Endpoint
from uq_harness.errors import UQHarnessError


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": " "}, "model=' '.*name by which"),
        ({"base_url": "localhost:8000"}, "base_url='localhost:8000'.*http://localhost:8000/v1"),
        ({"base_url": "ftp://here"}, "base_url='ftp://here'"),
        ({"base_url": 3}, "base_url=3"),
        ({"base_url": "http://[::1/v1"}, r"base_url='http://\[::1/v1' is not allowed, use an address"),
        ({"base_url": "http://here:99999/v1"}, "base_url='http://here:99999/v1'"),
        ({"base_url": "http://here:port/v1"}, "base_url='http://here:port/v1'"),
        ({"base_url": "http://a b/v1"}, "base_url='http://a b/v1'"),
        ({"base_url": "http://a\0/v1"}, "base_url="),
        ({"base_url": "http://" + "a" * 70 + "/v1"}, "base_url="),
        ({"think_end": " "}, "think_end=' '.*</think>"),
        ({"think_end": 3}, "think_end=3"),
        ({"temperature": -1}, "temperature=-1"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"timeout": 0}, "timeout=0"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"concurrency": True}, "concurrency=True"),
        ({"retries": -1}, "retries=-1"),
        ({"backoff": math.inf}, "backoff=inf"),
    ],
)
def test_bad_values_are_refused_with_the_allowed_ones(settings: dict, words: str) -> None:
    with pytest.raises(UQHarnessError, match=words):
        Endpoint(**{"model": "m", "base_url": "http://localhost/v1", **settings})


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@localhost/v1",
        "http://localhost/v1?key=secret",
        "http://h/v1#secret",
        "http://me:secret@[::1/v1",
    ],
)
def test_an_address_with_a_secret_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(UQHarnessError, match="in the environment") as error:
        Endpoint("m", url)
    assert "secret" not in str(error.value)


def test_a_key_given_as_the_variables_name_is_refused_without_quoting_it() -> None:
    with pytest.raises(UQHarnessError, match="never the key itself") as error:
        Endpoint("m", api_key_env="sk-secret")
    assert "secret" not in str(error.value)


def test_the_address_comes_from_the_setting_then_the_environment_then_is_openais(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert Endpoint("m").url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://there:1/v1/")
    assert Endpoint("m").url == "http://there:1/v1"
    assert Endpoint("m", "http://here/v1").url == "http://here/v1"


def test_the_key_comes_from_the_named_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual")
    monkeypatch.setenv("MINE", " sk-mine\n")
    assert Endpoint("m", "https://here/v1").key() == "sk-usual"
    assert Endpoint("m", "https://here/v1", api_key_env="MINE").key() == "sk-mine"


@pytest.mark.parametrize(
    "url", ["https://here/v1", "http://localhost:1/v1", "http://127.0.0.2/v1", "http://[::1]:8/v1"]
)
def test_the_usual_key_goes_over_https_and_to_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual")
    assert Endpoint("m", url).key() == "sk-usual"


@pytest.mark.parametrize("url", ["http://here/v1", "http://10.0.0.3/v1", "http://localhost.example/v1"])
def test_the_usual_key_goes_to_no_other_machine_over_plain_http_unless_it_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual")
    endpoint = Endpoint("m", url)
    assert endpoint.key() is None
    assert "OPENAI_API_KEY is not sent over plain http" in endpoint.how_to_give_a_key()
    assert "api_key_env" in endpoint.how_to_give_a_key()
    assert Endpoint("m", url, api_key_env="OPENAI_API_KEY").key() == "sk-usual"


def test_a_local_endpoint_needs_no_key_and_others_say_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert Endpoint("m", "http://here/v1").key() is None
    with pytest.raises(UQHarnessError, match=r"api\.openai\.com.*OPENAI_API_KEY is not set"):
        Endpoint("m").key()
    with pytest.raises(UQHarnessError, match="the environment variable that api_key_env names is not set"):
        Endpoint("m", "http://here/v1", api_key_env="NOT_THERE").key()


def test_a_key_that_looks_like_a_variables_name_is_never_quoted() -> None:
    endpoint = Endpoint("m", "http://here/v1", api_key_env="gsk_abc123")
    with pytest.raises(UQHarnessError) as error:
        endpoint.key()
    assert "gsk_abc123" not in str(error.value)
    assert "gsk_abc123" not in json.dumps(endpoint.describe())


def test_a_key_that_cannot_be_one_is_refused_without_quoting_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\nX-Injected: 1")
    with pytest.raises(UQHarnessError, match="OPENAI_API_KEY") as error:
        Endpoint("m", "https://here/v1").key()
    assert "secret" not in str(error.value)


def test_the_description_holds_the_address_and_never_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    endpoint = Endpoint("m", "http://here/v1/")
    assert endpoint.describe()["base_url"] == "http://here/v1"
    assert "secret" not in json.dumps(endpoint.describe()) + repr(endpoint)
