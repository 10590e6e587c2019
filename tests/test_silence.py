"""Silence means that all is well: whatever clocks, dates and late commits there were, nothing stays unreported."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import datetime, timezone
from typing import Any

import psycopg2
import pytest
from clock import standing_clock
from support import (
    HEALED,
    PROGRAM,
    STUCK,
    elapse,
    fail_and_call,
    ledger,
    refuse,
    report,
    summary,
    told,
    value,
    wait_until,
)

import slack_notifier
from sandbox.slack import SlackStandIn
from slack_notifier import STORM_BURST, STORM_SECONDS, QuietHours, Settings, SlackNotifier

pytestmark = pytest.mark.usefixtures("room")

USER = "key-of-a-user"
NEXT_YEAR = -365 * 24 * 60
DOWN = "are the workers running?"


@pytest.fixture(params=["the common channel", "a user's channel"])
def watcher(request: pytest.FixtureRequest, settings: Settings, slack: SlackStandIn) -> SlackNotifier:
    """A notifier with one destination."""
    if request.param == "a user's channel":
        settings = settings._replace(webhooks={}, user_webhooks={USER: slack.webhook()})
    return SlackNotifier(settings=settings)


def failures(slack: SlackStandIn) -> list[str]:
    """All that the channel was notified of, each as often as it was."""
    return sorted(task for message in told(slack) for task in message)


# ---- Completeness ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows_ahead", ["alert = 'failed'", "task_id = ''", "task_id <> '' AND destination = 'users'", "true"]
)
def test_a_clock_that_was_ahead_once_hides_nothing(watcher, slack, tasks, rows_ahead):
    """Not even where it was ahead in the first run of all, or while the channel could not be reached."""
    report(watcher)
    expected = [tasks.fail(updated=1)]
    slack.answer(404, "no_service")
    watcher.send_combined_notification()
    elapse(tasks.connection, 300)
    tasks.execute(f"UPDATE slack_notifications SET event_at = now() + interval '1 day' WHERE {rows_ahead}")
    expected += [tasks.fail(updated=minutes) for minutes in range(5, 300, 20)]
    report(watcher, 3)
    assert failures(slack) == sorted(expected)


ODD_TASKS: dict[str, dict[str, Any]] = {
    "ended": {"status": "finished", "created": 600, "started": 500, "updated": NEXT_YEAR},
    "started": {"status": "finished", "created": 600, "started": NEXT_YEAR, "updated": 300},
    "queued again": {"status": "queued", "created": 600, "started": NEXT_YEAR, "updated": 300},
    "created": {"status": "finished", "created": NEXT_YEAR, "updated": 300},
    "queued": {"status": "queued", "created": NEXT_YEAR},
    "failed": {"status": "failed", "created": 600, "started": 500, "updated": NEXT_YEAR},
}


@pytest.mark.parametrize("odd", ODD_TASKS)
def test_one_task_dated_next_year_switches_nothing_off(watcher, slack, tasks, odd):
    tasks.add("finished", created=700, started=600, updated=400)
    tasks.add(**ODD_TASKS[odd])
    report(watcher)
    slack.clear()
    tasks.add("queued", created=60)
    failed = tasks.fail(created=60, started=None, updated=1)
    report(watcher)
    assert failures(slack) == [failed]
    assert [DOWN in message["text"] for message in slack.messages()] == [True, True]
    assert " · 1 of 1 ended task failed · " in slack.messages()[0]["text"]
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id = %s", [failed])
    report(watcher)
    assert told(slack, HEALED) == [[failed]]


@pytest.mark.slow
def test_parts_of_very_many_failures_are_all_reported_however_old_they_are(watcher, slack, tasks, monkeypatch):
    """Of ten hours without a run, in which the channel had its first failure."""
    monkeypatch.setattr(slack_notifier, "CLAIM_TASKS", 5)
    report(watcher)
    elapse(tasks.connection, 600)
    expected = [tasks.fail(created=599, updated=minutes) for minutes in range(1, 590, 31)]
    report(watcher, 6)
    parts = [message["text"] for message in slack.messages()]
    assert all("5 tasks and more failed since" in text for text in parts[:-1])
    assert failures(slack) == sorted(expected)


# ---- Visible late ----------------------------------------------------------------------------------------------------

ADD_FAILED = """
INSERT INTO tasks (id, user_api_key, status, created_at, updated_at)
VALUES (%s, 'key-of-a-user', 'failed', now() - interval '5 hours', now() - %s * interval '1 minute')
"""


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [25, 90, 115])
def test_a_failure_that_is_committed_late_is_reported_by_the_next_run(watcher, slack, tasks, minutes):
    with standing_clock(tasks.connection) as clock:
        report(watcher)
        clock.advance(hours=3)
        report(watcher)
        with closing(psycopg2.connect(watcher.settings.database_url)) as worker, worker.cursor() as cursor:
            cursor.execute(ADD_FAILED, ["late", 0])
            for _ in range(minutes // 15):
                clock.advance(minutes=15)
                report(watcher)
            clock.advance(minutes=minutes % 15)
            worker.commit()
        report(watcher)
        assert failures(slack) == ["late"]
        for _ in range(10):
            clock.advance(minutes=15)
            report(watcher)
    assert failures(slack) == ["late"]


def test_a_database_that_moved_to_another_server_hides_nothing_late(watcher, slack, tasks):
    """There, transactions have smaller numbers than the one that the ledger remembers."""
    first = tasks.fail(updated=10)
    report(watcher)
    tasks.execute("UPDATE slack_notifications SET times = times + 1000000 WHERE alert = 'failed' AND task_id = ''")
    late = tasks.fail(updated=1)
    report(watcher, 2)
    assert told(slack) == [[first], [late]]


def test_a_clock_that_goes_back_repeats_nothing_that_the_ledger_has_forgotten(watcher, slack, tasks, make_tasks):
    """Of a view, a look has no versions of its tasks by which to know what an earlier one has seen."""
    tasks.execute("ALTER TABLE tasks RENAME TO jobs; CREATE VIEW tasks AS SELECT * FROM jobs")
    with standing_clock(tasks.connection) as clock:
        worker = make_tasks(watcher.settings.database_url)
        report(watcher)
        expected = [worker.fail(updated=1)]
        report(watcher)
        clock.advance(days=7, hours=1)
        expected.append(worker.fail(updated=1))
        report(watcher)
        clock.advance(minutes=-5)
        report(watcher, 2)
    assert failures(slack) == sorted(expected)


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [15, 100])
def test_no_later_run_reports_what_the_first_one_left_out(watcher, slack, tasks, make_tasks, minutes):
    with standing_clock(tasks.connection) as clock:
        worker = make_tasks(watcher.settings.database_url)
        for age in (29, 31, 119):
            worker.execute(ADD_FAILED, [f"{age} minutes old", age])
        for _ in range(4):
            report(watcher)
            clock.advance(minutes=minutes)
    assert failures(slack) == ["29 minutes old"]


OTHER_TASKS = {
    "columns alone": "REVOKE ALL ON tasks FROM {role};"
    "GRANT SELECT (id, user_api_key, status, error, log_uri, created_at, updated_at, started_at) ON tasks TO {role}",
    "a view": "ALTER TABLE tasks RENAME TO jobs; CREATE VIEW tasks AS SELECT * FROM jobs;"
    "GRANT SELECT ON tasks TO {role}",
    "parts by id": "ALTER TABLE tasks RENAME TO jobs;"
    "CREATE TABLE tasks (LIKE jobs INCLUDING DEFAULTS) PARTITION BY HASH (id);"
    "CREATE TABLE tasks_0 PARTITION OF tasks FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE tasks_1 PARTITION OF tasks FOR VALUES WITH (MODULUS 2, REMAINDER 1); GRANT SELECT ON tasks TO {role}",
    "parts by status": "ALTER TABLE tasks RENAME TO jobs;"
    "CREATE TABLE tasks (LIKE jobs INCLUDING DEFAULTS) PARTITION BY LIST (status);"
    "CREATE TABLE tasks_open PARTITION OF tasks FOR VALUES IN ('queued', 'in_progress');"
    "CREATE TABLE tasks_over PARTITION OF tasks DEFAULT; GRANT SELECT ON tasks TO {role}",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHER_TASKS)
def test_what_is_committed_late_is_reported_once_in_any_kind_of_table(settings, slack, tasks, make_tasks, role, kind):
    tasks.execute(OTHER_TASKS[kind].format(role=role.name) + f"; GRANT CREATE ON SCHEMA public TO {role.name}")
    notifier = SlackNotifier(settings=settings._replace(database_url=role.url))
    with standing_clock(tasks.connection) as clock:
        tasks.execute(f"GRANT SELECT ON public.clock TO {role.name}")
        worker = make_tasks(settings.database_url)
        report(notifier)
        clock.advance(hours=3)
        expected = [worker.fail(), worker.fail(), worker.add("in_progress", created=20, started=15)]
        for task_id in expected[::2]:
            report(notifier)
            with closing(psycopg2.connect(settings.database_url)) as late, late.cursor() as cursor:
                cursor.execute("UPDATE tasks SET status = 'failed', updated_at = now() WHERE id = %s", [expected[2]])
                cursor.execute(ADD_FAILED, [f"beside {task_id}", 0])
                expected.append(f"beside {task_id}")
                for _ in range(7):
                    clock.advance(minutes=15)
                    report(notifier)
                late.commit()
            report(notifier, 2)
            clock.advance(minutes=31)
        # One of them failed again.
        assert failures(slack) == sorted([*expected, expected[2]])
        worker.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
        for _ in range(10):
            report(notifier)
            clock.advance(minutes=15)
    assert failures(slack) == sorted([*expected, expected[2]])
    assert told(slack, HEALED) == [sorted(expected)]


# ---- No time of the last change --------------------------------------------------------------------------------------


def test_tasks_without_updated_at_are_reported_once_however_long_after_their_creation(watcher, slack, tasks):
    tasks.execute("ALTER TABLE tasks ALTER updated_at DROP NOT NULL")
    report(watcher)
    elapse(tasks.connection, 300)
    failed, stuck = tasks.fail(created=5, started=4), tasks.add("in_progress", created=200, started=199)
    tasks.execute("UPDATE tasks SET updated_at = NULL")
    report(watcher, 3)
    assert (failures(slack), told(slack, STUCK)) == ([failed], [[stuck]])
    tasks.execute("UPDATE tasks SET status = 'failed'")
    report(watcher, 3)
    assert failures(slack) == sorted([failed, stuck])


# ---- The pace of a storm ---------------------------------------------------------------------------------------------

PACE = "SELECT max(notified_at) - now() FROM slack_notifications WHERE alert = '' AND task_id = ''"


@pytest.mark.parametrize("ahead", ["1 day", "5 minutes", "100 years"])
def test_a_pace_of_a_clock_that_was_ahead_holds_back_nothing(notifier, slack, tasks, ahead):
    report(notifier)
    tasks.execute("UPDATE slack_notifications SET notified_at = now() + %s::interval WHERE alert = ''", [ahead])
    failed = fail_and_call(notifier, tasks)
    assert failures(slack) == sorted(failed)
    assert value(tasks.connection, PACE).total_seconds() <= STORM_BURST * STORM_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "reason"), [("tasks", "Rate-limited in a storm"), ("slack_notifications", "The ledger is locked")]
)
def test_a_call_in_a_storm_returns_at_once_also_while_a_table_is_locked(notifier, slack, tasks, caplog, table, reason):
    failed = [*fail_and_call(notifier, tasks), tasks.fail(updated=0)]
    seconds = []
    with closing(psycopg2.connect(notifier.settings.database_url)) as other, other.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        for _ in range(5):
            caplog.clear()
            started = time.monotonic()
            assert notifier.send_failed_tasks_notification() is True
            seconds.append(time.monotonic() - started)
            assert f"{reason}: a later run reports what failed" in caplog.text
    # It takes 0.2 s; to wait for the lock, CALL_SECONDS / 2 at least.
    assert min(seconds) < 1
    report(notifier)
    assert failures(slack) == sorted(failed)


def test_a_locked_table_of_another_program_keeps_no_run_from_reporting(watcher, slack, tasks):
    report(watcher)
    tasks.execute("CREATE TABLE invoices (id integer PRIMARY KEY)")
    failed = tasks.fail()
    with closing(psycopg2.connect(watcher.settings.database_url)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE invoices IN ACCESS EXCLUSIVE MODE")
        report(watcher)
    assert failures(slack) == [failed]


# ---- Many users' channels --------------------------------------------------------------------------------------------


@pytest.fixture
def many(settings: Settings, slack: SlackStandIn) -> Settings:
    """A common channel, and one for each of a thousand users."""
    users = {f"pr_live_{number}_secret": slack.webhook(f"user-{number}") for number in range(1000)}
    return settings._replace(user_webhooks=users)


def test_a_thousand_users_channels_cost_an_idle_run_four_round_trips(settings, many, slack, tasks, proxy, figures):
    round_trips = []
    for channels in (settings, many):
        notifier = SlackNotifier(settings=channels._replace(database_url=proxy.url(channels.database_url)))
        report(notifier)
        proxy.run_freely()
        report(notifier)
        round_trips.append(len(proxy.statements))
    figures(without=round_trips[0], with_users=round_trips[1])
    assert round_trips[1] <= round_trips[0] + 4
    assert len({row[0] for row in ledger(tasks.connection)}) == 2
    failed = tasks.fail(user_api_key="pr_live_7_secret")
    tasks.fail(user_api_key="nobody")
    report(notifier)
    assert told(slack, channel="user-7") == [[failed]]
    assert len({row[0] for row in ledger(tasks.connection)}) == 3


def test_keys_of_users_are_not_sent_to_the_database_where_only_one_has_news(many, tasks, proxy, database_url):
    """But for the one whose tasks are claimed: the text of a statement may end up in the server's log."""
    settings = many._replace(webhooks={}, database_url=proxy.url(database_url))
    for number in range(20):
        tasks.add("finished", updated=1, user_api_key=f"pr_live_{number}_secret")
    tasks.fail(user_api_key="pr_live_7_secret")
    report(SlackNotifier(settings=settings))
    first_claim = next(number for number, text in enumerate(proxy.statements) if b"SKIP LOCKED" in text)
    assert any(b"INSERT INTO slack_notifications" in text for text in proxy.statements[:first_claim])
    assert not [text for text in proxy.statements[:first_claim] if b"pr_live" in text]
    assert not [text for text in proxy.statements if b"pr_live" in text.replace(b"pr_live_7_secret", b"")]


