//! Single invocations over the world of the simulation, with the faults of their calls written down.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use loader_core::bulk_request::{self, Position};
use loader_core::ids::Version;
use loader_core::outcome::FailureClass;
use loader_core::settings::Timing;
use loader_core::statement_event::Trigger;
use loader_core::tracker::item::{ConfigSource, Item, PendingLoad, SortKey};
use loader_core::tracker::listing::{Counts, Listing};
use loader_core::tracker::write::slot_of;
use loader_core::tracker::{enqueue, list, write};
use loader_reconcile::next;
use loader_reconcile::reconcile::{Ended, Invocation, reconcile};
use loader_reconcile::search::SEARCH_PAGES_MAX;
use proof::fixture::Blob;
use proof::items::pendings_at;
use proof::mutant::Mutant;
use proof::simulation::Options;
use proof::simulation::faults::Fate;
use proof::simulation::port::Port;
use proof::simulation::port::tracker::{PAGE, WINDOW};
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

fn invocation(stage: &Shared, id: usize) -> (Port, Invocation) {
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
    (Port { stage: stage.clone(), id, skew_millis: 0, hinted: false }, invocation)
}

fn sweep(stage: &Shared, id: usize) {
    let (port, invocation) = invocation(stage, id);
    run(stage, next::handle(&port, Trigger::Sweep, &invocation)).expect("the sweep starts");
}

/// A table without anything, in a world without faults.
fn quiet() -> Stage {
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
    stage.tables.push(config_of(0, false).db_table());
    stage.configs.insert(queue_name(0), config_of(0, false));
    stage
}

/// Puts an object, and records it for a queue as a pending load of its own. Returns its item key.
fn record(stage: &mut Stage, key: &str, source: &ConfigSource) -> SortKey {
    let blob = Blob { etag: "e".into(), size_bytes: 1, bad: false, misfit: false, names: &[], versioned: false };
    let pending = enqueue::pendings(vec![blob.waiting(key)], source, stage.now).remove(0);
    let item_key = pending.key.clone();
    write::apply(stage.items.entry(source.recorded.db_table()).or_default(), &enqueue::record(pending));
    stage.bucket.insert(key.to_owned(), blob);
    item_key
}

