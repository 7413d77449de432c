//! A package must use every dependency that it lists.

use super::tree::{File, Tree};

/// Complains about every dependency that no source file of its package names.
pub fn check(tree: &Tree) -> Vec<String> {
    tree.packages.iter().flat_map(|package| complaints(package, tree)).collect()
}

fn complaints(package: &File, tree: &Tree) -> Vec<String> {
    let folder = package.path.trim_end_matches("Cargo.toml");
    let sources: Vec<&File> = tree.sources.iter().filter(|file| file.path.starts_with(folder)).collect();
    let unused = dependencies(&package.text).filter(|name| {
        let used = name.replace('-', "_");
        !sources.iter().any(|file| file.text.contains(&used) && names(&file.text, &used))
    });
    unused
        .map(|name| format!("{}: `{name}` is not used by any source of the package: remove it", package.path))
        .collect()
}

fn dependencies(text: &str) -> impl Iterator<Item = &str> {
    let mut is_dependency = false;
    text.lines().filter_map(move |line| {
        if line.starts_with('[') {
            is_dependency = line.trim_end_matches(']').ends_with("dependencies");
            return None;
        }
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        (is_dependency && !name.is_empty() && !name.starts_with('#')).then_some(name)
    })
}

/// Whether the code, without comments, contains the name as a word.
fn names(text: &str, name: &str) -> bool {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.into_iter().any(|line| line.split(|letter| !is_word(letter)).any(|word| word == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unused_dependency_is_reported() {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let package = "[package]\nname = \"x\"\n[dependencies]\naws-config.workspace = true\nhex = { version = \"1\" }\n[lints]\nworkspace = true\n";
        let tree = Tree {
            packages: vec![file("x/Cargo.toml", package)],
            sources: vec![
                file("x/src/lib.rs", "// hex\nuse aws_config::Region;"),
                file("y/src/lib.rs", "use hex::encode;"),
            ],
            ..Tree::default()
        };
        assert_eq!(check(&tree), ["x/Cargo.toml: `hex` is not used by any source of the package: remove it"]);
    }
}
