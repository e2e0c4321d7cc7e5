//! What the end of an attempt tells the health of its endpoint, and of how long it takes.

use http::StatusCode;
use tokio::time::Instant;

use super::attempt::{AttemptError, Sent};
use crate::{
    config::UpstreamPlan,
    fault::{Fault, Kind},
    health::{Outcome, announce, outcome_of_status},
    pool::{Endpoint, Seat, Seats},
    telemetry::UpstreamHandles,
};

/// Where an attempt was made, and by whose rules its end is judged.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The endpoints among which an ejection is allowed or not.
    pub seats: &'a Seats,
    /// The upstream's plan.
    pub plan: &'a UpstreamPlan,
    /// Where ejections are counted.
    pub handles: &'a UpstreamHandles,
}

// === impl Judge ===

impl Judge<'_> {
    /// An attempt at `seat` came to the head of an answer, or failed before it.
    pub fn attempted(&self, seat: &Seat, ended: &Result<Sent, Box<AttemptError>>) {
        let outcome = match ended {
            Ok(sent) => outcome_of_status(sent.response.status(), sent.response.headers()),
            Err(error) => error.outcome,
        };
        took(&seat.endpoint, ended, outcome, Instant::now());
        self.report(
            seat,
            outcome,
            ended.as_ref().err().map(|error| &error.fault),
        );
    }

    /// The body of an answer broke off. Counts against the endpoint only where it is the endpoint's doing.
    pub fn broke_off(&self, seat: &Seat, fault: &Fault) {
        let endpoints_doing = matches!(
            fault.kind,
            Kind::ResponseIncomplete | Kind::ResponseStalled | Kind::ConnectionReset
        );
        if endpoints_doing {
            self.report(seat, Outcome::Failure, Some(fault));
        }
    }

    fn report(&self, seat: &Seat, outcome: Outcome, fault: Option<&Fault>) {
        let endpoint = &seat.endpoint;
        let plan = self.plan.ejection.as_ref();
        if let Some(change) = self.seats.report(endpoint, outcome, plan, Instant::now()) {
            let why = fault.map(|fault| fault.facts().title);
            announce(change, &endpoint.id, why, self.handles);
        }
    }
}

/// Tells the endpoint how long an attempt took that came to the head of an answer or failed before it.
///
/// A refusal (503 with `Retry-After`, 429) is no proof of speed, and counts as slow as a failure does, so that who
/// refuses is not sent more. What the client ended says nothing.
fn took(
    endpoint: &Endpoint,
    ended: &Result<Sent, Box<AttemptError>>,
    outcome: Outcome,
    now: Instant,
) {
    match (ended, outcome) {
        (Ok(sent), Outcome::Success) if sent.response.status() != StatusCode::TOO_MANY_REQUESTS => {
            endpoint.answered(sent.first_byte, now);
        }
        (Err(_), Outcome::Success | Outcome::Ignored) => {}
        _ => endpoint.failed(now),
    }
}
