//! Checks the invariants: at any time, and at the end, when the content of the warehouse is compared with the files.

use std::collections::{BTreeMap, BTreeSet};

use loader_core::ids::{DbTable, ObjectVersion};
use loader_core::outcome::FailureClass;
use loader_core::tracker::invariant;
use loader_core::tracker::item::{Item, Quarantined};

use super::stage::{Happening, Stage, Wake, Written};
use super::tables::is_growing;
use crate::exhaustive::properties::{false_entries, forgotten_by_ledger};
use crate::fixture::COLUMNS;
use crate::warehouse::Phase;

/// Whether nothing waits or runs, and no bulk request is running or will be repeated.
pub fn is_drained(stage: &Stage) -> bool {
    let comes_again = |wake: &Wake| matches!(wake, Wake::World(Happening::Bulk(_)));
    let asked = stage.requests.is_empty() && !stage.timers.values().any(comes_again);
    asked
        && !stage.items.values().flat_map(|items| items.values()).any(Item::is_work)
        && stage.warehouse.statements.iter().all(|statement| statement.phase != Phase::Running)
}

/// Number of loads in the tracker's history.
pub fn loads(stage: &Stage) -> usize {
    stage.items.values().flat_map(|items| items.values()).filter(|item| matches!(item, Item::Loaded(_))).count()
}

/// Number of object versions in quarantine.
pub fn quarantined(stage: &Stage) -> usize {
    quarantine(stage).len()
}

fn quarantine(stage: &Stage) -> BTreeMap<(DbTable, ObjectVersion), &Quarantined> {
    let mut all = BTreeMap::new();
    for (table, items) in &stage.items {
        for item in items.values() {
            if let Item::Failed(quarantined) = item {
                for waiting in &quarantined.objects {
                    all.insert((table.clone(), waiting.object.clone()), quarantined);
                }
            }
        }
    }
    all
}

/// Checks invariants 1, 2 and 6.
pub fn at_any_time(stage: &mut Stage) {
    let mut found: Vec<String> = Vec::new();
    for (table, items) in &stage.items {
        let broken = invariant::violations(items).into_iter();
        found.extend(broken.map(|violation| format!("6 items of {table}: {violation}")));
        let forgotten = forgotten_by_ledger(table, items, &stage.warehouse);
        found.extend(forgotten.into_iter().map(|violation| format!("2 at most once: {violation}")));
        let false_entries = false_entries(table, items, &stage.warehouse, &stage.sent_back);
        found.extend(
            false_entries.into_iter().map(|entry| format!("2 the ledger of {table} states what is not so: {entry}")),
        );
    }
    if stage.warehouse.differing_repeat {
        found.push("2 a client token came again with other SQL".to_owned());
    }
    let twice = stage.warehouse.committed.iter().filter(|(_, times)| **times > 1);
    found.extend(twice.map(|((_, object), times)| format!("2 at most once: {object} is committed {times} times")));
    let accounted = accounted(stage);
    let acknowledged =
        stage.queues.letters.iter().filter(|letter| letter.acknowledged).flat_map(|letter| &letter.about);
    for position in acknowledged {
        if !is_accounted(stage, &accounted, *position) {
            let written = &stage.written[*position];
            found.push(format!("1 nothing lost: {} is nowhere", written.blob.version(&written.key)));
        }
    }
    if stage.warehouse.misplaced {
        found.push("7 values went into columns of other names".to_owned());
    }
    stage.violations.extend(found);
}

/// What is wrong with the columns that a table got for its files: each is there once, because rows that have it were committed.
fn grown(stage: &Stage, number: usize, table: &DbTable) -> Option<String> {
    let is_committed = |written: &&Written| stage.warehouse.times(table, &written.blob.version(&written.key)) > 0;
    let of_table = stage.written.iter().filter(|written| written.table == number).filter(is_committed);
    let names: BTreeSet<&str> = of_table.flat_map(|written| written.blob.names.iter().copied()).collect();
    let own = stage.warehouse.own.get(table).map(Vec::as_slice).unwrap_or_default();
    let mut expected: Vec<&str> = names.into_iter().filter(|name| !COLUMNS.contains(name)).collect();
    let mut found: Vec<&str> = own.iter().map(String::as_str).collect();
    expected.sort_unstable();
    found.sort_unstable();
    (found != expected).then(|| format!("7 {table} has the columns {found:?}, its rows {expected:?}"))
}

/// Object versions that are committed, waiting or in quarantine.
fn accounted(stage: &Stage) -> BTreeSet<(DbTable, ObjectVersion)> {
    let mut all: BTreeSet<_> = stage.warehouse.committed.keys().cloned().collect();
    for (table, items) in &stage.items {
        for item in items.values() {
            let objects = match item {
                Item::Pending(pending) => &pending.objects,
                Item::Failed(quarantined) => &quarantined.objects,
                Item::Slot(_) | Item::File(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => continue,
            };
            all.extend(objects.iter().map(|waiting| (table.clone(), waiting.object.clone())));
        }
    }
    all
}

/// Whether this object version, or a newer one of its key, is accounted for.
fn is_accounted(stage: &Stage, accounted: &BTreeSet<(DbTable, ObjectVersion)>, position: usize) -> bool {
    let written = &stage.written[position];
    let table = &stage.tables[written.table];
    stage.positions[&written.key]
        .iter()
        .filter(|later| **later >= position)
        .any(|later| accounted.contains(&(table.clone(), stage.written[*later].blob.version(&written.key))))
}

/// Checks all invariants when nothing waits any more: what is in the bucket is in the warehouse exactly once, and bad files are in quarantine.
pub fn at_the_end(stage: &mut Stage) {
    at_any_time(stage);
    let growing = stage.tables.iter().enumerate().filter(|(number, _)| is_growing(*number));
    let mut found: Vec<String> = growing.filter_map(|(number, table)| grown(stage, number, table)).collect();
    let quarantine = quarantine(stage);
    for written in &stage.written {
        let version = written.blob.version(&written.key);
        let table = &stage.tables[written.table];
        let times = stage.warehouse.times(table, &version);
        let class = quarantine.get(&(table.clone(), version.clone())).map(|quarantined| quarantined.class);
        let current = stage.bucket.get(&written.key) == Some(&written.blob);
        let unknown = class == Some(FailureClass::OutcomeUnknown);
        if written.blob.bad && times > 0 {
            found.push(format!("5 bad file {version} is committed"));
        }
        if class.is_some() && times > 0 && !unknown {
            found.push(format!("2 {version} is committed and in quarantine as {class:?}"));
        }
        if unknown && stage.options.outage_hours == 0 {
            found.push(format!("5 {version} is in quarantine as unknown, and nothing was forgotten"));
        }
        if !current || unknown {
            continue;
        }
        let well = if written.blob.bad { class == Some(FailureClass::BadInput) } else { times == 1 && class.is_none() };
        if !well {
            let bad = written.blob.bad;
            found.push(format!(
                "1 or 5 {table}: {version} (bad: {bad}) is committed {times} times, in quarantine as {class:?}"
            ));
        }
    }
    stage.violations.extend(found);
}
