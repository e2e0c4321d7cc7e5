//! What the end of a try says of its endpoint's load.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::{
    admission::Outcome,
    config::OutcomePlan,
    fault::{Cause, Fault, Kind},
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The head of an answer came after `took`.
pub(super) fn of_answer(
    plan: &OutcomePlan,
    status: StatusCode,
    headers: &HeaderMap,
    took: Duration,
) -> Outcome {
    let grpc = headers
        .get(GRPC_STATUS)
        .and_then(|value| value.to_str().ok())
        .and_then(|code| code.parse::<u8>().ok());
    let grpc_dropped = grpc.is_some_and(|code| plan.grpc_dropped.binary_search(&code).is_ok());
    if grpc_dropped || plan.dropped.binary_search(&status).is_ok() {
        Outcome::Dropped
    } else if plan.ignored.binary_search(&status).is_ok()
        || status == StatusCode::SWITCHING_PROTOCOLS
    {
        Outcome::Ignored
    } else {
        Outcome::Succeeded { took }
    }
}

/// There is no answer.
pub(super) fn of_fault(fault: &Fault) -> Outcome {
    match (fault.kind, fault.facts().cause) {
        (Kind::FirstByteTimeout | Kind::RequestTimeout, _) => Outcome::TimedOut,
        // What was never sent, or sent nowhere, is not the endpoint's load.
        (
            Kind::ConnectRefused
            | Kind::HostUnreachable
            | Kind::NetUnreachable
            | Kind::PortsExhausted
            | Kind::DescriptorsExhausted,
            _,
        )
        | (_, Cause::Client | Cause::Internal | Cause::Config | Cause::Dns) => Outcome::Ignored,
        (_, Cause::Overload | Cause::Communication | Cause::Network | Cause::Application) => {
            Outcome::Dropped
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn plan() -> OutcomePlan {
        OutcomePlan {
            dropped: [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::SERVICE_UNAVAILABLE,
            ]
            .into(),
            ignored: [StatusCode::NOT_FOUND].into(),
            grpc_dropped: [8, 14].into(),
        }
    }

    fn answer(status: StatusCode, grpc: Option<&'static str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(code) = grpc {
            headers.insert(GRPC_STATUS, HeaderValue::from_static(code));
        }
        of_answer(&plan(), status, &headers, Duration::from_millis(3))
    }

    #[test]
    fn statuses_mean_what_the_route_says() {
        let fine = Outcome::Succeeded {
            took: Duration::from_millis(3),
        };
        assert_eq!(answer(StatusCode::OK, None), fine);
        assert_eq!(answer(StatusCode::INTERNAL_SERVER_ERROR, None), fine);
        assert_eq!(
            answer(StatusCode::SERVICE_UNAVAILABLE, None),
            Outcome::Dropped
        );
        assert_eq!(answer(StatusCode::NOT_FOUND, None), Outcome::Ignored);
        assert_eq!(answer(StatusCode::OK, Some("14")), Outcome::Dropped);
        assert_eq!(answer(StatusCode::OK, Some("5")), fine);
    }

    #[test]
    fn a_time_out_is_told_from_a_reset_and_from_what_the_client_did() {
        let of = |kind| of_fault(&Fault::new(kind));
        assert_eq!(of(Kind::FirstByteTimeout), Outcome::TimedOut);
        assert_eq!(of(Kind::ConnectionReset), Outcome::Dropped);
        assert_eq!(of(Kind::ConnectTimeout), Outcome::Dropped);
        assert_eq!(of(Kind::ConnectRefused), Outcome::Ignored);
        assert_eq!(of(Kind::BodyTooLarge), Outcome::Ignored);
    }
}
