//! What a person may change.

use loader_core::limits::TRANSACTION_ACTIONS_MAX;
use loader_core::tracker::decide::{Action, Idle, decide};
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark};
use loader_core::tracker::operator::{self, Act, InUse};
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::slot::{Pause, Step};
use loader_core::tracker::write::{Written, apply};

use crate::table::{HOUR, Table, keys, many, object};

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

/// The object was deleted, uploaded again and found to be bad: retrying the first quarantine item must not load the bad one.
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

fn pause() -> Pause {
    Pause { by: "somebody".into(), since_millis: 7, reason: Some("the table is rebuilt".into()) }
}

fn paused(table: &mut Table) {
    let transaction = operator::pause(&table.name(), &table.slot(), pause()).expect("not paused yet");
    assert_eq!(apply(&mut table.items, &transaction), Written::Done);
}

#[test]
fn no_load_of_a_paused_table_starts_until_it_is_resumed() {
    let mut table = Table::new();
    paused(&mut table);
    assert_eq!(operator::pause(&table.name(), &table.slot(), pause()), None, "it is paused already");
    table.record(&["a"]);
    assert_eq!(decide(&table.name(), &table.view(), &table.context()), Action::Idle(Idle::Paused));
    let unpause = operator::unpause(&table.name(), &table.slot()).unwrap();
    assert_eq!(apply(&mut table.items, &unpause), Written::Done);
    assert_eq!(operator::unpause(&table.name(), &table.slot()), None, "it is not paused any more");
    assert_eq!(table.drain(|_| None).1, 1);
}

#[test]
fn a_submitted_load_of_a_paused_table_ends_and_no_next_one_takes_the_slot() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.record(&["b"]);
    table.now += HOUR;
    paused(&mut table);
    assert!(matches!(decide(&table.name(), &table.view(), &table.context()), Action::Ask(..)));
    table.finish();
    assert_eq!((table.slot().load, table.slot().pause), (None, Some(pause())), "kept by every write");
    assert_eq!(keys(&table.backlog()), ["b"]);
    assert_eq!(decide(&table.name(), &table.view(), &table.context()), Action::Idle(Idle::Paused));
}

#[test]
fn a_load_that_waits_after_a_failure_does_not_retry_while_its_table_is_paused() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.fail("permission denied for relation t");
    paused(&mut table);
    table.now += HOUR;
    assert_eq!(decide(&table.name(), &table.view(), &table.context()), Action::Idle(Idle::Paused));
}

/// An invocation that looked at a load before the pause must not take the slot after it.
#[test]
fn a_pause_is_a_fence() {
    let mut table = Table::new();
    table.record(&["a"]);
    let (change, _) = table.plan(vec![ObjectState::AsNotified]);
    paused(&mut table);
    assert!(matches!(table.apply(&change), Written::Refused(_)));
}

fn entry(key: &str) -> LedgerEntry {
    let object = object(key, "1").object;
    LedgerEntry { object, mark: LedgerMark::Accepted, entered_millis: 0, expires_at: 0, recorded: None }
}

#[test]
fn a_forgotten_object_is_loaded_again_when_it_is_recorded_again() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    assert_eq!(table.drain(|_| None).1, 1);
    let forget = operator::forget(&table.name(), &table.view().state, &[], &[entry("a")]).unwrap();
    assert_eq!(apply(&mut table.items, &forget), Written::Done);
    assert!(table.backlog().is_empty(), "nothing is loaded by this alone");
    table.record(&["a", "b"]);
    let (loaded, statements) = table.drain(|_| None);
    assert_eq!((loaded.into_keys().collect::<Vec<_>>(), statements), (vec!["a".to_owned()], 1));
}

#[test]
fn objects_in_use_are_not_forgotten() {
    let mut table = quarantined();
    table.record(&["b"]);
    table.run();
    table.record(&["c"]);
    let entries = ["a", "b", "c", "d"].map(entry);
    let refused = operator::forget(&table.name(), &table.view().state, &table.quarantine(), &entries).unwrap_err();
    let expected = [("a", InUse::Quarantined), ("b", InUse::Runs), ("c", InUse::Waits)];
    assert_eq!(refused, expected.map(|(key, why)| (object(key, "1").object, why)).into());
}

/// A load that ends in between may have entered the object, so its entry must stay.
#[test]
fn nothing_is_forgotten_when_a_load_has_begun_or_ended_since() {
    let mut table = Table::new();
    table.record(&["a"]);
    let forget = operator::forget(&table.name(), &table.view().state, &[], &[entry("b")]).unwrap();
    table.run();
    assert_eq!(apply(&mut table.items, &forget), Written::Refused(vec![0]));
}

/// With the check of the slot and the audit record, it is as large as a transaction may be.
#[test]
fn one_transaction_forgets_as_many_entries_as_it_can_hold() {
    let table = Table::new();
    let entries: Vec<LedgerEntry> = many(operator::FORGOTTEN_MAX).iter().map(|key| entry(key)).collect();
    let forget = operator::forget(&table.name(), &table.view().state, &[], &entries).unwrap();
    let act = Act {
        by: "somebody",
        command: "forget".into(),
        what: "a folder".into(),
        why: None,
        now: table.now,
        keep_millis: HOUR,
    };
    assert_eq!(operator::audited(forget, &act).actions.len(), TRANSACTION_ACTIONS_MAX);
}

#[test]
fn a_change_and_its_audit_record_are_written_together_or_not_at_all() {
    let mut table = Table::new();
    let act = Act {
        by: "somebody",
        command: "pause".into(),
        what: "all loads".into(),
        why: Some("the table is rebuilt".into()),
        now: table.now,
        keep_millis: HOUR,
    };
    let pause = operator::audited(operator::pause(&table.name(), &table.slot(), pause()).unwrap(), &act);
    assert_eq!(apply(&mut table.items, &pause), Written::Done);
    assert!(matches!(apply(&mut table.items, &pause), Written::Refused(_)));
    let noted = operator::noted(&table.name(), &Act { command: "redrive".into(), ..act });
    assert_eq!(apply(&mut table.items, &noted), Written::Done);
    let audits = table.items.values().filter_map(|item| if let Item::Audit(audit) = item { Some(audit) } else { None });
    let found: Vec<(&str, &str, i64)> = audits.map(|it| (it.command.as_str(), it.by.as_str(), it.expires_at)).collect();
    let expires = (table.now + HOUR) / 1000;
    assert_eq!(found.len(), 2);
    assert!(found.contains(&("pause", "somebody", expires)) && found.contains(&("redrive", "somebody", expires)));
}
