"""Hosts on which something is broken: what a run and the worker's call say, return and still deliver there."""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, NamedTuple

import pytest
import trustme
from servers import Front, TlsFront, port_of, says
from support import BLIND, FAILED, PROGRAM, WRONG_SETTING, holds, recorded, told, wait_until

import slack_notifier
from sandbox.program import AS_A_MODULE, Program
from sandbox.slack import SlackStandIn

SECRET = "topsecret"
NOT_SENT = "Failed to send Slack message: 1 failed task to SLACK_WEBHOOK (…): "

# What the worker does, as docs/worker.md has it; {prelude} is how its host is broken from within.
WORKER = """
import logging
logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.DEBUG)
from slack_notifier import SlackNotifier
notifier = SlackNotifier()
{prelude}
print(notifier.send_failed_tasks_notification())
"""
RUN = """
import runpy, sys
sys.argv = ["slack_notifier.py"]
{prelude}
runpy.run_path({program!r}, run_name="__main__")
"""


# ---- What is there ---------------------------------------------------------------------------------------------------


class Broken(NamedTuple):
    """What is broken, and what comes of it in a run of the program and in the worker's call.

    Broken are variables (`<proxy>`, `<folder>` and the like are filled in), files that `prepare` makes in the current
    folder, what a shell does around the command, or what Python code does to the process before the first call.
    `log`: a line that must be there, … stands for anything. `slack`, `mail`: the title of what arrives; a worker's call
    sends alerts only. `beat` is None where it depends on the version of requests. `returns`: what the call prints.
    """

    log: str = ""
    variables: Mapping[str, str] = {}
    slack: str = ""
    mail: str = ""
    code: int = 0
    returns: str = "True"
    beat: str | None = "/beat"
    prepare: Callable[[Path], Any] = lambda folder: None
    shell: str = "exec {}"
    python: str = ""


SENT = "Slack message sent successfully: 1 failed task to SLACK_WEBHOOK (…)"
BY_MAIL = {"mail": FAILED}
BLIND_RUN = {"slack": BLIND, "code": 1, "returns": "False", "beat": "/beat/fail"}
WRONG = {"slack": WRONG_SETTING, "code": 2, "returns": "SettingError", "beat": "/beat/fail"}


def nothing_there(name: str) -> Broken:
    why = f"no connection (Could not find a suitable TLS CA certificate bundle, …): is {name} wrong?"
    return Broken(NOT_SENT + why, {"REQUESTS_CA_BUNDLE": "", name: "/nonexistent/x.pem"}, **BY_MAIL)


def bad_proxy(url: str, why: str, name: str = "HTTPS_PROXY", **come: Any) -> Broken:
    return Broken(f"{NOT_SENT}{why}: is {name} wrong?", {name: url}, **{**BY_MAIL, **come})


def bad_url(
    url: str, log: str = "DATABASE_URL is not a valid PostgreSQL URL: percent-encode …% as %25)", **come: Any
) -> Broken:
    return Broken(log, {"DATABASE_URL": url}, **{**WRONG, **come})


def no_file(make: Callable[[Path], Any]) -> Broken:
    log = "/here/.env is no file and was not read: make it one, or rename it"
    return Broken(log, slack=FAILED, prepare=lambda folder: make(folder / ".env"))


def no_output(arguments: str, why: str) -> Broken:
    return Broken(f"Cannot write to the standard output: {why}", code=1, beat="", shell=f"exec {{}} {arguments}")


