//! The small text files of the kernel, read and taken apart. A file that is missing or odd gives `None`.

use std::{fs, path::Path, str::FromStr};

/// What a file says as a whole: `123` or, where there is no limit, `max` (which is no number).
pub(super) fn number<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number beside `key` in a file of `key number` lines.
pub(super) fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

/// The share of the last ten seconds, 0 to 1, in the line `kind` (`some` or `full`) of a PSI file.
///
/// Such a line reads `some avg10=1.53 avg60=0.80 avg300=0.21 total=81723`, in percent.
pub(super) fn stalled(text: &str, kind: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
    let percent: f64 = line
        .split(' ')
        .find_map(|word| word.strip_prefix("avg10="))?
        .parse()
        .ok()?;
    percent.is_finite().then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "anon 12\ninactive_file_more 3\ninactive_file 4096\nodd\n";
        assert_eq!(field(text, "inactive_file"), Some(4096));
        assert_eq!(field(text, "file"), None);
        assert_eq!(field("inactive_file many\n", "inactive_file"), None);
        assert_eq!(field("", "anon"), None);
    }

    #[test]
    fn a_share_of_stalls_is_read_from_percent() {
        let text = "some avg10=12.50 avg60=1.00 avg300=0.10 total=9\n\
                    full avg10=3.00 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(stalled(text, "some"), Some(0.125));
        assert_eq!(stalled(text, "full"), Some(0.03));
    }

    #[test]
    fn what_is_odd_is_unknown() {
        for text in [
            "",
            "some",
            "some avg10=",
            "some avg10=NaN",
            "somewhat avg10=1.0",
        ] {
            assert_eq!(stalled(text, "some"), None, "{text:?}");
        }
    }
}
