//! A config that is always valid, and random changes of it.

use std::fmt::Write as _;

use rand::{Rng, RngExt, rngs::StdRng, seq::SliceRandom};

use super::hosts::{HOSTS, address};

/// Names that configs may use.
pub(super) const NAMES: [&str; 3] = ["one.test", "two.test", "three.test"];
/// Most upstreams and routes of one config.
const MOST: usize = 4;

/// A config, before it is text.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Of all endpoints.
    port: u16,
    upstreams: Vec<Upstream>,
    routes: Vec<Route>,
    dns: String,
    /// The number of the next thing that wants a name.
    next: u32,
}

#[derive(Debug, Clone)]
struct Upstream {
    name: u32,
    endpoints: Vec<(Source, u32)>,
    settings: [String; 4],
    concurrency: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Host(usize),
    Name(usize),
}

#[derive(Debug, Clone)]
struct Route {
    name: u32,
    path: u32,
    upstreams: Vec<(u32, u32)>,
    timeout: u32,
    priority: &'static str,
    limits: Vec<Limit>,
}

#[derive(Debug, Clone)]
struct Limit {
    name: u32,
    rate: u32,
    burst: u32,
    key: &'static str,
}

// === impl Draft ===

impl Draft {
    /// The first config, whose endpoints have this port.
    pub(super) fn new(port: u16, rng: &mut StdRng) -> Self {
        let mut draft = Self {
            port,
            upstreams: Vec::new(),
            routes: Vec::new(),
            dns: dns(rng),
            next: 0,
        };
        for _ in 0..2 {
            draft.add_upstream(rng);
            draft.add_route(rng);
        }
        draft
    }

    /// Nothing but a route that answers by itself.
    pub(super) fn bare(&self) -> Self {
        Self {
            upstreams: Vec::new(),
            routes: Vec::new(),
            dns: String::new(),
            ..*self
        }
    }

