//! The queue's promise as tests: one suite for every backend, one function a claim, named by its invariant.
//!
//! A backend gives each function a [`Store`] of its own with nothing in it. Time is a manual clock, so that a lease
//! ends because a test says so. `suite!` makes the tests; [`model`] compares
//! random histories with a model in memory.

mod bench;
mod books;
mod control;
#[cfg(test)]
pub(crate) mod crash;
mod durability;
mod duty;
#[cfg(test)]
pub(crate) mod history;
mod leases;
pub mod model;
mod order;
#[cfg(test)]
pub(crate) mod pool;
mod reference;
mod views;

use futures_util::future::BoxFuture;

pub use self::bench::Bench;
use super::QueueSettings;

/// An empty store of the backend under test.
pub struct Store {
    /// Where it is; opening it again finds what was left there.
    pub settings: QueueSettings,
    /// Writes a payload over that of the job with this UUID, as a newer program or a damaged disk would.
    pub spoil: Box<dyn Fn(String, String) -> BoxFuture<'static, ()> + Send + Sync>,
}

macro_rules! claims {
    ($($group:ident: $($name:ident),+;)+) => {
        $(pub use self::$group::{$($name),+};)+

        /// Makes a test of every claim; the argument is an expression of an async fn that returns an empty `Store` and what keeps it there.
        #[cfg(test)]
        macro_rules! suite {
            ($fresh:expr) => {
                $($(
                    #[tokio::test]
                    async fn $name() {
                        let (store, _keep) = $fresh().await;
                        $crate::queue::conformance::$name($crate::queue::conformance::Bench::new(store).await).await;
                    }
                )+)+
            };
        }
        #[cfg(test)]
        pub(crate) use suite;
    };
}

claims! {
    durability:
        q1_what_was_acknowledged_is_there_after_reopening,
        q1_leases_outlive_their_process_and_then_end,
        q2_a_meeting_has_one_unfinished_job,
        q2_a_meeting_that_stands_twice_in_a_batch_counts_once,
        q2_a_finished_meeting_can_be_enqueued_again,
        q2_four_producers_of_the_same_meetings_make_one_job_of_each,
        q2_a_queue_is_of_one_account,
        q9_a_finished_job_leaves_nothing_behind,
        q9_the_producer_waits_at_the_high_water_mark,
        q10_an_unreadable_payload_is_dead_and_the_rest_goes_on;
    leases:
        q3_whoever_lost_the_lease_can_do_nothing,
        q3_a_token_of_a_former_job_fits_no_later_one,
        q3_two_claimers_never_get_the_same_job,
        q4_an_abandoned_job_is_claimable_when_its_lease_ends,
        q4_a_job_that_is_renewed_is_never_handed_out_twice,
        q5_a_job_that_kills_its_worker_is_dead_after_its_last_start,
        q5_jobs_that_are_abandoned_again_rest_for_less_than_a_second_each_for_another,
        q6_snoozing_and_releasing_cost_no_start,
        q6_a_retry_costs_a_start_and_the_last_one_the_job;
    books:
        q7_a_batch_is_booked_with_its_tally,
        q7_every_outcome_moves_the_books_of_every_run_once,
        q7_what_was_moved_is_booked_with_every_fate,
        q7_the_last_meeting_completes_the_run,
        q7_a_run_without_work_completes_when_it_is_enumerated,
        q7_an_end_stays_an_end_and_counts_still_move,
        q7_a_producer_that_fell_silent_is_shown_as_stopped,
        q7_a_refused_batch_changes_nothing;
    order:
        q8_thousands_that_are_due_at_once_are_worked_off,
        q8_class_before_deadline_and_deadline_before_run,
        q8_a_snoozed_job_runs_when_it_is_due,
        q8_new_work_wakes_who_waits,
        q8_a_listing_that_shows_the_archive_complete_makes_the_job_due,
        q8_work_left_names_what_a_run_waits_for;
    control:
        q12_a_paused_run_is_held_and_others_go_on,
        q12_a_paused_queue_hands_out_nothing_even_after_reopening,
        q12_cancelling_takes_jobs_away_from_their_holders,
        q12_cancelling_leaves_the_jobs_that_others_want,
        q12_retrying_takes_up_what_was_given_up,
        q12_many_are_given_up_and_retried,
        q12_retrying_joins_a_job_that_is_unfinished_elsewhere;
    duty:
        one_process_is_on_duty_until_it_leaves_or_falls_silent,
        who_lost_the_duty_writes_nothing,
        what_will_be_lost_is_counted_once;
    views:
        runs_are_read_page_by_page,
        who_holds_what_is_told;
}
