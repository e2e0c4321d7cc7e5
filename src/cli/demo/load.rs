//! An open-loop load: requests come when they come, whether or not the last ones were answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{net::TcpStream, time::Instant};
use tokio_util::task::TaskTracker;

/// How clients behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clients {
    /// After this, a client leaves.
    pub patience: Duration,
    /// An answer later than this is of no use.
    pub in_time: Duration,
    /// How many requests may be under way; one more counts as lost at once.
    pub max_under_way: usize,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(1),
            in_time: Duration::from_millis(200),
            max_under_way: 4_000,
        }
    }
}

/// What became of the requests of one stretch of time, by when they were sent or answered in it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Sent.
    pub offered: u64,
    /// Answered 2xx, however late.
    pub answered: u64,
    /// Answered 2xx in time.
    pub good: u64,
    /// Refused with 429 or 503.
    pub shed: u64,
    /// Failed in any other way, or given up by the client.
    pub failed: u64,
    /// Times of the 2xx answers, in microseconds; at most [`MAX_TIMES`] of them.
    pub(super) times_us: Vec<u32>,
}

/// How many times a tally keeps.
const MAX_TIMES: usize = 1_000_000;

/// A load against one address.
#[derive(Debug)]
pub struct Load {
    target: SocketAddr,
    host: HeaderValue,
    clients: Clients,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
    tally: Mutex<Tally>,
    under_way: AtomicUsize,
    requests: TaskTracker,
    connections: TaskTracker,
}

enum End {
    Answered(StatusCode, Duration),
    Failed,
}

// === impl Load ===

impl Load {
    /// Clients of `target`; nothing is sent yet.
    #[must_use]
    pub fn new(target: SocketAddr, clients: Clients) -> Arc<Self> {
        Self::of_host(target, HeaderValue::from_static("demo"), clients)
    }

    /// The same, who ask for this `Host`.
    #[must_use]
    pub fn of_host(target: SocketAddr, host: HeaderValue, clients: Clients) -> Arc<Self> {
        Arc::new(Self {
            target,
            host,
            clients,
            idle: Mutex::default(),
            tally: Mutex::default(),
            under_way: AtomicUsize::new(0),
            requests: TaskTracker::new(),
            connections: TaskTracker::new(),
        })
    }

    /// Sends for `how_long` at a rate (per second) that may change with the time since the start.
    ///
    /// Arrivals are a Poisson process. Each is sent at its own time, late or not: a slow server does not slow it.
    pub async fn run(self: &Arc<Self>, how_long: Duration, rate: impl Fn(Duration) -> f64 + Send) {
        let began = Instant::now();
        let mut due = Duration::ZERO;
        loop {
            let gap = -f64::ln(1.0 - rand::random::<f64>()) / rate(due).max(0.001);
            due += Duration::from_secs_f64(gap);
            if due >= how_long {
                return;
            }
            tokio::time::sleep_until(began + due).await;
            self.send_one(began + due);
        }
    }

    /// What happened since the last call.
    #[must_use]
    pub fn take(&self) -> Tally {
        std::mem::take(&mut *self.tally.lock())
    }

    /// Waits until everything under way has ended; at most the clients' patience.
    pub async fn settle(&self) {
        self.requests.close();
        let _ = tokio::time::timeout(self.clients.patience * 2, self.requests.wait()).await;
        self.requests.reopen();
    }

    fn send_one(self: &Arc<Self>, due: Instant) {
        self.tally.lock().offered += 1;
        // Relaxed is enough: the bound may be missed by the few that race for it.
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= self.clients.max_under_way {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            self.tally.lock().failed += 1;
            return;
        }
        let load = Arc::clone(self);
        self.requests.spawn(async move {
            let end =
                match tokio::time::timeout_at(due + load.clients.patience, load.ask(due)).await {
                    Ok(end) => end,
                    Err(_) => End::Failed,
                };
            load.under_way.fetch_sub(1, Ordering::Relaxed);
            load.tally.lock().count(&end, load.clients.in_time);
        });
    }

    async fn ask(&self, due: Instant) -> End {
        let Some(mut sender) = self.connection().await else {
            return End::Failed;
        };
        let mut request = Request::new(Empty::new());
        request
            .headers_mut()
            .insert(header::HOST, self.host.clone());
        let Ok(response) = sender.send_request(request).await else {
            return End::Failed;
        };
        let status = response.status();
        if response.into_body().collect().await.is_err() {
            return End::Failed;
        }
        let took = due.elapsed();
        if sender.ready().await.is_ok() {
            self.idle.lock().push(sender); // bounded by how many are under way
        }
        End::Answered(status, took)
    }

    async fn connection(&self) -> Option<SendRequest<Empty<Bytes>>> {
        loop {
            let resting = self.idle.lock().pop();
            match resting {
                Some(sender) if sender.is_ready() => return Some(sender),
                Some(_) => {}
                None => break,
            }
        }
        let stream = TcpStream::connect(self.target).await.ok()?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        self.connections.spawn(async move {
            let _ = connection.await;
        });
        Some(sender)
    }
}

// === impl Tally ===

impl Tally {
    /// Of no use to who asked: answered too late, failed, or given up.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.answered.saturating_sub(self.good) + self.failed
    }

    /// The time (in milliseconds) within which `share` of the answered requests were answered.
    #[must_use]
    pub fn quantile_ms(&mut self, share: f64) -> f64 {
        self.times_us.sort_unstable();
        let count = self.times_us.len();
        let at = Duration::from_secs_f64(share.clamp(0.0, 1.0)).as_nanos() * count as u128
            / 1_000_000_000;
        let last = count.saturating_sub(1);
        let at = usize::try_from(at).unwrap_or(last).min(last);
        self.times_us
            .get(at)
            .map_or(0.0, |&us| f64::from(us) / 1_000.0)
    }

    /// Adds what another stretch of time had.
    pub fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.answered += other.answered;
        self.good += other.good;
        self.shed += other.shed;
        self.failed += other.failed;
        let room = MAX_TIMES.saturating_sub(self.times_us.len());
        self.times_us.extend(other.times_us.iter().take(room));
    }

    fn count(&mut self, end: &End, in_time: Duration) {
        match end {
            End::Answered(status, took) if status.is_success() => {
                self.answered += 1;
                self.good += u64::from(*took <= in_time);
                if self.times_us.len() < MAX_TIMES {
                    self.times_us
                        .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                }
            }
            End::Answered(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _) => {
                self.shed += 1;
            }
            End::Answered(..) | End::Failed => self.failed += 1,
        }
    }
}
