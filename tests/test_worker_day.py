"""A worker's day, as its database module, its containers, its timeout checker and its monitor call the notifier.

The channel of that day stands in worker_day.txt, to be read; WRITE_WORKER_DAY=1 in the environment writes it anew.
"""

from __future__ import annotations

import difflib
import heapq
import itertools
import os
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable

import pytest
from clock import Clock, standing_clock
from support import rows, value

from sandbox.slack import SlackStandIn
from slack_notifier import Settings, SlackNotifier

CHANNEL = Path(__file__).with_name("worker_day.txt")
HEADING = """\
What a channel hears on a worker's day, with the time and who called. 288 tasks, three every quarter of an hour, of
which 8 % fail and half of those are tried again; containers killed in the hours of 03 and 05; a deploy at 12:00; no
workers from 15:00 to 16:00; an outage of the voice service at 19:05, in the middle of a batch of 30.
"""

MIDNIGHT = datetime(2025, 9, 1, tzinfo=timezone.utc)
QUARTERS, PER_QUARTER = 96, 3
FAILING = 23
AWAY_FROM, AWAY_UNTIL = timedelta(hours=15), timedelta(hours=16)
DEPLOY = timedelta(hours=12)
BATCH, BATCH_COMES, BATCH_FAILS = 30, timedelta(hours=19), timedelta(hours=19, minutes=5)
TIMEOUT_MINUTES = 30

USERS = [f"pr_live_{letter * 16}" for letter in "abcdefgh"]
PAYLOAD = {"scenes": [{"type": "image", "duration": 8, "subtitle": True}], "narration_text": "Once upon a time"}


# What an inner step writes first, if any, and the text of the exception that ends the task.
Error = tuple[str, str]


def error(step: str, kind: str, message: str) -> Error:
    return step, (
        f"Task processing failed: {message}\nTraceback (most recent call last):\n"
        '  File "/app/main_worker.py", line 214, in process_task\n    video = render(task)\n'
        '  File "/app/video/render.py", line 88, in render\n    raise error\n'
        f"{kind}{message and ': '}{message}\n"
    )


REFUSED = "requests.exceptions.HTTPError"
SUBTITLES = error(
    "Captacity subtitle generation failed", "PermissionError", "[Errno 13] Permission denied: '/app/fonts'"
)
ENCODER = error("Scene 3 could not be rendered", "RuntimeError", "ffmpeg exited with code 137 while reading scene 3")
DURATION = error("", "KeyError", "'duration'")
MEMORY = error("", "MemoryError", "")
LOGO = error("Logo could not be fetched", REFUSED, "404 Client Error: Not Found for url: https://cdn.example.com/l.png")
TO_SPEECH = "https://api.example.com/v1/text-to-speech"
VOICE = error("", REFUSED, f"503 Server Error: Service Unavailable for url: {TO_SPEECH}")
MODULE = error("", "ModuleNotFoundError", "No module named 'captacity'")
EVERYDAY = [SUBTITLES, ENCODER, DURATION, MEMORY, LOGO]


@dataclass
class Job:
    """A task's life: the errors of its first attempts and how soon it is tried again after each (None: never).

    `killed_for` is for how long nobody knows that its first attempt was killed, `ends_at` when that attempt ends.
    """

    id: str
    user: str
    failures: list[tuple[Error, timedelta | None]] = field(default_factory=list)
    killed_for: timedelta | None = None
    ends_at: datetime | None = None
    attempt: int = 0
    status: str = ""
    started: datetime | None = None


