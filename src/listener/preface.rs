//! Whether a connection begins as HTTP/2 with prior knowledge.

/// RFC 9113 section 3.4. Enough of it that no request of HTTP/1 begins so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Follows the first bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preface {
    /// So many bytes are as in the preface.
    Matching(usize),
    /// It is known.
    Known {
        /// HTTP/2.
        http2: bool,
    },
}

impl Preface {
    pub(super) const NOTHING_YET: Self = Self::Matching(0);

    /// Follows `bytes`, the next of the connection.
    pub(super) fn follow(self, bytes: &[u8]) -> Self {
        let Self::Matching(seen) = self else {
            return self;
        };
        let expected = PREFACE.get(seen..).unwrap_or_default();
        if !expected.iter().zip(bytes).all(|(a, b)| a == b) {
            return Self::Known { http2: false };
        }
        if bytes.len() >= expected.len() {
            return Self::Known { http2: true };
        }
        Self::Matching(seen.saturating_add(bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_known_however_it_is_cut_and_a_put_is_not_it() {
        let whole = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        for cut in 1..whole.len() {
            let (first, second) = whole.split_at(cut);
            let seen = Preface::NOTHING_YET.follow(first).follow(second);
            assert_eq!(seen, Preface::Known { http2: true }, "cut at {cut}");
        }
        let put = Preface::NOTHING_YET
            .follow(b"P")
            .follow(b"UT / HTTP/1.1\r\n");
        assert_eq!(put, Preface::Known { http2: false });
    }
}
