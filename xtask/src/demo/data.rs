//! The sample files and what they hold, as `tests/data/expected.json` says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use synth::workspace;

use crate::ground::hash::sha256;
use crate::ground::output::Failure;

/// Everything that is dropped, and what must be in the warehouse afterwards.
#[derive(Debug, Deserialize)]
pub struct Data {
    /// The files, in the order of their content.
    pub files: Vec<DataFile>,
    /// What each table must hold.
    pub tables: BTreeMap<String, Expected>,
}

/// One file.
#[derive(Clone, Debug, Deserialize)]
pub struct DataFile {
    /// Table, which is also the queue's name.
    pub table: String,
    /// Path under tests/data.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    sha256: String,
}

/// What a table must hold.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// Rows.
    pub rows: i64,
    /// Statements over `{table}`, each with the number it must answer.
    pub checks: BTreeMap<String, i64>,
}

/// Where the files are.
pub fn folder() -> PathBuf {
    workspace::root().join("tests/data")
}

impl Data {
    /// Reads the list, and checks that every file is the one it was made from.
    pub fn read() -> Result<Self> {
        let path = folder().join("expected.json");
        let text = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let data: Self = serde_json::from_slice(&text).context("tests/data/expected.json is not readable")?;
        for file in &data.files {
            if sha256(&file.bytes()?) != file.sha256 {
                let message = format!("tests/data/{} is not the file that expected.json describes", file.file);
                return Err(Failure::new(message, "git checkout tests/data").into());
            }
        }
        Ok(data)
    }

    /// Files of a table.
    pub fn of<'a>(&'a self, table: &'a str) -> impl DoubleEndedIterator<Item = &'a DataFile> + ExactSizeIterator {
        self.files.iter().filter(move |file| file.table == table).collect::<Vec<_>>().into_iter()
    }

    /// Different object versions that are dropped: one per file.
    pub fn n_object_versions(&self) -> u64 {
        self.files.len() as u64
    }
}

impl DataFile {
    /// Its content.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let path = folder().join(&self.file);
        std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))
    }

    /// Its name without the folder.
    pub fn name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(&self.file)
    }
}
