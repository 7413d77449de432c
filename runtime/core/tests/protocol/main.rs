//! The protocol step by step, over items in memory: the production decisions and the production writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loader_core::config::LoadConfig;
use loader_core::ids::{DbTable, ObjectVersion, Version};
use loader_core::outcome::FailureClass;
use loader_core::settings::Timing;
use loader_core::tracker::decide::{Action, Change, Context, Idle, View, decide};
use loader_core::tracker::invariant::violations;
use loader_core::tracker::item::{
    ConfigSource, Item, PendingLoad, Prepared, RunningLoad, SortKey, Step, WaitingObject,
};
use loader_core::tracker::prepare::{self, Look, Seen};
use loader_core::tracker::settle::{self, StatementStatus, SubmitAnswer};
use loader_core::tracker::write::{Items, Written, apply};
use loader_core::tracker::{enqueue, operator};
use serde_json::json;

const HOUR: i64 = 3_600_000;

struct Table {
    items: Items,
    config: Arc<LoadConfig>,
    timing: Timing,
    now: i64,
}

impl Table {
    fn new() -> Self {
        let document =
            json!({"copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "c", "db_name": "d"}});
        let config = LoadConfig::from_value(&document).unwrap();
        Self { items: Items::new(), config, timing: Timing::default(), now: 1_000_000 }
    }

    fn name(&self) -> DbTable {
        self.config.db_table()
    }

    fn source(&self) -> ConfigSource {
        ConfigSource { queue: None, recorded: self.config.clone() }
    }

    fn context(&self) -> Context<'_> {
        Context { now: self.now, holder: "me", timing: &self.timing, prefix: Some("dev"), ended: None }
    }

    fn record(&mut self, keys: &[&str]) -> Written {
        let chunk: Vec<WaitingObject> = keys.iter().map(|key| object(key, "1")).collect();
        let transaction = enqueue::record(&chunk, &self.source(), self.timing.ledger_millis, self.now);
        self.now += 1;
        apply(&mut self.items, &transaction)
    }

    fn running(&self) -> Option<RunningLoad> {
        match self.items.get(&SortKey::running()) {
            Some(Item::Running(running)) => Some(running.clone()),
            _ => None,
        }
    }

    fn backlog(&self) -> Vec<PendingLoad> {
        let pending = |item: &Item| if let Item::Pending(pending) = item { Some(pending.clone()) } else { None };
        self.items.values().filter_map(pending).collect()
    }

    fn view(&self) -> View {
        View { running: self.running(), backlog: self.backlog(), configs: BTreeMap::new() }
    }

    fn decide(&self) -> Action {
        decide(&self.name(), &self.view(), &self.context())
    }

    fn apply(&mut self, change: &Change) -> Written {
        let written = apply(&mut self.items, &change.transaction);
        assert_eq!(violations(&self.items), Vec::<String>::new());
        written
    }

    fn claim(&mut self) -> RunningLoad {
        let Action::Write(change) = self.decide() else { panic!("no claim: {:?}", self.decide()) };
        assert_eq!(self.apply(&change), Written::Done);
        self.running().unwrap()
    }

    fn look(&mut self, looks: Vec<Look>) -> Written {
        let running = self.running().unwrap();
        let pendings = self.backlog();
        let seen = Seen { looks, ..Seen::default() };
        let plan = prepare::plan(&running, &pendings, &seen, "s3://m/", &self.context());
        self.apply(&plan.change)
    }

    fn submit(&mut self) {
        let running = self.running().unwrap();
        let Step::Prepared(prepared) = &running.step else { panic!("{running:?}") };
        let answer = SubmitAnswer::Done { statement_id: "s".into() };
        let change = settle::after_submit(&running, prepared, answer, &self.context());
        assert_eq!(self.apply(&change), Written::Done);
    }

    /// From claimed to submitted, every object as it was recorded.
    fn run(&mut self) {
        self.claim();
        let n_objects = self.backlog().iter().map(|pending| pending.objects.len()).sum();
        self.look(vec![found("1"); n_objects]);
        self.submit();
    }

    fn end(&mut self, status: StatementStatus) {
        let running = self.running().unwrap();
        let pendings: Vec<PendingLoad> =
            self.backlog().into_iter().filter(|pending| running.pending_keys.contains(&pending.key)).collect();
        let change = settle::after_status(&running, &pendings, status, &self.context()).unwrap();
        assert_eq!(self.apply(&change), Written::Done);
    }

    fn prepared(&self) -> Prepared {
        match self.running().unwrap().step {
            Step::Prepared(prepared) => prepared,
            step => panic!("{step:?}"),
        }
    }

    fn waiting_keys(&self) -> BTreeSet<String> {
        self.backlog().into_iter().flat_map(|pending| pending.objects).map(|waiting| waiting.object.key).collect()
    }
}

fn object(key: &str, etag: &str) -> WaitingObject {
    let version = Version::ETag(etag.into());
    WaitingObject { object: ObjectVersion { bucket: "b".into(), key: key.into(), version }, size_bytes: 1 }
}

fn found(etag: &str) -> Look {
    Look::Found { version_id: None, etag: Some(etag.into()), size_bytes: 1 }
}

fn failed(error: &str) -> StatementStatus {
    StatementStatus::Failed { error: error.into() }
}

#[test]
fn an_object_version_is_recorded_once() {
    let mut table = Table::new();
    assert_eq!(table.record(&["a", "b"]), Written::Done);
    assert_eq!(table.record(&["b", "c"]), Written::Refused(vec![0]));
    let rest = enqueue::without(&[object("b", "1"), object("c", "1")], &[0]);
    assert_eq!(rest, [object("c", "1")]);
}

#[test]
fn a_stale_claim_can_claim_nothing() {
    let mut table = Table::new();
    table.record(&["a"]);
    let Action::Write(stale) = table.decide() else { panic!() };
    table.run();
    assert_eq!(apply(&mut table.items, &stale.transaction), Written::Refused(vec![0]));
    table.end(StatementStatus::Finished { rows: None });
    // The slot is free again, but what the stale claim wants is gone.
    assert_eq!(apply(&mut table.items, &stale.transaction), Written::Refused(vec![1]));
}

#[test]
fn a_holder_that_was_overtaken_can_change_nothing() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    let old = table.running().unwrap();
    table.end(StatementStatus::Aborted { error: String::new() });
    let late = settle::after_status(&old, &[], StatementStatus::Finished { rows: None }, &table.context()).unwrap();
    assert!(matches!(apply(&mut table.items, &late.transaction), Written::Refused(_)));
    assert_eq!(table.waiting_keys().len(), 1, "still waiting");
}

