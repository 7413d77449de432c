//! Which files of a load are as they were notified, as shown by a listing instead of a look at each of them.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::bulk_request::Position;
use loader_core::ids::WaitingObject;
use loader_core::tracker::item::Millis;

use crate::ports::{Listed, World};

/// Bucket and key.
pub(crate) type Place = (String, String);

/// Number of unchanged objects that a page of a listing must show to be worth it. A request for a page costs as much as 12.5 looks
/// (<https://aws.amazon.com/s3/pricing/>).
const LISTED_MIN: usize = 13;

/// The places of those files that a listing shows with the version and size of their notification. This only saves looks: a file that is
/// not shown, or shown otherwise, is looked at, and so are all if the listing fails. A page is read only while the one before it was worth
/// it, because other files may lie between these.
pub(crate) async fn unchanged<'a, W: World>(
    world: &W,
    files: impl Iterator<Item = &'a WaitingObject>,
    until: Millis,
) -> BTreeSet<Place> {
    let mut by_place: BTreeMap<Place, &WaitingObject> = files.map(|file| (place(file), file)).collect();
    let mut unchanged = BTreeSet::new();
    let ends = by_place.keys().next().zip(by_place.keys().next_back());
    let Some(((bucket, first), (_, last))) = ends else { return unchanged };
    let (bucket, prefix) = (bucket.clone(), common_prefix(first, last).to_owned());
    let mut after = Some(Position { key: just_before(first), version_id: None, line: None });
    while let Some(position) = after.filter(|_| by_place.len() >= LISTED_MIN && world.now() < until) {
        let Ok(page) = world.list(&bucket, &prefix, Some(position)).await else { break };
        let n_before = by_place.len();
        for Listed { waiting, .. } in page.objects {
            let place = place(&waiting);
            if by_place.get(&place) == Some(&&waiting) {
                by_place.remove(&place);
                unchanged.insert(place);
            }
        }
        let n_shown = n_before - by_place.len();
        after = page.next.filter(|_| n_shown >= LISTED_MIN);
    }
    unchanged
}

pub(crate) fn place(waiting: &WaitingObject) -> Place {
    (waiting.object.bucket.clone(), waiting.object.key.clone())
}

/// The characters with which both keys begin.
fn common_prefix<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    &one[..same.map(|(character, _)| character.len_utf8()).sum()]
}

/// A text that sorts before this key, with hardly a key in between: a listing begins after a key. The key itself if there is no such text;
/// then this file is looked at.
fn just_before(key: &str) -> String {
    let mut before = key.to_owned();
    match before.pop().and_then(|last| char::from_u32(u32::from(last).checked_sub(1)?)) {
        Some(previous) => format!("{before}{previous}~"),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{common_prefix, just_before};

    #[test]
    fn a_listing_that_begins_just_before_a_key_shows_it() {
        for (key, before) in [
            ("in/1", "in/0~"),
            ("in/", "in.~"),
            ("in/\u{80}", "in/\u{7f}~"),
            ("in/\u{e4}", "in/\u{e3}~"),
            ("in/ ", "in/\u{1f}~"),
        ] {
            assert_eq!(just_before(key), before);
            assert!(before < key);
        }
        for without in ["", "\0", "in/\0", "in/\u{e000}"] {
            assert_eq!(just_before(without), without);
        }
    }

    #[test]
    fn a_common_prefix_ends_before_the_first_difference() {
        for (one, other, prefix) in [
            ("in/a.csv", "in/b.csv", "in/"),
            ("in/a", "in/a/b", "in/a"),
            ("in/a/b", "in/a", "in/a"),
            ("in/\u{e4}1", "in/\u{e4}2", "in/\u{e4}"),
            ("in/\u{e4}", "in/\u{e5}", "in/"),
            ("a", "b", ""),
            ("in/a\u{e4}1", "in/b", "in/"),
        ] {
            assert_eq!(common_prefix(one, other), prefix);
        }
    }
}
