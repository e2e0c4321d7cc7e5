//! What a refusal promises: who comes back when it says is let in about as soon as one who asks each second.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tidegate::{
    admission::{Arrived, Ask, Core, Lane, Moment, Place, RouteNumber, Told},
    config::{QueuePlan, Stretch},
    names::{EndpointId, Priority},
};

use crate::only::Only;

/// Eight places of 20 ms each: 400 requests a second.
struct Service {
    core: Core<u64>,
    only: Arc<Only>,
    ends: BinaryHeap<Reverse<u64>>,
    held: std::collections::HashMap<u64, Place>,
    rng: SmallRng,
}

impl Service {
    fn new() -> Self {
        let core = Core::new(&QueuePlan {
            stretch: Stretch::Never,
            max_waiting: 64,
            max_wait: Duration::from_millis(100),
        });
        let id = EndpointId::new("up".into(), ([127, 0, 0, 1], 1).into());
        let only = Arc::new(Only(Arc::new(Lane::new(id, Duration::ZERO, 1))));
        core.cap(Some(8), false, Moment::ZERO, &mut Told::new());
        core.follow(Arc::clone(&only) as _, Moment::ZERO, &mut Told::new());
        Self {
            core,
            only,
            ends: BinaryHeap::new(),
            held: std::collections::HashMap::new(),
            rng: SmallRng::seed_from_u64(7),
        }
    }

    fn works(&mut self, place: Place, now: u64) {
        let took = (-20_000.0 * (1.0 - self.rng.random::<f64>()).ln()) as u64;
        let mut end = now + took;
        while self.held.contains_key(&end) {
            end += 1;
        }
        self.held.insert(end, place);
        self.ends.push(Reverse(end));
    }

    /// Whether one that comes at `now` is let in, at once or after its turn; else when it should come back.
    fn comes(&mut self, now: u64) -> Result<(), Duration> {
        let ask = Ask {
            priority: Priority::Normal,
            retry: false,
            route: RouteNumber::default(),
            tenant: 0,
            deadline: None,
        };
        let mut told = Told::new();
        let only = Arc::clone(&self.only);
        let moment = Moment::from_micros(now);
        let arrived = self.core.arrive(&ask, &*only, moment, || now, &mut told);
        self.told(told, now);
        match arrived {
            Arrived::Entered(place) => {
                self.works(place, now);
                Ok(())
            }
            Arrived::Waits(_) => Ok(()),
            _ => Err(self.core.retry_after(&ask, &mut self.rng)),
        }
    }

    fn until(&mut self, now: u64) {
        while let Some(Reverse(end)) = self.ends.peek().copied().filter(|Reverse(end)| *end <= now)
        {
            self.ends.pop();
            let mut told = Told::new();
            if let Some(mut place) = self.held.remove(&end) {
                let took = Duration::from_millis(20);
                let outcome = tidegate::admission::Outcome::Succeeded { took };
                self.core
                    .answered(&mut place, outcome, Moment::from_micros(end));
                self.core.leave(place, Moment::from_micros(end), &mut told);
            }
            self.told(told, end);
        }
    }

    fn told(&mut self, told: Told<u64>, now: u64) {
        for (_, answer) in told {
            if let Ok(place) = answer {
                self.works(place, now);
            }
        }
    }
}

/// The mean of what refusals said and of how long one who asks each second really had to, in seconds, while so
/// many times as much is offered as can be done.
fn said_and_real(times: f64) -> (f64, f64) {
    let mut service = Service::new();
    let mut dice = SmallRng::seed_from_u64(11);
    let (mut said, mut real) = (Vec::new(), Vec::new());
    // Those who ask each second: when they began, and when they ask next.
    let mut asking: Vec<(u64, u64)> = (0..40)
        .map(|n| (5_000_000 + n * 25_000, 5_000_000 + n * 25_000))
        .collect();
    let mut next = 0.0_f64;
    while next < 60e6 {
        next += -1e6 / (400.0 * times) * (1.0 - dice.random::<f64>()).ln();
        let now = next as u64;
        service.until(now);
        if let Err(wait) = service.comes(now)
            && now > 5_000_000
        {
            said.push(wait.as_secs_f64());
        }
        for (began, asks) in &mut asking {
            if *asks <= now {
                match service.comes(now) {
                    Ok(()) => {
                        real.push((*asks - *began) as f64 / 1e6);
                        (*began, *asks) = (now + 1_000_000, now + 1_000_000);
                    }
                    Err(_) => *asks += 1_000_000,
                }
            }
        }
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / (of.len().max(1) as f64);
    // Who is let in with its first try was never refused: it is not among those who were told.
    real.retain(|wait| *wait > 0.0);
    (mean(&said), mean(&real))
}

#[test]
fn retry_after_is_about_as_long_as_it_takes_to_be_let_in() {
    for times in [1.5, 3.0, 6.0] {
        let (said, real) = said_and_real(times);
        assert!(
            said > 0.5 * real && said < 2.5 * real,
            "at {times}x: said {said:.1} s, it takes {real:.1} s"
        );
    }
}
