//! The data path as a tower service, for a listener's router.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use http::{Request, Response};
use tower::Service;

use super::{ConnectionFacts, Entrance, handle::handle, unseen};

/// The whole data path. It never fails: a fault is an answer.
///
/// Each request must carry its connection's `Arc<`[`ConnectionFacts`]`>` as an extension.
#[derive(Debug, Clone)]
pub struct GateService {
    entrance: Arc<Entrance>,
}

impl GateService {
    /// The service behind `entrance`.
    #[must_use]
    pub const fn new(entrance: Arc<Entrance>) -> Self {
        Self { entrance }
    }
}

impl Service<Request<Body>> for GateService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // admission decides, and says so in an answer: back-pressure here would be silent
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let entrance = Arc::clone(&self.entrance);
        let connection = request.extensions_mut().remove::<Arc<ConnectionFacts>>();
        Box::pin(async move {
            if let Some(connection) = connection {
                return Ok(handle(entrance, connection, request).await);
            }
            Ok(unseen::stray(&entrance))
        })
    }
}
