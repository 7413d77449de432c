//! Prints the tables of `cargo xtask simulate --cost`.

use super::arrivals::{Arrival, Shape, of_day};
use super::cost::Cost;
use super::policies::{self, Ran};
use super::{Options, Outcome, Start, a_file_a_minute, a_file_a_minute_at_random, percentile, run};

/// The values of `load.age_seconds` that are compared.
const AGES_SECONDS: [u32; 4] = [0, 60, 300, 900];
/// The values of `freshness_seconds` that are compared.
const FRESHNESS_SECONDS: [u32; 3] = [300, 900, 3600];
/// The promise with which loads start every 15 minutes: it keeps three minutes free.
pub const EVERY_15_MINUTES: Start = Start::Freshness(1080);
/// Numbers of files per hour for which throttling is shown.
const HOURLY_FILES: [usize; 4] = [10_000, 40_000, 80_000, 160_000];

/// Prints calls, units and waits for a growing number of files and tables.
pub fn scale(sizes: &[(usize, usize)]) {
    println!(
        "| tables | files | arrival | calls per file | write units per file | dollars per million files | loads | median wait s | p99 s | longest s | sweep calls, quarters of the day | throttled |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    );
    for (tables, files) in sizes {
        for (name, shape) in [("steadily", Shape::Steady), ("in bursts", Shape::Bursty)] {
            let options = Options { tables: *tables, files: *files, shape, ..Options::default() };
            let outcome = run(&options);
            println!("| {tables} | {files} | {name} | {} |", scale_cells(&outcome, &options.cost));
        }
    }
}

fn scale_cells(outcome: &Outcome, cost: &Cost) -> String {
    let waits = [50, 99, 100].map(|part| seconds(percentile(&outcome.waits, part))).join(" | ");
    let per_file = |count: u64| format!("{:.2}", ratio(count, outcome.files));
    format!(
        "{} | {} | {:.2} | {} | {waits} | {} | {}",
        per_file(outcome.calls_beside_looks()),
        per_file(outcome.counts.write_units),
        outcome.dollars(cost) * 1e6 / ratio(outcome.files as u64, 1),
        outcome.loads,
        outcome.counts.sweep_calls.map(|calls| calls.to_string()).join(", "),
        throttled(outcome),
    )
}

/// Prints which quota is reached first as the number of files per hour grows, with the default warehouse and with one that runs more loads
/// concurrently.
pub fn limits(tables: usize) {
    println!(
        "| files per hour | concurrent loads in the warehouse | loads | p99 s | longest s | most active statements | most concurrent invocations | throttled |\n| --- | --- | --- | --- | --- | --- | --- | --- |",
    );
    for statements_at_once in [Cost::default().statements_at_once, 400] {
        for files in HOURLY_FILES {
            let cost = Cost { statements_at_once, ..Cost::default() };
            let options = Options { tables, files, hours: 1, cost, ..Options::default() };
            let outcome = run(&options);
            let waits = [99, 100].map(|part| seconds(percentile(&outcome.waits, part))).join(" | ");
            let Outcome { loads, counts, .. } = &outcome;
            let (active, invocations) = (counts.statements_at_once, counts.invocations_at_once);
            println!(
                "| {files} | {statements_at_once} | {loads} | {waits} | {active} | {invocations} | {} |",
                throttled(&outcome)
            );
        }
    }
}

fn throttled(outcome: &Outcome) -> String {
    let names = outcome.counts.throttled.iter().map(|(quota, times)| format!("{quota}: {times}"));
    let names: Vec<String> = names.chain(outcome.violations.iter().map(|v| format!("WRONG: {v}"))).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join("; ") }
}

