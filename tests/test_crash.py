"""The program is killed (SIGKILL) wherever it can be, or its host vanishes: nothing is missed.

The one repeat that remains: Slack accepted a message, and the program died before its commit reached the database.
"""

from __future__ import annotations

import json
import time

import pytest
from support import BLIND, FAILED, RECOVERED, STUCK, report, tally, told

pytestmark = pytest.mark.usefixtures("room")

# With its end on the line: other statements hold the word. The first is that of the ledger's opening, the second that
# of the failed tasks.
COMMIT = "COMMIT\0"


def set_the_scene(tasks, slack, notifier, *, first_run: bool) -> dict[str, list[str]]:
    """Three failures, a stuck task and a recovered one, all of which the next run has to tell, by title."""
    tasks.clear()
    tasks.execute("DROP TABLE IF EXISTS slack_notifications")
    recovered = [] if first_run else [tasks.add("queued", created=40)]
    if recovered:
        report(notifier)
        tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
    slack.clear()
    failed = [tasks.fail() for _ in range(3)]
    return {FAILED: failed, STUCK: [tasks.add("in_progress", started=40)], RECOVERED: recovered}


@pytest.mark.slow(15)
@pytest.mark.parametrize("first_run", [False, True], ids=["later run", "first run"])
def test_killed_at_any_statement_misses_nothing(start, slack, tasks, proxy, notifier, database_url, figures, first_run):
    """Before each statement, and after each commit: after another statement is before the next one, or the post.

    A first run, until its first alert is told: what follows is as in a later one.
    """
    set_the_scene(tasks, slack, notifier, first_run=first_run)
    through = proxy.url(database_url)
    proxy.run_freely()
    assert start(DATABASE_URL=through).end().code == 0
    sent = list(proxy.statements)
    kills = [(number, statement, False) for number, statement in enumerate(sent, start=1)]
    if first_run:
        del kills[sent.index(COMMIT.encode(), sent.index(COMMIT.encode()) + 1) + 1 :]
    kills += [(number, statement, True) for number, statement, _ in kills if statement == COMMIT.encode()]
    repeated = 0
    for number, statement, answered in kills:
        due = set_the_scene(tasks, slack, notifier, first_run=first_run)
        proxy.stop(number=number, answered=answered)
        run = start(DATABASE_URL=through)
        assert proxy.stopped.wait(60), f"statement {number} was not sent"
        run.kill()
        report(notifier, 2)
        for kind, expected in due.items():
            found = tally(told(slack, kind), expected)
            assert (found.missed, found.unexpected) == ([], []), f"killed at statement {number}: {statement!r}"
            # Posted and not yet committed: between the two there is nothing.
            may_repeat = statement == COMMIT.encode() and not answered
            assert may_repeat or not found.repeated, f"repeated, killed at statement {number}: {statement!r}"
            repeated += len(found.repeated)
    figures(kills=len(kills), runs=3 * len(kills), tasks=5 * len(kills), missed=0, repeated=repeated)


def test_a_failed_commit_is_an_error_that_names_the_possible_repeat(start, slack, tasks, proxy, database_url):
    failed = tasks.fail()
    proxy.stop(statement=COMMIT, number=2)
    run = start("--failed-only", DATABASE_URL=proxy.url(database_url))
    assert proxy.stopped.wait(60)
    proxy.close()
    ended = run.end()
    assert ended.code == 1
    assert "ERROR Cannot record what was reported, so the next run may report it again: " in ended.log
    assert "Traceback" not in ended.log
    # It told of the task, and did not call itself blind.
    assert told(slack) == [[failed]]
    assert told(slack, BLIND) == []


@pytest.mark.slow(8)
def test_a_vanished_host_holds_its_claim_no_longer_than_stated(start, slack, tasks, proxy, database_url, figures):
    """A real wait: nothing but the server's own clock ends this claim."""
    hold = 8
    limits = json.dumps({"CLAIM_HOLD_SECONDS": hold, "LOCK_WAIT_SECONDS": 2})
    failed = [tasks.fail() for _ in range(3)]
    with slack.hold() as held:
        run = start(DATABASE_URL=proxy.url(database_url), LIMITS=limits)
        held.wait_received()
        since = time.monotonic()
        proxy.die()
        run.kill()
    refused = 0
    while not slack.messages():
        assert time.monotonic() - since < 2 * hold + 30
        ended = start("--failed-only", LIMITS=limits).end()
        refused += ended.code
        assert ended.code == 0 or "ERROR Another run is reporting to this destination" in ended.log
    held_seconds = time.monotonic() - since
    # Were it free at once, this would not have been a vanished host.
    assert refused
    # Nor may it be free much earlier; and the server's clock starts before the post.
    assert held_seconds > hold / 2
    assert told(slack) == [sorted(failed)]
    figures(kills=1, runs=refused + 1, failures=3, missed=0, repeated=0, seconds_until_free=round(held_seconds))


@pytest.mark.slow
def test_a_claim_outlasts_a_slow_answer_of_slack(notifier, slack, tasks):
    failed = tasks.fail()
    slack.answer(delay=6)
    report(notifier, 2)
    assert told(slack) == [[failed]]
