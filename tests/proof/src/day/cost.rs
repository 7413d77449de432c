//! Durations, quotas and prices: every parameter of the model with its source. Nothing is measured here.
//!
//! Quotas and prices are from the services' pages for us-east-1 (Redshift management guide, "Quotas and limits"; DynamoDB developer guide,
//! "Partitions and burst capacity"; Lambda developer guide, "Quotas"). Durations are assumptions.

use loader_core::pace;

/// Days in a month, for monthly costs.
const MONTH_DAYS: f64 = 365.0 / 12.0;

/// The parameters of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// From the upload of an object to its message in the queue, in milliseconds. S3: "typically in seconds".
    pub notification_millis: i64,
    /// One call to DynamoDB, in milliseconds (assumption).
    pub dynamodb_millis: i64,
    /// One call to S3, in milliseconds (assumption).
    pub s3_millis: i64,
    /// One call to the Data API, in milliseconds (assumption).
    pub data_api_millis: i64,
    /// From the end of a statement to the invocation by its event, in milliseconds (assumption).
    pub event_millis: i64,
    /// A COPY of nothing, in milliseconds: connect, compile, plan, list (assumption).
    pub copy_millis: i64,
    /// The commit of a load, in milliseconds (assumption).
    pub commit_millis: i64,
    /// Bytes that a COPY reads in a millisecond (assumption: 100 MB/s at 8 RPU).
    pub copy_bytes_per_milli: u64,
    /// Loads that the warehouse runs concurrently; others wait (Redshift database guide: at most 15 slots are advised).
    pub statements_at_once: usize,
    /// `BatchExecuteStatement` calls per second (Data API quota, not adjustable).
    pub submits_per_second: u32,
    /// `DescribeStatement` calls per second (Data API quota, not adjustable).
    pub describes_per_second: u32,
    /// Statements that have been submitted and have not ended (Data API quota).
    pub active_statements_max: usize,
    /// DynamoDB write units per second of a partition key.
    pub partition_write_units_per_second: u32,
    /// Concurrent invocations (Lambda, account default).
    pub invocations_at_once: usize,
    /// Attempts of the SDK for a throttled call, including the first.
    pub sdk_attempts: u32,
    /// Minimum seconds billed for a wake of the warehouse (Redshift Serverless).
    pub wake_seconds_min: i64,
    /// RPU of the workgroup.
    pub rpu: f64,
    /// Dollars for an RPU-hour.
    pub rpu_hour_dollars: f64,
    /// Dollars for a million DynamoDB write units, on demand.
    pub write_units_dollars: f64,
    /// Dollars for a million DynamoDB read units, on demand.
    pub read_units_dollars: f64,
    /// Dollars for a million S3 `PutObject` or listings.
    pub s3_puts_dollars: f64,
    /// Dollars for a million S3 `GetObject` or `HeadObject`.
    pub s3_gets_dollars: f64,
    /// Dollars for a million SQS requests.
    pub sqs_dollars: f64,
    /// Dollars for a million invocations.
    pub invocations_dollars: f64,
    /// Dollars for a million seconds of a function of 512 MB on arm64.
    pub function_seconds_dollars: f64,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            notification_millis: 1_000,
            dynamodb_millis: 5,
            s3_millis: 20,
            data_api_millis: 100,
            event_millis: 500,
            copy_millis: 2_000,
            commit_millis: 1_000,
            copy_bytes_per_milli: 100_000,
            statements_at_once: 15,
            submits_per_second: 20,
            describes_per_second: 100,
            active_statements_max: 500,
            partition_write_units_per_second: 1_000,
            invocations_at_once: 1_000,
            sdk_attempts: 4,
            wake_seconds_min: 60,
            rpu: 8.0,
            rpu_hour_dollars: 0.375,
            write_units_dollars: 0.625,
            read_units_dollars: 0.125,
            s3_puts_dollars: 5.0,
            s3_gets_dollars: 0.4,
            sqs_dollars: 0.4,
            invocations_dollars: 0.2,
            function_seconds_dollars: 0.5 * 13.3334,
        }
    }
}

impl Cost {
    /// Duration of a load of this size, in milliseconds.
    pub fn load_millis(&self, size_bytes: u64) -> i64 {
        let reading = i64::try_from(size_bytes / self.copy_bytes_per_milli).unwrap_or(i64::MAX);
        self.copy_millis.saturating_add(self.commit_millis).saturating_add(reading)
    }

    /// Milliseconds for which the warehouse is billed, and the number of its wakes. It wakes for a load, and a wake has a minimum length. `busy`
    /// contains begin and end of each load.
    pub fn awake(&self, busy: Vec<(i64, i64)>) -> (i64, usize) {
        pace::awake(busy, self.wake_seconds_min * 1000)
    }

    /// Dollars per month for a warehouse that is awake for `awake_millis` in every `hours`.
    #[expect(clippy::cast_precision_loss, reason = "dollars are rounded anyway")]
    pub fn warehouse_dollars(&self, awake_millis: i64, hours: i64) -> f64 {
        let share = awake_millis as f64 / (hours * 3_600_000) as f64;
        share * 24.0 * MONTH_DAYS * self.rpu * self.rpu_hour_dollars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_billed_for_at_least_a_minute_and_includes_loads_within_it() {
        let awake = |busy: &[(i64, i64)]| Cost::default().awake(busy.to_vec());
        assert_eq!(awake(&[(0, 3_000)]), (60_000, 1));
        assert_eq!(awake(&[(50_000, 70_000), (0, 3_000)]), (70_000, 1));
        assert_eq!(awake(&[(0, 3_000), (60_001, 61_000)]), (120_000, 2));
    }
}
