"""A stand-in for Slack's incoming webhooks on 127.0.0.1, as strict as Slack or stricter, that shows what it got.

    with SlackStandIn() as slack:
        post(slack.webhook(), {"text": "Hello", ...})
        assert slack.messages()[0]["text"] == "Hello"

It answers like Slack, unless a test scripts the next answers (`answer`), or holds a request in flight (`hold`).
"""

from __future__ import annotations

import os
import secrets
import socket
import string
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from sandbox import view
from sandbox.rules import Refused, checked
from sandbox.rules import pings as pings
from sandbox.view import Request as Request

HOME_CHANNEL = "alerts"
LOST = {"hang": "never answered", "close": "the connection ended", "reset": "the connection was reset"}
FAULTS = ("hang", "drip", "drip_headers", "reset", "accept_then_reset", "close")
DRIP_SECONDS = 1.0
# So long that no client's patience reaches its end.
DRIP_BYTES = 3600
# What Slack's answers mean to a reader of the page, by their word.
MEANINGS = {
    "rate_limited": "too many messages",
    "no_service": "the webhook was removed, disabled, or never there",
    "no_active_hooks": "the webhook is disabled",
    "invalid_token": "the secret in the webhook's URL is wrong or was revoked",
    "action_prohibited": "an admin of the workspace restricts who may post",
    "channel_not_found": "the channel was deleted",
    "channel_is_archived": "the channel is archived",
}
BURST_MESSAGES = 5
MESSAGES_PER_SECOND = 1.0


class Held:
    """A request in flight: it arrived in full, and is neither accepted nor answered until go()."""

    def __init__(self) -> None:
        self._received = threading.Event()
        self._decided = threading.Event()
        self._accept = False

    def wait_received(self, seconds: float = 60) -> None:
        """Returns once the request is here; raises TimeoutError if it does not come."""
        if not self._received.wait(seconds):
            raise TimeoutError(f"no request within {seconds} s")

    def go(self) -> None:
        """Lets the request be accepted and answered."""
        self._accept = True
        self._decided.set()

    def drop(self) -> None:
        """Ends the request unanswered and unaccepted, unless it may go already."""
        self._decided.set()

    def pass_through(self) -> bool:
        """Called by the server: waits for the decision."""
        self._received.set()
        self._decided.wait()
        return self._accept


@dataclass
class _Script:
    """How to treat a request; None and "": as Slack would."""

    status: int | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = 1
    delay: float = 0.0
    fault: str | None = None
    channel: str | None = None
    held: Held | None = None


class _Answer(NamedTuple):
    status: int
    body: str
    headers: Mapping[str, str]
    reason: str | None = None
    payload: dict[str, Any] | None = None


