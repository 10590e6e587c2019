"""Every sentence that a message may say, and how each is held against the truth. One that is not here is an error.

A sentence is a pattern for a whole line, with what it must mean: a function that yields why the line is false.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from benchmarks.days.truth import WINDOW, Destination, Due, last_activity, may_be_activity, waits_too_long
from benchmarks.days.world import ENDED_WELL, HOUR, MINUTE, OPEN, Row, Table

SECOND = timedelta(seconds=1)
CRITICAL_COUNT, CRITICAL_SHARE, CRITICAL_ENDED = 10, 50, 5
TITLES = {
    "🚨 Failed Tasks Alert": "failed",
    "⚠️ Stuck Tasks Alert": "stuck",
    "✅ Failed Tasks Recovered": "healed",
    "✅ Stuck Tasks Recovered": "recovered",
    "🙈 Monitor cannot read the tasks table": "blind",
    "✅ Monitor can read the tasks table again": "sees again",
}
TIME, AGE = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", r"(\d+ min|\d+ h \d+ min|\d+ d \d+ h)"
WHEN = r"(just now|(?:\d+ [dhm]\w* ?)+ ago|for (?:\d+ [dhm]\w* ?)+)"
ID, SEEN, LINK = r"`([0-9a-f-]{36})`", r"(?: (🆕|\(\d+× in 7 days\)))?", r"<(https://[^|>]+)\|View Logs>"
# The truth, or a moment at which it was another: why a line is false.
Why = Iterator[str]


class Case(NamedTuple):
    """A message and the moment at which it was claimed: what the table held, and what its channel had been told.
    `gone`: a task that changed between the claim and the look at its tasks, as it was before."""

    to: Destination
    alert: str
    now: datetime
    table: Table
    due: Due
    gone: Row | None = None
    blind: bool = False


class Group(NamedTuple):
    """Tasks under a heading, which is checked when all of its lines are read."""

    heading: re.Match[str] | None
    ids: list[str]
    rest: list[int]


class Reading:
    """What a message says, line by line, and which of it is `false`: kind, line, why."""

    def __init__(self, case: Case, lines: list[str]) -> None:
        self.case = case
        self.kinds: Counter[str] = Counter()
        self.false: list[tuple[str, str, str]] = []
        self.summary, self.count, self.start = "", 0, case.now - WINDOW
        self.more = self.still = self.mention = self.workers = self.says_critical = False
        self.groups = [Group(None, [], [])]
        self.more_causes = (0, 0)
        self.task: Row | None = None
        self.footer: dict[str, int] = {}
        for line in lines:
            self._read(line)
        self._finish()

    def _read(self, line: str) -> None:
        for part in line.split(" · ") if line.startswith("Reported at") else [line]:
            self.say(part, line, SENTENCES if part.startswith("Reported at") or part == line else FOOTER)

    def say(self, part: str, line: str, sentences: list[Sentence]) -> None:
        for sentence in sentences:
            found = sentence.pattern.fullmatch(part)
            if found and self.case.alert in sentence.alerts:
                self.kinds[sentence.kind] += 1
                self.false += [(sentence.kind, line, why) for why in sentence.check(self, found)]
                return
        self.false.append(("unknown", line, f"a sentence that nobody checks: {part}"))

    def _finish(self) -> None:
        for kind, line, check in WHOLE:
            if self.case.alert in ALERTS:
                self.kinds[kind] += 1
                self.false += [(kind, line(self), why) for why in check(self)]

    @property
    def listed(self) -> list[str]:
        return [task_id for group in self.groups for task_id in group.ids]

    @property
    def may(self) -> dict[str, Row]:
        """Those that the message may be about, besides those that it must be about."""
        case, may = self.case, dict(self.case.due.may)
        if case.alert == "stuck":
            due, _ = case.to.reminders(case.table, case.now)
            may |= case.to.all_stuck(case.table, case.now) if self.still and due else due
        return {key: row for key, row in may.items() if key not in self.must}

    @property
    def must(self) -> Mapping[str, Row]:
        return {} if self.still else self.case.due.must

    @property
    def told(self) -> list[Row]:
        """The tasks that the message is about, as well as can be known where it lists some and counts the others."""
        # A task that changed after its claim must not be counted; where it is, it has been told of all the same.
        gone = {self.case.gone.id: self.case.gone} if self.case.gone else {}
        rows = {**gone, **self.may, **self.must}
        order = dict.fromkeys([*(key for key in self.listed if key in rows), *self.must, *gone, *self.may])
        return [rows[key] for key in order][: self.count]

    def of_cause(self, cause: str) -> tuple[int, int]:
        """How many tasks of the cause the message is about, at least and at most."""
        sure = sum(row.cause == cause for row in self.must.values())
        return sure, sure + sum(row.cause == cause for row in self.may.values())


class Sentence(NamedTuple):
    kind: str
    pattern: re.Pattern[str]
    alerts: tuple[str, ...]
    check: Callable[[Reading, re.Match[str]], Why]


ALERTS = ("failed", "stuck", "healed", "recovered")
SENTENCES: list[Sentence] = []
FOOTER: list[Sentence] = []
WHOLE: list[tuple[str, Callable[[Reading], str], Callable[[Reading], Why]]] = []


def sentence(kind: str, pattern: str, *alerts: str, among: list[Sentence] = SENTENCES) -> Callable[[Any], Any]:
    def add(check: Callable[[Reading, re.Match[str]], Why]) -> Any:
        among.append(Sentence(kind, re.compile(pattern), alerts or ALERTS, check))
        return check

    return add


def whole(kind: str, line: Callable[[Reading], str] = lambda reading: reading.summary) -> Callable[[Any], Any]:
    """What only the message as a whole can be held against."""

    def add(check: Callable[[Reading], Why]) -> Any:
        WHOLE.append((kind, line, check))
        return check

    return add


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)


def age(since: datetime, now: datetime) -> str:
    minutes = max(0, (now - since) // MINUTE)
    days, hours = minutes // 1440, minutes // 60
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")))


def foreign_words(shown: str, error: str) -> set[str]:
    """The words that are shown and not the error's; one beside a cut may be a part of it."""
    return words(re.sub(r"\w*(?:\.\.\.|…)\w*", " ", shown)) - words(error)


