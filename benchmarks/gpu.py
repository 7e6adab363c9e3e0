"""Numbers, speed and synchronisations of the transformers backend on a GPU.

    PYTHONPATH=. python benchmarks/gpu.py --output gpu.json
    PYTHONPATH=. python benchmarks/gpu.py --small --output small.json

Three parts, in this order, as far as ``--minutes`` goes:

- correctness: the demo model and small random models in float32, bfloat16 and float16 on the device against float64 on
  the CPU with the same (rounded) weights; and batches of 1 against batches of 16;
- speed: random models of the shapes of Qwen3-4B and Llama-3.1-8B, `generate` against the backend without methods, with
  the default ones, with single families, and with all sample sets;
- profile: kernel launches, copies and synchronisations of a step of greedy decoding, of `generate` and of the backend.

Every result is printed and written as soon as it is there; one that fails leaves its traceback in its place. The
script needs torch, transformers, numpy and scipy, and neither lm_eval nor the network. ``--small`` takes tiny shapes on
the CPU, to try the script out.

transformers computes norms and rotary embeddings in float32 even in a float64 model, so differences below about 1e-6
mean nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.decode import decode
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.forward import left_pad, log_softmax_and_entropy, logits, watched_states
from uq_harness.backends.transformers.gradients import Gradients, gradients
from uq_harness.backends.transformers.head import Request
from uq_harness.backends.transformers.reference import reference_gradients
from uq_harness.backends.transformers.tied import tied_gradients, what_is_not_tied
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.evidence import (
    AnswerEntropies,
    AnswerLogProbs,
    AnswersGivenAnswers,
    ContinuationLogProb,
    DrawLogProbs,
    Evidence,
    HeadGradient,
    LayerSpan,
    Need,
    RescoredLogProb,
    SampleLogProbs,
    Samples,
    SampleStates,
    StateGradient,
    StateGradientMap,
    sample_sets,
)
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.methods import build_methods

DTYPES = ("float32", "bfloat16", "float16")
SMALL_MODEL = {  # of the random models whose numbers are checked
    "vocab_size": 1024,  # the demo tokenizer's
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}
ARCHITECTURES = {
    "llama": ("llama", {}),
    "qwen3_tied": ("qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "gemma3_window": ("gemma3_text", {"head_dim": 16, "sliding_window": 16, "tie_word_embeddings": True}),
}
QWEN3_4B = (
    "qwen3",
    {
        "vocab_size": 151936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    },
)
LLAMA_8B = (
    "llama",
    {
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    },
)
TINY = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "head_dim": 16}
TINY |= {"num_key_value_heads": 2, "vocab_size": 4096}
STATEFUL = Samples(10, 0.5, top_p=0.99, top_k=5)  # EigenScore's
PRINTED = 600  # characters of a result on the screen; the file has all
CORRECTNESS = 0.3  # share of the time that the first part may take where the second follows
SHORT, LONG = 4, 24  # tokens of the two runs whose difference is the profile of LONG - SHORT steps


class TooLateError(Exception):
    """The time that the script may take does not hold a further measurement."""


class Results:
    """The results so far, in a JSON file that is whole after every one of them.

    Args:
        file: Where they go.
        minutes: How long the script may take.
    """

    def __init__(self, file: Path, minutes: float) -> None:
        self._file, self._values, self._start = file, {}, time.monotonic()
        self._end = self._start + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()

    def add(self, *path: str, work: Callable[[], Any], needs_seconds: float = 1.0) -> Any:
        """Does something, prints and writes what it gives; ``None``, and the traceback on file, where it fails."""
        began = time.monotonic()
        try:
            if self.left < needs_seconds:
                raise TooLateError(f"{self.left:.0f} s are left")
            value = work()
        except Exception as error:
            value = None
            found: Any = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        else:
            found = value
        spot = self._values
        for name in path[:-1]:
            spot = spot.setdefault(name, {})
        spot[path[-1]] = _plain(found)
        self._values["seconds"] = time.monotonic() - self._start
        self._file.write_text(json.dumps(self._values, indent=1) + "\n", encoding="utf-8")
        print(f"[{self._values['seconds']:6.1f} s, {time.monotonic() - began:5.1f}] {' / '.join(path)}: ", end="")
        print(json.dumps(spot[path[-1]] if value is not None else found["error"])[:PRINTED], flush=True)
        if value is None:
            print(found["traceback"], file=sys.stderr, flush=True)
        _release()
        return value


def main() -> None:
    """Runs all parts."""
    args = _arguments()
    torch.manual_seed(0)
    results = Results(args.output, args.minutes)
    results.add("environment", work=partial(_environment, args))
    for part, run in PARTS.items():
        if part in args.parts:
            results.add("parts", part, work=partial(run, results, args))
    print(f"written to {args.output}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(os.environ.get("OUT", ".")) / "gpu.json")
    parser.add_argument("--small", action="store_true", help="tiny shapes")
    parser.add_argument("--device", help="cuda where there is one, by default")
    parser.add_argument("--minutes", type=float, default=5.3, help="when to begin nothing more")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    args = parser.parse_args()
    torch.set_num_threads(min(4, torch.get_num_threads()))  # more only slow small models down
    args.device = args.device or ("cpu" if args.small or not torch.cuda.is_available() else "cuda")
    return args


def _environment(args: argparse.Namespace) -> dict[str, Any]:
    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda and args.device != "cpu" else args.device,
        "small": args.small,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cuda": torch.version.cuda,
        "cpus": os.cpu_count(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }


def _plain(value: Any) -> Any:
    """The value as JSON has it; what is not a finite number becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    if isinstance(value, np.integer):
        return int(value)
    return value if isinstance(value, str | int | None) else type(value).__name__


