//! Reads and checks the queue configurations of a folder, one file per queue, and reports the problems of all files at once.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loader_core::config::{LoadConfig, SourceFolder};

use crate::props::QueueSource;
use crate::queue_name::check_queue_name;
use crate::warehouses;
use crate::workspace::shown;

/// A queue's configuration: `<queue name>.json`.
#[derive(Clone, Debug)]
pub struct QueueFile {
    /// Name of the queue, without the stack's prefix: the stem of the file's name.
    pub name: String,
    /// Path of the file.
    pub path: PathBuf,
    /// The text that is uploaded: the file's, with the warehouse's settings in place of its name.
    pub text: String,
    /// The parsed configuration.
    pub config: Arc<LoadConfig>,
}

impl From<&QueueFile> for QueueSource {
    fn from(file: &QueueFile) -> Self {
        Self { name: file.name.clone(), config: Arc::clone(&file.config) }
    }
}

/// Why the configurations of a folder are refused.
#[derive(Debug, thiserror::Error)]
pub enum QueuesError {
    /// The folder does not exist or cannot be listed.
    #[error("cannot read the folder `{}` of the queue configurations", shown(.folder))]
    Folder {
        /// The folder of the queue configurations.
        folder: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The files have problems; each message names the file and the field.
    #[error("{} in the queue configurations:{}", count(.0.len()), lines(.0))]
    Files(Vec<String>),
}

impl QueuesError {
    /// What to do next.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "name the folder with --queues DIR",
            Self::Files(_) => "correct the fields named above; docs/configuration.md describes each",
        }
    }
}

fn count(problems: usize) -> String {
    format!("{problems} {}", if problems == 1 { "problem" } else { "problems" })
}

/// Puts each problem on its own line, below the message.
pub(crate) fn lines(problems: &[impl Display]) -> String {
    problems.iter().fold(String::new(), |text, problem| format!("{text}\n  {problem}"))
}

/// Reads every configuration of a folder, sorted by file name. A folder without configurations is allowed; the loader then has no queues.
pub fn read(folder: &Path) -> Result<Vec<QueueFile>, QueuesError> {
    let paths = paths(folder).map_err(|source| QueuesError::Folder { folder: folder.to_owned(), source })?;
    let mut problems = Vec::new();
    let mut queues = Vec::new();
    for path in paths {
        match text(&path).and_then(|text| parse(&path, text)) {
            Ok(queue) => queues.push(queue),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(overlaps(&queues));
    problems.extend(queues.iter().filter_map(|queue| feed_problem(queue, &queues)));
    if problems.is_empty() { Ok(queues) } else { Err(QueuesError::Files(problems)) }
}

fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn text(path: &Path) -> Result<String, Vec<String>> {
    let bytes = fs::read(path).map_err(|error| vec![format!("{}: cannot be read: {error}", shown(path))])?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        vec![format!("{}: not UTF-8 from byte {at} on: save it as UTF-8", shown(path))]
    })
}

/// Parses the text of one file. Every problem names the file and, if possible, the field.
pub fn parse(path: &Path, text: String) -> Result<QueueFile, Vec<String>> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut problems: Vec<String> = check_queue_name(&name).err().into_iter().collect();
    let text = match with_warehouse(path, text) {
        Ok(text) => text,
        Err(problem) => return Err(vec![format!("{}: {problem}", shown(path))]),
    };
    match LoadConfig::parse(&text).and_then(|config| config.check_addresses().map(|()| config)) {
        Ok(config) if !config.feeds.is_empty() => {
            problems.push("`feeds`: is written by the deployment: write `queue` in the other table's file".to_owned());
        }
        Ok(config) if config.again_before_millis.is_some() => {
            problems.push("`again_before_millis`: is for bulk requests: use `cargo xtask backfill --force`".to_owned());
        }
        Ok(config) if problems.is_empty() => return Ok(QueueFile { name, path: path.to_owned(), text, config }),
        Ok(_) => {}
        Err(found) => problems.extend(found.0.iter().map(ToString::to_string)),
    }
    Err(problems.iter().map(|problem| format!("{}: {problem}", shown(path))).collect())
}

/// Replaces the name of a warehouse by the content of its file. A text that is not JSON is returned unchanged; [`LoadConfig::parse`] reports
/// it.
fn with_warehouse(path: &Path, text: String) -> Result<String, String> {
    let Ok(mut queue) = serde_json::from_str(&text) else { return Ok(text) };
    Ok(if warehouses::resolve(path, &mut queue)? { format!("{queue:#}\n") } else { text })
}

