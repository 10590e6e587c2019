"""Every variable: its default, what it accepts, what it refuses by name; and the lines of a task by template."""

from __future__ import annotations

import html
import json
import re
from io import StringIO
from pathlib import Path

import dotenv
import pytest
from support import FAILED, told

import slack_notifier
from sandbox import view
from sandbox.slack import pings
from slack_notifier import VARIABLES, Settings, SlackNotifier, one_line, task_info, variables_in_words

WEBHOOK = "https://hooks.slack.com/services/T0/B0/topsecret"
WEBHOOKS = ["SLACK_WEBHOOK", *(f"SLACK_WEBHOOK_{kind}" for kind in ("FAILED", "STUCK", "CREATED", "STARTED"))]
SWITCHES = ["SLACK_NOTIFY_ON_TASK_CREATION", "SLACK_NOTIFY_ON_TASK_START", "SLACK_NOTIFY_ON_RECOVERY"]
FLAGS = [*SWITCHES, "DEBUG"]
SMTP = {"SMTP_URL": "smtp://alerts:topsecret@mail.example.com:587", "ALERT_EMAIL_TO": "ops@example.com"}


def test_every_field_is_filled_by_a_variable():
    # The last field names what the command line was given in place of a variable.
    assert {variable.field for variable in VARIABLES.values()} == {*Settings._fields} - {"webhook_name"}


@pytest.mark.parametrize(
    "environ",
    [{}, *(dict.fromkeys(VARIABLES, value) for value in ("", "  ", "''")), {"ALERT_EMAIL_FROM": "a@example.com"}],
    ids=["unset", "empty", "blank", "empty in quotes", "a sender of e-mail alone"],
)
def test_unset_and_empty_are_the_default(environ):
    settings = Settings.from_environment(environ)
    assert settings == Settings()
    assert settings.destinations("") == settings.destinations("failed") == []
    assert not SlackNotifier(settings=settings).enabled


NO_ADDRESSES = [
    *("https://h:topsecret/", "https://h:0/", "https://h:65536/", "https://h:/", "https://[::1/x", "https://::1/x"),
    *("https://", "https:/h/x", "https://u:topsecret@/x", "https://?x", "//h/x", "https:///x", "javascript:x"),
    # Hosts that no request can reach.
    *("https://a b/x", "https://[::1;topsecret]/x", "https://[topsecret]/x", "https://[::1%25a b]/x", "https://h<i>/x"),
    *("https://h..i/x", "https://.h/x", "https://*.h/x", "https://h%41/x", f"https://{'h' * 64}/x", "https://u\\@h/x"),
]

WORKFLOWS = [
    "https://hooks.slack.com/triggers/T012345/678/topsecret",
    "https://hooks.slack.com/workflows/T012345/F0/678/topsecret",
    "https://HOOKS.SLACK.COM:443/triggers/T012345/678/topsecret",
    "https://hooks.slack-gov.com/workflows/T012345/F0/678/topsecret",
]
NO_WEBHOOKS = ["topsecret", "hooks.slack.com/topsecret", "ftp://h/topsecret", "http:///topsecret"]
PLACEHOLDERS = " ".join(f"${name}" for name in slack_notifier.TEMPLATE_PLACEHOLDERS)