BOTH: dict[str, Broken] = {
    "nothing": Broken(SENT, slack=FAILED),
    # TLS
    **{f"{name} names nothing": nothing_there(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")},
    "REQUESTS_CA_BUNDLE is no certificate": Broken(NOT_SENT + "no TLS connection (…): …is REQUESTS_CA_BUNDLE wrong?",
        {"REQUESTS_CA_BUNDLE": "/dev/null"}, **BY_MAIL),
    "SSL_CERT_FILE names nothing": Broken(SENT, {"SSL_CERT_FILE": "/nonexistent/x.pem"}, slack=FAILED),
    "SSL_CERT_FILE names nothing, and Slack is away": Broken(
        "Failed to send the e-mail as well: the server's certificate was not accepted (…): is SSL_CERT_FILE wrong?",
        {"SSL_CERT_FILE": "/nonexistent/x.pem", "SLACK_WEBHOOK": "http://127.0.0.1:1/x"}, code=1, returns="False",
        beat="/beat/fail"),
    "SSLKEYLOGFILE is a folder": Broken(
        NOT_SENT + "no connection (Is a directory): is REQUESTS_CA_BUNDLE or SSLKEYLOGFILE wrong?",
        {"SSLKEYLOGFILE": "/"}, **BY_MAIL, beat=None),
    "OPENSSL_CONF is no configuration": Broken("", {"OPENSSL_CONF": "<folder>/odd"}, slack=FAILED,
        prepare=lambda folder: (folder / "odd").write_text("[[[\n= =")),
    # Proxies
    "a proxy that is mistyped": bad_proxy("http//proxy:3128", "no connection (…)"),
    "a proxy whose port is a word": bad_proxy(f"http://u:{SECRET}@proxy.invalid:port", "the URL cannot be used (…)"),
    "a proxy of an unknown scheme": bad_proxy("htp://127.0.0.1:1",
        "the URL cannot be used (Proxy URL had unsupported scheme …)"),
    "a proxy that is away": bad_proxy(f"http://u:{SECRET}@127.0.0.1:1", "no connection (Connection refused)"),
    "a proxy that wants a login": bad_proxy("http://127.0.0.1:<proxy>",
        "no connection (407 Proxy Authentication Required)"),
    "a proxy that wants a login, for http": Broken(NOT_SENT + "HTTP 407: is http_proxy wrong?",
        {"http_proxy": "http://127.0.0.1:<proxy>", "SLACK_WEBHOOK": "http://slack.invalid/x"}, **BY_MAIL, beat=""),
    "a proxy that speaks SOCKS": bad_proxy("socks5h://127.0.0.1:1",
        "the URL cannot be used (Missing dependencies for SOCKS support.)", "ALL_PROXY", beat=""),
    "a NO_PROXY that is none": Broken(SENT, {"NO_PROXY": "[::1,10.0.0.0/99,*.,%zz,:x", "HTTPS_PROXY": ""},
        slack=FAILED),
    # Files
    "a .netrc that is no text": Broken(SENT, {"HOME": "<folder>"}, slack=FAILED,
        prepare=lambda folder: (folder / ".netrc").write_bytes(b"machine \xff")),
    "no current folder": Broken(SENT, slack=FAILED, shell="mkdir gone; cd gone; rmdir ../gone; exec {}"),
    "no home": Broken(SENT, {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "TZ": ":/nonexistent"}, slack=FAILED),
    "a module that has the name of a package": Broken(NOT_SENT + "no connection (this is another one)",
        {"PYTHONPATH": f"<folder>:{PROGRAM.parent}"}, **BY_MAIL, beat="",
        prepare=lambda folder: (folder / "requests.py").write_text("raise RuntimeError('this is another one')")),
    "a package of a package that is missing": Broken(
        NOT_SENT + "no connection (No module named …): …/python… -m pip install not_there",
        {"PYTHONPATH": f"<folder>:{PROGRAM.parent}"}, **BY_MAIL, beat="",
        prepare=lambda folder: (folder / "requests.py").write_text("import not_there")),
    "a users file that is a pipe": Broken(
        "SLACK_USER_WEBHOOKS_FILE must name a readable JSON file (FileNotFoundError), not '…/pipe'",
        {"SLACK_USER_WEBHOOKS_FILE": "<folder>/pipe"}, prepare=lambda folder: os.mkfifo(folder / "pipe"), **WRONG),
    "all streams closed": Broken("", slack=FAILED, shell="exec {} <&- >&- 2>&-", returns=""),
    # 120 is Python's own, for output that it could not write.
    "a full disk under the log": Broken("", slack=FAILED, code=120, shell="exec {} 2>/dev/full"),
    "warnings that are errors": Broken(SENT, {"PYTHONWARNINGS": "error"}, slack=FAILED),
    # The process
    "no thread to be had": Broken(SENT, slack=FAILED, python="import threading; threading.stack_size(1 << 46)"),
    "a time-out of the host's for all sockets": Broken(SENT, slack=FAILED,
        python="import socket; socket.setdefaulttimeout(0.001)"),
    "little room for recursion": Broken("", slack=FAILED, python="import sys; sys.setrecursionlimit(150)"),
    # The database's address
    "a % in the password that decodes to no text": bad_url(f"postgresql://u:100%ab{SECRET}@127.0.0.1:1/db"),
    "an @ in the password, and a socket": bad_url(f"postgresql://u:x@{SECRET}@/db?host=/nonexistent"),
    "no host behind the password": bad_url(f"postgresql://u:a`'{SECRET}"),
    "no host behind a password of digits": bad_url("postgresql://u:123456789012"),
    "quotes and backticks in the password": bad_url(f"postgresql://u:a`'\"{SECRET}@127.0.0.1:1/db",
        "Cannot connect to the database: …refused", **BLIND_RUN),
    "a password that is a word of the error": bad_url("postgresql://u:connection@127.0.0.1:1/db",
        "Cannot connect to the database: connection to server at", **BLIND_RUN),
    "a password that is the port": bad_url("postgresql://u:1@127.0.0.1:1/db",
        "Cannot connect to the database: …port 1 failed", **BLIND_RUN),
    "no user in the URL": bad_url("postgresql://127.0.0.1:<port>/db",
        "Cannot connect to the database: …; check DATABASE_URL", **BLIND_RUN),
    "PGPORT is a word": Broken("Cannot connect to the database: …",
        {"DATABASE_URL": "postgresql://u@127.0.0.1/db", "PGPORT": "word"}, **BLIND_RUN),
    "PGSERVICE names nothing": Broken("Cannot connect to the database: …", {"PGSERVICE": "nothing"}, **BLIND_RUN),
    # Settings
    "an address that e-mail cannot write": Broken(
        "ALERT_EMAIL_TO must be one address or several, comma-separated: ops@example.com, not '.a@b.c'",
        {"ALERT_EMAIL_TO": ".a@b.c"}, **WRONG),
    "a sender that e-mail cannot write": Broken(
        "ALERT_EMAIL_FROM must be one address: protoreel@example.com, not 'a@b.c('",
        {"ALERT_EMAIL_FROM": "a@b.c("}, **WRONG),
    "a time zone that is mistyped": Broken("SLACK_TIMEZONE must be …, not 'Europe/Berln'",
        {"SLACK_TIMEZONE": "Europe/Berln"}, **WRONG),
}  # fmt: skip

RUNS_ONLY: dict[str, Broken] = {
    "a .env that is a pipe": no_file(lambda env: os.mkfifo(env)),
    "a .env that is a folder": no_file(lambda env: env.mkdir()),
    "a .env that links to nothing": no_file(lambda env: env.symlink_to("nothing")),
    "a .env with a BOM": Broken("DEBUG Settings: …DEBUG: true", slack=FAILED,
        prepare=lambda folder: (folder / ".env").write_text("DEBUG=true\n", "utf-8-sig")),
    "a .env with a line that is none": Broken("ython-dotenv could not parse statement starting at line 1", slack=FAILED,
        prepare=lambda folder: (folder / ".env").write_text("'x\nDEBUG=true\n")),
    "a .env that is no text": Broken("/here/.env cannot be read: UnicodeDecodeError",
        prepare=lambda folder: (folder / ".env").write_bytes(b"DEBUG=\xff\n"), **WRONG),
    "a closed output of --dry-run": no_output("--dry-run >&-", "it is closed"),
    "a full output of --dry-run": no_output("--dry-run >/dev/full", "No space left on device"),
    "a closed output of --check": no_output("--check >&-", "it is closed"),
    "a full output of --check": no_output("--check >/dev/full", "No space left on device"),
    "nobody who reads the output of --check": Broken("", code=None, beat="", shell="{} --check | true"),
}  # fmt: skip


class Host(NamedTuple):
    """Everything that both calls need, in good order, until a row breaks some of it."""

    folder: Path
    variables: dict[str, str]
    places: dict[str, str]
    slack: SlackStandIn
    mail: Any
    heart: Any
    watch: Any

    def start(self, row: Broken, *command: str, code: str = "") -> subprocess.CompletedProcess[str]:
        """The command; or the same as code, in a fork, if only variables that are read late are broken."""
        row.prepare(self.folder)
        changed = {
            name: re.sub(r"<(\w+)>", lambda place: self.places[place[1]], text) for name, text in row.variables.items()
        }
        environment = {name: text for name, text in {**self.variables, **changed}.items() if text}
        shell = row.shell.replace("{}", shlex.join([sys.executable, *command]))
        how: dict[str, Any] = {"capture_output": True, "timeout": 90, "text": True}
        if code and row.variables and not re.search("HOME|PYTHON|SSL|BUNDLE", " ".join(row.variables)):
            del environment["PYTHONPATH"]
            ended = Program(self.folder, environment, code=code).end(90)
            done = subprocess.CompletedProcess(command, ended.code, ended.out, ended.log)
        else:
            done = subprocess.run(["sh", "-c", shell], env=environment, cwd=self.folder, check=False, **how)
        self.watch.written += [done.stdout, done.stderr]
        return done

    def arrived(self) -> tuple[str, str]:
        """The titles of what reached Slack and the mail server."""
        messages = [message["text"].partition("\n")[0] for message in self.slack.messages()]
        mails = [mail.message["Subject"] for mail in self.mail.mails]
        return ", ".join(messages), ", ".join(mails)


@pytest.fixture
def host(
    tmp_path: Path, watch: Any, slack: SlackStandIn, mail: Any, trusted: str, heart: Any, tasks: Any,
    database_url: str, authority: trustme.CA,
) -> Iterator[Host]:  # fmt: skip
    watch.secrets |= {SECRET}
    wants_a_login = says("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    with (
        closing(TlsFront(port_of(slack), authority, "127.0.0.1")) as front,
        closing(Front(1, *[wants_a_login] * 99)) as proxy,
    ):
        tasks.fail()
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROGRAM.parent),
            "DATABASE_URL": database_url,
            "SLACK_WEBHOOK": re.sub(r"^http:(.*):\d+", rf"https:\1:{front.port}", slack.webhook()),
            "REQUESTS_CA_BUNDLE": trusted,
            "SMTP_URL": mail.url,
            "ALERT_EMAIL_TO": "ops@example.com",
            "SSL_CERT_FILE": trusted,
            "HEARTBEAT_URL": f"{heart.address}/beat",
        }
        folder = tmp_path / "here"
        folder.mkdir()
        places = {"proxy": str(proxy.port), "folder": str(folder), "port": str(tasks.connection.info.port)}
        yield Host(folder, variables, places, slack, mail, heart, watch)


