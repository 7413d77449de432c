//! Everything fits: items, transactions, and the pending loads of one load.

use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::ids::{LoadId, ObjectVersion, Version, WaitingObject};
use loader_core::limits::{
    ITEM_BYTES_MAX, LOAD_METADATA_BYTES_MAX, LOAD_PENDINGS_MAX, TRANSACTION_ACTIONS_MAX, TRANSACTION_BYTES_MAX,
};
use loader_core::tracker::change::Change;
use loader_core::tracker::invariant::violations;
use loader_core::tracker::item::{Item, LedgerEntry, LedgerMark};
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::settle::{self, StatementStatus};
use loader_core::tracker::slot::Held;
use loader_core::tracker::write::{Transaction, WriteAction};
use loader_core::tracker::{enqueue, pack, wire};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::table::{HOUR, Table, found, keys, object};

/// Size as DynamoDB counts it: names and UTF-8 values; at most 21 bytes for a number; 3 for a list or map and 1 for each of its elements.
fn bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(_) => 21,
        Value::String(text) => text.len(),
        Value::Array(values) => 3 + values.iter().map(|value| 1 + bytes(value)).sum::<usize>(),
        Value::Object(fields) => 3 + fields.iter().map(|(name, value)| 1 + name.len() + bytes(value)).sum::<usize>(),
    }
}

fn item_bytes(table: &Table, item: &Item) -> usize {
    bytes(&Value::Object(wire::encode(&table.name(), item)))
}

fn transaction_bytes(table: &Table, transaction: &Transaction) -> usize {
    let action = |action: &WriteAction| match action {
        WriteAction::Put(item, _) => item_bytes(table, item),
        WriteAction::Delete(key, _) | WriteAction::Check(key, _) => key.0.len() + table.name().0.len(),
    };
    transaction.actions.iter().map(action).sum()
}

