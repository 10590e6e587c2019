"""Silence means that all is well: whatever clocks, dates and late commits there were, nothing stays unreported."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from clock import standing_clock
from support import HEALED, PROGRAM, STUCK, elapse, rows, told, value, wait_until

import slack_notifier
from sandbox.slack import SlackStandIn
from slack_notifier import STORM_BURST, STORM_SECONDS, Settings, SlackNotifier

pytestmark = pytest.mark.usefixtures("room")

USER = "key-of-a-user"
NEXT_YEAR = -365 * 24 * 60
DOWN = "are the workers running?"
AHEAD = "UPDATE slack_notifications SET event_at = now() + interval '1 day' WHERE "


@pytest.fixture(params=["the common channel", "a user's channel"])
def watcher(request: pytest.FixtureRequest, settings: Settings, slack: SlackStandIn) -> SlackNotifier:
    """A notifier with one destination."""
    if request.param == "a user's channel":
        settings = settings._replace(webhooks={}, user_webhooks={USER: slack.webhook()})
    return SlackNotifier(settings=settings)


def run(notifier: SlackNotifier, times: int = 1) -> None:
    for _ in range(times):
        assert notifier.send_combined_notification()["error"] is None


def failures(slack: SlackStandIn) -> list[str]:
    """All that the channel was notified of, each as often as it was."""
    return sorted(task for message in told(slack) for task in message)


# ---- Completeness ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows_ahead", ["alert = 'failed'", "task_id = ''", "task_id <> '' AND destination = 'users'", "true"]
)
def test_a_clock_that_was_ahead_once_hides_nothing(
    watcher: SlackNotifier, slack: SlackStandIn, tasks: Any, rows_ahead: str
) -> None:
    """Not even where it was ahead in the first run of all, or while the channel could not be reached."""
    run(watcher)
    expected = [tasks.fail(updated=1)]
    slack.answer(404, "no_service", times=1)
    watcher.send_combined_notification()
    elapse(tasks.connection, 300)
    tasks.execute(AHEAD + rows_ahead)
    expected += [tasks.fail(updated=minutes) for minutes in range(5, 300, 20)]
    run(watcher, 3)
    assert failures(slack) == sorted(expected)


def test_a_failure_dated_ahead_hides_no_later_one(watcher: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    task_id = tasks.fail(updated=-60, error="first")
    run(watcher)
    elapse(tasks.connection, 40)
    tasks.execute("UPDATE tasks SET updated_at = now() AT TIME ZONE 'UTC', error = 'second'")
    run(watcher, 2)
    assert failures(slack) == [task_id] * 2


ODD_TASKS: dict[str, dict[str, Any]] = {
    "ended": {"status": "finished", "created": 600, "started": 500, "updated": NEXT_YEAR},
    "started": {"status": "finished", "created": 600, "started": NEXT_YEAR, "updated": 300},
    "queued again": {"status": "queued", "created": 600, "started": NEXT_YEAR, "updated": 300},
    "created": {"status": "finished", "created": NEXT_YEAR, "updated": 300},
    "queued": {"status": "queued", "created": NEXT_YEAR},
    "failed": {"status": "failed", "created": 600, "started": 500, "updated": NEXT_YEAR},
}


@pytest.mark.parametrize("odd", ODD_TASKS)
def test_one_task_dated_next_year_switches_nothing_off(
    watcher: SlackNotifier, slack: SlackStandIn, tasks: Any, odd: str
) -> None:
    tasks.add("finished", created=700, started=600, updated=400)
    tasks.add(**ODD_TASKS[odd])
    run(watcher)
    slack.clear()
    tasks.add("queued", created=60)
    failed = tasks.fail(created=60, started=None, updated=1)
    run(watcher)
    assert failures(slack) == [failed]
    assert [DOWN in message["text"] for message in slack.messages()] == [True, True]
    assert " · 1 of 1 ended task failed · " in slack.messages()[0]["text"]
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id = %s", [failed])
    run(watcher)
    assert told(slack, HEALED) == [[failed]]


# ---- Visible late ----------------------------------------------------------------------------------------------------

ADD_FAILED = """
INSERT INTO tasks (id, user_api_key, status, created_at, updated_at)
VALUES (%s, 'key-of-a-user', 'failed', now() - interval '5 hours', now() - %s * interval '1 minute')
"""


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [25, 90, 115])
def test_a_failure_that_is_committed_late_is_reported_by_the_next_run(
    watcher: SlackNotifier, slack: SlackStandIn, tasks: Any, minutes: int
) -> None:
    with standing_clock(tasks.connection) as clock:
        run(watcher)
        clock.advance(hours=3)
        run(watcher)
        with closing(psycopg2.connect(watcher.settings.database_url)) as worker, worker.cursor() as cursor:
            cursor.execute(ADD_FAILED, ["late", 0])
            for _ in range(minutes // 15):
                clock.advance(minutes=15)
                run(watcher)
            clock.advance(minutes=minutes % 15)
            worker.commit()
        run(watcher)
        assert failures(slack) == ["late"]
        for _ in range(10):
            clock.advance(minutes=15)
            run(watcher)
    assert failures(slack) == ["late"]


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [15, 100])
def test_no_later_run_reports_what_the_first_one_left_out(
    watcher: SlackNotifier, slack: SlackStandIn, tasks: Any, make_tasks: Any, minutes: int
) -> None:
    with standing_clock(tasks.connection) as clock:
        worker = make_tasks(watcher.settings.database_url)
        for age in (29, 31, 119):
            worker.execute(ADD_FAILED, [f"{age} minutes old", age])
        for _ in range(4):
            run(watcher)
            clock.advance(minutes=minutes)
    assert failures(slack) == ["29 minutes old"]


# ---- No time of the last change --------------------------------------------------------------------------------------

NO_TIME = "UPDATE tasks SET updated_at = NULL"


@pytest.fixture
def undated(tasks: Any) -> Any:
    """A table whose worker may leave `updated_at` out."""
    tasks.execute("ALTER TABLE tasks ALTER updated_at DROP NOT NULL")
    return tasks


def test_tasks_without_updated_at_are_reported_once(watcher: SlackNotifier, slack: SlackStandIn, undated: Any) -> None:
    run(watcher)
    failed, stuck = undated.fail(created=5, started=4), undated.add("in_progress", created=60, started=50)
    undated.execute(NO_TIME)
    run(watcher, 3)
    assert (failures(slack), told(slack, STUCK)) == ([failed], [[stuck]])


def test_a_task_without_updated_at_that_fails_hours_after_it_was_created_is_reported(
    watcher: SlackNotifier, slack: SlackStandIn, undated: Any
) -> None:
    run(watcher)
    elapse(undated.connection, 300)
    failed = undated.add("in_progress", created=200, started=199)
    undated.execute(NO_TIME)
    run(watcher)
    undated.execute("UPDATE tasks SET status = 'failed'")
    run(watcher, 3)
    assert failures(slack) == [failed]


@pytest.mark.slow
def test_parts_of_very_many_failures_without_updated_at_leave_none_out(
    watcher: SlackNotifier, slack: SlackStandIn, undated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_notifier, "CLAIM_TASKS", 5)
    run(watcher)
    elapse(undated.connection, 600)
    expected = {undated.fail(created=minutes, started=None, updated=0) for minutes in range(10, 580, 30)}
    undated.execute(NO_TIME)
    run(watcher, 6)
    reported = rows(undated.connection, "SELECT task_id FROM slack_notifications WHERE alert = 'failed'")
    assert expected <= {task_id for (task_id,) in reported}


# ---- The pace of a storm ---------------------------------------------------------------------------------------------

PACE = "SELECT max(notified_at) - now() FROM slack_notifications WHERE alert = '' AND task_id = ''"


@pytest.mark.slow
def test_runs_and_good_news_hold_back_no_call(notifier: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    failed = []
    for _ in range(60):
        tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
        failed.append(tasks.fail(updated=0))
        run(notifier)
        elapse(tasks.connection, 0.5)
    for _ in range(STORM_BURST):
        failed.append(tasks.fail(updated=0))
        assert notifier.send_failed_tasks_notification()
    assert failures(slack) == sorted(failed)


@pytest.mark.parametrize("ahead", ["1 day", "5 minutes", "100 years"])
def test_a_pace_of_a_clock_that_was_ahead_holds_back_nothing(
    notifier: SlackNotifier, slack: SlackStandIn, tasks: Any, ahead: str
) -> None:
    run(notifier)
    tasks.execute("UPDATE slack_notifications SET notified_at = now() + %s::interval WHERE alert = ''", [ahead])
    failed = []
    for _ in range(STORM_BURST):
        failed.append(tasks.fail(updated=0))
        assert notifier.send_failed_tasks_notification()
    assert failures(slack) == sorted(failed)
    assert value(tasks.connection, PACE).total_seconds() <= STORM_BURST * STORM_SECONDS


# ---- Nothing optional costs an alert ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 8])
def test_a_limit_of_threads_leaves_no_channel_out(
    settings: Settings, slack: SlackStandIn, tasks: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """No more than so many of this process's threads live at once, beside the first and those of the stand-in."""
    failed = tasks.fail()
    urls = [slack.webhook(f"team-{number}") for number in range(40)]
    start = threading.Thread.start

    def start_one_of_few(thread: threading.Thread) -> None:
        if thread.name.startswith(("slack-notifier", "Thread-")) and "process_request" not in thread.name:
            ours = [one for one in threading.enumerate() if getattr(one, "is_ours", False)]
            if len(ours) >= most:
                raise RuntimeError("can't start new thread")
            thread.is_ours = True  # type: ignore[attr-defined]
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one_of_few)
    run(SlackNotifier(settings=settings._replace(webhooks={"": urls})))
    assert all(told(slack, channel=f"team-{number}") == [[failed]] for number in range(40))


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
def test_a_host_that_is_slow_to_load_what_posts_does_not_repeat_an_alert(
    settings: Settings, slack: SlackStandIn, tasks: Any
) -> None:
    failed = tasks.fail()
    slack.answer(delay=1)
    environment = {"DATABASE_URL": settings.database_url, "SLACK_WEBHOOK": slack.webhook()}
    command = [sys.executable, "-c", SLOW_IMPORT]
    done = subprocess.run(command, env=environment, cwd=PROGRAM.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    # What was posted all the same arrives a moment later.
    wait_until(lambda: all(request.status for request in slack.requests))
    run(SlackNotifier(settings=settings))
    assert failures(slack) == [failed]
