//! A load ends: the slot is freed, or taken by the next load in the same write.

use std::collections::BTreeMap;
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::limits::{LOAD_PENDINGS_MAX, TRANSACTION_ACTIONS_MAX};
use loader_core::outcome::FailureClass;
use loader_core::tracker::change::{Change, Committed, Note};
use loader_core::tracker::choose::{Choice, choose};
use loader_core::tracker::decide::{Action, Idle, decide};
use loader_core::tracker::item::{ConfigSource, Item, LedgerMark, PendingLoad};
use loader_core::tracker::settle::{self, StatementStatus};
use loader_core::tracker::slot::{Held, Step};
use loader_core::tracker::view::View;
use loader_core::tracker::write::{Written, apply};
use serde_json::json;

use crate::table::{HOUR, Table, keys, set};

fn n_next(change: &Change) -> usize {
    match change.note {
        Note::Finished { n_next, .. } => n_next,
        _ => panic!("{change:?}"),
    }
}

/// Settles from this view, not from the tracker's content.
fn settling_from(table: &Table, view: &View) -> Change {
    let slot = &view.state.slot;
    let next = choose(&table.name(), view, &table.context()).ok().and_then(Choice::load);
    let held = Held { slot, load: slot.load.as_ref().unwrap() };
    settle::finished(held, &table.own(), Committed::default(), next.as_ref(), &table.context())
}

#[test]
fn settling_removes_exactly_the_loaded_objects_and_keeps_new_ones() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    let view = table.view();
    table.record(&["b"]);
    // The view that the settlement is decided from does not contain `b`.
    let change = settling_from(&table, &view);
    assert_eq!(apply(&mut table.items, &change.transaction), Written::Done);
    assert_eq!(table.waiting_keys(), set(&["b"]));
    assert_eq!((table.slot().load, table.n_loaded()), (None, 1));
}

#[test]
fn the_next_load_takes_the_slot_with_the_settling_write() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    let first = table.load().load_id;
    table.record(&["b"]);
    table.record(&["c"]);
    let change = table.settling();
    assert_eq!(n_next(&change), 2);
    table.done(&change);
    let next = table.load();
    assert_eq!((next.step, keys(&table.own())), (Step::Claimed, vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!((table.slot().version, table.slot().number), (3, 2));
    assert_ne!(table.load().load_id, first);
    let (loaded, statements) = table.drain(|_| None);
    assert_eq!((loaded.len(), statements), (2, 1));
}

#[test]
fn a_next_load_of_entered_objects_must_still_be_there() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.record_entered(&["b"], &LedgerMark::Accepted);
    let change = table.settling();
    assert_eq!(n_next(&change), 1);
    table.items.retain(|_, item| !matches!(item, Item::Pending(pending) if pending.entered));
    assert!(matches!(table.apply(&change), Written::Refused(_)));
    assert_eq!(table.n_loaded(), 0);
}

#[test]
fn no_next_load_takes_the_slot_before_it_may_start() {
    let mut table = Table::with(json!({"load": {"age_seconds": 60}}));
    table.record(&["a"]);
    table.now += HOUR;
    table.run();
    table.record(&["b"]);
    let unripe = table.settling();
    assert_eq!(n_next(&unripe), 0);

    let queue = ConfigSource { queue: Some("q".into()), recorded: table.config.clone() };
    for item in table.items.values_mut() {
        if let Item::Pending(pending) = item {
            pending.source = queue.clone();
        }
    }
    table.now += HOUR;
    let mut view = table.view();
    assert_eq!(n_next(&settling_from(&table, &view)), 1, "ripe");
    let paused = Arc::new(LoadConfig { paused: true, ..(*table.config).clone() });
    view.configs = BTreeMap::from([("q".to_owned(), paused)]);
    assert_eq!(n_next(&settling_from(&table, &view)), 0, "paused");
}

/// A load of 80 pending loads is settled, and the next would need a check for each of its own 80.
#[test]
fn a_next_load_that_needs_too_many_actions_waits_for_the_free_slot() {
    for (n_next_pendings, taken) in [(18, 18), (19, 0)] {
        let mut table = Table::new();
        for number in 0..LOAD_PENDINGS_MAX {
            table.record(&[&format!("a{number}")]);
        }
        table.run();
        for number in 0..n_next_pendings {
            table.record_entered(&[&format!("b{number}")], &LedgerMark::Accepted);
        }
        let change = table.settling();
        assert_eq!(n_next(&change), taken);
        assert!(change.transaction.actions.len() <= TRANSACTION_ACTIONS_MAX);
        table.done(&change);
        assert_eq!(table.drain(|_| None).0.len(), n_next_pendings);
    }
}

