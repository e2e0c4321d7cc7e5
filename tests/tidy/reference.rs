//! `config/REFERENCE.md` is written by the code: every key, metric, verb and admin path.

use std::{collections::BTreeSet, env, fmt::Write as _, fs, path::Path, sync::LazyLock};

use serde_json::Value;
use tidegate::telemetry::EventKind;

use crate::{none, source::Source, tree};

/// Where the page is.
const PAGE: &str = "config/REFERENCE.md";
/// Set to anything, it lets the test write the page instead of comparing it.
const UPDATE: &str = "TIDEGATE_UPDATE_REFERENCE";

/// Literals that only look like the name of a metric.
const NOT_METRICS: [&str; 1] = ["tidegate_session"]; // the cookie of the admin listener

/// The fields of a request that say how it is to be treated. One that only one of this table and
/// `src/proxy/steer.rs` knows fails below.
const STEERING: &[(&str, &str, &str)] = &[
    (
        "x-request-timeout",
        "trusted peers",
        "How long the caller waits, as `250ms`, `3s` or a number of milliseconds; it shortens the route's `timeout`. What is left goes upstream in the same field.",
    ),
    ("grpc-timeout", "everybody", "The same, of a gRPC call."),
    (
        "x-tidegate-priority",
        "trusted peers",
        "A class in place of the route's `priority`.",
    ),
    (
        "x-tidegate-attempt",
        "trusted peers",
        "Which try of the caller this is. From 2 on it waits behind first tries of its class. A try of Tidegate's own goes upstream with its number from 2 on.",
    ),
    (
        "idempotency-key",
        "everybody",
        "At most 256 bytes. Where the same tenant's request of the same route and key was refused or failed in the last minute (429, 5xx, or its client left), this one waits behind first tries of its class. Up to 4,096 such keys are remembered for each route, in places of four; where a place is full its oldest is forgotten, and its repeat passes for a first try.",
    ),
];

