//! A DNS server on 127.0.0.1, over UDP and TCP, TLS or HTTPS, whose replies are scripted and may change while it runs.
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
        rdata::{A, AAAA, CNAME, SRV},
    },
};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    sync::watch,
    task::JoinSet,
    time::{Duration, sleep},
};
use tokio_rustls::TlsAcceptor;

/// What the server says of a name.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These addresses, each to the question for its family, with this TTL in seconds. No address of a family
    /// is an empty answer. Over UDP an answer that does not fit is cut, with the TC bit.
    Addresses(Vec<IpAddr>, u32),
    /// Another name.
    Alias(&'static str, u32),
    /// Another name and, in the same answer, what that says, as from a server that follows aliases itself.
    Through(&'static str, u32, Box<Reply>),
    /// SRV records, each a priority, a weight, a port and a target, with this TTL in seconds.
    Services(Vec<(u16, u16, u16, &'static str)>, u32),
    /// An error code: `NXDomain`, `ServFail`, `Refused`, ...
    Code(ResponseCode),
    /// The name is there, but has nothing of what is asked for.
    Empty,
    /// No answer at all.
    Silent,
    /// TC over UDP; over TCP the connection is closed without an answer.
    Cut,
    /// The reply, after this time.
    Late(Duration, Box<Reply>),
    /// Over UDP: answers with another id, and with another question, that point elsewhere; then the reply.
    Spoofed(Box<Reply>),
    /// These bytes behind the question's id.
    Raw(Vec<u8>),
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

    /// The same over TLS alone: DNS over TLS, or, where ALPN says `h2`, over HTTPS.
    pub(crate) async fn start_tls(config: rustls::ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let script = Arc::new(Script {
            replies: Mutex::default(),
            asked: watch::Sender::default(),
        });
        let mut tasks = JoinSet::new();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tasks.spawn(serve_tls(listener, acceptor, script.clone()));
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

    /// From now on `name` has this reply, for A, AAAA, SRV and CNAME (an empty one, unless it is an alias).
    pub(crate) fn says(&self, name: &str, reply: Reply) {
        for of in [RecordType::A, RecordType::AAAA, RecordType::SRV] {
            self.says_of(name, of, reply.clone());
        }
        self.says_of(name, RecordType::CNAME, reply);
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
    let (socket, mut late) = (Arc::new(socket), JoinSet::new());
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue; // the ICMP error of a client that is gone
        };
        let Ok(question) = Message::from_vec(&buffer[..length]) else {
            continue;
        };
        script.asked.send_modify(|asked| asked.udp += 1);
        let (socket, script) = (Arc::clone(&socket), Arc::clone(&script));
        late.spawn(async move {
            for bytes in datagrams(&question, &script).await {
                socket.send_to(&bytes, client).await.ok();
            }
        });
    }
}

/// What is sent for a question over UDP.
async fn datagrams(question: &Message, script: &Script) -> Vec<Vec<u8>> {
    let mut reply = script.reply(question);
    if let Reply::Late(time, later) = reply {
        sleep(time).await;
        reply = *later;
    }
    let mut sent = Vec::new();
    if let Reply::Spoofed(right) = reply {
        let wrong = Reply::addresses(["10.66.66.66", "fd66::66"], 60);
        let mut other_id = answer(question, &wrong).expect("an answer");
        other_id.metadata.id = other_id.metadata.id.wrapping_add(1);
        let mut other_question = answer(question, &wrong).expect("an answer");
        other_question.queries.clear();
        let mut query = question.queries.first().expect("a question").clone();
        query.set_name(Name::from_str("other.internal.").expect("a name"));
        other_question.add_query(query);
        sent.extend([other_id, other_question].map(|wrong| wrong.to_vec().expect("an answer")));
        reply = *right;
    }
    if let Reply::Raw(bytes) = &reply {
        return vec![[&question.metadata.id.to_be_bytes()[..], bytes].concat()];
    }
    let Some(mut answer) = answer(question, &reply) else {
        return sent;
    };
    let bytes = answer.to_vec().expect("an answer");
    let cut = matches!(reply, Reply::Cut);
    sent.push(
        if cut || bytes.len() > usize::from(question.max_payload()) {
            answer.answers.clear();
            answer.metadata.truncation = true;
            answer.to_vec().expect("an answer")
        } else {
            bytes
        },
    );
    sent
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

async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, script) = (acceptor.clone(), script.clone());
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                serve_https(stream, script).await;
            } else {
                serve_connection(stream, &script).await.ok();
            }
        });
    }
}

