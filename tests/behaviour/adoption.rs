//! The adoption table (`src/snapshot/adopt.rs`), row by row: what a change of the config leaves as it was. On paused
//! time, with the ground alone; nothing here opens a socket.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use http::HeaderMap;
use parking_lot::Mutex;
use tidegate::{
    admission::{self, Denied, KeyMark, Load, Permit, RateSubject, Wish},
    config::{self, ConfigHash},
    fault::ShedReason,
    health::{Ended, HealthView, Outcome, Passed},
    names::{EndpointId, UpstreamName},
    pool::Seat,
    resolve::{AnswerState, Found, StandIn, Why},
    snapshot::{ConfigFacts, Ground, Snapshot, UpstreamLive},
    telemetry::Telemetry,
};
use tokio::{task::yield_now, time::Instant};

use crate::support::gateway::complete;

/// A ground, and what it made last.
struct Adopting {
    ground: Ground,
    snapshot: Arc<Snapshot>,
}

impl Adopting {
    fn start(text: &str) -> Self {
        Self::on(Ground::new(Telemetry::new()), text)
    }

    fn on(mut ground: Ground, text: &str) -> Self {
        let snapshot = adopt(&mut ground, text, 1);
        Self { ground, snapshot }
    }

    fn adopt(&mut self, text: &str) {
        let revision = self.snapshot.config.revision + 1;
        self.snapshot = adopt(&mut self.ground, text, revision);
    }

    fn up(&self) -> &Arc<UpstreamLive> {
        self.snapshot
            .upstream_named(&UpstreamName::from("up"))
            .expect("an upstream")
    }

    /// The seat of `10.0.0.N:80`.
    fn seat(&self, last: u8) -> &Seat {
        let mut seats = self.up().seats.as_slice().iter();
        let seat =
            seats.find(|seat| seat.endpoint.id.address.ip() == IpAddr::from([10, 0, 0, last]));
        seat.expect("a seat")
    }

    fn wish(&self) -> Wish {
        let live = Arc::clone(&self.snapshot);
        Wish {
            priority: live.routes[0].plan.priority,
            route: live.routes[0].targets[0].route,
            tenant: 0,
            deadline: None,
            retry: false,
        }
    }

    async fn place(&self) -> Result<Permit, Denied> {
        self.up().gate.admit(&self.wish(), &*self.up().roster).await
    }

    /// One that asks for a place, in a task of its own.
    fn waiter(&self) -> tokio::task::JoinHandle<Result<Permit, Denied>> {
        let (live, wish) = (Arc::clone(self.up()), self.wish());
        tokio::task::spawn(async move { live.gate.admit(&wish, &*live.roster).await })
    }

    /// How many requests of one client pass the first route's limits at once.
    fn pass(&self) -> usize {
        let headers = HeaderMap::new();
        let subject = RateSubject {
            client: IpAddr::from([10, 1, 1, 1]),
            headers: &headers,
        };
        let limits = &self.snapshot.routes[0].limits;
        let now = Instant::now();
        let charges = std::iter::from_fn(|| admission::charge(limits, &subject, now, |_| {}).ok());
        charges.take(10_000).count()
    }
}

fn adopt(ground: &mut Ground, text: &str, revision: u64) -> Arc<Snapshot> {
    let text = complete(text);
    let loaded = config::parse(&text, Path::new("/tidegate.toml"));
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    let facts = ConfigFacts {
        hash: ConfigHash::of(text.as_bytes()),
        revision,
        applied_at: std::time::SystemTime::now(),
    };
    Arc::new(ground.adopt(&loaded, facts, Instant::now()))
}

