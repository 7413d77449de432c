//! The workspace's test programs: built by cargo, run three at a time, and reported in one line each.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Tally;
use crate::ground::output::{Out, Step, seconds};
use crate::ground::shell;

/// Prefix of the lines with which tests report what they proved: states explored, seeds run, …
const PROOF: &str = "proof:";

/// Programs that run at once in the order of the queue. End-to-end tests mostly wait for the local AWS.
const AT_ONCE: usize = 2;

/// The tests that compute for minutes, the longest last. Beside the end-to-end tests they use the time in which those wait.
const LONG: [&str; 3] = ["mutants", "simulation", "exhaustive"];

/// A test program.
struct Program {
    /// Crate or test, and source file: `loader_core src/lib.rs`.
    name: String,
    executable: PathBuf,
    /// Folder of its package, in which cargo would run it.
    package: PathBuf,
}

/// How a program ended, and its output.
struct Ended {
    name: String,
    output: String,
    is_success: bool,
}

/// Builds the programs and runs the tests whose names contain `filter`.
pub fn run(out: Out, filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    let step = out.step("building the tests");
    let programs = match build(&step) {
        Ok(programs) => programs,
        Err(error) => {
            step.failed(format!("building the tests: {error:#}"));
            tally.failed += 1;
            return Ok(());
        }
    };
    step.done("tests built");
    let n_programs = programs.len();
    let step = out.step("running the tests");
    let queue = Mutex::new(VecDeque::from(programs));
    let (sender, ended) = mpsc::channel();
    std::thread::scope(|scope| {
        for lane in 0..=AT_ONCE {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                while let Some(program) = next(queue, lane == AT_ONCE) {
                    // The receiver is gone only if this program is ending.
                    drop(sender.send(program.run(filter)));
                }
            });
        }
        drop(sender);
        for (n, ended) in ended.into_iter().enumerate() {
            step.now(&format!("{} of {n_programs} programs", n + 1));
            report(out, &step, tally, ended?);
        }
        step.done(format!("{n_programs} test programs ran"));
        Ok(())
    })
}

/// The next program. `computes`: the longest of those that compute, as long as there is one.
fn next(queue: &Mutex<VecDeque<Program>>, computes: bool) -> Option<Program> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    let is_last = computes && queue.back().is_some_and(|program| !program.is_end_to_end());
    if is_last { queue.pop_back() } else { queue.pop_front() }
}

