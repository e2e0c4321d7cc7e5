//! What the gateway gives up while the process itself is short of something.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use parking_lot::Mutex;
use tidegate::admission::{Readings, Signals};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::support::{client, gateway::TestGateway, until};

/// One route for each priority but `critical`, answered by the gateway itself.
const ROUTES: &str = "[[routes]]\nname = \"low\"\npath = \"/low\"\npriority = \"low\"\nrespond = { status = 200 }\n\
                      [[routes]]\nname = \"normal\"\npath = \"/normal\"\nrespond = { status = 200 }\n\
                      [[routes]]\nname = \"high\"\npath = \"/high\"\npriority = \"high\"\nrespond = { status = 200 }\n";
/// Shares of memory that mean level 0, 2, 3 and 4.
const CALM: f64 = 0.1;
const SHEDS_LOW: f64 = 0.88;
const SHEDS_NORMAL: f64 = 0.94;
const ACCEPTS_NOTHING: f64 = 0.98;

/// How full the memory is said to be.
#[derive(Clone)]
struct Memory(Arc<Mutex<f64>>);

impl Memory {
    fn at(share: f64) -> Self {
        Self(Arc::new(Mutex::new(share)))
    }

    fn set(&self, share: f64) {
        *self.0.lock() = share;
    }
}

impl Signals for Memory {
    fn read(&mut self) -> Readings {
        Readings {
            memory: Some(*self.0.lock()),
            ..Readings::default()
        }
    }
}

/// Longer than it takes to fall from the last level on a busy machine, whose own lag counts as well.
const FALLING: Duration = Duration::from_secs(60);

/// Waits until the gauge shows a level that `holds`.
async fn shows(gate: &TestGateway, what: &str, holds: impl Fn(f64) -> bool) {
    let shown = async {
        while !holds(gate.metric("tidegate_pressure_level").await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(FALLING, shown).await.is_ok(), "never {what}");
}

async fn rises_to(gate: &TestGateway, level: f64) {
    shows(gate, "so high", |shown| shown >= level).await;
}

/// Level 1 sheds nobody.
async fn calms_down(gate: &TestGateway) {
    shows(gate, "calm", |shown| shown <= 1.0).await;
}

async fn statuses(gate: &TestGateway) -> [u16; 3] {
    let mut statuses = [0; 3];
    for (status, path) in statuses.iter_mut().zip(["/low", "/normal", "/high"]) {
        *status = client::get(gate.web, path).await.status.as_u16();
    }
    statuses
}

#[tokio::test]
async fn the_less_a_request_is_worth_the_sooner_it_is_shed_and_all_pass_again_after() {
    let memory = Memory::at(SHEDS_LOW);
    let gate = TestGateway::start_with(ROUTES, memory.clone()).await;
    rises_to(&gate, 2.0).await;
    assert_eq!(statuses(&gate).await, [503, 200, 200]);
    let refused = client::get(gate.web, "/low").await;
    assert!(
        refused
            .header("proxy-status")
            .ends_with("cause=overload; reason=process_pressure"),
        "{refused:?}"
    );
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!(wait >= 1);
    let shed = gate
        .metric("tidegate_shed_total{route=\"low\",reason=\"process_pressure\",priority=\"low\"}")
        .await;
    assert!(shed >= 2.0, "{shed}");
    memory.set(SHEDS_NORMAL);
    rises_to(&gate, 3.0).await;
    assert_eq!(statuses(&gate).await, [503, 503, 200]);
    memory.set(CALM);
    calms_down(&gate).await;
    assert_eq!(statuses(&gate).await, [200; 3]);
    let status = client::admin(gate.admin, "/api/v1/status").await.text();
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["pressure"]["signals"]["memory"], CALM);
}

#[tokio::test]
async fn in_shadow_nobody_is_refused_and_what_would_have_been_is_counted() {
    let toml = format!("[pressure]\nshadow = true\n{ROUTES}");
    let gate = TestGateway::start_with(&toml, Memory::at(SHEDS_NORMAL)).await;
    rises_to(&gate, 3.0).await;
    assert_eq!(statuses(&gate).await, [200; 3]);
    for (route, times) in [("low", 1.0), ("normal", 1.0), ("high", 0.0)] {
        let series = format!(
            "tidegate_shadow_shed_total{{route=\"{route}\",reason=\"process_pressure\",priority=\"{route}\"}}"
        );
        let counted = gate.metric(&series).await;
        assert!((counted - times).abs() < 0.5, "{series} is {counted}");
    }
}

#[tokio::test]
async fn at_the_last_level_idle_clients_are_let_go_and_newcomers_wait_while_admin_answers() {
    let memory = Memory::at(CALM);
    let gate = TestGateway::start_with(ROUTES, memory.clone()).await;
    let mut keeper = client::connect(gate.web).await.expect("connected");
    let first = client::exchange(&mut keeper, client::request("GET", "/high", "")).await;
    assert_eq!(first.expect("an answer").status, StatusCode::OK);
    memory.set(ACCEPTS_NOTHING);
    rises_to(&gate, 4.0).await;
    until("the idle connection is closed", || keeper.is_closed()).await;
    let mut newcomer = TcpStream::connect(gate.web).await.expect("the backlog");
    tokio::io::AsyncWriteExt::write_all(
        &mut newcomer,
        b"GET /high HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await
    .expect("written");
    let mut answer = [0; 12];
    let early = timeout(Duration::from_millis(300), newcomer.read_exact(&mut answer));
    assert!(early.await.is_err(), "it was accepted: {answer:?}");
    memory.set(CALM);
    let served = timeout(FALLING, newcomer.read_exact(&mut answer)).await;
    served.expect("served at last").expect("bytes");
    assert_eq!(&answer, b"HTTP/1.1 200");
}
