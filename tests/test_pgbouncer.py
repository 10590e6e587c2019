"""Behind a pooler in transaction mode, where a session belongs to everybody: nothing of a run stays in it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg2
import pytest
from support import EXACTLY_ONCE, STUCK, rows, tally, told, wait_for_blocked, wait_until

from sandbox.postgres import database_name
from slack_notifier import SlackNotifier

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed (apt-get install pgbouncer)")

CONFIGURATION = """
[databases]
{info.dbname} = host={info.host} port={info.port} user={info.user} password={info.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 100
"""

# All that a run sets for itself, and what a pooled session must not remember of it.
SETTINGS = ["timezone", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]
SETTINGS += ["transaction_isolation", "default_transaction_read_only"]
LEFT = [
    "SELECT mode FROM pg_locks JOIN pg_database ON pg_database.oid = database "
    "WHERE locktype = 'advisory' AND datname = current_database()",
    "SELECT relname FROM pg_class WHERE relpersistence = 't'",
    "SELECT name FROM pg_prepared_statements",
    "SELECT channel FROM pg_listening_channels() AS channel",
]


@pytest.fixture
def pool(tasks, tmp_path, request) -> Iterator[str]:
    """The test's database through PgBouncer; the parameter is the pool's size."""
    info = tasks.connection.info
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        listen_port = probe.getsockname()[1]
    configuration = CONFIGURATION.format(info=info, listen_port=listen_port, pool_size=request.param)
    (tmp_path / "pgbouncer.ini").write_text(configuration, encoding="utf-8")
    # PgBouncer refuses to run as root, and reads its file before it becomes somebody else.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with (tmp_path / "pgbouncer.log").open("wb") as log:
        bouncer = subprocess.Popen([PGBOUNCER, *user, str(tmp_path / "pgbouncer.ini")], stdout=log, stderr=log)
    url = f"postgresql://anyone@127.0.0.1:{listen_port}/{info.dbname}"
    try:
        wait_until(lambda: _answers(url) or bouncer.poll() is not None)
        assert bouncer.poll() is None, (tmp_path / "pgbouncer.log").read_text(encoding="utf-8")
        yield url
    finally:
        bouncer.kill()
        bouncer.wait()


def _answers(url: str) -> bool:
    with suppress(psycopg2.OperationalError), closing(psycopg2.connect(url)):
        return True
    return False


@pytest.fixture
def pooled(pool, settings) -> SlackNotifier:
    return SlackNotifier(settings=settings._replace(database_url=pool))


two_sessions = pytest.mark.parametrize("pool", [2], indirect=True)
one_session = pytest.mark.parametrize("pool", [1], indirect=True)


@pytest.mark.slow
@two_sessions
def test_runs_at_once_tell_each_failure_once_through_a_pooler(pool, start, slack, tasks, figures):
    """More runs than the pool has sessions, first runs among them."""
    rounds, at_once, failed = 3, 6, []
    slack.answer(times=None, delay=0.05)
    for _ in range(rounds):
        failed += [tasks.fail() for _ in range(4)]
        for run in [start(DATABASE_URL=pool) for _ in range(at_once)]:
            ended = run.end()
            assert ended.code == 0, ended.log
            assert "ERROR" not in ended.log
    result = tally(told(slack), failed)
    figures(runs=rounds * at_once, failures=len(failed), missed=len(result.missed), repeated=len(result.repeated))
    assert result == EXACTLY_ONCE


@two_sessions
def test_a_run_that_is_killed_behind_a_pooler_leaves_all_to_the_one_that_waits(pool, start, slack, tasks):
    failed = [tasks.fail() for _ in range(3)]
    with slack.hold() as held:
        first = start(DATABASE_URL=pool)
        held.wait_received()
        second = start(DATABASE_URL=pool)
        wait_for_blocked(tasks.connection, 1)
        first.kill()
        assert second.end().code == 0
    assert told(slack) == [sorted(failed)]


@one_session
@pytest.mark.parametrize("outcome", ["delivered", "refused", "dry run", "no right to write"])
def test_a_run_leaves_nothing_in_the_session(pool, pooled, role, slack, tasks, outcome, printed):
    tasks.fail()
    tasks.add("queued", created=40)
    with closing(psycopg2.connect(pool)) as client:
        client.autocommit = True
        before = [rows(client, f"SHOW {name}") for name in SETTINGS]
        (session,) = rows(client, "SELECT pg_backend_pid()")
        if outcome == "refused":
            slack.answer(404, "no_service", times=None)
        if outcome == "no right to write":
            with client.cursor() as cursor:
                cursor.execute("CREATE TABLE slack_notifications (unlike text)")
                cursor.execute(f"GRANT SELECT ON tasks, slack_notifications TO {role.name}; SET ROLE {role.name}")
        result = SlackNotifier(settings=pooled.settings, dry_run=outcome == "dry run").send_combined_notification()
        assert (result["error"] is None) is (outcome != "refused")
        assert rows(client, "SELECT pg_backend_pid()") == [session]
        assert [rows(client, f"SHOW {name}") for name in SETTINGS] == before
        assert [rows(client, query) for query in LEFT] == [[]] * len(LEFT)
    printed()


@one_session
@pytest.mark.parametrize(
    "setting",
    [
        "TimeZone = 'Asia/Tokyo'",
        "DateStyle = 'German'",
        "IntervalStyle = 'sql_standard'",
        "default_transaction_isolation = 'serializable'",
        "standard_conforming_strings = off",
        "statement_timeout = '20ms'",
    ],
)
def test_what_others_left_in_the_session_changes_nothing(pool, pooled, slack, tasks, setting):
    with closing(psycopg2.connect(pool)) as client:
        client.autocommit = True
        client.cursor().execute(f"SET {setting}")
        failed, _too_old = tasks.fail(updated=29), tasks.fail(updated=31)
        stuck, _not_yet = tasks.add("queued", created=31), tasks.add("queued", created=29)
        for _ in range(2):
            assert pooled.send_combined_notification()["error"] is None
    assert (told(slack), told(slack, STUCK)) == ([[failed]], [[stuck]])
    assert database_name(pool) == tasks.connection.info.dbname