/// What the admin listener answers. A path that only one of this table and `src/admin` knows fails below.
const ADMIN: &[(&str, &str, &str)] = &[
    ("GET", "/", "The dashboard."),
    ("GET", "/app.js", "The dashboard's script."),
    ("GET", "/app.css", "The dashboard's style."),
    ("GET", "/metrics", "Metrics in Prometheus' text format."),
    (
        "GET",
        "/api/v1/status",
        "Version, process id, uptime, readiness, listeners, and what the process gives up for its own health.",
    ),
    (
        "GET",
        "/api/v1/config",
        "The config in force: its hash, how the last reload ended, and `wrong_files`: files that it names and that are wrong, while what they held before stays in force, each with why and since when. The hash is the `ETag` too.",
    ),
    (
        "POST",
        "/api/v1/config",
        "Writes the config in the body (TOML) to the file and puts it into force; `?dry_run=true` only says what it would change, and which traffic that touches. `If-Match` with the hash in force is honoured. 412: another is in force; 422: not valid, with every error; 403 and 409: the file may not be written, or a socket or a file that it wants cannot be had, with the reason.",
    ),
    (
        "GET",
        "/api/v1/config/history",
        "The last 50 configs, the newest first: number, time, hash, what asked for it, and what became of it.",
    ),
    (
        "GET",
        "/api/v1/config/diff",
        "What changes between the entries `from` and `to` of the history, and what the routes it touches saw in the last minute. Left out: to the one in force, from the one before.",
    ),
    (
        "POST",
        "/api/v1/config/rollback",
        "Writes the config of the entry `to` to the file and puts it into force again; `dry_run=true` as above.",
    ),
    (
        "POST",
        "/api/v1/upgrade",
        "Starts the binary anew, as SIGUSR2 does, and answers when the new process has taken over (200, with both process ids) or why it has not: 409 where it cannot be tried now, 500 where it failed and the old one goes on.",
    ),
    (
        "GET",
        "/api/v1/upstreams",
        "Each upstream with its endpoints, and why each is in or out; of each name what is in force, and since when.",
    ),
    ("GET", "/api/v1/limits", "Each limit with its fill."),
    (
        "GET",
        "/api/v1/routes",
        "Each route with what it takes and what it does.",
    ),
    (
        "GET",
        "/api/v1/faults",
        "Requests that ended badly, the newest first, each with a verdict: `cause` (of the eight), `finer`, `subject` and `confidence` (`certain`, `likely`, `unknown`), the `evidence` and the `next` steps; what else is possible (`also_possible`), and what else went wrong at that time (`beside`). `route`, `upstream`, `kind`, `since` (seconds) and `most` (50, at most 500) choose. Up to 8,192 requests and 8 MiB are kept: all that fail until it is full, then a sample that is fair to each kind of each route; and some good ones.",
    ),
    (
        "POST",
        "/api/v1/doctor",
        "Looks at the road to all upstreams and at the machine, or with `target` to those of a route, an upstream or a URL: name, way, connection, TLS, answer, rest. `idle_ms` (2000, at most 60000) is how long a connection is left alone, `machine=true` adds the machine to a target. One at a time, 90 s at most.",
    ),
    (
        "GET",
        "/api/v1/requests/{id}",
        "One request that is kept, by the id that its client got, with the same.",
    ),
    (
        "GET",
        "/api/v1/incidents",
        "Faults that belong together, those that go on first, then the newest first: since when, how much of the traffic they hit, the likely cause with its evidence, the verdict on the first request that is kept (`example`), and what ended them. `open=true`, `since` (seconds), `upstream`, `route` and `most` (256, which are kept) choose.",
    ),
    ("GET", "/api/v1/incidents/{id}", "One of them."),
    (
        "GET",
        "/api/v1/recommendations",
        "For each limit: another that the last hour's traffic would have fitted into, with the lines to paste.",
    ),
    (
        "GET",
        "/api/v1/events",
        "What happens, as server-sent events: an `id`, the kind, and JSON with time, severity, subject, a sentence and the fields. `Last-Event-ID` or `since` (an id; 0: all that is kept) goes on from there; `kind` (words with commas between), `upstream` and `route` choose. `missed` tells how many a slow reader lost. 503 where 32 listen already. With `Accept: application/json` a page instead: the newest `limit` (100, at most 1,000) and the id after which the next begins. Up to 4,096 events and 1 MiB are kept, and the kind that takes most makes room.",
    ),
    (
        "GET",
        "/api/v1/stream",
        "What the dashboard shows, each second, as server-sent events.",
    ),
    (
        "GET, POST",
        "/login",
        "The form that takes the token and gives a cookie. Open.",
    ),
    ("GET", "/healthz", "200 while the process runs. Open."),
    (
        "GET",
        "/readyz",
        "200 while it takes requests, 503 while it starts or drains. Open.",
    ),
];

/// The page as it is in the clone; written anew first where that is asked for.
static WRITTEN: LazyLock<String> = LazyLock::new(|| {
    let path = tree::root().join(PAGE);
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, page()).expect("the page can be written");
    }
    fs::read_to_string(&path).unwrap_or_default()
});

#[test]
fn the_reference_is_what_the_code_says() {
    let wanted = page();
    assert!(
        *WRITTEN == wanted,
        "{PAGE} is stale from line {}; `{UPDATE}=1 cargo test --test tidy` writes it",
        first_difference(&WRITTEN, &wanted)
    );
}

#[test]
fn every_key_of_the_schema_stands_in_the_reference_and_in_the_sample() {
    let mut keys = BTreeSet::new();
    collect_keys(&tidegate::config::schema(), &mut keys);
    assert!(
        keys.contains("max_waiting"),
        "the schema has no queue: {keys:?}"
    );
    let sample = tree::text(Path::new("config/tidegate.toml")).expect("TOML is UTF-8");
    for (file, text) in [(PAGE, WRITTEN.as_str()), ("config/tidegate.toml", &sample)] {
        none(&absent(file, keys.iter().map(String::as_str), text));
    }
}

#[test]
fn every_metric_in_the_code_or_in_a_rule_stands_in_the_reference() {
    let page = WRITTEN.as_str();
    let sources = tree::sources("src");
    let named: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.literals.iter())
        .map(|(_, literal)| literal.as_str())
        .filter(|literal| is_metric(literal) && !NOT_METRICS.contains(literal))
        .collect();
    assert!(!named.is_empty());
    none(&absent("src", named.into_iter(), page));
    for path in tree::files("deploy") {
        let text = tree::text(&path).unwrap_or_default();
        let asked = words(&text)
            .into_iter()
            .filter(|word| is_metric(word))
            .map(series_of);
        none(&absent(&path.display().to_string(), asked, page));
    }
}

