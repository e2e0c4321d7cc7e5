//! The endpoints of an upstream as admission sees them: who can serve, and who has a free place.

use std::sync::Arc;

use rand::RngExt as _;
use tokio::time::Instant;

use crate::{
    admission::{Lane, Pick, Picked},
    balance::{self, Candidates, EndpointView, Turns},
    config::{BalancePolicy, EjectionPlan},
    names::Chance,
    pool::{Seats, SeatsAt},
};

/// Seats and lanes side by side, in the order of the seats.
#[derive(Debug)]
pub struct Roster {
    seats: Arc<Seats>,
    lanes: Box<[Arc<Lane>]>,
    policy: BalancePolicy,
    ejection: Option<EjectionPlan>,
    turns: Arc<Turns>,
}

/// The roster without those that were tried, as long as another can serve.
#[derive(Debug, Clone, Copy)]
pub struct Besides<'a> {
    /// Among whom.
    pub roster: &'a Roster,
    /// Seats that were tried.
    pub tried: &'a [usize],
}

/// Seats at one moment, of which `free` leaves some.
struct Free<'a> {
    seats: SeatsAt<'a>,
    lanes: &'a [Arc<Lane>],
    tried: &'a [usize],
    free: &'a dyn Fn(&Lane, f32) -> bool,
    ejection: Option<&'a EjectionPlan>,
}

/// One in so many looks at an endpoint that has begun to fail leaves out how slow its failures count: else it would be
/// asked so rarely that they hardly ever become enough to eject it.
const SUSPECTED_EACH: u32 = 8;

// === impl Roster ===

impl Roster {
    /// `lanes` has one for each of `seats`, in their order.
    #[must_use]
    pub fn new(
        seats: Arc<Seats>,
        lanes: Box<[Arc<Lane>]>,
        policy: BalancePolicy,
        turns: Arc<Turns>,
    ) -> Self {
        Self {
            seats,
            lanes,
            policy,
            ejection: None,
            turns,
        }
    }

    /// The same, where failures eject by `plan`: an endpoint that has begun to fail is asked often enough to know.
    #[must_use]
    pub fn with_ejection(self, plan: Option<EjectionPlan>) -> Self {
        Self {
            ejection: plan,
            ..self
        }
    }

    /// The endpoints.
    #[must_use]
    pub const fn seats(&self) -> &Arc<Seats> {
        &self.seats
    }

    /// The lane of the endpoint at `seat`.
    #[must_use]
    pub fn lane(&self, seat: usize) -> Option<&Arc<Lane>> {
        self.lanes.get(seat)
    }

    /// The lanes of all endpoints, in the order of the seats.
    pub fn lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes.iter()
    }

    fn pick_besides(
        &self,
        tried: &[usize],
        free: &dyn Fn(&Lane, f32) -> bool,
    ) -> Option<Picked<'_>> {
        let mut groups = self.seats.choices(Instant::now(), tried, Chance.random());
        groups.find_map(|seats| {
            let candidates = Free {
                seats,
                lanes: &self.lanes,
                tried,
                free,
                ejection: self.ejection.as_ref(),
            };
            let turn = self.turns.of(seats.group());
            let seat = balance::pick(self.policy, turn, &candidates, &mut Chance)?;
            Some(Picked {
                lane: self.lanes.get(seat)?,
                seat,
                share: seats.share(seat),
            })
        })
    }
}

impl Pick for Roster {
    fn pick(&self, free: &dyn Fn(&Lane, f32) -> bool) -> Option<Picked<'_>> {
        self.pick_besides(&[], free)
    }

    fn can_serve(&self) -> bool {
        self.seats.can_serve(Instant::now())
    }

    fn seat_of(&self, lane: &Lane) -> Option<usize> {
        self.lanes
            .iter()
            .position(|own| std::ptr::eq(&raw const **own, lane))
    }
}

// === impl Besides ===

impl Besides<'_> {
    /// Whether one that was not tried can serve, with a free place or without; one on trial only with.
    fn another_can_serve(&self) -> bool {
        let seats = self.roster.seats.at_besides(Instant::now(), self.tried);
        let busy = |seat: usize| {
            let lane = self.roster.lane(seat);
            seats.share(seat) <= 0.0 && !lane.is_some_and(|lane| lane.has_room(0.0))
        };
        (0..seats.len())
            .any(|seat| !self.tried.contains(&seat) && seats.view(seat).can_serve && !busy(seat))
    }
}

impl Pick for Besides<'_> {
    fn pick(&self, free: &dyn Fn(&Lane, f32) -> bool) -> Option<Picked<'_>> {
        let tried = if self.another_can_serve() {
            self.tried
        } else {
            &[]
        };
        self.roster.pick_besides(tried, free)
    }

    fn can_serve(&self) -> bool {
        self.roster.can_serve()
    }

    fn seat_of(&self, lane: &Lane) -> Option<usize> {
        self.roster.seat_of(lane)
    }
}

// === impl Free ===

impl Free<'_> {
    /// Whether the one at `index` is to be chosen as if it had answered in good time.
    fn is_to_prove_itself(&self, index: usize, share: f32) -> bool {
        let suspect = |plan| {
            let seat = self.seats.seat(index);
            seat.is_some_and(|seat| seat.endpoint.health.is_suspect(plan))
        };
        // On trial its failures of the past would keep the one request away that is to try it.
        share <= 0.0
            || (self.ejection.is_some_and(suspect) && Chance.random_ratio(1, SUSPECTED_EACH))
    }
}

impl Candidates for Free<'_> {
    fn len(&self) -> usize {
        self.lanes.len()
    }

    fn view(&self, index: usize) -> EndpointView {
        let mut view = self.seats.view(index);
        let Some(lane) = self.lanes.get(index) else {
            view.can_serve = false;
            return view;
        };
        let share = self.seats.share(index);
        view.can_serve = view.can_serve && !self.tried.contains(&index) && (self.free)(lane, share);
        view.limit = lane.limit();
        if self.is_to_prove_itself(index, share) {
            (view.latency, view.peak) = (None, None);
        }
        view
    }
}
