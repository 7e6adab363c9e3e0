"""The example package is built and installed by its test, not collected: importing it would register its method."""

collect_ignore = ["example_method"]
