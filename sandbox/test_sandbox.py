"""The sandbox itself: what the stand-in takes and refuses, how it answers, how it shows messages, the databases."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests

from sandbox import mrkdwn, postgres, rules, view
from sandbox.__main__ import environment
from sandbox.pictures import ALERTS, Picture, find_browser, take
from sandbox.postgres import Server, create_database, create_tasks_table, drop_database, execute, postgres_server
from sandbox.program import Program
from sandbox.scenarios import Stage
from sandbox.slack import SlackStandIn, pings
from slack_notifier import VARIABLES, Settings, SlackNotifier

ROOT = Path(__file__).parent.parent
PLAIN = {"text": "Hello", "unfurl_links": False, "unfurl_media": False}


def text(words: str = "x", **more: object) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": words, **more}


def header(words: str = "x", **more: object) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": words, **more}}


def section(words: str = "x", **more: object) -> dict[str, Any]:
    return {"type": "section", "text": text(words), **more}


def fields(*texts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "section", "fields": list(texts)}


def context(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "context", "elements": list(elements)}


def refusal(payload: object) -> str:
    """The word and reason of the refusal; "" where the payload, or the body that is given as it is, is taken."""
    try:
        rules.checked(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    except rules.Refused as refused:
        return f"{refused.word} {refused.reason}"
    return ""


# ---- Rules -----------------------------------------------------------------------------------------------------------

# With the reason for which they are refused; "": they are taken.
BLOCKS = {
    "header of 150": ([header("x" * 150, emoji=True)], ""),
    "section of 3000": ([section("x" * 3000)], ""),
    "50 blocks": ([section()] * 50, ""),
    "10 fields of 1200": ([fields(*[text("x" * 1200)] * 10)], ""),
    "field of 2000": ([fields(text("x" * 2000))], ""),
    "context of 10": ([context(*[text()] * 10)], ""),
    "flag": ([{"type": "section", "text": text(verbatim=True)}], ""),
    "13,200 in all": ([section("x" * 3000)] * 4 + [section("x" * 1200)], ""),
    "1,500 emoji of two units": ([section("😀" * 1500)], ""),
    "51 blocks": ([section()] * 51, "51 blocks are more than 50"),
    "not a list": ({"type": "divider"}, "not a list"),
    "not an object": (["x"], "blocks[0] is not an object"),
    "no type": ([{}], "of type None"),
    "type that the notifier does not send": ([{"type": "divider"}], "of type 'divider'"),
    "type of odd type": ([{"type": []}], "of type []"),
    "header of 151": ([header("x" * 151)], "151 characters"),
    "header of 76 emoji": ([header("😀" * 76)], "152 characters"),
    "header as mrkdwn": ([{"type": "header", "text": text()}], "must be plain_text"),
    "empty section": ([{"type": "section"}], "neither text nor fields"),
    "blank text": ([section(" \n")], "empty"),
    "text that is none": ([{"type": "section", "text": text(None)}], "not a string"),  # type: ignore[arg-type]
    "string as text": ([{"type": "section", "text": "x"}], "not an object"),
    "section of 3001": ([section("x" * 3001)], "3001 characters"),
    "no fields": ([fields()], "fields is not a list of 1 to 10"),
    "11 fields": ([fields(*[text()] * 11)], "fields is not a list of 1 to 10"),
    "field of 2001": ([fields(text("x" * 2001))], "2001 characters"),
    "empty field": ([fields(text(""))], "fields[0].text is empty"),
    "no elements": ([context()], "elements is not a list of 1 to 10"),
    "missing elements": ([{"type": "context"}], "has no elements"),
    "11 elements": ([context(*[text()] * 11)], "elements is not a list of 1 to 10"),
    "unknown key": ([section(colour="red")], "unknown keys: colour"),
    "verbatim on plain_text": ([header(verbatim=True)], "unknown keys: verbatim"),
    "emoji on mrkdwn": ([{"type": "section", "text": text(emoji=True)}], "unknown keys: emoji"),
    "flag that is none": ([{"type": "section", "text": text(verbatim="yes")}], "not true or false"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_are_taken_within_the_limits_alone(name):
    blocks, reason = BLOCKS[name]
    word, _, said = refusal({**PLAIN, "blocks": blocks}).partition(" ")
    assert word == ("invalid_blocks" if reason else "")
    assert reason in said


def test_all_blocks_together_have_a_limit_in_which_a_header_costs_more():
    blocks = [section("x" * 3000)] * 4
    assert refusal({**PLAIN, "blocks": [*blocks, header("x" * 100), section("x" * 1000)]}) == ""
    refused = refusal({**PLAIN, "blocks": [*blocks, header("x" * 101), section("x" * 1000)]})
    assert refused.startswith("msg_blocks_too_long 13201")


# By how the refusal begins.
PAYLOADS = {
    "invalid_payload not a JSON object": [[]],
    "invalid_payload not JSON in UTF-8": [
        *[{"text": "\ud800"}, {"text": float("nan")}, b"", b"{", b"\xff{}", b"payload=%7B%7D", b"[" * 100_000]
    ],
    "invalid_payload text is": [{"text": 1}],
    "no_text neither": [{}, {"text": ""}, {"text": " ", "blocks": []}],
    "msg_too_long text has": [{"text": "x" * 40_001}],
    "invalid_payload strict": [
        {**PLAIN, "channel": "#general"},
        {**PLAIN, "attachments": [{"title": "x"}]},
        {**PLAIN, "unfurl_links": True},
        {"text": "x", "unfurl_links": False},
    ],
    "no_text strict": [{**PLAIN, "text": None, "blocks": [section()]}],
    "msg_too_long strict": [{**PLAIN, "text": "x" * 4001}],
    "invalid_blocks strict": [{**PLAIN, "blocks": [header("Q&A")]}],
}


@pytest.mark.parametrize("words", PAYLOADS)
def test_payload_that_slack_refuses_or_would_show_worse(words):
    for payload in PAYLOADS[words]:
        assert refusal(payload).startswith(words)


@pytest.mark.parametrize(
    "words",
    [
        "a &amp; b &lt;c&gt;",
        "<https://example.com/?a=1&amp;b=2|View Logs>",
        "<http://example.com>",
        "<!here> <!channel> <!subteam^S0123ABC> <@U123>",
        "line\nline `code` 🚨",
    ],
)
def test_markup_that_is_well_formed_is_taken(words):
    assert refusal({**PLAIN, "text": words, "blocks": [section(words)]}) == ""


MISREAD = [
    *["a & b", "cut &am", "&quot;", "&amp", "a < b", "a > b", "<cut", "<div>", "<javascript:alert(1)|x>", "<#C123>"],
    *["<https://example.com|>", "<https://a b|x>", "<https://example.com|a|b>", "<!date^1^{time}|x>", "<!HERE>"],
    *["tab\t", "null\x00", "escape\x1b[31m", "right-to-left \u202e override"],
]


@pytest.mark.parametrize("words", MISREAD)
def test_strict_refuses_markup_that_could_be_misread(words):
    assert refusal({**PLAIN, "text": words}).startswith("invalid_payload strict: ")
    assert refusal({**PLAIN, "blocks": [section(words)]}).startswith("invalid_blocks strict: ")


def test_pings_names_every_mention():
    blocks = [section("<@U1> &lt;!channel&gt;"), fields(text("<!subteam^S1|ops>")), context(text("<!channel>"))]
    payload = {"text": "<!here> <https://example.com|<!here>", "blocks": blocks}
    assert pings(payload) == ["<!here>", "<!here>", "<@U1>", "<!subteam^S1|ops>", "<!channel>"]
    assert pings(PLAIN) == []


# ---- Markup ----------------------------------------------------------------------------------------------------------

LINK = '<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>'


@pytest.mark.parametrize(
    ("words", "html"),
    [
        ("*bold* _italic_ ~strike~", "<b>bold</b> <i>italic</i> <s>strike</s>"),
        ("*_both_*", "<b><i>both</i></b>"),
        ("in_a_word 2*3*4 * x *", "in_a_word 2*3*4 * x *"),
        ("*no\nbold*", "*no\nbold*"),
        ("`a *b* &lt;`", "<code>a *b* &lt;</code>"),
        ("*Task:* `x`", "<b>Task:</b> <code>x</code>"),
        ("*<https://a.b|x>*", "<b>" + LINK.format("https://a.b", "x") + "</b>"),
        ("a\n```\n*x*\n  y```\nb", "a<pre>*x*\n  y</pre>b"),
        ("a\n&gt; q *b*\n&gt; r\nc", "a<blockquote>q <b>b</b>\nr</blockquote>c"),
        ("<https://a.b/?x=1&amp;y=2|View &lt;Logs&gt;>", LINK.format("https://a.b/?x=1&amp;y=2", "View &lt;Logs&gt;")),
        ("<!here> <@U1|ada>", '<span class="mention">@here</span> <span class="mention">@ada</span>'),
        ("<!subteam^S1>", '<span class="mention">@S1</span>'),
        ("  • two  spaces", "  • two  spaces"),
        ("https://a.b", "https://a.b"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ("&amp;lt;b&amp;gt; &quot;", "&amp;lt;b&amp;gt; &amp;quot;"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ('<https://a.b/"onclick="x|y>', LINK.format("https://a.b/&quot;onclick=&quot;x", "y")),
        ("<|x>", "&lt;|x&gt;"),
        ("*<img src=x>*", "<b>&lt;img src=x&gt;</b>"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
        ("\x000\x00 `x`", "0 <code>x</code>"),
    ],
)
def test_markup_shows_as_in_slack_and_hostile_text_as_text(words, html):
    assert mrkdwn.render(words) == html


def test_bare_address_is_a_link_unless_verbatim():
    address = "https://a.b/c_d_e"
    assert mrkdwn.render(f"see {address}", verbatim=False) == f"see {LINK.format(address, address)}"


# ---- The stand-in ----------------------------------------------------------------------------------------------------


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


def post(url: str, payload: object = PLAIN, seconds: float = 30) -> requests.Response:
    return requests.post(url, json=payload, timeout=seconds, allow_redirects=False)


def page(slack: SlackStandIn, path: str = "") -> str:
    return requests.get(slack.page + path, timeout=30).text


def test_accepted_message_is_answered_and_kept(slack):
    response = post(slack.webhook())
    assert (response.status_code, response.text, response.headers["content-type"]) == (200, "ok", "text/html")
    assert slack.messages() == [PLAIN]
    assert slack.messages("other") == []
    (request,) = slack.requests
    assert (request.method, request.status, request.answer, request.reason) == ("POST", 200, "ok", None)
    assert request.accepted
    assert json.loads(request.body) == PLAIN


def test_refusal_tells_its_reason_only_here(slack):
    response = post(slack.webhook(), {**PLAIN, "blocks": [section("")]})
    assert (response.status_code, response.text) == (400, "invalid_blocks")
    assert slack.messages() == []
    assert slack.requests[0].reason == "blocks[0].text.text is empty"


def test_webhook_is_one_for_each_channel(slack):
    assert slack.webhook() == slack.webhook("alerts") != slack.webhook("other")
    secret = slack.webhook().rpartition("/")[2]
    assert len(secret) == 24
    assert secret.isalnum()
    post(slack.webhook("other"))
    assert (slack.messages(), slack.messages("other")) == ([], [PLAIN])


def test_unknown_webhook_method_and_content_type(slack):
    unknown = post(slack.page + "services/T0/B0/gone")
    assert (unknown.status_code, unknown.text) == (404, "no_service")
    assert requests.get(slack.webhook(), timeout=30).status_code == 405
    form = requests.post(slack.webhook(), data={"payload": json.dumps(PLAIN)}, timeout=30)
    assert (form.status_code, form.text) == (400, "invalid_payload")
    assert [request.status for request in slack.requests] == [404, 405, 400]


def test_scripted_answers_come_in_order_then_the_usual_one(slack):
    slack.answer(503, "rollup_error", times=2)
    slack.answer(429, headers={"Retry-After": "7"})
    slack.answer(204, "")
    responses = [post(slack.webhook()) for _ in range(5)]
    assert [response.status_code for response in responses] == [503, 503, 429, 204, 200]
    assert responses[2].headers["Retry-After"] == "7"
    assert len(slack.messages()) == 2
    with pytest.raises(ValueError, match="fault must be one of hang, "):
        slack.answer(fault="hung")


def test_scripted_answer_for_one_channel_until_normal(slack):
    slack.answer(500, times=None, channel="other")
    assert post(slack.webhook()).status_code == 200
    assert [post(slack.webhook("other")).status_code for _ in range(3)] == [500] * 3
    slack.answer_normally()
    assert post(slack.webhook("other")).status_code == 200


def test_held_request_is_dropped_at_the_end(slack):
    with ThreadPoolExecutor(1) as pool:
        with slack.hold() as held:
            sending = pool.submit(post, slack.webhook())
            held.wait_received()
        with pytest.raises(requests.ConnectionError):
            sending.result(60)
    assert slack.messages() == []
    with slack.hold() as held, pytest.raises(TimeoutError):
        held.wait_received(0.01)
    assert post(slack.webhook()).status_code == 200


def test_close_does_not_wait_for_hanging_requests():
    with ThreadPoolExecutor(1) as pool:
        with SlackStandIn() as slack:
            slack.answer(fault="hang")
            sending = pool.submit(post, slack.webhook())
            while not slack.requests and not sending.done():
                time.sleep(0.01)
        with pytest.raises(requests.ConnectionError):
            sending.result(60)


def test_rate_limit_after_a_burst():
    with SlackStandIn(rate_limit=True) as slack:
        responses = [post(slack.webhook())]
        # One more than the burst, or a few where the machine takes so long that further ones are allowed meanwhile.
        while responses[-1].status_code == 200 and len(responses) < 200:
            responses.append(post(slack.webhook()))
        assert len(responses) > 5
        assert responses[-1].status_code == 429
        assert responses[-1].headers["Retry-After"] == "1"
        assert post(slack.webhook("other")).status_code == 200


def test_clear_forgets_all_but_the_webhooks(slack):
    webhook = slack.webhook()
    post(webhook)
    slack.answer(500)
    slack.clear()
    assert slack.requests == []
    assert post(webhook).status_code == 200
    assert len(slack.messages()) == 1


# ---- The page --------------------------------------------------------------------------------------------------------


def test_page_shows_channels_messages_and_refusals(slack):
    slack.webhook("renders")
    post(slack.webhook(), {**PLAIN, "text": "*Hello*"})
    post(slack.webhook("renders"), {**PLAIN, "username": "<b>"})
    home = requests.get(slack.page, timeout=30)
    assert "<b>Hello</b>" in home.text
    assert 'href="/channel/renders"' in home.text
    assert "default-src 'none'" in home.headers["Content-Security-Policy"]
    other = page(slack, "channel/renders")
    assert "<b>400</b> <code>invalid_payload</code>" in other
    assert "strict: a webhook does not read username" in other
    assert len(slack.requests) == 2
    slack.webhook("<b>/&?")
    escaped = page(slack, "channel/%3Cb%3E%2F%26%3F")
    assert "&lt;b&gt;/&amp;?" in escaped
    assert "<b>/" not in escaped


@pytest.mark.parametrize(
    ("status", "word", "headers", "shown"),
    [
        (429, "", {"Retry-After": "60"}, "<b>429</b><time"),
        (429, "rate_limited", {"Retry-After": "60"}, "too many messages: again in 60 seconds"),
        (500, None, {}, "an error on Slack&#x27;s side"),
        (404, "no_service", {}, "<code>no_service</code>"),
        (404, "no_service", {}, "the webhook was removed, disabled, or never there"),
        (410, "channel_is_archived", {}, "the channel is archived"),
        (418, "<b>", {}, "the message was not taken"),
    ],
)
def test_page_shows_a_scripted_answer_as_one_of_slack(slack, status, word, headers, shown):
    slack.answer(status, word, headers)
    post(slack.webhook())
    assert shown in page(slack)


def test_page_says_how_an_answer_was_lost(slack):
    for fault in ("close", "reset"):
        slack.answer(fault=fault)
        with pytest.raises(requests.ConnectionError):
            post(slack.webhook())
    shown = page(slack)
    assert shown.count("<b>No answer</b><time") == 2
    assert "the connection ended" in shown
    assert "the connection was reset" in shown


def test_page_of_an_empty_channel_and_of_none(slack):
    assert "No messages yet" in page(slack)
    assert requests.get(slack.page + "channel/unknown", timeout=30).status_code == 404
    assert requests.get(slack.page + "page.css", timeout=30).headers["Content-Type"].startswith("text/css")


def test_page_shows_one_kind_of_message(slack):
    for sign, kind in view.KINDS.items():
        post(slack.webhook(), {**PLAIN, "text": f"{sign} About {kind}"})
    post(slack.webhook(), {})
    shown = page(slack)
    for kind in view.KINDS.values():
        assert f'<article class="message {kind}">' in shown
        assert f'href="/channel/alerts?kind={kind}">' in shown
    only = page(slack, "channel/alerts?kind=stuck")
    assert only.count("<article") == 1
    assert "About stuck" in only
    assert '<article class="refused">' in page(slack, "?kind=refused")


def test_kinds_of_the_page_are_those_of_the_notifier():
    titles = re.findall(r'"([^\w\s"]+) [A-Z]', (ROOT / "slack_notifier.py").read_text(encoding="utf-8"))
    assert set(view.KINDS) <= set(titles)


def test_page_shows_the_log_whose_lines_without_a_level_belong_to_the_one_before(slack):
    assert 'id="log"' not in page(slack)
    slack.log += ["# Night falls.", "$ run", "  Usage", "12:00 INFO <b> ERROR ", "12:00 ERROR Failed", "    # at <f>"]
    slack.log += ["12:00 WARNING Late", "  by 2 s"]
    shown = page(slack)
    for line in (
        '<p class="story">Night falls.</p><p class="run">$ run</p><p class="">  Usage</p>',
        '<p class=""><span class="stamp">12:00 INFO </span>&lt;b&gt; ERROR </p>',
        '<p class="error"><span class="stamp">12:00 ERROR </span>Failed</p><p class="error">    # at &lt;f&gt;</p>',
        '<p class="warning">  by 2 s</p>',
    ):
        assert line in shown


@pytest.mark.slow
@pytest.mark.skipif(not find_browser(), reason="Chromium is not installed")
def test_page_opens_at_its_top(slack, tmp_path):
    post(slack.webhook(), {**PLAIN, "text": "first\n" * 60})
    post(slack.webhook(), {**PLAIN, "text": "last"})
    slack.log += [f"12:00 INFO line {number}" for number in range(100)]

    def pictures():
        """Of a busy machine's browser, one may differ in a shade."""
        for _ in range(3):
            take(Picture("top.png", str, 900, 500), slack.page, find_browser() or "", tmp_path)
            yield (tmp_path / "top.png").read_bytes()

    top = set(pictures())
    # What is at the end does not show.
    slack.requests[-1].payload = {**PLAIN, "text": "different"}
    slack.log[-1] = "12:00 ERROR different"
    assert any(picture in top for picture in pictures())
    slack.log[0] = "12:00 ERROR different"
    assert not any(picture in top for picture in pictures())


