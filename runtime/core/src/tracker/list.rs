//! The writes of a listing: its next version, or its end.

use super::condition::Condition;
use super::item::Item;
use super::listing::Listing;
use super::write::{Transaction, WriteAction};
use crate::ids::DbTable;

/// Stores `next` as the version after `before`, on condition that nobody has written the listing since. Returns what is then stored.
pub fn store(table: &DbTable, before: &Listing, next: Listing) -> (Listing, Transaction) {
    let next = Listing { version: before.version + 1, ..next };
    let action = WriteAction::put(Item::Listing(next.clone()), Condition::Version(before.version));
    (next, Transaction::new(table.clone(), vec![action]))
}

/// Removes the listing once the whole folder is recorded, on condition that nobody has written it since.
pub fn end(table: &DbTable, listing: &Listing) -> Transaction {
    let gone = WriteAction::Delete(listing.key.clone(), Condition::Version(listing.version));
    Transaction::new(table.clone(), vec![gone])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk_request::Position;
    use crate::tracker::listing::Counts;
    use crate::tracker::write::{Items, Written, apply};

    fn position(key: &str) -> Position {
        Position { key: key.to_owned(), version_id: None, line: None }
    }

    #[test]
    fn of_two_writers_that_continue_from_the_same_position_one_is_refused() {
        let table = DbTable("cluster:c:d:public.t".to_owned());
        let mut items = Items::new();
        let begun = |holder| Listing::begin(&table, "{}", position("a"), Counts::default(), (holder, 5));
        let (stored, first) = store(&table, &begun("one"), begun("one"));
        assert_eq!(apply(&mut items, &first), Written::Done);
        let (_, again) = store(&table, &begun("two"), begun("two"));
        assert_eq!(apply(&mut items, &again), Written::Refused(vec![0]), "the same request, once more");
        let (_, on) = store(&table, &stored, Listing { position: position("b"), ..stored.clone() });
        let (_, late) = store(&table, &stored, Listing { position: position("c"), ..stored.clone() });
        assert_eq!(apply(&mut items, &on), Written::Done);
        assert_eq!(apply(&mut items, &late), Written::Refused(vec![0]));
        assert_eq!(apply(&mut items, &end(&table, &stored)), Written::Refused(vec![0]), "nor ended");
    }

    #[test]
    fn a_listing_is_left_to_its_writer_for_a_while() {
        let table = DbTable("cluster:c:d:public.t".to_owned());
        let listing = Listing::begin(&table, "{}", position("a"), Counts::default(), ("one", 100));
        assert!(!listing.is_free(159, 60) && listing.is_free(160, 60));
        assert!(Listing { touched_millis: 0, ..listing.clone() }.is_free(101, 60), "left to others");
        assert!(!Listing { given_up: Some(1), ..listing }.is_free(1000, 60));
    }
}
