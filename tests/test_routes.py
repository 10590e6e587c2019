"""Who is told what and when: several webhooks, one for a kind or a user; critical alerts; quiet hours."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support import (
    BLIND,
    CREATED,
    FAILED,
    RECOVERED,
    STARTED,
    STUCK,
    elapse,
    ids,
    ledger,
    recorded,
    summary,
    title,
    told,
    value,
)

import slack_notifier
from slack_notifier import Destination, QuietHours, Settings, SlackNotifier

pytestmark = pytest.mark.usefixtures("room")

USER, OTHER_USER = "api-key-of-the-first", "api-key-of-the-second"


@pytest.fixture
def route(database_url, slack):
    """Settings from variables; those that name channels, comma-separated, get their webhooks."""

    def route(**variables: str) -> Settings:
        environ = {"DATABASE_URL": database_url}
        for name, text in variables.items():
            webhook = name.startswith("SLACK_WEBHOOK")
            environ[name] = ",".join(map(slack.webhook, text.split(","))) if webhook else text
        return Settings.from_environment(environ)

    return route


@pytest.fixture
def user_file(tmp_path: Path, slack):
    def user_file(**channels: str) -> str:
        path = tmp_path / "users.json"
        path.write_text(json.dumps({user: slack.webhook(channel) for user, channel in channels.items()}))
        return str(path)

    return user_file


def titles(slack, channel: str) -> list[str]:
    return [title(message) for message in slack.messages(channel)]


# ---- Channels --------------------------------------------------------------------------------------------------------


def test_every_webhook_of_the_list_gets_every_alert_once_also_where_it_is_listed_twice(tasks, slack, route):
    task = tasks.fail()
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="a,b,a"))
    for _ in range(2):
        assert notifier.send_failed_tasks_notification() is True
    assert told(slack, channel="a") == told(slack, channel="b") == [[task]]


KINDS = {"FAILED": FAILED, "STUCK": STUCK, "CREATED": CREATED, "STARTED": STARTED}


def send_each_kind(notifier: SlackNotifier) -> None:
    notifier.send_combined_notification()
    notifier.send_task_creation_notification("id", "key", {})
    notifier.send_task_start_notification("id", "key", {})


@pytest.mark.parametrize("kind", KINDS)
def test_kind_with_a_webhook_of_its_own_goes_there_and_nowhere_else(tasks, slack, route, kind):
    tasks.fail()
    tasks.add("queued", created=40)
    notifier = SlackNotifier(settings=route(**{"SLACK_WEBHOOK": "all", f"SLACK_WEBHOOK_{kind}": "own,own2"}))
    send_each_kind(notifier)
    assert titles(slack, "own") == titles(slack, "own2") == [KINDS[kind]]
    assert sorted(titles(slack, "all")) == sorted(set(KINDS.values()) - {KINDS[kind]})


def test_each_kind_may_have_its_own_webhook_and_no_common_one(tasks, slack, route):
    tasks.fail()
    tasks.add("queued", created=40)
    notifier = SlackNotifier(settings=route(**{f"SLACK_WEBHOOK_{kind}": kind for kind in KINDS}))
    assert notifier.enabled
    assert notifier.webhook_url is None
    send_each_kind(notifier)
    assert {kind: titles(slack, kind) for kind in KINDS} == {kind: [name] for kind, name in KINDS.items()}


def test_recovery_is_told_where_the_stuck_alert_was(tasks, slack, route):
    task = tasks.add("queued", created=40)
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_WEBHOOK_STUCK="own"))
    notifier.send_combined_notification()
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id = %s", [task])
    notifier.send_combined_notification()
    assert titles(slack, "own") == [STUCK, RECOVERED]
    assert titles(slack, "all") == []


@pytest.mark.parametrize(
    "send",
    [
        lambda notifier: notifier.send_task_creation_notification("id", "key", {}),
        lambda notifier: notifier.send_task_start_notification("id", "key", {}),
        lambda notifier: notifier.send_stuck_tasks_notification(),
        lambda notifier: notifier.send_message("Hello"),
    ],
    ids=["created", "started", "stuck", "own message"],
)
def test_kind_without_a_destination_is_an_error_that_names_the_setting(tasks, slack, route, caplog, send):
    tasks.add("queued", created=40)
    assert send(SlackNotifier(settings=route(SLACK_WEBHOOK_FAILED="failed"))) is False
    assert "set SLACK_WEBHOOK" in caplog.text
    assert slack.requests == []


def test_own_message_goes_to_the_common_webhooks(slack, route):
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="a,b", SLACK_WEBHOOK_FAILED="failed"))
    assert notifier.send_message("Hello") is True
    assert [[m["text"] for m in slack.messages(channel)] for channel in ("a", "b", "failed")] == [["Hello"]] * 2 + [[]]


# ---- Users -----------------------------------------------------------------------------------------------------------


def test_user_is_told_of_own_tasks_only_and_the_common_channel_of_all(tasks, slack, route, user_file):
    mine, others = tasks.fail(user_api_key=USER), tasks.fail(user_api_key=OTHER_USER)
    stuck = tasks.add("queued", created=40, user_api_key=USER)
    tasks.add("queued", created=40, user_api_key="nobody")
    path = user_file(**{USER: "mine", OTHER_USER: "others"})
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_USER_WEBHOOKS_FILE=path))
    for _ in range(2):
        notifier.send_combined_notification()
    assert told(slack, channel="mine") == [[mine]]
    assert told(slack, STUCK, "mine") == [[stuck]]
    assert told(slack, channel="others") == [[others]]
    assert titles(slack, "others") == [FAILED]
    assert told(slack, channel="all") == [sorted([mine, others])]
    assert len(slack.messages("all")) == 2


def test_users_share_is_of_own_tasks(tasks, slack, route, user_file):
    tasks.fail(user_api_key=USER)
    tasks.add("finished", updated=5, user_api_key=USER)
    tasks.fail(user_api_key=OTHER_USER)
    path = user_file(**{USER: "mine"})
    SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_USER_WEBHOOKS_FILE=path)).send_failed_tasks_notification()
    (mine,), (every,) = slack.messages("mine"), slack.messages("all")
    assert "1 of 2 ended tasks failed · 1 user" in mine["text"]
    assert "2 of 3 ended tasks failed · 2 users" in every["text"]


def test_users_stuck_tasks_are_counted_among_own_tasks(tasks, slack, route, user_file):
    for user in (USER, OTHER_USER):
        tasks.add("queued", created=40, user_api_key=user)
    path = user_file(**{USER: "mine"})
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_USER_WEBHOOKS_FILE=path))
    assert notifier.send_stuck_tasks_notification() is True
    counts = [slack.messages(channel)[0]["text"].rpartition(" UTC · ")[2] for channel in ("mine", "all")]
    assert [count.partition(" · ")[2] for count in counts] == [
        "1 queued · 0 in progress in all",
        "2 queued · 0 in progress in all",
    ]


def test_user_whose_webhook_is_the_common_one_has_a_state_of_its_own(tasks, slack, route, user_file):
    tasks.fail(user_api_key=USER)
    path = user_file(**{USER: "all", OTHER_USER: "all"})
    SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_USER_WEBHOOKS_FILE=path)).send_failed_tasks_notification()
    assert len(slack.messages("all")) == 2
    destinations = {row[0] for row in ledger(tasks.connection)}
    assert len(destinations) == 3


def test_dead_webhook_of_a_user_is_made_up_for_and_touches_nobody_else(tasks, slack, route, user_file):
    task = tasks.fail(user_api_key=USER)
    path = user_file(**{USER: "mine", OTHER_USER: "others"})
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_USER_WEBHOOKS_FILE=path))
    slack.answer(404, "no_service", channel="mine")
    assert notifier.send_failed_tasks_notification() is False
    assert told(slack, channel="all") == [[task]]
    assert told(slack, channel="mine") == []
    later = tasks.fail(user_api_key=OTHER_USER)
    assert notifier.send_failed_tasks_notification() is True
    assert told(slack, channel="mine") == [[task]]
    assert told(slack, channel="others") == [[later]]
    assert told(slack, channel="all") == [[task], [later]]


def test_users_hear_of_alerts_only(slack, route, user_file):
    path = user_file(**{USER: "mine"})
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_USER_WEBHOOKS_FILE=path))
    assert notifier.send_task_creation_notification("id", USER, {}) is True
    assert notifier.send_message("Hello") is True
    assert len(slack.messages("all")) == 2
    assert slack.messages("mine") == []


def test_users_alone_are_enough(tasks, slack, route, user_file):
    task = tasks.fail(user_api_key=USER)
    tasks.fail(user_api_key=OTHER_USER)
    notifier = SlackNotifier(settings=route(SLACK_USER_WEBHOOKS_FILE=user_file(**{USER: "mine"})))
    assert notifier.enabled
    assert notifier.send_failed_tasks_notification() is True
    assert told(slack, channel="mine") == [[task]]


def test_ledger_names_neither_users_nor_webhooks(tasks, slack, route, user_file, watch):
    tasks.fail(user_api_key=USER)
    path = user_file(**{USER: "mine"})
    SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_USER_WEBHOOKS_FILE=path)).send_failed_tasks_notification()
    watch.written.append(str(ledger(tasks.connection)))
    watch.secrets.add(USER)
    assert len({row[0] for row in ledger(tasks.connection)} - {"users"}) == 2
    assert len(recorded(tasks.connection)) == 2


def test_fingerprint_tells_webhook_and_user_apart():
    names = {
        Destination("https://a/b").fingerprint,
        Destination("https://a/b", "user").fingerprint,
        Destination("https://a/bu", "ser").fingerprint,
        Destination("https://a/c").fingerprint,
    }
    assert len(names) == 4


# ---- One destination's trouble ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dead", ["a", "b", "c"])
def test_dead_destination_neither_hides_nor_repeats(tasks, slack, route, dead):
    first = tasks.fail()
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="a,b,c"))
    slack.answer(404, "no_service", channel=dead, times=2)
    result = notifier.send_combined_notification()
    assert result["failed_tasks_count"] == 1
    assert result["failed_notification_sent"] is False
    assert result["stuck_notification_sent"] is True
    assert "no_service" in result["error"]
    second = tasks.fail()
    assert notifier.send_failed_tasks_notification() is False
    assert notifier.send_failed_tasks_notification() is True
    assert notifier.send_failed_tasks_notification() is True
    for channel in "abc":
        expected = [sorted([first, second])] if channel == dead else [[first], [second]]
        assert told(slack, channel=channel) == expected


# ---- --webhook-url and Workflow Builder ------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--test-creation"], ["--test-start"]], ids=["alerts", "created", "started"])
def test_webhook_argument_replaces_every_webhook(tasks, slack, cli, user_file, arguments):
    tasks.fail(user_api_key=USER)
    tasks.add("queued", created=40, user_api_key=USER)
    variables = {f"SLACK_WEBHOOK_{kind}": slack.webhook("own") for kind in KINDS}
    path = user_file(**{USER: "mine"})
    done = cli(*arguments, "--webhook-url", slack.webhook("argument"), SLACK_USER_WEBHOOKS_FILE=path, **variables)
    assert done.code == 0
    assert {request.channel for request in slack.requests} == {"argument"}
    assert len(slack.messages("argument")) == (1 if arguments else 2)


WORKFLOWS = [
    "https://hooks.slack.com/triggers/T012345/678/topsecret",
    "https://hooks.slack.com/workflows/T012345/F0/678/topsecret",
    "https://HOOKS.SLACK.COM:443/triggers/T012345/678/topsecret",
    "https://hooks.slack-gov.com/workflows/T012345/F0/678/topsecret",
]


@pytest.mark.parametrize("url", WORKFLOWS)
@pytest.mark.parametrize(
    "name",
    ["SLACK_WEBHOOK", "SLACK_WEBHOOK_FAILED", "SLACK_WEBHOOK_STUCK", "SLACK_WEBHOOK_CREATED", "SLACK_WEBHOOK_STARTED"],
)
def test_workflow_trigger_is_refused_with_the_reason(name, url):
    with pytest.raises(ValueError, match=f"^{name} is a trigger of Workflow Builder.*incoming webhook") as caught:
        Settings.from_environment({name: f"https://hooks.slack.com/services/T0/B0/x,{url}"})
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("url", WORKFLOWS)
def test_workflow_trigger_is_refused_as_argument_and_for_a_user(cli, tmp_path, watch, url):
    watch.secrets.add("topsecret")
    done = cli("--webhook-url", url)
    assert done.code == 2
    assert "Workflow Builder" in done.log
    path = tmp_path / "users.json"
    path.write_text(json.dumps({USER: url}))
    with pytest.raises(ValueError, match=r"SLACK_USER_WEBHOOKS_FILE: a URL is a trigger of Workflow Builder"):
        Settings.from_environment({"SLACK_USER_WEBHOOKS_FILE": str(path)})


def test_workflow_path_on_another_host_is_that_hosts_business():
    url = "https://chat.example.com/workflows/1"
    assert Settings.from_environment({"SLACK_WEBHOOK": url}).webhooks == {"": [url]}


# ---- Critical --------------------------------------------------------------------------------------------------------

MENTION = "<!subteam^S0123ABCD>"


def lead(message: dict[str, Any]) -> str:
    return message["blocks"][1]["text"]["text"]


@pytest.mark.parametrize(("count", "limit", "critical"), [(2, 3, False), (3, 3, True), (4, 3, True), (1, 1, True)])
def test_alert_of_so_many_tasks_is_critical_and_calls_someone(tasks, slack, route, count, limit, critical):
    for _ in range(count):
        tasks.fail()
        tasks.add("in_progress", created=50, started=40)
    settings = route(SLACK_WEBHOOK="a", SLACK_CRITICAL_COUNT=str(limit), SLACK_CRITICAL_MENTION=MENTION)
    SlackNotifier(settings=settings).send_combined_notification()
    assert titles(slack, "a") == [FAILED, STUCK]
    for message in slack.messages("a"):
        assert (MENTION in lead(message)) is critical
        assert (MENTION in message["text"]) is critical
        assert message["text"].count(MENTION) <= 1


def test_recovery_calls_nobody(tasks, slack, route):
    stuck = [tasks.add("in_progress", created=50, started=40) for _ in range(3)]
    settings = route(SLACK_WEBHOOK="a", SLACK_CRITICAL_COUNT="2", SLACK_CRITICAL_MENTION=MENTION)
    notifier = SlackNotifier(settings=settings)
    notifier.send_stuck_tasks_notification()
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE id = ANY(%s)", [stuck])
    notifier.send_stuck_tasks_notification()
    assert titles(slack, "a") == [STUCK, RECOVERED]
    assert MENTION not in slack.messages("a")[1]["text"]


# ---- Quiet hours, by the clock on the wall ---------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")


def hours(text: str, zone: str = "UTC") -> QuietHours:
    settings = Settings.from_environment({"SLACK_QUIET_HOURS": text, "SLACK_TIMEZONE": zone})
    assert settings.quiet_hours is not None
    return settings.quiet_hours


def utc(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("span", "quiet", "loud"),
    [
        ("22:00-07:00", ["22:00:00", "23:59:59", "00:00:00", "06:59:59"], ["07:00:00", "12:00:00", "21:59:59"]),
        ("12:30-13:15", ["12:30:00", "13:14:59"], ["12:29:59", "13:15:00", "00:00:00"]),
        ("00:00-06:00", ["00:00:00", "05:59:59"], ["06:00:00", "23:59:59"]),
        ("18:00-00:00", ["18:00:00", "23:59:59"], ["00:00:00", "17:59:59"]),
        ("9:05 - 9:06", ["09:05:00", "09:05:59"], ["09:04:59", "09:06:00"]),
    ],
)
def test_quiet_hours_begin_with_their_start_and_end_before_their_end(span, quiet, loud):
    span = hours(span)
    assert all(utc(f"2025-09-01 {moment}") in span for moment in quiet)
    assert not any(utc(f"2025-09-01 {moment}") in span for moment in loud)


@pytest.mark.parametrize(
    ("moment", "quiet"), [("12:59:59", False), ("13:00:00", True), ("21:59:59", True), ("22:00:00", False)]
)
def test_quiet_hours_are_those_of_the_time_zone(moment, quiet):
    assert (utc(f"2025-09-01 {moment}") in hours("22:00-07:00", "Asia/Tokyo")) is quiet


# 2025-03-30 02:00 +01:00 is followed by 03:00 +02:00; 2025-10-26 03:00 +02:00 by 02:00 +01:00.
@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        ("22:00-07:00", "2025-03-29 21:00:00", "2025-03-30 04:59:59"),
        ("22:00-07:00", "2025-10-25 20:00:00", "2025-10-26 05:59:59"),
        # An end that the clock skips: it is over with the jump.
        ("01:00-02:30", "2025-03-30 00:00:00", "2025-03-30 00:59:59"),
        # A start that the clock skips: it begins with the jump.
        ("02:30-04:00", "2025-03-30 01:00:00", "2025-03-30 01:59:59"),
        # An hour that comes twice.
        ("02:00-03:00", "2025-10-26 00:00:00", "2025-10-26 01:59:59"),
        ("01:30-04:00", "2025-10-25 23:30:00", "2025-10-26 02:59:59"),
    ],
)
def test_quiet_hours_hold_on_the_nights_when_the_clock_changes(span, first, last):
    span = hours(span, "Europe/Berlin")
    first, last, second = utc(first), utc(last), timedelta(seconds=1)
    assert first - second not in span
    assert last + second not in span
    moment = first
    while moment <= last:
        assert moment in span
        moment += timedelta(minutes=5)
    assert last in span


def test_night_that_the_clock_skips_has_no_quiet_hours():
    span = hours("02:00-03:00", "Europe/Berlin")
    midnight = utc("2025-03-29 23:00:00")
    assert not any(midnight + timedelta(minutes=minute) in span for minute in range(23 * 60))


# ---- Quiet hours, in a run -------------------------------------------------------------------------------------------


@pytest.fixture
def around_now(tasks):
    """A span of the wall clock that holds the database's present moment, or (`away`) one that does not."""

    def around_now(zone: str = "UTC", *, away: int = 0) -> dict[str, str]:
        now = value(tasks.connection, "SELECT now()").astimezone(ZoneInfo(zone)) + timedelta(hours=away)
        start, end = now - timedelta(hours=1), now + timedelta(hours=1)
        return {"SLACK_QUIET_HOURS": f"{start:%H:%M}-{end:%H:%M}", "SLACK_TIMEZONE": zone}

    return around_now


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu"])
def test_quiet_hours_hold_alerts_and_the_first_run_after_them_tells_all(tasks, slack, route, around_now, caplog, zone):
    before = tasks.fail()
    SlackNotifier(settings=route(SLACK_WEBHOOK="a")).send_combined_notification()
    quiet = SlackNotifier(settings=route(SLACK_WEBHOOK="a", **around_now(zone)))
    elapse(tasks.connection, 60)
    held, stuck = tasks.fail(), tasks.add("in_progress", created=50, started=40)
    for _ in range(2):
        result = quiet.send_combined_notification()
        assert result["error"] is None
        assert result["failed_notification_sent"] is result["stuck_notification_sent"] is True
        elapse(tasks.connection, 120)
    assert "Quiet hours: 1 failed task kept for later" in caplog.messages
    assert told(slack, channel="a") == [[before]]
    late = tasks.fail()

    awake = SlackNotifier(settings=route(SLACK_WEBHOOK="a", **around_now(zone, away=5)))
    for _ in range(2):
        assert awake.send_combined_notification()["error"] is None
    assert told(slack, channel="a") == [[before], sorted([held, late])]
    assert told(slack, STUCK, "a") == [[stuck]]
    assert "since" in summary(slack.messages("a")[1])


