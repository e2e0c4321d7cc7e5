//! Verdicts on made-up cases.

use std::{net::Ipv4Addr, time::Duration};

use super::*;
use crate::{
    admin::cases::Happening,
    fault::{Fault, Kind},
    telemetry::{Met, TimingsMs, Tried},
};

mod diagnosis;

fn endpoint(last: u8) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, last), 80).into()
}

fn case(kind: Option<Kind>, status: u16, at: u8) -> Case {
    Case {
        at_ms: 100_000,
        time: "1970-01-01T00:01:40.000Z".to_owned(),
        request_id: "id".into(),
        client: Ipv4Addr::LOCALHOST.into(),
        listener: "web".into(),
        method: "GET".into(),
        host: "shop".into(),
        path: "/".into(),
        route: "shop".into(),
        upstream: "shop".into(),
        endpoint: Some(endpoint(at)),
        attempts: 1,
        tries: Vec::new(),
        status,
        fault: kind.map(|kind| Ill::of(&Fault::new(kind))),
        timings_ms: TimingsMs {
            first_byte: Some(12.0),
            total: 1001.0,
            ..TimingsMs::default()
        },
        bytes_in: 0,
        bytes_out: 0,
        protocol: "HTTP/1.1".into(),
        config: "abc".into(),
        taken: None,
    }
}

fn around(cases: impl IntoIterator<Item = Case>) -> Around {
    Around {
        cases: cases.into_iter().map(Arc::new).collect(),
        ..Around::default()
    }
}

#[test]
fn one_endpoint_that_fails_beside_others_that_do_not_is_named() {
    let failed = || case(Some(Kind::ConnectTimeout), 504, 1);
    let good = || case(None, 200, 2);
    let around = around([failed(), failed(), failed(), good()]);
    let verdict = Verdict::of(&failed(), &around);
    assert_eq!(
        verdict.sentence,
        "The service did not take the connection in time. Cause: network; kind connection_timeout/filtered, \
         seen at stage connect at 10.0.0.1:80, 1001 ms after the request came."
    );
    assert_eq!(
        verdict.evidence,
        [
            "Not even a refusal came back: packets are swallowed on the way, or the host takes none.",
            "In the minute before and after, 3 kept requests of this upstream ended so, all at 10.0.0.1:80, \
             while 10.0.0.2:80 answered well: it is this one alone.",
            "Good requests of this route had their first byte after 12 ms at that time.",
        ]
    );
    assert_eq!(verdict.next.len(), Kind::ConnectTimeout.guide().look.len());
}

#[test]
fn many_endpoints_that_fail_alike_share_something() {
    let failed = |at| case(Some(Kind::ConnectTimeout), 504, at);
    let around = around([failed(1), failed(2), failed(3)]);
    let verdict = Verdict::of(&failed(1), &around);
    assert_eq!(verdict.evidence.len(), 2);
    assert!(
        verdict.evidence[1].contains("at 3 endpoints: look at what they share"),
        "{verdict:?}"
    );
}

#[test]
fn what_took_the_endpoints_out_is_told_where_none_can_serve() {
    let refused = || case(Some(Kind::ConnectRefused), 502, 1);
    let own = case(None, 500, 1);
    let around = around([refused(), refused(), own]);
    let mut none = case(Some(Kind::NoEndpoint), 503, 1);
    none.endpoint = None;
    let verdict = Verdict::of(&none, &around);
    assert_eq!(
        verdict.evidence,
        [
            "The host itself answered that nothing listens at this port.",
            "The endpoints went out because requests failed there: 2 were seen before, judged here.",
            "In the minute before, other requests of this upstream failed otherwise: 2 of connection_refused, \
             1 of the service's own 500."
        ]
    );
}

#[test]
fn what_failed_only_afterwards_is_no_reason() {
    let mut later = case(Some(Kind::ConnectRefused), 502, 1);
    later.at_ms += 1;
    let verdict = Verdict::of(&case(Some(Kind::NoEndpoint), 503, 1), &around([later]));
    assert_eq!(verdict.evidence, [""; 0]);
}

#[test]
fn each_try_is_told_with_where_it_went_and_what_it_met() {
    let mut retried = case(None, 200, 2);
    let reset = Ill::of(&Fault::new(Kind::ConnectionReset).detail("os error 104"));
    let tried = |met| {
        let (began, took) = (Duration::from_millis(3), Duration::from_millis(40));
        Tried::new(Some(endpoint(1)), began, took, met)
    };
    retried.tries = vec![tried(Met::Fault(reset)), tried(Met::Status(503))];
    let verdict = Verdict::of(&retried, &Around::default());
    assert_eq!(
        verdict.evidence,
        [
            "Failed try 1, 3 ms after the request came: 10.0.0.1:80, connection_terminated/reset (os error 104) after 40 ms.",
            "Failed try 2, 3 ms after the request came: 10.0.0.1:80, it answered 503 after 40 ms.",
        ]
    );
    let root = verdict.root.unwrap();
    assert_eq!(root.finer, "error of the service's own");
    assert!(
        verdict
            .sentence
            .starts_with("It was answered with 200 at 10.0.0.2:80")
    );
}

#[test]
fn a_config_that_had_just_come_into_force_is_told() {
    let changed = |what| Around {
        happenings: vec![Happened {
            at_ms: 100_000 - 12_000,
            what,
        }],
        ..Around::default()
    };
    let applied = |hash: &str| Happening::ConfigApplied {
        hash: hash.into(),
        changes: Vec::new(),
    };
    let told = |around| {
        Verdict::of(&case(Some(Kind::NoRoute), 404, 1), &around)
            .evidence
            .join("|")
    };
    let in_force = told(changed(applied("abc")));
    assert!(
        in_force.starts_with("The config in force (abc) was applied 12 s before it came"),
        "{in_force}"
    );
    let other = told(changed(applied("def")));
    assert!(other.contains("still had the one before"), "{other}");
    let refused = told(changed(Happening::ConfigRefused {
        why: "no such key".to_owned(),
    }));
    assert!(
        refused.contains("refused 12 s before it came: no such key"),
        "{refused}"
    );
}

#[test]
fn an_answer_of_the_service_itself_is_said_to_be_its_own() {
    let verdict = Verdict::of(&case(None, 500, 1), &Around::default());
    assert_eq!(
        verdict.sentence,
        "The service itself answered 500 at 10.0.0.1:80, after 1001 ms. The answer was passed on as it was."
    );
}
