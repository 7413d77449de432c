//! An attempt has one name and one token; an outcome that can no longer be known is never guessed.

use loader_core::outcome::FailureClass;
use loader_core::tracker::change::Note;
use loader_core::tracker::decide::{Action, Context, Idle, decide};
use loader_core::tracker::item::LedgerMark;
use loader_core::tracker::settle::{self, StatementStatus, SubmitOutcome};
use loader_core::tracker::slot::{Held, Step};
use serde_json::json;

use crate::table::{HOUR, Table, many, object, refs};

/// The name of the next action.
fn action(table: &Table) -> &'static str {
    match decide(&table.name(), &table.view(), &table.context()) {
        Action::Idle(Idle::NotBefore(_)) => "wait",
        Action::Idle(_) => "idle",
        Action::Write(_) => "write",
        Action::Look { .. } => "look",
        Action::Submit(..) => "submit",
        Action::Find(..) => "find",
        Action::Ask(..) => "ask",
        Action::AskWarehouseLedger(..) => "ask the ledger in the warehouse",
        Action::Quarantine(_) => "quarantine",
    }
}

impl Table {
    fn outcome(&mut self, outcome: SubmitOutcome) {
        let slot = self.slot();
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let change = settle::after_submit(held, &self.prepared(), outcome, &self.context());
        self.done(&change);
    }

    fn write_next(&mut self) -> Note {
        let view = self.view();
        let Action::Write(change) = decide(&self.name(), &view, &self.context()) else { panic!("nothing to write") };
        self.done(&change);
        change.note
    }

    /// What follows [`Step::GivenUp`].
    fn quarantine_all(&mut self) {
        assert_eq!(action(self), "quarantine");
        let slot = self.slot();
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let change = settle::outcome_unknown(held, &self.own(), &self.context());
        self.done(&change);
    }
}

fn unknown() -> SubmitOutcome {
    SubmitOutcome::Unknown { reason: "lost".into() }
}

#[test]
fn the_same_attempt_has_the_same_name_and_the_next_another() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare_all();
    let first = table.prepared();
    table.outcome(unknown());
    assert_eq!(table.prepared().statement_name, first.statement_name);
    assert!(table.prepared().uncertain);
    table.now += 60_000;
    assert_eq!(action(&table), "submit");
    table.submit();
    table.fail("Serializable isolation violation");
    table.now += 10_000;
    table.prepare_all();
    assert_eq!(table.load().attempt, 2);
    assert_ne!(table.prepared().statement_name, first.statement_name);
}

#[test]
fn a_lost_submit_is_repeated_then_looked_up_then_given_up() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare_all();
    assert_eq!(action(&table), "submit");
    table.now += 7 * HOUR + HOUR / 2;
    assert_eq!(action(&table), "wait", "another's submit may be on its way");
    table.now += HOUR / 2;
    assert_eq!(action(&table), "find");
    table.now += 16 * HOUR;
    assert_eq!(table.write_next(), Note::GivenUp);
    table.quarantine_all();
    assert_eq!(table.quarantine()[0].class, FailureClass::OutcomeUnknown);
}

/// The ledger entries of many objects are written before the transaction, so the step that decides them is stored first.
#[test]
fn a_load_is_given_up_before_its_ledger_entries_say_so() {
    let mut table = Table::new();
    let all = many(20);
    table.record(&refs(&all));
    table.run();
    table.now += 25 * HOUR;
    table.end(StatementStatus::Forgotten);
    let given_up = table.load();
    assert_eq!(given_up.step, Step::GivenUp { statement_id: Some("s".into()) });
    let first = object("f0", "1").object;
    assert_eq!((table.mark(&first), table.backlog().len()), (None, 1), "nothing has left the backlog yet");

    let slot = table.slot();
    let held = Held { slot: &slot, load: &given_up };
    let change = settle::outcome_unknown(held, &table.own(), &table.context());
    assert_eq!(change.entries, [], "an entry that is written beside the transaction could come late");
    table.done(&change);
    assert_eq!(table.mark(&first), Some(LedgerMark::Quarantined));
    let quarantine = table.quarantine();
    assert_eq!((quarantine.len(), quarantine[0].objects.len()), (1, 20));
    assert_eq!(quarantine[0].statement_id.as_deref(), Some("s"));
    assert_eq!((table.backlog().len(), table.slot().load), (0, None));
}

