"""--check: a line for each thing that a run relies on, and for each mistake the line that says what to do."""

from __future__ import annotations

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from types import SimpleNamespace

import pytest
from servers import port_of
from support import PROGRAM, has_ledger, ledger, value

import slack_notifier
from slack_notifier import BAD, DOUBTFUL, GOOD, Deadline, Destination, Finding, Ledger, Settings, SlackNotifier, check

GOOD_INDEX = "CREATE INDEX ON tasks (status, updated_at)"


def fingerprint(webhook: str, user: str = "") -> str:
    return Destination(webhook, user).fingerprint[:6]


@pytest.fixture
def checked(cli, slack):
    """The lines of --check, not wrapped, where nothing is wrong but what the test makes so; nothing is ever posted."""

    def checked(code=None, **environment):
        done = cli("--check", **environment)
        assert slack.messages() == []
        assert not re.search(r"(?m)^.{101,}$", done.out)
        assert done.code == int(bool(re.search("(?m)^✗", done.out)))
        assert code is None or done.code == code
        assert done.log == ""
        return re.sub(r"\n +", " ", done.out).splitlines()

    return checked


def in_the_database(settings):
    """What --check finds there."""
    return [*slack_notifier._check_database(settings, Deadline.after(60), 30)]


@pytest.fixture
def ready(tasks):
    """A database without a mistake."""
    tasks.execute(GOOD_INDEX)
    return tasks


# ---- All is well -----------------------------------------------------------------------------------------------------


def test_good_set_up_is_a_line_each_and_nothing_is_posted_or_changed(
    checked, ready, slack, heart, mail, trusted, tmp_path
):
    ready.fail()
    info = ready.connection.info
    version = f"{info.server_version // 10000}.{info.server_version % 10000}"
    # All day but its last minute.
    quiet = {"SLACK_QUIET_HOURS": "00:00-23:59", "SLACK_TIMEZONE": "Asia/Tokyo", "SLACK_ENVIRONMENT": "staging"}
    email = {"SMTP_URL": mail.url, "ALERT_EMAIL_TO": "ops@example.com", "SSL_CERT_FILE": trusted}
    lines = checked(code=0, HEARTBEAT_URL=f"{heart.address}/secret-of-heart?x", **quiet, **email)
    webhook = f"SLACK_WEBHOOK ({fingerprint(slack.webhook())})"
    host, mail_host = heart.address.partition("//")[2], mail.url.rpartition("@")[2]
    now = [line.replace("not now", "now").replace(" (kept for later: quiet hours)", "") for line in lines]
    assert now == [
        f"✓ Settings: {tmp_path / '.env'}; the real environment goes first",
        "✓ Set: DATABASE_URL; SLACK_WEBHOOK; SLACK_ENVIRONMENT: staging; SLACK_QUIET_HOURS: 00:00-23:59; "
        "SLACK_TIMEZONE: Asia/Tokyo; SMTP_URL; ALERT_EMAIL_TO: ops@example.com; HEARTBEAT_URL",
        f"✓ Database {info.dbname} at 127.0.0.1:{info.port} as {info.user}: PostgreSQL {version}, no TLS",
        f"✓ {info.user} can read the table public.tasks",
        "✓ Ledger: the first run creates slack_notifications in the schema public",
        f"✓ Reports to {webhook}: no run recorded yet; a run now would report 1 failed task",
        f"! {webhook}: 127.0.0.1:{port_of(slack)} answers; nothing more was tried",
        f"✓ Mail server {mail_host}: ready to send to ops@example.com",
        f"! The heartbeat's host: {host} answers; nothing more was tried",
        "✓ Quiet hours from 00:00 to 23:59 Asia/Tokyo: now",
    ]
    assert not has_ledger(ready.connection)
    assert (heart.beats, mail.mails, slack.requests) == ([], [], [])


def test_ledger_is_shown_with_its_age_and_left_as_it_is(checked, ready, notifier, slack):
    ready.fail()
    ready.fail()
    assert notifier.send_failed_tasks_notification()
    slack.clear()
    # This one was left out as muted.
    ready.execute(
        "INSERT INTO slack_notifications (destination, alert, task_id, event_at, notified_at, cause) "
        "SELECT destination, 'failed', 'muted', event_at, now(), '' FROM slack_notifications LIMIT 1"
    )
    before = ledger(ready.connection)
    first = value(ready.connection, "SELECT min(notified_at) FROM slack_notifications WHERE task_id <> ''")
    line = f"✓ Ledger: 2 tasks reported, since {slack_notifier.format_time(first)}, the last 0 min ago"
    assert line in checked(code=0)
    assert ledger(ready.connection) == before


