//! The synthesis from start to end: reads a folder of queue configurations, and writes the template to a file or compares it with one.

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

/// The inputs of a synthesis.
#[derive(Clone, Debug)]
pub struct SynthProps {
    /// Folder of the queue configurations; default: `queues` in the clone.
    pub queues: PathBuf,
    /// Processor architecture of the functions; default: that of [`LoaderProps`].
    pub architecture: Architecture,
    /// Memory of each function in MB; default: that of [`LoaderProps`].
    pub memory_mb: u32,
    /// Whether table events are published on the account's event bus; default: that of [`LoaderProps`].
    pub events: bool,
    /// What to do with the template's file; default: nothing.
    pub file: TemplateFile,
}

impl Default for SynthProps {
    fn default() -> Self {
        let LoaderProps { architecture, memory_mb, events, .. } = LoaderProps::default();
        Self { queues: crate::workspace::queues(), architecture, memory_mb, events, file: TemplateFile::None }
    }
}

/// What to do with the template's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateFile {
    /// Nothing: the template is only returned.
    None,
    /// Write the file, unless it is up to date.
    Write(PathBuf),
    /// Fail unless the file is up to date; write nothing.
    Check(PathBuf),
}

/// A template, and the queues it was generated from.
#[derive(Clone, Debug)]
pub struct Synthesis {
    /// The queue configurations of the folder, sorted by name.
    pub queues: Vec<QueueFile>,
    /// The template, with notes for the user.
    pub template: Template,
    /// The template's text.
    pub text: String,
    /// Whether [`TemplateFile::Write`] changed the file, or created it.
    pub written: bool,
}

impl Synthesis {
    /// The template's notes, and one if its text is too long for a request ([`TEMPLATE_BODY_BYTES_MAX`]).
    pub fn notes(&self) -> Vec<String> {
        let too_large = "too large for a request: deploying by hand needs `--s3-bucket BUCKET`".to_owned();
        let too_large = Some(too_large).filter(|_| self.text.len() > TEMPLATE_BODY_BYTES_MAX);
        self.template.notes().iter().map(ToString::to_string).chain(too_large).collect()
    }
}

/// Why a synthesis failed.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The configurations cannot be read or have problems.
    #[error(transparent)]
    Queues(#[from] QueuesError),
    /// Each configuration is valid, but together they cannot become a template.
    #[error("the template has problems:{}", queues::lines(&.0.0))]
    Template(Problems),
    /// [`TemplateFile::Write`]: the file cannot be written.
    #[error("cannot write `{}`", shown(.path))]
    Write {
        /// The template's file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// [`TemplateFile::Check`]: the file does not exist or cannot be read.
    #[error("cannot read `{}`, which must be the template", shown(.path))]
    Missing {
        /// The template's file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// [`TemplateFile::Check`]: the file is not up to date.
    #[error("`{}` is not what the queue configurations and the synthesizer give: line {line} differs", shown(.path))]
    Differs {
        /// The template's file.
        path: PathBuf,
        /// The first line that differs, counted from 1.
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

    /// Whether the command line itself is wrong, rather than a file that it names.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Queues(QueuesError::Folder { .. }))
    }
}

/// Reads and checks the configurations, generates the template, and writes or checks its file. The same configurations give the same bytes.
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
