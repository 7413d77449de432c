//! Names in the glossary's column *code* must be identifiers in the sources.

use std::collections::BTreeSet;

use super::tree::Tree;

const GLOSSARY: &str = "docs/glossary.md";

/// Complains about every name that is not in the sources.
pub fn check(tree: &Tree) -> Vec<String> {
    let Some(glossary) = tree.documents.iter().find(|file| file.path == GLOSSARY) else {
        return vec![format!("{GLOSSARY}: not found: it explains the words of the project")];
    };
    let product = tree.sources.iter().filter(|file| !file.is_test());
    let known: BTreeSet<&str> = product.flat_map(|file| identifiers(&file.text)).collect();
    let missing = names(&glossary.text).into_iter().filter(|(_, name)| !known.contains(name));
    let remedy = "write the name that the code uses, or remove the row";
    missing.map(|(line, name)| format!("{GLOSSARY}:{line}: `{name}` is not in the code: {remedy}")).collect()
}

/// Line and name, from the column *code* of every table that has one.
fn names(text: &str) -> Vec<(usize, &str)> {
    let mut column: Option<usize> = None;
    let mut names = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            column = None;
        } else if let Some(column) = column {
            let cell: &str = cells.get(column).copied().unwrap_or_default();
            let quoted = cell.split('`').skip(1).step_by(2).flat_map(words);
            names.extend(quoted.map(|name| (at + 1, name)));
        } else {
            column = cells.iter().position(|cell| *cell == "code");
        }
    }
    names
}

/// Words of the code without comments and string literals, which may name anything.
fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"').step_by(2)).flat_map(words)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    #[test]
    fn a_name_that_no_source_has_is_reported() {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let glossary = "| term | code |\n| --- | --- |\n| slot | `Slot` |\n| lock | `Lock::Held` |\n";
        let source = "//! Lock\nstruct Slot; const HELD: &str = \"Lock\";";
        let tree = Tree {
            documents: vec![file(GLOSSARY, glossary)],
            sources: vec![file("runtime/core/src/x.rs", source)],
            ..Tree::default()
        };
        let complaints = check(&tree);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].starts_with("docs/glossary.md:4: `Lock`"), "{complaints:?}");
    }
}
