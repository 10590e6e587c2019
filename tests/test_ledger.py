"""What each destination is told, and when: each test moves the time of all rows, and counts messages."""

from __future__ import annotations

import logging
import re
from contextlib import closing

import psycopg2
import pytest
from support import (
    BLIND,
    EXACTLY_ONCE,
    FAILED,
    HEALED,
    NOW,
    RECOVERED,
    STUCK,
    has_ledger,
    ids,
    ledger,
    recorded,
    refuse,
    report,
    rows,
    summary,
    tally,
    titles,
    told,
    value,
)

import slack_notifier
from sandbox.postgres import create_tasks_table, postgres_server, url_of
from slack_notifier import CREATE_LEDGER, SlackNotifier

pytestmark = pytest.mark.usefixtures("room")


@pytest.fixture
def fails_again(tasks):
    """Writes a failed row once more, now."""

    query = f"UPDATE tasks SET status = 'failed', error = %s, updated_at = {NOW} WHERE id = %s"
    return lambda task_id, error: tasks.execute(query, [error, task_id])


def completed_at(connection, alert: str = "failed") -> str:
    """Until when the only destination has been told everything, as messages write times."""
    query = "SELECT event_at AT TIME ZONE 'UTC' FROM slack_notifications WHERE alert = %s AND task_id = ''"
    return f"{value(connection, query, [alert]):%Y-%m-%d %H:%M:%S} UTC"


# ---- Failed ----------------------------------------------------------------------------------------------------------


def test_a_first_run_for_failed_tasks_is_one_though_stuck_ones_were_told_for_weeks(notifier, slack, tasks, pass_time):
    assert notifier.send_stuck_tasks_notification()
    pass_time(14 * 24 * 60)
    tasks.fail(updated=24 * 60)
    failed = tasks.fail()
    report(notifier)
    assert told(slack) == [[failed]]


def test_every_caller_goes_through_the_ledger(notifier, slack, tasks, cli):
    failed, stuck = tasks.fail(), tasks.add("queued", created=40)
    assert notifier.send_failed_tasks_notification()
    assert notifier.send_stuck_tasks_notification()
    report(notifier)
    for arguments in ([], ["--failed-only"], ["--stuck-only"], ["--timeout", 20]):
        assert cli(*arguments).code == 0
    assert (told(slack, FAILED), told(slack, STUCK)) == ([[failed]], [[stuck]])


# From one minute after the told failure where the cause is another one, from 30 where it is the same.
@pytest.mark.parametrize("is_queued_again", [False, True])
@pytest.mark.parametrize(
    ("minutes", "error", "times"),
    [(0.1, "another error", 1), (1.1, "another error", 2), (29, "an error", 1), (31, "an error", 2)],
)
def test_a_task_that_failed_again_is_news_after_30_minutes_or_with_another_cause(
    notifier, slack, tasks, pass_time, becomes, fails_again, minutes, error, times, is_queued_again
):
    task_id = tasks.fail(updated=0, error="an error")
    assert notifier.send_failed_tasks_notification()
    if is_queued_again:
        becomes(task_id, "queued")
        assert notifier.send_failed_tasks_notification()
    pass_time(minutes)
    fails_again(task_id, error)
    assert notifier.send_failed_tasks_notification()
    assert told(slack) == [[task_id]] * times


@pytest.mark.slow
def test_a_failure_that_is_written_every_10_minutes_is_told_every_30(notifier, slack, tasks, pass_time, fails_again):
    task_id = tasks.fail(updated=0, error="an error")
    for _ in range(12):
        assert notifier.send_failed_tasks_notification()
        pass_time(10.01)
        fails_again(task_id, "an error")
    assert told(slack) == [[task_id]] * 4


# ---- Catch-up --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "when"), [(29, "in the last 30 minutes"), (31, "since {}")])
def test_wording_is_the_usual_one_where_all_is_within_30_minutes(notifier, slack, tasks, pass_time, minutes, when):
    assert notifier.send_failed_tasks_notification()
    pass_time(120)
    tasks.fail(updated=minutes)
    since = completed_at(tasks.connection)
    assert notifier.send_failed_tasks_notification()
    assert summary(slack.messages()[0]) == f"1 task failed {when.format(since)}:"


