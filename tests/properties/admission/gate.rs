//! Any sequence of coming, leaving, finishing, waiting and reloading, against a gate under paused time.

use std::{
    collections::HashSet,
    future::Future,
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use proptest::prelude::*;
use tidegate::{
    admission::{Denied, Gate, Outcome, Permit, RouteNumber, Wish},
    config::{ConcurrencyMode, ConcurrencyPlan, QueuePlan, Stretch},
    fault::ShedReason,
    names::{EndpointId, Priority},
    telemetry::Events,
};
use tokio::time::Instant;

use crate::only::Only;

#[derive(Debug, Clone)]
enum Step {
    Come {
        priority: usize,
        deadline_ms: Option<u64>,
    },
    Cancel(usize),
    Finish(usize),
    Reshape {
        limit: u32,
        max_waiting: u32,
    },
    Advance {
        ms: u64,
    },
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_usize, proptest::option::of(0..60_u64))
            .prop_map(|(priority, deadline_ms)| Step::Come { priority, deadline_ms }),
        2 => (0..20_usize).prop_map(Step::Cancel),
        3 => (0..20_usize).prop_map(Step::Finish),
        1 => (0..6_u32, 0..6_u32)
            .prop_map(|(limit, max_waiting)| Step::Reshape { limit, max_waiting }),
        1 => (0..40_u64).prop_map(|ms| Step::Advance { ms }),
        2 => Just(Step::Look),
    ]
}

fn only() -> EndpointId {
    EndpointId::new("up".into(), ([127, 0, 0, 1], 1).into())
}

fn gate(plan: &ConcurrencyPlan) -> Arc<Gate> {
    let gate = Arc::new(Gate::new(plan, Events::default()));
    let picks = Only(gate.lane(&only()));
    gate.follow(Arc::new(picks), &HashSet::from([&only()]));
    gate
}

type Admitted = Result<Permit, Denied>;
type Admission = Pin<Box<dyn Future<Output = Admitted> + Send>>;

/// The gate, and everyone who wants something of it.
struct World {
    gate: Arc<Gate>,
    waiting: Vec<(Priority, Admission)>,
    permits: Vec<Permit>,
    max_waiting: u32,
    /// Most that may be in flight: the limit, or what was in flight when it shrank.
    ceiling: u32,
}

const MAX_WAIT: Duration = Duration::from_millis(50);

fn plan(limit: u32, max_waiting: u32) -> ConcurrencyPlan {
    ConcurrencyPlan {
        mode: NonZeroU32::new(limit).map_or(ConcurrencyMode::Off, ConcurrencyMode::Fixed),
        shadow: false,
        queue: QueuePlan {
            stretch: Stretch::Never,
            max_waiting,
            max_wait: MAX_WAIT,
        },
    }
}

impl World {
    fn new(limit: u32, max_waiting: u32) -> Self {
        Self {
            gate: gate(&plan(limit, max_waiting)),
            max_waiting,
            waiting: Vec::new(),
            permits: Vec::new(),
            ceiling: ceiling(limit),
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Come {
                priority,
                deadline_ms,
            } => self.come(Priority::ALL[priority], deadline_ms),
            Step::Cancel(index) => drop(take(&mut self.waiting, index)),
            Step::Finish(index) => {
                if let Some(permit) = take(&mut self.permits, index) {
                    permit.end(Outcome::Dropped);
                }
            }
            Step::Reshape { limit, max_waiting } => {
                self.gate.reshape(&plan(limit, max_waiting));
                self.max_waiting = max_waiting;
                self.ceiling = ceiling(limit).max(self.gate.view().in_flight);
            }
            Step::Advance { ms } => tokio::time::advance(Duration::from_millis(ms)).await,
            Step::Look => self.look(),
        }
        // A shrunken limit is met from above, and not left again.
        let view = self.gate.view();
        self.ceiling = view
            .limit
            .unwrap_or(u32::MAX)
            .max(view.in_flight.min(self.ceiling));
    }

