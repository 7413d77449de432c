//! The flows of the production code in virtual time, with faults in every call.

use proof::mutant::Mutant;
use proof::simulation::{Options, Outcome, check, simulate};

fn proof(name: &str, outcomes: &[Outcome]) {
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(of).sum::<usize>();
    println!(
        "proof: simulation, {name}: {} seeds, {} calls, {} faults, {} crashes, {} loads, {} files loaded, {} in quarantine",
        outcomes.len(),
        sum(|outcome| outcome.calls),
        sum(|outcome| outcome.faults),
        sum(|outcome| outcome.crashes),
        sum(|outcome| outcome.loads),
        sum(|outcome| outcome.objects),
        sum(|outcome| outcome.quarantined),
    );
}

#[test]
fn small_rough_worlds_end_with_everything_loaded_once() {
    let outcomes: Vec<Outcome> = (0..400).map(|seed| check(seed, &Options::of_seed(seed))).collect();
    proof("small", &outcomes);
    assert!(outcomes.iter().any(|outcome| outcome.crashes > 20), "no invocation dies");
    assert!(outcomes.iter().any(|outcome| outcome.quarantined > 0), "no file is ever bad");
}

#[test]
fn a_big_world_ends_with_everything_loaded_once() {
    let outcome = check(1, &Options::big());
    assert!(outcome.objects > 4_000, "{outcome:?}");
    proof("300 tables", &[outcome]);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 7, 12] {
        let options = Options::of_seed(seed);
        assert_eq!(simulate(seed, &options), simulate(seed, &options));
    }
    assert_ne!(simulate(3, &Options::of_seed(3)).trace, simulate(4, &Options::of_seed(3)).trace);
}

#[test]
fn seeded_bugs_are_found_within_sixty_seeds() {
    let bugs = [
        Mutant::NoLedger,
        Mutant::EntriesAfterRelease,
        Mutant::RefusedIsDone,
        Mutant::EnteredIgnored,
        Mutant::RestDropped,
        Mutant::StaleColumns,
        Mutant::QuarantineNotInLedger,
        Mutant::RemoveByCount,
        Mutant::TrustTheEvent,
        Mutant::NewTokenPerInvocation,
        Mutant::UnknownIsRefused,
        Mutant::SplitLosesPart,
        Mutant::QuarantineDropsObjects,
        Mutant::ShapesMixed,
        Mutant::ColumnsAddedBefore,
    ];
    let found = |mutant: Mutant| {
        (0..60).find(|seed| {
            let options = Options { mutant, ..Options::of_seed(*seed) };
            !simulate(*seed, &options).violations.is_empty()
        })
    };
    let missed: Vec<Mutant> = bugs.into_iter().filter(|mutant| found(*mutant).is_none()).collect();
    println!("proof: simulation, mutants: {} of {} caught", bugs.len() - missed.len(), bugs.len());
    assert!(missed.is_empty(), "not found: {missed:?}");
}
