"""What the long suites share: counting in messages, letting time pass, a line to cut."""

from __future__ import annotations

import itertools
import re
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Callable, NamedTuple

import psycopg2
import psycopg2.extensions
from servers import Listener

import slack_notifier
from sandbox.postgres import elapse as elapse
from sandbox.slack import SlackStandIn
from slack_notifier import STORM_BURST, SlackNotifier

PROGRAM = Path(__file__).parent.parent / "slack_notifier.py"

FAILED, STUCK, RECOVERED = "🚨 Failed Tasks Alert", "⚠️ Stuck Tasks Alert", "✅ Stuck Tasks Recovered"
HEALED, BLIND = "✅ Failed Tasks Recovered", "🙈 Monitor cannot read the tasks table"
WRONG_SETTING, SEES_AGAIN = "🙈 Monitor has a wrong setting", "✅ Monitor can read the tasks table again"
CREATED, STARTED = "🎬 New Task Created", "▶️ Task Started Processing"

# For counting in messages: so many tasks are listed one by one.
ROOM = {"MAX_DESCRIBED_TASKS": 20, "MAX_TASKS_OF_A_STATUS": 20}
# With limits in LIMITS as well, it waits less long than it would.
ROOMY_PROGRAM = f"""
import json, os, slack_notifier as module
vars(module).update({ROOM}, **json.loads(os.environ.get("LIMITS", "{{}}")))
raise SystemExit(module.main())
"""


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


def titles(slack: SlackStandIn, channel: str = "alerts") -> list[str]:
    return [title(message) for message in slack.messages(channel)]


def holds(log: str, line: str) -> bool:
    """Whether the log has that line; … stands for anything."""
    return re.search(".*".join(map(re.escape, line.split("…"))), log) is not None


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


def report(notifier: SlackNotifier, times: int = 1) -> None:
    """Runs of the monitor's, without an error."""
    for _ in range(times):
        assert notifier.send_combined_notification()["error"] is None


def fail_and_call(notifier: SlackNotifier, tasks: Any, times: int = STORM_BURST) -> list[str]:
    """Tasks fail one after the other, and the worker of each calls; returns their ids."""
    failed = []
    for _ in range(times):
        failed.append(tasks.fail(updated=0))
        assert notifier.send_failed_tasks_notification()
    return failed


# ---- The database and its clock --------------------------------------------------------------------------------------

NOW = "now() AT TIME ZONE 'UTC'"


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


def recorded(connection: psycopg2.extensions.connection) -> list[tuple[str, str]]:
    """The alert and the id of each task that was reported, without the destination's state and the counts of causes."""
    return [(row[1], row[2]) for row in ledger(connection) if row[2] and row[1] != "cause"]


def refuse(connection: psycopg2.extensions.connection, change: str, which: str, reason: str = "full") -> None:
    """The database refuses an INSERT or UPDATE of such rows of the ledger."""
    function = f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE '{reason}'; END $$"
    trigger = f"CREATE TRIGGER refuse BEFORE {change} ON slack_notifications FOR EACH ROW WHEN ({which})"
    with connection.cursor() as cursor:
        cursor.execute(f"{function}; {trigger} EXECUTE FUNCTION refuse()")


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Returns what the condition returns once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


OTHER_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def wait_for_blocked(connection: psycopg2.extensions.connection, sessions: int) -> None:
    """Returns once so many sessions of this database wait for a lock."""
    # One that waits for its destination asks again and again: its last statement is the lock alone.
    asks = "query ~ '^SET LOCAL statement_timeout[^;]*;\\s*SELECT [^;]*SKIP LOCKED'"
    wait_until(lambda: value(connection, f"{OTHER_SESSIONS} AND (wait_event_type = 'Lock' OR {asks})") >= sessions)


def wait_until_alone(connection: psycopg2.extensions.connection) -> None:
    """Returns once no other session of this database is left; what they read has been counted by then."""
    wait_until(lambda: value(connection, OTHER_SESSIONS) == 0)


# ---- The line to the database ----------------------------------------------------------------------------------------


class _Stop(NamedTuple):
    number: int = 1
    statement: str = ""
    answered: bool = False
    then: str = "silent"
    always: bool = False

    @property
    def text(self) -> bytes:
        # Parameters are filled in by the client: the text before the first is the same on the line.
        return self.statement.partition("%(")[0].encode()


