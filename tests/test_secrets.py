"""Through every failure, at DEBUG: no secret in anything that a run writes."""

from __future__ import annotations

import http.client
import importlib.util
import json
import logging
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Callable
from urllib.parse import quote

import pytest
from servers import QUOTED_PASSWORD, Front, port_of, says
from support import PROGRAM, ledger, rows

import slack_notifier
from sandbox.slack import SlackStandIn
from slack_notifier import Settings, SlackNotifier

HEART = "secret-of-the-heart"


@pytest.fixture
def everything(watch, slack, mail, trusted, heart, database_url):
    """All variables that hold a secret; at the end, all that was sent is searched as well."""
    watch.secrets |= {HEART, "/services/"}

    def everything(**variables: str) -> dict[str, str]:
        return {
            "DATABASE_URL": database_url,
            "SLACK_WEBHOOK": slack.webhook(),
            "SMTP_URL": mail.url,
            "ALERT_EMAIL_TO": "ops@example.com",
            "HEARTBEAT_URL": f"{heart.address}/{HEART}",
            "SSL_CERT_FILE": trusted,
            "DEBUG": "true",
            **variables,
        }

    yield everything
    watch.written += [request.body.decode("utf-8") for request in slack.requests]
    watch.written += [mail.part("plain") for mail in mail.mails]


def path_of(slack: SlackStandIn, channel: str = "alerts") -> str:
    return "/services/" + slack.webhook(channel).partition("/services/")[2]


def spelled(url: str) -> str:
    """The same address in percent-encoding that urllib3 spells its own way."""
    start, slash, secret = url.rpartition("/")
    return f"{start}{slash}{secret[:-1]}%{ord(secret[-1]):02x}%2fx"


TREATMENTS: dict[str, str] = {
    "malformed headers": "HTTP/1.1 200 OK\r\nno header at all\r\nContent-Length: 2\r\n\r\nok",
    "malformed headers of a refusal": "HTTP/1.1 404 Not Found\r\nno header at all\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": "SSH-2.0-OpenSSH\r\n",
    "bad chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "broken compression": "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
    "redirect": "HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "broken redirect": "HTTP/1.1 307 Moved\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
}

SCRIPTS: dict[str, Callable[[SlackStandIn], None]] = {
    "ok": lambda slack: None,
    "no_service": lambda slack: slack.answer(404, "no_service", times=None),
    "invalid_blocks": lambda slack: slack.answer(400, "invalid_blocks"),
    "301": lambda slack: slack.answer(301, "", {"Location": slack.webhook()}, times=None),
    "404 that quotes the address": lambda slack: slack.answer(404, f"{path_of(slack)}, {slack.webhook()}", times=None),
    "429 that quotes the address": lambda slack: slack.answer(429, slack.webhook(), {"Retry-After": "99"}, times=None),
    "503 that quotes the address, once": lambda slack: slack.answer(503, slack.webhook()),
    "reset": lambda slack: slack.answer(fault="reset", times=None),
    "close": lambda slack: slack.answer(fault="close", times=None),
    "accept_then_reset": lambda slack: slack.answer(fault="accept_then_reset", times=None),
    "hang": lambda slack: slack.answer(fault="hang", times=None),
}

ADDRESSES: dict[str, Callable[[str], str]] = {
    "as it is": lambda url: url,
    "spelled in another way": spelled,
    "of no host": lambda url: url.replace("127.0.0.1", "name.invalid"),
    "of another scheme": lambda url: url.replace("http:", "https:"),
    "by a detour": lambda url: url.replace("/services/", "/x/../services/"),
    "with the secret in a query": lambda url: url.replace("/services/", "?/services/"),
    "with a login": lambda url: url.replace("http://", f"http://user:{QUOTED_PASSWORD}@"),
}


@pytest.fixture
def brief(monkeypatch):
    """Less patience, so that all faults can be tried."""
    limits = {"DELIVERY_SECONDS": 5, "EMAIL_SECONDS": 2, "WEBHOOK_READ_SECONDS": 0.5, "HEARTBEAT_SECONDS": 1}
    for name, limit in {**limits, "EVENT_SECONDS": 2, "DATABASE_PAUSES_SECONDS": (0.1,)}.items():
        monkeypatch.setattr(slack_notifier, name, limit)


