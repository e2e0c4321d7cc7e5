//! Which route takes which request.

use std::num::NonZeroU32;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::{
    config::{
        ActionPlan, HeaderEdits, HeaderMatch, MatchPlan, OutcomePlan, QueryMatch, RetryOn,
        RetryPlan, TenantKey,
    },
    names::{Priority, RouteName},
};

use super::*;

/// A route of the given name, of any host and path.
fn route(name: &str) -> RoutePlan {
    RoutePlan {
        name: RouteName::from(name),
        matcher: MatchPlan::default(),
        action: ActionPlan::Respond {
            status: http::StatusCode::OK,
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
    }
}

impl RoutePlan {
    fn hosts(mut self, hosts: &[&str]) -> Self {
        let read = |host: &&str| match host.strip_prefix("*.") {
            Some(suffix) => HostMatch::Wildcard(suffix.into()),
            None => HostMatch::Exact((*host).into()),
        };
        self.matcher.hosts = hosts.iter().map(read).collect();
        self
    }

    fn path(mut self, path: &str) -> Self {
        self.matcher.path = PathMatch::Exact(path.into());
        self
    }

    fn prefix(mut self, prefix: &str) -> Self {
        self.matcher.path = PathMatch::Prefix(prefix.into());
        self
    }

    fn method(mut self, method: Method) -> Self {
        self.matcher.methods.push(method);
        self
    }

    fn header(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        self.matcher.headers.push(HeaderMatch {
            name: HeaderName::from_static(name),
            value: value.map(HeaderValue::from_static),
        });
        self
    }

    fn query(mut self, name: &str, value: Option<&str>) -> Self {
        self.matcher.query.push(QueryMatch {
            name: name.into(),
            value: value.map(Into::into),
        });
        self
    }
}

/// A table, asked in both orders of the file: the answers must be the same.
struct Asked {
    forwards: (Table, Vec<Arc<RoutePlan>>),
    backwards: (Table, Vec<Arc<RoutePlan>>),
}

impl Asked {
    fn of(routes: impl IntoIterator<Item = RoutePlan>) -> Self {
        let routes: Vec<_> = routes.into_iter().map(Arc::new).collect();
        let reversed: Vec<_> = routes.iter().rev().cloned().collect();
        Self {
            forwards: (Table::new(&routes), routes),
            backwards: (Table::new(&reversed), reversed),
        }
    }

    fn find(&self, head: &Head<'_>) -> Option<&str> {
        let name = |(table, routes): &'_ (Table, Vec<Arc<RoutePlan>>)| {
            table.find(head).map(|index| routes[index].name.clone())
        };
        assert_eq!(
            name(&self.forwards),
            name(&self.backwards),
            "the file's order matters"
        );
        let (table, routes) = &self.forwards;
        table.find(head).map(|index| routes[index].name.as_str())
    }

    /// The route of `GET path` at `host`; the query is cut off.
    fn get(&self, host: &str, target: &str) -> Option<&str> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        self.find(&Head {
            host,
            path,
            query,
            method: &Method::GET,
            headers: &HeaderMap::new(),
        })
    }
}

#[test]
fn an_exact_host_beats_the_longest_wildcard_and_that_beats_none() {
    let table = Asked::of([
        route("any"),
        route("wide").hosts(&["*.example.com"]),
        route("narrow").hosts(&["*.shop.example.com"]),
        route("exact").hosts(&["eu.shop.example.com"]),
    ]);
    assert_eq!(table.get("eu.shop.example.com", "/"), Some("exact"));
    assert_eq!(table.get("us.shop.example.com", "/"), Some("narrow"));
    assert_eq!(table.get("a.b.shop.example.com", "/"), Some("narrow"));
    assert_eq!(table.get("shop.example.com", "/"), Some("wide"));
    assert_eq!(table.get("example.com", "/"), Some("any"));
    assert_eq!(table.get("notexample.com", "/"), Some("any"));
    assert_eq!(table.get("", "/"), Some("any"));
}

#[test]
fn a_host_without_a_fitting_path_falls_through_to_the_next_host() {
    let table = Asked::of([
        route("any").prefix("/api"),
        route("wide").hosts(&["*.example.com"]).prefix("/img"),
        route("exact").hosts(&["www.example.com"]).prefix("/shop"),
    ]);
    assert_eq!(table.get("www.example.com", "/shop/1"), Some("exact"));
    assert_eq!(table.get("www.example.com", "/img/1"), Some("wide"));
    assert_eq!(table.get("www.example.com", "/api/1"), Some("any"));
    assert_eq!(table.get("www.example.com", "/"), None);
}

#[test]
fn an_exact_path_beats_the_longest_prefix() {
    let table = Asked::of([
        route("root"),
        route("api").prefix("/api"),
        route("users").prefix("/api/users"),
        route("me").path("/api/users/me"),
    ]);
    assert_eq!(table.get("h", "/api/users/me"), Some("me"));
    assert_eq!(table.get("h", "/api/users/me/x"), Some("users"));
    assert_eq!(table.get("h", "/api/users/"), Some("users"));
    assert_eq!(table.get("h", "/api/usersx"), Some("api"));
    assert_eq!(table.get("h", "/api"), Some("api"));
    assert_eq!(table.get("h", "/apix"), Some("root"));
    assert_eq!(table.get("h", "/"), Some("root"));
    assert_eq!(table.get("h", "*"), Some("root"));
}

