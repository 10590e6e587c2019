"""The least that looks for failed and stuck tasks: connect, two queries."""

import os

import psycopg2

FAILED = """
SELECT id, status, error, log_uri, created_at, updated_at, user_api_key FROM tasks
WHERE status = 'failed' AND updated_at >= (now() AT TIME ZONE 'utc') - interval '30 minutes'
"""
STUCK = """
SELECT id, status, error, log_uri, created_at, updated_at, user_api_key FROM tasks
WHERE status = 'queued' AND created_at < (now() AT TIME ZONE 'utc') - interval '30 minutes'
   OR status IN ('in_progress', 'inprogress')
  AND coalesce(started_at, created_at) < (now() AT TIME ZONE 'utc') - interval '30 minutes'
"""

with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
    for query in (FAILED, STUCK):
        cursor.execute(query)
        tasks = cursor.fetchall()
connection.close()
