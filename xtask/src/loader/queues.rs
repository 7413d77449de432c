//! The queue configurations that a command uses. Problems that `synth` finds in them are reported with what to do.

use std::error::Error;
use std::path::{Path, PathBuf};

use synth::{QueueFile, SynthError, workspace};

use crate::ground::output::Failure;

/// Default folder of the configurations; `--queues` sets another.
pub fn folder(given: Option<&PathBuf>) -> PathBuf {
    given.cloned().unwrap_or_else(workspace::queues)
}

/// Every configuration of a folder, by name.
pub fn read(folder: &Path) -> Result<Vec<QueueFile>, Failure> {
    synth::queues::read(folder).map_err(|error| refused(&error.into()))
}

/// The queue of this name; an error if it does not exist.
pub fn find<'a>(queues: &'a [QueueFile], name: &str) -> Result<&'a QueueFile, Failure> {
    let found = queues.iter().find(|queue| queue.name == name);
    found.ok_or_else(|| Failure::usage(format!("there is no queue `{name}`"), "cargo xtask queue list"))
}

/// The error as a command reports it: one line with its causes.
pub fn refused(error: &SynthError) -> Failure {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    if error.is_usage() { Failure::usage(message, error.remedy()) } else { Failure::new(message, error.remedy()) }
}