#[test]
fn the_table_of_steering_fields_is_what_steering_reads() {
    let mut sources = tree::sources("src/proxy");
    sources.retain(|source| source.path.ends_with("steer.rs"));
    let read = literals_beside(&sources, "HeaderName::from_static(");
    let listed: BTreeSet<&str> = STEERING.iter().map(|(name, ..)| *name).collect();
    assert_eq!(read, listed);
}

#[test]
fn the_table_of_admin_paths_is_what_the_router_answers() {
    let sources = tree::sources("src/admin");
    let answered = literals_beside(&sources, ".route(");
    let listed: BTreeSet<&str> = ADMIN.iter().map(|(_, path, _)| *path).collect();
    assert_eq!(answered, listed);
}

#[test]
fn the_readme_names_every_verb_and_no_other() {
    let readme = tree::text(Path::new("README.md")).expect("the README is UTF-8");
    let command = tidegate::cli::command();
    let verbs: BTreeSet<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    assert_eq!(verbs_of(&readme), verbs);
}

/// The literals on lines of code that contain `marker`.
fn literals_beside<'a>(sources: &'a [Source], marker: &str) -> BTreeSet<&'a str> {
    let beside = |source: &Source, line: usize| {
        let text = source.code.lines().nth(line - 1);
        text.is_some_and(|text| text.contains(marker))
    };
    sources
        .iter()
        .flat_map(|source| source.literals.iter().map(move |literal| (source, literal)))
        .filter(|(source, (line, _))| beside(source, *line))
        .map(|(_, (_, literal))| literal.as_str())
        .collect()
}

/// The whole page.
fn page() -> String {
    format!(
        "# Reference\n\nWritten by the code; `{UPDATE}=1 cargo test --test tidy` writes it anew.\n\n\
         {}\n\n## What a change keeps\n\n{}\n\n## Fields of a request\n\n{}\n\n## Metrics\n\n{}\n\n## Events\n\n{}\n\n## Verbs\n\n{}\n\n## Admin listener\n\n{}\n",
        tidegate::config::reference().trim(),
        adoption().trim(),
        steering().trim(),
        tidegate::telemetry::catalog::reference().trim(),
        events().trim(),
        verbs(&tidegate::cli::command()).trim(),
        admin().trim()
    )
}

/// The table at the top of `src/snapshot/adopt.rs`.
fn adoption() -> String {
    let source = tree::text(Path::new("src/snapshot/adopt.rs")).expect("it is UTF-8");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! |"));
    let mut text = String::from(
        "Live state belongs to a name or an address, not to a version of the file. Whatever the next config still names \
         goes on with what it knows; what it does not name is let go, an endpoint after ten minutes. No change needs a \
         restart.\n\n",
    );
    for row in rows {
        let _ = writeln!(text, "|{row}");
    }
    text
}

fn steering() -> String {
    let mut text = String::from(
        "What a caller may say of how its request is treated. What counts from trusted peers only (`trusted_proxies`) is \
         taken out of the requests of others.\n\n\
         | field | counts from | what it says |\n| --- | --- | --- |\n",
    );
    for (name, from, what) in STEERING {
        let _ = writeln!(text, "| `{name}` | {from} | {what} |");
    }
    text
}

fn events() -> String {
    let mut text = String::from(
        "What `/api/v1/events` tells, the log as well, and `tidegate_events_total` counts.\n\n\
         | kind | when |\n| --- | --- |\n",
    );
    for kind in EventKind::ALL {
        let _ = writeln!(text, "| `{}` | {} |", kind.as_str(), kind.meaning());
    }
    text
}

fn admin() -> String {
    let mut text = String::from(
        "Where a token is set, all but the open paths want `Authorization: Bearer TOKEN` or the cookie of `/login`.\n\n\
         | method | path | what it answers |\n| --- | --- | --- |\n",
    );
    for (method, path, what) in ADMIN {
        let _ = writeln!(text, "| {method} | `{path}` | {what} |");
    }
    text
}

fn verbs(command: &clap::Command) -> String {
    let mut text = String::new();
    for (name, verb) in named_verbs("tidegate", command) {
        let about = verb
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = writeln!(text, "### `{name}`\n\n{about}\n");
        let arguments: Vec<_> = verb
            .get_arguments()
            .filter(|one| one.get_id() != "help")
            .collect();
        if !arguments.is_empty() {
            text.push_str("| argument | default | meaning |\n| --- | --- | --- |\n");
        }
        for one in &arguments {
            let _ = writeln!(text, "{}", argument(one));
        }
        text.push('\n');
    }
    text
}

