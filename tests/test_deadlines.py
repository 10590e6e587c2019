"""One deadline for every call, whatever database, Slack and mail server do; and nothing of the call is left behind."""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Callable

import psycopg2
import pytest
from servers import Front, flood, says
from support import BLIND, told, value, wait_until

import slack_notifier
from sandbox.postgres import create_database, create_tasks_table, postgres_server
from slack_notifier import Settings, SlackNotifier

pytestmark = pytest.mark.usefixtures("room")

# Less patience, so that the suite need not have as much; the last part of this file has the real limits.
HASTY = {
    "RUN_SECONDS": 7,
    "CANNOT_READ_SECONDS": 2.5,
    "CALL_SECONDS": 4,
    "EVENT_SECONDS": 2,
    "LEEWAY_SECONDS": 0.2,
    "POST_SECONDS": 0.5,
    "LEAST_POST_SECONDS": 0.1,
    "COMMIT_SECONDS": 0.3,
    "LEAST_SHARE_SECONDS": 1,
    "HEARTBEAT_SECONDS": 0.5,
    "EMAIL_SECONDS": 0.5,
    "DELIVERY_SECONDS": 2,
}
# What a busy machine may add to the limit of a call.
SLACK_SECONDS = 2.5


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in HASTY.items():
        monkeypatch.setattr(slack_notifier, name, seconds)


# Each call, and what limits it.
CALLS: dict[str, tuple[str, Callable[[SlackNotifier], Any]]] = {
    "a run": ("RUN_SECONDS", lambda notifier: notifier.send_combined_notification()["error"] is None),
    "failed": ("CALL_SECONDS", SlackNotifier.send_failed_tasks_notification),
    "stuck": ("CALL_SECONDS", SlackNotifier.send_stuck_tasks_notification),
    "read": ("CALL_SECONDS", SlackNotifier.get_failed_tasks_last_30min),
}


@contextmanager
def no_longer_than(call: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < getattr(slack_notifier, CALLS[call][0]) + SLACK_SECONDS


# ---- The database ----------------------------------------------------------------------------------------------------

STEPS = {
    "before the first statement": {"statement": "BEGIN"},
    "in the opening of the ledger": {"statement": "INSERT INTO slack_notifications (destination"},
    "in the claim": {"statement": "FOR UPDATE"},
    "after the claim": {"statement": "FOR UPDATE", "answered": True},
    "before the commit": {"statement": "COMMIT\0", "number": 2},
    "after the commit": {"statement": "COMMIT\0", "number": 2, "answered": True},
}


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", ["silent", "drip", "reset", "flood"])
@pytest.mark.parametrize("step", STEPS)
def test_a_call_is_over_in_time_whatever_the_database_does_and_misses_nothing(
    notifier, by_proxy, slack, tasks, proxy, step, fault
):
    """Silent at a step of a call: the next run tells what was not told; a repeat only where Slack had accepted."""
    task_id = tasks.fail()
    proxy.stop(**STEPS[step], then=fault)
    with no_longer_than("failed"):
        by_proxy.send_failed_tasks_notification()
    assert proxy.stopped.is_set()
    proxy.close()
    wait_until(lambda: value(tasks.connection, SESSIONS) == 0, 30)
    had_accepted = len(told(slack))
    assert notifier.send_combined_notification()["error"] is None
    times = len(told(slack))
    assert told(slack) == [[task_id]] * times
    assert times == 1 or (times == 2 and had_accepted == 1 and "commit" in step)


# Those of the runs; a silent proxy keeps the server's end open until it is closed.
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'slack_notifier'"
)


