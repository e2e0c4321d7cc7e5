//! Which root a verdict names for what was seen.

use std::net::IpAddr;

use super::*;
use crate::{admin::cases::NameTrouble, config::Change};

/// A case at `at_ms`, told further by the methods below.
fn at(at_ms: u64, kind: Option<Kind>, endpoint: u8) -> Case {
    let status = kind.map_or(200, |kind| kind.facts().status.as_u16());
    let mut case = case(kind, status, endpoint);
    (case.at_ms, case.timings_ms.total) = (at_ms, 20.0);
    case
}

/// Good ones at each of `endpoints`, each 100 ms from `from_ms` on.
fn good(from_ms: u64, endpoints: &[u8]) -> Vec<Case> {
    let each = endpoints.iter().zip(0..);
    each.map(|(last, step)| at(from_ms + step * 100, None, *last))
        .collect()
}

fn bad(from_ms: u64, kind: Kind, endpoints: &[u8]) -> Vec<Case> {
    let mut cases = good(from_ms, endpoints);
    for case in &mut cases {
        case.fault = Some(Ill::of(&Fault::new(kind)));
        case.status = kind.facts().status.as_u16();
    }
    cases
}

fn own(from_ms: u64, endpoints: &[u8]) -> Vec<Case> {
    let mut cases = good(from_ms, endpoints);
    for case in &mut cases {
        case.status = 500;
    }
    cases
}

/// The verdict on the last of `bad`, among `others` and `happenings`, where the upstream has four endpoints.
fn verdict(bad: &[Case], others: Vec<Case>, happenings: Vec<(u64, Happening)>) -> Verdict {
    let mut around = around(bad.iter().cloned().chain(others));
    around.endpoints = [1, 2, 3, 4].map(endpoint).to_vec();
    around.happenings = happenings
        .into_iter()
        .map(|(at_ms, what)| Happened { at_ms, what })
        .collect();
    Verdict::of(bad.last().unwrap(), &around)
}

#[track_caller]
fn names(verdict: &Verdict, cause: &str, finer: &str, confidence: Confidence) {
    let root = verdict.root.as_ref().unwrap();
    let named = (&*root.cause, &*root.finer, root.confidence);
    assert_eq!(named, (cause, finer, confidence), "{verdict:#?}");
}

fn changed(of: &str, key: &str, old: Option<&str>, new: Option<&str>) -> Happening {
    Happening::ConfigApplied {
        hash: "abc".into(),
        changes: vec![Change {
            of: of.to_owned(),
            key: key.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        }],
    }
}

fn addresses(added: &[u8]) -> Happening {
    let ip = |last: &u8| IpAddr::from(Ipv4Addr::new(10, 0, 0, *last));
    Happening::AddressesChanged {
        name: "shop.internal".into(),
        added: added.iter().map(ip).collect(),
        removed: Vec::new(),
        unnamed: 0,
    }
}

const REFUSED: &str = "refused: process not listening";

#[test]
fn a_refusal_at_one_of_several_is_a_process_that_does_not_listen() {
    let told = verdict(
        &bad(10_000, Kind::ConnectRefused, &[1, 1, 1]),
        good(9_000, &[2, 3, 4, 2, 3, 4, 2, 3, 4, 2, 3, 4, 2]),
        vec![],
    );
    names(&told, "network", REFUSED, Confidence::Certain);
    let root = told.root.unwrap();
    assert_eq!(root.subject.as_deref(), Some("10.0.0.1:80"));
}

#[test]
fn refusals_at_new_addresses_alone_are_the_names_doing() {
    let told = |endpoints: &[u8]| {
        verdict(
            &bad(10_000, Kind::ConnectRefused, endpoints),
            good(8_000, &[1, 2, 1, 2, 1]),
            vec![(9_500, addresses(&[3, 4]))],
        )
    };
    let dns = "DNS change: new addresses do not serve";
    names(&told(&[3, 4, 3]), "dns", dns, Confidence::Certain);
    // One of the old ones refuses as well: something else stopped.
    names(&told(&[3, 1, 4]), "network", REFUSED, Confidence::Certain);
}

#[test]
fn what_failed_before_a_change_is_not_its_doing() {
    let change = || vec![(9_500, addresses(&[3, 4]))];
    let mut failed = bad(8_000, Kind::ConnectRefused, &[3]);
    failed.extend(bad(10_000, Kind::ConnectRefused, &[3, 4, 3]));
    let told = verdict(&failed, good(7_000, &[1]), change());
    names(&told, "network", REFUSED, Confidence::Certain);
}

