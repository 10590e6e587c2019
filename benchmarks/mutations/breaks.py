"""Small breaks of the module, each with the test that finds it."""

from __future__ import annotations

from typing import NamedTuple


class Break(NamedTuple):
    """What goes wrong when `replace` stands where `search` does; the id of the test that must fail then."""

    what: str
    search: str
    replace: str
    test: str


ALERTS = "test_slack_notifier.py::test_"
EVENTS = "test_task_creation_notification.py::test_"
SETTINGS = "tests/test_settings.py::test_"
SECRETS = "tests/test_secrets.py::test_"
DELIVERY = "tests/test_delivery.py::test_"
LEDGER = "tests/test_ledger.py::test_"
ROUTES = "tests/test_routes.py::test_"
CAUSES = "tests/test_causes.py::test_"
CRASH = "tests/test_crash.py::test_"
CONCURRENCY = "tests/test_concurrency.py::test_"
EMAIL = "tests/test_email.py::test_"
BLIND = "tests/test_blind.py::test_"
SIZE = "tests/test_size.py::test_"
STORM = "tests/test_storm.py::test_"
DEADLINES = "tests/test_deadlines.py::test_"
MESSAGES = "tests/test_messages.py::test_"
UPGRADE = "tests/test_upgrade.py::test_"
CHECK = "tests/test_check.py::test_"
ODD = "tests/test_odd_tables.py::test_"
START = "tests/test_start.py::test_"
IDLE = "tests/test_idle_cost.py::test_"
SILENCE = "tests/test_silence.py::test_"
HOSTS = "tests/test_broken_hosts.py::test_"
LINES = "tests/test_error_lines.py::test_"

