//! Many small pending loads: their number neither ends a wait nor makes a load small.

use loader_core::ids::WaitingObject;
use loader_core::limits::{LOAD_PENDINGS_MAX, PENDING_BYTES_MAX, TRANSACTION_ACTIONS_MAX};
use loader_core::outcome::FailureClass;
use loader_core::tracker::change::{Change, Note};
use loader_core::tracker::choose::{Choice, choose};
use loader_core::tracker::decide::{Action, Idle, decide};
use loader_core::tracker::enqueue;
use loader_core::tracker::gather::GATHERED_MAX;
use loader_core::tracker::item::{ConfigSource, Item, LedgerMark, PendingLoad};
use loader_core::tracker::pack;
use loader_core::tracker::slot::Held;
use loader_core::tracker::wait::wait;
use loader_core::tracker::write::Written;
use serde_json::json;

use crate::table::{Table, keys, many, object, refs};

/// Records this many files, each in a pending load of its own, one second apart.
fn trickle(table: &mut Table, n_files: usize) {
    for key in many(n_files) {
        table.record(&[&key]);
        table.now += 999;
    }
}

fn action(table: &Table) -> Option<Change> {
    match decide(&table.name(), &table.view(), &table.context()) {
        Action::Write(change) => Some(change),
        _ => None,
    }
}

fn idle(table: &Table) -> Option<Idle> {
    match decide(&table.name(), &table.view(), &table.context()) {
        Action::Idle(idle) => Some(idle),
        _ => None,
    }
}

/// Writes until there is nothing to write.
fn settle_down(table: &mut Table) -> usize {
    let mut writes = 0;
    while let Some(change) = action(table).filter(|change| matches!(change.note, Note::Gathered { .. })) {
        assert!(change.transaction.actions.len() <= TRANSACTION_ACTIONS_MAX);
        table.done(&change);
        writes += 1;
    }
    writes
}

#[test]
fn files_wait_for_their_age_however_many_arrive() {
    let mut table = Table::with(json!({"load": {"age_seconds": 900}}));
    let mut writes = 0;
    for key in many(890) {
        table.record(&[&key]);
        table.now += 999;
        writes += settle_down(&mut table);
        assert_eq!(idle(&table), Some(Idle::NotBefore(1_000_000 + 900_000)));
    }
    assert!(table.backlog().len() <= LOAD_PENDINGS_MAX, "{} waiting loads", table.backlog().len());
    assert!(writes <= 890 / (LOAD_PENDINGS_MAX - 12), "{writes} times");
    table.now = 1_900_000;
    table.run();
    assert_eq!(keys(&table.own()).len(), 890);
}

#[test]
fn a_backlog_of_thousands_of_notifications_is_loaded_with_full_loads() {
    let mut table = Table::with(json!({"load": {"files_max": 1000}}));
    trickle(&mut table, 3_000);
    let mut sizes = Vec::new();
    while !table.backlog().is_empty() {
        settle_down(&mut table);
        table.run();
        sizes.push(keys(&table.own()).len());
        table.finish();
    }
    assert_eq!(sizes.iter().sum::<usize>(), 3_000);
    assert!(sizes.len() <= 4, "{sizes:?}");
}

#[test]
fn a_merged_load_has_waited_since_its_oldest_and_is_first() {
    let mut table = Table::with(json!({"load": {"age_seconds": 900}}));
    trickle(&mut table, LOAD_PENDINGS_MAX + 1);
    let oldest = table.backlog()[0].clone();
    table.done(&action(&table).unwrap());
    let backlog = table.backlog();
    assert_eq!(backlog.len(), 1);
    assert_eq!(keys(&backlog).len(), LOAD_PENDINGS_MAX + 1);
    assert_eq!(backlog[0].recorded_millis, oldest.recorded_millis);
    assert_eq!(backlog[0].key.since_millis(), oldest.key.since_millis());
}

#[test]
fn an_invocation_that_read_the_backlog_before_the_merge_is_refused_the_slot() {
    let mut table = Table::new();
    trickle(&mut table, LOAD_PENDINGS_MAX + 1);
    let gathering = action(&table).unwrap();
    table.timing.load_pendings_max = usize::MAX;
    let change = action(&table).expect("a large load is claimed");
    assert!(matches!(change.note, Note::Claimed { .. }));
    table.done(&gathering);
    assert!(matches!(table.apply(&change), Written::Refused(_)));
}

#[test]
fn parts_and_entered_loads_are_not_merged() {
    let mut table = Table::new();
    for key in many(LOAD_PENDINGS_MAX + 5) {
        table.record_entered(&[&key], &LedgerMark::Accepted);
    }
    assert!(matches!(action(&table).unwrap().note, Note::Claimed { n_objects: LOAD_PENDINGS_MAX }));

    let mut table = Table::new();
    trickle(&mut table, LOAD_PENDINGS_MAX);
    table.run();
    let slot = table.slot();
    let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
    let waits = wait(held, FailureClass::RetryLater, "busy".to_owned(), &table.context());
    table.done(&waits);
    trickle(&mut table, LOAD_PENDINGS_MAX);
    assert!(action(&table).is_none(), "while a load holds the slot, nobody touches its pending loads");
}

