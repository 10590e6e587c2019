"""The notifier against a model of its promises: whatever happens to tasks, runs and Slack, both have told the same.

A few stories in the suite, the same in each run. MODEL_EXAMPLES=5000 in the environment tries so many, others in each
run, and shortens the one that differs; and it lets the broken notifiers meet any story as well.
"""

from __future__ import annotations

import ast
import functools
import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, NamedTuple, Optional

import pytest
from clock import Clock, standing_clock
from hypothesis import HealthCheck, Phase
from hypothesis import settings as tried
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from support import FAILED, HEALED, RECOVERED, STUCK, has_ledger, summary, title, wait_until, wait_until_alone

import slack_notifier
from sandbox.program import Program
from sandbox.slack import SlackStandIn

# ---- The model -------------------------------------------------------------------------------------------------------

WAITING = {"queued": "queued", "in_progress": "in_progress", "inprogress": "in_progress"}
WINDOW, SECOND_CAUSE, SAME_CAUSE = timedelta(minutes=30), timedelta(minutes=1), timedelta(minutes=30)
LATE = timedelta(hours=2)
REMINDER, CRITICAL_COUNT = timedelta(minutes=240), 3
# At once, and then one in each period.
BURST, PERIOD = 3, timedelta(minutes=1)
COMBINED = ("failed", "healed", "stuck", "reminder", "recovered")
# Tasks reported just now are in no reminder.
JUST_NOW, DAY = timedelta(minutes=5), timedelta(days=1)


@dataclass(frozen=True)
class Task:
    id: str
    user: str
    status: str
    cause: Optional[str]  # noqa: UP045 - a dataclass of Python 3.9
    created: datetime
    started: Optional[datetime]  # noqa: UP045
    updated: datetime

    @property
    def sign_of_life(self) -> datetime:
        return max(moment for moment in (self.created, self.started, self.updated) if moment)

    @property
    def ended_well(self) -> bool:
        return self.status == "finished"


class Call(NamedTuple):
    """A run of the notifier and what it meets."""

    alerts: tuple[str, ...] = COMBINED
    timeout: timedelta = timedelta(minutes=30)
    # Of queued tasks; 0: the timeout.
    queued: timedelta = timedelta(0)
    grace: timedelta = timedelta(0)
    worker: bool = False
    quiet: bool = False
    dry: bool = False
    refused: frozenset[str] = frozenset()

    def limit(self, task: Task) -> timedelta:
        return self.queued if self.queued and task.status == "queued" else self.timeout


class Told(NamedTuple):
    event: datetime
    at: datetime
    cause: Optional[str] = None  # noqa: UP045


