"""The database of a chaos run: the tasks that a seed brings, what the ledger was told, and what befalls the server."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

import psycopg2

from benchmarks.chaos.accounts import Claim, Fault
from benchmarks.tables import INDEX
from sandbox.postgres import ADD_TASKS, WORKER, Server, create_database, create_tasks_table, execute, worker_url

# As a production server has them: a commit that was answered survives whatever becomes of the server.
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")

# Every claim is written into the server's log, which no roll-back takes back, and into a table, which only its commit
# makes last.
WATCH_CLAIMS = """
CREATE TABLE committed_claims (claim uuid);
CREATE FUNCTION note_claims() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    claim uuid := gen_random_uuid();
    line text;
BEGIN
    FOR line IN
        SELECT json_build_object(
            'claim', claim, 'destination', destination, 'alert', alert, 'at', extract(epoch FROM now()),
            'second', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'tasks', json_agg(task_id),
            'caller', current_setting('application_name'), 'line', inet_client_port())
        FROM written
        WHERE task_id <> '' AND notified_at = now()
        GROUP BY destination, alert
    LOOP
        RAISE LOG 'claim %', line;
    END LOOP;
    INSERT INTO committed_claims VALUES (claim);
    RETURN NULL;
END $$;
CREATE TRIGGER note_new_claims AFTER INSERT ON slack_notifications
REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_claims();
CREATE TRIGGER note_renewed_claims AFTER UPDATE ON slack_notifications
REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION note_claims();
"""

# As the worker does it: the same failure, seconds later, in other words.
_WRITE_AGAIN = """
UPDATE tasks SET error = 'Task processing failed: ' || error, updated_at = now() AT TIME ZONE 'UTC'
WHERE id = ANY(%(ids)s) AND status = 'failed'
"""

# Ends well some of the tasks that both channels know to be stuck, or to have failed.
_FINISH_SOME = """
UPDATE tasks SET status = 'finished', updated_at = now() AT TIME ZONE 'UTC'
WHERE id IN (
    SELECT told.task_id
    FROM slack_notifications AS told
    JOIN tasks ON tasks.id = told.task_id AND tasks.status IN ('queued', 'inprogress', 'failed')
    WHERE told.alert = 'failed' OR told.alert LIKE 'stuck%%'
    GROUP BY told.task_id
    HAVING count(DISTINCT told.destination) = 2
    ORDER BY md5(told.task_id)
    LIMIT %(some)s
)
"""

_ERRORS = (
    "ffmpeg exited with code 137 while reading scene ",
    "HTTP 429 from api.example.com: Too Many Requests, attempt ",
    "No such file or directory: '/tmp/render/in.mp4', scene ",
    'Traceback (most recent call last):\n  File "/app/pipeline.py", line 88, in render\nMemoryError: scene ',
)


class Amount(NamedTuple):
    """How many tasks come to be, in how many seconds; the troubles go on until there were so many calls as well."""

    seconds: float
    failures: int
    stuck: int
    calls: int


class World:
    """A database with the worker's table and an empty ledger; `url` is the worker's way in."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.admin_url = create_database(server.url)
        self.url = worker_url(self.admin_url)
        self.faults: list[Fault] = []
        self._log = server.folder / "log"
        create_tasks_table(self.admin_url)
        for setting in _DURABLE:
            self.execute(f"ALTER SYSTEM RESET {setting}")
        self.execute("SELECT pg_reload_conf()")
        self.execute(f"{INDEX}; GRANT ALL ON tasks TO {WORKER}; GRANT CREATE ON SCHEMA public TO {WORKER}")

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        return execute(self.admin_url, statement)

    def claims(self, channels: dict[str, str]) -> list[Claim]:
        """Every claim, in order; `channels` by the ledger's names of the destinations."""
        committed = {claim for (claim,) in self.execute("SELECT claim::text FROM committed_claims")}
        merged: dict[tuple[object, ...], Claim] = {}
        for text in re.findall(r"LOG:  claim (\{.*\})", self._log.read_text(encoding="utf-8", errors="replace")):
            found = json.loads(text)
            kind = found["alert"].partition(":")[0]
            # An INSERT … ON CONFLICT DO UPDATE makes two notes, and an alert may have several names in the ledger.
            key = (found["destination"], kind, found["at"], found["line"])
            before = merged.get(key)
            tasks = frozenset(found["tasks"]) | (before.tasks if before else frozenset())
            is_committed = found["claim"] in committed or bool(before and before.committed)
            channel, caller, line = channels[found["destination"]], found["caller"], found["line"]
            merged[key] = Claim(channel, kind, found["at"], found["second"], tasks, is_committed, caller, line)
        return list(merged.values())

    def telling(self) -> list[str]:
        """The callers that hold a claim while they wait for Slack; none where the database does not say."""
        query = "SELECT application_name FROM pg_stat_activity WHERE state = 'idle in transaction' ORDER BY 1"
        try:
            return [name for (name,) in self.execute(query)]
        except psycopg2.Error:
            return []

    def restart(self, mode: str) -> None:
        """immediate: without saying goodbye, as in a crash; fast: ends all transactions first."""
        with self._fault(f"restart of the database ({mode})"):
            options = ("-D", self.server.data, "-l", self._log, "-m", mode, "-w", "-s")
            self.server.run("pg_ctl", *options, "restart")

    def freeze(self, seconds: float) -> None:
        """Every process of the server stops, and its connections stay open."""
        with self._fault("frozen database"):
            # First the one that would start others.
            os.kill(self.server.process, signal.SIGSTOP)
            children = self.server.children
            try:
                _signal(children, signal.SIGSTOP)
                time.sleep(seconds)
            finally:
                _signal([self.server.process, *children], signal.SIGCONT)

    @contextmanager
    def _fault(self, what: str) -> Iterator[None]:
        started = time.time()
        try:
            yield
        finally:
            self.faults.append(Fault(what, started, time.time()))


