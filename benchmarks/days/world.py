"""The simulated days: tasks and their lives as a worker's platform writes them, and when Slack, database and cron fail.

All of it comes from a seed. The rows are kept here as the table shows them at each moment, committed late or stamped by
a wrong clock; the database gets what changed before somebody looks.
"""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from psycopg2.extras import execute_values

START = datetime(2025, 9, 1, tzinfo=timezone.utc)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OPEN = {"queued": "queued", "in_progress": "in_progress", "inprogress": "in_progress"}
ENDED_WELL = ("finished", "completed", "done", "success", "succeeded")
ENDED = ("failed", *ENDED_WELL, "cancelled", "canceled", "dead_letter")
USERS = [f"pr_live_{letter * 16}" for letter in "abcdefghij"]
TASKS_A_DAY = 280

# The lives of tasks, and of a thousand how many have each. A step is a word of Life's.
LIVES = {
    "start finish": 800, "start fail": 24, "start twice": 14,
    "start fail start finish": 36, "start twice start finish": 12, "start fail start same": 10,
    "start fail start other": 10, "start fail rest start same": 6, "start fail rest start other start finish": 6,
    "start fail retrying start finish": 5, "start fail retrying": 3, "start fail dead_letter": 5,
    "cancelled": 6, "start cancelled": 4, "pending queue start finish": 6, "at_once": 4,
    "at_once queue start finish": 5, "start fail queue start finish": 8,
    "start finish queue start finish": 5, "start finish queue start fail": 4,
    "start fail delete": 6, "start finish delete": 4, "start delete": 2,
    "start die start finish": 6, "start die signal": 3, "start die die": 2, "lost": 3, "lost cancelled": 3,
}  # fmt: skip
# How many seconds after a step, at least and at most, the next one follows.
PAUSE = (60, 900)
PAUSES = {
    "start": (100, 500), "finish": (60, 1500), "twice": (2, 9), "at_once": (600, 3000), "rest": (1900, 3600),
    # Its container is killed, and nobody writes anything; its request is never completed, and it stays in the queue.
    "die": (2000, 30000), "lost": (5000, 60000),
}  # fmt: skip
# Steps that only write another status.
TURNS = {"queue": "queued", "retrying": "retrying", "cancelled": "cancelled", "dead_letter": "dead_letter"}

_TRACE = 'Traceback (most recent call last):\n  File "/app/worker.py", line 214, in process_task\n    render(task)\n'


def _raised(kind: str, words: str) -> str:
    """An error as the worker writes it: its own words, then the whole traceback."""
    return f"Task processing failed: {words}\n{_TRACE}{kind}: {words}\n" if words else f"{_TRACE}{kind}\n"


# The causes, each with a text that says of which task it is: {id} and {number} vary.
CAUSES = {
    "killed": "RuntimeError: ffmpeg exited with code 137 while reading /tmp/{id}/scene.mp4",
    "quota": "HTTP 429 from api.elevenlabs.io: Too Many Requests, request {number}",
    "voice": _raised("requests.exceptions.HTTPError", "503 Server Error: Unavailable for url: https://v.ex/{id}"),
    "fonts": _raised("PermissionError", "[Errno 13] Permission denied: '/app/fonts/{number}'"),
    "duration": _raised("KeyError", "'duration'"),
    "memory": _raised("MemoryError", ""),
    "module": _raised("ModuleNotFoundError", "No module named 'captacity'"),
    "logo": _raised("requests.exceptions.HTTPError", "404 Client Error: Not Found for url: https://cdn.ex/{id}.png"),
    "disk": "OSError: [Errno 28] No space left on device: '/tmp/{id}'",
    "json": _raised("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)"),
    "database": "psycopg2.OperationalError: server closed the connection unexpectedly",
    "caption": "ValueError: caption <!channel> & <{number}> cannot be drawn",
    "none": None,
}
STEPS = {"subtitles": "Captacity subtitle generation failed", "scene": "Scene could not be rendered"}
TIMED_OUT, SIGNALLED = "Timeout error: Task exceeded maximum processing time", "Process terminated by signal: SIGTERM"


@dataclass(frozen=True)
class Row:
    """A task as the table shows it; besides, its error's cause, and when (by its clock) a worker last started or ended
    it, which the columns need not show."""

    id: str
    user_api_key: str
    created_at: datetime
    updated_at: datetime
    status: str = "queued"
    error: str | None = None
    log_uri: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cause: str = ""
    acted: datetime | None = None

    @property
    def sign_of_life(self) -> datetime:
        return max(filter(None, (self.created_at, self.started_at, self.updated_at)))


# All but the last two.
COLUMNS = [*Row.__annotations__][:-2]
_WRITE = f"""
INSERT INTO tasks ({", ".join(COLUMNS)}) VALUES %s
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])}
"""


