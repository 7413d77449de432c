//! The current state of S3 determines what is listed. Objects that could not be looked at in time stay in the backlog.

use std::collections::BTreeSet;

use loader_core::ids::{LoadId, Version, WaitingObject};
use loader_core::outcome::FailureClass;
use loader_core::sql::columns::TargetColumns;
use loader_core::tracker::change::Note;
use loader_core::tracker::item::{LedgerMark, PendingLoad, SortKey};
use loader_core::tracker::operator;
use loader_core::tracker::prepare::{self, ObjectState};
use loader_core::tracker::slot::KnownColumns;
use loader_core::tracker::write::{WriteAction, Written, apply};

use crate::table::{HOUR, Table, found, keys, object, set};

fn objects(table: &Table) -> Vec<Vec<WaitingObject>> {
    table.own().into_iter().map(|pending| pending.objects).collect()
}

#[test]
fn a_newer_version_replaces_the_older_one() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare(vec![found("2")]);
    assert_eq!(objects(&table), [[object("a", "2")]]);
    table.submit();
    table.finish();
    assert!(matches!(table.mark(&object("a", "2").object), Some(LedgerMark::Loaded(_))));
    assert_eq!(table.mark(&object("a", "1").object), None, "its rows are in no table");
}

#[test]
fn a_newer_version_that_waits_in_the_same_load_is_listed_once() {
    for order in [["1", "2"], ["2", "1"]] {
        let mut table = Table::new();
        table.record_objects(order.map(|etag| object("a", etag)).to_vec());
        assert!(matches!(table.prepare(vec![found("2"); 2]), Note::Prepared { n_objects: 1, n_known: 1, .. }));
        assert_eq!(objects(&table), [[object("a", "2")]]);
    }
}

#[test]
fn a_newer_version_in_the_ledger_replaces_the_older_one() {
    for mark in [LedgerMark::Accepted, LedgerMark::Loaded(LoadId("l".into())), LedgerMark::Quarantined] {
        let mut table = Table::new();
        table.know(&object("a", "2").object, mark);
        table.record(&["a", "b"]);
        table.prepare(vec![found("2"), found("1")]);
        assert_eq!(objects(&table), [[object("b", "1")]]);
    }
}

#[test]
fn a_newer_version_that_waits_elsewhere_is_loaded_here_and_dropped_there() {
    let mut table = Table::new();
    table.record(&["a"]);
    let (change, _) = table.plan(vec![found("2")]);
    table.record_objects(vec![object("a", "2")]);
    table.done(&change);
    table.submit();
    assert_eq!(objects(&table), [[object("a", "2")]]);
    table.finish();
    assert!(matches!(table.prepare(vec![found("2")]), Note::Emptied { n_known: 1, n_deleted: 0, misfits: None }));
}

/// The newer version was not looked at, so it is not known whether it belongs to this load.
#[test]
fn a_newer_version_beyond_the_end_of_looking_is_loaded_here() {
    let mut table = Table::new();
    table.record_objects(vec![object("a", "1"), object("b", "1"), object("a", "2")]);
    table.prepare(vec![found("2"), found("1")]);
    assert_eq!(objects(&table), [[object("a", "2"), object("b", "1")]]);
    assert_eq!(table.drain_after_submit(), [object("a", "2"), object("b", "1")].map(|o| o.object.key));
    assert_eq!(table.waiting_keys(), set(&[]), "the duplicate is dropped when its turn comes");
}

impl Table {
    /// Settles this load and drains the rest. Returns the keys that were loaded, in order.
    fn drain_after_submit(&mut self) -> Vec<String> {
        self.submit();
        let mut loaded = keys(&self.own());
        self.finish();
        loaded.extend(self.drain_states("2"));
        loaded
    }

    fn drain_states(&mut self, etag: &str) -> Vec<String> {
        let mut loaded = Vec::new();
        while !self.backlog().is_empty() {
            let n_objects = keys(&self.begin().1).len();
            self.prepare(vec![found(etag); n_objects]);
            if self.slot().load.is_some() {
                self.submit();
                loaded.extend(keys(&self.own()));
                self.finish();
            }
        }
        loaded
    }
}

