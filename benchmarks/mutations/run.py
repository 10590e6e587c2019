"""Breaks the module in many small ways, one at a time, and runs for each the test that must find it.

python -m benchmarks mutations             all of them, some minutes
python -m benchmarks mutations --quick     every fourth whose test is not a slow one, about a minute
python -m benchmarks mutations --fit       whether each still fits the module; runs no test
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from benchmarks.mutations.breaks import BREAKS, Break
from sandbox.postgres import postgres_server, url_of

ROOT = Path(__file__).resolve().parents[2]
MODULE = "slack_notifier.py"
# A test may take this long, and this many times as long as with nothing broken; one that hangs has noticed.
LEAST_SECONDS = 20
PATIENCE = 5
CHECK_SECONDS = 900
QUICK_STEP = 4
JOBS = 3 * (os.cpu_count() or 2)  # Most tests wait.
PASSED, FAILED = 0, 1  # As pytest's exit code says it.


class Verdict(NamedTuple):
    """`why` a break is not found by its test; "": it is."""

    broken: Break
    why: str = ""


@cache
def source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def fit(module: str, broken: Break) -> Verdict:
    """Whether the break can be made in the module, and has a test."""
    file, _, function = name(broken.test).partition("::")
    if f"def {function}(" not in source(file):
        return Verdict(broken, "there is no such test")
    times = module.count(broken.search)
    return Verdict(broken, "" if times == 1 else f"what it replaces stands {times} times in the module")


def name(test: str) -> str:
    """Without its parameters."""
    return test.partition("[")[0]


class Trees:
    """Copies of the project in which the module may be broken, one for each test at a time."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        self._environment = {**os.environ, "TEST_DATABASE_URL": database_url}
        self._whole = source(MODULE)
        for number in range(JOBS):
            tree = folder / f"tree-{number}"
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "__pycache__"))
            # The tests read it, and older versions of the module.
            shutil.copy(ROOT / ".env.example", tree)
            if (ROOT / ".git").exists():
                (tree / ".git").symlink_to(ROOT / ".git")
            self._free.put(tree)
        # The tests that fail with nothing broken, and how long each takes; those that are skipped find nothing.
        self._bad: set[str] = set()
        self.seconds: Counter[str] = Counter()

    def check(self, tests: Sequence[str], options: Sequence[str]) -> None:
        """Runs the tests with nothing broken."""
        options = [*options, "-n", str(JOBS), "-rpfE", "--durations=0", "-vv"]
        tree = self._free.get()
        code, output = self._test(tree, [*tests, *options], CHECK_SECONDS)
        self._free.put(tree)
        if code not in (PASSED, FAILED):
            raise SystemExit(f"pytest ended with {code}:\n{output[-20_000:]}")
        self._bad = set(map(name, re.findall(r"(?m)^(?:FAILED|ERROR) (\S+)", output)))
        passed = map(name, re.findall(r"(?m)^PASSED (\S+)", output))
        self.seconds.update(dict.fromkeys([*passed, *self._bad], 0))
        for seconds, test in re.findall(r"(?m)^([\d.]+)s (?:setup|call|teardown) +(\S+)", output):
            if name(test) in self.seconds:
                self.seconds[name(test)] += float(seconds)

    def judge(self, broken: Break) -> Verdict:
        test, verdict = name(broken.test), fit(self._whole, broken)
        if verdict.why:
            return verdict
        if test in self._bad or test not in self.seconds:
            return Verdict(broken, "with nothing broken the test fails or is skipped")
        tree = self._free.get()
        try:
            (tree / MODULE).write_text(self._whole.replace(broken.search, broken.replace), encoding="utf-8")
            code, output = self._test(tree, ["-x", broken.test], LEAST_SECONDS + PATIENCE * self.seconds[test])
        finally:
            (tree / MODULE).write_text(self._whole, encoding="utf-8")
            self._free.put(tree)
        survived = "SURVIVED" if code == PASSED else f"pytest ended with {code}:\n{output[-5000:]}"
        return Verdict(broken, "" if code == FAILED else survived)

    def _test(self, tree: Path, arguments: Sequence[str], seconds: float) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        # A session of its own, so that what a test has started ends with it.
        process = subprocess.Popen(command, cwd=tree, env=self._environment, start_new_session=True, **pipes)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return FAILED, ""
        return process.returncode, output


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks mutations", description="Does a test find each break?")
    parser.add_argument("--quick", action="store_true", help="every fourth whose test is not a slow one")
    parser.add_argument("--fit", action="store_true", help="only whether each still fits the module; runs no test")
    parser.add_argument("--only", metavar="WORD", default="", help="only those whose description or test has the word")
    arguments = parser.parse_args(argv)
    breaks = [b for b in BREAKS if arguments.only in b.what + b.test]
    if not breaks:
        parser.error(f"no break has this word: {arguments.only}")
    if arguments.fit:
        verdicts = [shown(fit(source(MODULE), broken)) for broken in breaks]
    else:
        verdicts = judged(breaks, quick=arguments.quick)
    missed = [verdict.broken.what for verdict in verdicts if verdict.why]
    found = "fit the module" if arguments.fit else "found by their tests"
    print(f"{len(verdicts) - len(missed)} of {len(verdicts)} breaks {found}" + "".join(f"\n  not: {m}" for m in missed))
    return 1 if missed else 0


def judged(breaks: Sequence[Break], *, quick: bool) -> list[Verdict]:
    breaks = breaks[:: QUICK_STEP if quick else 1]
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(JOBS) as pool:
        # With a password that nothing may show: the tests look for it.
        trees = Trees(Path(folder), url_of(server.url, login="postgres:password-of-the-database"))
        trees.check(sorted({b.test for b in breaks}), ["-m", "not slow"] if quick else [])
        if quick:
            breaks = [b for b in breaks if name(b.test) in trees.seconds]
        # The longest first: nothing else is left to do beside the last.
        breaks = sorted(breaks, key=lambda b: -trees.seconds[name(b.test)])
        return [shown(verdict) for verdict in pool.map(trees.judge, breaks)]


def shown(verdict: Verdict) -> Verdict:
    """Prints one that was not found."""
    if verdict.why:
        why = re.sub("(?m)^", "  ", verdict.why).strip()
        print(f"{verdict.broken.what}\n  {verdict.broken.test}\n  {why}", flush=True)
    return verdict
