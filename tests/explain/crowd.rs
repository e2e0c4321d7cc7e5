//! Clients, each request on a connection of its own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use rand::{RngExt, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

/// How a client goes about it.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// It asks and reads the answer.
    Whole,
    /// It leaves after this time.
    LeaveAfter(Duration),
    /// It announces a body, and sends the beginning of one.
    HalfBody,
    /// It asks for a path that cannot be read.
    Malformed,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    pub from: Ipv4Addr,
    pub method: &'static str,
    pub path: String,
    pub way: Way,
}

/// How many requests a second, and which.
pub struct Crowd {
    pub rate: f64,
    pub clients: u8,
    pub post: bool,
    pub paths: &'static [&'static str],
    /// Of a hundred requests so many go this way.
    pub odd: Option<(u32, Way)>,
    /// This client asks as often as all others together, so many times.
    pub greedy: Option<(Ipv4Addr, f64)>,
}

/// No request lasts longer.
const PATIENCE: Duration = Duration::from_secs(4);

// === impl Crowd ===

impl Crowd {
    /// Asks at `address` for `time`, evenly but for chance, and waits for the last answers.
    pub async fn asks(&self, address: SocketAddr, time: Duration, rng: &mut StdRng) {
        let mut running = JoinSet::new();
        let end = Instant::now() + time;
        let mut next = Instant::now();
        while next < end {
            sleep_until(next).await;
            let ask = self.one(rng);
            running.spawn(async move {
                timeout(PATIENCE, ask.run(address)).await.ok();
            });
            let of_all = self.rate * (1.0 + self.greedy.map_or(0.0, |(_, times)| times));
            let pause = rng.random_range(0.5..1.5) / of_all;
            next += Duration::from_secs_f64(pause);
        }
        running.join_all().await;
    }

    fn one(&self, rng: &mut StdRng) -> Ask {
        let greedy = self
            .greedy
            .filter(|(_, times)| rng.random_bool(times / (1.0 + times)));
        let from = match greedy {
            Some((from, _)) => from,
            None => Ipv4Addr::new(127, 0, 1, rng.random_range(1..=self.clients)),
        };
        let odd = self.odd.filter(|(share, _)| rng.random_ratio(*share, 100));
        let way = odd.map_or(Way::Whole, |(_, way)| way);
        Ask {
            from,
            method: if self.post { "POST" } else { "GET" },
            path: self.paths[rng.random_range(0..self.paths.len())].to_owned(),
            way,
        }
    }
}

// === impl Ask ===

impl Ask {
    async fn run(self, address: SocketAddr) -> io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        let mut stream = socket.connect(address).await?;
        let path = match self.way {
            Way::Malformed => "/%zz",
            _ => &self.path,
        };
        let (method, length) = match self.way {
            Way::HalfBody => ("POST", 1000),
            _ => (self.method, 0),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        match self.way {
            Way::LeaveAfter(time) => {
                timeout(time, read(&mut stream)).await.ok();
                Ok(())
            }
            Way::HalfBody => {
                stream.write_all(b"the beginning").await?;
                read(&mut stream).await
            }
            Way::Whole | Way::Malformed => read(&mut stream).await,
        }
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map(|_| ())
}

/// Waits a little, but not always the same.
pub async fn a_while(around: Duration, rng: &mut StdRng) {
    sleep(around.mul_f64(rng.random_range(0.5..1.5))).await;
}