def everything_a_notifier_does(environ: dict[str, str]) -> None:
    notifier = SlackNotifier(settings=Settings.from_environment(environ))
    notifier.send_combined_notification()
    notifier.send_task_creation_notification("id", "key", {})
    notifier.send_message("Hello")
    SlackNotifier(settings=Settings.from_environment(environ), dry_run=True).send_combined_notification()


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_answer_spreads_no_secret(tasks, slack, everything, brief, caplog, watch, script):
    tasks.fail()
    SCRIPTS[script](slack)
    everything_a_notifier_does(everything())
    watch.written.append(str(ledger(tasks.connection)))
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_broken_server_spreads_no_secret(tasks, slack, everything, brief, treatment):
    tasks.fail()
    front = Front(port_of(slack), *[says(TREATMENTS[treatment])] * 9)
    everything_a_notifier_does(everything(SLACK_WEBHOOK=front.url(slack.webhook())))
    front.close()
    assert front.connections > 0


@pytest.mark.parametrize("address", ADDRESSES)
def test_odd_address_spreads_no_secret(tasks, slack, everything, brief, heart, address):
    tasks.fail()
    spell = ADDRESSES[address]
    beat = spell(f"{heart.address}/{HEART}")
    everything_a_notifier_does(everything(SLACK_WEBHOOK=spell(slack.webhook()), HEARTBEAT_URL=beat))


@pytest.mark.parametrize(
    "variables",
    [
        {"DATABASE_URL": f"postgresql://u:{HEART}@127.0.0.1:1/x"},
        {"DATABASE_URL": f"postgresql://u:{HEART}@name.invalid/x"},
        {"DATABASE_URL": f"postgresql://u:{HEART}@127.0.0.1:1,name.invalid/x?sslmode=require"},
        {"SMTP_URL": f"smtp://u:{HEART}@127.0.0.1:1"},
        {"SMTP_URL": f"smtps://u:{HEART}@name.invalid"},
        {"HEARTBEAT_URL": f"http://127.0.0.1:1/{HEART}"},
        {"HEARTBEAT_URL": f"http://127.0.0.1:1/x?key={HEART}"},
    ],
    ids=lambda variables: "-".join(f"{name} {url.partition('@')[2][:30]}" for name, url in variables.items()),
)
def test_unreachable_server_spreads_no_secret(tasks, slack, everything, brief, variables):
    tasks.fail()
    slack.answer(404, "no_service", times=None)
    everything_a_notifier_does(everything(**variables))


@pytest.mark.slow
def test_process_and_database_session_show_no_secret(tasks, slack, everything, watch, tmp_path):
    tasks.fail()
    with slack.hold() as held:
        command = [sys.executable, "-m", "slack_notifier"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROGRAM.parent), **everything()}
        with subprocess.Popen(command, env=environment, cwd=tmp_path) as running:
            held.wait_received()
            process = Path("/proc") / str(running.pid)
            seen = [(process / name).read_bytes().decode() for name in ("cmdline", "comm")]
            seen += [str(rows(tasks.connection, "SELECT application_name, query FROM pg_stat_activity"))]
            held.go()
        assert running.returncode == 0
    watch.written += seen
    assert "\0-m\0slack_notifier\0" in seen[0]
    assert "('slack_notifier', " in seen[2]


@pytest.mark.slow
def test_host_programs_own_debug_log_gets_no_secret_from_a_left_behind_thread(slack, everything, watch, monkeypatch):
    monkeypatch.setattr(slack_notifier, "EVENT_SECONDS", 2)
    written: list[str] = []

    host = logging.Handler()
    host.emit = lambda record: written.append(host.format(record))
    logging.getLogger("urllib3").addHandler(host)
    slack.answer(404, slack.webhook(), delay=3)
    notifier = SlackNotifier(settings=Settings.from_environment(everything()))
    assert notifier.send_message("Hello") is False
    for thread in [t for t in slack_notifier.threading.enumerate() if t.name == "slack-notifier-delivery"]:
        thread.join(60)
    logging.getLogger("urllib3").removeHandler(host)
    watch.written += written
    assert written


