"""Models that commands load without lm_eval's command line."""

import torch

from uq_harness.models.loading import load_model


def test_without_a_device_the_model_lands_where_lm_eval_would_put_it() -> None:
    model = load_model("demo", methods="g_nll")
    assert model.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
