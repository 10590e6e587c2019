"""What Slack's incoming webhooks accept, as a pure check of a request's body.

Slack's own rules always hold: https://docs.slack.dev/reference/block-kit/blocks. The strict rules are ours: they
refuse what Slack might show wrongly, so that a test fails instead of a reader being misled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_TEXT = 3000
MAX_FIELDS = 10
MAX_FIELD = 2000
MAX_CONTEXT_ELEMENTS = 10
# Undocumented, measured by users: https://github.com/slackapi/bolt-js/issues/2509
MAX_ALL_BLOCKS = 13_200
HEADER_OVERHEAD = 100
MAX_TOP_TEXT = 40_000
# Beyond this Slack may split a message: https://docs.slack.dev/reference/methods/chat.postMessage#truncating
BEST_TOP_TEXT = 4_000

_PAYLOAD_KEYS = {"text", "blocks", "unfurl_links", "unfurl_media"}

_TOKEN = re.compile(r"<[^<>]*>")
_MENTION = re.compile(r"<(?:!(?:here|channel|everyone)|!subteam\^S[A-Z0-9]+|@[UW][A-Z0-9]+)(?:\|[^<>|\n]+)?>")
_LINK = re.compile(r"<https?://[^\s<>|]+(?:\|[^<>|\n]+)?>")
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt);)")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
# Embeddings, overrides and isolates reorder what follows them.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")


class Refused(Exception):
    """Raised if Slack would not take the body: `word` is what it would answer, `reason` what it would not tell."""

    def __init__(self, word: str, reason: str, status: int = 400) -> None:
        super().__init__(f"{status} {word}: {reason}")
        self.word = word
        self.reason = reason
        self.status = status


def checked(body: bytes) -> dict[str, Any]:
    """The payload in a request's body; raises Refused for anything that Slack, or a strict rule, would not take."""
    payload = _parsed(body)
    text, blocks = payload.get("text"), payload.get("blocks")
    if text is not None and not isinstance(text, str):
        raise Refused("invalid_payload", "text is not a string")
    if not (text or "").strip() and not blocks:
        raise Refused("no_text", "neither text nor blocks")
    if _units(text or "") > MAX_TOP_TEXT:
        raise Refused("msg_too_long", f"text has more than {MAX_TOP_TEXT} characters")
    _check_strict_payload(payload)
    if blocks is not None:
        _Blocks().check(blocks)
    return payload


