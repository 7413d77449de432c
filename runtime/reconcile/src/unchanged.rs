//! Which files of a load are as they were notified, as shown by a listing instead of a look at each of them.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::bulk_request::Position;
use loader_core::ids::WaitingObject;
use loader_core::tracker::item::Millis;

use crate::ports::World;

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
    let (prefix, last) = (common_prefix(&first, last).to_owned(), last.clone());
    // A listing begins after a key, so the first file is looked at.
    let mut after = Some(Position { key: first, version_id: None, line: None });
    while by_place.len() >= LISTED_MIN && world.now() < until {
        let Ok(page) = world.list(&bucket, &prefix, after).await else { break };
        let listed = page.objects.into_iter().map(|listed| (place(&listed.waiting), listed.waiting));
        let same = listed.filter(|(place, found)| by_place.get(place).is_some_and(|file| *file == found));
        let same: Vec<Place> = same.map(|(place, _)| place).collect();
        for place in &same {
            by_place.remove(place);
        }
        let is_worth_it = same.len() >= LISTED_MIN;
        unchanged.extend(same);
        after = page.next.filter(|next| is_worth_it && next.key < last);
        if after.is_none() {
            break;
        }
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
