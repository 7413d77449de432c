//! Items are read back as written, including those of loader 0.1.

mod any_item;

use proptest::prelude::*;

use super::*;
use crate::ident::Ident;
use crate::ids::{ObjectVersion, Version};
use crate::sql::columns::TargetColumns;
use crate::tracker::slot::{KnownColumns, Slot, Step};

/// An item as loader 0.1 wrote it, which is also a seed of the fuzzer.
macro_rules! written_by_0_1 {
    ($name:literal) => {
        include_str!(concat!("../../../fuzz/seeds/tracker_item/v0.1-", $name, ".json"))
    };
}

fn attributes(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn slot_of(text: &str) -> Slot {
    match decode(attributes(text)) {
        Ok(Item::Slot(slot)) => slot,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pending_load_of_loader_0_1_had_entered_the_ledger() {
    let Ok(Item::Pending(pending)) = decode(attributes(written_by_0_1!("pending"))) else { panic!("not read") };
    assert!(pending.entered);
    assert_eq!(pending.recorded_by, None);
    assert_eq!(pending.objects.len(), 6);
    let first = &pending.objects[0];
    assert_eq!((first.object.version.clone(), first.size_bytes), (Version::Id("v-e105".into()), 106));
    assert_eq!((pending.source.queue.as_deref(), pending.recorded_millis), (Some("q3"), 1_700_002_170_153));
}

#[test]
fn who_recorded_an_object_is_stored_where_it_takes_no_write_unit() {
    let table = DbTable("cluster:c:d:public.t".into());
    let recorded =
        Recording { request_id: "6f1c1c86-9a5e-4d4f-8f0e-0a7c1f3b2d11".into(), at_millis: 1_700_000_000_000 };
    let entry = |key_bytes: usize, recorded: Option<Recording>| {
        let version = Version::ETag("d41d8cd98f00b204e9800998ecf8427e".into());
        let object = ObjectVersion { bucket: "b".into(), key: "k".repeat(key_bytes), version };
        let mark = LedgerMark::Loaded(LoadId("0".repeat(32)));
        Item::File(LedgerEntry { object, mark, entered_millis: 1_700_000_000_000, recorded, expires_at: 1_700_000_000 })
    };
    let units = |attributes: &Map<String, Value>| item_bytes(attributes).div_ceil(WRITE_UNIT_BYTES);
    let mut n_left_out = 0;
    for key_bytes in 1..1024 {
        let with = encode(&table, &entry(key_bytes, Some(recorded.clone())));
        assert_eq!(units(&with), units(&encode(&table, &entry(key_bytes, None))), "{key_bytes}");
        let Ok(Item::File(read)) = decode(with) else { panic!("not read: {key_bytes}") };
        assert!(read.recorded.as_ref().is_none_or(|read| *read == recorded), "{read:?}");
        n_left_out += usize::from(read.recorded.is_none());
    }
    assert!((1..100).contains(&n_left_out), "{n_left_out} of 1023");
}

#[test]
fn a_ledger_entry_of_loader_0_1_says_that_the_object_was_accepted() {
    let text = written_by_0_1!("file");
    let Ok(Item::File(entry)) = decode(attributes(text)) else { panic!("not read") };
    assert_eq!((&entry.mark, entry.entered_millis), (&LedgerMark::Accepted, 1_700_002_354_783));
    assert_eq!(entry.recorded, None);
    assert_eq!(SortKey::file(&entry.object).0, attributes(text)[TRACKER_SORT_KEY], "it is found under its key");
    let id = entry.object.id();
    assert_eq!(decode_entered(&attributes(text)), Ok((id.clone(), entry.entered_millis)));
    assert_eq!(decode_mark(&attributes(text), entry.expires_at * 1000), Ok(Some((id, LedgerMark::Accepted))));
    assert_eq!(decode_mark(&attributes(text), entry.expires_at * 1000 + 1), Ok(None), "it has expired");
}

#[test]
fn a_running_load_of_loader_0_1_continues_at_every_step() {
    let claimed = slot_of(written_by_0_1!("running-claimed"));
    assert_eq!((claimed.version, claimed.number, &claimed.columns), (1, 0, &None));
    let load = claimed.load.unwrap();
    assert_eq!((load.step, load.pending_keys.len(), load.holder.as_str()), (Step::Claimed, 6, "i153"));
    assert_eq!(load.load_id.0, "ef85017b11b157bb738c0089a09b4391");

    let prepared = slot_of(written_by_0_1!("running-prepared"));
    let names = TargetColumns::Named(vec![Ident::exact("id"), Ident::exact("at")]);
    assert_eq!(
        prepared.columns,
        Some(KnownColumns { columns: names.clone(), asked_millis: 0 }),
        "of this attempt only"
    );
    let Step::Prepared(of_prepared) = prepared.load.unwrap().step else { panic!("not prepared") };
    assert_eq!((of_prepared.n_objects, of_prepared.statement_name.attempt), (4, 1));

    let submitted = slot_of(written_by_0_1!("running-submitted"));
    assert_eq!((submitted.version, submitted.columns.map(|known| known.columns)), (3, Some(names)));
    let load = submitted.load.unwrap();
    assert_eq!((load.statement_id(), load.prepared()), (Some("s26"), Some(&of_prepared)));
    assert!(matches!(load.step, Step::Submitted { submitted_millis: 1_700_001_393_785, .. }));

    let waiting = slot_of(written_by_0_1!("running-waiting"));
    let load = waiting.load.unwrap();
    assert_eq!((waiting.version, load.failures), (4, 1));
    assert!(matches!(
        load.step,
        Step::Waiting { class: FailureClass::Refresh, not_before_millis: 1_700_001_561_136, .. }
    ));
}

#[test]
fn quarantine_and_history_of_loader_0_1_are_read() {
    let Ok(Item::Failed(failed)) = decode(attributes(written_by_0_1!("failed"))) else { panic!("not read") };
    assert_eq!((failed.class, failed.objects.len()), (FailureClass::BadInput, 1));
    let Ok(Item::Loaded(history)) = decode(attributes(written_by_0_1!("loaded"))) else { panic!("not read") };
    assert_eq!((history.number, history.n_objects), (0, 3));
}

/// Both versions run side by side while a stack is updated. Loader 0.1 requires these attributes, so it fails on the new item instead of
/// taking the slot for free or for another load's.
#[test]
fn loader_0_1_refuses_the_new_slot() {
    const NEEDED: [&str; 10] = [
        "load_id",
        "version",
        "holder",
        "touched_millis",
        "claimed_millis",
        "recorded_millis",
        "attempt",
        "failures",
        "pending_keys",
        "step",
    ];
    let running = slot_of(written_by_0_1!("running-submitted"));
    let free = Slot { load: None, ..running.clone() };
    for slot in [running, free] {
        let written = encode(&DbTable("t".into()), &Item::Slot(slot));
        let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !written.contains_key(*name)).collect();
        assert!(missing.contains(&"step") && missing.contains(&"pending_keys"), "{missing:?}");
    }
    let old = attributes(written_by_0_1!("running-claimed"));
    assert!(NEEDED.iter().all(|name| old.contains_key(*name)), "the list is that of loader 0.1");
}

/// The same for a pending load: its objects are in another attribute.
#[test]
fn loader_0_1_refuses_a_new_pending_load() {
    let Ok(item) = decode(attributes(written_by_0_1!("pending"))) else { panic!("not read") };
    let written = encode(&DbTable("t".into()), &item);
    assert!(!written.contains_key("objects"), "{written:?}");
}

#[test]
fn only_a_table_with_work_is_in_the_index_of_work() {
    let free = Item::Slot(Slot { version: 3, ..Slot::default() });
    assert!(!encode(&DbTable("t".into()), &free).contains_key(WORK_ATTRIBUTE));
    let running = Item::Slot(slot_of(written_by_0_1!("running-claimed")));
    assert_eq!(encode(&DbTable("t".into()), &running)[WORK_ATTRIBUTE], "t");
}

#[test]
fn an_invalid_item_is_refused_with_the_reason() {
    for (change, why) in [
        (json!({"load": null}), "an id without a load"),
        (json!({"columns": "[1]"}), "its columns cannot be read"),
        (json!({"load": {"step": "odd"}}), "missing field"),
        (json!({"status_timestamp": "ODD#1"}), "its sort key is none of"),
    ] {
        let slot = Item::Slot(slot_of(written_by_0_1!("running-submitted")));
        let mut attributes = encode(&DbTable("cluster:c:d:s.t".into()), &slot);
        attributes.extend(change.as_object().unwrap().clone());
        attributes.retain(|_, value| !value.is_null());
        let error = decode(attributes).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("`cluster:c:d:s.t`"), "{error}");
    }
}

#[test]
fn an_unknown_mark_is_refused() {
    let mut attributes = attributes(written_by_0_1!("file"));
    attributes.insert("mark".into(), json!("odd"));
    assert!(decode_mark(&attributes, 0).is_err());
    assert!(decode(attributes).unwrap_err().why.contains("mark `odd` is unknown"));
}

proptest! {
    #[test]
    fn every_item_reads_back(item in any_item::any_item()) {
        let table = DbTable("cluster:c:d:public.t".into());
        // As text, because a float or a number that is too large would not survive that.
        let text = serde_json::to_string(&encode(&table, &item)).unwrap();
        prop_assert_eq!(decode(serde_json::from_str(&text).unwrap()), Ok(item));
    }
}
