//! A table that waits for an operator, in a warehouse with a pace: its probe comes with the load of another table, or when a person asks.

use futures::FutureExt;
use loader_core::ids::StatementName;
use loader_core::limits::SWEEP_MILLIS;
use loader_core::statement_event::Trigger;
use loader_core::tracker::item::Millis;
use loader_core::tracker::operator;
use loader_core::tracker::write::{Written, apply, slot_of};
use loader_reconcile::next;
use loader_reconcile::record::{Origin, record};
use proof::exhaustive::configuration::Configuration;
use proof::exhaustive::model::Protocol;
use proof::exhaustive::state::Durable;
use proof::exhaustive::steps::invocation;
use proof::exhaustive::world::ModelWorld;
use proof::fixture::{AHEAD, HOUR_MILLIS, SHARED, SHARED_MILLIS, TABLES};
use proof::warehouse::{End, Phase};
use stateright::Model;

struct Scene {
    model: Protocol,
    durable: Durable,
    now: Millis,
}

impl Scene {
    /// The first message is for the table that waits for its warehouse, the second for the one that starts at once.
    fn new() -> Self {
        let model = Protocol::new(Configuration::rides());
        let durable = (*model.init_states()[0].durable).clone();
        Self { model, durable, now: SHARED_MILLIS - 1 }
    }

    fn in_world<T>(&mut self, act: impl AsyncFnOnce(&ModelWorld, &Protocol) -> T) -> T {
        let world = ModelWorld::direct(self.durable.clone(), self.now, &self.model.configuration, "h");
        let done = act(&world, &self.model).now_or_never().expect("nothing waits");
        self.durable = world.into_inner().durable;
        done
    }

    fn record(&mut self, message: usize) {
        let recorded = self.in_world(async |world, model| {
            record(world, &model.objects(message), None, &model.source(message), &Origin::default()).await
        });
        assert_eq!(recorded.n_recorded, 1);
    }

    fn handle(&mut self, trigger: Trigger) {
        let invocation = invocation("h", &self.model.configuration, false);
        let done = self.in_world(async |world, _| next::handle(world, trigger, &invocation).await);
        assert_eq!(done, Ok(()));
    }

    /// Ends the statement that runs, and tells of it.
    fn end(&mut self, end: End) {
        let statements = &mut self.durable.warehouse.statements;
        let index = statements.iter().position(|statement| statement.phase == Phase::Running).expect("one runs");
        let (name, id): (StatementName, String) = (statements[index].name.clone(), statements[index].id.clone());
        self.durable.warehouse.end(index, end, &self.durable.bucket, &self.durable.manifests);
        self.handle(Trigger::StatementEnded { name, statement_id: Some(id) });
    }

    fn n_statements(&self, table: usize) -> usize {
        let of_table = self.durable.warehouse.statements.iter().filter(|one| one.name.table == TABLES[table]);
        of_table.count()
    }

    /// Every attempt fails, until the next probe is hours away.
    fn stuck(&mut self) {
        self.record(0);
        for _ in 0..12 {
            self.now += HOUR_MILLIS * 6;
            self.handle(Trigger::Sweep);
            self.end(End::Failure("permission denied for relation t".to_owned()));
        }
        self.now += 10 * SWEEP_MILLIS;
        let before = self.n_statements(SHARED);
        self.handle(Trigger::Sweep);
        assert_eq!(self.n_statements(SHARED), before, "its probe is not due");
    }
}

#[test]
fn a_probe_comes_with_the_load_of_another_table() {
    let mut scene = Scene::new();
    scene.stuck();
    let before = scene.n_statements(SHARED);
    scene.record(1);
    scene.handle(Trigger::Asked(TABLES[AHEAD].clone()));
    assert_eq!((scene.n_statements(AHEAD), scene.n_statements(SHARED)), (1, before), "the warehouse is awake");
    scene.handle(Trigger::Sweep);
    assert_eq!(scene.n_statements(SHARED), before + 1);
}

#[test]
fn a_person_who_asks_probes_at_once() {
    let mut scene = Scene::new();
    scene.stuck();
    let before = scene.n_statements(SHARED);
    let slot = slot_of(scene.durable.of(&TABLES[SHARED]));
    let resumed = operator::resume(&slot, "me", scene.now).expect("it waits");
    assert_eq!(apply(scene.durable.change(&TABLES[SHARED]), &resumed), Written::Done);
    scene.handle(Trigger::Asked(TABLES[SHARED].clone()));
    assert_eq!(scene.n_statements(SHARED), before + 1);
}
