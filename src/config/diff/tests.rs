use super::{
    super::tests::{MINIMAL, loaded},
    *,
};
use crate::names::RouteName;

const BASE: &str = r#"
[[listeners]]
bind = "127.0.0.1:0"
[upstreams.one]
endpoints = [{ address = "10.0.0.1:80" }]
[upstreams.two]
endpoints = [{ address = "10.0.0.2:80" }, { address = "10.0.0.3:80", weight = 2 }]
[[routes]]
name = "shop"
path_prefix = "/shop"
upstream = "one"
timeout = "3s"
[[routes.rate_limits]]
name = "per-client"
rate = "200/s"
[[routes]]
name = "rest"
upstream = "two"
"#;

fn diff(change: impl Fn(&str) -> String) -> Diff {
    Diff::between(&loaded(BASE), &loaded(&change(BASE)))
}

/// Each change in a line.
fn told(diff: &Diff) -> Vec<String> {
    let value = |value: &Option<String>| value.clone().unwrap_or("-".to_owned());
    diff.changes
        .iter()
        .map(|one| {
            format!(
                "{} {}: {} -> {}",
                one.of,
                one.key,
                value(&one.old),
                value(&one.new)
            )
        })
        .collect()
}

fn touched(diff: &Diff) -> Vec<&str> {
    match &diff.touches {
        Touched::All => vec!["all"],
        Touched::Routes(routes) => routes.iter().map(RouteName::as_str).collect(),
    }
}

#[test]
fn a_limit_is_named_by_route_and_name_with_both_values() {
    let diff = diff(|text| text.replace("200/s", "100/s"));
    assert_eq!(
        told(&diff),
        ["route shop rate_limits.per-client.rate: \"200/s\" -> \"100/s\""]
    );
    assert_eq!(touched(&diff), ["shop"]);
}

#[test]
fn what_means_the_same_is_no_change() {
    let same: [fn(&str) -> String; 5] = [
        |text| text.replace("\"3s\"", "\"3000ms\""),
        |text| format!("# a comment\n{text}"),
        |text| {
            text.replace(
                "upstream = \"two\"",
                "upstream = \"two\"\ntimeout = \"60s\"",
            )
        },
        |text| text.replace("weight = 2", "weight = 0x2"),
        |text| format!("\u{feff}{text}"),
    ];
    for (index, change) in same.into_iter().enumerate() {
        let diff = diff(change);
        assert!(diff.is_empty(), "{index}: {:?}", told(&diff));
        assert!(touched(&diff).is_empty(), "{index}");
    }
}

#[test]
fn a_default_that_is_left_is_shown_as_the_value_before() {
    let diff = diff(|text| {
        text.replace(
            "timeout = \"3s\"\n",
            "timeout = \"3s\"\npriority = \"critical\"\n",
        )
    });
    assert_eq!(
        told(&diff),
        ["route shop priority: \"normal\" -> \"critical\""]
    );
}

#[test]
fn an_upstream_touches_the_routes_that_forward_to_it() {
    let diff = diff(|text| {
        text.replace("weight = 2 }", "weight = 3 }")
            + "[upstreams.two.concurrency]\nmode = \"fixed\"\nlimit = 4\n"
    });
    assert_eq!(
        told(&diff),
        [
            "upstream two concurrency.limit: - -> 4",
            "upstream two concurrency.mode: \"adaptive\" -> \"fixed\"",
            "upstream two endpoints.10.0.0.3:80.weight: 2 -> 3",
        ]
    );
    assert_eq!(touched(&diff), ["rest"]);
}

#[test]
fn what_comes_or_goes_as_a_whole_is_told_once() {
    let diff = diff(|text| {
        text.replace("{ address = \"10.0.0.2:80\" }, ", "")
            .replace("name = \"rest\"", "name = \"other\"")
    });
    assert_eq!(
        told(&diff),
        [
            "upstream two endpoints.10.0.0.2:80: there -> -",
            "route other : - -> there",
            "route rest : there -> -",
        ]
    );
    assert_eq!(touched(&diff), ["other", "rest"]);
}

