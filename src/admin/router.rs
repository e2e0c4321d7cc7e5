//! The pages by their paths.

use std::{net::IpAddr, sync::Arc};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use tokio::{sync::Semaphore, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::{reload, snapshot::Snapshot, telemetry::Telemetry};

use super::{
    Source, Token, cases,
    change::{self, MAX_CONFIG_BYTES},
    doctor,
    events::{self, MAX_LISTENERS},
    gate, incidents,
    origin::Hosts,
    pages, scrape,
    sessions::Sessions,
    stream::{self, MAX_STREAMS},
    upgrade::{self, UpgradeAsks},
    views::{ConfigView, LimitView, RouteView, StatusView, UpstreamView},
};

/// Longest form.
const MAX_FORM_BYTES: usize = 4096;

/// What the pages need.
pub struct Admin {
    pub(super) source: Arc<dyn Source>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) token: ArcSwapOption<Token>,
    pub(super) hosts: Hosts,
    pub(super) stop: CancellationToken,
    pub(super) reload: Option<reload::Handle>,
    pub(super) upgrades: Option<UpgradeAsks>,
    pub(super) patient: Option<Arc<ArcSwap<Snapshot>>>,
    pub(super) doctors: Semaphore,
    pub(super) sessions: Sessions,
    pub(super) listeners: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Admin {
    /// The pages of the gateway that `source` and `telemetry` show, bound to `bind`. Where there is a `token`, all but
    /// the health pages ask for it. Streams end when `stop` is cancelled.
    #[must_use]
    pub fn new(
        source: Arc<dyn Source>,
        telemetry: Arc<Telemetry>,
        bind: IpAddr,
        token: Option<Token>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            source,
            telemetry,
            token: ArcSwapOption::new(token.map(Arc::new)),
            hosts: Hosts::for_bind(bind),
            stop,
            reload: None,
            upgrades: None,
            patient: None,
            doctors: Semaphore::new(1),
            sessions: Sessions::default(),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }
}

impl Admin {
    /// The config is changed through `handle`. Without it nothing can be changed.
    #[must_use]
    pub fn changing(mut self, handle: reload::Handle) -> Self {
        self.reload = Some(handle);
        self
    }

    /// A newer binary is asked for through `asks`. Without them the process stays what it is.
    #[must_use]
    pub fn upgrading(mut self, asks: Option<UpgradeAsks>) -> Self {
        self.upgrades = asks;
        self
    }

    /// The road to the upstreams of what is in force may be looked at. Without it none can.
    #[must_use]
    pub fn examining(mut self, patient: Arc<ArcSwap<Snapshot>>) -> Self {
        self.patient = Some(patient);
        self
    }

    /// Asks for `token` from now on. Another one than before ends the sessions that the former one opened.
    pub fn ask_for(&self, token: Option<Token>) {
        if self.token.load().as_deref() != token.as_ref() {
            self.token.store(token.map(Arc::new));
            self.sessions.end_all();
        }
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("token", &self.token.load().as_deref())
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// All admin pages.
///
/// | path | what |
/// | --- | --- |
/// | `/healthz` | 200 while the process runs; open to all |
/// | `/readyz` | 200 when ready, 503 while starting or draining; open to all |
/// | `/metrics` | Prometheus text |
/// | `/api/v1/status` | version, uptime, readiness, listeners |
/// | `/api/v1/config` | hash, revision, the last reload and its error, named files that are wrong |
/// | `POST /api/v1/config` | puts the config in the body into force, or says with `dry_run=true` what it would change |
/// | `/api/v1/config/history` | the last configs |
/// | `/api/v1/config/diff` | what changes between two of them |
/// | `POST /api/v1/config/rollback` | puts one of them into force again |
/// | `POST /api/v1/upgrade` | a newer binary takes over; answers when it has, or why not |
/// | `POST /api/v1/doctor` | looks at the road to upstreams, step by step; one at a time |
/// | `/api/v1/upstreams` | upstreams, their endpoints and why each is in or out |
/// | `/api/v1/limits` | rate limits and their fill |
/// | `/api/v1/routes` | routes |
/// | `/api/v1/faults` | requests that ended badly, each with what is to be made of it |
/// | `/api/v1/requests/ID` | one request that is kept, with what is to be made of it |
/// | `/api/v1/incidents` | faults that belong together, why, and what ended them |
/// | `/api/v1/incidents/ID` | one of them |
/// | `/api/v1/recommendations` | limits that the last hour would have fitted into |
/// | `/api/v1/events` | what happens, as server-sent events to at most [`MAX_LISTENERS`], or a page of the past |
/// | `/api/v1/stream` | server-sent events, one a second, at most [`MAX_STREAMS`] watchers |
/// | `/login` | the form that asks for the token |
/// | `/` | the dashboard |
pub fn router(admin: Arc<Admin>) -> Router {
    let whole = post(change::apply).layer(DefaultBodyLimit::max(MAX_CONFIG_BYTES));
    let guarded = Router::new()
        .route("/", get(pages::dashboard))
        .route("/app.js", get(pages::script))
        .route("/app.css", get(pages::style))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/config", get(config).merge(whole))
        .route("/api/v1/config/history", get(change::history))
        .route("/api/v1/config/diff", get(change::diff))
        .route("/api/v1/config/rollback", post(change::rollback))
        .route("/api/v1/upgrade", post(upgrade::upgrade))
        .route("/api/v1/doctor", post(doctor::doctor))
        .route("/api/v1/upstreams", get(upstreams))
        .route("/api/v1/limits", get(limits))
        .route("/api/v1/routes", get(routes))
        .route("/api/v1/faults", get(cases::faults))
        .route("/api/v1/requests/{id}", get(cases::request))
        .route("/api/v1/incidents", get(incidents::all))
        .route("/api/v1/incidents/{id}", get(incidents::one))
        .route("/api/v1/recommendations", get(recommendations))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/stream", get(watch))
        .fallback(nothing)
        .layer(from_fn_with_state(admin.clone(), gate::token));
    let local = Router::new()
        .route("/login", get(gate::form).post(gate::sign_in))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .merge(guarded)
        .layer(from_fn_with_state(admin.clone(), gate::host));
    let open = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz));
    with_headers(open.merge(local)).with_state(admin)
}

/// Headers that every answer has: nothing is cached, framed, sniffed or loaded from elsewhere.
fn with_headers(router: Router<Arc<Admin>>) -> Router<Arc<Admin>> {
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            pages::CONTENT_SECURITY_POLICY,
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        // Not `no-referrer`: with it a browser sends the sign-in form with the Origin `null`.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    headers.into_iter().fold(router, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::if_not_present(name, value))
    })
}

