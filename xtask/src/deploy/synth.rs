//! `cargo xtask synth`: the template from the queue configurations, written to `cfn-out/` or compared with what is there.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use loader_core::contract::{Function, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT};
use synth::limits::TEMPLATE_BODY_BYTES_MAX;

use crate::deploy::by_hand;
use crate::ground::output::{Failure, Format, Out, size};
use crate::ground::shell;
use crate::ground::stack::STACK_NAME_DEFAULT;
use crate::loader::functions::{self, Arch};
use crate::loader::{queues, schema, template};

/// `cargo xtask synth`
#[derive(Args, Debug)]
pub struct SynthArgs {
    /// Only compare with cfn-out/loader.template.json, and fail where it differs
    #[arg(long)]
    check: bool,
    /// Folder of the queue configurations [default: queues]
    #[arg(long, value_name = "DIR")]
    queues: Option<PathBuf>,
    /// Processor that the functions run on
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
}

/// Runs the command.
pub fn run(args: &SynthArgs) -> Result<()> {
    let out = Out::new(Format::Text);
    let step = out.step("synthesizing");
    let queues = queues::read(&queues::folder(args.queues.as_ref()))?;
    let text = template::synthesize_aloud(out, &queues, args.arch, None)?;
    let path = template::path();
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if !args.check {
        std::fs::create_dir_all(schema::path().parent().context("the path has a folder")?)?;
        std::fs::write(schema::path(), schema::text()).context("cannot write the schema of the queue files")?;
    }
    let what = format!("{}: {} queues, {}", shell::shown(&path), queues.len(), size(text.len() as u64));
    if text.len() > TEMPLATE_BODY_BYTES_MAX {
        let bucket = "--s3-bucket BUCKET";
        out.line(format!("{} too large for a request: deploying by hand needs `{bucket}`", out.attention("note:")));
    }
    if before == text {
        step.done(format!("{what}, up to date"));
    } else if args.check {
        let message = format!("{} is not what the queue configurations and the synthesizer give", shell::shown(&path));
        return Err(Failure::new(message, "cargo xtask synth, and commit the file").into());
    } else {
        template::write(&text)?;
        step.done(what);
    }
    let assets = functions::built();
    if !args.check && args.queues.is_none() && assets.len() == Function::ALL.len() {
        let command = by_hand::command("", STACK_NAME_DEFAULT, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT, &assets);
        out.line(format!("   once a deployment has uploaded these zips, by hand: {command}"));
    }
    Ok(())
}
