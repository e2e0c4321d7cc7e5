use std::{cell::RefCell, net::IpAddr, num::NonZeroU32};

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    config::NameServers,
    resolve::{Family, Found, Service},
};

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn plan() -> DnsPlan {
    DnsPlan {
        servers: NameServers::default(),
        resolv_conf: "/no/such/file".into(),
        min_ttl: seconds(1),
        max_ttl: seconds(300),
        max_stale: seconds(3600),
        gone_after: NonZeroU32::new(3).unwrap(),
        hold: seconds(30),
        allow_addresses: Vec::new(),
    }
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn v6(last: u16) -> IpAddr {
    IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])
}

/// A machine, a clock that is moved by hand, and a fixed seed.
struct Moved {
    held: Held,
    plan: DnsPlan,
    now: Instant,
    rng: StdRng,
    /// Addresses whose checks fail.
    out: RefCell<Vec<IpAddr>>,
}

impl Moved {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            held: Held::resume(&Answer::pending(), now),
            plan: plan(),
            now,
            rng: StdRng::seed_from_u64(7),
            out: RefCell::default(),
        }
    }

    /// One that holds 10.0.0.1 to 10.0.0.`count`.
    fn holding(count: u8) -> Self {
        let mut it = Self::new();
        it.finds(1..=count);
        it
    }

    fn passes(&mut self, n: u64) {
        self.now += seconds(n);
    }

    fn hears(&mut self, result: Result<Found, Why>) -> Step {
        self.hears_all(result.map(Heard::from))
    }

    fn hears_all(&mut self, result: Result<Heard, Why>) -> Step {
        let out = &self.out;
        let is_out = |host: &Host| out.borrow().contains(&host.address);
        self.held
            .heard(result, is_out, &self.plan, self.now, &mut self.rng)
    }

    fn fails(&mut self, why: Why) -> Step {
        self.hears(Err(why))
    }

    fn finds(&mut self, lasts: impl IntoIterator<Item = u8>) -> Step {
        self.finds_for(lasts, 60)
    }

    fn finds_for(&mut self, lasts: impl IntoIterator<Item = u8>, ttl: u64) -> Step {
        self.hears(Ok(Found {
            addresses: lasts.into_iter().map(v4).collect(),
            ttl: seconds(ttl),
            missing: None,
        }))
    }

    fn finds_half(&mut self, addresses: Vec<IpAddr>, missing: Family) -> Step {
        self.hears(Ok(Found {
            addresses,
            ttl: seconds(60),
            missing: Some(missing),
        }))
    }

    fn state(&self) -> AnswerState {
        self.held.state
    }

    fn holds(&self) -> Vec<IpAddr> {
        self.held.answer(None).addresses()
    }

    fn holds_v4(&self, lasts: impl IntoIterator<Item = u8>) -> bool {
        self.holds() == lasts.into_iter().map(v4).collect::<Vec<_>>()
    }
}

fn about(wait: Duration, of: Duration) -> bool {
    wait <= of && wait >= of.mul_f64(1.0 - JITTER)
}

// === good answers ===

#[test]
fn addresses_are_sorted_and_named_once() {
    let mut it = Moved::new();
    it.finds([3, 1, 2, 1]);
    assert!(it.holds_v4([1, 2, 3]));
    assert_eq!(it.state(), AnswerState::Fresh);
}

#[test]
fn the_ttl_is_waited_for_and_never_longer() {
    let waits: BTreeSet<Duration> = {
        let mut it = Moved::new();
        (0..50).map(|_| it.finds_for([1], 60).wait).collect()
    };
    assert!(waits.iter().all(|wait| about(*wait, seconds(60))));
    assert!(waits.len() > 1, "no jitter");
}

#[test]
fn a_ttl_is_clamped() {
    let mut it = Moved::new();
    for (ttl, counts_as) in [
        (0, 1),
        (1, 1),
        (2, 2),
        (300, 300),
        (301, 300),
        (1 << 31, 300),
    ] {
        let wait = it.finds_for([1], ttl).wait;
        assert!(about(wait, seconds(counts_as)), "{ttl}: {wait:?}");
    }
}

#[test]
fn the_same_answer_keeps_the_very_same_addresses() {
    let mut it = Moved::holding(3);
    let before = it.held.shown.clone();
    it.finds([2, 3, 1]);
    assert!(Arc::ptr_eq(&before, &it.held.shown));
}

