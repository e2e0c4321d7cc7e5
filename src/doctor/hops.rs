//! How far packets come that nobody answers: connections that may go a few hops only.
//!
//! Where a packet's time to live ends, the router says so, and Linux ends the connection that is being made with "no
//! route to host". That needs no privilege; the router's address would (an error queue), so hops are counted, not named.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use socket2::SockRef;
use tokio::{net::TcpSocket, time::timeout};

use super::judge::Hop;
use crate::upstream::NoConnection;

/// As far as is walked.
const MOST_HOPS: u32 = 20;
/// How long a router may take to say something.
const WITHIN: Duration = Duration::from_secs(1);

/// What came of connections to `address` that may go 1, 2, 3, ... hops; `None` where this machine lets us try none.
///
/// # Cancel safety
/// Dropping the future gives the connections up.
pub(super) async fn walk(address: SocketAddr) -> Option<Vec<Hop>> {
    let hops = join_all((1..=MOST_HOPS).map(|hops| step(address, hops))).await;
    hops.into_iter().collect::<io::Result<_>>().ok()
}

async fn step(address: SocketAddr, hops: u32) -> io::Result<Hop> {
    let socket = if address.is_ipv4() {
        let socket = TcpSocket::new_v4()?;
        SockRef::from(&socket).set_ttl_v4(hops)?;
        socket
    } else {
        let socket = TcpSocket::new_v6()?;
        SockRef::from(&socket).set_unicast_hops_v6(hops)?;
        socket
    };
    let connected = timeout(WITHIN, socket.connect(address)).await;
    let Ok(connected) = connected else {
        return Ok(Hop::Silent);
    };
    Ok(match connected.map_err(|error| NoConnection::of(&error)) {
        Ok(_) | Err(NoConnection::Refused | NoConnection::Reset) => Hop::Arrived,
        Err(NoConnection::HostUnreachable | NoConnection::NetUnreachable) => Hop::Passed,
        Err(_) => Hop::Silent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_answered_has_arrived_whoever_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = walk(address).await.unwrap();
        assert_eq!(taken, vec![Hop::Arrived; MOST_HOPS as usize]);
        drop(listener);
        let refused = walk(address).await.unwrap();
        assert_eq!(refused, taken);
    }
}