#[test]
fn the_same_version_is_not_newer() {
    let versioned = WaitingObject {
        object: loader_core::ids::ObjectVersion { version: Version::Id("v1".into()), ..object("a", "1").object },
        size_bytes: 1,
    };
    let state = |version_id: &str| ObjectState::Found {
        version_id: Some(version_id.into()),
        etag: Some("1".into()),
        size_bytes: 2,
    };
    assert_eq!(prepare::newer(&versioned, &state("v1")), None);
    assert_eq!(prepare::newer(&versioned, &state("v2")).unwrap().version, Version::Id("v2".into()));
    assert_eq!(prepare::newer(&object("a", "1"), &found("\"1\"")), None, "S3 writes quotes around an eTag");
    assert_eq!(prepare::newer(&object("a", "1"), &ObjectState::Missing), None);
    assert_eq!(prepare::newer(&object("a", "1"), &ObjectState::AsNotified), None);
}

#[test]
fn the_manifest_has_the_current_size_or_the_notified_one_without_a_look() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    let larger = ObjectState::Found { version_id: None, etag: Some("1".into()), size_bytes: 77 };
    let (change, manifest) = table.plan(vec![larger, ObjectState::AsNotified]);
    let manifest = manifest.unwrap();
    assert!(manifest.contains("\"content_length\":77") && manifest.contains("\"content_length\":1}"), "{manifest}");
    assert_eq!(change.transaction.actions.len(), 1, "a size alone does not change the pending load");
    table.done(&change);
    assert_eq!(table.prepared().size_bytes, 78);
}

#[test]
fn a_deleted_object_is_quarantined_and_loads_if_uploaded_again() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    let note = table.prepare(vec![ObjectState::Missing, found("1")]);
    assert!(matches!(note, Note::Prepared { n_deleted: 1, n_objects: 1, .. }));
    assert_eq!(table.waiting_keys(), set(&["b"]));
    assert_eq!(table.quarantine()[0].class, FailureClass::Deleted);
    assert_eq!(table.mark(&object("a", "1").object), None);
    table.submit();
    table.finish();

    table.record(&["a"]);
    let retry = operator::retry(&table.quarantine()[0], table.now);
    assert_eq!(apply(&mut table.items, &retry), Written::Done);
    let (loaded, _) = table.drain(|_| None);
    assert_eq!(loaded.into_iter().collect::<Vec<_>>(), [("a".into(), 1)], "uploaded again, and sent again");
}

/// The older version's ledger entry says nothing about the newer one: if that is in quarantine, it must not be quarantined again.
#[test]
fn a_newer_version_of_an_entered_object_waits_like_any_other() {
    let mut table = Table::new();
    table.record_entered(&["a", "b"], &LedgerMark::Accepted);
    let note = table.prepare(vec![found("2"), found("1")]);
    assert!(matches!(note, Note::Prepared { n_objects: 1, .. }), "{note:?}");
    assert_eq!(keys(&table.own()), ["b"]);
    let waits: Vec<PendingLoad> = table.backlog().into_iter().filter(|pending| !pending.entered).collect();
    assert_eq!(waits.len(), 1);
    assert_eq!((&waits[0].objects, &waits[0].group), (&vec![object("a", "2")], &None));
    table.know(&object("a", "2").object, LedgerMark::Quarantined);
    table.submit();
    table.finish();
    assert_eq!(table.drain(|_| None).0.len(), 0, "what came to quarantine by its own notification");
    assert!(table.backlog().is_empty());
}

#[test]
fn a_deleted_object_that_had_entered_leaves_the_ledger() {
    let mut table = Table::new();
    table.record_entered(&["a"], &LedgerMark::Accepted);
    assert_eq!(table.prepare(vec![ObjectState::Missing]), Note::Emptied { n_deleted: 1, n_known: 0, misfits: None });
    assert_eq!(table.mark(&object("a", "1").object), None);
    assert_eq!((table.slot().load, table.quarantine().len()), (None, 1));
}

#[test]
fn a_deleted_object_that_waits_twice_is_quarantined_once() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.record(&["a"]);
    table.prepare(vec![ObjectState::Missing; 2]);
    assert_eq!(table.quarantine()[0].objects, [object("a", "1")]);
    assert!(table.backlog().is_empty());
}