#[test]
fn the_history_contains_the_load() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    for item in table.items.values_mut() {
        if let Item::Pending(pending) = item {
            pending.created_millis = Some(pending.recorded_millis - 2_000);
        }
    }
    table.now += 5_000;
    table.run();
    let load = table.load();
    table.now += 700;
    let note = table.finish();
    assert!(matches!(
        note,
        Note::Finished {
            n_objects: 2,
            committed: Committed { rows: Some(1), .. },
            arrival_millis: 2_000,
            queue_wait_millis: 5_001,
            load_millis: 700,
            ..
        }
    ));
    let history =
        table.items.values().find_map(|item| if let Item::Loaded(h) = item { Some(h) } else { None }).unwrap();
    assert_eq!((&history.load_id, history.statement_id.as_str(), history.number), (&load.load_id, "s", 1));
    assert_eq!((history.n_objects, history.size_bytes, history.attempts), (2, 2, 1));
    assert_eq!(history.statement_name.as_ref().map(|name| &name.load_id), Some(&load.load_id));
}

#[test]
fn an_operators_turn_keeps_every_file_and_probes() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    for _ in 0..20 {
        table.now += HOUR;
        table.run();
        table.fail("permission denied for relation t");
        assert_eq!(table.waiting_keys().len(), 2);
        let view = table.view();
        assert!(matches!(decide(&table.name(), &view, &table.context()), Action::Idle(Idle::NotBefore(_))));
    }
}

#[test]
fn what_is_missing_beside_the_objects_is_an_operators_turn() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    for n_failures in 1..=10 {
        table.now += HOUR;
        table.run();
        table.fail("S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey");
        assert_eq!(table.waiting_keys().len(), 2, "a file is blamed for the JSONPaths file");
        let Step::Waiting { class, .. } = table.load().step else { panic!("not waiting") };
        let expected = if n_failures <= 3 { FailureClass::Refresh } else { FailureClass::OperatorsTurn };
        assert_eq!(class, expected, "failure {n_failures}");
    }
}

#[test]
fn an_unexplained_failure_sets_an_object_aside_and_then_quarantines_it() {
    let mut table = Table::new();
    table.record(&["a"]);
    let (mut probes, mut aside) = (0, 0);
    while table.quarantine().is_empty() {
        table.now += HOUR;
        table.run();
        table.fail("what nobody has ever seen");
        let waits: Vec<PendingLoad> = table.backlog();
        match &table.slot().load {
            Some(load) => assert!(matches!(load.step, Step::Waiting { .. }), "{:?}", load.step),
            None => aside += usize::from(!waits.is_empty()),
        }
        probes += usize::from(table.slot().load.is_some());
        assert!(probes + aside < 20, "for ever");
    }
    assert_eq!((probes, aside), (6, 6));
}

/// The tracker keeps the full error text for the operator; a log is read by more people and kept longer.
#[test]
fn the_log_of_a_failure_contains_no_values_of_rows() {
    let texts = [
        "Load into table 't' failed; file 's3://b/a' line 3 column 'id': Invalid digit, Value 'secret', Pos 0",
        "ERROR: permission denied for relation secret",
        "ERROR: deadlock detected: secret",
        "Failing row contains (secret)",
    ];
    let failed = texts.map(|text| StatementStatus::Failed { error: text.to_owned() });
    let aborted = StatementStatus::Aborted { error: "cancelled at row (secret)".to_owned() };
    for status in failed.into_iter().chain([aborted]) {
        let mut table = Table::new();
        table.record(&["a"]);
        table.run();
        let slot = table.slot();
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let change = settle::after_status(held, &table.own(), status.clone(), &table.context()).unwrap();
        assert!(!format!("{:?}", change.note).contains("secret"), "{:?}", change.note);
        assert!(format!("{:?}", change.transaction).contains("secret"), "the tracker does not say why: {status:?}");
    }
}
