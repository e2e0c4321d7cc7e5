//! Which language a client can read best.

use http::HeaderValue;

use super::accept::{MAX_BYTES, MAX_RANGES, quality};

/// The languages that a client asks for, best first: ranges of RFC 4647, without `*` and what it refuses.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    ranges: Vec<(u16, &'a str)>,
    refused: Vec<&'a str>,
}

// === impl Wanted ===

impl<'a> Wanted<'a> {
    /// What `accept_language` asks for (RFC 9110 section 12.5.4). What is too long, or cannot be read, asks for nothing.
    pub(super) fn of(accept_language: Option<&'a HeaderValue>) -> Self {
        let text = accept_language
            .and_then(|value| value.to_str().ok())
            .filter(|text| text.len() <= MAX_BYTES)
            .unwrap_or_default();
        let (mut ranges, mut refused) = (Vec::new(), Vec::new());
        for range in text.split(',').take(MAX_RANGES) {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let tag = tag.trim();
            match quality(parameters) {
                _ if tag.is_empty() || tag == "*" => {} // whatever there is: the operator's language
                0 => refused.push(tag),
                quality => ranges.push((quality, tag)),
            }
        }
        ranges.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality)); // stable: of equals the first
        Self { ranges, refused }
    }

    /// The best of what `there` finds by its tag: each range, then the same with less and less behind it (RFC 4647
    /// section 3.4). `None`: nothing that it asks for is there.
    pub(super) fn lookup<T>(&self, there: impl Fn(&str) -> Option<T>) -> Option<T> {
        let tags = self.ranges.iter().flat_map(|(_, range)| shorter(range));
        let allowed = |tag: &&str| !self.refused.iter().any(|no| no.eq_ignore_ascii_case(tag));
        tags.filter(allowed).find_map(there)
    }
}

/// `zh-Hant-TW`, `zh-Hant`, `zh`; a part of one letter goes with what was behind it.
fn shorter(range: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(range), |tag| {
        let (rest, _) = tag.rsplit_once('-')?;
        match rest.rsplit_once('-') {
            Some((before, part)) if part.len() == 1 => Some(before),
            _ => Some(rest),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: [&str; 4] = ["en", "de", "pt-BR", "zh-Hant"];

    fn best(accept: &str) -> Option<&'static str> {
        let value = HeaderValue::from_str(accept).unwrap();
        let find = |tag: &str| THERE.into_iter().find(|one| one.eq_ignore_ascii_case(tag));
        Wanted::of(Some(&value)).lookup(find)
    }

    #[test]
    fn the_best_language_that_there_is_is_found() {
        let cases = [
            ("de", Some("de")),
            ("DE-ch", Some("de")),
            ("de-CH-1996", Some("de")),
            ("fr, de;q=0.5, en;q=0.7", Some("en")),
            ("en;q=0.5,de", Some("de")),
            ("en;q=0.5,de;q=0.5", Some("en")),
            ("pt", None),
            ("pt-br", Some("pt-BR")),
            ("zh-Hant-TW, en", Some("zh-Hant")),
            ("zh-Hant-x-private, en", Some("zh-Hant")),
            ("fr", None),
            ("*", None),
            ("", None),
            (",;q=,", None),
            ("de;q=0, en", Some("en")),
            ("de-CH, de;q=0", None),
            ("de;q=0", None),
            ("de; q=0.8 , en ;q=0.9", Some("en")),
            ("d\u{e4}", None),
        ];
        for (accept, language) in cases {
            assert_eq!(best(accept), language, "{accept}");
        }
        assert_eq!(Wanted::of(None).lookup(|_| Some(())), None);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_not_read() {
        let many = format!("{}de", "fr,".repeat(MAX_RANGES));
        assert_eq!(best(&many), None);
        let long = format!("de, {}", "x".repeat(MAX_BYTES));
        assert_eq!(best(&long), None);
    }
}
