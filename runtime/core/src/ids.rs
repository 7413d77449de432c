//! The identities of the protocol. Each is derived from its input, so a repeated delivery produces the same identity.
//!
//! Nothing here is random or depends on the time.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::ident::TableName;
use crate::limits::STATEMENT_NAME_CHARACTERS_MAX;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// Distinguishes two contents of the same object key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// Version id of a versioned bucket.
    Id(String),
    /// eTag, if the bucket is not versioned.
    ETag(String),
}

impl Version {
    /// The version id if there is a real one (S3 calls the version of an unversioned object `null`), otherwise the eTag. `None` if there is
    /// neither.
    pub fn new(version_id: Option<&str>, etag: Option<&str>) -> Option<Self> {
        match (version_id, etag) {
            (Some(id), _) if !id.is_empty() && id != "null" => Some(Self::Id(id.to_owned())),
            (_, Some(etag)) => {
                let etag = etag.trim_matches('"');
                (!etag.is_empty()).then(|| Self::ETag(etag.to_owned()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "version {id}"),
            Self::ETag(etag) => write!(f, "eTag {etag}"),
        }
    }
}

/// Bucket, key and version: what is loaded at most once per target table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectVersion {
    /// Bucket name.
    pub bucket: String,
    /// Decoded object key.
    pub key: String,
    /// Version id or eTag.
    pub version: Version,
}

impl ObjectVersion {
    /// Identity in the ledger: the [digest](Self::digest) as 32 hex digits.
    pub fn id(&self) -> String {
        hex::encode(self.digest())
    }

    /// The same identity as bytes, for code that keeps a million of them in memory.
    pub fn digest(&self) -> [u8; 16] {
        let (kind, version) = match &self.version {
            Version::Id(id) => ("id", id),
            Version::ETag(etag) => ("etag", etag),
        };
        digest_bytes(["object", &self.bucket, &self.key, kind, version])
    }
}

impl fmt::Display for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{} ({})", self.bucket, self.key, self.version)
    }
}

/// An object version that is to be loaded, with its last known size.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaitingObject {
    /// Identity of the object version.
    pub object: ObjectVersion,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// An object in a listing of a folder or in an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object, with the same identity as in its notification; from an inventory without version ids, identified by its eTag.
    pub waiting: WaitingObject,
    /// When it was last modified.
    pub modified_millis: Millis,
}

/// The two ways to address a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RedshiftTarget {
    /// A provisioned cluster, by its identifier.
    Cluster(String),
    /// A Redshift Serverless workgroup, by its name or ARN.
    Workgroup(String),
}

/// A table in a database of a warehouse. Each has one slot, one backlog and one ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetTable {
    /// Cluster or workgroup.
    pub warehouse: RedshiftTarget,
    /// Database name.
    pub database: String,
    /// `schema.table`; the schema is always present.
    pub table: TableName,
}

impl TargetTable {
    /// The tracker's partition key: `cluster:<identifier>:<database>:<schema>.<table>` (or `workgroup:…`).
    pub fn db_table(&self) -> DbTable {
        let (kind, name) = match &self.warehouse {
            RedshiftTarget::Cluster(name) => ("cluster", name),
            RedshiftTarget::Workgroup(name) => ("workgroup", name),
        };
        DbTable(format!(
            "{kind}:{}:{}:{}.{}",
            escape(name),
            escape(&self.database),
            escape(&self.table.schema),
            escape(&self.table.table)
        ))
    }
}

/// Characters to percent-encode in a part of a key: everything that could make the whole ambiguous, such as `:`, `.`, `/` and `%`.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'$');

fn escape(part: &str) -> String {
    utf8_percent_encode(part, PART).to_string()
}

/// Partition key of a target table in the tracker. Unambiguous across warehouses and databases; contains no `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DbTable(pub String);

impl DbTable {
    /// The part that identifies the warehouse: `cluster:<identifier>` or `workgroup:<name>`.
    pub fn warehouse(&self) -> &str {
        let second = self.0.match_indices(':').nth(1).map_or(self.0.len(), |(at, _)| at);
        &self.0[..second]
    }
}

impl fmt::Display for DbTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identity of a load: 32 hex digits, derived from what it loads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoadId(pub String);

impl LoadId {
    /// Identity of a pending load, from its object versions in any order.
    pub fn of_objects<'a>(table: &DbTable, objects: impl IntoIterator<Item = &'a ObjectVersion>) -> Self {
        let mut ids: Vec<String> = objects.into_iter().map(ObjectVersion::id).collect();
        ids.sort_unstable();
        Self(digest(["pending", &table.0].into_iter().chain(ids.iter().map(String::as_str))))
    }

    /// Identity of a running load, from the version of the slot that it takes and the item keys of its pending loads in any order.
    pub fn of_pendings<'a>(table: &DbTable, version: u64, sort_keys: impl IntoIterator<Item = &'a str>) -> Self {
        let mut keys: Vec<&str> = sort_keys.into_iter().collect();
        keys.sort_unstable();
        Self(digest(["running", &table.0, &version.to_string()].into_iter().chain(keys)))
    }
}

