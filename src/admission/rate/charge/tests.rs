use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use http::HeaderMap;

use super::*;
use crate::config::{RateKey, RateLimitPlan};

fn limit(name: &str, burst: u32, key: RateKey, shadow: bool, now: Instant) -> Arc<RateLimit> {
    let plan = RateLimitPlan {
        name: name.into(),
        count: NonZeroU32::MIN,
        per: Duration::from_secs(1),
        burst: NonZeroU32::new(burst).unwrap(),
        key,
        shadow,
        max_keys: NonZeroUsize::new(100).unwrap(),
    };
    RateLimit::new(&plan, now)
}

struct Try {
    refused_by: Option<String>,
    shadowed: Vec<String>,
}

fn attempt(limits: &[Arc<RateLimit>], client: &str, now: Instant) -> Try {
    let headers = HeaderMap::new();
    let subject = RateSubject {
        client: client.parse().unwrap(),
        headers: &headers,
    };
    let mut shadowed = Vec::new();
    let charged = charge(limits, &subject, now, |limit| {
        shadowed.push(limit.plan().name.to_string());
    });
    let refused_by = charged.err().map(|refusal| {
        assert_eq!(refusal.reason, ShedReason::RateExceeded);
        assert!(refusal.retry_after > Duration::ZERO);
        refusal.bucket.unwrap().name.to_string()
    });
    Try {
        refused_by,
        shadowed,
    }
}

fn fills(limits: &[Arc<RateLimit>], now: Instant) -> Vec<f32> {
    limits.iter().map(|limit| limit.view(now).fill).collect()
}

#[test]
fn a_client_over_its_own_limit_uses_up_nothing_that_others_share() {
    let now = Instant::now();
    let limits = [
        limit("all", 10, RateKey::None, false, now),
        limit("each", 2, RateKey::ClientIp, false, now),
    ];
    for _ in 0..50 {
        attempt(&limits, "192.0.2.1", now);
    }
    assert_eq!(fills(&limits, now), [0.8, 0.0]);
    assert_eq!(
        attempt(&limits, "192.0.2.1", now).refused_by.as_deref(),
        Some("each")
    );
    assert_eq!(attempt(&limits, "192.0.2.2", now).refused_by, None);
}

#[test]
fn what_was_taken_is_given_back_where_a_later_limit_refuses() {
    let now = Instant::now();
    let limits = [
        limit("each", 9, RateKey::ClientIp, false, now),
        limit("all", 1, RateKey::None, false, now),
    ];
    assert_eq!(attempt(&limits, "192.0.2.1", now).refused_by, None);
    let before = fills(&limits, now);
    for _ in 0..20 {
        assert_eq!(
            attempt(&limits, "192.0.2.1", now).refused_by.as_deref(),
            Some("all")
        );
    }
    assert_eq!(fills(&limits, now), before);
}

#[test]
fn where_several_would_refuse_the_narrowest_is_named() {
    let now = Instant::now();
    let limits = [
        limit("all", 1, RateKey::None, false, now),
        limit("each", 1, RateKey::ClientIp, false, now),
    ];
    assert_eq!(attempt(&limits, "192.0.2.1", now).refused_by, None);
    let refused_by = attempt(&limits, "192.0.2.1", now).refused_by;
    assert_eq!(refused_by.as_deref(), Some("each"));
}

#[test]
fn a_shadow_limit_speaks_up_and_refuses_nobody() {
    let now = Instant::now();
    let limits = [
        limit("shadow", 1, RateKey::None, true, now),
        limit("all", 3, RateKey::None, false, now),
    ];
    assert!(attempt(&limits, "192.0.2.1", now).shadowed.is_empty());
    for _ in 0..2 {
        let attempt = attempt(&limits, "192.0.2.1", now);
        assert_eq!(
            (attempt.refused_by, attempt.shadowed),
            (None, vec!["shadow".to_owned()])
        );
    }
    assert_eq!(fills(&limits, now), [0.0, 0.0]);
}

#[test]
fn a_refund_gives_every_token_back_beyond_the_inline_ones_too() {
    let now = Instant::now();
    let limits: Vec<_> = (0..7)
        .map(|n| {
            let key = if n % 2 == 0 {
                RateKey::None
            } else {
                RateKey::ClientIp
            };
            limit(&n.to_string(), n + 1, key, n == 3, now)
        })
        .collect();
    let headers = HeaderMap::new();
    let subject = RateSubject {
        client: "2001:db8::1".parse().unwrap(),
        headers: &headers,
    };
    let charge = charge(&limits, &subject, now, |_| {}).unwrap();
    assert!(fills(&limits, now).iter().all(|fill| *fill < 1.0));
    charge.refund();
    assert_eq!(fills(&limits, now), vec![1.0; 7]);
}

#[test]
fn a_charge_that_is_dropped_stays_taken() {
    let now = Instant::now();
    let limits = [limit("all", 2, RateKey::None, false, now)];
    attempt(&limits, "192.0.2.1", now);
    assert_eq!(fills(&limits, now), [0.5]);
}

#[test]
fn no_limits_refuse_nobody() {
    assert_eq!(attempt(&[], "192.0.2.1", Instant::now()).refused_by, None);
}
