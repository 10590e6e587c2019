"""A first look: a throw-away PostgreSQL with sample tasks, a stand-in for Slack, and a run of the notifier.

Nothing leaves this machine, and nothing stays on it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.slack import SlackStandIn

NOTIFIER = Path(__file__).parent.parent / "slack_notifier.py"
DATABASE = "protoreel"

# Every setting of the notifier. The run gets them empty, which is as good as unset: your own, in the environment or in
# a .env file, must not reach it.
SETTINGS = (
    "DATABASE_URL",
    "SLACK_WEBHOOK",
    "SLACK_WEBHOOK_FAILED",
    "SLACK_WEBHOOK_STUCK",
    "SLACK_WEBHOOK_CREATED",
    "SLACK_WEBHOOK_STARTED",
    "SLACK_USER_WEBHOOKS_FILE",
    "SLACK_NOTIFY_ON_TASK_CREATION",
    "SLACK_NOTIFY_ON_TASK_START",
    "SLACK_NOTIFY_ON_RECOVERY",
    "SLACK_REMIND_MINUTES",
    "SLACK_CRITICAL_COUNT",
    "SLACK_CRITICAL_MENTION",
    "SLACK_QUIET_HOURS",
    "SLACK_TIMEZONE",
    "SLACK_TASK_TEMPLATE",
    "SMTP_URL",
    "ALERT_EMAIL_TO",
    "ALERT_EMAIL_FROM",
    "HEARTBEAT_URL",
    "DEBUG",
)

GUIDE = """
The channel as Slack would show it:

  {page}

To go on by hand, in another shell:

  export DATABASE_URL='{database}'
  export SLACK_WEBHOOK='{webhook}'

Ctrl-C ends the sandbox and deletes everything in it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    # However it is asked to end, it tidies up.
    for name in ("SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        return demonstrate(arguments.port, once=arguments.once)
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: python -m pip install -r requirements-dev.txt", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__.partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="end after the notifier's run, with its exit code")
    parser.add_argument("--port", type=port_number, default=0, help="port of the channel's page (default: a free one)")
    return parser


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a number up to 65535")
    return int(text)


def demonstrate(port: int, *, once: bool) -> int:
    # Imported here so that a missing package is one clear line.
    from sandbox.postgres import SandboxError, postgres_server

    try:
        with stand_in(port) as slack, postgres_server() as server:
            database = sample_database(server.url)
            exit_code = run_notifier(database, slack.webhook())
            if once:
                return exit_code
            print(GUIDE.format(page=slack.page, database=database, webhook=slack.webhook()), flush=True)
            return wait_for_interrupt()
    except SandboxError as error:
        print(f"The sandbox did not start: {error}", file=sys.stderr)
        return 1


def stand_in(port: int) -> SlackStandIn:
    from sandbox.postgres import SandboxError
    from sandbox.slack import SlackStandIn

    try:
        return SlackStandIn(port)
    except OSError as error:
        raise SandboxError(f"port {port} cannot be used: {error.strerror}") from None


def sample_database(server_url: str) -> str:
    from sandbox.postgres import create_database, create_tasks_table, insert_sample

    url = create_database(server_url, name=DATABASE)
    create_tasks_table(url)
    insert_sample(url)
    return url


def run_notifier(database_url: str, webhook: str) -> int:
    """Runs the notifier as a program, its log on this terminal, and returns its exit code."""
    print("A PostgreSQL with sample tasks and a stand-in for Slack are running. Now the notifier:", flush=True)
    print("\n$ python slack_notifier.py", flush=True)
    return subprocess.run([sys.executable, NOTIFIER], env=environment(database_url, webhook), check=False).returncode


def environment(database_url: str, webhook: str) -> dict[str, str]:
    """Your environment without what would change the demonstration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "PG"))}
    # A proxy could not reach this machine's own addresses.
    local = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return {**kept, **dict.fromkeys(SETTINGS, ""), **local, "DATABASE_URL": database_url, "SLACK_WEBHOOK": webhook}


def wait_for_interrupt() -> int:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nThe sandbox is gone.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
