//! `cargo xtask synth`: generates the template from the queue configurations, and writes it to `cfn-out/` or compares it with the file
//! there.

use anyhow::{Context, Result};
use loader_core::contract::{Function, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT};
use synth::{SynthArgs, synthesize, workspace};

use crate::deploy::by_hand;
use crate::ground::output::{Format, Out, counted, size};
use crate::ground::stack_name::STACK_NAME_DEFAULT;
use crate::loader::queues::refused;
use crate::loader::{functions, schema};

pub fn run(args: &SynthArgs) -> Result<()> {
    let out = Out::new(Format::Text);
    let step = out.step("synthesizing");
    let path = workspace::template();
    let synthesis = synthesize(&args.props(path.clone())).map_err(|error| refused(&error))?;
    if !args.check {
        schema::write().context("cannot write the schemas")?;
    }
    for note in synthesis.notes() {
        out.note(note);
    }
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