def test_quiet_hours_hold_the_recovery(tasks, slack, route, around_now):
    task = tasks.add("in_progress", created=50, started=40)
    awake = SlackNotifier(settings=route(SLACK_WEBHOOK="a"))
    awake.send_stuck_tasks_notification()
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
    # However many they are: good news can wait.
    quiet = SlackNotifier(settings=route(SLACK_WEBHOOK="a", SLACK_CRITICAL_COUNT="1", **around_now()))
    assert quiet.send_stuck_tasks_notification() is True
    assert told(slack, RECOVERED, "a") == []
    assert awake.send_stuck_tasks_notification() is True
    assert [ids(m) for m in slack.messages("a") if title(m) == RECOVERED] == [[task]]


def test_quiet_hours_let_events_pass(slack, route, around_now):
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK="a", **around_now()))
    assert notifier.send_task_creation_notification("id", "key", {}) is True
    assert notifier.send_message("Hello") is True
    assert len(slack.messages("a")) == 2


def test_quiet_hours_are_a_good_run_of_the_program(tasks, slack, cli, around_now, heart):
    tasks.fail()
    done = cli(HEARTBEAT_URL=heart.address, **around_now())
    assert done.code == 0
    assert "Quiet hours: 1 failed task kept" in done.log
    assert slack.requests == []
    assert heart.beats == ["/"]


