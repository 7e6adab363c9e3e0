"""Modules of Hugging Face `evaluate`, one a folder.

From the root of the repository ``evaluate.load("metrics/auroc")``; with the package installed, give the folder's path:

>>> from pathlib import Path
>>> import evaluate
>>> from uq_harness import metrics
>>> auroc = evaluate.load(str(Path(metrics.__file__).parent / "auroc"))
>>> auroc.compute(predictions=[0.1, 0.4, 0.6, 0.9], references=[1, 1, 0, 0])["auroc"]
1.0
"""
