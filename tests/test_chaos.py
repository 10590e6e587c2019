"""The accountant of the chaos run finds what was missed and repeated, and excuses no repeat for nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.chaos.accounts import Call, Claim, Evidence, Fault, Post, account

A_CLAIM = Claim("alerts", "failed", 100.5, "12:00:00", frozenset({"f-1", "f-2"}), True, "cron-1", 5000)
A_POST = Post("alerts", "failed", "12:00:00", 2, frozenset({"f-1"}), answered=True)
# Its claim was not committed, and it was told again a minute later.
LOST = A_CLAIM._replace(at=40.5, second="11:59:00", committed=False, caller="cron-0", line=4000)
LOST_POST = A_POST._replace(second="11:59:00")
A_CALL = Call("cron-0", 40, 45, killed=False)


def accounted(claims, posts, calls=(), faults=()):
    expected = {"failed": ["f-1", "f-2"], "stuck": [], "recovered": [], "healed": []}
    return account(expected, ["alerts"], Evidence(claims, posts, calls, faults))


def test_what_a_committed_claim_told_is_told_also_where_the_message_lists_less():
    found = accounted([A_CLAIM], [A_POST])
    assert (found.missed, found.repeated, found.unexplained) == ([], 0, [])


def test_a_claim_without_a_message_told_nothing():
    assert accounted([A_CLAIM], []).missed == ["alerts failed f-1", "alerts failed f-2"]


@pytest.mark.parametrize(
    "post",
    [
        A_POST._replace(count=3),
        A_POST._replace(second="12:00:01"),
        A_POST._replace(channel="other"),
        A_POST._replace(kind="stuck"),
        A_POST._replace(listed=frozenset({"f-3"})),
    ],
)
def test_a_message_that_no_claim_fits_is_unexplained(post):
    found = accounted([A_CLAIM], [post])
    assert len(found.missed) == 2
    assert [line.partition(" for ")[0] for line in found.unexplained] == ["no claim"]


def test_a_task_that_was_not_to_be_told_is_unexplained():
    found = accounted([A_CLAIM._replace(tasks=frozenset({"f-1", "f-9"}))], [A_POST])
    assert found.unexplained == ["not to be told: alerts failed f-9"]


@pytest.mark.parametrize(
    ("post", "call", "fault", "excuse"),
    [
        (LOST_POST._replace(answered=False), A_CALL, None, "Slack's answer lost"),
        (LOST_POST, A_CALL._replace(killed=True), None, "killed before the commit"),
        (LOST_POST, A_CALL, Fault("restart", 42, 43), "restart"),
        (LOST_POST, A_CALL, Fault("reset", 42, 42, 4000), "reset"),
    ],
)
def test_a_repeat_is_excused_by_what_took_the_first_commit(post, call, fault, excuse):
    found = accounted([LOST, A_CLAIM], [post, A_POST], [call], [fault] if fault else [])
    assert (found.missed, found.repeated, found.unexplained) == ([], 2, [])
    assert found.excuses == Counter({excuse: 2})


@pytest.mark.parametrize(
    ("claim", "call", "fault"),
    [
        pytest.param(LOST, A_CALL, None, id="nothing happened"),
        pytest.param(LOST, A_CALL, Fault("restart", 46, 47), id="later"),
        pytest.param(LOST, A_CALL, Fault("restart", 38, 39), id="earlier"),
        pytest.param(LOST, A_CALL, Fault("reset", 42, 42, 4001), id="to another connection"),
        pytest.param(LOST, A_CALL._replace(caller="cron-2", killed=True), None, id="to another caller"),
        pytest.param(LOST, A_CALL._replace(started=50, ended=60, killed=True), None, id="in a later call"),
        pytest.param(LOST._replace(committed=True), A_CALL._replace(killed=True), None, id="after the commit"),
    ],
)
def test_a_repeat_without_its_moment_is_unexplained(claim, call, fault):
    found = accounted([claim, A_CLAIM], [LOST_POST, A_POST], [call], [fault] if fault else [])
    assert found.repeated == 2
    assert found.unexplained == ["repeated: alerts failed f-1", "repeated: alerts failed f-2"]


def test_a_fault_after_the_callers_next_claim_excuses_nothing_before_it():
    later = A_CLAIM._replace(channel="other", at=41, second="11:59:01", caller="cron-0")
    found = accounted([LOST, later, A_CLAIM], [LOST_POST, A_POST], [A_CALL], [Fault("restart", 42, 43)])
    assert len(found.unexplained) == 2