# Variable, wrong values, what the error says besides the name.
WRONG = [
    ("DATABASE_URL", ["mysql://u:topsecret@h/d", "topsecret", "postgresql:u:topsecret@h/d"], "PostgreSQL URL"),
    ("DATABASE_URL", ["postgresql://u:topsecret@h/d?ssl=1"], "PostgreSQL URL"),
    # The pieces of a password that an unencoded character leaves are not shown either.
    *[("DATABASE_URL", [f"postgresql://u:topsecret{sign}topsecret@h/d"], "PostgreSQL URL")
      for sign in ("@", "/", "@topsecret/", "%", "?/")],
    *[(name, [url, f"{WEBHOOK},{url}"], "must be an incoming webhook: https://hooks.slack.com/services/…")
      for name in WEBHOOKS for url in NO_WEBHOOKS],
    *[(name, [url, f"{WEBHOOK},{url}"], "is a trigger of Workflow Builder, which cannot show these messages: create an "
       "incoming webhook, https://hooks.slack.com/services/…") for name in WEBHOOKS for url in WORKFLOWS],
    *[(name, [f"{WEBHOOK} x", *NO_ADDRESSES], "must be") for name in [*WEBHOOKS, "HEARTBEAT_URL"]],
    *[(name, [",", " , "], "must be an incoming webhook") for name in WEBHOOKS],
    *[(name, ["maybe", "2", "ja", "truee", "tru", "-"], "true or false (or 1/0, yes/no, on/off)") for name in SWITCHES],
    ("SLACK_REMIND_MINUTES", ["-1", "1.5", "soon", "1000000", "0x10", "٣", "1e3"], "whole number from 0 to 999999"),
    ("SLACK_GRACE_MINUTES", ["-1", "1.5", "ten"], "whole number from 0 to 999999"),
    ("SLACK_QUEUED_MINUTES", ["-1", "1.5", "ten", "527041"], "whole number from 0 to 527040"),
    ("SLACK_IN_PROGRESS_MINUTES", ["-1", "1.5", "ten", "527041"], "whole number from 0 to 527040"),
    ("SLACK_CRITICAL_COUNT", ["0", "-1", "ten", "1000000"], "whole number from 1 to 999999"),
    ("SLACK_CRITICAL_SHARE", ["101", "-1", "50%", "half"], "whole number from 0 to 100"),
    ("SLACK_ENVIRONMENT",
     ["a<b", "a>b", "R&D", "two\nlines", "tab\there", "x" * 41, "\u202egnigats", "\u200b", "\x7f", "a\u2028b"],
     "must be one line of at most 40 visible characters, none of < > &: staging"),
    ("SLACK_CRITICAL_MENTION",
     ["@here", "here", "<!everyone>", "<@u123>", "<!here> <!here>", "<!here|x>", "<!subteam^s1>", "<https://x>"],
     "<!here>, <!channel>, <!subteam^S…> or <@U…>"),
    ("SLACK_QUIET_HOURS",
     ["22-7", "22:00", "24:00-07:00", "22:00-07:60", "22:00-22:00", "22:00-07:00 UTC", "night", "22:00-07:00-08:00"],
     "two different times of a day: 22:00-07:00"),
    ("SLACK_TIMEZONE", ["CEST", "Europe/Bonn", "UTC+2", "../../etc/passwd", "/etc/localtime", "Europe", "é"],
     "must be an IANA name that this machine knows, such as Europe/Berlin (is tzdata installed?)"),
    ("SLACK_TASK_TEMPLATE",
     ["$name", "${id", "costs 5 $", "$id $", "$ID", "${created_at}", "no placeholder at all", "$$id"],
     f"at least one of {PLACEHOLDERS} and no other; a dollar sign itself is $$"),
    ("HEARTBEAT_URL", ["topsecret", "ftp://h/topsecret", "https://", "https://h/a topsecret"], "must be a URL: https://"),
    ("SMTP_URL", ["", "mail.example.com", "http://u:topsecret@mail.example.com", "smtp://mail.example.com:topsecret",
                  "smtp://u:top/secret@mail.example.com:587", "smtp://u:top#secret@mail.example.com:587"],
     "must be smtp://user:password@host:587 (STARTTLS) or smtps://"),
    ("ALERT_EMAIL_TO",
     ["", "ops", "ops@example.com, boss", "Ops <ops@example.com>", "ops@example.com\nBcc: x@example.com"],
     "must be one address or several, comma-separated: ops@example.com"),
    ("ALERT_EMAIL_FROM", ["protoreel", "a@example.com,b@example.com", "a@example.com\r\nBcc: x@example.com"],
     "must be one address: protoreel@example.com"),
    # As the shell hands over what is no UTF-8.
    *[(name, ["$id https://h/\udcff"], "must be UTF-8 text") for name in VARIABLES],
]  # fmt: skip


def test_every_variable_has_wrong_values_of_its_own():
    of_their_own = {name for name, _, words in WRONG if words != "must be UTF-8 text"}
    # The two have tests of their own.
    assert of_their_own | {"SLACK_USER_WEBHOOKS_FILE", "DEBUG"} == set(VARIABLES)


@pytest.mark.parametrize(
    ("name", "value", "words"), [(n, value, words) for n, values, words in WRONG for value in values]
)
def test_wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret(name, value, words):
    with pytest.raises(ValueError, match=rf"^{name} ") as caught:
        Settings.from_environment({**SMTP, name: value})
    assert words in str(caught.value)
    is_shown = bool(one_line(value)) and not VARIABLES[name].secret
    assert str(caught.value).endswith(f", not '{one_line(value)}'") is is_shown
    assert "secret" not in f"{caught.value!r} {caught.value}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["*", "app:*", "maybe", "2"])
