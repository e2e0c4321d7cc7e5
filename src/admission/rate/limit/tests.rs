use std::num::NonZeroUsize;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const TENANT: HeaderName = HeaderName::from_static("x-tenant");

fn plan(count: u32, burst: u32, key: RateKey, max_keys: usize) -> RateLimitPlan {
    RateLimitPlan {
        name: "test".into(),
        count: NonZeroU32::new(count).unwrap(),
        per: Duration::from_secs(1),
        burst: NonZeroU32::new(burst).unwrap(),
        key,
        shadow: false,
        max_keys: NonZeroUsize::new(max_keys).unwrap(),
    }
}

/// Takes up to `most` tokens for a client; how many it got.
fn take(limit: &RateLimit, client: &str, most: usize, now: Instant) -> usize {
    let headers = HeaderMap::new();
    let client = client.parse().unwrap();
    let subject = RateSubject {
        client,
        headers: &headers,
    };
    (0..most)
        .take_while(|_| limit.take(&subject, now).is_ok())
        .count()
}

fn client(number: u32) -> String {
    std::net::Ipv4Addr::from_bits(number).to_string()
}

fn assert_fill(limit: &RateLimit, now: Instant, expected: f32) {
    let fill = limit.view(now).fill;
    assert!(
        (fill - expected).abs() < 1e-4,
        "fill {fill}, expected {expected}"
    );
}

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";

#[test]
fn each_client_has_a_bucket_of_its_own() {
    let now = Instant::now();
    let limit = RateLimit::new(&plan(1, 3, RateKey::ClientIp, 9), now);
    assert_eq!(take(&limit, A, 9, now), 3);
    assert_eq!(take(&limit, B, 9, now), 3);
    assert_eq!(limit.view(now).keys, 2);
}

#[test]
fn over_time_the_rate_comes_through_and_no_more() {
    let start = Instant::now();
    let limit = RateLimit::new(&plan(100, 100, RateKey::None, 1), start);
    let admitted: usize = (0..5000)
        .map(|ms| take(&limit, A, 1, start + Duration::from_millis(ms)))
        .sum();
    assert!((599..=600).contains(&admitted), "{admitted}");
}

#[test]
fn a_quarter_full_bucket_is_a_quarter_full_in_its_new_size() {
    let now = Instant::now();
    for key in [RateKey::None, RateKey::ClientIp] {
        let old = RateLimit::new(&plan(100, 100, key.clone(), 9), now);
        assert_eq!(take(&old, A, 75, now), 75);
        let new = old.reshape(&plan(10, 400, key, 9), now);
        assert_fill(&new, now, 0.25);
        assert_eq!(take(&new, A, 400, now), 100);
    }
}

#[test]
fn who_is_over_the_limit_stays_over_it_however_large_it_becomes() {
    let now = Instant::now();
    let old = RateLimit::new(&plan(1, 2, RateKey::ClientIp, 9), now);
    assert_eq!(take(&old, A, 9, now), 2);
    let later = now + Duration::from_millis(900);
    let new = old.reshape(&plan(1, 1000, RateKey::ClientIp, 9), later);
    assert_eq!(take(&new, A, 1, later), 0);
    assert_eq!(take(&new, A, 9, later + Duration::from_millis(101)), 1);
}

#[test]
fn two_hundred_reloads_refill_nothing() {
    let now = Instant::now();
    let mut limit = RateLimit::new(&plan(7, 100, RateKey::ClientIp, 9), now);
    assert_eq!(take(&limit, A, 60, now), 60);
    for round in 0..200 {
        let burst = if round % 2 == 0 { 333 } else { 100 };
        limit = limit.reshape(&plan(7, burst, RateKey::ClientIp, 9), now);
    }
    assert_fill(&limit, now, 0.4);
    assert!((39..=40).contains(&take(&limit, A, 100, now)));
}