def test_message_shows_every_kind_of_block():
    blocks = [header("<Alert>"), section("*a*"), fields(text("f1"), text("f2")), context(text("c"), text("`d`"))]
    assert view.message({**PLAIN, "blocks": blocks}) == (
        '<h2>&lt;Alert&gt;</h2><div class="text"><b>a</b></div>'
        '<div class="fields"><div>f1</div><div>f2</div></div>'
        '<div class="context"><span>c</span><span><code>d</code></span></div>'
    )


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server(in_memory=True) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(("timestamps", "type_name"), [("timestamp", "without"), ("timestamptz", "with")])
def test_sample_has_what_the_alerts_are_about(server, timestamps, type_name):
    url = create_database(server.url)
    create_tasks_table(url, timestamps)
    postgres.insert_sample(url)
    columns = "SELECT DISTINCT data_type FROM information_schema.columns WHERE table_name = 'tasks'"
    assert (f"timestamp {type_name} time zone",) in execute(url, columns)
    reader = SlackNotifier(settings=Settings(database_url=url))
    found = Counter(task["status"] for task in reader.get_failed_tasks_last_30min() + reader.get_stuck_tasks())
    assert found == {"failed": 3, "queued": 3, "in_progress": 1, "inprogress": 1}
    drop_database(url)


