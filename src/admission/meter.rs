//! What an endpoint's requests did, counted without a lock, and cut into windows.
//!
//! For each route and in-flight count a cell sums up when requests were sent and when they ended. The time that
//! they spent in flight follows from the sums alone, unfinished requests included: `sum of ends + open × now −
//! sum of starts`. So an event costs two or three additions, and nothing is kept for a request.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    concurrency::{Cell, Outcome, Window},
    moment::{Moment, micros},
};

/// Routes that are told apart at one upstream; those beyond share the last number.
pub(super) const MAX_ROUTES: usize = 32;
/// In-flight counts that are told apart, in steps of a tenth; the last stands for all above 330,000.
const BINS: usize = 128;
/// The bits of a sum's word that count; the rest sums microseconds.
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The counters of one endpoint. All are `Relaxed`: sums that nobody infers other memory from; a window that
/// misses an addition gets it in the next.
pub(super) struct Meter {
    routes: [OnceLock<Box<[Sums; BINS]>>; MAX_ROUTES],
    limited: AtomicU32,
    done: AtomicU32,
    dropped: AtomicU32,
    took_us: AtomicU64,
}

/// The sums of one cell. Both words wrap: 20 bits of count below 44 bits of microseconds, so that one addition
/// does both; what carries from the count into the time is a microsecond in a million requests.
#[derive(Default)]
struct Sums {
    sent: AtomicU64,
    ended: AtomicU64,
    done: AtomicU32,
}

/// What a request is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    route: u16,
    bin: u8,
    at: Moment,
}

/// What the sums were when the last window ended. Belongs to whoever closes windows.
#[derive(Debug, Default)]
pub(super) struct Mark {
    began: Moment,
    totals: [u32; 3],
    took_us: u64,
    cells: Vec<CellMark>,
    window: Vec<Cell>,
}

/// A cell that was in use.
#[derive(Debug, Clone, Copy)]
struct CellMark {
    route: u16,
    bin: u8,
    /// Its time on test until now, in wrapping microseconds.
    on_test_us: u64,
    sent: u64,
    done: u32,
}

// === impl Meter ===

impl Meter {
    pub(super) const fn new() -> Self {
        Self {
            routes: [const { OnceLock::new() }; MAX_ROUTES],
            limited: AtomicU32::new(0),
            done: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            took_us: AtomicU64::new(0),
        }
    }

    /// A request of `route` was sent, the `in_flight`-th at the same time.
    pub(super) fn sent(&self, route: u16, in_flight: u32, limited: bool, now: Moment) -> Tag {
        let tag = Tag {
            route,
            bin: bin(in_flight),
            at: now,
        };
        if limited {
            self.limited.fetch_add(1, Relaxed);
        }
        if let Some(sums) = self.sums(tag) {
            sums.sent.fetch_add(packed(now), Relaxed);
        }
        tag
    }

    /// It ended. What was dropped fast proves nothing: its time counts to `window_began` only, unless it timed
    /// out, when all of it counts.
    pub(super) fn ended(&self, tag: Tag, outcome: Outcome, now: Moment, window_began: Moment) {
        let Some(sums) = self.sums(tag) else {
            return;
        };
        let until = match outcome {
            Outcome::Succeeded { took } => {
                sums.done.fetch_add(1, Relaxed);
                self.done.fetch_add(1, Relaxed);
                self.took_us.fetch_add(micros(took), Relaxed);
                now
            }
            Outcome::TimedOut => {
                self.dropped.fetch_add(1, Relaxed);
                now
            }
            Outcome::Dropped => {
                self.dropped.fetch_add(1, Relaxed);
                tag.at.max(window_began)
            }
            Outcome::Ignored => tag.at.max(window_began),
        };
        sums.ended.fetch_add(packed(until), Relaxed);
    }

