"""The simulated days find each sentence that is altered, and a message that is lost or sent twice: they can fail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from benchmarks.days.run import Days, Payload, simulated
from benchmarks.days.sentences import read
from benchmarks.days.truth import Destination


class Alteration(NamedTuple):
    """What is replaced in the messages of an alert that have it, and as which kind of fault that must be found."""

    alert: str
    search: str
    by: str
    kind: str

    def of(self, payload: Payload) -> Payload:
        return json.loads(re.sub(self.search, self.by, json.dumps(payload, ensure_ascii=False)))


NON_CRITICAL = r'in the last 30 minutes:(?!.*<!here>)(?!.*"context".* ([5-9]|\d\d) ended)'
ALTERATIONS = [
    Alteration("failed", r"\b1 (more )?task failed", "2 tasks failed", "how many"),
    Alteration("failed", r"\b1 more task failed", "1 task failed", "in which span"),
    Alteration("failed", r"\b1 task failed", "1 more task failed", "in which span"),
    Alteration("failed", r"in the last 30 minutes", "since 2025-01-01 00:00:00 UTC", "n of m"),
    Alteration("failed", r"(\d) ended task", r"1\1 ended task", "n of m"),
    Alteration("failed", r"1 user", "11 users", "users"),
    Alteration("failed", NON_CRITICAL, "in the last 30 minutes: <!here>", "who is called"),
    Alteration("failed", r"(Error:\*?) \w+", r"\1 Nobody", "its error"),
    Alteration("failed", r"(Created:\*? \d\d\d)\d", r"\g<1>9", "what a task is"),
    Alteration("failed", r"(Reported at \d\d\d)\d", r"\g<1>9", "when"),
    Alteration("failed", r"(Error:[^\"]*?)(\\n  )", r"\1 (99× in 7 days)\2", "its error"),
    Alteration("failed", r'("text": "🚨 Failed Tasks Alert\\n)1', r"\g<1>2", "text and blocks"),
    Alteration("failed", r"(Task ID:\*? `)........", r"\g<1>00000000", "a task"),
    Alteration("stuck", r"Status:(\*?) in_progress", r"Status:\1 queued", "what a task is"),
    Alteration("stuck", r"(\d+) queued", r"1\1 queued", "queued"),
    Alteration("stuck", r"In Progress Tasks \(1\)", "In Progress Tasks (2)", "how many of a group"),
    Alteration("stuck", r"\b(\d) tasks? stuck", r"\1 more tasks stuck", "in which span"),
    Alteration("healed", "is finished", "is succeeded", "a recovered task"),
    Alteration("healed", "1 task no", "2 tasks no", "how many"),
    Alteration("healed", "Reported at", "Told at", "unknown"),
]


@pytest.fixture
def days(server_url: str) -> Iterator[Days]:
    with simulated(seed=2, days=0.3, server_url=server_url) as days:
        yield days


@pytest.mark.slow(5)
def test_what_is_altered_in_a_message_is_found(days):
    tried: dict[Alteration, set[str]] = {}

    def tamper(to: Destination, alert: str, payload: Payload) -> list[Payload]:
        case = days.case(to, alert)
        for alteration in ALTERATIONS if case.gone is None else []:
            altered = alteration.of(payload)
            if alteration.alert == alert and altered != payload:
                plain, false = read(case, payload).false, read(case, altered).false
                tried[alteration] = tried.get(alteration, set()) | {each[0] for each in {*false} - {*plain}}
        return [payload]

    days.tamper = tamper
    days.world.play()
    assert [alteration for alteration in ALTERATIONS if alteration.kind not in tried.get(alteration, ())] == []


@pytest.mark.slow(5)
def test_a_message_that_is_lost_is_missed(days):
    lost: list[Any] = []

    def tamper(to: Destination, alert: str, payload: Payload) -> list[Payload]:
        if lost or alert != "failed":
            return [payload]
        lost.extend(days.case(to, alert).due.must)
        return [] if lost else [payload]

    days.tamper = tamper
    days.world.play()
    assert lost
    assert {*lost} <= {fault.line.split()[0] for fault in days.missed}


@pytest.mark.slow(5)
def test_a_message_that_is_sent_twice_is_a_repeat(days):
    days.tamper = lambda to, alert, payload: [payload] if days.unexplained else [payload, payload]
    days.world.play()
    assert days.unexplained
