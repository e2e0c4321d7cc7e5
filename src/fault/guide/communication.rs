//! A connection that did not do.

use super::Guide;

pub(super) const TLS_TIME: Guide = Guide {
    means: "The connection was taken, and then the TLS handshake did not end in time.",
    reasons: &[
        "The port does not speak TLS and waits for a request.",
        "The service is overloaded: handshakes cost it processor time.",
        "Packets of full size are lost on the way (path MTU): the certificate does not come through.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: does the connection come about, and how much do packets carry?",
        "`openssl s_client -connect HOST:PORT` from the gateway's host: where does it stop?",
        "`ping -M do -s 1472 HOST`: does a full packet get through?",
    ],
    prevent: &[
        "The right port, and `tls` only where it is spoken.",
        "Keep-alive, so that handshakes are rare.",
    ],
};

pub(super) const TLS: Guide = Guide {
    means: "The two did not agree on TLS: no common version or cipher, or what came back is not TLS at all.",
    reasons: &[
        "The port speaks plain HTTP.",
        "The service offers TLS 1.0 or 1.1 only.",
        "A device in between that answers in the service's name.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what is said in the handshake?",
        "`curl -v http://HOST:PORT/` from the gateway's host: does it answer in plain?",
        "`openssl s_client -connect HOST:PORT -tls1_2`.",
    ],
    prevent: &[
        "`tls` of the upstream only where the port speaks it.",
        "TLS 1.2 or newer at the service.",
    ],
};

pub(super) const CERTIFICATE: Guide = Guide {
    means: "The service showed a certificate that is not valid for it: expired, for another name, or of an issuer that is not trusted here. Nothing was sent.",
    reasons: &[
        "It expired, and nobody renewed it.",
        "The name in the config is not one of the certificate's.",
        "A private CA that is not named by `ca`.",
        "The chain is sent without its intermediate certificate.",
        "The clock of this host is wrong.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: the names, the issuer and the last day of what is shown.",
        "`openssl s_client -connect HOST:PORT -servername NAME -showcerts`: dates, names, chain.",
        "`date` on the gateway's host.",
    ],
    prevent: &[
        "Renew by a program, and alert weeks ahead.",
        "`server_name` and `ca` under `tls` of the upstream.",
    ],
};

pub(super) const ALERT: Guide = Guide {
    means: "The service itself ended the handshake with an alert.",
    reasons: &[
        "It wants a client certificate.",
        "It does not know the server name that was asked for.",
        "It has no version or cipher in common.",
    ],
    look: &[
        "The alert's name in the gateway's log.",
        "The service's log: it knows why.",
    ],
    prevent: &["`server_name` under `tls` of the upstream."],
};

pub(super) const RESET: Guide = Guide {
    means: "The service reset the connection before the head of its answer was complete.",
    reasons: &[
        "The process crashed or was killed, perhaps for memory, and perhaps by this very request.",
        "It closes kept connections sooner than `idle_timeout`, and the request crossed its close.",
        "Its accept queue overflowed.",
        "A load balancer or firewall forgot the connection.",
    ],
    look: &[
        "The service's log and `dmesg` at that second: killed, crashed, restarted?",
        "`attempts` and `timings_ms` in the access log: right at the start is a stale connection, later is a crash.",
        "Whether the same path does it each time.",
    ],
    prevent: &[
        "An `idle_timeout` of the upstream below the keep-alive time of the service.",
        "`retry` on reset, for idempotent requests.",
    ],
};

pub(super) const CLOSED: Guide = Guide {
    means: "The service closed the connection in order, and sent no answer or only the beginning of its head.",
    reasons: &[
        "A worker that exits after so many requests, or is being stopped by a deployment.",
        "It closes kept connections sooner than `idle_timeout`.",
        "The port speaks another protocol, such as TLS or HTTP/2.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM --idle 60s`: does the service close resting connections before we do?",
        "The service's log at that second.",
        "The service's keep-alive time against `idle_timeout`.",
        "`curl -v http://HOST:PORT/` from the gateway's host.",
    ],
    prevent: &[
        "An `idle_timeout` of the upstream below the keep-alive time of the service.",
        "A service that ends what it has begun before it stops.",
        "The right `protocol`.",
    ],
};

pub(super) const STREAM: Guide = Guide {
    means: "An HTTP/2 service refused the stream or went away before it took it. It was not begun, so it is tried again where tries are left.",
    reasons: &[
        "The service is being stopped, and says GOAWAY.",
        "It allows fewer streams at once than it was sent.",
        "It protects itself from overload.",
    ],
    look: &[
        "The service's log: was it deployed just then?",
        "`attempts` in the access log.",
    ],
    prevent: &[
        "Another endpoint, so that there is somewhere to go.",
        "A service that drains before it stops.",
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
    means: "The connection ended before the answer did: fewer bytes than announced, or no last chunk. The client saw a broken answer, never a short one that looks whole.",
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
