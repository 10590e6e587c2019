"""Runs at once, and runs that overlap in time: each failure in exactly one message, without an error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from support import EXACTLY_ONCE, RECOVERED, STUCK, ledger, recorded, tally, told, value, wait_for_blocked, wait_until

from slack_notifier import SlackNotifier

pytestmark = pytest.mark.usefixtures("room")

AT_ONCE = 8


def no_deadlock(tasks) -> bool:
    return value(tasks.connection, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


def all_end_well(runs, *, or_busy: bool = False) -> None:
    """`or_busy`: or leave it to the next run, where a slow machine lets the others take longer than it waits."""
    for run in runs:
        ended = run.end()
        if or_busy and "ERROR Another run is reporting to this destination" in ended.log:
            continue
        assert ended.code == 0, ended.log
        assert "ERROR" not in ended.log
        assert "WARNING" not in ended.log


@pytest.mark.slow(15)
def test_8_processes_at_once_tell_each_failure_stuck_task_and_recovery_once(start, slack, tasks, figures):
    rounds = 2
    failed: list[str] = []
    stuck = [tasks.add("queued", created=40) for _ in range(4)] + [tasks.add("in_progress", started=50)]
    # Long enough that the runs of a round meet in the middle of each other.
    slack.answer(times=None, delay=0.05)
    for _ in range(rounds):
        failed += [tasks.fail() for _ in range(4)]
        requests = len(slack.requests)
        runs = [start() for _ in range(AT_ONCE)]
        # While one of them is telling, more tasks fail; three times at most, or the runs might never end.
        for seen in range(requests + 1, requests + 4):
            wait_until(lambda n=seen, runs=runs: len(slack.requests) >= n or not any(run.running for run in runs))
            failed += [tasks.fail() for _ in range(3)]
        all_end_well(runs, or_busy=True)
        tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id = ANY(%s)", [stuck])
    slack.answer_normally()
    all_end_well([start()])
    result = tally(told(slack), failed)
    figures(
        runs=rounds * AT_ONCE + 1,
        tasks=len(failed + stuck),
        messages=len(slack.messages()),
        missed=len(result.missed),
        repeated=len(result.repeated),
    )
    assert len(told(slack)) > rounds, "the runs did not meet new failures"
    assert result == EXACTLY_ONCE
    assert told(slack, STUCK) == told(slack, RECOVERED) == [sorted(stuck)]
    assert no_deadlock(tasks)
    # A row for each task that was reported, and one for each alert.
    assert [row[1] for row in ledger(tasks.connection) if not row[2]] == [
        "",
        "cause",
        "failed",
        "healed",
        "recovered",
        "stuck",
    ]
    assert {task_id for _, task_id in recorded(tasks.connection)} == {*failed, *stuck}
    assert len(recorded(tasks.connection)) == len(failed + stuck)


@pytest.mark.slow
def test_many_first_calls_at_the_same_instant_succeed_and_wait_for_no_lock(slack, tasks, settings, figures, caplog):
    """Threads meet closer than processes do."""
    rounds = 4
    failed: list[str] = []
    barrier = threading.Barrier(AT_ONCE)

    def first_call(_: int) -> bool:
        barrier.wait()
        return SlackNotifier(settings=settings).send_failed_tasks_notification()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for number in range(rounds):
            tasks.clear()
            tasks.execute("DROP TABLE IF EXISTS slack_notifications")
            failed.append(tasks.fail())
            slack.answer(delay=0 if number else 2)
            assert all(threads.map(first_call, range(AT_ONCE)))
    result = tally(told(slack), failed)
    figures(runs=AT_ONCE * rounds, failures=len(failed), missed=len(result.missed), repeated=len(result.repeated))
    assert result == EXACTLY_ONCE
    assert "lock timeout" not in caplog.text


def test_a_run_that_waited_tells_the_tasks_if_the_first_is_killed(start, slack, tasks):
    failed = [tasks.fail() for _ in range(3)]
    with slack.hold() as held:
        first = start()
        held.wait_received()
        second = start()
        wait_for_blocked(tasks.connection, 1)
        assert len(slack.requests) == 1
        first.kill()
        all_end_well([second])
    assert told(slack) == [sorted(failed)]


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_a_run_beside_a_held_one_still_learns_of_later_failures(start, slack, tasks, database_url, isolation):
    """Whatever isolation the server defaults to: the second run must see what the first committed meanwhile."""
    setting = isolation.replace(" ", "%5C%20")
    url = f"{database_url}?options=-c%20default_transaction_isolation%3D{setting}"
    first_failed = [tasks.fail() for _ in range(2)]
    with slack.hold() as held:
        first = start(DATABASE_URL=url)
        held.wait_received()
        later_failed = [tasks.fail() for _ in range(2)]
        second = start(DATABASE_URL=url)
        wait_for_blocked(tasks.connection, 1)
        held.go()
        all_end_well([first, second])
    assert told(slack) == [sorted(first_failed), sorted(later_failed)]


def test_runs_that_find_the_tasks_in_another_order_do_not_deadlock(start, slack, tasks, notifier):
    """Two runs are stopped midway at the same task; between them the first of the others moved to the table's end."""
    assert notifier.send_failed_tasks_notification()
    failed = [tasks.fail(id=f"task-{letter}") for letter in "abc"]
    # As another run would hold it: task-b is told, and not yet committed.
    blocker = psycopg2.connect(notifier.settings.database_url)
    with blocker.cursor() as cursor:
        cursor.execute(
            "INSERT INTO slack_notifications SELECT destination, alert, 'task-b', now(), now() "
            "FROM slack_notifications WHERE task_id = ''"
        )
    first = start()
    wait_for_blocked(tasks.connection, 1)
    for task_id in ("task-a", "task-b"):
        tasks.execute("UPDATE tasks SET error = 'again' WHERE id = %s", [task_id])
    second = start()
    wait_for_blocked(tasks.connection, 2)
    blocker.rollback()
    blocker.close()
    all_end_well([first, second])
    assert tally(told(slack), failed) == EXACTLY_ONCE
    assert no_deadlock(tasks)


def test_two_destinations_do_not_wait_for_each_other(start, slack, tasks):
    failed = [tasks.fail() for _ in range(2)]
    stuck = tasks.add("queued", created=40)
    # The ledger is there.
    all_end_well([start("--failed-only", SLACK_WEBHOOK=slack.webhook("third"))])
    with slack.hold("slow") as held:
        run = start(SLACK_WEBHOOK=slack.webhook("slow"))
        held.wait_received()
        all_end_well([start(SLACK_WEBHOOK=slack.webhook("quick"))])
        held.go()
        all_end_well([run])
    for channel in ("slow", "quick"):
        assert told(slack, channel=channel) == [sorted(failed)]
        assert told(slack, STUCK, channel) == [[stuck]]