@pytest.mark.usefixtures("unhurried")
def test_a_call_serves_forty_users_channels_over_one_connection(many, slack, tasks, proxy, database_url):
    failed = [tasks.fail(user_api_key=f"pr_live_{number}_secret") for number in range(40)]
    settings = many._replace(database_url=proxy.url(database_url))
    assert SlackNotifier(settings=settings).send_failed_tasks_notification()
    assert [told(slack, channel=f"user-{number}") for number in range(40)] == [[[task_id]] for task_id in failed]
    assert proxy.connections == 1


@pytest.mark.slow
def test_a_users_first_failure_after_weeks_is_reported_alone_and_as_of_the_last_minutes(many, slack, tasks, make_tasks):
    notifier = SlackNotifier(settings=many)
    with standing_clock(tasks.connection) as clock:
        worker = make_tasks(many.database_url)
        report(notifier)
        worker.fail(user_api_key="pr_live_7_secret", updated=45)
        for day in range(21):
            clock.advance(days=1)
            worker.fail(user_api_key="pr_live_8_secret" if day % 2 else "nobody")
            report(notifier)
        clock.advance(minutes=15)
        failed = worker.fail(user_api_key="pr_live_7_secret", updated=1)
        worker.fail(user_api_key="nobody", updated=1)
        report(notifier, 2)
    (message,) = [message for message in slack.messages("user-7") if failed in message["text"]]
    assert summary(message) == "1 task failed in the last 30 minutes:"
    assert len(told(slack, channel="user-8")) == 10


