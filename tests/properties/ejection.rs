//! Ejection under random traffic: the cap holds, one that can serve remains, one request at a time tries who was out,
//! and no ejection is for ever.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use proptest::prelude::*;
use tidegate::{
    admission::{Gate, Outcome as Told, Permit, Wish},
    balance::Turns,
    config::{
        BalancePolicy, ConcurrencyMode, ConcurrencyPlan, EjectionPlan, QueuePlan, Stretch,
        SuccessRatePlan,
    },
    health::{Ended, Outcome},
    names::{EndpointId, Priority},
    pool::{Registry, Seat, Seats},
    snapshot::Roster,
    telemetry::Events,
};
use tokio::time::Instant;

/// Something happens.
#[derive(Debug, Clone)]
enum Event {
    /// A request asks for a place.
    Comes,
    /// One of those that run ends so.
    Ends(prop::sample::Index, Outcome),
    /// The client of one of those that run leaves.
    Leaves(prop::sample::Index),
    /// Time passes, in milliseconds.
    Passes(u64),
    /// Windows are compared.
    Compared,
}

/// A request that runs.
struct Running {
    permit: Permit,
    began: Instant,
    /// Its endpoint was on trial, and others could serve.
    tries: bool,
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        3 => Just(Outcome::RemoteFailure),
        2 => Just(Outcome::LocalFailure),
        1 => Just(Outcome::Ignored),
    ];
    prop_oneof![
        8 => Just(Event::Comes),
        8 => (any::<prop::sample::Index>(), outcome).prop_map(|(at, how)| Event::Ends(at, how)),
        1 => any::<prop::sample::Index>().prop_map(Event::Leaves),
        2 => (0..400_u64).prop_map(Event::Passes),
        1 => Just(Event::Compared),
    ]
}

fn plan() -> EjectionPlan {
    let count = |n| NonZeroU32::new(n).unwrap();
    EjectionPlan {
        consecutive_failures: count(2),
        consecutive_local_failures: count(1),
        interval: Duration::from_secs(1),
        success_rate: Some(SuccessRatePlan {
            minimum_requests: count(4),
            margin: 0.2,
        }),
        latency: None,
        base_time: Duration::from_millis(200),
        max_time: Duration::from_millis(900),
    }
}

struct World {
    gate: Arc<Gate>,
    seats: Arc<Seats>,
    roster: Roster,
    running: Vec<Running>,
}

impl World {
    fn new(endpoints: u16) -> Self {
        let registry = Registry::new();
        let seats = (1..=endpoints).map(|port| {
            let id = EndpointId::new("up".into(), ([10, 0, 0, 1], port).into());
            Seat::new(registry.get_or_new(&id), NonZeroU32::MIN, None)
        });
        let seats = Arc::new(Seats::new(seats, 0.0, Duration::ZERO));
        let queue = QueuePlan {
            stretch: Stretch::Never,
            max_waiting: 0,
            max_wait: Duration::ZERO,
        };
        let concurrency = ConcurrencyPlan {
            mode: ConcurrencyMode::Off,
            queue,
            shadow: false,
        };
        let gate = Arc::new(Gate::new(&concurrency, Events::default()));
        let ids = seats.as_slice().iter().map(|seat| &seat.endpoint.id);
        let lanes = ids.map(|id| gate.lane(id)).collect();
        let turn = Arc::new(Turns::default());
        let roster = Roster::new(Arc::clone(&seats), lanes, BalancePolicy::LeastRequest, turn);
        Self {
            gate,
            seats,
            roster,
            running: Vec::new(),
        }
    }

    fn comes(&mut self) {
        let wish = Wish {
            priority: Priority::Normal,
            route: tidegate::admission::RouteNumber::default(),
            tenant: 0,
            deadline: None,
            retry: false,
        };
        if let Some(permit) = self.gate.try_admit(&wish, &self.roster) {
            let now = Instant::now();
            let tries = self.seats.at(now).share(permit.seat()) <= 0.0;
            self.running.push(Running {
                permit,
                began: now,
                tries,
            });
        }
    }

    fn ends(&mut self, at: usize, outcome: Outcome) {
        let Running { permit, began, .. } = self.running.swap_remove(at);
        let seat = self.seats.get(permit.seat()).unwrap();
        let ended = Ended {
            outcome,
            failed: None,
            took: None,
            began,
        };
        self.seats
            .report(&seat.endpoint, &ended, Some(&plan()), Instant::now());
        permit.end(Told::Ignored);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (now, all) = (Instant::now(), self.seats.as_slice());
        let out = |seat: &&Seat| {
            let health = &seat.endpoint.health;
            health.is_ejected(now) || health.on_trial(now)
        };
        let most = (all.len() / 3).max(1);
        prop_assert!(
            all.iter().filter(out).count() <= most,
            "more than {most} out"
        );
        prop_assert!(!all.iter().all(|seat| out(&seat)), "nobody is left");
        for (index, seat) in all.iter().enumerate() {
            let here = self.running.iter().filter(|one| one.permit.seat() == index);
            let tries = here.filter(|one| one.tries).count();
            prop_assert!(tries <= 1, "{tries} try {}", seat.endpoint.id);
        }
        Ok(())
    }
}

async fn run(endpoints: u16, events: Vec<Event>) -> Result<(), TestCaseError> {
    let mut world = World::new(endpoints);
    for event in events {
        match event {
            Event::Comes => world.comes(),
            Event::Ends(..) | Event::Leaves(_) if world.running.is_empty() => {}
            Event::Ends(at, outcome) => world.ends(at.index(world.running.len()), outcome),
            Event::Leaves(at) => {
                drop(world.running.swap_remove(at.index(world.running.len())));
            }
            Event::Passes(millis) => tokio::time::advance(Duration::from_millis(millis)).await,
            Event::Compared => {
                world.seats.compare(&plan(), Instant::now());
            }
        }
        world.check()?;
    }
    // Whoever is out comes back: by time, then by one request that succeeds.
    tokio::time::advance(plan().max_time).await;
    world.running.clear();
    for _ in 0..1000 {
        world.comes();
        while !world.running.is_empty() {
            world.ends(0, Outcome::Success);
        }
    }
    let now = Instant::now();
    for seat in world.seats.as_slice() {
        let health = &seat.endpoint.health;
        prop_assert!(
            health.can_serve(now) && !health.on_trial(now),
            "out for ever"
        );
    }
    prop_assert_eq!(world.gate.view().in_flight, 0);
    Ok(())
}

proptest! {
    #[test]
    fn the_cap_holds_one_remains_one_tries_and_all_come_back(
        endpoints in 1..8_u16,
        events in prop::collection::vec(event(), 0..300),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(endpoints, events))?;
    }
}
