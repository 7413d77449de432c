//! `stack.json`: where a stack is reached, and whether it is up.
//!
//! The supervisor writes the file when everything answers, and keeps a lock for its whole life, so that a stale file is
//! recognised whatever happened.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// File in a stack's folder that says where everything is.
pub const STACK_FILE: &str = "stack.json";
/// File that the supervisor keeps locked while it lives.
pub const STACK_LOCK_FILE: &str = "stack.lock";
/// File that the guard of the supervisor keeps locked while it lives.
pub const GUARD_LOCK_FILE: &str = "guard.lock";

/// Where a stack is reached, as written to `stack.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackInfo {
    /// The supervisor's process id.
    pub pid: u32,
    /// Endpoint URL for users, tools and tests: all of AWS and the Data API.
    pub endpoint: String,
    /// Endpoint URL that the functions use; counted and disturbed separately.
    pub functions_endpoint: String,
    /// The PostgreSQL server behind the Data API.
    pub warehouse: Warehouse,
    /// Region of everything.
    pub region: String,
    /// Account of everything.
    pub account: String,
    /// Access key of the root user.
    pub access_key_id: String,
    /// Secret of the root user.
    pub secret_access_key: String,
    /// Whether signatures and policies are checked.
    pub auth: bool,
    /// Folder of the log files.
    pub log_dir: PathBuf,
}

/// How to reach the warehouse with `psql`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warehouse {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User, without password.
    pub user: String,
}

impl StackInfo {
    /// The command that opens a database of the warehouse, named `<cluster or workgroup>.<database>`.
    pub fn psql(&self, database: &str) -> String {
        let Warehouse { host, port, user } = &self.warehouse;
        format!("psql -h {host} -p {port} -U {user} -d {database}")
    }

    /// The settings that point the aws command line at the stack.
    pub fn environment(&self) -> String {
        format!(
            "AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION={} AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}",
            self.endpoint, self.region, self.access_key_id, self.secret_access_key
        )
    }
}

/// The stack in `dir`, if one is up; a stale `stack.json` is removed.
pub fn info(dir: &Path) -> Result<Option<StackInfo>> {
    if !is_locked(&dir.join(STACK_LOCK_FILE))? {
        let _ = std::fs::remove_file(dir.join(STACK_FILE));
        return Ok(None);
    }
    match std::fs::read(dir.join(STACK_FILE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text).context("`stack.json` is not readable")?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("`stack.json` is not readable"),
    }
}

/// Whether a living process holds the lock.
pub fn is_locked(file: &Path) -> Result<bool> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("cannot open `{}`", file.display())),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).context("cannot look at the lock"),
    }
}