def test_a_dry_run_and_a_check_know_where_a_users_channel_begins(settings, slack, tasks, printed):
    """Where all of them are complete, which may be long ago."""
    settings = settings._replace(user_webhooks={USER: slack.webhook("own")})
    notifier = SlackNotifier(settings=settings)
    for _ in range(2):
        report(notifier)
        elapse(tasks.connection, 60)
    failed = tasks.fail(updated=50)
    SlackNotifier(settings=settings, dry_run=True).send_combined_notification()
    assert printed().count(failed) == 2
    found = [finding.what for finding in slack_notifier.check(settings, [], 30)]
    assert sum("a run now would report 1 failed task" in what for what in found) == 2
    report(notifier)
    assert told(slack) == told(slack, channel="own") == [[failed]]


@pytest.mark.slow
def test_a_users_channel_that_was_dead_for_days_gets_all_of_it_once(many, slack, tasks, make_tasks):
    notifier = SlackNotifier(settings=many._replace(remind_minutes=0))
    dead, other = {"user_api_key": "pr_live_7_secret"}, {"user_api_key": "pr_live_8_secret"}
    with standing_clock(tasks.connection) as clock:
        worker = make_tasks(many.database_url)
        report(notifier)
        slack.answer(404, "no_service", times=None, channel="user-7")
        clock.advance(hours=1)
        failed = []
        for hour in range(0, 72, 2):
            if hour == 60:
                stuck = worker.add("in_progress", created=45, started=40, **dead)
            if hour % 6 == 0:
                failed += [worker.fail(**dead), worker.fail(**other)]
            assert "no_service" in notifier.send_combined_notification()["error"]
            clock.advance(hours=2)
        slack.answer_normally()
        report(notifier, 3)
    assert told(slack, channel="user-7") == [sorted(failed[::2])]
    assert told(slack, STUCK, "user-7") == [[stuck]]
    assert sorted(told(slack, channel="user-8")) == sorted([task_id] for task_id in failed[1::2])


