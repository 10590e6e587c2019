"""A simulated fortnight: whether anything was missed or repeated, and whether every sentence of every message was true.

python -m benchmarks days             14 days, some minutes; --days 60 --seed 7 for others
python -m benchmarks days --quick     about a day and a half, for CI
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import psycopg2
import psycopg2.extensions

import slack_notifier
from benchmarks.days.sentences import TITLES, Case, Reading, read
from benchmarks.days.truth import Destination, Due
from benchmarks.days.world import DAY, ENDED_WELL, HOUR, MINUTE, OPEN, START, USERS, Row, Table, World
from benchmarks.tables import INDEX
from sandbox.postgres import create_database, create_tasks_table, postgres_server
from sandbox.slack import Request, SlackStandIn
from slack_notifier import FAILED, STUCK, Settings, SlackNotifier
from tests.clock import Clock, standing_clock

DAYS, QUICK_DAYS = 14.0, 1.5
QUARTER = 15 * MINUTE
# Who calls the notifier, and how; only the first two, which say all that there is, must leave nothing untold.
RUNS: dict[str, Callable[[SlackNotifier], Any]] = {
    "the command line": lambda notifier: notifier.watch([FAILED, STUCK], 30),
    "the monitor": lambda notifier: notifier.send_combined_notification(30),
    "a worker": lambda notifier: notifier.send_failed_tasks_notification(),
    "somebody": lambda notifier: notifier.send_stuck_tasks_notification(30),
}
COMPLETE = ("the command line", "the monitor")
# How a channel answers while it is out of order.
OUT_OF_ORDER: list[dict[str, Any]] = [
    {"status": 404, "body": "no_service"},
    {"status": 503, "body": "unavailable"},
    {"fault": "close"},
]

Payload = Mapping[str, Any]


class Fault(NamedTuple):
    """Something false or missing: when, in which channel, what kind, the line, and why it is wrong."""

    at: datetime
    channel: str
    kind: str
    line: str
    why: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.channel}, {self.kind}: {self.line}\n      {self.why}"


class Hooks:
    """What befalls a run between two of its statements, in the same process: `changed`, once after a claim; `cut`, at
    the commit after a message."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] | None = None
        self.cut: Callable[[int], None] | None = None
        self.claimed = False

    def before(self, query: str, cursor: Any) -> None:
        reads_tasks, records = re.search(r"\btasks\b", query), "INSERT INTO slack_notifications" in query
        if self.claimed and reads_tasks and not records and self.changed:
            self.changed()
            self.changed = None
        self.claimed = bool(reads_tasks and records)
        if query == "COMMIT" and self.cut:
            self.cut(cursor.connection.info.backend_pid)


@contextmanager
def hooked() -> Iterator[Hooks]:
    hooks, connect = Hooks(), psycopg2.connect

    class Cursor(psycopg2.extensions.cursor):
        def execute(self, query: Any, parameters: Any = None) -> None:
            hooks.before(query, self)
            super().execute(query, parameters)

    def connected(*arguments: Any, **options: Any) -> Any:
        return connect(*arguments, **options, cursor_factory=Cursor)

    psycopg2.connect = connected
    try:
        yield hooks
    finally:
        psycopg2.connect = connect


