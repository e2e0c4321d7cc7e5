//! Until when a certificate is valid, read from its DER form (RFC 5280 section 4.1): the TLS library checks that of
//! others, and has no word for ours.

/// The tags on the way.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate in its DER form, in seconds since 1970; `None` where it cannot be read.
#[must_use]
pub fn not_after(certificate: &[u8]) -> Option<i64> {
    let mut input = certificate;
    let mut whole = content(&mut input, SEQUENCE)?;
    let mut signed = content(&mut whole, SEQUENCE)?;
    if signed.first() == Some(&VERSION) {
        next(&mut signed)?;
    }
    for _before in ["serial number", "signature", "issuer"] {
        next(&mut signed)?;
    }
    let mut validity = content(&mut signed, SEQUENCE)?;
    next(&mut validity)?; // notBefore
    let (tag, time) = next(&mut validity)?;
    let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    match tag {
        UTC_TIME => {
            let (year, rest) = time.split_at_checked(2)?;
            let year: i64 = number(year)?;
            moment(if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = time.split_at_checked(4)?;
            moment(number(year)?, rest)
        }
        _ => None,
    }
}

/// The next element, which must have this tag.
fn content<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(input)
        .filter(|(found, _)| *found == tag)
        .map(|(_, content)| content)
}

/// The next element: its tag and content.
fn next<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let (digits, after) = rest.split_at_checked(length - 0x80)?;
        if digits.len() > 4 {
            return None;
        }
        length = digits
            .iter()
            .fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    *input = after;
    Some((*tag, content))
}

fn number(digits: &str) -> Option<i64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// `rest` is month, day, hour, minute and second, of two digits each.
fn moment(year: i64, rest: &str) -> Option<i64> {
    let mut fields = [0_i64; 5];
    if rest.len() != 2 * fields.len() {
        return None;
    }
    for (field, at) in fields.iter_mut().zip((0..).step_by(2)) {
        *field = number(rest.get(at..at + 2)?)?;
    }
    let [month, day, hour, minute, second] = fields;
    if !(1..=12).contains(&month) {
        return None;
    }
    // Years from March on end with the leap day: the days before a month are then one straight line.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - DAYS_TO_1970;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// From the first of March of the year 0 to the first of January 1970.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        let cases = [
            (1970, "0101000000", 0),
            (2000, "0229000000", 951_782_400),
            (2001, "0909014640", 1_000_000_000),
            (2038, "0119031408", 2_147_483_648),
            (2100, "0301000000", 4_107_542_400),
        ];
        for (year, rest, seconds) in cases {
            assert_eq!(moment(year, rest), Some(seconds), "{year} {rest}");
        }
        for wrong in ["1301000000", "0101", "01010000xx", "+1+1000000"] {
            assert_eq!(moment(2020, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn both_forms_of_time_are_read_from_a_certificate() {
        for (year, seconds) in [(2030, 1_893_456_000), (2060, 2_840_140_800)] {
            let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(not_after(certificate.der()), Some(seconds));
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        let whole = params.self_signed(&key).unwrap().der().to_vec();
        for end in 0..whole.len().min(120) {
            let _ = not_after(whole.get(..end).unwrap()); // a cut one is no panic
        }
        assert_eq!(not_after(b"no certificate"), None);
    }
}
