use std::{collections::HashMap, num::NonZeroU32};

use super::*;
use crate::{
    fault::Kind,
    telemetry::incidents::{Count, Ending, Scope},
};

const REFUSED: Ending = Ending::Fault(Kind::ConnectRefused);
const RESET: Ending = Ending::Fault(Kind::ConnectionReset);
const RATE: Ending = Ending::Fault(Kind::RateExceeded);
const LEFT: Ending = Ending::Fault(Kind::ClientAborted);
const FULL: Ending = Ending::Fault(Kind::QueueFull);

/// Route, upstream, how many requests ended, and how some of them failed.
type Row<'a> = (&'a str, &'a str, u64, &'a [(Ending, u64)]);

/// A machine whose clock is moved by hand.
struct Bench {
    machine: Machine,
    rules: Rules,
    seconds: u64,
    began: Vec<Incident>,
    ended: Vec<Incident>,
    left_out: u64,
}

impl Bench {
    fn new() -> Self {
        Self {
            machine: Machine::default(),
            rules: Rules {
                min_faults: NonZeroU32::new(5).unwrap(),
                min_share: 0.01,
                window: Duration::from_secs(10),
                end_after: Duration::from_secs(60),
            },
            seconds: 0,
            began: Vec::new(),
            ended: Vec::new(),
            left_out: 0,
        }
    }

    fn at_ms(&self) -> u64 {
        1_700_000_000_000 + self.seconds * 1000
    }

