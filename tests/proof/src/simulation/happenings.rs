//! What happens in the world: tables are created and changed, statements end, events arrive, operators act.

use loader_core::ids::DbTable;
use loader_core::tracker::item::{Item, Millis, Quarantined};
use loader_core::tracker::operator;
use loader_core::tracker::write::Written::Done;
use loader_core::tracker::write::apply;
use rand::Rng;
use rand::rngs::StdRng;

use super::beginning;
use super::objects::mend;
use super::stage::{Happening, Stage};
use super::tables::{config_of, is_growing, queue_name};
use crate::fixture::status_change;
use crate::mutant::Writer;
use crate::warehouse::{End, Phase};

const RETRYABLE: [&str; 5] = [
    "ERROR: 1023 DETAIL: Serializable isolation violation on table - 100",
    "ThrottlingException: Rate exceeded",
    "S3ServiceException: Please reduce your request rate.,Status 503,Error SlowDown",
    "ERROR: permission denied for relation t",
    "ERROR: disk full",
];

/// Creates the tables and schedules what happens.
pub fn set(stage: &mut Stage) {
    let minutes = stage.options.minutes * 60_000;
    for table in 0..stage.options.tables {
        let config = config_of(table, false);
        stage.tables.push(config.db_table());
        stage.configs.insert(queue_name(table), config);
        if stage.rng.random_range(0..6) == 0 {
            let from = stage.rng.random_range(0..minutes);
            stage.happen(from, Happening::Pause(table, true));
            let to = from + stage.rng.random_range(0..minutes);
            stage.happen(to, Happening::Pause(table, false));
        }
        if stage.rng.random_range(0..4) == 0 {
            let at = stage.rng.random_range(0..minutes);
            stage.happen(at, Happening::Bulk(table));
        }
        if stage.rng.random_range(0..8) == 0 {
            let at = stage.rng.random_range(0..minutes);
            stage.happen(at, Happening::Folder(table));
        }
        // Loader 0.1 knows positions only.
        if stage.rng.random_range(0..3) == 0 && !is_growing(table) {
            beginning::set(stage, table);
        }
    }
    for _ in 0..stage.rng.random_range(0..3) {
        let at = stage.rng.random_range(0..minutes);
        stage.happen(at, Happening::AddColumn);
    }
    for _ in 0..stage.options.changes / 20 {
        let at = stage.rng.random_range(0..minutes + 20 * 60_000);
        stage.happen(at, Happening::Retry);
    }
    for _ in 0..stage.options.changes {
        let at = stage.rng.random_range(0..minutes);
        stage.happen(at, Happening::Change);
    }
    if stage.options.outage_hours > 0 {
        let from = stage.now + stage.rng.random_range(0..minutes);
        stage.outage = Some((from, from + stage.options.outage_hours * 3_600_000));
    }
    stage.warehouse.names_bad_files = stage.rng.random();
    stage.happen(0, Happening::Poll);
    stage.happen(60_000, Happening::Sweep);
}

/// Adds a column to the target tables, except to those that get the columns of their files.
pub fn add_column(stage: &mut Stage) {
    for (_, table) in stage.tables.iter().enumerate().filter(|(number, _)| !is_growing(*number)) {
        let own = stage.warehouse.own.entry(table.clone()).or_default();
        own.push(format!("c{}", own.len()));
    }
    stage.trace("column");
}

/// An operator retries a quarantine item, usually after repairing its files. Before that, the operator makes sure that its rows are not in the
/// table and that no statement is running.
pub fn retry(stage: &mut Stage) {
    let quarantine = stage.items.iter().flat_map(|(table, items)| items.values().map(move |item| (table, item)));
    let items: Vec<(DbTable, Quarantined)> = quarantine
        .filter_map(|(table, item)| match item {
            Item::Failed(quarantined) => Some((table.clone(), quarantined.clone())),
            Item::Slot(_) | Item::Pending(_) | Item::File(_) | Item::Loaded(_) | Item::Audit(_) | Item::Listing(_) => {
                None
            }
        })
        .collect();
    if items.is_empty() {
        return;
    }
    let (table, quarantined) = &items[stage.rng.random_range(0..items.len())];
    let committed = quarantined.objects.iter().any(|waiting| stage.warehouse.times(table, &waiting.object) > 0);
    if committed || stage.warehouse.unfinished().contains_key(table) {
        return;
    }
    if stage.rng.random_range(0..3) > 0 {
        quarantined.objects.iter().for_each(|waiting| mend(stage, &waiting.object));
    }
    stage.sent_back.extend(quarantined.objects.iter().map(|waiting| (table.clone(), waiting.object.clone())));
    let transaction = operator::retry(quarantined, stage.now);
    let items = stage.items.entry(table.clone()).or_default();
    let real = stage.options.mutant.transaction(transaction, &Writer { holder: "operator", items });
    let written = apply(items, &real);
    stage.trace(("sent back", &quarantined.key, written == Done));
}

/// Ends a statement. Its event is sent, lost, delayed or doubled.
pub fn statement_ends(stage: &mut Stage, index: usize) {
    let rough = stage.rough && stage.options.faults_per_mille > 0;
    let end = match stage.rng.random_range(0..30) {
        0 | 1 if rough => End::Failure(RETRYABLE[stage.rng.random_range(0..RETRYABLE.len())].to_owned()),
        2 if rough => End::Abort,
        _ => End::Natural,
    };
    end_statement(stage, index, end);
}

/// Cancels a statement if it is running.
pub fn cancel(stage: &mut Stage, statement_id: &str) {
    let found = stage.warehouse.statements.iter().position(|statement| statement.id == statement_id);
    if let Some(index) = found {
        end_statement(stage, index, End::Abort);
    }
}

fn end_statement(stage: &mut Stage, index: usize, end: End) {
    if stage.warehouse.statements[index].phase != Phase::Running {
        return;
    }
    stage.warehouse.end(index, end, &stage.bucket, &stage.manifests);
    let statement = &stage.warehouse.statements[index];
    let status = match statement.phase {
        Phase::Finished => "FINISHED",
        Phase::Aborted => "ABORTED",
        Phase::Failed(_) | Phase::Running => "FAILED",
    };
    let event = status_change(&statement.name.to_string(), &statement.id, status);
    stage.trace(("ended", index, status));
    for delay in event_delays(&mut stage.rng) {
        stage.happen(delay, Happening::Event(event.clone()));
    }
}

fn event_delays(rng: &mut StdRng) -> Vec<Millis> {
    match rng.random_range(0..10) {
        0 => Vec::new(),
        1 => vec![0, rng.random_range(0..300_000)],
        2 => vec![rng.random_range(0..1_800_000)],
        _ => vec![rng.random_range(0..3_000)],
    }
}
