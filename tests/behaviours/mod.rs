//! The behaviours and the lists they are run from.

mod accepting;
mod closing;
mod flowing;
mod invoicing;
mod noting;
mod pausing;
mod paying;
mod racing;
mod retrying;
mod sharing;
mod storing;
mod surviving;
mod telling;
mod transporting;
mod versions;
pub mod world;

use crate::Case;

/// Names a list of cases.
macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), |combination| Box::pin($module::$name(combination)))),*]
    };
}

/// On every database with every broker.
pub const EVERYWHERE: &[(&str, Case)] = cases![
    accepting::one_of_many_concurrent_accepts_is_new,
    accepting::news_never_turns_the_clock_back,
    accepting::a_newer_revision_takes_the_place_of_a_parked_one,
    flowing::order_holds_per_key_and_keys_run_side_by_side,
    flowing::two_thousand_once_each,
    flowing::what_follows_is_derived_once,
    flowing::a_dead_target_stops_only_itself,
    flowing::a_message_many_times_over_is_one_call,
    retrying::retries_wait_as_long_as_asked,
    retrying::parked_waits_for_a_person_and_its_successors_wait_for_it,
    retrying::a_final_rejection_lets_successors_go_on,
    retrying::doubt_lasts_until_a_success,
    retrying::a_panic_parks_and_a_late_answer_is_unknown,
    retrying::a_contradicting_outcome_parks,
    pausing::a_paused_connection_gets_no_calls_and_loses_nothing,
    pausing::what_waits_for_its_call_is_given_back,
    surviving::a_crash_in_the_call_is_asked_about,
    surviving::a_graceful_stop_loses_nothing,
    surviving::the_sweeper_rebuilds_a_wiped_broker,
    surviving::what_was_accepted_while_nothing_ran_is_delivered,
    transporting::unroutable_is_an_error_and_not_a_loss,
];

/// With RabbitMQ only.
pub const RABBIT: &[(&str, Case)] = cases![
    transporting::deleted_queues_come_back_with_their_consumers,
    transporting::two_processes_share_the_work,
    transporting::a_broker_restart_in_mid_run_loses_nothing,
    sharing::who_joins_late_is_given_its_share,
];

/// What only a database can show: limits of columns, imports and names, closed connections, several processes, archives.
pub const DATABASE: &[&str] = &[
    "a_pause_has_one_beginning_and_one_end",
    "what_is_archived_is_still_known",
    "retention_keeps_the_tables_small",
    "cursor_and_events_are_one",
    "numbers_are_found_from_both_ends",
    "code_tables_merge_replace_and_count",
    "texts_are_kept_and_compared_exactly",
    "what_does_not_fit_is_refused_everywhere",
    "several_processes_open_at_once",
    "a_step_is_taken_by_one",
    "a_process_has_a_name_that_fits",
    "processes_that_accept_side_by_side_agree_on_the_order",
    "a_successor_waits_for_the_commit_of_who_closes_its_predecessor",
];

/// Once per database.
pub const STORE: &[(&str, Case)] = cases![
    storing::one_worker_begins_and_a_late_finish_is_fenced,
    storing::cursor_and_events_are_one,
    storing::the_newest_state_of_a_document_is_found,
    storing::texts_are_kept_and_compared_exactly,
    storing::what_does_not_fit_is_refused_everywhere,
    storing::accounts_keep_the_newest_revision,
    closing::books_are_closed_by_one_at_a_time,
    closing::a_closed_month_stays_as_it_was,
    noting::a_history_is_added_to_by_one_at_a_time,
    noting::histories_are_found_by_what_is_wanted,
    storing::numbers_are_found_from_both_ends,
    storing::code_tables_merge_replace_and_count,
    versions::code_tables_are_known_as_they_were,
    versions::a_version_of_a_mapping_is_kept_once,
    storing::a_person_binds_a_parked_delivery,
    storing::replay_does_not_bring_back_old_news,
    storing::a_replay_takes_what_its_dry_run_has_counted,
    storing::a_pause_has_one_beginning_and_one_end,
    pausing::a_pause_fills_no_queue_and_no_bound,
    pausing::a_retry_window_does_not_run_during_a_pause,
    storing::what_is_archived_is_still_known,
    storing::retention_keeps_the_tables_small,
    storing::several_processes_open_at_once,
    storing::concurrent_lanes_lose_no_successor,
    racing::processes_that_accept_side_by_side_agree_on_the_order,
    racing::a_successor_waits_for_the_commit_of_who_closes_its_predecessor,
    storing::callers_that_leave_take_nothing_with_them,
    storing::the_overview_counts_what_is_not_done,
    storing::sweep_finds_what_stalled_and_nothing_else,
    sharing::processes_are_noted_until_they_leave,
    sharing::what_waits_in_line_has_not_stalled,
    sharing::a_process_has_a_name_that_fits,
    telling::a_step_is_taken_by_one,
    telling::what_people_are_told_of_is_counted,
    invoicing::the_newest_paper_counts,
    invoicing::papers_are_revised_by_one_at_a_time,
    paying::the_newest_document_of_a_payment_counts,
    paying::payments_are_decided_by_one_at_a_time,
    paying::accounts_are_read_by_the_page,
];
