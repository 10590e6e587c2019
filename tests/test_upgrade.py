"""From versions 1 and 2 to this one and back, by their own modules from the history: what is reported again, and what
is not."""

from __future__ import annotations

import functools
import importlib.util
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest
from support import FAILED, HEALED, NOW, RECOVERED, STUCK, ids, ledger, report, rows, title, value, wait_for_blocked

import slack_notifier
from slack_notifier import SlackNotifier

ROOT = Path(slack_notifier.__file__).parent
# The last commit of each.
COMMITS = {"version 1": "9723b35^", "version 2": "f728e90"}
TRACEBACK = 'Traceback (most recent call last):\n  File "worker.py", line 7, in render\nRuntimeError: no space left'
OLD_NAMES = "SELECT count(*) FROM slack_notifications WHERE alert LIKE 'stuck:%'"

News = dict[str, list[list[str]]]
Notifier = Any


@pytest.fixture(scope="session")
def module_of(tmp_path_factory) -> Callable[[str], Any]:
    """The module of an older version, from the history."""

    @functools.cache
    def module_of(version: str) -> Any:
        command = ["git", "show", f"{COMMITS[version]}:slack_notifier.py"]
        try:
            shown = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip(f"no history here: {' '.join(command)}")
        assert f'__version__ = "{version[-1]}.' in shown.stdout.decode()
        # Its loggers are below that of this version, whose records are watched for secrets.
        path = tmp_path_factory.mktemp("old") / f"{version.replace(' ', '_')}.py"
        path.write_bytes(shown.stdout)
        spec = importlib.util.spec_from_file_location(f"slack_notifier.{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return module_of


@pytest.fixture
def old_notifier(module_of, notifier) -> Callable[[str], Notifier]:
    """A notifier of an older version, for the same database and channel as this one's."""

    def old_notifier(version: str) -> Notifier:
        module, settings = module_of(version), notifier.settings
        environment = {"DATABASE_URL": settings.database_url, "SLACK_WEBHOOK": notifier.webhook_url}
        return module.SlackNotifier(settings=module.Settings.from_environment(environment))

    return old_notifier


@pytest.fixture(params=COMMITS)
def old(request, old_notifier) -> Notifier:
    return old_notifier(request.param)


@pytest.fixture
def version_1(old_notifier) -> Notifier:
    return old_notifier("version 1")


@pytest.fixture
def version_2(old_notifier) -> Notifier:
    return old_notifier("version 2")


@pytest.fixture
def reported(slack) -> Callable[..., News]:
    """Runs the notifiers one after the other; returns the tasks of all messages since the last call, by title."""

    def reported(*notifiers: Notifier) -> News:
        for notifier in notifiers:
            report(notifier)
        found: News = {}
        for message in slack.messages():
            found.setdefault(title(message), []).append(sorted(ids(message)))
        slack.clear()
        return found

    return reported


@pytest.fixture
def stuck(tasks) -> list[str]:
    """Three tasks, one for each word."""
    words = {"queued": None, "in_progress": 45, "inprogress": 45}
    return [
        tasks.add(word, id=f"{place}-{word}", created=50, started=minutes)
        for place, (word, minutes) in enumerate(words.items())
    ]


@pytest.fixture
def failed(tasks) -> list[str]:
    return sorted(tasks.fail(error=error) for error in ("ffmpeg exited with code 137", TRACEBACK, None))


@pytest.fixture
def known(old, reported, stuck, failed) -> tuple[list[str], list[str]]:
    """The stuck and the failed tasks, which the older version has reported."""
    assert reported(old) == {STUCK: [stuck], FAILED: [failed]}
    return stuck, failed


def ends(tasks: Any, task_ids: list[str], minutes: float = 0) -> None:
    """The tasks finish, now or so many minutes ago."""
    moment = f"{NOW} - {minutes} * interval '1 minute'"
    tasks.execute(f"UPDATE tasks SET status = 'finished', updated_at = {moment} WHERE id = ANY(%s)", [task_ids])


def troubles(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# ---- Forward ---------------------------------------------------------------------------------------------------------


def test_an_older_versions_reports_are_not_repeated(old, notifier, tasks, reported, stuck, failed, pass_time, caplog):
    recovered = tasks.add("queued", created=40)
    assert reported(old) == {STUCK: [sorted([*stuck, recovered])], FAILED: [failed]}
    ends(tasks, [recovered])
    assert reported(old) == {RECOVERED: [[recovered]]}
    for minutes in (0, 15, 60):
        pass_time(minutes)
        assert reported(notifier) == {}
    assert value(tasks.connection, OLD_NAMES) == 0
    assert troubles(caplog) == []


@pytest.mark.parametrize("minutes", [0, 20])
@pytest.mark.parametrize("is_first", [True, False], ids=["in the first run", "in a later run"])
def test_what_recovers_after_the_upgrade_is_named_once(notifier, tasks, reported, known, pass_time, minutes, is_first):
    stuck, failed = known
    pass_time(30)
    if not is_first:
        assert reported(notifier) == {}
    ends(tasks, stuck + failed, minutes)
    assert reported(notifier, notifier) == {RECOVERED: [stuck], HEALED: [failed]}


@pytest.mark.parametrize(
    ("version", "minutes", "is_named"),
    [("version 1", 29, True), ("version 1", 31, False), ("version 2", 31, True), ("version 2", 90, True)],
)
def test_of_a_pause_between_the_versions_only_old_recoveries_after_version_1_are_missed(
    old_notifier, notifier, tasks, reported, stuck, failed, pass_time, version, minutes, is_named
):
    assert reported(old_notifier(version)) == {STUCK: [stuck], FAILED: [failed]}
    pass_time(120)
    ends(tasks, stuck + failed, minutes)
    late = tasks.fail(updated=100)
    recoveries = {RECOVERED: [stuck], HEALED: [failed]} if is_named else {}
    assert reported(notifier, notifier) == {FAILED: [[late]], **recoveries}


@pytest.mark.parametrize(("minutes", "is_due"), [(239, False), (241, True)])
def test_reminders_are_due_as_in_the_older_version(old, notifier, reported, stuck, pass_time, minutes, is_due):
    assert reported(old) == {STUCK: [stuck]}
    pass_time(100)
    assert reported(notifier) == {}
    pass_time(minutes - 100)
    assert reported(notifier) == ({STUCK: [stuck]} if is_due else {})


@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        ("status = 'in_progress'", True),
        (f"updated_at = {NOW} - interval '31 minutes'", True),
        ("status = 'queued'", False),
    ],
    ids=["another status", "a sign of life", "nothing"],
)
def test_a_task_stuck_in_another_status_or_anew_is_news(old, notifier, tasks, reported, pass_time, change, is_news):
    task_id = tasks.add("queued", created=40)
    assert reported(old) == {STUCK: [[task_id]]}
    pass_time(60)
    tasks.execute(f"UPDATE tasks SET {change}")
    assert reported(notifier, notifier) == ({STUCK: [[task_id]]} if is_news else {})


