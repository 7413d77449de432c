//! The queue configurations of a folder: one file per queue, all problems of all files at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use loader_core::config::{LoadConfig, SourceFolder};

use crate::ground::output::Failure;
use crate::ground::shell;

/// A queue name leaves room for the stack's prefix and for `-dlq` within the 80 characters of SQS.
const QUEUE_NAME_CHARACTERS_MAX: usize = 60;

/// One `<queue>.json`.
#[derive(Clone, Debug)]
pub struct QueueFile {
    /// Name of the queue: the file's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What it says.
    pub config: Arc<LoadConfig>,
}

/// Where the configurations are unless `--queues` says otherwise.
pub fn folder(given: Option<&PathBuf>) -> PathBuf {
    given.cloned().unwrap_or_else(|| shell::root().join("queues"))
}

/// Reads every configuration of a folder, by name. A folder that does not exist is an error; an empty one is none.
pub fn read(folder: &Path) -> Result<Vec<QueueFile>> {
    let mut paths = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|error| {
        let message = format!("cannot read the queue configurations in `{}` ({error})", folder.display());
        Failure::usage(message, "name the folder with --queues DIR")
    })?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut problems = Vec::new();
    let mut queues = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        match text_of(&path, bytes).and_then(|text| parse(&path, text)) {
            Ok(queue) => queues.push(queue),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(overlaps(&queues));
    if problems.is_empty() { Ok(queues) } else { Err(refused(&problems).into()) }
}

/// The queue of that name, which must be there.
pub fn find<'a>(queues: &'a [QueueFile], name: &str) -> Result<&'a QueueFile> {
    let found = queues.iter().find(|queue| queue.name == name);
    found.ok_or_else(|| Failure::usage(format!("there is no queue `{name}`"), "cargo xtask queue list").into())
}

fn refused(problems: &[String]) -> Failure {
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    let list: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    Failure::new(
        format!("{} {noun} in the queue configurations:{}", problems.len(), list.concat()),
        "correct the fields named above; docs/configuration.md describes each",
    )
}

fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String, Vec<String>> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        vec![format!("{}: not UTF-8 from byte {at} on: save it as UTF-8", shell::shown(path))]
    })
}

/// Reads one file; every problem names the file and the field.
pub fn parse(path: &Path, text: String) -> Result<QueueFile, Vec<String>> {
    let shown = shell::shown(path);
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut problems = Vec::new();
    if let Err(problem) = check_name(&name) {
        problems.push(format!("{shown}: {problem}"));
    }
    match LoadConfig::parse(&text).and_then(|config| config.check_addresses().map(|()| config)) {
        Ok(config) if problems.is_empty() => return Ok(QueueFile { name, path: path.to_owned(), text, config }),
        Ok(_) => {}
        Err(found) => problems.extend(found.0.iter().map(|problem| format!("{shown}: {problem}"))),
    }
    Err(problems)
}

/// Whether a queue can have this name.
pub fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > QUEUE_NAME_CHARACTERS_MAX || !name.chars().all(allowed) {
        return Err(format!(
            "`{name}` is no queue name: 1 to {QUEUE_NAME_CHARACTERS_MAX} letters, digits, `-` and `_`"
        ));
    }
    Ok(())
}

/// S3 sends a new object to one queue of a bucket only: two folders of which one holds the other are refused by it.
fn overlaps(queues: &[QueueFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, one) in queues.iter().enumerate() {
        for other in &queues[..index] {
            let (Some(a), Some(b)) = (&one.config.source, &other.config.source) else { continue };
            if overlap(a, b) {
                problems.push(format!(
                    "{}: `source`: s3://{}/{} overlaps with s3://{}/{} of {}: S3 sends an object to one queue only, so give them separate folders",
                    shell::shown(&one.path), a.bucket, a.prefix, b.bucket, b.prefix, shell::shown(&other.path)
                ));
            }
        }
    }
    problems
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
        assert!(problems.iter().any(|problem| problem.contains("`a b` is no queue name")));
        assert!(problems.iter().any(|problem| problem.contains("`copy.role_arn`")));
        assert!(problems.iter().any(|problem| problem.contains("`cluster.db_name`")));
    }

    #[test]
    fn a_file_that_is_no_text_does_not_hide_the_problems_of_the_others() {
        let folder = std::env::temp_dir().join(format!("xtask-queues-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.json"), b"{\"copy\": \"\xff\"}").unwrap();
        let cluster =
            r#"{"copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "A B", "db_name": "d"}}"#;
        std::fs::write(folder.join("b.json"), cluster).unwrap();
        let found = read(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let error = found.unwrap_err().to_string();
        assert!(error.contains("a.json: not UTF-8 from byte 10 on"), "{error}");
        assert!(error.contains("b.json: `cluster.identifier`: `A B` is no cluster identifier"), "{error}");
    }

    #[test]
    fn folders_that_hold_one_another_overlap() {
        let files = [file("a.json", "s3://bucket/x/").unwrap(), file("b.json", "s3://bucket/x/y/").unwrap()];
        assert_eq!(overlaps(&files).len(), 1);
    }

    #[test]
    fn folders_side_by_side_do_not_overlap() {
        let files = [file("a.json", "s3://bucket/x/").unwrap(), file("b.json", "s3://bucket/xy/").unwrap()];
        assert_eq!(overlaps(&files), Vec::<String>::new());
        let files = [file("a.json", "s3://bucket-one/x/").unwrap(), file("b.json", "s3://bucket-two/x/").unwrap()];
        assert_eq!(overlaps(&files), Vec::<String>::new());
    }
}