#[test]
fn large_pending_loads_are_not_merged() {
    let mut table = Table::new();
    let large: Vec<WaitingObject> =
        (0..300).map(|number| object(&format!("{number}-{}", "k".repeat(900)), "1")).collect();
    table.record_objects(large);
    trickle(&mut table, LOAD_PENDINGS_MAX);
    let change = action(&table).unwrap();
    assert!(matches!(change.note, Note::Gathered { n_loads: LOAD_PENDINGS_MAX, n_objects: LOAD_PENDINGS_MAX }));
    table.done(&change);
    let sizes: Vec<usize> = table.backlog().iter().map(pack::item_bytes).collect();
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().all(|size| *size <= PENDING_BYTES_MAX));
}

#[test]
fn a_merged_load_stays_within_the_limits_of_one_load() {
    let mut table = Table::with(json!({"load": {"files_max": 100}}));
    trickle(&mut table, LOAD_PENDINGS_MAX + 1);
    for round in 0..5 {
        let keys: Vec<String> = (0..30).map(|number| format!("later{round}/{number}")).collect();
        table.record(&refs(&keys));
    }
    table.done(&action(&table).unwrap());
    assert_eq!(keys(&table.backlog()[..1]).len(), LOAD_PENDINGS_MAX + 1);
    table.run();
    assert_eq!(keys(&table.own()).len(), LOAD_PENDINGS_MAX + 1);
}

#[test]
fn a_gathering_never_exceeds_a_transaction() {
    let mut table = Table::new();
    trickle(&mut table, 3 * GATHERED_MAX);
    let n_waiting = |table: &Table| table.backlog().iter().filter(|p: &&PendingLoad| p.objects.len() == 1).count();
    table.done(&action(&table).unwrap());
    assert_eq!(n_waiting(&table), 2 * GATHERED_MAX);
}

#[test]
fn a_merged_load_has_a_recorder_if_one_invocation_recorded_all_of_it() {
    for (recorders, expected) in [(["r1", "r1"], Some("r1")), (["r1", "r2"], None)] {
        let mut table = Table::new();
        trickle(&mut table, LOAD_PENDINGS_MAX + 1);
        for (number, item) in table.items.values_mut().enumerate() {
            let Item::Pending(pending) = item else { continue };
            pending.recorded_by = Some(recorders[number % 2].to_owned());
        }
        table.done(&action(&table).unwrap());
        assert_eq!(table.backlog()[0].recorded_by.as_deref(), expected);
    }
}

/// Records a file that arrived in this queue, or one of a backfill.
fn recorded(table: &mut Table, queue: Option<&str>, key: &str) {
    let source = ConfigSource { queue: queue.map(ToOwned::to_owned), recorded: table.config.clone() };
    let pending = enqueue::pendings(vec![object(key, "1")], &source, table.now).remove(0);
    table.items.insert(pending.key.clone(), Item::Pending(pending));
    table.now += 1;
}

#[test]
fn a_live_file_waits_for_one_load_of_a_backfill_at_most_and_the_backfill_goes_on() {
    let mut table = Table::with(json!({"load": {"files_max": 2}}));
    for key in many(20) {
        recorded(&mut table, None, &key);
    }
    let (mut loads_with_backfill, mut waits) = (0, 0);
    for round in 0..6 {
        recorded(&mut table, Some("q"), &format!("live{round}"));
        for _ in 0..2 {
            table.run();
            let own = keys(&table.own());
            loads_with_backfill += usize::from(own.iter().any(|key| key.starts_with('f')));
            table.finish_alone();
            if own.iter().any(|key| key.starts_with("live")) {
                break;
            }
            waits += 1;
        }
        assert!(!table.waiting_keys().iter().any(|key| key.starts_with("live")), "it waited for two loads");
    }
    assert!(loads_with_backfill > 4 && waits > 0, "{loads_with_backfill} {waits}");
}

#[test]
fn a_live_file_that_comes_during_a_load_of_a_backfill_is_next_however_long_the_backlog_is() {
    let mut table = Table::with(json!({"load": {"files_max": 2}}));
    for key in many(20) {
        recorded(&mut table, None, &key);
    }
    for round in 0..6 {
        table.run();
        assert!(keys(&table.own()).iter().all(|key| key.starts_with('f')), "round {round}");
        recorded(&mut table, Some("q"), &format!("live{round}"));
        // Settling reads only the beginning of the backlog.
        let mut view = table.view();
        view.state.backlog.truncate(3);
        let next = choose(&table.name(), &view, &table.context()).ok().and_then(Choice::load).expect("a load");
        assert_eq!(keys(&next.pendings), [format!("live{round}")]);
        table.finish_alone();
        table.run();
        assert_eq!(keys(&table.own()), [format!("live{round}")]);
        table.finish_alone();
    }
}
