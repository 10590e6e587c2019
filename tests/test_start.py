"""How the program starts: its usage, where its settings come from, and what it says where it cannot run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest
from support import FAILED, PROGRAM, STUCK, WRONG_SETTING, title

import slack_notifier

SECRET = "topsecret"
SOON = "SLACK_REMIND_MINUTES must be a whole number from 0 to 999999, not 'soon'"
NOT_SET = "SLACK_WEBHOOK environment variable not set"
EXAMPLE = PROGRAM.with_name(".env.example")


def lines_of(log: str, level: str) -> list[str]:
    """The messages of that level; every line has its time."""
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ", line) for line in log.splitlines()), log
    return re.findall(rf"(?m)^\S+ \S+ {level} (.*)$", log)


def titles(slack, channel="alerts"):
    return [title(message) for message in slack.messages(channel)]


@pytest.fixture
def failed_and_stuck(tasks):
    tasks.fail()
    tasks.add("queued", created=45)


# ---- Usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        "--failed-only --stuck-only",
        "--check --failed-only",
        "--test-creation --test-start",
        "--failed-only --test-start",
        *(f"--timeout {seconds}" for seconds in ("0", "-5", "soon", "nan", "inf", "")),
        "--json",
        "--unknown",
        "extra",
    ],
)
def test_wrong_usage_is_exit_2(cli, failed_and_stuck, slack, arguments):
    done = cli(*arguments.split())
    assert (done.code, done.out, slack.requests) == (2, "", [])
    assert "error: " in done.log


@pytest.mark.parametrize(
    "arguments",
    [
        f"https://hooks.slack.com/services/T0/B0/{SECRET}",
        f"-w https://chat.example.com/hooks/{SECRET}",
        f"--webhook=https://chat.example.com/hooks/{SECRET}",
        f"hooks.slack.com/services/T0/B0/{SECRET} postgresql://u:{SECRET}@h/d",
        f"--timeout https://chat.example.com/hooks/{SECRET}",
        f"--timeout xoxb-{SECRET}-1",
        f"--dry-run=https://chat.example.com/hooks/{SECRET}",
    ],
)
def test_webhook_given_by_mistake_is_not_repeated(run, watch, arguments):
    watch.secrets.add(SECRET)
    done = run(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert "[masked]" in done.log.splitlines()[-1]


# ---- Wrong and missing settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "lines"),
    [
        ({"DATABASE_URL": ""}, ["DATABASE_URL environment variable not set"]),
        ({"DATABASE_URL": f"postgresql://u:{SECRET}@{SECRET}@h/d"}, ["DATABASE_URL is not a valid PostgreSQL URL: "]),
        ({"SLACK_REMIND_MINUTES": "soon"}, [SOON]),
        ({"SLACK_QUIET_HOURS": "22-7"}, ["SLACK_QUIET_HOURS must be two different times of a day: 22:00-07:00, not "]),
        ({"SLACK_TASK_TEMPLATE": "a task"}, ["SLACK_TASK_TEMPLATE must hold at least one of $id "]),
        ({"SLACK_WEBHOOK_FAILED": SECRET}, ["SLACK_WEBHOOK_FAILED must be an incoming webhook: https://hooks."]),
        ({"SLACK_USER_WEBHOOKS_FILE": "/nonexistent/users.json"}, ["SLACK_USER_WEBHOOKS_FILE must name a readable "]),
        ({"ALERT_EMAIL_TO": "ops@example.com"}, ["SMTP_URL must be smtp://user:password@host:587 (STARTTLS) or "]),
        ({"SLACK_CRITICAL_COUNT": "ten", "SLACK_REMIND_MINUTES": "soon"}, [SOON, "SLACK_CRITICAL_COUNT must be "]),
    ],
)
def test_wrong_settings_are_exit_2_and_a_line_each_and_silence_nobody(
    cli, failed_and_stuck, slack, watch, heart, environment, lines
):
    watch.secrets.add(SECRET)
    done = cli(HEARTBEAT_URL=f"{heart.address}/beat", **environment)
    assert (done.code, done.out) == (2, "")
    (message,) = slack.messages()
    assert title(message) == WRONG_SETTING
    for error, line in zip_longest(lines_of(done.log, "ERROR"), lines):
        assert error.startswith(line)
        assert slack_notifier.redact(error) in message["text"]
    assert "Tried for" not in message["text"]
    assert heart.beats == ["/beat/fail"]


def test_wrong_setting_is_told_where_the_alerts_of_this_run_go(cli, failed_and_stuck, slack):
    webhooks = {f"SLACK_WEBHOOK_{kind.upper()}": slack.webhook(kind) for kind in ("failed", "stuck", "created")}
    assert cli("--failed-only", SLACK_REMIND_MINUTES="soon", **webhooks).code == 2
    assert [titles(slack, kind) for kind in ("failed", "stuck", "created", "alerts")] == [[WRONG_SETTING], [], [], []]


def test_wrong_webhook_is_told_by_email_and_heartbeat(cli, failed_and_stuck, mail, trusted, heart):
    email = {"SMTP_URL": mail.url, "ALERT_EMAIL_TO": "ops@example.com", "SSL_CERT_FILE": trusted}
    done = cli(SLACK_WEBHOOK="hooks.slack.com/services/T0/B0/x", HEARTBEAT_URL=heart.address, **email)
    line = "SLACK_WEBHOOK must be an incoming webhook: https://hooks.slack.com/services/…"
    assert (done.code, lines_of(done.log, "ERROR")) == (2, [line])
    # It is set, so nothing says that it was not.
    assert NOT_SET not in done.log
    (sent,) = mail.mails
    assert sent.message["Subject"] == WRONG_SETTING
    assert "SLACK_WEBHOOK must be an incoming webhook" in sent.part("plain")
    assert heart.beats == ["/fail"]


def test_missing_webhook_is_exit_2_and_a_bad_heartbeat(cli, failed_and_stuck, heart):
    done = cli(SLACK_WEBHOOK="", HEARTBEAT_URL=heart.address)
    assert done.code == 2
    assert lines_of(done.log, "WARNING") == [NOT_SET]
    assert "no webhook to send to: set SLACK_WEBHOOK, or use --webhook-url or --dry-run" in done.log
    assert heart.beats == ["/fail"]


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("", "--webhook-url is empty"),
        ("hooks.slack.com/x", "--webhook-url must be an incoming webhook: https://hooks.slack.com/services/…"),
    ],
    ids=["empty", "no URL"],
)
def test_wrong_webhook_argument_is_exit_2_and_reaches_no_channel_of_the_settings(
    cli, failed_and_stuck, slack, argument, line
):
    done = cli("--webhook-url", argument)
    assert (done.code, slack.requests) == (2, [])
    assert line in done.log


def test_webhook_argument_is_named_as_such(cli, slack):
    done = cli("--test-creation", "--webhook-url", slack.webhook("argument"))
    assert "Slack message sent successfully: a created task to --webhook-url (" in done.log


@pytest.mark.parametrize(("argument", "printed"), [("--test-creation", ""), ("--dry-run", WRONG_SETTING)])
def test_a_sample_or_a_dry_run_with_a_wrong_setting_sends_nothing(cli, slack, heart, argument, printed):
    done = cli(argument, SLACK_REMIND_MINUTES="soon", HEARTBEAT_URL=heart.address)
    assert (done.code, slack.requests, heart.beats) == (2, [], [])
    assert lines_of(done.log, "ERROR") == [SOON]
    assert done.out.partition("\n")[0] == printed


def test_debug_logs_every_setting_and_no_secret(cli, slack, watch):
    done = cli(DEBUG="true", SLACK_ENVIRONMENT="staging")
    assert done.code == 0
    (settings,) = [line for line in lines_of(done.log, "DEBUG") if line.startswith("Settings: ")]
    assert settings == "Settings: DATABASE_URL; SLACK_WEBHOOK; SLACK_ENVIRONMENT: staging; DEBUG: true"
    watch.secrets.add(slack.webhook().rpartition("/")[2])
    assert "DEBUG" not in cli(DEBUG="false").log


# ---- .env ------------------------------------------------------------------------------------------------------------


def write(path: Path, **variables: str) -> Path:
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={text}\n" for name, text in variables.items()), encoding="utf-8")
    return path


def test_misspelt_setting_is_a_warning_of_each_run(cli, slack):
    log = cli(SLACK_QUIET_HOUR="22:00-07:00").log
    assert "WARNING SLACK_QUIET_HOUR is no setting: did you mean SLACK_QUIET_HOURS?" in log
    assert "is no setting" not in cli(SLACK_QUIET_HOURS="22:00-07:00").log


@pytest.fixture
def basics(database_url, slack):
    return {"DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()}


def test_env_file_is_read_and_the_real_environment_wins(run, failed_and_stuck, basics, slack, tmp_path):
    write(tmp_path / ".env", **basics)
    assert run("--failed-only").code == 0
    assert (titles(slack), titles(slack, "real")) == ([FAILED], [])
    assert run("--stuck-only", SLACK_WEBHOOK=slack.webhook("real")).code == 0
    assert (titles(slack), titles(slack, "real")) == ([FAILED], [STUCK])


def test_env_file_beside_the_program_is_read_from_anywhere(run, failed_and_stuck, basics, slack, tmp_path):
    """As cron runs it."""
    write(tmp_path / ".env", **basics)
    assert run(program=shutil.copy(PROGRAM, tmp_path), cwd=Path("/")).code == 0
    assert titles(slack) == [FAILED, STUCK]


def test_env_file_keeps_the_placeholders_of_a_template(run, failed_and_stuck, basics, slack, tmp_path):
    write(tmp_path / ".env", **basics, SLACK_TASK_TEMPLATE="the id is ${id}")
    assert run("--failed-only").code == 0
    assert re.search(r"the id is \w", slack.messages()[0]["text"])


def test_env_file_further_up_is_not_read(run, basics, tmp_path):
    write(tmp_path / ".env", **basics)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    done = run(program=shutil.copy(PROGRAM, below), cwd=below)
    assert (done.code, lines_of(done.log, "ERROR")[0]) == (2, "DATABASE_URL environment variable not set")


def test_env_file_in_this_folder_goes_before_the_one_beside_the_program(run, database_url, slack, tmp_path):
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        write(folder / ".env", DATABASE_URL=database_url, SLACK_WEBHOOK=slack.webhook(folder.name))
    program = shutil.copy(PROGRAM, tmp_path / "there")
    assert run("--test-creation", program=program, cwd=tmp_path / "here").code == 0
    assert (len(slack.messages("here")), len(slack.messages("there"))) == (1, 0)


@pytest.mark.parametrize(
    ("modes", "warned"), [((0o600, 0o400, 0o700), False), ((0o604, 0o640, 0o602, 0o620, 0o666), True)]
)
def test_files_that_others_can_read_or_write_are_a_warning_and_read_all_the_same(cli, tmp_path, modes, warned):
    users = tmp_path / "users.json"
    users.write_text("{}")
    env = write(tmp_path / ".env", SLACK_USER_WEBHOOKS_FILE=f"'{users}'")
    what = "{0} can be read or changed by other users of this machine: chmod 600 {0}"
    for mode in modes:
        for path in (env, users):
            path.chmod(mode)
        done = cli()
        assert done.code == 0
        assert lines_of(done.log, "WARNING") == [what.format(path) for path in (env, users)] * warned, oct(mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(("owner", "warned"), [("root", False), ("program", False), ("user", False), ("other", True)])
def test_file_of_a_stranger_is_a_warning(tmp_path, monkeypatch, owner, warned):
    uids = {"root": 0, "program": 1001, "user": 1002, "other": 1003}
    program, path = write(tmp_path / "slack_notifier.py"), write(tmp_path / ".env")
    os.chown(program, uids["program"], -1)
    os.chown(path, uids[owner], -1)
    monkeypatch.setattr(slack_notifier, "__file__", str(program))
    monkeypatch.setattr(os, "geteuid", lambda: uids["user"])
    what = f"{path} belongs to another user (uid 1003), who can read and change the settings"
    monkeypatch.setenv("SLACK_USER_WEBHOOKS_FILE", str(path))
    monkeypatch.chdir(tmp_path)
    # The file counts as both, the .env and that of the users.
    remedy = "run this as that user, or chown it to the one that runs the notifier"
    assert list(slack_notifier._exposed_files()) == [("!", what, remedy)] * 2 * warned


def test_the_example_file_as_it_is_says_what_is_missing(run, tmp_path):
    (tmp_path / ".env").write_bytes(EXAMPLE.read_bytes())
    done = run()
    assert done.code == 2
    assert lines_of(done.log, "ERROR") == [
        "DATABASE_URL environment variable not set",
        "no webhook to send to: set SLACK_WEBHOOK, or use --webhook-url or --dry-run",
    ]


# ---- Python ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The program where no package is installed but those of the folder."""
    return Path(shutil.copy(PROGRAM, tmp_path))


