//! A name and its addresses.

use super::Guide;

pub(super) const NEVER: Guide = Guide {
    means: "Since the gateway started, the upstream's name was never answered with an address. It goes on asking, and serves as soon as there is one.",
    reasons: &[
        "A typing error in the name, or a search domain that is missing here: a name that works on your desk may not work in the container.",
        "The service is not deployed yet, or in another namespace.",
        "The name servers answer with a failure.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what the configured resolver and the system's say now.",
        "`/api/v1/upstreams`: what the last lookup said, NXDOMAIN and SERVFAIL apart.",
        "`dig NAME` on the gateway's host, and with @SERVER for each server of resolv.conf.",
    ],
    prevent: &[
        "Write names in full, with a dot at the end.",
        "`tidegate check --live` before a deployment, and the readiness page in the pipeline.",
    ],
};

pub(super) const NEVER_TIMEOUT: Guide = Guide {
    means: "Since the gateway started, no name server has answered what the upstream's name is.",
    reasons: &[
        "A firewall between the gateway and its name servers, UDP and TCP port 53.",
        "The name servers in resolv.conf or `servers` are wrong or down.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what the configured resolver and the system's say now.",
        "`dig @SERVER NAME` and `dig +tcp @SERVER NAME` on the gateway's host.",
        "`/api/v1/upstreams`: which server was asked last.",
    ],
    prevent: &[
        "Two name servers at least, on different hosts.",
        "`servers` of `[dns]` where resolv.conf is not the right one.",
    ],
};

pub(super) const STALE: Guide = Guide {
    means: "The name was known once. Its last good answer is now older than `max_stale`, and newer ones are failures.",
    reasons: &[
        "The record was deleted, or its zone has expired.",
        "The zone's servers fail since hours.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what the configured resolver and the system's say now.",
        "`/api/v1/upstreams`: since when, and what the answers are.",
        "`dig NAME`, and `dig +trace NAME` to see which zone fails.",
    ],
    prevent: &[
        "An alert on the metric of stale names: it says so long before `max_stale` is over.",
        "A longer `max_stale`.",
    ],
};

pub(super) const STALE_TIMEOUT: Guide = Guide {
    means: "The name was known once. Its last good answer is now older than `max_stale`, and the name servers have stopped answering.",
    reasons: &[
        "The name servers are down, or a firewall rule changed.",
        "The gateway's host lost its network.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what the configured resolver and the system's say now.",
        "`dig @SERVER NAME` for each server.",
        "What changed in the firewall, at the time at which the name became stale.",
    ],
    prevent: &[
        "A second name server on another network.",
        "An alert on the metric of stale names.",
    ],
};

pub(super) const PROHIBITED: Guide = Guide {
    means: "Every address that the name was answered with is loopback, link-local, unspecified, multicast or a cloud's metadata service. A name that points there is how a stranger reaches what only the host may, so it is refused.",
    reasons: &[
        "A blocking name server that answers 0.0.0.0 or 127.0.0.1.",
        "A hosts file that points the name at this machine for tests.",
        "The zone was changed by somebody who should not have.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: which addresses are taken out of the answer.",
        "`dig NAME` against `/etc/hosts`: who gives this address?",
        "Who changed the zone, and when.",
    ],
    prevent: &["`allow_addresses` of `[dns]` where it is meant."],
};
