//! What a request holds of its upstream.

use std::time::Duration;

use tokio::time::Instant;

use super::{once::judge, trail::Trail};
use crate::{
    admission::{Denied, LiveGuard, Outcome, Permit, Wish},
    fault::Fault,
    snapshot::{Besides, UpstreamLive},
};

/// What a request holds of its upstream until its last byte: the permit, and its part in the retry budget.
#[derive(Debug)]
pub(super) struct Held {
    /// `None` between two tries, and after a tunnel opened.
    pub(super) permit: Option<Permit>,
    /// Where it goes, or went last: an index into the upstream's seats.
    pub(super) seat: usize,
    /// When the try that runs, or ran last, was sent.
    pub(super) sent_at: Option<Instant>,
    /// Dropped with the request.
    _live: LiveGuard,
}

/// So long after its head an answer that still streams keeps its place under a learned limit. Streams that last
/// for hours (server-sent events, long downloads) would else fill a limit that was learned from quick answers, and
/// with nothing answered any more it could never grow. What a slow body costs the endpoint shows in the answers of
/// others. Under a fixed limit, which says what the operator counted, the place is kept to the last byte.
const LINGER: Duration = Duration::from_secs(5);

/// Where a first try runs that may get a second beside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lone {
    seat: usize,
}

// === impl Held ===

impl Held {
    /// A place at the upstream.
    pub(super) fn new(permit: Permit, upstream: &UpstreamLive) -> Self {
        Self {
            seat: permit.seat(),
            permit: Some(permit),
            sent_at: None,
            _live: upstream.budget.begin(),
        }
    }

    /// The head of the answer came, or none will: what the limit learns of it.
    pub(super) fn answered(&mut self, outcome: Outcome) {
        if let Some(permit) = &mut self.permit {
            permit.answered(outcome);
        }
    }

    /// How long its place is kept while the body still runs; `None`: to the body's end.
    pub(super) fn lingers(&self) -> Option<Duration> {
        let learned = self.permit.as_ref().is_some_and(Permit::is_learned);
        learned.then_some(LINGER)
    }

    /// Gives the place back; the body goes on.
    pub(super) fn give_place_back(&mut self) {
        self.permit = None;
    }

    /// Another place for another try, behind those who come first.
    pub(super) async fn again(
        &mut self,
        upstream: &UpstreamLive,
        wish: &Wish,
        tried: &[usize],
    ) -> Result<(), Denied> {
        self.permit = None;
        let picks = Besides {
            roster: &upstream.roster,
            tried,
        };
        let wish = Wish {
            retry: true,
            ..*wish
        };
        let permit = upstream.gate.admit(&wish, &picks).await?;
        self.seat = permit.seat();
        self.permit = Some(permit);
        Ok(())
    }

    /// What is needed to ask for a place beside this one.
    pub(super) const fn alone(&self) -> Lone {
        Lone { seat: self.seat }
    }

    /// The body broke on its way: that counts against its endpoint, where it is the endpoint's doing.
    pub(super) fn blame(&self, trail: &Trail, fault: &Fault) {
        if let Some(upstream) = trail.upstream()
            && let Some(seat) = upstream.seats.get(self.seat)
        {
            judge(upstream).broke_off(seat, fault);
        }
    }
}

// === impl Lone ===

impl Lone {
    /// A place for a second try while the first runs: at another endpoint where one can serve, and only where
    /// nobody has to wait for it.
    pub(super) fn place(self, upstream: &UpstreamLive, wish: &Wish) -> Option<Held> {
        let tried = [self.seat];
        let picks = Besides {
            roster: &upstream.roster,
            tried: &tried,
        };
        let permit = upstream.gate.try_admit(wish, &picks)?;
        Some(Held::new(permit, upstream))
    }
}
