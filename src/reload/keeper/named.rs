//! The files that the config names: certificates, keys, authorities, the admin token. They change on their own, and
//! each for itself: one that is wrong stays what it was, and the others go on.

use std::time::SystemTime;

use super::Keeper;
use crate::telemetry::ConfigEvent;

impl Keeper {
    /// Puts what the named files hold into force, where it has changed. That is no new config: no revision, and no entry
    /// in the history.
    pub(super) async fn look_at_named(&mut self) {
        let look = self.running.another_look();
        let files = match tokio::task::spawn_blocking(move || look.read()).await {
            Ok(Some(files)) => files,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "reading the files that the config names failed");
                return;
            }
        };
        let before = std::mem::replace(&mut self.running.files, files);
        let sockets = match self.sockets.prepare(&self.running) {
            Ok(sockets) => sockets,
            Err(why) => {
                tracing::error!(%why, "what the files that the config names hold is not in force");
                self.running.files = before;
                return;
            }
        };
        self.swap(self.snapshot.load().config.clone());
        sockets.make();
        let wrong = self.running.files.troubles.len();
        let events = self.telemetry.events();
        events.tell(ConfigEvent::FilesChanged { wrong });
        self.tell_troubles();
        self.look_at_certificates();
    }

    /// Says which certificates in force end soon, or have.
    pub(super) fn look_at_certificates(&mut self) {
        let shown = &self.running.files.certificates;
        for ends in self.expiry.look(shown, SystemTime::now()) {
            self.telemetry.events().tell(ends);
        }
    }

    /// Says which named files are wrong, while what they held before stays in force.
    pub(super) fn tell_troubles(&self) {
        for trouble in &self.running.files.troubles {
            self.telemetry.events().tell(ConfigEvent::FileWrong {
                file: trouble.file.display().to_string().into(),
                why: trouble.why.as_str().into(),
            });
        }
    }
}
