//! Tables with items of loader 0.1: its pending loads with their ledger entries, and its running load at any step.

use loader_core::ids::StatementName;
use loader_core::tracker::item::{Item, Millis, SortKey};
use rand::Rng;

use super::objects::put;
use super::stage::{Happening, Stage};
use super::tables::{config_of, queue_name};
use crate::fixture::source;
use crate::old::{self, OldLoad, OldStep};

/// How long ago loader 0.1 wrote the items.
const AGO_MILLIS: Millis = 5_000;

/// Adds objects that loader 0.1 has recorded. In most cases, the oldest of them are in a running load.
pub fn set(stage: &mut Stage, table: usize) {
    let source = source(&queue_name(table), &config_of(table, false));
    let at = stage.now - AGO_MILLIS;
    let mut recorded: Vec<(SortKey, Vec<usize>)> = Vec::new();
    for number in 0..stage.rng.random_range(1..5) {
        let positions: Vec<usize> = (0..stage.rng.random_range(1..4)).map(|_| put(stage, table)).collect();
        let objects: Vec<_> = positions.iter().map(|position| stage.written[*position].waiting()).collect();
        stage.queues.handled(&queue_name(table), positions.clone(), at);
        let pending = old::pending(&source, &objects, at + number);
        recorded.push((pending.key(), positions));
        let entries = objects.iter().map(|waiting| old::accepted(&stage.tables[table], &waiting.object, at));
        let items = stage.items.entry(stage.tables[table].clone()).or_default();
        items.extend(std::iter::once(pending).chain(entries).map(|item: Item| (item.key(), item)));
    }
    let step = match stage.rng.random_range(0..6) {
        0 => return,
        1 => OldStep::Claimed,
        2 => OldStep::Waiting,
        3 | 4 => OldStep::Prepared,
        _ => OldStep::Submitted(stage.warehouse.statements.len()),
    };
    let taken = stage.rng.random_range(1..=recorded.len());
    let positions: Vec<usize> = recorded[..taken].iter().flat_map(|(_, positions)| positions).copied().collect();
    let keys = recorded[..taken].iter().map(|(key, _)| key.clone()).collect();
    let load = prepared(stage, OldLoad::new(&source, keys, at), &positions, step);
    stage.items.entry(load.table.clone()).or_default().insert(SortKey::slot(), load.slot(step));
}

/// Adds the manifest and, if the statement is submitted or may have been, the statement.
fn prepared(stage: &mut Stage, load: OldLoad, positions: &[usize], step: OldStep) -> OldLoad {
    let objects: Vec<_> = positions.iter().map(|position| stage.written[*position].waiting()).collect();
    let (manifest, content) = load.manifest(objects.iter());
    stage.manifests.insert(manifest.clone(), content);
    let (prefix, table) = ("sim".to_owned(), load.table.clone());
    let name = StatementName { prefix, table, load_id: load.load_id(), attempt: 1 };
    let unknown = step == OldStep::Prepared && stage.rng.random();
    if unknown || matches!(step, OldStep::Submitted(_)) {
        let number = stage.warehouse.statements.len();
        stage.warehouse.submit_old(&name, &manifest, load.at);
        let runs = stage.rng.random_range(500..60_000);
        stage.happen(runs, Happening::StatementEnds(number));
    }
    OldLoad { prepared: Some((name, manifest)), ..load }
}
