"""How much of what is secret gets masked, and how little of what is not: figures, with the least that is good enough.

leaks.jsonl holds what 77 libraries and programs said when they were given a made-up secret: a line for each, with the
secret and its `place` (how one can know it: by a name before it, its own shape, a known place such as a URL's login; or
not at all). ordinary.txt holds what they say otherwise. Whoever meets another such text adds its line. The scripts that
made them once are in the history (git log -- tests/secrets/provoke.py). The forms are a table of their own below.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest

from slack_notifier import LINE_CHARACTERS, one_line, redact

HERE = Path(__file__).parent
LEAKS = [json.loads(line) for line in (HERE / "leaks.jsonl").read_text(encoding="utf-8").splitlines()]
ORDINARY = (HERE / "ordinary.txt").read_text(encoding="utf-8").splitlines()


def shown(text: str) -> str:
    return redact(one_line(text))


def is_masked(secret: str, text: str) -> bool:
    """Whether no piece of the secret can be read any more."""
    pieces = re.findall(r"\w{4,}", secret) or [secret]
    return not any(piece in shown(text) for piece in pieces)


def rates(outcomes, figures):
    """Returns the share of the outcomes, each a heading and whether it was masked, under each heading; reports it."""
    tried, masked = Counter[str](), Counter[str]()
    for heading, good in outcomes:
        tried[heading] += 1
        masked[heading] += good
    figures(**{f"of {tried[heading]} {heading}": masked[heading] for heading in sorted(tried)})
    return {heading: masked[heading] / tried[heading] for heading in tried}


# ---- What libraries say ----------------------------------------------------------------------------------------------

KNOWABLE = [leak for leak in LEAKS if leak["place"] != "none"]
for leak in LEAKS:
    # A third of the libraries: nobody looks at their lines while changing the patterns.
    leak["was"] = "not looked at" if zlib.crc32(leak["library"].encode()) % 3 == 0 else "looked at"


def test_the_corpus_is_large_enough():
    assert len(KNOWABLE) >= 200
    assert len({leak["library"] for leak in KNOWABLE}) >= 40
    assert len(ORDINARY) >= 1000


@pytest.mark.slow
@pytest.mark.parametrize(("heading", "least"), [("place", 0.9), ("form", 0.8), ("library", 0.5), ("was", 0.95)])
def test_secrets_in_real_exceptions_are_masked(figures, heading, least):
    rate = rates(((leak[heading], is_masked(leak["secret"], leak["line"])) for leak in KNOWABLE), figures)
    assert min(rate.values()) >= least


def test_what_nothing_tells_of_is_counted_as_a_leak(figures):
    leaks = [leak for leak in LEAKS if leak["place"] == "none"]
    rates((("without a name, a shape or a place", is_masked(leak["secret"], leak["line"])) for leak in leaks), figures)
    assert leaks


# ---- Forms of a name and its value -----------------------------------------------------------------------------------

STRONG_NAMES = """
    password passwd PGPASSWORD db_password smtp_pass passphrase secret client_secret token access_token refreshToken
    api_key API-KEY apiKey x-api-key xi-api-key AccountKey AZURE_SPEECH_KEY Ocp-Apim-Subscription-Key STREAM_KEY
    OPENAI_API_KEY hmac X-Amz-Signature private_key credential secret_key PHPSESSID
    streamkey accessKeyId webhook-key hdnts RENDER_FARM_KEY HTTP_AUTHORIZATION
""".split()  # noqa: SIM905
# Names that ordinary text has as well: they tell only where they are set to something.
WEAK_NAMES = ["pass", "sig", "session", "cookie", "auth"]
VALUES = """
    hunter2 Copper12Harbor! kQ3xZ9vLm2Tn8RpW4sYb 0a1b2c3d4e5f60718293a4b5c6d7e8f9
    wJalrXUtnFEMI/K7MDENG+bPxRfiCYzz1234567= QwErTyUiOpAsDfGhJk 5551234987
