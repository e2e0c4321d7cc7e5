//! A scripted upstream.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a scripted upstream answers with.
pub type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// An upstream on a port of its own; dropped, it closes everything at once.
pub struct Upstream {
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Upstream {
    /// Answers every request with what `script` makes of it.
    pub async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), script).await
    }

    /// The same, at an address of the test's choice.
    pub async fn start_at<S, F>(address: SocketAddr, script: S) -> Self
    where
        S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (requests, connections) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stop = CancellationToken::new();
        let (script, tasks) = (Arc::new(script), TaskTracker::new());
        let upstream = Self {
            address,
            requests: Arc::clone(&requests),
            connections: Arc::clone(&connections),
            stop: stop.clone(),
        };
        let inner = tasks.clone();
        tasks.spawn(async move {
            loop {
                let stream = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted.expect("accepted").0,
                };
                connections.fetch_add(1, Ordering::Relaxed);
                let (script, requests, stop) =
                    (Arc::clone(&script), Arc::clone(&requests), stop.clone());
                inner.spawn(async move {
                    let service = service_fn(move |request| {
                        requests.fetch_add(1, Ordering::Relaxed);
                        let answer = script(request);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let serving =
                        builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = serving => {}
                    }
                });
            }
        });
        upstream
    }

    /// Answers everything with 200 and `text`.
    pub async fn saying(text: &'static str) -> Self {
        Self::start(move |_| async move { answer(200, text) }).await
    }

    /// How many requests it has seen.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Ends it at once, as kill -9 would.
    pub fn kill(&self) {
        self.stop.cancel();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer of `status` with `text` as its body.
pub fn answer(status: u16, text: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .body(Full::new(text.into()).boxed_unsync())
        .expect("an answer")
}
