"""What a run reads: next to nothing where it has nothing to tell, however much was told; else each row a few times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from clock import Clock, standing_clock
from support import value, wait_until, wait_until_alone

from slack_notifier import SlackNotifier

TOLD = 5_000
# A few rows of its own, with their earlier versions that other sessions have kept from being cleared away.
FEW = 200

# The failures of the last half hour among what ended well before; with the index that the README recommends.
FILL = f"""
INSERT INTO tasks (id, user_api_key, status, error, created_at, updated_at, started_at)
SELECT gen_random_uuid(), 'user-' || mod(i, 200), status,
       CASE status WHEN 'failed' THEN 'ffmpeg exited with code 137 in /tmp/' || i END,
       %(now)s - interval '10 days', %(now)s - CASE status
           WHEN 'failed' THEN i * interval '25 minutes' / {TOLD}
           ELSE interval '31 minutes' + i * interval '2 seconds' END,
       %(now)s - interval '10 days'
FROM (SELECT i, CASE WHEN i <= {TOLD} THEN 'failed' ELSE 'finished' END AS status
      FROM generate_series(1, 4 * {TOLD}) AS i) AS series;
CREATE INDEX ON tasks (status, updated_at)
"""

# How many rows and index entries were read so far. (A session's numbers are there once it has ended.)
READ = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = %(table)s)
    + (SELECT sum(greatest(idx_tup_read, idx_tup_fetch)) FROM pg_stat_user_indexes WHERE relname = %(table)s)
"""


def read_by_a_run(tasks: Any, notifier: SlackNotifier, query: str = READ) -> dict[str, int]:
    """How many rows a run read of each table, or what else of it the query counts."""
    wait_until_alone(tasks.connection)
    before = {table: value(tasks.connection, query, {"table": table}) for table in ("tasks", "slack_notifications")}
    assert notifier.send_combined_notification()["error"] is None
    wait_until_alone(tasks.connection)
    return {table: int(value(tasks.connection, query, {"table": table}) - count) for table, count in before.items()}


@pytest.fixture
def clock(tasks: Any, make_tasks: Any, notifier: SlackNotifier, unhurried: None) -> Iterator[Clock]:
    """It stands still; thousands of failures have been reported."""
    with standing_clock(tasks.connection) as clock:
        # In a session that ends: what the index reads is counted before the runs.
        other = make_tasks(notifier.settings.database_url)
        other.execute(FILL, {"now": clock.now.replace(tzinfo=None)})
        other.connection.close()
        assert notifier.send_combined_notification()["failed_tasks_count"] == TOLD
        tasks.execute("VACUUM ANALYZE")
        yield clock


@pytest.mark.slow
def test_an_idle_run_reads_nothing_of_what_was_told(clock, tasks, notifier, settings, figures):
    for when, minutes in [("hours_later", 150), ("days_later", 3 * 24 * 60)]:
        clock.advance(minutes=minutes)
        # The first run after a pause has a span of its own.
        notifier.send_combined_notification()
        clock.advance(minutes=15)
        read = read_by_a_run(tasks, notifier)
        figures(**{f"{table}_{when}": count for table, count in read.items()})
        assert max(read.values()) <= FEW
    # As where nearly all tasks have one status: PostgreSQL thinks that to read all of them would cost less.
    url = f"{settings.database_url}?options=-c%20random_page_cost%3D10000"
    unlike = SlackNotifier(settings=settings._replace(database_url=url))
    assert read_by_a_run(tasks, unlike)["tasks"] <= FEW
    tasks.execute("DROP INDEX tasks_status_updated_at_idx")
    assert read_by_a_run(tasks, notifier)["tasks"] >= TOLD, "it would not be noticed"


@pytest.mark.slow
def test_an_idle_run_reads_little_of_the_ledger_within_two_hours_of_thousands_of_failures(
    clock, tasks, notifier, figures
):
    for _ in range(3):
        clock.advance(minutes=15)
        assert notifier.send_combined_notification()["error"] is None
    # An older transaction that is open meanwhile, in whatever database, keeps the tasks in view.
    read = wait_until(lambda: (count := read_by_a_run(tasks, notifier)["slack_notifications"]) <= FEW and [count])
    figures(ledger_rows=read[0])


def test_an_idle_run_makes_at_most_eleven_round_trips(by_proxy, proxy, figures):
    assert by_proxy.send_combined_notification()["error"] is None
    proxy.run_freely()
    assert by_proxy.send_combined_notification()["error"] is None
    figures(round_trips=len(proxy.statements))
    assert len(proxy.statements) <= 11


MANY = 4_000
# So many pages of the ledger and of its index are looked at for each task that is told, whatever else is told: its rows
# are found by their key. A transaction that is open meanwhile, in whatever database, keeps their earlier versions.
PAGES = 45

WHAT_HAPPENS = {
    "stuck": f"""
        INSERT INTO tasks (id, user_api_key, status, created_at, updated_at)
        SELECT 'task-' || i, 'user', 'queued', now() - interval '2 hours', now() - interval '2 hours'
        FROM generate_series(1, {MANY}) AS i
        """,
    "stuck elsewhere": "UPDATE tasks SET status = 'inprogress', updated_at = now() - interval '1 hour'",
    "recovered": "UPDATE tasks SET status = 'finished', updated_at = now()",
    "failed": "UPDATE tasks SET status = 'failed', error = 'one', updated_at = now()",
    "failed again": "UPDATE tasks SET error = 'another', updated_at = now() + interval '2 minutes'",
    "healed": "UPDATE tasks SET status = 'finished', updated_at = now() + interval '3 minutes'",
}

# How many pages of a table and of its indexes were looked at so far.
PAGES_READ = """
SELECT heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read
FROM pg_statio_user_tables WHERE relname = %(table)s
"""


@pytest.mark.slow
@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("known", ["ANALYZE slack_notifications", "SELECT"], ids=["known to be small", "unknown"])
def test_what_is_told_of_a_task_is_looked_up_however_many_others_there_are(tasks, notifier, slack, known):
    tasks.fail()
    assert notifier.send_combined_notification()["failed_tasks_count"] == 1
    tasks.clear()
    # What PostgreSQL knows of the ledger from now on: nothing, or that its one page is best read whole.
    tasks.execute("ALTER TABLE slack_notifications SET (autovacuum_enabled = false)")
    tasks.execute(known)
    for number, (what, statement) in enumerate(WHAT_HAPPENS.items(), 2):
        tasks.execute(statement)
        pages = read_by_a_run(tasks, notifier, PAGES_READ)["slack_notifications"]
        assert len(slack.messages()) == number, what
        assert pages < PAGES * MANY, what
