#!/usr/bin/env python3
"""Tells Slack which ProtoReel tasks failed, are stuck, were created or were started.

Run it:      python slack_notifier.py --timeout 30
Import it:   SlackNotifier().send_failed_tasks_notification()

Settings come from the environment: DATABASE_URL and SLACK_WEBHOOK are required, .env.example lists all. Only the
command line reads a .env file; importing this module has no effect.

Exit codes: 0 delivered or nothing to report, 1 something could not be read or delivered, 2 wrong usage or setting.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import psycopg2
import psycopg2.errorcodes
import psycopg2.extensions
import psycopg2.extras

__version__ = "1.0.0"
__all__ = ["Settings", "SlackNotifier"]

logger = logging.getLogger(__name__)

NO_WEBHOOK = "SLACK_WEBHOOK environment variable not set"

FAILED_WINDOW_MINUTES = 30
DEFAULT_TIMEOUT_MINUTES = 30
MAX_TIMEOUT_MINUTES = 366 * 24 * 60

WEBHOOK_CONNECT_SECONDS = 5
WEBHOOK_READ_SECONDS = 10

DATABASE_CONNECT_SECONDS = 5
DATABASE_STATEMENT_SECONDS = 60
# How long a run waits for tasks that another run is just reporting.
LOCK_WAIT_SECONDS = 20
# After this long without a word from its client the server drops a claim: longer than any delivery takes.
CLAIM_HOLD_SECONDS = 45


class NotifierError(Exception):
    """Base of what can go wrong here; the text is one line, fit for a log, free of secrets."""


class SettingError(NotifierError, ValueError):
    """Raised if a setting or an argument has a value that cannot be used; the text names it and what it accepts."""


class DatabaseError(NotifierError):
    """Raised if the tasks could not be read; the text says what to do about it."""


class DeliveryError(NotifierError):
    """Raised if a message was not accepted; the text gives the reason."""


# ---- Settings --------------------------------------------------------------------------------------------------------


class Settings(NamedTuple):
    """Everything that can be configured, read once. Unset and empty variables are the same."""

    database_url: str = ""
    webhook: str = ""
    notify_on_task_creation: bool = True
    notify_on_task_start: bool = True
    notify_on_recovery: bool = True
    remind_minutes: int = 240
    debug: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Reads the variables of .env.example; a wrong value raises SettingError, a ValueError naming the variable."""
        return cls(
            database_url=_database_url(environ.get("DATABASE_URL", "")),
            webhook=_webhook("SLACK_WEBHOOK", environ.get("SLACK_WEBHOOK", "")),
            notify_on_task_creation=_flag(environ, "SLACK_NOTIFY_ON_TASK_CREATION", default=True),
            notify_on_task_start=_flag(environ, "SLACK_NOTIFY_ON_TASK_START", default=True),
            notify_on_recovery=_flag(environ, "SLACK_NOTIFY_ON_RECOVERY", default=True),
            remind_minutes=_whole_number(environ, "SLACK_REMIND_MINUTES", default=240),
            debug=_flag(environ, "DEBUG", default=False),
        )

    def __repr__(self) -> str:
        # The values hold a password and the webhook, and a repr ends up in logs and tracebacks.
        return f"{type(self).__name__}(…)"


_FLAG_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    word = environ.get(name, "").strip().lower()
    if word and word not in _FLAG_WORDS:
        raise SettingError(f"{name} must be true or false (or 1/0, yes/no, on/off)")
    return _FLAG_WORDS.get(word, default)


def _whole_number(environ: Mapping[str, str], name: str, *, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise SettingError(f"{name} must be a whole number from 0 to 999999")
    return int(text)


def _database_url(value: str) -> str:
    """The URL as libpq reads it; SQLAlchemy's driver suffix (postgresql+psycopg2://) is dropped."""
    value = value.strip()
    if value and not re.match(r"postgres(ql)?(\+\w+)?://", value):
        raise SettingError("DATABASE_URL must be a PostgreSQL URL: postgresql://user:password@host:5432/database")
    url = re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", value)
    try:
        host = psycopg2.extensions.parse_dsn(url).get("host", "")
    except psycopg2.Error:
        # The driver's text quotes the part that it cannot read, which may be of the password.
        host = "@"
    if "@" in host:
        raise SettingError(
            "DATABASE_URL is not a valid PostgreSQL URL: percent-encode special characters in it, @ as %40"
        )
    return url


def _webhook(name: str, value: str) -> str:
    url = value.strip()
    if url and not _is_web_address(url):
        raise SettingError(f"{name} must be a webhook's URL: https://hooks.slack.com/services/…")
    return url


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)
    except ValueError:
        return False


def _minutes(value: float) -> float:
    if isinstance(value, (int, float)) and 0 < value <= MAX_TIMEOUT_MINUTES:
        return value
    raise SettingError(f"the timeout must be a positive number of minutes, at most {MAX_TIMEOUT_MINUTES}")


# ---- Text ------------------------------------------------------------------------------------------------------------

ERROR_CHARACTERS = 200
# A link that is longer cannot share a section with the rest of its task (Slack: 3,000 characters a section).
LINK_CHARACTERS = 1200
LABEL_CHARACTERS = 64
# Errors of megabytes exist; nothing beyond these two ends can appear in a line of 200 characters.
ERROR_END_CHARACTERS = 10_000

# What can reorder, hide or break text: controls, bidirectional marks, zero-width characters, lone surrogates, tags.
# The joiner of emoji sequences (U+200D) and its sibling stay.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)

_MASK = "***"
_SECRET_NAME = (
    r"[\w-]*(?:passw(?:or)?d|passphrase|pwd|secret|token(?!s)|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credentials?|signature)[\w-]*"
)
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"), _MASK),
    (re.compile(r"(?i)(hooks\.slack(?:-gov)?\.com/)\w+/\S+"), rf"\1{_MASK}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)(?:[^\s/?#]*|[^\s/@:]+:(?!\d{1,5}/)[^\s@]+)@"), rf"\1{_MASK}@"),
    (
        re.compile(r"(?i)\b(https?://[^\s?]+\?)\S*?(?:sig|signature|credential|accesskeyid|token|key)=\S*"),
        rf"\1{_MASK}",
    ),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?"), _MASK),
    (
        re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic|token|digest)\s+)?[^\s\"',;]+"),
        rf"\1{_MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+(?=[\w.~+/-]*[\d._~+/=-])[\w.~+/-]{8,}=*"), rf"\1 {_MASK}"),
    (re.compile(r"(?i)\b(bearer)\s+[\w.~+/-]{16,}=*"), rf"\1 {_MASK}"),
    (
        re.compile(rf"(?i)(?<![\w-])({_SECRET_NAME}[\"']?\s*[:=]\s*)(?:\"[^\"]*\"?|'[^']*'?|[^\s\"'&,;)}}\]]+)"),
        rf"\1{_MASK}",
    ),
    (re.compile(r"\bxox[a-z]-[\w-]{6,}|\bxapp-[\w-]{6,}"), _MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}"), _MASK),
    (re.compile(r"\bAIza[\w-]{20,}"), _MASK),
    (re.compile(r"\b(?:sk|pk|rk)[-_][\w-]{16,}"), _MASK),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|r8_)\w{16,}"), _MASK),
)


