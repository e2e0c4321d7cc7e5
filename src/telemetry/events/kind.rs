//! The closed list of what can happen.

use serde::{Serialize, Serializer};

macro_rules! kinds {
    ($($kind:ident $word:literal $doc:literal;)+) => {
        /// What kind of thing happened, as it is asked for and counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind { $(#[doc = $doc] $kind),+ }

        impl EventKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];
            /// The word in metrics, the API and the stream.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$kind => $word),+ } }
            /// What it means, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str { match self { $(Self::$kind => $doc),+ } }
        }
    };
}

kinds! {
    ConfigApplied "config_applied" "A config came into force.";
    ConfigRejected "config_rejected" "A config was refused; the one before stays in force.";
    ConfigTakenBack "config_taken_back" "The guard took a config back, because requests failed under it.";
    FilesChanged "files_changed" "Files that the config names have changed, and what they hold is in force.";
    FileWrong "file_wrong" "A file that the config names is wrong; what it held before stays in force.";
    CertificateExpires "certificate_expires" "A certificate ends soon, or has ended.";
    AddressesChanged "addresses_changed" "A name stands for other addresses.";
    LookupsFail "lookups_fail" "Lookups of a name fail; its last good answer serves on, where there is one.";
    NameRecovered "name_recovered" "A name resolves again.";
    NameGone "name_gone" "A name is gone, and has no addresses any more.";
    NameExpired "name_expired" "Lookups of a name failed for too long; it has no addresses any more.";
    NameExpires "name_expires" "Lookups of a name fail, and soon it will have no addresses any more.";
    AddressesHeld "addresses_held" "An answer drops most of a name's addresses; they are kept until it is confirmed.";
    AddressesRefused "addresses_refused" "A name has addresses that it may not have.";
    AddressesCut "addresses_cut" "A name has more addresses than are kept.";
    EndpointUp "endpoint_up" "An endpoint passes its checks again.";
    EndpointDown "endpoint_down" "An endpoint fails its checks.";
    EndpointDegraded "endpoint_degraded" "An endpoint says that it can do less.";
    EndpointRecovered "endpoint_recovered" "An endpoint no longer says that it can do less.";
    EndpointEjected "endpoint_ejected" "An endpoint was taken out for what its traffic showed.";
    EndpointReturned "endpoint_returned" "An ejection is over.";
    ChecksSuspicious "checks_suspicious" "Every endpoint of an upstream failed its checks at about the same time.";
    PanicBegan "panic_began" "Too few endpoints of an upstream can serve, so all are used.";
    PanicEnded "panic_ended" "Only endpoints that can serve are used again.";
    SpillBegan "spill_began" "The first group of an upstream cannot take all: traffic goes to others.";
    SpillEnded "spill_ended" "All traffic of an upstream is back at its first group.";
    LimitMoved "limit_moved" "A concurrency limit moved by a fifth or more since it was last told of.";
    PressureRose "pressure_rose" "This process is short of something, and gives up more for its own health.";
    PressureFell "pressure_fell" "This process gives up less for its own health.";
    StoodStill "stood_still" "This process stood still; checks that failed meanwhile were not counted.";
    ListenerAdded "listener_added" "A listener was opened while the gateway ran.";
    ListenerRemoved "listener_removed" "A listener left the config; its connections drain.";
    TookOver "took_over" "This process took over from the one before.";
    HandedOver "handed_over" "A newer process serves; this one finishes what it has begun.";
    UpgradeFailed "upgrade_failed" "A newer process did not become ready; this one goes on.";
    IncidentBegan "incident_began" "Faults that belong together became an incident.";
    IncidentEnded "incident_ended" "An incident is over.";
}

// === impl EventKind ===

impl EventKind {
    /// The kind of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
