use rand::{SeedableRng, rngs::SmallRng};

use super::*;

const MS: Duration = Duration::from_millis(1);

fn at(millis: u64) -> Moment {
    Moment::from_micros(millis * 1000)
}

fn ask(priority: Priority) -> Ask {
    Ask {
        priority,
        retry: false,
        route: RouteNumber::default(),
        tenant: 0,
        deadline: None,
    }
}

/// 100 places come free in a second, each request takes 30 ms.
const PACE: Pace = Pace {
    drain: Some(100.0),
    usual: Duration::from_millis(30),
};

fn plan(max_waiting: u32) -> QueuePlan {
    QueuePlan {
        max_waiting,
        stretch: Stretch::Never,
        max_wait: 120 * MS,
    }
}

struct Bench {
    line: Line<u32>,
    shares: Shares,
    next: u32,
}

impl Bench {
    fn new(most: u32) -> Self {
        Self {
            line: Line::new(&plan(most)),
            shares: Shares::new(),
            next: 0,
        }
    }

    fn offer(&mut self, ask: &Ask, now: Moment) -> Offer<u32> {
        self.next += 1;
        let token = self.next;
        self.line.offer(ask, &PACE, now, || token)
    }

    /// Offers, and expects it to wait.
    fn waits(&mut self, ask: &Ask, now: Moment) -> (Position, Option<u32>) {
        match self.offer(ask, now) {
            Offer::Waits {
                position,
                displaced,
                ..
            } => (position, displaced),
            Offer::Refused(reason) => panic!("refused: {reason}"),
        }
    }

    fn refused(&mut self, ask: &Ask, now: Moment) -> ShedReason {
        match self.offer(ask, now) {
            Offer::Refused(reason) => reason,
            waits @ Offer::Waits { .. } => panic!("not refused: {waits:?}"),
        }
    }

    fn pop(&mut self, now: Moment) -> Option<u32> {
        self.line
            .pop(&self.shares, 10, Place::Steady, now)
            .map(|next| next.token)
    }

    fn drain(&mut self, now: Moment) -> Vec<u32> {
        std::iter::from_fn(|| self.pop(now)).collect()
    }
}

#[test]
fn the_higher_class_goes_first_and_second_tries_after_first_ones() {
    use Priority::{Critical, High, Low, Normal};
    let mut bench = Bench::new(64);
    for priority in [Low, Normal, Critical] {
        bench.waits(&ask(priority), at(0));
    }
    let again = Ask {
        retry: true,
        ..ask(Normal)
    };
    bench.waits(&again, at(1));
    for priority in [Normal, High] {
        bench.waits(&ask(priority), at(2));
    }
    assert_eq!(bench.drain(at(3)), [3, 6, 2, 5, 4, 1]);
}

#[test]
fn who_would_wait_too_long_is_refused_on_arrival() {
    let mut bench = Bench::new(64);
    for _ in 0..=10 {
        bench.waits(&ask(Priority::Normal), at(0)); // the eleventh waits for ten: 100 ms
    }
    assert_eq!(
        bench.refused(&ask(Priority::Normal), at(0)),
        ShedReason::QueueFull
    );
    assert_eq!(bench.line.len(), 11);
}

/// Somebody always waits, for so long; one goes each 10 ms.
fn stands(bench: &mut Bench, millis: u64) {
    bench.waits(&ask(Priority::Normal), at(0));
    for n in 1..=millis / 10 {
        bench.waits(&ask(Priority::Normal), at(n * 10));
        bench.pop(at(n * 10));
    }
}

#[test]
fn a_queue_that_stands_and_sheds_lets_only_short_waits_in() {
    let mut bench = Bench::new(64);
    stands(&mut bench, 600);
    for _ in 0..10 {
        bench.waits(&ask(Priority::Normal), at(600)); // as long as it stands and all are served
    }
    assert_eq!(
        bench.refused(&ask(Priority::Normal), at(600)),
        ShedReason::QueueFull
    );
    for _ in 0..8 {
        bench.pop(at(600));
    }
    assert_eq!(
        bench.refused(&ask(Priority::Normal), at(601)),
        ShedReason::QueueFull
    );
    // Another class has a clock of its own.
    bench.waits(&ask(Priority::High), at(601));
    bench.drain(at(601));
    for _ in 0..=10 {
        bench.waits(&ask(Priority::Normal), at(602));
    }
}

#[test]
fn a_queue_that_nobody_bounded_in_number_follows_its_drain() {
    let mut bench = Bench::new(4);
    bench.line = Line::new(&QueuePlan {
        stretch: Stretch::WithDrain,
        ..plan(4)
    });
    for _ in 0..=10 {
        bench.waits(&ask(Priority::Normal), at(0)); // 100 a second: ten in 100 ms
    }
    assert_eq!(
        bench.refused(&ask(Priority::Normal), at(0)),
        ShedReason::QueueFull
    );
}

#[test]
fn a_deadline_counts_what_the_request_itself_takes() {
    let mut bench = Bench::new(64);
    for _ in 0..2 {
        bench.waits(&ask(Priority::Normal), at(0));
    }
    let hurried = |left| Ask {
        deadline: Some(at(left)),
        ..ask(Priority::Normal)
    };
    assert_eq!(
        bench.refused(&hurried(49), at(0)),
        ShedReason::DeadlineUnmeetable
    );
    bench.waits(&hurried(50), at(0)); // 20 ms of waiting, 30 ms of work
}

