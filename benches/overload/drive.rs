//! The driver: requests come when they come, and each is a client of its own that nobody waits for.
//!
//! Times count from when a request should have been sent, not from when it was: a driver that falls behind shows
//! it in the latency (and as `late_send_ms`) instead of hiding it (coordinated omission).

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::{
    arrivals::Arrivals,
    tally::{End, Record, Tally},
    wire::{Answer, Wire},
};

/// What the script asks of a driver. Times on its clock are seconds since its begin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Gateways or backends, taken in turn.
    targets: Vec<SocketAddr>,
    /// Connections to each that are open before the first request; more are opened when they are wanted.
    connections: usize,
    /// From a second on, requests a second.
    rate: Vec<(f64, f64)>,
    seconds: f64,
    /// From and to: the requests due in between are counted in the sums.
    measure: (f64, f64),
    in_time_ms: f64,
    timeout_ms: f64,
    /// Tries after the first one, each 5 to 50 ms after the last one's end.
    retries: u32,
    kinds: Vec<Kind>,
    /// When, which control socket, which query.
    #[serde(default)]
    steps: Vec<(f64, SocketAddr, String)>,
    bucket_ms: f64,
    seed: u64,
}

/// Requests of one sort.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    name: String,
    share: f64,
    path: String,
    #[serde(default)]
    tenant: Option<String>,
}

struct Driver {
    plan: Plan,
    begin: Instant,
    requests: Vec<Vec<u8>>,
    idle: RefCell<Vec<Vec<Wire>>>,
    turn: Cell<usize>,
    opened: Cell<u64>,
    resent: Cell<u64>,
    tally: RefCell<Tally>,
    steps: RefCell<Vec<Value>>,
}

/// Runs the plan and prints what was seen as one line of JSON.
pub(crate) async fn run(plan: Plan) {
    const LINGER: Duration = Duration::from_secs(5);
    let idle = ready(&plan).await;
    let driver = Driver::new(plan, idle);
    let plan = &driver.plan;
    let clients = TaskTracker::new();
    for (at, target, query) in plan.steps.clone() {
        clients.spawn_local(Rc::clone(&driver).step(at, target, query));
    }
    let mut draws = StdRng::seed_from_u64(plan.seed ^ 1);
    for due in Arrivals::new(plan.rate.clone(), plan.seconds, plan.seed) {
        tokio::time::sleep_until(driver.begin + due).await;
        let kind = plan.draw(draws.random());
        clients.spawn_local(Rc::clone(&driver).client(due, kind));
    }
    clients.close();
    let longest = millis(plan.timeout_ms + 50.0) * (plan.retries + 1) + LINGER;
    let all_ended = tokio::time::timeout(longest, clients.wait()).await.is_ok();
    println!("{}", driver.report(all_ended));
}

/// The connections that are open before the first request.
async fn ready(plan: &Plan) -> Vec<Vec<Wire>> {
    let mut idle = Vec::new();
    for target in &plan.targets {
        let mut wires = Vec::with_capacity(plan.connections);
        for _ in 0..plan.connections {
            wires.push(Wire::open(*target).await.expect("the target listens"));
        }
        idle.push(wires);
    }
    idle
}

// === impl Driver ===

impl Driver {
    fn new(plan: Plan, idle: Vec<Vec<Wire>>) -> Rc<Self> {
        const HEADWAY: Duration = Duration::from_millis(20);
        Rc::new(Self {
            begin: Instant::now() + HEADWAY,
            requests: plan.kinds.iter().map(Kind::request).collect(),
            idle: RefCell::new(idle),
            turn: Cell::new(0),
            opened: Cell::new(0),
            resent: Cell::new(0),
            tally: RefCell::default(),
            steps: RefCell::default(),
            plan,
        })
    }