def assert_said(done: subprocess.CompletedProcess[str], row: Broken) -> None:
    assert holds(done.stderr, row.log), done.stderr
    assert not re.search("Unexpected|Exception ignored", done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BOTH, *RUNS_ONLY])
def test_a_run_on_a_broken_host_says_what_is_wrong_and_does_what_it_can(host, name):
    row = {**BOTH, **RUNS_ONLY}[name]
    code = RUN.format(prelude=row.python, program=str(PROGRAM))
    done = host.start(row, *(["-c", code] if row.python else [str(PROGRAM)]), code=AS_A_MODULE)
    assert_said(done, row)
    assert "Traceback" not in done.stderr
    assert done.returncode == row.code or row.code is None
    assert host.arrived() == (row.slack, row.mail)
    assert row.beat is None or host.heart.beats == ([row.beat] if row.beat else [])


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_workers_call_on_a_broken_host_raises_nothing_and_does_what_it_can(host, name):
    row = BOTH[name]
    code = WORKER.format(prelude=row.python)
    done = host.start(row, "-c", code, code=code)
    raised = re.findall(r"(?m)^slack_notifier\.(\w+): ", done.stderr)
    if row.returns == "SettingError":
        # Where the worker makes its notifier, as docs/worker.md says.
        assert (raised, done.returncode) == (["SettingError"], 1)
    else:
        assert (done.stdout.strip(), done.returncode) == (row.returns, 120 if row.code == 120 else 0)
        assert "Traceback" not in done.stderr
    assert_said(done, row)
    alerts = tuple(title if title == FAILED else "" for title in (row.slack, row.mail))
    assert host.arrived() == alerts
    assert host.heart.beats == []