def test_after_3_days_without_cron_everything_is_in_one_message_once(notifier, slack, tasks, pass_time, figures):
    before = tasks.fail()
    assert notifier.send_failed_tasks_notification()
    pass_time(3 * 24 * 60)
    failed = [tasks.fail(updated=minutes) for minutes in range(5, 3 * 24 * 60, 240)]
    since = completed_at(tasks.connection)
    last_run = f"SELECT abs(extract(epoch FROM {NOW} - interval '3 days' - %s::timestamp)) < 10"
    assert value(tasks.connection, last_run, [since.removesuffix(" UTC")])
    for _ in range(3):
        assert notifier.send_failed_tasks_notification()
    assert told(slack) == [[before], sorted(failed)]
    assert summary(slack.messages()[1]) == f"{len(failed)} tasks failed since {since}:"
    assert f"\n{len(failed)} tasks failed since {since}:\n" in slack.messages()[1]["text"]
    figures(runs=4, failures=len(failed) + 1, missed=0, repeated=0)


@pytest.mark.slow
@pytest.mark.parametrize("first_run", [False, True], ids=["later on", "from the very first run on"])
def test_slack_down_then_up_tells_all_in_a_message_of_each_kind(notifier, slack, tasks, becomes, pass_time, first_run):
    recovered = [] if first_run else [[tasks.add("queued", created=40)]]
    if recovered:
        report(notifier)
        becomes(recovered[0][0], "finished")
    slack.answer(404, "no_service", times=None)
    failed, stuck = [], tasks.add("in_progress", started=40)
    for _ in range(6):
        failed.append(tasks.fail(updated=1))
        result = notifier.send_combined_notification()
        assert (result["failed_notification_sent"], result["stuck_notification_sent"]) == (False, False)
        pass_time(15)
    slack.answer_normally()
    report(notifier, 3)
    assert told(slack, FAILED) == [sorted(failed)]
    assert (told(slack, STUCK), told(slack, RECOVERED)) == ([*recovered, [stuck]], recovered)


# ---- Late commits and clocks -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("skew", [-29.5, -15, 0, 15, 29.5])
def test_a_worker_with_a_skewed_clock_is_told_once(notifier, slack, tasks, pass_time, skew):
    """`skew` in minutes: its clock is behind (-) or ahead (+)."""
    failed = []
    for _ in range(10):
        assert notifier.send_failed_tasks_notification()
        failed.append(tasks.fail(updated=-skew))
        assert notifier.send_failed_tasks_notification()
        pass_time(15)
    for _ in range(4):
        assert notifier.send_failed_tasks_notification()
        pass_time(15)
    assert tally(told(slack), failed) == EXACTLY_ONCE


@pytest.mark.parametrize("most", [2, 200], ids=["at the end of a part", "among all"])
def test_a_failure_of_the_future_hides_none_that_comes_before_it(notifier, slack, tasks, pass_time, monkeypatch, most):
    """Nothing runs until shortly before it: what is told is complete until now at the most."""
    monkeypatch.setattr(slack_notifier, "CLAIM_TASKS", most)
    first = [tasks.fail(updated=5), tasks.fail(updated=-120)]
    assert notifier.send_failed_tasks_notification()
    pass_time(110)
    earlier = tasks.fail(updated=100)
    assert notifier.send_failed_tasks_notification()
    assert told(slack) == [sorted(first), [earlier]]


def test_a_failure_at_the_end_of_time_is_told_once(notifier, slack, tasks):
    task_id = tasks.fail(updated="infinity")
    for _ in range(2):
        assert notifier.send_failed_tasks_notification()
    assert told(slack) == [[task_id]]


