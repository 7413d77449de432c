//! Objects that are written, overwritten and deleted, and S3's notifications of them.

use loader_core::ids::ObjectVersion;
use loader_core::tracker::item::Millis;
use percent::encode;
use rand::Rng;
use serde_json::{Value, json};

use super::stage::{Happening, Stage, Written};
use super::tables::{is_write_once, queue_name, shape_of};
use crate::fixture::{BUCKET, Blob};

/// Puts, overwrites or deletes an object.
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

/// Puts an object and returns its position.
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
    let (etag, misfit) = (format!("e{position}"), bad && position.is_multiple_of(2));
    let blob = Blob {
        etag,
        size_bytes: 1 + position as u64,
        bad,
        misfit,
        names: shape_of(table, position),
        versioned: table % 2 == 1,
    };
    stage.trace(("put", &key, position, blob.bad));
    stage.bucket.insert(key.clone(), blob.clone());
    stage.positions.entry(key.clone()).or_default().push(position);
    stage.written.push(Written { table, key, blob });
    position
}

/// Fills a folder, in some cases with one bad file, and requests it.
pub fn folder(stage: &mut Stage, table: usize) {
    let count = stage.rng.random_range(50..stage.options.folder_max);
    let bad = stage.rng.random_range(0..2 * count);
    for number in 0..count {
        put_at(stage, table, format!("t{table}/folder/{number:05}-{}", stage.written.len()), number == bad);
    }
    stage.happen(1, Happening::Bulk(table));
}

/// Repairs an object version without changing it.
pub fn mend(stage: &mut Stage, object: &ObjectVersion) {
    for written in stage.written.iter_mut().filter(|written| written.key == object.key) {
        if written.blob.version(&written.key) == *object {
            if stage.bucket.get(&written.key) == Some(&written.blob) {
                stage.bucket.entry(written.key.clone()).and_modify(|blob| blob.bad = false);
            }
            written.blob.bad = false;
        }
    }
}

/// Sends a notification of these objects, sometimes delayed or doubled, or with something that cannot be loaded.
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

pub mod percent {
    /// Encodes a key as S3 does in a notification: form-urlencoded.
    pub fn encode(key: &str) -> String {
        let byte = |b: u8| match b {
            b' ' => "+".to_owned(),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        key.bytes().map(byte).collect()
    }
}
