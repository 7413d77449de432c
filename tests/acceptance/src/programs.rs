//! Substitutes for `psql` and `aws`, which a walkthrough runs, if they are not installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::world::clone_root;
use crate::xtask::make_executable;

/// Uploads a file like `aws s3 cp`, with a library from the local stack's Python environment.
const AWS: &str = include_str!("aws.py");
/// Debian and Ubuntu install PostgreSQL here, outside the PATH.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

/// Creates a folder with substitutes for the programs that are not in the PATH.
pub fn missing(folder: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&folder)?;
    let local = clone_root()?.join(".local");
    if !is_in_path("psql") {
        let psql =
            [Path::new(DEBIAN_FOLDER), &local.join("postgresql")].into_iter().find_map(|folder| below(folder, "psql"));
        let psql = psql.context("psql is not installed (apt-get install postgresql-client)")?;
        stand_in(&folder.join("psql"), &format!("'{}'", psql.display()))?;
    }
    if !is_in_path("aws") {
        let program = folder.join("aws.py");
        std::fs::write(&program, AWS)?;
        let python = local.join("ministack/bin/python");
        stand_in(&folder.join("aws"), &format!("'{}' '{}'", python.display(), program.display()))?;
    }
    Ok(folder)
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn stand_in(path: &Path, command: &str) -> Result<()> {
    std::fs::write(path, format!("#!/bin/sh\nexec {command} \"$@\"\n"))?;
    make_executable(path)
}

/// The first program of this name in a `bin` folder below `folder`.
fn below(folder: &Path, program: &str) -> Option<PathBuf> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let found = folder.join("bin").join(program);
        if found.is_file() {
            return Some(found);
        }
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        waiting.extend(
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
    }
    None
}
