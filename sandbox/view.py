"""The page of the stand-in for Slack: a channel as a person would see it. Everything in it is escaped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from sandbox import mrkdwn

# The page is fetched every second.
MAX_SHOWN = 200

# A kind of message by the sign that its title begins with.
KINDS = {"🚨": "failed", "⚠️": "stuck", "✅": "recovered", "🎬": "created", "▶️": "started", "🙈": "unreadable"}

_WEB = Path(__file__).with_name("web")
_FILES = {"/page.css": "text/css", "/page.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_PAGE = Template((_WEB / "page.html").read_text(encoding="utf-8"))

_MESSAGE = Template("""
<article class="message $kind">
  <div class="avatar" aria-hidden="true">P</div>
  <div class="body">
    <div class="byline"><b>ProtoReel</b><span class="app">APP</span><time datetime="$iso">$time</time></div>
    $content
  </div>
</article>
""")

_REFUSAL = Template("""
<article class="refused">
  <div><b>$status</b>$word<time datetime="$iso">$time</time></div>
  <div>$reason</div>
</article>
""")

_LEVEL = re.compile(r"[-\d:, ]+ (INFO|WARNING|ERROR|CRITICAL) ")

_LOG = '<div class="log-title">Log</div><div id="log" tabindex="0">{}</div>\n'

_EMPTY = """
<div class="empty"><p>No messages yet.</p><p>What is posted to this channel's webhook appears here by itself.</p></div>
"""


@dataclass
class Request:
    """A request that reached a webhook's address, filled in as it is answered.

    `status` and `answer` stay None and "" where no answer was sent; `reason` says why it was not accepted.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    channel: str | None
    time: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    status: int | None = None
    answer: str = ""
    reason: str | None = "not answered yet"
    payload: dict[str, Any] | None = None

    @property
    def accepted(self) -> bool:
        return self.payload is not None


# The body and the headers of an answer.
Resource = tuple[bytes, Mapping[str, str]]


def resource(address: str, channels: Sequence[str], requests: Sequence[Request], log: Sequence[str]) -> Resource | None:
    """What the page's server has under this path and query (?kind=failed shows only those); None: nothing."""
    url = urlsplit(address)
    if url.path in _FILES:
        return _resource((_WEB / url.path[1:]).read_text(encoding="utf-8"), _FILES[url.path])
    channel = channels[0] if url.path == "/" else unquote(url.path.partition("/channel/")[2])
    if channel not in channels:
        return None
    # A request to an unknown webhook belongs to no channel; it shows in the first.
    here = [request for request in requests if (request.channel or channels[0]) == channel]
    wanted = parse_qs(url.query).get("kind", [""])[0]
    return _resource(_page(channel, channels, here, wanted, log), "text/html")


def _resource(text: str, kind: str) -> Resource:
    return text.encode("utf-8"), {**_HEADERS, "Content-Type": f"{kind}; charset=utf-8"}


def _page(channel: str, channels: Sequence[str], requests: Sequence[Request], wanted: str, log: Sequence[str]) -> str:
    shown = [request for request in requests if wanted in ("", _kind(request))][-MAX_SHOWN:]
    return _PAGE.substitute(
        name=escape(channel),
        channels="".join(
            _link(f'<span class="hash">#</span>{escape(name)}', "channel", _address(name), current=name == channel)
            for name in channels
        ),
        kinds=_kinds(channel, requests, wanted),
        messages="".join(map(_entry, shown)) or _EMPTY,
        log=_LOG.format(_log(log[-MAX_SHOWN:])) if log else "",
    )


def _address(channel: str) -> str:
    return escape(f"/channel/{quote(channel, safe='')}")


def _link(words: str, kind: str, address: str, *, current: bool) -> str:
    return f'<a class="{kind}{" current" if current else ""}" href="{address}">{words}</a>\n'


def _kind(request: Request) -> str:
    """One of KINDS; "refused" for what was not accepted, "other" for the rest."""
    if request.payload is None:
        return "refused"
    text = str(request.payload.get("text") or "")
    return next((kind for sign, kind in KINDS.items() if text.startswith(sign)), "other")


def _kinds(channel: str, requests: Sequence[Request], wanted: str) -> str:
    """The links that show one kind of message only; none where there is but one."""
    counts = Counter(map(_kind, requests))
    if len(counts) < 2 and not wanted:
        return ""
    signs = {kind: sign for sign, kind in KINDS.items()}
    links = [("", "All", len(requests))]
    links += [(kind, f"{signs.get(kind, '')} {kind.capitalize()}".strip(), count) for kind, count in counts.items()]
    here = _address(channel)
    return "".join(
        _link(f"{label} <b>{count}</b>", "kind", f"{here}?kind={kind}" if kind else here, current=kind == wanted)
        for kind, label, count in links
    )


def _log(lines: Sequence[str]) -> str:
    """Renders the log: # begins what happens, $ a run; any other line without a level belongs to the one before it."""
    html, level = [], ""
    for line in lines:
        kind = {"# ": "story", "$ ": "run"}.get(line[:2], "")
        found = _LEVEL.match(line)
        if found or kind:
            level = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}.get(found[1], "") if found else ""
        stamp = f'<span class="stamp">{found[0]}</span>' if found else ""
        words = escape(line[found.end() :] if found else line.removeprefix("# "))
        html.append(f'<p class="{kind or level}">{stamp}{words}</p>')
    return "".join(html)


def _entry(request: Request) -> str:
    moment = {"iso": escape(request.time.isoformat()), "time": request.time.astimezone().strftime("%H:%M")}
    if request.payload is not None:
        return _MESSAGE.substitute(moment, kind=_kind(request), content=message(request.payload))
    return _REFUSAL.substitute(
        moment,
        status=request.status or "No answer",
        word=f" <code>{escape(request.answer)}</code>" if request.answer else "",
        reason=escape(request.reason or ""),
    )


def message(payload: Mapping[str, Any]) -> str:
    """A message as Slack shows it: its blocks, or its text where it has none."""
    blocks = payload.get("blocks")
    if blocks:
        return "".join(map(_block, blocks))
    return f'<div class="text">{mrkdwn.render(payload["text"], verbatim=False)}</div>'


def _block(block: Mapping[str, Any]) -> str:
    """One of the kinds that the stand-in takes."""
    if block["type"] == "header":
        return f"<h2>{_text(block['text'])}</h2>"
    if block["type"] == "context":
        elements = "".join(f"<span>{_text(element)}</span>" for element in block["elements"])
        return f'<div class="context">{elements}</div>'
    words = f'<div class="text">{_text(block["text"])}</div>' if "text" in block else ""
    fields = "".join(f"<div>{_text(text)}</div>" for text in block.get("fields", []))
    return words + (f'<div class="fields">{fields}</div>' if fields else "")


def _text(text: Mapping[str, Any]) -> str:
    if text["type"] == "plain_text":
        return escape(text["text"])
    return mrkdwn.render(text["text"], verbatim=text.get("verbatim", False))
