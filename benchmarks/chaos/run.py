"""Eight callers, a database that crashes and a Slack that loses answers; then counts what was missed and repeated.

python -m benchmarks chaos             the published run: ten minutes or more for each of three notifiers
python -m benchmarks chaos --quick     about a minute in all, for CI
"""

from __future__ import annotations

import argparse
import os
import random
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.chaos.accounts import Account, Evidence, Fault, Post, account
from benchmarks.chaos.callers import Callers
from benchmarks.chaos.variants import BEFORE, THE_NOTIFIER, VARIANTS, write_variant
from benchmarks.chaos.world import WATCH_CLAIMS, Amount, Worker, World, repeat_until
from benchmarks.choice import chosen
from benchmarks.line import Line
from sandbox.postgres import postgres_server
from sandbox.slack import Request, SlackStandIn

CHANNELS = ("alerts", "other")
FULL = Amount(seconds=600, failures=12_000, stuck=2_400, calls=2_000)
QUICK = Amount(seconds=15, failures=300, stuck=60, calls=80)
# So many times as long as planned the tasks may take to come to be.
PATIENCE = 3
# Of those that are just reporting.
KILLED_SHARE = 0.15
# So many runs at most until all is reported when nothing disturbs any more.
SETTLING_RUNS = 40
# By how the titles begin.
_KINDS = {"🚨 Failed": "failed", "⚠️ Stuck": "stuck", "✅ Stuck": "recovered", "✅ Failed": "healed"}


class Outcome(NamedTuple):
    """One notifier's run: what there was to tell, what befell it, what became of it, what it could not record."""

    expected: Mapping[str, Sequence[str]]
    befell: Counter[str]
    account: Account
    bugs: int
    unrecorded: list[str]


