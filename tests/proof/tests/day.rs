//! Days of the production code in virtual time: costs must not grow with the number of files and tables.

use proof::day::arrivals::{Arrival, Shape};
use proof::day::cost::Cost;
use proof::day::print::EVERY_15_MINUTES;
use proof::day::{Options, Outcome, Start, a_file_a_minute, a_file_a_minute_at_random, percentile, run};

/// Runs a day without violations.
fn run_well(options: &Options) -> Outcome {
    let outcome = run(options);
    assert!(outcome.violations.is_empty(), "{options:?}: {:#?}", outcome.violations);
    assert_eq!(outcome.waits.len(), outcome.files);
    outcome
}

fn hours(hours: i64, tables: usize, files: usize) -> Options {
    Options { hours, tables, files, ..Options::default() }
}

/// Calls except looks and SQS, and write units, per hundred files.
fn for_a_hundred(outcome: &Outcome) -> (u64, u64) {
    let files = outcome.files as u64;
    (outcome.calls_beside_looks() * 100 / files, outcome.counts.write_units * 100 / files)
}

#[test]
fn the_same_options_give_the_same_day() {
    let options = Options { shape: Shape::Bursty, ..hours(2, 10, 500) };
    assert_eq!(run_well(&options), run_well(&options));
    assert_ne!(run_well(&options), run_well(&Options { seed: 2, ..options.clone() }));
}

#[test]
fn calls_and_units_per_file_do_not_grow_with_files_and_tables() {
    for shape in [Shape::Steady, Shape::Bursty] {
        // Both have the same number of files per table and hour.
        let small = for_a_hundred(&run_well(&Options { shape: shape.clone(), ..hours(2, 10, 1_000) }));
        let large = for_a_hundred(&run_well(&Options { shape: shape.clone(), ..hours(2, 100, 10_000) }));
        println!(
            "proof: a day, {shape:?}: {small:?} calls and write units for 100 files of 10 tables, {large:?} of 100"
        );
        assert!(large.0 * 100 <= small.0 * 110 && large.1 * 100 <= small.1 * 110, "{small:?} {large:?}");
    }
}

#[test]
fn the_cost_of_a_sweep_does_not_grow_with_what_was_loaded() {
    let [first, _, _, last] = run_well(&hours(8, 20, 8_000)).counts.sweep_calls;
    println!("proof: a day: {first} calls of sweeps in its first quarter, {last} in its last");
    assert!(last <= first * 12 / 10, "{first} {last}");
}

#[test]
fn no_table_starves_if_the_warehouse_is_the_bottleneck() {
    let cost = Cost { statements_at_once: 2, ..Cost::default() };
    let outcome = run_well(&Options { cost, ..hours(1, 100, 4_000) });
    let longest = percentile(&outcome.waits, 100);
    println!("proof: a day: 100 tables share two slots, the longest wait is {} s", longest / 1000);
    // Loading every table once takes about 100 × 4 s / 2. A file that has just missed its table's load waits for twice that.
    assert!(longest < 2 * 200_000 + 60_000, "{longest}");
}

#[test]
fn a_higher_age_gives_fewer_loads_and_wakes_the_warehouse_less() {
    let aged = |seconds| run_well(&Options { start: Start::Age(seconds), ..hours(6, 3, 1_000) });
    let (at_once, aged) = (aged(0), aged(900));
    println!(
        "proof: a day: {} loads and {} wakes at age 0, {} and {} at age 900",
        at_once.loads, at_once.wakes, aged.loads, aged.wakes
    );
    assert!(aged.loads * 10 < at_once.loads && aged.awake_millis < at_once.awake_millis);
    assert!(percentile(&at_once.waits, 99) < percentile(&aged.waits, 50));
    // The age, then up to a minute until the next sweep, then the COPY.
    assert!(percentile(&aged.waits, 100) < 900_000 + 60_000 + 60_000, "{}", percentile(&aged.waits, 100));
}