@pytest.mark.slow(15)
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", ["silent at once", "silent", "drip", "reset"])
def test_fifty_calls_leave_no_more_behind_than_one(by_proxy, settings, tasks, proxy, fault):
    def call(kind: str) -> bool:
        with no_longer_than(kind):
            return CALLS[kind][1](notifier)

    tasks.fail()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with closing(socket.create_server(("127.0.0.1", 0), backlog=200)) as silent:
        if fault == "silent at once":
            port = silent.getsockname()[1]
            notifier = SlackNotifier(settings=settings._replace(database_url=f"postgresql://a:b@127.0.0.1:{port}/c"))
        else:
            port, notifier = proxy.port, by_proxy
            proxy.stop(statement="BEGIN", then=fault, always=True)
        with ThreadPoolExecutor(50) as pool:
            assert not any(pool.map(call, itertools.islice(itertools.cycle(CALLS), 50)))
        wait_until(lambda: left_behind(port) == (0, 0), 30)
    proxy.close()
    wait_until(lambda: value(tasks.connection, SESSIONS) == 0, 30)
    # Those that were shut and not closed have no other end any more.
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before, 30)  # noqa: PTH208


def left_behind(port: int) -> tuple[int, int]:
    """Threads that work on for the notifier, and its sockets to a server on that port."""
    threads = [thread for thread in threading.enumerate() if "slack-notifier" in thread.name or "Timer" in str(thread)]
    return len(threads), sum(port == peer_port(int(descriptor)) for descriptor in os.listdir("/proc/self/fd"))  # noqa: PTH208


def peer_port(descriptor: int) -> int | None:
    """That of a socket's other end; None where there is none."""
    try:
        if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):  # noqa: PTH115
            return None
        # Through a duplicate: a Python socket closes its descriptor.
        with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as other:
            peer = other.getpeername()
    except OSError:
        return None
    return peer[1] if isinstance(peer, tuple) else None


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_frozen_holds_nobody_and_is_reported_as_blindness(slack):
    with postgres_server(in_memory=True) as server:
        url = create_database(server.url)
        create_tasks_table(url)
        settings = Settings.from_environment({"DATABASE_URL": url, "SLACK_WEBHOOK": slack.webhook()})
        leader = int((server.data / "postmaster.pid").read_text().split()[0])
        os.kill(leader, signal.SIGSTOP)
        try:
            with no_longer_than("failed"):
                assert SlackNotifier(settings=settings).send_failed_tasks_notification() is False
            with no_longer_than("a run"):
                assert SlackNotifier(settings=settings).send_combined_notification()["error"]
        finally:
            os.kill(leader, signal.SIGCONT)
        assert [message["text"].partition("\n")[0] for message in slack.messages()] == [BLIND]


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_ten_destinations_and_a_locked_table_are_a_cannot_read_message_that_says_who_locks_it(
    settings, slack, tasks, database_url
):
    tasks.fail()
    urls = [slack.webhook(f"team-{number}") for number in range(10)]
    with closing(psycopg2.connect(database_url, application_name="alembic")) as migration, migration.cursor() as cursor:
        cursor.execute("LOCK TABLE tasks")
        with no_longer_than("a run"):
            result = SlackNotifier(settings=settings._replace(webhooks={"": urls})).send_combined_notification()
    who = r"the table tasks is locked by session \d+ \(alembic\), a migration or VACUUM FULL\?"
    assert re.search(who, result["error"])
    assert "Another run" not in result["error"]
    assert all("🙈" in slack.messages(f"team-{number}")[0]["text"] for number in range(10))


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("table", ["tasks", "slack_notifications"])
def test_a_lock_taken_within_a_run_is_no_other_run(notifier, by_proxy, tasks, proxy, database_url, table):
    """A migration that comes between the opening of the ledger and the claim."""
    tasks.fail()
    notifier.send_combined_notification()
    tasks.fail()
    proxy.stop(statement="FOR UPDATE")
    with ThreadPoolExecutor(1) as pool, closing(psycopg2.connect(database_url, application_name="psql")) as migration:
        run = pool.submit(by_proxy.send_combined_notification)
        assert proxy.stopped.wait(15)
        with migration.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table}")
            proxy.go_on()
            error = run.result()["error"]
    assert f"the table {table} is locked by session" in error


