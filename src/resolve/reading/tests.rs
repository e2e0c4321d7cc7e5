use std::str::FromStr;

use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SRV};

use super::*;

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn a(owner: &str, ttl: u32, last: u8) -> Record {
    Record::from_rdata(name(owner), ttl, RData::A(A::new(10, 0, 0, last)))
}

fn aaaa(owner: &str, ttl: u32) -> Record {
    let data = AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    Record::from_rdata(name(owner), ttl, RData::AAAA(data))
}

fn cname(owner: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
}

fn found(ttl: u64, lasts: &[u8]) -> Found {
    Found {
        addresses: lasts.iter().map(|n| IpAddr::from([10, 0, 0, *n])).collect(),
        ttl: Duration::from_secs(ttl),
        missing: None,
    }
}

fn missing(mut found: Found, family: Family) -> Found {
    found.missing = Some(family);
    found
}

#[test]
fn the_least_ttl_counts() {
    let records = [a("shop.", 60, 1), a("shop.", 20, 2), a("shop.", 40, 3)];
    assert_eq!(read(&name("shop."), &records), Ok(found(20, &[1, 2, 3])));
}

#[test]
fn a_chain_is_followed_and_its_least_ttl_counts() {
    let records = [
        cname("shop.", 300, "b."),
        cname("b.", 5, "c."),
        a("c.", 60, 1),
    ];
    assert_eq!(read(&name("shop."), &records), Ok(found(5, &[1])));
}

#[test]
fn names_are_the_same_whatever_their_case() {
    let records = [cname("SHOP.", 60, "Target."), a("tARGET.", 60, 1)];
    assert_eq!(read(&name("shop."), &records), Ok(found(60, &[1])));
}

#[test]
fn records_of_another_name_are_not_believed() {
    let records = [a("shop.", 60, 1), a("other.", 1, 66)];
    assert_eq!(read(&name("shop."), &records), Ok(found(60, &[1])));
    assert_eq!(read(&name("shop."), &[a("other.", 1, 66)]), Err(Why::Empty));
}

#[test]
fn a_chain_that_loops_is_told_and_one_that_leads_nowhere_is_empty() {
    let circle = [cname("shop.", 60, "b."), cname("b.", 60, "shop.")];
    assert_eq!(read(&name("shop."), &circle), Err(Why::AliasLoop));
    assert_eq!(read_targets(&name("shop."), &circle), Err(Why::AliasLoop));
    let nowhere = [cname("shop.", 60, "b.")];
    assert_eq!(read(&name("shop."), &nowhere), Err(Why::Empty));
}

#[test]
fn a_ttl_with_its_sign_bit_set_is_zero() {
    let records = [a("shop.", 1 << 31, 1)];
    assert_eq!(read(&name("shop."), &records), Ok(found(0, &[1])));
    let records = [a("shop.", (1 << 31) - 1, 1)];
    assert_eq!(
        read(&name("shop."), &records).unwrap().ttl.as_secs(),
        (1 << 31) - 1
    );
}

fn srv(owner: &str, ttl: u32, priority: u16, weight: u16, port: u16, target: &str) -> Record {
    let data = SRV::new(priority, weight, port, name(target));
    Record::from_rdata(name(owner), ttl, RData::SRV(data))
}

#[test]
fn targets_are_read_with_their_least_ttl_in_lower_case() {
    let records = [
        srv("_http._tcp.shop.", 60, 1, 5, 8080, "A.Shop."),
        srv("_http._tcp.shop.", 20, 0, 0, 8081, "b.shop."),
        srv("other.", 1, 0, 0, 80, "c.shop."),
        a("a.shop.", 1, 1),
    ];
    let (targets, ttl) = read_targets(&name("_HTTP._tcp.shop."), &records).unwrap();
    assert_eq!(ttl, Duration::from_secs(20));
    let shown: Vec<_> = targets
        .iter()
        .map(|t| (&*t.name, t.port, t.priority, t.weight))
        .collect();
    assert_eq!(shown, [("a.shop.", 8080, 1, 5), ("b.shop.", 8081, 0, 0)]);
}

