//! The messages of the gRPC health protocol, by hand: one text goes out, one number comes back.
//!
//! Source: grpc/grpc `doc/health-checking.md` and `doc/PROTOCOL-HTTP2.md`; the encoding of protocol buffers.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_TYPE, TE},
};
use percent_encoding::percent_decode;

use crate::health::{CheckFailure, Serving};

/// The method that is called.
pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";
/// The longest answer that is read, in bytes.
pub(super) const MAX_MESSAGE: usize = 4096;
/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// The longest text of an error that is kept, in bytes.
const MAX_REASON: usize = 256;

/// `HealthCheckRequest { service }`, with its prefix.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(1 << 3 | 2); // field 1, a length and bytes
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0); // not compressed
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(message);
    framed.freeze()
}

/// What a call says of itself.
pub(super) fn headers(timeout: Duration) -> HeaderMap {
    let millis = format!("{}m", timeout.as_millis().clamp(1, 99_999_999));
    let timeout = HeaderValue::try_from(millis).unwrap_or(HeaderValue::from_static("1S"));
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (TE, HeaderValue::from_static("trailers")),
        (HeaderName::from_static("grpc-timeout"), timeout),
    ])
}

/// Whether a status is there; an error where it is not OK, or no number.
pub(super) fn status(headers: &HeaderMap) -> Result<bool, CheckFailure> {
    let Some(value) = headers.get("grpc-status") else {
        return Ok(false);
    };
    let code = value.to_str().ok().and_then(|text| text.parse().ok());
    match code {
        Some(0) => Ok(true),
        Some(code) => Err(CheckFailure::GrpcStatus {
            code,
            message: message_of(headers),
        }),
        None => Err(CheckFailure::Protocol(
            "its gRPC status is no number".into(),
        )),
    }
}

fn message_of(headers: &HeaderMap) -> Box<str> {
    let bytes = headers.get("grpc-message").map(HeaderValue::as_bytes);
    let text = percent_decode(bytes.unwrap_or_default()).decode_utf8_lossy();
    let visible = text.chars().filter(|char| !char.is_control());
    visible.take(MAX_REASON).collect::<String>().into()
}

/// Whether `HealthCheckResponse { status }`, with its prefix, says SERVING.
pub(super) fn serving(framed: &[u8]) -> Result<(), CheckFailure> {
    let unreadable = |why: &str| CheckFailure::Protocol(why.into());
    let Some((prefix, message)) = framed.split_first_chunk::<PREFIX>() else {
        return Err(unreadable("it has no message"));
    };
    let [compressed, length @ ..] = prefix;
    if *compressed != 0 {
        return Err(unreadable(
            "its message is compressed, which was not asked for",
        ));
    }
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(message.len()) {
        return Err(unreadable("its message has another length than it says"));
    }
    let status = status_in(message).ok_or_else(|| unreadable("its message is malformed"))?;
    Err(CheckFailure::NotServing(match status {
        1 => return Ok(()),
        0 => Serving::Unknown,
        2 => Serving::NotServing,
        3 => Serving::ServiceUnknown,
        other => Serving::Other(other),
    }))
}

/// Field 1 of a message, 0 where it is not there; unknown fields are skipped. `None`: malformed.
fn status_in(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match (key >> 3, key & 7) {
            (0, _) => return None,
            (1, 0) => status = take_varint(&mut message)?,
            (_, 0) => drop(take_varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn put_varint(out: &mut BytesMut, mut number: u64) {
    while let Some(more) = Some(number >> 7).filter(|more| *more > 0) {
        out.put_u8((number & 0x7f) as u8 | 0x80);
        number = more;
    }
    out.put_u8((number & 0x7f) as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0], length.as_slice(), message].concat()
    }

    #[test]
    fn a_request_names_its_service() {
        assert_eq!(&request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&request("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request(&"a".repeat(200));
        assert_eq!(&long[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
        assert_eq!(long.len(), PREFIX + 203);
    }

    #[test]
    fn only_serving_passes() {
        let says = |message: &[u8]| serving(&framed(message));
        assert_eq!(says(&[8, 1]), Ok(()));
        for (message, what) in [
            (&[][..], Serving::Unknown),
            (&[8, 0], Serving::Unknown),
            (&[8, 2], Serving::NotServing),
            (&[8, 3], Serving::ServiceUnknown),
            (&[8, 0x80, 1], Serving::Other(128)),
        ] {
            assert_eq!(says(message), Err(CheckFailure::NotServing(what)));
        }
    }

    #[test]
    fn fields_of_later_versions_are_skipped() {
        let later = [
            &[0x10, 0x96, 1][..],            // 2: varint
            &[0x19, 0, 0, 0, 0, 0, 0, 0, 0], // 3: eight bytes
            &[0x22, 2, 8, 2],                // 4: bytes, which look like NOT_SERVING
            &[8, 1],                         // 1: SERVING
            &[0x2d, 0, 0, 0, 0],             // 5: four bytes
        ];
        assert_eq!(serving(&framed(&later.concat())), Ok(()));
    }

    #[test]
    fn what_is_malformed_does_not_pass() {
        let malformed = |framed: &[u8]| matches!(serving(framed), Err(CheckFailure::Protocol(_)));
        assert!(malformed(&[]));
        assert!(malformed(&[0, 0, 0, 0]));
        assert!(malformed(&[1, 0, 0, 0, 2, 8, 1]), "compressed");
        assert!(malformed(&[0, 0, 0, 0, 3, 8, 1]), "too short");
        assert!(malformed(&[0, 0, 0, 0, 1, 8, 1]), "too long");
        for message in [
            &[8][..],
            &[8, 0x80],
            &[0x22, 5, 1],
            &[0x19, 1],
            &[0x0b],
            &[0, 1],
            &[
                8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
        ] {
            assert!(malformed(&framed(message)), "{message:?}");
        }
    }

    #[test]
    fn a_status_is_read_with_its_message() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let fields = pairs.iter().map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            status(&fields.collect())
        };
        assert_eq!(of(&[]), Ok(false));
        assert_eq!(of(&[("grpc-status", "0")]), Ok(true));
        let failed = of(&[
            ("grpc-status", "12"),
            ("grpc-message", "no%20such%0amethod"),
        ]);
        let text = failed.unwrap_err().to_string();
        assert_eq!(
            text,
            "gRPC status 12 (UNIMPLEMENTED: the server has no health service): no suchmethod"
        );
        assert!(matches!(
            of(&[("grpc-status", "x")]),
            Err(CheckFailure::Protocol(_))
        ));
    }
}
