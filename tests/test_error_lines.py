"""The line that an alert shows of an error: texts from the field and of real libraries must show what broke.

`tests/errors/field` has texts that were met, `tests/errors/provoked` those of libraries that were made to fail, with
their stacks shortened; `must_show.json` has what an operator must see of each, written before the line was looked at.
"""

from __future__ import annotations

import html
import json
import random
import re
import time
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from support import causes_in_sql

import slack_notifier
from slack_notifier import ERROR_CHARACTERS, TRACEBACK, cause_text, error_line, task_info

ERRORS = Path(__file__).with_name("errors")
MUST_SHOW = {
    folder: json.loads((ERRORS / folder / "must_show.json").read_text("utf-8")) for folder in ("field", "provoked")
}
TEXTS = {
    (folder, name): (ERRORS / folder / f"{name}.txt").read_bytes().decode()
    for folder, names in MUST_SHOW.items()
    for name in names
}
# Instead of a rule's pattern.
NEVER = r"$never^"


def line_of(error: str, characters: int = ERROR_CHARACTERS) -> str:
    return html.unescape(error_line(error, characters))


def hidden(folder: str) -> list[str]:
    """The texts of which the line does not show what it must."""
    return [
        name
        for name, wanted in MUST_SHOW[folder].items()
        if not all(words in line_of(TEXTS[folder, name]) for words in wanted)
    ]


# ---- What broke ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("folder", "texts"), [("field", 37), ("provoked", 51)])
def test_the_line_shows_what_broke(figures, folder, texts):
    found = hidden(folder)
    figures(**{f"of {texts} {folder}": texts - len(found)})
    assert len(MUST_SHOW[folder]) == texts
    assert found == []


@pytest.mark.parametrize(
    ("rule", "attribute", "least"),
    [
        ("a stack is left out", "_STACK", 5),
        ("what says nothing is left out", "_SILENT", 3),
        ("lines that complain come first", "_COMPLAINT", 5),
        ("terminal codes are taken out", "_INVISIBLE", 2),
    ],
)
def test_each_rule_shows_texts_that_nothing_else_does(figures, monkeypatch, rule, attribute, least):
    monkeypatch.setattr(slack_notifier, attribute, NEVER)
    lost = [name for folder in MUST_SHOW for name in hidden(folder)]
    figures(**{rule: len(lost)})
    assert len(lost) >= least


@pytest.mark.parametrize("key", TEXTS, ids="/".join)
def test_no_line_is_too_long(key):
    for characters in (ERROR_CHARACTERS, 100):
        line = line_of(TEXTS[key], characters)
        assert len(line.replace("...", "")) <= characters
        assert not re.search("[\n\x1b]", line)


def test_lines_of_the_corpus_are_read_quickly():
    """In milliseconds of CPU that a slow machine keeps as well: a quarter of the pace on one core."""
    texts = [text for (folder, _), text in TEXTS.items() if folder == "field"]
    started = time.process_time()
    for _ in range(20):
        for text in texts:
            error_line(text)
    assert (time.process_time() - started) / (20 * len(texts)) < 1 / 500


