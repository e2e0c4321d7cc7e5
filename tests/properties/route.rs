//! Paths have one form, rewrites stay paths, and the table finds what a look at every route would find.

use std::{num::NonZeroU32, sync::Arc};

use http::{HeaderMap, Method, StatusCode};
use proptest::prelude::*;
use tidegate::{
    config::{
        ActionPlan, HeaderEdits, HostMatch, MatchPlan, OutcomePlan, PathMatch, RetryOn, RetryPlan,
        RewritePlan, RoutePlan, TenantKey,
    },
    names::{Priority, RouteName},
    route::{Head, Table, host_of, normalise, rewrite},
};

/// Text of paths, dense in what normalisation must take care of.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-c]{1,2}",
        2 => Just("/".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just("%2e".to_owned()),
        1 => Just("%2F".to_owned()),
        1 => Just("%2f".to_owned()),
        1 => Just("%5c".to_owned()),
        1 => Just("%25".to_owned()),
        1 => Just("%61".to_owned()),
        1 => Just(";x".to_owned()),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn is_one_path(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//")
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own_normal_form(path in path()) {
        if let Ok(once) = normalise(&path) {
            let twice = normalise(&once);
            prop_assert_eq!(twice.as_deref(), Ok(once.as_ref()));
        }
    }

    #[test]
    fn the_normal_form_has_no_dot_segment_no_empty_one_and_no_byte_of_its_own(path in path()) {
        if let Ok(form) = normalise(&path) {
            prop_assert!(form.is_ascii());
            prop_assert!(!form.contains("//"));
            prop_assert!(!form.contains(['\\', '?', '#', ' ', '\0']));
            prop_assert!(form.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(form.len() <= 3 * path.len());
        }
    }

    #[test]
    fn normalising_never_panics(path in any::<String>()) {
        let _ = normalise(&path);
    }

    #[test]
    fn an_escaped_separator_never_becomes_one(path in path()) {
        let escaped = |text: &str| text.to_ascii_lowercase().matches("%2f").count();
        let resolves_nothing = !path.contains('.') && !path.to_ascii_lowercase().contains("%2e");
        if let Ok(form) = normalise(&path)
            && resolves_nothing
        {
            prop_assert_eq!(escaped(&form), escaped(&path));
        }
    }

    #[test]
    fn a_rewritten_path_begins_with_exactly_one_slash(
        path in path(),
        prefix in "(/[a-c]){0,2}/?",
        new in "/{0,3}[a-c]{0,2}/{0,2}",
    ) {
        if let Ok(form) = normalise(&path) {
            let matcher = PathMatch::Prefix(prefix.as_str().into());
            let strip = RewritePlan::StripPrefix(prefix.as_str().into());
            prop_assert!(is_one_path(&rewrite(&strip, &matcher, &form)));
            let replace = RewritePlan::ReplacePrefix(new.as_str().into());
            prop_assert!(is_one_path(&rewrite(&replace, &matcher, &form)));
        }
    }

    #[test]
    fn a_host_reads_the_same_when_read_again(text in "[a-cA-C.:0-9\\[\\]_-]{0,12}") {
        if let Ok(host) = host_of(&text) {
            let again = host_of(&host.name).map(|host| host.name.into_owned());
            prop_assert_eq!(again.as_deref(), Ok(host.name.as_ref()));
        }
    }

    #[test]
    fn the_table_finds_what_a_look_at_every_route_finds(
        routes in proptest::collection::vec(matcher(), 1..12),
        host in "([ab]\\.){0,3}[ab]?",
        path in "(/[ab]){0,4}/?",
        post in any::<bool>(),
    ) {
        let host = host.trim_end_matches('.');
        let path = if path.is_empty() { "/" } else { &path };
        let routes: Vec<_> = routes.into_iter().enumerate().map(named).collect();
        let method = if post { Method::POST } else { Method::GET };
        let head = Head { host, path, query: None, method: &method, headers: &HeaderMap::new() };
        let found = Table::new(&routes).find(&head);
        let best = routes.iter().filter_map(|route| rank(&route.matcher, &head)).max();
        let rank = found.map(|index| rank(&routes[index].matcher, &head));
        prop_assert_eq!(rank, best.map(Some));
    }
}

/// Where a route stands among those that take the request; `None` if it does not take it.
/// Written without regard to speed, straight from the rule: host, path, methods.
fn rank(plan: &MatchPlan, head: &Head<'_>) -> Option<(usize, usize, bool)> {
    let host = match plan.hosts.as_slice() {
        [] => Some(0),
        hosts => hosts
            .iter()
            .filter_map(|host| host_rank(host, head.host))
            .max(),
    };
    let path = match &plan.path {
        PathMatch::Exact(path) => (path.as_ref() == head.path).then_some(usize::MAX),
        PathMatch::Prefix(prefix) => head
            .path
            .strip_prefix(prefix.as_ref())
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map(|_| prefix.len()),
    };
    let method = plan.methods.is_empty() || plan.methods.contains(head.method);
    method.then_some((host?, path?, !plan.methods.is_empty()))
}

fn host_rank(host: &HostMatch, sent: &str) -> Option<usize> {
    match host {
        HostMatch::Exact(name) => (name.as_ref() == sent).then_some(usize::MAX),
        HostMatch::Wildcard(suffix) => sent
            .strip_suffix(suffix.as_ref())
            .filter(|before| before.len() > 1 && before.ends_with('.'))
            .map(|_| suffix.len()),
    }
}

fn matcher() -> impl Strategy<Value = MatchPlan> {
    let host = prop_oneof![
        "([ab]\\.){0,2}[ab]".prop_map(|name| HostMatch::Exact(name.into())),
        "([ab]\\.){0,2}[ab]".prop_map(|name| HostMatch::Wildcard(name.into())),
    ];
    let path = prop_oneof![
        "(/[ab]){1,3}/?".prop_map(|path| PathMatch::Exact(path.into())),
        "(/[ab]){0,3}".prop_map(|path| PathMatch::Prefix(path.into())),
    ];
    let hosts = proptest::collection::vec(host, 0..3);
    let methods = proptest::collection::vec(Just(Method::POST), 0..2);
    (hosts, path, methods).prop_map(|(hosts, path, methods)| MatchPlan {
        hosts,
        path,
        methods,
        ..MatchPlan::default()
    })
}

fn named((number, matcher): (usize, MatchPlan)) -> Arc<RoutePlan> {
    Arc::new(RoutePlan {
        name: RouteName::from(format!("r{number}").as_str()),
        matcher,
        action: ActionPlan::Respond {
            status: StatusCode::OK,
            body: bytes::Bytes::new(),
        },
        fallback: None,
        rewrite: None,
        priority: Priority::Normal,
        timeout: None,
        max_body_bytes: None,
        retry: RetryPlan {
            attempts: NonZeroU32::MIN,
            on: RetryOn::default(),
            replay_bytes: 0,
        },
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        rate_limits: Vec::new(),
        share: None,
        tenant: TenantKey::None,
        hedge: None,
        outcomes: OutcomePlan {
            dropped: Box::default(),
            ignored: Box::default(),
            grpc_dropped: Box::default(),
        },
    })
}
