"""Lets each step of a call that can fail do so once, in each of its ways; then makes one call without a fault.

After both, nothing may be missed, at most one message repeated, nothing left behind; and the first call either did all
that it had to, or failed with a line in its log that names the fault.

python -m benchmarks torture             each step, each fault: some minutes
python -m benchmarks torture --quick     each step, one fault in turn; about a minute, for CI
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import trustme

import slack_notifier
from benchmarks.choice import chosen
from benchmarks.faults import DESCRIPTOR, ERROR, KINDS, LOST, MEMORY, UNANSWERED
from sandbox.postgres import add_tasks, execute, postgres_server, tasks_database
from sandbox.program import Program
from sandbox.slack import SlackStandIn
from slack_notifier import CALL_SECONDS, EVENT_SECONDS, RUN_SECONDS
from tests.servers import MailServer, mail_server

JOBS = 3 * (os.cpu_count() or 2)
# Other programs share the machine.
SLOWNESS = 2
PATIENCE_SECONDS = 600
# Only what was accepted and could not be recorded may be told once more.
MAY_REPEAT = ("commit", "answer", "reply")
# In how many pieces an answer arrives is the network's business.
PIECES = ("answer", "reply")
# asyncio, under the mail server, complains of each client that goes away.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
NAMES = {
    ERROR: "out of memory|unable to parse|(?i:connection re(fused|set))|not connected|no such host"
    "|Cannot allocate memory|PermissionError|Permission denied",
    MEMORY: "MemoryError",
    DESCRIPTOR: "Too many open files",
    LOST: "server closed the connection|no answer in time|timed out",
    UNANSWERED: "server closed the connection",
}
FIRST, SECOND = "first", "second"
FAILED, STUCK, CANNOT_READ = "🚨 Failed Tasks Alert", "⚠️ Stuck Tasks Alert", "🙈 Monitor cannot read the tasks table"
CODE = """
import json, sys
sys.path.insert(0, {folder!r})
from benchmarks.faults import main
main(json.loads(sys.argv[1]))
"""


class Call(NamedTuple):
    """A call and its circumstances; `alerts`: what there is to tell, by an event once in each call."""

    name: str
    function: str
    alerts: Sequence[str]
    limit: float
    mailed: bool = False
    unreadable: bool = False
    is_event: bool = False


BOTH, ONE, CREATED = (FAILED, STUCK), (FAILED,), ("🎬 New Task Created",)
CALLS = (
    Call("command line", "command_line", BOTH, RUN_SECONDS),
    Call("command line, by e-mail", "command_line", BOTH, RUN_SECONDS, mailed=True),
    Call("command line, cannot read", "command_line", BOTH, RUN_SECONDS, unreadable=True),
    Call("send_combined_notification()", "combined", BOTH, RUN_SECONDS),
    Call("send_combined_…(), cannot read", "combined", BOTH, RUN_SECONDS, unreadable=True),
    Call("send_failed_tasks_notification()", "worker", ONE, CALL_SECONDS),
    Call("send_failed_tasks_…(), by e-mail", "worker", ONE, CALL_SECONDS, mailed=True),
    Call("send_task_creation_notification()", "notice", CREATED, EVENT_SECONDS, is_event=True),
)


class Case(NamedTuple):
    """A call in which the step of that kind with that number fails in that way; 0: none."""

    call: Call
    kind: str = ""
    number: int = 0
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.call.name}, {self.kind} {self.number}, {self.fault}" if self.number else self.call.name


class Result(NamedTuple):
    """What came of a case: the steps of the call that was to fail, how it ended, and the broken promises."""

    case: Case
    steps: Sequence[str]
    first: Mapping[str, Any]
    repeated: int
    broken: Sequence[str]


class World:
    """A database, a stand-in for Slack and a mail server, for one case at a time. Each message names the call that sent
    it as its environment."""

    def __init__(self, url: str, slack: SlackStandIn, mail: MailServer, folder: Path) -> None:
        self.url, self.slack, self.mail, self.folder = url, slack, mail, folder

    def play(self, case: Case) -> Result:
        """Makes both calls in a process of their own."""
        self._begin_anew(case.call)
        order = {"call": case.call.function, "kind": case.kind, "number": case.number, "fault": case.fault}
        order["mail_port"] = int(self.mail.url.rpartition(":")[2])
        order["changes"] = {"SLACK_ENVIRONMENT": SECOND, "DATABASE_URL": self.url}
        code = CODE.format(folder=str(self.folder))
        ended = Program(self.folder, self._environment(case.call), json.dumps(order), code=code).end(PATIENCE_SECONDS)
        if ended.code or not ended.out:
            raise SystemExit(f"{case}: ended with {ended.code}\n{ended.log}")
        return judged(case, json.loads(ended.out), self._arrived())

    def _begin_anew(self, call: Call) -> None:
        execute(self.url, "DROP TABLE IF EXISTS slack_notifications; DELETE FROM tasks")
        add_tasks(self.url, "failed", error="voice service is down", minutes_ago=5)
        add_tasks(self.url, "queued", minutes_ago=60)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        (self.folder / "state").mkdir()
        self.slack.clear()
        self.mail.mails.clear()
        if call.mailed:
            self.slack.answer(404, "no_service", times=None)

    def _environment(self, call: Call) -> dict[str, str]:
        environment = {"PATH": os.environ["PATH"], "XDG_STATE_HOME": str(self.folder / "state"), "SERVER": self.url}
        environment |= {"DATABASE_URL": self.url, "SLACK_WEBHOOK": self.slack.webhook(), "SLACK_ENVIRONMENT": FIRST}
        environment |= {"HEARTBEAT_URL": self.slack.page, "SSL_CERT_FILE": str(self.folder / "authority.pem")}
        if call.mailed:
            environment |= {"SMTP_URL": self.mail.url, "ALERT_EMAIL_TO": "ops@example.com"}
        if call.unreadable:
            # No such database is an error that waits for nothing.
            environment["DATABASE_URL"] = f"{self.url}_away"
        return environment

    def _arrived(self) -> Counter[tuple[str, str]]:
        """How often each title arrived, of each of the two calls."""
        texts = [message["text"].partition("\n")[0] for message in self.slack.messages()]
        titles = [*texts, *(str(mail.message["Subject"]) for mail in self.mail.mails)]
        return Counter((title, call) for title, _, call in (text.partition(" · ") for text in titles))


def judged(case: Case, report: Mapping[str, Any], arrived: Mapping[tuple[str, str], int]) -> Result:
    """Holds what came of a case against the promises; `arrived`: how often each title did, by the call it is from."""
    first, second, call = report["first"], report["second"], case.call
    # An event is a feed: each call tells its own, and nobody catches up.
    expected: list[Any] = [(title, SECOND) if call.is_event else title for title in call.alerts]
    times: Counter[Any] = Counter()
    for (title, which), count in arrived.items():
        times[(title, which) if call.is_event else title] += count
    repeated = sum(times.values()) - len(times)
    broken = [f"missed: {message}" for message in expected if message not in times]
    if repeated > (case.kind in MAY_REPEAT):
        broken.append(f"repeated: {dict(times)}")
    if case.kind not in PIECES and report["steps"].count(case.kind) < case.number:
        broken.append("the call did not come to that step")
    due = (CANNOT_READ,) if call.unreadable else call.alerts
    is_told = all((title, FIRST) in arrived for title in due)
    broken += _of_first(case, first, is_told) + [f"the next call: {second}"] * (second["returned"] is not True)
    for ended in (first, second):
        broken += [f"left behind: {name}" for name in ended["left"]]
        if ended["seconds"] > SLOWNESS * call.limit:
            broken.append(f"took {ended['seconds']:.1f} s")
    return Result(case, report["steps"], first, repeated, broken)


def _of_first(case: Case, first: Mapping[str, Any], is_told: bool) -> list[str]:
    """Returns what the call with the fault did wrong, if it did neither all that it had to nor name the fault."""
    if not isinstance(first["returned"], bool):
        return [str(first["returned"])]
    if first["returned"] and not is_told:
        return ["returned as if all were well, and had not told it"]
    is_named = any(re.search(NAMES[case.fault], line) for line in first["log"]) if case.fault else is_told
    if is_named or (is_told and (first["returned"] or case.call.unreadable)):
        return []
    return [f"failed, and no line of its log names the fault: {first['log']}"]


@contextmanager
def worlds(count: int, server_url: str, program: Path) -> Iterator[SimpleQueue[World]]:
    """Makes so many worlds in which this program runs."""
    authority = trustme.CA()
    free: SimpleQueue[World] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            shutil.copy(program, folder / "slack_notifier.py")
            (folder / ".env").touch(mode=0o600)
            authority.cert_pem.write_to_path(str(folder / "authority.pem"))
            url = stack.enter_context(tasks_database(server_url))
            slack, mail = stack.enter_context(SlackStandIn()), stack.enter_context(mail_server(authority))
            free.put(World(url, slack, mail, folder))
        yield free


def tortured(
    calls: Sequence[Call], server_url: str, program: Path, *, quick: bool, jobs: int = JOBS
) -> Iterator[list[Result]]:
    """Yields of each call the results: without a fault, then with each."""
    with worlds(jobs, server_url, program) as free, ThreadPoolExecutor(jobs) as pool:

        def play(case: Case) -> Result:
            world = free.get()
            try:
                return world.play(case)
            finally:
                free.put(world)

        for whole in pool.map(play, map(Case, calls)):
            yield [whole, *pool.map(play, cases(whole, quick=quick))]


def cases(whole: Result, *, quick: bool) -> Iterator[Case]:
    """Yields what can fail in a call that went through these steps; `quick`: each step in one way, in turn."""
    seen: Counter[str] = Counter()
    for kind in whole.steps:
        ways = list(KINDS[kind])
        if quick:
            ways = [ways[seen[kind] % len(ways)]]
        seen[kind] += 1
        yield from (Case(whole.case.call, kind, seen[kind], way) for way in ways)


def show(results: Sequence[Result]) -> bool:
    """Prints what came of one call's cases; False where a promise was broken."""
    whole, *failing = results
    told = sum(result.first["returned"] is True for result in failing)
    repeated = sum(result.repeated for result in failing)
    longest = max(result.first["seconds"] for result in results)
    broken = [f"  NOT KEPT: {result.case}: {promise}" for result in results for promise in result.broken]
    figures = f"{len(failing):>7} {told:>9} {len(failing) - told:>9} {repeated:>9} {longest:>8.1f} s {len(broken):>9}"
    print(f"{whole.case.call.name:<34} {len(whole.steps):>6} {figures}")
    print("  " + ", ".join(f"{kind} {count}" for kind, count in Counter(whole.steps).items()))
    print("".join(f"{line}\n" for line in broken), end="", flush=True)
    return not broken


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks torture", description="Each step of a call fails once.")
    parser.add_argument("--quick", action="store_true", help="each step in one of its ways")
    parser.add_argument("--only", metavar="WORD", default="", help="only the calls whose name has the word")
    arguments = parser.parse_args(argv)
    calls = chosen(parser, arguments.only, CALLS, attrgetter("name"))
    heading = f"{'faults':>7} {'delivered':>9} {'named':>9} {'repeated':>9} {'longest':>10} {'not kept':>9}"
    print(f"{'call':<34} {'steps':>6} {heading}", flush=True)
    with postgres_server() as server:
        of_calls = tortured(calls, server.url, Path(slack_notifier.__file__), quick=arguments.quick)
        kept = [show(results) for results in of_calls]
    return 0 if all(kept) else 1
