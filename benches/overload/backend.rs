//! The backend: the shop behind an HTTP/1.1 socket, and a second socket to change it while it works.
//!
//! The control socket takes `/?workers=8&scale=2&fail=0.5`, any of them or none, and answers with the counts.

use std::{cell::Cell, collections::BTreeMap, convert::Infallible, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rand::RngExt;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::oneshot,
};

use crate::shop::{Rules, Shop, Spread};

/// What the script asks of a backend.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    workers: usize,
    /// Mean service time of paths without one of their own; 0 answers at once.
    mean_ms: f64,
    /// Mean service times by path.
    #[serde(default)]
    paths: BTreeMap<String, f64>,
    spread: Spread,
    collapse: f64,
    #[serde(default = "once")]
    scale: f64,
}

struct Backend {
    mean: Duration,
    paths: BTreeMap<String, Duration>,
    shop: Rc<Shop>,
}

/// Serves until standard input ends, which it does with the script.
pub(crate) async fn run(plan: Plan) {
    let rules = Rules {
        workers: plan.workers,
        scale: plan.scale,
        fail: 0.0,
    };
    let backend = Rc::new(Backend {
        mean: millis(plan.mean_ms),
        paths: plan
            .paths
            .into_iter()
            .map(|(path, ms)| (path, millis(ms)))
            .collect(),
        shop: Shop::new(rules, plan.spread, plan.collapse),
    });
    let (service, control) = (listen(), listen());
    println!(
        "{}",
        json!({ "address": address(&service), "control": address(&control) })
    );
    tokio::task::spawn_local(accept(service, Rc::clone(&backend), Face::Service));
    tokio::task::spawn_local(accept(control, backend, Face::Control));
    input_ends().await;
}

#[derive(Debug, Clone, Copy)]
enum Face {
    Service,
    Control,
}

async fn accept(listener: TcpListener, backend: Rc<Backend>, face: Face) {
    let trouble = Cell::new(false);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            if !trouble.replace(true) {
                println!("{}", json!({ "trouble": "accept failed" }));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let backend = Rc::clone(&backend);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| Rc::clone(&backend).answer(request, face));
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

// === impl Backend ===

impl Backend {
    async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
        face: Face,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(match face {
            Face::Service => self.serve(request.uri().path()).await,
            Face::Control => text(
                StatusCode::OK,
                self.change(request.uri().query().unwrap_or("")),
            ),
        })
    }

    async fn serve(&self, path: &str) -> Response<Full<Bytes>> {
        let fail = self.shop.rules.get().fail;
        if fail > 0.0 && rand::rng().random::<f64>() < fail {
            tokio::time::sleep(Duration::from_millis(1)).await;
            return text(StatusCode::SERVICE_UNAVAILABLE, "failed\n");
        }
        let mean = self.paths.get(path).copied().unwrap_or(self.mean);
        if !mean.is_zero() {
            let _ = self.shop.enter(mean).await;
        }
        text(StatusCode::OK, "done\n")
    }

    fn change(&self, query: &str) -> String {
        let mut rules = self.shop.rules.get();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "workers" => rules.workers = value.parse().expect("a count"),
                "scale" => rules.scale = value.parse().expect("a factor"),
                "fail" => rules.fail = value.parse().expect("a share"),
                _ => {}
            }
        }
        self.shop.rules.set(rules);
        self.shop.fill();
        let (counts, (waiting, busy)) = (self.shop.counts.get(), self.shop.load());
        json!({ "arrived": counts.arrived, "done": counts.done, "waiting": waiting, "busy": busy })
            .to_string()
    }
}

fn listen() -> TcpListener {
    const BACKLOG: u32 = 4_096;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(([127, 0, 0, 1], 0).into())
        .expect("a free port");
    socket.listen(BACKLOG).expect("it listens")
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().expect("bound").to_string()
}

async fn input_ends() {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

const fn once() -> f64 {
    1.0
}
