"""The documents and .env.example against the module: settings, log lines, statements, commands and links are real."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from textwrap import dedent

import dotenv
import pytest
from support import CREATED, FAILED, PROGRAM, STARTED, STUCK, rows, title, value

import slack_notifier
from sandbox.__main__ import SCENARIOS
from slack_notifier import VARIABLES, Settings, SlackNotifier

ROOT = PROGRAM.parent
PATHS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PATHS}
ENV_EXAMPLE = ROOT / ".env.example"
SOURCE = PROGRAM.read_text(encoding="utf-8")


def chapter(heading: str, page: str = "README.md") -> str:
    """What stands under a heading of a page's."""
    return PAGES[page].split(f"\n## {heading}\n")[1].split("\n## ")[0]


def blocks(language: str, text: str) -> list[str]:
    """The fenced blocks of that language."""
    return [dedent(block) for block in re.findall(rf"(?ms)^ *```{language}\n(.*?)^ *```$", text)]


# ---- Settings --------------------------------------------------------------------------------------------------------

# Where the README has words for it.
DEFAULTS_IN_WORDS = {
    "DATABASE_URL": "required",
    "SLACK_WEBHOOK": "required to send",
    **{f"SLACK_WEBHOOK_{kind}": "SLACK_WEBHOOK" for kind in ("FAILED", "STUCK", "CREATED", "STARTED")},
    "ALERT_EMAIL_FROM": "the first of ALERT_EMAIL_TO",
}


def default_of(name: str) -> str:
    """The default of a setting, as it is written in the environment."""
    value = getattr(Settings(), VARIABLES[name].field)
    if isinstance(value, (bool, int)):
        return str(value).lower()
    assert not value
    return "UTC" if name == "SLACK_TIMEZONE" else ""


def test_the_readme_and_the_example_file_list_every_setting_with_its_default_in_one_order():
    listed = re.findall(r"(?m)^\| `([A-Z_]+)` \| (.*?) ?\|", chapter("Settings"))
    defaults = [(name, default.replace("`", "")) for name, default in listed]
    assert defaults == [(name, DEFAULTS_IN_WORDS.get(name, default_of(name))) for name in VARIABLES]
    assert list(dotenv.dotenv_values(ENV_EXAMPLE).items()) == [(name, default_of(name)) for name in VARIABLES]


def test_the_examples_of_a_template_are_some(tmp_path):
    examples = {
        "• *a* · unknown · created unknown ago\n  No error message\n  No logs available",
        "• <https://admin.example.com/tasks/a|a> · unknown\n  No error message",
    }
    made = set()
    for line in blocks("text", chapter("Your own lines", "docs/reports.md")):
        (tmp_path / ".env").write_text(line, encoding="utf-8")
        read = dotenv.dotenv_values(tmp_path / ".env", interpolate=False)
        made.add(slack_notifier.task_info({"id": "a"}, Settings.from_environment(read).task_template))
        assert f"# Example: {line.partition('=')[2]}" in ENV_EXAMPLE.read_text(encoding="utf-8")
    assert made == examples


# ---- Log lines -------------------------------------------------------------------------------------------------------

# A word of Python's in the lines that the table quotes.
NOT_OURS = {"ModuleNotFoundError", " could not parse statement starting at line "}


@cache
def texts_of_the_source() -> str:
    """Every text that the module can write, a line each; what it fills in is … but where that is a constant."""
    names = vars(slack_notifier)

    def text_of(node: ast.AST) -> str:
        if isinstance(node, ast.JoinedStr):
            return "".join(map(text_of, node.values))
        if isinstance(node, ast.FormattedValue):
            return str(names.get(node.value.id, "…")) if isinstance(node.value, ast.Name) else "…"
        return node.value if isinstance(getattr(node, "value", None), str) else ""

    nodes = (node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, (ast.JoinedStr, ast.Constant)))
    return re.sub(r"%[srd]", "…", "\n".join(map(text_of, nodes)))


@cache
def patterns_of_the_source() -> list[re.Pattern[str]]:
    # Of so few letters of its own, a text would fit any line.
    texts = {text for text in texts_of_the_source().splitlines() if len(re.sub("[^A-Za-z]", "", text)) > 3}
    return [re.compile(".+".join(map(re.escape, text.split("…")))) for text in texts]


def is_filled_in(line: str) -> bool:
    """Whether the line is one of the source's with words in place of its …."""
    return any(pattern.fullmatch(line) for pattern in patterns_of_the_source())