const BASE: &str = "\
[upstreams.up]
endpoints = [{ address = \"10.0.0.1:80\" }, { address = \"10.0.0.2:80\" }, { address = \"10.0.0.3:80\" }]
ejection = { consecutive_failures = 3, base_time = \"5m\" }
slow_start = \"10m\"
concurrency = { mode = \"fixed\", limit = 2, queue = { max_waiting = 10, max_wait = \"10s\" } }
[[routes]]
name = \"all\"
upstream = \"up\"
timeout = \"30s\"
[[routes.rate_limits]]
name = \"wide\"
key = \"client_ip\"
rate = \"1/h\"
burst = 8
";

/// Changes that name the same upstream and endpoints: what, from, to.
const CHANGES: &[(&str, &str, &str)] = &[
    (
        "order",
        "{ address = \"10.0.0.1:80\" }, { address = \"10.0.0.2:80\" }, { address = \"10.0.0.3:80\" }",
        "{ address = \"10.0.0.3:80\" }, { address = \"10.0.0.2:80\" }, { address = \"10.0.0.1:80\" }",
    ),
    (
        "a weight",
        "\"10.0.0.1:80\" }",
        "\"10.0.0.1:80\", weight = 9 }",
    ),
    (
        "another endpoint",
        "endpoints = [",
        "endpoints = [{ address = \"10.0.0.9:80\" }, ",
    ),
    (
        "timeouts of the upstream",
        "slow_start",
        "connect_timeout = \"3s\"\nfirst_byte_timeout = \"9s\"\nslow_start",
    ),
    ("a timeout of the route", "\"30s\"", "\"50s\""),
    (
        "the route's name",
        "name = \"all\"",
        "name = \"everything\"",
    ),
    (
        "another route before it",
        "[[routes]]\nname = \"all\"",
        "[[routes]]\nname = \"first\"\npath = \"/first\"\nupstream = \"up\"\n[[routes]]\nname = \"all\"",
    ),
    (
        "the policy",
        "slow_start",
        "balance = \"round_robin\"\nslow_start",
    ),
    ("ejection", "\"5m\"", "\"1m\""),
    (
        "checks",
        "slow_start",
        "health = { interval = \"1h\" }\nslow_start",
    ),
    ("panic", "slow_start", "panic_threshold = 0.1\nslow_start"),
    ("a limit", "burst = 8", "burst = 80"),
    ("the queue", "max_waiting = 10", "max_waiting = 5"),
    (
        "dns",
        "[upstreams.up]",
        "[dns]\nhold = \"3s\"\n[upstreams.up]",
    ),
];

fn changed(change: &(&str, &str, &str)) -> String {
    let (what, from, to) = change;
    let text = BASE.replacen(from, to, 1);
    assert_ne!(text, BASE, "{what}");
    text
}

/// A request that began now and ended so.
fn ended(outcome: Outcome) -> Ended {
    Ended {
        outcome,
        failed: None,
        took: None,
        began: Instant::now(),
    }
}

#[tokio::test(start_paused = true)]
async fn health_ejection_slow_start_latency_and_load_of_an_endpoint_survive_every_change() {
    for change in CHANGES {
        let mut of = Adopting::start(BASE);
        let now = Instant::now();
        let ejection = of.up().plan.ejection.clone();
        let report = |of: &Adopting, last, times| {
            let endpoint = &of.seat(last).endpoint;
            for _ in 0..times {
                of.up().seats.report(
                    endpoint,
                    &ended(Outcome::RemoteFailure),
                    ejection.as_ref(),
                    now,
                );
            }
        };
        report(&of, 1, 3); // ejected
        report(&of, 2, 2); // a streak
        of.seat(3).endpoint.answered(Duration::from_millis(70), now);
        let _running = of.seat(3).endpoint.enter();
        tokio::time::advance(Duration::from_secs(60)).await;
        let seen = |of: &Adopting| -> Vec<(EndpointId, HealthView, f32, u32, _)> {
            let (now, slow_start) = (Instant::now(), of.up().plan.slow_start);
            let seats = [1, 2, 3].map(|last| &of.seat(last).endpoint);
            let facts = seats.map(|endpoint| {
                let health = &endpoint.health;
                let latency = endpoint.latency.at(now);
                (
                    endpoint.id.clone(),
                    health.view(now),
                    health.share(slow_start, now),
                    endpoint.in_flight(),
                    latency,
                )
            });
            facts.into()
        };
        let before = seen(&of);
        assert_eq!(
            before[0].1.ejected_for,
            Some(Duration::from_secs(240)),
            "its clock runs"
        );
        assert_eq!((before[1].1.failures_in_a_row, before[2].3), (2, 1));
        of.adopt(&changed(change));
        assert_eq!(seen(&of), before, "{}", change.0);
        // It comes on trial by the clock of its ejection, back with the first success, and then slowly.
        tokio::time::advance(Duration::from_secs(250)).await;
        let tried = seen(&of);
        assert!(tried[0].1.on_trial, "{:?}", tried[0]);
        of.adopt(BASE);
        assert_eq!(seen(&of), tried, "trial, {}", change.0);
        let (endpoint, now) = (&of.seat(1).endpoint, Instant::now());
        let success = ended(Outcome::Success);
        of.up()
            .seats
            .report(endpoint, &success, ejection.as_ref(), now);
        assert!(endpoint.health.share(of.up().plan.slow_start, now) < 0.2);
        let share = seen(&of);
        of.adopt(&changed(change));
        of.adopt(BASE);
        assert_eq!(seen(&of), share, "slow start, {}", change.0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_left_and_returns_within_ten_minutes_is_as_it_was() {
    let mut of = Adopting::start(BASE);
    let ejection = of.up().plan.ejection.clone();
    for _ in 0..3 {
        let endpoint = &of.seat(1).endpoint;
        of.up().seats.report(
            endpoint,
            &ended(Outcome::RemoteFailure),
            ejection.as_ref(),
            Instant::now(),
        );
    }
    let without = BASE.replace("{ address = \"10.0.0.1:80\" }, ", "");
    of.adopt(&without);
    tokio::time::advance(Duration::from_secs(120)).await;
    of.adopt(BASE);
    let view = of.seat(1).endpoint.health.view(Instant::now());
    assert_eq!(view.ejected_for, Some(Duration::from_secs(180)));
    of.adopt(&without);
    tokio::time::advance(Duration::from_secs(601)).await;
    of.ground.sweep(Instant::now());
    of.adopt(BASE);
    assert_eq!(of.seat(1).endpoint.health.view(Instant::now()).ejections, 0);
}

#[tokio::test(start_paused = true)]
async fn in_flight_and_queue_survive_every_change_and_who_waits_is_served() {
    for change in CHANGES {
        let mut of = Adopting::start(BASE);
        let held = [of.place().await, of.place().await].map(|place| place.expect("a place"));
        let waiters = [of.waiter(), of.waiter()];
        yield_now().await;
        of.adopt(&changed(change));
        let view = of.up().gate.view();
        assert_eq!((view.in_flight, view.waiting), (2, 2), "{}", change.0);
        assert!(
            of.up()
                .roster
                .lanes()
                .map(|lane| lane.in_flight())
                .sum::<u32>()
                == 2
        );
        drop(held);
        for waiter in waiters {
            let permit = waiter.await.expect("it ends").expect("a place");
            assert_eq!(permit.queued(), Duration::ZERO, "{}", change.0);
        }
        assert_eq!(of.up().gate.view().in_flight, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_smaller_queue_refuses_the_newest_beyond_it_and_a_larger_limit_lets_in_who_waits() {
    let mut of = Adopting::start(BASE);
    let _held = [of.place().await, of.place().await].map(|place| place.expect("a place"));
    let first = of.waiter();
    yield_now().await;
    let second = of.waiter();
    yield_now().await;
    of.adopt(&BASE.replace("max_waiting = 10", "max_waiting = 1"));
    match second.await.expect("it ends") {
        Err(Denied::Refused(refusal)) => assert_eq!(refusal.reason, ShedReason::QueueFull),
        other => panic!("{other:?}"),
    }
    assert!(!first.is_finished());
    of.adopt(&BASE.replace("limit = 2", "limit = 3"));
    drop(first.await.expect("it ends").expect("a place"));
}

#[tokio::test(start_paused = true)]
async fn who_waits_may_wait_as_long_as_it_was_told() {
    let mut of = Adopting::start(BASE);
    let _held = [of.place().await, of.place().await].map(|place| place.expect("a place"));
    let (waiter, began) = (of.waiter(), Instant::now());
    yield_now().await;
    of.adopt(&BASE.replace("max_wait = \"10s\"", "max_wait = \"1s\""));
    assert!(waiter.await.expect("it ends").is_err());
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_judged_anew_only_where_its_route_gives_it_less_time() {
    let mut of = Adopting::start(BASE);
    let _held = [of.place().await, of.place().await].map(|place| place.expect("a place"));
    let waiter = of.waiter();
    yield_now().await;
    tokio::time::advance(Duration::from_secs(3)).await;
    // No route may give less time than a wait may take; who waits already may wait as long as it was told.
    let with = |timeout: &str| {
        BASE.replace("timeout = \"30s\"", &format!("timeout = \"{timeout}\""))
            .replace("max_wait = \"10s\"", "max_wait = \"1s\"")
    };
    for as_long in ["50s", "off", "40s", "4s"] {
        of.adopt(&with(as_long));
        yield_now().await;
        assert!(!waiter.is_finished(), "{as_long}");
    }
    of.adopt(&with("2s"));
    match waiter.await.expect("it ends") {
        Err(Denied::Refused(refusal)) => {
            assert_eq!(refusal.reason, ShedReason::DeadlineUnmeetable);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn buckets_keep_their_fill_in_proportion_and_whoever_is_over_stays_over() {
    for change in CHANGES {
        let mut of = Adopting::start(BASE);
        assert_eq!(of.pass(), 8);
        of.adopt(&changed(change));
        let fresh = ["the route's name", "another route before it"].contains(&change.0);
        assert_eq!(of.pass() == 0, !fresh, "{}", change.0);
    }
    let mut of = Adopting::start(BASE);
    let headers = HeaderMap::new();
    let subject = RateSubject {
        client: IpAddr::from([10, 1, 1, 1]),
        headers: &headers,
    };
    for _ in 0..6 {
        let limits = &of.snapshot.routes[0].limits;
        drop(admission::charge(limits, &subject, Instant::now(), |_| {}).expect("a token"));
    }
    of.adopt(&BASE.replace("burst = 8", "burst = 80"));
    assert_eq!(of.pass(), 20, "a quarter of it");
    of.adopt(&BASE.replace("\"client_ip\"", "\"none\""));
    assert_eq!(of.pass(), 8, "another key is another limit");
}

/// A learned limit, where it began.
fn learned(law: &str, initial: u32, max: u32) -> String {
    BASE.replace(
        "mode = \"fixed\", limit = 2",
        &format!("mode = \"{law}\", initial = {initial}, max = {max}"),
    )
}

#[tokio::test(start_paused = true)]
async fn a_learned_limit_is_kept_clamped_and_handed_to_another_law() {
    let limit = |of: &Adopting| of.up().roster.lane(0).expect("a lane").limit();
    let mut of = Adopting::start(&learned("adaptive", 20, 100));
    assert_eq!(limit(&of), Some(20));
    of.adopt(&learned("adaptive", 5, 100));
    assert_eq!(
        limit(&of),
        Some(20),
        "where a new one would begin does not matter"
    );
    of.adopt(&learned("aimd", 5, 100));
    assert_eq!(
        limit(&of),
        Some(20),
        "another law begins where the limit is"
    );
    of.adopt(&learned("aimd", 5, 8));
    assert_eq!(limit(&of), Some(8), "other bounds clamp");
    of.adopt(&learned("aimd", 5, 100));
    assert_eq!(limit(&of), Some(8), "and it goes on from there");
}

#[tokio::test(start_paused = true)]
async fn failed_keys_budget_cursor_and_connector_are_the_same_and_know_what_they_knew() {
    for change in CHANGES {
        let mut of = Adopting::start(BASE);
        let before = Arc::clone(&of.snapshot);
        let (route, up) = (&before.routes[0], Arc::clone(of.up()));
        let mark = KeyMark::of(b"key", 1);
        route.failed_keys.add(mark, Instant::now());
        let _live = up.budget.begin();
        let _retry = up.budget.try_retry(Load::Bearable);
        of.adopt(&changed(change));
        let next = of
            .snapshot
            .routes
            .iter()
            .find(|next| next.plan.name == route.plan.name);
        if let Some(next) = next {
            assert!(next.failed_keys.has(mark, Instant::now()), "{}", change.0);
        }
        let now = of.up();
        assert_eq!(
            (now.budget.live(), now.budget.retrying()),
            (up.budget.live(), up.budget.retrying())
        );
        assert!(Arc::ptr_eq(&now.turns, &up.turns) && Arc::ptr_eq(&now.found, &up.found));
        assert!(
            now.plan != up.plan || Arc::ptr_eq(&now.connector, &up.connector),
            "{}",
            change.0
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_keeps_its_number_and_so_its_share_and_baseline() {
    let mut of = Adopting::start(BASE);
    let number = of.wish().route.number();
    let two = BASE.replace(
        "[[routes]]\nname = \"all\"",
        "[[routes]]\nname = \"first\"\npath = \"/first\"\nupstream = \"up\"\n[[routes]]\nname = \"all\"\nshare = 0.5",
    );
    of.adopt(&two);
    let routes = &of.snapshot.routes;
    let all = routes
        .iter()
        .find(|route| route.plan.name.as_str() == "all");
    assert_eq!(all.expect("the route").targets[0].route.number(), number);
}

/// Says one thing, until it is told another.
#[derive(Debug)]
struct Says(Mutex<Result<IpAddr, Why>>);

impl StandIn for Says {
    fn addresses<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Found, Why>> {
        let answer = self.0.lock().map(|address| Found {
            addresses: vec![address],
            ttl: Duration::from_secs(60),
            missing: None,
        });
        async move { answer }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn dns_answers_serve_on_under_another_dns_section_while_nobody_answers() {
    let text = BASE.replace("{ address = \"10.0.0.1:80\" }", "{ dns = \"a.test:80\" }");
    let says = Arc::new(Says(Mutex::new(Ok(IpAddr::from([10, 0, 0, 7])))));
    let ground = Ground::where_names_are(Arc::clone(&says) as _, Telemetry::new());
    let mut of = Adopting::on(ground, &text);
    tokio::time::sleep(Duration::from_millis(1)).await;
    of.adopt(&text);
    let endpoint = Arc::clone(&of.seat(7).endpoint);
    *says.0.lock() = Err(Why::ServerFailure);
    of.adopt(&text.replace("[upstreams.up]", "[dns]\nhold = \"3s\"\n[upstreams.up]"));
    assert!(Arc::ptr_eq(&of.seat(7).endpoint, &endpoint), "at once");
    tokio::time::sleep(Duration::from_secs(5)).await;
    of.adopt(&text.replace("[upstreams.up]", "[dns]\nhold = \"4s\"\n[upstreams.up]"));
    assert!(
        Arc::ptr_eq(&of.seat(7).endpoint, &endpoint),
        "and while it is asked in vain"
    );
    let state = of.up().names[0].answer.state;
    assert!(matches!(state, AnswerState::Stale { .. }), "{state:?}");
}

/// Checks whose settings change go on by the new ones alone, and what they found stays.
#[tokio::test(start_paused = true)]
async fn what_checks_found_stays_when_their_settings_change() {
    let checked = |after: u32| {
        BASE.replace(
            "slow_start",
            &format!("health = {{ interval = \"1h\", unhealthy_after = {after} }}\nslow_start"),
        )
    };
    let mut of = Adopting::start(&checked(3));
    let plan = of.up().plan.health.clone().expect("checks");
    let fails = || Err(tidegate::health::CheckFailure::Timeout);
    let now = Instant::now();
    of.seat(1).endpoint.health.checked(fails(), &plan, now); // the first: down at once
    of.seat(2)
        .endpoint
        .health
        .checked(Ok(Passed::Whole), &plan, now);
    of.seat(2).endpoint.health.checked(fails(), &plan, now); // one of a streak
    let before = [1, 2].map(|last| of.seat(last).endpoint.health.view(now));
    of.adopt(&checked(2));
    assert_eq!(
        [1, 2].map(|last| of.seat(last).endpoint.health.view(now)),
        before
    );
    let plan = of.up().plan.health.clone().expect("checks");
    of.seat(2).endpoint.health.checked(fails(), &plan, now);
    assert!(
        !of.seat(2).endpoint.health.can_serve(now),
        "the streak went on"
    );
    let owners = Arc::downgrade(&of.seat(1).endpoint);
    let running = owners.strong_count();
    for round in 4..20 {
        of.adopt(&checked(round));
        yield_now().await;
    }
    yield_now().await;
    assert!(
        owners.strong_count() <= running + 1,
        "loops of old settings run on"
    );
}