def _release() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


# Prompts and models


@dataclass(frozen=True)
class Demo:
    """The demo model's tokenizer, which serves all models.

    Attributes:
        tokenizer: The tokenizer.
    """

    tokenizer: Any

    def ids(self, message: str) -> list[int]:
        """A message as a prompt."""
        chat = [{"role": "user", "content": message}]
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text)["input_ids"])

    def prompts(self, count: int) -> list[Prompt]:
        """Questions of the demo task."""
        lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
        questions = [json.loads(line)["question"] for line in lines]
        chosen = questions[:: max(1, len(questions) // count)][:count]
        messages = [f"Please directly answer the following question with one or few words:\n{one}" for one in chosen]
        pairs = zip(chosen, messages, strict=True)
        found = [Prompt(one, message, self.ids(message), -3, restate=self.ids) for one, message in pairs]
        return sorted(found, key=lambda prompt: -len(prompt.token_ids))

    def random_prompts(self, count: int) -> list[Prompt]:
        """Prompts of 52 to 68 random tokens, longest first."""
        draw = np.random.default_rng(0)
        lengths = sorted(draw.integers(52, 69, count), reverse=True)
        return [Prompt("Which?", "Which?", draw.integers(3, 1000, n).tolist(), -3, restate=self.ids) for n in lengths]

    def stop(self, max_new_tokens: int, end: int | None) -> StopCriteria:
        """How answers end; tokens that the tokenizer does not know are read as ones that it does."""

        def read(tokens: list[int]) -> tuple[str, range]:
            known = [token if token < 1000 else 3 + token % 900 for token in tokens]
            return self.tokenizer.decode(known, skip_special_tokens=True), range(len(tokens))

        return StopCriteria(frozenset() if end is None else frozenset({end}), max_new_tokens, read)


def _demo() -> Demo:
    return Demo(AutoTokenizer.from_pretrained(MODEL_DIR))


def _checked_model(name: str, dtype: str) -> Any:
    """The demo model or a small random one on the CPU, its weights rounded to a type.

    Random weights are spread wide, to give entropies far from uniform.
    """
    kind = getattr(torch, dtype)
    if name == "demo":
        return AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=kind).eval()
    model_type, settings = ARCHITECTURES[name]
    config = AutoConfig.for_model(model_type, bos_token_id=1, eos_token_id=2, **{**SMALL_MODEL, **settings})
    torch.manual_seed(0)
    precise = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in precise.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    model = AutoModelForCausalLM.from_config(config, dtype=kind)
    model.load_state_dict(precise.state_dict())
    return model.eval()


def _in_float64(model: Any) -> Any:
    """A float64 model on the CPU with the same weights."""
    twin = AutoModelForCausalLM.from_config(model.config, dtype=torch.float64)
    twin.load_state_dict({name: value.cpu() for name, value in model.state_dict().items()})
    return twin.eval()


def _large_model(shape: tuple[str, dict[str, Any]], args: argparse.Namespace) -> Any:
    """A random model of a real shape in bfloat16, whose answers do not end by themselves."""
    model_type, settings = shape
    if args.small:
        settings = {**settings, **TINY}
    config = AutoConfig.for_model(model_type, bos_token_id=1, eos_token_id=None, pad_token_id=0, **settings)
    torch.manual_seed(0)
    with torch.device(args.device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    model.generation_config.eos_token_id = None
    return model


def _backend(model: Any, demo: Demo, needs: Iterable[Need[Any]]) -> TransformersBackend:
    """The backend, ready for those of some needs that it can gather."""
    backend = TransformersBackend(model, demo.tokenizer, max_length=1024, pad_id=0)
    backend.prepare([need for need in needs if backend.missing(need) is None])
    return backend


def _gather(backend: TransformersBackend, prompts: Sequence[Prompt], stop: StopCriteria, size: int) -> list[Evidence]:
    found: dict[int, Evidence] = {}
    for numbers, some in backend.gather(prompts, stop, size):
        found |= dict(zip(numbers, some, strict=True))
    return [found[number] for number in range(len(prompts))]


def _needs_of(methods: str) -> list[Need[Any]]:
    """What some methods need of the model; comparisons of texts need other models."""
    found = dict.fromkeys(need for method in build_methods(methods, {}) for need in method.needs())
    return [need for need in found if need.stage not in ("nli", "similarity")]


def _all_needs() -> list[Need[Any]]:
    """What all methods need, and every kind and weighting of gradients."""
    needs: list[Need[Any]] = [*_needs_of("all"), AnswerEntropies(), DrawLogProbs(STATEFUL)]
    for weighted in (False, True):
        needs += [HeadGradient(weighted), HeadGradient(weighted, tied=True)]
        needs += [StateGradient(weighted, LayerSpan("all")), StateGradient(weighted, LayerSpan("top_half"))]
        needs.append(StateGradientMap(weighted, LayerSpan("all"), (-1, -2, -3)))
    return list(dict.fromkeys([*needs, *map(SampleLogProbs, sample_sets(needs))]))


# Correctness


@dataclass
class Differences:
    """How far numbers are from those that were expected.

    Attributes:
        absolute: The largest absolute difference.
        relative: The largest difference relative to the expected number.
        of_largest: The largest difference relative to the largest number of its array.
        compared: Count of numbers.
        nan: Count of numbers that are NaN and should not be, or the reverse.
        left_out: Count of arrays that belong to other tokens or texts and cannot be compared.
    """

    absolute: float = 0.0
    relative: float = 0.0
    of_largest: float = 0.0
    compared: int = 0
    nan: int = 0
    left_out: int = 0

    def add(self, found: Any, expected: Any) -> None:
        """Compares an array."""
        a, b = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
        known = ~(np.isnan(a) | np.isnan(b))
        self.nan += int((np.isnan(a) != np.isnan(b)).sum())
        self.compared += a.size
        a, b = a[known & (a != b)], b[known & (a != b)]  # what is equal, infinite too, does not differ
        if a.size:
            apart, size = np.abs(a - b), np.abs(b)
            self.absolute = max(self.absolute, float(apart.max()))
            self.relative = max(self.relative, float((apart / np.maximum(size, 1e-300)).max()))
            self.of_largest = max(self.of_largest, float(apart.max() / max(float(size.max()), 1e-300)))


@dataclass
class Comparison:
    """Differences by what is compared, and how many answers have the same tokens."""

    differences: dict[str, Differences] = field(default_factory=dict)
    same: Counter[str] = field(default_factory=Counter)
    all: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, found: Any, expected: Any, comparable: bool = True) -> None:
        """Compares an array of a kind, unless it belongs to something else."""
        differences = self.differences.setdefault(name, Differences())
        if comparable:
            differences.add(found, expected)
        else:
            differences.left_out += 1

    def count(self, name: str, same: bool) -> None:
        """Counts an answer."""
        self.same[name] += same
        self.all[name] += 1

    def result(self) -> dict[str, Any]:
        """All of it, for JSON."""
        same = {name: f"{self.same[name]}/{count}" for name, count in self.all.items()}
        return {"same tokens": same, **{name: vars(found) for name, found in sorted(self.differences.items())}}


def _correctness(results: Results, args: argparse.Namespace) -> str:
    """Part A."""
    demo = _demo()
    reserved = results.left * (1 - CORRECTNESS) if len(args.parts) > 1 and not args.small else 0.0
    for dtype in DTYPES:
        for name in ("demo", *ARCHITECTURES):
            path = ("correctness", dtype, name)
            checks = {"given the device's tokens": _forced, "end to end": _end_to_end}
            if dtype == "float32":
                checks["batches of 1"] = _batches_of_one
            model = results.add(
                *path, "model", work=partial(_Checked.of, name, dtype, args), needs_seconds=reserved + 4
            )
            if model is not None:
                for check, work in checks.items():
                    results.add(*path, check, work=partial(work, model, demo), needs_seconds=reserved + 4)
    return "done"


@dataclass(frozen=True)
class _Checked:
    """A model on the device, and the same weights in float64 on the CPU."""

    model: Any
    exact: Any
    max_new_tokens: int
    questions: int

    @classmethod
    def of(cls, name: str, dtype: str, args: argparse.Namespace) -> _Checked:
        model = _checked_model(name, dtype)
        exact = _in_float64(model)
        if name == "demo":
            return cls(model.to(args.device), exact, 24, 2 if args.small else 16)
        return cls(model.to(args.device), exact, 10, 2 if args.small else 8)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.model, self.exact))


