"""Whether a policy fits a model: what changes answers or their scores is as in the run that the policy is made from."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import StateGradient, StateGradientMap
from uq_harness.files import plain
from uq_harness.methods import build_methods, draws, settings
from uq_harness.methods.arguments import read_flag
from uq_harness.rendering.paths import without_paths

if TYPE_CHECKING:
    from uq_harness.abstention.abstainer import Abstainer

log = logging.getLogger(__name__)

_PLACE = "{question}"  # where the question stands in a model's prompt
_SHOWN = 120  # characters of a value in a message
_UNKNOWN = object()


class Describes(Protocol):
    """A model that says what its answers and scores depend on, as `UncertaintyModel` does."""

    def describe(self) -> dict[str, Any]:
        """Its settings by name."""


class _Pair(NamedTuple):
    """A setting of both sides."""

    name: str
    run: Any
    model: Any
    paths: bool = True  # whether it may hold paths, of which a policy has the last parts alone

    @property
    def same(self) -> bool:
        """Whether they agree; lm_eval may have noted a number, a flag or ``None`` as a text."""
        run, model = plain(self.run), plain(self.model)
        if self.paths:
            run, model = without_paths(run), without_paths(model)
        if isinstance(run, str) != isinstance(model, str) and all(_is_simple(value) for value in (run, model)):
            return str(run).lower() == str(model).lower()
        return bool(run == model)

    def __str__(self) -> str:
        return f"{self.name} ({_shown(self.run)} in the run, {_shown(self.model)} here)"


def check_fit(policy: Abstainer, model: Describes) -> None:
    """See `Abstainer.check`."""
    source = (policy.details or {}).get("source")
    if not isinstance(source, Mapping):
        raise UQHarnessError(
            "this policy does not say which run it was made from: load the file that `uq-harness threshold` writes, "
            "with Abstainer.load"
        )
    here = model.describe() if hasattr(model, "describe") else {}
    if not {"methods", "weights", "prompt"} <= set(here):
        raise UQHarnessError(
            f"{model!r:.200} is no model that a policy can be checked against: give an UncertaintyModel"
        )
    if policy.method not in here["methods"]:
        raise UQHarnessError(
            f"this policy takes scores of {policy.method}, and the model has {', '.join(here['methods'])}: make it "
            f"with methods={policy.method!r}"
        )
    pairs = [*_of_model(source, here), *_of_method(policy.method, source, here), *_of_answers(source, here)]
    turns = _before_the_question(source)
    if not turns:
        doc_to_text = _mapping(source.get("prompts")).get("doc_to_text")
        pairs.append(_Pair("prompt", _prompt(doc_to_text), here["prompt"], paths=False))
    differing = [pair for pair in pairs if pair.run is not _UNKNOWN and not pair.same]
    if differing:
        raise UQHarnessError(
            f"this policy was made from a run with other settings, and promises nothing here: "
            f"{', '.join(map(str, differing))}. Make the model as it was in the run, or the policy from a run like this"
        )
    unknown = [pair.name for pair in pairs if pair.run is _UNKNOWN]
    if unknown:
        log.warning("the policy does not say all that it depends on, and could not be checked: %s", ", ".join(unknown))
    if turns:
        log.warning(
            "the run put more into its prompts than a question (%s): ask with conversations that have it too",
            ", ".join(turns),
        )
    versions = [pair for pair in _of_versions(source, here) if pair.run is not _UNKNOWN and not pair.same]
    if versions:
        log.warning("the policy was made with other versions: %s", ", ".join(map(str, versions)))


def _of_model(source: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[_Pair]:
    noted, arguments = _mapping(source.get("settings")), _mapping(source.get("model_args"))
    yield _Pair("dtype", noted.get("dtype", _UNKNOWN), here["dtype"].removeprefix("torch."))
    weights = source.get("weights")
    if weights is None:
        yield _Pair("model", arguments.get("pretrained", source.get("model")), here["model"])
        yield _Pair("the model's weights", _UNKNOWN, here["weights"])
    elif weights != here["weights"]:
        yield _Pair("the model's weights", f"{source.get('model')} ({weights})", f"{here['model']} ({here['weights']})")
    yield _Pair("mixed_precision_dtype", arguments.get("mixed_precision_dtype"), None)


def _of_method(method: str, source: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[_Pair]:
    """The method's options, and what else it reads: auxiliary models, the seed of samples, the token of gradients."""
    was = _mapping(source.get("uncertainty"))
    names = list(settings(build_methods(method, {})))
    yield from (_Pair(name, was.get(name, _UNKNOWN), here[name]) for name in names)
    methods = build_methods(method, {name: here[name] for name in names})
    needs = [need for one in methods for need in one.needs()]
    stages = {need.stage for need in needs}
    for stage in ("nli", "similarity"):
        if stage in stages:
            yield _Pair(f"{stage}_model", *(_auxiliary(side.get(stage)) for side in (was, here)))
    if any(isinstance(need, StateGradient | StateGradientMap) for need in needs):
        yield _Pair("sp_token", was.get("sp_token", _UNKNOWN), here["sp_token"])
    if draws(methods):
        yield _Pair("seed", _mapping(source.get("settings")).get("seed", _UNKNOWN), here["seed"])


