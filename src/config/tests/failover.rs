//! Groups of endpoints and the fallback of a route: what they mean, and what is wrong with them.

use std::fs;

use super::{errors, loaded, warnings};
use crate::config::{ActionPlan, FallbackPlan, read};

/// A file with two upstreams, of which `one` has these keys, and a route to it with those.
fn file(of_upstream: &str, of_route: &str) -> String {
    format!(
        "[[listeners]]\nbind = \"127.0.0.1:8080\"\n[upstreams.one]\n{of_upstream}\n\
         [upstreams.two]\nendpoints = [{{ address = \"10.0.0.9:80\" }}]\n\
         [[routes]]\nname = \"a\"\nupstream = \"one\"\n{of_route}\n\
         [[routes]]\nname = \"b\"\npath = \"/b\"\nupstream = \"two\"\n"
    )
}

const ONE: &str = "endpoints = [{ address = \"10.0.0.1:80\" }]";

fn groups(listed: &str) -> Vec<(String, Vec<usize>)> {
    let plan = loaded(&file(listed, "")).plan;
    let upstream = &plan.upstreams[&"one".into()];
    let named = upstream.groups.iter().enumerate();
    named
        .map(|(group, name)| {
            let endpoints = upstream.endpoints.iter().enumerate();
            let own = endpoints.filter(|(_, endpoint)| endpoint.group == group);
            (name.to_string(), own.map(|(index, _)| index).collect())
        })
        .collect()
}

#[test]
fn the_endpoints_of_the_upstream_are_the_first_group() {
    let group = |name: &str, members: &[usize]| (name.to_owned(), members.to_vec());
    assert_eq!(groups(ONE), [group("1", &[0])]);
    let standby = "groups = [{ name = \"standby\", endpoints = [{ dns = \"far.internal:80\" }] }]";
    assert_eq!(groups(standby), [group("standby", &[0])]);
    let both = format!("{ONE}\n{standby}");
    assert_eq!(groups(&both), [group("1", &[0]), group("standby", &[1])]);
    let unnamed = "groups = [{ endpoints = [{ address = \"10.0.0.1:80\" }, { address = \"10.0.0.2:80\" }] }, \
                   { endpoints = [{ srv = \"_http._tcp.far.internal\" }] }]";
    assert_eq!(groups(unnamed), [group("1", &[0, 1]), group("2", &[2])]);
    let plan = loaded(&file(&format!("{both}\noverprovisioning = 2.0"), "")).plan;
    assert!((plan.upstreams[&"one".into()].overprovisioning - 2.0).abs() < 1e-9);
}

#[test]
fn what_is_wrong_with_groups_is_told() {
    let group = |inner: &str| format!("groups = [{{ {inner} }}]");
    let listed = "endpoints = [{ address = \"10.0.0.2:80\" }]";
    for (of_upstream, expected) in [
        (String::new(), "[upstreams.NAME] has no `endpoints`"),
        ("endpoint = []".to_owned(), "did you mean `endpoints`?"),
        ("group = []".to_owned(), "did you mean `groups`?"),
        (
            group("name = \"x\""),
            "[[upstreams.NAME.groups]] has no `endpoints`",
        ),
        (
            group(&format!("nane = \"x\", {listed}")),
            "did you mean `name`?",
        ),
        (group(&format!("name = \"a b\", {listed}")), "`name`"),
        (
            format!("{ONE}\n{}", group(ONE)),
            "this endpoint is given twice",
        ),
        (
            format!("{ONE}\n{}", group(&format!("name = \"1\", {listed}"))),
            "two groups are named `1`",
        ),
        (
            format!("{ONE}\novrprovisioning = 2.0"),
            "did you mean `overprovisioning`?",
        ),
        (format!("{ONE}\noverprovisioning = 0.5"), "overprovisioning"),
        ("groups = []".to_owned(), "`groups` is empty"),
    ] {
        let told = errors(&file(&of_upstream, ""));
        assert!(told.contains(expected), "{of_upstream}: {told}");
    }
}