def _forced(checked: _Checked, demo: Demo) -> dict[str, Any]:
    """Numbers of the device's own answers, against those that the exact model gives to the same tokens."""
    architecture, exact = Architecture.of(checked.model), Architecture.of(checked.exact)
    prompts = demo.prompts(checked.questions)
    ids = [prompt.token_ids for prompt in prompts]
    samplers = (Samples(5, 1.0), replace(STATEFUL, count=5))
    how = {"end_ids": frozenset({2}), "pad_id": 0, "max_new_tokens": checked.max_new_tokens, "samplers": samplers}
    decoded = decode(architecture, ids, captured_block=0, captured_from=-3, **how)
    comparison = Comparison()
    for row, prompt in enumerate(ids):
        length = decoded.lengths[row]
        tokens = decoded.token_ids[row, :length].tolist()
        logprobs, entropies, _ = _exact_answer(exact, prompt, tokens)
        comparison.add("greedy log-probabilities", decoded.logprobs[row, :length].cpu(), logprobs)
        comparison.add("greedy entropies", decoded.entropies[row, :length].cpu(), entropies)
        for answer in (one for sampler in samplers for one in decoded.samples[row][sampler]):
            logprobs, entropies, state = _exact_answer(exact, prompt, list(answer.token_ids))
            comparison.add("sample log-probabilities", answer.logprobs, logprobs)
            comparison.add("sample entropies", answer.entropies, entropies)
            assert answer.state is not None
            comparison.add("sample states", answer.state.double(), state)
    scored = [range(length) for length in decoded.lengths]
    columns = decoded.prompt_ids.shape[1] + np.array([[-3, -2, -1]] * len(ids))
    request = Request(frozenset({False, True}), frozenset({False, True}), 0)
    on_cpu = replace(
        decoded,
        prompt_ids=decoded.prompt_ids.cpu(),
        prompt_mask=decoded.prompt_mask.cpu(),
        token_ids=decoded.token_ids.cpu(),
    )
    expected = reference_gradients(exact, on_cpu, scored, columns, request)
    _compare_gradients(comparison, gradients(architecture, decoded, scored, columns, request), expected)
    if what_is_not_tied(architecture) is None:
        found = tied_gradients(architecture, decoded, scored, (False, True))
        for row, of_matrix in enumerate(found):
            for weighted, value in _exact_tied(exact, on_cpu, row).items():
                comparison.add(f"tied head gradient{_by(weighted)}", of_matrix[weighted], value)
    return comparison.result()


