//! The crash matrix: the functions are killed, and their calls disturbed, at every AWS call in turn; the rows stay exact. Beside it, because it takes
//! its minutes anyway: a stack without a sweep.

use std::time::Duration;

use acceptance::table::{Table, append, csv, merge};
use acceptance::world::{Setup, World, world_of};
use acceptance::xtask::Checkout;
use anyhow::{Context, Result, ensure};
use local_client::calls::Port;
use local_client::{Toxic, ToxicKind};
use serde_json::{Value, json};

/// Disturbs every call; otherwise the milder faults are tried at every fourth call only.
const FULL: &str = "ACCEPTANCE_FULL";

const APPENDED: &str = "crash-append";
const MERGED: &str = "crash-merge";

fn world() -> &'static World {
    world_of(|| Setup::of([(APPENDED, append("crash_append")), (MERGED, merge("crash_merge", true))]))
}

/// Faults, and whether each is tried at every call.
fn kinds() -> Result<Vec<(ToxicKind, bool)>> {
    let error = json!({"error": {"status": 500, "code": "InternalServerError", "message": "injected"}});
    let thorough = [json!("kill_before"), json!("kill_after"), json!("drop_response")];
    let milder = [json!("drop_request"), json!("throttle"), json!("double"), error];
    let kind = |value: &Value, every| Ok((serde_json::from_value(value.clone())?, every));
    thorough.iter().map(|value| kind(value, true)).chain(milder.iter().map(|value| kind(value, false))).collect()
}

async fn load_once(table: &Table, number: usize, expected: &mut Vec<String>) -> Result<()> {
    let row = format!("{number},2026-01-01 00:00:00,x");
    table.put(&format!("{number}.csv"), csv(&[&row])).await?;
    expected.push(row);
    table.rest_with(expected).await
}

async fn matrix(world: &'static World, name: &str, config: Value, kinds: &[(ToxicKind, bool)]) -> Result<usize> {
    let table = Table::new(world, name, config).await?;
    let gateway = world.stack.gateway();
    let mut expected = Vec::new();
    load_once(&table, 0, &mut expected).await?;
    let before = gateway.log(0).await?.last().map_or(0, |entry| entry.sequence);
    load_once(&table, 1, &mut expected).await?;
    let calls = gateway.log(before).await?;
    let n_calls = calls.iter().filter(|entry| entry.port == Port::Functions).count();
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
fn rows_are_exact_whatever_call_the_functions_die_at() {
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

/// `status` says so after two minutes. The drill sweeps, so it is shown by a stack of its own.
#[test]
fn a_stack_that_nobody_sweeps_is_broken_before_any_file_waits() {
    const SILENT: &str = "silent";
    const SILENCE: Duration = Duration::from_secs(123);
    let world = world();
    let checkout = Checkout::new().expect("a clone of its own");
    world.run(async {
        world.deploy_beside(SILENT, &Setup { unswept: true, ..Setup::default() }).await?;
        let status = format!("status --local --stack-name {SILENT} --output json");
        let before = checkout.must(&status).await?.json()?;
        ensure!(before == json!([]), "right after its deployment: {before:#}");
        tokio::time::sleep(SILENCE).await;
        let said = checkout.xtask(&status).await?;
        let reports = said.json()?;
        let sweep = reports.as_array().and_then(|all| all.first()).context("nothing is said")?;
        ensure!(
            said.code == Some(5) && sweep["queues"][0]["name"] == "Sweep" && sweep["health"] == "broken",
            "{said:?}"
        );
        ensure!(said.output.contains("no sweep has completed"), "{said:?}");
        Ok(())
    });
}
