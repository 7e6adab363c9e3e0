"""docs/benchmarking.md: its first command measures the demo model."""


def test_its_command_measures_the_demo_model(read) -> None:
    output = read("docs/benchmarking.md").output
    assert "16 questions of uq_demo" in output
    for way in ("generation", "decoding", "semgrad", "together"):
        assert way in output
