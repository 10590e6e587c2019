"""The e-mail backup, on a real mail server with TLS and authentication."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Callable

import pytest
import trustme
from servers import PASSWORD, QUOTED_PASSWORD, Front, MailServer, mail_server
from support import FAILED, STUCK, elapse, ledger, told, wait_until

import slack_notifier
from sandbox.slack import SlackStandIn
from slack_notifier import Deadline, DeliveryError, Email, Message, Outbox, Settings, SlackNotifier

TO, FROM = "ops@example.com", "protoreel@example.com"
NOT_SENT = "Failed to send Slack message: 1 failed task to SLACK_WEBHOOK"
NO_EMAIL = "Failed to send the e-mail as well: "

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

Notifier = Callable[..., SlackNotifier]


@pytest.fixture
def with_email(database_url: str, slack: SlackStandIn) -> Notifier:
    """A notifier whose backup is this server."""

    def with_email(smtp_url: str, **variables: str) -> SlackNotifier:
        environ = {"DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook(), "SMTP_URL": smtp_url}
        email = {"ALERT_EMAIL_TO": TO, "ALERT_EMAIL_FROM": FROM}
        return SlackNotifier(settings=Settings.from_environment({**environ, **email, **variables}))

    return with_email


@pytest.fixture
def refused(slack: SlackStandIn, tasks: Any) -> str:
    """A failed task that Slack refuses, as it does all else."""
    slack.answer(404, "no_service", times=None)
    return tasks.fail(error="Disk full: <b>&", log_uri="https://logs.example.com/a?b=1&c=2")


@pytest.fixture
def servers(watch: Any) -> Iterator[Callable[..., MailServer]]:
    """Mail servers of any kind."""
    watch.secrets |= {PASSWORD, QUOTED_PASSWORD}
    with ExitStack() as running:
        yield lambda *arguments, **options: running.enter_context(mail_server(*arguments, **options))


@pytest.mark.usefixtures("refused")
def test_an_accepted_email_counts_whatever_the_server_says_afterwards(with_email, mail):
    mail.farewell = "421 4.3.2 shutting down"
    for _ in range(3):
        assert with_email(mail.url).send_combined_notification()["error"] is None
    assert len(mail.mails) == 1
    wait_until(lambda: "QUIT" in mail.commands)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_alert_that_slack_refuses_goes_out_by_email_and_counts(
    refused, slack, with_email, servers, authority, trusted, caplog, scheme
):
    server = servers(authority, scheme)
    notifier = with_email(server.url)
    assert notifier.send_failed_tasks_notification() is True
    (mail,) = server.mails
    assert (mail.sender, mail.to) == (FROM, [TO])
    assert [mail.message[header] for header in ("From", "To", "Subject")] == [FROM, TO, FAILED]
    text = mail.part("plain")
    for line in (
        "1 task failed in the last 30 minutes:",
        f"• Task ID: `{refused}`",
        "Error: Disk full: <b>&",
        "Logs: View Logs (https://logs.example.com/a?b=1&c=2)",
        "Sent by e-mail because Slack did not take it: HTTP 404 no_service: the webhook was removed",
    ):
        assert line in text
    assert "Alert sent by e-mail instead" in caplog.messages
    assert re.search(rf"{NOT_SENT} \([0-9a-f]{{6}}\): HTTP 404 no_service", caplog.text)

    slack.answer_normally()
    assert notifier.send_failed_tasks_notification() is True
    assert len(server.mails) == 1
    assert slack.messages() == []


@pytest.mark.usefixtures("refused")
def test_combined_notification_counts_an_email_as_sent(tasks, with_email, mail):
    tasks.add("queued", created=40)
    result = with_email(mail.url).send_combined_notification()
    assert [*result.values()] == [1, 1, True, True, None]
    assert [m.message["Subject"] for m in mail.mails] == [FAILED, STUCK]


@pytest.mark.slow
def test_no_email_where_slack_takes_the_alert_for_many_channels(tasks, slack, with_email, mail):
    """However little time each of them has."""
    task = tasks.fail()
    channels = [f"team-{number}" for number in range(9)]
    notifier = with_email(mail.url, SLACK_WEBHOOK=",".join(map(slack.webhook, channels)))
    assert notifier.send_failed_tasks_notification() is True
    assert [told(slack, channel=channel) for channel in channels] == [[[task]]] * len(channels)
    assert mail.commands == []


def test_no_email_where_slack_takes_the_text(tasks, slack, with_email, mail):
    tasks.fail()
    slack.answer(400, "invalid_blocks")
    assert with_email(mail.url).send_combined_notification()["error"] is None
    assert len(slack.messages()) == 1
    assert mail.mails == []


@pytest.mark.usefixtures("refused")
def test_no_email_for_events_and_own_messages(with_email, mail):
    notifier = with_email(mail.url)
    assert notifier.send_task_creation_notification("id", "key", {}) is False
    assert notifier.send_task_start_notification("id", "key", {}) is False
    assert notifier.send_message("Hello") is False
    assert (mail.mails, mail.commands) == ([], [])


@pytest.mark.usefixtures("refused")
def test_no_email_in_a_dry_run(slack, with_email, mail, printed):
    notifier = SlackNotifier(settings=with_email(mail.url).settings, dry_run=True)
    assert notifier.send_failed_tasks_notification() is True
    assert "Failed Tasks Alert" in printed()
    assert (mail.commands, slack.requests) == ([], [])


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("addresses", "sender", "taken"),
    [
        ({"ALERT_EMAIL_TO": f"{TO}, boss@example.com", "ALERT_EMAIL_FROM": ""}, TO, [TO, "boss@example.com"]),
        ({"ALERT_EMAIL_TO": f"nobody@refused.example,{TO}"}, FROM, [TO]),
    ],
)
def test_every_recipient_but_those_that_are_refused_gets_the_same_email(
    with_email, mail, caplog, addresses, sender, taken
):
    assert with_email(mail.url, **addresses).send_failed_tasks_notification() is True
    assert [(m.sender, m.to) for m in mail.mails] == [(sender, taken)]
    assert ("E-mail refused for nobody@refused.example" in caplog.messages) is (len(taken) == 1)


@pytest.mark.slow
def test_two_dead_webhooks_need_one_email_and_the_next_failure_another(tasks, slack, with_email, mail):
    # The second alert says another time than the first.
    slack.answer(404, "no_service", times=None, channel="alerts", delay=1.1)
    slack.answer(404, "no_service", times=None)
    notifier = with_email(mail.url, SLACK_WEBHOOK=f"{slack.webhook()},{slack.webhook('other')}")
    for _ in range(2):
        tasks.fail(id="task-a", updated=0)
        assert notifier.send_failed_tasks_notification() is True
        assert notifier.send_failed_tasks_notification() is True
        elapse(tasks.connection, 60)
        tasks.clear()
    assert ["task-a" in m.part("plain") for m in mail.mails] == [True, True]


AT = f"alerts:{QUOTED_PASSWORD}@"
NO_TRUST = "the server's certificate was not accepted ("
# The server or its address, and what is said of it.
STRANGERS: dict[str, tuple[Callable[[Any, trustme.CA], Any], str]] = {
    "plain text": (lambda servers, _: servers(None), "the server offers no STARTTLS"),
    "unknown authority": (lambda servers, _: servers(trustme.CA()), NO_TRUST),
    "unknown authority, smtps": (lambda servers, _: servers(trustme.CA(), "smtps"), NO_TRUST),
    "another host": (lambda servers, authority: servers(authority, host="mail.example.com"), NO_TRUST),
    "wrong password": (
        lambda servers, authority: servers(authority),
        "the server does not accept the login of SMTP_URL (5.7.8 [masked] is not it, nor is [masked])",
    ),
    "refused port": (lambda *_: f"smtp://{AT}127.0.0.1:1", "no server answers there (Connection refused)"),
    "unknown host": (lambda *_: f"smtps://{AT}name.invalid", "there is no such host, check SMTP_URL"),
    "nobody": (
        lambda servers, authority: servers(authority),
        "the server accepts no address of ALERT_EMAIL_TO (no such user here)",
    ),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_email_that_cannot_go_out_is_an_error_and_the_next_good_run_delivers(
    refused, tasks, slack, with_email, servers, authority, trusted, caplog, watch, stranger
):
    make, line = STRANGERS[stranger]
    server = make(servers, authority)
    url = getattr(server, "url", server)
    if stranger == "wrong password":
        url = url.replace(QUOTED_PASSWORD, "not-the-password")
        watch.secrets.add("not-the-password")
    notifier = with_email(url, ALERT_EMAIL_TO="nobody@refused.example" if stranger == "nobody" else TO)
    caplog.clear()
    assert notifier.send_failed_tasks_notification() is False
    errors = [r.getMessage() for r in caplog.records if (r.name, r.levelname) == ("slack_notifier", "ERROR")]
    assert len(errors) == 2
    assert re.match(rf"{NOT_SENT} \([0-9a-f]{{6}}\): HTTP 404 no_service", errors[0])
    assert errors[1].startswith(NO_EMAIL)
    assert line in errors[1]
    assert [row for row in ledger(tasks.connection) if row[2]] == []
    if isinstance(server, MailServer):
        # Neither the password nor the alert reaches who is not the server.
        assert ("AUTH" in server.commands) is (stranger in ("wrong password", "nobody"))
        assert server.mails == []

    slack.answer_normally()
    assert notifier.send_failed_tasks_notification() is True
    assert notifier.send_failed_tasks_notification() is True
    assert told(slack) == [[refused]]


@pytest.mark.slow
def test_mail_server_that_hangs_is_tried_once_a_run(tasks, slack, with_email, monkeypatch):
    """So that it does not use up the time of the webhooks that work."""
    monkeypatch.setattr(slack_notifier, "EMAIL_SECONDS", 1)
    failed, stuck = tasks.fail(), tasks.add("queued", created=40)
    slack.answer(404, "no_service", times=None, channel="dead")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        notifier = with_email(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        notifier.settings = notifier.settings._replace(webhooks={"": [slack.webhook("dead"), slack.webhook()]})
        assert notifier.send_combined_notification()["error"]
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert told(slack) == [[failed]]
    assert told(slack, STUCK) == [[stuck]]


def test_slack_that_hangs_leaves_the_email_its_time(slack, mail, trusted, monkeypatch):
    monkeypatch.setattr(slack_notifier, "POST_SECONDS", 0.5)
    slack.answer(fault="hang")
    outbox = Outbox(Email(mail.url, [TO], FROM))
    to = slack_notifier.Destination(slack.webhook())
    outbox.post(to, Message("an alert", []), "a task", Deadline.after(3), or_mail=True)
    assert len(mail.mails) == 1


@pytest.fixture
def hanging(mail: MailServer) -> Iterator[tuple[Front, threading.Event, Outbox]]:
    """A port before the mail server that says nothing: to new clients until it is healed, to all until the event."""
    event = threading.Event()
    port = int(mail.url.rpartition(":")[2])
    front = Front(port, *[lambda _: event.wait(60)] * 9)
    yield front, event, Outbox(Email(mail.url.replace(f":{port}", f":{front.port}"), [TO], FROM))
    event.set()
    front.close()


def send(outbox: Outbox, text: str, seconds: float) -> None:
    outbox.mail(Message(f"{text}\nReported now", []), "HTTP 404", Deadline.after(seconds))


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_mail_server_is_tried_again_where_it_only_had_too_little_time(hanging, mail, trusted, seconds):
    front, _, outbox = hanging
    with pytest.raises(DeliveryError, match=NO_EMAIL):
        send(outbox, "an alert", seconds)
    front.heal()
    send(outbox, "an alert", 60)
    send(outbox, "an alert", 60)
    assert [m.message["Subject"] for m in mail.mails] == ["an alert"]


def test_mail_server_that_used_all_its_time_is_not_tried_again(hanging, mail, trusted, monkeypatch):
    monkeypatch.setattr(slack_notifier, "EMAIL_SECONDS", 0.3)
    front, _, outbox = hanging
    with pytest.raises(DeliveryError, match=f"{NO_EMAIL}no complete answer"):
        send(outbox, "an alert", 0.3)
    front.heal()
    monkeypatch.setattr(slack_notifier, "EMAIL_SECONDS", 60)
    with pytest.raises(DeliveryError, match=f"{NO_EMAIL}no complete answer"):
        send(outbox, "another alert", 60)
    assert mail.mails == []


def test_email_waits_for_another_one_no_longer_than_its_own_time(hanging, monkeypatch):
    monkeypatch.setattr(slack_notifier, "EMAIL_SECONDS", 60)
    front, event, outbox = hanging
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, outbox, "an alert", 60)
        wait_until(lambda: front.connections == 1)
        with pytest.raises(DeliveryError, match=f"{NO_EMAIL}no time left after another e-mail"):
            send(outbox, "another alert", 0.1)
        event.set()
        with pytest.raises(DeliveryError, match=NO_EMAIL):
            first.result(60)