def test_json_is_an_object_for_each_finding(cli, ready):
    done = cli("--check", "--json", SLACK_CRITICAL_COUNT="ten")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert {tuple(finding) for finding in found} == {("mark", "what", "remedy")}
    what = "SLACK_CRITICAL_COUNT must be a whole number from 1 to 999999, not 'ten'"
    assert {"mark": BAD, "what": what, "remedy": ""} in found
    assert done.code == 1


@pytest.mark.parametrize(("mark", "code"), [(GOOD, 0), (DOUBTFUL, 0), (BAD, 1)])
def test_doubts_alone_are_exit_0(mark, code):
    assert slack_notifier.print_findings([Finding(GOOD, "this"), Finding(mark, "that")], as_json=False) == code


# ---- Settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("SLACK_QUIET_HOUR", "x", "! SLACK_QUIET_HOUR is no setting → did you mean SLACK_QUIET_HOURS?"),
        ("DATABASE_URI", "x", "! DATABASE_URI is no setting → did you mean DATABASE_URL?"),
        ("slack_webhook", "x", "! slack_webhook is no setting → did you mean SLACK_WEBHOOK?"),
        ("SLACK_BOT_TOKEN", "x", "! SLACK_BOT_TOKEN is no setting → see .env.example"),
        ("SLACK_CRITICAL_COUNT", "ten", "✗ SLACK_CRITICAL_COUNT must be a whole number from 1 to 999999, not 'ten'"),
        ("SLACK_WEBHOOK", "", "✗ no webhook to send to: set SLACK_WEBHOOK, or use --webhook-url or --dry-run"),
        ("DATABASE_URL", "", "✗ DATABASE_URL environment variable not set"),
        (
            "SLACK_USER_WEBHOOKS_FILE",
            '{"key-of-a-user": "https://hooks.slack.com/services/T/B/x"}',
            "✗ SLACK_USER_WEBHOOKS_FILE must name a readable JSON file (FileNotFoundError)",
        ),
        (
            "SLACK_TIMEZONE",
            "https://hc-ping.com/secret-of-heart",
            "✗ SLACK_TIMEZONE must be an IANA name that this machine knows, such as Europe/Berlin "
            "(is tzdata installed?)",
        ),
    ],
)
def test_mistake_in_a_variable_is_named(checked, ready, name, text, line):
    lines = checked(**{name: text})
    assert line in lines
    (is_set,) = [line for line in lines if line.startswith("✓ Set:")]
    assert f"{name}: " not in is_set


@pytest.mark.parametrize("name", ["PATH", "LANG", "PGHOST", "HTTPS_PROXY", "TZ", "DEBUG_LEVEL", "SMTP_HOST"])
def test_other_programs_variables_are_no_mistake(ready, name):
    assert list(slack_notifier._unknown_variables([name])) == []


def test_no_env_file_is_said(run, ready, tmp_path):
    program = tmp_path / "program" / "slack_notifier.py"
    program.parent.mkdir()
    program.write_bytes(PROGRAM.read_bytes())
    out = " ".join(run("--check", program=program, cwd=program.parent).out.split())
    assert "✓ Settings: no .env, neither in the current folder nor beside the program; the real environment" in out


# ---- Database --------------------------------------------------------------------------------------------------------


