"""What is published holds no path of the machine that it was made on."""

import sys
from pathlib import Path

import pytest

from tests.report.runs import made_up, write_run
from uq_harness.cli import main


def test_no_written_file_names_the_folders_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "my models"
    for number, seed in enumerate((1.0, 2.0)):
        write_run(
            tmp_path / "work" / str(number),
            *made_up(60, seed=number),
            model=f"{models}/team/small",
            model_args={"seed": seed, "sp_token": f"{tmp_path}/sps/{number}.json"},
            config={"gen_kwargs": f"until={tmp_path}/a", "use_cache": str(tmp_path / "cache" / "db")},
            date=f"2026-01-0{number + 1}T00-00-00",
        )
    for file in (tmp_path / "work").rglob("results_*"):
        text = file.read_text(encoding="utf-8")
        text = text.replace('"metadata": {', f'"data_files": {{"test": "{tmp_path}/q.jsonl"}}, "metadata": {{')
        file.write_text(text, encoding="utf-8")
    out = tmp_path / "far" / "away" / "site"
    run = next((tmp_path / "work" / "0").rglob("samples_*"))
    for command in (
        ["leaderboard", tmp_path / "work", "--output", out],
        ["leaderboard", tmp_path / "work", "--output", tmp_path / "work" / "board"],
        ["leaderboard", tmp_path / "work", "--submission", out / "submission"],
        ["threshold", run, "--method", "g_nll", "--target", "0.6", "--output", out / "policy"],
    ):
        monkeypatch.setattr(sys, "argv", ["uq-harness", *map(str, command)])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code, command[0]
    written = [file for folder in (out, tmp_path / "work" / "board") for file in folder.rglob("*") if file.is_file()]
    assert {"leaderboard.html", "leaderboard.csv", "leaderboard.parquet", "threshold.json"} <= {
        file.name for file in written
    }
    forbidden = [str(tmp_path), *(part for part in tmp_path.parts[1:] if len(part) > 4), "my models"]
    for file in written:
        content = file.read_bytes().decode("utf-8", "replace")
        for path in forbidden:
            assert path not in content, (file, path)
    page = (out / "leaderboard.html").read_text(encoding="utf-8")
    assert ">results</a>" not in page  # too far away to be linked
    assert "results_2026-01-01T00-00-00.json" in (out / "leaderboard.csv").read_text(encoding="utf-8")
    # lm_eval names the results' folder after the model's path; of a submission it has the model's name
    assert ">results</a>" not in (tmp_path / "work" / "board" / "leaderboard.html").read_text(encoding="utf-8")
    assert {file.parent.name for file in (out / "submission").rglob("*.json*")} == {"small"}