def _of_answers(source: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[_Pair]:
    arguments = _mapping(source.get("model_args"))
    generation = _mapping(source.get("generation"))
    until = generation.get("until", _UNKNOWN)
    yield _Pair("stop", until if until is _UNKNOWN else sorted(_texts(until)), sorted(here["stop"]), paths=False)
    yield _Pair("max_new_tokens", generation.get("max_gen_toks", _UNKNOWN), here["max_new_tokens"])
    yield _Pair("think_end_token", arguments.get("think_end_token"), here["think_end_token"], paths=False)
    template = here["chat_template"]
    was = _mapping(source.get("settings")).get("chat_template")
    yield _Pair("the chat template", was or "none", template[:8] if template else "none")
    given = dict(_mapping(arguments.get("chat_template_args")))
    if arguments.get("enable_thinking") is not None:
        given["enable_thinking"] = read_flag("enable_thinking", arguments["enable_thinking"])
    yield _Pair("chat_template_args", given, here["chat_template_args"])
    yield _Pair("add_bos_token", arguments.get("add_bos_token"), here["add_bos_token"])
    yield _Pair("max_length", arguments.get("max_length"), here["max_length"])


def _of_versions(source: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[_Pair]:
    was = _mapping(source.get("versions"))
    yield from (_Pair(name, was.get(name, _UNKNOWN), version) for name, version in here["versions"].items())


def _before_the_question(source: Mapping[str, Any]) -> list[str]:
    """What the run's prompts had beside the user's message, which only a conversation can have."""
    prompts = _mapping(source.get("prompts"))
    further = {name: prompts.get(name) for name in ("system_instruction", "description", "num_fewshot", "gen_prefix")}
    return [f"{name}={_shown(value)}" for name, value in further.items() if value]


def _prompt(doc_to_text: Any) -> Any:
    """A task's message with ``{question}`` in the question's place; unknown where it has other fields, or is code."""
    if not isinstance(doc_to_text, str):
        return _UNKNOWN
    if "{{" not in doc_to_text and "{%" not in doc_to_text:  # a column's name
        return _PLACE if doc_to_text == "question" else _UNKNOWN
    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    try:
        return environment.from_string(doc_to_text).render(question=_PLACE)
    except Exception:  # a template may raise anything, such as a TypeError for text plus a number
        return _UNKNOWN


def _auxiliary(described: Any) -> Any:
    """What of an auxiliary model changes its numbers."""
    if not isinstance(described, Mapping):
        return _UNKNOWN
    return {name: value for name, value in described.items() if name not in ("device", "batch_size", "cache_size")}


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _texts(until: Any) -> list[str]:
    return [str(text) for text in (until if isinstance(until, list) else [until]) if text]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
