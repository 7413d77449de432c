//! The whole of `synth`: from a folder of queue configurations to the template, written to a file or compared with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use loader_core::problem::Problems;

use crate::architecture::Architecture;
use crate::l3::loader_template;
use crate::limits::TEMPLATE_BODY_BYTES_MAX;
use crate::props::{LoaderProps, QueueSource};
use crate::queues::{self, QueueFile, QueuesError};
use crate::template::Template;
use crate::workspace::shown;

/// What is synthesized.
#[derive(Clone, Debug)]
pub struct SynthProps {
    /// Folder of the queue configurations; default: `queues` of the clone.
    pub queues: PathBuf,
    /// Processor of the functions.
    pub architecture: Architecture,
    /// Memory of each function in MB; default: that of [`LoaderProps`].
    pub memory_mb: u32,
    /// Whether the account's event bus is told what happens to the tables; default: that of [`LoaderProps`].
    pub events: bool,
    /// The file that the template belongs in; default: none.
    pub file: TemplateFile,
}

impl Default for SynthProps {
    fn default() -> Self {
        let LoaderProps { architecture, memory_mb, events, .. } = LoaderProps::default();
        Self { queues: crate::workspace::queues(), architecture, memory_mb, events, file: TemplateFile::None }
    }
}

/// The file that the template belongs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateFile {
    /// None: the template is only returned.
    None,
    /// The file is written, unless it is the template already.
    Write(PathBuf),
    /// The file must be the template; nothing is written.
    Check(PathBuf),
}

/// A template, and what it was made from.
#[derive(Clone, Debug)]
pub struct Synthesis {
    /// The queue configurations of the folder, sorted by name.
    pub queues: Vec<QueueFile>,
    /// The template with its notes.
    pub template: Template,
    /// The template's text.
    pub text: String,
    /// Whether [`TemplateFile::Write`] changed the file, or created it.
    pub written: bool,
}

impl Synthesis {
    /// Whether the text is too long for a request, so that deploying it by hand needs a bucket ([`TEMPLATE_BODY_BYTES_MAX`]).
    pub fn needs_bucket(&self) -> bool {
        self.text.len() > TEMPLATE_BODY_BYTES_MAX
    }
}

/// Why there is no template, or not the one that is wanted.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The configurations are refused.
    #[error(transparent)]
    Queues(#[from] QueuesError),
    /// The configurations are right, and no template can be made of them.
    #[error("the template has problems:{}", queues::lines(&.0.0))]
    Template(Problems),
    /// [`TemplateFile::Write`]: the file cannot be written.
    #[error("cannot write `{}`", shown(.path))]
    Write {
        /// The template's file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// [`TemplateFile::Check`]: there is no such file, or it cannot be read.
    #[error("cannot read `{}`, which must be the template", shown(.path))]
    Missing {
        /// The template's file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// [`TemplateFile::Check`]: the file is not the template.
    #[error("`{}` is not what the queue configurations and the synthesizer give: line {line} differs", shown(.path))]
    Differs {
        /// The template's file.
        path: PathBuf,
        /// The first line that differs, from 1.
        line: usize,
    },
}

impl SynthError {
    /// What to do next.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Queues(error) => error.remedy(),
            Self::Template(_) => {
                "correct the queue configurations that the problems name; docs/configuration.md describes each field"
            }
            Self::Write { .. } => "name a file that can be written with --out FILE",
            Self::Missing { .. } | Self::Differs { .. } => {
                "write it with the same command without --check, and commit it"
            }
        }
    }

    /// Whether the command line is wrong, and not what it names.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Queues(QueuesError::Folder { .. }))
    }
}

/// Reads and checks the configurations, makes the template, and does with it what `props` says. The same files give the same bytes.
pub fn synthesize(props: &SynthProps) -> Result<Synthesis, SynthError> {
    let queues = queues::read(&props.queues)?;
    let template = loader_template(&LoaderProps {
        queues: queues.iter().map(QueueSource::from).collect(),
        architecture: props.architecture,
        memory_mb: props.memory_mb,
        events: props.events,
        ..LoaderProps::default()
    })
    .map_err(SynthError::Template)?;
    let text = template.to_json();
    let written = match &props.file {
        TemplateFile::None => false,
        TemplateFile::Write(path) => {
            write(path, &text).map_err(|source| SynthError::Write { path: path.clone(), source })?
        }
        TemplateFile::Check(path) => check(path, &text).map(|()| false)?,
    };
    Ok(Synthesis { queues, template, text, written })
}

fn write(path: &Path, text: &str) -> io::Result<bool> {
    if fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    Ok(true)
}

fn check(path: &Path, text: &str) -> Result<(), SynthError> {
    let found = fs::read(path).map_err(|source| SynthError::Missing { path: path.to_owned(), source })?;
    if found == text.as_bytes() {
        return Ok(());
    }
    let same = |(found, expected): &(&[u8], &[u8])| found == expected;
    let lines = found.split(|byte| *byte == b'\n').zip(text.as_bytes().split(|byte| *byte == b'\n'));
    Err(SynthError::Differs { path: path.to_owned(), line: lines.take_while(same).count() + 1 })
}
