"""Created and started events: python test_task_creation_notification.py"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

try:
    import pytest
    from hypothesis import example, given
    from hypothesis import strategies as st
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}: {sys.executable} -m pip install -r requirements-dev.txt")

from sandbox.slack import pings
from slack_notifier import Settings, SlackNotifier
from test_slack_notifier import TRIED, Odd, expected_message, is_now, only, titles

REQUEST = {
    "scenes": [{"duration": 15}, {"duration": 20}, {"duration": 10}],
    "global_subtitle_config": {"font": "Bangers-Regular.ttf", "size": 90, "position": "middle"},
    "logo": {"url": "https://example.com/logo.png", "position": "top-right", "size": 100},
}
TITLES = {"creation": "🎬 New Task Created", "start": "▶️ Task Started Processing"}


@pytest.fixture
def settings(slack):
    """Events need no database."""
    return Settings.from_environment({"SLACK_WEBHOOK": slack.webhook()})


def created(notifier: SlackNotifier, payload: Any = None, log_uri: Any = None) -> bool:
    return notifier.send_task_creation_notification("abc123", "test-api-key-12345", payload, log_uri)


def lines(slack) -> list[str]:
    """The text of the only message."""
    return only(slack)["text"].splitlines()


@pytest.mark.parametrize(
    ("kind", "sentence", "status", "time_label"),
    [
        ("creation", "Task `abc123` has been created and queued for processing.", "queued", "Created at"),
        ("start", "Task `abc123` has started processing.", "in_progress", "Started at"),
    ],
)
def test_event_message_is_as_documented(notifier, slack, kind, sentence, status, time_label):
    send = getattr(notifier, f"send_task_{kind}_notification")
    assert send("abc123", "test-api-key-12345", REQUEST, "https://logs.example.com/abc123") is True
    footer = lines(slack)[-1]
    sections = [
        sentence,
        f"*Task ID:* `abc123`\n*User API Key:* `test-api...`\n*Status:* {status}",
        ["*Scenes:* 3", "*Duration:* 45s"],
        "*Subtitle Config:* Font: Bangers-Regular.ttf, Size: 90, Position: middle\n"
        "*Logo Config:* Logo URL provided, Position: top-right, Size: 100\n"
        "*Logs:* <https://logs.example.com/abc123|View Task Logs>",
    ]
    assert only(slack) == expected_message(TITLES[kind], sections, footer)
    assert is_now(re.fullmatch(f"{time_label} (.*) UTC", footer)[1])


FIRST_OF_SCENES = [
    {"subtitle": True, "logo": {}},
    {"subtitle": True, "subtitle_config": {"font": "A.ttf", "font_size": 40}, "logo": {"size": [1, 2], "url": "x"}},
    {"subtitle_config": {"font": "B.ttf"}, "logo": {"position": "left"}},
]
OF_A_SCENE = {"subtitle_config": {"font": "Scene.ttf"}, "logo": {"position": "left"}}
EXTRAS = {"product_images": ["https://x/1.png"], "music": "calm", "background_music": {"url": "https://x/2.mp3"}}
NO_EXTRAS = {"product_images": [], "music": None, "background_music": False, "video_duration": ""}


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"scenes": [{"duration": 5}]}, ["Scenes: 1 | Duration: 5s"]),
        ({"scenes": [{}, {}]}, ["Scenes: 2"]),
        ({"scenes": [{"duration": 12.5}, {"duration": 20}]}, ["Scenes: 2 | Duration: 32.5s"]),
        ({"scenes": [{"duration": True}, {"duration": 4}]}, ["Scenes: 2"]),
        ({"scenes": [{"duration": 8}, {}, {}]}, ["Scenes: 3"]),
        ({"scenes": [{"duration": 8}, {}], "duration": 20}, ["Scenes: 2 | Duration: 20s"]),
        ({"scenes": [{"duration": 8}], "narration_text": "Once"}, ["Scenes: 1"]),
        ({"scenes": [{"duration": 8, "narration_text": "a"}], "narration_text": ""}, ["Scenes: 1 | Duration: 8s"]),
        ({"scenes": [{"duration": 8}], "total_duration": 30, "narration_text": "Once"}, ["Scenes: 1 | Duration: 30s"]),
        ({"scenes": [{"duration": "9"}, None, 3]}, ["Scenes: 3"]),
        *[({"scenes": [{"duration": odd}]}, ["Scenes: 1"]) for odd in (float("nan"), 10**400)],
        ({"scenes": "abc", "duration": 30}, ["Duration: 30s"]),
        ({"logo": {"size": [120, 80]}}, ["Logo Config: Size: 120 × 80"]),
        ({"logo": {"size": (0.5, 120)}}, ["Logo Config: Size: 0.5 × 120"]),
        ({"logo": {"size": [120, None]}}, ["Logo Config: Size: [120, None]"]),
        ({"subtitle_config": {"font": "A.ttf"}}, ["Subtitle Config: Font: A.ttf"]),
        ({"subtitle_config": {"size": 40, "position": "top"}}, ["Subtitle Config: Size: 40, Position: top"]),
        ({"logo_config": {"url": "https://x"}}, ["Logo Config: Logo URL provided"]),
        ({"logo_config": {"position": "left"}}, ["Logo Config: Position: left"]),
        ({"subtitle_config": {"font": "<!here> & `x`"}}, ["Subtitle Config: Font: &lt;!here&gt; &amp; 'x'"]),
        # The settings are those of the whole video, else of the first scene that has some.
        ({"scenes": [OF_A_SCENE], "global_subtitle_config": {"font": "All.ttf"}, "logo": {"size": 5}},
         ["Scenes: 1", "Subtitle Config: Font: All.ttf", "Logo Config: Size: 5"]),
        ({"scenes": FIRST_OF_SCENES},
         ["Scenes: 3", "Subtitle Config: Font: A.ttf, Size: 40", "Logo Config: Logo URL provided, Size: 1 × 2"]),
        # What is empty has no line.
        *[(empty, []) for empty in (None, {}, "", [])],
        ({"scenes": [{"subtitle": True}, {"logo": True}]}, ["Scenes: 2"]),
        *[({"subtitle_config": config}, []) for config in ({}, {"font": None}, {"font": ""}, [], "big", 7)],
        *[({"logo_config": config}, []) for config in ({}, {"url": ""}, None, ["url"], {"opacity": 1})],
        # Whatever else there is has its name in one line.
        ({"scenes": [{}], "video_duration": 30, **EXTRAS, "post_description": "Buy & smile"},
         ["Scenes: 1 | Duration: 30s", "Extras: product images, music, background music, post description"]),
        ({"logo": {"size": 5}, **NO_EXTRAS, "post_description": "Buy"},
         ["Logo Config: Size: 5", "Extras: post description"]),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_event_shows_only_what_the_request_holds_and_links_web_addresses_only(notifier, slack, payload, shown):
    assert created(notifier, payload, "gs://bucket/log.txt")
    assert lines(slack)[5:-1] == [*shown, "Logs: Not available yet"]


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("pr_live_4c81f0a27be9", "User API Key: `pr_live_...`"),
        ("12345678", "User API Key: `1234...`"),
        ("`<!channel>` and more", "User API Key: `'&lt;!chann...`"),
        (None, "Status: queued"),
        ("", "Status: queued"),
    ],
)
def test_event_never_shows_a_whole_key_and_without_one_no_line_for_it(notifier, slack, key, line):
    assert notifier.send_task_creation_notification("abc123", key, None)
    assert lines(slack)[3] == line
    assert lines(slack)[-2] == "Logs: Not available yet"


ODD = [None, 0, 3.5, True, "", "text", b"bytes", [], [[]], {}, {1: 2}, object(), Odd(), 10**5000, float("inf")]


@pytest.mark.parametrize("odd", ODD, ids=lambda value: type(value).__name__)
def test_event_of_odd_types_is_delivered(notifier, slack, odd):
    payload = {"scenes": odd, "duration": odd, "subtitle_config": {"font": odd, "size": odd}, "logo_config": odd}
    names = ("product_images", "music", "video_duration", "background_music", "post_description")
    payload |= dict.fromkeys(names, odd)
    assert notifier.send_task_creation_notification(odd, odd, odd, odd)
    assert notifier.send_task_start_notification("abc123", "key", payload)
    assert len(slack.messages()) == 2


TEXT = st.one_of(
    st.text(st.characters(), max_size=40),
    st.sampled_from(["<!channel>", "`" * 300, "&<>" * 2000, "\ud83c", "\u202e", "<https://evil|x>", "|", "\0\x1b[31m"]),
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=10,
)
CONFIG = st.dictionaries(st.sampled_from(["font", "size", "position", "url", "duration", "color"]), JUNK) | JUNK
CONFIGS = dict.fromkeys(["subtitle_config", "global_subtitle_config", "logo_config", "logo"], CONFIG)
SCENES = st.lists(CONFIG, max_size=5) | JUNK
REQUESTS = JUNK | st.fixed_dictionaries({}, optional={"scenes": SCENES, "duration": JUNK, **CONFIGS})


@pytest.mark.slow
@TRIED
@given(task_id=TEXT, key=TEXT, payload=REQUESTS, log_uri=st.none() | TEXT | TEXT.map("https://x/{}".format))
@example(task_id="&" * 5000, key="<>" * 500, payload=REQUEST, log_uri="https://x/" + "&" * 5000)
@example(task_id="😀" * 500, key="😀" * 500, payload={"logo": {"position": "<" * 900}}, log_uri="HTTPS://X/|y>z")
def test_event_of_any_content_is_accepted_and_pings_nobody(notifier, slack, task_id, key, payload, log_uri):
    slack.clear()
    assert notifier.send_task_creation_notification(task_id, key, payload, log_uri), slack.requests[-1].reason
    assert notifier.send_task_start_notification(task_id, key, payload, log_uri), slack.requests[-1].reason
    for message in slack.messages():
        assert not pings(message)
        assert message["text"].splitlines()[-1] == message["blocks"][-1]["elements"][0]["text"]


@pytest.mark.parametrize(("off", "on"), [("creation", "start"), ("start", "creation")])
def test_switched_off_event_is_not_sent_and_the_other_is(settings, slack, off, on):
    notifier = SlackNotifier(settings=settings._replace(**{f"notify_on_task_{off}": False}))
    sent = {kind: getattr(notifier, f"send_task_{kind}_notification")("a", "k", {}) for kind in TITLES}
    assert sent == {off: False, on: True}
    assert titles(slack) == [TITLES[on]]


def test_refused_event_returns_false_and_does_not_raise(notifier, slack, caplog):
    slack.answer(404, "no_service", times=None)
    assert created(notifier) is False
    assert "Failed to send Slack message: a created task to SLACK_WEBHOOK (" in caplog.text


# ---- Command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "event"), [("creation", "created"), ("start", "started")])
@pytest.mark.parametrize("switch", ["", "false"], ids=["on", "off"])
def test_test_flag_sends_a_sample_even_where_the_notice_is_off(run, slack, kind, event, switch):
    variables = {"SLACK_NOTIFY_ON_TASK_CREATION": switch, "SLACK_NOTIFY_ON_TASK_START": switch}
    done = run(f"--test-{kind}", SLACK_WEBHOOK=slack.webhook(), **variables)
    assert (done.code, done.out) == (0, "")
    assert f"INFO Slack message sent successfully: a {event} task to SLACK_WEBHOOK (" in done.log
    assert lines(slack)[0] == TITLES[kind]
    for part in ("Scenes: 3 | Duration: 45s", "Subtitle Config: Font: ", "Logo Config: Logo URL provided"):
        assert part in only(slack)["text"]


@pytest.mark.parametrize("kind", TITLES)
def test_test_flag_with_dry_run_prints_the_sample(run, slack, kind):
    done = run(f"--test-{kind}", "--dry-run", SLACK_WEBHOOK=slack.webhook())
    assert "Scenes: 3 | Duration: 45s\n" in done.out
    assert (done.code, slack.requests) == (0, [])
    assert done.out.startswith(TITLES[kind])
    payload = json.loads(run(f"--test-{kind}", "--dry-run", "--json").out)
    assert payload["blocks"][0]["text"]["text"] == TITLES[kind]


def test_test_flag_exits_1_where_the_webhook_refuses(run, slack):
    slack.answer(410, "channel_is_archived", times=None)
    done = run("--test-creation", SLACK_WEBHOOK=slack.webhook())
    assert done.code == 1
    assert "ERROR Failed to send Slack message: a created task to SLACK_WEBHOOK (" in done.log
    assert "channel_is_archived" in done.log


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
