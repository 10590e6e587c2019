"""What becomes of a message: a row for each answer and fault, the budgets, and what the next good run does."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from time import monotonic
from typing import Any, Callable, NamedTuple
from urllib.parse import urlsplit

import pytest
from servers import Front, port_of, says
from support import FAILED, PROGRAM, holds, ids, title

import slack_notifier
from sandbox.postgres import create_database, create_tasks_table, drop_database
from sandbox.slack import SlackStandIn
from slack_notifier import NEVER, Deadline, DeliveryError, Message, Settings, SlackNotifier

SLACK = "https://hooks.slack.com/services/T0/B0/secret"
SLACK_GOV = "https://hooks.slack-gov.com/services/T0/B0/secret"
ELSEWHERE = "https://chat.example.com/hooks/secret"

NOT_SENT = "Failed to send Slack message: "
SENT = "Slack message sent successfully: "
MAY_HAVE_ARRIVED = "the message may have arrived"
# The worker's own call ends within 10 s, an event within 5, and what a busy machine adds; the command line would wait
# for 15. What its deadline does not end has all the time there is: how often it is tried is not the machine's affair.
CALL, EVENT, LONG = 14, 9, 60


# ---- Meaning of an answer --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("webhook", "accepted", "answers"),
    [
        (SLACK, True, [(200, "ok"), (200, "ok\n")]),
        (SLACK, False, [(200, ""), (200, "OK"), (200, '{"ok": true}'), (200, "<html>Sign in</html>")]),
        (SLACK, False, [(201, "ok"), (204, "")]),
        (SLACK.replace("hooks.slack", "HOOKS.Slack"), False, [(200, "no")]),
        (SLACK.replace(".com/", ".com:443/"), False, [(200, "no")]),
        (SLACK_GOV, True, [(200, "ok")]),
        (SLACK_GOV, False, [(200, "welcome")]),
        (ELSEWHERE, True, [(200, "ok"), (200, '{"success":true}'), (200, ""), (204, ""), (299, "")]),
        (ELSEWHERE, False, [(300, "ok"), (199, "ok"), (400, "ok")]),
        ("https://hooks.slack.com.evil.example/services/T0/B0/x", True, [(200, "whatever")]),
        ("https://evil.example/hooks.slack.com", True, [(200, "whatever")]),
    ],
)
def test_slack_must_say_ok_and_others_2xx(webhook, accepted, answers):
    for status, body in answers:
        assert (slack_notifier._refusal(status, {}, body, webhook) is None) is accepted, (status, body)


# Slack's error words that no retry heals, each with a piece of what a person should do.
ADVICE = {
    "invalid_payload": (400, "please report a bug"),
    "no_text": (400, "empty"),
    "channel_not_found": (404, "invite the app"),
    "channel_is_archived": (410, "unarchive it"),
    "action_prohibited": (403, "ask its admin"),
    "posting_to_general_channel_denied": (403, "use another channel"),
    "invalid_token": (403, "create a new webhook"),
    "no_service": (404, "create a new webhook"),
    "no_active_hooks": (404, "create a new webhook"),
}


@pytest.mark.parametrize(
    ("status", "body", "retried", "words"),
    [
        (500, " invalid_token\n", False, f"HTTP 500 invalid_token: {slack_notifier._SLACK_ADVICE['invalid_token']}"),
        (400, "invalid_blocks", False, "HTTP 400 invalid_blocks"),
        (429, "", True, "HTTP 429 (rate limited)"),
        (500, "rollup_error", True, "HTTP 500 rollup_error"),
        (502, "<html>Bad gateway</html>", True, "HTTP 502 Bad gateway"),
        (503, "", True, "HTTP 503"),
        (308, "", False, "HTTP 308: the URL redirects elsewhere, is it the webhook's?"),
        (400, "never heard of", False, "HTTP 400 never heard of: check the webhook's URL"),
        (404, "", False, "HTTP 404: check the webhook's URL"),
        (200, "<html>Sign in</html>", False, "HTTP 200 Sign in: check the webhook's URL"),
        (404, "x" * 300, False, "HTTP 404 [masked]: check the webhook's URL"),
        (404, "two\r\nlines \x1b[31m", False, "HTTP 404 two lines: check the webhook's URL"),
    ],
)
def test_refusal_says_what_it_was_and_whether_it_may_heal(status, body, retried, words):
    error = slack_notifier._refusal(status, {}, body, SLACK)
    assert isinstance(error, DeliveryError)
    assert str(error) == words
    assert (error.retry_after < NEVER) is retried


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        *[(header, 0, 0) for header in ("", "-5", "soon", "٣", "²", "Wed, 21 Oct 2026 07:28:00 GMT")],
        *[(header, int(header), int(header)) for header in ("1", " 30 ", "3600")],
        ("1.5", 0, 2),
        ("9" * 5000, 3600, 1e40),
    ],
)
def test_retry_after_is_read_in_seconds(header, least, most):
    assert least <= slack_notifier._refusal(429, {"Retry-After": header}, "", SLACK).retry_after <= most
    assert slack_notifier._refusal(429, {}, "", SLACK).retry_after == 0


# ---- The table: answers and faults -----------------------------------------------------------------------------------


class Row(NamedTuple):
    """A fault, what it does to an alert, and how often that has arrived after the next good runs.

    `arrange` returns another webhook where it is not the stand-in's own; `requests` counts attempts to connect where
    none arrives, a range where they are as many as there is time for; `arrivals` is None where no good run can follow.
    """

    arrange: Callable[[Scene], str | None]
    delivered: bool
    requests: int | range
    seconds: float
    log: str
    arrivals: int | None = 1


class Scene:
    """One row's own stand-in for Slack and front."""

    def __init__(self) -> None:
        self.slack = SlackStandIn()
        self.fronts: list[Front] = []

    def front(self, *treatments: Any, closed: bool = False) -> str:
        self.fronts.append(Front(port_of(self.slack), *treatments, closed=closed))
        return self.fronts[-1].url(self.slack.webhook())

    def heal(self) -> None:
        self.slack.answer_normally()
        self.slack.release()
        for front in self.fronts:
            front.heal()

    def close(self) -> None:
        for server in (*self.fronts, self.slack):
            server.close()


