//! What does not depend on the request: made once for each kind of fault.

use std::sync::LazyLock;

use http::HeaderValue;

use crate::fault::Kind;

use super::{fields::proxy_status, page, problem, visitor};

/// The parts of an answer that only the kind of fault decides.
#[derive(Debug)]
pub(super) struct Ready {
    /// `Proxy-Status` without details. A clone shares its bytes.
    pub(super) proxy_status: HeaderValue,
    /// problem+json up to where the request id begins.
    pub(super) problem: Box<str>,
    /// The built-in title of a page.
    pub(super) title: Box<str>,
    /// The built-in sentence of a page.
    pub(super) sentence: Box<str>,
    /// What operators know it by, as rows of the built-in page.
    pub(super) rows: Box<str>,
}

/// By [`Kind::index`].
static READY: LazyLock<Vec<Ready>> =
    LazyLock::new(|| Kind::ALL.iter().copied().map(make).collect());

/// The ready parts of `kind`. `None` cannot be: the list holds every kind.
pub(super) fn of(kind: Kind) -> Option<&'static Ready> {
    READY.get(kind.index())
}

fn make(kind: Kind) -> Ready {
    let status = HeaderValue::try_from(proxy_status(kind));
    Ready {
        proxy_status: status.unwrap_or(HeaderValue::from_static("tidegate")),
        problem: problem::beginning(kind),
        title: page::escaped(visitor::title(kind)).into(),
        sentence: page::escaped(kind.facts().title).into(),
        rows: page::rows(kind),
    }
}
