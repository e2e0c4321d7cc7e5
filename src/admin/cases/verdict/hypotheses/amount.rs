//! Values of the config as numbers.

/// A value of the config as a number that can be compared with another of its key.
pub(super) fn amount(value: &str) -> Option<f64> {
    let text = value.trim_matches('"');
    if text == "off" {
        return Some(f64::INFINITY);
    }
    let (count, per) = text.split_once('/').unwrap_or((text, "s"));
    let per = match per {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let digits = count.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = count.split_at(digits.unwrap_or(count.len()));
    let number: f64 = number.parse().ok()?;
    let unit = match unit {
        "" | "s" | "B" => 1.0,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "KB" => 1e3,
        "KiB" => 1024.0,
        "MB" => 1e6,
        "MiB" => 1024.0 * 1024.0,
        "GB" => 1e9,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number * unit / per)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sizes_and_rates_are_numbers_of_one_unit_and_words_are_none() {
        for (value, number) in [
            ("16", Some(16.0)),
            ("\"90s\"", Some(90.0)),
            ("\"900ms\"", Some(0.9)),
            ("\"120/m\"", Some(2.0)),
            ("\"2KiB\"", Some(2048.0)),
            ("\"off\"", Some(f64::INFINITY)),
            ("\"header:X\"", None),
            ("\"1/y\"", None),
        ] {
            assert_eq!(amount(value), number, "{value}");
        }
    }
}
