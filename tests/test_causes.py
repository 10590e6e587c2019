"""What the alerts say beyond the list of tasks: the causes, the share of failures, and whether the workers run."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest
from support import causes_in_sql

import slack_notifier
from sandbox.postgres import elapse
from sandbox.slack import SlackStandIn, pings
from slack_notifier import Settings, SlackNotifier


@pytest.fixture
def causes(database_url):
    """The causes of failures with these errors as PostgreSQL groups them, most frequent first, and how often each."""

    def causes(*errors: str | None) -> list[tuple[str, int]]:
        found = causes_in_sql(database_url, list(errors))
        lines = [slack_notifier.cause_text(error) for error in errors]
        names = dict(zip(found, lines))
        return [(names[cause], count) for cause, count in Counter(found).most_common()]

    return causes


def traceback(*last_lines: str) -> str:
    stack = '  File "/app/main.py", line 214, in process\n    pipeline.render(task_id)'
    return "\n".join(["Traceback (most recent call last):", stack, *last_lines])


def logged(text: str, second: int) -> str:
    """As a log has the lines."""
    return "".join(f"2026-11-28T10:00:{second:02} worker: {line}\n" for line in text.split("\n"))


def texts(message: dict[str, Any]) -> list[str]:
    return [block["text"]["text"] for block in message["blocks"] if "text" in block]


def footer(message: dict[str, Any]) -> str:
    return message["blocks"][-1]["elements"][0]["text"]


# ---- Which errors are one cause --------------------------------------------------------------------------------------

UUIDS = ("6f1c2a94-8d3b-4e57-9a60-2b7de15c0f83", "B04E7D15-52F9-4C0A-8F1E-C9A36D8420B7")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"task {UUIDS[0]} failed", f"task {UUIDS[1]} failed"),
        (f"scene_{UUIDS[0]}.mp4 is missing", f"scene_{UUIDS[1]}.mp4 is missing"),
        ("cannot read /tmp/render/a1/in.mp4", "cannot read /var/b/out-2.mp4"),
        ("cannot read /tmp", "cannot read /var"),
        ("cannot read render/a1/in.mp4: gone", "cannot read render/b2/other.mp4: gone"),
        (r"cannot read C:\render\a.mp4", r"cannot read D:\b.mp4"),
        ("no font 'Bangers'", "no font 'Arial Bold'"),
        ('no font "Bangers"', 'no font "Arial Bold"'),
        ("no font `Bangers`", "no font `Arial Bold`"),
        ("GET https://a.example/x?y=1 failed", "GET http://b.example/ failed"),
        ("GET s3://bucket/key failed", "GET s3://other failed"),
        ("after 100000 bytes", "after 99999 bytes"),
        ("scene 3 of 14 (frame 210)", "scene 12 of 14 (frame 7)"),
        ("Thread-7 in render_3 at 0.5 s", "Thread-12 in render_14 at 2.25 s"),
        ("at 2026-11-28T10:00:01.5Z", "at 2026-12-01T23:15:00.25Z"),
        ("ffmpeg exited with code 137 in scene 3", "ffmpeg exited with code 137 in scene 4"),
        (traceback("KeyError: 'duration'"), traceback("KeyError: 'size'")),
        (logged(traceback("KeyError: 'duration'"), 1), logged(traceback("KeyError: 'size'"), 12)),
        ("frame 12345 lost", "frame 67890 lost"),
        ("object at 0x7f3a4c5d6e7f", "object at 0x7FFFFFFF0000"),
        ("commit 82a43db1", "commit 68fb2d570a"),
        ("digest 2f6d0c9b1e7a4835d2c6f09b8e1a7c35 differs", "digest 00000000000000000000000000000000 differs"),
    ],
)
def test_errors_that_differ_in_a_name_are_one_cause(causes, first, second):
    [(cause, total)] = causes(first, second)
    assert total == 2
    assert "…" in cause


SIGNALS = "Command '['ffmpeg', '-i', '/tmp/a.mp4']' died with <Signals.{}>."
BEHIND = "for PUT /render/" + "a" * 300


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("HTTP 429", "HTTP 500"),
        ("HTTP 429 for https://a.example", "HTTP 500 for https://a.example"),
        (f"Upload {BEHIND} refused: HTTP 403", f"Upload {BEHIND} refused: HTTP 500"),
        ("ffmpeg exited with code 137", "ffmpeg exited with code 139"),
        ("Command '['a']' returned non-zero exit status 1.", "Command '['a']' returned non-zero exit status 137."),
        ("[Errno 13] Permission denied: '/a'", "[Errno 28] No space left on device: '/a'"),
        ("[Errno 13] '/a'", "[Errno 28] '/a'"),
        ("terminated by signal 9", "terminated by signal 11"),
        (SIGNALS.format("SIGKILL: 9"), SIGNALS.format("SIGSEGV: 11")),
        ("Client error '401 Unauthorized' for url 'https://a'", "Client error '429 Too Many Requests' for url 'https://a'"),
        ("401 Client Error: for url: https://a", "429 Client Error: for url: https://a"),
        ('Error code: 429 - {"error": "a"}', 'Error code: 500 - {"error": "a"}'),
        ('{"code": 401, "detail": 5}', '{"code": 403, "detail": 5}'),
        ('{"error": "no codec", "scene": 3}', '{"error": "disk full", "scene": 3}'),
        ("body: {'status': 'quota_exceeded'}", "body: {'status': 'voice_not_found'}"),
        ("Permission denied", "No space left on device"),
        ("KeyError: scenes", "KeyError: duration"),
        ("cannot write mp4", "cannot write mp3"),
        (json.dumps({"exc": traceback("E: no codec")}), json.dumps({"exc": traceback("E: disk full")})),
        (logged(traceback("E: no codec"), 1), logged(traceback("E: disk full"), 2)),
        (traceback("E: ffmpeg said:", "frame 1", "no codec"), traceback("E: ffmpeg said:", "frame 1", "disk full\n\n")),
        (f"x\n{traceback('E: no codec')}", f"x\n{traceback('E: disk full')}"),
    ],
)  # fmt: skip
def test_errors_that_differ_in_kind_are_two_causes(causes, first, second):
    assert sorted(causes(first, second)) == sorted([(causes(first, first)[0][0], 1), (causes(second, second)[0][0], 1)])


def test_an_unset_an_empty_and_a_blank_error_are_one_cause(causes):
    assert causes(None, None, "", "  \n", "\t") == [("No error message", 5)]


def test_a_cause_that_is_cut_within_a_name_is_one(causes):
    long = "frame dropped, " * 18
    assert len(causes(long + UUIDS[0], long + UUIDS[1])) == 1


# ---- Which line of an error is its cause -----------------------------------------------------------------------------


def test_the_cause_is_what_stands_before_the_stack_with_the_exception(causes):
    assert causes(traceback("E: out of memory"), traceback("E: out of memory", "")) == [("E: out of memory", 2)]
    first, second = (f"Upload failed\n{traceback(raised)}" for raised in ("E: x", "E: y"))
    assert sorted(causes(first, second, first)) == [("Upload failed: E: x", 2), ("Upload failed: E: y", 1)]
    # One that says the same as the text before it says it once.
    said = [f"{FAILED} no font {n!r}\n{traceback(f'{kind}: no font {n!r}')}" for kind in "EF" for n in "abc"]
    assert sorted(causes(*said)) == [(f"{FAILED} {kind}: no font …", 3) for kind in "EF"]


GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/app/main.py", line 9, in process
  |     raise ExceptionGroup("several", errors)
  | ExceptionGroup: several (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/main.py", line 3, in scene
    | ValueError: 1
    +---------------- 2 ----------------
    | Exception Group Traceback (most recent call last):
    |   File "/app/main.py", line 5, in scenes
    |     raise ExceptionGroup("inner", errors)
    | ExceptionGroup: inner (1 sub-exception)
    +-+---------------- 1 ----------------
      | Traceback (most recent call last):
      |   File "/app/main.py", line 3, in scene
      | KeyError: 'z'
      +------------------------------------
"""
KEY_ERROR = traceback("KeyError: 'duration'")
CAUSED = "\n\nThe above exception was the direct cause of the following exception:\n\n"
DURING = "\n\nDuring handling of the above exception, another exception occurred:\n\n"
FAILED = "Task processing failed:"
SEVERAL = "several (2 sub-exceptions)"
PARTS = "ValueError: 1 ExceptionGroup: inner (1 sub-exception) KeyError: 'z'"
BOOM = ("app.Boom: a", "DETAIL:  b", "HINT: c")
GONE = "requests.exceptions.ConnectionError: gone"
# The error and its line.
ERRORS = [
    (f"{FAILED} 'duration'\n{KEY_ERROR}", f"{FAILED} KeyError: 'duration'"),
    (f"{FAILED} \n{traceback('MemoryError')}", f"{FAILED} MemoryError"),
    (f"{FAILED}\n{traceback('MemoryError', '')}", f"{FAILED} MemoryError"),
    (f"{FAILED} KeyError: 'duration'\n{KEY_ERROR}", f"{FAILED} KeyError: 'duration'"),
    (f"'duration'\n{KEY_ERROR}", "KeyError: 'duration'"),
    (f"Upload failed\n{KEY_ERROR}", "Upload failed: KeyError: 'duration'"),
    (f"Exit x\n{traceback('E.Rare: x')}", "Exit x: E.Rare: x"),
    (f"{FAILED} broke\n{KEY_ERROR}{CAUSED}{traceback('RenderError: broke')}", f"{FAILED} RenderError: broke"),
    (f"{FAILED} broke\n{KEY_ERROR}{DURING}{traceback('RenderError: broke')}", f"{FAILED} RenderError: broke"),
    (KEY_ERROR + DURING + traceback("RenderError: broke"), "RenderError: broke"),
    (f"{FAILED} a\nDETAIL:  b\nHINT: c\n{traceback(*BOOM)}", f"{FAILED} app.Boom: a DETAIL: b HINT: c"),
    (traceback("app.Boom: a", "  indented", "DETAIL: b"), "app.Boom: a indented DETAIL: b"),
    (traceback("app.Boom: a", "", "the worker goes on"), "app.Boom: a the worker goes on"),
    (f"{FAILED} gone\n{traceback(GONE)}", f"{FAILED} {GONE}"),
    (f"{FAILED} ConnectionError: gone\n{traceback(GONE)}", f"{FAILED} ConnectionError: gone"),
    (f"{FAILED} x\n{traceback('__main__.f.<locals>.Odd: x')}", f"{FAILED} __main__.f.&lt;locals&gt;.Odd: x"),
    # Of a group, what its parts raised.
    (f"{FAILED} {SEVERAL}\n{GROUP}", f"{FAILED} ExceptionGroup: {SEVERAL} {PARTS}"),
    (GROUP, f"ExceptionGroup: {SEVERAL} {PARTS}"),
    (f"{FAILED} broke\n{GROUP}{CAUSED}{traceback('RenderError: broke')}", f"{FAILED} RenderError: broke"),
    (f"{FAILED} {SEVERAL}\n{KEY_ERROR}{CAUSED}{GROUP}", f"{FAILED} ExceptionGroup: {SEVERAL} {PARTS}"),
    (f"{FAILED} x\n{traceback()}", f"{FAILED} x"),
    (traceback(), "pipeline.render(task_id)"),
    (f"{FAILED} x\n{traceback('no type: of any kind')}", f"{FAILED} x: no type: of any kind"),
]


