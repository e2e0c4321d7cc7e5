//! Overload control: what its keys mean, and what is told of those that are wrong.

use std::{num::NonZeroU32, time::Duration};

use super::{
    super::{
        BalancePolicy, ConcurrencyMode, ConcurrencyPlan, HedgeAfter, LawWord, LimitBounds,
        RoutePlan, TenantKey,
    },
    MINIMAL, errors, loaded, warnings,
};

/// A file whose upstream has this concurrency limit.
fn limited(keys: &str) -> String {
    let table = format!("concurrency = {{ {keys} }}\n[[routes]]");
    MINIMAL.replace("[[routes]]", &table)
}

fn limit(keys: &str) -> ConcurrencyPlan {
    let plan = loaded(&limited(keys)).plan;
    plan.upstreams.values().next().unwrap().concurrency
}

/// The bounds of a limit that is found.
fn bounds(keys: &str) -> (u32, u32, u32) {
    match limit(keys).mode {
        ConcurrencyMode::Learned {
            bounds: LimitBounds { min, max, initial },
            ..
        } => (min.get(), max.get(), initial.get()),
        other => panic!("{other:?}"),
    }
}

/// A file whose route has these keys.
fn routed(keys: &str) -> String {
    format!("{MINIMAL}{keys}\n")
}

fn route(keys: &str) -> RoutePlan {
    loaded(&routed(keys)).plan.routes[0].as_ref().clone()
}

/// The one error of a file, as `code message: label`.
fn told(text: &str) -> String {
    let errors = super::read(text).expect_err("something is wrong with it");
    assert_eq!(errors.len(), 1, "{errors}");
    let error = errors.iter().next().unwrap();
    format!("{} {}: {}", error.code(), error.message(), error.label())
}

#[test]
fn a_limit_is_found_in_the_mode_of_that_name() {
    for (word, law) in [
        ("adaptive", LawWord::Adaptive),
        ("aimd", LawWord::Aimd),
        ("vegas", LawWord::Vegas),
        ("gradient2", LawWord::Gradient2),
    ] {
        let plan = limit(&format!("mode = \"{word}\", total = 500"));
        let expected = ConcurrencyMode::Learned {
            law,
            bounds: LimitBounds {
                min: NonZeroU32::MIN,
                max: NonZeroU32::new(4096).unwrap(),
                initial: NonZeroU32::new(10).unwrap(),
            },
            total: NonZeroU32::new(500),
        };
        assert_eq!(plan.mode, expected);
    }
    let fixed = ConcurrencyMode::Fixed(NonZeroU32::new(64).unwrap());
    assert_eq!(limit("mode = \"fixed\", limit = 64").mode, fixed);
    assert_eq!(limit("mode = \"off\"").mode, ConcurrencyMode::Off);
}

#[test]
fn a_first_limit_that_is_left_out_gives_way_to_its_bounds() {
    assert_eq!(bounds(""), (1, 4096, 10));
    assert_eq!(bounds("min = 20"), (20, 4096, 20));
    assert_eq!(bounds("max = 5"), (1, 5, 5));
    assert_eq!(bounds("min = 7, max = 7"), (7, 7, 7));
    assert_eq!(bounds("min = 4, max = 8, initial = 8"), (4, 8, 8));
    assert_eq!(bounds("max = 1000000"), (1, 1_000_000, 10));
}

#[test]
fn a_limit_in_shadow_is_found_all_the_same() {
    let plan = limit("shadow = true");
    assert!(plan.shadow);
    assert_eq!(plan.mode, limit("").mode);
    assert!(limit("mode = \"fixed\", limit = 1, shadow = true").shadow);
}

#[test]
fn a_queue_holds_a_million_at_most() {
    let plan = limit("queue = { max_waiting = 1000000 }");
    assert_eq!(plan.queue.max_waiting, 1_000_000);
    assert_eq!(
        told(&limited("queue = { max_waiting = 1000001 }")),
        "C013 `max_waiting` is out of bounds: expected 0 to 1,000,000"
    );
}