@pytest.fixture
def as_role(checked, ready, role):
    """The lines for a role that may read the tasks and write a ledger of its own, but for what the test takes away."""
    ready.execute(f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT CREATE ON SCHEMA public TO {role.name}")
    ready.execute(f"GRANT SELECT ON tasks TO {role.name}")

    def as_role(statement="SELECT"):
        ready.execute(statement.replace("READER", role.name))
        lines = [line.replace(role.name, "READER") for line in checked(DATABASE_URL=role.url)]
        # Without the stand-in, which is not Slack.
        return [line for line in lines if not line.endswith("answers; nothing more was tried")]

    return as_role


FORGETS = "✗ Cannot remember what was reported, so alerts repeat with every run"
FORBIDDEN = "✗ Cannot read the tasks: READER may not read"


# What is done to the database, and what is said of it.
MISTAKES = {
    "ALTER TABLE tasks RENAME TO jobs": (
        "✗ Cannot read the tasks: READER finds no table tasks → "
        "is this the worker's database, its schema in the search_path, and USAGE on that granted?"
    ),
    "ALTER TABLE tasks DROP COLUMN log_uri, DROP COLUMN started_at": (
        "✗ Cannot read the tasks: the table tasks lacks log_uri, started_at → is it the worker's?"
    ),
    "REVOKE SELECT ON tasks FROM READER": (
        f"{FORBIDDEN} {', '.join(slack_notifier.COLUMNS_READ)} of tasks → GRANT SELECT ON tasks TO READER"
    ),
    "REVOKE SELECT ON tasks FROM READER; "
    "GRANT SELECT (id, user_api_key, status, created_at, updated_at, started_at) ON tasks TO READER": (
        f"{FORBIDDEN} error, log_uri of tasks → GRANT SELECT (error, log_uri) ON tasks TO READER"
    ),
    "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY": (
        "! Row-level security may hide tasks → ALTER ROLE READER BYPASSRLS, or use the owner of tasks"
    ),
    "DROP INDEX tasks_status_updated_at_idx": (
        "! No index on tasks (status, updated_at): each run reads the whole table → "
        "CREATE INDEX CONCURRENTLY ON tasks (status, updated_at)"
    ),
    "GRANT CREATE ON SCHEMA public TO PUBLIC": (
        "! Everybody may create tables in the schema of the ledger → REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    ),
    "REVOKE CREATE ON SCHEMA public FROM READER": f"{FORGETS} → GRANT CREATE ON SCHEMA public TO READER",
    slack_notifier.CREATE_LEDGER: f"{FORGETS} → GRANT SELECT, INSERT, UPDATE, DELETE ON slack_notifications TO READER",
    "ALTER ROLE READER SET default_transaction_read_only = on": (
        f"{FORGETS} → ALTER ROLE READER SET default_transaction_read_only = off"
    ),
}


@pytest.mark.parametrize(("statement", "line"), MISTAKES.items())
def test_mistake_in_the_database_is_a_line_with_the_statement_that_heals_it(as_role, statement, line):
    assert [found for found in as_role(statement) if found[0] != GOOD] == [line]


def test_index_is_found_where_the_database_quotes_all_identifiers(checked, ready):
    ready.execute(f'ALTER DATABASE "{ready.connection.info.dbname}" SET quote_all_identifiers = on')
    assert "No index" not in "".join(checked(code=0))


@pytest.mark.parametrize(
    ("login", "words"), [("postgres:wrong@127.0.0.1:1", "refused"), ("u:p@name.invalid", "name.invalid")]
)
def test_database_that_is_not_there_is_a_line(checked, login, words):
    lines = "\n".join(checked(code=1, DATABASE_URL=f"postgresql://{login}/x"))
    assert re.search(rf"(?m)^✗ Cannot connect to the database: .*{words}.* → check DATABASE_URL$", lines)


@pytest.mark.slow
def test_locked_table_is_a_line(ready, make_tasks, settings, monkeypatch):
    monkeypatch.setattr(slack_notifier, "LOCK_WAIT_SECONDS", 0.3)
    other = make_tasks(settings.database_url)
    other.connection.autocommit = False
    other.execute("LOCK TABLE tasks")
    found = in_the_database(settings)[-1]
    assert found.mark == BAD
    assert re.match(r"Cannot read the tasks: the table tasks is locked by session \d+ ", found.what)


def test_a_server_that_is_too_old_is_a_mistake_and_a_warning_of_each_run(settings):
    with Ledger(settings.database_url, Deadline.after(30)) as ledger, ledger.transaction(slack_notifier.STATE):
        state = ledger.read_state()
    assert [*slack_notifier.doubts(state)] == []
    (doubt,) = slack_notifier.doubts({**state, "version": 139999})
    assert doubt == (BAD, "PostgreSQL is too old", "it must be 14 or newer")


def test_another_table_of_the_name_in_the_search_path_is_a_doubt(as_role, ready):
    ready.execute("DROP SCHEMA IF EXISTS archive CASCADE; CREATE SCHEMA archive; CREATE TABLE archive.tasks ()")
    try:
        lines = as_role(
            "GRANT USAGE ON SCHEMA archive TO READER; ALTER ROLE READER SET search_path = public, archive, pg_catalog"
        )
        remedy = "is it the worker's? Then ALTER ROLE READER SET search_path = …"
        assert [line for line in lines if line[0] != GOOD] == [
            f"! Another table in the search_path is not read: archive.tasks → {remedy}"
        ]
        assert "✓ READER can read the table public.tasks" in lines
        lines = as_role("ALTER ROLE READER SET search_path = archive, public")
        assert any(line.startswith("✗ Cannot read the tasks: the table tasks lacks id, ") for line in lines)
    finally:
        ready.execute("DROP SCHEMA archive CASCADE")


# ---- What a run would do ---------------------------------------------------------------------------------------------


def runs(lines: list[str]) -> list[str]:
    """Those about runs."""
    return [line for line in lines if re.search("a run now would|a run is at work|more$|no webhook|Cannot", line)]


def test_what_a_run_would_report_and_when_the_last_one_was_is_said_of_each_destination(
    checked, ready, slack, settings, notifier
):
    both = {"SLACK_WEBHOOK": slack.webhook(), "SLACK_WEBHOOK_FAILED": slack.webhook("failures")}
    of_failed = f"SLACK_WEBHOOK_FAILED ({fingerprint(slack.webhook('failures'))})"
    of_stuck = f"SLACK_WEBHOOK ({fingerprint(slack.webhook())})"
    ready.fail()
    assert runs(checked(code=0, **both)) == [
        f"✓ Reports to {of_failed}: no run recorded yet; a run now would report 1 failed task",
        f"✓ Reports to {of_stuck}: no run recorded yet; a run now would report nothing",
    ]
    assert not has_ledger(ready.connection)
    notifier = SlackNotifier(settings=Settings.from_environment({"DATABASE_URL": settings.database_url, **both}))
    assert notifier.send_combined_notification()["error"] is None
    slack.clear()
    ready.execute("UPDATE slack_notifications SET event_at = event_at - interval '12 minutes' WHERE task_id = ''")
    ready.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
    ready.fail()
    ready.fail()
    ready.add("queued", created=90)
    before = ledger(ready.connection)
    assert runs(checked(code=0, **both)) == [
        f"✓ Reports to {of_failed}: last run 12 min ago; a run now would report 2 failed tasks and 1 healed task",
        f"✓ Reports to {of_stuck}: last run 12 min ago; a run now would report 1 stuck task",
    ]
    assert ledger(ready.connection) == before


def test_a_kind_that_no_run_has_looked_for_is_named(checked, ready, slack, notifier):
    line = f"✓ Reports to SLACK_WEBHOOK ({fingerprint(slack.webhook())}): last run {{}}; a run now would report nothing"
    assert notifier.send_failed_tasks_notification()
    assert line.format("0 min ago for failed tasks, never for stuck tasks") in checked(code=0)
    assert notifier.send_combined_notification()["error"] is None
    ready.execute(
        "UPDATE slack_notifications SET event_at = now() - interval '5 hours' WHERE task_id = '' AND alert = 'stuck'"
    )
    assert line.format("0 min ago for failed tasks, 5 h 0 min ago for stuck tasks") in checked(code=0)


def test_a_run_that_is_at_work_is_said_and_not_waited_for(ready, slack, notifier, settings):
    assert notifier.send_combined_notification()["error"] is None
    ready.fail()
    with slack.hold() as held, ThreadPoolExecutor(1) as pool:
        pool.submit(notifier.send_failed_tasks_notification)
        held.wait_received()
        found = in_the_database(settings)
        held.go()
    name = f"SLACK_WEBHOOK ({fingerprint(slack.webhook())})"
    assert found[-1] == Finding(GOOD, f"Reports to {name}: a run is at work there now")


def test_of_many_destinations_the_first_ten_are_tried(ready, slack, settings):
    users = {f"test-api-key-{number:05}": slack.webhook("user") for number in range(13)}
    for user in users:
        ready.fail(user_api_key=user)
    found = in_the_database(settings._replace(user_webhooks=users))
    lines = [re.sub(r"\(\w+\)", "()", finding.what) for finding in found]
    assert [line for line in lines if line.startswith(("Reports", "…"))] == [
        "Reports to SLACK_WEBHOOK (): no run recorded yet; a run now would report 13 failed tasks",
        *["Reports to the channel of user test-api... (): no run recorded yet; a run now would report 1 failed task"]
        * 9,
        "… and 4 destinations more",
    ]


def test_a_statement_that_breaks_a_run_breaks_the_check(checked, ready, notifier, slack):
    ready.execute("ALTER TABLE tasks ALTER started_at TYPE text")
    error = notifier.send_combined_notification()["error"]
    slack.clear()
    assert "operator does not exist: text" in error
    assert f"✗ {error}" in checked(code=1)


def test_what_a_run_would_log_as_missing_is_a_line(checked, ready, slack):
    environment = {"SLACK_WEBHOOK": "", "SLACK_WEBHOOK_FAILED": slack.webhook()}
    assert "✗ no webhook for stuck messages: set SLACK_WEBHOOK" in runs(checked(code=1, **environment))


def test_a_role_that_may_create_no_temporary_table_is_no_mistake_before_the_first_run(as_role, ready, role):
    name = ready.connection.info.dbname
    ready.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    try:
        assert not [line for line in as_role() if line[0] != GOOD]
    finally:
        ready.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO PUBLIC')


@pytest.mark.parametrize(
    ("host", "tls", "mark", "words"),
    [
        ("/tmp", False, GOOD, "no TLS"),
        ("localhost", False, GOOD, "no TLS"),
        ("::1", False, GOOD, "no TLS"),
        ("db.example.com", True, GOOD, "TLS"),
        ("db.example.com", False, DOUBTFUL, "no TLS across a network"),
    ],
)
def test_database_without_tls_across_a_network_is_a_doubt(host, tls, mark, words):
    server = {"host": host, "port": 5432, "server_version": 160004, "ssl_in_use": tls}
    found = slack_notifier._check_connection(SimpleNamespace(dbname="protoreel", user="notifier", **server))
    what = f"Database protoreel at {host}:5432 as notifier: PostgreSQL 16.4, {words}"
    remedy = "add sslmode=verify-full (or require) to DATABASE_URL"
    assert found == (mark, what, remedy if mark == DOUBTFUL else "")


# ---- Destinations, mail and heartbeat --------------------------------------------------------------------------------


def test_dead_webhooks_are_told_from_living_ones_by_name_and_nothing_is_posted(
    checked, ready, slack, tls_slack, trusted, tmp_path
):
    for channel in ("dead", "user"):
        slack.answer(404, "no_service", channel=channel, times=None)
    slack.answer(503, "", channel="down", times=None)
    one, two, dead, down, of_user = map(tls_slack.webhook, ("one", "two", "dead", "down", "user"))
    users = tmp_path / "users.json"
    users.touch(mode=0o600)
    users.write_text(json.dumps({"test-api-key-0001": of_user}))
    webhooks = {"SLACK_WEBHOOK": f"{one},{two}", "SLACK_WEBHOOK_FAILED": dead, "SLACK_WEBHOOK_STUCK": down}
    proxy = {"HTTPS_PROXY": tls_slack.url, "REQUESTS_CA_BUNDLE": trusted}
    lines = checked(code=1, SLACK_USER_WEBHOOKS_FILE=str(users), **proxy, **webhooks)
    advice = "the webhook was removed or disabled, create a new webhook and put its URL into the setting"
    refused = f"HTTP 404 no_service → {advice}"
    assert [line for line in lines if re.search(r"\([0-9a-f]{6}\): [^n]", line)] == [
        f"✓ SLACK_WEBHOOK, URL 1 ({fingerprint(one)}): Slack knows the webhook",
        f"✓ SLACK_WEBHOOK, URL 2 ({fingerprint(two)}): Slack knows the webhook",
        f"✗ SLACK_WEBHOOK_FAILED ({fingerprint(dead)}): {refused}",
        f"✗ SLACK_WEBHOOK_STUCK ({fingerprint(down)}): HTTP 503 → see slack-status.com, DNS, firewall",
        f"✗ the channel of user test-api... ({fingerprint(of_user, 'test-api-key-0001')}): {refused}",
    ]
    assert {request.body for request in slack.requests} == {b'{"text": ""}'}


def test_webhooks_of_users_are_looked_at_where_no_kind_has_one_of_its_own(slack):
    settings = Settings(webhooks={"": [slack.webhook()]}, user_webhooks={"test-api-key-0001": slack.webhook("user")})
    found = slack_notifier._check_destinations(settings, Deadline.after(60))
    names = [finding.what.partition(" (")[0] for finding in found]
    assert names == ["SLACK_WEBHOOK", "the channel of user test-api..."]


def test_other_hosts_are_asked_for_nothing_that_is_secret(heart):
    heart.status, host = 404, heart.address.partition("//")[2]
    url = f"http://u:topsecret@{host}/hooks/topsecret?topsecret"
    found = slack_notifier._check_host("A host", url, Deadline.after(30))
    assert found == Finding(DOUBTFUL, f"A host: {host} answers; nothing more was tried")
    assert (heart.looks, heart.beats) == ([("/", None)], [])


NO_WEBHOOKS = (
    "https://acme.slack.com/archives/topsecret",
    "https://hooks.slack.com/",
    "https://hooks.slack.com/services/",
    "https://slack.com/api/chat.postMessage",
    "https://app.slack.com/client/T0/topsecret",
)
AWAY = {
    "http://127.0.0.1:1/hooks/topsecret": "127.0.0.1:1: no connection (Connection refused)",
    "http://u:topsecret@name.invalid/hooks/x?y": "name.invalid: no connection (there is no such host)",
}


@pytest.mark.parametrize("webhook", [*NO_WEBHOOKS, *AWAY])
def test_address_that_takes_no_message_is_a_line_and_is_not_asked(watch, monkeypatch, webhook):
    watch.secrets.add("topsecret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    settings = Settings.from_environment({"SLACK_WEBHOOK": webhook})
    (found,) = slack_notifier._check_destinations(settings, Deadline.after(30))
    what, remedy = AWAY.get(webhook), "is it the right address?"
    if not what:
        what = f"an address at {webhook.split('/')[2]} that is no incoming webhook"
        remedy = "create one, https://hooks.slack.com/services/…, and put that into the setting"
    assert found == (BAD, f"SLACK_WEBHOOK ({fingerprint(webhook)}): {what}", remedy)


def test_mail_server_and_heartbeat_that_take_nothing_are_lines(checked, ready, mail, trusted, watch):
    watch.secrets |= {"not-the-password", "topsecret"}
    server = mail.url.rpartition("@")[2]
    email = {"SMTP_URL": f"smtp://alerts:not-the-password@{server}", "ALERT_EMAIL_TO": "ops@example.com"}
    lines = checked(code=1, HEARTBEAT_URL="http://127.0.0.1:1/topsecret", SSL_CERT_FILE=trusted, **email)
    why = "the server does not accept the login of SMTP_URL (5.7.8 [masked] is not it, nor is [masked])"
    assert f"✗ Mail server {server}: {why} → see SMTP_URL in .env.example" in lines
    assert "✗ The heartbeat's host: 127.0.0.1:1: no connection (Connection refused)" in "\n".join(lines)


def test_mail_server_is_named_without_the_rest_of_its_url(watch):
    watch.secrets.add("topsecret")
    email = slack_notifier.Email("smtp://u:topsecret@127.0.0.1:1/topsecret?topsecret@x#y", ["ops@example.com"], "")
    found = slack_notifier._check_mail(email, Deadline.after(30))
    watch.written.append(str(found))
    assert found.what == "Mail server 127.0.0.1:1: no server answers there (Connection refused)"


@pytest.mark.slow
def test_check_is_over_in_time_whatever_hangs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slack_notifier, "RUN_SECONDS", 6)
    monkeypatch.setattr(slack_notifier, "PROBE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = Settings(
            database_url=f"postgresql://{address}/x",
            webhooks={"": [f"http://{address}/{n}" for n in range(40)]},
            email=slack_notifier.Email(f"smtp://{address}", ["ops@example.com"], ""),
            heartbeat_url=f"http://{address}/",
        )
        started = monotonic()
        found = list(check(settings, [], 30))
        assert monotonic() - started < 12
    assert [finding.mark for finding in found].count(BAD) == 43
