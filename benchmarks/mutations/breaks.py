"""Small breaks of the module, each with the test that finds it.

Below the id of a test (?) stands each break that it must find: what goes wrong (#), then the change as a diff shows it:
what stands in the module (-), what is put in its place (+), and what stays around that.
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


def _side(sign: str, change: str) -> str:
    return "\n".join(line[1:] for line in change.splitlines() if line[0] in (" ", sign))


TEXT = r'''
? tests/test_deadlines.py::test_a_mail_server_that_greets_without_end_is_cut_off
# what hangs is left alone when its time is up
-        sockets.cut()
? tests/test_deadlines.py::test_a_silent_database_holds_a_worker_for_ten_seconds_at_the_most
# a silent database holds the worker
-threading.Timer(self.deadline.seconds_left, self._sockets.cut)
+threading.Timer(300, self._sockets.cut)
? tests/test_deadlines.py::test_a_connection_that_breaks_is_opened_again
# a broken connection is not opened again
-if not error.lost:
+if True:
? tests/test_settings.py::test_wrong_value_is_refused_by_name_with_what_is_right_and_what_it_is_unless_it_is_secret
# an unknown flag word is taken as true
-            raise SettingError(rule)
+            return True
# an @ in the password is let through
-if not port or re.search("://(?:[^/@]*@[^/?]*|[^/?]*/[^?]*)@", url):
+if not port or re.search("://(?:[^/?]*/[^?]*)@", url):
# any mention is taken
-r"<(?:!here|!channel|!subteam\^[A-Z0-9]+|@[UW][A-Z0-9]+)>"
+r"<(?:|!here|!channel|!subteam\^[A-Z0-9]+|@[UW][A-Z0-9]+).*"
# a port of 99999 is one
-6553[0-5]
+6553[0-5]|[6-9][0-9]{4}
# a trigger of Workflow Builder is taken
-/(?:triggers|workflows)/
+/(?:triggers-|workflows)/
? tests/test_settings.py::test_unset_and_empty_are_the_default
# an empty variable is not unset
-return {name: text for name, text in env.items() if text}
+return env
? tests/test_settings.py::test_settings_show_none_of_their_values
# settings show their values
-return "Settings(…)"
+return str(tuple(self))
? tests/test_settings.py::test_template_makes_the_lines_of_a_task
# a task's own $ is a template's
-text = Template(template).safe_substitute(values, **more, seen=seen).strip()
+text = Template(Template(template).safe_substitute(values, **more)).safe_substitute(values, **more)
? tests/test_routes.py::test_quiet_hours_of_the_time_zone_begin_with_their_start_and_end_before_their_end
# quiet hours include their end
-return self.start <= now < self.end
+return self.start <= now <= self.end
# quiet hours over midnight are never
-return now >= self.start or now < self.end
+return now >= self.start and now < self.end
# quiet hours are those of UTC
-now = moment.astimezone(self.zone).time()
+now = moment.astimezone(timezone.utc).time()
? tests/test_routes.py::test_fingerprint_tells_webhook_and_user_apart
# the fingerprint forgets the user
-hashlib.sha256(f"{webhook}\n{user}".encode())
+hashlib.sha256(f"{webhook}\n".encode())
? tests/test_routes.py::test_users_figures_are_of_own_tasks
# a user's figures are those of all
-FROM tasks WHERE {_IS_OPEN} AND {_IS_OF_USER}"""
+FROM tasks WHERE {_IS_OPEN}"""
? tests/test_routes.py::test_dead_destination_neither_hides_nor_repeats
# two destinations make twice as many tasks
-self.total = max(self.total, other.total)
+self.total = self.total + other.total
# the other alert's error is forgotten
-self.error = self.error or other.error
+self.error = other.error
? tests/test_routes.py::test_quiet_hours_hold_the_recovery_which_calls_nobody
# in quiet hours what is held counts as told
 kept for later", wait, subject)
-            return False
+            return True
# many recoveries break the quiet hours
-        if alert.followers:
+        if news:
? test_slack_notifier.py::test_nasty_task_text_is_accepted_pings_nobody_and_fakes_no_link
# < is not escaped
-.replace("<", "&lt;")
? test_slack_notifier.py::test_error_line_tells_what_went_wrong
# & is escaped after the others
-return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
+return text.replace("<", "&lt;").replace(">", "&gt;").replace("&", "&amp;")
# a backtick ends the code span
-SHOWN_JOINT).replace("`", "'")
+SHOWN_JOINT)
? test_slack_notifier.py::test_masked_key_shows_its_start
# a short key is shown whole
-8 if len(text) >= 12 else len(text) // 2
+8
? test_slack_notifier.py::test_log_link_is_a_link_only_where_the_uri_is_one
# any scheme makes a link
-is_shown = re.match(r"https?://[^/?#@\\\s]+(?:[/?#]|$)", text)
+is_shown = re.match(r"\w+:", text)
# a log link may hold a login
-[^/?#@\\\s]+(?:[/?#]|$)
+[^/?#\\\s]+(?:[/?#]|$)
? test_slack_notifier.py::test_time_is_shown_in_utc
# a time of another zone is shown as it is
-        moment = moment if moment.tzinfo is None else moment.astimezone(timezone.utc)
+        pass
? test_slack_notifier.py::test_the_cut_of_a_long_error_leaves_no_piece_of_a_secret
# masked after the cut
-return escape(shorten(redact(one_line(value)), characters))
+return escape(redact(shorten(one_line(value), characters)))
# a private key is not masked
-(["private key"]
+(["private-key"]
? test_slack_notifier.py::test_failed_alert_is_as_documented
# Slack makes links of task text
-"verbatim": True
+"verbatim": False
# links in task text are unfurled
-"unfurl_links": False
+"unfurl_links": True
# a message that reports no other task speaks of more
-facts.get(alert.name, 0) > total
+facts.get(alert.name, 0) >= total
? test_slack_notifier.py::test_time_zones_change_nothing
# sessions keep their time zone
-SET LOCAL TIME ZONE 'UTC';
? test_slack_notifier.py::test_failed_task_counts_for_30_minutes
# the failed look back an hour
-FAILED_WINDOW_MINUTES = 30
+FAILED_WINDOW_MINUTES = 60
? test_slack_notifier.py::test_task_is_stuck_after_the_timeout_without_a_sign_of_life
# inprogress is not in progress
-IN ('queued', 'in_progress', 'inprogress')
+IN ('queued', 'in_progress')
? tests/secrets/test_masking.py::test_a_token_is_known_by_its_shape[with zero-width spaces]
# invisible characters stay
-return re.sub(_INVISIBLE, "", " ".join(text.split()))
+return " ".join(text.split())
? tests/secrets/test_masking.py::test_what_stands_around_a_secret_stays
# a password is not masked
-passw(?:or)?[dt]|pass(?:phrase|code)
+pass(?:phrase|code)
# user and password stay in a URL
-    (["@", "%40"], _LOGIN, rf"{_MASK_REST}@"),
# a webhook of Slack's stays
-(["/t", "%2ft"],
+(["/t-"],
? tests/secrets/test_masking.py::test_a_token_is_known_by_its_shape
# a JSON web token is not masked
-r"eyJ[\w-]
+r"eyJ-[\w-]
# a token of Slack's is not masked
-xapp-|xox|xoxe\.|
+xoxe\.|
# a key of AWS is not masked
-A[KS]IA|AIza|
+ASIA|AIza|
? tests/secrets/test_masking.py::test_what_people_search_for_stays
# the word token masks how many there are
-token(?!s|i)
+token
? tests/test_error_lines.py::test_the_line_of
# a stack is told
-(?:[^\v]+|\v>)*"""
+[^\v\t]*"""
? tests/test_error_lines.py::test_a_secret_is_masked_before_anything_is_cut_or_left_out
# what is left out is not masked first
-redact(head + at + redact(raised)) if at else redact(raised)
+head + at + raised
# an open quote before a stack hides the name of a secret behind it
-redact(head + at + redact(raised)) if at else redact(raised)
+redact(head + at + raised) if at else redact(raised)
# the rest of a key whose beginning was cut off is shown
-re.sub(key, _MASK, piece) if "-----END" in piece else piece
+piece
? tests/test_error_lines.py::test_plain_prose_is_cut_at_its_end_and_anything_else_in_its_middle
# a long error is cut at its end
-end = 0.35 if raised
+end = 0 if raised
? tests/test_causes.py::test_errors_that_differ_in_kind_are_two_causes
# a code folds like any number
- || coalesce(substring(text FROM '{CODE}'), '')
? tests/test_causes.py::test_the_cause_is_what_stands_before_the_stack_with_the_exception
# a cause is what stands before the stack alone
-THEN split_part(raised, ': ', 1) ELSE {_READ.format("raised")} END
+THEN '' ELSE '' END
? tests/test_causes.py::test_the_same_trouble_calls_people_once_an_hour_and_another_at_once
# a cause that was reported today has just been reported
-last > now() - interval '1 hour' AS is_recent
+last IS NOT NULL AS is_recent
# another cause waits for its hour to call people
- AND (notified_at <= now() - interval '1 hour' OR %(is_new)s) RETURNING alert
+ AND notified_at <= now() - interval '1 hour' RETURNING alert
? tests/test_causes.py::test_a_cause_names_count_users_and_its_first_tasks_but_no_secret
# every cause is new on the first day
-CASE WHEN is_old THEN coalesce(times, 0) END AS before
+coalesce(times, 0) AS before
? tests/test_causes.py::test_new_causes_stand_first
# the most frequent cause stands before the new one
-ORDER BY is_old AND times IS NULL DESC, total DESC, cause
+ORDER BY total DESC, cause
? tests/test_causes.py::test_workers_are_missed_where_none_has_given_a_sign_for_long[a failure that never started is no sign]
# a failure that never started is a sign of a worker
-word::text NOT IN ('queued', 'failed') OR
+word::text <> 'queued' OR
? tests/test_causes.py::test_what_is_critical_breaks_the_quiet_hours_and_calls_someone[all of four failed]
# a few failures of a few tasks are critical
-ended >= CRITICAL_ENDED_TASKS and failed * 100
+failed * 100
? tests/test_size.py::test_as_many_causes_as_fit_have_a_task_and_then_as_many_as_fit_however_long_the_links
# a cause is shown without a task
-tasks = [*group.tasks[:1], *more]
+tasks = more
# the text is longer than Slack takes
-TEXT_CHARACTERS = 3900
+TEXT_CHARACTERS = 39000
# causes that are not shown are not counted
-causes_left = news.causes[0]["causes"] - len(shown)
+causes_left = news.causes[0]["causes"] - len(news.causes)
? tests/test_messages.py::test_many_failures_stand_under_their_causes
# an asterisk in a cause ends its heading
-return f"*{text.replace('*', '∗')}*"
+return f"*{text}*"
# a cause without a history is new
-    if cause.get("before") is None:
-        return ""
? tests/test_messages.py::test_an_error_says_whether_it_is_known
# a cause is seen as often as before
-({cause['before'] + cause['total']}× in 7 days)
+({cause['before']}× in 7 days)
? tests/test_messages.py::test_workers_are_missed_only_where_it_is_known
# workers are missed where nothing is known of them
-news.facts.get("last_activity", news.claimed_at)
+news.facts.get("last_activity")
? tests/test_messages.py::test_the_summary_says_how_many_and_since_when
# a part is counted as all
-    if news.partial:
-        return f"{plural(news.total, 'task')} and more"
? tests/test_size.py::test_tasks_of_the_longest_lines_are_as_many_as_fit
# a message is longer than Slack takes
-MESSAGE_CHARACTERS = 9000
+MESSAGE_CHARACTERS = 90_000
# emoji count as one character
- + len(re.findall("[\U00010000-\U0010ffff]", text))
# tasks left out are counted without those that did not fit
-lines.append(f"… and {group.total - len(tasks)} more")
+lines.append(f"… and {group.total - len(group.tasks)} more")
? test_task_creation_notification.py::test_event_message_is_as_documented
# an event shows the address of the logo
-"Logo URL provided": (
+"Logo: {}": (
? tests/test_idle_cost.py::test_an_idle_run_reads_nothing_of_what_was_told
# all tasks are read where that seems to cost less
-SET LOCAL enable_seqscan = off;
# older versions' rows are looked for among all that was told
-AND alert IN ('stuck:queued', 'stuck:in_progress') RETURNING *
+AND starts_with(alert, 'stuck:') RETURNING *
? tests/test_idle_cost.py::test_an_idle_run_reads_little_of_the_ledger_within_two_hours_of_thousands_of_failures
# what was seen is looked up again
-self.version = AsIs("tasks.xmin")
+self.version = AsIs("NULL")
? tests/test_concurrency.py::test_a_run_beside_a_held_one_still_learns_of_later_failures
# a server's serializable default is kept
-BEGIN ISOLATION LEVEL READ COMMITTED;
+BEGIN;
# two runs tell a destination at once
-NOT {_IS_RATE_LIMITED} FOR UPDATE SKIP LOCKED
+NOT {_IS_RATE_LIMITED}
? tests/test_concurrency.py::test_many_first_calls_at_the_same_instant_succeed_and_wait_for_no_lock
# two first runs stumble over each other
-SELECT pg_advisory_xact_lock(hashtext('slack_notifications'))
+SELECT 1
? tests/test_upgrade.py::test_a_table_in_a_later_schema_is_upgraded_there
# a table of version 2 is taken for this one's
-(SELECT count(*) = 2 FROM pg_attribute
+(SELECT count(*) > 0 FROM pg_attribute
? tests/test_upgrade.py::test_a_table_an_older_version_is_just_creating_is_upgraded
# a table of version 1 is upgraded as one of version 2
-ADD COLUMN IF NOT EXISTS cause text, ADD COLUMN
+ADD COLUMN
? tests/test_upgrade.py::test_back_and_forth_older_versions_reports_count
# an older version's later report does not count
-SET event_at = excluded.event_at, notified_at = excluded.notified_at, cause = excluded.cause"""
+SET event_at = excluded.event_at, cause = excluded.cause"""
? tests/test_upgrade.py::test_of_all_reports_of_a_task_the_last_one_counts[this version's]
# an older version's earlier report counts
-{_REPLACE} WHERE recorded.notified_at < excluded.notified_at
+{_REPLACE}
? tests/test_upgrade.py::test_of_all_reports_of_a_task_the_last_one_counts[version 1's later]
# of an older version's two reports of a task the earlier one counts
-FROM moved ORDER BY task_id, notified_at DESC
+FROM moved ORDER BY task_id, notified_at
? tests/test_upgrade.py::test_a_task_stuck_in_another_status_or_anew_is_news
# a task stuck in another status is no news
-(recorded.at IS NULL OR recorded.cause <> stuck.cause
+(recorded.at IS NULL
? tests/test_upgrade.py::test_a_dry_run_shows_the_first_run_without_a_trace
# a dry run creates the table
-if is_temporary or self.dry_run:
+if is_temporary:
? tests/test_upgrade.py::test_an_older_versions_reports_are_not_repeated
# an older version's rows are not moved
-[MOVE_OLD_ROWS, look] if alert is alerts[0]
+[look] if alert is alerts[0]
? tests/test_upgrade.py::test_this_version_repeats_nothing_that_version_2_is_just_reporting
# an older version's rows are moved before they are all there
-self.transaction(LOCK, until=until, **parameters))
+self.transaction(MOVE_OLD_ROWS, LOCK, until=until, **parameters))
             if not self._is_locked(until):
                 return ExitStack(), None
             claimed_by = until.before(until.seconds_left * spared)
             for alert in alerts:
                 self.alert = alert
                 self.parameters |= {"alert": alert.name, "reported_as": alert.reported_as}
                 # A worker calls because a task has failed, so it need not look.
                 look = "SELECT true AS has_news" if self.paced and alert is FAILED else alert.look
                 # Statements of their own see what the run has committed for which the lock has waited.
-                statements = [MOVE_OLD_ROWS, look] if alert is alerts[0] else [look]
+                statements = [look]
? tests/test_upgrade.py::test_a_role_has_no_memory_until_the_owner_upgrades_the_table
# a role that cannot upgrade the table is believed to
-return "" if state["up_to_date"] or state["owned"] else UPGRADE
+return ""
? tests/test_storm.py::test_a_storm_is_three_messages_at_once_and_one_a_minute_from_then_on
# a storm has no limit
-STORM_BURST = 3
+STORM_BURST = 300
? tests/test_storm.py::test_calls_that_are_held_back_tell_nothing_and_later_ones_all_of_it
# a storm has one message more
-interval '{(STORM_BURST - 1) * STORM_SECONDS} seconds'
+interval '{STORM_BURST * STORM_SECONDS} seconds'
? tests/test_storm.py::test_a_storm_holds_back_no_other_destination_no_combined_call_and_no_program
# the program is held back, too
-_IS_RATE_LIMITED = f"""(%(paced)s AND
+_IS_RATE_LIMITED = f"""(
? tests/test_storm.py::test_a_quiet_hour_saves_no_messages_up_for_a_storm
# a quiet day saves messages up for a storm
-ELSE greatest(notified_at, now()) END + interval
+ELSE notified_at END + interval
# a rate-limited call waits as for another run
-            if state["is_rate_limited"]:
-                return False
? tests/test_storm.py::test_runs_good_news_and_stuck_alerts_use_up_no_message_of_a_storm
# stuck alerts use up the messages of failures
- AND claimed > 0 AND %(paced)s AND %(alert)s = 'failed'
+ AND claimed > 0
# runs use up the messages of calls
- AND claimed > 0 AND %(paced)s AND %(alert)s = 'failed'
+ AND claimed > 0 AND %(alert)s = 'failed'
? tests/test_storm.py::test_an_id_that_cannot_be_told_blocks_no_other
# an id that is too long blocks all others
-left(tasks.id::text, 500)
+left(tasks.id::text, 50000)
? tests/test_restraint.py::test_a_queue_that_moves_slowly_gives_no_recovery_before_its_end
# an alert of which something is held counts as complete
-FROM figures WHERE {_ALERT_ROW} AND NOT is_held
+FROM figures WHERE {_ALERT_ROW}
? tests/test_silence.py::test_parts_of_very_many_failures_are_all_reported_however_old_they_are
# a part that is told counts as all
-CASE WHEN partial THEN greatest(complete, last) ELSE now() END
+now()
# a user's channel is finished with a part
-DELETE FROM slack_notifications WHERE {_USERS_ROW} AND (SELECT NOT (partial OR is_held) FROM figures)
+DELETE FROM slack_notifications WHERE {_USERS_ROW} AND EXISTS (SELECT FROM figures)
# a user's channel begins now
-           greatest(event_at, (SELECT event_at FROM shared WHERE alert = '')) AS event_at
+           now() AS event_at
? tests/test_storm.py::test_a_failure_of_a_worker_whose_clock_is_ahead_hides_no_later_one
# a failure of a worker whose clock is ahead is told again and again
-OR failed.at <> recorded.event_at
-          AND (failed.at
+OR (failed.at
? tests/test_storm.py::test_a_claim_that_takes_too_long_takes_few_tasks
# a claim that takes too long takes too long for ever
-if not error.too_slow:
+if True:
? tests/test_storm.py::test_a_call_beside_one_that_delivers_waits_for_nothing_and_holds_no_connection
# a worker's call waits for another run
-self.call_wait if self.paced else LOCK_WAIT_SECONDS
+LOCK_WAIT_SECONDS
? tests/test_storm.py::test_policies_that_may_hide_tasks_are_a_warning_in_each_run
# hidden tasks are no matter
-if state["row_security"]:
+if False:
? tests/test_ledger.py::test_after_3_days_without_cron_everything_is_in_one_message_once
# an outage is not made up for
-greatest(complete - interval '{LATE_MINUTES} minutes', first_run
+greatest(now() - interval '{LATE_MINUTES} minutes', first_run
? tests/test_ledger.py::test_one_more_task_failed_beside_one_that_still_is_not_beside_one_that_healed
# what was told is told again
-AND {_IS_OF_USER} AND (recorded.at IS NULL
+AND {_IS_OF_USER} AND (true
# no message speaks of tasks that were reported before
-others_reported = facts.get(alert.name, 0) > total
+others_reported = False
? tests/test_ledger.py::test_a_task_that_failed_again_is_news_after_30_minutes_or_with_another_cause
# a failure's second text is told as another failure
-          AND (failed.at >= recorded.at + interval '1 minute' OR recorded.cause = '')
# another cause is no news
-OR recorded.cause IS DISTINCT FROM {CAUSE}
+OR recorded.cause IS NULL
? tests/test_ledger.py::test_each_turn_of_a_task_is_named_once_in_the_message_for_it[stuck, failed, ended]
# a task that failed stays stuck in the ledger
-CASE WHEN NOT failed.is_muted THEN {_STUCK_ROW.format(_ID)} END AS replaced
+NULL::tid[] AS replaced
? tests/test_ledger.py::test_a_cause_stays_known_where_the_same_task_fails_again
# a cause is counted once a day
-times = counter.times + excluded.times
+times = counter.times
# a cause that was reported today is a new one
-    SET event_at = excluded.event_at, notified_at = excluded.notified_at, times = counter.times + excluded.times
+    SET cause = NULL
# failures of this alert count as earlier ones
-CASE WHEN is_old THEN coalesce(times, 0) END AS before
+CASE WHEN is_old THEN coalesce(times, 0) + total END AS before
? tests/test_ledger.py::test_a_cause_is_counted_for_seven_days
# counts of a cause know no day
-to_char(now(), 'YYYY-MM-DD ') || cause
+to_char(now(), 'YYYY ') || cause
# a cause is counted for eight days
-now() - interval '6 days', 'YYYY-MM-DD'
+now() - interval '7 days', 'YYYY-MM-DD'
# counts of causes stay for ever
-cleaned = ["cause", "muted", *(
+cleaned = ["muted", *(
? tests/test_ledger.py::test_a_task_that_is_still_stuck_is_told_again_after_the_interval
# a task that is still stuck is never told again
-    WHERE destination = %(destination)s AND alert = 'stuck' AND task_id <> '' AND {_IS_DUE}) AS has_news
+    WHERE false) AS has_news
? tests/test_ledger.py::test_each_turn_of_a_task_is_named_once_in_the_message_for_it[stuck, failed]
# a stuck task that failed has recovered
-        WHERE {_ENDED_WELL_LATELY} AND {_IS_OF_USER}
+        WHERE tasks.status::text IN ('failed', {_ENDED_WELL}) AND tasks.updated_at >= {_BEGINNING} AND {_IS_OF_USER}
? tests/test_ledger.py::test_a_stuck_task_that_was_deleted_is_forgotten_in_silence
# old rows stay for ever
-AND greatest(event_at, notified_at) < now() - interval '7 days'
+AND greatest(event_at, notified_at) < now() - interval '700 days'
? tests/test_ledger.py::test_without_reminders_a_stuck_task_is_told_once_for_ever
# a task that is still stuck is forgotten
-      AND NOT EXISTS (SELECT FROM tasks WHERE {_ID} = old.task_id AND old.alert = 'stuck' AND {_IS_OPEN})
# reminders of 0 minutes are all the time
-"remind": settings.remind_minutes or None
+"remind": settings.remind_minutes
? tests/test_ledger.py::test_a_row_that_another_run_uses_does_not_hold_up_the_clean_up
# the clean-up waits for other runs
-FOR UPDATE OF old SKIP LOCKED
+FOR UPDATE OF old
? tests/test_ledger.py::test_a_refused_failed_alert_does_not_hold_back_the_stuck_one
# a post that fails is not rolled back
-                self._cursor.execute("ROLLBACK")
+                self._cursor.execute("COMMIT")
# an alert that fails holds back the others
-if not reported and not outcome.error:
+if not reported:
? tests/test_ledger.py::test_every_caller_goes_through_the_ledger
# what was committed is rolled back
-self._cursor.execute("COMMIT" if self.keeps else "ROLLBACK")
+self._cursor.execute("ROLLBACK")
? tests/test_ledger.py::test_tasks_that_cannot_be_read_after_another_alert_was_sent_are_said_not_to_be_read
# an error after an earlier post is one of the record
-self.keeps, self.has_posted = not self.dry_run, False
+self.keeps, self.has_posted = not self.dry_run, getattr(self, "has_posted", False)
? tests/test_ledger.py::test_a_stuck_task_is_told_once_whatever_timeouts_callers_have
# only the first alert of a destination is looked at
-            for alert in alerts:
+            for alert in alerts[:1]:
? tests/test_ledger.py::test_a_stuck_alert_deletes_nothing_that_the_failed_one_needs
# a stuck alert cleans up what the failed one needs
-other.name for other in ALERTS if other.kind == alert.kind
+other.name for other in ALERTS
? tests/test_ledger.py::test_a_standby_is_a_clear_error_and_never_silence
# a standby is written to
-    if state["standby"]:
+    if False:
? tests/test_ledger.py::test_a_task_stuck_again_is_told_again_recoveries_only_if_on
# recoveries cannot be switched off
-if self.settings.notify_on_recovery or not one.reported_as
+if True
? tests/test_ledger.py::test_a_recovery_waits_for_the_alert_that_was_refused
# the recovery of an alert that fails goes out before it
- if not outcome.error or alert.kind != kind]
+]
? tests/test_ledger.py::test_a_task_that_finished_is_named_once_as_recovered_and_is_not_counted
# a recovery counts as a stuck task
-outcome.total = 0 if ledger.alert.reported_as else news.total
+outcome.total = news.total
? tests/test_ledger.py::test_a_dry_run_shows_what_the_next_run_tells_without_a_trace
# a dry run leaves a trace
-ledger.keeps = self._deliver(ledger, destination, news, until) and not self.dry_run
+ledger.keeps = self._deliver(ledger, destination, news, until)
? tests/test_restraint.py::test_sixteen_tasks_that_died_in_turn_give_few_reminders_in_two_weeks
# reminders never thin out
-least(interval '1 day', recorded.notified_at - recorded.event_at)
+interval '0'
? tests/test_restraint.py::test_a_reminder_names_all_that_are_still_stuck_but_those_reported_just_now
# each task has a reminder of its own
-OR bool_or({_IS_DUE}) OVER ()
+OR false
# what was reported just now is in the reminder
-AND recorded.notified_at < now() - interval '5 minutes'
? tests/test_silence.py::test_a_failure_that_is_committed_late_is_reported_by_the_next_run
# only what is later than the last report is looked at
-greatest(complete - interval '{LATE_MINUTES} minutes', first_run
+greatest(complete, first_run
# what is committed an hour late is lost
-LATE_MINUTES = 120
+LATE_MINUTES = 45
# a version that was not committed counts as seen
-_SEEN = "pg_snapshot_xmin(pg_current_snapshot())
+_SEEN = "pg_snapshot_xmax(pg_current_snapshot())
? tests/test_silence.py::test_a_pace_of_a_clock_that_was_ahead_holds_back_nothing
# a pace of a wrong clock is kept
-CASE WHEN notified_at > now() + interval '{STORM_BURST * STORM_SECONDS} seconds' THEN now()
-        ELSE greatest(notified_at, now()) END
+greatest(notified_at, now())
# a pace of a wrong clock holds back calls
-    AND notified_at < now() + interval '{(STORM_BURST + 1) * STORM_SECONDS} seconds')
+)
? tests/test_silence.py::test_a_clock_that_was_ahead_once_hides_nothing
# what is complete lies ahead
-CASE WHEN event_at <= now() + interval '1 minute' THEN event_at
-            ELSE now() - interval '7 days' + interval '{LATE_MINUTES} minutes' END
+event_at
# a wrong clock is made up for with a day alone
-ELSE now() - interval '7 days' + interval '{LATE_MINUTES} minutes' END
+ELSE now() - interval '1 hour' END
? tests/test_silence.py::test_no_later_run_reports_what_the_first_one_left_out
# a later run reports what the first one left out
-complete - interval '{LATE_MINUTES} minutes', first_run - %(window)s,
+complete - interval '{LATE_MINUTES} minutes',
? tests/test_silence.py::test_what_is_committed_late_is_reported_once_in_any_kind_of_table
# a table without versions is taken for one with them
-if state["has_versions"]:
+if True:
? tests/test_silence.py::test_tasks_without_updated_at_are_reported_once_however_long_after_their_creation
# tasks without updated_at are left out
-OR %(nulls)s AND tasks.updated_at IS NULL
+OR false AND tasks.updated_at IS NULL
? tests/test_silence.py::test_a_users_channel_that_was_dead_for_days_gets_all_of_it_once
# a user's channel that an earlier run has not finished is forgotten
-UNION
-SELECT task_id FROM slack_notifications
-WHERE destination = '{USERS}' AND alert = ANY(%(alerts)s) AND task_id <> ''
? tests/test_silence.py::test_a_thousand_users_channels_cost_an_idle_run_four_round_trips
# each user's channel is begun
-found = {row["destination"] for row in rows}
+found = {row["destination"] for row in rows} | {to.fingerprint for to in settings.user_destinations()}
? tests/test_silence.py::test_keys_of_users_are_not_sent_to_the_database_where_only_one_has_news
# keys of users are sent
-hashes = [hash_of[channel.user] for channel in active.values()]
+hashes = [channel.user for channel in active.values()]
? tests/test_silence.py::test_work_of_any_kind_is_a_sign_of_a_worker
# a task that was queued again is no sign of a worker
-OR started_at IS NOT NULL)
+OR started_at IS NOT NULL AND word::text <> 'queued')
? tests/test_silence.py::test_one_task_dated_next_year_switches_nothing_off
# a sign of a worker may lie a year ahead
-WHERE tasks.status = status.word AND updated_at <= now() + interval '1 hour'
+WHERE tasks.status = status.word
? tests/test_silence.py::test_a_task_that_fails_at_once_on_a_quiet_night_asks_for_no_worker
# a task that fails at once waited for a worker
-tasks.started_at IS NULL AND failed.at > tasks.created_at + interval '1 minute' * %(queued)s AS is_unstarted
+tasks.started_at IS NULL AS is_unstarted
? tests/test_silence.py::test_an_alert_calls_people_where_it_cannot_be_noted
# an alert that cannot note its call calls nobody
 mention = mention if call["may_call"] else ""
+                break
+            else:
+                mention = ""
? tests/test_silence.py::test_an_alert_counts_what_has_recovered_and_names_what_is_more
# a claim has no figures of its own moment
-THEN (SELECT row_to_json(facts) FROM ({facts}) AS facts) END AS facts
+THEN NULL END AS facts
? tests/test_restraint.py::test_a_second_text_of_a_muted_failure_is_reported_unless_it_is_muted_too
# a second text of a failure of which the first was muted is not told
- OR recorded.cause = '')
+)
? tests/test_restraint.py::test_what_failed_while_it_was_muted_is_not_reported_after_the_mute
# what failed while it was muted is told after the mute
-least({_CHANGED_AT}, now()) <= until
+now() <= until
? tests/test_restraint.py::test_a_recovery_waits_for_a_younger_stuck_task_for_a_day_at_most
# a recovery waits for ever for a younger task that is stuck
-OR ended.event_at < now() - interval '1 day' THEN
+THEN
? tests/test_restraint.py::test_what_was_reported_before_it_was_muted_gets_its_recovery[queued]
# what was reported as stuck and fails muted gets no recovery
-CASE WHEN NOT failed.is_muted THEN {_STUCK_ROW.format(_ID)} END AS replaced
+{_STUCK_ROW.format(_ID)} AS replaced
? tests/test_restraint.py::test_what_was_reported_before_it_was_muted_gets_its_recovery[failed]
# what was reported as failed and fails again muted gets no recovery
-          AND (recorded.cause = '' OR NOT failed.is_muted))
+)
? tests/test_restraint.py::test_a_mute_that_ends_while_a_run_posts_leaves_nothing_out
# a mute that ends while a run posts leaves out what that has seen
-WHERE %(hours)s = 0
+WHERE false
? tests/test_restraint.py::test_a_mute_that_is_ended_at_once_leaves_nothing_out
# a mute that is ended at once has left out what nobody recorded
-coalesce(nullif(%(hours)s, 0), -200)
+%(hours)s
? tests/test_restraint.py::test_of_more_than_a_claim_takes_only_those_due_are_in_a_reminder
# a reminder of more than a claim takes repeats its first part
-AND count(*) OVER () < %(part)s AS is_news
+AS is_news
? tests/test_restraint.py::test_the_two_kinds_of_stuck_have_limits_of_their_own
# the two kinds of stuck have one limit
-WHEN 'queued' THEN %(queued)s ELSE
+WHEN 'queued' THEN %(in_progress)s ELSE
? tests/test_restraint.py::test_a_queue_that_moves_slowly_gives_no_recovery_before_its_end
# a task that got its turn has recovered
-WHEN recorded.event_at > coalesce(
+WHEN recorded.at <= now() OR recorded.event_at > coalesce(
? tests/test_restraint.py::test_what_heals_within_its_grace_is_not_told_and_the_rest_once
# failures do not wait for their grace
-return "", "Grace" if grace
+return "", "" if grace
? tests/test_restraint.py::test_a_task_that_fails_every_few_minutes_ends_its_grace
# a grace has no end
- and news.claimed_at - news.complete < longest
? tests/test_restraint.py::test_what_is_muted_is_counted_and_nothing_else
# muted failures make an alert critical
-count(nullif(cause, '')) AS claimed
+count(*) AS claimed
# muted failures count in the share
-AND NOT (tasks.status::text = 'failed' AND {_IS_MUTED})
# muted failures recover
- OR recorded.cause = '' THEN false
+ THEN false
# upper case is not muted
-strpos(lower({SHOWN_ERROR} COLLATE "default"), words) > 0
+strpos({SHOWN_ERROR}, words) > 0
? tests/test_restraint.py::test_a_night_without_a_database_is_said_once_an_hour_and_its_end_once
# each run says that it cannot read
-if timedelta(0) <= now - said < SAY_AGAIN and
+if False and
? tests/test_restraint.py::test_what_no_webhook_took_counts_as_not_said_and_what_one_took_as_said
# what was not delivered counts as said
-elif self._say(alerts, message) and not
+elif (self._say(alerts, message) or True) and not
# a message about the monitor that one dead webhook does not take counts as unsaid
-(or_mail or not outcome.error)
+not outcome.error
? tests/test_restraint.py::test_a_dry_run_says_it_each_time_and_sends_and_notes_nothing
# a dry run notes what it says
-elif self._say(alerts, message) and not self.dry_run:
+elif self._say(alerts, message):
? tests/test_restraint.py::test_a_note_that_is_not_ours_is_neither_read_nor_written[link]
# a link is followed
-os.O_RDWR | os.O_NOFOLLOW |
+os.O_RDWR |
? tests/test_restraint.py::test_a_note_that_is_not_ours_is_neither_read_nor_written[open to others]
# a note of somebody else's is believed
-if (found.st_uid, found.st_nlink, found.st_mode) != (os.geteuid(), 1, 0o100600):
+if False:
? tests/test_restraint.py::test_a_run_for_one_kind_does_not_end_what_one_for_the_other_says
# a run for one kind of alert ends what one for the other said
-Note(str([alert.kind for alert in alerts])
+Note("cannot read"
? tests/test_restraint.py::test_two_installations_share_no_note
# two installations share a note
-str(os.geteuid()), *sorted(webhooks)]
+str(os.geteuid())]
? tests/test_check.py::test_mistake_in_a_variable_is_named
# a key that stands where a path should is shown
- or re.match(r"[{\[]|\w+://", text)}
+}
? tests/test_check.py::test_webhooks_of_users_are_looked_at_where_no_kind_has_one_of_its_own
# the webhooks of users are not looked at
-    found += settings.user_destinations()
? tests/test_check.py::test_dead_webhooks_are_told_from_living_ones_by_name_and_nothing_is_posted
# a dead webhook is a good one
-if error.word != "no_text":
+if not error.word:
? tests/test_check.py::test_other_hosts_are_asked_for_nothing_that_is_secret
# another host is asked for the webhook
-f"{url.partition(':')[0]}://{server}/", until
+url, until
? tests/test_check.py::test_mail_server_is_named_without_the_rest_of_its_url
# the login of a server is shown
-[0].rpartition("@")[2]
+[0]
? tests/test_check.py::test_database_without_tls_across_a_network_is_a_doubt
# a database without TLS is a good one anywhere
-if info.ssl_in_use or info.host.startswith("/") or info.host in ("localhost", "127.0.0.1", "::1"):
+if info.host:
? tests/test_check.py::test_doubts_alone_are_exit_0
# a doubt is exit 1
-return int(BAD in marks)
+return int(marks != {GOOD})
? tests/test_check.py::test_a_run_that_is_at_work_is_said_and_not_waited_for
# --check waits for a run that is at work
-if "" not in state:
+if not state:
? tests/test_check.py::test_a_role_that_may_create_no_temporary_table_is_no_mistake_before_the_first_run
# --check needs a right that a run does not
-if state["may_create_temporary"] or not state["unborn"]:
+if state["may_create"] or not state["unborn"]:
? tests/test_blind.py::test_database_that_does_not_exist_is_not_tried_again
# a database that is not there is tried again and again
-if pause is None or is_late or re.search(_IS_FINAL_ERROR, reason):
+if pause is None or is_late:
? tests/test_blind.py::test_blind_alert_reaches_each_webhook_of_the_kinds_once
# a single user hears that the tasks cannot be read
-destinations.update(dict.fromkeys(self.destinations(kind)))
+destinations.update(dict.fromkeys([*self.destinations(kind), *self.settings.user_destinations()]))
? tests/test_blind.py::test_heartbeat_is_good_where_each_destination_was_reported_to
# a bad run has a good heartbeat
-url = re.sub("/*(?=[?#]|$)", "/fail", url, count=1)
+pass
# a bad heartbeat is part of the query
-re.sub("/*(?=[?#]|$)", "/fail", url, count=1)
+re.sub("/*$", "/fail", url, count=1)
? tests/test_secrets.py::test_database_error_that_quotes_the_password_is_masked
# the driver's words quote the password
-text = re.sub(rf"(?<!\w){re.escape(password)}(?!\w)", _MASK, text)
+pass
? tests/test_secrets.py::test_answer_spreads_no_secret[ok]
# urllib3 logs the webhook's path
-return threading.get_ident() not in _delivering or str(record.msg).startswith("Starting new HTTP")
+return True
? tests/test_secrets.py::test_text_of_an_unexpected_error_is_not_logged
# the text of an unexpected error is logged
-traceback.format_tb(error.__traceback__)
+traceback.format_exception(type(error), error, error.__traceback__)
? tests/test_crash.py::test_a_vanished_host_holds_its_claim_no_longer_than_stated
# a vanished host holds its claim for ever
-"hold_milliseconds": CLAIM_HOLD_SECONDS * 1000
+"hold_milliseconds": 0
? tests/test_crash.py::test_a_claim_outlasts_a_slow_answer_of_slack
# the server takes the claim away while Slack is slow
-CLAIM_HOLD_SECONDS = DELIVERY_SECONDS + LEAST_SHARE_SECONDS
+CLAIM_HOLD_SECONDS = 2
? tests/test_crash.py::test_a_failed_commit_is_an_error_that_names_the_possible_repeat
# a report that was not recorded is one that was not read
-            cannot_read=not self.has_posted,
# a report that was not recorded is not said to repeat
-        ledger.has_posted = True
? tests/test_delivery.py::test_an_answer_that_quotes_an_address_of_plain_words_names_none_of_them
# an answer that quotes the webhook is logged
-_plain_words(body, webhook)
+_plain_words(body, '')
? tests/test_delivery.py::test_event_outlives_every_fault_within_5_seconds[reset]
# a lost answer is tried again
-DeliveryError(words, may_have_arrived=True)
+DeliveryError(words, may_have_arrived=True, retry_after=NEVER if "no answer" in words else 0)
? tests/test_delivery.py::test_message_whose_answer_is_late_is_not_sent_again
# a message whose answer is late is sent again
-DeliveryError(words, may_have_arrived=True)
+DeliveryError(words, may_have_arrived=True, retry_after=0 if "no answer" in words else NEVER)
? tests/test_delivery.py::test_event_outlives_every_fault_within_5_seconds[no such port]
# no connection is not tried again
-return DeliveryError(f"no connection ({words or kind})", remedy, retry_after=0 if heals else NEVER)
+return DeliveryError(f"no connection ({words or kind})", remedy)
? tests/test_delivery.py::test_slack_must_say_ok_and_others_2xx
# a redirect counts as accepted
-(200 <= status < 300 and not _is_slack(webhook))
+(200 <= status < 400 and not _is_slack(webhook))
# Slack need not say ok
-if (status, word) == (200, "ok") or
+if status == 200 or
? tests/test_delivery.py::test_refusal_says_what_it_was_and_whether_it_may_heal
# 5xx is not tried again
-return DeliveryError(reason, retry_after=0, layout_refused=status == 500 and not word)
+return DeliveryError(reason, layout_refused=status == 500 and not word)
? tests/test_delivery.py::test_event_outlives_every_fault_within_5_seconds[429, an hour]
# Retry-After is not waited for
-wait = max(next(pauses, NEVER), error.retry_after)
+wait = next(pauses, NEVER)
? tests/test_delivery.py::test_alert_outlives_every_fault_within_10_seconds_and_arrives_with_the_next_good_run[invalid_blocks once]
# a refused layout is not sent as text
-(error.layout_refused and message.blocks)
+(error.layout_refused and not message.blocks)
? tests/test_delivery.py::test_retry_after_is_read_in_seconds
# a Retry-After of any length is read
-([0-9]{1,9})
+([0-9]+)
? tests/test_delivery.py::test_message_is_not_sent_again_without_time_for_its_answer
# a post is tried again without time for its answer
-if until.seconds_left < wait + least_seconds:
+if until.seconds_left < wait:
? tests/test_delivery.py::test_alert_outlives_every_fault_within_10_seconds_and_arrives_with_the_next_good_run[a bare 500, once]
# 500 without a word is an outage only
-layout_refused=status == 500 and not word
+layout_refused=False
? tests/test_delivery.py::test_text_that_another_host_may_find_too_long_is_sent_again_in_under_2000_characters
# another host gets the whole text again
-text = shorten(message.text, OTHERS_TEXT_CHARACTERS - 3) if is_too_long else message.text
+text = message.text
? tests/test_email.py::test_email_that_cannot_go_out_is_an_error_and_the_next_good_run_delivers[plain text]
# the mail server's TLS is not asked for
-            server.starttls(context=tls)
+            pass
? tests/test_email.py::test_alert_that_slack_refuses_goes_out_by_email_and_counts
# an alert by e-mail does not count
             logger.warning("Alert sent by e-mail instead")
+            raise DeliveryError("")
? tests/test_email.py::test_two_dead_webhooks_need_one_email_and_the_next_failure_another
# two webhooks that fail over a second apart make two mails
-content = message.text.rpartition("\n")[0]
+content = message.text
? tests/test_email.py::test_mail_server_that_hangs_is_tried_once_a_run
# a mail server that hangs is tried for each destination
-            if self._mail_error:
-                raise DeliveryError(self._mail_error)
? tests/test_email.py::test_mail_server_is_tried_again_where_it_only_had_too_little_time
# a mail server that had too little time is given up
-if is_enough or not error.late:
+if True:
? tests/test_email.py::test_mail_server_that_used_all_its_time_is_not_tried_again
# a mail server that had its time is not given up
-is_enough = until.seconds_left > EMAIL_SECONDS - LEEWAY_SECONDS
+is_enough = until.seconds_left > EMAIL_SECONDS
? tests/test_email.py::test_no_email_for_events_and_own_messages
# an event goes by e-mail
-has_backup = or_mail and self._email is not None
+has_backup = self._email is not None
? tests/test_email.py::test_slack_that_hangs_leaves_the_email_its_time
# Slack takes the time of the e-mail
-deliver(to.webhook, message, until.before(for_mail),
+deliver(to.webhook, message, until,
? tests/test_odd_tables.py::test_statuses_that_are_not_ours_are_named
# a status in capitals is passed over
-for word in found if word not in known}
+for word in found if word.lower() not in known}
# only the first status is looked at
-SELECT status FROM tasks WHERE status > word ORDER
+SELECT status FROM tasks WHERE status < word ORDER
? tests/test_odd_tables.py::test_a_date_beyond_all_calendars_costs_no_alert
# a date beyond all calendars breaks a run
-moments = [row["at"] for row in statuses if row["at"]]
+moments = [row["at"] for row in statuses]
? tests/test_odd_tables.py::test_a_worker_that_does_not_write_utc_is_said
# the quiet hours of a queue are a wrong clock
-row["busy_hours"] >= 22
+row["busy_hours"]
? tests/test_odd_tables.py::test_a_workers_call_looks_for_nothing_odd
# a worker's call looks for what is odd
-list(self._oddities(found)) if self.thorough else []
+list(self._oddities(found))
? tests/test_odd_tables.py::test_a_program_gets_two_thousand_tasks_and_is_warned_of_more
# a program gets a task too many
-return tasks[:READ_TASKS]
+return tasks
? tests/test_start.py::test_wrong_webhook_argument_is_exit_2_and_reaches_no_channel_of_the_settings[empty]
# an empty argument leads to the channels of the settings
-if arguments.webhook_url is not None and not arguments.webhook_url.strip():
+if arguments.webhook_url and not arguments.webhook_url.strip():
? tests/test_start.py::test_webhook_given_by_mistake_is_not_repeated
# a webhook given by mistake is repeated
-super().error(redact(re.sub(r"\S*/\S*", _MASK, message)))
+super().error(redact(message))
? tests/test_start.py::test_wrong_setting_is_told_where_the_alerts_of_this_run_go
# a wrong setting is exit 1
         notifier.say_unusable(arguments.alerts, "; ".join(errors))
-        return 2
+        return 1
? tests/test_start.py::test_a_sample_or_a_dry_run_with_a_wrong_setting_sends_nothing
# a sample is sent whatever is wrong
-return 2 if errors else _run_once
+return _run_once
? tests/test_start.py::test_env_file_keeps_the_placeholders_of_a_template
# a variable within a value of the .env file is filled in
-dotenv.load_dotenv(path, interpolate=False, encoding="utf-8-sig")
+dotenv.load_dotenv(path, encoding="utf-8-sig")
? tests/test_start.py::test_env_file_in_this_folder_goes_before_the_one_beside_the_program
# the .env file beside the program goes first
-(".env", os.path.join(os.path.dirname(globals().get("__file__", "")), ".env"))
+(os.path.join(os.path.dirname(globals().get("__file__", "")), ".env"), ".env")
? tests/test_start.py::test_files_that_others_can_read_or_write_are_a_warning_and_read_all_the_same
# a file that the group can read is no matter
-elif file.st_mode & 0o066:
+elif file.st_mode & 0o006:
? tests/test_broken_hosts.py::test_an_exception_of_a_signal_handler_reaches_the_program_and_ends_the_post
# what a signal handler raises stays in the call
- or _comes_from_a_signal_handler(error):
+:
? tests/test_broken_hosts.py::test_a_call_of_a_program_loads_nothing_so_that_it_may_fork_at_any_time
# what a program's call needs is loaded by the first
-        if self.enabled and __name__ != "__main__":
+        if False:
? tests/test_broken_hosts.py::test_a_workers_call_on_a_broken_host_raises_nothing_and_does_what_it_can[no thread to be had]
# without a thread there is no call
-            run()
+            raise RuntimeError
? tests/test_broken_hosts.py::test_a_run_on_a_broken_host_says_what_is_wrong_and_does_what_it_can[SSLKEYLOGFILE is a folder]
# a key log breaks the e-mail
-tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
+tls = ssl.create_default_context()
'''  # noqa: E501
BREAKS = [
    Break(what, _side("-", change), _side("+", change), test)
    for test, breaks in re.findall(r"(?m)^\? (.*)\n((?:[-+# ].*\n)+)", TEXT)
    for what, change in re.findall(r"(?m)^# (.*)\n((?:[-+ ].*\n)+)", breaks)
]
