"""What people would use instead of the notifier, measured in turns with it: whole processes, as cron starts them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import Program, in_turns

# The one query of most home-made monitors.
QUERY = """
SELECT count(*) AS result FROM tasks
WHERE status = 'failed' AND updated_at >= (now() AT TIME ZONE 'utc') - interval '30 minutes'
""".strip().replace("\n", " ")

IDLE = "the notifier, nothing to report"
CHECK_POSTGRES, SLACK_SDK, APPRISE = "check_postgres, one query", "importing slack_sdk.webhook", "apprise, one message"
INSTALL_SECONDS = 300


def alternatives(url: str, psql: Path, bare: Program, folder: Path, sink: str) -> tuple[dict[str, Program], list[str]]:
    """Programs by name, and a line for each that cannot be had here."""
    address = urlsplit(url)
    # check_postgres runs the psql of its own package, where there is one.
    environment = {"PATH": f"{os.environ['PATH']}:{psql.parent}", "PGPASSWORD": address.password or ""}
    database = ("--dbhost", address.hostname, "--dbport", address.port, "--dbuser", address.username)
    check = [*database, "--dbname", address.path.strip("/"), "--action=custom_query"]
    check += [f"--query={QUERY}", "--warning=1", "--critical=1000"]
    one_query = Program([str(psql), "-X", "-q", "-c", QUERY, url], environment, folder)
    found, missing = {"psql, one query": one_query, "a bare script, two queries": bare}, []
    check_postgres = shutil.which("check_postgres")
    if check_postgres:
        found[CHECK_POSTGRES] = Program([check_postgres, *map(str, check)], environment, folder)
    else:
        missing.append(f"{CHECK_POSTGRES}: not installed (apt-get install check-postgres)")
    python, reason = _with_packages(folder / "instead", "slack_sdk", "apprise")
    if python:
        found[SLACK_SDK] = Program([str(python), "-c", "import slack_sdk.webhook"], environment, folder)
        apprise = [str(python.with_name("apprise")), "-b", "3 tasks failed", sink.replace("http:", "json:")]
        found[APPRISE] = Program(apprise, {**environment, "HOME": str(folder)}, folder)
    else:
        missing += [f"{name}: {reason}" for name in (SLACK_SDK, APPRISE)]
    return found, missing


def _with_packages(folder: Path, *packages: str) -> tuple[Path | None, str]:
    """A Python of its own with these packages; None and the reason where that cannot be."""
    python = folder / "bin" / "python"
    for command in ([sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "-q", *packages]):
        try:
            subprocess.run([*map(str, command)], capture_output=True, timeout=INSTALL_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            return None, f"not installed ({type(error).__name__} from {command[-1]})"
    return python, ""


def compare(programs: Mapping[str, Program], missing: list[str], runs: int) -> None:
    """Measures the programs in turns and prints a table of them."""
    costs = zip(programs, in_turns([*programs.values()], runs))
    print(f"\n{'whole processes, medians':<66} {'CPU':>10} {'time':>10} {'memory':>10}")
    for name, cost in sorted(costs, key=lambda item: item[1].cpu):
        print(f"{name:<66} {cost.cpu * 1000:>7,.0f} ms {cost.wall * 1000:>7,.0f} ms {cost.memory:>7.1f} MB")
    print("".join(f"skipped: {line}\n" for line in missing), end="", flush=True)
