//! More was asked for than can be finished.

use super::Guide;

pub(super) const RATE: Guide = Guide {
    means: "A rate limit of the route had no token left for this key. The answer's Retry-After says when one will be there.",
    reasons: &[
        "One client asks more often than the limit allows: a script, a crawler, a retry loop.",
        "Many people behind one address share one bucket.",
        "The limit is lower than what the page itself needs in one load.",
    ],
    look: &[
        "`reason` and `client` in the access log: one client, or many?",
        "`/api/v1/limits` for the fill of each limit.",
        "`tidegate recommend` for a limit that the last hour's traffic would have fitted into.",
    ],
    prevent: &[
        "Raise `burst` where pages come in bursts, `rate` where the need is steady.",
        "Choose a `key` that tells users apart.",
        "Try a new limit with `shadow` first: it counts and refuses nobody.",
    ],
};

pub(super) const CONCURRENCY: Guide = Guide {
    means: "All places at the upstream are taken, and nobody may wait for one.",
    reasons: &[
        "More requests than the service can do at once.",
        "The service became slower, so that the same rate needs more places.",
        "A `limit` of `fixed` mode that is too low.",
    ],
    look: &[
        "`/api/v1/upstreams` for the limit and what runs of each endpoint.",
        "Whether the service's latency rose before the refusals began. If so, the cause is there.",
        "`tidegate recommend` where the limit is fixed.",
    ],
    prevent: &[
        "More endpoints, or a faster service.",
        "A `queue`, for bursts that are over in less than `max_wait`.",
        "`mode` adaptive, which follows the service.",
        "A `priority` for what must get through.",
    ],
};

pub(super) const QUEUE_FULL: Guide = Guide {
    means: "All places at the upstream are taken, and as many wait already as may wait, or as could still be served in time. It was refused at once rather than after a wait in vain.",
    reasons: &[
        "More requests than the service can do.",
        "The service became slower.",
        "One tenant takes more than its turn.",
    ],
    look: &[
        "`/api/v1/upstreams` for limit, places in use and who waits.",
        "`timings_ms` of requests that were served: did first_byte rise before the refusals began?",
        "Which `route` and priority are shed, and whether they are the right ones.",
    ],
    prevent: &[
        "More endpoints, or a faster service.",
        "A `priority` for what must get through and a `share` for routes that must not starve.",
        "`max_waiting` and `max_wait` only where clients can wait longer: a longer queue serves no more, it serves later.",
    ],
};

pub(super) const QUEUE_TIME: Guide = Guide {
    means: "It waited for `max_wait` and no place came free.",
    reasons: &[
        "The service became slower, or stopped, while it waited.",
        "More requests of a higher priority came behind it.",
    ],
    look: &[
        "`timings_ms` of the same upstream: is first_byte rising?",
        "`/api/v1/upstreams`: is anything moving?",
    ],
    prevent: &[
        "Find out what the service waits for, such as a database or a lock.",
        "A route of its own, with its own `share`, for slow work.",
    ],
};

pub(super) const UNMEETABLE: Guide = Guide {
    means: "By the pace at which places come free, the wait would have outlasted the request's deadline. It was refused at once.",
    reasons: &[
        "A caller with little time left: its `x-request-timeout` or grpc-timeout is short.",
        "A `timeout` of the route that is close to what the service takes.",
    ],
    look: &["What deadline the caller sends, beside first_byte of requests that were served."],
    prevent: &[
        "Give the caller more time, or the service less to do.",
        "A higher `priority` for callers whose time is short.",
    ],
};

pub(super) const PAST: Guide = Guide {
    means: "The deadline was over before the request could be sent to the service.",
    reasons: &[
        "The caller sent a deadline that had passed already on its way.",
        "Retries used up the time.",
    ],
    look: &[
        "`attempts` and `timings_ms` in the access log.",
        "What deadline the caller sends.",
    ],
    prevent: &[
        "Fewer `attempts`, or a longer `timeout`.",
        "Check how the caller reckons what is left.",
    ],
};

pub(super) const PRESSURE: Guide = Guide {
    means: "The gateway itself is short of memory, processor time or descriptors, and sheds what matters least before everything suffers.",
    reasons: &[
        "A container limit that is too tight for the load.",
        "A neighbour on the same machine.",
        "Very many connections, or very large bodies in flight.",
    ],
    look: &[
        "`/api/v1/status` for the level and the signal that holds it.",
        "The memory and processor limits of the container, and how often it was throttled.",
    ],
    prevent: &[
        "More memory or processors for the gateway, or more gateways.",
        "A lower `max_connections`.",
        "A `priority` for what must get through.",
    ],
};

pub(super) const PORTS: Guide = Guide {
    means: "The system has no free local port for another connection to this endpoint.",
    reasons: &[
        "Connections are not kept: the service closes after each answer, so that ports rest in TIME_WAIT.",
        "One address behind which many servers stand, with tens of thousands of connections to it.",
    ],
    look: &[
        "`ss -s` for connections in TIME_WAIT.",
        "`sysctl net.ipv4.ip_local_port_range`.",
        "Whether the service answers with Connection: close.",
    ],
    prevent: &[
        "Keep-alive at the service, or `protocol` h2.",
        "A wider port range.",
        "More addresses for the service.",
    ],
};

pub(super) const DESCRIPTORS: Guide = Guide {
    means: "The process has no free file descriptor for another connection. The endpoint is not blamed.",
    reasons: &[
        "A low limit of open files.",
        "More connections than the gateway was made for.",
    ],
    look: &[
        "`ulimit -n` where the gateway is started, and the unit's LimitNOFILE.",
        "`/api/v1/status` for the pressure and its signal.",
    ],
    prevent: &[
        "Raise the limit of open files.",
        "A lower `max_connections` of the listeners.",
    ],
};
