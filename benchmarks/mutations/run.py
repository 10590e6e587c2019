"""Breaks the module in many small ways, one at a time, and runs for each the test that must find it.

python -m benchmarks mutations             all of them
python -m benchmarks mutations --quick     every sixth, for CI
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from benchmarks.mutations.breaks import BREAKS, Break
from sandbox.postgres import postgres_server, url_of

ROOT = Path(__file__).resolve().parents[2]
MODULE = "slack_notifier.py"
# Longer than any single test takes; one that hangs has noticed.
TEST_SECONDS = 300
# What pytest's exit code says.
PASSED, FAILED = 0, 1


class Verdict(NamedTuple):
    """`caught`: by the test, as it should be; `why` says what was instead."""

    broken: Break
    caught: bool
    why: str = ""


class Trees:
    """Copies of the project in which the module may be broken, one for each test at a time."""

    def __init__(self, folder: Path, count: int, database_url: str) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        self._environment = {**os.environ, "TEST_DATABASE_URL": database_url}
        self._whole = (ROOT / MODULE).read_text(encoding="utf-8")
        self._useless: set[str] = set()
        ignored = shutil.ignore_patterns(".*", "__pycache__")
        for number in range(count):
            tree = folder / f"tree-{number}"
            shutil.copytree(ROOT, tree, ignore=ignored)
            # The tests read it.
            shutil.copy(ROOT / ".env.example", tree)
            self._free.put(tree)

    def check(self, tests: Sequence[str]) -> None:
        """Runs the tests with nothing broken."""
        tree = self._free.get()
        try:
            code, output = self._test(tree, [*tests, "-n", str(os.cpu_count() or 2)])
        finally:
            self._free.put(tree)
        if code not in (PASSED, FAILED):
            raise SystemExit(f"pytest ended with {code}:\n{output}")
        self._useless = set(re.findall(r"(?m)^(?:FAILED|ERROR) ([^\s\[]+)", output))

    def judge(self, broken: Break) -> Verdict:
        times = self._whole.count(broken.search)
        if times != 1:
            return Verdict(broken, False, f"what it replaces stands {times} times in the module")
        if broken.test.partition("[")[0] in self._useless:
            return Verdict(broken, False, "the test fails with nothing broken")
        tree = self._free.get()
        try:
            (tree / MODULE).write_text(self._whole.replace(broken.search, broken.replace), encoding="utf-8")
            code, output = self._test(tree, ["-x", broken.test])
        finally:
            (tree / MODULE).write_text(self._whole, encoding="utf-8")
            self._free.put(tree)
        if code == FAILED:
            return Verdict(broken, True)
        return Verdict(broken, False, "SURVIVED" if code == PASSED else f"pytest ended with {code}:\n{output}")

    def _test(self, tree: Path, arguments: Sequence[str]) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=tree,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=TEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return FAILED, ""
        return done.returncode, done.stdout[-20_000:] + done.stderr[-1000:]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks mutations", description="Does a test find each break?")
    parser.add_argument("--quick", action="store_true", help="every sixth; for CI")
    parser.add_argument("--only", metavar="WORD", default="", help="only those whose description or test has the word")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="so many at a time (default: cores)")
    arguments = parser.parse_args(argv)
    breaks = [b for b in BREAKS if arguments.only in b.what + b.test][:: 6 if arguments.quick else 1]
    with (
        postgres_server() as server,
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(arguments.jobs) as pool,
    ):
        # With a password that nothing may show: the tests look for it.
        trees = Trees(Path(folder), arguments.jobs, url_of(server.url, login="postgres:password-of-the-database"))
        trees.check(sorted({b.test for b in breaks}))
        wrong = [verdict for verdict in pool.map(trees.judge, breaks) if show(verdict)]
    print(f"{len(breaks) - len(wrong)} of {len(breaks)} breaks found by their tests")
    return 1 if wrong else 0


def show(verdict: Verdict) -> bool:
    """Prints one that was not caught; True where it was one."""
    if not verdict.caught:
        print(
            f"{verdict.broken.what}\n  {verdict.broken.test}\n  {re.sub('(?m)^', '  ', verdict.why).strip()}",
            flush=True,
        )
    return not verdict.caught
