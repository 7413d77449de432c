//! Checks "never stuck": from any state, without further faults, the production loop empties the backlog within a bounded number of reconciles.

use futures::FutureExt;
use loader_core::ids::DbTable;
use loader_core::outcome::FailureClass;
use loader_core::statement_event::Trigger;
use loader_core::tracker::item::{Item, Millis, SortKey};
use loader_core::tracker::slot::Slot;
use loader_core::tracker::write::slot_of;
use loader_reconcile::next;
use loader_reconcile::reconcile::{Memory, Next, round};
use loader_reconcile::record::{Origin, record};

use super::configuration::Change;
use super::model::Protocol;
use super::state::{Durable, State};
use super::steps::invocation;
use super::world::ModelWorld;
use crate::fixture::{Blob, TABLES, TICK_MILLIS};
use crate::warehouse::{End, Phase};

/// Maximum number of reconciles; more than any configuration needs.
const RECONCILES_MAX: usize = 40;
/// Maximum number of rounds of a reconcile.
const ROUNDS_MAX: usize = 60;

/// Checks that the backlog drains from this state.
pub fn drain(model: &Protocol, state: &State) -> Result<(), String> {
    let mut durable = (*state.durable).clone();
    let mut now = model.instant(state);
    for message in 0..model.configuration.messages.len() {
        if model.is_sent(&durable, message) && !durable.acknowledged[message] {
            durable = run(model, durable, now, model.table(message), Some(message), false)?;
        }
    }
    for _ in 0..RECONCILES_MAX {
        for index in 0..durable.warehouse.statements.len() {
            if durable.warehouse.statements[index].phase == Phase::Running {
                durable.warehouse.end(index, End::Natural, &durable.bucket, &durable.manifests);
            }
        }
        now += 10 * TICK_MILLIS;
        durable = look_at_all(model, durable, now)?;
        let idle = durable.warehouse.statements.iter().all(|statement| statement.phase != Phase::Running);
        let waits =
            durable.all_items().any(|item| matches!(item, Item::Slot(Slot { load: Some(_), .. }) | Item::Pending(_)));
        if !waits && idle {
            return judge(model, &durable);
        }
    }
    Err(format!("not empty after {RECONCILES_MAX} reconciles: {:?}", durable.items))
}

/// Where room or turns are shared, only the production sweep gives everybody a turn.
fn look_at_all(model: &Protocol, durable: Durable, now: Millis) -> Result<Durable, String> {
    if model.configuration.is_paced() {
        return sweep(model, durable, now);
    }
    let look = |durable, table| run(model, durable, now, table, None, false);
    model.configuration.tables_in_play().into_iter().try_fold(durable, look)
}

/// The production sweep, from its begin to its end.
pub fn sweep(model: &Protocol, durable: Durable, now: Millis) -> Result<Durable, String> {
    let world = ModelWorld::direct(durable, now, &model.configuration, "drain");
    let invocation = invocation("drain", &model.configuration, false);
    let swept = next::handle(&world, Trigger::Sweep, &invocation).now_or_never();
    swept.ok_or("the sweep waits")?.map_err(|error| error.to_string())?;
    Ok(world.into_inner().durable)
}

/// Whether a reconcile of a table takes its free slot now; `sweeps`: by a sweep.
pub fn look_starts(model: &Protocol, state: &State, table: usize, sweeps: bool) -> Result<bool, String> {
    let after = run(model, (*state.durable).clone(), model.instant(state), table, None, sweeps)?;
    Ok(after.items.get(&TABLES[table]).is_some_and(|items| slot_of(items).load.is_some()))
}

fn run(
    model: &Protocol,
    durable: Durable,
    now: Millis,
    table: usize,
    message: Option<usize>,
    sweeps: bool,
) -> Result<Durable, String> {
    let world = ModelWorld::direct(durable, now, &model.configuration, "drain");
    let invocation = invocation("drain", &model.configuration, sweeps);
    let all = async {
        if let Some(message) = message {
            let recorded =
                record(&world, &model.objects(message), None, &model.source(message), &Origin::default()).await;
            assert!(recorded.failed.is_empty(), "recording succeeds in a drain");
        }
        let mut memory = Memory::default();
        for _ in 0..ROUNDS_MAX {
            match round(&world, &TABLES[table], &invocation, None, &mut memory).await {
                Ok(Next::Again) => {}
                Ok(Next::Stop(_)) | Err(_) => return Ok(()),
            }
        }
        Err(format!("a reconcile takes more than {ROUNDS_MAX} rounds"))
    };
    all.now_or_never().unwrap_or_else(|| Err("a call in the drain does not return".to_owned()))?;
    Ok(world.into_inner().durable)
}

/// Checks invariants 1, 2 and 5 at the end: every existing object is loaded once, or in quarantine because it is bad.
fn judge(model: &Protocol, durable: &Durable) -> Result<(), String> {
    for number in model.configuration.tables_in_play() {
        let table = &TABLES[number];
        for (position, change) in model.configuration.script[..durable.scripted].iter().enumerate() {
            if let Change::Put(key, blob) = change {
                let notified = model.is_notified(durable, number, position);
                judge_version(durable, table, notified, key, blob, was_bad(model, key, blob))?;
            }
        }
    }
    Ok(())
}

/// Whether the same version was bad before it was repaired.
fn was_bad(model: &Protocol, key: &str, blob: &Blob) -> bool {
    let bad = Blob { bad: true, ..blob.clone() };
    model.configuration.script.iter().any(|change| matches!(change, Change::Put(k, b) if *k == key && *b == bad))
}

fn judge_version(
    durable: &Durable,
    table: &DbTable,
    notified: bool,
    key: &str,
    blob: &Blob,
    was_bad: bool,
) -> Result<(), String> {
    let version = blob.version(key);
    let times = durable.warehouse.times(table, &version);
    if times > 1 {
        return Err(format!("{version} is committed {times} times"));
    }
    let items = durable.items.get(table);
    let known = items.is_some_and(|items| items.contains_key(&SortKey::file(&version)));
    if durable.bucket.get(key) != Some(blob) || !(notified || known) {
        return Ok(());
    }
    let quarantined = items.into_iter().flat_map(|items| items.values()).find_map(|item| match item {
        Item::Failed(quarantined) if quarantined.objects.iter().any(|waiting| waiting.object == version) => {
            Some(quarantined.class)
        }
        _ => None,
    });
    match (blob.bad || (was_bad && times == 0), times, quarantined) {
        (false, 1, None) | (true, 0, Some(FailureClass::BadInput)) | (_, _, Some(FailureClass::OutcomeUnknown)) => {
            Ok(())
        }
        (bad, times, class) => {
            Err(format!("{version} (bad: {bad}) is committed {times} times, in quarantine as {class:?}"))
        }
    }
}
