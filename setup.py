"""The packages: those in ``uq_harness/``, and ``metrics/`` and ``tasks/`` beside it, which are installed inside it."""

from setuptools import find_packages, setup

BESIDE = ["metrics", "metrics.*", "tasks", "tasks.*"]

setup(
    packages=[
        *find_packages(include=["uq_harness", "uq_harness.*"]),
        *(f"uq_harness.{package}" for package in find_packages(include=BESIDE)),
    ]
)
