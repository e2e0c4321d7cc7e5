//! Whether one route takes a request whose host and path fit.

use std::cmp::Reverse;

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::config::{HeaderMatch, MatchPlan, QueryMatch};

/// What a route is chosen by.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Lower case, no port, no trailing dot; empty where the request names none.
    pub host: &'a str,
    /// In normal form, see [`normalise`](super::normalise); or `*`.
    pub path: &'a str,
    /// What stands behind `?`, as sent.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The fields.
    pub headers: &'a HeaderMap,
}

/// Whether the conditions besides host and path hold: any of the methods, all headers, all parameters.
pub(super) fn holds(plan: &MatchPlan, head: &Head<'_>) -> bool {
    (plan.methods.is_empty() || plan.methods.contains(head.method))
        && plan
            .headers
            .iter()
            .all(|header| has_header(header, head.headers))
        && plan
            .query
            .iter()
            .all(|wanted| has_parameter(wanted, head.query))
}

/// How narrow the conditions besides host and path are: of two routes the greater is asked first.
///
/// More header and query matchers, then methods (fewer of them first), then more matchers with a value.
pub(super) fn narrowness(plan: &MatchPlan) -> impl Ord + use<> {
    let valued = plan.headers.iter().filter(|h| h.value.is_some()).count()
        + plan.query.iter().filter(|q| q.value.is_some()).count();
    let methods = Reverse(plan.methods.len());
    (
        plan.headers.len() + plan.query.len(),
        !plan.methods.is_empty(),
        methods,
        valued,
    )
}

/// A field counts if any of its lines has the value, byte by byte.
fn has_header(wanted: &HeaderMatch, headers: &HeaderMap) -> bool {
    match &wanted.value {
        None => headers.contains_key(&wanted.name),
        Some(value) => headers
            .get_all(&wanted.name)
            .iter()
            .any(|sent| sent == value),
    }
}

/// A parameter counts if any of its occurrences has the value. Nothing is allocated: text is decoded on the fly.
fn has_parameter(wanted: &QueryMatch, query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        !pair.is_empty()
            && decodes_to(name, &wanted.name)
            && wanted
                .value
                .as_deref()
                .is_none_or(|text| decodes_to(value, text))
    })
}

/// Whether `raw` is `text` in the encoding of forms: `+` is a space, `%41` is `A`.
fn decodes_to(raw: &str, text: &str) -> bool {
    let decoded = raw.split('+').enumerate().flat_map(|(index, piece)| {
        let space = (index > 0).then_some(b' ');
        space.into_iter().chain(percent_decode_str(piece))
    });
    decoded.eq(text.bytes())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn parameter(name: &str, value: Option<&str>) -> QueryMatch {
        QueryMatch {
            name: name.into(),
            value: value.map(Into::into),
        }
    }

    #[test]
    fn a_parameter_is_compared_decoded() {
        let wanted = parameter("na me", Some("a&b+c"));
        assert!(has_parameter(&wanted, Some("x=1&na+me=a%26b%2bc")));
        assert!(has_parameter(&wanted, Some("na%20me=a%26b%2Bc")));
        assert!(!has_parameter(&wanted, Some("na+me=a%26b+c")));
        assert!(!has_parameter(&wanted, Some("na+me=a")));
        assert!(!has_parameter(&wanted, None));
    }

    #[test]
    fn a_parameter_without_a_value_must_only_be_there() {
        let wanted = parameter("debug", None);
        assert!(has_parameter(&wanted, Some("debug")));
        assert!(has_parameter(&wanted, Some("a=b&debug=0")));
        assert!(!has_parameter(&wanted, Some("debugger=1&a=debug")));
        assert!(!has_parameter(&parameter("", None), Some("")));
    }

    #[test]
    fn a_later_occurrence_counts_too() {
        assert!(has_parameter(&parameter("v", Some("2")), Some("v=1&v=2")));
    }

    #[test]
    fn a_header_is_compared_by_value_on_any_of_its_lines() {
        let name = HeaderName::from_static("x-canary");
        let mut headers = HeaderMap::new();
        headers.append(name.clone(), HeaderValue::from_static("no"));
        headers.append(name.clone(), HeaderValue::from_static("yes"));
        let wanted = |value: Option<&'static str>| HeaderMatch {
            name: name.clone(),
            value: value.map(HeaderValue::from_static),
        };
        assert!(has_header(&wanted(None), &headers));
        assert!(has_header(&wanted(Some("yes")), &headers));
        assert!(!has_header(&wanted(Some("YES")), &headers));
        assert!(!has_header(&wanted(None), &HeaderMap::new()));
    }
}
