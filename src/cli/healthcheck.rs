//! `tidegate healthcheck`: asks a running gateway whether it is ready.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, Uri, header::HOST, uri::Scheme};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{
    run::DEFAULT_FILE,
    runtime,
    terminal::{in_colour, say, tell},
};
use crate::config;

/// How long the question may take in all; a container's health check waits longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `tidegate healthcheck` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct HealthcheckArgs {
    /// Where the admin listener is, such as http://127.0.0.1:9900; without it, as the config file says.
    #[arg(long, value_name = "URL", env = "TIDEGATE_ADMIN")]
    admin: Option<Uri>,
    /// The config file that says where the admin listener is.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// Why there is no answer.
#[derive(Debug)]
enum AskError {
    /// The URL is not one of an admin listener.
    Url,
    /// Nobody answers there.
    Io(io::Error),
    /// What answers does not speak HTTP.
    Http(hyper::Error),
    /// It takes too long.
    Late,
}

/// Ends with 0 where the gateway is ready.
pub(super) fn run(args: &HealthcheckArgs) -> ExitCode {
    let Some(authority) = admin(args) else {
        return ExitCode::FAILURE;
    };
    let asked = authority.and_then(|authority| {
        let runtime = runtime::small().map_err(AskError::Io)?;
        let status = runtime.block_on(ask(&authority))?;
        Ok((authority, status))
    });
    match asked {
        Ok((_, StatusCode::OK)) => {
            say("ready");
            ExitCode::SUCCESS
        }
        Ok((authority, status)) => {
            tell(format_args!("not ready: {authority} answers {status}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            tell(format_args!("not ready: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whom to ask; `None` where the config file cannot say it, which was told.
fn admin(args: &HealthcheckArgs) -> Option<Result<String, AskError>> {
    if let Some(url) = &args.admin {
        return Some(authority_of(url));
    }
    match config::read(&args.config) {
        Ok(loaded) => Some(Ok(reachable(loaded.plan.admin.bind).to_string())),
        Err(errors) => {
            tell(errors.render(in_colour()));
            None
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

/// The status of `/readyz`.
async fn ask(authority: &str) -> Result<StatusCode, AskError> {
    let answered = timeout(PATIENCE, async {
        let stream = TcpStream::connect(authority).await.map_err(AskError::Io)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(AskError::Http)?;
        let request = Request::get("/readyz")
            .header(HOST, authority)
            .body(Empty::<Bytes>::new())
            .map_err(|_| AskError::Url)?;
        let exchange = async { sender.send_request(request).await.map_err(AskError::Http) };
        // The connection must be polled beside the request; it may end only after the answer.
        let connection = async {
            connection.await.map_err(AskError::Http)?;
            std::future::pending().await
        };
        tokio::select! {
            biased; // an answer counts, however the connection ends
            response = exchange => response.map(|response| response.status()),
            failed = connection => failed,
        }
    });
    answered.await.unwrap_or(Err(AskError::Late))
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("the admin URL must be like http://127.0.0.1:9900"),
            Self::Io(error) => write!(f, "no connection to the admin listener: {error}"),
            Self::Http(error) => write!(f, "no answer from the admin listener: {error}"),
            Self::Late => write!(f, "no answer from the admin listener in {PATIENCE:?}"),
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

    /// What `ask` makes of a server that says `answer` and closes.
    async fn asked(answer: &'static str) -> Result<StatusCode, AskError> {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = server.local_addr().unwrap().to_string();
        let serve = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut request = [0; 1024];
            let n = stream.read(&mut request).await.unwrap();
            assert!(request[..n].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        tokio::join!(ask(&authority), serve).0
    }

    #[tokio::test]
    async fn the_status_of_readyz_decides() {
        let ready = asked("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(ready.unwrap(), StatusCode::OK);
        let draining = asked("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(draining.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(matches!(
            asked("SSH-2.0\r\n\r\n").await,
            Err(AskError::Http(_))
        ));
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = taken.local_addr().unwrap().to_string();
        drop(taken);
        assert!(matches!(ask(&authority).await, Err(AskError::Io(_))));
    }
}