def is_error(shown: str, row: Row) -> Why:
    if not row.error:
        if shown != "No error message":
            yield "the task has no error"
    elif foreign_words(shown, row.error) or not words(shown):
        yield f"not the error of {row.id}: {row.error!r}"


def read(case: Case, payload: Mapping[str, Any]) -> Reading:
    """Reads a message's blocks, and its text, which may list less but says nothing else."""
    shown, text = lines_of_blocks(payload["blocks"]), payload["text"].split("\n")
    reading = Reading(case, shown)
    if text != shown:
        other = Reading(case, text)
        reading.false += [(kind, f"{line} (text)", why) for kind, line, why in other.false]
        same = text[:2] == shown[:2] and text[-1] == shown[-1] and {*other.listed} <= {*reading.listed}
        if not same:
            reading.false.append(("text and blocks", text[1], f"the blocks say {shown[1]}"))
    return reading


def lines_of_blocks(blocks: list[dict[str, Any]]) -> list[str]:
    lines = []
    for block in blocks:
        texts = block["elements"] if block["type"] == "context" else [block["text"]]
        lines += [line for text in texts for line in text["text"].split("\n")]
    return [re.sub(r"^((?:• |  )?)\*([^*\n]+)\*", r"\1\2", line) for line in lines]


# ---- The opening -----------------------------------------------------------------------------------------------------


@sentence("title", "|".join(map(re.escape, TITLES)), *TITLES.values())
def _(reading: Reading, found: re.Match[str]) -> Why:
    return iter(())


@sentence(
    "how many failed", rf"(\d+)( more)? tasks? failed (?:in the last 30 minutes|since {TIME}):( <!here>)?", "failed"
)
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.summary, reading.count, reading.more = found[0], int(found[1]), bool(found[2])
    reading.start = moment(found[3]) if found[3] else reading.start
    reading.mention = bool(found[4])
    return iter(())