#[test]
fn a_load_that_was_given_up_is_quarantined_by_anyone() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    table.end(StatementStatus::Forgotten);
    let other = Context { holder: "other", ..table.context() };
    assert!(matches!(decide(&table.name(), &table.view(), &other), Action::Quarantine(_)));
    table.quarantine_all();
    assert_eq!(table.mark(&object("a", "1").object), Some(LedgerMark::Quarantined));
}

#[test]
fn a_refused_submit_leads_to_another_attempt_with_the_current_configuration() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare_all();
    let class = FailureClass::RetryLater;
    table.outcome(SubmitOutcome::Refused { class, reason: "ThrottlingException".into(), first_call: true });
    assert!(matches!(table.load().step, Step::Waiting { class: FailureClass::RetryLater, .. }));
    table.now += HOUR;
    assert_eq!(action(&table), "look");
}

#[test]
fn a_refused_repeat_says_nothing_about_the_first_submit() {
    let refused = |first_call| {
        let class = FailureClass::RetryLater;
        SubmitOutcome::Refused { class, reason: "ThrottlingException".into(), first_call }
    };
    let mut table = Table::new();
    table.record(&["a"]);
    table.prepare_all();
    table.outcome(refused(false));
    assert!(table.prepared().uncertain);
    table.outcome(refused(true));
    assert_eq!((table.load().attempt, table.prepared().refusals), (1, 2), "still the same attempt");
}

#[test]
fn a_statement_found_by_name_is_followed_and_one_not_found_was_never_accepted() {
    for found in [Some("s".to_owned()), None] {
        let mut table = Table::new();
        table.record(&["a"]);
        table.prepare_all();
        let slot = table.slot();
        let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
        let change = settle::after_find(held, &table.prepared(), found.clone(), &table.context());
        table.done(&change);
        assert_eq!(table.load().statement_id(), found.as_deref());
        assert_eq!(matches!(table.load().step, Step::Waiting { .. }), found.is_none());
    }
}

#[test]
fn the_warehouses_ledger_answers_for_a_forgotten_load() {
    for committed in [true, false] {
        let mut table = Table::with(json!({"options": {"ledger_table": "loads"}}));
        table.record(&["a"]);
        table.prepare_all();
        table.now += 24 * HOUR;
        assert_eq!(action(&table), "ask the ledger in the warehouse");
        if committed {
            table.finish();
        } else {
            let slot = table.slot();
            let held = Held { slot: &slot, load: slot.load.as_ref().unwrap() };
            let change = settle::not_committed(held, &table.context());
            table.done(&change);
        }
        assert_eq!(table.n_loaded(), usize::from(committed));
        assert_eq!(table.backlog().is_empty(), committed);
        assert!(table.quarantine().is_empty());
    }
}

#[test]
fn an_event_is_only_a_hint_to_ask() {
    let mut table = Table::new();
    table.record(&["a"]);
    table.run();
    assert_eq!(action(&table), "idle");
    let view = table.view();
    let hinted = Context { ended: Some("s"), ..table.context() };
    assert!(matches!(decide(&table.name(), &view, &hinted), Action::Ask(..)));
    let foreign = Context { ended: Some("x"), ..table.context() };
    assert!(matches!(decide(&table.name(), &view, &foreign), Action::Idle(Idle::StatementRuns)));
    table.now += table.timing.poll_millis;
    assert_eq!(action(&table), "ask", "without an event too");
}
