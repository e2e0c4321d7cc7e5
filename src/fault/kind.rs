//! Every kind of fault, and its facts.

use http::StatusCode;

use super::{Cause, Facts, ShedReason, Stage};

/// Makes the enum, its list and its facts out of one table, so that none can lack a row.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident: $status:literal, $cause:ident, $stage:ident, $name:literal, $reason:expr, $title:literal;)+) => {
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

// Kind: status, cause, usual stage, name (an error type of RFC 9209), reason, sentence.
// 499 is what nginx logs where the client left before the answer; it is never sent.
kinds! {
    /// The HTTP library refused the request's head or framing.
    FramingInvalid: 400, Client, Head, "http_request_error", Some("framing"),
        "The request could not be read.";
    /// Host is missing, repeated, malformed, or differs from `:authority`.
    HostInvalid: 400, Client, Head, "http_request_error", Some("host"),
        "The Host of the request is missing or invalid.";
    /// The request target has no path, or a form that only a forward proxy takes.
    TargetInvalid: 400, Client, Head, "http_request_error", Some("target"),
        "The request target is not one a gateway can serve.";
    /// A bad escape, `%00`, or `..` above the root.
    PathInvalid: 400, Client, Head, "http_request_error", Some("path"),
        "The path of the request is invalid.";
    /// A field that no gateway may pass on, such as an alias of a forwarding field.
    HeaderInvalid: 400, Client, Head, "http_request_error", Some("header"),
        "A header field of the request is invalid.";
    /// Neither HTTP/1 nor HTTP/2.
    VersionUnsupported: 505, Client, Head, "http_request_error", Some("version"),
        "This version of HTTP is not supported.";
    /// A transfer coding besides `chunked`.
    CodingUnsupported: 501, Client, Head, "http_request_error", Some("transfer_coding"),
        "The transfer coding of the request is not supported.";
    /// CONNECT or TRACE.
    MethodRefused: 405, Client, Head, "http_request_error", Some("method"),
        "This method is not allowed.";
    /// An `Expect` besides `100-continue`.
    ExpectationRefused: 417, Client, Head, "http_request_error", Some("expectation"),
        "The expectation of the request cannot be met.";
    /// The request target is over the head's limit.
    UriTooLong: 414, Client, Head, "http_request_error", Some("uri_too_long"),
        "The request target is too long.";
    /// The head is over `max_header`.
    HeadTooLarge: 431, Client, Head, "http_request_error", Some("head_too_large"),
        "The header section of the request is too large.";
    /// The head took longer than `header_timeout`.
    HeadTimeout: 408, Client, Head, "http_request_error", Some("header_timeout"),
        "The request's head did not arrive in time.";
    /// The body is over the route's `max_body`.
    BodyTooLarge: 413, Client, Body, "http_request_error", Some("body_too_large"),
        "The request body is too large.";
    /// No progress of the request body for `body_timeout`.
    BodyTimeout: 408, Client, Body, "http_request_error", Some("body_timeout"),
        "The request body did not arrive in time.";
    /// The body's framing is broken.
    BodyInvalid: 400, Client, Body, "http_request_error", Some("body"),
        "The request body could not be read.";
    /// No progress of the response body towards the client for `body_timeout`.
    ReadTimeout: 408, Client, Body, "connection_write_timeout", Some("slow_reader"),
        "The client stopped reading the answer.";
    /// The client closed or reset before the last byte. 499 as nginx logs it; it is never sent.
    ClientAborted: 499, Client, Body, "connection_terminated", Some("client_abort"),
        "The client left before the answer was complete.";
    /// No route of the config matches.
    NoRoute: 404, Config, Route, "http_request_error", Some("no_route"),
        "No route takes this request.";
    /// A token bucket is empty.
    RateExceeded: 429, Overload, Rate, "http_request_denied", Some("rate_exceeded"),
        "Too many requests.";
    /// No place is free, and there is no queue.
    ConcurrencyExceeded: 503, Overload, Concurrency, "connection_limit_reached", Some("concurrency_exceeded"),
        "The service is at its limit.";
    /// No place is free, and the queue is full.
    QueueFull: 503, Overload, Queue, "connection_limit_reached", Some("queue_full"),
        "The service is at its limit.";
    /// No place came free in time.
    QueueTimeout: 503, Overload, Queue, "connection_limit_reached", Some("queue_timeout"),
        "The service is at its limit.";
    /// The wait would outlast the request's deadline.
    DeadlineUnmeetable: 503, Overload, Queue, "connection_limit_reached", Some("deadline_unmeetable"),
        "The service cannot answer in the time that is left.";
    /// This process is short of a resource itself.
    ProcessPressure: 503, Overload, Accept, "connection_limit_reached", Some("process_pressure"),
        "The gateway is short of resources.";
    /// The deadline was over before the request could be sent.
    DeadlinePast: 504, Overload, Queue, "http_response_timeout", Some("deadline"),
        "The deadline of the request has passed.";
    /// Every endpoint is unhealthy or ejected.
    NoEndpoint: 503, Application, Pick, "destination_unavailable", Some("no_endpoint"),
        "No server of this service can answer now.";
    /// The name of the upstream never resolved.
    NameUnresolved: 503, Dns, Resolve, "dns_error", Some("never_resolved"),
        "The service's name could not be resolved.";
    /// The name of the upstream never resolved: its servers did not answer.
    NameUnresolvedTimeout: 503, Dns, Resolve, "dns_timeout", Some("never_resolved"),
        "The service's name could not be resolved.";
    /// The name resolved once; its last answer is older than `max_stale`.
    NameStale: 502, Dns, Resolve, "dns_error", Some("stale"),
        "The service's name no longer resolves.";
    /// The last answer is older than `max_stale`, and the name servers do not answer.
    NameStaleTimeout: 504, Dns, Resolve, "dns_timeout", Some("stale"),
        "The service's name no longer resolves.";
    /// Every address of the name is loopback, link-local or metadata, and `[dns] allow_addresses` does not let it through.
    AddressProhibited: 502, Dns, Resolve, "destination_ip_prohibited", Some("address_prohibited"),
        "The service's name points where it may not.";
    /// The endpoint refused the connection.
    ConnectRefused: 502, Network, Connect, "connection_refused", None,
        "The service refused the connection.";
    /// No way to the endpoint's host or net.
    ConnectUnreachable: 502, Network, Connect, "destination_ip_unroutable", None,
        "The service cannot be reached.";
    /// The connection was not taken within `connect_timeout`: packets are likely swallowed.
    ConnectTimeout: 504, Network, Connect, "connection_timeout", Some("filtered"),
        "The service did not take the connection in time.";
    /// The connection failed otherwise while being made.
    ConnectFailed: 502, Network, Connect, "connection_terminated", Some("connect"),
        "The connection to the service failed.";
    /// No local port is free towards the endpoint. Not the endpoint's fault.
    PortsExhausted: 503, Overload, Connect, "connection_limit_reached", Some("ports"),
        "The gateway is short of ports.";
    /// No file descriptor is free. Not the endpoint's fault.
    DescriptorsExhausted: 503, Overload, Connect, "connection_limit_reached", Some("fds"),
        "The gateway is short of file descriptors.";
    /// The TLS handshake with the endpoint did not end in time.
    TlsTimeout: 502, Communication, UpstreamTls, "tls_protocol_error", Some("handshake_timeout"),
        "The secure connection to the service failed.";
    /// The endpoint does not speak TLS as we do, or not at all.
    TlsProtocol: 502, Communication, UpstreamTls, "tls_protocol_error", None,
        "The secure connection to the service failed.";
    /// The endpoint's certificate is expired, for another name, or of an unknown issuer.
    TlsCertificate: 502, Communication, UpstreamTls, "tls_certificate_error", None,
        "The service's certificate is not valid.";
    /// The endpoint sent a TLS alert.
    TlsAlert: 502, Communication, UpstreamTls, "tls_alert_received", None,
        "The service ended the secure connection.";
    /// The endpoint reset the connection before the answer's head was complete.
    ConnectionReset: 502, Communication, FirstByte, "connection_terminated", Some("reset"),
        "The service reset the connection.";
    /// The endpoint closed the connection before the answer's head was complete.
    ConnectionClosed: 502, Communication, FirstByte, "connection_terminated", Some("closed"),
        "The service closed the connection.";
    /// The endpoint refused the HTTP/2 stream, or went away before it took it.
    StreamRefused: 502, Communication, FirstByte, "connection_terminated", Some("stream_refused"),
        "The service refused the request's stream.";
    /// The answer is not HTTP, or breaks its rules.
    ResponseInvalid: 502, Communication, FirstByte, "http_protocol_error", None,
        "The service's answer could not be read.";
    /// The answer's head is over the limit.
    ResponseHeadTooLarge: 502, Communication, FirstByte, "http_response_header_section_size", None,
        "The header section of the service's answer is too large.";
    /// The connection ended before the answer did.
    ResponseIncomplete: 502, Communication, Body, "http_response_incomplete", None,
        "The service's answer is incomplete.";
    /// A 101 that was not asked for, or that names another protocol.
    UpgradeFailed: 502, Communication, Upgrade, "http_upgrade_failed", None,
        "The service switched protocols unasked, or to another one.";
    /// Tidegate's own name stands in `Via`.
    LoopDetected: 502, Communication, Head, "proxy_loop_detected", None,
        "The request came around in a loop.";
    /// No head of an answer within `first_byte_timeout`.
    FirstByteTimeout: 504, Application, FirstByte, "http_response_timeout", Some("first_byte_timeout"),
        "The service did not answer in time.";
    /// The route's `timeout` passed.
    RequestTimeout: 504, Application, FirstByte, "http_response_timeout", Some("timeout"),
        "The service did not answer in time.";
    /// No progress of the response body from the endpoint for `body_timeout`.
    ResponseStalled: 504, Application, Body, "connection_read_timeout", Some("stalled"),
        "The service's answer stopped.";
    /// A panic while the request was handled, caught.
    Panicked: 500, Internal, Head, "proxy_internal_error", Some("panic"),
        "An error inside the gateway.";
    /// What cannot happen did: a bug of Tidegate's.
    Internal: 500, Internal, Send, "proxy_internal_error", Some("bug"),
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
