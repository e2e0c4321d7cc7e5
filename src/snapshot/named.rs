//! A name that endpoints come from: its answer when the snapshot was made, and as it is now.

use std::{fmt::Write as _, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    config::EndpointSource,
    resolve::{Answer, AnswerState},
};

/// A name of one upstream.
#[derive(Debug, Clone)]
pub struct Named {
    /// The name, as the config gives it.
    pub name: Box<str>,
    /// Whether it is asked for services (SRV), not for addresses.
    pub services: bool,
    /// What it said when the snapshot was made: the endpoints are from it.
    pub answer: Answer,
    /// What it says now.
    live: watch::Receiver<Answer>,
}

/// A name, to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameLive {
    /// How many addresses it has.
    pub addresses: usize,
    /// How many of them are kept although the last answer lacks them.
    pub doubted: usize,
    /// Whether its last lookups failed, and an older answer serves or is too old to.
    pub stale: bool,
    /// For how long lookups have failed while an older answer serves.
    pub stale_for: Option<Duration>,
    /// How long the older answer still serves, if lookups go on failing.
    pub stale_left: Option<Duration>,
    /// For how long the addresses have been what they are.
    pub unchanged_for: Option<Duration>,
    /// How long until it is asked for again; `None` before the first lookup ended.
    pub next_lookup_in: Option<Duration>,
    /// What there is to say about its last lookups; empty where all is well.
    pub why: String,
    /// What is in force, since when, and when it is asked for again: one sentence.
    pub in_force: String,
}

// === impl Named ===

impl Named {
    /// The name of `source`, which `live` tells of; `None` where it is an address.
    pub(super) fn new(source: &EndpointSource, live: watch::Receiver<Answer>) -> Option<Self> {
        let (name, services) = match source {
            EndpointSource::Address(_) => return None,
            EndpointSource::Dns { name, .. } => (name.clone(), false),
            EndpointSource::Srv { name } => (name.clone(), true),
        };
        let answer = live.borrow().clone();
        Some(Self {
            name,
            services,
            answer,
            live,
        })
    }

    /// How it stands now.
    #[must_use]
    pub fn view(&self, now: Instant) -> NameLive {
        NameLive::of(&self.live.borrow(), now)
    }
}

// === impl NameLive ===

impl NameLive {
    fn of(answer: &Answer, now: Instant) -> Self {
        let since = |then: Instant| now.saturating_duration_since(then);
        let mut view = Self {
            addresses: answer.hosts.len(),
            doubted: answer.doubted,
            stale: matches!(
                answer.state,
                AnswerState::Stale { .. } | AnswerState::Expired(_)
            ),
            stale_for: match answer.state {
                AnswerState::Stale { since: then, .. } => Some(since(then)),
                _ => None,
            },
            stale_left: answer
                .serves_until
                .map(|until| until.saturating_duration_since(now)),
            unchanged_for: answer.since.map(since),
            next_lookup_in: answer
                .next_lookup
                .map(|next| next.saturating_duration_since(now)),
            why: match answer.state {
                AnswerState::Pending => "not looked up yet".into(),
                AnswerState::Fresh => String::new(),
                AnswerState::Stale { why, .. } => {
                    format!("lookups fail ({why}): the last good answer serves")
                }
                AnswerState::Failed(why) => format!("never resolved ({why})"),
                AnswerState::Expired(why) => format!("lookups fail for too long ({why})"),
            },
            in_force: String::new(),
        };
        view.in_force = view.sentence();
        view
    }

    fn sentence(&self) -> String {
        let mut text = match self.addresses {
            0 => "no address".to_owned(),
            1 => "1 address".to_owned(),
            count => format!("{count} addresses"),
        };
        if let Some(time) = self.unchanged_for {
            let _ = write!(text, ", for {}", seconds(time));
        }
        if self.doubted > 0 {
            let _ = write!(text, ", {} of them not in the last answer", self.doubted);
        }
        if let Some(time) = self.stale_for {
            let _ = write!(text, ", stale for {}", seconds(time));
        }
        match self.next_lookup_in {
            Some(Duration::ZERO) => text.push_str("; asked for now"),
            Some(time) => {
                let _ = write!(text, "; asked for again in {}", seconds(time));
            }
            None => text.push_str("; asked for the first time"),
        }
        text
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::{Host, Why};

    fn answer(state: AnswerState, now: Instant) -> Answer {
        Answer {
            hosts: [1, 2].map(|n| Host::plain([10, 0, 0, n].into())).into(),
            state,
            since: Some(now - Duration::from_secs(42)),
            doubted: 0,
            next_lookup: Some(now + Duration::from_secs(18)),
            serves_until: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_sentence_tells_what_is_in_force_since_when_and_when_it_is_asked_for_again() {
        let now = Instant::now() + Duration::from_secs(100);
        let said = |answer: &Answer| NameLive::of(answer, now).in_force;
        let mut fresh = answer(AnswerState::Fresh, now);
        assert_eq!(
            said(&fresh),
            "2 addresses, for 42 s; asked for again in 18 s"
        );
        fresh.doubted = 1;
        fresh.next_lookup = Some(now);
        assert_eq!(
            said(&fresh),
            "2 addresses, for 42 s, 1 of them not in the last answer; asked for now"
        );
        let stale = AnswerState::Stale {
            since: now - Duration::from_secs(7),
            why: Why::Refused,
        };
        let view = NameLive::of(&answer(stale, now), now);
        assert_eq!(
            view.in_force,
            "2 addresses, for 42 s, stale for 7 s; asked for again in 18 s"
        );
        assert_eq!(
            view.why,
            "lookups fail (refused): the last good answer serves"
        );
        assert_eq!(
            said(&Answer::pending()),
            "no address; asked for the first time"
        );
    }
}
