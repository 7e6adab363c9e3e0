"""Models whose kernels give no gradient are refused where a method needs one; all other methods work on."""

import copy
import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from uq_harness import UncertaintyModel
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError

ASKED = ["What do people call the capital city of Kizivarra?", "Which city serves as the capital in Nomoria?"]
OTHERS = {"methods": "g_nll+p_true+degree", "nli_model": "lexical", "entropy_samples": 3, "max_new_tokens": 8}


@pytest.fixture(scope="module")
def demo() -> tuple:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)


class Kernel(nn.Module):
    """A linear layer by a kernel of its own, as packages for quantised weights have them."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = linear.weight


class WithoutGraph(Kernel):
    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight)


class _RaisingBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx, gradient):
        raise NotImplementedError("the backward of this kernel")


class _ZeroBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.shape = x.shape
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.new_zeros(ctx.shape), None


class WithZeros(Kernel):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _ZeroBackward.apply(x, self.weight)


class WithoutBackward(Kernel):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _RaisingBackward.apply(x, self.weight)


class ForInferenceOnly(Kernel):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad:
            raise RuntimeError("inference only")
        return F.linear(x, self.weight)


class PackedHead(nn.Module):
    """A head with packed weights, which are made when they are used."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().view(torch.uint8), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight.view(torch.float32))


def with_kernels(model: PreTrainedModel, kernel: type[Kernel], where: Callable[[str], bool]) -> PreTrainedModel:
    """A copy of the model with a kernel in the place of some of its blocks' linear layers."""
    twin = copy.deepcopy(model)
    for name, module in list(twin.model.layers.named_modules()):
        if isinstance(module, nn.Linear) and where(name):
            parent, _, last = name.rpartition(".")
            setattr(twin.model.layers.get_submodule(parent), last, kernel(module))
    return twin


def everywhere(name: str) -> bool:
    return True


def down(name: str) -> bool:
    return name.endswith("down_proj")


def last_output(name: str) -> bool:
    return name.endswith("5.self_attn.o_proj")


@pytest.mark.parametrize("where", [everywhere, down, last_output])
@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        (WithoutGraph, "without a graph"),
        (WithZeros, "gradient of zeros"),
        (WithoutBackward, "no backward pass .NotImplementedError: the backward of this kernel"),
        (ForInferenceOnly, "cannot run with gradients .RuntimeError: inference only"),
    ],
)
def test_the_kernel_is_named_where_it_passes_no_gradient(
    demo: tuple, kernel: type[Kernel], why: str, where: Callable[[str], bool]
) -> None:
    model = with_kernels(demo[0], kernel, where)
    with pytest.raises(UQHarnessError, match=rf"hybridgrad, semgrad cannot be .*{kernel.__name__} .*{why}.*g_nll"):
        UncertaintyModel(model, demo[1], methods=["hybridgrad", "semgrad", "exgrad"])


@pytest.mark.parametrize("kernel", [WithoutGraph, WithZeros, WithoutBackward, ForInferenceOnly])
def test_methods_without_gradients_through_the_model_work_on(demo: tuple, kernel: type[Kernel]) -> None:
    model = with_kernels(demo[0], kernel, everywhere)
    chosen = OTHERS | {"methods": OTHERS["methods"] + "+exgrad+paragrad"}
    found, expected = (UncertaintyModel(one, demo[1], **chosen).answer(ASKED) for one in (model, demo[0]))
    for ours, plain in zip(found, expected, strict=True):
        assert ours.uncertainty == pytest.approx(plain.uncertainty, rel=1e-5)


def test_a_kernel_below_the_blocks_that_are_asked_for_is_no_hindrance(demo: tuple) -> None:
    model = with_kernels(demo[0], WithoutGraph, lambda name: name.startswith(("0.", "1.")))
    found, expected = (
        UncertaintyModel(one, demo[1], methods="semgrad").answer(ASKED[:1])[0].uncertainty for one in (model, demo[0])
    )
    assert found == pytest.approx(expected, rel=1e-5)


def test_attention_without_a_backward_pass(demo: tuple) -> None:
    def inference_only(module, query, key, value, attention_mask, **kwargs):
        out, weights = ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, attention_mask, **kwargs)
        return out.detach(), weights

    ALL_ATTENTION_FUNCTIONS.register("inference_only", inference_only)
    ALL_MASK_ATTENTION_FUNCTIONS.register("inference_only", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    model = copy.deepcopy(demo[0])
    model.config._attn_implementation = "inference_only"
    with pytest.raises(
        UQHarnessError, match=r"semgrad cannot .*Attention .*without a graph.*attn_implementation=eager"
    ):
        UncertaintyModel(model, demo[1], methods="semgrad")


def test_a_packed_head_has_no_matrix_to_take_a_gradient_of(demo: tuple) -> None:
    model = copy.deepcopy(demo[0])
    model.lm_head = PackedHead(model.lm_head)
    with pytest.raises(UQHarnessError, match=r"exgrad, hybridgrad, paragrad cannot be .*PackedHead.* is quantised"):
        UncertaintyModel(model, demo[1])
    chosen = OTHERS | {"methods": OTHERS["methods"] + "+semgrad"}
    found, expected = (UncertaintyModel(one, demo[1], **chosen).answer(ASKED) for one in (model, demo[0]))
    for ours, plain in zip(found, expected, strict=True):
        assert ours.uncertainty == pytest.approx(plain.uncertainty, rel=1e-5)


def test_dynamic_quantisation_leaves_the_methods_without_gradients(demo: tuple) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(copy.deepcopy(demo[0]), {nn.Linear})
    with pytest.raises(
        UQHarnessError, match=r"hybridgrad, paragrad, semgrad cannot be .*DynamicQuantizedLinear. is quantised"
    ):
        UncertaintyModel(model, demo[1])
    for answer in UncertaintyModel(model, demo[1], **OTHERS).answer(ASKED):
        assert not any(math.isnan(score) for score in answer.uncertainty.values())
