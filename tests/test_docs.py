"""The README and .env.example against the module: every setting, log line, statement and link in them is real."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import dotenv
import pytest
from support import PROGRAM, value

import slack_notifier
from sandbox.__main__ import SETTINGS
from slack_notifier import Settings, SlackNotifier

ROOT = PROGRAM.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENV_EXAMPLE = ROOT / ".env.example"
SOURCE = PROGRAM.read_text(encoding="utf-8")


def chapter(heading: str) -> str:
    """What stands under a heading of the README's."""
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


# ---- Settings --------------------------------------------------------------------------------------------------------

READ_VARIABLES = set(re.findall(r'"((?:[A-Z]+_)+[A-Z]+|DEBUG)"', SOURCE))
TABLE_OF_SETTINGS = re.findall(r"(?m)^\| `([A-Z_]+)` \|", chapter("Settings"))


def test_the_readme_lists_every_setting_and_no_other():
    assert len(READ_VARIABLES) > 20
    assert sorted(TABLE_OF_SETTINGS) == sorted(READ_VARIABLES)


def test_the_example_file_has_every_setting_in_the_same_order():
    assert list(dotenv.dotenv_values(ENV_EXAMPLE)) == TABLE_OF_SETTINGS


def test_the_sandbox_takes_every_setting_out_of_its_environment():
    assert set(SETTINGS) == READ_VARIABLES


def test_the_example_file_as_it_is_says_what_is_missing(run, tmp_path):
    shutil.copy(ENV_EXAMPLE, tmp_path / ".env")
    done = run()
    assert (done.code, done.log) == (2, "slack_notifier.py: error: DATABASE_URL environment variable not set\n")


def test_the_example_file_filled_in_has_the_defaults(database_url, slack):
    required = {"DATABASE_URL": database_url, "SLACK_WEBHOOK": slack.webhook()}
    assert Settings.from_environment({**dotenv.dotenv_values(ENV_EXAMPLE), **required}) == Settings.from_environment(
        required
    )


@pytest.mark.parametrize("variable", sorted(READ_VARIABLES))
def test_the_default_in_the_readme_is_that_of_the_example_file(variable):
    default = re.search(rf"(?m)^\| `{variable}` \| (.*?) ?\|", chapter("Settings"))[1]
    value_there = dotenv.dotenv_values(ENV_EXAMPLE)[variable]
    # Words of ours, or another variable, stand where there is no value of its own.
    assert value_there == (re.fullmatch(r"`([a-z0-9]+|UTC)`|.*", default)[1] or "")


def test_the_example_of_a_template_is_one(tmp_path):
    template = re.search(r"for example with\s`([^`]+)`", chapter("What it reports"))[1]
    (tmp_path / ".env").write_text(f"SLACK_TASK_TEMPLATE={template}\n", encoding="utf-8")
    read = dotenv.dotenv_values(tmp_path / ".env")
    assert read == {"SLACK_TASK_TEMPLATE": template}
    lines = slack_notifier.task_info({"id": "a"}, Settings.from_environment(read).task_template).splitlines()
    assert lines == ["• *a* · unknown · created unknown ago", "  No error message", "  No logs available"]
    assert f"# Example: {template}\n" in ENV_EXAMPLE.read_text(encoding="utf-8")


# ---- Log lines -------------------------------------------------------------------------------------------------------

# Words of PostgreSQL's and of Python's in the lines that the README quotes.
NOT_OURS = {'relation "tasks" does not exist', "permission denied ", "column ", " does not exist"}
NOT_OURS |= {"ModuleNotFoundError: ", "No module named 'psycopg2'"}


def texts_of_the_source() -> str:
    """Every text that the module can write, a line each; what it fills in is … but where that is a constant."""
    names = vars(slack_notifier)

    def text_of(node: ast.AST) -> str:
        if isinstance(node, ast.JoinedStr):
            return "".join(map(text_of, node.values))
        if isinstance(node, ast.FormattedValue):
            return str(names.get(node.value.id, "…")) if isinstance(node.value, ast.Name) else "…"
        return node.value

    texts = ast.walk(ast.parse(SOURCE))
    found = [
        text_of(node)
        for node in texts
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    ]
    return "\n".join(re.sub(r"%[srd]", "…", text) for text in found)


def quoted_lines() -> list[str]:
    """The log lines of the troubleshooting table."""
    rows = re.findall(r"(?m)^\| (`.*?) \| .* \| .* \|$", chapter("Troubleshooting"))
    return [quote for row in rows for quote in re.findall(r"`([^`]+)`", row)]


def is_filled_in(line: str) -> bool:
    """Whether the line is one of the source's with words in place of its …."""
    patterns = (".+".join(map(re.escape, text.split("…"))) for text in texts_of_the_source().splitlines())
    # Of so few letters of its own, a text would fit any line.
    return any(re.fullmatch(pattern, line) for pattern in patterns if len(pattern) > 15)


def test_the_troubleshooting_table_quotes_lines_of_the_program():
    texts = texts_of_the_source()
    quotes = quoted_lines()
    assert len(quotes) > 25
    for quote in quotes:
        pieces = re.split(r"…|(?<=: )|; ", quote)
        for piece in pieces:
            assert piece in texts or piece in NOT_OURS or is_filled_in(piece), f"{quote!r}: {piece!r}"