def _by(weighted: bool) -> str:
    return ", by entropy" if weighted else ""


@torch.no_grad()
def _exact_answer(exact: Architecture, prompt: Sequence[int], tokens: list[int]) -> tuple[Any, Any, Any]:
    """Log-probabilities and entropies of an answer's tokens, and the middle state at the last token that was fed."""
    ids = torch.tensor([[*prompt, *tokens[:-1]]])
    middle = exact.n_blocks // 2
    hidden, _, entered = watched_states(exact, ids, torch.ones_like(ids), use_cache=False, watch={middle})
    logprobs, entropies = log_softmax_and_entropy(logits(exact, hidden[0, len(prompt) - 1 :]))
    taken = logprobs.gather(-1, torch.tensor(tokens)[:, None])[:, 0]
    return taken.numpy(), entropies.numpy(), entered[middle][0, -1].double().numpy()


def _compare_gradients(comparison: Comparison, found: list[Gradients], expected: list[Gradients]) -> None:
    for one, other in zip(found, expected, strict=True):
        for weighted in (False, True):
            comparison.add(f"head gradient{_by(weighted)}", one.head[weighted], other.head[weighted])
            norms, exact = one.states[weighted], other.states[weighted]
            comparison.add(f"state gradients, absolute{_by(weighted)}", norms.absolute, exact.absolute)
            comparison.add(f"state gradients, squared{_by(weighted)}", norms.squared, exact.squared)


