//! A cap below the limit while the endpoint refuses or does not answer.

use std::time::Duration;

use super::tuning::Caution;
use crate::admission::moment::Moment;

/// A share of fewer ends says nothing.
const FEWEST: u32 = 8;
/// A rest is doubled so often at most: from two seconds to about a minute.
const MOST_DOUBLED: u32 = 5;

/// Where drops fall with the limit they are load's, and the cap stays where they end. Where they do not, however
/// low it goes, the fault is another's: the cap goes, and ejection deals with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Drops {
    cap: Option<Cap>,
    /// No cap before.
    rest_until: Moment,
    /// Caps in a row that did not help; each doubles the rest.
    vain: u32,
}

#[derive(Debug, Clone, Copy)]
struct Cap {
    /// Requests at once.
    at: f64,
    /// The limit when it was put there.
    from: f64,
    /// The share dropped then; `None` once it has helped.
    share: Option<f64>,
}

// === impl Drops ===

impl Drops {
    /// The cap in force.
    pub(super) fn cap(&self) -> Option<f64> {
        self.cap.map(|cap| cap.at)
    }

    /// A window at this limit ended, with so many ends of which so many were drops.
    pub(super) fn on_window(
        &mut self,
        (dropped, ends): (u32, u32),
        limit: f64,
        (now, took): (Moment, Duration),
        caution: &Caution,
    ) {
        let share = f64::from(dropped) / f64::from(ends.max(1));
        if share <= caution.from || ends < FEWEST {
            let grown = (caution.recover * took.as_secs_f64()).exp();
            self.cap = self
                .cap
                .map(|cap| cap.helped(grown))
                .filter(|cap| cap.at < limit);
            self.vain = 0;
            return;
        }
        let cap = match self.cap {
            None if now < self.rest_until => return,
            None => Cap::under(limit, share, caution),
            Some(cap) => cap.lowered(share, caution),
        };
        self.cap = Some(cap).filter(|cap| cap.at >= caution.lowest * cap.from);
        if self.cap.is_none() {
            self.rest_until = now.plus(caution.rest.saturating_mul(1 << self.vain));
            self.vain = self.vain.saturating_add(1).min(MOST_DOUBLED);
        }
    }
}

// === impl Cap ===

impl Cap {
    fn under(limit: f64, share: f64, caution: &Caution) -> Self {
        Self {
            at: limit * caution.factor(share),
            from: limit,
            share: Some(share),
        }
    }

    /// Nothing was dropped under it: it grows.
    fn helped(self, grown: f64) -> Self {
        Self {
            at: self.at * grown,
            share: None,
            ..self
        }
    }

    /// Under it too much is still dropped. One that has helped needs a small step only, and starts anew from there.
    fn lowered(self, share: f64, caution: &Caution) -> Self {
        match self.share {
            None => Self {
                at: self.at * caution.back,
                from: self.at,
                share: Some(share),
            },
            Some(then) if share <= caution.helps * then => Self {
                share: Some(share),
                from: self.at,
                ..self
            },
            Some(_) => Self {
                at: self.at * caution.factor(share),
                ..self
            },
        }
    }
}

impl Caution {
    fn factor(&self, share: f64) -> f64 {
        1.0 - self.step * share.min(self.most)
    }
}
