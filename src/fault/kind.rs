//! Every kind of fault, and its facts.

use http::StatusCode;

use super::{Cause, Facts, Party, ShedReason, Stage};

/// Makes the enum, its list and its facts out of one table, so that none can lack a row.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident: $status:literal, $cause:ident by $party:ident, $stage:ident, $name:literal, $reason:expr, $title:literal;)+) => {
        /// One way for a request to end badly.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])+ $kind,)+
        }

        impl Kind {
            /// All kinds, in the order in which they are declared.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// What is always true of this kind.
            #[must_use]
            pub const fn facts(self) -> Facts {
                match self {
                    $(Self::$kind => Facts {
                        name: $name,
                        cause: Cause::$cause,
                        begun_by: Party::$party,
                        stage: Stage::$stage,
                        status: status($status),
                        proxy_error: $name,
                        reason: $reason,
                        title: $title,
                    },)+
                }
            }
        }
    };
}

// Kind: status, cause and who began it, usual stage, name (an error type of RFC 9209), reason, sentence.
// 499 is what nginx logs where the client left before the answer; it is never sent.
kinds! {
    /// The HTTP library refused the request's head or framing.
    FramingInvalid: 400, Client by Client, Head, "http_request_error", Some("framing"),
        "The request could not be read.";
    /// Host is missing, repeated, malformed, or differs from `:authority`.
    HostInvalid: 400, Client by Client, Head, "http_request_error", Some("host"),
        "The Host of the request is missing or invalid.";
    /// The request target has no path, or a form that only a forward proxy takes.
    TargetInvalid: 400, Client by Client, Head, "http_request_error", Some("target"),
        "The request target is not one a gateway can serve.";
    /// A bad escape, `%00`, or `..` above the root.
    PathInvalid: 400, Client by Client, Head, "http_request_error", Some("path"),
        "The path of the request is invalid.";
    /// A field that no gateway may pass on, such as an alias of a forwarding field.
    HeaderInvalid: 400, Client by Client, Head, "http_request_error", Some("header"),
        "A header field of the request is invalid.";
    /// A transfer coding besides `chunked`.
    CodingUnsupported: 501, Client by Client, Head, "http_request_error", Some("transfer_coding"),
        "The transfer coding of the request is not supported.";
    /// CONNECT or TRACE.
    MethodRefused: 405, Client by Client, Head, "http_request_error", Some("method"),
        "This method is not allowed.";
    /// An `Expect` besides `100-continue`.
    ExpectationRefused: 417, Client by Client, Head, "http_request_error", Some("expectation"),
        "The expectation of the request cannot be met.";
    /// The request target is over the head's limit.
    UriTooLong: 414, Client by Client, Head, "http_request_error", Some("uri_too_long"),
        "The request target is too long.";
    /// The head is over `max_header`.
    HeadTooLarge: 431, Client by Client, Head, "http_request_error", Some("head_too_large"),
        "The header section of the request is too large.";
    /// The head took longer than `header_timeout`.
    HeadTimeout: 408, Client by Client, Head, "http_request_error", Some("header_timeout"),
        "The request's head did not arrive in time.";
    /// The body is over the route's `max_body`.
    BodyTooLarge: 413, Client by Client, Body, "http_request_error", Some("body_too_large"),
        "The request body is too large.";
    /// No progress of the request body for `body_timeout`.
    BodyTimeout: 408, Client by Client, Body, "http_request_error", Some("body_timeout"),
        "The request body did not arrive in time.";
    /// The body's framing is broken.
    BodyInvalid: 400, Client by Client, Body, "http_request_error", Some("body"),
        "The request body could not be read.";
    /// No progress of the response body towards the client for `body_timeout`.
    ReadTimeout: 408, Client by Client, Body, "connection_write_timeout", Some("slow_reader"),
        "The client stopped reading the answer.";
    /// The client closed or reset before the last byte. 499 as nginx logs it; it is never sent.
    ClientAborted: 499, Client by Client, Body, "connection_terminated", Some("client_abort"),
        "The client left before the answer was complete.";
    /// No route of the config matches.
    NoRoute: 404, Config by Tidegate, Route, "http_request_error", Some("no_route"),
        "No route takes this request.";
    /// A token bucket is empty.
    RateExceeded: 429, Overload by Tidegate, Rate, "http_request_denied", Some("rate_exceeded"),
        "Too many requests.";
    /// No place is free, and there is no queue.
    ConcurrencyExceeded: 503, Overload by Tidegate, Concurrency, "connection_limit_reached", Some("concurrency_exceeded"),
        "The service is at its limit.";
    /// No place is free, and the queue is full.
    QueueFull: 503, Overload by Tidegate, Queue, "connection_limit_reached", Some("queue_full"),
        "The service is at its limit.";
    /// No place came free in time.
    QueueTimeout: 503, Overload by Tidegate, Queue, "connection_limit_reached", Some("queue_timeout"),
        "The service is at its limit.";
    /// The wait would outlast the request's deadline.
    DeadlineUnmeetable: 503, Overload by Tidegate, Queue, "connection_limit_reached", Some("deadline_unmeetable"),
        "The service cannot answer in the time that is left.";
    /// This process is short of a resource itself.
    ProcessPressure: 503, Overload by Tidegate, Accept, "connection_limit_reached", Some("process_pressure"),
        "The gateway is short of resources.";
    /// The deadline was over before the request could be sent.
    DeadlinePast: 504, Overload by Tidegate, Queue, "http_response_timeout", Some("deadline"),
        "The deadline of the request has passed.";
    /// Every endpoint is unhealthy or ejected.
    NoEndpoint: 503, Application by Upstream, Pick, "destination_unavailable", Some("no_endpoint"),
        "No server of this service can answer now.";
    /// The name of the upstream never resolved: there is none such (NXDOMAIN).
    NameNotFound: 503, Dns by Network, Resolve, "dns_error", Some("nxdomain"),
        "The service's name does not exist.";
    /// The name of the upstream never resolved: its servers fail (SERVFAIL), or none takes questions.
    NameServerFailed: 503, Dns by Network, Resolve, "dns_error", Some("servfail"),
        "The servers of the service's name fail.";
    /// The name of the upstream is there, and never had an address.
    NameEmpty: 503, Dns by Network, Resolve, "dns_error", Some("no_address"),
        "The service's name has no address.";
    /// The name of the upstream never resolved, for another reason: not asked yet, not allowed to ask, a broken answer.
    NameUnresolved: 503, Dns by Network, Resolve, "dns_error", Some("never_resolved"),
        "The service's name could not be resolved.";
    /// The name of the upstream never resolved: its servers did not answer.
    NameUnresolvedTimeout: 503, Dns by Network, Resolve, "dns_timeout", Some("never_resolved"),
        "The service's name could not be resolved.";
    /// The name resolved once, and does not exist any more.
    NameGone: 502, Dns by Network, Resolve, "dns_error", Some("gone"),
        "The service's name does not exist any more.";
    /// The name resolved once, and has no address any more.
    NameEmptied: 502, Dns by Network, Resolve, "dns_error", Some("emptied"),
        "The service's name has no address any more.";
    /// The name resolved once; its last answer is older than `max_stale`.
    NameStale: 502, Dns by Network, Resolve, "dns_error", Some("stale"),
        "The service's name no longer resolves.";
    /// The last answer is older than `max_stale`, and the name servers do not answer.
    NameStaleTimeout: 504, Dns by Network, Resolve, "dns_timeout", Some("stale"),
        "The service's name no longer resolves.";
    /// Every address of the name is loopback, link-local or metadata, and `[dns] allow_addresses` does not let it through.
    AddressProhibited: 502, Dns by Tidegate, Resolve, "destination_ip_prohibited", Some("address_prohibited"),
        "The service's name points where it may not.";
    /// The endpoint refused the connection.
    ConnectRefused: 502, Network by Upstream, Connect, "connection_refused", None,
        "The service refused the connection.";
    /// The endpoint's net is there, and nothing answers for its host.
    HostUnreachable: 502, Network by Network, Connect, "destination_ip_unroutable", Some("host"),
        "The service's host cannot be reached.";
    /// No way leads to the endpoint's net, or a rule of this host forbids it.
    NetUnreachable: 502, Network by Network, Connect, "destination_ip_unroutable", Some("net"),
        "The service's network cannot be reached.";
    /// The connection was not taken within `connect_timeout`: packets are likely swallowed.
    ConnectTimeout: 504, Network by Network, Connect, "connection_timeout", Some("filtered"),
        "The service did not take the connection in time.";
    /// The connection failed otherwise while being made.
    ConnectFailed: 502, Network by Network, Connect, "connection_terminated", Some("connect"),
        "The connection to the service failed.";
    /// No local port is free towards the endpoint. Not the endpoint's fault.
    PortsExhausted: 503, Overload by Tidegate, Connect, "connection_limit_reached", Some("ports"),
        "The gateway is short of ports.";
    /// No file descriptor is free. Not the endpoint's fault.
    DescriptorsExhausted: 503, Overload by Tidegate, Connect, "connection_limit_reached", Some("fds"),
        "The gateway is short of file descriptors.";
    /// The TLS handshake with the endpoint did not end in time.
    TlsTimeout: 502, Communication by Upstream, UpstreamTls, "tls_protocol_error", Some("handshake_timeout"),
        "The secure connection to the service failed.";
    /// The endpoint does not speak TLS, or breaks its rules.
    TlsProtocol: 502, Communication by Upstream, UpstreamTls, "tls_protocol_error", None,
        "The secure connection to the service failed.";
    /// The endpoint speaks TLS, and no version, cipher or protocol that is spoken here.
    TlsMismatch: 502, Communication by Upstream, UpstreamTls, "tls_protocol_error", Some("mismatch"),
        "The service and the gateway do not agree on TLS.";
    /// The endpoint's certificate is for another name.
    TlsName: 502, Communication by Upstream, UpstreamTls, "tls_certificate_error", Some("name"),
        "The service's certificate is for another name.";
    /// The endpoint's certificate has expired.
    TlsExpired: 502, Communication by Upstream, UpstreamTls, "tls_certificate_error", Some("expired"),
        "The service's certificate has expired.";
    /// The endpoint's certificate is not valid yet.
    TlsNotYetValid: 502, Communication by Upstream, UpstreamTls, "tls_certificate_error", Some("not_yet_valid"),
        "The service's certificate is not valid yet.";
    /// The endpoint's certificate is of an issuer that is not trusted here.
    TlsUnknownIssuer: 502, Communication by Upstream, UpstreamTls, "tls_certificate_error", Some("unknown_issuer"),
        "The issuer of the service's certificate is not trusted.";
    /// The endpoint's certificate is wrong otherwise: for another purpose, badly signed, or missing.
    TlsCertificate: 502, Communication by Upstream, UpstreamTls, "tls_certificate_error", None,
        "The service's certificate is not valid.";
    /// The endpoint sent a TLS alert: it speaks no version, cipher or protocol that was offered.
    TlsAlertMismatch: 502, Communication by Upstream, UpstreamTls, "tls_alert_received", Some("mismatch"),
        "The service takes none of the versions of TLS that were offered.";
    /// The endpoint sent another TLS alert.
    TlsAlert: 502, Communication by Upstream, UpstreamTls, "tls_alert_received", None,
        "The service ended the secure connection.";
    /// The endpoint reset the connection before a byte of the answer.
    ConnectionReset: 502, Communication by Upstream, FirstByte, "connection_terminated", Some("reset"),
        "The service reset the connection.";
    /// The endpoint reset the connection within the answer's head.
    HeadReset: 502, Communication by Upstream, FirstByte, "connection_terminated", Some("reset_in_head"),
        "The service reset the connection while its answer began.";
    /// The endpoint closed the connection before a byte of the answer.
    ConnectionClosed: 502, Communication by Upstream, FirstByte, "connection_terminated", Some("closed"),
        "The service closed the connection.";
    /// The endpoint closed a connection that had rested, just as a request was sent on it.
    KeepAliveRace: 502, Communication by Upstream, FirstByte, "connection_terminated", Some("closed_idle"),
        "The service closed an idle connection just as it was used.";
    /// The endpoint refused the HTTP/2 stream.
    StreamRefused: 502, Communication by Upstream, FirstByte, "connection_terminated", Some("stream_refused"),
        "The service refused the request's stream.";
    /// The endpoint reset the HTTP/2 stream before the answer's head.
    StreamReset: 502, Communication by Upstream, FirstByte, "connection_terminated", Some("stream_reset"),
        "The service gave the request's stream up.";
    /// The endpoint said GOAWAY before it took the HTTP/2 stream.
    GoneAway: 502, Communication by Upstream, FirstByte, "connection_terminated", Some("goaway"),
        "The service is closing the connection, and did not take the request.";
    /// The answer is not HTTP, or breaks its rules.
    ResponseInvalid: 502, Communication by Upstream, FirstByte, "http_protocol_error", None,
        "The service's answer could not be read.";
    /// One of the two broke the rules of HTTP/2 in the eyes of the other, or the endpoint does not speak it.
    Http2Broken: 502, Communication by Upstream, FirstByte, "http_protocol_error", Some("http2"),
        "The service and the gateway do not understand each other's HTTP/2.";
    /// The answer's head is over the limit.
    ResponseHeadTooLarge: 502, Communication by Upstream, FirstByte, "http_response_header_section_size", None,
        "The header section of the service's answer is too large.";
    /// The connection was closed within the answer's head.
    HeadIncomplete: 502, Communication by Upstream, FirstByte, "http_response_incomplete", Some("head"),
        "The head of the service's answer is incomplete.";
    /// The connection was closed before the answer's body was complete.
    ResponseIncomplete: 502, Communication by Upstream, Body, "http_response_incomplete", None,
        "The service's answer is incomplete.";
    /// The endpoint reset the connection or the stream within the answer's body.
    BodyReset: 502, Communication by Upstream, Body, "http_response_incomplete", Some("reset_in_body"),
        "The service reset the connection before its answer was complete.";
    /// The framing of the answer's body is broken.
    BodyMalformed: 502, Communication by Upstream, Body, "http_protocol_error", Some("body"),
        "The body of the service's answer could not be read.";
    /// A 101 that was not asked for, or that names another protocol.
    UpgradeFailed: 502, Communication by Upstream, Upgrade, "http_upgrade_failed", None,
        "The service switched protocols unasked, or to another one.";
    /// Tidegate's own name stands in `Via`.
    LoopDetected: 502, Communication by Tidegate, Head, "proxy_loop_detected", None,
        "The request came around in a loop.";
    /// No head of an answer within `first_byte_timeout`.
    FirstByteTimeout: 504, Application by Upstream, FirstByte, "http_response_timeout", Some("first_byte_timeout"),
        "The service did not answer in time.";
    /// The route's `timeout` passed.
    RequestTimeout: 504, Application by Upstream, FirstByte, "http_response_timeout", Some("timeout"),
        "The service did not answer in time.";
    /// No progress of the response body from the endpoint for `body_timeout`.
    ResponseStalled: 504, Application by Upstream, Body, "connection_read_timeout", Some("stalled"),
        "The service's answer stopped.";
    /// A panic while the request was handled, caught.
    Panicked: 500, Internal by Tidegate, Head, "proxy_internal_error", Some("panic"),
        "An error inside the gateway.";
    /// What cannot happen did: a bug of Tidegate's.
    Internal: 500, Internal by Tidegate, Send, "proxy_internal_error", Some("bug"),
        "An error inside the gateway.";
}

impl Kind {
    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Why admission shed the request, where it did.
    #[must_use]
    pub fn shed_reason(self) -> Option<ShedReason> {
        ShedReason::ALL
            .into_iter()
            .find(|reason| Self::from(*reason) == self)
    }
}

/// A status of the table above.
const fn status(code: u16) -> StatusCode {
    match StatusCode::from_u16(code) {
        Ok(status) => status,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<ShedReason> for Kind {
    fn from(reason: ShedReason) -> Self {
        match reason {
            ShedReason::RateExceeded => Self::RateExceeded,
            ShedReason::ConcurrencyExceeded => Self::ConcurrencyExceeded,
            ShedReason::QueueFull => Self::QueueFull,
            ShedReason::QueueTimeout => Self::QueueTimeout,
            ShedReason::DeadlineUnmeetable => Self::DeadlineUnmeetable,
            ShedReason::ProcessPressure => Self::ProcessPressure,
        }
    }
}
