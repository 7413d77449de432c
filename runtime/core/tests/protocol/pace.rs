//! Loads that wait for others of their warehouse, and statements that run for too long.

use loader_core::outcome::FailureClass;
use loader_core::tracker::cancel;
use loader_core::tracker::change::Note;
use loader_core::tracker::decide::{Action, Context, Idle, decide};
use loader_core::tracker::item::Millis;
use loader_core::tracker::operator;
use loader_core::tracker::settle::{self, StatementStatus, SubmitOutcome};
use loader_core::tracker::slot::{Held, Step};
use loader_core::tracker::write::{Written, apply};
use serde_json::{Value, json};

use crate::table::{HOUR, Table};

const MINUTE: Millis = 60_000;

fn paced(load: &Value, warehouse: &Value) -> Table {
    let mut warehouse = warehouse.clone();
    warehouse["name"] = json!("w");
    Table::with(json!({"load": load, "warehouse": warehouse}))
}

fn start(table: &Table, awake: bool) -> Result<(), Idle> {
    let context = Context { awake, ..table.context() };
    match decide(&table.name(), &table.view(), &context) {
        Action::Idle(idle) => Err(idle),
        _ => Ok(()),
    }
}

#[test]
fn a_load_starts_with_the_others_of_its_warehouse_unless_its_age_ends_earlier() {
    let mut shared = paced(&json!({}), &json!({"freshness_seconds": 900}));
    shared.record(&["a"]);
    let at = shared.config.start_millis(1_000_000);
    assert_eq!(start(&shared, false), Err(Idle::NotBefore(at + MINUTE)));
    assert_eq!(start(&shared, true), Ok(()), "the warehouse is awake anyway");
    shared.now = at;
    assert_eq!(start(&shared, false), Err(Idle::NotBefore(at + MINUTE)), "left to the sweep");
    let context = Context { sweeps: true, ..shared.context() };
    assert!(matches!(decide(&shared.name(), &shared.view(), &context), Action::Look { .. }), "the sweep starts it");
    shared.now = at + MINUTE;
    assert_eq!(start(&shared, false), Ok(()), "a sweep that is lost is not waited for");
    let mut own = paced(&json!({"age_seconds": 0}), &json!({"freshness_seconds": 900}));
    own.record(&["a"]);
    assert_eq!(start(&own, false), Ok(()));
}

#[test]
fn a_full_load_does_not_wait_for_others_but_never_wakes_a_warehouse_that_must_sleep() {
    let mut full = paced(&json!({"files_max": 2}), &json!({"freshness_seconds": 900}));
    full.record(&["a", "b"]);
    assert_eq!(start(&full, false), Ok(()));
    let night = json!({"from": "00:00", "to": "06:00", "freshness_seconds": null});
    for load in [json!({"files_max": 2}), json!({"age_seconds": 0})] {
        let mut asleep = paced(&load, &json!({"freshness_seconds": 900, "windows": [night]}));
        asleep.now = 3 * HOUR;
        asleep.record(&["a", "b"]);
        assert_eq!(start(&asleep, false), Err(Idle::NotBefore(6 * HOUR)), "{load}");
        asleep.now = 6 * HOUR;
        assert_eq!(start(&asleep, false), Ok(()), "{load}");
    }
}

#[test]
fn probes_that_wake_a_warehouse_are_rare_and_ride_with_other_loads() {
    let mut table = paced(&json!({}), &json!({}));
    table.record(&["a"]);
    let mut longest = 0;
    for _ in 0..20 {
        table.run();
        table.fail("permission denied for relation t");
        let Step::Waiting { not_before_millis, .. } = table.load().step else { panic!("it waits") };
        longest = longest.max(not_before_millis - table.now);
        assert_eq!(start(&table, true), Err(Idle::NotBefore(not_before_millis)), "not again at once");
        table.now += table.timing.backoff_cap_millis;
        assert_eq!(start(&table, true), Ok(()));
        table.now = table.now.max(not_before_millis);
    }
    assert!((3 * HOUR..=6 * HOUR).contains(&longest), "{longest}");
}