#[test]
fn requests_that_still_hold_the_old_limit_are_judged_by_the_new_one() {
    let now = Instant::now();
    for key in [RateKey::None, RateKey::ClientIp] {
        let old = RateLimit::new(&plan(1, 10, key.clone(), 9), now);
        let new = old.reshape(&plan(1, 20, key.clone(), 9), now);
        assert_eq!(take(&old, A, 50, now), 20);
        assert_eq!(take(&new, A, 50, now), 0);
    }
}

#[test]
fn a_limit_is_reshaped_from_its_latest_shape() {
    let now = Instant::now();
    let first = RateLimit::new(&plan(1, 10, RateKey::None, 9), now);
    let second = first.reshape(&plan(1, 20, RateKey::None, 9), now);
    assert_eq!(take(&second, A, 10, now), 10);
    let third = first.reshape(&plan(1, 40, RateKey::None, 9), now);
    assert_fill(&third, now, 0.5);
    assert_eq!(take(&second, A, 99, now), 20);
}

#[test]
fn a_token_taken_before_a_reload_is_given_back_after_it() {
    let now = Instant::now();
    for key in [RateKey::None, RateKey::ClientIp] {
        let headers = HeaderMap::new();
        let subject = RateSubject {
            client: A.parse().unwrap(),
            headers: &headers,
        };
        let plan = plan(1, 4, key, 9);
        let old = RateLimit::new(&plan, now);
        let seat = old.take(&subject, now).unwrap();
        let new = old.reshape(&plan, now);
        assert_fill(&new, now, 0.75);
        old.give_back(seat);
        assert_fill(&new, now, 1.0);
    }
}

#[test]
fn another_kind_of_key_means_new_buckets() {
    let now = Instant::now();
    let old = RateLimit::new(&plan(1, 3, RateKey::ClientIp, 9), now);
    assert_eq!(take(&old, A, 9, now), 3);
    let new = old.reshape(&plan(1, 3, RateKey::None, 9), now);
    assert_eq!(take(&new, A, 2, now), 2);
    let back = new.reshape(&plan(1, 3, RateKey::Header(TENANT), 9), now);
    assert_eq!(take(&back, A, 9, now), 3);
    assert_eq!(take(&old, A, 9, now), 0);
}

#[test]
fn at_the_bound_full_buckets_go_and_newcomers_keep_their_own() {
    let start = Instant::now();
    let limit = RateLimit::new(&plan(1, 2, RateKey::ClientIp, 100), start);
    for number in 0..100 {
        assert_eq!(take(&limit, &client(number), 1, start), 1);
    }
    let later = start + Duration::from_secs(1);
    for number in 100..200 {
        assert_eq!(take(&limit, &client(number), 9, later), 2);
    }
    let view = limit.view(later);
    assert_eq!((view.keys <= 100, view.overflowed), (true, 0));
}

#[test]
fn a_flood_of_keys_does_not_free_one_that_is_over_its_limit() {
    let start = Instant::now();
    let limit = RateLimit::new(&plan(1, 5, RateKey::ClientIp, 100), start);
    assert_eq!(take(&limit, "203.0.113.9", 9, start), 5);
    let mut now = start;
    for number in 0..20_000 {
        now = start + Duration::from_micros(u64::from(number) * 40);
        take(&limit, &client(number), 1, now);
        assert!(limit.form.store.keys() <= 100);
    }
    assert_eq!(take(&limit, "203.0.113.9", 9, now), 0);
    let view = limit.view(now);
    assert!(view.overflowed > 0, "the flood met the bound");
}

#[test]
fn newcomers_beyond_the_bound_share_one_bucket() {
    let now = Instant::now();
    let limit = RateLimit::new(&plan(1, 3, RateKey::ClientIp, 2), now);
    assert_eq!(take(&limit, &client(1), 1, now), 1);
    assert_eq!(take(&limit, &client(2), 1, now), 1);
    let admitted: usize = (3..50)
        .map(|number| take(&limit, &client(number), 1, now))
        .sum();
    assert_eq!(admitted, 3);
    assert_eq!(limit.view(now).overflowed, 47);
    assert_eq!(
        take(&limit, &client(1), 9, now),
        2,
        "who has a bucket keeps it"
    );
}