    /// A second in which that ended.
    fn second(&mut self, seen: &[Row<'_>]) -> &mut Self {
        self.seconds += 1;
        let mut counts = HashMap::new();
        for (route, upstream, requests, faults) in seen {
            let pair = Pair {
                route: (!route.is_empty()).then(|| (*route).into()),
                upstream: (!upstream.is_empty()).then(|| (*upstream).into()),
            };
            let mut count = Count {
                requests: *requests,
                ..Count::default()
            };
            for (ending, more) in *faults {
                count.add(*ending, *more);
            }
            counts.insert(pair, count);
        }
        let look = Look {
            at: Duration::from_secs(self.seconds),
            from_ms: self.at_ms() - 1000,
            at_ms: self.at_ms(),
            counts,
        };
        let changes = self.machine.look(look, &self.rules);
        self.began.extend(changes.began);
        self.ended.extend(changes.ended);
        self.left_out += changes.left_out;
        self
    }

    fn seconds(&mut self, count: u64, seen: &[Row<'_>]) -> &mut Self {
        for _ in 0..count {
            self.second(seen);
        }
        self
    }

    fn now(&self) -> Vec<&Incident> {
        self.machine.all().filter(|one| one.is_open()).collect()
    }

    fn note(&mut self, kind: &'static str, upstream: Option<&str>, sentence: &str) {
        let at_ms = self.at_ms();
        self.machine.note(Happening {
            at_ms,
            kind: kind.into(),
            upstreams: upstream.into_iter().map(Into::into).collect(),
            sentence: sentence.into(),
        });
    }
}

#[test]
fn enough_faults_in_a_window_begin_one_incident_with_its_share() {
    let mut bench = Bench::new();
    bench.seconds(4, &[("a", "u", 20, &[(REFUSED, 1)])]);
    assert!(bench.began.is_empty());
    bench.second(&[("a", "u", 20, &[(REFUSED, 1)])]);
    let [incident] = &bench.began[..] else {
        panic!("{:?}", bench.began)
    };
    assert_eq!(incident.scope, Scope::Upstream);
    assert_eq!(incident.upstream.as_deref(), Some("u"));
    assert_eq!(incident.routes, ["a".into()]);
    assert_eq!((incident.faulted, incident.requests), (5, 100));
    assert_eq!(incident.cause, "network");
    assert_eq!(incident.severity, Severity::Medium);
    assert_eq!(incident.began_ms, 1_700_000_000_000);
    bench.seconds(5, &[("a", "u", 20, &[(REFUSED, 1)])]);
    assert_eq!(bench.began.len(), 1);
    let [incident] = &bench.now()[..] else {
        panic!()
    };
    assert_eq!((incident.faulted, incident.requests), (10, 200));
    assert!((incident.share - 0.05).abs() < 1e-9);
}

#[test]
fn faults_that_are_few_among_many_requests_are_no_incident() {
    let mut bench = Bench::new();
    bench.seconds(100, &[("a", "u", 1000, &[(REFUSED, 2)])]);
    assert!(bench.began.is_empty());
    bench.second(&[("a", "u", 1000, &[(REFUSED, 100)])]);
    assert_eq!(bench.began.len(), 1);
}

#[test]
fn three_failures_in_a_row_are_enough_where_little_comes() {
    let mut bench = Bench::new();
    let bad: &[Row<'_>] = &[("a", "u", 1, &[(REFUSED, 1)])];
    for _ in 0..2 {
        bench.second(bad).seconds(30, &[]);
    }
    assert!(bench.began.is_empty());
    bench.second(bad);
    assert_eq!(bench.began.len(), 1);
    assert_eq!((bench.began[0].faulted, bench.began[0].requests), (3, 3));
    assert_eq!(bench.began[0].began_ms, 1_700_000_000_000);
    assert_eq!(bench.began[0].severity, Severity::High);

    let mut broken = Bench::new();
    for _ in 0..5 {
        broken.second(bad).seconds(30, &[]).second(bad);
        broken.second(&[("a", "u", 1, &[])]);
    }
    assert!(broken.began.is_empty());
}

#[test]
fn it_ends_a_minute_after_the_last_fault_where_requests_are_answered_well() {
    let mut bench = Bench::new();
    bench.second(&[("a", "u", 10, &[(REFUSED, 10)])]);
    bench.seconds(59, &[("a", "u", 10, &[])]);
    assert!(bench.ended.is_empty());
    bench.second(&[("a", "u", 10, &[])]);
    let ended = bench.ended[0].ended.as_ref().unwrap();
    assert_eq!(ended.at_ms, 1_700_000_001_000);
    assert!(ended.by.contains("nothing is known"), "{ended:?}");
    assert!(bench.now().is_empty());
    assert_eq!(bench.machine.all().count(), 1);
}

#[test]
fn a_fault_in_between_puts_the_end_off() {
    let mut bench = Bench::new();
    bench.second(&[("a", "u", 10, &[(REFUSED, 10)])]);
    bench.seconds(50, &[("a", "u", 10, &[])]);
    bench.second(&[("a", "u", 10, &[(REFUSED, 1)])]);
    bench.seconds(50, &[("a", "u", 10, &[])]);
    assert!(bench.ended.is_empty());
    bench.seconds(10, &[("a", "u", 10, &[])]);
    assert_eq!((bench.began.len(), bench.ended.len()), (1, 1));
}

#[test]
fn a_few_that_always_fail_do_not_keep_it_open() {
    let mut bench = Bench::new();
    bench.second(&[("a", "u", 1000, &[(REFUSED, 500)])]);
    bench.seconds(80, &[("a", "u", 1000, &[(REFUSED, 1)])]);
    assert_eq!((bench.began.len(), bench.ended.len()), (1, 1));
}

#[test]
fn silence_is_no_recovery_and_ends_it_only_much_later() {
    let mut bench = Bench::new();
    bench.second(&[("a", "u", 10, &[(REFUSED, 10)])]);
    bench.seconds(599, &[]);
    assert!(bench.ended.is_empty());
    bench.second(&[]);
    let by = &bench.ended[0].ended.as_ref().unwrap().by;
    assert!(by.starts_with("No request came any more"), "{by}");
    bench.second(&[("a", "u", 1, &[(REFUSED, 1)])]);
    assert_eq!(
        bench.began.len(),
        1,
        "a streak that was told of begins anew"
    );
}

#[test]
fn several_kinds_and_routes_at_one_upstream_are_one_incident() {
    let mut bench = Bench::new();
    bench.second(&[("a", "u", 10, &[(REFUSED, 6)]), ("c", "w", 10, &[])]);
    bench.seconds(
        3,
        &[("a", "u", 10, &[(RESET, 1)]), ("b", "u", 10, &[(FULL, 9)])],
    );
    assert_eq!(bench.began.len(), 1);
    let [incident] = &bench.now()[..] else {
        panic!()
    };
    assert_eq!(incident.routes, ["a".into(), "b".into()]);
    let kinds: Vec<_> = incident
        .kinds
        .iter()
        .map(|hit| (&*hit.kind, hit.requests))
        .collect();
    let wanted = [
        ("connection_limit_reached/queue_full", 27),
        ("connection_refused", 6),
        ("connection_terminated/reset", 3),
    ];
    assert_eq!(kinds, wanted);
    assert_eq!(
        incident.cause, "network",
        "a full line follows from what is down"
    );
    bench.second(&[("c", "w", 10, &[(REFUSED, 5)])]);
    assert_eq!(bench.began.len(), 2, "another upstream is another incident");
}

#[test]
fn a_route_that_is_small_is_seen_beside_a_large_one_of_the_same_upstream() {
    let mut bench = Bench::new();
    bench.second(&[
        ("large", "u", 10_000, &[(REFUSED, 1)]),
        ("small", "u", 6, &[(REFUSED, 6)]),
    ]);
    assert_eq!(bench.began.len(), 1);
}

#[test]
fn rate_limits_make_an_incident_of_low_severity_beside_others() {
    let mut bench = Bench::new();
    bench.second(&[
        ("a", "", 30, &[(RATE, 30)]),
        ("a", "u", 10, &[(REFUSED, 10)]),
    ]);
    assert_eq!(bench.began.len(), 2);
    let limits = bench
        .began
        .iter()
        .find(|one| one.scope == Scope::Limits)
        .unwrap();
    assert_eq!(
        (&*limits.cause, limits.severity),
        ("overload", Severity::Low)
    );
    assert_eq!((limits.faulted, limits.requests), (30, 40));
}

#[test]
fn what_clients_do_is_an_incident_only_where_it_is_most_of_all() {
    let mut bench = Bench::new();
    bench.seconds(20, &[("a", "u", 100, &[(LEFT, 40)]), ("", "", 5, &[])]);
    assert!(bench.began.is_empty());
    bench.seconds(10, &[("a", "u", 100, &[(LEFT, 60)])]);
    assert_eq!(bench.began.len(), 1);
    assert_eq!(bench.began[0].scope, Scope::Clients);
    assert_eq!(
        (&*bench.began[0].cause, bench.began[0].severity),
        ("client", Severity::Low)
    );
    bench.seconds(70, &[("a", "u", 100, &[(LEFT, 40)])]);
    assert_eq!(bench.ended.len(), 1);
}

#[test]
fn what_happened_just_before_its_begin_and_its_end_is_told() {
    let mut bench = Bench::new();
    bench.seconds(5, &[("a", "u", 10, &[])]);
    bench.note("config_applied", None, "A config was applied.");
    bench.note("endpoint_down", Some("w"), "Something of another upstream.");
    bench.note("endpoint_ejected", Some("u"), "What follows from faults.");
    bench.seconds(3, &[("a", "u", 10, &[(REFUSED, 5)])]);
    assert_eq!(
        &*bench.began[0].after.as_ref().unwrap().sentence,
        "A config was applied."
    );
    bench.seconds(20, &[("a", "u", 10, &[(REFUSED, 5)])]);
    bench.note("endpoint_ejected", Some("u"), "The endpoint was ejected.");
    bench.note("lookups_fail", Some("u"), "What ends nothing.");
    bench.seconds(70, &[("a", "u", 10, &[])]);
    let ended = bench.ended[0].ended.as_ref().unwrap();
    assert_eq!(
        &*ended.after.as_ref().unwrap().sentence,
        "The endpoint was ejected."
    );
    assert_eq!(
        ended.by,
        "No fault came any more after this: The endpoint was ejected."
    );
}

#[test]
fn no_more_are_open_or_kept_than_there_may_be() {
    let mut bench = Bench::new();
    let names: Vec<String> = (0..MOST_OPEN + 8)
        .map(|number| format!("u{number}"))
        .collect();
    let bad: &[_] = &[(REFUSED, 5)];
    let seen: Vec<_> = names.iter().map(|name| ("a", &**name, 5, bad)).collect();
    bench.seconds(3, &seen);
    assert_eq!(bench.machine.open(), MOST_OPEN);
    assert_eq!(bench.left_out, 8, "each is counted once");
    for round in 0..20 {
        let good: Vec<_> = names
            .iter()
            .map(|name| ("a", &**name, 5, &[] as &[(Ending, u64)]))
            .collect();
        bench.seconds(70, &good);
        bench.seconds(1, &seen);
        assert!(bench.machine.all().count() <= MOST_KEPT, "{round}");
    }
    assert_eq!(bench.machine.all().count(), MOST_KEPT);
}

#[test]
fn one_that_was_open_before_a_restart_goes_on() {
    let mut bench = Bench::new();
    bench.second(&[("a", "u", 10, &[(REFUSED, 10)])]);
    let mut kept: Vec<_> = bench.machine.all().cloned().collect();
    kept.reverse();
    let mut next = Bench::new();
    next.seconds = 5;
    next.machine.restore(kept, Duration::from_secs(5));
    next.second(&[("a", "u", 10, &[(REFUSED, 4)])]);
    assert!(next.began.is_empty());
    assert_eq!(next.now()[0].faulted, 14);
    next.seconds(60, &[("a", "u", 10, &[])]);
    assert_eq!(next.ended.len(), 1);
    assert_eq!(next.ended[0].id, bench.began[0].id);
}
