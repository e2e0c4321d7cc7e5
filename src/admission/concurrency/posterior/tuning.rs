//! The numbers of the law, each named once.

use std::time::Duration;

/// What the law takes for granted. The default is what was found best over all scenarios; anything else is for
/// the simulator, which shows what each part buys.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// How much of a window's log-likelihood is believed: samples of one window are not independent.
    pub temper: f32,
    /// How often capacity jumps, per second of use, and how far (mean of |ln|).
    pub capacity_jump: (f32, f32),
    /// How far capacity drifts, in ln per root of a second of use.
    pub capacity_drift: f32,
    /// How often the service becomes slower or faster at once, per second, and how far (mean of |ln|).
    pub slowness_jump: (f32, f32),
    /// How far slowness drifts, in ln per root of a second.
    pub slowness_drift: f32,
    /// How often an endpoint becomes one of the other discipline, per second.
    pub discipline_flip: f32,
    /// The most time that counts as passed with each answer: where few come, changes are taken to be rarer. Else
    /// what a few slow answers tell would blur faster than it comes in.
    pub pace: Duration,
    /// How likely a shared processor is before anything was seen; 0: that hypothesis is off.
    pub shared_at_first: f32,
    /// How sure the start is of the initial limit, as a deviation in ln.
    pub capacity_spread: f32,
    /// How sure the start is that the first baselines are right, as a deviation in ln.
    pub slowness_spread: f32,
    /// The quantile of capacity that the limit is while it is used.
    pub quantile: f32,
    /// The quantile that an unused limit may shrink to.
    pub idle_quantile: f32,
    /// The share of sends that met the limit from which it counts as used.
    pub used_from: f64,
    /// The most that a limit grows in a window, as a factor …
    pub grow: f64,
    /// … and only if this share of the answers …
    pub grow_from: f64,
    /// … was sent at this share of the limit or above.
    pub near: f64,
    /// Looks above and below the limit; `None`: none.
    pub looks: Option<Looks>,
    /// How a route's baseline is learned.
    pub teaching: Teaching,
    /// Whether much slower service becomes the new normal.
    pub fold: bool,
    /// The cap that answers drops; `None`: none.
    pub drops: Option<Caution>,
    /// Ends in a window.
    pub ends: u32,
    /// Ends in a window while the first [`Self::warm_for`] come in.
    pub warm_ends: u32,
    /// How many ends the warm-up lasts.
    pub warm_for: u64,
}

/// How the law looks above and below its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looks {
    /// The limit while looking up, as a factor.
    pub up: f64,
    /// Sends above the limit: at least so many, and so many for each place.
    pub up_sends: (f64, f64),
    /// The limit while looking down, as a factor.
    pub down: f64,
    /// Sends below the limit: at least so many, and so many for each place.
    pub down_sends: (f64, f64),
    /// How often …
    pub every: Duration,
    /// … and no more often than so many times what a look takes.
    pub rest: u32,
    /// How often while there may be room.
    pub again: Duration,
    /// The same while so many ends come in at the start: a limit that has to grow far should not take long.
    pub at_first: (Duration, u64),
    /// There may be room where capacity is beyond this factor of the limit …
    pub room: f32,
    /// … with this probability.
    pub likely: f32,
    /// How looks go deeper while a new limit may be far too high; `None`: they do not.
    pub deep: Option<Deep>,
    /// The longest that a look may take where answers are not rare.
    pub patience: Duration,
}

/// How looks go deeper. Behind a queue every request is slow in proportion to the limit, so a start far above
/// capacity and a slow service look alike; the further down a look goes, the more it tells them apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deep {
    /// Where a tenth of the belief lies below this share of the limit.
    pub below: f64,
    /// While so many ends have come: before, too little is known, and later a limit has found its place.
    pub within: (u64, u64),
    /// With each such window the next look goes down by this factor …
    pub step: f64,
    /// … to this share of the limit at the lowest …
    pub least: f64,
    /// … for so many sends: at least, and for each place.
    pub sends: (f64, f64),
}

/// How baselines are learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Teaching {
    /// The first answers of a route teach it whatever their load.
    pub first: f32,
    /// Later ones only where at most this share of capacity and limit was in flight.
    pub light: f32,
    /// How many answers a baseline remembers.
    pub memory: f32,
    /// How many answers the mix of routes remembers.
    pub mix: f32,
}

/// How drops are answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caution {
    /// The share of a window from which drops count.
    pub from: f64,
    /// How far the cap goes below the limit, as a share of the share dropped.
    pub step: f64,
    /// Drops beyond this share count as this.
    pub most: f64,
    /// A cap that left the share above this factor of what it was has not helped yet.
    pub helps: f64,
    /// Where a cap that helped has grown too high, it goes back by this factor.
    pub back: f64,
    /// A cap that did not help at this share of the limit will not.
    pub lowest: f64,
    /// How long there is no cap after one that did not help.
    pub rest: Duration,
    /// How fast a cap grows back, in ln per second.
    pub recover: f64,
}

// === impl Tuning ===

impl Default for Tuning {
    fn default() -> Self {
        Self {
            temper: 0.4,
            capacity_jump: (0.2, 0.7),
            capacity_drift: 0.08,
            slowness_jump: (0.02, 0.5),
            slowness_drift: 0.03,
            discipline_flip: 0.02,
            pace: Duration::from_millis(10),
            shared_at_first: 0.5,
            capacity_spread: 1.0,
            slowness_spread: 1.0,
            quantile: 0.75,
            idle_quantile: 0.95,
            used_from: 0.3,
            grow: 1.25,
            grow_from: 0.3,
            near: 0.85,
            looks: Some(Looks::default()),
            teaching: Teaching::default(),
            fold: true,
            drops: Some(Caution::default()),
            ends: 32,
            warm_ends: 10,
            warm_for: 200,
        }
    }
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            up: 1.6,
            up_sends: (32.0, 1.5),
            down: 0.8,
            down_sends: (10.0, 0.5),
            every: Duration::from_secs(1),
            rest: 8,
            again: Duration::from_millis(250),
            at_first: (Duration::from_millis(100), 2000),
            room: 1.15,
            likely: 0.15,
            deep: Some(Deep::default()),
            patience: Duration::from_secs(2),
        }
    }
}

impl Default for Deep {
    fn default() -> Self {
        Self {
            below: 0.55,
            within: (100, 3000),
            step: 0.9,
            least: 0.4,
            sends: (16.0, 0.75),
        }
    }
}

impl Default for Teaching {
    fn default() -> Self {
        Self {
            first: 24.0,
            light: 0.8,
            memory: 400.0,
            mix: 500.0,
        }
    }
}

impl Default for Caution {
    fn default() -> Self {
        Self {
            from: 0.02,
            step: 0.5,
            most: 0.6,
            helps: 0.7,
            back: 0.9,
            lowest: 0.5,
            rest: Duration::from_secs(2),
            recover: 0.1,
        }
    }
}
