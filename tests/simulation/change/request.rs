//! One request, on the road that `proxy` takes: rate limits, a place, a try or two, the end told to all.

use std::{net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use http::HeaderMap;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidegate::{
    admission::{self, Denied, Gate, Load, Outcome, Permit, Pick, RateSubject, Wish},
    config::QueuePlan,
    fault::ShedReason,
    health::{self, Change, Checked, Ended},
    pool::{Endpoint, Seats},
    snapshot::{Besides, Snapshot, UpstreamLive},
};
use tokio::time::{Instant, sleep};

use super::{buckets::Buckets, faults::Faults, hosts::Moods, tally::Tally};

/// How many clients there are.
pub(super) const CLIENTS: u8 = 5;

/// What requests share.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) buckets: Arc<Mutex<Buckets>>,
    pub(super) tally: Arc<Mutex<Tally>>,
    pub(super) moods: Moods,
    pub(super) faults: Faults,
}

/// Why a request was not served, where the gateway says so.
struct Refused<'a> {
    denied: Denied,
    waited: Duration,
    deadline: Instant,
    live: &'a UpstreamLive,
    /// In force when it came; `None` where the upstream was named no more.
    queue: Option<QueuePlan>,
}

// === impl Clients ===

impl Clients {
    /// A request whose chances follow from `seed`.
    pub(super) async fn send(self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let patience = if rng.random_bool(0.15) {
            Duration::from_millis(rng.random_range(1..600))
        } else {
            Duration::from_secs(3600)
        };
        tokio::select! {
            biased; // who is served in the same instant did not leave
            () = self.road(&mut rng) => {}
            () = sleep(patience) => {} // the client leaves
        }
    }

    async fn road(&self, rng: &mut StdRng) {
        let now = Instant::now();
        let snapshot = self.snapshot.load_full();
        self.buckets.lock().follow(&snapshot, now);
        let route = &snapshot.routes[rng.random_range(0..snapshot.routes.len())];
        let name = &route.plan.name;
        let client = IpAddr::from([10, 0, 0, rng.random_range(1..=CLIENTS)]);
        let headers = HeaderMap::new();
        let subject = RateSubject {
            client,
            headers: &headers,
        };
        let charge = match admission::charge(&route.limits, &subject, now, |_| {}) {
            Ok(charge) => charge,
            Err(refusal) => {
                let bucket = refusal.bucket.expect("a rate limit names its bucket");
                let told = self.buckets.lock().refused(name, &bucket.name, client, now);
                self.faults.check(told);
                return;
            }
        };
        let taken = self.buckets.lock().passed(name, &route.limits, client, now);
        let taken = self.faults.check(taken);
        if route.targets.is_empty() {
            return;
        }
        let target = &route.targets[rng.random_range(0..route.targets.len())];
        let live = &snapshot.upstreams[target.upstream];
        let deadline = now + route.plan.timeout.unwrap_or(Duration::from_secs(60));
        let wish = Wish {
            priority: route.plan.priority,
            route: target.route,
            tenant: admission::tenant_of(&route.plan.tenant, client, &headers),
            deadline: Some(deadline),
            retry: false,
        };
        if let Ok(permit) = self.place(live, &wish, &[], deadline).await {
            self.tries(live, permit, &wish, deadline, rng).await;
        } else {
            charge.refund();
            if let Some(taken) = taken {
                let (newest, now) = (self.snapshot.load_full(), Instant::now());
                let mut buckets = self.buckets.lock();
                buckets.follow(&newest, now); // a limit that changed in this instant did so before
                buckets.give_back(taken, now);
            }
        }
    }

