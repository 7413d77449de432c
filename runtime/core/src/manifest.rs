//! The COPY manifest: which objects one load consists of.
//!
//! Source: Redshift database guide, "Using a manifest to specify data files". `content_length` is required for Parquet and ORC.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ids::LoadId;
use crate::tracker::item::WaitingObject;

/// A manifest, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Key below the manifest folder: `<load id>/<digest of the content>.json`. Another content is another key, so a late
    /// write of an invocation that was overtaken can never change what a running COPY reads.
    pub key: String,
    /// The JSON text.
    pub content: String,
}

#[derive(Serialize)]
struct File {
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    url: String,
    mandatory: bool,
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    content_length: u64,
}

impl Manifest {
    /// Lists every object as mandatory, with its size, sorted by URL: the same objects give the same text.
    pub fn new(load_id: &LoadId, objects: &[&WaitingObject]) -> Self {
        let mut entries: Vec<Entry> = objects
            .iter()
            .map(|waiting| Entry {
                url: format!("s3://{}/{}", waiting.object.bucket, waiting.object.key),
                mandatory: true,
                meta: Meta { content_length: waiting.size_bytes },
            })
            .collect();
        entries.sort_by(|a, b| a.url.cmp(&b.url));
        let content = serde_json::to_string(&File { entries }).unwrap_or_default();
        let digest = hex::encode(&Sha256::digest(&content)[..8]);
        Self { key: format!("{load_id}/{digest}.json"), content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DbTable, ObjectVersion, Version};

    #[test]
    fn the_order_of_the_objects_does_not_matter_and_keys_are_written_as_they_are() {
        let object = |key: &str| WaitingObject {
            object: ObjectVersion { bucket: "b".into(), key: key.into(), version: Version::ETag("e".into()) },
            size_bytes: 7,
        };
        let (a, b) = (object("a b+%ü=1"), object("z"));
        let id = LoadId::of_objects(&DbTable("t".into()), [&a.object, &b.object]);
        let manifest = Manifest::new(&id, &[&b, &a]);
        assert_eq!(manifest, Manifest::new(&id, &[&a, &b]));
        assert_eq!(
            manifest.content,
            r#"{"entries":[{"url":"s3://b/a b+%ü=1","mandatory":true,"meta":{"content_length":7}},{"url":"s3://b/z","mandatory":true,"meta":{"content_length":7}}]}"#
        );
    }
}