/// Prints how long files wait and what the warehouse costs, for several settings and for other policies.
pub fn freshness(options: &Options) {
    let Options { seed, shape, files, tables, hours, cost, .. } = options;
    let files = of_day(*seed, shape, *files, *tables, *hours);
    println!(
        "| policy | loads | p50 s | p99 s | bound of p99 s | in hindsight s | p99 / hindsight | warehouse minutes | wakes | dollars per month |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    );
    for age_seconds in AGES_SECONDS {
        let outcome = run(&Options { start: Start::Age(age_seconds), ..options.clone() });
        let name = format!("`load.age_seconds: {age_seconds}`");
        let Outcome { waits, awake_millis, wakes, loads, .. } = outcome;
        println!("{}", line(&name, &Row { waits, awake_millis, wakes, loads }, &files, options));
    }
    for freshness_seconds in FRESHNESS_SECONDS {
        let Outcome { waits, awake_millis, wakes, loads, .. } =
            run(&Options { start: Start::Freshness(freshness_seconds), ..options.clone() });
        let name = format!("a warehouse with `freshness_seconds: {freshness_seconds}`");
        println!("{}", line(&name, &Row { waits, awake_millis, wakes, loads }, &files, options));
    }
    let others: [(&str, Ran); 3] = [
        ("one COPY per notification batch", policies::per_notification_batch(&files, cost)),
        ("every 5 minutes", policies::fixed_batches(&files, cost, 300)),
        ("every 15 minutes", policies::fixed_batches(&files, cost, 900)),
    ];
    for (name, Ran { mut waits, busy }) in others {
        waits.sort_unstable();
        let loads = busy.len();
        let (awake_millis, wakes) = cost.awake(busy);
        println!("{}", line(name, &Row { waits, awake_millis, wakes, loads }, &files, options));
    }
}

/// What a file a minute for each of five tables costs, at any instants, at once and together every quarter of an hour; and what the metrics
/// of the functions tell of it.
pub fn bill(hours: i64, cost: &Cost) {
    println!(
        "| loads start | awake, % of the time | dollars per month | awake by the metrics, % | at once by `cost`, % | at once by the metrics, % |\n| --- | --- | --- | --- | --- | --- |"
    );
    for (name, start) in
        [("at once", Start::Age(0)), ("together every 15 minutes (`freshness_seconds: 1080`)", EVERY_15_MINUTES)]
    {
        let options = a_file_a_minute_at_random(5, hours, start, cost);
        let outcome = run(&options);
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            100.0 * options.share(outcome.awake_millis),
            options.cost.warehouse_dollars(outcome.awake_millis, hours),
            100.0 * options.share(outcome.metered_millis),
            100.0 * options.share(outcome.at_once_millis),
            100.0 * options.share(outcome.metered_at_once_millis),
        );
    }
}

/// Prints the costs of one file a minute for each table, with loads that start at once, by the table's age, or by the warehouse's promise.
pub fn wakes(tables: &[usize], hours: i64, cost: &Cost) {
    println!(
        "| tables | loads start | loads | p50 s | p99 s | longest s | awake, % of the time | wakes | dollars per month |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    );
    for tables in tables {
        for (name, start) in [
            ("at once", Start::Age(0)),
            ("`age_seconds: 900`", Start::Age(900)),
            ("`freshness_seconds: 900`", Start::Freshness(900)),
        ] {
            let options = a_file_a_minute(*tables, hours, start, cost);
            let outcome = run(&options);
            let waits = [50, 99, 100].map(|part| seconds(percentile(&outcome.waits, part))).join(" | ");
            println!(
                "| {tables} | {name} | {} | {waits} | {:.0} | {} | {:.0} |",
                outcome.loads,
                100.0 * options.share(outcome.awake_millis),
                outcome.wakes,
                options.cost.warehouse_dollars(outcome.awake_millis, hours),
            );
        }
    }
}

struct Row {
    waits: Vec<i64>,
    awake_millis: i64,
    wakes: usize,
    loads: usize,
}

fn line(name: &str, row: &Row, files: &[Arrival], options: &Options) -> String {
    let bound = policies::p99_bound(files, &options.cost, row.loads);
    let hindsight = policies::p99_in_hindsight(files, &options.cost, row.loads);
    let p99 = percentile(&row.waits, 99);
    format!(
        "| {name} | {} | {} | {} | {} | {} | {:.1} | {} | {} | {:.0} |",
        row.loads,
        seconds(percentile(&row.waits, 50)),
        seconds(p99),
        seconds(bound),
        seconds(hindsight),
        ratio(u64::try_from(p99).unwrap_or(0), usize::try_from(hindsight).unwrap_or(1)),
        row.awake_millis / 60_000,
        row.wakes,
        options.cost.warehouse_dollars(row.awake_millis, options.hours),
    )
}

fn seconds(millis: i64) -> String {
    format!("{:.1}", ratio(u64::try_from(millis).unwrap_or(0), 1000))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(count: u64, of: usize) -> f64 {
    count as f64 / of.max(1) as f64
}