def _exact_tied(exact: Architecture, decoded: Decoded, row: int) -> dict[bool, float]:
    """The tied matrix's gradient by autograd."""
    prompt = decoded.prompt_ids[row][decoded.prompt_mask[row].bool()]
    tokens = decoded.token_ids[row, : decoded.lengths[row]]
    ids = torch.cat([prompt, tokens[:-1]])[None]
    weight = exact.model.get_input_embeddings().weight
    with torch.enable_grad():
        scores = exact.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
        logprobs = scores[0, len(prompt) - 1 :].double().log_softmax(-1)
        entropies = torch.special.entr(logprobs.detach().exp()).sum(-1)
        taken = logprobs.gather(-1, tokens[:, None])[:, 0]
        losses = {False: -taken.mean(), True: -(entropies * taken).mean()}
        return {
            weighted: torch.autograd.grad(loss, weight, retain_graph=True)[0].abs().mean().item()
            for weighted, loss in losses.items()
        }


def _end_to_end(checked: _Checked, demo: Demo) -> dict[str, Any]:
    """The evidence for all needs, on the device against the exact model on the CPU."""
    prompts = demo.prompts(checked.questions)
    stop = demo.stop(checked.max_new_tokens, 2)
    found, expected = (_gather(_backend(model, demo, _all_needs()), prompts, stop, len(prompts)) for model in checked)
    return _compare_evidence(found, expected)


def _batches_of_one(checked: _Checked, demo: Demo) -> dict[str, Any]:
    """The evidence for all needs on the device, a prompt at a time against all together."""
    prompts = demo.prompts(checked.questions)
    stop = demo.stop(checked.max_new_tokens, 2)
    backend = _backend(checked.model, demo, _all_needs())
    found, expected = (_gather(backend, prompts, stop, size) for size in (1, len(prompts)))
    return _compare_evidence(found, expected)


def _compare_evidence(found: list[Evidence], expected: list[Evidence]) -> dict[str, Any]:
    comparison = Comparison()
    for one, other in zip(found, expected, strict=True):
        _compare_answers(comparison, one, other)
        for need in dict.fromkeys([*one.values, *other.values]):
            if (need in one.values) != (need in other.values):
                comparison.count(f"had by both: {_name(need)}", False)
            elif isinstance(need, HeadGradient | StateGradient | StateGradientMap):
                _compare_one_gradient(comparison, need, one, other)
            else:
                _compare_value(comparison, need, one, other)
    return comparison.result()


def _name(need: Need[Any]) -> str:
    """What a need is called here; needs of one kind that differ in their samples are one."""
    weighted, tied = getattr(need, "reweighted", False), getattr(need, "tied", False)
    return f"{type(need).__name__}{', tied' if tied else ''}{_by(weighted)}"


def _shared(one: Sequence[int] | None, other: Sequence[int] | None) -> int:
    """Number of tokens that two answers begin with alike."""
    pairs = enumerate(zip(one or (), other or (), strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one or ()), len(other or ())))


def _compare_answers(comparison: Comparison, one: Evidence, other: Evidence) -> None:
    """The greedy answers as far as their tokens agree; the first that differs comes from the same distribution."""
    mine, theirs = one.answer, other.answer
    comparison.count("greedy", mine.token_ids == theirs.token_ids)
    shared = _shared(mine.token_ids, theirs.token_ids)
    comparison.add("greedy log-probabilities", one[AnswerLogProbs()][:shared], other[AnswerLogProbs()][:shared])
    until = min(shared + 1, len(mine.token_ids or ()), len(theirs.token_ids or ()))
    comparison.add("greedy entropies", one[AnswerEntropies()][:until], other[AnswerEntropies()][:until])