@sentence("how many are stuck", r"(\d+)( more)? tasks?( still)? stuck for more than 30 minutes:( <!here>)?", "stuck")
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.summary, reading.count = found[0], int(found[1])
    reading.more, reading.still, reading.mention = bool(found[2]), bool(found[3]), bool(found[4])
    return iter(())


@sentence("how many recovered", r"(\d+) tasks? no longer (failed|stuck):", "healed", "recovered")
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.summary, reading.count = found[0], int(found[1])
    if found[2] != {"healed": "failed", "recovered": "stuck"}[reading.case.alert]:
        yield "another kind of message"


@sentence(
    "no worker", rf"No task has started or ended (?:since {TIME}|yet): are the workers running\?", "failed", "stuck"
)
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.workers = True
    case, since = reading.case, moment(found[1]) if found[1] else None
    last = last_activity(case.table)
    if last and (since is None or last >= since + SECOND):
        busy = [row.id for row in case.table.rows.values() if row.acted == last]
        yield f"a worker started or ended {busy[0]} at {last} (now {case.table.rows[busy[0]].status})"
    elif since:
        stamps = [stamp for row in case.table.rows.values() for stamp in (row.acted, row.updated_at) if stamp]
        if not any(since <= stamp < since + SECOND for stamp in stamps):
            yield "nothing happened then"
        if case.now - since < WINDOW:
            yield "not for longer than the timeout"
    if not any(map(waits_too_long, {**reading.must, **reading.may}.values())):
        yield "none of these tasks waits for a worker, or waited for one for longer than the timeout"


# ---- Tasks -----------------------------------------------------------------------------------------------------------


@sentence("a cause", rf"(\d+) × (.+?) · (\d+) users?{SEEN}", "failed")
@sentence("a status", r"(Queued|In Progress) Tasks \((\d+)\):", "stuck")
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.groups.append(Group(found, [], []))
    return iter(())


def is_listed(reading: Reading, task_id: str) -> Why:
    """Adds the task to those that are listed. It must be one that the message may be about."""
    case, row = reading.case, reading.case.table.rows.get(task_id)
    reading.groups[-1].ids.append(task_id)
    reading.task = row
    if task_id in reading.must or task_id in reading.may:
        return
    told = case.to.failures if case.alert in ("failed", "healed") else case.to.stuck
    if row is None:
        yield f"{task_id} is no more"
    elif not case.to.minds(row):
        yield f"{task_id} is of {row.user_api_key}"
    elif case.alert == "failed" and row.status == "failed" and case.to.heard.get((row.id, row.updated_at)):
        yield f"REPEATED: {task_id} was told at {told[task_id].at}" if task_id in told else f"REPEATED: {task_id}"
    elif case.alert == "stuck" and task_id in told and told[task_id].cause == OPEN.get(row.status):
        yield f"REPEATED: {task_id} was told at {told[task_id].at} and gave no sign of life since {row.sign_of_life}"
    else:
        yield f"{task_id} is {row.status} since {row.updated_at}; told: {told.get(task_id)}"


@sentence("a task", rf"• Task ID: {ID}", "failed", "stuck")
def _(reading: Reading, found: re.Match[str]) -> Why:
    yield from is_listed(reading, found[1])


@sentence("its status", rf"  Status: (\w+)(?: · {WHEN})?", "failed", "stuck")
def _(reading: Reading, found: re.Match[str]) -> Why:
    if reading.task:
        status = OPEN.get(reading.task.status, reading.task.status)
        if found[1] != status:
            yield f"it is {status}"
        yield from is_age(reading, reading.task, found[2])


def is_age(reading: Reading, row: Row, shown: str | None) -> Why:
    """Whether it failed so long ago, or has given no sign of life for so long."""
    now = reading.case.now
    if reading.case.alert == "stuck":
        true = f"for {age(row.sign_of_life, now)}"
    else:
        true = "just now" if row.updated_at > now - MINUTE else f"{age(row.updated_at, now)} ago"
    if shown and shown != true:
        yield f"{row.id}: {true}; {row.updated_at}, its last sign of life {row.sign_of_life}"


