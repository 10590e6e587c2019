#!/usr/bin/env python3
"""Provokes real exceptions of real libraries with planted secrets and writes what they say: leaks.jsonl, beside this.

    python3 -m venv /tmp/libraries
    /tmp/libraries/bin/pip install -r tests/secrets/libraries.txt
    /tmp/libraries/bin/python tests/secrets/provoke.py

Every secret is made up here, by a seeded generator. A library that is not installed is left out with a warning.
`place` says how one can know the secret: by a name before it, by its own shape, by a known place such as a URL's login
or a header; or not at all.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import re
import sqlite3
import string
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

warnings.simplefilter("ignore")
RANDOM = random.Random(13)
LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
BASE64 = LETTERS + "+/"


def some(alphabet: str, length: int) -> str:
    return "".join(RANDOM.choice(alphabet) for _ in range(length))


WORDS = ("maple", "Orbit", "lantern", "Copper", "violet", "Harbor", "pepper", "Glacier", "walnut", "Saffron")
# What a secret may look like; each provocation is tried with two secrets of its kind.
KINDS: dict[str, Callable[[], str]] = {
    "word": lambda: RANDOM.choice(WORDS) + some(string.digits, 2) + RANDOM.choice(WORDS) + RANDOM.choice("!_-x"),
    "letters": lambda: some(LETTERS, 24),
    "base64": lambda: some(BASE64, 40),
    "hex": lambda: some(HEX, 32),
    "dirty": lambda: some(LETTERS, 5) + RANDOM.choice("#/:$") + some(LETTERS, 7),
    "at": lambda: some(LETTERS, 4) + "@" + some(LETTERS, 6),
    "aws": lambda: RANDOM.choice(["AKIA", "ASIA"]) + some(UPPER, 16),
    "openai": lambda: "sk-proj-" + some(LETTERS + "_-", 44),
    "anthropic": lambda: "sk-ant-api03-" + some(LETTERS + "_-", 90),
    "elevenlabs": lambda: "sk_" + some(HEX, 48),
    "replicate": lambda: "r8_" + some(LETTERS, 37),
    "huggingface": lambda: "hf_" + some(string.ascii_letters, 34),
    "google": lambda: "AIza" + some(LETTERS + "_-", 35),
    "oauth": lambda: "ya29." + some(LETTERS + "_-", 60),
    "gocspx": lambda: "GOCSPX-" + some(LETTERS, 28),
    "groq": lambda: "gsk_" + some(LETTERS, 52),
    "xai": lambda: "xai-" + some(LETTERS, 80),
    "perplexity": lambda: "pplx-" + some(LETTERS, 48),
    "runway": lambda: "key_" + some(HEX, 128),
    "stripe": lambda: RANDOM.choice(["sk_live_", "rk_live_", "sk_test_"]) + some(LETTERS, 40),
    "whsec": lambda: "whsec_" + some(LETTERS, 32),
    "square": lambda: "EAAA" + some(LETTERS, 60),
    "sendgrid": lambda: "SG." + some(LETTERS, 22) + "." + some(LETTERS, 43),
    "mailgun": lambda: "key-" + some(HEX, 32),
    "mailchimp": lambda: some(HEX, 32) + "-us" + some("123456789", 1),
    "slack": lambda: "xoxb-" + some(string.digits, 12) + "-" + some(LETTERS, 24),
    "discord": lambda: "M" + some(LETTERS, 23) + "." + some(LETTERS, 6) + "." + some(LETTERS, 27),
    "telegram": lambda: some("123456789", 9) + ":AA" + some(LETTERS + "_-", 33),
    "github": lambda: RANDOM.choice(["ghp_", "gho_", "ghs_"]) + some(LETTERS, 36),
    "gitlab": lambda: "glpat-" + some(LETTERS + "_-", 20),
    "npm": lambda: "npm_" + some(LETTERS, 36),
    "pypi": lambda: "pypi-AgEI" + some(LETTERS + "_-", 60),
    "digitalocean": lambda: "dop_v1_" + some(HEX, 64),
    "docker": lambda: "dckr_pat_" + some(LETTERS, 27),
    "backblaze": lambda: "K005" + some(BASE64, 27),
    "twitch": lambda: "live_" + some(string.digits, 9) + "_" + some(LETTERS, 30),
    "jwt": lambda: "eyJ" + some(LETTERS, 30) + ".eyJ" + some(LETTERS, 50) + "." + some(LETTERS + "_-", 43),
    "fal": lambda: "-".join(some(HEX, n) for n in (8, 4, 4, 4, 12)) + ":" + some(HEX, 32),
    "azure": lambda: some(BASE64, 86) + "==",
    "pem": lambda: some(BASE64, 64) + "\n" + some(BASE64, 64),
}

# What a line must hold to be one with a name: an exception that lost it on the way leaves nothing to go by.
TELLING = re.compile(r"(?i)pass|pwd|secret|token|key|sig|hmac|session|cookie|auth|credential")

Provocation = tuple[str, str, str, tuple[str, ...], Callable[[str], Any]]
PROVOCATIONS: list[Provocation] = []


def provocation(library: str, form: str, place: str, *kinds: str) -> Callable[[Callable[[str], Any]], None]:
    return lambda function: PROVOCATIONS.append((library, form, place, kinds or ("word", "letters"), function))


class Refusing(BaseHTTPRequestHandler):
    """Refuses everything and quotes what it was asked, as gateways and services do."""

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        given = self.headers.get("Authorization") or self.headers.get("X-Api-Key") or self.path
        body = json.dumps({"error": {"message": f"Invalid API key provided: {given.split()[-1]}", "type": "auth"}})
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Set-Cookie", f"session={given.split()[-1]}; Path=/; HttpOnly")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = do_HEAD = answer

    def log_message(self, *_: Any) -> None:
        pass


SERVER = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()
AT = f"127.0.0.1:{SERVER.server_port}"
HERE = f"http://{AT}"
NOBODY = "http://127.0.0.1:1"


def lib(name: str) -> Any:
    return importlib.import_module(name)


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def fail(message: object) -> None:
    raise RuntimeError(message)


# ---- HTTP clients ----------------------------------------------------------------------------------------------------

QUERIES = ("api_key", "token", "access_token", "key", "X-Amz-Signature", "X-Amz-Security-Token", "sig", "hmac")
for number, parameter in enumerate(QUERIES):
    ask = f"{{}}/v1/video.mp4?format=mp4&{parameter}={{}}&x=1"
    kind = ("letters", "hex")[number % 2]
    provocation("requests", "url query", "name", kind)(
        lambda s, ask=ask: lib("requests").get(ask.format(NOBODY, s), timeout=2)
    )
    provocation("requests", "url query", "name", kind)(
        lambda s, ask=ask: lib("requests").get(ask.format(HERE, s), timeout=2).raise_for_status()
    )
    provocation("httpx", "url query", "name", kind)(
        lambda s, ask=ask: lib("httpx").get(ask.format(HERE, s), timeout=2).raise_for_status()
    )
    provocation("urllib3", "url query", "name", kind)(
        lambda s, ask=ask: lib("urllib3").PoolManager(retries=False).request("GET", ask.format(NOBODY, s))
    )

provocation("requests", "header value", "place", "letters", "openai")(
    lambda s: lib("requests").get(HERE, headers={"Authorization": f"Bearer {s}\n"}, timeout=2)
)
provocation("requests", "header value", "place", "letters", "hex")(
    lambda s: lib("requests").get(HERE, headers={"x-api-key": f" {s}"}, timeout=2)
)
provocation("requests", "url login", "place", "word", "letters", "at")(
    lambda s: lib("requests").get(f"htp://user:{s}@example.com/feed", timeout=2)
)
provocation("requests", "url login", "place", "dirty", "letters")(
    lambda s: lib("requests").get(f"http//user:{s}@example.com/feed", timeout=2)
)
provocation("requests", "url login", "place", "word", "letters")(
    lambda s: lib("requests").get(f"user:{s}@example.com/feed", timeout=2)
)


@provocation("requests", "url nested", "place", "letters", "hex")
def _(s: str) -> None:
    inner = quote(f"https://user:{s}@cdn.example.com/a.mp4", safe="")
    lib("requests").get(f"{HERE}/fetch?url={inner}", timeout=2).raise_for_status()


@provocation("requests", "url nested", "name", "letters", "hex")
def _(s: str) -> None:
    inner = quote(f"https://cdn.example.com/a.mp4?token={s}", safe="")
    lib("requests").get(f"{HERE}/fetch?url={inner}", timeout=2).raise_for_status()


provocation("requests", "cookie", "name", "letters", "hex")(
    lambda s: fail(f"{lib('requests').get(HERE + '/' + s, timeout=2).headers}".replace(f"/{s}", s))
)


@provocation("requests", "webhook", "shape", "letters")
def _(s: str) -> None:
    url = f"{HERE}/api/webhooks/112233445566778899/{s}{s}"
    lib("requests").post(url, timeout=2).raise_for_status()


provocation("requests", "webhook", "shape", "telegram")(
    lambda s: lib("requests").post(f"{HERE}/bot{s}/sendMessage", timeout=2).raise_for_status()
)


@provocation("requests", "webhook", "shape", "hex")
def _(s: str) -> None:
    guid = "b1f0c2d3-0000-4000-8000-00000000000a"
    url = f"{HERE}/webhookb2/{guid}@{guid}/IncomingWebhook/{s}/{guid}"
    lib("requests").post(url, timeout=2).raise_for_status()


provocation("requests", "webhook", "shape", "letters")(
    lambda s: lib("requests").post(f"https://hooks.slack.com/services/T0AB12CD3/B0AB12CD3/{s}", timeout=2)
)
provocation("requests", "proxy login", "place", "word", "letters")(
    lambda s: lib("requests").get(HERE, proxies={"http": f"socks9://user:{s}@127.0.0.1:1"}, timeout=2)
)
provocation("httpx", "header value", "place", "openai", "groq", "replicate", "elevenlabs")(
    lambda s: lib("httpx").get(HERE, headers={"Authorization": f"Bearer {s}\n"})
)
provocation("httpx", "header value", "place", "letters", "hex")(
    lambda s: lib("httpx").get(HERE, headers={"xi-api-key": f"{s}\n"})
)
provocation("httpx", "url login", "place", "word", "letters")(
    lambda s: lib("httpx").get(f"http://user:{s}@example.com:port/x")
)
provocation("httpx", "url login", "place", "dirty")(lambda s: lib("httpx").get(f"http://user:{s}@example.com/x"))
provocation("httpx", "headers object", "name", "letters", "hex")(
    lambda s: fail(lib("httpx").Headers({"x-api-key": s, "accept": "*/*"}))
)
provocation("httpx", "proxy login", "place", "word", "letters")(
    lambda s: lib("httpx").Client(proxy=f"htp://user:{s}@proxy.example:3128")
)


@provocation("aiohttp", "url query", "name", "letters", "hex")
def _(s: str) -> None:
    async def go() -> None:
        async with lib("aiohttp").ClientSession(raise_for_status=True) as session:
            await session.get(f"{HERE}/v1?access_token={s}")

    run(go())


@provocation("aiohttp", "object", "name", "letters", "hex")
def _(s: str) -> None:
    async def go() -> None:
        async with lib("aiohttp").ClientSession(headers={"X-Api-Key": s}) as session:
            answer = await session.get(HERE)
            fail(repr(answer.request_info))

    run(go())


provocation("aiohttp", "object", "name", "word", "letters")(lambda s: fail(lib("aiohttp").BasicAuth("user", s)))


@provocation("aiohttp", "url login", "place", "word", "letters")
def _(s: str) -> None:
    async def go() -> None:
        async with lib("aiohttp").ClientSession() as session:
            await session.get(f"user:{s}@example.com/feed")

    run(go())


provocation("http.client", "header value", "place", "letters", "openai")(
    lambda s: lib("http.client").HTTPConnection(AT).request("GET", "/", headers={"Authorization": f"Bearer {s}\n"})
)
provocation("http.client", "url query", "name", "letters", "hex")(
    lambda s: lib("http.client").HTTPConnection(AT).request("GET", f"/v1?token={s}&name=a b")
)
provocation("urllib", "url login", "place", "word", "letters")(
    lambda s: lib("urllib.request").urlopen(f"user:{s}@example.com/feed")
)


@provocation("urllib", "port", "place", "word", "letters")
def _(s: str) -> None:
    _ = lib("urllib.parse").urlsplit(f"https://user:{s}/x@example.com/feed").port


provocation("urllib", "port", "place", "letters")(lambda s: lib("http.client").HTTPSConnection(f"user:{s}@example.com"))
provocation("urllib3", "url login", "place", "word", "letters")(
    lambda s: lib("urllib3").PoolManager().request("GET", f"http://user:{s}@[::1/x")
)
provocation("urllib3", "proxy login", "place", "word", "letters")(
    lambda s: lib("urllib3").ProxyManager(f"socks5://user:{s}@127.0.0.1:1")
)
provocation("httplib2", "url login", "place", "word", "letters")(
    lambda s: lib("httplib2").Http().request(f"//user:{s}@example.com/feed")
)
provocation("tornado", "url login", "place", "word", "letters")(
    lambda s: lib("tornado.httpclient").HTTPClient().fetch(f"htp://user:{s}@example.com/x")
)
provocation("websockets", "url query", "name", "letters", "hex")(
    lambda s: lib("websockets.uri").parse_uri(f"wss//example.com/live?token={s}")
)
provocation("websockets", "url login", "place", "word", "letters")(
    lambda s: lib("websockets.uri").parse_uri(f"htp://user:{s}@example.com/live")
)


@provocation("requests-oauthlib", "authorization", "place", "letters", "hex")
def _(s: str) -> None:
    signed = lib("requests").Request("GET", HERE, auth=lib("requests_oauthlib").OAuth1("app", s, "me", s)).prepare()
    fail({name: value.decode() if isinstance(value, bytes) else value for name, value in signed.headers.items()})


provocation("oauthlib", "object", "name", "letters", "oauth")(
    lambda s: fail(lib("oauthlib.oauth2.rfc6749.tokens").OAuth2Token({"access_token": s, "token_type": "Bearer"}))
)
provocation("requests-oauthlib", "named", "name", "letters", "hex")(
    lambda s: (
        lib("requests_oauthlib").OAuth1Session("app").parse_authorization_response(f"{HERE}?oauth_token={s}&oauth_x")
    )
)


# ---- Services' own clients -------------------------------------------------------------------------------------------

provocation("openai", "prose", "shape", "openai")(
    lambda s: lib("openai").OpenAI(api_key=s, base_url=HERE, max_retries=0).models.list()
)
provocation("openai", "header value", "place", "openai", "letters")(
    lambda s: lib("openai").OpenAI(api_key=f"{s}\n", base_url=HERE, max_retries=0).models.list()
)
provocation("anthropic", "prose", "shape", "anthropic")(
    lambda s: lib("anthropic").Anthropic(api_key=s, base_url=HERE, max_retries=0).models.list()
)
provocation("anthropic", "header value", "place", "anthropic")(
    lambda s: lib("anthropic").Anthropic(api_key=f"{s}\n", base_url=HERE, max_retries=0).models.list()
)
provocation("groq", "prose", "shape", "groq", "letters")(
    lambda s: lib("groq").Groq(api_key=s, base_url=HERE, max_retries=0).models.list()
)
provocation("elevenlabs", "prose", "shape", "elevenlabs")(
    lambda s: lib("elevenlabs").ElevenLabs(api_key=s, base_url=HERE).voices.get_all()
)
provocation("elevenlabs", "header value", "place", "elevenlabs", "hex")(
    lambda s: lib("elevenlabs").ElevenLabs(api_key=f"{s}\n", base_url=HERE).voices.get_all()
)
provocation("replicate", "header value", "place", "replicate")(
    lambda s: lib("replicate.client").Client(api_token=f"{s}\n", base_url=HERE).models.list()
)
provocation("stripe", "prose", "name", "stripe", "letters")(
    lambda s: lib("stripe").StripeClient(s, base_addresses={"api": HERE}, max_network_retries=0).v1.balance.retrieve()
)
provocation("stripe", "prose", "name", "stripe")(
    lambda s: (
        lib("stripe").StripeClient(f" {s}\n", base_addresses={"api": HERE}, max_network_retries=0).v1.balance.retrieve()
    )
)
provocation("slack_sdk", "webhook", "shape", "letters")(
    lambda s: lib("slack_sdk").WebhookClient(f"https//hooks.slack.com/services/T0AB12CD3/B0AB12CD3/{s}").send(text="x")
)
provocation("slack_sdk", "object", "shape", "slack")(lambda s: fail(vars(lib("slack_sdk").WebClient(token=s))))
provocation("python-telegram-bot", "prose", "shape", "telegram")(lambda s: lib("telegram").Bot(""))


@provocation("python-telegram-bot", "prose", "shape", "telegram")
def _(s: str) -> None:
    async def go() -> None:
        bot = lib("telegram").Bot(s, base_url=f"{HERE}/bot")
        await bot.initialize()

    run(go())


provocation("python-telegram-bot", "webhook", "shape", "telegram")(
    lambda s: lib("httpx").post(f"{HERE}/bot{s}/getMe").raise_for_status()
)


@provocation("discord.py", "webhook", "shape", "letters")
def _(s: str) -> None:
    url = f"https://discord.com/api/webhooks/112233445566778899/{s}{s}"
    lib("requests").post(url, timeout=2)


provocation("discord.py", "shape", "shape", "discord")(lambda s: fail(f"Improper token has been passed. {s}"))
provocation("twilio", "named", "name", "hex", "letters")(
    lambda s: fail({"auth_token": s, "account": lib("twilio.rest").Client("AC" + "0" * 32, s).account_sid})
)


@provocation("twilio", "object", "name", "hex", "letters")
def _(s: str) -> None:
    client = lib("twilio.rest").Client("AC" + "0" * 32, s)
    fail({name: value for name, value in vars(client).items() if isinstance(value, str)})


provocation("sendgrid", "object", "shape", "sendgrid")(
    lambda s: fail(lib("sendgrid").SendGridAPIClient(s).client.request_headers)
)
provocation("mailchimp", "named", "name", "mailchimp")(lambda s: fail({"api_key": s, "server": "us9"}))


@provocation("mux", "cookie", "name", "letters", "hex")
def _(s: str) -> None:
    configuration = lib("mux_python").Configuration()
    configuration.host, configuration.username, configuration.password = HERE, "id", s
    lib("mux_python").AssetsApi(lib("mux_python").ApiClient(configuration)).list_assets()


provocation("huggingface", "url query", "name", "letters")(
    lambda s: lib("huggingface_hub").hf_hub_download("a/b", f"c?token={s}", endpoint=HERE)
)
provocation("huggingface", "shape", "shape", "huggingface")(
    lambda s: lib("huggingface_hub").HfApi(endpoint=HERE, token=f"{s}\n").whoami()
)
provocation("yt-dlp", "url query", "name", "letters", "hex")(
    lambda s: lib("yt_dlp").YoutubeDL({"quiet": True, "noprogress": True}).extract_info(f"{HERE}/v.mp4?token={s}")
)
provocation("yt-dlp", "url login", "place", "word", "letters")(
    lambda s: lib("yt_dlp").YoutubeDL({"quiet": True}).extract_info(f"htp://user:{s}@example.com/v.mp4")
)
provocation("hvac", "header value", "place", "letters")(
    lambda s: lib("hvac").Client(url=HERE, token=f"{s}\n").sys.read_health_status(method="GET")
)


@provocation("gql", "url query", "name", "letters", "hex")
def _(s: str) -> None:
    transport = lib("gql.transport.requests").RequestsHTTPTransport(url=f"{NOBODY}/graphql?api_key={s}")
    lib("gql").Client(transport=transport).execute(lib("gql").gql("{ a }"))


provocation("sentry_sdk", "url login", "place", "hex")(
    lambda s: lib("sentry_sdk").init(dsn=f"htps://{s}@sentry.example/1")
)
provocation("sentry_sdk", "url login", "place", "hex")(
    lambda s: fail(f"cannot send to {lib('sentry_sdk.utils').Dsn(f'https://{s}@sentry.example/1')}")
)
provocation("telethon", "prose", "none", "letters")(lambda s: lib("telethon.sessions").StringSession(s))


# ---- Storage ---------------------------------------------------------------------------------------------------------


def s3(**options: Any) -> Any:
    settings = lib("botocore.config").Config(retries={"max_attempts": 0}, connect_timeout=2)
    keys = {"aws_access_key_id": "AK", "aws_secret_access_key": "x", "region_name": "eu-west-1", "config": settings}
    return lib("boto3").client("s3", **{**keys, **options})


@provocation("boto3", "url query", "name", "aws")
def _(s: str) -> None:
    url = s3(aws_access_key_id=s, endpoint_url=NOBODY).generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
    lib("requests").get(url, timeout=2)


provocation("boto3", "url login", "place", "word", "letters")(lambda s: s3(endpoint_url=f"s3//key:{s}@storage.example"))
provocation("boto3", "url login", "place", "word", "base64")(
    lambda s: s3(endpoint_url=f"http://key:{s}@127.0.0.1:1").list_buckets()
)
provocation("boto3", "header value", "place", "aws")(
    lambda s: s3(aws_access_key_id=f"{s}\n", endpoint_url=HERE).list_buckets()
)
provocation("boto3", "parameter", "name", "letters", "base64")(
    lambda s: s3(endpoint_url=HERE).put_object(Bucket="b", Key="k", SSECustomerKey={"raw": s})
)


@provocation("boto3", "parameter", "name", "word", "letters")
def _(s: str) -> None:
    client = lib("boto3").client("iam", aws_access_key_id="AK", aws_secret_access_key="x", region_name="eu-west-1")
    client.create_login_profile(UserName="me", Password=[s])


@provocation("boto3", "object", "name", "base64")
def _(s: str) -> None:
    credentials = lib("botocore.credentials").Credentials("AK", s)
    fail(credentials.get_frozen_credentials())


provocation("s3fs", "object", "name", "base64", "letters")(
    lambda s: fail(
        {"key": "AK", "secret": s, **vars(lib("s3fs").S3FileSystem(key="AK", secret=s, anon=False))["client_kwargs"]}
    )
)


@provocation("fsspec", "url query", "name", "hex", "letters")
def _(s: str) -> None:
    with lib("fsspec").open(f"{HERE}/a.mp4?X-Amz-Signature={s}&X-Amz-Expires=60"):
        pass


provocation("fsspec", "url login", "place", "word", "letters")(
    lambda s: lib("fsspec").open(f"htp://user:{s}@example.com/a.mp4")
)
provocation("minio", "url login", "place", "word", "letters")(
    lambda s: lib("minio").Minio(endpoint=f"http://user:{s}@store.example/path", access_key="a", secret_key="b")
)


@provocation("azure-storage", "named", "name", "azure")
def _(s: str) -> None:
    text = f"DefaultEndpointsProtocol=https;AccountName=reel;AccountKey={s};EndpointSuffix=core.windows.net"
    fail(f"cannot use {text!r}: {lib('azure.storage.blob').__name__}")


@provocation("azure-storage", "url query", "name", "base64")
def _(s: str) -> None:
    url = f"{HERE}/reel/b?sv=2024-01-01&se=2025-09-01&sr=b&sp=r&sig={quote(s, safe='')}"
    lib("azure.storage.blob").BlobClient.from_blob_url(url, retry_total=0).download_blob()


@provocation("azure-storage", "url query", "name", "base64")
def _(s: str) -> None:
    url = f"{HERE}/reel/b?sv=2024-01-01&sig={quote(s, safe='')}"
    lib("requests").get(url, timeout=2).raise_for_status()


provocation("azure-speech", "header value", "name", "hex")(
    lambda s: fail(lib("requests").Request("GET", HERE, headers={"Ocp-Apim-Subscription-Key": s}).prepare().headers)
)


@provocation("google-auth", "url query", "name", "hex")
def _(s: str) -> None:
    url = f"{HERE}/b/o?X-Goog-Credential=me&X-Goog-Signature={s}{s}"
    lib("requests").get(url, timeout=2).raise_for_status()


@provocation("google-auth", "shape", "shape", "oauth")
def _(s: str) -> None:
    credentials = lib("google.oauth2.credentials").Credentials(s)
    fail(f"cannot use {credentials.token}: {credentials!r}")


@provocation("google-auth", "key block", "shape", "pem")
def _(s: str) -> None:
    info = {
        "client_email": "me@reel.example",
        "token_uri": HERE,
        "private_key": f"-----BEGIN PRIVATE KEY-----\n{s}\n-----END PRIVATE KEY-----\n",
    }
    try:
        lib("google.oauth2.service_account").Credentials.from_service_account_info(info)
    except Exception as error:
        raise RuntimeError(f"cannot use {info}: {error}") from error


@provocation("google-auth", "refused", "name", "letters", "gocspx")
def _(s: str) -> None:
    credentials = lib("google.oauth2.credentials").Credentials(
        None, refresh_token=s, client_id="me", client_secret=s, token_uri=f"{HERE}/token?client_secret={s}"
    )
    credentials.refresh(lib("google.auth.transport.requests").Request())


provocation("b2sdk", "object", "name", "backblaze")(
    lambda s: fail({"applicationKeyId": "0051", "applicationKey": s, "sdk": lib("b2sdk").__name__})
)


# ---- Databases and brokers -------------------------------------------------------------------------------------------

for driver in ("psycopg2", "psycopg"):
    for text in ("postgresql://user:{}@[::1/app", "postgresql://user:{}@127.0.0.1:port/app"):
        provocation(driver, "url login", "place", "word", "letters")(
            lambda s, driver=driver, text=text: lib(driver).connect(text.format(s), connect_timeout=2)
        )
    provocation(driver, "port", "place", "at")(
        lambda s, driver=driver: lib(driver).connect(f"postgresql://user:{s}:x@127.0.0.1/app", connect_timeout=2)
    )
    provocation(driver, "host name", "place", "at")(
        lambda s, driver=driver: lib(driver).connect(f"postgresql://user:{s}@db.invalid/app", connect_timeout=2)
    )
    provocation(driver, "port", "place", "dirty")(
        lambda s, driver=driver: lib(driver).connect(f"postgresql://user:{s}@db.invalid/app", connect_timeout=2)
    )
    provocation(driver, "named", "name", "word", "letters")(
        lambda s, driver=driver: lib(driver).connect(f"host=127.0.0.1 user=me password={s} {s}", connect_timeout=2)
    )

provocation("psycopg2", "named", "name", "word", "letters")(
    lambda s: fail(lib("psycopg2.extensions").make_dsn(host="db", user="me", password=s))
)


def sqlite(s: str, statement: str, values: Any) -> None:
    sqlalchemy = lib("sqlalchemy")
    with sqlalchemy.create_engine("sqlite://").begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE users (name TEXT UNIQUE, api_key TEXT NOT NULL UNIQUE)"))
        for _ in range(2):
            connection.execute(sqlalchemy.text(statement), values)


provocation("sqlalchemy", "statement", "name", "letters", "hex", "openai")(
    lambda s: sqlite(s, f"UPDATE users SET api_key = '{s}' WHERE nme = 'me'", {})
)
provocation("sqlalchemy", "parameters", "none", "letters", "hex")(
    lambda s: sqlite(s, "INSERT INTO users (name, api_key) VALUES (:name, :api_key)", {"name": "me", "api_key": s})
)
provocation("sqlalchemy", "url login", "place", "word", "letters")(
    lambda s: lib("sqlalchemy").create_engine(f"postgresql//user:{s}@db/app")
)
provocation("sqlalchemy", "url login", "place", "word", "letters")(
    lambda s: lib("sqlalchemy").create_engine(f"postgresql://user:{s}@db:port/app")
)
provocation("sqlite3", "statement", "none", "letters")(lambda s: sqlite3.connect(":memory:").execute(f"SELECT {s}"))
provocation("postgresql", "duplicate", "name", "letters", "hex", "openai")(
    lambda s: fail(
        f'duplicate key value violates unique constraint "users_api_key"\nDETAIL:  Key (api_key)=({s}) already exists.'
    )
)
provocation("redis", "port", "place", "word", "letters")(
    lambda s: lib("redis").from_url(f"redis://user:{s}/0@cache:6379")
)
provocation("redis", "url login", "place", "word", "letters")(lambda s: lib("redis").from_url(f"user:{s}@cache:6379"))
provocation("redis", "object", "name", "word", "letters")(
    lambda s: fail(repr(lib("redis").ConnectionPool(host="cache", username="me", password=s)))
)
provocation("pymongo", "port", "place", "word", "letters")(
    lambda s: lib("pymongo").MongoClient(f"mongodb://user:{s}:x@mongo:port/app")
)
provocation("pymongo", "url login", "place", "word", "letters")(
    lambda s: lib("pymongo").MongoClient(f"mongo://user:{s}@mongo/app")
)
provocation("pymongo", "object", "name", "word", "letters")(
    lambda s: fail({**lib("pymongo.uri_parser").parse_uri(f"mongodb://me:{s}@mongo/app"), "options": {}})
)
provocation("pymysql", "named", "name", "word", "letters")(
    lambda s: lib("pymysql").connect(host="127.0.0.1", port=1, user="me", **{f"password={s}": 1})
)
provocation("kombu", "url login", "place", "word", "letters")(
    lambda s: lib("kombu").Connection(f"amq://user:{s}@broker//").connect()
)
provocation("kombu", "port", "place", "word", "letters")(
    lambda s: lib("kombu").Connection(f"amqp://user:{s}/x@broker:5672//").connect()
)


@provocation("celery", "object", "name", "word", "letters")
def _(s: str) -> None:
    app = lib("celery").Celery("reel", broker=f"amqp://me:{s}@broker//")
    fail(f"cannot reach {app.conf.broker_url}")


provocation("pika", "port", "place", "word", "letters")(
    lambda s: lib("pika").URLParameters(f"amqp://user:{s}/x@broker:5672/%2F")
)


@provocation("pika", "object", "name", "word", "letters")
def _(s: str) -> None:
    parameters = lib("pika").ConnectionParameters("broker", credentials=lib("pika").PlainCredentials("me", s))
    fail(vars(parameters.credentials))


# ---- Settings and validation -----------------------------------------------------------------------------------------


def model(**fields: Any) -> Any:
    return lib("pydantic").create_model("Settings", **fields)


provocation("pydantic", "validation", "name", "letters", "openai", "hex")(
    lambda s: model(api_key=(int, ...))(api_key=s)
)
provocation("pydantic", "validation", "name", "letters", "hex")(
    lambda s: model(voice={"token": s}, **{"auth_token": (lib("datetime").datetime, ...)})(auth_token=s)
)
provocation("pydantic", "validation", "name", "word", "letters")(
    lambda s: model(password=(str, ...), host=(str, ...))(password=s)
)
provocation("pydantic", "object", "name", "word", "letters")(
    lambda s: fail(model(password=(str, ...), host=(str, "db"))(password=s))
)
provocation("pydantic", "object", "name", "word", "letters")(
    lambda s: fail(repr(model(password=(str, ...), host=(str, "db"))(password=s)))
)
provocation("pydantic", "validation", "place", "word", "letters")(
    lambda s: model(database=(lib("pydantic").PostgresDsn, ...))(database=f"postgresql//user:{s}@db/app")
)


@provocation("pydantic-settings", "validation", "name", "word", "letters")
def _(s: str) -> None:
    settings = type("Settings", (lib("pydantic_settings").BaseSettings,), {"__annotations__": {"stream_key": int}})
    settings(stream_key=s)


@provocation("marshmallow", "object", "name", "letters", "hex")
def _(s: str) -> None:
    schema = lib("marshmallow").Schema.from_dict({"api_key": lib("marshmallow").fields.Int()})
    try:
        schema().load({"api_key": s})
    except Exception as error:
        raise RuntimeError(f"{error} in {error.data}") from error


provocation("jsonschema", "validation", "name", "letters", "hex")(
    lambda s: lib("jsonschema").validate({"api_key": s}, {"properties": {"api_key": {"type": "integer"}}})
)
provocation("jsonschema", "validation", "name", "letters", "hex")(
    lambda s: lib("jsonschema").validate({"api_key": s}, {"required": ["url"]})
)
provocation("attrs", "object", "name", "word", "letters")(
    lambda s: fail(lib("attr").make_class("Login", ["user", "passphrase"])("me", s))
)
provocation("msgspec", "object", "name", "word", "letters")(
    lambda s: fail(lib("msgspec").defstruct("Login", [("user", str), ("api_secret", str)])("me", s))
)


@provocation("argparse", "flag", "name", "letters", "hex")
def _(s: str) -> None:
    parser = lib("argparse").ArgumentParser(exit_on_error=False)
    parser.add_argument("--api-key", type=int)
    parser.parse_args(["--api-key", s])


provocation("argparse", "object", "name", "letters", "hex")(
    lambda s: fail(lib("argparse").Namespace(voice="a", auth_token=s, frames=3))
)


@provocation("click", "flag", "name", "letters", "hex")
def _(s: str) -> None:
    click = lib("click")
    command = click.Command("render", params=[click.Option(["--token"], type=int)], callback=lambda token: None)
    try:
        command.main(["--token", s], standalone_mode=False)
    except click.ClickException as error:
        raise RuntimeError(error.format_message()) from error


provocation("configparser", "named", "name", "word", "letters")(
    lambda s: lib("configparser").ConfigParser().read_string(f"api_key = {s}\n")
)
provocation("configparser", "prose", "none", "word", "letters")(
    lambda s: lib("configparser").ConfigParser().read_string(f"[voice]\nkey {s}\n")
)
provocation("pyyaml", "named", "name", "word", "letters")(
    lambda s: lib("yaml").safe_load(f"voice: x\npassword: '{s}' y\n")
)
provocation("pyyaml", "named", "name", "word", "letters")(
    lambda s: lib("yaml").safe_load(f"voice: x\nclient_secret: {s}: y\n")
)


@provocation("environs", "named", "name", "letters", "hex")
def _(s: str) -> None:
    lib("os").environ["VOICE_API_KEY"] = s
    lib("environs").Env().int("VOICE_API_KEY")


provocation("os", "object", "name", "letters", "base64")(
    lambda s: fail({"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": s, "LANG": "C"})
)
provocation("os", "object", "name", "letters", "base64")(
    lambda s: fail([("user", "me"), ("api_key", s), ("page", "2")])
)
provocation("int", "literal", "none", "word")(lambda s: int(s))
provocation("dataclasses", "object", "name", "word", "letters")(
    lambda s: fail(lib("dataclasses").make_dataclass("Login", ["user", "smtp_pass"])("me", s))
)
provocation("http.cookies", "cookie", "name", "letters", "hex")(
    lambda s: fail(lib("http.cookies").SimpleCookie(f"sessionid={s}; path=/"))
)


@provocation("http.cookies", "cookie", "name", "letters", "hex")
def _(s: str) -> None:
    jar = lib("requests").get(f"{HERE}/{s}", timeout=2).cookies
    fail(jar)


@provocation("lxml", "xml", "name", "word", "letters")
def _(s: str) -> None:
    etree = lib("lxml.etree")
    tree = etree.fromstring(f"<login><user>me</user><password>{s}</password></login>")
    fail(f"refused: {etree.tostring(tree).decode()}")


provocation("xml", "xml", "name", "word", "base64")(
    lambda s: fail(f"<Error><Code>InvalidToken</Code><Token-0>{s}</Token-0><RequestId>1</RequestId></Error>")
)


@provocation("pyjwt", "shape", "shape", "jwt")
def _(s: str) -> None:
    try:
        lib("jwt").decode(s, "x", algorithms=["HS256"])
    except Exception as error:
        raise RuntimeError(f"{error}: {s}") from error


@provocation("cryptography", "key block", "shape", "pem")
def _(s: str) -> None:
    block = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{s}\n-----END OPENSSH PRIVATE KEY-----"
    try:
        lib("cryptography.hazmat.primitives.serialization").load_ssh_private_key(block.encode(), None)
    except Exception as error:
        raise RuntimeError(f"{error}: {block}") from error


@provocation("paramiko", "object", "name", "word", "letters")
def _(s: str) -> None:
    client = lib("paramiko").SSHClient()
    client.connect(hostname=f"me:{s}@host.invalid", port=22, timeout=2)


@provocation("paramiko", "key block", "shape", "pem")
def _(s: str) -> None:
    block = f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{s}\n-----END PGP PRIVATE KEY BLOCK-----"
    fail(f"not a valid OPENSSH private key file: {block}")


# ---- Programs --------------------------------------------------------------------------------------------------------

COMMANDS: list[tuple[str, str, list[str], tuple[str, ...]]] = [
    ("flag", "name", ["false", "--api-key", "{}", "a.mp4"], ("letters", "openai")),
    ("flag", "name", ["false", "--token={}", "a.mp4"], ("letters", "hex")),
    ("flag", "name", ["false", "--password", "{}"], ("word", "letters")),
    ("login flag", "place", ["false", "-u", "me:{}", "http://127.0.0.1:1/x"], ("word", "letters")),
    ("login flag", "place", ["false", "--user", "me:{}", "http://127.0.0.1:1/x"], ("word", "letters")),
    ("header flag", "name", ["false", "-H", "X-Api-Key: {}", "http://127.0.0.1:1/x"], ("letters", "hex")),
    ("header flag", "name", ["false", "-H", "Authorization: Bearer {}", "http://127.0.0.1:1"], ("letters", "jwt")),
    ("header flag", "name", ["false", "-H", "Cookie: session={}; a=b", "http://127.0.0.1:1"], ("letters", "hex")),
    (
        "url query",
        "name",
        ["ffmpeg", "-v", "error", "-i", "http://127.0.0.1:1/a?token={}", "x.mp4"],
        ("letters", "hex"),
    ),
    ("url query", "name", ["ffmpeg", "-v", "error", "-i", HERE + "/a?X-Amz-Signature={}", "x.mp4"], ("hex",)),
    ("url login", "place", ["ffmpeg", "-v", "error", "-i", "http://me:{}@127.0.0.1:1/a", "x.mp4"], ("word", "letters")),
    (
        "stream key",
        "place",
        ["ffmpeg", "-v", "error", "-i", "rtmp://127.0.0.1:1/live/{}", "x.mp4"],
        ("letters", "twitch"),
    ),
    ("stream key", "name", ["ffmpeg", "-v", "error", "-i", "srt://127.0.0.1:1?passphrase={}", "x.mp4"], ("letters",)),
    ("header flag", "name", ["ffmpeg", "-headers", "Authorization: Token {}", "-i", HERE, "x.mp4"], ("letters", "hex")),
    (
        "url login",
        "place",
        ["git", "clone", "-q", "http://me:{}@127.0.0.1:1/a.git", "/tmp/nothing"],
        ("word", "github"),
    ),
    ("url login", "place", ["git", "clone", "-q", "http://{}@127.0.0.1:1/a.git", "/tmp/nothing"], ("github", "gitlab")),
    ("environment", "name", ["env", "PGPASSWORD={}", "false"], ("word", "letters")),
    ("shape", "shape", ["false", "login", "docker.io", "{}"], ("docker", "npm", "pypi", "digitalocean", "perplexity")),
    ("shape", "shape", ["false", "voice", "{}"], ("elevenlabs", "xai", "runway", "google", "gocspx", "huggingface")),
    ("shape", "shape", ["false", "pay", "{}"], ("stripe", "whsec", "square", "sendgrid", "mailgun", "slack", "aws")),
]
for form, place, command, kinds in COMMANDS:

    def _called(s: str, command: list[str] = command) -> None:
        arguments = [argument.format(s) for argument in command]
        subprocess.run(arguments, check=True, timeout=20, stdin=subprocess.DEVNULL, capture_output=True)

    def _quoted(s: str, command: list[str] = command) -> None:
        arguments = [argument.format(s) for argument in command]
        done = subprocess.run(arguments, timeout=20, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        fail(f"{' '.join(arguments)} exited with {done.returncode}: {done.stderr.strip()}")

    provocation(f"subprocess {command[0]}", form, place, *kinds)(_called)
    provocation(f"shell {command[0]}", form, place, *kinds)(_quoted)

provocation("sh", "flag", "name", "letters", "hex")(lambda s: lib("sh").Command("false")("--secret", s))
provocation("invoke", "header flag", "name", "letters", "hex")(
    lambda s: lib("invoke").run(f"false -H 'X-Api-Key: {s}'", hide=True)
)
provocation("gitpython", "url login", "place", "word", "github")(
    lambda s: lib("git").Repo.clone_from(f"http://me:{s}@127.0.0.1:1/a.git", "/tmp/nothing")
)
provocation("moviepy", "url query", "name", "hex", "letters")(
    lambda s: lib("moviepy").VideoFileClip(f"{HERE}/a.mp4?Signature={s}&Expires=1")
)
provocation("moviepy", "url login", "place", "word", "letters")(
    lambda s: lib("moviepy").AudioFileClip(f"http://me:{s}@127.0.0.1:1/a.mp3")
)


@provocation("ffmpeg-python", "url query", "name", "letters", "hex")
def _(s: str) -> None:
    try:
        lib("ffmpeg").probe(f"{HERE}/a.mp4?api_key={s}")
    except Exception as error:
        raise RuntimeError(error.stderr.decode().rpartition("HTTP error")[2]) from error


provocation("docker", "url login", "place", "word", "letters")(
    lambda s: lib("docker").DockerClient(base_url=f"htp://me:{s}@host:2375")
)


@provocation("smtplib", "base64", "place", "word", "letters")
def _(s: str) -> None:
    plain = lib("base64").b64encode(f"\0me\0{s}".encode()).decode()
    raise lib("smtplib").SMTPAuthenticationError(535, f"5.7.8 Error: AUTH PLAIN {plain}".encode())


@provocation("smtplib", "prose", "name", "word", "letters")
def _(s: str) -> None:
    raise lib("smtplib").SMTPAuthenticationError(535, f"5.7.8 Password: {s} is not accepted for me".encode())


provocation("fal", "shape", "place", "fal")(lambda s: lib("httpx").get(HERE, headers={"Authorization": f"Key {s}\n"}))


# ---- What is written down --------------------------------------------------------------------------------------------


def lines_of(error: BaseException | None) -> list[str]:
    """What the exception says, and each one that it came from."""
    lines = []
    while error is not None and len(lines) < 4:
        lines.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return lines


def shown(secret: str, line: str) -> str:
    """The part of the secret that the line holds, as it is spelled there; '' where it holds none."""
    encoded = lib("base64").b64encode(f"\0me\0{secret}".encode()).decode()
    for spelled in (secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1], encoded):
        if spelled in line:
            return spelled
    pieces = [piece for piece in re.findall(r"\w{6,}", secret) if piece in line]
    return max(pieces, key=len, default="")


def provoked() -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for library, form, place, kinds, function in PROVOCATIONS:
        for kind in kinds:
            for _ in range(2 if len(kinds) < 4 else 1):
                secret = KINDS[kind]()
                try:
                    function(secret)
                    lines = []
                except ImportError as error:
                    print(f"left out: {library}: {error}", file=sys.stderr)
                    lines = []
                except (Exception, SystemExit) as error:
                    lines = lines_of(error)
                said = [line for line in lines if shown(secret, line) and len(line) < 1900]
                if not said:
                    print(f"kept to itself: {library}, {form}: {lines[:1]}"[:200], file=sys.stderr)
                for line in said:
                    line = line.replace(str(SERVER.server_port), "8080")
                    line = re.sub(r"0x[0-9a-f]{8,}", "0x7f0000000000", line)
                    entry = {"line": line, "secret": shown(secret, line), "form": form, "place": place}
                    if place == "name" and not TELLING.search(line.replace(shown(secret, line), "")):
                        entry["place"] = "none"
                    found.setdefault(line, {**entry, "library": library})
    return list(found.values())


def written(entry: dict[str, str]) -> str:
    """As JSON in which no secret stands as itself: its characters are escaped, so that no scanner takes it for one."""
    text = json.dumps(entry, ensure_ascii=False)
    secret = json.dumps(entry["secret"], ensure_ascii=False)[1:-1]
    escaped = "".join(f"\\u{ord(character):04x}" for character in secret[:4]) + secret[4:]
    text = text if "\\" in secret[:4] else text.replace(secret, escaped)
    return text.replace("PRIVATE KEY", "PRIVATE \\u004bEY")


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        entries = provoked()
        file = Path(__file__).with_name("leaks.jsonl")
        file.write_text("".join(written(entry) + "\n" for entry in entries), encoding="utf-8")
        print(f"{len(entries)} lines of {len({entry['library'] for entry in entries})} libraries", file=sys.stderr)