def _compare_one_gradient(comparison: Comparison, need: Need[Any], one: Evidence, other: Evidence) -> None:
    comparable = one.answer.token_ids == other.answer.token_ids
    if isinstance(need, HeadGradient):
        comparison.add(_name(need), one[need], other[need], comparable)
        return
    for part in ("absolute", "squared"):
        comparison.add(f"{_name(need)}, {part}", getattr(one[need], part), getattr(other[need], part), comparable)


def _compare_value(comparison: Comparison, need: Need[Any], one: Evidence, other: Evidence) -> None:
    """Samples and what is about them, and texts that were scored again."""
    if isinstance(need, ContinuationLogProb):
        comparison.add(_name(need), one[need], other[need], one.answer.text == other.answer.text)
        return
    if isinstance(need, AnswersGivenAnswers):
        mine, theirs = one[need], other[need]
        comparable = mine.answers == theirs.answers
        comparison.add(f"{_name(need)}, log-probabilities", mine.logprobs, theirs.logprobs, comparable)
        comparison.add(f"{_name(need)}, probabilities", mine.probabilities, theirs.probabilities, comparable)
        return
    if need.sample_set is None:
        return
    for at, (mine, theirs) in enumerate(zip(one[need.sample_set], other[need.sample_set], strict=True)):
        same = mine.token_ids == theirs.token_ids
        if isinstance(need, SampleStates):
            comparison.add(_name(need), one[need][at], other[need][at], same)
        elif isinstance(need, RescoredLogProb):
            comparison.add(_name(need), one[need][at], other[need][at], mine.text == theirs.text)
        elif need == need.sample_set:
            comparison.count(_name(need), same)
            shared = _shared(mine.token_ids, theirs.token_ids)
            comparison.add(f"{_name(need)}, log-probabilities", mine.logprobs[:shared], theirs.logprobs[:shared])
            if mine.sampled_logprobs is not None and theirs.sampled_logprobs is not None:
                pair = mine.sampled_logprobs[:shared], theirs.sampled_logprobs[:shared]
                comparison.add(f"{_name(need)}, log-probabilities of the draw", *pair)


# Speed


def _speed(results: Results, args: argparse.Namespace) -> str:
    """Seconds and memory of large models."""
    new_tokens = 8 if args.small else 64
    families = {name: _needs_of(name) for name in ("exgrad", "semgrad", "p_true")}
    families |= {"sample sets": list(sample_sets(_needs_of("all"))), "all methods": _needs_of("all")}
    bench = results.add("speed", "qwen3-4b", "model", work=lambda: Bench.of(QWEN3_4B, args, new_tokens))
    if bench is not None:
        for size in (2, 4) if args.small else (16, 64):
            bench.measure(results, "qwen3-4b", size, families={})
    larger = results.add("speed", "llama-3.1-8b", "model", work=lambda: Bench.of(LLAMA_8B, args, new_tokens))
    if larger is not None:
        larger.measure(results, "llama-3.1-8b", 2 if args.small else 16, families={})
    del larger
    _release()
    if bench is not None:  # last, since it may take longest
        bench.measure(results, "qwen3-4b", 2 if args.small else 16, families)
    return "done"


def _profile(results: Results, args: argparse.Namespace) -> str:
    """What a step of decoding does."""
    bench = results.add("profile", "qwen3-4b", "model", work=lambda: Bench.of(QWEN3_4B, args, 8 if args.small else 64))
    if bench is not None:
        bench.profile(results, "qwen3-4b", 2 if args.small else 16)
    return "done"


