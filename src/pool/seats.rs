//! The endpoints of an upstream as one snapshot sees them: live state beside what the config says of each.

mod groups;

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use http::HeaderValue;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use self::groups::{Group, Level};
use super::Endpoint;
use crate::{
    balance::{Candidates, EndpointView},
    health::HealthView,
    names::EndpointId,
};

pub use self::groups::GroupView;

/// One endpoint in one snapshot: who it is, and what the config says of it.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The live endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its share against the others'.
    pub weight: NonZeroU32,
    /// Its group: the main one is 0.
    pub group: usize,
    /// Of its group those with a higher number serve only while none of the lower ones can. 0 where nobody says one.
    pub priority: u16,
    /// The host and port that it was configured as: the `Host` of checks, and of requests where
    /// `host = "upstream"`.
    pub authority: HeaderValue,
    /// The name it is checked by where TLS is spoken and the config names none: its DNS name, else its address.
    pub server_name: ServerName<'static>,
}

/// The endpoints of an upstream in one snapshot.
#[derive(Debug)]
pub struct Seats {
    seats: Box<[Seat]>,
    groups: Box<[Group]>,
    overprovisioning: f64,
    panic_threshold: f64,
    slow_start: Duration,
    /// What is left of the weight of one that says it is degraded.
    degraded_share: f32,
}

/// [`Seats`] at one moment, to choose from.
#[derive(Debug, Clone, Copy)]
pub struct SeatsAt<'a> {
    pub(super) seats: &'a Seats,
    pub(super) now: Instant,
    pub(super) level: Level,
}

/// One endpoint, to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct SeatView {
    /// Who it is.
    pub id: EndpointId,
    /// The host and port that it was configured as.
    pub authority: HeaderValue,
    /// Its share against the others', as configured.
    pub weight: NonZeroU32,
    /// Its group: the main one is 0.
    pub group: usize,
    /// Of its group those with a higher number serve only while none of the lower ones can.
    pub priority: u16,
    /// How much of that share it gets now: less than 1 while it comes back.
    pub share: f32,
    /// Whether it may serve.
    pub can_serve: bool,
    /// Requests that run there.
    pub in_flight: u32,
    /// HTTP/1 connections that rest.
    pub resting_connections: usize,
    /// HTTP/2 connections.
    pub shared_connections: usize,
    /// How long it lets a connection rest, where that is known.
    pub keep_alive: Option<Duration>,
    /// Why it may or may not serve.
    pub health: HealthView,
}

// === impl Seat ===

impl Seat {
    /// An endpoint that was configured by the DNS name `name` (`None`: by its address), reached at its own port.
    #[must_use]
    pub fn new(endpoint: Arc<Endpoint>, weight: NonZeroU32, name: Option<&str>) -> Self {
        let address = endpoint.id.address;
        let name = name.map(|name| name.trim_end_matches('.')); // the dot is for DNS alone
        let server_name = name
            .and_then(|name| ServerName::try_from(name.to_owned()).ok())
            .unwrap_or_else(|| ServerName::from(address.ip()));
        Self {
            authority: authority_of(name, address),
            endpoint,
            weight,
            group: 0,
            priority: 0,
            server_name,
        }
    }

    /// The same, as a target of the SRV records of `service`. TLS is checked by the service's own name, without
    /// labels like `_http._tcp`: what the records point at is not to be trusted more than DNS is (RFC 6125, 6.2.1).
    #[must_use]
    pub fn of_service(mut self, service: &str, priority: u16) -> Self {
        let mut name = service.trim_end_matches('.');
        while let Some((_, rest)) = name.split_once('.').filter(|_| name.starts_with('_')) {
            name = rest;
        }
        if let Ok(name) = ServerName::try_from(name.to_owned()) {
            self.server_name = name;
        }
        self.priority = priority;
        self
    }

    /// The same, in the group at `group`.
    #[must_use]
    pub const fn in_group(mut self, group: usize) -> Self {
        self.group = group;
        self
    }
}

// === impl Seats ===

impl Seats {
    /// The endpoints of an upstream. Below `panic_threshold` (a share from 0 to 1) of endpoints that can serve
    /// all of them are used. One that comes back gets its full share after `slow_start`.
    #[must_use]
    pub fn new(
        seats: impl IntoIterator<Item = Seat>,
        panic_threshold: f64,
        slow_start: Duration,
    ) -> Self {
        let seats: Box<[Seat]> = seats.into_iter().collect();
        Self {
            groups: Group::all(&seats, &[]),
            seats,
            overprovisioning: 1.0,
            panic_threshold,
            slow_start,
            degraded_share: 1.0,
        }
    }

    /// The same, where one that says it is degraded keeps `share` of its weight.
    #[must_use]
    pub fn with_degraded_share(self, share: f32) -> Self {
        Self {
            degraded_share: share,
            ..self
        }
    }

