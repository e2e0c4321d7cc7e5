//! A config as it is changed from one to the next.

use std::{fmt::Write as _, net::SocketAddr};

use super::authority::NAME;

/// See the module.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Each as TOML: `address = "…"` or `dns = "…"`.
    pub endpoints: Vec<String>,
    pub prefix: &'static str,
    pub first_byte_ms: u32,
    pub attempts: u8,
    /// Most requests at once; without it the limit is found, or there is none.
    pub limit: Option<u32>,
    pub adaptive: bool,
    /// Requests a second of one client.
    pub rate: Option<u32>,
    pub ejection: bool,
    pub tls: bool,
    pub dns: Option<SocketAddr>,
    pub gone_after: u32,
    pub max_stale: &'static str,
    pub other: SocketAddr,
    /// Of the upstream that nothing is done to.
    pub other_idle_s: u32,
    /// Of this one: a change that means nothing to its requests.
    pub idle_s: u32,
}

// === impl Draft ===

impl Draft {
    /// As a file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(server) = self.dns {
            let _ = writeln!(
                text,
                "[dns]\nservers = [\"{server}\"]\nmin_ttl = \"100ms\"\nmax_ttl = \"100ms\"\nhold = \"500ms\"\n\
                 gone_after = {}\nmax_stale = \"{}\"\nallow_addresses = [\"127.0.0.0/8\"]",
                self.gone_after, self.max_stale
            );
        }
        text.push_str(
            "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nbody_timeout = \"300ms\"\n",
        );
        let listed: Vec<_> = self
            .endpoints
            .iter()
            .map(|one| format!("{{ {one} }}"))
            .collect();
        let _ = writeln!(
            text,
            "[upstreams.shop]\nendpoints = [{}]\nbalance = \"round_robin\"\nconnect_timeout = \"250ms\"\n\
             first_byte_timeout = \"{}ms\"\nidle_timeout = \"{}s\"\nejection = {{ enabled = {} }}",
            listed.join(", "),
            self.first_byte_ms,
            self.idle_s,
            self.ejection
        );
        match (self.limit, self.adaptive) {
            (Some(limit), _) => {
                let _ = writeln!(
                    text,
                    "concurrency = {{ mode = \"fixed\", limit = {limit}, queue = {{ max_waiting = 8, max_wait = \"60ms\" }} }}"
                );
            }
            (None, true) => {}
            (None, false) => text.push_str("concurrency = { mode = \"off\" }\n"),
        }
        if self.tls {
            let _ = writeln!(
                text,
                "tls = {{ server_name = \"{NAME}\", ca = \"ca.pem\" }}"
            );
        }
        let _ = writeln!(
            text,
            "[upstreams.other]\nendpoints = [{{ address = \"{}\" }}]\nidle_timeout = \"{}s\"\n\
             [[routes]]\nname = \"other\"\npath_prefix = \"/other\"\nupstream = \"other\"\n\
             [[routes]]\nname = \"shop\"\npath_prefix = \"{}\"\nupstream = \"shop\"\nretry = {{ attempts = {} }}",
            self.other, self.other_idle_s, self.prefix, self.attempts
        );
        if let Some(rate) = self.rate {
            let _ = writeln!(
                text,
                "[[routes.rate_limits]]\nrate = \"{rate}/s\"\nburst = {rate}"
            );
        }
        text
    }
}