def _signal(processes: Iterable[int], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


class Worker(threading.Thread):
    """Makes tasks fail, get stuck and recover, at a steady rate, whatever the database does; then it ends."""

    def __init__(self, world: World, amount: Amount, luck: random.Random) -> None:
        super().__init__(name="world", daemon=True)
        self._world, self._amount, self._luck = world, amount, luck
        self._done = {"f": 0, "s": 0}
        self._written_once: list[str] = []

    def run(self) -> None:
        started = time.monotonic()
        while self._unfinished():
            part = min(1.0, (time.monotonic() - started) / self._amount.seconds)
            with suppress(psycopg2.Error), closing(psycopg2.connect(self._world.admin_url)) as connection:
                while part <= 1 and not connection.closed and self._unfinished():
                    part = min(1.0, (time.monotonic() - started) / self._amount.seconds)
                    self._work(connection, part)
                    time.sleep(self._luck.uniform(0.05, 0.3))
            time.sleep(0.1)

    def _unfinished(self) -> bool:
        return self._done["f"] < self._amount.failures or self._done["s"] < self._amount.stuck

    def _work(self, connection: psycopg2.extensions.connection, part: float) -> None:
        failed = self._new("f", round(part * self._amount.failures))
        stuck = self._new("s", round(part * self._amount.stuck))
        failure = {"ids": failed, "status": "failed", "error": f"{self._luck.choice(_ERRORS)}{self._done['f']}"}
        status, minutes_ago = ("queued", 50) if self._luck.random() < 0.5 else ("inprogress", 40)
        late = self._luck.uniform(0.5, 2) if self._luck.random() < 0.03 else 0
        some = self._luck.randrange(4)
        with connection, connection.cursor() as cursor:
            cursor.execute(_WRITE_AGAIN, {"ids": self._written_once})
            cursor.execute(ADD_TASKS, {**failure, "minutes_ago": 0})
            cursor.execute(ADD_TASKS, {"ids": stuck, "status": status, "error": None, "minutes_ago": minutes_ago})
            # A commit that comes late: others look at the table meanwhile.
            time.sleep(late)
        with connection, connection.cursor() as cursor:
            cursor.execute(_FINISH_SOME, {"some": some})
        self._done["f"] += len(failed)
        self._done["s"] += len(stuck)
        self._written_once = [task for task in failed if self._luck.random() < 0.2]

    def _new(self, letter: str, count: int) -> list[str]:
        return [f"{letter}-{number:06}" for number in range(self._done[letter] + 1, count + 1)]


def repeat_until(stop: threading.Event, pauses: Callable[[], float], actions: Sequence[Callable[[], None]]) -> None:
    """Runs the first, the second, … of the actions over and over, each after a pause."""
    while True:
        for action in actions:
            if stop.wait(pauses()):
                return
            action()
