"""What an endpoint says about a model that it lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uq_harness.endpoints.failures import EndpointError, NoSuchAddress, RequestRefused, known_models
from uq_harness.endpoints.tokens import TokenClient


@dataclass(frozen=True)
class ServedModel:
    """A model as an endpoint lists it.

    Attributes:
        root: What the server has loaded; ``None`` where it does not tell.
        max_length: Its context in tokens; ``None`` where it does not tell.
    """

    root: str | None = None
    max_length: int | None = None


def served_model(client: TokenClient) -> ServedModel:
    """What the endpoint says about the model of its settings; asked at most twice, so that a wrong address shows soon.

    Raises:
        EndpointError: The endpoint cannot be used, or lists other models only.
    """
    endpoint = client.endpoint
    try:
        listed = client.get("/models", retries=min(1, endpoint.retries)).get("data")
    except (NoSuchAddress, RequestRefused):
        return ServedModel()
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    mine = next((one for one in found if one.get("id") == endpoint.model), None)
    if mine is not None:
        return ServedModel(_text(mine.get("root")), _whole(mine.get("max_model_len")))
    names = [str(one["id"]) for one in found if "id" in one]
    if names:
        listed_ones = known_models(endpoint.model, names)
        raise EndpointError(f"the endpoint {endpoint.url} does not know the model {endpoint.model!r}{listed_ones}")
    return ServedModel()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
