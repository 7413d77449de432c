//! Runs cfn-lint on the template, in a venv of its own with pinned hashes, so that nothing is installed on the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use synth::workspace;

use crate::ground::hash::sha256;
use crate::ground::output::{Failure, Step};
use crate::ground::shell;

const PYTHON_NAMES: [&str; 6] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];

/// Lints the template and returns the linter's findings; empty if there are none.
pub fn lint(template: &Path, step: &Step) -> Result<String> {
    let linter = prepare(step)?;
    let mut command = Command::new(linter);
    command.arg("--template").arg(template).current_dir(workspace::root());
    shell::complaint(command)
}

/// The path of the linter. Creates the venv if it is missing or was made from other requirements.
fn prepare(step: &Step) -> Result<PathBuf> {
    let requirements = workspace::root().join("tests/local/stack/requirements-lint.txt");
    let wanted = sha256(&std::fs::read(&requirements).context("cannot read the linter's requirements")?);
    let venv = workspace::root().join(".local/cfn-lint");
    let (linter, stamp) = (venv.join("bin/cfn-lint"), venv.join("stamp"));
    if linter.exists() && std::fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(linter);
    }
    step.now("installing cfn-lint with pip");
    let _ = std::fs::remove_dir_all(&venv);
    let mut make = Command::new(python()?);
    make.args(["-m", "venv"]).arg(&venv);
    run(make, "cannot make a venv", "install Python's venv module (`apt install python3-venv`)")?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]);
    pip.arg("--requirement").arg(&requirements);
    run(
        pip,
        "pip cannot install cfn-lint",
        "is the package index reachable? `python3 -m pip config list` shows which it is",
    )?;
    std::fs::write(&stamp, wanted)?;
    Ok(linter)
}

fn run(command: Command, wrong: &str, remedy: &str) -> Result<()> {
    let complaint = shell::complaint(command)?;
    if complaint.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{wrong}: {}", complaint.trim()), remedy).into())
}

/// Finds a Python that is new enough.
fn python() -> Result<&'static str> {
    let is_new_enough = |name: &&&str| {
        let mut command = Command::new(**name);
        command.args(["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]);
        shell::run_quietly(command).is_ok_and(|(passed, _)| passed)
    };
    let found = PYTHON_NAMES.iter().find(is_new_enough).copied();
    found.ok_or_else(|| Failure::new("no Python 3.10 or newer on the PATH", "apt install python3 python3-venv").into())
}
