"""Makes the pictures of the documents again, with Chromium; those in docs/ are overwritten."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sandbox.__main__ import environment
from sandbox.postgres import add_tasks, create_database, create_tasks_table, postgres_server
from sandbox.scenarios import MEMORY, VOICE, Stage
from sandbox.slack import SlackStandIn

DOCS = Path(__file__).parent.parent / "docs"
# To show this machine's own page, and to ask nobody else for anything.
HEADLESS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync
""".split()  # noqa: SIM905


class Picture(NamedTuple):
    file: str
    play: Callable[[Stage], object]
    width: int
    height: int
    # Of the page's messages, only those: ?kind=…
    kind: str = ""


def few(stage: Stage) -> None:
    stage.play("sample")
    stage.slack.log.clear()


def many(stage: Stage) -> None:
    """63 failures of three causes, one of them told before, and 214 tasks that are stuck."""
    stage.fail(4, VOICE)
    stage.run()
    stage.later(60 * 26)
    add_tasks(stage.database, "queued", 210, minutes_ago=70)
    add_tasks(stage.database, "in_progress", 4, minutes_ago=50)
    stage.fail(18, VOICE)
    stage.later(2)
    stage.fail(27, MEMORY)
    stage.fail(18, "HTTP 429 from api.elevenlabs.io: Too Many Requests")
    stage.finish(7)
    stage.later(1)
    stage.slack.clear()
    stage.run()
    stage.slack.log.clear()


PICTURES = (
    Picture("alert.png", few, 640, 690, "failed"),
    Picture("many.png", many, 760, 1180),
    Picture("many-phone.png", many, 390, 990, "failed"),
    Picture("storm.png", lambda stage: stage.play("storm"), 1200, 760),
)


def main() -> None:
    argparse.ArgumentParser(prog="python -m sandbox.pictures", description=__doc__).parse_args()
    browser = find_browser()
    if not browser:
        raise SystemExit("Chromium is not installed: apt install chromium fonts-noto-color-emoji")
    with SlackStandIn() as slack, postgres_server() as server:
        for picture in PICTURES:
            slack.clear()
            slack.log.clear()
            database = create_database(server.url)
            create_tasks_table(database)
            picture.play(Stage(slack, database, environment(database, slack.webhook())))
            take(picture, slack.page, browser)


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)


def take(picture: Picture, page: str, browser: str) -> None:
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                *HEADLESS,
                "--hide-scrollbars",
                "--virtual-time-budget=1500",
                f"--user-data-dir={profile}",
                f"--window-size={picture.width},{picture.height}",
                f"--screenshot={DOCS / picture.file}",
                f"{page}?kind={picture.kind}",
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )


if __name__ == "__main__":
    main()
