//! What is told to the outside: metrics, the access log, the gateway's own log. The only room that names a metric.
//!
//! * [`catalog`] lists every metric once; nothing outside it can be registered or rendered.
//! * [`Telemetry`] is one gateway's recorder. Handles are taken from it when a snapshot is built and sit in the
//!   thing that they measure, so that a request formats nothing and looks nothing up.
//! * [`Exposition`] writes, at each scrape, what has a life of its own: endpoints, limits, queues, the config.
//! * [`Events`] tells what happened to the gateway as a whole: to the log, to a record, and to who listens.
//! * [`Cases`] keeps requests that ended badly for who asks later.
//! * [`Incidents`] groups faults that belong together.
//! * [`Webhook`] tells a receiver of them.
//! * [`AccessLog`] writes one line for each request, from a thread of its own, and never blocks a request.

mod access;
mod cases;
pub mod catalog;
mod events;
mod exposition;
mod fallback;
mod handles;
mod incidents;
mod latency;
mod logging;
mod owners;
mod recorder;
mod route;
mod tally;
mod timestamp;
mod webhook;

pub use access::{AccessLine, AccessLog, AccessLogError, AccessTo, MOST_FORMER, Timings, Turn};
pub use cases::{Case, Cases, Filter, Ill, Met, TimingsMs, Tried};
pub use events::{
    ConfigEvent, EndpointChange, EndpointEvent, Event, EventKind, Events, Few, IncidentEvent,
    IncidentTold, LoadEvent, NameChange, NameEvent, Next, ProcessEvent, Severity, Subject,
    Subscription, TouchedRoutes, UpstreamEvent, What,
};
pub use exposition::Exposition;
pub use fallback::FallbackHandles;
pub use handles::{
    CheckResult, ListenerHandles, ReloadResult, RetryResult, Telemetry, UpstreamHandles,
};
pub use incidents::{
    Ended as IncidentEnd, Happening, Hit, Incident, Incidents, MOST_KEPT, MOST_OPEN, Rules, Scope,
    Severity as IncidentSeverity, Turn as IncidentTurn,
};
pub use latency::LatencyCounts;
pub use logging::{LineFormat, OwnLog, init_logging};
pub use route::RouteHandles;
pub use tally::{Ended, Totals};
pub use timestamp::rfc3339;
pub use webhook::{Deliveries, Hook, Token as HookToken, Webhook, WebhookHandles};