def redact(text: str) -> str:
    """Masks what looks like a credential: in URLs, after Bearer or a telling name (api_key=…), or by its own shape."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def one_line(value: object) -> str:
    """A value from outside as one line of visible text; backticks, which could end a code span, become quotes."""
    text = " ".join(str(value).split())
    return _INVISIBLE.sub("", text).replace("`", "'").strip()


def shorten(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters].rstrip() + "..."


def escape(text: str) -> str:
    """Slack's three entities, and no others: https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def task_text(value: object, characters: int = LABEL_CHARACTERS) -> str:
    """The one way of a value from a task into a message: visible, masked, cut, then escaped; '' where it is absent."""
    return escape(shorten(redact(one_line(value)), characters)) if value is not None else ""


def error_line(error: str | None) -> str:
    """What went wrong in one line: the text before a Python traceback, else the traceback's last line."""
    text = (error or "").strip()
    if len(text) > 2 * ERROR_END_CHARACTERS:
        text = f"{text[:ERROR_END_CHARACTERS]}\n{text[-ERROR_END_CHARACTERS:]}"
    message, mark, stack = text.partition("Traceback (most recent call last)")
    if mark and not message.strip():
        message = stack.rstrip().rpartition("\n")[2]
    return task_text(message, ERROR_CHARACTERS) or "No error message"


def mask_key(key: object) -> str:
    """An API key's first 8 characters and "..."; of one shorter than 12 characters, its first half."""
    text = one_line(key)
    shown = text[: 8 if len(text) >= 12 else len(text) // 2]
    return escape(shown) + "..."


def log_link(uri: object, label: str) -> str:
    """A Slack link, or '' where the URI is not http(s) or too long; a URI can end neither the link nor its label."""
    text = str(uri or "").strip()
    # https://docs.slack.dev/messaging/formatting-message-text#linking-urls: a space or | breaks a link.
    url = escape(quote(text, safe="%/:=&?~#+!$,;'@()*[]", errors="replace"))
    return f"<{url}|{label}>" if re.match(r"(?i)https?://[^/\s]", text) and len(url) <= LINK_CHARACTERS else ""


def format_time(moment: datetime | None) -> str:
    """2025-09-01 12:00:00 UTC; a time without a zone is UTC."""
    if not isinstance(moment, datetime):
        return "unknown"
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def plural(count: float, noun: str) -> str:
    return f"{count:.10g} {noun}" if count == 1 else f"{count:.10g} {noun}s"


# ---- Blocks ----------------------------------------------------------------------------------------------------------

# Slack's limits: 50 blocks a message, 3,000 characters a section, and (undocumented) about 13,200 over all blocks;
# https://docs.slack.dev/reference/block-kit/blocks. Users disagree on what a character is, so ours keep a distance.
MESSAGE_CHARACTERS = 9000
# Beyond 4,000 Slack may split the text: https://docs.slack.dev/reference/methods/chat.postMessage#truncating
TEXT_CHARACTERS = 3900
MAX_LISTED_TASKS = 20


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: Slack makes no links, channels or mentions of its own from bare words in task text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def header(text: str) -> dict[str, Any]:
    """Only for our own words: a header knows no escaping."""
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def fields(texts: Sequence[str]) -> dict[str, Any]:
    return {"type": "section", "fields": [_mrkdwn(text) for text in texts]}


def context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [_mrkdwn(text)]}


def size(text: str) -> int:
    """Characters as Slack may count them: UTF-16 units of the escaped text."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


# ---- Messages --------------------------------------------------------------------------------------------------------

Task = Mapping[str, Any]


class Message(NamedTuple):
    """One Slack message; `text` holds all of it for receivers and screen readers that ignore blocks."""

    text: str
    blocks: list[dict[str, Any]]

    def payload(self) -> dict[str, Any]:
        """The body that a webhook takes; without unfurling, or Slack would fetch the URLs of task text."""
        payload: dict[str, Any] = {"text": self.text, "unfurl_links": False, "unfurl_media": False}
        return {**payload, "blocks": self.blocks} if self.blocks else payload


class Claim(NamedTuple):
    """What one destination has yet to be told of one alert.

    `tasks` are the first of them, most important first: the columns of a task, its `alert` in the ledger, and as
    `total` how many tasks that alert has. `since` is None where all of it happened within the alert's usual window.
    """

    tasks: Sequence[Task]
    total: int
    claimed_at: datetime
    since: datetime | None = None


class Group(NamedTuple):
    """Tasks under one heading ('' for none), most important first; of `total` there may be fewer here."""

    heading: str
    tasks: Sequence[Task]
    total: int


def bold(label: str) -> str:
    return f"*{label}*"


def code(escaped: str) -> str:
    return f"`{escaped or 'unknown'}`"


def plain(mrkdwn: str) -> str:
    """Slack's markup as text for a terminal: links written out, labels without asterisks, entities decoded."""
    text = re.sub(r"<([^|>]+)\|([^>]*)>", r"\2 (\1)", _without_bold(mrkdwn))
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _without_bold(mrkdwn: str) -> str:
    # Bold stands only at the start of a line, where task text never does: its asterisks stay.
    return re.sub(r"(?m)^((?:• |  )?)\*([^*\n]+)\*", r"\1\2", mrkdwn)


_STATUS_NAMES = {"inprogress": "in_progress"}


def task_info(task: Task) -> str:
    """The five lines of one task. Missing keys and NULLs are allowed."""
    status = task.get("status")
    return "\n  ".join(
        [
            f"• {bold('Task ID:')} {code(task_text(task.get('id')))}",
            f"{bold('Status:')} {task_text(_STATUS_NAMES.get(str(status), status)) or 'unknown'}",
            f"{bold('Created:')} {format_time(task.get('created_at'))}",
            f"{bold('Error:')} {error_line(task.get('error'))}",
            f"{bold('Logs:')} {log_link(task.get('log_uri'), 'View Logs') or 'No logs available'}",
        ]
    )