#[test]
fn a_full_bucket_anywhere_makes_room_for_a_newcomer() {
    let start = Instant::now();
    let limit = RateLimit::new(&plan(1, 5, RateKey::ClientIp, 50), start);
    assert_eq!(take(&limit, &client(0), 1, start), 1);
    for number in 1..50 {
        assert_eq!(take(&limit, &client(number), 5, start), 5);
    }
    let full = start + Duration::from_secs(1);
    assert_eq!(take(&limit, &client(99), 9, full), 5);
    assert_eq!(limit.view(full).overflowed, 0);
    assert_eq!(take(&limit, &client(98), 1, full), 1);
    assert_eq!(limit.view(full).overflowed, 1);
}

#[test]
fn a_header_of_any_length_costs_the_same_and_a_blank_one_gains_nothing() {
    let now = Instant::now();
    let limit = RateLimit::new(&plan(1, 2, RateKey::Header(TENANT), 9), now);
    let mut headers = HeaderMap::new();
    let mut took = |value: &str| {
        headers.insert(TENANT, HeaderValue::from_str(value).unwrap());
        let subject = RateSubject {
            client: A.parse().unwrap(),
            headers: &headers,
        };
        limit.take(&subject, now).is_ok()
    };
    let long = "x".repeat(65_536);
    assert!(took(&long) && took(&long) && !took(&long));
    assert!(took("") && took(" ") && !took(""));
    assert_eq!(take(&limit, A, 1, now), 0, "blank is the address");
}

#[test]
fn the_facts_say_how_long_an_empty_bucket_takes_to_fill() {
    let now = Instant::now();
    let limit = RateLimit::new(&plan(200, 400, RateKey::None, 9), now);
    assert_eq!(limit.facts().quota.get(), 400);
    assert_eq!(limit.facts().window_seconds, 2);
    let limit = RateLimit::new(&plan(200, 1, RateKey::None, 9), now);
    assert_eq!(limit.facts().window_seconds, 1);
}

#[test]
fn concurrent_takers_get_the_burst_and_reloads_lose_none() {
    let now = Instant::now();
    for key in [RateKey::None, RateKey::ClientIp] {
        let old = RateLimit::new(&plan(1, 4000, key.clone(), 9), now);
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| take(&old, A, 900, now)))
                .collect();
            let mut limit = Arc::clone(&old);
            for _ in 0..50 {
                limit = limit.reshape(&plan(1, 4000, key.clone(), 9), now);
            }
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 3600);
        assert_eq!(take(&old, A, 9999, now), 400);
    }
}

#[test]
fn what_was_asked_for_is_known_over_a_reload_refused_or_not_and_another_key_begins_anew() {
    let now = Instant::now();
    let limit = RateLimit::new(&plan(1, 1, RateKey::ClientIp, 10), now);
    let ask = |limit: &RateLimit| (0..5).for_each(|_| assert!(take(limit, A, 1, now) <= 1));
    assert_eq!(limit.propose(0.0, now), None);
    ask(&limit);
    let wider = limit.reshape(&plan(2, 2, RateKey::ClientIp, 10), now);
    ask(&limit); // by one who still holds the old shape
    ask(&wider);
    assert_eq!(wider.propose(0.0, now).unwrap().seen, 15);
    let together = wider.reshape(&plan(2, 2, RateKey::None, 10), now);
    assert_eq!(together.propose(0.0, now), None);
    ask(&together);
    assert_eq!(together.propose(0.0, now).unwrap().seen, 5);
    assert_eq!(together.uncounted(), 0);
}