impl fmt::Display for LoadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of a Data API statement: `<prefix>/<db_table>/<load id>/<attempt>`. It is the only link from a status change to its table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatementName {
    /// The stack's `statementNamePrefix`.
    pub prefix: String,
    /// The table whose slot the load holds.
    pub table: DbTable,
    /// The running load.
    pub load_id: LoadId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

impl StatementName {
    /// Reads a name from the right, because the prefix may contain slashes. `None` if this loader did not give the name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.rsplitn(4, '/');
        let attempt = parts.next()?;
        let load_id = parts.next()?;
        let table = parts.next()?;
        let prefix = parts.next()?;
        let hex = load_id.len() == 32 && load_id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let number = attempt.parse::<u32>().ok().filter(|n| *n > 0 && n.to_string() == attempt)?;
        let known = table.starts_with("cluster:") || table.starts_with("workgroup:");
        (hex && known && !prefix.is_empty()).then(|| Self {
            prefix: prefix.to_owned(),
            table: DbTable(table.to_owned()),
            load_id: LoadId(load_id.to_owned()),
            attempt: number,
        })
    }

    /// Idempotency token of the submit: 64 hex digits, the maximum length. Repeating an attempt repeats its token.
    pub fn client_token(&self) -> String {
        hex::encode(Sha256::digest(format!("submit/{self}")))
    }

    /// Whether the name is short enough for the service.
    pub fn fits(&self) -> bool {
        self.to_string().chars().count() <= STATEMENT_NAME_CHARACTERS_MAX
    }
}

impl fmt::Display for StatementName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.prefix, self.table, self.load_id, self.attempt)
    }
}

/// First 128 bits of SHA-256 over the parts. Each part is preceded by its length, so different lists cannot produce the same input.
fn digest_bytes<P: AsRef<str>>(parts: impl IntoIterator<Item = P>) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hasher.update(part.len().to_be_bytes());
        hasher.update(part);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize()[..16]);
    first
}

fn digest<P: AsRef<str>>(parts: impl IntoIterator<Item = P>) -> String {
    hex::encode(digest_bytes(parts))
}

/// Identity of an operator's action: 32 hex digits of who, what, and the keys of the items written.
pub(crate) fn act_id(parts: impl Iterator<Item = String>) -> String {
    digest(std::iter::once("act".to_owned()).chain(parts))
}

/// Identity of a folder listing for a table: 32 hex digits of the request.
pub(crate) fn listing_id(table: &DbTable, request: &str) -> String {
    digest(["listing", &table.0, request])
}

/// Decodes a [`DbTable`] for people.
pub fn readable(db_table: &str) -> String {
    percent_decode_str(db_table).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, etag: &str) -> ObjectVersion {
        ObjectVersion { bucket: "b".into(), key: key.into(), version: Version::ETag(etag.into()) }
    }

    #[test]
    fn parts_are_delimited() {
        assert_ne!(object("a", "bc").id(), object("ab", "c").id());
    }

    #[test]
    fn the_version_null_is_not_a_version() {
        assert_eq!(Version::new(Some("null"), Some("\"e\"")), Some(Version::ETag("e".into())));
        assert_eq!(Version::new(Some("v1"), Some("e")), Some(Version::Id("v1".into())));
        assert_eq!(Version::new(None, None), None);
    }

    #[test]
    fn a_load_id_does_not_depend_on_the_order() {
        let table = DbTable("cluster:c:d:public.t".into());
        let (a, b) = (object("a", "1"), object("b", "2"));
        assert_eq!(LoadId::of_objects(&table, [&a, &b]), LoadId::of_objects(&table, [&b, &a]));
        assert_ne!(LoadId::of_objects(&table, [&a]), LoadId::of_objects(&table, [&b]));
    }

    #[test]
    fn two_clusters_with_the_same_table_have_two_slots() {
        let table = |cluster: &str| TargetTable {
            warehouse: RedshiftTarget::Cluster(cluster.into()),
            database: "dev".into(),
            table: TableName::parse("sales").unwrap(),
        };
        assert_eq!(table("one").db_table().0, "cluster:one:dev:public.sales");
        assert_ne!(table("one").db_table(), table("two").db_table());
        assert_ne!(table("a:dev").db_table().0, "cluster:a:dev:dev:public.sales");
    }

    #[test]
    fn a_statement_name_of_someone_else_is_not_ours() {
        for name in ["", "dev", "dev/x/y/z", "dev/cluster:c:d:s.t/0123456789abcdef0123456789abcdef/0", "a/b/c/d/e"] {
            assert_eq!(StatementName::parse(name), None, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_statement_name_reads_back(prefix in "[a-z/]{1,12}", cluster in ".{1,20}", attempt in 1u32.., key in ".{0,10}") {
            let table = TargetTable {
                warehouse: RedshiftTarget::Cluster(cluster),
                database: "d/b".into(),
                table: TableName::parse("\"we/ird\".\"ta%ble\"").unwrap(),
            };
            let name = StatementName {
                prefix,
                table: table.db_table(),
                load_id: LoadId::of_objects(&table.db_table(), [&object(&key, "e")]),
                attempt,
            };
            proptest::prop_assert_eq!(StatementName::parse(&name.to_string()), Some(name.clone()));
            proptest::prop_assert_eq!(name.client_token().len(), 64);
        }
    }
}