@dataclass
class Destination:
    """What a channel is to be told, by what it has been told."""

    channel: str
    user: Optional[str] = None  # noqa: UP045
    first_run: Optional[datetime] = None  # noqa: UP045
    complete: Optional[datetime] = None  # noqa: UP045
    busy_until: Optional[datetime] = None  # noqa: UP045
    refused: bool = False
    held: bool = False
    failures: dict[str, Told] = field(default_factory=dict)
    healed: dict[str, datetime] = field(default_factory=dict)
    stuck: dict[tuple[str, str], Told] = field(default_factory=dict)
    muted: dict[str, datetime] = field(default_factory=dict)

    def messages(self, call: Call, tasks: Iterable[Task], now: datetime) -> Iterator[tuple[str, list[Task]]]:
        """What the call tells, with the alert; a message that is received is remembered."""
        self.refused = self.held = False
        mine = [task for task in tasks if self.user in (None, task.user)]
        for alert in call.alerts:
            if not call.dry:
                # What fails from now on is told however long that may take.
                self.first_run = self.first_run or now
                if alert == "failed":
                    self.complete = self.complete or now
            found = [task for task in mine if getattr(self, f"is_{alert}")(task, call, now)]
            found = found if alert != "reminder" or any(self.is_due(task, now) for task in found) else []
            if alert == "recovered":
                found = [task for task in found if not self.waits_for_others(task, mine, call, now)]
            muted = [task for task in found if alert == "failed" and self.is_muted(task)]
            news = [task for task in found if task not in muted]
            critical = alert in ("failed", "stuck") and len(news) >= CRITICAL_COUNT
            busy = call.worker and "failed" in call.alerts and self.is_busy(now)
            waits = call.quiet or (alert == "failed" and self.is_in_grace(news, call, now))
            if busy or (news and waits and not critical):
                self.held |= bool(news)
            elif news and self.channel in call.refused:
                self.refused = True
            elif not call.dry:
                if news:
                    yield alert, news
                self.remember(alert, news, now, by_worker=call.worker)
                for task in muted:
                    self.failures[task.id] = Told(task.updated, now, MUTED)

    def is_busy(self, now: datetime) -> bool:
        return self.busy_until is not None and self.busy_until - now > PERIOD * (BURST - 1)

    def is_in_grace(self, news: list[Task], call: Call, now: datetime) -> bool:
        oldest = min((task.updated for task in news), default=now)
        is_young = now - oldest < call.grace and now - (self.complete or now) < call.grace + WINDOW
        return is_young and call.grace > timedelta(0)

    def is_muted(self, task: Task) -> bool:
        return task.cause in self.muted and task.updated <= self.muted[task.cause]

    def is_failed(self, task: Task, call: Call, now: datetime) -> bool:
        beginning = max((self.complete or now) - LATE, (self.first_run or now) - WINDOW)
        if task.status != "failed" or task.updated < beginning:
            return False
        told = self.failures.get(task.id)
        if told and told.cause == MUTED:
            return task.updated != told.event
        if told and self.is_muted(task):
            return False
        pause = SAME_CAUSE if told and told.cause == task.cause else SECOND_CAUSE
        return not told or task.updated - min(told.event, told.at) >= pause

    def is_healed(self, task: Task, call: Call, now: datetime) -> bool:
        told = self.failures.get(task.id)
        return told is not None and told.cause != MUTED and task.ended_well

    def told_of(self, task: Task) -> Optional[Told]:  # noqa: UP045
        """What was told of the task in the status in which it is stuck, since its last sign of life."""
        told = self.stuck.get((task.id, WAITING[task.status]))
        return told if told and task.sign_of_life <= told.event else None

    def is_over_limit(self, task: Task, call: Call, now: datetime) -> bool:
        return task.status in WAITING and now - task.sign_of_life > call.limit(task)

    def is_stuck(self, task: Task, call: Call, now: datetime) -> bool:
        return self.is_over_limit(task, call, now) and not self.told_of(task)

    def is_reminder(self, task: Task, call: Call, now: datetime) -> bool:
        told = self.told_of(task) if self.is_over_limit(task, call, now) else None
        return told is not None and now - told.at > JUST_NOW

    def is_due(self, task: Task, now: datetime) -> bool:
        told = self.told_of(task)
        return told is not None and now - told.at >= max(REMINDER, min(DAY, told.at - told.event))

    def waits_for_others(self, task: Task, tasks: list[Task], call: Call, now: datetime) -> bool:
        """Whether a younger task is stuck in the status in which this one was stuck: it merely got its turn."""
        told = {status: self.stuck[task.id, status] for status in WAITING if (task.id, status) in self.stuck}
        last = max(told, key=lambda status: told[status].at)
        others = [each for each in tasks if self.is_over_limit(each, call, now) and WAITING[each.status] == last]
        return any(each.sign_of_life >= told[last].event for each in others)

    def is_recovered(self, task: Task, call: Call, now: datetime) -> bool:
        told = [self.stuck[task.id, status].at for status in WAITING if (task.id, status) in self.stuck]
        failed = self.failures.get(task.id)
        failure = failed.at if failed and failed.cause != MUTED else self.healed.get(task.id)
        return task.ended_well and any(not failure or failure < at for at in told)

    def remember(self, alert: str, news: list[Task], now: datetime, *, by_worker: bool) -> None:
        if alert == "failed":
            self.complete = now
        if alert == "failed" and news and by_worker:
            self.busy_until = max(self.busy_until or now, now) + PERIOD
        for task in news:
            if alert == "failed":
                self.failures[task.id] = Told(task.updated, now, task.cause)
            elif alert == "healed":
                del self.failures[task.id]
                self.healed[task.id] = now
            elif alert in ("stuck", "reminder"):
                self.stuck[task.id, WAITING[task.status]] = Told(task.sign_of_life, now)
            else:
                for status in WAITING:
                    self.stuck.pop((task.id, status), None)