# ---- Why it is critical ----------------------------------------------------------------------------------------------

ALL_DAY = QuietHours(datetime.min.time(), datetime.max.time(), timezone.utc)
CALLED = "<!here>"


@pytest.fixture
def at_night(settings: Settings) -> SlackNotifier:
    """A notifier in quiet hours, which only what is critical breaks."""
    return SlackNotifier(settings=settings._replace(quiet_hours=ALL_DAY, critical_mention=CALLED))


def test_a_task_that_fails_at_once_on_a_quiet_night_asks_for_no_worker(at_night, notifier, slack, tasks):
    tasks.add("finished", created=500, updated=400)
    failed = [tasks.fail(created=1.2, updated=1, started=None)]
    report(at_night)
    assert slack.messages() == []
    report(notifier)
    assert failures(slack) == failed
    assert DOWN not in slack.messages()[0]["text"]
    failed.append(tasks.fail(created=33, updated=1, started=None))
    report(at_night)
    assert failures(slack) == sorted(failed)
    assert DOWN in slack.messages()[1]["text"]
    assert " · Critical: no worker seen · " in slack.messages()[1]["text"]


@pytest.mark.parametrize(("status", "started"), [("queued", 80), ("retrying", None)])
def test_work_of_any_kind_is_a_sign_of_a_worker(notifier, slack, tasks, status, started):
    tasks.add("queued", created=60)
    tasks.add(status, created=90, started=started, updated=5)
    report(notifier)
    assert [DOWN in message["text"] for message in slack.messages()] == [False]


