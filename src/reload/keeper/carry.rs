//! Orders: a config that others bring is written to the file first, and is in force then. The file stays the truth.

use std::{path::PathBuf, sync::Arc};

use super::{Keeper, Seen};
use crate::{
    config::{self, Diff, Files, Loaded},
    reload::{
        Verdict,
        order::{self, Answer, Asked, Holds, Order, Refused, Try},
    },
    telemetry::ReloadResult,
};

impl Keeper {
    /// Does what an order says, and answers it. Where nobody waits any more, it was done all the same.
    pub(super) async fn carry_out(&mut self, order: Order) {
        let Order {
            text,
            asked,
            try_it,
            reply,
        } = order;
        let answer = self.apply(text, &asked, try_it).await;
        if let Err(refused) = &answer {
            let trigger = asked.trigger().as_str();
            tracing::warn!(trigger, "a config was not applied: {refused}");
        }
        drop(reply.send(answer));
    }

    async fn apply(
        &mut self,
        text: Arc<str>,
        asked: &Asked,
        try_it: Try,
    ) -> Result<Answer, Refused> {
        let file = self.file.clone().ok_or(Refused::NoFile)?;
        let holds = match asked {
            Asked::Api { expects } => {
                let other = expects
                    .as_ref()
                    .is_some_and(|hash| **hash != *self.running.hash.as_str());
                if other {
                    return Err(Refused::Stale(self.running.hash.clone()));
                }
                Holds::Just(self.running.hash.clone())
            }
            // Who asks for an earlier config wants the file's present one gone, right or wrong.
            Asked::Rollback => Holds::Anything,
        };
        let next = parse(Arc::clone(&text), file.clone(), self.running.files.clone()).await?;
        let diff = Diff::between(&self.running, &next);
        let hash = next.hash.clone();
        let running = self.is_running(&next);
        let result = if running {
            ReloadResult::Unchanged
        } else {
            ReloadResult::Applied
        };
        let beside = self
            .prepare_beside(&next)
            .await
            .map_err(Refused::Unprepared)?;
        if try_it == Try::ForReal {
            self.seen = write(file, text, holds).await?;
            let verdict = if running {
                Verdict::Unchanged
            } else {
                self.put_into_force(next, beside, asked.trigger());
                Verdict::Applied
            };
            self.tell(asked.trigger(), verdict);
        }
        Ok(Answer {
            config: self.snapshot.load().config.clone(),
            hash,
            result,
            diff,
        })
    }
}

/// What `text` means in the place of `file`, after what is in force.
async fn parse(text: Arc<str>, file: PathBuf, before: Files) -> Result<Loaded, Refused> {
    let parsing = tokio::task::spawn_blocking(move || config::parse_after(&text, &file, &before));
    let parsed = parsing
        .await
        .map_err(|error| Refused::Failed(error.to_string()))?;
    parsed.map_err(|errors| Refused::Wrong(Box::new(errors)))
}

/// Writes the file, and looks at it as it is then.
pub(super) async fn write(file: PathBuf, text: Arc<str>, holds: Holds) -> Result<Seen, Refused> {
    let writing = tokio::task::spawn_blocking(move || {
        order::write(&file, &text, &holds)?;
        Ok(Seen::of(&file))
    });
    let written = writing.await;
    written.unwrap_or_else(|error| Err(Refused::Failed(error.to_string())))
}
