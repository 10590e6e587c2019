"""What the alerts say beyond the list of tasks: the causes, the share of failures, and whether the workers run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import slack_notifier
from sandbox.slack import SlackStandIn, pings
from slack_notifier import FAILED, Settings, SlackNotifier, Transaction, connect, transaction

NO_MASK = "$never^"
PARAMETERS: dict[str, object] = {"destination": "test", "user": "", "minutes": 30}


@contextmanager
def failures(database_url: str, errors: list[str | None]) -> Iterator[Transaction]:
    """A transaction in which a task failed with each of the errors; nothing of it stays."""
    with connect(database_url) as connection, transaction(connection) as opened:
        cursor = opened.cursor
        cursor.execute(slack_notifier.CREATE_LEDGER)
        cursor.execute(slack_notifier.BEGIN)
        for number, error in enumerate(errors):
            cursor.execute(
                "INSERT INTO tasks (id, user_api_key, status, error, created_at, updated_at) "
                "VALUES (%s, %s, 'failed', %s, now(), now())",
                (f"task-{number:05}", f"user-{number}", error),
            )
        yield opened
        cursor.execute("ROLLBACK")
        cursor.execute(slack_notifier.BEGIN)


Causes = Callable[..., "list[tuple[str, int]]"]


@pytest.fixture
def causes(database_url: str) -> Causes:
    """The causes of failures with these errors, and how often each."""

    def causes(*errors: str | None) -> list[tuple[str, int]]:
        with failures(database_url, list(errors)) as opened:
            opened.cursor.execute(FAILED.claim, PARAMETERS)
            claim = slack_notifier.claimed(opened, FAILED, PARAMETERS)
            assert claim
            for cause in claim.causes:
                # What PostgreSQL groups by is what the message shows.
                grouped_by = slack_notifier.task_text(cause["cause"].replace("~", "…"), slack_notifier.CAUSE_CHARACTERS)
                assert slack_notifier.cause_text(cause["error"]) == grouped_by or not grouped_by
            return [(slack_notifier.cause_text(cause["error"]), cause["total"]) for cause in claim.causes]

    return causes


def traceback(*last_lines: str) -> str:
    stack = '  File "/app/main.py", line 214, in process\n    pipeline.render(task_id)\n'
    return "\n".join(["Traceback (most recent call last):", stack.rstrip("\n"), *last_lines])


def texts(message: dict[str, Any]) -> list[str]:
    return [block["text"]["text"] for block in message["blocks"] if "text" in block]


def footer(message: dict[str, Any]) -> str:
    text: str = message["blocks"][-1]["elements"][0]["text"]
    return text


# ---- Which errors are one cause --------------------------------------------------------------------------------------

UUIDS = ("6f1c2a94-8d3b-4e57-9a60-2b7de15c0f83", "B04E7D15-52F9-4C0A-8F1E-C9A36D8420B7")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"task {UUIDS[0]} failed", f"task {UUIDS[1]} failed"),
        (f"scene_{UUIDS[0]}.mp4 is missing", f"scene_{UUIDS[1]}.mp4 is missing"),
        ("cannot read /tmp/render/a1/in.mp4", "cannot read /var/b/out-2.mp4"),
        ("cannot read /tmp", "cannot read /var"),
        ("cannot read render/a1/in.mp4: gone", "cannot read render/b2/other.mp4: gone"),
        (r"cannot read C:\render\a.mp4", r"cannot read D:\b.mp4"),
        ("no font 'Bangers'", "no font 'Arial Bold'"),
        ('no font "Bangers"', 'no font "Arial Bold"'),
        ("no font `Bangers`", "no font `Arial Bold`"),
        ("GET https://a.example/x?y=1 failed", "GET http://b.example/ failed"),
        ("GET s3://bucket/key failed", "GET s3://other failed"),
        ("after 100000 bytes", "after 99999 bytes"),
        ("frame 12345 lost", "frame 67890 lost"),
        ("object at 0x7f3a4c5d6e7f", "object at 0x7FFFFFFF0000"),
        ("commit 82a43db1", "commit 68fb2d570a"),
        ("digest 2f6d0c9b1e7a4835d2c6f09b8e1a7c35 differs", "digest 00000000000000000000000000000000 differs"),
    ],
)
def test_errors_that_differ_in_a_name_are_one_cause(causes: Causes, first: str, second: str) -> None:
    [(cause, total)] = causes(first, second)
    assert total == 2
    assert "…" in cause


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("HTTP 429", "HTTP 500"),
        ("HTTP 429 for https://a.example", "HTTP 500 for https://a.example"),
        ("ffmpeg exited with code 137", "ffmpeg exited with code 139"),
        ("Permission denied", "No space left on device"),
        ("KeyError: scenes", "KeyError: duration"),
    ],
)
def test_errors_that_differ_in_kind_are_two_causes(causes: Causes, first: str, second: str) -> None:
    assert sorted(causes(first, second)) == sorted([(causes(first, first)[0][0], 1), (causes(second, second)[0][0], 1)])


def test_tasks_without_an_error_are_one_cause(causes: Causes) -> None:
    assert sum(total for _, total in causes(None, None, "", "  \n")) == 4
    assert len(causes("", "  \n", "\t")) == 1


def test_an_unset_and_an_empty_error_are_one_cause(causes: Causes) -> None:
    assert len(causes(None, None, "", "  \n")) == 1


def test_the_most_frequent_cause_comes_first(causes: Causes) -> None:
    assert causes("a", "b", "b", "c", "b", "c") == [("b", 3), ("c", 2), ("a", 1)]


# ---- Which line of an error is its cause -----------------------------------------------------------------------------


def test_the_cause_is_the_exception_and_not_its_stack(causes: Causes) -> None:
    assert causes(traceback("RuntimeError: out of memory"), traceback("RuntimeError: out of memory", "")) == [
        ("RuntimeError: out of memory", 2)
    ]


def test_the_cause_is_what_stands_before_the_stack(causes: Causes) -> None:
    assert causes("Upload failed\n" + traceback("E: x"), "Upload failed\n" + traceback("E: y")) == [
        ("Upload failed", 2)
    ]


PIECES = st.sampled_from(
    [
        "Traceback (most recent call last):",
        "Traceback (most recent",
        "\n",
        "\r\n",
        "\t",
        " ",
        "  File x",
        "Error: é",
        "'",
    ]
) | st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(error=st.lists(PIECES, max_size=12).map("".join))
@example(error=traceback("RuntimeError: x"))
@example(error="\n\n" + traceback("RuntimeError: x") + "\n\n")
@example(error=traceback("first", "", "During handling", "") + traceback("last"))
def test_the_cause_is_the_line_that_the_task_shows(database_url: str, error: str) -> None:
    assert shown_cause(database_url, error) == slack_notifier.error_line(error)


def test_the_cause_of_a_long_last_line_is_the_line_that_the_task_shows(database_url: str) -> None:
    error = traceback("RuntimeError: ffmpeg failed: " + "frame dropped, " * 200)
    assert shown_cause(database_url, error) == slack_notifier.error_line(error)


def test_the_cause_of_an_error_of_megabytes_is_the_line_that_the_task_shows(database_url: str) -> None:
    stack = traceback(*["  stack"] * 300_000, "RuntimeError: the end")
    for error in ("x" * 2_000_000, stack, f"Upload failed\n{stack}", "y" * 30_000 + stack):
        assert shown_cause(database_url, error) == slack_notifier.error_line(error)


def shown_cause(database_url: str, error: str) -> str:
    """The cause as SQL picks it, before masking, shown as a task's error is."""
    with failures(database_url, [error]) as opened:
        opened.cursor.execute(slack_notifier.CLAIM_FAILED, PARAMETERS)
        more = {**PARAMETERS, "alerts": ["failed"], "listed": 20, "varying_words": NO_MASK, "varying_numbers": NO_MASK}
        [cause] = opened.fetch_all(slack_notifier.CLAIMED_CAUSES, more)
    return slack_notifier.task_text(cause["cause"], slack_notifier.ERROR_CHARACTERS) or "No error message"