# ---- The world that both see -----------------------------------------------------------------------------------------

# All that are alive, so that each message lists all that it tells.
MOST_TASKS = 5
CHANNELS = {"alerts": None, "mine": "key-of-a-user-1"}
USERS = ["key-of-a-user-1", "key-of-a-user-2"]
# The same cause may have many texts.
ERRORS = {
    "codec": "Task processing failed: no codec\nTraceback (most recent call last):\n  …\nValueError: no codec",
    "killed": "ffmpeg exited with code 137 while reading /tmp/{id}/scene.mp4",
    "quota": "HTTP 429 from api.example.com: quota of project 1234567890 exceeded",
    "server": "HTTP 500 from api.example.com",
}
# What an operator mutes of them.
WORDS = {"codec": "No codec", "killed": "code 137", "quota": "http 429", "server": "HTTP 500"}
MUTED = ""
PATIENCE_SECONDS = 60

Message = tuple[str, str, tuple[str, ...]]


@dataclass
class World:
    """The database with its clock, Slack with two channels, and the notifier, which may be a broken one."""

    database: Any
    slack: SlackStandIn
    clock: Clock
    variables: dict[str, str]
    start: Callable[..., Program]
    log: pytest.LogCaptureFixture
    module: Any = slack_notifier
    may_kill: bool = True
    rules: dict[str, str] = field(default_factory=dict)
    tried: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        self.database.execute("DELETE FROM tasks")
        if has_ledger(self.database.connection):
            self.database.execute("DELETE FROM slack_notifications")
        self.slack.clear()
        self.log.clear()

    def write(self, task: Task) -> None:
        error = task.cause and ERRORS[task.cause].format(id=task.id)
        row = [task.id, task.user, task.status, error, task.created, task.updated, task.started]
        self.database.execute(
            """
            INSERT INTO tasks (id, user_api_key, status, error, created_at, updated_at, started_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (id) DO UPDATE SET status = excluded.status, error = excluded.error,
                created_at = excluded.created_at, updated_at = excluded.updated_at, started_at = excluded.started_at
            """,
            [item.replace(tzinfo=None) if isinstance(item, datetime) else item for item in row],
        )

    def delete(self, task: Task) -> None:
        self.database.execute("DELETE FROM tasks WHERE id = %s", [task.id])

    def call(self, call: Call) -> bool:
        """Makes the call and returns whether it says that all is well."""
        for channel in call.refused:
            self.slack.answer(404, "no_service", times=None, channel=channel)
        settings = self.module.Settings.from_environment({**self.variables, **self.rules, **self._quiet_hours(call)})
        notifier = self.module.SlackNotifier(settings=settings, dry_run=call.dry)
        minutes = call.timeout / timedelta(minutes=1)
        if not call.worker:
            wanted = notifier.send_combined_notification(minutes)
            result = wanted["failed_notification_sent"] and wanted["stuck_notification_sent"]
        elif "failed" in call.alerts:
            result = notifier.send_failed_tasks_notification()
        else:
            result = notifier.send_stuck_tasks_notification(minutes)
        self.slack.answer_normally()
        return result

    def mute(self, words: str, hours: int) -> None:
        notifier = self.module.SlackNotifier(settings=self.module.Settings.from_environment(self.variables))
        assert self.module.mute(notifier.run(PATIENCE_SECONDS), words.lower(), hours) == 0

    def kill(self, *, accepted: bool) -> None:
        """Kills a run of the command line at its first message, which Slack accepts all the same, or not."""
        with self.slack.hold() as held:
            run = self.start(**self.variables, **self.rules)
            wait_until(lambda: self.slack.requests or not run.running, PATIENCE_SECONDS)
            run.kill()
            if accepted:
                held.go()
        wait_until(lambda: all(request.reason != "not answered yet" for request in self.slack.requests))
        wait_until_alone(self.database.connection)

    def heard(self) -> list[Message]:
        """What the channels accepted since the last time."""
        heard = [read(channel, message) for channel in CHANNELS for message in self.slack.messages(channel)]
        self.slack.clear()
        return sorted(heard)

    def _quiet_hours(self, call: Call) -> dict[str, str]:
        around = [self.clock.now + timedelta(hours=hours) for hours in (-2, 2)]
        return {"SLACK_QUIET_HOURS": "-".join(f"{moment:%H:%M}" for moment in around)} if call.quiet else {}