def recovered_info(task: Task) -> str:
    return f"• {code(task_text(task.get('id')))} is {task_text(task.get('status')) or 'unknown'}"


def failed_message(claim: Claim, minutes: float) -> Message:
    """Tasks that failed within the last `minutes`, or since the last report where that is longer ago."""
    span = f"since {format_time(claim.since)}" if claim.since else f"in the last {plural(minutes, 'minute')}"
    summary = f"{plural(claim.total, 'task')} failed {span}:"
    return _alert_message("🚨 Failed Tasks Alert", summary, claim, [Group("", claim.tasks, claim.total)])


def stuck_message(claim: Claim, minutes: float) -> Message:
    """Tasks that have been stuck for more than `minutes`."""
    summary = f"{plural(claim.total, 'task')} stuck for more than {plural(minutes, 'minute')}:"
    headings = {STUCK_QUEUED: "Queued Tasks", STUCK_IN_PROGRESS: "In Progress Tasks"}
    groups = []
    for alert, heading in headings.items():
        tasks = [task for task in claim.tasks if task["alert"] == alert]
        if tasks:
            groups.append(Group(heading, tasks, tasks[0]["total"]))
    return _alert_message("⚠️ Stuck Tasks Alert", summary, claim, groups)


def recovered_message(claim: Claim, minutes: float) -> Message:
    """Tasks that were reported as stuck and have moved on."""
    summary = f"{plural(claim.total, 'task')} no longer stuck:"
    groups = [Group("", claim.tasks, claim.total)]
    return _alert_message("✅ Stuck Tasks Recovered", summary, claim, groups, recovered_info)


def _alert_message(
    title: str, summary: str, claim: Claim, groups: Sequence[Group], describe: Callable[[Task], str] = task_info
) -> Message:
    footer = f"Reported at {format_time(claim.claimed_at)}"
    fixed = size(title + summary + footer)
    listed = _listing(groups, describe, MESSAGE_CHARACTERS - fixed)
    blocks = [header(title), *map(section, [bold(summary), *listed]), context(footer)]
    lines = [title, summary, *_listing(groups, describe, TEXT_CHARACTERS - fixed), footer]
    return Message(_without_bold("\n".join(lines)), blocks)