#[test]
fn a_name_that_moves_serves_from_both_places_until_the_move_is_seen_again() {
    let mut it = Moved::holding(1);
    assert_eq!(it.finds([9]).doubted, 1);
    assert!(it.holds_v4([1, 9]));
    it.finds([9]);
    assert!(it.holds_v4([9]));
}

#[test]
fn the_time_since_when_the_hosts_are_what_they_are_is_told() {
    let mut it = Moved::holding(2);
    let first = it.now;
    it.passes(10);
    it.finds([1, 2]);
    assert_eq!(it.held.answer(None).since, Some(first));
    it.finds([1, 2, 3]);
    assert_eq!(it.held.answer(None).since, Some(it.now));
}

// === the shrink guard ===

#[test]
fn half_of_the_addresses_may_go_at_once() {
    let mut it = Moved::holding(10);
    assert_eq!(it.finds(1..=5).doubted, 0);
    assert!(it.holds_v4(1..=5));
}

#[test]
fn an_answer_that_drops_more_than_half_is_doubted() {
    let mut it = Moved::holding(10);
    let step = it.finds(1..=4);
    assert_eq!((step.doubted, step.doubt_begins), (6, true));
    assert_eq!(it.held.answer(None).doubted, 6);
    assert!(!it.finds(1..=3).doubt_begins, "told twice");
    assert!(it.holds_v4(1..=10));
    assert_eq!(it.state(), AnswerState::Fresh);
}

#[test]
fn what_a_doubted_answer_adds_is_used_at_once() {
    let mut it = Moved::holding(10);
    assert_eq!(it.finds([11, 12]).doubted, 10);
    assert!(it.holds_v4(1..=12));
}

#[test]
fn a_doubted_answer_is_believed_when_it_is_seen_again() {
    let mut it = Moved::holding(10);
    it.finds_for([1], 5);
    it.passes(5);
    assert_eq!(it.finds_for([1], 5).doubted, 0);
    assert!(it.holds_v4([1]));
}

#[test]
fn a_doubt_ends_when_the_set_is_whole_again() {
    let mut it = Moved::holding(10);
    it.finds([1]);
    it.finds(1..=10);
    assert_eq!(it.finds([1]).doubted, 9, "doubted anew");
    assert!(it.holds_v4(1..=10));
}

#[test]
fn what_every_answer_lacks_for_the_hold_goes_though_answers_keep_changing() {
    let mut it = Moved::holding(10);
    it.finds_for([1], 10);
    it.passes(29);
    assert_eq!(it.finds_for([2], 10).doubted, 9);
    it.passes(1);
    it.finds_for([3], 10);
    assert!(it.holds_v4([1, 2, 3]), "{:?}", it.holds());
}

#[test]
fn a_set_that_flips_between_two_halves_is_their_union() {
    let mut it = Moved::new();
    it.finds_for([1, 2], 1);
    for _ in 0..100 {
        it.passes(1);
        it.finds_for([3, 4], 1);
        assert!(it.holds_v4([1, 2, 3, 4]));
        it.passes(1);
        let step = it.finds_for([1, 2], 1);
        assert!(it.holds_v4([1, 2, 3, 4]));
        assert!(step.wait >= seconds(1).mul_f64(1.0 - JITTER), "{step:?}");
    }
    it.passes(1);
    it.finds_for([1, 2], 1);
    assert!(it.holds_v4([1, 2]), "it came to rest");
}

#[test]
fn hosts_that_fail_their_checks_are_not_kept_for_a_doubt() {
    let mut it = Moved::holding(10);
    it.out.borrow_mut().extend((4..=9).map(v4));
    assert_eq!(it.finds([1, 9]).doubted, 3);
    assert!(it.holds_v4([1, 2, 3, 9, 10]), "{:?}", it.holds());
    let mut it = Moved::holding(10);
    it.out.borrow_mut().extend((2..=10).map(v4));
    assert_eq!(it.finds([1]).doubted, 0);
    assert!(it.holds_v4([1]));
}

#[test]
fn a_doubt_is_looked_into_no_later_than_the_hold() {
    let mut it = Moved::holding(10);
    assert_eq!(it.finds_for([1], 300).wait, seconds(30));
    it.passes(20);
    assert_eq!(it.finds_for([2], 300).wait, seconds(10));
    it.passes(10);
    assert_eq!(
        it.finds_for([3], 300).wait,
        seconds(20),
        "1 is lacking since then"
    );
}

