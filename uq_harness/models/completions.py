"""lm_eval's ``local-completions`` and ``local-chat-completions``, with our key, and without it in any log.

Tasks that are not of this package run through them. lm_eval writes a failing request with its headers, and with them
the key, into the log and into the exception.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

from uq_harness.endpoints.failures import explain_status, without_key
from uq_harness.endpoints.settings import Endpoint
from uq_harness.errors import UQHarnessError
from uq_harness.hub import brief

_LM_EVALS_LOG = "lm_eval.models.api_models"


class _KeyOfTheEnvironment(LocalCompletionsAPI):
    """An API model of lm_eval whose key is that of an endpoint and in no log or error.

    Args:
        endpoint: The endpoint.
        path: Where requests go, below its address.
        **kwargs: Arguments of the model other than those that the endpoint has.
    """

    def __init__(self, endpoint: Endpoint, path: str, **kwargs: Any) -> None:
        self._endpoint = endpoint
        _blanked.add(endpoint.key())
        super().__init__(
            base_url=f"{endpoint.url}{path}",
            model=endpoint.model,
            num_concurrent=endpoint.concurrency,
            max_retries=endpoint.retries + 1,  # lm_eval counts tries
            timeout=endpoint.timeout,
            **kwargs,
        )

    @property
    def api_key(self) -> str:
        """The key of the endpoint; empty where it has none."""
        return self._endpoint.key() or ""

    @property
    def header(self) -> dict[str, str]:
        """The headers of a request."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    @property
    def max_gen_toks(self) -> int:
        """Limit on the tokens of answers whose task has none."""
        limit: int = self._max_gen_toks
        return limit

    def model_call(self, *args: Any, **kwargs: Any) -> Any:
        """Sends a request; what fails does so without the key."""
        try:
            return super().model_call(*args, **kwargs)
        except Exception as error:  # whatever the HTTP library has
            problem = self._explained(error)
        raise problem  # outside the except clause: the error holds the request, and with it the key

    async def amodel_call(self, *args: Any, **kwargs: Any) -> Any:
        """The same among others."""
        try:
            return await super().amodel_call(*args, **kwargs)
        except Exception as error:
            problem = self._explained(error)
        raise problem

    def _explained(self, error: Exception) -> UQHarnessError:
        key = self._endpoint.key()
        said = without_key(key, brief(error))
        response = getattr(error, "response", None)
        status = getattr(error, "status", None) or getattr(response, "status_code", None)
        if isinstance(status, int) and status >= 400:
            return explain_status(status, said, self._endpoint, key is not None)
        return UQHarnessError(f"the endpoint {self._endpoint.url} fails ({type(error).__name__}: {said})")


class Completions(_KeyOfTheEnvironment):
    """``local-completions`` of an endpoint whose key comes from the environment.

    Args:
        endpoint: The endpoint.
        **kwargs: Arguments of ``local-completions`` other than those that the endpoint has.
    """

    def __init__(self, endpoint: Endpoint, **kwargs: Any) -> None:
        super().__init__(endpoint, "/completions", tokenizer_backend="huggingface", **kwargs)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers requests as ``local-completions`` does, and says which prompts it cuts."""
        self._tell_of_cuts(requests)
        answers: list[str] = super().generate_until(requests, disable_tqdm)
        return answers

    def _create_payload(self, messages: Any, *args: Any, eos: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """The body of a request; it stops at the end-of-sequence text, whatever the number of requests at a time."""
        body: dict[str, Any] = super()._create_payload(messages, *args, eos=eos or self.eos_string, **kwargs)
        return body

    def _tell_of_cuts(self, requests: Sequence[Instance]) -> None:
        """Warns where prompts are too long, since lm_eval cuts them without a word."""
        cut = 0
        for request in requests:
            text, arguments = request.args[:2]
            if isinstance(text, str):
                room = self.max_length - int(arguments.get("max_gen_toks", self._max_gen_toks))
                cut += len(self.tok_encode(text)) > room
        if cut:
            _log.warning(
                "%d of %d prompts do not fit into the context of %d tokens with their answers: they lose their "
                "beginnings",
                *(cut, len(requests), self.max_length + 1),
            )


class ChatCompletions(_KeyOfTheEnvironment, LocalChatCompletion):
    """``local-chat-completions`` of an endpoint whose key comes from the environment.

    Args:
        endpoint: The endpoint.
        **kwargs: Arguments of ``local-chat-completions`` other than those that the endpoint has.
    """

    def __init__(self, endpoint: Endpoint, **kwargs: Any) -> None:
        super().__init__(endpoint, "/chat/completions", **kwargs)


_log = logging.getLogger("lm_eval.uq_harness")


class _WithoutKeys(logging.Filter):
    """Takes keys out of lm_eval's log."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: set[str] = set()

    def add(self, key: str | None) -> None:
        """Looks for this key too, from now on."""
        if key:
            self._keys.add(key)
            logging.getLogger(_LM_EVALS_LOG).addFilter(self)  # once, however often it is added

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record through, without the keys."""
        said = record.getMessage()
        blanked = said
        for key in self._keys:
            blanked = without_key(key, blanked)
        if blanked != said:
            record.msg, record.args = blanked, ()
        return True


_blanked = _WithoutKeys()
