"""Prints what the notifier costs beside bare scripts that do only the unavoidable, measured in turns in the same run.

python -m benchmarks              all of it, some minutes
python -m benchmarks --quick      smaller tables and fewer runs, for CI: exit code 1 if a ratio is far off its target
python -m benchmarks loads        what becomes of an alert under loads that starve it
python -m benchmarks chaos        what is missed and repeated when everything fails at once
python -m benchmarks days         whether each sentence is true in some simulated days, and anything missed or repeated
python -m benchmarks mutations    whether a test finds each of many small breaks of the module
python -m benchmarks torture      what each step that can fail costs when it does, one at a time
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from functools import partial
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from statistics import median
from time import process_time
from timeit import repeat
from typing import NamedTuple

import psycopg2

import slack_notifier
from benchmarks.choice import chosen
from benchmarks.instead import IDLE, alternatives, compare
from benchmarks.line import Line as NetworkLine
from benchmarks.measure import Program, in_turns, server_cpu
from benchmarks.tables import CLAIM_PARAMETERS, TWENTY_MINUTES, Table, table
from sandbox.postgres import NO_STOCK, Server, postgres_server, stock_programs
from sandbox.slack import SlackStandIn
from tests.servers import Heart

BARE = Path(__file__).with_name("bare")
NETWORK_DELAY_SECONDS = 0.025
# A ratio may be this many times its target before --quick fails: other programs share CI's machine.
TOLERANCE = 2
# So many that, were jit not off, a stock PostgreSQL would compile the plans of a run that has no index.
STOCK_TASKS = 5_000

AN_HOUR_AGO = """
UPDATE tasks SET created_at = created_at - interval '1 hour', updated_at = updated_at - interval '1 hour'
"""
Prepare = Sequence[Callable[[], None]]


class Sizes(NamedTuple):
    runs: int
    slow_runs: int
    failures: int
    small_table: int
    large_table: int
    stuck: int


FULL = Sizes(runs=11, slow_runs=5, failures=100_000, small_table=20_000, large_table=2_000_000, stuck=100_000)
QUICK = Sizes(runs=3, slow_runs=3, failures=40_000, small_table=2_000, large_table=40_000, stuck=10_000)


class Line(NamedTuple):
    """One line of the table; `judged`: what is compared with the target, a ratio unless `unit` says otherwise."""

    what: str
    bare: str
    ours: str
    judged: float
    target: float
    unit: str = "×"

    @property
    def met(self) -> bool:
        return self.judged <= self.target

    @property
    def far_off(self) -> bool:
        return self.unit == "×" and self.judged > TOLERANCE * self.target


def ratio(what: str, bare: float, ours: float, shown: Callable[[float], str], target: float) -> Line:
    return Line(what, shown(bare), shown(ours), ours / bare, target)


class Bench:
    """What all lines share: a database server, a stand-in for Slack, the programs, the sizes."""

    def __init__(self, server: Server, slack: SlackStandIn, folder: Path, sizes: Sizes) -> None:
        self.server, self.slack, self.folder, self.sizes = server, slack, folder, sizes
        # A copy, so that it finds no .env file of yours.
        self.product = shutil.copy(slack_notifier.__file__, folder)

    def program(self, url: str, *command: object, prepare: Prepare = ()) -> Program:
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "SLACK_WEBHOOK": self.slack.webhook()}
        return Program([*map(str, command)], environment, self.folder, prepare)

    def ours(self, url: str, *options: object, prepare: Prepare = ()) -> Program:
        return self.program(url, sys.executable, self.product, *options, prepare=prepare)

    def module(self, url: str, prepare: Prepare = ()) -> Program:
        return self.program(url, sys.executable, "-m", slack_notifier.__name__, prepare=prepare)

    def bare(self, url: str, script: str, prepare: Prepare = ()) -> Program:
        return self.program(url, sys.executable, BARE / script, prepare=prepare)

    def psql(self, tasks: Table, statement: str, prepare: Prepare) -> Program:
        """psql running one statement of the notifier's, rolled back."""
        with closing(psycopg2.connect(tasks.url)) as connection, connection.cursor() as cursor:
            text = cursor.mogrify(f"{slack_notifier.BEGIN};{statement};ROLLBACK;\n", CLAIM_PARAMETERS).decode()
        script = self.folder / "statement.sql"
        script.write_text(text, encoding="utf-8")
        return self.program(tasks.url, self.server.bin / "psql", "-X", "-q", "-f", script, tasks.url, prepare=prepare)

    def expect(self, messages: int) -> None:
        """Guards against measuring something else than meant."""
        found = len(self.slack.messages())
        refused = [request.reason for request in self.slack.requests if not request.accepted]
        if found != messages or refused:
            raise SystemExit(f"{found} messages instead of {messages}; refused: {refused}")
        self.slack.clear()


