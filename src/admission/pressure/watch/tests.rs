use tokio::{task::yield_now, time::advance};

use super::*;
use crate::{admission::pressure::Level, config::PressurePlan};

const ON: PressurePlan = PressurePlan {
    enabled: true,
    shadow: false,
};

/// Reads what the test says.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Readings>>);

impl Said {
    fn memory(&self, share: f64) {
        self.0.lock().memory = Some(share);
    }
}

impl Signals for Said {
    fn read(&mut self) -> Readings {
        *self.0.lock()
    }
}

/// A watch that runs; stopped when dropped.
struct Running {
    pressure: Arc<Pressure>,
    said: Said,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(plan: PressurePlan) -> Self {
        let (pressure, said) = (Pressure::new(plan), Said::default());
        let stop = CancellationToken::new();
        let watching = watch(
            Arc::clone(&pressure),
            said.clone(),
            Events::default(),
            stop.clone(),
        );
        Self {
            pressure,
            said,
            stop,
            task: tokio::spawn(watching),
        }
    }

    /// Waits until the level in force is `level`; paused time flies until it is, if ever.
    async fn until(&self, level: Level) {
        let mut seen = self.pressure.subscribe();
        seen.wait_for(|seen| *seen == level).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_level_follows_what_is_read_up_at_once_and_down_by_steps() {
    let running = Running::start(ON);
    let began = Instant::now();
    running.said.memory(0.95);
    running.until(Level::ShedNormal).await;
    assert!(began.elapsed() <= EVERY);
    running.said.memory(0.1);
    let eased = Instant::now();
    running.until(Level::Calm).await;
    let took = eased.elapsed();
    assert!(took >= super::super::HOLD * 3, "{took:?}");
    assert!(took <= super::super::HOLD * 3 + EVERY * 2, "{took:?}");
    assert_eq!(running.pressure.readings().memory, Some(0.1));
}

#[tokio::test(start_paused = true)]
async fn a_runtime_whose_ticks_come_late_is_under_pressure() {
    let running = Running::start(ON);
    let late = Duration::from_millis(60);
    for _ in 0..8 {
        advance(EVERY + late).await;
        for _ in 0..50 {
            yield_now().await;
        }
    }
    running.until(Level::ShedLow).await;
    let lag = running.pressure.readings().lag.unwrap();
    assert!((lag - 0.060).abs() < 0.002, "{lag}");
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_falls_to_calm_at_once_and_reads_nothing() {
    let running = Running::start(ON);
    running.said.memory(0.99);
    running.until(Level::Critical).await;
    running.pressure.reshape(PressurePlan {
        enabled: false,
        shadow: false,
    });
    tokio::time::sleep(EVERY * 2).await;
    assert_eq!(running.pressure.level(), Level::Calm);
    assert_eq!(running.pressure.readings(), Readings::default());
    running.pressure.reshape(ON);
    running.until(Level::Critical).await;
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_panics_makes_its_signals_unknown_and_ends_nothing() {
    struct Once(bool);
    impl Signals for Once {
        fn read(&mut self) -> Readings {
            assert!(!std::mem::take(&mut self.0), "the first reading");
            Readings {
                memory: Some(0.9),
                ..Readings::default()
            }
        }
    }
    let (pressure, stop) = (Pressure::new(ON), CancellationToken::new());
    let mut level = pressure.subscribe();
    let task = tokio::spawn(watch(
        Arc::clone(&pressure),
        Once(true),
        Events::default(),
        stop.clone(),
    ));
    level
        .wait_for(|level| *level == Level::ShedLow)
        .await
        .unwrap();
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_it_is_told_to() {
    let running = Running::start(ON);
    running.said.memory(0.5);
    tokio::time::sleep(EVERY * 3).await;
    running.stop.cancel();
    running.task.await.unwrap();
}
