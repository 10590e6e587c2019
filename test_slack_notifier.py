"""Alerts, settings, database errors and the command line: python test_slack_notifier.py"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

try:
    import pytest
    from hypothesis import HealthCheck, example, given
    from hypothesis import settings as hypothesis_settings
    from hypothesis import strategies as st
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}: {sys.executable} -m pip install -r requirements-dev.txt")

import slack_notifier
from sandbox.postgres import create_database, create_tasks_table, database_name, drop_database, elapse, url_of
from sandbox.rules import texts_of
from sandbox.slack import SlackStandIn, pings
from slack_notifier import (
    Settings,
    SlackNotifier,
    error_line,
    format_age,
    format_time,
    label,
    log_link,
    mask_key,
    plural,
    shorten,
    task_text,
)

SENT = "Slack message sent successfully"
# The start of a destination's fingerprint.
MARK = r"\([0-9a-f]{6}\)"
NOT_SET = "SLACK_WEBHOOK environment variable not set"
NOT_SENT = "Failed to send Slack message"
NOTHING = "No failed or stuck tasks to report"

FAILED_TITLE = "🚨 Failed Tasks Alert"
STUCK_TITLE = "⚠️ Stuck Tasks Alert"

HERE = Path(__file__).parent


def titles(slack: SlackStandIn, channel: str = "alerts") -> list[str]:
    return [message["text"].splitlines()[0] for message in slack.messages(channel)]


def only(slack: SlackStandIn) -> dict[str, Any]:
    (message,) = slack.messages()
    return message


def block_texts(message: dict[str, Any]) -> list[str]:
    return list(texts_of(message["blocks"]))


def characters(text: str) -> int:
    """As Slack may count them: in UTF-16."""
    return len(text.encode("utf-16-le")) // 2


def logged(log: str, level: str) -> list[str]:
    """The distinct messages of that level in a program's log."""
    return list(dict.fromkeys(re.findall(rf"^\S+ \S+ {level} (.*)$", log, re.MULTILINE)))


# ---- Text --------------------------------------------------------------------------------------------------------


STACK = "Traceback (most recent call last):\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        *[(nothing, "No error message") for nothing in (None, "", " \n\t ", "\u200b\u202e\x00")],
        ("a\n\n  b\t c\r\nd", "a b c d"),
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("&amp;", "&amp;amp;"),
        ("<!channel> <@U123>", "&lt;!channel&gt; &lt;@U123&gt;"),
        ("<https://evil|click>", "&lt;https://evil|click&gt;"),
        ("```x```", "'''x'''"),
        ("red\x1b[31m\x07 bell", "red bell"),
        ("abc\u202edef\u2066ghi\u200e", "abcdefghi"),
        ("😀 Zoë 中文", "😀 Zoë 中文"),
        ("half \ud83d pair", "half pair"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "..."),
        # It is cut before it is escaped.
        ("&" * 300, "&amp;" * 200 + "..."),
        (f"{STACK}{'  File a' * 9000}\nValueError: at the end", "ValueError: at the end"),
        (f"{STACK}  f()\nValueError: {'y' * 30_000}", "ValueError: " + "y" * 118 + "..." + "y" * 70),
    ],
)
def test_error_line_tells_what_went_wrong(error, line):
    assert error_line(error) == line


def test_the_cut_of_a_long_error_leaves_no_piece_of_a_secret():
    assert label("x" + " " * 1985 + "AKIAIOSFODNN7EXAMPLE") == "x"
    assert error_line("x" + " " * 1985 + "AKIAIOSFODNN7EXAMPLE") == "x [masked]"
    assert "AKIA" not in error_line("x " * 95 + "AKIAIOSFODNN7EXAMPLE")
    assert "AKIA" not in task_text("x " * 28 + "AKIAIOSFODNN7EXAMPLE")
    assert "MIIE" not in error_line("-----BEGIN PRIVATE KEY-----MIIEvQIBADANBg" + "k" * 200)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("test-api-key-12345", "test-api..."), ("123456789012", "12345678..."), ("12345678901", "12345..."),
        ("abcd", "ab..."), ("a", "..."), ("&&&&&&&&&&&&", "&amp;" * 8 + "..."),
    ],
)  # fmt: skip
def test_masked_key_shows_its_start(key, shown):
    assert mask_key(key) == shown


