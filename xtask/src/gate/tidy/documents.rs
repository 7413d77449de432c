//! What a document names must exist: paths, links to files, and `cargo xtask` commands.

use clap::Command;
use synth::workspace;

use super::tree::{File, Tree};

/// Folders of the clone with which paths in documents begin.
const ROOTS: [&str; 8] = ["runtime/", "synth/", "xtask/", "tests/", "docs/", "queues/", "scripts/", ".ci/"];
/// Folders that commands create, so no clone has them.
const MADE: [&str; 3] = ["runtime/core/fuzz/artifacts", "runtime/core/fuzz/corpus", "queues/sales.json"];

/// Complains about every path, link and command that does not exist.
pub fn check(tree: &Tree, xtask: &Command) -> Vec<String> {
    tree.documents.iter().flat_map(|document| complaints(document, tree, xtask)).collect()
}

fn complaints(document: &File, tree: &Tree, xtask: &Command) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, line) in document.text.lines().enumerate() {
        let place = format!("{}:{}", document.path, at + 1);
        let paths = quoted(line).filter(|text| is_path(text) && !exists(text, tree));
        complaints.extend(paths.map(|path| format!("{place}: `{path}` does not exist: write the path as it is now")));
        let links = links(line).filter(|target| !is_linked(document, target, tree));
        complaints.extend(links.map(|target| format!("{place}: the link to {target} is broken: correct it")));
        let commands = line
            .match_indices("cargo xtask ")
            .filter_map(|(start, prefix)| wrong(&line[start + prefix.len()..], xtask));
        complaints
            .extend(commands.map(|name| {
                format!("{place}: `cargo xtask {name}` is not a command: `cargo xtask --help` lists them")
            }));
    }
    complaints
}

fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether the text is a path in the clone, not a pattern or a location in AWS.
fn is_path(text: &str) -> bool {
    let is_plain = text.chars().all(|letter| letter.is_alphanumeric() || "/._-".contains(letter));
    is_plain && (ROOTS.iter().any(|root| text.starts_with(root)) || is_source(text))
}

fn is_source(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// The end of a path is enough: documents write `choose.rs` next to a sibling's full path.
fn exists(path: &str, tree: &Tree) -> bool {
    let end = format!("/{path}");
    MADE.contains(&path)
        || workspace::root().join(path).exists()
        || is_source(path) && tree.sources.iter().any(|file| file.path.ends_with(&end))
}

/// Targets of Markdown links to files and to headings.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

fn is_linked(document: &File, target: &str, tree: &Tree) -> bool {
    let (path, heading) = target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let own = workspace::root().join(&document.path);
    let meant = if path.is_empty() { Some(own) } else { own.parent().map(|folder| folder.join(path)) };
    let Some(meant) = meant.and_then(|path| path.canonicalize().ok()) else { return path.is_empty() };
    let linked = |file: &&File| workspace::root().join(&file.path).canonicalize().is_ok_and(|path| path == meant);
    let Some(heading) = heading else { return true };
    tree.documents.iter().find(linked).is_none_or(|file| file.text.lines().filter_map(anchor).any(|it| it == heading))
}

/// The anchor that GitHub generates for a heading.
fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = heading.to_lowercase().replace(' ', "-");
    Some(kept.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect())
}

/// The command after `cargo xtask`, if there is none of that name.
fn wrong(text: &str, xtask: &Command) -> Option<String> {
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '-' || letter == '|';
    let mut words = text.split(' ').map(|word| word.split(|letter| !is_name(letter)).next().unwrap_or_default());
    let name = words.next().filter(|name| !name.is_empty() && !name.starts_with('-'))?;
    let Some(command) = xtask.find_subcommand(name) else { return Some(name.to_owned()) };
    let ends_there = !text[name.len()..].starts_with(' ');
    if ends_there || !command.has_subcommands() {
        return None;
    }
    let part = words.next()?;
    let unknown = part.split('|').find(|part| !part.is_empty() && command.find_subcommand(part).is_none());
    unknown.map(|part| format!("{name} {part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(line: &str) -> usize {
        let queue = Command::new("queue").subcommand(Command::new("add")).subcommand(Command::new("list"));
        let xtask = Command::new("xtask").subcommand(queue).subcommand(Command::new("test"));
        let document = File { path: "README.md".into(), text: line.into() };
        complaints(
            &document,
            &Tree { sources: vec![File { path: "synth/src/x.rs".into(), ..File::default() }], ..Tree::default() },
            &xtask,
        )
        .len()
    }

    #[test]
    fn a_path_that_does_not_exist_is_reported() {
        assert_eq!(complaints_about("`xtask/src/main.rs`, `x.rs`, `*.rs`, [here](docs/protocol.md#steps)"), 0);
        assert_eq!(complaints_about("`xtask/src/nobody.rs`"), 1);
        assert_eq!(complaints_about("`nobody.rs`"), 1);
        assert_eq!(complaints_about("[here](docs/nobody.md)"), 1);
    }

    #[test]
    fn a_heading_that_does_not_exist_is_reported() {
        let protocol = File { path: "docs/protocol.md".into(), text: "# The protocol\n## What shows `it`\n".into() };
        let tree = Tree { documents: vec![protocol.clone()], ..Tree::default() };
        let of = |line: &str| {
            complaints(&File { path: "README.md".into(), text: line.into() }, &tree, &Command::new("x")).len()
        };
        assert_eq!(of("[here](docs/protocol.md#what-shows-it) and [here](docs/protocol.md)"), 0);
        assert_eq!(of("[here](docs/protocol.md#what-hides-it)"), 1);
        let own = complaints(&File { text: "[here](#nothing)".into(), ..protocol }, &tree, &Command::new("x"));
        assert_eq!(own.len(), 1, "{own:?}");
    }

    #[test]
    fn an_unknown_command_is_reported() {
        assert_eq!(
            complaints_about(
                "cargo xtask queue add sales, `cargo xtask test`, cargo xtask queue add|list, `cargo xtask --help`"
            ),
            0
        );
        assert_eq!(complaints_about("cargo xtask queue rename"), 1);
        assert_eq!(complaints_about("`cargo xtask check`"), 1);
    }
}