#[test]
fn the_same_attempt_has_the_same_name_and_the_next_another() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.claim();
    table.look(vec![found("1")]);
    let first = table.prepared();
    let running = table.running().unwrap();
    let unknown = SubmitAnswer::Unknown { reason: "lost".into() };
    let change = settle::after_submit(&running, &first, unknown, &table.context());
    table.apply(&change);
    assert_eq!(table.prepared().statement_name, first.statement_name);
    assert!(table.prepared().uncertain);
    table.submit_later();
    table.end(failed("Serializable isolation violation"));
    table.now += 10_000;
    assert_eq!(table.claim().attempt, 2);
    table.look(vec![found("1")]);
    assert_ne!(table.prepared().statement_name, first.statement_name);
}

impl Table {
    fn submit_later(&mut self) {
        self.now += 60_000;
        assert!(matches!(self.decide(), Action::Submit(_)), "{:?}", self.decide());
        self.submit();
    }
}

#[test]
fn a_lost_submit_is_repeated_then_looked_up_then_given_up() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.claim();
    table.look(vec![found("1")]);
    assert!(matches!(table.decide(), Action::Submit(_)));
    table.now += 7 * HOUR + HOUR / 2;
    assert!(matches!(table.decide(), Action::Idle(Idle::NotBefore(_))), "another's submit may be on its way");
    table.now += HOUR / 2;
    assert!(matches!(table.decide(), Action::Find(_)));
    table.now += 16 * HOUR;
    assert!(matches!(table.decide(), Action::GiveUp));
    let change = settle::outcome_unknown(&table.running().unwrap(), &table.backlog(), &table.context());
    table.apply(&change);
    let classes: Vec<FailureClass> =
        table.items.values().filter_map(|item| if let Item::Failed(q) = item { Some(q.class) } else { None }).collect();
    assert_eq!(classes, [FailureClass::OutcomeUnknown]);
}