    /// One to three random changes.
    pub(super) fn change(&mut self, rng: &mut StdRng) {
        for _ in 0..rng.random_range(1..=3) {
            match rng.random_range(0..16) {
                0 => self.add_upstream(rng),
                1 => self.remove_upstream(rng),
                2 => self.add_route(rng),
                3 => self.remove_route(rng),
                4 => self.routes.shuffle(rng),
                5 => self.dns = dns(rng),
                6 => {
                    let name = self.name();
                    self.route(rng).name = name;
                }
                7 => self.route(rng).timeout = timeout(rng),
                8 => self.route(rng).priority = priority(rng),
                9 => {
                    let name = self.name();
                    self.route(rng).limits.push(limit(name, rng));
                    self.route(rng).limits.truncate(2);
                }
                10 => drop(self.route(rng).limits.pop()),
                11 => {
                    let fresh = limit(0, rng);
                    if let Some(limit) = self.route(rng).limits.first_mut() {
                        (limit.rate, limit.burst) = (fresh.rate, fresh.burst);
                    }
                }
                12 => self.change_endpoints(rng),
                13 => {
                    let fresh = concurrency(rng);
                    self.upstream(rng).concurrency = fresh;
                }
                _ => {
                    let (at, fresh) = (rng.random_range(0..4), settings(rng));
                    self.upstream(rng).settings[at].clone_from(&fresh[at]);
                }
            }
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::from("[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n");
        let _ = writeln!(
            text,
            "[dns]\nallow_addresses = [\"127.0.0.0/8\"]\n{}",
            self.dns
        );
        for upstream in &self.upstreams {
            let _ = writeln!(text, "[upstreams.u{}]\nendpoints = [", upstream.name);
            for (source, weight) in &upstream.endpoints {
                let port = self.port;
                let _ = match source {
                    Source::Host(host) => writeln!(
                        text,
                        "{{ address = \"{}:{port}\", weight = {weight} }},",
                        address(port, *host)
                    ),
                    Source::Name(name) => writeln!(
                        text,
                        "{{ dns = \"{}:{port}\", weight = {weight} }},",
                        NAMES[*name]
                    ),
                };
            }
            let settings = upstream.settings.join("\n");
            let _ = writeln!(text, "]\n{settings}\n{}", upstream.concurrency);
        }
        for route in &self.routes {
            let _ = writeln!(
                text,
                "[[routes]]\nname = \"r{}\"\npath = \"/{}\"\ntimeout = \"{}ms\"\npriority = \"{}\"",
                route.name, route.path, route.timeout, route.priority
            );
            let part = |(name, weight): &(u32, u32)| {
                format!("{{ upstream = \"u{name}\", weight = {weight} }}")
            };
            let parts: Vec<_> = route.upstreams.iter().map(part).collect();
            let _ = writeln!(text, "split = [{}]", parts.join(", "));
            for Limit {
                name,
                rate,
                burst,
                key,
            } in &route.limits
            {
                let _ = writeln!(
                    text,
                    "[[routes.rate_limits]]\nname = \"l{name}\"\nrate = \"{rate}/s\"\nburst = {burst}\nkey = \"{key}\""
                );
            }
        }
        if self.routes.is_empty() {
            text.push_str("[[routes]]\nrespond = { status = 204 }\n");
        }
        text
    }

    fn name(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn upstream(&mut self, rng: &mut StdRng) -> &mut Upstream {
        let at = rng.random_range(0..self.upstreams.len());
        &mut self.upstreams[at]
    }

    fn route(&mut self, rng: &mut StdRng) -> &mut Route {
        let at = rng.random_range(0..self.routes.len());
        &mut self.routes[at]
    }

    fn add_upstream(&mut self, rng: &mut StdRng) {
        if self.upstreams.len() < MOST {
            let name = self.name();
            let mut upstream = Upstream {
                name,
                endpoints: Vec::new(),
                settings: settings(rng),
                concurrency: concurrency(rng),
            };
            for _ in 0..rng.random_range(1..=6) {
                add_endpoint(&mut upstream, rng);
            }
            self.upstreams.push(upstream);
        }
    }

    /// Its routes go to another one.
    fn remove_upstream(&mut self, rng: &mut StdRng) {
        if self.upstreams.len() > 1 {
            let at = rng.random_range(0..self.upstreams.len());
            let gone = self.upstreams.remove(at).name;
            let heir = self.upstreams[0].name;
            for route in &mut self.routes {
                route.upstreams.retain(|(name, _)| *name != gone);
                if route.upstreams.is_empty() {
                    route.upstreams.push((heir, 1));
                }
            }
        }
    }

    fn add_route(&mut self, rng: &mut StdRng) {
        if self.routes.len() < MOST {
            let (name, path) = (self.name(), self.name());
            let mut upstreams: Vec<_> = self.upstreams.iter().map(|up| (up.name, 1)).collect();
            upstreams.shuffle(rng);
            upstreams.truncate(rng.random_range(1..=2));
            let mut route = Route {
                name,
                path,
                upstreams,
                timeout: timeout(rng),
                priority: priority(rng),
                limits: Vec::new(),
            };
            for _ in 0..rng.random_range(0..=2) {
                let name = self.name();
                route.limits.push(limit(name, rng));
            }
            self.routes.push(route);
        }
    }

    fn remove_route(&mut self, rng: &mut StdRng) {
        if self.routes.len() > 1 {
            let at = rng.random_range(0..self.routes.len());
            self.routes.remove(at);
        }
    }

    fn change_endpoints(&mut self, rng: &mut StdRng) {
        let upstream = self.upstream(rng);
        match rng.random_range(0..4) {
            0 => upstream.endpoints.shuffle(rng),
            1 => {
                let at = rng.random_range(0..upstream.endpoints.len());
                upstream.endpoints[at].1 = rng.random_range(1..=10);
            }
            2 => add_endpoint(upstream, rng),
            _ if upstream.endpoints.len() > 1 => drop(upstream.endpoints.pop()),
            _ => {}
        }
    }
}

fn add_endpoint(upstream: &mut Upstream, rng: &mut StdRng) {
    let source = if rng.random_bool(0.4) {
        Source::Name(rng.random_range(0..NAMES.len()))
    } else {
        Source::Host(rng.random_range(0..HOSTS))
    };
    if upstream.endpoints.iter().all(|(other, _)| *other != source) {
        upstream.endpoints.push((source, rng.random_range(1..=10)));
    }
}

fn one_of<T: Copy>(of: &[T], rng: &mut impl Rng) -> T {
    of[rng.random_range(0..of.len())]
}

fn dns(rng: &mut StdRng) -> String {
    format!(
        "min_ttl = \"{}ms\"\nhold = \"{}s\"\nmax_stale = \"{}s\"\ngone_after = {}",
        one_of(&[200, 1000], rng),
        one_of(&[2, 30], rng),
        one_of(&[10, 3600], rng),
        one_of(&[1, 3], rng)
    )
}

/// Balance and panic; slow start; checks; ejection.
fn settings(rng: &mut StdRng) -> [String; 4] {
    let balance = one_of(
        &["round_robin", "least_request", "peak_ewma", "random"],
        rng,
    );
    let panic = one_of(&[0.0, 0.0, 0.0, 0.5], rng);
    let slow = one_of(&[0, 0, 5], rng);
    let health = if rng.random_bool(0.6) {
        format!(
            "health = {{ interval = \"{}s\", timeout = \"500ms\", unhealthy_after = {}, healthy_after = {} }}",
            one_of(&[1, 5, 60], rng),
            one_of(&[1, 3], rng),
            one_of(&[1, 2], rng)
        )
    } else {
        String::new()
    };
    let ejection = if rng.random_bool(0.85) {
        format!(
            "ejection = {{ consecutive_failures = {}, base_time = \"{}s\" }}",
            one_of(&[1, 3, 5], rng),
            one_of(&[1, 30], rng)
        )
    } else {
        "ejection = { enabled = false }".to_owned()
    };
    [
        format!("balance = \"{balance}\"\npanic_threshold = {panic}"),
        format!("slow_start = \"{slow}s\""),
        health,
        ejection,
    ]
}

fn concurrency(rng: &mut StdRng) -> String {
    let mode = match rng.random_range(0..6) {
        0 => "mode = \"off\"".to_owned(),
        1 => "mode = \"adaptive\", initial = 4, max = 40".to_owned(),
        2 => "mode = \"aimd\", initial = 2, total = 12".to_owned(),
        _ => format!("mode = \"fixed\", limit = {}", rng.random_range(1..=12)),
    };
    format!(
        "concurrency = {{ {mode}, queue = {{ max_waiting = {}, max_wait = \"{}ms\" }} }}",
        one_of(&[0, 3, 20, 64], rng),
        one_of(&[100, 400, 1000], rng)
    )
}

fn timeout(rng: &mut StdRng) -> u32 {
    one_of(&[1000, 3000, 20_000], rng)
}

fn priority(rng: &mut StdRng) -> &'static str {
    one_of(&["critical", "high", "normal", "low"], rng)
}

fn limit(name: u32, rng: &mut StdRng) -> Limit {
    Limit {
        name,
        rate: one_of(&[1, 3, 10, 50], rng),
        burst: one_of(&[1, 2, 5, 20, 60], rng),
        key: one_of(&["none", "client_ip"], rng),
    }
}
