//! What happens in the world: objects come and go, notifications are sent, statements end, events arrive, minutes pass.

use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::ids::{DbTable, ObjectVersion};
use loader_core::tracker::item::{Item, Millis, Quarantined};
use loader_core::tracker::operator;
use loader_core::tracker::write::Written::Done;
use loader_core::tracker::write::apply;
use percent::encode;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::beginning;
use super::stage::{Stage, Written};
use crate::fixture::{BUCKET, Blob, config};
use crate::mutant::Writer;
use crate::warehouse::{End, Phase};

/// Something happens.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An object is put, overwritten or deleted.
    Change,
    /// The source queues are polled.
    Poll,
    /// The schedule fires.
    Sweep,
    /// A statement ends.
    StatementEnds(usize),
    /// An event arrives.
    Event(Value),
    /// Somebody asks for a folder.
    Bulk(usize),
    /// A folder is filled without a notification, and then asked for.
    Folder(usize),
    /// A configuration is paused, or goes on.
    Pause(usize, bool),
    /// The target tables get one more column.
    AddColumn,
    /// An operator sees to the quarantine.
    Retry,
}

const RETRYABLE: [&str; 5] = [
    "ERROR: 1023 DETAIL: Serializable isolation violation on table - 100",
    "ThrottlingException: Rate exceeded",
    "S3ServiceException: Please reduce your request rate.,Status 503,Error SlowDown",
    "ERROR: permission denied for relation t",
    "ERROR: disk full",
];

/// Name of a table's queue.
pub fn queue_name(table: usize) -> String {
    format!("q{table}")
}

/// Configuration of a table: the kinds take turns.
pub fn config_of(table: usize, paused: bool) -> Arc<LoadConfig> {
    let files_max = if table % 4 == 2 { 2_000 } else { 3 + table % 17 };
    let mut more = json!({"load": {"paused": paused, "files_max": files_max, "write_once": is_write_once(table)}});
    match table % 6 {
        1 => more["warehouse"] = json!({"name": "c", "freshness_seconds": 300, "concurrent_loads_max": 2}),
        2 => more["load"]["age_seconds"] = json!(5),
        4 => {
            more["warehouse"] = json!({"name": "c", "freshness_seconds": 300});
            more["load"]["age_seconds"] = json!(0);
        }
        5 => more["load"]["timeout_minutes"] = json!(10),
        _ => {}
    }
    if table % 4 == 1 {
        more["options"] = json!({"merge_duplicate_pks": true, "merge_pk": "id", "merge_timestamp": "at"});
    }
    if table % 5 == 4 {
        more["options"]["ledger_table"] = json!("public.loads");
    }
    config(&format!("t{table}"), &more)
}

/// Whether keys of this table are never overwritten.
const fn is_write_once(table: usize) -> bool {
    table % 5 == 3
}

/// Sets the scene.
pub fn set(stage: &mut Stage) {
    let minutes = stage.options.minutes * 60_000;
    for table in 0..stage.options.tables {
        let config = config_of(table, false);
        stage.tables.push(config.db_table());
        stage.configs.insert(queue_name(table), config);
        if stage.rng.random_range(0..6) == 0 {
            let from = stage.rng.random_range(0..minutes);
            stage.happen(from, Happening::Pause(table, true));
            let to = from + stage.rng.random_range(0..minutes);
            stage.happen(to, Happening::Pause(table, false));
        }
        if stage.rng.random_range(0..4) == 0 {
            let at = stage.rng.random_range(0..minutes);
            stage.happen(at, Happening::Bulk(table));
        }
        if stage.rng.random_range(0..8) == 0 {
            let at = stage.rng.random_range(0..minutes);
            stage.happen(at, Happening::Folder(table));
        }
        if stage.rng.random_range(0..3) == 0 {
            beginning::set(stage, table);
        }
    }
    for _ in 0..stage.rng.random_range(0..3) {
        let at = stage.rng.random_range(0..minutes);
        stage.happen(at, Happening::AddColumn);
    }
    for _ in 0..stage.options.changes / 20 {
        let at = stage.rng.random_range(0..minutes + 20 * 60_000);
        stage.happen(at, Happening::Retry);
    }
    for _ in 0..stage.options.changes {
        let at = stage.rng.random_range(0..minutes);
        stage.happen(at, Happening::Change);
    }
    if stage.options.outage_hours > 0 {
        let from = stage.now + stage.rng.random_range(0..minutes);
        stage.outage = Some((from, from + stage.options.outage_hours * 3_600_000));
    }
    stage.warehouse.names_bad_files = stage.rng.random();
    stage.happen(0, Happening::Poll);
    stage.happen(60_000, Happening::Sweep);
}