@pytest.mark.slow
def test_one_more_task_failed_beside_one_that_still_is_not_beside_one_that_healed(notifier, slack, tasks, pass_time):
    first = tasks.fail(updated=2)
    assert notifier.send_failed_tasks_notification()
    pass_time(1)
    tasks.fail(updated=0)
    assert notifier.send_failed_tasks_notification()
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
    pass_time(1)
    tasks.fail(updated=0, id=f"{first}-next")
    assert notifier.send_failed_tasks_notification()
    assert [summary(message) for message in slack.messages()] == [
        "1 task failed in the last 30 minutes:",
        "1 more task failed in the last 30 minutes:",
        "1 task failed in the last 30 minutes:",
        "2 tasks no longer failed:",
    ]


def test_a_cause_stays_known_where_the_same_task_fails_again(notifier, slack, tasks, pass_time, fails_again):
    task_id = tasks.fail(error="no codec")
    for _ in range(3):
        assert notifier.send_failed_tasks_notification()
        # For a history that is long enough to know what is new.
        since = "event_at = now() - interval '2 days' WHERE task_id = '' AND alert = 'cause'"
        tasks.execute(f"UPDATE slack_notifications SET {since}")
        pass_time(36)
        fails_again(task_id, "no codec")
    seen = [re.findall(r"no codec(.*)", message["text"]) for message in slack.messages()]
    assert seen == [[""], [" (2× in 7 days)"], [" (3× in 7 days)"]]


def test_a_cause_is_counted_for_seven_days(notifier, slack, tasks, pass_time):
    counts = (
        "SELECT task_id, to_char(notified_at, 'YYYY-MM-DD ') || cause "
        "FROM slack_notifications WHERE alert = 'cause' AND task_id <> ''"
    )
    assert notifier.send_failed_tasks_notification()
    for days in (2, 1, 5, 1, 8):
        pass_time(days * 24 * 60)
        tasks.fail(updated=0, error="no codec")
        assert notifier.send_failed_tasks_notification()
        assert {name == expected for name, expected in rows(tasks.connection, counts)} == {True}
    seen = [re.findall(r"no codec(.*)", message["text"]) for message in slack.messages()]
    assert seen == [[" 🆕"], [" (2× in 7 days)"], [" (3× in 7 days)"], [" (3× in 7 days)"], [" 🆕"]]
    # The clean-up has left no others.
    assert len(rows(tasks.connection, counts)) == 1


def test_ids_of_an_earlier_table_do_no_harm(notifier, slack, tasks):
    tasks.fail()
    assert notifier.send_failed_tasks_notification()
    tasks.execute("DELETE FROM tasks; ALTER TABLE tasks ALTER COLUMN id TYPE uuid USING id::uuid")
    task_id = tasks.fail(id="00000000-0000-4000-8000-000000000001")
    report(notifier)
    assert told(slack)[1:] == [[task_id]]


# ---- Stuck -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "times"), [(239, 1), (241, 2)])
def test_a_task_that_is_still_stuck_is_told_again_after_the_interval(notifier, slack, tasks, pass_time, minutes, times):
    task_id = tasks.add("queued", created=40)
    assert notifier.send_stuck_tasks_notification()
    pass_time(minutes)
    assert notifier.send_stuck_tasks_notification()
    assert notifier.send_stuck_tasks_notification()
    assert told(slack, STUCK) == [[task_id]] * times


@pytest.mark.slow
def test_without_reminders_a_stuck_task_is_told_once_for_ever(settings, slack, tasks, pass_time):
    notifier = SlackNotifier(settings=settings._replace(remind_minutes=0))
    stuck = []
    for _ in range(10):
        # News of each kind, so that the ledger is cleaned up each time.
        tasks.fail(updated=0)
        stuck.append(tasks.add("queued", created=40))
        report(notifier)
        pass_time(24 * 60)
    assert told(slack, STUCK) == [[task_id] for task_id in stuck]


