//! `stack.json`: the addresses of a running stack.
//!
//! The supervisor writes the file when everything is ready, and holds a lock as long as it runs, so that a stale file is recognised
//! however the supervisor ended.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// File in a stack's folder with its addresses.
pub const STACK_FILE: &str = "stack.json";
/// File that the supervisor locks as long as it runs.
pub const STACK_LOCK_FILE: &str = "stack.lock";
/// File that the supervisor's guard locks as long as it runs.
pub const GUARD_LOCK_FILE: &str = "guard.lock";

/// The content of `stack.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackInfo {
    /// The supervisor's process id.
    pub pid: u32,
    /// Endpoint URL for users, tools and tests: all of AWS and the Data API.
    pub endpoint: String,
    /// Endpoint URL for the functions. Its calls are counted separately, and have their own toxics.
    pub functions_endpoint: String,
    /// The PostgreSQL server behind the Data API.
    pub warehouse: Warehouse,
    /// Region of all resources.
    pub region: String,
    /// Account of all resources.
    pub account: String,
    /// Access key of the root user.
    pub access_key_id: String,
    /// Secret access key of the root user.
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
    /// User; it needs no password.
    pub user: String,
}

impl StackInfo {
    /// The command that opens a database of the warehouse. `database` is `<cluster or workgroup>.<database>`.
    pub fn psql(&self, database: &str) -> String {
        let Warehouse { host, port, user } = &self.warehouse;
        format!("psql -h {host} -p {port} -U {user} -d {database}")
    }

    /// The environment variables that make the AWS command line use the stack.
    pub fn environment(&self) -> String {
        format!(
            "AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION={} AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}",
            self.endpoint, self.region, self.access_key_id, self.secret_access_key
        )
    }
}

/// Returns the stack in `dir` if one is running. A stale `stack.json` is removed.
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

/// Whether a running process holds the lock.
pub fn is_locked(file: &Path) -> Result<bool> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("cannot open `{}`", file.display())),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).context("cannot check the lock"),
    }
}
