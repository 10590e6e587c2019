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
import io
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime, time, timedelta, timezone, tzinfo
from string import Template
from time import monotonic, sleep
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import psycopg2
import psycopg2.errors
import psycopg2.extensions

if TYPE_CHECKING:
    from email.message import EmailMessage

    import requests

__version__ = "1.0.0"
__all__ = ["Settings", "SlackNotifier"]

logger = logging.getLogger(__name__)

SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
NO_WEBHOOK = "SLACK_WEBHOOK environment variable not set"

FAILED_WINDOW_MINUTES = 30
DEFAULT_TIMEOUT_MINUTES = 30
MAX_TIMEOUT_MINUTES = 366 * 24 * 60

# What delivery may take in all, whatever the other side does; several webhooks share it.
ALERT_SECONDS = 30
EVENT_SECONDS = 5
RUN_SECONDS = 3600
EMAIL_SECONDS = 10
HEARTBEAT_SECONDS = 5
WEBHOOK_CONNECT_SECONDS = 5
WEBHOOK_READ_SECONDS = 10
WEBHOOK_PAUSES_SECONDS = (1, 2, 4, 8)

DATABASE_CONNECT_SECONDS = 5
DATABASE_STATEMENT_SECONDS = 30
DATABASE_PAUSES_SECONDS = (1, 3)
# How long an alert waits for its causes before it goes out without them.
CAUSES_SECONDS = 10
# How long a run waits for tasks that another run is just reporting.
LOCK_WAIT_SECONDS = 10
# After this long without a word from its client the server drops a claim. Longer than a delivery, e-mail included.
CLAIM_HOLD_SECONDS = 45


class NotifierError(Exception):
    """Base of what can go wrong here; the text is one line, fit for a log, free of secrets."""


class SettingError(NotifierError, ValueError):
    """Raised if a setting or an argument has a value that cannot be used; the text names it and what it accepts."""


class DatabaseError(NotifierError):
    """Raised if the tasks could not be read; the text says what to do about it."""


class BusyError(NotifierError):
    """Raised if another run holds the same tasks for too long; what it cannot deliver, the next run will."""


class DeliveryError(NotifierError):
    """Raised if a message was not accepted; the text gives the reason.

    `reason`: why, without what was to be delivered. `retry_after`: it may heal, so try again after that many seconds or
    more; None: do not repeat it. `layout_refused`: the blocks were the reason, the text alone may pass.
    """

    def __init__(
        self, text: str, *, reason: str = "", retry_after: float | None = None, layout_refused: bool = False
    ) -> None:
        super().__init__(text)
        self.reason = reason or text
        self.retry_after = retry_after
        self.layout_refused = layout_refused


class Deadline(NamedTuple):
    """The moment (of this machine's monotonic clock) until which something may take."""

    moment: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(monotonic() + seconds)

    @property
    def seconds_left(self) -> float:
        return self.moment - monotonic()

    def within(self, seconds: float) -> Deadline:
        """That many seconds from now, but not later than this."""
        return Deadline(min(self.moment, monotonic() + seconds))

    def share(self, left: int, budget: float) -> float:
        """The seconds that one of `left` destinations may take, so that one that hangs does not take all of them.

        0 where too few are left to begin a post that could end as "may have arrived": those are for the next run.
        """
        remaining = self.seconds_left
        return min(remaining, max(remaining / left, budget / 6)) if remaining > budget / 10 else 0


# ---- Settings --------------------------------------------------------------------------------------------------------


Environment = Mapping[str, str]


