//! What verbs ask of a running gateway's admin listener.

use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http::{
    Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, HOST},
    uri::Scheme,
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{
    run::DEFAULT_FILE,
    runtime,
    terminal::{in_colour, tell},
};
use crate::config;

/// The largest answer that is read.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Whom to ask.
#[derive(Debug, Clone, Args)]
pub(super) struct AdminArgs {
    /// Where the admin listener is, such as http://127.0.0.1:9900; without it, as the config file says.
    #[arg(long, value_name = "URL", env = "TIDEGATE_ADMIN")]
    admin: Option<Uri>,
    /// The config file that says where the admin listener is.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// Whom to ask, and what opens its pages.
#[derive(Debug, Clone, Args)]
pub(super) struct CallerArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The file that holds the admin token; without it, as the config file says where that is asked.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// An admin listener.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its `host:port`.
    pub(super) authority: String,
    /// The token that the config file names.
    pub(super) token: Option<String>,
}

/// What an admin listener answers.
#[derive(Debug)]
pub(super) struct Reply {
    /// Who answers.
    pub(super) authority: String,
    /// How.
    pub(super) status: StatusCode,
    /// The whole body.
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum AskError {
    /// The URL is not one of an admin listener.
    Url,
    /// The token cannot be read.
    Token(io::Error),
    /// Nobody answers there.
    Io(io::Error),
    /// What answers does not speak HTTP.
    Http(hyper::Error),
    /// The answer breaks off or is too large.
    Body,
    /// It takes too long.
    Late(Duration),
}

// === impl CallerArgs ===

impl CallerArgs {
    /// Whether it is said whom to ask, other than by the config file.
    pub(super) const fn is_named(&self) -> bool {
        self.admin.admin.is_some() || self.token_file.is_some()
    }

    /// The config file.
    pub(super) fn config(&self) -> &Path {
        &self.admin.config
    }

    /// Asks `method path`, and waits for the whole answer on a runtime of its own; `None` where the config file cannot
    /// say whom to ask, which was told.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        patience: Duration,
    ) -> Option<Result<Reply, AskError>> {
        let target = self.admin.target()?;
        Some(target.and_then(|target| {
            let token = match &self.token_file {
                Some(file) => {
                    let token = fs::read_to_string(file).map_err(AskError::Token)?;
                    Some(token.trim().to_owned())
                }
                None => target.token,
            };
            let runtime = runtime::small().map_err(AskError::Io)?;
            let question = ask(
                &target.authority,
                (method, path),
                token.as_deref(),
                patience,
            );
            let (status, body) = runtime.block_on(question)?;
            Ok(Reply {
                authority: target.authority,
                status,
                body,
            })
        }))
    }
}

// === impl AdminArgs ===

impl AdminArgs {
    /// Whom to ask; `None` where the config file cannot say it, which was told.
    pub(super) fn target(&self) -> Option<Result<Target, AskError>> {
        if let Some(url) = &self.admin {
            return Some(authority_of(url).map(|authority| Target {
                authority,
                token: None,
            }));
        }
        match config::read(&self.config) {
            Ok(loaded) => Some(Ok(Target {
                authority: reachable(loaded.plan.admin.bind).to_string(),
                token: loaded
                    .files
                    .admin_token
                    .map(|token| token.expose().to_owned()),
            })),
            Err(errors) => {
                tell(errors.render(in_colour()));
                None
            }
        }
    }
}

/// `host:port` of an admin URL: plain HTTP, port 80 where none is named, and no path.
fn authority_of(url: &Uri) -> Result<String, AskError> {
    let plain = url.scheme().is_none_or(|scheme| *scheme == Scheme::HTTP);
    let authority = url
        .authority()
        .filter(|_| plain && matches!(url.path(), "" | "/"));
    let authority = authority.ok_or(AskError::Url)?;
    let port = authority.port_u16().unwrap_or(80);
    Ok(format!("{}:{port}", authority.host()))
}

/// Where a listener is reached from its own machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

/// The answer to `GET path`, whole, within `patience`.
pub(super) async fn get(
    authority: &str,
    path: &str,
    token: Option<&str>,
    patience: Duration,
) -> Result<(StatusCode, Bytes), AskError> {
    ask(authority, (Method::GET, path), token, patience).await
}

