//! What prevents an object version from being loaded twice.

use loader_core::ids::{LoadId, ObjectVersion};
use loader_core::limits::LEDGER_ENTRIES_IN_TRANSACTION_MAX;
use loader_core::outcome::FailureClass;
use loader_core::tracker::change::Note;
use loader_core::tracker::item::LedgerMark;
use loader_core::tracker::operator;
use loader_core::tracker::write::{Written, apply};

use serde_json::json;

use crate::table::{HOUR, Table, found, keys, many, object, refs, set};

fn loaded_before() -> LedgerMark {
    LedgerMark::Loaded(LoadId("before".into()))
}

fn a() -> ObjectVersion {
    object("a", "1").object
}

#[test]
fn an_object_version_that_is_recorded_twice_is_loaded_once() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    assert_eq!(table.record(&["b", "c"]), Written::Done, "recording asks nobody");
    let (loaded, statements) = table.drain(|_| None);
    assert_eq!(loaded.into_iter().collect::<Vec<_>>(), [("a".into(), 1), ("b".into(), 1), ("c".into(), 1)]);
    assert_eq!(statements, 1);
    table.record(&["a", "d"]);
    let (loaded, _) = table.drain(|_| None);
    assert_eq!(loaded.into_iter().collect::<Vec<_>>(), [("d".into(), 1)]);
}

#[test]
fn a_duplicate_that_waits_while_its_object_is_loaded_is_dropped_when_its_turn_comes() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.record(&["a"]);
    table.finish();
    table.prepare_all();
    assert_eq!(table.waiting_keys(), set(&[]));
    assert_eq!(table.n_loaded(), 1);
}

#[test]
fn objects_in_the_ledger_are_dropped_whatever_their_mark() {
    for mark in [LedgerMark::Accepted, loaded_before(), LedgerMark::Quarantined] {
        let mut table = Table::new();
        table.know(&a(), mark);
        table.record(&["a", "b"]);
        assert!(matches!(table.prepare_all(), Note::Prepared { n_objects: 1, n_known: 1, n_deleted: 0, .. }));
        assert_eq!(table.waiting_keys(), set(&["b"]));
    }
}

#[test]
fn an_order_to_load_again_loads_once_what_was_loaded_before_its_instant() {
    let before = 1_000_000 + 24 * HOUR;
    let mut table = Table::with(json!({"again_before_millis": before}));
    let since = object("since", "1").object;
    table.know(&a(), loaded_before());
    table.know(&object("bad", "1").object, LedgerMark::Quarantined);
    table.now = before;
    table.know(&since, loaded_before());
    // Recorded twice by an invocation that died, and loaded by one whose clock is behind.
    table.now = 1_000_000;
    table.record(&["a", "new", "since", "bad"]);
    table.record(&["a"]);
    let loaded = table.drain(|_| None).0;
    assert_eq!(loaded.into_iter().collect::<Vec<_>>(), [("a".into(), 1), ("new".into(), 1)]);
    table.record(&["a", "new"]);
    assert_eq!(table.drain(|_| None).0.len(), 0, "the same order once more");
}

#[test]
fn a_load_with_only_known_objects_is_emptied_without_a_statement() {
    let mut table = Table::new();
    table.know(&a(), loaded_before());
    table.record(&["a"]);
    let (change, manifest) = table.plan(vec![found("1")]);
    assert_eq!(change.note, Note::Emptied { n_deleted: 0, n_known: 1, misfits: None });
    assert_eq!(manifest, None);
    table.done(&change);
    assert_eq!((table.backlog().len(), table.slot().load, table.slot().number), (0, None, 0));
}

#[test]
fn only_loaded_objects_among_the_entered_are_dropped() {
    for (mark, waiting) in
        [(LedgerMark::Accepted, &["a"][..]), (LedgerMark::Quarantined, &["a"]), (loaded_before(), &[])]
    {
        let mut table = Table::new();
        table.record_entered(&["a"], &mark);
        table.prepare_all();
        assert_eq!(table.waiting_keys(), set(waiting), "{mark:?}");
    }
}

/// Loader 0.1 recorded `a`, and its notification arrives again.
#[test]
fn an_entered_object_is_not_loaded_a_second_time_by_its_duplicate() {
    let mut table = Table::new();
    table.record_entered(&["a"], &LedgerMark::Accepted);
    table.record(&["a", "b"]);
    let (loaded, _) = table.drain(|_| None);
    assert_eq!(loaded.into_iter().collect::<Vec<_>>(), [("a".into(), 1), ("b".into(), 1)]);
}

#[test]
fn a_duplicate_inside_one_load_is_listed_once() {
    let mut table = Table::new();
    table.record_objects(vec![object("a", "1"), object("a", "1")]);
    table.record(&["a", "b"]);
    let (change, manifest) = table.plan(vec![found("1"); 4]);
    assert!(matches!(change.note, Note::Prepared { n_objects: 2, n_known: 2, .. }), "{:?}", change.note);
    assert_eq!(manifest.unwrap().matches("s3://b/a").count(), 1);
    table.done(&change);
    assert_eq!(keys(&table.own()), ["a", "b"]);
}

#[test]
fn the_entries_of_a_few_objects_are_part_of_the_settling_write_and_those_of_many_come_before_it() {
    for (n_objects, before) in [(LEDGER_ENTRIES_IN_TRANSACTION_MAX, 0), (LEDGER_ENTRIES_IN_TRANSACTION_MAX + 1, 9)] {
        let mut table = Table::new();
        let all = many(n_objects);
        table.record(&refs(&all));
        table.run();
        let load_id = table.load().load_id;
        let change = table.settling();
        assert_eq!(change.entries.len(), before);
        table.done(&change);
        for key in &all {
            assert_eq!(table.mark(&object(key, "1").object), Some(LedgerMark::Loaded(load_id.clone())));
        }
    }
}

/// The invocation that wrote the entries was killed before the settlement.
#[test]
fn ledger_entries_without_the_settlement_do_no_harm() {
    let mut table = Table::new();
    table.record(&refs(&many(20)));
    table.run();
    let killed = table.settling();
    for entry in &killed.entries {
        table.know(&entry.object, entry.mark.clone());
    }
    table.now += HOUR;
    assert!(matches!(table.finish(), Note::Finished { n_objects: 20, .. }));
    assert_eq!((table.n_loaded(), table.backlog().len()), (1, 0));
}

#[test]
fn an_entry_holds_as_long_as_the_ledger_remembers() {
    let mut table = Table::new();
    table.record(&refs(&many(9)));
    table.run();
    let entry = &table.settling().entries[0];
    assert_eq!((entry.entered_millis, entry.expires_at), (table.now, (table.now + table.timing.ledger_millis) / 1000));
}

#[test]
fn a_quarantined_object_is_not_loaded_again_until_an_operator_says_so() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.fail("Load into table 't' failed. Check 'sys_load_error_detail'");
    assert_eq!(table.quarantine()[0].class, FailureClass::BadInput);
    assert_eq!(table.mark(&a()), Some(LedgerMark::Quarantined));

    table.record(&["a"]);
    assert_eq!(table.drain(|_| None).1, 0, "its notification alone changes nothing");

    let retry = operator::retry(&table.quarantine()[0], table.now);
    assert_eq!(apply(&mut table.items, &retry), Written::Done);
    table.record(&["a"]);
    assert_eq!(table.drain(|_| None).0.into_iter().collect::<Vec<_>>(), [("a".into(), 1)]);
    assert!(matches!(table.mark(&a()), Some(LedgerMark::Loaded(_))));
}
