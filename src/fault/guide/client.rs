//! What the caller did.

use super::Guide;

pub(super) const FRAMING: Guide = Guide {
    means: "The request's head or framing breaks a rule of HTTP on which two programs could read it differently, such as two lengths, a length beside chunks, a bare line feed, or a space before a colon. It was refused and the connection closed, since what follows on it cannot be told apart any more.",
    reasons: &[
        "A scanner or somebody who tries request smuggling.",
        "A home-made client, or a proxy in front that passes on what it should have written anew.",
        "Plain HTTP sent to a TLS port, another protocol to an HTTP port, or a version besides HTTP/1.0, HTTP/1.1 and HTTP/2.",
    ],
    look: &[
        "`client` in the access log: one address, or everybody?",
        "If it is a proxy of yours: capture what it sends to the gateway, and look at Content-Length and Transfer-Encoding.",
    ],
    prevent: &["Mend the client. There is no key that lets ambiguous requests through."],
};

pub(super) const HOST: Guide = Guide {
    means: "Host is missing, there are several, it is not a host, or it differs from `:authority` in HTTP/2. Routes are chosen by it, so none was.",
    reasons: &[
        "A client that speaks to an address and sends no Host.",
        "A scanner.",
        "A proxy in front that adds a Host beside the one that is there.",
    ],
    look: &[
        "`client` and `host` in the access log.",
        "`curl -v` through the same proxy, and count the Host fields.",
    ],
    prevent: &[
        "Have the client send exactly one Host, and the proxy in front replace it rather than add one.",
    ],
};

pub(super) const TARGET: Guide = Guide {
    means: "The target of the request is not a path: it has a fragment, no leading slash, or it is a whole URL as one sends it to a forward proxy.",
    reasons: &[
        "Somebody looks for an open proxy.",
        "A client that is configured to use the gateway as its proxy.",
        "A client that sends the `#` part of a URL.",
    ],
    look: &["`client` and `path` in the access log."],
    prevent: &["Give clients the gateway's own name, not its address as a proxy."],
};

pub(super) const PATH: Guide = Guide {
    means: "The path has a broken escape, a NUL, or more `..` than there are segments. A path is brought into one form before it is matched, and this one has none.",
    reasons: &[
        "A scanner that tries to leave the document root.",
        "A client that builds URLs by gluing strings, so that a `%` in a name stays unescaped.",
    ],
    look: &["`path` and `client` in the access log."],
    prevent: &["Escape names with the URL functions of the client's language."],
};

pub(super) const HEADER: Guide = Guide {
    means: "A field has a name that a service may mistake for one the gateway vouches for, such as X_Forwarded_For beside X-Forwarded-For.",
    reasons: &[
        "Somebody tries to pass for another address.",
        "An old client that uses underscores in field names.",
    ],
    look: &["`client` in the access log, and what this client sends."],
    prevent: &["Use hyphens in field names."],
};

pub(super) const CODING: Guide = Guide {
    means: "The body is sent with a transfer coding other than chunked. It could only be passed on by taking it apart.",
    reasons: &[
        "A client that compresses by Transfer-Encoding where Content-Encoding is meant.",
        "Somebody tries request smuggling.",
    ],
    look: &["What the client sends as Transfer-Encoding."],
    prevent: &["Have the client compress with Content-Encoding, which is passed through."],
};

pub(super) const METHOD: Guide = Guide {
    means: "CONNECT and TRACE are not served: one opens a tunnel to anywhere, the other shows what the gateway added.",
    reasons: &[
        "Somebody looks for an open proxy.",
        "A security scanner that tests for TRACE.",
    ],
    look: &["`client` and `method` in the access log."],
    prevent: &["Nothing is to be done, unless a client of yours uses the gateway as its proxy."],
};

pub(super) const EXPECTATION: Guide = Guide {
    means: "The request expects something other than 100-continue.",
    reasons: &["A client library with an expectation of its own."],
    look: &["What the client sends as Expect."],
    prevent: &["Remove the field in the client."],
};

