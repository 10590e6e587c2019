"""Nobody starves: storms of calls, many destinations, many and large failures, slow databases, columns of any type."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace

import psycopg2
import pytest
from support import (
    FAILED,
    HEALED,
    PROGRAM,
    RECOVERED,
    STUCK,
    elapse,
    fail_and_call,
    report,
    rows,
    summary,
    title,
    titles,
    told,
    value,
    wait_until,
    wait_until_alone,
)

import slack_notifier
from benchmarks.loads import storm
from sandbox.slack import SlackStandIn
from slack_notifier import CALL_SECONDS, STORM_BURST, SlackNotifier

pytestmark = pytest.mark.usefixtures("room")

TOLD = "SELECT task_id FROM slack_notifications WHERE alert = 'failed' AND task_id <> ''"


def counted(slack: SlackStandIn, alert: str = FAILED, channel: str = "alerts") -> list[int]:
    """How many tasks each message tells of."""
    return [int(summary(message).split()[0]) for message in slack.messages(channel) if title(message) == alert]


# ---- The storm -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_storm_is_three_messages_at_once_and_one_a_minute_from_then_on(tasks, settings, database_url, figures):
    """From 8 processes of 20 failures each; what they held back, the next run of the command line tells, once."""
    with SlackStandIn(rate_limit=True, burst=10) as slack:
        started = time.monotonic()
        calls = storm(PROGRAM, {"DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()}, 20)
        minutes = (time.monotonic() - started) / 60
        assert len(calls) == 160
        assert all(call.returned for call in calls)
        messages = len(slack.messages())
        assert STORM_BURST <= messages <= STORM_BURST + minutes + 1
        assert {request.status for request in slack.requests} == {200}
        assert calls[-1].seconds < CALL_SECONDS
        report(SlackNotifier(slack.webhook(), settings=settings))
        assert sum(counted(slack)) == 160 == len(set(rows(tasks.connection, TOLD)))
        figures(
            failures=160,
            messages=messages,
            milliseconds_median=int(calls[80].seconds * 1000),
            milliseconds_worst=int(calls[-1].seconds * 1000),
        )


@pytest.mark.slow
def test_calls_that_are_held_back_tell_nothing_and_later_ones_all_of_it(notifier, slack, tasks):
    failed = fail_and_call(notifier, tasks, STORM_BURST + 3)
    assert counted(slack) == [1] * STORM_BURST
    elapse(tasks.connection, 1.01)
    failed += fail_and_call(notifier, tasks, 1)
    assert counted(slack) == [1] * STORM_BURST + [4]
    assert sorted(task for message in told(slack) for task in message) == sorted(failed)


def test_a_quiet_hour_saves_no_messages_up_for_a_storm(notifier, slack, tasks, caplog):
    assert notifier.send_failed_tasks_notification()
    elapse(tasks.connection, 60)
    fail_and_call(notifier, tasks, STORM_BURST + 1)
    assert counted(slack) == [1] * STORM_BURST
    # The last call went at once, and did not wait as it does for another run.
    assert "Another run" not in caplog.text


def test_runs_good_news_and_stuck_alerts_use_up_no_message_of_a_storm(notifier, slack, tasks):
    for _ in range(STORM_BURST):
        tasks.add("queued", created=40)
        assert notifier.send_stuck_tasks_notification()
        tasks.fail(updated=0)
        report(notifier)
        tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
        assert notifier.send_failed_tasks_notification()
    slack.clear()
    failed = fail_and_call(notifier, tasks)
    assert told(slack) == [[task_id] for task_id in failed]


def test_a_storm_holds_back_no_other_destination_no_combined_call_and_no_program(notifier, other, slack, tasks, cli):
    fail_and_call(notifier, tasks, STORM_BURST + 1)
    assert other.send_failed_tasks_notification()
    assert counted(slack, channel="other") == [STORM_BURST + 1]
    assert notifier.send_combined_notification()["failed_tasks_count"] == 1
    tasks.fail(updated=0)
    assert cli().code == 0
    assert counted(slack) == [1] * (STORM_BURST + 2)


@pytest.mark.slow
@pytest.mark.usefixtures("unhurried")
def test_a_call_beside_one_that_delivers_waits_for_nothing_and_holds_no_connection(notifier, slack, tasks, monkeypatch):
    """Of 11 workers that call at once, one delivers, however long that takes; the others close their connections."""
    monkeypatch.setattr(slack_notifier, "LOCK_WAIT_SECONDS", 3600)
    tasks.fail()
    sessions = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'slack_notifier'"
    )
    with slack.hold() as held, ThreadPoolExecutor(11) as pool:
        one = pool.submit(notifier.send_failed_tasks_notification)
        held.wait_received()
        others = [pool.submit(notifier.send_failed_tasks_notification) for _ in range(10)]
        assert all(other.result(30) for other in others)
        wait_until(lambda: value(tasks.connection, sessions) == 1)
        held.go()
        assert one.result()
    assert counted(slack) == [1]


def test_a_call_tells_what_failed_while_another_was_just_telling(notifier, slack, tasks):
    """It looks again after half a second, by when that other is usually done."""
    tasks.fail()
    with slack.hold() as held, ThreadPoolExecutor(2) as pool:
        one = pool.submit(notifier.send_failed_tasks_notification)
        held.wait_received()
        tasks.fail()
        other = pool.submit(notifier.send_failed_tasks_notification)
        held.go()
        assert (one.result(), other.result()) == (True, True)
    assert counted(slack) == [1, 1]


# ---- Many destinations -----------------------------------------------------------------------------------------------


@pytest.mark.slow(15)
def test_many_channels_of_a_slow_slack_are_served_in_one_run_but_those_that_hang(settings, slack, tasks, monkeypatch):
    """One after the other they would take longer than a run may."""
    monkeypatch.setattr(slack_notifier, "RUN_SECONDS", 60)
    monkeypatch.setattr(slack_notifier, "WEBHOOK_READ_SECONDS", 4)
    task_id = tasks.fail()
    hanging, slow = ([f"team-{number}" for number in numbers] for numbers in (range(4), range(4, 48)))
    for channel in hanging:
        slack.answer(fault="hang", channel=channel, times=None)
    slack.answer(delay=1, times=None)
    webhooks = {"": [slack.webhook(channel) for channel in [*hanging, *slow]]}
    SlackNotifier(settings=settings._replace(webhooks=webhooks)).send_combined_notification()
    assert all(told(slack, channel=channel) == [[task_id]] for channel in slow)


# ---- Many failures, slow databases -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_claim_that_takes_too_long_takes_few_tasks(notifier, slack, tasks, monkeypatch):
    """Each row of the ledger takes this server 50 ms to write: all of the tasks, longer than a statement may take."""
    monkeypatch.setattr(slack_notifier, "DATABASE_STATEMENT_SECONDS", 3)
    monkeypatch.setattr(slack_notifier, "CLAIM_FEW_TASKS", 20)
    report(notifier)
    tasks.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END';"
        "CREATE TRIGGER dawdle BEFORE INSERT ON slack_notifications FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    for number in range(100):
        tasks.fail(updated=20 - number / 10)
    report(notifier)
    assert counted(slack) == [20]
    assert summary(slack.messages()[0]).startswith("20 tasks and more failed")


@pytest.mark.slow
def test_failures_are_told_where_each_read_of_the_tasks_takes_a_second(notifier, slack, tasks, caplog):
    """Its post has its time left."""
    task_id = tasks.fail()
    tasks.execute(
        "ALTER TABLE tasks RENAME TO real_tasks;"
        "CREATE VIEW tasks AS SELECT real_tasks.* FROM real_tasks CROSS JOIN (SELECT pg_sleep(1) OFFSET 0) AS slow"
    )
    notifier.send_failed_tasks_notification()
    assert told(slack) == [[task_id]]


@pytest.mark.slow
def test_many_statuses_without_an_index_cost_no_alert(notifier, slack, tasks):
    for number in range(1000):
        tasks.add(f"status-{number}", created=60, started=50)
    task_id = tasks.fail()
    report(notifier)
    assert told(slack) == [[task_id]]


def test_a_failure_of_a_worker_whose_clock_is_ahead_hides_no_later_one(notifier, slack, tasks):
    task_id = tasks.fail(updated=-60, error="first")
    for _ in range(3):
        report(notifier)
        elapse(tasks.connection, 20)
    assert told(slack) == [[task_id]]
    tasks.execute("UPDATE tasks SET updated_at = now() AT TIME ZONE 'UTC', error = 'second'")
    report(notifier)
    assert told(slack) == [[task_id]] * 2


# ---- Large failures --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("column", ["error", "log_uri"])
def test_twenty_failures_of_ten_megabytes_go_out_in_little_memory(tasks, slack, database_url, tmp_path, column):
    """Under a limit of 320 MB of address space."""
    tasks.execute("ALTER TABLE tasks ALTER COLUMN error SET STORAGE EXTENDED")
    for number in range(20):
        tasks.fail(updated=number / 10)
    tasks.execute(f"UPDATE tasks SET {column} = 'https://logs/' || repeat('x', 10000000) || id")
    (tmp_path / ".env").touch()
    limited = ["prlimit", f"--as={320 << 20}", sys.executable, str(PROGRAM)]
    environment = {"DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()}
    done = subprocess.run(
        limited, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert counted(slack) == [20]


# ---- Columns of other types ------------------------------------------------------------------------------------------


def enum(labels: str) -> str:
    words = ", ".join(f"'{word}'" for word in labels.split())
    return (
        f"CREATE TYPE state AS ENUM ({words}); ALTER TABLE tasks ALTER status DROP DEFAULT,"
        "ALTER status TYPE state USING status::state"
    )


OTHER_TABLES = {
    "ids of uuid, keys of uuid": "ALTER TABLE tasks ALTER id TYPE uuid USING id::uuid, "
    "ALTER user_api_key TYPE uuid USING md5(user_api_key)::uuid",
    "ids of bigint": "ALTER TABLE tasks ALTER id TYPE bigint USING ('x' || left(md5(id), 15))::bit(60)::bigint",
    "errors of json": "ALTER TABLE tasks ALTER error TYPE json USING to_json(error)",
    "errors of jsonb": "ALTER TABLE tasks ALTER error TYPE jsonb USING to_jsonb(error)",
    "errors of text[]": "ALTER TABLE tasks ALTER error TYPE text[] USING ARRAY[error]",
    "domains that refuse NULL": "CREATE DOMAIN moment AS timestamp NOT NULL; CREATE DOMAIN word AS varchar NOT NULL;"
    "ALTER TABLE tasks ALTER updated_at TYPE moment, ALTER updated_at DROP NOT NULL, ALTER created_at TYPE moment,"
    "ALTER id TYPE word, ALTER user_api_key TYPE word, ALTER status TYPE word, ALTER error TYPE word",
    "an enum of all words": enum("queued in_progress inprogress failed finished"),
    "an enum without inprogress": enum("queued in_progress failed finished"),
    "an enum without in_progress": enum("queued inprogress failed finished"),
}


@pytest.mark.parametrize("table", OTHER_TABLES)
@pytest.mark.parametrize("indexed", [False, True])
def test_a_queue_of_any_type_of_columns_is_told(notifier, slack, tasks, table, indexed):
    in_progress = "inprogress" if table == "an enum without in_progress" else "in_progress"
    for number in range(2):
        tasks.fail(id=f"{number:032}", error=f"error {number}")
    tasks.add(in_progress, id=f"{7:032}", error="it broke", created=60, started=50)
    tasks.add("queued", id=f"{8:032}", error="it broke", created=50)
    tasks.add("finished", id=f"{9:032}", error="it broke", created=50, started=10)
    tasks.execute(OTHER_TABLES[table])
    if indexed:
        tasks.execute("CREATE INDEX ON tasks (status, updated_at)")
    report(notifier)
    assert (counted(slack), counted(slack, STUCK)) == ([2], [2])
    assert "2 of 3 ended tasks failed" in slack.messages()[0]["text"]
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() AT TIME ZONE 'UTC'")
    report(notifier)
    assert sorted(titles(slack)[2:]) == sorted([HEALED, RECOVERED])
    assert len(notifier.get_failed_tasks_last_30min()) == 0


def test_a_database_that_reads_backslashes_in_strings_is_served(notifier, slack, tasks):
    tasks.execute("CREATE INDEX ON tasks (status, updated_at)")
    tasks.execute(f'ALTER DATABASE "{tasks.connection.info.dbname}" SET standard_conforming_strings = off')
    failed = [tasks.fail(error=f"HTTP 500 in /tmp/{number}") for number in range(6)]
    report(notifier)
    assert told(slack) == [sorted(failed)]


def test_very_many_tasks_of_one_updated_at_do_not_stop_the_recoveries_after_them(notifier, slack, tasks, monkeypatch):
    """Such as those that a migration has touched: each look would be at the same ones."""
    failed = tasks.fail(updated=20)
    assert notifier.send_failed_tasks_notification()
    monkeypatch.setattr(slack_notifier, "CLAIM_TASKS", 3)
    elapse(tasks.connection, 60)
    for _ in range(7):
        tasks.add("finished")
    tasks.execute("UPDATE tasks SET updated_at = now() - interval '40 minutes' WHERE status = 'finished'")
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id = %s", [failed])
    for _ in range(6):
        assert notifier.send_failed_tasks_notification()
    assert told(slack, HEALED) == [[failed]]


@pytest.mark.parametrize("alert", ["failed", "stuck"])
def test_a_session_that_holds_a_row_of_the_ledger_is_not_blindness(notifier, slack, tasks, monkeypatch, alert):
    monkeypatch.setattr(slack_notifier, "LOCK_WAIT_SECONDS", 0.3)
    report(notifier)
    failed = tasks.fail()
    with closing(psycopg2.connect(notifier.settings.database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT FROM slack_notifications WHERE alert = %s AND task_id = '' FOR UPDATE", [alert])
        result = notifier.send_combined_notification()
        assert "a session holds its rows in slack_notifications" in result["error"]
        assert not result[f"{alert}_notification_sent"]
        # A worker's call leaves it to a later one.
        assert notifier.send_failed_tasks_notification()
    report(notifier)
    assert [title(message) for message in slack.messages()] == [FAILED]
    assert told(slack) == [[failed]]


def test_an_empty_id_is_counted_and_blocks_no_other(notifier, slack, tasks):
    """It would be that of the destination's own rows in the ledger."""
    stuck = tasks.add("queued", created=50)
    tasks.fail(id="")
    result = notifier.send_combined_notification()
    assert (result["failed_tasks_count"], result["stuck_tasks_count"], result["error"]) == (1, 1, None)
    assert told(slack, STUCK) == [[stuck]]
    tasks.execute("UPDATE tasks SET status = 'queued', updated_at = now() - interval '40 minutes' WHERE id = ''")
    assert notifier.send_combined_notification()["stuck_tasks_count"] == 1
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
    late = tasks.fail()
    report(notifier)
    assert notifier.send_combined_notification() == {**result, "failed_tasks_count": 0, "stuck_tasks_count": 0}
    assert told(slack)[-1] == [late]


