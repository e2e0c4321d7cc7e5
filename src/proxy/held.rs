//! What a request holds of its upstream.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{once::Ends, trail::Trail};
use crate::{
    admission::{Denied, LiveGuard, Outcome, Permit, Wish},
    fault::Fault,
    snapshot::{Besides, UpstreamLive},
    upstream::Judge,
};

/// What a request holds of its upstream until its last byte: the permit, and its part in the retry budget.
#[derive(Debug)]
pub(super) struct Held {
    /// `None` between two tries, and after a tunnel opened.
    pub(super) permit: Option<Permit>,
    /// Where it goes, or went last: an index into the upstream's seats.
    pub(super) seat: usize,
    /// When it was let in there.
    pub(super) began: Instant,
    /// Dropped with the request.
    _live: LiveGuard,
}

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
            began: Instant::now(),
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
        self.permit.as_ref().and_then(Permit::lingers)
    }

    /// Gives the place back; the body goes on.
    pub(super) fn give_place_back(&mut self) {
        self.permit.iter_mut().for_each(Permit::give_place_back);
    }

    /// The body ended well, `took` after its head.
    pub(super) fn streamed(&mut self, took: Duration) {
        if let Some(permit) = &mut self.permit {
            permit.streamed(took);
        }
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
        self.began = Instant::now();
        self.permit = Some(permit);
        Ok(())
    }

    /// What is needed to ask for a place beside this one.
    pub(super) const fn alone(&self) -> Lone {
        Lone { seat: self.seat }
    }

    /// The head of an answer came, or the try failed: what that says of its endpoint.
    pub(super) fn judge(&self, upstream: &UpstreamLive, ended: &Ends, trail: &mut Trail) {
        if let Some(seat) = upstream.seats.get(self.seat) {
            trail.endpoint = Some(seat.endpoint.id.address);
            judge(upstream).attempted((seat, self.began), ended, &mut trail.blame);
        }
    }

    /// The body broke on its way: that counts against its endpoint, where it is the endpoint's doing.
    pub(super) fn blame(&self, trail: &mut Trail, fault: &Fault) {
        let Some(upstream) = trail.upstream().map(Arc::clone) else {
            return;
        };
        if let Some(seat) = upstream.seats.get(self.seat) {
            judge(&upstream).broke_off((seat, self.began), fault, &mut trail.blame);
        }
    }
}

/// Who judges the endpoints of `upstream`.
fn judge(upstream: &UpstreamLive) -> Judge<'_> {
    Judge {
        seats: &upstream.seats,
        plan: &upstream.plan,
        handles: &upstream.handles,
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
