//! Maximum length of files and functions. Longer ones have more than one subject.

use super::tree::{File, Tree};

const PRODUCT_FILE_LINES_MAX: usize = 480;
const TEST_FILE_LINES_MAX: usize = 575;
const PRODUCT_FUNCTION_LINES_MAX: usize = 46;
const TEST_FUNCTION_LINES_MAX: usize = 60;

/// Complains about every file and function that is too long.
pub fn check(tree: &Tree) -> Vec<String> {
    tree.sources.iter().flat_map(complaints).collect()
}

fn complaints(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    let n_lines = file.text.lines().count();
    let allowed = if file.is_test() { TEST_FILE_LINES_MAX } else { PRODUCT_FILE_LINES_MAX };
    if n_lines > allowed {
        complaints.push(format!("{}: {n_lines} lines, {allowed} are allowed: split the file by subject", file.path));
    }
    let product_lines = if file.is_test() { 0 } else { file.product_lines() };
    for function in functions(&file.text) {
        let is_product = function.line <= product_lines;
        let allowed = if is_product { PRODUCT_FUNCTION_LINES_MAX } else { TEST_FUNCTION_LINES_MAX };
        if function.n_lines > allowed {
            let Function { line, name, n_lines } = function;
            let remedy = "give its steps names of their own";
            complaints
                .push(format!("{}:{line}: `{name}` has {n_lines} lines, {allowed} are allowed: {remedy}", file.path));
        }
    }
    complaints
}

struct Function<'a> {
    /// Line number, from 1.
    line: usize,
    name: &'a str,
    /// Number of lines, from the one with `fn` to the one with the closing brace.
    n_lines: usize,
}

/// The functions with a body. rustfmt aligns the closing brace with the start of the line with `fn`.
fn functions(text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends = |line: &&str| {
            line.strip_prefix(indent).is_some_and(|rest| rest == "}" || rest.ends_with(';') && !rest.starts_with(' '))
        };
        let is_one_line = line.ends_with('}') || line.ends_with(';');
        let n_after = if is_one_line { 0 } else { lines[at + 1..].iter().position(ends).map_or(0, |n| n + 1) };
        functions.push(Function { line: at + 1, name, n_lines: n_after + 1 });
    }
    functions
}

fn function_name(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let modifiers = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "fn "];
    if !modifiers.iter().any(|modifier| code.starts_with(modifier)) {
        return None;
    }
    let name = code.split_once("fn ")?;
    let has_only_modifiers = name.0.split_whitespace().all(|word| modifiers.contains(&format!("{word} ").as_str()));
    has_only_modifiers.then(|| name.1.split(['(', '<']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(path: &str, text: &str) -> Vec<String> {
        complaints(&File { path: path.into(), text: text.into() })
    }

    fn function_of(n_lines: usize) -> String {
        format!("    pub async fn long(\n    ) {{\n{}    }}\n", "        x();\n".repeat(n_lines - 3))
    }

    #[test]
    fn a_file_that_is_too_long_is_named() {
        assert_eq!(complaints_about("synth/src/x.rs", &"\n".repeat(PRODUCT_FILE_LINES_MAX)).len(), 0);
        assert_eq!(complaints_about("synth/src/x.rs", &"\n".repeat(PRODUCT_FILE_LINES_MAX + 1)).len(), 1);
        assert_eq!(complaints_about("synth/tests/x.rs", &"\n".repeat(TEST_FILE_LINES_MAX)).len(), 0);
        assert_eq!(complaints_about("synth/tests/x.rs", &"\n".repeat(TEST_FILE_LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn a_function_that_is_too_long_is_named() {
        assert_eq!(complaints_about("synth/src/x.rs", &function_of(PRODUCT_FUNCTION_LINES_MAX)), Vec::<String>::new());
        let complaint = complaints_about("synth/src/x.rs", &function_of(PRODUCT_FUNCTION_LINES_MAX + 1));
        assert_eq!(
            complaint,
            ["synth/src/x.rs:1: `long` has 47 lines, 46 are allowed: give its steps names of their own"]
        );
    }

    #[test]
    fn a_test_may_be_longer() {
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(TEST_FUNCTION_LINES_MAX));
        assert_eq!(complaints_about("synth/src/x.rs", &test), Vec::<String>::new());
        assert_eq!(complaints_about("synth/tests/x.rs", &function_of(TEST_FUNCTION_LINES_MAX + 1)).len(), 1);
    }
}