class Chaos:
    """Everything of one run; `luck` decides what befalls whom, and when."""

    def __init__(self, world: World, slack: SlackStandIn, module: Path, seed: int) -> None:
        self.world, self.slack, self.luck = world, slack, random.Random(seed)
        self.line = Line(world.server.port)
        self.url = re.sub(r":\d+/", f":{self.line.port}/", world.url)
        self.webhooks = [slack.webhook(channel) for channel in CHANNELS]
        self.callers = Callers(module, self.url, self.webhooks, random.Random(self.luck.random()))
        self.channels: dict[str, str] = {}

    def run(self, amount: Amount) -> Outcome:
        with closing(self.line):
            self._introduce()
            self._live_through(amount)
            self._run_until_quiet()
            # A ✅ waits for younger tasks that are stuck, so these are given up.
            self.world.execute("UPDATE tasks SET status = 'cancelled' WHERE status NOT IN ('failed', 'finished')")
            self._run_until_quiet()
        return self._outcome()

    def _introduce(self) -> None:
        """A first, quiet run for each channel: it makes the ledger, and tells the channel's name there."""
        for channel, webhook in zip(CHANNELS, self.webhooks):
            self.callers.run_once([webhook], self.world.url)
            found = self.world.execute("SELECT DISTINCT destination FROM slack_notifications")
            ((name,),) = set(found) - {(known,) for known in self.channels}
            self.channels[name] = channel
        self.world.execute(WATCH_CLAIMS)

    def _live_through(self, amount: Amount) -> None:
        worker = Worker(self.world, amount, random.Random(self.luck.random()))
        stop = threading.Event()
        threads = partial(threading.Thread, target=repeat_until, daemon=True)
        troubles = [threads(args=(stop, *trouble)) for trouble in self._troubles()]
        for thread in [worker, *troubles]:
            thread.start()
        self.callers.start()
        limit = time.monotonic() + PATIENCE * amount.seconds + 60
        worker.join(limit - time.monotonic())
        while len(self.callers.calls) < amount.calls and time.monotonic() < limit:
            time.sleep(0.1)
        stop.set()
        if worker.is_alive():
            raise SystemExit("The database was gone for too long: not all tasks came to be")
        for thread in troubles:
            thread.join()
        self.slack.answer_normally()
        self.slack.release()
        self.callers.stop()

    def _troubles(self) -> list[tuple[Any, ...]]:
        """Each with its pauses and its actions in turn."""
        database, slack, death = (random.Random(self.luck.random()) for _ in range(3))
        world, line, callers = self.world, self.line, self.callers
        # So that what befalls a message does not depend on how many there are a second.
        requests, more_requests = _watched(self.slack), _watched(self.slack)

        def reset() -> None:
            name = line.reset_one(database)
            if name is not None:
                world.faults.append(Fault("connection to the database reset", time.time(), time.time(), name))

        def kill_one_that_tells() -> None:
            # In the moment that matters: its claim is open, its message on the way.
            telling = requests() and death.random() < KILLED_SHARE and world.telling()
            if telling:
                time.sleep(death.uniform(0, 0.2))
                callers.kill(telling)

        def freeze() -> None:
            world.freeze(database.uniform(0.5, 6))

        def trouble() -> None:
            if more_requests():
                trouble_slack(self.slack, slack)

        crash, restart = partial(world.restart, "immediate"), partial(world.restart, "fast")
        return [
            (lambda: database.uniform(1, 5), [reset, reset, crash, reset, freeze, reset, restart]),
            (lambda: 0.02, [trouble]),
            (lambda: death.uniform(1, 5), [callers.kill]),
            (lambda: 0.02, [kill_one_that_tells]),
        ]

    def _run_until_quiet(self) -> None:
        """Undisturbed runs, until two have had nothing to report."""
        quiet = 0
        for _ in range(SETTLING_RUNS):
            before = len(self.slack.requests)
            code = self.callers.run_once(self.webhooks, self.world.url)
            quiet = quiet + 1 if code == 0 and len(self.slack.requests) == before else 0
            if quiet == 2:
                return
        raise SystemExit(f"There is still something to report after {SETTLING_RUNS} undisturbed runs")

    def _outcome(self) -> Outcome:
        rows = self.world.execute("SELECT left(id, 1), status = 'finished', id FROM tasks ORDER BY id")
        failed, stuck = ([row for row in rows if row[0] == letter] for letter in "fs")
        kinds = {"failed": failed, "stuck": stuck}
        kinds |= {"recovered": [row for row in stuck if row[1]], "healed": [row for row in failed if row[1]]}
        expected = {kind: [task for *_, task in of_kind] for kind, of_kind in kinds.items()}
        requests, calls, faults = self.slack.requests, self.callers.calls, self.world.faults
        posts = [post for request in requests if (post := _post(request))]
        befell = Counter(fault.what for fault in faults)
        befell["calls"] = len(calls)
        befell.update(self.callers.kills)
        befell["messages that Slack refused or left unanswered"] = sum(not request.accepted for request in requests)
        unanswered = [request for request in requests if request.accepted and not request.status]
        befell["answers to accepted messages lost"] = len(unanswered)
        seconds = [call.ended - call.started for call in calls if call.caller.startswith("worker")]
        befell["seconds of a worker's longest call"] = round(max(seconds, default=0))
        log = self.callers.log.read_text(encoding="utf-8")
        bugs = len(re.findall(r"Traceback|Unexpected ", log))
        seen = Evidence(self.world.claims(self.channels), posts, calls, faults)
        unrecorded = re.findall(r".*Cannot record what was reported.*", log)
        return Outcome(expected, befell, account(expected, CHANNELS, seen), bugs, unrecorded)


def _watched(slack: SlackStandIn) -> Callable[[], bool]:
    """Whether there was another request since the last time."""
    seen = 0

    def has_more() -> bool:
        nonlocal seen
        before, seen = seen, len(slack.requests)
        return seen > before

    return has_more


def trouble_slack(slack: SlackStandIn, luck: random.Random) -> None:
    """One of the things that happen to a request, mostly that it takes a while."""
    slow = {"delay": luck.uniform(0.05, 1)}
    kinds: list[tuple[int, dict[str, Any]]] = [
        (20, slow),
        (3, {"status": luck.choice((500, 502, 503)), **slow}),
        (2, {"status": 429, "body": "rate_limited", "headers": {"Retry-After": "1"}}),
        (1, {"status": 404, "body": "no_service"}),
        (4, {"fault": "accept_then_reset", **slow}),
        (2, {"fault": luck.choice(("reset", "close")), **slow}),
        (1, {"fault": "hang"}),
        (1, {"status": 503, "times": luck.randrange(5, 15)}),
    ]
    (kind,) = luck.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])
    slack.answer(**kind, channel=luck.choice((None, *CHANNELS)))


