"""Objects that somebody planted beside the tasks, to be taken for PostgreSQL's own, are never called.

PostgreSQL prefers an operator or a function that fits the types of its arguments to its own that needs a cast, wherever
it stands in the search_path.
"""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest
from support import FAILED, HEALED, RECOVERED, STUCK, title

from sandbox.slack import SlackStandIn
from slack_notifier import SlackNotifier

# Those whose arguments our statements could be thought to have.
FUNCTIONS = [
    *("min(varchar)", "max(varchar)", "unnest(varchar[])", "octet_length(varchar)", "length(varchar)", "count(text)"),
    *("hashtext(varchar)", "hashtextextended(text, int4)", "to_hex(numeric)", "jsonb_build_object(text, text)"),
    *("jsonb_build_object(varchar, text)", "jsonb_populate_record(tasks, jsonb)", "left(varchar, int4)"),
    *("right(varchar, int4)", "btrim(text, varchar)", "rtrim(text, varchar)", "strpos(text, varchar)"),
    *("split_part(text, varchar, int4)", "replace(text, varchar, varchar)", "substring(text, varchar)"),
    *("regexp_replace(text, varchar, varchar, varchar)", "set_config(varchar, text, bool)", "bool_or(text)"),
    *("row_security_active(varchar)", "to_regclass(varchar)", "to_regnamespace(name)", "quote_ident(name)"),
    *("has_table_privilege(regclass, text)", "has_table_privilege(regclass, varchar)", "array_agg(text)"),
    *("has_schema_privilege(name, varchar)", "has_database_privilege(name, varchar)", "pg_has_role(oid, varchar)"),
]
# Each takes the place of one of PostgreSQL's operators for types that this has none for.
OPERATORS = """
DO $plant$
DECLARE
    types text[] := '{varchar,text,name,timestamp,timestamptz,interval,int4,numeric,varchar[],text[]}';
    one text; other text; sign text;
BEGIN
    FOREACH one IN ARRAY types LOOP
        FOREACH other IN ARRAY types LOOP
            EXECUTE format('CREATE FUNCTION public.planted(%s, %s) RETURNS bool LANGUAGE plpgsql AS '
                '$f$ BEGIN RAISE ''planted''; END $f$', one, other);
            FOREACH sign IN ARRAY '{=,<>,<,>,<=,>=,+,-,*,||}'::text[] LOOP
                CONTINUE WHEN to_regoperator(format('pg_catalog.%s(%s,%s)', sign, one, other)) IS NOT NULL;
                EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.planted)',
                    sign, one, other);
            END LOOP;
        END LOOP;
    END LOOP;
END $plant$
"""


def plant(tasks: Any) -> None:
    tasks.execute(OPERATORS)
    for signature in FUNCTIONS:
        body = "RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''planted''; END'"
        tasks.execute(f"CREATE FUNCTION public.{signature} {body}")


def test_what_is_planted_is_called_where_nothing_is_done_against_it(tasks: Any) -> None:
    plant(tasks)
    for expression in ("'a'::varchar = 'a'::varchar", "2 * interval '1 minute'", "jsonb_build_object('a', 'b'::text)"):
        with pytest.raises(psycopg2.Error, match="planted"):
            tasks.execute(f"SELECT {expression}")


@pytest.mark.slow
@pytest.mark.parametrize("indexed", [True, False])
def test_no_statement_calls_what_is_planted(
    notifier: SlackNotifier, slack: SlackStandIn, tasks: Any, *, indexed: bool
) -> None:
    if indexed:
        tasks.execute("CREATE INDEX ON tasks (status, updated_at)")
    for number in range(6):
        tasks.fail(error=f"Traceback (most recent call last):\n  …\nValueError: {number}", started=None)
        tasks.add("queued", created=60)
    plant(tasks)
    for _ in range(2):
        assert notifier.send_combined_notification()["error"] is None
        tasks.execute("UPDATE tasks SET status = 'finished', updated_at = now()")
    assert [title(message) for message in slack.messages()] == [FAILED, STUCK, HEALED, RECOVERED]
    assert notifier.get_failed_tasks_last_30min() == notifier.get_stuck_tasks() == []
