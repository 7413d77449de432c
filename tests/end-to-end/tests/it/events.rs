//! Completion events: doubled, lost, early, and of somebody else. The event is a hint; the service's answer decides.

use end_to_end::files::rows;
use end_to_end::tracker::Tracked;
use end_to_end::{Spec, Table, wait};
use futures::future::join_all;
use loader_core::contract::Function;
use serde_json::{Value, json};

use crate::SUITE;

pub fn specs() -> Vec<Spec> {
    ["doubled", "lost", "early", "somebody_else"].map(Spec::append).to_vec()
}

fn event(name: &str, id: &str, state: &str) -> Value {
    json!({
        "version": "0", "source": "aws.redshift-data", "detail-type": "Redshift Data Statement Status Change",
        "detail": {"statementName": name, "statementId": id, "state": state, "rows": -1},
    })
}

async fn tell(table: &Table<'_>, event: &Value) {
    table.invoke(Function::NextLoader, event).await.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_completion_event_that_comes_twice_settles_once() {
    SUITE.run_alone(async |world| {
        let table = world.table("doubled");
        table.create().await;
        world.clients.standin.set(json!({"events": {"double": 3}})).await.expect("set");
        for n in 0..3 {
            table.put_csv(&format!("{n}.csv"), &rows(n * 10, 10, "d")).await;
        }
        let items = table.until_loaded(3).await;
        let statements = table.statements().await;
        assert_eq!(items.loaded().len(), statements.len(), "{statements:#?}");
        table.assert_rows(&rows(0, 30, "d")).await;
    });
}

#[test]
fn a_lost_completion_event_is_made_good_by_the_sweep() {
    SUITE.run_alone(async |world| {
        let table = world.table("lost");
        table.create().await;
        world.clients.standin.set(json!({"events": {"drop": 1000}})).await.expect("set");
        table.put_csv("a.csv", &rows(0, 10, "l")).await;
        let ended = wait::until(async || {
            let statements = table.statements().await;
            statements.first().filter(|statement| statement["status"] == "FINISHED").map(drop)
        });
        ended.await.expect("the statement ends");
        table.put_csv("b.csv", &rows(10, 10, "l")).await;
        table.drain(2).await;
        table.assert_rows(&rows(0, 20, "l")).await;
    });
}

#[test]
fn an_event_is_not_believed_while_the_statement_runs() {
    SUITE.run(async |world| {
        let table = world.table("early");
        table.create().await;
        table.hold("COMMIT").await;
        table.put_csv("a.csv", &rows(0, 10, "e")).await;
        let items = table
            .until("the load runs", |items| items.running().is_some_and(|running| running.statement_id().is_some()));
        let running = items.await.running().cloned().expect("it runs");
        let id = running.statement_id().expect("submitted").to_owned();
        let name = running.statement_name(&table.deployment.name).to_string();
        for state in ["FINISHED", "FAILED", "ABORTED"] {
            tell(&table, &event(&name, &id, state)).await;
        }
        table.put_csv("b.csv", &rows(10, 10, "e")).await;
        table.until("both wait", |items| crate::paths::n_waiting(items) == 2).await;
        let items = table.items().await;
        assert_eq!(items.running().and_then(|running| running.statement_id()), Some(id.as_str()));
        table.assert_rows(&[]).await;
        table.release().await;
        table.until_loaded(2).await;
        join_all(["FINISHED", "FAILED"].map(|state| event(&name, &id, state)).iter().map(|event| tell(&table, event)))
            .await;
        table.drain(2).await;
        table.assert_rows(&rows(0, 20, "e")).await;
    });
}

#[test]
fn an_event_of_somebody_elses_statement_changes_nothing() {
    SUITE.run(async |world| {
        let table = world.table("somebody_else");
        table.create().await;
        table.hold("SUBMITTED").await;
        table.put_csv("a.csv", &rows(0, 10, "x")).await;
        let is_submitted = |items: &loader_core::tracker::write::Items| {
            items.running().is_some_and(|running| running.statement_id().is_some())
        };
        let before = table.until("the load runs", is_submitted).await;
        let (key, other) = (table.key(), "11111111-2222-3333-4444-555555555555");
        let load = "0123456789abcdef0123456789abcdef";
        let names = [
            "nightly report".to_owned(),
            format!("{}/{key}/{load}/1", table.deployment.name),
            format!("other/{key}/{load}/1"),
            String::new(),
        ];
        for name in &names {
            tell(&table, &event(name, other, "FINISHED")).await;
        }
        tell(&table, &json!({"source": "aws.redshift-data", "detail": {}})).await;
        let after = table.items().await;
        assert_eq!(before.running().map(|running| &running.load_id), after.running().map(|running| &running.load_id));
        assert!(after.loaded().is_empty());
        table.release().await;
        table.until_loaded(1).await;
        table.assert_rows(&rows(0, 10, "x")).await;
    });
}
