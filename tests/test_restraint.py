"""No more messages than there is news, and an answer to why a task was reported, or was not."""

from __future__ import annotations

import json
import os
import re
import resource
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support import (
    BLIND,
    FAILED,
    HEALED,
    RECOVERED,
    SEES_AGAIN,
    STUCK,
    WRONG_SETTING,
    has_ledger,
    report,
    title,
    titles,
    told,
    wait_for_blocked,
)

import slack_notifier
from slack_notifier import Settings, SlackNotifier

pytestmark = pytest.mark.usefixtures("room")


def run_for(notifier: SlackNotifier, pass_time: Any, minutes: int, every: int = 15) -> None:
    for _ in range(minutes // every):
        report(notifier)
        pass_time(every)


# ---- Reminders -------------------------------------------------------------------------------------------------------


@pytest.mark.slow(12)
def test_sixteen_tasks_that_died_in_turn_give_few_reminders_in_two_weeks(notifier, slack, tasks, pass_time, figures):
    for _ in range(16):
        tasks.add("inprogress", created=0, started=0)
        run_for(notifier, pass_time, 15)
    run_for(notifier, pass_time, 24 * 60 - 16 * 15)
    reminders = [message for message in slack.messages() if "still stuck" in message["text"]]
    first_reports = [message for message in slack.messages() if message not in reminders]
    assert [title(message) for message in first_reports] == [STUCK] * 16
    assert "16 tasks still stuck for more than 30 minutes:" in reminders[0]["text"]
    days = [len(reminders)]
    for _ in range(13):
        slack.clear()
        # From the second day on, a run in two hours says as much.
        run_for(notifier, pass_time, 24 * 60, every=120)
        days.append(len(slack.messages()))
    figures(reminders_a_day=" ".join(map(str, days)))
    assert 2 <= days[0] <= 6
    assert 1 <= days[1] <= 3
    assert set(days[2:]) <= {1, 2}


def test_a_reminder_is_never_critical_and_calls_nobody(settings, slack, tasks, pass_time):
    loud = settings._replace(critical_count=1, critical_mention="<!here>")
    tasks.add("inprogress", created=60, started=40)
    for _ in range(2):
        assert SlackNotifier(settings=loud).send_stuck_tasks_notification()
        pass_time(300)
    texts = [message["text"] for message in slack.messages()]
    assert ["<!here>" in text for text in texts] == ["Critical" in text for text in texts] == [True, False]
    assert re.search(r"for 5 h \d+ min", texts[1])


def test_a_reminder_names_all_that_are_still_stuck_but_those_reported_just_now(notifier, slack, tasks, pass_time):
    first = tasks.add("queued", created=40)
    assert notifier.send_combined_notification()["stuck_tasks_count"] == 1
    pass_time(241)
    second = tasks.add("queued", created=40)
    assert notifier.send_combined_notification()["stuck_tasks_count"] == 2
    pass_time(200)
    third = tasks.add("queued", created=40)
    report(notifier)
    pass_time(50)
    report(notifier)
    assert told(slack, STUCK) == [[first], [second], [first], [third], sorted([first, second, third])]
    texts = [message["text"] for message in slack.messages()]
    assert "1 more task stuck for" in texts[1]
    assert "1 task still stuck for" in texts[2]
    assert "3 tasks still stuck for more than 30 minutes:" in texts[4]


def test_more_reminders_than_a_claim_takes_go_out_in_parts(notifier, slack, tasks, pass_time, monkeypatch):
    monkeypatch.setattr(slack_notifier, "CLAIM_TASKS", 3)
    stuck = [tasks.add("queued", created=100 - number) for number in range(5)]
    for _ in range(2):
        assert notifier.send_stuck_tasks_notification()
    pass_time(300)
    for _ in range(3):
        assert notifier.send_stuck_tasks_notification()
        pass_time(1)
    assert told(slack, STUCK) == [sorted(stuck[:3]), sorted(stuck[3:])] * 2


def test_of_more_than_a_claim_takes_only_those_due_are_in_a_reminder(notifier, slack, tasks, pass_time, monkeypatch):
    monkeypatch.setattr(slack_notifier, "CLAIM_TASKS", 4)
    due = tasks.add("queued", created=40)
    assert notifier.send_stuck_tasks_notification()
    pass_time(200)
    older = [tasks.add("queued", created=400) for _ in range(3)]
    assert notifier.send_stuck_tasks_notification()
    pass_time(50)
    assert notifier.send_stuck_tasks_notification()
    assert told(slack, STUCK) == [[due], sorted(older), [due]]


# ---- Limits ----------------------------------------------------------------------------------------------------------


def test_the_two_kinds_of_stuck_have_limits_of_their_own(settings, slack, tasks):
    own = SlackNotifier(settings=settings._replace(queued_minutes=10, in_progress_minutes=90))
    queued, _ = tasks.add("queued", created=12), tasks.add("inprogress", created=200, started=80)
    rendering, _ = tasks.add("inprogress", created=200, started=95), tasks.add("queued", created=8)
    assert own.send_stuck_tasks_notification(timeout_minutes="none is needed")
    assert told(slack, STUCK) == [sorted([queued, rendering])]
    text = slack.messages()[0]["text"]
    assert "2 tasks stuck:\n" in text
    assert "Queued Tasks (1), for more than 10 minutes:" in text
    assert "In Progress Tasks (1), for more than 90 minutes:" in text


def test_one_limit_leaves_the_timeout_to_the_other_kind(settings, slack, tasks):
    one = SlackNotifier(settings=settings._replace(in_progress_minutes=90))
    queued, _ = tasks.add("queued", created=25), tasks.add("inprogress", created=200, started=80)
    assert one.send_stuck_tasks_notification(20)
    assert told(slack, STUCK) == [[queued]]
    assert one.get_stuck_tasks(70)[0]["status"] == "inprogress"
    assert not one.send_stuck_tasks_notification(-1)


@pytest.mark.parametrize(("limits", "is_said"), [((10, 20), True), ((10, 0), False), ((0, 0), False)])
def test_a_timeout_that_is_not_used_is_said(cli, tasks, limits, is_said):
    queued, in_progress = map(str, limits)
    done = cli("--timeout", "5", SLACK_QUEUED_MINUTES=queued, SLACK_IN_PROGRESS_MINUTES=in_progress)
    assert done.code == 0
    assert ("--timeout is not used" in done.log) is is_said


@pytest.mark.slow(4)
def test_a_queue_that_moves_slowly_gives_no_recovery_before_its_end(notifier, slack, tasks, becomes, pass_time):
    """Each task waits 45 minutes, at a timeout of 30."""
    waiting = []
    for cycle in range(16):
        waiting.append(tasks.add("queued", created=0))
        if cycle >= 3:
            becomes(waiting.pop(0), "finished")
        run_for(notifier, pass_time, 15)
    assert titles(slack) == [STUCK] * (16 - 2)
    for task in waiting:
        becomes(task, "finished")
    report(notifier)
    assert titles(slack)[14:] == [RECOVERED]
    assert "14 tasks no longer stuck:" in slack.messages()[-1]["text"]
    report(notifier)
    assert len(slack.messages()) == 15


def test_a_recovery_waits_for_a_younger_stuck_task_for_a_day_at_most(notifier, slack, tasks, becomes, pass_time):
    old, _ = tasks.add("queued", created=90), tasks.add("queued", created=40)
    assert notifier.send_stuck_tasks_notification()
    becomes(old, "finished")
    for _ in range(5):
        assert notifier.send_stuck_tasks_notification()
        assert told(slack, RECOVERED) == []
        pass_time(5 * 60)
    for _ in range(2):
        assert notifier.send_stuck_tasks_notification()
    assert told(slack, RECOVERED) == [[old]]


# ---- Grace -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(settings: Settings) -> SlackNotifier:
    return SlackNotifier(settings=settings._replace(grace_minutes=10))


def test_what_heals_within_its_grace_is_not_told_and_the_rest_once(patient, slack, tasks, becomes, pass_time, caplog):
    report(patient)
    healed, failed = tasks.fail(updated=1), tasks.fail(updated=0)
    assert patient.send_failed_tasks_notification()
    assert "Grace: 2 failed tasks kept for later" in caplog.messages
    pass_time(8)
    becomes(healed, "finished")
    late = tasks.fail(updated=0)
    assert patient.send_failed_tasks_notification()
    assert slack.messages() == []
    pass_time(3)
    report(patient, 2)
    assert told(slack, FAILED) == [sorted([failed, late])]
    assert told(slack, HEALED) == []


def test_a_critical_alert_does_not_wait_for_its_grace(settings, slack, tasks):
    tasks.fail(updated=0)
    for count, messages in ((2, 0), (1, 1)):
        notifier = SlackNotifier(settings=settings._replace(grace_minutes=10, critical_count=count))
        assert notifier.send_failed_tasks_notification()
        assert len(slack.messages()) == messages


@pytest.mark.slow
def test_a_task_that_fails_every_few_minutes_ends_its_grace(patient, slack, tasks, pass_time):
    report(patient)
    task = tasks.fail(updated=0)
    for _ in range(9):
        report(patient)
        pass_time(5)
        tasks.execute("UPDATE tasks SET updated_at = now() AT TIME ZONE 'UTC'")
    assert told(slack, FAILED) == [[task]]


# ---- Mute ------------------------------------------------------------------------------------------------------------

LOUD = "HTTP 429 from api.example.com"


def test_what_is_muted_is_counted_and_nothing_else(cli, settings, slack, tasks, becomes, pass_time):
    tasks.fail(error=LOUD, updated=60)
    done = cli("--mute", " http 429 ", "--for", "4")
    assert (done.code, done.out.count("\n")) == (0, 1)
    assert re.match(r"Muted until 20\S+ \S+ UTC: 'http 429', found in 1 failure of the last 24 hours", done.out)

    muted = [tasks.fail(error=f"{LOUD}\n{number}") for number in range(4)]
    quiet = SlackNotifier(settings=settings._replace(critical_count=4, critical_share=60))
    assert quiet.send_combined_notification()["failed_tasks_count"] == 0
    assert slack.messages() == []

    muted += [tasks.fail(error=LOUD) for _ in range(5)]
    failed = tasks.fail(error="disk full")
    for _ in range(4):
        tasks.add("finished", updated=1)
    assert quiet.send_combined_notification()["failed_tasks_count"] == 1
    assert told(slack, FAILED) == [[failed]]
    assert slack.messages()[0]["text"].endswith("· 1 of 5 ended tasks failed · 1 user · 5 muted")
    assert "left out as muted at " in explained(cli, muted[-1])

    for task in [*muted, failed]:
        becomes(task, "finished")
    pass_time(5 * 60)
    report(quiet)
    assert told(slack, HEALED) == [[failed]]
    again = tasks.fail(error=LOUD)
    report(quiet)
    assert told(slack, FAILED) == [[failed], [again]]
    assert "× in 7 days" not in slack.messages()[-1]["text"]


def test_a_mute_stands_in_the_log_and_in_check_until_it_is_ended(cli, tasks):
    tasks.fail(error=LOUD)
    assert cli("--mute", "HTTP 429").code == 0
    named = "failures whose error holds 'HTTP 429'"
    assert named in cli().log
    assert re.search(rf"! Muted until \S+ \S+ UTC:\s+{named}".replace(" ", r"\s+"), cli("--check").out)
    assert cli("--mute", "Http 429", "--for", "0").out.startswith("No longer muted: 'HTTP 429'")
    assert named not in cli().log
    done = cli("--mute", "http 429", "--for", "0")
    assert done.code == 1
    assert "'http 429' is not muted" in done.log


def test_a_mute_is_for_the_webhooks_of_the_settings_not_for_users_channels(settings, slack, tasks, caplog):
    both = settings._replace(user_webhooks={"key-of-a-user": slack.webhook("mine")})
    notifier, of_users = SlackNotifier(settings=both), SlackNotifier(settings=both._replace(webhooks={}))
    assert slack_notifier.mute(notifier.run(10), "http 429", 1) == 0
    task = tasks.fail(error=LOUD)
    report(notifier)
    assert slack.messages() == []
    assert told(slack, FAILED, "mine") == [[task]]
    assert slack_notifier.mute(of_users.run(10), "http 429", 1) == 1
    assert "Users' channels cannot be muted, and there is no other webhook; set SLACK_WEBHOOK" in caplog.messages


@pytest.mark.parametrize(("texts", "is_told"), [((LOUD, "disk full"), True), ((LOUD, LOUD), False)])
def test_a_second_text_of_a_muted_failure_is_reported_unless_it_is_muted_too(notifier, slack, tasks, texts, is_told):
    assert slack_notifier.mute(notifier.run(10), "http 429", 1) == 0
    task = tasks.fail(error=texts[0])
    report(notifier)
    tasks.execute("UPDATE tasks SET error = %s, updated_at = updated_at + interval '1 second'", [texts[1]])
    report(notifier, 2)
    assert told(slack, FAILED) == [[task]] * is_told


def test_what_failed_while_it_was_muted_is_not_reported_after_the_mute(notifier, slack, tasks, pass_time):
    """Slack did not take the alert that would have recorded it."""
    report(notifier)
    assert slack_notifier.mute(notifier.run(10), "http 429", 1) == 0
    tasks.fail(error=LOUD)
    failed = tasks.fail(error="disk full")
    slack.answer(404, "no_service")
    assert notifier.send_combined_notification()["error"]
    slack.clear()
    pass_time(90)
    again = tasks.fail(error=LOUD)
    report(notifier)
    assert told(slack, FAILED) == [sorted([failed, again])]
    assert slack.messages()[0]["text"].endswith("· 2 of 2 ended tasks failed · 1 user · 1 muted")


def test_a_mute_that_is_ended_at_once_leaves_nothing_out(notifier, slack, tasks):
    report(notifier)
    task = tasks.fail(error=LOUD, updated=0)
    for hours in (1, 0):
        assert slack_notifier.mute(notifier.run(10), "http 429", hours) == 0
    report(notifier)
    assert told(slack, FAILED) == [[task]]


def test_a_mute_that_ends_while_a_run_posts_leaves_nothing_out(notifier, slack, tasks, becomes, pass_time, cli):
    again = tasks.fail(error="disk full", updated=0)
    report(notifier)
    pass_time(10)
    assert slack_notifier.mute(notifier.run(10), "http 429", 1) == 0
    tasks.execute("UPDATE tasks SET error = %s", [LOUD])
    becomes(again, "failed")
    other = tasks.fail(error="disk full")
    assert "not reported again: 'http 429' is muted until" in explained(cli, again)
    with slack.hold() as held, ThreadPoolExecutor(2) as threads:
        run = threads.submit(notifier.send_combined_notification)
        held.wait_received()
        end = threads.submit(slack_notifier.mute, notifier.run(10), "http 429", 0)
        wait_for_blocked(tasks.connection, 1)
        held.go()
        assert (run.result()["error"], end.result()) == (None, 0)
    report(notifier)
    assert told(slack, FAILED) == [[again], [other], [again]]


@pytest.mark.parametrize("status", ["failed", "queued"])
def test_what_was_reported_before_it_was_muted_gets_its_recovery(notifier, slack, tasks, becomes, pass_time, status):
    task = tasks.add(status, created=50, updated=0 if status == "failed" else 50, error="disk full")
    report(notifier)
    assert slack_notifier.mute(notifier.run(10), "DISK", 1) == 0
    pass_time(40)
    for later in ("failed", "finished"):
        becomes(task, later)
        report(notifier)
    recovered = {"failed": HEALED, "queued": RECOVERED}[status]
    assert titles(slack)[1:] == [recovered]
    assert told(slack, recovered) == [[task]]


def test_words_of_a_mute_that_look_like_a_secret_are_masked(cli, tasks, notifier):
    report(notifier)
    task = tasks.fail(error="password=hunter2trump9\nrefused")
    printed = cli("--mute", "password=hunter2trump9\nrefused").out + explained(cli, task) + cli("--check").out
    assert "is muted until" in printed
    assert "hunter2" not in printed
    assert cli("--mute", "password=hunter2trump9\nrefused", "--for", "0").out.count("\n") == 1


def test_a_dry_run_of_a_mute_mutes_nothing(cli, tasks):
    tasks.fail(error=LOUD)
    done = cli("--mute", "http 429", "--dry-run")
    assert (done.code, done.out.partition(" until")[0]) == (0, "Dry run: Muted")
    assert not has_ledger(tasks.connection)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mute", ""], "--mute takes 3 to 500 characters"),
        (["--mute", " ab "], "--mute takes 3 to 500 characters"),
        (["--mute", "x" * 501], "--mute takes 3 to 500 characters"),
        (["--mute", "abc", "--for", "-1"], "a number of hours"),
        (["--mute", "abc", "--for", "nan"], "a number of hours"),
        (["--mute", "abc", "--for", "100000"], "a number of hours"),
        (["--for", "2"], "--for goes with --mute"),
        (["--mute", "abc", "--check"], "not allowed with"),
    ],
)
def test_a_mute_of_everything_or_for_ever_is_wrong_usage(cli, arguments, words):
    done = cli(*arguments)
    assert done.code == 2
    assert words in " ".join(done.log.split())


