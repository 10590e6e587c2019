"""Makes one call of the notifier in which a step that can fail does, then one without, in this process.

Prints as JSON what both came to. The step fails at the edge of the process: the driver of the database, the methods of
a socket, a file that is opened, a thread that is started. All above that edge, and the servers behind it, are real.
Finds the notifier on the path, so nothing here may import it before.
"""

from __future__ import annotations

import _socket
import builtins
import errno
import json
import logging
import os
import runpy
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions

ERROR, MEMORY, DESCRIPTOR, LOST, UNANSWERED = ("error", "memory", "descriptor", "lost", "unanswered")
# How long a thread whose call is over may take to end, and the server to notice.
THREAD_SECONDS, SESSION_SECONDS = 3, 20

# Makes PostgreSQL itself refuse a statement.
REFUSED = ";DO $$BEGIN RAISE out_of_memory USING MESSAGE = 'out of memory'; END$$"
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

PAYLOAD = {"scenes": [{"duration": 15}], "subtitle_config": {"size": 90}}


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


NO_MEMORY: dict[str, Callable[[], Exception]] = {MEMORY: MemoryError}
SENDING = {ERROR: lambda: os_error(errno.ECONNREFUSED), **NO_MEMORY}
ANSWER = {ERROR: lambda: os_error(errno.ECONNRESET), LOST: lambda: TimeoutError("timed out"), **NO_MEMORY}
STATEMENT = {ERROR: None, LOST: None, UNANSWERED: None, **NO_MEMORY}
# What can go wrong in each kind of step; None: the server itself refuses it, or the connection is cut.
KINDS: dict[str, Any] = {
    "connect": {
        ERROR: lambda: psycopg2.OperationalError("connection to server failed: Connection refused"),
        DESCRIPTOR: lambda: psycopg2.OperationalError("could not create socket: Too many open files"),
        **NO_MEMORY,
    },
    "statement": STATEMENT,
    "commit": STATEMENT,
    "read": {ERROR: lambda: psycopg2.DataError("unable to parse the answer"), **NO_MEMORY},
    "look-up": {ERROR: lambda: socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), **NO_MEMORY},
    "socket": {ERROR: lambda: os_error(errno.ENOMEM), DESCRIPTOR: lambda: os_error(errno.EMFILE), **NO_MEMORY},
    "request": SENDING,
    "answer": ANSWER,
    "mail": SENDING,
    "reply": ANSWER,
    "file": {ERROR: lambda: os_error(errno.EACCES), DESCRIPTOR: lambda: os_error(errno.EMFILE), **NO_MEMORY},
    "thread": {ERROR: lambda: RuntimeError("can't start new thread"), **NO_MEMORY},
}


class Shim:
    """Counts the steps of the call, and lets the one of this kind with this number fail."""

    def __init__(self, kind: str, number: int, fault: str) -> None:
        self.kind, self.number, self.fault = kind, number, fault
        self.steps: list[str] = []
        self.is_active = False
        self._lock = threading.Lock()
        # A step within another one is part of that.
        self._thread = threading.local()

    def fails(self, kind: str) -> str:
        """Returns the fault, if it is this step's."""
        with self._lock:
            if not self.is_active or getattr(self._thread, "is_inside", False):
                return ""
            self.steps.append(kind)
            return self.fault if kind == self.kind and self.steps.count(kind) == self.number else ""

    def wrap(self, owner: Any, name: str, kind: Callable[..., str] | str) -> None:
        """From now on the function or method is a step; a kind of "" is none."""
        original = getattr(owner, name)

        def step(*arguments: Any, **options: Any) -> Any:
            this = kind if isinstance(kind, str) else kind(*arguments, **options)
            fault = self.fails(this) if this else ""
            if fault:
                raise KINDS[this][fault]()
            was_inside, self._thread.is_inside = getattr(self._thread, "is_inside", False), True
            try:
                return original(*arguments, **options)
            finally:
                self._thread.is_inside = was_inside

        setattr(owner, name, step)