#[test]
fn without_a_hold_nothing_is_doubted() {
    let mut it = Moved::holding(10);
    it.plan.hold = Duration::ZERO;
    assert_eq!(it.finds([1]).doubted, 0);
    assert!(it.holds_v4([1]));
}

#[test]
fn an_error_does_not_end_a_doubt() {
    let mut it = Moved::holding(10);
    it.finds_for([1], 5);
    it.passes(5);
    it.fails(Why::Timeout);
    assert!(it.holds_v4(1..=10));
    assert_eq!(it.finds([1]).doubted, 0, "seen again");
}

// === errors ===

#[test]
fn a_name_that_never_resolved_has_failed() {
    let mut it = Moved::new();
    it.fails(Why::Timeout);
    assert_eq!(it.state(), AnswerState::Failed(Why::Timeout));
    it.fails(Why::NotFound);
    assert_eq!(it.state(), AnswerState::Failed(Why::NotFound));
    it.finds([1]);
    assert_eq!(it.state(), AnswerState::Fresh);
}

#[test]
fn errors_leave_the_last_good_set_in_force() {
    for why in [
        Why::NotFound,
        Why::ServerFailure,
        Why::Refused,
        Why::Timeout,
        Why::Truncated,
        Why::AliasLoop,
        Why::Empty,
        Why::Prohibited,
    ] {
        let mut it = Moved::holding(2);
        it.fails(why);
        assert!(it.holds_v4([1, 2]), "{why}");
        assert_eq!(it.state(), AnswerState::Stale { since: it.now, why });
    }
}

#[test]
fn staleness_is_counted_from_the_first_error() {
    let mut it = Moved::holding(2);
    it.fails(Why::Timeout);
    let since = it.now;
    it.passes(100);
    it.fails(Why::ServerFailure);
    let why = Why::ServerFailure;
    assert_eq!(it.state(), AnswerState::Stale { since, why });
}

#[test]
fn after_max_stale_the_set_is_given_up() {
    let mut it = Moved::holding(2);
    it.fails(Why::Timeout);
    it.passes(3599);
    it.fails(Why::Timeout);
    assert!(it.holds_v4([1, 2]));
    it.passes(1);
    it.fails(Why::Timeout);
    assert_eq!(it.state(), AnswerState::Expired(Why::Timeout));
    assert!(it.holds().is_empty());
}

#[test]
fn a_good_answer_ends_staleness_and_starts_its_time_anew() {
    let mut it = Moved::holding(2);
    it.fails(Why::Timeout);
    it.passes(3599);
    it.finds([1, 2]);
    assert_eq!(it.state(), AnswerState::Fresh);
    it.fails(Why::Timeout);
    it.passes(3599);
    it.fails(Why::Timeout);
    assert!(it.holds_v4([1, 2]));
}

#[test]
fn an_expired_name_stays_expired_until_it_resolves() {
    let mut it = Moved::holding(2);
    it.plan.max_stale = Duration::ZERO;
    it.fails(Why::Timeout);
    it.fails(Why::NotFound);
    assert_eq!(it.state(), AnswerState::Expired(Why::NotFound));
    it.finds([7]);
    assert!(it.holds_v4([7]));
}

#[test]
fn a_name_that_is_said_to_be_empty_keeps_its_set_for_the_hold_only() {
    let mut it = Moved::holding(2);
    it.fails(Why::Empty);
    it.passes(29);
    it.fails(Why::Empty);
    assert!(it.holds_v4([1, 2]));
    it.passes(1);
    it.fails(Why::Empty);
    assert_eq!(it.state(), AnswerState::Expired(Why::Empty));
}

#[test]
fn a_name_is_gone_only_after_it_was_said_so_often_and_for_the_hold() {
    for why in [Why::NotFound, Why::Empty] {
        let mut it = Moved::holding(2);
        it.plan.gone_after = NonZeroU32::new(5).unwrap();
        for _ in 0..4 {
            it.fails(why);
            it.passes(20);
            assert!(it.holds_v4([1, 2]), "{why}");
        }
        it.fails(why);
        assert_eq!(it.state(), AnswerState::Expired(why));
    }
    let mut it = Moved::holding(2);
    for _ in 0..10 {
        it.fails(Why::NotFound);
        it.passes(2);
    }
    assert!(it.holds_v4([1, 2]), "the hold has not passed");
    it.passes(9);
    assert_eq!(
        it.fails(Why::NotFound).wait,
        seconds(1),
        "the end is not slept through"
    );
}

