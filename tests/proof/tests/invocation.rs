//! Single invocations over the world of the simulation, with the faults of their calls written down.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use loader_core::bulk_request::{self, Position};
use loader_core::outcome::FailureClass;
use loader_core::settings::Timing;
use loader_core::statement_event::Trigger;
use loader_core::tracker::item::ConfigSource;
use loader_core::tracker::listing::{Counts, Listing};
use loader_core::tracker::{enqueue, list, write};
use loader_reconcile::next;
use loader_reconcile::reconcile::Invocation;
use proof::fixture::Blob;
use proof::mutant::Mutant;
use proof::simulation::Options;
use proof::simulation::faults::Fate;
use proof::simulation::port::Port;
use proof::simulation::stage::{Stage, Wake};
use proof::simulation::tables::{bulk_request as request_of, config_of, queue_name};

type Shared = Arc<Mutex<Stage>>;

fn with<T>(stage: &Shared, work: impl FnOnce(&mut Stage) -> T) -> T {
    work(&mut stage.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs a flow to its end in virtual time; statements do not end meanwhile.
fn run<F: Future>(stage: &Shared, flow: F) -> F::Output {
    let mut flow = pin!(flow);
    loop {
        if let Poll::Ready(output) = flow.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        with(stage, |stage| {
            let later = stage.timers.iter().find(|(_, wake)| matches!(wake, Wake::Task(..))).map(|(at, _)| *at);
            let at = later.expect("the flow waits for a timer");
            stage.now = stage.now.max(at.0);
            if let Some(Wake::Task(_, waker)) = stage.timers.remove(&at) {
                waker.wake();
            }
        });
    }
}

fn sweep(stage: &Shared, id: usize) {
    let deadline = with(stage, |stage| stage.now + 100_000);
    let invocation = Invocation {
        holder: format!("i{id}"),
        timing: Timing::default(),
        prefix: Some("p".to_owned()),
        deadline,
        awake: false,
        turn: false,
        sweeps: false,
    };
    let port = Port { stage: stage.clone(), id, skew_millis: 0, hinted: false };
    run(stage, next::handle(&port, Trigger::Sweep, &invocation)).expect("the sweep starts");
}

/// A table with one file that waits, and a folder that a request has begun to list.
fn file_and_folder() -> Shared {
    let options = Options {
        tables: 1,
        changes: 0,
        minutes: 1,
        folder_max: 0,
        faults_per_mille: 0,
        outage_hours: 0,
        mutant: Mutant::None,
    };
    let mut stage = Stage::new(1, options);
    let config = config_of(0, false);
    let table = config.db_table();
    let blob = Blob { etag: "e".into(), size_bytes: 1, bad: false, misfit: false, names: &[], versioned: false };
    let source = ConfigSource { queue: Some(queue_name(0)), recorded: config.clone() };
    let items = stage.items.entry(table.clone()).or_default();
    for pending in enqueue::pendings(vec![blob.waiting("t0/a")], &source, stage.now) {
        write::apply(items, &enqueue::record(pending));
    }
    let path = bulk_request::parse(&request_of(0)).expect("a request").remove(0);
    let position = Position { key: "t0/a".into(), version_id: None, line: None };
    let begun = Listing::begin(&table, &path.request, position, Counts::default(), ("dead", 0));
    write::apply(items, &list::store(&table, &begun.clone(), begun).1);
    stage.bucket.insert("t0/a".into(), blob);
    stage.configs.insert(queue_name(0), config);
    stage.tables.push(table);
    Arc::new(Mutex::new(stage))
}

#[test]
fn a_submit_without_an_answer_is_remembered_when_the_sweep_comes_back_to_the_table() {
    let stage = file_and_folder();
    // The submit arrives, its answer is lost, and the tracker is away when that is to be stored. After the folder the same
    // invocation submits again, and this time it is refused: that says nothing about the first submit.
    with(&stage, |stage| {
        stage.script = vec![
            ("submit", Fate::LostAfter),
            ("write", Fate::Answered),
            ("write", Fate::Refused(FailureClass::RetryLater)),
            ("submit", Fate::Refused(FailureClass::RetryLater)),
        ];
    });
    sweep(&stage, 1);
    with(&stage, |stage| assert!(stage.script.is_empty(), "not all of it happened: {:?}", stage.script));
    with(&stage, |stage| stage.now += 120_000);
    sweep(&stage, 2);
    with(&stage, |stage| assert_eq!(stage.violations.iter().collect::<Vec<_>>(), Vec::<&String>::new()));
    with(&stage, |stage| assert_eq!(stage.warehouse.statements.len(), 1, "{:?}", stage.warehouse.statements));
}