fn build(step: &Step) -> Result<Vec<Program>> {
    let mut cargo = shell::cargo(&["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    cargo.stdin(std::process::Stdio::null());
    let lines = shell::run_with_progress(cargo, "cargo test --no-run", step)?;
    let mut programs: Vec<Program> = lines.iter().filter_map(|line| program(line)).collect();
    sort(&mut programs);
    Ok(programs)
}

/// End-to-end tests come first, and those that compute for minutes last.
fn sort(programs: &mut [Program]) {
    programs.sort_by_key(|program| (!program.is_end_to_end(), program.length(), program.name.clone()));
}

/// The test program in a line of cargo's output, if any.
fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let package = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
    let source = PathBuf::from(message["target"]["src_path"].as_str()?);
    let source = source.strip_prefix(&package).unwrap_or(&source).display().to_string();
    let name = format!("{} {source}", message["target"]["name"].as_str()?);
    Some(Program { name, executable: PathBuf::from(message["executable"].as_str()?), package })
}

impl Program {
    fn is_end_to_end(&self) -> bool {
        self.package.ends_with("acceptance")
    }

    /// 0, or more for the tests that compute for minutes.
    fn length(&self) -> usize {
        let target = self.name.split(' ').next();
        LONG.iter().position(|long| target == Some(long)).map_or(0, |position| position + 1)
    }

    /// What computes steps back, so that no end-to-end test runs into a timeout because of it.
    fn run(self, filter: Option<&str>) -> Result<Ended> {
        let mut command = if self.is_end_to_end() { Command::new(&self.executable) } else { Command::new("nice") };
        if !self.is_end_to_end() {
            command.arg(&self.executable);
        }
        command.args(filter).arg("--show-output").current_dir(&self.package);
        command.env("CARGO_MANIFEST_DIR", &self.package);
        let (is_success, output) = shell::run_quietly(command).with_context(|| self.name.clone())?;
        Ok(Ended { name: self.name, output, is_success })
    }
}

/// Prints one line per program, followed by what it proved, and by its whole output if a test failed.
fn report(out: Out, step: &Step, tally: &mut Tally, ended: Ended) {
    let Ended { name, output, is_success } = ended;
    let (passed, failed, took) = output.lines().find_map(test_result).unwrap_or_default();
    // A program that crashed has no result line.
    let failed = if is_success { failed } else { failed.max(1) };
    tally.passed += passed;
    tally.failed += failed;
    let took = out.dim(&format!("({})", seconds(took)));
    if failed > 0 {
        step.line(&format!("{output}\n{} {name}: {passed} passed, {failed} failed {took}", out.bad("FAILED")));
    } else if passed > 0 {
        step.line(&format!("{} {name}: {passed} tests {took}", out.good("ok")));
    }
    for proof in output.lines().filter_map(|line| line.trim().strip_prefix(PROOF)) {
        step.line(&format!("   {}", proof.trim()));
    }
}

/// `test result: ok. 3 passed; 0 failed; …; finished in 0.01s`
fn test_result(line: &str) -> Option<(u64, u64, Duration)> {
    let rest = line.trim().strip_prefix("test result: ")?;
    let number = |word: &str| {
        let part = rest.split(['.', ';']).map(str::trim).find_map(|part| part.strip_suffix(word))?;
        part.trim().parse::<u64>().ok()
    };
    let took = rest.rsplit_once("finished in ")?.1.trim_end_matches('s').parse::<f64>().ok()?;
    Some((number("passed")?, number("failed")?, Duration::from_secs_f64(took)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_line_is_read() {
        let line = "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        assert_eq!(test_result(line), Some((12, 1, Duration::from_millis(1500))));
        assert_eq!(test_result("test result_is_ok ... ok"), None);
    }

    #[test]
    fn a_program_is_named_after_its_target_and_source() {
        let artifact = |is_test: bool| {
            json!({
                "reason": "compiler-artifact", "manifest_path": "/clone/synth/Cargo.toml", "executable": "/clone/target/debug/deps/stack-00ff",
                "target": {"name": "stack", "src_path": "/clone/synth/tests/stack.rs"}, "profile": {"test": is_test},
            })
        };
        let found = program(&artifact(true).to_string()).expect("a test program");
        assert_eq!((found.name.as_str(), found.package.to_str()), ("stack tests/stack.rs", Some("/clone/synth")));
        assert!(program(&artifact(false).to_string()).is_none(), "a program that tests start");
        assert!(program("not JSON").is_none());
    }

    #[test]
    fn what_computes_longest_runs_beside_the_end_to_end_tests() {
        let program = |name: &str, package: &str| Program {
            name: format!("{name} tests/{name}.rs"),
            executable: PathBuf::new(),
            package: PathBuf::from(package),
        };
        let mut programs =
            vec![program("mutants", "proof"), program("exhaustive", "proof"), program("policy", "synth")];
        programs.extend([program("loading", "acceptance"), program("counts", "acceptance")]);
        sort(&mut programs);
        let queue = Mutex::new(VecDeque::from(programs));
        let lanes = [false, true, true, false, true, true];
        let taken = lanes.map(|computes| next(&queue, computes).map(|program| program.name));
        let names = ["counts", "exhaustive", "mutants", "loading", "policy"];
        let wanted = names.map(|name| Some(format!("{name} tests/{name}.rs")));
        assert_eq!(taken[..5], wanted);
        assert_eq!(taken[5], None);
    }
}