def test_an_id_that_cannot_be_told_blocks_no_other(notifier, slack, tasks, caplog):
    tasks.execute("ALTER TABLE tasks DROP CONSTRAINT tasks_pkey")
    letters = json.dumps([str(number) for number in range(2000)])
    tasks.fail(id=letters)
    tasks.add("queued", id=letters, created=50)
    for error in "ab":
        tasks.fail(id="twice", error=error)
    once = tasks.fail()
    report(notifier, 2)
    assert value(tasks.connection, f"SELECT count(*) FROM ({TOLD}) AS told") == 3
    assert re.findall("`(twice|" + once + ")`", slack.messages()[0]["text"])
    assert len(slack.messages()) == 2


# ---- What the database can do to us, said right ----------------------------------------------------------------------


OBSERVE_SETTINGS = """
CREATE TABLE observed (name text, value text);
CREATE FUNCTION observe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO observed
    SELECT name, current_setting(name) FROM pg_settings WHERE name IN ('jit', 'transaction_timeout');
    RETURN NULL;
END $$;
CREATE TRIGGER observe AFTER INSERT ON slack_notifications FOR EACH STATEMENT EXECUTE FUNCTION observe();
"""


def test_a_claim_compiles_no_plan_and_is_not_ended_half_way_whatever_the_role_has_set(notifier, slack, tasks, role):
    tasks.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role.name}")
    report(notifier)
    tasks.execute(f"GRANT ALL ON slack_notifications TO {role.name}; {OBSERVE_SETTINGS}")
    tasks.execute(f"GRANT ALL ON observed TO {role.name}; ALTER ROLE {role.name} SET jit = on")
    if value(tasks.connection, "SELECT current_setting('server_version_num')::int >= 170000"):
        tasks.execute(f"ALTER ROLE {role.name} SET transaction_timeout = '1min'")
    tasks.fail()
    assert SlackNotifier(settings=notifier.settings._replace(database_url=role.url)).send_failed_tasks_notification()
    observed = value(tasks.connection, "SELECT array_agg(DISTINCT name || '=' || value) FROM observed")
    assert sorted(observed) in (["jit=off"], ["jit=off", "transaction_timeout=0"])


