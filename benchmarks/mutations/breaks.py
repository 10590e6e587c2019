"""Small breaks of the module, each with the test that finds it.

Of each: what goes wrong (#), the id of the test that must fail then (?), what stands in the module (-) and what is put
in its place (+). A ␠ at the end of a line stands for nothing: it keeps a space before it.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Break(NamedTuple):
    """What goes wrong when `replace` stands where `search` does; the id of the test that must fail then."""

    what: str
    search: str
    replace: str
    test: str


def _side(sign: str, body: str) -> str:
    return "\n".join(line[1:].removesuffix("␠") for line in body.splitlines() if line[0] == sign)


TEXT = r'''
## Deadlines.
# what hangs is left alone when its time is up
? tests/test_deadlines.py::test_a_mail_server_that_greets_without_end_is_cut_off
-        is_over = bool(results or errors)
-        sockets.cut()
+        is_over = bool(results or errors)
## Settings.
# an unknown flag word is taken as true
? tests/test_settings.py::test_wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret
-        if name != "DEBUG":
-            raise SettingError(rule)
+        if name != "DEBUG":
+            return True
# an empty variable is not unset
? tests/test_settings.py::test_unset_and_empty_are_the_default
-return {name: text for name, text in env.items() if text}
+return env
# an @ in the password is let through
? tests/test_settings.py::test_wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret
-if not port or re.search("://(?:[^/@]*@[^/?]*|[^/?]*/[^?]*)@", url):
+if not port or re.search("://(?:[^/?]*/[^?]*)@", url):
# quiet hours include their end
? tests/test_routes.py::test_quiet_hours_begin_with_their_start_and_end_before_their_end
-return self.start <= now < self.end
+return self.start <= now <= self.end
# quiet hours over midnight are never
? tests/test_routes.py::test_quiet_hours_begin_with_their_start_and_end_before_their_end
-return now >= self.start or now < self.end
+return now >= self.start and now < self.end
# quiet hours are those of UTC
? tests/test_routes.py::test_quiet_hours_are_those_of_the_time_zone
-now = moment.astimezone(self.zone).time()
+now = moment.astimezone(timezone.utc).time()
# the fingerprint forgets the user
? tests/test_routes.py::test_fingerprint_tells_webhook_and_user_apart
-hashlib.sha256(f"{webhook}\n{user}".encode())
+hashlib.sha256(f"{webhook}\n".encode())
# a trigger of Workflow Builder is taken
? tests/test_routes.py::test_workflow_trigger_is_refused_with_the_reason
-/(?:triggers|workflows)/
+/(?:triggers-|workflows)/
# any mention is taken
? tests/test_settings.py::test_wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret
-r"<(?:!here|!channel|!subteam\^[A-Z0-9]+|@[UW][A-Z0-9]+)>"
+r"<(?:|!here|!channel|!subteam\^[A-Z0-9]+|@[UW][A-Z0-9]+).*"
# a port of 99999 is one
? tests/test_settings.py::test_wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret
-6553[0-5]
+6553[0-5]|[6-9][0-9]{4}
# settings show their values
? tests/test_settings.py::test_settings_show_none_of_their_values
-return "Settings(…)"
+return str(tuple(self))
## Text.
# < is not escaped
? test_slack_notifier.py::test_nasty_task_text_is_accepted_pings_nobody_and_fakes_no_link
-.replace("<", "&lt;")
# & is escaped after the others
? test_slack_notifier.py::test_error_line_tells_what_went_wrong
-return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
+return text.replace("<", "&lt;").replace(">", "&gt;").replace("&", "&amp;")
# a backtick ends the code span
? test_slack_notifier.py::test_error_line_tells_what_went_wrong
-SHOWN_JOINT)).replace("`", "'")
+SHOWN_JOINT))
# invisible characters stay
? tests/secrets/test_masking.py::test_a_token_is_known_by_its_shape[with zero-width spaces]
-text = re.sub(_INVISIBLE, "", text)
+pass
# a short key is shown whole
? test_slack_notifier.py::test_masked_key_shows_its_start
-8 if len(text) >= 12 else len(text) // 2
+8
# any scheme makes a link
? test_slack_notifier.py::test_log_link_is_a_link_only_where_the_uri_is_one
-is_shown = re.match(r"https?://[^/?#@\\\s]+(?:[/?#]|$)", text)
+is_shown = re.match(r"\w+:", text)
# a time of another zone is shown as it is
? test_slack_notifier.py::test_time_is_shown_in_utc
-        moment = moment if moment.tzinfo is None else moment.astimezone(timezone.utc)
+        pass
# masked after the cut
? test_slack_notifier.py::test_the_cut_of_a_long_error_leaves_no_piece_of_a_secret
-return escape(shorten(redact(one_line(value)), characters))
+return escape(redact(shorten(one_line(value), characters)))
# a stack is told
? tests/test_error_lines.py::test_the_line_of
-(?:[^\v]+|\v>)*"""
+[^\v\t]*"""
# what is left out is not masked first
? tests/test_error_lines.py::test_a_secret_is_masked_before_anything_is_cut_or_left_out
-redact(re.sub(key, _MASK, piece) if "-----END" in piece else piece)
+piece
# the rest of a key whose beginning was cut off is shown
? tests/test_error_lines.py::test_a_secret_is_masked_before_anything_is_cut_or_left_out
-re.sub(key, _MASK, piece) if "-----END" in piece else piece
+piece
# a long error is cut at its end
? tests/test_error_lines.py::test_plain_prose_is_cut_at_its_end_and_anything_else_in_its_middle
-end = 0.35 if raised
+end = 0 if raised
# a code folds like any number
? tests/test_causes.py::test_errors_that_differ_in_kind_are_two_causes
- || coalesce(substring(text FROM '{CODE}'), '')
# a cause is what stands before the stack alone
? tests/test_causes.py::test_the_cause_is_what_stands_before_the_stack_with_the_exception
-THEN split_part(raised, ': ', 1) ELSE {_READ.format("raised")} END
+THEN '' ELSE '' END
# a cause is shown without a task
? tests/test_messages.py::test_each_cause_that_is_shown_has_a_task_however_long_its_links_are
-tasks = [*group.tasks[:1], *more]
+tasks = more
## Secrets.
# a password is not masked
? tests/secrets/test_masking.py::test_what_stands_around_a_secret_stays
-passw(?:or)?[dt]|pass(?:phrase|code)
+pass(?:phrase|code)
# a JSON web token is not masked
? tests/secrets/test_masking.py::test_a_token_is_known_by_its_shape
-r"eyJ[\w-]
+r"eyJ-[\w-]
# a token of Slack's is not masked
? tests/secrets/test_masking.py::test_a_token_is_known_by_its_shape
-xapp-|xox|xoxe\.|
+xoxe\.|
# a key of AWS is not masked
? tests/secrets/test_masking.py::test_a_token_is_known_by_its_shape
-A[KS]IA|AIza|
+ASIA|AIza|
# a private key is not masked
? test_slack_notifier.py::test_the_cut_of_a_long_error_leaves_no_piece_of_a_secret
-(["private key"]
+(["private-key"]
# user and password stay in a URL
? tests/secrets/test_masking.py::test_what_stands_around_a_secret_stays
-    (["@", "%40"], _LOGIN, rf"{_MASK_REST}@"),
-
# a webhook of Slack's stays
? tests/secrets/test_masking.py::test_what_stands_around_a_secret_stays
-(["/t", "%2ft"], ␠
+(["/t-"], ␠
# the word token masks how many there are
? tests/secrets/test_masking.py::test_what_people_search_for_stays
-token(?!s|i)
+token
## Messages.
# Slack makes links of task text
? test_slack_notifier.py::test_failed_alert_is_as_documented
-"verbatim": True
+"verbatim": False
# links in task text are unfurled
? test_slack_notifier.py::test_failed_alert_is_as_documented
-"unfurl_links": False
+"unfurl_links": True
# the text is longer than Slack takes
? tests/test_size.py::test_as_many_causes_as_fit_have_a_task_and_then_as_many_as_fit_however_long_the_links
-TEXT_CHARACTERS = 3900
+TEXT_CHARACTERS = 39000
# a message is longer than Slack takes
? tests/test_size.py::test_tasks_of_the_longest_lines_are_as_many_as_fit
-MESSAGE_CHARACTERS = 9000
+MESSAGE_CHARACTERS = 90_000
# emoji count as one character
? tests/test_size.py::test_tasks_of_the_longest_lines_are_as_many_as_fit
- + len(re.findall("[\U00010000-\U0010ffff]", text))
# a task's own $ is a template's
? tests/test_settings.py::test_template_value_is_not_a_template
-text = Template(template).safe_substitute(values, **more, seen=seen).strip()
+text = Template(Template(template).safe_substitute(values, **more)).safe_substitute(values, **more)
# an event shows the address of the logo
? test_task_creation_notification.py::test_event_message_is_as_documented
-"Logo URL provided": (
+"Logo: {}": (
# an asterisk in a cause ends its heading
? tests/test_messages.py::test_an_asterisk_in_a_cause_does_not_end_its_heading
-return f"*{text.replace('*', '∗')}*"
+return f"*{text}*"
# a cause is seen as often as before
? tests/test_messages.py::test_an_error_says_whether_it_is_known
-({cause['before'] + cause['total']}× in 7 days)
+({cause['before']}× in 7 days)
# a cause without a history is new
? tests/test_messages.py::test_many_failures_stand_under_their_causes
-    if cause.get("before") is None:
-        return ""
-
# workers are missed where nothing is known of them
? tests/test_messages.py::test_workers_are_missed_only_where_it_is_known
-news.facts.get("last_activity", news.claimed_at)
+news.facts.get("last_activity")
# a part is counted as all
? tests/test_messages.py::test_a_part_of_the_stuck_tasks_is_said_to_be_one
-    if news.partial:
-        return f"{plural(news.total, 'task')} and more"
-
# tasks left out are counted without those that did not fit
? tests/test_size.py::test_tasks_of_the_longest_lines_are_as_many_as_fit
-lines.append(f"… and {group.total - len(tasks)} more")
+lines.append(f"… and {group.total - len(group.tasks)} more")
# causes that are not shown are not counted
? tests/test_size.py::test_as_many_causes_as_fit_have_a_task_and_then_as_many_as_fit_however_long_the_links
-causes_left = news.causes[0]["causes"] - len(shown)
+causes_left = news.causes[0]["causes"] - len(news.causes)
## SQL.
# sessions keep their time zone
? test_slack_notifier.py::test_time_zones_change_nothing
-SET LOCAL TIME ZONE 'UTC';
-
# all tasks are read where that seems to cost less
? tests/test_idle_cost.py::test_an_idle_run_reads_nothing_of_what_was_told
-SET LOCAL enable_seqscan = off;
-
# a server's serializable default is kept
? tests/test_concurrency.py::test_a_run_beside_a_held_one_still_learns_of_later_failures
-BEGIN ISOLATION LEVEL READ COMMITTED;
+BEGIN;
# the failed look back an hour
? test_slack_notifier.py::test_failed_task_counts_for_30_minutes
-FAILED_WINDOW_MINUTES = 30
+FAILED_WINDOW_MINUTES = 60
# inprogress is not in progress
? test_slack_notifier.py::test_task_is_stuck_after_the_timeout_without_a_sign_of_life
-IN ('queued', 'in_progress', 'inprogress')
+IN ('queued', 'in_progress')
# a table of version 2 is taken for this one's
? tests/test_upgrade.py::test_a_table_in_a_later_schema_of_the_search_path_is_upgraded_there
-(SELECT count(*) = 2 FROM pg_attribute
+(SELECT count(*) > 0 FROM pg_attribute
# a table of version 1 is upgraded as one of version 2
? tests/test_upgrade.py::test_a_table_that_an_older_version_is_just_creating_is_upgraded
-ADD COLUMN IF NOT EXISTS cause text, ADD COLUMN
+ADD COLUMN
# two first runs stumble over each other
? tests/test_concurrency.py::test_many_first_runs_at_the_same_instant_all_succeed
-SELECT pg_advisory_xact_lock(hashtext('slack_notifications'))
+SELECT 1
# an older version's later report does not count
? tests/test_upgrade.py::test_back_and_forward_again_the_older_versions_reports_count
-SET event_at = excluded.event_at, notified_at = excluded.notified_at, cause = excluded.cause"""
+SET event_at = excluded.event_at, cause = excluded.cause"""
# an older version's earlier report counts
? tests/test_upgrade.py::test_an_older_versions_earlier_report_does_not_count
-{_REPLACE} WHERE recorded.notified_at < excluded.notified_at
+{_REPLACE}
# of an older version's two reports of a task the earlier one counts
? tests/test_upgrade.py::test_the_last_of_an_older_versions_reports_of_a_task_counts
-FROM moved ORDER BY task_id, notified_at DESC
+FROM moved ORDER BY task_id, notified_at
# older versions' rows are looked for among all that was told
? tests/test_idle_cost.py::test_an_idle_run_reads_nothing_of_what_was_told
-AND alert IN ('stuck:queued', 'stuck:in_progress') RETURNING *
+AND starts_with(alert, 'stuck:') RETURNING *
# two runs tell a destination at once
? tests/test_concurrency.py::test_a_run_that_waited_finds_the_tasks_taken_or_tells_them_if_the_first_is_killed
-NOT {_IS_RATE_LIMITED} FOR UPDATE SKIP LOCKED
+NOT {_IS_RATE_LIMITED}
# a storm has no limit
? tests/test_storm.py::test_a_storm_is_three_messages_at_once_and_one_a_minute_from_then_on
-STORM_BURST = 3
+STORM_BURST = 300
# a storm has one message more
? tests/test_storm.py::test_calls_that_are_held_back_tell_nothing_and_later_ones_all_of_it
-interval '{(STORM_BURST - 1) * STORM_SECONDS} seconds'
+interval '{STORM_BURST * STORM_SECONDS} seconds'
# the program is held back, too
? tests/test_storm.py::test_the_program_and_the_combined_call_are_never_held_back
-_IS_RATE_LIMITED = f"""(%(paced)s AND ␠
+_IS_RATE_LIMITED = f"""(
# a quiet day saves messages up for a storm
? tests/test_storm.py::test_a_quiet_hour_saves_no_messages_up_for_a_storm
-ELSE greatest(notified_at, now()) END + interval
+ELSE notified_at END + interval
# stuck alerts use up the messages of failures
? tests/test_storm.py::test_stuck_alerts_use_up_no_message_of_a_storm
- AND claimed > 0 AND %(paced)s AND %(alert)s = 'failed'
+ AND claimed > 0
# an id that is too long blocks all others
? tests/test_storm.py::test_an_id_that_cannot_be_told_blocks_no_other
-left(tasks.id::text, 500)
+left(tasks.id::text, 50000)
# an outage is not made up for
? tests/test_ledger.py::test_after_3_days_without_cron_everything_is_in_one_message_once
-greatest(complete - interval '{LATE_MINUTES} minutes', first_run
+greatest(now() - interval '{LATE_MINUTES} minutes', first_run
# only what is later than the last report is looked at
? tests/test_silence.py::test_a_failure_that_is_committed_late_is_reported_by_the_next_run
-greatest(complete - interval '{LATE_MINUTES} minutes', first_run
+greatest(complete, first_run
# a part that is told counts as all
? tests/test_storm.py::test_a_claim_takes_a_part_and_the_next_run_the_rest
-CASE WHEN is_held THEN event_at WHEN partial THEN greatest(complete, last) ELSE now() END
+now()
# what was told is told again
? tests/test_ledger.py::test_one_more_task_failed_beside_one_that_still_is_not_beside_one_that_healed
-AND {_IS_OF_USER} AND (recorded.at IS NULL
+AND {_IS_OF_USER} AND (true
# a failure's second text is told as another failure
? tests/test_ledger.py::test_a_task_that_failed_again_is_news_after_30_minutes_or_with_another_cause
-
-          AND (failed.at >= recorded.at + interval '1 minute' OR recorded.cause = '')
# another cause is no news
? tests/test_ledger.py::test_a_task_that_failed_again_is_news_after_30_minutes_or_with_another_cause
-OR recorded.cause IS DISTINCT FROM {CAUSE}
+OR recorded.cause IS NULL
# a failure of a worker whose clock is ahead is told again and again
? tests/test_storm.py::test_a_failure_of_a_worker_whose_clock_is_ahead_hides_no_later_one
-OR failed.at <> recorded.event_at
-          AND (failed.at
+OR (failed.at
# a second text of a failure of which the first was muted is not told
? tests/test_restraint.py::test_a_second_text_of_a_muted_failure_is_reported_unless_it_is_muted_too
- OR recorded.cause = '')
+)
# what failed while it was muted is told after the mute
? tests/test_restraint.py::test_what_failed_while_it_was_muted_is_not_reported_after_the_mute
-least({_CHANGED_AT}, now()) <= until
+now() <= until
# a recovery waits for ever for a younger task that is stuck
? tests/test_restraint.py::test_a_recovery_waits_for_a_younger_task_that_is_stuck_for_a_day_at_most
-OR ended.event_at < now() - interval '1 day' THEN
+THEN
# a task that failed stays stuck in the ledger
? tests/test_ledger.py::test_each_turn_of_a_task_is_named_once_in_the_message_it_belongs_to[stuck, failed, ended]
-CASE WHEN NOT failed.is_muted THEN {_STUCK_ROW.format(_ID)} END AS replaced
+NULL::tid[] AS replaced
# what was reported as stuck and fails muted gets no recovery
? tests/test_restraint.py::test_what_was_reported_before_it_was_muted_gets_its_recovery[queued]
-CASE WHEN NOT failed.is_muted THEN {_STUCK_ROW.format(_ID)} END AS replaced
+{_STUCK_ROW.format(_ID)} AS replaced
# what was reported as failed and fails again muted gets no recovery
? tests/test_restraint.py::test_what_was_reported_before_it_was_muted_gets_its_recovery[failed]
-
-          AND (recorded.cause = '' OR NOT failed.is_muted))
+)
# a key that stands where a path should is shown
? tests/test_check.py::test_mistake_in_a_variable_is_named
- or re.match(r"[{\[]|\w+://", text)}
+}
# a mute that ends while a run posts leaves out what that has seen
? tests/test_restraint.py::test_a_mute_that_ends_while_a_run_posts_leaves_nothing_out
-UPDATE slack_notifications SET times = NULL
-WHERE %(hours)s = 0
+UPDATE slack_notifications SET times = NULL
+WHERE false
# a mute that is ended at once has left out what nobody recorded
? tests/test_restraint.py::test_a_mute_that_is_ended_at_once_leaves_nothing_out
-coalesce(nullif(%(hours)s, 0), -200)
+%(hours)s
# a cause is counted once a day
? tests/test_ledger.py::test_a_cause_stays_known_where_the_same_task_fails_again
-times = counter.times + excluded.times
+times = counter.times
# a cause that was reported today is a new one
? tests/test_ledger.py::test_a_cause_stays_known_where_the_same_task_fails_again
-DO UPDATE
-    SET event_at = excluded.event_at, notified_at = excluded.notified_at, times = counter.times + excluded.times
+DO UPDATE
+    SET cause = NULL
# a cause that was reported today has just been reported
? tests/test_causes.py::test_the_same_trouble_calls_people_once_an_hour_and_another_at_once
-last > now() - interval '1 hour' AS is_recent
+last IS NOT NULL AS is_recent
# counts of a cause know no day
? tests/test_ledger.py::test_a_cause_is_counted_for_seven_days
-to_char(now(), 'YYYY-MM-DD ') || cause
+to_char(now(), 'YYYY ') || cause
# a cause is counted for eight days
? tests/test_ledger.py::test_a_cause_is_counted_for_seven_days
-now() - interval '6 days', 'YYYY-MM-DD'
+now() - interval '7 days', 'YYYY-MM-DD'
# failures of this alert count as earlier ones
? tests/test_ledger.py::test_a_cause_stays_known_where_the_same_task_fails_again
-CASE WHEN is_old THEN coalesce(times, 0) END AS before
+CASE WHEN is_old THEN coalesce(times, 0) + total END AS before
# every cause is new on the first day
? tests/test_causes.py::test_a_cause_names_count_users_and_its_first_tasks
-CASE WHEN is_old THEN coalesce(times, 0) END AS before
+coalesce(times, 0) AS before
# the most frequent cause stands before the new one
? tests/test_causes.py::test_new_causes_stand_first
-ORDER BY is_old AND times IS NULL DESC, total DESC, cause
+ORDER BY total DESC, cause
# a task that is still stuck is never told again
? tests/test_ledger.py::test_a_task_that_is_still_stuck_is_told_again_after_the_interval
-    WHERE destination = %(destination)s AND alert = 'stuck' AND task_id <> '' AND {_IS_DUE}) AS has_news
+    WHERE false) AS has_news
# a task stuck in another status is no news
? tests/test_upgrade.py::test_a_task_stuck_in_another_status_or_anew_is_news
-(recorded.at IS NULL OR recorded.cause <> stuck.cause
+(recorded.at IS NULL
# a stuck task that failed has recovered
? tests/test_ledger.py::test_each_turn_of_a_task_is_named_once_in_the_message_it_belongs_to[stuck, failed]
-        WHERE {_ENDED_WELL_LATELY} AND {_IS_OF_USER}
+        WHERE tasks.status::text IN ('failed', {_ENDED_WELL}) AND tasks.updated_at >= {_BEGINNING} AND {_IS_OF_USER}
# a failure that never started is a sign of a worker
? tests/test_causes.py::test_workers_are_missed_where_none_has_given_a_sign_for_long[a failure that never started is no sign]
-word::text NOT IN ('queued', 'failed') OR
+word::text <> 'queued' OR
# a user's figures are those of all
? tests/test_routes.py::test_users_stuck_tasks_are_counted_among_own_tasks
-FROM tasks WHERE {_IS_OPEN} AND {_IS_OF_USER}"""
+FROM tasks WHERE {_IS_OPEN}"""
# another cause waits for its hour to call people
? tests/test_causes.py::test_the_same_trouble_calls_people_once_an_hour_and_another_at_once
- AND (notified_at <= now() - interval '1 hour' OR %(is_new)s) RETURNING alert
+ AND notified_at <= now() - interval '1 hour' RETURNING alert
# old rows stay for ever
? tests/test_ledger.py::test_a_stuck_task_that_was_deleted_is_forgotten_in_silence
-AND greatest(event_at, notified_at) < now() - interval '7 days'
+AND greatest(event_at, notified_at) < now() - interval '700 days'
# a task that is still stuck is forgotten
? tests/test_ledger.py::test_a_task_that_is_still_stuck_outlives_the_clean_up
-      AND NOT EXISTS (SELECT FROM tasks WHERE {_ID} = old.task_id AND old.alert = 'stuck' AND {_IS_OPEN})
-
# the clean-up waits for other runs
? tests/test_ledger.py::test_a_row_that_another_run_uses_does_not_hold_up_the_clean_up
-FOR UPDATE OF old SKIP LOCKED
+FOR UPDATE OF old
## Database.
# a silent database holds the worker
? tests/test_deadlines.py::test_a_silent_database_holds_a_worker_for_ten_seconds_at_the_most
-threading.Timer(self.deadline.seconds_left, self._sockets.cut)
+threading.Timer(300, self._sockets.cut)
# a database that is not there is tried again and again
? tests/test_blind.py::test_database_that_does_not_exist_is_not_tried_again
-if pause is None or is_late or re.search(_IS_FINAL_ERROR, reason):
+if pause is None or is_late:
# the driver's words quote the password
? tests/test_secrets.py::test_database_error_that_quotes_the_password_is_masked
-text = re.sub(rf"(?<!\w){re.escape(password)}(?!\w)", _MASK, text)
+pass
# a vanished host holds its claim for ever
? tests/test_crash.py::test_a_vanished_host_holds_its_claim_no_longer_than_stated
-"hold_milliseconds": CLAIM_HOLD_SECONDS * 1000
+"hold_milliseconds": 0
# the server takes the claim away while Slack is slow
? tests/test_crash.py::test_a_claim_outlasts_a_slow_answer_of_slack
-CLAIM_HOLD_SECONDS = DELIVERY_SECONDS + LEAST_SHARE_SECONDS
+CLAIM_HOLD_SECONDS = 2
# a post that fails is not rolled back
? tests/test_ledger.py::test_a_refused_failed_alert_does_not_hold_back_the_stuck_one
-            with suppress(psycopg2.Error):
-                self._cursor.execute("ROLLBACK")
+            with suppress(psycopg2.Error):
+                self._cursor.execute("COMMIT")
# what was committed is rolled back
? tests/test_ledger.py::test_every_caller_goes_through_the_ledger
-self._cursor.execute("COMMIT" if self.keeps else "ROLLBACK")
+self._cursor.execute("ROLLBACK")
# a dry run creates the table
? tests/test_upgrade.py::test_a_dry_run_changes_nothing_and_shows_what_the_first_run_reports
-if is_temporary or self.dry_run:
+if is_temporary:
# a report that was not recorded is one that was not read
? tests/test_crash.py::test_a_failed_commit_is_an_error_that_names_the_possible_repeat
-            cannot_read=not self.has_posted,
-
# an error after an earlier post is one of the record
? tests/test_ledger.py::test_tasks_that_cannot_be_read_after_another_alert_was_sent_are_said_not_to_be_read
-self.keeps, self.has_posted = not self.dry_run, False
+self.keeps, self.has_posted = not self.dry_run, getattr(self, "has_posted", False)
# a broken connection is not opened again
? tests/test_deadlines.py::test_a_connection_that_breaks_is_opened_again
-            if not error.lost:
-                raise
-            logger.warning("%s; connecting again", error)
+            raise
# a claim that takes too long takes too long for ever
? tests/test_storm.py::test_a_claim_that_takes_too_long_takes_few_tasks
-            if not error.too_slow:
-                raise
-            logger.warning("%s; trying again with
+            raise
+            logger.warning("%s; trying again with
# only the first alert of a destination is looked at
? tests/test_ledger.py::test_any_caller_names_what_recovered
-            for alert in alerts:
-                self.alert = alert
+            for alert in alerts[:1]:
+                self.alert = alert
# an older version's rows are not moved
? tests/test_upgrade.py::test_what_an_older_version_reported_is_not_reported_again
-[MOVE_OLD_ROWS, look] if alert is alerts[0]
+[look] if alert is alerts[0]
# an older version's rows are moved before they are all there
? tests/test_upgrade.py::test_this_version_repeats_nothing_that_version_2_is_just_reporting
-self.transaction(LOCK, until=until, **parameters))
-            if not self._is_locked(until):
-                return ExitStack(), None
-            claimed_by = until.before(until.seconds_left * spared)
-            for alert in alerts:
-                self.alert = alert
-                self.parameters |= {"alert": alert.name, "reported_as": alert.reported_as}
-                # A worker calls because a task has failed, so it need not look.
-                look = "SELECT true AS has_news" if self.paced and alert is FAILED else alert.look
-                # Statements of their own see what the run has committed for which the lock has waited.
-                statements = [MOVE_OLD_ROWS, look] if alert is alerts[0] else [look]
+self.transaction(MOVE_OLD_ROWS, LOCK, until=until, **parameters))
+            if not self._is_locked(until):
+                return ExitStack(), None
+            claimed_by = until.before(until.seconds_left * spared)
+            for alert in alerts:
+                self.alert = alert
+                self.parameters |= {"alert": alert.name, "reported_as": alert.reported_as}
+                # A worker calls because a task has failed, so it need not look.
+                look = "SELECT true AS has_news" if self.paced and alert is FAILED else alert.look
+                # Statements of their own see what the run has committed for which the lock has waited.
+                statements = [look]
# a worker's call waits for another run
? tests/test_storm.py::test_a_call_waits_for_no_other_run
-self.call_wait if self.paced else LOCK_WAIT_SECONDS
+LOCK_WAIT_SECONDS
# a rate-limited call waits as for another run
? tests/test_storm.py::test_a_quiet_hour_saves_no_messages_up_for_a_storm
-            if state["is_rate_limited"]:
-                return False
-
# a message that reports no other task speaks of more
? test_slack_notifier.py::test_failed_alert_is_as_documented
-facts.get(alert.name, 0) > total
+facts.get(alert.name, 0) >= total
# no message speaks of tasks that were reported before
? tests/test_ledger.py::test_one_more_task_failed_beside_one_that_still_is_not_beside_one_that_healed
-others_reported = facts.get(alert.name, 0) > total
+others_reported = False
# a stuck alert cleans up what the failed one needs
? tests/test_ledger.py::test_a_stuck_alert_deletes_nothing_that_the_failed_one_needs
-other.name for other in ALERTS if other.kind == alert.kind
+other.name for other in ALERTS
# counts of causes stay for ever
? tests/test_ledger.py::test_a_cause_is_counted_for_seven_days
-cleaned = ["cause", "muted", *(
+cleaned = ["muted", *(
# a standby is written to
? tests/test_ledger.py::test_a_standby_is_a_clear_error_and_never_silence
-    if state["standby"]:
-        raise DatabaseError("The database is a read-only standby
+    if False:
+        raise DatabaseError("The database is a read-only standby
# hidden tasks are no matter
? tests/test_storm.py::test_policies_that_may_hide_tasks_are_a_warning_in_each_run
-if state["row_security"]:
+if False:
# a role that cannot upgrade the table is believed to
? tests/test_upgrade.py::test_a_role_that_does_not_own_the_table_alerts_without_memory_until_the_owner_has_upgraded_it
-return "" if state["up_to_date"] or state["owned"] else UPGRADE
+return ""
## Delivery.
# urllib3 logs the webhook's path
? tests/test_secrets.py::test_answer_spreads_no_secret[ok]
-return threading.get_ident() not in _delivering or str(record.msg).startswith("Starting new HTTP")
+return True
# an answer that quotes the webhook is logged
? tests/test_delivery.py::test_an_answer_that_quotes_an_address_of_plain_words_names_none_of_them
-_plain_words(body, webhook)
+_plain_words(body, '')
# a lost answer is tried again
? tests/test_delivery.py::test_event_outlives_every_fault_within_5_seconds[reset]
-DeliveryError(words, may_have_arrived=True)
+DeliveryError(words, may_have_arrived=True, retry_after=NEVER if "no answer" in words else 0)
# a message whose answer is late is sent again
? tests/test_delivery.py::test_message_whose_answer_is_late_is_not_sent_again
-DeliveryError(words, may_have_arrived=True)
+DeliveryError(words, may_have_arrived=True, retry_after=0 if "no answer" in words else NEVER)
# no connection is not tried again
? tests/test_delivery.py::test_event_outlives_every_fault_within_5_seconds[no such port]
-return DeliveryError(f"no connection ({words or kind})", remedy, retry_after=0 if heals else NEVER)
+return DeliveryError(f"no connection ({words or kind})", remedy)
# a redirect counts as accepted
? tests/test_delivery.py::test_slack_must_say_ok_and_others_2xx
-(200 <= status < 300 and not _is_slack(webhook))
+(200 <= status < 400 and not _is_slack(webhook))
# 5xx is not tried again
? tests/test_delivery.py::test_refusal_says_what_it_was_and_whether_it_may_heal
-return DeliveryError(reason, retry_after=0, layout_refused=status == 500 and not word)
+return DeliveryError(reason, layout_refused=status == 500 and not word)
# Slack need not say ok
? tests/test_delivery.py::test_slack_must_say_ok_and_others_2xx
-if (status, word) == (200, "ok") or
+if status == 200 or
# Retry-After is not waited for
? tests/test_delivery.py::test_event_outlives_every_fault_within_5_seconds[429, an hour]
-wait = max(next(pauses, NEVER), error.retry_after)
+wait = next(pauses, NEVER)
# a refused layout is not sent as text
? tests/test_delivery.py::test_alert_outlives_every_fault_within_10_seconds_and_arrives_with_the_next_good_run[invalid_blocks once]
-(error.layout_refused and message.blocks)
+(error.layout_refused and not message.blocks)
# a Retry-After of any length is read
? tests/test_delivery.py::test_retry_after_is_read_in_seconds
-([0-9]{1,9})
+([0-9]+)
# a post is tried again without time for its answer
? tests/test_delivery.py::test_message_is_not_sent_again_without_time_for_its_answer
-if until.seconds_left < wait + least_seconds:
+if until.seconds_left < wait:
# the mail server's TLS is not asked for
? tests/test_email.py::test_email_that_cannot_go_out_is_an_error_and_the_next_good_run_delivers[plain text]
-            server.starttls(context=tls)
+            pass
# an alert by e-mail does not count
? tests/test_email.py::test_alert_that_slack_refuses_goes_out_by_email_and_counts
-            logger.warning("Alert sent by e-mail instead")
+            logger.warning("Alert sent by e-mail instead")
+            raise DeliveryError("")
# two webhooks that fail over a second apart make two mails
? tests/test_email.py::test_two_dead_webhooks_need_one_email_and_the_next_failure_another
-content = message.text.rpartition("\n")[0]
+content = message.text
# a mail server that hangs is tried for each destination
? tests/test_email.py::test_mail_server_that_hangs_is_tried_once_a_run
-            if self._mail_error:
-                raise DeliveryError(self._mail_error)
-
# a mail server that had too little time is given up
? tests/test_email.py::test_mail_server_is_tried_again_where_it_only_had_too_little_time
-if is_enough or not error.late:
+if True:
# a mail server that had its time is not given up
? tests/test_email.py::test_mail_server_that_used_all_its_time_is_not_tried_again
-is_enough = until.seconds_left > EMAIL_SECONDS - LEEWAY_SECONDS
+is_enough = until.seconds_left > EMAIL_SECONDS
# an event goes by e-mail
? tests/test_email.py::test_no_email_for_events_and_own_messages
-has_backup = or_mail and self._email is not None
+has_backup = self._email is not None
# Slack takes the time of the e-mail
? tests/test_email.py::test_slack_that_hangs_leaves_the_email_its_time
-deliver(to.webhook, message, until.before(for_mail), ␠
+deliver(to.webhook, message, until, ␠
## Run.
# two destinations make twice as many tasks
? tests/test_routes.py::test_dead_destination_neither_hides_nor_repeats
-self.total = max(self.total, other.total)
+self.total = self.total + other.total
# the text of an unexpected error is logged
? tests/test_secrets.py::test_text_of_an_unexpected_error_is_not_logged
-traceback.format_tb(error.__traceback__)
+traceback.format_exception(type(error), error, error.__traceback__)
# the other alert's error is forgotten
? tests/test_routes.py::test_dead_destination_neither_hides_nor_repeats
-self.error = self.error or other.error
+self.error = other.error
# recoveries cannot be switched off
? tests/test_ledger.py::test_recoveries_can_be_switched_off
-if self.settings.notify_on_recovery or not one.reported_as
+if True
# an alert that fails holds back the others
? tests/test_ledger.py::test_a_refused_failed_alert_does_not_hold_back_the_stuck_one
-if not reported and not outcome.error:
+if not reported:
# the recovery of an alert that fails goes out before it
? tests/test_ledger.py::test_a_recovery_waits_for_the_alert_that_was_refused
-alerts = [alert for alert in later if not outcome.error or alert.kind != kind]
+alerts = later
# reminders of 0 minutes are all the time
? tests/test_ledger.py::test_without_reminders_a_stuck_task_is_told_once_for_ever
-"remind": settings.remind_minutes or None
+"remind": settings.remind_minutes
# a recovery counts as a stuck task
? tests/test_ledger.py::test_a_recovery_does_not_count_as_a_stuck_task
-outcome.total = 0 if ledger.alert.reported_as else news.total
+outcome.total = news.total
# a dry run leaves a trace
? tests/test_ledger.py::test_a_dry_run_shows_what_the_next_run_would_tell_and_changes_nothing
-ledger.keeps = self._deliver(ledger, destination, news, until) and not self.dry_run
+ledger.keeps = self._deliver(ledger, destination, news, until)
# in quiet hours what is held counts as told
? tests/test_routes.py::test_quiet_hours_hold_the_recovery
-kept for later", wait, subject)
-            return False
+kept for later", wait, subject)
+            return True
# many recoveries break the quiet hours
? tests/test_routes.py::test_quiet_hours_hold_the_recovery
-        if alert.followers:
-            critical =
+        if news:
+            critical =
# a report that was not recorded is not said to repeat
? tests/test_crash.py::test_a_failed_commit_is_an_error_that_names_the_possible_repeat
-        ledger.has_posted = True
-
# a few failures of a few tasks are critical
? tests/test_causes.py::test_what_is_critical_breaks_the_quiet_hours_and_calls_someone[all of four failed]
-ended >= CRITICAL_ENDED_TASKS and failed * 100
+failed * 100
# a single user hears that the tasks cannot be read
? tests/test_blind.py::test_blind_alert_reaches_each_webhook_of_the_kinds_once
-destinations.update(dict.fromkeys(self.destinations(kind)))
+destinations.update(dict.fromkeys(self.settings.destinations(kind)))
# a bad run has a good heartbeat
? tests/test_blind.py::test_heartbeat_tells_good_from_bad_runs
-url = re.sub("/*(?=[?#]|$)", "/fail", url, count=1)
+pass
# a bad heartbeat is part of the query
? tests/test_blind.py::test_heartbeat_tells_good_from_bad_runs
-re.sub("/*(?=[?#]|$)", "/fail", url, count=1)
+re.sub("/*$", "/fail", url, count=1)
## Restraint.
# reminders never thin out
? tests/test_ledger.py::test_reminders_thin_out_to_one_a_day
-least(interval '1 day', recorded.notified_at - recorded.event_at)
+interval '0'
# each task has a reminder of its own
? tests/test_ledger.py::test_a_reminder_names_all_that_are_still_stuck
-OR bool_or({_IS_DUE}) OVER ()
+OR false
# a reminder of more than a claim takes repeats its first part
? tests/test_restraint.py::test_of_more_than_a_claim_takes_only_those_that_are_due_are_in_a_reminder
-AND count(*) OVER () < %(part)s AS is_news
+AS is_news
# what was reported just now is in the reminder
? tests/test_restraint.py::test_what_is_newly_stuck_is_reported_alone_and_in_no_reminder_at_once
-AND recorded.notified_at < now() - interval '5 minutes'
+␠
# the two kinds of stuck have one limit
? tests/test_restraint.py::test_the_two_kinds_of_stuck_have_limits_of_their_own
-WHEN 'queued' THEN %(queued)s ELSE
+WHEN 'queued' THEN %(in_progress)s ELSE
# a task that got its turn has recovered
? tests/test_restraint.py::test_a_queue_that_moves_slowly_gives_no_recovery_before_its_end
-WHEN recorded.event_at > coalesce(
+WHEN recorded.at <= now() OR recorded.event_at > coalesce(
# failures do not wait for their grace
? tests/test_restraint.py::test_what_a_retry_heals_within_the_grace_is_not_reported_and_the_rest_once
-wait = "Grace" if grace
+wait = "" if grace
# a grace has no end
? tests/test_restraint.py::test_a_task_that_fails_every_few_minutes_ends_its_grace
- and news.claimed_at - news.complete < longest
+␠
# muted failures make an alert critical
? tests/test_restraint.py::test_what_is_muted_is_counted_and_nothing_else
-count(nullif(cause, '')) AS claimed
+count(*) AS claimed
# muted failures count in the share
? tests/test_restraint.py::test_what_is_muted_is_counted_and_nothing_else
-AND NOT (tasks.status::text = 'failed' AND {_IS_MUTED})
+␠
# muted failures recover
? tests/test_restraint.py::test_what_is_muted_is_counted_and_nothing_else
- OR recorded.cause = '' THEN false
+ THEN false
# upper case is not muted
? tests/test_restraint.py::test_what_is_muted_is_counted_and_nothing_else
-strpos(lower({SHOWN_ERROR} COLLATE "default"), words) > 0
+strpos({SHOWN_ERROR}, words) > 0
# each run says that it cannot read
? tests/test_restraint.py::test_a_night_without_a_database_is_said_once_an_hour_and_its_end_once
-if timedelta(0) <= now - said < SAY_AGAIN and
+if False and
# what was not delivered counts as said
? tests/test_restraint.py::test_what_could_not_be_delivered_counts_as_not_said
-elif self._say(alerts, message) and not
+elif (self._say(alerts, message) or True) and not
# a dry run notes what it says
? tests/test_restraint.py::test_a_dry_run_says_it_each_time_and_notes_nothing
-elif self._say(alerts, message) and not self.dry_run:
+elif self._say(alerts, message):
# a link is followed
? tests/test_restraint.py::test_a_note_that_is_not_ours_is_neither_read_nor_written[link]
-os.O_RDWR | os.O_NOFOLLOW |
+os.O_RDWR |
# a note of somebody else's is believed
? tests/test_restraint.py::test_a_note_that_is_not_ours_is_neither_read_nor_written[open to others]
-if (found.st_uid, found.st_nlink, found.st_mode) != (os.geteuid(), 1, 0o100600):
+if False:
# two installations share a note
? tests/test_restraint.py::test_two_installations_share_no_note
-str(os.geteuid()), *sorted(webhooks)]
+str(os.geteuid())]
# a message about the monitor that one dead webhook does not take counts as unsaid
? tests/test_restraint.py::test_one_dead_webhook_of_two_keeps_nothing_from_being_said_once
-(or_mail or not outcome.error)
+not outcome.error
## Silence.
# a pace of a wrong clock is kept
? tests/test_silence.py::test_a_pace_of_a_clock_that_was_ahead_holds_back_nothing
-CASE WHEN notified_at > now() + interval '{STORM_BURST * STORM_SECONDS} seconds' THEN now()
-        ELSE greatest(notified_at, now()) END
+greatest(notified_at, now())
# a pace of a wrong clock holds back calls
? tests/test_silence.py::test_a_pace_of_a_clock_that_was_ahead_holds_back_nothing
-
-    AND notified_at < now() + interval '{(STORM_BURST + 1) * STORM_SECONDS} seconds')
+)
# runs use up the messages of calls
? tests/test_silence.py::test_runs_and_good_news_hold_back_no_call
- AND claimed > 0 AND %(paced)s AND %(alert)s = 'failed'
+ AND claimed > 0 AND %(alert)s = 'failed'
# what is complete lies ahead
? tests/test_silence.py::test_a_clock_that_was_ahead_once_hides_nothing
-CASE WHEN event_at <= now() + interval '1 minute' THEN event_at ELSE now() - interval '7 days' END
+event_at
# a wrong clock is made up for with a day alone
? tests/test_silence.py::test_a_clock_that_was_ahead_once_hides_nothing
-THEN event_at ELSE now() - interval '7 days' END
+THEN event_at ELSE now() - interval '1 hour' END
# a later run reports what the first one left out
? tests/test_silence.py::test_no_later_run_reports_what_the_first_one_left_out
-complete - interval '{LATE_MINUTES} minutes', first_run - %(window)s,
+complete - interval '{LATE_MINUTES} minutes',
# what is committed an hour late is lost
? tests/test_silence.py::test_a_failure_that_is_committed_late_is_reported_by_the_next_run
-LATE_MINUTES = 120
+LATE_MINUTES = 45
# a version that was not committed counts as seen
? tests/test_silence.py::test_a_failure_that_is_committed_late_is_reported_by_the_next_run
-_SEEN = "pg_snapshot_xmin(pg_current_snapshot())
+_SEEN = "pg_snapshot_xmax(pg_current_snapshot())
# a table without versions is taken for one with them
? tests/test_silence.py::test_what_is_committed_late_is_reported_once_whatever_kind_of_table_the_tasks_are
-if state["has_versions"]:
+if True:
# tasks without updated_at are left out
? tests/test_silence.py::test_tasks_without_updated_at_are_reported_once
-OR %(nulls)s AND tasks.updated_at IS NULL
+OR false AND tasks.updated_at IS NULL
# a user's channel is finished with a part
? tests/test_silence.py::test_parts_of_very_many_failures_are_all_reported_however_old_they_are
-DELETE FROM slack_notifications WHERE {_USERS_ROW} AND NOT (SELECT partial OR is_held FROM figures)
+DELETE FROM slack_notifications WHERE {_USERS_ROW}
# a user's channel that an earlier run has not finished is forgotten
? tests/test_silence.py::test_a_users_channel_that_was_dead_for_days_gets_all_of_it_once
-
-UNION
-SELECT task_id FROM slack_notifications
-WHERE destination = '{USERS}' AND alert = ANY(%(alerts)s) AND task_id <> ''
# a user's channel begins now
? tests/test_silence.py::test_parts_of_very_many_failures_are_all_reported_however_old_they_are
-           greatest(event_at, (SELECT event_at FROM shared WHERE alert = '')) AS event_at
+           now() AS event_at
# each user's channel is begun
? tests/test_silence.py::test_a_thousand_users_channels_cost_an_idle_run_three_round_trips
-found = {row["destination"] for row in rows}
+found = {row["destination"] for row in rows} | {to.fingerprint for to in settings.user_destinations()}
# keys of users are sent
? tests/test_silence.py::test_keys_of_users_are_not_sent_to_the_database_where_only_one_has_news
-hashes = [hash_of[channel.user] for channel in active.values()]
+hashes = [channel.user for channel in active.values()]
# a task that was queued again is no sign of a worker
? tests/test_silence.py::test_work_of_any_kind_is_a_sign_of_a_worker
-OR started_at IS NOT NULL)
-    ORDER
+OR started_at IS NOT NULL AND word::text <> 'queued')
+    ORDER
# a sign of a worker may lie a year ahead
? tests/test_silence.py::test_one_task_dated_next_year_switches_nothing_off
-WHERE tasks.status = status.word AND updated_at <= now() + interval '1 hour'
+WHERE tasks.status = status.word
# a task that fails at once waited for a worker
? tests/test_silence.py::test_a_task_that_fails_at_once_on_a_quiet_night_asks_for_no_worker
-tasks.started_at IS NULL AND failed.at > tasks.created_at + interval '1 minute' * %(queued)s AS is_unstarted
+tasks.started_at IS NULL AS is_unstarted
# an alert that cannot note its call calls nobody
? tests/test_silence.py::test_an_alert_calls_people_where_it_cannot_be_noted
-mention = mention if call["may_call"] else ""
+mention = mention if call["may_call"] else ""
+                break
+            else:
+                mention = ""
# a claim has no figures of its own moment
? tests/test_silence.py::test_an_alert_counts_what_has_recovered_and_names_what_is_more
-THEN (SELECT row_to_json(facts) FROM ({facts}) AS facts) END AS facts
+THEN NULL END AS facts
# what was seen is looked up again
? tests/test_idle_cost.py::test_an_idle_run_reads_little_of_the_ledger_within_two_hours_of_thousands_of_failures
-self.version = AsIs("tasks.xmin")
+self.version = AsIs("NULL")
## Check.
# the webhooks of users are not looked at
? tests/test_check.py::test_webhooks_of_users_are_looked_at_where_no_kind_has_one_of_its_own
-for kind in (*settings.webhooks, "failed")
+for kind in settings.webhooks
# a dead webhook is a good one
? tests/test_check.py::test_dead_webhooks_are_told_from_living_ones_by_name_and_nothing_is_posted
-if error.word != "no_text":
+if not error.word:
# another host is asked for the webhook
? tests/test_check.py::test_other_hosts_are_asked_for_nothing_that_is_secret
-f"{url.partition(':')[0]}://{server}/", until
+url, until
# the login of a server is shown
? tests/test_check.py::test_mail_server_is_named_without_the_rest_of_its_url
-[0].rpartition("@")[2]
+[0]
# a database without TLS is a good one anywhere
? tests/test_check.py::test_database_without_tls_across_a_network_is_a_doubt
-if info.ssl_in_use or info.host.startswith("/") or info.host in ("localhost", "127.0.0.1", "::1"):
+if info.host:
# a doubt is exit 1
? tests/test_check.py::test_doubts_alone_are_exit_0
-return int(BAD in marks)
+return int(marks != {GOOD})
# --check waits for a run that is at work
? tests/test_check.py::test_a_run_that_is_at_work_is_said_and_not_waited_for
-if "" not in state:
+if not state:
# --check needs a right that a run does not
? tests/test_check.py::test_a_role_that_may_create_no_temporary_table_is_no_mistake_before_the_first_run
-if state["may_create_temporary"] or not state["unborn"]:
+if state["may_create"] or not state["unborn"]:
## Odd tables.
# a status in capitals is passed over
? tests/test_odd_tables.py::test_statuses_that_are_not_ours_are_named
-for word in found if word not in known}
+for word in found if word.lower() not in known}
# only the first status is looked at
? tests/test_odd_tables.py::test_statuses_that_are_not_ours_are_named
-SELECT status FROM tasks WHERE status > word ORDER
+SELECT status FROM tasks WHERE status < word ORDER
# a date beyond all calendars breaks a run
? tests/test_odd_tables.py::test_a_date_beyond_all_calendars_costs_no_alert
-moments = [row["at"] for row in statuses if row["at"]]
+moments = [row["at"] for row in statuses]
# the quiet hours of a queue are a wrong clock
? tests/test_odd_tables.py::test_a_worker_that_does_not_write_utc_is_said
-row["busy_hours"] >= 22
+row["busy_hours"]
# a worker's call looks for what is odd
? tests/test_odd_tables.py::test_a_workers_call_looks_for_nothing_odd
-list(self._oddities(found)) if self.thorough else []
+list(self._oddities(found))
# a program gets a task too many
? tests/test_odd_tables.py::test_a_program_gets_two_thousand_tasks_and_is_warned_of_more
-return tasks[:READ_TASKS]
+return tasks
## Command line.
# an empty argument leads to the channels of the settings
? tests/test_start.py::test_wrong_webhook_argument_is_exit_2_and_reaches_no_channel_of_the_settings[empty]
-if arguments.webhook_url is not None and not arguments.webhook_url.strip():
+if arguments.webhook_url and not arguments.webhook_url.strip():
# a webhook given by mistake is repeated
? tests/test_start.py::test_webhook_given_by_mistake_is_not_repeated
-super().error(redact(re.sub(r"\S*/\S*", _MASK, message)))
+super().error(redact(message))
# a wrong setting is exit 1
? tests/test_start.py::test_wrong_setting_is_told_where_the_alerts_of_this_run_go
-        notifier.say_unusable(arguments.alerts, "; ".join(errors))
-        return 2
+        notifier.say_unusable(arguments.alerts, "; ".join(errors))
+        return 1
# a sample is sent whatever is wrong
? tests/test_start.py::test_a_sample_or_a_dry_run_with_a_wrong_setting_sends_nothing
-return 2 if errors else _run_once
+return _run_once
# a variable within a value of the .env file is filled in
? tests/test_start.py::test_env_file_keeps_the_placeholders_of_a_template
-dotenv.load_dotenv(path, interpolate=False, encoding="utf-8-sig")
+dotenv.load_dotenv(path, encoding="utf-8-sig")
# the .env file beside the program goes first
? tests/test_start.py::test_env_file_in_this_folder_goes_before_the_one_beside_the_program
-(".env", os.path.join(os.path.dirname(globals().get("__file__", "")), ".env"))
+(os.path.join(os.path.dirname(globals().get("__file__", "")), ".env"), ".env")
# a file that the group can read is no matter
? tests/test_start.py::test_files_that_others_can_read_or_write_are_a_warning_and_read_all_the_same
-elif file.st_mode & 0o066:
+elif file.st_mode & 0o006:
## The host.
# what a signal handler raises stays in the call
? tests/test_broken_hosts.py::test_an_exception_of_a_signal_handler_reaches_the_program_and_ends_the_post
- or _comes_from_a_signal_handler(error):
+:
# what a program's call needs is loaded by the first
? tests/test_broken_hosts.py::test_a_call_of_a_program_loads_nothing_so_that_it_may_fork_at_any_time
-        if self.enabled and __name__ != "__main__":
-            # A child
+        if False:
+            # A child
# without a thread there is no call
? tests/test_broken_hosts.py::test_a_workers_call_on_a_broken_host_raises_nothing_and_does_what_it_can[no thread to be had]
-            run()
-    finally:
+            raise RuntimeError
+    finally:
# a key log breaks the e-mail
? tests/test_broken_hosts.py::test_a_run_on_a_broken_host_says_what_is_wrong_and_does_what_it_can[SSLKEYLOGFILE is a folder]
-tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
+tls = ssl.create_default_context()
# 500 without a word is an outage only
? tests/test_delivery.py::test_alert_outlives_every_fault_within_10_seconds_and_arrives_with_the_next_good_run[a bare 500, once]
-layout_refused=status == 500 and not word
+layout_refused=False
# another host gets the whole text again
? tests/test_delivery.py::test_text_that_another_host_may_find_too_long_is_sent_again_in_under_2000_characters
-text = shorten(message.text, OTHERS_TEXT_CHARACTERS - 3) if is_too_long else message.text
+text = message.text
# a log link may hold a login
? test_slack_notifier.py::test_log_link_is_a_link_only_where_the_uri_is_one
-[^/?#@\\\s]+(?:[/?#]|$)
+[^/?#\\\s]+(?:[/?#]|$)
'''  # noqa: E501
BREAKS = [
    Break(what, _side("-", body), _side("+", body), test)
    for what, test, body in re.findall(r"(?m)^# (.*)\n\? (.*)\n((?:[-+].*\n)+)", TEXT)
]