def test_a_login_in_netrc_is_not_used(host):
    host.variables["HOME"] = str(host.folder)
    (host.folder / ".netrc").write_text(f"default login someone password {SECRET}")
    assert host.start(Broken(), str(PROGRAM)).returncode == 0
    assert [request.headers.get("Authorization") for request in host.slack.requests] == [None]


# ---- Descriptors -----------------------------------------------------------------------------------------------------

FEW = """
import os, resource, sys, threading, time
import slack_notifier
from slack_notifier import SlackNotifier
notifier = SlackNotifier()
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
"""
EACH_LIMIT = """
least = len(os.listdir("/proc/self/fd")) - 1
for more in range(25):
    resource.setrlimit(resource.RLIMIT_NOFILE, (least + more, most))
    print(notifier.send_failed_tasks_notification())
"""
# Once the call is connected, there are no more.
LATER = """
slack_notifier.CALL_SECONDS = 7
resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))

def take_all():
    while not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()):
        time.sleep(0.001)
    try:
        while True:
            os.dup(0)
    except OSError:
        pass

threading.Thread(target=take_all).start()
started = time.monotonic()
print(notifier.send_failed_tasks_notification(), time.monotonic() - started < 11)
"""


@pytest.mark.slow
def test_a_call_at_any_limit_of_descriptors_returns_and_says_so_or_delivers_once(host):
    done = host.start(Broken(), "-c", FEW + EACH_LIMIT)
    results = done.stdout.split()
    assert (len(results), done.returncode) == (25, 0), done.stderr
    assert results == sorted(results)
    assert {*results} == {"False", "True"}
    assert not re.search("Traceback|Unexpected", done.stderr)
    assert "Too many open files" in done.stderr
    # Where there is one too few for Slack, there may be enough for the mail server, never for both.
    assert sum(map(len, host.arrived())) == len(FAILED)