/// Finds queues whose folders overlap: S3 refuses notifications for two prefixes if one contains the other (S3 user guide, "Configuring event
/// notifications using object key name filtering").
fn overlaps(queues: &[QueueFile]) -> Vec<String> {
    let mut problems = Vec::new();
    // A table that is fed by another queue has no notification of its own.
    let queues: Vec<&QueueFile> = queues.iter().filter(|queue| queue.config.fed_by.is_none()).collect();
    for (index, one) in queues.iter().enumerate() {
        for other in &queues[..index] {
            let (Some(a), Some(b)) = (&one.config.source, &other.config.source) else { continue };
            if overlap(a, b) {
                problems.push(format!(
                    "{}: `source`: s3://{}/{} overlaps with s3://{}/{} of {}: S3 sends an object to one queue only, so give them separate folders, or name the queue of the wider one in `queue`",
                    shown(&one.path), a.bucket, a.prefix, b.bucket, b.prefix, shown(&other.path)
                ));
            }
        }
    }
    problems
}

/// If `queue` names another queue that feeds it, what prevents that.
fn feed_problem(queue: &QueueFile, queues: &[QueueFile]) -> Option<String> {
    let fed_by = queue.config.fed_by.as_ref()?;
    let problem = |message: String| Some(format!("{}: `queue`: {message}", shown(&queue.path)));
    let Some(other) = queues.iter().find(|other| other.name == *fed_by) else {
        return problem(format!("there is no queue `{fed_by}`: name another file of the folder, without `.json`"));
    };
    if let Some(first) = &other.config.fed_by {
        return problem(format!("`{fed_by}` is itself fed by `{first}`: name one that has a queue of its own"));
    }
    match (&queue.config.source, &other.config.source) {
        (Some(own), Some(all)) if all.holds(&own.bucket, &own.prefix) => None,
        (own, all) => problem(format!(
            "the source {} is not inside {} of `{fed_by}`: its messages are about that folder only, so make that one wider",
            url(own.as_ref()),
            url(all.as_ref())
        )),
    }
}

fn url(folder: Option<&SourceFolder>) -> String {
    folder.map_or_else(|| "(none)".to_owned(), |folder| format!("s3://{}/{}", folder.bucket, folder.prefix))
}

fn overlap(a: &SourceFolder, b: &SourceFolder) -> bool {
    a.bucket == b.bucket && (a.prefix.starts_with(&b.prefix) || b.prefix.starts_with(&a.prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, source: &str) -> Result<QueueFile, Vec<String>> {
        let text = format!(
            r#"{{"copy": {{"role_arn": "default", "table_name": "t"}}, "cluster": {{"identifier": "c", "db_name": "d"}}, "source": "{source}"}}"#
        );
        parse(Path::new(name), text)
    }

    #[test]
    fn every_problem_names_its_file_and_field() {
        let problems = parse(Path::new("queues/a b.json"), r#"{"copy": {}, "cluster": {}}"#.into()).unwrap_err();
        assert!(problems.iter().all(|problem| problem.starts_with("queues/a b.json: ")), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains("`a b` is not a queue name")));
        assert!(problems.iter().any(|problem| problem.contains("`copy.role_arn`")));
        assert!(problems.iter().any(|problem| problem.contains("`cluster.db_name`")));
    }

    #[test]
    fn folders_of_which_one_contains_the_other_overlap() {
        let files = [file("a.json", "s3://bucket/x/").unwrap(), file("b.json", "s3://bucket/x/y/").unwrap()];
        assert_eq!(
            overlaps(&files),
            [
                "b.json: `source`: s3://bucket/x/y/ overlaps with s3://bucket/x/ of a.json: S3 sends an object to one queue only, \
                 so give them separate folders, or name the queue of the wider one in `queue`"
            ]
        );
    }

    #[test]
    fn folders_side_by_side_do_not_overlap() {
        let files = [file("a.json", "s3://bucket/x/").unwrap(), file("b.json", "s3://bucket/xy/").unwrap()];
        assert_eq!(overlaps(&files), Vec::<String>::new());
        let files = [file("a.json", "s3://bucket-one/x/").unwrap(), file("b.json", "s3://bucket-two/x/").unwrap()];
        assert_eq!(overlaps(&files), Vec::<String>::new());
    }
}
