//! Inventories as S3 writes them, because the local S3 writes none.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use loader_core::bulk_request::instant_text;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use crate::table::Table;
use crate::world::World;

/// The folder in a table's own bucket where its inventories are.
pub fn folder(bucket: &str) -> String {
    format!("lists/{bucket}/all/")
}

/// The line of an object as it is now; keys are written as they are, so they must need no encoding.
pub async fn line(world: &World, table: &Table, key: &str) -> Result<String> {
    let head = world.s3.head_object().bucket(table.bucket()).key(key).send().await?;
    let modified = head.last_modified().context("no time")?.to_millis()?;
    let (size, etag) = (head.content_length().unwrap_or_default(), head.e_tag().unwrap_or_default());
    let etag = etag.trim_matches('"');
    let fields =
        [&table.bucket(), key, "", "true", "false", &size.to_string(), &instant_text(modified), etag, "STANDARD"];
    Ok(fields.map(|field| format!("\"{field}\"")).join(","))
}

/// Publishes an inventory that was begun then, with a data file for each of these texts.
pub async fn publish(table: &Table, begun: i64, files: &[String]) -> Result<()> {
    let (bucket, folder) = (table.bucket(), folder(&table.bucket()));
    let mut listed: Vec<Value> = Vec::new();
    for (number, text) in files.iter().enumerate() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes())?;
        let content = gzip.finish()?;
        let key = format!("{folder}data/{begun}-{number}.csv.gz");
        listed.push(json!({"key": key, "size": content.len(), "MD5checksum": hex::encode(Md5::digest(&content))}));
        table.put(&key, content).await?;
    }
    let manifest = json!({
        "sourceBucket": bucket, "destinationBucket": format!("arn:aws:s3:::{bucket}"), "version": "2016-11-30",
        "creationTimestamp": begun.to_string(), "fileFormat": "CSV", "files": listed,
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass",
    })
    .to_string();
    let date = instant_text(begun);
    let place = format!("{folder}{}-{}Z", &date[..13], &date[14..16]);
    table.put(&format!("{place}/manifest.json"), manifest.clone()).await?;
    table.put(&format!("{place}/manifest.checksum"), hex::encode(Md5::digest(&manifest))).await
}
