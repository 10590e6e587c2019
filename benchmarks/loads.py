"""Puts the program under loads that starve an alert, and prints what was reported to whom, when, and at what cost.

python -m benchmarks loads                   ten minutes and more
python -m benchmarks loads --quick           smaller ones, for CI
python -m benchmarks loads --program PATH    the same loads for another version of the module

Exit code 1: something was not reported.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import slack_notifier
from benchmarks.choice import chosen
from benchmarks.measure import Program
from benchmarks.tables import INDEX, TWENTY_MINUTES, Table, table
from sandbox.postgres import WORKER, Server, postgres_server
from sandbox.slack import SlackStandIn

STORM = Path(__file__).with_name("failing.py")
STORM_PROCESSES = 8
# What Slack takes of a webhook in one go; from then on a message a second.
STORM_BURST = 10
STORM_LIMIT_SECONDS = 600
# A run that takes longer is killed.
RUN_LIMIT_SECONDS = 120
KILLED = 9
# So many runs that report nothing more are enough to say: never. So many seconds of runs are enough in any case.
PATIENCE, PATIENCE_SECONDS = 3, 300
SLACK_SECONDS = 0.3
READ_SECONDS = 3
ADDRESS_SPACE_MB = 320

SLOW_VIEW = f"""
ALTER TABLE tasks RENAME TO real_tasks;
CREATE VIEW tasks AS SELECT real_tasks.* FROM real_tasks CROSS JOIN (SELECT pg_sleep({READ_SECONDS}) OFFSET 0) AS slow;
GRANT ALL ON tasks TO {WORKER}
"""

# A table fills faster without them; INDEX comes back with the others.
DROP_INDEXES = """
ALTER TABLE tasks DROP CONSTRAINT tasks_pkey;
DROP INDEX ix_tasks_user_api_key, tasks_status_updated_at_idx
"""
CREATE_INDEXES = "ALTER TABLE tasks ADD PRIMARY KEY (id); CREATE INDEX ix_tasks_user_api_key ON tasks (user_api_key);"


class Line(NamedTuple):
    """What was looked at and what came of it; `good` is False where something was not reported."""

    what: str
    figure: str
    good: bool = True


Lines = Iterator[Line]


class Sizes(NamedTuple):
    storm: int
    channels: int
    hanging: int
    table: int
    failures: int
    many_failures: int
    megabytes: int


FULL = Sizes(20, channels=200, hanging=8, table=2_000_000, failures=1000, many_failures=3_000_000, megabytes=20)
QUICK = Sizes(5, channels=40, hanging=2, table=40_000, failures=100, many_failures=40_000, megabytes=2)


class Ran(NamedTuple):
    """One run of the program; `reported`: tasks in the alerts of each channel since the beginning."""

    seconds: float
    memory: float
    killed: bool
    reported: list[int]


class Load:
    """A tasks table, a Slack, and the program that runs beside them with a ledger of its own making."""

    def __init__(self, program: Path, tasks: Table, slack: SlackStandIn) -> None:
        self.program, self.tasks, self.slack = program, tasks, slack

    def environment(self, channels: Sequence[str]) -> dict[str, str]:
        webhooks = ",".join(map(self.slack.webhook, channels))
        return {"PATH": os.environ["PATH"], "DATABASE_URL": self.tasks.url, "SLACK_WEBHOOK": webhooks}

    def run(self, channels: Sequence[str] = ("alerts",), prefix: Sequence[str] = ()) -> Ran:
        limited = ["timeout", "--signal=KILL", str(RUN_LIMIT_SECONDS), *prefix]
        command = [*limited, sys.executable, str(self.program)]
        cost, code, _ = Program(command, self.environment(channels), self.program.parent).tried()
        return Ran(cost.wall, cost.memory, code == KILLED, list(map(self.reported, channels)))

    def reported(self, channel: str) -> int:
        """The tasks of the failed alerts in a channel."""
        parts = [[part["text"]["text"] for part in m["blocks"][:2]] for m in self.slack.messages(channel)]
        return sum(int(re.findall(r"\d+", count)[0]) for title, count in parts if title.startswith("🚨 Failed"))


class Loads(NamedTuple):
    """What all loads share."""

    server: Server
    program: Path
    sizes: Sizes

    @contextmanager
    def load(self, *, tasks: int = 0, slack: SlackStandIn | None = None) -> Iterator[Load]:
        with table(self.server.url, tasks=tasks) as new, slack or SlackStandIn() as stand_in:
            new.execute(f"DROP TABLE slack_notifications; GRANT CREATE ON SCHEMA public TO {WORKER}")
            new.execute("ALTER TABLE tasks SET UNLOGGED")
            yield Load(self.program, new, stand_in)


class Call(NamedTuple):
    seconds: float
    returned: bool


def storm(program: Path, environment: Mapping[str, str], failures: int) -> list[Call]:
    """The calls of eight processes in which so many tasks fail each, in order of how long they took."""

    def calls(number: int) -> list[Call]:
        command = [sys.executable, str(STORM), str(number), str(failures)]
        env = {**environment, "PYTHONPATH": str(program.parent)}
        pipes: dict[str, Any] = {"capture_output": True, "text": True, "check": False}
        printed = subprocess.run(command, env=env, timeout=STORM_LIMIT_SECONDS, **pipes).stdout
        return [Call(float(seconds), returned == "True") for seconds, returned in map(str.split, printed.splitlines())]

    with ThreadPoolExecutor(STORM_PROCESSES) as pool:
        return sorted(call for of_one in pool.map(calls, range(STORM_PROCESSES)) for call in of_one)


def busiest_minute(slack: SlackStandIn) -> int:
    times = [request.time for request in slack.requests if request.accepted]
    return max(sum(first <= moment < first + timedelta(minutes=1) for moment in times) for first in times)


def a_storm(loads: Loads) -> Lines:
    count = STORM_PROCESSES * loads.sizes.storm
    what = f"storm of {count} failures"
    with loads.load(slack=SlackStandIn(rate_limit=True, burst=STORM_BURST)) as load:
        calls = storm(load.program, load.environment(["alerts"]), loads.sizes.storm)
        yield Line(f"{what}: messages in the busiest minute", f"{busiest_minute(load.slack)}")
        refused = sum(request.status == 429 for request in load.slack.requests)
        yield Line(f"{what}: answers of 429", f"{refused}")
        median, worst = calls[len(calls) // 2], calls[-1]
        yield Line(f"{what}: the median call, the worst", f"{median.seconds:.2f} s, {worst.seconds:.1f} s")
        [reported] = load.run().reported
        yield Line(f"{what}: reported when the program has run", f"{reported} of {count}", reported == count)


def many_channels(loads: Loads) -> Lines:
    yield from in_three_runs(loads, f"{loads.sizes.channels} channels at {SLACK_SECONDS} s", hanging=0)


def hanging_channels(loads: Loads) -> Lines:
    what = f"the first {loads.sizes.hanging} of {loads.sizes.channels} channels hang"
    yield from in_three_runs(loads, what, loads.sizes.hanging)


def in_three_runs(loads: Loads, what: str, hanging: int) -> Lines:
    """Something fails before each run, as it does in life."""
    channels = [f"team-{number}" for number in range(loads.sizes.channels)]
    with loads.load() as load:
        for channel in channels[:hanging]:
            load.slack.answer(fault="hang", channel=channel, times=None)
        load.slack.answer(delay=SLACK_SECONDS, times=None)
        runs = []
        for _ in range(3):
            load.tasks.add("failed", 5, TWENTY_MINUTES)
            runs.append(load.run(channels))
    (first, _, third), others = [sum(map(bool, run.reported)) for run in runs], len(channels) - hanging
    yield Line(f"{what}: reported to after 1 run, after 3", f"{first}, {third} of {others}", third == others)
    yield Line(f"{what}: the longest run", longest(runs))


def longest(runs: Sequence[Ran]) -> str:
    seconds = max(run.seconds for run in runs)
    return f"killed after {RUN_LIMIT_SECONDS} s" if any(run.killed for run in runs) else f"{seconds:.1f} s"


def ids_of_uuid(loads: Loads) -> Lines:
    count = loads.sizes.failures
    with loads.load(tasks=loads.sizes.table) as load:
        load.tasks.execute("ALTER TABLE tasks ALTER id TYPE uuid USING id::uuid")
        load.tasks.add("failed", count, TWENTY_MINUTES)
        load.tasks.settle()
        what = f"uuid ids, {loads.sizes.table:,} tasks, {count:,} failures, 3 channels"
        yield from until_reported(what, load, count, ["one", "two", "three"])


def many_failures(loads: Loads) -> Lines:
    count = loads.sizes.many_failures
    with loads.load() as load:
        load.tasks.execute(DROP_INDEXES)
        load.tasks.add("failed", count, TWENTY_MINUTES)
        load.tasks.execute(CREATE_INDEXES + INDEX)
        load.tasks.settle()
        yield from until_reported(f"{count:,} new failures", load, count)


def slow_reads(loads: Loads) -> Lines:
    with loads.load() as load:
        load.tasks.add("failed", 5, TWENTY_MINUTES)
        load.tasks.execute(SLOW_VIEW)
        yield from until_reported(f"5 failures, each read of tasks takes {READ_SECONDS} s", load, 5)


def until_reported(what: str, load: Load, count: int, channels: Sequence[str] = ("alerts",)) -> Lines:
    """Runs until so many tasks were reported to each channel, for some runs of nothing more, or until time is up."""
    reported = [[0] * len(channels)]
    runs: list[Ran] = []
    while min(reported[-1]) < count and sum(run.seconds for run in runs) < PATIENCE_SECONDS:
        if len(runs) >= PATIENCE and reported[-1] == reported[-1 - PATIENCE]:
            break
        runs.append(load.run(channels))
        reported.append(runs[-1].reported)
    yield Line(f"{what}: reported by the first run", f"{sum(reported[1]):,}")
    yield Line(f"{what}: reported in the end", f"{sum(reported[-1]):,} after {len(runs)}", min(reported[-1]) == count)
    yield Line(f"{what}: the longest run", longest(runs))


def large_errors(loads: Loads) -> Lines:
    size = loads.sizes.megabytes
    with loads.load() as load:
        load.tasks.add("failed", 20, TWENTY_MINUTES)
        short = load.run()
        load.tasks.execute(f"UPDATE tasks SET error = 'RuntimeError: ' || repeat('x', {size} * 1000000) || id")
        load.tasks.forget()
        long = load.run()
        load.tasks.forget()
        limited = load.run(prefix=["prlimit", f"--as={ADDRESS_SPACE_MB << 20}"])
    what = f"20 errors of {size} MB"
    reported = limited.reported[0] - long.reported[0]
    yield Line(f"{what}: peak memory (of 20 short ones)", f"{long.memory:.0f} MB ({short.memory:.0f} MB)")
    yield Line(f"{what}, {ADDRESS_SPACE_MB} MB of address space: reported", f"{reported} of 20", reported == 20)


LOADS = (a_storm, many_channels, hanging_channels, ids_of_uuid, many_failures, slow_reads, large_errors)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks loads", description="What is reported under load.")
    parser.add_argument("--quick", action="store_true", help="smaller loads")
    parser.add_argument("--only", metavar="WORD", default="", help="only the loads whose name has the word")
    parser.add_argument("--program", metavar="PATH", default=slack_notifier.__file__, help="another slack_notifier.py")
    arguments = parser.parse_args(argv)
    loads = chosen(parser, arguments.only, LOADS, attrgetter("__name__"))
    sizes = QUICK if arguments.quick else FULL
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
        # A copy, so that it finds no .env file of yours.
        program = Path(shutil.copy(arguments.program, Path(folder, "slack_notifier.py")))
        all_reported = True
        for load in loads:
            for line in load(Loads(server, program, sizes)):
                print(f"{line.what:<84} {line.figure:>20}", flush=True)
                all_reported &= line.good
    return 0 if all_reported else 1
