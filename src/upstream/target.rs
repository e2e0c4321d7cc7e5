//! The request's target and version, as each protocol wants them.

use http::{
    Request, Uri, Version,
    header::{HOST, TRANSFER_ENCODING},
    uri::Authority,
    uri::Scheme,
};

use crate::{
    fault::{Fault, Kind},
    pool::Seat,
};

/// For HTTP/1: the path alone (RFC 9112 section 3.2.1); `Host` is there already.
pub(super) fn for_http1<B>(request: &mut Request<B>) {
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_none() && request.uri().scheme().is_none() {
        return;
    }
    let uri = std::mem::take(request.uri_mut());
    let path = uri.into_parts().path_and_query;
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
}

/// For HTTP/2: scheme and authority too (RFC 9113 section 8.3.1), the authority from `Host`.
///
/// `Host` stays; the RFC lets an intermediary keep one that is equal.
pub(super) fn for_http2<B>(
    request: &mut Request<B>,
    scheme: Scheme,
    seat: &Seat,
) -> Result<(), Fault> {
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(TRANSFER_ENCODING); // frames have their own ends
    let host = request.headers().get(HOST).unwrap_or(&seat.authority);
    let authority = Authority::try_from(host.as_bytes())
        .map_err(|error| Fault::new(Kind::Internal).detail(error.to_string()))?;
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = parts.path_and_query.or_else(|| "/".parse().ok());
    *request.uri_mut() = Uri::from_parts(parts)
        .map_err(|error| Fault::new(Kind::Internal).detail(error.to_string()))?;
    Ok(())
}
