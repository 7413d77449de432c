//! The template from the queue configurations, and the file in `cfn-out/` that is committed.

use std::path::PathBuf;

use anyhow::{Context, Result};
use synth::{Architecture, LoaderProps, QueueSource, Template, loader_template};

use crate::ground::output::Out;
use crate::ground::shell;
use crate::loader::functions::Arch;
use crate::loader::queues::QueueFile;

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
