//! Any sequence of requests and reloads, against token buckets with the clock moved by hand.

use std::{
    net::{IpAddr, Ipv4Addr},
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use http::HeaderMap;
use proptest::prelude::*;
use tidegate::{
    admission::{RateLimit, RateSubject, charge},
    config::{RateKey, RateLimitPlan},
};
use tokio::time::Instant;

fn plan(count: u32, per: u64, burst: u32, keyed: bool) -> RateLimitPlan {
    RateLimitPlan {
        name: "test".into(),
        count: NonZeroU32::new(count).unwrap(),
        per: Duration::from_secs(per),
        burst: NonZeroU32::new(burst).unwrap(),
        key: if keyed {
            RateKey::ClientIp
        } else {
            RateKey::None
        },
        shadow: false,
        max_keys: NonZeroUsize::new(8).unwrap(),
    }
}

fn admitted(limits: &[Arc<RateLimit>], client: u32, now: Instant) -> bool {
    let headers = HeaderMap::new();
    let client = IpAddr::V4(Ipv4Addr::from_bits(client));
    let subject = RateSubject {
        client,
        headers: &headers,
    };
    match charge(limits, &subject, now, |_| {}) {
        Ok(_kept) => true,
        Err(refusal) => {
            assert!(refusal.retry_after > Duration::ZERO);
            false
        }
    }
}

fn fills(limits: &[Arc<RateLimit>], now: Instant) -> Vec<f32> {
    limits.iter().map(|limit| limit.view(now).fill).collect()
}

fn per() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1_u64), Just(60), Just(3600)]
}

proptest! {
    #[test]
    fn never_more_than_burst_and_rate_allow(
        count in 1..2000_u32,
        per in per(),
        burst in 1..200_u32,
        gaps_us in proptest::collection::vec(0..50_000_u64, 1..400),
    ) {
        let start = Instant::now();
        let limits = [RateLimit::new(&plan(count, per, burst, false), start)];
        let (mut now, mut passed) = (start, 0_u32);
        for gap in gaps_us {
            now += Duration::from_micros(gap);
            passed += u32::from(admitted(&limits, 1, now));
            let time = now.duration_since(start).as_secs_f64();
            let rate = f64::from(count) / Duration::from_secs(per).as_secs_f64();
            prop_assert!(f64::from(passed) <= f64::from(burst) + rate * time * 1.0002 + 1e-6);
        }
    }

    #[test]
    fn after_retry_after_the_same_request_is_admitted(
        count in 1..100_000_u32,
        per in per(),
        burst in 1..50_u32,
    ) {
        let start = Instant::now();
        let limits = [RateLimit::new(&plan(count, per, burst, false), start)];
        for _ in 0..burst {
            prop_assert!(admitted(&limits, 1, start));
        }
        let headers = HeaderMap::new();
        let subject = RateSubject { client: Ipv4Addr::LOCALHOST.into(), headers: &headers };
        let refusal = charge(&limits, &subject, start, |_| {}).unwrap_err();
        let back = start + refusal.retry_after;
        prop_assert!(!admitted(&limits, 1, back - Duration::from_nanos(2)));
        prop_assert!(admitted(&limits, 1, back));
    }

    #[test]
    fn a_refusal_is_free(
        bursts in proptest::collection::vec((1..20_u32, any::<bool>()), 1..7),
        clients in proptest::collection::vec(0..12_u32, 1..200),
    ) {
        let now = Instant::now();
        let limits: Vec<_> = bursts
            .iter()
            .map(|(burst, keyed)| RateLimit::new(&plan(1, 1, *burst, *keyed), now))
            .collect();
        for client in clients {
            let before = fills(&limits, now);
            if !admitted(&limits, client, now) {
                prop_assert_eq!(fills(&limits, now), before);
            }
        }
    }

    #[test]
    fn a_refund_leaves_what_was_there_before(
        bursts in proptest::collection::vec((1..20_u32, any::<bool>()), 1..7),
        taken in 0..10_u32,
    ) {
        let now = Instant::now();
        let limits: Vec<_> = bursts
            .iter()
            .map(|(burst, keyed)| RateLimit::new(&plan(1, 1, *burst, *keyed), now))
            .collect();
        for client in 0..taken {
            admitted(&limits, client, now);
        }
        let before = fills(&limits, now);
        let headers = HeaderMap::new();
        let subject = RateSubject { client: Ipv4Addr::LOCALHOST.into(), headers: &headers };
        if let Ok(charge) = charge(&limits, &subject, now, |_| {}) {
            charge.refund();
        }
        prop_assert_eq!(fills(&limits, now), before);
    }

    #[test]
    fn a_reload_keeps_fills_in_proportion_and_frees_nobody(
        shapes in proptest::collection::vec((1..5000_u32, per(), 1..3000_u32), 2..12),
        keyed in any::<bool>(),
        share in 0.0..=1.0_f64,
        later_ms in 0..100_000_u64,
    ) {
        let start = Instant::now();
        let mut shapes = shapes.into_iter();
        let (count, per, burst) = shapes.next().unwrap();
        let mut limit = RateLimit::new(&plan(count, per, burst, keyed), start);
        let take = (f64::from(burst) * share).ceil();
        for _ in 0..burst {
            if f64::from(limit.view(start).fill) * f64::from(burst) + take <= f64::from(burst) {
                break;
            }
            admitted(&[Arc::clone(&limit)], 1, start);
        }
        let now = start + Duration::from_millis(later_ms);
        for (count, per, burst) in shapes {
            let before = f64::from(limit.view(now).fill);
            let tokens = before * f64::from(limit.plan().burst.get());
            limit = limit.reshape(&plan(count, per, burst, keyed), now);
            let after = f64::from(limit.view(now).fill);
            // Who has less than a token keeps that part of a token; the edge may fall either way.
            let part = tokens / f64::from(burst);
            let (kept, whole) = ((after - before).abs() < 1e-4, (after - part).abs() < 1e-4);
            prop_assert!(if tokens < 0.999 { whole } else { kept || (tokens < 1.001 && whole) },
                "{before} of a bucket became {after}, {tokens} tokens");
        }
    }

    #[test]
    fn no_more_buckets_than_max_keys_and_none_over_its_limit_is_freed(
        clients in proptest::collection::vec((0..500_u32, 0..20_u64), 1..400),
    ) {
        let start = Instant::now();
        let limits = [RateLimit::new(&plan(1, 60, 3, true), start)];
        for _ in 0..3 {
            prop_assert!(admitted(&limits, 9999, start));
        }
        let mut now = start;
        for (client, gap_ms) in clients {
            now += Duration::from_millis(gap_ms);
            admitted(&limits, client, now);
            prop_assert!(limits[0].view(now).keys <= 8);
            prop_assert!(!admitted(&limits, 9999, now));
        }
    }
}
