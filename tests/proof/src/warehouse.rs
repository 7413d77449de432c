//! The warehouse of the proofs: statements and client tokens, which are remembered for as long as the service does, and COPY with a manifest.
//!
//! It commits object versions instead of rows: those that exist under the listed keys when COPY reads, all or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use loader_core::ids::{DbTable, ObjectVersion, StatementName};
use loader_core::limits::{CLIENT_TOKEN_MILLIS, STATEMENT_MILLIS};
use loader_core::tracker::change::Committed;
use loader_core::tracker::item::Millis;
use loader_core::tracker::settle::StatementStatus;
use serde_json::Value;

use crate::fixture::Blob;

/// The object under each key.
pub type Bucket = BTreeMap<String, Blob>;
/// Manifests by URL.
pub type Manifests = BTreeMap<String, String>;

/// An accepted statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// Statement id.
    pub id: String,
    /// Statement name.
    pub name: StatementName,
    /// Client token of the submit.
    pub token: String,
    /// Digest of the SQL; `None` for a statement of loader 0.1.
    pub sql: Option<u64>,
    /// URL of the manifest in its COPY.
    pub manifest: String,
    /// The columns in the guard of a merge.
    pub columns: Option<String>,
    /// The column list of its COPY; `None` for all columns.
    pub list: Option<Vec<String>>,
    /// Columns that it adds to the table.
    pub added: Vec<String>,
    /// Load id that it writes to the ledger table in the warehouse, if any.
    pub ledger: Option<String>,
    /// When it was accepted.
    pub submitted_millis: Millis,
    /// Whether the service was asked to cancel it while it ran. It may end by itself before that takes effect.
    pub cancelled: bool,
    /// Its phase.
    pub phase: Phase,
}

/// The phase of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has not ended.
    Running,
    /// Committed.
    Finished,
    /// Rolled back, with the warehouse's error.
    Failed(String),
    /// Cancelled.
    Aborted,
}

/// How a statement ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// As its files determine.
    Natural,
    /// With this error, whatever the files are.
    Failure(String),
    /// Cancelled.
    Abort,
}

/// The warehouse, with its Data API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Warehouse {
    /// All statements that were ever accepted.
    pub statements: Vec<Statement>,
    /// How often each object version was committed to each table.
    pub committed: BTreeMap<(DbTable, ObjectVersion), u32>,
    /// Load ids in the ledger table.
    pub ledger: BTreeSet<String>,
    /// Columns that all target tables have, in order.
    pub columns: Vec<String>,
    /// Columns that were added to a table; they follow the others.
    pub own: BTreeMap<DbTable, Vec<String>>,
    /// Whether values were loaded into columns with other names.
    pub misplaced: bool,
    /// Whether a client token was used again with different SQL.
    pub differing_repeat: bool,
    /// Whether errors name the bad file.
    pub names_bad_files: bool,
}

impl Warehouse {
    /// Accepts a statement, or returns the one with the same client token.
    pub fn submit(&mut self, name: &StatementName, token: &str, sql: &[String], now: Millis) -> String {
        let known = |s: &&Statement| s.token == token && s.submitted_millis + CLIENT_TOKEN_MILLIS > now;
        let mut hasher = DefaultHasher::new();
        sql.hash(&mut hasher);
        let digest = hasher.finish();
        if let Some(statement) = self.statements.iter().find(known) {
            self.differing_repeat |= statement.sql.is_some_and(|known| known != digest);
            return statement.id.clone();
        }
        let id = format!("s{}", self.statements.len());
        let enters = sql.iter().any(|text| text.starts_with("INSERT INTO") && text.contains("load_id"));
        self.statements.push(Statement {
            id: id.clone(),
            name: name.clone(),
            token: token.to_owned(),
            sql: Some(digest),
            manifest: manifest_of(sql),
            columns: sql.first().and_then(|text| guarded(text)),
            list: listed(sql),
            added: sql.iter().filter_map(|text| added(text)).collect(),
            ledger: enters.then(|| name.load_id.0.clone()),
            submitted_millis: now,
            cancelled: false,
            phase: Phase::Running,
        });
        id
    }

