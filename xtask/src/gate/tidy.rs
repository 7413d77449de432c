//! Rules about the source that no other tool checks; each complaint says how to fix it.

use std::path::{Path, PathBuf};
use synth::workspace;

use anyhow::Result;

/// A longer file says more than one thing.
const LINES_MAX: usize = 600;
/// Our own code, by folder.
const FOLDERS: [&str; 5] = ["runtime", "synth", "xtask", "tests", "scripts"];
/// What nobody leaves behind, in pieces so that this file passes.
const LEFT_BEHIND: [&str; 3] = [concat!("to", "do!("), concat!("unimplement", "ed!("), concat!("db", "g!(")];

/// Checks every Rust file; the answer is the list of complaints.
pub fn check() -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&workspace::root().join(folder), &mut files)?;
    }
    files.sort();
    let mut complaints = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        complaints
            .extend(complaints_about(&text).into_iter().map(|what| format!("{}: {what}", workspace::shown(&file))));
    }
    Ok(complaints)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn complaints_about(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let n_lines = text.lines().count();
    if n_lines > LINES_MAX {
        complaints.push(format!("{n_lines} lines: split it by subject, {LINES_MAX} at most"));
    }
    // An inner attribute must stand first in the root of a program without tests; everything else starts by saying what it is.
    if !text.lines().take(3).any(|line| line.starts_with("//!")) {
        complaints.push("starts without `//!`: say what the module decides, and what it does not know".into());
    }
    for word in LEFT_BEHIND {
        if let Some(line) = text.lines().position(|line| line.contains(word) && !line.trim_start().starts_with("//")) {
            complaints.push(format!("line {}: `{word}…)` is left behind: finish it", line + 1));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_is_named() {
        assert_eq!(complaints_about("fn main() {}").len(), 1);
        assert_eq!(complaints_about("//! The program.\nfn main() {}"), Vec::<String>::new());
    }

    #[test]
    fn what_is_left_behind_is_found() {
        let text = format!("//! The program.\nfn main() {{ {}) }}", LEFT_BEHIND[0]);
        assert_eq!(complaints_about(&text).len(), 1);
    }

    #[test]
    fn a_file_that_is_too_long_is_named() {
        let text = format!("//! The program.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(complaints_about(&text).len(), 1);
    }
}
