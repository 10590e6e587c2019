"""What programs cost, and their database server, measured in turns."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sandbox.postgres import Server

LAUNCH = [sys.executable, "-S", "-I", str(Path(__file__).with_name("launch.py"))]

# Linux counts a server's CPU in hundredths of a second, of which a session takes few.
RUNS_OF_A_ROUND = 20


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
        # What a run notes of a trouble goes with the folder.
        env = {"XDG_STATE_HOME": str(self.folder), **self.environment}
        done = subprocess.run(
            [*LAUNCH, *self.command], env=env, cwd=self.folder, capture_output=True, text=True, check=False
        )
        wall, cpu, memory, code = map(float, done.stdout.split())
        return Cost(wall, cpu, memory), int(code), done.stderr


def in_turns(programs: Sequence[Program], runs: int) -> list[Cost]:
    """The medians of each, run in turns, so that whatever else the machine does hits all of them alike."""
    for program in programs:
        program.run()  # To warm the caches.
    rounds = [[program.run() for program in programs] for _ in range(runs)]
    return [Cost(*map(median, zip(*costs))) for costs in zip(*rounds)]


def server_cpu(server: Server, programs: Sequence[Program], rounds: int) -> list[float]:
    """The CPU seconds that a run of each costs the server in its sessions: medians of rounds, in turns."""
    always = server.children

    def of_a_round(program: Program) -> float:
        before = _cpu_of_ended_children(server.process)
        for _ in range(RUNS_OF_A_ROUND):
            program.run()
        while server.children - always:
            time.sleep(0.01)
        return (_cpu_of_ended_children(server.process) - before) / RUNS_OF_A_ROUND

    for program in programs:
        program.run()  # To warm the caches.
    return [median(costs) for costs in zip(*([of_a_round(program) for program in programs] for _ in range(rounds)))]


def _cpu_of_ended_children(process: int) -> float:
    """In seconds; a process has that of each of its children from when it has taken note of its end."""
    user, system = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[13:15]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
