//! An upstream made of plain TCP: it writes down each request exactly as it came, and answers with any bytes.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// An answer that leaves nothing to be desired.
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A request as it came over the wire.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// On which connection, counted from 0.
    pub connection: usize,
    /// Its place on that connection, counted from 0.
    pub nth: usize,
    /// Request line and fields, with their line ends.
    pub head: String,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Chunk sizes and trailers, line by line.
    pub framing: String,
}

/// What the origin does after an answer.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// Reads the next request.
    Keep,
    /// Closes.
    Close,
    /// Resets.
    Reset,
    /// Says no more, and reads until the gateway closes.
    Hang,
}

/// How much of a request is read before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    Head,
    Whole,
}

/// What is written for a request, and what follows.
pub type Act = (Vec<u8>, Then);

/// A running origin. Dropped, it closes everything.
pub struct Origin {
    pub address: SocketAddr,
    notes: Arc<Notes>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Notes {
    seen: Mutex<Vec<Seen>>,
    heads: AtomicUsize,
    connections: AtomicUsize,
    closed: AtomicUsize,
}

// === impl Seen ===

impl Seen {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// All values of a field.
    pub fn field(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|l| l.split_once(':'));
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

// === impl Origin ===

impl Origin {
    /// Answers each request, read as far as `reads` says, by `script`.
    pub async fn start<S>(reads: Reads, script: S) -> Self
    where
        S: Fn(&Seen) -> Act + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let notes = Arc::new(Notes::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(
            listener,
            reads,
            Arc::new(script),
            Arc::clone(&notes),
        ));
        Self {
            address,
            notes,
            _tasks: tasks,
        }
    }

    /// Reads whole requests and answers `ok` to all of them.
    pub async fn fine() -> Self {
        Self::start(Reads::Whole, |_| (OK.to_vec(), Then::Keep)).await
    }

    /// Reads whole requests and does the same thing to all of them but those for `/fine`.
    pub async fn saying(bytes: impl Into<Vec<u8>>, then: Then) -> Self {
        let bytes = bytes.into();
        Self::start(Reads::Whole, move |seen| {
            if seen.line().starts_with("GET /fine ") {
                (OK.to_vec(), Then::Keep)
            } else {
                (bytes.clone(), then)
            }
        })
        .await
    }

    /// The requests that came whole, so far as they are to be read, but those for `/fine`.
    pub fn seen(&self) -> Vec<Seen> {
        let mut seen = self.notes.seen.lock().clone();
        seen.retain(|seen| !seen.line().starts_with("GET /fine "));
        seen
    }

    /// How many heads came.
    pub fn heads(&self) -> usize {
        self.notes.heads.load(Ordering::SeqCst)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.notes.connections.load(Ordering::SeqCst)
    }

    /// How many of them have ended.
    pub fn closed(&self) -> usize {
        self.notes.closed.load(Ordering::SeqCst)
    }
}

async fn accept<S>(listener: TcpListener, reads: Reads, script: Arc<S>, notes: Arc<Notes>)
where
    S: Fn(&Seen) -> Act + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (script, notes) = (Arc::clone(&script), Arc::clone(&notes));
        let number = notes.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(async move {
            let _ = serve(stream, number, reads, &*script, &notes).await;
            notes.closed.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn serve<S>(
    stream: TcpStream,
    connection: usize,
    reads: Reads,
    script: &S,
    notes: &Notes,
) -> io::Result<()>
where
    S: Fn(&Seen) -> Act,
{
    let mut stream = BufReader::new(stream);
    for nth in 0.. {
        let mut seen = Seen {
            connection,
            nth,
            ..Seen::default()
        };
        read_head(&mut stream, &mut seen).await?;
        notes.heads.fetch_add(1, Ordering::SeqCst);
        if reads == Reads::Whole {
            read_body(&mut stream, &mut seen).await?;
        }
        let (bytes, then) = script(&seen);
        notes.seen.lock().push(seen);
        let written = stream.get_mut().write_all(&bytes).await;
        match then {
            Then::Keep => written?,
            Then::Close => return Ok(()),
            Then::Reset => {
                let socket = socket2::SockRef::from(stream.get_ref());
                return socket.set_linger(Some(Duration::ZERO));
            }
            Then::Hang => {
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

async fn read_head(stream: &mut BufReader<TcpStream>, seen: &mut Seen) -> io::Result<()> {
    loop {
        let line = line(stream).await?;
        if line == "\r\n" {
            return Ok(());
        }
        seen.head.push_str(&line);
    }
}

async fn read_body(stream: &mut BufReader<TcpStream>, seen: &mut Seen) -> io::Result<()> {
    let codings = seen.field("transfer-encoding").join(", ");
    if codings.eq_ignore_ascii_case("chunked") {
        loop {
            let size = line(stream).await?;
            seen.framing.push_str(&size);
            let digits = size.trim_end().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
            if size == 0 {
                break;
            }
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).await?;
            seen.body.extend_from_slice(&chunk[..size]);
        }
        loop {
            let trailer = line(stream).await?;
            if trailer == "\r\n" {
                return Ok(());
            }
            seen.framing.push_str(&trailer);
        }
    }
    if let [length] = seen.field("content-length")[..] {
        let length = length.parse().map_err(io::Error::other)?;
        seen.body = vec![0; length];
        stream.read_exact(&mut seen.body).await?;
    }
    Ok(())
}
