use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tokio::time::sleep;

use super::*;
use crate::{config::CheckPlan, names::UpstreamName, telemetry::Telemetry};

const INTERVAL: Duration = Duration::from_secs(10);
const FAST: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(2);

/// Answers from a script, and notes when it was asked. Stops the watch at the end of the script.
struct Scripted {
    script: Mutex<Vec<Said>>,
    asked: Mutex<Vec<Instant>>,
    stop: CancellationToken,
    /// While set, checks that begin get no answer.
    mute: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
enum Said {
    Yes,
    Hardly,
    NoSockets,
    No,
    Nothing,
}

impl Probe for Scripted {
    async fn check(&self) -> Result<Passed, CheckFailure> {
        self.asked.lock().push(Instant::now());
        if self.mute.load(Relaxed) {
            std::future::pending::<()>().await;
        }
        let said = self.script.lock().pop();
        match said {
            Some(Said::Yes) => Ok(Passed::Whole),
            Some(Said::Hardly) => Ok(Passed::Degraded),
            Some(Said::NoSockets) => Err(CheckFailure::Own("no descriptor left".into())),
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
        check: CheckPlan::Connect,
        port: None,
        interval: INTERVAL,
        fast_interval: FAST,
        timeout: TIMEOUT,
        unhealthy_after: NonZeroU32::new(2).unwrap(),
        healthy_after: NonZeroU32::new(2).unwrap(),
        degraded: None,
    }
}

/// Runs the script, and returns the health and how long after the start each check came.
async fn run(script: &[Said]) -> (Health, Vec<Duration>) {
    let stop = CancellationToken::new();
    let probe = Scripted {
        script: Mutex::new(script.iter().rev().copied().collect()),
        asked: Mutex::default(),
        stop: stop.clone(),
        mute: Arc::default(),
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
        consensus: &Consensus::default(),
        notice: &StandstillNotice::default(),
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
        mute: Arc::default(),
    };
    let upstream = UpstreamName::from("shop");
    let handles = Telemetry::new().upstream(&upstream);
    let endpoint = EndpointId::new(upstream, "192.0.2.1:80".parse().unwrap());
    let (health, plan) = (Health::new(), plan());
    let watched = Watched {
        endpoint: &endpoint,
        plan: &plan,
        handles: &handles,
        consensus: &Consensus::default(),
        notice: &StandstillNotice::default(),
    };
    let start = Instant::now();
    tokio::join!(watch(&probe, &health, watched, &stop), stopper);
    assert!(start.elapsed() < INTERVAL / 2 + Duration::from_millis(5));
    assert_eq!(probe.asked.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_it_is_unsure_checks_come_faster() {
    use Said::{No, Yes};
    // Up, one failure, up again, down, one success, up again.
    let (_, asked) = run(&[Yes, No, Yes, No, No, Yes, Yes]).await;
    let fast: Vec<_> = gaps(&asked).iter().map(|gap| *gap < FAST * 2).collect();
    assert_eq!(fast, [false, true, false, true, false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_degraded_endpoint_serves_and_says_so_until_it_recovers() {
    let (health, _) = run(&[Said::Yes, Said::Hardly]).await;
    assert!(health.can_serve(Instant::now()));
    assert!(health.is_degraded());
    let (health, _) = run(&[Said::Hardly, Said::Yes]).await;
    assert!(!health.is_degraded());
}

#[tokio::test(start_paused = true)]
async fn a_want_of_our_own_proves_nothing_and_is_tried_again_soon() {
    let (health, asked) = run(&[Said::NoSockets, Said::NoSockets]).await;
    let view = health.view(Instant::now());
    assert_eq!(view.checked, super::super::Checked::Unchecked);
    assert_eq!(view.last_check_error, None);
    assert!(gaps(&asked).iter().all(|gap| *gap < FAST * 2), "{asked:?}");
}

/// Endpoints of one upstream whose checks run side by side, and what they share.
struct Company {
    probes: Vec<Scripted>,
    healths: Vec<Health>,
    ids: Vec<EndpointId>,
    consensus: Consensus,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
    mute: Arc<AtomicBool>,
}

impl Company {
    /// Each answers as `script` says of its index, then with silence.
    fn of(size: u8, script: impl Fn(u8) -> Vec<Said>) -> Self {
        let (stop, mute) = (CancellationToken::new(), Arc::<AtomicBool>::default());
        let probe = |index| {
            let mut said: Vec<_> = script(index);
            said.reverse();
            Scripted {
                script: Mutex::new(said),
                asked: Mutex::default(),
                stop: CancellationToken::new(),
                mute: Arc::clone(&mute),
            }
        };
        let id = |last| EndpointId::new("shop".into(), ([192, 0, 2, last], 80).into());
        let ids: Vec<_> = (0..size).map(id).collect();
        let consensus = Consensus::default();
        consensus.follow(ids.iter().cloned().collect());
        Self {
            probes: (0..size).map(probe).collect(),
            healths: (0..size).map(|_| Health::new()).collect(),
            ids,
            consensus,
            telemetry: Telemetry::new(),
            stop,
            mute: Arc::clone(&mute),
        }
    }

    /// Watches all of them until `script` ends.
    async fn watched(&self, script: impl Future<Output = ()>) {
        let (plan, notice) = (plan(), StandstillNotice::default());
        let handles = self.telemetry.upstream(&UpstreamName::from("shop"));
        let each = self.probes.iter().zip(&self.healths).zip(&self.ids);
        let watches = each.map(|((probe, health), endpoint)| {
            let watched = Watched {
                endpoint,
                plan: &plan,
                handles: &handles,
                consensus: &self.consensus,
                notice: &notice,
            };
            watch(probe, health, watched, &self.stop)
        });
        // Owned by the join: what `watched` borrows lives in this frame.
        let watches: Vec<_> = watches.collect();
        let ends = async {
            script.await;
            self.stop.cancel();
        };
        tokio::join!(futures_util::future::join_all(watches), ends);
    }

    fn checked(&self, result: &str) -> f64 {
        let series =
            format!("tidegate_health_checks_total{{upstream=\"shop\",result=\"{result}\"}} ");
        let page = self.telemetry.render();
        let line = page.lines().find_map(|line| line.strip_prefix(&*series));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    fn asked(&self) -> usize {
        self.probes
            .iter()
            .map(|probe| probe.asked.lock().len())
            .sum()
    }

    fn down(&self) -> usize {
        let now = Instant::now();
        self.healths.iter().filter(|it| !it.can_serve(now)).count()
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_standstill_nobody_is_marked_down_and_each_is_checked_once_not_all_at_once() {
    const ALL: u8 = 200;
    let company = Company::of(ALL, |_| vec![Said::Yes; 20]);
    company
        .watched(async {
            // Into the middle of the second round of checks, then 60 s at once. What is asked meanwhile is answered
            // too late.
            sleep(INTERVAL.saturating_sub(FIRST_CHECK_WITHIN)).await;
            company.mute.store(true, Relaxed);
            sleep(FIRST_CHECK_WITHIN * 3 / 2).await;
            company.mute.store(false, Relaxed);
            let before = company.asked();
            tokio::time::advance(Duration::from_secs(60)).await;
            let woke = Instant::now();
            sleep(FIRST_CHECK_WITHIN + Duration::from_millis(50)).await;
            assert_eq!(company.down(), 0);
            let after = company.asked() - before;
            assert!(
                after <= usize::from(ALL),
                "{after} checks of {ALL} endpoints"
            );
            let asked = company
                .probes
                .iter()
                .flat_map(|probe| probe.asked.lock().clone());
            let mut at_once = std::collections::BTreeMap::new();
            for at in asked.filter(|at| *at >= woke) {
                *at_once.entry((at - woke).as_millis()).or_insert(0) += 1;
            }
            let most = at_once.values().max().copied().unwrap_or_default();
            assert!(
                most < ALL / 10,
                "{most} of {ALL} checks within a millisecond"
            );
            // Two more rounds.
            sleep(INTERVAL * 3).await;
            assert_eq!(company.down(), 0);
        })
        .await;
    assert!(
        company.checked("postponed") > 0.0,
        "those that slept were put off"
    );
    assert!(
        company.checked("inconclusive") > 0.0,
        "those in flight prove nothing"
    );
    assert_eq!(company.checked("failed"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stands_still_all_the_time_still_checks() {
    let company = Company::of(1, |_| vec![Said::No; 100]);
    company
        .watched(async {
            for _ in 0..20 {
                tokio::time::advance(INTERVAL * 2).await;
            }
        })
        .await;
    assert_eq!(
        company.down(),
        1,
        "what an endpoint says counts all the same"
    );
    assert!(company.asked() >= 5, "{}", company.asked());
}

#[tokio::test(start_paused = true)]
async fn the_checks_of_hundreds_of_endpoints_do_not_fall_on_one_tick() {
    let company = Company::of(250, |_| vec![Said::Yes; 10]);
    company.watched(sleep(INTERVAL * 4)).await;
    let mut ticks = std::collections::BTreeMap::new();
    let asked = company.probes.iter().map(|probe| probe.asked.lock()[0]);
    let start = asked.min().unwrap();
    for probe in &company.probes {
        for at in &*probe.asked.lock() {
            let tick = at.duration_since(start).as_millis() / 10;
            *ticks.entry(tick).or_insert(0_u32) += 1;
        }
    }
    let most = ticks.values().max().copied().unwrap_or_default();
    assert!(most < 25, "{most} of 250 within 10 ms");
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// How often what is logged while `runs` runs says `words`.
    async fn saying(words: &str, runs: impl Future<Output = ()>) -> usize {
        let lines = Self::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .finish();
        // Where there is but one in the process, tracing asks only the thread that comes to a log line first whether
        // it is wanted: that may be another test's.
        let _another = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
        let guard = tracing::subscriber::set_default(subscriber);
        runs.await;
        drop(guard);
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        text.matches(words).count()
    }
}

#[tokio::test(start_paused = true)]
async fn where_every_endpoint_falls_at_once_the_log_doubts_the_check_once() {
    let doubts = |last: Said| async move {
        let company = Company::of(3, |index| {
            vec![if index == 2 { last } else { Said::No }; 10]
        });
        Lines::saying(
            "health check suspicious",
            company.watched(sleep(INTERVAL * 3)),
        )
        .await
    };
    assert_eq!(doubts(Said::No).await, 1);
    assert_eq!(doubts(Said::Yes).await, 0, "one of them passes");
}

#[tokio::test(start_paused = true)]
async fn a_standstill_is_told_once_however_many_checks_it_met() {
    let company = Company::of(20, |_| vec![Said::Yes; 20]);
    let stands_still = async {
        sleep(INTERVAL).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        sleep(INTERVAL).await;
    };
    let told = Lines::saying("this process stood still", company.watched(stands_still)).await;
    assert_eq!(told, 1);
}