pub(super) const URI: Guide = Guide {
    means: "The path and query are longer than a head may be.",
    reasons: &[
        "A form that is sent by GET where POST is meant.",
        "A redirect that carries its whole history in the query, in a loop.",
        "A filter with hundreds of values.",
    ],
    look: &["`path` and `client` in the access log; is it one page of yours that links there?"],
    prevent: &[
        "Send long input in a body.",
        "If such targets are meant: `max_header` of the listener.",
    ],
};

pub(super) const HEAD_SIZE: Guide = Guide {
    means: "The fields of the request are larger together than `max_header`, or there are too many.",
    reasons: &[
        "Cookies that grew: an application sets a new one for each visit.",
        "A token that carries all groups of its user.",
    ],
    look: &[
        "Whether one user is hit or all: the cookies of that user in the browser's tools.",
        "The limit of the services behind too: 8 KiB is usual.",
    ],
    prevent: &[
        "Shrink the cookie or token.",
        "Else `max_header` of the listener, and the same at the service.",
    ],
};

pub(super) const HEAD_TIME: Guide = Guide {
    means: "The connection was open for `header_timeout` and the head of a request did not arrive whole.",
    reasons: &[
        "A browser that opens a connection in advance and does not use it. That is harmless.",
        "A client behind a very slow line.",
        "Somebody holds connections open by sending a byte now and then.",
    ],
    look: &[
        "How many per address: `client` in the access log.",
        "Open connections of the listener, as a metric.",
    ],
    prevent: &[
        "Nothing where it is browsers.",
        "Against an attack: a lower `header_timeout` and `max_connections`.",
    ],
};

pub(super) const BODY_SIZE: Guide = Guide {
    means: "The body is larger than the route's `max_body`. Where the length was announced, nothing of it was sent to the service.",
    reasons: &[
        "An upload that is larger than foreseen.",
        "Somebody tries how much can be sent.",
    ],
    look: &["`route` and `bytes_in` in the access log."],
    prevent: &["`max_body` of the route, together with the limit of the service."],
};

pub(super) const BODY_TIME: Guide = Guide {
    means: "For `body_timeout` no byte of the body came. The place at the service was given back.",
    reasons: &[
        "A mobile client that lost its network.",
        "A client that computes while it sends.",
        "Somebody holds places by sending slowly.",
    ],
    look: &["`client` and `bytes_in` in the access log."],
    prevent: &["`body_timeout` of the listener, where clients legitimately pause."],
};

pub(super) const BODY: Guide = Guide {
    means: "The framing of the body is broken: a bad chunk size, a chunk that is longer than it says, or an end in the middle. The connection to the service was closed too, and the service is not blamed.",
    reasons: &[
        "A client that was killed while it sent.",
        "A home-made client.",
        "Somebody tries request smuggling.",
    ],
    look: &["`client` and `bytes_in` in the access log."],
    prevent: &["Mend the client."],
};

pub(super) const READ: Guide = Guide {
    means: "For `body_timeout` the client read nothing of the answer, and the gateway's buffers were full. The answer was cut.",
    reasons: &[
        "A client that lost its network.",
        "A program that stopped reading: paused, or busy with what it has.",
        "Somebody holds answers open.",
    ],
    look: &["`client` and `bytes_out` in the access log."],
    prevent: &["`body_timeout` of the listener, where clients legitimately pause."],
};

pub(super) const ABORTED: Guide = Guide {
    means: "The client closed or reset before the last byte of the answer. 499 stands in the log only; nobody is there to read it. The attempt was cancelled where that was possible.",
    reasons: &[
        "Somebody pressed stop, or closed the page.",
        "The client's own time-out is shorter than the service's answer. Many at the same duration point to this.",
        "A load balancer in front gave up.",
    ],
    look: &[
        "`timings_ms` in the access log: do they end at the same number, like 10,000?",
        "Whether the service became slower at that time.",
    ],
    prevent: &[
        "Make time-outs shrink from the outside in: the client's longest, then the route's `timeout`, then the service's.",
        "Have the caller send `x-request-timeout`, so that what it will not wait for is not begun.",
    ],
};
