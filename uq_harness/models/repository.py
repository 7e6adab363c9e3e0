"""The repository of a tokenizer, and what of its model lies beside it: end tokens, context, size of the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.files import user_path
from uq_harness.hub import brief
from uq_harness.methods.arguments import read_flag

T = TypeVar("T")


@dataclass(frozen=True)
class Repository:
    """A repository on the hub, or a folder.

    Attributes:
        name: What the user called it.
        source: What transformers loads.
        revision: Which state of it.
        trust_remote_code: Whether its code may run.
    """

    name: str
    source: str
    revision: str
    trust_remote_code: bool

    @cached_property
    def generation(self) -> GenerationConfig | None:
        """The generation configuration of its model; ``None`` where there is none."""
        return _where_there(lambda: GenerationConfig.from_pretrained(self.source, revision=self.revision))

    @cached_property
    def configuration(self) -> Any:
        """The configuration of its model; ``None`` where there is none."""
        return _where_there(
            lambda: AutoConfig.from_pretrained(
                self.source, revision=self.revision, trust_remote_code=self.trust_remote_code
            )
        )

    @property
    def vocabulary(self) -> int | None:
        """Number of the model's tokens; ``None`` where it is not known."""
        text = None if self.configuration is None else self.configuration.get_text_config()
        return getattr(text, "vocab_size", None)


def read_repository(name: Any, revision: Any, trust_remote_code: Any) -> Repository:
    """The repository that the arguments mean; nothing is loaded.

    Raises:
        UQHarnessError: A value is not allowed.
    """
    if not isinstance(name, str) or not name.strip():
        raise UQHarnessError(f"tokenizer={name!r} is not allowed: use a repository on the hub, a folder, or demo")
    if not isinstance(revision, str) or not revision:
        raise UQHarnessError(f"revision={revision!r} is not allowed: use a branch, a tag, or a commit")
    path = user_path(name, "tokenizer")
    source = str(MODEL_DIR) if name == "demo" else str(path) if name.startswith("~") else name
    return Repository(name, source, revision, read_flag("trust_remote_code", trust_remote_code))


def load_tokenizer(repository: Repository, use_fast_tokenizer: bool = True) -> PreTrainedTokenizerBase:
    """The tokenizer.

    Raises:
        UQHarnessError: It cannot be loaded.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            repository.source,
            revision=repository.revision,
            trust_remote_code=repository.trust_remote_code,
            use_fast=use_fast_tokenizer,
        )
    except Exception as error:  # whatever is wrong with its files
        raise UQHarnessError(
            f"the tokenizer {repository.name!r} could not be loaded ({brief(error)}): name with tokenizer= the "
            "repository or the folder of the model that is served"
        ) from error
    return tokenizer


def _where_there(load: Callable[[], T]) -> T | None:
    try:
        return load()
    except (OSError, ValueError):  # no such file, or of a model that transformers does not know
        return None