def test_who_may_not_write_the_ledger_cannot_mute(cli, tasks, notifier, role):
    tasks.execute(f"GRANT SELECT ON tasks TO {role.name}")
    report(notifier)
    done = cli("--mute", "http 429", DATABASE_URL=role.url)
    assert done.code == 1
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON slack_notifications TO" in done.log


# ---- Cannot read the tasks -------------------------------------------------------------------------------------------


@pytest.fixture
def hidden(tasks: Any) -> Any:
    """The tasks cannot be read; hidden(False) makes them readable again."""
    changes = {True: "tasks RENAME TO hidden", False: "hidden RENAME TO tasks"}

    def hidden(is_so: bool) -> None:
        tasks.execute(f"ALTER TABLE {changes[is_so]}")

    hidden(True)
    return hidden


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Lets minutes pass for the file that notes what was said."""

    def advance(minutes: float) -> None:
        for path in tmp_path.glob("slack_notifier-*"):
            moments = [float(moment) - minutes * 60 for moment in path.read_text().split()]
            path.write_text(" ".join(map(str, moments)))

    return advance


def test_a_night_without_a_database_is_said_once_an_hour_and_its_end_once(notifier, slack, tasks, hidden, clock):
    for _ in range(4 * 8):
        assert notifier.send_combined_notification()["error"]
        clock(15)
    assert titles(slack) == [BLIND] * 8
    hidden(False)
    report(notifier, 2)
    assert titles(slack)[8:] == [SEES_AGAIN]
    assert "It could not for 8 h 0 min." in slack.messages()[-1]["text"]
    hidden(True)
    assert notifier.send_combined_notification()["error"]
    assert titles(slack)[9:] == [BLIND]


@pytest.mark.parametrize("channels", [["alerts"], ["dead", "alerts"]], ids=["the only webhook", "one of two"])
def test_what_no_webhook_took_counts_as_not_said_and_what_one_took_as_said(settings, slack, tasks, hidden, channels):
    webhooks = {"": [slack.webhook(channel) for channel in channels]}
    notifier = SlackNotifier(settings=settings._replace(webhooks=webhooks))
    # None takes it in the first run, the last one does in the second.
    slack.answer(404, "no_service", times=2 * len(channels) - 1)
    for _ in range(3):
        assert notifier.send_combined_notification()["error"]
    assert titles(slack) == [BLIND]
    hidden(False)
    slack.answer(404, "no_service")
    report(notifier, 3)
    assert titles(slack) == [BLIND, SEES_AGAIN]


def test_a_dry_run_says_it_each_time_and_sends_and_notes_nothing(settings, slack, hidden, printed, heart, tmp_path):
    notifier = SlackNotifier(settings=settings._replace(heartbeat_url=heart.address), dry_run=True)
    for _ in range(2):
        notifier.send_combined_notification()
        assert BLIND in printed()
    assert slack.requests == heart.beats == [*tmp_path.glob("slack_notifier-*")] == []


def test_two_installations_share_no_note(cli, slack, hidden):
    for channel in ("one", "two") * 2:
        assert cli(SLACK_WEBHOOK=slack.webhook(channel)).code == 1
    assert titles(slack, "one") == titles(slack, "two") == [BLIND]


def test_a_run_for_one_kind_does_not_end_what_one_for_the_other_says(cli, slack, tasks):
    """Both are in the crontab, each in a line of its own, and only failed tasks cannot be read."""
    bad = "CREATE FUNCTION bad() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'bad page'; END $$"
    view = "id, user_api_key, status, bad() AS error, log_uri, created_at, updated_at, started_at"
    tasks.fail()
    tasks.execute(f"{bad}; ALTER TABLE tasks RENAME TO jobs; CREATE VIEW tasks AS SELECT {view} FROM jobs")
    codes = [cli(kind).code for _ in range(2) for kind in ("--failed-only", "--stuck-only")]
    assert (codes, titles(slack)) == ([1, 0, 1, 0], [BLIND])


def test_a_note_on_a_full_disk_keeps_what_it_says(notifier, slack, tasks, hidden, clock):
    assert notifier.send_combined_notification()["error"]
    clock(90)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        assert notifier.send_combined_notification()["error"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    hidden(False)
    report(notifier)
    assert titles(slack) == [BLIND, BLIND, SEES_AGAIN]
    assert "It could not for 1 h 30 min." in slack.messages()[-1]["text"]


@pytest.mark.parametrize("trick", ["link", "hard link", "pipe", "folder", "open to others", "no times", "ahead"])
def test_a_note_that_is_not_ours_is_neither_read_nor_written(notifier, slack, tasks, hidden, tmp_path, caplog, trick):
    assert notifier.send_combined_notification()["error"]
    (note,) = tmp_path.glob("slack_notifier-*")
    assert note.stat().st_mode & 0o777 == 0o600
    victim, before = tmp_path / "victim", note.read_text()
    victim.write_text(before)
    victim.chmod(0o600)
    is_ours = trick in ("no times", "ahead")
    if not is_ours and trick != "open to others":
        note.unlink()
    tricks = {
        "link": lambda: note.symlink_to(victim),
        "hard link": lambda: os.link(victim, note),
        "pipe": lambda: os.mkfifo(note, 0o600),
        "folder": note.mkdir,
        "open to others": lambda: note.chmod(0o644),
        "no times": lambda: note.write_text("x"),
        "ahead": lambda: note.write_text("9000000000.0 9000000000.0"),
    }
    tricks[trick]()
    for _ in range(2):
        assert notifier.send_combined_notification()["error"]
    assert titles(slack) == [BLIND] * (2 if is_ours else 3)
    assert any("each run sends it" in message for message in caplog.messages) is not is_ours
    assert victim.read_text() == before


def test_where_no_note_can_be_kept_each_run_says_it(notifier, slack, tasks, hidden, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    for _ in range(2):
        assert notifier.send_combined_notification()["error"]
    assert titles(slack) == [BLIND] * 2


def test_a_wrong_setting_has_a_title_of_its_own_once_an_hour_and_no_end(cli, slack, tasks, clock):
    for _ in range(5):
        assert cli(SLACK_QUIET_HOURS="22-7").code == 2
        clock(15)
    assert titles(slack) == [WRONG_SETTING] * 2
    assert "SLACK_QUIET_HOURS must be" in slack.messages()[0]["text"]
    for _ in range(2):
        assert cli(SLACK_CRITICAL_COUNT="x").code == 2
    assert titles(slack) == [WRONG_SETTING] * 3
    assert "SLACK_CRITICAL_COUNT must be" in slack.messages()[2]["text"]
    assert cli().code == 0
    assert titles(slack) == [WRONG_SETTING] * 3


# ---- Explain ---------------------------------------------------------------------------------------------------------


def explained(cli: Any, task: str, **environment: str) -> str:
    done = cli("--explain", task, **environment)
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 100
    return " ".join(done.out.split())


def test_explain_says_what_was_reported_where_and_when(cli, notifier, tasks, becomes):
    failed, stuck = tasks.fail(error="disk full"), tasks.add("queued", created=50)
    report(notifier)
    since, reported = r"since \S+ \S+ UTC \(\d+ min\)", r"SLACK_WEBHOOK \(\w+\): reported as"
    text = explained(cli, failed)
    assert re.match(f"Task {failed}: failed {since} Error: disk full {reported} failed at ", text)
    assert "not reported" not in text
    assert re.search(f"Stuck {since} {reported} stuck at ", explained(cli, stuck))
    becomes(failed, "finished")
    report(notifier)
    assert "reported as healed at " in explained(cli, failed)


@pytest.mark.parametrize(
    ("environment", "task", "words"),
    [
        ({}, {"updated": 5}, "not reported: the next run does"),
        ({}, {"updated": 100}, "changed too early. Runs look back to .* not beyond 20.*, 30 minutes before the first"),
        ({"SLACK_GRACE_MINUTES": "10"}, {"updated": 5}, "grace until 20.* UTC at the latest, unless the alert is crit"),
        ({}, {"updated": 5, "error": LOUD}, "'http 429' is muted until 20"),
        ({}, {"status": "queued", "created": 10}, "It is stuck from 20[^,]* on, unless it gives a sign of life"),
        ({}, {"status": "queued", "created": 40}, "not reported: the next run does"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_explain_says_why_a_task_was_not_reported(cli, notifier, tasks, environment, task, words):
    report(notifier)
    assert slack_notifier.mute(notifier.run(10), "http 429", 1) == 0
    task_id = tasks.add(**{"status": "failed", "error": "disk full", **task})
    assert re.search(words, explained(cli, task_id, **environment))


def test_explain_says_until_when_quiet_hours_hold_a_task(cli, notifier, tasks):
    now, hour = datetime.now(timezone.utc), timedelta(hours=1)
    end = f"{now + hour:%H:%M}"
    report(notifier)
    text = explained(cli, tasks.fail(), SLACK_QUIET_HOURS=f"{now - hour:%H:%M}-{end}")
    assert f"not reported: quiet hours until {end} UTC, unless the alert is critical" in text


def test_explain_of_a_task_that_failed_again(cli, notifier, tasks, pass_time):
    task = tasks.fail(updated=0)
    report(notifier)
    for minutes, words in (
        (1, "not reported again: it failed within a minute of that, or with the same cause within 30 minutes"),
        (39, "not reported: the next run does"),
    ):
        pass_time(minutes)
        tasks.execute("UPDATE tasks SET updated_at = now() AT TIME ZONE 'UTC'")
        assert re.search(f"reported as failed at .*{words}", explained(cli, task))


@pytest.mark.parametrize("moment", ["NULL", "'infinity'", "'0044-03-15 BC'"])
@pytest.mark.parametrize("status", ["failed", "queued", "finished", "Paused"])
def test_explain_of_an_odd_task_ends_well(cli, notifier, tasks, status, moment):
    report(notifier)
    task = tasks.fail()
    tasks.execute("ALTER TABLE tasks ALTER created_at DROP NOT NULL, ALTER updated_at DROP NOT NULL")
    tasks.execute(f"UPDATE tasks SET status = %s, updated_at = {moment}, created_at = {moment}", [status])
    text = explained(cli, task)
    assert f"Task {task}: {status} since" in text
    assert ("Runs report tasks that are failed, queued," in text) is (status in ("finished", "Paused"))


def test_explain_speaks_of_a_users_channel_too(cli, slack, tasks, tmp_path):
    users = tmp_path / "users.json"
    users.write_text(json.dumps({"key-of-a-user-1": slack.webhook("mine")}))
    environment = {"SLACK_USER_WEBHOOKS_FILE": str(users), "SLACK_GRACE_MINUTES": "10"}
    assert cli(**environment).code == 0
    task = tasks.fail(user_api_key="key-of-a-user-1", updated=2)
    text = explained(cli, task, **environment)
    assert len(re.findall(r"\): not reported: grace until ", text)) == 2
    assert "the channel of user key-of-a" in text


def test_check_says_what_a_run_would_keep_for_later(cli, notifier, tasks):
    report(notifier)
    tasks.fail(updated=0)
    text = " ".join(cli("--check", SLACK_GRACE_MINUTES="10").out.split())
    assert "a run now would report 1 failed task (kept for later: grace)" in text


def test_explain_of_a_failure_that_the_ledger_has_forgotten(cli, notifier, tasks, pass_time):
    task = tasks.fail()
    report(notifier)
    for _ in range(2):
        tasks.fail(error="another")
        report(notifier)
        pass_time(8 * 24 * 60)
    assert "no longer known: the ledger forgets after 7 days" in explained(cli, task)


def test_explain_without_a_ledger_or_a_webhook_says_so(cli, tasks, role, slack):
    tasks.execute(f"GRANT SELECT ON tasks TO {role.name}")
    task = tasks.fail()
    done = cli("--explain", task, DATABASE_URL=role.url)
    assert (done.code, done.out) == (1, "")
    assert "Cannot explain. Cannot remember what was reported" in done.log
    own = {"SLACK_WEBHOOK": "", "SLACK_WEBHOOK_STUCK": slack.webhook()}
    assert "There is no webhook for this user's failed tasks" in explained(cli, task, **own)


def test_explain_before_the_first_run_and_of_no_task(cli, tasks):
    assert "not reported: no run has reported to it yet" in explained(cli, tasks.fail())
    assert cli("--explain", "\udcff").code == 2
    for nothing in ("nothing", "", "'; %s"):
        done = cli("--explain", nothing)
        assert (done.code, done.out) == (1, "")
        assert f"There is no task {nothing}" in done.log
