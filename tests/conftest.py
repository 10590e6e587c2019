"""Fixtures of the long suites, on top of those at the root; and what they tried, at the end of the test report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Callable

import pytest
import trustme
from servers import PASSWORD, QUOTED_PASSWORD, Heart, MailServer, TlsSlack, mail_server
from support import NOW, ROOM, ROOMY_PROGRAM, Proxy, elapse

import slack_notifier
from sandbox.postgres import (
    NO_STOCK,
    Server,
    create_database,
    create_tasks_table,
    drop_database,
    postgres_server,
    stock_programs,
)
from sandbox.program import Program
from sandbox.slack import SlackStandIn
from slack_notifier import Settings, SlackNotifier


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Notes what a test tried and what came of it: figures(runs=160, failures=240, missed=0, …)."""

    def figures(**counts: int) -> None:
        line = ", ".join(f"{count} {name}" for name, count in counts.items())
        # Travels with the test's report, also from another process (pytest -n).
        request.node.user_properties.append(("figures", f"{request.node.name}: {line}"))

    return figures


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    lines = sorted({text for report in reports for name, text in report.user_properties if name == "figures"})
    if lines:
        terminalreporter.section("what was tried")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages have room for 20 tasks, one by one: for counting in them."""
    for name, count in ROOM.items():
        monkeypatch.setattr(slack_notifier, name, count)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time enough for the slowest machine: a claim takes all, and nothing that adorns an alert is left out."""
    for name in ("RUN_SECONDS", "CALL_SECONDS", "DATABASE_STATEMENT_SECONDS", "DETAILS_SECONDS"):
        monkeypatch.setattr(slack_notifier, name, 3600)


@pytest.fixture
def start(tmp_path: Path, watch: Any, database_url: str, slack: SlackStandIn) -> Iterator[Callable[..., Program]]:
    """Starts the program, with ROOM, and returns at once; at the end of the test none of them runs any more."""
    (tmp_path / ".env").touch(mode=0o600)
    runs: list[Program] = []

    def start(*arguments: object, **environment: str) -> Program:
        defaults = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()}
        defaults["XDG_STATE_HOME"] = str(tmp_path)
        run = Program(tmp_path, {**defaults, **environment}, *arguments, code=ROOMY_PROGRAM)
        runs.append(run)
        return run

    yield start
    for run in runs:
        watch.written += run.kill()[1:]


@pytest.fixture(scope="session")
def stock_server() -> Iterator[Server]:
    """PostgreSQL as Debian builds it, with jit, which the server of the other tests cannot do."""
    if not stock_programs():
        pytest.skip(NO_STOCK)
    with postgres_server(stock=True, in_memory=True) as server:
        yield server


@pytest.fixture
def stock(stock_server: Server, make_tasks: Any, slack: SlackStandIn) -> Iterator[tuple[Any, SlackNotifier]]:
    """Tasks and a notifier of a database of the stock server's, as it is by default."""
    url = create_database(stock_server.url)
    create_tasks_table(url)
    settings = Settings.from_environment({"DATABASE_URL": url, "SLACK_WEBHOOK": slack.webhook()})
    yield make_tasks(url), SlackNotifier(settings=settings)
    drop_database(url)


@pytest.fixture
def proxy(tasks: Any) -> Iterator[Proxy]:
    """A line to the database's server that a test can stop or cut."""
    with closing(Proxy(tasks.connection.info.host, tasks.connection.info.port)) as proxy:
        yield proxy


@pytest.fixture
def by_proxy(settings: Settings, proxy: Proxy, database_url: str) -> SlackNotifier:
    """A notifier whose line to the database is the proxy."""
    return SlackNotifier(settings=settings._replace(database_url=proxy.url(database_url)))


@pytest.fixture
def other(slack: SlackStandIn, settings: Any) -> SlackNotifier:
    """A second destination: the channel "other"."""
    return SlackNotifier(slack.webhook("other"), settings=settings)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who certifies the servers of the tests."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """This process trusts the authority; another one does with this as its SSL_CERT_FILE."""
    path = str(tmp_path / "authority.pem")
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", path)
    return path


@pytest.fixture
def mail(authority: trustme.CA, trusted: str, watch: Any) -> Iterator[MailServer]:
    """A mail server with STARTTLS and authentication."""
    watch.secrets |= {PASSWORD, QUOTED_PASSWORD}
    with mail_server(authority) as server:
        yield server
        watch.written += [mail.raw for mail in server.mails]


@pytest.fixture
def tls_slack(slack: SlackStandIn, authority: trustme.CA) -> Iterator[TlsSlack]:
    """The stand-in under Slack's own names, for who has it as a proxy."""
    with closing(TlsSlack(slack, authority)) as server:
        yield server


@pytest.fixture
def heart() -> Iterator[Heart]:
    with closing(Heart()) as heart:
        yield heart


@pytest.fixture
def pass_time(tasks):
    return lambda minutes: elapse(tasks.connection, minutes)


@pytest.fixture
def becomes(tasks):
    """Gives a task another status, now or so many minutes ago."""

    def becomes(task_id: str, status: str, minutes: float = 0) -> None:
        started = ", started_at = updated_at" if status in ("in_progress", "inprogress") else ""
        moment = f"{NOW} - {minutes} * interval '1 minute'"
        tasks.execute(f"UPDATE tasks SET status = %s, updated_at = {moment} WHERE id = %s", [status, task_id])
        tasks.execute(f"UPDATE tasks SET error = error{started} WHERE id = %s", [task_id])

    return becomes
