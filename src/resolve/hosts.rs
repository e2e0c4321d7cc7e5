//! `/etc/hosts`, read anew for each lookup as the C library does, so that a change counts at once.

use std::{net::IpAddr, path::Path};

use tokio::{fs::File, io::AsyncReadExt};

/// More than this of the file is not read.
const MAX_BYTES: u64 = 1024 * 1024;

/// The addresses that the file at `path` gives to `name`; none where it cannot be read.
pub(super) async fn addresses(path: &Path, name: &str) -> Vec<IpAddr> {
    let mut text = Vec::new();
    if let Ok(file) = File::open(path).await
        && let Err(error) = file.take(MAX_BYTES).read_to_end(&mut text).await
    {
        tracing::debug!(%error, path = %path.display(), "hosts file cannot be read");
    }
    addresses_in(&String::from_utf8_lossy(&text), name)
}

/// See hosts(5): an address, then names, then perhaps a comment.
fn addresses_in(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut addresses = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        if words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(name)) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
# 192.0.2.9 commented.out
127.0.0.1   localhost
::1\tlocalhost ip6-localhost # not.this
192.0.2.1 Shop.Internal shop
2001:db8::1 shop.internal
not-an-address shop.internal
";

    fn found(name: &str) -> Vec<String> {
        addresses_in(FILE, name)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_line_of_a_name_counts_whatever_the_case() {
        assert_eq!(found("shop.internal"), ["192.0.2.1", "2001:db8::1"]);
    }

    #[test]
    fn comments_name_nobody() {
        assert_eq!(found("commented.out"), [""; 0]);
        assert_eq!(found("not.this"), [""; 0]);
    }

    #[test]
    fn a_trailing_dot_changes_nothing() {
        assert_eq!(found("localhost."), ["127.0.0.1", "::1"]);
    }

    #[test]
    fn a_part_of_a_name_is_not_the_name() {
        assert_eq!(found("internal"), [""; 0]);
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_names_nobody() {
        assert!(
            addresses(Path::new("/no/such/file"), "localhost")
                .await
                .is_empty()
        );
    }
}
