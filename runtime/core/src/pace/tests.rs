//! Starts, windows and time zones, in instants.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

fn pace(value: &Value) -> Pace {
    let mut problems = Problems::default();
    let part: PaceFile = serde_json::from_value(value.clone()).unwrap();
    Pace::build(&part, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

fn at(text: &str) -> Millis {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn starts(pace: &Pace, recorded: &str) -> String {
    Timestamp::from_millisecond(pace.start_millis(at(recorded))).unwrap().to_string()
}

#[test]
fn tables_of_one_warehouse_start_together_and_keep_the_promise() {
    let pace = pace(&json!({"name": "w", "freshness_seconds": 900}));
    let period = 720_000;
    let first = pace.start_millis(0);
    for recorded in (0..3 * period).step_by(997) {
        let start = pace.start_millis(recorded);
        assert!(start > recorded, "a file that comes at the instant itself waits for the next");
        assert!(start - recorded <= period, "two sweeps and a minute are left of the promise");
        assert_eq!((start - first).rem_euclid(period), 0, "all on one grid");
    }
}

#[test]
fn two_warehouses_do_not_start_at_the_same_second() {
    let named = |name: &str| pace(&json!({"name": name, "freshness_seconds": 3600})).start_millis(0);
    assert_ne!(named("one"), named("two"));
    assert_eq!(named("one"), named("one"));
}

#[test]
fn without_a_promise_loads_start_at_once() {
    assert_eq!(pace(&json!({"name": "w"})).start_millis(123_456), 123_456);
}

#[test]
fn nothing_starts_in_a_window_that_says_never_and_everything_at_its_end() {
    let night = json!({"from": "22:00", "to": "06:00", "freshness_seconds": null});
    let pace = pace(&json!({"name": "w", "freshness_seconds": 900, "time_zone": "Europe/Berlin", "windows": [night]}));
    assert_eq!(starts(&pace, "2026-01-10T21:30:00Z"), "2026-01-11T05:00:00Z", "winter: an hour behind Berlin");
    assert_eq!(starts(&pace, "2026-07-10T20:30:00Z"), "2026-07-11T04:00:00Z", "summer: two hours");
    assert_eq!(starts(&pace, "2026-01-10T20:59:59Z"), "2026-01-11T05:00:00Z", "its instant would be in the night");
    assert_eq!(pace.never_until(at("2026-01-11T03:00:00Z")), Some(at("2026-01-11T05:00:00Z")));
    assert_eq!(pace.never_until(at("2026-01-11T05:00:00Z")), None);
}

#[test]
fn a_night_lasts_as_long_as_the_clock_says_when_clocks_are_changed() {
    let night = json!({"from": "22:00", "to": "06:00", "freshness_seconds": null});
    let pace = pace(&json!({"name": "w", "time_zone": "Europe/Berlin", "windows": [night]}));
    assert_eq!(starts(&pace, "2026-03-28T23:00:00Z"), "2026-03-29T04:00:00Z");
    assert_eq!(starts(&pace, "2026-10-24T23:00:00Z"), "2026-10-25T05:00:00Z");
}

#[test]
fn a_window_with_a_shorter_promise_loads_waiting_files_at_its_start() {
    let office =
        json!({"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00", "freshness_seconds": 0});
    let pace = pace(&json!({"name": "w", "freshness_seconds": 86400, "windows": [office]}));
    assert_eq!(starts(&pace, "2026-11-25T07:59:00Z"), "2026-11-25T08:00:00Z", "a Wednesday");
    assert_eq!(starts(&pace, "2026-11-25T12:00:00Z"), "2026-11-25T12:00:00Z");
    let weekend = pace.start_millis(at("2026-11-28T07:59:00Z"));
    assert!(weekend > at("2026-11-28T08:00:00Z") && weekend <= at("2026-11-29T07:56:00Z"), "{weekend}");
}

#[test]
fn a_promise_is_kept_across_every_window() {
    let windows = json!([
        {"from": "08:00", "to": "18:00", "freshness_seconds": 300},
        {"from": "18:00", "to": "22:00", "freshness_seconds": 3600}]);
    let pace = pace(&json!({"name": "w", "freshness_seconds": 7200, "windows": windows}));
    let promise = |millis: Millis| match (millis / 3_600_000) % 24 {
        8..18 => 300,
        18..22 => 3600,
        _ => 7200,
    };
    for recorded in (0..2 * 86_400_000).step_by(61_001) {
        let waits = pace.start_millis(recorded) - recorded;
        assert!((0..=Pace::period_millis(promise(recorded))).contains(&waits), "{recorded}: {waits}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    let value = json!({"freshness_seconds": 60, "time_zone": "Berlin", "concurrent_loads_max": 0,
        "windows": [{"from": "8", "to": "25:00", "days": ["monday"], "freshness_seconds": 100_000}]});
    let mut problems = Problems::default();
    let part: PaceFile = serde_json::from_value(value).unwrap();
    assert!(Pace::build(&part, &mut problems).is_none());
    let fields: Vec<&str> = problems.0.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "freshness_seconds",
            "windows[0].days",
            "windows[0].from",
            "windows[0].to",
            "windows[0].freshness_seconds",
            "time_zone",
            "concurrent_loads_max"
        ]
    );
}
