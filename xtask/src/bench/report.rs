//! Prints the results of the benchmark as tables.

use local_client::calls::Counts;
use serde::Serialize;

use crate::bench::figures::{ColdStart, Many, OneByOne};
use crate::bench::queue::{APPENDED, MERGED};
use crate::ground::output::{Out, size};

/// All measurements.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Cargo profile of the functions.
    pub profile: &'static str,
    /// Size of each zip in bytes.
    pub zips: Vec<(&'static str, u64)>,
    /// Cold starts.
    pub cold_starts: Vec<ColdStart>,
    /// One file at a time.
    pub one_by_one: Vec<OneByOne>,
    /// Many files.
    pub many: Vec<Many>,
}

impl Report {
    /// Prints the tables.
    pub fn show(&self, out: Out) {
        out.title(&format!("Measured here ({} build, local stack, {} cores)", self.profile, cores()));
        line(out, "", "measured", "aim");
        self.show_one(out);
        for many in &self.many {
            show_many(out, many);
        }
        self.show_start(out);
        out.title("Calls by operation");
        for one in self.one_by_one.iter().filter(|one| one.delay_millis == 0) {
            operations(out, &format!("{}, a file alone", one.table), one.files, &one.calls);
        }
        for many in &self.many {
            operations(out, &many.what, many.files, &many.calls);
        }
    }

    fn show_one(&self, out: Out) {
        for one in self.one_by_one.iter().filter(|one| one.delay_millis == 0) {
            let calls = format!("{:.2}", per_file(&one.calls, one.files, |_| true));
            line(out, &format!("AWS calls for one file alone, {}", one.table), &calls, "≤ 12");
            let gap = format!("{:.0} ms, longest gap {:.0} ms", one.submit_millis, one.longest_gap_millis);
            line(out, &format!("message to submitted, {}", one.table), &gap, "≤ 60 ms");
            let times = format!("median {:.0} ms, p95 {:.0} ms", one.median_millis, one.p95_millis);
            line(out, &format!("object put to rows committed, {}", one.table), &times, "");
        }
        for table in [APPENDED, MERGED] {
            if let Some(trips) = self.round_trips(table) {
                line(out, &format!("round trips, message to submitted, {table}"), &format!("{trips:.1}"), "≤ 6");
            }
        }
    }

    /// The effect of one more millisecond per call on the time from message to submit.
    #[expect(clippy::cast_precision_loss, reason = "a few milliseconds")]
    fn round_trips(&self, table: &str) -> Option<f64> {
        let of =
            |delayed: bool| self.one_by_one.iter().find(|one| one.table == table && (one.delay_millis > 0) == delayed);
        let (plain, delayed) = (of(false)?, of(true)?);
        Some((delayed.submit_millis - plain.submit_millis) / delayed.delay_millis as f64)
    }

    fn show_start(&self, out: Out) {
        for (package, bytes) in &self.zips {
            line(out, &format!("zip {package}"), &size(*bytes), "≤ 3 MB");
        }
        for cold in &self.cold_starts {
            let cpu = format!("{:.1} ms", cold.init_cpu_millis);
            line(out, &format!("CPU of INIT, {}", cold.function), &cpu, "≤ 5 ms");
            let memory = format!("{:.1} MB", cold.memory_bytes / 1e6);
            line(out, &format!("memory, {}", cold.function), &memory, "≤ 10 MB");
            let times =
                format!("{:.0} ms to init, {:.0} ms to the first result", cold.init_millis, cold.first_answer_millis);
            line(out, &format!("cold start, {}", cold.function), &format!("{times} (median of {})", cold.runs), "");
        }
    }
}

fn show_many(out: Out, many: &Many) {
    let Many { what, files, drained_seconds, copies, calls, invocations, units, cost, upload_seconds } = many;
    let n = f64::from(*files);
    let beside = per_file(calls, *files, |operation| !matches!(operation, "HeadObject" | "ListObjectVersions"));
    line(out, &format!("{what}: calls per file beyond looks and listings"), &format!("{beside:.3}"), "");
    line(out, &format!("{what}: COPYs"), &copies.to_string(), "");
    let write = format!("{:.2} (read {:.2})", units.write / n, units.read / n);
    line(out, &format!("{what}: DynamoDB write units per file"), &write, "≤ 1.4");
    let parts = format!(
        "{:.2} (Lambda {:.2}, SQS {:.2}, S3 {:.2}, DynamoDB {:.2})",
        cost.total, cost.lambda, cost.sqs, cost.s3, cost.dynamodb
    );
    line(out, &format!("{what}: dollars a million files"), &parts, "≤ 1.9; written once ≤ 1.5");
    let times = format!(
        "{drained_seconds:.1} s, {:.0} files/s (uploads alone {upload_seconds:.1} s), {} invocations",
        n / drained_seconds,
        invocations.count
    );
    line(out, &format!("{what}: drained in"), &times, "");
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
fn operations(out: Out, what: &str, files: u32, calls: &Counts) {
    out.line(format!("   {what} ({files} files)"));
    for (service, operations) in calls {
        for (operation, n) in operations {
            let (name, each) = (format!("{service}:{operation}"), *n as f64 / f64::from(files));
            out.line(format!("      {name:<44} {n} ({each:.3} a file)"));
        }
    }
}

/// Calls per file, of the selected operations.
#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
fn per_file(calls: &Counts, files: u32, wanted: impl Fn(&str) -> bool) -> f64 {
    let all = calls.values().flatten().filter(|(operation, _)| wanted(operation));
    all.map(|(_, n)| *n).sum::<u64>() as f64 / f64::from(files)
}

fn line(out: Out, what: &str, measured: &str, aim: &str) {
    out.line(format!("   {what:<58}  {measured:<44}  {aim}"));
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
