//! TCP to an endpoint.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// A connection that rests this long is probed.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// Between two probes.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
/// Probes without an answer that end it.
const KEEPALIVE_TRIES: u32 = 4;
/// Bytes that nobody acknowledges for so long end it, instead of a quarter of an hour of retransmissions.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Connects. The caller bounds the time.
///
/// # Cancel safety
/// Dropping the future gives the attempt up.
pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY);
    socket.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_TRIES))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(stream)
}
