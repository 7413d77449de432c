//! The options of a synthesis on the command line, for the program `synth` and for `cargo xtask synth`.

use std::path::PathBuf;

use crate::architecture::Architecture;
use crate::synthesis::{SynthProps, TemplateFile};
use crate::workspace;

/// What the template is generated from, and whether its file is written or only compared.
#[derive(clap::Args, Clone, Debug)]
pub struct SynthArgs {
    /// Folder of the queue configurations, one <queue name>.json for each [default: queues]
    #[arg(long, value_name = "DIR")]
    pub queues: Option<PathBuf>,
    /// Processor architecture of the functions
    #[arg(long, value_enum, default_value_t)]
    pub arch: Architecture,
    /// Publish what happens to the tables on the account's event bus (docs/events.md)
    #[arg(long)]
    pub events: bool,
    /// Write nothing, and fail if the template's file is not up to date
    #[arg(long)]
    pub check: bool,
}

impl SynthArgs {
    /// The synthesis of a template with this file.
    pub fn props(&self, path: PathBuf) -> SynthProps {
        SynthProps {
            queues: self.queues.clone().unwrap_or_else(workspace::queues),
            architecture: self.arch,
            events: self.events,
            file: if self.check { TemplateFile::Check(path) } else { TemplateFile::Write(path) },
            ..SynthProps::default()
        }
    }
}
