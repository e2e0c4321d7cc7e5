//! Which form of body a client can read best.

use http::HeaderValue;

/// The forms that a fault's body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// problem+json, also where the client does not say.
    Problem,
    /// The page for people.
    Page,
}

/// Media ranges beyond this many are not read.
pub(super) const MAX_RANGES: usize = 16;
/// A longer field counts as none.
pub(super) const MAX_BYTES: usize = 1024;

/// How much a client wants a form: quality in thousandths, then how exactly it named it. Zero: not at all.
type Rank = (u16, u8);

/// The form that `accept` prefers (RFC 9110 section 12.5.1). The page must be wanted more than JSON is:
/// a tie, `*/*`, nothing, or what cannot be read is JSON.
pub(super) fn form(accept: Option<&HeaderValue>) -> Form {
    let text = accept
        .and_then(|value| value.to_str().ok())
        .filter(|text| text.len() <= MAX_BYTES)
        .unwrap_or_default();
    let ranges = || text.split(',').take(MAX_RANGES);
    let page = ranges().map(|range| rank(range, page_fit)).max();
    let problem = ranges().map(|range| rank(range, problem_fit)).max();
    if page > problem {
        Form::Page
    } else {
        Form::Problem
    }
}

fn rank(range: &str, fit: fn(&str) -> u8) -> Rank {
    let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
    match fit(media.trim()) {
        0 => (0, 0),
        exactness => match quality(parameters) {
            0 => (0, 0),
            quality => (quality, exactness),
        },
    }
}

fn page_fit(media: &str) -> u8 {
    fit(media, &["text/html", "application/xhtml+xml"], "text/*")
}

fn problem_fit(media: &str) -> u8 {
    fit(
        media,
        &["application/problem+json", "application/json"],
        "application/*",
    )
}

/// How exactly `media` names one of the types `whole`: 3 by name, 2 by its family, 1 by `*/*`, 0 not.
fn fit(media: &str, whole: &[&str], family: &str) -> u8 {
    if whole.iter().any(|name| name.eq_ignore_ascii_case(media)) {
        3
    } else if family.eq_ignore_ascii_case(media) {
        2
    } else {
        u8::from(media == "*/*")
    }
}

/// The `q` among `parameters`, in thousandths; 1000 where there is none or it cannot be read.
pub(super) fn quality(parameters: &str) -> u16 {
    let q = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    q.and_then(thousandths).unwrap_or(1000)
}

/// `0.5` as 500 (RFC 9110 section 12.4.2: at most three digits behind the point).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let places = [100, 10, 1];
    let parts = fraction.bytes().zip(places);
    let fraction: u16 = parts
        .map(|(digit, place)| u16::from(digit - b'0') * place)
        .sum();
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Form {
        form(Some(&HeaderValue::from_str(accept).unwrap()))
    }

    #[test]
    fn programs_get_json_and_browsers_a_page() {
        assert_eq!(form(None), Form::Problem);
        let problems = [
            "",
            "*/*",
            "application/json",
            "application/problem+json, text/html;q=0.9",
            "application/json, text/html",
            "text/html;q=0.5, */*",
            "text/html;q=0",
            "image/png",
            "text/plain",
            ",,;q=;",
        ];
        for accept in problems {
            assert_eq!(of(accept), Form::Problem, "{accept}");
        }
        let pages = [
            "text/html",
            "TEXT/HTML",
            "text/*",
            "text/html, */*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/json;q=0.5, text/html",
            "text/html; q=0.8, application/*; q=0.7",
            "text/html;q=nonsense",
        ];
        for accept in pages {
            assert_eq!(of(accept), Form::Page, "{accept}");
        }
    }

    #[test]
    fn what_is_beyond_the_bounds_is_not_read() {
        let many = format!("{}text/html", "image/png,".repeat(MAX_RANGES));
        assert_eq!(of(&many), Form::Problem);
        let long = format!("text/html;{}", "x".repeat(MAX_BYTES));
        assert_eq!(of(&long), Form::Problem);
    }

    #[test]
    fn qualities_are_read_to_three_places() {
        assert_eq!(thousandths("0.5"), Some(500));
        assert_eq!(thousandths("0.125"), Some(125));
        assert_eq!(thousandths("1.000"), Some(1000));
        assert_eq!(thousandths("0"), Some(0));
        for bad in ["1.5", "2", "0.1234", "-1", "", "0.x"] {
            assert_eq!(thousandths(bad), None, "{bad}");
        }
    }
}