TITLES = {FAILED: "failed", HEALED: "healed", STUCK: "stuck", RECOVERED: "recovered"}


def read(channel: str, message: dict[str, Any]) -> Message:
    """A message as the model has it: the tasks that it lists, with the status that they are stuck in."""
    found, heading = [], ""
    for block in message["blocks"]:
        for line in block["text"]["text"].splitlines() if block["type"] == "section" else []:
            group = re.match(r"\*?(Queued|In Progress) Tasks \(", line)
            task = re.match(r"• (?:\*Task ID:\* )?`([^`]+)`", line)
            heading = group[1].lower().replace(" ", "_") + " " if group else heading
            found += [heading + task[1]] if task else []
    assert int(summary(message).split()[0]) == len(found), "the message lists less than it counts"
    alert = "reminder" if " still stuck" in summary(message) else TITLES[title(message)]
    return channel, alert, tuple(sorted(found))


def written(channel: str, alert: str, news: list[Task]) -> Message:
    """A message of the model's."""
    ids = [f"{WAITING[task.status]} {task.id}" if alert in ("stuck", "reminder") else task.id for task in news]
    return channel, alert, tuple(sorted(ids))


@pytest.fixture
def world(
    tasks: Any, slack: SlackStandIn, settings: Any, start: Callable[..., Program], tmp_path: Path, caplog: Any
) -> Iterator[World]:
    path = tmp_path / "users.json"
    path.write_text(json.dumps({user: slack.webhook(channel) for channel, user in CHANNELS.items() if user}))
    variables = {
        "DATABASE_URL": settings.database_url,
        "SLACK_WEBHOOK": slack.webhook(),
        "SLACK_USER_WEBHOOKS_FILE": str(path),
        "SLACK_CRITICAL_COUNT": str(CRITICAL_COUNT),
        # What is critical by its share of all that ended, or for want of workers, is not the model's.
        "SLACK_CRITICAL_SHARE": "0",
    }
    with standing_clock(tasks.connection) as clock:
        yield World(tasks, slack, clock, variables, start, caplog)


# ---- What happens ----------------------------------------------------------------------------------------------------


