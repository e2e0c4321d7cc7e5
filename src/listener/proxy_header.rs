//! The PROXY protocol, versions 1 and 2: who the client is, told by the proxy in front.
//!
//! Source: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. The header is read to its last
//! byte and not one further, so what follows is still in the socket for TLS or HTTP.

use std::{io, net::SocketAddr};

use ppp::{v1, v2};
use tokio::net::TcpStream;

/// The longest header of version 1, its CRLF included.
const LONGEST_V1: usize = 107;
/// The longest header of version 2 that is taken; the protocol allows 64 KiB of TLVs.
const LONGEST_V2: usize = 4096;
/// Signature, version, family and length of version 2.
const FIXED_V2: usize = 16;
/// How every header of version 1 begins.
const PREFIX_V1: &[u8] = b"PROXY ";
/// The TLV that holds a CRC-32C of the header.
const CRC32C: u8 = 0x03;

/// Who speaks with whom, as the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
}

/// Why there is no header.
#[derive(Debug)]
pub(super) enum HeaderError {
    /// The connection ended before its first byte, as the checks of load balancers do.
    Empty,
    /// The connection failed, or ended within the header.
    Io(io::Error),
    /// What came is not a header, or one that is not allowed.
    Invalid(&'static str),
}

/// How many of the bytes that wait belong to the header, and whether it is then complete.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    take: usize,
    complete: bool,
}

/// Reads the header; `None` where the socket's own addresses hold (LOCAL, UNKNOWN, UNSPEC, Unix).
///
/// At most [`LONGEST_V1`] or [`LONGEST_V2`] bytes. The caller sets the deadline.
///
/// # Errors
/// Where there is no valid header: the connection must be closed without an answer (section 2).
///
/// # Cancel safety
/// Not to be resumed: what was read is lost.
pub(super) async fn read(stream: &TcpStream) -> Result<Option<Ends>, HeaderError> {
    let mut head = Vec::with_capacity(LONGEST_V1 + 1);
    let mut waiting = [0_u8; 512];
    loop {
        let n = stream.peek(&mut waiting).await.map_err(HeaderError::Io)?;
        if n == 0 {
            return Err(if head.is_empty() {
                HeaderError::Empty
            } else {
                HeaderError::Io(io::ErrorKind::UnexpectedEof.into())
            });
        }
        let fresh = waiting.get(..n).unwrap_or_default();
        let step = step(&head, fresh)?;
        consume(stream, &mut head, step.take).await?;
        if step.complete {
            return parse(&head);
        }
    }
}