@pytest.mark.slow
def test_database_is_dropped_whoever_is_connected(server):
    url = create_database(server.url)
    with closing(psycopg2.connect(url)):
        drop_database(url)
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(url)
    with pytest.raises(postgres.SandboxError, match="not a database of the sandbox: postgres"):
        drop_database(server.url)


def test_worker_needs_the_password_and_the_superuser_none(server):
    assert execute(postgres.worker_url(server.url), "SELECT current_user") == [("worker",)]
    assert execute(server.url, "SELECT current_user") == [("postgres",)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres.url_of(server.url, login="worker:wrong"))


@pytest.mark.slow
def test_standby_follows_and_is_read_only(server):
    with server.standby() as standby:
        assert execute(standby.url, "SELECT pg_is_in_recovery()") == [(True,)]
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            execute(standby.url, "CREATE TABLE t ()")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(standby.url)


@pytest.mark.slow
@pytest.mark.skipif(not postgres.stock_programs(), reason=postgres.NO_STOCK)
def test_stock_server_is_the_newest_that_is_installed_with_its_own_defaults():
    newest = max(int(programs.parent.name) for programs in postgres.stock_programs())
    with postgres_server(stock=True, in_memory=True) as stock:
        found = execute(stock.url, "SELECT current_setting('server_version_num')::int / 10000, current_setting('jit')")
    assert found == [(newest, "on")]


