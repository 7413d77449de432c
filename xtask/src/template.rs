//! `cargo xtask synth`: the template from the queue configurations, written to `cfn-out/` or compared with what is there.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use loader_core::contract::{Function, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT};
use synth::limits::TEMPLATE_BODY_BYTES_MAX;
use synth::{Architecture, LoaderProps, QueueSource, Template, loader_template};

use crate::build::{self, Arch};
use crate::deploy::STACK_NAME_DEFAULT;
use crate::output::{Failure, Format, Out, size};
use crate::queues::{self, QueueFile};
use crate::{by_hand, schema, shell};

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
    let text = synthesize_aloud(out, &queues, args.arch, None)?;
    let path = path();
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
        write(&text)?;
        step.done(what);
    }
    let assets = build::built();
    if !args.check && args.queues.is_none() && assets.len() == Function::ALL.len() {
        let command = by_hand::command("", STACK_NAME_DEFAULT, PARAMETER_STATEMENT_NAME_PREFIX_DEFAULT, &assets);
        out.line(format!("   once a deployment has uploaded these zips, by hand: {command}"));
    }
    Ok(())
}

/// The committed template.
pub fn path() -> PathBuf {
    shell::root().join("cfn-out/loader.template.json")
}

/// Writes the template.
pub fn write(text: &str) -> Result<()> {
    let path = path();
    std::fs::create_dir_all(path.parent().context("the path has a folder")?)?;
    std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// The template of these queues, with the usual memory; all problems at once.
pub fn synthesize(queues: &[QueueFile], arch: Arch) -> Result<String> {
    Ok(template(queues, arch, None)?.to_json())
}

/// The same, with this memory if any, and says what is right but should be known.
pub fn synthesize_aloud(out: Out, queues: &[QueueFile], arch: Arch, memory_mb: Option<u32>) -> Result<String> {
    let template = template(queues, arch, memory_mb)?;
    for note in template.notes() {
        out.line(format!("{} {note}", out.attention("note:")));
    }
    Ok(template.to_json())
}

fn template(queues: &[QueueFile], arch: Arch, memory_mb: Option<u32>) -> Result<Template> {
    let architecture = match arch {
        Arch::X86_64 => Architecture::X86_64,
        Arch::Arm64 => Architecture::Arm64,
    };
    let queues =
        queues.iter().map(|queue| QueueSource { name: queue.name.clone(), config: queue.config.clone() }).collect();
    let usual = LoaderProps::default();
    let memory_mb = memory_mb.unwrap_or(usual.memory_mb);
    loader_template(&LoaderProps { queues, architecture, memory_mb, ..usual }).context("the template has problems")
}
