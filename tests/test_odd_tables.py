"""Tables that cannot be read as they are meant: each run of the command line says so, and so does --check."""

from __future__ import annotations

import json
import re
import secrets
from datetime import timedelta

import pytest
from support import FAILED, STUCK, title

import slack_notifier
from sandbox.postgres import create_tasks_table, url_of
from slack_notifier import Settings, SlackNotifier

INDEX = "CREATE INDEX ON tasks (status, updated_at)"
ENUM = (
    "ALTER TABLE tasks ALTER status DROP DEFAULT; CREATE TYPE state AS ENUM ({});"
    "ALTER TABLE tasks ALTER status TYPE state USING status::state"
)
# A table with a change in each hour of the day before the newest, which was so many minutes ago.
BUSY = """
INSERT INTO tasks (id, user_api_key, status, created_at, updated_at)
SELECT 'task-' || i, 'user', CASE mod(i, 3) WHEN 0 THEN 'failed' ELSE 'finished' END,
       now() - interval '3 days', now() - %s * interval '1 minute' - i * interval '50 minutes'
FROM generate_series(0, 40) AS i WHERE mod(i, %s) = 0
"""


@pytest.fixture(params=["SELECT", INDEX], ids=["no index", "index"])
def indexed(request, tasks):
    tasks.execute(request.param)


@pytest.fixture
def warnings(notifier, caplog):
    """What a run, which goes well all the same, warns of."""

    def warnings(notifier=notifier):
        caplog.clear()
        assert notifier.send_combined_notification()["error"] is None
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    return warnings


@pytest.fixture
def said(cli, warnings):
    """What a run warns of and --check doubts, with the same remedies."""

    def said():
        warned = warnings()
        done = cli("--check")
        assert (done.code, done.log) == (0, "")
        lines = re.sub(r"\n +", " ", done.out).splitlines()
        # Without the index, and the stand-in, which is no Slack.
        doubts = [line for line in lines if not re.match("✓|! No index on tasks|.*nothing more was tried", line)]
        assert [line.replace(" → ", ": ") for line in doubts] == [f"! {line}" for line in warned]
        return warned

    return said


# ---- Statuses --------------------------------------------------------------------------------------------------------

SPELLED = "Statuses in another spelling, such tasks are NOT reported: "
UNKNOWN = "Unknown statuses, such tasks are neither stuck nor failed nor recovered: "
SEE = (
    "known are queued, in_progress, inprogress, failed, finished, completed, done, success, succeeded, cancelled, "
    "canceled, dead_letter"
)


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    ("statuses", "lines"),
    [
        (["FAILED"], [f"{SPELLED}'FAILED': the worker must write 'failed'"]),
        (
            ["in progress", "Dead-Letter"],
            [f"{SPELLED}'Dead-Letter', 'in progress': the worker must write 'dead_letter', 'in_progress'"],
        ),
        (["InProgress", "In_Progress"], [f"{SPELLED}'InProgress', 'In_Progress': the worker must write 'in_progress'"]),
        (["failed "], [f"{SPELLED}'failed ': the worker must write 'failed'"]),
        (["retrying"], [f"{UNKNOWN}'retrying': {SEE}"]),
        (["Queued", "paused"], [f"{SPELLED}'Queued': the worker must write 'queued'", f"{UNKNOWN}'paused': {SEE}"]),
        ([*"abcdefghi"], [f"{UNKNOWN}'a', 'b', 'c', 'd', 'e' and 4 more: {SEE}"]),
        (["a\nb\u202e" + "x" * 90], [f"{UNKNOWN}'a\\nb\\u202e{'x' * 36}...': {SEE}"]),
        ([""], [f"{UNKNOWN}'': {SEE}"]),
    ],
)
def test_statuses_that_are_not_ours_are_named(tasks, said, statuses, lines):
    # In whose order they are found.
    tasks.execute('ALTER TABLE tasks ALTER status TYPE varchar COLLATE "C"')
    for status in [*statuses, "queued", "finished"]:
        tasks.add(status, created=3)
    assert said() == lines


