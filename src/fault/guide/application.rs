//! A service that can be reached and does not do its work.

use super::Guide;

pub(super) const NO_ENDPOINT: Guide = Guide {
    means: "No endpoint of the upstream may serve: each is marked down by its checks or ejected for what its traffic showed, or the upstream has none. Retry-After says when the next may be tried.",
    reasons: &[
        "The whole service is down, or what it depends on is.",
        "The health check itself is wrong: another path, host or status than the service answers.",
        "A deployment that stopped all replicas at once.",
    ],
    look: &[
        "`/api/v1/upstreams`: each endpoint says why it is out, since when, and what brings it back.",
        "What the check is answered: `curl -v http://HOST:PORT/healthz` from the gateway's host.",
        "The faults of this route before this one began: they say what took the endpoints out.",
    ],
    prevent: &[
        "Deployments one replica after the other.",
        "A `panic_threshold`, if a doubtful answer is better than none.",
        "Checks that test the service and not its database.",
    ],
};

pub(super) const FIRST_BYTE: Guide = Guide {
    means: "The request was sent, and the head of the answer did not come within `first_byte_timeout`.",
    reasons: &[
        "A slow query, a lock, or a dependency that hangs.",
        "The process is stopped or frozen, and the kernel still accepts for it.",
        "More requests in the service than it has workers: it queues inside. Then a limit is missing or too high.",
    ],
    look: &[
        "`path` in the access log: one page, or all?",
        "The service's own slow log or traces at that time.",
        "`/api/v1/upstreams`: is the limit of this endpoint falling?",
    ],
    prevent: &[
        "`mode` adaptive, so that the service is not filled beyond what it can do.",
        "A time-out inside the service that is shorter than the gateway's.",
        "A longer `first_byte_timeout` for work that takes that long, in an upstream of its own.",
    ],
};

pub(super) const TOTAL: Guide = Guide {
    means: "The route's `timeout` was over: waiting for a place, connecting, all attempts and the answer together.",
    reasons: &[
        "Attempts that each took long: the sum counts.",
        "A download or stream on a route whose `timeout` is made for pages.",
        "The service is slow.",
    ],
    look: &["`attempts` and `timings_ms` in the access log: which stage took the time?"],
    prevent: &[
        "A route of its own, with its own `timeout`, for what is long.",
        "A `first_byte_timeout` that leaves time for a second attempt.",
    ],
};

pub(super) const STALLED: Guide = Guide {
    means: "The answer had begun, and then no byte came for `body_timeout`.",
    reasons: &[
        "The service computes in the middle of its answer.",
        "A stream of events without a heartbeat.",
        "The process was frozen or its host lost.",
    ],
    look: &[
        "`bytes_out` and `endpoint` in the access log.",
        "The service's log at that second.",
    ],
    prevent: &[
        "A heartbeat in streams.",
        "A longer `body_timeout` of the listener.",
    ],
};