class SlackStandIn:
    """The server; it runs from construction to close().

    It also refuses what Slack takes but may show wrongly; `rate_limit` answers 429 to more than a message a second
    (after a `burst`) on one webhook.
    """

    def __init__(self, *, rate_limit: bool = False, burst: int = BURST_MESSAGES) -> None:
        self.rate_limit, self.burst = rate_limit, burst
        self._lock = threading.Lock()
        self._paths: dict[str, str] = {}
        self._requests: list[Request] = []
        # Lines that the page shows beside the channels.
        self.log: list[str] = []
        self._scripts: list[_Script] = []
        self._allowances: dict[str, _Allowance] = {}
        # Set when requests in flight must end.
        self.patience = threading.Event()
        self.closed = False
        self._server = _Server(("127.0.0.1", 0), self)
        # The first channel of the page.
        self.webhook(HOME_CHANNEL)
        serve = {"poll_interval": 0.02}
        threading.Thread(target=self._server.serve_forever, kwargs=serve, name="slack-stand-in", daemon=True).start()

    def __enter__(self) -> SlackStandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server and every request in flight, without waiting for their clients."""
        self.closed = True
        self.answer_normally()
        self.release()
        self._server.shutdown()
        self._server.server_close()

    @property
    def page(self) -> str:
        """The URL of the page that shows the channels."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def webhook(self, channel: str = HOME_CHANNEL) -> str:
        """The channel's webhook, made on first use. Its last part is the secret."""
        with self._lock:
            if channel not in self._paths:
                self._paths[channel] = f"/services/T{_letters(10)}/B{_letters(10)}/{_letters(24, string.ascii_letters)}"
            return self.page.rstrip("/") + self._paths[channel]

    @property
    def requests(self) -> list[Request]:
        """Every request to a webhook's address so far, accepted or not, in order of arrival."""
        with self._lock:
            return list(self._requests)

    def messages(self, channel: str = HOME_CHANNEL) -> list[dict[str, Any]]:
        """The payloads that the channel accepted, in order of arrival."""
        return [request.payload for request in self.requests if request.payload and request.channel == channel]

    @property
    def channels(self) -> list[str]:
        with self._lock:
            return list(self._paths)

    def answer(
        self,
        status: int | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        times: int | None = 1,
        delay: float = 0.0,
        fault: str | None = None,
        channel: str | None = None,
    ) -> None:
        """Scripts the next `times` requests (None: all until answer_normally()), after those scripted before.

        A message is accepted only under a 2xx status, and only if it is valid; without a status the request is
        treated as usual. Faults: `hang` never answers, `close` and `reset` end the connection instead of answering,
        `accept_then_reset` loses the answer to an accepted message, `drip` sends a byte of the body a second,
        `drip_headers` a byte of the status line and headers a second; the last two accept what is valid.
        """
        if fault not in (None, *FAULTS):
            raise ValueError(f"fault must be one of {', '.join(FAULTS)}")
        with self._lock:
            self._scripts.append(_Script(status, body, headers or {}, times, delay, fault, channel))

    def answer_normally(self) -> None:
        """Forgets scripted answers that were not used, and drops requests that are held."""
        with self._lock:
            held = [script.held for script in self._scripts if script.held]
            self._scripts.clear()
        for request in held:
            request.drop()

    @contextmanager
    def hold(self, channel: str | None = None) -> Iterator[Held]:
        """Holds the next request until go(); at the end of the block it is dropped, if it may not go already."""
        held = Held()
        script = _Script(channel=channel, held=held)
        with self._lock:
            self._scripts.append(script)
        try:
            yield held
        finally:
            held.drop()
            with self._lock, suppress(ValueError):
                self._scripts.remove(script)

    def release(self) -> None:
        """Ends every delay, hanging and dripping request now."""
        with self._lock:
            self.patience.set()
            if not self.closed:
                self.patience = threading.Event()

    def clear(self) -> None:
        """Starts afresh: no requests, no messages, no scripted answers; the webhooks stay."""
        self.answer_normally()
        self.release()
        with self._lock:
            self._requests.clear()
            self._allowances.clear()

    def receive(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[Request, _Script]:
        """Records a request and picks how to treat it."""
        with self._lock:
            path = path.partition("?")[0]
            channel = next((name for name, known in self._paths.items() if known == path), None)
            request = Request(method, path, headers, body, channel)
            self._requests.append(request)
            return request, self._next_script(request)

    def _next_script(self, request: Request) -> _Script:
        script = next((each for each in self._scripts if each.channel in (None, request.channel)), _Script(times=None))
        if script.times is not None:
            script.times -= 1
            if script.times <= 0:
                self._scripts.remove(script)
        return script

    def decide(self, request: Request, script: _Script) -> _Answer:
        """Accepts or refuses the request, and records which."""
        with self._lock:
            answer = self._answer(request, script)
            request.reason, request.payload = answer.reason, answer.payload
            return answer

    def _answer(self, request: Request, script: _Script) -> _Answer:
        if script.status is not None and not 200 <= script.status < 300:
            word = script.body or ""
            return _Answer(script.status, word, script.headers, _meaning(script.status, word, script.headers))
        if request.method != "POST":
            return _Answer(405, "method_not_allowed", script.headers, f"{request.method} instead of POST")
        if request.channel is None:
            return _Answer(404, "no_service", script.headers, MEANINGS["no_service"])
        if self.rate_limit and not self._allowances.setdefault(request.channel, _Allowance(self.burst)).take():
            return _Answer(429, "rate_limited", {"Retry-After": "1"}, "more than a message a second")
        try:
            _check_content_type(request)
            payload = checked(request.body)
        except Refused as refused:
            return _Answer(400, refused.word, script.headers, refused.reason)
        body = "ok" if script.body is None else script.body
        return _Answer(script.status or 200, body, script.headers, None, payload)


class _Allowance:
    """A token bucket: a burst, then so many a second."""

    def __init__(self, burst: int) -> None:
        self.burst, self.tokens, self.since = burst, float(burst), time.monotonic()

    def take(self) -> bool:
        before, self.since = self.since, time.monotonic()
        self.tokens = min(self.burst, self.tokens + (self.since - before) * MESSAGES_PER_SECOND)
        is_allowed = self.tokens >= 1
        self.tokens -= is_allowed
        return is_allowed


def _check_content_type(request: Request) -> None:
    kind = next((value for name, value in request.headers.items() if name.lower() == "content-type"), "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise Refused("invalid_payload", f"Content-Type {kind or 'missing'} instead of application/json")


def _meaning(status: int, word: str, headers: Mapping[str, str]) -> str:
    """Returns why Slack takes no message with this answer, and when it would again."""
    if status == 429:
        word = "rate_limited"
    meaning = MEANINGS.get(word, "an error on Slack's side" if status >= 500 else "the message was not taken")
    pause = headers.get("Retry-After")
    return f"{meaning}: again in {pause} seconds" if pause else meaning


def _letters(count: int, alphabet: str = string.ascii_uppercase + string.digits) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # server_close() must not wait for requests that hang.
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], stand_in: SlackStandIn) -> None:
        self.stand_in = stand_in
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the tests, and none of their output."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.path.startswith("/services/"):
            self._handle_webhook()
            return
        stand_in = self.server.stand_in
        found = view.resource(self.path, stand_in.channels, stand_in.requests, stand_in.log)
        self._send(_response(200, *found) if found else _response(404, b"not found", {}))

    def do_POST(self) -> None:
        self._handle_webhook()

    do_PUT = do_PATCH = do_DELETE = do_POST

    def log_message(self, *_: object) -> None:
        """Nothing: the requests are on the page."""

    def _handle_webhook(self) -> None:
        stand_in = self.server.stand_in
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if stand_in.closed:
            self.close_connection = True
            return
        patience = stand_in.patience
        request, script = stand_in.receive(self.command, self.path, dict(self.headers), body)
        if script.held and not script.held.pass_through():
            self._leave(request, "held, then dropped")
            return
        if script.delay:
            patience.wait(script.delay)
        self._treat(request, script, patience)

    def _treat(self, request: Request, script: _Script, patience: threading.Event) -> None:
        if script.fault == "hang":
            request.reason = "never answered"
            patience.wait()
        if script.fault in LOST:
            self._leave(request, LOST[script.fault], reset=script.fault == "reset")
            return
        answer = self.server.stand_in.decide(request, script)
        if script.fault == "accept_then_reset":
            self._leave(request, request.reason, reset=True)
            return
        request.status, request.answer = answer.status, answer.body
        if script.fault in ("drip", "drip_headers"):
            self._drip(answer, patience, headers_too=script.fault == "drip_headers")
        else:
            self._send(_response(answer.status, answer.body.encode(), answer.headers))

    def _leave(self, request: Request, reason: str | None, *, reset: bool = False) -> None:
        """Ends the connection without an answer."""
        request.reason = reason
        self.close_connection = True
        if reset:
            # Lingering for 0 seconds makes close() send RST; shutdown(), which the server calls first, would send FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def _drip(self, answer: _Answer, patience: threading.Event, *, headers_too: bool) -> None:
        self.close_connection = True
        data = _response(answer.status, answer.body.encode().ljust(DRIP_BYTES), answer.headers)
        start = 0 if headers_too else data.index(b"\r\n\r\n") + 4
        with suppress(OSError):
            self.wfile.write(data[:start])
            for position in range(start, len(data)):
                self.wfile.write(data[position : position + 1])
                if patience.wait(DRIP_SECONDS):
                    return

    def _send(self, data: bytes) -> None:
        try:
            # In one piece: a second small packet would wait for the acknowledgement of the first.
            self.wfile.write(data)
        except OSError:
            self.close_connection = True


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    known = {code.value: code.phrase for code in HTTPStatus}
    lines = {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} {known.get(status, 'Unknown')}\r\n{head}\r\n".encode("latin-1") + body
