//! The time, as the tracker, the logs and the names of change sets count it.

use time::OffsetDateTime;

/// Milliseconds since 1970, UTC.
pub fn now_millis() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