@pytest.mark.parametrize(
    ("failed", "finished", "reason"),
    [(10, 15, "Critical: 10 tasks · 10 of 25 ended tasks failed"), (5, 0, "Critical: 5 of 5 ended tasks failed")],
)
def test_what_breaks_the_quiet_hours_is_said(at_night, slack, tasks, failed, finished, reason):
    for number in range(failed + finished):
        tasks.add("failed" if number < failed else "finished", created=60, started=59, updated=5)
    report(at_night)
    (message,) = slack.messages()
    assert message["text"].endswith(f" · {reason} · 1 user")
    assert CALLED in message["text"]


def test_an_alert_counts_what_has_recovered_and_names_what_is_more(notifier, slack, tasks):
    healed = tasks.fail()
    tasks.add("in_progress", created=90, started=80)
    report(notifier)
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id = %s", [healed])
    tasks.fail(updated=0)
    tasks.add("in_progress", created=90, started=70)
    slack.clear()
    report(notifier)
    alert, _, stuck_alert = slack.messages()
    assert alert["text"].endswith(" · 1 of 2 ended tasks failed · 1 recovered · 1 user")
    assert summary(stuck_alert) == "1 more task stuck for more than 30 minutes:"


# ---- Nothing optional costs an alert ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 8])
def test_a_limit_of_threads_leaves_no_channel_out(settings, slack, tasks, monkeypatch, most):
    """No more than so many of this process's threads live at once, beside the first and those of the stand-in."""
    failed = tasks.fail()
    urls = [slack.webhook(f"team-{number}") for number in range(40)]
    start = threading.Thread.start

    def start_one_of_few(thread: threading.Thread) -> None:
        target = getattr(getattr(thread, "_target", None), "__name__", "")
        if thread.name.startswith(("slack-notifier", "Thread-")) and "process_request" not in target:
            ours = [one for one in threading.enumerate() if getattr(one, "is_ours", False)]
            if len(ours) >= most:
                raise RuntimeError("can't start new thread")
            thread.is_ours = True  # type: ignore[attr-defined]
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one_of_few)
    report(SlackNotifier(settings=settings._replace(webhooks={"": urls})))
    assert all(told(slack, channel=f"team-{number}") == [[failed]] for number in range(40))