def test_a_stuck_task_that_fails_and_recovers_is_named_in_one_message(old, notifier, tasks, reported, pass_time):
    task_id = tasks.add("queued", created=40)
    assert reported(old) == {STUCK: [[task_id]]}
    tasks.execute(f"UPDATE tasks SET status = 'failed', updated_at = {NOW}")
    # By a worker's call, before any run.
    assert notifier.send_failed_tasks_notification()
    assert reported() == {FAILED: [[task_id]]}
    pass_time(5)
    ends(tasks, [task_id])
    assert reported(notifier, notifier) == {HEALED: [[task_id]]}


# Their fingerprints of this one differ.
SAME_CAUSE = "HTTP 500 for https://a.example in 3 s"


@pytest.mark.parametrize(("minutes", "error", "is_news"), [(0.5, "another", False), (2, SAME_CAUSE, True)])
def test_what_fails_after_the_upgrade_is_news_once(old, notifier, tasks, reported, pass_time, minutes, error, is_news):
    task_id = tasks.fail(updated=0, error=SAME_CAUSE)
    assert reported(old) == {FAILED: [[task_id]]}
    pass_time(minutes)
    tasks.execute(f"UPDATE tasks SET error = %s, updated_at = {NOW}", [error])
    # A cause has another fingerprint than in version 2; version 1 recorded none.
    assert reported(notifier) == ({FAILED: [[task_id]]} if is_news else {})
    if is_news:
        pass_time(minutes)
        tasks.execute(f"UPDATE tasks SET updated_at = {NOW}")
    assert reported(notifier) == {}


