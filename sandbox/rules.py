"""What Slack's incoming webhooks accept, as a pure check of a request's body.

Slack's own rules always hold: https://docs.slack.dev/reference/block-kit/blocks. The strict rules are ours: they
refuse what Slack might show wrongly, so that a test fails instead of a reader being misled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
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

    def __init__(self, word: str, reason: str) -> None:
        super().__init__(f"{word}: {reason}")
        self.word, self.reason = word, reason


def _must(holds: object, reason: str, word: str = "invalid_blocks") -> None:
    if not holds:
        raise Refused(word, reason)


def checked(body: bytes) -> dict[str, Any]:
    """The payload in a request's body; raises Refused for anything that Slack, or a strict rule, would not take."""
    payload = _parsed(body)
    text, blocks = payload.get("text") or "", payload.get("blocks")
    _must(isinstance(text, str), "text is not a string", "invalid_payload")
    _must(text.strip() or blocks, "neither text nor blocks", "no_text")
    _must(_units(text) <= MAX_TOP_TEXT, f"text has more than {MAX_TOP_TEXT} characters", "msg_too_long")
    _check_strict_payload(payload)
    if blocks is not None:
        _check_blocks(blocks)
    return payload


def pings(payload: Mapping[str, Any]) -> list[str]:
    """Every mention in a payload that would notify somebody, in order: <!here>, <@U…> and their kin."""
    texts = [payload.get("text") or "", *texts_of(payload.get("blocks"))]
    return [mention for text in texts for mention in _MENTION.findall(text)]


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body.decode("utf-8"))
        # Escaped halves of a surrogate pair and NaN pass the parser and fail here.
        json.dumps(payload, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Refused("invalid_payload", f"not JSON in UTF-8: {type(error).__name__}") from None
    _must(isinstance(payload, dict), "not a JSON object", "invalid_payload")
    return dict(payload)


def _check_strict_payload(payload: Mapping[str, Any]) -> None:
    unknown = sorted(set(payload) - _PAYLOAD_KEYS)
    _must(not unknown, f"strict: a webhook does not read {', '.join(unknown)}", "invalid_payload")
    text = payload.get("text") or ""
    _must(text.strip(), "strict: blocks without text leave notifications and screen readers empty", "no_text")
    for name in ("unfurl_links", "unfurl_media"):
        words = f"strict: {name} is not false, Slack would fetch the message's links"
        _must(payload.get(name) is False, words, "invalid_payload")
    _must(_units(text) <= BEST_TOP_TEXT, f"strict: text has more than {BEST_TOP_TEXT} characters", "msg_too_long")
    fault = _mrkdwn_fault(text)
    _must(not fault, f"strict: text has {fault}", "invalid_payload")


def _check_blocks(blocks: Any) -> None:
    """Checks a list of blocks of the kinds that the notifier sends; any other is refused as unknown."""
    _must(isinstance(blocks, list), "blocks is not a list")
    _must(len(blocks) <= MAX_BLOCKS, f"{len(blocks)} blocks are more than {MAX_BLOCKS}")
    for number, block in enumerate(blocks):
        where = f"blocks[{number}]"
        _must(isinstance(block, dict), f"{where} is not an object")
        check = _KINDS.get(str(block.get("type")))
        if check is None:
            raise Refused("invalid_blocks", f"{where} is of type {block.get('type')!r}, which is not known here")
        check(block, where)
    total = sum(map(_units, texts_of(blocks))) + HEADER_OVERHEAD * sum(block["type"] == "header" for block in blocks)
    beyond = f"{total} characters in all blocks are more than {MAX_ALL_BLOCKS}"
    _must(total <= MAX_ALL_BLOCKS, beyond, "msg_blocks_too_long")


def _check_header(block: dict[str, Any], where: str) -> None:
    _check_keys(block, where, {"type", "text"})
    _check_text(block.get("text"), f"{where}.text", MAX_HEADER, only="plain_text")


def _check_section(block: dict[str, Any], where: str) -> None:
    _check_keys(block, where, {"type", "text", "fields"})
    _must("text" in block or "fields" in block, f"{where} has neither text nor fields")
    if "text" in block:
        _check_text(block["text"], f"{where}.text", MAX_TEXT)
    if "fields" in block:
        _check_texts(block["fields"], f"{where}.fields", MAX_FIELDS, MAX_FIELD)


def _check_context(block: dict[str, Any], where: str) -> None:
    _check_keys(block, where, {"type", "elements"})
    _must("elements" in block, f"{where} has no elements")
    _check_texts(block["elements"], f"{where}.elements", MAX_CONTEXT_ELEMENTS, MAX_TEXT)


_KINDS = {"header": _check_header, "section": _check_section, "context": _check_context}


def _check_texts(texts: Any, where: str, most: int, limit: int) -> None:
    _must(isinstance(texts, list) and 1 <= len(texts) <= most, f"{where} is not a list of 1 to {most}")
    for number, text in enumerate(texts):
        _check_text(text, f"{where}[{number}]", limit)


def _check_text(text: Any, where: str, limit: int, only: str | None = None) -> None:
    """A text object; `only` is the one type allowed here."""
    _must(isinstance(text, dict), f"{where} is not an object")
    kind, words = text.get("type"), text.get("text")
    flag = {"mrkdwn": "verbatim", "plain_text": "emoji"}.get(str(kind), "")
    _must(flag, f"{where} is of type {kind!r}, not mrkdwn or plain_text")
    _must(only in (None, kind), f"{where} must be {only}")
    _check_keys(text, where, {"type", "text", flag})
    _must(isinstance(text.get(flag, False), bool), f"{where}.{flag} is not true or false")
    _must(isinstance(words, str), f"{where}.text is not a string")
    _must(words.strip(), f"{where}.text is empty")
    _must(_units(words) <= limit, f"{where}.text has {_units(words)} characters, more than {limit}")
    fault = _mrkdwn_fault(words) if kind == "mrkdwn" else _plain_fault(words)
    _must(not fault, f"strict: {where} has {fault}")


def _check_keys(value: dict[str, Any], where: str, known: set[str]) -> None:
    unknown = sorted(set(value) - known)
    _must(not unknown, f"{where} has unknown keys: {', '.join(unknown)}")


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
