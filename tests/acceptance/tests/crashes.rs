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

fn world() -> &'static World {
    world_of(|| Setup::of([(APPENDED, append("crash_append")), (MERGED, merge("crash_merge", true))]))
}

/// The faults, and whether each is tried at every call.
fn kinds() -> Result<Vec<(ToxicKind, bool)>> {
    let error = json!({"error": {"status": 500, "code": "InternalServerError", "message": "injected"}});
    let thorough = [json!("kill_before"), json!("kill_after"), json!("drop_response")];
    let milder = [json!("drop_request"), json!("throttle"), json!("double"), error];
    let kind = |value: &Value, every| Ok((serde_json::from_value(value.clone())?, every));
    thorough.iter().map(|value| kind(value, true)).chain(milder.iter().map(|value| kind(value, false))).collect()
}

async fn load_once(table: &Table, number: usize, expected: &mut Vec<String>) -> Result<()> {
    let row = row(number);
    table.put(&format!("{number}.csv"), csv(&[&row])).await?;
    expected.push(row);
    table.rest_with(expected).await
}

async fn matrix(world: &'static World, name: &str, config: Value, kinds: &[(ToxicKind, bool)]) -> Result<usize> {
    let table = Table::new(world, name, config).await?;
    let gateway = world.stack.gateway();
    let mut expected = Vec::new();
    load_once(&table, 0, &mut expected).await?;
    let counter = Counter::start(gateway.clone()).await?;
    load_once(&table, 1, &mut expected).await?;
    let n_calls = counter.functions_log().await?.len();
    ensure!(n_calls >= 10, "a load made only {n_calls} calls");
    let full = std::env::var_os(FULL).is_some();
    let mut points = 0;
    for (kind, thorough) in kinds {
        for call in (0..n_calls.min(30)).filter(|call| *thorough || full || call % 4 == 0) {
            gateway.add_toxic(&Toxic::new(kind.clone()).once_after(call as u64)).await?;
            let number = expected.len();
            let result = load_once(&table, number, &mut expected).await;
            gateway.clear_toxics().await?;
            result.map_err(|error| error.context(format!("{name}: {kind:?} at call {call}")))?;
            points += 1;
        }
    }
    Ok(points)
}

#[test]
fn rows_are_exact_whichever_call_fails_or_kills_a_function() {
    let world = world();
    let points = world.run(async {
        let kinds = kinds()?;
        let appended = matrix(world, APPENDED, append("crash_append"), &kinds).await?;
        let deaths = if std::env::var_os(FULL).is_some() { &kinds[..] } else { &kinds[..2] };
        let merged = matrix(world, MERGED, merge("crash_merge", true), deaths).await?;
        Ok(appended + merged)
    });
    println!("proof: crash matrix: {points} points tried");
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
