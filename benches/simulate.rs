//! Laws of concurrency against each other, on virtual time.
//!
//! ```text
//! cargo bench --bench simulate -- FILES --seeds 6 --laws adaptive,fixed,aimd,vegas,gradient2,envoy,bbr
//! ```
//!
//! Prints a table, or with `--json` a line for each scenario and law; ends with 1 where `adaptive` misses what a file
//! expects. `fixed` is the best of the fixed limits that the file compares with. More options: `--first SEED` (300),
//! `--without PART` (a part of `adaptive` switched off), `--set NAME=VALUE` (a number of `adaptive` set), `--series` (a line for each tenth of a second of the first
//! seed), `--threads N`. Without files all of `tests/scenarios` run.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark prints"
)]

#[path = "../tests/support/sim/mod.rs"]
mod sim;

use std::fmt::Write as _;
use std::{path::PathBuf, process::ExitCode, thread};

use sim::{
    contest::{Standing, compete},
    laws::{Choice, PARTS},
    scenario::Scenario,
};

/// What the command line asks for.
struct Asked {
    files: Vec<PathBuf>,
    seeds: u64,
    first: u64,
    laws: Vec<(String, Option<Choice>)>,
    json: bool,
    series: bool,
    threads: usize,
}

fn main() -> ExitCode {
    let asked = match ask(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let scenarios: Result<Vec<Scenario>, String> = asked
        .files
        .iter()
        .map(|file| Scenario::read(file))
        .collect();
    let scenarios = match scenarios {
        Ok(scenarios) => scenarios,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    if !asked.json {
        println!(
            "{:<26} {:<10} {:>8} {:>10} {:>8} {:>9}",
            "scenario", "law", "of best", "worst seed", "p99 ms", "shed %"
        );
    }
    let mut misses = Vec::new();
    for scenario in &scenarios {
        misses.extend(judge(scenario, &asked));
    }
    for miss in &misses {
        eprintln!("missed: {miss}");
    }
    ExitCode::from(u8::from(!misses.is_empty()))
}

fn judge(scenario: &Scenario, asked: &Asked) -> Vec<String> {
    let seeds: Vec<u64> = (asked.first..asked.first + asked.seeds).collect();
    let standings = compete(scenario, &asked.laws, &seeds, asked.threads);
    let mut misses = Vec::new();
    for standing in &standings {
        if asked.json {
            println!("{}", line(scenario, standing));
        } else {
            row(scenario, standing);
        }
        if asked.series {
            series(scenario, standing);
        }
        if standing.law == "adaptive" {
            misses.extend(standing.misses(scenario));
        }
    }
    misses
}

fn row(scenario: &Scenario, standing: &Standing) {
    let mut more = String::new();
    for name in asked_for(scenario) {
        let _ = write!(more, "  {name} {:.4}", standing.figure(name)); // a String takes all
    }
    if standing.law == "adaptive" && !standing.misses(scenario).is_empty() {
        more += "  MISSED";
    }
    println!(
        "{:<26} {:<10} {:>8.3} {:>10.3} {:>8.0} {:>9.3}{more}",
        scenario.name,
        standing.law,
        standing.figure("of_best"),
        standing.figure("worst_seed"),
        standing.figure("p99_ms"),
        standing.figure("shed") * 100.0,
    );
}

fn line(scenario: &Scenario, standing: &Standing) -> serde_json::Value {
    let mut line = serde_json::Map::new();
    line.insert("scenario".to_owned(), scenario.name.clone().into());
    line.insert("law".to_owned(), standing.law.clone().into());
    let always = ["of_best", "worst_seed", "p99_ms", "shed"];
    for name in always.into_iter().chain(asked_for(scenario)) {
        line.insert(name.to_owned(), serde_json::json!(standing.figure(name)));
    }
    line.into()
}

/// Figures that the scenario has an expectation of, besides those that are always shown.
fn asked_for(scenario: &Scenario) -> impl Iterator<Item = &str> {
    let always = ["of_best", "worst_seed", "p99_ms", "shed"];
    scenario
        .expect
        .keys()
        .map(String::as_str)
        .filter(move |name| !always.contains(name))
}

fn series(scenario: &Scenario, standing: &Standing) {
    let Some(first) = standing.runs.first() else {
        return;
    };
    for (at, tick) in first.series.iter().enumerate() {
        let answers = f64::from(tick.good + tick.late).max(1.0);
        let tick = serde_json::json!({
            "scenario": scenario.name, "law": standing.law, "tenth": at, "limit": tick.limit,
            "good": tick.good, "late": tick.late, "shed": tick.shed, "mean_ms": tick.took / answers * 1e3,
        });
        println!("{tick}");
    }
}

fn ask(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked {
        files: Vec::new(),
        seeds: 6,
        first: 300,
        laws: Vec::new(),
        json: false,
        series: false,
        threads: thread::available_parallelism().map_or(1, Into::into),
    };
    let mut laws = "adaptive,fixed,aimd,vegas,gradient2,envoy,bbr".to_owned();
    let (mut without, mut numbers) = (None, Vec::new());
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|e| format!("{text}: {e}"));
        match word.as_str() {
            "--seeds" => asked.seeds = number(value()?)?.max(1),
            "--first" => asked.first = number(value()?)?,
            "--threads" => asked.threads = usize::try_from(number(value()?)?).unwrap_or(1),
            "--laws" => laws = value()?,
            "--without" => without = Some(value()?),
            "--set" => numbers.push(value()?),
            "--json" => asked.json = true,
            "--series" => asked.series = true,
            "--bench" => {}
            file if file.starts_with("--") => return Err(format!("no option is called {file}")),
            file => asked.files.push(file.into()),
        }
    }
    if asked.files.is_empty() {
        asked.files = all_files();
    }
    for word in laws.split(',') {
        let mut choice = law(word, without.as_deref())?;
        for pair in &numbers {
            let known = choice.as_mut().map_or(Some(()), |choice| choice.set(pair));
            known.ok_or_else(|| format!("{pair} sets no number of `adaptive`"))?;
        }
        asked.laws.push((word.to_owned(), choice));
    }
    Ok(asked)
}

/// `None` for the best fixed limit.
fn law(word: &str, without: Option<&str>) -> Result<Option<Choice>, String> {
    if word == "fixed" {
        return Ok(None);
    }
    let choice = Choice::named(word, without);
    choice.map(Some).ok_or_else(|| {
        let parts = PARTS.join(", ");
        format!("no law is called {word}, or none of its parts {without:?}; parts: {parts}")
    })
}

fn all_files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}
