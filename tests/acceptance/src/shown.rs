//! Compares a command's output with what a page shows.
//!
//! A line `…` matches any number of lines, and `…` in a line any text. Values that differ between runs only need the same kind: times, durations,
//! ports, load ids, sizes of written files. Widths of columns are ignored.

/// Whether all lines match.
pub fn agree(shown: &[String], printed: &str) -> bool {
    let plain = |line: &str| plain(line.trim());
    let shown: Vec<String> = shown.iter().map(|line| plain(line)).collect();
    let printed: Vec<String> = printed.lines().map(plain).filter(|line| !line.is_empty()).collect();
    lines_agree(&shown, &printed)
}

fn lines_agree(shown: &[String], printed: &[String]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, _) => printed.is_empty(),
        (Some((first, rest)), _) if first == "…" => (0..=printed.len()).any(|n| lines_agree(rest, &printed[n..])),
        (Some((first, rest)), Some((line, others))) => is_like(line, first) && lines_agree(rest, others),
        (Some(_), None) => false,
    }
}

/// Whether a line matches a pattern in which `…` is any text.
fn is_like(line: &str, shown: &str) -> bool {
    let Some((start, rest)) = shown.split_once('…') else { return line == shown };
    let Some(mut line) = line.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = line.split_once(part) else { return false };
        line = after;
    }
    line.ends_with(end)
}

/// A line with single spaces, in which values that differ between runs are replaced by their kind.
fn plain(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut plain: Vec<String> = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| words[before]);
        let after = words.get(place + 1).copied();
        plain.push(kind(before, word, after).map_or_else(|| (*word).to_owned(), |kind| replaced(word, kind)));
    }
    // A longer duration can have another unit.
    plain.join(" ").replace("DURATION ms", "DURATION s").replace("DURATION min", "DURATION s")
}

/// The kind of a word, if its value differs between runs.
fn kind(before: Option<&str>, word: &str, after: Option<&str>) -> Option<&'static str> {
    let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let unit = after.map(|after| after.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric()));
    let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let has = |pattern: &str| {
        let of_kind = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
        bare.len() == pattern.len() && bare.bytes().zip(pattern.bytes()).all(of_kind)
    };
    match () {
        () if bare.len() == 32 && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) && before != Some("(eTag") => {
            Some("LOAD")
        }
        () if has("0000-00-00") && after.is_some_and(|after| after.contains(':')) => Some("DATE"),
        () if has("00:00:00") => Some("TIME"),
        () if is_number && before == Some("-p") => Some("PORT"),
        () if is_number && matches!(unit, Some("ms" | "s" | "min")) => Some("DURATION"),
        () if is_number && bare.contains('.') && matches!(unit, Some("KB" | "MB")) => Some("SIZE"),
        () => None,
    }
}

fn replaced(word: &str, kind: &str) -> String {
    let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    word.replace(bare, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(shown: &str, printed: &str) -> bool {
        agree(&shown.lines().map(ToOwned::to_owned).collect::<Vec<_>>(), printed)
    }

    #[test]
    fn values_that_differ_between_runs_only_need_the_same_kind() {
        assert!(agrees("2026-11-25 11:37:35  load 1: took 0.4 s; x", "2027-01-02 00:00:09 load 1: took 1 min; x\n"));
        assert!(agrees("psql -p 45413 -U loader", "psql -p 5 -U loader"));
        assert!(agrees("report.html (12.2 KB): open it", "report.html (11.9 KB): open it"));
        let id = "553de807377bcb451c152a2392878bbb";
        assert!(agrees(&format!("load 1 ({id}): x"), &format!("load 1 ({}): x", id.replace('5', "6"))));
        assert!(!agrees(&format!("(eTag {id}) x"), &format!("(eTag {}) x", id.replace('5', "6"))));
        assert!(!agrees("4 | 2026-01-31 | 1.20", "4 | 2026-01-30 | 1.20"));
        assert!(!agrees("took 0.4 s", "took 3"));
        assert!(!agrees("1 files, 36 B", "2 files, 36 B"));
        assert!(!agrees("1 files, 36 B", "1 files, 37 B"));
    }

    #[test]
    fn an_ellipsis_matches_any_lines_or_any_text_in_a_line() {
        assert!(agrees("…\nend", "one\ntwo\nend") && agrees("…\nend", "end") && agrees("…", ""));
        assert!(!agrees("…\nend", "one\ntwo") && !agrees("one", "one\ntwo") && !agrees("one\ntwo", "one"));
        assert!(agrees("a … c", "a b c") && agrees("a …, …", "a b, c") && !agrees("a … c", "a b d"));
        assert!(!agrees("a … c", "a\nc"));
    }
}
