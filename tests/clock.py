"""A clock of the database's that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import psycopg2.extensions

# Those that stand for PostgreSQL's own where `public` comes before `pg_catalog`.
_CREATE = "".join(
    f"CREATE FUNCTION public.{name}() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT moment FROM public.clock';"
    for name in ("now", "transaction_timestamp", "statement_timestamp", "clock_timestamp")
)


class Clock:
    """The time as every session of the database is told. Whole days can be played within seconds, to the second."""

    def __init__(self, connection: psycopg2.extensions.connection, now: datetime) -> None:
        self._connection = connection
        self.now = now

    def set(self, now: datetime) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("UPDATE public.clock SET moment = %s", [now])
        self.now = now

    def advance(self, **duration: float) -> None:
        self.set(self.now + timedelta(**duration))


@contextmanager
def standing_clock(
    connection: psycopg2.extensions.connection, now: datetime = datetime(2025, 9, 1, tzinfo=timezone.utc)
) -> Iterator[Clock]:
    """Stops the clock of the connection's database, for its new sessions, until the end of the block.

    CURRENT_TIMESTAMP and its kin are no functions: they go on telling the true time.
    """
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.clock AS SELECT %s::timestamptz AS moment", [now])
        cursor.execute(_CREATE)
        cursor.execute(f'ALTER DATABASE "{connection.info.dbname}" SET search_path = public, pg_catalog')
        try:
            yield Clock(connection, now)
        finally:
            cursor.execute(f'ALTER DATABASE "{connection.info.dbname}" RESET search_path')
