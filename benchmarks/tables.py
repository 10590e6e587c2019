"""Tables of tasks as a worker leaves them, of any size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from psycopg2.extensions import AsIs

import slack_notifier
from sandbox.postgres import WORKER, execute, tasks_database, worker_url

# What the README recommends.
INDEX = "CREATE INDEX ON tasks (status, updated_at)"

# A fifth each: a short message, one with a varying file, HTTP errors, a failed program, an exception with its stack.
# A % is written twice, for psycopg2.
_ERROR = """
CASE mod(i, 5)
    WHEN 0 THEN 'Captacity subtitle generation failed: Permission denied'
    WHEN 1 THEN format('No such file or directory: ''/tmp/render/%%s/scene-%%s.mp4''', gen_random_uuid(), i)
    WHEN 2 THEN format('HTTP %%s for PUT https://storage.example.com/output/%%s.mp4', 500 + mod(i, 4), md5(i::text))
    WHEN 3 THEN format('ffmpeg exited with code %%s after %%s bytes', 137 + mod(i, 3), 100000 + i)
    ELSE E'Traceback (most recent call last):\\n'
        || repeat(E'  File "/app/video/pipeline.py", line 88, in render\\n    self._concatenate(files)\\n', 15)
        || format('RuntimeError: scene %%s of %%s failed: out of memory', mod(i, 3), gen_random_uuid())
END
"""

_INSERT = f"""
SET TIME ZONE 'UTC';
INSERT INTO tasks (id, user_api_key, status, error, log_uri, created_at, updated_at, started_at)
SELECT gen_random_uuid(), 'pr_live_' || md5(mod(i, 200)::text), %(status)s,
       CASE WHEN %(status)s = 'failed' THEN {_ERROR} END,
       'https://console.example.com/logs/' || md5(i::text),
       now() - age - interval '10 minutes', now() - age,
       CASE WHEN %(status)s <> 'queued' THEN now() - age - interval '5 minutes' END
FROM generate_series(1, %(count)s) AS i, make_interval(secs => %(oldest)s * 60.0 * i / %(count)s) AS age
"""

# What the notifier fills into the claim of a failed alert.
CLAIM_PARAMETERS: dict[str, Any] = {
    **dict.fromkeys(("statement_milliseconds", "lock_milliseconds", "hold_milliseconds"), 0),
    "destination": "benchmark",
    "destinations": ["benchmark"],
    "user": "",
    "alert": "failed",
    "alerts": ["failed"],
    "window": timedelta(minutes=30),
    "part": slack_notifier.CLAIM_TASKS,
    "queued": 30,
    "in_progress": 30,
    "remind": 240,
    "reported_as": "",
    "nulls": False,
    "paced": False,
    "with_facts": True,
    "version": AsIs("tasks.xmin"),
}

A_YEAR = 365 * 24 * 60
TWENTY_MINUTES = 20


class Table:
    """The tasks table of one database; `url` is the worker's way in, which asks for a password."""

    def __init__(self, superuser_url: str) -> None:
        self.superuser_url = superuser_url
        self.url = worker_url(superuser_url)

    def execute(self, statement: str, parameters: dict[str, Any] | None = None) -> None:
        execute(self.superuser_url, statement, parameters)

    def add(self, status: str, count: int, oldest: float) -> None:
        """So many tasks, evenly spread over the last `oldest` minutes."""
        self.execute(_INSERT, {"status": status, "count": count, "oldest": oldest})

    def settle(self) -> None:
        self.execute("VACUUM ANALYZE tasks")

    def forget(self) -> None:
        """An empty ledger, without the dead rows of earlier runs."""
        self.execute("TRUNCATE slack_notifications")


@contextmanager
def table(server_url: str, *, tasks: int = 0) -> Iterator[Table]:
    """With the recommended index, and `tasks` of the past year that no alert is about, one in 20 of them failed."""
    with tasks_database(server_url) as url:
        new = Table(url)
        new.execute(slack_notifier.CREATE_LEDGER)
        new.execute(f"GRANT ALL ON tasks, slack_notifications TO {WORKER}")
        if tasks:
            new.add("finished", tasks * 19 // 20, A_YEAR)
            new.add("failed", tasks // 20, A_YEAR)
            # Those of the last half hour would be reported.
            new.execute("DELETE FROM tasks WHERE status = 'failed' AND updated_at > now() - interval '2 hours'")
        new.execute(INDEX)
        new.settle()
        yield new
