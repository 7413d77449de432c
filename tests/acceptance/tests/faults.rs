//! Faults of statements, events and files: loading continues, and nothing is lost or loaded twice.

use std::time::{Duration, Instant};

use acceptance::steps::{in_quarantine, is_submitted, n_loaded, n_waiting};
use acceptance::table::{Table, append, csv, merge, row, rows};
use acceptance::world::{Setup, World, world_of};
use anyhow::{Result, ensure};
use loader_core::contract::Function;
use loader_core::outcome::FailureClass;
use loader_core::tracker::item::Item;
use loader_core::tracker::slot::Step;
use local_client::{Toxic, ToxicKind};
use serde_json::json;

const TABLES: [&str; 10] =
    ["bad", "corrupt", "absent", "aborted", "conflict", "events", "unknown", "answered", "changed", "backlog"];

fn world() -> &'static World {
    world_of(|| Setup::of(TABLES.iter().map(|name| (*name, append(name)))))
}

#[test]
fn a_bad_file_among_sixteen_is_quarantined_and_the_others_load() {
    let world = world();
    world.run(async {
        let mut config = append("bad");
        config["load"] = json!({"age_seconds": 2});
        let table = Table::new(world, "bad", config).await?;
        let mut expected = Vec::new();
        for number in 0..16 {
            let row = row(number);
            table.put(&format!("good {number}.csv"), csv(&[&row])).await?;
            expected.push(row);
        }
        table.put("bad.csv", csv(&["seven,2026-01-01 00:00:00,x"])).await?;
        table.rest_with(&expected).await?;
        let quarantine = table.quarantine().await?;
        ensure!(quarantine.len() == 1 && quarantine[0].objects.len() == 1, "{quarantine:?}");
        ensure!(quarantine[0].objects[0].object.key == "bad.csv", "{quarantine:?}");
        ensure!(quarantine[0].class == FailureClass::BadInput, "{quarantine:?}");
        let n_statements = table.statements().await?.len();
        ensure!(n_statements <= 17, "{n_statements} statements for one bad file among 17");
        Ok(())
    });
}

#[test]
fn a_corrupt_parquet_file_among_good_ones_is_quarantined() {
    let world = world();
    world.run(async {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
        let ddl = std::fs::read_to_string(root.join("tables/weather.sql"))?.replace("weather", "corrupt");
        let mut config = append("corrupt");
        config["copy"]["options"] = json!("FORMAT AS PARQUET");
        config["load"] = json!({"age_seconds": 2});
        let table = Table::new(world, "corrupt", config).await?;
        table.sql("DROP TABLE corrupt").await?;
        table.sql(ddl.trim().trim_end_matches(';')).await?;
        let mut files = 0;
        for entry in std::fs::read_dir(root.join("weather"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "parquet") {
                table.put(&path.file_name().unwrap_or_default().to_string_lossy(), std::fs::read(&path)?).await?;
                files += 1;
            }
        }
        table.put("corrupt.parquet", "PAR1 this is not what it says PAR1").await?;
        table.until("all good files loaded", |items| n_loaded(items) == files).await?;
        table.until("the bad one in quarantine", in_quarantine).await?;
        let rows = table.rows().await?;
        ensure!(rows.len() == 1461, "{} rows", rows.len());
        let quarantine = table.quarantine().await?;
        ensure!(quarantine.len() == 1 && quarantine[0].objects[0].object.key == "corrupt.parquet", "{quarantine:?}");
        Ok(())
    });
}

#[test]
fn a_missing_table_is_an_operators_turn_and_the_load_resumes_by_itself() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "absent", append("absent")).await?;
        table.sql("DROP TABLE absent").await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        let waits = |item: &Item| {
            let step = item.load().map(|load| &load.step);
            matches!(step, Some(Step::Waiting { class: FailureClass::OperatorsTurn, reason, .. }) if reason.contains("absent"))
        };
        table.until("waiting for the operator", |items| items.values().any(waits)).await?;
        table.sql("CREATE TABLE absent (id BIGINT, at TIMESTAMP, val VARCHAR(64))").await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
    });
}

#[test]
fn an_aborted_statement_is_repeated() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "aborted", append("aborted")).await?;
        let name = table.statement_name_part()?;
        world.standin(&json!({"fail": {"name": name, "times": 2, "error": "cancelled", "status": "ABORTED"}})).await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        let attempts = table.loaded().await?[0].attempts;
        ensure!(attempts == 3, "{attempts} attempts");
        Ok(())
    });
}

#[test]
fn a_load_is_repeated_after_a_conflict_or_an_unknown_error() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "conflict", merge("conflict", true)).await?;
        let name = table.statement_name_part()?;
        let isolation = "ERROR: 1023 DETAIL: Serializable isolation violation on table - 1";
        world.standin(&json!({"fail": {"name": name, "times": 1, "error": isolation, "status": "FAILED"}})).await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        world
            .standin(
                &json!({"fail": {"name": name, "times": 2, "error": "an error that is not known", "status": "FAILED"}}),
            )
            .await?;
        table.put("b.csv", csv(&["2,2026-01-01 00:00:00,b"])).await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a", "2,2026-01-01 00:00:00,b"])).await?;
        ensure!(table.quarantine().await?.is_empty(), "something is in quarantine");
        Ok(())
    });
}