#[test]
fn numbers_of_a_limit_have_bounds() {
    for key in ["limit", "min", "max", "initial", "total"] {
        for number in ["0", "1000001", "-1"] {
            assert_eq!(
                told(&limited(&format!("{key} = {number}"))),
                format!("C013 `{key}` is out of bounds: expected 1 to 1,000,000")
            );
        }
    }
}

#[test]
fn the_process_can_be_left_to_itself() {
    let plan = loaded(&format!("{MINIMAL}[pressure]\nenabled = false\n")).plan;
    assert!(!plan.pressure.enabled && !plan.pressure.shadow);
    let plan = loaded(&format!("{MINIMAL}[pressure]\nshadow = true\n")).plan;
    assert!(plan.pressure.enabled && plan.pressure.shadow);
}

#[test]
fn a_server_can_be_chosen_by_its_latency() {
    let plan = loaded(&MINIMAL.replace("[[routes]]", "balance = \"peak_ewma\"\n[[routes]]")).plan;
    let upstream = plan.upstreams.values().next().unwrap();
    assert_eq!(upstream.balance, BalancePolicy::PeakEwma);
}

#[test]
fn what_a_route_leaves_out_of_overload_has_the_defaults_of_the_reference() {
    let route = route("");
    assert_eq!(route.share, None);
    assert_eq!(route.tenant, TenantKey::ClientIp);
    assert_eq!(route.hedge, None);
    let explicit = "outcomes = { dropped = [429, 503, 504], ignored = [], \
                    grpc_dropped = [\"RESOURCE_EXHAUSTED\", \"UNAVAILABLE\"] }";
    assert_eq!(route, self::route(explicit));
}

#[test]
fn a_share_is_kept_in_thousandths() {
    let of = |share: &str| route(&format!("share = {share}")).share;
    assert_eq!(of("0.2"), NonZeroU32::new(200));
    assert_eq!(of("0.001"), NonZeroU32::new(1));
    assert_eq!(of("0.29"), NonZeroU32::new(290));
    assert_eq!(of("1"), NonZeroU32::new(1000));
}

#[test]
fn a_share_has_bounds_and_three_digits() {
    for share in ["0", "0.0", "0.0009", "1.001", "-0.2", "nan", "inf"] {
        assert_eq!(
            told(&routed(&format!("share = {share}"))),
            "C013 `share` is out of bounds: expected 0.001 to 1"
        );
    }
    assert_eq!(
        told(&routed("share = 0.3333")),
        "C015 `share` must be a number: at most three digits after the point"
    );
}

#[test]
fn tenants_are_told_apart_as_buckets_are() {
    let of = |tenant: &str| route(&format!("tenant = \"{tenant}\"")).tenant;
    assert_eq!(of("none"), TenantKey::None);
    assert_eq!(of("client_ip"), TenantKey::ClientIp);
    let header = TenantKey::Header(http::HeaderName::from_static("x-tenant"));
    assert_eq!(of("header:X-Tenant"), header);
}

#[test]
fn a_second_try_begins_after_a_time_or_a_percentile() {
    let of = |after: &str| route(&format!("hedge = {{ after = \"{after}\" }}")).hedge;
    assert_eq!(of("p95").unwrap().after, HedgeAfter::Percentile(95));
    let time = HedgeAfter::Time(Duration::from_millis(50));
    assert_eq!(of("50ms").unwrap().after, time);
}