    /// Accepts a statement of loader 0.1 for this manifest.
    pub fn submit_old(&mut self, name: &StatementName, manifest: &str, now: Millis) {
        self.submit(name, &name.client_token(), &[format!("COPY t FROM '{manifest}'")], now);
        if let Some(statement) = self.statements.last_mut() {
            statement.sql = None;
        }
    }

    /// The status of a statement, as the Data API returns it.
    pub fn status(&self, id: &str, now: Millis) -> StatementStatus {
        let known = |s: &&Statement| s.id == id && s.submitted_millis + STATEMENT_MILLIS > now;
        match self.statements.iter().find(known).map(|statement| &statement.phase) {
            None => StatementStatus::Forgotten,
            Some(Phase::Running) => StatementStatus::Running,
            Some(Phase::Finished) => StatementStatus::Finished(Committed::default()),
            Some(Phase::Failed(error)) => StatementStatus::Failed { error: error.clone() },
            Some(Phase::Aborted) => StatementStatus::Aborted { error: "cancelled by the user".to_owned() },
        }
    }

    /// Accepts the cancellation of a statement; of one that has ended, it changes nothing.
    pub fn cancel(&mut self, id: &str) {
        let runs = |s: &&mut Statement| s.id == id && s.phase == Phase::Running;
        if let Some(statement) = self.statements.iter_mut().find(runs) {
            statement.cancelled = true;
        }
    }

    /// The newest statement with this name, as long as the service remembers it.
    pub fn find(&self, name: &StatementName, now: Millis) -> Option<String> {
        let known = |s: &&Statement| s.name == *name && s.submitted_millis + STATEMENT_MILLIS > now;
        self.statements.iter().rev().find(known).map(|statement| statement.id.clone())
    }

    /// Ends a statement. COPY reads the objects that exist now, all or nothing.
    pub fn end(&mut self, index: usize, end: End, bucket: &Bucket, manifests: &Manifests) {
        let outcome = match end {
            End::Natural => self.copy(index, bucket, manifests),
            End::Failure(error) => Err(Phase::Failed(error)),
            End::Abort => Err(Phase::Aborted),
        };
        let statement = &mut self.statements[index];
        let table = statement.name.table.clone();
        match outcome {
            Err(phase) => statement.phase = phase,
            Ok(read) => {
                statement.phase = Phase::Finished;
                self.ledger.extend(statement.ledger.clone());
                let (list, added) = (statement.list.clone(), statement.added.clone());
                let list = list.unwrap_or_else(|| self.columns_of(&table));
                let is_own = |blob: &Blob| blob.names.is_empty() || *blob.names == list[..];
                self.misplaced |= !read.iter().filter_map(|object| bucket.get(&object.key)).all(is_own);
                if !added.is_empty() {
                    self.own.entry(table.clone()).or_default().extend(added);
                }
                for object in read {
                    *self.committed.entry((table.clone(), object)).or_default() += 1;
                }
            }
        }
    }

