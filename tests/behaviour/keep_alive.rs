//! Endpoints that close connections which rest, and requests that would meet them as they do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use crate::support::{client, gateway::TestGateway, until};

/// An endpoint that closes what rests for so long, and loses what comes shortly before: in its gap, as if it had been
/// on its way that long.
struct Hasty {
    port: u16,
    closed: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Hasty {
    /// Closes after `idle`; `fields` stand in each of its answers.
    async fn start(idle: Duration, gap: Duration, fields: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a bound socket").port();
        let (closed, lost) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        let (closes, loses) = (Arc::clone(&closed), Arc::clone(&lost));
        tasks.spawn(async move {
            let mut each = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (closes, loses) = (Arc::clone(&closes), Arc::clone(&loses));
                each.spawn(async move {
                    match serve(stream, (idle, gap), fields).await {
                        End::Rested => closes.fetch_add(1, SeqCst),
                        End::Lost => loses.fetch_add(1, SeqCst),
                        End::Left => 0,
                    }
                });
            }
        });
        Self {
            port,
            closed,
            lost,
            _tasks: tasks,
        }
    }

    fn closed(&self) -> usize {
        self.closed.load(SeqCst)
    }
}

enum End {
    Rested,
    Lost,
    Left,
}

async fn serve(mut stream: TcpStream, (idle, gap): (Duration, Duration), fields: &str) -> End {
    let mut rests: Option<Instant> = None;
    let mut head = Vec::new();
    loop {
        let byte = match rests {
            Some(since) => match timeout_at(since + idle, stream.read_u8()).await {
                Ok(byte) => byte,
                Err(_) => return End::Rested,
            },
            None => stream.read_u8().await,
        };
        let Ok(byte) = byte else { return End::Left };
        if rests
            .take()
            .is_some_and(|since| since.elapsed() > idle.saturating_sub(gap))
        {
            return End::Lost;
        }
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return End::Left;
        }
        rests = Some(Instant::now());
    }
}

fn config(upstream: &Hasty, more: &str) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"127.0.0.1:{}\" }}]\nejection = {{ enabled = false }}\n{more}\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\nretry = {{ attempts = 1 }}\n",
        upstream.port
    )
}

async fn post(gate: &TestGateway) -> u16 {
    let request = client::request("POST", "/", "");
    client::send(gate.web, request).await.status.as_u16()
}

/// What is known of the endpoint's time-out.
async fn keep_alive(gate: &TestGateway) -> serde_json::Value {
    let text = client::admin(gate.admin, "/api/v1/upstreams").await.text();
    let page: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    page[0]["endpoints"][0]["keep_alive_ms"].clone()
}

#[tokio::test]
async fn what_an_endpoint_closes_is_learned_and_no_request_is_lost_from_then_on() {
    let (idle, gap) = (Duration::from_millis(300), Duration::from_millis(10));
    let upstream = Hasty::start(idle, gap, "").await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    assert!(keep_alive(&gate).await.is_null());
    for closes in 1..=3 {
        assert_eq!(post(&gate).await, 200);
        until("it rests too long", || upstream.closed() == closes).await;
    }
    let known = || gate.gateway.snapshot().upstreams[0].seats.as_slice()[0].clone();
    let timeout = || known().endpoint.connections.keep_alive().timeout();
    until("it is learned", || timeout().is_some()).await;
    let known = keep_alive(&gate).await.as_u64().expect("a number");
    assert!((200..=400).contains(&known), "{known}");

    // It belongs to the endpoint, whatever the config.
    gate.reload(&config(&upstream, "idle_timeout = \"50s\"\n"))
        .await;
    assert_eq!(keep_alive(&gate).await.as_u64(), Some(known));

    for _ in 0..6 {
        assert_eq!(post(&gate).await, 200);
        sleep(idle.saturating_sub(gap / 2)).await;
    }
    assert_eq!(upstream.lost.load(SeqCst), 0);
    let series = "tidegate_endpoint_keep_alive_seconds";
    let text = client::admin(gate.admin, "/metrics").await.text();
    assert!(text.contains(series), "{text}");
}

#[tokio::test]
async fn what_an_endpoint_tells_is_kept_to_from_its_first_answer_on() {
    let (idle, gap) = (Duration::from_secs(1), Duration::from_millis(50));
    let upstream = Hasty::start(idle, gap, "keep-alive: timeout=1, max=100\r\n").await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    assert_eq!(post(&gate).await, 200);
    assert_eq!(keep_alive(&gate).await.as_u64(), Some(1000));
    for _ in 0..3 {
        sleep(idle.saturating_sub(gap / 2)).await;
        assert_eq!(post(&gate).await, 200);
    }
    assert_eq!(upstream.lost.load(SeqCst), 0);
}

#[tokio::test]
async fn without_that_knowledge_a_request_in_the_gap_is_lost() {
    let (idle, gap) = (Duration::from_secs(1), Duration::from_millis(50));
    let upstream = Hasty::start(idle, gap, "").await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(post(&gate).await);
        if upstream.lost.load(SeqCst) > 0 {
            break;
        }
        sleep(idle.saturating_sub(gap / 2)).await;
    }
    assert!(statuses.contains(&502), "{statuses:?}");
}
