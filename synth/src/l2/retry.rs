//! How `EventBridge` rules and schedules retry a failed delivery.

use std::ops::RangeInclusive;

use crate::scope::Scope;
use crate::value::Value;

/// Maximum retries of a delivery (`EventBridge` API and `EventBridge` Scheduler API, `RetryPolicy`).
pub const RETRIES_MAX: u32 = 185;
/// Age of an event in seconds up to which a delivery is retried (`EventBridge` API and `EventBridge` Scheduler API, `RetryPolicy`).
pub const AGE_SECONDS: RangeInclusive<u32> = 60..=86_400;

/// How a failed delivery is retried.
#[derive(Clone, Copy, Debug)]
pub struct RetryProps {
    /// Maximum retries, 0 to 185.
    pub retries_max: u32,
    /// Age in seconds after which the event is discarded, 60 to 86,400.
    pub age_seconds_max: u32,
}

impl RetryProps {
    /// Records a problem if a value is out of range. `service` is named in the message.
    pub(crate) fn check(self, scope: &Scope, service: &str) {
        let Self { retries_max, age_seconds_max } = self;
        if retries_max > RETRIES_MAX || !AGE_SECONDS.contains(&age_seconds_max) {
            let (least, most) = (AGE_SECONDS.start(), AGE_SECONDS.end());
            scope.problem(format!(
                "`{retries_max}` retries within `{age_seconds_max}` s: {service} takes 0 to {RETRIES_MAX} within {least} to {most} s"
            ));
        }
    }

    /// The property `RetryPolicy`.
    pub(crate) fn to_value(self) -> Value {
        Value::map([("MaximumRetryAttempts", self.retries_max), ("MaximumEventAgeInSeconds", self.age_seconds_max)])
    }
}
