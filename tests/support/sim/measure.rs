//! What is counted in a run, and the figures that a scenario may put a range on.

use std::collections::BTreeMap;

use tidegate::names::Priority;

/// Figures that `expect` knows. Of several seeds, each takes the one that its comment says.
pub(crate) const FIGURES: [&str; 22] = [
    "of_best",           // mean goodput, as a share of the best fixed limit's
    "worst_seed",        // the least goodput, as the same share
    "p99_ms",            // median of the 99th percentile of answers
    "shed",              // mean share refused
    "critical_success",  // mean share of the highest class answered in time
    "critical_worst",    // the same, least
    "worst_shed",        // the most refused
    "other_places",      // mean share of sends that were not of the highest class
    "of_capacity",       // mean goodput, as a share of what was offered and could be worked through
    "of_capacity_worst", // the same, least
    "sends",             // mean of sends to endpoints, as a share of what they could work through
    "timeouts",          // the highest share given up by clients
    "below_floor",       // the longest that the limit was below `floor`, in seconds
    "limit_low",         // the lowest limit
    "limit_high",        // the highest limit
    "at_backend",        // the highest mean of requests at endpoints over the mean limit
    "jain",              // the least fairness between gateways
    "last_of_first",     // mean goodput of the last third over that of the first
    "light_success",     // the least success of a tenant that is not the heaviest
    "over_budget", // the most that the gateway's retries were beyond a fifth of its live requests, or 3
    "would_shed",  // mean share that would have been refused in shadow
    "lost_permits", // the most places that were not given back
];

/// How a client's request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    Shed,
    /// Turned away by the endpoint.
    Failed,
    /// The client gave up.
    TimedOut,
    /// The client left without waiting for its time-out.
    Left,
}

/// The counts of a class, a tenant, a gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) good: u64,
    pub(crate) shed: u64,
    pub(crate) timed_out: u64,
}

/// Everything that is counted in one run, within the seconds measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) span: f64,
    pub(crate) classes: BTreeMap<Priority, Counts>,
    pub(crate) tenants: Vec<Counts>,
    pub(crate) gateways: Vec<Counts>,
    /// Good ones by the third of the time in which they came.
    pub(crate) thirds: [u64; 3],
    /// Seconds that answers took.
    pub(crate) answers: Vec<f32>,
    pub(crate) sends: u64,
    pub(crate) other_sends: u64,
    pub(crate) over_budget: f64,
    pub(crate) would_shed: u64,
    /// Requests that could be worked through, and the lower of those and of what was offered.
    pub(crate) capacity: f64,
    pub(crate) possible: f64,
    pub(crate) below_floor: f64,
    pub(crate) limits: (f64, f64),
    /// Sums over samples: at endpoints, limit.
    pub(crate) at_backend: f64,
    pub(crate) limit: f64,
    pub(crate) lost_permits: usize,
    pub(crate) series: Vec<Tick>,
}

/// A tenth of a second, for a chart.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tick {
    pub(crate) limit: f64,
    pub(crate) good: u32,
    pub(crate) late: u32,
    pub(crate) shed: u32,
    /// Sum over those answered, in seconds.
    pub(crate) took: f64,
}

// === impl Tally ===

impl Tally {
    /// Answers in time, per second.
    pub(crate) fn goodput(&self) -> f64 {
        self.all().good as f64 / self.span
    }

    pub(crate) fn all(&self) -> Counts {
        let mut all = Counts::default();
        for class in self.classes.values() {
            all.sent += class.sent;
            all.good += class.good;
            all.shed += class.shed;
            all.timed_out += class.timed_out;
        }
        all
    }

    pub(crate) fn p99_ms(&self) -> f64 {
        let mut answers = self.answers.clone();
        answers.sort_by(f32::total_cmp);
        let rank = answers.len() * 99 / 100;
        answers.get(rank).map_or(0.0, |took| f64::from(*took) * 1e3)
    }

    fn highest(&self) -> Counts {
        self.classes.values().next().copied().unwrap_or_default()
    }

    fn light_success(&self) -> f64 {
        let heaviest = self.tenants.iter().map(|t| t.sent).max().unwrap_or(0);
        let light = self.tenants.iter().filter(|t| t.sent < heaviest);
        light.map(|t| share(t.good, t.sent)).fold(1.0, f64::min)
    }

    fn jain(&self) -> f64 {
        let good = || self.gateways.iter().map(|g| g.good as f64);
        let (sum, squares) = (good().sum::<f64>(), good().map(|x| x * x).sum::<f64>());
        sum * sum / (self.gateways.len() as f64 * squares).max(f64::MIN_POSITIVE)
    }
}

fn share(part: u64, of: u64) -> f64 {
    part as f64 / (of.max(1) as f64)
}

/// A figure of several runs of one law; `best` is the best fixed limit's mean goodput.
pub(crate) fn figure(name: &str, runs: &[Tally], best: f64) -> f64 {
    let of = |each: fn(&Tally) -> f64| runs.iter().map(each).collect::<Vec<f64>>();
    match name {
        "of_best" => mean(&of(Tally::goodput)) / best,
        "worst_seed" => least(&of(Tally::goodput)) / best,
        "p99_ms" => median(of(Tally::p99_ms)),
        "shed" => mean(&of(|t| share(t.all().shed, t.all().sent))),
        "worst_shed" => most(&of(|t| share(t.all().shed, t.all().sent))),
        "critical_success" => mean(&of(|t| share(t.highest().good, t.highest().sent))),
        "critical_worst" => least(&of(|t| share(t.highest().good, t.highest().sent))),
        "other_places" => mean(&of(|t| share(t.other_sends, t.sends))),
        "of_capacity" => mean(&of(|t| t.goodput() * t.span / t.possible)),
        "of_capacity_worst" => least(&of(|t| t.goodput() * t.span / t.possible)),
        "sends" => mean(&of(|t| t.sends as f64 / t.capacity)),
        "timeouts" => most(&of(|t| share(t.all().timed_out, t.all().sent))),
        "below_floor" => most(&of(|t| t.below_floor)),
        "limit_low" => least(&of(|t| t.limits.0)),
        "limit_high" => most(&of(|t| t.limits.1)),
        "at_backend" => most(&of(|t| t.at_backend / t.limit)),
        "jain" => least(&of(Tally::jain)),
        "last_of_first" => {
            let first: u64 = runs.iter().map(|t| t.thirds[0]).sum();
            share(runs.iter().map(|t| t.thirds[2]).sum(), first)
        }
        "light_success" => least(&of(Tally::light_success)),
        "over_budget" => most(&of(|t| t.over_budget)),
        "would_shed" => mean(&of(|t| share(t.would_shed, t.all().sent))),
        "lost_permits" => most(&of(|t| t.lost_permits as f64)),
        _ => f64::NAN,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len().max(1) as f64)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