#[test]
fn an_exact_path_does_not_take_its_sibling_with_a_slash() {
    let table = Asked::of([route("one").path("/a")]);
    assert_eq!(table.get("h", "/a"), Some("one"));
    assert_eq!(table.get("h", "/a/"), None);
    assert_eq!(table.get("h", "/a/b"), None);
}

#[test]
fn a_route_that_fails_a_condition_falls_through_to_a_shorter_path() {
    let table = Asked::of([
        route("read").prefix("/api").method(Method::GET),
        route("write").prefix("/api/users").method(Method::POST),
        route("one").path("/api/users/me").method(Method::DELETE),
    ]);
    assert_eq!(table.get("h", "/api/users/me"), Some("read"));
    let head = Head {
        host: "h",
        path: "/api/users/me",
        query: None,
        method: &Method::POST,
        headers: &HeaderMap::new(),
    };
    assert_eq!(table.find(&head), Some("write"));
    let head = Head {
        method: &Method::PUT,
        ..head
    };
    assert_eq!(table.find(&head), None);
}

#[test]
fn more_matchers_win_and_then_methods() {
    let table = Asked::of([
        route("plain"),
        route("get").method(Method::GET),
        route("v").query("v", None),
        route("v2").query("v", Some("2")),
        route("both")
            .query("v", Some("2"))
            .header("x-canary", Some("1")),
    ]);
    assert_eq!(table.get("h", "/"), Some("get"));
    assert_eq!(table.get("h", "/?v=1"), Some("v"));
    assert_eq!(table.get("h", "/?v=2"), Some("v2"));
    let mut headers = HeaderMap::new();
    headers.insert("x-canary", HeaderValue::from_static("1"));
    let head = Head {
        host: "h",
        path: "/",
        query: Some("v=2"),
        method: &Method::PUT,
        headers: &headers,
    };
    assert_eq!(table.find(&head), Some("both"));
}

#[test]
fn routes_that_overlap_without_being_equal_are_told_apart_by_name() {
    let table = Asked::of([
        route("b").query("x", Some("1")),
        route("a").query("y", Some("1")),
    ]);
    assert_eq!(table.get("h", "/?x=1&y=1"), Some("a"));
}

/// A rule for `/admin` and everything behind it, against other spellings: each either falls under the rule
/// or goes on in a form that the upstream will not read as `/admin` by resolving it once more.
#[test]
fn c31_no_spelling_slips_past_a_rule() {
    let table = Asked::of([route("open"), route("guarded").prefix("/admin")]);
    let guarded = [
        "/admin",
        "/admin/",
        "/./admin",
        "//admin",
        "/%61dmin",
        "/x/../admin",
        "/x/%2e%2e/admin/users",
        "/admin/./users",
        "/admin//users",
    ];
    for sent in guarded {
        let path = normalise(sent).unwrap();
        assert_eq!(table.get("h", &path), Some("guarded"), "{sent}");
    }
    let distinct = [
        ("/Admin", "/Admin"),
        ("/admin;x", "/admin;x"),
        ("/admin%20", "/admin%20"),
        ("/admin.", "/admin."),
        ("/admin%2fusers", "/admin%2Fusers"),
        ("/x/..%2fadmin", "/x/..%2Fadmin"),
    ];
    for (sent, form) in distinct {
        let path = normalise(sent).unwrap();
        assert_eq!(path, form);
        assert_eq!(table.get("h", &path), Some("open"), "{sent}");
    }
}

#[test]
fn a_pattern_is_read_in_the_form_of_requests() {
    let table = Asked::of([route("a").prefix("/caf%c3%a9/"), route("b").path("/x%2fy")]);
    assert_eq!(
        table.get("h", &normalise("/caf\u{e9}/x").unwrap()),
        Some("a")
    );
    assert_eq!(table.get("h", &normalise("/x%2Fy").unwrap()), Some("b"));
}

#[test]
fn borders_are_bounded_by_the_longest_prefix() {
    let all: Vec<_> = borders("/a/b/c", 100).collect();
    assert_eq!(all, ["/a/b/c", "/a/b", "/a", ""]);
    assert_eq!(borders("/a/b/c", 4).collect::<Vec<_>>(), ["/a/b", "/a", ""]);
    assert_eq!(borders("/a/b/c", 3).collect::<Vec<_>>(), ["/a", ""]);
    assert_eq!(borders("/a/b/c", 0).collect::<Vec<_>>(), [""]);
    assert_eq!(borders("*", 9).collect::<Vec<_>>(), ["*", ""]);
    let deep = "/x".repeat(30_000);
    assert_eq!(borders(&deep, 8).count(), 5);
}

#[test]
fn thousands_of_tenants_each_find_their_own() {
    let tenants =
        (0..3_000).map(|n| route(&format!("t{n}")).hosts(&[&format!("t{n}.example.com")]));
    let table = Asked::of(tenants);
    assert_eq!(table.get("t2999.example.com", "/x/y"), Some("t2999"));
    assert_eq!(table.get("t3000.example.com", "/x/y"), None);
}
