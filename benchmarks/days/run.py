"""A simulated fortnight: whether anything was missed or repeated, and whether every sentence of every message was true.

python -m benchmarks days             14 days, some minutes; --days 60 --seed 7 for others
python -m benchmarks days --quick     about a day and a half, for CI
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from logging.handlers import BufferingHandler
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import psycopg2
import psycopg2.extensions
import pytest

import slack_notifier
from benchmarks.days.sentences import ALERTS, OF_THE_MONITOR, TITLES, Case, Reading, read
from benchmarks.days.truth import Destination, Due
from benchmarks.days.world import DAY, ENDED_WELL, HOUR, MINUTE, OPEN, START, USERS, Row, Table, World
from benchmarks.tables import INDEX
from sandbox.postgres import execute, postgres_server, tasks_database
from sandbox.slack import Request, SlackStandIn
from slack_notifier import FAILED, RUN_SECONDS, STUCK, Settings, SlackNotifier
from tests.clock import standing_clock

DAYS, QUICK_DAYS = 14.0, 1.5
# Who calls the notifier, and how; only the first two, which say all that there is, must leave nothing untold.
RUNS: dict[str, Callable[[SlackNotifier], Any]] = {
    "the command line": lambda notifier: notifier.run(RUN_SECONDS, 30).watch([FAILED, STUCK]),
    "the monitor": lambda notifier: notifier.send_combined_notification(30),
    "a worker": lambda notifier: notifier.send_failed_tasks_notification(),
    "somebody": lambda notifier: notifier.send_stuck_tasks_notification(30),
}
COMPLETE = ("the command line", "the monitor")
# How a channel answers while it is out of order.
OUT_OF_ORDER: list[dict[str, Any]] = [{"status": 404, "body": "no_service"}, {"status": 503}, {"fault": "close"}]
# What is out of order: how likely on a day, from and to how many minutes.
OUTAGES = {"slack": (0.5, 10, 120), "second": (0.4, 60, 480), "database": (0.35, 10, 60), "cron": (0.4, 20, 200)}

Payload = Mapping[str, Any]


class Fault(NamedTuple):
    """Something false or missing: what kind, the line, when and in which channel, and why it is wrong."""

    kind: str
    line: str
    where: str
    why: str


class Days:
    """The world, the notifier in it, and what came of each run."""

    def __init__(self, luck: random.Random, days: float, stack: ExitStack, url: str) -> None:
        self.luck, self.slack = luck, stack.enter_context(SlackStandIn())
        self.connection = stack.enter_context(closing(psycopg2.connect(url, options="-c TimeZone=UTC")))
        self.connection.autocommit = True
        self.clock = stack.enter_context(standing_clock(self.connection, START))
        self.log = BufferingHandler(10**6)
        self.log.setLevel(logging.ERROR)
        self.table = Table(self.connection)
        self.world = World(self.table, luck, days, lambda: self.run("a worker"))
        self.destinations = [
            Destination("first", kinds=ALERTS),
            Destination("second", kinds=("failed", "healed")),
            Destination("of a user", USERS[0], ALERTS),
        ]
        first, second, users = (self.slack.webhook(to.channel) for to in self.destinations)
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "users.json"
        path.write_text(json.dumps({USERS[0]: users}), encoding="utf-8")
        variables = {"SLACK_WEBHOOK": first, "SLACK_WEBHOOK_FAILED": f"{first},{second}", "DATABASE_URL": url}
        variables |= {"SLACK_USER_WEBHOOKS_FILE": str(path), "SLACK_CRITICAL_MENTION": "<!here>"}
        self.settings = Settings.from_environment(variables)
        # What is heard in place of a message: tests lose it, or hear it twice.
        self.tamper: Callable[[Destination, str, Payload], list[Payload]] = lambda to, alert, payload: [payload]
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.unexplained: list[Fault] = []
        self.missed: list[Fault] = []
        self.outages: dict[str, list[tuple[datetime, datetime]]] = {what: [] for what in OUTAGES}
        # Whether a task is to change in this run, whether its last statement was a claim, and the task as it was.
        self.changes = self.has_claimed = False
        self.gone: Row | None = None
        for day in range(int(days) + 1):
            self.world.at(START + day * DAY, self._plan, START + day * DAY)

    def _plan(self, midnight: datetime) -> None:
        """When whom fails: a day's outages; and who looks when."""
        for what, (chance, least, most) in OUTAGES.items():
            if self.luck.random() < chance:
                begin = midnight + self.luck.uniform(1, 22) * HOUR
                self.outages[what].append((begin, begin + self.luck.uniform(least, most) * MINUTE))
        for quarter in range(96):
            self.world.at(midnight + (15 * quarter + 1 / 30) * MINUTE, self._cycle)
        for _ in range(4):
            self.world.at(midnight + self.luck.random() * DAY, self.run, self.luck.choice([*RUNS]))

    def _is_out(self, what: str) -> bool:
        return any(begin <= self.world.now < end for begin, end in self.outages[what])

    def _cycle(self) -> None:
        self.world.check_timeouts()
        if not self._is_out("cron"):
            self.run(self.luck.choice(COMPLETE))

    def run(self, who: str) -> None:
        self.counts["runs"] += 1
        out = {to.channel for to in self.destinations if self._is_out("slack")}
        out |= {"second"} if self._is_out("second") else set()
        answer = self.luck.choice(OUT_OF_ORDER)
        for channel in out:
            self.slack.answer(**answer, times=None, channel=channel)
        hurt, blind = self._hurt(out), self._is_out("database")
        self.table.flush()
        self.clock.set(self.world.now)
        self.log.flush()
        blinded = self.settings._replace(database_url="postgresql://x@127.0.0.1:1/x")
        RUNS[who](SlackNotifier(settings=blinded if blind else self.settings))
        requests = self.slack.requests
        self.slack.clear()
        for request in requests:
            if request.payload:
                self._hear(request, request.payload, request.status == 200)
        if not (out or hurt or blind):
            lines = [record.getMessage() for record in self.log.buffer]
            self.faults += [Fault("error", line, f"{self.world.now} {who}", "nothing was wrong") for line in lines]
        for to in self.destinations:
            if who in COMPLETE and not blind and to.channel not in (*out, hurt):
                self._look_for_missed(to)

    def _hurt(self, out: set[str]) -> str:
        """Prepares what befalls this run in the middle, if anything; returns the channel whose answer is lost."""
        self.gone, luck = None, self.luck.random()
        self.changes = 0.04 <= luck < 0.2
        if luck >= 0.04 or out:
            return ""
        channel = self.luck.choice(self.destinations).channel
        self.slack.answer(fault="accept_then_reset", channel=channel)
        return channel

    def before(self, query: str) -> None:
        """What happens before a statement of a run."""
        reads_tasks, records = re.search(r"\btasks\b", query), "INSERT INTO slack_notifications" in query
        if self.changes and self.has_claimed and reads_tasks and not records:
            self.changes = False
            self._change()
        self.has_claimed = bool(reads_tasks and records)

    def _change(self) -> None:
        """One of the tasks that were just claimed is deleted, or tried again."""
        claimed = [(alert, to) for alert in ALERTS for to in self.destinations if alert in to.kinds]
        due = next(filter(None, (to.due(alert, self.table, self.world.now).must for alert, to in claimed)), None)
        if not due:
            return
        row = self.gone = due[self.luck.choice(sorted(due))]
        self.counts["changed after the claim"] += 1
        if self.luck.random() < 0.5:
            self.table.delete(row.id)
        else:
            now, started = self.world.now, row.started_at or self.world.now
            self.table.write(replace(row, status="inprogress", updated_at=now, started_at=started, acted=now))
        self.table.flush()
        for to in self.destinations:
            to.unsure.add(row.id)

    def _hear(self, request: Request, payload: Payload, sure: bool) -> None:
        to = next(to for to in self.destinations if to.channel == request.channel)
        title = payload["text"].split("\n")[0]
        if title in OF_THE_MONITOR:
            return
        alert = TITLES.get(title, "unknown")
        for heard in self.tamper(to, alert, payload) if sure else [payload]:
            reading = read(self.case(to, alert), heard)
            if self.gone and reading.false:
                # A message may also say all of it as it was at the claim, before the task changed.
                as_claimed = read(self.case(to, alert, self.table.having(self.gone)), heard)
                reading = min(reading, as_claimed, key=lambda reading: len(reading.false))
            self.gone = None
            self._judge(reading)
            if alert in to.kinds:
                self._remember(reading, sure)

    def case(self, to: Destination, alert: str, as_claimed: Table | None = None) -> Case:
        table = as_claimed or self.table
        due = to.due(alert, table, self.world.now) if alert in to.kinds else Due({}, {})
        statuses = {"failed": ("failed",), "stuck": tuple(OPEN)}.get(alert, ENDED_WELL)
        gone = self.gone if self.gone and not as_claimed and self.gone.status in statuses else None
        return Case(to, alert, self.world.now, table, due, self.table, gone)

    def _judge(self, reading: Reading) -> None:
        self.counts["messages"] += 1
        self.kinds += reading.kinds
        for kind, line, why in reading.false:
            repeated = why.startswith("REPEATED")
            self.counts["repeated"] += repeated
            fault = Fault(kind, line, f"{self.world.now} {reading.case.to.channel}", why)
            (self.unexplained if repeated else self.faults).append(fault)

    def _remember(self, reading: Reading, sure: bool) -> None:
        to, alert, told, now = reading.case.to, reading.case.alert, reading.told, self.world.now
        if alert == "failed":
            again = [to.is_on_record(row) for row in told if (row.id, row.updated_at) in to.heard]
            self.counts["repeated"] += len(again)
            self.counts["repeated, explained"] += again.count(False)
            to.unsure |= {*reading.may} - {row.id for row in told}
        to.note(alert, told, now, recorded=sure)
        self.counts["answers lost"] += not sure
        self.counts["tasks reported"] += len(told)
        if sure and "mention" in reading.said:
            to.called[alert] = now

    def _look_for_missed(self, to: Destination) -> None:
        """After a run that could tell all there was."""
        now = self.world.now
        for alert in to.kinds:
            left = dict(to.due(alert, self.table, now).must)
            if alert == "stuck":
                left.update(to.reminders(self.table, now)[1])
            for row in left.values():
                to.missed.add((alert, row.id, row.updated_at))
                line = f"{row.id} is {row.status} since {row.updated_at:%Y-%m-%d %H:%M:%S}"
                why = f"told: as failed {to.failures.get(row.id)}, as stuck {to.stuck.get(row.id)}"
                self.missed.append(Fault(f"missed ({alert})", line, f"{now} {to.channel}", why))

    def show(self, seconds: float) -> None:
        print(f"{(self.world.now - START) / DAY:.1f} days in {seconds:.0f} s, {len(self.world.lives)} tasks in all")
        for title, counts in (("What was done", self.counts), ("Sentences checked", self.kinds)):
            print(f"\n{title}: {sum(counts.values())}" if counts is self.kinds else f"\n{title}:")
            for name, count in sorted(counts.items()):
                print(f"  {name:<28} {count:>7}")
        print()
        for name, faults in (("missed", self.missed), ("unexplained", self.unexplained), ("false", self.faults)):
            print(f"{name}: {len(faults)}")
            # The first three of each kind.
            for kind in dict.fromkeys(fault.kind for fault in faults):
                print(*["\n      ".join(fault) for fault in faults if fault.kind == kind][:3], sep="\n")