@dataclass(frozen=True)
class Bench:
    """A large random model, and the ways of answering prompts with it."""

    model: Any
    demo: Demo
    device: str
    new_tokens: int

    @classmethod
    def of(cls, shape: tuple[str, dict[str, Any]], args: argparse.Namespace, new_tokens: int) -> Bench:
        """Makes the model."""
        return cls(_large_model(shape, args), _demo(), args.device, new_tokens)

    def way(self, needs: Iterable[Need[Any]], new_tokens: int) -> Callable[[Sequence[Prompt]], list[Evidence]]:
        """Our backend, gathering some needs."""
        backend, stop = _backend(self.model, self.demo, needs), self.demo.stop(new_tokens, None)
        return lambda prompts: _gather(backend, prompts, stop, len(prompts))

    def generate(self, new_tokens: int) -> Callable[[Sequence[Prompt]], list[Evidence]]:
        """Greedy decoding by transformers."""

        def work(prompts: Sequence[Prompt]) -> list[Evidence]:
            ids, mask = left_pad([prompt.token_ids for prompt in prompts], 0, self.model.device)
            how = {"do_sample": False, "max_new_tokens": new_tokens, "pad_token_id": 0, "eos_token_id": None}
            found = self.model.generate(input_ids=ids, attention_mask=mask, **how)
            assert found.shape[1] == ids.shape[1] + new_tokens
            return []

        return work

    def measure(self, results: Results, name: str, size: int, families: Mapping[str, list[Need[Any]]]) -> None:
        """Seconds and memory of every way; without families `generate`, no methods and the default ones."""
        path = ("speed", name, f"batch of {size}")
        prompts = self.demo.random_prompts(size)
        if not families:
            ways: dict[str, Callable[[], Any]] = {"generate": partial(self.generate, self.new_tokens)}
            ways |= {
                "no methods": partial(self.way, [], self.new_tokens),
                "default methods": partial(self.way, _needs_of("default"), self.new_tokens),
            }
        else:
            ways = {key: partial(self.way, needs, self.new_tokens) for key, needs in families.items()}
        for key, make in ways.items():
            work = partial(_measured, make, prompts, self.device, self.new_tokens, results)
            results.add(*path, key, work=work, needs_seconds=1 if self.device == "cpu" else 15)

    def profile(self, results: Results, name: str, size: int) -> None:
        """Part C: what a step of greedy decoding does, here and in `generate`."""
        prompts = self.demo.random_prompts(size)
        sets = list(sample_sets(_needs_of("all")))
        ways: dict[str, Callable[[int], Any]] = {
            "generate": self.generate,
            "no methods": partial(self.way, []),
            "default methods": partial(self.way, _needs_of("default")),
            "sample sets": partial(self.way, sets),
        }
        for key, make in ways.items():
            lengths = (SHORT, 2 * SHORT) if key == "sample sets" else (SHORT, LONG)
            work = partial(_profiled, make, prompts, self.device, lengths)
            results.add(
                "profile", name, f"batch of {size}", key, work=work, needs_seconds=1 if self.device == "cpu" else 15
            )


def _seconds(work: Callable[[], Any], device: str) -> float:
    _synchronize(device)
    start = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - start


def _measured(
    make: Callable[[], Callable[[Sequence[Prompt]], list[Evidence]]],
    prompts: Sequence[Prompt],
    device: str,
    new_tokens: int,
    results: Results,
) -> dict[str, Any]:
    """The median of three after two warm-ups; of slow ways fewer."""
    way = make()
    found: list[list[Evidence]] = []

    def work() -> None:
        found[:] = [way(prompts)]

    warm_up = _seconds(work, device)
    slow = warm_up > 6
    if not slow:
        _seconds(work, device)
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() / 1e9 if on_gpu else None
    taken: list[float] = []
    while len(taken) < (1 if slow else 3) and results.left > warm_up + 5:
        taken.append(_seconds(work, device))
    seconds = statistics.median(taken or [warm_up])
    stages: Counter[str] = Counter()
    for evidence in found[0]:
        stages.update(evidence.cost)
    return {
        "seconds": seconds,
        "all": taken,
        "first": warm_up,
        "tokens a second": len(prompts) * new_tokens / seconds,
        "milliseconds a token": 1e3 * seconds / new_tokens,
        "memory before GB": before,
        "peak memory GB": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
        "stages": dict(stages),
    }


# Profile


@dataclass(frozen=True)
class Operation:
    """What a profiler saw of an operation or kernel: count, own host time and own device time in microseconds."""

    count: float = 0
    host: float = 0
    device: float = 0
    on_device: bool = False

    def less(self, other: Operation, steps: int) -> Operation:
        """What remains without another run, a step."""
        apart = (self.count - other.count, self.host - other.host, self.device - other.device)
        return Operation(*(one / steps for one in apart), self.on_device)