@pytest.mark.slow
def test_the_troubleshooting_table_quotes_lines_of_the_program():
    rows = re.findall(r"(?m)^\| (`.*?) \| .* \| .* \|$", PAGES["docs/troubleshooting.md"])
    quotes = [quote for row in rows for quote in re.findall(r"`([^`]+)`", row)]
    assert len(quotes) > 25
    for quote in quotes:
        for piece in [] if is_filled_in(quote) else re.split(r"…|(?<=: )|; ", quote):
            is_ours = piece in texts_of_the_source() or is_filled_in(piece)
            assert is_ours or piece in NOT_OURS, f"{quote!r}: {piece!r}"


def test_the_example_of_a_check_has_its_lines():
    (example,) = blocks("text", chapter("Check", "docs/running.md"))
    # Without what the server said, in a line of its own.
    lines = [line.strip("✓!✗→ ") for line in example.splitlines() if not line.startswith("  (")]
    assert len(lines) > 15
    for line in lines:
        name, _, found = line.partition(": ")
        assert f"{name}: " in texts_of_the_source() or is_filled_in(line) or is_filled_in(found), line


def test_what_the_documents_say_of_times_is_so():
    limits = chapter("Time limits", "docs/delivery.md")
    for_administrators = chapter("To a database administrator", "docs/ledger.md")
    for text, words in [
        (limits, "all in all | {RUN_SECONDS} s |"),
        (limits, "`get_…()`: likewise | {CALL_SECONDS} s |"),
        (limits, "`send_message()`: likewise | {EVENT_SECONDS} s |"),
        (limits, "in its place together | {DELIVERY_SECONDS} s |"),
        (limits, "{DATABASE_CONNECT_SECONDS} s for each address"),
        (limits, "| {DATABASE_STATEMENT_SECONDS} s; {LOCK_WAIT_SECONDS} s |"),
        (limits, "| {WEBHOOK_CONNECT_SECONDS} s; {WEBHOOK_READ_SECONDS} s of silence |"),
        (limits, "| {EMAIL_SECONDS} s; {HEARTBEAT_SECONDS} s |"),
        (chapter("In a task queue", "docs/worker.md"), "Leave a task {CALL_SECONDS} s"),
        (for_administrators, "at most {DELIVERY_SECONDS} s for a destination"),
        (for_administrators, "ends it after {CLAIM_HOLD_SECONDS} s"),
    ]:
        assert words.format_map(vars(slack_notifier)) in text
    assert slack_notifier.CLAIM_HOLD_SECONDS > slack_notifier.DELIVERY_SECONDS > slack_notifier.EMAIL_SECONDS
    limits_from_outside = re.findall(r"(?:TimeoutStartSec=|activeDeadlineSeconds: )(\d+)", PAGES["docs/running.md"])
    assert len(limits_from_outside) == 2
    assert all(int(seconds) > slack_notifier.RUN_SECONDS for seconds in limits_from_outside)


# ---- SQL -------------------------------------------------------------------------------------------------------------


def statements(heading: str, page: str = "README.md") -> list[str]:
    found = (statement.strip() for block in blocks("sql", chapter(heading, page)) for statement in block.split(";"))
    return [statement for statement in found if statement]


@pytest.fixture
def as_documented(role, tasks):
    """Runs documented statements as the database's owner, for a role of the test's own."""

    def run(statements: list[str]) -> None:
        for statement in statements:
            mine = re.sub(r"\bnotifier\b", role.name, statement)
            # It has its own password, and roles belong to the whole server.
            tasks.execute(f"ALTER ROLE {role.name} LOGIN" if mine.startswith("CREATE ROLE") else mine)

    return run


def test_the_table_in_the_readme_is_the_one_that_the_program_creates():
    (create,) = [statement for statement in statements("Set it up") if statement.startswith("CREATE TABLE")]
    assert create.split() == f"CREATE TABLE {slack_notifier._LEDGER_COLUMNS}".split()


def documented_rights(way: str) -> list[str]:
    if way == "in a schema of its own":
        grants = statements("Rights", "docs/ledger.md")
        assert len(grants) == 3
        moved = ["ALTER TABLE tasks SET SCHEMA app", "SET search_path = app", "GRANT SELECT ON app.tasks TO notifier"]
        return moved + [grant.replace("SCHEMA public", "SCHEMA app") for grant in grants]
    set_up = statements("Set it up")
    if way == "to columns only":
        set_up.remove("GRANT SELECT ON tasks TO notifier")
        set_up += statements("The role", "docs/security.md")
    return set_up