STACK = f'{TRACEBACK}:\n  File "/app/render.py", line 88, in render\n    clip.write(out)\n'
STACK_END = '  File "/app/line.py", line 2, in run\n    run()\n'
SAID = [
    (f"Captacity failed: {STACK}ModuleNotFoundError: No module named 'x'",
     "Captacity failed: ModuleNotFoundError: No module named 'x'"),
    (f"Exception in thread Thread-7:\n{STACK}ValueError: a b", "Exception in thread Thread-7: ValueError: a b"),
    (f"Upload failed: ValueError('a b')\n{STACK}ValueError: a b", "Upload failed: ValueError('a b')"),
    (f"a: {STACK}    '-----BEGIN PRIVATE KEY-----'\n{STACK_END}    '-----END PRIVATE KEY-----'\nValueError: b",
     "a: ValueError: b"),
    (f"{STACK}ValueError: a b\nscene 3 of 7", "ValueError: a b scene 3 of 7"),
    # A quotation, also in another; JSON; lines that begin with a time or a name.
    (f"worker failed: {STACK + 'ValueError: a b'!r}", "worker failed: ValueError: a b'"),
    (json.dumps({"stderr": f"x {STACK + 'ValueError: a b'!r}"}), '{"stderr": "x: ValueError: a b\''),
    (json.dumps({"error": f"render failed\n{STACK}E: a 'b'", "type": "E"}), '{"error": "render failed: E: a \'b\''),
    (json.dumps({"traceback": f"{STACK}E: a", "type": "E"}), "E: a"),
    ("".join(f"2026-11-28 10:00:0{n} x{line}\n" for n, line in enumerate(f"{STACK}E: a".split("\n"))), "E: a"),
    ("".join(f"worker-1 | {line}\n" for line in f"{STACK}E: a".split("\n")), "E: a"),
    # What is overwritten or coloured; logs; other languages.
    ("10%|# | 3/30\r20%|## | 6/30\r\nE: a", "E: a"),
    ("uploading 10\ruploading 20\rupload refused", "upload refused"),
    ("\x1b[31mE\x1b[0m: \x1b]8;;https://a.example\x07a\x1b]8;;\x07", "E: a"),
    (f"2026-11-28 10:00 INFO loading\nrender failed\n{STACK}E: a", "render failed: E: a"),
    ("Error: a\n    at render (/app/a.js:1:2)\n    at node:internal/main:3:4", "Error: a"),
    ("E: a\n\tat A.b(A.java:1)\nCaused by: F: c\n\tat A.c(A.java:2)\n\t... 12 more", "E: a Caused by: F: c"),
    ("a.rb:3:in `render': no bitrate (E)\n\tfrom a.rb:7:in `main'", "a.rb:3:in 'render': no bitrate (E)"),
    # The title of a page; nothing but what is else not shown.
    (f"<html>\n<head>\n<title>504: Gateway time-out</title>\n{'<meta x>' * 30}\n</head>\n</html>",
     "<html> <title>504: Gateway time-out</title> </html>"),
    ("10%|# | 3/30 [00:01, 3it/s]", "10%|# | 3/30 [00:01, 3it/s]"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "line"), SAID)
def test_the_line_of(error, line):
    assert line_of(error) == line


def test_plain_prose_is_cut_at_its_end_and_anything_else_in_its_middle():
    prose = "Very long error message " * 20
    assert line_of(prose) == f"{prose[:200].strip()}..."
    for mark in ':"(<\n':
        line = line_of(f"Upload {mark} {'x y ' * 100} no space left")
        assert re.fullmatch(r"Upload .*\.\.\..*no space left", line)
    # What stands before the exception leaves it most of the room, and takes what it does not need.
    line = line_of(f"{'Upload x. ' * 40}\n{STACK}OSError: {'y ' * 100}no space left")
    assert re.fullmatch(r"Upload x\. .*: OSError: y .*no space left", line)
    assert line_of(f"{'Upload x. ' * 40}\n{STACK}OSError: full").count("Upload") > 12


# ---- Masked first ----------------------------------------------------------------------------------------------------

KEY_LINES = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 3
KEY = f"-----BEGIN PRIVATE KEY-----\n{KEY_LINES}-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    "error",
    [
        # The name of a secret stands in a line or a part that is not shown.
        "api_key=\nhunter2trump",
        "10%|# | password=\nhunter2trump",
        "E: a\n    at password=\nhunter2trump",
        "password: " + "x" * 150 + " no " + "\npassword:\n\nhunter2trump",
        "Login: " + "x y " * 40 + "Authorization: Bearer " + "hunter2trump" * 9,
        f"{KEY}\nE: a",
        f"Cannot read {KEY}",
        f"E: {'x ' * 200}\n{KEY}",
        json.dumps({"error": f"{STACK}E: {KEY}"}),
        repr(f"{STACK}E: password=hunter2trump"),
        r"E: password=\nhunter2trump",
        # A frame that is left out closes a quote.
        f'login(password="ab\n{STACK}  File "a.py", line 1, in f\n    d["k"]\n{STACK_END}E: token="hunter2trump"',
        # Its beginning was cut off, by whoever kept the end of a log.
        f"{KEY_LINES}-----END PRIVATE KEY-----\nE: a",
        f"{KEY_LINES}-----END RSA PRIVATE KEY-----\nE: a",
        # SQL has cut the middle.
        f"E: a{slack_notifier.SHOWN_JOINT}hunter2trump b",
        f"E: a{slack_notifier.SHOWN_JOINT} hunter2trump b",
        f"E: a{slack_notifier.SHOWN_JOINT}vQIB\n{KEY_LINES}-----END PRIVATE KEY-----\nE: a",
        f"E: {KEY}\nb{slack_notifier.SHOWN_JOINT}vQIB\n{KEY_LINES}-----END PRIVATE KEY-----\nE: a",
    ],
)
def test_a_secret_is_masked_before_anything_is_cut_or_left_out(error):
    for line in (error_line(error), error_line(error, 40), cause_text(error)):
        assert not re.search("hunter2|MIIEvQ|ADANBg", line)


