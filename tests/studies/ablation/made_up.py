"""Made-up evidence and SPS results, for what needs no model."""

from dataclasses import replace

import numpy as np

from uq_harness.answering.identity import ModelIdentity
from uq_harness.studies.ablation.evidence import AblationEvidence
from uq_harness.studies.paraphrase.file import Dropped
from uq_harness.studies.sps.prompts import Position
from uq_harness.studies.sps.result import DataSetSps, SpsResult

MODEL = ModelIdentity(name="models/made-up", dtype="torch.float32", weights="0123456789abcdef", template="fedcba98")
BLOCKS, COLUMNS = 4, 5


def positions(count: int = COLUMNS) -> tuple[Position, ...]:
    texts = ["?", "<|im_end|>", "\n", "<|im_start|>", "\n"]
    return tuple(Position(place - count, texts[place % 5], 1.0 if place else 0.4) for place in range(count))


def evidence(n: int = 60, seed: int = 0, **changes) -> AblationEvidence:
    """Sizes of gradients that tell right answers from wrong ones, more or less."""
    rng = np.random.default_rng(seed)
    correct = (np.arange(n) % 3 > 0).astype(np.float64)
    noise = rng.lognormal(size=(2, n, BLOCKS, COLUMNS))
    absolute = 1e-4 * noise * (2 - correct)[:, None, None]
    made = AblationEvidence(
        task="uq_demo",
        judge="exact_match",
        model=MODEL,
        positions=positions(),
        documents=np.arange(n),
        correct=correct,
        correctness=correct,
        semantic_token=np.full(n, -2),
        mean_entropy=rng.exponential(0.5, n),
        head=1e-5 * rng.lognormal(size=(2, n)) * (2 - correct),
        absolute=absolute,
        squared=absolute**2 * rng.uniform(1, 3, absolute.shape),
        methods={"semgrad": absolute[1, :, 2:, 3].mean(-1), "paragrad": rng.lognormal(size=n)},
    )
    return replace(made, **changes)


def sps(scores: np.ndarray | None = None, task: str = "uq_demo", checked: bool = True, **changes) -> SpsResult:
    """An SPS result over all layers, what leaves the last block included."""
    if scores is None:
        scores = np.random.default_rng(1).uniform(size=(BLOCKS + 1, COLUMNS))
    one = DataSetSps(
        name="demo",
        file="demo.jsonl",
        task=task,
        checked=checked,
        questions=2,
        paraphrases=2,
        dropped=Dropped(),
        seconds=0.0,
        within=scores,
        between=np.zeros_like(scores),
    )
    made = SpsResult.of(
        MODEL,
        through_template=True,
        blocks=BLOCKS,
        layers=range(len(scores)),
        positions=positions(scores.shape[1]),
        data_sets=[one],
        template_choice=-2,
        candidates=3,
        max_paraphrases=5,
        example="",
    )
    return replace(made, **changes)
