//! Keys of the schema against keys of the reader.

use serde_json::Value as Json;

use super::{
    super::{
        fields::ROOT,
        reference, schema,
        shape::{Section, Shape},
    },
    read,
};

/// A place in a file where a section's keys go, with what must be around it.
fn place_of(section: &str) -> (&'static str, &'static str, &'static str) {
    const BASE: &str = "[[listeners]]\nbind = \"127.0.0.1:0\"\n";
    const UPSTREAM: &str = "[[listeners]]\nbind = \"127.0.0.1:0\"\n[upstreams.u]\nendpoints = [{ address = \"10.0.0.1:80\" }]\n";
    let route = "[[listeners]]\nbind = \"127.0.0.1:0\"\n[[routes]]\nrespond = {}\n";
    match section {
        "file" => ("", "", ""),
        "admin" => (BASE, "[admin]\n", ""),
        "log" => (BASE, "[log]\n", ""),
        "drain" => (BASE, "[drain]\n", ""),
        "upgrade" => (BASE, "[upgrade]\n", ""),
        "errors" => (BASE, "[errors]\n", ""),
        "error_text" => (BASE, "[[errors.texts]]\n", ""),
        "dns" => (BASE, "[dns]\n", ""),
        "pressure" => (BASE, "[pressure]\n", ""),
        "reload" => (BASE, "[reload]\n", ""),
        "guard" => (BASE, "[reload.guard]\n", ""),
        "history" => (BASE, "[history]\n", ""),
        "incidents" => (BASE, "[incidents]\n", ""),
        "webhook" => (BASE, "[incidents.webhook]\n", ""),
        "listener" => ("", "[[listeners]]\n", ""),
        "listener_tls" => (BASE, "[listeners.tls]\n", ""),
        "certificate" => (BASE, "[listeners.tls]\ncertificates = [{ ", " }]"),
        "upstream" => (BASE, "[upstreams.u]\n", ""),
        "group" => (BASE, "[upstreams.u]\ngroups = [{ ", " }]"),
        "endpoint" => (BASE, "[upstreams.u]\nendpoints = [{ ", " }]"),
        "upstream_dns" => (UPSTREAM, "[upstreams.u.dns]\n", ""),
        "upstream_tls" => (UPSTREAM, "[upstreams.u.tls]\n", ""),
        "health" => (UPSTREAM, "[upstreams.u.health]\n", ""),
        "grpc_check" => (UPSTREAM, "[upstreams.u.health.grpc]\n", ""),
        "degraded" => (UPSTREAM, "[upstreams.u.health.degraded]\n", ""),
        "ejection" => (UPSTREAM, "[upstreams.u.ejection]\n", ""),
        "success_rate" => (UPSTREAM, "[upstreams.u.ejection.success_rate]\n", ""),
        "latency" => (UPSTREAM, "[upstreams.u.ejection.latency]\n", ""),
        "concurrency" => (UPSTREAM, "[upstreams.u.concurrency]\n", ""),
        "queue" => (UPSTREAM, "[upstreams.u.concurrency.queue]\n", ""),
        "route" => (BASE, "[[routes]]\n", ""),
        "share" => (BASE, "[[routes]]\nsplit = [{ ", " }]"),
        "respond" => (BASE, "[[routes]]\n[routes.respond]\n", ""),
        "redirect" => (BASE, "[[routes]]\n[routes.redirect]\n", ""),
        "fallback" => (route, "[routes.fallback]\n", ""),
        "fallback_respond" => (route, "[routes.fallback.respond]\n", ""),
        "header_edits" => (route, "[routes.request_headers]\n", ""),
        "retry" => (route, "[routes.retry]\n", ""),
        "hedge" => (route, "[routes.hedge]\n", ""),
        "outcomes" => (route, "[routes.outcomes]\n", ""),
        "rate_limit" => (route, "[[routes.rate_limits]]\n", ""),
        other => panic!("no place is known for the section `{other}`"),
    }
}

