//! How long files waited for their rows. Every file of a load counts as long as the oldest of them, so the truth is not worse. Pure.

use loader_core::ids::Millis;
use loader_core::tracker::item::History;

/// What a load adds: from the recording of its oldest file to its settlement, and how many files.
pub const fn of(load: &History) -> (Millis, u64) {
    (load.queue_wait_millis + load.load_millis, load.n_objects)
}

/// So many per cent of the files waited at most so long; nothing where there are none.
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
    fn files_count_and_not_loads() {
        assert_eq!(within(90, []), None);
        assert_eq!(within(90, [(500, 1)]), Some(500));
        assert_eq!(within(90, [(10, 90), (1000, 10)]), Some(10));
        assert_eq!(within(90, [(10, 89), (1000, 11)]), Some(1000));
        assert_eq!((within(50, [(9, 1), (1, 1)]), within(100, [(9, 1), (1, 1)])), (Some(1), Some(9)));
    }
}