def nothing_to_report(bench: Bench) -> Iterator[Line]:
    with table(bench.server.url, tasks=bench.sizes.small_table) as tasks:
        programs = [bench.bare(tasks.url, "queries.py"), bench.module(tasks.url), bench.ours(tasks.url)]
        bare, *ways = in_turns(programs, bench.sizes.runs)
    bench.expect(messages=0)
    # Python keeps the compiled form of a module, but not of a script.
    targets = {"python -m slack_notifier": (1.6, 1.2), "python slack_notifier.py": (2.1, 1.4)}
    for (way, (cpu, memory)), ours in zip(targets.items(), ways):
        yield ratio(f"nothing to report, {way}: CPU", bare.cpu, ours.cpu, ms, cpu)
        yield ratio(f"nothing to report, {way}: memory", bare.memory, ours.memory, mb, memory)


def stock_server(bench: Bench) -> Iterator[Line]:
    what = "nothing to report, stock PostgreSQL{}: the server's CPU"
    if not stock_programs():
        print(f"skipped: {what.format('')}: {NO_STOCK}", flush=True)
        return
    with postgres_server(stock=True) as server, table(server.url, tasks=STOCK_TASKS) as tasks:
        programs = [bench.bare(tasks.url, "queries.py"), bench.ours(tasks.url)]
        for index in (", indexed", ", no index"):
            if index == ", no index":
                tasks.execute("DROP INDEX tasks_status_updated_at_idx")
            bare, ours = server_cpu(server, programs, bench.sizes.slow_runs)
            yield ratio(what.format(index), bare, ours, lambda seconds: f"{seconds * 1000:.1f} ms", 2.0)
    bench.expect(messages=0)


def far_away(bench: Bench) -> Iterator[Line]:
    far = closing(NetworkLine(bench.server.port, NETWORK_DELAY_SECONDS))
    with far as line, table(bench.server.url, tasks=bench.sizes.small_table) as tasks:
        url = re.sub(r":\d+/", f":{line.port}/", tasks.url)
        bare, ours = in_turns([bench.bare(url, "queries.py"), bench.ours(url)], bench.sizes.slow_runs)
    bench.expect(messages=0)
    yield ratio("nothing to report, database 25 ms away each way: time", bare.wall, ours.wall, ms, 2.0)


def two_alerts(bench: Bench) -> Iterator[Line]:
    with table(bench.server.url, tasks=bench.sizes.small_table) as tasks:
        tasks.add("failed", 5, TWENTY_MINUTES)
        tasks.add("queued", 5, TWENTY_MINUTES)
        tasks.execute(f"{AN_HOUR_AGO} WHERE status = 'queued'")
        tasks.settle()
        script = bench.bare(tasks.url, "alerts.py", prepare=(bench.slack.clear,))
        module = bench.module(tasks.url, prepare=(bench.slack.clear, tasks.forget))
        bare, ours = in_turns([script, module], bench.sizes.runs)
    bench.expect(messages=2)
    yield ratio("a failed and a stuck alert sent, python -m slack_notifier: CPU", bare.cpu, ours.cpu, ms, 1.3)


def many_failures(bench: Bench) -> Iterator[Line]:
    count = bench.sizes.failures
    with table(bench.server.url) as few, table(bench.server.url) as many:
        for tasks, failures in ((few, 10), (many, count)):
            tasks.add("failed", failures, TWENTY_MINUTES)
            tasks.settle()
        ours_few = bench.ours(few.url, "--failed-only", prepare=(bench.slack.clear, few.forget))
        ours_many = bench.ours(many.url, "--failed-only", prepare=(bench.slack.clear, many.forget))
        psql = bench.psql(many, f"{slack_notifier.START};{slack_notifier.FAILED.claim}", (many.forget,))
        ten, all_of_them = in_turns([ours_few, ours_many], bench.sizes.slow_runs)
        bench.expect(messages=1)
        bare, ours = in_turns([psql, ours_many], bench.sizes.slow_runs)
    bench.expect(messages=1)
    what = f"{count:,} new failures"
    yield ratio(f"{what}: peak memory (bare: 10 failures)", ten.memory, all_of_them.memory, mb, 1.2)
    yield ratio(f"{what}: time (bare: psql, the claim)", bare.wall, ours.wall, ms, 3.0)


def large_table(bench: Bench) -> Iterator[Line]:
    small, large = bench.sizes.small_table, bench.sizes.large_table
    with table(bench.server.url, tasks=small) as few, table(bench.server.url, tasks=large) as many:
        bare, ours = in_turns([bench.ours(few.url), bench.ours(many.url)], bench.sizes.runs)
    bench.expect(messages=0)
    yield ratio(f"{large:,} tasks, nothing to report: time (bare: {small:,})", bare.wall, ours.wall, ms, 1.2)