def test_policies_that_may_hide_tasks_are_a_warning_in_each_run(settings, tasks, role, caplog, slack):
    tasks.execute(
        f"ALTER TABLE tasks ENABLE ROW LEVEL SECURITY; GRANT SELECT ON tasks TO {role.name};"
        f"GRANT CREATE ON SCHEMA public TO {role.name}"
    )
    tasks.fail()
    for _ in range(2):
        caplog.clear()
        assert SlackNotifier(settings=settings._replace(database_url=role.url)).send_failed_tasks_notification()
        assert "Row-level security may hide tasks" in caplog.text
        assert role.name in caplog.text


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ("DROP CONSTRAINT slack_notifications_pkey", "ON CONFLICT"),
        ("ALTER event_at TYPE text", "operator does not exist: text"),
        ("DROP COLUMN notified_at", "notified_at"),
    ],
)
def test_a_ledger_that_is_not_as_it_was_made_is_said(notifier, tasks, caplog, damage, error):
    report(notifier)
    tasks.execute(f"ALTER TABLE slack_notifications {damage}")
    tasks.fail()
    assert error in notifier.send_combined_notification()["error"]
    tasks.execute("DROP TABLE slack_notifications")
    caplog.clear()
    report(notifier)
    assert "Cannot remember" not in caplog.text


