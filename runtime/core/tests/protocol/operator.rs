//! What a person may ask for.

use loader_core::tracker::decide::{Action, Idle, decide};
use loader_core::tracker::item::{Item, LedgerMark};
use loader_core::tracker::operator;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::slot::Step;
use loader_core::tracker::write::{Written, apply};

use crate::table::{HOUR, Table, keys, object};

fn quarantined() -> Table {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.fail("Load into table 't' failed");
    table
}

#[test]
fn a_table_that_waits_can_be_resumed_by_an_operator_once() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    assert_eq!(operator::resume(&table.slot(), "operator", table.now), None, "it does not wait");
    table.fail("permission denied for relation t");
    let view = table.view();
    assert!(matches!(decide(&table.name(), &view, &table.context()), Action::Idle(Idle::NotBefore(_))));

    let resume = operator::resume(&table.slot(), "operator", table.now).unwrap();
    assert_eq!(apply(&mut table.items, &resume), Written::Done);
    let view = table.view();
    assert!(matches!(decide(&table.name(), &view, &table.context()), Action::Look { .. }));
    assert_eq!(apply(&mut table.items, &resume), Written::Refused(vec![0]), "the fence: somebody wrote since");
}

#[test]
fn a_free_slot_cannot_be_resumed() {
    let mut table = Table::new();
    assert_eq!(operator::resume(&table.slot(), "operator", table.now), None);
    table.record(&["a"]);
    table.run();
    table.finish();
    assert_eq!(operator::resume(&table.slot(), "operator", table.now), None);
}

#[test]
fn a_quarantine_item_is_sent_again_once() {
    let mut table = quarantined();
    let failed = table.quarantine().remove(0);
    assert_eq!(apply(&mut table.items, &operator::retry(&failed, table.now)), Written::Done);
    table.now += 1;
    assert_eq!(apply(&mut table.items, &operator::retry(&failed, table.now)), Written::Refused(vec![0]));
    assert_eq!(keys(&table.backlog()), ["a"]);
    assert!(table.backlog()[0].entered);
}

#[test]
fn a_retried_object_is_loaded_alone_and_quarantined_again_when_it_fails_again() {
    let mut table = quarantined();
    let failed = table.quarantine().remove(0);
    apply(&mut table.items, &operator::retry(&failed, table.now));
    table.record(&["b"]);
    table.now += HOUR;
    table.run();
    assert_eq!(keys(&table.own()), ["a"]);
    table.fail("Load into table 't' failed");
    assert_eq!(table.quarantine().len(), 1);
    let (loaded, _) = table.drain(|_| None);
    assert_eq!(loaded.into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_dismissed_object_stays_in_the_ledger() {
    let mut table = quarantined();
    let failed = table.quarantine().remove(0);
    assert_eq!(apply(&mut table.items, &operator::dismiss(&failed)), Written::Done);
    assert_eq!(apply(&mut table.items, &operator::dismiss(&failed)), Written::Refused(vec![0]));
    assert_eq!(table.mark(&object("a", "1").object), Some(LedgerMark::Quarantined));
    table.record(&["a"]);
    assert_eq!(table.drain(|_| None).1, 0);
}

#[test]
fn a_submit_that_waits_after_a_refusal_can_be_resumed() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare_all();
    for item in table.items.values_mut() {
        if let Item::Slot(slot) = item
            && let Some(load) = &mut slot.load
            && let Step::Prepared(prepared) = &mut load.step
        {
            prepared.not_before_millis = table.now + HOUR;
        }
    }
    let resume = operator::resume(&table.slot(), "operator", table.now).unwrap();
    assert_eq!(apply(&mut table.items, &resume), Written::Done);
    let view = table.view();
    assert!(matches!(decide(&table.name(), &view, &table.context()), Action::Write(_)), "taken over, then submitted");
}

/// The object was gone, came back, and was found to be bad: sending the first quarantine item again must not load the bad one.
#[test]
fn a_deleted_object_that_is_in_quarantine_again_is_not_loaded_by_its_first_item() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare(vec![ObjectState::Missing]);
    let deleted = table.quarantine().remove(0);
    table.record(&["a"]);
    table.run();
    table.fail("Load into table 't' failed");
    assert_eq!(table.quarantine().len(), 2);

    apply(&mut table.items, &operator::retry(&deleted, table.now));
    assert_eq!(table.drain(|_| None).1, 0);
    assert_eq!(table.quarantine().len(), 1);
}
