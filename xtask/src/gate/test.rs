//! `cargo xtask test`: the one gate. Every check runs, whatever the ones before it said; the last line counts them.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use synth::workspace;
use synth::{SynthError, SynthProps, TemplateFile, synthesize};

use crate::gate::{lint, many, tidy};
use crate::ground::output::{Failure, Format, Out, seconds};
use crate::ground::{local_stack, shell};
use crate::loader::functions::{self, Profile, Runs, Wanted};
use crate::loader::queues;

/// Tests print a line that begins so where a person should see what was proven: states explored, seeds run, …
const PROOF: &str = "proof:";

/// `cargo xtask test`
#[derive(Args, Debug)]
pub struct TestArgs {
    /// Only the tests whose names contain this; the other checks are left out
    filter: Option<String>,
}

/// What was counted so far.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// Runs the command. Documents may name the commands of `xtask`.
pub fn run(args: &TestArgs, xtask: &clap::Command) -> Result<()> {
    let out = Out::new(Format::Text);
    let started = Instant::now();
    let mut tally = Tally::default();
    if args.filter.is_none() {
        checks(out, xtask, &mut tally);
    }
    // What the end-to-end tests start: the stack's program, and the functions as zips.
    let prepared = local_stack::build(out).and_then(|_| {
        let wanted = Wanted { arch: functions::this_machine(), profile: Profile::Dev, runs: Runs::Here };
        functions::build(out, wanted)
    });
    tally.note(out, "what the end-to-end tests need", prepared.map(|_| String::new()));
    tests(out, args.filter.as_deref(), &mut tally)?;
    out.line(format!("\n{} passed, {} failed ({})", tally.passed, tally.failed, seconds(started.elapsed())));
    if tally.failed > 0 {
        return Err(Failure::new("not everything holds", "see the lines marked FAILED above").into());
    }
    Ok(())
}

impl Tally {
    /// Counts a check that ran; empty words are a pass.
    fn note(&mut self, out: Out, name: &str, outcome: Result<String>) {
        let words = outcome.unwrap_or_else(|error| format!("{error:#}"));
        if words.is_empty() {
            self.passed += 1;
        } else {
            self.failed += 1;
            out.line(format!("{} {name}\n{}", out.bad("FAILED"), words.trim_end()));
        }
    }

    fn check(&mut self, out: Out, name: &str, check: impl FnOnce(&crate::ground::output::Step) -> Result<String>) {
        let step = out.step(name);
        let words = check(&step).unwrap_or_else(|error| format!("{error:#}"));
        if words.is_empty() {
            self.passed += 1;
            step.done(name);
        } else {
            self.failed += 1;
            step.failed(name);
            out.line(words.trim_end());
        }
    }
}

fn checks(out: Out, xtask: &clap::Command, tally: &mut Tally) {
    tally.check(out, "format: cargo fmt --check", |_| words_of(shell::cargo(&["fmt", "--all", "--check"])));
    tally.check(out, "tidy: lengths, headers, modules, nothing left behind", |_| Ok(tidy::check(xtask)?.join("\n")));
    tally.check(out, "lint: cargo clippy, warnings are errors", |step| {
        let command = shell::cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
        shell::run_with_progress(command, "cargo clippy", step).map(|_| String::new())
    });
    tally.check(out, "template: what is committed is what is synthesized", |_| Ok(template_is_current()));
    tally.check(out, "template: cfn-lint", |step| lint::lint(&workspace::template(), step));
    tally.check(out, "template: cfn-lint of 200 queues", many::lint_many);
}

/// Runs a program; its words are the complaint.
fn words_of(command: Command) -> Result<String> {
    let (passed, words) = shell::run_quietly(command)?;
    Ok(if passed { String::new() } else { words })
}

fn template_is_current() -> String {
    let props = SynthProps { file: TemplateFile::Check(workspace::template()), ..SynthProps::default() };
    match synthesize(&props) {
        Ok(_) => String::new(),
        Err(SynthError::Differs { .. } | SynthError::Missing { .. }) => {
            "cfn-out/loader.template.json is stale: run `cargo xtask synth` and commit the file".to_owned()
        }
        Err(error) => queues::refused(&error).message,
    }
}

