//! A bad file ends up alone, and all others are loaded.

use std::collections::BTreeSet;

use loader_core::ids::WaitingObject;
use loader_core::outcome::FailureClass;
use loader_core::tracker::change::Note;
use loader_core::tracker::decide::{Action, Idle, decide};
use loader_core::tracker::item::{LedgerMark, SortKey};
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::slot::{Held, Step};
use loader_core::tracker::{settle, split};

use crate::table::{HOUR, Table, keys, many, object, refs, set};

#[test]
fn a_bad_file_is_isolated_by_halving_within_the_bound() {
    let mut table = Table::new();
    table.record(&refs(&many(64)));
    let error = "Load into table 't' failed. Check 'sys_load_error_detail'";
    let (loaded, statements) = table.drain(|keys| keys.contains("f42").then(|| error.to_owned()));
    assert_eq!(loaded.len(), 63);
    assert!(loaded.values().all(|times| *times == 1));
    assert!(statements <= 1 + 2 * 6 + 2, "{statements} statements");
    assert_eq!(table.quarantine().len(), 1);
}

#[test]
fn one_bad_file_in_each_of_many_pending_loads_is_separated_at_once() {
    let mut table = Table::new();
    for number in 0..40 {
        table.record(&[&format!("good{number}"), &format!("bad{number}")]);
    }
    let error = |keys: &BTreeSet<String>| {
        let named: Vec<String> =
            keys.iter().filter(|key| key.starts_with("bad")).map(|key| format!("file 's3://b/{key}' line 1")).collect();
        (!named.is_empty()).then(|| format!("Load into table 't' failed; {}", named.join("; ")))
    };
    let (loaded, _) = table.drain(error);
    assert_eq!(loaded.into_keys().collect::<BTreeSet<_>>(), (0..40).map(|number| format!("good{number}")).collect());
    let quarantined: Vec<WaitingObject> = table.quarantine().into_iter().flat_map(|failed| failed.objects).collect();
    assert_eq!(quarantined.len(), 40);
    assert!(quarantined.iter().all(|waiting| table.mark(&waiting.object) == Some(LedgerMark::Quarantined)));
}

#[test]
fn a_file_that_the_warehouse_names_is_separated_at_once() {
    let mut table = Table::new();
    table.record(&["a", "b", "c", "ab"]);
    table.run();
    table.fail("Load into table 't' failed; file 's3://b/a' line 1");
    let groups: Vec<Vec<String>> = table.backlog().iter().map(|part| keys(std::slice::from_ref(part))).collect();
    assert!(groups.contains(&vec!["a".to_owned()]), "{groups:?}");
    assert_eq!(groups.len(), 2);
    assert_ne!(table.backlog()[0].group, table.backlog()[1].group);
    assert_eq!(table.slot().load, None);
}

#[test]
fn the_parts_of_a_load_are_not_joined_with_others() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    table.run();
    table.fail("Load into table 't' failed");
    table.record(&["c"]);
    let (loaded, statements) = table.drain(|_| None);
    assert_eq!((loaded.len(), statements), (3, 3));
}

#[test]
fn entered_objects_stay_apart_from_others_when_a_load_is_divided() {
    let mut table = Table::new();
    table.record_entered(&["a", "b"], &LedgerMark::Accepted);
    table.record(&["c", "d"]);
    table.run();
    table.fail("Load into table 't' failed; file 's3://b/a' line 1; file 's3://b/c' line 1");
    let parts: BTreeSet<(Vec<String>, bool)> =
        table.backlog().iter().map(|part| (keys(std::slice::from_ref(part)), part.entered)).collect();
    let part = |key: &str, entered| (vec![key.to_owned()], entered);
    assert_eq!(parts, [part("a", true), part("b", true), part("c", false), part("d", false)].into());
}

#[test]
fn a_pending_load_that_is_written_again_gets_a_new_key() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.record(&["b"]);
    table.run();
    let before: BTreeSet<SortKey> = table.backlog().into_iter().map(|pending| pending.key).collect();
    // A clock that is behind shows the very instant of the first record.
    table.now = 1_000_000;
    table.fail("Load into table 't' failed");
    let after: BTreeSet<SortKey> = table.backlog().into_iter().map(|pending| pending.key).collect();
    assert!(before.is_disjoint(&after) && after.len() == 2, "{before:?} {after:?}");
}

/// Loader 0.1 entered each object in the ledger. All of them are deleted, and leave the ledger again.
#[test]
fn more_deleted_objects_than_fit_one_transaction_take_several() {
    let mut table = Table::new();
    table.record_entered(&refs(&many(120)), &LedgerMark::Accepted);
    let note = table.prepare(vec![ObjectState::Missing; 120]);
    assert!(matches!(note, Note::Split { parts: [60, 60], .. }), "{note:?}");
    while !table.backlog().is_empty() {
        table.now += 1;
        let n_objects = keys(&table.begin().1).len();
        table.prepare(vec![ObjectState::Missing; n_objects]);
    }
    let gone: usize = table.quarantine().iter().map(|failed| failed.objects.len()).sum();
    assert_eq!(gone, 120);
    assert_eq!(table.mark(&object("f7", "1").object), None);
}