def many_stuck(bench: Bench) -> Iterator[Line]:
    count = bench.sizes.stuck
    with table(bench.server.url) as none, table(bench.server.url) as many:
        many.add("queued", count, TWENTY_MINUTES)
        many.execute(AN_HOUR_AGO)
        many.settle()
        bench.ours(many.url).run()
        bench.expect(messages=1)
        bare, ours = in_turns([bench.ours(none.url), bench.ours(many.url)], bench.sizes.slow_runs)
    bench.expect(messages=0)
    what = f"{count:,} stuck tasks, all reported: more time (bare: none)"
    yield Line(what, ms(bare.wall), ms(ours.wall), ours.wall - bare.wall, 1.0, "s")


def a_message(bench: Bench) -> Iterator[Line]:
    now = datetime.now(timezone.utc)
    frame = '  File "/app/video/pipeline.py", line 88, in render\n    combined = self._concatenate(files)\n'
    stack = f"{slack_notifier.TRACEBACK}:\n{frame * 15}"
    tasks = [
        {
            "id": f"6f1c2a94-8d3b-4e57-9a60-2b7de15c0f{number:02}",
            "user_api_key": f"pr_live_4c81f0a27be94d{number:02}",
            "status": "failed",
            "error": f"ffmpeg <{number}> failed\n{stack}RuntimeError: ffmpeg <{number}> failed\n",
            "log_uri": f"https://console.example.com/logs/6f1c2a94?task={number}",
            "created_at": now - timedelta(minutes=number + 10),
            "updated_at": now - timedelta(minutes=number),
            "since": now - timedelta(minutes=number),
            "alert": "failed",
            "cause": str(number // 2),
            "total": 2,
        }
        for number in range(20)
    ]
    causes = [{"cause": str(number), "total": 2, "users": 2, "before": number, "causes": 10} for number in range(10)]
    facts = {"failed": 20, "ended": 30, "users": 3}
    news = slack_notifier.News(tasks, len(tasks), now, causes=causes, facts=facts)
    limits, style = slack_notifier.Limits(30, 30), slack_notifier.Style()
    # CPU time: on a busy machine the wall's clock tells of the others.
    message = partial(slack_notifier.failed_message, news, limits, style)
    times = repeat(lambda: message().payload(), timer=process_time, number=20, repeat=25)
    each = median(times) / 20 * 1000
    yield Line("a message of 20 tasks built", "", f"{each:.2f} ms", each, 1.5, "ms")


def instead(bench: Bench) -> list[Line]:
    """What people would use in the notifier's place: prints a table of its own, of which no line has a target."""
    with table(bench.server.url, tasks=bench.sizes.small_table) as tasks, closing(Heart()) as takes_anything:
        psql, bare = bench.server.bin / "psql", bench.bare(tasks.url, "queries.py")
        programs, missing = alternatives(tasks.url, psql, bare, bench.folder, takes_anything.address)
        compare({**programs, IDLE: bench.ours(tasks.url)}, missing, bench.sizes.runs)
    bench.expect(messages=0)
    return []


GROUPS: list[Callable[[Bench], Iterable[Line]]] = [nothing_to_report, stock_server, two_alerts, far_away]
GROUPS += [many_failures, large_table, many_stuck, a_message, instead]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def mb(megabytes: float) -> str:
    return f"{megabytes:.1f} MB"


def show(line: Line) -> None:
    figure = f"{line.judged:.2f} {line.unit}"
    target = f"≤ {line.target:g} {line.unit}"
    met = "yes" if line.met else "NO"
    print(f"{line.what:<66} {line.bare:>10} {line.ours:>10} {figure:>9} {target:>8} {met:>5}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What the notifier costs.",
        epilog=f"others, each with --help: {', '.join(OTHERS)}",
    )
    parser.add_argument("--quick", action="store_true", help="smaller tables, fewer runs; for CI")
    parser.add_argument("--only", metavar="WORD", default="", help="only the groups of lines whose name has the word")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    groups = chosen(parser, arguments.only, GROUPS, attrgetter("__name__"))
    if groups != [instead]:
        print(f"{'what':<66} {'bare':>10} {'ours':>10} {'ratio':>9} {'target':>8} {'met?':>5}")
    far_off = False
    with postgres_server() as server, SlackStandIn() as slack, tempfile.TemporaryDirectory() as folder:
        bench = Bench(server, slack, Path(folder), sizes)
        for group in groups:
            for line in group(bench):
                show(line)
                far_off = far_off or line.far_off
    return 1 if arguments.quick and far_off else 0


OTHERS = {
    "days": "benchmarks.days.run",
    "loads": "benchmarks.loads",
    "chaos": "benchmarks.chaos.run",
    "mutations": "benchmarks.mutations.run",
    "torture": "benchmarks.torture",
}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in OTHERS:
        raise SystemExit(import_module(OTHERS[sys.argv[1]]).main(sys.argv[2:]))
    raise SystemExit(main())
