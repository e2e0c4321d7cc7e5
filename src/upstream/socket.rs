//! TCP to an endpoint.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

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

/// Whether this host has an address of its own from which `address` can be reached. Without one, as where IPv6 is turned
/// off, connecting fails with the error that stands for a want of ports.
pub(super) fn has_address_towards(address: SocketAddr) -> bool {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // UDP has ports of its own, and connecting it sends nothing.
    UdpSocket::bind((any, 0))
        .and_then(|socket| socket.connect(address))
        .is_ok()
}