class Log(logging.Handler):
    """Keeps the errors of a run."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Days:
    """The world, the notifier in it, and what came of each run."""

    def __init__(self, luck: random.Random, days: float, stack: ExitStack, url: str) -> None:
        self.luck, self.url = luck, url
        self.slack = stack.enter_context(SlackStandIn())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        connection = stack.enter_context(closing(psycopg2.connect(url, options="-c TimeZone=UTC")))
        connection.autocommit = True
        self.connection = connection
        self.clock: Clock = stack.enter_context(standing_clock(connection, START))
        self.hooks = stack.enter_context(hooked())
        self.log = Log()
        self.table = Table(connection)
        self.world = World(self.table, luck, days, lambda: self.run("a worker"))
        self.destinations = [
            Destination("first", kinds=("failed", "healed", "stuck", "recovered")),
            Destination("second", kinds=("failed", "healed")),
            Destination("of a user", USERS[0], ("failed", "healed", "stuck", "recovered")),
        ]
        first, second, users = (self.slack.webhook(to.channel) for to in self.destinations)
        path = folder / "users.json"
        path.write_text(json.dumps({USERS[0]: users}), encoding="utf-8")
        self.variables = {
            "DATABASE_URL": url,
            "SLACK_WEBHOOK": first,
            "SLACK_WEBHOOK_FAILED": f"{first},{second}",
            "SLACK_USER_WEBHOOKS_FILE": str(path),
            "SLACK_CRITICAL_MENTION": "<!here>",
        }
        self.settings = Settings.from_environment(self.variables)
        self.blinded = Settings.from_environment({**self.variables, "DATABASE_URL": "postgresql://x@127.0.0.1:1/x"})
        # What is heard in place of a message: tests lose it, or hear it twice.
        self.tamper: Callable[[Destination, str, Payload], list[Payload]] = lambda to, alert, payload: [payload]
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.unexplained: list[Fault] = []
        self.missed: list[Fault] = []
        self.outages: dict[str, list[tuple[datetime, datetime]]] = {}
        for day in range(int(days) + 1):
            self.world.at(START + day * DAY, self._plan, START + day * DAY)

    # What is planned

    def _plan(self, midnight: datetime) -> None:
        """When whom fails: a day's outages; and who looks when."""
        chances = {
            # what: how likely on a day, from and to how many minutes
            "slack": (0.5, 10, 120),
            "second": (0.4, 60, 480),
            "database": (0.35, 10, 60),
            "cron": (0.4, 20, 200),
        }
        for what, (chance, least, most) in chances.items():
            if self.luck.random() < chance:
                begin = midnight + self.luck.uniform(1, 22) * HOUR
                self.outages.setdefault(what, []).append((begin, begin + self.luck.uniform(least, most) * MINUTE))
        for quarter in range(96):
            self.world.at(midnight + quarter * QUARTER + timedelta(seconds=2), self._cycle)
        for _ in range(4):
            moment = midnight + self.luck.random() * DAY
            self.world.at(moment, self.run, self.luck.choice([*RUNS]))

    def _is_out(self, what: str) -> bool:
        return any(begin <= self.world.now < end for begin, end in self.outages.get(what, []))

    def _cycle(self) -> None:
        self.world.check_timeouts()
        if not self._is_out("cron"):
            self.run(self.luck.choice(COMPLETE))

    def play(self) -> None:
        logger = logging.getLogger("slack_notifier")
        logger.addHandler(self.log)
        logger.propagate = False
        try:
            for _ in self.world.play():
                pass
        finally:
            logger.removeHandler(self.log)
            logger.propagate = True

    # A run

    def run(self, who: str) -> None:
        self.counts["runs"] += 1
        out = {to.channel for to in self.destinations if self._is_out("slack")}
        out |= {"second"} if self._is_out("second") else set()
        if out:
            answer = self.luck.choice(OUT_OF_ORDER)
            for channel in out:
                self.slack.answer(**answer, times=None, channel=channel)
        hurt = self._hurt(out)
        blind = self._is_out("database")
        self.table.flush()
        self.clock.set(self.world.now)
        self.log.lines.clear()
        RUNS[who](SlackNotifier(settings=self.blinded if blind else self.settings))
        requests = self.slack.requests
        self.slack.clear()
        cuts = self._cuts
        self.hooks.changed = self.hooks.cut = None
        for number, request in enumerate(requests):
            if request.payload:
                sure = request.status == 200 and number + 1 not in cuts
                self._hear(request, blind, sure)
        if not (out or hurt or blind):
            self.faults += [Fault(self.world.now, who, "error", line, "nothing was wrong") for line in self.log.lines]
        if who in COMPLETE and not blind:
            for to in self.destinations:
                if to.channel not in out and to.channel != hurt and not cuts:
                    self._look_for_missed(to)

    def _hurt(self, out: set[str]) -> str:
        """Prepares what befalls this run in the middle, if anything: the channel whose answer is lost, or what else."""
        self._cuts: list[int] = []
        self.gone: Row | None = None
        self.hooks.changed = self.hooks.cut = None
        luck = self.luck.random()
        if luck < 0.04 and not out:
            channel = self.luck.choice(self.destinations).channel
            self.slack.answer(fault="accept_then_reset", channel=channel)
            return channel
        if luck < 0.08:
            self.hooks.cut = self._cut
            return "the connection"
        if luck < 0.2:
            self.hooks.changed = self._change
        return ""

    def _cut(self, process: int) -> None:
        """Ends the session of a run that has just sent a message, before its commit."""
        sent = len(self.slack.requests)
        if sent and self.slack.requests[-1].status == 200:
            self._cuts.append(sent)
            self.hooks.cut = None
            self.counts["cut before the commit"] += 1
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 60000)", [process])

    def _change(self) -> None:
        """One of the tasks that were just claimed is deleted, or tried again."""
        alerts = ("failed", "healed", "stuck", "recovered")
        for alert in alerts:
            for to in self.destinations:
                due = to.due(alert, self.table, self.world.now).must if alert in to.kinds else {}
                if due:
                    row = self.gone = due[self.luck.choice(sorted(due))]
                    self.counts["changed after the claim"] += 1
                    if self.luck.random() < 0.5:
                        self.table.delete(row.id)
                    else:
                        now = self.world.now
                        again = replace(row, status="inprogress", updated_at=now, started_at=row.started_at or now)
                        self.table.write(replace(again, acted=now))
                    self.table.flush()
                    for each in self.destinations:
                        each.unsure.add(row.id)
                    return

    # What came of it

    def _hear(self, request: Request, blind: bool, sure: bool) -> None:
        payload: Payload = request.payload or {}
        to = next(to for to in self.destinations if to.channel == request.channel)
        alert = TITLES.get(payload["text"].split("\n")[0], "unknown")
        for heard in self.tamper(to, alert, payload) if sure else [payload]:
            self._read(to, alert, heard, blind, sure)

    def _read(self, to: Destination, alert: str, payload: Payload, blind: bool, sure: bool) -> None:
        self.counts["messages"] += 1
        case, gone = self.case(to, alert, blind), self.gone
        reading = read(case, payload)
        self.gone = None
        if gone and reading.false:
            # A message may also say all of it as it was at the claim, before the task changed.
            with self.table.before(gone):
                as_claimed = read(self.case(to, alert, blind), payload)
            reading = min(reading, as_claimed, key=lambda reading: len(reading.false))
        self._judge(case, reading)
        if alert in to.kinds:
            self._remember(case, reading, sure)

    def case(self, to: Destination, alert: str, blind: bool = False) -> Case:
        now = self.world.now
        due = to.due(alert, self.table, now) if alert in to.kinds else Due({}, {})
        statuses = {"failed": ("failed",), "stuck": tuple(OPEN)}.get(alert, ENDED_WELL)
        gone = self.gone if self.gone and self.gone.status in statuses else None
        return Case(to, alert, now, self.table, due, gone, blind)

    def _judge(self, case: Case, reading: Reading) -> None:
        self.kinds += reading.kinds
        for kind, line, why in reading.false:
            repeated = why.startswith("REPEATED")
            fault = Fault(case.now, case.to.channel, kind, line, why)
            (self.unexplained if repeated else self.faults).append(fault)
        self.counts["repeated"] += sum(why.startswith("REPEATED") for _, _, why in reading.false)

    def _remember(self, case: Case, reading: Reading, sure: bool) -> None:
        to, told = case.to, reading.told
        if case.alert == "failed":
            again = [row for row in told if (row.id, row.updated_at) in to.heard]
            self.counts["repeated"] += len(again)
            self.counts["repeated, explained"] += sum(not to.heard[row.id, row.updated_at] for row in again)
        to.note(case.alert, told, case.now, recorded=sure)
        self.counts["answers lost"] += not sure
        self.counts["tasks told"] += len(told)
        if sure and reading.mention:
            to.called[case.alert] = case.now
        left = {key for key in reading.may if key not in {row.id for row in told}}
        to.unsure |= left if case.alert == "failed" else set()

    def _look_for_missed(self, to: Destination) -> None:
        """After a run that could tell all there was."""
        now = self.world.now
        for alert in to.kinds:
            left = dict(to.due(alert, self.table, now).must)
            if alert == "stuck":
                left.update(to.reminders(self.table, now)[1])
            for row in left.values():
                to.missed[alert, row.id, row.updated_at] = now
                line = f"{row.id} is {row.status} since {row.updated_at:%Y-%m-%d %H:%M:%S}"
                self.missed.append(Fault(now, to.channel, f"missed ({alert})", line, f"told: {self._told(to, row.id)}"))

    @staticmethod
    def _told(to: Destination, task_id: str) -> str:
        return f"as failed {to.failures.get(task_id)}, as stuck {to.stuck.get(task_id)}"

    # The summary

    def show(self, seconds: float) -> None:
        counts = self.counts
        print(
            f"{(self.world.now - START) / DAY:.1f} days, {counts['runs']} runs, {counts['messages']} messages, ", end=""
        )
        print(f"{counts['tasks told']} tasks in them, {len(self.world.lives)} tasks in all; {seconds:.0f} s")
        print(f"{counts['answers lost']} messages arrived unknown to their sender, ", end="")
        print(f"{counts['cut before the commit']} of them as the run was cut off before its commit; ", end="")
        print(f"{counts['changed after the claim']} tasks changed after their claim")
        false = Counter(fault.kind for fault in self.faults)
        print(f"\n{sum(self.kinds.values())} sentences checked:")
        for kind, count in sorted(self.kinds.items()):
            print(f"  {kind:<28} {count:>7}" + (f"   false: {false[kind]}" if false[kind] else ""))
        print(f"\nmissed: {len(self.missed)}")
        print(f"repeated: {counts['repeated']}, explained: {counts['repeated, explained']}, ", end="")
        print(f"unexplained: {len(self.unexplained)}")
        print(f"false: {len(self.faults)}")
        for faults in (self.missed, self.unexplained, self.faults):
            for fault in some(faults):
                print(f"    {fault}")

    @property
    def failed(self) -> bool:
        return bool(self.missed or self.unexplained or self.faults)


