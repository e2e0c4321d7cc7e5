//! How others see the keeper of the config, and what they ask of it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Status, Trigger,
    history::{Entry, History},
    order::{Answer, Asked, Order, Refused, Try},
    traffic::{Counts, Traffic},
};
use crate::config::{Diagnostics, Diff};

/// See the module.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) asks: mpsc::Sender<Trigger>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) history: watch::Receiver<Arc<History>>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) file: Option<Arc<Path>>,
}

/// Two configs, and what changes from one to the other.
#[derive(Debug, Clone)]
pub struct Compared {
    /// From here.
    pub from: Entry,
    /// To here.
    pub to: Entry,
    /// What changes.
    pub diff: Diff,
}

/// Why two configs cannot be compared.
#[derive(Debug)]
pub enum NotCompared {
    /// No entry has this number.
    NoEntry(u64),
    /// There is nothing to compare with.
    Alone,
    /// The file of this entry is not kept.
    NotKept(u64),
    /// This program does not take one of the files.
    Wrong(Box<Diagnostics>),
}

// === impl Handle ===

impl Handle {
    /// Asks for a reload. Where enough ask already, this one is theirs.
    pub fn reload(&self, trigger: Trigger) {
        let _ = self.asks.try_send(trigger);
    }

    /// What is in force now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Sees every change of it.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The configs that were in force.
    #[must_use]
    pub fn history(&self) -> Arc<History> {
        Arc::clone(&self.history.borrow())
    }

    /// What ended in the last minute, by route.
    #[must_use]
    pub fn last_minute(&self) -> Counts {
        self.traffic.last_minute()
    }

    /// Writes `text` to the config file and puts it into force; `try_it` says whether really. Where `expects` names a
    /// hash, it must be that of the config in force.
    ///
    /// # Errors
    /// Why it is not in force. Nothing has changed then.
    ///
    /// # Cancel safety
    /// Dropped, it may still be carried out.
    pub async fn apply(
        &self,
        text: Arc<str>,
        expects: Option<Box<str>>,
        try_it: Try,
    ) -> Result<Answer, Refused> {
        self.order(text, Asked::Api { expects }, try_it).await
    }

    /// Writes the config of the entry `number` to the file and puts it into force again.
    ///
    /// # Errors
    /// Why it is not in force. Nothing has changed then.
    ///
    /// # Cancel safety
    /// As [`Self::apply`].
    pub async fn roll_back(&self, number: u64, try_it: Try) -> Result<Answer, Refused> {
        let history = self.history();
        let entry = history.get(number).ok_or(Refused::NoEntry(number))?;
        let text = entry.text.clone().ok_or(Refused::NotKept(number))?;
        self.order(text, Asked::Rollback, try_it).await
    }

    /// What changes from the entry `from` to the entry `to`: where they are left out, from the one before `to`, and to
    /// the one in force. Takes milliseconds a thousand routes, so not for the runtime's own threads.
    ///
    /// # Errors
    /// Why they cannot be compared.
    pub fn compare(&self, from: Option<u64>, to: Option<u64>) -> Result<Compared, NotCompared> {
        let history = self.history();
        let entry = |number| history.get(number).ok_or(NotCompared::NoEntry(number));
        let to = match to {
            Some(number) => entry(number)?,
            None => history.in_force().ok_or(NotCompared::Alone)?,
        };
        let from = match from {
            Some(number) => entry(number)?,
            None => history.before(to.number).ok_or(NotCompared::Alone)?,
        };
        let text = |entry: &Entry| entry.text.clone().ok_or(NotCompared::NotKept(entry.number));
        let file = self.file.as_deref().unwrap_or(Path::new(""));
        let diff =
            Diff::between_texts(&text(from)?, &text(to)?, file).map_err(NotCompared::Wrong)?;
        Ok(Compared {
            from: from.clone(),
            to: to.clone(),
            diff,
        })
    }

    async fn order(&self, text: Arc<str>, asked: Asked, try_it: Try) -> Result<Answer, Refused> {
        let (reply, answer) = oneshot::channel();
        let order = Order {
            text,
            asked,
            try_it,
            reply,
        };
        self.orders.try_send(order).map_err(|_| Refused::Busy)?;
        answer.await.unwrap_or(Err(Refused::Busy))
    }
}

impl fmt::Display for NotCompared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEntry(number) => write!(f, "the history has no entry {number}"),
            Self::Alone => f.write_str("no other config was in force before"),
            Self::NotKept(number) => write!(f, "the config of entry {number} is not kept"),
            Self::Wrong(errors) => write!(f, "this program does not take it any more: {errors}"),
        }
    }
}

/// The config file, shared.
pub(super) fn shared(file: Option<&PathBuf>) -> Option<Arc<Path>> {
    file.map(|file| Arc::from(file.as_path()))
}
