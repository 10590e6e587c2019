"""A first look: a throw-away PostgreSQL with sample tasks, a stand-in for Slack, and a run of the notifier.

Nothing leaves this machine, and nothing stays on it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATABASE = "sandbox_protoreel"
SCENARIOS = ("sample", "storm", "outage", "night")

GUIDE = """
The channel as Slack would show it:

  {page}

To go on by hand, in another shell:

  cd {root}
  export DATABASE_URL='{database}'
  export SLACK_WEBHOOK='{webhook}'

There, let a task fail, and report it:

  {python} -m sandbox.fail && {python} slack_notifier.py

Ctrl-C in this shell ends the sandbox and deletes everything in it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__.partition("\n")[0])
    what = "what to play: sample (the default) tasks and one run, a storm of failures, an outage of Slack's, a night"
    parser.add_argument("--scenario", choices=SCENARIOS, default="sample", help=what)
    parser.add_argument("--once", action="store_true", help="end after the notifier's last run, with its exit code")
    arguments = parser.parse_args(argv)
    # However it is asked to end, it tidies up.
    for name in ("SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        return demonstrate(arguments.scenario, once=arguments.once)
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: python -m pip install -r requirements-dev.txt", file=sys.stderr)
        return 1


def demonstrate(scenario: str, *, once: bool) -> int:
    # Imported here so that a missing package is one clear line.
    from sandbox.postgres import SandboxError, create_database, create_tasks_table, postgres_server
    from sandbox.scenarios import Stage
    from sandbox.slack import SlackStandIn

    try:
        with SlackStandIn() as slack, postgres_server() as server:
            database = create_database(server.url, name=DATABASE)
            create_tasks_table(database)
            exit_code = Stage(slack, database, environment(database, slack.webhook())).play(scenario)
            return exit_code if once else wait_for_interrupt(guide(slack.page, database, slack.webhook()))
    except SandboxError as error:
        print(f"The sandbox did not start: {error}", file=sys.stderr)
        return 1


def guide(page: str, database: str, webhook: str) -> str:
    """How to go on by hand, in commands that work as they stand there."""
    python = Path(sys.executable)
    python = python.relative_to(ROOT) if python.is_relative_to(ROOT) else python
    root, program = shlex.quote(str(ROOT)), shlex.quote(str(python))
    return GUIDE.format(page=page, root=root, database=database, webhook=webhook, python=program)


def environment(database_url: str, webhook: str) -> dict[str, str]:
    """Your environment without what would change the demonstration.

    The notifier gets its own variables empty, which is as good as unset: not even those of a .env file reach it.
    """
    from slack_notifier import VARIABLES

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "PG"))}
    # A proxy could not reach this machine's own addresses.
    local = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return {**kept, **dict.fromkeys(VARIABLES, ""), **local, "DATABASE_URL": database_url, "SLACK_WEBHOOK": webhook}


def wait_for_interrupt(words: str) -> int:
    try:
        # Who has read it may interrupt at once.
        print(words, flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nThe sandbox is gone.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
