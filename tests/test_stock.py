"""On a stock PostgreSQL, which compiles a plan that looks expensive (jit): none of ours, however it looks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest
from support import RECOVERED, STUCK, told, value

from sandbox.postgres import Server
from slack_notifier import SlackNotifier

pytestmark = pytest.mark.slow

TASKS = 5_000
FILL = f"""
INSERT INTO tasks (id, user_api_key, status, created_at, updated_at, started_at)
SELECT gen_random_uuid(), 'user-' || mod(i, 200), CASE WHEN mod(i, 20) = 0 THEN 'failed' ELSE 'finished' END,
       now() - interval '2 days', now() - interval '1 day', now() - interval '2 days'
FROM generate_series(1, {TASKS}) AS i
"""
INDEX = ";CREATE INDEX ON tasks (status, updated_at)"

# Without the index the table must be read whole, which looks expensive by PostgreSQL's default. With it, any plan does
# where little cost is enough to compile. (At 0, the statement that switches jit off would be compiled itself.)
SCENES = {"no index": ("", 100_000), "every plan looks expensive": (INDEX, 1)}

# The server's log has each plan of the database, and how it was compiled.
LOG_PLANS = """
ALTER DATABASE "{name}" SET session_preload_libraries = 'auto_explain';
ALTER DATABASE "{name}" SET auto_explain.log_min_duration = 0;
ALTER DATABASE "{name}" SET auto_explain.log_nested_statements = on;
ALTER DATABASE "{name}" SET jit_above_cost = {cost};
ALTER DATABASE "{name}" SET TimeZone = 'UTC'
"""


class Watched(NamedTuple):
    """Tasks on the stock server, whoever tells them, and what the server wrote into its log."""

    tasks: Any
    notifier: SlackNotifier
    log: Path

    def compiled_by(self, run: Callable[[], object]) -> list[str]:
        """The plans that were made meanwhile and compiled."""
        before = self.log.stat().st_size
        run()
        plans = self.log.read_bytes()[before:].decode().split("  plan:\n")[1:]
        assert plans, "the log has no plans"
        return [plan for plan in plans if "\tJIT:\n" in plan]

    def run(self) -> None:
        assert self.notifier.send_combined_notification()["error"] is None


@pytest.fixture
def by_default(stock: Any, stock_server: Server) -> Watched:
    return Watched(*stock, stock_server.folder / "log")


@pytest.fixture(params=SCENES.values(), ids=SCENES)
def watched(request: pytest.FixtureRequest, by_default: Watched) -> Watched:
    """Analysed tasks of the past, none of them worth an alert."""
    if not value(by_default.tasks.connection, "SELECT pg_jit_available()"):
        pytest.skip("the stock PostgreSQL is installed without jit")
    index, cost = request.param
    by_default.tasks.execute(FILL + index)
    by_default.tasks.execute("VACUUM ANALYZE")
    by_default.tasks.execute(LOG_PLANS.format(name=by_default.tasks.connection.info.dbname, cost=cost))
    return by_default


def test_no_run_compiles_a_plan_whether_it_has_something_to_tell_or_not(watched, slack):
    watched.run()
    assert watched.compiled_by(watched.run) == []
    assert slack.messages() == []
    failed, stuck = watched.tasks.fail(), watched.tasks.add("queued", created=40)
    assert watched.compiled_by(watched.run) == []
    watched.tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id = %s", [stuck])
    assert watched.compiled_by(watched.run) == []
    assert (told(slack), told(slack, STUCK), told(slack, RECOVERED)) == ([[failed]], [[stuck]], [[stuck]])


def test_a_compiled_plan_is_seen(watched, make_tasks):
    """That the tests above can fail."""
    other = make_tasks(watched.notifier.settings.database_url)
    other.execute("SET enable_seqscan = off")
    assert watched.compiled_by(lambda: other.execute("SELECT max(error) FROM tasks"))


def test_calls_that_meet_another_run_write_nothing_into_the_servers_log(by_default, slack):
    by_default.run()
    failed = by_default.tasks.fail()
    before = by_default.log.stat().st_size
    with slack.hold() as held, ThreadPoolExecutor(1) as pool:
        first = pool.submit(by_default.notifier.send_failed_tasks_notification)
        held.wait_received()
        assert all(by_default.notifier.send_failed_tasks_notification() for _ in range(5))
        held.go()
        assert first.result()
    assert told(slack) == [[failed]]
    assert by_default.log.read_bytes()[before:] == b""


OLD_ROWS = """
INSERT INTO tasks (id, user_api_key, status, created_at, updated_at)
SELECT 'task-' || i, 'user', 'queued', now() - interval '40 days', now() FROM generate_series(1, 100000) AS i;
INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at, cause)
SELECT destination, 'stuck', 'gone-' || i, now() - interval '30 days', now() - interval '30 days', 'queued'
FROM (SELECT destination FROM slack_notifications LIMIT 1) AS one, generate_series(1, 20000) AS i;
"""


def test_old_rows_are_cleared_away_beside_a_long_queue_of_which_the_server_knows_nothing(by_default, slack, caplog):
    by_default.run()
    by_default.tasks.execute("ALTER TABLE slack_notifications SET (autovacuum_enabled = false)")
    by_default.tasks.execute(OLD_ROWS)
    by_default.tasks.execute("VACUUM ANALYZE tasks")
    stuck = by_default.tasks.add("in_progress", created=60, started=50)
    by_default.run()
    assert told(slack, STUCK) == [[stuck]]
    assert "old rows to delete" not in caplog.text
    left = "SELECT count(*) FROM slack_notifications WHERE task_id LIKE 'gone-%'"
    assert value(by_default.tasks.connection, left) == 10_000


def test_an_error_of_a_collation_that_no_expression_can_search_is_reported_with_its_cause(by_default, slack):
    by_default.tasks.execute(
        "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "ALTER TABLE tasks ALTER error TYPE varchar COLLATE caseless"
    )
    for number in range(6):
        by_default.tasks.fail(error=f"HTTP 500 for https://a.example/{number}")
    by_default.run()
    assert "6 × HTTP 500 for …" in slack.messages()[0]["text"]
