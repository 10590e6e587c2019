"""What a program costs, and two programs compared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

LAUNCH = [sys.executable, "-S", "-I", str(Path(__file__).with_name("launch.py"))]


class Cost(NamedTuple):
    """Of one run, or the medians of several."""

    wall: float
    cpu: float
    memory: float


class Program(NamedTuple):
    """A command with nothing but this environment, and what to do before each of its runs."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    prepare: Sequence[Callable[[], None]] = ()

    def run(self) -> Cost:
        cost, code, log = self.tried()
        if code:
            raise SystemExit(f"{' '.join(self.command)} ended with {code}:\n{log}")
        return cost

    def tried(self) -> tuple[Cost, int, str]:
        """A run however it ends: its cost, its exit code (or the signal that ended it), its log."""
        for action in self.prepare:
            action()
        done = subprocess.run(
            [*LAUNCH, *self.command], env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        wall, cpu, memory, code = map(float, done.stdout.split())
        return Cost(wall, cpu, memory), int(code), done.stderr


def compared(bare: Program, ours: Program, runs: int) -> tuple[Cost, Cost]:
    """The medians of both."""
    first, second = in_turns([bare, ours], runs)
    return first, second


def in_turns(programs: Sequence[Program], runs: int) -> list[Cost]:
    """The medians of each, run in turns, so that whatever else the machine does hits all of them alike."""
    for program in programs:
        program.run()  # To warm the caches.
    rounds = [[program.run() for program in programs] for _ in range(runs)]
    return [Cost(*map(median, zip(*costs))) for costs in zip(*rounds)]
