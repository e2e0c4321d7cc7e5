//! One answer out of a fault and of what the client can read.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response,
    header::{
        CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
        CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};

use crate::{fault::Fault, names::TrafficClass};

use super::{
    accept::{Form, form},
    fields::{PROXY_STATUS, X_REQUEST_ID, proxy_status_with, put_hints},
    grpc,
    pages::{Page, Pages},
    problem,
    ready::{self, Ready},
};

/// Who asks, and how the answer must look to be read.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The request's method: HEAD gets no body.
    pub method: &'a Method,
    /// The request's `Accept`.
    pub accept: Option<&'a HeaderValue>,
    /// The request's `Accept-Language`; looked at where [`Pages::have_languages`].
    pub accept_language: Option<&'a HeaderValue>,
    /// gRPC calls get a gRPC status.
    pub class: TrafficClass,
    /// Shown in the answer, so that an operator can find the log line.
    pub request_id: &'a str,
    /// Whether the answer says `Connection: close`. Only for HTTP/1.
    pub close: bool,
}

/// The answer to a request that ended with `fault`.
///
/// The fault's detail is shown, in `Proxy-Status` and in the body, only where `pages` say so. A gRPC call
/// gets status 200 and the fault among the headers. Nothing here fails: what cannot stand in a header field
/// is left out.
#[must_use]
pub fn render(fault: &Fault, ask: &Ask<'_>, pages: &Pages) -> Response<Bytes> {
    let ready = ready::of(fault.kind);
    let detail = fault.detail.as_deref().filter(|_| pages.details);
    let mut response = if ask.class == TrafficClass::Grpc {
        grpc::answer(fault, detail)
    } else {
        let mut response = plain(fault, ask, ready.map(|ready| (ready, pages)), detail);
        put_hints(response.headers_mut(), fault);
        response
    };
    put_status(response.headers_mut(), fault, ready, detail);
    if let Ok(id) = HeaderValue::from_str(ask.request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    if ask.close {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// The same answer without its body where the method is HEAD; `Content-Length` stays what GET would see.
#[must_use]
pub fn body_for(method: &Method, response: Response<Bytes>) -> Response<Bytes> {
    if *method == Method::HEAD {
        response.map(|_body| Bytes::new())
    } else {
        response
    }
}

fn plain(
    fault: &Fault,
    ask: &Ask<'_>,
    ready: Option<(&Ready, &Pages)>,
    detail: Option<&str>,
) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = fault.facts().status;
    let headers = response.headers_mut();
    let body = match (form(ask.accept), ready) {
        (Form::Page, Some((ready, pages))) => {
            let page = pages.page(fault, ready, ask, detail);
            put_page(headers, &page, pages);
            page.body
        }
        (Form::Problem | Form::Page, ready) => {
            let json = HeaderValue::from_static("application/problem+json");
            headers.insert(CONTENT_TYPE, json);
            headers.insert(VARY, HeaderValue::from_static("Accept"));
            let body =
                ready.map(|(ready, _)| problem::body(&ready.problem, ask.request_id, detail));
            body.unwrap_or_default()
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    body_for(ask.method, response.map(|_| Bytes::from(body)))
}

/// What the head says of a page. Of one that is an operator's own, what it may load is the operator's to say.
fn put_page(headers: &mut HeaderMap, page: &Page, pages: &Pages) {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, html);
    if let Some(language) = &page.language {
        headers.insert(CONTENT_LANGUAGE, language.clone());
    }
    let vary = if pages.have_languages() {
        "Accept, Accept-Language"
    } else {
        "Accept"
    };
    headers.insert(VARY, HeaderValue::from_static(vary));
    if page.built_in {
        let nothing = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(nothing));
    }
}

fn put_status(headers: &mut HeaderMap, fault: &Fault, ready: Option<&Ready>, detail: Option<&str>) {
    let with_detail = detail.and_then(|text| proxy_status_with(fault.kind, text));
    let value = with_detail.or_else(|| ready.map(|ready| ready.proxy_status.clone()));
    if let Some(value) = value {
        headers.insert(PROXY_STATUS, value);
    }
}
