"""docs/benchmarking.md: its first command runs as it stands there."""

from pathlib import Path

from tests.docs.blocks import blocks, shell


def test_its_command_measures_the_demo_model(tmp_path: Path) -> None:
    (command,) = blocks("benchmarking.md", "bash")
    output = shell(command, tmp_path)
    assert "32 questions of uq_demo" in output
    for way in ("generation", "decoding", "semgrad", "together"):
        assert way in output