/// The codes and messages about the key at its place.
fn told_of(section: &str, key: &str) -> Vec<(String, String)> {
    let (before, open, close) = place_of(section);
    // No key holds a date: whoever reads the value must say so.
    let text = format!("{before}{open}{key} = 1979-05-27{close}\n");
    let errors = read(&text).expect_err("a date is no value");
    let line = format!("{before}{open}").matches('\n').count() + 1;
    errors
        .iter()
        .filter(|error| error.line() == u32::try_from(line).ok())
        .map(|error| (error.code().to_owned(), error.message().to_owned()))
        .collect()
}

fn keys_of_the_schema() -> Vec<(String, String)> {
    let schema = schema();
    let keys = |name: &str, of: &Json| -> Vec<(String, String)> {
        let properties = of["properties"].as_object().unwrap();
        assert_eq!(of["additionalProperties"], Json::Bool(false), "{name}");
        properties
            .keys()
            .map(|key| (name.to_owned(), key.clone()))
            .collect()
    };
    let mut all = keys("file", &schema);
    for (name, of) in schema["$defs"].as_object().unwrap() {
        all.extend(keys(name, of));
    }
    assert!(all.len() > 90, "{}", all.len());
    all
}

#[test]
fn every_key_of_the_schema_is_read() {
    for (section, key) in keys_of_the_schema() {
        let told = told_of(&section, &key);
        let named = |message: &str| message.contains(&format!("`{key}`"));
        let read = told
            .iter()
            .any(|(code, message)| code == "C011" && named(message));
        let known = told.iter().all(|(code, _)| code != "C010");
        assert!(read && known, "{section}.{key}: {told:?}");
    }
}

#[test]
fn a_key_that_the_schema_does_not_have_is_refused() {
    for section in ROOT.all() {
        let told = told_of(section.name, "zzyzx");
        assert!(
            told.iter().any(|(code, _)| code == "C010"),
            "{}: {told:?}",
            section.name
        );
    }
}

#[test]
fn every_default_is_valid_by_the_schema_and_by_the_reader() {
    let schema = schema();
    for section in ROOT.all() {
        let of = if section.name == "file" {
            &schema
        } else {
            &schema["$defs"][section.name]
        };
        for field in section.fields {
            let Some(default) = field.default() else {
                continue;
            };
            let property = &of["properties"][field.name()];
            assert_eq!(property["default"], default);
            assert!(
                jsonschema::is_valid(property, &default),
                "{}: {default}",
                field.name()
            );
            let (before, open, close) = place_of(section.name);
            let text = format!("{before}{open}{} = {default}{close}\n", field.name());
            let about = |errors: &super::super::Diagnostics| {
                let key = format!("`{}`", field.name());
                errors
                    .iter()
                    .filter(|error| {
                        matches!(
                            error.code(),
                            "C010" | "C011" | "C013" | "C014" | "C015" | "C016"
                        )
                    })
                    .any(|error| error.message().contains(&key))
            };
            assert!(!read(&text).is_err_and(|errors| about(&errors)), "{text}");
        }
    }
}

#[test]
fn the_reference_names_every_key_with_its_default_and_bounds() {
    let reference = reference();
    for section in ROOT.all() {
        for field in section.fields {
            let line = format!("| `{}` | ", field.name());
            assert!(reference.contains(&line), "{}", field.name());
        }
    }
    let expected = "| `connect_timeout` | `\"1s\"` | `\"1ms\"` to `\"1m\"` |";
    assert!(reference.contains(expected), "{reference}");
}

#[test]
fn no_two_sections_have_one_name() {
    fn walk(section: &'static Section, seen: &mut Vec<&'static Section>) {
        if let Some(same) = seen.iter().find(|known| known.name == section.name) {
            assert!(std::ptr::eq(*same, section), "{}", section.name);
            return;
        }
        seen.push(section);
        for field in section.fields {
            if let Some(below) = Shape::section(field.shape()) {
                walk(below, seen);
            }
        }
    }
    walk(&ROOT, &mut Vec::new());
}