@pytest.mark.parametrize("way", ["of the set-up", "to columns only", "in a schema of its own"])
def test_the_documented_rights_are_enough(as_documented, role, settings, slack, tasks, caplog, way):
    tasks.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC; DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app")
    as_documented(documented_rights(way))
    tasks.fail()
    for _ in range(2):
        notifier = SlackNotifier(settings=settings._replace(database_url=role.url))
        assert notifier.send_combined_notification()["error"] is None
        # Once the first run has created the table.
        tasks.execute(f"REVOKE CREATE ON SCHEMA app FROM {role.name}")
    assert len(slack.messages("alerts")) == 1
    assert "WARNING" not in [record.levelname for record in caplog.records]
    tasks.execute("DROP SCHEMA app CASCADE")


def test_a_renamed_destination_goes_on_where_the_old_one_stood_and_the_queries_run(
    notifier, other, slack, tasks, as_documented
):
    assert notifier.send_failed_tasks_notification()
    tasks.execute("UPDATE slack_notifications SET event_at = event_at - interval '3 hours'")
    late = tasks.fail(updated=120)
    # A run with the new URL has been there already.
    assert other.send_failed_tasks_notification()
    slack.clear()
    rename = ";".join(statements("A new webhook", "docs/ledger.md"))
    old, new = (n.settings.destinations("failed")[0].fingerprint for n in (notifier, other))
    tasks.execute(rename.replace("old fingerprint", old).replace("new fingerprint", new))
    assert other.send_failed_tasks_notification()
    assert late in slack.messages("other")[0]["text"]
    history, query = statements("History", "docs/ledger.md")
    assert value(tasks.connection, f"SELECT count(*) FROM ({history}) AS history") == 1
    as_documented([history, query])