class Destination(NamedTuple):
    """Where a message goes; with a user's API key, only the tasks of that user do."""

    webhook: str
    user: str = ""

    @property
    def fingerprint(self) -> str:
        """Its name in the ledger: neither the URL, which is a secret, nor the key reaches the database."""
        return hashlib.sha256(f"{self.webhook}\n{self.user}".encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return "Destination(…)"


class QuietHours(NamedTuple):
    """From `start` until before `end` on the wall clock; over midnight where `end` is the earlier one."""

    start: time
    end: time
    zone: tzinfo

    def __contains__(self, moment: object) -> bool:
        if not isinstance(moment, datetime):
            return False
        now = moment.astimezone(self.zone).time()
        if self.start <= self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


class Email(NamedTuple):
    """The mail server and the addresses of the e-mail backup."""

    smtp_url: str
    to: Sequence[str]
    sender: str

    def __repr__(self) -> str:
        return "Email(…)"


class Settings(NamedTuple):
    """Everything that can be configured, read once. Unset and empty variables are the same."""

    database_url: str = ""
    webhooks: Mapping[str, Sequence[str]] = MappingProxyType({})
    user_webhooks: Mapping[str, str] = MappingProxyType({})
    notify_on_task_creation: bool = True
    notify_on_task_start: bool = True
    notify_on_recovery: bool = True
    remind_minutes: int = 240
    critical_count: int = 10
    critical_mention: str = ""
    quiet_hours: QuietHours | None = None
    task_template: str = ""
    email: Email | None = None
    heartbeat_url: str = ""
    debug: bool = False

    @classmethod
    def from_environment(cls, environ: Environment = os.environ, webhook_url: str | None = None) -> Settings:
        """Reads the variables of .env.example; a wrong value raises SettingError, a ValueError naming the variable.

        A `webhook_url` replaces every variable that names a webhook.
        """
        env = {name: value.strip() for name, value in environ.items() if value.strip()}
        if webhook_url:
            env = {name: value for name, value in env.items() if name not in _WEBHOOK_REPLACES}
        settings = cls(
            database_url=_database_url(env),
            webhooks={kind: _webhooks(name, env[name]) for kind, name in _WEBHOOK_VARIABLES.items() if name in env},
            user_webhooks=_user_webhooks(env),
            notify_on_task_creation=_flag(env, "SLACK_NOTIFY_ON_TASK_CREATION", default=True),
            notify_on_task_start=_flag(env, "SLACK_NOTIFY_ON_TASK_START", default=True),
            notify_on_recovery=_flag(env, "SLACK_NOTIFY_ON_RECOVERY", default=True),
            remind_minutes=_whole_number(env, "SLACK_REMIND_MINUTES", default=240, least=0),
            critical_count=_whole_number(env, "SLACK_CRITICAL_COUNT", default=10, least=1),
            critical_mention=_mention(env),
            quiet_hours=_quiet_hours(env),
            task_template=_task_template(env),
            email=_email(env),
            heartbeat_url=_heartbeat_url(env),
            debug=_flag(env, "DEBUG", default=False),
        )
        return settings.with_webhook(webhook_url) if webhook_url else settings

    def destinations(self, kind: str) -> list[Destination]:
        """Where messages of this kind go: "failed", "stuck", "created", "started"; "" for those of no kind."""
        webhooks = self.webhooks.get(kind) or self.webhooks.get("") or ()
        found = [Destination(webhook) for webhook in webhooks]
        if kind in ("failed", "stuck"):
            found += [Destination(webhook, user) for user, webhook in self.user_webhooks.items()]
        return list(dict.fromkeys(found))

    def with_webhook(self, url: str) -> Settings:
        """The same, with every message to this webhook only."""
        return self._replace(webhooks={"": _webhooks("webhook_url", url)}, user_webhooks={})

    def __repr__(self) -> str:
        # The values hold passwords and webhooks, and a repr ends up in logs and tracebacks.
        return "Settings(…)"


_WEBHOOK_VARIABLES = {
    "": "SLACK_WEBHOOK",
    "failed": "SLACK_WEBHOOK_FAILED",
    "stuck": "SLACK_WEBHOOK_STUCK",
    "created": "SLACK_WEBHOOK_CREATED",
    "started": "SLACK_WEBHOOK_STARTED",
}
_WEBHOOK_REPLACES = {*_WEBHOOK_VARIABLES.values(), "SLACK_USER_WEBHOOKS_FILE"}
_FLAG_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _flag(env: Environment, name: str, *, default: bool) -> bool:
    word = env.get(name, "").lower()
    if word and word not in _FLAG_WORDS:
        raise SettingError(f"{name} must be true or false (or 1/0, yes/no, on/off)")
    return _FLAG_WORDS.get(word, default)


def _whole_number(env: Environment, name: str, *, default: int, least: int) -> int:
    text = env.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < least:
        raise SettingError(f"{name} must be a whole number from {least} to 999999")
    return int(text)


def _database_url(env: Environment) -> str:
    """The URL as libpq reads it; SQLAlchemy's driver suffix (postgresql+psycopg2://) is dropped."""
    value = env.get("DATABASE_URL", "")
    if value and not re.match(r"postgres(ql)?(\+\w+)?://", value):
        raise SettingError(
            "DATABASE_URL must be a PostgreSQL URL, without quotes: postgresql://user:password@host/database"
        )
    url = re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", value)
    try:
        host = psycopg2.extensions.parse_dsn(url).get("host", "")
    except psycopg2.Error:
        # The driver's text quotes the part that it cannot read, which may be of the password.
        host = "@"
    # An unencoded @ ends up in the host, an unencoded / makes a port or a database of the password's pieces.
    if "@" in host or re.search(r"://[^/?]*/[^?]*@", url):
        raise SettingError(
            "DATABASE_URL is not a valid PostgreSQL URL: percent-encode special characters in it (@ as %40, / as %2F), "
            "and use only parameters that libpq knows (sslmode, not ssl)"
        )
    return url


def _webhooks(name: str, value: object) -> list[str]:
    if not isinstance(value, str):
        raise SettingError(f"{name} must be text: https://hooks.slack.com/services/…")
    urls = [url.strip() for url in value.split(",")]
    return [_incoming_webhook(name, url) for url in urls if url] or [_incoming_webhook(name, "")]


def _incoming_webhook(name: str, url: str) -> str:
    address = _web_address(url)
    if not address:
        raise SettingError(f"{name} must be an incoming webhook: https://hooks.slack.com/services/…")
    if _is_slack(address) and (address["path"] or "").startswith(("/triggers/", "/workflows/")):
        raise SettingError(
            f"{name} is a trigger of Workflow Builder, which cannot show these messages: "
            "create an incoming webhook, https://hooks.slack.com/services/…"
        )
    return url


def _user_webhooks(env: Environment) -> dict[str, str]:
    name = "SLACK_USER_WEBHOOKS_FILE"
    if name not in env:
        return {}
    try:
        with open(env[name], encoding="utf-8") as file:
            users = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(f"{name} must name a readable JSON file ({type(error).__name__})") from None
    if not isinstance(users, dict) or not all(user and isinstance(url, str) for user, url in users.items()):
        raise SettingError(f"{name} must hold a JSON object: user API key → webhook URL")
    return {user: _incoming_webhook(f"each URL in {name}", url.strip()) for user, url in users.items()}


def _mention(env: Environment) -> str:
    mention = env.get("SLACK_CRITICAL_MENTION", "")
    if mention and not re.fullmatch(r"<(?:!here|!channel|!subteam\^[A-Z0-9]+|@[UW][A-Z0-9]+)>", mention):
        raise SettingError("SLACK_CRITICAL_MENTION must be <!here>, <!channel>, <!subteam^S…> or <@U…>")
    return mention


def _quiet_hours(env: Environment) -> QuietHours | None:
    zone = _time_zone(env)
    if "SLACK_QUIET_HOURS" not in env:
        return None
    hours = re.fullmatch(r"(\d{1,2}:\d\d)\s*[-–]\s*(\d{1,2}:\d\d)", env["SLACK_QUIET_HOURS"])
    try:
        start, end = (datetime.strptime(text, "%H:%M").time() for text in (hours.groups() if hours else ()))
    except ValueError:
        start = end = time()
    if start == end:
        raise SettingError("SLACK_QUIET_HOURS must be two different times of a day: 22:00-07:00")
    return QuietHours(start, end, zone)


def _time_zone(env: Environment) -> tzinfo:
    name = env.get("SLACK_TIMEZONE", "UTC")
    if name == "UTC":
        return timezone.utc
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise SettingError("SLACK_TIMEZONE must be an IANA name that this machine knows: Europe/Berlin") from None


TEMPLATE_PLACEHOLDERS = ("id", "status", "created", "error", "logs", "user", "age")


def _task_template(env: Environment) -> str:
    template = env.get("SLACK_TASK_TEMPLATE", "").replace("\\n", "\n")
    try:
        Template(template).substitute(dict.fromkeys(TEMPLATE_PLACEHOLDERS, ""))
    except (KeyError, ValueError):
        names = " ".join(f"${name}" for name in TEMPLATE_PLACEHOLDERS)
        raise SettingError(f"SLACK_TASK_TEMPLATE knows {names}; a dollar sign itself is $$") from None
    return template


_ADDRESS = r"[^\s,<>@]+@[^\s,<>@]+"


def _email(env: Environment) -> Email | None:
    url = env.get("SMTP_URL", "")
    to = [address.strip() for address in env.get("ALERT_EMAIL_TO", "").split(",") if address.strip()]
    sender = env.get("ALERT_EMAIL_FROM") or (to[0] if to else "")
    if not url and not to:
        return None
    if not _web_address(url, "smtps?"):
        raise SettingError("SMTP_URL must be smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host")
    if not to or not all(re.fullmatch(_ADDRESS, address) for address in to):
        raise SettingError("ALERT_EMAIL_TO must be one address or several, comma-separated: ops@example.com")
    if not re.fullmatch(_ADDRESS, sender):
        raise SettingError("ALERT_EMAIL_FROM must be one address: protoreel@example.com")
    return Email(url, to, sender)


def _heartbeat_url(env: Environment) -> str:
    url = env.get("HEARTBEAT_URL", "")
    if url and not _web_address(url):
        raise SettingError("HEARTBEAT_URL must be a URL: https://hc-ping.com/…")
    return url


# What follows a scheme. urllib.parse would do, but takes longer to load than all the settings to read.
_WEB_ADDRESS = (
    r"://(?:[^\s/?#]*@)?(?P<host>[^\s/?#@:\[\]]+|\[[^\s/?#@\[\]]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s?#]*)?(?:[?#]\S*)?"
)


def _web_address(url: str, schemes: str = "https?") -> re.Match[str] | None:
    """The `host` and `path` of a URL, if it is one."""
    address = re.fullmatch(schemes + _WEB_ADDRESS, url, re.IGNORECASE)
    return address if address and 0 < int(address["port"] or 443) < 65536 else None


def _is_slack(address: re.Match[str] | None) -> bool:
    return address is not None and address["host"].lower() in SLACK_HOSTS


def _minutes(value: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_TIMEOUT_MINUTES:
        return value
    raise SettingError(f"the timeout must be a positive number of minutes, at most {MAX_TIMEOUT_MINUTES}")


# ---- Text ------------------------------------------------------------------------------------------------------------

ERROR_CHARACTERS = 200
CAUSE_CHARACTERS = 120
# A link that is longer cannot share a section with the rest of its task (Slack: 3,000 characters a section).
LINK_CHARACTERS = 1200
LABEL_CHARACTERS = 64
# Errors of megabytes exist; nobody reads beyond this in a line.
LINE_CHARACTERS = 2000

# What can reorder, hide or break text: controls, bidirectional marks, zero-width characters, lone surrogates, tags.
# The joiner of emoji sequences (U+200D) and its sibling stay.
_INVISIBLE = (
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)

# What varies from task to task within the same cause. As words of their own: quoted values, paths and URLs; then hex
# runs and UUIDs, and long numbers: short ones stay, HTTP 429 and HTTP 500 are two causes. For Python and PostgreSQL;
# two expressions, without assertions and back references, because one for all takes PostgreSQL twice as long.
VARYING_WORDS = r"""(?:^|[\s(=:,])(?:'[^']*'|"[^"]*"|`[^`]*`|/\S+|\S+/\S*/\S*|[a-z]:\\\S+)"""
VARYING_NUMBERS = r"[0-9a-f-]{8,}|[0-9]{5,}"


def _string(value: object) -> str:
    """str() of anything at all; '' for None, and where there is none to be had."""
    try:
        return "" if value is None else str(value).strip()
    except Exception:
        # Python refuses integers of more than 4,300 digits, and any class may refuse.
        return ""


def one_line(value: object) -> str:
    """A value from outside as one line of visible text; backticks, which could end a code span, become quotes."""
    text = _string(value)
    if len(text) > LINE_CHARACTERS:
        # Without a word that is cut: the beginning of a token has no shape by which to mask it.
        text = re.sub(r"\s\S{0,200}\Z", "", text[:LINE_CHARACTERS])
    text = " ".join(text.split())
    return re.sub(_INVISIBLE, "", text).replace("`", "'").strip()


def shorten(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters].rstrip() + "..."


def escape(text: str) -> str:
    """Slack's three entities, and no others: https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def label(value: object) -> str:
    """A short value of a task, such as its id: visible, cut, then escaped; '' where it is absent."""
    return escape(shorten(one_line(value), LABEL_CHARACTERS))


def task_text(value: object, characters: int = LABEL_CHARACTERS) -> str:
    """Free text of a task: visible, masked, cut, then escaped; '' where it is absent."""
    return escape(shorten(redact(one_line(value)), characters))


def error_line(error: object) -> str:
    """What went wrong in one line: the text before a Python traceback, else the traceback's last line."""
    return task_text(_error_message(error), ERROR_CHARACTERS) or "No error message"


def cause_text(error: object) -> str:
    """The same line without what varies from task to task."""
    # Masked first: a secret without its digits has no shape by which to know it.
    text = re.sub(f"(?i){VARYING_WORDS}", " …", redact(one_line(_error_message(error))))
    text = re.sub(f"(?i){VARYING_NUMBERS}", "…", text)
    return escape(shorten(" ".join(text.split()), CAUSE_CHARACTERS)) or "No error message"


def _error_message(error: object) -> str:
    text = _string(error)
    return text.partition("Traceback (most recent call last)")[0].strip() or text.rpartition("\n")[2]


def mask_key(key: object) -> str:
    """An API key's first 8 characters and "..."; of one shorter than 12 characters, its first half."""
    text = one_line(key)
    shown = text[: 8 if len(text) >= 12 else len(text) // 2]
    return escape(shown) + "..."


def log_link(uri: object, label: str) -> str:
    """A Slack link, or '' where the URI is not http(s) or too long; a URI can end neither the link nor its label."""
    from urllib.parse import quote

    # Slack knows schemes in lower case only.
    text = re.sub(r"(?i)^https?:", lambda scheme: scheme[0].lower(), _string(uri))
    # https://docs.slack.dev/messaging/formatting-message-text#linking-urls: a space or | breaks a link.
    url = escape(quote(text, safe="%/:=&?~#+!$,;'@()*[]", errors="replace"))
    return f"<{url}|{label}>" if re.match(r"https?://[^/\s]", text) and len(url) <= LINK_CHARACTERS else ""


def format_time(moment: datetime | None) -> str:
    """2025-09-01 12:00:00 UTC; a time without a zone is UTC."""
    return f"{_utc(moment):%Y-%m-%d %H:%M:%S} UTC" if isinstance(moment, datetime) else "unknown"


def format_age(moment: datetime | None, now: datetime | None) -> str:
    """How long ago, to the minute: 42 min, 3 h 5 min, 2 d 4 h."""
    if not isinstance(moment, datetime) or now is None:
        return "unknown"
    minutes = max(0, int((_utc(now) - _utc(moment)).total_seconds() // 60))
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
    except OverflowError:
        # Within a day of the first or the last year that Python knows.
        return moment.replace(tzinfo=timezone.utc)


def plural(count: float, noun: str) -> str:
    return f"{count:.10g} {noun}" if count == 1 else f"{count:.10g} {noun}s"


# ---- Secrets ---------------------------------------------------------------------------------------------------------

_MASK = "[masked]"
_SECRET_NAME = r"(?:passw(?:or)?d|passphrase|pwd|secret|token(?!s)|(?:api|access|private)[_-]?key|credential|signature)"
_URL = r"(?i)\b[a-z][a-z0-9+.-]{0,30}://(?:(?!\b[a-z][a-z0-9+.-]{0,30}://)\S)*"
# Where a token may begin: also after an underscore.
_START = r"(?<![^\W_])"
_SIGNED_QUERY = r"(?i)(?:sig|signature|credential|accesskeyid|token|key)="
# Words of which a secret holds at least one, the pattern that finds it, what takes its place. The words (casefolded,
# and without an i, which has doubles in Unicode) are there because most text holds none of them. Over hostile text the
# patterns take linear time, or where a match may begin within another, as much as a line of LINE_CHARACTERS allows.
_SECRETS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("-----begin",), r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", _MASK),
    (("eyj",), rf"{_START}eyJ[\w-]{{6,}}\.[\w-]{{6,}}(?:\.[\w-]*)?", _MASK),
    (
        ("author",),
        # A scheme and its credentials, of which Digest has many.
        r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:digest\s.*|[^\s\"',;)}\]]+(?:\s+[^\s\"',;)}\]]+)?)",
        rf"\1{_MASK}",
    ),
    (("bearer", "bas"), r"(?i)\b(bearer|basic)\s+(?=[\w.~+/-]*[\d._~+/=-])[\w.~+/-]{8,}=*", rf"\1 {_MASK}"),
    (("bearer",), r"(?i)\b(bearer)\s+[\w.~+/-]{16,}=*", rf"\1 {_MASK}"),
    (
        # The name; then what it is set to, also as bytes or in a list: in quotes that are escaped, double or single, or
        # up to a delimiter.
        ("pass", "pwd", "secret", "token", "key", "credent", "gnature"),
        rf"(?i)(?<![\w-])((?=[\w-]*{_SECRET_NAME})[\w-]+\\?[\"']?\s*(?:=>|[:=]=?)\s*\[?)"
        r"(?:\\\"[^\"]*\"?|(?:\b[bru]{1,2})?(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?)|[^\s\"'&,;)}\]]+)",
        rf"\1{_MASK}",
    ),
    # A webhook of Slack's without its host, as requests names it, and addresses in JSON.
    (("/t",), r"((?:services|triggers|workflows)\\?/)T[0-9A-Z]+(?:\\?/\w+)+", rf"\1{_MASK}"),
    (("\\/\\/",), r"(:\\/\\/)[^\s\"'@\\]+@", rf"\1{_MASK}@"),
    (("=",), r"(?i)([?&](?:sig|x-amz-\w+|key)=)[^\s&]+", rf"\1{_MASK}"),
    (("xox", "xapp-"), rf"{_START}(?:xox[a-z]|xapp)-[\w-]{{6,}}", _MASK),
    (("akia", "asia"), rf"{_START}(?:AKIA|ASIA)[0-9A-Z]{{12,}}", _MASK),
    (("aiza",), rf"{_START}AIza[\w-]{{20,}}", _MASK),
    (("k-", "k_"), rf"{_START}(?:sk|pk|rk)[-_][\w-]{{16,}}", _MASK),
    (
        ("gh", "github_pat_", "glpat-", "hf_", "r8_"),
        rf"{_START}(?:gh[pousr]_|github_pat_|glpat-|hf_|r8_)\w{{16,}}",
        _MASK,
    ),
)


def redact(text: str) -> str:
    """Masks what looks like a credential: in URLs, after Bearer or a telling name (api_key=…), or by its own shape."""
    if "://" in text:
        text = re.sub(_URL, lambda url: _redact_url(url[0]), text)
    folded = text.casefold()
    for words, pattern, replacement in _SECRETS:
        if any(word in folded for word in words):
            text = re.sub(pattern, replacement, text)
    return text


def _redact_url(url: str) -> str:
    """Without user and password, the query of a signed URL, and all that makes a webhook of Slack's."""
    scheme, mark, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # A password with an unencoded slash in it; a port is none.
    if "@" in rest and re.match(r"[^/@:]*:(?!\d{1,5}(?:/|$))", rest):
        authority = rest.rpartition("@")[0] + "@"
    user, at, _ = authority.rpartition("@")
    if at:
        rest = f"{_MASK}@{rest[len(user) + 1 :]}"
    host, slash, path = rest.partition("/")
    if slash and host.lower().partition(":")[0] in SLACK_HOSTS:
        return f"{scheme}://{host}/{_MASK}"
    path, question, query = rest.partition("?")
    return f"{scheme}{mark}{path}{question}{_MASK if re.search(_SIGNED_QUERY, query) else query}"


# ---- Messages --------------------------------------------------------------------------------------------------------


# Slack's limits: 50 blocks a message, 3,000 characters a section, and (undocumented) about 13,200 over all blocks;
# https://docs.slack.dev/reference/block-kit/blocks. Users disagree on what a character is, so ours keep a distance.
MESSAGE_CHARACTERS = 9000
# Beyond 4,000 Slack may split the text: https://docs.slack.dev/reference/methods/chat.postMessage#truncating
TEXT_CHARACTERS = 3900
MAX_LISTED_TASKS = 20
SECTION_CHARACTERS = 2900


Block = dict[str, Any]


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack makes no links, channels or mentions of its own from bare words in task text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def header(text: str) -> Block:
    """Only for our own words: a header knows no escaping."""
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def fields(texts: Sequence[str]) -> Block:
    return {"type": "section", "fields": [_mrkdwn(text) for text in texts]}


def context(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text)]}


def size(text: str) -> int:
    """Characters as Slack may count them: UTF-16 units of the escaped text."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


Row = Mapping[str, Any]
Task = Row


class Message(NamedTuple):
    """One Slack message; `text` holds all of it for receivers and screen readers that ignore blocks."""

    text: str
    blocks: list[Block]

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
    # Most frequent first: cause, total, users, the sample_id and error of one task, and as `causes` how many there are.
    causes: Sequence[Row] = ()
    # Of failed tasks: failed, ended, users. Of stuck ones: last_activity.
    facts: Row = MappingProxyType({})


class Style(NamedTuple):
    """What the settings change in an alert: the lines of a task, and whom a critical one calls."""

    task_template: str = ""
    mention: str = ""


class Group(NamedTuple):
    """The lines of tasks under one heading ('' for none), most important first; of `total` there may be fewer here."""

    heading: str
    tasks: Sequence[str]
    total: int


def bold(label: str) -> str:
    return f"*{label}*"


def code(escaped: str) -> str:
    return f"`{escaped or 'unknown'}`"


def plain(mrkdwn: str) -> str:
    """Slack's markup as text for a terminal: links written out, labels without asterisks, entities decoded."""
    text = _plain_mentions(re.sub(r"<([^|>]+)\|([^>]*)>", r"\2 (\1)", _without_bold(mrkdwn)))
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _plain_mentions(mrkdwn: str) -> str:
    return re.sub(r"<[!@](?:subteam\^)?(\w+)>", r"@\1", mrkdwn)


def _without_bold(mrkdwn: str) -> str:
    # Bold stands only at the start of a line, where task text never does: its asterisks stay.
    return re.sub(r"(?m)^((?:• |  )?)\*([^*\n]+)\*", r"\1\2", mrkdwn)


_STATUS_NAMES = {"inprogress": "in_progress"}


def task_info(task: Task, template: str = "", now: datetime | None = None) -> str:
    """One task: five lines, or those of the template. Missing keys and NULLs are allowed."""
    status = task.get("status")
    values = {
        "id": label(task.get("id")) or "unknown",
        "status": label(_STATUS_NAMES.get(_string(status), status)) or "unknown",
        "created": format_time(task.get("created_at")),
        "error": error_line(task.get("error")),
        "logs": log_link(task.get("log_uri"), "View Logs") or "No logs available",
    }
    if template:
        more = {"user": mask_key(task.get("user_api_key") or ""), "age": format_age(task.get("created_at"), now)}
        text = Template(template).safe_substitute(values, **more).strip()
        if 0 < size(text) <= SECTION_CHARACTERS:
            return text
    return _TASK_LINES.format_map(values)


_TASK_LINES = """\
• *Task ID:* `{id}`
  *Status:* {status}
  *Created:* {created}
  *Error:* {error}
  *Logs:* {logs}"""


def recovered_info(task: Task) -> str:
    return f"• {code(label(task.get('id')))} is {label(task.get('status')) or 'unknown'}"


def failed_message(claim: Claim, minutes: float, style: Style) -> Message:
    """Tasks that failed within the last `minutes`, or since the last report where that is longer ago."""
    span = f"since {format_time(claim.since)}" if claim.since else f"in the last {plural(minutes, 'minute')}"
    summary = f"{plural(claim.total, 'task')} failed {span}:"
    group = Group("", _described(claim.tasks, claim, style), claim.total)
    return _alert_message("🚨 Failed Tasks Alert", [summary], claim, [group], style)


def stuck_message(claim: Claim, minutes: float, style: Style) -> Message:
    """Tasks that have been stuck for more than `minutes`."""
    lead = [f"{plural(claim.total, 'task')} stuck for more than {plural(minutes, 'minute')}:"]
    if workers_are_idle(claim, minutes):
        last = claim.facts["last_activity"]
        lead.append(f"No task has started or ended {f'since {format_time(last)}' if last else 'yet'}: {WORKERS_DOWN}")
    headings = {STUCK_QUEUED: "Queued Tasks", STUCK_IN_PROGRESS: "In Progress Tasks"}
    groups = []
    for alert, heading in headings.items():
        tasks = [task for task in claim.tasks if task["alert"] == alert]
        if tasks:
            groups.append(Group(heading, _described(tasks, claim, style), tasks[0]["total"]))
    return _alert_message("⚠️ Stuck Tasks Alert", lead, claim, groups, style)


WORKERS_DOWN = "are the workers running?"


def workers_are_idle(claim: Claim, minutes: float) -> bool:
    """Tasks wait in the queue, and for longer than the timeout none has started or ended."""
    if not any(task.get("alert") == STUCK_QUEUED for task in claim.tasks):
        return False
    last = claim.facts.get("last_activity")
    return last is None or claim.claimed_at - last > timedelta(minutes=minutes)


def recovered_message(claim: Claim, minutes: float, style: Style) -> Message:
    """Tasks that were reported as stuck and have moved on."""
    title, summary = "✅ Stuck Tasks Recovered", f"{plural(claim.total, 'task')} no longer stuck:"
    footer = f"Reported at {format_time(claim.claimed_at)}"
    lines, left_out = _listing([Group("", [*map(recovered_info, claim.tasks)], claim.total)], SECTION_CHARACTERS)
    lines += [f"… and {left_out} more"] if left_out else []
    blocks = [header(title), section("\n".join([bold(summary), *lines])), context(footer)]
    return Message("\n".join([title, summary, *lines, footer]), blocks)


def blind_message(error: str, seconds: int, at: datetime) -> Message:
    """That nobody watches: the tasks could not be read, in `seconds` of trying."""
    title, footer = "🙈 Monitor cannot read the tasks table", f"Reported at {format_time(at)}"
    tried = f"Tried for {plural(seconds, 'second')}. " if seconds else ""
    lines = [
        escape(shorten(redact(one_line(error)), 500)),
        f"{tried}Until it works again, no failed or stuck task is reported.",
    ]
    return Message("\n".join([title, *lines, footer]), [header(title), section("\n".join(lines)), context(footer)])


def _described(tasks: Sequence[Task], claim: Claim, style: Style) -> list[str]:
    return [task_info(task, style.task_template, claim.claimed_at) for task in tasks]


def _alert_message(title: str, lead: Sequence[str], claim: Claim, groups: Sequence[Group], style: Style) -> Message:
    summary, *notes = lead
    opening = [" ".join(filter(None, [bold(summary), style.mention])), *notes]
    footer = " · ".join([f"Reported at {format_time(claim.claimed_at)}", *_share(claim.facts)])
    fixed = size("\n".join([title, *opening, footer]))

    def body(characters: int) -> list[str]:
        listed, left_out = _listing(groups, characters)
        if not left_out:
            return listed
        causes = _causes(claim.causes, characters // 3)
        listed, left_out = _listing(groups, characters - size(causes))
        return [*filter(None, [causes]), *listed, f"… and {left_out} more"]

    blocks = [header(title), *map(section, [*opening, *body(MESSAGE_CHARACTERS - fixed)]), context(footer)]
    lines = [title, *opening, *body(TEXT_CHARACTERS - fixed), footer]
    return Message(_without_bold("\n".join(lines)), blocks)


def _share(facts: Row) -> list[str]:
    if not facts.get("failed"):
        return []
    ended = plural(facts["ended"], "ended task")
    return [f"{facts['failed']} of {ended} failed", plural(facts["users"], "user")]


def _causes(causes: Sequence[Row], characters: int) -> str:
    """The causes that fit, a line each; nothing where no task has an error."""
    if not any(cause["cause"] for cause in causes):
        return ""
    lines = _fitting(
        map(_cause_line, causes), min(characters, SECTION_CHARACTERS) - size("*Causes:*\n… and 99999 more\n")
    )
    left_out = causes[0]["causes"] - len(lines)
    more = [f"… and {plural(left_out, 'more cause')}"] if left_out else []
    return "\n".join([bold("Causes:"), *lines, *more]) if lines else ""


def _cause_line(cause: Row) -> str:
    sample = code(label(cause["sample_id"]))
    return f"• {cause['total']} × {cause_text(cause['error'])} · {plural(cause['users'], 'user')} · {sample}"


def _listing(groups: Sequence[Group], characters: int) -> tuple[list[str], int]:
    """Headings and tasks, as many as fit, each group given its share of the room; and how many tasks are left out."""
    lines: list[str] = []
    left_out = 0
    tasks_left = MAX_LISTED_TASKS
    characters -= size("… and 1234567890 more\n") + sum(size(group.heading) + 20 for group in groups)
    for shares, group in zip(range(len(groups), 0, -1), groups):
        texts = _fitting(group.tasks[: -(-tasks_left // shares)], characters // shares)
        if group.heading:
            lines.append(bold(f"{group.heading} ({group.total}):"))
        lines += texts
        left_out += group.total - len(texts)
        tasks_left -= len(texts)
        characters -= sum(size(text) + 1 for text in texts)
    return lines, left_out


def _fitting(texts: Iterable[str], characters: int) -> list[str]:
    fitting: list[str] = []
    for text in texts:
        characters -= size(text) + 1
        if characters < 0:
            break
        fitting.append(text)
    return fitting


class Event(NamedTuple):
    """What one kind of event says; everything else the kinds have in common."""

    kind: str
    title: str
    sentence: str
    status: str
    time_label: str


CREATED = Event("created", "🎬 New Task Created", "has been created and queued for processing.", "queued", "Created at")
STARTED = Event("started", "▶️ Task Started Processing", "has started processing.", "in_progress", "Started at")


class TaskEvent(NamedTuple):
    """A created or started task as the worker names it; `payload` is its request, of any shape."""

    task_id: object
    user_api_key: object
    payload: object
    log_uri: object


def event_message(event: Event, task: TaskEvent, at: datetime) -> Message:
    """What is absent from the task's request makes no line."""
    task_id = code(label(task.task_id))
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
    values = {name: task_text(_first(config, keys)) for name, keys in labels.items()}
    return ", ".join(f"{name}: {value}" for name, value in values.items() if value)


# ---- SQL -------------------------------------------------------------------------------------------------------------

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
    CASE WHEN created_at IS NOT NULL
        THEN greatest(least(created_at::timestamptz, '9999-12-30'), '0001-01-02') END AS created_at,
    CASE WHEN updated_at IS NOT NULL
        THEN greatest(least(updated_at::timestamptz, '9999-12-30'), '0001-01-02') END AS updated_at
"""

# Tasks that failed within the window, newest first.
FAILED_TASKS = f"""
SELECT {_TASK_COLUMNS}
FROM tasks
WHERE status = 'failed' AND updated_at >= now() - %(minutes)s * interval '1 minute'
ORDER BY tasks.updated_at DESC, tasks.id
"""

# Which tasks are stuck: queued, or in progress under either of its names, for longer than the timeout.
_IS_STUCK = """(
    (status = 'queued' AND created_at < now() - %(minutes)s * interval '1 minute')
    OR (status IN ('in_progress', 'inprogress')
        AND coalesce(started_at, created_at) < now() - %(minutes)s * interval '1 minute')
)"""

# The stuck tasks, oldest first.
STUCK_TASKS = f"""
SELECT {_TASK_COLUMNS}
FROM tasks
WHERE {_IS_STUCK}
ORDER BY CASE status WHEN 'queued' THEN tasks.created_at ELSE coalesce(tasks.started_at, tasks.created_at) END, tasks.id
"""

# Whether the ledger is there and may be written, or what could be done about it. Names what is read of the tasks, so
# that a missing column or right is found in every run, not only in the first that has something to report.
LEDGER_STATE = """
SELECT
    current_setting('transaction_read_only') = 'on' AS read_only,
    pg_is_in_recovery() AS standby,
    ledger IS NULL AS missing,
    ledger IS NOT NULL AND has_table_privilege(ledger, 'SELECT') AND has_table_privilege(ledger, 'INSERT')
        AND has_table_privilege(ledger, 'UPDATE') AND has_table_privilege(ledger, 'DELETE') AS writable,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
    has_database_privilege(current_database(), 'TEMPORARY') AS may_create_temporary,
    quote_ident(current_schema()) AS schema,
    quote_ident(current_user) AS role
FROM to_regclass('slack_notifications') AS ledger
WHERE NOT EXISTS (
    SELECT id, user_api_key, status, error, log_uri, created_at, updated_at, started_at FROM tasks WHERE false
)
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
"""

# For a role that may not write the ledger: opens each transaction, so that the same statements work, with no memory
# beyond it.
CREATE_TEMPORARY_LEDGER = f"""
SET TRANSACTION READ WRITE;
CREATE TEMPORARY TABLE {_LEDGER_COLUMNS} ON COMMIT DROP;
"""

# Where the reports of each destination begin. Committed before its first claim, so that failures add up from here on
# even if that first message, and more after it, cannot be delivered.
START_FAILED = """
INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at)
SELECT destination, 'failed', '', now(), now()
FROM unnest(%(destinations)s::text[]) AS destination
ORDER BY destination
ON CONFLICT (destination, alert, task_id) DO NOTHING
"""

# Claims every failed task that the destination has not been told of, by writing it down; the commit makes it final.
# Runs that want the same tasks wait for each other here, in the order of the ids, so that none can deadlock.
# From the last complete report on, less one window: for tasks that were committed late or by a skewed clock.
# A task that fails again counts as new one window after the failure that was reported. (A task with an empty id, which
# the worker never writes, would be mistaken for the alert's own row.)
CLAIM_FAILED = """
INSERT INTO slack_notifications AS told (destination, alert, task_id, event_at, notified_at)
SELECT %(destination)s, 'failed', failed.task_id, failed.event_at, now()
FROM (
    SELECT id::text AS task_id, least(updated_at::timestamptz, '9999-12-30') AS event_at
    FROM tasks
    WHERE status = 'failed' AND id::text <> '' AND (%(user)s = '' OR user_api_key = %(user)s) AND updated_at >= (
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

# Notes that the destination has been told of every failure up to this transaction. With the commit: held while the
# message is on its way, this row would let only one run work at a time.
COMPLETE_FAILED = """
INSERT INTO slack_notifications AS told (destination, alert, task_id, event_at, notified_at)
VALUES (%(destination)s, 'failed', '', now(), now())
ON CONFLICT (destination, alert, task_id) DO UPDATE
SET event_at = greatest(told.event_at, excluded.event_at), notified_at = excluded.notified_at;
"""

STUCK_QUEUED = "stuck:queued"
STUCK_IN_PROGRESS = "stuck:in_progress"

# Claims stuck tasks that the destination has not been told of in their present status, or not for so long that a
# reminder is due. What it was told of another status is forgotten: a task that returns there is news again.
CLAIM_STUCK = f"""
SELECT pg_advisory_xact_lock(hashtextextended(%(destination)s, 0));
WITH stuck AS (
    SELECT id::text AS task_id,
           CASE status WHEN 'queued' THEN 'stuck:queued' ELSE 'stuck:in_progress' END AS alert,
           CASE status WHEN 'queued' THEN created_at::timestamptz
                ELSE coalesce(started_at, created_at)::timestamptz END AS event_at
    FROM tasks
    WHERE id::text <> '' AND (%(user)s = '' OR user_api_key = %(user)s)
      AND {_IS_STUCK}
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
FROM unnest(ARRAY(SELECT task_id FROM gone)) AS gone (task_id)
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
FROM unnest(%(alerts)s) AS kind (alert)
CROSS JOIN LATERAL (
    SELECT task_id, alert, count(*) OVER () AS total,
           CASE alert WHEN 'failed' THEN now() - event_at ELSE event_at - now() END AS place
    FROM slack_notifications
    WHERE destination = %(destination)s AND alert = kind.alert AND task_id <> '' AND notified_at = now()
    ORDER BY place, task_id
    LIMIT %(listed)s
) AS claimed
JOIN tasks ON tasks.id::text = claimed.task_id
ORDER BY claimed.alert, claimed.place, claimed.task_id
"""

# The causes of the tasks that this transaction claimed, most frequent first, each with the error of a task as a sample.
# Grouped by the same line of the error as cause_text() shows, with ~ for … as not every encoding has that, and counted
# here so that memory does not grow with the number of tasks. The ids in an array: the planner knows nothing of rows
# that were just claimed, and would look up the tasks one by one in a join. Of errors of megabytes it reads the ends.
# In a savepoint, so that the claim outlives the time-out.
CLAIMED_CAUSES = f"""
SAVEPOINT causes;
SET LOCAL statement_timeout = '{CAUSES_SECONDS}s';
WITH claimed AS (
    SELECT id::text AS task_id, user_api_key, CASE WHEN octet_length(error) > 20000
        THEN left(error, 9999) || E'\\n' || right(error, 9999) ELSE coalesce(error, '') END AS error
    FROM tasks
    WHERE id::text = ANY(ARRAY(
        SELECT task_id
        FROM slack_notifications
        WHERE destination = %(destination)s AND alert = ANY(%(alerts)s) AND task_id <> '' AND notified_at = now()
    ))
    OFFSET 0
), lines AS (
    SELECT task_id, user_api_key, CASE
        WHEN strpos(error, 'Traceback (most recent call last)') > 0
         AND btrim(split_part(error, 'Traceback (most recent call last)', 1), E' \\n\\r\\t') = ''
        THEN split_part(rtrim(error, E' \\n\\r\\t'), E'\\n', -1)
        ELSE left(split_part(error, 'Traceback (most recent call last)', 1), 2000)
    END AS line
    FROM claimed
), users AS (
    SELECT user_api_key, count(*) AS tasks, min(task_id) AS sample_id,
           regexp_replace(regexp_replace(left(btrim(line, E' \\n\\r\\t'), 300),
               %(varying_words)s, ' ~', 'gi'), %(varying_numbers)s, '~', 'gi') AS cause
    FROM lines
    GROUP BY user_api_key, cause
), causes AS (
    SELECT cause, sum(tasks)::bigint AS total, count(*) AS users, min(sample_id) AS sample_id,
           count(*) OVER () AS causes
    FROM users
    GROUP BY cause
    ORDER BY total DESC, cause
    LIMIT %(listed)s
)
SELECT causes.*, tasks.error
FROM causes
JOIN tasks ON tasks.id::text = causes.sample_id
ORDER BY causes.total DESC, causes.cause
"""

# Every word that the status column holds, found by a few steps through the index on (status, updated_at): a task that
# is over may have any status but those of tasks that are not.
_STATUSES = """
RECURSIVE statuses (status) AS (
    SELECT min(status) FROM tasks
    UNION ALL
    SELECT (SELECT min(tasks.status) FROM tasks WHERE tasks.status > statuses.status)
    FROM statuses
    WHERE statuses.status IS NOT NULL
), ended (status) AS (
    SELECT status FROM statuses WHERE status NOT IN ('queued', 'in_progress', 'inprogress')
)
"""

# Of the tasks that ended in the span of the report, how many failed, and how many users that hit.
FAILED_SHARE = f"""
WITH {_STATUSES}
SELECT count(*) FILTER (WHERE task.status = 'failed') AS failed,
       count(*) AS ended,
       count(DISTINCT task.user_api_key) FILTER (WHERE task.status = 'failed') AS users
FROM ended
CROSS JOIN LATERAL (
    SELECT tasks.status, tasks.user_api_key
    FROM tasks
    WHERE tasks.status = ended.status AND (%(user)s = '' OR tasks.user_api_key = %(user)s)
      AND tasks.updated_at >= coalesce(%(since)s::timestamptz, now() - %(minutes)s * interval '1 minute')
) AS task
"""

# When a worker was last seen to do anything: to end a task or to start one that is still in progress.
LAST_ACTIVITY = f"""
WITH {_STATUSES}
SELECT CASE WHEN at IS NOT NULL THEN greatest(least(at, '9999-12-30'), '0001-01-02') END AS last_activity
FROM (
    SELECT greatest(
        (SELECT max(latest.updated_at) FROM ended CROSS JOIN LATERAL (
            SELECT max(tasks.updated_at)::timestamptz AS updated_at FROM tasks WHERE tasks.status = ended.status
        ) AS latest),
        (SELECT max(started_at)::timestamptz FROM tasks WHERE status IN ('in_progress', 'inprogress'))
    ) AS at
) AS seen
"""

# Forgets what no statement above can ask for any more: after a week, failures that no window reaches back to, stuck
# tasks (of destinations that no longer run) that are so no more, and recoveries. Skips rows that a run is using.
CLEAN_UP = """
DELETE FROM slack_notifications WHERE ctid = ANY(ARRAY(
    SELECT told.ctid
    FROM slack_notifications AS told
    CROSS JOIN LATERAL (
        SELECT NOT EXISTS (
            SELECT FROM tasks
            WHERE tasks.id::text = told.task_id AND tasks.status IN ('queued', 'in_progress', 'inprogress')
        ) AS gone
    ) AS task
    WHERE told.notified_at < now() - interval '7 days' AND told.task_id <> '' AND CASE told.alert
        WHEN 'failed' THEN told.event_at < now() - interval '7 days' AND told.event_at < (
            SELECT complete.event_at - 2 * %(minutes)s * interval '1 minute'
            FROM slack_notifications AS complete
            WHERE complete.destination = told.destination AND complete.alert = 'failed' AND complete.task_id = '')
        WHEN 'recovered' THEN true
        WHEN 'stuck:queued' THEN gone
        WHEN 'stuck:in_progress' THEN gone
        END
    LIMIT 10000
    FOR UPDATE OF told SKIP LOCKED
))
"""


# ---- Database --------------------------------------------------------------------------------------------------------


class Alert(NamedTuple):
    """What can be told of tasks: its names in the ledger, the statement that claims them, the message.

    `kind` is by which webhook it goes; `complete` is run with the commit, whether there was anything to tell or not.
    """

    name: str
    kind: str
    ledger_names: Sequence[str]
    claim: str
    complete: str
    # Finds what else the message tells of the claim, in one row.
    facts: str | None
    message: Callable[[Claim, float, Style], Message]


FAILED = Alert("failed", "failed", ["failed"], CLAIM_FAILED, COMPLETE_FAILED, FAILED_SHARE, failed_message)
STUCK = Alert("stuck", "stuck", [STUCK_QUEUED, STUCK_IN_PROGRESS], CLAIM_STUCK, "", LAST_ACTIVITY, stuck_message)
RECOVERED = Alert("recovered", "stuck", ["recovered"], CLAIM_RECOVERED, "", None, recovered_message)

Parameters = Mapping[str, object]
Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor

_CONNECTION_DEFAULTS = {
    "connect_timeout": str(DATABASE_CONNECT_SECONDS),
    "fallback_application_name": "slack_notifier",
    "client_encoding": "UTF8",
    # A server that vanished is noticed within half a minute.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}

_DATABASE_ADVICE: Mapping[type[Exception], str] = {
    psycopg2.errors.UndefinedTable: "is this the worker's database, and its schema in the search_path?",
    psycopg2.errors.UndefinedColumn: "the table lacks a column that the notifier uses, see the README",
    psycopg2.errors.InsufficientPrivilege: "GRANT SELECT ON tasks TO the role of DATABASE_URL",
    psycopg2.errors.QueryCanceled: "it took too long, is the recommended index there?",
}


@contextmanager
def connect(database_url: str, pauses: Sequence[float] = ()) -> Iterator[Connection]:
    """A connection for a few transactions; DatabaseError if there is none, not even after the pauses (seconds)."""
    if not database_url:
        raise DatabaseError("DATABASE_URL environment variable not set")
    parameters = {**_CONNECTION_DEFAULTS, **psycopg2.extensions.parse_dsn(database_url)}
    for pause in pauses:
        try:
            connection = _connection(parameters)
            break
        except DatabaseError as error:
            logger.warning("%s; trying again in %s s", error, pause)
            sleep(pause)
    else:
        connection = _connection(parameters)
    with closing(connection):
        yield connection


def _connection(parameters: Mapping[str, Any]) -> Connection:
    try:
        connection: Connection = psycopg2.connect(**parameters)
    except (psycopg2.Error, UnicodeDecodeError) as error:
        reason = _driver_line(error, parameters.get("password"))
        raise DatabaseError(f"Cannot connect to the database: {reason}; check DATABASE_URL") from None
    # Transactions are opened by BEGIN above, in one round trip with their settings.
    connection.autocommit = True
    return connection


class Transaction:
    """What a block of `transaction()` works with. `cursor` has the rows of the statement that it opened with."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.rolls_back = False

    def fetch_all(self, statement: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        self.cursor.execute(statement, parameters)
        return self.rows()

    def rows(self) -> list[dict[str, Any]]:
        names = [column.name for column in self.cursor.description or ()]
        return [dict(zip(names, row)) for row in self.cursor.fetchall()]

    def roll_back(self) -> None:
        """Lets the end of the block leave no trace."""
        self.rolls_back = True


@contextmanager
def transaction(
    connection: Connection,
    *statements: str,
    parameters: Parameters | None = None,
    at_end: str = "",
    contended: bool = False,
) -> Iterator[Transaction]:
    """Commits at the end of the block, rolls back if it raises; PostgreSQL's errors become a DatabaseError.

    The `statements` run at its start, in the same round trip; `at_end` runs with the commit. `contended`: what it waits
    for is another run, and waiting for too long is a BusyError.
    """
    try:
        with connection.cursor() as cursor:
            opened = Transaction(cursor)
            try:
                cursor.execute(_together(BEGIN, *statements), parameters)
                yield opened
                cursor.execute("ROLLBACK" if opened.rolls_back else _together(at_end, "COMMIT"), parameters)
            except BaseException:
                # The connection may be the very thing that broke; the server then rolls back by itself.
                with suppress(psycopg2.Error):
                    cursor.execute("ROLLBACK")
                raise
    except (psycopg2.Error, UnicodeDecodeError) as error:
        raise _database_error(error, connection, contended) from None


def _together(*statements: str) -> str:
    """Several statements that travel in one round trip."""
    return ";".join(filter(None, statements))


def _database_error(error: Exception, connection: Connection, contended: bool) -> NotifierError:
    if not isinstance(error, psycopg2.errors.LockNotAvailable):
        reason = _driver_line(error, connection.info.password)
        advice = _DATABASE_ADVICE.get(type(error))
        return DatabaseError(f"Cannot read the tasks: {reason}" + (f"; {advice}" if advice else ""))
    if contended:
        return BusyError(f"Tasks are locked for over {LOCK_WAIT_SECONDS} s, by another run that is reporting them")
    return DatabaseError(
        f"Cannot read the tasks: the table is locked for over {LOCK_WAIT_SECONDS} s, by a migration or VACUUM FULL?"
    )


def _driver_line(error: Exception, password: str | None) -> str:
    """The driver's words in one line; they may quote the password."""
    text = one_line(str(error).partition("\nLINE ")[0])
    return redact(re.sub(rf"(?<!\w){re.escape(password)}(?!\w)", _MASK, text) if password else text)


def read_tasks(database_url: str, statement: str, minutes: float) -> list[dict[str, Any]]:
    """What one statement finds; DatabaseError if it cannot."""
    with (
        connect(database_url) as connection,
        transaction(connection, statement, parameters={"minutes": minutes}) as reading,
    ):
        return reading.rows()


def open_ledger(connection: Connection, destinations: Sequence[str], *, dry_run: bool) -> tuple[str, str | None]:
    """Makes slack_notifications usable; returns what every transaction has to begin with ("" where it is writable).

    It is created on first use, and the `destinations` (fingerprints) are noted as told of failures from now on. Where
    the role may not write, transactions begin with a temporary table, and the second value is a warning with what to
    grant. A server that cannot even do that raises DatabaseError. A dry run changes nothing.
    """
    with transaction(connection, LEDGER_STATE) as opening:
        state = opening.rows()[0]
        if state["standby"]:
            raise DatabaseError(
                "The database is a read-only standby: use the primary (?target_session_attrs=read-write)"
            )
        may_write = (state["writable"] or (state["missing"] and state["may_create"])) and not state["read_only"]
        if may_write and not dry_run:
            create = CREATE_LEDGER if state["missing"] else ""
            opening.cursor.execute(_together(create, START_FAILED), {"destinations": list(destinations)})
    if may_write:
        return CREATE_TEMPORARY_LEDGER if dry_run and state["missing"] else "", None
    if not state["may_create_temporary"]:
        raise DatabaseError(f"The role may create no table, not even a temporary one: {_ledger_remedy(state)}")
    return (
        CREATE_TEMPORARY_LEDGER,
        f"Cannot remember what was reported, so alerts repeat with every run: {_ledger_remedy(state)}",
    )


def _ledger_remedy(state: Row) -> str:
    if state["read_only"]:
        return f"ALTER ROLE {state['role']} SET default_transaction_read_only = off"
    if state["missing"]:
        return f"GRANT CREATE ON SCHEMA {state['schema'] or 'public'} TO {state['role']}"
    return f"GRANT SELECT, INSERT, UPDATE, DELETE ON slack_notifications TO {state['role']}"


def claimed(transaction: Transaction, alert: Alert, parameters: Parameters) -> Claim | None:
    """What the alert's claim, with which the transaction opened, took until its end; None for nothing."""
    total = transaction.cursor.rowcount
    if not total:
        return None
    more = {
        **parameters,
        **transaction.fetch_all(CLAIM_SPAN, parameters)[0],
        "alerts": list(alert.ledger_names),
        "listed": MAX_LISTED_TASKS,
        "varying_words": VARYING_WORDS,
        "varying_numbers": VARYING_NUMBERS,
    }
    return Claim(
        transaction.fetch_all(CLAIMED_TASKS, more),
        total,
        more["claimed_at"],
        more["since"],
        _causes_in_time(transaction, more) if total > 1 else [],
        transaction.fetch_all(alert.facts, more)[0] if alert.facts else {},
    )


def _causes_in_time(transaction: Transaction, parameters: Parameters) -> list[dict[str, Any]]:
    """None where they take too long: however much there is to group, the alert goes out."""
    try:
        causes = transaction.fetch_all(CLAIMED_CAUSES, parameters)
    except psycopg2.errors.QueryCanceled:
        logger.warning("Grouping the causes took over %s s: the alert goes out without them", CAUSES_SECONDS)
        causes = []
    transaction.cursor.execute("ROLLBACK TO SAVEPOINT causes")
    return causes


# ---- Delivery --------------------------------------------------------------------------------------------------------

Result = TypeVar("Result")


_DELIVERY_THREAD = "slack-notifier-delivery"


def _holds_no_secret(record: logging.LogRecord) -> bool:
    """Of what urllib3 logs of our requests, only where it connects to: the rest has the webhook's path in it."""
    ours = threading.current_thread().name == _DELIVERY_THREAD
    return not ours or str(record.msg).startswith("Starting new HTTP")


# What Slack's error words mean to the person who reads the log; none of them heals by itself.
# https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors
_NEW_WEBHOOK = "create a new webhook and put its URL into the setting"
_SLACK_ADVICE = {
    "invalid_payload": "Slack could not read the message, please report this as a bug",
    "no_text": "the message was empty",
    "missing_text_or_fallback_or_attachments": "the message was empty",
    "too_many_attachments": "the message has more than 100 attachments",
    "msg_too_long": "the message is too long",
    "user_not_found": f"the user that the webhook posts to is gone, {_NEW_WEBHOOK}",
    "channel_not_found": f"the channel was deleted or the app lost access to it: invite the app, or {_NEW_WEBHOOK}",
    "channel_is_archived": f"the channel is archived: unarchive it, or {_NEW_WEBHOOK}",
    "action_prohibited": "a restriction of the workspace forbids it, ask its admin",
    "posting_to_general_channel_denied": "the webhook's creator may not post to #general, use another channel",
    "invalid_token": f"the URL is wrong or was revoked, {_NEW_WEBHOOK}",
    "no_service": f"the webhook was removed or disabled, {_NEW_WEBHOOK}",
    "no_active_hooks": f"the webhook is disabled, {_NEW_WEBHOOK}",
    "no_service_id": "the URL is wrong, copy it again from Slack",
    "no_team": "the URL is wrong, copy it again from Slack",
    "team_disabled": "the Slack workspace is closed",
}
_LAYOUT_REFUSED = ("invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long")
_ANSWER_CHARACTERS = 300


def deliver(webhook: str, message: Message, seconds: float) -> None:
    """Delivers the message within `seconds`, or raises DeliveryError.

    What may heal is tried again with growing pauses. A message that may have arrived is not: a webhook has no key by
    which Slack could tell a repeat.
    """
    deadline = monotonic() + seconds
    pauses: Iterator[float] = iter(WEBHOOK_PAUSES_SECONDS)
    while True:
        try:
            return _post(webhook, message.payload(), deadline - monotonic())
        except DeliveryError as error:
            if error.layout_refused and message.blocks:
                logger.error("Slack refused the message's layout (%s): sending it as text only", error)
                message = Message(message.text, [])
                continue
            pause = max(next(pauses, seconds), error.retry_after or 0)
            if error.retry_after is None or monotonic() + pause + 1 > deadline:
                raise
            sleep(pause)


def _post(webhook: str, payload: Mapping[str, Any], seconds: float) -> None:
    try:
        data = json.dumps(payload, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise DeliveryError(f"the blocks cannot be written as JSON ({type(error).__name__})") from None
    options = {"data": data, "headers": {"Content-Type": "application/json"}}
    status, headers, body = _within(seconds, lambda: _request("POST", webhook, seconds, **options))
    if not _accepted(webhook, status, body):
        raise _refusal(status, headers, _without_path(webhook, body))


def _refusal(status: int, headers: Mapping[str, str], body: str) -> DeliveryError:
    """What a refusal means. Statuses differ between Slack's own reports of the same error, so its word counts first."""
    word = shorten(redact(one_line(body)), 100)
    reason = f"HTTP {status} {word}".rstrip()
    if word in _LAYOUT_REFUSED:
        return DeliveryError(reason, layout_refused=True)
    if word in _SLACK_ADVICE:
        return DeliveryError(f"{reason}: {_SLACK_ADVICE[word]}")
    if status == 429:
        return DeliveryError(f"{reason} (rate limited)", retry_after=_retry_after(headers))
    if status >= 500:
        return DeliveryError(reason, retry_after=0)
    if 300 <= status < 400:
        return DeliveryError(f"{reason}: the URL redirects elsewhere, is it the webhook's?")
    return DeliveryError(f"{reason}: check the webhook's URL")


def _accepted(webhook: str, status: int, body: str) -> bool:
    if _is_slack(_web_address(webhook)):
        return status == 200 and body.strip() == "ok"
    return 200 <= status < 300


def _without_path(webhook: str, body: str) -> str:
    """Error pages like to quote the address, also escaped."""
    from html import unescape
    from urllib.parse import unquote, urlsplit

    _, _, path, query, _ = urlsplit(webhook)
    body = unescape(body)
    for piece in (path, unquote(path), path.rpartition("/")[2], query):
        body = body.replace(piece, _MASK) if len(piece) > 1 else body
    return body


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, of either form that HTTP knows; 0 where there is no sense in it."""
    from email.utils import parsedate_to_datetime

    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - datetime.now(timezone.utc).timestamp())
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0


def _within(seconds: float, action: Callable[[], Result]) -> Result:
    """What `action` returns, or its error; DeliveryError when the time is up.

    In a thread that is left behind then: a time-out of requests or a socket bounds one wait, not a name server that
    does not answer or a server that sends a byte a second.
    """
    if seconds <= 0:
        raise DeliveryError("no time left for it in this run")
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=_DELIVERY_THREAD, daemon=True)
    thread.start()
    thread.join(seconds)
    if results:
        return results[0]
    if errors:
        raise errors[0]
    raise DeliveryError(f"no complete answer within {seconds:.0f} s; the message may have arrived")


def _request(method: str, url: str, seconds: float, **options: Any) -> tuple[int, Mapping[str, str], str]:
    """One HTTP request: status, headers and the start of the body; DeliveryError if there is no answer.

    Redirects are not followed: requests would turn the POST into a GET and find a friendly 200.
    """
    # Loaded here because most runs have nothing to report, and requests takes longer to load than they take to run.
    import requests
    import urllib3.exceptions

    for name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_holds_no_secret)
    timeout = (min(WEBHOOK_CONNECT_SECONDS, seconds), min(WEBHOOK_READ_SECONDS, seconds))
    options = {"timeout": timeout, "allow_redirects": False, "hooks": {"response": _forget_redirect}, **options}
    deadline = monotonic() + seconds
    try:
        with requests.request(method, url, stream=True, **options) as response:
            body = b""
            for byte in response.iter_content(1):
                body += byte
                # With room for the address, which is masked before the cut.
                if len(body) >= _ANSWER_CHARACTERS + len(url) or monotonic() > deadline:
                    break
            return response.status_code, response.headers, body.decode(errors="replace")
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        # The exception's own text and its chain hold the webhook's path.
        raise _network_error(error) from None


def _forget_redirect(response: requests.Response, **_: object) -> None:
    # Also where it does not follow a redirect, requests works out its target and loads its body, however long.
    response.headers.pop("Location", None)


def _network_error(error: Exception) -> DeliveryError:
    import requests
    import urllib3.exceptions

    cause = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.ConnectTimeout):
        return DeliveryError(f"no connection within {WEBHOOK_CONNECT_SECONDS} s", retry_after=0)
    if isinstance(error, requests.exceptions.SSLError):
        if "CERTIFICATE" in str(error).upper():
            return DeliveryError("the server's certificate was not accepted")
        return DeliveryError("no TLS connection, does the server speak https?")
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return DeliveryError(f"no connection ({type(cause).__name__})", retry_after=0)
    if isinstance(error, requests.exceptions.ProxyError):
        return DeliveryError("no connection through the proxy", retry_after=0)
    if isinstance(error, requests.ReadTimeout):
        return DeliveryError(f"no answer within {WEBHOOK_READ_SECONDS} s; the message may have arrived")
    if isinstance(error, ValueError):
        return DeliveryError(f"the URL cannot be used ({type(error).__name__})")
    return DeliveryError(f"connection lost ({type(error).__name__}); the message may have arrived")


def send_email(email: Email, message: Message, reason: str, seconds: float) -> None:
    """Delivers the message as text and simple HTML within `seconds`, or raises DeliveryError."""
    import smtplib
    from urllib.parse import unquote, urlsplit

    try:
        _within(seconds, lambda: _smtp(email, _mail(email, message, reason), seconds))
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        # It may quote what was sent.
        text = text.replace(unquote(urlsplit(email.smtp_url).password or "") or _MASK, _MASK)
        answer = f"{error.smtp_code} {shorten(redact(one_line(text)), 100)}"
        raise DeliveryError(f"{type(error).__name__}: {answer}") from None
    except (OSError, ValueError) as error:
        # Of the errors of sockets and certificates; the text of others may quote what was sent.
        raise DeliveryError(f"{type(error).__name__} {getattr(error, 'strerror', None) or ''}".strip()) from None


def _mail(email: Email, message: Message, reason: str) -> EmailMessage:
    from email.message import EmailMessage

    why = f"Sent by e-mail because Slack did not take it: {reason}"
    mail = EmailMessage()
    mail["Subject"] = plain(message.text.partition("\n")[0])
    mail["From"] = email.sender
    mail["To"] = ", ".join(email.to)
    mail.set_content(f"{plain(message.text)}\n\n{why}\n")
    mail.add_alternative(_html(f"{message.text}\n\n{escape(why)}"), subtype="html")
    return mail


def _html(mrkdwn: str) -> str:
    """Slack's escaping is HTML's as well; what stands in angle brackets is a link or a mention of ours."""
    text = re.sub(r"<([^|>]+)\|([^>]*)>", r'<a href="\1">\2</a>', _plain_mentions(mrkdwn))
    text = re.sub(r"`([^`\n]*)`", r"<code>\1</code>", text)
    return "<html><body><p>" + text.replace("\n", "<br>\n") + "</p></body></html>\n"


def _smtp(email: Email, mail: EmailMessage, seconds: float) -> None:
    import smtplib
    import ssl
    from urllib.parse import unquote, urlsplit

    server = urlsplit(email.smtp_url)
    tls = ssl.create_default_context()
    host, port = server.hostname or "", server.port or (465 if server.scheme == "smtps" else 587)
    with (
        smtplib.SMTP_SSL(host, port, timeout=seconds, context=tls)
        if server.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=seconds)
    ) as smtp:
        if server.scheme == "smtp":
            # Raises where the server has no TLS: neither the password nor the alert travels in the open.
            smtp.starttls(context=tls)
        if server.username:
            smtp.login(unquote(server.username), unquote(server.password or ""))
        refused = smtp.send_message(mail)
        if refused:
            logger.warning("E-mail refused for %s", ", ".join(refused))


def send_heartbeat(url: str, *, good: bool) -> None:
    """Tells the monitor of this monitor that a run went well, or (/fail) that it did not; DeliveryError if it can't."""
    from urllib.parse import urlsplit

    if not good:
        parts = urlsplit(url)
        url = parts._replace(path=parts.path.rstrip("/") + "/fail").geturl()
    status, _, _ = _within(HEARTBEAT_SECONDS, lambda: _request("GET", url, HEARTBEAT_SECONDS))
    if not 200 <= status < 300:
        raise DeliveryError(f"HTTP {status}")


Preview = Callable[[Message], str]


def preview_as_text(message: Message) -> str:
    return plain(message.text) + "\n"


def preview_as_json(message: Message) -> str:
    return json.dumps(message.payload(), ensure_ascii=False)


class Outbox:
    """Where the messages of one run leave: by webhook, by e-mail where that fails, or, with a `preview`, to stdout."""

    def __init__(self, email: Email | None, preview: Preview | None = None) -> None:
        self._email = email
        self._preview = preview
        self._mailed: set[str] = set()
        self._mail_error: str | None = None

    def post(self, destination: Destination, message: Message, until: Deadline) -> None:
        """To its webhook; DeliveryError if it is not accepted."""
        if self._preview:
            _print(self._preview(message))
            return
        try:
            deliver(destination.webhook, message, until.seconds_left)
        except DeliveryError as error:
            raise DeliveryError(f"Failed to send Slack message: {error}", reason=error.reason) from None
        logger.info("Slack message sent successfully")

    def post_or_mail(self, destination: Destination, message: Message, until: Deadline) -> None:
        """By e-mail where the webhook does not take it and an address is set; DeliveryError if neither does."""
        try:
            self.post(destination, message, until)
        except DeliveryError as error:
            if not self._email:
                raise
            logger.error("%s", error)
            self.mail(message, error.reason)

    def mail(self, message: Message, reason: str) -> None:
        """Once for each message: two webhooks that are down need one mail."""
        # All but the time of the report.
        news = message.text.rpartition("\n")[0]
        if news in self._mailed or not self._email:
            return
        # Tried once a run: a mail server that hangs must not use up the time of the other destinations.
        if self._mail_error is None:
            try:
                send_email(self._email, message, reason, EMAIL_SECONDS)
            except DeliveryError as error:
                self._mail_error = f"Failed to send the e-mail as well: {error}"
        if self._mail_error is not None:
            raise DeliveryError(self._mail_error)
        self._mailed.add(news)
        logger.warning("Alert sent by e-mail instead")


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever reads has enough: `--dry-run | head`. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise DeliveryError(f"Cannot write to the standard output: {error.strerror}") from None


# ---- Run -------------------------------------------------------------------------------------------------------------


# Alerts, each with its window or timeout in minutes.
Wanted = Sequence[tuple[Alert, float]]


class Outcome(NamedTuple):
    """What became of one alert: how many tasks there were to tell, whether a message went out, what went wrong.

    `blind`: the tasks could not be read.
    """

    total: int = 0
    sent: bool = False
    error: str | None = None
    blind: bool = False

    def joined(self, other: Outcome) -> Outcome:
        """Of two destinations, each of which is told of the same tasks or some of them."""
        return Outcome(
            max(self.total, other.total),
            self.sent or other.sent,
            other.error or self.error,
            self.blind or other.blind,
        )


class Run:
    """One run, from the settings to what became of it: all that changes meanwhile is here and nowhere else.

    With a `preview` it is a dry run, which prints what that makes of a message and leaves no trace.
    """

    def __init__(self, settings: Settings, seconds: float, preview: Preview | None = None) -> None:
        self.settings = settings
        self.deadline = Deadline.after(seconds)
        self.dry_run = preview is not None
        self.outbox = Outbox(settings.email, preview)
        self.outcomes: dict[str, Outcome] = {}

    # Alerts.

    def watch(self, wanted: Wanted) -> list[Outcome]:
        """A run of the monitor: reports, says so where the tasks cannot be read, and sends the heartbeat."""
        started = monotonic()
        outcomes = self.report(wanted, DATABASE_PAUSES_SECONDS)
        blind = next((outcome.error for outcome in outcomes if outcome.blind and outcome.error), None)
        if blind:
            message = blind_message(blind, round(monotonic() - started), datetime.now(timezone.utc))
            self._send_blind([alert.kind for alert, _ in wanted], message)
        if self.settings.heartbeat_url and not self.dry_run:
            self._send_heartbeat(good=not any(outcome.error for outcome in outcomes))
        return outcomes

    def report(self, wanted: Wanted, pauses: Sequence[float] = ()) -> list[Outcome]:
        """Sends each destination what it has yet to be told of each alert, given with its window or timeout in minutes.

        A failed connection to the database is tried again after each of the `pauses` (seconds).
        """
        if not self.settings.webhooks and not self.settings.user_webhooks and not self.dry_run:
            return [Outcome(error=NO_WEBHOOK)] * len(wanted)
        with _Guard() as guard, connect(self.settings.database_url, pauses) as connection:
            self._report_all(connection, wanted)
            return list(self.outcomes.values())
        return [Outcome(error=guard.error, blind=guard.blind)] * len(wanted)

    def _report_all(self, connection: Connection, wanted: Wanted) -> None:
        work = self._shared_out(wanted)
        opening = self._open_ledger(connection, work)
        deadline = self.deadline.within(ALERT_SECONDS)
        for left, (destination, alerts) in zip(range(len(work), 0, -1), work.items()):
            until = deadline.within(deadline.share(left, ALERT_SECONDS))
            for alert, minutes in alerts:
                outcome = self._tell(connection, opening, alert, minutes, destination, until)
                self.outcomes[alert.kind] = self.outcomes[alert.kind].joined(outcome)
                if outcome.error and alert is STUCK:
                    break
        if any(outcome.sent for outcome in self.outcomes.values()):
            with _Guard(), transaction(connection, opening, CLEAN_UP, parameters={"minutes": FAILED_WINDOW_MINUTES}):
                pass

    def _tell(
        self,
        connection: Connection,
        opening: str,
        alert: Alert,
        minutes: float,
        destination: Destination,
        until: Deadline,
    ) -> Outcome:
        """Claim, message, delivery in one transaction: what is not delivered was never claimed."""
        total, sent = 0, False
        parameters = self._parameters(destination, minutes)
        opened = transaction(
            connection, opening, alert.claim, parameters=parameters, at_end=alert.complete, contended=True
        )
        with _Guard() as guard, opened as claiming:
            claim = claimed(claiming, alert, parameters)
            total = claim.total if claim else 0
            if claim and self._holds_back(alert, claim, minutes):
                claiming.roll_back()
            elif claim:
                self.outbox.post_or_mail(
                    destination, alert.message(claim, minutes, self._style(alert, claim, minutes)), until
                )
                sent = not self.dry_run
            if self.dry_run:
                claiming.roll_back()
        return Outcome(total if alert is not RECOVERED else 0, sent, guard.error, guard.blind)

    def _parameters(self, destination: Destination, minutes: float) -> dict[str, object]:
        return {
            "destination": destination.fingerprint,
            "user": destination.user,
            "minutes": minutes,
            "remind": self.settings.remind_minutes,
            "notify_on_recovery": self.settings.notify_on_recovery,
        }

    def _holds_back(self, alert: Alert, claim: Claim, minutes: float) -> bool:
        """In quiet hours, what is not critical waits for the first run after them."""
        quiet = self.settings.quiet_hours
        if not quiet or claim.claimed_at not in quiet or self._is_critical(alert, claim, minutes):
            return False
        logger.info("Quiet hours: %s kept for later", plural(claim.total, f"{alert.name} task"))
        return True

    def _is_critical(self, alert: Alert, claim: Claim, minutes: float) -> bool:
        if alert is RECOVERED:
            return False
        return claim.total >= self.settings.critical_count or (alert is STUCK and workers_are_idle(claim, minutes))

    def _style(self, alert: Alert, claim: Claim, minutes: float) -> Style:
        mention = self.settings.critical_mention if self._is_critical(alert, claim, minutes) else ""
        return Style(self.settings.task_template, mention)

    def _shared_out(self, wanted: Wanted) -> dict[Destination, list[tuple[Alert, float]]]:
        """What each destination is to be told, recoveries with what is stuck; what can go nowhere is an outcome."""
        work: dict[Destination, list[tuple[Alert, float]]] = {}
        for alert, minutes in wanted:
            with _Guard() as guard:
                _minutes(minutes)
                for destination in self._destinations(alert.kind):
                    more = [(RECOVERED, minutes)] if alert is STUCK else []
                    work.setdefault(destination, []).extend([(alert, minutes), *more])
            self.outcomes[alert.kind] = Outcome(error=guard.error)
        return work

    def _destinations(self, kind: str) -> list[Destination]:
        destinations = self.settings.destinations(kind)
        if not destinations and not self.dry_run:
            raise SettingError(f"no webhook for {kind or 'general'} messages: set SLACK_WEBHOOK")
        return destinations or [Destination("")]

    def _open_ledger(self, connection: Connection, work: Mapping[Destination, Wanted]) -> str:
        """What every transaction of this run has to begin with."""
        told_of_failures = [
            destination.fingerprint
            for destination, alerts in work.items()
            if any(alert is FAILED for alert, _ in alerts)
        ]
        opening, warning = open_ledger(connection, told_of_failures, dry_run=self.dry_run)
        if warning:
            logger.warning("%s", warning)
        return opening

    # Single messages.

    def send(self, kinds: Sequence[str], build: Callable[[], Message], *, or_mail: bool = False) -> bool:
        """Sends one message to every destination of these kinds, those of single users apart; True: all have it."""
        if not self.settings.webhooks and not self.settings.user_webhooks and not self.dry_run:
            return False
        delivered = False
        with _Guard() as guard:
            message = build()
            found: dict[Destination, None] = {}
            for kind in kinds:
                with _Guard() as route:
                    found.update(dict.fromkeys(d for d in self._destinations(kind) if not d.user))
                guard.error = guard.error or route.error
            budget = self.deadline.seconds_left
            post = self.outbox.post_or_mail if or_mail else self.outbox.post
            for left, destination in zip(range(len(found), 0, -1), found):
                with _Guard() as one:
                    post(destination, message, self.deadline.within(self.deadline.share(left, budget)))
                delivered = delivered or not one.error
                guard.error = guard.error or one.error
        return delivered and not guard.error

    def _send_blind(self, kinds: Sequence[str], message: Message) -> None:
        delivered = self.send(kinds, lambda: message, or_mail=True)
        if not delivered and self.settings.email and not self.dry_run:
            # Where only single users have webhooks. What went by e-mail already does not go twice.
            with _Guard():
                self.outbox.mail(message, "there is no webhook for it")

    def _send_heartbeat(self, *, good: bool) -> None:
        try:
            send_heartbeat(self.settings.heartbeat_url, good=good)
        except (DeliveryError, ValueError, RuntimeError) as error:
            # No such host name, or no thread to be had: its own text may hold the URL.
            reason = error if isinstance(error, DeliveryError) else type(error).__name__
            logger.warning("Heartbeat not sent: %s", reason)


class _Guard:
    """The public edge, where errors end: logged once, and kept as one line. The block goes on after it."""

    error: str | None = None
    blind: bool = False

    def __enter__(self) -> _Guard:
        return self

    def __exit__(self, kind: object, error: BaseException | None, stack: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self.blind = isinstance(error, DatabaseError)
        if isinstance(error, NotifierError):
            self.error = str(error)
        else:
            # A bug, of which the worker must not die. Its own text may hold a secret; its kind and place do not.
            self.error = f"Unexpected {type(error).__name__} at {_place(error)}"
            logger.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
        logger.error("%s", self.error)
        return True


def _place(error: BaseException) -> str:
    # The innermost line of this file: it names the step, wherever below it the error arose.
    places = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__]
    return f"{os.path.basename(__file__)}:{places[-1] if places else '?'}"


# ---- SlackNotifier ---------------------------------------------------------------------------------------------------


class SlackNotifier:
    """Reports tasks to Slack. Nothing here raises, but a wrong setting in the constructor (ValueError).

    Without a webhook it warns once, is disabled, and its sends return False. With `dry_run` it prints what it would
    send, and needs no webhook. Threads may share one: each call is a run of its own.
    """

    def __init__(
        self, webhook_url: str | None = None, *, settings: Settings | None = None, dry_run: bool = False
    ) -> None:
        if settings is None:
            settings = Settings.from_environment(webhook_url=webhook_url)
        elif webhook_url:
            settings = settings.with_webhook(webhook_url)
        self.settings = settings
        self.dry_run = dry_run
        self.preview: Preview = preview_as_text
        if not self.enabled and not dry_run:
            logger.warning(NO_WEBHOOK)

    @property
    def enabled(self) -> bool:
        return bool(self.settings.webhooks or self.settings.user_webhooks)

    @property
    def webhook_url(self) -> str | None:
        """The first of SLACK_WEBHOOK. A secret: whoever knows it can post to the channel."""
        return next(iter(self.settings.webhooks.get("", ())), None)

    def send_message(self, message: str, blocks: list[Block] | None = None) -> bool:
        """Sends your own words: Slack's markup in `message` and `blocks` is kept, so escape what comes from others."""
        return self._run(EVENT_SECONDS).send([""], lambda: Message(message, blocks or []))

    def get_failed_tasks_last_30min(self) -> list[dict[str, Any]]:
        """Tasks that failed in the last 30 minutes, newest first; [] and a logged error if the database fails."""
        with _Guard():
            return read_tasks(self.settings.database_url, FAILED_TASKS, FAILED_WINDOW_MINUTES)
        return []

    def get_stuck_tasks(self, timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES) -> list[dict[str, Any]]:
        """Tasks queued or in progress for longer than the timeout, oldest first; [] and a logged error likewise."""
        with _Guard():
            return read_tasks(self.settings.database_url, STUCK_TASKS, _minutes(timeout_minutes))
        return []

    def format_task_info(self, task: Task) -> str:
        """One task in Slack's markup, escaped, as the alerts list it."""
        task = task if isinstance(task, Mapping) else {}
        return task_info(task, self.settings.task_template, datetime.now(timezone.utc))

    def send_failed_tasks_notification(self) -> bool:
        """True: delivered, or nothing to report."""
        return self._run(RUN_SECONDS).report([(FAILED, FAILED_WINDOW_MINUTES)])[0].error is None

    def send_stuck_tasks_notification(self, timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES) -> bool:
        """True: delivered, or nothing to report. Also names the tasks that were reported as stuck and recovered."""
        return self._run(RUN_SECONDS).report([(STUCK, timeout_minutes)])[0].error is None

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
        stuck_notification_sent (a message was delivered), error (None, or one line on what went wrong). Tasks that
        cannot be read are an alert themselves.
        """
        failed, stuck = self.watch([(FAILED, FAILED_WINDOW_MINUTES), (STUCK, timeout_minutes)])
        errors = dict.fromkeys(outcome.error for outcome in (failed, stuck) if outcome.error)
        return {
            "failed_tasks_count": failed.total,
            "stuck_tasks_count": stuck.total,
            "failed_notification_sent": failed.sent,
            "stuck_notification_sent": stuck.sent,
            "error": "; ".join(errors) or None,
        }

    def send_event(self, event: Event, task: TaskEvent) -> bool:
        """Sends the event whatever the settings say of its kind."""
        build = lambda: event_message(event, task, datetime.now(timezone.utc))  # noqa: E731
        return self._run(EVENT_SECONDS).send([event.kind], build)

    def watch(self, wanted: Wanted) -> list[Outcome]:
        """A run of the monitor: what the command line does."""
        return self._run(RUN_SECONDS).watch(wanted)

    def _run(self, seconds: float) -> Run:
        return Run(self.settings, seconds, self.preview if self.dry_run else None)


# ---- Command line ----------------------------------------------------------------------------------------------------


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slack_notifier.py",
        usage="%(prog)s [--failed-only | --stuck-only | --test-creation | --test-start] [options]",
        description="Report failed and stuck tasks to Slack.",
        epilog="Exit codes: 0 delivered or nothing to report, 1 something could not be read or delivered, "
        "2 wrong usage or setting. Settings: see .env.example; a .env file is read, the real environment wins.",
        add_help=False,
        allow_abbrev=False,
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
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without emoji must not cost the preview.
        sys.stdout.reconfigure(errors="replace")
    arguments = parser.parse_args(argv)
    if arguments.json and not arguments.dry_run:
        parser.error("--json goes with --dry-run")
    if arguments.webhook_url is not None and not arguments.webhook_url.strip():
        # Not the webhooks of the settings instead: an unset variable of a script must not reach another channel.
        parser.error("--webhook-url is empty")
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
    settings = Settings.from_environment(webhook_url=arguments.webhook_url)
    _set_up_logging(settings.debug)
    if not settings.database_url and not (arguments.test_creation or arguments.test_start):
        raise SettingError("DATABASE_URL environment variable not set")
    notifier = SlackNotifier(settings=settings, dry_run=arguments.dry_run)
    if not notifier.enabled and not notifier.dry_run:
        raise SettingError("no webhook to send to: set SLACK_WEBHOOK, or use --webhook-url or --dry-run")
    if arguments.json:
        notifier.preview = preview_as_json
    return notifier


def _load_env_file() -> None:
    """The first .env in this folder, above it, or beside this file; what is set already stays."""
    path = _found_above(os.getcwd()) or os.path.join(os.path.dirname(os.path.abspath(__file__)), ".env")
    if os.path.isfile(path):
        import dotenv

        try:
            # Without interpolation: a password may hold ${, and so does a template.
            dotenv.load_dotenv(path, interpolate=False)
        except (OSError, ValueError) as error:
            raise SettingError(f"{path} cannot be read: {type(error).__name__}") from None


def _found_above(folder: str) -> str | None:
    path, parent = os.path.join(folder, ".env"), os.path.dirname(folder)
    if os.path.isfile(path):
        return path
    return _found_above(parent) if parent != folder else None


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
    outcomes = notifier.watch(wanted)
    if any(outcome.error for outcome in outcomes):
        return 1
    if not any(outcome.total for outcome in outcomes):
        logger.info("No %s tasks to report", " or ".join(alert.kind for alert, _ in wanted))
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
