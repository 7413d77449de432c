//! Files whose columns do not match the target's are quarantined before COPY, each with its ledger entry in the same write.

use std::collections::BTreeMap;

use loader_core::drift::Misfit;
use loader_core::limits::TRANSACTION_ACTIONS_MAX;
use loader_core::outcome::FailureClass;
use loader_core::tracker::change::Note;
use loader_core::tracker::item::LedgerMark;
use loader_core::tracker::operator;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::write::{Written, apply};

use crate::table::{Table, found, keys, object};

fn misfit(what: &str) -> Misfit {
    Misfit { error: format!("it has {what}"), remedy: format!("mend {what}") }
}

/// A table that these files do not fit in their first version.
fn table_with(misfits: &[(&str, &str)]) -> Table {
    let id = |key: &str| object(key, "1").object.id();
    let misfits = misfits.iter().map(|(key, what)| (id(key), misfit(what))).collect();
    Table { misfits, ..Table::new() }
}

#[test]
fn a_misfit_is_quarantined_and_the_others_are_listed() {
    let mut table = table_with(&[("b", "x"), ("d", "x")]);
    table.record(&["a", "b", "c", "d"]);
    let (change, manifest) = table.plan(vec![found("1"); 4]);
    assert!(change.entries.is_empty(), "nothing is entered before it is decided");
    table.done(&change);
    assert!(matches!(&change.note, Note::Prepared { n_objects: 2, misfits: Some(it), .. } if it.n_objects == 2));
    assert_eq!(keys(&table.own()), ["a", "c"]);
    assert!(!manifest.unwrap().contains("s3://b/b"));
    let quarantine = table.quarantine();
    assert_eq!(quarantine.len(), 1, "files of one shape share an item");
    assert_eq!((quarantine[0].class, quarantine[0].objects.len()), (FailureClass::BadInput, 2));
    assert_eq!(quarantine[0].error, "s3://b/b and 1 more: it has x");
    assert_eq!(quarantine[0].remedy, "mend x");
    assert_eq!(table.mark(&object("b", "1").object), Some(LedgerMark::Quarantined));
}

#[test]
fn misfits_alone_leave_the_slot_free_and_a_repeated_notification_changes_nothing() {
    let mut table = table_with(&[("a", "x"), ("b", "y")]);
    table.record(&["a", "b"]);
    assert!(matches!(table.prepare(vec![found("1"); 2]), Note::Emptied { misfits: Some(_), .. }));
    assert_eq!((table.slot().load, table.backlog().len(), table.quarantine().len()), (None, 0, 2));
    table.misfits.clear();
    table.record(&["a"]);
    assert_eq!(table.prepare(vec![found("1")]), Note::Emptied { n_deleted: 0, n_known: 1, misfits: None });
}

#[test]
fn a_retried_misfit_is_loaded_once_it_fits() {
    let mut table = table_with(&[("a", "x")]);
    table.record(&["a"]);
    table.prepare(vec![found("1")]);
    let retry = operator::retry(&table.quarantine()[0], table.now);
    assert_eq!(apply(&mut table.items, &retry), Written::Done);
    table.prepare_all();
    assert_eq!((table.backlog().len(), table.quarantine().len()), (0, 1), "it still does not fit");
    table.misfits.clear();
    table.now += 1;
    let retry = operator::retry(&table.quarantine()[0], table.now);
    assert_eq!(apply(&mut table.items, &retry), Written::Done);
    let (loaded, _) = table.drain(|_| None);
    assert_eq!(loaded, BTreeMap::from([("a".to_owned(), 1)]));
}

#[test]
fn a_newer_version_that_does_not_fit_takes_the_older_one_with_it() {
    let mut table = Table::new();
    table.misfits.insert(object("a", "2").object.id(), misfit("x"));
    table.record(&["a"]);
    table.prepare(vec![found("2")]);
    assert_eq!(table.quarantine()[0].objects, [object("a", "2")]);
    assert!(table.backlog().is_empty());
    for etag in ["1", "2"] {
        table.record_objects(vec![object("a", etag)]);
        table.prepare(vec![found("2")]);
        assert_eq!((table.backlog().len(), table.quarantine().len()), (0, 1), "version {etag} came again");
    }
}

/// A transaction has 100 actions, and an entry written before it could belong to a file that is still waiting.
#[test]
fn more_misfits_than_a_transaction_takes_stay_in_the_backlog() {
    for (n_pendings, shapes) in [(1, 1), (1, 300), (80, 1), (80, 300)] {
        let names: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
        let mut table = Table::new();
        for (number, name) in names.iter().enumerate().filter(|(number, _)| number % 3 > 0) {
            table.misfits.insert(object(name, "1").object.id(), misfit(&format!("{}", number % shapes)));
        }
        let per_pending = names.len().div_ceil(n_pendings);
        for names in names.chunks(per_pending) {
            table.record(&names.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let mut loaded = 0;
        let mut rounds = 0;
        while !table.backlog().is_empty() {
            rounds += 1;
            table.now += 1;
            let (_, pendings) = table.begin();
            let n_objects = pendings.iter().map(|pending| pending.objects.len()).sum();
            let (change, _) = table.plan(vec![found("1"); n_objects]);
            assert!(change.entries.is_empty() && change.transaction.actions.len() <= TRANSACTION_ACTIONS_MAX);
            table.done(&change);
            if table.slot().load.is_some() {
                table.submit();
                loaded += keys(&table.own()).len();
                table.finish_alone();
            }
        }
        let quarantined: usize = table.quarantine().iter().map(|item| item.objects.len()).sum();
        assert_eq!((loaded, quarantined), (100, 200), "{n_pendings} pending loads, {shapes} shapes");
        assert!(rounds <= 40, "{rounds} rounds");
    }
}

#[test]
fn deleted_known_and_misfit_objects_leave_with_one_write() {
    let mut table = table_with(&[("c", "x")]);
    table.record(&["a", "b", "c", "d"]);
    table.know(&object("b", "1").object, LedgerMark::Quarantined);
    let note = table.prepare(vec![ObjectState::Missing, found("1"), found("1"), found("1")]);
    assert!(matches!(note, Note::Prepared { n_objects: 1, n_deleted: 1, n_known: 1, misfits: Some(_), .. }));
    assert_eq!((keys(&table.own()), table.quarantine().len()), (vec!["d".to_owned()], 2));
}
