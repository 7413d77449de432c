//! Sibling modules must not import each other in a circle. A module and its submodules count as one: a file and its parts may use each
//! other.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{File, Tree};

/// The siblings that each module uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// Complains about every circle.
pub fn check(tree: &Tree) -> Vec<String> {
    let mut crates: BTreeMap<&str, BTreeMap<String, &File>> = BTreeMap::new();
    for file in tree.sources.iter().filter(|file| !file.is_test()) {
        if let Some((folder, module)) = module_of(&file.path) {
            crates.entry(folder).or_default().insert(module, file);
        }
    }
    crates.iter().flat_map(|(folder, files)| complaints(folder, files)).collect()
}

/// The folder of a file's crate, and the module, as in `tracker/slot`; `None` for the root of a crate.
fn module_of(path: &str) -> Option<(&str, String)> {
    let (folder, file) = path.split_once("/src/")?;
    let module = file.strip_suffix(".rs").filter(|module| *module != "lib" && *module != "main")?;
    Some((folder, module.to_owned()))
}

fn complaints(folder: &str, files: &BTreeMap<String, &File>) -> Vec<String> {
    let mut levels: BTreeMap<String, Uses> = BTreeMap::new();
    for (module, file) in files {
        for used in used_by(module, file, files) {
            if let Some((parent, one, other)) = neighbours(module, &used) {
                levels.entry(parent).or_default().entry(one).or_default().insert(other);
            }
        }
    }
    let circles = levels.iter().filter_map(|(parent, uses)| Some((parent, circle(uses)?)));
    circles.map(|(parent, circle)| complaint(folder, parent, &circle)).collect()
}

fn complaint(folder: &str, parent: &str, circle: &[String]) -> String {
    let path = |name: &String| format!("{folder}/src/{parent}{name}.rs");
    format!(
        "{}: modules that use each other in a circle ({}): move what they share into a module below them",
        circle.first().map(path).unwrap_or_default(),
        circle.join(" → ")
    )
}

/// The modules that a file names in paths that begin with `crate` or `super`.
fn used_by(module: &str, file: &File, files: &BTreeMap<String, &File>) -> BTreeSet<String> {
    let lines = file.text.lines().take(file.product_lines());
    let code = lines.filter_map(|line| line.split("//").next()).collect::<Vec<_>>().join(" ");
    let parent = module.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut used = BTreeSet::new();
    for (start, base) in [("crate::", ""), ("super::", parent)] {
        for rest in code.split(start).skip(1) {
            for path in heads(rest) {
                let path = if base.is_empty() { path } else { format!("{base}/{path}") };
                used.extend(longest(&path, files).filter(|used| used != module));
            }
        }
    }
    used
}

/// The paths that begin here: one, or one per name in braces.
fn heads(rest: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
        text.trim_start().chars().take_while(|letter| is_part(*letter)).collect::<String>().replace("::", "/")
    };
    match rest.strip_prefix('{').and_then(|list| list.split_once('}')) {
        Some((list, _)) => list.split(',').map(word).collect(),
        None => vec![word(rest)],
    }
}

/// The longest prefix of a path that is a module.
fn longest(path: &str, files: &BTreeMap<String, &File>) -> Option<String> {
    let mut path = path.trim_end_matches('/');
    loop {
        if files.contains_key(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once('/')?.0;
    }
}

/// The common parent of two modules, with its `/`, and the names of its children on the way to each. `None` if one contains the other.
fn neighbours(one: &str, other: &str) -> Option<(String, String, String)> {
    let (ones, others): (Vec<&str>, Vec<&str>) = (one.split('/').collect(), other.split('/').collect());
    let shared = ones.iter().zip(&others).take_while(|(a, b)| a == b).count();
    let (a, b) = (ones.get(shared)?, others.get(shared)?);
    let parent = if shared == 0 { String::new() } else { format!("{}/", ones[..shared].join("/")) };
    Some((parent, (*a).to_owned(), (*b).to_owned()))
}

/// A circle, with its first module repeated at the end.
fn circle(uses: &Uses) -> Option<Vec<String>> {
    uses.keys().find_map(|start| {
        let mut way = vec![start.clone()];
        leads_back(uses, start, &mut way, &mut BTreeSet::new()).then_some(way)
    })
}

fn leads_back(uses: &Uses, start: &String, way: &mut Vec<String>, seen: &mut BTreeSet<String>) -> bool {
    let here = way.last().cloned().unwrap_or_default();
    for next in uses.get(&here).into_iter().flatten() {
        way.push(next.clone());
        if next == start || seen.insert(next.clone()) && leads_back(uses, start, way, seen) {
            return true;
        }
        way.pop();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(sources: &[(&str, &str)]) -> Vec<String> {
        let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        check(&Tree { sources: sources.iter().map(file).collect(), ..Tree::default() })
    }

    #[test]
    fn a_circle_is_reported_with_its_path() {
        let complaints = complaints_about(&[
            ("synth/src/a.rs", "use crate::b::B;"),
            ("synth/src/b.rs", "use crate::{c, d};"),
            ("synth/src/c.rs", "fn f() { crate::a::g() }"),
        ]);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].starts_with("synth/src/a.rs: ") && complaints[0].contains("a → b → c → a"));
        let nested = [
            ("runtime/core/src/x/a.rs", "use super::b::{self, B};"),
            ("runtime/core/src/x/b.rs", "use crate::x::a::A;"),
        ];
        assert!(complaints_about(&nested)[0].contains("x/a.rs"));
    }

    #[test]
    fn a_module_and_its_parts_count_as_one_and_tests_are_exempt() {
        let fine = [
            ("synth/src/a.rs", "use self::b::B;\n#[cfg(test)]\nmod tests { use crate::c::C; }"),
            ("synth/src/a/b.rs", "use super::A; // crate::c"),
            ("synth/src/c.rs", "use crate::a::A;"),
            ("synth/src/lib.rs", "use crate::a::A;"),
        ];
        assert_eq!(complaints_about(&fine), Vec::<String>::new());
    }
}