def start(program: Path, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    # Without site-packages, those of the user included.
    command = [python, "-S", "-E", "-s", *(arguments or [str(program)])]
    return subprocess.run(command, cwd=program.parent, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("missing", ["psycopg2", "requests", "dotenv"])
def test_missing_package_is_one_line_with_the_command_that_installs_it(bare, missing):
    for name in {"psycopg2", "requests", "dotenv"} - {missing}:
        (bare.parent / f"{name}.py").touch()
    done = start(bare)
    install = f"{sys.executable} -m pip install -r {bare.parent / 'requirements.txt'}"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Package {missing} is missing: {install}\n")


def test_missing_package_is_pythons_own_error_to_a_program_that_imports(bare):
    code = "import sys; sys.path.insert(0, '')\ntry: import slack_notifier\nexcept ImportError: print(1)"
    done = start(bare, "-c", code)
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("name", ["test_slack_notifier.py", "test_task_creation_notification.py"])
def test_tests_without_pytest_say_in_one_line_what_to_install(name):
    done = start(PROGRAM.with_name(name))
    line = f"No module named 'pytest': {sys.executable} -m pip install -r requirements-dev.txt\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


@pytest.mark.parametrize("version", ["3.7", "3.8"])
def test_older_python_is_one_line(bare, version):
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = root.glob(f"versions/{version}.*/bin/python{version}") if os.access(root, os.X_OK) else []
    python = min(found, default=None)
    if not python:
        pytest.skip(f"no Python {version} here")
    done = start(bare, python=str(python))
    line = rf"slack_notifier\.py needs Python 3\.9 or newer, this is {re.escape(version)}\.\d+: {python}\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(line, done.stderr), done.stderr


def test_header_for_uv_names_the_packages_of_the_requirements():
    header = re.search(r"(?ms)^# /// script$\n(.*?)^# ///$", PROGRAM.read_text("utf-8"))[1].replace("# ", "")
    assert 'requires-python = ">=3.9"\n' in header
    requirements = PROGRAM.with_name("requirements.txt").read_text("utf-8").splitlines()
    packages = [line for line in requirements if line and not line.startswith("#")]
    # Those that these bring are as new as can be where uv chooses them.
    own = [line for line in packages if line.startswith(("requests", "psycopg2", "python-dotenv"))]
    assert re.findall(r"""^    ["'](.*)["'],$""", header, re.M) == own