#[test]
fn outcomes_are_kept_sorted_and_grpc_codes_by_number() {
    let route = route(
        "outcomes = { dropped = [503, 429], ignored = [501, 404], grpc_dropped = [14, \"RESOURCE_EXHAUSTED\", 1, \"UNAUTHENTICATED\"] }",
    );
    let codes = |list: &[http::StatusCode]| list.iter().map(http::StatusCode::as_u16).collect();
    let dropped: Vec<_> = codes(&route.outcomes.dropped);
    let ignored: Vec<_> = codes(&route.outcomes.ignored);
    assert_eq!((dropped, ignored), (vec![429, 503], vec![404, 501]));
    assert_eq!(*route.outcomes.grpc_dropped, [1, 8, 14, 16]);
}

#[test]
fn statuses_and_grpc_codes_have_bounds() {
    for (list, expected) in [
        ("dropped = [199]", "`dropped`: 200 to 599"),
        ("dropped = [600]", "`dropped`: 200 to 599"),
        ("ignored = [100]", "`ignored`: 200 to 599"),
        ("grpc_dropped = [0]", "`grpc_dropped`: 1 to 16"),
        ("grpc_dropped = [17]", "`grpc_dropped`: 1 to 16"),
    ] {
        let (key, bounds) = expected.split_once(": ").unwrap();
        assert_eq!(
            told(&routed(&format!("outcomes = {{ {list} }}"))),
            format!("C013 {key} is out of bounds: expected {bounds}")
        );
    }
}

#[test]
fn shares_of_one_upstream_may_add_up_to_the_whole() {
    let route = |name: &str, share: &str| {
        format!("name = \"{name}\"\npath = \"/{name}\"\nshare = {share}\n")
    };
    let another = "[[routes]]\nupstream = \"app\"\n";
    let (one, two, three) = (route("a", "0.7"), route("b", "0.2"), route("c", "0.1"));
    let text = format!("{MINIMAL}{one}{another}{two}{another}{three}");
    assert!(loaded(&text).warnings.is_empty());
}