/// Two pending loads of three objects; looking ends after every possible number of them.
#[test]
fn objects_that_were_not_looked_at_stay_in_the_backlog() {
    for n_seen in 1..=6 {
        let mut table = Table::new();
        table.record(&["a1", "a2", "a3"]);
        table.record(&["b1", "b2", "b3"]);
        let before = table.backlog();
        let (change, _) = table.plan(vec![found("1"); n_seen]);
        let written: Vec<SortKey> = change.transaction.actions.iter().map(WriteAction::key).collect();
        assert_eq!(written.contains(&before[1].key), matches!(n_seen, 4 | 5), "only a divided one is written");
        table.done(&change);
        let all = keys(&before);
        assert_eq!(keys(&table.own()), all[..n_seen], "listed");
        assert_eq!(table.prepared().n_objects, n_seen as u64);
        let rest: BTreeSet<String> = keys(&table.view().others().cloned().collect::<Vec<_>>()).into_iter().collect();
        assert_eq!(rest, all[n_seen..].iter().cloned().collect(), "left");
        // A parted pending load keeps its key for the listed objects; one that was not looked at is not written at all.
        let kept: Vec<SortKey> = before[..n_seen.div_ceil(3)].iter().map(|pending| pending.key.clone()).collect();
        assert_eq!(table.load().pending_keys, kept);
        assert_eq!(table.view().state.backlog.contains(&before[1]), n_seen == 6 || n_seen <= 3);
        table.now += HOUR;
        table.submit();
        table.finish();
        let (loaded, _) = table.drain(|_| None);
        assert_eq!(loaded.into_keys().collect::<Vec<_>>(), all[n_seen..]);
    }
}

#[test]
fn if_looking_ends_among_known_and_deleted_objects_only_the_rest_stays() {
    for (state, known) in [(ObjectState::Missing, false), (found("1"), true)] {
        let mut table = Table::new();
        table.record(&["a", "b"]);
        if known {
            table.know(&object("a", "1").object, LedgerMark::Quarantined);
        }
        let key = table.backlog()[0].key.clone();
        table.prepare(vec![state]);
        assert_eq!(table.slot().load, None, "nothing to load was seen");
        assert_eq!((keys(&table.backlog()), &table.backlog()[0].key), (vec!["b".to_owned()], &key));
        assert_eq!(table.quarantine().len(), usize::from(!known));
    }
}

#[test]
fn the_rest_of_a_pending_load_keeps_its_attributes() {
    let mut table = Table::new();
    table.record_entered(&["a", "b"], &LedgerMark::Accepted);
    table.now += HOUR;
    table.prepare(vec![found("1")]);
    let rest = table.view().others().next().cloned().unwrap();
    assert_eq!((keys(std::slice::from_ref(&rest)), rest.entered), (vec!["b".to_owned()], true));
    assert_eq!(rest.recorded_millis, 1_000_000, "how long it has waited");
    assert!(rest.key > table.own()[0].key);
}

#[test]
fn a_changed_object_is_refreshed_whatever_failed_before() {
    let mut table = Table::new();
    table.record(&["a"]);
    for error in ["permission denied for relation t", "Rate exceeded", "permission denied for relation t"] {
        table.now += HOUR;
        table.run();
        table.fail(error);
    }
    for _ in 0..3 {
        table.now += HOUR;
        table.run();
        table.fail("the content_length of the manifest does not match");
        assert_eq!(table.waiting_keys().len(), 1, "quarantined at once");
    }
    table.now += HOUR;
    table.run();
    table.fail("the content_length of the manifest does not match");
    assert!(table.waiting_keys().is_empty(), "refreshed for ever");
}

#[test]
fn columns_are_kept_beside_the_slot_and_forgotten_when_a_statement_fails() {
    let columns = |kind: &str| {
        let row = ["id", "", kind, "NO"].map(|cell| Some(cell.to_owned())).to_vec();
        Some(KnownColumns { columns: TargetColumns::from_rows(&[row]), asked_millis: 5 })
    };
    let mut table = Table::new();
    table.columns = columns("integer");
    table.record(&["a"]);
    table.run();
    table.columns = None;
    table.end(loader_core::tracker::settle::StatementStatus::Aborted { error: String::new() });
    assert_eq!(table.slot().columns, columns("integer"), "an aborted statement says nothing about the table");
    table.now += HOUR;
    table.run();
    table.finish();
    assert_eq!(table.slot().columns, columns("integer"), "they outlast their load");

    table.record(&["b"]);
    table.run();
    assert_eq!(table.slot().columns, columns("integer"));
    table.fail("column \"id\" does not exist");
    assert_eq!(table.slot().columns, None);
    table.columns = columns("bigint");
    table.now += HOUR;
    table.run();
    assert_eq!(table.slot().columns, columns("bigint"), "asked for again");
}