@contextmanager
def simulated(seed: int, days: float, server_url: str = "") -> Iterator[Days]:
    """The days, ready to play, on a database of their own."""
    with ExitStack() as stack:
        server_url = server_url or stack.enter_context(postgres_server(in_memory=True)).url
        url = stack.enter_context(tasks_database(server_url))
        execute(url, INDEX)
        simulation = Days(random.Random(seed), days, stack, url)

        class Cursor(psycopg2.extensions.cursor):
            def execute(self, query: Any, parameters: Any = None) -> None:
                simulation.before(query)
                super().execute(query, parameters)

        patch = stack.enter_context(pytest.MonkeyPatch.context())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        patch.setattr(psycopg2, "connect", partial(psycopg2.connect, cursor_factory=Cursor))
        # Waiting for what does not come back would take the days' time.
        patch.setattr(slack_notifier, "WEBHOOK_PAUSES_SECONDS", (0.01,))
        patch.setattr(slack_notifier, "DATABASE_PAUSES_SECONDS", (0.01,))
        # Where a monitor that cannot read the tasks may note that it said so.
        patch.setenv("XDG_STATE_HOME", folder)
        patch.setenv("TMPDIR", folder)
        patch.setattr(slack_notifier.logger, "handlers", [simulation.log])
        patch.setattr(slack_notifier.logger, "propagate", False)
        yield simulation


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks days", description="Whether every sentence is true.")
    parser.add_argument("--quick", action="store_true", help="about a day and a half; for CI")
    parser.add_argument("--days", type=float, default=0.0, help=f"how many (default: {DAYS:g})")
    parser.add_argument("--seed", type=int, default=1, help="for other luck")
    arguments = parser.parse_args(argv)
    started = monotonic()
    with simulated(arguments.seed, arguments.days or (QUICK_DAYS if arguments.quick else DAYS)) as days:
        days.world.play()
        days.show(monotonic() - started)
        return int(bool(days.missed or days.unexplained or days.faults))
