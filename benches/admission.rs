//! What admission costs: a request that need not wait, in instructions; a hundred thousand that do; and what is learned
//! beside them.
//!
//! `cargo bench --bench admission` prints what a hundred thousand waiting requests take and how fast they are
//! woken and leave, and how long the law of a busy endpoint takes for a window. It fails where the promise is not
//! kept: 30 MiB, 5 µs a wake-up, 10 ms for the longest stall while all leave, 0.5 % of a core for what an endpoint
//! learns. `benches/overload/instructions` runs it with `--count N` under callgrind and prints the
//! instructions of one request.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark prints, and fails by panicking"
)]

#[path = "../tests/support/only.rs"]
mod only;

use std::{hint::black_box, num::NonZeroU32, ops::Range, path::Path, sync::Arc, time::Duration};

use only::Only;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tidegate::{
    admission::{
        Arrived, Ask, Cell, Core, Lane, Law, Moment, Outcome, Position, RouteNumber, Told, Window,
        learned,
    },
    config::{LawWord, LimitBounds, QueuePlan, Stretch},
    names::{EndpointId, Priority},
};
use tokio::{sync::oneshot, time::Instant};

const WAITING: u32 = 100_000;
const MOST_BYTES: u64 = 30 << 20;
const LONGEST_WAKE: Duration = Duration::from_micros(5);
const LONGEST_STALL: Duration = Duration::from_millis(10);
/// Of a busy endpoint: no window is shorter than 20 ms.
const WINDOWS_A_SECOND: f64 = 50.0;
/// Of a core: the aim.
const LARGEST_SHARE: f64 = 0.005;
/// In-flight counts that are told apart, from 6 to 18 requests, as around a limit of some 16.
const BINS: Range<u8> = 18..30;
/// Windows that are timed at once.
const ROUND: u32 = 64;

fn law(initial: u32) -> Box<dyn Law> {
    let number = |number| NonZeroU32::new(number).expect("not zero");
    let bounds = LimitBounds {
        min: number(1),
        max: number(4096),
        initial: number(initial),
    };
    learned(LawWord::Adaptive, bounds)
}

fn lane(initial: u32) -> Arc<Lane> {
    let id = EndpointId::new("up".into(), ([127, 0, 0, 1], 9).into());
    let lane = Lane::new(id, Duration::ZERO, 1);
    lane.learn(law(initial), Moment::ZERO);
    Arc::new(lane)
}

const ASK: Ask = Ask {
    priority: Priority::Normal,
    retry: false,
    route: RouteNumber::new(0, 0),
    tenant: 0,
    deadline: None,
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let count = arguments.iter().position(|word| word == "--count");
    if let Some(count) = count.and_then(|at| arguments.get(at + 1)?.parse().ok()) {
        pass(count);
    } else {
        crowd();
        windows();
    }
}

/// So many requests that need not wait, one after the other, by a limit that is learned.
fn pass(count: u64) {
    let core: Core<u32> = Core::new(&QueuePlan {
        stretch: Stretch::Never,
        max_waiting: 64,
        max_wait: Duration::from_millis(100),
    });
    let only = Only(lane(64));
    let mut told = Told::new();
    for n in 0..count {
        let now = Moment::from_micros(n * 1000);
        if let Arrived::Entered(mut place) = core.arrive(&ASK, &only, now, || 0, &mut told) {
            place.sent(now);
            let took = Duration::from_micros(900);
            core.answered(&mut place, Outcome::Succeeded { took }, now.plus(took));
            core.leave(place, now.plus(took), &mut told);
        }
    }
    assert!(told.is_empty() && core.in_flight() == 0);
}