#[test]
fn doubled_foreign_and_early_events_change_nothing() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "events", append("events")).await?;
        table.hold("SUBMITTED").await?;
        table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
        table.until("submitted", is_submitted).await?;
        let load = table.items().await?.values().find_map(|item| item.load().cloned());
        let Some(Step::Submitted { prepared, statement_id, .. }) = load.map(|load| load.step) else {
            anyhow::bail!("no running statement")
        };
        let event = |name: &str, id: &str| {
            json!({"source": "aws.redshift-data", "detail-type": "Redshift Data Statement Status Change",
                "detail": {"statementName": name, "statementId": id, "state": "FINISHED"}})
        };
        let name = prepared.statement_name.to_string();
        for (name, id) in [(name.as_str(), statement_id.as_str()), ("dev/of/someone/else", "x"), ("", "")] {
            world.invoke(Function::NextLoader, &event(name, id)).await?;
        }
        table.until("still submitted", is_submitted).await?;
        table.release().await?;
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        for _ in 0..3 {
            world.invoke(Function::NextLoader, &event(&name, &statement_id)).await?;
        }
        table.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await
    });
}

/// Commits a load without any function noticing, and then lets the Data API forget its statement.
async fn commit_and_forget(world: &World, table: &Table) -> Result<()> {
    table.hold("SUBMITTED").await?;
    table.put("a.csv", csv(&["1,2026-01-01 00:00:00,a"])).await?;
    table.until("submitted", is_submitted).await?;
    let gateway = world.stack.gateway();
    gateway.add_toxic(&Toxic::new(ToxicKind::Throttle).on("redshift-data", "DescribeStatement")).await?;
    table.release().await?;
    let started = Instant::now();
    while table.rows().await?.is_empty() {
        ensure!(started.elapsed() < Duration::from_mins(1), "the held statement never ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.standin(&json!({"forget_statements": table.statement_name_part()?})).await?;
    gateway.clear_toxics().await?;
    Ok(())
}

/// The two tables are tested one after the other, because the fault affects every table.
#[test]
fn a_forgotten_statement_is_settled_by_the_ledger_table_or_quarantined() {
    let world = world();
    world.run(async {
        let unknown = Table::new(world, "unknown", append("unknown")).await?;
        commit_and_forget(world, &unknown).await?;
        unknown.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        let quarantine = unknown.quarantine().await?;
        ensure!(quarantine.len() == 1 && quarantine[0].class == FailureClass::OutcomeUnknown, "{quarantine:?}");

        let mut config = append("answered");
        config["options"] = json!({"ledger_table": "public.answered_loads"});
        let answered = Table::new(world, "answered", config).await?;
        let columns = "load_id VARCHAR(32), statement_name VARCHAR(2048), manifest VARCHAR(1024), loaded_at TIMESTAMP DEFAULT GETDATE()";
        answered.sql(&format!("CREATE TABLE answered_loads ({columns})")).await?;
        commit_and_forget(world, &answered).await?;
        answered.rest_with(&rows(&["1,2026-01-01 00:00:00,a"])).await?;
        ensure!(answered.loaded().await?.len() == 1, "no history");
        ensure!(answered.quarantine().await?.is_empty(), "the ledger table was not read");
        Ok(())
    });
}

#[test]
fn files_can_be_deleted_or_overwritten_while_they_wait() {
    let world = world();
    world.run(async {
        let mut paused = append("changed");
        paused["load"] = json!({"paused": true});
        let table = Table::new(world, "changed", paused).await?;
        table.put("deleted.csv", csv(&["1,2026-01-01 00:00:00,gone"])).await?;
        table.put("overwritten.csv", csv(&["2,2026-01-01 00:00:00,old"])).await?;
        table.put("kept.csv", csv(&["3,2026-01-01 00:00:00,kept"])).await?;
        for version in ["first", "second and", "third and last"] {
            table.put("thrice.csv", csv(&[&format!("4,2026-01-01 00:00:00,{version}")])).await?;
        }
        let mut expected = Vec::new();
        for number in 100..130 {
            table.put(&format!("unchanged {number}.csv"), csv(&[&row(number)])).await?;
            expected.push(row(number));
        }
        table.until("all versions recorded", |items| n_waiting(items) == 36).await?;
        table.delete("deleted.csv").await?;
        table.put("overwritten.csv", csv(&["2,2026-01-02 00:00:00,new and longer"])).await?;
        table.configure(&append("changed")).await?;
        expected.extend(rows(&[
            "2,2026-01-02 00:00:00,new and longer",
            "3,2026-01-01 00:00:00,kept",
            "4,2026-01-01 00:00:00,third and last",
        ]));
        table.rest_with(&expected).await?;
        let quarantine = table.quarantine().await?;
        ensure!(quarantine.len() == 1 && quarantine[0].class == FailureClass::Deleted, "{quarantine:?}");
        table.put("deleted.csv", csv(&["1,2026-01-01 00:00:00,gone"])).await?;
        expected.push("1,2026-01-01 00:00:00,gone".to_owned());
        table.rest_with(&expected).await
    });
}

#[test]
fn a_backlog_of_many_pending_loads_is_drained_with_few_statements() {
    let world = world();
    world.run(async {
        let table = Table::new(world, "backlog", append("backlog")).await?;
        table.hold("SUBMITTED").await?;
        let mut expected = Vec::new();
        for number in 0..60 {
            let row = row(number);
            table.put(&format!("{number}.csv"), csv(&[&row])).await?;
            expected.push(row);
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
        table.until("sixty objects recorded", |items| n_waiting(items) == 60).await?;
        table.release().await?;
        table.rest_with(&expected).await?;
        let n_loads = table.loaded().await?.len();
        ensure!(n_loads <= 4, "{n_loads} loads for one backlog");
        Ok(())
    });
}
