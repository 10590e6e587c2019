"""Fixtures: a fresh database for each test, a stand-in for Slack, and a watch for secrets in all that is written."""

from __future__ import annotations

import gc
import logging
import os
import re
import secrets
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Callable, NamedTuple, Union

import psycopg2
import pytest

from sandbox.postgres import TASKS_TABLE, create_database, drop_database, postgres_server, temp_parent, url_of
from sandbox.program import AS_A_MODULE, AS_A_SCRIPT, Ended, Program
from sandbox.slack import SlackStandIn
from slack_notifier import VARIABLES, Settings, SlackNotifier

# The server never asks for it; it must show up nowhere all the same.
DATABASE_PASSWORD = "password-of-the-database"

PROGRAM = Path(__file__).with_name("slack_notifier.py")

# Each test makes files and folders, and little is in them.
tempfile.tempdir = temp_parent(None, in_memory=True)

# What else of the developer's own environment would reach libpq, requests or the clock.
FOREIGN_VARIABLES = """
    PGTZ PGOPTIONS PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSERVICE PGSSLMODE PGAPPNAME PGCLIENTENCODING
    http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
""".split()  # noqa: SIM905


# ---- Several processes (pytest -n) -------------------------------------------------------------------------------


# The files whose tests share what takes long to make; and the tests that take fifty connections each, which are half of
# what a server lets in by default.
TOGETHER = (
    "sandbox/test_sandbox.py",
    "tests/test_delivery.py",
    "tests/test_plans.py",
    "tests/test_stock.py",
    "tests/test_deadlines.py::test_fifty_calls_leave_no_more_behind_than_one",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest first: no process has one left when the others are done. Who starts the program is slow.

    Of the other slow ones, those that wait (as whole files do) stand among those that work: never all wait at once.
    """
    for item in items:
        if {"run", "cli", "start"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker("slow")
    items.sort(key=lambda item: (-_seconds(item), _place(item)))


def _seconds(item: pytest.Item) -> float:
    """What the mark says, for those that others would wait for."""
    return max((mark.args[0] if mark.args else 1 for mark in item.iter_markers("slow")), default=0)


def _place(item: pytest.Item) -> int:
    """By chance, the same in each process."""
    return zlib.crc32(_scope(item.nodeid).encode()) if item.get_closest_marker("slow") else 0


def _scope(nodeid: str) -> str:
    """What goes to one process together."""
    return next((together for together in TOGETHER if nodeid.startswith(together)), nodeid)


def pytest_collection_finish() -> None:
    """What is loaded by now lives to the end: it need not be looked through for garbage again and again."""
    gc.freeze()


SERVER_URL = pytest.StashKey[str]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """One server for all processes, each of which has a database of its own on it."""
    config = node.config
    if "TEST_DATABASE_URL" in os.environ:
        return
    if SERVER_URL not in config.stash:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        config.stash[SERVER_URL] = stack.enter_context(postgres_server(in_memory=True)).url
    node.workerinput["server_url"] = config.stash[SERVER_URL]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each test goes to the next process that is free; those of TOGETHER, together to one."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(nodeid)

    return Scheduling(config, log)


# ---- Nothing secret is written -----------------------------------------------------------------------------------


class Watch:
    """Remembers the secrets of a test and all that it wrote; neither may hold a piece of the other."""

    def __init__(self) -> None:
        self.secrets = {DATABASE_PASSWORD}
        self.written: list[str] = []

    def check(self) -> None:
        for secret in self.secrets:
            for text in self.written:
                assert secret not in text, "a secret was written"


@pytest.fixture(autouse=True)
def watch(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Watch]:
    """Everything is logged at DEBUG, that of the libraries included; all of it and all output is checked at the end."""
    caplog.set_level(logging.DEBUG)
    for name in ("slack_notifier", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    watch = Watch()
    yield watch
    formatter = logging.Formatter()
    watch.written += [formatter.format(record) for when in ("setup", "call") for record in caplog.get_records(when)]
    watch.written += capfd.readouterr()
    watch.check()


@pytest.fixture
def printed(watch: Watch, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What went to standard output since the last call."""

    def read() -> str:
        out, error = capfd.readouterr()
        watch.written += [out, error]
        return out

    return read


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # What one test says of an unreadable database silences no other test.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in [*VARIABLES, *FOREIGN_VARIABLES]:
        monkeypatch.delenv(name, raising=False)


# ---- Database ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """TEST_DATABASE_URL, whose role must be a superuser, or a server that lives as long as the tests."""
    own = os.environ.get("TEST_DATABASE_URL")
    if own:
        # As libpq reads it, should it be SQLAlchemy's form.
        yield re.sub(r"^(\w+)\+\w+://", r"\1://", own)
        return
    with ExitStack() as stack:
        of_all = getattr(request.config, "workerinput", {}).get("server_url")
        url = of_all or stack.enter_context(postgres_server(in_memory=True)).url
        yield url_of(url, login=f"postgres:{DATABASE_PASSWORD}")


@pytest.fixture(scope="session")
def database(server_url: str) -> Iterator[str]:
    url = create_database(server_url)
    yield url
    drop_database(url)


EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC"

Time = Union[float, str, None]


class Tasks:
    """Writes to the worker's table. Times are minutes ago, counted by the database, or a literal of PostgreSQL's."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connect()

    def _connect(self) -> None:
        self.connection = psycopg2.connect(self._url, options="-c TimeZone=UTC")
        self.connection.autocommit = True

    def begin_anew(self) -> None:
        """As new, with the worker's empty table. (A clone of a template for each test takes 30 times as long.)"""
        try:
            self.connection.rollback()
            self.connection.autocommit = True
            self.execute("DISCARD ALL")
        except psycopg2.Error:
            # A test closed it, or had it closed.
            self.connection.close()
            self._connect()
        reset = f'ALTER DATABASE "{self.connection.info.dbname}" RESET ALL'
        self.execute(f"{reset}; {EMPTY}; {TASKS_TABLE.format(timestamps='timestamp')}")

    def execute(self, statement: str, parameters: Any = None) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    def add(
        self, status: str = "failed", *, created: Time = 60, updated: Time = None, started: Time = None, **columns: Any
    ) -> str:
        """Returns the task's id. It was updated when it was started or created, unless `updated` says when."""
        if updated is None:
            updated = created if started is None else started
        moments = {"created_at": created, "updated_at": updated, "started_at": started}
        row = {"id": str(secrets.token_hex(8)), "user_api_key": "key-of-a-user", "status": status, **columns, **moments}
        values = [
            "now() - %s * interval '1 minute'" if name in moments and isinstance(value, (int, float)) else "%s"
            for name, value in row.items()
        ]
        self.execute(f"INSERT INTO tasks ({', '.join(row)}) VALUES ({', '.join(values)})", list(row.values()))
        return str(row["id"])

    def fail(self, *, updated: Time = 5, started: Time = 59, **columns: Any) -> str:
        """A task that has just failed, after a worker had started it."""
        return self.add("failed", updated=updated, started=started, **columns)

    def clear(self) -> None:
        self.execute("DELETE FROM tasks")


@pytest.fixture(scope="session")
def writer(database: str) -> Iterator[Tasks]:
    """Who writes for each test: what a session knows of a database takes longer to learn than most of them take."""
    tasks = Tasks(database)
    yield tasks
    tasks.connection.close()


@pytest.fixture
def database_url(database: str, writer: Tasks) -> str:
    writer.begin_anew()
    return database


@pytest.fixture
def tasks(database_url: str, writer: Tasks) -> Tasks:
    return writer


@pytest.fixture
def make_tasks() -> Iterator[Callable[[str], Tasks]]:
    """Tasks in a database of your choice."""
    with ExitStack() as connections:

        def make(url: str) -> Tasks:
            tasks = Tasks(url)
            connections.enter_context(closing(tasks.connection))
            return tasks

        yield make


class Role(NamedTuple):
    """A database role with a password and no rights; `url` is its way in."""

    name: str
    password: str
    url: str


@pytest.fixture
def role(database_url: str, tasks: Tasks, watch: Watch) -> Iterator[Role]:
    name, password = f"sandbox_{secrets.token_hex(8)}", secrets.token_urlsafe(16)
    watch.secrets.add(password)
    tasks.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    yield Role(name, password, url_of(database_url, login=f"{name}:{password}"))
    tasks.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


# ---- Slack, and the notifier between the two ---------------------------------------------------------------------


@pytest.fixture
def slack(watch: Watch) -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in
        watch.secrets |= {stand_in.webhook(channel).rpartition("/")[2] for channel in stand_in.channels}


@pytest.fixture
def settings(database_url: str, slack: SlackStandIn) -> Settings:
    return Settings.from_environment({"DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()})


@pytest.fixture
def notifier(settings: Settings) -> SlackNotifier:
    return SlackNotifier(settings=settings)


@pytest.fixture
def run(tmp_path: Path, watch: Watch) -> Callable[..., Ended]:
    """Runs the program with the environment's variables as keywords, in a folder of its own with an empty .env."""
    (tmp_path / ".env").touch(mode=0o600)

    def run(*arguments: object, program: Path = PROGRAM, cwd: Path = tmp_path, **environment: str) -> Ended:
        # As a module, it need not be compiled each time.
        code = AS_A_MODULE if program == PROGRAM else AS_A_SCRIPT.format(path=str(program))
        done = Program(
            cwd, {"PATH": os.environ["PATH"], "XDG_STATE_HOME": str(tmp_path), **environment}, *arguments, code=code
        ).end()
        watch.written += [done.out, done.log]
        assert "Traceback" not in done.log
        return done

    return run


@pytest.fixture
def cli(run: Callable[..., Ended], database_url: str, slack: SlackStandIn) -> Callable[..., Ended]:
    """The program with a database and a webhook."""

    def cli(*arguments: object, **environment: str) -> Ended:
        return run(*arguments, **{"DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook(), **environment})

    return cli