def test_database_error_that_quotes_the_password_is_masked():
    ledger = object.__new__(slack_notifier.Ledger)
    ledger._options = {"password": "correct horse"}
    assert ledger._words(ValueError('no "correct horse" in correct horses')) == 'no "[masked]" in correct horses'


def test_text_of_an_unexpected_error_is_not_logged(caplog):
    class Odd:
        words = "-".join(["correct", "horse"])

        def replace(self, *_: str) -> str:
            raise ValueError(self.words)

    with slack_notifier.Outcome() as outcome:
        slack_notifier.escape(Odd())
    assert outcome.error.startswith("Unexpected ValueError at slack_notifier.py:")
    assert Odd.words not in caplog.text


# ---- What a server makes of the address ------------------------------------------------------------------------------

ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "in percent-encoding": lambda path: quote(path, safe=""),
    "in HTML": lambda path: "".join(f"&#{ord(character)};" for character in path),
    "in JSON": lambda path: json.dumps(path)[1:-1].replace("/", "\\/"),
    "as base64": lambda path: b64encode(path.encode()).decode(),
    "as base64 of more": lambda path: b64encode(f"POST {path} HTTP/1.1".encode()).decode(),
    "as base64 of still more": lambda path: b64encode(f"PATCH {path} HTTP/1.1".encode()).decode(),
    "without its end": lambda path: path[:-9],
    "without its start": lambda path: path[-9:],
}


def windows(text: str, characters: int = 9) -> list[str]:
    return [text[start : start + characters].lower() for start in range(len(text) - characters + 1)]


@pytest.mark.parametrize("echo", ECHOES)
def test_an_answer_that_quotes_the_address_in_its_own_way_spreads_none_of_it(slack, everything, caplog, echo):
    path = path_of(slack)
    said = ECHOES[echo](path)
    slack.answer(404, f"no such page: {said}", times=None)
    assert SlackNotifier(settings=Settings.from_environment(everything())).send_message("Hello") is False
    [line] = [message for message in caplog.messages if "HTTP 404" in message]
    assert "no such page: " in line
    assert not [window for window in windows(path) + windows(said) if window in line.lower()]


@pytest.mark.parametrize("script", ["ok", "no_service", "reset"])
def test_debug_output_of_http_client_spreads_no_secret(slack, everything, monkeypatch, capfd, watch, script):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    monkeypatch.setattr(slack_notifier, "EVENT_SECONDS", 1)
    SCRIPTS[script](slack)
    SlackNotifier(settings=Settings.from_environment(everything())).send_message("Hello")
    printed = capfd.readouterr().out
    watch.written.append(printed)
    assert "POST" not in printed
    # It is on, for others.
    connection = http.client.HTTPConnection("127.0.0.1", port_of(slack))
    connection.request("GET", "/")
    connection.close()
    assert "GET" in capfd.readouterr().out


TRACED = """
import sys
import requests, sentry_sdk
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import slack_notifier

spans, events = InMemorySpanExporter(), []

class Transport(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        events.append(envelope.serialize().decode())

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
RequestsInstrumentor().instrument()
URLLib3Instrumentor().instrument()
sentry_sdk.init(dsn="http://a@127.0.0.1:1/1", transport=Transport, traces_sample_rate=1.0)
with sentry_sdk.start_transaction(name="worker"):
    requests.post(sys.argv[1] + "/theirs")
    slack_notifier.deliver(sys.argv[1] + "/ours", slack_notifier.Message("Hello", []), slack_notifier.Deadline.after(5))
    sentry_sdk.capture_message("done")
print("".join(events), *[span.to_json() for span in spans.get_finished_spans()])
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ["sentry_sdk", "opentelemetry"])), reason="no tracing libraries here"
)
def test_tracing_libraries_see_other_requests_but_not_ours(slack):
    front = Front(port_of(slack), *[says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")] * 9)
    url = front.url(slack.webhook()).partition("/services")[0]
    program = [sys.executable, "-c", TRACED, url]
    traced = subprocess.check_output(program, timeout=60, text=True, cwd=PROGRAM.parent)
    front.close()
    assert front.connections == 2
    assert traced.count("/theirs") >= 2
    assert "/ours" not in traced