/// Moves `count` bytes, which were seen to wait, from the socket to `head`.
async fn consume(stream: &TcpStream, head: &mut Vec<u8>, count: usize) -> Result<(), HeaderError> {
    let mut taken = [0_u8; 512];
    let mut left = count;
    while left > 0 {
        stream.readable().await.map_err(HeaderError::Io)?;
        let room = taken.get_mut(..left).unwrap_or_default();
        match stream.try_read(room) {
            Ok(0) => return Err(HeaderError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => {
                head.extend_from_slice(taken.get(..n).unwrap_or_default());
                left = left.saturating_sub(n);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(HeaderError::Io(error)),
        }
    }
    Ok(())
}

/// What of `fresh` belongs to a header that began with `head`.
fn step(head: &[u8], fresh: &[u8]) -> Result<Step, HeaderError> {
    let at = |index: usize| {
        head.get(index)
            .or_else(|| fresh.get(index.wrapping_sub(head.len())))
            .copied()
    };
    let seen = head.len().saturating_add(fresh.len());
    let begins = |prefix: &[u8]| prefix.iter().zip(0..seen).all(|(b, i)| at(i) == Some(*b));
    if begins(v2::PROTOCOL_PREFIX) {
        let whole = match (at(14), at(15)) {
            (Some(high), Some(low)) => {
                FIXED_V2.saturating_add(usize::from(u16::from_be_bytes([high, low])))
            }
            _ => FIXED_V2,
        };
        if whole > LONGEST_V2 {
            return Err(HeaderError::Invalid("longer than 4096 bytes"));
        }
        let take = fresh.len().min(whole.saturating_sub(head.len()));
        let have = head.len().saturating_add(take);
        return Ok(Step {
            take,
            complete: have == whole && have >= FIXED_V2 && at(15).is_some(),
        });
    }
    if begins(PREFIX_V1) {
        let end = fresh.iter().position(|byte| *byte == b'\n');
        let take = end.map_or(fresh.len(), |end| end.saturating_add(1));
        if head.len().saturating_add(take) > LONGEST_V1 {
            return Err(HeaderError::Invalid("longer than 107 bytes"));
        }
        return Ok(Step {
            take,
            complete: end.is_some(),
        });
    }
    Err(HeaderError::Invalid("not a PROXY header"))
}

fn parse(head: &[u8]) -> Result<Option<Ends>, HeaderError> {
    if head.starts_with(v2::PROTOCOL_PREFIX) {
        let header =
            v2::Header::try_from(head).map_err(|_| HeaderError::Invalid("malformed, version 2"))?;
        check_tlvs(&header)?;
        Ok(match (header.command, header.addresses) {
            (v2::Command::Local, _) | (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => {
                None
            }
            (v2::Command::Proxy, v2::Addresses::IPv4(ends)) => Some(ends_of_4(ends)),
            (v2::Command::Proxy, v2::Addresses::IPv6(ends)) => Some(ends_of_6(ends)),
        })
    } else {
        let header =
            v1::Header::try_from(head).map_err(|_| HeaderError::Invalid("malformed, version 1"))?;
        Ok(match header.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(ends) => Some(ends_of_4(ends)),
            v1::Addresses::Tcp6(ends) => Some(ends_of_6(ends)),
        })
    }
}

/// Every TLV must be whole, and the checksum right where there is one (section 2.2.3).
fn check_tlvs(header: &v2::Header<'_>) -> Result<(), HeaderError> {
    for tlv in header.tlvs() {
        let tlv = tlv.map_err(|_| HeaderError::Invalid("malformed TLV"))?;
        if tlv.kind == CRC32C {
            check_crc(&header.header, &tlv.value)?;
        }
    }
    Ok(())
}

fn check_crc(header: &[u8], given: &[u8]) -> Result<(), HeaderError> {
    let wrong = HeaderError::Invalid("wrong CRC-32C");
    let Ok(given) = <[u8; 4]>::try_from(given) else {
        return Err(wrong);
    };
    // The checksum is of the header with the checksum's own bytes as zeros. A header that holds those four
    // bytes twice is refused where the first place is not the TLV's: nobody sends one by chance.
    let marker = [CRC32C, 0, 4, given[0], given[1], given[2], given[3]];
    let place = header
        .windows(marker.len())
        .position(|window| window == marker)
        .and_then(|at| at.checked_add(3));
    let Some(place) = place else {
        return Err(wrong);
    };
    let zeroed = place..place.saturating_add(4);
    let bytes = header
        .iter()
        .enumerate()
        .map(|(i, byte)| if zeroed.contains(&i) { 0 } else { *byte });
    if crc32c(bytes) == u32::from_be_bytes(given) {
        Ok(())
    } else {
        Err(wrong)
    }
}

/// CRC-32C, RFC 9260 appendix A, bit by bit: a header has at most [`LONGEST_V2`] bytes.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (POLYNOMIAL * (crc & 1))
        })
    })
}

fn ends_of_4(ends: ppp::v1::IPv4) -> Ends {
    Ends {
        source: (ends.source_address, ends.source_port).into(),
        destination: (ends.destination_address, ends.destination_port).into(),
    }
}

fn ends_of_6(ends: ppp::v1::IPv6) -> Ends {
    Ends {
        source: (ends.source_address, ends.source_port).into(),
        destination: (ends.destination_address, ends.destination_port).into(),
    }
}

