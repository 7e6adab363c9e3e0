"""``python -m uq_harness``: the same as the ``uq-harness`` command."""

from uq_harness.cli import main

if __name__ == "__main__":
    main()
