//! One client connection: writes a request that is ready as bytes, reads the answer and throws its body away.
//!
//! As little HTTP/1.1 as four gateways and one backend need of a client, so that eight thousand requests a second
//! leave the cores to the gateway.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest head that is read, in bytes.
const MAX_HEAD: usize = 16 * 1_024;

/// A connection between two requests.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// The answer to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    /// Whether the connection can take another request.
    pub stays: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
    ToTheEnd,
}

// === impl Wire ===

impl Wire {
    /// Connects.
    pub(crate) async fn open(target: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(1_024),
        })
    }

    /// Sends `request` and reads its answer to the end.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = self.head().await?;
        let (answer, body) = parse(self.read.get(..head).unwrap_or_default())?;
        self.read.drain(..head);
        self.skip(body).await?;
        Ok(answer)
    }

    /// Reads the body of an answer that a check of the laboratory itself looks at.
    pub(crate) fn body(&self) -> &[u8] {
        &self.read
    }

    async fn head(&mut self) -> io::Result<usize> {
        loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(at + 4);
            }
            if self.read.len() > MAX_HEAD {
                return Err(invalid());
            }
            self.more().await?;
        }
    }

    async fn skip(&mut self, body: Body) -> io::Result<()> {
        loop {
            let whole = match body {
                Body::Length(length) => self.read.len() >= length,
                Body::Chunked => self.read.ends_with(b"0\r\n\r\n"),
                Body::ToTheEnd => false,
            };
            match self.more_unless(whole).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(e) if body == Body::ToTheEnd && e.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
    }

    async fn more_unless(&mut self, whole: bool) -> io::Result<bool> {
        if !whole {
            self.more().await?;
        }
        Ok(!whole)
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn parse(head: &[u8]) -> io::Result<(Answer, Body)> {
    let head = std::str::from_utf8(head).map_err(|_| invalid())?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(invalid)?;
    let (mut stays, mut body) = (true, Body::ToTheEnd);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Length(value.parse().map_err(|_| invalid())?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            stays = !value.eq_ignore_ascii_case("close");
        }
    }
    let stays = stays && body != Body::ToTheEnd;
    Ok((Answer { status, stays }, body))
}

fn invalid() -> io::Error {
    ErrorKind::InvalidData.into()
}