def test_a_debug_of_another_program_is_off_with_a_warning(caplog, value):
    assert Settings.from_environment({"DEBUG": value}).debug is False
    assert "DEBUG must be true or false (or 1/0, yes/no, on/off): it is off" in caplog.messages


def test_wrong_variables_are_all_named_and_the_others_read():
    wrong = {"SLACK_CRITICAL_COUNT": "ten", "SLACK_WEBHOOK_FAILED": "topsecret"}
    wrong |= {"SLACK_TIMEZONE": "CEST", "ALERT_EMAIL_TO": "x@y.z"}
    right = {"SLACK_WEBHOOK": WEBHOOK, "SLACK_WEBHOOK_STUCK": f"{WEBHOOK}-2", "SLACK_REMIND_MINUTES": "5"}
    settings, errors = Settings.read({**wrong, **right, "SLACK_QUIET_HOURS": "22:00-07:00"})
    names = [error.split()[0] for error in errors]
    assert names == ["SLACK_WEBHOOK_FAILED", "SLACK_CRITICAL_COUNT", "SLACK_TIMEZONE", "SMTP_URL"]
    assert settings == Settings.from_environment(right)
    with pytest.raises(ValueError, match="; ".join(f"{name} .*" for name in names)):
        Settings.from_environment({**wrong, **right})


def test_webhook_argument_goes_before_every_variable_of_a_webhook_even_where_they_are_wrong():
    wrong = {name: "wrong" for name, variable in VARIABLES.items() if "webhooks" in variable.field}
    assert len(wrong) == 6
    assert Settings.read(wrong, WEBHOOK) == (Settings(webhooks={"": [WEBHOOK]}), [])
    notifier = SlackNotifier(WEBHOOK, settings=Settings(user_webhooks={"key": "x"}))
    assert notifier.settings == Settings(webhooks={"": [WEBHOOK]})
    settings, (error,) = Settings.read({"SLACK_WEBHOOK": WEBHOOK}, "topsecret")
    assert error == "webhook_url must be an incoming webhook: https://hooks.slack.com/services/…"
    assert settings == Settings()


@pytest.mark.parametrize(
    "webhook", ["topsecret", WORKFLOWS[0], "https://h/\udcff", 5, b"https://hooks.slack.com/x", ["https://x.y/"]]
)
@pytest.mark.parametrize("others", [{"settings": Settings()}, {}], ids=["with settings", "alone"])
def test_webhook_that_is_none_is_refused_by_the_constructor(webhook, others):
    with pytest.raises(ValueError, match=r"^webhook_url (must be|is a trigger)"):
        SlackNotifier(webhook, **others)