@sentence("when it was created", rf"  Created: {TIME}", "failed", "stuck")
def _(reading: Reading, found: re.Match[str]) -> Why:
    if reading.task and f"{reading.task.created_at:%Y-%m-%d %H:%M:%S}" != found[1]:
        yield f"it was created at {reading.task.created_at}"


@sentence("its error", rf"  Error: (.+?){SEEN}", "failed", "stuck")
def _(reading: Reading, found: re.Match[str]) -> Why:
    if reading.task:
        yield from is_error(found[1], reading.task)
        yield from is_seen(reading, reading.task.cause, found[2])


def is_seen(reading: Reading, cause: str, seen: str | None) -> Why:
    """Whether the cause is new to the destination, or was told so often, this message included."""
    sure, perhaps = reading.case.to.times(cause, reading.case.now)
    least, most = reading.of_cause(cause)
    if seen == "🆕":
        if sure:
            yield f"{cause!r} was told {sure}× before in these days"
    elif seen and not sure + least <= int(re.findall(r"\d+", seen)[0]) <= perhaps + most:
        yield f"{cause!r} was told {sure}× before in these days and {least}× now"


@sentence("its log", rf"  Logs: (?:{LINK}|No logs available)", "failed", "stuck")
def _(reading: Reading, found: re.Match[str]) -> Why:
    if reading.task and reading.task.log_uri != found[1]:
        yield f"its log is {reading.task.log_uri}"


@sentence("a task in a line", rf"• {ID} {WHEN}(?: · {LINK})?", "failed", "stuck")
def _(reading: Reading, found: re.Match[str]) -> Why:
    yield from is_listed(reading, found[1])
    if reading.task:
        yield from is_age(reading, reading.task, found[2])
        if found[3] != reading.task.log_uri:
            yield f"its log is {reading.task.log_uri}"


ENDED_AFTER = rf"(?:{AGE} after it failed|stuck for {AGE})"


@sentence("a recovered task", rf"• {ID} (?:is (\w+) · )?{ENDED_AFTER}", "healed", "recovered")
def _(reading: Reading, found: re.Match[str]) -> Why:
    yield from is_listed(reading, found[1])
    row = reading.task
    if row and (found[2] not in (None, row.status) or row.status not in ENDED_WELL):
        yield f"{row.id} is {row.status}"
    told = reading.case.to.failures if reading.case.alert == "healed" else reading.case.to.stuck
    took = found[3] or found[4]
    if row and took and row.id in told and took != age(told[row.id].event, row.updated_at):
        yield f"{row.id}: from {told[row.id].event} until {row.updated_at}"


@sentence("how many more", r"… and (\d+) more")
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.groups[-1].rest.append(int(found[1]))
    return iter(())


@sentence("how many more causes", r"… and (\d+) more causes? \((\d+) tasks?\)", "failed")
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.more_causes = (int(found[1]), int(found[2]))
    causes = {row.cause for row in reading.told}
    others = causes - {reading.case.table.rows[ids[0]].cause for _, ids, _ in reading.groups if ids}
    if len(others) != int(found[1]):
        yield f"the other causes are {sorted(others)}"


# ---- The last line ---------------------------------------------------------------------------------------------------


@sentence("when", rf"Reported at {TIME}")
def _(reading: Reading, found: re.Match[str]) -> Why:
    if found[1] != f"{reading.case.now:%Y-%m-%d %H:%M:%S}":
        yield f"it is {reading.case.now}"


CRITICAL = "(Critical: )?"


@sentence("n of m", rf"{CRITICAL}(\d+) of (\d+) ended tasks? failed", "failed", among=FOOTER)
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.says_critical |= bool(found[1])
    reading.footer |= {"failed": int(found[2]), "ended": int(found[3])}
    true = [
        (len(failed), len(ended))
        for failed, ended in map(reading_span(reading), (reading.start, reading.start + SECOND))
    ]
    if (int(found[2]), int(found[3])) not in true:
        yield f"it is {true[0][0]} of {true[0][1]} since {reading.start}"