#[test]
fn two_invocations_in_one_millisecond_do_not_meet() {
    let mut table = Table::new();
    for keys in [&["a"], &["b"]] {
        assert_eq!(table.record(keys), Written::Done);
        table.now -= 1;
    }
    assert_eq!(table.backlog().len(), 2);
    assert!(matches!(table.record(&["a"]), Written::Refused(_)), "the same objects once more");
    assert_eq!(table.backlog().len(), 2);
}

#[test]
fn the_ledger_in_the_warehouse_answers_for_a_load_that_nobody_remembers() {
    for committed in [true, false] {
        let mut table = Table::new();
        let document = json!({"copy": {"role_arn": "default", "table_name": "t"}, "cluster": {"identifier": "c", "db_name": "d"},
            "options": {"ledger_table": "loads"}});
        table.config = LoadConfig::from_value(&document).unwrap();
        table.record(&["a"]);
        table.claim();
        table.look(vec![found("1")]);
        table.now += 24 * HOUR;
        assert!(matches!(table.decide(), Action::AskLedger));
        let change = settle::after_ledger(&table.running().unwrap(), committed, &table.context());
        assert_eq!(table.apply(&change), Written::Done);
        assert_eq!(table.items.values().any(|item| matches!(item, Item::Loaded(_))), committed);
        assert_eq!(table.backlog().is_empty(), committed);
    }
}

#[test]
fn another_invocation_leaves_a_fresh_claim_alone_and_takes_over_an_old_one() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.claim();
    let other = |table: &Table| {
        let context = Context { holder: "other", ..table.context() };
        decide(&table.name(), &table.view(), &context)
    };
    assert!(matches!(other(&table), Action::Idle(Idle::Held)));
    table.now += table.timing.patience_millis;
    assert!(matches!(other(&table), Action::Look));
}

#[test]
fn an_event_is_only_a_hint_to_ask() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    assert!(matches!(table.decide(), Action::Idle(Idle::StatementRuns)));
    let hinted = Context { ended: Some("s"), ..table.context() };
    assert!(matches!(decide(&table.name(), &table.view(), &hinted), Action::Ask { .. }));
    let foreign = Context { ended: Some("x"), ..table.context() };
    assert!(matches!(decide(&table.name(), &table.view(), &foreign), Action::Idle(Idle::StatementRuns)));
}

#[test]
fn settling_removes_exactly_the_loaded_and_leaves_what_came_meanwhile() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.record(&["b"]);
    table.end(StatementStatus::Finished { rows: Some(1) });
    assert_eq!(table.waiting_keys(), BTreeSet::from(["b".to_owned()]));
    assert!(table.running().is_none());
}

