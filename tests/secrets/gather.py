#!/usr/bin/env python3
"""Gathers what installed packages and ffmpeg say when nothing secret is in it: ordinary.txt, beside this.

    /tmp/libraries/bin/python tests/secrets/gather.py [--all FILE]

The texts of `raise` and of log calls, with made-up ids, paths and numbers in their gaps. 3,000 of them are
written, picked by their hash; --all writes every one elsewhere, for a measurement at large.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import random
import re
import site
from collections.abc import Iterator
from pathlib import Path

RANDOM = random.Random(13)
KEPT = 3000
LOG_CALLS = ("debug", "info", "warning", "warn", "error", "exception", "critical", "fail", "append_error")


def hexadecimal(length: int) -> str:
    return "".join(RANDOM.choice("0123456789abcdef") for _ in range(length))


def filler() -> str:
    """What stands in the gaps of real messages: mostly what people search for."""
    uuid = "-".join(hexadecimal(length) for length in (8, 4, 4, 4, 12))
    number = RANDOM.randrange(10_000)
    return RANDOM.choice(
        [
            uuid,
            f"task-{uuid}",
            hexadecimal(40),
            hexadecimal(12),
            f"/app/renders/{uuid}/scene_{number}.mp4",
            f"https://cdn.example.com/reels/{hexadecimal(12)}.mp4?width=1080&v={number}",
            f"scene_{number}",
            f"job_{hexadecimal(24)}",
            f"i-0{hexadecimal(16)}",
            f"arn:aws:s3:::reels/{uuid}",
            f"req_{hexadecimal(24)}",
            f"'{hexadecimal(8)}'",
            "video/mp4",
            str(number),
            str(number),
            f"{number / 100:.2f}",
            "Bangers-Regular.ttf",
            "render-worker-7d9f8b6c5-x2k4q",
        ]
    )


def text_of(node: ast.expr) -> str | None:
    """The message, with something in its gaps; None where it is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = re.sub(r"%(?:\(\w+\))?[-#0-9.]*[srdifgxa]", lambda _: filler(), node.value)
        return re.sub(r"\{[\w.!\[\]:]*\}", lambda _: filler(), text)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else filler() for part in node.values)
    if isinstance(node, ast.BinOp):
        left, right = text_of(node.left), text_of(node.right)
        return left if left is None or right is None or isinstance(node.op, ast.Mod) else left + right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return text_of(node.func.value)
    return None


def messages(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            name = node.exc.func.attr if isinstance(node.exc.func, ast.Attribute) else getattr(node.exc.func, "id", "")
            text = text_of(node.exc.args[0])
            if text:
                yield f"{name}: {text}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_CALLS:
            text = text_of(node.args[0]) if node.args else None
            if text:
                yield text


def of_packages() -> Iterator[str]:
    for folder in [*site.getsitepackages(), ast.__file__.rpartition("/")[0]]:
        for path in sorted(Path(folder).rglob("*.py")):
            if folder != site.getsitepackages()[0] and "site-packages" in path.parts:
                continue
            try:
                yield from messages(ast.parse(path.read_text(encoding="utf-8")))
            except (SyntaxError, ValueError, RecursionError):
                continue


def of_ffmpeg() -> Iterator[str]:
    """The texts in ffmpeg's libraries that read like a message to people."""
    folders = Path("/usr/lib").rglob("libav*.so.*")
    libraries = sorted({path.resolve() for path in folders} | {Path("/usr/bin/ffmpeg")})
    for library in libraries:
        for found in re.findall(rb"[\x20-\x7e]{20,200}\n\0", library.read_bytes()):
            text = re.sub(r"%[-#0-9.*]*(?:[lh]*|z|PRI)[dsuxfgcilX0-9]*", lambda _: filler(), found[:-2].decode())
            if re.match(r"[A-Z\[][\w\[]+ [a-z]", text):
                yield text


def ids() -> Iterator[str]:
    """Ordinary words around an id."""
    for text in (
        "Task {} failed", "render {} not found in the queue", "task_id={}", "id: {}", "request_id: {}",
        "Request ID: {}",
        "key: {}", "Key={} does not exist", "cache key {} expired", "job={} worker=3", "scene {} has no duration",
        "no such key: {}", "idempotency_key={}", "primary key ({}) is taken", "Key (id)=({}) already exists.",
        "The specified key does not exist: {}", "commit {}", "sha256:{}", "etag {}", "trace_id={} span_id={}",
        "session {} closed", "author: {}", "Invalid signature of {}", "the second pass: {}", "key frame {} is missing",
        "keyframe={}", "KeyError: '{}'", "bandpass=f={}", "tokens: {}", "max_tokens={}", "passes={}", "password for {}",
        "voice_id={}", "upload_id={}", "author_id={}", "sort_key={}", "object {} is locked", "monkey={}", "version {}",
        "process {} exited", "user {} has no credits", "X-Request-Id: {}", "cf-ray: {}", "x-amz-request-id: {}",
        "Error code: 429 - {{'request_id': '{}'}}", "correlation_id='{}'", "checksum {} differs", "digest={}",
        "https://cdn.example.com/{}/out.mp4?quality=high&t=12", "s3://reels/{}/a.mp4", "/tmp/render/{}/a.png",
    ):  # fmt: skip
        yield text.format(*[hexadecimal(32)] * 2)
        yield text.format(*["-".join(hexadecimal(length) for length in (8, 4, 4, 4, 12))] * 2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", type=Path)
    everything = parser.parse_args().all
    found = {" ".join(text.split()) for source in (of_packages(), of_ffmpeg()) for text in source}
    lines = sorted(text for text in found if 15 <= len(text) <= 240 and text.isprintable())
    if everything:
        everything.write_text("\n".join([*lines, *ids()]) + "\n", encoding="utf-8")
    picked = sorted(lines, key=lambda line: hashlib.sha256(line.encode()).digest())[:KEPT]
    text = "\n".join([*sorted(picked), *ids()]) + "\n"
    Path(__file__).with_name("ordinary.txt").write_text(text, encoding="utf-8")
    print(f"{len(lines)} lines found, {len(picked)} written")


if __name__ == "__main__":
    main()