/// DNS over HTTPS (RFC 8484): a question is the body of a POST to `/dns-query`.
async fn serve_https(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    script: Arc<Script>,
) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let script = script.clone();
        async move {
            assert_eq!(request.uri().path(), "/dns-query");
            let bytes = request.into_body().collect().await?.to_bytes();
            let question = Message::from_vec(&bytes).expect("a question");
            script.asked.send_modify(|asked| asked.tcp += 1);
            let answer = answer(&question, &script.reply(&question)).expect("an answer");
            let body = Full::<bytes::Bytes>::from(answer.to_vec().expect("an answer"));
            let mut response = http::Response::new(body);
            let kind = http::HeaderValue::from_static("application/dns-message");
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, kind);
            Ok::<_, hyper::Error>(response)
        }
    });
    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http.serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

async fn serve_connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Script,
) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; usize::from(length)];
        stream.read_exact(&mut bytes).await?;
        let question = Message::from_vec(&bytes).map_err(io::Error::other)?;
        script.asked.send_modify(|asked| asked.tcp += 1);
        let reply = script.reply(&question);
        if matches!(reply, Reply::Cut) {
            return Ok(());
        }
        let Some(answer) = answer(&question, &reply) else {
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
}

/// The message that `reply` is; `None`: say nothing.
fn answer(question: &Message, reply: &Reply) -> Option<Message> {
    let query = question.queries.first().expect("a question");
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_query(query.clone());
    answer.metadata.recursion_available = true;
    fill(&mut answer, query.name(), query.query_type(), reply).then_some(answer)
}

/// Adds what `reply` says of `owner` when it is asked for `of`; false where it says nothing.
fn fill(answer: &mut Message, owner: &Name, of: RecordType, reply: &Reply) -> bool {
    let name = |text| Name::from_str(text).expect("a name");
    let mut add = |ttl, data| {
        answer.add_answer(Record::from_rdata(owner.clone(), ttl, data));
    };
    match reply {
        Reply::Silent | Reply::Raw(_) => return false,
        Reply::Empty | Reply::Cut => {}
        Reply::Code(code) => answer.metadata.response_code = *code,
        Reply::Alias(target, ttl) => add(*ttl, RData::CNAME(CNAME(name(target)))),
        Reply::Through(target, ttl, reply) => {
            add(*ttl, RData::CNAME(CNAME(name(target))));
            return fill(answer, &name(target), of, reply);
        }
        Reply::Late(_, reply) | Reply::Spoofed(reply) => return fill(answer, owner, of, reply),
        Reply::Services(records, ttl) => {
            let of = of == RecordType::SRV;
            for (priority, weight, port, target) in records.iter().filter(|_| of) {
                let data = SRV::new(*priority, *weight, *port, name(target));
                add(*ttl, RData::SRV(data));
            }
        }
        Reply::Addresses(addresses, ttl) => {
            for address in addresses {
                match (address, of) {
                    (IpAddr::V4(v4), RecordType::A) => add(*ttl, RData::A(A(*v4))),
                    (IpAddr::V6(v6), RecordType::AAAA) => add(*ttl, RData::AAAA(AAAA(*v6))),
                    _ => {}
                }
            }
        }
    }
    true
}
