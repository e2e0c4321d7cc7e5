//! HTTP/2 with an endpoint that did not do.

use super::Guide;

pub(super) const REFUSED: Guide = Guide {
    means: "An HTTP/2 service refused the stream. It was not begun, so it is tried again where tries are left.",
    reasons: &[
        "It allows fewer streams at once than it was sent.",
        "It protects itself from overload.",
    ],
    look: &[
        "The service's log, and how many streams it allows at once.",
        "`attempts` in the access log.",
    ],
    prevent: &[
        "Another endpoint, so that there is somewhere to go.",
        "`concurrency` of the upstream, so that it is not sent more than it takes.",
    ],
};

pub(super) const RESET: Guide = Guide {
    means: "An HTTP/2 service took the stream, and gave it up before the head of an answer. It may have done a part of the work.",
    reasons: &[
        "The application failed in a way that its framework tells by a reset alone.",
        "A proxy in front of the service lost its own connection to it.",
        "The service answers HTTP/1.1 only on this path, and says so.",
    ],
    look: &[
        "The detail in the gateway's log: it names the code of the reset.",
        "The service's log at that second.",
    ],
    prevent: &[
        "A service that answers with a status where it fails.",
        "`retry` on reset, for idempotent requests.",
    ],
};

pub(super) const GONE: Guide = Guide {
    means: "An HTTP/2 service said GOAWAY: it closes the connection and did not take this stream. It was not begun, so it is tried again where tries are left.",
    reasons: &[
        "The service is being stopped by a deployment or for fewer copies.",
        "It lets connections live for so long or for so many requests only.",
        "It protects itself from a connection that it holds for abusive.",
    ],
    look: &[
        "The service's log: was it stopped just then?",
        "`attempts` in the access log.",
    ],
    prevent: &[
        "Another endpoint, so that there is somewhere to go.",
        "A service that says GOAWAY, and then serves what is still coming before it closes.",
    ],
};

pub(super) const BROKEN: Guide = Guide {
    means: "The gateway or the service found that the other breaks the rules of HTTP/2, or the service does not speak it.",
    reasons: &[
        "`protocol` says `h2`, and the port speaks HTTP/1.1.",
        "A field that the service's library refuses.",
        "A broken proxy or library at the service.",
    ],
    look: &[
        "`curl -v --http2-prior-knowledge http://HOST:PORT/` from the gateway's host.",
        "The detail in the gateway's log: which of the two complained, and of what.",
    ],
    prevent: &["`protocol` as the port speaks it."],
};