def answer(*script: Any, then: tuple[int, str] | str = "", **options: Any) -> Callable[[Scene], None]:
    """`then`: the answer after this one, or the fault."""

    def arrange(scene: Scene) -> None:
        scene.slack.answer(*script, **options)
        if then:
            scene.slack.answer(*then) if isinstance(then, tuple) else scene.slack.answer(fault=then)

    return arrange


def fault(name: str) -> Callable[[Scene], None]:
    return answer(fault=name, times=None)


def front(*treatments: Any, closed: bool = False) -> Callable[[Scene], str]:
    return lambda scene: scene.front(*treatments, closed=closed)


def redirect(status: int) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        scene.slack.answer(status, "", {"Location": scene.slack.webhook("elsewhere")})

    return arrange


def rate_limit(retry_after: str | None, times: int = 1) -> Callable[[Scene], None]:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return answer(429, "rate_limited", headers, times=times)


AS_MANY = range(2, 4)
LAYOUT = "Slack refused the message's layout ("
AS_TEXT = LAYOUT + "HTTP {}): sending it as text only"
REFUSED_LAYOUT = ("invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long")

ALERTS = {
    "200 ok": Row(answer(200, "ok"), True, 1, LONG, SENT),
    "204 of Discord": Row(answer(204, ""), True, 1, LONG, SENT),
    **{word: Row(answer(status, word), False, 1, LONG, advice) for word, (status, advice) in ADVICE.items()},
    **{
        f"{status} to elsewhere": Row(redirect(status), False, 1, LONG, f"HTTP {status}: the URL redirects elsewhere")
        for status in (301, 302, 303, 307, 308)
    },
    "302 to no address": Row(front(says("HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n")),
        False, 1, LONG, "HTTP 302: the URL redirects elsewhere"),
    "302 with an endless body": Row(front(says("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", for_ever=True)),
        False, 1, LONG, "the URL redirects elsewhere"),
    "429, 1 s": Row(rate_limit("1"), True, 2, LONG, SENT),
    "429, an hour": Row(rate_limit("3600"), False, 1, LONG, "HTTP 429 rate_limited (rate limited)"),
    "429, missing": Row(rate_limit(None), True, 2, LONG, SENT),
    "429, again and again": Row(rate_limit("2", times=9), False, AS_MANY, CALL, "(rate limited)"),
    "429, longer than the call": Row(rate_limit("10"), False, 1, CALL, "(rate limited)"),
    "500 once": Row(answer(500, "rollup_error"), True, 2, LONG, SENT),
    "a bare 500, once": Row(answer(500, ""), True, 2, LONG, AS_TEXT.format(500)),
    "a bare 500, twice": Row(answer(500, "", then=(500, "")), True, 3, LONG, SENT),
    "a bare 500, for ever": Row(answer(500, "", times=None), False, range(3, 5), CALL, f"{NOT_SENT}…: HTTP 500"),
    "502 and 503": Row(answer(502, "", then=(503, "")), True, 3, LONG, SENT),
    "503 for ever": Row(answer(503, "", times=None), False, AS_MANY, CALL, f"{NOT_SENT}…: HTTP 503"),
    "no such port": Row(front(closed=True), False, AS_MANY, CALL, "no connection (Connection refused)"),
    "no such host": Row(lambda _: "http://name.invalid/services/T/B/secret",
        False, AS_MANY, CALL, "no connection (there is no such host)", None),
    "hang": Row(fault("hang"), False, 1, CALL, MAY_HAVE_ARRIVED),
    "drip": Row(fault("drip"), False, 1, CALL, f"no complete answer within … s; {MAY_HAVE_ARRIVED}", 2),
    "drip_headers": Row(fault("drip_headers"), False, 1, CALL, f"no complete answer within … s; {MAY_HAVE_ARRIVED}", 2),
    "reset": Row(fault("reset"), False, 1, LONG, f"connection lost (Connection reset by peer); {MAY_HAVE_ARRIVED}"),
    "accept_then_reset": Row(fault("accept_then_reset"), False, 1, LONG, MAY_HAVE_ARRIVED, 2),
    "close": Row(fault("close"), False, 1, LONG, MAY_HAVE_ARRIVED),
    "200 with an endless body": Row(front(says("HTTP/1.1 200 OK\r\n\r\n", for_ever=True)), True, 1, LONG, SENT, 0),
    "200 with half a body": Row(front(says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")),
        True, 1, LONG, SENT, 0),
    "404 with an endless body": Row(front(says("HTTP/1.1 404 Not Found\r\n\r\n", for_ever=True)),
        False, 1, LONG, "HTTP 404 [masked]"),
    "no HTTP": Row(front(says("SSH-2.0-OpenSSH_9.6\r\n")), False, 1, LONG, MAY_HAVE_ARRIVED),
    "broken compression": Row(front(says("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok")),
        True, 1, LONG, SENT, 0),
    **{f"{word} once": Row(answer(400, word), True, 2, LONG, AS_TEXT.format(f"400 {word}")) for word in REFUSED_LAYOUT},
    "invalid_blocks for ever": Row(answer(400, "invalid_blocks", times=None),
        False, 2, LONG, f"{NOT_SENT}…: HTTP 400 invalid_blocks"),
    "invalid_blocks, then 500": Row(answer(400, "invalid_blocks", then=(500, "")),
        True, 3, LONG, AS_TEXT.format("400 invalid_blocks")),
    "invalid_blocks, then no_text": Row(answer(400, "invalid_blocks", then=(400, "no_text")),
        False, 2, LONG, "HTTP 400 no_text: the message was empty"),
}  # fmt: skip


class Log(logging.Handler):
    """What each thread has logged, and how often urllib3 has tried to connect where."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        self.records.append(record)

    def mine(self, start: int = 0) -> list[logging.LogRecord]:
        me = threading.get_ident()
        return [r for r in self.records[start:] if r.thread == me and r.name == "slack_notifier"]

    def attempts(self, host: str, start: int) -> int:
        texts = [r.getMessage() for r in self.records[start:] if r.name == "urllib3.connectionpool"]
        return sum(text.startswith("Starting new HTTP connection") and text.endswith(f": {host}") for text in texts)


@pytest.fixture(scope="module")
def log() -> Iterator[Log]:
    log = Log()
    loggers = [logging.getLogger(name) for name in ("slack_notifier", "urllib3.connectionpool")]
    for logger in loggers:
        logger.addHandler(log)
        logger.setLevel(logging.DEBUG)
    yield log
    for logger in loggers:
        logger.removeHandler(log)
        logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def alert_database(server_url: str) -> Iterator[str]:
    """One failed task and one that is stuck, for all rows: each has a destination of its own."""
    url = create_database(server_url)
    create_tasks_table(url)
    with closing(slack_notifier.psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "SET TIME ZONE 'UTC'; INSERT INTO tasks (id, user_api_key, status, error, created_at, updated_at) VALUES "
            "('failed-task', 'key-of-a-user', 'failed', 'No <space> left', now(), now()), "
            "('stuck-task', 'key-of-a-user', 'queued', NULL, now() - interval '2 h', now() - interval '2 h')"
        )
    yield url
    drop_database(url)


def attempts(scene: Scene, log: Log, webhook: str, start: int) -> int:
    """Requests that arrived; where there is no server, connections that were tried since the record `start` of the log:
    a port may have been another server's before."""
    if scene.fronts:
        front = scene.fronts[0]
        return front.connections if front.listening else log.attempts(f"127.0.0.1:{front.port}", start)
    host = urlsplit(webhook).hostname
    return len(scene.slack.requests) if host == "127.0.0.1" else log.attempts(f"{host}:80", start)


class Unhurried(SlackNotifier):
    """Calls that no machine is too slow for."""

    def run(self, seconds: float, timeout: float = 30, **how: bool) -> slack_notifier.Run:
        return super().run(3600, timeout, **how)


def check(row: Row, log: Log, database_url: str = "") -> None:
    """Of an alert where there is a database, else of an event."""
    with closing(Scene()) as scene:
        webhook = row.arrange(scene) or scene.slack.webhook()
        # What the deadline does not end has time that no machine is too slow for.
        kind = Unhurried if row.seconds == LONG else SlackNotifier
        notifier = kind(webhook, settings=Settings(database_url=database_url))
        send = notifier.send_failed_tasks_notification if database_url else partial(send_created, notifier)
        start, started = len(log.records), monotonic()
        assert send() is row.delivered
        assert monotonic() - started <= row.seconds
        tried = attempts(scene, log, webhook, start)
        assert tried in row.requests if isinstance(row.requests, range) else tried == row.requests
        assert {request.method for request in scene.slack.requests} <= {"POST"}
        levels = {record.getMessage(): record.levelname for record in log.mine(start)}
        lines = "\n".join(levels)
        assert holds(lines, row.log)
        what = ("1 failed task" if database_url else "a created task") + " to SLACK_WEBHOOK ("
        assert (f"{SENT}{what}" in lines, f"{NOT_SENT}{what}" in lines) == (row.delivered, not row.delivered)
        if row.log.startswith(LAYOUT):
            first, second, *_ = (json.loads(request.body) for request in scene.slack.requests)
            assert ("blocks" in first, "blocks" in second) == (True, False)
            assert (second["text"], second["unfurl_links"]) == (first["text"], False)
            assert [level for text, level in levels.items() if "layout" in text] == ["ERROR"]
        if database_url and row.arrivals is not None:
            scene.heal()
            assert [send(), send()] == [True, True]
            told = [message_ids(message) for message in scene.slack.messages()]
            assert told == [["failed-task"]] * row.arrivals
        assert scene.slack.messages("elsewhere") == []


def message_ids(message: dict[str, Any]) -> list[str]:
    """The tasks of an alert, which may be of text only."""
    if "blocks" in message:
        return ids(message) if title(message) == FAILED else []
    return ["failed-task"] if "`failed-task`" in message["text"] else []


@pytest.mark.slow
def test_message_whose_answer_is_late_is_not_sent_again(slack, monkeypatch):
    monkeypatch.setattr(slack_notifier, "WEBHOOK_READ_SECONDS", 0.2)
    slack.answer(fault="hang")
    with pytest.raises(DeliveryError, match=MAY_HAVE_ARRIVED):
        slack_notifier.deliver(slack.webhook(), Message("text", []), Deadline.after(60))


def test_message_is_not_sent_again_without_time_for_its_answer(slack):
    slack.answer(503, "", times=None)
    seconds = slack_notifier.WEBHOOK_PAUSES_SECONDS[0] + slack_notifier.POST_SECONDS - 0.1
    with pytest.raises(DeliveryError, match="HTTP 503"):
        slack_notifier.deliver(slack.webhook(), Message("text", []), Deadline.after(seconds))
    assert len(slack.requests) == 1


def test_call_without_time_for_an_answer_posts_nothing(notifier, slack, tasks, monkeypatch):
    seconds = slack_notifier.POST_SECONDS + slack_notifier.COMMIT_SECONDS + slack_notifier.LEEWAY_SECONDS
    monkeypatch.setattr(slack_notifier, "CALL_SECONDS", seconds)
    tasks.fail()
    assert notifier.send_failed_tasks_notification() is False
    assert slack.requests == []


EVENTS = {
    "429, 1 s": Row(rate_limit("1"), True, 2, LONG, SENT),
    "429, 10 s": Row(rate_limit("10"), False, 1, EVENT, "(rate limited)"),
    "429, an hour": Row(rate_limit("3600"), False, 1, LONG, "(rate limited)"),
    "503 for ever": Row(answer(503, "", times=None), False, AS_MANY, EVENT, "HTTP 503"),
    "503, then drip": Row(answer(503, "", then="drip"), False, 2, EVENT, MAY_HAVE_ARRIVED),
    "no such port": Row(front(closed=True), False, AS_MANY, EVENT, "no connection (Connection refused)"),
    "hang": Row(fault("hang"), False, 1, EVENT, MAY_HAVE_ARRIVED),
    "drip": Row(fault("drip"), False, 1, EVENT, f"no complete answer within … s; {MAY_HAVE_ARRIVED}"),
    "reset": Row(fault("reset"), False, 1, EVENT, MAY_HAVE_ARRIVED),
}


def check_several(sickness: str, send: Callable[[SlackNotifier], bool], seconds: float, database_url: str = "") -> None:
    """Of a message to a webhook that drips or hangs and to two that are well."""
    with SlackStandIn() as slack:
        slack.answer(fault=sickness, channel="sick", times=None)
        webhooks = {"": [slack.webhook(channel) for channel in ("sick", "well", "fine")]}
        notifier = SlackNotifier(settings=Settings(database_url=database_url, webhooks=webhooks))
        started = monotonic()
        assert send(notifier) is False
        assert monotonic() - started <= seconds
        if database_url:
            sick = len(slack.messages("sick"))
            slack.answer_normally()
            # In the call or, where the machine is so slow that a post might not end in it, in the next.
            assert [send(notifier), send(notifier)] == [True, True]
            assert len(slack.messages("sick")) == sick + 1
        assert [len(slack.messages(channel)) for channel in ("well", "fine")] == [1, 1]


def send_created(notifier: SlackNotifier) -> bool:
    return notifier.send_task_creation_notification("id", "a-user-s-key", {"scenes": [{}]})


def check_program(database_url: str) -> None:
    """A failed and a stuck task to report, and a server that sends a byte a second."""
    with SlackStandIn() as slack:
        slack.answer(fault="drip", times=None)
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()}
        started = monotonic()
        command = [sys.executable, str(PROGRAM)]
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, timeout=180, check=False)
        assert monotonic() - started <= 50
        assert done.returncode == 1
        for what in ("1 failed task", "1 stuck task"):
            line = f"{NOT_SENT}{what} to SLACK_WEBHOOK (…): no complete answer within 1"
            assert holds(done.stderr.decode(), line)