def test_an_alert_calls_people_where_it_cannot_be_noted(settings, slack, tasks, caplog):
    notifier = SlackNotifier(settings=settings._replace(critical_count=1, critical_mention=CALLED))
    report(notifier)
    states = "OLD.alert = 'failed' AND OLD.task_id = '' AND NEW.event_at = OLD.event_at"
    refuse(tasks.connection, "UPDATE", states, "no calls today")
    failed = [tasks.fail(), tasks.fail(error="another")]
    report(notifier, 2)
    assert "Cannot find who was called: the run goes on without it (no calls today)" in caplog.text
    assert failures(slack) == sorted(failed)
    assert CALLED in slack.messages()[0]["text"]


def test_a_role_without_a_memory_calls_people(settings, slack, tasks, role):
    tasks.execute(f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT ON tasks TO {role.name}")
    changes = {"database_url": role.url, "critical_count": 1, "critical_mention": CALLED}
    tasks.fail()
    report(SlackNotifier(settings=settings._replace(**changes)), 2)
    assert [CALLED in message["text"] for message in slack.messages()] == [True, True]


SLOW_IMPORT = """
import importlib.abc, sys, time
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "requests" and not self.waited:
            self.waited = True
            # All of the time that is left for the post but a moment.
            time.sleep(max(0, deadline.seconds_left - slack_notifier.COMMIT_SECONDS - 0.7))
Slow.waited = False
import slack_notifier
post = slack_notifier.Outbox.post
def timed(self, to, message, subject, until, **options):
    global deadline
    deadline = until.before(-slack_notifier.COMMIT_SECONDS)
    return post(self, to, message, subject, until, **options)
slack_notifier.Outbox.post = timed
notifier = slack_notifier.SlackNotifier()
# As on the command line, which loads it late.
del sys.modules["requests"]
sys.meta_path.insert(0, Slow())
print(notifier.send_failed_tasks_notification())
"""


@pytest.mark.slow(10)
def test_a_host_that_is_slow_to_load_what_posts_does_not_repeat_an_alert(settings, slack, tasks):
    failed = tasks.fail()
    slack.answer(delay=1)
    environment = {"DATABASE_URL": settings.database_url, "SLACK_WEBHOOK": slack.webhook()}
    command = [sys.executable, "-c", SLOW_IMPORT]
    done = subprocess.run(command, env=environment, cwd=PROGRAM.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    # What was posted all the same arrives a moment later.
    wait_until(lambda: all(request.status for request in slack.requests))
    report(SlackNotifier(settings=settings))
    assert failures(slack) == [failed]


@pytest.mark.parametrize("column", ["created_at", "started_at"])
def test_a_date_ahead_hides_no_stuck_task(notifier, slack, tasks, column):
    task_id = tasks.add("inprogress", created=90, started=80, updated=80)
    tasks.execute(f"UPDATE tasks SET {column} = '2099-01-01'")
    report(notifier)
    assert told(slack, STUCK) == [[task_id]]
