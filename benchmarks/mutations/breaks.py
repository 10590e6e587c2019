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

BREAKS = [
    # Settings.
    Break(
        "an unknown flag word is taken as true",
        'return False\n    raise SettingError(f"{name} must be true',
        'return False\n    return True\n    raise SettingError(f"{name} must be true',
        f"{SETTINGS}wrong_value_is_refused_by_name_with_what_is_right_and_without_the_value",
    ),
    Break(
        "an empty variable is not unset",
        "return {name: text for name, text in env.items() if text}",
        "return env",
        f"{SETTINGS}unset_and_empty_are_the_default",
    ),
    Break(
        "an @ in the password is let through",
        'if "@" in host or re.search(r"://[^/?]*/[^?]*@", url):',
        'if re.search(r"://[^/?]*/[^?]*@", url):',
        f"{SETTINGS}wrong_value_is_refused_by_name_with_what_is_right_and_without_the_value",
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
        f"{SETTINGS}wrong_value_is_refused_by_name_with_what_is_right_and_without_the_value",
    ),
    Break(
        "a port of 99999 is one",
        'not 0 < int(address["port"] or 443) < 65536',
        'not 0 < int(address["port"] or 443) < 655360',
        f"{SETTINGS}wrong_value_is_refused_by_name_with_what_is_right_and_without_the_value",
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
        '.replace("`", "\'")',
        "",
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
        r'if re.match(r"https?://[^/\s]", text)',
        r'if re.match(r"\w+:", text)',
        f"{ALERTS}log_link_is_a_link_only_where_the_uri_is_one",
    ),
    Break(
        "a time of another zone is shown as it is",
        "moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)",
        "moment.replace(tzinfo=timezone.utc)",
        f"{ALERTS}time_is_shown_in_utc",
    ),
    Break(
        "masked after the cut",
        "return escape(shorten(redact(one_line(value)), characters))",
        "return escape(redact(shorten(one_line(value), characters)))",
        f"{ALERTS}the_cut_of_a_long_error_leaves_no_piece_of_a_secret",
    ),
    # Secrets.
    Break(
        "a password is not masked",
        "passw(?:or[dt]|d)|passphrase",
        "passphrase",
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a JSON web token is not masked",
        '(["eyj"]',
        '(["eyj-"]',
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a token of Slack's is not masked",
        '"xox 8, xoxe. 8, ',
        '"xoxe. 8, ',
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a key of AWS is not masked",
        "AKIA 12, ASIA 12, ",
        "ASIA 12, ",
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
        'rest = f"{_MASK}@{rest[len(user) + 1 :]}"',
        "pass",
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "a webhook of Slack's stays",
        'return f"{scheme}://{host}/{_MASK}"',
        "pass",
        f"{ALERTS}secret_in_an_error_is_masked",
    ),
    Break(
        "the word token masks how many there are",
        "token(?!s|i)",
        "token",
        f"{ALERTS}innocent_text_stays_whole",
    ),
    Break(
        "urllib3 logs the webhook's path",
        'return not ours or str(record.msg).startswith("Starting new HTTP")',
        "return True",
        f"{SECRETS}program_spreads_no_secret_through_any_failure_at_debug",
    ),
    Break(
        "an answer that quotes the webhook is logged",
        "raise _refusal(status, headers, _without_path(webhook, body))",
        "raise _refusal(status, headers, body)",
        f"{DELIVERY}an_answer_that_quotes_the_address_escaped_or_cut_names_no_piece_of_it",
    ),
    Break(
        "settings show their values",
        'return "Settings(…)"',
        "return str(tuple(self))",
        f"{SETTINGS}settings_show_none_of_their_values",
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
        f"{SIZE}a_failed_alert_fits_whatever_the_tasks_hold",
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
        "many recoveries break the quiet hours",
        """        if alert.name not in MENDED:
            return False
""",
        "",
        f"{ROUTES}quiet_hours_hold_the_recovery",
    ),
    Break(
        "an event shows the address of the logo",
        '"Logo URL provided"',
        "str(_first(logo, _URL_NAMES))",
        f"{EVENTS}logo_address_is_not_shown",
    ),
    # Delivery.
    Break(
        "a lost answer is tried again",
        'connection lost ({type(error).__name__}); the message may have arrived")',
        'connection lost ({type(error).__name__}); the message may have arrived", retry_after=0)',
        f"{DELIVERY}event_outlives_every_fault_within_5_seconds[reset]",
    ),
    Break(
        "no connection is not tried again",
        'return DeliveryError(f"no connection ({reason})", retry_after=0)',
        'return DeliveryError(f"no connection ({reason})")',
        f"{DELIVERY}event_outlives_every_fault_within_5_seconds[no such port]",
    ),
    Break(
        "a redirect to nowhere is an error of its own",
        'response.headers.pop("Location", None)',
        "pass",
        f"{DELIVERY}alert_outlives_every_fault_within_10_seconds_and_arrives_with_the_next_good_run[302 to no address]",
    ),
    Break(
        "5xx is not tried again",
        "if status >= 500:\n        return DeliveryError(reason, retry_after=0)",
        "if status >= 500:\n        return DeliveryError(reason)",
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
        "if not error.layout_refused or not message.blocks:",
        "if True:",
        f"{DELIVERY}refused_layout_is_sent_again_as_text_and_logged_as_an_error",
    ),
    Break(
        "a date as Retry-After is not read",
        "return max(0.0, parsedate_to_datetime(value).timestamp() - datetime.now(timezone.utc).timestamp())",
        "return 0",
        f"{DELIVERY}retry_after_is_read_in_any_form",
    ),
    Break(
        "the mail server's TLS is not asked for",
        "            smtp.starttls(context=tls)\n",
        "            pass\n",
        f"{EMAIL}server_without_tls_gets_neither_password_nor_alert",
    ),
    Break(
        "an alert by e-mail does not count",
        '        logger.warning("Alert sent by e-mail instead")\n',
        '        logger.warning("Alert sent by e-mail instead")\n        raise DeliveryError("")\n',
        f"{EMAIL}alert_that_slack_refuses_goes_out_by_email_and_counts",
    ),
    Break(
        "two webhooks that fail over a second apart make two mails",
        r'news = message.text.rpartition("\n")[0]',
        "news = message.text",
        f"{EMAIL}two_dead_webhooks_need_one_email_and_the_next_failure_another",
    ),
    Break(
        "a mail server that hangs is tried for each destination",
        "if self._mail_error is None:",
        "if True:",
        f"{EMAIL}mail_server_that_hangs_is_tried_once_a_run",
    ),
    Break(
        "a bad run has a good heartbeat",
        'parts.path.rstrip("/") + "/fail"',
        "parts.path",
        f"{BLIND}heartbeat_tells_good_from_bad_runs",
    ),
    # Time and tasks.
    Break("sessions keep their time zone", "SET LOCAL TIME ZONE 'UTC';\n", "", f"{ALERTS}time_zones_change_nothing"),
    Break(
        "the failed look back an hour",
        "FAILED_WINDOW_MINUTES = 30",
        "FAILED_WINDOW_MINUTES = 60",
        f"{ALERTS}failed_task_counts_for_30_minutes",
    ),
    Break(
        "inprogress is not in progress",
        'IN_PROGRESS = ("in_progress", "inprogress")',
        'IN_PROGRESS = ("in_progress",)',
        f"{ALERTS}task_is_stuck_after_the_timeout",
    ),
    # The ledger.
    Break(
        "what was told is told again",
        "AND (told.task_id IS NULL\n          OR failed.at",
        "AND (true\n          OR failed.at",
        f"{LEDGER}a_failure_is_told_once",
    ),
    Break(
        "a failure's second text is told as another failure",
        "AND failed.at >= before.at + interval '1 minute'\n",
        "\n",
        f"{LEDGER}a_failed_row_that_is_written_again_is_news_after_30_minutes_or_with_another_cause",
    ),
    Break(
        "another cause is no news",
        "OR told.cause IS DISTINCT FROM (",
        "OR told.cause = (",
        f"{LEDGER}a_failed_row_that_is_written_again_is_news_after_30_minutes_or_with_another_cause",
    ),
    Break(
        "an outage is not made up for",
        "least(coalesce(complete, now()), now()) - %(window)s, (",
        "now() - %(window)s, (",
        f"{LEDGER}after_3_days_without_cron_everything_is_in_one_message_once",
    ),
    Break(
        "only what is later than the last report is looked at",
        "least(coalesce(complete, now()), now()) - %(window)s, (",
        "least(coalesce(complete, now()), now()), (",
        f"{LEDGER}a_row_that_is_committed_late_is_not_lost",
    ),
    Break(
        "a stuck task that failed has recovered",
        "        WHERE ended.status <> 'failed'\n    ))\n    RETURNING task_id, notified_at\n",
        "    ))\n    RETURNING task_id, notified_at\n",
        f"{LEDGER}a_stuck_task_that_failed_is_reported_as_failed_only",
    ),
    Break(
        "recoveries cannot be switched off",
        "WHERE %(notify_on_recovery)s AND NOT EXISTS (\n",
        "WHERE NOT EXISTS (\n",
        f"{LEDGER}recoveries_can_be_switched_off",
    ),
    Break(
        "a claim of many reads all that it writes, for each task",
        "WHERE tellable AND (SELECT count(*) FROM left_behind) >= 0\n",
        "WHERE tellable\n",
        "tests/test_idle_cost.py::test_what_is_told_of_a_task_is_looked_up_however_many_others_there_are",
    ),
    Break(
        "a task that is still stuck is never told again",
        "OR told.notified_at <= now() - %(remind)s",
        "OR false AND now() <= now() - %(remind)s",
        f"{LEDGER}a_task_that_is_still_stuck_is_told_again_after_the_interval",
    ),
    Break(
        "reminders of 0 minutes are all the time",
        "timedelta(minutes=self.settings.remind_minutes) or None",
        "timedelta(minutes=self.settings.remind_minutes)",
        f"{LEDGER}without_reminders_a_stuck_task_is_told_once_for_ever",
    ),
    Break(
        "a post that fails is not rolled back",
        """                if error:
                    raise error
""",
        """                if error and not isinstance(error, DeliveryError):
                    raise error
""",
        f"{LEDGER}slack_down_for_several_runs_then_up_tells_all_in_one_message",
    ),
    Break(
        "what was committed is rolled back",
        """self._cursor.execute("ROLLBACK" if self._rolls_back else "COMMIT")""",
        """self._cursor.execute("ROLLBACK")""",
        f"{LEDGER}a_failure_is_told_once",
    ),
    Break(
        "a dry run leaves a trace",
        """                if self.dry_run:
                    transaction.roll_back()
""",
        "",
        f"{LEDGER}a_dry_run_shows_what_the_next_run_would_tell_and_changes_nothing",
    ),
    Break(
        "in quiet hours what is held counts as told",
        """                if claim and self._holds_back(alert, claim, minutes):
                    transaction.roll_back()
""",
        """                if claim and self._holds_back(alert, claim, minutes):
                    pass
""",
        f"{ROUTES}quiet_hours_hold_alerts_and_the_first_run_after_them_tells_all",
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
        "a server's serializable default is kept",
        "BEGIN ISOLATION LEVEL READ COMMITTED;",
        "BEGIN;",
        f"{CONCURRENCY}a_run_beside_a_held_one_still_learns_of_later_failures",
    ),
    Break(
        "two first runs stumble over each other",
        """_ALONE = "SELECT pg_advisory_xact_lock(hashtext('slack_notifications'))\"""",
        """_ALONE = "SELECT 1\"""",
        f"{CONCURRENCY}many_first_runs_at_the_same_instant_all_succeed",
    ),
    Break(
        "a standby is written to",
        '    if state["standby"]:\n        raise DatabaseError("The database is a read-only standby',
        '    if False:\n        raise DatabaseError("The database is a read-only standby',
        f"{LEDGER}a_standby_is_a_clear_error_and_never_silence",
    ),
    Break(
        "old rows stay for ever",
        "WHERE told.notified_at < now() - interval '7 days' AND told.task_id <> ''",
        "WHERE told.notified_at < now() - interval '700 days' AND told.task_id <> ''",
        f"{LEDGER}the_table_stays_small_over_a_month",
    ),
    # Storms and deadlines.
    Break(
        "a storm has no limit",
        "STORM_BURST = 3\n",
        "STORM_BURST = 300\n",
        f"{STORM}a_storm_is_three_messages_at_once_and_one_a_minute_from_then_on",
    ),
    Break(
        "the program is held back, too",
        "            if self.paced:\n",
        "            if True:\n",
        f"{STORM}the_program_and_the_combined_call_are_never_held_back",
    ),
    Break(
        "a claim that takes too long takes too long for ever",
        "if not error.lost and not error.too_slow:",
        "if not error.lost:",
        f"{STORM}a_claim_that_takes_too_long_takes_few_tasks",
    ),
    Break(
        "an id that is too long blocks all others",
        "BETWEEN 1 AND 2000",
        "BETWEEN 1 AND 200000",
        f"{STORM}an_id_that_cannot_be_told_blocks_no_other",
    ),
    Break(
        "hidden tasks are no matter",
        'if state["row_security"]:',
        "if False:",
        f"{STORM}policies_that_may_hide_tasks_are_a_warning_in_each_run",
    ),
    Break(
        "a silent database holds the worker",
        "threading.Timer(self.deadline.seconds_left, self._line.cut)",
        "threading.Timer(300, self._line.cut)",
        f"{DEADLINES}a_silent_database_holds_a_worker_for_ten_seconds_at_the_most",
    ),
    # Parts, two at once, and time for an answer.
    Break(
        "a part that is told counts as all",
        "CASE WHEN figures.partial THEN least(figures.last, now()) ELSE now() END",
        "now()",
        f"{STORM}a_claim_takes_a_part_and_the_next_run_the_rest",
    ),
    Break(
        "a broken connection is not opened again",
        "            if not error.lost or self._reopened:\n                raise\n",
        "            raise\n",
        f"{DEADLINES}a_connection_that_breaks_is_opened_again",
    ),
    Break(
        "a post is begun without time for its answer",
        "            if until.seconds_left < POST_SECONDS + COMMIT_SECONDS:\n",
        "            if False:\n",
        f"{DELIVERY}call_without_time_for_an_answer_posts_nothing",
    ),
    Break(
        "a post is tried again without time for its answer",
        "if until.seconds_left < wait + least_seconds:",
        "if until.seconds_left < wait:",
        f"{DELIVERY}message_is_not_sent_again_without_time_for_its_answer",
    ),
    Break(
        "a worker's call waits for another run",
        "lock = LOCK_DESTINATION if self.patient else LOCK_DESTINATION_NOW",
        "lock = LOCK_DESTINATION",
        f"{STORM}a_call_waits_for_no_other_run",
    ),
    Break(
        "two runs tell a destination at once",
        'AND alert = \'\' AND task_id = \'\'\nFOR UPDATE\n"""\nLOCK_DESTINATION_NOW = f"{LOCK_DESTINATION} NOWAIT"',
        "AND alert = '' AND task_id = ''\n\"\"\"\nLOCK_DESTINATION_NOW = LOCK_DESTINATION",
        f"{CONCURRENCY}a_run_that_waited_finds_the_tasks_taken",
    ),
    Break(
        "a message whose answer is late is sent again",
        'no answer within {WEBHOOK_READ_SECONDS} s; the message may have arrived")',
        'no answer within {WEBHOOK_READ_SECONDS} s; the message may have arrived", retry_after=0)',
        f"{DELIVERY}message_whose_answer_is_late_is_not_sent_again",
    ),
    Break(
        "a failure of the future completes what comes before it",
        "CASE WHEN figures.partial THEN least(figures.last, now()) ELSE now() END",
        "greatest(figures.last, now())",
        f"{LEDGER}a_failure_of_the_future_hides_none_that_comes_before_it",
    ),
    Break(
        "a message is longer than Slack takes",
        "MESSAGE_CHARACTERS = 9000",
        "MESSAGE_CHARACTERS = 90_000",
        f"{SIZE}tasks_of_the_longest_lines_are_as_many_as_fit",
    ),
]
