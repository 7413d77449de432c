//! A file begins with what it decides, and contains nothing unfinished.

use super::tree::{File, Tree};

/// Marks of unfinished work, split so that this file passes.
const LEFT_BEHIND: [&str; 3] = [concat!("to", "do!("), concat!("unimplement", "ed!("), concat!("db", "g!(")];

/// Complains about every file that breaks a rule.
pub fn check(tree: &Tree) -> Vec<String> {
    tree.sources.iter().flat_map(complaints).collect()
}

fn complaints(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    // The root of a program may begin with an inner attribute; all other files begin with their header.
    if !file.text.lines().take(3).any(|line| line.starts_with("//!")) {
        let remedy = "begin it with a line that says what the module does";
        complaints.push(format!("{}: starts without `//!`: {remedy}", file.path));
    }
    for word in LEFT_BEHIND {
        let is_left = |line: &str| line.contains(word) && !line.trim_start().starts_with("//");
        if let Some(line) = file.text.lines().position(is_left) {
            complaints.push(format!("{}:{}: `{word}…)` is left behind: finish it", file.path, line + 1));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(text: &str) -> usize {
        complaints(&File { path: "synth/src/x.rs".into(), text: text.into() }).len()
    }

    #[test]
    fn a_file_without_a_header_is_named() {
        assert_eq!(complaints_about("fn main() {}"), 1);
        assert_eq!(complaints_about("//! The program.\nfn main() {}"), 0);
    }

    #[test]
    fn unfinished_work_is_reported() {
        assert_eq!(complaints_about(&format!("//! The program.\nfn main() {{ {}) }}", LEFT_BEHIND[0])), 1);
    }
}