@pytest.mark.usefixtures("indexed")
def test_statuses_of_ours_are_no_doubt(tasks, said):
    for status in SEE.removeprefix("known are ").split(", "):
        tasks.add(status, created=3)
    assert said() == []
    tasks.clear()
    assert said() == []


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    ("labels", "missing"),
    [
        ("'queued', 'inprogress', 'failed', 'done'", []),
        ("'queued', 'in_progress', 'error'", [("failed", "failed")]),
        ("'new', 'failed'", [("queued or in_progress or inprogress", "queued")]),
        ("'new', 'error'", [("failed", "failed"), ("queued or in_progress or inprogress", "queued")]),
    ],
)
def test_an_enum_without_our_words_is_said(tasks, said, labels, missing):
    tasks.execute(ENUM.format(labels))
    what = (
        "The enum of status has no {}: such tasks are NOT reported: ALTER TYPE … RENAME VALUE … TO '{}', or ADD VALUE"
    )
    assert said() == [what.format(*words) for words in missing]


@pytest.mark.usefixtures("indexed")
def test_words_of_an_enum_are_known_where_they_are_in_use(tasks, warnings):
    tasks.execute(ENUM.format("'queued', 'FAILED', 'failed', 'paused'"))
    assert warnings() == []
    tasks.add("FAILED", created=3)
    tasks.add("paused", created=3)
    assert warnings() == [f"{SPELLED}'FAILED': the worker must write 'failed'", f"{UNKNOWN}'paused': {SEE}"]


# ---- Times -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    ("status", "is_said"), [("failed", True), ("queued", True), ("inprogress", True), ("finished", False)]
)
def test_no_updated_at_is_said_of_failed_and_open_tasks(tasks, warnings, said, status, is_said):
    tasks.execute("ALTER TABLE tasks ALTER updated_at DROP NOT NULL")
    tasks.add("finished", created=3)
    assert warnings() == []
    tasks.add(status, created=3)
    tasks.execute("UPDATE tasks SET updated_at = NULL WHERE status = %s", [status])
    what = "updated_at is NULL in failed or open tasks: created_at counts for them"
    assert said() == [f"{what}: let the worker set updated_at with each change"] * is_said


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("timestamps", ["timestamp", "timestamptz"])
@pytest.mark.parametrize(
    ("minutes", "every", "line"),
    [
        (-50, 1, None),
        (-119, 1, "2 hours in the future"),
        (-340, 1, "6 hours in the future"),
        (-62, 41, "1 hour in the future"),
        (50, 1, None),
        (300, 1, "5 hours old, and before it there was one in each hour"),
        (24 * 60, 1, "24 hours old, and before it there was one in each hour"),
        # Quiet hours of the queue: nobody knows whether it is the clock.
        (300, 2, None),
    ],
)
def test_a_worker_that_does_not_write_utc_is_said(tasks, said, timestamps, minutes, every, line):
    tasks.execute(f"ALTER TABLE tasks ALTER updated_at TYPE {timestamps}")
    tasks.execute(BUSY, [minutes, every])
    remedy = "does the worker write UTC?" + ("" if minutes < 0 else " or has it stopped?")
    assert said() == ([f"The newest change in tasks is {line}: {remedy}"] if line else [])


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("moment", ["infinity", "-infinity", "294276-12-31", "4713-01-01 BC"])
def test_a_date_beyond_all_calendars_costs_no_alert(tasks, warnings, slack, moment):
    tasks.add("finished", updated=moment)
    # Nothing but that, at first.
    assert [line for line in warnings() if "in the future" not in line] == []
    failed = tasks.fail()
    tasks.add("queued", created=90)
    said = [line for line in warnings() if not re.match(r"The newest change in tasks is \d+ hours in the future", line)]
    assert said == []
    assert [title(message) for message in slack.messages()] == [FAILED, STUCK]
    assert failed in slack.messages()[0]["text"]


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ("ALTER started_at TYPE date", "started_at"),
        ("ALTER created_at TYPE text, ALTER updated_at TYPE text", "created_at, updated_at"),
        ("ALTER updated_at TYPE bigint USING 0", "updated_at"),
    ],
)
def test_times_of_a_type_that_is_none_are_said(tasks, cli, notifier, caplog, change, columns):
    tasks.execute(f"ALTER TABLE tasks {change}")
    notifier.send_combined_notification()
    what, remedy = f"No timestamps are in {columns} of tasks", "make these columns timestamptz"
    assert f"{what}: {remedy}" in [record.getMessage() for record in caplog.records]
    assert f"! {what}\n  → {remedy}\n" in cli("--check").out


