//! One attempt against scripted endpoints, over real sockets on port 0.

mod http1;
mod http2;
mod probe;
mod reuse;
mod tls;
mod told;
mod uploads;

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header::HOST};
use http_body_util::BodyExt;
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    config::{
        BalancePolicy, ConcurrencyMode, ConcurrencyPlan, HostPolicy, NameServers, QueuePlan,
        Stretch, UpstreamPlan, UpstreamProtocol, UpstreamTlsPlan,
    },
    fault::Fault,
    names::{EndpointId, UpstreamName},
    pool::{Registry, Seat, SendBody},
    telemetry::Telemetry,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// A time-out that a test waits for.
const SHORT: Duration = Duration::from_millis(100);

/// An upstream of one endpoint.
struct Rig {
    plan: UpstreamPlan,
    tls: Option<Arc<ClientConfig>>,
    registry: Registry,
    seat: Seat,
}

/// An endpoint that does what a script says, and counts its connections.
struct Script {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

fn plan(protocol: UpstreamProtocol) -> UpstreamPlan {
    UpstreamPlan {
        name: UpstreamName::from("shop"),
        name_servers: NameServers::default(),
        endpoints: Vec::new(),
        groups: vec!["1".into()],
        overprovisioning: 1.4,
        protocol,
        balance: BalancePolicy::LeastRequest,
        connect_timeout: PATIENCE,
        first_byte_timeout: PATIENCE,
        idle_timeout: Duration::from_secs(60),
        host: HostPolicy::Preserve,
        panic_threshold: 0.0,
        tls: None,
        health: None,
        ejection: None,
        concurrency: ConcurrencyPlan {
            mode: ConcurrencyMode::Off,
            shadow: false,
            queue: QueuePlan {
                stretch: Stretch::Never,
                max_waiting: 0,
                max_wait: SHORT,
            },
        },
        slow_start: Duration::ZERO,
        max_connection_age: Duration::from_secs(3600),
    }
}

// === impl Rig ===

impl Rig {
    fn new(address: SocketAddr) -> Self {
        Self::speaking(UpstreamProtocol::Http1, address)
    }

    fn speaking(protocol: UpstreamProtocol, address: SocketAddr) -> Self {
        let registry = Registry::new();
        let endpoint = registry.get_or_new(&EndpointId::new("shop".into(), address));
        Self {
            plan: plan(protocol),
            tls: None,
            seat: Seat::new(endpoint, NonZeroU32::MIN, Some("shop.test")),
            registry,
        }
    }

    fn with_tls(mut self, tls: ClientConfig) -> Self {
        self.plan.tls = Some(UpstreamTlsPlan {
            server_name: None,
            ca: None,
            client: None,
        });
        self.tls = Some(Arc::new(tls));
        self
    }

    fn connector(&self) -> Connector {
        let handles = Telemetry::new().upstream(&self.plan.name);
        Connector::new(&self.plan, self.tls.clone(), handles)
    }

    async fn send(
        &self,
        connector: &Connector,
        request: Request<SendBody>,
    ) -> Result<Sent, Box<AttemptError>> {
        timeout(
            PATIENCE,
            send(connector, &self.seat, request, None, Reuse::Allowed),
        )
        .await
        .expect("an attempt ends")
    }

    /// One attempt with a connector of its own.
    async fn try_once(&self, request: Request<SendBody>) -> Result<Sent, Box<AttemptError>> {
        self.send(&self.connector(), request).await
    }

    async fn fails(&self, request: Request<SendBody>) -> Box<AttemptError> {
        self.try_once(request).await.expect_err("the attempt fails")
    }
}

// === impl Script ===

impl Script {
    /// Runs `script` on each connection, with its number from 0.
    async fn new<F>(script: impl Fn(TcpStream, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let tasks = TaskTracker::new();
        let each = tasks.clone();
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let number = count.fetch_add(1, SeqCst);
                each.spawn(script(stream, number));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Answers each request head with `answer`, on as many connections and as often as asked.
    async fn answering(answer: &'static str) -> Self {
        Self::new(move |mut stream, _| async move {
            while read_head(&mut stream).await.is_some() {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await
    }

    /// Answers the first request with `answer` and closes.
    async fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Bytes::from(answer.into());
        Self::new(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await;
                stream.write_all(&answer).await.ok();
            }
        })
        .await
    }

    fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

/// Reads to the end of a head; `None` where the connection ends before one.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.ok()?;
        head.push(byte);
    }
    String::from_utf8(head).ok()
}

fn request(method: Method, path: &str, body: SendBody) -> Request<SendBody> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_static("shop.example"));
    request
}

fn get() -> Request<SendBody> {
    request(Method::GET, "/", SendBody::Empty)
}

fn post(body: SendBody) -> Request<SendBody> {
    request(Method::POST, "/", body)
}

/// All bytes of an answer, or the fault that it ended with.
async fn read(sent: Sent) -> Result<Bytes, Fault> {
    let body = sent.response.into_body();
    let collected = timeout(PATIENCE, body.collect()).await;
    collected
        .expect("a body ends")
        .map(http_body_util::Collected::to_bytes)
}

/// Waits until `ready`.
async fn until(mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < end, "it never happened");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
