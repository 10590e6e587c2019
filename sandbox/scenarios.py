"""What the sandbox plays: tasks change, time passes, the notifier runs as a program; told here and on the page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg2

from sandbox.postgres import add_tasks, elapse, execute, insert_sample
from sandbox.slack import SlackStandIn

ROOT = Path(__file__).parent.parent

VOICE = "ElevenLabs TTS failed: 503 Server Error: Service Unavailable"
MEMORY = "RuntimeError: ffmpeg exited with code 137 while concatenating 2 scenes (killed, out of memory)"
WORKERS = 6


class Stage:
    """The worker's table, the channel and the notifier's environment, and what happens to them."""

    def __init__(self, slack: SlackStandIn, database: str, environment: Mapping[str, str]) -> None:
        self.slack = slack
        self.database = database
        self.environment = environment

    def play(self, scenario: str) -> int:
        """Returns the exit code of the notifier's last run."""
        return {"sample": sample, "storm": storm, "outage": outage, "night": night}[scenario](self)

    def tell(self, line: str) -> None:
        """# begins what happens, $ a command; the rest is the log."""
        self.slack.log.append(line)
        sys.stderr.write(f"\n{line}\n" if line.startswith(("#", "$")) else f"{line}\n")

    def fail(self, count: int, error: str) -> None:
        add_tasks(self.database, "failed", count, error=error)

    def finish(self, count: int) -> None:
        add_tasks(self.database, "finished", count)

    def recover(self) -> None:
        """Ends well what failed, waits or is in progress."""
        now = "now() AT TIME ZONE 'UTC'"
        finish = f"UPDATE tasks SET status = 'finished', updated_at = {now}, finished_at = {now}"
        execute(self.database, f"{finish} WHERE status <> 'finished'")

    def later(self, minutes: float) -> None:
        with closing(psycopg2.connect(self.database)) as connection, connection:
            elapse(connection, minutes)

    def run(self, **settings: str) -> int:
        """A run of the command line, as cron has it."""
        variables = "".join(f"{name}='{value}' " for name, value in settings.items())
        self.tell(f"$ {variables}python slack_notifier.py")
        return self.follow([["slack_notifier.py"]], settings)[0]

    def follow(self, commands: Sequence[Sequence[str]], settings: Mapping[str, str]) -> list[int]:
        """Runs Python programs at once, tells their log as it comes, and returns their exit codes."""
        reader, writer = os.pipe()
        programs = [
            subprocess.Popen([sys.executable, *command], cwd=ROOT, env={**self.environment, **settings}, stderr=writer)
            for command in commands
        ]
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8", errors="replace") as log:
            for line in log:
                self.tell(line.rstrip("\n"))
        return [program.wait() for program in programs]


def sample(stage: Stage) -> int:
    insert_sample(stage.database)
    stage.tell("# A PostgreSQL with sample tasks and a stand-in for Slack are running. Now the notifier:")
    return stage.run()


def storm(stage: Stage) -> int:
    stage.tell(
        f"# The voice service is down: {WORKERS} workers, each with 5 failures, and a call of the notifier for each."
    )
    stage.follow([["-m", "sandbox.fail", "--tell", "--times", "5", VOICE]] * WORKERS, {})
    stage.later(10)
    stage.tell("# Cron's next run reports all that the calls delayed, in one message.")
    return stage.run()


def outage(stage: Stage) -> int:
    stage.tell("# All is well.")
    stage.finish(20)
    stage.run()
    # With a 503 each run would try for a quarter of a minute.
    stage.slack.answer(429, "rate_limited", {"Retry-After": "3600"}, times=None)
    for quarter, failures in enumerate([2, 3, 2], 1):
        stage.later(15)
        stage.fail(failures, VOICE if quarter == 2 else MEMORY)
        stage.finish(9)
        stage.tell(f"# {quarter * 15} minutes later Slack takes no messages, and {failures} more tasks have failed.")
        stage.run()
    stage.later(15)
    stage.slack.answer_normally()
    stage.tell("# Slack takes messages again: one message covers the gap, and each failure is reported once.")
    return stage.run()


def night(stage: Stage) -> int:
    quiet, over = hours(-1, 7), hours(-9, -1)
    stage.finish(9)
    stage.fail(2, MEMORY)
    stage.tell("# Quiet hours have begun. Two failures can wait.")
    stage.run(SLACK_QUIET_HOURS=quiet)
    stage.later(60)
    stage.fail(12, VOICE)
    stage.tell("# An hour later twelve tasks fail at once: that is critical, and calls whoever is on duty.")
    stage.run(SLACK_QUIET_HOURS=quiet, SLACK_CRITICAL_MENTION="<!here>")
    stage.later(120)
    stage.finish(20)
    stage.fail(1, MEMORY)
    add_tasks(stage.database, "in_progress", 2, minutes_ago=45)
    stage.tell("# Two hours later one more has failed, and two are stuck. They wait.")
    stage.run(SLACK_QUIET_HOURS=quiet)
    stage.later(180)
    stage.finish(20)
    stage.tell("# In the morning the first run reports what waited.")
    return stage.run(SLACK_QUIET_HOURS=over)


def hours(start: int, end: int) -> str:
    """Quiet hours that many hours from now."""
    now = datetime.now(timezone.utc)
    return "-".join(f"{now + timedelta(hours=hour):%H:%M}" for hour in (start, end))