#[test]
fn a_probe_wakes_nobody_in_hours_in_which_nothing_starts_unless_a_person_asks_for_it() {
    let night = json!({"from": "00:00", "to": "06:00", "freshness_seconds": null});
    let mut table = paced(&json!({}), &json!({"windows": [night]}));
    table.now = 12 * HOUR;
    table.record(&["a"]);
    for _ in 0..20 {
        table.run();
        table.fail("permission denied for relation t");
        let Step::Waiting { not_before_millis, .. } = table.load().step else { panic!("it waits") };
        assert_eq!(table.config.never_until(not_before_millis), None, "{not_before_millis}");
        table.now = not_before_millis;
    }
    table.run();
    table.fail("permission denied for relation t");
    table.now = (table.now / (24 * HOUR) + 1) * 24 * HOUR + HOUR;
    let asked = operator::resume(&table.slot(), "me", table.now).unwrap();
    assert_eq!(apply(&mut table.items, &asked), Written::Done);
    assert_eq!(start(&table, false), Ok(()));
}

#[test]
fn a_statement_that_runs_for_too_long_is_cancelled_once_and_its_status_decides() {
    let mut table = Table::with(json!({"load": {"timeout_minutes": 10}}));
    table.record(&["a"]);
    table.run();
    let slot = table.slot();
    let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
    assert!(!cancel::is_overdue(held.load, &table.context()));
    table.now += 10 * MINUTE;
    assert!(cancel::is_overdue(held.load, &table.context()));
    let change = cancel::cancelling(held, &table.context()).unwrap();
    assert_eq!(change.note, Note::Cancelling { minutes: 10 });
    table.done(&change);
    let slot = table.slot();
    let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
    assert!(cancel::is_overdue(held.load, &table.context()), "until it has ended");
    assert_eq!(cancel::cancelling(held, &table.context()), None);
    table.end(StatementStatus::Aborted { error: "cancelled".to_owned() });
    assert!(matches!(table.load().step, Step::Waiting { class: FailureClass::RetryLater, .. }));
    table.now += HOUR;
    table.run();
    table.finish();
    assert_eq!(table.n_loaded(), 1);
}

#[test]
fn a_person_can_cancel_a_statement_that_runs_and_nothing_else() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare_all();
    assert_eq!(operator::cancel(&table.slot(), "me", table.now), None);
    table.submit();
    let transaction = operator::cancel(&table.slot(), "me", table.now).unwrap();
    assert_eq!(apply(&mut table.items, &transaction), Written::Done);
    assert_eq!(apply(&mut table.items, &transaction), Written::Refused(vec![0]), "decided from a state that is gone");
    assert!(cancel::is_overdue(&table.load(), &table.context()));
    table.finish();
    assert_eq!(table.n_loaded(), 1, "it had finished before");
}

#[test]
fn a_table_whose_submit_is_refused_repeatedly_does_not_fall_behind() {
    // Also if the longest wait is shorter than the first.
    for cap in [600_000, 1_000] {
        refuse_again_and_again(cap);
    }
}

fn refuse_again_and_again(backoff_cap_millis: Millis) {
    let mut table = Table::new();
    table.timing.backoff_cap_millis = backoff_cap_millis;
    table.record(&["a"]);
    for _ in 0..30 {
        table.prepare_all();
        let slot = table.slot();
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let class = FailureClass::RetryLater;
        let refused = SubmitOutcome::Refused { class, reason: "too many".to_owned(), first_call: true };
        let change = settle::after_submit(held, &table.prepared(), refused, &table.context());
        table.done(&change);
        let Step::Waiting { not_before_millis, .. } = table.load().step else { panic!("it waits") };
        let base = table.timing.backoff_base_millis.min(backoff_cap_millis);
        assert!((base..=3 * base).contains(&(not_before_millis - table.now)));
        table.now = not_before_millis;
    }
}
