"""A comparison as JUnit XML, which CI systems show as test results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from uq_harness.comparison.compare import Comparison, TaskComparison
from uq_harness.comparison.measures import POWER, Difference


@dataclass(frozen=True)
class _Case:
    """A test case.

    Attributes:
        name: Its name.
        failure: Why it has failed; empty where it has not.
        kind: The kind of failure.
        skipped: Why it was skipped; empty where it was not.
        output: Its other text.
        seconds: How long it took.
    """

    name: str
    failure: str = ""
    kind: str = ""
    skipped: str = ""
    output: str = ""
    seconds: float = 0.0


def junit(comparison: Comparison) -> str:
    """A test suite a task, a test case a row: what is worse or was lost has failed, what is undefined was skipped."""
    root = ElementTree.Element("testsuites", name="uq-harness compare")
    for task in comparison.tasks:
        root.append(_suite(task.pair.title, [*_cases(task)]))
    if comparison.missing:
        reason = "the candidate does not have this run"
        root.append(_suite("missing runs", [_Case(title, reason, "lost") for title in comparison.missing]))
    for count in ("tests", "failures", "skipped", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    root.set("time", _seconds(sum(row.seconds for row in comparison.rows)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cases(task: TaskComparison) -> Iterator[_Case]:
    lost = {loss.method: loss.reason for loss in task.losses if loss.method}
    for row in task.rows:
        said = f"{row.verdict}: {_sentence(row)}"
        if row.verdict == "worse":
            yield _Case(row.name, failure=_sentence(row), kind="regression", output=said, seconds=row.seconds)
        elif row.method in lost:
            yield _Case(row.name, failure=lost[row.method], kind="lost", output=said, seconds=row.seconds)
        elif row.verdict == "undefined":
            why = "undefined: too few right or wrong answers with a score"
            yield _Case(row.name, skipped=why, output=said, seconds=row.seconds)
        else:
            yield _Case(row.name, output=said, seconds=row.seconds)
    for method in task.only_candidate:
        yield _Case(method, skipped="the baseline does not have this method")
    for method in task.only_baseline:
        yield _Case(method, failure=lost[method], kind="lost")
    for loss in task.losses:
        if not loss.method:
            yield _Case(loss.what, failure=loss.reason, kind="lost")


def _suite(title: str, cases: list[_Case]) -> ElementTree.Element:
    title = _printable(title)
    suite = ElementTree.Element(
        "testsuite",
        name=title,
        tests=str(len(cases)),
        failures=str(sum(bool(case.failure) for case in cases)),
        skipped=str(sum(bool(case.skipped) for case in cases)),
        errors="0",
        time=_seconds(sum(case.seconds for case in cases)),
    )
    for case in cases:
        named = {"name": _printable(case.name), "classname": title, "time": _seconds(case.seconds)}
        element = ElementTree.SubElement(suite, "testcase", named)
        if case.failure:
            ElementTree.SubElement(element, "failure", message=_printable(case.failure), type=case.kind)
        if case.skipped:
            ElementTree.SubElement(element, "skipped", message=_printable(case.skipped))
        if case.output:
            ElementTree.SubElement(element, "system-out").text = _printable(case.output)
    return suite


def _seconds(seconds: float) -> str:
    return f"{seconds:.6f}"


def _sentence(row: Difference) -> str:
    low, high = row.interval
    return (
        f"{row.name} {row.baseline:.4f} -> {row.candidate:.4f}, difference {row.difference:+.4f} "
        f"(interval {low:+.4f} to {high:+.4f}), p {row.p_adjusted:.2g} after correction, {row.n} questions; "
        f"a change for the worse of {row.detectable:.4f} would be found with probability {POWER:g}"
    )


def _printable(text: str) -> str:
    """Text without the control characters that XML forbids."""
    return "".join(character if character.isprintable() else " " for character in text)