def test_domains_of_timestamps_are_times(tasks, said):
    tasks.execute("CREATE DOMAIN moment AS timestamp; CREATE DOMAIN happened AS moment")
    tasks.execute("ALTER TABLE tasks ALTER updated_at TYPE happened, ALTER created_at TYPE moment")
    tasks.fail()
    assert said() == []


@pytest.mark.parametrize("call", ["send_failed_tasks_notification", "send_stuck_tasks_notification"])
def test_a_workers_call_looks_for_nothing_odd(tasks, notifier, caplog, call):
    tasks.add("FAILED", created=3)
    assert getattr(notifier, call)()
    assert notifier.get_failed_tasks_last_30min() == []
    assert "WARNING" not in [record.levelname for record in caplog.records]


def test_a_look_that_fails_costs_no_alert(tasks, warnings, slack):
    # A type without an order.
    tasks.execute(
        "ALTER TABLE tasks ALTER status DROP DEFAULT, ALTER status TYPE point USING '(0,0)';"
        "CREATE FUNCTION word(point) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'failed' $$;"
        "CREATE CAST (point AS text) WITH FUNCTION word(point)"
    )
    tasks.add("(0,0)", updated=5)
    why = r"Cannot find what is odd in tasks: the run goes on without it \(could not identify"
    assert re.match(why, warnings()[0])
    assert [title(message) for message in slack.messages()] == [FAILED]


@pytest.mark.slow
def test_a_look_that_takes_too_long_costs_no_alert(tasks, warnings, slack, monkeypatch):
    monkeypatch.setattr(slack_notifier, "DETAILS_SECONDS", 0.2)
    tasks.execute(
        "CREATE INDEX ON tasks (status, updated_at);"
        "CREATE FUNCTION slow(varchar, varchar) RETURNS boolean LANGUAGE sql AS $$ SELECT true FROM pg_sleep(60) $$;"
        "CREATE OPERATOR > (FUNCTION = slow, LEFTARG = varchar, RIGHTARG = varchar);"
        f'ALTER DATABASE "{tasks.connection.info.dbname}" SET search_path = public, pg_catalog'
    )
    tasks.fail()
    assert any(re.match("Cannot find what is odd in tasks.*canceling statement", line) for line in warnings())
    assert [title(message) for message in slack.messages()] == [FAILED]


@pytest.mark.slow
def test_a_stock_server_is_looked_at_as_well_and_types_of_extensions_too(stock, warnings):
    tasks, notifier = stock
    tasks.execute("CREATE EXTENSION IF NOT EXISTS citext; ALTER TABLE tasks ALTER status TYPE citext")
    tasks.execute(INDEX)
    tasks.execute(BUSY, [-180, 1])
    tasks.add("In Progress", updated=3)
    tasks.add("paused", updated=3)
    assert warnings(notifier) == [
        f"{SPELLED}'In Progress': the worker must write 'in_progress'",
        f"{UNKNOWN}'paused': {SEE}",
        "The newest change in tasks is 3 hours in the future: does the worker write UTC?",
    ]


# ---- A great many tasks ----------------------------------------------------------------------------------------------

