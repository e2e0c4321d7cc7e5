//! The files that the config names: certificates, keys, authorities, the admin token. They change on their own, and
//! each for itself: one that is wrong stays what it was, and the others go on.

use std::time::SystemTime;

use super::Keeper;
use crate::{
    reload::expiry::Ends,
    telemetry::{ConfigEvent, EndpointChange, EndpointEvent},
};

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

    /// Says which certificates end soon, or have: those that listeners show, and those that endpoints showed last.
    pub(super) fn look_at_certificates(&mut self) {
        let (now, events) = (SystemTime::now(), self.telemetry.events());
        let certificates = self.running.files.certificates.iter();
        let own = certificates.filter_map(|facts| {
            let of = (facts.listener.clone(), facts.certificate.clone());
            Some((of, facts.not_after?))
        });
        for Ends { of, at, days } in self.expiry.look(own, now) {
            events.tell(ConfigEvent::CertificateExpires {
                listener: of.0,
                certificate: of.1.display().to_string().into(),
                ends: at,
                days,
            });
        }
        let snapshot = self.snapshot.load();
        let seats = snapshot.upstreams.iter().map(|upstream| &upstream.seats);
        let theirs = seats.flat_map(|seats| seats.as_slice()).filter_map(|seat| {
            let endpoint = &seat.endpoint;
            Some((endpoint.id.clone(), endpoint.certificate_ends()?))
        });
        for Ends { of, at, days } in self.expiry_there.look(theirs, now) {
            let why = match days {
                Some(days) => format!("it ends in {days} days"),
                None => "it has ended".to_owned(),
            };
            events.tell(EndpointEvent {
                endpoint: of,
                change: EndpointChange::CertificateExpires { ends: at, days },
                why: why.into(),
            });
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