fn an_object() -> impl Strategy<Value = WaitingObject> {
    let key = prop_oneof![
        "prefix/that/many/share/[a-z]{1,8}",
        "[a-z0-9/=+% \"\\\\üé\u{1}]{1,200}",
        proptest::collection::vec(Just('\u{1}'), 1..1024).prop_map(String::from_iter),
    ];
    let version = prop_oneof![
        "[0-9a-f]{32}".prop_map(Version::ETag),
        "[0-9a-f]{32}-[0-9]{1,5}".prop_map(Version::ETag),
        "[A-Za-z0-9._]{32}".prop_map(Version::Id),
    ];
    // The size of S3's largest object has 14 digits.
    ("[a-z]{3,63}", key, version, 0..100_000_000_000_000_u64).prop_map(|(bucket, key, version, size_bytes)| {
        WaitingObject { object: ObjectVersion { bucket, key, version }, size_bytes }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn objects_that_wait_fit_their_items_and_none_is_lost(
        few in proptest::collection::vec(an_object(), 1..60),
        times in 1..60_usize,
        files_max in 1..2_000_u64,
    ) {
        let table = Table::with(json!({"load": {"files_max": files_max, "bytes_max": 400_000_000_000_000_u64}}));
        // Keys of their own, so that each can be found again.
        let numbered = |(number, waiting): (usize, &WaitingObject)| {
            let mut waiting = waiting.clone();
            waiting.object.key = format!("{}{number}", waiting.object.key);
            waiting
        };
        let objects: Vec<WaitingObject> =
            few.iter().cycle().take(few.len() * times).enumerate().map(numbered).collect();
        let pendings = enqueue::pendings(objects.clone(), &table.source(), 1);
        for pending in &pendings {
            let size_bytes = pending.size_bytes();
            prop_assert!(pending.objects.len() as u64 <= files_max);
            prop_assert!(size_bytes <= 400_000_000_000_000 || pending.objects.len() == 1);
            let counted = pack::item_bytes(pending);
            let real = item_bytes(&table, &Item::Pending(pending.clone()));
            prop_assert!(real <= counted && counted <= ITEM_BYTES_MAX, "{real} bytes, counted as {counted}");
        }
        let recorded: Vec<WaitingObject> = pendings.into_iter().flat_map(|pending| pending.objects).collect();
        prop_assert_eq!(recorded, objects, "in their order");
    }
}

#[test]
fn thousands_of_objects_fit_one_item() {
    let table = Table::with(json!({"load": {"files_max": 10_000, "bytes_max": 1_000_000_000_000_u64}}));
    let objects: Vec<WaitingObject> = (0..4_000_u32)
        .map(|number| WaitingObject {
            object: ObjectVersion {
                bucket: "a-bucket".into(),
                key: format!("dt=2024-01-01/part-{number:05}.parquet"),
                version: Version::ETag(format!("{:032x}", u128::from(number) * 0x1_0000_0001_0000_0001)),
            },
            size_bytes: 123_456_789,
        })
        .collect();
    let pendings = enqueue::pendings(objects, &table.source(), 1);
    let sizes: Vec<usize> =
        pendings.iter().map(|pending| item_bytes(&table, &Item::Pending(pending.clone()))).collect();
    assert!(pendings[0].objects.len() > 3_000, "{}", pendings[0].objects.len());
    assert!(sizes[0] < ITEM_BYTES_MAX / 2, "{} bytes", sizes[0]);
}

/// As many pending loads as one load takes, with keys of maximum length, each twice as large as any that S3 sends.
fn full_table() -> Table {
    let mut table = Table::with(json!({"load": {"files_max": 1_000_000, "bytes_max": 1_000_000_000}}));
    for number in 0..LOAD_PENDINGS_MAX {
        let part = |part: usize| WaitingObject {
            object: ObjectVersion {
                bucket: "b".into(),
                key: format!("{number:02}-{part:02}-{}", "\u{1}".repeat(995)),
                version: Version::ETag("1".into()),
            },
            size_bytes: 1,
        };
        table.record_objects((0..3).map(part).collect());
    }
    table
}

fn check(table: &Table, change: &Change) {
    let n_actions = change.transaction.actions.len();
    let n_bytes = transaction_bytes(table, &change.transaction);
    assert!(n_actions <= TRANSACTION_ACTIONS_MAX, "{n_actions} actions");
    assert!(n_bytes <= TRANSACTION_BYTES_MAX, "{n_bytes} bytes");
    for action in &change.transaction.actions {
        if let WriteAction::Put(item, _) = action {
            assert!(item_bytes(table, item) <= ITEM_BYTES_MAX);
        }
    }
}

#[test]
fn a_load_of_as_many_pending_loads_as_may_be_can_be_settled_divided_and_quarantined() {
    let mut table = full_table();
    table.run();
    let metadata: usize = table.own().iter().map(pack::item_bytes).sum();
    assert_eq!(table.load().pending_keys.len(), LOAD_PENDINGS_MAX);
    assert!((LOAD_METADATA_BYTES_MAX - 10_000..=LOAD_METADATA_BYTES_MAX).contains(&metadata), "{metadata} bytes");
    check(&table, &table.settling());

    let slot = table.slot();
    let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
    let error = "Load into table 't' failed".to_owned();
    let split = settle::after_status(held, &table.own(), StatementStatus::Failed { error }, &table.context()).unwrap();
    check(&table, &split);

    table.end(StatementStatus::Forgotten);
    let n_objects = keys(&table.own()).len();
    while let Some(load) = table.slot().load {
        let slot = table.slot();
        let quarantine = settle::outcome_unknown(Held { slot: &slot, load: &load }, &table.own(), &table.context());
        check(&table, &quarantine);
        table.done(&quarantine);
        assert_eq!(violations(&table.items), Vec::<String>::new());
        table.now += 1;
    }
    let quarantined: usize = table.quarantine().iter().map(|item| item.objects.len()).sum();
    assert_eq!((quarantined, table.backlog().len()), (n_objects, 0));
}

#[test]
fn deleted_objects_of_a_load_fit_one_transaction_or_the_load_is_divided() {
    let mut table = full_table();
    let n_objects = keys(&table.begin().1).len();
    // One object of each pending load is left, and looking ends within the last one.
    let states = (0..n_objects - 1).map(|at| if at % 3 == 1 { found("1") } else { ObjectState::Missing });
    let (change, manifest) = table.plan(states.collect());
    check(&table, &change);
    assert!(manifest.is_some());
    table.done(&change);
    table.now += HOUR;
    assert_eq!(table.prepared().n_objects, LOAD_PENDINGS_MAX as u64);
}

#[test]
fn an_entry_of_the_ledger_is_one_write_unit() {
    let table = Table::new();
    let key = "k".repeat(600);
    let object = ObjectVersion { bucket: "b".repeat(63), key, version: Version::ETag("e".repeat(35)) };
    let mark = LedgerMark::Loaded(LoadId("0".repeat(32)));
    let entry = LedgerEntry { object, mark, entered_millis: 1, expires_at: 1, recorded: None };
    assert!(item_bytes(&table, &Item::File(entry)) <= 1024);
}

#[test]
fn a_large_configuration_leaves_less_room_for_objects() {
    let mut table = Table::new();
    let objects: Vec<WaitingObject> =
        (0..500).map(|number| object(&format!("{number}{}", "k".repeat(500)), "1")).collect();
    let n_items = |table: &Table| {
        let pendings = enqueue::pendings(objects.clone(), &table.source(), 1);
        for pending in &pendings {
            assert!(item_bytes(table, &Item::Pending(pending.clone())) <= ITEM_BYTES_MAX);
        }
        pendings.len()
    };
    assert_eq!(n_items(&table), 1);
    table.config = Arc::new(LoadConfig { document: "x".repeat(300_000), ..(*table.config).clone() });
    assert!(n_items(&table) > 2);
}
