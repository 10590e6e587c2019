"""No statement reads the whole tasks table: with the recommended index, every plan keeps to indexes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from typing import Any

import psycopg2
import pytest

import slack_notifier
from benchmarks.tables import CLAIM_PARAMETERS
from sandbox.postgres import create_database, create_tasks_table, drop_database, execute

# What the README recommends.
INDEX = "CREATE INDEX ON tasks (status, updated_at)"
TASKS = 60_000
LEDGER = 30_000

# Its tables take seconds to fill.
pytestmark = pytest.mark.slow(10)

STATEMENTS = {
    name: statement
    for name, statement in vars(slack_notifier).items()
    if isinstance(statement, str)
    and re.search(r"\b(?:FROM|JOIN)\s+tasks\b", statement)
    # Parts of statements.
    and not re.search("^_|_NEWS$", name.replace("USERS_WITH_NEWS", "USERS"))
}
STATEMENTS |= {f"look for {alert.name}": alert.look for alert in slack_notifier.ALERTS}
STATEMENTS |= {f"claim {alert.name}": alert.claim for alert in slack_notifier.ALERTS}

# A year of tasks, one in 20 failed, and a few hundred that are not over yet.
FILL_TASKS = f"""
INSERT INTO tasks (id, user_api_key, status, error, created_at, updated_at, started_at)
SELECT gen_random_uuid(), 'user-' || mod(i, 200), status,
       CASE status WHEN 'failed' THEN 'ffmpeg exited with code 137 in /tmp/' || i END,
       now() - age - interval '20 minutes', now() - age, CASE WHEN status <> 'queued' THEN now() - age END
FROM (
    SELECT i, CASE WHEN i <= 200 THEN 'queued' WHEN i <= 300 THEN 'inprogress'
                   WHEN mod(i, 20) = 0 THEN 'failed' ELSE 'finished' END AS status,
           i * interval '365 days' / {TASKS} AS age
    FROM generate_series(1, {TASKS}) AS i
) AS series
"""

# Half of what a destination was told in the past, and half of another destination.
FILL_LEDGER = f"""
INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at)
SELECT CASE mod(n, 2) WHEN 0 THEN 'here' ELSE 'elsewhere' END,
       CASE WHEN status = 'failed' THEN 'failed' WHEN mod(n, 3) = 0 THEN 'recovered' ELSE 'stuck' END,
       id, updated_at, updated_at
FROM (SELECT *, row_number() OVER (ORDER BY updated_at DESC) AS n FROM tasks) AS told
LIMIT {LEDGER}
"""

# What the statements ask for, of a run that tells the destination "here" of failed tasks.
PARAMETERS: dict[str, object] = {
    **CLAIM_PARAMETERS,
    "destination": "here",
    "destinations": ["here"],
    "never_started": 1,
    "words": "code 137",
    "hours": 2,
    "task_id": "a task",
    "statuses": ["failed"],
    "newest": datetime.now(timezone.utc),
    "hashes": ["1"],
    "part": 200_000,
    "alerts": [alert.name for alert in slack_notifier.ALERTS],
    "cleaned": ["cause", *(alert.name for alert in slack_notifier.ALERTS)],
    "columns": slack_notifier.COLUMNS_READ,
    "reported_as": "failed",
}
LIMITS = dict.fromkeys(["statement_milliseconds", "lock_milliseconds", "hold_milliseconds"], 60_000)
ALERTS = {alert.name: {"alert": alert.name, "reported_as": alert.reported_as} for alert in slack_notifier.ALERTS}


@pytest.fixture(scope="module", params=["server_url", "stock_server"])
def tasks_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A large table, and an empty ledger, on the server of the other tests and on one of another version and build."""
    server = request.getfixturevalue(request.param)
    url = create_database(getattr(server, "url", server))
    create_tasks_table(url)
    execute(url, f"SET TIME ZONE 'UTC';{FILL_TASKS};{INDEX};{slack_notifier.CREATE_LEDGER}")
    yield url
    drop_database(url)


@pytest.fixture(scope="module", params=["", FILL_LEDGER], ids=["empty ledger", "large ledger"])
def tables(request: pytest.FixtureRequest, tasks_url: str) -> Iterator[psycopg2.extensions.connection]:
    """Both with statistics."""
    execute(tasks_url, f"TRUNCATE slack_notifications;{request.param}")
    execute(tasks_url, "VACUUM ANALYZE")
    with closing(psycopg2.connect(tasks_url)) as connection:
        yield connection


def plan(connection: Any, statement: str, parameters: dict[str, object]) -> dict[str, Any]:
    """Of the last of the statements; the others run, and are undone."""
    *before, last = statement.strip().rstrip(";").split(";\n")
    try:
        with connection.cursor() as cursor:
            cursor.execute(slack_notifier.BEGIN, LIMITS)
            for other in before:
                cursor.execute(other, parameters)
            cursor.execute(f"EXPLAIN (FORMAT JSON) {last}", parameters)
            ((found,),) = cursor.fetchall()
    finally:
        connection.rollback()
    return dict(found[0]["Plan"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def scanned_whole(plan: dict[str, Any]) -> list[str]:
    return [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]


def test_the_statements_that_read_tasks_are_found():
    assert {"FAILED_TASKS", "STUCK_TASKS", "LAST_ACTIVITY", "CLEAN_UP"} <= set(STATEMENTS)
    assert {"ACTIVE_USERS", "USERS_WITH_NEWS", "look for failed", "claim recovered"} <= set(STATEMENTS)


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_all_tasks(tables, name):
    asks = re.search(r"%\((user|alert|reported_as)\)s", STATEMENTS[name])
    for user, alert in itertools.product(["", "user-7"], ALERTS.values()) if asks else [("", {})]:
        parameters = {**PARAMETERS, **alert, "user": user}
        assert "tasks" not in scanned_whole(plan(tables, STATEMENTS[name], parameters)), (user, alert)


def test_without_the_index_a_statement_reads_all_tasks(tables):
    """That the test above can fail."""
    without = f"DROP INDEX tasks_status_updated_at_idx;\n{slack_notifier.FAILED_TASKS}"
    assert "tasks" in scanned_whole(plan(tables, without, PARAMETERS))