/// An object is put, overwritten or deleted.
pub fn change(stage: &mut Stage) {
    let Stage { rng, written, options, .. } = stage;
    if !written.is_empty() && rng.random_range(0..40) == 0 {
        let key = written[rng.random_range(0..written.len())].key.clone();
        stage.trace(("deleted", &key));
        stage.bucket.remove(&key);
        return;
    }
    let burst = if rng.random_range(0..8) == 0 { rng.random_range(2..12) } else { 1 };
    let table = rng.random_range(0..options.tables);
    let positions: Vec<usize> = (0..burst).map(|_| put(stage, table)).collect();
    for about in positions.chunks(3) {
        send(stage, table, about.to_vec());
    }
}

/// An object is put; its position.
pub fn put(stage: &mut Stage, table: usize) -> usize {
    let position = stage.written.len();
    let of_table: Vec<&Written> = stage.written.iter().filter(|written| written.table == table).collect();
    let overwrite = !of_table.is_empty() && !is_write_once(table) && stage.rng.random_range(0..5) == 0;
    let key = if overwrite {
        of_table[stage.rng.random_range(0..of_table.len())].key.clone()
    } else {
        format!("t{table}/dt=2024 01+02/ü%{position}")
    };
    let bad = stage.rng.random_range(0..25) == 0;
    put_at(stage, table, key, bad)
}

fn put_at(stage: &mut Stage, table: usize, key: String, bad: bool) -> usize {
    let position = stage.written.len();
    let blob = Blob { etag: format!("e{position}"), size_bytes: 1 + position as u64, bad, versioned: table % 2 == 1 };
    stage.trace(("put", &key, position, blob.bad));
    stage.bucket.insert(key.clone(), blob.clone());
    stage.positions.entry(key.clone()).or_default().push(position);
    stage.written.push(Written { table, key, blob });
    position
}

/// A folder is filled, a bad file among hundreds now and then, and asked for.
pub fn folder(stage: &mut Stage, table: usize) {
    let count = stage.rng.random_range(50..stage.options.folder_max);
    let bad = stage.rng.random_range(0..2 * count);
    for number in 0..count {
        put_at(stage, table, format!("t{table}/folder/{number:05}-{}", stage.written.len()), number == bad);
    }
    stage.happen(1, Happening::Bulk(table));
}

/// The target tables get one more column.
pub fn add_column(stage: &mut Stage) {
    let name = format!("c{}", stage.warehouse.columns.len());
    stage.trace(("column", &name));
    stage.warehouse.columns.push(name);
}

/// An operator takes a quarantine item, often mends what it is about, and sends it back. One whose outcome is unknown only where he has
/// seen that its rows are not there and that no statement runs.
pub fn retry(stage: &mut Stage) {
    let quarantine = stage.items.iter().flat_map(|(table, items)| items.values().map(move |item| (table, item)));
    let items: Vec<(DbTable, Quarantined)> = quarantine
        .filter_map(|(table, item)| match item {
            Item::Failed(quarantined) => Some((table.clone(), quarantined.clone())),
            Item::Slot(_) | Item::Pending(_) | Item::File(_) | Item::Loaded(_) | Item::Audit(_) => None,
        })
        .collect();
    if items.is_empty() {
        return;
    }
    let (table, quarantined) = &items[stage.rng.random_range(0..items.len())];
    let committed = quarantined.objects.iter().any(|waiting| stage.warehouse.times(table, &waiting.object) > 0);
    if committed || stage.warehouse.unfinished().contains_key(table) {
        return;
    }
    if stage.rng.random_range(0..3) > 0 {
        quarantined.objects.iter().for_each(|waiting| mend(stage, &waiting.object));
    }
    stage.sent_back.extend(quarantined.objects.iter().map(|waiting| (table.clone(), waiting.object.clone())));
    let transaction = operator::retry(quarantined, stage.now);
    let items = stage.items.entry(table.clone()).or_default();
    let real = stage.options.mutant.transaction(transaction, &Writer { holder: "operator", items });
    let written = apply(items, &real);
    stage.trace(("sent back", &quarantined.key, written == Done));
}

