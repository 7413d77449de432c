//! The COPY manifest: the list of objects that one load consists of.
//!
//! Source: Redshift database guide, "Using a manifest to specify data files". `content_length` is required for Parquet and ORC.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ids::{LoadId, WaitingObject};

/// A manifest that is ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Key below the manifest folder: `<load id>/<digest of the content>.json`. Different content has a different key, so a late write by
    /// an overtaken invocation cannot change what a running COPY reads.
    pub key: String,
    /// The JSON text.
    pub content: String,
}

impl Manifest {
    /// Lists every object as mandatory, with its size, sorted by URL, so that the same objects always produce the same text.
    pub fn new(load_id: &LoadId, objects: &[&WaitingObject]) -> Self {
        let url = |waiting: &WaitingObject| format!("s3://{}/{}", waiting.object.bucket, waiting.object.key);
        let mut listed: Vec<(String, u64)> = objects.iter().map(|waiting| (url(waiting), waiting.size_bytes)).collect();
        listed.sort_unstable();
        let entry = |(url, size_bytes): (String, u64)| json!({"url": url, "mandatory": true, "meta": {"content_length": size_bytes}});
        let entries: Vec<Value> = listed.into_iter().map(entry).collect();
        let content = json!({"entries": entries}).to_string();
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
        let odd = object("\u{1}\"\\");
        assert!(
            Manifest::new(&id, &[&odd]).content.contains(r#""url":"s3://b/\u0001\"\\""#),
            "control characters are escaped"
        );
    }
}
