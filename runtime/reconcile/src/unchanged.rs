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
    let Some(((bucket, first), _)) = by_place.pop_first() else { return unchanged };
    let Some(((_, last), _)) = by_place.last_key_value() else { return unchanged };
    let prefix = common_prefix(&first, last).to_owned();
    // A listing begins after a key, so the first file is looked at.
    let mut after = Some(Position { key: first, version_id: None, line: None });
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

#[cfg(test)]
mod tests {
    use super::common_prefix;

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
