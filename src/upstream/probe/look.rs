//! A check that is looked at: what was answered, how soon, and how long the connection may rest.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, Version};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, sleep};

use super::EndpointProbe;
use crate::{
    health::{CheckFailure, Passed},
    upstream::{classify, reply::Hold},
};

/// The largest body that is read before a connection rests.
const MOST_BODY: usize = 1 << 20;
/// How often a connection that rests is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The answer to a check, and what is to be known of it beside whether it passes.
#[derive(Debug)]
pub struct Looked {
    /// The status.
    pub status: StatusCode,
    /// The protocol that it came by.
    pub version: Version,
    /// The fields of its head.
    pub headers: HeaderMap,
    /// From the request's going out to the head.
    pub first_byte: Duration,
    /// When the request went out, and when the head was there.
    pub between: (SystemTime, SystemTime),
    /// Whether it passes.
    pub verdict: Result<Passed, CheckFailure>,
}

/// How long an endpoint leaves a connection open that rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It closed it after this time.
    Closed(Duration),
    /// It was still open when we had waited enough.
    Open,
    /// It is HTTP/2, where an endpoint says that it goes before it does.
    Shared,
}

// === impl EndpointProbe ===

impl EndpointProbe {
    /// One check, looked at. A plan that only connects asks for `/`, and takes any answer. It needs no more time than
    /// the caller gives it.
    ///
    /// # Errors
    /// Why there is no answer.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connection.
    pub async fn look(&self) -> Result<Looked, CheckFailure> {
        let check = &self.plan.check;
        let asked = SystemTime::now();
        let exchanged = self.ask(check).await;
        let exchanged = exchanged.map_err(|fault| classify::check_failure(&fault))?;
        let now = SystemTime::now();
        let (response, took) = (exchanged.response, exchanged.took);
        Ok(Looked {
            status: response.status(),
            version: response.version(),
            headers: response.headers().clone(),
            first_byte: took,
            between: (now.checked_sub(took).unwrap_or(asked), now),
            verdict: self.judge(response, check).await,
        })
    }

    /// Asks once, reads the answer, and leaves the connection alone until the endpoint closes it, for `within` at most.
    ///
    /// # Errors
    /// Why there is no answer, or not all of it.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connection.
    pub async fn rest(&self, within: Duration) -> Result<Rest, CheckFailure> {
        let exchanged = self.ask(&self.plan.check).await;
        let exchanged = exchanged.map_err(|fault| classify::check_failure(&fault))?;
        let Hold::Http1(line) = exchanged.connection else {
            return Ok(Rest::Shared);
        };
        let body = Limited::new(exchanged.response.into_body(), MOST_BODY);
        let read = body.collect().await;
        read.map_err(|_| CheckFailure::Protocol("the body breaks off, or is too long".into()))?;
        let began = Instant::now();
        loop {
            let rested = began.elapsed();
            if line.is_closed() {
                return Ok(Rest::Closed(rested));
            }
            if rested >= within {
                return Ok(Rest::Open);
            }
            sleep(LOOK_EVERY.min(within.saturating_sub(rested))).await;
        }
    }
}