MANY = """
INSERT INTO tasks (id, user_api_key, status, created_at, updated_at)
SELECT 'task-' || i, 'user', %s, now() - interval '9 hours', now() - %s * interval '1 minute' - i * interval '1 ms'
FROM generate_series(1, %s) AS i
"""


@pytest.mark.parametrize(
    ("status", "minutes", "call", "first"),
    [("failed", 3, "get_failed_tasks_last_30min", 1), ("queued", 60, "get_stuck_tasks", 2_001)],
)
def test_a_program_gets_two_thousand_tasks_and_is_warned_of_more(tasks, notifier, caplog, status, minutes, call, first):
    tasks.execute(MANY, [status, minutes, 2_000])
    assert len(getattr(notifier, call)()) == 2_000
    assert "WARNING" not in [record.levelname for record in caplog.records]
    tasks.clear()
    tasks.execute(MANY, [status, minutes, 2_001])
    found = getattr(notifier, call)()
    # Failed tasks newest first, stuck ones oldest first.
    assert [task["id"] for task in found[:2]] == [f"task-{first}", f"task-{first + (1 if first == 1 else -1)}"]
    assert len({task["id"] for task in found}) == len(found) == 2_000
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage() == "More than 2000 tasks, only the first of them are returned"


@pytest.mark.parametrize("statement", ["FAILED_TASKS", "STUCK_TASKS"])
def test_nothing_long_is_sorted_before_the_tasks_are_chosen(tasks, statement):
    tasks.execute(INDEX)
    with tasks.connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (VERBOSE) {getattr(slack_notifier, statement)}",
            {"window": timedelta(minutes=30), "queued": 30, "in_progress": 30},
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    # The part of the plan, by its indent, that finds which tasks are the first.
    (first,) = re.findall(r"(?m)^( *)InitPlan.*\n((?:\1 +.*\n)+)", plan)
    assert "Limit" in first[1]
    assert "error" not in first[1]
    assert "error" in plan


@pytest.mark.parametrize("user", ["key-of-a-user-1", "schlüssel-eins"])
def test_a_database_of_any_bytes_costs_no_alert(server_url, make_tasks, slack, tmp_path, user):
    """As initdb makes it without a locale: what is no UTF-8, or is cut inside a character, is shown as far as it is."""
    name = f"raw_{secrets.token_hex(8)}"
    make_tasks(server_url).execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    url = url_of(server_url, database=name)
    create_tasks_table(url)
    tasks = make_tasks(f"{url}?client_encoding=UTF8")
    ids = [tasks.fail(user_api_key=user), tasks.fail(id="tâche", user_api_key=user), tasks.add("queued", created=90)]
    tasks.execute("UPDATE tasks SET error = E'no codec for \\xff: ' || repeat('ä', 15000) WHERE status = 'failed'")
    path = tmp_path / "users.json"
    path.write_text(json.dumps({user: slack.webhook("mine")}), encoding="utf-8")
    environment = {"DATABASE_URL": url, "SLACK_WEBHOOK": slack.webhook(), "SLACK_USER_WEBHOOKS_FILE": str(path)}
    notifier = SlackNotifier(settings=Settings.from_environment(environment))
    assert notifier.send_combined_notification()["error"] is None
    for channel in ("alerts", "mine"):
        text = slack.messages(channel)[0]["text"]
        assert all(words in text for words in (ids[0], "tâche", "no codec for �: ä"))
    assert [title(message) for message in slack.messages()] == [FAILED, STUCK]
    assert len(notifier.get_failed_tasks_last_30min()) == 2
    assert [slack_notifier.mute(notifier.run(10), words, 1) for words in ("no codec for ", "Für Ä")] == [0, 0]
    tasks.fail(error="es reicht nicht Für Ä")
    assert notifier.send_combined_notification()["error"] is None
    assert len(slack.messages()) == 2
    assert [slack_notifier.explain(notifier.run(10), task_id) for task_id in ("tâche", "tache")] == [0, 1]
