"""Who calls the notifier in a chaos run: cron's runs of the program and workers, eight processes at a time."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.chaos.accounts import Call

# What workers call, and a checker that reports both kinds; cron runs the program.
METHODS = {"worker": "send_failed_tasks_notification", "checker": "send_combined_notification"}
EIGHT = ("cron", "cron", "cron", "worker", "worker", "worker", "checker", "checker")
# None of them takes that long unless it hangs.
PATIENCE_SECONDS = 240


class Callers:
    """Keeps a process of each kind running, until stopped, and remembers every call and every kill."""

    def __init__(self, module: Path, url: str, webhooks: list[str], luck: random.Random) -> None:
        self.calls: list[Call] = []
        self.kills: Counter[str] = Counter()
        self._module, self._url, self._webhooks, self._luck = module, url, webhooks, luck
        self.log = module.with_name("callers.log")
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._killed: set[str] = set()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number, kind in enumerate(EIGHT):
            luck = random.Random(f"{self._luck.random()} {number}")
            self._threads.append(threading.Thread(target=self._keep, args=(kind, luck), daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        """Lets each call end in its own time; a process that does not is killed."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        for process in self._running.values():
            process.kill()

    def kill(self, names: list[str] | None = None) -> None:
        """SIGKILL for one of the callers of these names, of all without."""
        with self._lock:
            found = sorted(self._running.keys() - self._killed)
            found = [name for name in found if names is None or name in names]
            if not found:
                return
            name = self._luck.choice(found)
            self._killed.add(name)
            self._running[name].kill()
            self.kills["callers killed"] += 1
            self.kills["callers killed while they reported"] += names is not None

    def run_once(self, webhooks: list[str], url: str) -> int:
        """A run of the program that nothing disturbs; its exit code."""
        return self._run(f"quiet-{next(self._numbers)}", url, webhooks)

    def _keep(self, kind: str, luck: random.Random) -> None:
        while not self._stop.wait(luck.uniform(0, 0.3)):
            name = f"{kind}-{next(self._numbers)}"
            if kind in METHODS:
                self._work(name, METHODS[kind], luck)
            else:
                self._run(name, self._url, self._webhooks)

    def _run(self, name: str, url: str, webhooks: list[str]) -> int:
        started = time.time()
        code = self._process(name, url, webhooks, [str(self._module), "--timeout", "30"]).wait()
        self._end(name, started)
        return code

    def _work(self, name: str, method: str, luck: random.Random) -> None:
        command = [str(Path(__file__).with_name("worker.py")), str(self._module.parent), method]
        process: Any = self._process(name, self._url, self._webhooks, command)
        started, answer = time.time(), "done"
        with suppress(OSError):
            while answer and not self._stop.wait(luck.uniform(0, 0.5)):
                started = time.time()
                process.stdin.write("\n")
                process.stdin.flush()
                answer = process.stdout.readline()
                if answer:
                    self._note(Call(name, started, time.time(), killed=False))
        with suppress(OSError):
            process.communicate()
        self._end(name, started, only_if_killed=True)

    def _process(self, name: str, url: str, webhooks: list[str], command: list[str]) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"], "DATABASE_URL": f"{url}?application_name={name}"}
        env |= {"SLACK_WEBHOOK": ",".join(webhooks), "XDG_STATE_HOME": str(self._module.parent)}
        options: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
        with self.log.open("a", encoding="utf-8") as log, self._lock:
            command = [sys.executable, *command]
            self._running[name] = subprocess.Popen(command, cwd=self._module.parent, stderr=log, **options)
            return self._running[name]

    def _end(self, name: str, started: float, *, only_if_killed: bool = False) -> None:
        with self._lock:
            del self._running[name]
            killed = name in self._killed
        if killed or not only_if_killed:
            self._note(Call(name, started, time.time(), killed))

    def _note(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)
