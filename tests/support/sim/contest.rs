//! Laws against each other in a scenario, and what a scenario expects of ours.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    laws::Choice,
    measure::{Tally, figure},
    scenario::Scenario,
    world::run,
};

/// What a law did in a scenario.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) law: String,
    pub(crate) runs: Vec<Tally>,
    /// The best fixed limit's mean goodput.
    pub(crate) best: f64,
}

/// Runs each choice on each seed, on so many threads; in the order of the choices.
pub(crate) fn runs(
    scenario: &Scenario,
    choices: &[Choice],
    seeds: &[u64],
    threads: usize,
) -> Vec<Vec<Tally>> {
    let jobs: Vec<(&Choice, u64)> = choices
        .iter()
        .flat_map(|choice| seeds.iter().map(move |seed| (choice, *seed)))
        .collect();
    let mut tallies = in_parallel(&jobs, threads, |(choice, seed)| {
        run(scenario, choice, *seed)
    })
    .into_iter();
    let each = |_: &Choice| tallies.by_ref().take(seeds.len()).collect();
    choices.iter().map(each).collect()
}

/// The named laws in a scenario, each against the best fixed limit on the same seeds.
pub(crate) fn compete(
    scenario: &Scenario,
    laws: &[(String, Option<Choice>)],
    seeds: &[u64],
    threads: usize,
) -> Vec<Standing> {
    let fixed = scenario.compare.iter().map(|limit| Choice::Fixed(*limit));
    let learned = laws.iter().filter_map(|(_, choice)| choice.clone());
    let choices: Vec<Choice> = fixed.chain(learned).collect();
    let mut all = runs(scenario, &choices, seeds, threads);
    let others = all.split_off(scenario.compare.len());
    let mean = |runs: &Vec<Tally>| figure("of_best", runs, 1.0);
    let best = all
        .into_iter()
        .max_by(|a, b| mean(a).total_cmp(&mean(b)))
        .unwrap_or_default();
    let most = mean(&best);
    let mut others = others.into_iter();
    let standing = |(law, choice): &(String, Option<Choice>)| Standing {
        law: law.clone(),
        runs: match choice {
            Some(_) => others.next().unwrap_or_default(),
            None => best.clone(),
        },
        best: most,
    };
    laws.iter().map(standing).collect()
}

impl Standing {
    pub(crate) fn figure(&self, name: &str) -> f64 {
        figure(name, &self.runs, self.best)
    }

    /// Each expectation that is not met, in words.
    pub(crate) fn misses(&self, scenario: &Scenario) -> Vec<String> {
        let expected = scenario.expect.iter();
        let outside = expected.filter_map(|(name, (low, high))| {
            let is = self.figure(name);
            let missed = !(is >= *low && is <= *high);
            missed.then(|| {
                format!(
                    "{}: {name} is {is:.5}, not in [{low}, {high}]",
                    scenario.name
                )
            })
        });
        outside.collect()
    }
}

/// The results of all jobs, in their order.
fn in_parallel<J: Sync, R: Send>(
    jobs: &[J],
    threads: usize,
    work: impl Fn(&J) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let turn = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return done };
            done.push((at, work(job)));
        }
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(turn)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