/// Loads everything; `error` is what the warehouse says about a load of these keys. The answer: what was loaded, by how many statements.
fn drain(table: &mut Table, error: impl Fn(&BTreeSet<String>) -> Option<String>) -> (BTreeSet<String>, usize) {
    let (mut loaded, mut statements) = (BTreeSet::new(), 0);
    while !table.backlog().is_empty() {
        table.now += 1;
        let running = table.claim();
        let chosen: Vec<PendingLoad> =
            table.backlog().into_iter().filter(|pending| running.pending_keys.contains(&pending.key)).collect();
        let keys: BTreeSet<String> =
            chosen.iter().flat_map(|pending| &pending.objects).map(|waiting| waiting.object.key.clone()).collect();
        let seen = Seen { looks: vec![found("1"); keys.len()], ..Seen::default() };
        let plan = prepare::plan(&running, &chosen, &seen, "s3://m/", &table.context());
        table.apply(&plan.change);
        table.submit();
        statements += 1;
        if let Some(error) = error(&keys) {
            table.end(failed(&error));
        } else {
            table.end(StatementStatus::Finished { rows: None });
            loaded.extend(keys);
        }
    }
    (loaded, statements)
}

#[test]
fn a_bad_file_is_halved_out_within_the_bound() {
    let mut table = Table::new();
    let keys: Vec<String> = (0..64).map(|number| format!("f{number}")).collect();
    table.record(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let error = "Load into table 't' failed. Check 'sys_load_error_detail'";
    let (loaded, statements) = drain(&mut table, |keys| keys.contains("f42").then(|| error.to_owned()));
    assert_eq!(loaded.len(), 63);
    assert!(statements <= 1 + 2 * 6 + 2, "{statements} statements");
}

/// More pending loads have a bad file each than one transaction could divide.
#[test]
fn a_bad_file_in_each_of_many_pending_loads_is_parted_in_several_steps() {
    let mut table = Table::new();
    for number in 0..40 {
        table.record(&[&format!("good{number}"), &format!("bad{number}")]);
    }
    let error = |keys: &BTreeSet<String>| {
        let named: Vec<String> =
            keys.iter().filter(|key| key.starts_with("bad")).map(|key| format!("file 's3://b/{key}' line 1")).collect();
        (!named.is_empty()).then(|| format!("Load into table 't' failed; {}", named.join("; ")))
    };
    let (loaded, _) = drain(&mut table, error);
    assert_eq!(loaded, (0..40).map(|number| format!("good{number}")).collect());
    let quarantined = table.items.values().filter(|item| matches!(item, Item::Failed(_))).count();
    assert_eq!(quarantined, 40);
}

#[test]
fn a_file_that_the_warehouse_names_is_parted_at_once() {
    let mut table = Table::new();
    table.record(&["a", "b", "c", "ab"]);
    table.run();
    table.end(failed("Load into table 't' failed; file 's3://b/a' line 1"));
    let groups: BTreeSet<Vec<String>> =
        table.backlog().iter().map(|p| p.objects.iter().map(|w| w.object.key.clone()).collect()).collect();
    assert!(groups.contains(&vec!["a".to_owned()]), "{groups:?}");
    assert_eq!(groups.len(), 2);
}

#[test]
fn an_operators_turn_keeps_every_file_and_probes() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    for _ in 0..20 {
        table.now += HOUR;
        table.run();
        table.end(failed("permission denied for relation t"));
        assert_eq!(table.waiting_keys().len(), 2);
        assert!(matches!(table.decide(), Action::Idle(Idle::NotBefore(_))));
    }
}

#[test]
fn a_changed_object_is_refreshed_whatever_failed_before() {
    let mut table = Table::new();
    table.record(&["a"]);
    for error in ["permission denied for relation t", "Rate exceeded", "permission denied for relation t"] {
        table.now += HOUR;
        table.run();
        table.end(failed(error));
    }
    for _ in 0..3 {
        table.now += HOUR;
        table.run();
        table.end(failed("the content_length of the manifest does not match"));
        assert_eq!(table.waiting_keys().len(), 1, "quarantined at once");
    }
    table.now += HOUR;
    table.run();
    table.end(failed("the content_length of the manifest does not match"));
    assert!(table.waiting_keys().is_empty(), "refreshed for ever");
}

