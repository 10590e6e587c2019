"""The weight of the module: who adds to it looks first what is there that can carry it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import slack_notifier

SOURCE = Path(slack_notifier.__file__).read_text("utf-8")
LINES = SOURCE.splitlines()

# Lines of the whole module, and of each part under its banner; what stands before the first is the head.
MOST_LINES = 3_844
MOST_LINES_OF_A_PART = {
    "head": 196,
    "Deadlines": 114,
    "Settings": 342,
    "Text": 198,
    "Secrets": 128,
    "Messages": 406,
    "SQL": 665,
    "Database": 486,
    "Delivery": 339,
    "Run": 377,
    "SlackNotifier": 113,
    "Check": 185,
    "Explain and mute": 113,
    "Command line": 182,
}
MOST_LINES_OF_A_FUNCTION = 40


def parts() -> dict[str, int]:
    """The lines of each part, the banner included."""
    found = [(number, re.match(r"# -{4} ([^-]+) -+$", line)) for number, line in enumerate(LINES)]
    starts = [(0, "head"), *((number, banner[1]) for number, banner in found if banner), (len(LINES), "")]
    return {name: following - start for (start, name), (following, _) in zip(starts, starts[1:])}


def test_the_module_and_its_parts_are_within_their_weight() -> None:
    assert len(LINES) <= MOST_LINES
    assert list(parts()) == list(MOST_LINES_OF_A_PART)
    assert [part for part, lines in parts().items() if lines > MOST_LINES_OF_A_PART[part]] == []


def functions() -> list[tuple[str, int]]:
    """Name and lines of each function and method, its decorators apart."""
    found = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in found]


def test_no_function_is_longer_than_a_screen() -> None:
    assert len(functions()) > 150
    assert [found for found in functions() if found[1] > MOST_LINES_OF_A_FUNCTION] == []


def test_lines_fit_a_screen() -> None:
    assert [number for number, line in enumerate(LINES, 1) if len(line) > 120] == []