""".split()  # noqa: SIM905
FORMS = {
    "name=value": "{n}={v} was refused", "name = value": "set {n} = {v}, then go", "query": "GET /x?{n}={v}&b=2 401",
    "keyword": "Login(user='a', {n}='{v}')", "connection string": "host=x;{n}={v};user=y",
    "json": '{{"a": 1, "{n}": "{v}", "b": 2}}', "tight json": '{{"{n}":"{v}"}}',
    "escaped json": '{{\\"{n}\\": \\"{v}\\"}}', "dict": "{{'{n}': '{v}', 'x': 1}}", "bytes": "{{b'{n}': b'{v}'}}",
    "subscript": "config['{n}'] = '{v}'", "rocket": "'{n}' => '{v}'", "flag": "run --{n} {v} now",
    "flag=": "run --{n}={v} now", "list": "Command '['run', '--{n}', '{v}', 'x']' returned 1",
    "double-quoted list": '["run", "--{n}", "{v}"]', "pair": "('{n}', '{v}')",
    "pairs": "[('a', 'b'), ('{n}', '{v}'), ('c', 'd')]", "xml": "<a><{n}>{v}</{n}></a>",
    "xml with a namespace": "<ns:{n} t='1'>{v}</ns:{n}>", "SecretStr": "Settings(host='a', {n}=SecretStr('{v}'))",
    "nested address": "url=https%3A%2F%2Fx%2F%3F{n}%3D{v}%26b",
    "field": "1 validation error for S {n} Input should be valid [type=int_parsing, input_value='{v}', input_type=str]",
    "list of one": "{{'{n}': ['{v}']}}", "nested dict": "{{'{n}': {{'value': '{v}'}}}}",
    "login of two": "{{'{n}': ('me', '{v}')}}",
    "field that is a dict": "S {n} Input should be a string [type=str, input_value={{'a': '{v}'}}, input_type=dict]",
    "column": "Key ({n})=({v}) already exists.", "last column of two": "Key (user_id, {n})=(7, {v}) already exists.",
    "first column of two": "Key ({n}, user_id)=({v}, 7) already exists.",
    "parameter": "Invalid type for parameter {n}, value: {v}, type: <class 'str'>",
}  # fmt: skip
WORDED_FORMS = {
    "name: value": "bad {n}: {v}", "header": "curl -H '{n}: {v}' https://x", "Invalid name: value": "Invalid {n}: {v}",
    "name is value": "the {n} is {v}", "name is 'value'": "your {n} is '{v}'.",
    "name provided: value": "Incorrect {n} provided: {v}", "name 'value'": "{n} '{v}' was rejected",
}  # fmt: skip


@pytest.mark.slow
def test_a_named_value_is_masked_in_every_form(figures):
    forms = {**dict.fromkeys(FORMS, STRONG_NAMES + WEAK_NAMES), **dict.fromkeys(WORDED_FORMS, STRONG_NAMES)}
    texts = {**FORMS, **WORDED_FORMS}
    rate = rates(
        (
            (form, is_masked(value, texts[form].format(n=name, v=value)))
            for form, names in forms.items()
            for name in names
            for value in VALUES
        ),
        figures,
    )
    assert min(rate.values()) >= 0.95


# What stands between ⟦ and ⟧ is masked, and nothing else.
MARKED = [
    'Authorization: Token ⟦token="k3y"⟧ failed', "Authorization: ApiKey ⟦hunter2⟧ failed",
    "Authorization: ⟦hunter2⟧ failed", 'OAuth oauth_token=⟦"k3y"⟧ refused',
    "Authorization: AWS4-HMAC-SHA256 ⟦Credential=a, Signature=c1d2⟧", "Authorization: SSWS ⟦hunter2⟧ failed",
    "Authorization: DeepL-Auth-Key ⟦k3y⟧ failed", 'Authorization: Hawk ⟦id="k3y", mac="c1d2"⟧ failed',
    "BASIC ⟦dXNlcjpwYXNz0⟧ failed", "auth: ⟦hunter2⟧ failed", "pw: ⟦hunter2⟧ failed", "my password is ⟦'letmein'⟧ now",
    "your google key: ⟦hunter2⟧ failed", "<password>⟦hun ter2⟧</password>",
    "&lt;password&gt;⟦hun ter2⟧&lt;/password&gt;", "/k?key=⟦abc%2Fdef9%3D⟧ failed", "redis://⟦me:p'ss9⟧@db.example/0",
    "redis://⟦me%40corp:pa/ss9⟧@db.example/0", "https://hooks.example.com/⟦k3y⟧ 404",
    "Cookie: ⟦sid=s3cret; csrf=t0ken⟧", "Set-Cookie: ⟦sid=s3cret; Path=/⟧",
    "Invalid character(s) in header value: '⟦ k3y⟧'", "curl -u me:⟦hunter2⟧ https://x",
    "['curl', '--user', 'me:⟦hunter2⟧']", "https//⟦me:hunter2⟧@db.example/x", "me:⟦hunter2⟧@db.example:5432/app",
    'could not translate host name "⟦ter2⟧@db" to', "Port could not be cast to integer value as '⟦x2⟧'",
    "rtmp://a.example/live/⟦k3y-of-a-stream⟧: refused", "srt://a.example:9000?passphrase=⟦hunter2hunter⟧",
    "/api/webhooks/1122334455/⟦aaaaaaaaaaaaaaaaaaaa⟧ 404", "FlyV1 ⟦fm2_lJPECAAAAAAAAAAA==,fm2_lJPETxAAAAAAAAA=⟧ failed",
    "token=⟦a1b2,c3d4⟧ x", "postgresql://⟦worker:hun@ter2⟧@db/app", "postgresql://⟦worker:hun/ter2⟧@db/app",
    "amqp://⟦u:p#s?w⟧@mq/vhost", "https://⟦ghp-like-token⟧@git.example.com/x.git",
    "POST https://hooks.slack.com/⟦services/T0AA/B0BB/s3cret⟧ 404", "hooks.slack.com/services/⟦T0AA/B0BB/s3cret⟧ x",
    r"\/hooks.slack.com\/services\/⟦T0AA\/B0BB\/s3cret⟧ x", "url: /services/⟦T0AA/B0BB/s3cret⟧ (Caused by …)",
    'Authorization: Digest ⟦username="worker", response="66"⟧', "Authorization: Bearer ⟦ya29.a0AfB_byCabcdef⟧",
    "Authorization: Basic ⟦dXNlcjpwYXNzd29yZA==⟧", "bearer ⟦abcdefghijklmnopqrstuv⟧", "password := ⟦hunter2⟧ x",
    "password == ⟦hunter2⟧ x", '"password": ⟦"hun\\"ter2"⟧', "?X-Goog-Credential=⟦me%40x⟧&X-Goog-Signature=⟦2f⟧",
    "failed: password=⟦hunter2⟧, attempt 3 of 5",
]  # fmt: skip
# Here, what stands around is rewritten as well: the text and what is shown of it.
REWRITTEN = [
    ("?url=https%3A%2F%2Fme%3Apa/ss9%40cdn.example%2Fa", "?url=https%3A%2F%2F[masked]@cdn.example%2Fa"),
    ("Illegal header value b'Bearer k3y\\n'", "Illegal header value '[masked]'"),
    ("?url=https%3A%2F%2Fme%3Ahunter2%40cdn.example%2Fa", "?url=https%3A%2F%2F[masked]@cdn.example%2Fa"),
    ("pass\u200bword=\n\n  hunter2", "password= [masked]"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(re.sub("[⟦⟧]", "", text), re.sub("⟦.*?⟧", "[masked]", text)) for text in MARKED] + REWRITTEN,
)
def test_what_stands_around_a_secret_stays(text, expected):
    assert shown(text) == expected


# ---- Shapes ----------------------------------------------------------------------------------------------------------

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7" * 6
HEX = "0a1b2c3d4e5f6789" * 9
# Put together here, so that no scanner takes them for real ones: a prefix and as many characters as services give.
SHAPES = {
    "AKIA": 16, "ASIA": 16, "ya29.": 60, "GOCSPX-": 28, "GOOG1E": 50, "sk-proj-": 60, "sk-": 48, "sk-ant-api03-": 90,
    "r8_": 37, "hf_": 34, "AIza": 35, "gsk_": 52, "xai-": 80, "pplx-": 48, "xoxb-1234567890-": 24, "xoxe.xoxp-1-": 30,
    "xapp-1-A": 40, "sk_live_": 24, "rk_live_": 24, "whsec_": 32, "EAAA": 60, "ghp_": 36, "gho_": 36, "ghu_": 36,
    "ghs_": 36, "ghr_": 36, "github_pat_": 82, "glpat-": 20, "npm_": 36, "pypi-AgEI": 60, "dckr_pat_": 27, "K005": 27,
    "live_123456789_": 30, "123456789:AA": 33, "sb_secret_": 31, "ABSK": 128, "AQ.": 50, "vercel_blob_rw_": 40,
    "cfut_": 40, "fm2_": 120, "rnd_": 28, "re_": 33, "lin_api_": 40, "ntn_": 46, "npg_": 12, "pcsk_": 70, "tvly-": 32,
    "lsv2_pt_": 43, "tgp_v1_": 43, "fw_": 24, "csk-": 48, "dp.st.": 43, "dp.st.prd.": 43, "hvs.": 90, "ops_eyJ": 120,
    "glsa_": 41, "gldt-": 20, "glcbt-1_": 20, "ATATT3": 180, "NRAK-": 27, "phx_": 47, "pscale_tkn_": 43,
    "tskey-auth-": 40, "tr_prod_": 20,
}  # fmt: skip
HEX_SHAPES = {
    "sk_": 48, "key_": 128, "key-": 32, "dop_v1_": 64, "fc-": 32, "dapi": 32, "signkey-prod-": 64, "shpat_": 32,
}  # fmt: skip
WHOLE_SHAPES = {
    "jwt": f"eyJ{LETTERS[:20]}.eyJ{LETTERS[:40]}.{LETTERS[:43]}",
    "sendgrid": f"SG.{LETTERS[:22]}.{LETTERS[:43]}",
    "discord": f"M{LETTERS[:23]}.{LETTERS[:6]}.{LETTERS[:27]}",
    "fly": f"fm2_{LETTERS[:90]}+x/y==,fm2_{LETTERS[9:99]}==",
    "luma": f"luma-{HEX[:8]}-{HEX[:4]}-{HEX[:4]}-{HEX[:4]}-{HEX[:12]}",
    "mailchimp": f"{HEX[:32]}-us12",
    "fal": f"{HEX[:8]}-{HEX[:4]}-{HEX[:4]}-{HEX[:4]}-{HEX[:12]}:{HEX[:32]}",
    "pem": f"-----BEGIN PRIVATE KEY-----\n{LETTERS[:64]}\n-----END PRIVATE KEY-----",
    "openssh": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{LETTERS[:64]}\n-----END OPENSSH PRIVATE KEY-----",
    "pgp": f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{LETTERS[:64]}\n-----END PGP PRIVATE KEY BLOCK-----",
}
TOKENS = {
    **{prefix: prefix + LETTERS[:length].upper() if prefix in ("AKIA", "ASIA") else prefix + LETTERS[:length]
       for prefix, length in SHAPES.items()},
    **{prefix: prefix + HEX[:length] for prefix, length in HEX_SHAPES.items()},
    **WHOLE_SHAPES,
}  # fmt: skip
DISGUISES = {
    "as a word": lambda token: f"cannot use {token} here",
    "in quotes": lambda token: f"cannot use '{token}', sorry",
    "in a path": lambda token: f"GET /v1/{token} 404",
    "after an underscore": lambda token: f"id_{token} x",
    "in a terminal's colours": lambda token: f"cannot use \x1b[1;31m{token}\x1b[0m here",
    "in percent-encoded quotes": lambda token: f"q=%22{token}%22&x=1",
    "with zero-width spaces": lambda token: f"cannot use {token[:9]}\u200b{token[9:]} here",
    "with soft hyphens": lambda token: f"cannot use {token[:3]}\xad{token[3:12]}\xad{token[12:]} here",
    "with joiners": lambda token: f"cannot use {token[:9]}\u200d{token[9:14]}\ufe0f{token[14:]} here",
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_token_is_known_by_its_shape(figures, disguise):
    rate = rates(
        ((name, is_masked(token, DISGUISES[disguise](token))) for name, token in TOKENS.items()), lambda **_: 0
    )
    leaking = [name for name in rate if not rate[name]]
    figures(**{f"of {len(TOKENS)} shapes, not {leaking}": len(TOKENS) - len(leaking)})
    assert leaking == []


def test_emoji_stay_whole():
    assert shown("👩\u200d💻 ❤\ufe0f 1\ufe0f\u20e3 done") == "👩\u200d💻 ❤\ufe0f 1\ufe0f\u20e3 done"


# ---- What is no secret -----------------------------------------------------------------------------------------------


def test_ordinary_text_stays(figures):
    changed = [line for line in ORDINARY if shown(line) != one_line(line)]
    figures(**{f"of {len(ORDINARY)} ordinary lines changed": len(changed)})
    assert len(changed) <= len(ORDINARY) * 0.007
    ids = [(line, found) for line in changed for found in re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24,}", line)]
    assert [line for line, found in ids if found not in shown(line)] == []


ID = "6f1c2a94-8d3b-4e57-9a60-2b7de15c0f83"


@pytest.mark.parametrize(
    "text",
    [
        "bandpass=f=200", "second pass: 5.3 s", "the second pass: {id}", "pass=2",
        "-pass 1 -an", "key frame {id} is lost", "Invalid signature",
        "Invalid signature: {id} is stale", "InvalidTokenError: {id}", "TokenError: x1y2z3a4", "task_id={id}",
        "session {id} closed", "session: {id}", "request_id: {id}", "key: scenes/{id}.mp4", "Key={id} does not exist",
        "idempotency_key={id}", "PRIMARY_KEY={id}", "sort_key={id}", "author={id}", "authored: {id}", "tokens: {id}",
        "max_tokens={id}", "node:18@sha256:1f2e3d4c5b6a", "mail to:ops@example.com now", "mailto:ops@example.com",
        'duplicate key violates "pk_user_accounts_by_email_v2"',
        "using password: YES", "password=None", "token: str", "secret=***", "password is required",
        "--token is required", "--token requires an argument", "the token: string", "headers={{'Authorization': ...}}",
        "asset_key=assets/9.mp4", "redis_key=render:12:lock", "S3_OBJECT_KEY=renders/9.mp4", "sortKey=12",
        "/app/webhook/handler.py", "digest algorithm=md5", "auth=none (attempt 3)", "sk-ecdsa-sha2-nistp256 is unknown",
        "re_encode_segment_12_of_14_failed", "fw_update_Timeout_Error_now", "luma-keying-of-the-background",
        "Unexpected token '}}'", "missing arguments: ('password', 'user')", "hf_hub_download_metadata_failed",
        "update_live_stream_generated_subtitles_request", "password_file=/run/{id}", "token_type=bearer",
        "-u 1000:1000",
        "port 5432 on 10.0.0.7", "Invalid port: '99999'", "cookies: 12", "cdn.example.com:8080/logo@2x.png",
        "commit 2f6d0c9b1e7a4835d2c6f09b8e1a7c35aabbccdd", "/app/hooks/{id}/run",
        "https://cdn.example.com/{id}/a.mp4?t=1", "HTTP 429", "disk-usage-1234567890abcdef", "bearer of bad news",
        "at 12:30:45", "max_tokens: 4096", "token limit exceeded after 512 tokens", "Secret Garden.mp4 not found",
        "basic authentication required", "KeyError: 'scene_duration'", "connection to db.internal:5432 refused",
        "16:9 @ 30fps", "file /tmp/passwords.txt is missing", "ask-a-question-about-it",
        "the keyboard: broken, monkey=1", "https://example.com/watch?v=abc",
    ],
)  # fmt: skip
def test_what_people_search_for_stays(text):
    text = text.format(id=ID)
    assert shown(text) == text


# ---- Hostile text ----------------------------------------------------------------------------------------------------

# What begins a match, or nearly one, at each of its repetitions.
PIECES = [
    "token", "token ", "password=", "pass_", "A_KEY", "api ", "sess", "_", "--", "-", "(", "\\", "key is the ",
    "token[input_value=", "token, input_value=", "token, value: ", "token: invalid ", "api_key is ", "--token ",
    "<password>", "<token ", "('token', ", "(token", "(token)=(", '"token": [', "secret=f(", "SecretStr('", "hmac, ",
    "key = {'a': ", "password=a;", "password=a&", "password='\\", 'token"a', "%3A%2F%2F", "%40", "%3Ftoken%3D", "//a:",
    "a:b", "a:b@", "a@", "cookie=a=b; ", "authorization: x ", "authorization: a=b, ", "header value '", "-u a:",
    "host '", "integer value as '", "rtmp://a/b/", "webhook/", "webhooks/1/", "services/T0/a/", "AUTH PLAIN ", "AKIA",
    "xox", "sk-", "eyJaaaaaaa.", "M" * 25 + ".", "deadbeef-", "-----BEGIN PRIVATE KEY-----", "http://a?", "a://b:c",
]  # fmt: skip


def seconds(piece: str, characters: int) -> float:
    text = (piece * characters)[:characters]
    times = []
    for _ in range(3):
        start = time.process_time()
        redact(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.slow
def test_no_text_takes_long():
    slow = {piece: seconds(piece, LINE_CHARACTERS) for piece in PIECES}
    # CPU time, and ten times what the slowest takes: a pattern that goes wrong takes a hundred times as long.
    assert {piece: taken for piece, taken in slow.items() if taken > 0.1} == {}
