//! Pure rooms are told the time and given their dice: they read neither.

use std::path::Path;

use crate::{none, source::Source, tree};

/// Files and folders that decide and do nothing else.
const PURE: [&str; 20] = [
    "src/route",
    "src/balance",
    "src/admission/concurrency",
    "src/admission/concurrency.rs",
    "src/admission/pressure/machine.rs",
    "src/admission/recommend",
    "src/config/diff",
    "src/doctor/judge",
    "src/health/compare.rs",
    "src/health/machine.rs",
    "src/health/sentence.rs",
    "src/health/streak.rs",
    "src/reload/guard.rs",
    "src/reload/history/mod.rs",
    "src/telemetry/incidents/counts.rs",
    "src/telemetry/incidents/evidence.rs",
    "src/telemetry/incidents/machine.rs",
    "src/telemetry/incidents/open.rs",
    "src/telemetry/incidents/rules.rs",
    "src/telemetry/incidents/window.rs",
];

/// What reads a clock or rolls dice.
const READS: [&str; 4] = [
    "Instant::now",
    "SystemTime::now",
    "rand::rng",
    "rand::random",
];

#[test]
fn pure_rooms_read_no_clock_and_roll_no_dice() {
    let complaints: Vec<String> = tree::sources("src").iter().flat_map(check).collect();
    none(&complaints);
}

fn check(source: &Source) -> Vec<String> {
    if !PURE
        .iter()
        .any(|pure| source.path.starts_with(Path::new(pure)))
    {
        return Vec::new();
    }
    READS
        .iter()
        .flat_map(|read| source.words(read).map(move |at| (at, read)))
        .map(|(at, read)| {
            format!(
                "{}:{}: `{read}` in a pure room",
                source.path.display(),
                source.line(at)
            )
        })
        .collect()
}

#[test]
fn a_clock_read_is_found_in_pure_rooms_only() {
    let text = "fn f() {\n    let now = tokio::time::Instant::now();\n}\n";
    assert_eq!(
        check(&Source::new("src/balance/pick.rs".into(), text)),
        ["src/balance/pick.rs:2: `Instant::now` in a pure room"]
    );
    assert_eq!(
        check(&Source::new("src/health/machine.rs".into(), text)).len(),
        1
    );
    assert_eq!(
        check(&Source::new("src/health/watch.rs".into(), text)),
        [""; 0]
    );
    let test = format!("#[cfg(test)]\nmod tests {{ {text} }}");
    assert_eq!(
        check(&Source::new("src/route/mod.rs".into(), &test)),
        [""; 0]
    );
}
