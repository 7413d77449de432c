//! The crash matrix: functions are killed, and their calls fail, at every AWS call in turn, and the rows must stay exact. This binary also tests a
//! stack without a sweep, because it runs for minutes anyway.

use std::time::Duration;

use acceptance::counted::Counter;
use acceptance::table::{Table, append, csv, merge, row};
use acceptance::world::{Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

/// Environment variable with which every fault is tried at every call. Otherwise the milder faults are tried only at every fourth.
const FULL: &str = "ACCEPTANCE_FULL";

const APPENDED: &str = "crash-append";
const MERGED: &str = "crash-merge";
const TOGETHER: &str = "crash-together";
/// Files of a notification: too many to take the slot in one step, to be looked at one by one, and to enter the ledger in the settlement.
const N_TOGETHER: usize = 40;
/// Calls of a load of so many files that a load of one file does not make.
const OF_MANY: [&str; 2] = ["ListObjectVersions", "BatchWriteItem"];

fn world() -> &'static World {
    world_of(|| {
        let queues = [(APPENDED, append("crash_append")), (MERGED, merge("crash_merge", true))];
        Setup::of(queues.into_iter().chain([(TOGETHER, append("crash_together"))]))
    })
}

/// Position of the fault that kills a function after its call has taken effect.
const AFTER: usize = 1;

/// The faults, and whether each is tried at every call.
fn kinds() -> Result<Vec<(ToxicKind, bool)>> {
    let error = json!({"error": {"status": 500, "code": "InternalServerError", "message": "injected"}});
    let thorough = [json!("kill_before"), json!("kill_after"), json!("drop_response")];
    let milder = [json!("drop_request"), json!("throttle"), json!("double"), error];
    let kind = |value: &Value, every| Ok((serde_json::from_value(value.clone())?, every));
    thorough.iter().map(|value| kind(value, true)).chain(milder.iter().map(|value| kind(value, false))).collect()
}

/// Loads files that arrive together: one by S3's notification, more by one notification of all.
async fn load(table: &Table, n_files: usize, expected: &mut Vec<String>) -> Result<()> {
    let mut keys = Vec::new();
    for number in expected.len()..expected.len() + n_files {
        let row = row(number);
        let key = format!("{number:05}.csv");
        table.put(&key, csv(&[&row])).await?;
        keys.push(key);
        expected.push(row);
    }
    if n_files > 1 {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        table.send(table.notification(&keys).await?).await?;
    }
    table.rest_with(expected).await
}

/// Tries the faults at each call of a load of so many files, one after the other, and returns how many were tried.
async fn matrix(table: &Table, n_files: usize, kinds: &[(ToxicKind, bool)]) -> Result<usize> {
    let gateway = world().stack.gateway();
    let mut expected = Vec::new();
    load(table, n_files, &mut expected).await?;
    let counter = Counter::start(gateway.clone()).await?;
    load(table, n_files, &mut expected).await?;
    let calls = counter.functions_log().await?;
    let n_calls = calls.len();
    ensure!(n_calls >= 10, "a load made only {n_calls} calls");
    let makes = |operation| calls.iter().any(|call| call.operation == operation);
    ensure!(OF_MANY.into_iter().all(|operation| makes(operation) == (n_files > 1)), "{calls:#?}");
    let full = std::env::var_os(FULL).is_some();
    let mut points = 0;
    for (kind, thorough) in kinds {
        for call in (0..n_calls.min(30)).filter(|call| *thorough || full || call % 4 == 0) {
            gateway.add_toxic(&Toxic::new(kind.clone()).once_after(call as u64)).await?;
            let result = load(table, n_files, &mut expected).await;
            gateway.clear_toxics().await?;
            result.map_err(|error| error.context(format!("{}: {kind:?} at call {call}", table.name)))?;
            points += 1;
        }
    }
    Ok(points)
}

#[test]
fn rows_are_exact_whichever_call_fails_or_kills_a_function() {
    let world = world();
    world.run(async {
        let kinds = kinds()?;
        let deaths = if std::env::var_os(FULL).is_some() { &kinds[..] } else { &kinds[AFTER..=AFTER] };
        let appended = Table::new(world, APPENDED, append("crash_append")).await?;
        let merged = Table::new(world, MERGED, merge("crash_merge", true)).await?;
        let together = Table::without_notifications(world, TOGETHER, append("crash_together")).await?;
        let points = [
            matrix(&appended, 1, &kinds).await?,
            matrix(&merged, 1, deaths).await?,
            matrix(&together, N_TOGETHER, deaths).await?,
        ];
        println!("proof: crash matrix: {points:?} points tried: append, merge, {N_TOGETHER} files together");
        Ok(())
    });
}

/// `status` reports it after two minutes. The drill runs sweeps, so this needs a separate stack.
#[test]
fn a_stack_without_sweeps_is_broken_even_if_no_file_waits() {
    const SILENT: &str = "silent";
    const SILENCE: Duration = Duration::from_secs(123);
    let world = world();
    let checkout = Checkout::new().expect("a separate clone");
    world.run(async {
        world.deploy_beside(SILENT, &Setup { unswept: true, ..Setup::default() }).await?;
        let status = format!("status --local --stack-name {SILENT} --output json");
        let before = checkout.must(&status).await?.json()?;
        ensure!(before == json!([]), "directly after the deployment: {before:#}");
        tokio::time::sleep(SILENCE).await;
        let said = checkout.xtask(&status).await?;
        let reports = said.json()?;
        let sweep = reports.as_array().and_then(|all| all.first()).context("nothing is reported")?;
        ensure!(
            said.code == Some(5) && sweep["queues"][0]["name"] == "Sweep" && sweep["health"] == "broken",
            "{said:?}"
        );
        ensure!(said.output.contains("no sweep has completed"), "{said:?}");
        Ok(())
    });
}
