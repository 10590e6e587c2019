"""A monitor that cannot look says so; and the heartbeat, which tells when it can't even say that."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from servers import Front
from support import BLIND, report, titles, told

import slack_notifier
from sandbox.postgres import url_of
from slack_notifier import Settings, SlackNotifier

pytestmark = pytest.mark.usefixtures("room")

PASSWORD = "password-of-nobody"


@pytest.fixture
def gone(tasks, database_url):
    """A port before the database that refuses all connections; `front.address` is its URL."""
    front = Front(tasks.connection.info.port, closed=True)
    front.address = front.url(database_url)
    yield front
    front.close()


@pytest.mark.slow
def test_program_that_cannot_read_says_so_in_slack_or_by_email(run, slack, gone, mail, trusted, heart, watch):
    slack.answer(404, "no_service", channel="dead", times=None)
    common = {
        "DATABASE_URL": url_of(gone.address, login=f"postgres:{PASSWORD}"),
        "DEBUG": "true",
        "HEARTBEAT_URL": f"{heart.address}/ping/secret-of-heart",
    }
    watch.secrets |= {PASSWORD, "secret-of-heart"}
    with ThreadPoolExecutor() as pool:
        by_slack = pool.submit(run, **common, SLACK_WEBHOOK=slack.webhook())
        by_email = pool.submit(
            run,
            **common,
            SLACK_WEBHOOK=slack.webhook("dead"),
            SMTP_URL=mail.url,
            ALERT_EMAIL_TO="ops@example.com",
            SSL_CERT_FILE=trusted,
        )
    for done in (by_slack.result(), by_email.result()):
        assert done.code == 1
        assert done.log.count("trying again in") == 2
        assert "Cannot connect to the database: " in done.log

    (message,) = slack.messages()
    header, section, context = message["blocks"]
    title, body, footer = header["text"]["text"], section["text"]["text"], context["elements"][0]["text"]
    assert title == BLIND
    assert re.match(r"Cannot connect to the database: .*refused", body)
    seconds = int(re.search(r"Tried for (\d+) seconds\.", body)[1])
    assert 4 <= seconds <= 60
    assert re.fullmatch(r"Reported at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", footer)
    assert all(part in message["text"] for part in (title, body, footer))

    (sent,) = mail.mails
    assert sent.message["Subject"] == BLIND
    assert "Cannot connect to the database: " in sent.part("plain")
    assert "HTTP 404 no_service" in sent.part("plain")
    assert PASSWORD not in str(slack.requests)
    assert heart.beats == ["/ping/secret-of-heart/fail"] * 2


@pytest.mark.slow
def test_blind_alert_reaches_each_webhook_of_the_kinds_once(slack, gone, monkeypatch):
    monkeypatch.setattr(slack_notifier, "DATABASE_PAUSES_SECONDS", (0.1, 0.2))
    slack.answer(404, "no_service", channel="failed", times=None)
    webhooks = {"": [slack.webhook("all")], "failed": [slack.webhook("failed"), slack.webhook("all")]}
    users = {"a-user-s-key": slack.webhook("user")}
    settings = Settings(database_url=gone.address, webhooks=webhooks, user_webhooks=users)
    result = SlackNotifier(settings=settings).send_combined_notification()
    assert result["error"].startswith("Cannot connect to the database: ")
    assert "; Cannot" not in result["error"]
    assert not result["failed_notification_sent"]
    assert titles(slack, "all") == [BLIND]
    assert slack.messages("user") == []


@pytest.mark.slow
def test_database_that_comes_back_between_the_attempts_is_no_alarm(tasks, slack, gone, monkeypatch):
    task = tasks.fail()

    def open_before_the_next(record: logging.LogRecord) -> bool:
        if "trying again in" in record.getMessage() and not gone.listening:
            gone.open()
        return True

    monkeypatch.setattr(slack_notifier.logger, "filters", [open_before_the_next])
    report(SlackNotifier(slack.webhook(), settings=Settings(database_url=gone.address)))
    assert gone.listening
    assert told(slack) == [[task]]


def test_database_that_does_not_exist_is_not_tried_again(server_url, caplog):
    url = url_of(server_url, database="no_such_database")
    with pytest.raises(slack_notifier.DatabaseError, match="does not exist"):
        slack_notifier.Ledger(url, slack_notifier.Deadline.after(60), [0.01])
    assert "trying again" not in caplog.text


@pytest.mark.parametrize(
    "call",
    [
        "send_failed_tasks_notification",
        "send_stuck_tasks_notification",
        "get_failed_tasks_last_30min",
        "get_stuck_tasks",
    ],
)
def test_workers_own_call_neither_waits_nor_cries(slack, gone, caplog, monkeypatch, call):
    monkeypatch.setattr(slack_notifier, "DATABASE_PAUSES_SECONDS", (60,))
    notifier = SlackNotifier(slack.webhook(), settings=Settings(database_url=gone.address))
    started = monotonic()
    assert getattr(notifier, call)() == ([] if call.startswith("get") else False)
    assert monotonic() - started < 30
    assert "trying again" not in caplog.text
    assert "Cannot connect to the database" in caplog.text
    assert slack.requests == []


# ---- Heartbeat -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("/ping/0b9d", "/ping/0b9d", "/ping/0b9d/fail"),
        ("/ping/0b9d/", "/ping/0b9d/", "/ping/0b9d/fail"),
        ("/ping?key=0b9d&create=1", "/ping?key=0b9d&create=1", "/ping/fail?key=0b9d&create=1"),
        ("", "/", "/fail"),
    ],
)
def test_heartbeat_is_good_where_each_destination_was_reported_to(tasks, settings, slack, heart, path, good, bad):
    webhooks = {"": [slack.webhook(), slack.webhook("other")]}
    settings = settings._replace(webhooks=webhooks, heartbeat_url=heart.address + path)
    notifier = SlackNotifier(settings=settings)
    for refused in ([], ["alerts", "other"], ["other"], []):
        tasks.fail()
        for channel in refused:
            slack.answer(404, "no_service", channel=channel)
        notifier.send_combined_notification()
    assert heart.beats == [good, bad, bad, good]


def test_only_runs_of_the_monitor_have_a_heartbeat(tasks, settings, heart):
    tasks.fail()
    settings = settings._replace(heartbeat_url=heart.address)
    notifier = SlackNotifier(settings=settings)
    notifier.send_failed_tasks_notification()
    notifier.send_stuck_tasks_notification()
    notifier.send_task_creation_notification("id", "key", {})
    notifier.send_message("Hello")
    report(SlackNotifier(settings=settings, dry_run=True))
    assert heart.beats == []


@pytest.mark.parametrize(
    ("url", "status", "reason"),
    [
        ("{heart}", 301, "HTTP 301"),
        ("{heart}", 404, "HTTP 404"),
        ("{heart}", 500, "HTTP 500"),
        ("http://127.0.0.1:1", None, "no connection"),
        ("http://name.invalid", None, "no connection"),
        ("http://hc..example", None, "the URL cannot be used"),
    ],
)
def test_heartbeat_not_taken_is_only_a_warning(tasks, settings, slack, heart, caplog, watch, url, status, reason):
    watch.secrets.add("secret-of-heart")
    task = tasks.fail()
    heart.status = status
    url = url.format(heart=heart.address) + "/secret-of-heart"
    result = SlackNotifier(settings=settings._replace(heartbeat_url=url)).send_combined_notification()
    assert (result["failed_notification_sent"], result["error"]) == (True, None)
    assert told(slack) == [[task]]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith(f"Heartbeat not sent: {reason}")
    assert len(heart.beats) == (1 if status else 0)


@pytest.mark.slow
def test_heartbeat_that_hangs_takes_no_more_than_its_time(tasks, settings, slack, monkeypatch, caplog):
    monkeypatch.setattr(slack_notifier, "HEARTBEAT_SECONDS", 1)
    slack.answer(fault="hang", channel="heart", times=None)
    notifier = SlackNotifier(settings=settings._replace(heartbeat_url=slack.webhook("heart")))
    started = monotonic()
    assert notifier.send_combined_notification()["error"] is None
    assert monotonic() - started < 9
    assert "Heartbeat not sent: no " in caplog.text
