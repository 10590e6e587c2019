"""A run that has nothing to tell reads next to nothing, however much was told before and however long ago."""

from __future__ import annotations

from typing import Any

import pytest
from clock import standing_clock
from support import value, wait_until_alone

from slack_notifier import SlackNotifier

TOLD = 20_000
# A few rows of its own, and those that every run looks at once.
FEW = 50

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


def read_by_a_run(tasks: Any, notifier: SlackNotifier) -> dict[str, int]:
    """How many rows a run read of each table."""
    wait_until_alone(tasks.connection)
    before = {table: value(tasks.connection, READ, {"table": table}) for table in ("tasks", "slack_notifications")}
    assert notifier.send_combined_notification()["error"] is None
    wait_until_alone(tasks.connection)
    return {table: int(value(tasks.connection, READ, {"table": table}) - count) for table, count in before.items()}


@pytest.mark.slow
@pytest.mark.usefixtures("unhurried")
def test_an_idle_run_reads_nothing_of_what_was_told(
    tasks: Any, notifier: SlackNotifier, settings: Any, figures: Any
) -> None:
    with standing_clock(tasks.connection) as clock:
        tasks.execute(FILL, {"now": clock.now.replace(tzinfo=None)})
        assert notifier.send_combined_notification()["failed_tasks_count"] == TOLD
        tasks.execute("VACUUM ANALYZE")
        for when, minutes in [("an_hour_later", 60), ("days_later", 3 * 24 * 60)]:
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