#[test]
fn groups_and_fallbacks_that_change_are_told_by_name() {
    let groups = "[[upstreams.one.groups]]\nname = \"standby\"\nendpoints = [{ address = \"10.0.1.1:80\" }]\n\
                  [[upstreams.one.groups]]\nendpoints = [{ address = \"10.0.2.1:80\" }]\n";
    let with = |fallback: &str, groups: &str| {
        let route = format!("upstream = \"one\"\nfallback = {{ {fallback} }}");
        BASE.replace("upstream = \"one\"", &route) + groups
    };
    let old = with("upstream = \"two\"", groups);
    let path = Path::new("tidegate.toml");
    let between = |old: &str, new: &str| Diff::between_texts(old, new, path).unwrap();
    let moved = groups.replace("10.0.2.1:80\"", "10.0.2.1:80\", weight = 2");
    let diff = between(&old, &with("upstream = \"two\"", &moved));
    assert_eq!(
        told(&diff),
        ["upstream one groups.3.endpoints.10.0.2.1:80.weight: 1 -> 2"]
    );
    let diff = between(&old, &with("file = \"sorry.html\"", ""));
    assert_eq!(
        told(&diff),
        [
            "upstream one groups.3: there -> -",
            "upstream one groups.standby: there -> -",
            "route shop fallback.file: - -> \"sorry.html\"",
            "route shop fallback.upstream: \"two\" -> -",
        ]
    );
    // A fallback's upstream touches the route.
    let slower = old.replace(
        "[upstreams.two]\n",
        "[upstreams.two]\nslow_start = \"1s\"\n",
    );
    assert_eq!(touched(&between(&old, &slower)), ["rest", "shop"]);
}

#[test]
fn what_all_requests_go_through_touches_all() {
    let diff = diff(|text| format!("[dns]\nhold = \"10s\"\n{text}"));
    assert_eq!(told(&diff), ["[dns] hold: \"30s\" -> \"10s\""]);
    assert_eq!(touched(&diff), ["all"]);
}

#[test]
fn how_the_process_ends_touches_no_route() {
    let diff = diff(|text| format!("[drain]\ntimeout = \"10s\"\n{text}"));
    assert_eq!(told(&diff), ["[drain] timeout: \"30s\" -> \"10s\""]);
    assert!(touched(&diff).is_empty());
}

#[test]
fn texts_are_compared_without_the_files_that_they_name() {
    let tls = "tls = { ca = \"nowhere.pem\" }\n";
    let secure = BASE.replace("[upstreams.two]\n", &format!("[upstreams.two]\n{tls}"));
    let path = Path::new("tidegate.toml");
    let diff = Diff::between_texts(BASE, &secure, path).unwrap();
    assert_eq!(told(&diff), ["upstream two tls.ca: - -> \"nowhere.pem\""]);
    let wrong = Diff::between_texts(BASE, "[nothing]\n", path).unwrap_err();
    assert!(wrong.len() > 0);
}

#[test]
fn a_secret_that_changes_is_seen_to_change_and_not_shown() {
    let with = |secret: &str| {
        let set = format!(
            "request_headers = {{ set = {{ authorization = \"{secret}\", x-a = \"b\" }} }}"
        );
        BASE.replace("upstream = \"two\"", &format!("upstream = \"two\"\n{set}"))
    };
    let path = Path::new("tidegate.toml");
    let diff = Diff::between_texts(&with("s3cret"), &with("0ther"), path).unwrap();
    let told = told(&diff).join("\n");
    assert!(
        told.starts_with("route rest request_headers.set: { authorization = (hidden "),
        "{told}"
    );
    assert!(
        told.contains("x-a = \"b\"") && !told.contains("s3cret") && !told.contains("0ther"),
        "{told}"
    );
    assert_eq!(diff.changes.len(), 1);
}

#[test]
fn the_only_route_and_listener_are_called_default() {
    let path = Path::new("tidegate.toml");
    let other = MINIMAL.replace("8080", "8081");
    let diff = Diff::between_texts(MINIMAL, &other, path).unwrap();
    assert!(
        told(&diff)[0].starts_with("listener default bind: "),
        "{:?}",
        told(&diff)
    );
}

#[test]
fn texts_of_one_language_are_told_apart() {
    const TEXTS: &str = r#"
[[errors.texts]]
language = "de"
causes = ["overload"]
title = "voll"
sentence = "Es ist voll."
[[errors.texts]]
language = "de"
title = "weg"
sentence = "Es ist weg."
"#;
    let one = loaded(&format!("{BASE}{TEXTS}"));
    let other = loaded(&format!("{BASE}{}", TEXTS.replace("\"weg\"", "\"fort\"")));
    assert_eq!(
        told(&Diff::between(&one, &other)),
        ["[errors] texts.de.2.title: \"weg\" -> \"fort\""]
    );
}