@pytest.mark.parametrize(("status", "last"), [("queued", 10), ("in_progress", 30), ("inprogress", 10_000)])
def test_a_stuck_task_is_told_once_whatever_timeouts_callers_have(notifier, slack, tasks, becomes, status, last):
    task_id = tasks.add(status, created=40)
    for timeout in (30, 120, 30, 10, 10_000):
        assert notifier.send_stuck_tasks_notification(timeout)
    becomes(task_id, "finished")
    assert notifier.send_stuck_tasks_notification(last)
    assert titles(slack) == [STUCK, RECOVERED]
    assert told(slack, STUCK) == told(slack, RECOVERED) == [[task_id]]


def test_a_task_that_finished_is_named_once_as_recovered_and_is_not_counted(notifier, slack, tasks, becomes, pass_time):
    finished, still_stuck = tasks.add("queued", created=40), tasks.add("queued", created=50)
    assert notifier.send_combined_notification()["stuck_tasks_count"] == 2
    becomes(finished, "finished")
    for _ in range(3):
        assert notifier.send_combined_notification()["stuck_tasks_count"] == 0
        pass_time(1)
    assert told(slack, STUCK) == [sorted([finished, still_stuck])]
    assert told(slack, RECOVERED) == [[finished]]
    assert f"• `{finished}` is finished" in slack.messages()[-1]["text"]


STUCK_FIRST, COMBINED = ("send_stuck_tasks_notification", "send_combined_notification"), ("send_combined_notification",)
# How a task goes on, with the minutes since then; what is called after each turn; the messages that name it.
TURNS = {
    "stuck, took its turn, ended": (["queued 40", "in_progress", "finished"], STUCK_FIRST, [STUCK, RECOVERED]),
    "stuck, failed": (["queued 40", "failed"], STUCK_FIRST, [STUCK, FAILED]),
    "stuck, failed, ended": (["queued 40", "failed", "finished"], STUCK_FIRST, [STUCK, FAILED, HEALED]),
    "stuck, failed, queued, ended": (["queued 40", "failed", "queued", "finished"], COMBINED, [STUCK, FAILED, HEALED]),
    "failed, stuck, ended": (["failed", "queued 40", "finished"], COMBINED, [FAILED, STUCK, HEALED]),
    "stuck under both names of in progress": (["inprogress 40", "in_progress 40"], STUCK_FIRST, [STUCK]),
    "stuck in another status and back": (["queued 40", "in_progress 35", "queued 35"], STUCK_FIRST, [STUCK] * 3),
}


@pytest.mark.parametrize("turns", TURNS)
def test_each_turn_of_a_task_is_named_once_in_the_message_for_it(notifier, slack, tasks, becomes, pass_time, turns):
    task_id = tasks.add("queued", created=100)
    steps, calls, expected = TURNS[turns]
    for step in steps:
        status, _, minutes = step.partition(" ")
        becomes(task_id, status, float(minutes or 0))
        for call in calls * 2:
            result = getattr(notifier, call)()
            assert result is True or result["error"] is None
        pass_time(2)
    assert titles(slack) == expected
    assert all(ids(message) == [task_id] for message in slack.messages())


def test_a_stuck_task_that_was_deleted_is_forgotten_in_silence(notifier, slack, tasks, pass_time):
    deleted = tasks.add("queued", created=40)
    assert notifier.send_stuck_tasks_notification()
    tasks.clear()
    assert notifier.send_stuck_tasks_notification()
    assert told(slack, STUCK) == [[deleted]]
    pass_time(8 * 24 * 60)
    stuck = tasks.add("queued", created=40)
    assert notifier.send_stuck_tasks_notification()
    assert titles(slack) == [STUCK, STUCK]
    assert {row[2] for row in ledger(tasks.connection)} == {"", stuck}


