"""The notifier, and beside it two that everybody writes first: the record after the send, and the record before it.

They are the same module: only what its connection does around a post differs. What ended well is told as ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions

THE_NOTIFIER, AFTER, BEFORE = VARIANTS = ("the notifier", "record after the send", "record before the send")

_ROOT = Path(__file__).resolve().parents[2]
_START = '\nif __name__ == "__main__":\n'
_INSTALL = """
sys.path.append({root!r})
from benchmarks.chaos import variants
variants.install({name!r})
"""

# What this transaction is about to tell, with the destinations' own rows.
_TOLD = """
SELECT coalesce(json_agg(told), '[]') FROM slack_notifications AS told
WHERE destination IN (SELECT destination FROM slack_notifications WHERE task_id <> '' AND notified_at = now())
  AND (notified_at = now() OR task_id = '')
"""

_RECORD = """
INSERT INTO slack_notifications
SELECT (json_populate_record(told, json_build_object('notified_at', now()))).*
FROM json_populate_recordset(NULL::slack_notifications, %(rows)s) AS told
ON CONFLICT (destination, alert, task_id) DO UPDATE
SET event_at = excluded.event_at, notified_at = excluded.notified_at
"""


def write_variant(name: str, folder: Path) -> Path:
    """The module of that variant, in a file of its own."""
    source = (_ROOT / "slack_notifier.py").read_text(encoding="utf-8")
    if name != THE_NOTIFIER:
        start, main, end = source.partition(_START)
        source = start + _INSTALL.format(root=str(_ROOT), name=name) + main + end
    path = folder / "slack_notifier.py"
    path.write_text(source, encoding="utf-8")
    return path


def install(name: str) -> None:
    """From now on this process commits what it tells before it posts that, or writes it down when it has."""
    import requests

    connect: Callable[..., Any] = psycopg2.connect
    request: Callable[..., Any] = requests.adapters.HTTPAdapter.send
    connections: list[psycopg2.extensions.connection] = []

    def remembered(*arguments: Any, **options: Any) -> Any:
        connections[:] = [connect(*arguments, **options)]
        return connections[0]

    def posted(*arguments: Any, **options: Any) -> Any:
        in_transaction = psycopg2.extensions.TRANSACTION_STATUS_INTRANS
        for connection in (each for each in connections if each.info.transaction_status == in_transaction):
            with connection.cursor() as cursor:
                cursor.execute(_TOLD)
                (rows,) = cursor.fetchone() or ([],)
                alerts = {row["alert"] for row in rows if row["task_id"]}
                if alerts and not alerts & {"recovered", "healed"}:
                    return around(cursor, rows, lambda: request(*arguments, **options))
        return request(*arguments, **options)

    def around(cursor: Any, rows: list[Any], post: Callable[[], Any]) -> Any:
        if name == BEFORE:
            cursor.execute("COMMIT")
            return post()
        cursor.execute("ROLLBACK")
        response = post()
        cursor.execute("BEGIN;" + _RECORD, {"rows": json.dumps(rows)})
        return response

    psycopg2.connect = remembered
    requests.adapters.HTTPAdapter.send = posted
