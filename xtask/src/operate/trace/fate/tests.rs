//! One object version in every state that the tracker can have for it.

use loader_core::config::LoadConfig;
use loader_core::ids::{Version, WaitingObject};
use loader_core::outcome::FailureClass;
use loader_core::tracker::enqueue;
use loader_core::tracker::item::ConfigSource;
use loader_core::tracker::slot::{Pause, RunningLoad, Slot, Step};
use serde_json::json;

use super::*;
use crate::operate::schema;

const NOW: Millis = 1_700_000_000_000;

fn source() -> ConfigSource {
    let document = json!({
        "copy": {"role_arn": "default", "table_name": "shop.sales"}, "cluster": {"identifier": "c", "db_name": "d"},
    });
    ConfigSource { queue: None, recorded: LoadConfig::from_value(&document).unwrap() }
}

fn object(key: &str) -> WaitingObject {
    let version = Version::ETag("e".into());
    WaitingObject { object: ObjectVersion { bucket: "b".into(), key: key.into(), version }, size_bytes: 7 }
}

fn known(text: &str) -> Known {
    Known {
        table: source().recorded.db_table().0,
        flags: String::new(),
        objects: Objects::parse(text).unwrap(),
        state: TableState { complete: true, ..TableState::default() },
        quarantine: Vec::new(),
        ledger: Vec::new(),
        loads: BTreeMap::new(),
        audits: Vec::new(),
    }
}

fn wait(known: &mut Known, key: &str, recorded: Millis) {
    known.state.backlog.extend(enqueue::pendings(vec![object(key)], &source(), recorded));
}

fn enter(known: &mut Known, key: &str, mark: LedgerMark) {
    known.ledger.push(LedgerEntry {
        object: object(key).object,
        mark,
        entered_millis: NOW,
        expires_at: NOW / 1000,
        recorded: None,
    });
}

fn quarantine(known: &mut Known, key: &str) {
    known.quarantine.push(Quarantined {
        key: SortKey::failed(NOW, &load_id()),
        objects: vec![object(key)],
        source: source(),
        class: FailureClass::BadInput,
        error: "Invalid digit".into(),
        statement_id: None,
        remedy: FailureClass::BadInput.remedy().into(),
        is_misfit: false,
    });
}

fn load_id() -> LoadId {
    LoadId("0123456789abcdef0123456789abcdef".into())
}

fn remember(known: &mut Known, listed: &[(&str, u64)]) {
    let load = Load {
        at_millis: NOW,
        load_id: load_id().0,
        number: 3,
        objects: 1,
        bytes: 7,
        rows: Some(2),
        arrival_millis: 2_000,
        queue_wait_millis: 1_000,
        load_millis: 2_000,
        attempts: 1,
        added_columns: Vec::new(),
        statement_id: "s".into(),
        statement_name: None,
        manifest: "s3://m/x.json".into(),
    };
    let listed = listed.iter().map(|(url, bytes)| ((*url).to_owned(), *bytes)).collect();
    known.loads.insert(load_id(), Loaded { load, listed: Ok(listed) });
}

fn run(known: &mut Known, place: usize) {
    let pending = &known.state.backlog[place];
    let load = RunningLoad {
        load_id: load_id(),
        holder: "h".into(),
        touched_millis: NOW,
        claimed_millis: NOW,
        recorded_millis: NOW,
        attempt: 1,
        failures: 0,
        refreshes: 0,
        awaits_operator: false,
        pending_keys: vec![pending.key.clone()],
        source: pending.source.clone(),
        step: Step::Claimed,
    };
    known.state.slot = Slot { load: Some(load), ..Slot::default() };
}

/// The only trace, checked against the schema.
fn story(known: &Known) -> (Fate, String) {
    let traces = traces(known, NOW);
    schema::check_result(&traces);
    let [trace] = traces.as_slice() else { panic!("{traces:?}") };
    (trace.fate, trace.story.join("; "))
}

#[test]
fn a_file_tells_which_request_recorded_it_and_how_to_see_the_notification() {
    let recorded = Recording { request_id: "8f-1".into(), at_millis: NOW - 600_000 };
    let told = |recorded: Option<Recording>, mark| {
        let mut known = known("s3://b/a");
        enter(&mut known, "a", mark);
        known.ledger[0].recorded = recorded;
        known
    };
    let mut known = told(Some(recorded.clone()), LedgerMark::Loaded(load_id()));
    known.flags = " --local".into();
    let words = "recorded 2023-11-14 22:03:20 by request 8f-1; its SQS message, if one named it: cargo xtask logs --request 8f-1 --minutes 12 --local";
    assert!(story(&known).1.contains(words), "{:?}", story(&known));
    let mut waiting = told(None, LedgerMark::Loaded(load_id()));
    waiting.ledger.clear();
    wait(&mut waiting, "a", NOW - 60_000);
    assert!(story(&waiting).1.contains("cargo xtask logs --file 's3://b/a' --minutes 3"), "{:?}", story(&waiting));
    waiting.state.backlog[0].recorded_by = Some("8f-2".into());
    assert!(story(&waiting).1.contains("logs --request 8f-2 --minutes 3"), "{:?}", story(&waiting));
    let mut failed = told(Some(recorded), LedgerMark::Quarantined);
    quarantine(&mut failed, "a");
    assert!(story(&failed).1.contains("by request 8f-1"), "{:?}", story(&failed));
}

