//! The admin listener's side: health pages, metrics, the API and the dashboard.
//!
//! It reads views through [`Source`], which whoever holds the running gateway implements; what it changes,
//! the config, it asks of [`reload`](crate::reload), and a newer binary of whoever holds the process.
//! Every page but `/healthz` and `/readyz` is guarded: by the token where there is one, and by the request's Host and
//! Origin against pages of other sites that a browser has open.

mod access;
mod advice;
mod cases;
mod change;
mod doctor;
mod events;
mod gate;
mod groups;
mod incidents;
mod live;
mod origin;
mod pages;
mod pulse;
mod reckoned;
mod router;
mod scrape;
mod sessions;
mod source;
mod sse;
mod stream;
mod upgrade;
mod views;

pub use access::Token;
pub use advice::{LimitAdvice, ProposedLimit, ProposedRate, RateAdvice, Recommendations};
pub use cases::{
    Around, Confidence, ExplainedView, Happened, Happening, NameTrouble, OutBy, Surroundings,
    Suspect, Verdict,
};
pub use change::{AppliedView, ChangesView, DiffView, EntryView, TouchedView};
pub use events::MAX_LISTENERS;
pub use incidents::IncidentView;
pub use live::{Doors, Live};
pub use router::{Admin, router};
pub use source::{Readiness, Source};
pub use stream::MAX_STREAMS;
pub use upgrade::{NotUpgraded, UpgradeAsk, UpgradeAsks, UpgradedView};
pub use views::{
    ConfigView, EndpointState, EndpointView, GroupView, LearnedView, LimitView, ListenerView,
    NameView, PressureView, ReloadView, RouteView, StatusView, UpstreamView, WrongFileView,
};