AT_ONCE = 16


def jobs(kind: str, table: dict[str, Row]) -> list[Any]:
    slow = {name: [pytest.mark.slow] if row.seconds == CALL else [] for name, row in table.items()}
    return [pytest.param(f"{kind}: {name}", id=name, marks=slow[name]) for name in table]


@pytest.fixture(scope="module")
def checks(request: pytest.FixtureRequest, log: Log, alert_database: str) -> Iterator[dict[str, Future[None]]]:
    """Every check that was asked for, many of them at once: most of their time is waiting."""
    alert = SlackNotifier.send_failed_tasks_notification
    jobs: dict[str, Callable[[], None]] = {
        "program": partial(check_program, alert_database),
        "several: alert": partial(check_several, "drip", alert, CALL, alert_database),
        "several: event": partial(check_several, "hang", send_created, EVENT),
        **{f"event: {name}": partial(check, row, log) for name, row in EVENTS.items()},
        **{f"alert: {name}": partial(check, row, log, alert_database) for name, row in ALERTS.items()},
    }
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {call.params.get("job") for call in calls if call}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(job) for name, job in jobs.items() if name in wanted}


@pytest.mark.parametrize("job", jobs("event", EVENTS))
def test_event_outlives_every_fault_within_5_seconds(checks, job):
    checks[job].result(240)


