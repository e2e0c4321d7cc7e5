use std::num::NonZeroU32;

use parking_lot::Mutex;
use tokio::time::sleep;

use super::*;
use crate::{names::UpstreamName, telemetry::Telemetry};

const INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(2);

/// Answers from a script, and notes when it was asked. Stops the watch at the end of the script.
struct Scripted {
    script: Mutex<Vec<Said>>,
    asked: Mutex<Vec<Instant>>,
    stop: CancellationToken,
}

#[derive(Clone, Copy)]
enum Said {
    Yes,
    No,
    Nothing,
}

impl Probe for Scripted {
    async fn check(&self) -> Result<(), CheckFailure> {
        self.asked.lock().push(Instant::now());
        let said = self.script.lock().pop();
        match said {
            Some(Said::Yes) => Ok(()),
            Some(Said::No) => Err(CheckFailure::Connect("refused".into())),
            Some(Said::Nothing) => std::future::pending().await,
            None => {
                self.stop.cancel();
                std::future::pending().await
            }
        }
    }
}

fn plan() -> HealthPlan {
    HealthPlan {
        path: None,
        interval: INTERVAL,
        timeout: TIMEOUT,
        unhealthy_after: NonZeroU32::new(2).unwrap(),
        healthy_after: NonZeroU32::new(2).unwrap(),
    }
}

/// Runs the script, and returns the health and how long after the start each check came.
async fn run(script: &[Said]) -> (Health, Vec<Duration>) {
    let stop = CancellationToken::new();
    let probe = Scripted {
        script: Mutex::new(script.iter().rev().copied().collect()),
        asked: Mutex::default(),
        stop: stop.clone(),
    };
    let health = Health::new();
    let start = Instant::now();
    let upstream = UpstreamName::from("shop");
    let handles = Telemetry::new().upstream(&upstream);
    let endpoint = EndpointId::new(upstream, "192.0.2.1:80".parse().unwrap());
    let watched = Watched {
        endpoint: &endpoint,
        plan: &plan(),
        handles: &handles,
    };
    watch(&probe, &health, watched, &stop).await;
    let asked = probe.asked.lock().iter().map(|at| *at - start).collect();
    (health, asked)
}

fn gaps(asked: &[Duration]) -> Vec<Duration> {
    asked
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_check_comes_within_a_second() {
    for _ in 0..20 {
        let (_, asked) = run(&[]).await;
        assert!(asked[0] <= FIRST_CHECK_WITHIN + Duration::from_millis(1));
    }
}

#[tokio::test(start_paused = true)]
async fn first_checks_do_not_fall_on_one_tick() {
    let (_, one) = run(&[]).await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(run(&[]).await.1[0]);
    }
    assert!(others.iter().any(|other| *other != one[0]));
}

#[tokio::test(start_paused = true)]
async fn checks_come_at_the_interval_give_or_take_a_tenth() {
    let (_, asked) = run(&[Said::Yes; 20]).await;
    let slack = Duration::from_millis(5);
    let gaps = gaps(&asked);
    for gap in &gaps {
        assert!(*gap + slack >= INTERVAL.mul_f64(0.9), "{gap:?}");
        assert!(*gap <= INTERVAL.mul_f64(1.1) + slack, "{gap:?}");
    }
    assert!(gaps.iter().any(|gap| *gap != gaps[0]), "no jitter");
}

#[tokio::test(start_paused = true)]
async fn a_check_without_an_answer_fails_after_its_time_out() {
    let (health, asked) = run(&[Said::Nothing]).await;
    let view = health.view(Instant::now());
    assert_eq!(view.last_check_error.as_deref(), Some("no answer in time"));
    assert!(
        gaps(&asked)[0] < INTERVAL.mul_f64(1.2),
        "the interval is kept"
    );
}

#[tokio::test(start_paused = true)]
async fn results_reach_the_health() {
    let (health, _) = run(&[Said::Yes, Said::No]).await;
    assert!(health.can_serve(Instant::now()));
    let (health, _) = run(&[Said::Yes, Said::No, Said::No]).await;
    assert!(!health.can_serve(Instant::now()));
    let (health, _) = run(&[Said::No, Said::Yes, Said::Yes]).await;
    assert!(health.can_serve(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_stop_drops_the_check_that_runs_and_reports_nothing() {
    // The script is empty: the first check stops the watch and never ends.
    let (health, asked) = run(&[]).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(
        health.view(Instant::now()).checked,
        super::super::Checked::Unchecked
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_watch_that_waits_for_its_next_check() {
    let stop = CancellationToken::new();
    let later = stop.clone();
    let stopper = async move {
        sleep(INTERVAL / 2).await;
        later.cancel();
    };
    let probe = Scripted {
        script: Mutex::new(vec![Said::Yes; 100]),
        asked: Mutex::default(),
        stop: stop.clone(),
    };
    let upstream = UpstreamName::from("shop");
    let handles = Telemetry::new().upstream(&upstream);
    let endpoint = EndpointId::new(upstream, "192.0.2.1:80".parse().unwrap());
    let (health, plan) = (Health::new(), plan());
    let watched = Watched {
        endpoint: &endpoint,
        plan: &plan,
        handles: &handles,
    };
    let start = Instant::now();
    tokio::join!(watch(&probe, &health, watched, &stop), stopper);
    assert!(start.elapsed() < INTERVAL / 2 + Duration::from_millis(5));
    assert_eq!(probe.asked.lock().len(), 1);
}
