//! The client's side of a test: bytes out, bytes in, and what they say.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    client::{self, GENEROUS},
    gateway::TestGateway,
};

/// One route for everything to `address`, with what follows under `[upstreams.up]` and under the route.
pub fn config(address: SocketAddr, of_upstream: &str, of_route: &str) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{address}\" }}]\n{of_upstream}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n{of_route}\n"
    )
}

/// A gateway with that route.
pub async fn gate(address: SocketAddr, of_upstream: &str, of_route: &str) -> TestGateway {
    TestGateway::start(&config(address, of_upstream, of_route)).await
}

/// The same, with keys of its listener.
pub async fn gate_with(address: SocketAddr, of_listener: &str, of_upstream: &str) -> TestGateway {
    let listener =
        format!("[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n{of_listener}\n");
    TestGateway::start(&(listener + &config(address, of_upstream, ""))).await
}

/// Writes as much as is taken and reads until the gateway closes, however it does that.
pub async fn shout(web: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let stream = TcpStream::connect(web).await.expect("connected");
    let (mut from, mut to) = stream.into_split();
    let bytes = bytes.as_ref();
    let mut answer = Vec::new();
    let talk = async {
        let write = async {
            let _ = to.write_all(bytes).await;
        };
        let read = async {
            let mut piece = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut piece).await {
                answer.extend_from_slice(&piece[..count]);
            }
        };
        tokio::join!(write, read)
    };
    let ended = timeout(GENEROUS, talk).await.is_ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        ended,
        "the connection stayed open after {answer:?} to {:.120?}",
        String::from_utf8_lossy(bytes)
    );
    answer
}

/// The statuses of all answers in `text`.
pub fn statuses(text: &str) -> Vec<u16> {
    let lines = text.split("HTTP/1.").skip(1);
    lines
        .filter_map(|rest| rest.get(2..5)?.parse().ok())
        .collect()
}

/// A connection that is written to and read from in turns.
pub struct Talk {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Talk {
    pub async fn to(web: SocketAddr) -> Self {
        let stream = TcpStream::connect(web).await.expect("connected");
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Everything up to and with `end`.
    pub async fn until(&mut self, end: &str) -> String {
        let found = async {
            loop {
                let text = String::from_utf8_lossy(&self.read).into_owned();
                if let Some((found, rest)) = text.split_once(end) {
                    self.read = rest.into();
                    return format!("{found}{end}");
                }
                let count = self.stream.read_buf(&mut self.read).await.unwrap_or(0);
                assert!(count > 0, "closed after {text:?}, before {end:?}");
            }
        };
        timeout(GENEROUS, found).await.expect("an answer in time")
    }

    /// What comes until the gateway closes.
    pub async fn rest(mut self) -> String {
        let read = async { while let Ok(1..) = self.stream.read_buf(&mut self.read).await {} };
        let ended = timeout(GENEROUS, read).await.is_ok();
        let text = String::from_utf8_lossy(&self.read).into_owned();
        assert!(ended, "the connection stayed open after {text:?}");
        text
    }
}

/// A well-behaved client gets its answer.
pub async fn all_is_well(gate: &TestGateway) {
    let reply = client::get(gate.web, "/fine").await;
    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "ok"));
}

/// How many permits are out.
pub fn in_flight(gate: &TestGateway) -> u32 {
    let snapshot = gate.gateway.snapshot();
    snapshot
        .upstreams
        .iter()
        .map(|up| up.gate.view().in_flight)
        .sum()
}

/// Whether any endpoint is ejected.
pub fn any_ejected(gate: &TestGateway) -> bool {
    let snapshot = gate.gateway.snapshot();
    let now = tokio::time::Instant::now();
    snapshot
        .upstreams
        .iter()
        .flat_map(|up| up.seats.as_slice().iter())
        .any(|seat| seat.endpoint.health.is_ejected(now))
}
