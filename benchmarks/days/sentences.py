"""Every sentence that a message may say, and how each is held against the truth. One that is not here is an error.

A sentence is a pattern for a whole line, or for a part of the last one after a "· ", with what it must mean: a function
that yields why it is false. What its named groups match is kept for the message as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from benchmarks.days.truth import WINDOW, Destination, Due, last_activity, may_be_activity, waits_too_long
from benchmarks.days.world import ENDED_WELL, HOUR, MINUTE, OPEN, Row, Table

SECOND = timedelta(seconds=1)
# The text names a second, in which the span begins.
EITHER = (timedelta(), SECOND)
CRITICAL_COUNT, CRITICAL_SHARE, CRITICAL_ENDED = 10, 50, 5
ALERTS = ("failed", "stuck", "healed", "recovered")
TITLES = {
    "🚨 Failed Tasks Alert": "failed",
    "⚠️ Stuck Tasks Alert": "stuck",
    "✅ Failed Tasks Recovered": "healed",
    "✅ Stuck Tasks Recovered": "recovered",
}
# What a run says that cannot read the tasks, and the next one that can; tests/test_blind.py holds them to it.
OF_THE_MONITOR = ("🙈 Monitor cannot read the tasks table", "✅ Monitor can read the tasks table again")
TIME, AGE = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", r"(\d+ min|\d+ h \d+ min|\d+ d \d+ h)"
ID, SEEN = r"`([0-9a-f-]{36})`", r"(?: (🆕|\(\d+× in 7 days\)))?"
COUNT, CALLED = r"(?P<count>\d+)(?P<more> more)? tasks?", r":(?P<mention> <!here>)?"
CRITICAL, NO_WORKER = "(?P<critical>Critical: )", "No task has started or ended"
SINCE = TIME.replace("(", "(?P<since>", 1)
# Why a line is false.
Why = Iterable[str]
Found = re.Match[str]
SENTENCES: list[tuple[str, re.Pattern[str], tuple[str, ...], Callable[[Any, Found], Why]]] = []
WHOLE: list[tuple[str, Callable[[Any], Why]]] = []


def sentence(kind: str, pattern: str, *alerts: str) -> Callable[[Any], Any]:
    def add(check: Callable[[Any, Found], Why]) -> Any:
        SENTENCES.append((kind, re.compile(pattern), alerts or ALERTS, check))
        return check

    return add


def whole(kind: str) -> Callable[[Any], Any]:
    """What only the message as a whole can be held against."""
    return lambda check: WHOLE.append((kind, check))


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)


def age(since: datetime, now: datetime) -> str:
    hours, minutes = divmod(max(0, (now - since) // MINUTE), 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")))


class Case(NamedTuple):
    """A message and the moment at which it was claimed: what the table held, and what its channel had been told.
    `after`: what the table held when the run looked whether workers are there. `gone`: a task that changed between the
    claim and that, as it was before."""

    to: Destination
    alert: str
    now: datetime
    table: Table
    due: Due
    after: Table
    gone: Row | None = None


class Group(NamedTuple):
    """Tasks under a heading, which is checked when all of its lines are read."""

    heading: Found | None
    ids: list[str]
    rest: list[int]


class Reading:
    """What a message says, line by line, and which of it is `false`: kind, line, why."""

    def __init__(self, case: Case, lines: list[str]) -> None:
        self.case = case
        self.kinds: Counter[str] = Counter()
        self.false: list[tuple[str, str, str]] = []
        self.said: dict[str, str] = {}
        self.groups = [Group(None, [], [])]
        self.task: Row | None = None
        for line in lines:
            first, *others = line.split(" · ") if line.startswith("Reported at") else [line]
            for part in (first, *(f"· {other}" for other in others)):
                self._say(part, line)
        for kind, check in WHOLE:
            self._judge(kind, f"{lines[1]} … {lines[-1]}", check(self))

    def _say(self, part: str, line: str) -> None:
        for kind, pattern, alerts, check in SENTENCES:
            found = pattern.fullmatch(part)
            if found and self.case.alert in alerts:
                self.said |= {name: text for name, text in found.groupdict().items() if text}
                self._judge(kind, line, check(self, found))
                return
        self.false.append(("unknown", line, f"a sentence that nobody checks: {part}"))

    def _judge(self, kind: str, line: str, reasons: Why) -> None:
        self.kinds[kind] += 1
        self.false += [(kind, line, why) for why in reasons]

    def number(self, name: str) -> int:
        return int(self.said.get(name, 0))

    @property
    def start(self) -> datetime:
        return moment(self.said["since"]) if "since" in self.said else self.case.now - WINDOW

    @property
    def listed(self) -> list[str]:
        return [task_id for group in self.groups for task_id in group.ids]

    @property
    def may(self) -> dict[str, Row]:
        """Those that the message may be about, besides those that it must be about."""
        case, may = self.case, dict(self.case.due.may)
        if case.alert == "stuck":
            due, _ = case.to.reminders(case.table, case.now)
            # What is known to be reported is the likelier.
            known = case.to.known_stuck(case.table, case.now) if "still" in self.said and due else due
            may = {**known, **may}
        return {key: row for key, row in may.items() if key not in self.must}

    @property
    def must(self) -> Mapping[str, Row]:
        return {} if "still" in self.said else self.case.due.must

    @property
    def told(self) -> list[Row]:
        """The tasks that the message is about, as well as can be known where it lists some and counts the others."""
        # A task that changed after its claim must not be counted; where it is, it has been told of all the same.
        gone = {self.case.gone.id: self.case.gone} if self.case.gone else {}
        rows = {**gone, **self.may, **self.must}
        # It may be of the first report, which went out just before a reminder.
        others = [*self.may, *gone] if "still" in self.said else [*gone, *self.may]
        order = dict.fromkeys([*(key for key in self.listed if key in rows), *self.must, *others])
        return [rows[key] for key in order][: self.number("count")]

    def of_cause(self, cause: str) -> tuple[int, int]:
        """How many tasks of the cause the message is about, at least and at most."""
        sure = sum(row.cause == cause for row in self.must.values())
        return sure, sure + sum(row.cause == cause for row in self.may.values())

    def ended(self, later: timedelta) -> list[Row]:
        """What ended in the span, which begins so much later."""
        return self.case.to.in_span(self.case.table, self.start + later, self.case.now)

    def failed(self, later: timedelta) -> list[Row]:
        return [row for row in self.ended(later) if row.status == "failed"]

    @sentence("title", "|".join(map(re.escape, TITLES)), *TITLES.values())
    @sentence("how many failed", rf"{COUNT} failed (?:in the last 30 minutes|since {SINCE}){CALLED}", "failed")
    @sentence("how many are stuck", rf"{COUNT}(?P<still> still)? stuck for more than 30 minutes{CALLED}", "stuck")
    @sentence("how many recovered", r"(?P<count>\d+) tasks? no longer failed:", "healed")
    @sentence("how many recovered", r"(?P<count>\d+) tasks? no longer stuck:", "recovered")
    def _(self, found: Found) -> Why:
        return ()

    @sentence("a cause", rf"(?P<in_group>\d+) × (.+?) · (\d+) users?{SEEN}", "failed")
    @sentence("a status", r"(Queued|In Progress) Tasks \((?P<in_group>\d+)\):", "stuck")
    def _(self, found: Found) -> Why:
        self.groups.append(Group(found, [], []))
        return ()

    @sentence("how many more", r"… and (\d+) more")
    def _(self, found: Found) -> Why:
        self.groups[-1].rest.append(int(found[1]))
        return ()

    @sentence("a task", rf"• Task ID: {ID}", "failed", "stuck")
    def is_listed(self, found: Found) -> Why:
        """Adds the task to those that are listed. It must be one that the message may be about."""
        task_id, case = found[1], self.case
        row = self.task = case.table.rows.get(task_id)
        self.groups[-1].ids.append(task_id)
        if task_id in self.must or task_id in self.may:
            return
        told = (case.to.failures if case.alert in ("failed", "healed") else case.to.stuck).get(task_id)
        repeated = row and (
            case.to.is_on_record(row)
            if case.alert == row.status == "failed"
            else case.alert == "stuck" and told and told.cause == OPEN.get(row.status)
        )
        yield f"{'REPEATED: ' if repeated else ''}{task_id} is {row or 'no more'}; told: {told}"

    @sentence("what a task is", r"  (Status|Created|Logs): (.+)", "failed", "stuck")
    def _(self, found: Found) -> Why:
        row = self.task
        if row:
            true = {
                "Status": f"{OPEN.get(row.status, row.status)} · {self.since(row)}",
                "Created": f"{row.created_at:%Y-%m-%d %H:%M:%S} UTC",
                "Logs": self.log(row) or "No logs available",
            }[found[1]]
            if found[2] != true:
                yield f"{row.id}: {true}; {row}"

    def since(self, row: Row) -> str:
        """How long ago it failed, or for how long it has given no sign of life."""
        if self.case.alert == "stuck":
            return f"for {age(row.sign_of_life, self.case.now)}"
        return "just now" if row.updated_at > self.case.now - MINUTE else f"{age(row.updated_at, self.case.now)} ago"

    def log(self, row: Row) -> str:
        return f"<{row.log_uri}|View Logs>" if row.log_uri else ""

    @sentence("its error", rf"  Error: (.+?){SEEN}", "failed", "stuck")
    def _(self, found: Found) -> Why:
        if self.task:
            yield from self.is_error(found[1], self.task)
            yield from self.is_seen(self.task.cause, found[2])

    def is_error(self, shown: str, row: Row) -> Why:
        # A word beside a cut may be a part of it.
        foreign = words(re.sub(r"\w*(?:\.\.\.|…)\w*", " ", shown)) - words(row.error or "No error message")
        if foreign or not words(shown):
            yield f"not the error of {row.id}: {row.error!r}"

    def is_seen(self, cause: str, seen: str | None) -> Why:
        """Whether the cause is new to the destination, or was told so often, this message included."""
        sure, perhaps = self.case.to.times(cause, self.case.now)
        least, most = self.of_cause(cause)
        if sure if seen == "🆕" else seen and not sure + least <= int(seen[1:].split("×")[0]) <= perhaps + most:
            yield f"{cause!r} was told {sure}× before in these days and {least}× now"

    @sentence("a task in a line", rf"• {ID} (.+)", "failed", "stuck")
    def _(self, found: Found) -> Why:
        yield from self.is_listed(found)
        row = self.task
        if row and found[2] != " · ".join(filter(None, [self.since(row), self.log(row)])):
            yield f"{self.since(row)}; {row}"

    @sentence("a recovered task", rf"• {ID} (?:is (\w+) · )?{AGE} after it failed", "healed")
    @sentence("a recovered task", rf"• {ID} (?:is (\w+) · )?stuck for {AGE}", "recovered")
    def _(self, found: Found) -> Why:
        yield from self.is_listed(found)
        row = self.task
        if row and (found[2] not in (None, row.status) or row.status not in ENDED_WELL):
            yield f"{row.id} is {row.status}"
        told = row and (self.case.to.failures if self.case.alert == "healed" else self.case.to.stuck).get(row.id)
        if row and told and found[3] != age(told.event, row.updated_at):
            yield f"{row.id}: from {told.event} until {row.updated_at}"

    @sentence("how many more causes", r"… and (\d+) more causes? \((?P<in_other_causes>\d+) tasks?\)", "failed")
    def _(self, found: Found) -> Why:
        causes = {row.cause for row in self.told}
        others = causes - {self.case.table.rows[ids[0]].cause for _, ids, _ in self.groups if ids}
        if len(others) != int(found[1]):
            yield f"the other causes are {sorted(others)}"

    @sentence("no worker", rf"(?P<workers>{NO_WORKER} (?:since {TIME}|yet): are the workers running\?)", *ALERTS[:2])
    def _(self, found: Found) -> Why:
        case, since = self.case, moment(found[2]) if found[2] else None
        last, rows = last_activity(case.table, case.now), case.table.rows.values()
        if last and (since is None or last >= since + SECOND):
            yield f"a worker started or ended a task at {last}"
        elif since:
            stamps = [stamp for row in rows for stamp in (row.acted, row.updated_at) if stamp]
            if not any(since <= stamp < since + SECOND for stamp in stamps):
                yield "nothing happened then"
            if case.now - since < WINDOW:
                yield "not for longer than the timeout"
        if not any(map(waits_too_long, {**self.must, **self.may}.values())):
            yield "none of these tasks waits for a worker, or waited for one for longer than the timeout"

    @sentence("when", rf"Reported at {TIME}")
    def _(self, found: Found) -> Why:
        if found[1] != f"{self.case.now:%Y-%m-%d %H:%M:%S}":
            yield f"it is {self.case.now}"

    @sentence("n of m", rf"· {CRITICAL}?(?P<failed>\d+) of (?P<ended>\d+) ended tasks? failed", "failed")
    def _(self, found: Found) -> Why:
        true = [(len(self.failed(later)), len(self.ended(later))) for later in EITHER]
        if (self.number("failed"), self.number("ended")) not in true:
            yield f"it is {true[0][0]} of {true[0][1]} since {self.start}"

    @sentence("users", r"· (\d+) users?", "failed")
    def _(self, found: Found) -> Why:
        true = [len({row.user_api_key for row in self.failed(later)}) for later in EITHER]
        if int(found[1]) not in true:
            yield f"they are of {true[0]}"

    @sentence("recovered of them", r"· (?P<recovered>\d+) recovered", "failed")
    def _(self, found: Found) -> Why:
        sure, perhaps = self.case.to.healed_since(self.case.table, self.start, self.case.now)
        if not len(sure) <= int(found[1]) <= len(perhaps):
            yield f"it is {len(sure)} since {self.start}: {sorted(sure)[:5]}"

    @sentence("queued", r"· (\d+) (queued|in progress)(?: in all)?", "stuck")
    def _(self, found: Found) -> Why:
        rows = filter(self.case.to.minds, self.case.table.of(*OPEN))
        true = sum(OPEN[row.status] == found[2].replace(" ", "_") for row in rows)
        if int(found[1]) != true:
            yield f"it is {true}"

    @sentence("why critical", rf"· {CRITICAL}(?:(\d+) tasks|no worker seen)", "failed", "stuck")
    def _(self, found: Found) -> Why:
        if int(found[2]) != self.number("count") if found[2] else "workers" not in self.said:
            yield f"it is {self.number('count')} tasks, or nothing is said of the workers"

    @whole("how many")
    def _(self) -> Why:
        # Of fewer than there are, the others are missed, unless the next run tells them.
        count, most = self.number("count"), len(self.must) + len(self.may)
        if count > most:
            yield f"it is {most}: {[*self.must, *self.may][:12]}"
        counted = len(self.listed) + sum(sum(group.rest) for group in self.groups)
        counted += self.number("in_other_causes")
        if count != counted:
            yield f"{counted} are listed or counted"
        if len(set(self.listed)) < len(self.listed):
            yield "a task is listed twice"

    @whole("how many of a group")
    def _(self) -> Why:
        check = self.is_status if self.case.alert == "stuck" else self.is_cause
        for heading, ids, rest in self.groups:
            rows = [self.case.table.rows[task_id] for task_id in ids if task_id in self.case.table.rows]
            if heading and rows:
                yield from (f"{heading[0]} {why}" for why in check(heading, rows))
                # Another count at the end is of tasks in no group.
                if int(heading["in_group"]) not in (len(ids), len(ids) + sum(rest[:1])):
                    yield f"{heading[0]} {len(ids)} are listed, {sum(rest[:1])} more counted"

    def is_status(self, heading: Found, rows: list[Row]) -> Why:
        status = heading[1].lower().replace(" ", "_")
        right = sum(OPEN[row.status] == status for row in self.told)
        if int(heading["in_group"]) != right or any(OPEN.get(row.status) != status for row in rows):
            yield f"it is {right}"

    def is_cause(self, heading: Found, rows: list[Row]) -> Why:
        for cause in {row.cause for row in rows}:
            about = [row for row in self.told if row.cause == cause]
            least, most = self.of_cause(cause)
            if not least <= int(heading["in_group"]) <= most:
                yield f"it is {least} of {cause!r}"
            if least == most and int(heading[3]) != len({row.user_api_key for row in about}):
                yield f"they are of {len({row.user_api_key for row in about})}"
            for row in about:
                yield from self.is_error(heading[2], row)
            yield from self.is_seen(cause, heading[4])

    @whole("in which span")
    def _(self) -> Why:
        case, about = self.case, {row.id: row for row in self.told}
        if case.alert == "failed":
            yield from (f"{row.id} failed at {row.updated_at}" for row in about.values() if row.updated_at < self.start)
            others, sure = ([row.id for row in self.failed(later) if row.id not in about] for later in EITHER)
            heard = {task_id for task_id, _ in case.to.heard}
            if not heard & {*others} if "more" in self.said else sure:
                yield f"others failed as well: {others[:5]}, or none that it was told of"
        elif case.alert == "stuck" and "still" not in self.said:
            left = [key for key in case.to.all_stuck(case.table, case.now) if key not in about]
            if ("more" in self.said) != bool(left):
                yield f"{len(left)} others are stuck: {left[:5]}"

    @whole("as before")
    def _(self) -> Why:
        """What was said of the same span before must not be contradicted in silence."""
        if self.case.alert == "failed" and not self.number("recovered"):
            start = self.start + SECOND
            healed, _ = self.case.to.healed_since(self.case.table, start, self.case.now)
            before = {task_id for task_id, event in self.case.to.heard if event >= start} & healed
            if before:
                yield f"{len(before)} tasks of this span were told as failed, have recovered, and are not mentioned"

    @whole("who is called")
    def _(self) -> Why:
        case, said = self.case, self.said
        if case.alert not in ("failed", "stuck"):
            return
        failed, ended = self.number("failed"), self.number("ended")
        share = ended >= CRITICAL_ENDED and 100 * failed >= CRITICAL_SHARE * ended
        critical = self.number("count") >= CRITICAL_COUNT or share or "workers" in said
        last, now = case.to.called.get(case.alert), case.now
        new = {row.id for row in self.told if case.alert == "failed" and not case.to.told_within(row.cause, now, HOUR)}
        if {"mention", "critical"} & {*said} and not critical:
            yield "it is not critical"
        if "mention" in said and last and now - last < HOUR and not new:
            yield f"they were called at {last}, and no cause is new"
        may_wait = last and now - last <= HOUR and not new & {*self.must}
        if critical and self.must and "mention" not in said and not may_wait:
            yield f"it is critical, and they were called at {last}, or a cause is new: {new}"

    @whole("the workers, unmentioned")
    def _(self) -> Why:
        case, waiting = self.case, any(map(waits_too_long, self.must.values()))
        if case.alert in ("failed", "stuck") and "workers" not in self.said and waiting:
            signs = last_activity(case.table, case.now), may_be_activity(case.after, case.now)
            last = max(filter(None, signs), default=None)
            if last is None or case.now - last > WINDOW:
                yield f"no worker has started or ended a task since {last}"


def read(case: Case, payload: Mapping[str, Any]) -> Reading:
    """Reads a message's blocks, and its text, which may list less but says nothing else."""
    parts = [part for block in payload["blocks"] for part in block.get("elements") or [block["text"]]]
    lines = [line for part in parts for line in part["text"].split("\n")]
    shown = [re.sub(r"^((?:• |  )?)\*([^*\n]+)\*", r"\1\2", line) for line in lines]
    reading, text = Reading(case, shown), payload["text"].split("\n")
    if text != shown:
        other = Reading(case, text)
        reading.false += [(kind, f"{line} (text)", why) for kind, line, why in other.false]
        if text[:2] != shown[:2] or text[-1] != shown[-1] or not {*other.listed} <= {*reading.listed}:
            reading.false.append(("text and blocks", text[1], f"the blocks say {shown[1]}"))
    return reading