def reading_span(reading: Reading) -> Callable[[datetime], tuple[list[Row], list[Row]]]:
    """What ended from then on, and which of it failed. The text names a second, in which the span begins."""
    case = reading.case

    def span(start: datetime) -> tuple[list[Row], list[Row]]:
        ended = list(case.to.in_span(case.table, start, case.now))
        return [row for row in ended if row.status == "failed"], ended

    return span


@sentence("users", r"(\d+) users?", "failed", among=FOOTER)
def _(reading: Reading, found: re.Match[str]) -> Why:
    spans = [reading_span(reading)(start)[0] for start in (reading.start, reading.start + SECOND)]
    true = [len({row.user_api_key for row in failed}) for failed in spans]
    if int(found[1]) not in true:
        yield f"they are of {true[0]}"


@sentence("recovered of them", r"(\d+) recovered", "failed", among=FOOTER)
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.footer["recovered"] = int(found[1])
    sure, perhaps = reading.case.to.healed_since(reading.case.table, reading.start, reading.case.now)
    if not len(sure) <= int(found[1]) <= len(perhaps):
        yield f"it is {len(sure)} since {reading.start}: {sorted(sure)[:5]}"


@sentence("queued", r"(\d+) (queued|in progress)(?: in all)?", "stuck", among=FOOTER)
def _(reading: Reading, found: re.Match[str]) -> Why:
    rows = list(filter(reading.case.to.minds, reading.case.table.of(*OPEN)))
    true = sum(OPEN[row.status] == found[2].replace(" ", "_") for row in rows)
    if int(found[1]) != true:
        yield f"it is {true}"


@sentence("why critical", r"Critical: (?:(\d+) tasks|no worker seen)", "failed", "stuck", among=FOOTER)
def _(reading: Reading, found: re.Match[str]) -> Why:
    reading.says_critical = True
    if found[1] and int(found[1]) != reading.count:
        yield f"it is {reading.count} tasks"
    if not found[1] and not reading.workers:
        yield "nothing is said of the workers"


# ---- The message as a whole ------------------------------------------------------------------------------------------


@whole("how many")
def _(reading: Reading) -> Why:
    # Of fewer than there are, the others are missed, unless the next run tells them.
    most = len(reading.must) + len(reading.may)
    if reading.count > most:
        yield f"it is {most}: {[*reading.must, *reading.may][:12]}"
    counted = len(reading.listed) + sum(sum(group.rest) for group in reading.groups) + reading.more_causes[1]
    if reading.count != counted:
        yield f"{counted} are listed or counted"
    if len(set(reading.listed)) < len(reading.listed):
        yield "a task is listed twice"


@whole("how many of a group")
def _(reading: Reading) -> Why:
    for heading, ids, rest in reading.groups:
        if heading is None:
            continue
        rows = [reading.case.table.rows[task_id] for task_id in ids if task_id in reading.case.table.rows]
        if reading.case.alert == "stuck":
            count, status = int(heading[2]), heading[1].lower().replace(" ", "_")
            right = [row for row in reading.told if OPEN[row.status] == status]
            if count != len(right) or any(OPEN.get(row.status) != status for row in rows):
                yield f"{heading[0]} it is {len(right)}"
        elif rows:
            count, cause = int(heading[1]), rows[0].cause
            yield from is_cause(reading, heading, rows)
            yield from is_seen(reading, cause, heading[4])
        else:
            continue
        # Another count at the end is of tasks in no group.
        if count not in (len(ids), len(ids) + sum(rest[:1])):
            yield f"{heading[0]} {len(ids)} are listed, {sum(rest[:1])} more counted"


def is_cause(reading: Reading, heading: re.Match[str], rows: list[Row]) -> Why:
    cause, about = rows[0].cause, [row for row in reading.told if row.cause == rows[0].cause]
    least, most = reading.of_cause(cause)
    if not least <= int(heading[1]) <= most:
        yield f"{heading[0]} it is {least} of {cause!r}"
    users = len({row.user_api_key for row in about})
    if least == most and int(heading[3]) != users:
        yield f"{heading[0]} they are of {users}"
    if any(row.cause != cause for row in rows):
        yield f"{heading[0]} {[row.cause for row in rows]} are several causes"
    for row in about:
        yield from (f"{heading[0]} {why}" for why in is_error(heading[2], row))