def test_first_runs_of_all_in_quiet_hours_drop_nothing(tasks, slack, route, around_now):
    quiet = SlackNotifier(settings=route(SLACK_WEBHOOK="a", **around_now()))
    task = tasks.fail()
    assert quiet.send_failed_tasks_notification() is True
    elapse(tasks.connection, 60)
    assert SlackNotifier(settings=route(SLACK_WEBHOOK="a")).send_failed_tasks_notification() is True
    assert told(slack, channel="a") == [[task]]


def test_failed_alert_goes_out_where_stuck_ones_have_no_destination(tasks, slack, route):
    task = tasks.fail()
    result = SlackNotifier(settings=route(SLACK_WEBHOOK_FAILED="a")).send_combined_notification()
    assert "no webhook for stuck messages" in result["error"]
    assert told(slack, channel="a") == [[task]]


def test_blind_alert_goes_out_where_stuck_ones_have_no_destination(tasks, slack, route):
    tasks.execute("ALTER TABLE tasks RENAME TO jobs")
    SlackNotifier(settings=route(SLACK_WEBHOOK_FAILED="a")).send_combined_notification()
    assert titles(slack, "a") == [BLIND]


@pytest.mark.slow
def test_more_destinations_than_time_are_told_by_and_by_and_none_twice(tasks, slack, notifier, monkeypatch):
    """Rather than to begin a post that may arrive after all, a run leaves it to the next."""
    # Of these, the last 4.5 are too late to begin with anything: a call has one connection for all.
    monkeypatch.setattr(slack_notifier, "CALL_SECONDS", 8)
    task = tasks.fail()
    urls = [slack.webhook(f"team-{number}") for number in range(9)]
    slack.answer(delay=1.5, times=None)
    many = notifier.settings._replace(webhooks={"": urls})
    runs = 0
    while not SlackNotifier(settings=many).send_failed_tasks_notification():
        runs += 1
        assert runs < 10
    assert runs
    for number in range(9):
        assert [task in str(message) for message in slack.messages(f"team-{number}")] == [True]
