//! `cargo xtask test`: the one gate. Runs every check even if others fail; the last line counts them.

mod programs;

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use synth::{SynthError, SynthProps, TemplateFile, synthesize, workspace};

use crate::gate::{lint, many, tidy};
use crate::ground::output::{Failure, Format, Out, Step, seconds};
use crate::ground::{local_stack, shell};
use crate::loader::functions::{self, Profile, Runs, Wanted};
use crate::loader::queues;

/// `cargo xtask test`
#[derive(Args, Debug)]
pub struct TestArgs {
    /// Run only the tests whose names contain this, and no other checks
    filter: Option<String>,
}

/// Number of checks so far.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// Runs the command. `xtask` has the commands that documents may name.
pub fn run(args: &TestArgs, xtask: &clap::Command) -> Result<()> {
    let out = Out::new(Format::Text);
    let started = Instant::now();
    let mut tally = Tally::default();
    if args.filter.is_none() {
        checks(out, xtask, &mut tally);
    }
    // What the end-to-end tests start: the local stack's program, and the functions as zips.
    let wanted = Wanted { arch: functions::this_machine(), profile: Profile::Dev, runs: Runs::Here };
    if let Err(error) = local_stack::build(out).and_then(|_| functions::build(out, wanted)) {
        tally.failed += 1;
        out.line(format!("{} what the end-to-end tests need: {error:#}", out.bad("FAILED")));
    }
    programs::run(out, args.filter.as_deref(), &mut tally)?;
    out.line(format!("\n{} passed, {} failed ({})", tally.passed, tally.failed, seconds(started.elapsed())));
    if tally.failed > 0 {
        return Err(Failure::new("some checks failed", "see the lines marked FAILED above").into());
    }
    Ok(())
}

impl Tally {
    /// Runs and counts a check. Its result is the complaint; an empty one means that it passed.
    fn check(&mut self, out: Out, name: &str, check: impl FnOnce(&Step) -> Result<String>) {
        let step = out.step(name);
        let complaint = check(&step).unwrap_or_else(|error| format!("{error:#}"));
        if complaint.is_empty() {
            self.passed += 1;
            step.done(name);
        } else {
            self.failed += 1;
            step.failed(name);
            out.line(complaint.trim_end());
        }
    }
}

fn checks(out: Out, xtask: &clap::Command, tally: &mut Tally) {
    tally.check(out, "format: cargo fmt --check", |_| shell::complaint(shell::cargo(&["fmt", "--all", "--check"])));
    tally.check(out, "tidy: lengths, headers, modules, nothing left behind", |_| Ok(tidy::check(xtask)?.join("\n")));
    tally.check(out, "lint: cargo clippy, warnings are errors", |step| {
        let command = shell::cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
        shell::run_with_progress(command, "cargo clippy", step).map(|_| String::new())
    });
    tally.check(out, "template: what is committed is what is synthesized", |_| Ok(template_is_current()));
    tally.check(out, "template: cfn-lint", |step| lint::lint(&workspace::template(), step));
    tally.check(out, "template: cfn-lint of 200 queues", many::lint_many);
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
