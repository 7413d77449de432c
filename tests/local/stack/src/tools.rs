//! Prepares the programs that the stack needs in `<clone>/.local/`, so that nothing is installed on the machine.
//!
//! Each folder there has a stamp: the hash of its requirements and of the Python version that made it. If the stamp matches, nothing is
//! downloaded or built. Everything is installed with pip, with pinned hashes.

mod postgres;
mod python;

pub use postgres::find_postgres;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use local_client::Progress;

use python::Python;

/// Folder in the clone for everything that is prepared here.
pub const FOLDER: &str = ".local";

const REQUIREMENTS: &str = include_str!("../requirements.txt");
const REQUIREMENTS_POSTGRES: &str = include_str!("../requirements-postgres.txt");

/// Receives the progress of downloads and builds.
pub type Tell<'a> = &'a mut dyn FnMut(Progress);

/// The programs that the stack runs.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Python of the venv with ministack.
    pub python: PathBuf,
    /// Folder with PostgreSQL's `postgres` and `initdb`.
    pub postgres_bin: PathBuf,
}

/// Prepares the programs. `pg_bin` is PostgreSQL's folder; by default it is searched for.
pub fn prepare(clone_root: &Path, pg_bin: Option<&Path>, tell: Tell) -> Result<Tools> {
    let local = Local::open(clone_root)?;
    let python = Python::find()?;
    let python_of_venv = python.venv(&local.folder.join("ministack"), REQUIREMENTS, tell)?;
    let postgres_bin = match find_postgres(pg_bin)? {
        Some(bin) => bin,
        None => postgres::from_wheel(&python_of_venv, &local.folder, REQUIREMENTS_POSTGRES, tell)?,
    };
    Ok(Tools { python: python_of_venv, postgres_bin })
}

/// The folder of the tools, locked until dropped.
struct Local {
    folder: PathBuf,
    _lock: File,
}

impl Local {
    fn open(clone_root: &Path) -> Result<Self> {
        let folder = std::path::absolute(clone_root)?.join(FOLDER);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock().context("cannot lock the folder of tools")?;
        Ok(Self { folder, _lock: lock })
    }
}

/// Whether the folder's stamp is `wanted`.
fn is_current(folder: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(folder.join("stamp")).is_ok_and(|stamp| stamp == wanted)
}

/// Writes the folder's stamp.
fn set_current(folder: &Path, made: &str) -> Result<()> {
    std::fs::write(folder.join("stamp"), made).context("cannot write the stamp")
}

/// Hash of the requirements and of the program that installs them.
fn stamp(requirements: &str, maker: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{maker}\n{requirements}"));
    format!("{}\n", hex::encode(digest))
}

/// Creates the folder, or empties it.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))
}
