//! Files that arrive: one, many, during a load, again and again.

use end_to_end::Spec;
use end_to_end::files::rows;
use end_to_end::tracker::Tracked;

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    let names = ["one_file", "many_a", "many_b", "many_c", "coalesce", "ten_times"];
    names.iter().map(|name| Spec::append(name)).collect()
}

#[test]
fn one_file_becomes_rows() {
    SUITE.run(async |world| {
        let table = world.table("one_file");
        table.create().await;
        table.put_csv("a.csv", &rows(1, 100, "a")).await;
        let items = table.until_loaded(1).await;
        assert_eq!(items.loaded().len(), 1);
        table.assert_rows(&rows(1, 100, "a")).await;
    });
}