#[test]
fn a_loaded_file_names_load_statement_rows_and_manifest() {
    let mut known = known("s3://b/a");
    enter(&mut known, "a", LedgerMark::Loaded(load_id()));
    enter(&mut known, "ab", LedgerMark::Loaded(load_id()));
    remember(&mut known, &[("s3://b/a", 7)]);
    let (fate, story) = story(&known);
    assert_eq!(fate, Fate::Loaded);
    assert!(story.contains("dropped until"), "{story}");
    for words in [
        "load 3 (",
        "2 rows",
        "statement s",
        "lists it with 7 bytes: s3://m/x.json",
        "created 2023-11-14 22:13:15, and recorded 2023-11-14 22:13:17",
    ] {
        assert!(story.contains(words), "{words}: {story}");
    }
}

#[test]
fn an_expired_entry_does_not_prevent_loading() {
    let mut known = known("s3://b/a");
    enter(&mut known, "a", LedgerMark::Loaded(load_id()));
    known.ledger[0].expires_at -= 1;
    assert!(story(&known).1.contains("would be loaded again"));
}

#[test]
fn a_prefix_means_every_file_below_it() {
    let mut known = known("s3://b/a*");
    enter(&mut known, "a", LedgerMark::Loaded(load_id()));
    enter(&mut known, "ab", LedgerMark::Accepted);
    enter(&mut known, "b", LedgerMark::Accepted);
    assert_eq!(traces(&known, NOW).iter().map(|trace| trace.fate).collect::<Vec<_>>(), [Fate::Loaded, Fate::Accepted]);
}

#[test]
fn a_waiting_file_says_what_it_waits_for() {
    let mut known = known("s3://b/c");
    wait(&mut known, "a", NOW - 3_000);
    wait(&mut known, "b", NOW - 2_000);
    wait(&mut known, "c", NOW - 1_000);
    let (fate, words) = story(&known);
    assert!(fate == Fate::Waiting && words.contains("may start now, with 2 files before it"), "{words}");
    run(&mut known, 0);
    assert!(story(&known).1.contains(&format!("waits for load {} (claimed), with 1 file before it", load_id())));
    known.state.slot.pause = Some(Pause { by: "ada".into(), since_millis: NOW, reason: None });
    assert!(story(&known).1.contains("ada paused the table: cargo xtask unpause shop.sales"));
    run(&mut known, 2);
    assert_eq!(story(&known).0, Fate::Loading);
}

#[test]
fn a_repeated_notification_is_a_duplicate_of_its_load() {
    let mut known = known("s3://b/a");
    enter(&mut known, "a", LedgerMark::Loaded(load_id()));
    remember(&mut known, &[]);
    wait(&mut known, "a", NOW - 1_000);
    let (fate, words) = story(&known);
    assert!(
        fate == Fate::Duplicate && words.contains("load 3 (") && words.contains("dropped as a duplicate"),
        "{words}"
    );
}

#[test]
fn a_file_in_quarantine_says_why_and_a_dismissed_one_that_it_was() {
    let mut known = known("s3://b/a");
    enter(&mut known, "a", LedgerMark::Quarantined);
    assert_eq!(story(&known).0, Fate::Dismissed);
    quarantine(&mut known, "a");
    let (fate, words) = story(&known);
    assert!(fate == Fate::Quarantined && words.contains("(bad_input): Invalid digit"), "{words}");
}

#[test]
fn what_no_table_knows_was_never_seen_or_was_forgotten() {
    let mut known = known("s3://b/in/a");
    let act =
        |what: &str| Act { at_millis: NOW, by: "ada".into(), command: "forget".into(), what: what.into(), why: None };
    known.audits = vec![act("s3://b/in/: 3 object versions"), act("s3://b/out/: 1 object versions")];
    let forgotten = known.forgotten(&known.objects);
    assert_eq!(forgotten.len(), 1);
    let trace = never_seen("s3://b/in/a", Some(&object("in/a").object), Some(true), 2, &forgotten);
    assert!(trace.story[0].contains("any of 2 tables, although it is in the bucket"), "{trace:?}");
    assert!(trace.story.last().unwrap().contains("forget by ada"), "{trace:?}");
    schema::check_result(&[trace]);
}

#[test]
fn the_committed_schema_is_this_one() {
    schema::check_committed::<Vec<Trace>>("trace");
}

#[test]
fn a_printed_command_quotes_the_key_for_a_shell() {
    let mut known = known("s3://b/o'brien.csv");
    wait(&mut known, "o'brien.csv", NOW);
    assert!(story(&known).1.contains(r"logs --file 's3://b/o'\''brien.csv' --minutes"), "{:?}", story(&known));
}