#[test]
fn waits_in_the_queue_after_a_limit_was_lowered_are_the_configs_doing() {
    let sheds = || bad(10_000, Kind::QueueTimeout, &[1, 1, 1]);
    let key = "concurrency.limit";
    let lowered = changed("upstream shop", key, Some("64"), Some("2"));
    let told = verdict(&sheds(), good(8_000, &[1, 1]), vec![(9_800, lowered)]);
    names(&told, "config", "config change", Confidence::Certain);
    let subject = told.root.as_ref().unwrap().subject.as_deref();
    assert_eq!(subject, Some("upstream shop concurrency.limit"));
    assert!(told.next[0].contains("tidegate config diff"), "{told:?}");
    assert!(told.sentence.contains("Cause: config;"), "{told:?}");
    let capacity = "capacity of upstream reached";
    let also = told.also_possible.unwrap();
    assert_eq!(also.finer, capacity);
    // Another upstream's limit, a limit that was raised, and a key that sheds nothing.
    for (of, key, old, new) in [
        ("upstream other", key, "64", "2"),
        ("upstream shop", "idle_timeout", "\"60s\"", "\"2s\""),
    ] {
        let other = changed(of, key, Some(old), Some(new));
        let told = verdict(&sheds(), good(8_000, &[1, 1]), vec![(9_800, other)]);
        names(&told, "overload", capacity, Confidence::Likely);
    }
    let raised = changed("upstream shop", key, Some("2"), Some("64"));
    let told = verdict(&sheds(), good(8_000, &[1, 1]), vec![(9_800, raised)]);
    names(&told, "overload", capacity, Confidence::Likely);
}

#[test]
fn a_route_that_went_with_the_config_is_missed() {
    let mut missed = bad(10_000, Kind::NoRoute, &[1, 1, 1]);
    for case in &mut missed {
        (case.route, case.upstream, case.path) = ("none".into(), "none".into(), "/cart".into());
    }
    let mut served = good(8_000, &[1, 2]);
    for case in &mut served {
        case.path = "/cart".into();
    }
    let gone = || vec![(9_900, changed("route shop", "", Some("there"), None))];
    let told = verdict(&missed, served, gone());
    names(&told, "config", "config change", Confidence::Certain);
    let told = verdict(&missed, vec![], gone());
    names(&told, "config", "config change", Confidence::Likely);
    let told = verdict(&missed, vec![], vec![]);
    names(
        &told,
        "config",
        "no route for this request",
        Confidence::Likely,
    );
}

#[test]
fn no_first_byte_in_time_at_one_endpoint_is_that_endpoints_doing() {
    let told = verdict(
        &bad(10_000, Kind::FirstByteTimeout, &[2, 2, 2]),
        good(10_000, &[1, 3, 4]),
        vec![],
    );
    names(
        &told,
        "application",
        "slow: one endpoint",
        Confidence::Certain,
    );
}

#[test]
fn no_first_byte_in_time_anywhere_is_overload_where_traffic_grew() {
    let taken = |mut cases: Vec<Case>, first: u64, step: u64| {
        for (case, number) in cases.iter_mut().zip(0..) {
            case.taken = Some(first + number * step);
        }
        cases
    };
    let told = |grown: u64| {
        verdict(
            &taken(
                bad(10_000, Kind::FirstByteTimeout, &[1, 2, 3, 4]),
                500,
                10 * grown,
            ),
            taken(good(9_000, &[1, 2, 3, 4]), 100, 10),
            vec![],
        )
    };
    let capacity = "capacity of upstream reached";
    names(&told(5), "overload", capacity, Confidence::Likely);
    names(
        &told(1),
        "application",
        "slow: all endpoints",
        Confidence::Likely,
    );
}