    fn come(&mut self, priority: Priority, deadline_ms: Option<u64>) {
        let gate = Arc::clone(&self.gate);
        let deadline = deadline_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        let past = deadline_ms == Some(0);
        let mut coming: Admission = Box::pin(async move {
            let wish = Wish {
                priority,
                route: RouteNumber::default(),
                tenant: 0,
                deadline,
                retry: false,
            };
            let picks = Only(gate.lane(&only()));
            gate.admit(&wish, &picks).await
        });
        match coming
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Pending => self.waiting.push((priority, coming)),
            Poll::Ready(admitted) => {
                assert_eq!(past, matches!(admitted, Err(Denied::DeadlinePast)));
                self.note(admitted);
            }
        }
    }

    /// Polls everyone who waits, in any case once.
    fn look(&mut self) {
        for (priority, mut waiting) in std::mem::take(&mut self.waiting) {
            match waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                Poll::Pending => self.waiting.push((priority, waiting)),
                Poll::Ready(admitted) => self.note(admitted),
            }
        }
    }

    fn note(&mut self, admitted: Admitted) {
        match admitted {
            Ok(permit) => self.permits.push(permit),
            Err(Denied::Refused(refusal)) => {
                assert!(refusal.retry_after >= Duration::from_secs(1));
                assert_ne!(refusal.reason, ShedReason::RateExceeded);
            }
            Err(denied) => assert_eq!(denied, Denied::DeadlinePast),
        }
    }

    fn check(&self) {
        let view = self.gate.view();
        let (waiting, permits) = (self.waiting.len(), self.permits.len());
        assert!(
            view.in_flight <= self.ceiling,
            "{view:?} above {}",
            self.ceiling
        );
        assert!(view.waiting <= self.max_waiting, "{view:?}");
        // A place that was handed to someone who has not looked yet is in flight already.
        assert!(
            view.in_flight as usize >= permits,
            "{view:?} with {permits} permits"
        );
        assert!(
            view.waiting as usize <= waiting,
            "{view:?} with {waiting} who wait"
        );
        assert!(
            (view.in_flight + view.waiting) as usize <= permits + waiting,
            "{view:?}"
        );
        let limit = view.limit.unwrap_or(u32::MAX);
        assert!(
            view.waiting == 0 || view.in_flight >= limit,
            "waits for nothing: {view:?}"
        );
    }

    /// Once everyone has looked, the gate's books are ours.
    fn settle(&mut self) {
        self.look();
        let view = self.gate.view();
        assert_eq!(view.in_flight as usize, self.permits.len());
        assert_eq!(view.waiting as usize, self.waiting.len());
    }
}

fn ceiling(limit: u32) -> u32 {
    if limit == 0 { u32::MAX } else { limit }
}

fn take<T>(from: &mut Vec<T>, index: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(index % from.len()))
}

fn paused(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

proptest! {
    #[test]
    fn permits_balance_whatever_happens(
        limit in 0..6_u32,
        max_waiting in 0..6_u32,
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        paused(async {
            let mut world = World::new(limit, max_waiting);
            for step in steps {
                world.step(step).await;
                world.check();
            }
            world.settle();
            world.permits.clear();
            world.check();
            world.waiting.clear();
            let view = world.gate.view();
            assert_eq!((view.in_flight, view.waiting), (0, 0));
        });
    }

    #[test]
    fn whoever_still_waits_gets_a_place_or_a_reason(
        classes in proptest::collection::vec(0..4_usize, 1..30),
        max_waiting in 1..8_u32,
    ) {
        paused(async {
            let mut world = World::new(1, max_waiting);
            for class in classes {
                world.come(Priority::ALL[class], None);
            }
            world.look();
            // One place going round: strictly the higher class first.
            let mut before = Priority::Critical;
            while let Some(permit) = world.permits.pop() {
                let best = world.waiting.iter().map(|(priority, _)| *priority).min();
                drop(permit);
                let waited = world.waiting.len();
                world.look();
                if let Some(best) = best {
                    assert!(best >= before);
                    before = best;
                    assert_eq!(world.waiting.len(), waited - 1);
                    let left = world.waiting.iter().filter(|(priority, _)| *priority < best);
                    assert_eq!(left.count(), 0);
                }
            }
            assert!(world.waiting.is_empty());
            tokio::time::advance(MAX_WAIT).await;
            assert_eq!(world.gate.view().in_flight, 0);
        });
    }
}
