"""A worker's process in which so many tasks fail; each is committed, then reported from the worker itself.

Prints how long each call took and what it returned. Finds the notifier on PYTHONPATH.
"""

import os
import sys
import time
from contextlib import closing

import psycopg2

from slack_notifier import SlackNotifier

FAIL = """
INSERT INTO tasks (id, user_api_key, status, error, created_at, updated_at, started_at)
VALUES (%s, 'key', 'failed', 'voice service is down', now(), now() AT TIME ZONE 'UTC', now())
"""

number, failures = sys.argv[1:]
with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection, connection.cursor() as cursor:
    connection.autocommit = True
    for failure in range(int(failures)):
        cursor.execute(FAIL, [f"{number}-{failure}"])
        started = time.monotonic()
        told = SlackNotifier().send_failed_tasks_notification()
        print(time.monotonic() - started, told)
