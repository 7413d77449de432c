//! Tables in every state, and what is reported about them.

use loader_core::config::LoadConfig;
use loader_core::fit::Fit;
use loader_core::ids::{LoadId, ObjectVersion, StatementName, Version, WaitingObject};
use loader_core::tracker::enqueue;
use loader_core::tracker::item::{ConfigSource, Quarantined, SortKey};
use loader_core::tracker::slot::{Pause, Prepared};
use loader_core::tracker::view::TableState;
use serde_json::json;

use super::*;

const NOW: Millis = 1_700_000_000_000;
const MINUTE: Millis = 60_000;

fn source(alarm_after_seconds: u32) -> ConfigSource {
    let document = json!({
        "copy": {"role_arn": "default", "table_name": "shop.sales"}, "cluster": {"identifier": "c", "db_name": "d"},
        "load": {"alarm_after_seconds": alarm_after_seconds},
    });
    ConfigSource { queue: Some("sales".into()), recorded: LoadConfig::from_value(&document).unwrap() }
}

fn objects() -> Vec<WaitingObject> {
    let version = Version::ETag("e".into());
    vec![WaitingObject { object: ObjectVersion { bucket: "b".into(), key: "k".into(), version }, size_bytes: 7 }]
}

/// A table whose file has waited this long, with a queue whose files are late after ten minutes.
pub fn waiting(age: Millis) -> Facts {
    let source = source(600);
    let queue = QueueFacts { name: "sales".into(), config: Ok(source.recorded.clone()), dead_letters: Some(0) };
    let backlog = enqueue::pendings(objects(), &source, NOW - age);
    Facts {
        table: Some(source.recorded.db_table().0),
        state: TableState { slot: Slot::default(), backlog, complete: true },
        queues: vec![queue],
        ..Facts::default()
    }
}

fn loading(step: Step) -> Facts {
    let mut facts = waiting(MINUTE);
    let pending = &facts.state.backlog[0];
    let load = RunningLoad {
        load_id: LoadId("0123456789abcdef0123456789abcdef".into()),
        holder: "h".into(),
        touched_millis: NOW,
        claimed_millis: NOW - MINUTE,
        recorded_millis: pending.recorded_millis,
        attempt: 2,
        failures: 1,
        refreshes: 0,
        awaits_operator: false,
        pending_keys: vec![pending.key.clone()],
        source: pending.source.clone(),
        step,
    };
    facts.state.slot.load = Some(load);
    facts
}

fn failed_with(class: FailureClass, reason: &str) -> Step {
    Step::Waiting { not_before_millis: NOW + 3 * MINUTE, class, reason: reason.into() }
}

pub fn submitted() -> Facts {
    let statement_name = StatementName {
        prefix: "dev".into(),
        table: source(600).recorded.db_table(),
        load_id: LoadId("0123456789abcdef0123456789abcdef".into()),
        attempt: 2,
    };
    let prepared = Prepared {
        manifest: "s3://m/x".into(),
        n_objects: 1,
        size_bytes: 7,
        fit: Fit::default(),
        statement_name,
        prepared_millis: NOW,
        not_before_millis: 0,
        refusals: 0,
        uncertain: false,
    };
    let statement_id = "97b3c928-1e4c-4c7a-adac-51a509923491".into();
    loading(Step::Submitted { prepared, statement_id, submitted_millis: NOW - 30_000, cancelled_millis: None })
}

pub fn in_quarantine() -> Facts {
    let failed = Quarantined {
        key: SortKey::failed(NOW, &LoadId("1".into())),
        objects: objects(),
        source: source(600),
        class: FailureClass::BadInput,
        error: "ERROR:  Load into table 'sales' failed.\n  -----\n  Invalid digit".into(),
        statement_id: None,
        remedy: FailureClass::BadInput.remedy().into(),
        is_misfit: false,
    };
    Facts { quarantine: vec![failed], ..waiting(0) }
}

fn judged(facts: Facts) -> (Health, State, String) {
    let report = judge(facts, "", NOW);
    (report.health, report.state, report.advice.join("; "))
}

#[test]
fn a_table_is_late_when_its_oldest_file_waits_longer_than_its_queue_allows() {
    assert_eq!(judged(waiting(10 * MINUTE)), (Health::Healthy, State::Waiting, String::new()));
    let (health, state, advice) = judged(waiting(10 * MINUTE + 1));
    assert_eq!((health, state), (Health::Late, State::Waiting));
    assert!(advice.contains("no load is running: run cargo xtask resume shop.sales"), "{advice}");
}

