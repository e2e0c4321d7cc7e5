//! A connection that did not do.

use super::Guide;

pub(super) const RESET: Guide = Guide {
    means: "The service, or something in its name, reset the connection before it sent a byte of an answer.",
    reasons: &[
        "The process crashed or was killed, perhaps for memory, and perhaps by this very request.",
        "It closed the connection without reading the request, as where a body is larger than it takes.",
        "Its accept queue overflowed.",
        "A load balancer or firewall forgot the connection.",
    ],
    look: &[
        "The service's log and `dmesg` at that second: killed, crashed, restarted?",
        "`timings_ms` in the access log: at once is a refusal or a firewall, later is a crash.",
        "Whether the same path does it each time.",
    ],
    prevent: &[
        "A service that ends what it has begun before it stops.",
        "`retry` on reset, for idempotent requests.",
    ],
};

pub(super) const RESET_IN_HEAD: Guide = Guide {
    means: "The service began its answer, and reset the connection before the head of it was complete.",
    reasons: &[
        "The process crashed or was killed while it wrote the head.",
        "An application that closes its socket with data unread: the system then resets, and throws away what was on the way.",
        "A device in between that inspects answers and did not like this one.",
    ],
    look: &[
        "The service's log and `dmesg` at that second.",
        "`curl -v URL` from the gateway's host, with the same path and fields: where does it stop?",
        "`tcpdump` on the port: who sends the reset?",
    ],
    prevent: &[
        "A service that reads requests to their end before it closes.",
        "`retry` on reset, for idempotent requests.",
    ],
};

pub(super) const RACE: Guide = Guide {
    means: "A kept connection had rested, and the service closed it in the moment in which the next request was sent on it. No byte of an answer came. The request was most likely not seen; since that cannot be proved, only an idempotent one is tried again.",
    reasons: &[
        "The keep-alive time of the service is shorter than `idle_timeout`: sooner or later the two cross.",
        "The service was stopped or deployed just then.",
        "A device in between that forgets idle connections.",
    ],
    look: &[
        "The service's keep-alive time against `idle_timeout` of the upstream.",
        "Whether it happens after quiet moments, and never under steady load.",
        "The metric of stale connections: it counts those that cost nobody a fault too.",
    ],
    prevent: &[
        "An `idle_timeout` of the upstream some seconds below the keep-alive time of the service.",
        "`retry` on reset, for idempotent requests.",
    ],
};

pub(super) const CLOSED: Guide = Guide {
    means: "The service closed the connection in order, and sent no byte of an answer.",
    reasons: &[
        "A worker that exits after so many requests, crashes at this one, or is being stopped by a deployment.",
        "The port speaks another protocol, such as TLS or HTTP/2.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM --idle 60s`: does the service close resting connections before we do?",
        "The service's log at that second.",
        "`timings_ms` in the access log: how long it had worked on it.",
        "`curl -v http://HOST:PORT/` from the gateway's host.",
    ],
    prevent: &[
        "A service that ends what it has begun before it stops.",
        "The right `protocol`.",
    ],
};

pub(super) const HEAD_INCOMPLETE: Guide = Guide {
    means: "The service began its answer and closed the connection in order before the head of it was complete.",
    reasons: &[
        "An application that writes its head in pieces, and failed between two of them.",
        "A script that ends without the empty line behind its fields.",
        "A worker that was stopped while it answered.",
    ],
    look: &[
        "`curl -v --raw http://HOST:PORT/PATH` from the gateway's host: how far does the head come?",
        "The service's log at that second.",
    ],
    prevent: &[
        "A framework that writes heads whole.",
        "A service that ends what it has begun before it stops.",
    ],
};

pub(super) const INVALID: Guide = Guide {
    means: "What came back is not HTTP, or breaks a rule on which the answer's end depends.",
    reasons: &[
        "The port speaks another protocol than `protocol` says: HTTP/2, TLS, or none.",
        "The service writes two lengths, or a body after a 204 or 304.",
        "An application that writes to its output directly.",
    ],
    look: &[
        "`curl -v --raw http://HOST:PORT/PATH` from the gateway's host.",
        "`path` in the access log: is it one page?",
    ],
    prevent: &[
        "The right `protocol` and port.",
        "Have the framework set lengths.",
    ],
};

pub(super) const HEAD: Guide = Guide {
    means: "The fields of the service's answer are larger than a head may be.",
    reasons: &[
        "Very many or very long cookies.",
        "A debugging header that carries a whole trace.",
    ],
    look: &["`curl -sI URL | wc -c` from the gateway's host."],
    prevent: &["Move it into the body, or leave it out."],
};

pub(super) const INCOMPLETE: Guide = Guide {
    means: "The connection was closed in order before the answer was complete: fewer bytes than announced, or no last chunk. The client saw a broken answer, never a short one that looks whole.",
    reasons: &[
        "The process crashed or was stopped while it answered.",
        "A wrong Content-Length.",
        "A proxy between the two with a time-out or size limit of its own.",
    ],
    look: &[
        "`bytes_out` in the access log: always the same number is a limit on the way.",
        "The service's log at that second.",
    ],
    prevent: &[
        "A service that ends what it has begun before it stops.",
        "The limits of whatever stands in between.",
    ],
};

pub(super) const RESET_IN_BODY: Guide = Guide {
    means: "The service, or something in its name, reset the connection or the stream in the middle of the answer's body. The client saw a broken answer, never a short one that looks whole.",
    reasons: &[
        "The process was killed while it answered, perhaps for memory.",
        "The application failed in the middle of a stream, and its framework gives up in this way.",
        "A time-out or a limit of a device in between.",
    ],
    look: &[
        "`bytes_out` and `timings_ms` in the access log: always the same number, or always the same time?",
        "The service's log and `dmesg` at that second.",
    ],
    prevent: &[
        "A service that ends what it has begun before it stops.",
        "Memory for the largest answer, or answers that are streamed.",
    ],
};

pub(super) const MALFORMED: Guide = Guide {
    means: "The answer's head was good, and its body breaks the rules by which its end is found: a chunk without a size, a frame out of place. It was cut there.",
    reasons: &[
        "An application that says it sends chunks, and writes its output directly.",
        "Two threads that write into one answer.",
        "A proxy in between that changes bodies and not their framing.",
    ],
    look: &[
        "`curl -v --raw http://HOST:PORT/PATH` from the gateway's host: what stands where a size should?",
        "`path` in the access log: is it one page?",
    ],
    prevent: &["Have the framework frame bodies, never the application."],
};

pub(super) const UPGRADE: Guide = Guide {
    means: "The service switched protocols although nobody asked, or to another one than was asked for. The connection was closed, since what follows could be read in two ways.",
    reasons: &[
        "A broken WebSocket server.",
        "A service that offers h2c by itself.",
    ],
    look: &[
        "`curl -v -H 'Connection: Upgrade' -H 'Upgrade: websocket' URL` from the gateway's host.",
    ],
    prevent: &["Turn off the unasked upgrade in the service."],
};

pub(super) const LOOP: Guide = Guide {
    means: "The request has been through this gateway before: its name stands in Via.",
    reasons: &[
        "An upstream's address is the gateway's own, often by a DNS name that points at the public address.",
        "Two proxies that send to each other.",
    ],
    look: &[
        "Where the upstream's name points: `dig NAME` on the gateway's host.",
        "`/api/v1/upstreams` for the addresses in force.",
    ],
    prevent: &["Address the service by a name that only exists inside."],
};