    /// One client, from its first try to its answer, or until it gives up.
    async fn client(self: Rc<Self>, due: Duration, kind: usize) {
        let due_at = self.begin + due;
        let late_send = due_at.elapsed();
        let mut tries = 0;
        let end = loop {
            tries += 1;
            let end = self.attempt(kind).await;
            if end == End::Answered || tries > self.plan.retries {
                break end;
            }
            let pause = rand::rng().random_range(5..=50);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        };
        self.tally.borrow_mut().records.push(Record {
            due,
            kind,
            end,
            took: due_at.elapsed(),
            late_send,
            tries,
        });
    }

    /// One try; a client that has waited its time closes the connection.
    async fn attempt(&self, kind: usize) -> End {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let target = turn % self.plan.targets.len();
        match tokio::time::timeout(millis(self.plan.timeout_ms), self.send(target, kind)).await {
            Ok(Some(answer)) => End::of(answer.status),
            Ok(None) => End::Broken,
            Err(_) => End::TimedOut,
        }
    }

    /// Takes the connection that was idle for the shortest time. One that its peer closed meanwhile is no
    /// failure: the request goes out again on a new one.
    async fn send(&self, target: usize, kind: usize) -> Option<Answer> {
        let request = self.requests.get(kind)?;
        let idle = self.idle.borrow_mut().get_mut(target)?.pop();
        if let Some(mut wire) = idle {
            if let Ok(answer) = wire.exchange(request).await {
                self.keep(target, wire, answer);
                return Some(answer);
            }
            self.resent.set(self.resent.get() + 1);
        }
        self.opened.set(self.opened.get() + 1);
        let mut wire = Wire::open(*self.plan.targets.get(target)?).await.ok()?;
        let answer = wire.exchange(request).await.ok()?;
        self.keep(target, wire, answer);
        Some(answer)
    }

    fn keep(&self, target: usize, wire: Wire, answer: Answer) {
        if answer.stays
            && let Some(idle) = self.idle.borrow_mut().get_mut(target)
        {
            idle.push(wire);
        }
    }

    /// Changes a backend at its time, and keeps what it answers.
    async fn step(self: Rc<Self>, at: f64, target: SocketAddr, query: String) {
        tokio::time::sleep_until(self.begin + Duration::from_secs_f64(at)).await;
        let mut wire = Wire::open(target).await.expect("the backend lives");
        let request = format!("GET /?{query} HTTP/1.1\r\nHost: lab\r\n\r\n");
        wire.exchange(request.as_bytes())
            .await
            .expect("the backend answers");
        let counts: Value = serde_json::from_slice(wire.body()).expect("it answers JSON");
        self.steps
            .borrow_mut()
            .push(json!({ "at": at, "backend": target, "query": query, "counts": counts }));
    }

    fn report(&self, all_ended: bool) -> Value {
        let plan = &self.plan;
        let names: Vec<&str> = plan.kinds.iter().map(|kind| kind.name.as_str()).collect();
        let mut report = self.tally.borrow().report(
            &names,
            plan.measure,
            millis(plan.in_time_ms),
            millis(plan.bucket_ms),
        );
        if let Some(report) = report.as_object_mut() {
            report.insert("all_ended".into(), json!(all_ended));
            report.insert("connections".into(), json!(self.opened.get()));
            report.insert("resent".into(), json!(self.resent.get()));
            report.insert("steps".into(), json!(*self.steps.borrow()));
        }
        report
    }
}

// === impl Plan ===

impl Plan {
    /// The sort of a request, by a number from 0 to 1.
    fn draw(&self, unit: f64) -> usize {
        let mut left = unit;
        for (index, kind) in self.kinds.iter().enumerate() {
            left -= kind.share;
            if left < 0.0 {
                return index;
            }
        }
        self.kinds.len().saturating_sub(1)
    }
}

// === impl Kind ===

impl Kind {
    fn request(&self) -> Vec<u8> {
        let tenant = self
            .tenant
            .as_ref()
            .map_or(String::new(), |tenant| format!("X-Tenant: {tenant}\r\n"));
        format!("GET {} HTTP/1.1\r\nHost: lab\r\n{tenant}\r\n", self.path).into_bytes()
    }
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}