@pytest.mark.slow
@pytest.mark.parametrize("is_on", [True, False], ids=["recoveries on", "recoveries off"])
def test_a_task_stuck_again_is_told_again_and_recovers_if_that_is_on(settings, slack, tasks, becomes, pass_time, is_on):
    notifier = SlackNotifier(settings=settings._replace(notify_on_recovery=is_on))
    task_id = tasks.add("queued", created=40)
    for _ in range(3):
        assert notifier.send_stuck_tasks_notification()
        becomes(task_id, "finished")
        assert notifier.send_stuck_tasks_notification()
        becomes(task_id, "queued")
        # Not at once, though it was created long ago.
        assert notifier.send_stuck_tasks_notification()
        pass_time(31)
    assert told(slack, STUCK) == [[task_id]] * 3
    assert told(slack, RECOVERED) == [[task_id]] * (3 if is_on else 0)


def test_a_refused_failed_alert_does_not_hold_back_the_stuck_one(notifier, slack, tasks):
    failed, stuck = tasks.fail(), tasks.add("queued", created=40)
    slack.answer(404, "no_service")
    result = notifier.send_combined_notification()
    assert (result["failed_notification_sent"], result["stuck_notification_sent"]) == (False, True)
    assert "no_service" in result["error"]
    assert titles(slack) == [STUCK]
    report(notifier)
    assert (told(slack, FAILED), told(slack, STUCK)) == ([[failed]], [[stuck]])


def test_a_recovery_waits_for_the_alert_that_was_refused(notifier, slack, tasks, becomes):
    recovered = tasks.fail()
    assert notifier.send_failed_tasks_notification()
    becomes(recovered, "finished")
    tasks.fail()
    slack.answer(404, "no_service")
    assert notifier.send_failed_tasks_notification() is False
    assert titles(slack) == [FAILED]
    assert notifier.send_failed_tasks_notification()
    assert titles(slack) == [FAILED, FAILED, HEALED]


# ---- Destinations ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_destination_dead_for_ten_days_gets_all_of_it_and_nothing_twice(notifier, other, slack, tasks, pass_time):
    """The other one's clean-up takes nothing away that this one still needs."""
    failed = [tasks.fail(updated=minutes) for minutes in (1, 20)]
    for destination in (notifier, other):
        assert destination.send_failed_tasks_notification()
    missed = []
    for _ in range(10):
        pass_time(24 * 60)
        missed.append(tasks.fail(updated=1))
        assert notifier.send_failed_tasks_notification()
    assert other.send_failed_tasks_notification()
    assert told(slack, channel="other") == [sorted(failed), sorted(missed)]


def test_a_stuck_task_is_told_to_each_destination_and_recovers_where_told(notifier, other, slack, tasks, becomes):
    task_id = tasks.add("queued", created=40)
    assert notifier.send_stuck_tasks_notification()
    becomes(task_id, "finished")
    for destination in (notifier, other):
        assert destination.send_stuck_tasks_notification()
    assert titles(slack) == [STUCK, RECOVERED]
    assert slack.messages("other") == []


# ---- Traces ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_what_the_next_run_tells_without_a_trace(notifier, settings, slack, tasks, becomes, printed):
    dry = SlackNotifier(settings=settings, dry_run=True)
    told_before, recovered = tasks.fail(), tasks.add("queued", created=40)
    for _ in range(2):
        report(dry)
        assert {told_before, recovered} <= {*re.findall(r"\w+", printed())}
    assert not has_ledger(tasks.connection)
    assert slack.requests == []
    report(notifier)
    becomes(recovered, "finished")
    failed, stuck = tasks.fail(), tasks.add("in_progress", started=40)
    before = ledger(tasks.connection)
    report(dry)
    text = printed()
    assert [task_id in text for task_id in (failed, stuck, recovered, told_before)] == [True, True, True, False]
    assert ledger(tasks.connection) == before
    slack.clear()
    report(notifier)
    assert (told(slack, FAILED), told(slack, STUCK), told(slack, RECOVERED)) == ([[failed]], [[stuck]], [[recovered]])


def test_the_public_reads_stay_plain_reads(notifier, settings, tasks):
    failed, stuck = tasks.fail(), tasks.add("queued", created=40)
    read_only = url_of(settings.database_url) + "?options=-c%20default_transaction_read_only%3Don"
    before: list[object] = []
    for _ in range(2):
        for reader in (notifier, SlackNotifier(settings=settings._replace(database_url=read_only))):
            assert [task["id"] for task in reader.get_failed_tasks_last_30min()] == [failed]
            assert [task["id"] for task in reader.get_stuck_tasks()] == [stuck]
        assert ledger(tasks.connection) == before
        report(notifier)
        before = ledger(tasks.connection)


