//! The crash matrix: the real functions are killed, and their calls disturbed, at every AWS call of a load in turn.
//!
//! Several deployments are loaded side by side, because a fault is aimed at one function of one deployment. After every
//! point the table holds exactly the rows of all files so far: nothing lost, nothing twice, nothing stuck.
//! `END_TO_END_FULL=1` tries every fault at every call; without it the milder faults are tried at every third.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use end_to_end::files::{csv, row};
use end_to_end::table::n_loaded;
use end_to_end::tracker::Tracked;
use end_to_end::{Row, Spec, Suite, Table, Tuning, World, diagnosis, model};
use futures::future::join_all;
use loader_core::contract::Function;
use local_stack::{Toxic, ToxicKind};
use serde_json::{Value, json};

/// Deployments that are loaded side by side.
const LANES: usize = 6;
const FULL: &str = "END_TO_END_FULL";
/// Calls that are disturbed one after the other, so that the repeats of the SDK fail as well.
const SDK_ATTEMPTS: u64 = 4;
const FILES: usize = 3;
/// Longest time of one point.
const POINT_SECONDS_MAX: u64 = 90;
/// Time without our sweep, for events and redelivery to do it alone.
const SWEEP_MILLIS: u64 = 700;

static SUITE: Suite = Suite::new(|| (0..LANES).map(lane).collect());

fn lane(number: usize) -> (Tuning, Vec<Spec>) {
    let specs = ["append", "merge"].map(|scenario| {
        let name = format!("{scenario}_{number}");
        let spec = if scenario == "append" { Spec::append(&name) } else { Spec::merge(&name) };
        spec.silent().visible_after(2)
    });
    (Tuning { change: receive_for_ever, ..Tuning::quick(&format!("lane{number}")) }, specs.to_vec())
}

/// A message that meets one fault after the other is not to be given up.
fn receive_for_ever(template: &mut Value) {
    let resources = template["Resources"].as_object_mut().expect("resources");
    for policy in resources.values_mut().filter_map(|r| r["Properties"].get_mut("RedrivePolicy")) {
        policy["maxReceiveCount"] = json!(1000);
    }
}

/// One fault at one call.
#[derive(Clone, Debug)]
struct Point {
    scenario: &'static str,
    function: Function,
    kind: ToxicKind,
    call: u64,
}

/// One table of a lane, and everything that was ever dropped into it.
struct Lane<'w> {
    table: Table<'w>,
    rows: Vec<Row>,
    n_files: u64,
}

impl<'w> Lane<'w> {
    async fn new(world: &'w World, scenario: &str, number: usize) -> Self {
        let table = world.table(&format!("{scenario}_{number}"));
        table.create().await;
        Self { table, rows: Vec::new(), n_files: 0 }
    }

    /// What must be in the table now.
    fn expected(&self) -> Vec<Row> {
        if self.table.spec.name.starts_with("append") { self.rows.clone() } else { model::newest(&self.rows, &[0], 1) }
    }