/// A table with one file that waits, and a folder that a request has begun to list.
fn file_and_folder() -> Shared {
    let mut stage = quiet();
    let config = config_of(0, false);
    let table = config.db_table();
    record(&mut stage, "t0/a", &ConfigSource { queue: Some(queue_name(0)), recorded: config });
    let path = bulk_request::parse(&request_of(0)).expect("a request").remove(0);
    let position = Position { key: "t0/a".into(), version_id: None, line: None };
    let begun = Listing::begin(&table, &path.request, position, Counts::default(), ("dead", 0));
    write::apply(stage.items.entry(table.clone()).or_default(), &list::store(&table, &begun.clone(), begun).1);
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

/// A table in whose loads fit all files of a test.
const WIDE: usize = 6;
/// Files that wait together; a listing takes the place of most looks.
const TOGETHER: usize = 20;

/// A table with files that wait together.
fn files_together() -> Shared {
    let mut stage = quiet();
    let config = config_of(WIDE, false);
    stage.tables = vec![config.db_table()];
    stage.configs = [(queue_name(WIDE), config.clone())].into();
    let source = ConfigSource { queue: Some(queue_name(WIDE)), recorded: config };
    for number in 0..TOGETHER {
        record(&mut stage, &format!("t6/{number:02}"), &source);
    }
    Arc::new(Mutex::new(stage))
}

/// Sweeps, and returns how many looks and how many listings that took. `others` are the outcomes of other calls.
fn looks_of_sweep(stage: &Shared, id: usize, others: Vec<(&'static str, Fate)>) -> (usize, usize) {
    const MORE_THAN_ANY: usize = 3 * TOGETHER;
    with(stage, |stage| {
        stage.script = others;
        for operation in ["object", "list"] {
            stage.script.extend(vec![(operation, Fate::Answered); MORE_THAN_ANY]);
        }
    });
    sweep(stage, id);
    let made = |operation| {
        let left = with(stage, |stage| stage.script.iter().filter(|(left, _)| *left == operation).count());
        MORE_THAN_ANY - left
    };
    (made("object"), made("list"))
}

/// The keys in the manifest that was written last.
fn listed(stage: &Shared) -> Vec<String> {
    let manifests = with(stage, |stage| stage.manifests.values().cloned().collect::<Vec<_>>());
    let [manifest] = manifests.as_slice() else { panic!("not one manifest: {manifests:?}") };
    manifest.split("s3://files/").skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn files_that_a_listing_shows_unchanged_are_not_looked_at_and_all_others_are() {
    let stage = files_together();
    with(&stage, |stage| {
        stage.bucket.remove("t6/07");
        stage.bucket.get_mut("t6/05").expect("a file").etag = "newer".into();
        stage.bucket.get_mut("t6/06").expect("a file").size_bytes = 2;
    });
    assert_eq!(looks_of_sweep(&stage, 1, Vec::new()), (3, 1));
    let expected: Vec<String> = (0..TOGETHER).filter(|n| *n != 7).map(|n| format!("t6/{n:02}")).collect();
    assert_eq!(listed(&stage), expected);
    let table = with(&stage, |stage| stage.tables[0].clone());
    let slot = with(&stage, |stage| slot_of(&stage.items[&table]));
    let prepared = slot.load.as_ref().and_then(|load| load.prepared()).expect("a prepared load");
    assert_eq!(prepared.size_bytes, 18 + 2, "the size that the look showed");
}

#[test]
fn two_versions_of_a_key_are_looked_at_once_and_listed_once() {
    let stage = files_together();
    with(&stage, |stage| {
        let source = ConfigSource { queue: Some(queue_name(WIDE)), recorded: config_of(WIDE, false) };
        stage.now += 1;
        let key = record(stage, "t6/05", &source);
        let Some(Item::Pending(pending)) = stage.items.values_mut().find_map(|items| items.get_mut(&key)) else {
            panic!("not recorded")
        };
        pending.objects[0].object.version = Version::ETag("older".into());
    });
    assert_eq!(looks_of_sweep(&stage, 1, Vec::new()), (1, 1));
    assert_eq!(listed(&stage).len(), TOGETHER);
}

#[test]
fn without_a_listing_and_after_a_failed_attempt_every_file_is_looked_at() {
    let refused = Fate::Refused(FailureClass::RetryLater);
    let stage = files_together();
    assert_eq!(looks_of_sweep(&stage, 1, vec![("list", refused)]), (TOGETHER, 0));

    let stage = files_together();
    assert_eq!(looks_of_sweep(&stage, 1, vec![("submit", refused)]), (0, 1));
    with(&stage, |stage| stage.now += 120_000);
    assert_eq!(looks_of_sweep(&stage, 2, Vec::new()), (TOGETHER, 0));
}

#[test]
fn a_listing_among_many_other_files_ends_with_its_first_page() {
    let stage = files_together();
    with(&stage, |stage| {
        let other = stage.bucket["t6/00"].clone();
        stage.bucket.extend((0..200).map(|n| (format!("t6/00 {n:03}"), other.clone())));
    });
    // The first file lies before them.
    assert_eq!(looks_of_sweep(&stage, 1, Vec::new()), (TOGETHER - 1, 1));
}

/// Pending loads that a sweep searches, besides the oldest and the newest ones.
const SEARCHED: usize = PAGE * SEARCH_PAGES_MAX;
const N_WAITING: usize = 1_000;

/// A table of two queues. The first has a thousand waiting files, changed by `change`, and the other has one, at this position among them.
fn thousand_and_one(at: usize, change: impl Fn(&mut PendingLoad)) -> Shared {
    let mut stage = quiet();
    let source = |queue: &str| ConfigSource { queue: Some(queue.to_owned()), recorded: config_of(0, false) };
    let first = source(&queue_name(0));
    for number in 0..N_WAITING {
        if number == at {
            record(&mut stage, "t0/other", &source("other"));
        }
        let key = record(&mut stage, &format!("t0/{number}"), &first);
        if let Some(Item::Pending(pending)) =
            stage.items.get_mut(&stage.tables[0]).and_then(|items| items.get_mut(&key))
        {
            change(pending);
        }
        stage.now += 1;
    }
    stage.configs.insert("other".to_owned(), config_of(0, false));
    Arc::new(Mutex::new(stage))
}

/// The keys of the objects in each load so far.
fn submitted(stage: &Shared) -> Vec<Vec<String>> {
    with(stage, |stage| {
        let Some(Item::Slot(slot)) = stage.items[&stage.tables[0]].get(&SortKey::slot()) else { return Vec::new() };
        let pendings =
            pendings_at(&stage.items[&stage.tables[0]], slot.load.as_ref().map_or(&[], |it| &it.pending_keys));
        let keys = |pending: &PendingLoad| pending.objects.iter().map(|waiting| waiting.object.key.clone()).collect();
        pendings.iter().map(keys).collect()
    })
}

/// Sweeps until the other queue's file is being loaded, and returns how many sweeps that took. Each makes few calls.
fn sweeps_until_other(stage: &Shared) -> usize {
    for n_sweeps in 1..=20 {
        let before = with(stage, |stage| stage.calls);
        sweep(stage, n_sweeps);
        let calls = with(stage, |stage| stage.calls) - before;
        assert!(calls <= 2 * SEARCH_PAGES_MAX + 16, "{calls} calls of a sweep");
        if submitted(stage) == [["t0/other"]] {
            return n_sweeps;
        }
        assert_eq!(submitted(stage), Vec::<Vec<String>>::new());
        with(stage, |stage| stage.now += 60_000);
    }
    panic!("the other queue's file is never found");
}

#[test]
fn a_paused_queue_keeps_no_other_queue_of_its_table_waiting_however_much_of_it_waits() {
    for (at, n_sweeps) in [(0, 1), (100, 1), (500, 4), (N_WAITING - 1, 1)] {
        assert!(n_sweeps == 1 || at > WINDOW + (n_sweeps - 1) * SEARCHED, "the search of a sweep would reach {at}");
        let stage = thousand_and_one(at, |_| ());
        with(&stage, |stage| stage.configs.insert(queue_name(0), config_of(0, true)));
        assert_eq!(sweeps_until_other(&stage), n_sweeps, "at {at}");
    }
}

#[test]
fn files_that_were_set_aside_keep_no_others_waiting() {
    let aside = |pending: &mut PendingLoad| pending.not_before_millis = i64::MAX;
    assert_eq!(sweeps_until_other(&thousand_and_one(500, aside)), 4);
}

#[test]
fn a_search_without_result_begins_anew_and_an_unpaused_queue_loads_at_once() {
    let stage = thousand_and_one(usize::MAX, |_| ());
    with(&stage, |stage| stage.configs.insert(queue_name(0), config_of(0, true)));
    let searched = |stage: &Shared| with(stage, |stage| slot_of(&stage.items[&stage.tables[0]]).searched);
    let mut positions = Vec::new();
    for n_sweeps in 1..=10 {
        sweep(&stage, n_sweeps);
        positions.push(searched(&stage));
    }
    let ends = positions.iter().filter(|position| position.is_none()).count();
    assert_eq!(ends, 1, "a thousand loads take eight sweeps: {positions:?}");
    assert!(positions[..7].is_sorted() && positions[7].is_none() && positions[8] == positions[0], "{positions:?}");
    with(&stage, |stage| stage.configs.insert(queue_name(0), config_of(0, false)));
    sweep(&stage, 11);
    assert!(submitted(&stage).len() > 1, "nothing is loaded");
}

#[test]
fn a_file_that_arrives_for_a_paused_queue_does_not_search_the_backlog() {
    let stage = thousand_and_one(500, |_| ());
    with(&stage, |stage| stage.configs.insert(queue_name(0), config_of(0, true)));
    let table = with(&stage, |stage| stage.tables[0].clone());
    let (port, invocation) = invocation(&stage, 1);
    assert!(matches!(run(&stage, reconcile(&port, &table, &invocation, None)), Ended::Idle(_)));
    let calls = with(&stage, |stage| stage.calls);
    assert!(calls <= 4, "{calls} calls: the slot, the backlog's ends, and the queues' configurations");
}