#[test]
fn the_lowest_limit_is_not_above_the_highest() {
    insta::assert_snapshot!(errors(&limited("min = 32, max = 16")), @r#"
    error[C022]: `min` is more than `max`
     --> tidegate.toml:5:23
      |
    5 | concurrency = { min = 32, max = 16 }
      |                       ^^        -- `max` is here
      |                       |
      |                       at most 16
    "#);
}

#[test]
fn the_lowest_limit_is_not_above_a_default() {
    insta::assert_snapshot!(errors(&limited("min = 5000")), @r#"
    error[C022]: `min` is more than `max`
     --> tidegate.toml:5:23
      |
    5 | concurrency = { min = 5000 }
      |                       ^^^^ at most 4,096
      |
      = help: `max` is 4,096 where it is left out
    "#);
}

#[test]
fn the_first_limit_is_not_above_the_highest() {
    insta::assert_snapshot!(errors(&limited("max = 64, initial = 100")), @r#"
    error[C022]: `initial` is more than `max`
     --> tidegate.toml:5:37
      |
    5 | concurrency = { max = 64, initial = 100 }
      |                       --            ^^^ at most 64
      |                       |
      |                       `max` is here
    "#);
}

#[test]
fn the_first_limit_is_not_above_a_default() {
    insta::assert_snapshot!(errors(&limited("initial = 5000")), @r#"
    error[C022]: `initial` is more than `max`
     --> tidegate.toml:5:27
      |
    5 | concurrency = { initial = 5000 }
      |                           ^^^^ at most 4,096
      |
      = help: `max` is 4,096 where it is left out
    "#);
}

#[test]
fn the_first_limit_is_not_below_the_lowest() {
    insta::assert_snapshot!(errors(&limited("min = 8, initial = 4")), @r#"
    error[C022]: `min` is more than `initial`
     --> tidegate.toml:5:23
      |
    5 | concurrency = { min = 8, initial = 4 }
      |                       ^ at most 4  - `initial` is here
    "#);
}

#[test]
fn all_servers_together_get_what_one_must_have() {
    insta::assert_snapshot!(errors(&limited("min = 8, total = 4")), @r#"
    error[C022]: `min` is more than `total`
     --> tidegate.toml:5:23
      |
    5 | concurrency = { min = 8, total = 4 }
      |                       ^          - `total` is here
      |                       |
      |                       at most 4
    "#);
}

#[test]
fn numbers_are_compared_whatever_the_mode_and_wrong_ones_not_at_all() {
    let text = limited("mode = \"fixed\", limit = 5, min = 3, max = 2");
    assert!(told(&text).starts_with("C022 `min` is more than `max`"));
    assert!(told(&limited("min = 5000, max = 0")).starts_with("C013 `max`"));
    assert!(told(&limited("mode = \"fixd\", min = 1")).starts_with("C014"));
}

#[test]
fn a_number_is_doubtful_where_the_limit_is_found() {
    insta::assert_snapshot!(warnings(&limited("limit = 5")), @r#"
    warning[C040]: `limit` has no effect while `mode` is "adaptive"
     --> tidegate.toml:5:17
      |
    5 | concurrency = { limit = 5 }
      |                 ^^^^^
      |
      = help: for this limit: mode = "fixed"; to bound what is found: `max` or `total`
    "#);
}

#[test]
fn bounds_are_doubtful_where_the_limit_is_given() {
    let keys = "mode = \"fixed\", limit = 5, min = 1, max = 9, initial = 2, total = 9";
    insta::assert_snapshot!(warnings(&limited(keys)), @r#"
    warning[C040]: `min` has no effect while `mode` is "fixed"
     --> tidegate.toml:5:44
      |
    5 | concurrency = { mode = "fixed", limit = 5, min = 1, max = 9, initial = 2, total = 9 }
      |                                            ^^^
      |
      = help: for a limit that is found: mode = "adaptive"
    warning[C040]: `max` has no effect while `mode` is "fixed"
     --> tidegate.toml:5:53
      |
    5 | concurrency = { mode = "fixed", limit = 5, min = 1, max = 9, initial = 2, total = 9 }
      |                                                     ^^^
      |
      = help: for a limit that is found: mode = "adaptive"
    warning[C040]: `initial` has no effect while `mode` is "fixed"
     --> tidegate.toml:5:62
      |
    5 | concurrency = { mode = "fixed", limit = 5, min = 1, max = 9, initial = 2, total = 9 }
      |                                                              ^^^^^^^
      |
      = help: for a limit that is found: mode = "adaptive"
    warning[C040]: `total` has no effect while `mode` is "fixed"
     --> tidegate.toml:5:75
      |
    5 | concurrency = { mode = "fixed", limit = 5, min = 1, max = 9, initial = 2, total = 9 }
      |                                                                           ^^^^^
      |
      = help: for a limit that is found: mode = "adaptive"
    "#);
}

#[test]
fn nothing_of_a_limit_has_an_effect_where_there_is_none() {
    let keys = "mode = \"off\", limit = 5, max = 9, queue = { max_waiting = 1 }, shadow = true";
    insta::assert_snapshot!(warnings(&limited(keys)), @r#"
    warning[C040]: `limit` has no effect while `mode` is "off"
     --> tidegate.toml:5:31
      |
    5 | concurrency = { mode = "off", limit = 5, max = 9, queue = { max_waiting = 1 }, shadow = true }
      |                               ^^^^^
      |
      = help: for this limit: mode = "fixed"
    warning[C040]: `max` has no effect while `mode` is "off"
     --> tidegate.toml:5:42
      |
    5 | concurrency = { mode = "off", limit = 5, max = 9, queue = { max_waiting = 1 }, shadow = true }
      |                                          ^^^
      |
      = help: leave `mode` out: the limit is then found
    warning[C040]: `queue` has no effect while `mode` is "off"
     --> tidegate.toml:5:51
      |
    5 | concurrency = { mode = "off", limit = 5, max = 9, queue = { max_waiting = 1 }, shadow = true }
      |                                                   ^^^^^
      |
      = help: leave `mode` out: the limit is then found
    warning[C040]: `shadow` has no effect while `mode` is "off"
     --> tidegate.toml:5:80
      |
    5 | concurrency = { mode = "off", limit = 5, max = 9, queue = { max_waiting = 1 }, shadow = true }
      |                                                                                ^^^^^^
      |
      = help: leave `mode` out: the limit is then found
    "#);
}

#[test]
fn more_than_the_whole_of_an_upstream_cannot_be_shared() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
[upstreams.shop]
endpoints = [{ address = "10.0.0.1:80" }]
[upstreams.search]
endpoints = [{ address = "10.0.0.2:80" }]
[[routes]]
name = "checkout"
path = "/checkout"
upstream = "shop"
share = 0.75
[[routes]]
name = "find"
path = "/find"
split = [{ upstream = "shop" }, { upstream = "search", weight = 0 }]
share = 0.5
"#), @r#"
    error[C022]: the shares of upstream `shop` add up to 1.25, at most 1
      --> tidegate.toml:16:9
       |
    11 | share = 0.75
       |         ---- route `checkout` has this
    ...
    16 | share = 0.5
       |         ^^^ at most 0.25
    "#);
}

#[test]
fn a_share_of_an_upstream_without_a_limit_is_doubtful() {
    let text = limited("mode = \"off\"") + "share = 0.5\n";
    insta::assert_snapshot!(warnings(&text), @r#"
    warning[C040]: `share` has no effect: upstream `app` has no limit
     --> tidegate.toml:8:9
      |
    8 | share = 0.5
      |         ^^^
      |
      = help: leave out mode = "off" in [upstreams.app.concurrency]
    "#);
}

#[test]
fn a_route_that_forwards_nothing_has_nothing_to_share() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:0"
[[routes]]
respond = {}
share = 0.5
tenant = "none"
hedge = { after = "p95" }
outcomes = {}
"#), @r#"
    error[C022]: `share` has no effect where nothing is forwarded
     --> tidegate.toml:5:1
      |
    5 | share = 0.5
      | ^^^^^ leave it out
    error[C022]: `tenant` has no effect where nothing is forwarded
     --> tidegate.toml:6:1
      |
    6 | tenant = "none"
      | ^^^^^^ leave it out
    error[C022]: `hedge` has no effect where nothing is forwarded
     --> tidegate.toml:7:1
      |
    7 | hedge = { after = "p95" }
      | ^^^^^ leave it out
    error[C022]: `outcomes` has no effect where nothing is forwarded
     --> tidegate.toml:8:1
      |
    8 | outcomes = {}
      | ^^^^^^^^ leave it out
    "#);
}

#[test]
fn a_tenant_that_is_no_key_is_told_its_form() {
    insta::assert_snapshot!(errors(&routed("tenant = \"X-Tenant\"")), @r#"
    error[C015]: `tenant` must be one of: none, client_ip, header:NAME
     --> tidegate.toml:7:10
      |
    7 | tenant = "X-Tenant"
      |          ^^^^^^^^^^ expected one of: none, client_ip, header:NAME
      |
      = help: for a header field: "header:X-Tenant"
    "#);
}

#[test]
fn a_percentile_has_bounds() {
    insta::assert_snapshot!(errors(&routed("hedge = { after = \"p99.9\" }")), @r#"
    error[C015]: `after` must be a percentile like "p95", or a duration like "50ms"
     --> tidegate.toml:7:19
      |
    7 | hedge = { after = "p99.9" }
      |                   ^^^^^^^ percentiles are p50 to p99
    "#);
}

#[test]
fn a_hedge_needs_its_time() {
    insta::assert_snapshot!(errors(&routed("hedge = {}")), @r#"
    error[C012]: hedge of [[routes]] has no `after`
     --> tidegate.toml:7:9
      |
    7 | hedge = {}
      |         ^^ expected `after`: a percentile like "p95", or a duration like "50ms"
    "#);
}

#[test]
fn a_hedge_of_a_number_has_no_unit() {
    insta::assert_snapshot!(errors(&routed("hedge = { after = \"50\" }")), @r#"
    error[C015]: `after` must be a percentile like "p95", or a duration like "50ms"
     --> tidegate.toml:7:19
      |
    7 | hedge = { after = "50" }
      |                   ^^^^ expected a percentile like "p95", or a duration like "50ms"
      |
      = help: a duration needs a unit: "50s" or "50ms"
    "#);
}

#[test]
fn a_hedge_after_the_end_is_doubtful() {
    let text = routed("timeout = \"1s\"\nhedge = { after = \"1s\" }");
    insta::assert_snapshot!(warnings(&text), @r#"
    warning[C040]: the route gives up before a second try begins
     --> tidegate.toml:8:19
      |
    8 | hedge = { after = "1s" }
      |                   ^^^^ not shorter than its `timeout`
    "#);
}

#[test]
fn a_status_says_one_thing() {
    let text = routed("outcomes = { dropped = [503, 529], ignored = [404, 503] }");
    insta::assert_snapshot!(errors(&text), @r#"
    error[C022]: 503 is both `dropped` and `ignored`
     --> tidegate.toml:7:52
      |
    7 | outcomes = { dropped = [503, 529], ignored = [404, 503] }
      |                         --- `dropped` here         ^^^ keep it in one of the two
    "#);
}

#[test]
fn a_status_that_is_dropped_by_default_is_ignored_only_where_that_is_said() {
    insta::assert_snapshot!(errors(&routed("outcomes = { ignored = [503] }")), @r#"
    error[C022]: 503 is both `dropped` and `ignored`
     --> tidegate.toml:7:25
      |
    7 | outcomes = { ignored = [503] }
      |                         ^^^ keep it in one of the two
      |
      = help: `dropped` is [429, 503, 504] where it is left out
    "#);
    let route = route("outcomes = { dropped = [429], ignored = [503] }");
    assert_eq!(
        *route.outcomes.ignored,
        [http::StatusCode::SERVICE_UNAVAILABLE]
    );
}

#[test]
fn a_code_is_given_once_whatever_its_form() {
    let text = routed("outcomes = { grpc_dropped = [\"UNAVAILABLE\", 14] }");
    insta::assert_snapshot!(errors(&text), @r#"
    error[C022]: this gRPC code is given twice
     --> tidegate.toml:7:45
      |
    7 | outcomes = { grpc_dropped = ["UNAVAILABLE", 14] }
      |                              -------------  ^^ given again here
      |                              |
      |                              first given here
    "#);
}

#[test]
fn an_unknown_grpc_code_names_the_nearest() {
    let text = routed("outcomes = { grpc_dropped = [\"unavailable\", \"OK\", \"8\"] }");
    insta::assert_snapshot!(errors(&text), @r#"
    error[C014]: unknown gRPC code `unavailable`
     --> tidegate.toml:7:30
      |
    7 | outcomes = { grpc_dropped = ["unavailable", "OK", "8"] }
      |                              ^^^^^^^^^^^^^ expected one of: CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED
      |
      = help: did you mean `UNAVAILABLE`?
    error[C014]: unknown gRPC code `OK`
     --> tidegate.toml:7:45
      |
    7 | outcomes = { grpc_dropped = ["unavailable", "OK", "8"] }
      |                                             ^^^^ expected one of: CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED
      |
      = help: OK is no failure: leave it out
    error[C014]: unknown gRPC code `8`
     --> tidegate.toml:7:51
      |
    7 | outcomes = { grpc_dropped = ["unavailable", "OK", "8"] }
      |                                                   ^^^ expected one of: CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED
      |
      = help: write 8, without quotes
    "#);
}
