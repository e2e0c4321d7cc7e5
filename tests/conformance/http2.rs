//! What clients do over HTTP/2 (C47 to C51), in frames written by hand.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    origin::{Origin, Then},
    support::{client::GENEROUS, until},
    wire::{all_is_well, any_ejected, gate, in_flight},
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// An answer's status, where it is one that has a byte of its own (RFC 7541 appendix A), else 0.
    Status(u16),
    /// The stream was reset, with this code.
    Reset(u32),
    /// The connection ended, with this code.
    GoAway(u32),
    /// It ended without a word.
    Closed,
}

/// A connection, its preface sent.
struct Frames(TcpStream);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Literals without indexing and without Huffman (RFC 7541 section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(
                u8::try_from(text.len())
                    .ok()
                    .filter(|l| *l < 127)
                    .expect("short"),
            );
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

impl Frames {
    async fn to(web: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(web).await.expect("connected");
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        stream.write_all(&bytes).await.expect("written");
        Self(stream)
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// The next frame: kind, flags, stream, payload. `None` at the end.
    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let read = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let mut payload =
                vec![
                    0;
                    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
                ];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some((head[3], head[4], stream, payload))
        };
        timeout(GENEROUS, read).await.expect("a frame in time")
    }

    /// How the first stream ends.
    async fn end(&mut self) -> End {
        let code = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes"));
        while let Some((kind, _, stream, payload)) = self.next().await {
            match (kind, stream) {
                (HEADERS, 1) => {
                    return End::Status(match payload.first() {
                        Some(0x88) => 200,
                        Some(0x89) => 204,
                        Some(0x8c) => 400,
                        Some(0x8d) => 404,
                        Some(0x8e) => 500,
                        _ => 0,
                    });
                }
                (RST_STREAM, 1) => return End::Reset(code(&payload)),
                (GOAWAY, _) => return End::GoAway(code(&payload[4..8])),
                _ => {}
            }
        }
        End::Closed
    }
}

/// What becomes of one request on a connection of its own.
async fn ask(web: SocketAddr, fields: &[(&str, &str)]) -> End {
    let mut frames = Frames::to(web).await;
    frames
        .send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields)))
        .await;
    frames.end().await
}

const PSEUDO: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "a"),
];

/// The usual four, some of them replaced, and more fields.
fn with<'a>(
    changed: &[(&'a str, &'a str)],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut fields = PSEUDO.to_vec();
    for (name, value) in changed {
        let field = fields
            .iter_mut()
            .find(|(known, _)| known == name)
            .expect("a pseudo-field");
        field.1 = value;
    }
    fields.extend(more);
    fields
}

fn is_refusal(end: &End) -> bool {
    matches!(end, End::Status(400) | End::Reset(_) | End::GoAway(1..))
}