CONSOLE = "https://console.cloud.google.com/logs/query;query=" + "a%3D%22b%22" * 50


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("https://logs.example.com/a", "<https://logs.example.com/a|View Logs>"),
        ("http://logs.example.com", "<http://logs.example.com|View Logs>"),
        (" https://logs.example.com/a\n", "<https://logs.example.com/a|View Logs>"),
        ("https://x/?a=1&b=2", "<https://x/?a=1&amp;b=2|View Logs>"),
        ("https://x/a|Click here", "<https://x/a%7CClick%20here|View Logs>"),
        ("https://x/a><!channel>", "<https://x/a%3E%3C!channel%3E|View Logs>"),
        ("https://x/query;a%3D%22b%22", "<https://x/query;a%3D%22b%22|View Logs>"),
        ("https://x/ü`\x00", "<https://x/%C3%BC%60%00|View Logs>"),
        *[(uri, "") for uri in (None, "", "https://", "https:///path", "gs://bucket/log", "/var/log/task.log")],
        *[(uri, "") for uri in ("javascript:alert(1)", "JavaScript:https://x/")],
        # A login is a secret.
        *[(f"https://{login}@logs.example.com/a", "") for login in ("user:topsecret", "topsecret", "user:topse\\cret")],
        ("https://logs.example.com?user=a@b", "<https://logs.example.com?user=a@b|View Logs>"),
        ("https://logs.example.com/a@b", "<https://logs.example.com/a@b|View Logs>"),
        # As a console has them.
        (CONSOLE, f"<{CONSOLE}|View Logs>"),
    ],
)
def test_log_link_is_a_link_only_where_the_uri_is_one(uri, link):
    assert log_link(uri, "View Logs") == link


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2025, 9, 1, 12, 0, 0), "2025-09-01 12:00:00 UTC"),
        (datetime(2025, 9, 1, 12, 0, 0, 999_999, tzinfo=timezone.utc), "2025-09-01 12:00:00 UTC"),
        (datetime(2025, 9, 1, 21, 0, tzinfo=timezone(timedelta(hours=9))), "2025-09-01 12:00:00 UTC"),
        (datetime(2025, 8, 31, 20, 0, tzinfo=timezone(timedelta(hours=-4))), "2025-09-01 00:00:00 UTC"),
        (None, "unknown"),
    ],
)
def test_time_is_shown_in_utc(moment, text):
    assert format_time(moment) == text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (-5, "0 min"), (0.99, "0 min"), (59.9, "59 min"), (60, "1 h 0 min"), (24 * 60 - 1, "23 h 59 min"),
        (24 * 60, "1 d 0 h"), (52 * 60 + 59, "2 d 4 h"),
    ],
)  # fmt: skip
def test_age_is_in_whole_minutes_hours_and_days(minutes, text):
    now = datetime(2025, 9, 1, 12, 0)
    assert format_age(None, now) == format_age(now, None) == "unknown"
    assert format_age(now - timedelta(minutes=minutes), now.replace(tzinfo=timezone.utc)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", ""), ("abcde", "abcde"), ("abcdef", "abcde..."), ("abcd fgh", "abcd..."), ("😀" * 6, "😀" * 5 + "...")],
)
def test_text_is_cut_only_where_it_is_too_long(text, shown):
    assert shorten(text, 5) == shown


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 tasks"), (1, "1 task"), (1.5, "1.5 tasks"), (30.0, "30 tasks"), (200_000, "200000 tasks")],
)
def test_one_task_has_no_plural(count, text):
    assert plural(count, "task") == text


# ---- Messages ----------------------------------------------------------------------------------------------------


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text)}


def expected_message(title: str, sections: list[Any], footer: str) -> dict[str, Any]:
    """What Slack must get; a section is its text, or a list of fields."""
    blocks = [
        {"type": "section", "fields": [*map(mrkdwn, text)]} if isinstance(text, list) else section(text)
        for text in sections
    ]
    lines = [" | ".join(text) if isinstance(text, list) else text for text in sections]
    return {
        "text": "\n".join([title, *lines, footer]).replace("*", ""),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}},
            *blocks,
            {"type": "context", "elements": [mrkdwn(footer)]},
        ],
    }