#[test]
fn targets_behind_aliases_live_as_long_as_the_shortest_link() {
    let records = [
        cname("_http._tcp.shop.", 300, "b."),
        cname("B.", 5, "_http._tcp.other."),
        srv("_http._tcp.other.", 60, 0, 1, 8080, "a."),
        srv("_http._tcp.shop.", 60, 0, 1, 8081, "beside.an.alias."),
    ];
    let (targets, ttl) = read_targets(&name("_http._tcp.shop."), &records).unwrap();
    assert_eq!(ttl, Duration::from_secs(5));
    let ports: Vec<_> = targets.iter().map(|target| target.port).collect();
    assert_eq!(ports, [8080]);
}

#[test]
fn a_chain_may_have_16_links_and_no_more() {
    let link = |n: usize| cname(&format!("n{n}."), 60, &format!("n{}.", n + 1));
    for (links, result) in [
        (MAX_CHAIN, Ok(found(60, &[1]))),
        (MAX_CHAIN + 1, Err(Why::AliasLoop)),
    ] {
        let mut records: Vec<_> = (0..links).map(link).collect();
        records.push(a(&format!("n{links}."), 60, 1));
        assert_eq!(read(&name("n0."), &records), result, "{links}");
    }
}

#[test]
fn a_target_that_is_the_root_says_that_there_is_no_service() {
    let none = srv("shop.", 60, 0, 0, 0, ".");
    assert_eq!(
        read_targets(&name("shop."), std::slice::from_ref(&none)),
        Err(Why::Empty)
    );
    assert_eq!(read_targets(&name("shop."), &[]), Err(Why::Empty));
    let beside = [
        none,
        srv("shop.", 60, 0, 0, 80, "a."),
        srv("shop.", 60, 0, 0, 0, "b."),
    ];
    let (targets, _) = read_targets(&name("shop."), &beside).unwrap();
    assert_eq!(targets.len(), 1);
}

#[test]
fn both_families_are_joined_under_the_least_ttl() {
    let v6 = read(&name("shop."), &[aaaa("shop.", 10)]);
    let joined = join(Some(Ok(found(60, &[1]))), Some(v6)).unwrap();
    assert_eq!(joined.addresses.len(), 2);
    assert_eq!(joined.ttl, Duration::from_secs(10));
    assert_eq!(joined.missing, None);
}

#[test]
fn one_family_suffices_and_the_other_is_missing_only_if_nothing_is_known_of_it() {
    let v4 = || Some(Ok(found(60, &[1])));
    let alone = |other| join(v4(), other).unwrap();
    assert_eq!(alone(Some(Err(Why::Empty))), found(60, &[1]));
    assert_eq!(alone(Some(Err(Why::NotFound))), found(60, &[1]));
    for other in [Some(Err(Why::Timeout)), Some(Err(Why::ServerFailure)), None] {
        assert_eq!(alone(other), missing(found(60, &[1]), Family::V6));
    }
    assert_eq!(
        join(None, v4()).unwrap(),
        missing(found(60, &[1]), Family::V4)
    );
}

#[test]
fn two_failures_claim_no_more_than_is_known() {
    let joined = |a, b| join(Some(Err(a)), Some(Err(b))).unwrap_err();
    for (a, b, said) in [
        (Why::NotFound, Why::NotFound, Why::NotFound),
        (Why::Empty, Why::Empty, Why::Empty),
        (Why::Empty, Why::NotFound, Why::Empty),
        (Why::Empty, Why::Timeout, Why::Timeout),
        (Why::NotFound, Why::ServerFailure, Why::ServerFailure),
        (Why::Timeout, Why::Timeout, Why::Timeout),
    ] {
        assert_eq!(joined(a, b), said, "{a} and {b}");
        assert_eq!(joined(b, a), said, "{b} and {a}");
    }
}

#[test]
fn errors_of_the_resolver_are_told_apart() {
    let code = |code| NetError::Dns(DnsError::ResponseCode(code));
    assert_eq!(why(&NetError::Timeout), Why::Timeout);
    assert_eq!(why(&code(ResponseCode::ServFail)), Why::ServerFailure);
    assert_eq!(why(&code(ResponseCode::Refused)), Why::Refused);
    assert_eq!(why(&NetError::Truncated), Why::Truncated);
    assert_eq!(why(&code(ResponseCode::FormErr)), Why::ServerFailure);
    assert_eq!(why(&code(ResponseCode::NXDomain)), Why::NotFound);
    assert_eq!(why(&NetError::NoConnections), Why::ServerFailure);
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    assert_eq!(why(&NetError::from(refused)), Why::ServerFailure);
}
