"""The torture's small form, and that it finds notifiers which break a promise: it can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.variants import BEFORE, write_variant
from benchmarks.faults import ERROR, MEMORY
from benchmarks.torture import CALLS, FAILED, FIRST, SECOND, Case, judged, tortured, worlds
from slack_notifier import CALL_SECONDS

PROGRAM = Path(__file__).parent.parent / "slack_notifier.py"
CALL = {call.name: call for call in CALLS}
WORKER, NOTICE = CALL["send_failed_tasks_notification()"], CALL["send_task_creation_notification()"]


# ---- The notifier ----------------------------------------------------------------------------------------------------


@pytest.mark.slow(20)
def test_each_step_fails_once_and_the_next_call_tells_all_that_was_not_told(server_url, figures):
    results = [*tortured([WORKER, NOTICE], server_url, PROGRAM, quick=True, jobs=3)]
    assert [(str(result.case), result.broken) for of_call in results for result in of_call if result.broken] == []
    worker, notice = ({result.case.kind for result in of_call} - {""} for of_call in results)
    assert worker == {"connect", "statement", "commit", "read", "look-up", "socket", "request", "answer", "thread"}
    assert notice == {"look-up", "socket", "request", "answer", "thread"}
    figures(faults=sum(map(len, results)) - 2, repeated=sum(result.repeated for each in results for result in each))


# ---- Broken ones -----------------------------------------------------------------------------------------------------


def broken(server_url: str, program: Path, case: Case) -> str:
    """What the torture says of this notifier in one case."""
    with worlds(1, server_url, program) as free:
        return "\n".join(free.get().play(case).broken)


@pytest.mark.slow
def test_a_notifier_that_commits_before_the_post_misses(server_url, tmp_path):
    case = Case(WORKER, "request", 2, ERROR)
    assert f"missed: {FAILED}" in broken(server_url, write_variant(BEFORE, tmp_path), case)


PATCHES = {
    "returned as if all were well": ("self.error = str(error)", "pass"),
    "raised": ('        logger.error("%s", self.error)\n        return True', "        return False"),
    "names the fault": ('logger.error("%s", self.error)', 'logger.error("Something went wrong")'),
    "left behind: descriptor": ("self._sockets.pop().close()", "self._sockets.pop().detach()"),
    "left behind: thread": (
        "        self._timer.cancel()\n        if self._timer.ident:\n            self._timer.join()",
        "",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("finding", PATCHES)
def test_a_notifier_that_breaks_another_promise_is_found(server_url, tmp_path, finding):
    source, (search, by) = PROGRAM.read_text(encoding="utf-8"), PATCHES[finding]
    assert source.count(search) == 1
    program = tmp_path / "slack_notifier.py"
    program.write_text(source.replace(search, by), encoding="utf-8")
    assert finding in broken(server_url, program, Case(WORKER, "statement", 2, ERROR))


# ---- The judge -------------------------------------------------------------------------------------------------------

CASE = Case(WORKER, "statement", 1, MEMORY)
ENDED = {"returned": True, "seconds": 0.1, "log": [], "left": []}
FAILED_CALL = {**ENDED, "returned": False, "log": ["ERROR Unexpected MemoryError at slack_notifier.py:1"]}
ONCE = {(FAILED, SECOND): 1}


def verdict(case: Case = CASE, first: Any = FAILED_CALL, second: Any = ENDED, arrived: Any = ONCE) -> str:
    return "\n".join(judged(case, {"steps": [case.kind], "first": first, "second": second}, arrived).broken)


def test_a_call_that_failed_in_words_before_one_that_tells_is_as_promised():
    assert verdict() == ""


def test_a_message_that_was_not_recorded_may_come_twice_but_no_other_one_and_not_three_times():
    twice, thrice = {(FAILED, FIRST): 1, (FAILED, SECOND): 1}, {(FAILED, FIRST): 2, (FAILED, SECOND): 1}
    assert verdict(CASE._replace(kind="commit"), arrived=twice) == ""
    assert verdict(CASE._replace(kind="commit"), arrived=thrice).startswith("repeated")
    assert verdict(arrived=twice).startswith("repeated")


def test_a_notice_is_due_from_each_call_and_repeats_none_of_the_other():
    (created,) = NOTICE.alerts
    case = Case(NOTICE, "request", 1, MEMORY)
    assert verdict(case, ENDED, arrived={(created, FIRST): 1, (created, SECOND): 1}) == ""
    assert "missed" in verdict(case, ENDED, arrived={(created, FIRST): 1})
    assert "repeated" in verdict(case, ENDED, arrived={(created, FIRST): 2, (created, SECOND): 1})


@pytest.mark.parametrize(
    ("which", "ended", "finding"),
    [
        ("first", ENDED, "returned as if all were well"),
        ("first", {**FAILED_CALL, "log": []}, "no line of its log names the fault"),
        ("first", {**FAILED_CALL, "returned": "raised MemoryError()"}, "raised MemoryError()"),
        ("first", {**FAILED_CALL, "left": ["1 sessions of the database"]}, "left behind: 1 sessions of the database"),
        ("first", {**FAILED_CALL, "seconds": 2 * CALL_SECONDS + 1}, "took 21.0 s"),
        ("second", FAILED_CALL, "the next call"),
        ("second", {**ENDED, "left": ["thread worker"]}, "left behind: thread worker"),
    ],
)
def test_a_promise_that_is_not_kept_is_named(which, ended, finding):
    assert finding in verdict(**{which: ended})


def test_a_step_that_never_came_proves_nothing():
    assert "did not come to that step" in verdict(CASE._replace(number=2))