class Day:
    """Plays what is on the agenda, in order, and writes down what the channel hears."""

    def __init__(self, tasks: Any, slack: SlackStandIn, clock: Clock, settings: Settings) -> None:
        self.tasks, self.slack, self.clock, self.settings = tasks, slack, clock, settings
        self.random = random.Random(288)
        self.jobs: list[Job] = []
        self.heard: list[str] = []
        self.notices = 0
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def at(self, moment: datetime | timedelta, action: Callable[..., object], *arguments: object) -> None:
        when = MIDNIGHT + moment if isinstance(moment, timedelta) else moment
        heapq.heappush(self._agenda, (when, next(self._numbers), lambda: action(*arguments)))

    def soon(self, low: float, high: float, action: Callable[..., object], *arguments: object) -> None:
        """So many seconds from now."""
        self.at(self.clock.now + timedelta(seconds=round(self.random.uniform(low, high))), action, *arguments)

    def play(self, end: datetime) -> None:
        while self._agenda and self._agenda[0][0] <= end:
            moment, _, action = heapq.heappop(self._agenda)
            # No two things happen at the same time.
            self.clock.set(max(moment, self.clock.now + timedelta(microseconds=1)))
            action()

    # The notifier: a new one for each call

    def call(self, who: str, method: str, *arguments: object) -> None:
        before = len(self.slack.messages())
        result = getattr(SlackNotifier(settings=self.settings), method)(*arguments)
        assert result is True or result["error"] is None, result
        for message in self.slack.messages()[before:]:
            self.heard.append(f"──── {self.clock.now:%H:%M:%S}, {who} ────\n{message['text']}\n")

    def notice(self, method: str, job: Job) -> None:
        self.notices += 1
        self.call("an event", method, job.id, job.user, PAYLOAD)

    # The platform

    def write(self, job: Job, status: str, error: str | None = None) -> None:
        job.status = status
        now = self.clock.now.replace(tzinfo=None)
        self.tasks.execute(
            """
            UPDATE tasks SET status = %s, error = coalesce(%s, error), updated_at = %s,
                started_at = coalesce(started_at, CASE WHEN %s = 'inprogress' THEN %s END)
            WHERE id = %s
            """,
            [status, error, now, status, now, job.id],
        )

    def create(self, job: Job) -> None:
        self.jobs.append(job)
        now = self.clock.now.replace(tzinfo=None)
        self.tasks.execute(
            "INSERT INTO tasks (id, user_api_key, log_uri, created_at, updated_at) VALUES (%s, %s, %s, %s, %s)",
            [job.id, job.user, f"https://logs.example.com/{job.id[:8]}", now, now],
        )
        job.status = "queued"
        self.notice("send_task_creation_notification", job)
        self.soon(15, 75, self.take, job)

    def take(self, job: Job) -> None:
        """A container takes a queued task, once there is one."""
        now = self.clock.now - MIDNIGHT
        for start, end in [(AWAY_FROM, AWAY_UNTIL), (DEPLOY, DEPLOY + timedelta(minutes=4))]:
            if start <= now < end:
                self.at(end + timedelta(seconds=20 * (len(self._agenda) % 7)), self.take, job)
                return
        if job.status == "queued":
            self.work(job)

    def work(self, job: Job) -> None:
        """An attempt: a failure that was on the programme, or a film."""
        job.attempt += 1
        self.write(job, "inprogress")
        self.notice("send_task_start_notification", job)
        if job.killed_for:
            # It is killed while it renders: nobody writes anything.
            self.at(self.clock.now + job.killed_for, self.work, job)
            job.killed_for = None
        elif job.ends_at:
            self.at(job.ends_at, self.fail, job, job.attempt)
            job.ends_at = None
        elif job.failures:
            self.soon(100, 400, self.fail, job, job.attempt)
        else:
            self.soon(150, 500, self.finish, job, job.attempt)

    def finish(self, job: Job, attempt: int) -> None:
        if job.attempt == attempt:
            self.write(job, "finished")

    def fail(self, job: Job, attempt: int) -> None:
        """An inner step says that it failed, then the task fails and its worker calls."""
        if job.attempt != attempt:
            return
        error, retry = job.failures.pop(0)
        step, _ = error
        if step:
            self.write(job, "failed", step)
        self.at(self.clock.now + timedelta(seconds=4 if step else 0), self.fail_for_good, job, error)
        if retry:
            self.at(self.clock.now + retry, self.work, job)

    def fail_for_good(self, job: Job, error: Error) -> None:
        self.write(job, "failed", error[1])
        self.call("a worker", "send_failed_tasks_notification")

    def deploy(self) -> None:
        """All containers are stopped, and those at work are started again."""
        for number, job in enumerate(job for job in self.jobs if job.status == "inprogress"):
            job.attempt += 1
            self.at(DEPLOY + timedelta(minutes=4, seconds=10 * number), self.work, job)

    def cycle(self) -> None:
        """The monitor's: the timeout checker, then the report."""
        now = self.clock.now
        overdue = "SELECT id FROM tasks WHERE status IN ('queued', 'in_progress') AND created_at < %s"
        since = (now - timedelta(minutes=TIMEOUT_MINUTES)).replace(tzinfo=None)
        found = {task_id for (task_id,) in rows(self.tasks.connection, overdue, [since])}
        for job in [job for job in self.jobs if job.id in found]:
            self.clock.advance(milliseconds=20)
            self.write(job, "failed", "Timeout error: Task exceeded maximum processing time")
            # Its user asks for it again when the workers are back.
            self.at(AWAY_UNTIL + timedelta(minutes=20, seconds=self.random.randrange(600)), self.work, job)
        self.call("the monitor", "send_combined_notification", TIMEOUT_MINUTES)


def new_job(rng: random.Random, *failures: tuple[Error, timedelta | None]) -> Job:
    return Job(str(uuid.UUID(int=rng.getrandbits(128), version=4)), rng.choice(USERS), list(failures))


def past(day: Day) -> None:
    """What the channel heard on the days before: of this and that, never of memory, modules or the voice service."""
    day.at(timedelta(days=-3), day.cycle)
    for days, hour, error in [(3, 1, SUBTITLES), (3, 8, ENCODER), (2, 10, ENCODER), (2, 19, DURATION), (1, 12, LOGO)]:
        day.at(timedelta(days=-days, hours=hour), day.create, new_job(day.random, (error, None)))


