//! Explores every state of every configuration: the invariants hold, and the backlog drains from each.

use proof::exhaustive::configuration::Configuration;
use proof::exhaustive::model::Protocol;
use stateright::{Checker, Model};
use std::sync::atomic::Ordering;

/// Explores all states of a configuration. Their number is pinned, so that a change of the protocol that adds or removes behaviour is noticed,
/// and so is a model that no longer moves.
fn explore(configuration: Configuration, states: usize) {
    let (name, is_alone) = (configuration.name, configuration.invocations == 1);
    let checker = Protocol::new(configuration).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    let refused = checker.model().refused_writes.load(Ordering::Relaxed);
    println!(
        "proof: model, {name}: {} states, {} steps deep, {refused} writes refused",
        checker.unique_state_count(),
        checker.max_depth()
    );
    assert_eq!(checker.unique_state_count(), states, "{name}: check what has changed, then pin the new number");
    assert!(refused > 0 || is_alone, "{name}: no invocation ever lost a race");
}

#[test]
fn quiet() {
    explore(Configuration::quiet(), 3_011);
}

#[test]
fn contention() {
    explore(Configuration::contention(), 89_167);
}

#[test]
fn two_tables() {
    explore(Configuration::two_tables(), 281_214);
}

#[test]
fn three_invocations() {
    explore(Configuration::three(), 39_739);
}

#[test]
fn crashes() {
    explore(Configuration::crashes(), 146_963);
}

#[test]
fn submits() {
    explore(Configuration::submits(), 417_203);
}

#[test]
fn failures() {
    explore(Configuration::failures(), 191_892);
}

#[test]
fn overwrite() {
    explore(Configuration::overwrite(), 263_954);
}

#[test]
fn delete() {
    explore(Configuration::delete(), 594_654);
}

#[test]
fn bad_file() {
    explore(Configuration::bad_file(), 204_511);
}

#[test]
fn named_bad_file() {
    explore(Configuration::named_bad_file(), 7_491);
}

#[test]
fn misfit() {
    explore(Configuration::misfit(), 13_334);
}

#[test]
fn shapes() {
    explore(Configuration::shapes(), 40_943);
}

#[test]
fn hours() {
    explore(Configuration::hours(), 394_044);
}

#[test]
fn timeout() {
    explore(Configuration::timeout(), 93_954);
}

#[test]
fn timeout_twice() {
    explore(Configuration::timeout_twice(), 5_064);
}

#[test]
fn skew() {
    explore(Configuration::skew(), 5_072);
}

#[test]
fn hours_apart() {
    explore(Configuration::hours_apart(), 14_139);
}

#[test]
fn retry() {
    explore(Configuration::retry(), 15_330);
}

#[test]
fn many_objects() {
    explore(Configuration::many(), 167_773);
}

#[test]
fn long_backlog() {
    explore(Configuration::long_backlog(), 108_602);
}

#[test]
fn gathering() {
    explore(Configuration::gathering(), 296_326);
}

#[test]
fn waits() {
    explore(Configuration::waits(), 37_044);
}

#[test]
fn shared_instant() {
    explore(Configuration::shared_instant(), 32_387);
}

#[test]
fn rides() {
    explore(Configuration::rides(), 51);
}

#[test]
fn night() {
    explore(Configuration::night(), 4_984);
}

#[test]
fn admission() {
    explore(Configuration::admission(), 10_505);
}

#[test]
fn admission_races() {
    explore(Configuration::admission_races(), 4_229);
}

#[test]
fn admission_behind() {
    explore(Configuration::admission_behind(), 305);
}

#[test]
fn turns() {
    explore(Configuration::turns(), 1_396);
}

#[test]
fn columns() {
    explore(Configuration::columns(), 633_171);
}

#[test]
fn known_columns() {
    explore(Configuration::known_columns(), 17_072);
}

#[test]
fn upgrade() {
    explore(Configuration::upgrade(), 87_205);
}
