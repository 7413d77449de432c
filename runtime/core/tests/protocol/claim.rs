//! Which invocation takes the slot, when, and what a stale write can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::limits::UNCLAIMED_OBJECTS_MAX;
use loader_core::outcome::FailureClass;
use loader_core::tracker::change::Note;
use loader_core::tracker::decide::{Action, Context, Idle, decide};
use loader_core::tracker::item::{ConfigSource, Item, LedgerMark, SortKey};
use loader_core::tracker::settle::{self, StatementStatus, SubmitOutcome};
use loader_core::tracker::slot::{Held, RunningLoad, Slot, Step};
use loader_core::tracker::view::{TableState, View};
use loader_core::tracker::write::{Written, apply};
use serde_json::json;

use crate::table::{HOUR, Table, found, keys, many, object, refs, set};

fn action_for(table: &Table, holder: &str) -> String {
    let context = Context { holder, ..table.context() };
    format!("{:?}", decide(&table.name(), &table.view(), &context))
}

fn idle(table: &Table) -> Option<Idle> {
    match decide(&table.name(), &table.view(), &table.context()) {
        Action::Idle(idle) => Some(idle),
        _ => None,
    }
}

#[test]
fn a_small_load_takes_the_slot_prepared_with_one_write() {
    let mut table = Table::new();
    table.record(&refs(&many(UNCLAIMED_OBJECTS_MAX)));
    let (load, _) = table.begin();
    assert!(table.slot().load.is_none(), "it was claimed before it was looked at");
    assert!(matches!(
        table.prepare_all(),
        Note::Prepared { attempt: 1, n_objects: 32, n_deleted: 0, n_known: 0, n_later: 0, misfits: None }
    ));
    assert_eq!(table.load().load_id, load.load_id);
    assert_eq!(table.slot().version, 1);
}

#[test]
fn a_large_load_and_one_of_entered_objects_take_the_slot_before_they_are_looked_at() {
    let mut large = Table::new();
    large.record(&refs(&many(UNCLAIMED_OBJECTS_MAX + 1)));
    let mut entered = Table::new();
    entered.record_entered(&["a"], &LedgerMark::Accepted);
    for mut table in [large, entered] {
        table.begin();
        assert_eq!(table.load().step, Step::Claimed);
        table.prepare_all();
        assert_eq!((table.slot().version, table.slot().number), (2, 1), "two writes, one load");
    }
}

#[test]
fn an_entered_load_is_claimed_only_while_it_is_there() {
    let mut table = Table::new();
    table.record_entered(&["a"], &LedgerMark::Accepted);
    let view = table.view();
    let Action::Write(claim) = decide(&table.name(), &view, &table.context()) else { panic!("no claim") };
    let key = view.state.backlog[0].key.clone();
    let gone = table.items.remove(&key).unwrap();
    assert_eq!(table.apply(&claim), Written::Refused(vec![1]), "loader 0.1 loaded it and deleted the slot's item");
    table.items.insert(key, gone);
    table.done(&claim);
}

#[test]
fn of_two_invocations_that_prepare_the_same_load_one_is_refused() {
    let mut table = Table::new();
    table.record(&["a"]);
    let states = vec![found("1")];
    let (first, _) = table.plan(states.clone());
    let (second, _) = table.plan(states);
    table.done(&first);
    let after_first = table.items.clone();
    assert_eq!(table.apply(&second), Written::Refused(vec![0]));
    assert_eq!(table.items, after_first);
}

#[test]
fn a_plan_made_before_another_load_is_refused_after_it() {
    let mut table = Table::new();
    table.record(&["a"]);
    let (stale, _) = table.plan(vec![found("1")]);
    table.run();
    table.finish();
    assert!(table.slot().load.is_none(), "the slot is as free as it was");
    assert_eq!(table.apply(&stale), Written::Refused(vec![0]), "but its version has gone on");
}

#[test]
fn the_free_slot_keeps_its_version_and_the_load_number_counts_loads() {
    let mut table = Table::new();
    for number in 1..=3_u64 {
        table.record(&["a", "b"]);
        for key in ["a", "b"] {
            table.items.remove(&SortKey::file(&object(key, "1").object));
        }
        table.run();
        assert_eq!(table.slot().number, number);
        table.fail("Serializable isolation violation");
        table.now += HOUR;
        table.run();
        assert_eq!((table.load().attempt, table.slot().number), (2, number), "an attempt is no load");
        table.finish();
        // Prepared, submitted, waiting, prepared, submitted, free.
        assert_eq!((table.slot().version, table.slot().number), (6 * number, number));
        assert!(table.slot().load.is_none());
    }
    let numbers: Vec<u64> = table
        .items
        .values()
        .filter_map(|item| if let Item::Loaded(h) = item { Some(h.number) } else { None })
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn the_same_objects_in_a_later_load_have_another_load_id() {
    let mut table = Table::new();
    table.record(&["a"]);
    let (first, _) = table.begin();
    table.items.insert(SortKey::slot(), Item::Slot(Slot { version: 7, ..Slot::default() }));
    let (second, _) = table.begin();
    assert_eq!(first.pending_keys, second.pending_keys);
    assert_ne!(first.load_id, second.load_id);
}

#[test]
fn an_overtaken_holder_cannot_change_anything() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    let late = table.settling();
    table.end(StatementStatus::Aborted { error: String::new() });
    assert!(matches!(apply(&mut table.items, &late.transaction), Written::Refused(_)));
    assert_eq!(table.waiting_keys(), set(&["a"]), "still waiting");
}