impl std::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("closed before the first byte"),
            Self::Io(error) => error.fmt(f),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2_header(tlvs: &[u8]) -> Vec<u8> {
        let mut bytes = v2::PROTOCOL_PREFIX.to_vec();
        bytes.extend([0x21, 0x11]);
        bytes.extend(u16::try_from(12 + tlvs.len()).unwrap().to_be_bytes());
        bytes.extend([192, 0, 2, 1, 10, 0, 0, 1, 0x1F, 0x90, 0, 80]);
        bytes.extend(tlvs);
        bytes
    }

    fn expected() -> Ends {
        Ends {
            source: "192.0.2.1:8080".parse().unwrap(),
            destination: "10.0.0.1:80".parse().unwrap(),
        }
    }

    /// Feeds `bytes` by `chunk` at a time; what was left over comes with the result.
    fn feed(bytes: &[u8], chunk: usize) -> Result<(Option<Ends>, usize), HeaderError> {
        let (mut head, mut rest) = (Vec::new(), bytes);
        loop {
            let fresh = &rest[..rest.len().min(chunk)];
            assert!(!fresh.is_empty(), "the header wants more than there is");
            let step = step(&head, fresh)?;
            head.extend(&fresh[..step.take]);
            rest = &rest[step.take..];
            if step.complete {
                return Ok((parse(&head)?, rest.len()));
            }
        }
    }

    #[test]
    fn a_header_is_read_to_its_last_byte_however_it_is_cut() {
        let v1 = b"PROXY TCP4 192.0.2.1 10.0.0.1 8080 80\r\n".to_vec();
        for mut bytes in [v1, v2_header(&[]), v2_header(&[0x04, 0, 2, 9, 9])] {
            bytes.extend(b"GET / HTTP/1.1\r\n");
            for chunk in 1..bytes.len() {
                let (ends, left) = feed(&bytes, chunk).unwrap();
                assert_eq!((ends, left), (Some(expected()), 16), "chunks of {chunk}");
            }
        }
    }

    #[test]
    fn unknown_and_local_keep_the_sockets_address() {
        let mut local = v2_header(&[]);
        local[12] = 0x20;
        let mut unspecified = v2::PROTOCOL_PREFIX.to_vec();
        unspecified.extend([0x21, 0, 0, 0]);
        for bytes in [b"PROXY UNKNOWN\r\n".to_vec(), local, unspecified] {
            assert_eq!(feed(&bytes, 64).unwrap(), (None, 0));
        }
    }

    #[test]
    fn what_is_not_a_header_is_refused() {
        let long_v1 = [b"PROXY TCP4 ", [b'1'; 120].as_slice()].concat();
        let mut long_v2 = v2::PROTOCOL_PREFIX.to_vec();
        long_v2.extend([0x21, 0x11, 0x20, 0]);
        let bad: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 8080\r\n",
            b"PROXY TCP4 1.2.3.4 10.0.0.1 99999 80\r\n",
            &long_v1,
            &long_v2,
            &v2_header(&[0x04, 0, 9, 1]),
        ];
        for bytes in bad {
            let result = feed(bytes, 512);
            assert!(
                matches!(result, Err(HeaderError::Invalid(_))),
                "{result:?} for {bytes:?}"
            );
        }
    }

    #[test]
    fn a_checksum_must_be_right_where_there_is_one() {
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xE306_9283);
        let zeroed = v2_header(&[CRC32C, 0, 4, 0, 0, 0, 0]);
        let crc = crc32c(zeroed.iter().copied()).to_be_bytes();
        let tlv = [&[CRC32C, 0, 4], crc.as_slice()].concat();
        assert_eq!(feed(&v2_header(&tlv), 512).unwrap().0, Some(expected()));
        let wrong = v2_header(&[CRC32C, 0, 4, crc[0] ^ 1, crc[1], crc[2], crc[3]]);
        assert!(matches!(feed(&wrong, 512), Err(HeaderError::Invalid(_))));
    }
}