/// `cargo test`, one line per test program, the output of what fails.
fn tests(out: Out, filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    let step = out.step("building the tests");
    let mut build = shell::cargo(&["test", "--workspace", "--no-run"]);
    build.stdin(Stdio::null());
    if let Err(error) = shell::run_with_progress(build, "cargo test --no-run", &step) {
        step.failed(format!("building the tests: {error:#}"));
        tally.failed += 1;
        return Ok(());
    }
    step.done("tests built");
    let mut command = shell::cargo(&["test", "--workspace", "--no-fail-fast"]);
    command.args(filter).args(["--", "--show-output"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo")?;
    let lines = merged_lines(&mut child)?;
    let mut report = Report { out, tally, names: VecDeque::new(), output: Vec::new() };
    for line in lines {
        report.line(&line);
    }
    // A program that died has no result line.
    for name in std::mem::take(&mut report.names) {
        report.tally.failed += 1;
        out.line(format!("{} {name}: ended without a result", out.bad("FAILED")));
    }
    if !child.wait()?.success() && report.tally.failed == 0 {
        report.tally.failed += 1;
        out.line(format!(
            "{} cargo test ended badly:
{}",
            out.bad("FAILED"),
            report.output.join(
                "
"
            )
        ));
    }
    Ok(())
}

/// Both streams as they come: cargo names the program on one, the program reports on the other.
fn merged_lines(child: &mut std::process::Child) -> Result<std::sync::mpsc::Receiver<String>> {
    let (sender, lines) = std::sync::mpsc::channel();
    let output = child.stdout.take().context("cargo has no output")?;
    let errors = child.stderr.take().context("cargo has no standard error")?;
    let other = sender.clone();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    std::thread::spawn(move || {
        BufReader::new(errors).lines().map_while(Result::ok).try_for_each(|line| other.send(line))
    });
    Ok(lines)
}

/// What cargo and the test programs said so far.
struct Report<'a> {
    out: Out,
    tally: &'a mut Tally,
    /// Programs without a result yet. The streams may cross, but each is in order.
    names: VecDeque<String>,
    /// Output since the last result, shown when a test failed.
    output: Vec<String>,
}

impl Report<'_> {
    fn line(&mut self, line: &str) {
        if let Some(name) = program_name(line) {
            self.names.push_back(name);
        } else if let Some((n_passed, n_failed, took)) = test_result(line) {
            self.end(n_passed, n_failed, took);
        } else if let Some(proof) = line.trim().strip_prefix(PROOF) {
            self.out.line(format!("   {}", proof.trim()));
        } else {
            self.output.push(line.to_owned());
        }
    }

    fn end(&mut self, n_passed: u64, n_failed: u64, took: Duration) {
        self.tally.passed += n_passed;
        self.tally.failed += n_failed;
        let name = self.names.pop_front().unwrap_or_default();
        let output = std::mem::take(&mut self.output);
        let took = self.out.dim(&format!("({})", seconds(took)));
        if n_failed > 0 {
            self.out.line(output.join("\n"));
            self.out.line(format!("{} {name}: {n_passed} passed, {n_failed} failed {took}", self.out.bad("FAILED")));
        } else if n_passed > 0 {
            self.out.line(format!("{} {name}: {n_passed} tests {took}", self.out.good("ok")));
        }
    }
}

/// `Running tests/x.rs (target/debug/deps/crate-0123)` and `Doc-tests crate`.
fn program_name(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} (documentation)"));
    }
    let (source, path) = line.strip_prefix("Running ")?.rsplit_once(" (")?;
    let file = path.trim_end_matches(')').rsplit(['/', '\\']).next()?;
    let package = file.rsplit_once('-').map_or(file, |(name, _)| name);
    let source = source.strip_prefix("unittests ").unwrap_or(source);
    Some(format!("{package} {source}"))
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
    use super::*;

    #[test]
    fn a_result_line_is_read() {
        let line = "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        assert_eq!(test_result(line), Some((12, 1, Duration::from_millis(1500))));
        assert_eq!(test_result("test result_is_ok ... ok"), None);
    }

    #[test]
    fn a_program_is_named_after_its_crate_and_source() {
        let name = program_name("     Running tests/stack.rs (target/debug/deps/stack-00ff)");
        assert_eq!(name.as_deref(), Some("stack tests/stack.rs"));
        let name = program_name("     Running unittests src/lib.rs (target/debug/deps/loader_core-00ff)");
        assert_eq!(name.as_deref(), Some("loader_core src/lib.rs"));
        assert_eq!(program_name("   Doc-tests synth").as_deref(), Some("synth (documentation)"));
    }
}