def is_now(said: str, minutes_ago: float = 0) -> bool:
    """Whether it is the present time in UTC, give or take what a slow machine needs."""
    moment = datetime.strptime(said, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return abs((datetime.now(timezone.utc) - moment).total_seconds() - 60 * minutes_ago) < 60


def footer_of(message: dict[str, Any]) -> str:
    """The context line with the time of the report, which must be of now."""
    footer = message["blocks"][-1]["elements"][0]["text"]
    assert is_now(re.match("Reported at (.*) UTC", footer)[1])
    return footer


def test_failed_alert_is_as_documented(tasks, notifier, slack):
    tasks.fail(
        id="abc123-def456",
        created="2025-09-01 12:00:00",
        error="Captacity subtitle generation failed: Permission denied",
        log_uri="https://logs.example.com/?task=abc123&x=1",
    )
    assert notifier.send_failed_tasks_notification() is True
    message = only(slack)
    sections = [
        "*1 task failed in the last 30 minutes:*",
        "• *Task ID:* `abc123-def456`\n"
        "  *Status:* failed · 5 min ago\n"
        "  *Created:* 2025-09-01 12:00:00 UTC\n"
        "  *Error:* Captacity subtitle generation failed: Permission denied\n"
        "  *Logs:* <https://logs.example.com/?task=abc123&amp;x=1|View Logs>",
    ]
    assert message == expected_message(FAILED_TITLE, sections, footer_of(message))


def test_stuck_alert_is_as_documented(tasks, notifier, slack):
    tasks.add("queued", id="q-2", created="2025-09-01 12:00:00")
    tasks.add("queued", id="q-1", created="2025-09-01 11:00:00")
    tasks.add("inprogress", id="p-1", created="2025-09-01 10:00:00", started="2025-09-01 10:30:00", error="slow")
    tasks.add("finished", updated=1)
    assert notifier.send_stuck_tasks_notification(45) is True
    message = only(slack)

    def age_of(task: str) -> str:
        return re.search(rf"`{task}`\n  Status: \w+ · (for \d+ d \d+ h)\n", message["text"])[1]

    def lines(task: str, status: str, created: str, error: str) -> str:
        return (
            f"• *Task ID:* `{task}`\n  *Status:* {status} · {age_of(task)}\n  *Created:* 2025-09-01 {created} UTC\n"
            f"  *Error:* {error}\n  *Logs:* No logs available"
        )

    sections = [
        "*3 tasks stuck for more than 45 minutes:*",
        "*Queued Tasks (2):*",
        lines("q-1", "queued", "11:00:00", "No error message"),
        lines("q-2", "queued", "12:00:00", "No error message"),
        "*In Progress Tasks (1):*",
        lines("p-1", "in_progress", "10:00:00", "slow"),
    ]
    assert message == expected_message(STUCK_TITLE, sections, footer_of(message))


def test_failed_tasks_are_listed_newest_first_and_stuck_ones_oldest_first(tasks, notifier, slack):
    for minutes, error in ((20, "no font"), (5, "no codec"), (15, "no space"), (10, "no font")):
        tasks.fail(id=f"failed-{minutes}", updated=minutes, error=error)
    for minutes in (50, 90, 70):
        tasks.add("queued", id=f"queued-{minutes}", created=minutes)
        tasks.add("in_progress", id=f"started-{minutes}", created=100 - minutes / 10, started=minutes)
    notifier.send_combined_notification()
    failed, stuck = (re.findall(r"\w+-\d+(?=`)", message["text"]) for message in slack.messages())
    assert failed == ["failed-5", "failed-10", "failed-15", "failed-20"]
    assert stuck == [f"{status}-{minutes}" for status in ("queued", "started") for minutes in (90, 70, 50)]


def assert_complete(message: dict[str, Any], count: int) -> None:
    """Text and blocks each tell of every task, by listing or counting it, and fit."""
    texts = block_texts(message)
    for text in (message["text"], "\n".join(texts).replace("*", "")):
        assert re.search(rf"^{count} tasks? (failed|stuck) ", text, re.MULTILINE)
        more = re.findall(r"^… and (?:\d+ more causes? \()?(\d+) (?:more|tasks?\))$", text, re.MULTILINE)
        assert len(re.findall("^• ", text, re.MULTILINE)) + sum(map(int, more)) == count
        assert re.search(r"\nReported at .*\Z", text)
    assert characters(message["text"]) <= 3900
    assert sum(map(characters, texts)) <= 9000


NASTY = [
    "", " ", "`" * 500, "``` ` ```", "&" * 20_000, "😀" * 20_000, "😀👩‍👩‍👧🇨🇭" * 100, "x\r\ny\u2028z",
    "<!channel> <!here> <!everyone> <@U012AB3CD> <!subteam^S012AB3CD>", "<https://evil.example.com|View Logs>",
    "https://x/|View Logs> <!here>", "&amp; &lt; & < > \" '", "\x01\x07\x1b[31m\x7f\x85", "\u202e\u2066\u200f\u061c",
    "javascript:alert(1)", "*bold* _it_ ~no~\n> quote\n• list",
]  # fmt: skip


def test_nasty_task_text_is_accepted_pings_nobody_and_fakes_no_link(tasks, notifier, slack):
    for text in NASTY:
        # An id of kilobytes cannot be told.
        tasks.fail(id=text[:400] or "empty", error=text, log_uri=text)
    assert notifier.send_failed_tasks_notification(), slack.requests[-1].reason
    message = only(slack)
    assert not pings(message)
    assert_complete(message, len(NASTY))
    for line in "\n".join(block_texts(message)).split("\n"):
        assert line.count("`") in (0, 2)
        for link in re.findall("<.*?>", line):
            assert re.fullmatch(r"<https://x/%7CView%20Logs%3E%20%3C!here%3E\|View Logs>", link)


def test_task_with_an_id_of_kilobytes_is_listed_too(tasks, notifier, slack):
    tasks.fail(id="é" * 3000, updated=6)
    tasks.fail(id="good")
    assert notifier.send_combined_notification()["failed_tasks_count"] == 2
    assert re.findall("Task ID: `(.*)`", only(slack)["text"]) == ["good", "é" * 64 + "..."]


PG_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60), st.sampled_from(NASTY)
)
FAR_TIMES = ["infinity", "-infinity", "4713-01-01 BC", "12000-01-01", "0001-01-01", "9999-12-31 23:59:59.999999"]
PG_TIMES = st.integers(0, 100) | st.datetimes().map(datetime.isoformat) | st.sampled_from(FAR_TIMES)
ROWS = st.fixed_dictionaries(
    {
        "id": PG_TEXT.filter(bool),
        "status": st.sampled_from(["failed", "failed", "queued", "in_progress", "inprogress"]) | PG_TEXT,
        "created": PG_TIMES,
        "updated": PG_TIMES,
    },
    optional={"started": PG_TIMES, "error": PG_TEXT, "log_uri": PG_TEXT | PG_TEXT.map("https://x/{}".format)},
)
FAR_ROW = {"id": "far", "status": "failed", "created": "4713-01-01 BC", "updated": "infinity"}
TRIED = hypothesis_settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.slow
@TRIED
@given(rows=st.lists(ROWS, max_size=6, unique_by=lambda row: row["id"]))
@example(
    rows=[FAR_ROW, {**FAR_ROW, "id": "later", "created": "12000-01-01"}, {**FAR_ROW, "id": "x", "created": "infinity"}]
)
@example(rows=[{"id": "old", "status": "queued", "created": "-infinity", "updated": "-infinity"}])
def test_task_of_any_content_is_accepted_and_pings_nobody(tasks, notifier, slack, rows):
    tasks.clear()
    tasks.execute("DROP TABLE IF EXISTS slack_notifications")
    slack.clear()
    for row in rows:
        tasks.add(**row)
    result = notifier.send_combined_notification()
    assert result["error"] is None, slack.requests[-1].reason
    counts = [result["failed_tasks_count"], result["stuck_tasks_count"]]
    assert len(slack.messages()) == sum(map(bool, counts))
    for message, count in zip(slack.messages(), filter(None, counts)):
        assert not pings(message)
        assert_complete(message, count)