    /// A place at an endpoint that is not in `tried`, or word of why there is none.
    async fn place(
        &self,
        live: &UpstreamLive,
        wish: &Wish,
        tried: &[usize],
        deadline: Instant,
    ) -> Result<Permit, ()> {
        let picks = Besides {
            roster: &live.roster,
            tried,
        };
        let came = Instant::now();
        let newest = self.snapshot.load_full();
        let newest = newest.upstream_named(&live.plan.name);
        let queue = newest.map(|live| live.plan.concurrency.queue);
        self.tally.lock().arrives(&live.gate, came);
        let waiting = Tally::waits(&self.tally, &live.gate);
        let admitted = if tried.is_empty() {
            live.gate.admit(wish, &*live.roster).await
        } else {
            live.gate.admit(wish, &picks).await
        };
        drop(waiting);
        let waited = came.elapsed();
        match admitted {
            Ok(permit) => {
                self.faults.check(self.chosen(live, permit.seat(), waited));
                Ok(permit)
            }
            Err(denied) => {
                let refused = Refused {
                    denied,
                    waited,
                    deadline,
                    live,
                    queue,
                };
                self.faults.check(self.has_a_reason(&refused));
                Err(())
            }
        }
    }

    async fn tries(
        &self,
        live: &UpstreamLive,
        permit: Permit,
        wish: &Wish,
        deadline: Instant,
        rng: &mut StdRng,
    ) {
        let _live = live.budget.begin();
        let seat = permit.seat();
        if self.attempt(live, permit, deadline, rng).await || Instant::now() >= deadline {
            return;
        }
        let Some(_lent) = live.budget.try_retry(Load::Bearable) else {
            return;
        };
        let wish = Wish {
            retry: true,
            ..*wish
        };
        if let Ok(permit) = self.place(live, &wish, &[seat], deadline).await {
            self.attempt(live, permit, deadline, rng).await;
        }
    }

    /// One try. True: it succeeded.
    async fn attempt(
        &self,
        live: &UpstreamLive,
        mut permit: Permit,
        deadline: Instant,
        rng: &mut StdRng,
    ) -> bool {
        let _held = Tally::holds(&self.tally, &live.gate);
        let seat = &live.seats.as_slice()[permit.seat()];
        let _running = seat.endpoint.enter();
        let began = Instant::now();
        permit.sent();
        let (takes, fails) = self.moods.ask(seat.endpoint.id.address, rng);
        let left = deadline.saturating_duration_since(Instant::now());
        sleep(takes.min(left)).await;
        let (now, fails) = (Instant::now(), fails || takes > left);
        let outcome = if fails {
            seat.endpoint.failed(now);
            permit.answered(Outcome::Dropped);
            health::Outcome::RemoteFailure
        } else {
            seat.endpoint.answered(takes, now);
            permit.answered(Outcome::Succeeded { took: takes });
            health::Outcome::Success
        };
        let ejection = live.plan.ejection.as_ref();
        let ended = Ended {
            outcome,
            failed: None,
            took: (!fails).then_some(takes),
            began,
        };
        let change = live.seats.report(&seat.endpoint, &ended, ejection, now);
        if let Some(change) = change {
            self.faults.moved(&seat.endpoint.id, now);
            if matches!(change, Change::Ejected { .. }) {
                self.faults.check(self.cap_holds(&seat.endpoint, now));
            }
        }
        if !fails {
            sleep(Duration::from_millis(rng.random_range(0..40))).await; // its body
        }
        !fails
    }

    /// Whoever was chosen is not out, unless all are or all are to be used.
    fn chosen(&self, live: &UpstreamLive, seat: usize, waited: Duration) -> Result<(), String> {
        let now = Instant::now();
        let endpoint = &live.seats.as_slice()[seat].endpoint;
        let able = able(&live.seats, now);
        if !is_out(endpoint, now) || able == 0 || panics(live, now) {
            return Ok(());
        }
        // Who waited, be it for no time, was given its place by the newest picks, which may panic.
        let newest = self.snapshot.load_full();
        let newest = newest.upstream_named(&live.plan.name);
        let newest_may =
            newest.is_none_or(|newest| panics(newest, now) || !has(&newest.seats, endpoint));
        // It got its place a moment before it looks; or, through the line, earlier in this instant.
        let just_went = !waited.is_zero() && !self.faults.is_long_out(&endpoint.id, now)
            || endpoint.health.view(now).since == Some(Duration::ZERO);
        if newest_may || just_went {
            return Ok(());
        }
        Err(format!(
            "{} was chosen while it was out and {able} others were not (waited {waited:?})",
            endpoint.id
        ))
    }