#[test]
fn a_fallback_is_an_upstream_a_file_or_an_answer() {
    let fallback = |of_route: &str| loaded(&file(ONE, of_route)).plan.routes[0].fallback.clone();
    assert_eq!(fallback(""), None);
    assert_eq!(
        fallback("fallback = { upstream = \"two\" }"),
        Some(FallbackPlan::Upstream("two".into()))
    );
    let Some(FallbackPlan::Respond { status, body }) =
        fallback("fallback = { respond = { body = \"sorry\" } }")
    else {
        panic!("an answer");
    };
    assert_eq!((status.as_u16(), &*body), (503, &b"sorry"[..]));
    let sole = file(ONE, "fallback = { upstream = \"two\" }");
    let sole = sole.split("[[routes]]\nname = \"b\"").next().unwrap();
    assert!(
        !warnings(sole).contains("no route uses"),
        "a fallback uses it"
    );
}

#[test]
fn what_is_wrong_with_a_fallback_is_told() {
    for (of_route, expected) in [
        ("fallback = { upstream = \"tow\" }", "did you mean `two`?"),
        (
            "fallback = { upsteam = \"two\" }",
            "did you mean `upstream`?",
        ),
        (
            "fallback = { upstream = \"one\" }",
            "the fallback is `one`, to which the route forwards as it is",
        ),
        (
            "fallback = { upstream = \"two\", file = \"x.html\" }",
            "`file` and `upstream` exclude each other",
        ),
        (
            "fallback = { respond = {}, upstream = \"two\" }",
            "`upstream` and `respond` exclude each other",
        ),
        (
            "fallback = { upstream = \"two\", status = 200 }",
            "`status` and `upstream` exclude each other",
        ),
        (
            "fallback = {}",
            "fallback of [[routes]] needs one of: upstream, file, respond",
        ),
        (
            "fallback = { respond = { status = 204, body = \"x\" } }",
            "an answer with status 204 has no body",
        ),
        (
            "fallback = { file = \"nowhere.html\" }",
            "nowhere.html cannot be read: there is no such file",
        ),
        (
            "fallback = { file = \"nowhere.html\", content_type = \"html\" }",
            "this is not a media type",
        ),
        (
            "fallback = { file = \"nowhere.html\", status = 304 }",
            "an answer with status 304 has no body",
        ),
    ] {
        let told = errors(&file(ONE, of_route));
        assert!(told.contains(expected), "{of_route}: {told}");
    }
    let answers = file(ONE, "").replace(
        "upstream = \"one\"",
        "respond = {}\nfallback = { upstream = \"two\" }",
    );
    assert!(errors(&answers).contains("`fallback` has no effect where nothing is forwarded"));
}

#[test]
fn a_split_may_fall_back_to_one_of_its_own_unless_it_is_the_only_one() {
    let split = |weights: [u32; 2]| {
        let [one, two] = weights;
        let split = format!(
            "split = [{{ upstream = \"one\", weight = {one} }}, {{ upstream = \"two\", weight = {two} }}]\n\
             fallback = {{ upstream = \"one\" }}"
        );
        file(ONE, "").replace("upstream = \"one\"", &split)
    };
    let plan = loaded(&split([9, 1])).plan;
    assert!(matches!(&plan.routes[0].action, ActionPlan::Forward(split) if split.len() == 2));
    assert!(errors(&split([1, 0])).contains("forwards as it is"));
}

#[test]
fn the_file_of_a_fallback_is_read_with_the_config_up_to_a_mebibyte() {
    let folder = tempfile::tempdir().unwrap();
    let (path, page) = (
        folder.path().join("tidegate.toml"),
        folder.path().join("sorry.html"),
    );
    fs::write(&path, file(ONE, "fallback = { file = \"sorry.html\" }")).unwrap();
    fs::write(&page, "<p>sorry</p>").unwrap();
    let first = read(&path).unwrap();
    assert_eq!(&*first.files.fallbacks[&"a".into()], b"<p>sorry</p>");
    fs::write(&page, "<p>other</p>").unwrap();
    let second = read(&path).unwrap();
    assert_eq!(&*second.files.fallbacks[&"a".into()], b"<p>other</p>");
    assert_ne!(first.files.fingerprint, second.files.fingerprint);
    fs::write(&page, vec![b'x'; (1 << 20) + 1]).unwrap();
    let told = read(&path).unwrap_err().to_string();
    assert!(
        told.contains("sorry.html cannot be read") && told.contains("fallback = { file"),
        "{told}"
    );
}
