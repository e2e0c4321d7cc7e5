//! Incidents told to a receiver over HTTP, as they begin and end.
//!
//! Whoever tells one hands it over and never waits: at most [`MOST_WAITING`] wait, and one more is dropped and counted.
//! One task ([`Deliveries`]) posts them in their order. A try that failed for a reason that may pass is made again
//! after each of [`BACKOFF`]; a redirect is not followed.

mod post;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{StatusCode, Uri};
use metrics::Counter;
use rand::RngExt;
use rustls::ClientConfig;
use serde::Serialize;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use self::post::Failed;
use super::{Incident, IncidentTurn, Telemetry, catalog};

/// Most tellings that wait.
const MOST_WAITING: usize = 64;
/// Before each try after the first.
const BACKOFF: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// How much longer a wait may be, so that several gateways don't come at once.
const JITTER: f64 = 0.25;

/// Who is told.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Where it goes: `http` or `https`, with a host.
    pub url: Uri,
    /// Shown as a bearer.
    pub token: Option<Token>,
    /// How the receiver is checked, where the URL is `https`.
    pub tls: Option<Arc<ClientConfig>>,
    /// How long one try may take.
    pub timeout: Duration,
}

/// A bearer's token. No debug print shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

/// Hands tellings over.
#[derive(Debug, Clone)]
pub struct Webhook {
    queue: mpsc::Sender<Telling>,
    handles: Arc<WebhookHandles>,
}

/// The task that posts them.
#[derive(Debug)]
pub struct Deliveries {
    waiting: mpsc::Receiver<Telling>,
    handles: Arc<WebhookHandles>,
}

/// What is counted of tellings.
#[derive(Debug)]
pub struct WebhookHandles {
    delivered: Counter,
    retried: Counter,
    failed: Counter,
    refused: Counter,
    dropped: Counter,
}

#[derive(Debug)]
struct Telling {
    hook: Hook,
    /// The same for each try.
    key: String,
    body: Bytes,
}

/// The body.
#[derive(Debug, Serialize)]
struct Told<'a> {
    event: &'static str,
    incident: &'a Incident,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    /// It was taken.
    Taken,
    /// Another try may be answered otherwise.
    NotNow,
    /// It may not.
    Refused,
}

// === impl Webhook ===

impl Webhook {
    /// One, and the task that must be run for it.
    #[must_use]
    pub fn new(telemetry: &Telemetry) -> (Self, Deliveries) {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let handles = Arc::new(telemetry.webhook());
        let webhook = Self {
            queue,
            handles: Arc::clone(&handles),
        };
        (webhook, Deliveries { waiting, handles })
    }

    /// Hands `turn` over, to be told to `hook`; where too many wait, it is dropped and counted. Never blocks.
    pub fn tell(&self, hook: Hook, turn: &IncidentTurn) {
        let (event, incident) = match turn {
            IncidentTurn::Began(incident) => ("incident_began", incident),
            IncidentTurn::Ended(incident) => ("incident_ended", incident),
        };
        let Ok(body) = serde_json::to_vec(&Told { event, incident }) else {
            return self.handles.dropped.increment(1);
        };
        let telling = Telling {
            hook,
            key: format!("{event}-{}", incident.id),
            body: body.into(),
        };
        if self.queue.try_send(telling).is_err() {
            self.handles.dropped.increment(1);
            tracing::warn!(event, id = %incident.id, "the webhook was not told: too many wait");
        }
    }
}

// === impl Deliveries ===

impl Deliveries {
    /// Posts what is handed over, until `stop`. What waits then is not told.
    ///
    /// # Cancel safety
    /// Dropped, the try that runs is given up.
    pub async fn run(mut self, stop: CancellationToken) {
        let deliver = async {
            while let Some(telling) = self.waiting.recv().await {
                let once = || post::post(&telling.hook, &telling.key, &telling.body);
                self.handles.deliver(&telling.key, once).await;
            }
        };
        tokio::select! {
            biased; // stop first
            () = stop.cancelled() => {}
            () = deliver => {}
        }
    }
}

// === impl WebhookHandles ===

impl WebhookHandles {
    /// Tries until it is taken, or it is useless.
    async fn deliver<F>(&self, key: &str, mut once: impl FnMut() -> F)
    where
        F: Future<Output = Result<StatusCode, Failed>>,
    {
        let mut waits = BACKOFF.into_iter();
        loop {
            let answer = once().await;
            let why = match &answer {
                Ok(status) => format!("it answers {status}"),
                Err(failed) => failed.to_string(),
            };
            match answer.map_or(Answered::NotNow, Answered::of) {
                Answered::Taken => return self.delivered.increment(1),
                Answered::Refused => {
                    tracing::warn!(key, why, "the webhook refuses what it is told");
                    return self.refused.increment(1);
                }
                Answered::NotNow => {}
            }
            let Some(wait) = waits.next() else {
                tracing::warn!(key, why, "the webhook could not be told");
                return self.failed.increment(1);
            };
            self.retried.increment(1);
            let more = JITTER * rand::rng().random::<f64>();
            sleep(wait.mul_f64(1.0 + more)).await;
        }
    }
}

// === impl Answered ===

impl Answered {
    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Taken,
            408 | 429 | 500.. => Self::NotNow,
            _ => Self::Refused,
        }
    }
}

// === impl Token ===

impl Token {
    /// This text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// Handles of the webhook. They count into the same series.
    #[must_use]
    pub fn webhook(&self) -> WebhookHandles {
        let counter = |result| self.process().counter(&catalog::WEBHOOKS, [result]);
        WebhookHandles {
            delivered: counter("delivered"),
            retried: counter("retried"),
            failed: counter("failed"),
            refused: counter("refused"),
            dropped: counter("dropped"),
        }
    }
}

#[cfg(test)]
mod tests;
