//! Rules about the tree that no other tool checks. Each rule is a file; each complaint names the file, the rule and the remedy.

mod glossary;
mod headers;
mod length;
mod modules;
mod tree;

use anyhow::Result;

use tree::Tree;

/// Checks the clone. Returns the complaints, one line each.
pub fn check() -> Result<Vec<String>> {
    let tree = Tree::read()?;
    Ok([headers::check(&tree), length::check(&tree), modules::check(&tree), glossary::check(&tree)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tidy alone, in a second: `cargo test -p xtask tidy`.
    #[test]
    fn the_tree_is_tidy() {
        let complaints = check().expect("the clone can be read");
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    }
}
