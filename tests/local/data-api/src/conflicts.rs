//! Conflicts between writers of a table, which Redshift detects per table and PostgreSQL per row.
//!
//! A write of a table is refused if another running transaction has written it, or if another transaction has written it and
//! committed after this one began.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A database and the id of a table in it.
type Table = (String, u32);

#[derive(Default)]
pub struct Conflicts {
    state: Mutex<State>,
    /// Held while a transaction commits, because PostgreSQL releases its locks before the commit is registered here.
    committing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Incremented by every begin and every commit.
    sequence: u64,
    writer: HashMap<Table, u64>,
    /// The transaction that last committed a write of the table, and the sequence number of its commit.
    committed: HashMap<Table, (u64, u64)>,
}

/// A running transaction. Dropping it without [`Transaction::commit`] rolls it back.
pub struct Transaction<'a> {
    conflicts: &'a Conflicts,
    database: String,
    pub id: u64,
}

impl Conflicts {
    pub fn begin(&self, database: &str) -> Transaction<'_> {
        let mut state = self.lock();
        state.sequence += 1;
        Transaction { conflicts: self, database: database.to_owned(), id: state.sequence }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transaction<'_> {
    /// Registers a write of the table. The error is the conflicting transaction.
    pub fn write(&self, table_id: u32) -> Result<(), u64> {
        let table = (self.database.clone(), table_id);
        let mut state = self.conflicts.lock();
        match state.writer.get(&table) {
            Some(other) if *other != self.id => return Err(*other),
            _ => {}
        }
        match state.committed.get(&table) {
            Some((other, when)) if *when > self.id => return Err(*other),
            _ => {}
        }
        state.writer.insert(table, self.id);
        Ok(())
    }

    /// Moves the snapshot from the begin of the transaction to now. Nothing may have been read yet.
    pub async fn see_what_is_committed(&mut self) {
        let _committing = self.conflicts.committing.lock().await;
        let mut state = self.conflicts.lock();
        state.sequence += 1;
        let (before, now) = (self.id, state.sequence);
        state.writer.values_mut().filter(|writer| **writer == before).for_each(|writer| *writer = now);
        self.id = now;
    }

    /// Runs COMMIT, and registers the writes of the transaction if it succeeds.
    pub async fn commit<E>(self, run: impl Future<Output = Result<(), E>>) -> Result<(), E> {
        let _committing = self.conflicts.committing.lock().await;
        run.await?;
        let mut state = self.conflicts.lock();
        state.sequence += 1;
        let now = state.sequence;
        let written: Vec<Table> =
            state.writer.iter().filter(|(_, writer)| **writer == self.id).map(|(table, _)| table.clone()).collect();
        for table in written {
            state.committed.insert(table, (self.id, now));
        }
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.conflicts.lock().writer.retain(|_, writer| *writer != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_concurrent_writer_is_refused() {
        let conflicts = Conflicts::default();
        let (first, second) = (conflicts.begin("d"), conflicts.begin("d"));
        assert_eq!(first.write(1), Ok(()));
        assert_eq!(first.write(1), Ok(()));
        assert_eq!(second.write(1), Err(first.id));
        assert_eq!(second.write(2), Ok(()));
    }

    #[tokio::test]
    async fn a_writer_that_has_committed_meanwhile_conflicts_too() {
        let conflicts = Conflicts::default();
        let (first, second) = (conflicts.begin("d"), conflicts.begin("d"));
        first.write(1).expect("free");
        first.commit(async { Ok::<_, ()>(()) }).await.expect("committed");
        assert!(second.write(1).is_err());
        assert_eq!(conflicts.begin("d").write(1), Ok(()));
        assert_eq!(conflicts.begin("other").write(1), Ok(()));
    }

    #[tokio::test]
    async fn a_lock_that_a_commit_releases_sees_that_commit() {
        let conflicts = Conflicts::default();
        let (first, mut second) = (conflicts.begin("d"), conflicts.begin("d"));
        first.write(1).expect("free");
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let commit = first.commit(async { released.await.map_err(drop) });
        let lock = async {
            second.see_what_is_committed().await;
            second.write(1)
        };
        let locks_are_released = async { release.send(()).expect("the commit waits") };
        let (committed, written, ()) = tokio::join!(commit, lock, locks_are_released);
        assert_eq!((committed, written), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_a_rollback() {
        let conflicts = Conflicts::default();
        let (first, second) = (conflicts.begin("d"), conflicts.begin("d"));
        first.write(1).expect("free");
        assert_eq!(first.commit(async { Err(()) }).await, Err(()));
        assert_eq!(second.write(1), Ok(()));
    }

    #[test]
    fn a_rollback_ends_the_conflict() {
        let conflicts = Conflicts::default();
        let second = conflicts.begin("d");
        conflicts.begin("d").write(1).expect("free");
        assert_eq!(second.write(1), Ok(()));
    }
}
