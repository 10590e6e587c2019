"""Which of its things a benchmark is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import TypeVar

Thing = TypeVar("Thing")


def chosen(
    parser: argparse.ArgumentParser, word: str, things: Iterable[Thing], name: Callable[[Thing], str]
) -> list[Thing]:
    """Those whose name has the word of --only; a word that none has is wrong usage, told with all the names."""
    things = list(things)
    found = [thing for thing in things if word in name(thing)]
    if not found:
        parser.error(f"--only: a word of {', '.join(map(name, things))}")
    return found