def pings(payload: Mapping[str, Any]) -> list[str]:
    """Every mention in a payload that would notify somebody, in order: <!here>, <@U…> and their kin."""
    texts = [payload.get("text") or "", *texts_of(payload.get("blocks"))]
    return [mention for text in texts for mention in _MENTION.findall(text)]


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
        # Escaped halves of a surrogate pair pass the parser and fail here.
        json.dumps(payload, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Refused("invalid_payload", f"not JSON in UTF-8: {type(error).__name__}") from None
    if not isinstance(payload, dict):
        raise Refused("invalid_payload", "not a JSON object")
    return payload


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_strict_payload(payload: Mapping[str, Any]) -> None:
    unknown = sorted(set(payload) - _PAYLOAD_KEYS)
    if unknown:
        raise Refused("invalid_payload", f"strict: a webhook does not read {', '.join(unknown)}")
    if not (payload.get("text") or "").strip():
        raise Refused("no_text", "strict: blocks without text leave notifications and screen readers empty")
    for name in ("unfurl_links", "unfurl_media"):
        if payload.get(name) is not False:
            raise Refused("invalid_payload", f"strict: {name} is not false, Slack would fetch the message's links")
    if _units(payload["text"]) > BEST_TOP_TEXT:
        raise Refused("msg_too_long", f"strict: text has more than {BEST_TOP_TEXT} characters")
    fault = _mrkdwn_fault(payload["text"])
    if fault:
        raise Refused("invalid_payload", f"strict: text has {fault}")


class _Blocks:
    """Checks a list of blocks of the kinds that the notifier sends; any other is refused as unknown."""

    def check(self, blocks: object) -> None:
        self.must(isinstance(blocks, list), "blocks is not a list")
        assert isinstance(blocks, list)
        self.must(len(blocks) <= MAX_BLOCKS, f"{len(blocks)} blocks are more than {MAX_BLOCKS}")
        for number, block in enumerate(blocks):
            self.block(block, f"blocks[{number}]")
        total = sum(map(_units, texts_of(blocks)))
        total += sum(HEADER_OVERHEAD for block in blocks if block["type"] == "header")
        if total > MAX_ALL_BLOCKS:
            raise Refused("msg_blocks_too_long", f"{total} characters in all blocks are more than {MAX_ALL_BLOCKS}")

    def must(self, holds: bool, reason: str) -> None:
        if not holds:
            raise Refused("invalid_blocks", reason)

    def block(self, block: object, where: str) -> None:
        checks: dict[str, Callable[[dict[str, Any], str], None]] = {
            "header": self.header,
            "section": self.section,
            "context": self.context,
        }
        found = self.mapping(block, where)
        kind = found.get("type")
        self.must(isinstance(kind, str) and kind in checks, f"{where} is of type {kind!r}, which is not known here")
        checks[str(kind)](found, where)

    def header(self, block: dict[str, Any], where: str) -> None:
        self.keys(block, where, {"type", "text"})
        self.text(block.get("text"), f"{where}.text", MAX_HEADER, only="plain_text")

    def section(self, block: dict[str, Any], where: str) -> None:
        self.keys(block, where, {"type", "text", "fields"})
        self.must("text" in block or "fields" in block, f"{where} has neither text nor fields")
        if "text" in block:
            self.text(block["text"], f"{where}.text", MAX_TEXT)
        for number, field in enumerate(self.items(block, "fields", where, MAX_FIELDS)):
            self.text(field, f"{where}.fields[{number}]", MAX_FIELD)

    def context(self, block: dict[str, Any], where: str) -> None:
        self.keys(block, where, {"type", "elements"})
        self.must("elements" in block, f"{where} has no elements")
        for number, element in enumerate(self.items(block, "elements", where, MAX_CONTEXT_ELEMENTS)):
            self.text(element, f"{where}.elements[{number}]", MAX_TEXT)

    def text(self, text: object, where: str, limit: int, only: str | None = None) -> None:
        """A text object; `only` is the one type allowed here."""
        found = self.mapping(text, where)
        kind = found.get("type")
        flags = {"mrkdwn": "verbatim", "plain_text": "emoji"}
        self.must(isinstance(kind, str) and kind in flags, f"{where} is of type {kind!r}, not mrkdwn or plain_text")
        self.must(only in (None, kind), f"{where} must be {only}")
        flag = flags[str(kind)]
        self.keys(found, where, {"type", "text", flag})
        self.must(isinstance(found.get(flag, False), bool), f"{where}.{flag} is not true or false")
        self.string(found.get("text"), f"{where}.text", limit)
        fault = _mrkdwn_fault(found["text"]) if kind == "mrkdwn" else _plain_fault(found["text"])
        self.must(not fault, f"strict: {where} has {fault}")

    def mapping(self, value: object, where: str) -> dict[str, Any]:
        self.must(isinstance(value, dict), f"{where} is not an object")
        assert isinstance(value, dict)
        return value

    def items(self, block: dict[str, Any], name: str, where: str, limit: int) -> list[object]:
        items = block.get(name, [None])
        self.must(isinstance(items, list) and 1 <= len(items) <= limit, f"{where}.{name} is not a list of 1 to {limit}")
        return list(items) if name in block else []

    def string(self, value: object, where: str, limit: int) -> None:
        self.must(isinstance(value, str), f"{where} is not a string")
        self.must(bool(str(value).strip()), f"{where} is empty")
        self.must(_units(str(value)) <= limit, f"{where} has {_units(str(value))} characters, more than {limit}")

    def keys(self, value: dict[str, Any], where: str, known: set[str]) -> None:
        unknown = sorted(set(value) - known)
        self.must(not unknown, f"{where} has unknown keys: {', '.join(unknown)}")


def _units(text: str) -> int:
    """Characters as UTF-16 counts them, the largest of the ways in which Slack may count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _mrkdwn_fault(text: str) -> str | None:
    """What in the text Slack might read otherwise than meant; None: nothing."""
    for token in _TOKEN.findall(text):
        if not any(pattern.fullmatch(token) for pattern in (_LINK, _MENTION)):
            return f"a token that is none: {token[:60]!r}"
    rest = _TOKEN.sub(" ", text)
    for character in "<>":
        if character in rest:
            return f"an unescaped {character}"
    return "a bare or cut &" if _BARE_AMPERSAND.search(text) else _character_fault(text)


def _plain_fault(text: str) -> str | None:
    # Whether Slack decodes entities in plain_text is not documented.
    return "a character that needs escaping" if re.search("[&<>]", text) else _character_fault(text)


def _character_fault(text: str) -> str | None:
    if _CONTROL.search(text):
        return "a control character"
    return "a character that reorders text" if _REORDERING.search(text) else None


def texts_of(value: object) -> Iterator[str]:
    """The text of every text object in blocks, at any depth."""
    if isinstance(value, dict):
        if value.get("type") in ("mrkdwn", "plain_text") and isinstance(value.get("text"), str):
            yield value["text"]
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
