//! A module with parts is `x.rs` beside `x/`: one style, and no two editor tabs with the same name.

use super::tree::{File, Tree};

/// Complains about every `mod.rs` outside `tests` folders, where Cargo would treat `common.rs` as a test.
pub fn check(tree: &Tree) -> Vec<String> {
    tree.sources.iter().filter(|file| is_wrong(file)).map(complaint).collect()
}

fn is_wrong(file: &File) -> bool {
    file.path.ends_with("/mod.rs") && !file.path.ends_with("/tests/common/mod.rs")
}

fn complaint(file: &File) -> String {
    let folder = file.path.trim_end_matches("/mod.rs");
    format!("{}: modules are files beside their folder: move it to `{folder}.rs`", file.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_common_module_of_tests_is_a_mod_rs() {
        let file = |path: &str| File { path: path.into(), ..File::default() };
        let sources = ["synth/src/l2/mod.rs", "synth/tests/common/mod.rs", "synth/src/l1.rs"].map(file).to_vec();
        let complaints = check(&Tree { sources, ..Tree::default() });
        assert_eq!(
            complaints,
            ["synth/src/l2/mod.rs: modules are files beside their folder: move it to `synth/src/l2.rs`"]
        );
    }
}
