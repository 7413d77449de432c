//! The race between cancellation and commit: exactly one of them wins.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_postgres::CancelToken;

const RUNNING: u8 = 0;
const CANCELLED: u8 = 1;
const COMMITTING: u8 = 2;

/// Decides whether a statement is cancelled or committed.
#[derive(Default)]
pub struct Cancellation {
    state: AtomicU8,
    wake: Notify,
    token: Mutex<Option<CancelToken>>,
}

impl std::fmt::Debug for Cancellation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Cancellation").field(&self.state).finish()
    }
}

impl Cancellation {
    /// Cancels the statement. Returns `false` if it is too late.
    pub fn cancel(&self) -> bool {
        let cancelled = self.state.compare_exchange(RUNNING, CANCELLED, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if cancelled {
            self.wake.notify_one();
        }
        cancelled
    }

    /// Whether the statement may commit: `false` if it was cancelled. After `true`, it can no longer be cancelled.
    pub fn may_commit(&self) -> bool {
        self.state.compare_exchange(RUNNING, COMMITTING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            || self.state.load(Ordering::SeqCst) == COMMITTING
    }

    /// Allows cancellation again, after a commit in the middle of a batch.
    pub fn resume(&self) {
        let _ = self.state.compare_exchange(COMMITTING, RUNNING, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub async fn cancelled(&self) {
        while self.state.load(Ordering::SeqCst) != CANCELLED {
            self.wake.notified().await;
        }
    }

    pub fn remember(&self, token: CancelToken) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    pub fn token(&self) -> Option<CancelToken> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_cancelled_or_committed_but_never_both() {
        let cancellation = Cancellation::default();
        assert!(cancellation.may_commit());
        assert!(!cancellation.cancel());
        cancellation.resume();
        assert!(cancellation.cancel());
        assert!(!cancellation.may_commit());
    }
}
