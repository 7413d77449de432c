//! What the counted calls would cost in AWS: list prices of us-east-1, first tier, without the free tier, for a million such files.
//!
//! Counted: calls, invocations and their time. Assumed, because no call tells it: the size of what DynamoDB writes and reads, ten
//! messages per receive, one GET of the warehouse per file. Not in it: the warehouse itself, and the uploads of the files.

use serde::Serialize;
use synth::LoaderProps;

use crate::bench::figures::Burst;

const MILLION: f64 = 1e6;
const LAMBDA_GB_SECOND: f64 = 0.000_016_666_7;
const LAMBDA_REQUEST: f64 = 0.20 / MILLION;
const SQS_REQUEST: f64 = 0.40 / MILLION;
const S3_PUT: f64 = 5.00 / MILLION;
const S3_GET: f64 = 0.40 / MILLION;
const WRITE_UNIT: f64 = 0.625 / MILLION;
const READ_UNIT: f64 = 0.125 / MILLION;
/// Sent once, and received and deleted ten at a time.
const SQS_REQUESTS_PER_FILE: f64 = 1.2;
/// Its ledger entry (2 units in a transaction), and about 250 bytes of a pending load, written and deleted in transactions.
const WRITE_UNITS_PER_FILE: f64 = 3.0;
/// The other items of a transaction: pending load, slot, history.
const WRITE_UNITS_PER_TRANSACTION: f64 = 6.0;
/// The slot, written alone.
const WRITE_UNITS_PER_PUT: f64 = 2.0;
/// A pending load is up to 22 KB, and a query often finds one.
const READ_UNITS_PER_QUERY: f64 = 6.0;
/// Pending loads of one load, by their keys.
const READ_UNITS_PER_BATCH: f64 = 40.0;

/// Dollars for a million files, by service.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// Time and requests of the functions.
    pub lambda: f64,
    /// Requests of the queue.
    pub sqs: f64,
    /// Requests of the functions and of COPY.
    pub s3: f64,
    /// Units of the tracker.
    pub dynamodb: f64,
    /// All of it.
    pub total: f64,
}

/// Of one burst, as if a million files came like that.
#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
pub fn of(burst: &Burst) -> Cost {
    let files = f64::from(burst.files);
    let count = |service: &str, wanted: &dyn Fn(&str) -> bool| -> f64 {
        let operations = burst.calls.get(service).into_iter().flatten();
        operations.filter(|(name, _)| wanted(name)).map(|(_, n)| *n as f64).sum()
    };
    let is_write = |name: &str| name.starts_with("Put") || name.starts_with("List");
    let s3_puts = count("s3", &is_write);
    let s3_gets = count("s3", &|name| !is_write(name)) + files;
    let transactions = count("dynamodb", &|name| name == "TransactWriteItems");
    let queries = count("dynamodb", &|name| name == "Query" || name == "Scan");
    let puts = count("dynamodb", &|name| name == "PutItem");
    let batches = count("dynamodb", &|name| name == "BatchGetItem");
    let gets = count("dynamodb", &|name| name == "GetItem");
    let invocations = &burst.invocations;
    let memory_gb = f64::from(LoaderProps::default().memory_mb) / 1024.0;
    let lambda = invocations.count as f64 * LAMBDA_REQUEST + invocations.seconds * memory_gb * LAMBDA_GB_SECOND;
    let sqs = files * SQS_REQUESTS_PER_FILE * SQS_REQUEST;
    let s3 = s3_puts * S3_PUT + s3_gets * S3_GET;
    let write_units =
        files * WRITE_UNITS_PER_FILE + transactions * WRITE_UNITS_PER_TRANSACTION + puts * WRITE_UNITS_PER_PUT;
    let read_units = queries * READ_UNITS_PER_QUERY + batches * READ_UNITS_PER_BATCH + gets;
    let dynamodb = write_units * WRITE_UNIT + read_units * READ_UNIT;
    let scale = MILLION / files;
    let total = (lambda + sqs + s3 + dynamodb) * scale;
    Cost { lambda: lambda * scale, sqs: sqs * scale, s3: s3 * scale, dynamodb: dynamodb * scale, total }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::invocations::Invocations;

    #[test]
    fn a_million_files_cost_a_million_times_one() {
        let calls = [("s3".to_owned(), [("PutObject".to_owned(), 1), ("HeadObject".to_owned(), 10)].into())].into();
        let invocations = Invocations { count: 1, seconds: 2.0 };
        let burst = Burst { files: 10, upload_seconds: 1.0, drained_seconds: 1.0, copies: 1, calls, invocations };
        let cost = of(&burst);
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        close(cost.s3, 100_000.0 * (S3_PUT + 20.0 * S3_GET));
        close(cost.lambda, 100_000.0 * (LAMBDA_REQUEST + LAMBDA_GB_SECOND));
        close(cost.sqs, 0.48);
        close(cost.total, cost.s3 + cost.lambda + cost.sqs + cost.dynamodb);
    }
}
