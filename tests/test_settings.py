"""Every variable: its default, what it accepts, what it refuses by name; and the lines of a task by template."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import FAILED, told

import slack_notifier
from sandbox.slack import pings
from slack_notifier import Settings, SlackNotifier, task_info

WEBHOOK = "https://hooks.slack.com/services/T0/B0/topsecret"
WEBHOOKS = ["SLACK_WEBHOOK", *(f"SLACK_WEBHOOK_{kind}" for kind in ("FAILED", "STUCK", "CREATED", "STARTED"))]
FLAGS = ["SLACK_NOTIFY_ON_TASK_CREATION", "SLACK_NOTIFY_ON_TASK_START", "SLACK_NOTIFY_ON_RECOVERY", "DEBUG"]
VARIABLES = [
    *["DATABASE_URL", *WEBHOOKS, *FLAGS, "SLACK_USER_WEBHOOKS_FILE", "SLACK_REMIND_MINUTES", "SLACK_CRITICAL_COUNT"],
    *["SLACK_CRITICAL_MENTION", "SLACK_QUIET_HOURS", "SLACK_TIMEZONE", "SLACK_TASK_TEMPLATE", "SMTP_URL"],
    *["ALERT_EMAIL_TO", "ALERT_EMAIL_FROM", "HEARTBEAT_URL"],
]
SMTP = {"SMTP_URL": "smtp://alerts:topsecret@mail.example.com:587", "ALERT_EMAIL_TO": "ops@example.com"}


def test_every_documented_variable_is_here():
    assert len(VARIABLES) == len(set(VARIABLES)) == 21


@pytest.mark.parametrize("value", [None, "", "  "], ids=["unset", "empty", "blank"])
def test_unset_and_empty_are_the_default(value):
    settings = Settings.from_environment({} if value is None else dict.fromkeys(VARIABLES, value))
    assert settings == Settings()
    assert settings.notify_on_task_creation is True
    assert settings.notify_on_task_start is True
    assert settings.notify_on_recovery is True
    assert settings.remind_minutes == 240
    assert settings.critical_count == 10
    assert settings.critical_mention == ""
    assert settings.quiet_hours is None
    assert settings.task_template == ""
    assert settings.email is None
    assert settings.heartbeat_url == ""
    assert settings.debug is False
    assert settings.destinations("") == settings.destinations("failed") == []


NO_ADDRESSES = [
    *("https://h:topsecret/", "https://h:0/", "https://h:65536/", "https://h:/", "https://[::1/x", "https://::1/x"),
    *("https://", "https:/h/x", "https://u:topsecret@/x", "https://?x", "//h/x"),
]

# Variable, wrong values, what the error says besides the name.
WRONG = [
    ("DATABASE_URL", ["mysql://u:topsecret@h/d", "topsecret", "postgresql://u:top@secret@h/d"], "PostgreSQL URL"),
    *[
        (name, [value, f"{WEBHOOK},{value}"], "must be an incoming webhook: https://hooks.slack.com/services/…")
        for name in WEBHOOKS
        for value in ("topsecret", "hooks.slack.com/topsecret", "ftp://h/topsecret", "http:///topsecret")
    ],
    *[(name, [f"{WEBHOOK} x", *NO_ADDRESSES], "must be") for name in WEBHOOKS],
    *[(name, [",", " , "], "must be an incoming webhook") for name in WEBHOOKS],
    *[(name, ["maybe", "2", "ja", "truee", "y"], "true or false (or 1/0, yes/no, on/off)") for name in FLAGS],
    ("SLACK_REMIND_MINUTES", ["-1", "1.5", "soon", "1000000", "0x10", "٣", "1e3"], "whole number from 0 to 999999"),
    ("SLACK_CRITICAL_COUNT", ["0", "-1", "ten", "1000000"], "whole number from 1 to 999999"),
    (
        "SLACK_CRITICAL_MENTION",
        ["@here", "here", "<!everyone>", "<@u123>", "<!here> <!here>", "<!here|x>", "<!subteam^s1>", "<https://x>"],
        "<!here>, <!channel>, <!subteam^S…> or <@U…>",
    ),
    (
        "SLACK_QUIET_HOURS",
        ["22-7", "22:00", "24:00-07:00", "22:00-07:60", "22:00-22:00", "22:00-07:00 UTC", "night", "22:00-07:00-08:00"],
        "two different times of a day: 22:00-07:00",
    ),
    (
        "SLACK_TIMEZONE",
        ["CEST", "Europe/Bonn", "UTC+2", "../../etc/passwd", "/etc/localtime", "Europe", "é"],
        "IANA name",
    ),
    (
        "SLACK_TASK_TEMPLATE",
        ["$name", "${id", "costs 5 $", "$id $", "$ID", "${created_at}"],
        "knows $id $status $created $error $logs $user $age; a dollar sign itself is $$",
    ),
    (
        "HEARTBEAT_URL",
        ["topsecret", "ftp://h/topsecret", "https://", "https://h/a topsecret"],
        "must be a URL: https://",
    ),
]


@pytest.mark.parametrize(
    ("name", "value", "words"), [(n, value, words) for n, values, words in WRONG for value in values]
)
def test_wrong_value_is_refused_by_name_with_what_is_right_and_without_the_value(name, value, words):
    with pytest.raises(ValueError, match=rf"^{name} ") as caught:
        Settings.from_environment({name: value})
    assert words in str(caught.value)
    assert "topsecret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"SMTP_URL": "mail.example.com"}, "SMTP_URL"),
        ({"SMTP_URL": "http://u:topsecret@mail.example.com"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://u:top/secret@mail.example.com:587"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://u:top#secret@mail.example.com:587"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://mail.example.com:topsecret"}, "SMTP_URL"),
        ({"SMTP_URL": ""}, "SMTP_URL"),
        ({"ALERT_EMAIL_TO": ""}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "ops"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "ops@example.com, boss"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "Ops <ops@example.com>"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "ops@example.com\nBcc: x@example.com"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_FROM": "protoreel"}, "ALERT_EMAIL_FROM"),
        ({"ALERT_EMAIL_FROM": "a@example.com,b@example.com"}, "ALERT_EMAIL_FROM"),
        ({"ALERT_EMAIL_FROM": "a@example.com\r\nBcc: x@example.com"}, "ALERT_EMAIL_FROM"),
    ],
)
def test_wrong_email_setting_is_refused_by_name_and_without_the_value(variables, name):
    with pytest.raises(ValueError, match=rf"^{name} must be ") as caught:
        Settings.from_environment({**SMTP, **variables})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "field", "value"),
    [
        ({"SLACK_REMIND_MINUTES": "0"}, "remind_minutes", 0),
        ({"SLACK_REMIND_MINUTES": " 30 "}, "remind_minutes", 30),
        ({"SLACK_CRITICAL_COUNT": "1"}, "critical_count", 1),
        *[
            ({"SLACK_CRITICAL_MENTION": mention}, "critical_mention", mention)
            for mention in ("<!here>", "<!channel>", "<!subteam^S0123ABCD>", "<@U0123ABCD>", "<@W0123ABCD>")
        ],
        ({"SLACK_TASK_TEMPLATE": r"$id\n$$5"}, "task_template", "$id\n$$5"),
        ({"HEARTBEAT_URL": "https://hc-ping.com/x?y=1"}, "heartbeat_url", "https://hc-ping.com/x?y=1"),
        (
            {"SLACK_WEBHOOK": f" {WEBHOOK} ,, http://b:8065/hooks/x, "},
            "webhooks",
            {"": [WEBHOOK, "http://b:8065/hooks/x"]},
        ),
        ({"SLACK_WEBHOOK_STUCK": WEBHOOK}, "webhooks", {"stuck": [WEBHOOK]}),
        *[
            ({"SLACK_WEBHOOK": url}, "webhooks", {"": [url]})
            for url in (
                "HTTPS://Hooks.Slack.com/services/x",
                "http://[fe80::1%25eth0]:8065/hooks/x",
                "https://user:p@ss:word@chat.example.com:65535/hooks/x?y=/triggers/#z",
                "http://localhost",
                "https://xn--bcher-kva.example/triggers/x",
            )
        ],
        ({"DATABASE_URL": "postgresql+psycopg2://u:p@h/d"}, "database_url", "postgresql://u:p@h/d"),
        (
            {"DATABASE_URL": "postgres://u@h1:5432,h2/d?target_session_attrs=read-write"},
            "database_url",
            "postgres://u@h1:5432,h2/d?target_session_attrs=read-write",
        ),
        (SMTP, "email", (SMTP["SMTP_URL"], ["ops@example.com"], "ops@example.com")),
        (
            {**SMTP, "ALERT_EMAIL_TO": "a@example.com , b@example.com,", "ALERT_EMAIL_FROM": "c@example.com"},
            "email",
            (SMTP["SMTP_URL"], ["a@example.com", "b@example.com"], "c@example.com"),
        ),
    ],
)
def test_right_value_is_taken(variables, field, value):
    assert getattr(Settings.from_environment(variables), field) == value


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(("word", "value"), [("TRUE", True), ("1", True), ("on", True), ("No", False), ("off", False)])
def test_flag_has_several_words(name, word, value):
    field = "debug" if name == "DEBUG" else name.lower().replace("slack_", "")
    assert getattr(Settings.from_environment({name: word}), field) is value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "readable JSON file"),
        (b"{", "readable JSON file"),
        (b"[" * 200_000, "readable JSON file"),
        (b"\xff\xfe", "readable JSON file"),
        (b"[]", "JSON object"),
        (b'"topsecret"', "JSON object"),
        (b'{"key": 5}', "JSON object"),
        (b'{"": "https://hooks.slack.com/services/T/B/topsecret"}', "JSON object"),
        (b'{"topsecret": "no url"}', "must be an incoming webhook"),
        (b'{"key": ""}', "must be an incoming webhook"),
    ],
)
def test_wrong_user_file_is_refused_by_name_and_without_its_content(tmp_path: Path, content, words):
    path = tmp_path / "users.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="SLACK_USER_WEBHOOKS_FILE") as caught:
        Settings.from_environment({"SLACK_USER_WEBHOOKS_FILE": str(path)})
    assert words in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_user_file_of_any_language_is_read(tmp_path: Path):
    path = tmp_path / "users.json"
    path.write_text(json.dumps({"schlüssel": WEBHOOK, "b": f" {WEBHOOK} "}, ensure_ascii=False), encoding="utf-8")
    settings = Settings.from_environment({"SLACK_USER_WEBHOOKS_FILE": str(path)})
    assert settings.user_webhooks == {"schlüssel": WEBHOOK, "b": WEBHOOK}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, values[0]) for name, values, _ in {w[0]: w for w in WRONG}.values()],
        ("SLACK_USER_WEBHOOKS_FILE", "/nonexistent/users.json"),
        ("SMTP_URL", "topsecret"),
        ("ALERT_EMAIL_TO", "ops@example.com"),
    ],
)
def test_wrong_setting_is_exit_2_in_one_line(monkeypatch, tmp_path, printed, capfd, name, value):
    (tmp_path / ".env").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/x")
    monkeypatch.setenv("SLACK_WEBHOOK", WEBHOOK)
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        slack_notifier.main([])
    assert caught.value.code == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1
    assert error.startswith("slack_notifier.py: error: ")
    assert name.replace("ALERT_EMAIL_TO", "SMTP_URL") in error
    assert "topsecret" not in error


@pytest.mark.parametrize("value", ["SLACK_QUIET_HOURS=night", "SLACK_WEBHOOK=,"])
def test_wrong_setting_is_exit_2_of_the_program(cli, value):
    name, _, text = value.partition("=")
    done = cli(**{name: text})
    assert done.code == 2
    assert name in done.log


def test_settings_show_none_of_their_values():
    settings = Settings.from_environment(
        {**SMTP, "SLACK_WEBHOOK": WEBHOOK, "DATABASE_URL": "postgresql://u:topsecret@h/d"}
    )
    for value in (settings, settings.email, SlackNotifier(settings=settings), [settings], {"email": settings.email}):
        assert "topsecret" not in f"{value!r} {value!s}"


# ---- Templates -------------------------------------------------------------------------------------------------------

TASK = {
    "id": "abc-1",
    "status": "inprogress",
    "error": "Disk <full> & *broken*",
    "log_uri": "https://logs.example.com/a?b=1&c=2",
    "user_api_key": "test-api-key-0001",
    "created_at": slack_notifier.datetime(2025, 9, 1, 12, 0),
}
NOW = slack_notifier.datetime(2025, 9, 1, 15, 5, tzinfo=slack_notifier.timezone.utc)


def template(text: str) -> str:
    return Settings.from_environment({"SLACK_TASK_TEMPLATE": text}).task_template


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("$id", "abc-1"),
        ("$status", "in_progress"),
        ("$created", "2025-09-01 12:00:00 UTC"),
        ("$error", "Disk &lt;full&gt; &amp; *broken*"),
        ("$logs", "<https://logs.example.com/a?b=1&amp;c=2|View Logs>"),
        ("$user", "test-api..."),
        ("$age", "3 h 5 min"),
        ("${id}s cost $$5", "abc-1s cost $5"),
        (r"*$id*\n  _${age}_", "*abc-1*\n  _3 h 5 min_"),
        ("$id\nsecond", "abc-1\nsecond"),
        ("no placeholder at all", "no placeholder at all"),
        ("$$id", "$id"),
    ],
)
def test_template_makes_the_lines_of_a_task(text, lines):
    assert task_info(TASK, template(text), NOW) == lines


def test_template_of_a_task_that_knows_nothing():
    text = template("$id|$status|$created|$error|$logs|$user|$age")
    assert task_info({}, text, NOW) == "unknown|unknown|unknown|No error message|No logs available|...|unknown"


def test_template_value_is_not_a_template():
    assert task_info({**TASK, "error": "$id ${user} $$"}, "$error") == "$id ${user} $$"


@pytest.mark.parametrize("text", ["", " ", "\n", "$error" * 40], ids=["none", "blank", "newline", "too long"])
def test_template_without_use_falls_back_to_the_usual_lines(text):
    task = {**TASK, "error": "x" * 300}
    assert task_info(task, text, NOW) == task_info(task, "", NOW)
    assert task_info(task, "", NOW).startswith("• *Task ID:* `abc-1`")


def test_template_shapes_the_alerts_and_its_values_are_data(tasks, slack, settings):
    task = tasks.fail(error="<!channel> <https://evil.example|x> token=topsecret", user_api_key="test-api-key-0001")
    stuck = tasks.add("queued", created=40, error="<!here>")
    text = template(r"• *Task ID:* `$id` of $user\n$error")
    notifier = SlackNotifier(settings=settings._replace(task_template=text))
    assert notifier.send_combined_notification()["error"] is None
    assert told(slack, FAILED) == [[task]]
    failed, other = slack.messages()
    lines = f"• *Task ID:* `{task}` of test-api...\n&lt;!channel&gt; &lt;https://evil.example|x&gt; token=[masked]"
    assert lines in failed["blocks"][2]["text"]["text"]
    assert stuck in other["text"]
    assert pings(failed) == pings(other) == []
    assert notifier.format_task_info({**TASK, "id": "x"}).startswith("• *Task ID:* `x` of test-api...")
    assert "Status" not in failed["text"]


def test_many_tasks_by_template_are_one_message_that_slack_takes(tasks, slack, settings):
    tasks.execute(
        "INSERT INTO tasks (id, user_api_key, status, error, created_at, updated_at) "
        "SELECT 'task-' || n, 'key', 'failed', repeat('<&>', 200), now(), now() FROM generate_series(1, 500) AS n"
    )
    text = template(r"$id\n" + r"$error " * 3)
    assert SlackNotifier(settings=settings._replace(task_template=text)).send_failed_tasks_notification() is True
    (message,) = slack.messages()
    assert "500 tasks failed" in message["text"]
