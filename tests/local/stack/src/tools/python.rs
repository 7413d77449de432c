//! Finds a Python, and creates a venv from a requirements file with hashes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use local_client::Progress;

use super::{Tell, empty, is_current, set_current, stamp};

/// Oldest Python version that ministack supports.
const VERSION_MIN: (u32, u32) = (3, 10);
/// Names of the program, in the order in which they are tried.
const NAMES: [&str; 6] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];
const REMEDY: &str =
    "install Python 3.10 or newer (`apt install python3 python3-venv`, `brew install python`) and run again";

/// A suitable Python installation.
#[derive(Debug)]
pub struct Python {
    executable: String,
    version: String,
}

impl Python {
    /// Finds the first one that is new enough and can create a venv with pip.
    pub fn find() -> Result<Self> {
        let mut too_old = Vec::new();
        for name in NAMES {
            let Some(version) = version(name) else { continue };
            if !is_new_enough(&version) {
                too_old.push(format!("`{name}` is {version}"));
                continue;
            }
            if !has_modules(name) {
                bail!(
                    "`{name}` ({version}) cannot create a venv: its modules `venv` and `ensurepip` are missing; \
                     install them (`apt install python3-venv`) and run again"
                );
            }
            return Ok(Self { executable: name.to_owned(), version });
        }
        if too_old.is_empty() {
            bail!("no `python3` on the PATH; {REMEDY}");
        }
        bail!("{}, which is too old; {REMEDY}", too_old.join(", "));
    }

    /// Creates the venv in `folder`, unless it is up to date, and returns its Python.
    pub fn venv(&self, folder: &Path, requirements: &str, tell: Tell) -> Result<PathBuf> {
        let python = folder.join("bin/python");
        let wanted = stamp(requirements, &self.version);
        if is_current(folder, &wanted) && python.exists() {
            return Ok(python);
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        tell(Progress::step("tools", format!("installing {name} with pip into `{}`", folder.display())));
        empty(folder)?;
        run(Command::new(&self.executable).args(["-m", "venv"]).arg(folder)).context("cannot create a venv")?;
        let list = folder.join("requirements.txt");
        std::fs::write(&list, requirements)?;
        let mut pip = pip(&python);
        pip.args(["install", "--require-hashes", "--only-binary=:all:", "--requirement"]).arg(&list);
        run(&mut pip).with_context(|| format!("pip cannot install {name}: is the package index reachable?"))?;
        set_current(folder, &wanted)?;
        Ok(python)
    }
}

/// pip of a venv, quiet and non-interactive.
pub fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]);
    pip
}

/// Runs a command to its end. If it fails, the error contains its output.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run `{program}`"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
        bail!("`{program}` ended with {}: {}", output.status, text.trim());
    }
    Ok(())
}

fn version(name: &str) -> Option<String> {
    let program = "import platform; print(platform.python_version())";
    let output = Command::new(name).args(["-c", program]).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !version.is_empty()).then_some(version)
}

fn has_modules(name: &str) -> bool {
    let output = Command::new(name).args(["-c", "import venv, ensurepip"]).output();
    output.is_ok_and(|output| output.status.success())
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= VERSION_MIN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn python_3_10_is_new_enough_and_3_9_is_not() {
        assert!(is_new_enough("3.10.0"));
        assert!(is_new_enough("3.14.0rc1"));
        assert!(!is_new_enough("3.9.19"));
        assert!(!is_new_enough("2.7.18"));
        assert!(!is_new_enough("garbage"));
    }
}