def test_the_fingerprint_can_be_had_in_a_shell(notifier):
    command = re.search(r"```bash\n(.+)\n", chapter("Columns", "docs/ledger.md"))[1]
    url = f"{notifier.webhook_url}\n"
    done = subprocess.run(["bash", "-c", command], input=url, capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.strip() == notifier.settings.destinations("failed")[0].fingerprint


@pytest.mark.parametrize("missing", [["cause text", "times bigint"], ["times bigint"]], ids=["version 1", "version 2"])
def test_an_older_ledger_is_upgraded_by_the_statement(as_documented, notifier, tasks, missing):
    (create,) = (statement for statement in statements("Set it up") if statement.startswith("CREATE TABLE"))
    (upgrade,) = statements("Upgrade from versions 1 and 2", "docs/ledger.md")
    assert upgrade == slack_notifier.UPGRADE
    for column in missing:
        create = create.replace(f"    {column},\n", "")
    as_documented([create, upgrade])
    tasks.fail()
    assert notifier.send_failed_tasks_notification()
    columns = "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'slack_notifications'"
    assert {("cause",), ("times",)} < set(rows(tasks.connection, columns))


def test_a_claim_is_seen_in_the_activity_of_the_server(notifier, slack, tasks):
    (query,) = statements("To a database administrator", "docs/ledger.md")
    tasks.fail()
    with slack.hold() as held, ThreadPoolExecutor(1) as pool:
        pool.submit(notifier.send_failed_tasks_notification)
        held.wait_received()
        ours = value(tasks.connection, "SELECT pid FROM pg_locks WHERE relation = 'slack_notifications'::regclass")
        ((_, _, _, state, _, last),) = (row for row in rows(tasks.connection, query) if row[0] == ours)
        held.go()
    assert state == "idle in transaction"
    assert last


# ---- Commands --------------------------------------------------------------------------------------------------------


def test_every_command_line_is_one_that_the_program_takes():
    # In YAML it is a list.
    text = "\n".join(PAGES.values()).replace('", "', " ")
    argument = r"""(?:--[a-z-]+|\d+|"[^"]+"|[0-9a-f-]{36}|[A-Z_]+)(?![\w…])"""
    program = r"(?:(?:python3?|uv run) slack_notifier\.py|python -m slack_notifier)"
    lines = re.findall(rf"{program}((?: {argument})*)", text)
    assert len(lines) > 8
    for line in lines:
        slack_notifier.build_parser().parse_args(shlex.split(line))


@pytest.fixture
def installed(tmp_path, database_url, slack):
    """A directory as the set-up leaves it; runs a shell command there that names it by the documents' path."""
    # Of a busy machine an answer may take longer than a notice waits for it.
    unhurried, found = re.subn(r"(?m)^EVENT_SECONDS = 5$", "EVENT_SECONDS = 40", SOURCE)
    assert found == 1
    (tmp_path / PROGRAM.name).write_text(unhurried, encoding="utf-8")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".env").write_text(f"DATABASE_URL={database_url}\nSLACK_WEBHOOK={slack.webhook()}\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o600)

    def run(command: str) -> None:
        mine = command.replace("/opt/slack-notifier", str(tmp_path))
        # As little as cron gives.
        subprocess.run(mine, shell=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, timeout=60, check=True)

    return run


@pytest.mark.slow
def test_the_line_for_cron_runs_as_cron_runs_it(installed, slack, tasks, tmp_path):
    (line,) = re.findall(r"(?m)^\*/15 \* \* \* \* (cd .*)$", "\n".join(PAGES.values()))
    tasks.fail()
    installed(line)
    assert len(slack.messages("alerts")) == 1
    assert "Slack message sent successfully" in (tmp_path / "notifier.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_service_starts_what_runs(installed, slack, tasks):
    (command,) = re.findall(r"(?m)^ExecStart=(.*)$", PAGES["docs/running.md"])
    tasks.fail()
    installed(command)
    assert len(slack.messages("alerts")) == 1


@pytest.mark.slow
def test_the_checks_of_the_set_up_find_nothing_wrong(installed, slack):
    for command in blocks("bash", chapter("Set it up"))[-1].splitlines():
        installed(command)
    assert [title(message) for message in slack.messages("alerts")] == [CREATED]


def test_the_scenarios_of_the_sandbox_are_named():
    text = chapter("Try it")
    assert all(f"`{name}`" in text or f"--scenario {name}`" in text for name in SCENARIOS if name != "sample")


def test_the_calls_of_the_worker_do_as_they_stand_there(notifier, slack, tasks):
    def render(payload):
        raise RuntimeError("ffmpeg exited with code 137")

    def mark_failed(task_id, error):
        tasks.add("failed", updated=0, id=task_id, error=str(error))

    names = {"notifier": notifier, "render": render, "mark_failed": mark_failed}
    names |= {"task_id": "t1", "user_api_key": "key-of-a-user", "payload": {"scenes": []}, "log_uri": None}
    tasks.add("queued", created=60)
    calls = blocks("python", chapter("Calls", "docs/worker.md"))
    assert len(calls) == 3
    for call in calls:
        exec(call, names)
    assert [title(message) for message in slack.messages("alerts")] == [STARTED, FAILED, STUCK, CREATED]


def test_what_a_notice_reads_from_the_payload_is_what_the_program_knows():
    table = chapter("What a notice reads from the payload", "docs/worker.md").partition("|---|")[2]
    names = set(re.findall(r"`([a-z_]+)`", table))
    assert len(names) > 15
    assert all(f'"{name}"' in SOURCE for name in names), names


def test_the_example_of_a_users_file_is_one(tmp_path):
    (example,) = blocks("json", chapter("Routes", "docs/delivery.md"))
    path = tmp_path / "users.json"
    path.write_text(example, encoding="utf-8")
    path.chmod(0o600)
    settings = Settings.from_environment({"SLACK_USER_WEBHOOKS_FILE": str(path)})
    assert [destination.user for destination in settings.user_destinations()] == ["pr_live_4c81f0a27be94d6f"]


def anchors(page: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^ *```.*?^ *```$", "", PAGES[page]))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_project_leads_somewhere(page):
    for path, anchor in re.findall(r"\]\((?!\w+://)([^)\s#]*)#?([^)\s]*)\)", PAGES[page]):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        assert not anchor or anchor in anchors(str(target.resolve().relative_to(ROOT.resolve()))), anchor


def test_the_readme_leads_to_every_page_and_is_no_longer_than_a_reader_bears():
    assert {*PAGES} - {"README.md"} <= set(re.findall(r"\]\(([^)#\s]+)\)", PAGES["README.md"]))
    assert len(PAGES["README.md"].splitlines()) <= 200


def test_the_parts_of_the_module_are_those_of_its_banners():
    parts = re.findall(r"(?m)^\| ([A-Z]\w+(?: line| and mute)?) \|", chapter("Where a change goes", "CONTRIBUTING.md"))
    assert parts == re.findall(r"(?m)^# -{4} (.*?) -+$", SOURCE)


def test_the_first_of_the_changes_are_those_of_this_version():
    assert re.search(r"(?m)^## (.*)$", PAGES["CHANGELOG.md"])[1] == slack_notifier.__version__
