//! The endpoints of an upstream as admission sees them: who can serve, and who has a free place.

use std::sync::Arc;

use rand::RngExt as _;
use tokio::time::Instant;

use crate::{
    admission::{Lane, Pick, Picked},
    balance::{self, Candidates, EndpointView, Turns},
    config::BalancePolicy,
    pool::{Seats, SeatsAt},
};

/// Seats and lanes side by side, in the order of the seats.
#[derive(Debug)]
pub struct Roster {
    seats: Arc<Seats>,
    lanes: Box<[Arc<Lane>]>,
    policy: BalancePolicy,
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
}

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
            turns,
        }
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
        let mut rng = rand::rng();
        let mut groups = self.seats.choices(Instant::now(), tried, rng.random());
        groups.find_map(|seats| {
            let candidates = Free {
                seats,
                lanes: &self.lanes,
                tried,
                free,
            };
            let turn = self.turns.of(seats.group());
            let seat = balance::pick(self.policy, turn, &candidates, &mut rng)?;
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

impl Pick for Besides<'_> {
    fn pick(&self, free: &dyn Fn(&Lane, f32) -> bool) -> Option<Picked<'_>> {
        let seats = &self.roster.seats;
        // With a free place or without.
        let tried = if seats.another_can_serve(self.tried, Instant::now()) {
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
        view.can_serve = view.can_serve
            && !self.tried.contains(&index)
            && (self.free)(lane, self.seats.share(index));
        view.limit = lane.limit();
        view
    }
}
