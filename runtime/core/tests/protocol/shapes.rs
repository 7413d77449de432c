//! Files of several shapes: a load takes the files of one shape, the others wait, and cached columns are read again.

use loader_core::fit::{AddedColumn, Fit};
use loader_core::ident::Ident;
use loader_core::limits::TRANSACTION_ACTIONS_MAX;
use loader_core::sql::columns::TargetColumns;
use loader_core::tracker::change::Note;
use loader_core::tracker::item::Item;
use loader_core::tracker::prepare::ObjectState;
use loader_core::tracker::slot::KnownColumns;

use crate::table::{Table, found, keys, object};

fn fit(columns: &[&str], added: &[&str]) -> Fit {
    let column = |name: &&str| AddedColumn { name: Ident::exact(*name), kind: "BIGINT".into() };
    Fit { columns: columns.iter().map(|name| Ident::exact(*name)).collect(), added: added.iter().map(column).collect() }
}

fn older() -> Fit {
    fit(&["id"], &[])
}

fn newer() -> Fit {
    fit(&["id", "more"], &["more"])
}

/// A table into which these files fit like this, in their first version.
fn table_with(fits: &[(&str, Fit)]) -> Table {
    let fits = fits.iter().map(|(key, fit)| (object(key, "1").object.id(), fit.clone())).collect();
    let known = KnownColumns { columns: TargetColumns::Named(vec![Ident::exact("id")]), asked_millis: 5 };
    Table { fits, columns: Some(known), ..Table::new() }
}

/// Files of the pending loads that no load has taken, ordered by name.
fn left(table: &Table) -> Vec<String> {
    let own = keys(&table.own());
    table.waiting_keys().into_iter().filter(|key| !own.contains(key)).collect()
}

#[test]
fn one_load_takes_the_files_of_the_first_shape_and_the_others_wait() {
    let mut table = table_with(&[("a", older()), ("b", newer()), ("c", older()), ("d", newer())]);
    table.record(&["a", "b", "c"]);
    table.now += 1;
    table.record(&["d"]);
    let (_, pendings) = table.begin();
    let n_objects = pendings.iter().map(|pending| pending.objects.len()).sum();
    let (change, manifest) = table.plan(vec![found("1"); n_objects]);
    assert!(matches!(change.note, Note::Prepared { n_objects: 2, n_later: 2, .. }), "{:?}", change.note);
    table.done(&change);
    assert!(!manifest.unwrap().contains("s3://b/b"));
    assert_eq!((keys(&table.own()), left(&table)), (vec!["a".into(), "c".into()], vec!["b".into(), "d".into()]));
    assert_eq!(table.prepared().fit, older());
    table.submit();
    table.finish_alone();
    table.now += 1;
    let note = table.prepare(vec![found("1"); 2]);
    assert!(matches!(note, Note::Prepared { n_objects: 2, n_later: 0, .. }), "{note:?}");
    assert_eq!(table.prepared().fit, newer());
}

#[test]
fn what_waits_for_another_shape_waits_as_the_version_that_exists_now() {
    let mut table = table_with(&[("a", older())]);
    table.fits.insert(object("b", "3").object.id(), newer());
    table.record_objects(vec![object("a", "1"), object("b", "1"), object("b", "2")]);
    table.begin();
    let (change, _) = table.plan(vec![found("1"), found("3"), found("3")]);
    table.done(&change);
    let pendings = table.items.values().filter_map(|item| if let Item::Pending(it) = item { Some(it) } else { None });
    let waiting: Vec<_> = pendings.flat_map(|pending| &pending.objects).map(|waiting| &waiting.object).collect();
    assert_eq!(waiting, [&object("a", "1").object, &object("b", "3").object]);
}

#[test]
fn the_columns_are_read_again_after_a_load_has_added_some() {
    let mut table = table_with(&[("a", newer())]);
    table.record(&["a"]);
    table.prepare(vec![found("1")]);
    assert!(table.slot().columns.is_some(), "they make the SQL of this attempt");
    table.submit();
    assert!(table.slot().columns.is_some());
    table.finish_alone();
    assert_eq!(table.slot().columns, None);
    let added =
        table.items.values().find_map(|item| if let Item::Loaded(it) = item { Some(it.added.clone()) } else { None });
    assert_eq!(added, Some(newer().added), "the history has them");
}

#[test]
fn a_load_that_adds_nothing_keeps_them() {
    let mut table = table_with(&[("a", older())]);
    table.record(&["a"]);
    table.prepare(vec![found("1")]);
    table.submit();
    table.finish_alone();
    assert!(table.slot().columns.is_some());
}

#[test]
fn a_file_that_waits_for_another_load_is_neither_lost_nor_loaded_twice() {
    let mut table = table_with(&[("a", older()), ("b", newer())]);
    table.record(&["b", "a", "a"]);
    table.now += 1;
    table.record(&["b"]);
    let mut loaded = Vec::new();
    while !table.backlog().is_empty() {
        table.now += 1;
        let (_, pendings) = table.begin();
        let n_objects = pendings.iter().map(|pending| pending.objects.len()).sum();
        let (change, _) = table.plan(vec![found("1"); n_objects]);
        table.done(&change);
        if table.slot().load.is_some() {
            loaded.extend(keys(&table.own()));
            table.submit();
            table.finish_alone();
        }
    }
    loaded.sort();
    assert_eq!(loaded, ["a", "b"]);
}

/// Each parted pending load takes one more write.
#[test]
fn many_pending_loads_of_two_shapes_fit_a_transaction() {
    let names: Vec<String> = (0..160).map(|number| format!("{number:03}")).collect();
    let shapes: Vec<(&str, Fit)> = names
        .iter()
        .enumerate()
        .map(|(number, name)| (name.as_str(), if number % 2 == 0 { older() } else { newer() }))
        .collect();
    let mut table = table_with(&shapes);
    for pair in names.chunks(2) {
        table.record(&pair.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let (mut n_loaded, mut n_loads) = (0, 0);
    while !table.backlog().is_empty() {
        table.now += 1;
        let (_, pendings) = table.begin();
        let n_objects = pendings.iter().map(|pending| pending.objects.len()).sum();
        let (change, _) = table.plan(vec![found("1"); n_objects]);
        assert!(change.transaction.actions.len() <= TRANSACTION_ACTIONS_MAX);
        assert!(matches!(change.note, Note::Prepared { .. }), "{:?}", change.note);
        table.done(&change);
        table.submit();
        n_loaded += keys(&table.own()).len();
        n_loads += 1;
        table.finish_alone();
    }
    assert_eq!(n_loaded, 160);
    assert!(n_loads <= 14, "{n_loads} loads");
}

#[test]
fn deleted_and_unread_objects_are_handled_separately() {
    let mut table = table_with(&[("a", older()), ("b", newer()), ("c", older())]);
    table.record(&["a", "b", "c", "d"]);
    let note = table.prepare(vec![found("1"), found("1"), ObjectState::Missing, found("1")]);
    assert!(matches!(note, Note::Prepared { n_objects: 1, n_deleted: 1, n_later: 2, .. }), "{note:?}");
    assert_eq!(left(&table), ["b", "d"], "nothing is known of `d`: it goes by position");
}
