//! Running other programs: cargo with its progress, and programs whose output matters only if they fail.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use synth::workspace;

use crate::ground::output::{Failure, Step};

const LAST_LINES: usize = 60;

/// A cargo command in the clone.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(arguments).current_dir(workspace::root());
    command
}

/// A cargo command of another toolchain in the clone. Variables that this toolchain sets for its children do not apply to that one.
pub fn rustup_cargo(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).current_dir(workspace::root());
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command
}

/// Builds with cargo and returns the executables by name. The step shows the current crate.
pub fn cargo_build(arguments: &[&str], step: &Step) -> Result<Vec<(String, PathBuf)>> {
    let mut command = cargo(arguments);
    command.args(["--message-format", "json-render-diagnostics"]);
    let lines = run_with_progress(command, "cargo", step)?;
    let artifact = |line: &String| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let executable = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(executable)))
    };
    Ok(lines.iter().filter_map(artifact).collect())
}

/// Runs a program and returns its standard output. Its standard error is shown as progress, and as the error if it fails.
pub fn run_with_progress(mut command: Command, name: &str, step: &Step) -> Result<Vec<String>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", command.get_program().display()))?;
    let errors = child.stderr.take().context("the program has no standard error")?;
    let output = child.stdout.take().context("the program has no standard output")?;
    let reader = std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).collect::<Vec<_>>());
    let mut last = VecDeque::new();
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        step.now(line.trim());
        last.push_back(line);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
    let status = child.wait()?;
    let lines = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(lines);
    }
    for line in &last {
        step.line(line);
    }
    Err(Failure::new(format!("{name} ended with {status}"), "see the lines above").into())
}

/// Runs a program. Returns what it wrote if it fails, and an empty text if it succeeds.
pub fn complaint(command: Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    Ok(match run_quietly(command)? {
        (true, _) => String::new(),
        (false, output) if output.trim().is_empty() => format!("`{program}` failed without output"),
        (false, output) => output,
    })
}

/// Runs a program. Returns whether it succeeded, and what it wrote to standard output and standard error.
pub fn run_quietly(mut command: Command) -> Result<(bool, String)> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{program}`"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}

/// Whether a program is on the PATH.
pub fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_silently_is_a_complaint_too() {
        assert_eq!(complaint(Command::new("true")).unwrap(), "");
        assert_eq!(complaint(Command::new("false")).unwrap(), "`false` failed without output");
    }
}
