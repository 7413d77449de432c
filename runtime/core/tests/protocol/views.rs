//! A view that is updated by the invocation's own writes equals what reading again would return.

use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::ids::{DbTable, LoadId, WaitingObject};
use loader_core::outcome::FailureClass;
use loader_core::tracker::change::{Change, Note};
use loader_core::tracker::item::{ConfigSource, Item, LedgerEntry, LedgerMark, PendingLoad, SortKey};
use loader_core::tracker::slot::{Pause, RunningLoad, Slot, Step};
use loader_core::tracker::view::{TableState, View};
use loader_core::tracker::waits::Waits;
use loader_core::tracker::write::{Condition, Items, WriteAction, Written, apply, slot_of};
use proptest::prelude::*;
use serde_json::json;

use crate::table::{Table, object};

fn source() -> ConfigSource {
    thread_local!(static CONFIG: Arc<LoadConfig> = Table::new().config);
    ConfigSource { queue: None, recorded: CONFIG.with(Arc::clone) }
}

fn pending_key(number: i64) -> SortKey {
    SortKey::pending(number, &LoadId(format!("{number:032}")))
}

fn pending(number: i64, objects: Vec<WaitingObject>) -> PendingLoad {
    PendingLoad {
        key: pending_key(number),
        objects,
        source: source(),
        recorded_millis: number,
        created_millis: None,
        group: None,
        not_before_millis: 0,
        set_aside: 0,
        entered: false,
        recorded_by: None,
    }
}

fn slot(version: u64, pending_keys: Option<Vec<SortKey>>) -> Slot {
    let load = |pending_keys| RunningLoad {
        load_id: LoadId(format!("{version:032}")),
        holder: "me".into(),
        touched_millis: 0,
        claimed_millis: 0,
        recorded_millis: 0,
        attempt: 1,
        failures: 0,
        refreshes: 0,
        awaits_operator: false,
        pending_keys,
        source: source(),
        step: Step::Claimed,
    };
    Slot {
        version,
        number: version / 2,
        requested: false,
        columns: None,
        pause: None,
        searched: None,
        load: pending_keys.map(load),
    }
}

fn an_item() -> impl Strategy<Value = Item> {
    let keys = proptest::collection::vec((0..8_i64).prop_map(pending_key), 0..3);
    prop_oneof![
        4 => (0..8_i64, 0..3_u8).prop_map(|(number, content)| {
            Item::Pending(pending(number, vec![object(&format!("k{content}"), "1")]))
        }),
        1 => (1..9_u64, proptest::option::of(keys)).prop_map(|(version, keys)| Item::Slot(slot(version, keys))),
        1 => "[ab]".prop_map(|key| Item::File(LedgerEntry {
            object: object(&key, "1").object,
            mark: LedgerMark::Quarantined,
            entered_millis: 0,
            recorded: None,
            expires_at: 0,
        })),
    ]
}

fn an_action() -> impl Strategy<Value = WriteAction> {
    prop_oneof![
        an_item().prop_map(|item| WriteAction::put(item, Condition::Always)),
        (0..8_i64).prop_map(|number| WriteAction::Delete(pending_key(number), Condition::Always)),
        (0..8_i64).prop_map(|number| WriteAction::Check(pending_key(number), Condition::Always)),
    ]
}

fn state_of(items: &Items) -> TableState {
    let pending = |item: &Item| if let Item::Pending(pending) = item { Some(pending.clone()) } else { None };
    TableState { slot: slot_of(items), backlog: items.values().filter_map(pending).collect(), complete: true }
}