#[test]
fn another_invocation_leaves_a_fresh_load_alone_and_takes_over_an_old_one() {
    let mut table = Table::new();
    table.record(&refs(&many(UNCLAIMED_OBJECTS_MAX + 1)));
    table.begin();
    assert_eq!(action_for(&table, "other"), "Idle(Held)");
    assert!(action_for(&table, "me").starts_with("Look"));
    table.now += table.timing.patience_millis;
    assert!(action_for(&table, "other").starts_with("Look"));
}

#[test]
fn an_invocation_takes_a_load_over_before_it_submits_it() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare_all();
    let stale = table.slot();
    table.now += table.timing.patience_millis;
    let other = Context { holder: "other", ..table.context() };
    let view = table.view();
    let Action::Write(change) = decide(&table.name(), &view, &other) else { panic!("submitted in silence") };
    table.done(&change);
    assert!(table.prepared().uncertain, "the first holder may have submitted");
    // A refusal that the first holder gets now cannot begin the next attempt.
    let refused =
        SubmitOutcome::Refused { class: FailureClass::OperatorsTurn, reason: String::new(), first_call: true };
    let load = stale.load.as_ref().unwrap();
    let Step::Prepared(prepared) = &load.step else { panic!("{load:?}") };
    let late = settle::after_submit(Held { slot: &stale, load }, prepared, refused, &table.context());
    assert_eq!(table.apply(&late), Written::Refused(vec![0]));
}

#[test]
fn two_invocations_in_one_millisecond_do_not_meet() {
    let mut table = Table::new();
    for keys in [&["a"], &["b"]] {
        assert_eq!(table.record(keys), Written::Done);
        table.now -= 1;
    }
    assert_eq!(table.backlog().len(), 2);
    assert_eq!(
        table.record(&["a"]),
        Written::Refused(vec![0]),
        "the same objects in the same millisecond wait already"
    );
    assert_eq!(table.backlog().len(), 2);
}

#[test]
fn files_wait_for_others_until_they_are_old_or_many_enough() {
    let mut table = Table::with(json!({"load": {"age_seconds": 60, "files_max": 3}}));
    table.record(&["a"]);
    assert_eq!(idle(&table), Some(Idle::NotBefore(1_060_000)));
    table.record(&["b", "c"]);
    assert_eq!(keys(&table.begin().1), ["a", "b", "c"], "enough");
    table.record(&["d"]);
    assert_eq!(keys(&table.begin().1), ["a", "b", "c"], "no more than enough");
    table.items.retain(|_, item| !matches!(item, Item::Pending(_)));
    table.record(&["e"]);
    table.now += 60_000;
    assert_eq!(keys(&table.begin().1), ["e"], "ripe");
}

/// The same table, as another queue's file loads it.
fn as_other_queue(table: &mut Table) {
    table.config = Table::new().config;
}

#[test]
fn files_that_wait_for_their_age_do_not_keep_those_of_another_queue_waiting() {
    let mut table = Table::with(json!({"load": {"age_seconds": 3600}}));
    table.record(&["old"]);
    as_other_queue(&mut table);
    table.record(&["new"]);
    assert_eq!(keys(&table.begin().1), ["new"]);
    table
        .items
        .retain(|_, item| !matches!(item, Item::Pending(pending) if keys(std::slice::from_ref(pending)) == ["new"]));
    assert_eq!(idle(&table), Some(Idle::NotBefore(4_600_000)), "the other still waits");
}

#[test]
fn hours_in_which_nothing_starts_are_those_of_one_queue() {
    let never = json!({"name": "w", "freshness_seconds": 300, "windows": [{"from": "00:00", "to": "12:00", "freshness_seconds": null}]});
    let mut table = Table::with(json!({"warehouse": never}));
    table.record(&["closed"]);
    assert!(matches!(idle(&table), Some(Idle::NotBefore(_))));
    as_other_queue(&mut table);
    table.record(&["open"]);
    assert_eq!(keys(&table.begin().1), ["open"]);
}

#[test]
fn a_waiting_load_of_a_paused_queue_gives_way_to_others() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.fail("permission denied for relation t");
    table.now += HOUR;
    let paused = Arc::new(LoadConfig { paused: true, ..(*table.config).clone() });
    let load = RunningLoad {
        source: ConfigSource { queue: Some("q".into()), recorded: table.config.clone() },
        ..table.load()
    };
    for step in [load.step.clone(), Step::Claimed] {
        let slot = Slot { load: Some(RunningLoad { step, ..load.clone() }), ..table.slot() };
        let state = TableState { slot, backlog: Vec::new(), complete: true };
        let mut view = View::read(state);
        assert!(matches!(decide(&table.name(), &view, &table.context()), Action::Look { .. }));
        view.configs = BTreeMap::from([("q".to_owned(), paused.clone())]);
        let Action::Write(change) = decide(&table.name(), &view, &table.context()) else { panic!("it keeps the slot") };
        assert_eq!(change.note, Note::GaveWay);
        let freed = view.clone().after(&change);
        assert_eq!((freed.state.slot.load, freed.state.slot.version), (None, view.state.slot.version + 1));
        assert!(!freed.fresh, "the backlog is read before the free slot is left alone");
    }
}
