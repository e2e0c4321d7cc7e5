//! `[[listeners]]`

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
};

use super::{Folder, NamedClients, NamedPair, NamedServer, names, process::networks};
use crate::{
    config::{
        CertificatePlan, ClientAuth, ClientsPlan, ListenerPlan, ListenerTlsPlan,
        fields::{self, listener as keys},
        problem::{Code, Problem, Span},
        row::Row,
    },
    names::ListenerName,
};

/// A listener, and the places that conflicts point at.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) plan: ListenerPlan,
    pub(super) bind_at: Span,
    pub(super) certificates: Vec<NamedPair>,
    pub(super) clients: Option<NamedClients>,
}

/// Stands for a bind that is missing or wrong, which was noted; port 0 is in conflict with nothing.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

// === impl Listener ===

impl Listener {
    /// The files that its TLS needs.
    pub(super) fn server(&self) -> NamedServer {
        NamedServer {
            listener: self.plan.name.clone(),
            pairs: self.certificates.clone(),
            clients: self.clients.clone(),
        }
    }
}

pub(super) fn all(root: &Row<'_>, folder: Folder<'_>) -> Vec<Listener> {
    let rows = root.tables(&fields::LISTENERS);
    let given: Vec<_> = rows.iter().map(|row| row.get(&keys::NAME)).collect();
    let names = names(&rows, &given, "listener", root.problems());
    rows.iter()
        .zip(names)
        .map(|(row, name)| one(row, &name, folder))
        .collect()
}

fn one(row: &Row<'_>, name: &str, folder: Folder<'_>) -> Listener {
    let bind = row.get(&keys::BIND);
    let trusted = row.get(&keys::TRUSTED_PROXIES).map(|list| list.it);
    let trusted_there = row.has("trusted_proxies") && !trusted.as_ref().is_some_and(Vec::is_empty);
    let tls = row.table(&keys::TLS);
    let certificates = tls.as_ref().map(|tls| certificates(tls, folder));
    let clients = tls.as_ref().and_then(|tls| clients(tls, folder));
    let plan = ListenerPlan {
        name: ListenerName::from(name),
        bind: bind.map_or(NOWHERE, |bind| bind.it.0),
        trusted_proxies: networks(trusted.unwrap_or_default(), row.problems()),
        proxy_protocol: row.value(&keys::PROXY_PROTOCOL),
        tls: certificates
            .as_deref()
            .map(|pairs| tls_plan(pairs, clients.as_ref())),
        header_timeout: row.value(&keys::HEADER_TIMEOUT),
        body_timeout: row.value(&keys::BODY_TIMEOUT),
        idle_timeout: row.value(&keys::IDLE_TIMEOUT),
        tunnel_idle_timeout: row.value(&keys::TUNNEL_IDLE_TIMEOUT),
        max_header_bytes: max_header(row),
        max_connections: row.get(&keys::MAX_CONNECTIONS).map(|count| count.it),
    };
    check_trust(row, &plan, trusted_there);
    Listener {
        plan,
        bind_at: bind.map_or(row.at, |bind| bind.at),
        certificates: certificates.unwrap_or_default(),
        clients,
    }
}

fn max_header(row: &Row<'_>) -> NonZeroUsize {
    let bytes = usize::try_from(row.value(&keys::MAX_HEADER).0).ok();
    bytes
        .and_then(NonZeroUsize::new)
        .unwrap_or(NonZeroUsize::MAX)
}

fn certificates(tls: &Row<'_>, folder: Folder<'_>) -> Vec<NamedPair> {
    let rows = tls.tables(&keys::CERTIFICATES);
    rows.iter().filter_map(|row| pair(row, folder)).collect()
}

/// A certificate and its key; `None` where one of them is missing, which was noted.
pub(super) fn pair(row: &Row<'_>, folder: Folder<'_>) -> Option<NamedPair> {
    let cert = row.get(&keys::CERT);
    let key = row.get(&keys::KEY);
    Some(NamedPair {
        cert: folder.path(cert?),
        key: folder.path(key?),
    })
}

pub(super) fn certificate_plan(pair: &NamedPair) -> CertificatePlan {
    CertificatePlan {
        cert: pair.cert.it.clone(),
        key: pair.key.it.clone(),
    }
}

/// Whom the listener lets in by their certificates, where it asks for any.
fn clients(tls: &Row<'_>, folder: Folder<'_>) -> Option<NamedClients> {
    let auth = tls.get(&keys::CLIENT_AUTH);
    let Some(ca) = tls.get(&keys::CLIENT_CA) else {
        if let (Some(auth), false) = (auth, tls.has("client_ca")) {
            tls.problems().add(
                Problem::error(
                    Code::Conflict,
                    auth.at,
                    "`client_auth` without `client_ca` could let nobody in",
                    "no authority is named whose certificates count",
                )
                .help("add client_ca = \"clients.pem\""),
            );
        }
        return None;
    };
    Some(NamedClients {
        ca: folder.path(ca),
        auth: auth.map_or(ClientAuth::Required, |auth| auth.it),
    })
}

fn tls_plan(pairs: &[NamedPair], clients: Option<&NamedClients>) -> ListenerTlsPlan {
    ListenerTlsPlan {
        certificates: pairs.iter().map(certificate_plan).collect(),
        clients: clients.map(|clients| ClientsPlan {
            ca: clients.ca.it.clone(),
            auth: clients.auth,
        }),
    }
}

/// Whom the listener trusts; `there` says that somebody is named, right or wrong.
fn check_trust(row: &Row<'_>, plan: &ListenerPlan, there: bool) {
    let proxy_at = row.key_at("proxy_protocol").unwrap_or(row.at);
    if plan.proxy_protocol && !there {
        row.problems().add(
            Problem::error(
                Code::Conflict,
                proxy_at,
                "`proxy_protocol` without `trusted_proxies` lets nobody in",
                "a header is required from trusted proxies, others are closed",
            )
            .help("add trusted_proxies = [\"10.0.0.0/8\"], or the networks of your proxies"),
        );
    }
    let everybody = plan
        .trusted_proxies
        .iter()
        .find(|net| net.prefix_len() == 0);
    if let (Some(net), Some(at)) = (everybody, row.key_at("trusted_proxies")) {
        row.problems().add(Problem::warning(
            Code::Dangerous,
            at,
            format!("`{net}` trusts every client"),
            "anybody may say which address they come from",
        ));
    }
}
