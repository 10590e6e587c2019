"""The least that reports failed and stuck tasks: connect, two queries, two posts."""

import os

import psycopg2
import requests

FAILED = """
SELECT id, status, error FROM tasks
WHERE status = 'failed' AND updated_at >= (now() AT TIME ZONE 'utc') - interval '30 minutes'
"""
STUCK = """
SELECT id, status, error FROM tasks
WHERE status = 'queued' AND created_at < (now() AT TIME ZONE 'utc') - interval '30 minutes'
   OR status IN ('in_progress', 'inprogress')
  AND coalesce(started_at, created_at) < (now() AT TIME ZONE 'utc') - interval '30 minutes'
"""

with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
    for query in (FAILED, STUCK):
        cursor.execute(query)
        text = "\n".join(f"{task_id} {status}: {(error or '')[:100]}" for task_id, status, error in cursor)
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        message = {"text": text, "unfurl_links": False, "unfurl_media": False}
        requests.post(os.environ["SLACK_WEBHOOK"], json=message, timeout=10).raise_for_status()
connection.close()
