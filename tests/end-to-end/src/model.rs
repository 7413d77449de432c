//! What must be in a table, computed from the rows of all files at once, without SQL and without the loader.
//!
//! The rule is the documented one: per merge key the row with the newest timestamp; among equal timestamps the greatest row,
//! column by column; NULL is the least, and equals NULL in a key.

use std::collections::BTreeMap;

use crate::files::Row;

/// The rows that remain of all rows ever dropped: one per key.
pub fn newest(rows: &[Row], key: &[usize], timestamp: usize) -> Vec<Row> {
    winners(rows, key, timestamp)
}

/// The rows that remain of all rows ever dropped: one per key and timestamp.
pub fn every_version(rows: &[Row], key: &[usize], timestamp: usize) -> Vec<Row> {
    let identity: Vec<usize> = key.iter().copied().chain([timestamp]).collect();
    winners(rows, &identity, timestamp)
}

fn winners(rows: &[Row], identity: &[usize], timestamp: usize) -> Vec<Row> {
    let mut best: BTreeMap<Row, &Row> = BTreeMap::new();
    for row in rows {
        let key: Row = identity.iter().map(|column| row[*column].clone()).collect();
        let rank = |row: &Row| (row[timestamp].clone(), row.clone());
        match best.get(&key) {
            Some(other) if rank(other) >= rank(row) => {}
            _ => {
                best.insert(key, row);
            }
        }
    }
    best.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::row;

    #[test]
    fn the_newest_row_of_a_key_remains() {
        let rows = [row(1, "2026-01-02", "new"), row(1, "2026-01-01", "old"), row(2, "2026-01-01", "b")];
        assert_eq!(newest(&rows, &[0], 1), [rows[0].clone(), rows[2].clone()]);
        assert_eq!(every_version(&rows, &[0], 1).len(), 3);
    }

    #[test]
    fn null_is_one_key_and_the_oldest_time() {
        let rows = [vec![None, None, Some("x".into())], vec![None, Some("2026-01-01".into()), Some("a".into())]];
        assert_eq!(newest(&rows, &[0], 1), [rows[1].clone()]);
    }
}
