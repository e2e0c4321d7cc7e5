//! What the answer to a check says.

use bytes::Buf;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::grpc;
use crate::{
    config::{BodyPlan, DegradedPlan, HttpCheckPlan},
    health::{CheckFailure, Passed},
    upstream::classify,
};

/// Whether an answer over HTTP passes.
///
/// Of the body no more is read than the plan's bound, and nothing where no text is expected: the rest goes with the
/// connection, however long it is.
pub(super) async fn http(
    response: Response<Incoming>,
    plan: &HttpCheckPlan,
    degraded: Option<&DegradedPlan>,
) -> Result<Passed, CheckFailure> {
    let (status, passed) = (
        response.status(),
        passed(response.status(), response.headers(), degraded),
    );
    let says_degraded = degraded.is_some_and(|plan| plan.statuses.contains(status));
    if !plan.expected.contains(status) && !says_degraded {
        return Err(CheckFailure::Status(status));
    }
    if let Some(body) = &plan.body {
        holds(response.into_body(), body).await?;
    }
    Ok(passed)
}

/// Whether an answer of the gRPC health protocol passes: a message that says SERVING, and status 0 after it.
pub(super) async fn grpc(
    response: Response<Incoming>,
    degraded: Option<&DegradedPlan>,
) -> Result<Passed, CheckFailure> {
    let (status, headers) = (response.status(), response.headers());
    if status != StatusCode::OK {
        return Err(CheckFailure::Status(status));
    }
    let speaks = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
    if !headers.get(CONTENT_TYPE).is_some_and(speaks) {
        return Err(CheckFailure::Protocol("the answer is not gRPC".into()));
    }
    let passed = passed(status, headers, degraded);
    grpc::status(headers)?; // an answer of a head alone has it there
    let mut body = response.into_body();
    let mut message = Vec::new();
    let mut ended = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| classify::check_failure(&classify::body(&error)))?;
        match frame.into_data() {
            Ok(mut bytes) => {
                if message.len() + bytes.remaining() > grpc::MAX_MESSAGE {
                    return Err(CheckFailure::Protocol("the message is too long".into()));
                }
                message.extend_from_slice(&bytes.copy_to_bytes(bytes.remaining()));
            }
            Err(frame) => ended = frame.into_trailers().ok(),
        }
    }
    match ended.as_ref().map(grpc::status).transpose()? {
        Some(true) => grpc::serving(&message).map(|()| passed),
        _ => Err(CheckFailure::Protocol(
            "it ends without a gRPC status".into(),
        )),
    }
}

fn passed(status: StatusCode, headers: &HeaderMap, degraded: Option<&DegradedPlan>) -> Passed {
    let Some(plan) = degraded else {
        return Passed::Whole;
    };
    let says = plan.header.as_ref().is_some_and(|(name, wanted)| {
        let mut values = headers.get_all(name).iter();
        values.any(|value| wanted.as_ref().is_none_or(|wanted| same(wanted, value)))
    });
    if says || plan.statuses.contains(status) {
        Passed::Degraded
    } else {
        Passed::Whole
    }
}

/// Values of fields that say how somebody is are compared as words are.
fn same(wanted: &HeaderValue, value: &HeaderValue) -> bool {
    wanted.as_bytes().eq_ignore_ascii_case(value.as_bytes())
}

/// Reads until the text is there, the bound is reached or the body ends.
async fn holds(mut body: Incoming, plan: &BodyPlan) -> Result<(), CheckFailure> {
    let mut sought = Sought::new(plan);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| classify::check_failure(&classify::body(&error)))?;
        if let Ok(bytes) = frame.into_data() {
            match sought.take(&bytes) {
                Found::Yes => return Ok(()),
                Found::NotYet => {}
                Found::TooLate => break,
            }
        }
    }
    Err(CheckFailure::Body { read: sought.read })
}

/// A text that is looked for in bytes that come in pieces. It keeps as many as the text has, less one.
#[derive(Debug)]
struct Sought<'a> {
    plan: &'a BodyPlan,
    /// The end of what was read, in which the text may have begun.
    kept: Vec<u8>,
    read: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Yes,
    NotYet,
    /// No more bytes are to be read.
    TooLate,
}

// === impl Sought ===

impl<'a> Sought<'a> {
    fn new(plan: &'a BodyPlan) -> Self {
        Self {
            plan,
            kept: Vec::new(),
            read: 0,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Found {
        let left = self.plan.within.saturating_sub(self.read);
        let bytes = bytes.get(..left).unwrap_or(bytes);
        self.read = self.read.saturating_add(bytes.len());
        self.kept.extend_from_slice(bytes);
        let text = self.plan.text.as_bytes();
        if self
            .kept
            .windows(text.len().max(1))
            .any(|window| window == text)
        {
            return Found::Yes;
        }
        let needed = text.len().saturating_sub(1);
        self.kept.drain(..self.kept.len().saturating_sub(needed));
        if self.read < self.plan.within {
            Found::NotYet
        } else {
            Found::TooLate
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(within: usize) -> BodyPlan {
        BodyPlan {
            text: "all is well".into(),
            within,
        }
    }

    #[test]
    fn a_text_is_found_however_it_is_cut() {
        let body = b"<p>say: all is all is well</p>";
        let plan = plan(1024);
        for size in 1..=body.len() {
            let mut sought = Sought::new(&plan);
            let found = body
                .chunks(size)
                .any(|piece| sought.take(piece) == Found::Yes);
            assert!(found, "in pieces of {size}");
        }
    }

    #[test]
    fn nothing_is_looked_for_beyond_the_bound() {
        let body = b"0123all is well";
        for (within, found) in [(15, Found::Yes), (16, Found::Yes), (14, Found::TooLate)] {
            assert_eq!(Sought::new(&plan(within)).take(body), found, "{within}");
        }
        let plan = plan(64);
        let mut sought = Sought::new(&plan);
        assert_eq!(sought.take(&[b'x'; 63]), Found::NotYet);
        assert_eq!(sought.take(&[b'x'; 1 << 12]), Found::TooLate);
        assert_eq!(sought.read, 64);
        assert!(sought.kept.len() < plan.text.len());
    }
}