    /// Closes the window that began at `mark`, and begins the next.
    pub(super) fn window<'a>(&self, mark: &'a mut Mark, now: Moment) -> Window<'a> {
        mark.window.clear();
        let mut sends = 0_u32;
        let mut kept = 0;
        // Cells are visited in order, and so were those of the mark: a merge of two sorted lists.
        let before = std::mem::take(&mut mark.cells);
        for (route, sums) in self.routes.iter().enumerate() {
            let Some(cells) = sums.get() else { continue };
            for (bin, sums) in cells.iter().enumerate() {
                let Some(next) = sums.read(route, bin, now) else {
                    continue;
                };
                while before.get(kept).is_some_and(|old| old.key() < next.key()) {
                    kept = kept.saturating_add(1);
                }
                let old = before.get(kept).filter(|old| old.key() == next.key());
                let (cell, sent) = next.since(old);
                sends = sends.saturating_add(sent);
                if cell.done > 0 || cell.on_test > 0.0 {
                    mark.window.push(cell);
                }
                mark.cells.push(next);
            }
        }
        let totals = [&self.limited, &self.done, &self.dropped].map(|count| count.load(Relaxed));
        let took_us = self.took_us.load(Relaxed);
        let [limited, done, dropped] =
            [0, 1, 2].map(|at: usize| difference(&totals, &mark.totals, at));
        let window = Window {
            began: mark.began,
            ended: now,
            cells: &mark.window,
            sends,
            limited,
            done,
            dropped,
            took: Duration::from_micros(took_us.wrapping_sub(mark.took_us)),
        };
        (mark.began, mark.totals, mark.took_us) = (now, totals, took_us);
        window
    }

    fn sums(&self, tag: Tag) -> Option<&Sums> {
        let route = self.routes.get(usize::from(tag.route))?;
        let cells = route.get_or_init(|| Box::new(std::array::from_fn(|_| Sums::default())));
        cells.get(usize::from(tag.bin))
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

// === impl Sums ===

impl Sums {
    /// How it stands; `None` where it was never used.
    fn read(&self, route: usize, bin: usize, now: Moment) -> Option<CellMark> {
        // The ends first: one that ends between the two loads then counts as open until now, not as never sent.
        let ended = self.ended.load(Relaxed);
        let sent = self.sent.load(Relaxed);
        if sent == 0 {
            return None;
        }
        let open = sent.wrapping_sub(ended) & COUNT_MASK;
        let on_test = (ended >> COUNT_BITS)
            .wrapping_add(open.wrapping_mul(now.as_micros()))
            .wrapping_sub(sent >> COUNT_BITS);
        Some(CellMark {
            route: u16::try_from(route).unwrap_or(u16::MAX),
            bin: u8::try_from(bin).unwrap_or(u8::MAX),
            on_test_us: on_test & (u64::MAX >> COUNT_BITS),
            sent: sent & COUNT_MASK,
            done: self.done.load(Relaxed),
        })
    }
}

// === impl CellMark ===

impl CellMark {
    const fn key(&self) -> (u16, u8) {
        (self.route, self.bin)
    }

    /// What happened since `old`: the cell of the window, and how many were sent.
    fn since(&self, old: Option<&Self>) -> (Cell, u32) {
        let (on_test, sent, done) =
            old.map_or((0, 0, 0), |old| (old.on_test_us, old.sent, old.done));
        let grown = self.on_test_us.wrapping_sub(on_test) & (u64::MAX >> COUNT_BITS);
        // A sum that went back (a torn pair of loads) is a huge number: nothing, until the next window.
        let grown = if grown > LONGEST_US { 0 } else { grown };
        let cell = Cell {
            route: self.route,
            bin: self.bin,
            on_test: Duration::from_micros(grown).as_secs_f64(),
            done: self.done.wrapping_sub(done),
        };
        let sent = self.sent.wrapping_sub(sent) & COUNT_MASK;
        (cell, u32::try_from(sent).unwrap_or(u32::MAX))
    }
}

/// More time than one cell can spend on test in a window: half of what its sum can hold.
const LONGEST_US: u64 = u64::MAX >> (COUNT_BITS + 1);

const fn packed(at: Moment) -> u64 {
    (at.as_micros() << COUNT_BITS).wrapping_add(1)
}

/// `round(10 ln n)`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 222"
)]
pub(super) fn bin(in_flight: u32) -> u8 {
    let bin = (f64::from(in_flight.max(1)).ln() * 10.0).round() as u8;
    bin.min((BINS - 1) as u8)
}