def programme(day: Day) -> None:
    """The day itself."""
    rng = day.random
    minutes = timedelta(minutes=1)
    failures: dict[int, list[tuple[Error, timedelta | None]]] = {
        # The monitor looks between the first words on its failure and the last.
        90: [(SUBTITLES, None)],
        # The deploy forgot a module, for a quarter of an hour.
        145: [(MODULE, 14 * minutes)],
        146: [(MODULE, 12 * minutes)],
        # Tried again in vain, for another reason.
        151: [(ENCODER, 3 * minutes), (MEMORY, 6 * minutes)],
    }
    killed = {38: 95 * minutes, 71: 310 * minutes}
    usual = [n for n in range(QUARTERS * PER_QUARTER) if not 130 <= n < 200 and n not in failures and n not in killed]
    for count, number in enumerate(rng.sample(usual, FAILING - len(failures))):
        # Half of them are tried again.
        failures[number] = [(rng.choice(EVERYDAY), rng.randrange(2, 8) * minutes if count % 2 else None)]
    for number in range(QUARTERS * PER_QUARTER):
        job = new_job(rng, *failures.get(number, []))
        job.killed_for = killed.get(number)
        job.ends_at = MIDNIGHT + timedelta(hours=7, minutes=44, seconds=58) if number == 90 else None
        quarter, place = divmod(number, PER_QUARTER)
        day.at((15 * quarter + 2 + 5 * place) * minutes + timedelta(seconds=rng.randrange(60)), day.create, job)
    batch = [new_job(rng) for _ in range(BATCH)]
    for job in batch:
        day.at(BATCH_COMES + timedelta(seconds=rng.randrange(60)), day.create, job)
    day.at(BATCH_FAILS, outage, day, batch)
    day.at(DEPLOY, day.deploy)
    for quarter in range(1, QUARTERS + 1):
        day.at(15 * quarter * minutes, day.cycle)


def outage(day: Day, batch: list[Job]) -> None:
    """The batch is at the same step when the voice service goes down: all of it fails within ten seconds."""
    for number, job in enumerate(batch):
        job.attempt += 1
        day.at(BATCH_FAILS + timedelta(seconds=number / 3), day.fail_for_good, job, VOICE)
        day.at(BATCH_FAILS + timedelta(minutes=35, seconds=10 * number), day.work, job)


def play_it(day: Day) -> None:
    past(day)
    day.play(MIDNIGHT)
    day.heard.clear()
    programme(day)
    day.play(MIDNIGHT + timedelta(days=1))


@pytest.fixture
def day(tasks: Any, slack: SlackStandIn, settings: Settings) -> Iterator[Day]:
    variables = {
        "DATABASE_URL": settings.database_url,
        "SLACK_WEBHOOK": slack.webhook(),
        "SLACK_WEBHOOK_CREATED": slack.webhook("events"),
        "SLACK_WEBHOOK_STARTED": slack.webhook("events"),
        "SLACK_CRITICAL_MENTION": "<!here>",
    }
    with standing_clock(tasks.connection, MIDNIGHT - timedelta(days=4)) as clock:
        yield Day(tasks, slack, clock, Settings.from_environment(variables))


@pytest.mark.slow(30)
def test_a_days_channel_reads_as_written(day, slack):
    play_it(day)
    assert len(slack.messages("events")) == day.notices
    heard = "\n".join([HEADING, *day.heard])
    if os.environ.get("WRITE_WORKER_DAY"):
        CHANNEL.write_text(heard, encoding="utf-8")
    expected = CHANNEL.read_text(encoding="utf-8")
    difference = difflib.unified_diff(expected.splitlines(), heard.splitlines(), CHANNEL.name, "heard", lineterm="")
    assert heard == expected, "\n".join(difference)


@pytest.mark.slow(30)
def test_with_a_grace_the_channel_hears_about_half_and_of_all_that_stayed_failed(day, figures, monkeypatch):
    day.settings = day.settings._replace(grace_minutes=10)
    # Of events, the other test has all there is to say.
    monkeypatch.setattr(day, "notice", lambda *_: None)
    play_it(day)
    without = CHANNEL.read_text(encoding="utf-8").count("\n──── ")
    figures(messages_without_grace=without, messages_with_grace=len(day.heard))
    assert without * 0.4 < len(day.heard) < without * 0.65
    # What failed within the last ten minutes may still wait.
    untold = f"""
        SELECT count(*) FROM tasks
        WHERE status = 'failed' AND updated_at < '{day.clock.now:%F %T}'::timestamp - interval '10 minutes'
          AND id::text NOT IN (SELECT task_id FROM slack_notifications WHERE alert = 'failed')"""
    assert value(day.tasks.connection, untold) == 0