    fn copy(&self, index: usize, bucket: &Bucket, manifests: &Manifests) -> Result<Vec<ObjectVersion>, Phase> {
        let failed = |text: String| Err(Phase::Failed(text));
        let Statement { name, columns: known, list, added, .. } = &self.statements[index];
        let columns = self.columns_of(&name.table);
        if known.as_ref().is_some_and(|known| *known != columns.join(", ")) {
            return failed("ERROR: each UNION query must have the same number of columns".to_owned());
        }
        if let Some(twice) = added.iter().find(|name| columns.contains(name)) {
            return failed(format!("ERROR: column \"{twice}\" of relation \"t\" already exists"));
        }
        let is_there = |name: &&String| columns.contains(name) || added.contains(name);
        if let Some(missing) = list.iter().flatten().find(|name| !is_there(name)) {
            return failed(format!("ERROR: column \"{missing}\" of relation \"t\" does not exist"));
        }
        let n_columns = list.as_ref().map_or(columns.len(), Vec::len);
        let Some(content) = manifests.get(&self.statements[index].manifest) else {
            return failed(
                "S3ServiceException: The specified key does not exist.,Status 404,Error NoSuchKey".to_owned(),
            );
        };
        let mut read = Vec::new();
        for (key, length) in entries(content) {
            let Some(blob) = bucket.get(&key) else {
                return failed(format!(
                    "S3ServiceException: The specified key does not exist: {key},Status 404,Error NoSuchKey"
                ));
            };
            if blob.size_bytes != length {
                return failed("the content_length in the manifest is not the file's".to_owned());
            }
            if !blob.names.is_empty() && blob.names.len() != n_columns {
                return failed("Unmatched number of columns between table and file".to_owned());
            }
            if blob.bad {
                let named = if self.names_bad_files {
                    format!(" s3://{}/{key}", crate::fixture::BUCKET)
                } else {
                    String::new()
                };
                return failed(format!("Load into table 't' failed. Check 'sys_load_error_detail'.{named}"));
            }
            read.push(blob.version(&key));
        }
        Ok(read)
    }

    /// The number of running statements for each table.
    pub fn unfinished(&self) -> BTreeMap<DbTable, usize> {
        let mut tables = BTreeMap::new();
        for statement in self.statements.iter().filter(|statement| statement.phase == Phase::Running) {
            *tables.entry(statement.name.table.clone()).or_insert(0) += 1;
        }
        tables
    }

    /// The columns of a table, in their order.
    pub fn columns_of(&self, table: &DbTable) -> Vec<String> {
        self.columns.iter().chain(self.own.get(table).into_iter().flatten()).cloned().collect()
    }

    /// The rows of a query for a table's columns.
    pub fn catalog(&self, table: &DbTable) -> Vec<Vec<Option<String>>> {
        let row = |name: String| vec![Some(name), None, Some("bigint".to_owned()), Some("YES".to_owned())];
        self.columns_of(table).into_iter().map(row).collect()
    }

    /// How often a version was committed.
    pub fn times(&self, table: &DbTable, object: &ObjectVersion) -> u32 {
        self.committed.get(&(table.clone(), object.clone())).copied().unwrap_or(0)
    }
}

/// The columns in the guard of a merge; see `TargetColumns::guard`.
fn guarded(sql: &str) -> Option<String> {
    let known = sql.split_once(" UNION ALL SELECT ")?.1;
    Some(known.split_once(" FROM ")?.0.replace('"', ""))
}

/// The column list of the COPY.
fn listed(sql: &[String]) -> Option<Vec<String>> {
    let copy = sql.iter().find(|text| text.starts_with("COPY"))?.split_once(" FROM ")?.0;
    let list = copy.split_once(" (")?.1.trim_end_matches(')');
    Some(list.split(", ").map(|name| name.replace('"', "")).collect())
}

/// The column that a statement adds; see `AddedColumn::statement`.
pub fn added(sql: &str) -> Option<String> {
    let column = sql.strip_prefix("ALTER TABLE ")?.split_once(" ADD COLUMN ")?.1;
    Some(column.split(' ').next()?.replace('"', ""))
}

fn manifest_of(sql: &[String]) -> String {
    sql.iter()
        .filter(|text| text.starts_with("COPY"))
        .find_map(|text| Some(text.split_once(" FROM '")?.1.split_once('\'')?.0.to_owned()))
        .unwrap_or_default()
}

/// Keys and lengths in a manifest.
fn entries(content: &str) -> Vec<(String, u64)> {
    let value: Value = serde_json::from_str(content).unwrap_or_default();
    let root = format!("s3://{}/", crate::fixture::BUCKET);
    let entry = |entry: &Value| {
        let url = entry["url"].as_str().unwrap_or_default();
        (url.strip_prefix(&root).unwrap_or(url).to_owned(), entry["meta"]["content_length"].as_u64().unwrap_or(0))
    };
    value["entries"].as_array().into_iter().flatten().map(entry).collect()
}