/// Every verb with its whole name, and the verbs below it.
fn named_verbs<'c>(before: &str, command: &'c clap::Command) -> Vec<(String, &'c clap::Command)> {
    let verbs = command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help");
    verbs
        .flat_map(|verb| {
            let name = format!("{before} {}", verb.get_name());
            let below = named_verbs(&name, verb);
            std::iter::once((name, verb)).chain(below)
        })
        .collect()
}

fn argument(one: &clap::Arg) -> String {
    let mut value = String::new();
    if one.get_action().takes_values() {
        for name in one.get_value_names().unwrap_or_default() {
            let _ = write!(value, " {name}");
        }
    }
    let name = match one.get_long() {
        Some(long) => format!("--{long}{value}"),
        None => value.trim().to_owned(),
    };
    let default = one
        .get_default_values()
        .iter()
        .filter_map(|d| d.to_str())
        .collect::<Vec<_>>();
    let default = match (one.get_action().takes_values(), default.as_slice()) {
        (true, [first, ..]) => format!("`{first}`"),
        _ => "–".to_owned(),
    };
    let help = one.get_help().map(ToString::to_string).unwrap_or_default();
    format!("| `{name}` | {default} | {help} |")
}

/// The names under every `properties` of a schema.
fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| collect_keys(value, keys));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect()
}

fn is_metric(word: &str) -> bool {
    word.strip_prefix("tidegate_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())
    })
}

/// The metric whose series this is.
fn series_of(name: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}

/// Which of `names` the text does not have as a whole word.
fn absent<'a>(place: &str, names: impl Iterator<Item = &'a str>, text: &str) -> Vec<String> {
    let known = words(text);
    names
        .filter(|name| !known.contains(name))
        .map(|name| format!("{place}: `{name}` is missing"))
        .collect()
}

/// What follows `tidegate` where the README shows a command.
fn verbs_of(readme: &str) -> BTreeSet<&str> {
    ["`tidegate ", "release/tidegate ", "--release -- "]
        .iter()
        .flat_map(|before| readme.split(before).skip(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next())
        .filter(|verb| !verb.is_empty())
        .collect()
}

fn first_difference(one: &str, other: &str) -> usize {
    let same = one
        .lines()
        .zip(other.lines())
        .take_while(|(a, b)| a == b)
        .count();
    same + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_name_is_found_and_a_part_of_a_word_is_not_enough() {
        let found = absent(
            "here",
            ["max_wait", "limit"].into_iter(),
            "`max_waiting` and `limit`",
        );
        assert_eq!(found, ["here: `max_wait` is missing"]);
    }

    #[test]
    fn keys_are_collected_from_every_depth() {
        let schema = serde_json::json!({ "properties": { "a": { "oneOf": [{ "properties": { "b": {} } }] } } });
        let mut keys = BTreeSet::new();
        collect_keys(&schema, &mut keys);
        assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn series_of_a_histogram_belong_to_its_metric() {
        assert_eq!(
            series_of("tidegate_wait_seconds_bucket"),
            "tidegate_wait_seconds"
        );
        assert!(is_metric("tidegate_x_total"));
        assert!(!is_metric("tidegate_"));
        assert!(!is_metric("tidegate-x"));
    }

    #[test]
    fn verbs_are_read_from_commands_of_all_forms() {
        let text = "`tidegate run [--config F]` target/release/tidegate check x\ncargo run --release -- demo\n";
        assert_eq!(
            verbs_of(text).into_iter().collect::<Vec<_>>(),
            ["check", "demo", "run"]
        );
    }

    #[test]
    fn arguments_are_shown_with_their_default() {
        let flag = clap::Arg::new("json")
            .long("json")
            .action(clap::ArgAction::SetTrue)
            .help("As JSON.");
        assert_eq!(argument(&flag), "| `--json` | – | As JSON. |");
        let file = clap::Arg::new("config")
            .long("config")
            .value_name("FILE")
            .default_value("a.toml")
            .help("Which.");
        assert_eq!(argument(&file), "| `--config FILE` | `a.toml` | Which. |");
    }
}