#[test]
fn resets_on_connections_that_rested_alone_are_the_keep_alive_race() {
    let resets = |reused: bool| {
        let mut cases = bad(10_000, Kind::ConnectionReset, &[1, 2, 3, 4]);
        for case in &mut cases {
            let met = Met::Fault(case.fault.clone().unwrap());
            let tried = Tried::new(case.endpoint, Duration::ZERO, Duration::ZERO, met);
            case.tries = vec![tried.reused(reused)];
        }
        cases
    };
    let mut fresh = good(9_000, &[1, 2, 3, 4]);
    for case in &mut fresh {
        case.timings_ms.connect = Some(1.0);
    }
    let told = verdict(&resets(true), fresh.clone(), vec![]);
    names(
        &told,
        "communication",
        "keep-alive race",
        Confidence::Certain,
    );
    let told = verdict(&resets(false), fresh, vec![]);
    let breaks = "connection broken: process ends or crashes";
    names(&told, "communication", breaks, Confidence::Likely);
}

#[test]
fn own_errors_are_told_apart_by_where_they_come_from() {
    let one = verdict(&own(10_000, &[2, 2, 2]), good(10_000, &[1, 3, 4]), vec![]);
    let finer = "deployment or bug in application: one endpoint";
    names(&one, "application", finer, Confidence::Certain);
    let all = verdict(
        &own(10_000, &[1, 2, 3, 4]),
        good(9_000, &[1, 2, 3, 4]),
        vec![],
    );
    names(
        &all,
        "application",
        "bug in application: all endpoints",
        Confidence::Likely,
    );
    let mut others = good(10_000, &[1, 2, 3, 4]);
    for case in &mut others {
        case.path = "/other".into();
    }
    let path = verdict(&own(10_000, &[1, 2, 3, 4]), others, vec![]);
    names(
        &path,
        "application",
        "bug in application: one path",
        Confidence::Certain,
    );
}

#[test]
fn errors_of_a_service_that_was_just_started_anew_are_its_deployments() {
    let mut others = good(8_000, &[1, 2, 3, 4]);
    others.extend(bad(9_500, Kind::ConnectRefused, &[1, 2]));
    let told = verdict(&own(10_000, &[1, 2, 3, 4]), others, vec![]);
    names(
        &told,
        "application",
        "deployment: fails since its restart",
        Confidence::Certain,
    );
}

#[test]
fn a_rate_is_one_clients_where_others_are_served() {
    let mut over = bad(10_000, Kind::RateExceeded, &[1, 1, 1, 1]);
    let mut served = good(10_000, &[1, 2, 3]);
    for case in &mut served {
        case.client = Ipv4Addr::new(192, 0, 2, 7).into();
    }
    for case in &mut over {
        case.upstream = "none".into(); // refused before it had one
    }
    let told = verdict(&over, served.clone(), vec![]);
    names(
        &told,
        "overload",
        "one client over its rate",
        Confidence::Certain,
    );
    for (case, last) in over.iter_mut().zip(0..) {
        case.client = Ipv4Addr::new(198, 51, 100, last).into();
    }
    let told = verdict(&over, served, vec![]);
    names(
        &told,
        "overload",
        "traffic over a rate limit",
        Confidence::Certain,
    );
}

#[test]
fn the_queue_is_full_for_a_service_that_became_slower() {
    let mut since = good(10_000, &[1, 2, 3]);
    for case in &mut since {
        case.timings_ms.first_byte = Some(400.0);
    }
    let mut others = good(8_000, &[1, 2, 3]);
    others.extend(since);
    let told = verdict(&bad(10_000, Kind::QueueFull, &[1, 1, 1]), others, vec![]);
    names(
        &told,
        "application",
        "slow: all endpoints",
        Confidence::Likely,
    );
}

#[test]
fn where_no_endpoint_can_serve_what_took_them_out_is_named() {
    let refused = bad(9_000, Kind::ConnectRefused, &[1, 2, 3, 4]);
    let mut none = at(10_000, Some(Kind::NoEndpoint), 1);
    none.endpoint = None;
    let told = verdict(&[none.clone()], refused, vec![]);
    names(&told, "network", REFUSED, Confidence::Likely);
    let told = verdict(&[none], vec![], vec![]);
    names(
        &told,
        "application",
        "endpoints fail their checks",
        Confidence::Likely,
    );
}

#[test]
fn where_no_place_is_free_for_requests_that_fail_those_are_judged() {
    let filtered = |count: usize| bad(9_000, Kind::ConnectTimeout, &[1, 2, 3, 4, 1][..count]);
    let sheds = || bad(10_000, Kind::QueueTimeout, &[1, 1, 1]);
    let told = verdict(&sheds(), filtered(5), vec![]);
    names(&told, "network", "filtered: firewall", Confidence::Likely);
    let told = verdict(&sheds(), filtered(1), vec![]);
    names(
        &told,
        "overload",
        "capacity of upstream reached",
        Confidence::Likely,
    );
}