# A message of PostgreSQL's that says nothing of importance.
_NOTICE = b"N" + (4 + len(b"SNOTICE\0M.\0\0")).to_bytes(4, "big") + b"SNOTICE\0M.\0\0"


class Proxy(Listener):
    """A line to PostgreSQL for one client at a time, which can be stopped at a statement, or go dead.

    `statements` are those that the client has sent so far; they travel one at a time, each in one packet.
    """

    def __init__(self, host: str, port: int) -> None:
        self.statements: list[bytes] = []
        self.stopped = threading.Event()
        self._stop: _Stop | None = None
        self._dead = threading.Event()
        self._going_on = threading.Event()
        self._closed = threading.Event()
        self._target = (host, port)
        self._sockets: list[socket.socket] = []
        super().__init__()
        self.open()

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._sockets) // 2

    def url(self, database_url: str) -> str:
        """The same database through this line, in plain text."""
        address = re.sub(r"(?<=//)([^/@]*@)?[^/?]*", rf"\g<1>127.0.0.1:{self.port}", database_url)
        return address + ("&" if "?" in address else "?") + "sslmode=disable"

    def stop(self, **stop: Any) -> None:
        """Stops the line at the first packet (or that of another `number`) which has the `statement` in it: before it
        reaches the server, or if `answered` after the server did it and before the client hears of it.

        From `then` on it is `silent`, has been `reset`, drips (a byte every half second, `drip`), or floods the client
        with notices (`flood`). `always`: that of each client, in place of the first alone.
        """
        self.statements.clear()
        self.stopped.clear()
        self._stop = _Stop(**stop)

    def go_on(self) -> None:
        """Lets a line that is silent pass what it has kept."""
        self._going_on.set()

    def run_freely(self) -> None:
        self.statements.clear()
        self._stop = None

    def die(self) -> None:
        """From now on nothing passes in either direction, and no end learns of it: no FIN, no RST."""
        self._dead.set()

    def close(self) -> None:
        super().close()
        self._closed.set()
        for end in self._sockets:
            with suppress(OSError):
                # Not close(): the thread that waits on the socket would keep it open.
                end.shutdown(socket.SHUT_RDWR)

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection(self._target) as server:
            self._sockets += [client, server]
            with suppress(OSError, ValueError):
                self._forward(client, server)
            if self._dead.is_set():
                # Neither end is closed before the proxy is.
                self._closed.wait()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        waiting = False
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(1 << 20)
                if self._dead.is_set() or not data:
                    return None
                if source is server:
                    if waiting:
                        return self._misbehave(client, server, data, client)
                    client.sendall(data)
                    continue
                if self._stops_at(data):
                    waiting = self._stop is not None and self._stop.answered
                    if not waiting:
                        return self._misbehave(client, server, data, server)
                server.sendall(data)

    def _misbehave(self, client: socket.socket, server: socket.socket, kept: bytes, to: socket.socket) -> None:
        """What the line does from the statement on at which it was to stop; `kept` is what it did not pass any more."""
        then = self._stop.then if self._stop else "silent"
        self.stopped.set()
        if then == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if then in ("drip", "flood"):
            for byte in itertools.cycle(_NOTICE):
                client.sendall(_NOTICE * 1000 if then == "flood" else bytes([byte]))
                # The flood leaves other tests a little of this machine.
                time.sleep(0.5 if then == "drip" else 0.01)
        while not self._dead.is_set() and not self._going_on.wait(0.05):
            # Until the client is gone.
            if select.select([client], [], [], 0)[0] and not client.recv(1 << 20):
                return
        if self._going_on.is_set():
            to.sendall(kept)
            self._stop = None
            self._forward(client, server)

    def _stops_at(self, data: bytes) -> bool:
        # A simple query: Q, four bytes of length, the text.
        if not data.startswith(b"Q"):
            return False
        self.statements.append(data[5:])
        stop = self._stop
        if stop is None or stop.text not in data:
            return False
        return stop.always or sum(stop.text in statement for statement in self.statements) == stop.number


# As a claim reads the errors of tasks.
CAUSES = f"""
SELECT {slack_notifier.CAUSE}
FROM unnest(%(errors)s::text[]) WITH ORDINALITY AS tasks (error, number)
ORDER BY number
"""


def causes_in_sql(database_url: str, errors: Sequence[str | None]) -> list[str]:
    """The cause of each error as PostgreSQL finds it."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(CAUSES, {"errors": list(errors)})
        return [cause for (cause,) in cursor.fetchall()]
