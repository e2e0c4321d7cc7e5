//! Methods, header fields, and where redirects lead.

use http::{HeaderName, HeaderValue, Method, Uri};
use rustls::pki_types::ServerName;

use super::{FromText, Wrong, host};
use crate::config::nearest::did_you_mean;

/// The name of a header field; kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldName(pub(crate) HeaderName);

/// The value of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldValue(pub(crate) HeaderValue);

/// A method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verb(pub(crate) Method);

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedirectTo(pub(crate) Box<str>);

/// The name that a server's certificate must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerHost(pub(crate) Box<str>);

/// Where a webhook goes: a whole `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebUrl(pub(crate) Uri);

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY",
];

impl FromText for FieldName {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        HeaderName::from_bytes(text.as_bytes())
            .map(Self)
            .map_err(|_| Wrong::because("a name has letters, digits and `-`"))
    }
}

impl FromText for FieldValue {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.trim() != text {
            return Err(
                Wrong::because("a value neither begins nor ends with a space")
                    .help(format!("write \"{}\"", text.trim())),
            );
        }
        HeaderValue::from_str(text)
            .map(Self)
            .map_err(|_| Wrong::because("a value has visible characters, spaces and tabs"))
    }
}

impl FromText for Verb {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let upper = text.to_ascii_uppercase();
        if upper == "CONNECT" || upper == "TRACE" {
            return Err(Wrong::because("this method is always answered with 405"));
        }
        if upper != text && METHODS.contains(&upper.as_str()) {
            return Err(
                Wrong::because("methods are in upper case").help(format!("write \"{upper}\""))
            );
        }
        if text == "*" {
            return Err(Wrong::form().help("for every method leave `methods` out"));
        }
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if text.len() <= 32 => Ok(Self(method)),
            _ => {
                let help = did_you_mean(text, METHODS);
                Err(Wrong {
                    help,
                    ..Wrong::form()
                })
            }
        }
    }
}

impl FromText for RedirectTo {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.len() > 2048 {
            return Err(Wrong::because("at most 2,048 visible ASCII characters"));
        }
        let example = example_of(text)?;
        if example.starts_with("//") || example.starts_with("/\\") {
            return Err(Wrong::because(
                "two slashes at the start lead to another host",
            ));
        }
        if text.starts_with('/') || text.starts_with("{path}") {
            return Ok(Self(text.into()));
        }
        let Ok(uri) = example.parse::<Uri>() else {
            return Err(Wrong::form());
        };
        let http = matches!(uri.scheme_str(), Some("http" | "https"));
        let whole_host = text
            .find("://")
            .and_then(|end| text.get(end + 3..))
            .and_then(|rest| rest.split(['/', '?', '#']).next())
            .is_some_and(|first| {
                !first
                    .split("{path}")
                    .next()
                    .unwrap_or_default()
                    .contains('{')
            });
        match uri.host() {
            Some(host) if http && whole_host && !host.is_empty() => Ok(Self(text.into())),
            _ => Err(Wrong::form()),
        }
    }
}

/// What a request could be sent to, or what is wrong with a placeholder.
fn example_of(text: &str) -> Result<String, Wrong> {
    let bare = text.replace("{path}", "/x").replace("{query}", "y=z");
    let open = bare.find('{').and_then(|start| bare.get(start + 1..));
    match open.map(|rest| rest.split('}').next().unwrap_or_default()) {
        Some(name) => {
            let help = did_you_mean(name, ["path", "query"]);
            Err(Wrong {
                help,
                ..Wrong::because("placeholders are {path} and {query}")
            })
        }
        None if bare.contains('}') => Err(Wrong::because("placeholders are {path} and {query}")),
        None => Ok(bare),
    }
}

impl FromText for ServerHost {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let name = match text.parse::<std::net::IpAddr>() {
            Ok(ip) => ip.to_canonical().to_string(),
            Err(_) => host::name(text)?,
        };
        match ServerName::try_from(name.as_str()) {
            Ok(_) => Ok(Self(name.into())),
            Err(_) => Err(Wrong::form()),
        }
    }
}

impl FromText for WebUrl {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.len() > 2048 {
            return Err(Wrong::because("at most 2,048 visible ASCII characters"));
        }
        if text.contains('#') {
            return Err(Wrong::because("a fragment is never sent"));
        }
        if !text.contains("://") && !text.is_empty() {
            let rest = text.trim_start_matches('/');
            return Err(Wrong::form().help(format!("write \"https://{rest}\"")));
        }
        let uri = text.parse::<Uri>().map_err(|_| Wrong::form())?;
        let authority = uri.authority().ok_or_else(Wrong::form)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(Wrong::because("`https://` or `http://` is spoken"));
        }
        if authority.as_str().contains('@') {
            return Err(Wrong::because("a URL shows a secret to whoever reads it")
                .help("put a token into a file, and name it with `token_file`"));
        }
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match ServerName::try_from(bare) {
            Ok(_) if !host.is_empty() && authority.port_u16() != Some(0) => Ok(Self(uri)),
            _ => Err(Wrong::form()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_a_whole_url_without_secrets() {
        for url in [
            "https://alerts.internal/tidegate",
            "http://127.0.0.1:9000/",
            "https://[::1]:8443/hook?a=b",
            "https://alerts.internal",
        ] {
            assert!(WebUrl::from_text(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "alerts.internal/x",
            "/x",
            "ftp://alerts.internal/",
            "https://user:secret@alerts.internal/",
            "https://alerts.internal/#x",
            "https://alerts.internal:0/",
            "https://:8080/",
            "https://a b/",
        ] {
            assert!(WebUrl::from_text(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_redirect_leads_to_a_path_or_a_whole_url() {
        for to in [
            "/",
            "/new",
            "/new{path}",
            "https://a.example{path}?{query}",
            "http://a.example:8080/x",
            "{path}",
        ] {
            assert!(RedirectTo::from_text(to).is_ok(), "{to}");
        }
        for to in [
            "",
            "new",
            "//evil.example",
            "/{paht}",
            "ftp://a.example/",
            "https://",
            "https://{query}",
            "https://{path}",
            "/{path}",
            "/a b",
            "/\r\nx",
        ] {
            assert!(RedirectTo::from_text(to).is_err(), "{to}");
        }
    }

    #[test]
    fn methods_are_in_upper_case_and_neither_connect_nor_trace() {
        for method in ["GET", "PROPFIND"] {
            assert!(Verb::from_text(method).is_ok(), "{method}");
        }
        for method in ["get", "CONNECT", "trace", "", "*", "G T"] {
            assert!(Verb::from_text(method).is_err(), "{method}");
        }
    }
}