BREAKS = [
    # Deadlines.
    Break(
        "what hangs is left alone when its time is up",
        "        is_over = bool(results or errors)\n        sockets.cut()\n",
        "        is_over = bool(results or errors)\n",
        f"{DEADLINES}a_mail_server_that_greets_without_end_is_cut_off",
    ),
    # Settings.
    Break(
        "an unknown flag word is taken as true",
        '    if name != "DEBUG":\n        raise SettingError(rule)',
        '    if name != "DEBUG":\n        return True',
        f"{SETTINGS}wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret",
    ),
    Break(
        "an empty variable is not unset",
        "return {name: text for name, text in env.items() if text}",
        "return env",
        f"{SETTINGS}unset_and_empty_are_the_default",
    ),
    Break(
        "an @ in the password is let through",
        'if not port or re.search("://(?:[^/@]*@[^/?]*|[^/?]*/[^?]*)@", url):',
        'if not port or re.search("://(?:[^/?]*/[^?]*)@", url):',
        f"{SETTINGS}wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret",
    ),
    Break(
        "quiet hours include their end",
        "return self.start <= now < self.end",
        "return self.start <= now <= self.end",
        f"{ROUTES}quiet_hours_begin_with_their_start_and_end_before_their_end",
    ),
    Break(
        "quiet hours over midnight are never",
        "return now >= self.start or now < self.end",
        "return now >= self.start and now < self.end",
        f"{ROUTES}quiet_hours_begin_with_their_start_and_end_before_their_end",
    ),
    Break(
        "quiet hours are those of UTC",
        "now = moment.astimezone(self.zone).time()",
        "now = moment.astimezone(timezone.utc).time()",
        f"{ROUTES}quiet_hours_are_those_of_the_time_zone",
    ),
    Break(
        "the fingerprint forgets the user",
        r'hashlib.sha256(f"{webhook}\n{user}".encode())',
        r'hashlib.sha256(f"{webhook}\n".encode())',
        f"{ROUTES}fingerprint_tells_webhook_and_user_apart",
    ),
    Break(
        "a trigger of Workflow Builder is taken",
        'startswith(("/triggers/", "/workflows/"))',
        'startswith(("/triggers-/", "/workflows/"))',
        f"{ROUTES}workflow_trigger_is_refused_with_the_reason",
    ),
    Break(
        "any mention is taken",
        'if not re.fullmatch(r"<(?:!here',
        'if not re.match(r"<(?:|!here',
        f"{SETTINGS}wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret",
    ),
    Break(
        "a port of 99999 is one",
        'not 0 < int(address["port"] or 443) < 65536',
        'not 0 < int(address["port"] or 443) < 655360',
        f"{SETTINGS}wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret",
    ),
    Break(
        "settings show their values",
        'return "Settings(…)"',
        "return str(tuple(self))",
        f"{SETTINGS}settings_show_none_of_their_values",
    ),
    # Text.
    Break(
        "< is not escaped",
        '.replace("<", "&lt;")',
        "",
        f"{ALERTS}nasty_task_text_is_accepted_pings_nobody_and_fakes_no_link",
    ),
    Break(
        "& is escaped after the others",
        'return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")',
        'return text.replace("<", "&lt;").replace(">", "&gt;").replace("&", "&amp;")',
        f"{ALERTS}error_line_tells_what_went_wrong",
    ),
    Break(
        "a backtick ends the code span",
        'SHOWN_JOINT)).replace("`", "\'")',
        "SHOWN_JOINT))",
        f"{ALERTS}error_line_tells_what_went_wrong",
    ),
    Break(
        "invisible characters stay",
        'text = re.sub(_INVISIBLE, "", text)\n',
        "pass\n",
        f"{ALERTS}secret_is_not_hidden_from_the_mask_by_invisible_characters",
    ),
    Break(
        "a short key is shown whole",
        "8 if len(text) >= 12 else len(text) // 2",
        "8",
        f"{ALERTS}masked_key_shows_its_start",
    ),
    Break(
        "any scheme makes a link",
        r'is_shown = re.match(r"https?://[^/?#@\\\s]+(?:[/?#]|$)", text)',
        r'is_shown = re.match(r"\w+:", text)',
        f"{ALERTS}log_link_is_a_link_only_where_the_uri_is_one",
    ),
    Break(
        "a time of another zone is shown as it is",
        "        moment = moment if moment.tzinfo is None else moment.astimezone(timezone.utc)\n",
        "        pass\n",
        f"{ALERTS}time_is_shown_in_utc",
    ),
    Break(
        "masked after the cut",
        "return escape(shorten(redact(one_line(value)), characters))",
        "return escape(redact(shorten(one_line(value), characters)))",
        f"{ALERTS}the_cut_of_a_long_error_leaves_no_piece_of_a_secret",
    ),
    Break(
        "a stack is told",
        r'(?:[^\v]+|\v>)*"""',
        r'[^\v\t]*"""',
        f"{LINES}the_line_of",
    ),
    Break(
        "what is left out is not masked first",
        'redact(re.sub(key, _MASK, piece) if "-----END" in piece else piece)',
        "piece",
        f"{LINES}a_secret_is_masked_before_anything_is_cut_or_left_out",
    ),
    Break(
        "the rest of a key whose beginning was cut off is shown",
        're.sub(key, _MASK, piece) if "-----END" in piece else piece',
        "piece",
        f"{LINES}a_secret_is_masked_before_anything_is_cut_or_left_out",
    ),
    Break(
        "a long error is cut at its end",
        "end = 0.35 if raised",
        "end = 0 if raised",
        f"{LINES}plain_prose_is_cut_at_its_end_and_anything_else_in_its_middle",
    ),
    Break(
        "a code folds like any number",
        " || coalesce(substring(text FROM '{CODE}'), '')",
        "",
        f"{CAUSES}errors_that_differ_in_kind_are_two_causes",
    ),
    Break(
        "a cause is what stands before the stack alone",
        "THEN split_part(raised, ': ', 1) ELSE {_READ.format(\"raised\")} END",
        "THEN '' ELSE '' END",
        f"{CAUSES}the_cause_is_what_stands_before_the_stack_with_the_exception",
    ),
    Break(
        "a cause is shown without a task",
        "tasks = [*group.tasks[:1], *more]",
        "tasks = more",
        f"{MESSAGES}each_cause_that_is_shown_has_a_task_however_long_its_links_are",
    ),
    # Secrets.
    Break(
        "a password is not masked",
        "passw(?:or)?[dt]|pass(?:phrase|code)",
        "pass(?:phrase|code)",
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a JSON web token is not masked",
        r'r"eyJ[\w-]',
        r'r"eyJ-[\w-]',
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a token of Slack's is not masked",
        r"xapp-|xox|xoxe\.|",
        r"xoxe\.|",
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a key of AWS is not masked",
        "A[KS]IA|AIza|",
        "ASIA|AIza|",
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a private key is not masked",
        '(["private key"]',
        '(["private-key"]',
        f"{ALERTS}the_cut_of_a_long_error_leaves_no_piece_of_a_secret",
    ),
    Break(
        "user and password stay in a URL",
        '    (["@", "%40"], _LOGIN, rf"{_MASK_REST}@"),\n',
        "",
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a webhook of Slack's stays",
        '(["/t", "%2ft"], ',
        '(["/t-"], ',
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "the word token masks how many there are",
        "token(?!s|i)",
        "token",
        f"{ALERTS}innocent_text_stays_whole",
    ),
    # Messages.
    Break(
        "Slack makes links of task text",
        '"verbatim": True',
        '"verbatim": False',
        f"{ALERTS}failed_alert_is_as_documented",
    ),
    Break(
        "links in task text are unfurled",
        '"unfurl_links": False',
        '"unfurl_links": True',
        f"{ALERTS}failed_alert_is_as_documented",
    ),
    Break(
        "the text is longer than Slack takes",
        "TEXT_CHARACTERS = 3900",
        "TEXT_CHARACTERS = 39000",
        f"{SIZE}as_many_causes_as_fit_have_a_task_and_then_as_many_as_fit_however_long_the_links",
    ),
    Break(
        "a message is longer than Slack takes",
        "MESSAGE_CHARACTERS = 9000",
        "MESSAGE_CHARACTERS = 90_000",
        f"{SIZE}tasks_of_the_longest_lines_are_as_many_as_fit",
    ),
    Break(
        "emoji count as one character",
        'len(text.encode("utf-16-le", "surrogatepass")) // 2',
        "len(text)",
        f"{SIZE}tasks_of_the_longest_lines_are_as_many_as_fit",
    ),
    Break(
        "a task's own $ is a template's",
        "text = Template(template).safe_substitute(values, **more, seen=seen).strip()",
        "text = Template(Template(template).safe_substitute(values, **more)).safe_substitute(values, **more)",
        f"{SETTINGS}template_value_is_not_a_template",
    ),
    Break(
        "an event shows the address of the logo",
        '"Logo URL provided": (',
        '"Logo: {}": (',
        f"{EVENTS}logo_address_is_not_shown",
    ),
    Break(
        "an asterisk in a cause ends its heading",
        """return f"*{text.replace('*', '∗')}*\"""",
        """return f"*{text}*\"""",
        f"{MESSAGES}an_asterisk_in_a_cause_does_not_end_its_heading",
    ),
    Break(
        "a cause is seen as often as before",
        "({cause['before'] + cause['total']}× in 7 days)",
        "({cause['before']}× in 7 days)",
        f"{MESSAGES}an_error_says_whether_it_is_known",
    ),
    Break(
        "a cause without a history is new",
        """    if cause.get("before") is None:
        return ""
""",
        "",
        f"{MESSAGES}many_failures_stand_under_their_causes",
    ),
    Break(
        "workers are missed where nothing is known of them",
        'news.facts.get("last_activity", news.claimed_at)',
        'news.facts.get("last_activity")',
        f"{MESSAGES}workers_are_missed_only_where_it_is_known",
    ),
    Break(
        "a part is counted as all",
        """    if news.partial:
        return f"{plural(news.total, 'task')} and more"
""",
        "",
        f"{MESSAGES}a_part_of_the_stuck_tasks_is_said_to_be_one",
    ),
    Break(
        "tasks left out are counted without those that did not fit",
        'lines.append(f"… and {group.total - len(tasks)} more")',
        'lines.append(f"… and {group.total - len(group.tasks)} more")',
        f"{SIZE}tasks_of_the_longest_lines_are_as_many_as_fit",
    ),
    Break(
        "causes that are not shown are not counted",
        'causes_left = news.causes[0]["causes"] - len(shown)',
        'causes_left = news.causes[0]["causes"] - len(news.causes)',
        f"{SIZE}as_many_causes_as_fit_have_a_task_and_then_as_many_as_fit_however_long_the_links",
    ),
    # SQL.
    Break("sessions keep their time zone", "SET LOCAL TIME ZONE 'UTC';\n", "", f"{ALERTS}time_zones_change_nothing"),
    Break(
        "all tasks are read where that seems to cost less",
        "SET LOCAL enable_seqscan = off;\n",
        "",
        f"{IDLE}an_idle_run_reads_nothing_of_what_was_told",
    ),
    Break(
        "a server's serializable default is kept",
        "BEGIN ISOLATION LEVEL READ COMMITTED;",
        "BEGIN;",
        f"{CONCURRENCY}a_run_beside_a_held_one_still_learns_of_later_failures",
    ),
    Break(
        "the failed look back an hour",
        "FAILED_WINDOW_MINUTES = 30",
        "FAILED_WINDOW_MINUTES = 60",
        f"{ALERTS}failed_task_counts_for_30_minutes",
    ),
    Break(
        "inprogress is not in progress",
        "IN ('queued', 'in_progress', 'inprogress')",
        "IN ('queued', 'in_progress')",
        f"{ALERTS}task_is_stuck_after_the_timeout",
    ),
    Break(
        "a table of version 2 is taken for this one's",
        "(SELECT count(*) = 2 FROM pg_attribute",
        "(SELECT count(*) > 0 FROM pg_attribute",
        f"{UPGRADE}a_table_in_a_later_schema_of_the_search_path_is_upgraded_there",
    ),
    Break(
        "a table of version 1 is upgraded as one of version 2",
        "ADD COLUMN IF NOT EXISTS cause text, ADD COLUMN",
        "ADD COLUMN",
        f"{UPGRADE}a_table_that_an_older_version_is_just_creating_is_upgraded",
    ),
    Break(
        "two first runs stumble over each other",
        "SELECT pg_advisory_xact_lock(hashtext('slack_notifications'))",
        "SELECT 1",
        f"{CONCURRENCY}many_first_runs_at_the_same_instant_all_succeed",
    ),
    Break(
        "an older version's later report does not count",
        'SET event_at = excluded.event_at, notified_at = excluded.notified_at, cause = excluded.cause"""',
        'SET event_at = excluded.event_at, cause = excluded.cause"""',
        f"{UPGRADE}back_and_forward_again_the_older_versions_reports_count",
    ),
    Break(
        "an older version's earlier report counts",
        "{_REPLACE} WHERE recorded.notified_at < excluded.notified_at\n",
        "{_REPLACE}\n",
        f"{UPGRADE}an_older_versions_earlier_report_does_not_count",
    ),
    Break(
        "of an older version's two reports of a task the earlier one counts",
        "FROM moved ORDER BY task_id, notified_at DESC",
        "FROM moved ORDER BY task_id, notified_at",
        f"{UPGRADE}the_last_of_an_older_versions_reports_of_a_task_counts",
    ),
    Break(
        "older versions' rows are looked for among all that was told",
        "AND alert = name OFFSET 0",
        "AND starts_with(alert, name) OFFSET 0",
        f"{IDLE}an_idle_run_reads_nothing_of_what_was_told",
    ),
    Break(
        "two runs tell a destination at once",
        "NOT {_IS_RATE_LIMITED} FOR UPDATE SKIP LOCKED",
        "NOT {_IS_RATE_LIMITED}",
        f"{CONCURRENCY}a_run_that_waited_finds_the_tasks_taken",
    ),
    Break(
        "a storm has no limit",
        "STORM_BURST = 3\n",
        "STORM_BURST = 300\n",
        f"{STORM}a_storm_is_three_messages_at_once_and_one_a_minute_from_then_on",
    ),
    Break(
        "a storm has one message more",
        "interval '{(STORM_BURST - 1) * STORM_SECONDS} seconds'",
        "interval '{STORM_BURST * STORM_SECONDS} seconds'",
        f"{STORM}calls_that_are_held_back_tell_nothing_and_later_ones_all_of_it",
    ),
    Break(
        "the program is held back, too",
        '_IS_RATE_LIMITED = f"""(%(paced)s AND ',
        '_IS_RATE_LIMITED = f"""(',
        f"{STORM}the_program_and_the_combined_call_are_never_held_back",
    ),
    Break(
        "a quiet day saves messages up for a storm",
        "ELSE greatest(notified_at, now()) END + interval",
        "ELSE notified_at END + interval",
        f"{STORM}a_quiet_hour_saves_no_messages_up_for_a_storm",
    ),
    Break(
        "stuck alerts use up the messages of failures",
        " AND claimed > 0 AND %(paced)s AND %(alert)s = 'failed'",
        " AND claimed > 0",
        f"{STORM}stuck_alerts_use_up_no_message_of_a_storm",
    ),
    Break(
        "an id that is too long blocks all others",
        "left(tasks.id::text, 500)",
        "left(tasks.id::text, 50000)",
        f"{STORM}an_id_that_cannot_be_told_blocks_no_other",
    ),
    Break(
        "an outage is not made up for",
        "greatest(complete - interval '{LATE_MINUTES} minutes', first_run",
        "greatest(now() - interval '{LATE_MINUTES} minutes', first_run",
        f"{LEDGER}after_3_days_without_cron_everything_is_in_one_message_once",
    ),
    Break(
        "only what is later than the last report is looked at",
        "greatest(complete - interval '{LATE_MINUTES} minutes', first_run",
        "greatest(complete, first_run",
        f"{LEDGER}a_row_that_is_committed_late_is_not_lost",
    ),
    Break(
        "a part that is told counts as all",
        "CASE WHEN partial THEN least(greatest(complete, last), now()) ELSE now() END",
        "now()",
        f"{STORM}a_claim_takes_a_part_and_the_next_run_the_rest",
    ),
    Break(
        "what was told is told again",
        "AND {_IS_OF_USER} AND (recorded.at IS NULL\n",
        "AND {_IS_OF_USER} AND (true\n",
        f"{LEDGER}every_caller_goes_through_the_ledger",
    ),
    Break(
        "a failure's second text is told as another failure",
        " AND failed.at >= recorded.at + interval '1 minute'",
        "",
        f"{LEDGER}a_failed_row_that_is_written_again_is_news_after_30_minutes_or_with_another_cause",
    ),
    Break(
        "another cause is no news",
        "OR recorded.cause IS DISTINCT FROM {CAUSE}",
        "OR recorded.cause IS NULL",
        f"{LEDGER}a_failed_row_that_is_written_again_is_news_after_30_minutes_or_with_another_cause",
    ),
    Break(
        "a failure of a worker whose clock is ahead is told again and again",
        "OR failed.at <> recorded.event_at AND failed.at >=",
        "OR failed.at >=",
        f"{STORM}a_failure_of_a_worker_whose_clock_is_ahead_hides_no_later_one",
    ),
    Break(
        "a task that failed stays stuck in the ledger",
        "{_STUCK_ROW.format(_ID)} AS replaced",
        "NULL::tid[] AS replaced",
        f"{LEDGER}a_stuck_task_that_was_reported_as_failed_since_is_no_recovery_of_the_stuck_alert",
    ),
    Break(
        "a cause is counted once a day",
        "times = counter.times + excluded.times",
        "times = counter.times",
        f"{LEDGER}a_cause_stays_known_where_the_same_task_fails_again",
    ),
    Break(
        "a cause that was reported today is a new one",
        "DO UPDATE\n"
        "    SET event_at = excluded.event_at, notified_at = excluded.notified_at, times = "
        "counter.times + excluded.times",
        "DO UPDATE\n    SET cause = NULL",
        f"{LEDGER}a_cause_stays_known_where_the_same_task_fails_again",
    ),
    Break(
        "a cause that was reported today has just been reported",
        "last > now() - interval '1 hour' AS is_recent",
        "last IS NOT NULL AS is_recent",
        f"{CAUSES}the_same_trouble_calls_people_once_an_hour_and_another_at_once",
    ),
    Break(
        "counts of a cause know no day",
        "to_char(now(), 'YYYY-MM-DD ') || cause",
        "to_char(now(), 'YYYY ') || cause",
        f"{LEDGER}a_cause_is_counted_for_seven_days",
    ),
    Break(
        "a cause is counted for eight days",
        "now() - interval '6 days', 'YYYY-MM-DD'",
        "now() - interval '7 days', 'YYYY-MM-DD'",
        f"{LEDGER}a_cause_is_counted_for_seven_days",
    ),
    Break(
        "failures of this alert count as earlier ones",
        "CASE WHEN is_old THEN coalesce(times, 0) END AS before",
        "CASE WHEN is_old THEN coalesce(times, 0) + total END AS before",
        f"{LEDGER}a_cause_stays_known_where_the_same_task_fails_again",
    ),
    Break(
        "every cause is new on the first day",
        "CASE WHEN is_old THEN coalesce(times, 0) END AS before",
        "coalesce(times, 0) AS before",
        f"{CAUSES}a_cause_names_count_users_and_its_first_tasks",
    ),
    Break(
        "the most frequent cause stands before the new one",
        "ORDER BY is_old AND times IS NULL DESC, total DESC, cause",
        "ORDER BY total DESC, cause",
        f"{CAUSES}new_causes_stand_first",
    ),
    Break(
        "a task that is still stuck is never told again",
        '       OR recorded.notified_at <= now() - %(remind)s::interval"""',
        '"""',
        f"{LEDGER}a_task_that_is_still_stuck_is_told_again_after_the_interval",
    ),
    Break(
        "a task stuck in another status is no news",
        "WHERE recorded.at IS NULL OR recorded.cause <> stuck.cause\n",
        "WHERE recorded.at IS NULL\n",
        f"{UPGRADE}a_task_stuck_in_another_status_or_anew_is_news",
    ),
    Break(
        "a stuck task that failed has recovered",
        "FROM tasks\n        WHERE tasks.status::text IN ({_ENDED_WELL}) AND {_IS_OF_USER}\n",
        "FROM tasks\n        WHERE tasks.status::text IN ('failed', {_ENDED_WELL}) AND {_IS_OF_USER}\n",
        f"{LEDGER}a_stuck_task_that_failed_is_reported_as_failed_only",
    ),
    Break(
        "a failure that never started is a sign of a worker",
        "word::text NOT IN ('queued', 'failed') OR",
        "word::text <> 'queued' OR",
        f"{CAUSES}a_failure_that_never_started_is_no_sign_of_a_worker",
    ),
    Break(
        "a user's figures are those of all",
        'FROM tasks WHERE {_IS_OPEN} AND {_IS_OF_USER}"""',
        'FROM tasks WHERE {_IS_OPEN}"""',
        f"{ROUTES}users_stuck_tasks_are_counted_among_own_tasks",
    ),
    Break(
        "another cause waits for its hour to call people",
        " AND (notified_at <= now() - interval '1 hour' OR %(is_new)s) RETURNING alert",
        " AND notified_at <= now() - interval '1 hour' RETURNING alert",
        f"{CAUSES}the_same_trouble_calls_people_once_an_hour_and_another_at_once",
    ),
    Break(
        "old rows stay for ever",
        "AND greatest(event_at, notified_at) < now() - interval '7 days'",
        "AND greatest(event_at, notified_at) < now() - interval '700 days'",
        f"{LEDGER}a_stuck_task_that_was_deleted_is_forgotten_in_silence",
    ),
    Break(
        "a task that is still stuck is forgotten",
        "      AND NOT EXISTS (SELECT FROM tasks WHERE {_ID} = old.task_id AND old.alert = 'stuck' AND {_IS_OPEN})\n",
        "",
        f"{LEDGER}a_task_that_is_still_stuck_outlives_the_clean_up",
    ),
    Break(
        "the clean-up waits for other runs",
        "FOR UPDATE OF old SKIP LOCKED",
        "FOR UPDATE OF old",
        f"{LEDGER}a_row_that_another_run_uses_does_not_hold_up_the_clean_up",
    ),
    # Database.
    Break(
        "a silent database holds the worker",
        "threading.Timer(self.deadline.seconds_left, self._sockets.cut)",
        "threading.Timer(300, self._sockets.cut)",
        f"{DEADLINES}a_silent_database_holds_a_worker_for_ten_seconds_at_the_most",
    ),
    Break(
        "a database that is not there is tried again and again",
        "if pause is None or is_late or re.search(_IS_FINAL_ERROR, reason):",
        "if pause is None or is_late:",
        f"{BLIND}database_that_does_not_exist_is_not_tried_again",
    ),
    Break(
        "the driver's words quote the password",
        'text = re.sub(rf"(?<!\\w){re.escape(password)}(?!\\w)", _MASK, text)',
        "pass",
        f"{SECRETS}database_error_that_quotes_the_password_is_masked",
    ),
    Break(
        "a vanished host holds its claim for ever",
        '"hold_milliseconds": CLAIM_HOLD_SECONDS * 1000',
        '"hold_milliseconds": 0',
        f"{CRASH}a_vanished_host_holds_its_claim_no_longer_than_stated",
    ),
    Break(
        "the server takes the claim away while Slack is slow",
        "CLAIM_HOLD_SECONDS = DELIVERY_SECONDS + LEAST_SHARE_SECONDS",
        "CLAIM_HOLD_SECONDS = 2",
        f"{CRASH}a_claim_outlasts_a_slow_answer_of_slack",
    ),
    Break(
        "a post that fails is not rolled back",
        """            with suppress(psycopg2.Error):
                self._cursor.execute("ROLLBACK")
""",
        """            with suppress(psycopg2.Error):
                self._cursor.execute("COMMIT")
""",
        f"{LEDGER}a_refused_failed_alert_does_not_hold_back_the_stuck_one",
    ),
    Break(
        "what was committed is rolled back",
        'self._cursor.execute("COMMIT" if self.keeps else "ROLLBACK")',
        'self._cursor.execute("ROLLBACK")',
        f"{LEDGER}every_caller_goes_through_the_ledger",
    ),
    Break(
        "a dry run creates the table",
        "if is_temporary or self.dry_run:",
        "if is_temporary:",
        f"{UPGRADE}a_dry_run_changes_nothing_and_shows_what_the_first_run_reports",
    ),
    Break(
        "a report that was not recorded is one that was not read",
        "            cannot_read=not self.has_posted,\n",
        "",
        f"{CRASH}a_failed_commit_is_an_error_that_names_the_possible_repeat",
    ),
    Break(
        "an error after an earlier post is one of the record",
        "self.keeps, self.has_posted = not self.dry_run, False",
        'self.keeps, self.has_posted = not self.dry_run, getattr(self, "has_posted", False)',
        f"{LEDGER}tasks_that_cannot_be_read_after_another_alert_was_sent_are_said_not_to_be_read",
    ),
    Break(
        "a broken connection is not opened again",
        """            if not error.lost:
                raise
            logger.warning("%s; connecting again", error)
""",
        """            raise
""",
        f"{DEADLINES}a_connection_that_breaks_is_opened_again",
    ),
    Break(
        "a claim that takes too long takes too long for ever",
        """            if not error.too_slow:
                raise
            logger.warning("%s; trying again with""",
        """            raise
            logger.warning("%s; trying again with""",
        f"{STORM}a_claim_that_takes_too_long_takes_few_tasks",
    ),
    Break(
        "only the first alert of a destination is looked at",
        "            for alert in alerts:\n                self.alert = alert\n",
        "            for alert in alerts[:1]:\n                self.alert = alert\n",
        f"{LEDGER}any_caller_names_what_recovered",
    ),
    Break(
        "an older version's rows are not moved",
        "[MOVE_OLD_ROWS, alert.look] if alert is alerts[0]",
        "[alert.look] if alert is alerts[0]",
        f"{UPGRADE}what_an_older_version_reported_is_not_reported_again",
    ),
    Break(
        "an older version's rows are moved before they are all there",
        "self.transaction(LOCK, until=until, **parameters))\n"
        "            if not self._is_locked(until):\n"
        "                return ExitStack(), None\n"
        "            claimed_by = until.before(until.seconds_left * spared)\n"
        "            for alert in alerts:\n"
        "                self.alert = alert\n"
        '                self.parameters |= {"alert": alert.name, "reported_as": '
        "alert.reported_as}\n"
        "                # Statements of their own, as they must see what a run has committed for "
        "which the lock has waited.\n"
        "                statements = [MOVE_OLD_ROWS, alert.look] if alert is alerts[0] else "
        "[alert.look]\n",
        "self.transaction(MOVE_OLD_ROWS, LOCK, until=until, **parameters))\n"
        "            if not self._is_locked(until):\n"
        "                return ExitStack(), None\n"
        "            claimed_by = until.before(until.seconds_left * spared)\n"
        "            for alert in alerts:\n"
        "                self.alert = alert\n"
        '                self.parameters |= {"alert": alert.name, "reported_as": '
        "alert.reported_as}\n"
        "                statements = [alert.look]\n",
        f"{UPGRADE}this_version_repeats_nothing_that_version_2_is_just_reporting",
    ),
    Break(
        "a worker's call waits for another run",
        "self.call_wait if self.paced else LOCK_WAIT_SECONDS",
        "LOCK_WAIT_SECONDS",
        f"{STORM}a_call_waits_for_no_other_run",
    ),
    Break(
        "a rate-limited call waits as for another run",
        """            if state["is_rate_limited"]:
                return False
""",
        "",
        f"{STORM}a_quiet_hour_saves_no_messages_up_for_a_storm",
    ),
    Break(
        "a message that reports no other task speaks of more",
        "facts.get(alert.name, 0) > total",
        "facts.get(alert.name, 0) >= total",
        f"{ALERTS}failed_alert_counts_its_tasks",
    ),
    Break(
        "no message speaks of tasks that were reported before",
        "others_reported = facts.get(alert.name, 0) > total",
        "others_reported = False",
        f"{LEDGER}one_more_task_failed_beside_one_that_still_is_not_beside_one_that_healed",
    ),
    Break(
        "a stuck alert cleans up what the failed one needs",
        "other.name for other in ALERTS if other.kind == alert.kind",
        "other.name for other in ALERTS",
        f"{LEDGER}a_stuck_alert_deletes_nothing_that_the_failed_one_needs",
    ),
    Break(
        "counts of causes stay for ever",
        'cleaned = ["cause", *(',
        "cleaned = [*(",
        f"{LEDGER}a_cause_is_counted_for_seven_days",
    ),
    Break(
        "a standby is written to",
        '    if state["standby"]:\n        raise DatabaseError("The database is a read-only standby',
        '    if False:\n        raise DatabaseError("The database is a read-only standby',
        f"{LEDGER}a_standby_is_a_clear_error_and_never_silence",
    ),
    Break(
        "hidden tasks are no matter",
        'if state["row_security"]:',
        "if False:",
        f"{STORM}policies_that_may_hide_tasks_are_a_warning_in_each_run",
    ),
    Break(
        "a role that cannot upgrade the table is believed to",
        'return "" if state["up_to_date"] or state["owned"] else UPGRADE',
        'return ""',
        f"{UPGRADE}a_role_that_does_not_own_the_table_alerts_without_memory_until_the_owner_has_upgraded_it",
    ),
    # Delivery.
    Break(
        "urllib3 logs the webhook's path",
        'return threading.get_ident() not in _delivering or str(record.msg).startswith("Starting new HTTP")',
        "return True",
        f"{SECRETS}program_spreads_no_secret_through_any_failure_at_debug",
    ),
    Break(
        "an answer that quotes the webhook is logged",
        "raise _refusal(status, headers, body, webhook)",
        "raise _refusal(status, headers, body)",
        f"{DELIVERY}an_answer_that_quotes_an_address_of_plain_words_names_none_of_them",
    ),
    Break(
        "a lost answer is tried again",
        "DeliveryError(words, may_have_arrived=True)",
        "DeliveryError(words, may_have_arrived=True, retry_after=None if is_late else 0)",
        f"{DELIVERY}event_outlives_every_fault_within_5_seconds[reset]",
    ),
    Break(
        "a message whose answer is late is sent again",
        "DeliveryError(words, may_have_arrived=True)",
        "DeliveryError(words, may_have_arrived=True, retry_after=0 if is_late else None)",
        f"{DELIVERY}message_whose_answer_is_late_is_not_sent_again",
    ),
    Break(
        "no connection is not tried again",
        'return DeliveryError(f"no connection ({words or kind})", remedy, retry_after=0 if heals else None)',
        'return DeliveryError(f"no connection ({words or kind})", remedy)',
        f"{DELIVERY}event_outlives_every_fault_within_5_seconds[no such port]",
    ),
    Break(
        "a redirect counts as accepted",
        "    return 200 <= status < 300\n",
        "    return 200 <= status < 400\n",
        f"{DELIVERY}slack_must_say_ok_and_others_2xx",
    ),
    Break(
        "5xx is not tried again",
        "return DeliveryError(reason, retry_after=0, layout_refused=status == 500 and not word)",
        "return DeliveryError(reason, layout_refused=status == 500 and not word)",
        f"{DELIVERY}refusal_says_what_it_was_and_whether_it_may_heal",
    ),
    Break(
        "Slack need not say ok",
        'return status == 200 and body.strip() == "ok"',
        "return status == 200",
        f"{DELIVERY}slack_must_say_ok_and_others_2xx",
    ),
    Break(
        "Retry-After is not waited for",
        "wait = max(pause, error.retry_after)",
        "wait = pause",
        f"{DELIVERY}event_outlives_every_fault_within_5_seconds[429, an hour]",
    ),
    Break(
        "a refused layout is not sent as text",
        "(error.layout_refused and message.blocks)",
        "(error.layout_refused and not message.blocks)",
        f"{DELIVERY}refused_layout_is_sent_again_as_text_and_logged_as_an_error",
    ),
    Break(
        "a date as Retry-After is not read",
        'return urllib3.Retry().parse_retry_after(headers.get("Retry-After", "")[:40])',
        'return int(headers.get("Retry-After", "")[:40])',
        f"{DELIVERY}retry_after_is_read_in_any_form",
    ),
    Break(
        "a post is tried again without time for its answer",
        "if until.seconds_left < wait + least_seconds:",
        "if until.seconds_left < wait:",
        f"{DELIVERY}message_is_not_sent_again_without_time_for_its_answer",
    ),
    Break(
        "the mail server's TLS is not asked for",
        "            server.starttls(context=tls)\n",
        "            pass\n",
        f"{EMAIL}server_without_tls_gets_neither_password_nor_alert",
    ),
    Break(
        "an alert by e-mail does not count",
        '            logger.warning("Alert sent by e-mail instead")\n',
        '            logger.warning("Alert sent by e-mail instead")\n            raise DeliveryError("")\n',
        f"{EMAIL}alert_that_slack_refuses_goes_out_by_email_and_counts",
    ),
    Break(
        "two webhooks that fail over a second apart make two mails",
        r'content = message.text.rpartition("\n")[0]',
        "content = message.text",
        f"{EMAIL}two_dead_webhooks_need_one_email_and_the_next_failure_another",
    ),
    Break(
        "a mail server that hangs is tried for each destination",
        """            if self._error:
                raise DeliveryError(self._error)
""",
        "",
        f"{EMAIL}mail_server_that_hangs_is_tried_once_a_run",
    ),
    Break(
        "a mail server that had too little time is given up",
        "if is_enough or not isinstance(error, OutOfTime):",
        "if True:",
        f"{EMAIL}mail_server_is_tried_again_where_it_only_had_too_little_time",
    ),
    Break(
        "a mail server that had its time is not given up",
        "is_enough = until.seconds_left > EMAIL_SECONDS - LEEWAY_SECONDS",
        "is_enough = until.seconds_left > EMAIL_SECONDS",
        f"{EMAIL}mail_server_that_used_all_its_time_is_not_tried_again",
    ),
    Break(
        "an event goes by e-mail",
        "backup = self.backup if or_mail else None",
        "backup = self.backup",
        f"{EMAIL}no_email_for_events_and_own_messages",
    ),
    Break(
        "Slack takes the time of the e-mail",
        "deliver(to.webhook, message, until.before(for_backup), ",
        "deliver(to.webhook, message, until, ",
        f"{EMAIL}slack_that_hangs_leaves_the_email_its_time",
    ),
    # Run.
    Break(
        "two destinations make twice as many tasks",
        "self.total = max(self.total, other.total)",
        "self.total = self.total + other.total",
        f"{ROUTES}task_counts_once_however_many_webhooks_get_the_alert",
    ),
    Break(
        "the text of an unexpected error is logged",
        "traceback.format_tb(error.__traceback__)",
        "traceback.format_exception(type(error), error, error.__traceback__)",
        f"{SECRETS}text_of_an_unexpected_error_is_not_logged",
    ),
    Break(
        "the other alert's error is forgotten",
        "self.error = self.error or other.error",
        "self.error = other.error",
        f"{ROUTES}dead_destination_neither_hides_nor_repeats",
    ),
    Break(
        "recoveries cannot be switched off",
        "if alert.recovery and self.settings.notify_on_recovery:",
        "if alert.recovery:",
        f"{LEDGER}recoveries_can_be_switched_off",
    ),
    Break(
        "an alert that fails holds back the others",
        "if not reported and not outcome.error:",
        "if not reported:",
        f"{LEDGER}a_refused_failed_alert_does_not_hold_back_the_stuck_one",
    ),
    Break(
        "the recovery of an alert that fails goes out before it",
        """            if outcome.error and alerts and alerts[0] is ledger.alert.recovery:
                alerts = alerts[1:]
""",
        "",
        f"{LEDGER}a_recovery_waits_for_the_alert_that_was_refused",
    ),
    Break(
        "reminders of 0 minutes are all the time",
        "timedelta(minutes=settings.remind_minutes) or None",
        "timedelta(minutes=settings.remind_minutes)",
        f"{LEDGER}without_reminders_a_stuck_task_is_told_once_for_ever",
    ),
    Break(
        "a recovery counts as a stuck task",
        "outcome.total = 0 if ledger.alert.reported_as else news.total",
        "outcome.total = news.total",
        f"{LEDGER}a_recovery_does_not_count_as_a_stuck_task",
    ),
    Break(
        "a dry run leaves a trace",
        "ledger.keeps = self._deliver(ledger, destination, news, until) and not self.dry_run",
        "ledger.keeps = self._deliver(ledger, destination, news, until)",
        f"{LEDGER}a_dry_run_shows_what_the_next_run_would_tell_and_changes_nothing",
    ),
    Break(
        "in quiet hours what is held counts as told",
        """kept for later", subject)
            return False
""",
        """kept for later", subject)
            return True
""",
        f"{ROUTES}quiet_hours_hold_the_recovery",
    ),
    Break(
        "many recoveries break the quiet hours",
        "        if not alert.reported_as:\n            critical = critical_reason(",
        "        if news.total:\n            critical = critical_reason(",
        f"{ROUTES}quiet_hours_hold_the_recovery",
    ),
    Break(
        "a report that was not recorded is not said to repeat",
        "        ledger.has_posted = True\n",
        "",
        f"{CRASH}a_failed_commit_is_an_error_that_names_the_possible_repeat",
    ),
    Break(
        "a few failures of a few tasks are critical",
        "ended >= CRITICAL_ENDED_TASKS and failed * 100",
        "failed * 100",
        f"{CAUSES}a_share_of_failures_is_critical",
    ),
    Break(
        "a single user hears that the tasks cannot be read",
        "destinations.update(dict.fromkeys(self._destinations(kind)))",
        "destinations.update(dict.fromkeys(self.settings.destinations(kind)))",
        f"{BLIND}blind_alert_reaches_each_webhook_of_the_kinds_once",
    ),
    Break(
        "a bad run has a good heartbeat",
        'url = re.sub("/*(?=[?#]|$)", "/fail", url, count=1)',
        "pass",
        f"{BLIND}heartbeat_tells_good_from_bad_runs",
    ),
    Break(
        "a bad heartbeat is part of the query",
        're.sub("/*(?=[?#]|$)", "/fail", url, count=1)',
        're.sub("/*$", "/fail", url, count=1)',
        f"{BLIND}heartbeat_tells_good_from_bad_runs",
    ),
    # Silence.
    Break(
        "a pace of a wrong clock is kept",
        "CASE WHEN notified_at > now() + interval '{STORM_BURST * STORM_SECONDS} seconds' THEN "
        "now()\n"
        "        ELSE greatest(notified_at, now()) END",
        "greatest(notified_at, now())",
        f"{SILENCE}a_pace_of_a_clock_that_was_ahead_holds_back_nothing",
    ),
    Break(
        "a pace of a wrong clock holds back calls",
        "\n    AND notified_at < now() + interval '{(STORM_BURST + 1) * STORM_SECONDS} seconds')",
        ")",
        f"{SILENCE}a_pace_of_a_clock_that_was_ahead_holds_back_nothing",
    ),
    Break(
        "runs use up the messages of calls",
        " AND claimed > 0 AND %(paced)s AND %(alert)s = 'failed'",
        " AND claimed > 0 AND %(alert)s = 'failed'",
        f"{SILENCE}runs_and_good_news_hold_back_no_call",
    ),
    Break(
        "what is complete lies ahead",
        "CASE WHEN event_at <= now() + interval '1 minute' THEN event_at ELSE now() - interval '7 days' END",
        "event_at",
        f"{SILENCE}a_clock_that_was_ahead_once_hides_nothing",
    ),
    Break(
        "a wrong clock is made up for with a day alone",
        "THEN event_at ELSE now() - interval '7 days' END",
        "THEN event_at ELSE now() - interval '1 hour' END",
        f"{SILENCE}a_clock_that_was_ahead_once_hides_nothing",
    ),
    Break(
        "a later run reports what the first one left out",
        "complete - interval '{LATE_MINUTES} minutes', first_run - %(window)s,\n",
        "complete - interval '{LATE_MINUTES} minutes',\n",
        f"{SILENCE}no_later_run_reports_what_the_first_one_left_out",
    ),
    Break(
        "what is committed an hour late is lost",
        "LATE_MINUTES = 120",
        "LATE_MINUTES = 45",
        f"{SILENCE}a_failure_that_is_committed_late_is_reported_by_the_next_run",
    ),
    Break(
        "a version that was not committed counts as seen",
        '_SEEN = "pg_snapshot_xmin(pg_current_snapshot())',
        '_SEEN = "pg_snapshot_xmax(pg_current_snapshot())',
        f"{SILENCE}a_failure_that_is_committed_late_is_reported_by_the_next_run",
    ),
    Break(
        "a table without versions is taken for one with them",
        'if state["has_versions"]:',
        "if True:",
        f"{SILENCE}what_is_committed_late_is_reported_once_whatever_kind_of_table_the_tasks_are",
    ),
    Break(
        "tasks without updated_at are left out",
        "OR %(nulls)s AND tasks.updated_at IS NULL",
        "OR false AND tasks.updated_at IS NULL",
        f"{SILENCE}tasks_without_updated_at_are_reported_once",
    ),
    Break(
        "a user's channel is finished with a part",
        "DELETE FROM slack_notifications WHERE {_USERS_ROW} AND NOT (SELECT partial FROM figures)",
        "DELETE FROM slack_notifications WHERE {_USERS_ROW}",
        f"{SILENCE}parts_of_very_many_failures_are_all_reported_however_old_they_are",
    ),
    Break(
        "a user's channel that an earlier run has not finished is forgotten",
        "\n"
        "UNION\n"
        "SELECT task_id FROM slack_notifications\n"
        "WHERE destination = '{USERS}' AND alert = ANY(%(alerts)s) AND task_id <> ''\n",
        "\n",
        f"{SILENCE}a_users_channel_that_was_dead_for_days_gets_all_of_it_once",
    ),
    Break(
        "a user's channel begins now",
        "    SELECT one.destination, alert, '' AS task_id,\n"
        "           greatest(event_at, (SELECT event_at FROM shared WHERE alert = '')) AS event_at\n",
        "    SELECT one.destination, alert, '' AS task_id, now() AS event_at\n",
        f"{SILENCE}parts_of_very_many_failures_are_all_reported_however_old_they_are",
    ),
    Break(
        "each user's channel is begun",
        'found = {row["destination"] for row in rows}',
        'found = {row["destination"] for row in rows} | {to.fingerprint for to in settings.user_destinations()}',
        f"{SILENCE}a_thousand_users_channels_cost_an_idle_run_three_round_trips",
    ),
    Break(
        "keys of users are sent",
        "hashes = [hash_of[channel.user] for channel in active.values()]",
        "hashes = [channel.user for channel in active.values()]",
        f"{SILENCE}keys_of_users_are_not_sent_to_the_database_where_only_one_has_news",
    ),
    Break(
        "a task that was queued again is no sign of a worker",
        "OR started_at IS NOT NULL)\n    ORDER",
        "OR started_at IS NOT NULL AND word::text <> 'queued')\n    ORDER",
        f"{SILENCE}work_of_any_kind_is_a_sign_of_a_worker",
    ),
    Break(
        "a sign of a worker may lie a year ahead",
        "WHERE tasks.status = status.word AND updated_at <= now() + interval '1 hour'\n",
        "WHERE tasks.status = status.word\n",
        f"{SILENCE}one_task_dated_next_year_switches_nothing_off",
    ),
    Break(
        "a task that fails at once waited for a worker",
        "tasks.started_at IS NULL AND failed.at > tasks.created_at + %(timeout)s AS is_unstarted",
        "tasks.started_at IS NULL AS is_unstarted",
        f"{SILENCE}a_task_that_fails_at_once_on_a_quiet_night_asks_for_no_worker",
    ),
    Break(
        "an alert that cannot note its call calls nobody",
        'mention = mention if call["may_call"] else ""\n',
        'mention = mention if call["may_call"] else ""\n'
        "                break\n"
        "            else:\n"
        '                mention = ""\n',
        f"{SILENCE}an_alert_calls_people_where_it_cannot_be_noted",
    ),
    Break(
        "a claim has no figures of its own moment",
        "THEN (SELECT row_to_json(facts) FROM ({facts}) AS facts) END AS facts",
        "THEN NULL END AS facts",
        f"{SILENCE}an_alert_counts_what_has_recovered_and_names_what_is_more",
    ),
    Break(
        "what was seen is looked up again",
        'self.version = AsIs("tasks.xmin")',
        'self.version = AsIs("NULL")',
        f"{IDLE}an_idle_run_reads_little_of_the_ledger_within_two_hours_of_thousands_of_failures",
    ),
    # Check.
    Break(
        "the webhooks of users are not looked at",
        'for kind in (*settings.webhooks, "failed")',
        "for kind in settings.webhooks",
        f"{CHECK}webhooks_of_users_are_looked_at_where_no_kind_has_one_of_its_own",
    ),
    Break(
        "a dead webhook is a good one",
        'if error.word == "no_text":',
        "if error.word:",
        f"{CHECK}dead_webhooks_are_told_from_living_ones_by_name_and_nothing_is_posted",
    ),
    Break(
        "another host is asked for the webhook",
        """f"{url.partition(':')[0]}://{server}/", until""",
        "url, until",
        f"{CHECK}other_hosts_are_asked_for_nothing_that_is_secret",
    ),
    Break(
        "the login of a server is shown",
        '[0].rpartition("@")[2]',
        "[0]",
        f"{CHECK}mail_server_is_named_without_the_rest_of_its_url",
    ),
    Break(
        "a database without TLS is a good one anywhere",
        'if info.ssl_in_use or info.host.startswith("/") or info.host in ("localhost", "127.0.0.1", "::1"):',
        "if info.host:",
        f"{CHECK}database_without_tls_across_a_network_is_a_doubt",
    ),
    Break(
        "a doubt is exit 1",
        "return int(BAD in marks)",
        "return int(marks != {GOOD})",
        f"{CHECK}doubts_alone_are_exit_0",
    ),
    Break(
        "--check waits for a run that is at work",
        'if "" not in state:',
        "if not state:",
        f"{CHECK}a_run_that_is_at_work_is_said_and_not_waited_for",
    ),
    Break(
        "--check needs a right that a run does not",
        'if state["may_create_temporary"] or not state["unborn"]:',
        'if state["may_create"] or not state["unborn"]:',
        f"{CHECK}a_role_that_may_create_no_temporary_table_is_no_mistake_before_the_first_run",
    ),
    # Odd tables.
    Break(
        "a status in capitals is passed over",
        "for word in found if word not in known}",
        "for word in found if word.lower() not in known}",
        f"{ODD}statuses_that_are_not_ours_are_named",
    ),
    Break(
        "only the first status is looked at",
        "SELECT status FROM tasks WHERE status > word ORDER",
        "SELECT status FROM tasks WHERE status < word ORDER",
        f"{ODD}statuses_that_are_not_ours_are_named",
    ),
    Break(
        "a date beyond all calendars breaks a run",
        'moments = [row["at"] for row in statuses if row["at"]]',
        'moments = [row["at"] for row in statuses]',
        f"{ODD}a_date_beyond_all_calendars_costs_no_alert",
    ),
    Break(
        "the quiet hours of a queue are a wrong clock",
        'row["busy_hours"] >= 22',
        'row["busy_hours"]',
        f"{ODD}a_worker_that_does_not_write_utc_is_said",
    ),
    Break(
        "a worker's call looks for what is odd",
        'list(self._oddities(found, indexed=state["indexed"])) if self.thorough else []',
        'list(self._oddities(found, indexed=state["indexed"]))',
        f"{ODD}a_workers_call_looks_for_nothing_odd",
    ),
    Break(
        "a program gets a task too many",
        "return tasks[:READ_TASKS]",
        "return tasks",
        f"{ODD}a_program_gets_two_thousand_tasks_and_is_warned_of_more",
    ),
    # Command line.
    Break(
        "an empty argument leads to the channels of the settings",
        "if arguments.webhook_url is not None and not arguments.webhook_url.strip():",
        "if arguments.webhook_url and not arguments.webhook_url.strip():",
        f"{START}empty_webhook_argument_does_not_reach_the_channel_of_the_settings",
    ),
    Break(
        "a webhook given by mistake is repeated",
        r'super().error(redact(re.sub(r"\S*/\S*", _MASK, message)))',
        "super().error(redact(message))",
        f"{START}webhook_given_by_mistake_is_not_repeated",
    ),
    Break(
        "a wrong setting is exit 1",
        """        notifier.say_unusable(wanted, "; ".join(errors))
        return 2
""",
        """        notifier.say_unusable(wanted, "; ".join(errors))
        return 1
""",
        f"{START}wrong_setting_is_told_where_the_alerts_of_this_run_go",
    ),
    Break(
        "a sample is sent whatever is wrong",
        "return 2 if errors else int(not notifier.send_event",
        "return int(not notifier.send_event",
        f"{START}samples_of_events_with_a_wrong_setting_send_nothing",
    ),
    Break(
        "a variable within a value of the .env file is filled in",
        'dotenv.load_dotenv(path, interpolate=False, encoding="utf-8-sig")',
        'dotenv.load_dotenv(path, encoding="utf-8-sig")',
        f"{START}env_file_keeps_the_placeholders_of_a_template",
    ),
    Break(
        "the .env file beside the program goes first",
        '(".env", os.path.join(os.path.dirname(globals().get("__file__", "")), ".env"))',
        '(os.path.join(os.path.dirname(globals().get("__file__", "")), ".env"), ".env")',
        f"{START}env_file_in_this_folder_goes_before_the_one_beside_the_program",
    ),
    Break(
        "a file that the group can read is no matter",
        "elif file.st_mode & 0o066:",
        "elif file.st_mode & 0o006:",
        f"{START}files_that_others_can_read_or_write_are_a_warning_and_read_all_the_same",
    ),
    # The host.
    Break(
        "what a signal handler raises stays in the call",
        " or _comes_from_a_signal_handler(error):",
        ":",
        f"{HOSTS}an_exception_of_a_signal_handler_reaches_the_program_and_ends_the_post",
    ),
    Break(
        "what a program's call needs is loaded by the first",
        '        if self.enabled and __name__ != "__main__":\n            # A child',
        "        if False:\n            # A child",
        f"{HOSTS}a_call_of_a_program_loads_nothing_so_that_it_may_fork_at_any_time",
    ),
    Break(
        "without a thread there is no call",
        "            run()\n    finally:",
        "            raise RuntimeError\n    finally:",
        f"{HOSTS}a_workers_call_on_a_broken_host_raises_nothing_and_does_what_it_can[no thread to be had]",
    ),
    Break(
        "a key log breaks the e-mail",
        "tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)",
        "tls = ssl.create_default_context()",
        f"{HOSTS}a_run_on_a_broken_host_says_what_is_wrong_and_does_what_it_can[SSLKEYLOGFILE is a folder]",
    ),
    Break(
        "500 without a word is an outage only",
        "layout_refused=status == 500 and not word",
        "layout_refused=False",
        f"{DELIVERY}alert_outlives_every_fault_within_10_seconds_and_arrives_with_the_next_good_run[a bare 500, once]",
    ),
    Break(
        "another host gets the whole text again",
        "text = shorten(message.text, OTHERS_TEXT_CHARACTERS - 3) if is_too_long else message.text",
        "text = message.text",
        f"{DELIVERY}text_that_another_host_may_find_too_long_is_sent_again_in_under_2000_characters",
    ),
    Break(
        "a log link may hold a login",
        r"[^/?#@\\\s]+(?:[/?#]|$)",
        r"[^/?#\\\s]+(?:[/?#]|$)",
        f"{ALERTS}log_link_is_a_link_only_where_the_uri_is_one",
    ),
]
