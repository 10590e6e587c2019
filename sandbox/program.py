"""The notifier in processes of its own, forked from one that has loaded its packages, which takes most of a run."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

# All but the module itself: how it behaves while it is loaded is part of a run.
_PACKAGES = ["argparse", "dotenv", "psycopg2.extras", "requests", "smtplib", "sandbox.program"]

# How the interpreter runs the module (`-m`), and a file.
AS_A_MODULE = "import runpy; runpy.run_module('slack_notifier', run_name='__main__', alter_sys=True)"
AS_A_SCRIPT = "import runpy; runpy.run_path({path!r}, run_name='__main__')"

_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(_PACKAGES)
# Of two threads that look for ends at the same time, one would learn nothing.
_looking = threading.Lock()


class Ended(NamedTuple):
    """How a run ended; `log` is its stderr. A negative code is a signal."""

    code: int
    out: str
    log: str


class Program:
    """A run of `code`, by default the program, from its start; it ends as under an interpreter of its own.

    `environment` is all that it has. What only the start of an interpreter reads is refused; the seed of hash() is that
    of all the others. What the loaded packages hold, and the globals of `code` itself, end without __del__.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *arguments: object, code: str = AS_A_MODULE
    ) -> None:
        if any(name.startswith("PYTHON") for name in environment):
            raise ValueError("this takes an interpreter of its own")
        self._written = tempfile.TemporaryDirectory()
        self._streams = [Path(self._written.name) / name for name in ("out", "log")]
        for path in self._streams:
            path.touch()
        call = (code, [*map(str, arguments)], folder, {**environment}, self._streams)
        self._process = _fork.Process(target=_become, args=call, daemon=True)
        with _looking:
            self._process.start()

    @property
    def running(self) -> bool:
        with _looking:
            return self._process.is_alive()

    def end(self, seconds: float = 60) -> Ended:
        """Waits for the end; a run that takes longer is killed, which is an error."""
        late = not wait([self._process.sentinel], seconds)
        ended = self.kill()
        if late:
            raise TimeoutError(f"The program did not end within {seconds} s: {ended.log}")
        return ended

    def kill(self) -> Ended:
        """SIGKILL, unless it has ended: no goodbye, no clean-up."""
        with _looking:
            self._process.kill()
        wait([self._process.sentinel])
        with _looking:
            self._process.join()
        out, log = (path.read_text(encoding="utf-8", errors="replace") for path in self._streams)
        return Ended(self._process.exitcode, out, log)


def _become(code: str, arguments: list[str], folder: Path, environment: dict[str, str], streams: list[Path]) -> None:
    for number, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    # As an interpreter makes them that is started with them.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["slack_notifier.py", *arguments]
    # What all runs share need not be looked through for garbage, at the end of each.
    gc.freeze()
    # With what comes after the last line: threads, atexit, what is not yet written. Else multiprocessing would end it.
    failed = ctypes.pythonapi.PyRun_SimpleString(code.encode())
    ctypes.pythonapi.Py_Exit(1 if failed else 0)
