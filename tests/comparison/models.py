"""Copies of a model that something has happened to."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def damage(model: Path, folder: Path, noise: float) -> Path:
    """A copy whose weight matrices have Gaussian noise of so many of their own standard deviations added."""
    shutil.copytree(model, folder)
    file = folder / "model.safetensors"
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: (w + noise * w.float().std() * torch.randn(w.shape, generator=generator)).to(w.dtype)
        if w.ndim == 2
        else w
        for name, w in load_file(file).items()
    }
    save_file(weights, file, metadata={"format": "pt"})
    return folder