/// The answer to a question without a body, whole, within `patience`.
async fn ask(
    authority: &str,
    (method, path): (Method, &str),
    token: Option<&str>,
    patience: Duration,
) -> Result<(StatusCode, Bytes), AskError> {
    let answered = timeout(patience, async {
        let stream = TcpStream::connect(authority).await.map_err(AskError::Io)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(AskError::Http)?;
        let request = Request::builder().method(method).uri(path);
        let mut request = request.header(HOST, authority);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|_| AskError::Url)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(AskError::Http)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BYTES)
                .collect()
                .await;
            Ok((status, body.map_err(|_| AskError::Body)?.to_bytes()))
        };
        // The connection must be polled beside the request; it may end only after the answer.
        let connection = async {
            connection.await.map_err(AskError::Http)?;
            std::future::pending().await
        };
        tokio::select! {
            biased; // an answer counts, however the connection ends
            answer = exchange => answer,
            failed = connection => failed,
        }
    });
    answered.await.unwrap_or(Err(AskError::Late(patience)))
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("the admin URL must be like http://127.0.0.1:9900"),
            Self::Token(error) => write!(f, "the token file cannot be read: {error}"),
            Self::Io(error) => write!(f, "no connection to the admin listener: {error}"),
            Self::Http(error) => write!(f, "no answer from the admin listener: {error}"),
            Self::Body => f.write_str("the answer of the admin listener breaks off"),
            Self::Late(patience) => {
                write!(f, "no answer from the admin listener in {patience:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn an_admin_url_is_plain_http_without_a_path() {
        let authority = |url: &str| authority_of(&url.parse().unwrap()).ok();
        assert_eq!(
            authority("http://127.0.0.1:9900").as_deref(),
            Some("127.0.0.1:9900")
        );
        assert_eq!(authority("http://gate/").as_deref(), Some("gate:80"));
        assert_eq!(
            authority("http://[::1]:9900").as_deref(),
            Some("[::1]:9900")
        );
        assert_eq!(
            authority("127.0.0.1:9900").as_deref(),
            Some("127.0.0.1:9900")
        );
        assert_eq!(authority("https://127.0.0.1:9900"), None);
        assert_eq!(authority("http://127.0.0.1:9900/metrics"), None);
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        assert_eq!(
            reachable("0.0.0.0:9900".parse().unwrap()).to_string(),
            "127.0.0.1:9900"
        );
        assert_eq!(
            reachable("[::]:9900".parse().unwrap()).to_string(),
            "[::1]:9900"
        );
        assert_eq!(
            reachable("10.0.0.1:99".parse().unwrap()).to_string(),
            "10.0.0.1:99"
        );
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What `get` makes of a server that says `answer` and closes, and what it was asked.
    async fn asked(answer: &'static str) -> (Result<(StatusCode, Bytes), AskError>, String) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = server.local_addr().unwrap().to_string();
        let serve = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut request = [0; 1024];
            let n = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        };
        tokio::join!(get(&authority, "/readyz", Some("s3cret"), PATIENCE), serve)
    }

    #[tokio::test]
    async fn the_answer_comes_with_its_status_and_the_token_is_shown() {
        let (answer, request) =
            asked("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\ndrain").await;
        let (status, body) = answer.unwrap();
        assert_eq!(
            (status, &body[..]),
            (StatusCode::SERVICE_UNAVAILABLE, &b"drain"[..])
        );
        assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("authorization: Bearer s3cret\r\n"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn half_an_answer_and_no_http_at_all_are_errors() {
        let (half, _) = asked("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ndr").await;
        assert!(matches!(half, Err(AskError::Body | AskError::Http(_))));
        let (other, _) = asked("SSH-2.0\r\n\r\n").await;
        assert!(matches!(other, Err(AskError::Http(_))));
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = taken.local_addr().unwrap().to_string();
        drop(taken);
        let answer = get(&authority, "/readyz", None, PATIENCE).await;
        assert!(matches!(answer, Err(AskError::Io(_))));
    }
}
