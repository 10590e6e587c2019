"""One alert is one message that Slack takes, whatever and however many its tasks are."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from sandbox.rules import checked, texts_of
from slack_notifier import (
    LINK_CHARACTERS,
    MESSAGE_CHARACTERS,
    TEXT_CHARACTERS,
    Limits,
    Message,
    News,
    Style,
    failed_message,
    healed_message,
    recovered_message,
    stuck_message,
)

STUCK_QUEUED, STUCK_IN_PROGRESS = "stuck:queued", "stuck:in_progress"

NOW = datetime(2025, 9, 1, 12, 30, tzinfo=timezone.utc)


def fail(tasks: Any, count: int) -> None:
    """The higher the number in the id, the newer; four causes, in falling order."""
    tasks.execute(
        """
        INSERT INTO tasks (id, user_api_key, status, error, created_at, started_at, updated_at)
        SELECT 'task-' || lpad(i::text, 6, '0'), 'user-' || mod(i, 7), 'failed',
               CASE WHEN mod(i, 10) < 4 THEN 'HTTP 500 for https://storage.example/' || i
                    WHEN mod(i, 10) < 7 THEN 'ffmpeg exited with code 137 in /tmp/render/' || i
                    WHEN mod(i, 10) < 9 THEN 'no font ''' || i || '''' ELSE 'HTTP 429' END,
               now() - interval '1 hour', now() - interval '1 hour',
               now() - interval '20 minutes' * (%(count)s - i) / %(count)s
        FROM generate_series(1, %(count)s) AS i
        """,
        {"count": count},
    )


def listed(text: str) -> list[str]:
    return re.findall(r"(?m)^• (?:\*?Task ID:\*? )?`([^`]+)`", text)


def left_out(text: str) -> int:
    """The tasks that are only counted, in groups and with the causes that are not shown."""
    numbers = re.findall(r"^… and (\d+) more$|^… and \d+ more causes? \((\d+) tasks?\)$", text, re.MULTILINE)
    return sum(int(number or of_causes) for number, of_causes in numbers)


@pytest.mark.slow
def test_30_000_failures_are_one_message_of_causes_with_the_newest_of_each(unhurried, notifier, slack, tasks):
    fail(tasks, 30_000)
    assert notifier.send_combined_notification()["error"] is None
    [message] = slack.messages()
    for text in ("\n".join(texts_of(message["blocks"])), message["text"]):
        assert "30000 tasks failed in the last 30 minutes:" in text
        assert re.findall(r"(?m)^\*?(\d+) × (.+) · (\d+) users", text) == [
            ("12000", "HTTP 500 for …", "7"),
            ("9000", "ffmpeg exited with code 137 in …", "7"),
            ("6000", "no font '…'", "7"),
            ("3000", "HTTP 429", "7"),
        ]
        # The last digit of the number tells the cause.
        newest = [30_000, 29_993, 29_992, 29_996, 29_995, 29_994, 29_998, 29_997, 29_988, 29_999, 29_989, 29_979]
        assert listed(text) == [f"task-{number:06}" for number in newest]
        assert left_out(text) == 30_000 - len(newest)


@pytest.mark.slow
def test_30_000_stuck_tasks_are_one_message_with_the_oldest(unhurried, notifier, slack, tasks):
    tasks.execute(
        """
        INSERT INTO tasks (id, user_api_key, status, created_at, updated_at, started_at)
        SELECT 'task-' || lpad(i::text, 6, '0'), 'user', CASE WHEN i <= 20000 THEN 'queued' ELSE 'inprogress' END,
               now() - interval '2 hours' + i * interval '1 millisecond',
               now() - interval '1 hour' + i * interval '1 millisecond',
               CASE WHEN i > 20000 THEN now() - interval '1 hour' + i * interval '1 millisecond' END
        FROM generate_series(1, 30000) AS i
        """
    )
    assert notifier.send_combined_notification(30)["error"] is None
    [message] = slack.messages()
    for text in ("\n".join(texts_of(message["blocks"])), message["text"]):
        queued, in_progress = text.split("In Progress Tasks (10000):")
        assert "Queued Tasks (20000):" in queued
        for ids, first in ((listed(queued), 1), (listed(in_progress), 20_001)):
            assert len(ids) == 10
            assert ids == [f"task-{number:06}" for number in range(first, first + len(ids))]
        assert len(listed(text)) + left_out(text) == 30_000


# ---- Limits, as properties -------------------------------------------------------------------------------------------

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
MARKUP = ["&", "<", ">", "`", "*", "_", "|", "<!channel>", "&amp;", "```", "https://a.example/b c|d", "'", '"']
ODDITIES = ["\n", " ", "a", "é", "😀", FAMILY, "\u202e", "\x00", "\ud83d", "password=x", "/tmp/a", "\n… and 5 more"]
HOSTILE = st.sampled_from([*MARKUP, *ODDITIES, "Traceback (most recent call last):"])
WORDS = st.builds(lambda pieces, times: "".join(pieces) * times, st.lists(HOSTILE, max_size=8), st.integers(0, 400))
TIMES = st.none() | st.datetimes(timezones=st.none() | st.just(timezone.utc))
URIS = st.none() | WORDS | WORDS.map(lambda text: f"https://logs.example/?q={text}")
TASKS = st.fixed_dictionaries(
    {
        "id": st.none() | WORDS,
        "user_api_key": st.none() | WORDS,
        "status": st.sampled_from(["failed", "queued", "inprogress", "in_progress"]) | WORDS,
        "error": st.none() | WORDS,
        "log_uri": URIS,
        "created_at": TIMES,
        "updated_at": TIMES,
        "since": TIMES,
    }
)
CAUSES = st.fixed_dictionaries(
    {"total": st.integers(1, 10**7), "users": st.integers(1, 10**6), "before": st.none() | st.integers(0, 10**6)}
)
LINES = ["", "$id", "• $id $error $logs", "$error" * 15, "$logs\n$logs", "`$id` $user $age $created $status", " "]
TEMPLATES = st.sampled_from([*LINES, "x" * 4000])
STYLES = st.builds(Style, TEMPLATES, st.sampled_from(["", "<!here>", "<!subteam^S0123ABCD>"]), WORDS)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "never_started": st.none() | st.integers(0, 10**7),
        "last_activity": st.sampled_from([None, NOW, NOW - timedelta(days=900)]),
        "queued": st.integers(0, 10**7),
        "in_progress": st.integers(0, 10**7),
    },
) | st.fixed_dictionaries({name: st.integers(1, 10**7) for name in ("failed", "ended", "users")})


@st.composite
def claims(draw: st.DrawFn, alerts: tuple[str, ...]) -> News:
    """As the database gives them, failed ones of one cause: up to 20 tasks of each alert, of as many or more."""
    found: list[dict[str, Any]] = []
    total = 0
    for alert in alerts:
        # A few different ones, repeated: so that examples with many tasks are not rare.
        kinds = draw(st.lists(TASKS, min_size=1, max_size=4))
        count = draw(st.integers(1, 20))
        of_alert = draw(st.integers(20, 10**7)) if count == 20 else count
        total += of_alert
        found += [
            {**kinds[n % len(kinds)], "alert": alert, "cause": alert.partition(":")[2], "total": of_alert}
            for n in range(count)
        ]
    since = draw(st.none() | st.just(NOW - timedelta(days=40)))
    cause = {"cause": "", "total": total, "users": draw(st.integers(1, 10**7)), "before": None, "causes": 1}
    causes = [cause] if alerts == ("failed",) else ()
    return News(found, total, NOW, since, causes, draw(FACTS), draw(st.booleans()), draw(st.booleans()))


@st.composite
def claims_of_causes(draw: st.DrawFn) -> News:
    """Up to ten causes of as many or more, with up to three tasks of each."""
    kinds = draw(st.lists(TASKS, min_size=1, max_size=4))
    causes = [{**cause, "cause": str(n)} for n, cause in enumerate(draw(st.lists(CAUSES, min_size=1, max_size=10)))]
    found = [
        {**kinds[(n + i) % len(kinds)], "alert": "failed", "cause": cause["cause"], "total": cause["total"]}
        for n, cause in enumerate(causes)
        for i in range(min(cause["total"], 3))
    ]
    more = draw(st.integers(0, 10**6)) if len(causes) == 10 else 0
    total = sum(cause["total"] for cause in causes) + more
    rows = [{**cause, "causes": len(causes) + more} for cause in causes]
    return News(found, total, NOW, None, rows, draw(FACTS), draw(st.booleans()), draw(st.booleans()))


def assert_fits(message: Message) -> None:
    payload = checked(json.dumps(message.payload()).encode())
    assert units("".join(texts_of(message.blocks))) <= MESSAGE_CHARACTERS
    assert units(message.text) <= TEXT_CHARACTERS
    assert len(payload["blocks"]) <= 50
    for text in [message.text, *texts_of(message.blocks)]:
        assert_whole(text)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def assert_whole(text: str) -> None:
    """No entity, link or code span is cut: each ends in the line in which it begins."""
    assert not re.search(r"&(?!amp;|lt;|gt;)", text)
    for line in text.split("\n"):
        assert line.count("`") % 2 == 0
        assert re.sub(r"<[^<>]+>", "", line).count("<") == 0


@pytest.mark.parametrize(("letter", "errors"), [("x", 14), ("😀", 7)])
def test_tasks_of_the_longest_lines_are_as_many_as_fit(letter, errors):
    task = {"id": "a-task", "alert": "stuck", "cause": "queued", "total": 20, "error": letter * 300}
    claim = News([task] * 20, 20, NOW, None, (), {}, False, False)
    message = stuck_message(claim, Limits(30, 30), Style("$error" * errors, "", ""))
    assert_fits(message)
    assert left_out(message.text) == 19


@pytest.mark.parametrize(("characters", "in_blocks", "in_text"), [(600, 13, 5), (LINK_CHARACTERS, 6, 2)])
def test_as_many_causes_as_fit_have_a_task_and_then_as_many_as_fit_however_long_the_links(
    characters, in_blocks, in_text
):
    link = "https://logs.example/".ljust(characters, "x")
    names = list("abcdefghij")
    found = [
        {"id": f"task-{name}-{n}", "alert": "failed", "cause": name, "total": 30, "error": name, "log_uri": link}
        for name in names
        for n in range(3)
    ]
    causes = [{"cause": name, "total": 30, "users": 2, "before": 0, "causes": 12} for name in names]
    message = failed_message(News(found, 360, NOW, causes=causes), Limits(30, 30), Style())
    assert_fits(message)
    for text, most, limit in (
        ("\n".join(texts_of(message.blocks)), in_blocks, MESSAGE_CHARACTERS),
        (message.text, in_text, TEXT_CHARACTERS),
    ):
        shown = names[:most]
        assert re.findall(r"(?m)^\*?30 × (\w) · 2 users 🆕", text) == shown
        assert f"\n… and {12 - len(shown)} more causes ({360 - 30 * len(shown)} tasks)\n" in text
        assert len(listed(text)) == text.count(link) == most
        assert most + left_out(text) == 360
        # No cause has two tasks while another has none.
        assert {task.split("-")[1] for task in listed(text)} == set(shown)
        # There is no room for one more, besides that for its heading and longer numbers.
        assert limit - 200 < units(text) + units(f"• `task-a-0` unknown ago · <{link}|View Logs>\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "found"),
    [
        (failed_message, claims(("failed",)) | claims_of_causes()),
        (stuck_message, claims((STUCK_IN_PROGRESS, STUCK_QUEUED)) | claims((STUCK_QUEUED,))),
        (recovered_message, claims(("recovered",))),
        (healed_message, claims(("healed",))),
    ],
)
@tried(max_examples=40, deadline=None)
@given(st.data(), STYLES)
def test_an_alert_fits_whatever_the_tasks_hold_and_counts_them_all(build, found, data, style):
    claim = data.draw(found)
    message = build(claim, Limits(30, 30), style)
    assert_fits(message)
    if not style.task_template:
        for text in (message.text, "\n".join(texts_of(message.blocks))):
            assert len(listed(text)) + left_out(text) == claim.total
