//! A request as it passes from HTTP to the service, and its response back.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{Router, body::Body as AxumBody};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, EXPECT},
};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio_util::task::TaskTracker;
use tower::Service;
use tower_http::catch_panic::{CatchPanic, ResponseForPanic};

use super::{
    activity::Activity,
    body::{Leftover, Open, RequestBody, ResponseBody},
    streams::{Handed, Newborn},
};
use crate::proxy::ConnectionFacts;

/// What hyper calls for each request of one connection.
pub(super) struct Exchange {
    router: Router,
    facts: Arc<ConnectionFacts>,
    activity: Arc<Activity>,
    leftover: Arc<Leftover>,
    streams: TaskTracker,
    newborn: Arc<Newborn>,
}

/// The router of a listener: whatever comes goes to `service`, whose panics become `panicked`'s answers.
pub(super) fn router<S, P>(service: S, panicked: P) -> Router
where
    S: Service<Request<AxumBody>, Response = Response<AxumBody>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    P: ResponseForPanic<ResponseBody = AxumBody> + Clone + Send + Sync + 'static,
{
    Router::new().fallback_service(Faithful(CatchPanic::custom(service, panicked)))
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn new(
        router: Router,
        facts: Arc<ConnectionFacts>,
        activity: Arc<Activity>,
        leftover: Arc<Leftover>,
        streams: TaskTracker,
        newborn: Arc<Newborn>,
    ) -> Self {
        Self {
            router,
            facts,
            activity,
            leftover,
            streams,
            newborn,
        }
    }

    fn body(&self, request: Request<Incoming>) -> Request<AxumBody> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Arc::clone(&self.facts));
        let body = if body.is_end_stream() {
            AxumBody::empty()
        } else {
            let withheld = parts.headers.contains_key(EXPECT);
            AxumBody::new(RequestBody::new(
                body,
                &self.activity,
                &self.leftover,
                &self.streams,
                withheld,
            ))
        };
        Request::from_parts(parts, body)
    }
}

impl hyper::service::Service<Request<Incoming>> for Exchange {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answering<<Router as Service<Request<AxumBody>>>::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let open = Open::begin(&self.activity);
        let stream = (request.version() == Version::HTTP_2).then(|| self.newborn.begin());
        let request = self.body(request);
        // A router is always ready.
        let answer = Service::<Request<AxumBody>>::call(&mut self.router.clone(), request);
        Answering {
            answer,
            stream,
            open: Some(open),
        }
    }
}

pin_project! {
    /// A response that is awaited.
    pub(super) struct Answering<F> {
        #[pin]
        answer: F,
        stream: Option<Arc<Handed>>,
        open: Option<Open>,
    }
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Response<AxumBody>, Infallible>>,
{
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.open.is_none() {
            return Poll::Pending; // polled after its end: nothing will come
        }
        let mut response = ready!(this.answer.poll(cx))?;
        let Some(open) = this.open.take() else {
            return Poll::Pending;
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            open.becomes_tunnel();
        } else if open.must_say_last() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let stream = this.stream.take();
        Poll::Ready(Ok(
            response.map(|body| ResponseBody::new(body, stream, open))
        ))
    }
}

/// Keeps axum from adding `content-length: 0` where the head speaks of a body that is not sent: to HEAD, and
/// with 204 and 304 (RFC 9110 section 8.6).
#[derive(Clone)]
struct Faithful<S>(S);

impl<S, B> Service<Request<AxumBody>> for Faithful<S>
where
    S: Service<Request<AxumBody>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<AxumBody>;
    type Error = Infallible;
    type Future = FaithfulAnswer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<AxumBody>) -> Self::Future {
        FaithfulAnswer {
            head_only: request.method() == Method::HEAD,
            answer: self.0.call(request),
        }
    }
}

pin_project! {
    struct FaithfulAnswer<F> {
        #[pin]
        answer: F,
        head_only: bool,
    }
}

impl<F, B> Future for FaithfulAnswer<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Output = Result<Response<AxumBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.answer.poll(cx))?;
        let bodiless = matches!(
            response.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS
        );
        let head_only = *this.head_only || bodiless;
        Poll::Ready(Ok(response.map(|body| {
            if head_only {
                AxumBody::new(Unsaid { body })
            } else {
                AxumBody::new(body)
            }
        })))
    }
}

pin_project! {
    /// A body that does not say how long it is.
    struct Unsaid<B> {
        #[pin]
        body: B,
    }
}

impl<B: Body> Body for Unsaid<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
