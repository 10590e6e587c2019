#!/usr/bin/env python3
# /// script
# requires-python = ">=3.9"
# dependencies = [
#     "requests>=2.32.4,<3",
#     "psycopg2-binary>=2.9.11,<3",
#     "python-dotenv>=1.0,<2",
# ]
# ///
"""Reports to Slack which ProtoReel tasks failed, are stuck, were created or were started.

Run it:      python slack_notifier.py --timeout 30
Import it:   SlackNotifier().send_failed_tasks_notification()

Settings come from the environment: DATABASE_URL and SLACK_WEBHOOK are required, .env.example lists all. Only the
command line reads a .env file; importing this module has no effect.

Exit codes: 0 delivered or nothing to report, 1 something could not be read or delivered, 2 wrong usage or setting.
"""

# Rows become a message, a message is delivered. The parts of this file, in the order in which data flows:
#   Deadlines       ends whatever hangs: database, Slack, mail server, name server
#   Settings        reads the environment into one frozen value, which everything else is given
#   Text            makes values of tasks fit to be shown: cut, escaped, in UTC
#   Secrets         masks credentials in them
#   Messages        builds Slack's blocks and text from rows; pure, so that --dry-run and tests see the same
#   SQL             decides in the database what is news: each statement with its purpose above it
#   Database        holds a connection, its transactions and the claims of the ledger
#   Delivery        posts one message, or mails it; knows what each answer of Slack's means
#   Run             claim, message, delivery, commit: begin here, at Run._report_first
#   SlackNotifier   the public API; then --check and the command line

from __future__ import annotations

# The whole socket module takes longer to load than a quarter of this file.
import _socket
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
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from copy import copy
from datetime import datetime, time, timedelta, timezone, tzinfo
from functools import partial
from itertools import accumulate
from string import Template
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, TypeVar

if __name__ == "__main__":
    # Ctrl-C while the rest loads prints no traceback.
    sys.excepthook = lambda kind, *error: None if kind is KeyboardInterrupt else sys.__excepthook__(kind, *error)
    # A run says in one line what is missing, before it fails half-way. A program that imports this gets Python's error.
    if sys.version_info < (3, 9):  # noqa: UP036
        sys.exit(f"slack_notifier.py needs Python 3.9 or newer, this is {sys.version.split()[0]}: {sys.executable}")
    for package in ("psycopg2", "requests", "dotenv"):
        if not any(finder.find_spec(package, None) for finder in sys.meta_path):
            folder = os.path.dirname(os.path.abspath(__file__))
            sys.exit(f"Package {package} is missing: {sys.executable} -m pip install -r {folder}/requirements.txt")

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2.extensions import AsIs

__version__ = "3.0.0"
__all__ = ["Settings", "SlackNotifier"]

logger = logging.getLogger(__name__)

SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
NO_WEBHOOK = "SLACK_WEBHOOK environment variable not set"

FAILED_WINDOW_MINUTES = 30
# A change that becomes visible this long after its updated_at is reported all the same.
LATE_MINUTES = 120
DEFAULT_TIMEOUT_MINUTES = 30
MAX_TIMEOUT_MINUTES = 366 * 24 * 60
MUTE_HOURS = 2
MAX_MUTE_HOURS = 31 * 24

# The longest that a call takes, whatever database, Slack and mail server do, with some leeway for its way back.
RUN_SECONDS = 90
CALL_SECONDS = 10
EVENT_SECONDS = 5
LEEWAY_SECONDS = 0.5
# A run keeps this much of its time for saying that it cannot read the tasks, and for the heartbeat.
CANNOT_READ_SECONDS = 25
HEARTBEAT_SECONDS = 5
# That it cannot read them is said once an hour, by runs that do not start to the second.
SAY_AGAIN = timedelta(minutes=57)
# The longest that --check waits for the answer of a destination; for how many it tries what a run would report.
PROBE_SECONDS = 10
CHECKED_DESTINATIONS = 10
# The longest that one message takes, with retries and the e-mail in its place: a claim is held for so long.
DELIVERY_SECONDS = 15
EMAIL_SECONDS = 5
# With less time left, no post is started: Slack could accept it after we gave up, and the next run would repeat it.
POST_SECONDS = 3
# The same for a claim that overran its own time, and for an event, which is never repeated.
LEAST_POST_SECONDS = 1
COMMIT_SECONDS = 1
LEAST_SHARE_SECONDS = POST_SECONDS + COMMIT_SECONDS + 1
WEBHOOK_CONNECT_SECONDS = 5
WEBHOOK_READ_SECONDS = 10
WEBHOOK_PAUSES_SECONDS = (1, 2, 4, 8)
# Discord takes no longer text than this.
OTHERS_TEXT_CHARACTERS = 2000

OLDEST_SERVER = 140000
DATABASE_CONNECT_SECONDS = 5
DATABASE_STATEMENT_SECONDS = 30
DATABASE_PAUSES_SECONDS = (1, 3)
# An alert goes out without its optional details where they take longer than this.
DETAILS_SECONDS = 3
LEAST_DETAILS_SECONDS = 0.2
# How long a run, and a worker's call, waits for another run that is reporting to the same destination.
LOCK_WAIT_SECONDS = 10
CALL_LOCK_WAIT_SECONDS = 0.5
LOCK_PAUSE_SECONDS = 0.05
# How long a call waits for a lock on the ledger before it knows whether it is rate-limited.
PACE_MILLISECONDS = 150
# The server drops a claim whose client has been silent for this long.
CLAIM_HOLD_SECONDS = DELIVERY_SECONDS + LEAST_SHARE_SECONDS
# The most tasks that one claim takes; and the most where that takes too long.
CLAIM_TASKS = 200_000
CLAIM_FEW_TASKS = 2_000
# In a storm the worker's calls send a destination this many messages at once, then one in this many seconds.
STORM_BURST = 3
STORM_SECONDS = 60
MAX_CONNECTIONS = 4
DESTINATIONS_FOR_A_CONNECTION = 4
# The share of failed tasks makes an alert critical only where at least this many tasks ended.
CRITICAL_ENDED_TASKS = 5

GOOD, DOUBTFUL, BAD = "✓", "!", "✗"
NEVER = float("inf")


class Finding(NamedTuple):
    """The state of one thing that a run relies on: a mark, what was found, what to do about it."""

    mark: str
    what: str
    remedy: str = ""


class NotifierError(Exception):
    """Base of our errors: a reason and perhaps a remedy, without secrets. `details` replace the defaults of a class."""

    separator = "; "

    def __init__(self, reason: str, remedy: str = "", **details: Any) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy
        vars(self).update(details)

    def __str__(self) -> str:
        return self.separator.join(filter(None, [self.reason, self.remedy]))


class SettingError(NotifierError, ValueError):
    """Raised if a setting or an argument cannot be used; the text names it and what it accepts."""


class DatabaseError(NotifierError):
    """Raised if the database fails. `lost`: the connection broke. `too_slow`: a statement ran out of time. `busy`: the
    run that holds the destination, or the next, does what is left of a call. `cannot_read`: the tasks were not read."""

    lost, too_slow, busy, cannot_read = False, False, False, True


class DeliveryError(NotifierError):
    """Raised if a message was not accepted. `word`: Slack's name of the error. `retry_after`: seconds after which it
    may heal, perhaps NEVER. For `layout_refused` the text alone may be accepted, for `length_refused` a shorter one.
    `may_have_arrived`: only the answer is missing. `late`: it did not end in its time."""

    separator = ": "
    word = ""
    retry_after = NEVER
    layout_refused, length_refused, may_have_arrived, late = False, False, False, False

    def __str__(self) -> str:
        return super().__str__() + ("; the message may have arrived" if self.may_have_arrived else "")


# ---- Deadlines -------------------------------------------------------------------------------------------------------


class Deadline(NamedTuple):
    """The moment, on this machine's monotonic clock, by which something has to end."""

    moment: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(monotonic() + seconds)

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.moment - monotonic())

    def capped(self, seconds: float) -> Deadline:
        """Returns the deadline in `seconds` from now, but not later than this one."""
        return Deadline(min(self.moment, monotonic() + seconds))

    def before(self, seconds: float) -> Deadline:
        """Returns a deadline earlier by `seconds`, which are for something else."""
        return Deadline(self.moment - seconds)