#[tokio::test]
async fn c47_nothing_that_would_be_a_second_line_is_written_to_an_upstream() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    assert_eq!(
        ask(gate.web, &PSEUDO).await,
        End::Status(200),
        "the frames themselves are good"
    );
    assert_eq!(origin.seen().len(), 1);
    let fields = [
        ("x", "a\r\nhost: evil"),
        ("x", "a\nb"),
        ("x", "a\rb"),
        ("x", "a\0b"),
        ("x y", "1"),
        ("x:y", "1"),
        ("x\r\ny", "1"),
        ("", "1"),
        ("Upper", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        (":method", "GET"),
        (":unknown", "1"),
    ];
    for field in fields {
        let end = ask(gate.web, &with(&[], &[field])).await;
        assert!(is_refusal(&end), "{end:?} to {field:?}");
    }
    for pseudo in [
        (":method", "GE T"),
        (":method", "GET / HTTP/1.1\r\nx: y"),
        (":method", ""),
        (":path", "/a b"),
        (":path", "/ HTTP/1.1\r\nx: y"),
        (":path", "/a\0"),
        (":authority", "a b"),
        (":authority", "a\r\nx: y"),
        (":scheme", "ht tp"),
    ] {
        let end = ask(gate.web, &with(&[pseudo], &[])).await;
        assert!(is_refusal(&end), "{end:?} to {pseudo:?}");
    }
    let late = [
        ("x", "1"),
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a"),
    ];
    let end = ask(gate.web, &late).await;
    assert!(is_refusal(&end), "{end:?} to a late pseudo-field");
    assert_eq!(origin.seen().len(), 1, "{:?}", origin.seen());
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c48_a_length_that_the_data_does_not_keep_never_ends_a_request() {
    let origin = Origin::fine().await;
    let gate = gate(
        origin.address,
        "concurrency = { mode = \"fixed\", limit = 4 }",
        "",
    )
    .await;
    let post = with(&[(":method", "POST")], &[]);
    for (lengths, data) in [
        (&["5"][..], Some("abc")),
        (&["5"], Some("abcdefg")),
        (&["5"], None),
        (&["5", "6"], Some("abcde")),
        (&["+5"], Some("abcde")),
    ] {
        let mut fields = post.clone();
        fields.extend(lengths.iter().map(|length| ("content-length", *length)));
        let mut frames = Frames::to(gate.web).await;
        let flags = if data.is_some() {
            END_HEADERS
        } else {
            END_HEADERS | END_STREAM
        };
        frames.send(frame(HEADERS, flags, 1, &block(&fields))).await;
        if let Some(data) = data {
            frames
                .send(frame(DATA, END_STREAM, 1, data.as_bytes()))
                .await;
        }
        let end = frames.end().await;
        assert!(is_refusal(&end), "{end:?} to {lengths:?} {data:?}");
    }
    assert_eq!(origin.seen().len(), 0, "{:?}", origin.seen());
    until("half-written requests are closed", || {
        origin.closed() == origin.connections()
    })
    .await;
    until("every permit is back", || in_flight(&gate) == 0).await;
    assert!(!any_ejected(&gate));
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c49_one_authority_is_the_host() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    assert_eq!(ask(gate.web, &PSEUDO).await, End::Status(200));
    assert_eq!(
        ask(gate.web, &with(&[], &[("host", "a")])).await,
        End::Status(200)
    );
    assert_eq!(
        ask(gate.web, &[PSEUDO[0], PSEUDO[1], PSEUDO[2], ("host", "b")]).await,
        End::Status(200)
    );
    let hosts: Vec<_> = origin
        .seen()
        .iter()
        .map(|seen| seen.field("host").join("|"))
        .collect();
    assert_eq!(hosts, ["a", "a", "b"]);
    for fields in [
        with(&[], &[("host", "other")]),
        with(&[], &[("host", "a"), ("host", "a")]),
        with(&[(":authority", "user@a")], &[]),
        with(&[(":authority", "a:99999")], &[]),
        PSEUDO[..3].to_vec(),
    ] {
        let end = ask(gate.web, &fields).await;
        assert!(is_refusal(&end), "{end:?} to {fields:?}");
    }
    assert_eq!(origin.seen().len(), 3);
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c50_a_path_that_is_none_is_refused() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    for changed in [
        (":path", ""),
        (":path", "*"),
        (":path", "a"),
        (":path", "http://a/"),
        (":path", "/../x"),
        (":path", "/%00"),
        (":path", "/\\x"),
        (":scheme", "file"),
        (":scheme", "ftp"),
    ] {
        let end = ask(gate.web, &with(&[changed], &[])).await;
        assert!(is_refusal(&end), "{end:?} to {changed:?}");
    }
    assert_eq!(origin.seen().len(), 0);
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c29_connect_over_http2_opens_nothing() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let mut frames = Frames::to(gate.web).await;
    frames
        .send(frame(
            HEADERS,
            END_HEADERS,
            1,
            &block(&[(":method", "CONNECT"), (":authority", "a:80")]),
        ))
        .await;
    frames
        .send(frame(DATA, 0, 1, b"GET / HTTP/1.1\r\n\r\n"))
        .await;
    let end = frames.end().await;
    assert!(
        !matches!(end, End::Status(200 | 204 | 500) | End::Closed),
        "{end:?}"
    );
    assert_eq!(origin.connections(), 0);
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c51_streams_beyond_the_limit_are_refused_and_the_others_go_on() {
    let origin = Origin::saying("", Then::Hang).await;
    let off = "concurrency = { mode = \"off\" }"; // all streams are to reach the upstream
    let gate = gate(origin.address, off, "").await;
    let mut frames = Frames::to(gate.web).await;
    let mut allowed = 0;
    while allowed == 0 {
        let (kind, flags, _, payload) = frames.next().await.expect("settings");
        if kind == SETTINGS && flags == 0 {
            let streams = payload.chunks(6).find(|setting| setting[..2] == [0, 3]);
            let value = streams.expect("a limit of streams");
            allowed = u32::from_be_bytes([value[2], value[3], value[4], value[5]]);
        }
    }
    assert!((1..=1_000).contains(&allowed), "{allowed}");
    let mut bytes = Vec::new();
    for stream in 0..=allowed {
        bytes.extend(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            2 * stream + 1,
            &block(&PSEUDO),
        ));
    }
    frames.send(bytes).await;
    loop {
        let (kind, _, stream, payload) = frames.next().await.expect("a refusal");
        if kind == RST_STREAM {
            assert_eq!(
                (stream, &*payload),
                (2 * allowed + 1, &[0, 0, 0, 7][..]),
                "REFUSED_STREAM"
            );
            break;
        }
        assert!(kind != GOAWAY, "all of its streams are ended");
    }
    let running = usize::try_from(allowed).expect("a count");
    until("the others are at the upstream", || {
        origin.heads() == running
    })
    .await;
    drop(frames);
    until("all are cancelled", || {
        origin.closed() == origin.connections()
    })
    .await;
    all_is_well(&gate).await;
}