#[test]
fn a_name_that_is_gone_is_told_from_servers_that_are_silent() {
    let failed = || bad(10_000, Kind::NameUnresolved, &[1]);
    let says = |trouble| {
        let name = "shop.internal".into();
        let empty = true;
        let fails = Happening::LookupsFail {
            name,
            trouble,
            empty,
        };
        verdict(&failed(), vec![], vec![(9_000, fails)])
    };
    let gone = "name does not exist";
    names(&says(NameTrouble::Gone), "dns", gone, Confidence::Certain);
    let silent = "name servers do not answer";
    names(
        &says(NameTrouble::Silence),
        "dns",
        silent,
        Confidence::Certain,
    );
}

#[test]
fn clients_that_leave_after_far_more_than_the_usual_gave_up() {
    let left = |waited: f64| {
        let mut cases = bad(10_000, Kind::ClientAborted, &[1, 2, 3, 4]);
        for case in &mut cases {
            case.timings_ms.total = waited;
        }
        verdict(&cases, good(9_000, &[1, 2, 3, 4]), vec![])
    };
    names(
        &left(5_000.0),
        "application",
        "slow: all endpoints",
        Confidence::Likely,
    );
    names(&left(30.0), "client", "client left", Confidence::Likely);
}

#[test]
fn what_ran_out_of_time_while_the_process_stood_still_is_its_own_doing() {
    let mut late = at(10_000, Some(Kind::FirstByteTimeout), 1);
    late.timings_ms.total = 1_000.0;
    let still = |at_ms| vec![(at_ms, Happening::StoodStill { late_ms: 900 })];
    let told = verdict(std::slice::from_ref(&late), vec![], still(11_000));
    names(
        &told,
        "overload",
        "gateway stood still",
        Confidence::Certain,
    );
    let told = verdict(&[late], vec![], still(30_000));
    names(&told, "application", "slow", Confidence::Likely);
}

#[test]
fn another_trouble_at_the_same_time_is_named_beside_it() {
    let told = verdict(
        &bad(10_000, Kind::ConnectRefused, &[1, 1, 1]),
        own(10_000, &[2, 2, 2]),
        vec![],
    );
    names(&told, "network", REFUSED, Confidence::Certain);
    let beside = told.beside.unwrap();
    assert_eq!(
        beside.finer,
        "deployment or bug in application: one endpoint"
    );
}

#[test]
fn what_an_earlier_try_met_at_another_endpoint_is_named_beside_it() {
    let mut failed = own(10_000, &[2, 2, 2]);
    for case in &mut failed {
        let reset = Met::Fault(Ill::of(&Fault::new(Kind::ConnectionReset)));
        let tried = |at, met| Tried::new(Some(endpoint(at)), Duration::ZERO, Duration::ZERO, met);
        case.tries = vec![tried(1, reset), tried(2, Met::Status(500))];
    }
    let told = verdict(&failed, good(10_000, &[3, 4]), vec![]);
    let one = "deployment or bug in application: one endpoint";
    names(&told, "application", one, Confidence::Certain);
    let beside = told.beside.unwrap();
    assert_eq!(beside.finer, "connection broken: process ends or crashes");
    assert_eq!(beside.subject.as_deref(), Some("10.0.0.1:80"));
}

#[test]
fn every_kind_of_fault_alone_is_laid_to_its_own_cause() {
    for kind in Kind::ALL {
        let told = verdict(&[at(10_000, Some(*kind), 1)], vec![], vec![]);
        let root = told.root.unwrap();
        assert_eq!(root.cause, kind.facts().cause.as_str(), "{kind:?}");
        assert!(!told.next.is_empty(), "{kind:?}");
    }
}

#[test]
fn a_kind_that_nobody_knows_is_unknown() {
    let mut case = at(10_000, Some(Kind::ConnectRefused), 1);
    case.fault.as_mut().unwrap().kind = "of_tomorrow".into();
    let told = verdict(&[case], vec![], vec![]);
    names(&told, "network", "of_tomorrow", Confidence::Unknown);
}

#[test]
fn nothing_is_at_the_root_of_what_went_well() {
    let told = verdict(&good(10_000, &[1]), vec![], vec![]);
    assert_eq!((told.root, told.beside), (None, None));
}