MAIL_SERVER = SMTP["SMTP_URL"]
ADDRESSES = [
    "HTTPS://Hooks.Slack.com/services/x", "http://[fe80::1%25eth0]:8065/hooks/x", "http://localhost",
    "https://user:p@ss:word@chat.example.com:65535/hooks/x?y=/triggers/#z", "http://mail_server.example./hooks/x",
    "https://bücher.example/hooks/ü", "https://xn--bcher-kva.example/triggers/x", "https://a.example.com/workflows/1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SLACK_REMIND_MINUTES", "0", 0),
        ("SLACK_REMIND_MINUTES", " 30 ", 30),
        ("SLACK_QUEUED_MINUTES", "10", 10),
        ("SLACK_IN_PROGRESS_MINUTES", "90", 90),
        ("SLACK_GRACE_MINUTES", "10", 10),
        ("SLACK_CRITICAL_COUNT", "1", 1),
        ("SLACK_CRITICAL_SHARE", "0", 0),
        ("SLACK_CRITICAL_SHARE", "100", 100),
        *[(flag, word, True) for flag in FLAGS for word in ("true", "TRUE", "1", "YES", " on ")],
        *[(flag, word, False) for flag in FLAGS for word in ("false", "0", "No", "off")],
        ("SLACK_ENVIRONMENT", " EU 🇪🇺 'staging' ", "EU 🇪🇺 'staging'"),
        ("SLACK_ENVIRONMENT", "x" * 40, "x" * 40),
        *[("SLACK_CRITICAL_MENTION", call, call) for call in ("<!here>", "<!channel>", "<!subteam^S0123ABCD>")],
        *[("SLACK_CRITICAL_MENTION", user, user) for user in ("<@U0123ABCD>", "<@W0123ABCD>")],
        ("SLACK_TASK_TEMPLATE", r"$id\n$$5", "$id\n$$5"),
        ("HEARTBEAT_URL", "https://hc-ping.com/x?y=1", "https://hc-ping.com/x?y=1"),
        ("SLACK_WEBHOOK", f" {WEBHOOK} ,, http://b:8065/hooks/x, ", {"": [WEBHOOK, "http://b:8065/hooks/x"]}),
        ("SLACK_WEBHOOK_STUCK", WEBHOOK, {"stuck": [WEBHOOK]}),
        # Quotes around a value are no part of it.
        *[("SLACK_WEBHOOK", quoted.format(WEBHOOK), {"": [WEBHOOK]}) for quoted in ("'{}'", '"{}"', " ' {} ' ")],
        *[("SLACK_WEBHOOK", url, {"": [url]}) for url in ADDRESSES],
        # As SQLAlchemy has it.
        *[
            ("DATABASE_URL", f"{scheme}{driver}://u:p@h/d", f"{scheme}://u:p@h/d")
            for scheme in ("postgres", "postgresql")
            for driver in ("", "+psycopg2", "+asyncpg", "+psycopg")
        ],
        ("DATABASE_URL", *["postgres://u@h1:5432,h2/d?target_session_attrs=read-write"] * 2),
        ("SMTP_URL", MAIL_SERVER, (MAIL_SERVER, ["ops@example.com"], "ops@example.com")),
        ("ALERT_EMAIL_TO", "a@b.example , c@d.example,", (MAIL_SERVER, ["a@b.example", "c@d.example"], "a@b.example")),
        ("ALERT_EMAIL_FROM", "a@b.example", (MAIL_SERVER, ["ops@example.com"], "a@b.example")),
    ],
)
def test_right_value_is_taken(name, text, value):
    assert getattr(Settings.from_environment({**SMTP, name: text}), VARIABLES[name].field) == value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        *[(content, "readable JSON file") for content in (None, b"{", b"[" * 200_000, b"\xff\xfe")],
        (b'{\n  "a": "b",\n  "c": topsecret\n}', "readable JSON file (JSONDecodeError, line 3 column 8)"),
        *[(content, "JSON object") for content in (b"[]", b'"topsecret"', b'{"key": 5}')],
        (b'{"": "https://hooks.slack.com/services/T/B/topsecret"}', "JSON object"),
        # Half of a character can be written in JSON, but nowhere else; a NUL not in PostgreSQL.
        (b'{"\\ud800": "https://hooks.slack.com/services/T/B/topsecret"}', "JSON object"),
        (b'{"a\\u0000": "https://hooks.slack.com/services/T/B/topsecret"}', "JSON object"),
        (b'{"key": "https://hooks.slack.com/topsecret\\udfff"}', "JSON object"),
        *[(content, "must be an incoming webhook") for content in (b'{"topsecret": "no url"}', b'{"key": ""}')],
        (b'{"key": "https://a.example/topsecret,https://b.example/1"}', "must be an incoming webhook"),
        *[(json.dumps({"key": url}).encode(), "a URL is a trigger of Workflow Builder") for url in WORKFLOWS],
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


def test_settings_show_none_of_their_values():
    settings = Settings.from_environment(
        {**SMTP, "SLACK_WEBHOOK": WEBHOOK, "DATABASE_URL": "postgresql://u:topsecret@h/d"}
    )
    for value in (settings, settings.email, SlackNotifier(settings=settings), [settings], {"email": settings.email}):
        assert "secret" not in f"{value!r} {value!s} {value}" + "%r" % (value,)  # noqa: UP031
    assert "postgres" not in repr(settings)


def test_variables_in_words_show_what_is_set_and_no_secret():
    secrets = {name: WEBHOOK for name, variable in VARIABLES.items() if variable.secret}
    mistaken = {"SLACK_TIMEZONE": WEBHOOK}
    environ = {**secrets, **mistaken, "SLACK_ENVIRONMENT": "staging", "SLACK_TASK_TEMPLATE": "$id\n$error"}
    words = variables_in_words(environ).split("; ")
    assert {word.split(":")[0] for word in words} == set(environ)
    assert "topsecret" not in str(words)
    assert set(secrets) < set(words)
    assert {*WEBHOOKS, "DATABASE_URL", "SMTP_URL", "HEARTBEAT_URL"} == set(secrets)
    assert {"SLACK_ENVIRONMENT: staging", "SLACK_TASK_TEMPLATE: $id $error"} < set(words)