@pytest.mark.parametrize(("error", "line"), ERRORS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_line_of_an_error_names_the_exception(error, line, line_end):
    assert slack_notifier.error_line(error.replace("\n", line_end)) == line


@pytest.mark.slow
def test_errors_of_megabytes_have_the_cause_of_their_ends(database_url):
    stack = traceback(*["  stack"] * 300_000, "RuntimeError: the end")
    assert len({*causes_in_sql(database_url, [stack, f"{stack}\n", traceback("RuntimeError: the end")])}) == 1


# ---- Causes in the message -------------------------------------------------------------------------------------------


def fail_often(tasks: Any, error: str, count: int) -> None:
    tasks.execute(
        "INSERT INTO tasks (id, user_api_key, status, error, created_at, started_at, updated_at) "
        "SELECT md5(%(error)s || i), 'user-' || mod(i, 3), 'failed', %(error)s, now() - interval '3 minutes', "
        "now() - interval '2 minutes', now() - interval '1 minute' FROM generate_series(1, %(count)s) AS i",
        {"error": error, "count": count},
    )


def groups(message: dict[str, Any]) -> list[list[str]]:
    """The lines of each cause, its heading first; what is in no group stands alone."""
    return [text.split("\n") for text in texts(message)[2:] if text.startswith(("*", "…"))]


def test_a_cause_names_count_users_and_its_first_tasks_but_no_secret(notifier, slack, tasks):
    fail_often(tasks, "HTTP 500 for https://a.example", 30)
    fail_often(tasks, "HTTP 429 <&> password=hunter2trump", 2)
    assert notifier.send_failed_tasks_notification()
    first, second = groups(slack.messages()[0])
    assert first[0] == "*30 × HTTP 500 for … · 3 users*"
    assert second[0] == "*2 × HTTP 429 &lt;&amp;&gt; password=[masked] · 2 users*"
    assert "hunter2" not in slack.requests[-1].body.decode()
    listed = [line for line in first + second if re.fullmatch(r"• `[0-9a-f]{32}` 1 min ago", line)]
    assert len(set(listed)) == 3 + 2
    assert (len(first), first[-1], len(second)) == (5, "… and 27 more", 3)


def test_new_causes_stand_first(notifier, slack, tasks):
    assert notifier.send_failed_tasks_notification()
    elapse(tasks.connection, 2 * 24 * 60)
    for number, error in enumerate(["no codec"] * 5 + ["disk full"] * 2):
        tasks.fail(updated=0, error=error)
        if number == 0:
            assert notifier.send_failed_tasks_notification()
    assert notifier.send_failed_tasks_notification()
    headings = [lines[0] for lines in groups(slack.messages()[-1])]
    assert headings == ["*2 × disk full · 1 user 🆕*", "*4 × no codec · 1 user (5× in 7 days)*"]


def test_more_causes_than_fit_are_counted(notifier, slack, tasks):
    for number in range(60):
        fail_often(tasks, f"error {number} " + "of many words " * 8, 2)
    assert notifier.send_failed_tasks_notification()
    *shown, more = groups(slack.messages()[0])
    assert len(shown) == slack_notifier.MAX_CAUSES
    left = 60 - len(shown)
    assert more == [f"… and {left} more causes ({2 * left} tasks)"]


# ---- The share of failures -------------------------------------------------------------------------------------------


def test_the_share_counts_what_ended_in_the_window(notifier, slack, tasks):
    for number in range(12):
        tasks.fail(user_api_key=f"user-{number % 3}")
    tasks.add("finished", updated=29)
    tasks.add("cancelled", updated=29)
    tasks.add("finished", updated=31)
    for waiting in ("queued", "in_progress", "inprogress"):
        tasks.add(waiting, created=1)
    assert notifier.send_failed_tasks_notification()
    assert footer(slack.messages()[0]).endswith(" · Critical: 12 of 14 ended tasks failed · 3 users")


def test_the_share_of_a_catch_up_covers_its_span(notifier, slack, tasks):
    assert notifier.send_failed_tasks_notification()
    tasks.execute("UPDATE slack_notifications SET event_at = now() - interval '5 hours'")
    for minutes in (5, 170):
        tasks.fail(updated=minutes)
    tasks.add("finished", updated=299)
    tasks.add("finished", updated=301)
    assert notifier.send_failed_tasks_notification()
    message = slack.messages()[0]
    assert "2 tasks failed since " in message["text"]
    assert footer(message).endswith(" · 2 of 3 ended tasks failed · 1 user")


# ---- Are the workers running? What is critical -----------------------------------------------------------------------

NOBODY = "No task has started or ended {}: are the workers running?"


def task(status: str, created: Any = 60, **times: Any) -> dict[str, Any]:
    return {"status": status, "created": created, **times}


QUEUED, FINISHED = task("queued"), task("finished", 200, updated=31)
SEEN = "since 2025-09-01 11:58:59 UTC"


@pytest.mark.parametrize(
    ("tasks_then", "since"),
    [
        pytest.param([QUEUED], "yet", id="no task ever started"),
        pytest.param([QUEUED, task("in_progress", 90, started=29)], None, id="started lately"),
        pytest.param([QUEUED, task("in_progress", 90, started=31)], "since", id="started long ago"),
        *[
            pytest.param([QUEUED, task(status, 200, started=started, updated=minutes)], since, id=f"{status} {minutes}")
            for status, started in (("finished", None), ("cancelled", None), ("failed", 190))
            for minutes, since in ((29, None), (31, "since"))
        ],
        # A checker of timeouts makes it of a task that waits.
        pytest.param([QUEUED, task("failed", updated=1)], "yet", id="a failure that never started is no sign"),
        pytest.param([FINISHED, task("failed", updated=5)], "since", id="failed and never started"),
        pytest.param([FINISHED, task("failed", started=35, updated=5)], None, id="failed and started"),
        pytest.param([{**FINISHED, "updated": 29}, task("failed", updated=5)], None, id="another ended lately"),
        pytest.param([task("inprogress", 90, started=80)], None, id="only tasks in progress are stuck"),
        pytest.param(
            [
                task("queued", "2025-09-01 12:00"),
                task("finished", "2025-09-01 10:00", updated="2025-09-01 11:58:59"),
                task("in_progress", "2025-09-01 10:00", started="2025-09-01 11:57"),
            ],
            SEEN,
            id="last seen at",
        ),
    ],
)
def test_workers_are_missed_where_none_has_given_a_sign_for_long(notifier, slack, tasks, tasks_then, since):
    for columns in tasks_then:
        tasks.add(**columns)
    assert notifier.send_combined_notification()["error"] is None
    message = slack.messages()[-1]
    assert ("No task has started or ended" in message["text"]) is (since is not None)
    if since in ("yet", SEEN):
        assert NOBODY.format(since) in texts(message)
        assert NOBODY.format(since) in message["text"].split("\n")


def critical(database_url: str, slack: SlackStandIn, **changes: Any) -> SlackNotifier:
    """A notifier in quiet hours, which only what is critical breaks."""
    all_day = slack_notifier.QuietHours(datetime.min.time(), datetime.max.time(), timezone.utc)
    settings = Settings(database_url=database_url, critical_mention="<!here>", quiet_hours=all_day, **changes)
    return SlackNotifier(slack.webhook(), settings=settings)


FAILURE, LATELY = task("failed", started=59, updated=5), task("finished", updated=5)


@pytest.mark.parametrize(
    ("tasks_then", "share", "sent"),
    [
        pytest.param([QUEUED], 50, 1, id="nobody works"),
        pytest.param([QUEUED, LATELY], 50, 0, id="one task is stuck"),
        pytest.param([task("in_progress", 50, started=40), LATELY] * 9, 0, 0, id="9 stuck tasks"),
        pytest.param([task("in_progress", 50, started=40), LATELY] * 10, 0, 1, id="10 stuck tasks"),
        pytest.param([FAILURE] * 9, 0, 0, id="9 failures"),
        pytest.param([FAILURE] * 10, 0, 1, id="10 failures"),
        pytest.param([FAILURE] * 5 + [LATELY] * 5, 50, 1, id="half of ten failed"),
        pytest.param([FAILURE] * 4 + [LATELY] * 5, 50, 0, id="less than half failed"),
        pytest.param([FAILURE] * 4, 50, 0, id="all of four failed"),
        pytest.param([FAILURE] * 5, 0, 0, id="without a share"),
        pytest.param([task("failed", updated=1)], 50, 1, id="a failure that no worker ever started"),
        pytest.param([task("failed", started=35, updated=1)], 50, 0, id="a failure"),
    ],
)
def test_what_is_critical_breaks_the_quiet_hours_and_calls_someone(database_url, slack, tasks, tasks_then, share, sent):
    for columns in tasks_then:
        tasks.add(**columns)
    assert critical(database_url, slack, critical_share=share).send_combined_notification()["error"] is None
    assert [pings(message) for message in slack.messages()] == [["<!here>", "<!here>"]] * sent


@pytest.mark.slow
def test_the_same_trouble_calls_people_once_an_hour_and_another_at_once(database_url, slack, tasks):
    notifier = critical(database_url, slack, critical_count=1)
    called = []
    failures = [(0, "disk full"), (20, "disk full"), (20, "no codec"), (30, "disk full"), (31, "no codec")]
    # The last of them an hour after its own last report, not after the last call.
    for minutes, error in [*failures, (31, "disk full")]:
        elapse(tasks.connection, minutes)
        tasks.fail(updated=0, error=error)
        assert notifier.send_failed_tasks_notification()
        called += ["<!here>" in pings(message) for message in slack.messages()]
        slack.clear()
    assert called == [True, False, True, False, True, True]


@pytest.mark.parametrize("sign", ["created", "started", "updated"])
def test_a_stuck_task_waits_since_its_last_sign_of_life(notifier, slack, tasks, sign):
    moments = {"created": 300, "started": 200, "updated": 100, sign: 65}
    for _ in range(6):
        tasks.add("inprogress", **moments)
    assert notifier.send_stuck_tasks_notification()
    assert slack.messages()[0]["text"].count("` for 1 h 5 min") == 6
