//! One try: a connection of its own, one POST, and the status of its answer.

use std::{fmt, io};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::Hook;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The URL or the token cannot be put into a request.
    Request,
    /// The name is not known, or nobody takes the connection.
    Connect(io::Error),
    /// What is there is not whom it should be, or does not speak TLS.
    Tls(io::Error),
    /// It does not speak HTTP, or breaks off.
    Http(hyper::Error),
    /// It takes too long.
    Late,
}

/// Most addresses of a name that are tried.
const MOST_ADDRESSES: usize = 4;
/// Largest head of an answer.
const MAX_HEAD: usize = 16 * 1024;
const AGENT: HeaderValue = HeaderValue::from_static("tidegate-webhook");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Posts `body` to `hook`, once; the body of the answer is not read.
///
/// # Cancel safety
/// Dropping the future closes its connection.
pub(super) async fn post(hook: &Hook, key: &str, body: &Bytes) -> Result<StatusCode, Failed> {
    let exchange = async {
        let request = request(hook, key, body).ok_or(Failed::Request)?;
        let host = hook.url.host().ok_or(Failed::Request)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = connect(host, port(&hook.url))
            .await
            .map_err(Failed::Connect)?;
        let Some(tls) = &hook.tls else {
            return answer(stream, request).await;
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Failed::Request)?;
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await;
        answer(stream.map_err(Failed::Tls)?, request).await
    };
    timeout(hook.timeout, exchange)
        .await
        .unwrap_or(Err(Failed::Late))
}

fn request(hook: &Hook, key: &str, body: &Bytes) -> Option<Request<Full<Bytes>>> {
    let url = &hook.url;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, url.authority()?.as_str())
        .header(CONTENT_TYPE, JSON)
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .header(IDEMPOTENCY_KEY, key);
    if let Some(token) = &hook.token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.0)).ok()?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Full::new(body.clone())).ok()
}

fn port(url: &Uri) -> u16 {
    let usual = if url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    url.port_u16().unwrap_or(usual)
}

/// To the first address of the host that takes it.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host((host, port)).await?.take(MOST_ADDRESSES) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, Failed> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Failed::Http)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(Failed::Http)?;
        Ok(response.status())
    };
    // The connection must be polled beside the request; it may end only after the answer.
    let connection = async {
        connection.await.map_err(Failed::Http)?;
        std::future::pending().await
    };
    tokio::select! {
        biased; // an answer counts, however the connection ends
        answer = exchange => answer,
        failed = connection => failed,
    }
}

// === impl Failed ===

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("its URL or token cannot be sent"),
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::Tls(error) => write!(f, "no secure connection: {error}"),
            Self::Http(error) => write!(f, "no answer: {error}"),
            Self::Late => f.write_str("no answer in time"),
        }
    }
}
