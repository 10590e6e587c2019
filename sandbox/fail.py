"""Fails a task of the sandbox's, where DATABASE_URL points: python -m sandbox.fail "what went wrong"."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence

from sandbox.postgres import SandboxError, add_tasks
from slack_notifier import SlackNotifier

ERROR = "RuntimeError: ffmpeg exited with code 137 while concatenating 2 scenes (killed, out of memory)"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.fail", description="Fails a task of the sandbox's.")
    parser.add_argument("error", nargs="?", default=ERROR, help="what went wrong")
    parser.add_argument("--times", type=int, default=1, help="how many tasks, one after the other")
    parser.add_argument("--tell", action="store_true", help="call the notifier for each, as the worker does")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        for _ in range(arguments.times):
            (task_id,) = add_tasks(os.environ.get("DATABASE_URL", ""), "failed", error=arguments.error)
            logging.info("Task %s failed", task_id)
            if arguments.tell:
                # As a worker's except clause; with a notifier of its own for each call, the costlier way.
                SlackNotifier().send_failed_tasks_notification()
    except SandboxError as error:
        raise SystemExit(f"DATABASE_URL: {error}") from None


if __name__ == "__main__":
    main()
