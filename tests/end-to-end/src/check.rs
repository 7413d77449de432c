//! Comparing rows, with a difference that a person can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::files::Row;

/// Rows of a difference that are shown.
const SHOWN_MAX: usize = 10;

/// Whether two multisets of rows are equal; if not, what is missing and what is too much.
pub fn assert_same_rows(found: &[Row], expected: &[Row]) -> Result<(), String> {
    let mut counts: BTreeMap<&Row, i64> = BTreeMap::new();
    for row in expected {
        *counts.entry(row).or_default() += 1;
    }
    for row in found {
        *counts.entry(row).or_default() -= 1;
    }
    counts.retain(|_, count| *count != 0);
    if counts.is_empty() {
        return Ok(());
    }
    let mut text = format!("{} rows in the warehouse, {} expected", found.len(), expected.len());
    for (row, count) in counts.iter().take(SHOWN_MAX) {
        let shown: Vec<&str> = row.iter().map(|field| field.as_deref().unwrap_or("NULL")).collect();
        let what = if *count > 0 { "missing" } else { "too much" };
        let _ = write!(text, "\n  {what} {} times: {}", count.abs(), shown.join(" | "));
    }
    if counts.len() > SHOWN_MAX {
        let _ = write!(text, "\n  and {} more", counts.len() - SHOWN_MAX);
    }
    Err(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::row;

    #[test]
    fn a_row_too_much_is_a_difference() {
        let (a, b) = (row(1, "t", "a"), row(2, "t", "b"));
        assert_eq!(assert_same_rows(&[a.clone(), b.clone()], &[b.clone(), a.clone()]), Ok(()));
        let difference = assert_same_rows(&[a.clone(), a.clone()], &[a, b]).unwrap_err();
        assert!(difference.contains("missing 1 times: 2 | t | b"), "{difference}");
        assert!(difference.contains("too much 1 times: 1 | t | a"), "{difference}");
    }
}
