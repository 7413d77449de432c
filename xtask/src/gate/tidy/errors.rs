//! `docs/errors.md` must explain exactly the codes in the log: every event and every failure class.

use std::collections::BTreeSet;

use loader_core::outcome::FailureClass;

use super::tree::Tree;

const PAGE: &str = "docs/errors.md";
/// The file that names the events.
const LOG: &str = "runtime/aws/src/log.rs";
const LEVELS: [&str; 3] = ["INFO", "WARN", "ERROR"];

/// Complains about every code that is only on the page or only in the source.
pub fn check(tree: &Tree) -> Vec<String> {
    let text = |path: &str, files: &[super::tree::File]| files.iter().find(|file| file.path == path).cloned();
    let (Some(page), Some(log)) = (text(PAGE, &tree.documents), text(LOG, &tree.sources)) else {
        return vec![format!("{PAGE} or {LOG}: not found: the page explains the codes of the log")];
    };
    let product = log.text.lines().take(log.product_lines()).collect::<Vec<_>>().join("\n");
    let classes = FailureClass::ALL.iter().map(|class| class.name().to_owned());
    let source: BTreeSet<String> = events(&product).into_iter().chain(classes).collect();
    let explained = explained(&page.text);
    let missing = source.difference(&explained).map(|code| format!("{PAGE}: `{code}` is not explained: add its row"));
    let gone = explained.difference(&source).map(|code| format!("{PAGE}: `{code}` is in no log: remove its row"));
    missing.chain(gone).collect()
}

/// The texts that precede a log level.
fn events(source: &str) -> Vec<String> {
    let parts: Vec<&str> = source.split('"').collect();
    let quoted = (1..parts.len()).step_by(2);
    let is_event = |at: &usize| {
        let level = parts.get(at + 2).is_some_and(|next| LEVELS.contains(next));
        level && parts[at + 1].starts_with(',')
    };
    quoted.filter(is_event).map(|at| parts[at].to_owned()).collect()
}

/// The codes in the first column of every table whose title is *code*. Other texts in backticks are not codes.
fn explained(page: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let mut is_table = false;
    for line in page.lines() {
        let first = line.strip_prefix('|').and_then(|rest| rest.split('|').next()).map(str::trim);
        match first {
            None => is_table = false,
            Some("code") => is_table = true,
            Some(cell) if is_table => {
                let quoted = cell.split('`').skip(1).step_by(2);
                codes.extend(quoted.filter(|text| text.chars().all(is_of_code)).map(ToOwned::to_owned));
            }
            Some(_) => {}
        }
    }
    codes
}

fn is_of_code(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    #[test]
    fn a_code_missing_on_either_side_is_reported() {
        let classes = FailureClass::ALL.map(|class| format!("| `{}` | x |\n", class.name())).concat();
        let of = |page: &str| {
            let log = "match x { A => (\"taken\", \"INFO\", json!({\"a\": b})), B => (\n\"refused\",\nif c { \"WARN\" } else { \"ERROR\" }, d) }";
            let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
            let page = format!("| code | meaning |\n| --- | --- |\n{classes}{page}");
            check(&Tree { documents: vec![file(PAGE, &page)], sources: vec![file(LOG, log)], ..Tree::default() })
        };
        assert_eq!(
            of("| `taken`, `refused` … `why: …`, `WARN` | x |\n\n| sign | meaning |\n| `else` | x |\n"),
            Vec::<String>::new()
        );
        assert_eq!(of("| `taken` | x |"), ["docs/errors.md: `refused` is not explained: add its row"]);
        assert_eq!(of("| `taken`, `refused`, `gone` | x |"), ["docs/errors.md: `gone` is in no log: remove its row"]);
    }
}
