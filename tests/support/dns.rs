//! A DNS server over UDP and TCP on 127.0.0.1, whose replies are scripted and may change while it runs.
//!
//! A name without a script does not exist. Names are matched whatever their case and without a trailing dot.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME},
    },
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    task::JoinSet,
};

/// What the server says of a name.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These addresses, each to the question for its family, with this TTL in seconds. No address of a family
    /// is an empty answer. Over UDP an answer that does not fit is cut, with the TC bit.
    Addresses(Vec<IpAddr>, u32),
    /// Another name.
    Alias(&'static str, u32),
    /// An error code: `NXDomain`, `ServFail`, `Refused`, ...
    Code(ResponseCode),
    /// The name is there, but has nothing of what is asked for.
    Empty,
    /// No answer at all.
    Silent,
    /// TC over UDP; over TCP the connection is closed without an answer.
    Cut,
}

/// A running server. Dropping it closes its sockets.
#[derive(Debug)]
pub(crate) struct DnsServer {
    address: SocketAddr,
    script: Arc<Script>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Script {
    replies: Mutex<HashMap<(String, RecordType), Reply>>,
    /// Questions so far, over UDP and TCP.
    asked: watch::Sender<Asked>,
}

/// How many questions came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// Over UDP.
    pub(crate) udp: usize,
    /// Over TCP.
    pub(crate) tcp: usize,
}

// === impl Reply ===

impl Reply {
    /// Addresses, spelled out.
    pub(crate) fn addresses<'a>(addresses: impl IntoIterator<Item = &'a str>, ttl: u32) -> Self {
        let parse = |text: &str| text.parse().expect("an address");
        Self::Addresses(addresses.into_iter().map(parse).collect(), ttl)
    }
}

// === impl DnsServer ===

impl DnsServer {
    /// Starts on a free port, the same one for UDP and TCP, knowing no name.
    pub(crate) async fn start() -> Self {
        let (udp, tcp) = bind().await;
        let address = udp.local_addr().expect("a bound socket");
        let script = Arc::new(Script {
            replies: Mutex::default(),
            asked: watch::Sender::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, script.clone()));
        tasks.spawn(serve_tcp(tcp, script.clone()));
        Self {
            address,
            script,
            _tasks: tasks,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `name` has this reply, for A and AAAA.
    pub(crate) fn says(&self, name: &str, reply: Reply) {
        self.says_of(name, RecordType::A, reply.clone());
        self.says_of(name, RecordType::AAAA, reply);
    }

    /// From now on `name` has this reply to questions for `of`.
    pub(crate) fn says_of(&self, name: &str, of: RecordType, reply: Reply) {
        let key = (name.to_ascii_lowercase(), of);
        self.script.replies.lock().insert(key, reply);
    }

    /// How many questions came so far.
    pub(crate) fn asked(&self) -> Asked {
        *self.script.asked.borrow()
    }

    /// Waits until `more` questions have come after this call.
    pub(crate) async fn is_asked(&self, more: usize) {
        let mut asked = self.script.asked.subscribe();
        let enough = self.asked().total() + more;
        asked
            .wait_for(|asked| asked.total() >= enough)
            .await
            .expect("the server runs");
    }
}

impl Asked {
    fn total(self) -> usize {
        self.udp + self.tcp
    }
}

// === the wire ===

/// The port of a UDP socket may be taken for TCP; then another one is tried.
async fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a UDP socket");
        let address = udp.local_addr().expect("a bound socket");
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP");
}

async fn serve_udp(socket: UdpSocket, script: Arc<Script>) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue; // the ICMP error of a client that is gone
        };
        let Ok(question) = Message::from_vec(&buffer[..length]) else {
            continue;
        };
        script.asked.send_modify(|asked| asked.udp += 1);
        let Some(mut answer) = script.answer(&question) else {
            continue;
        };
        let most = usize::from(question.max_payload());
        let bytes = answer.to_vec().expect("an answer");
        let cut = matches!(script.reply(&question), Reply::Cut);
        let bytes = if cut || bytes.len() > most {
            answer.answers.clear();
            answer.metadata.truncation = true;
            answer.to_vec().expect("an answer")
        } else {
            bytes
        };
        socket.send_to(&bytes, client).await.ok();
    }
}

async fn serve_tcp(listener: TcpListener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let script = script.clone();
        connections.spawn(async move {
            serve_connection(stream, &script).await.ok();
        });
    }
}

async fn serve_connection(mut stream: TcpStream, script: &Script) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; usize::from(length)];
        stream.read_exact(&mut bytes).await?;
        let question = Message::from_vec(&bytes).map_err(io::Error::other)?;
        script.asked.send_modify(|asked| asked.tcp += 1);
        if matches!(script.reply(&question), Reply::Cut) {
            return Ok(());
        }
        let Some(answer) = script.answer(&question) else {
            continue;
        };
        let bytes = answer.to_vec().map_err(io::Error::other)?;
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        stream.write_u16(length).await?;
        stream.write_all(&bytes).await?;
    }
}

// === impl Script ===

impl Script {
    fn reply(&self, question: &Message) -> Reply {
        let query = question.queries.first().expect("a question");
        let name = query.name().to_ascii().to_ascii_lowercase();
        let key = (name.trim_end_matches('.').to_owned(), query.query_type());
        let replies = self.replies.lock();
        let unknown = Reply::Code(ResponseCode::NXDomain);
        replies.get(&key).cloned().unwrap_or(unknown)
    }

    /// `None`: say nothing.
    fn answer(&self, question: &Message) -> Option<Message> {
        let query = question.queries.first().expect("a question");
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.add_query(query.clone());
        answer.metadata.recursion_available = true;
        let mut add = |ttl, data| {
            answer.add_answer(Record::from_rdata(query.name().clone(), ttl, data));
        };
        match self.reply(question) {
            Reply::Silent => return None,
            Reply::Empty | Reply::Cut => {}
            Reply::Code(code) => answer.metadata.response_code = code,
            Reply::Alias(target, ttl) => {
                let target = Name::from_str(target).expect("a name");
                add(ttl, RData::CNAME(CNAME(target)));
            }
            Reply::Addresses(addresses, ttl) => {
                for address in addresses {
                    match (address, query.query_type()) {
                        (IpAddr::V4(v4), RecordType::A) => add(ttl, RData::A(A(v4))),
                        (IpAddr::V6(v6), RecordType::AAAA) => add(ttl, RData::AAAA(AAAA(v6))),
                        _ => {}
                    }
                }
            }
        }
        Some(answer)
    }
}