#[test]
fn a_higher_class_puts_out_the_youngest_of_the_lowest() {
    let mut bench = Bench::new(3);
    for priority in [Priority::Low, Priority::Low, Priority::Normal] {
        bench.waits(&ask(priority), at(0));
    }
    assert_eq!(bench.waits(&ask(Priority::High), at(1)).1, Some(2));
    assert_eq!(bench.waits(&ask(Priority::High), at(1)).1, Some(1));
    assert_eq!(
        bench.refused(&ask(Priority::Normal), at(1)),
        ShedReason::QueueFull
    );
    assert_eq!(bench.drain(at(1)), [4, 5, 3]);
}

#[test]
fn a_class_that_always_waits_gets_one_place_in_a_hundred() {
    let mut bench = Bench::new(64);
    bench.waits(&ask(Priority::Low), at(0));
    let mut at_last = None;
    for n in 0..200 {
        bench.waits(&ask(Priority::Critical), at(0));
        if bench.pop(at(0)) == Some(1) {
            at_last = Some(n);
            break;
        }
    }
    assert_eq!(at_last, Some(99));
}

#[test]
fn a_route_with_less_than_its_share_goes_before_all_and_lends_it_otherwise() {
    let mut bench = Bench::new(64);
    bench.shares.set(&[0, 200]);
    let own = Ask {
        route: RouteNumber::new(1, 1),
        ..ask(Priority::Low)
    };
    let next = |bench: &mut Bench| {
        let next = bench
            .line
            .pop(&bench.shares, 10, Place::Steady, at(0))
            .unwrap();
        bench.shares.enter(next.route.group);
        next.route.group
    };
    for _ in 0..4 {
        bench.waits(&own, at(0));
        bench.waits(&ask(Priority::Critical), at(0));
    }
    // A fifth of ten places is two; then strictly by class.
    assert_eq!([(); 6].map(|()| next(&mut bench)), [1, 1, 0, 0, 0, 0]);
    assert_eq!(next(&mut bench), 1, "what nobody else wants is lent");
}

#[test]
fn who_waited_in_vain_is_told_so_when_its_turn_comes() {
    let mut bench = Bench::new(64);
    bench.waits(&ask(Priority::Normal), at(0));
    let next = bench
        .line
        .pop(&bench.shares, 10, Place::Steady, at(121))
        .unwrap();
    assert_eq!(next.expired, Some(ShedReason::QueueTimeout));
}

#[test]
fn who_waited_past_its_deadline_is_told_of_that() {
    let mut bench = Bench::new(64);
    let deadline = Some(at(50));
    bench.waits(
        &Ask {
            deadline,
            ..ask(Priority::Normal)
        },
        at(0),
    );
    let pop = |bench: &mut Bench| bench.line.pop(&bench.shares, 10, Place::Steady, at(51));
    let next = pop(&mut bench).unwrap();
    assert_eq!(next.expired, Some(ShedReason::DeadlineUnmeetable));
    // A deadline that came later, with a config, is one too.
    bench.waits(&ask(Priority::Normal), at(0));
    let late = bench.line.hurry(0, Duration::from_millis(50), at(10));
    assert!(late.is_empty());
    let next = pop(&mut bench).unwrap();
    assert_eq!(next.expired, Some(ShedReason::DeadlineUnmeetable));
}

#[test]
fn who_leaves_is_found_wherever_it_stands_and_only_once() {
    let mut bench = Bench::new(64);
    let (first, _) = bench.waits(&ask(Priority::Low), at(0));
    bench.waits(&ask(Priority::High), at(0));
    assert_eq!(bench.line.remove(first), Some(1));
    assert_eq!(bench.line.remove(first), None);
    assert_eq!(bench.line.waiting(Priority::Low), 0);
    assert_eq!(bench.drain(at(1)), [2]);
}

#[test]
fn a_smaller_queue_puts_the_newest_of_the_lowest_class_out() {
    let mut bench = Bench::new(9);
    for priority in [Priority::Low, Priority::High, Priority::Low, Priority::High] {
        bench.waits(&ask(priority), at(0));
    }
    let mut put_out = || bench.line.bound(&plan(1), at(0));
    assert_eq!(
        [put_out(), put_out(), put_out(), put_out()],
        [Some(3), Some(1), Some(4), None]
    );
}

#[test]
fn without_a_queue_nobody_waits() {
    let mut bench = Bench::new(0);
    assert_eq!(
        bench.refused(&ask(Priority::Critical), at(0)),
        ShedReason::ConcurrencyExceeded
    );
}

#[test]
fn who_is_shed_is_told_to_stay_away_the_longer_the_more_are_shed() {
    let mut bench = Bench::new(64);
    let mut rng = SmallRng::seed_from_u64(1);
    let normal = ask(Priority::Normal);
    assert!(bench.line.retry_after(&normal, &mut rng) < Duration::from_secs(2));
    for n in 0..3000_u64 {
        bench.offer(&normal, at(n));
        if n % 10 == 0 {
            bench.pop(at(n));
        }
    }
    assert!(bench.line.retry_after(&normal, &mut rng) > Duration::from_secs(8));
    let critical = ask(Priority::Critical);
    assert!(bench.line.retry_after(&critical, &mut rng) < Duration::from_secs(2));
}

/// One tenant at fifty times its share, ten others below it.
#[test]
fn a_heavy_tenant_takes_nothing_from_the_light_ones() {
    let mut bench = Bench::new(64);
    let of = |tenant: u64| Ask {
        tenant: tenant.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        ..ask(Priority::Normal)
    };
    let mut light_refused = 0;
    for tick in 0..2000_u64 {
        let now = at(tick * 10);
        for _ in 0..5 {
            bench.offer(&of(99), now);
        }
        if tick % 2 == 0 && matches!(bench.offer(&of(1 + tick / 2 % 10), now), Offer::Refused(_)) {
            light_refused += 1;
        }
        bench.pop(now); // one place each 10 ms, and 5.5 times as many who want one
    }
    assert_eq!(light_refused, 0, "of 1000");
}
