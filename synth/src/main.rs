//! The program `synth`: writes the loader's `CloudFormation` template, or checks that the existing file is up to date.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use synth::{SynthArgs, SynthError, Synthesis, synthesize, workspace};

const EXAMPLES: &str = "\
The template has a role, the tracker table, a bucket, three functions, the rules that call them, alarms and a dashboard, and for each
queue configuration a queue with its dead-letter queue. Its parameters have defaults; `statementNamePrefix` is the first part of the
statement names, and the event rule filters on it. docs/configuration.md describes a queue's file.

Examples:
  cargo run -p synth                                            write cfn-out/loader.template.json from queues/
  cargo run -p synth -- --check                                 fail unless the committed template is up to date
  cargo run -p synth -- --queues ~/ours --out ours.json         use your own folder and file
  cargo run -p synth -- --arch arm64 --out arm64.json           for functions that run on Graviton

Exit codes: 0 done; 1 failed, or different with --check; 2 wrong command line.";

#[derive(Debug, Parser)]
#[command(
    name = "synth",
    bin_name = "cargo run -p synth --",
    about = "Writes the loader's CloudFormation template from the queue configurations",
    after_help = EXAMPLES
)]
struct Cli {
    #[command(flatten)]
    synth: SynthArgs,
    /// Template file [default: cfn-out/loader.template.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let path = cli.out.unwrap_or_else(workspace::template);
    match synthesize(&cli.synth.props(path.clone())) {
        Ok(synthesis) => done(&path, &synthesis),
        Err(error) => failed(&error),
    }
}

fn done(path: &Path, synthesis: &Synthesis) -> ExitCode {
    // A closed pipe (`| head`) is not a failure.
    let mut out = std::io::stdout();
    for note in synthesis.notes() {
        let _ = writeln!(out, "note: {note}");
    }
    let outcome = if synthesis.written { "written" } else { "up to date" };
    let (bytes, resources) = (synthesis.text.len(), synthesis.template.resources());
    let queues = match synthesis.queues.len() {
        1 => "1 queue".to_owned(),
        n => format!("{n} queues"),
    };
    let shown = workspace::shown(path);
    let _ = writeln!(out, "ok {shown}: {outcome}, {bytes} bytes, {resources} resources, {queues}");
    ExitCode::SUCCESS
}

fn failed(error: &SynthError) -> ExitCode {
    let mut err = std::io::stderr();
    let _ = write!(err, "error: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(err, ": {inner}");
        cause = inner.source();
    }
    let _ = writeln!(err, "\nnext: {}", error.remedy());
    ExitCode::from(if error.is_usage() { 2 } else { 1 })
}
