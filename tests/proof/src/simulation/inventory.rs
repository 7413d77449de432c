//! An inventory as S3 publishes one: what lies in a table's folder now, some lines in each of its data files.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use loader_core::bulk_request::instant_text;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::objects::percent::encode;
use super::stage::Stage;
use super::tables::{bulk_request, is_write_once};
use crate::fixture::{BUCKET, Blob};

/// Where inventories are.
pub const LISTS: &str = "lists";
/// Lines of a data file: each is a page.
const LINES: usize = 20;
const HOUR_MILLIS: i64 = 3_600_000;

/// Publishes what lies in the folder of a table, for every other folder. No random number is drawn, so the rest of a run stays the same.
/// Where keys are written once there are no version ids: then only a look at an object tells which version it is.
pub fn publish(stage: &mut Stage, table: usize) {
    if !stage.written.len().is_multiple_of(2) {
        return;
    }
    let (folder, now) = (format!("t{table}/"), stage.now);
    let modified = instant_text(now - HOUR_MILLIS);
    let line = |(key, blob): (&String, &Blob)| {
        let id = blob.version_id().filter(|_| !is_write_once(table)).unwrap_or_default();
        let (key, etag) = (encode(key), &blob.etag);
        format!(
            "\"{BUCKET}\",\"{key}\",\"{id}\",\"true\",\"false\",\"{}\",\"{modified}\",\"{etag}\"\n",
            blob.size_bytes
        )
    };
    let lines: Vec<String> = stage.bucket.iter().filter(|(key, _)| key.starts_with(&folder)).map(line).collect();
    let mut files = Vec::new();
    for (number, lines) in lines.chunks(LINES).enumerate() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let content = gzip.write_all(lines.concat().as_bytes()).and_then(|()| gzip.finish()).unwrap_or_default();
        let key = format!("{BUCKET}/t{table}/data/{number}.csv.gz");
        files.push(json!({"key": key, "size": content.len(), "MD5checksum": ""}));
        stage.lists.insert(key, content);
    }
    let schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag";
    let manifest = json!({"sourceBucket": BUCKET, "creationTimestamp": (now - 2 * HOUR_MILLIS).to_string(),
        "fileFormat": "CSV", "fileSchema": schema, "files": files})
    .to_string();
    let begun = instant_text(now - 2 * HOUR_MILLIS);
    let date = format!("{}-{}", &begun[..13], &begun[14..16]);
    let checksum = hex::encode(Md5::digest(&manifest));
    stage.lists.insert(format!("{BUCKET}/t{table}/{date}Z/manifest.json"), manifest.into_bytes());
    stage.lists.insert(format!("{BUCKET}/t{table}/{date}Z/manifest.checksum"), checksum.into_bytes());
    stage.checks.insert(table, now);
}

/// The request of a check that reads the inventory of a table, where one was published; else one for its folder.
pub fn request(stage: &Stage, table: usize) -> Value {
    let mut request = bulk_request(table);
    if let Some(scheduled) = stage.checks.get(&table) {
        request["paths"][0]["s3_path"] = json!(format!("s3://{BUCKET}/t{table}/"));
        request["load"] = json!({"write_once": is_write_once(table)});
        request["check"] = json!("1 day");
        request["inventory"] = json!(format!("s3://{LISTS}/{BUCKET}/t{table}/"));
        request["scheduled_time"] = json!(instant_text(*scheduled));
    }
    request
}