proptest! {
    #[test]
    fn a_view_after_a_change_is_what_is_read_after_it(
        items in proptest::collection::vec(an_item(), 0..8),
        actions in proptest::collection::vec(an_action(), 1..8),
    ) {
        let mut items: Items = items.into_iter().map(|item| (item.key(), item)).collect();
        let mut seen = std::collections::BTreeSet::new();
        let actions: Vec<WriteAction> = actions.into_iter().filter(|action| seen.insert(action.key())).collect();
        let freed = actions.iter().any(|action| matches!(action, WriteAction::Put(item, _)
            if matches!(&**item, Item::Slot(slot) if slot.load.is_none())));
        let view = View::read(state_of(&items));
        let change = Change::new(DbTable("cluster:c:d:public.t".into()), actions, Note::GivenUp);
        prop_assert_eq!(apply(&mut items, &change.transaction), Written::Done);
        let after = view.after(&change);
        prop_assert_eq!(after.fresh, !freed, "a backlog is read again after the slot was freed");
        prop_assert_eq!(after.state, state_of(&items));
    }
}

#[test]
fn the_waiting_loads_are_those_that_the_running_load_does_not_name() {
    let backlog = vec![pending(1, Vec::new()), pending(2, Vec::new()), pending(3, Vec::new())];
    let state = TableState { slot: slot(4, Some(vec![pending_key(2)])), backlog, complete: true };
    let view = View::read(state);
    assert_eq!(view.others().map(|pending| pending.recorded_millis).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(
        view.pendings(&[pending_key(3), pending_key(2)]).unwrap()[0].recorded_millis,
        3,
        "in the order asked for"
    );
    assert_eq!(view.pendings(&[pending_key(2), pending_key(9)]), None);
}

#[test]
fn the_oldest_object_waits_in_the_backlog_or_in_the_running_load() {
    let running = slot(4, Some(Vec::new()));
    let mut state = TableState { slot: running, backlog: vec![pending(7, Vec::new())], complete: true };
    let since = |state: &TableState| Waits::of(&View::read(state.clone())).map(|waits| waits.since_millis);
    assert_eq!(since(&state), Some(0));
    state.slot = slot(4, None);
    assert_eq!(since(&state), Some(7));
    state.backlog.clear();
    assert_eq!(since(&state), None);
}

/// Two queues feed the table. The younger file becomes late first, because its queue has a shorter limit.
#[test]
fn a_file_is_late_by_the_bound_of_its_own_queue() {
    let of = |queue: &str, after_seconds: u32| {
        let recorded = Table::with(json!({"load": {"alarm_after_seconds": after_seconds}})).config;
        ConfigSource { queue: Some(queue.to_owned()), recorded }
    };
    let (slow, quick) = (of("slow", 1000), of("quick", 60));
    let old = PendingLoad { source: slow, ..pending(1_000, vec![object("a", "1")]) };
    let young = PendingLoad { source: quick, ..pending(500_000, vec![object("b", "1"), object("c", "1")]) };
    let mut view = View::read(TableState { slot: slot(4, None), backlog: vec![old, young], complete: true });
    let waits = Waits::of(&view).expect("files wait");
    assert_eq!((waits.since_millis, waits.late_at_millis, waits.n_objects), (1_000, 560_000, 3));
    assert_eq!((waits.seconds_late(560_000), waits.seconds_late(560_001), waits.seconds_late(0)), (0, 1, 0));
    view.configs.insert("quick".to_owned(), of("quick", 900).recorded);
    assert_eq!(Waits::of(&view).map(|waits| waits.late_at_millis), Some(1_001_000), "the file as it is now");
}

#[test]
fn a_table_is_stuck_while_it_waits_for_an_operator_and_is_not_paused() {
    let mut view = View::read(TableState { slot: slot(4, Some(Vec::new())), ..TableState::default() });
    let is_stuck = |view: &View| Waits::of(view).map(|waits| waits.is_stuck);
    let waits = |class| Step::Waiting { not_before_millis: 0, class, reason: String::new() };
    let step = |view: &mut View, step| view.state.slot.load.as_mut().expect("a load").step = step;
    assert_eq!(is_stuck(&view), Some(false));
    step(&mut view, waits(FailureClass::RetryLater));
    assert_eq!(is_stuck(&view), Some(false));
    step(&mut view, waits(FailureClass::OperatorsTurn));
    assert_eq!(is_stuck(&view), Some(true));
    view.state.slot.pause = Some(Pause { by: "me".to_owned(), since_millis: 0, reason: None });
    assert_eq!(is_stuck(&view), Some(false));
}