@pytest.mark.parametrize("step", ["before the first statement", "in the claim", "after the claim"])
def test_a_connection_that_breaks_is_opened_again(by_proxy, slack, tasks, proxy, step):
    task_id = tasks.fail()
    proxy.stop(**STEPS[step], then="reset")
    assert by_proxy.send_combined_notification()["error"] is None
    assert told(slack) == [[task_id]]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("answered", [False, True])
def test_a_commit_that_is_lost_where_nothing_is_told_is_no_trouble(by_proxy, slack, proxy, number, answered):
    assert by_proxy.send_combined_notification()["error"] is None
    proxy.stop(statement="COMMIT\0", number=number, answered=answered, then="reset")
    assert by_proxy.send_combined_notification()["error"] is None
    assert proxy.stopped.is_set()
    assert slack.messages() == []


# ---- Slack and the mail server ---------------------------------------------------------------------------------------

_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
ENDLESS = {
    "100 Continue": ("", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "headers": (_HEAD, b"X-More: again\r\n" * 50),
    "trailers": (_HEAD + "Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-More: again\r\n" * 1000),
    "empty gzip members": (
        _HEAD + "Content-Encoding: gzip\r\nContent-Length: 1000000000\r\n\r\n",
        bytes.fromhex("1f8b08000000000000030300000000000000000000") * 1000,
    ),
}


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_webhook_server_that_never_ends_leaves_no_thread_at_work(settings, tasks, kind):
    tasks.fail()
    beginning, again = ENDLESS[kind]
    with closing(Front(1, *[says(beginning, for_ever=True, again=again)] * 9)) as server:
        notifier = SlackNotifier(f"http://127.0.0.1:{server.port}/services/T0/B0/secret", settings=settings)
        with no_longer_than("failed"):
            notifier.send_failed_tasks_notification()
        wait_until(lambda: left_behind(server.port) == (0, 0), 10)


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_a_retry_after_of_any_length_takes_no_time(settings, tasks):
    tasks.fail()
    answer = f"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nRetry-After: {'Mon, 1 ' * 9000}\r\n\r\n"
    with closing(Front(1, *[says(answer)] * 9)) as front:
        started = time.process_time()
        notifier = SlackNotifier(f"http://127.0.0.1:{front.port}/services/T0/B0/secret", settings=settings)
        assert notifier.send_failed_tasks_notification() is False
        assert time.process_time() - started < 2


@pytest.mark.usefixtures("hasty")
def test_a_mail_server_that_greets_without_end_is_cut_off(settings, slack, tasks):
    tasks.fail()
    slack.answer(404, "no_service", times=None)
    with closing(Front(1, *[lambda client: flood(client, b"220-welcome\r\n" * 5000)] * 9)) as server:
        email = slack_notifier.Email(f"smtp://127.0.0.1:{server.port}", ["ops@example.com"], "a@example.com")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with no_longer_than("failed"):
            assert SlackNotifier(settings=settings._replace(email=email)).send_failed_tasks_notification() is False
        wait_until(lambda: left_behind(server.port) == (0, 0), 10)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 50_000


# ---- The real limits -------------------------------------------------------------------------------------------------


@pytest.mark.slow(10)
def test_a_silent_database_holds_a_worker_for_ten_seconds_at_the_most(by_proxy, tasks, proxy):
    tasks.fail()
    proxy.stop(statement="FOR UPDATE")
    with no_longer_than("failed"):
        assert by_proxy.send_failed_tasks_notification() is False


@pytest.mark.slow(15)
def test_a_silent_database_holds_the_program_no_longer_than_a_run_may_take(start, slack, tasks, proxy, database_url):
    seconds = 40
    tasks.fail()
    proxy.stop(statement="FOR UPDATE")
    started = time.monotonic()
    ended = start(DATABASE_URL=proxy.url(database_url), LIMITS=json.dumps({"RUN_SECONDS": seconds})).end(seconds=120)
    assert time.monotonic() - started < seconds + SLACK_SECONDS
    assert ended.code == 1
    assert "no answer from the database in the time there was" in ended.log
    assert "🙈" in slack.messages()[0]["text"]
