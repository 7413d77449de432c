//! How long files waited for their rows. Every file of a load counts as long as its oldest one, so the true times are no worse. Pure.

use loader_core::ids::Millis;
use loader_core::tracker::item::History;

/// The contribution of a load: the time from the creation of its oldest file to its settlement, and its number of files.
pub const fn of(load: &History) -> (Millis, u64) {
    (load.arrival_millis + load.queue_wait_millis + load.load_millis, load.n_objects)
}

/// The time within which this percentage of the files was loaded; `None` if there are none.
pub fn within(per_cent: u64, loads: impl IntoIterator<Item = (Millis, u64)>) -> Option<Millis> {
    let mut waits: Vec<(Millis, u64)> = loads.into_iter().collect();
    waits.sort_unstable();
    let wanted = (waits.iter().map(|(_, n)| n).sum::<u64>() * per_cent).div_ceil(100);
    let mut seen = 0;
    waits.into_iter().find_map(|(wait, n)| {
        seen += n;
        (seen >= wanted).then_some(wait)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_not_loads() {
        assert_eq!(within(90, []), None);
        assert_eq!(within(90, [(500, 1)]), Some(500));
        assert_eq!(within(90, [(10, 90), (1000, 10)]), Some(10));
        assert_eq!(within(90, [(10, 89), (1000, 11)]), Some(1000));
        assert_eq!((within(50, [(9, 1), (1, 1)]), within(100, [(9, 1), (1, 1)])), (Some(1), Some(9)));
    }
}