#[test]
fn what_is_missing_beside_the_objects_is_an_operators_turn() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    for n_failures in 1..=10 {
        table.now += HOUR;
        table.run();
        table.end(failed("S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey"));
        assert_eq!(table.waiting_keys().len(), 2, "a file is blamed for the JSONPaths file");
        let Step::Waiting { class, .. } = table.running().unwrap().step else { panic!("not waiting") };
        let expected = if n_failures <= 3 { FailureClass::Refresh } else { FailureClass::OperatorsTurn };
        assert_eq!(class, expected, "failure {n_failures}");
    }
}

#[test]
fn a_refused_submit_is_another_attempt_with_the_configuration_of_then() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.claim();
    table.look(vec![found("1")]);
    let (running, prepared) = (table.running().unwrap(), table.prepared());
    let class = FailureClass::RetryLater;
    let answer = SubmitAnswer::Refused { class, reason: "ThrottlingException".into(), first_call: true };
    table.apply(&settle::after_submit(&running, &prepared, answer, &table.context()));
    assert!(matches!(table.running().unwrap().step, Step::Waiting { class: FailureClass::RetryLater, .. }));
}

#[test]
fn a_paused_table_stands_still_also_where_a_load_waits_for_its_next_attempt() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.end(failed("permission denied for relation t"));
    let mut running = table.running().unwrap();
    table.now += HOUR;
    let paused = Arc::new(LoadConfig { paused: true, ..(*table.config).clone() });
    running.source = ConfigSource { queue: Some("q".into()), recorded: table.config.clone() };
    let configs = BTreeMap::from([("q".to_owned(), paused)]);
    for step in [running.step.clone(), Step::Claimed] {
        let running = Some(RunningLoad { step, ..running.clone() });
        let view = View { running, backlog: Vec::new(), configs: configs.clone() };
        assert!(matches!(decide(&table.name(), &view, &table.context()), Action::Idle(Idle::Paused)));
    }
}

impl Table {
    /// These objects of the claimed load may not be looked at.
    fn refuse(&mut self, keys: &[&str]) {
        let running = self.running().unwrap();
        let pendings: Vec<PendingLoad> =
            self.backlog().into_iter().filter(|pending| running.pending_keys.contains(&pending.key)).collect();
        let refused = keys.iter().map(|key| object(key, "1").object.id()).collect();
        let change = settle::unreadable(&running, &pendings, &refused, "403".into(), &self.context());
        assert_eq!(self.apply(&change), Written::Done);
    }
}

#[test]
fn an_object_that_may_not_be_read_is_parted_and_holds_up_nobody() {
    let mut table = Table::new();
    table.record(&["a", "foreign", "b"]);
    table.claim();
    table.refuse(&["foreign"]);
    let mut loaded = BTreeSet::new();
    while loaded.len() < 2 {
        table.now += HOUR;
        let running = table.claim();
        let pendings: Vec<PendingLoad> =
            table.backlog().into_iter().filter(|pending| running.pending_keys.contains(&pending.key)).collect();
        let keys: Vec<String> = pendings.iter().flat_map(|p| &p.objects).map(|w| w.object.key.clone()).collect();
        if keys == ["foreign"] {
            table.refuse(&["foreign"]);
            assert_eq!(table.running(), None, "it holds up the others");
            continue;
        }
        let seen = Seen { looks: vec![found("1"); keys.len()], ..Seen::default() };
        let plan = prepare::plan(&running, &pendings, &seen, "s3://m/", &table.context());
        table.apply(&plan.change);
        table.submit();
        table.end(StatementStatus::Finished { rows: None });
        loaded.extend(keys);
    }
    assert_eq!(table.waiting_keys(), BTreeSet::from(["foreign".to_owned()]));
}