# ---- Tasks and time ----------------------------------------------------------------------------------------------


def test_failed_task_counts_for_30_minutes(tasks, notifier):
    recent = tasks.fail(created=500, started=400, updated=29)
    tasks.fail(created=29, updated=31)
    assert [task["id"] for task in notifier.get_failed_tasks_last_30min()] == [recent]


# The last sign of life: 31 or 29 minutes ago.
AGO = "ago"


@pytest.mark.parametrize(
    ("status", "times"),
    [
        ("queued", {"created": AGO}),
        ("queued", {"created": 500, "started": 400, "updated": AGO}),
        ("queued", {"created": AGO, "updated": 500}),
        ("in_progress", {"created": 500, "started": AGO}),
        ("in_progress", {"created": 500, "started": AGO, "updated": 400}),
        ("in_progress", {"created": 500, "started": 400, "updated": AGO}),
        ("in_progress", {"created": AGO}),
        ("inprogress", {"created": 500, "started": AGO}),
    ],
    ids=str,
)
def test_task_is_stuck_after_the_timeout_without_a_sign_of_life(tasks, notifier, status, times):
    for over in ("failed", "finished", "cancelled"):
        tasks.add(over, created=500, updated=400)
    stuck, _ = (
        tasks.add(status, **{name: minutes if ago == AGO else ago for name, ago in times.items()})
        for minutes in (31, 29)
    )
    assert [found["id"] for found in notifier.get_stuck_tasks()] == [stuck]


def test_task_dict_has_the_documented_keys_and_reading_it_sends_nothing(tasks, notifier, slack):
    # Of many bytes and few characters.
    row = {"id": "t", "error": "渲染失败" * 2_000, "log_uri": "https://x", "user_api_key": "k"}
    tasks.fail(**row, created="2025-09-01 12:00:00")
    tasks.add("queued", created=60)
    (task,), (stuck,) = notifier.get_failed_tasks_last_30min(), notifier.get_stuck_tasks()
    assert {*task} == {*stuck} == {*row, "status", "created_at", "updated_at"}
    assert {name: task[name] for name in (*row, "status")} == {**row, "status": "failed"}
    assert format_time(task["created_at"]) == "2025-09-01 12:00:00 UTC"
    assert isinstance(task["updated_at"], datetime)
    assert slack.requests == []


