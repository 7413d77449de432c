//! Reads the project's pages: sections, fenced blocks, commands between backticks, transcripts.
//!
//! Tests run the commands from the page itself, so that page and program cannot differ.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use crate::world::clone_root;

/// The text of a page of the clone.
pub fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(clone_root()?.join(path)).with_context(|| format!("no page {path}"))
}

/// The sections of a page, each beginning with its title.
pub fn sections(page: &str) -> impl Iterator<Item = &str> {
    page.split("\n## ").skip(1)
}

/// The section with this title.
pub fn section<'a>(page: &'a str, title: &str) -> Result<&'a str> {
    sections(page)
        .find(|section| section.lines().next() == Some(title))
        .with_context(|| format!("no section `{title}`"))
}

/// The fenced blocks, each as info string and text.
pub fn blocks(section: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = section.split("```").collect();
    parts.iter().skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// A page's xtask commands between backticks, without `cargo xtask`. Line breaks become spaces.
pub fn commands(page: &str) -> BTreeSet<String> {
    let text = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.strip_prefix("cargo xtask ")).map(ToOwned::to_owned).collect()
}

/// A command to type, with the output that the page shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The command, without the prompt.
    pub command: String,
    /// The lines of output; empty if the page shows none.
    pub shown: Vec<String>,
}

/// The steps of a transcript. A command begins with `$ ` and continues in the next line after `\`.
pub fn transcript(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
            (None, Some(step)) if goes_on => step.command.extend(["\n", line]),
            (None, Some(step)) => step.shown.push(line.to_owned()),
            (None, None) => {}
        }
        goes_on = line.ends_with('\\');
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_is_commands_with_what_is_shown_below_them() {
        let steps = transcript("$ make it \\\n    twice\n$ look\none\ntwo\n");
        let step = |command: &str, shown: &[&str]| Step {
            command: command.to_owned(),
            shown: shown.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(steps, [step("make it \\\n    twice", &[]), step("look", &["one", "two"])]);
    }

    #[test]
    fn commands_are_found_across_lines_and_blocks_by_their_fence() {
        let page = "# P\n\n## A\nrun `cargo xtask a\nB`, not `b`\n```json x\n{}\n```\n## B\n";
        assert_eq!(commands(page), BTreeSet::from(["a B".to_owned()]));
        assert_eq!(blocks(section(page, "A").expect("it is there")), [("json x", "{}\n")]);
        assert!(section(page, "C").is_err());
    }
}