#[test]
fn errors_do_not_count_as_gone() {
    for why in [
        Why::ServerFailure,
        Why::Refused,
        Why::Timeout,
        Why::Truncated,
        Why::AliasLoop,
        Why::Prohibited,
    ] {
        let mut it = Moved::holding(2);
        for _ in 0..100 {
            it.fails(why);
            it.passes(30);
        }
        assert!(it.holds_v4([1, 2]), "{why}");
    }
}

#[test]
fn an_answer_or_an_error_between_begins_the_count_anew() {
    let mut it = Moved::holding(2);
    it.fails(Why::NotFound);
    it.fails(Why::NotFound);
    it.passes(60);
    it.fails(Why::ServerFailure);
    it.fails(Why::NotFound);
    assert!(it.holds_v4([1, 2]));
    it.finds([1, 2]);
    it.passes(60);
    it.fails(Why::NotFound);
    it.fails(Why::NotFound);
    assert!(it.holds_v4([1, 2]));
}

#[test]
fn one_empty_answer_after_a_long_failure_empties_nothing() {
    let mut it = Moved::holding(2);
    it.fails(Why::Timeout);
    it.passes(600);
    it.fails(Why::Empty);
    assert!(it.holds_v4([1, 2]));
    it.passes(20);
    it.fails(Why::Timeout);
    it.passes(20);
    it.fails(Why::Empty);
    assert!(it.holds_v4([1, 2]), "not in a row");
}

#[test]
fn pauses_after_errors_double_to_a_bound() {
    let mut it = Moved::new();
    for expected in [1, 2, 4, 8, 16, 30, 30, 30] {
        let wait = it.fails(Why::Timeout).wait;
        assert!(about(wait, seconds(expected)), "{expected}: {wait:?}");
    }
    for _ in 0..100 {
        it.fails(Why::Timeout);
    }
    it.finds([1]);
    assert!(
        about(it.fails(Why::Timeout).wait, seconds(1)),
        "begins anew"
    );
}

#[test]
fn a_name_of_short_ttl_is_asked_for_again_as_often_while_it_fails() {
    for (ttl, longest) in [(0, 2), (1, 2), (5, 5), (60, 30)] {
        let mut it = Moved::new();
        it.finds_for([1], ttl);
        let waits: Vec<_> = (0..8).map(|_| it.fails(Why::Timeout).wait).collect();
        assert!(
            waits.iter().all(|wait| *wait <= seconds(longest)),
            "{ttl}: {waits:?}"
        );
        assert!(
            about(waits[7], seconds(longest)),
            "{ttl}: {waits:?}, not so often as to be a burden"
        );
    }
}

#[test]
fn the_end_of_staleness_is_not_slept_through() {
    let mut it = Moved::holding(2);
    for _ in 0..10 {
        it.fails(Why::Timeout);
    }
    it.passes(3598);
    assert_eq!(it.fails(Why::Timeout).wait, seconds(2));
}

#[test]
fn there_is_always_a_pause() {
    let mut it = Moved::new();
    it.plan.min_ttl = Duration::ZERO;
    assert!(it.fails(Why::Timeout).wait >= SHORTEST_PAUSE.mul_f64(1.0 - JITTER));
    assert!(it.finds_for([1], 0).wait >= SHORTEST_PAUSE);
}

// === one family only ===

#[test]
fn the_family_that_was_not_answered_keeps_its_addresses() {
    let mut it = Moved::new();
    it.hears(Ok(Found {
        addresses: vec![v4(1), v6(1)],
        ttl: seconds(60),
        missing: None,
    }));
    it.finds_half(vec![v4(2)], Family::V6);
    assert_eq!(it.holds(), [v4(2), v6(1)]);
    it.finds_half(vec![v6(2)], Family::V4);
    assert_eq!(it.holds(), [v4(2), v6(2)]);
}