/// An answer in the form of RFC 9457.
pub(super) fn problem(status: StatusCode, title: &'static str) -> Response {
    let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16() });
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let readiness = admin.source.ready();
    let status = if readiness.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, format!("{}\n", readiness.as_str())).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let page = scrape::page(&admin.telemetry, &*admin.source);
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        page,
    )
        .into_response()
}

async fn status(State(admin): State<Arc<Admin>>) -> Json<StatusView> {
    Json(admin.source.status())
}

async fn config(State(admin): State<Arc<Admin>>) -> Response {
    let view: ConfigView = admin.source.config();
    let tag = format!("\"{}\"", view.hash);
    ([(header::ETAG, tag)], Json(view)).into_response()
}

async fn upstreams(State(admin): State<Arc<Admin>>) -> Json<Vec<UpstreamView>> {
    Json(admin.source.upstreams())
}

async fn limits(State(admin): State<Arc<Admin>>) -> Json<Vec<LimitView>> {
    Json(admin.source.limits())
}

async fn routes(State(admin): State<Arc<Admin>>) -> Json<Vec<RouteView>> {
    Json(admin.source.routes())
}

async fn recommendations(State(admin): State<Arc<Admin>>) -> Response {
    let reckoning = spawn_blocking(move || admin.source.recommendations());
    match reckoning.await {
        Ok(advice) => Json(advice).into_response(),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The reckoning broke off.",
        ),
    }
}

async fn watch(State(admin): State<Arc<Admin>>) -> Response {
    match admin.streams.clone().try_acquire_owned() {
        Ok(place) => stream::watch(admin, place).into_response(),
        Err(_) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many dashboards are watching.",
        ),
    }
}

async fn nothing() -> Response {
    problem(StatusCode::NOT_FOUND, "There is no such page.")
}

#[cfg(test)]
mod tests;