@pytest.mark.slow
def test_what_ended_in_a_long_gap_is_looked_up_in_parts(notifier, slack, tasks, monkeypatch):
    monkeypatch.setattr(slack_notifier, "CLAIM_TASKS", 10)
    healed = tasks.fail(updated=20)
    stuck = tasks.add("queued", created=100)
    report(notifier)
    tasks.execute("UPDATE slack_notifications SET event_at = event_at - interval '1 day' WHERE task_id = ''")
    for number in range(25):
        tasks.add("finished", created=1400, updated=1400 - number)
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id IN (%s, %s)", [healed, stuck])
    slack.clear()
    report(notifier, 4)
    assert [(title(message), healed in message["text"], stuck in message["text"]) for message in slack.messages()] == [
        (HEALED, True, False),
        (RECOVERED, False, True),
    ]


@pytest.mark.slow
def test_a_channel_that_was_told_of_nothing_does_not_look_for_what_has_mended(notifier, slack, tasks):
    assert notifier.send_failed_tasks_notification()
    tasks.execute("UPDATE slack_notifications SET event_at = event_at - interval '200 days' WHERE task_id = ''")
    tasks.execute("CREATE INDEX ON tasks (status, updated_at)")
    tasks.execute(
        """
        INSERT INTO tasks (id, user_api_key, status, created_at, updated_at)
        SELECT i::text, 'key', 'finished', now() - i * interval '1 hour', now() - i * interval '1 hour'
        FROM generate_series(1, 4000) AS i
        """
    )
    read = "SELECT sum(idx_tup_fetch) + sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'tasks'"
    before = value(tasks.connection, read)
    assert notifier.send_stuck_tasks_notification()
    wait_until_alone(tasks.connection)
    assert value(tasks.connection, read) - before < 50