/// A hundred thousand that wait: what they take, how fast one is woken, and what happens when all leave.
fn crowd() {
    let core = Core::new(&QueuePlan {
        stretch: Stretch::Never,
        max_waiting: WAITING,
        max_wait: Duration::from_secs(30),
    });
    let only = Arc::new(Only(lane(1)));
    core.follow(Arc::clone(&only) as _, Moment::ZERO, &mut Told::new());
    let mut told = Told::new();
    let mut ears = Vec::with_capacity(WAITING as usize);
    let first = core.arrive(
        &ASK,
        &*only,
        Moment::ZERO,
        || oneshot::channel::<()>().0,
        &mut told,
    );
    let Arrived::Entered(mut place) = first else {
        unreachable!("nobody is there yet")
    };
    let mut positions = Vec::with_capacity(WAITING as usize);
    let before = resident();
    for n in 0..u64::from(WAITING) {
        let mut ear = None;
        let token = || {
            let (wake, woken) = oneshot::channel();
            ear = Some(woken);
            wake
        };
        let now = Moment::from_micros(n);
        if let Arrived::Waits(waiting) = core.arrive(&ASK, &*only, now, token, &mut told) {
            positions.push(waiting.position);
        }
        ears.extend(ear);
    }
    let taken = resident().saturating_sub(before);
    assert_eq!(core.waiting(), WAITING);
    println!(
        "{WAITING} waiting requests take {:.1} MiB",
        taken as f64 / f64::from(1 << 20)
    );

    let woken = WAITING / 2;
    let began = Instant::now();
    for n in 0..woken {
        core.leave(
            place,
            Moment::from_micros(u64::from(WAITING + n)),
            &mut told,
        );
        let (wake, answer) = told.pop().expect("somebody was let in");
        let _heard = wake.send(());
        place = answer.expect("with a place");
    }
    let wake = began.elapsed() / woken;
    println!("one is woken in {:.2} µs", wake.as_secs_f64() * 1e6);

    let longest = all_leave(&core, &positions);
    assert_eq!(core.waiting(), 0);
    drop((place, ears));
    assert!(taken <= MOST_BYTES, "{taken} bytes");
    assert!(wake <= LONGEST_WAKE, "{wake:?}");
    assert!(longest <= LONGEST_STALL, "{longest:?}");
}

/// All who wait leave at once; the longest that one of them takes.
fn all_leave<T>(core: &Core<T>, positions: &[Position]) -> Duration {
    let (mut longest, left) = (Duration::ZERO, Instant::now());
    for position in positions {
        let began = Instant::now();
        drop(core.withdraw(*position));
        longest = longest.max(began.elapsed());
    }
    println!(
        "all others leave in {:.1} ms, the longest step of it {:.3} ms",
        left.elapsed().as_secs_f64() * 1e3,
        longest.as_secs_f64() * 1e3
    );
    longest
}

/// How long the law takes for a window, and which share of a core that is.
fn windows() {
    for routes in [1, 8] {
        let took = window(routes);
        let share = took.as_secs_f64() * WINDOWS_A_SECOND;
        println!(
            "a window of {routes} routes and {} in-flight counts takes {:.1} µs: {:.2} % of a core at {WINDOWS_A_SECOND} a \
             second (aim: {:.1} %)",
            BINS.len(),
            took.as_secs_f64() * 1e6,
            share * 100.0,
            LARGEST_SHARE * 100.0
        );
    }
}

/// One window of so many routes: the mean of the fastest of fifty short rounds, which others on the machine disturb least.
fn window(routes: u16) -> Duration {
    let (mut law, mut rng) = (law(16), SmallRng::seed_from_u64(1));
    let all: Vec<Vec<Cell>> = (0..64).map(|_| cells(routes, &mut rng)).collect();
    let mut ended = Moment::ZERO;
    let mut round = || {
        let began = Instant::now();
        for cells in all.iter().cycle().take(ROUND as usize) {
            let before = ended;
            ended = before.plus(Duration::from_millis(20));
            let done = cells.iter().map(|cell| cell.done).sum();
            let window = Window {
                began: before,
                ended,
                cells,
                sends: done,
                limited: done,
                done,
                dropped: 0,
                took: Duration::from_millis(20) * done,
            };
            black_box(law.on_window(black_box(&window), &mut rng));
        }
        began.elapsed() / ROUND
    };
    round(); // routes and limit are known then
    (0..50).map(|_| round()).min().expect("rounds")
}

/// What some 40 requests of 20 ms did in a window, behind 16 workers.
fn cells(routes: u16, rng: &mut SmallRng) -> Vec<Cell> {
    let most = if routes == 1 { 6 } else { 1 };
    let bins = (0..routes).flat_map(|route| BINS.map(move |bin| (route, bin)));
    let cell = |(route, bin)| {
        let done = rng.random_range(0..=most);
        let stretch = ((f64::from(bin) / 10.0).exp() / 16.0).max(1.0);
        Cell {
            route,
            bin,
            on_test: 0.020 * stretch * (f64::from(done) + 0.1),
            done,
        }
    };
    bins.map(cell).collect()
}

/// Bytes of memory that this process holds.
fn resident() -> u64 {
    let pages = std::fs::read_to_string(Path::new("/proc/self/statm")).expect("Linux");
    let resident = pages
        .split_ascii_whitespace()
        .nth(1)
        .expect("the second number");
    resident.parse::<u64>().expect("a number") * 4096
}
