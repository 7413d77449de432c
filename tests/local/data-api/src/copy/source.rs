//! Reads the objects of a COPY: those in its manifest, or those whose keys begin with its prefix.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use super::command::CopyCommand;
use super::location::Location;
use crate::aws::{Aws, S3Failure};
use crate::errors::{NodeError, SqlError};

#[derive(Clone, Debug)]
pub struct Object {
    pub location: Location,
    pub bytes: Bytes,
}

#[derive(Clone, Debug)]
struct Wanted {
    location: Location,
    mandatory: bool,
    length: Option<u64>,
}

/// Maximum number of concurrent requests.
const FETCHES_MAX: usize = 8;

/// Reads all objects of the command, in order.
pub async fn read(aws: &Aws, command: &CopyCommand, query: i64) -> Result<Vec<Object>, SqlError> {
    let from = &command.from;
    let wanted = if command.options.manifest {
        manifest(aws, command, query).await?
    } else {
        let keys = aws.list(&from.bucket, &from.key).await.map_err(|failure| s3_error(&failure, from, query))?;
        let location = |key| Location { bucket: from.bucket.clone(), key };
        keys.into_iter().map(|key| Wanted { location: location(key), mandatory: true, length: None }).collect()
    };
    let columnar = command.options.format.is_columnar();
    let objects: Vec<Option<Object>> = stream::iter(wanted)
        .map(|wanted| async move { fetch(aws, wanted, columnar, query).await })
        .buffered(FETCHES_MAX)
        .try_collect()
        .await?;
    let objects: Vec<Object> = objects.into_iter().flatten().collect();
    if objects.is_empty() {
        let error = format!("The specified S3 prefix '{}' does not exist", from.key);
        return Err(node(&error, 8001, "", query, "s3_utility.cpp:671"));
    }
    Ok(objects)
}

/// Returns `None` if the object is missing and not mandatory.
async fn fetch(aws: &Aws, wanted: Wanted, columnar: bool, query: i64) -> Result<Option<Object>, SqlError> {
    let Wanted { location, mandatory, length } = wanted;
    let bytes = match aws.get(&location.bucket, &location.key).await {
        Ok(bytes) => bytes,
        Err(failure) if failure.is_missing_key() && !mandatory => return Ok(None),
        Err(failure) => return Err(s3_error(&failure, &location, query)),
    };
    let found = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match length {
        Some(length) if columnar && length != found => {
            let context = format!(
                "File size mismatch: the manifest says {length} bytes, the object has {found}. File name: {}",
                location.url()
            );
            Err(node("Spectrum Scan Error", 15003, &context, query, "spectrum_manifest.cpp:204"))
        }
        _ => Ok(Some(Object { location, bytes })),
    }
}

pub fn s3_error(failure: &S3Failure, location: &Location, query: i64) -> SqlError {
    let context = format!("S3 key being read : {}", location.url());
    node(&failure.to_string(), 8001, &context, query, "table_s3_scanner.cpp:372")
}

fn node(error: &str, code: u32, context: &str, query: i64, location: &str) -> SqlError {
    SqlError::node(error, NodeError { error, code, context, query, location })
}

#[derive(Deserialize)]
struct ManifestFile {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    url: String,
    #[serde(default)]
    mandatory: bool,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    content_length: Option<u64>,
}

async fn manifest(aws: &Aws, command: &CopyCommand, query: i64) -> Result<Vec<Wanted>, SqlError> {
    let from = &command.from;
    let bytes = aws.get(&from.bucket, &from.key).await.map_err(|failure| {
        let error = format!("Problem reading manifest file - {failure}");
        let context = format!("S3 key being read : {}", from.url());
        node(&error, 8001, &context, query, "s3_utility.cpp:292")
    })?;
    parse_manifest(&bytes, command.options.format.is_columnar(), query)
}

fn parse_manifest(bytes: &[u8], columnar: bool, query: i64) -> Result<Vec<Wanted>, SqlError> {
    let file: ManifestFile = serde_json::from_slice(bytes).map_err(|error| {
        node("Manifest file is not in correct json format", 8001, &error.to_string(), query, "s3_utility.cpp:301")
    })?;
    file.entries.iter().map(|entry| wanted(entry, columnar, query)).collect()
}

fn wanted(entry: &Entry, columnar: bool, query: i64) -> Result<Wanted, SqlError> {
    let Some(location) = Location::parse(&entry.url).filter(|location| !location.key.ends_with('/')) else {
        let error = "COPY with MANIFEST parameter requires full path of an S3 object.";
        return Err(node(error, 8001, &entry.url, query, "s3_utility.cpp:330"));
    };
    let length = entry.meta.as_ref().and_then(|meta| meta.content_length);
    if columnar && length.is_none() {
        let error = match entry.meta {
            None => "File entry does not have 'meta' key.",
            Some(_) => "'meta' entry does not have 'content_length' key.",
        };
        return Err(node(error, 15003, &entry.url, query, "spectrum_manifest.cpp:204"));
    }
    Ok(Wanted { location, mandatory: entry.mandatory, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(manifest: &str, columnar: bool, expected: &str) {
        let outcome = parse_manifest(manifest.as_bytes(), columnar, 1);
        let shown = match outcome {
            Ok(wanted) => wanted
                .iter()
                .map(|wanted| format!("{} {} {:?}", wanted.location.url(), wanted.mandatory, wanted.length))
                .collect::<Vec<_>>()
                .join(", "),
            Err(error) => error.text.lines().next().unwrap_or_default().to_owned(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn mandatory_defaults_to_false() {
        check(
            r#"{"entries":[{"url":"s3://b/k"},{"url":"s3://b/ü x+y","mandatory":true}]}"#,
            false,
            "s3://b/k false None, s3://b/ü x+y true None",
        );
    }

    #[test]
    fn parquet_entries_need_a_content_length() {
        check(r#"{"entries":[{"url":"s3://b/k","meta":{"content_length":9}}]}"#, true, "s3://b/k false Some(9)");
        check(r#"{"entries":[{"url":"s3://b/k"}]}"#, true, "ERROR: File entry does not have 'meta' key.");
        check(
            r#"{"entries":[{"url":"s3://b/k","meta":{}}]}"#,
            true,
            "ERROR: 'meta' entry does not have 'content_length' key.",
        );
    }

    #[test]
    fn a_malformed_manifest_fails() {
        check("{\"entries\": 1}", false, "ERROR: Manifest file is not in correct json format");
        check(
            r#"{"entries":[{"url":"s3://b/folder/"}]}"#,
            false,
            "ERROR: COPY with MANIFEST parameter requires full path of an S3 object.",
        );
    }

    #[test]
    fn a_file_listed_twice_is_loaded_twice() {
        check(
            r#"{"entries":[{"url":"s3://b/k"},{"url":"s3://b/k"}]}"#,
            false,
            "s3://b/k false None, s3://b/k false None",
        );
    }
}
