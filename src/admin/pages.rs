//! The dashboard's files, embedded in the program.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::sessions::random_hex;

const DASHBOARD: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/app.js");
const STYLE: &str = include_str!("page/app.css");
const SIGN_IN: &str = include_str!("page/login.html");

/// What a page may load: its own files, nothing of other hosts, nothing written into the page.
pub(super) const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

pub(super) async fn dashboard() -> Html<&'static str> {
    Html(DASHBOARD)
}

pub(super) async fn script() -> Response {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        SCRIPT,
    )
        .into_response()
}

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// The form that asks for the token. Its style is in the page, since nothing else is served before signing in.
pub(super) fn sign_in(status: StatusCode, message: &'static str) -> Response {
    let nonce = random_hex();
    let page = SIGN_IN
        .replace("{nonce}", &nonce)
        .replace("{message}", message);
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    (
        status,
        [(header::CONTENT_SECURITY_POLICY, policy)],
        Html(page),
    )
        .into_response()
}
