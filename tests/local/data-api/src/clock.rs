//! The stand-in's clock: the machine's, plus an offset that tests can shift.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch, on the stand-in's clock.
pub type Millis = i64;

#[derive(Debug, Default)]
pub struct Clock {
    offset_millis: AtomicI64,
}

impl Clock {
    pub fn now(&self) -> Millis {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(machine.as_millis()).unwrap_or(i64::MAX) + self.offset_millis.load(Ordering::Relaxed)
    }

    /// Shifts the clock by this many seconds, forwards or backwards.
    pub fn shift(&self, seconds: i64) {
        self.offset_millis.fetch_add(seconds.saturating_mul(1000), Ordering::Relaxed);
    }
}