class Sockets:
    """Sockets of an operation that we may have to abort: cut() ends every wait on them. `ready`: one can send."""

    def __init__(self) -> None:
        self.is_cut, self.ready = False, False
        self._sockets: list[_socket.socket] = []
        self._lock = threading.Lock()

    def add(self, owner: Any) -> None:
        """Watches a socket by a descriptor of our own, as its owner may close its own; closes it if there is none."""
        try:
            watched = _socket.socket(fileno=os.dup(owner.fileno()))
        except OSError as error:
            owner.close()
            raise DeliveryError(f"no connection ({error.strerror})", retry_after=0) from None
        with self._lock:
            self._sockets.append(watched)
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        """Shuts all of them down, and those that are added later."""
        with self._lock:
            self.is_cut = True
            for watched in self._sockets:
                with suppress(OSError):
                    watched.shutdown(_socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()


Result = TypeVar("Result")
# The threads whose requests are ours.
_delivering: set[int] = set()


def _has_started(thread: threading.Thread) -> bool:
    """Starts the thread; False where the system has none left."""
    try:
        thread.start()
        return True
    except (RuntimeError, MemoryError) as error:
        if _comes_from_a_signal_handler(error):
            raise
        return False


def _run_within(
    seconds: float, action: Callable[[Sockets], Result], explain: Callable[[Any, Sockets], Exception] | None = None
) -> Result:
    """Runs `action` in a thread and returns its result or raises its error, explained; DeliveryError if it is too late.
    In a thread, because a DNS lookup cannot be given a timeout. The sockets that the action has added are then shut
    down, and its late result is discarded; likewise when a signal handler of the program raises an error."""
    if seconds <= 0:
        raise DeliveryError("no time left for it in this run", late=True)
    sockets = Sockets()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        _delivering.add(threading.get_ident())
        try:
            results.append(action(sockets))
        except BaseException as error:
            is_foreign = isinstance(error, Exception) and not isinstance(error, NotifierError)
            errors.append(explain(error, sockets) if explain and is_foreign else error)
        _delivering.discard(threading.get_ident())
        sockets.close()

    thread = threading.Thread(target=run, name="slack-notifier-delivery", daemon=True)
    try:
        if _has_started(thread):
            thread.join(seconds)
        else:
            # The time-out of each socket has to do.
            run()
    finally:
        is_over = bool(results or errors)
        sockets.cut()
    if not is_over:
        raise DeliveryError(f"no complete answer within {seconds:.0f} s", may_have_arrived=sockets.ready, late=True)
    if errors:
        raise errors[0]
    return results[0]


# ---- Settings --------------------------------------------------------------------------------------------------------

Environment = Mapping[str, str]
TEMPLATE_PLACEHOLDERS = ("id", "status", "created", "error", "seen", "logs", "user", "age")
# NUL and halves of characters, which neither PostgreSQL nor UTF-8 can hold.
_NO_TEXT = "[\x00\ud800-\udfff]"
# Not every mail server takes an address, or a login, that is not ASCII.
_ADDRESS = r"(?a)[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@[\w-]+(?:\.[\w-]+)*"
# A URL from its "s" on. Loading urllib.parse would take longer than reading all the settings.
_WEB_ADDRESS = (
    r"(?i:s?://(?:[^\s/?#\[\]\\]*@)?(?P<host>(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?|\[[0-9a-f:.]+(?:%25\w+)?\])"
    r"(?::(?!0+\b)(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    r"(?:[/?#]\S*)?)"
)
_HTTP_URL = f"(?i:http){_WEB_ADDRESS}"
_HEARTBEAT = (_HTTP_URL, "a URL: https://hc-ping.com/…")
_MENTION = (r"<(?:!here|!channel|!subteam\^[A-Z0-9]+|@[UW][A-Z0-9]+)>", "<!here>, <!channel>, <!subteam^S…> or <@U…>")
# The name stands in Slack's headers, which know no escaping.
_ENVIRONMENT = ("[^<>&]{1,40}", "one line of at most 40 visible characters, none of < > &: staging")


class Destination:
    """A webhook; with a user's API key, for the tasks of that user only. As text: its name in the log."""

    def __init__(self, webhook: str, user: str = "", name: str = "") -> None:
        self.webhook = webhook
        self.user = user
        # The ledger names it so: neither the URL, which is a secret, nor the key reaches the database.
        self.fingerprint = hashlib.sha256(f"{webhook}\n{user}".encode()).hexdigest()[:16]
        self._name = name

    # The name does not count: several variables may hold the same URL.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Destination) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __str__(self) -> str:
        return f"{self._name or f'the channel of user {mask_key(self.user)}'} ({self.fingerprint[:6]})"


class QuietHours(NamedTuple):
    """Hours on the wall clock, from `start` until before `end`; over midnight if `end` is the earlier one."""

    start: time
    end: time
    zone: tzinfo

    def __contains__(self, moment: datetime) -> bool:  # type: ignore[override]
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


class Limits(NamedTuple):
    """The minutes without a sign of life after which a task is stuck: in the queue, and in progress."""

    queued: float
    in_progress: float


class Settings(NamedTuple):
    """Everything that can be configured, with its default."""

    database_url: str = ""
    webhooks: Mapping[str, Sequence[str]] = MappingProxyType({})
    user_webhooks: Mapping[str, str] = MappingProxyType({})
    notify_on_task_creation: bool = True
    notify_on_task_start: bool = True
    notify_on_recovery: bool = True
    remind_minutes: int = 240
    grace_minutes: int = 0
    queued_minutes: int = 0
    in_progress_minutes: int = 0
    critical_count: int = 10
    critical_share: int = 50
    critical_mention: str = ""
    environment: str = ""
    quiet_hours: QuietHours | None = None
    task_template: str = ""
    email: Email | None = None
    heartbeat_url: str = ""
    debug: bool = False
    webhook_name: str = "SLACK_WEBHOOK"

    @classmethod
    def from_environment(cls, environ: Environment = os.environ, webhook_url: str | None = None) -> Settings:
        """Reads the settings as read() does; raises SettingError, a ValueError, that names every wrong variable."""
        settings, errors = cls.read(environ, webhook_url)
        if errors:
            raise SettingError("; ".join(errors))
        return settings

    @classmethod
    def read(cls, environ: Environment = os.environ, webhook_url: str | None = None) -> tuple[Settings, list[str]]:
        """Returns the settings; a line for each wrong variable, which is unset. `webhook_url` replaces all webhooks."""
        env = set_variables(environ)
        if webhook_url:
            env = {name: text for name, text in env.items() if "webhooks" not in VARIABLES[name].field}
            env["webhook_url"] = webhook_url
        fields: dict[str, Any] = {}
        errors = []
        for name, text in env.items():
            variable = VARIABLES["SLACK_WEBHOOK" if name == "webhook_url" else name]
            try:
                if not isinstance(text, str) or re.search(_NO_TEXT, text):
                    raise SettingError(f"{name} must be UTF-8 text")
                value = variable.read(env, name)
                if variable.field == "webhooks":
                    value = {**fields.get("webhooks", {}), **value}
                fields[variable.field] = value
            except SettingError as error:
                # Of variables that are read together, the error begins with the one that is wrong.
                wrong = str(error).partition(" ")[0]
                value = variables_in_words({wrong: env.get(wrong, "")}).partition(": ")[2]
                errors.append(f"{error}, not '{value}'" if value else str(error))
        return cls(**fields), list(dict.fromkeys(errors))

    def destinations(self, kind: str) -> list[Destination]:
        """Returns where all messages of this kind go: "failed", "stuck", "created", "started", or "" for any other."""
        variable, webhooks = self.webhook_name, self.webhooks.get("", ())
        if kind and self.webhooks.get(kind):
            variable, webhooks = f"SLACK_WEBHOOK_{kind.upper()}", self.webhooks[kind]
        found = []
        for number, webhook in enumerate(webhooks, 1):
            name = f"{variable}, URL {number}" if len(webhooks) > 1 else variable
            found.append(Destination(webhook, name=name))
        return list(dict.fromkeys(found))

    def limits(self, timeout: float) -> Limits:
        """Returns the limits, the timeout (minutes) where there is none; SettingError if that is needed and wrong."""
        return Limits(self.queued_minutes or _minutes(timeout), self.in_progress_minutes or _minutes(timeout))

    def user_destinations(self, users: Iterable[str] | None = None) -> list[Destination]:
        """Returns the channels of these users, or of all, for their failed and stuck tasks; not every user has one."""
        users = self.user_webhooks if users is None else [user for user in users if user in self.user_webhooks]
        return [Destination(self.user_webhooks[user], user) for user in users]

    def __repr__(self) -> str:
        # The values hold passwords and webhooks, and a repr ends up in logs and tracebacks.
        return "Settings(…)"


def set_variables(environ: Environment) -> dict[str, str]:
    """Returns the VARIABLES that are neither unset nor empty."""
    # Some tools that read a .env file leave the quotes around a value.
    env = {name: re.sub(r"(?s)^(['\"])(.*)\1$", r"\2", environ.get(name, "").strip()).strip() for name in VARIABLES}
    return {name: text for name, text in env.items() if text}


def _flag(env: Environment, name: str) -> bool:
    word = env[name].lower()
    if word not in ("true", "1", "yes", "on", "false", "0", "no", "off"):
        rule = f"{name} must be true or false (or 1/0, yes/no, on/off)"
        if name != "DEBUG":
            raise SettingError(rule)
        # Other programs that share the environment use this name as well.
        logger.warning("%s: it is off", rule)
    return word in ("true", "1", "yes", "on")


def _whole_number(env: Environment, name: str, least: int = 0, most: int = 999_999) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", env[name]) or not least <= int(env[name]) <= most:
        raise SettingError(f"{name} must be a whole number from {least} to {most}")
    return int(env[name])


def _database_url(env: Environment, name: str) -> str:
    """Returns the URL as libpq reads it, without SQLAlchemy's driver suffix (postgresql+psycopg2://)."""
    url, is_postgres = re.subn(r"\A(postgres(?:ql)?)(?:\+\w+)?://", r"\1://", env[name])
    if not is_postgres:
        raise SettingError("DATABASE_URL must be a PostgreSQL URL: postgresql://user:password@host/database")
    invalid = SettingError(
        "DATABASE_URL is not a valid PostgreSQL URL: percent-encode special characters in it (@ as %40, / as %2F, "
        "% as %25), and use only parameters that libpq knows (sslmode, not ssl)"
    )
    try:
        parts = psycopg2.extensions.parse_dsn(url)
    except (psycopg2.Error, UnicodeDecodeError):
        # The driver's text quotes the part that it cannot read, which may be of the password.
        raise invalid from None
    # An unencoded @ or / makes a host, a port or a database of the password's pieces, a forgotten host a port of all.
    port = re.fullmatch(r"\d{0,5}(?:,\d{0,5})*", parts.get("port", ""))
    if not port or re.search("://(?:[^/@]*@[^/?]*|[^/?]*/[^?]*)@", url):
        raise invalid
    return url


def _webhooks(env: Environment, name: str, kind: str = "") -> dict[str, list[str]]:
    """Returns the URLs by the kind of message that goes there."""
    urls = [url.strip() for url in env[name].split(",") if url.strip()]
    return {kind: [_incoming_webhook(name, url) for url in urls or [""]]}


def _incoming_webhook(name: str, url: str) -> str:
    is_slack = _is_slack(url)
    # Over http:// whoever listens would learn the webhook.
    if not re.fullmatch(_HTTP_URL, url) or "," in url or (is_slack and url.lower().startswith("http:")):
        raise SettingError(f"{name} must be an incoming webhook: https://hooks.slack.com/services/…")
    if is_slack and re.match("[^/]+//[^/?#]+/(?:triggers|workflows)/", url):
        remedy = "create an incoming webhook, https://hooks.slack.com/services/…"
        raise SettingError(f"{name} is a trigger of Workflow Builder, which cannot show these messages: {remedy}")
    return url


def _user_webhooks(env: Environment, name: str) -> dict[str, str]:
    try:
        # To open a pipe that nobody writes to takes for ever.
        with open(env[name] if os.path.isfile(env[name]) else "", encoding="utf-8-sig") as file:
            users = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        place = f", line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise SettingError(f"{name} must name a readable JSON file ({type(error).__name__}{place})") from None
    texts: list[Any] = [*users, *users.values()] if isinstance(users, dict) else [None]
    if not all(isinstance(text, str) for text in texts) or "" in users or re.search(_NO_TEXT, "".join(texts)):
        raise SettingError(f"{name} must hold a JSON object: user API key → webhook URL")
    return {user: _incoming_webhook(f"{name}: a URL", url.strip()) for user, url in users.items()}


def _word(env: Environment, name: str, rule: tuple[str, str]) -> str:
    """Returns the value if it has the pattern of the rule, which also has it in words."""
    if not re.fullmatch(rule[0], env[name]) or not env[name].isprintable():
        raise SettingError(f"{name} must be {rule[1]}")
    return env[name]


def _quiet_hours(env: Environment, _: str) -> QuietHours | None:
    zone: tzinfo = timezone.utc
    if env.get("SLACK_TIMEZONE", "UTC") != "UTC":
        from zoneinfo import ZoneInfo

        try:
            zone = ZoneInfo(env["SLACK_TIMEZONE"])
        except (OSError, ValueError, KeyError):
            rule = "an IANA name that this machine knows, such as Europe/Berlin (is tzdata installed?)"
            raise SettingError(f"SLACK_TIMEZONE must be {rule}") from None
    if "SLACK_QUIET_HOURS" not in env:
        return None
    moment = r"([01]?[0-9]|2[0-3]):([0-5][0-9])"
    found = re.fullmatch(rf"{moment}\s*[-–]\s*{moment}", env["SLACK_QUIET_HOURS"])
    hour, minute, end_hour, end_minute = map(int, found.groups() if found else "0000")
    if (hour, minute) == (end_hour, end_minute):
        raise SettingError("SLACK_QUIET_HOURS must be two different times of a day: 22:00-07:00")
    return QuietHours(time(hour, minute), time(end_hour, end_minute), zone)


def _task_template(env: Environment, name: str) -> str:
    template = env[name].replace("\\n", "\n")
    with suppress(KeyError, ValueError):
        # No setting has a NUL of its own.
        if "\0" in Template(template).substitute(dict.fromkeys(TEMPLATE_PLACEHOLDERS, "\0")):
            return template
    names = " ".join(f"${placeholder}" for placeholder in TEMPLATE_PLACEHOLDERS)
    raise SettingError(f"{name} must hold at least one of {names} and no other; a dollar sign itself is $$")


def _email(env: Environment, _: str) -> Email | None:
    url = env.get("SMTP_URL", "")
    to = [address.strip() for address in env.get("ALERT_EMAIL_TO", "").split(",") if address.strip()]
    sender = env.get("ALERT_EMAIL_FROM") or (to[0] if to else "")
    if not url and not to:
        return None
    if not re.fullmatch(f"(?i:smtp){_WEB_ADDRESS}", url) or re.search(r"(?i)[^\x00-\x7f]|%[89a-f][0-9a-f]", url):
        raise SettingError("SMTP_URL must be smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host")
    if not to or not all(re.fullmatch(_ADDRESS, address) for address in to):
        raise SettingError("ALERT_EMAIL_TO must be one address or several, comma-separated: ops@example.com")
    if not re.fullmatch(_ADDRESS, sender):
        raise SettingError("ALERT_EMAIL_FROM must be one address: protoreel@example.com")
    return Email(url, to, sender)


def _is_slack(url: str) -> bool:
    address = re.fullmatch(_HTTP_URL, url)
    return address is not None and address["host"].lower() in SLACK_HOSTS


class Variable(NamedTuple):
    """The field of Settings that a variable fills, alone or with others, and its reader of all that is set."""

    field: str
    read: Callable[[Environment, str], Any]
    secret: bool = False


VARIABLES: Mapping[str, Variable] = {
    "DATABASE_URL": Variable("database_url", _database_url, secret=True),
    "SLACK_WEBHOOK": Variable("webhooks", _webhooks, secret=True),
    "SLACK_WEBHOOK_FAILED": Variable("webhooks", partial(_webhooks, kind="failed"), secret=True),
    "SLACK_WEBHOOK_STUCK": Variable("webhooks", partial(_webhooks, kind="stuck"), secret=True),
    "SLACK_WEBHOOK_CREATED": Variable("webhooks", partial(_webhooks, kind="created"), secret=True),
    "SLACK_WEBHOOK_STARTED": Variable("webhooks", partial(_webhooks, kind="started"), secret=True),
    "SLACK_USER_WEBHOOKS_FILE": Variable("user_webhooks", _user_webhooks),
    "SLACK_NOTIFY_ON_TASK_CREATION": Variable("notify_on_task_creation", _flag),
    "SLACK_NOTIFY_ON_TASK_START": Variable("notify_on_task_start", _flag),
    "SLACK_NOTIFY_ON_RECOVERY": Variable("notify_on_recovery", _flag),
    "SLACK_REMIND_MINUTES": Variable("remind_minutes", _whole_number),
    "SLACK_GRACE_MINUTES": Variable("grace_minutes", _whole_number),
    "SLACK_QUEUED_MINUTES": Variable("queued_minutes", partial(_whole_number, most=MAX_TIMEOUT_MINUTES)),
    "SLACK_IN_PROGRESS_MINUTES": Variable("in_progress_minutes", partial(_whole_number, most=MAX_TIMEOUT_MINUTES)),
    "SLACK_CRITICAL_COUNT": Variable("critical_count", partial(_whole_number, least=1)),
    "SLACK_CRITICAL_SHARE": Variable("critical_share", partial(_whole_number, most=100)),
    "SLACK_CRITICAL_MENTION": Variable("critical_mention", partial(_word, rule=_MENTION)),
    "SLACK_ENVIRONMENT": Variable("environment", partial(_word, rule=_ENVIRONMENT)),
    "SLACK_QUIET_HOURS": Variable("quiet_hours", _quiet_hours),
    "SLACK_TIMEZONE": Variable("quiet_hours", _quiet_hours),
    "SLACK_TASK_TEMPLATE": Variable("task_template", _task_template),
    "SMTP_URL": Variable("email", _email, secret=True),
    "ALERT_EMAIL_TO": Variable("email", _email),
    "ALERT_EMAIL_FROM": Variable("email", _email),
    "HEARTBEAT_URL": Variable("heartbeat_url", partial(_word, rule=_HEARTBEAT), secret=True),
    "DEBUG": Variable("debug", _flag),
}


def variables_in_words(environ: Environment) -> str:
    """Lists for a log the variables that are set, with their values but those of secrets, and what may be one in the
    wrong place: a URL, or a JSON file in place of its path."""
    env = set_variables(environ).items()
    secret = {name for name, text in env if VARIABLES[name].secret or re.match(r"[{\[]|\w+://", text)}
    return "; ".join(name if name in secret else f"{name}: {redact(one_line(text))}" for name, text in env)


def _minutes(value: float) -> float:
    """Returns the value if it can be a timeout, else raises SettingError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_TIMEOUT_MINUTES:
        return value
    raise SettingError(f"the timeout must be a positive number of minutes, at most {MAX_TIMEOUT_MINUTES}")


# ---- Text ------------------------------------------------------------------------------------------------------------

ERROR_CHARACTERS = 200
# A longer link could not share a section with the rest of its task (Slack: 3,000 characters a section).
LINK_CHARACTERS = 1200
LABEL_CHARACTERS = 64
# Errors of megabytes exist, and nobody reads further than this in a line.
LINE_CHARACTERS = 2000
# Only the ends of a longer error are read. An indented joint makes the rest of a cut stack look like a stack.
SHOWN_CHARACTERS = 20_000
SHOWN_END = 9990
SHOWN_JOINT = "\n  [cut]"
# How much of the message and of the exception is read for a cause, and the share of their ends.
CAUSE_READ = (1000, 0.35, SHOWN_JOINT)
# Characters that reorder, hide or break text. The parts of emoji sequences, such as U+200D, go only between ASCII ones.
_INVISIBLE = (
    "\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|(?:\x1b|\\\\(?:x1b|u001b|033))\\[[0-9;?]*[a-zA-Z]|(?<=[ -~])"
    "[\u034f\u200c\u200d\ufe00-\ufe0f]+(?=[ -~])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)

# What differs between errors of one cause: quoted values, but a status with its reason; paths; numbers, hex runs, times
# that no letter precedes, but the first code. PostgreSQL reads it too; captures and assertions take it thrice as long.
VARYING_WORDS = r"""(?:^|[\s=,])(?:'[^'0-9\n][^'\n]*'|"[^"0-9\n][^"\n]*"|`[^`\n]*`|\S*/\S*|[a-zA-Z]:\\\S*)"""
VARYING_NUMBERS = r"(?:^|[^0-9A-Za-z])[a-fA-FT:-]*[0-9][0-9a-fA-FTx:-]*"
CODE = "(?:HTTP|tatus|code|rrno|rror|ignal|ited|rned)[^0-9A-Za-z/]{1,2}[0-9]+|[45][0-9][0-9][^0-9A-Za-z]{1,2}[A-Z]"

# Before a line of an error stands \v; \t if it is indented; \f if it overwrites what precedes it. A stack ends at \v.
TRACEBACK = "Traceback (most recent call last)"
_STACK = rf"""(?:[{{,] ?"\w+": ?)?["'( ]{{0,3}}(?:Exception Group )?{re.escape(TRACEBACK)}(?:[^\v]+|\v>)*"""
# Not shown: other languages' frames; what is overwritten; lines without words, of progress, of a log; banners, headers.
_SILENT = (
    r"\t(?:at [^\v\t]*[(:]|File \"|from [^\v\t]*:\d+:in |\.\.\. \d+ )[^\v\t]*|(?<=[\v\t])(?:[^\v\t\f]*\f)+|"
    r"[\v\t](?:[^\w\v\t]*(?=[\v\t]|$)|[,\])}]|[^\w\v\t]{3,}\d+[^\w\v\t]{3,}(?=[\v\t])|[^\v\t]*(?:\d%\||\dit/s|--:--)|"
    r"frame= *\d|\S+:\d+: \w*Warning: |warnings\.warn\(|\S*RemoteTraceback:|(?:\S+ ){0,5}\[?(?:DEBUG|INFO)\b)[^\v\t]*|"
    r"\bff(?:mpeg|probe) version \S[^\v\t]*|(?i:\bheaders?[\"']?[:=] ?(?:\w+\()?\{[^{}]*\}\)?,? ?)"
)
# A line break that is written out, as in JSON or a quoted string, before an indented line.
_WRITTEN_BREAK = r"(?<!\\)(\\{1,8})n(?:  |\1t)"
_COMPLAINT = r"(?i)error|exce[ep]|fail|n.t |no |out of|me.?out|un[aeks]|inval|denied|refus|miss|requi|kill|status|title"


def _string(value: object) -> str:
    """Returns str(value) without the whitespace around it; '' for None and for a value that refuses str()."""
    # Python refuses integers of more than 4,300 digits, and a class may raise anything.
    with suppress(Exception):
        return "" if value is None else str(value).strip()
    return ""


def one_line(value: object) -> str:
    """Returns a value from outside as one line of visible text; backticks, which end a code span, become quotes."""
    text = _string(value)
    if len(text) > LINE_CHARACTERS:
        # A word that is cut goes: the beginning of a token has no shape by which to mask it.
        text = re.sub(r"\s\S{0,200}\Z", "", text[:LINE_CHARACTERS])
    return re.sub(_INVISIBLE, "", " ".join(text.split())).replace("`", "'").strip()


def shorten(text: str, characters: int, end: float = 0, joint: str = "...") -> str:
    """Returns the beginning of a text that is too long; with a share for its `end`, both without what is between."""
    head = characters - int(characters * end)
    return text if len(text) <= characters else text[:head].rstrip() + joint + text[head - characters or len(text) :]


def escape(text: str) -> str:
    """Escapes Slack's three entities, no others: https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def label(value: object) -> str:
    """Makes a short value of a task, such as its id, visible, then cuts and escapes it; '' where it is absent."""
    return escape(shorten(one_line(value), LABEL_CHARACTERS))


def task_text(value: object, characters: int = LABEL_CHARACTERS) -> str:
    """Makes free text of a task visible, then masks, cuts and escapes it; '' where it is absent."""
    return escape(shorten(redact(one_line(value)), characters))


def error_line(error: object, characters: int = ERROR_CHARACTERS) -> str:
    """Returns one line that says what went wrong: what stands before a stack and the exception, each said once."""
    return _told(_lines(_string(error)), characters)


def cause_text(error: object) -> str:
    """Returns the line with "…" for what differs. It reads no more than CAUSE does, so it is true of a whole group."""
    message, *stacks = _string(error).split(TRACEBACK)
    read = shorten(message, *CAUSE_READ)
    for stack in stacks[-1:]:
        lines = stack.replace("\n ", "\r").split("\n")
        raised = f"\n{lines[1]}" if "".join(lines[1:2]) else stack
        last = "" if lines[-1] in raised else f"\n{lines[-1]}"
        read += TRACEBACK + "".join(shorten(part.replace("\r", "\n "), *CAUSE_READ) for part in (raised, last))
    read = re.sub("([\"']:) ", r"\1", read)  # What a dictionary says is no quoted value.
    code = (re.findall(CODE, read) or ["\0"])[0]
    # Masked first, because a secret without its digits has no shape by which to know it.
    varying = rf".?{re.escape(code)}(?!\d)|(?=([^\w/]?))(?:{VARYING_WORDS}|{VARYING_NUMBERS})"
    return _told(re.sub(varying, lambda m: m[0] if m[1] is None else f"{m[1]}…", _lines(read)), 120)


def _lines(text: str) -> str:
    """Returns the lines of a text after their marks, masked as if they were one, without those that are not shown."""
    text = shorten(text, SHOWN_CHARACTERS, 0.5, SHOWN_JOINT).replace("`", "'")
    # The frames of a stack but its last: they are not shown, so nothing else need read them, but the ends of a key.
    text = re.sub(rf'(?<={re.escape(TRACEBACK)}:\n)(?:(?:  File "|    )(?![^\n]*-----)[^\n]*\n)+(?=  File ")', "", text)
    # The sides of boxes and exception groups. Then line breaks that are written out: an indented line follows some.
    text = re.sub("(?m)^[ \t]*[|+] ?|[\u2500-\u257f]+", "", re.sub(_INVISIBLE, "", text))
    found, letters = re.search(_WRITTEN_BREAK, text), {"n": "\n", "r": " ", "t": " "}
    while found:
        text = text[: found.start()] + re.sub(r'(?<!\\)"(?=, ?"|\}|\s*$)', "\n", text[found.start() :], count=1)
        text = re.sub(rf"(?<!\\){re.escape(found[1])}([nrt\"'])", lambda m: letters.get(m[1], m[1]), text)
        found = re.search(_WRITTEN_BREAK, text)
    # A log puts the same before each line of a stack, but for its digits.
    stack = re.search(rf"(?m)^(.{{1,99}}?){re.escape(TRACEBACK)}.*\n", text)
    if stack:
        before = re.sub(r"\d+", r"\\d+", re.escape(stack[1]))
        text = re.sub(f"(?m)^{before}", "", text) if re.match(rf"{before}\s+File ", text[stack.end() :]) else text
    marked = ""
    for line in filter(str.strip, text.split("\n")):
        marked += "\v\t"[line[0] in " \t"] + "\f".join(" ".join(part.split()) for part in line.strip().split("\r"))
    # Where a text is cut, the words at the joint go, and a key of which only the end is left.
    pieces = re.split(r"(?:\s\S{0,200})?\t\[cut\]\s?\S*", marked)
    key = r"\A(?:(?!-----BEGIN).)*?-----END [A-Z0-9 ]*KEY[A-Z ]*-----"
    parts = [(re.sub(key, _MASK, piece) if "-----END" in piece else piece).rpartition(TRACEBACK) for piece in pieces]
    # Behind a stack by itself first, as a quote that was opened before it may hide a name.
    masked = "\t".join(redact(head + at + redact(raised)) if at else redact(raised) for head, at, raised in parts)
    shown = re.sub(_SILENT, "", masked)
    return shown if re.search(r"\w", shown) else masked


def _told(lines: str, characters: int) -> str:
    """Returns what the lines say, escaped, in so many characters; of chained exceptions, the last counts."""
    message, *stacks = re.split(_STACK, lines)
    raised = re.split(r"[\v\t](?:During handling of the|The) above exception[^\v\t]*", "\v".join(stacks))[-1]
    said = [re.findall(r"[^\v\t\f]+", part) for part in (message, raised)]
    if sum(map(len, said[0] + said[1])) > characters:
        said = [[*part[:1], *filter(re.compile(_COMPLAINT).search, part[1:-1]), *part[1:][-1:]] for part in said]
    message, raised = (redact(" ".join(" ".join(part).split())) for part in said)
    kind, words = re.findall(r"^((?:[A-Za-z_][\w.<>]*(?=: |:?$))?):? ?(.{0,100})", "".join(said[1][:1]))[0]
    # The words count at the start of the message or behind a colon, so "x" is not found in "Exit x".
    place = f": {message}".find(f": {words}") if words else -1
    if kind.rpartition(".")[2] in message and words in message:
        raised = ""
    elif place >= 0:
        message, raised = f"{message[:place]}{kind}: {max(message[place:], raised[len(kind) + 2 :], key=len)}", ""
    if message and raised:
        message = shorten(message.rstrip(": "), max(characters - len(raised) - 2, characters * 2 // 5), 0.35) + ": "
        return escape(message + shorten(raised, characters - len(message), 0.35))
    end = 0.35 if raised or said[0][1:] or re.search(r"[:\"'()\[\]{}<>]", message) else 0
    return escape(shorten(message or raised or re.split(r"[\v\t\f]", lines)[-1], characters, end)) or "No error message"


def mask_key(key: object) -> str:
    """Returns an API key's first 8 characters and "..."; of one shorter than 12 characters, the first half."""
    text = one_line(key)
    characters = 8 if len(text) >= 12 else len(text) // 2
    return escape(text[:characters]) + "..."


def log_link(uri: object, words: str) -> str:
    """Builds a Slack link, which no URI can end or relabel; '' where the URI is not http(s), long, or has a login."""
    from urllib.parse import quote

    # Slack knows schemes in lower case only.
    text = re.sub(r"(?i)^https?:", lambda scheme: scheme[0].lower(), _string(uri)[: LINK_CHARACTERS + 1])
    # A space or | breaks a link: https://docs.slack.dev/messaging/formatting-message-text#linking-urls
    url = escape(quote(text, safe="%/:=&?~#+!$,;'@()*[]", errors="replace"))
    is_shown = re.match(r"https?://[^/?#@\\\s]+(?:[/?#]|$)", text) and len(url) <= LINK_CHARACTERS
    return f"<{url}|{words}>" if is_shown else ""


def format_time(moment: datetime | None) -> str:
    """Returns 2025-09-01 12:00:00 UTC; a time without a zone is UTC."""
    return f"{_utc(moment):%Y-%m-%d %H:%M:%S} UTC" if isinstance(moment, datetime) else "unknown"


def format_age(moment: datetime | None, now: datetime | None) -> str:
    """Returns how long ago that was, in whole minutes: 42 min, 3 h 5 min, 2 d 4 h; 0 min for what lies ahead."""
    if not isinstance(moment, datetime) or now is None:
        return "unknown"
    minutes = max(0, int((_utc(now) - _utc(moment)).total_seconds() // 60))
    if minutes >= 1440:
        return f"{minutes // 1440} d {minutes // 60 % 24} h"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _utc(moment: datetime) -> datetime:
    # Near the first or the last year that Python knows, another zone has no UTC.
    with suppress(OverflowError):
        moment = moment if moment.tzinfo is None else moment.astimezone(timezone.utc)
    return moment.replace(tzinfo=timezone.utc)


def plural(count: float, noun: str) -> str:
    return f"{count:.10g} {noun}" if count == 1 else f"{count:.10g} {noun}s"


# ---- Secrets ---------------------------------------------------------------------------------------------------------

_MASK = "[masked]"
_MASK_REST = rf"\1{_MASK}"

# Names of secrets hold one of these words. Exceptions, files and counts are named after secrets and are none.
_KEY = (
    r"(?:access|account|api|app|application|auth|aws|azure|client|consumer|decryption|deepgram|eleven(?:labs)?|"
    r"encryption|fal|gemini|google|groq|license|master|mux|openai|pexels|pixabay|private|publish|replicate|runway|sas|"
    r"secret|server|service|shared|signing|speech|ssh|storage|stream|subscription|tts|voice|webhook)"
)
_NAME = (
    r"(?:(?![\w-]*(?:(?-i:Error|Exception|Warning)|[_-](?:file|path|type|url|uri|count|limit))\b)(?=[\w-]*(?:"
    r"passw(?:or)?[dt]|pass(?:phrase|code)|pwd|secret|token(?!s|i)|credential|signature|hmac|authorization|"
    rf"{_KEY}[_-]?key|(?:_(?:auth|cookie|pass|sig)|sess(?:ion)?id|hdn(?:ts|ea))(?![\w-]))|(?-i:(?!\w*(?:CACHE|FOREIGN|"
    rf"OBJECT|PARTITION|PRIMARY|PUBLIC|ROUTING|SORT))[A-Z][A-Z0-9_]*_KEY)(?![\w-]))[\w-]+|{_KEY} key)"
)
# Ordinary text speaks of sessions and of a second pass, so a weak name counts only where it is set to something.
_WEAK_NAME = (
    r"(?:(?:[\w-]*[_-]|(?<=%)(?:25)*(?:3F|26))?(?:pass|pw|sig|auth|session|cookie|streamid)|"
    r"(?:(?<=[?&])|(?<=%)(?:25)*(?:3F|26))[a-z]*key)(?![\w-])"
)
_HINTS = ("pass", "pw", "secret", "token", "key", "credent", "sig", "hmac", "sess", "hdn", "auth", "cook", "streamid")
# A value ends with its quotes, bracket or tag, or before a delimiter. A word for "none" is no value.
_QUOTED = r"(?:(?:\b[bru]{1,2})?(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?))"
_UNQUOTED = r"(?:[^\s\"'`&,;)}\]<>\\]|\\(?![rn]))+"
_VALUE = (
    r"(?:(?<=\)=\()[^)]+|(?!\\?b?[\"']?(?:[\w-]{2,24}\s)?\[masked|"
    r"(?:none|null|nil|true|false|yes|no|on|off|str|string|int|bool|bytes|\d|[*.]{3,})(?![\w-]))"
    r"(?:\[|\{[\"']\w+[\"']:\s?|[A-Za-z_.]{1,30}\((?=[bru]?[\"']))?"
    rf"(?:(?<=input_value=).+?(?=, input_type=|\]|$)|(?<=[>;])[^<&]+(?=<|&lt;)|\\?{_QUOTED}|\([^()]*\)?|"
    rf"{_UNQUOTED}(?:(?:[\"'](?=\w)|[,;&](?![\w.-]*=)){_UNQUOTED})*))"
)
# A secret has a digit, a capital inside or many characters; a small number is none.
_SECRET_LIKE = r"(?-i:(?=[^\s\"'`]*(?:\d|[a-z][A-Z])|[^\s\"'`]{20}))(?=[^\s\"'`]*[a-z]|\d{7})[^\s\"'`]{6}"
_NO_PROSE = (
    r"(?!(?:[a-z]{1,2}|and|are|can|cannot|could|did|does|expected|expired|failed|flag|for|from|has|instead|invalid|may|"
    r"missing|must|not|only|option|required|requires|should|the|this|unknown|value|was|when|with)\b)"
)
# A name is set: "name": value, name=value, name%3Dvalue, <name>value</name>, (name, x)=(value), name="x" value="value".
_SET = (
    r"(?:(?:\\?[\"'`]|%22)\]?\s?:\s?|[\"'`]?\]?\s?(?:=>|:=|==?)\s?|(?:%22)?%(?:25)*3[ad]|[^()]{0,99}\)+=\(|"
    r"(?:\s[^<>]{0,99})?(?:>|&gt;)(?=[^<&]{1,300}(?:<|&lt;)/)|[^\[]{1,300}\[type=\w+, input_value=|"
    r"[\w.\[\]]{0,40}(?:, |[\"'],?\s?[\"']?)value[\"']?\s?[:=]\s?)"
)
# A name and its value are a pair of strings, unless the second is a name as well.
_PAIR = r"[\"'],\s?(?=[bru]?[\"'])(?!(?-i:[\"'](?:[a-z]{1,5}|[a-z]+_[a-z_]+)[\"']))"
# A sentence speaks of a value: name: value, name given: value, name is value, name 'value'.
_FILLERS = r"(?:\s(?:following|given|header|int\w*|invalid|is|key|not|provided|set|string|the|to|valid|value|was)){1,5}"
_IN_WORDS = (
    rf"(?:(?:(?<!(?<![\w-])signature)|{_FILLERS}):\s?{_NO_PROSE}(?![A-Za-z]{{1,14}}(?:'s)?[,.]?\s+[a-z(]{{2,}})|"
    rf"\s(?=[\"'`]{_SECRET_LIKE}|(?-i:[0-9a-f]{{32}}|(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w-]{{16}}))|"
    rf"[\"'`]?:?{_FILLERS}:?\s(?=[\"'`][^\s\"'`]{{4,}}[\"'`]|[\"'`]?{_SECRET_LIKE}))"
)
_NAMED_VALUE = (
    rf"(?i)((?<![\w-])(?=[\w-]*(?:{'|'.join(_HINTS)})|\w+ key)(?:{_NAME}(?:{_SET}|{_IN_WORDS})|{_WEAK_NAME}"
    rf"(?:{_SET}|(?<!session)(?<!pass):\s(?={_SECRET_LIKE}))|(?=-)(?:{_NAME}|{_WEAK_NAME})\s+{_NO_PROSE}(?!-)|"
    rf"(?:(?=-)|(?<=[\[(][\"'])|(?<=[\[(][bru][\"']))(?:{_NAME}|{_WEAK_NAME}){_PAIR})(?:\\[nr])*){_VALUE}"
)
# The header holds parameters or one word, perhaps after the name of a scheme.
_AUTHORIZATION = (
    r"(?i)(authorization(?:\\?[\"'])?\s*[:=]\s*(?:b?\\?[\"'])?(?:(?:basic|bearer|bot|digest|(?:api-?)?key|oauth|token|"
    r"aws4-hmac-sha256|[a-z-]{2,24}(?=\s(?:[\"']|\S*(?:\d|(?-i:[a-z][A-Z])))))\s+)?)"
    rf"(?:(?:[\w-]+=(?:\\?\"[^\"]*\"?|[^\s\",']*)(?:,\s*(?=[\w-]+=))?)+|{_VALUE})"
)
# A login is in an address, also in an escaped one or in the query of another.
_IN_LOGIN = r"(?:[^\s\"'\\]|'(?=\w))"
_LOGIN = (
    rf"(?i)((?:\\?/|%(?:25)*2f){{2}})(?:(?:(?![/?#]){_IN_LOGIN}){{1,200}}@|"
    rf"[^\s/@:\"'\\]{{0,99}}:(?!\d{{1,5}}(?:/|$)){_IN_LOGIN}{{1,200}}@|"
    rf"(?:(?![/?#&]){_IN_LOGIN}){{1,200}}?(?:%(?:25)*3A[^\s&]{{1,200}}?)?%(?:25)*40)"
)
_BARE_LOGIN = (
    r"(?i)(?<![\w.@:/-])(?!(?:\w*mail\w*|to|from|cc|sips?|acct):)([\w.+-]{1,40}:)[^\s@\"'/]{1,99}@"
    r"(?!sha256)(?=[\w-]+(?:\.\w|:\d|[/\"']))"
)
# A token begins in its own way, also after an underscore or a quote in percent-encoding.
_PREFIXES = (
    r"1//0|A[KS]IA|AIza|ATATT3|EAAA|FwoGZXIvYXdz|GOCSPX-|GOOG1E|IQoJb3JpZ2lu|NRAK-|SG\.|cfut_|dckr_[op]at_|do[op]_v1_|"
    r"dp\.st\.(?:\w+\.)?|gh[oprsu]_|github_pat_|gl(?:cb|d|p?a)t-|glsa_|gsk_|hf_|hvs\.|lin_api_|lsv2_|npg_|npm_|nvapi-|"
    r"ops_eyJ|pcsk_|pk_live_|pplx-|pscale_|pypi-|r8_|[rs]k_|[rs]k-(?=[\w-]{20})|rpa_|sb_secret_|sbp_|shpat_|signkey-|"
    r"sntrys_|sq0(?:at|cs)p-|tgp_v1_|tr_prod_|tskey-|tvly-|vercel_blob_rw_|whsec_|xai-|xapp-|xox|xoxe\.|ya29\."
)
_TOKEN = (
    rf"(?:(?<![^\W_])|(?<=%22))(?:(?:{_PREFIXES})(?![a-z]+(?:_[a-z]+)+(?![\w-]))[\w-]{{12,}}(?:\.[\w-]+)?|"
    # Names of files and functions begin like these as well.
    r"(?:AQ\.|fw_|ntn_|phx_|re_|rnd_)(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{20,}|(?:fc-|dapi)[0-9a-f]{32}|csk-\w{40,}|"
    r"luma-[0-9a-f-]{36,}|ABSK[\w+/=]{40,}|fm2_[\w+/=-]{12,}(?:,fm2_[\w+/=-]+)*|"
    r"eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?|key-[0-9a-f]{32}|key_[0-9a-f]{64,}|K00\d[\w+/]{27}|live_\d+_\w{20,}|"
    r"[0-9a-f]{32}-us\d\d?|[0-9a-f]{8}-[0-9a-f-]{27}:[0-9a-f]{32}|[MNO][\w-]{22,28}\.[\w-]{5,7}\.[\w-]{25,})|"
    r"(?<!\d)\d{6,12}:AA[\w-]{30,}"
)

# Each rule: words (casefolded) of which a text holds at least one, as most hold none; a pattern; its replacement, which
# may keep the first group. Hostile text takes linear time, or as much as a line of LINE_CHARACTERS allows.
_RULES: tuple[tuple[Sequence[str], str, str], ...] = (
    (["private key"], r"-{4,5} ?BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-{4,5}.*?(?:-{4,5} ?END [A-Z0-9 ]*-{4,5}|$)", _MASK),
    (["@", "%40"], _LOGIN, rf"{_MASK_REST}@"),
    (["@"], _BARE_LOGIN, rf"{_MASK_REST}@"),
    (["-u"], r"((?:-u|--(?:proxy-)?user)(?:[\s=]|[\"'],\s)[\"']?(?!\d+:\d)[^\s\"':]+:)[^\s\"']+", _MASK_REST),
    # Drivers that cannot read a login take it for a port, a host or a parameter.
    (["port", "integer"], r"(?i)((?:\bport: |integer value (?:as )?)[\"'])(?!\d+[\"']|port[\"'])[^\"']+", _MASK_REST),
    (["host"], r"(?i)(\bhost (?:name )?[\"'])[^\s\"']+@", rf"{_MASK_REST}@"),
    (["connection info"], r"(after \")[^\"]+(?=\" in connection info)", _MASK_REST),
    (["header value"], rf"(?i)(header value:?\s*){_QUOTED}", rf"\1'{_MASK}'"),
    (["author"], _AUTHORIZATION, _MASK_REST),
    (["cook"], r"(?i)(cookie[\"']?\s*[:=]\s*[\"']?)[\w.-]+=[^\s;\"']+(?:;\s[^\s;\"']+)*", _MASK_REST),
    (_HINTS, _NAMED_VALUE, _MASK_REST),
    (["bearer"], r"(?i)\b(bearer\s+)(?=\S*[\d._~+/=-]|\S{16})[\w.~+/-]{8,}=*(?<!\.)", _MASK_REST),
    (["bas"], r"(?i)\b(basic\s+(?=\S*[\d+/=]))[\w+/]{8,}=*", _MASK_REST),
    (["auth "], r"\b(AUTH (?:PLAIN|LOGIN|XOAUTH2) (?=\w*[\dA-Z]))[\w+/]{8,}=*", _MASK_REST),
    # An address of a webhook has no host where requests names it.
    (["hook"], r"(?i)(webhook(?:s\\?/\d+|b2|)\\?/(?=[\w@-]{10})|//hooks\.[^\s/]+/)[\w@-]+(?:\\?/[\w@-]+)*", _MASK_REST),
    (["/t", "%2ft"], r"((?:services|triggers|workflows)(?:\\?/|%2F))T[0-9A-Z]+(?:(?:\\?/|%2F)\w+)+", _MASK_REST),
    (["rtmp"], r"(rtmp\w{0,2}://[^\s/\"']+(?:/[^\s/\"']+){1,9}/)[^\s/\"']*[^\s/\"':.,)]", _MASK_REST),
    ([""], _TOKEN, _MASK),
)


def redact(text: str) -> str:
    """Masks what looks like a credential: by its place, by the name before it (api_key=…), or by its own shape."""
    folded = text.casefold()
    for words, pattern, replacement in _RULES:
        if any(map(folded.__contains__, words)):
            text = re.sub(pattern, replacement, text)
    return text


# ---- Messages --------------------------------------------------------------------------------------------------------

# Slack's limits: 50 blocks a message, 3,000 characters a section, and (undocumented) about 13,200 over all blocks;
# https://docs.slack.dev/reference/block-kit/blocks. Ours are lower, as receivers disagree on what a character is.
MESSAGE_CHARACTERS = 9000
# Slack may split a text of over 4,000: https://docs.slack.dev/reference/methods/chat.postMessage#truncating
TEXT_CHARACTERS = 3900
SECTION_CHARACTERS = 2900
TASK_LINES = "• *Task ID:* `$id`\n  *Status:* $status\n  *Created:* $created\n  *Error:* $error\n  *Logs:* $logs"
# Up to this many tasks are described so; more have a line each, in groups.
MAX_DESCRIBED_TASKS = 5
MAX_CAUSES = 10
MAX_TASKS_OF_A_CAUSE = 3
MAX_TASKS_OF_A_STATUS = 10
# Recovered tasks have no groups.
MAX_LISTED_TASKS = 20
# A claim reads this many tasks of each group: as many as the alert that shows the most of one.
MAX_READ_TASKS = max(MAX_DESCRIBED_TASKS, MAX_TASKS_OF_A_CAUSE, MAX_TASKS_OF_A_STATUS, MAX_LISTED_TASKS)

Block = dict[str, Any]
Row = Mapping[str, Any]
Rows = list[dict[str, Any]]
Preview = Callable[["Message"], str]


class Message(NamedTuple):
    """One Slack message; `text` holds all of it for receivers and screen readers that ignore blocks."""

    text: str
    blocks: list[Block]

    def payload(self) -> dict[str, Any]:
        """Returns the body for a webhook; without unfurling, because Slack would fetch the URLs of task text."""
        content = {"text": self.text, "blocks": self.blocks} if self.blocks else {"text": self.text}
        return {**content, "unfurl_links": False, "unfurl_media": False}


class News(NamedTuple):
    """Tasks of one alert of which a destination was not yet notified, as a claim found them.

    `tasks`: the first ones, in the order to be listed: the columns of a task, its `alert`, `since` when it failed, gave
    its last sign of life or recovered (what had `began` when), its `cause` (a fingerprint, a status, or None), the
    `total` of its group. `since`: None if all is in the alert's usual window.
    `causes`: a task of each of the first causes of failed tasks, in the order to be shown, with its total, users,
    `before` (reports in the week before; None: the history is too short), and as `causes` the number of all causes.
    `facts`: of failed tasks failed, ended, users, recovered, last_activity, never_started; of stuck ones stuck,
    last_activity, queued, in_progress; absent where they could not be found in time. `others_reported`: the destination
    was notified of other tasks in the same span. `partial`: these are only the oldest, and the next run reports more.
    `oldest`, `complete`: when the first of all failed; until when everything had been reported before."""

    tasks: Sequence[Row]
    total: int
    claimed_at: datetime
    since: datetime | None = None
    causes: Sequence[Row] = ()
    facts: Row = MappingProxyType({})
    others_reported: bool = False
    partial: bool = False
    oldest: datetime = datetime.min
    complete: datetime = datetime.min


class Style(NamedTuple):
    """What changes an alert beside its tasks. `mention`: whom a critical one calls; `critical`: why it is one."""

    task_template: str = ""
    mention: str = ""
    environment: str = ""
    critical: str = ""


class Group(NamedTuple):
    """Tasks under one heading ('' for none): the lines of the first of them, and how many there are in all."""

    heading: str
    tasks: Sequence[str]
    total: int


def message(title: str, environment: str, parts: Sequence[str | list[str]], footer: str, *lines: str) -> Message:
    """Builds a title with the environment, a section for each part that is not empty, and a line of context. A part
    that is a list becomes fields side by side. The text holds the `lines`, if there are any, else the parts."""
    # A header knows no escaping, so these characters would be shown as entities.
    environment = re.sub("[&<>]", "", shorten(one_line(environment), 40))
    title = f"{title} · {environment}" if environment else title
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    sections: list[Block] = []
    for part in filter(None, parts):
        content = {"text": _mrkdwn(part)} if isinstance(part, str) else {"fields": list(map(_mrkdwn, part))}
        sections.append({"type": "section", **content})
    context = {"type": "context", "elements": [_mrkdwn(footer)]}
    texts = [part if isinstance(part, str) else " | ".join(map(_without_bold, part)) for part in lines or parts]
    return Message(_without_bold("\n".join(filter(None, [title, *texts, footer]))), [header, *sections, context])


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack makes no links, channels or mentions of its own from bare words in task text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def size(text: str) -> int:
    """Counts characters as Slack may count them: UTF-16 units of the escaped text."""
    return len(text) if text.isascii() else len(text) + len(re.findall("[\U00010000-\U0010ffff]", text))


def bold(text: str) -> str:
    # An asterisk of task text would end it.
    return f"*{text.replace('*', '∗')}*"


def labelled(values: Mapping[str, object]) -> list[str]:
    """Returns a line for each value that is not empty."""
    return [f"*{name}:* {value}" for name, value in values.items() if value]


def code(value: object) -> str:
    return f"`{label(value) or 'unknown'}`"


def plain(mrkdwn: str) -> str:
    """Returns Slack's markup as text for a terminal: links written out, labels without asterisks, entities decoded."""
    text = re.sub(r"<([^|>]+)\|([^>]*)>", r"\2 (\1)", _without_bold(mrkdwn))
    text = re.sub(r"<[!@](?:subteam\^)?(\w+)>", r"@\1", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _without_bold(mrkdwn: str) -> str:
    # Bold stands only at the start of a line, where task text never does: its asterisks stay.
    return re.sub(r"(?m)^((?:• |  )?)\*([^*\n]+)\*", r"\1\2", mrkdwn)


def task_info(task: Row, template: str = "", now: datetime | None = None, seen: str = "") -> str:
    """Describes one task in five lines, or in those of the template. Missing keys and NULLs are allowed."""
    status = _string(task.get("status"))
    values = {
        "id": label(task.get("id")) or "unknown",
        "status": label("in_progress" if status == "inprogress" else status) or "unknown",
        "created": format_time(task.get("created_at")),
        "error": error_line(task.get("error")),
        "logs": log_link(task.get("log_uri"), "View Logs") or "No logs available",
    }
    if template:
        more = {"user": mask_key(task.get("user_api_key") or ""), "age": format_age(task.get("created_at"), now)}
        text = Template(template).safe_substitute(values, **more, seen=seen).strip()
        if 0 < size(text) <= SECTION_CHARACTERS:
            return text
    status = " · ".join(filter(None, [values["status"], _since(task, now)]))
    return Template(TASK_LINES).substitute(values, status=status, error=f"{values['error']} {seen}".strip())


def _since(task: Row, now: datetime | None) -> str:
    """Returns how long ago a task failed, or for how long it has given no sign of life; '' where that is not known."""
    if now is None or not task.get("since"):
        return ""
    age = format_age(task["since"], now)
    if task.get("alert") != "failed":
        return f"for {age}"
    return "just now" if age == "0 min" else f"{age} ago"


def failed_message(news: News, limits: Limits, style: Style) -> Message:
    """Builds the alert of tasks that failed in the usual window, or since `news.since`."""
    span = f"since {format_time(news.since)}" if news.since else f"in the last {FAILED_WINDOW_MINUTES} minutes"
    groups = []
    for cause in news.causes if news.total > MAX_DESCRIBED_TASKS else ():
        tasks = [task for task in news.tasks if task["cause"] == cause["cause"]]
        name = f"{cause['total']} × {cause_text(tasks[0].get('error'))} · {plural(cause['users'], 'user')}"
        heading = f"{name} {_seen(cause)}".strip()
        groups.append(_group(heading, tasks, MAX_TASKS_OF_A_CAUSE, cause["total"], news, style))
    groups = groups or [_group("", news.tasks, MAX_DESCRIBED_TASKS, news.total, news, style)]
    return _alert("🚨 Failed Tasks Alert", f"{_count(news)} failed {span}:", news, groups, limits, style)


def _seen(cause: Row) -> str:
    """Returns "🆕", or how often the destination was notified of the cause in 7 days; '' where that is not known."""
    if cause.get("before") is None:
        return ""
    return f"({cause['before'] + cause['total']}× in 7 days)" if cause["before"] else "🆕"


def stuck_message(news: News, limits: Limits, style: Style, state: str = "stuck") -> Message:
    """Builds the alert of tasks that are stuck for longer than the limits; it says these once if they are the same."""
    spans = [f"for more than {plural(minutes, 'minute')}:" for minutes in limits]
    is_one_span = spans[0] == spans[1]
    groups = []
    for status, name, span in zip(Limits._fields, ("Queued Tasks", "In Progress Tasks"), spans):
        tasks = [task for task in news.tasks if task["cause"] == status]
        if tasks:
            total = tasks[0]["total"]
            heading = f"{name} ({total}):" if is_one_span else f"{name} ({total}), {span}"
            groups.append(_group(heading, tasks, MAX_TASKS_OF_A_STATUS, total, news, style))
    summary = f"{_count(news)} {state} {spans[0]}" if is_one_span else f"{_count(news)} {state}:"
    return _alert("⚠️ Stuck Tasks Alert", summary, news, groups, limits, style)


def _recovery_message(title: str, state: str, took: str, news: News, limits: Limits, style: Style) -> Message:
    """Builds the message of tasks that were reported and have ended well since; each with how long that `took`."""
    lines = []
    for task in news.tasks[:MAX_LISTED_TASKS]:
        ended = f"is {label(task.get('status')) or 'unknown'} · " if news.total <= MAX_DESCRIBED_TASKS else ""
        lines.append(f"• {code(task.get('id'))} {ended}{took.format(format_age(task.get('began'), task.get('since')))}")
    return _alert(title, f"{plural(news.total, 'task')} {state}", news, [Group("", lines, news.total)], limits, style)


reminder_message = partial(stuck_message, state="still stuck")
recovered_message = partial(_recovery_message, "✅ Stuck Tasks Recovered", "no longer stuck:", "stuck for {}")
healed_message = partial(_recovery_message, "✅ Failed Tasks Recovered", "no longer failed:", "{} after it failed")


def workers_are_idle(news: News, limits: Limits) -> bool:
    """Returns whether tasks wait, or failed after a wait, and for longer than the limits none has started or ended."""
    waiting = any(task.get("cause") == "queued" for task in news.tasks) or news.facts.get("never_started")
    # Workers whose last activity could not be found in time count as running.
    last = news.facts.get("last_activity", news.claimed_at)
    return bool(waiting) and (last is None or news.claimed_at - last > timedelta(minutes=max(limits)))


def critical_reason(news: News, limits: Limits, count: int, share: int) -> str:
    """Returns why the alert is critical: no "workers", the "share" of failures, the "count" of tasks; '' if not."""
    failed, ended = news.facts.get("failed", 0), news.facts.get("ended", 0)
    if workers_are_idle(news, limits):
        return "workers"
    if share > 0 and ended >= CRITICAL_ENDED_TASKS and failed * 100 >= share * ended:
        return "share"
    return "count" if news.total >= count else ""


def cannot_read_message(error: str, seconds: int, at: datetime, environment: str = "", title: str = "") -> Message:
    """Builds the alert that the tasks could not be read in `seconds` of trying, so nobody watches them."""
    title = title or "🙈 Monitor cannot read the tasks table"
    tried = f"Tried for {plural(seconds, 'second')}. " if seconds else ""
    part = f"{task_text(error, 500)}\n{tried}Until it works again, no failed or stuck task is reported."
    return message(title, environment, [part], f"Reported at {format_time(at)}")


def can_read_message(began: datetime, at: datetime, environment: str = "") -> Message:
    """Builds the end of what cannot_read_message() told when it `began`."""
    part = f"It could not for {format_age(began, at)}. What failed or got stuck meanwhile is reported now."
    return message("✅ Monitor can read the tasks table again", environment, [part], f"Reported at {format_time(at)}")


def _count(news: News) -> str:
    if news.partial:
        return f"{plural(news.total, 'task')} and more"
    return plural(news.total, "more task" if news.others_reported else "task")


def _group(heading: str, tasks: Sequence[Row], most: int, total: int, news: News, style: Style) -> Group:
    """Describes each of a few tasks; of many, lists `most`."""
    are_few, now = news.total <= MAX_DESCRIBED_TASKS, news.claimed_at
    seen = {cause["cause"]: _seen(cause) for cause in news.causes}
    lines = []
    for task in tasks if are_few else tasks[:most]:
        if are_few or style.task_template:
            lines.append(task_info(task, style.task_template, now, seen.get(task.get("cause"), "")))
        else:
            parts = [f"• {code(task.get('id'))} {_since(task, now)}", log_link(task.get("log_uri"), "View Logs")]
            lines.append(" · ".join(filter(None, parts)))
    return Group(heading, lines, total)


def _alert(title: str, summary: str, news: News, groups: Sequence[Group], limits: Limits, style: Style) -> Message:
    opening = [f"{bold(summary)} {style.mention}".strip()]
    if workers_are_idle(news, limits):
        last = news.facts["last_activity"]
        since = f"since {format_time(last)}" if last else "yet"
        opening.append(f"No task has started or ended {since}: are the workers running?")
    footer = _footer(news, style.critical)
    fixed = size(message(title, style.environment, opening, footer).text)
    sections: list[str] = []
    for lines in _listing(groups, news, MESSAGE_CHARACTERS - fixed):
        # A few tasks have a section each, the many of a group share as few as can hold them.
        room = SECTION_CHARACTERS if news.total > MAX_DESCRIBED_TASKS else 0
        while lines:
            fitting = _fitting(lines, room) or lines[:1]
            sections.append("\n".join(fitting))
            lines = lines[len(fitting) :]
    text = ["\n".join(lines) for lines in _listing(groups, news, TEXT_CHARACTERS - fixed)]
    return message(title, style.environment, [*opening, *sections], footer, *opening, *text)


def _footer(news: News, critical: str) -> str:
    """Returns when the alert was made, its figures, and before one of them that it makes the alert critical."""
    facts, parts = news.facts, [f"Reported at {format_time(news.claimed_at)}"]
    if critical in ("workers", "count"):
        parts.append(f"Critical: {'no worker seen' if critical == 'workers' else plural(news.total, 'task')}")
    if facts.get("failed"):
        reason = "Critical: " if critical == "share" else ""
        parts.append(f"{reason}{facts['failed']} of {plural(facts['ended'], 'ended task')} failed")
        parts += [f"{facts['recovered']} recovered"] if facts.get("recovered") else []
        parts.append(plural(facts["users"], "user"))
    if "queued" in facts and "in_progress" in facts:
        parts.append(f"{facts['queued']} queued · {facts['in_progress']} in progress in all")
    parts += [f"{facts['muted']} muted"] if facts.get("muted") else []
    return " · ".join(parts)


def _listing(groups: Sequence[Group], news: News, characters: int) -> list[list[str]]:
    """Returns lists of lines, one for each group: its heading, its first task, and as many others as fit in an equal
    share of the room that these leave. The last list counts the tasks that are in no group."""
    room = characters - size("\n… and 1234567890 more causes (1234567890 tasks)\n")
    # A group takes at least this much: heading, first task, line breaks, the number of tasks left out.
    least = ["\n".join([bold(group.heading), *group.tasks[:1], "… and 1234567890 more"]) for group in groups]
    shown = groups[: len(_fitting(least, room))]
    room -= size("\n".join(least[: len(shown)]))
    listing = []
    for number, group in enumerate(shown):
        more = _fitting(group.tasks[1:], room // (len(shown) - number) - 1)
        room -= size("\n".join(["", *more])) if more else 0
        tasks = [*group.tasks[:1], *more]
        lines = [bold(group.heading), *tasks] if group.heading else tasks
        if group.total > len(tasks):
            lines.append(f"… and {group.total - len(tasks)} more")
        listing.append(lines)
    tasks_left = news.total - sum(group.total for group in shown)
    causes_left = news.causes[0]["causes"] - len(shown) if news.causes else 0
    if tasks_left > 0:
        causes = f"{plural(causes_left, 'more cause')} ({plural(tasks_left, 'task')})"
        listing.append([f"… and {causes}" if causes_left > 0 else f"… and {tasks_left} more"])
    return listing


def _fitting(lines: Sequence[str], characters: int) -> list[str]:
    """Returns the first of the lines, as many as fit."""
    ends = accumulate(size(line) + 1 for line in lines)
    return [line for line, end in zip(lines, ends) if end - 1 <= characters]


class Event(NamedTuple):
    """One kind of event: the words that differ between the kinds."""

    kind: str
    title: str
    sentence: str
    status: str


CREATED = Event("created", "🎬 New Task Created", "has been created and queued for processing.", "queued")
STARTED = Event("started", "▶️ Task Started Processing", "has started processing.", "in_progress")

# Requests have several names for a setting; the first name with a value counts.
_SUBTITLES = ("subtitle_config", "global_subtitle_config", "subtitles", "subtitle")
_LOGOS = ("logo_config", "global_logo_config", "logo")
_SIZES = ("size", "font_size")
_OF_SUBTITLES = {"Font: {}": ("font", "font_name", "font_family"), "Size: {}": _SIZES, "Position: {}": ("position",)}
_OF_LOGOS = {"Logo URL provided": ("url", "logo_url", "image_url"), "Position: {}": ("position",), "Size: {}": _SIZES}
_EXTRAS = ("product_images", "music", "background_music", "post_description")


def event_message(event: Event, task: Row, at: datetime, environment: str = "") -> Message:
    """Builds the notice of an event, from the task's id, user_api_key, log_uri, and its request, `payload`, of any
    shape. A setting that the request lacks makes no line."""
    task_id, key, payload = code(task["id"]), one_line(task["user_api_key"] or ""), task["payload"]
    scenes = _first(payload, ["scenes"])
    scenes = scenes if isinstance(scenes, (list, tuple)) else []
    seconds = _duration(payload, scenes)
    facts = {"Task ID": task_id, "User API Key": f"`{mask_key(key)}`" if key else "", "Status": event.status}
    figures = labelled({"Scenes": len(scenes), "Duration": f"{seconds:.10g}s" if seconds > 0 else ""})
    details = {
        "Subtitle Config": _config_line([payload, *scenes], _SUBTITLES, _OF_SUBTITLES),
        "Logo Config": _config_line([payload, *scenes], _LOGOS, _OF_LOGOS),
        "Extras": ", ".join(name.replace("_", " ") for name in _EXTRAS if _first(payload, [name])),
        "Logs": log_link(task["log_uri"], "View Task Logs") or "Not available yet",
    }
    sentence = f"Task {task_id} {event.sentence}"
    parts: list[str | list[str]] = [sentence, "\n".join(labelled(facts)), figures, "\n".join(labelled(details))]
    return message(event.title, environment, parts, f"{event.kind.capitalize()} at {format_time(at)}")


def _first(mapping: object, names: Iterable[str]) -> Any:
    """Returns the first value that is not empty; None where there is none, or `mapping` is no mapping."""
    if not isinstance(mapping, Mapping):
        return None
    return next((mapping[name] for name in names if mapping.get(name) not in (None, "", [], {})), None)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _duration(payload: object, scenes: Sequence[object]) -> float:
    """Returns the seconds of the whole video; 0 where the request does not say."""
    total = _first(payload, ["duration", "total_duration", "video_duration"])
    if _is_number(total):
        return float(total)
    seconds = [_first(scene, ["duration"]) for scene in scenes]
    # With one narration for all scenes the worker sets their durations itself, and so it does where one is absent.
    known = not _first(payload, ["narration_text"]) and all(map(_is_number, seconds))
    return sum(seconds) if known else 0


def _config_line(parts: Sequence[object], names: Iterable[str], shown: Mapping[str, Iterable[str]]) -> str:
    """Returns the settings of the whole video, or else of the first scene that has some, in one line."""
    for part in parts:
        config, found = _first(part, names), []
        for words, keys in shown.items():
            value = _first(config, keys)
            if isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_number, value)):
                value = " × ".join(f"{pixels:.10g}" for pixels in value)
            if task_text(value):
                found.append(words.format(task_text(value)))
        if found:
            return ", ".join(found)
    return ""


# ---- SQL -------------------------------------------------------------------------------------------------------------

STATEMENT_TIMEOUT = "SET LOCAL statement_timeout = %(statement_milliseconds)s"
LOCK_TIMEOUT = "SET LOCAL lock_timeout = %(lock_milliseconds)s"
# Opens every transaction. In UTC, columns of `timestamp` (which hold UTC) and of `timestamptz` compare alike. LOCAL,
# because behind a transaction pooler the session belongs to others too. Read committed, because a claim that waited for
# another run must see what that run has committed. Without sequential scans, because few tasks are new.
BEGIN = f"""
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL TIME ZONE 'UTC';
SET LOCAL enable_seqscan = off;
{STATEMENT_TIMEOUT}; {LOCK_TIMEOUT};
SET LOCAL idle_in_transaction_session_timeout = %(hold_milliseconds)s
"""
# Sets what a role or server may have set otherwise, where the server knows it. Compiling the plans of these statements
# (jit) takes a hundred times as long as running them; a transaction_timeout (PostgreSQL 17) would end a claim half-way.
SERVER_SETTINGS = """
SELECT set_config(name, value, true) FROM (VALUES
    ('jit', 'off'), ('enable_nestloop', 'on'), ('enable_indexscan', 'on'), ('transaction_timeout', '0')
) AS wanted (name, value) WHERE current_setting(name, true) IS NOT NULL
"""

# The shown part of a task's error: the two ends of a very long one. `|| ''` makes PostgreSQL decompress the value once
# instead of at each use; the collation lets expressions search a column of any other.
SHOWN_ERROR = f"""
CASE WHEN octet_length(tasks.error::text) > {SHOWN_CHARACTERS} AND length(tasks.error::text) > {SHOWN_CHARACTERS}
    THEN left(tasks.error::text, {SHOWN_END}) || '{SHOWN_JOINT}' || right(tasks.error::text, {SHOWN_END})
    ELSE tasks.error::text || '' END COLLATE "C"
"""

# A fingerprint of a failure's cause: what stands before the first stack and the exception after the last, without what
# varies. OFFSET 0 keeps the planner from computing the parts several times.
_READ = "CASE WHEN octet_length({0}) > 1000 THEN left({0}, 650) || right({0}, 350) ELSE {0} END"
CAUSE = rf"""(
    SELECT to_hex(hashtextextended(regexp_replace(regexp_replace(text, $${VARYING_WORDS}$$, '~', 'g'),
        $${VARYING_NUMBERS}$$, '~', 'g') || coalesce(substring(text FROM '{CODE}'), ''), 0))
    FROM (SELECT coalesce({SHOWN_ERROR}, '') AS error OFFSET 0) AS shown
    CROSS JOIN LATERAL (
        SELECT {_READ.format(f"split_part(error, '{TRACEBACK}', 1)")} AS said,
               CASE WHEN strpos(error, '{TRACEBACK}') > 0
                   THEN replace(split_part(error, '{TRACEBACK}', -1), E'\n ', E'\r') END AS stack OFFSET 0
    ) AS parts
    CROSS JOIN LATERAL (SELECT
        coalesce(nullif(split_part(stack, E'\n', 2), ''), stack) AS raised,
        coalesce(nullif(split_part(stack, E'\n', -1), ''), nullif(split_part(stack, E'\n', -2), ''),
            split_part(stack, E'\n', -3)) AS last OFFSET 0) AS lines
    CROSS JOIN LATERAL (
        SELECT replace(replace(btrim(said || coalesce(CASE
            WHEN strpos(said, replace(raised, split_part(raised, ': ', 1) || ': ', '')) > 0
            THEN split_part(raised, ': ', 1) ELSE {_READ.format("raised")} END
            || CASE WHEN strpos(raised, last) > 0 THEN '' ELSE E'\n' || {_READ.format("last")} END, ''), E' \n\r\t'),
            '": ', '":'), $$': $$, $$':$$) AS text OFFSET 0
    ) AS whole
)"""

# The columns of a task as the public API returns them: name and expression.
TASK_COLUMNS = {
    "id": "tasks.id::text",
    "user_api_key": "tasks.user_api_key::text",
    "status": "tasks.status::text",
    "error": SHOWN_ERROR,
    "log_uri": "left(tasks.log_uri::text, 2000)",
    "created_at": "tasks.created_at::timestamptz",
    "updated_at": "tasks.updated_at::timestamptz",
}
# All that is read of tasks, and so what a role must be allowed to read.
COLUMNS_READ = [*TASK_COLUMNS, "started_at"]
_SHOWN_TASK = ", ".join(f"{expression} AS {name}" for name, expression in TASK_COLUMNS.items())

# The worker has two words for a task in progress. A word that is not here may mean anything, so it is no recovery. As
# text, because an enum that lacks a word refuses a statement with it.
_IS_OPEN = "tasks.status::text IN ('queued', 'in_progress', 'inprogress')"
_ENDED_WELL = "'finished', 'completed', 'done', 'success', 'succeeded'"
_ENDED_UNFAILED = f"{_ENDED_WELL}, 'cancelled', 'canceled', 'dead_letter'"

# The most tasks that are returned to a program.
READ_TASKS = 2_000


def _first_tasks(condition: str, order: str) -> str:
    """Returns the statement that reads these tasks. Their ids are sorted without the columns, which may be long."""
    order += ", tasks.id"
    first = f"SELECT tasks.id FROM tasks WHERE {condition} ORDER BY {order} LIMIT {READ_TASKS + 1}"
    return f"SELECT {_SHOWN_TASK} FROM tasks WHERE {condition} AND tasks.id = ANY(ARRAY({first})) ORDER BY {order}"


# Tasks that failed within the window, newest first.
FAILED_TASKS = _first_tasks("status::text = 'failed' AND updated_at >= now() - %(window)s", "tasks.updated_at DESC")

# A task's last sign of life. One that is run again keeps created_at and started_at. A time ahead is a mistake.
_SIGN_OF_LIFE = """greatest(CASE WHEN tasks.created_at <= now() + interval '1 hour' THEN tasks.created_at END,
    CASE WHEN tasks.started_at <= now() + interval '1 hour' THEN tasks.started_at END, tasks.updated_at)"""

# A stuck task is open and gave no sign of life for longer than its limit. The last condition is there for the index.
_LIMIT = "interval '1 minute' * CASE tasks.status::text WHEN 'queued' THEN %(queued)s ELSE %(in_progress)s END"
_IS_STUCK = f"""({_IS_OPEN} AND {_SIGN_OF_LIFE} < now() - {_LIMIT}
    AND (updated_at < now() - interval '1 minute' * least(%(queued)s, %(in_progress)s) OR updated_at IS NULL))"""

_STUCK_STATUS = "CASE tasks.status::text WHEN 'queued' THEN 'queued' ELSE 'in_progress' END"
# The stuck tasks, oldest first.
STUCK_TASKS = _first_tasks(_IS_STUCK, _SIGN_OF_LIFE)

# What this role may do with tasks and ledger, and what these lack. pg_get_indexdef() would wait for locks.
STATE = r"""
SELECT
    tasks::text AS tasks, quote_ident(current_user) AS role, quote_ident(current_schema()) AS schema,
    (SELECT json_object_agg(attname, json_build_object(
        'readable', has_column_privilege(tasks, attname, 'SELECT'), 'nullable', NOT attnotnull,
        'is_time', typoutput::text IN ('timestamp_out', 'timestamptz_out'), 'labels', CASE typtype WHEN 'e' THEN
            ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = atttypid) END))
        FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
        WHERE attrelid = tasks AND attname = ANY(%(columns)s)) AS columns,
    EXISTS (SELECT FROM pg_class WHERE pg_class.oid = tasks AND relkind IN ('r', 'p'))
        AND has_table_privilege(tasks, 'SELECT') AS has_versions,
    EXISTS (SELECT FROM pg_index JOIN pg_opclass ON pg_opclass.oid = indclass[0] JOIN pg_am ON pg_am.oid = opcmethod
        WHERE indrelid = tasks AND indisvalid AND indpred IS NULL AND amname = 'btree' AND opcdefault
          AND ARRAY[indkey[0], indkey[1]] = ARRAY(
              SELECT attnum FROM pg_attribute WHERE attrelid = tasks AND attname IN ('status', 'updated_at')
              ORDER BY attname)) AS indexed,
    row_security_active(tasks) AS row_security, pg_is_in_recovery() AS standby,
    current_setting('transaction_read_only') = 'on' AS read_only,
    NOT EXISTS (SELECT FROM pg_class WHERE oid = ledger) AS unborn,
    (SELECT count(*) = 2 FROM pg_attribute WHERE attrelid = ledger AND attname IN ('cause', 'times')) AS up_to_date,
    (SELECT bool_and(has_table_privilege(ledger, wanted))
        FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS wanted) AS writable,
    (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = ledger) AS owned,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
    has_database_privilege(current_database(), 'TEMPORARY') AS may_create_temporary,
    (SELECT quote_ident(nspname) FROM pg_namespace
        WHERE oid = coalesce((SELECT relnamespace FROM pg_class WHERE pg_class.oid = ledger),
            to_regnamespace(current_schema()::text))
          AND has_schema_privilege('public', oid, 'CREATE')) AS open_schema
FROM to_regclass('tasks') AS tasks, to_regclass('slack_notifications') AS ledger
"""
# For --check: how much the ledger remembers, and since when.
LEDGER_AGE = """
SELECT count(*) AS reported, min(notified_at) AS first, max(notified_at) AS last, now() AS now FROM slack_notifications
WHERE task_id <> '' AND alert NOT IN ('cause', 'muted') AND destination <> 'users' AND cause IS DISTINCT FROM ''
"""
# The words that statuses have, each found in the index behind the one before; at most 50.
_STATUSES = """(
    WITH RECURSIVE words (word) AS (
        (SELECT status FROM tasks ORDER BY status LIMIT 1)
        UNION ALL
        SELECT (SELECT status FROM tasks WHERE status > word ORDER BY status LIMIT 1) FROM words WHERE word IS NOT NULL
    )
    SELECT word FROM words WHERE word IS NOT NULL LIMIT 50
)"""
# The newest change of each status in use, and whether there are tasks without one. Without the index, in one scan.
STATUSES = f"""
SELECT left(word::text, 99) AS status, now() AS now, (
           SELECT max(updated_at)::timestamptz FROM tasks WHERE status = word AND updated_at < '9999-12-31') AS at,
       EXISTS (SELECT FROM tasks WHERE status = word AND updated_at IS NULL) AS undated
FROM {_STATUSES} AS words
"""
STATUSES_IN_ONE_SCAN = """
SELECT left(status::text, 99) AS status, now() AS now,
       max(updated_at::timestamptz) FILTER (WHERE updated_at < '9999-12-31') AS at,
       bool_or(updated_at IS NULL) AS undated
FROM tasks WHERE status IS NOT NULL GROUP BY status ORDER BY status LIMIT 50
"""
# In how many of the 24 hours before the newest change something changed. Without the index, in one scan.
BUSY_HOURS = """
SELECT count(*) AS busy_hours FROM generate_series(0, 23) AS hours WHERE EXISTS (
    SELECT FROM tasks WHERE tasks.status::text = ANY(%(statuses)s)
      AND updated_at <= %(newest)s::timestamptz - hours * interval '1 hour'
      AND updated_at > %(newest)s::timestamptz - (hours + 1) * interval '1 hour')
"""
BUSY_HOURS_IN_ONE_SCAN = """
SELECT count(DISTINCT floor(extract(epoch FROM %(newest)s::timestamptz - updated_at) / 3600)) AS busy_hours FROM tasks
WHERE updated_at BETWEEN %(newest)s::timestamptz - interval '24 hours' AND %(newest)s::timestamptz
"""
# For --check: the tables tasks in the search_path, the first of which is read.
TABLES = """
SELECT quote_ident(nspname) || '.tasks' AS name FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relname = 'tasks' AND relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname = ANY(current_schemas(true))
ORDER BY array_position(current_schemas(true), nspname)
"""
# For --check: until when each alert of a destination is complete; without the row of no alert while a run holds that.
LAST_RUNS = """
SELECT alert, event_at, now() AS now FROM slack_notifications
WHERE destination = %(destination)s AND task_id = '' FOR UPDATE SKIP LOCKED
"""

# What each destination was notified of. What event_at and notified_at say depends on the row:
#   alert failed, stuck, …; task_id        when the task failed, or its last sign of life; when that was reported.
#                                          `cause`: a fingerprint of a failure's cause, or a stuck task's status.
#   alert cause; task_id: day and cause    the last report, twice. `times`: failures reported on that day.
#   alert muted; task_id: the words        until when; since when.
#   alert failed, stuck; no task_id        until when the alert is complete; when it last called somebody.
#   alert healed, recovered; no task_id    likewise; where a look that took a part goes on. `times`: see _IS_UNSEEN.
#   alert cause; no task_id                since when causes are counted; nothing.
#   alert failed, …; a destination         see USERS
#   no alert; no task_id                   since when the destination is notified; its pace in a storm (the theoretical
#                                          arrival time of a generic cell rate algorithm). A run locks this row.
_LEDGER_COLUMNS = """
slack_notifications (
    destination text NOT NULL,
    alert text NOT NULL,
    task_id text NOT NULL,
    event_at timestamptz NOT NULL,
    notified_at timestamptz NOT NULL,
    cause text,
    times bigint,
    PRIMARY KEY (destination, alert, task_id)
)
"""
# One run at a time makes the ledger or upgrades it: the others find it done, and need no lock on the table for it.
ALONE = "SELECT pg_advisory_xact_lock(hashtext('slack_notifications'))"
CREATE_LEDGER = f"CREATE TABLE IF NOT EXISTS {_LEDGER_COLUMNS}"
# Version 1 had neither column, version 2 had no `times`; a run of theirs may also create the table just before us.
UPGRADE = "ALTER TABLE slack_notifications ADD COLUMN IF NOT EXISTS cause text, ADD COLUMN IF NOT EXISTS times bigint"

# A row of the ledger is found by its key, and a later report replaces the earlier one.
_ALERT_ROW = "destination = %(destination)s AND alert = %(alert)s AND task_id = ''"
_STATE_ROW = "destination = %(destination)s AND alert = '' AND task_id = ''"
_REPLACE = """ON CONFLICT (destination, alert, task_id) DO UPDATE
    SET event_at = excluded.event_at, notified_at = excluded.notified_at, cause = excluded.cause"""

# For a role that may not write the ledger: opens each transaction, so that the same statements work, without a memory.
# The search_path has it found before the real table.
CREATE_TEMPORARY_LEDGER = f"""
SET TRANSACTION READ WRITE;
CREATE TEMPORARY TABLE {_LEDGER_COLUMNS} ON COMMIT DROP;
SELECT set_config('search_path', 'pg_temp, ' || current_setting('search_path'), true)
"""

# Moves the rows of stuck tasks that versions 1 and 2 wrote, under a name for each status. Each claim begins with it, as
# version 2 may have written some until it released the destination's state row.
MOVE_OLD_ROWS = f"""
WITH moved AS (
    DELETE FROM slack_notifications
    WHERE destination = %(destination)s AND alert IN ('stuck:queued', 'stuck:in_progress') RETURNING *
)
INSERT INTO slack_notifications AS recorded (destination, alert, task_id, event_at, notified_at, cause)
SELECT DISTINCT ON (task_id) destination, 'stuck', task_id, event_at, notified_at, split_part(alert, ':', 2)
FROM moved ORDER BY task_id, notified_at DESC
{_REPLACE} WHERE recorded.notified_at < excluded.notified_at
"""

# Under this name in place of a destination, users' channels, of which few have news, share their state rows. A channel
# has a row of its own there (`task_id`: its destination) from when a run finds news for it until a run has reported it.
USERS = "users"


def _missing(rows: str) -> str:
    """Returns the statement that adds those `rows` that the ledger lacks: for any other it might wait for a run."""
    return f"""
INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at)
SELECT destination, alert, task_id, event_at, '-infinity' FROM ({rows}
) AS wanted
WHERE NOT EXISTS (
    SELECT FROM slack_notifications AS state WHERE state.destination = wanted.destination
      AND state.alert = wanted.alert AND state.task_id = wanted.task_id)
ORDER BY destination, alert, task_id ON CONFLICT (destination, alert, task_id) DO NOTHING
"""


# The state rows of destinations for these alerts, which begin here. Committed before the first claim, so that nothing
# is lost if that is not delivered. The users' channels begin a week ago: version 2 had rows of each. In a dry run, a
# channel that has none begins where they are, as BEGIN_USERS would have it.
START = _missing(f"""
    SELECT destination, alert, '' AS task_id, coalesce((SELECT max(event_at::timestamptz) FROM slack_notifications AS s
            WHERE %(user)s <> '' AND destination = '{USERS}' AND s.alert IN ('', alert.alert) AND task_id = ''),
        now() - interval '7 days' * (destination = '{USERS}' AND alert NOT IN ('', 'cause'))::int) AS event_at
    FROM unnest(%(destinations)s::text[]) AS destination
    CROSS JOIN unnest(%(alerts)s::text[] || '{{"",cause}}'::text[]) AS alert""")

# A worker's call (`paced`) is rate-limited after three messages at once, and one in each minute since. A pace further
# ahead than those can bring it is that of a wrong clock.
_IS_RATE_LIMITED = f"""(%(paced)s AND notified_at > now() + interval '{(STORM_BURST - 1) * STORM_SECONDS} seconds'
    AND notified_at < now() + interval '{(STORM_BURST + 1) * STORM_SECONDS} seconds')"""
# It waits for no lock on the ledger, as a call that is rate-limited has to be over at once.
RATE_LIMITED = f"""
SET LOCAL lock_timeout = {PACE_MILLISECONDS};
SELECT destination FROM slack_notifications
WHERE destination = ANY(%(destinations)s) AND alert = '' AND task_id = '' AND {_IS_RATE_LIMITED}
"""
# Begins a claim. The caller repeats it in place of waiting, as each lock_timeout is a line of the server's log.
LOCK = f"""
SELECT {_IS_RATE_LIMITED} AS is_rate_limited, EXISTS (SELECT FROM (
    SELECT FROM slack_notifications WHERE {_STATE_ROW} AND NOT {_IS_RATE_LIMITED} FOR UPDATE SKIP LOCKED
) AS locked) AS is_locked
FROM slack_notifications WHERE {_STATE_ROW}
"""

# A task's name in the ledger: its index takes no id of kilobytes, and the empty one is that of the state rows.
_ID = "coalesce(nullif(left(tasks.id::text, 500), ''), ' ')"
_IS_OF_USER = "(%(user)s = '' OR tasks.user_api_key::text = %(user)s)"
# The time of a task's last change, as far as Python can hold it; when it was created where it has none (`nulls`).
_CHANGED_AT = "least(coalesce(tasks.updated_at, tasks.created_at)::timestamptz, '9999-12-30')"
_CHANGED_SINCE = "(tasks.updated_at >= {} OR %(nulls)s AND tasks.updated_at IS NULL AND tasks.created_at >= {})"
_BEGINNING, _EARLIEST = "(SELECT beginning FROM state)", "(SELECT earliest FROM state)"
_FAILED_LATELY = f"tasks.status::text = 'failed' AND {_CHANGED_SINCE.format(_BEGINNING, _EARLIEST)}"
_ENDED_WELL_LATELY = f"tasks.status::text IN ({_ENDED_WELL}) AND tasks.updated_at >= {_BEGINNING}"
# A task that failed, or recovered, is no longer reported as stuck.
_STUCK_ROW = """ARRAY(SELECT ctid FROM slack_notifications
    WHERE destination = %(destination)s AND alert = 'stuck' AND task_id = {})"""


def _record(alert: str, task_id: str) -> str:
    """Returns the look-up of a task's row in the ledger by its whole key, to which OFFSET 0 keeps the planner."""
    return f"""LATERAL (
        SELECT ctid, event_at, notified_at, cause, least(event_at, notified_at) AS at FROM slack_notifications
        WHERE destination = %(destination)s AND alert = {alert} AND task_id = {task_id} OFFSET 0
    ) AS recorded"""


_USERS_ROW = f"destination = '{USERS}' AND alert = %(alert)s AND task_id = %(destination)s"

# All transactions before this number have ended.
_SEEN = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
# A time until which an alert was complete. If it lies ahead, a clock was wrong, and the look begins a week ago.
_COMPLETE = f"""CASE WHEN event_at <= now() + interval '1 minute' THEN event_at
            ELSE now() - interval '7 days' + interval '{LATE_MINUTES} minutes' END"""
# Until when an alert is complete, and where the look for news begins: two hours before that, for what was committed
# late or by a skewed clock, but never earlier than one window before the destination's first run.
_STATE = f"""state AS (
    SELECT complete, seen, greatest(complete - interval '{LATE_MINUTES} minutes', first_run - %(window)s,
                                    CASE WHEN %(reported_as)s <> '' THEN notified_at END) AS beginning,
           greatest(now() - interval '7 days', first_run - %(window)s) AS earliest
    FROM (
        SELECT greatest({_COMPLETE}, (SELECT {_COMPLETE} FROM slack_notifications WHERE {_USERS_ROW})) AS complete,
               least({_COMPLETE}, (SELECT {_COMPLETE} FROM slack_notifications WHERE {_STATE_ROW})) AS first_run,
               notified_at, CASE WHEN times <= {_SEEN} THEN times END AS seen
        FROM slack_notifications WHERE {_ALERT_ROW}
    ) AS alert
), mutes AS (
    SELECT lower(task_id COLLATE "default") AS words, event_at AS until FROM slack_notifications
    WHERE destination = %(destination)s AND alert = 'muted'
)"""
# Failures until then whose error holds these words are recorded without a cause: so they are neither listed nor
# counted. A mute counts after its end, too: it may not have been possible to record them before.
_IS_MUTED = f"""EXISTS (SELECT FROM mutes WHERE least({_CHANGED_AT}, now()) <= until
    AND strpos(lower({SHOWN_ERROR} COLLATE "default"), words) > 0)"""
# Whether the last complete look cannot have seen this `version` of a task (xmin), so that a run does not look up again
# what was reported lately. `seen`: all before that had ended (NULL: another server's). Half of the numbers are later.
_IS_UNSEEN = """(tasks.updated_at >= (SELECT complete FROM state)
    OR coalesce((nullif(%(version)s::text, '0')::bigint - (SELECT seen FROM state)) & 4294967295 < 2147483648, true))"""

# Notes until when the alert is complete. After a part of a recovery the next look goes on where that ends (two hours
# before it may be just as many tasks), or a microsecond later, where very many have one updated_at.
_COMPLETED = f"""completed AS (
    UPDATE slack_notifications
    SET event_at = CASE WHEN partial THEN greatest(complete, last) ELSE now() END,
        notified_at = CASE WHEN %(reported_as)s = '' THEN notified_at
            WHEN partial THEN greatest(last, beginning + interval '1 microsecond') ELSE '-infinity' END,
        times = CASE WHEN partial THEN seen ELSE {_SEEN} END
    FROM figures WHERE {_ALERT_ROW} AND NOT is_held
), finished AS (
    DELETE FROM slack_notifications WHERE {_USERS_ROW} AND (SELECT NOT (partial OR is_held) FROM figures)
)"""


def _look(news: str, is_held: str = "false") -> str:
    """Returns the statement that looks whether there is `news`. If not, the alert is complete."""
    return f"""
WITH {_STATE}, news AS ({news}
), figures AS (
    SELECT {is_held} AS is_held, false AS partial, NULL::timestamptz AS last, state.* FROM state
    WHERE NOT EXISTS (SELECT FROM news WHERE is_news)
), {_COMPLETED}
SELECT NOT EXISTS (SELECT FROM figures) AS has_news
"""


# The claimed tasks by their cause or status, as the message lists them: new groups first, then the largest; of each the
# first tasks. `before`: how many failures of the cause were reported today and on the six UTC days before; NULL where
# causes have been counted for less than a day. `is_recent`: one within the hour.
_LISTED = f"""groups AS (
    SELECT cause, total, users, causes, never_started, last > now() - interval '1 hour' AS is_recent,
           CASE WHEN is_old THEN coalesce(times, 0) END AS before,
           row_number() OVER (ORDER BY is_old AND times IS NULL DESC, total DESC, cause) AS place
    FROM (
        SELECT cause, count(*) AS total, count(DISTINCT user_key) AS users, count(*) OVER () AS causes,
               sum(count(*) FILTER (WHERE is_unstarted)) OVER ()::bigint AS never_started
        FROM claimed WHERE cause <> '' GROUP BY cause
    ) AS claimed
    LEFT JOIN (
        SELECT cause, sum(times)::bigint AS times, max(notified_at) AS last FROM slack_notifications
        WHERE destination = %(destination)s AND alert = 'cause'
          AND task_id >= to_char(now() - interval '6 days', 'YYYY-MM-DD')
        GROUP BY cause
    ) AS reported USING (cause)
    CROSS JOIN (SELECT event_at < now() - interval '1 day' AS is_old FROM slack_notifications
                WHERE destination = %(destination)s AND alert = 'cause' AND task_id = '') AS counting
), listed AS (
    SELECT * FROM (
        SELECT id, task_id, event_at, began, rank, groups.*,
               row_number() OVER (PARTITION BY cause ORDER BY rank, task_id)
        FROM claimed JOIN groups USING (cause) WHERE place <= {MAX_CAUSES}
    ) AS numbered
    WHERE row_number <= {MAX_READ_TASKS} LIMIT {MAX_CAUSES * MAX_READ_TASKS}
), shown AS MATERIALIZED (
    SELECT tasks.id AS key, {_SHOWN_TASK} FROM tasks WHERE tasks.id = ANY(ARRAY(SELECT id FROM listed))
)"""


# Of the tasks that ended in the `span`: how many failed, for how many users, and how many reported ones ended well.
_FAILED_FACTS = f"""
    SELECT count(*) FILTER (WHERE tasks.status::text = 'failed') AS failed, count(*) AS ended,
           count(DISTINCT user_api_key::text) FILTER (WHERE tasks.status::text = 'failed') AS users,
           count(*) FILTER (WHERE tasks.status::text IN ({_ENDED_WELL}) AND EXISTS (
               SELECT FROM slack_notifications AS recorded
               WHERE destination = %(destination)s AND alert IN ('failed', 'healed') AND task_id = {_ID}
                 AND cause IS DISTINCT FROM '')) AS recovered
    FROM tasks WHERE tasks.status::text IN ('failed', {_ENDED_UNFAILED}) AND {_IS_OF_USER}
      AND {_CHANGED_SINCE.format(*["(SELECT span FROM figures)"] * 2)}
      AND coalesce(tasks.updated_at, tasks.created_at) <= now() + interval '1 hour'
      AND NOT (tasks.status::text = 'failed' AND {_IS_MUTED})"""
# How many tasks wait, how many are in progress, and how many of both are stuck.
_STUCK_FACTS = f"""
    SELECT count(*) FILTER (WHERE status::text = 'queued') AS queued,
           count(*) FILTER (WHERE status::text <> 'queued') AS in_progress, count(*) FILTER (WHERE {_IS_STUCK}) AS stuck
    FROM tasks WHERE {_IS_OPEN} AND {_IS_OF_USER}"""

# What else a claim changes: the pace, the counts of causes.
_PACED_AND_COUNTED = f"""paced AS (
    UPDATE slack_notifications
    SET notified_at = CASE WHEN notified_at > now() + interval '{STORM_BURST * STORM_SECONDS} seconds' THEN now()
        ELSE greatest(notified_at, now()) END + interval '{STORM_SECONDS} seconds'
    FROM figures WHERE {_STATE_ROW} AND claimed > 0 AND %(paced)s AND %(alert)s = 'failed'
), counted AS (
    INSERT INTO slack_notifications AS counter (destination, alert, task_id, event_at, notified_at, cause, times)
    SELECT %(destination)s, 'cause', to_char(now(), 'YYYY-MM-DD ') || cause, now(), now(), cause, count(*)
    FROM claimed WHERE %(alert)s = 'failed' AND cause <> '' GROUP BY cause
    ON CONFLICT (destination, alert, task_id) DO UPDATE
    SET event_at = excluded.event_at, notified_at = excluded.notified_at, times = counter.times + excluded.times
)"""


def _claim(news: str, facts: str = "SELECT WHERE false") -> str:
    """Returns the statement that claims what is `news`, or the oldest part of it: records the tasks, deletes the rows
    that these replace. Its rows are the tasks to be listed; one row without a task if there is no news after all."""
    return f"""
WITH {_STATE}, news AS (
    SELECT * FROM ({news}
    ) AS news ORDER BY updated_at LIMIT %(part)s
), claimed AS (
    SELECT DISTINCT ON (task_id) id, task_id, event_at, cause, replaced, user_key, is_unstarted, began,
           CASE %(alert)s WHEN 'failed' THEN now() - event_at ELSE event_at - now() END AS rank
    FROM news WHERE is_news ORDER BY task_id, event_at DESC
), recorded AS (
    INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at, cause)
    SELECT %(destination)s, %(alert)s, task_id, event_at, now(), cause FROM claimed
    {_REPLACE}
    RETURNING cause
), gone AS (
    DELETE FROM slack_notifications WHERE ctid = ANY(ARRAY(SELECT unnest(replaced) FROM claimed))
), figures AS (
    SELECT *, CASE WHEN oldest < now() - %(window)s THEN date_trunc('second', least(oldest, complete))
                  ELSE now() - %(window)s END AS span
    FROM (
        SELECT count(*) = %(part)s AS partial, coalesce(bool_or(is_news IS NULL), false) AS is_held,
               max(event_at) AS last, min(event_at) FILTER (WHERE is_news AND cause <> '') AS oldest FROM news
    ) AS found
    CROSS JOIN (SELECT count(nullif(cause, '')) AS claimed, count(*) - count(nullif(cause, '')) AS muted
                FROM recorded) AS counted
    CROSS JOIN state
), {_COMPLETED}, {_PACED_AND_COUNTED}, {_LISTED}
SELECT claimed, muted, partial, oldest, complete, span, now() AS claimed_at, CASE WHEN claimed > 0 AND %(with_facts)s
           THEN (SELECT row_to_json(facts) FROM ({facts}) AS facts) END AS facts,
       %(alert)s AS alert, cause, total, users, causes,
       never_started, is_recent, before, place, event_at AS since, began, shown.*
FROM figures LEFT JOIN listed ON true LEFT JOIN shown ON shown.key = listed.id
ORDER BY rank, task_id
"""


# Failed tasks of which the destination was not notified. One that failed again is news one window after the recorded
# failure (its report, if that was earlier: a clock was ahead); with another cause one minute after, as a failing task
# is often written twice within seconds, with two texts; at once if the first was muted; not if this one is. While
# updated_at is as recorded, it is the same failure.
FAILED_NEWS = f"""
    SELECT tasks.id, {_ID} AS task_id, failed.at AS event_at, tasks.updated_at, true AS is_news,
           CASE WHEN failed.is_muted THEN '' ELSE {CAUSE} END AS cause,
           CASE WHEN NOT failed.is_muted THEN {_STUCK_ROW.format(_ID)} END AS replaced,
           tasks.user_api_key::text AS user_key,
           tasks.started_at IS NULL AND failed.at > tasks.created_at + interval '1 minute' * %(queued)s AS is_unstarted,
           NULL::timestamptz AS began
    FROM tasks
    CROSS JOIN LATERAL (SELECT {_CHANGED_AT} AS at, {_IS_MUTED} AS is_muted) AS failed
    LEFT JOIN {_record("'failed'", _ID)} ON true
    WHERE {_FAILED_LATELY} AND {_IS_UNSEEN} AND {_IS_OF_USER} AND (recorded.at IS NULL
          OR failed.at <> recorded.event_at
          AND (failed.at >= recorded.at + interval '1 minute' OR recorded.cause = '')
          AND (failed.at >= recorded.at + %(window)s OR recorded.cause IS DISTINCT FROM {CAUSE})
          AND (recorded.cause = '' OR NOT failed.is_muted))"""

# The stuck tasks, with what the ledger has of each.
_STUCK = f"""(
        SELECT tasks.id, {_ID} AS task_id, greatest({_SIGN_OF_LIFE}::timestamptz, '0001-01-02') AS event_at,
               tasks.updated_at, {_STUCK_STATUS} AS cause, {_LIMIT} AS allowed, NULL::tid[] AS replaced,
               '' AS user_key, false AS is_unstarted, NULL::timestamptz AS began
        FROM tasks WHERE {_IS_OF_USER} AND {_IS_STUCK}
    ) AS stuck
    LEFT JOIN {_record("'stuck'", "stuck.task_id")} ON true"""
# A stuck task is news if the destination was not notified of it in its present status, or it gave a sign of life since.
_IS_NEWLY_STUCK = """(recorded.at IS NULL OR recorded.cause <> stuck.cause
        OR stuck.event_at > greatest(recorded.event_at, recorded.notified_at - stuck.allowed))"""
STUCK_NEWS = f"""
    SELECT stuck.*, true AS is_news FROM {_STUCK} WHERE {_IS_NEWLY_STUCK}"""

# A reminder is due after SLACK_REMIND_MINUTES, then once stuck twice as long as at the last report, or a day later.
_IS_DUE = """(recorded.notified_at <= now() - interval '1 minute' * %(remind)s
        AND recorded.notified_at <= now() - least(interval '1 day', recorded.notified_at - recorded.event_at))"""
# One that is due brings all that are still stuck, but for those reported just now; only the due ones of very many.
REMINDER_NEWS = f"""
    SELECT * FROM (
        SELECT stuck.*, {_IS_DUE} OR bool_or({_IS_DUE}) OVER () AND count(*) OVER () < %(part)s AS is_news
        FROM {_STUCK} WHERE NOT {_IS_NEWLY_STUCK} AND recorded.notified_at < now() - interval '5 minutes'
    ) AS known WHERE is_news"""
REMINDER_LOOK = f"""
SELECT EXISTS (SELECT FROM slack_notifications AS recorded
    WHERE destination = %(destination)s AND alert = 'stuck' AND task_id <> '' AND {_IS_DUE}) AS has_news
"""

# Tasks that were reported as failed or stuck (`reported_as`) and have ended well lately. While a younger task is stuck
# in this one's former status, it merely got its turn: it and the alert's completeness are held (NULL), a day at most.
RECOVERED_NEWS = f"""
    SELECT ended.*, 'ended' AS cause,
           CASE WHEN recorded.ctid IS NULL OR recorded.cause = '' THEN false
               WHEN recorded.event_at > coalesce(((
                   SELECT json_object_agg(cause, newest) FROM (
                       SELECT {_STUCK_STATUS} AS cause, max({_SIGN_OF_LIFE})::timestamptz AS newest
                       FROM tasks WHERE {_IS_OF_USER} AND {_IS_STUCK} GROUP BY 1) AS stuck
                   ) ->> recorded.cause)::timestamptz, '-infinity')
                   OR ended.event_at < now() - interval '1 day' THEN true END AS is_news,
           CASE WHEN recorded.ctid IS NOT NULL
               THEN recorded.ctid || {_STUCK_ROW.format("ended.task_id")} END AS replaced,
           '' AS user_key, false AS is_unstarted, recorded.event_at AS began
    FROM (
        SELECT tasks.id, {_ID} AS task_id, {_CHANGED_AT} AS event_at, tasks.updated_at FROM tasks
        WHERE {_ENDED_WELL_LATELY} AND {_IS_OF_USER} AND {_IS_UNSEEN} AND EXISTS (
              SELECT FROM slack_notifications
              WHERE destination = %(destination)s AND alert = %(reported_as)s AND task_id <> '')
    ) AS ended
    LEFT JOIN {_record("%(reported_as)s", "ended.task_id")} ON true"""

# Tasks that may be news for a user's channel.
_TASKS_OF_USERS = f"""state AS (
    SELECT min({_COMPLETE}) - interval '{LATE_MINUTES} minutes' AS beginning, now() - interval '7 days' AS earliest
    FROM slack_notifications WHERE destination = '{USERS}' AND alert = ANY(%(alerts)s) AND task_id = ''
), task AS (
    SELECT 'failed' AS alert, user_api_key::text AS user_key, {_ID} AS task_id, {_CHANGED_AT} AS at, '' AS cause
    FROM tasks WHERE 'failed' = ANY(%(alerts)s) AND {_FAILED_LATELY}
    UNION ALL
    SELECT 'stuck', user_api_key::text, {_ID}, {_SIGN_OF_LIFE}::timestamptz, {_STUCK_STATUS}
    FROM tasks WHERE 'stuck' = ANY(%(alerts)s) AND {_IS_STUCK}
    UNION ALL
    SELECT 'ended', user_api_key::text, {_ID}, NULL, '' FROM tasks WHERE {_ENDED_WELL_LATELY}
)"""
# The users of these tasks, with a hash to match them by: the text of a statement may end up in the server's log.
ACTIVE_USERS = f"""
WITH {_TASKS_OF_USERS}
SELECT DISTINCT user_key, hashtextextended(user_key, 0)::text AS hash FROM task
"""
# The destinations of these users for which a claim would find something, and those that no run has finished.
USERS_WITH_NEWS = f"""
WITH {_TASKS_OF_USERS}
SELECT one.destination
FROM unnest(%(hashes)s::text[], %(destinations)s::text[]) AS one (hash, destination)
JOIN task ON hashtextextended(task.user_key, 0)::text = one.hash
LEFT JOIN slack_notifications AS recorded ON recorded.destination = one.destination
    AND recorded.task_id = task.task_id AND recorded.alert IN ('failed', 'stuck')
    AND task.alert IN ('ended', recorded.alert)
WHERE CASE task.alert WHEN 'ended' THEN recorded.task_id IS NOT NULL
    ELSE recorded.task_id IS NULL OR recorded.event_at <> task.at OR task.alert = 'stuck'
        AND (recorded.cause <> task.cause OR {_IS_DUE}) END
UNION
SELECT task_id FROM slack_notifications
WHERE destination = '{USERS}' AND alert = ANY(%(alerts)s) AND task_id <> ''
"""
# Notes that these destinations are not finished (each begins where all were complete), and that all others are.
BEGIN_USERS = f"""
WITH shared AS (
    SELECT alert, event_at FROM slack_notifications
    WHERE destination = '{USERS}' AND alert = ANY(%(alerts)s || '{{"",cause}}'::text[]) AND task_id = ''
), completed AS (
    UPDATE slack_notifications SET event_at = now()
    WHERE destination = '{USERS}' AND alert = ANY(%(alerts)s) AND task_id = ''
)""" + _missing(f"""
    SELECT destination, alert, '' AS task_id,
           greatest(event_at, (SELECT event_at FROM shared WHERE alert = '')) AS event_at
    FROM shared CROSS JOIN unnest(%(destinations)s::text[]) AS destination
    UNION ALL
    SELECT '{USERS}', alert, destination, event_at
    FROM shared CROSS JOIN unnest(%(destinations)s::text[]) AS destination WHERE alert = ANY(%(alerts)s)""")

# When a worker last did anything: started a task, or ended one. A failure that never started is what a checker of
# timeouts makes of tasks that wait. A time that lies more than an hour ahead is a mistake.
LAST_ACTIVITY = f"""
SELECT max(latest.at)::timestamptz AS last_activity FROM {_STATUSES} AS status CROSS JOIN LATERAL (
    SELECT greatest(updated_at, CASE WHEN started_at <= now() + interval '1 hour' THEN started_at END) AS at FROM tasks
    WHERE tasks.status = status.word AND updated_at <= now() + interval '1 hour'
      AND (word::text NOT IN ('queued', 'failed') OR started_at IS NOT NULL)
    ORDER BY tasks.updated_at DESC LIMIT 1) AS latest
"""

# Notes that a critical alert calls people: at most once an hour, but for a cause that was not reported within the hour.
CALL = f"""
WITH called AS (
    UPDATE slack_notifications SET notified_at = now()
    WHERE {_ALERT_ROW} AND (notified_at <= now() - interval '1 hour' OR %(is_new)s) RETURNING alert
)
SELECT EXISTS (SELECT FROM called) AS may_call
"""

# Deletes what the `cleaned` alerts recorded a week ago or earlier, but for tasks that are still stuck. The open tasks
# are joined as text, whatever the type of an id, and in no loop, as the server may not know how many there are.
CLEAN_UP = f"""
SET LOCAL enable_nestloop = off;
DELETE FROM slack_notifications WHERE ctid = ANY(ARRAY(
    SELECT old.ctid FROM slack_notifications AS old
    WHERE destination = %(destination)s AND alert = ANY(%(cleaned)s) AND task_id <> ''
      AND greatest(event_at, notified_at) < now() - interval '7 days'
      AND NOT EXISTS (SELECT FROM tasks WHERE {_ID} = old.task_id AND old.alert = 'stuck' AND {_IS_OPEN})
    LIMIT 10000 FOR UPDATE OF old SKIP LOCKED
))
"""

# Mutes failures whose error holds the words; 0 hours: ends that before any look begins, and the next run looks once
# more. Says how many of the last day hold the words. MUTED: what is muted now.
MUTE = f"""
INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at)
SELECT destination, 'muted', %(words)s, now() + interval '1 hour' * coalesce(nullif(%(hours)s, 0), -200), now()
FROM unnest(%(destinations)s::text[]) AS destination ORDER BY destination
{_REPLACE};
UPDATE slack_notifications SET times = NULL
WHERE %(hours)s = 0 AND destination = ANY(%(destinations)s) AND alert = 'failed' AND task_id = '';
SELECT now() + interval '1 hour' * %(hours)s AS until, count(*) AS matching FROM tasks
WHERE tasks.status::text = 'failed' AND tasks.updated_at >= now() - interval '1 day'
  AND strpos(lower({SHOWN_ERROR} COLLATE "default"), lower(%(words)s COLLATE "default")) > 0
"""
MUTED = """
SELECT DISTINCT task_id AS words, event_at AS until FROM slack_notifications
WHERE destination = ANY(%(destinations)s) AND alert = 'muted' AND event_at > now() ORDER BY event_at, task_id
"""

# For --explain: the task, what the ledger has of it and its destination, and whether a claim would find it.
TASK = f"""
SELECT {_SHOWN_TASK}, greatest({_CHANGED_AT}, '0001-01-02') AS changed_at, {_IS_OPEN} AS is_open,
       {_IS_STUCK} AS is_stuck, {_SIGN_OF_LIFE}::timestamptz + {_LIMIT} AS stuck_at, now() AS now
FROM tasks WHERE tasks.id::text = %(task_id)s LIMIT 1
"""
RECORDS = """
SELECT alert, task_id, event_at, notified_at, cause FROM slack_notifications
WHERE destination = %(destination)s AND (task_id = left(%(task_id)s, 500) OR alert IN ('', 'muted'))
ORDER BY notified_at
"""
_FOUND = "WITH {}, news AS ({}) SELECT cause FROM news WHERE task_id = left(%(task_id)s, 500)"
FOUND = {"failed": _FOUND.format(_STATE, FAILED_NEWS), "stuck": _FOUND.format(_STATE, STUCK_NEWS)}

# The session that locks tasks or the ledger as a whole, such as a migration; another run never does.
TABLE_LOCK = """
SELECT format('the table %s is locked by session %s (%s), a migration or VACUUM FULL?',
              relation::regclass, pid, coalesce(nullif(application_name, ''), 'unnamed')) AS reason
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'relation' AND relation IN (to_regclass('tasks'), to_regclass('slack_notifications'))
  AND granted AND pid <> pg_backend_pid()
  AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
ORDER BY mode, pid LIMIT 1
"""


# ---- Database --------------------------------------------------------------------------------------------------------


class Alert(NamedTuple):
    """A kind of alert: its name in the ledger, whose webhooks it goes to, the statements that look for news and claim
    it, its message. A recovery is of tasks that were `reported_as` failed or stuck. Its `followers` repeat or take back
    what an alert reports: they are never critical, and may wait."""

    name: str
    kind: str
    look: str
    claim: str
    message: Callable[[News, Limits, Style], Message]
    reported_as: str = ""
    followers: Sequence[Alert] = ()


# Failed tasks that ended well have HEALED, stuck ones RECOVERED.
_RECOVERY = (_look(RECOVERED_NEWS, "EXISTS (SELECT FROM news WHERE is_news IS NULL)"), _claim(RECOVERED_NEWS))
HEALED = Alert("healed", "failed", *_RECOVERY, healed_message, reported_as="failed")
RECOVERED = Alert("recovered", "stuck", *_RECOVERY, recovered_message, reported_as="stuck")
REMINDER = Alert("stuck", "stuck", REMINDER_LOOK, _claim(REMINDER_NEWS, _STUCK_FACTS), reminder_message)
_FAILED = (_look(FAILED_NEWS), _claim(FAILED_NEWS, _FAILED_FACTS), failed_message)
FAILED = Alert("failed", "failed", *_FAILED, followers=[HEALED])
_STUCK_ALERT = (_look(STUCK_NEWS), _claim(STUCK_NEWS, _STUCK_FACTS), stuck_message)
STUCK = Alert("stuck", "stuck", *_STUCK_ALERT, followers=[REMINDER, RECOVERED])
ALERTS = (FAILED, *FAILED.followers, STUCK, *STUCK.followers)

_doubt = partial(Finding, DOUBTFUL)
_BUSY = "Another run is reporting to this destination, or a session holds its rows in slack_notifications"
# Errors that trying again does not heal. The driver has no code for them, only the server's words.
_IS_FINAL_ERROR = 'password authentication failed|no password supplied|" does not exist|no pg_hba.conf entry'


def _moment(text: Any, cursor: Any) -> Any:
    """Reads a timestamptz; None where it lies beyond the years that Python knows."""
    with suppress(ValueError, OverflowError, psycopg2.Error):
        return psycopg2.extensions.PYDATETIMETZ(text, cursor)


_MOMENT = psycopg2.extensions.new_type((1184,), "MOMENT", _moment)


def _from_bytes(value: Any) -> Any:
    """Returns a text that was read byte by byte as the UTF-8 that it most likely is."""
    return value.encode("latin-1").decode(errors="replace") if isinstance(value, str) else value


class Ledger:
    """A connection to the database, its transactions, one at a time, and the claims that a run makes by them.

    All of it ends by the deadline. A failed connection is tried again after each of the `pauses` (seconds), one that
    breaks with the next transaction. Claims that are `paced` are rate-limited in a storm."""

    def __init__(self, url: str, deadline: Deadline, pauses: Sequence[float] = (), *, dry_run: bool = False) -> None:
        if not url:
            raise DatabaseError("DATABASE_URL environment variable not set")
        # Whether it looks for what is odd about the tasks, which a worker's call need not.
        self.thorough, self.is_indexed = False, False
        self.deadline, self.dry_run, self.paced = deadline, dry_run, False
        # What each transaction begins with; the names of the alerts that get state rows.
        self.opening: list[str] = []
        self.alerts: list[str] = []
        # See _CHANGED_SINCE and _IS_UNSEEN.
        self.nulls, self.version = False, AsIs("NULL")
        self.muted: Rows = []
        self.call_wait = CALL_LOCK_WAIT_SECONDS
        own = {"fallback_application_name": "slack_notifier", "connect_timeout": str(DATABASE_CONNECT_SECONDS)}
        self._options = {**own, **psycopg2.extensions.parse_dsn(url), "client_encoding": "UTF8"}
        self._connect(pauses)

    def another(self) -> Ledger:
        """Opens a second connection for the same run."""
        other = copy(self)
        other._connect(())
        return other

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._timer.ident:
            self._timer.join()
        self.connection.close()
        self._sockets.close()

    def _connect(self, pauses: Sequence[float]) -> None:
        for pause in (*pauses, None):
            try:
                self.connection = _run_within(self.deadline.seconds_left, lambda _: psycopg2.connect(**self._options))
                # The driver would wait for ever on a server that falls silent after the login.
                self._sockets = Sockets()
                self._sockets.add(self.connection)
                break
            except DeliveryError as error:
                reason, remedy = error.reason, ""
            except (psycopg2.Error, UnicodeDecodeError) as error:
                reason, remedy = self._words(error) or type(error).__name__, "check DATABASE_URL"
            unreachable = DatabaseError(f"Cannot connect to the database: {reason}", remedy)
            is_late = self.deadline.seconds_left < (pause or 0) + DATABASE_CONNECT_SECONDS
            if pause is None or is_late or re.search(_IS_FINAL_ERROR, reason):
                raise unreachable
            logger.warning("%s; trying again in %s s", unreachable, pause)
            sleep(pause)
        # BEGIN above opens the transactions, in one round trip with their settings.
        self.connection.autocommit = True
        # A server could send notices without end, and the driver would keep them.
        self.connection.notices = None
        psycopg2.extensions.register_type(_MOMENT, self.connection)
        self._timer = threading.Timer(self.deadline.seconds_left, self._sockets.cut)
        self._timer.daemon = True
        # Without a thread, only the server's own time-out ends a statement.
        _has_started(self._timer)
        # SQL_ASCII holds any bytes, and the server would refuse to send those that are no UTF-8.
        self.is_raw = self.connection.info.parameter_status("server_encoding") == "SQL_ASCII"
        if self.is_raw:
            self.connection.set_client_encoding("LATIN1")

    @contextmanager
    def transaction(self, *statements: str, until: Deadline | None = None, **parameters: object) -> Iterator[None]:
        """Runs the statements in one round trip with BEGIN, then the block; commits, or rolls back if that raises or
        sets `keeps` to False. DatabaseError: the tasks were not read; once it `has_posted`, a report not recorded."""
        if self.connection.closed:
            self.__exit__()
            self._connect(DATABASE_PAUSES_SECONDS)
        self.keeps, self.has_posted = not self.dry_run, False
        seconds = min((until or self.deadline).seconds_left, DATABASE_STATEMENT_SECONDS)
        own = {"alerts": self.alerts, "nulls": self.nulls, "version": self.version, "paced": self.paced, "user": ""}
        self.parameters = {
            **own,
            "columns": COLUMNS_READ,
            "window": timedelta(minutes=FAILED_WINDOW_MINUTES),
            **parameters,
            "hold_milliseconds": CLAIM_HOLD_SECONDS * 1000,
            "statement_milliseconds": int(seconds * 1000) + 1,
            "lock_milliseconds": int(min(seconds / 2, LOCK_WAIT_SECONDS) * 1000) + 1,
        }
        try:
            self._cursor = self.connection.cursor()
            self._cursor.execute(";".join([BEGIN, *self.opening, SERVER_SETTINGS, *statements]), self.parameters)
            yield
            self._cursor.execute("COMMIT" if self.keeps else "ROLLBACK")
        except BaseException as error:
            # The connection may be the very thing that broke; the server then rolls back by itself.
            with suppress(psycopg2.Error):
                self._cursor.execute("ROLLBACK")
            if isinstance(error, (psycopg2.Error, UnicodeDecodeError)):
                raise self._translated(error) from None
            raise

    def once_more_if_lost(self, action: Callable[[], Result]) -> Result:
        """Repeats the action once if the connection breaks, as it does when the server restarts."""
        try:
            return action()
        except DatabaseError as error:
            if not error.lost:
                raise
            logger.warning("%s; connecting again", error)
        return action()

    def text(self, value: str) -> str:
        """Returns a text as a parameter that the server compares with its own, byte by byte in SQL_ASCII."""
        return value.encode().decode("latin-1") if self.is_raw else value

    def rows(self) -> Rows:
        names = [column.name for column in self._cursor.description or ()]
        found = self._cursor.fetchall() if names else []
        if self.is_raw:
            found = [[_from_bytes(value) for value in row] for row in found]
        return [dict(zip(names, row)) for row in found]

    def fetch(self, *statements: str, seconds: float = DATABASE_STATEMENT_SECONDS, **parameters: object) -> Rows:
        """Returns the rows of the last statement; each may take `seconds`. The parameters stay for later ones."""
        limit = max(0.0, min(seconds, DATABASE_STATEMENT_SECONDS))
        self.parameters |= {**parameters, "statement_milliseconds": int(limit * 1000) + 1}
        self._cursor.execute(";".join([STATEMENT_TIMEOUT, *statements]), self.parameters)
        return self.rows()

    def optional_rows(self, name: str, statement: str, until: Deadline, **parameters: object) -> Rows:
        """Returns what an alert can do without, as a list of rows; [] where it fails or takes longer than that."""
        seconds = min(until.seconds_left, DETAILS_SECONDS)
        if seconds < LEAST_DETAILS_SECONDS:
            logger.warning("No time for %s: the run goes on without it", name)
            return []
        try:
            return self.fetch("SAVEPOINT optional_details", statement, seconds=seconds, **parameters)
        except psycopg2.Error as error:
            # This raises in turn where the connection is what broke.
            self._cursor.execute("ROLLBACK TO SAVEPOINT optional_details")
            logger.warning("Cannot find %s: the run goes on without it (%s)", name, self._words(error))
            return []

    def _words(self, error: Exception) -> str:
        """Returns the driver's words in one line, without the password, which they may quote."""
        # Without what libpq asks back: "Is the server running on that host …?"
        text = re.sub(r"\n\tIs the server running.*", "", re.split("\n(?:LINE|CONTEXT)", str(error))[0])
        password = self._options.get("password", "")
        # A word or a small number stays: "[masked] authentication failed" would tell it.
        if not re.fullmatch(r"(?s)[^\W\d_]{0,14}|\d{1,5}|.{1,3}", password):
            text = re.sub(rf"(?<!\w){re.escape(password)}(?!\w)", _MASK, text)
        return redact(one_line(text))

    def _translated(self, error: Exception) -> NotifierError:
        """Returns what an error of the driver means in this transaction."""
        reason, remedy = self._words(error), ""
        is_canceled = isinstance(error, psycopg2.errors.QueryCanceled)
        if isinstance(error, psycopg2.errors.LockNotAvailable):
            reason = self._table_lock()
            if not reason:
                return DatabaseError(_BUSY, busy=self.paced, cannot_read=False)
        if self._sockets.is_cut:
            reason = "no answer from the database in the time there was"
        elif is_canceled:
            remedy = "it took too long" + ("" if self.is_indexed else ", is the recommended index there?")
        step = "record what was reported, so the next run may report it again" if self.has_posted else "read the tasks"
        return DatabaseError(
            f"Cannot {step}: {reason}",
            remedy,
            lost=bool(self.connection.closed) and not self._sockets.is_cut,
            too_slow=is_canceled,
            cannot_read=not self.has_posted,
        )

    def _table_lock(self) -> str:
        """Returns in words who locks tasks or the ledger as a whole; '' where nobody does."""
        with suppress(psycopg2.Error):
            self._cursor.execute(TABLE_LOCK)
            return "".join(one_line(row["reason"]) for row in self.rows())
        return ""

    def read_state(self) -> Row:
        """Returns the row of STATE, which has just run; DatabaseError where this role cannot read the tasks."""
        (state,) = self.rows()
        role, found, self.is_indexed = state["role"], state["columns"] or {}, state["indexed"]
        missing = ", ".join(column for column in COLUMNS_READ if column not in found)
        forbidden = [column for column, facts in found.items() if not facts["readable"]]
        if not state["tasks"]:
            remedy = "is this the worker's database, its schema in the search_path, and USAGE on that granted?"
            raise DatabaseError(f"Cannot read the tasks: {role} finds no table tasks", remedy)
        if missing:
            raise DatabaseError(f"Cannot read the tasks: the table tasks lacks {missing}", "is it the worker's?")
        if forbidden:
            columns = ", ".join(sorted(forbidden, key=COLUMNS_READ.index))
            some = f" ({columns})" if len(forbidden) < len(COLUMNS_READ) else ""
            remedy = f"GRANT SELECT{some} ON tasks TO {role}"
            raise DatabaseError(f"Cannot read the tasks: {role} may not read {columns} of tasks", remedy)
        oddities = list(self._oddities(found)) if self.thorough else []
        return {**state, "oddities": oddities, "version": self.connection.server_version}

    def _oddities(self, columns: Mapping[str, Row]) -> Iterator[Finding]:
        """Yields what a run cannot read right in the table tasks. Nothing that fails here costs an alert."""
        no_times = [name for name in ("created_at", "updated_at", "started_at") if not columns[name]["is_time"]]
        if no_times:
            yield _doubt(f"No timestamps are in {', '.join(no_times)} of tasks", "make these columns timestamptz")
            return
        labels = columns["status"]["labels"]
        for words in (["failed"], ["queued", "in_progress", "inprogress"]):
            if labels and not {*words} & {*labels}:
                what = f"The enum of status has no {' or '.join(words)}: such tasks are NOT reported"
                yield _doubt(what, f"ALTER TYPE … RENAME VALUE … TO '{words[0]}', or ADD VALUE")
        statement = STATUSES if self.is_indexed else STATUSES_IN_ONE_SCAN
        statuses = self.optional_rows("what is odd in tasks", statement, self.deadline)
        yield from _odd_statuses([row["status"] for row in statuses])
        if any(row["undated"] and f"'{row['status']}'" in f"{_IS_OPEN}'failed'" for row in statuses):
            what = "updated_at is NULL in failed or open tasks: created_at counts for them"
            yield _doubt(what, "let the worker set updated_at with each change")
        moments = [row["at"] for row in statuses if row["at"]]
        if moments:
            yield from self._odd_clock(max(moments), statuses)

    def _odd_clock(self, newest: datetime, statuses: Rows) -> Iterator[Finding]:
        """Yields a finding if the newest change is hours ahead, or behind in a table that changed in each hour."""
        hours = (newest - statuses[0]["now"]) / timedelta(hours=1)
        what = f"The newest change in tasks is {plural(round(abs(hours)), 'hour')}"
        if hours > 1:
            yield _doubt(f"{what} in the future", "does the worker write UTC?")
        if hours < -1:
            names = [row["status"] for row in statuses]
            statement = BUSY_HOURS if self.is_indexed else BUSY_HOURS_IN_ONE_SCAN
            for row in self.optional_rows("how busy it was", statement, self.deadline, newest=newest, statuses=names):
                if row["busy_hours"] >= 22:
                    what += " old, and before it there was one in each hour"
                    yield _doubt(what, "does the worker write UTC? or has it stopped?")

    def open(self, alerts: Sequence[Alert], destinations: Sequence[str]) -> list[Finding]:
        """Creates or upgrades slack_notifications, and adds the state rows that the destinations lack for these alerts.
        Returns what is wrong all the same.

        Where the role may not write, transactions work with a temporary table and a finding says what to grant;
        DatabaseError where the server does not allow that, or if this is a call and the ledger is `busy`."""
        self.alerts = list(dict.fromkeys(alert.name for alert in alerts))
        with self.transaction(STATE, destinations=list(destinations)):
            state = self.read_state()
            found = list(doubts(state))
            is_temporary = bool(ledger_remedy(state)) or (self.dry_run and state["unborn"])
            if not (state["up_to_date"] or is_temporary or self.dry_run):
                (state,) = self.fetch(ALONE, CREATE_LEDGER, STATE) if state["unborn"] else self.fetch(ALONE, STATE)
            if self.paced and state["up_to_date"] and not is_temporary:
                self._check_pace(destinations)
            prepare = [LOCK_TIMEOUT, START] if state["up_to_date"] else [UPGRADE, START]
            if is_temporary:
                prepare = [CREATE_TEMPORARY_LEDGER, START]
            if is_temporary or self.dry_run:
                # What a dry run changes is rolled back with the rest of its transaction.
                self.opening = prepare
            if not is_temporary:
                self.muted = self.fetch(*prepare, MUTED)
            if state["has_versions"]:
                self.version = AsIs("tasks.xmin")
            self.nulls = state["columns"]["updated_at"]["nullable"]
        return found

    def _check_pace(self, destinations: Sequence[str]) -> None:
        """Raises DatabaseError, `busy`, if all these destinations are rate-limited, or the ledger is locked."""
        try:
            limited = self.fetch(RATE_LIMITED)
        except psycopg2.errors.LockNotAvailable:
            raise DatabaseError("The ledger is locked: a later run reports what failed", busy=True) from None
        if destinations and len(limited) == len(destinations):
            raise DatabaseError("Rate-limited in a storm: a later run reports what failed", busy=True)

    def users_with_news(self, settings: Settings, rules: Row) -> list[Destination]:
        """Returns the users' channels with news and those that an earlier run left unfinished; notes them as begun."""
        with self.transaction(ACTIVE_USERS, destinations=[USERS], **rules):
            hash_of = {row["user_key"]: row["hash"] for row in self.rows()}
            active = {channel.fingerprint: channel for channel in settings.user_destinations(hash_of)}
            hashes = [hash_of[channel.user] for channel in active.values()]
            rows = self.fetch(USERS_WITH_NEWS, hashes=hashes, destinations=list(active))
            found = {row["destination"] for row in rows}
            if not found <= active.keys():
                active = {channel.fingerprint: channel for channel in settings.user_destinations()}
            self.fetch(BEGIN_USERS, destinations=list(found & active.keys()))
            return [active[name] for name in found & active.keys()]

    @contextmanager
    def claim(self, alerts: Sequence[Alert], to: Destination, until: Deadline, rules: Row) -> Iterator[News | None]:
        """Claims the news of the first alert (`alert`) that has some for the destination, and holds it until the block
        ends; None where no alert has news or the claim is rate-limited. A claim whose connection breaks is made again;
        one that is too slow takes only the oldest tasks. DatabaseError if another run reports there."""
        own = {"destination": to.fingerprint, "destinations": [to.fingerprint], "user": self.text(to.user)}
        parameters = {**rules, **own, "part": CLAIM_TASKS, "with_facts": True}
        claim_by = until.before(POST_SECONDS)
        try:
            # Two fifths of the time are for a second try with fewer tasks.
            held, news = self.once_more_if_lost(lambda: self._claimed(alerts, parameters, claim_by, 0.4))
        except DatabaseError as error:
            if not error.too_slow:
                raise
            logger.warning("%s; trying again with at most %s tasks", error, CLAIM_FEW_TASKS)
            parameters |= {"part": CLAIM_FEW_TASKS, "with_facts": False}
            held, news = self._claimed(alerts, parameters, claim_by, 0)
        with held:
            yield news

    def _claimed(
        self, alerts: Sequence[Alert], parameters: Row, until: Deadline, spared: float
    ) -> tuple[ExitStack, News | None]:
        """Returns the open transaction and the news; without news, the transaction is over. A share is `spared`."""
        self.alert = alerts[0]
        with ExitStack() as transaction:
            transaction.enter_context(self.transaction(LOCK, until=until, **parameters))
            if not self._is_locked(until):
                return ExitStack(), None
            claimed_by = until.before(until.seconds_left * spared)
            for alert in alerts:
                self.alert = alert
                self.parameters |= {"alert": alert.name, "reported_as": alert.reported_as}
                # A worker calls because a task has failed, so it need not look.
                look = "SELECT true AS has_news" if self.paced and alert is FAILED else alert.look
                # Statements of their own see what the run has committed for which the lock has waited.
                statements = [MOVE_OLD_ROWS, look] if alert is alerts[0] else [look]
                (found,) = self.fetch(*statements, seconds=claimed_by.seconds_left)
                news = self._news(until, claimed_by) if found["has_news"] else None
                if news:
                    return transaction.pop_all(), news
        return ExitStack(), None

    def _is_locked(self, until: Deadline) -> bool:
        """Returns whether LOCK, which has just run, locks the row, perhaps after some tries; False if rate-limited."""
        wait = Deadline.after(min(until.seconds_left - 1, self.call_wait if self.paced else LOCK_WAIT_SECONDS))
        (state,) = self.rows()
        while not state["is_locked"]:
            if state["is_rate_limited"]:
                return False
            if not wait.seconds_left:
                # A call with many destinations does not wait for each of them.
                self.call_wait = 0.0
                raise DatabaseError(_BUSY, busy=self.paced, cannot_read=False)
            sleep(LOCK_PAUSE_SECONDS)
            (state,) = self.fetch(LOCK)
        return True

    def _news(self, until: Deadline, claimed_by: Deadline) -> News | None:
        """Claims what is news of the alert, then reads what its message can do without."""
        alert, started = self.alert, monotonic()
        first, *others = self.fetch(alert.claim, seconds=claimed_by.seconds_left)
        total, partial, claimed_at = first["claimed"], first["partial"], first["claimed_at"]
        logger.debug("Claimed %s in %.0f ms", plural(total, f"{alert.name} task"), (monotonic() - started) * 1000)
        if not total:
            return None
        tasks = [task for task in (first, *others) if task["id"] is not None]
        causes: dict[str, Row] = {}
        for task in sorted(tasks, key=lambda task: task["place"]):
            causes.setdefault(task["cause"], task)
        facts = {**(first["facts"] or {}), "never_started": first["never_started"], "muted": first["muted"]}
        if facts["never_started"] or "queued" in causes:
            facts.update(*self.optional_rows("whether workers are there", LAST_ACTIVITY, until))
        if not partial:
            # Not those of the other kind, whose look may begin a long time ago.
            cleaned = ["cause", "muted", *(other.name for other in ALERTS if other.kind == alert.kind)]
            self.optional_rows("old rows to delete", CLEAN_UP, until, cleaned=cleaned)
        is_late = alert is FAILED and first["oldest"] < claimed_at - timedelta(minutes=FAILED_WINDOW_MINUTES)
        others_reported = facts.get(alert.name, 0) > total and alert is not REMINDER
        shown = list(causes.values()) if alert is FAILED else ()
        times = (first["oldest"], first["complete"])
        since = first["span"] if is_late else None
        return News(tasks, total, claimed_at, since, shown, facts, others_reported, partial, *times)


def read_tasks(database_url: str, statement: str, timeout: float) -> Rows:
    """Returns the tasks that FAILED_TASKS or STUCK_TASKS finds; DatabaseError if they cannot be read."""
    limits = Limits(timeout, timeout)._asdict()
    with Ledger(database_url, Deadline.after(CALL_SECONDS)) as ledger, ledger.transaction(STATE, **limits):
        ledger.read_state()
        tasks = ledger.fetch(statement)
    if len(tasks) > READ_TASKS:
        logger.warning("More than %s tasks, only the first of them are returned", READ_TASKS)
    return tasks[:READ_TASKS]


def doubts(state: Row) -> Iterator[Finding]:
    """Yields what is wrong with a database in which a run works all the same; DatabaseError where it cannot."""
    if state["version"] < OLDEST_SERVER:
        yield Finding(BAD, "PostgreSQL is too old", "it must be 14 or newer")
    yield from state["oddities"]
    if state["standby"]:
        raise DatabaseError("The database is a read-only standby", "use the primary (?target_session_attrs=read-write)")
    if state["row_security"]:
        remedy = f"ALTER ROLE {state['role']} BYPASSRLS, or use the owner of tasks"
        yield _doubt("Row-level security may hide tasks", remedy)
    remedy = ledger_remedy(state)
    if remedy and not state["may_create_temporary"]:
        raise DatabaseError("The role may create no table, not even a temporary one", remedy)
    if remedy:
        yield Finding(BAD, "Cannot remember what was reported, so alerts repeat with every run", remedy)


def mutes_of(ledger: Ledger) -> Iterator[Finding]:
    for row in ledger.muted:
        what = f"Muted until {format_time(row['until'])}: failures whose error holds '{redact(one_line(row['words']))}'"
        yield _doubt(what, "--mute with the same words and --for 0 ends it")


def _odd_statuses(found: Sequence[str]) -> Iterator[Finding]:
    """Yields which statuses are ours in another spelling, and which are none of ours."""
    known = re.findall(r"'(\w+)'", f"{_IS_OPEN} 'failed' {_ENDED_UNFAILED}")
    alike = {word.replace("_", ""): word for word in reversed(known)}
    meant = {word: alike.get(re.sub(r"[\s_-]", "", word).lower(), "") for word in found if word not in known}
    if any(meant.values()):
        what = f"Statuses in another spelling, such tasks are NOT reported: {_quoted(filter(meant.get, meant))}"
        yield _doubt(what, f"the worker must write {_quoted(dict.fromkeys(filter(None, meant.values())))}")
    if not all(meant.values()):
        unknown = _quoted(word for word in meant if not meant[word])
        what = f"Unknown statuses, such tasks are neither stuck nor failed nor recovered: {unknown}"
        yield _doubt(what, f"known are {', '.join(known)}")


def _quoted(words: Iterable[str]) -> str:
    shown = [repr(shorten(redact(word), 40)) for word in words]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def ledger_remedy(state: Row) -> str:
    """Returns what has to be done before the ledger can be used; '' where it can."""
    role = state["role"]
    if state["read_only"]:
        return f"ALTER ROLE {role} SET default_transaction_read_only = off"
    if state["unborn"]:
        schema = state["schema"] or "public"
        return "" if state["may_create"] else f"GRANT CREATE ON SCHEMA {schema} TO {role}"
    if not state["writable"]:
        return f"GRANT SELECT, INSERT, UPDATE, DELETE ON slack_notifications TO {role}"
    return "" if state["up_to_date"] or state["owned"] else UPGRADE


# ---- Delivery --------------------------------------------------------------------------------------------------------


def _may_be_logged(record: logging.LogRecord) -> bool:
    """Filters what urllib3 logs: of our requests only the host, as the other records hold the webhook's path."""
    return threading.get_ident() not in _delivering or str(record.msg).startswith("Starting new HTTP")


# Slack's error words and what to do about each; none of them heals by itself.
# https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors
_NEW_WEBHOOK = "create a new webhook and put its URL into the setting"
_SLACK_ADVICE = {
    "invalid_payload": "Slack could not read the message: is your own text escaped? Else please report a bug",
    "no_text": "the message was empty",
    "channel_not_found": f"the channel was deleted or the app lost access to it: invite the app, or {_NEW_WEBHOOK}",
    "channel_is_archived": f"the channel is archived: unarchive it, or {_NEW_WEBHOOK}",
    "action_prohibited": "a restriction of the workspace forbids it, ask its admin",
    "posting_to_general_channel_denied": "the webhook's creator may not post to #general, use another channel",
    "invalid_token": f"the URL is wrong or was revoked, {_NEW_WEBHOOK}",
    "no_service": f"the webhook was removed or disabled, {_NEW_WEBHOOK}",
    "no_active_hooks": f"the webhook is disabled, {_NEW_WEBHOOK}",
}
_LAYOUT_REFUSED = ("invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long")
# Errors of the mail server and what to do about each.
_MAIL_ADVICE = {
    "SMTPAuthenticationError": "the server does not accept the login of SMTP_URL",
    "SMTPNotSupportedError": "the server offers no STARTTLS, or no login: check the port of SMTP_URL",
    "SMTPSenderRefused": "the server does not accept ALERT_EMAIL_FROM",
    "SMTPRecipientsRefused": "the server accepts no address of ALERT_EMAIL_TO",
    "SSLCertVerificationError": "the server's certificate was not accepted",
    "SSLError": "no TLS connection: is it smtp:// instead of smtps://, or another port?",
    "gaierror": "there is no such host, check SMTP_URL",
    "ConnectionRefusedError": "no server answers there",
}
_PLAIN_WORD = r"(?:[aAI]|(?:[A-Z][a-z]|[a-z]{2})[a-z]{0,14}(?:['_-][a-z]{1,15})*|[A-Z]{2,9}|-?\d[\d.]{1,5})[.!?]?"


def deliver(webhook: str, message: Message, until: Deadline, least_seconds: float = POST_SECONDS) -> None:
    """Delivers the message by then or raises DeliveryError. Where its layout or length is refused, less of it goes out.

    A failure that may heal is followed by another attempt, with growing pauses, while `least_seconds` are left for it.
    One that may have arrived is not sent again here: a webhook has no key by which Slack could recognise a repeat."""
    pauses = iter(WEBHOOK_PAUSES_SECONDS)
    while True:
        try:
            _post(webhook, message.payload(), until)
            return
        except DeliveryError as error:
            is_too_long = error.length_refused and len(message.text) > OTHERS_TEXT_CHARACTERS
            if (is_too_long or (error.layout_refused and message.blocks)) and until.seconds_left >= least_seconds:
                logger.error("Slack refused the message's layout (%s): sending it as text only", error.reason)
                text = shorten(message.text, OTHERS_TEXT_CHARACTERS - 3) if is_too_long else message.text
                message = Message(text, [])
                continue
            wait = max(next(pauses, NEVER), error.retry_after)
            if until.seconds_left < wait + least_seconds:
                raise
        sleep(wait)


def _post(webhook: str, payload: Mapping[str, Any], until: Deadline) -> None:
    refusal = _refusal(*_request("POST", webhook, until, payload), webhook)
    if refusal:
        raise refusal


def _refusal(status: int, headers: Mapping[str, str], body: str, webhook: str) -> DeliveryError | None:
    """Returns the error that an answer means; None where the message was accepted, which Slack says with an "ok".
    Slack gives one error several statuses, so its word decides first."""
    word = body.strip()
    if (status, word) == (200, "ok") or (200 <= status < 300 and not _is_slack(webhook)):
        return None
    if word in _LAYOUT_REFUSED:
        return DeliveryError(f"HTTP {status} {word}", layout_refused=True)
    if word in _SLACK_ADVICE:
        return DeliveryError(f"HTTP {status} {word}", _SLACK_ADVICE[word], word=word)
    reason = f"HTTP {status} {_plain_words(body, webhook)}".rstrip()
    if status == 429:
        seconds = re.match(r"\s*([0-9]{1,9})", headers.get("Retry-After", ""))
        return DeliveryError(f"{reason} (rate limited)", retry_after=int(seconds[1]) if seconds else 0)
    if status >= 500:
        # Slack has answered an invalid layout so, too.
        return DeliveryError(reason, retry_after=0, layout_refused=status == 500 and not word)
    remedy = "the URL redirects elsewhere, is it the webhook's?" if 300 <= status < 400 else "check the webhook's URL"
    remedy = _host_settings("http_proxy|all_proxy") if status == 407 else remedy
    return DeliveryError(reason, remedy, length_refused=status == 400 and not _is_slack(webhook))


def _plain_words(text: str, secret: str) -> str:
    """Returns the plain words and small numbers of a server's text; the rest may quote the secret and is masked."""
    from urllib.parse import unquote

    # All of Slack's addresses have "services" in them, and many errors have the word.
    known = f"{secret} {unquote(secret)}".casefold().replace("/services/", "/")

    def shown(found: re.Match[str]) -> str:
        word = found[0].casefold()
        is_quoted = len(word) > 3 and any(word[start : start + 8] in known for start in range(max(1, len(word) - 7)))
        return found[0] if re.fullmatch(_PLAIN_WORD, found[0]) and not is_quoted else _MASK

    without_markup = re.sub(r"<[^<>]*>|\(_ssl\.c:\d+\)?", " ", one_line(text))
    text = re.sub(r"[^\s\"'<>{}\[\](),;:]+", shown, without_markup)
    text = re.sub(rf"(?:{re.escape(_MASK)}[^\w\[]*){{2,}}", f"{_MASK} ", text)
    return shorten(" ".join(text.split()), 100)


def _innermost_cause(error: Exception, secret: str) -> str:
    """Returns the plain words of the last part of an error's text, which is its innermost cause; else all of them."""
    words = _plain_words(re.split(r"[\]:] |\(b?'|, b?'", str(error))[-1].strip("'\")}"), secret)
    return words if words != _MASK else _plain_words(getattr(error, "strerror", None) or str(error), secret)


@contextmanager
def _untraced() -> Iterator[None]:
    """Hides a request from the tracing libraries that the host program has loaded: they record all of its URL."""
    telemetry, sentry = map(sys.modules.get, ("opentelemetry.instrumentation.utils", "sentry_sdk"))
    untraced = getattr(telemetry, "suppress_instrumentation", nullcontext)
    with untraced(), getattr(sentry, "new_scope", nullcontext)() as scope:
        if sentry and scope:
            scope.set_client(sentry.Client(default_integrations=False, auto_enabling_integrations=False))
        yield


def _request(method: str, url: str, until: Deadline, payload: object = None) -> tuple[int, Mapping[str, str], str]:
    """Returns status, headers and the start of the body of an answer; DeliveryError if there is none by then."""
    timeout = (min(WEBHOOK_CONNECT_SECONDS, until.seconds_left), min(WEBHOOK_READ_SECONDS, until.seconds_left))
    for name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_may_be_logged)

    def send(sockets: Sockets) -> tuple[int, Mapping[str, str], str]:
        # Loaded late, as most runs post nothing. On a busy machine that may take all the time there was.
        import requests

        # A compressed answer of a few bytes could become endlessly many.
        headers = {**requests.utils.default_headers(), "Accept-Encoding": "identity"}
        request = requests.Request(method, url, headers, json=payload).prepare()
        options: Any = {"timeout": timeout, **requests.Session().merge_environment_settings(url, {}, True, None, None)}
        if payload is not None and until.seconds_left < LEAST_POST_SECONDS:
            raise DeliveryError("no time left for it in this run")
        # A session would follow a redirect, where a POST becomes a GET that finds a friendly 200, or load all of it.
        with closing(_adapter(sockets)) as adapter, _untraced(), adapter.send(request, **options) as response:
            # The first lines of a refusal say enough. Other hosts than Slack's accept by the status alone.
            body, is_accepted = b"", response.status_code < 300 and not _is_slack(url)
            with suppress(Exception) if is_accepted else nullcontext():
                body = response.raw.read(500, decode_content=False)
            return response.status_code, response.headers, body.decode(errors="replace")

    # The exceptions' own texts and their chains hold the webhook's path.
    return _run_within(until.seconds_left, send, lambda error, sockets: _network_error(error, url, sockets.ready))


def _adapter(sockets: Sockets) -> Any:
    """Returns an adapter whose sockets can be cut and whose connections print nothing."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
            pool: Any = super().get_connection_with_tls_context(*args, **options)

            class Watched(pool.ConnectionCls):  # type: ignore[misc]
                # The debug output of http.client holds the path.
                debuglevel = 0

                def connect(self) -> None:
                    super().connect()
                    sockets.ready = True

                def _new_conn(self) -> Any:
                    connection = super()._new_conn()
                    sockets.add(connection)
                    return connection

            pool.ConnectionCls = Watched
            return pool

    return Adapter()


def _network_error(error: Exception, url: str, was_connected: bool) -> DeliveryError:
    """Returns the error for a request without an answer. Only before there is a connection nothing can have arrived."""
    reason = getattr(error.args[0] if error.args else None, "reason", None) or error
    kind, words = type(reason).__name__, _innermost_cause(reason, url)
    if was_connected:
        words = "no answer in time" if kind.startswith("ReadTimeout") else f"connection lost ({words or kind})"
        return DeliveryError(words, may_have_arrived=True)
    if kind in ("InvalidJSONError", "TypeError"):
        return DeliveryError(f"the message cannot be used ({words})")
    if isinstance(error, ModuleNotFoundError):
        return DeliveryError(f"no connection ({words})", f"{sys.executable} -m pip install {error.name}")
    heals = kind in ("ConnectTimeoutError", "NewConnectionError", "NameResolutionError", "ProxyError")
    is_wrong = isinstance(error, ValueError)
    proxies = f"{url.partition(':')[0].lower()}_proxy|all_proxy"
    remedy = _host_settings(proxies if heals or is_wrong else f"{proxies}|(requests|curl)_ca_bundle|sslkeylogfile")
    if kind == "SSLError":
        remedy = f"is the certificate right, does the server speak https? {remedy}".rstrip()
        return DeliveryError(f"no TLS connection ({words})", remedy)
    if is_wrong:
        return DeliveryError(f"the URL cannot be used ({words or kind})", remedy)
    if type(reason.__context__).__name__ == "gaierror":
        words = "there is no such host"
    return DeliveryError(f"no connection ({words or kind})", remedy, retry_after=0 if heals else NEVER)


def _host_settings(names: str) -> str:
    """Asks whether these variables of the host, by which it changes connections, are wrong; '' where none is set."""
    found = sorted(name for name in os.environ if re.fullmatch(names, name.lower()) and os.environ[name])
    return f"is {' or '.join(found)} wrong?" if found else ""


def send_email(email: Email, message: Message | None, reason: str, until: Deadline) -> None:
    """Mails the message as text by then, or raises DeliveryError. Without a message it only logs in."""

    def explain(error: Exception, _: Sockets) -> DeliveryError:
        kind, words = type(error).__name__, _innermost_cause(error, email.smtp_url)
        remedy = _host_settings("ssl_cert_(file|dir)") if kind == "SSLCertVerificationError" else ""
        return DeliveryError(f"{_MAIL_ADVICE.get(kind, kind)} ({words})", remedy)

    _run_within(until.seconds_left, lambda sockets: _smtp(email, message, reason, until, sockets), explain)


def _smtp(email: Email, message: Message | None, reason: str, until: Deadline, sockets: Sockets) -> None:
    """Connects to the mail server, always with TLS, logs in and hands over the message."""
    import smtplib
    import socket
    import ssl
    from email.message import EmailMessage
    from urllib.parse import unquote, urlsplit

    address = urlsplit(email.smtp_url)
    is_smtps = address.scheme == "smtps"
    # Unlike the default context, this one opens no file that SSLKEYLOGFILE names.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_default_certs()

    class Server(smtplib.SMTP):
        def _get_socket(self, host: str, port: int, timeout: float) -> Any:
            connection = socket.create_connection((host, port), timeout)
            sockets.add(connection)
            return tls.wrap_socket(connection, server_hostname=host) if is_smtps else connection

    port = address.port or (465 if is_smtps else 587)
    # The deadline cuts the sockets before they time out, so a server that hangs is out of time.
    with closing(Server(address.hostname or "", port, timeout=until.seconds_left + LEEWAY_SECONDS)) as server:
        if not is_smtps:
            # Raises where the server has no TLS: neither the password nor the alert travels in the open.
            server.starttls(context=tls)
        if address.username:
            server.login(unquote(address.username), unquote(address.password or ""))
        if message:
            mail = EmailMessage()
            mail["Subject"] = plain(message.text.partition("\n")[0])
            mail["From"], mail["To"] = email.sender, ", ".join(email.to)
            mail.set_content(f"{plain(message.text)}\n\nSent by e-mail because Slack did not take it: {reason}\n")
            refused = server.send_message(mail)
            if refused:
                logger.warning("E-mail refused for %s", ", ".join(refused))
        # The answer does not matter: what was accepted is accepted.
        with suppress(OSError, MemoryError):
            server.putcmd("quit")


def preview_as_text(message: Message) -> str:
    """Returns what the blocks show, as they have room for more tasks than the text."""
    rows = [block.get("fields") or block.get("elements") or [block["text"]] for block in message.blocks]
    text = "\n".join(" | ".join(_without_bold(content["text"]) for content in row) for row in rows)
    return plain(text or message.text) + "\n"


class Outbox:
    """The way out for a run's messages: a webhook, an e-mail where that fails; or, with a `preview`, stdout."""

    def __init__(self, email: Email | None, preview: Preview | None = None) -> None:
        self._email = email
        self._preview = preview
        self._mailed: set[str] = set()
        self._mail_error = ""
        self._lock = threading.Lock()

    def post(self, to: Destination, message: Message, subject: str, until: Deadline, *, or_mail: bool = False) -> None:
        """Posts the message by then, or mails it if `or_mail`; DeliveryError if both fail. Logs it as `subject`."""
        if self._preview:
            _print(self._preview(message))
            return
        has_backup = or_mail and self._email is not None
        # If there is too little time for both, Slack goes first.
        for_mail = min(EMAIL_SECONDS, max(0.0, until.seconds_left - POST_SECONDS)) if has_backup else 0
        try:
            deliver(to.webhook, message, until.before(for_mail), POST_SECONDS if or_mail else LEAST_POST_SECONDS)
            logger.info("Slack message sent successfully: %s to %s", subject, to)
        except DeliveryError as error:
            text = f"Failed to send Slack message: {subject} to {to}: {error}"
            if not has_backup:
                raise DeliveryError(text) from None
            logger.error("%s", text)
            self.mail(message, str(error), until)

    def mail(self, message: Message, reason: str, until: Deadline) -> None:
        """Mails the message by then, once for all its destinations; DeliveryError if that fails. A server that failed
        uses up no other destination's time; where it had too little, the next one tries it again."""
        if not self._email:
            return
        if not self._lock.acquire(timeout=until.seconds_left):
            raise DeliveryError("Failed to send the e-mail as well: no time left after another e-mail of this run")
        try:
            # The last line is left out because it is the time of the report.
            content = message.text.rpartition("\n")[0]
            if content in self._mailed:
                return
            if self._mail_error:
                raise DeliveryError(self._mail_error)
            # The webhook may have taken a moment more than its own time.
            is_enough = until.seconds_left > EMAIL_SECONDS - LEEWAY_SECONDS
            try:
                send_email(self._email, message, reason, until.capped(EMAIL_SECONDS))
            except DeliveryError as error:
                text = f"Failed to send the e-mail as well: {error}"
                if is_enough or not error.late:
                    self._mail_error = text
                raise DeliveryError(text) from None
            self._mailed.add(content)
            logger.warning("Alert sent by e-mail instead")
        finally:
            self._lock.release()


def _print(text: str) -> None:
    if sys.stdout is None:
        raise DeliveryError("Cannot write to the standard output: it is closed")
    try:
        print(text, flush=True)
    except (OSError, ValueError) as error:
        if __name__ == "__main__":
            # Python would complain once more, of what is left to write, when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that has enough, as in `--dry-run | head`, is no error.
        if not isinstance(error, BrokenPipeError):
            raise DeliveryError(f"Cannot write to the standard output: {getattr(error, 'strerror', error)}") from None


# ---- Run -------------------------------------------------------------------------------------------------------------


class Outcome:
    """The result of an attempt, which is the block below `with`: its errors end here, at the public edge. `total`:
    tasks in the reports. `error`: what went wrong, in one line that was logged. `cannot_read`: the tasks were not read.
    What a call leaves to another run (`busy`) is no error."""

    total = 0
    error: str | None = None
    cannot_read = False

    def __enter__(self) -> Outcome:
        return self

    def __exit__(self, kind: object, error: BaseException | None, stack: object) -> bool:
        if not isinstance(error, Exception) or _comes_from_a_signal_handler(error):
            return False
        if isinstance(error, DatabaseError) and error.busy:
            logger.info("%s", error)
            return True
        self.cannot_read = isinstance(error, DatabaseError) and error.cannot_read
        if isinstance(error, NotifierError):
            self.error = str(error)
        else:
            # A bug, of which the worker must not die. Its text may hold a secret; its kind and its place here do not.
            lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_globals is globals()]
            self.error = f"Unexpected {type(error).__name__} at slack_notifier.py:{lines[-1]}"
            logger.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
        logger.error("%s", self.error)
        return True

    def add(self, other: Outcome) -> None:
        """Adds the outcome for another destination of the same alert."""
        self.total = max(self.total, other.total)
        self.error = self.error or other.error
        self.cannot_read = self.cannot_read or other.cannot_read


def _comes_from_a_signal_handler(error: Exception) -> bool:
    """Returns whether a signal handler of the program that called us raised the error, such as a task queue's time
    limit: in its traceback, only a handler's frame was given the frame before it, which the signal interrupted."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    given = [(frame, value) for frame, called in zip(frames, frames[1:]) for value in called.f_locals.values()]
    return any(frame is one for frame, value in given for one in (value if isinstance(value, tuple) else [value]))


def _log(record: logging.LogRecord) -> None:
    """Logs for the program that called us: a handler or filter of it that raises ends no call, and repeats no alert."""
    try:
        type(logger).handle(logger, record)
    except Exception as error:
        if _comes_from_a_signal_handler(error):
            raise


logger.handle = _log  # type: ignore[method-assign]


class Run:
    """One run, from the settings to its outcome. All that changes meanwhile is here and nowhere else.

    With a `preview` it is a dry run, which prints that of each message. `timeout` is in minutes. A `patient` run,
    the monitor's, waits for a database that is away. Any other one about failures is rate-limited in a storm."""

    def __init__(self, settings: Settings, seconds: float, preview: Preview | None, timeout: float) -> None:
        self.settings = settings
        self.deadline = Deadline.after(seconds - LEEWAY_SECONDS)
        self.timeout_minutes = timeout
        # Failed tasks are reported also if the timeout is none.
        self.limits = settings.limits(DEFAULT_TIMEOUT_MINUTES)
        with suppress(SettingError):
            self.limits = settings.limits(timeout)
        # What the statements need to know.
        self.rules = {**self.limits._asdict(), "remind": settings.remind_minutes or None}
        self.dry_run = preview is not None
        self.patient = False
        self.outbox = Outbox(settings.email, preview)
        self.outcomes: dict[str, Outcome] = {}
        self._lock = threading.Lock()

    def watch(self, alerts: Sequence[Alert]) -> list[Outcome]:
        """Runs as the monitor: reports, says so where the tasks cannot be read, and sends the heartbeat."""
        started = monotonic()
        self.patient = True
        outcomes = self.report(alerts, self.deadline.before(CANNOT_READ_SECONDS))
        errors = [outcome.error for outcome in outcomes if outcome.cannot_read and outcome.error]
        with Outcome() as said:
            note, now = Note(str([alert.kind for alert in alerts]), self.settings, alerts), datetime.now(timezone.utc)
            if errors:
                seconds = round(monotonic() - started)
                self.say(alerts, note, cannot_read_message(errors[0], seconds, now, self.settings.environment))
            elif note.times and not self.dry_run:
                message = can_read_message(note.times[0], now, self.settings.environment)
                if self._say(alerts, message):
                    note.write()
        outcomes[-1].add(said)
        with Outcome():
            self.send_heartbeat(good=not any(outcome.error for outcome in outcomes))
        return outcomes

    def report(self, alerts: Sequence[Alert], until: Deadline | None = None) -> list[Outcome]:
        """Reports each alert to each of its destinations; returns an outcome for each alert."""
        until = until or self.deadline
        whole = Outcome()
        if not self.has_destinations():
            whole.error = NO_WEBHOOK
            return [whole] * len(alerts)
        with whole:
            work, wanted = self.work(alerts)
            pauses = DATABASE_PAUSES_SECONDS if self.patient else ()
            with Ledger(self.settings.database_url, until, pauses, dry_run=self.dry_run) as ledger:
                ledger.thorough, ledger.paced = self.patient, FAILED in alerts and not self.patient
                for doubt in [*ledger.once_more_if_lost(lambda: self.open(ledger, work, wanted)), *mutes_of(ledger)]:
                    logger.warning("%s: %s", doubt.what, doubt.remedy)
                if self.settings.user_webhooks and wanted:
                    # If those with news cannot be found, the others are served.
                    with Outcome() as search:
                        work |= dict.fromkeys(ledger.users_with_news(self.settings, self.rules), wanted)
                    self._add(search, wanted)
                self._report_all(ledger, deque(work.items()), until)
        return [whole] * len(alerts) if whole.error else list(self.outcomes.values())

    def open(self, ledger: Ledger, work: Iterable[Destination], alerts: Sequence[Alert]) -> list[Finding]:
        """Opens the ledger for these destinations, and for the row that users' channels share."""
        names = [destination.fingerprint for destination in work]
        return ledger.open(alerts, [*names, USERS] if self.settings.user_webhooks else names)

    def work(self, alerts: Sequence[Alert]) -> tuple[dict[Destination, list[Alert]], list[Alert]]:
        """Returns the alerts of each destination of the settings, and all of them, for the users' channels. An alert
        that can go nowhere has its outcome at once."""
        work: dict[Destination, list[Alert]] = {}
        wanted: list[Alert] = []
        for alert in alerts:
            with Outcome() as outcome:
                if alert is STUCK:
                    self.settings.limits(self.timeout_minutes)
                chain = [alert, *alert.followers]
                chain = [one for one in chain if self.settings.notify_on_recovery or not one.reported_as]
                for destination in self.destinations(alert.kind):
                    work.setdefault(destination, []).extend(chain)
                wanted += chain
            self.outcomes.setdefault(alert.kind, Outcome()).add(outcome)
        return work, wanted

    def _add(self, outcome: Outcome, alerts: Iterable[Alert]) -> None:
        with self._lock:
            for kind in {alert.kind for alert in alerts}:
                self.outcomes[kind].add(outcome)

    def _report_all(self, ledger: Ledger, queue: deque[tuple[Destination, list[Alert]]], until: Deadline) -> None:
        """Reports to one destination after the other; a run does many in threads, each with its own connection."""
        workers = min(MAX_CONNECTIONS if self.patient else 1, -(-len(queue) // DESTINATIONS_FOR_A_CONNECTION))
        if len(queue) > DESTINATIONS_FOR_A_CONNECTION:
            # In another order each time, as destinations that hang take the time of those behind them.
            from random import shuffle

            shuffle(queue)

        def report_queue(ledger: Ledger) -> None:
            with suppress(IndexError):
                while until.seconds_left >= POST_SECONDS + COMMIT_SECONDS:
                    share = until.seconds_left * workers / max(1, len(queue))
                    destination, alerts = queue.popleft()
                    self._report_to(ledger, destination, alerts, until, max(share, LEAST_SHARE_SECONDS))

        def help_out() -> None:
            with Outcome(), ledger.another() as other:
                report_queue(other)

        threads = [threading.Thread(target=help_out, daemon=True) for _ in range(workers - 1)]
        # Where no more threads are to be had, those that there are do it.
        helpers = [thread for thread in threads if _has_started(thread)]
        report_queue(ledger)
        for helper in helpers:
            helper.join()
        if queue:
            left = f"{plural(len(queue), 'destination')}, such as {queue[0][0]}"
            with Outcome() as late:
                raise DeliveryError(f"No time left to notify {left}: the next run does")
            self._add(late, queue[0][1])

    def _report_to(
        self, ledger: Ledger, destination: Destination, alerts: Sequence[Alert], until: Deadline, seconds: float
    ) -> None:
        """Reports the alerts to one destination, each for at most `seconds`; after one that fails, none of its kind."""
        totals = {alert.kind: 0 for alert in alerts}
        while alerts:
            outcome = Outcome()
            ledger.alert = alerts[0]
            reported = self._report_first(ledger, destination, alerts, until.capped(seconds), outcome)
            kind = ledger.alert.kind
            totals[kind] += outcome.total
            outcome.total = totals[kind]
            self._add(outcome, [ledger.alert])
            if not reported and not outcome.error:
                return
            later = alerts[alerts.index(ledger.alert) + 1 :]
            alerts = [alert for alert in later if not outcome.error or alert.kind != kind]

    def _report_first(
        self, ledger: Ledger, destination: Destination, alerts: Sequence[Alert], until: Deadline, outcome: Outcome
    ) -> bool:
        """Reports to the destination the first of the alerts that has news; False where none has. In one transaction:

        1. Lock the destination's state row, so that one run at a time reports to it.
        2. Look for news, alert by alert, and claim that of the first that has some by recording it in the ledger; else
           commit. The claim returns the tasks to be listed, their causes and the figures.
        3. Look whether workers are there, and forget old rows: the alert can do without.
        4. In quiet hours, or while failures are in their grace, leave what is not critical for later: roll back.
        5. Note whom it calls, build the message and post it, or mail it where the webhook does not take it.
        6. Commit. Nothing else stands between Slack's answer and the commit.

        A crash or an error before Slack's answer rolls back, so the next run reports the same tasks; one between the
        answer and the commit makes the next run repeat the message. Steps 1 to 3 are Ledger.claim()."""
        with outcome:
            if until.seconds_left < POST_SECONDS + COMMIT_SECONDS:
                late = [alert for alert in alerts if alert.followers]
                if not late:
                    return False
                ledger.alert = late[0]
                raise DeliveryError(f"No time left to notify {destination} of {late[0].name} tasks: the next run does")
            with ledger.claim(alerts, destination, until, self.rules) as news:
                if news:
                    outcome.total = 0 if ledger.alert.reported_as else news.total
                    ledger.keeps = self._deliver(ledger, destination, news, until) and not self.dry_run
                return news is not None
        return False

    def _deliver(self, ledger: Ledger, destination: Destination, news: News, until: Deadline) -> bool:
        """Posts or mails the message of a claim; False where it waits."""
        alert, settings = ledger.alert, self.settings
        subject = plural(news.total, f"{alert.name} task")
        critical, wait = self.urgency(alert, news)
        if wait:
            logger.info("%s: %s kept for later", wait, subject)
            return False
        mention = settings.critical_mention if critical else ""
        if mention:
            is_new = any(not cause["is_recent"] for cause in news.causes)
            for call in ledger.optional_rows("who was called", CALL, until, is_new=is_new):
                mention = mention if call["may_call"] else ""
        style = Style(settings.task_template, mention, settings.environment, critical)
        message = alert.message(news, self.limits, style)
        post_by = until.before(COMMIT_SECONDS).capped(DELIVERY_SECONDS)
        if post_by.seconds_left < LEAST_POST_SECONDS:
            raise DeliveryError(f"No time left to notify {destination} of {subject}: the next run does")
        ledger.has_posted = True
        self.outbox.post(destination, message, subject, post_by, or_mail=True)
        return True

    def urgency(self, alert: Alert, news: News) -> tuple[str, str]:
        """Returns why an alert is critical, and why one that is not waits for a later run; '' where it is not so. A
        task that fails again and again ends the grace too: the alert has not been complete for too long."""
        settings, critical = self.settings, ""
        if alert.followers:
            critical = critical_reason(news, self.limits, settings.critical_count, settings.critical_share)
        if critical:
            return critical, ""
        if news.claimed_at in (settings.quiet_hours or ()):
            return "", "Quiet hours"
        grace = timedelta(minutes=settings.grace_minutes)
        longest = grace + timedelta(minutes=FAILED_WINDOW_MINUTES)
        is_young = news.claimed_at - news.oldest < grace and news.claimed_at - news.complete < longest
        return "", "Grace" if grace and alert is FAILED and is_young else ""

    def has_destinations(self) -> bool:
        return bool(self.settings.webhooks or self.settings.user_webhooks or self.dry_run)

    def destinations(self, kind: str) -> list[Destination]:
        destinations = self.settings.destinations(kind)
        if destinations or (self.settings.user_webhooks and kind in ("failed", "stuck")):
            return destinations
        if not self.dry_run:
            raise SettingError(f"no webhook for {kind or 'general'} messages: set SLACK_WEBHOOK")
        return [Destination("")]

    def send(self, kinds: Sequence[str], subject: str, build: Callable[[], Message], *, or_mail: bool = False) -> bool:
        """Sends one message to every destination of these kinds, except those of single users; True: all have it, or
        one of them, if it may go by e-mail as well (`or_mail`)."""
        if not self.has_destinations():
            return False
        until = self.deadline.before(HEARTBEAT_SECONDS) if or_mail else self.deadline
        destinations: dict[Destination, None] = {}
        with Outcome() as outcome:
            message = build()
            for kind in kinds:
                with Outcome() as route:
                    destinations.update(dict.fromkeys(self.destinations(kind)))
                outcome.add(route)
            # Each has its share of the time that is left, but never less than a sixth of the whole.
            least, taken = until.seconds_left / 6, 0
            for number, destination in enumerate(destinations):
                share = until.seconds_left / (len(destinations) - number)
                with Outcome() as one:
                    self.outbox.post(destination, message, subject, until.capped(max(share, least)), or_mail=or_mail)
                    taken += 1
                outcome.add(one)
            return taken > 0 and (or_mail or not outcome.error)
        return False

    def say(self, alerts: Sequence[Alert], note: Note, message: Message) -> None:
        """Says what is wrong with the monitor itself, but once an hour only."""
        now = datetime.now(timezone.utc)
        began, said = note.times or (now, now + SAY_AGAIN)
        if timedelta(0) <= now - said < SAY_AGAIN and not self.dry_run:
            logger.info("🙈 was sent at %s already: it is sent once an hour", format_time(said))
        elif self._say(alerts, message) and not self.dry_run:
            note.write(began, now)

    def _say(self, alerts: Sequence[Alert], message: Message) -> bool:
        """Sends a message about the monitor itself to Slack, or by e-mail where no webhook takes it."""
        title = message.text.partition("\n")[0]
        if self.send([alert.kind for alert in alerts], f"'{title}'", lambda: message, or_mail=True):
            return True
        if self.settings.email and not self.dry_run:
            # For settings where only single users have webhooks. What went by e-mail already does not go twice.
            with Outcome():
                self.outbox.mail(message, "there is no webhook for it", self.deadline.before(HEARTBEAT_SECONDS))
                return True
        return False

    def send_heartbeat(self, *, good: bool) -> None:
        """Reports to HEARTBEAT_URL that a run went well, or (/fail) that it did not."""
        url = self.settings.heartbeat_url
        if not url or self.dry_run:
            return
        if not good:
            # Before the query, if there is one.
            url = re.sub("/*(?=[?#]|$)", "/fail", url, count=1)
        try:
            status, _, _ = _request("GET", url, Deadline.after(HEARTBEAT_SECONDS))
            if not 200 <= status < 300:
                raise DeliveryError(f"HTTP {status}")
        except NotifierError as error:
            logger.warning("Heartbeat not sent: %s", error)


class Note:
    """When a trouble of the monitor itself began and when it was last said, in a file, as the database may be what is
    away. The file holds these two times only and is the user's own. Where none can be kept, each run says it."""

    def __init__(self, trouble: str, settings: Settings, alerts: Sequence[Alert]) -> None:
        webhooks = {to.webhook for alert in alerts for to in settings.destinations(alert.kind)}
        installation = [trouble, _ENV_FILES[1], str(os.geteuid()), *sorted(webhooks)]
        name = f"slack_notifier-{hashlib.sha256(chr(10).join(installation).encode()).hexdigest()[:16]}"
        state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        folder = state if os.access(state, os.W_OK) else os.environ.get("TMPDIR") or "/tmp"
        self._path = os.path.join(folder, name)
        self.times: list[datetime] = []
        with suppress(OSError, ValueError, OverflowError), self._opened(0) as file:
            began, said = map(float, file.read(99).split())
            self.times = [datetime.fromtimestamp(moment, timezone.utc) for moment in (began, said)]

    @contextmanager
    def _opened(self, flags: int) -> Iterator[io.TextIOWrapper]:
        """Opens the file; OSError where it is a link, or may have been made by somebody else."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            found = os.fstat(descriptor)
            if (found.st_uid, found.st_nlink, found.st_mode) != (os.geteuid(), 1, 0o100600):
                raise OSError(f"{self._path} is not a file of this user's own, mode 600")
            yield file

    def write(self, *times: datetime) -> None:
        """Keeps the times; without any, deletes the file."""
        try:
            with self._opened(os.O_CREAT) as file:
                file.write(" ".join(str(moment.timestamp()) for moment in times))
                # Only what could be written replaces what was there.
                file.truncate()
            if not times:
                os.unlink(self._path)
        except OSError as error:
            logger.warning("Cannot note when 🙈 was sent, so each run sends it: %s", error)


# ---- SlackNotifier ---------------------------------------------------------------------------------------------------


class SlackNotifier:
    """Reports tasks to Slack. Nothing here raises, but a wrong setting in the constructor (ValueError).

    Without a webhook it warns once, is disabled, and its sends return False. With `dry_run` it prints what it would
    send, and needs no webhook. Threads may share one: each call is a run of its own."""

    def __init__(
        self, webhook_url: str | None = None, *, settings: Settings | None = None, dry_run: bool = False
    ) -> None:
        if settings is None:
            settings = Settings.from_environment(webhook_url=webhook_url)
        elif webhook_url:
            webhooks = Settings.from_environment({}, webhook_url).webhooks
            settings = settings._replace(webhooks=webhooks, user_webhooks={})
        self.settings = settings
        self.dry_run = dry_run
        self.preview: Preview = preview_as_text
        if not self.enabled and not any("webhooks" in VARIABLES[name].field for name in set_variables(os.environ)):
            logger.warning(NO_WEBHOOK)
        if self.enabled and __name__ != "__main__":
            # A child that the program forks during its first call would have half of what that loads.
            with suppress(Exception):
                for name in ("requests", "smtplib", "email.policy", "encodings.idna"):
                    __import__(name)

    @property
    def enabled(self) -> bool:
        return bool(self.settings.webhooks or self.settings.user_webhooks)

    @property
    def webhook_url(self) -> str | None:
        """Returns the first of SLACK_WEBHOOK. It is a secret: who knows it can post to the channel."""
        return next(iter(self.settings.webhooks.get("", ())), None)

    def send_message(self, message: str, blocks: list[Block] | None = None) -> bool:
        """Sends your own words. Slack's markup in `message` and `blocks` is kept, so escape what comes from others."""
        return self.run(EVENT_SECONDS).send([""], "a message", lambda: Message(message, blocks or []))

    def get_failed_tasks_last_30min(self) -> Rows:
        """Returns what failed in the last 30 minutes, newest first; [] and a logged error if the database fails."""
        with Outcome():
            return read_tasks(self.settings.database_url, FAILED_TASKS, DEFAULT_TIMEOUT_MINUTES)
        return []

    def get_stuck_tasks(self, timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES) -> Rows:
        """Returns tasks that are stuck for longer than the timeout, oldest first; [] and a logged error likewise."""
        with Outcome():
            return read_tasks(self.settings.database_url, STUCK_TASKS, _minutes(timeout_minutes))
        return []

    def format_task_info(self, task: Row) -> str:
        """Returns one task in Slack's markup, escaped, as the alerts list it."""
        task = task if isinstance(task, Mapping) else {}
        return task_info(task, self.settings.task_template, datetime.now(timezone.utc))

    def send_failed_tasks_notification(self) -> bool:
        """Reports failed tasks, and those that recovered; True: delivered, or nothing to report."""
        return self.run(CALL_SECONDS).report([FAILED])[0].error is None

    def send_stuck_tasks_notification(self, timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES) -> bool:
        """Reports stuck tasks, and those that recovered; True: delivered, or nothing to report."""
        return self.run(CALL_SECONDS, timeout_minutes).report([STUCK])[0].error is None

    def send_task_creation_notification(
        self, task_id: str, user_api_key: str, payload: object, log_uri: str | None = None
    ) -> bool:
        """Returns True: delivered; False also if SLACK_NOTIFY_ON_TASK_CREATION is off. `payload` may be None or odd."""
        task = {"id": task_id, "user_api_key": user_api_key, "payload": payload, "log_uri": log_uri}
        return self.settings.notify_on_task_creation and self.send_event(CREATED, task)

    def send_task_start_notification(
        self, task_id: str, user_api_key: str, payload: object, log_uri: str | None = None
    ) -> bool:
        """Returns True: delivered; False also if SLACK_NOTIFY_ON_TASK_START is off. `payload` may be None or odd."""
        task = {"id": task_id, "user_api_key": user_api_key, "payload": payload, "log_uri": log_uri}
        return self.settings.notify_on_task_start and self.send_event(STARTED, task)

    def send_combined_notification(self, timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES) -> dict[str, Any]:
        """Reports failed and stuck tasks, each in a message of its own.

        Returns failed_tasks_count, stuck_tasks_count (tasks in this run's reports), failed_notification_sent,
        stuck_notification_sent (delivered, or nothing to report), error (None, or one line). It also says where the
        tasks cannot be read, and sends the heartbeat."""
        failed, stuck = self.run(RUN_SECONDS, timeout_minutes).watch([FAILED, STUCK])
        errors = dict.fromkeys(outcome.error for outcome in (failed, stuck) if outcome.error)
        return {
            "failed_tasks_count": failed.total,
            "stuck_tasks_count": stuck.total,
            "failed_notification_sent": failed.error is None,
            "stuck_notification_sent": stuck.error is None,
            "error": "; ".join(errors) or None,
        }

    def send_event(self, event: Event, task: Row) -> bool:
        """Sends the event, even if the settings have switched its kind off."""
        build = partial(event_message, event, task, datetime.now(timezone.utc), self.settings.environment)
        return self.run(EVENT_SECONDS).send([event.kind], f"a {event.kind} task", build)

    def say_unusable(self, alerts: Sequence[Alert], error: str) -> None:
        """Says that a setting is wrong, wherever those that are right lead to: it silences nobody."""
        run = self.run(CANNOT_READ_SECONDS)
        now = datetime.now(timezone.utc)
        message = cannot_read_message(error, 0, now, self.settings.environment, "🙈 Monitor has a wrong setting")
        run.say(alerts, Note(error, self.settings, alerts), message)
        run.send_heartbeat(good=False)

    def run(self, seconds: float, timeout: float = DEFAULT_TIMEOUT_MINUTES) -> Run:
        return Run(self.settings, seconds, self.preview if self.dry_run else None, timeout)


# ---- Check -----------------------------------------------------------------------------------------------------------


def check(settings: Settings, errors: Sequence[str], timeout: float) -> Iterator[Finding]:
    """Yields findings on everything that a run relies on, in the time of a run. Posts nothing and changes nothing."""
    until = Deadline.after(RUN_SECONDS - LEEWAY_SECONDS)
    source = _env_file() or "no .env, neither in the current folder nor beside the program"
    if not any(error.startswith(source) for error in errors):
        yield Finding(GOOD, f"Settings: {source}; the real environment goes first")
    yield from _exposed_files()
    yield from _unknown_variables(os.environ)
    yield from (Finding(BAD, error) for error in errors)
    wrong = {error.partition(" ")[0].rstrip(":") for error in errors}
    good = variables_in_words({name: text for name, text in os.environ.items() if name not in wrong})
    yield Finding(GOOD, f"Set: {good or 'nothing'}")
    if settings.database_url:
        yield from _check_database(settings, until.capped(RUN_SECONDS / 3), timeout)
    yield from _check_destinations(settings, until.before(2 * PROBE_SECONDS))
    if settings.email:
        yield _check_mail(settings.email, until)
    if settings.heartbeat_url:
        yield _check_host("The heartbeat's host", settings.heartbeat_url, until)
    if settings.quiet_hours:
        start, end, zone = settings.quiet_hours
        now = "now" if datetime.now(timezone.utc) in settings.quiet_hours else "not now"
        yield Finding(GOOD, f"Quiet hours from {start:%H:%M} to {end:%H:%M} {zone}: {now}")


def _check_database(settings: Settings, until: Deadline, timeout: float) -> Iterator[Finding]:
    """Looks at the tables and claims as a run does, rolled back. An error that ends it is the last finding."""
    try:
        with Ledger(settings.database_url, until, dry_run=True) as ledger:
            ledger.thorough = True
            yield _check_connection(ledger.connection.info)
            with ledger.transaction(STATE):
                state = ledger.read_state()
                table, *others = [row["name"] for row in ledger.fetch(TABLES)]
                yield Finding(GOOD, f"{state['role']} can read the table {table}")
                for other in others:
                    remedy = f"is it the worker's? Then ALTER ROLE {state['role']} SET search_path = …"
                    yield _doubt(f"Another table in the search_path is not read: {other}", remedy)
                yield from doubts(state)
                if not state["indexed"]:
                    found = "No index on tasks (status, updated_at): each run reads the whole table"
                    yield _doubt(found, "CREATE INDEX CONCURRENTLY ON tasks (status, updated_at)")
                if not ledger_remedy(state):
                    yield _check_ledger(ledger, state)
                if state["open_schema"]:
                    remedy = f"REVOKE CREATE ON SCHEMA {state['open_schema']} FROM PUBLIC"
                    yield _doubt("Everybody may create tables in the schema of the ledger", remedy)
            # Without a ledger, what is rolled back takes a temporary one.
            if state["may_create_temporary"] or not state["unborn"]:
                yield from _check_runs(ledger, settings, until, timeout)
    except NotifierError as error:
        yield Finding(BAD, error.reason, error.remedy)


def _check_runs(ledger: Ledger, settings: Settings, until: Deadline, timeout: float) -> Iterator[Finding]:
    """Yields when a run last completed for the first destinations, and what one would report to them now."""
    run = Run(settings, RUN_SECONDS, None, timeout)
    if not run.has_destinations():
        return
    ledger.thorough = False
    logger.disabled = True
    work, wanted = run.work([FAILED, STUCK])
    logger.disabled = False
    yield from (Finding(BAD, outcome.error) for outcome in run.outcomes.values() if outcome.error)
    run.open(ledger, work, wanted)
    yield from mutes_of(ledger)
    if settings.user_webhooks:
        work |= dict.fromkeys(ledger.users_with_news(settings, run.rules), wanted)
    for place, (to, alerts) in enumerate(work.items()):
        if place == CHECKED_DESTINATIONS or until.seconds_left < LEAST_SHARE_SECONDS:
            yield Finding(GOOD, f"… and {plural(len(work) - place, 'destination')} more")
            return
        with ledger.transaction(LAST_RUNS, destination=to.fingerprint, destinations=[to.fingerprint]):
            state = {row["alert"]: row for row in ledger.rows()}
        if "" not in state:
            yield Finding(GOOD, f"Reports to {to}: a run is at work there now")
            continue
        found = []
        for alert in alerts:
            with ledger.claim([alert], to, until, run.rules) as news:
                if news:
                    _, wait = run.urgency(alert, news)
                    kept = f" (kept for later: {wait.lower()})" if wait else ""
                    found.append(plural(news.total, f"{alert.name} task") + kept)
        would = f"a run now would report {' and '.join(found) or 'nothing'}"
        yield Finding(GOOD, f"Reports to {to}: {_last_run(state)}; {would}")


def _last_run(state: Mapping[str, Row]) -> str:
    """Returns in words when a run last completed, by the rows that LAST_RUNS has found."""
    ages = {}
    for name in sorted({"failed", "stuck"} & state.keys()):
        at, now = state[name]["event_at"], state[name]["now"]
        # The row of an alert that had no run was made just now.
        ages[name] = f"{format_age(at, now)} ago" if at < now else "never"
    if len({*ages.values()}) > 1:
        return "last run " + ", ".join(f"{age} for {name} tasks" for name, age in ages.items())
    return f"last run {ages.popitem()[1]}".replace("last run never", "no run recorded yet")


def _check_connection(info: psycopg2.extensions.ConnectionInfo) -> Finding:
    version = f"PostgreSQL {info.server_version // 10000}.{info.server_version % 10000}"
    database = f"Database {info.dbname} at {info.host}:{info.port} as {info.user}: {version}"
    if info.ssl_in_use or info.host.startswith("/") or info.host in ("localhost", "127.0.0.1", "::1"):
        return Finding(GOOD, f"{database}, {'TLS' if info.ssl_in_use else 'no TLS'}")
    return _doubt(f"{database}, no TLS across a network", "add sslmode=verify-full (or require) to DATABASE_URL")


def _check_ledger(ledger: Ledger, state: Row) -> Finding:
    if state["unborn"]:
        return Finding(GOOD, f"Ledger: the first run creates slack_notifications in the schema {state['schema']}")
    reported, first, last, now = ledger.fetch(LEDGER_AGE)[0].values()
    since = f", since {format_time(first)}, the last {format_age(last, now)} ago" if reported else ""
    return Finding(GOOD, f"Ledger: {plural(reported, 'task')} reported{since}")


def _check_destinations(settings: Settings, until: Deadline) -> Iterator[Finding]:
    """Checks several destinations at the same time, as each may take PROBE_SECONDS."""
    from concurrent.futures import ThreadPoolExecutor

    found = [destination for kind in settings.webhooks for destination in settings.destinations(kind)]
    found += settings.user_destinations()
    with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
        yield from pool.map(partial(_check_destination, until=until), dict.fromkeys(found))


def _check_destination(destination: Destination, until: Deadline) -> Finding:
    """Asks Slack whether it knows the webhook, and any other host only for an answer."""
    host = _server(destination.webhook).partition(":")[0].lower()
    if not re.search(r"(^|\.)slack(-gov)?\.com$", host):
        return _check_host(str(destination), destination.webhook, until)
    if host not in SLACK_HOSTS or not re.match(r"\w+://[^/]+/services/\w", destination.webhook):
        remedy = "create one, https://hooks.slack.com/services/…, and put that into the setting"
        return Finding(BAD, f"{destination}: an address at {host} that is no incoming webhook", remedy)
    try:
        # Slack looks up the webhook before it refuses an empty message.
        _post(destination.webhook, {"text": ""}, until.capped(PROBE_SECONDS))
    except DeliveryError as error:
        if error.word != "no_text":
            return Finding(BAD, f"{destination}: {error.reason}", error.remedy or "see slack-status.com, DNS, firewall")
    return Finding(GOOD, f"{destination}: Slack knows the webhook")


def _check_host(name: str, url: str, until: Deadline) -> Finding:
    """Asks the host of the URL for an answer, without the login, path and query of the URL: they may be secret."""
    server = _server(url)
    try:
        _request("HEAD", f"{url.partition(':')[0]}://{server}/", until.capped(PROBE_SECONDS))
    except DeliveryError as error:
        return Finding(BAD, f"{name}: {server}: {error.reason}", error.remedy or "is it the right address?")
    return _doubt(f"{name}: {server} answers; nothing more was tried")


def _server(url: str) -> str:
    """Returns the host and port of a URL, the part of it that is no secret."""
    return re.split("[/?#]", url.partition("://")[2])[0].rpartition("@")[2]


def _check_mail(email: Email, until: Deadline) -> Finding:
    server = _server(email.smtp_url)
    try:
        send_email(email, None, "", until.capped(PROBE_SECONDS))
    except DeliveryError as error:
        return Finding(BAD, f"Mail server {server}: {error.reason}", error.remedy or "see SMTP_URL in .env.example")
    return Finding(GOOD, f"Mail server {server}: ready to send to {', '.join(email.to)}")


def print_findings(findings: Iterable[Finding], *, as_json: bool) -> int:
    """Prints each finding as it comes, in lines of 100 characters or as one JSON object. Returns the exit code."""
    from textwrap import fill

    marks = set()
    for finding in findings:
        mark, what, remedy = finding
        text = fill(one_line(f"{mark} {what}"), 100, subsequent_indent="  ", break_on_hyphens=False)
        if remedy:
            text += "\n" + fill(f"  → {one_line(remedy)}", 100, subsequent_indent="    ", break_on_hyphens=False)
        _print(json.dumps(finding._asdict(), ensure_ascii=False) if as_json else text)
        marks.add(mark)
    return int(BAD in marks)


# ---- Explain and mute ------------------------------------------------------------------------------------------------


def explain(run: Run, task_id: str) -> int:
    """Prints why a task was reported, or was not, in lines of 100 characters. Returns the exit code."""
    from textwrap import fill

    with Outcome() as outcome, Ledger(run.settings.database_url, run.deadline, dry_run=True) as ledger:
        work, wanted = run.work([FAILED, STUCK])
        ledger.thorough = True
        for doubt in run.open(ledger, work, wanted):
            if doubt.mark == BAD:
                raise DatabaseError(f"Cannot explain. {doubt.what}", doubt.remedy, cannot_read=False)
            logger.warning("%s: %s", doubt.what, doubt.remedy)
        names = [place.fingerprint for place in work]
        with ledger.transaction(TASK, task_id=ledger.text(task_id), destinations=names, **run.rules):
            for task in ledger.rows():
                users = run.settings.user_destinations([task["user_api_key"]])
                ledger.fetch(BEGIN_USERS, destinations=[place.fingerprint for place in users])
                for line in _explained(run, ledger, task, {**work, **dict.fromkeys(users, wanted)}):
                    _print(fill(one_line(line), 100, subsequent_indent="  "))
                return 0
        raise DatabaseError(f"There is no task {label(task_id)}", "its whole id is needed", cannot_read=False)
    return int(outcome.error is not None)


def _explained(run: Run, ledger: Ledger, task: Row, work: Mapping[Destination, Sequence[Alert]]) -> Iterator[str]:
    """Yields what the task is now, then of each destination what it was notified of, and why of nothing else."""
    status, age = one_line(task["status"]), format_age(task["changed_at"], task["now"])
    yield f"Task {one_line(task['id'])}: {status} since {format_time(task['changed_at'])} ({age})"
    if task["error"]:
        yield f"Error: {plain(error_line(task['error']))}"
    kind = "failed" if status == "failed" else ""
    if task["is_stuck"]:
        kind = "stuck"
        yield f"Stuck since {format_time(task['stuck_at'])} ({format_age(task['stuck_at'], task['now'])})"
    elif task["is_open"]:
        yield f"It is stuck from {format_time(task['stuck_at'])} on, unless it gives a sign of life"
    elif not kind:
        yield "Runs report tasks that are failed, queued, in_progress or inprogress, no others"
    concerned = [place for place, alerts in work.items() if kind in [alert.kind for alert in alerts]]
    if kind and not concerned:
        yield f"There is no webhook for this user's {kind} tasks"
    for place in work:
        rows = ledger.fetch(RECORDS, destination=place.fingerprint, user=ledger.text(place.user))
        for row in rows:
            if row["task_id"] and row["alert"] != "muted":
                how = "left out as muted" if row["cause"] == "" else f"reported as {row['alert']}"
                yield f"{place}: {how} at {format_time(row['notified_at'])}"
        why = _why_not(run.settings, ledger, task, kind, rows) if place in concerned else ""
        if why:
            yield f"{place}: {why}"


def _why_not(settings: Settings, ledger: Ledger, task: Row, kind: str, rows: Rows) -> str:
    """Returns why a task is not reported to the destination whose rows of the ledger these are; '' where it is."""
    now, changed_at, quiet = task["now"], task["changed_at"], settings.quiet_hours
    end_of_grace = min(changed_at, now) + timedelta(minutes=settings.grace_minutes)
    first_run = next((row["event_at"] for row in rows if not row["alert"]), now)
    told = next((row["event_at"] for row in rows if row["alert"] == kind and row["task_id"]), None)
    muted = _mute_of(task, rows) if kind == "failed" else ""
    found = ledger.fetch(FOUND[kind], alert=kind, reported_as="")
    if first_run == now:
        return "not reported: no run has reported to it yet"
    if not found and told:
        why = muted or "it failed within a minute of that, or with the same cause within 30 minutes"
        return f"not reported again: {why}" if kind == "failed" and told < changed_at else ""
    if not found and first_run - timedelta(minutes=FAILED_WINDOW_MINUTES) < changed_at < now - timedelta(days=7):
        return "no longer known: the ledger forgets after 7 days"
    if not found:
        limit = f"{format_time(first_run - timedelta(minutes=FAILED_WINDOW_MINUTES))}, 30 minutes before the first run"
        return f"not reported: it changed too early. Runs look back to 2 hours before the last, and not beyond {limit}"
    if muted:
        return f"not reported: {muted}"
    if quiet and now in quiet:
        return f"not reported: quiet hours until {quiet.end:%H:%M} {quiet.zone}, unless the alert is critical"
    if kind == "failed" and now < end_of_grace:
        return f"not reported: grace until {format_time(end_of_grace)} at the latest, unless the alert is critical"
    return "not reported: the next run does"


def _mute_of(task: Row, rows: Rows) -> str:
    """Returns which words of the error are muted, or were when it failed, and until when; '' where none are."""
    error, failed_at = (task["error"] or "").lower(), min(task["changed_at"], task["now"])
    for row in rows:
        if row["alert"] == "muted" and row["event_at"] >= failed_at and row["task_id"].lower() in error:
            is_now = "is" if task["now"] < row["event_at"] else "was"
            return f"'{redact(row['task_id'])}' {is_now} muted until {format_time(row['event_at'])}"
    return ""


def mute(run: Run, words: str, hours: float) -> int:
    """Mutes failures whose error holds the words, for the settings' webhooks; 0 hours end it. Returns the exit code."""
    with Outcome() as outcome, Ledger(run.settings.database_url, run.deadline, dry_run=run.dry_run) as ledger:
        names = [place.fingerprint for place in run.destinations("failed")]
        if not names:
            raise SettingError("Users' channels cannot be muted, and there is no other webhook", "set SLACK_WEBHOOK")
        for doubt in ledger.open([FAILED], names):
            if doubt.mark == BAD:
                raise DatabaseError(f"Cannot mute. {doubt.what}", doubt.remedy, cannot_read=False)
        muted = {row["words"].lower(): row["words"] for row in ledger.muted}
        if not hours and words.lower() not in muted:
            raise SettingError(f"'{words}' is not muted", "--check lists what is")
        words = muted.get(words.lower(), words)
        with ledger.transaction(MUTE, words=ledger.text(words), hours=hours, destinations=names):
            (found,) = ledger.rows()
        end = f"Muted until {format_time(found['until'])}" if hours else "No longer muted"
        dry = "Dry run: " if run.dry_run else ""
        matching = plural(found["matching"], "failure")
        _print(f"{dry}{end}: '{redact(one_line(words))}', found in {matching} of the last 24 hours")
    return int(outcome.error is not None)


# ---- Command line ----------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors quote no argument that may be a webhook or a password."""

    def error(self, message: str) -> NoReturn:
        super().error(redact(re.sub(r"\S*/\S*", _MASK, message)))


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="slack_notifier.py",
        usage="%(prog)s [--failed-only | --stuck-only | --test-creation | --test-start | --check |\n"
        "                         --explain TASK_ID | --mute WORDS] [options]",
        description="Report failed and stuck tasks to Slack.",
        epilog="Exit codes: 0 delivered or nothing to report, 1 something could not be read or delivered, "
        "2 wrong usage or setting. Settings: see .env.example; a .env file is read, the real environment wins.",
        add_help=False,
        allow_abbrev=False,
    )
    what = parser.add_argument_group("what to report (default: failed and stuck tasks)").add_mutually_exclusive_group()
    add = partial(what.add_argument, action="store_const")
    add("--failed-only", dest="alerts", const=[FAILED], default=[FAILED, STUCK], help="only tasks that failed")
    add("--stuck-only", dest="alerts", const=[STUCK], help="only tasks that are stuck")
    add("--test-creation", dest="event", const=CREATED, help="send a sample of the notice of a created task")
    add("--test-start", dest="event", const=STARTED, help="send a sample of the notice of a started task")
    add("--check", const=True, help="look at all that a run relies on; post and change nothing")
    what.add_argument("--explain", metavar="TASK_ID", help="say why a task was reported, or was not")
    mute = "leave out failures whose error holds these words, for some hours"
    what.add_argument("--mute", metavar="WORDS", help=mute)
    option = parser.add_argument_group("options").add_argument
    hours = "with --mute: it ends by itself after this many hours (default: 2), and now with 0"
    option("--for", dest="hours", type=float, metavar="HOURS", help=hours)
    stuck = "a task is stuck after this many minutes without a sign of life (default: 30)"
    option("--timeout", type=float, metavar="MINUTES", help=stuck)
    option("--webhook-url", metavar="URL", help="send there instead of to the webhooks of the settings")
    option("--dry-run", action="store_true", help="print the messages instead of sending them")
    option("--json", action="store_true", help="with --dry-run: print the payloads, one a line; with --check: likewise")
    option("-h", "--help", action="help", help="show this help and exit")
    option("--version", action="version", version=f"%(prog)s {__version__}", help="show the version and exit")
    return parser


def _parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.json and not arguments.dry_run and not arguments.check:
        parser.error("--json goes with --dry-run or --check")
    if arguments.timeout is not None and not 0 < arguments.timeout <= MAX_TIMEOUT_MINUTES:
        parser.error(f"--timeout takes a positive number of minutes, at most {MAX_TIMEOUT_MINUTES}")
    if arguments.mute is not None:
        arguments.mute = arguments.mute.strip()
        if not 3 <= len(arguments.mute) <= 500 or re.search(_NO_TEXT, arguments.mute):
            parser.error("--mute takes 3 to 500 characters of the error: fewer would mute nearly all")
    elif arguments.hours is not None:
        parser.error("--for goes with --mute")
    if not 0 <= (arguments.hours or 0) <= MAX_MUTE_HOURS:
        parser.error(f"--for takes a number of hours, at most {MAX_MUTE_HOURS}")
    if re.search(_NO_TEXT, arguments.explain or ""):
        parser.error("--explain takes the id in UTF-8")
    if arguments.webhook_url is not None and not arguments.webhook_url.strip():
        # An unset variable of a script must not lead to the channels of the settings.
        parser.error("--webhook-url is empty")
    return arguments


_ENV_FILES = (".env", os.path.join(os.path.dirname(globals().get("__file__", "")), ".env"))
_SAMPLE_PAYLOAD = {
    "scenes": [{"duration": 15}, {"duration": 15}, {"duration": 15}],
    "subtitle_config": {"font": "Bangers-Regular.ttf", "size": 90, "position": "middle"},
    "logo_config": {"url": "https://example.com/logo.png", "position": "top-right", "size": 100},
}
SAMPLE_TASK = {"id": "test-task-0001", "user_api_key": "test-api-key-0001", "payload": _SAMPLE_PAYLOAD, "log_uri": ""}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code; raises SystemExit on wrong usage."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without emoji must not cost the preview.
        sys.stdout.reconfigure(errors="replace")
    arguments = _parse_arguments(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings, errors = _read_settings(arguments)
    timeout = arguments.timeout or DEFAULT_TIMEOUT_MINUTES
    if arguments.check:
        return print_findings(check(settings, errors, timeout), as_json=arguments.json)
    for doubt in [*_exposed_files(), *_unknown_variables(name for name in os.environ if name.startswith("SLACK_"))]:
        logger.warning("%s: %s", doubt.what, doubt.remedy)
    for error in errors:
        logger.error("%s", error)
    if settings.debug:
        logging.getLogger().setLevel(logging.DEBUG)
        logger.debug("Settings: %s", variables_in_words(os.environ))
    notifier = SlackNotifier(settings=settings, dry_run=arguments.dry_run)
    if arguments.json:
        notifier.preview = lambda message: json.dumps(message.payload(), ensure_ascii=False)
    if arguments.event or arguments.mute or arguments.explain is not None:
        return 2 if errors else _run_once(notifier, arguments)
    if errors:
        notifier.say_unusable(arguments.alerts, "; ".join(errors))
        return 2
    if arguments.timeout and settings.queued_minutes and settings.in_progress_minutes:
        logger.warning("--timeout is not used: SLACK_QUEUED_MINUTES and SLACK_IN_PROGRESS_MINUTES are set")
    outcomes = notifier.run(RUN_SECONDS, timeout).watch(arguments.alerts)
    if not any(outcome.error or outcome.total for outcome in outcomes):
        logger.info("No %s tasks to report", " or ".join(alert.kind for alert in arguments.alerts))
    return int(any(outcome.error for outcome in outcomes))


def _run_once(notifier: SlackNotifier, arguments: argparse.Namespace) -> int:
    """Does what is not the work of the monitor. Returns the exit code."""
    if arguments.event:
        return int(not notifier.send_event(arguments.event, SAMPLE_TASK))
    run = notifier.run(CALL_SECONDS, arguments.timeout or DEFAULT_TIMEOUT_MINUTES)
    if arguments.explain is not None:
        return explain(run, arguments.explain)
    return mute(run, arguments.mute, MUTE_HOURS if arguments.hours is None else arguments.hours)


def _read_settings(arguments: argparse.Namespace) -> tuple[Settings, list[str]]:
    """Reads the .env file and the environment, which wins. Returns a line for each setting that is wrong or missing."""
    errors = []
    path = _env_file()
    if path:
        import dotenv

        try:
            # Without interpolation: a password may hold ${, and so does a template.
            dotenv.load_dotenv(path, interpolate=False, encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            errors.append(f"{path} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}")
    settings, wrong = Settings.read(webhook_url=arguments.webhook_url)
    if arguments.webhook_url:
        settings = settings._replace(webhook_name="--webhook-url")
        wrong = [re.sub("^webhook_url", "--webhook-url", error) for error in wrong]
    missing = []
    if not settings.database_url and not arguments.event:
        missing.append("DATABASE_URL environment variable not set")
    if not settings.webhooks and not settings.user_webhooks and not arguments.dry_run:
        missing.append("no webhook to send to: set SLACK_WEBHOOK, or use --webhook-url or --dry-run")
    return settings, errors + wrong or missing


def _env_file() -> str:
    """Returns the path of the .env in the current folder, else of the one beside this file, else ''."""
    return next((os.path.abspath(path) for path in _ENV_FILES if os.path.isfile(path)), "")


def _exposed_files() -> Iterator[Finding]:
    """Yields a finding for each file of settings that others can read or change, and for a .env that is no file."""
    others = {os.path.abspath(path) for path in _ENV_FILES if os.path.lexists(path) and not os.path.isfile(path)}
    for path in sorted(others):
        yield _doubt(f"{path} is no file and was not read", "make it one, or rename it")
    users = set_variables(os.environ).get("SLACK_USER_WEBHOOKS_FILE", "")
    for path in filter(os.path.isfile, (_env_file(), users)):
        file = os.stat(path)
        if file.st_uid not in (os.geteuid(), 0, os.stat(__file__).st_uid):
            what = f"{path} belongs to another user (uid {file.st_uid}), who can read and change the settings"
            yield _doubt(what, "run this as that user, or chown it to the one that runs the notifier")
        elif file.st_mode & 0o066:
            yield _doubt(f"{path} can be read or changed by other users of this machine", f"chmod 600 {path}")


def _unknown_variables(names: Iterable[str]) -> Iterator[Finding]:
    """Yields a finding for each name that looks like a setting and is none."""
    for name in sorted({*names} - VARIABLES.keys()):
        # Imported late, as most runs have no such name.
        from difflib import get_close_matches

        meant = get_close_matches(name.upper(), VARIABLES, 1, 0.85)
        if meant or name.startswith("SLACK_"):
            yield _doubt(f"{name} is no setting", f"did you mean {meant[0]}?" if meant else "see .env.example")


if __name__ == "__main__":
    try:
        with Outcome():
            raise SystemExit(main())
        raise SystemExit(1)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
