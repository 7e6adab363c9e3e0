"""Makes every picture of docs/gallery.md and of the README again, offline, with the demo model: about three minutes.

``python docs/make/gallery.py`` needs Chromium and chromedriver. What the commands write on the way is in
``out/gallery``; answers that are there are not asked again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from browser import chromium
from PIL import Image
from selenium.webdriver import Chrome

from uq_harness.demo import QUESTIONS

PICTURES = Path(__file__).parents[1] / "pictures"
METHODS = (
    "g_nll+perplexity+mean_token_entropy+rauq+exgrad+paragrad+semgrad+hybridgrad+p_true"
    "+semantic_entropy+degree+self_consistency+sar+eigenscore"
)
AUXILIARY = "nli_model=lexical,similarity_model=lexical"
# Pictures that a command draws: name, and where below the folder of results.
DRAWN = {
    "forest": "report/plots/forest.png",
    "risk_coverage": "report/plots/*_risk.png",
    "sps": "sps/sps_demo.png",
    "ablation": "ablation/*states*.png",
    "threshold": "policy/reliability.png",
}
WIDTH = 1280


def main() -> None:
    """Runs the commands, and photographs what they wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("out/gallery"), help="folder for what the commands write")
    results = parser.parse_args().results.resolve()
    results.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(exist_ok=True)
    _run_commands(results)
    for name, pattern in DRAWN.items():
        found = sorted(results.glob(pattern))
        if not found:
            raise SystemExit(f"no file {pattern} in {results}: has a command changed what it writes?")
        _save(Image.open(found[0]), name)
    answer = results / "answer.html"
    answer.write_text(_coloured_answer(), encoding="utf-8")
    with chromium() as browser:
        _photograph(browser, results / "report" / "report.html", "report")
        _photograph(browser, results / "report" / "report.html", "report_phone", width=390, dark=True)
        _photograph(browser, results / "board" / "leaderboard.html", "leaderboard")
        _photograph(browser, answer, "answer", width=760, height=0)
    size = sum(picture.stat().st_size for picture in PICTURES.glob("*.png"))
    print(f"{len(list(PICTURES.glob('*.png')))} pictures, {size / 1e6:.2f} MB")


def _run_commands(results: Path) -> None:
    runs = results / "runs"
    for name, model in {
        "float32": f"pretrained=demo,methods={METHODS},{AUXILIARY}",
        "bfloat16": f"pretrained=demo,methods={METHODS},{AUXILIARY},dtype=bfloat16",
        "another_seed": f"pretrained=demo,methods={METHODS},{AUXILIARY},seed=7",
    }.items():
        if not list((runs / name).rglob("results_*.json")):
            _uq_harness("run", "--model", "uq-hf", "--model_args", model, *_DEMO, "--output_path", str(runs / name))
    whole = str(runs / "float32")
    _uq_harness("report", whole, "--output", str(results / "report"))
    _uq_harness("leaderboard", str(runs), "--output", str(results / "board"))
    _uq_harness("threshold", whole, "--methods", "semgrad", "--target", "0.2", "--output", str(results / "policy"))
    _uq_harness(
        *("sps", "--model", "demo", "--paraphrases", f"demo={QUESTIONS}", "--tasks", "uq_demo"),
        "--apply_chat_template",
        *("--output", str(results / "sps")),
    )
    _uq_harness(
        *("ablate", "--model_args", "pretrained=demo", "--tasks", "uq_demo", "--apply_chat_template"),
        *("--batch_size", "16", "--sps", str(results / "sps" / "sps.json"), "--output", str(results / "ablation")),
    )


_DEMO = (
    *("--tasks", "uq_demo", "--apply_chat_template", "--batch_size", "16", "--device", "cpu"),
    "--log_samples",
)


def _uq_harness(*words: str) -> None:
    print("$ uq-harness", *words, flush=True)
    done = subprocess.run([sys.executable, "-m", "uq_harness", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def _coloured_answer() -> str:
    """A page with the least certain of the first answers of the demo, as a notebook shows it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from uq_harness import UncertaintyModel
    from uq_harness.demo import MODEL_DIR

    model = UncertaintyModel(
        AutoModelForCausalLM.from_pretrained(MODEL_DIR),
        AutoTokenizer.from_pretrained(MODEL_DIR),
        methods="g_nll+semgrad",
    )
    questions = [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    answer = max(model.answer(questions[:48]), key=lambda answer: answer.uncertainty["semgrad"])
    style = "margin: 1.5rem; font-family: sans-serif"
    return f'<!doctype html><meta charset="utf-8"><body style="{style}">{answer.to_html()}'


def _photograph(
    browser: Chrome, page: Path, name: str, *, width: int = WIDTH, height: int = 900, dark: bool = False
) -> None:
    """The first screen of a page, or all of it where no height is given."""
    theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
    _resize(browser, width, height or 200)
    browser.get(page.as_uri())
    if not height:
        _resize(browser, width, browser.execute_script("return document.body.offsetHeight") + 48)
    file = PICTURES / f"{name}.png"
    browser.save_screenshot(str(file))
    _save(Image.open(file), name)


def _resize(browser: Chrome, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def _save(picture: Image.Image, name: str) -> None:
    """Keeps a picture no wider than a page, with 256 colours: a third of the bytes, and no difference to see."""
    picture = picture.convert("RGB")
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    picture.quantize(256, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