    /// Drops files, one message for all of them, and waits until the table is drained.
    async fn load(&mut self) -> Result<(), String> {
        let mut names = Vec::new();
        for file in 0..FILES {
            let number = i32::try_from(self.n_files).expect("few files");
            // Keys come again and again, in this load and in later ones; times go up and down.
            let at = |n: i32| format!("2026-01-{:02} 00:00:00", 1 + (number * 7 + n * 11) % 28);
            let rows: Vec<Row> =
                (0..5).map(|n| row((number * 2 + n) % 20, &at(n), &format!("{number} {n} {file}"))).collect();
            let name = format!("{number:05}.csv");
            self.table.put(&name, csv(&rows)).await;
            self.rows.extend(rows);
            self.n_files += 1;
            names.push(name);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.table.send(&self.table.notification(&names).await.to_string()).await;
        self.drain().await
    }

    async fn drain(&self) -> Result<(), String> {
        let started = Instant::now();
        let mut swept = Instant::now();
        loop {
            let items = self.table.items().await;
            if items.is_drained() && n_loaded(&items) >= self.n_files && self.table.n_messages().await == 0 {
                items.assert_invariants();
                let found = self.table.rows().await;
                let same = end_to_end::check::assert_same_rows(&found, &self.expected());
                return match (same, items.failed().as_slice()) {
                    (Err(difference), _) => Err(format!("{difference}\n{}", diagnosis::of(&self.table).await)),
                    (Ok(()), []) => Ok(()),
                    (Ok(()), failed) => Err(format!("quarantine: {failed:#?}")),
                };
            }
            if started.elapsed() > Duration::from_secs(POINT_SECONDS_MAX) {
                return Err(format!("not drained\n{}", diagnosis::of(&self.table).await));
            }
            if swept.elapsed() > Duration::from_millis(SWEEP_MILLIS) {
                self.table.sweep().await;
                swept = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tries a point; whether its fault was met.
    async fn attempt(&mut self, point: &Point) -> Result<bool, String> {
        let admin = &self.table.world.admin;
        let kills = matches!(point.kind, ToxicKind::KillBefore | ToxicKind::KillAfter | ToxicKind::Double);
        let toxic = Toxic {
            function: Some(self.table.deployment.function(point.function)),
            times: Some(if kills { 1 } else { SDK_ATTEMPTS }),
            ..Toxic::new(point.kind.clone()).once_after(point.call)
        };
        let id = admin.add_toxic(&toxic).await.expect("the gateway answers");
        let outcome = self.load().await;
        let toxics = admin.toxics().await.expect("the gateway answers");
        admin.remove_toxic(&id).await.expect("the gateway answers");
        let applied = toxics.iter().any(|state| state.toxic.id.as_ref() == Some(&id) && state.applied > 0);
        outcome.map(|()| applied).map_err(|error| format!("{point:?}: {error}"))
    }
}

fn kinds() -> [(ToxicKind, bool); 7] {
    let error = ToxicKind::Error { status: 500, code: "InternalServerError".into(), message: "injected".into() };
    [
        (ToxicKind::KillBefore, true),
        (ToxicKind::KillAfter, true),
        (ToxicKind::DropResponse, true),
        (ToxicKind::DropRequest, false),
        (error, false),
        (ToxicKind::Throttle, false),
        (ToxicKind::Double, false),
    ]
}

/// The calls of an undisturbed load, per function: the second load of warm functions, and one call more for good measure.
async fn n_calls(lane: &mut Lane<'_>) -> BTreeMap<&'static str, u64> {
    let admin = &lane.table.world.admin;
    lane.load().await.expect("an undisturbed load");
    let before = admin.log(0).await.expect("a log").last().map_or(0, |entry| entry.sequence);
    lane.load().await.expect("an undisturbed load");
    let calls = admin.log(before).await.expect("a log");
    let count = |function: Function| {
        let name = lane.table.deployment.function(function);
        let calls: Vec<_> = calls.iter().filter(|call| call.function.as_ref() == Some(&name)).collect();
        let names: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
        println!("{} {}: {}", lane.table.spec.name, function.name(), names.join(" "));
        (function.name(), calls.len() as u64 + 1)
    };
    [Function::MicrobatchLoader, Function::NextLoader].map(count).into()
}

fn points(scenario: &'static str, calls: &BTreeMap<&'static str, u64>) -> Vec<Point> {
    let full = std::env::var_os(FULL).is_some();
    let mut points = Vec::new();
    for (index, (kind, everywhere)) in kinds().into_iter().enumerate() {
        for function in [Function::MicrobatchLoader, Function::NextLoader] {
            for call in 0..calls[function.name()] {
                if everywhere || full || (call + index as u64).is_multiple_of(3) {
                    points.push(Point { scenario, function, kind: kind.clone(), call });
                }
            }
        }
    }
    points
}

#[test]
fn rows_are_exact_whatever_call_the_functions_die_at() {
    SUITE.run_alone(async |world| {
        let mut lanes = Vec::new();
        for number in 0..LANES {
            lanes.push([Lane::new(world, "append", number).await, Lane::new(world, "merge", number).await]);
        }
        let mut wanted = VecDeque::new();
        for (scenario, index) in [("append", 0), ("merge", 1)] {
            let calls = n_calls(&mut lanes[0][index]).await;
            wanted.extend(points(scenario, &calls));
        }
        let (wanted, failures, met) = (Mutex::new(wanted), Mutex::new(Vec::new()), Mutex::new(0));
        let next = || wanted.lock().expect("no panic").pop_front();
        let work = lanes.iter_mut().map(async |[append, merge]| {
            while let Some(point) = next() {
                let lane = if point.scenario == "append" { &mut *append } else { &mut *merge };
                match lane.attempt(&point).await {
                    Ok(applied) => *met.lock().expect("no panic") += i32::from(applied),
                    // This table is not what it should be: the others go on.
                    Err(error) => return failures.lock().expect("no panic").push(error),
                }
            }
        });
        join_all(work).await;
        println!("proof: crash matrix: {} points tried", met.lock().expect("no panic"));
        let failures = failures.into_inner().expect("no panic");
        assert!(failures.is_empty(), "{} tables are wrong\n{}", failures.len(), failures.join("\n\n"));
    });
}
