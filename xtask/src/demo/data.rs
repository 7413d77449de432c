//! The sample files and their content, as described by `tests/data/expected.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use synth::workspace;

use crate::ground::hash::sha256;
use crate::ground::output::Failure;

/// All files to upload, and the expected content of the warehouse.
#[derive(Debug, Deserialize)]
pub struct Data {
    /// The files, ordered by their content.
    pub files: Vec<DataFile>,
    /// The expected content of each table.
    pub tables: BTreeMap<String, Expected>,
}

/// One file.
#[derive(Clone, Debug, Deserialize)]
pub struct DataFile {
    /// Name of the table and of its queue.
    pub table: String,
    /// Path relative to tests/data.
    pub file: String,
    pub rows: u64,
    sha256: String,
}

/// The expected content of a table.
#[derive(Debug, Deserialize)]
pub struct Expected {
    pub rows: i64,
    /// SQL queries over `{table}`, each with the number that it must return.
    pub checks: BTreeMap<String, i64>,
}

/// Folder of the files.
pub fn folder() -> PathBuf {
    workspace::root().join("tests/data")
}

impl Data {
    /// Reads the list and checks that every file matches it.
    pub fn read() -> Result<Self> {
        let path = folder().join("expected.json");
        let text = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let data: Self =
            serde_json::from_slice(&text).context("tests/data/expected.json is not valid: git checkout tests/data")?;
        for file in &data.files {
            if sha256(&file.bytes()?) != file.sha256 {
                let message = format!("tests/data/{} is not the file that expected.json describes", file.file);
                return Err(Failure::new(message, "git checkout tests/data").into());
            }
        }
        Ok(data)
    }

    /// Files of a table.
    pub fn of(&self, table: &str) -> Vec<&DataFile> {
        self.files.iter().filter(|file| file.table == table).collect()
    }

    /// Number of distinct object versions to upload: one per file.
    pub fn n_object_versions(&self) -> u64 {
        self.files.len() as u64
    }
}

impl DataFile {
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let path = folder().join(&self.file);
        std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))
    }

    /// File name without the folder.
    pub fn name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(&self.file)
    }
}