def test_a_secret_that_the_cut_of_a_long_error_halves_is_not_shown():
    for place in range(9985, 10_020):
        error = "E: " + "x" * (place - 24) + " password is hunter2trump\nE: " + "y" * 9990 + "\nE: b"
        assert not re.search("hunter2|unter2trump|trump", error_line(error))


HOSTILE = """
( ' " {"a": "a": " \\ \\' -----END_KEY----- -----BEGIN_ Traceback_(most_recent_call_last) \\n__ \\\\n__ │ ─ | + 1 - x_
headers:{ headers:a( headers:{} ffmpeg_version_ INFO x_INFO frame= 1%| it/s --:-- a:1:_ at_a( from_:1 'a '1a' 401_ code_
[cut] error_ a. a<: =a =/a / a/ fF:-T } , ": > password= token= //a@ \x1b] \x1b[1; \u200d a\u200d \r \r\n \n \n_ \n,
\n\tat_ \n:1:1:_xWarning \n1:1:in_ \n> \v \f \t token http://a? a://b:c eyJaaaaaaa. sk- bearer_
-----BEGIN_PRIVATE_KEY-----
"""  # fmt: skip


@pytest.mark.slow
def test_no_text_takes_long():
    """Twice the text takes about twice as long, whatever it is made of: 20 kB in a fraction of a second.

    Of megabytes, no more is read than that."""
    pieces = [written.strip("\n").replace("_", " ") or "\n" for written in HOSTILE.split(" ")]
    texts = [start + piece * 20_000 for piece in pieces for start in ("", f"x: {TRACEBACK}:\n")]
    for error in [*(text[:20_000] for text in texts), "token=a, " * 1_000_000]:
        started = time.process_time()
        error_line(error)
        cause_text(error)
        task_info({"id": error})
        assert time.process_time() - started < 1, error[:50]


# ---- A heading is true of all that stand below it --------------------------------------------------------------------


def varied(text: str, chance: random.Random) -> str:
    """The text of another task with perhaps the same cause: other numbers, paths, names; something else; cut off."""
    if chance.random() < 0.5:
        text = re.sub(r"\d+", lambda found: chance.choice([found[0], str(chance.randint(0, 999))]), text)
    if chance.random() < 0.7:
        paths = [lambda found: found[0], lambda found: "/a/" + "x" * chance.randint(0, 300), lambda found: "/b"]
        text = re.sub(r"/[\w./-]+", lambda found: chance.choice(paths)(found), text)
    if chance.random() < 0.4:
        text = re.sub(r"'[^'\n]*'", lambda found: chance.choice([found[0], "'other'", "'a b'", "''", "'7'"]), text)
    if chance.random() < 0.1:
        text = text.replace(chance.choice(text.split()), chance.choice(["x", "429 Too", "code 5"]), 1)
    if chance.random() < 0.1:
        text = text[: chance.randint(0, len(text))]
    return text + "\n" + chance.choice(list(TEXTS.values())) if chance.random() < 0.1 else text


@pytest.mark.slow
@tried(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_heading_is_true_of_all_that_have_its_cause(database_url, seed):
    chance = random.Random(seed)
    # PostgreSQL does not take escape sequences apart, which can hold an address.
    texts = [text for text in TEXTS.values() if "\x1b]" not in text]
    errors = [varied(chance.choice(texts), chance) for _ in range(500)]
    groups = defaultdict(list)
    for cause, error in zip(causes_in_sql(database_url, errors), errors):
        groups[cause].append(error)
    assert len(groups) < 450
    for members in groups.values():
        for heading in {html.unescape(cause_text(error)).replace("[masked]", "") for error in members}:
            words = re.findall(r"[^\W_]+", heading)
            for error in members:
                assert heading == "No error message" or all(word in error for word in words), (heading, error)
