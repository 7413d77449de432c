//! Seeded bugs: the model must find every one, or it proves nothing.

use proof::exhaustive::configuration::Configuration;
use proof::exhaustive::model::Protocol;
use proof::mutant::Mutant;
use stateright::{Checker, DiscoveryClassification, HasDiscoveries, Model};

/// The configuration in which a bug is searched for.
fn hunting_ground(mutant: Mutant) -> Configuration {
    match mutant {
        Mutant::None
        | Mutant::RestDropped
        | Mutant::ClaimOverHolder
        | Mutant::ReleaseBeforeSettle
        | Mutant::RemoveByCount
        | Mutant::EntriesAfterRelease
        | Mutant::EntriesBeforeFinished
        | Mutant::NewTokenPerInvocation
        | Mutant::AcknowledgeFirst
        | Mutant::LookBeforeEnqueue
        | Mutant::NoFreshRead
        | Mutant::RefusedIsDone => Configuration::quiet(),
        Mutant::NoSlotCondition => Configuration::three(),
        Mutant::NoLedger | Mutant::LedgerBeforeSlot | Mutant::NoVersionCheck => Configuration::contention(),
        Mutant::TrustTheEvent => Configuration::failures(),
        Mutant::UnknownIsRefused | Mutant::SilentTakeover => Configuration::submits(),
        Mutant::OneManifestKey | Mutant::NewerNotInLedger | Mutant::LoadIdWithoutVersion => Configuration::overwrite(),
        Mutant::QuarantineKeepsSlot
        | Mutant::QuarantineNotInLedger
        | Mutant::SplitLosesPart
        | Mutant::QuarantineDropsObjects => Configuration::named_bad_file(),
        Mutant::MisfitEnteredFirst | Mutant::MisfitNotInLedger => Configuration::misfit(),
        Mutant::ShapesMixed | Mutant::FitNotStored | Mutant::ColumnsAddedBefore => Configuration::shapes(),
        Mutant::TokenNeverAges | Mutant::ForgottenIsFailed => Configuration::hours(),
        Mutant::CancelledIsEnded | Mutant::AbortedIsFinished => Configuration::timeout(),
        Mutant::CancelsFirst => Configuration::timeout_twice(),
        Mutant::QuarantineBeforeDecision => Configuration::hours_apart(),
        Mutant::EnteredIgnored => Configuration::retry(),
        Mutant::StaleColumns => Configuration::columns(),
        Mutant::GatherKeepsVersion => Configuration::gathering(),
        Mutant::AgeIgnored | Mutant::AgeDoubled => Configuration::waits(),
        Mutant::InstantMovesOn | Mutant::SweepNotTold | Mutant::EverybodySweeps => Configuration::shared_instant(),
        Mutant::WindowIgnored | Mutant::WindowLonger => Configuration::night(),
        Mutant::AdmissionIgnored
        | Mutant::AdmissionCountsItself
        | Mutant::AdmissionCountsWaiting
        | Mutant::YoungestFirst => Configuration::admission(),
        Mutant::TurnAlwaysLive | Mutant::TurnAlwaysRequested => Configuration::turns(),
        Mutant::NoPendingCheck => Configuration::upgrade(),
    }
}

/// The shortest counterexample: the broken invariant, and the number of steps.
fn counterexample(mutant: Mutant) -> Option<(&'static str, usize)> {
    let model = Protocol::new(hunting_ground(mutant).with(mutant));
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let broken = checker
        .discoveries()
        .into_iter()
        .filter(|(name, _)| matches!(checker.discovery_classification(name), DiscoveryClassification::Counterexample));
    broken.map(|(name, path)| (name, path.into_actions().len())).min_by_key(|(name, steps)| (*steps, *name))
}

#[test]
fn every_seeded_bug_is_found() {
    let mut missed = Vec::new();
    for mutant in Mutant::MODEL {
        match counterexample(mutant) {
            Some((invariant, steps)) => {
                let ground = hunting_ground(mutant).name;
                println!("proof: bug {mutant:?}: breaks `{invariant}` in {steps} steps ({ground})");
            }
            None => missed.push(mutant),
        }
    }
    println!("proof: mutants: {} of {} caught", Mutant::MODEL.len() - missed.len(), Mutant::MODEL.len());
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn without_a_bug_there_is_no_counterexample() {
    assert_eq!(counterexample(Mutant::None), None);
}
