//! What becomes of a request that nothing can serve: the route's fallback, once.
//!
//! Where it is refused for want of capacity it stays refused: a fallback would carry an overload on to the next.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};

use super::{
    attempt::Failed,
    forward::{Place, admit},
    trail::Trail,
};
use crate::{
    admission::Wish,
    fault::{Cause, Fault, Kind, Stage},
    pool::SendBody,
    respond,
    snapshot::{FallsTo, RouteLive},
};

/// What is there in place of the route's upstream.
pub(super) enum Instead {
    /// An answer of the gateway's own.
    Page(Response<Bytes>),
    /// A place at another upstream.
    Place(Place),
}

/// What there is for a request that ended with `fault` before any endpoint saw it.
///
/// # Errors
/// The same fault where there is no fallback for it; else the fallback's own.
pub(super) async fn instead(
    live: &RouteLive,
    fault: Fault,
    wish: &Wish,
    trail: &mut Trail,
) -> Result<Instead, Fault> {
    let fallback = live.fallback.as_ref();
    let Some(fallback) = fallback.filter(|_| !trail.fell_back() && cannot_serve(fault.kind)) else {
        return Err(fault);
    };
    match &fallback.to {
        FallsTo::Page {
            status,
            content_type,
            body,
        } => {
            let page = respond::sorry(*status, content_type.as_ref(), body.clone(), &fault);
            fallback.handles.taken();
            trail.falls_back(fallback.word, fault);
            Ok(Instead::Page(page))
        }
        FallsTo::Target(index) => {
            if leads_back(live, *index, trail) {
                return Err(fault);
            }
            fallback.handles.taken();
            trail.falls_back(fallback.word, fault);
            trail.takes_target(*index);
            let upstream = trail.upstream().map(Arc::clone);
            let upstream = upstream.ok_or_else(|| Fault::new(Kind::Internal))?;
            let wish = Wish {
                route: trail.route_number(),
                ..*wish
            };
            let held = admit(&upstream, &wish, trail).await?;
            Ok(Instead::Place(Place {
                upstream,
                held,
                wish,
            }))
        }
    }
}

/// The same after tries that all failed. With a place elsewhere comes the request as it was.
///
/// # Errors
/// As [`instead`]; the fault of the tries also where the request cannot be sent again.
pub(super) async fn after(
    live: &RouteLive,
    failed: Failed,
    host: Option<HeaderValue>,
    wish: &Wish,
    trail: &mut Trail,
) -> Result<(Instead, Option<Request<SendBody>>), Fault> {
    let Failed { fault, mut replay } = failed;
    let leads_on = matches!(
        live.fallback.as_ref().map(|fallback| &fallback.to),
        Some(FallsTo::Target(_))
    );
    if leads_on && !replay.is_whole() {
        return Err(fault);
    }
    let instead = instead(live, fault, wish, trail).await?;
    let Instead::Place(_) = &instead else {
        return Ok((instead, None));
    };
    let mut request = replay.next()?;
    put_host(request.headers_mut(), host);
    Ok((instead, Some(request)))
}

/// The Host of the request as it was before a try may have put an endpoint's in its place.
fn put_host(headers: &mut HeaderMap, host: Option<HeaderValue>) {
    match host {
        Some(host) => headers.insert(header::HOST, host),
        None => headers.remove(header::HOST),
    };
}

/// Whether the request went to the fallback's upstream as it is: a split may name it too.
fn leads_back(live: &RouteLive, index: usize, trail: &Trail) -> bool {
    let upstream_of = |index: usize| live.targets.get(index).map(|target| target.upstream);
    let taken = trail.target().and_then(upstream_of);
    taken == upstream_of(index)
}

/// Whether a fault says that nothing can serve: no endpoint, no address, or no connection.
const fn cannot_serve(kind: Kind) -> bool {
    let facts = kind.facts();
    matches!(kind, Kind::NoEndpoint)
        || matches!(facts.cause, Cause::Dns | Cause::Network)
        || matches!(facts.stage, Stage::UpstreamTls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_want_of_capacity_or_was_sent_or_is_the_clients_stays() {
        for kind in Kind::ALL.iter().copied().filter(|kind| cannot_serve(*kind)) {
            let facts = kind.facts();
            assert!(
                !matches!(
                    facts.cause,
                    Cause::Overload | Cause::Client | Cause::Config | Cause::Internal
                ),
                "{kind:?}"
            );
            let before_it_was_sent = [
                Stage::Pick,
                Stage::Resolve,
                Stage::Connect,
                Stage::UpstreamTls,
            ];
            assert!(before_it_was_sent.contains(&facts.stage), "{kind:?}");
        }
        for kind in [
            Kind::NoEndpoint,
            Kind::ConnectRefused,
            Kind::NameNotFound,
            Kind::AddressProhibited,
            Kind::TlsTimeout,
            Kind::TlsExpired,
        ] {
            assert!(cannot_serve(kind), "{kind:?}");
        }
        assert!(!cannot_serve(Kind::ConnectionClosed), "it was sent");
        assert!(!cannot_serve(Kind::PortsExhausted), "our own want");
    }
}