@pytest.mark.parametrize(
    ("created", "line"), [("2025-09-01 12:00:00", "*Created:* 2025-09-01 12:00:00 UTC"), (None, "*Created:* unknown")]
)
def test_formatted_task_is_what_the_alert_lists(tasks, notifier, slack, created, line):
    tasks.execute("ALTER TABLE tasks ALTER created_at DROP NOT NULL")
    tasks.fail(id="<a>", error="b & c", log_uri="https://x/", created=created)
    (task,) = notifier.get_failed_tasks_last_30min()
    notifier.send_failed_tasks_notification()
    listed = block_texts(only(slack))[2]
    # The one that is formatted has no clock.
    assert notifier.format_task_info(task) == listed.replace(" · 5 min ago", "")
    assert line in listed


ZONES = ["UTC", "Asia/Tokyo", "America/New_York"]


@pytest.fixture(scope="module", params=["timestamp", "timestamptz"])
def typed_database(request, server_url):
    url = create_database(server_url)
    create_tasks_table(url, request.param)
    yield url
    drop_database(url)


@pytest.mark.parametrize(
    ("session", "server"),
    [(zone, "UTC") for zone in ZONES] + [(None, zone) for zone in ZONES[1:]] + [("Asia/Tokyo", "America/New_York")],
)
def test_time_zones_change_nothing(run, slack, typed_database, make_tasks, session, server):
    tasks = make_tasks(typed_database)
    tasks.execute("DELETE FROM tasks; DROP TABLE IF EXISTS slack_notifications")
    tasks.execute(f"ALTER DATABASE \"{database_name(typed_database)}\" SET timezone = '{server}'")
    for minutes in (29, 31):
        tasks.fail(id=f"failed-{minutes}", updated=minutes, created="2025-09-01 12:00:00")
        tasks.add("queued", id=f"queued-{minutes}", created=minutes)
        tasks.add("in_progress", id=f"started-{minutes}", created=minutes + 60, started=minutes)
    tasks.add("queued", id="queued-long-ago", created="2025-03-30 01:30:00")
    zone = {"PGTZ": session, "TZ": session} if session else {}

    def reported() -> str:
        slack.clear()
        assert run(DATABASE_URL=typed_database, SLACK_WEBHOOK=slack.webhook(), **zone).code == 0
        return "\n".join(message["text"] for message in slack.messages() if footer_of(message))

    text = reported()
    assert re.findall("`(.*)`", text) == ["failed-29", "queued-long-ago", "queued-31", "started-31"]
    assert "failed-29`\n  Status: failed · 29 min ago\n  Created: 2025-09-01 12:00:00 UTC\n" in text
    assert re.search("queued-long-ago`\n  Status: queued · for .*\n  Created: 2025-03-30 01:30:00 UTC\n", text)
    elapse(tasks.connection, 100)
    tasks.fail(id="late", updated=90)
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE status <> 'failed'")
    text = reported()
    assert is_now(re.search("(?m)^1 task failed since (.*) UTC:\n• Task ID: `late`", text)[1], minutes_ago=100)
    assert "3 tasks no longer stuck:\n" in text


# ---- Database errors ---------------------------------------------------------------------------------------------


