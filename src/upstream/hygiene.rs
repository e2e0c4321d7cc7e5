//! What hyper lets pass in the head of an HTTP/1 answer and nobody may pass on.

use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

use crate::fault::{Fault, Kind};

/// Refuses an answer whose end two readers could see in two places (RFC 9112 section 6.3): both a length and a
/// transfer coding, several lengths, or a coding besides `chunked`. Takes the length from a 204, which has none.
pub(super) fn check<B>(response: &mut Response<B>) -> Result<(), Fault> {
    if let Some(why) = ambiguity(response.headers()) {
        return Err(Fault::new(Kind::ResponseInvalid).detail(why));
    }
    if response.status() == StatusCode::NO_CONTENT {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    Ok(())
}

fn ambiguity(headers: &HeaderMap) -> Option<&'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Some("several Content-Length");
    }
    let coding = codings.next()?;
    if length.is_some() {
        return Some("both Content-Length and Transfer-Encoding");
    }
    let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    (!chunked || codings.next().is_some()).then_some("a Transfer-Encoding besides chunked")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answer(fields: &[(http::HeaderName, &'static str)]) -> Response<()> {
        let mut response = Response::new(());
        for (name, value) in fields {
            response
                .headers_mut()
                .append(name, HeaderValue::from_static(value));
        }
        response
    }

    #[test]
    fn an_answer_that_ends_in_one_place_passes() {
        for fields in [
            &[][..],
            &[(CONTENT_LENGTH, "5")],
            &[(TRANSFER_ENCODING, "chunked")],
            &[(TRANSFER_ENCODING, "Chunked")],
        ] {
            assert!(check(&mut answer(fields)).is_ok(), "{fields:?}");
        }
    }

    #[test]
    fn an_answer_that_may_end_in_two_places_is_refused() {
        for fields in [
            &[(CONTENT_LENGTH, "5"), (TRANSFER_ENCODING, "chunked")][..],
            &[(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "5")],
            &[(TRANSFER_ENCODING, "gzip, chunked")],
            &[
                (TRANSFER_ENCODING, "chunked"),
                (TRANSFER_ENCODING, "chunked"),
            ],
            &[(TRANSFER_ENCODING, "identity")],
        ] {
            let fault = check(&mut answer(fields)).unwrap_err();
            assert_eq!(fault.kind, Kind::ResponseInvalid, "{fields:?}");
        }
    }

    #[test]
    fn a_204_loses_its_length_and_others_keep_it() {
        let mut response = answer(&[(CONTENT_LENGTH, "0")]);
        check(&mut response).unwrap();
        assert!(response.headers().contains_key(CONTENT_LENGTH));
        *response.status_mut() = StatusCode::NO_CONTENT;
        check(&mut response).unwrap();
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
    }
}
