"""A comparison as JUnit XML, which CI systems show as test results."""

from __future__ import annotations

from xml.etree import ElementTree

from uq_harness.comparison._compare import Comparison, Difference, TaskComparison


def junit(comparison: Comparison) -> str:
    """A test suite a task and a test case a row: what is worse has failed, what is undefined was skipped."""
    root = ElementTree.Element("testsuites", name="uq-harness compare")
    for task in comparison.tasks:
        root.append(_suite(task))
    for count in ("tests", "failures", "skipped", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(task: TaskComparison) -> ElementTree.Element:
    title = _printable(task.pair.title)
    absent = [(method, "baseline") for method in task.only_candidate]
    absent += [(method, "candidate") for method in task.only_baseline]
    suite = ElementTree.Element(
        "testsuite",
        name=title,
        tests=str(len(task.rows) + len(absent)),
        failures=str(sum(row.verdict == "worse" for row in task.rows)),
        skipped=str(sum(row.verdict == "undefined" for row in task.rows) + len(absent)),
        errors="0",
        time="0",
    )
    for row in task.rows:
        case = ElementTree.SubElement(suite, "testcase", name=_printable(row.name), classname=title, time="0")
        if row.verdict == "worse":
            ElementTree.SubElement(case, "failure", message=_printable(_sentence(row)), type="regression")
        elif row.verdict == "undefined":
            ElementTree.SubElement(case, "skipped", message="undefined: too few right or wrong answers with a score")
        ElementTree.SubElement(case, "system-out").text = f"{row.verdict}: {_printable(_sentence(row))}"
    for method, side in absent:
        case = ElementTree.SubElement(suite, "testcase", name=_printable(method), classname=title, time="0")
        ElementTree.SubElement(case, "skipped", message=f"the {side} does not have this method")
    return suite


def _sentence(row: Difference) -> str:
    low, high = row.interval
    return (
        f"{row.name} {row.baseline:.4f} -> {row.candidate:.4f}, difference {row.difference:+.4f} "
        f"(interval {low:+.4f} to {high:+.4f}), p {row.p_adjusted:.2g} after correction, {row.n} questions"
    )


def _printable(text: str) -> str:
    """Text without the control characters that XML forbids."""
    return "".join(character if character.isprintable() else " " for character in text)