def some(faults: list[Fault], each: int = 3, most: int = 30) -> list[Fault]:
    """The first of each kind, in order."""
    seen: Counter[str] = Counter()
    shown = []
    for fault in faults:
        seen[fault.kind] += 1
        if seen[fault.kind] <= each:
            shown.append(fault)
    return shown[:most]


@contextmanager
def instead_of(there: MutableMapping[str, Any], **others: Any) -> Iterator[None]:
    """Has other values there until the end of the block."""
    before = {name: there.get(name) for name in others}
    there.update(others)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del there[name]
            else:
                there[name] = value


@contextmanager
def simulated(seed: int, days: float, server_url: str = "") -> Iterator[Days]:
    """The days, ready to play, on a database of their own."""
    with ExitStack() as stack:
        server_url = server_url or stack.enter_context(postgres_server(in_memory=True)).url
        url = create_database(server_url)
        create_tasks_table(url)
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(INDEX)
        # Waiting for what does not come back would take the days' time.
        stack.enter_context(instead_of(vars(slack_notifier), WEBHOOK_PAUSES_SECONDS=(0.01,)))
        stack.enter_context(instead_of(vars(slack_notifier), DATABASE_PAUSES_SECONDS=(0.01,)))
        # Where a monitor that cannot read the tasks may note that it said so.
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(instead_of(os.environ, XDG_STATE_HOME=folder, TMPDIR=folder))
        yield Days(random.Random(seed), days, stack, url)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks days", description="Whether every sentence is true.")
    parser.add_argument("--quick", action="store_true", help="about a day and a half; for CI")
    parser.add_argument("--days", type=float, default=0.0, help=f"how many (default: {DAYS:g})")
    parser.add_argument("--seed", type=int, default=1, help="for other luck")
    arguments = parser.parse_args(argv)
    length = arguments.days or (QUICK_DAYS if arguments.quick else DAYS)
    started = monotonic()
    with simulated(arguments.seed, length) as days:
        days.play()
        days.show(monotonic() - started)
        return 1 if days.failed else 0
