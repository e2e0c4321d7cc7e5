//! The secret that opens the admin pages.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A secret that can be compared with but not read back: only its SHA-256 is kept.
///
/// An empty secret matches nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Option<[u8; 32]>);

impl Token {
    /// The token `secret`; white space around it does not count.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let secret = secret.trim();
        Self((!secret.is_empty()).then(|| digest(secret)))
    }

    /// Whether `presented` is the secret. The time it takes says nothing about how much of it is right.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        let Some(secret) = &self.0 else { return false };
        let presented = digest(presented.trim());
        let difference = secret
            .iter()
            .zip(presented)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        difference == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_matches() {
        let token = Token::new("s3cret\n");
        assert!(token.matches("s3cret"));
        for wrong in ["", "s3cre", "s3crets", "S3cret", "[redacted]"] {
            assert!(!token.matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_empty_secret_matches_nothing() {
        for empty in ["", " \n"] {
            assert!(!Token::new(empty).matches(""));
            assert!(!Token::new(empty).matches(empty));
        }
    }

    #[test]
    fn the_debug_form_does_not_show_it() {
        assert_eq!(format!("{:?}", Token::new("s3cret")), "[redacted]");
    }
}
