//! The contact database's promise as tests: one suite for every member, one function a claim.
//!
//! A member gives each function a database of its own with nothing in it; [`contacts_claims`](crate::contacts_claims)
//! makes the tests. [`server::PostgresServer`] is a real one for whoever needs it.

mod bench;
mod finding;
mod merging;
mod paging;
mod seeking;
pub mod server;

pub use bench::full;
pub use finding::{
    a_check_says_what_it_found, a_contact_is_found_as_it_was_registered_whatever_its_id_holds,
    any_number_of_ids_can_be_looked_up, contacts_of_other_sources_are_not_ours,
    what_is_no_contact_is_refused,
};
pub use merging::{
    media_merge_by_file, members_merge_as_contacts_do, registering_again_changes_nothing,
    registering_from_many_sides_loses_no_file,
};
pub use paging::{
    a_period_holds_its_beginning_and_not_its_end,
    pages_neither_lose_nor_repeat_contacts_that_began_at_the_same_instant,
};
pub use seeking::{
    a_contact_of_another_source_is_not_what_is_sought, a_meeting_is_sought_by_its_id_whatever_that_holds,
    any_number_of_meetings_can_be_sought, what_was_registered_again_is_found_once,
};

/// Makes a test of every claim; the argument is an async fn that returns empty `Contacts` and what keeps them there.
/// Followed by `read_only`, of those that hold for a member which can only be read.
#[macro_export]
macro_rules! contacts_claims {
    ($fresh:expr) => {
        $crate::contacts_claims! {
            $fresh;
            a_check_says_what_it_found,
            a_contact_is_found_as_it_was_registered_whatever_its_id_holds,
            a_contact_of_another_source_is_not_what_is_sought,
            a_meeting_is_sought_by_its_id_whatever_that_holds,
            a_period_holds_its_beginning_and_not_its_end,
            any_number_of_ids_can_be_looked_up,
            any_number_of_meetings_can_be_sought,
            contacts_of_other_sources_are_not_ours,
            media_merge_by_file,
            members_merge_as_contacts_do,
            pages_neither_lose_nor_repeat_contacts_that_began_at_the_same_instant,
            registering_again_changes_nothing,
            registering_from_many_sides_loses_no_file,
            what_is_no_contact_is_refused,
            what_was_registered_again_is_found_once,
        }
    };
    // A member that can only be read, and whose platform takes in what it is handed.
    ($fresh:expr, read_only) => {
        $crate::contacts_claims! {
            $fresh;
            a_check_says_what_it_found,
            a_contact_of_another_source_is_not_what_is_sought,
            a_meeting_is_sought_by_its_id_whatever_that_holds,
            any_number_of_meetings_can_be_sought,
            what_was_registered_again_is_found_once,
        }
    };
    ($fresh:expr; $($claim:ident,)+) => {
        $(
            #[tokio::test]
            async fn $claim() {
                let (contacts, _keep) = $fresh().await;
                $crate::contacts::conformance::$claim(&contacts).await;
            }
        )+
    };
}
