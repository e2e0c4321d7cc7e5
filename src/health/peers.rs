//! The others of an upstream, and whether one more may be ejected among them.

/// The others of the same upstream, at the moment when an endpoint might be ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peers {
    /// How many endpoints the upstream has, this one included.
    pub total: usize,
    /// How many of the others are ejected now, or on trial after it, for whatever cause.
    pub ejected: usize,
    /// How many of the others may serve: neither down by checks nor ejected, nor on trial.
    pub others_that_can_serve: usize,
    /// How many of these have failed a few times in a row themselves.
    pub others_that_fail: usize,
}

// === impl Peers ===

impl Peers {
    /// Whether one more may be ejected: at most max(1, a third) of all are, and one that can serve remains.
    ///
    /// The cap counts ejections only; "one remains" counts checks too. Envoy's `max_ejection_percent` alone
    /// lets the last endpoint go (envoy#26877).
    #[must_use]
    pub fn allow_ejection(&self) -> bool {
        let most = (self.total / 3).max(1);
        self.ejected < most && self.others_that_can_serve > 0
    }

    /// Whether most of the others fail too: then it is what they have in common that is broken, and an ejection would
    /// only make fewer of them take the load.
    #[must_use]
    pub fn fail_alike(&self) -> bool {
        self.others_that_fail.saturating_mul(2) > self.others_that_can_serve
    }
}