def install(shim: Shim, mail_port: int) -> None:
    """Puts the shim around all that can fail."""
    # Before open() is wrapped: to load a package is no step of a call.
    import requests  # noqa: F401

    connect, duplicate = psycopg2.connect, os.dup

    class Cursor(psycopg2.extensions.cursor):
        def execute(self, query: Any, parameters: Any = None) -> None:
            fault = shim.fails("commit" if query == "COMMIT" else "statement")
            if fault == MEMORY:
                raise MemoryError
            if fault == LOST:
                self._cut()
            if fault == ERROR:
                # In the place of the last statement of a round trip; what settings and BEGIN precede it are run.
                query = query.rpartition(";")[0] + REFUSED
            super().execute(query, parameters)
            if fault == UNANSWERED:
                self._cut()
                super().execute("SELECT 1")

        def fetchall(self) -> Any:
            fault = shim.fails("read")
            if fault:
                raise KINDS["read"][fault]()
            return super().fetchall()

        def _cut(self) -> None:
            with closing(_socket.socket(fileno=duplicate(self.connection.fileno()))) as ours:
                ours.shutdown(_socket.SHUT_RDWR)

    def of_port(http: str, mail: str) -> Callable[..., str]:
        def kind(end: socket.socket, *arguments: Any, **_: Any) -> str:
            address = arguments[0] if arguments and isinstance(arguments[0], tuple) else end.getpeername()
            return mail if address[1] == mail_port else http

        return kind

    psycopg2.connect = lambda *arguments, **options: connect(*arguments, cursor_factory=Cursor, **options)
    shim.wrap(psycopg2, "connect", "connect")
    shim.wrap(socket, "getaddrinfo", "look-up")
    shim.wrap(socket.socket, "__init__", lambda *_, fileno=None, **options: "" if fileno else "socket")
    shim.wrap(os, "dup", "socket")
    for owner, name in [(socket.socket, "connect"), (socket.socket, "sendall"), (ssl.SSLSocket, "send")]:
        shim.wrap(owner, name, of_port("request", "mail"))
    shim.wrap(ssl.SSLSocket, "do_handshake", of_port("request", "mail"))
    for owner in (socket.socket, ssl.SSLSocket):
        shim.wrap(owner, "recv_into", of_port("answer", "reply"))
    shim.wrap(builtins, "open", "file")
    shim.wrap(os, "open", "file")
    shim.wrap(threading.Thread, "start", "thread")


def command_line() -> object:
    """As `python -m slack_notifier`; whether its exit code is 0."""
    try:
        runpy.run_module("slack_notifier", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return not ended.code
    return True


def combined() -> object:
    return notifier().send_combined_notification()["error"] is None


def worker() -> object:
    return notifier().send_failed_tasks_notification()


def notice() -> object:
    return notifier().send_task_creation_notification("a-task", "a-key", PAYLOAD)


def notifier() -> Any:
    from slack_notifier import SlackNotifier

    return SlackNotifier()


def made(call: Callable[[], object], connect: Callable[..., Any]) -> dict[str, Any]:
    """Makes the call: what it returned, in how many seconds, what it logged, and what it left behind."""
    log = BufferingHandler(10**6)
    log.setLevel(logging.WARNING)
    logging.getLogger().handlers[:] = [log]
    threads, descriptors, started = set(threading.enumerate()), opened(), time.monotonic()
    try:
        returned = call()
    except BaseException as error:
        returned = f"raised {error!r}"
    seconds = time.monotonic() - started
    lines = [f"{record.levelname} {record.getMessage()}" for record in log.buffer]
    return {"returned": returned, "seconds": seconds, "log": lines, "left": left(threads, descriptors, connect)}


def opened() -> set[str]:
    """What the descriptors of this process are."""
    # That of the folder itself is closed when the list is there.
    paths = list(Path("/proc/self/fd").iterdir())
    return {str(path.readlink()) for path in paths if path.is_symlink()}


def left(threads: set[threading.Thread], descriptors: set[str], connect: Callable[..., Any]) -> list[str]:
    """What a call that is over has left in this process and on the database's server."""
    until = time.monotonic() + THREAD_SECONDS
    for thread in set(threading.enumerate()) - threads:
        thread.join(max(0, until - time.monotonic()))
    found = [f"thread {thread.name}" for thread in set(threading.enumerate()) - threads]
    found += [f"descriptor {name}" for name in opened() - descriptors]
    with closing(connect(os.environ["SERVER"])) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        sessions, until = 1, time.monotonic() + SESSION_SECONDS
        while sessions and time.monotonic() < until:
            cursor.execute(OTHERS)
            ((sessions,),) = cursor.fetchall()
            time.sleep(0.01)
    return found + [f"{sessions} sessions of the database"] * bool(sessions)


def main(order: dict[str, Any]) -> None:
    sys.argv[1:] = []
    connect = psycopg2.connect
    shim = Shim(order["kind"], order["number"], order["fault"])
    install(shim, order["mail_port"])
    call: Callable[[], object] = globals()[order["call"]]
    if call is not command_line:
        # A worker has loaded it long before.
        import slack_notifier  # noqa: F401

    def tortured() -> object:
        shim.is_active = True
        try:
            return call()
        finally:
            shim.is_active = False

    first = made(tortured, connect)
    os.environ.update(order["changes"])
    second = made(call, connect)
    print(json.dumps({"steps": shim.steps, "first": first, "second": second}))
