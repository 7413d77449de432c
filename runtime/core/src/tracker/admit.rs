//! Whether a warehouse has room for another load.
//!
//! Nothing is stored for this: the index of tables with work shows how many loads are running and which table has waited longest. The index
//! lags slightly, so the limit can be exceeded briefly.

use std::collections::BTreeMap;

use super::view::Work;
use crate::ids::DbTable;

/// Whether a load of this table may start beside those of its warehouse's other tables. If it is this table's `turn`, any room is enough.
/// Otherwise it leaves room for the tables that have waited longer, even though some of them may not be able to start; the sweep gives each
/// table its turn, the longest wait first.
pub fn has_room(table: &DbTable, work: &BTreeMap<DbTable, Work>, loads_max: u32, turn: bool) -> bool {
    let since = work.get(table).and_then(|work| work.since_millis);
    let (mut running, mut before) = (0, 0);
    for (other, work) in work.iter().filter(|(other, _)| *other != table && other.warehouse() == table.warehouse()) {
        running += u32::from(work.held);
        // Ties are broken by the table's key.
        let longer = (work.since_millis, other) < (since, table) && work.since_millis.is_some();
        before += u32::from(!turn && !work.held && (since.is_none() || longer));
    }
    running + before < loads_max
}

/// The waiting tables of this warehouse that have no running load, the longest wait first.
pub fn in_turn(warehouse: &str, work: &BTreeMap<DbTable, Work>) -> Vec<DbTable> {
    let mut waiting: Vec<_> =
        work.iter().filter(|(table, work)| !work.held && table.warehouse() == warehouse).collect();
    waiting.sort_by_key(|(table, work)| (work.since_millis, *table));
    waiting.into_iter().map(|(table, _)| table.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(tables: &[(&str, bool, i64)]) -> BTreeMap<DbTable, Work> {
        let entry = |(name, held, since): &(&str, bool, i64)| {
            (DbTable((*name).to_owned()), Work { held: *held, since_millis: Some(*since), lists: false })
        };
        tables.iter().map(entry).collect()
    }

    fn table(name: &str) -> DbTable {
        DbTable(name.to_owned())
    }

    #[test]
    fn the_warehouse_runs_as_many_loads_as_allowed() {
        let two = work(&[("workgroup:w:d:a", true, 1), ("workgroup:w:d:b", false, 2), ("workgroup:v:d:c", true, 1)]);
        assert!(has_room(&table("workgroup:w:d:b"), &two, 2, false), "the other warehouse does not count");
        assert!(!has_room(&table("workgroup:w:d:b"), &two, 1, true));
    }

    #[test]
    fn the_table_that_has_waited_longest_is_first() {
        let work = work(&[("workgroup:w:d:a", false, 5), ("workgroup:w:d:b", false, 5), ("workgroup:w:d:c", false, 1)]);
        let may = |name: &str| has_room(&table(name), &work, 1, false);
        assert_eq!((may("workgroup:w:d:a"), may("workgroup:w:d:b"), may("workgroup:w:d:c")), (false, false, true));
        let order: Vec<String> = in_turn("workgroup:w", &work).into_iter().map(|table| table.0).collect();
        assert_eq!(order, ["workgroup:w:d:c", "workgroup:w:d:a", "workgroup:w:d:b"]);
    }

    #[test]
    fn a_table_that_the_index_does_not_know_yet_leaves_room_for_those_that_it_knows() {
        let work = work(&[("workgroup:w:d:a", false, 5)]);
        assert!(!has_room(&table("workgroup:w:d:new"), &work, 1, false));
        assert!(has_room(&table("workgroup:w:d:new"), &work, 1, true));
    }
}
