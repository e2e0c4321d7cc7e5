//! `config/FAULTS.md` is written by the code: every kind of fault and what is to be made of it.

use std::{collections::BTreeSet, env, fs, path::Path};

use tidegate::fault::Kind;

use crate::{none, tree};

/// Where the page is.
const PAGE: &str = "config/FAULTS.md";
/// Set to anything, it lets the test write the page instead of comparing it.
const UPDATE: &str = "TIDEGATE_UPDATE_REFERENCE";
/// Programs that a guide may tell to run; `tidegate` with its verbs besides.
const PROGRAMS: [&str; 12] = [
    "curl",
    "date",
    "dig",
    "dmesg",
    "ip",
    "nc",
    "openssl",
    "ping",
    "ss",
    "sysctl",
    "tcpdump",
    "traceroute",
];
/// Other words in backquotes that stand for themselves.
const OTHERS: [&str; 12] = [
    "#",
    "%",
    "..",
    ":authority",
    "/etc/hosts",
    "[dns]",
    "fixed",
    "limit",
    "queue",
    "share",
    "tls",
    "ulimit -n",
];

#[test]
fn the_page_of_faults_is_what_the_code_says() {
    let wanted = format!(
        "# When a request fails\n\nWritten by the code; `{UPDATE}=1 cargo test --test tidy` writes it anew. \
         `tidegate explain --kind KIND` prints one of them.\n\n{}\n",
        tidegate::cli::faults().trim()
    );
    let path = tree::root().join(PAGE);
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, &wanted).expect("the page can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == wanted,
        "{PAGE} is stale; `{UPDATE}=1 cargo test --test tidy` writes it"
    );
}

#[test]
fn what_a_guide_names_can_be_found_or_run() {
    let reference = tree::text(Path::new("config/REFERENCE.md")).expect("the reference is UTF-8");
    let fields = tree::text(Path::new("src/telemetry/access/line.rs")).expect("code is UTF-8");
    let command = tidegate::cli::command();
    let verbs: BTreeSet<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let known = |word: &str| {
        let first = word.split(' ').next().unwrap_or_default();
        let verb = word.strip_prefix("tidegate ").map(|rest| {
            let name = rest.split(' ').next().unwrap_or_default();
            verbs.contains(name)
        });
        verb.unwrap_or_else(|| {
            PROGRAMS.contains(&first)
                || OTHERS.contains(&word)
                || reference.contains(&format!("`{word}`"))
                || fields.contains(&format!("\\\"{word}\\\""))
                || fields.contains(&format!("pub {word}:"))
        })
    };
    let unknown: Vec<String> = Kind::ALL
        .iter()
        .flat_map(|kind| {
            let guide = kind.guide();
            let lists = [&[guide.means][..], guide.reasons, guide.look, guide.prevent];
            let texts: Vec<&str> = lists.into_iter().flatten().copied().collect();
            texts
                .iter()
                .flat_map(|text| text.split('`').skip(1).step_by(2))
                .filter(|word| !known(word))
                .map(|word| format!("{kind:?}: `{word}` is neither a key, a field nor a command"))
                .collect::<Vec<_>>()
        })
        .collect();
    none(&unknown);
}