def test_an_alert_that_cannot_be_committed_leaves_the_next_one_alone(notifier, slack, tasks):
    tasks.execute(CREATE_LEDGER)
    refuse(tasks.connection, "UPDATE", "NEW.task_id = '' AND NEW.alert = 'failed'")
    stuck = tasks.add("queued", created=40)
    assert "full" in notifier.send_combined_notification()["error"]
    assert told(slack, STUCK) == [[stuck]]


def test_tasks_that_cannot_be_read_after_another_alert_was_sent_are_said_not_to_be_read(notifier, slack, tasks):
    failed = tasks.fail()
    tasks.add("queued", created=40)
    assert notifier.send_failed_tasks_notification()
    refuse(tasks.connection, "INSERT", "NEW.task_id <> '' AND NEW.alert = 'stuck'")
    another = tasks.fail()
    assert "Cannot read the tasks: full" in notifier.send_combined_notification()["error"]
    assert told(slack) == [[failed], [another]]
    assert titles(slack)[-1] == BLIND


def test_a_dead_webhook_keeps_no_recovery_from_the_others(settings, slack, tasks, becomes):
    both = settings._replace(webhooks={"": [slack.webhook("dead"), slack.webhook()]})
    slack.answer(404, "no_service", times=None, channel="dead")
    stuck = [tasks.add("queued", created=minutes) for minutes in (40, 50)]
    SlackNotifier(settings=both).send_stuck_tasks_notification()
    becomes(stuck[0], "finished")
    SlackNotifier(settings=both).send_stuck_tasks_notification()
    assert told(slack, RECOVERED) == [[stuck[0]]]


@pytest.mark.slow
@pytest.mark.parametrize(("days", "is_kept"), [(6.9, True), (8, False)])
def test_rows_are_deleted_after_a_week_unless_still_needed(notifier, slack, tasks, becomes, pass_time, days, is_kept):
    old = [tasks.fail(updated=1), tasks.add("queued", created=40)]
    still_stuck = tasks.add("queued", created=40)
    report(notifier)
    becomes(old[1], "finished")
    assert notifier.send_stuck_tasks_notification()
    pass_time(days * 24 * 60)
    failed = tasks.fail(updated=1)
    for _ in range(2):
        report(notifier)
        pass_time(0.1)
    expected = {still_stuck, failed, *(old if is_kept else [])}
    assert {task_id for _, task_id in recorded(tasks.connection)} == expected
    assert told(slack, FAILED) == [old[:1], [failed]]


def test_a_stuck_alert_deletes_nothing_that_the_failed_one_needs(notifier, slack, tasks, pass_time):
    failed = tasks.fail(updated=1)
    assert notifier.send_failed_tasks_notification()
    pass_time(8 * 24 * 60)
    tasks.add("queued", created=40)
    assert notifier.send_stuck_tasks_notification()
    assert notifier.send_failed_tasks_notification()
    assert (told(slack), len(told(slack, STUCK))) == ([[failed]], 1)