def _listing(groups: Sequence[Group], describe: Callable[[Task], str], characters: int) -> list[str]:
    """Headings and tasks, as many as fit, each group given its share of the room; then how many tasks are left out."""
    lines: list[str] = []
    left_out = 0
    tasks_left = MAX_LISTED_TASKS
    characters -= size("… and 1234567890 more\n") + sum(size(group.heading) + 20 for group in groups)
    for position, group in enumerate(groups):
        shares = len(groups) - position
        texts = _fitting(map(describe, group.tasks[: -(-tasks_left // shares)]), characters // shares)
        if group.heading:
            lines.append(bold(f"{group.heading} ({group.total}):"))
        lines += texts
        left_out += group.total - len(texts)
        tasks_left -= len(texts)
        characters -= sum(size(text) + 1 for text in texts)
    return [*lines, f"… and {left_out} more"] if left_out else lines


def _fitting(texts: Iterator[str], characters: int) -> list[str]:
    fitting: list[str] = []
    for text in texts:
        characters -= size(text) + 1
        if characters < 0:
            break
        fitting.append(text)
    return fitting


class Event(NamedTuple):
    """What one kind of event says; everything else the kinds have in common."""

    title: str
    sentence: str
    status: str
    time_label: str


CREATED = Event("🎬 New Task Created", "has been created and queued for processing.", "queued", "Created at")
STARTED = Event("▶️ Task Started Processing", "has started processing.", "in_progress", "Started at")


class TaskEvent(NamedTuple):
    """A created or started task as the worker names it; `payload` is its request, of any shape."""

    task_id: object
    user_api_key: object
    payload: object
    log_uri: object


def event_message(event: Event, task: TaskEvent, at: datetime) -> Message:
    """What is absent from the task's request makes no line."""
    task_id = code(task_text(task.task_id))
    sentence = f"Task {task_id} {event.sentence}"
    facts = [f"{bold('Task ID:')} {task_id}"]
    if one_line(task.user_api_key or ""):
        facts.append(f"{bold('User API Key:')} {code(mask_key(task.user_api_key))}")
    facts.append(f"{bold('Status:')} {event.status}")
    figures = _request_figures(task.payload)
    details = _request_details(task.payload)
    details.append(f"{bold('Logs:')} {log_link(task.log_uri, 'View Task Logs') or 'Not available yet'}")
    footer = f"{event.time_label} {format_time(at)}"
    blocks = [header(event.title), section(sentence), section("\n".join(facts))]
    if figures:
        blocks.append(fields(figures))
    blocks += [section("\n".join(details)), context(footer)]
    lines = [event.title, sentence, *facts, " | ".join(map(_without_bold, figures)), *details, footer]
    return Message(_without_bold("\n".join(filter(None, lines))), blocks)


# How requests name the parts of their subtitle and logo settings; the first name that is there counts.
_SUBTITLE_NAMES = ("subtitle_config", "global_subtitle_config", "subtitles", "subtitle")
_LOGO_NAMES = ("logo_config", "global_logo_config", "logo")
_FONT_NAMES = ("font", "font_name", "font_family")
_SIZE_NAMES = ("size", "font_size")
_URL_NAMES = ("url", "logo_url", "image_url")


def _first(mapping: object, names: Sequence[str]) -> Any:
    """The first value that is there and not empty; None where there is none or `mapping` is no mapping."""
    if not isinstance(mapping, Mapping):
        return None
    return next((mapping[name] for name in names if mapping.get(name) not in (None, "", [], {})), None)


def _request_figures(payload: object) -> list[str]:
    scenes = _first(payload, ["scenes"])
    scenes = scenes if isinstance(scenes, (list, tuple)) else []
    duration = _first(payload, ["duration", "total_duration"])
    if not _is_number(duration):
        durations = [_first(scene, ["duration"]) for scene in scenes]
        duration = sum(filter(_is_number, durations))
    figures = [f"{bold('Scenes:')} {len(scenes)}"] if scenes else []
    return [*figures, f"{bold('Duration:')} {duration:.10g}s"] if duration > 0 else figures


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _request_details(payload: object) -> list[str]:
    subtitle = _first(payload, _SUBTITLE_NAMES)
    logo = _first(payload, _LOGO_NAMES)
    details = {
        "Subtitle Config": _settings_line(
            {"Font": _FONT_NAMES, "Size": _SIZE_NAMES, "Position": ["position"]}, subtitle
        ),
        "Logo Config": _settings_line({"Position": ["position"], "Size": _SIZE_NAMES}, logo),
    }
    if _first(logo, _URL_NAMES):
        details["Logo Config"] = ", ".join(filter(None, ["Logo URL provided", details["Logo Config"]]))
    return [f"{bold(label + ':')} {line}" for label, line in details.items() if line]


def _settings_line(labels: Mapping[str, Sequence[str]], config: object) -> str:
    values = {label: task_text(_first(config, names)) for label, names in labels.items()}
    return ", ".join(f"{label}: {value}" for label, value in values.items() if value)


# ---- Tasks and ledger ------------------------------------------------------------------------------------------------

# Opens every transaction. In UTC, `timestamp` columns (which hold UTC) and `timestamptz` columns compare and convert
# alike; LOCAL, because behind a transaction pooler the session belongs to others as well. Read committed, because a
# claim that waited for another run must see what that run has committed.
BEGIN = f"""
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL TIME ZONE 'UTC';
SET LOCAL statement_timeout = '{DATABASE_STATEMENT_SECONDS}s';
SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS}s';
SET LOCAL idle_in_transaction_session_timeout = '{CLAIM_HOLD_SECONDS}s';
"""

# The columns of a task as the public API returns them. PostgreSQL's times reach further than Python's.
_TASK_COLUMNS = """
    tasks.id::text AS id, status, error, log_uri, user_api_key,
    greatest(least(created_at::timestamptz, '9999-12-30'), '0001-01-02') AS created_at,
    greatest(least(updated_at::timestamptz, '9999-12-30'), '0001-01-02') AS updated_at
"""

# Tasks that failed within the window, newest first.
FAILED_TASKS = f"""
SELECT {_TASK_COLUMNS}
FROM tasks
WHERE status = 'failed' AND updated_at >= now() - %(minutes)s * interval '1 minute'
ORDER BY tasks.updated_at DESC, tasks.id
"""

# Tasks that are queued, or in progress under either of its names, for longer than the timeout; oldest first.
STUCK_TASKS = f"""
SELECT {_TASK_COLUMNS}
FROM tasks
WHERE (status = 'queued' AND created_at < now() - %(minutes)s * interval '1 minute')
   OR (status IN ('in_progress', 'inprogress')
       AND coalesce(started_at, created_at) < now() - %(minutes)s * interval '1 minute')
ORDER BY CASE status WHEN 'queued' THEN tasks.created_at ELSE coalesce(tasks.started_at, tasks.created_at) END, tasks.id
"""

# Whether the ledger is there and may be written, or what could be done about it.
LEDGER_STATE = """
SELECT
    current_setting('transaction_read_only') = 'on' AS read_only,
    pg_is_in_recovery() AS standby,
    ledger IS NULL AS missing,
    ledger IS NOT NULL AND has_table_privilege(ledger, 'SELECT') AND has_table_privilege(ledger, 'INSERT')
        AND has_table_privilege(ledger, 'UPDATE') AND has_table_privilege(ledger, 'DELETE') AS writable,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
    quote_ident(current_schema()) AS schema,
    quote_ident(current_user) AS role
FROM to_regclass('slack_notifications') AS ledger
"""

# What each destination has been told. The row with an empty task_id holds until when that is complete.
_LEDGER_COLUMNS = """
slack_notifications (
    destination text NOT NULL,
    alert text NOT NULL,
    task_id text NOT NULL,
    event_at timestamptz NOT NULL,
    notified_at timestamptz NOT NULL,
    PRIMARY KEY (destination, alert, task_id)
)
"""

# Two first runs at once: IF NOT EXISTS alone does not keep the second from failing on the first one's catalogue rows.
CREATE_LEDGER = f"""
SELECT pg_advisory_xact_lock(hashtext('slack_notifications'));
CREATE TABLE IF NOT EXISTS {_LEDGER_COLUMNS};
COMMIT;
"""

# For a role that may not write the ledger: the same statements, with no memory beyond the transaction.
CREATE_TEMPORARY_LEDGER = f"""
CREATE TEMPORARY TABLE {_LEDGER_COLUMNS} ON COMMIT DROP;
"""

# Claims every failed task that the destination has not been told of, by writing it down; the commit makes it final.
# Runs that want the same tasks wait for each other here, in the order of the ids, so that none can deadlock.
# From the last complete report on, less one window: for tasks that were committed late or by a skewed clock.
# A task that fails again counts as new one window after the failure that was reported.
CLAIM_FAILED = """
INSERT INTO slack_notifications AS told (destination, alert, task_id, event_at, notified_at)
SELECT %(destination)s, 'failed', failed.task_id, failed.event_at, now()
FROM (
    SELECT id::text AS task_id, least(updated_at::timestamptz, '9999-12-30') AS event_at
    FROM tasks
    WHERE status = 'failed' AND updated_at >= (
        SELECT least(max(event_at), now()) - %(minutes)s * interval '1 minute'
        FROM slack_notifications
        WHERE destination = %(destination)s AND alert = 'failed' AND task_id = ''
    )
) AS failed
WHERE NOT EXISTS (
    SELECT FROM slack_notifications AS known
    WHERE known.destination = %(destination)s AND known.alert = 'failed' AND known.task_id = failed.task_id
      AND known.event_at > failed.event_at - %(minutes)s * interval '1 minute'
)
ORDER BY failed.task_id
ON CONFLICT (destination, alert, task_id) DO UPDATE
SET event_at = excluded.event_at, notified_at = excluded.notified_at
WHERE told.event_at <= excluded.event_at - %(minutes)s * interval '1 minute'
"""

# Notes that the destination has been told of every failure up to this transaction. After the claim: held while the
# message is on its way, this row would let only one run work at a time.
COMPLETE_FAILED = """
INSERT INTO slack_notifications AS told (destination, alert, task_id, event_at, notified_at)
VALUES (%(destination)s, 'failed', '', now(), now())
ON CONFLICT (destination, alert, task_id) DO UPDATE
SET event_at = greatest(told.event_at, excluded.event_at), notified_at = excluded.notified_at
"""

STUCK_QUEUED = "stuck:queued"
STUCK_IN_PROGRESS = "stuck:in_progress"

# Claims stuck tasks that the destination has not been told of in their present status, or not for so long that a
# reminder is due. What it was told of another status is forgotten: a task that returns there is news again.
CLAIM_STUCK = """
SELECT pg_advisory_xact_lock(hashtextextended(%(destination)s, 0));
WITH stuck AS (
    SELECT id::text AS task_id,
           CASE status WHEN 'queued' THEN 'stuck:queued' ELSE 'stuck:in_progress' END AS alert,
           CASE status WHEN 'queued' THEN created_at::timestamptz
                ELSE coalesce(started_at, created_at)::timestamptz END AS event_at
    FROM tasks
    WHERE (status = 'queued' AND created_at < now() - %(minutes)s * interval '1 minute')
       OR (status IN ('in_progress', 'inprogress')
           AND coalesce(started_at, created_at) < now() - %(minutes)s * interval '1 minute')
), left_behind AS (
    DELETE FROM slack_notifications AS told
    USING stuck
    WHERE told.destination = %(destination)s AND told.task_id = stuck.task_id
      AND told.alert IN ('stuck:queued', 'stuck:in_progress') AND told.alert <> stuck.alert
)
INSERT INTO slack_notifications AS told (destination, alert, task_id, event_at, notified_at)
SELECT %(destination)s, stuck.alert, stuck.task_id, greatest(stuck.event_at, '0001-01-02'), now()
FROM stuck
WHERE NOT EXISTS (
    SELECT FROM slack_notifications AS known
    WHERE known.destination = %(destination)s AND known.alert = stuck.alert AND known.task_id = stuck.task_id
      AND (%(remind)s = 0 OR known.notified_at > now() - %(remind)s * interval '1 minute')
)
ORDER BY stuck.task_id
ON CONFLICT (destination, alert, task_id) DO UPDATE
SET event_at = excluded.event_at, notified_at = excluded.notified_at
WHERE %(remind)s > 0 AND told.notified_at <= now() - %(remind)s * interval '1 minute'
"""

# Claims the tasks that the destination was told are stuck and that are so no more. Of those that failed, or are gone
# from the table, nothing more is told here.
CLAIM_RECOVERED = """
SELECT pg_advisory_xact_lock(hashtextextended(%(destination)s, 0));
WITH gone AS (
    DELETE FROM slack_notifications AS told
    WHERE told.destination = %(destination)s AND told.alert IN ('stuck:queued', 'stuck:in_progress')
      AND NOT EXISTS (
          SELECT FROM tasks
          WHERE tasks.id::text = told.task_id AND tasks.status IN ('queued', 'in_progress', 'inprogress')
      )
    RETURNING told.task_id
)
INSERT INTO slack_notifications AS told (destination, alert, task_id, event_at, notified_at)
SELECT DISTINCT %(destination)s, 'recovered', gone.task_id, now(), now()
FROM gone
JOIN tasks ON tasks.id::text = gone.task_id
WHERE tasks.status <> 'failed' AND %(notify_on_recovery)s
ON CONFLICT (destination, alert, task_id) DO UPDATE
SET event_at = excluded.event_at, notified_at = excluded.notified_at
"""

# When this transaction claimed, and since when its claims date where that is longer ago than the usual window.
CLAIM_SPAN = """
SELECT now() AS claimed_at,
       CASE WHEN min(event_at) FILTER (WHERE task_id <> '' AND notified_at = now())
                 < now() - %(minutes)s * interval '1 minute'
            THEN min(event_at) FILTER (WHERE task_id = '' OR notified_at = now())
       END AS since
FROM slack_notifications
WHERE destination = %(destination)s AND alert = 'failed'
"""

# The most important of the tasks that this transaction claimed: its now() is the same all through.
CLAIMED_TASKS = f"""
SELECT {_TASK_COLUMNS}, claimed.alert, claimed.total
FROM (
    SELECT task_id, alert,
           count(*) OVER (PARTITION BY alert) AS total,
           row_number() OVER (PARTITION BY alert ORDER BY
               CASE WHEN alert = 'failed' THEN now() - event_at ELSE event_at - now() END, task_id) AS place
    FROM slack_notifications
    WHERE destination = %(destination)s AND alert = ANY(%(alerts)s) AND task_id <> '' AND notified_at = now()
) AS claimed
JOIN tasks ON tasks.id::text = claimed.task_id
WHERE claimed.place <= %(listed)s
ORDER BY claimed.alert, claimed.place
"""

# Forgets what no statement above can ask for any more: after a week, failures that no window reaches back to, stuck
# tasks (of destinations that no longer run) that are so no more, and recoveries. Skips rows that a run is using.
CLEAN_UP = """
DELETE FROM slack_notifications WHERE ctid = ANY(ARRAY(
    SELECT told.ctid
    FROM slack_notifications AS told
    WHERE told.notified_at < now() - interval '7 days' AND told.task_id <> '' AND CASE told.alert
        WHEN 'failed' THEN told.event_at < now() - interval '7 days' AND told.event_at < (
            SELECT complete.event_at - 2 * %(minutes)s * interval '1 minute'
            FROM slack_notifications AS complete
            WHERE complete.destination = told.destination AND complete.alert = 'failed' AND complete.task_id = '')
        WHEN 'recovered' THEN true
        ELSE NOT EXISTS (
            SELECT FROM tasks
            WHERE tasks.id::text = told.task_id AND tasks.status IN ('queued', 'in_progress', 'inprogress'))
        END
    LIMIT 10000
    FOR UPDATE SKIP LOCKED
))
"""


class Alert(NamedTuple):
    """One kind of report: its names in the ledger, the statement that claims its tasks, the message that tells them."""

    name: str
    ledger_names: Sequence[str]
    claim: str
    message: Callable[[Claim, float], Message]


FAILED = Alert("failed", ["failed"], CLAIM_FAILED, failed_message)
STUCK = Alert("stuck", [STUCK_QUEUED, STUCK_IN_PROGRESS], CLAIM_STUCK, stuck_message)
RECOVERED = Alert("recovered", ["recovered"], CLAIM_RECOVERED, recovered_message)

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor

_CONNECTION_DEFAULTS = {
    "connect_timeout": str(DATABASE_CONNECT_SECONDS),
    "fallback_application_name": "slack_notifier",
    "client_encoding": "UTF8",
    "keepalives_idle": "10",
    "tcp_user_timeout": "15000",
}

_DATABASE_ADVICE = {
    psycopg2.errorcodes.UNDEFINED_TABLE: "is this the worker's database, and its schema in the search_path?",
    psycopg2.errorcodes.UNDEFINED_COLUMN: "the tasks table lacks a column that the notifier reads, see the README",
    psycopg2.errorcodes.INSUFFICIENT_PRIVILEGE: "GRANT SELECT ON tasks TO the role of DATABASE_URL",
    psycopg2.errorcodes.LOCK_NOT_AVAILABLE: "another run is reporting these tasks, or the next one will",
    psycopg2.errorcodes.QUERY_CANCELED: "is the recommended index there, see the README?",
}


@contextmanager
def connect(database_url: str) -> Iterator[Connection]:
    """A connection for a few transactions; DatabaseError if there is none to be had."""
    if not database_url:
        raise DatabaseError("DATABASE_URL environment variable not set")
    parameters = {**_CONNECTION_DEFAULTS, **psycopg2.extensions.parse_dsn(database_url)}
    try:
        connection = psycopg2.connect(cursor_factory=psycopg2.extras.RealDictCursor, **parameters)
    except psycopg2.Error as error:
        reason = _driver_line(error, parameters.get("password"))
        raise DatabaseError(f"Cannot connect to the database: {reason}; check DATABASE_URL") from None
    # Transactions are opened by BEGIN above, in one round trip with their settings.
    connection.autocommit = True
    with closing(connection):
        yield connection


class _RollBack(Exception):
    """Ends a transaction without a trace and without an error."""


@contextmanager
def transaction(connection: Connection) -> Iterator[Cursor]:
    """Commits at the end of the block, rolls back if it raises; PostgreSQL's errors become a DatabaseError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(BEGIN)
            try:
                yield cursor
            except BaseException:
                # The connection may be the very thing that broke; the server then rolls back by itself.
                with suppress(psycopg2.Error):
                    cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
    except _RollBack:
        return
    except (psycopg2.Error, UnicodeDecodeError) as error:
        raise _database_error(error, connection) from None


def _database_error(error: Exception, connection: Connection) -> DatabaseError:
    advice = _DATABASE_ADVICE.get(getattr(error, "pgcode", None) or "")
    text = f"Cannot read the tasks: {_driver_line(error, connection.info.password)}"
    return DatabaseError(f"{text}; {advice}" if advice else text)


def _driver_line(error: Exception, password: str | None) -> str:
    """The driver's words in one line; they may quote the password."""
    text = one_line(str(error).partition("\nLINE ")[0])
    return redact(text.replace(password, _MASK) if password else text)


def fetch_all(cursor: Cursor, statement: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
    cursor.execute(statement, parameters)
    return [dict(row) for row in cursor.fetchall()]


def open_ledger(cursor: Cursor, *, may_create: bool = True) -> str | None:
    """Makes slack_notifications usable in this transaction, which is at its start: creates it on first use.

    Where the role may not, it is a temporary table, and a warning with what to grant is returned. A server that
    cannot even do that raises DatabaseError.
    """
    state = fetch_all(cursor, LEDGER_STATE)[0]
    if state["standby"]:
        raise DatabaseError("The database is a read-only standby: use the primary (?target_session_attrs=read-write)")
    if state["writable"] and not state["read_only"]:
        return None
    if state["missing"] and state["may_create"] and may_create and not state["read_only"]:
        # Committed at once: a roll-back of the claim must not take the table along.
        cursor.execute(CREATE_LEDGER)
        cursor.execute(BEGIN)
        return None
    if state["read_only"]:
        cursor.execute("ROLLBACK")
        cursor.execute(BEGIN)
        cursor.execute("SET TRANSACTION READ WRITE")
    cursor.execute(CREATE_TEMPORARY_LEDGER)
    return None if state["missing"] and state["may_create"] else _ledger_advice(state)


def _ledger_advice(state: Mapping[str, Any]) -> str:
    if state["read_only"]:
        remedy = f"ALTER ROLE {state['role']} SET default_transaction_read_only = off"
    elif state["missing"]:
        remedy = f"GRANT CREATE ON SCHEMA {state['schema'] or 'public'} TO {state['role']}"
    else:
        remedy = f"GRANT SELECT, INSERT, UPDATE, DELETE ON slack_notifications TO {state['role']}"
    return f"Cannot remember what was reported, so alerts repeat with every run: {remedy}"


def claim(cursor: Cursor, alert: Alert, parameters: Mapping[str, object]) -> Claim | None:
    """Takes what the destination has yet to be told, until this transaction ends; None if that is nothing."""
    cursor.execute(alert.claim, parameters)
    total = cursor.rowcount
    if not total:
        return None
    span = fetch_all(cursor, CLAIM_SPAN, parameters)[0]
    tasks = fetch_all(
        cursor, CLAIMED_TASKS, {**parameters, "alerts": list(alert.ledger_names), "listed": MAX_LISTED_TASKS}
    )
    return Claim(tasks, total, **span)


# ---- Delivery --------------------------------------------------------------------------------------------------------

SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")


class _KeepSecret(logging.Filter):
    """Drops log records that hold a webhook's path: urllib3 writes it at DEBUG."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return not any(path in text for path in self.paths)


_keep_secret = _KeepSecret()


def post(webhook: str, payload: Mapping[str, Any]) -> None:
    """One attempt; raises DeliveryError unless the message was accepted.

    Success is 200 and the body "ok", any 2xx from a host that is not Slack's. Redirects are refused: requests would
    follow one with a GET and find a friendly 200.
    """
    # Loaded here because most runs have nothing to report, and requests takes longer to load than they take to run.
    import requests

    _keep_secret.paths.add(urlsplit(webhook).path)
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_keep_secret)
    try:
        response = requests.post(
            webhook,
            json=payload,
            timeout=(WEBHOOK_CONNECT_SECONDS, WEBHOOK_READ_SECONDS),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        # The exception's own text and its chain hold the webhook's path.
        raise DeliveryError(_network_reason(error)) from None
    body = response.content.decode(errors="replace")
    if not _accepted(webhook, response.status_code, body):
        raise DeliveryError(f"HTTP {response.status_code} {shorten(redact(one_line(body)), 100)}".rstrip())


def _network_reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {WEBHOOK_CONNECT_SECONDS} s"
    if isinstance(error, requests.ReadTimeout):
        return f"no answer within {WEBHOOK_READ_SECONDS} s; the message may have arrived"
    return f"no connection ({type(error).__name__})"


def _accepted(webhook: str, status: int, body: str) -> bool:
    if urlsplit(webhook).hostname in SLACK_HOSTS:
        return status == 200 and body.strip() == "ok"
    return 200 <= status < 300


# ---- SlackNotifier ---------------------------------------------------------------------------------------------------


class Report(NamedTuple):
    """What became of one alert: how many tasks it had to tell, whether a message went out, what went wrong."""

    total: int = 0
    sent: bool = False
    error: str | None = None


class SlackNotifier:
    """Reports tasks to Slack. Nothing here raises, but a wrong setting in the constructor (ValueError).

    Without a webhook it warns once, is disabled, and its sends return False. With `dry_run` it prints what it would
    send, and needs no webhook.
    """

    def __init__(
        self, webhook_url: str | None = None, *, settings: Settings | None = None, dry_run: bool = False
    ) -> None:
        settings = Settings.from_environment() if settings is None else settings
        if webhook_url:
            settings = settings._replace(webhook=_webhook("webhook_url", webhook_url))
        self.settings = settings
        self.dry_run = dry_run
        self._warnings: set[str] = set()
        self.preview: Callable[[Message], str] = lambda message: plain(message.text) + "\n"
        if not self.enabled and not dry_run:
            logger.warning(NO_WEBHOOK)

    @property
    def enabled(self) -> bool:
        return bool(self.settings.webhook)

    @property
    def webhook_url(self) -> str | None:
        """A secret: whoever knows it can post to the channel."""
        return self.settings.webhook or None

    def send_message(self, message: str, blocks: list[dict[str, Any]] | None = None) -> bool:
        """Sends your own words: Slack's markup in `message` and `blocks` is kept, so escape what comes from others."""
        return self._send(lambda: Message(message, blocks or []))

    def get_failed_tasks_last_30min(self) -> list[dict[str, Any]]:
        """Tasks that failed in the last 30 minutes, newest first; [] and a logged error if the database fails."""
        with _Guard():
            return self._read(FAILED_TASKS, FAILED_WINDOW_MINUTES)
        return []

    def get_stuck_tasks(self, timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES) -> list[dict[str, Any]]:
        """Tasks queued or in progress for longer than the timeout, oldest first; [] and a logged error likewise."""
        with _Guard():
            return self._read(STUCK_TASKS, timeout_minutes)
        return []

    def format_task_info(self, task: Task) -> str:
        """One task in Slack's markup, escaped, as the alerts list it."""
        return task_info(task)

    def send_failed_tasks_notification(self) -> bool:
        """True: delivered, or nothing to report."""
        return self.report([(FAILED, FAILED_WINDOW_MINUTES)])[0].error is None

    def send_stuck_tasks_notification(self, timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES) -> bool:
        """True: delivered, or nothing to report. Also names the tasks that were reported as stuck and recovered."""
        return self.report([(STUCK, timeout_minutes)])[0].error is None

    def send_task_creation_notification(
        self, task_id: str, user_api_key: str, payload: object, log_uri: str | None = None
    ) -> bool:
        """True: delivered; False also where SLACK_NOTIFY_ON_TASK_CREATION is off. `payload` may be None or odd."""
        task = TaskEvent(task_id, user_api_key, payload, log_uri)
        return self.settings.notify_on_task_creation and self.send_event(CREATED, task)

    def send_task_start_notification(
        self, task_id: str, user_api_key: str, payload: object, log_uri: str | None = None
    ) -> bool:
        """True: delivered; False also where SLACK_NOTIFY_ON_TASK_START is off. `payload` may be None or odd."""
        task = TaskEvent(task_id, user_api_key, payload, log_uri)
        return self.settings.notify_on_task_start and self.send_event(STARTED, task)

    def send_combined_notification(self, timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES) -> dict[str, Any]:
        """Reports failed and stuck tasks, each in a message of its own.

        Keys: failed_tasks_count, stuck_tasks_count (tasks in this run's reports), failed_notification_sent,
        stuck_notification_sent (a message was delivered), error (None, or one line on what went wrong).
        """
        failed, stuck = self.report([(FAILED, FAILED_WINDOW_MINUTES), (STUCK, timeout_minutes)])
        errors = dict.fromkeys(report.error for report in (failed, stuck) if report.error)
        return {
            "failed_tasks_count": failed.total,
            "stuck_tasks_count": stuck.total,
            "failed_notification_sent": failed.sent,
            "stuck_notification_sent": stuck.sent,
            "error": "; ".join(errors) or None,
        }

    def send_event(self, event: Event, task: TaskEvent) -> bool:
        """Sends the event whatever the settings say of its kind."""
        return self._send(lambda: event_message(event, task, datetime.now(timezone.utc)))

    def report(self, wanted: Sequence[tuple[Alert, float]]) -> list[Report]:
        """Sends what the destination has yet to be told of each alert, given with its window or timeout in minutes."""
        if not self.enabled and not self.dry_run:
            return [Report(error=NO_WEBHOOK)] * len(wanted)
        with _Guard() as guard:
            return self._report_all(wanted)
        return [Report(error=guard.error)] * len(wanted)

    def _report_all(self, wanted: Sequence[tuple[Alert, float]]) -> list[Report]:
        reports = []
        with connect(self.settings.database_url) as connection:
            for alert, minutes in wanted:
                report = self._report(connection, alert, minutes)
                if alert is STUCK and not report.error:
                    recovered = self._report(connection, RECOVERED, minutes)
                    report = report._replace(error=recovered.error)
                reports.append(report)
            if any(report.sent for report in reports):
                self._clean_up(connection)
        return reports

    def _report(self, connection: Connection, alert: Alert, minutes: float) -> Report:
        """Claim, message, delivery in one transaction: what is not delivered was never claimed."""
        total, sent = 0, False
        with _Guard() as guard, transaction(connection) as cursor:
            parameters = self._parameters(minutes)
            self._open_ledger(cursor)
            claimed = claim(cursor, alert, parameters)
            if claimed:
                total = claimed.total
                self._deliver(alert.message(claimed, minutes))
                sent = not self.dry_run
            if alert is FAILED:
                cursor.execute(COMPLETE_FAILED, parameters)
            if self.dry_run:
                raise _RollBack
        return Report(total, sent, guard.error)

    def _parameters(self, minutes: float) -> dict[str, object]:
        return {
            # Of the URL, which is a secret, only a fingerprint reaches the database.
            "destination": hashlib.sha256(self.settings.webhook.encode()).hexdigest()[:16],
            "minutes": _minutes(minutes),
            "remind": self.settings.remind_minutes,
            "notify_on_recovery": self.settings.notify_on_recovery,
        }

    def _open_ledger(self, cursor: Cursor) -> None:
        warning = open_ledger(cursor, may_create=not self.dry_run)
        if warning and warning not in self._warnings:
            self._warnings.add(warning)
            logger.warning("%s", warning)

    def _clean_up(self, connection: Connection) -> None:
        with _Guard(), transaction(connection) as cursor:
            self._open_ledger(cursor)
            cursor.execute(CLEAN_UP, {"minutes": FAILED_WINDOW_MINUTES})

    def _read(self, statement: str, minutes: float) -> list[dict[str, Any]]:
        parameters = {"minutes": _minutes(minutes)}
        with connect(self.settings.database_url) as connection, transaction(connection) as cursor:
            return fetch_all(cursor, statement, parameters)

    def _send(self, build: Callable[[], Message]) -> bool:
        if not self.enabled and not self.dry_run:
            return False
        with _Guard():
            self._deliver(build())
            return True
        return False

    def _deliver(self, message: Message) -> None:
        if self.dry_run:
            print(self.preview(message), flush=True)
            return
        try:
            post(self.settings.webhook, message.payload())
        except DeliveryError as error:
            raise DeliveryError(f"Failed to send Slack message: {error}") from None
        logger.info("Slack message sent successfully")


class _Guard:
    """The public edge, where errors end: logged once, and kept as one line. The block goes on after it."""

    error: str | None = None

    def __enter__(self) -> _Guard:
        return self

    def __exit__(self, kind: object, error: BaseException | None, stack: object) -> bool:
        if not isinstance(error, Exception):
            return False
        if isinstance(error, NotifierError):
            self.error = str(error)
        else:
            # A bug, of which the worker must not die. Its own text may hold a secret; its kind and place do not.
            self.error = f"Unexpected {type(error).__name__} at {_place(error)}"
        logger.error("%s", self.error)
        return True


def _place(error: BaseException) -> str:
    # The innermost line of this file: it names the step, wherever below it the error arose.
    places = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__]
    return f"{Path(__file__).name}:{places[-1] if places else '?'}"


# ---- Command line ----------------------------------------------------------------------------------------------------


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slack_notifier.py",
        usage="%(prog)s [--failed-only | --stuck-only | --test-creation | --test-start] [options]",
        description="Report failed and stuck tasks to Slack.",
        epilog="Exit codes: 0 delivered or nothing to report, 1 something could not be read or delivered, "
        "2 wrong usage or setting. Settings: see .env.example; a .env file is read, the real environment wins.",
        add_help=False,
    )
    what = parser.add_argument_group("what to report (default: failed and stuck tasks)").add_mutually_exclusive_group()
    what.add_argument("--failed-only", action="store_true", help="only tasks that failed")
    what.add_argument("--stuck-only", action="store_true", help="only tasks that are stuck")
    what.add_argument("--test-creation", action="store_true", help="send a sample of the notice of a created task")
    what.add_argument("--test-start", action="store_true", help="send a sample of the notice of a started task")
    options = parser.add_argument_group("options")
    options.add_argument(
        "--timeout",
        type=_timeout_argument,
        default=DEFAULT_TIMEOUT_MINUTES,
        metavar="MINUTES",
        help="a task is stuck after this many minutes queued or in progress (default: %(default)s)",
    )
    options.add_argument("--webhook-url", metavar="URL", help="send there instead of to the webhooks of the settings")
    options.add_argument("--dry-run", action="store_true", help="print the messages instead of sending them")
    options.add_argument("--json", action="store_true", help="with --dry-run: print the payloads, one a line")
    options.add_argument("-h", "--help", action="help", help="show this help and exit")
    options.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}", help="show the version and exit"
    )
    return parser


def _timeout_argument(text: str) -> float:
    try:
        return _minutes(float(text))
    except ValueError as error:
        reason = str(error) if isinstance(error, SettingError) else "it must be a number of minutes"
        raise argparse.ArgumentTypeError(f"{reason}, not {text!r}") from None


SAMPLE_TASK = TaskEvent(
    "test-task-0001",
    "test-api-key-0001",
    {
        "scenes": [{"duration": 15}, {"duration": 15}, {"duration": 15}],
        "subtitle_config": {"font": "Bangers-Regular.ttf", "size": 90, "position": "middle"},
        "logo_config": {"url": "https://example.com/logo.png", "position": "top-right", "size": 100},
    },
    None,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code, or raises SystemExit on wrong usage."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.json and not arguments.dry_run:
        parser.error("--json goes with --dry-run")
    try:
        notifier = _notifier(arguments)
    except SettingError as error:
        # Not parser.error(): the usage is of no help with a variable.
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    if arguments.test_creation or arguments.test_start:
        event = CREATED if arguments.test_creation else STARTED
        return 0 if notifier.send_event(event, SAMPLE_TASK) else 1
    return _report_alerts(notifier, arguments)


def _notifier(arguments: argparse.Namespace) -> SlackNotifier:
    _load_env_file()
    settings = Settings.from_environment()
    _set_up_logging(settings.debug)
    if not settings.database_url and not (arguments.test_creation or arguments.test_start):
        raise SettingError("DATABASE_URL environment variable not set")
    notifier = SlackNotifier(arguments.webhook_url, settings=settings, dry_run=arguments.dry_run)
    if not notifier.enabled and not notifier.dry_run:
        raise SettingError("no webhook to send to: set SLACK_WEBHOOK, or use --webhook-url or --dry-run")
    if arguments.json:
        notifier.preview = lambda message: json.dumps(message.payload(), ensure_ascii=False)
    return notifier


def _load_env_file() -> None:
    import dotenv

    path = dotenv.find_dotenv(usecwd=True) or str(Path(__file__).with_name(".env"))
    try:
        dotenv.load_dotenv(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read: {type(error).__name__}") from None


def _set_up_logging(debug: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )


def _report_alerts(notifier: SlackNotifier, arguments: argparse.Namespace) -> int:
    wanted = [(FAILED, FAILED_WINDOW_MINUTES), (STUCK, arguments.timeout)]
    if arguments.failed_only or arguments.stuck_only:
        wanted = wanted[:1] if arguments.failed_only else wanted[1:]
    reports = notifier.report(wanted)
    if any(report.error for report in reports):
        return 1
    if not any(report.total for report in reports):
        logger.info("No %s tasks to report", " or ".join(alert.name for alert, _ in wanted))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