#[test]
fn a_table_whose_objects_may_not_be_read_waits_and_gives_way_after_some_probes() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    let mut n_probes = 0;
    loop {
        table.now += HOUR;
        table.claim();
        table.refuse(&["a", "b"]);
        assert_eq!(table.waiting_keys().len(), 2, "a file is lost");
        n_probes += 1;
        assert!(n_probes <= 7, "it gives way to nobody");
        let Some(running) = table.running() else { break };
        assert!(matches!(running.step, Step::Waiting { class: FailureClass::OperatorsTurn, .. }), "{running:?}");
    }
    assert_eq!(n_probes, 7, "it gives way too soon");
    table.now += 1;
    assert!(matches!(table.decide(), Action::Idle(Idle::NotBefore(_))), "it comes again at once");
}

#[test]
fn a_table_that_waits_can_be_resumed_by_an_operator_once() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    let submitted = table.running().unwrap();
    assert_eq!(operator::resume(&submitted, "operator", table.now), None, "it does not wait");
    table.end(failed("permission denied for relation t"));
    let waiting = table.running().unwrap();
    assert!(matches!(table.decide(), Action::Idle(Idle::NotBefore(_))));

    let resume = operator::resume(&waiting, "operator", table.now).unwrap();
    assert_eq!(apply(&mut table.items, &resume), Written::Done);
    assert!(!matches!(table.decide(), Action::Idle(_)), "{:?}", table.decide());
    assert!(matches!(apply(&mut table.items, &resume), Written::Refused(_)), "the fence: somebody wrote since");
}

#[test]
fn a_newer_version_takes_the_place_and_enters_the_ledger() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.claim();
    table.look(vec![found("2")]);
    let newer = object("a", "2");
    assert!(table.items.contains_key(&SortKey::file(&newer.object)));
    assert_eq!(table.backlog()[0].objects, [newer]);
}

#[test]
fn a_deleted_object_is_quarantined_and_may_come_again() {
    let mut table = Table::new();
    table.record(&["a", "b"]);
    table.claim();
    table.look(vec![Look::Missing, found("1")]);
    assert_eq!(table.waiting_keys(), BTreeSet::from(["b".to_owned()]));
    assert_eq!(table.record(&["a"]), Written::Done);
    let quarantined =
        table.items.values().find_map(|item| if let Item::Failed(q) = item { Some(q.clone()) } else { None });
    let retry = operator::retry(&quarantined.unwrap(), 1000, table.now + 5);
    assert!(matches!(apply(&mut table.items, &retry), Written::Refused(_)), "it is waiting already");
}

#[test]
fn who_submits_what_another_prepared_says_so_first() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.claim();
    table.look(vec![found("1")]);
    let stale = table.running().unwrap();
    table.now += table.timing.patience_millis;
    let other = Context { holder: "other", ..table.context() };
    let Action::Write(change) = decide(&table.name(), &table.view(), &other) else { panic!("submitted in silence") };
    table.apply(&change);
    assert!(table.prepared().uncertain, "the first holder may have submitted");
    // A refusal that the first holder gets now cannot begin the next attempt.
    let refused = SubmitAnswer::Refused { class: FailureClass::OperatorsTurn, reason: String::new(), first_call: true };
    let Step::Prepared(prepared) = &stale.step else { panic!("{stale:?}") };
    let late = settle::after_submit(&stale, prepared, refused, &table.context());
    assert!(matches!(apply(&mut table.items, &late.transaction), Written::Refused(_)));
}

#[test]
fn a_pending_load_that_comes_again_never_gets_its_old_key() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.record(&["b"]);
    table.run();
    let before: BTreeSet<SortKey> = table.backlog().into_iter().map(|pending| pending.key).collect();
    // A clock that is behind shows the very instant of the first record.
    table.now = 1_000_000;
    table.end(failed("Load into table 't' failed"));
    let after: BTreeSet<SortKey> = table.backlog().into_iter().map(|pending| pending.key).collect();
    assert!(before.is_disjoint(&after) && after.len() == 2, "{before:?} {after:?}");
}
