//! What the end of an attempt tells the health of its endpoint, and of how long it takes.

use http::StatusCode;
use tokio::time::Instant;

use super::attempt::{AttemptError, Progress, Sent};
use crate::{
    config::UpstreamPlan,
    fault::{Fault, Kind},
    health::{Ended, Failed, Outcome, announce, outcome_of_status},
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

/// What one request has put on its endpoints so far.
///
/// A request that breaks whatever it meets (a query of death) would else take out one endpoint with each of its tries.
/// So of all its tries that an endpoint may have seen, the first that fails counts, and no later one. A try that was
/// never sent is the endpoint's alone, and counts always.
#[derive(Debug, Default)]
pub struct Blame {
    spent: bool,
}

// === impl Blame ===

impl Blame {
    fn weigh(&mut self, outcome: Outcome, progress: Progress) -> Outcome {
        if !outcome.is_failure() || progress == Progress::Unsent {
            return outcome;
        }
        if std::mem::replace(&mut self.spent, true) {
            Outcome::Ignored
        } else {
            outcome
        }
    }
}

// === impl Judge ===

impl Judge<'_> {
    /// An attempt at `seat`, let in at `began`, came to the head of an answer, or failed before it.
    pub fn attempted(
        &self,
        (seat, began): (&Seat, Instant),
        ended: &Result<Sent, Box<AttemptError>>,
        blame: &mut Blame,
    ) {
        let (outcome, progress) = match ended {
            Ok(sent) => {
                let (status, headers) = (sent.response.status(), sent.response.headers());
                (outcome_of_status(status, headers), Progress::Sent)
            }
            Err(error) => (error.outcome, error.progress),
        };
        took(&seat.endpoint, ended, outcome, Instant::now());
        let ended = Ended {
            outcome: blame.weigh(outcome, progress),
            failed: outcome.is_failure().then(|| what_failed(ended)),
            took: ended.as_ref().ok().and_then(|sent| {
                let timely = sent.response.status() != StatusCode::TOO_MANY_REQUESTS;
                (outcome == Outcome::Success && timely).then_some(sent.first_byte)
            }),
            began,
        };
        self.report(seat, &ended);
    }

    /// The body of an answer broke off. Counts against the endpoint only where it is the endpoint's doing.
    pub fn broke_off(&self, (seat, began): (&Seat, Instant), fault: &Fault, blame: &mut Blame) {
        let endpoints_doing = matches!(
            fault.kind,
            Kind::ResponseIncomplete
                | Kind::BodyReset
                | Kind::BodyMalformed
                | Kind::ResponseStalled
        );
        if endpoints_doing {
            let ended = Ended {
                outcome: blame.weigh(Outcome::RemoteFailure, Progress::Sent),
                failed: Some(Failed::Fault(fault.facts().title)),
                took: None,
                began,
            };
            self.report(seat, &ended);
        }
    }

    fn report(&self, seat: &Seat, ended: &Ended) {
        let (endpoint, now) = (&seat.endpoint, Instant::now());
        let plan = self.plan.ejection.as_ref();
        if let Some(change) = self.seats.report(endpoint, ended, plan, now) {
            let why = endpoint.sentence(self.plan, now);
            announce(change, &endpoint.id, &why, self.handles);
        }
    }
}

fn what_failed(ended: &Result<Sent, Box<AttemptError>>) -> Failed {
    match ended {
        Ok(sent) => Failed::Status(sent.response.status()),
        Err(error) => Failed::Fault(error.fault.facts().title),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_tries_of_one_request_the_first_failure_that_was_sent_counts() {
        use Outcome::{Ignored, LocalFailure, RemoteFailure, Success};
        use Progress::{Sent, Unsent};
        let told = |tries: &[(Outcome, Progress)]| -> Vec<Outcome> {
            let mut blame = Blame::default();
            let tries = tries.iter();
            tries
                .map(|(outcome, sent)| blame.weigh(*outcome, *sent))
                .collect()
        };
        assert_eq!(
            told(&[
                (RemoteFailure, Sent),
                (LocalFailure, Sent),
                (RemoteFailure, Sent)
            ]),
            [RemoteFailure, Ignored, Ignored]
        );
        assert_eq!(
            told(&[
                (LocalFailure, Unsent),
                (RemoteFailure, Sent),
                (LocalFailure, Unsent)
            ]),
            [LocalFailure, RemoteFailure, LocalFailure]
        );
        assert_eq!(
            told(&[(Ignored, Sent), (RemoteFailure, Sent), (Success, Sent)]),
            [Ignored, RemoteFailure, Success]
        );
    }
}
