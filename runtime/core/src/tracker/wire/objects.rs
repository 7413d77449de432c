//! The objects of an item. An item has room for many of them, because keys share prefixes and MD5 eTags are written as base64.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::ids::{ObjectVersion, Version, WaitingObject};

/// Number of hex digits of an MD5 digest, which most eTags are.
const MD5_DIGITS: usize = 32;

/// An object as loader 0.1 wrote it, and as it appears in ledger entries.
#[derive(Serialize, Deserialize)]
pub(super) struct ObjectWire {
    bucket: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    size: u64,
}

impl From<&WaitingObject> for ObjectWire {
    fn from(waiting: &WaitingObject) -> Self {
        let ObjectVersion { bucket, key, version } = waiting.object.clone();
        let (version_id, etag) = match version {
            Version::Id(id) => (Some(id), None),
            Version::ETag(etag) => (None, Some(etag)),
        };
        Self { bucket, key, version_id, etag, size: waiting.size_bytes }
    }
}

impl ObjectWire {
    pub(super) fn into_item(self) -> Result<WaitingObject, String> {
        let version = match (self.version_id, self.etag) {
            (Some(id), _) => Version::Id(id),
            (None, Some(etag)) => Version::ETag(etag),
            (None, None) => return Err(format!("object `{}` has neither version id nor eTag", self.key)),
        };
        Ok(WaitingObject {
            object: ObjectVersion { bucket: self.bucket, key: self.key, version },
            size_bytes: self.size,
        })
    }
}

/// The objects of an item, in one of two formats.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Objects {
    /// A list, as loader 0.1 wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objects: Option<Vec<ObjectWire>>,
    /// JSON text: for each run of objects in the same bucket, `[bucket, [[n, rest, size, version], …]]`. A key consists of the first `n`
    /// bytes of the previous key and `rest`; the first letter of the version gives its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packed: Option<String>,
}

type Run = (String, Vec<(usize, String, u64, String)>);

impl Objects {
    pub(super) fn pack(objects: &[WaitingObject]) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        let mut before = "";
        for WaitingObject { object, size_bytes } in objects {
            let shared = shared_bytes(before, &object.key);
            let packed = (shared, object.key[shared..].to_owned(), *size_bytes, pack_version(&object.version));
            before = &object.key;
            match runs.last_mut() {
                Some((bucket, run)) if *bucket == object.bucket => run.push(packed),
                _ => runs.push((object.bucket.clone(), vec![packed])),
            }
        }
        Self { objects: None, packed: Some(serde_json::json!(runs).to_string()) }
    }

    /// Whether loader 0.1 wrote these objects.
    pub(super) const fn is_listed(&self) -> bool {
        self.objects.is_some()
    }

    pub(super) fn unpack(self) -> Result<Vec<WaitingObject>, String> {
        match (self.packed, self.objects) {
            (Some(packed), _) => unpack(&packed),
            (None, Some(objects)) => objects.into_iter().map(ObjectWire::into_item).collect(),
            (None, None) => Err("it has no objects".to_owned()),
        }
    }
}

fn unpack(packed: &str) -> Result<Vec<WaitingObject>, String> {
    let runs: Vec<Run> = serde_json::from_str(packed).map_err(|error| format!("its objects: {error}"))?;
    let mut objects = Vec::new();
    let mut before = String::new();
    for (bucket, run) in runs {
        for (shared, rest, size_bytes, version) in run {
            let kept = before.get(..shared).ok_or_else(|| format!("`{rest}` continues a key that is too short"))?;
            let key = format!("{kept}{rest}");
            before.clone_from(&key);
            let object = ObjectVersion { bucket: bucket.clone(), key, version: unpack_version(&version)? };
            objects.push(WaitingObject { object, size_bytes });
        }
    }
    Ok(objects)
}

/// Length in bytes of the common prefix of two keys.
fn shared_bytes(before: &str, key: &str) -> usize {
    let same = before.chars().zip(key.chars()).take_while(|(a, b)| a == b);
    same.map(|(a, _)| a.len_utf8()).sum()
}

fn pack_version(version: &Version) -> String {
    match version {
        Version::Id(id) => format!("i{id}"),
        Version::ETag(etag) => {
            let digits = etag.len() == MD5_DIGITS && !etag.bytes().any(|byte| byte.is_ascii_uppercase());
            match hex::decode(etag).ok().filter(|_| digits) {
                Some(digest) => format!("m{}", URL_SAFE_NO_PAD.encode(digest)),
                None => format!("e{etag}"),
            }
        }
    }
}

fn unpack_version(text: &str) -> Result<Version, String> {
    let unknown = || format!("version `{text}` is unknown");
    match text.split_at_checked(1) {
        Some(("i", id)) => Ok(Version::Id(id.to_owned())),
        Some(("e", etag)) => Ok(Version::ETag(etag.to_owned())),
        Some(("m", digest)) => {
            let digest = URL_SAFE_NO_PAD.decode(digest).map_err(|_| unknown())?;
            Ok(Version::ETag(hex::encode(digest)))
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version() -> impl Strategy<Value = Version> {
        prop_oneof![
            "[0-9a-f]{32}".prop_map(Version::ETag),
            "[0-9A-Fa-f]{30,34}(-[0-9]{1,4})?".prop_map(Version::ETag),
            ".{1,40}".prop_map(Version::Id),
        ]
    }

    proptest! {
        #[test]
        fn objects_read_back(
            objects in proptest::collection::vec(("[ab]{3}", "(é|x|/|\"|\\\\|\u{1}){0,12}", version(), any::<u64>()), 0..12)
        ) {
            let waiting = |(bucket, key, version, size_bytes): (String, String, Version, u64)| WaitingObject {
                object: ObjectVersion { bucket, key, version },
                size_bytes,
            };
            let objects: Vec<WaitingObject> = objects.into_iter().map(waiting).collect();
            prop_assert_eq!(Objects::pack(&objects).unpack().unwrap(), objects);
        }
    }
}
