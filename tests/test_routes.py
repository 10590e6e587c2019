"""Who is told what and when: several webhooks, one for a kind or a user; quiet hours."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from support import BLIND, CREATED, FAILED, RECOVERED, STARTED, STUCK, elapse, ledger, summary, title, told, value

import slack_notifier
from sandbox.slack import pings
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
def user_file(tmp_path, slack):
    """The file of the users' webhooks: of the first user alone, or of both."""

    def user_file(*channels: str) -> str:
        path = tmp_path / "users.json"
        path.write_text(json.dumps(dict(zip((USER, OTHER_USER), map(slack.webhook, channels)))))
        return str(path)

    return user_file


@pytest.fixture
def with_users(route, user_file):
    """A notifier of the common channel "all" and of those of users."""

    def with_users(*channels: str) -> SlackNotifier:
        return SlackNotifier(settings=route(SLACK_WEBHOOK="all", SLACK_USER_WEBHOOKS_FILE=user_file(*channels)))

    return with_users


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
    # A recovery goes where the stuck alert was.
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now() WHERE status = 'queued'")
    notifier.send_combined_notification()
    assert titles(slack, "STUCK") == [STUCK, RECOVERED]


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


# ---- Users -----------------------------------------------------------------------------------------------------------


def test_user_is_told_of_own_tasks_only_and_the_common_channel_of_all(tasks, slack, with_users):
    mine, others = tasks.fail(user_api_key=USER), tasks.fail(user_api_key=OTHER_USER)
    stuck = tasks.add("queued", created=40, user_api_key=USER)
    tasks.add("queued", created=40, user_api_key="nobody")
    notifier = with_users("mine", "others")
    for _ in range(2):
        notifier.send_combined_notification()
    assert told(slack, channel="mine") == [[mine]]
    assert told(slack, STUCK, "mine") == [[stuck]]
    assert told(slack, channel="others") == [[others]]
    assert titles(slack, "others") == [FAILED]
    assert told(slack, channel="all") == [sorted([mine, others])]
    assert len(slack.messages("all")) == 2


def test_users_figures_are_of_own_tasks(tasks, slack, with_users):
    for user in (USER, OTHER_USER):
        tasks.fail(user_api_key=user)
        tasks.add("queued", created=40, user_api_key=user)
    tasks.add("finished", updated=5, user_api_key=USER)
    with_users("mine").send_combined_notification()
    figures = {
        channel: [message["text"].rpartition(" UTC · ")[2] for message in slack.messages(channel)]
        for channel in ("mine", "all")
    }
    assert figures == {
        "mine": ["1 of 2 ended tasks failed · 1 user", "1 queued · 0 in progress in all"],
        "all": ["2 of 3 ended tasks failed · 2 users", "2 queued · 0 in progress in all"],
    }


def test_user_whose_webhook_is_the_common_one_has_a_state_of_its_own_which_names_neither(
    tasks, slack, with_users, watch
):
    task = tasks.fail(user_api_key=USER)
    with_users("all", "all").send_failed_tasks_notification()
    assert len(slack.messages("all")) == 2
    remembered = ledger(tasks.connection)
    assert len({row[0] for row in remembered}) == 3
    assert [row[2] for row in remembered].count(task) == 2
    watch.written.append(str(remembered))
    watch.secrets.add(USER)


def test_dead_webhook_of_a_user_is_made_up_for_and_touches_nobody_else(tasks, slack, with_users):
    task = tasks.fail(user_api_key=USER)
    notifier = with_users("mine", "others")
    slack.answer(404, "no_service", channel="mine")
    assert notifier.send_failed_tasks_notification() is False
    assert told(slack, channel="all") == [[task]]
    assert told(slack, channel="mine") == []
    later = tasks.fail(user_api_key=OTHER_USER)
    assert notifier.send_failed_tasks_notification() is True
    assert told(slack, channel="mine") == [[task]]
    assert told(slack, channel="others") == [[later]]
    assert told(slack, channel="all") == [[task], [later]]


def test_users_alone_are_enough(tasks, slack, route, user_file):
    task = tasks.fail(user_api_key=USER)
    tasks.fail(user_api_key=OTHER_USER)
    notifier = SlackNotifier(settings=route(SLACK_USER_WEBHOOKS_FILE=user_file("mine")))
    assert notifier.enabled
    assert notifier.send_failed_tasks_notification() is True
    assert told(slack, channel="mine") == [[task]]


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


