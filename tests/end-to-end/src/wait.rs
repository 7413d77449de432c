//! Bounded waits.

use std::time::{Duration, Instant};

/// Longest wait of a test for anything; far more than it takes on a busy machine.
pub const WAIT_SECONDS_MAX: u64 = 90;
const POLL_MILLIS: u64 = 100;

/// Polls until `look` answers something; `None` when the longest wait is over.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(WAIT_SECONDS_MAX) {
        if let Some(found) = look().await {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(POLL_MILLIS)).await;
    }
    None
}
