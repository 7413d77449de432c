//! Rooms of xtask must not use each other. All rooms may use `loader` and `ground`, and `loader` may use `ground`.

use super::tree::{File, Tree};

const XTASK: &str = "xtask/src/";

/// Complains about every mention of a room in another one.
pub fn check(tree: &Tree) -> Vec<String> {
    tree.sources.iter().flat_map(complaints).collect()
}

fn complaints(file: &File) -> Vec<String> {
    let Some(room) = file.path.strip_prefix(XTASK).and_then(|path| path.split(['/', '.']).next()) else {
        return Vec::new();
    };
    let lines = file.text.lines().take(file.product_lines()).enumerate();
    let code = lines.filter(|(_, line)| room != "main" && !line.trim_start().starts_with("//"));
    let mentions = code.flat_map(|(at, line)| mentioned(line).map(move |other| (at + 1, other)));
    let wrong = mentions.filter(|(_, other)| !may_use(room, other));
    let remedy = "move what both need to `loader` or `ground`";
    wrong
        .map(|(line, other)| format!("{}:{line}: the room `{room}` uses the room `{other}`: {remedy}", file.path))
        .collect()
}

fn mentioned(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_' || letter == '{';
    line.split("crate::").skip(1).filter_map(move |rest| rest.split(|letter| !is_name(letter)).next())
}

fn may_use(room: &str, other: &str) -> bool {
    other.is_empty() || room == other || other == "ground" || other == "loader" && room != "ground"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(path: &str, line: &str) -> usize {
        complaints(&File { path: path.into(), text: line.into() }).len()
    }

    #[test]
    fn a_room_that_uses_another_is_reported() {
        assert_eq!(complaints_about("xtask/src/queue/add.rs", "use crate::ground::output::Out;"), 0);
        assert_eq!(complaints_about("xtask/src/queue/add.rs", "use crate::queue::list;"), 0);
        assert_eq!(complaints_about("xtask/src/queue/add.rs", "use crate::deploy::diff;"), 1);
        assert_eq!(complaints_about("xtask/src/queue/add.rs", "use crate::{deploy, ground};"), 1);
        assert_eq!(complaints_about("xtask/src/loader/logs.rs", "use crate::ground::stack;"), 0);
        assert_eq!(complaints_about("xtask/src/ground/stack.rs", "use crate::loader::logs;"), 1);
    }
}