def test_causes_are_counted_from_the_upgrade_on_and_marked_a_day_later(version_2, notifier, tasks, slack, pass_time):
    tasks.fail(error="known cause")
    report(version_2)
    pass_time(2 * 24 * 60)
    for error in ("known cause", "first cause"):
        tasks.fail(error=error)
    report(notifier)
    pass_time(24 * 60 + 1)
    for error in ("known cause", "new cause"):
        tasks.fail(error=error)
    report(notifier)
    _, first, second = (message["text"] for message in slack.messages())
    assert ("in 7 days" in first, "🆕" in first) == (False, False)
    # The one that version 2 reported does not count.
    assert "known cause (2× in 7 days)" in second
    assert "new cause 🆕" in second


# ---- Several first runs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prepared", [False, True], ids=["by the runs", "by the owner before"])
@pytest.mark.parametrize("count", [2, 8])
def test_first_runs_at_once_report_the_news_once(notifier, tasks, reported, known, count, prepared):
    stuck, failed = known
    if prepared:
        tasks.execute(slack_notifier.UPGRADE)
    newly_failed, newly_stuck = tasks.fail(), tasks.add("queued", created=60)
    ends(tasks, [stuck[0], failed[0]])
    together = threading.Barrier(count)

    def first_run(_: int) -> Any:
        together.wait()
        return SlackNotifier(settings=notifier.settings).send_combined_notification()["error"]

    with ThreadPoolExecutor(count) as pool:
        assert list(pool.map(first_run, range(count))) == [None] * count
    news = {FAILED: [[newly_failed]], STUCK: [[newly_stuck]], RECOVERED: [[stuck[0]]], HEALED: [[failed[0]]]}
    assert reported() == news
    assert value(tasks.connection, OLD_NAMES) == 0
    assert value(tasks.connection, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    assert reported(notifier) == {}


@pytest.fixture
def overlap(tasks, slack) -> Callable[..., tuple[Any, Any]]:
    """Makes two calls, the second while the first one's post is on its way; returns what they returned."""

    def overlap(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
        with slack.hold() as held, ThreadPoolExecutor(2) as pool:
            one = pool.submit(first)
            held.wait_received()
            other = pool.submit(second)
            wait_for_blocked(tasks.connection, 1)
            held.go()
            return one.result(), other.result()

    return overlap


@pytest.mark.parametrize("version", COMMITS)
def test_a_table_an_older_version_is_just_creating_is_upgraded(
    module_of, notifier, tasks, reported, make_tasks, version
):
    failed = tasks.fail()
    other = make_tasks(notifier.settings.database_url)
    other.execute(f"BEGIN; {module_of(version).CREATE_LEDGER}")
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(notifier.send_combined_notification)
        wait_for_blocked(tasks.connection, 1)
        other.execute("COMMIT")
        assert run.result()["error"] is None
    assert reported() == {FAILED: [[failed]]}


# ---- The table as its administrator left it --------------------------------------------------------------------------


def test_an_owner_needs_no_right_to_create_tables(settings, tasks, role, reported, known, caplog):
    tasks.execute(f"GRANT SELECT ON tasks TO {role.name}; ALTER TABLE slack_notifications OWNER TO {role.name}")
    assert reported(SlackNotifier(settings=settings._replace(database_url=role.url))) == {}
    assert troubles(caplog) == []


@pytest.fixture
def earlier(tasks) -> Any:
    tasks.execute("CREATE SCHEMA earlier")
    yield "earlier"
    tasks.execute("DROP SCHEMA earlier CASCADE")


def test_a_table_in_a_later_schema_is_upgraded_there(settings, tasks, reported, known, earlier, caplog):
    url = f"{settings.database_url}?options=-csearch_path%3D{earlier},public"
    assert reported(SlackNotifier(settings=settings._replace(database_url=url))) == {}
    assert value(tasks.connection, f"SELECT to_regclass('{earlier}.slack_notifications') IS NULL")
    assert troubles(caplog) == []


# ---- A role that does not own the table ------------------------------------------------------------------------------


def test_a_role_has_no_memory_until_the_owner_upgrades_the_table(settings, tasks, role, reported, known, caplog):
    stuck, failed = known
    tasks.execute(f"GRANT SELECT ON tasks TO {role.name}")
    tasks.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON slack_notifications TO {role.name}")
    before = ledger(tasks.connection)
    restricted = SlackNotifier(settings=settings._replace(database_url=role.url))
    columns = ("cause text", "times bigint")
    remedy = "ALTER TABLE slack_notifications " + ", ".join(f"ADD COLUMN IF NOT EXISTS {column}" for column in columns)
    for _ in range(2):
        caplog.clear()
        assert reported(restricted) == {STUCK: [stuck], FAILED: [failed]}
        (warning,) = troubles(caplog)
        assert warning == f"Cannot remember what was reported, so alerts repeat with every run: {remedy}"
    assert ledger(tasks.connection) == before
    tasks.execute(remedy)
    caplog.clear()
    new = tasks.fail()
    assert reported(restricted, restricted) == {FAILED: [[new]]}
    ends(tasks, [stuck[0], failed[0]])
    assert reported(restricted) == {RECOVERED: [[stuck[0]]], HEALED: [[failed[0]]]}
    assert value(tasks.connection, OLD_NAMES) == 0
    assert troubles(caplog) == []


# ---- Both at work ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old_first", [True, False], ids=["old first", "new first"])
def test_in_turns_the_older_one_repeats_only_stuck_tasks(old, notifier, tasks, reported, pass_time, caplog, old_first):
    all_stuck: list[str] = []
    for _ in range(4):
        failed, stuck = [tasks.fail()], [tasks.add("queued", created=40)]
        all_stuck += stuck
        if old_first:
            # As the last run of this version has moved the rows of all earlier ones.
            assert reported(old) == {FAILED: [failed], STUCK: [sorted(all_stuck)]}
            assert reported(notifier) == {}
        else:
            assert reported(notifier) == {FAILED: [failed], STUCK: [stuck]}
            assert reported(old, old) == {STUCK: [sorted(all_stuck)]}
        pass_time(10)
    assert troubles(caplog) == []


@pytest.mark.parametrize(("old_first", "times"), [(True, 2), (False, 1)], ids=["old first", "new first"])
def test_in_turns_tasks_recover_twice_where_the_older_one_is_first(
    old, notifier, tasks, reported, known, old_first, times
):
    stuck, failed = known
    assert reported(notifier, old) == {STUCK: [stuck]}
    ends(tasks, stuck + failed)
    turns = [old, notifier] if old_first else [notifier, old]
    # Each has a row of its own for a stuck task, unless this version has moved that of the older one.
    assert reported(*turns * 2) == {RECOVERED: [stuck] * times, HEALED: [failed]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["failed", "stuck"])
@pytest.mark.parametrize("upgraded", [False, True], ids=["first run", "later run"])
def test_this_version_repeats_nothing_that_version_2_is_just_reporting(
    version_2, notifier, tasks, reported, overlap, stuck, failed, upgraded, kind
):
    assert reported(version_2) == {FAILED: [failed], STUCK: [stuck]}
    if upgraded:
        assert reported(notifier, version_2) == {STUCK: [stuck]}
    new = tasks.fail() if kind == "failed" else tasks.add("queued", created=40)
    # Version 2's call for stuck tasks would begin anew after it has met another run.
    call = version_2.send_failed_tasks_notification if kind == "failed" else version_2.send_combined_notification
    delivered, result = overlap(call, notifier.send_combined_notification)
    assert delivered
    assert (result["error"], result["failed_tasks_count"], result["stuck_tasks_count"]) == (None, 0, 0)
    assert reported() == {FAILED if kind == "failed" else STUCK: [[new]]}
    assert reported(notifier) == {}


@pytest.mark.parametrize("kind", ["failed", "stuck"])
def test_version_2_repeats_stuck_tasks_only_of_what_this_version_is_just_reporting(
    version_2, notifier, tasks, reported, overlap, stuck, failed, kind
):
    assert reported(version_2) == {FAILED: [failed], STUCK: [stuck]}
    new = tasks.fail() if kind == "failed" else tasks.add("queued", created=40)
    call = getattr(notifier, "send_failed_tasks_notification" if kind == "failed" else "send_stuck_tasks_notification")
    delivered, result = overlap(call, version_2.send_combined_notification)
    assert delivered
    again = stuck if kind == "failed" else sorted([*stuck, new])
    assert (result["error"], result["failed_tasks_count"], result["stuck_tasks_count"]) == (None, 0, len(again))
    assert reported() == ({FAILED: [[new]], STUCK: [again]} if kind == "failed" else {STUCK: [[new], again]})


@pytest.mark.parametrize(("later", "times"), [(False, 1), (True, 2)], ids=["first run", "later run"])
def test_a_failure_that_version_1_is_reporting_both_report(version_1, notifier, tasks, reported, overlap, later, times):
    assert reported(version_1) == {}
    if later:
        assert reported(notifier) == {}
    failed = tasks.fail()
    # Version 1 claims no destination. (The first run of this version waits for it all the same, to add the columns.)
    overlap(version_1.send_failed_tasks_notification, notifier.send_combined_notification)
    assert reported() == {FAILED: [[failed]] * times}
    assert reported(notifier, version_1) == {}


def test_a_stuck_task_that_version_1_is_reporting_both_report(version_1, notifier, tasks, reported, slack):
    assert reported(version_1, notifier) == {}
    stuck = tasks.add("queued", created=40)
    with slack.hold() as held, ThreadPoolExecutor(1) as pool:
        one = pool.submit(version_1.send_stuck_tasks_notification)
        held.wait_received()
        report(notifier)
        held.go()
        assert one.result()
    assert reported() == {STUCK: [[stuck]] * 2}
    assert reported(notifier) == {}


# ---- Back ------------------------------------------------------------------------------------------------------------


def test_going_back_repeats_only_stuck_tasks_once(old, notifier, tasks, reported, stuck, failed, pass_time, caplog):
    assert reported(notifier) == {FAILED: [failed], STUCK: [stuck]}
    pass_time(5)
    assert reported(old) == {STUCK: [stuck]}
    pass_time(15)
    new = tasks.fail()
    assert reported(old) == {FAILED: [[new]]}
    ends(tasks, stuck[:1])
    assert reported(old) == {RECOVERED: [stuck[:1]]}
    assert troubles(caplog) == []


@pytest.mark.parametrize(("minutes", "is_due"), [(239, False), (241, True)])
def test_back_and_forth_older_versions_reports_count(old, notifier, tasks, reported, stuck, pass_time, minutes, is_due):
    assert reported(notifier) == {STUCK: [stuck]}
    pass_time(120)
    assert reported(old) == {STUCK: [stuck]}
    tasks.execute("UPDATE tasks SET status = 'in_progress' WHERE status = 'queued'")
    (moved,) = rows(tasks.connection, "SELECT id FROM tasks WHERE status = 'in_progress' AND started_at IS NULL")
    assert reported(old) == {STUCK: [list(moved)]}
    pass_time(minutes)
    assert reported(notifier) == ({STUCK: [stuck]} if is_due else {})


@pytest.mark.parametrize(
    ("older", "is_own_kept"),
    [
        # Version 1 waits for nobody, so it may commit what it began to report before this version did.
        pytest.param("('stuck:queued', interval '1 second')", True, id="this version's"),
        # As version 1 leaves them of a task that was stuck as queued before.
        pytest.param("('stuck:queued', interval '1 hour'), ('stuck:in_progress', '0')", False, id="version 1's later"),
    ],
)
def test_of_all_reports_of_a_task_the_last_one_counts(notifier, tasks, reported, older, is_own_kept):
    task_id = tasks.add("in_progress", created=50, started=40)
    assert reported(notifier) == {STUCK: [[task_id]]}
    own = "WHERE alert = 'stuck' AND task_id <> ''"
    tasks.execute(
        "INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at) "
        "SELECT destination, name, task_id, event_at, notified_at - earlier "
        f"FROM slack_notifications, (VALUES {older}) AS older (name, earlier) {own}"
    )
    if not is_own_kept:
        tasks.execute(f"DELETE FROM slack_notifications {own}")
    assert reported(notifier) == {}


# ---- Dry run ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_first_run_without_a_trace(notifier, tasks, reported, slack, known, printed):
    stuck, failed = known
    newly_failed, newly_stuck = tasks.fail(), tasks.add("queued", created=60)
    ends(tasks, [stuck[0], failed[0]])
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'slack_notifications'"
    before = ledger(tasks.connection), rows(tasks.connection, columns)
    printed()
    for _ in range(2):
        report(SlackNotifier(settings=notifier.settings, dry_run=True))
        text = printed()
        shown = {task_id for task_id in [*stuck, *failed, newly_failed, newly_stuck] if task_id in text}
        assert shown == {newly_failed, newly_stuck, stuck[0], failed[0]}
        assert (ledger(tasks.connection), rows(tasks.connection, columns)) == before
    assert slack.requests == []
    news = {FAILED: [[newly_failed]], STUCK: [[newly_stuck]], RECOVERED: [[stuck[0]]], HEALED: [[failed[0]]]}
    assert reported(notifier) == news
