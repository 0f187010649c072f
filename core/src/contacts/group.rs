//! Writers of one database at the same time share a transaction, and with it an `fsync`.
//!
//! Nobody is answered before the transaction that holds his contact is committed. One that cannot be committed as a whole
//! is tried again contact by contact, so that nobody pays for another's.

use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use super::database::Database;
use super::sql::merge_all;
use super::{ContactsError, Registered};
use crate::contact::Contact;

/// Contacts of one transaction, at most: the others' wait stays short.
const TOGETHER: usize = 64;

type Merged = Result<(Registered, Contact), ContactsError>;

/// Those who wait for their turn to write.
#[derive(Debug, Default)]
pub(super) struct Group {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    contacts: Vec<(Contact, oneshot::Sender<Merged>)>,
    /// Whether somebody writes already, and will look again when he is done.
    writing: bool,
}

impl Group {
    pub(super) async fn merge(&self, database: &Database, contact: Contact) -> Merged {
        let (answer, answered) = oneshot::channel();
        let begin = {
            let mut waiting = self.lock();
            waiting.contacts.push((contact, answer));
            !std::mem::replace(&mut waiting.writing, true)
        };
        if begin {
            // A task of its own: whoever asked may go away, and the others still wait.
            tokio::spawn(write(database.clone()));
        }
        answered.await.unwrap_or_else(|_| {
            let why = "the write was given up".to_owned();
            Err(ContactsError::Failed { place: database.place(), why })
        })
    }

    /// The next to be written; none ends the writing.
    fn next(&self) -> Vec<(Contact, oneshot::Sender<Merged>)> {
        let mut waiting = self.lock();
        let together = waiting.contacts.len().min(TOGETHER);
        waiting.writing = together > 0;
        waiting.contacts.drain(..together).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whatever ends the writing, a panic too, lets the next one begin: those who wait already wait for nobody else.
struct Turn(Database);

impl Drop for Turn {
    fn drop(&mut self) {
        let Database::Sqlite(sqlite) = &self.0 else { return };
        if std::thread::panicking() {
            let mut waiting = sqlite.group.lock();
            waiting.writing = !waiting.contacts.is_empty();
            if waiting.writing {
                tokio::spawn(write(self.0.clone()));
            }
        }
    }
}

async fn write(database: Database) {
    let Database::Sqlite(sqlite) = &database else { return };
    let _turn = Turn(database.clone());
    loop {
        let next = sqlite.group.next();
        if next.is_empty() {
            return;
        }
        let (contacts, answers): (Vec<Contact>, Vec<_>) = next.into_iter().unzip();
        let merged = together(&database, contacts).await;
        for (merged, answer) in merged.into_iter().zip(answers) {
            // Who has gone away needs no answer.
            drop(answer.send(merged));
        }
    }
}

async fn together(database: &Database, contacts: Vec<Contact>) -> Vec<Merged> {
    let count = contacts.len();
    match database.complete(Box::pin(merge_all(database, contacts.clone()))).await {
        Ok(merged) => merged.into_iter().map(Ok).collect(),
        // It may be about one of them alone.
        Err(ContactsError::Corrupt { .. } | ContactsError::Failed { .. }) if count > 1 => {
            let mut merged = Vec::with_capacity(count);
            for contact in contacts {
                let one = database.complete(Box::pin(merge_all(database, vec![contact]))).await;
                merged.push(one.map(|mut one| one.remove(0)));
            }
            merged
        }
        Err(error) => vec![Err(error); count],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use futures_util::future::join_all;

    use super::*;
    use crate::contacts::SqlContacts;
    use crate::contacts::conformance::full;
    use crate::contacts::sqlite::Sqlite;

    #[tokio::test]
    async fn writers_at_the_same_time_each_get_their_own_answer_and_nobody_s_contact_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let contacts = SqlContacts::sqlite(&folder.path().join("contacts.db")).await.unwrap();
        let sent: Vec<Contact> = (0..200)
            .map(|number| {
                let mut contact = full(&format!("meeting-{}", number % 50));
                contact.media.truncate(1);
                contact.media[0].file_id = format!("file-{}", number / 50);
                contact
            })
            .collect();
        let answers = join_all(sent.iter().map(|contact| contacts.merge(contact))).await;

        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let created = answers.iter().filter(|(registered, _)| *registered == Registered::Created).count();
        assert_eq!(created, 50, "of those who write the same contact one creates it");
        for (contact, (_, whole)) in sent.iter().zip(&answers) {
            assert_eq!(whole.source_id, contact.source_id);
            assert!(whole.media.iter().any(|media| media.file_id == contact.media[0].file_id));
        }
        let stored = contacts.get("zoom", "meeting-7").await.unwrap().unwrap();
        assert_eq!(stored.media.len(), 4, "{:?}", stored.media);
    }

    /// One that panics takes those along whom it writes for, and nobody who waits behind them.
    #[tokio::test]
    async fn who_waits_behind_a_panic_is_written_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&folder.path().join("contacts.db")).await.unwrap();
        let database = Database::Sqlite(sqlite.clone());
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = sqlite.group.lock();
            waiting.contacts.push((full("behind"), answer));
            waiting.writing = true;
        }
        let turn = Turn(database.clone());
        let panicked = tokio::spawn(async move {
            let _turn = turn;
            panic!("in the middle of a write");
        });
        assert!(panicked.await.is_err());
        let (registered, _) = answered.await.unwrap().unwrap();
        assert_eq!(registered, Registered::Created);
    }

    #[tokio::test]
    async fn who_goes_away_takes_nothing_from_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let contacts = SqlContacts::sqlite(&folder.path().join("contacts.db")).await.unwrap();
        let (first, second) = (full("first"), full("second"));
        let mut leaving = Box::pin(contacts.merge(&first));
        // Asked, and given up before the answer.
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(
                leaving.as_mut().poll(context).is_pending()
            ))
            .await
        );
        drop(leaving);
        contacts.merge(&second).await.unwrap();
        assert!(contacts.get("zoom", "second").await.unwrap().is_some());
    }
}