    /// The newest endpoints, of which `ejected` is one now: at most a third of them is ejected, or one, and never the
    /// last that can serve. One that has left the set takes nothing away from those that stayed.
    fn cap_holds(&self, ejected: &Endpoint, now: Instant) -> Result<(), String> {
        let newest = self.snapshot.load_full();
        let name = &ejected.id.upstream;
        let Some(live) = newest
            .upstream_named(name)
            .filter(|live| has(&live.seats, ejected))
        else {
            return Ok(());
        };
        let health = || {
            live.seats
                .as_slice()
                .iter()
                .map(|seat| &seat.endpoint.health)
        };
        let ejected = health().filter(|health| health.is_ejected(now)).count();
        let serving = health().filter(|health| health.can_serve(now)).count();
        let (total, most) = (health().count(), (health().count() / 3).max(1));
        if ejected > most || (serving == 0 && total > 0) {
            return Err(format!(
                "of {total} endpoints of {name:?} {ejected} are ejected now, and {serving} can serve"
            ));
        }
        Ok(())
    }

    /// Nobody is refused because of a change.
    fn has_a_reason(&self, refused: &Refused<'_>) -> Result<(), String> {
        let Refused {
            denied,
            waited,
            deadline,
            live,
            queue,
        } = refused;
        let now = Instant::now();
        let gate: &Arc<Gate> = &live.gate;
        let fine = match denied {
            Denied::DeadlinePast => now >= *deadline,
            Denied::NoEndpoint => !live.roster.can_serve(),
            Denied::Refused(refusal) => match refusal.reason {
                ShedReason::ConcurrencyExceeded => {
                    queue.as_ref().is_none_or(|queue| queue.max_waiting == 0)
                }
                ShedReason::QueueTimeout => queue
                    .as_ref()
                    .is_none_or(|queue| *waited + Duration::from_millis(1) >= queue.max_wait),
                ShedReason::DeadlineUnmeetable => true,
                ShedReason::QueueFull => {
                    let newest = self.snapshot.load_full();
                    let newest = newest.upstream_named(&live.plan.name);
                    let most =
                        newest.map_or(u32::MAX, |live| live.plan.concurrency.queue.max_waiting);
                    self.tally.lock().may_be_full(gate, *waited, most, now)
                }
                ShedReason::RateExceeded | ShedReason::ProcessPressure => false,
            },
        };
        if fine {
            return Ok(());
        }
        Err(format!(
            "refused for no reason of its own after {waited:?}: {denied:?}, {:?}, {queue:?}",
            gate.view()
        ))
    }
}

/// Whether it fails its checks or is ejected, by what its state machine says; the picks read what that has published.
fn is_out(endpoint: &Endpoint, now: Instant) -> bool {
    let view = endpoint.health.view(now);
    view.checked == Checked::Down || view.ejected_for.is_some()
}

fn able(seats: &Seats, now: Instant) -> usize {
    let seats = seats.as_slice().iter();
    seats.filter(|seat| !is_out(&seat.endpoint, now)).count()
}

fn has(seats: &Seats, endpoint: &Endpoint) -> bool {
    let mut seats = seats.as_slice().iter();
    seats.any(|seat| seat.endpoint.id == endpoint.id)
}

/// Whether so few can serve that all are to be used.
#[expect(
    clippy::cast_precision_loss,
    reason = "a share of a number of endpoints"
)]
fn panics(live: &UpstreamLive, now: Instant) -> bool {
    let total = live.seats.as_slice().len();
    (able(&live.seats, now) as f64) < live.plan.panic_threshold * total as f64
}
