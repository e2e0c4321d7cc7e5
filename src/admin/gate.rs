//! Who may see the admin pages.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Admin, origin::Foreign, pages, router::problem, sessions::LIFETIME};

const COOKIE: &str = "tidegate_session";

/// Turns away what was meant for another host or sent by a page of another site.
pub(super) async fn host(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    match admin.hosts.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(Foreign::Host) => problem(
            StatusCode::MISDIRECTED_REQUEST,
            "The admin listener is bound to loopback and answers to localhost, 127.0.0.1 and [::1] only.",
        ),
        Err(Foreign::Origin) => problem(
            StatusCode::FORBIDDEN,
            "A page of another site sent this request.",
        ),
    }
}

/// Asks for the token or the cookie of the form, where there is a token.
pub(super) async fn token(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    if admin.lets_in(request.headers()) {
        return next.run(request).await;
    }
    if request.method() == Method::GET && wants_page(request.headers()) {
        return pages::sign_in(StatusCode::UNAUTHORIZED, "");
    }
    let mut answer = problem(
        StatusCode::UNAUTHORIZED,
        "The admin token is missing or wrong.",
    );
    let scheme = http::HeaderValue::from_static("Bearer realm=\"tidegate\"");
    answer
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    answer
}

/// The form's field.
#[derive(Deserialize)]
pub(super) struct SignIn {
    token: String,
}

/// The form itself.
pub(super) async fn form(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    if admin.lets_in(&headers) {
        return Redirect::to("/").into_response();
    }
    pages::sign_in(StatusCode::OK, "")
}

/// Opens a session for whoever knows the token.
pub(super) async fn sign_in(
    State(admin): State<Arc<Admin>>,
    Form(sign_in): Form<SignIn>,
) -> Response {
    match admin.token.load().as_deref() {
        None => Redirect::to("/").into_response(),
        Some(token) if token.matches(&sign_in.token) => {
            let id = admin.sessions.open(Instant::now());
            let lifetime = LIFETIME.as_secs();
            let cookie =
                format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lifetime}");
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Some(_) => {
            tracing::warn!("a wrong token was given to the admin sign-in form");
            pages::sign_in(StatusCode::UNAUTHORIZED, "That is not the token.")
        }
    }
}

impl Admin {
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let token = self.token.load();
        let Some(token) = token.as_deref() else {
            return true;
        };
        bearer(headers).is_some_and(|presented| token.matches(presented))
            || cookies(headers).any(|id| self.sessions.knows(id, Instant::now()))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, presented) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(presented)
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
