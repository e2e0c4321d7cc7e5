//! Trailers, in both directions: passed on, but never what belongs in a head (RFC 9110 section 6.5.1).

use http::{HeaderMap, HeaderName, header};

/// Fields that frame, route, authenticate or steer a message: a trailer of this name is dropped.
const NEVER: [HeaderName; 14] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Drops the fields that may not be trailers.
pub(super) fn keep_allowed(fields: &mut HeaderMap) {
    for name in &NEVER {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_trailer_that_frames_or_authenticates_is_dropped_and_others_stay() {
        let mut fields = HeaderMap::new();
        for name in [
            "content-length",
            "host",
            "authorization",
            "grpc-status",
            "x-checksum",
        ] {
            fields.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        keep_allowed(&mut fields);
        let mut left: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }
}
