//! What can go wrong with the contact database, as facts. What becomes of each is decided elsewhere.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::period::stamp;
use crate::reason::{Cause, Reason};

/// `request` is a method and an address, or an address, without secrets; `place` is the database's file or address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContactsError {
    #[error(
        "the contact database or its service cannot be reached: {request}: {why}. Is contacts.url right, and is it up?"
    )]
    Unreachable { request: String, why: String },
    #[error(
        "the data access service gives no answer in time: {request} took longer than {after:?}. Is it overloaded? \
         contacts.timeout says how long to wait"
    )]
    Late { request: String, after: Duration },
    #[error(
        "the data access service refuses the token: {request} was answered {status}. Check contacts.token \
         (or contacts.token_file); `recapture doctor` tests it"
    )]
    Unauthorized { request: String, status: u16 },
    #[error(
        "the data access service refuses the log-in: {request} was answered {status}. Check contacts.verint.user and \
         contacts.verint.password (or contacts.verint.password_file); `recapture doctor` tests it"
    )]
    LogInRefused { request: String, status: u16 },
    /// It will not be answered otherwise next time.
    #[error("the data access service refused: {request} was answered {status}{}", after_colon(detail))]
    Refused { request: String, status: u16, detail: String },
    /// 5xx, and what else means "not now": 408, 425, 429.
    #[error(
        "the data access service failed: {request} was answered {status}{}{}",
        after_colon(detail),
        retry_after.map(|at| format!(" (it asks to wait until {})", stamp(at))).unwrap_or_default()
    )]
    Server { request: String, status: u16, detail: String, retry_after: Option<DateTime<Utc>> },
    #[error(
        "the data access service's answer cannot be used: {request}: {what}. Does it keep to the contract?"
    )]
    Unreadable { request: String, what: String },
    #[error("the Verint form of the data access service is asked by period alone; it offers no {what}")]
    NotOffered { what: &'static str },
    /// The caller's contact cannot be written anywhere.
    #[error("this is no contact: {why}")]
    NotAContact { why: String },
    #[error(
        "this is no cursor of a page: take next_cursor from the page before, and leave it out for the first"
    )]
    NotACursor,
    #[error(
        "the contact database {place} refuses this user: {why}. Check contacts.url and contacts.password \
         (or contacts.password_file), and what the user is granted"
    )]
    Denied { place: String, why: String },
    #[error("the contact database {place} is busy: another process has been writing for {seconds} s")]
    Busy { place: String, seconds: u64 },
    #[error("the contact database {place} has no room; free space there")]
    Full { place: String },
    #[error(
        "the contact database {place} cannot be opened or written: {why}. Check that folder and file belong to this user"
    )]
    Unwritable { place: String, why: String },
    #[error("the contact database {place} is damaged or no contact database: {why}. Restore it from a copy")]
    Corrupt { place: String, why: String },
    #[error("the contact database {place} failed: {why}")]
    Failed { place: String, why: String },
}

fn after_colon(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

impl ContactsError {
    /// Whether a smaller question could be answered where this one was not: it took too long, here or there.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Self::Late { .. } => true,
            Self::Server { status, .. } => matches!(status, 408 | 504),
            _ => false,
        }
    }

    /// The reason and the evidence, for the books.
    pub fn cause(&self) -> Cause {
        let (reason, status) = match self {
            Self::Unauthorized { status, .. }
            | Self::LogInRefused { status, .. }
            | Self::Refused { status, .. } => (Reason::ContactsRefused, Some(*status)),
            Self::NotAContact { .. } | Self::NotACursor | Self::NotOffered { .. } | Self::Denied { .. } => {
                (Reason::ContactsRefused, None)
            }
            Self::Server { status, .. } => (Reason::ContactsUnreachable, Some(*status)),
            Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::Unreadable { .. }
            | Self::Busy { .. }
            | Self::Full { .. }
            | Self::Unwritable { .. }
            | Self::Corrupt { .. }
            | Self::Failed { .. } => (Reason::ContactsUnreachable, None),
        };
        Cause { status, ..Cause::new(reason, self.to_string()) }
    }
}
