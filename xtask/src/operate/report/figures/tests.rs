//! A period with everything in it, for testing the figures, the text and the page.

use super::*;
use crate::operate::records::Quarantine;
use crate::operate::schema;
use crate::operate::status::{Health, Queue, Running, State};

/// 2023-11-14 22:13:20
pub const UNTIL: Millis = 1_700_000_000_000;
const MINUTE: Millis = 60_000;
const DAY: Millis = 1_440 * MINUTE;
/// A key with special characters.
pub const UGLY: &str = "s3://b/<script>alert('1')</script>&\".csv (e)";

/// A load that ended this long before the end of the period.
pub fn load(number: u64, ago: Millis, wait: Millis, attempts: u32) -> Load {
    Load {
        at_millis: UNTIL - ago,
        load_id: format!("load{number}"),
        number,
        objects: 4,
        bytes: 2_048,
        rows: Some(1_000),
        queue_wait_millis: wait / 2,
        load_millis: wait - wait / 2,
        attempts,
        statement_id: "s".into(),
        ..Load::default()
    }
}

/// A table to which nothing happened.
pub fn quiet(name: &str) -> TableReport {
    TableReport {
        table: Some(format!("workgroup:w:dev:{name}")),
        health: Health::Healthy,
        state: State::Idle,
        advice: Vec::new(),
        pending_loads: 0,
        waiting_objects: 0,
        waiting_bytes: 0,
        oldest_waiting_since_millis: None,
        late_at_millis: None,
        running: None,
        paused: None,
        last_load: None,
        loads_last_hour: 0,
        freshness_p90_millis: None,
        quarantine: Vec::new(),
        queues: Vec::new(),
    }
}

/// A table with a file in quarantine and a load whose attempt failed.
fn broken() -> TableReport {
    let quarantine = Quarantine {
        objects: vec![UGLY.into()],
        class: "bad_input".into(),
        error: "ERROR: Load into table 'sales' failed.\n ----- \n Invalid digit, Value 'x' <b>".into(),
        remedy: "mend the file & upload it again: `cargo xtask retry TABLE`".into(),
        statement_id: Some("97b3c928".into()),
        at_millis: Some(UNTIL - 20 * MINUTE),
    };
    let running = Running {
        load_id: "running1".into(),
        number: 9,
        attempt: 3,
        step: "waiting after a failure (operators_turn): permission denied".into(),
        statement_id: None,
        since_millis: UNTIL - 5 * MINUTE,
        next_attempt_millis: Some(UNTIL + MINUTE),
    };
    TableReport {
        health: Health::Broken,
        state: State::Operator,
        advice: vec!["attempt 3 failed: permission denied; remove the cause".into()],
        waiting_objects: 2,
        waiting_bytes: 4_096,
        oldest_waiting_since_millis: Some(UNTIL - 6 * MINUTE),
        running: Some(running),
        quarantine: vec![quarantine],
        ..quiet("shop.sales")
    }
}

/// Two days with one table that is broken, one that is healthy, one that is quiet, and a queue without a table.
pub fn report() -> Report {
    let act = |command: &str| Act {
        at_millis: UNTIL - 30 * MINUTE,
        by: "ada".into(),
        command: command.into(),
        what: "all loads".into(),
        why: Some("rebuild".into()),
    };
    let queue = Queue { name: "lost".into(), dead_letters: None, paused: false, problem: Some("not JSON".into()) };
    let homeless = TableReport { table: None, health: Health::Broken, queues: vec![queue], ..quiet("") };
    let homeless = TableReport { advice: vec!["queue lost: not JSON".into()], ..homeless };
    let sales = vec![load(7, DAY, 8_000, 1), load(8, 60 * MINUTE, 2 * MINUTE, 3)];
    let well = vec![load(1, 10 * MINUTE, 900, 1)];
    let tables = vec![
        TableStory::new(quiet("shop.orders"), well, Vec::new()),
        TableStory::new(quiet("shop.quiet"), Vec::new(), Vec::new()),
        TableStory::new(broken(), sales, vec![act("pause"), act("unpause")]),
        TableStory::new(homeless, Vec::new(), Vec::new()),
    ];
    Report::new("redshift-loader", UNTIL - 2 * DAY..=UNTIL, tables, &Prices::from([("workgroup:w".into(), 833)]))
}

/// This many tables with this many loads each, one per minute.
pub fn busy(n_tables: usize, n_loads: u32) -> Report {
    let story = |at: usize| {
        let loads = (0..n_loads).rev().map(|ago| load(ago.into(), Millis::from(ago) * MINUTE, 9_000, 1)).collect();
        TableStory::new(quiet(&format!("shop.t{at}")), loads, Vec::new())
    };
    Report::new("busy", UNTIL - DAY..=UNTIL, (0..n_tables).map(story).collect(), &Prices::new())
}

#[test]
fn tables_with_problems_come_first_and_everything_is_summed_up() {
    let report = report();
    let names: Vec<String> = report.tables.iter().map(TableStory::name).collect();
    assert_eq!(names, ["shop.sales", "queue lost", "shop.orders", "shop.quiet"]);
    let quiet: Vec<bool> = report.tables.iter().map(TableStory::is_quiet).collect();
    assert_eq!(quiet, [false, false, false, true]);
    let totals = Totals { loads: 3, objects: 12, bytes: 6_144, rows: 3_000, loads_again: 1, quarantined: 1 };
    assert_eq!(report.totals, totals);
    assert_eq!(report.tables[0].totals.loads, 2);
    let days: Vec<(&str, u64)> = report.days.iter().map(|day| (day.day.as_str(), day.totals.loads)).collect();
    assert_eq!(days, [("2023-11-13", 1), ("2023-11-14", 2)]);
    assert_eq!((report.costs[0].loads, report.costs[0].wakes, report.costs[0].tables), (3, 3, 3));
}

#[test]
fn each_file_is_counted_under_the_time_that_it_took() {
    let Freshness { p50_millis, p90_millis, max_millis, spread } = report().freshness;
    assert_eq!((p50_millis, p90_millis, max_millis), (Some(8_000), Some(2 * MINUTE), Some(2 * MINUTE)));
    let counted: Vec<(Option<i64>, u64)> =
        spread.iter().map(|it| (it.up_to_millis, it.objects)).filter(|(_, objects)| *objects > 0).collect();
    assert_eq!(counted, [(Some(1_000), 4), (Some(15_000), 4), (Some(300_000), 4)]);
    assert_eq!(super::spread(&[(Millis::MAX, 1)]).last().unwrap().objects, 1, "what takes longest is counted, too");
    assert!(Freshness::of([]).spread.is_empty());
}

/// The committed schema describes what is printed.
#[test]
fn the_json_matches_its_schema() {
    let schema = schema::of::<Report>();
    let validator = schema::check_value(&schema, &report());
    assert!(!validator.is_valid(&serde_json::json!({"stack": "s"})));
    schema::check_committed::<Report>("report");
}