class Table:
    """The rows, and which of them the database does not have as they are."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.rows: dict[str, Row] = {}
        self._changed: set[str] = set()

    def write(self, row: Row) -> None:
        self.rows[row.id] = row
        self._changed.add(row.id)

    def delete(self, task_id: str) -> None:
        self.rows.pop(task_id, None)
        self._changed.add(task_id)

    def of(self, *statuses: str) -> list[Row]:
        return [row for row in self.rows.values() if row.status in statuses]

    def having(self, row: Row) -> Table:
        """Another table, in which this row is as it was."""
        table = Table(self._connection)
        table.rows = {**self.rows, row.id: row}
        return table

    def flush(self) -> None:
        changed, self._changed = sorted(self._changed), set()
        rows = [self.rows[task_id] for task_id in changed if task_id in self.rows]
        with self._connection.cursor() as cursor:
            cursor.execute("DELETE FROM tasks WHERE id = ANY(%s)", [[key for key in changed if key not in self.rows]])
            if rows:
                execute_values(cursor, _WRITE, [[getattr(row, name) for name in COLUMNS] for row in rows])


class World:
    """Lets the days pass: `agenda` holds what happens when. `call` is called where a worker calls the notifier."""

    def __init__(self, table: Table, luck: random.Random, days: float, call: Callable[[], None]) -> None:
        self.table, self.luck, self.call = table, luck, call
        self.now = START
        self.end = START + days * DAY
        self.away: list[tuple[datetime, datetime]] = []
        self.checker = False
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self.lives: dict[str, Life] = {}
        for day in range(int(days) + 1):
            self.at(START + day * DAY, self._plan, START + day * DAY)

    def at(self, moment: datetime, action: Callable[..., object], *arguments: object) -> None:
        heapq.heappush(self._agenda, (moment, next(self._numbers), lambda: action(*arguments)))

    def play(self) -> None:
        while self._agenda and self._agenda[0][0] < self.end:
            moment, _, action = heapq.heappop(self._agenda)
            # No two things happen at the same time.
            self.now = max(moment, self.now + timedelta(microseconds=1))
            action()

    def some(self, low: float, high: float) -> timedelta:
        return timedelta(seconds=self.luck.uniform(low, high))

    def likely(self, chance: float) -> bool:
        return self.luck.random() < chance

    def _plan(self, midnight: datetime) -> None:
        """A day: tasks at all hours, and what makes it another day than the one before."""
        quiet = (midnight + HOUR / 2, midnight + 5.5 * HOUR) if self.likely(0.5) else (midnight, midnight)
        for _ in range(TASKS_A_DAY):
            moment = midnight + self.some(0, 86400)
            if not quiet[0] <= moment < quiet[1]:
                self.at(moment, self.create)
        if quiet[0] < quiet[1]:
            self.at(midnight + self.some(2 * 3600, 4 * 3600), self.create, "at_once")
        if self.likely(0.5):
            begin = midnight + self.some(8 * 3600, 20 * 3600)
            self.away.append((begin, begin + HOUR))
        if self.likely(0.7):
            self.at(midnight + self.some(6 * 3600, 23 * 3600), self.burst)
        if self.likely(0.25):
            self.at(midnight + self.some(3600, 20 * 3600), self.odd_date)
        self.checker = self.likely(0.6)

    def create(self, life: str = "") -> Life:
        made = Life(self, (life or self.luck.choices(list(LIVES), list(LIVES.values()))[0]).split())
        self.lives[made.id] = made
        return made

    def burst(self) -> None:
        """Thirty tasks are at the same step when a service goes down; the half are tried again."""
        cause = self.luck.choice(["voice", "quota", "database"])
        for number in range(30):
            life = self.create("start wait")
            self.at(self.now + 8 * MINUTE + timedelta(seconds=number / 3), life.burst, cause)

    def odd_date(self) -> None:
        """A finished task is dated next year, until somebody corrects that."""
        rows = sorted(self.table.of("finished"), key=lambda row: row.updated_at)
        if rows:
            row = rows[-1]
            self.table.write(replace(row, updated_at=row.updated_at + 365 * DAY))
            self.at(self.now + 12 * HOUR, self._correct, row)

    def _correct(self, row: Row) -> None:
        if row.id in self.table.rows:
            self.table.write(replace(self.table.rows[row.id], updated_at=row.updated_at))

    def check_timeouts(self) -> None:
        """The timeout checker: what has waited too long has failed."""
        for row in sorted(self.table.of("queued"), key=lambda row: row.created_at):
            if self.checker and row.created_at < self.now - 30 * MINUTE and not self.lives[row.id].is_late:
                self.now += timedelta(milliseconds=20)
                self.lives[row.id].time_out()

    def back(self, moment: datetime) -> datetime:
        """When there is a worker, at the earliest."""
        ends = [end + self.some(5, 300) for begin, end in self.away if begin <= moment < end]
        return ends[0] if ends else moment


class Life:
    """What becomes of one task, step by step."""

    def __init__(self, world: World, steps: list[str]) -> None:
        self.world, self.steps = world, steps
        self.id = str(uuid.UUID(int=world.luck.getrandbits(128), version=4))
        self.skew, self.is_late, self._attempt = timedelta(), False, 0
        log = f"https://logs.example.com/{self.id[:8]}" if world.likely(0.8) else None
        pending = "pending" if steps[0] == "pending" else "queued"
        self._write(Row(self.id, world.luck.choice(USERS), world.now, world.now, pending, log_uri=log))
        self._then(15, 75)

    @property
    def row(self) -> Row:
        return self.world.table.rows[self.id]

    def _then(self, low: float, high: float) -> None:
        if self.steps:
            self.world.at(self.world.now + self.world.some(low, high), self._step, self._attempt)

    def _step(self, attempt: int) -> None:
        if attempt != self._attempt or self.id not in self.world.table.rows:
            return
        if self.is_late:
            self._then(60, 600)
            return
        step, pause = self.steps.pop(0), None
        if step in TURNS:
            self._turn(TURNS[step], **({"acted": self.world.now} if step in ("cancelled", "dead_letter") else {}))
        elif hasattr(self, step):
            pause = getattr(self, step)()
        self._then(*(pause or PAUSES.get(step, PAUSE)))

    def _write(self, row: Row) -> None:
        """Writes the row; now and then its commit comes late, and nothing else happens to it until then."""
        self.is_late = self.world.likely(0.015) and self.id in self.world.table.rows
        if self.is_late:
            self.world.at(self.world.now + self.world.some(300, 6000), self._commit, row)
        else:
            self.world.table.write(row)

    def _commit(self, row: Row) -> None:
        self.is_late = False
        self.world.table.write(row)

    def _turn(self, status: str, **columns: Any) -> None:
        self._write(replace(self.row, status=status, **{"updated_at": self.world.now, **columns}))

    # What a worker does, by its own clock

    def start(self) -> tuple[float, float] | None:
        away = (self.world.back(self.world.now) - self.world.now).total_seconds()
        if away:
            self.steps.insert(0, "start")
            return away, away
        self.skew = self.world.some(-600, 600) if self.world.likely(0.1) else timedelta()
        status, now = "inprogress" if self.world.likely(0.9) else "in_progress", self.world.now + self.skew
        self._turn(status, updated_at=now, started_at=self.row.started_at or now, acted=now)
        return None

    def _end(self, status: str, **columns: Any) -> None:
        now = self.world.now + self.skew
        self._turn(status, updated_at=now, finished_at=self.row.finished_at or now, acted=now, **columns)

    def finish(self) -> None:
        self._end(self.world.luck.choice(["finished"] * 12 + [*ENDED_WELL]))

    def fail(self, cause: str = "", text: str | None = "") -> None:
        cause = cause or self.world.luck.choice([*CAUSES])
        number = f"{self.world.luck.getrandbits(40):012}"
        text = CAUSES[cause] if text == "" else text
        self._end("failed", cause=cause, error=text.format(id=self.id, number=number) if text else None)
        if not self.is_late and self.world.likely(0.35):
            self.world.call()

    def twice(self) -> None:
        """An inner step says that it failed, seconds before the task fails."""
        step = self.world.luck.choice([*STEPS])
        self.steps.insert(0, "fail")
        self.fail(step, STEPS[step])

    def same(self) -> None:
        self.fail(self.row.cause if self.row.cause in CAUSES else "")

    def other(self) -> None:
        self.fail(self.world.luck.choice([cause for cause in CAUSES if cause != self.row.cause]))

    def signal(self) -> None:
        self.fail("signal", SIGNALLED)

    def burst(self, cause: str) -> None:
        row = self.world.table.rows.get(self.id)
        if row and not self.is_late and row.status in OPEN and row.started_at:
            self._attempt += 1
            self.steps = ["rest", "start", "finish"] if self.world.likely(0.5) else []
            self.fail(cause)
            self._then(*PAUSE)

    def at_once(self) -> None:
        """Its request cannot be rendered, which is known at once: nobody ever starts it."""
        error, now = "ValidationError: scenes: field required", self.world.now
        self._turn("failed", cause="request", error=error, finished_at=now)

    def delete(self) -> None:
        self.world.table.delete(self.id)

    def time_out(self) -> None:
        self._attempt += 1
        self._turn("failed", cause="timed out", error=TIMED_OUT)
        self.steps = ["queue", "start", "finish"] if self.world.likely(0.5) else []
        self._then(600, 3600)