#[test]
fn tables_of_one_warehouse_keep_its_promise_and_cost_little_more_than_one_table() {
    let awake = |tables, lost_sweeps| {
        let options = Options { lost_sweeps, ..a_file_a_minute(tables, 2, Start::Freshness(900), &Cost::default()) };
        let outcome = run_well(&options);
        let longest = percentile(&outcome.waits, 100);
        assert!(longest <= 900_000, "{tables} tables, one of {lost_sweeps} sweeps lost: {longest} ms");
        outcome.awake_millis
    };
    let (one, five, many, lost) = (awake(1, 0), awake(5, 0), awake(60, 0), awake(60, 2));
    println!(
        "proof: a day: awake {one} ms for a table, {five} for 5, {many} for 60, {lost} where every other sweep is lost"
    );
    assert!(five * 10 <= one * 11 && many * 10 <= one * 11, "{one} {five} {many}");
    let at_once = run_well(&a_file_a_minute(5, 2, Start::Age(0), &Cost::default())).awake_millis;
    assert!(at_once > 8 * five, "{at_once} {five}");
}

#[test]
fn five_tables_at_once_cost_twelve_times_as_much_as_together_every_quarter_of_an_hour() {
    let bill = |start| {
        let options = a_file_a_minute_at_random(5, 24, start, &Cost::default());
        let awake_millis = run_well(&options).awake_millis;
        let dollars = options.cost.warehouse_dollars(awake_millis, options.hours);
        println!(
            "proof: a day, {start:?}: awake {:.3} of the time, {dollars:.0} dollars a month",
            options.share(awake_millis)
        );
        (options.share(awake_millis), dollars)
    };
    let (at_once, together) = (bill(Start::Age(0)), bill(EVERY_15_MINUTES));
    assert!((0.82..0.85).contains(&at_once.0) && (1_800.0..1_860.0).contains(&at_once.1), "{at_once:?}");
    assert!((0.06..0.07).contains(&together.0) && (140.0..150.0).contains(&together.1), "{together:?}");
}

#[test]
fn the_metrics_of_the_bill_are_near_what_the_history_tells() {
    let metered = |tables, start| {
        let options = a_file_a_minute_at_random(tables, 6, start, &Cost::default());
        let Outcome { awake_millis, metered_millis, .. } = run_well(&options);
        println!("proof: a day, {tables} tables, {start:?}: awake {awake_millis} ms, {metered_millis} by the metrics");
        metered_millis * 100 / awake_millis
    };
    for tables in [1, 5, 20] {
        let (at_once, together) = (metered(tables, Start::Age(0)), metered(tables, Start::Freshness(900)));
        assert!((95..=130).contains(&at_once), "{tables} tables at once: {at_once} %");
        assert!((95..=103).contains(&together), "{tables} tables together: {together} %");
    }
}

/// Files that wait for a promise, against what they cost if they do not wait, and against what the history lets `cost` estimate of that.
#[test]
fn the_metric_of_the_bill_at_once_is_near_that_bill() {
    for tables in [1, 5, 20] {
        let day = |start| run_well(&a_file_a_minute_at_random(tables, 6, start, &Cost::default()));
        let (together, at_once) = (day(Start::Freshness(900)), day(Start::Age(0)));
        let Outcome { metered_at_once_millis, at_once_millis, .. } = together;
        let [of_bill, of_cost] =
            [at_once.awake_millis, at_once_millis].map(|millis| metered_at_once_millis * 100 / millis);
        println!(
            "proof: a day, {tables} tables: at once by the metrics {of_bill} % of the bill, {of_cost} % of the estimate"
        );
        assert!(
            (95..=130).contains(&of_bill) && (95..=130).contains(&of_cost),
            "{tables} tables: {of_bill} % {of_cost} %"
        );
    }
}

#[test]
fn a_long_load_is_metered_in_every_minute_by_the_sweep() {
    let shape = Shape::Replayed(vec![Arrival { millis: 0, table: 0, size_bytes: 1 << 20 }]);
    let cost = Cost { copy_millis: 600_000, ..Cost::default() };
    let Outcome { awake_millis, metered_millis, .. } = run_well(&Options { shape, cost, ..hours(1, 1, 1) });
    assert!((metered_millis - awake_millis).abs() <= 60_000, "{metered_millis} {awake_millis}");
}

#[test]
fn an_exceeded_quota_delays_files_but_loses_none() {
    let cost = Cost { submits_per_second: 1, active_statements_max: 10, ..Cost::default() };
    let outcome = run_well(&Options { cost, ..hours(1, 50, 4_000) });
    assert!(!outcome.counts.throttled.is_empty(), "nothing was throttled: the case is not tested");
}
