"""What the long suites share: counting in messages, letting time pass, a program to kill, a line to cut."""

from __future__ import annotations

import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, NamedTuple

import psycopg2.extensions

from sandbox.slack import SlackStandIn

PROGRAM = Path(__file__).parent.parent / "slack_notifier.py"

FAILED, STUCK, RECOVERED = "🚨 Failed Tasks Alert", "⚠️ Stuck Tasks Alert", "✅ Stuck Tasks Recovered"


# ---- Counting in messages --------------------------------------------------------------------------------------------


def title(message: Mapping[str, Any]) -> str:
    return message["blocks"][0]["text"]["text"]


def summary(message: Mapping[str, Any]) -> str:
    """The line that says how many and since when."""
    return message["blocks"][1]["text"]["text"].strip("*")


def ids(message: Mapping[str, Any]) -> list[str]:
    """The tasks that a message lists. All that it is about: a message of more than 20 is no use for counting."""
    texts = [block["text"]["text"] for block in message["blocks"] if block["type"] == "section"]
    found = re.findall(r"(?m)^• (?:\*Task ID:\* )?`([^`]+)`", "\n".join(texts))
    assert int(summary(message).split()[0]) == len(found), "the message lists less than it counts"
    return found


def told(slack: SlackStandIn, alert: str = FAILED, channel: str = "alerts") -> list[list[str]]:
    """The tasks in each message of that kind, sorted, in order of arrival."""
    return [sorted(ids(message)) for message in slack.messages(channel) if title(message) == alert]


class Tally(NamedTuple):
    """How often tasks were told, against once each."""

    missed: list[str]
    repeated: list[str]
    unexpected: list[str]


def tally(messages: Iterable[Iterable[str]], expected: Iterable[str]) -> Tally:
    """`repeated` names a task as often as it was told too often."""
    times = Counter(task_id for message in messages for task_id in message)
    expected = set(expected)
    repeated = [task_id for task_id in times for _ in range(times[task_id] - 1)]
    return Tally(sorted(expected - set(times)), sorted(repeated), sorted(set(times) - expected))


EXACTLY_ONCE = Tally([], [], [])


# ---- The database and its clock --------------------------------------------------------------------------------------


def rows(connection: psycopg2.extensions.connection, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def value(connection: psycopg2.extensions.connection, query: str, parameters: Any = None) -> Any:
    return rows(connection, query, parameters)[0][0]


def has_ledger(connection: psycopg2.extensions.connection) -> bool:
    return value(connection, "SELECT to_regclass('slack_notifications') IS NOT NULL")


def ledger(connection: psycopg2.extensions.connection) -> list[tuple[Any, ...]]:
    """Everything that is remembered."""
    return rows(connection, "SELECT * FROM slack_notifications ORDER BY 1, 2, 3") if has_ledger(connection) else []


def elapse(connection: psycopg2.extensions.connection, minutes: float) -> None:
    """Lets time pass, the only way there is without moving the server's clock: all moments move into the past."""
    columns = {"tasks": ["created_at", "updated_at", "started_at", "finished_at"]}
    if has_ledger(connection):
        columns["slack_notifications"] = ["event_at", "notified_at"]
    with connection.cursor() as cursor:
        for table, names in columns.items():
            shifts = ", ".join(f"{name} = {name} - %(minutes)s * interval '1 minute'" for name in names)
            cursor.execute(f"UPDATE {table} SET {shifts}", {"minutes": minutes})


def wait_until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """Returns what the condition returns once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


def wait_for_blocked(connection: psycopg2.extensions.connection, sessions: int) -> None:
    """Returns once so many sessions of this database wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    wait_until(lambda: value(connection, query) >= sessions)


# ---- The program -----------------------------------------------------------------------------------------------------


class Ended(NamedTuple):
    """How a run of the program ended; `log` is its stderr."""

    code: int
    log: str


class Run:
    """The program in a process of its own, running from the start."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *arguments: object) -> None:
        command = [sys.executable, str(PROGRAM), *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def end(self, seconds: float = 60) -> Ended:
        """Waits for the end."""
        log, _ = self.process.communicate(timeout=seconds)
        return Ended(self.process.returncode, log.decode())

    def kill(self) -> Ended:
        """SIGKILL: no goodbye, no clean-up."""
        self.process.kill()
        return self.end()


# ---- The line to the database ----------------------------------------------------------------------------------------


class _Stop(NamedTuple):
    number: int
    text: bytes
    answered: bool


class Proxy:
    """A line to PostgreSQL for one client at a time, which can be stopped at a statement, or go dead.

    `statements` are those that the client has sent so far; they travel one at a time, each in one packet.
    """

    def __init__(self, host: str, port: int) -> None:
        self.statements: list[bytes] = []
        self.stopped = threading.Event()
        self._stop: _Stop | None = None
        self._dead = threading.Event()
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def url(self, database_url: str) -> str:
        """The same database through this line, in plain text."""
        address = re.sub(r"(?<=//)([^/@]*@)?[^/?]*", rf"\g<1>127.0.0.1:{self.port}", database_url)
        return address + ("&" if "?" in address else "?") + "sslmode=disable"

    def stop(self, *, number: int = 1, statement: str = "", answered: bool = False) -> None:
        """Stops the line at the first packet (or that of another number) which has the statement in it: before it
        reaches the server, or with `answered` after the server did it and before the client hears of it."""
        self.statements.clear()
        self.stopped.clear()
        # Parameters are filled in by the client: the text before the first is the same on the line.
        self._stop = _Stop(number, statement.partition("%(")[0].encode(), answered)

    def run_freely(self) -> None:
        self.statements.clear()
        self._stop = None

    def die(self) -> None:
        """From now on nothing passes in either direction, and no end learns of it: no FIN, no RST."""
        self._dead.set()

    def close(self) -> None:
        self._listener.close()
        for end in self._sockets:
            with suppress(OSError):
                # Not close(): the thread that waits on the socket would keep it open.
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, ValueError):
            self._forward(client, server)
        if not self._dead.is_set():
            client.close()
            server.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        stopped, waiting = False, False
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(1 << 20)
                if self._dead.is_set():
                    return
                if not data:
                    return
                if source is server:
                    if waiting:
                        stopped, waiting = True, False
                        self.stopped.set()
                    if not stopped:
                        client.sendall(data)
                    continue
                if self._stops_at(data):
                    waiting = self._stop is not None and self._stop.answered
                    if not waiting:
                        stopped = True
                        self.stopped.set()
                if not stopped:
                    server.sendall(data)

    def _stops_at(self, data: bytes) -> bool:
        # A simple query: Q, four bytes of length, the text.
        if not data.startswith(b"Q"):
            return False
        self.statements.append(data[5:])
        stop = self._stop
        if stop is None or stop.text not in data:
            return False
        return sum(stop.text in statement for statement in self.statements) == stop.number