def test_stock_server_that_is_not_installed_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "_STOCK_PROGRAMS", tmp_path)
    with pytest.raises(postgres.SandboxError, match="apt-get install postgresql"), postgres_server(stock=True):
        pass


@pytest.mark.parametrize(
    ("url", "changed"),
    [
        ("postgresql://u:p%40@h:1/a", "postgresql://u:p%40@h:1/b"),
        ("postgresql+psycopg2://u@h1:1,h2:2/a?sslmode=x&x=1", "postgresql+psycopg2://u@h1:1,h2:2/b?sslmode=x&x=1"),
        ("postgresql:///a?host=/tmp&dbname=c", "postgresql:///b?host=/tmp"),
        ("postgres://h", "postgres://h/b"),
        ("postgres://[::1]:5432?dbname=c&x=1", "postgres://[::1]:5432/b?x=1"),
    ],
)
def test_url_keeps_all_but_the_database(url, changed):
    assert postgres.url_of(url, database="b") == changed


@pytest.mark.slow
def test_server_is_gone_even_if_its_process_is_killed():
    script = """from sandbox.postgres import *
with postgres_server() as server, server.standby() as standby:
    print(server.folder, server.url, standby.url, flush=True)
    input()"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True, cwd=ROOT) as process:
        assert process.stdout
        folder, *urls = process.stdout.readline().split()
        assert [execute(url, "SELECT 1") for url in urls] == [[(1,)], [(1,)]]
        process.kill()
    deadline = time.monotonic() + 60
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(folder).exists()
    for url in urls:
        with pytest.raises(psycopg2.OperationalError, match="refused"):
            psycopg2.connect(url)


# ---- python -m sandbox -----------------------------------------------------------------------------------------------


def test_demonstration_is_free_of_your_own_settings(monkeypatch):
    for name in ("SLACK_QUIET_HOURS", "SLACK_SOMETHING_NEW", "SMTP_URL", "DEBUG", "PGOPTIONS", "HOME_OF_MINE"):
        monkeypatch.setenv(name, "mine")
    passed = environment("postgresql://…", "http://…")
    assert [name for name, value in passed.items() if value == "mine"] == ["HOME_OF_MINE"]
    assert {name: passed[name] for name in VARIABLES if passed[name]} == {
        "DATABASE_URL": "postgresql://…",
        "SLACK_WEBHOOK": "http://…",
    }


@pytest.mark.slow(11)
def test_demonstration_says_where_to_look_and_how_to_go_on_until_it_is_ended():
    command = [sys.executable, "-m", "sandbox"]
    with subprocess.Popen(command, stdout=-1, stderr=-2, text=True, cwd=ROOT) as process:
        assert process.stdout
        lines: list[str] = []
        while not lines or "sandbox.fail" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        (page,) = (word for line in lines for word in line.split() if word.startswith("http"))
        shown = requests.get(page, timeout=60).text
        first = next(number for number, line in enumerate(lines) if line.startswith("  cd "))
        typed = "".join(line for line in lines[first:] if line.startswith("  "))
        by_hand = subprocess.run(["sh", "-ec", typed], capture_output=True, text=True, check=False, timeout=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    for piece in (
        "<h2>🚨 Failed Tasks Alert</h2>",
        "<h2>⚠️ Stuck Tasks Alert</h2>",
        "<b>Task ID:</b> <code>6f1c2a94-8d3b-4e57-9a60-2b7de15c0f83</code>",
        "Captacity subtitle generation failed: Permission denied",
        '<a href="https://console.cloud.google.com/',
        "&lt;final.mp4&gt; &amp; thumbnail",
    ):
        assert piece in shown
    assert (by_hand.returncode, by_hand.stderr.count("Slack message sent successfully")) == (0, 1), by_hand.stderr


def ended(*command: str, **environment: str) -> tuple[int, str]:
    """The exit code and the log of python -m …"""
    env, command = {**os.environ, **environment}, (sys.executable, "-m", *command)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stderr


@pytest.mark.slow
def test_failing_a_task_needs_a_database_of_the_sandbox():
    for url, complaint in (("postgresql://db.example.com/protoreel", "not a database of the sandbox"), ("", "not a")):
        code, log = ended("sandbox.fail", DATABASE_URL=url)
        assert code == 1
        assert log.startswith(f"DATABASE_URL: {complaint}")


@pytest.fixture
def stage(server: Server, slack: SlackStandIn) -> Iterator[Stage]:
    with postgres.tasks_database(server.url) as url:
        yield Stage(slack, url, environment(url, slack.webhook()))


def summaries(slack: SlackStandIn) -> list[str]:
    return [message["blocks"][1]["text"]["text"].strip("*") for message in slack.messages()]


@pytest.mark.slow
def test_storm_tells_every_failure_once_in_a_few_messages(stage, slack):
    started = time.monotonic()
    assert stage.play("storm") == 0
    minutes = (time.monotonic() - started) / 60
    # Three at once, then one a minute, and one of the run at the end.
    assert len(slack.messages()) <= 3 + minutes + 1
    assert sum(int(summary.split()[0]) for summary in summaries(slack)) == 30


@pytest.mark.slow
def test_outage_ends_in_one_message_about_the_gap(stage, slack):
    assert stage.play("outage") == 0
    assert [request.status for request in slack.requests] == [429, 429, 429, 200]
    (summary,) = summaries(slack)
    assert summary.startswith("7 tasks failed since ")


@pytest.mark.slow
def test_night_holds_all_but_what_is_critical_until_the_morning(stage, slack):
    assert stage.play("night") == 0
    critical, failed, stuck = summaries(slack)
    assert critical.startswith("14 tasks failed ")
    assert pings(slack.messages()[0])
    # The span begins with the second of the critical report, in which others may have failed.
    assert re.match("1 (more )?task failed since ", failed)
    assert stuck.startswith("2 tasks stuck ")
    held = [line for line in slack.log if "Quiet hours:" in line and "kept for later" in line]
    assert len(held) == 3


SHOWN = {
    "01-one.png": ["1 task failed in ", "🆕", "1 of 12 ended tasks failed"],
    "02-mixed.png": ["3 tasks failed in ", "🆕", "(6× in 7 days)"],
    "03-many.png": ["63 tasks failed in ", "27 × ", "🆕", "(22× in 7 days)", "Critical: 63 of 70 ended tasks failed"],
    "04-stuck.png": ["4 tasks stuck for ", "Queued Tasks (2):", "In Progress Tasks (2):"],
    "05-idle.png": ["<!here>", "No task has started or ended since ", "Critical: no worker seen"],
    "06-critical.png": ["<!here>", "Critical: 9 of 9 ended tasks failed"],
    "07-recovered.png": ["✅ Failed Tasks Recovered", "✅ Stuck Tasks Recovered"],
    "08-reminder.png": ["⚠️ Stuck Tasks Alert", "2 tasks", "for 4 h "],
    "09-unreadable.png": ["🙈", "check DATABASE_URL"],
    "10-created.png": ["🎬"],
}


@pytest.mark.slow
@pytest.mark.parametrize("picture", ALERTS, ids=lambda picture: picture.file)
def test_picture_of_an_alert_shows_what_it_is_of(stage, slack, picture):
    picture.play(stage)
    texts = "\n".join(message["text"] for message in slack.messages())
    assert [words for words in SHOWN[picture.file] if words not in texts] == []
    assert slack.log == []


@pytest.mark.slow
def test_demonstration_once_ends_with_the_exit_code_of_the_notifier():
    code, log = ended("sandbox", "--once")
    assert (code, log.count("Slack message sent successfully")) == (0, 2), log


# ---- The program -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("print('a', flush=True); raise SystemExit(3)", (3, "a\n", "")),
        ("raise SystemExit('words')", (1, "", "words\n")),
        ("import atexit; atexit.register(print, 'at the end')", (0, "at the end\n", "")),
        ("import atexit, os; atexit.register(os._exit, 9)", (9, "", "")),
        ("import threading; threading.Timer(0.1, print, ['a thread']).start()", (0, "a thread\n", "")),
        ("import os; print('not written'); os._exit(0)", (0, "", "")),
        ("import os; print(sorted(os.environ), flush=True); os.kill(os.getpid(), 9)", (-9, "['ONE']\n", "")),
    ],
)
def test_program_ends_as_under_an_interpreter_of_its_own(tmp_path, code, ended):
    assert Program(tmp_path, {"ONE": "1"}, code=code).end() == ended


def test_program_refuses_what_only_the_start_of_an_interpreter_reads(tmp_path):
    with pytest.raises(ValueError, match="interpreter"):
        Program(tmp_path, {"PYTHONIOENCODING": "ascii"})


@pytest.mark.slow
def test_programs_of_several_threads_end_with_their_own_codes(tmp_path):
    with ThreadPoolExecutor(6) as pool:
        ended = pool.map(lambda code: Program(tmp_path, {}, code=f"raise SystemExit({code})").end().code, range(24))
    assert [*ended] == [*range(24)]