@whole("in which span")
def _(reading: Reading) -> Why:
    case, about = reading.case, {row.id: row for row in reading.told}
    if case.alert == "failed":
        early = [row for row in about.values() if row.updated_at < reading.start]
        if early:
            yield f"{early[0].id} failed at {early[0].updated_at}"
        ends = [reading_span(reading)(start)[0] for start in (reading.start, reading.start + SECOND)]
        others = [[row for row in failed if row.id not in about] for failed in ends]
        heard = {task_id for task_id, _ in case.to.heard}
        if reading.more and not any(row.id in heard for row in others[0]):
            yield "no other was told of"
        if not reading.more and others[1]:
            yield f"{others[1][0].id} failed as well, at {others[1][0].updated_at}"
    elif case.alert == "stuck":
        others = [row for row in case.to.all_stuck(case.table, case.now).values() if row.id not in about]
        if reading.more and not others:
            yield "no other is stuck"
        if not reading.more and not reading.still and others:
            yield f"{len(others)} others are stuck as well, such as {others[0].id}"


@whole("as before", lambda reading: f"{reading.summary} {reading.footer}")
def _(reading: Reading) -> Why:
    """What was said of the same span before must not be contradicted in silence."""
    if reading.case.alert == "failed" and not reading.footer.get("recovered"):
        start = reading.start + SECOND
        healed, _ = reading.case.to.healed_since(reading.case.table, start, reading.case.now)
        before = {task_id for task_id, event in reading.case.to.heard if event >= start} & healed
        if before:
            yield f"{len(before)} tasks of this span were told as failed, have recovered, and are not mentioned"


@whole("who is called", lambda reading: f"{reading.summary} {reading.footer}")
def _(reading: Reading) -> Why:
    case, shares = reading.case, reading.footer
    if case.alert not in ("failed", "stuck"):
        return
    share = shares.get("ended", 0) >= CRITICAL_ENDED and 100 * shares["failed"] >= CRITICAL_SHARE * shares["ended"]
    critical = reading.count >= CRITICAL_COUNT or share or reading.workers
    last = case.to.called.get(case.alert)
    new = {
        row.id: case.alert == "failed" and not case.to.told_within(row.cause, case.now, HOUR) for row in reading.told
    }
    if (reading.mention or reading.says_critical) and not critical:
        yield "it is not critical"
    if reading.mention and last and case.now - last < HOUR and not any(new.values()):
        yield f"they were called at {last}, and no cause is new"
    may_wait = last and case.now - last <= HOUR and not any(new.get(key) for key in reading.must)
    if critical and reading.must and not reading.mention and not may_wait:
        yield f"it is critical, and they were called at {last}, or a cause is new: {[key for key in new if new[key]]}"


@whole("the workers, unmentioned")
def _(reading: Reading) -> Why:
    case = reading.case
    if case.alert in ("failed", "stuck") and not reading.workers and any(map(waits_too_long, reading.must.values())):
        last = max(filter(None, (last_activity(case.table), may_be_activity(case.table, case.now))), default=None)
        if last is None or case.now - last > WINDOW:
            yield f"no worker has started or ended a task since {last}"


# ---- Cannot read -----------------------------------------------------------------------------------------------------


@sentence(
    "cannot read",
    r"Cannot connect to the database: .*|Until it works again, no failed or stuck task is reported\.",
    "blind",
)
@sentence(
    "cannot read", r"Tried for \d+ seconds?\. Until it works again, no failed or stuck task is reported\.", "blind"
)
def _(reading: Reading, found: re.Match[str]) -> Why:
    if not reading.case.blind:
        yield "it could read them"


@sentence("when, by the host", rf"Reported at {TIME}", "blind", "sees again")
def _(reading: Reading, found: re.Match[str]) -> Why:
    if abs(datetime.now(timezone.utc) - moment(found[1])) > MINUTE:
        yield "it is another time"