def test_a_row_that_another_run_uses_does_not_hold_up_the_clean_up(notifier, slack, tasks, pass_time, settings, caplog):
    old = [tasks.fail(updated=1) for _ in range(2)]
    assert notifier.send_failed_tasks_notification()
    pass_time(8 * 24 * 60)
    tasks.fail(updated=1)
    with closing(psycopg2.connect(settings.database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT FROM slack_notifications WHERE task_id = %s FOR UPDATE", [old[0]])
        assert notifier.send_failed_tasks_notification()
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert {task_id for _, task_id in recorded(tasks.connection)} & {*old} == {old[0]}


# ---- Rights ----------------------------------------------------------------------------------------------------------


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.fixture
def restricted(role, settings, tasks) -> SlackNotifier:
    """A notifier whose role may read the tasks and nothing else."""
    tasks.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    tasks.execute(f"GRANT SELECT ON tasks TO {role.name}")
    return SlackNotifier(settings=settings._replace(database_url=role.url))


MISSING_TABLE = "GRANT CREATE ON SCHEMA public TO {role}"
MISSING_RIGHT = "GRANT SELECT, INSERT, UPDATE, DELETE ON slack_notifications TO {role}"
READ_ONLY = "ALTER ROLE {{role}} SET default_transaction_read_only = {}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ("REVOKE ALL ON SCHEMA public FROM {role}", MISSING_TABLE),
        (CREATE_LEDGER, MISSING_RIGHT),
        (f"{MISSING_TABLE}; {READ_ONLY.format('on')}", READ_ONLY.format("off")),
    ],
    ids=["no table", "no right", "read only"],
)
def test_who_may_not_write_alerts_and_warns_with_the_remedy(restricted, role, slack, tasks, caplog, change, remedy):
    tasks.execute(change.replace("{role}", role.name))
    failed, stuck = tasks.fail(updated=29), tasks.add("queued", created=40)
    tasks.fail(updated=31)
    for _ in range(2):
        caplog.clear()
        report(restricted)
        (warning,) = warnings(caplog)
        reason, _, statement = warning.partition(": ")
        assert reason == "Cannot remember what was reported, so alerts repeat with every run"
        assert statement == remedy.replace("{role}", role.name)
    tasks.execute(statement)
    caplog.clear()
    for _ in range(2):
        # A new notifier, as each run of cron is.
        report(SlackNotifier(settings=restricted.settings))
    assert warnings(caplog) == []
    assert (told(slack, FAILED), told(slack, STUCK)) == ([[failed]] * 3, [[stuck]] * 3)


@pytest.mark.parametrize("right", ["SELECT", "INSERT", "UPDATE", "DELETE"])
def test_a_single_missing_right_is_enough_for_the_warning(restricted, notifier, role, slack, tasks, caplog, right):
    assert notifier.send_failed_tasks_notification()
    tasks.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON slack_notifications TO {role.name}")
    tasks.execute(f"REVOKE {right} ON slack_notifications FROM {role.name}")
    failed = tasks.fail()
    assert restricted.send_failed_tasks_notification()
    assert told(slack) == [[failed]]
    assert MISSING_RIGHT.format(role=role.name) in caplog.text


def test_a_role_that_may_not_even_have_temporary_tables_gets_a_clear_error(restricted, role, slack, tasks, caplog):
    database = value(tasks.connection, "SELECT quote_ident(current_database())")
    tasks.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    try:
        tasks.fail()
        assert restricted.send_failed_tasks_notification() is False
    finally:
        tasks.execute(f"GRANT TEMPORARY ON DATABASE {database} TO PUBLIC")
    assert slack.requests == []
    # The tasks can be read: that is not what is missing.
    assert "GRANT SELECT ON tasks" not in caplog.text
    assert MISSING_TABLE.format(role=role.name) in caplog.text


@pytest.mark.slow
def test_a_standby_is_a_clear_error_and_never_silence(slack, make_tasks, run, notifier):
    with postgres_server(in_memory=True) as primary:
        create_tasks_table(primary.url)
        make_tasks(primary.url).fail()
        with primary.standby() as standby:
            environment = {"DATABASE_URL": standby.url, "SLACK_WEBHOOK": slack.webhook()}
            ended = run(**environment)
            assert ended.code == 1
            assert "The database is a read-only standby" in ended.log
            reader = SlackNotifier(settings=notifier.settings._replace(database_url=standby.url))
            assert len(reader.get_failed_tasks_last_30min()) == 1
            assert told(slack) == []
            # The remedy that the error names, with both hosts as libpq takes them.
            hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
            either = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
            assert run(**{**environment, "DATABASE_URL": either}).code == 0
            assert len(told(slack)) == 1
