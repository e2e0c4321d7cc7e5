//! Services that do one thing wrong.

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::TaskTracker;

/// What comes after the bytes of a script.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    Close,
    Reset,
    Hang,
}

/// Does what `script` says on each connection, with its number from 0.
pub async fn on_each<F>(script: impl Fn(TcpStream, usize) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let tasks = TaskTracker::new();
    let each = tasks.clone();
    tasks.spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            each.spawn(script(stream, number));
        }
    });
    address
}

/// Reads a head, writes `bytes`, and then does the rest.
pub async fn scripted(bytes: impl Into<Vec<u8>>, then: Then) -> SocketAddr {
    let bytes = bytes.into();
    on_each(move |mut stream, _| {
        let bytes = bytes.clone();
        async move {
            if read_head(&mut stream).await.is_none() {
                return;
            }
            let _ = stream.write_all(&bytes).await;
            end(stream, then).await;
        }
    })
    .await
}

/// The same, as soon as the first bytes came, whatever they are.
pub async fn blurting(bytes: &'static [u8], then: Then) -> SocketAddr {
    on_each(move |mut stream, _| async move {
        let mut some = [0; 4096];
        let _ = stream.read(&mut some).await;
        let _ = stream.write_all(bytes).await;
        end(stream, then).await;
    })
    .await
}

/// Ends a connection.
pub async fn end(mut stream: TcpStream, then: Then) {
    match then {
        Then::Close => {
            let _ = stream.shutdown().await;
            drain(&mut stream).await; // closing with bytes unread would be a reset
        }
        Then::Reset => {
            let linger = Some(Duration::ZERO);
            let _ = socket2::SockRef::from(&stream).set_linger(linger);
        }
        Then::Hang => drain(&mut stream).await,
    }
}

async fn drain(stream: &mut TcpStream) {
    let mut some = [0; 4096];
    while let Ok(1..) = stream.read(&mut some).await {}
}

/// Reads to the end of a head; `None` where the connection ends before.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(())
}

/// Speaks HTTP/2 with prior knowledge by hand: writes `frames` once a request's head has come.
pub async fn framing(frames: &'static [u8]) -> SocketAddr {
    on_each(move |mut stream, _| async move {
        let _ = answer_in_frames(&mut stream, frames).await;
    })
    .await
}

async fn answer_in_frames(stream: &mut TcpStream, frames: &[u8]) -> std::io::Result<()> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const ACKNOWLEDGED: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&SETTINGS).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a frame")];
        stream.read_exact(&mut payload).await?;
        match (head[3], head[4]) {
            (4, 0) => stream.write_all(&ACKNOWLEDGED).await?,
            (1, _) => stream.write_all(frames).await?,
            _ => {}
        }
    }
}

/// A port on which nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}
