//! What a million such files would cost in AWS: list prices of us-east-1, first tier, without the free tier.
//!
//! Calls, invocations and their duration are counted; `DynamoDB`'s units are computed (`units`). Ten messages per receive and one GET of
//! the warehouse per file are assumed. The warehouse itself and the uploads of the files are not included.

use local_client::calls::Counts;
use serde::Serialize;
use synth::LoaderProps;

use crate::bench::invocations::Invocations;
use crate::bench::units::Units;

const MILLION: f64 = 1e6;
const LAMBDA_GB_SECOND: f64 = 0.000_016_666_7;
const LAMBDA_REQUEST: f64 = 0.20 / MILLION;
const SQS_REQUEST: f64 = 0.40 / MILLION;
const S3_PUT: f64 = 5.00 / MILLION;
const S3_GET: f64 = 0.40 / MILLION;
const WRITE_UNIT: f64 = 0.625 / MILLION;
const READ_UNIT: f64 = 0.125 / MILLION;
/// A message is sent once, and received and deleted in tens.
const SQS_REQUESTS_PER_FILE: f64 = 1.2;

/// Dollars for a million files, by service.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// Duration and requests of the functions.
    pub lambda: f64,
    /// Requests of the queue.
    pub sqs: f64,
    /// Requests of the functions and of COPY.
    pub s3: f64,
    /// Units of the tracker.
    pub dynamodb: f64,
    /// The sum.
    pub total: f64,
}

/// The cost of a million files, at the calls and units that these `n_files` needed.
#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
pub fn of(n_files: u32, calls: &Counts, invocations: &Invocations, units: &Units) -> Cost {
    let files = f64::from(n_files);
    let is_write = |name: &str| name.starts_with("Put") || name.starts_with("List");
    let count = |wanted: &dyn Fn(&str) -> bool| -> f64 {
        let operations = calls.get("s3").into_iter().flatten();
        operations.filter(|(name, _)| wanted(name)).map(|(_, n)| *n as f64).sum()
    };
    let (s3_puts, s3_gets) = (count(&is_write), count(&|name| !is_write(name)) + files);
    let memory_gb = f64::from(LoaderProps::default().memory_mb) / 1024.0;
    let lambda = invocations.count as f64 * LAMBDA_REQUEST + invocations.seconds * memory_gb * LAMBDA_GB_SECOND;
    let sqs = files * SQS_REQUESTS_PER_FILE * SQS_REQUEST;
    let s3 = s3_puts * S3_PUT + s3_gets * S3_GET;
    let dynamodb = units.write * WRITE_UNIT + units.read * READ_UNIT;
    let scale = MILLION / files;
    let total = (lambda + sqs + s3 + dynamodb) * scale;
    Cost { lambda: lambda * scale, sqs: sqs * scale, s3: s3 * scale, dynamodb: dynamodb * scale, total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_files_cost_a_million_times_one() {
        let calls = [("s3".to_owned(), [("PutObject".to_owned(), 1), ("HeadObject".to_owned(), 10)].into())].into();
        let invocations = Invocations { count: 1, recording: 1, seconds: 2.0 };
        let cost = of(10, &calls, &invocations, &Units { write: 10.0, read: 20.0 });
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        close(cost.s3, 100_000.0 * (S3_PUT + 20.0 * S3_GET));
        close(cost.lambda, 100_000.0 * (LAMBDA_REQUEST + LAMBDA_GB_SECOND));
        close(cost.dynamodb, 100_000.0 * (10.0 * WRITE_UNIT + 20.0 * READ_UNIT));
        close(cost.sqs, 0.48);
        close(cost.total, cost.s3 + cost.lambda + cost.sqs + cost.dynamodb);
    }
}