/// The same version is no longer bad.
fn mend(stage: &mut Stage, object: &ObjectVersion) {
    for written in stage.written.iter_mut().filter(|written| written.key == object.key) {
        if written.blob.version(&written.key) == *object {
            if stage.bucket.get(&written.key) == Some(&written.blob) {
                stage.bucket.entry(written.key.clone()).and_modify(|blob| blob.bad = false);
            }
            written.blob.bad = false;
        }
    }
}

/// A notification of some objects, late or doubled as S3 sees fit; sometimes with what is nothing to load beside it.
fn send(stage: &mut Stage, table: usize, about: Vec<usize>) {
    let mut records: Vec<Value> = about.iter().map(|position| record(&stage.written[*position])).collect();
    let queue = queue_name(table);
    let now = stage.now;
    match stage.rng.random_range(0..20) {
        0 => records.insert(0, json!({"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": "folder/", "size": 0, "eTag": "e"}}})),
        1 => stage.queues.send(&queue, json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}).to_string(), Vec::new(), false, now),
        2 => stage.queues.send(&queue, "no notification".to_owned(), Vec::new(), true, now),
        _ => {}
    }
    let body = json!({"Records": records}).to_string();
    let late: Millis = if stage.rng.random_range(0..10) == 0 { stage.rng.random_range(0..600_000) } else { 0 };
    if stage.rng.random_range(0..15) == 0 {
        stage.queues.send(&queue, body.clone(), about.clone(), false, now + late / 2);
    }
    stage.queues.send(&queue, body, about, false, now + late);
}

fn record(written: &Written) -> Value {
    let mut object = json!({"key": encode(&written.key), "size": written.blob.size_bytes, "eTag": written.blob.etag});
    if let Some(id) = written.blob.version_id() {
        object["versionId"] = json!(id);
    }
    json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": BUCKET}, "object": object}})
}

/// A statement ends; its event is sent, lost, late or doubled.
pub fn statement_ends(stage: &mut Stage, index: usize) {
    let rough = stage.rough && stage.options.faults_per_mille > 0;
    let end = match stage.rng.random_range(0..30) {
        0 | 1 if rough => End::Failure(RETRYABLE[stage.rng.random_range(0..RETRYABLE.len())].to_owned()),
        2 if rough => End::Abort,
        _ => End::Natural,
    };
    end_statement(stage, index, end);
}

/// Cancels a statement, if it still runs.
pub fn cancel(stage: &mut Stage, statement_id: &str) {
    let found = stage.warehouse.statements.iter().position(|statement| statement.id == statement_id);
    if let Some(index) = found {
        end_statement(stage, index, End::Abort);
    }
}

fn end_statement(stage: &mut Stage, index: usize, end: End) {
    if stage.warehouse.statements[index].phase != Phase::Running {
        return;
    }
    stage.warehouse.end(index, end, &stage.bucket, &stage.manifests);
    let statement = &stage.warehouse.statements[index];
    let status = match statement.phase {
        Phase::Finished => "FINISHED",
        Phase::Aborted => "ABORTED",
        Phase::Failed(_) | Phase::Running => "FAILED",
    };
    let event = json!({"source": "aws.redshift-data", "detail-type": "Redshift Data Statement Status Change",
        "detail": {"statementName": statement.name.to_string(), "statementId": statement.id, "state": status}});
    stage.trace(("ended", index, status));
    for delay in event_delays(&mut stage.rng) {
        stage.happen(delay, Happening::Event(event.clone()));
    }
}

fn event_delays(rng: &mut StdRng) -> Vec<Millis> {
    match rng.random_range(0..10) {
        0 => Vec::new(),
        1 => vec![0, rng.random_range(0..300_000)],
        2 => vec![rng.random_range(0..1_800_000)],
        _ => vec![rng.random_range(0..3_000)],
    }
}

/// A request for a table's folder.
pub fn bulk_request(table: usize) -> Value {
    json!({"paths": [{"s3_path": format!("s3://{BUCKET}/t{table}"), "table": format!("t{table}")}],
        "copy": {"role_arn": "default"}, "cluster": {"identifier": "c", "db_name": "d"}})
}

mod percent {
    /// As S3 encodes a key in a notification: form-urlencoded.
    pub fn encode(key: &str) -> String {
        let byte = |b: u8| match b {
            b' ' => "+".to_owned(),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        key.bytes().map(byte).collect()
    }
}