impl Table {
    /// These objects of the current load may not be looked at.
    fn refuse(&mut self, keys: &[&str]) -> Note {
        let (load, pendings) = self.begin();
        let refused = keys.iter().map(|key| object(key, "1").object.id()).collect();
        let slot = self.slot();
        let held = Held { slot: &slot, load: &load };
        let change = settle::unreadable(held, &pendings, &refused, "403".into(), &self.context());
        self.done(&change);
        change.note
    }
}

#[test]
fn an_object_that_may_not_be_read_is_separated_and_delays_no_other() {
    let mut table = Table::new();
    table.record(&["a", "foreign", "b"]);
    table.refuse(&["foreign"]);
    let mut loaded = BTreeSet::new();
    while loaded.len() < 2 {
        table.now += HOUR;
        let own = keys(&table.begin().1);
        if own == ["foreign"] {
            table.refuse(&["foreign"]);
            assert_eq!(table.slot().load, None, "it holds up the others");
            continue;
        }
        table.run();
        table.finish();
        loaded.extend(own);
    }
    assert_eq!(table.waiting_keys(), set(&["foreign"]));
}

#[test]
fn a_table_whose_objects_may_not_be_read_waits_and_gives_way_after_some_probes() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    let mut n_probes = 0;
    loop {
        table.now += HOUR;
        table.refuse(&["a", "b"]);
        assert_eq!(table.waiting_keys().len(), 2, "a file is lost");
        n_probes += 1;
        assert!(n_probes <= 7, "it gives way to nobody");
        let Some(load) = table.slot().load else { break };
        assert!(matches!(load.step, Step::Waiting { class: FailureClass::OperatorsTurn, .. }), "{load:?}");
    }
    assert_eq!(n_probes, 7, "it gives way too soon");
    table.now += 1;
    let view = table.view();
    assert!(matches!(decide(&table.name(), &view, &table.context()), Action::Idle(Idle::NotBefore(_))));
}

/// The notification of an object that loader 0.1 recorded arrived again, and no one may read the object.
#[test]
fn an_object_that_waits_twice_and_may_not_be_read_waits_once() {
    for entered in [true, false] {
        let mut table = Table::new();
        if entered {
            table.record_entered(&["a"], &LedgerMark::Accepted);
        } else {
            table.record(&["a"]);
        }
        table.record(&["a"]);
        table.record(&["b"]);
        table.now += HOUR;
        assert!(matches!(table.refuse(&["a"]), Note::Split { parts: [1, 1], .. }));
        table.now += HOUR;
        assert_eq!(keys(&table.backlog()), ["a", "b"]);
        assert_eq!(table.backlog().iter().any(|pending| pending.entered), entered);
    }
}

/// The same, but it is the only waiting object, so the permission itself may be missing.
#[test]
fn an_object_that_waits_twice_is_one_object_when_it_is_alone() {
    let mut table = Table::new();
    table.record_entered(&["a"], &LedgerMark::Accepted);
    table.record(&["a"]);
    for _ in 0..6 {
        table.now += HOUR;
        assert!(matches!(table.refuse(&["a"]), Note::Failed { class: FailureClass::OperatorsTurn, .. }));
    }
    table.now += HOUR;
    table.refuse(&["a"]);
    let waits = table.backlog();
    assert_eq!((keys(&waits), waits[0].entered), (vec!["a".to_owned()], true), "set aside, once");
}

#[test]
fn an_object_that_waits_twice_is_on_one_side_of_a_split() {
    let mut table = Table::new();
    table.record_entered(&refs(&many(60)), &LedgerMark::Accepted);
    table.record_entered(&["x"], &LedgerMark::Accepted);
    table.record(&refs(&many(60)));
    let (load, pendings) = table.begin();
    let slot = table.slot();
    let held = Held { slot: &slot, load: &load };
    let change = split::halves(held, &pendings, "test", &table.context());
    table.done(&change);
    assert_eq!(keys(&table.backlog()).len(), 61);
    assert!(matches!(change.note, Note::Split { parts: [30, 31], .. }), "{:?}", change.note);
}

#[test]
fn a_load_can_be_divided_before_it_takes_the_slot() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    let (load, pendings) = table.begin();
    let slot = table.slot();
    assert_eq!(slot.load, None);
    let held = Held { slot: &slot, load: &load };
    let change = split::halves(held, &pendings, "test", &table.context());
    table.done(&change);
    assert_eq!((table.slot().version, table.slot().load), (1, None));
    assert_eq!(table.drain(|_| None).0.len(), 2);
}