CHECK = ".*; check DATABASE_URL"
# What makes the database unreadable: the URL, given a role without rights and the right URL; a statement; the error.
UNREADABLE = {
    # Port 1 belongs to nobody.
    "unreachable": (lambda role, _: re.sub(r":\d+(?=/)", ":1", role.url), "", f"Cannot connect .*refused{CHECK}"),
    "wrong password": (lambda role, _: role.url.replace(role.password, "other"), "",
                       f"Cannot connect .*authentication failed{CHECK}"),
    "missing database": (lambda _, url: url_of(url, database="sandbox_none"), "",
                         f"Cannot connect .*does not exist{CHECK}"),
    "missing right": (lambda role, _: role.url, "", ".* may not read id, .* of tasks; GRANT SELECT ON tasks .*"),
    "missing table": (lambda _, url: url, "DROP TABLE tasks",
                      r"Cannot read the tasks: \w+ finds no table tasks; is this .*"),
    "missing column": (lambda _, url: url, "ALTER TABLE tasks DROP log_uri",
                       "Cannot read the tasks: the table tasks lacks log_uri; .*"),
    "missing URL": (lambda *_: "", "", "DATABASE_URL environment variable not set"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("trouble", UNREADABLE)
def test_unreadable_database_is_one_clear_line_and_never_raises(cli, slack, caplog, tasks, role, database_url, trouble):
    tasks.fail()
    url_of_trouble, statement, line = UNREADABLE[trouble]
    url = url_of_trouble(role, database_url)
    if statement:
        tasks.execute(statement)
    done = cli(DATABASE_URL=url, DEBUG="true")
    (error,) = logged(done.log, "ERROR")
    assert done.code == (1 if url else 2)
    assert re.fullmatch(line, error)
    assert "password" not in error.replace("password authentication failed", "")
    assert NOTHING not in done.log
    notifier = SlackNotifier(slack.webhook(), settings=Settings.from_environment({"DATABASE_URL": url}))
    assert notifier.get_failed_tasks_last_30min() == []
    assert notifier.get_stuck_tasks() == []
    assert notifier.send_failed_tasks_notification() is False
    assert notifier.send_stuck_tasks_notification() is False
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 4
    assert all(re.fullmatch(line, error) for error in errors)
    result = notifier.send_combined_notification()
    assert re.fullmatch(line, result.pop("error"))
    assert {*result.values()} == {0}


def test_database_url_of_sqlalchemy_with_an_encoded_password_gets_in(tasks, role):
    password = "p@ss/w:rd?#%&=' x"
    tasks.execute(f"ALTER ROLE {role.name} PASSWORD %s", [password])
    tasks.execute(f"GRANT SELECT ON tasks TO {role.name}")
    task = tasks.fail()
    url = role.url.replace(role.password, "p%40ss%2Fw%3Ard%3F%23%25%26%3D%27%20x")
    url = f"postgresql+psycopg2{url[url.index('://') :]}"
    notifier = SlackNotifier(settings=Settings.from_environment({"DATABASE_URL": url}))
    assert [found["id"] for found in notifier.get_failed_tasks_last_30min()] == [task]


# ---- Public API --------------------------------------------------------------------------------------------------


NOTHING_TO_REPORT = {"failed_tasks_count": 0, "stuck_tasks_count": 0, "error": None}
NOTHING_TO_REPORT |= {"failed_notification_sent": True, "stuck_notification_sent": True}


def test_combined_notification_reports_what_there_is_in_a_message_each(tasks, notifier, slack):
    assert notifier.send_failed_tasks_notification() is notifier.send_stuck_tasks_notification() is True
    assert notifier.send_combined_notification() == NOTHING_TO_REPORT
    assert slack.requests == []
    tasks.fail(updated=0)
    tasks.fail(updated=0)
    tasks.add("queued", created=60)
    counts = {"failed_tasks_count": 2, "stuck_tasks_count": 1}
    assert notifier.send_combined_notification() == {**NOTHING_TO_REPORT, **counts}
    assert titles(slack) == [FAILED_TITLE, STUCK_TITLE]


def test_combined_notification_takes_a_timeout(tasks, notifier, slack):
    tasks.add("queued", created=50)
    assert notifier.send_combined_notification(timeout_minutes=60)["stuck_tasks_count"] == 0
    assert notifier.send_combined_notification(timeout_minutes=40)["stuck_tasks_count"] == 1
    assert block_texts(only(slack))[1] == "*1 task stuck for more than 40 minutes:*"


def test_combined_notification_tells_what_was_refused(tasks, notifier, slack):
    tasks.fail()
    tasks.add("queued", created=60)
    slack.answer(404, "no_service", times=None)
    result = notifier.send_combined_notification()
    assert (result["failed_tasks_count"], result["stuck_tasks_count"]) == (1, 1)
    assert (result["failed_notification_sent"], result["stuck_notification_sent"]) == (False, False)
    refused = [rf"{NOT_SENT}: 1 {kind} task to SLACK_WEBHOOK {MARK}: HTTP 404 .*" for kind in ("failed", "stuck")]
    assert re.fullmatch("; ".join(refused), result["error"])


@pytest.mark.parametrize("blocks", [{}, {"blocks": [section("*bold* <https://x|link>")]}], ids=["text", "blocks"])
def test_own_message_is_sent_as_it_is_and_logged(notifier, slack, caplog, blocks):
    assert notifier.send_message("<https://x|link>", **blocks) is True
    assert only(slack) == {"text": "<https://x|link>", "unfurl_links": False, "unfurl_media": False, **blocks}
    [record] = [record for record in caplog.records if record.name == "slack_notifier"]
    assert record.levelname == "INFO"
    assert re.fullmatch(rf"{SENT}: a message to SLACK_WEBHOOK {MARK}", record.getMessage())


@pytest.mark.parametrize("webhook", [None, ""])
def test_notifier_without_a_webhook_warns_once_and_is_disabled(tasks, database_url, caplog, webhook):
    tasks.fail()
    notifier = SlackNotifier(webhook, settings=Settings.from_environment({"DATABASE_URL": database_url}))
    assert notifier.enabled is False
    assert not notifier.webhook_url
    assert notifier.send_message("Hello") is False
    assert notifier.send_task_creation_notification("id", "key", {}) is False
    assert notifier.send_task_start_notification("id", "key", {}) is False
    assert notifier.send_failed_tasks_notification() is False
    assert notifier.send_stuck_tasks_notification() is False
    assert notifier.send_combined_notification()["error"]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", NOT_SET)]
    assert len(notifier.get_failed_tasks_last_30min()) == 1


@pytest.mark.parametrize(
    "timeout", ["soon", None, True, 0, -5, float("nan"), float("inf"), 10**30, [], "30; DROP TABLE tasks"]
)
def test_wrong_timeout_is_a_logged_error(tasks, notifier, slack, caplog, timeout):
    tasks.add("queued", created=60)
    assert notifier.get_stuck_tasks(timeout) == []
    assert notifier.send_stuck_tasks_notification(timeout) is False
    assert "positive number of minutes" in notifier.send_combined_notification(timeout)["error"]
    assert slack.requests == []
    assert "positive number of minutes" in caplog.text
    tasks.fail()
    result = notifier.send_combined_notification(timeout)
    assert (result["failed_tasks_count"], result["failed_notification_sent"]) == (1, True)
    assert not result["stuck_notification_sent"]


class Odd:
    def __str__(self) -> str:
        raise RuntimeError


COLUMNS = ["id", "status", "error", "log_uri", "created_at", "updated_at", "user_api_key"]


@pytest.mark.parametrize(
    "task",
    [
        *({}, None, [], "x", 5),
        dict.fromkeys(COLUMNS),
        {"id": 7, "status": 5, "error": ValueError("x"), "log_uri": object(), "created_at": "2025-09-01"},
        {"created_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))},
        {"created_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))},
        *(dict.fromkeys(COLUMNS[:4], odd) for odd in (10**5000, Odd())),
    ],
    ids=itertools.count(),
)
def test_formatting_a_task_never_raises(task):
    text = SlackNotifier(settings=Settings()).format_task_info(task)
    assert re.findall(r"(?m)^(?:• |  )\*(.*?):\*", text) == ["Task ID", "Status", "Created", "Error", "Logs"]
    assert "unknown" in text


@pytest.mark.parametrize(
    ("message", "blocks"), [("", None), (None, None), ("x", [object()]), ("", [{"type": "none"}]), ("\ud800", None)]
)
def test_message_that_cannot_be_sent_returns_false(notifier, message, blocks):
    assert notifier.send_message(message, blocks) is False


# ---- Command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def failed_and_stuck(tasks):
    """A failed and three stuck tasks, stuck for 40, 50 and 70 minutes."""
    tasks.fail(id="failed")
    for minutes in (40, 50, 70):
        tasks.add("queued", id=f"queued-{minutes}", created=minutes)


def test_program_reports_both_alerts(cli, failed_and_stuck, slack):
    done = cli()
    assert (done.code, done.out) == (0, "")
    found = re.findall(f"(INFO|WARNING|ERROR) (.*) {MARK}\n", done.log)
    assert found == [("INFO", f"{SENT}: {what} to SLACK_WEBHOOK") for what in ("1 failed task", "3 stuck tasks")]
    assert len(done.log.splitlines()) == len(found)
    assert titles(slack) == [FAILED_TITLE, STUCK_TITLE]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--failed-only", {FAILED_TITLE: ["failed"]}),
        ("--stuck-only", {STUCK_TITLE: ["queued-70", "queued-50", "queued-40"]}),
        ("--stuck-only --timeout 45", {STUCK_TITLE: ["queued-70", "queued-50"]}),
        ("--timeout 60", {FAILED_TITLE: ["failed"], STUCK_TITLE: ["queued-70"]}),
        ("--timeout 90", {FAILED_TITLE: ["failed"]}),
    ],
)
def test_flag_chooses_what_is_reported(cli, run, failed_and_stuck, database_url, slack, arguments, expected):
    preview = run("--dry-run", *arguments.split(), DATABASE_URL=database_url)
    assert (preview.code, re.findall("^.*Alert$", preview.out, re.MULTILINE)) == (0, [*expected])
    assert logged(preview.log, "WARNING") == [NOT_SET]
    assert cli(*arguments.split()).code == 0
    listed = {message["text"].splitlines()[0]: re.findall("`(.*)`", message["text"]) for message in slack.messages()}
    assert listed == expected


@pytest.mark.parametrize(("times", "arrived"), [(None, []), (1, [STUCK_TITLE])])
def test_refused_alert_is_exit_1_and_the_other_goes_out(cli, failed_and_stuck, slack, times, arrived):
    slack.answer(404, "no_service", times=times)
    done = cli(DEBUG="true")
    assert done.code == 1
    errors = logged(done.log, "ERROR")
    assert len(errors) == 2 - len(arrived)
    assert all(error.startswith(f"{NOT_SENT}: ") and "no_service" in error for error in errors)
    assert NOTHING not in done.log
    assert (titles(slack), done.log.count(SENT)) == (arrived, len(arrived))


def without_times(text: str) -> str:
    return re.sub(r"Reported at .*? UTC", "Reported at …", text)


def test_dry_run_prints_what_a_run_sends(cli, run, failed_and_stuck, database_url, slack):
    preview, payloads = cli("--dry-run"), cli("--dry-run", "--json")
    assert (preview.code, payloads.code, slack.requests) == (0, 0, [])
    assert without_times(run("--dry-run", DATABASE_URL=database_url).out) == without_times(preview.out)
    assert cli().code == 0
    sent = "\n\n".join(message["text"] for message in slack.messages())
    assert without_times(preview.out).split() == without_times(sent).split()
    printed = [json.loads(line) for line in without_times(payloads.out).splitlines()]
    assert printed == json.loads(without_times(json.dumps(slack.messages(), ensure_ascii=False)))


@pytest.fixture
def by_hand(database_url, slack, tmp_path):
    """Runs a copy of the program, beside which lies no .env, under an interpreter of its own."""

    def by_hand(*arguments, options=(), stdout=subprocess.PIPE, **environment):
        command = [sys.executable, *options, shutil.copy(slack_notifier.__file__, tmp_path), *arguments]
        environment |= {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()}
        return subprocess.run(
            command, env=environment, cwd=tmp_path, stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False
        )

    return by_hand


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_dry_run_prints_to_a_terminal_of_few_characters(by_hand, failed_and_stuck, encoding, watch):
    done = by_hand("--dry-run", PYTHONIOENCODING=encoding)
    out, log = done.stdout.decode(errors="replace"), done.stderr.decode()
    watch.written += [out, log]
    assert (done.returncode, "Traceback" in log) == (0, False)
    assert "Failed Tasks Alert" in out


@pytest.mark.slow
def test_dry_run_into_a_closed_pipe_is_a_good_run(by_hand, tasks):
    tasks.fail()
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        reader.wait()
        done = by_hand("--dry-run", stdout=reader.stdin)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_interrupted_run_ends_with_130_and_no_traceback(database_url, slack, tasks, tmp_path):
    tasks.fail()
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()}
    with (
        slack.hold() as held,
        subprocess.Popen(
            [sys.executable, slack_notifier.__file__],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            # Tests in the background of a shell ignore it, and so would the program.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process,
    ):
        held.wait_received()
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.communicate()[1]
    assert process.returncode == 130


def test_version_and_help_are_printed_as_documented(run):
    done = run("--version")
    assert (done.code, done.out) == (0, f"slack_notifier.py {slack_notifier.__version__}\n")
    documented = (HERE / "docs/running.md").read_text("utf-8")
    blocks = re.findall(r"(?ms)^```\w*\n(usage: slack_notifier\.py.*?)^```$", documented)
    done = run("--help")
    assert (done.code, [done.out]) == (0, blocks)


# ---- Import ------------------------------------------------------------------------------------------------------

IMPORT = """
import logging, os, sys
sys.addaudithook(lambda event, _: event.startswith("socket.") and print(event))
before = dict(os.environ)
import slack_notifier
assert dict(os.environ) == before
assert logging.getLogger().handlers == logging.getLogger("slack_notifier").handlers == []
assert logging.getLogger().level == logging.WARNING
logging.disable()
notifier = slack_notifier.SlackNotifier()
assert not notifier.enabled
assert notifier.get_failed_tasks_last_30min() == []
assert dict(os.environ) == before
"""


@pytest.mark.slow
def test_import_has_no_effect(tmp_path):
    env = "SLACK_WEBHOOK=https://hooks.slack.com/services/T0/B0/x\nDATABASE_URL=postgresql:///x\n"
    (tmp_path / ".env").write_text(env)
    shutil.copy(slack_notifier.__file__, tmp_path)
    command = [sys.executable, "-B", "-c", IMPORT]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_run_with_nothing_to_report_says_so_and_loads_only_what_it_needs(by_hand, slack):
    done = by_hand(options=("-X", "importtime"))
    assert (done.returncode, done.stdout, slack.requests) == (0, b"", [])
    log = done.stderr.decode()
    assert re.findall("(?m)^(?!import time:).* (INFO|WARNING|ERROR) (.*)$", log) == [("INFO", NOTHING)]
    loaded = set(re.findall(r"(?m)^import time:.*\| +(\S+)$", log))
    assert {"argparse", "logging", "psycopg2"} <= loaded
    assert not loaded & {"requests", "urllib.parse", "email", "smtplib", "pathlib", "dataclasses", "inspect", "dotenv"}


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
