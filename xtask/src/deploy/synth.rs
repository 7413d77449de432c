//! `cargo xtask synth`: generates the template from the queue configurations, and writes it to `cfn-out/` or compares it with the file
//! there.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use loader_core::contract::{Function, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT};
use synth::{Architecture, SynthProps, Synthesis, TemplateFile, synthesize, workspace};

use crate::deploy::by_hand;
use crate::ground::output::{Format, Out, counted, size};
use crate::ground::stack_name::STACK_NAME_DEFAULT;
use crate::loader::queues::{folder, refused};
use crate::loader::{functions, schema};

/// `cargo xtask synth`
#[derive(Args, Debug)]
pub struct SynthArgs {
    /// Only compare with cfn-out/loader.template.json, and fail if it differs
    #[arg(long)]
    check: bool,
    /// Folder of the queue configurations [default: queues]
    #[arg(long, value_name = "DIR")]
    queues: Option<PathBuf>,
    /// Processor that the functions run on
    #[arg(long, value_enum, default_value_t)]
    arch: Architecture,
    /// Publish on the account's event bus what happens to the tables (docs/events.md)
    #[arg(long)]
    events: bool,
}

pub fn run(args: &SynthArgs) -> Result<()> {
    let out = Out::new(Format::Text);
    let step = out.step("synthesizing");
    let path = workspace::template();
    let props = SynthProps {
        queues: folder(args.queues.as_ref()),
        architecture: args.arch,
        events: args.events,
        file: if args.check { TemplateFile::Check(path.clone()) } else { TemplateFile::Write(path.clone()) },
        ..SynthProps::default()
    };
    let synthesis = synthesize(&props).map_err(|error| refused(&error))?;
    if !args.check {
        schema::write().context("cannot write the schemas")?;
    }
    show_notes(out, &synthesis);
    let (n_queues, bytes) = (synthesis.queues.len(), synthesis.text.len() as u64);
    let state = if synthesis.written { "" } else { ", up to date" };
    step.done(format!("{}: {}, {}{state}", workspace::shown(&path), counted(n_queues, "queue"), size(bytes)));
    let assets = functions::built();
    if !args.check && args.queues.is_none() && assets.len() == Function::ALL.len() {
        let command = by_hand::command("", STACK_NAME_DEFAULT, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT, &assets);
        out.line(format!("   once a deployment has uploaded these zips, by hand: {command}"));
    }
    Ok(())
}

fn show_notes(out: Out, synthesis: &Synthesis) {
    let large = "too large for a request: deploying by hand needs `--s3-bucket BUCKET`".to_owned();
    let notes = synthesis.template.notes().iter().map(ToString::to_string);
    for note in notes.chain(synthesis.needs_bucket().then_some(large)) {
        out.note(note);
    }
}