#[test]
fn a_table_without_a_queue_is_judged_by_its_recorded_configuration() {
    let facts = Facts { queues: Vec::new(), ..waiting(10 * MINUTE + 1) };
    assert_eq!(judged(facts).0, Health::Late);
}

#[test]
fn a_load_that_waits_for_an_operator_is_broken_and_one_that_tries_again_is_not() {
    let (health, state, advice) = judged(loading(failed_with(FailureClass::OperatorsTurn, "permission denied")));
    assert_eq!((health, state), (Health::Broken, State::Operator));
    assert!(advice.contains("permission denied; remove the cause, then run cargo xtask resume shop.sales"), "{advice}");
    let (health, state, advice) = judged(loading(failed_with(FailureClass::RetryLater, "busy")));
    assert_eq!((health, state), (Health::Healthy, State::Retrying));
    assert!(advice.contains("attempt 2 failed (retry_later): busy; retries on its own in 3 min"), "{advice}");
}

#[test]
fn a_load_that_runs_is_named_with_its_statement() {
    let report = judge(submitted(), "", NOW);
    assert_eq!((report.health, report.state, report.advice.len()), (Health::Healthy, State::Loading, 0));
    assert_eq!(report.running.unwrap().since_millis, NOW - 30_000);
}

#[test]
fn a_load_without_a_worker_and_one_with_a_lost_event_can_be_checked() {
    let mut facts = loading(Step::Claimed);
    assert_eq!(judged(facts.clone()).2, "");
    facts.state.slot.load.as_mut().unwrap().touched_millis = NOW - 2 * MINUTE;
    let advice = judged(facts).2;
    assert!(advice.contains("nothing has worked on its load for 2 min"), "{advice}");
    assert!(advice.contains("cargo xtask resume shop.sales"), "{advice}");
    let mut facts = submitted();
    facts.state.slot.load.as_mut().unwrap().recorded_millis = NOW - 11 * MINUTE;
    let (health, _, advice) = judged(facts);
    assert_eq!(health, Health::Late);
    assert!(advice.contains("its event is lost: cargo xtask resume shop.sales"), "{advice}");
}

#[test]
fn quarantine_dead_letters_and_a_wrong_file_are_broken() {
    let (health, state, advice) = judged(in_quarantine());
    assert_eq!((health, state), (Health::Broken, State::Waiting));
    assert!(advice.contains("cargo xtask retry shop.sales"), "{advice}");

    let mut facts = waiting(0);
    facts.queues[0].dead_letters = Some(2);
    let (health, _, advice) = judged(facts);
    assert!(health == Health::Broken && advice.contains("cargo xtask redrive sales"), "{advice}");

    let queue = QueueFacts { name: "x".into(), config: Err("not JSON".into()), dead_letters: None };
    let (health, _, advice) = judged(Facts { queues: vec![queue], ..Facts::default() });
    assert_eq!((health, advice.as_str()), (Health::Broken, "queue x: not JSON"));
}

#[test]
fn a_paused_table_says_who_paused_it_and_how_to_resume_it() {
    let mut facts = waiting(MINUTE);
    let pause = Pause { by: "ada".into(), since_millis: NOW - 2 * MINUTE, reason: Some("rebuild".into()) };
    facts.state.slot.pause = Some(pause.clone());
    let (health, state, advice) = judged(facts);
    assert_eq!((health, state), (Health::Healthy, State::Paused));
    assert_eq!(advice, "ada paused it 2 min ago (rebuild); to resume: cargo xtask unpause shop.sales");
    let mut facts = submitted();
    facts.state.slot.pause = Some(pause);
    assert_eq!(judged(facts).1, State::Loading, "what is submitted ends");
}

#[test]
fn advised_commands_mean_the_same_stack() {
    let mut facts = in_quarantine();
    facts.queues[0].dead_letters = Some(1);
    let advice = judge(facts, " --local", NOW).advice.join("; ");
    for command in ["retry shop.sales --local", "dismiss shop.sales --local", "logs --local", "redrive sales --local"] {
        assert!(advice.contains(command), "{command}: {advice}");
    }
}

#[test]
fn a_table_that_never_loaded_is_new() {
    let facts = Facts { state: TableState::default(), ..waiting(0) };
    assert_eq!(judged(facts), (Health::Healthy, State::New, String::new()));
}