    /// The same, with these names for the groups, of which each takes its share of endpoints that can serve times
    /// `overprovisioning`.
    #[must_use]
    pub fn with_groups(mut self, names: &[Box<str>], overprovisioning: f64) -> Self {
        self.groups = Group::all(&self.seats, names);
        self.overprovisioning = overprovisioning;
        self
    }

    /// The candidates of this moment: those of the first group that gets traffic.
    #[must_use]
    pub fn at(&self, now: Instant) -> SeatsAt<'_> {
        self.at_besides(now, &[])
    }

    /// The candidates of this moment for who has tried `tried`: where these are all that could serve of one
    /// priority or group, those of the next.
    #[must_use]
    pub fn at_besides(&self, now: Instant, tried: &[usize]) -> SeatsAt<'_> {
        let first = self.choices(now, tried, 0.0).next();
        first.unwrap_or(SeatsAt {
            seats: self,
            now,
            level: Level::default(),
        })
    }

    /// The endpoint at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Seat> {
        self.seats.get(index)
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Seat] {
        &self.seats
    }

    /// Whether any may serve now, be it for want of better ones.
    #[must_use]
    pub fn can_serve(&self, now: Instant) -> bool {
        self.is_in_panic(now) || self.seats.iter().any(|seat| seat.can_serve(now))
    }

    /// Every endpoint, to look at.
    #[must_use]
    pub fn views(&self, now: Instant) -> Vec<SeatView> {
        self.seats
            .iter()
            .map(|seat| seat.view(self.slow_start, now))
            .collect()
    }

    /// Whether it has this endpoint.
    pub(super) fn has(&self, endpoint: &Endpoint) -> bool {
        let mut seats = self.seats.iter();
        seats.any(|seat| seat.endpoint.id == endpoint.id)
    }
}

// === impl SeatsAt ===

impl SeatsAt<'_> {
    /// The group that they are of.
    #[must_use]
    pub const fn group(&self) -> usize {
        self.level.group
    }

    /// The endpoint at `index`.
    #[must_use]
    pub fn seat(&self, index: usize) -> Option<&Seat> {
        self.seats.get(index)
    }

    fn has(&self, seat: &Seat) -> bool {
        seat.group == self.level.group && seat.priority == self.level.priority
    }

    /// How much of its share (of requests, and of its concurrency limit) the endpoint at `index` gets: less than 1
    /// while it comes back. 0: one request at a time, since it is on trial after an ejection.
    #[must_use]
    pub fn share(&self, index: usize) -> f32 {
        if self.is_tried(index) {
            return 0.0;
        }
        self.seats.seats.get(index).map_or(1.0, |seat| {
            seat.endpoint.health.share(self.seats.slow_start, self.now)
        })
    }
}

impl Candidates for SeatsAt<'_> {
    fn len(&self) -> usize {
        self.seats.seats.len()
    }

    fn view(&self, index: usize) -> EndpointView {
        let Some(seat) = self.seats.seats.get(index) else {
            return EndpointView::default();
        };
        let latency = seat.endpoint.latency.at(self.now);
        EndpointView {
            can_serve: self.has(seat) && (self.level.panic || seat.can_serve(self.now)),
            weight: seat.scaled_weight(self.seats, self.now),
            in_flight: seat.endpoint.in_flight(),
            limit: None, // admission's to say
            latency: latency.map(|(mean, _)| mean),
            peak: latency.map(|(_, peak)| peak),
        }
    }
}

impl Seat {
    fn can_serve(&self, now: Instant) -> bool {
        self.endpoint.health.can_serve(now)
    }

    fn scaled_weight(&self, seats: &Seats, now: Instant) -> f32 {
        // A weight of the config is at most 1,000, which f32 holds exactly; one of an SRV record is near enough.
        #[expect(clippy::cast_precision_loss, reason = "shares, not counts")]
        let weight = self.weight.get() as f32;
        let health = &self.endpoint.health;
        let fitness = if health.is_degraded() {
            seats.degraded_share
        } else {
            1.0
        };
        weight * health.share(seats.slow_start, now) * fitness
    }

    fn view(&self, slow_start: Duration, now: Instant) -> SeatView {
        let (resting_connections, shared_connections) = self.endpoint.connections.count();
        SeatView {
            id: self.endpoint.id.clone(),
            authority: self.authority.clone(),
            weight: self.weight,
            group: self.group,
            priority: self.priority,
            share: self.endpoint.health.share(slow_start, now),
            can_serve: self.can_serve(now),
            in_flight: self.endpoint.in_flight(),
            resting_connections,
            shared_connections,
            keep_alive: self.endpoint.connections.keep_alive().timeout(),
            health: self.endpoint.health.view(now),
        }
    }
}

/// `name:port`, or the address where there is no name that can stand in a field.
fn authority_of(name: Option<&str>, address: SocketAddr) -> HeaderValue {
    let named =
        name.and_then(|name| HeaderValue::try_from(format!("{name}:{}", address.port())).ok());
    named.unwrap_or_else(|| {
        HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("localhost"))
    })
}

#[cfg(test)]
mod tests;
