"""What is true at a moment: what a destination has been told (as Slack heard it), and so what is news to it.

Nothing here is read from the notifier or its ledger: the rules are those of docs/reports.md, in Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from benchmarks.days.world import DAY, ENDED, ENDED_WELL, HOUR, MINUTE, OPEN, Row, Table

TIMEOUT = WINDOW = 30 * MINUTE
REMIND = 4 * HOUR
# What was reported less long ago is in no reminder.
JUST_NOW = 5 * MINUTE
SHORT_LIVED = 7 * DAY
Rows = Mapping[str, Row]


class Told(NamedTuple):
    """When a task failed or gave its last sign of life, when that was told, and its cause or status then."""

    event: datetime
    at: datetime
    cause: str


class Heard(NamedTuple):
    at: datetime
    cause: str
    recorded: bool


class Due(NamedTuple):
    """The tasks that a message must be about, and those that it may be about as well."""

    must: Rows
    may: Rows


@dataclass
class Destination:
    """A channel and what it was told. `failures` and `stuck`: what is on record, as the sender knows that Slack has it.
    `heard`: each failure that the channel has read of, when last, and whether that is on record. `unsure`: tasks that
    changed while a message about them was made, so that it may have told them or not.
    """

    channel: str
    user: str = ""
    kinds: tuple[str, ...] = ("failed",)
    failures: dict[str, Told] = field(default_factory=dict)
    stuck: dict[str, Told] = field(default_factory=dict)
    heard: dict[tuple[str, datetime], Heard] = field(default_factory=dict)
    missed: set[tuple[str, str, datetime]] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    called: dict[str, datetime] = field(default_factory=dict)

    def minds(self, row: Row) -> bool:
        return self.user in ("", row.user_api_key)

    def due(self, alert: str, table: Table, now: datetime) -> Due:
        """Of stuck tasks the new ones; reminders are the business of `reminders`."""
        old: Rows = {}
        if alert == "failed":
            rows = {row.id: row for row in table.of("failed") if self.minds(row) and self._is_new_failure(row)}
        elif alert == "stuck":
            rows = {key: row for key, row in self.all_stuck(table, now).items() if self._is_newly_stuck(row)}
        else:
            told = self.failures if alert == "healed" else self.stuck
            rows = {row.id: row for row in table.of(*ENDED_WELL) if row.id in told}
            if alert == "recovered":
                stuck = self.all_stuck(table, now).values()
                rows = {
                    key: row
                    for key, row in rows.items()
                    if now - row.updated_at > DAY or not self._merely_got_its_turn(told[key], stuck)
                }
            # A report of a week ago is forgotten as it goes.
            old = {key: row for key, row in rows.items() if now - told[key].at >= SHORT_LIVED}
        unsure = {key for key, row in rows.items() if key in self.unsure or (alert, key, row.updated_at) in self.missed}
        sure = {key: row for key, row in rows.items() if key not in {*old, *unsure}}
        return Due(sure, {key: row for key, row in rows.items() if key not in sure})

    def _is_new_failure(self, row: Row) -> bool:
        told = self.failures.get(row.id)
        if told is None:
            return True
        pause = WINDOW if told.cause == row.cause else MINUTE
        return row.updated_at != told.event and row.updated_at - min(told.event, told.at) >= pause

    def all_stuck(self, table: Table, now: datetime) -> Rows:
        rows = filter(self.minds, table.of(*OPEN))
        return {row.id: row for row in rows if now - row.sign_of_life > TIMEOUT}

    def _is_newly_stuck(self, row: Row) -> bool:
        told = self.stuck.get(row.id)
        if told is None or told.cause != OPEN[row.status]:
            return True
        return row.sign_of_life > max(told.event, told.at - TIMEOUT)

    def _merely_got_its_turn(self, told: Told, stuck: Iterable[Row]) -> bool:
        """Whether a younger task is stuck in the status in which this one was."""
        return any(OPEN[row.status] == told.cause and row.sign_of_life >= told.event for row in stuck)

    def known_stuck(self, table: Table, now: datetime, least: timedelta = JUST_NOW) -> Rows:
        """The stuck tasks that were reported so long ago; by default those that a reminder may bring."""
        known = {key: row for key, row in self.all_stuck(table, now).items() if not self._is_newly_stuck(row)}
        return {key: row for key, row in known.items() if now - self.stuck[key].at >= least}

    def reminders(self, table: Table, now: datetime) -> tuple[Rows, Rows]:
        """The stuck tasks of which the last report is four hours old; and those whose reminder is overdue by now, as
        reminders may thin out to one after as long again, at most a day."""
        due = self.known_stuck(table, now, REMIND)
        pauses = {key: min(DAY, self.stuck[key].at - self.stuck[key].event) for key in due}
        return due, {key: row for key, row in due.items() if now - self.stuck[key].at >= pauses[key]}

    def note(self, alert: str, rows: Iterable[Row], now: datetime, *, recorded: bool) -> None:
        """Remembers a message about these tasks; `recorded`: its sender knows that it arrived."""
        for row in rows:
            if alert == "failed" and not self.is_on_record(row):
                self.heard[row.id, row.updated_at] = Heard(now, row.cause, recorded)
            if not recorded:
                continue
            if alert == "failed":
                self.failures[row.id] = Told(row.updated_at, now, row.cause)
            elif alert == "stuck":
                self.stuck[row.id] = Told(row.sign_of_life, now, OPEN[row.status])
            elif alert == "healed":
                self.failures.pop(row.id, None)
            if alert != "stuck":
                self.stuck.pop(row.id, None)

    def times(self, cause: str, now: datetime) -> tuple[int, int]:
        """How many failures of the cause were told before, today and on the six UTC days before: for sure; perhaps."""
        first = now.date() - timedelta(days=6)
        told = [heard.recorded for heard in self.heard.values() if heard.cause == cause and heard.at.date() >= first]
        # A failure in a message whose answer was lost is told again and then counts; or it has healed meanwhile.
        return sum(told), len(told) + len(self.unsure)

    def told_within(self, cause: str, now: datetime, span: timedelta) -> bool:
        heard = (each for each in self.heard.values() if each.cause == cause and each.recorded)
        return any(now - span < each.at < now for each in heard)

    def is_on_record(self, row: Row) -> bool:
        return (row.id, row.updated_at) in self.heard and self.heard[row.id, row.updated_at].recorded

    def in_span(self, table: Table, start: datetime, now: datetime) -> list[Row]:
        """The tasks that ended in the span. What lies more than an hour ahead is an odd date."""
        return [row for row in table.of(*ENDED) if self.minds(row) and start <= row.updated_at <= now + HOUR]

    def healed_since(self, table: Table, start: datetime, now: datetime) -> tuple[set[str], set[str]]:
        """The tasks that ended well in the span and were told as failed: those on record; and besides, those of
        messages of which the sender does not know that they arrived."""
        ended = {row.id for row in self.in_span(table, start, now) if row.status in ENDED_WELL}
        sure = {task_id for (task_id, _), heard in self.heard.items() if heard.recorded}
        return ended & sure, ended & {task_id for task_id, _ in self.heard}


def last_activity(table: Table, now: datetime) -> datetime | None:
    """When a worker last started or ended a task that still is in the table, by the workers' clocks. A row with an odd
    date does not say it."""
    rows = [row for row in table.rows.values() if row.updated_at <= now + HOUR]
    return max((row.acted for row in rows if row.acted), default=None)


def may_be_activity(table: Table, now: datetime) -> datetime | None:
    """When a task that was started once was last changed, by a worker or by others: its row cannot say. An odd date
    is none."""
    started = (row.updated_at for row in table.rows.values() if row.started_at and row.updated_at <= now + HOUR)
    return max(started, default=None)


def waits_too_long(row: Row) -> bool:
    """Whether it waits for a worker, or failed unstarted after it waited longer than the timeout."""
    if row.status == "failed":
        return row.started_at is None and row.updated_at - row.created_at > TIMEOUT
    return row.status == "queued"