def test_what_the_readme_says_of_times_is_so():
    table = chapter("Delivery").split("\n\n")[0]
    for seconds in (
        f"{slack_notifier.DATABASE_CONNECT_SECONDS} s for each address",
        f"| {slack_notifier.DATABASE_STATEMENT_SECONDS} s; {slack_notifier.LOCK_WAIT_SECONDS} s |",
        f"| {slack_notifier.ALERT_SECONDS} s |",
        f"| {slack_notifier.EVENT_SECONDS} s |",
        f"| {slack_notifier.WEBHOOK_CONNECT_SECONDS} s; {slack_notifier.WEBHOOK_READ_SECONDS} s of silence |",
        f"| {slack_notifier.EMAIL_SECONDS} s; {slack_notifier.HEARTBEAT_SECONDS} s |",
    ):
        assert seconds in table
    assert f"ends it after {slack_notifier.CLAIM_HOLD_SECONDS} s" in chapter("The ledger")


# ---- SQL -------------------------------------------------------------------------------------------------------------


def statements(heading: str) -> list[str]:
    blocks = re.findall(r"(?ms)^ *```sql\n(.*?)^ *```$", chapter(heading))
    return [statement.strip() for block in blocks for statement in block.split(";") if statement.strip()]


@pytest.fixture
def as_documented(role, tasks):
    """Runs statements of the README's as the database's owner, for a role of the test's own; returns what they did."""

    def run(statements: list[str]) -> list[str]:
        for statement in statements:
            mine = re.sub(r"\bnotifier\b", role.name, statement)
            if mine.startswith("CREATE ROLE"):
                # Its own password, and roles belong to the whole server.
                mine = f"ALTER ROLE {role.name} LOGIN"
            tasks.execute(mine)
        return statements

    return run


def test_the_table_in_the_readme_is_the_one_that_the_program_creates():
    (create,) = [statement for statement in statements("Set it up") if statement.startswith("CREATE TABLE")]
    assert create.split() == f"CREATE TABLE {slack_notifier._LEDGER_COLUMNS}".split()


@pytest.mark.parametrize("columns_only", [False, True])
def test_the_rights_of_the_set_up_are_enough(as_documented, role, settings, slack, tasks, caplog, columns_only):
    tasks.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    set_up = statements("Set it up")
    if columns_only:
        set_up = [statement for statement in set_up if statement != "GRANT SELECT ON tasks TO notifier"]
        set_up += statements("Security")
    as_documented(set_up)
    tasks.fail()
    for _ in range(2):
        notifier = SlackNotifier(settings=settings._replace(database_url=role.url))
        assert notifier.send_combined_notification()["error"] is None
    assert len(slack.messages("alerts")) == 1
    assert "WARNING" not in [record.levelname for record in caplog.records]


def test_the_rights_of_the_other_ways_are_enough(as_documented, role, settings, slack, tasks, caplog):
    """In a schema of its own, where the role may create the table, and no more once it has."""
    tasks.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC; DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app")
    tasks.execute(f"ALTER TABLE tasks SET SCHEMA app; GRANT SELECT ON app.tasks TO {role.name}")
    tasks.execute("SET search_path = app")
    grants = [s for s in statements("The ledger") if s.startswith(("GRANT", "ALTER"))]
    assert len(grants) == 3
    as_documented([grant.replace("SCHEMA public", "SCHEMA app") for grant in grants])
    tasks.fail()
    for _ in range(2):
        notifier = SlackNotifier(settings=settings._replace(database_url=role.url))
        assert notifier.send_combined_notification()["error"] is None
        tasks.execute(f"REVOKE CREATE ON SCHEMA app FROM {role.name}")
    assert len(slack.messages("alerts")) == 1
    assert "WARNING" not in [record.levelname for record in caplog.records]
    tasks.execute("DROP SCHEMA app CASCADE")


def test_the_queries_run_and_a_renamed_destination_goes_on_where_the_old_one_stood(
    notifier, other, slack, tasks, as_documented
):
    assert notifier.send_failed_tasks_notification()
    tasks.execute("UPDATE slack_notifications SET event_at = event_at - interval '3 hours'")
    late = tasks.fail(updated=120)
    rename = next(s for s in statements("The ledger") if s.startswith("UPDATE"))
    old, new = (n.settings.destinations("failed")[0].fingerprint for n in (notifier, other))
    tasks.execute(rename.replace("old fingerprint", old).replace("new fingerprint", new))
    assert other.send_failed_tasks_notification()
    assert late in slack.messages("other")[0]["text"]
    queries = [s for s in statements("The ledger") if s.startswith("SELECT")]
    assert len(queries) == 2
    assert value(tasks.connection, f"SELECT count(*) FROM ({queries[0]}) AS history") == 1
    as_documented(queries)


def test_the_fingerprint_can_be_had_in_a_shell(notifier, monkeypatch):
    command = re.search(r"`(printf [^`]+)`", chapter("The ledger"))[1].replace("\\|", "|")
    monkeypatch.setenv("SLACK_WEBHOOK", notifier.webhook_url)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.strip() == notifier.settings.destinations("failed")[0].fingerprint


# ---- Links -----------------------------------------------------------------------------------------------------------


def anchors() -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^ *```.*?^ *```$", "", README))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_within_the_project_leads_somewhere():
    links = re.findall(r"\]\(([^)\s]+)\)", README)
    assert len(links) > 10
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors(), link
        elif "://" not in link:
            assert (ROOT / Path(link)).exists(), link
