"""Makes the pictures of the documents again, with Chromium; those in docs/ are overwritten. Or one of each alert."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sandbox.__main__ import environment
from sandbox.postgres import add_tasks, postgres_server, tasks_database
from sandbox.scenarios import MEMORY, VOICE, Stage
from sandbox.slack import SlackStandIn

UPLOAD = "google.api_core.exceptions.Forbidden: 403 POST upload of final.mp4: the bucket's billing account is closed"
DOCS = Path(__file__).parent.parent / "docs"
# To show this machine's own page, and to ask nobody else for anything.
HEADLESS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=1500
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


def past(stage: Stage) -> None:
    """A day and more with known causes: from then on an alert says which are new."""
    stage.fail(4, VOICE)
    stage.finish(30)
    stage.run()
    stage.later(60 * 26)


def last_run(stage: Stage, minutes: float = 0, **settings: str) -> None:
    """The run that a picture is about, so many minutes later: what was sent before does not show."""
    stage.later(minutes)
    stage.slack.clear()
    stage.run(**settings)
    stage.slack.log.clear()


def many(stage: Stage) -> None:
    """63 failures of three causes, one of them told before, and 214 tasks that are stuck."""
    past(stage)
    add_tasks(stage.database, "queued", 210, minutes_ago=70)
    add_tasks(stage.database, "in_progress", 4, minutes_ago=50)
    stage.fail(18, VOICE)
    stage.later(2)
    stage.fail(27, MEMORY)
    stage.fail(18, "HTTP 429 from api.elevenlabs.io: Too Many Requests")
    stage.finish(7)
    last_run(stage, 1)


def one(stage: Stage) -> None:
    past(stage)
    stage.fail(1, MEMORY)
    stage.finish(11)
    last_run(stage, 4)


def mixed(stage: Stage) -> None:
    past(stage)
    stage.fail(2, VOICE)
    stage.later(9)
    stage.fail(1, UPLOAD)
    stage.finish(14)
    last_run(stage, 2)


def stuck(stage: Stage) -> None:
    add_tasks(stage.database, "queued", 2, minutes_ago=48)
    add_tasks(stage.database, "in_progress", 2, minutes_ago=75)
    stage.finish(6)
    last_run(stage, 3)


def idle(stage: Stage) -> None:
    stage.finish(6)
    stage.later(45)
    add_tasks(stage.database, "queued", 3, minutes_ago=35)
    last_run(stage, SLACK_CRITICAL_MENTION="<!here>")


def critical(stage: Stage) -> None:
    past(stage)
    stage.fail(9, UPLOAD)
    last_run(stage, 3, SLACK_CRITICAL_MENTION="<!here>")


def recovered(stage: Stage) -> None:
    stage.fail(2, VOICE)
    add_tasks(stage.database, "in_progress", 2, minutes_ago=52)
    stage.run()
    stage.later(25)
    stage.recover()
    last_run(stage, 1)


def reminder(stage: Stage) -> None:
    """Stuck tasks of which the channel was notified hours ago."""
    add_tasks(stage.database, "in_progress", 2, minutes_ago=41)
    stage.run(SLACK_REMIND_MINUTES="240")
    stage.later(4 * 60)
    stage.finish(5)
    last_run(stage, SLACK_REMIND_MINUTES="240")


def unreadable(stage: Stage) -> None:
    last_run(stage, DATABASE_URL="postgresql://worker@127.0.0.1:1/protoreel")


def created(stage: Stage) -> None:
    stage.slack.clear()
    for _ in range(9):
        # On a busy machine its five seconds may be over before it posts.
        if not stage.slack.messages():
            stage.follow([["slack_notifier.py", "--test-creation"]], {})
    stage.slack.log.clear()


PICTURES = (
    Picture("alert.png", few, 640, 710, "failed"),
    Picture("many.png", many, 760, 1180),
    Picture("many-phone.png", many, 390, 990, "failed"),
    Picture("storm.png", lambda stage: stage.play("storm"), 1200, 1230),
)
# What an alert says to who sees nothing else: what broke, since when, how bad, is it new, what to do?
ALERTS = (
    Picture("01-one.png", one, 640, 370),
    Picture("02-mixed.png", mixed, 640, 650),
    Picture("03-many.png", many, 640, 700, "failed"),
    Picture("04-stuck.png", stuck, 640, 750),
    Picture("05-idle.png", idle, 640, 690),
    Picture("06-critical.png", critical, 640, 370),
    Picture("07-recovered.png", recovered, 640, 470),
    Picture("08-reminder.png", reminder, 640, 500),
    Picture("09-unreadable.png", unreadable, 640, 300),
    Picture("10-created.png", created, 640, 430),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.pictures", description=__doc__)
    parser.add_argument("--alerts", type=Path, metavar="FOLDER", help="make one picture of each alert there instead")
    folder = parser.parse_args().alerts
    browser = find_browser()
    if not browser:
        raise SystemExit("Chromium is not installed: apt install chromium fonts-noto-color-emoji")
    with SlackStandIn() as slack, postgres_server() as server:
        for picture in ALERTS if folder else PICTURES:
            slack.clear()
            slack.log.clear()
            with tasks_database(server.url) as database:
                picture.play(Stage(slack, database, environment(database, slack.webhook())))
            take(picture, slack.page, browser, folder or DOCS)


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)


def take(picture: Picture, page: str, browser: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        options = [f"--user-data-dir={profile}", f"--window-size={picture.width},{picture.height}"]
        options += [f"--screenshot={folder / picture.file}", f"{page}?kind={picture.kind}"]
        subprocess.run([browser, *HEADLESS, *options], check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    main()
