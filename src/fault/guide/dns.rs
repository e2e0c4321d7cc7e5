//! A name and its addresses.

use super::Guide;

pub(super) const NOT_FOUND: Guide = Guide {
    means: "The name servers say that the upstream's name does not exist (NXDOMAIN), and have said nothing else since the gateway started. It goes on asking, and serves as soon as there is an address.",
    reasons: &[
        "A typing error in the name, or a search domain that is missing here: a name that works on your desk may not work in the container.",
        "The service is not deployed yet, or in another namespace.",
        "Another name server is asked than the one that knows the name.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what the configured resolver and the system's say now.",
        "`dig NAME` on the gateway's host, and with @SERVER for each server of resolv.conf.",
        "`/api/v1/upstreams`: which name is asked for, letter by letter.",
    ],
    prevent: &[
        "Write names in full, with a dot at the end.",
        "`tidegate check` before a deployment, and the readiness page in the pipeline.",
    ],
};

pub(super) const SERVER_FAILED: Guide = Guide {
    means: "The name servers answer that they failed (SERVFAIL), or none of them takes questions, and it was never otherwise since the gateway started.",
    reasons: &[
        "The servers of the zone cannot be reached from the resolver.",
        "Signatures of the zone (DNSSEC) that have expired.",
        "The resolver is overloaded, or has just started; or nothing listens at its address.",
    ],
    look: &[
        "`dig @SERVER NAME` for each server, and `dig +cd @SERVER NAME`: if that one answers, it is the signatures.",
        "`dig +trace NAME`: which zone fails?",
    ],
    prevent: &[
        "Two name servers at least, on different hosts.",
        "Watch the expiry of signatures as that of certificates.",
    ],
};

pub(super) const EMPTY: Guide = Guide {
    means: "The name exists, and has no address: no A or AAAA record, or for a service no SRV record, or one that says that there is none.",
    reasons: &[
        "A service whose copies are all down: an orchestrator then empties the name.",
        "The name has records of other kinds only, such as TXT.",
        "`dns` is asked for where `srv` would be right, or the other way round.",
    ],
    look: &[
        "`dig NAME A`, `dig NAME AAAA` and `dig NAME SRV` on the gateway's host.",
        "How many copies of the service are ready.",
    ],
    prevent: &[
        "At least two copies, and a readiness check that does not fail in all of them at once.",
    ],
};

pub(super) const NEVER: Guide = Guide {
    means: "Since the gateway started, the upstream's name was never answered with an address: the first answer is still awaited, or the servers refuse the question, or what they say cannot be used. It goes on asking, and serves as soon as there is one.",
    reasons: &[
        "The gateway started a moment ago.",
        "A name server that answers some networks only, and says REFUSED to this one.",
        "Aliases that lead in a circle.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what the configured resolver and the system's say now.",
        "`/api/v1/upstreams`: what the last lookup said.",
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

pub(super) const GONE: Guide = Guide {
    means: "The name was known once. Now its servers say that it does not exist (NXDOMAIN), and have gone on saying so for longer than `hold`.",
    reasons: &[
        "The record was deleted, by somebody or by a program.",
        "The service was taken down, or moved to another namespace.",
        "The zone was replaced by one that lacks it.",
    ],
    look: &[
        "Who changed the zone, and when.",
        "`dig NAME` on the gateway's host, and with @SERVER for each server.",
    ],
    prevent: &[
        "Take a service out of the config before its name.",
        "A longer `hold`, where names vanish for moments.",
    ],
};

pub(super) const EMPTIED: Guide = Guide {
    means: "The name was known once. It still exists, and has had no address for longer than `hold`.",
    reasons: &[
        "All copies of the service are down or not ready: an orchestrator then empties the name.",
        "The records were deleted and others of the name were left.",
    ],
    look: &[
        "How many copies of the service are ready, and since when.",
        "`dig NAME A` and `dig NAME AAAA` on the gateway's host.",
    ],
    prevent: &[
        "A readiness check that does not fail in all copies at once.",
        "A longer `hold`, where copies come and go.",
    ],
};

pub(super) const STALE: Guide = Guide {
    means: "The name was known once. Its last good answer is now older than `max_stale`, and newer ones are failures.",
    reasons: &[
        "The zone's servers fail since hours (SERVFAIL), or its signatures have expired.",
        "The resolver was replaced by one that may not ask for this zone.",
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