def _post(request: Request) -> Post | None:
    """An accepted alert; None for anything else, such as that the database cannot be read."""
    # After an answer of 500 without a word, an alert goes out as text only.
    title, summary, *_ = [*str((request.payload or {}).get("text")).split("\n"), ""]
    text = str(request.payload)
    count, reported = re.search(r"\d+", summary), re.search(r"Reported at ([\d-]+ [\d:]+) UTC", text)
    kind = next((kind for start, kind in _KINDS.items() if title.startswith(start)), None)
    if not kind or not count or not reported or not request.channel:
        return None
    listed = frozenset(re.findall(r"\b[fs]-\d{6}\b", text))
    return Post(request.channel, kind, reported[1], int(count[0]), listed, request.status is not None)


def chaos(name: str, amount: Amount, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server, SlackStandIn() as slack:
        return Chaos(World(server), slack, write_variant(name, Path(folder)), seed).run(amount)


WHAT = {
    "failed": "tasks that failed",
    "stuck": "tasks that were stuck",
    "recovered": "of the stuck, ended well after they were reported",
    "healed": "of the failed, likewise",
}


def show(outcomes: Mapping[str, Outcome]) -> None:
    print(f"{'':<50}" + "".join(f"{name:>24}" for name in outcomes))

    def line(what: str, values: Sequence[int]) -> None:
        print(f"{what:<50}" + "".join(f"{value:>24,}" for value in values))

    accounts = [outcome.account for outcome in outcomes.values()]
    for kind, what in WHAT.items():
        line(what, [len(outcome.expected[kind]) for outcome in outcomes.values()])
    for what in sorted(set().union(*(outcome.befell for outcome in outcomes.values()))):
        line(what, [outcome.befell[what] for outcome in outcomes.values()])
    line("messages in two channels", [each.messages for each in accounts])
    line("of them with a claim that was not committed", [each.unnoted for each in accounts])
    line("MISSED (task and channel)", [len(each.missed) for each in accounts])
    line("REPEATED (task and channel)", [each.repeated for each in accounts])
    for what in sorted(set().union(*(each.excuses for each in accounts))):
        line(f"  {what}", [each.excuses[what] for each in accounts])
    line("UNEXPLAINED", [len(each.unexplained) for each in accounts])
    line("tracebacks and unexpected errors in the logs", [outcome.bugs for outcome in outcomes.values()])


def judged(outcomes: Mapping[str, Outcome]) -> list[str]:
    """What is not as it must be; the controls must show that the harness can find fault."""
    found = []
    for name, outcome in outcomes.items():
        missed, repeated = len(outcome.account.missed), len(outcome.account.unexplained)
        if name == THE_NOTIFIER:
            found += [f"{name}: {line}" for line in [*outcome.account.missed[:20], *outcome.account.unexplained[:20]]]
            found += outcome.unrecorded if repeated else []
            found += [f"{name}: errors that it does not know"] if outcome.bugs else []
        elif not (missed if name == BEFORE else repeated):
            found.append(f"{name}: no fault found, so the harness shows nothing")
    return found


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos", description="Counts misses and repeats.")
    parser.add_argument("--quick", action="store_true", help="about a minute in all; for CI")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--only", metavar="WORD", default="", help="only the notifiers whose name has the word")
    arguments = parser.parse_args(argv)
    amount = QUICK if arguments.quick else FULL
    names = chosen(parser, arguments.only, VARIANTS, str)
    print(f"seed {arguments.seed}, {amount.seconds:g} s or more each, {os.cpu_count()} cores", flush=True)
    outcomes = {}
    for name in names:
        print(f"{name} …", flush=True)
        outcomes[name] = chaos(name, amount, arguments.seed)
    show(outcomes)
    found = judged(outcomes)
    print("\n".join(found))
    return 1 if found else 0