@pytest.mark.parametrize("job", ["several: event", pytest.param("several: alert", marks=pytest.mark.slow)])
def test_sick_webhook_takes_neither_the_message_nor_the_time_of_the_others(checks, job):
    checks[job].result(240)


@pytest.mark.parametrize("job", jobs("alert", ALERTS))
def test_alert_outlives_every_fault_within_10_seconds_and_arrives_with_the_next_good_run(checks, job):
    checks[job].result(240)


@pytest.mark.parametrize(("length", "requests"), [(2000, 1), (2001, 2), (6000, 2)])
def test_text_that_another_host_may_find_too_long_is_sent_again_in_under_2000_characters(caplog, length, requests):
    with closing(Scene()) as scene:
        answer = '{"content": ["Must be 2000 or fewer in length."]}'
        webhook = scene.front(says(f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(answer)}\r\n\r\n{answer}"))
        blocks = [{"type": "divider"}]
        assert SlackNotifier(webhook, settings=Settings()).send_message("x" * length, blocks) is (requests == 2)
        assert scene.fronts[0].connections == requests
        for message in scene.slack.messages():
            assert message["text"] == "x" * 1997 + "..."
            assert "blocks" not in message
    assert ("sending it as text only" in caplog.text) is (requests == 2)


def test_slack_itself_takes_any_length():
    cases = [(400, SLACK), (400, ELSEWHERE), (404, ELSEWHERE)]
    refused = [slack_notifier._refusal(status, {}, "no", url).length_refused for status, url in cases]
    assert refused == [False, True, False]


@pytest.mark.slow(20)
@pytest.mark.parametrize("job", ["program"])
def test_program_with_two_alerts_gives_each_15_seconds_whatever_slack_does(checks, job):
    checks[job].result(240)


# ---- Slack's own hosts, for real -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "script", "code", "line"),
    [
        ("hooks.slack.com", (), 0, SENT),
        ("hooks.slack.com", (200, "<html>Sign in</html>"), 1, f"{NOT_SENT}…: HTTP 200 Sign in"),
        ("hooks.slack-gov.com", (200, ""), 1, f"{NOT_SENT}…: HTTP 200"),
        ("chat.example.com", (200, '{"success":true}'), 0, SENT),
    ],
)
def test_slacks_own_hosts_must_say_ok(cli, slack, tls_slack, trusted, host, script, code, line):
    if script:
        slack.answer(*script)
    environment = {"HTTPS_PROXY": tls_slack.url, "REQUESTS_CA_BUNDLE": trusted}
    done = cli("--test-creation", SLACK_WEBHOOK=tls_slack.webhook(host=host), **environment)
    assert done.code == code
    assert holds(done.log, line)
    assert tls_slack.hosts == [f"{host}:443"]
    assert [request.headers["Host"] for request in slack.requests] == [host]


