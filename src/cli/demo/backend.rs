//! A service that collapses when it is overrun, as real ones do.
//!
//! It has a fixed number of workers and a queue without manners: everybody may wait, for as long as they like.
//! The longer the queue, the slower each worker (memory, locks, garbage), up to eight times; and work goes on
//! after its client has left. So what it finishes in time does not level off at its capacity: it falls.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How a [`Backend`] behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fragility {
    /// How many requests are worked on at a time.
    pub workers: u32,
    /// The mean time that one takes, exponentially distributed.
    pub service: Duration,
    /// By which share of itself a full queue's worth of waiting requests slows each of them.
    pub collapse: f64,
    /// How many may wait; one more is answered 503.
    pub max_waiting: u32,
}

impl Default for Fragility {
    fn default() -> Self {
        Self {
            workers: 16,
            service: Duration::from_millis(20),
            collapse: 0.2,
            max_waiting: 50_000,
        }
    }
}

impl Fragility {
    /// How many requests a second it can finish at best.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        f64::from(self.workers) / self.service.as_secs_f64()
    }
}

/// The most by which a long queue slows the work.
const SLOWEST: f64 = 8.0;

/// A running backend; dropped, it ends.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    stop: CancellationToken,
    shop: Arc<Shop>,
}

#[derive(Debug)]
struct Shop {
    fragility: Fragility,
    places: Semaphore,
    // Relaxed is enough: it only sets how slow the work is.
    waiting: AtomicU32,
    work: TaskTracker,
}

// === impl Backend ===

impl Backend {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub async fn start(address: SocketAddr, fragility: Fragility) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let places = Semaphore::new(usize::try_from(fragility.workers).unwrap_or(usize::MAX));
        let shop = Arc::new(Shop {
            fragility,
            places,
            waiting: AtomicU32::new(0),
            work: TaskTracker::new(),
        });
        shop.work
            .spawn(Arc::clone(&shop).accept(listener, stop.clone()));
        Ok(Self {
            address,
            stop,
            shop,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests wait for a worker.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.shop.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

// === impl Shop ===

impl Shop {
    async fn accept(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                biased; // stop first
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (shop, stop) = (Arc::clone(&self), stop.clone());
            self.work.spawn(async move {
                let service = service_fn(move |request| Arc::clone(&shop).answer(request));
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    biased; // stop first
                    () = stop.cancelled() => {}
                    _ = serving => {}
                }
            });
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/healthz" {
            return Ok(text(StatusCode::OK, "alive\n"));
        }
        if self.waiting.load(Ordering::Relaxed) >= self.fragility.max_waiting {
            return Ok(text(StatusCode::SERVICE_UNAVAILABLE, "too many wait\n"));
        }
        let (done, finished) = oneshot::channel();
        // On its own: it goes on when the client has left, as a query in a database does.
        self.work.spawn(Arc::clone(&self).work(done));
        let _ = finished.await;
        Ok(text(StatusCode::OK, "done\n"))
    }

    async fn work(self: Arc<Self>, done: oneshot::Sender<()>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = self.places.acquire().await;
        let waiting = self
            .waiting
            .fetch_sub(1, Ordering::Relaxed)
            .saturating_sub(1);
        let crowding =
            1.0 + self.fragility.collapse * f64::from(waiting) / f64::from(self.fragility.workers);
        let drawn = -f64::ln(1.0 - rand::random::<f64>());
        tokio::time::sleep(
            self.fragility
                .service
                .mul_f64(drawn * crowding.min(SLOWEST)),
        )
        .await;
        drop(place);
        let _ = done.send(());
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