fn difference(now: &[u32; 3], before: &[u32; 3], at: usize) -> u32 {
    let of = |counts: &[u32; 3]| counts.get(at).copied().unwrap_or_default();
    of(now).wrapping_sub(of(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1000)
    }

    fn answered(millis: u64) -> Outcome {
        Outcome::Succeeded {
            took: Duration::from_millis(millis),
        }
    }

    fn near(seconds: f64, expected: f64) -> bool {
        (seconds - expected).abs() < 2e-6
    }

    #[test]
    fn unfinished_requests_are_on_test_too() {
        let (meter, mut mark) = (Meter::new(), Mark::default());
        let first = meter.sent(0, 1, false, at(10));
        let _second = meter.sent(0, 1, false, at(20));
        meter.ended(first, answered(20), at(30), at(0));
        let window = meter.window(&mut mark, at(40));
        assert_eq!((window.sends, window.done, window.cells.len()), (2, 1, 1));
        assert!(near(window.cells[0].on_test, 0.040), "{window:?}"); // 20 ms finished, 20 ms still open
    }

    #[test]
    fn a_window_counts_only_the_time_within_it() {
        let (meter, mut mark) = (Meter::new(), Mark::default());
        let slow = meter.sent(3, 7, true, at(10));
        meter.window(&mut mark, at(100));
        meter.ended(slow, answered(120), at(130), at(100));
        let window = meter.window(&mut mark, at(200));
        assert_eq!((window.sends, window.limited, window.done), (0, 0, 1));
        assert_eq!((window.cells[0].route, window.cells[0].done), (3, 1));
        assert!(near(window.cells[0].on_test, 0.030), "{window:?}");
        assert_eq!(window.took, Duration::from_millis(120));
    }

    #[test]
    fn a_fast_refusal_leaves_no_time_and_a_time_out_all_of_it() {
        let (meter, mut mark) = (Meter::new(), Mark::default());
        let refused = meter.sent(0, 1, false, at(10));
        let hung = meter.sent(0, 5, false, at(10));
        meter.ended(refused, Outcome::Dropped, at(12), at(0));
        meter.ended(hung, Outcome::TimedOut, at(60), at(0));
        let window = meter.window(&mut mark, at(100));
        assert_eq!((window.done, window.dropped), (0, 2));
        assert_eq!(window.cells.len(), 1);
        assert!(near(window.cells[0].on_test, 0.050), "{window:?}");
    }

    #[test]
    fn sums_that_wrap_lose_nothing() {
        let (meter, mut mark) = (Meter::new(), Mark::default());
        let far = 1 << 43; // of 44 bits: two requests wrap the sum
        let now = |extra: u64| Moment::from_micros(far + extra);
        let tags = [0, 1, 2].map(|extra| meter.sent(0, 2, false, now(extra * 10)));
        meter.window(&mut mark, now(30));
        for tag in tags {
            meter.ended(tag, answered(1), now(1030), now(30));
        }
        let window = meter.window(&mut mark, now(2000));
        assert!(near(window.cells[0].on_test, 0.003), "{window:?}");
        assert_eq!(window.done, 3);
    }

    #[test]
    fn a_bin_is_a_tenth_wide() {
        assert_eq!([0, 1, 2, 10, 16].map(bin), [0, 0, 7, 23, 28]);
        assert_eq!(bin(u32::MAX), 127);
    }
}