def test_certificate_of_an_unknown_authority_is_refused(cli, slack, tls_slack):
    done = cli("--test-creation", SLACK_WEBHOOK=tls_slack.webhook(), HTTPS_PROXY=tls_slack.url)
    assert done.code == 1
    why = "no TLS connection (unable to get local issuer certificate)"
    assert holds(done.log, f"{NOT_SENT}a created task to SLACK_WEBHOOK (…): {why}")
    assert (slack.requests, tls_slack.hosts) == ([], ["hooks.slack.com:443"])


def test_a_server_that_speaks_no_tls_is_no_matter_of_certificates(cli, slack):
    done = cli("--test-creation", SLACK_WEBHOOK=slack.webhook().replace("http:", "https:"))
    assert done.code == 1
    assert holds(done.log, f"{NOT_SENT}…: no TLS connection (wrong version number): …does the server speak https?")


def test_an_answer_that_quotes_an_address_of_plain_words_names_none_of_them(monkeypatch):
    monkeypatch.setattr(slack_notifier, "_request", lambda *_: (404, {}, "no such page: correcthorse"))
    with pytest.raises(DeliveryError, match=r"^HTTP 404 no such page: \[masked\]: check the webhook's URL$"):
        slack_notifier._post("https://chat.example.com/hooks/correcthorse", {}, Deadline.after(60))