# ---- Causes in the message -------------------------------------------------------------------------------------------


def fail_often(tasks: Any, error: str, count: int) -> None:
    tasks.execute(
        "INSERT INTO tasks (id, user_api_key, status, error, created_at, updated_at) "
        "SELECT md5(%(error)s || i), 'user-' || mod(i, 3), 'failed', %(error)s, now(), now() - interval '1 minute' "
        "FROM generate_series(1, %(count)s) AS i",
        {"error": error, "count": count},
    )


def cause_lines(message: dict[str, Any]) -> list[str]:
    found = [text for text in texts(message) if text.startswith("*Causes:*")]
    return found[0].split("\n")[1:] if found else []


def test_a_cause_names_count_users_and_a_sample(notifier: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    fail_often(tasks, "HTTP 500 for https://a.example", 30)
    fail_often(tasks, "HTTP 429 <&>", 2)
    assert notifier.send_failed_tasks_notification()
    first, second = cause_lines(slack.messages()[0])
    assert re.fullmatch(r"• 30 × HTTP 500 for … · 3 users · `[0-9a-f]{32}`", first)
    assert re.fullmatch(r"• 2 × HTTP 429 &lt;&amp;&gt; · 2 users · `[0-9a-f]{32}`", second)


SECRETS = {
    "xoxb-topsecret-aaa": "topsecret",
    "xoxb-123456789012-1234567890123-GhIjKlMnOpQrStUvWx": "GhIjKlMnOpQrStUvWx",
    "hunter2trump": "hunter2",
    "AKIAABCDEFGHIJKLMNOP": "AKIA",
    "AIzaSyA12345678-ghijklmnopqrstuvw": "ghijklmn",
    "sk-proj-12345678abcdef90GHIJKLMNOPQRSTUV": "GHIJKLMN",
    "eyJhbGciOi.eyJ12345678zdWIiOi.sIgNaTuRe": "sIgNaTuRe",
}


def test_causes_carry_no_secrets(notifier: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    for secret in SECRETS:
        fail_often(tasks, f"Login failed, password={secret}", 4)
        fail_often(tasks, f"Failed with Authorization: Bearer {secret}", 4)
        if secret != "hunter2trump":
            fail_often(tasks, f"Cannot log in with {secret} now", 4)
    assert notifier.send_failed_tasks_notification()
    assert len(cause_lines(slack.messages()[0])) > 10
    body = slack.requests[0].body.decode()
    assert not [secret for secret, piece in SECRETS.items() if piece in body]
    assert "[masked]" in body


def test_more_causes_than_fit_are_counted(notifier: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    for number in range(60):
        fail_often(tasks, f"error {number} " + "of many words " * 8, 2)
    assert notifier.send_failed_tasks_notification()
    *lines, more = cause_lines(slack.messages()[0])
    assert more == f"… and {60 - len(lines)} more causes"


def test_causes_that_take_too_long_do_not_hold_up_the_alert(
    notifier: SlackNotifier,
    slack: SlackStandIn,
    tasks: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    in_a_hurry = slack_notifier.CLAIMED_CAUSES.replace("timeout = '10s'", "timeout = '1ms'")
    assert in_a_hurry != slack_notifier.CLAIMED_CAUSES
    fail_often(tasks, "HTTP 500 for https://a.example", 5000)
    with monkeypatch.context() as patch:
        patch.setattr(slack_notifier, "CLAIMED_CAUSES", in_a_hurry)
        assert notifier.send_failed_tasks_notification()
    message = slack.messages()[0]
    assert message["text"].startswith("🚨 Failed Tasks Alert\n5000 tasks failed in the last 30 minutes:")
    assert cause_lines(message) == []
    assert "Grouping the causes took over 10 s: the alert goes out without them" in caplog.text
    assert notifier.send_failed_tasks_notification()
    assert len(slack.messages()) == 1


# ---- The share of failures -------------------------------------------------------------------------------------------


def test_the_share_counts_what_ended_in_the_window(notifier: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    for number in range(12):
        tasks.fail(user_api_key=f"user-{number % 3}")
    tasks.add("finished", updated=29)
    tasks.add("cancelled", updated=29)
    tasks.add("finished", updated=31)
    for waiting in ("queued", "in_progress", "inprogress"):
        tasks.add(waiting, created=1)
    assert notifier.send_failed_tasks_notification()
    assert footer(slack.messages()[0]).endswith(" · 12 of 14 ended tasks failed · 3 users")


def test_the_share_of_one_task_has_no_plural(notifier: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    tasks.fail()
    assert notifier.send_failed_tasks_notification()
    assert footer(slack.messages()[0]).endswith(" · 1 of 1 ended task failed · 1 user")


def test_a_users_share_counts_only_that_users_tasks(database_url: str, slack: SlackStandIn, tasks: Any) -> None:
    for user in ("user-a", "user-a", "user-b", "user-c"):
        tasks.fail(user_api_key=user)
        tasks.add("done", updated=5, user_api_key=user)
    settings = Settings(database_url=database_url, user_webhooks={"user-a": slack.webhook()})
    assert SlackNotifier(settings=settings).send_failed_tasks_notification()
    assert footer(slack.messages()[0]).endswith(" · 2 of 4 ended tasks failed · 1 user")


def test_the_share_of_a_catch_up_covers_its_span(notifier: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    assert notifier.send_failed_tasks_notification()
    tasks.execute("UPDATE slack_notifications SET event_at = now() - interval '5 hours'")
    for minutes in (5, 170):
        tasks.fail(updated=minutes)
    tasks.add("finished", updated=299)
    tasks.add("finished", updated=301)
    assert notifier.send_failed_tasks_notification()
    message = slack.messages()[0]
    assert "2 tasks failed since " in message["text"]
    assert footer(message).endswith(" · 2 of 3 ended tasks failed · 1 user")


# ---- Are the workers running? ----------------------------------------------------------------------------------------

DOWN = "No task has started or ended "


def stuck_message(notifier: SlackNotifier, slack: SlackStandIn) -> dict[str, Any]:
    assert notifier.send_stuck_tasks_notification(30)
    return slack.messages()[-1]


@pytest.mark.parametrize(("minutes", "shown"), [(29, False), (31, True)])
def test_workers_are_missed_where_the_last_task_started_long_ago(
    notifier: SlackNotifier, slack: SlackStandIn, tasks: Any, minutes: int, shown: bool
) -> None:
    tasks.add("queued", created=60)
    tasks.add("in_progress", created=90, started=minutes)
    assert (DOWN in stuck_message(notifier, slack)["text"]) is shown


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled"])
@pytest.mark.parametrize(("minutes", "shown"), [(29, False), (31, True)])
def test_workers_are_missed_where_the_last_task_ended_long_ago(
    notifier: SlackNotifier, slack: SlackStandIn, tasks: Any, status: str, minutes: int, shown: bool
) -> None:
    tasks.add("queued", created=60)
    tasks.add(status, created=200, updated=minutes)
    assert (DOWN in stuck_message(notifier, slack)["text"]) is shown


def test_workers_are_missed_where_no_task_ever_started(
    notifier: SlackNotifier, slack: SlackStandIn, tasks: Any
) -> None:
    tasks.add("queued", created=60)
    message = stuck_message(notifier, slack)
    assert "No task has started or ended yet: are the workers running?" in texts(message)
    assert "No task has started or ended yet: are the workers running?" in message["text"].split("\n")


def test_workers_are_not_missed_where_only_tasks_in_progress_are_stuck(
    notifier: SlackNotifier, slack: SlackStandIn, tasks: Any
) -> None:
    tasks.add("inprogress", created=90, started=80)
    assert DOWN not in stuck_message(notifier, slack)["text"]


def test_missed_workers_were_last_seen_at(notifier: SlackNotifier, slack: SlackStandIn, tasks: Any) -> None:
    tasks.add("queued", created="2025-09-01 12:00")
    tasks.add("finished", created="2025-09-01 10:00", updated="2025-09-01 11:58:59")
    tasks.add("in_progress", created="2025-09-01 10:00", started="2025-09-01 11:57")
    line = "No task has started or ended since 2025-09-01 11:58:59 UTC: are the workers running?"
    assert line in texts(stuck_message(notifier, slack))


def critical(database_url: str, slack: SlackStandIn, **changes: Any) -> SlackNotifier:
    all_day = slack_notifier.QuietHours(datetime.min.time(), datetime.max.time(), timezone.utc)
    settings = Settings(database_url=database_url, critical_mention="<!here>", quiet_hours=all_day, **changes)
    return SlackNotifier(settings=settings.with_webhook(slack.webhook()))


def test_missed_workers_are_critical(database_url: str, slack: SlackStandIn, tasks: Any) -> None:
    tasks.add("queued", created=60)
    assert critical(database_url, slack).send_stuck_tasks_notification(30)
    assert "<!here>" in pings(slack.messages()[0])


def test_one_stuck_task_of_running_workers_waits_for_the_morning(
    database_url: str, slack: SlackStandIn, tasks: Any
) -> None:
    tasks.add("queued", created=60)
    tasks.add("finished", updated=1)
    assert critical(database_url, slack).send_stuck_tasks_notification(30)
    assert slack.messages() == []


@pytest.mark.parametrize(("count", "sent"), [(9, 0), (10, 1)])
def test_many_failures_are_critical(database_url: str, slack: SlackStandIn, tasks: Any, count: int, sent: int) -> None:
    for _ in range(count):
        tasks.fail()
    assert critical(database_url, slack).send_failed_tasks_notification()
    assert len(slack.messages()) == sent
    assert all("<!here>" in pings(message) for message in slack.messages())