@pytest.mark.slow
def test_a_call_ends_in_its_time_where_no_descriptor_is_left_to_cut_the_connection(host, proxy, database_url):
    host.variables["DATABASE_URL"] = proxy.url(database_url)
    proxy.stop(statement="FOR UPDATE")
    done = host.start(Broken(), "-c", FEW + LATER)
    assert (done.stdout, done.returncode) == ("False True\n", 0)
    assert "no answer from the database in the time there was" in done.stderr


# ---- The program around it -------------------------------------------------------------------------------------------


class SoftTimeLimit(Exception):
    """What a task queue raises in a task that takes too long."""


class Limit:
    """The ways in which programs write a handler of a signal."""

    def method(self, number: int, frame: Any) -> None:
        raise SoftTimeLimit

    def __call__(self, number: int, frame: Any) -> None:
        raise KeyError("the task")

    @staticmethod
    def of_any_arguments(*_: Any) -> None:
        raise TimeoutError

    @staticmethod
    def that_is_for_one_time(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise RuntimeError("too late")


HANDLERS = {"method": (Limit().method, SoftTimeLimit), "object": (Limit(), KeyError),
            "any": (Limit.of_any_arguments, TimeoutError), "once": (Limit.that_is_for_one_time, RuntimeError),
            "partial": (partial(Limit().method), SoftTimeLimit)}  # fmt: skip


@contextmanager
def handled_by(handler: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("call", ["send_failed_tasks_notification", "send_combined_notification"])
@pytest.mark.parametrize(("handler", "error"), HANDLERS.values(), ids=HANDLERS)
def test_an_exception_of_a_signal_handler_reaches_the_program_and_ends_the_post(
    notifier, slack, tasks, handler, error, call
):
    task = tasks.fail()
    with handled_by(handler), slack.hold() as held, ThreadPoolExecutor(1) as pool:

        def interrupt() -> None:
            held.wait_received()
            os.kill(os.getpid(), signal.SIGALRM)

        pool.submit(interrupt)
        with pytest.raises(error):
            getattr(notifier, call)()
        # The request was cut: Slack's answer reaches nobody, and nothing waits for it.
        wait_until(lambda: "slack-notifier" not in str(threading.enumerate()))
    assert recorded(tasks.connection) == []
    assert notifier.send_failed_tasks_notification()
    assert recorded(tasks.connection) == [("failed", task)]


class Raising(logging.Handler):
    """A handler of the program that raises, itself or by its filter, as one whose server is away."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("no such log server")


@pytest.mark.parametrize("where", ["a handler", "a filter of ours"])
def test_a_log_that_raises_costs_no_call_and_repeats_no_alert(notifier, slack, tasks, where):
    logger, raising = logging.getLogger(), Raising(logging.INFO)
    if where == "a filter of ours":
        logger, raising = slack_notifier.logger, raising.emit
    failed = tasks.fail()
    add, remove = ("addFilter", "removeFilter") if callable(raising) else ("addHandler", "removeHandler")
    getattr(logger, add)(raising)
    try:
        assert notifier.send_failed_tasks_notification()
        assert notifier.send_combined_notification()["error"] is None
        slack.answer(404, "no_service")
        assert not notifier.send_message("not taken")
    finally:
        getattr(logger, remove)(raising)
    assert told(slack) == [[failed]]


def test_a_logger_class_of_the_program_handles_our_records_too(monkeypatch, caplog):
    class Own(logging.Logger):
        """One that does more with a record than to log it."""

        def handle(self, record: logging.LogRecord) -> None:
            record.msg = f"protoreel: {record.msg}"
            super().handle(record)

    monkeypatch.setattr(slack_notifier.logger, "__class__", Own)
    slack_notifier.logger.warning("a word")
    assert caplog.messages == ["protoreel: a word"]


def test_an_exception_of_a_handler_that_comes_while_a_thread_starts_is_none_of_a_lack_of_threads():
    class Starting(threading.Thread):
        """Its start is interrupted, as the handler runs in the thread that starts it."""

        def start(self) -> None:
            signal.raise_signal(signal.SIGALRM)

    with handled_by(Limit.that_is_for_one_time), pytest.raises(RuntimeError, match="too late"):
        slack_notifier._has_started(Starting())


class Odd:
    """A value whose own error is one of the program's, as a model's is that has lost its session."""

    def __str__(self) -> str:
        raise SoftTimeLimit


def test_an_exception_of_a_value_stays_within_the_call(notifier, slack, caplog):
    assert notifier.send_task_creation_notification(Odd(), Odd(), {"duration": Odd(), "scenes": Odd()}) is True
    assert notifier.send_message("words", [{"type": Odd()}]) is False
    assert "the message cannot be used (Object of type Odd is not JSON serializable)" in caplog.text
    assert notifier.send_message(None) is False  # type: ignore[arg-type]
    assert re.search(r"Unexpected \w+ at slack_notifier\.py:\d+", caplog.text) is None


def test_a_bug_is_named_with_its_place_wherever_the_module_was_compiled(caplog):
    module = ModuleType("slack_notifier")
    module.__file__ = str(PROGRAM)
    exec(compile(PROGRAM.read_text("utf-8"), "/another/machine/slack_notifier.py", "exec"), vars(module))
    settings = module.Settings(webhooks={"": ["http://127.0.0.1:1/x"]}, database_url=b"no text")
    assert module.SlackNotifier(settings=settings).send_failed_tasks_notification() is False
    assert re.search(r"Unexpected \w+ at slack_notifier\.py:\d+", caplog.text)


WHAT_A_CALL_LOADS = """
import sys
from slack_notifier import SlackNotifier
assert "requests" not in sys.modules
notifier = SlackNotifier()
loaded = {*sys.modules}
notifier.send_combined_notification()
notifier.send_task_creation_notification("id", "key", {"scenes": [{}]})
print(sorted({*sys.modules} - loaded))
"""


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, {"SLACK_WEBHOOK": "http://127.0.0.1:1/x"}], ids=["Slack", "e-mail"])
def test_a_call_of_a_program_loads_nothing_so_that_it_may_fork_at_any_time(host, variables):
    done = host.start(Broken(variables=variables), "-c", WHAT_A_CALL_LOADS)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


AT_EXIT = """
import atexit
from slack_notifier import SlackNotifier
notifier = SlackNotifier()
atexit.register(lambda: print(notifier.send_failed_tasks_notification()))
"""


def test_a_call_at_the_end_of_a_program_delivers(host):
    done = host.start(Broken(), "-c", AT_EXIT)
    assert (done.stdout, host.arrived()) == ("True\n", (FAILED, "")), done.stderr


# Interrupts itself while it loads: at its first import, and at its first own one.
INTERRUPTED = """
import builtins, os, runpy, signal, sys

# What runs in the background is deaf to it.
signal.signal(signal.SIGINT, signal.default_int_handler)
real = builtins.__import__

def load(name, *rest, **named):
    if name == {name!r}:
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest, **named)

builtins.__import__ = load
sys.argv = ["slack_notifier.py"]
runpy.run_path({program!r}, run_name="__main__")
"""


@pytest.mark.parametrize("name", ["psycopg2", "psycopg2.errors", "dotenv", "requests"])
def test_an_interrupt_while_the_program_loads_prints_no_traceback(host, name):
    (host.folder / ".env").touch()
    done = host.start(Broken(), "-c", INTERRUPTED.format(name=name, program=str(PROGRAM)))
    assert "Traceback" not in done.stderr
    assert done.returncode in (130, -signal.SIGINT)
    assert host.arrived() == ("", "")