def test_constructor_reads_the_environment_and_its_argument_goes_first(monkeypatch, slack):
    monkeypatch.setenv("SLACK_WEBHOOK", slack.webhook("environment"))
    notifier = SlackNotifier()
    assert notifier.enabled is True
    assert notifier.webhook_url == slack.webhook("environment")
    assert notifier.send_message("Hello") is True
    assert SlackNotifier(slack.webhook("argument")).send_message("Hello") is True
    assert (len(slack.messages("argument")), len(slack.messages("environment"))) == (1, 1)
    monkeypatch.setenv("SLACK_REMIND_MINUTES", "soon")
    with pytest.raises(ValueError, match=r"^SLACK_REMIND_MINUTES must be"):
        SlackNotifier()


# ---- Files of variables ----------------------------------------------------------------------------------------------


def read_by_docker(line: str) -> str:
    """docker --env-file and kubectl --from-env-file: what follows the first = is the value, whatever it is."""
    return line.partition("=")[2]


def read_by_systemd(line: str) -> str:
    """EnvironmentFile=, see systemd.exec(5): quotes are taken off, and outside of single ones \\ is, too."""
    value = line.partition("=")[2].strip()
    if value[:1] == value[-1:] == "'":
        return value[1:-1]
    if value[:1] == value[-1:] == '"':
        return re.sub(r"\\([\"\\`$])", r"\1", value[1:-1])
    return re.sub(r"\\(.)", r"\1", value)


def read_by_dotenv(line: str) -> str:
    return dotenv.dotenv_values(stream=StringIO(line), interpolate=False)["SLACK_TASK_TEMPLATE"]


@pytest.mark.parametrize("read", [read_by_dotenv, read_by_docker, read_by_systemd])
@pytest.mark.parametrize(
    ("written", "template"),
    [
        ("$id costs $$5 · $error", "$id costs $$5 · $error"),
        (r"'• *$id* # 1\n  $error'", "• *$id* # 1\n  $error"),
        ("""'<$id> "$error"'""", '<$id> "$error"'),
        (r'"$id\n$error"', "$id\n$error"),
    ],
)
def test_value_written_as_the_example_file_says_is_the_same_whatever_reads_the_file(read, written, template):
    value = read(f"SLACK_TASK_TEMPLATE={written}")
    assert Settings.from_environment({"SLACK_TASK_TEMPLATE": value}).task_template == template


# ---- Templates -------------------------------------------------------------------------------------------------------

TASK = {
    "id": "abc-1",
    "status": "inprogress",
    "error": "Disk <full> & *broken* $id ${user} $$",
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
        ("$id", "abc-1"), ("$status", "in_progress"), ("$user", "test-api..."), ("$age", "3 h 5 min"),
        ("$created", "2025-09-01 12:00:00 UTC"),
        # What a task holds is no template.
        ("$error", "Disk &lt;full&gt; &amp; *broken* $id ${user} $$"),
        ("$logs", "<https://logs.example.com/a?b=1&amp;c=2|View Logs>"),
        ("${id}s cost $$5", "abc-1s cost $5"),
        (r"*$id*\n  _${age}_", "*abc-1*\n  _3 h 5 min_"),
        ("$id\nsecond", "abc-1\nsecond"),
        ("$$id of $id", "$id of abc-1"),
    ],
)  # fmt: skip
def test_template_makes_the_lines_of_a_task(text, lines):
    assert task_info(TASK, template(text), NOW) == lines


def test_template_of_a_task_that_knows_nothing():
    text = template("$id|$status|$created|$error|$logs|$user|$age")
    assert task_info({}, text, NOW) == "unknown|unknown|unknown|No error message|No logs available|...|unknown"


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
    assert any(lines in block["text"]["text"] for block in failed["blocks"] if block["type"] == "section")
    assert stuck in other["text"]
    assert pings(failed) == pings(other) == []
    assert notifier.format_task_info({**TASK, "id": "x"}).startswith("• *Task ID:* `x` of test-api...")
    assert "Status" not in failed["text"]


@pytest.mark.parametrize("task", ["3d80f5b1-c62e-49a7-8e04-15b9d7c3a26f", "<render>:42/a.b_c~d&e-é"])
def test_template_with_a_link_leads_to_the_page_of_the_task(tasks, slack, settings, task):
    tasks.fail(id=task)
    text = template("<https://admin.example.com/tasks/$id|$id>")
    assert SlackNotifier(settings=settings._replace(task_template=text)).send_failed_tasks_notification() is True
    (message,) = slack.messages()
    links = re.findall('<a href="([^"]*)"[^>]*>([^<]*)</a>', view.message(message))
    assert links == [(f"https://admin.example.com/tasks/{html.escape(task)}", html.escape(task))]
