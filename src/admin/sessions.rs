//! Who has signed in by the form.

use std::{collections::VecDeque, fmt::Write as _, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Token;

/// Most sessions at a time; one more ends the oldest.
const MAX_SESSIONS: usize = 64;
/// How long a session lasts.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// The sessions that are open, the oldest first. Kept in memory only: a restart ends them.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<VecDeque<Session>>);

#[derive(Debug)]
struct Session {
    id: Token,
    until: Instant,
}

impl Sessions {
    /// A new session; its id is 256 random bits.
    pub(super) fn open(&self, now: Instant) -> String {
        let id = random_hex();
        let mut sessions = self.0.lock();
        sessions.retain(|session| session.until > now);
        if sessions.len() >= MAX_SESSIONS {
            sessions.pop_front();
        }
        let (token, until) = (Token::new(&id), now + LIFETIME);
        sessions.push_back(Session { id: token, until });
        id
    }

    /// Ends all of them.
    pub(super) fn end_all(&self) {
        self.0.lock().clear();
    }

    /// Whether `id` is one of an open session.
    pub(super) fn knows(&self, id: &str, now: Instant) -> bool {
        let sessions = self.0.lock();
        sessions
            .iter()
            .any(|session| session.until > now && session.id.matches(id))
    }
}

/// 256 random bits as hex digits.
pub(super) fn random_hex() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_its_lifetime() {
        let sessions = Sessions::default();
        let begin = Instant::now();
        let id = sessions.open(begin);
        assert_eq!(id.len(), 64);
        assert!(sessions.knows(&id, begin + LIFETIME - Duration::from_secs(1)));
        assert!(!sessions.knows(&id, begin + LIFETIME));
        assert!(!sessions.knows("", begin));
    }

    #[tokio::test(start_paused = true)]
    async fn one_session_too_many_ends_the_oldest() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let ids: Vec<_> = (0..=MAX_SESSIONS).map(|_| sessions.open(now)).collect();
        assert!(!sessions.knows(&ids[0], now));
        assert!(ids[1..].iter().all(|id| sessions.knows(id, now)));
    }
}