def _profiled(
    make: Callable[[int], Callable[[Sequence[Prompt]], list[Evidence]]],
    prompts: Sequence[Prompt],
    device: str,
    lengths: tuple[int, int],
) -> dict[str, Any]:
    """What a step adds: a run of many tokens less a run of few.

    Of a way with methods the passes behind decoding also see more tokens, which counts as the step's.
    """
    short, long = (partial(make(length), prompts) for length in lengths)
    steps = lengths[1] - lengths[0]
    for work in (short, long):
        work()  # warm up
    walls = [_seconds(long, device) - _seconds(short, device) for _ in range(3)]
    before, after = _operations(short, device), _operations(long, device)
    change = {name: one.less(before.get(name, Operation()), steps) for name, one in after.items()}
    return {
        "steps": steps,
        "wall ms": 1e3 * statistics.median(walls) / steps,
        **_summary(change),
        "top by host time": _top(change, lambda one: one.host),
        "top by device time": _top(change, lambda one: one.device if one.on_device else 0.0),
        "synchronisations by line": _sync_sites(short, long, steps) if device.startswith("cuda") else {},
    }


def _operations(work: Callable[[], Any], device: str) -> dict[str, Operation]:
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.startswith("cuda") else [])]
    with profile(activities=activities) as seen:
        work()
        _synchronize(device)
    found: dict[str, Operation] = {}
    for event in seen.key_averages():
        on_device = "CUDA" in str(event.device_type)
        key = f"{'device: ' if on_device else ''}{event.key}"
        own = (event.count, event.self_cpu_time_total, event.self_device_time_total)
        old = found.get(key, Operation())
        found[key] = Operation(old.count + own[0], old.host + own[1], old.device + own[2], on_device)
    return found


def _summary(change: Mapping[str, Operation]) -> dict[str, float]:
    """Counts and milliseconds a step."""

    def count(*beginnings: str) -> float:
        return sum(one.count for name, one in change.items() if name.startswith(beginnings))

    host = sum(one.host for one in change.values() if not one.on_device)
    waiting = sum(one.host for name, one in change.items() if "Synchronize" in name or name.startswith("cudaMemcpy"))
    return {
        "kernel launches": count("cudaLaunchKernel", "cuLaunchKernel"),
        "device kernels": sum(one.count for name, one in change.items() if one.on_device and "Mem" not in name),
        "graph launches": count("cudaGraphLaunch"),
        "cudaStreamSynchronize": count("cudaStreamSynchronize"),
        "cudaMemcpyAsync": count("cudaMemcpyAsync"),
        "copies to the host": count("device: Memcpy DtoH"),
        "copies to the device": count("device: Memcpy HtoD"),
        "items": count("aten::item"),
        "aten::_local_scalar_dense": count("aten::_local_scalar_dense"),
        "operations": sum(one.count for name, one in change.items() if name.startswith("aten::")),
        "host ms in operations, profiled": host / 1e3,
        "of these ms in copies and synchronisations": waiting / 1e3,
        "device ms": sum(one.device for one in change.values() if one.on_device) / 1e3,
    }


def _top(change: Mapping[str, Operation], size: Callable[[Operation], float], count: int = 15) -> list[dict[str, Any]]:
    largest = sorted(change.items(), key=lambda item: -size(item[1]))[:count]
    return [
        {"name": name[:100], "count": one.count, "host ms": one.host / 1e3, "device ms": one.device / 1e3}
        for name, one in largest
        if size(one) > 0
    ]


def _sync_sites(short: Callable[[], Any], long: Callable[[], Any], steps: int) -> dict[str, float]:
    """Synchronising calls a step by the line of Python that makes them."""
    before, after = _synchronising_lines(short), _synchronising_lines(long)
    after.subtract(before)
    return {line: count / steps for line, count in after.most_common(25) if count}


def _synchronising_lines(work: Callable[[], Any]) -> Counter[str]:
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    sites = [one for one in caught if "synchroniz" in str(one.message)]
    return Counter(f"{'/'.join(Path(one.filename).parts[-3:])}:{one.lineno}" for one in sites)


PARTS = {"correctness": _correctness, "speed": _speed, "profile": _profile}


if __name__ == "__main__":
    main()
