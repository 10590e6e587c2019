"""Slack's markup as HTML, close to how Slack shows it. Pure; whatever the text holds, the HTML is harmless."""

from __future__ import annotations

import re
from html import escape
from itertools import groupby

_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_FENCE = re.compile(r"\n?```\n?(.+?)\n?```\n?", re.DOTALL)
# What is set aside before formatting, in order: code, tokens, and (unless verbatim) bare addresses.
_CODE = r"(?P<code>`[^`\n]+`)"
_TOKEN = r"<(?P<token>[^<>\n]+)>"
_ADDRESS = r"(?P<address>https?://[^\s<>|`*~]+)"
_FORMATS = (("*", "b"), ("_", "i"), ("~", "s"))
_SLOT = re.compile("\x00(\\d+)\x00")


def render(text: str, *, verbatim: bool = True) -> str:
    """HTML for a mrkdwn text; line breaks and spaces are left to the style sheet (white-space: pre-wrap).

    `verbatim` is Slack's: whether a bare address stays text instead of becoming a link.
    """
    parts = _FENCE.split(text.replace("\x00", ""))
    return "".join(
        f"<pre>{_plain(part)}</pre>" if number % 2 else _lines(part, verbatim) for number, part in enumerate(parts)
    )


def decode(text: str) -> str:
    """The three entities that Slack knows, decoded once."""
    return re.sub("&(?:amp|lt|gt);", lambda entity: _ENTITIES[entity[0]], text)


def _plain(text: str) -> str:
    return escape(decode(text))


def _lines(text: str, verbatim: bool) -> str:
    """Inline markup, with quoted lines set apart."""
    html = []
    for quoted, lines in groupby(text.split("\n"), key=lambda line: line.startswith((">", "&gt;"))):
        inline = _inline("\n".join(re.sub("^(?:>|&gt;) ?", "", line) if quoted else line for line in lines), verbatim)
        html.append(f"<blockquote>{inline}</blockquote>" if quoted else inline)
    # A quote is a block of its own and breaks the line by itself.
    return "".join(html)


def _inline(text: str, verbatim: bool) -> str:
    slots: list[str] = []

    def set_aside(found: re.Match[str]) -> str:
        kind, words = str(found.lastgroup), found[str(found.lastgroup)]
        if kind == "code":
            slots.append(f"<code>{_plain(words[1:-1])}</code>")
        else:
            slots.append(_token(words) if kind == "token" else _link(words, words))
        return f"\x00{len(slots) - 1}\x00"

    patterns = [_CODE, _TOKEN] if verbatim else [_CODE, _TOKEN, _ADDRESS]
    html = _plain(re.sub("|".join(patterns), set_aside, text))
    for mark, tag in _FORMATS:
        html = _formatted(html, re.escape(mark), tag)
    return _SLOT.sub(lambda slot: slots[int(slot[1])], html)


def _formatted(html: str, mark: str, tag: str) -> str:
    """Slack formats whole words only: a mark inside a word stays."""
    pattern = rf"(?<![\w{mark}]){mark}(?=[^\s{mark}])([^{mark}\n]*?)(?<=\S){mark}(?![\w{mark}])"
    return re.sub(pattern, rf"<{tag}>\1</{tag}>", html)


def _token(token: str) -> str:
    target, _, label = token.partition("|")
    if re.match(r"https?://|mailto:", target):
        return _link(target, label or target)
    if target.startswith(("!", "@")):
        name = label or re.sub(r"^(?:!subteam\^|[!@])", "", target)
        return f'<span class="mention">@{_plain(name.lstrip("@"))}</span>'
    return escape(f"<{decode(token)}>")


def _link(address: str, label: str) -> str:
    href = escape(decode(address))
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer">{_plain(label)}</a>'
