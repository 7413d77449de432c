//! The benchmark's table.

use serde::Serialize;

use crate::bench::cost::Cost;
use crate::bench::figures::{Burst, ColdStart, Latency};
use crate::ground::output::{Out, size};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Cargo profile of the functions.
    pub profile: &'static str,
    /// Bytes of each zip.
    pub zips: Vec<(&'static str, u64)>,
    /// Cold starts.
    pub cold_starts: Vec<ColdStart>,
    /// One file at a time.
    pub latency: Latency,
    /// Many at once.
    pub burst: Burst,
    /// What a million files like those of the burst would cost.
    pub cost: Cost,
}

impl Report {
    /// Prints the table.
    pub fn show(&self, out: Out) {
        out.title(&format!("Measured here ({} build, local stack, {} cores)", self.profile, cores()));
        for (package, bytes) in &self.zips {
            line(out, &format!("zip {package}"), &size(*bytes));
        }
        for cold in &self.cold_starts {
            let times =
                format!("{:.0} ms to init, {:.0} ms to the first answer", cold.init_millis, cold.first_answer_millis);
            line(out, &format!("cold start {}", cold.function), &format!("{times} (median of {})", cold.runs));
        }
        let Latency { files, median_millis, p95_millis } = &self.latency;
        let times = format!("median {median_millis:.0} ms, p95 {p95_millis:.0} ms ({files} files one by one)");
        line(out, "object put to rows committed", &times);
        self.show_burst(out);
        let Cost { lambda, sqs, s3, dynamodb, total } = &self.cost;
        let parts = format!("Lambda {lambda:.2}, SQS {sqs:.2}, S3 {s3:.2}, DynamoDB {dynamodb:.2}");
        line(out, "a million such files", &format!("about {total:.2} USD ({parts}; without the warehouse)"));
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
    fn show_burst(&self, out: Out) {
        let Burst { files, upload_seconds, drained_seconds, copies, calls, invocations } = &self.burst;
        let rate = f64::from(*files) / drained_seconds;
        let times =
            format!("drained in {drained_seconds:.1} s, {rate:.0} files/s (uploads alone: {upload_seconds:.1} s)");
        line(out, &format!("{files} files at once"), &times);
        line(out, "COPY commands for them", &copies.to_string());
        let average = invocations.seconds * 1e3 / (invocations.count.max(1) as f64);
        line(out, "invocations for them", &format!("{}, {average:.0} ms each", invocations.count));
        let per_file = |operations: &std::collections::BTreeMap<String, u64>| {
            operations.values().sum::<u64>() as f64 / f64::from(*files)
        };
        let calls: Vec<String> =
            calls.iter().map(|(service, operations)| format!("{service} {:.3}", per_file(operations))).collect();
        line(out, "AWS calls per file", &calls.join(", "));
    }
}

fn line(out: Out, what: &str, value: &str) {
    out.line(format!("   {what:<30}  {value}"));
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
