"""The notifier in processes of its own, forked from one that has loaded its packages, which takes most of a run."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

# All but the module itself: how it behaves while it is loaded is part of a run.
_PACKAGES = ["argparse", "dotenv", "psycopg2.extras", "requests", "smtplib", "sandbox.program"]

# How the interpreter runs the module (`-m`), and a file.
AS_A_MODULE = "import runpy; runpy.run_module('slack_notifier', run_name='__main__', alter_sys=True)"
AS_A_SCRIPT = "import runpy; runpy.run_path({path!r}, run_name='__main__')"

_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(_PACKAGES)


class Ended(NamedTuple):
    """How a run ended; `log` is its stderr. A negative code is a signal."""

    code: int
    out: str
    log: str


class Program:
    """A run of `code`, by default the program, from its start. `environment` is all that it has."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *arguments: object, code: str = AS_A_MODULE
    ) -> None:
        self._written = tempfile.TemporaryDirectory()
        self._streams = [Path(self._written.name) / name for name in ("out", "log")]
        call = (code, [*map(str, arguments)], folder, {**environment}, self._streams)
        self._process = _fork.Process(target=_become, args=call, daemon=True)
        self._process.start()

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def end(self, seconds: float = 60) -> Ended:
        """Waits for the end; a run that takes longer is killed, which is an error."""
        self._process.join(seconds)
        late = self.running
        ended = self.kill()
        if late:
            raise TimeoutError(f"The program did not end within {seconds} s: {ended.log}")
        return ended

    def kill(self) -> Ended:
        """SIGKILL: no goodbye, no clean-up."""
        self._process.kill()
        self._process.join()
        out, log = (path.read_text(encoding="utf-8", errors="replace") for path in self._streams)
        return Ended(self._process.exitcode, out, log)


def _become(code: str, arguments: list[str], folder: Path, environment: dict[str, str], streams: list[Path]) -> None:
    for stream, path in zip((sys.stdout, sys.stderr), streams):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["slack_notifier.py", *arguments]
    exec(code, {"__name__": "__main__"})
