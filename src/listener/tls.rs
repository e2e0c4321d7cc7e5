//! The TLS handshake, and a readable answer to those who speak plain HTTP to a TLS port.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::activity::{LEFTOVER_BYTES, LEFTOVER_TIME};

/// Why there is no TLS connection.
#[derive(Debug)]
pub(super) enum TlsError {
    /// The client closed before its first byte.
    Empty,
    /// It speaks plain HTTP.
    PlainHttp(TcpStream),
    /// It speaks neither TLS nor HTTP.
    Noise,
    /// The handshake failed.
    Handshake(io::Error),
}

/// What a client that speaks plain HTTP to a TLS port reads.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 54\r\n\
    proxy-status: tidegate; error=http_request_error; cause=client\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks HTTPS; the request came as plain HTTP";

/// The first byte of a TLS record that holds a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// Shakes hands. The caller sets the deadline.
///
/// # Cancel safety
/// The connection is dropped.
pub(super) async fn accept(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let mut first = [0_u8; 1];
    let seen = stream.peek(&mut first).await.map_err(TlsError::Handshake)?;
    match first {
        _ if seen == 0 => Err(TlsError::Empty),
        [HANDSHAKE] => acceptor.accept(stream).await.map_err(TlsError::Handshake),
        [b'A'..=b'Z'] => Err(TlsError::PlainHttp(stream)),
        _ => Err(TlsError::Noise),
    }
}

/// Says what is wrong, in plain HTTP, and closes once the client has had the time to read it.
pub(super) async fn refuse_plain_http(mut stream: TcpStream) {
    let deadline = Instant::now() + LEFTOVER_TIME;
    let said = async {
        stream.write_all(PLAIN_HTTP).await?;
        stream.shutdown().await?;
        let (mut scratch, mut left) = ([0_u8; 4096], LEFTOVER_BYTES);
        while left > 0 {
            let n = stream.read(&mut scratch).await?;
            if n == 0 {
                break;
            }
            left = left.saturating_sub(u64::try_from(n).unwrap_or(u64::MAX));
        }
        io::Result::Ok(())
    };
    // However it ends, the connection is closed now.
    let _ = timeout_at(deadline, said).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(PLAIN_HTTP).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}
