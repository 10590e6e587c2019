"""What the alerts say of a claim, built in Python: layout, order and wording."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from sandbox.rules import texts_of
from slack_notifier import (
    CREATED,
    Limits,
    Message,
    News,
    Style,
    cannot_read_message,
    event_message,
    failed_message,
    healed_message,
    plain,
    recovered_message,
    stuck_message,
    workers_are_idle,
)

STUCK_QUEUED, STUCK_IN_PROGRESS = "stuck:queued", "stuck:in_progress"

NOW = datetime(2025, 9, 1, 12, 30, tzinfo=timezone.utc)
PLAIN = Style()
LIMITS = Limits(30, 30)


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def task(number: int, alert: str = "failed", **columns: Any) -> dict[str, Any]:
    return {
        "id": f"task-{number:03}",
        "user_api_key": "pr_live_4c81f0a27be9",
        "status": alert.partition(":")[2] or alert,
        "error": None,
        "log_uri": f"https://logs.example/{number}",
        "created_at": minutes_ago(number + 60),
        "updated_at": minutes_ago(number),
        "since": minutes_ago(number),
        "alert": alert,
        "cause": alert.partition(":")[2] or None,
        "total": 1,
        **columns,
    }


def failures(*causes: tuple[str, int, int, int | None], **more: Any) -> News:
    """Of each cause, given as error, tasks, users and how many were told before, its three newest tasks."""
    tasks, rows, number = [], [], 0
    for error, total, users, before in causes:
        rows.append({"cause": error, "total": total, "users": users, "before": before, "causes": len(causes)})
        for _ in range(min(total, 3)):
            number += 1
            tasks.append(task(number, error=error, cause=error, total=total))
    # As the database gives them: ten at most.
    return News(tasks, sum(row["total"] for row in rows), NOW, causes=rows[:10])._replace(**more)


def body(message: Message) -> list[str]:
    """The sections between title and context line, as plain text."""
    return [plain(text) for text in texts_of(message.blocks)][1:-1]


def lines(message: Message) -> list[str]:
    """Every line, of which text and blocks must hold the same."""
    shown = "\n".join(texts_of(message.blocks)).split("\n")
    assert plain("\n".join(shown)) == plain(message.text)
    return plain(message.text).split("\n")


# ---- Alerts of many --------------------------------------------------------------------------------------------------


def test_many_failures_stand_under_their_causes() -> None:
    claim = failures(
        ("ffmpeg exited with code 137", 27, 4, 0),
        ("HTTP 429", 18, 3, 16),
        ("no *.ttf", 2, 1, None),
        facts={"failed": 47, "ended": 50, "users": 5},
    )
    message = failed_message(claim, LIMITS, Style(mention="<!here>", environment="staging"))
    assert message.text == (
        "🚨 Failed Tasks Alert · staging\n"
        "47 tasks failed in the last 30 minutes: <!here>\n"
        "27 × ffmpeg exited with code 137 · 4 users 🆕\n"
        "• `task-001` 1 min ago · <https://logs.example/1|View Logs>\n"
        "• `task-002` 2 min ago · <https://logs.example/2|View Logs>\n"
        "• `task-003` 3 min ago · <https://logs.example/3|View Logs>\n"
        "… and 24 more\n"
        "18 × HTTP 429 · 3 users (34× in 7 days)\n"
        "• `task-004` 4 min ago · <https://logs.example/4|View Logs>\n"
        "• `task-005` 5 min ago · <https://logs.example/5|View Logs>\n"
        "• `task-006` 6 min ago · <https://logs.example/6|View Logs>\n"
        "… and 15 more\n"
        "2 × no ∗.ttf · 1 user\n"
        "• `task-007` 7 min ago · <https://logs.example/7|View Logs>\n"
        "• `task-008` 8 min ago · <https://logs.example/8|View Logs>\n"
        "Reported at 2025-09-01 12:30:00 UTC · 47 of 50 ended tasks failed · 5 users"
    )
    header, *sections, _ = message.blocks
    # An asterisk of a cause does not end its heading.
    assert header["text"]["text"] == "🚨 Failed Tasks Alert · staging"
    assert [section["text"]["text"].split("\n")[0] for section in sections] == [
        "*47 tasks failed in the last 30 minutes:* <!here>",
        "*27 × ffmpeg exited with code 137 · 4 users 🆕*",
        "*18 × HTTP 429 · 3 users (34× in 7 days)*",
        "*2 × no ∗.ttf · 1 user*",
    ]
    lines(message)


def stuck(queued: int, in_progress: int, **more: Any) -> News:
    tasks = [
        task(minutes, alert, status=status, total=total, since=minutes_ago(minutes + 40), created_at=minutes_ago(90))
        for alert, status, total in (
            (STUCK_QUEUED, "queued", queued),
            (STUCK_IN_PROGRESS, "inprogress", in_progress),
        )
        for minutes in range(min(total, 12))
    ]
    return News(tasks, queued + in_progress, NOW)._replace(**more)


def test_many_stuck_tasks_stand_under_their_status_with_how_long_they_have_been_waiting() -> None:
    claim = stuck(214, 4, facts={"last_activity": NOW, "queued": 230, "in_progress": 9})
    message = stuck_message(claim, LIMITS, PLAIN)
    found = lines(message)
    assert found[:4] == [
        "⚠️ Stuck Tasks Alert",
        "218 tasks stuck for more than 30 minutes:",
        "Queued Tasks (214):",
        "• `task-000` for 40 min · View Logs (https://logs.example/0)",
    ]
    assert found[11:16] == [
        "• `task-008` for 48 min · View Logs (https://logs.example/8)",
        "• `task-009` for 49 min · View Logs (https://logs.example/9)",
        "… and 204 more",
        "In Progress Tasks (4):",
        "• `task-000` for 40 min · View Logs (https://logs.example/0)",
    ]
    assert found[-1] == "Reported at 2025-09-01 12:30:00 UTC · 230 queued · 9 in progress in all"
    assert [text.split("\n")[0] for text in body(message)[1:]] == ["Queued Tasks (214):", "In Progress Tasks (4):"]


def test_five_tasks_have_five_lines_each_and_six_have_one() -> None:
    five = failed_message(failures(("HTTP 500", 3, 1, 0), ("HTTP 429", 2, 2, 7)), LIMITS, PLAIN)
    assert len(body(five)) == 1 + 5
    assert all(len(text.split("\n")) == 5 for text in body(five)[1:])
    errors = re.findall("Error: (.*)", plain(five.text))
    assert errors == ["HTTP 500 🆕"] * 3 + ["HTTP 429 (9× in 7 days)"] * 2
    assert "×" not in lines(five)[1]
    assert len(body(stuck_message(stuck(4, 1), LIMITS, PLAIN))) == 1 + 2 + 5
    assert not re.search("Task ID", stuck_message(stuck(4, 2), LIMITS, PLAIN).text)


@pytest.mark.parametrize(
    ("before", "mark", "mark_of_six"),
    [(None, "", ""), (0, " 🆕", " 🆕"), (1, " (2× in 7 days)", " (7× in 7 days)")],
)
def test_an_error_says_whether_it_is_known(before: int | None, mark: str, mark_of_six: str) -> None:
    claim = failures(("HTTP 500", 1, 1, before))
    assert f"  Error: HTTP 500{mark}" in lines(failed_message(claim, LIMITS, PLAIN))
    # Also where a template takes the place of a line.
    six = failed_message(failures(("HTTP 500", 6, 1, before)), LIMITS, Style("$id of $user: $error $seen"))
    assert f"task-001 of pr_live_...: HTTP 500{mark_of_six}" in lines(six)
    unknown = claim._replace(tasks=[{**claim.tasks[0], "cause": None}])
    assert "  Error: HTTP 500" in lines(failed_message(unknown, LIMITS, PLAIN))


def test_groups_that_do_not_fit_a_section_are_split_between_lines() -> None:
    tasks = [task(n, STUCK_QUEUED, total=10, log_uri="https://logs.example/" + "x" * 600) for n in range(10)]
    sections = body(stuck_message(News(tasks, 10, NOW), LIMITS, PLAIN))[1:]
    assert len(sections) == 3
    assert all(line.startswith(("•", "Queued")) for text in sections for line in text.split("\n"))


# ---- The summary -----------------------------------------------------------------------------------------------------

LONG_AGO = minutes_ago(300)


@pytest.mark.parametrize(
    ("build", "total", "changes", "summary"),
    [
        (failed_message, 1, {}, "1 task failed in the last 30 minutes:"),
        (failed_message, 1, {"others_reported": True}, "1 more task failed in the last 30 minutes:"),
        (failed_message, 3, {"others_reported": True}, "3 more tasks failed in the last 30 minutes:"),
        (failed_message, 3, {"since": LONG_AGO}, "3 tasks failed since 2025-09-01 07:30:00 UTC:"),
        (failed_message, 200_000, {"partial": True, "others_reported": True, "since": LONG_AGO},
         "200000 tasks and more failed since 2025-09-01 07:30:00 UTC:"),
        (stuck_message, 200_000, {"partial": True}, "200000 tasks and more stuck for more than 30 minutes:"),
    ],
)  # fmt: skip
def test_the_summary_says_how_many_and_since_when(
    build: Any, total: int, changes: dict[str, Any], summary: str
) -> None:
    claim = stuck(total, 0) if build is stuck_message else failures(("E", total, 1, None))
    assert lines(build(claim._replace(**changes), LIMITS, PLAIN))[1] == summary


def test_the_summary_says_minute_of_one() -> None:
    assert lines(stuck_message(stuck(1, 0), Limits(1, 1), PLAIN))[1] == "1 task stuck for more than 1 minute:"


# ---- Are the workers running? ----------------------------------------------------------------------------------------

DOWN = "No task has started or ended since 2025-09-01 11:59:00 UTC: are the workers running?"


@pytest.mark.parametrize(
    ("facts", "idle"),
    [
        *[(facts, False) for facts in ({}, {"never_started": 3}, {"last_activity": LONG_AGO})],
        *[({"never_started": count, "last_activity": LONG_AGO}, False) for count in (0, None)],
        ({"never_started": 1, "last_activity": None}, True),
    ],
)
def test_workers_are_missed_only_where_it_is_known(facts: dict[str, Any], idle: bool) -> None:
    assert workers_are_idle(failures(("E", 1, 1, None), facts=facts), LIMITS) is idle


def test_workers_that_never_showed_are_missed_in_both_alerts() -> None:
    yet = "No task has started or ended yet: are the workers running?"
    facts = {"never_started": 1, "last_activity": None}
    assert yet in lines(failed_message(failures(("E", 1, 1, None), facts=facts), LIMITS, PLAIN))
    assert yet in lines(stuck_message(stuck(1, 0, facts={"last_activity": None}), LIMITS, PLAIN))
    assert yet not in lines(stuck_message(stuck(0, 1, facts={"last_activity": None}), LIMITS, PLAIN))


def test_figures_that_could_not_be_found_are_not_shown() -> None:
    for message in (
        failed_message(failures(("E", 9, 1, None)), LIMITS, PLAIN),
        stuck_message(stuck(9, 9), LIMITS, PLAIN),
    ):
        assert lines(message)[-1] == "Reported at 2025-09-01 12:30:00 UTC"


# ---- Recovered, and titles -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "title", "summary", "took"),
    [
        (recovered_message, "✅ Stuck Tasks Recovered", "no longer stuck:", "stuck for 1 h 20 min"),
        (healed_message, "✅ Failed Tasks Recovered", "no longer failed:", "1 h 20 min after it failed"),
    ],
)
def test_recovered_tasks_are_named_with_how_long_it_took(build: Any, title: str, summary: str, took: str) -> None:
    times = {"began": minutes_ago(90), "since": minutes_ago(10)}
    tasks = [task(number, status="finished", **times) for number in range(1, 31)]
    few, many = build(News(tasks[:1], 1, NOW), LIMITS, PLAIN), build(News(tasks, 30, NOW), LIMITS, PLAIN)
    first = f"• `task-001` is finished · {took}"
    assert lines(few) == [title, f"1 task {summary}", first, "Reported at 2025-09-01 12:30:00 UTC"]
    assert lines(many)[1] == f"30 tasks {summary}"
    assert lines(many)[-3:-1] == [f"• `task-020` {took}", "… and 10 more"]


def test_the_environment_stands_in_every_title() -> None:
    style = Style(environment="staging <&>`")
    created = {"id": "a", "user_api_key": "key", "payload": None, "log_uri": None}
    event = event_message(CREATED, created, NOW, style.environment)
    alerts = [
        build(claim, LIMITS, style)
        for build, claim in (
            (failed_message, failures(("E", 1, 1, None))),
            (stuck_message, stuck(1, 0)),
            (recovered_message, News([task(1)], 1, NOW)),
            (healed_message, News([task(1)], 1, NOW)),
        )
    ]
    for message in (*alerts, event, cannot_read_message("gone", 3, NOW, style.environment)):
        assert lines(message)[0].endswith(" · staging '")
        assert message.blocks[0]["text"]["text"] == lines(message)[0]