@pytest.mark.parametrize(("alerts", "late"), [(["HEALED", "STUCK", "RECOVERED"], "STUCK"), (["RECOVERED"], None)])
def test_an_alert_for_which_no_time_is_left_is_an_error_and_a_recovery_waits(settings, alerts, late):
    run, outcome = slack_notifier.Run(settings, 90, None, 30), slack_notifier.Outcome()
    ledger = SimpleNamespace(alert=None)
    (destination,) = settings.destinations("stuck")
    left = [getattr(slack_notifier, name) for name in alerts]
    assert not run._report_first(ledger, destination, left, slack_notifier.Deadline.after(0), outcome)
    assert ledger.alert is (late and getattr(slack_notifier, late))
    assert ("No time left to notify SLACK_WEBHOOK" in (outcome.error or "")) is bool(late)


@pytest.mark.slow(9)
def test_a_claim_that_is_too_slow_each_time_tells_a_part_each_time(notifier, slack, tasks, monkeypatch, caplog):
    slow = f"SELECT CASE WHEN %(part)s > 2 THEN pg_sleep(60) END; {slack_notifier.FAILED.claim}"
    monkeypatch.setattr(slack_notifier, "FAILED", slack_notifier.FAILED._replace(claim=slow))
    for name, limit in [("CLAIM_FEW_TASKS", 2), ("POST_SECONDS", 1), ("CALL_SECONDS", 5)]:
        monkeypatch.setattr(slack_notifier, name, limit)
    failed = [tasks.fail(updated=20 - number) for number in range(5)]
    done = False
    for _ in range(12):
        elapse(tasks.connection, 1)
        caplog.clear()
        if not notifier.send_failed_tasks_notification():
            # A busy machine may leave a call no time for the post: the next one makes up for it.
            assert "No time left to notify" in caplog.text
        elif done:
            break
        done = failed[4:] in told(slack)
    assert done
    assert told(slack) == [sorted(failed[:2]), sorted(failed[2:4]), failed[4:]]
