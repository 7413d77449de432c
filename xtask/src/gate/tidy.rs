//! Rules about the tree that no other tool checks. Each rule is a file; each complaint names the file, the rule and the remedy.

mod circles;
mod dependencies;
mod documents;
mod errors;
mod glossary;
mod headers;
mod length;
mod modules;
mod rooms;
mod tree;

use anyhow::Result;

use tree::Tree;

/// Checks the clone and returns the complaints, one line each. `xtask` has the commands that documents may name.
pub fn check(xtask: &clap::Command) -> Result<Vec<String>> {
    let tree = Tree::read()?;
    Ok([
        headers::check(&tree),
        length::check(&tree),
        modules::check(&tree),
        glossary::check(&tree),
        documents::check(&tree, xtask),
        errors::check(&tree),
        dependencies::check(&tree),
        rooms::check(&tree),
        circles::check(&tree),
    ]
    .concat())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Runs only tidy, in a second: `cargo test -p xtask tidy`.
    #[test]
    fn the_tree_is_tidy() {
        let complaints = check(&crate::Cli::command()).expect("the clone can be read");
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    }
}