class Story(RuleBasedStateMachine):
    """Tasks, time, and runs of the notifier; after each of these it has told what the model tells."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.world.clear()
        self.tasks: dict[str, Task] = {}
        self.born = 0
        self.kills = 0
        self.told_the_same = True
        self.rules: dict[str, timedelta] = {}
        self.world.rules = {}
        self.destinations = [Destination(channel, user) for channel, user in CHANNELS.items()]

    @property
    def now(self) -> datetime:
        return self.world.clock.now

    def pick(self, number: int) -> Task:
        return list(self.tasks.values())[number % len(self.tasks)]

    def told_tasks(self) -> list[Task]:
        """Those of which a destination knows bad news."""
        known = {*chain(*(chain(each.failures, (key for key, _ in each.stuck)) for each in self.destinations))}
        return [task for task in self.tasks.values() if task.id in known and not task.ended_well]

    def change(self, task: Task, **columns: Any) -> None:
        self.tasks[task.id] = replace(task, **{"updated": self.now, **columns})
        self.world.write(self.tasks[task.id])

    def let_pass(self, seconds: int) -> None:
        # No sum of such times is the very moment at which something becomes news.
        self.world.clock.advance(seconds=seconds, microseconds=1)

    def run(self, call: Call) -> None:
        # No two runs have the same time.
        self.let_pass(0)
        call = call._replace(**self.rules)
        # A worker at work, whose task is nobody's news.
        now = self.now
        self.world.write(Task("at work", "key-of-nobody", "finished", None, now, now, now))
        expected = self.promised(call, self.destinations)
        self.world.tried.update(["runs", *(alert for _, alert, _ in expected)])
        for destination in self.destinations:
            self.world.tried.update({"refused": destination.refused, "held": destination.held})
        all_well = self.world.call(call)
        self.compare(self.world.heard(), expected)
        self.compare(all_well, not any(destination.refused for destination in self.destinations))

    def promised(self, call: Call, destinations: list[Destination]) -> list[Message]:
        tasks = list(self.tasks.values())
        return sorted(
            written(destination.channel, alert, news)
            for destination in destinations
            for alert, news in destination.messages(call, tasks, self.now)
        )

    def due(self, call: Call) -> list[Message]:
        """What the call would tell now."""
        copies = [deepcopy(each) for each in self.destinations]
        return self.promised(call._replace(**self.rules), copies)

    def compare(self, real: Any, promised: Any) -> None:
        self.told_the_same = self.told_the_same and real == promised
        assert real == promised, self.world.log.messages[-20:]

    def teardown(self) -> None:
        """Whatever happened: the next run tells what is still to be told."""
        if self.told_the_same:
            self.run(Call())

    # Tasks

    @initialize(
        ages=st.lists(st.sampled_from([5, 29, 31, 100]), min_size=1, max_size=2),
        status=st.sampled_from(["failed", "queued"]),
        at_once=st.booleans(),
        grace=st.sampled_from([0, 0, 10]),
        queued=st.sampled_from([0, 0, 10]),
    )
    def begin(self, ages: list[int], status: str, at_once: bool, grace: int = 0, queued: int = 0) -> None:
        """What was there before the first run, and the settings."""
        self.rules = {"grace": timedelta(minutes=grace), "queued": timedelta(minutes=queued)}
        self.world.rules = {"SLACK_GRACE_MINUTES": str(grace), "SLACK_QUEUED_MINUTES": str(queued or "")}
        for age in ages:
            self.create(USERS[0])
            past = self.now - timedelta(minutes=age)
            self.change(self.pick(-1), status=status, created=past, updated=past)
        if at_once:
            self.run(Call())

    @precondition(lambda self: len(self.tasks) < MOST_TASKS)
    @rule(user=st.sampled_from(USERS))
    def create(self, user: str) -> None:
        self.born += 1
        self.change(Task(f"task-{self.born}", user, "queued", None, self.now, None, self.now))

    @rule(number=st.integers(0, MOST_TASKS - 1), status=st.sampled_from(["inprogress", "in_progress"]))
    def start(self, number: int, status: str) -> None:
        task = self.pick(number)
        self.change(task, status=status, started=task.started or self.now)

    @rule(
        number=st.integers(0, MOST_TASKS - 1),
        cause=st.sampled_from([*ERRORS]),
        # By the clock of another host, or committed late.
        clock_off=st.sampled_from([0, 0, 0, -50, -1100, 100]),
    )
    def fail(self, number: int, cause: str, clock_off: int) -> None:
        self.change(self.pick(number), status="failed", cause=cause, updated=self.now + timedelta(seconds=clock_off))

    @rule(number=st.integers(0, MOST_TASKS - 1))
    def touch(self, number: int) -> None:
        self.change(self.pick(number))

    @rule(number=st.integers(0, MOST_TASKS - 1))
    def queue_again(self, number: int) -> None:
        self.change(self.pick(number), status="queued")

    @rule(number=st.integers(0, MOST_TASKS - 1), status=st.sampled_from(["finished", "finished", "cancelled"]))
    def finish(self, number: int, status: str) -> None:
        self.change(self.pick(number), status=status)

    @precondition(lambda self: self.told_tasks())
    @rule(number=st.integers(0, MOST_TASKS - 1))
    def end_well_after_an_alert(self, number: int) -> None:
        told = self.told_tasks()
        self.change(told[number % len(told)], status="finished")

    @precondition(lambda self: len(self.tasks) == MOST_TASKS)
    @rule(number=st.integers(0, MOST_TASKS - 1))
    def vanish(self, number: int) -> None:
        self.world.delete(self.tasks.pop(self.pick(number).id))

    # Time

    @rule(seconds=st.sampled_from([4, 59, 61, 300, 900]))
    def a_while(self, seconds: int) -> None:
        self.let_pass(seconds)

    @rule(seconds=st.sampled_from([1799, 1801, 3700, 14401]))
    def a_long_while(self, seconds: int) -> None:
        self.let_pass(seconds)

    # Runs

    @rule(cause=st.sampled_from([*ERRORS]), hours=st.sampled_from([1, 2]))
    def mute(self, cause: str, hours: int) -> None:
        """For the webhooks of the settings; what was muted before may end at once."""
        (channel,) = (each for each in self.destinations if each.user is None)
        hours = 0 if channel.muted.get(cause, self.now) > self.now else hours
        self.world.mute(WORDS[cause], hours)
        channel.muted[cause] = self.now + timedelta(hours=hours) if hours else self.now - timedelta(days=9)
        # It has begun, then.
        channel.first_run, channel.complete = channel.first_run or self.now, channel.complete or self.now
        self.world.tried["muted"] += 1

    @rule(cycles=st.sampled_from([1, 3]))
    def let_cron_run(self, cycles: int) -> None:
        for _ in range(cycles):
            self.let_pass(900)
            self.run(Call())

    @rule(
        alerts=st.sampled_from([COMBINED, COMBINED, COMBINED[:2], COMBINED[2:]]),
        minutes=st.sampled_from([30, 30, 10, 90]),
    )
    def report(self, alerts: tuple[str, ...], minutes: int) -> None:
        self.run(Call(alerts, timedelta(minutes=minutes), worker=alerts != COMBINED))

    @precondition(lambda self: self.due(Call()))
    @rule(
        alerts=st.sampled_from([COMBINED, COMBINED, COMBINED[:2], COMBINED[2:]]),
        trouble=st.sampled_from(["quiet", "dry", "alerts", "mine", "alerts mine"]),
    )
    def report_in_vain(self, alerts: tuple[str, ...], trouble: str) -> None:
        refused = frozenset(trouble.split()) & frozenset(CHANNELS)
        worker = alerts != COMBINED
        self.run(Call(alerts, worker=worker, quiet=trouble == "quiet", dry=trouble == "dry", refused=refused))

    @rule(cause=st.sampled_from([*ERRORS]))
    def fail_one_after_the_other(self, cause: str) -> None:
        """Each worker calls when its task fails."""
        for number in range(len(self.tasks)):
            self.let_pass(4)
            self.fail(number, cause, 0)
            self.run(Call(COMBINED[:2], worker=True))

    # A run that is killed may have completed an alert of which it had nothing to tell: a first run, one of a mute; and
    # a grace ends by when that was.
    @precondition(lambda self: not self.rules.get("grace") and not any(each.muted for each in self.destinations))
    @precondition(
        lambda self: self.world.may_kill and not self.kills and all(each.complete for each in self.destinations)
    )
    @precondition(lambda self: self.due(Call()))
    @rule(accepted=st.booleans())
    def kill(self, accepted: bool) -> None:
        due = self.due(Call())
        self.kills += 1
        self.world.tried["killed"] += 1
        self.world.kill(accepted=accepted)
        heard = self.world.heard()
        self.compare(len(heard), int(accepted))
        self.compare([message for message in heard if message not in due], [])


# A step of a story that is told as written: the name of a rule, and what it is given.
Step = tuple[Any, ...]

RUN: Step = ("report", COMBINED, 30)
CREATE: Step = ("create", USERS[0])
FAIL: Step = ("fail", 0, "codec", 0)
FAIL_OTHERWISE: Step = ("fail", 0, "server", 0)
# The first run tells of a task that is stuck.
STUCK_TASK: Step = ("begin", [100], "queued", True)
OF_ALL_KINDS: list[Step] = [
    *[STUCK_TASK, ("finish", 0, "finished"), RUN],
    *[CREATE, ("a_long_while", 1801), RUN, ("a_long_while", 14401)],
    *[("mute", "codec", 2), FAIL, RUN, ("a_long_while", 14401)],
    *[FAIL, ("report_in_vain", COMBINED, "quiet"), ("report_in_vain", COMBINED, "alerts mine"), ("kill", True), RUN],
    *[("finish", 0, "finished"), RUN],
]


def play(story: Story, steps: list[Step]) -> None:
    for name, *arguments in steps:
        getattr(story, name)(*arguments)
    story.teardown()


EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
# Among so many, each broken notifier meets a story that it tells otherwise.
ENOUGH = 1_000
# Of those that the suite tries, each is the same in each run.
IN_THE_SUITE = tried(
    max_examples=EXAMPLES or 6,
    stateful_step_count=40,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    # The shortest story that differs is worth minutes only to who looks for it.
    phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
ANY_STORY = tried(IN_THE_SUITE, max_examples=max(EXAMPLES, ENOUGH), phases=[Phase.generate])


@pytest.mark.slow(15)
def test_what_is_told_is_what_the_model_tells(world: World, figures: Callable[..., None]) -> None:
    play(Story(world), OF_ALL_KINDS)
    run_state_machine_as_test(lambda: Story(world), settings=IN_THE_SUITE)
    figures(**world.tried)
    assert {*TITLES.values(), "reminder", "muted", "refused", "killed", "held"} <= {*+world.tried}


# ---- The model notices -----------------------------------------------------------------------------------------------


class Patch(NamedTuple):
    """A way to break the notifier: what to replace, once, in which of its definitions."""

    definition: str
    search: str
    by: str


SOURCE = Path(slack_notifier.__file__).read_text(encoding="utf-8")
FAILURE_ENDS_WELL = Patch(
    "RECOVERED_NEWS",
    "{_ENDED_WELL_LATELY}",
    "tasks.status::text IN ('failed', {_ENDED_WELL}) AND tasks.updated_at >= {_BEGINNING}",
)
# Each with the patch, and a story that is then told otherwise, as the calls of Story's rules.
PATCHES: dict[str, tuple[Patch, list[Step]]] = {
    "a failure written twice is told twice": (
        Patch("FAILED_NEWS", "recorded.at + interval '1 minute'", "recorded.at"),
        [CREATE, FAIL, RUN, ("a_while", 4), FAIL_OTHERWISE, RUN],
    ),
    "the same failure again is told too soon": (
        Patch("FAILED_NEWS", "recorded.cause IS DISTINCT", "NULL IS DISTINCT"),
        [CREATE, FAIL, RUN, ("a_while", 61), FAIL, RUN],
    ),
    "another failure within the window is lost": (
        Patch("FAILED_NEWS", "recorded.cause IS DISTINCT", "false AND recorded.cause IS DISTINCT"),
        [CREATE, FAIL, RUN, ("a_while", 61), FAIL_OTHERWISE, RUN],
    ),
    "what is committed late is lost": (
        Patch("_STATE", "complete - interval '{LATE_MINUTES} minutes'", "complete"),
        [CREATE, RUN, ("a_while", 4), ("fail", 0, "codec", -50), RUN],
    ),
    "the first run tells of old failures": (
        Patch("START", "now() - interval", "now() - interval '1 day' - interval"),
        [("begin", [100], "failed", True)],
    ),
    "a storm passes": (
        Patch("_PACED_AND_COUNTED", "greatest(notified_at, now())", "now()"),
        [*[CREATE] * (BURST + 1), ("fail_one_after_the_other", "codec")],
    ),
    "a storm is held too early": (
        Patch("_IS_RATE_LIMITED", "STORM_BURST - 1", "STORM_BURST - 2"),
        [*[CREATE] * BURST, ("fail_one_after_the_other", "codec")],
    ),
    "each run reminds": (
        Patch("_IS_DUE", "now() - interval '1 minute' * %(remind)s", "now()"),
        [("begin", [31], "queued", True), ("a_long_while", 3700), RUN],
    ),
    "reminders never thin out": (
        Patch("_IS_DUE", "least(interval '1 day', recorded.notified_at - recorded.event_at)", "interval '0'"),
        [STUCK_TASK, *[("a_long_while", 14401), RUN] * 2],
    ),
    "each task has a reminder of its own": (
        Patch("REMINDER_NEWS", "OR bool_or({_IS_DUE}) OVER ()", "OR false"),
        [STUCK_TASK, CREATE, ("a_long_while", 1801), RUN, *[("a_long_while", 3700)] * 3, *[("a_while", 900)] * 2, RUN],
    ),
    "a task that got its turn has recovered": (
        Patch(
            "RECOVERED_NEWS", "recorded.event_at > coalesce(", "recorded.at <= now() OR recorded.event_at > coalesce("
        ),
        [("begin", [100, 31], "queued", True), ("finish", 0, "finished"), RUN],
    ),
    "a task that got its turn is never told as recovered": (
        Patch("_look", "SELECT {is_held} AS is_held", "SELECT false AS is_held"),
        [
            ("begin", [100, 31], "queued", True),
            *(("finish", 0, "finished"), RUN, ("a_long_while", 14401), RUN, ("finish", 1, "finished"), RUN),
        ],
    ),
    "a queued task has the limit of the others": (
        Patch("_LIMIT", "THEN %(queued)s", "THEN %(in_progress)s"),
        [("begin", [5], "queued", True, 0, 10), ("a_while", 900), RUN],
    ),
    "nothing waits for its grace": (
        Patch("Run", "if grace and alert", "if not grace and alert"),
        [("begin", [5], "queued", True, 10), FAIL, RUN],
    ),
    "a task that fails again and again is in its grace for ever": (
        Patch("Run", "and news.claimed_at - news.complete < longest", ""),
        [("begin", [5], "queued", True, 10), *[FAIL, RUN, ("a_while", 300), FAIL_OTHERWISE, RUN, ("a_while", 300)] * 5],
    ),
    "what is muted is told": (
        Patch("_IS_MUTED", "words) > 0", "words) < 0"),
        [CREATE, ("mute", "codec", 2), RUN, FAIL, RUN],
    ),
    "a mute does not end": (
        Patch("_IS_MUTED", "<= until", "<> until"),
        [CREATE, ("mute", "codec", 1), RUN, ("a_long_while", 3700), FAIL, RUN],
    ),
    "what was muted has recovered": (
        Patch("RECOVERED_NEWS", " OR recorded.cause = ''", ""),
        [CREATE, ("mute", "codec", 2), RUN, FAIL, RUN, ("finish", 0, "finished"), RUN],
    ),
    "a task stuck anew is not told": (
        Patch("_IS_NEWLY_STUCK", "stuck.event_at > greatest", "false AND now() > greatest"),
        [STUCK_TASK, ("touch", 0), ("a_long_while", 1801), RUN],
    ),
    "a task that is run again is stuck": (
        Patch("_SIGN_OF_LIFE", ", tasks.updated_at", ""),
        [STUCK_TASK, ("touch", 0), ("a_long_while", 1801), RUN],
    ),
    "one name of a status is not known": (
        Patch("_IS_OPEN", ", 'inprogress'", ""),
        [CREATE, ("start", 0, "inprogress"), ("a_long_while", 1801), RUN],
    ),
    "a failed task has recovered": (
        FAILURE_ENDS_WELL,
        [STUCK_TASK, FAIL, ("report", COMBINED[2:], 30)],
    ),
    "a task that failed again has healed": (
        FAILURE_ENDS_WELL,
        [CREATE, FAIL, RUN, ("a_while", 4), FAIL, RUN],
    ),
    "a user hears of others": (
        Patch("_IS_OF_USER", "tasks.user_api_key::text = %(user)s", "true"),
        [*[("create", user) for user in USERS], FAIL, ("fail", 1, "codec", 0), RUN],
    ),
}


@functools.cache
def definitions() -> dict[str, str]:
    """The text of each constant, function and class of the notifier."""
    lines, texts = SOURCE.splitlines(keepends=True), {}
    for node in ast.parse(SOURCE).body:
        target: Any = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", node)
        name = getattr(target, "id", getattr(target, "name", ""))
        texts[name] = "".join(lines[node.lineno - 1 : node.end_lineno])
    return texts


def broken(patch: Patch) -> ModuleType:
    """The notifier with that patch, whoever uses the definition and however early."""
    text = definitions()[patch.definition]
    assert text.count(patch.search) == 1, f"{patch.definition} has changed: correct the patch"
    module = ModuleType("broken_notifier")
    sys.modules[module.__name__] = module
    source = SOURCE.replace(text, text.replace(patch.search, patch.by))
    exec(compile(source, slack_notifier.__file__, "exec"), vars(module))
    return module


@pytest.mark.parametrize("breaks", PATCHES)
def test_the_model_notices(breaks: str, world: World) -> None:
    """That the test above can fail."""
    patch, steps = PATCHES[breaks]
    play(Story(world), steps)
    world.module, world.may_kill = broken(patch), False
    story = Story(world)
    with pytest.raises(AssertionError):
        play(story, steps)
    # It tells otherwise; that it tells nothing for an error proves nothing.
    assert not story.told_the_same
    assert [record.message for record in world.log.records if record.levelno >= logging.ERROR] == []
    if EXAMPLES:
        with pytest.raises(AssertionError):
            run_state_machine_as_test(lambda: Story(world), settings=ANY_STORY)
