//! The clone as the rules see it: the Rust sources by package, and the documents.

use std::path::Path;

use anyhow::{Context, Result};
use synth::workspace;

/// Folders with our code.
const FOLDERS: [&str; 5] = ["runtime", "synth", "xtask", "tests", "scripts"];

/// A text file of the clone.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Path relative to the clone, with `/`.
    pub path: String,
    pub text: String,
}

/// The files that the rules check.
#[derive(Debug, Default)]
pub struct Tree {
    /// Every Rust file, sorted by path.
    pub sources: Vec<File>,
    /// Every `Cargo.toml` of a package.
    pub packages: Vec<File>,
    /// Documents: Markdown files in the root of the clone, in `docs` and in `tests`.
    pub documents: Vec<File>,
}

impl Tree {
    /// Reads the clone from which this program was built.
    pub fn read() -> Result<Self> {
        let mut tree = Self::default();
        for folder in FOLDERS {
            tree.collect(&workspace::root().join(folder))?;
        }
        tree.collect(&workspace::root().join("docs"))?;
        for entry in std::fs::read_dir(workspace::root())? {
            tree.take(&entry?.path())?;
        }
        tree.sources.sort_by(|one, other| one.path.cmp(&other.path));
        tree.documents.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(tree)
    }

    fn collect(&mut self, folder: &Path) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                self.collect(&path)?;
            } else {
                self.take(&path)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Path) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => &mut self.sources,
            Some("md") => &mut self.documents,
            _ if name == "Cargo.toml" => &mut self.packages,
            _ => return Ok(()),
        };
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        kind.push(File { path: workspace::shown(path), text });
        Ok(())
    }
}

impl File {
    /// Whether the file is a test or used only by tests: the proofs, the acceptance tests, and the `tests` folders of packages.
    pub fn is_test(&self) -> bool {
        let outside = ["tests/proof/", "tests/acceptance/", "scripts/"];
        outside.iter().any(|folder| self.path.starts_with(folder))
            || self.path.trim_start_matches("tests/").contains("/tests/")
            || self.path.ends_with("/tests.rs")
    }

    /// The lines before the unit tests.
    pub fn product_lines(&self) -> usize {
        let mut lines = self.text.lines();
        lines.position(|line| line == "#[cfg(test)]").unwrap_or_else(|| self.text.lines().count())
    }
}