# ---- --webhook-url ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flags", "messages"), [([], 2), (["--test-creation"], 1), (["--test-start"], 1)], ids=str)
def test_webhook_argument_replaces_every_webhook(tasks, slack, cli, run, database_url, user_file, flags, messages):
    tasks.fail(user_api_key=USER)
    tasks.add("queued", created=40, user_api_key=USER)
    variables = {f"SLACK_WEBHOOK_{kind}": slack.webhook("own") for kind in KINDS}
    arguments = (*flags, "--webhook-url", slack.webhook("argument"))
    assert cli(*arguments, SLACK_USER_WEBHOOKS_FILE=user_file("mine"), **variables).code == 0
    assert {request.channel for request in slack.requests} == {"argument"}
    assert len(slack.messages("argument")) == messages
    # Without it, the variable would be missed.
    assert "WARNING" not in run("--dry-run", *arguments, DATABASE_URL=database_url).log


# ---- Quiet hours, by the clock on the wall ---------------------------------------------------------------------------


def hours(text: str, zone: str) -> QuietHours:
    return Settings.from_environment({"SLACK_QUIET_HOURS": text, "SLACK_TIMEZONE": zone}).quiet_hours


def utc(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("span", "zone", "quiet", "loud"),
    [
        ("22:00-07:00", "UTC", ["22:00:00", "23:59:59", "00:00:00", "06:59:59"], ["07:00:00", "12:00:00", "21:59:59"]),
        ("12:30-13:15", "UTC", ["12:30:00", "13:14:59"], ["12:29:59", "13:15:00", "00:00:00"]),
        ("00:00-06:00", "UTC", ["00:00:00", "05:59:59"], ["06:00:00", "23:59:59"]),
        ("18:00-00:00", "UTC", ["18:00:00", "23:59:59"], ["00:00:00", "17:59:59"]),
        ("9:05 - 9:06", "UTC", ["09:05:00", "09:05:59"], ["09:04:59", "09:06:00"]),
        ("22:00-07:00", "Asia/Tokyo", ["13:00:00", "21:59:59"], ["12:59:59", "22:00:00"]),
    ],
)
def test_quiet_hours_of_the_time_zone_begin_with_their_start_and_end_before_their_end(span, zone, quiet, loud):
    span = hours(span, zone)
    assert all(utc(f"2025-09-01 {moment}") in span for moment in quiet)
    assert not any(utc(f"2025-09-01 {moment}") in span for moment in loud)


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
    assert last in span
    assert all(first + timedelta(minutes=minute) in span for minute in range(int((last - first).total_seconds()) // 60))


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


def test_quiet_hours_hold_the_recovery_which_calls_nobody(tasks, slack, route, around_now):
    task = tasks.add("in_progress", created=50, started=40)
    # However many they are: good news can wait.
    critical = {"SLACK_WEBHOOK": "a", "SLACK_CRITICAL_COUNT": "1", "SLACK_CRITICAL_MENTION": "<!here>"}
    awake = SlackNotifier(settings=route(**critical))
    awake.send_stuck_tasks_notification()
    tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
    assert SlackNotifier(settings=route(**critical, **around_now())).send_stuck_tasks_notification() is True
    assert told(slack, RECOVERED, "a") == []
    assert awake.send_stuck_tasks_notification() is True
    assert told(slack, RECOVERED, "a") == [[task]]
    assert [bool(pings(message)) for message in slack.messages("a")] == [True, False]


def test_events_and_own_messages_reach_common_webhooks_alone_and_in_quiet_hours(slack, route, user_file, around_now):
    routes = {"SLACK_WEBHOOK": "a,b", "SLACK_WEBHOOK_FAILED": "failed", "SLACK_USER_WEBHOOKS_FILE": user_file("mine")}
    notifier = SlackNotifier(settings=route(**routes, **around_now()))
    assert notifier.send_task_creation_notification("id", USER, {}) is True
    assert notifier.send_message("Hello") is True
    assert [len(slack.messages(channel)) for channel in ("a", "b", "failed", "mine")] == [2, 2, 0, 0]


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


def test_other_alerts_go_out_where_stuck_ones_have_no_destination(tasks, slack, route):
    task = tasks.fail()
    notifier = SlackNotifier(settings=route(SLACK_WEBHOOK_FAILED="a"))
    assert "no webhook for stuck messages" in notifier.send_combined_notification()["error"]
    assert told(slack, channel="a") == [[task]]
    tasks.execute("ALTER TABLE tasks RENAME TO jobs")
    notifier.send_combined_notification()
    assert titles(slack, "a") == [FAILED, BLIND]


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
