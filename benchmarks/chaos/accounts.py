"""Counts what was told, from what the database and Slack saw: what was missed, what was repeated, and what excuses it.

What a message told is not taken from its text, which lists a few of many tasks, but from the claim that it was built
from: the claim that names the same destination and kind, was made in the second that the message names, has as many
tasks as the message counts and, among them, all that the message lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

KINDS = ("failed", "stuck", "recovered", "healed")


class Claim(NamedTuple):
    """What one transaction wrote into the ledger, whether it was committed or not; `line` is its connection's name."""

    channel: str
    kind: str
    at: float
    second: str
    tasks: frozenset[str]
    committed: bool
    caller: str
    line: int


class Post(NamedTuple):
    """A message that Slack accepted; not `answered`: whoever sent it never heard so."""

    channel: str
    kind: str
    second: str
    count: int
    listed: frozenset[str]
    answered: bool


class Call(NamedTuple):
    """From when until when a caller was busy with the notifier; `killed`: that was its end."""

    caller: str
    started: float
    ended: float
    killed: bool


class Fault(NamedTuple):
    """What was done to the database, or with a `line` to one connection."""

    what: str
    started: float
    ended: float
    line: int | None = None


class Account(NamedTuple):
    """`unnoted`: messages whose claim was not committed. `excuses`: of repeats, by the moment that excuses them.
    `unexplained`: a line for each that has none.
    """

    messages: int
    unnoted: int
    missed: list[str]
    repeated: int
    excuses: Counter[str]
    unexplained: list[str]


class Evidence(NamedTuple):
    """All that was seen."""

    claims: Sequence[Claim]
    posts: Sequence[Post]
    calls: Sequence[Call]
    faults: Sequence[Fault]


def account(expected: Mapping[str, Collection[str]], channels: Sequence[str], seen: Evidence) -> Account:
    """What became of the tasks of each kind, each of which every channel was to be told of once."""
    # For each telling, why its claim was not committed; "" where it was, or where nothing excuses that it was not.
    told: dict[tuple[str, str, str], list[str]] = {}
    unexplained: list[str] = []
    pairs = _matched(seen)
    for post, claim in pairs:
        if claim is None:
            unexplained.append(f"no claim for {post.count} {post.kind} of {post.second} in {post.channel}")
            continue
        reason = _excuse(claim, post, seen)
        for task in claim.tasks:
            told.setdefault((post.channel, post.kind, task), []).append(reason)
    wanted = {(channel, kind, task) for channel in channels for kind in KINDS for task in expected[kind]}
    unexplained += [f"not to be told: {' '.join(key)}" for key in sorted(set(told) - wanted)]
    excuses: Counter[str] = Counter()
    for key, reasons in sorted(told.items()):
        # One telling needs no excuse: the one that has none, if there is such.
        reasons.remove("" if "" in reasons else reasons[-1])
        excuses.update(filter(None, reasons))
        unexplained += [f"repeated: {' '.join(key)}" for reason in reasons if not reason]
    repeated = sum(map(len, told.values()))
    unnoted = sum(not claim.committed for _, claim in pairs if claim)
    missed = [" ".join(key) for key in sorted(wanted - set(told))]
    return Account(len(pairs), unnoted, missed, repeated, excuses, unexplained)


def _matched(seen: Evidence) -> list[tuple[Post, Claim | None]]:
    """Each message with its claim. Of two that look the same, the earlier message has the earlier claim."""
    left: dict[tuple[str, str, str], list[Claim]] = {}
    for claim in sorted(seen.claims, key=lambda claim: claim.at):
        left.setdefault((claim.channel, claim.kind, claim.second), []).append(claim)
    pairs: list[tuple[Post, Claim | None]] = []
    for post in seen.posts:
        candidates = left.get((post.channel, post.kind, post.second), [])
        fitting = [c for c in candidates if len(c.tasks) == post.count and post.listed <= c.tasks]
        if fitting:
            candidates.remove(fitting[0])
        pairs.append((post, fitting[0] if fitting else None))
    return pairs


def _excuse(claim: Claim, post: Post, seen: Evidence) -> str:
    """Why the claim of an accepted message could not be committed; "" where it was, or where nothing tells why not."""
    if claim.committed:
        return ""
    if not post.answered:
        return "Slack's answer lost"
    call = next((c for c in seen.calls if c.caller == claim.caller and c.started <= claim.at <= c.ended), None)
    if call is None:
        return ""
    if call.killed:
        return "killed before the commit"
    # Its transaction was over when the same caller began the next one that claimed something.
    over = min([call.ended, *(c.at for c in seen.claims if c.caller == claim.caller and c.at > claim.at)])
    for fault in seen.faults:
        if fault.started <= over and fault.ended >= claim.at and fault.line in (None, claim.line):
            return fault.what
    return ""