#[test]
fn a_family_that_stays_away_is_given_up_after_max_stale() {
    let mut it = Moved::new();
    it.hears(Ok(Found {
        addresses: vec![v4(1), v6(1)],
        ttl: seconds(60),
        missing: None,
    }));
    it.passes(3599);
    it.finds_half(vec![v4(1)], Family::V6);
    assert_eq!(it.holds(), [v4(1), v6(1)]);
    it.passes(1);
    it.finds_half(vec![v4(1)], Family::V6);
    assert_eq!(it.holds(), [v4(1)]);
}

#[test]
fn half_an_answer_is_asked_for_again_soon_but_less_and_less_often() {
    let mut it = Moved::new();
    for expected in [1, 2, 4, 8, 16, 30] {
        let wait = it.finds_half(vec![v4(1)], Family::V6).wait;
        assert!(about(wait, seconds(expected)), "{expected}: {wait:?}");
    }
}

// === services ===

fn service(last: u8, port: u16, weight: u16, target: &str) -> Host {
    Host {
        address: v4(last),
        service: Some(Service {
            port,
            priority: 0,
            weight,
            target: target.into(),
        }),
    }
}

fn services(hosts: &[Host], unknown: Unknown) -> Heard {
    Heard {
        hosts: hosts.to_vec(),
        ttl: seconds(60),
        unknown,
    }
}

#[test]
fn another_weight_is_the_same_host_and_another_port_is_another_one() {
    let mut it = Moved::new();
    it.hears_all(Ok(services(
        &[service(1, 80, 1, "a."), service(2, 80, 1, "b.")],
        Unknown::Nothing,
    )));
    let heavier = [service(1, 80, 9, "a."), service(2, 80, 9, "b.")];
    assert_eq!(
        it.hears_all(Ok(services(&heavier, Unknown::Nothing)))
            .doubted,
        0
    );
    assert_eq!(*it.held.shown, heavier);
    let moved = [service(1, 81, 9, "a."), service(2, 81, 9, "b.")];
    assert_eq!(
        it.hears_all(Ok(services(&moved, Unknown::Nothing))).doubted,
        2
    );
}

#[test]
fn a_target_of_which_nothing_is_heard_keeps_its_hosts() {
    let mut it = Moved::new();
    let both = [service(1, 80, 1, "a."), service(2, 80, 1, "b.")];
    it.hears_all(Ok(services(&both, Unknown::Nothing)));
    let unknown = Unknown::Targets(vec!["b.".into()]);
    it.hears_all(Ok(services(&both[..1], unknown.clone())));
    assert_eq!(*it.held.shown, both);
    it.passes(3600);
    it.hears_all(Ok(services(&both[..1], unknown)));
    assert_eq!(*it.held.shown, both[..1], "after max_stale no more");
}

// === the cap, and going on ===

#[test]
fn d10_of_too_many_addresses_always_the_same_ones_are_kept() {
    let many = |from: u32| Found {
        addresses: (from..from + 5000)
            .map(|n| IpAddr::from(n.to_be_bytes()))
            .collect(),
        ttl: seconds(60),
        missing: None,
    };
    let mut it = Moved::new();
    let step = it.hears(Ok(many(0x0a00_0000)));
    assert_eq!(step.left_out, 4000);
    assert_eq!(it.holds().len(), MAX_ADDRESSES);
    let before = it.held.shown.clone();
    let mut turned = many(0x0a00_0000);
    turned.addresses.reverse();
    it.hears(Ok(turned));
    assert!(Arc::ptr_eq(&before, &it.held.shown));
    it.hears(Ok(many(0x0a00_0001))); // one goes, one comes
    let kept = it
        .held
        .shown
        .iter()
        .filter(|host| before.contains(host))
        .count();
    assert!(kept >= MAX_ADDRESSES - 1, "{kept}");
}

#[test]
fn a_new_task_goes_on_with_the_addresses_of_the_old_one() {
    let old = Moved::holding(3);
    let mut it = Moved::new();
    it.held = Held::resume(&old.held.answer(None), it.now);
    it.fails(Why::Timeout);
    assert!(it.holds_v4([1, 2, 3]));
}

#[test]
fn a_new_task_does_not_start_staleness_anew() {
    let mut old = Moved::holding(3);
    old.fails(Why::Timeout);
    let mut it = Moved::new();
    it.now = old.now;
    it.held = Held::resume(&old.held.answer(None), it.now);
    it.passes(3600);
    it.fails(Why::Timeout);
    assert_eq!(it.state(), AnswerState::Expired(Why::Timeout));
}
