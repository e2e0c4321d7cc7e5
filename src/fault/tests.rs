//! The table of kinds against what is promised to the outside.

use std::{collections::HashSet, num::NonZeroU32, sync::Arc, time::Duration};

use super::{BucketFacts, Cause, Fault, Kind, Party, Refusal, ShedReason, Stage};

/// The error types of RFC 9209, section 2.3.
const REGISTERED: [&str; 32] = [
    "dns_timeout",
    "dns_error",
    "destination_not_found",
    "destination_unavailable",
    "destination_ip_prohibited",
    "destination_ip_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_read_timeout",
    "connection_write_timeout",
    "connection_limit_reached",
    "tls_protocol_error",
    "tls_certificate_error",
    "tls_alert_received",
    "http_request_error",
    "http_request_denied",
    "http_response_incomplete",
    "http_response_header_section_size",
    "http_response_header_size",
    "http_response_body_size",
    "http_response_trailer_section_size",
    "http_response_trailer_size",
    "http_response_transfer_coding",
    "http_response_content_coding",
    "http_response_timeout",
    "http_upgrade_failed",
    "http_protocol_error",
    "proxy_internal_response",
    "proxy_internal_error",
    "proxy_configuration_error",
    "proxy_loop_detected",
];

/// Status, error type and cause, as promised to whoever drives the gateway from outside.
const PROMISED: [(Kind, u16, &str, Cause); 34] = [
    (
        Kind::RateExceeded,
        429,
        "http_request_denied",
        Cause::Overload,
    ),
    (
        Kind::ConcurrencyExceeded,
        503,
        "connection_limit_reached",
        Cause::Overload,
    ),
    (
        Kind::QueueFull,
        503,
        "connection_limit_reached",
        Cause::Overload,
    ),
    (
        Kind::QueueTimeout,
        503,
        "connection_limit_reached",
        Cause::Overload,
    ),
    (
        Kind::DeadlineUnmeetable,
        503,
        "connection_limit_reached",
        Cause::Overload,
    ),
    (
        Kind::ProcessPressure,
        503,
        "connection_limit_reached",
        Cause::Overload,
    ),
    (
        Kind::DeadlinePast,
        504,
        "http_response_timeout",
        Cause::Overload,
    ),
    (
        Kind::NoEndpoint,
        503,
        "destination_unavailable",
        Cause::Application,
    ),
    (Kind::NameUnresolved, 503, "dns_error", Cause::Dns),
    (Kind::NameUnresolvedTimeout, 503, "dns_timeout", Cause::Dns),
    (Kind::NameStale, 502, "dns_error", Cause::Dns),
    (Kind::NameStaleTimeout, 504, "dns_timeout", Cause::Dns),
    (
        Kind::ConnectRefused,
        502,
        "connection_refused",
        Cause::Network,
    ),
    (
        Kind::HostUnreachable,
        502,
        "destination_ip_unroutable",
        Cause::Network,
    ),
    (
        Kind::ConnectTimeout,
        504,
        "connection_timeout",
        Cause::Network,
    ),
    (
        Kind::ConnectionReset,
        502,
        "connection_terminated",
        Cause::Communication,
    ),
    (
        Kind::ConnectionClosed,
        502,
        "connection_terminated",
        Cause::Communication,
    ),
    (
        Kind::ResponseInvalid,
        502,
        "http_protocol_error",
        Cause::Communication,
    ),
    (
        Kind::ResponseIncomplete,
        502,
        "http_response_incomplete",
        Cause::Communication,
    ),
    (
        Kind::TlsProtocol,
        502,
        "tls_protocol_error",
        Cause::Communication,
    ),
    (
        Kind::TlsCertificate,
        502,
        "tls_certificate_error",
        Cause::Communication,
    ),
    (
        Kind::TlsAlert,
        502,
        "tls_alert_received",
        Cause::Communication,
    ),
    (
        Kind::FirstByteTimeout,
        504,
        "http_response_timeout",
        Cause::Application,
    ),
    (
        Kind::RequestTimeout,
        504,
        "http_response_timeout",
        Cause::Application,
    ),
    (Kind::NoRoute, 404, "http_request_error", Cause::Config),
    (
        Kind::LoopDetected,
        502,
        "proxy_loop_detected",
        Cause::Communication,
    ),
    (
        Kind::MethodRefused,
        405,
        "http_request_error",
        Cause::Client,
    ),
    (Kind::PathInvalid, 400, "http_request_error", Cause::Client),
    (Kind::UriTooLong, 414, "http_request_error", Cause::Client),
    (Kind::HeadTooLarge, 431, "http_request_error", Cause::Client),
    (Kind::BodyTooLarge, 413, "http_request_error", Cause::Client),
    (
        Kind::ClientAborted,
        499,
        "connection_terminated",
        Cause::Client,
    ),
    (Kind::Panicked, 500, "proxy_internal_error", Cause::Internal),
    (Kind::Internal, 500, "proxy_internal_error", Cause::Internal),
];

#[test]
fn every_kind_has_a_name_and_reason_of_its_own() {
    let distinct: HashSet<_> = Kind::ALL
        .iter()
        .map(|kind| (kind.facts().name, kind.facts().reason))
        .collect();
    assert_eq!(distinct.len(), Kind::ALL.len());
}

#[test]
fn whoever_began_it_fits_the_cause() {
    for kind in Kind::ALL {
        let facts = kind.facts();
        let fits = match facts.cause {
            Cause::Client => facts.begun_by == Party::Client,
            Cause::Overload | Cause::Config | Cause::Internal => facts.begun_by == Party::Tidegate,
            Cause::Dns | Cause::Network => facts.begun_by != Party::Client,
            Cause::Communication | Cause::Application => {
                matches!(facts.begun_by, Party::Upstream | Party::Tidegate)
            }
        };
        assert!(fits, "{kind:?}: {}", facts.begun_by);
    }
}

#[test]
fn every_error_type_is_registered() {
    for kind in Kind::ALL {
        let facts = kind.facts();
        assert!(REGISTERED.contains(&facts.proxy_error), "{kind:?}");
    }
}

#[test]
fn every_kind_knows_its_place_in_the_list() {
    for (index, kind) in Kind::ALL.iter().enumerate() {
        assert_eq!(kind.index(), index, "{kind:?}");
    }
}

#[test]
fn reasons_and_names_are_tokens_and_titles_are_sentences() {
    let token = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    for kind in Kind::ALL {
        let facts = kind.facts();
        assert!(token(facts.name), "{kind:?}");
        assert!(facts.reason.is_none_or(token), "{kind:?}");
        assert!(facts.title.ends_with('.'), "{kind:?}");
        assert!(facts.title.is_ascii(), "{kind:?}");
        assert!(
            !facts.title.contains(['"', '\\', '<', '&', '%']),
            "{kind:?}"
        );
    }
}

#[test]
fn the_table_of_answers_is_as_promised() {
    for (kind, status, error, cause) in PROMISED {
        let facts = kind.facts();
        assert_eq!(facts.status.as_u16(), status, "{kind:?}");
        assert_eq!(facts.proxy_error, error, "{kind:?}");
        assert_eq!(facts.cause, cause, "{kind:?}");
    }
}

#[test]
fn every_kind_is_an_error_whose_status_fits_its_cause() {
    for kind in Kind::ALL {
        let facts = kind.facts();
        let theirs = kind.facts().status.is_client_error();
        let ours = kind.facts().status.is_server_error();
        assert!(theirs || ours, "{kind:?}");
        if matches!(
            facts.cause,
            Cause::Communication | Cause::Network | Cause::Dns
        ) {
            assert!(ours, "{kind:?}");
        }
    }
}

#[test]
fn each_reason_of_admission_has_one_kind_and_no_other_kind_has_one() {
    for reason in ShedReason::ALL {
        assert_eq!(Kind::from(reason).shed_reason(), Some(reason));
        assert_eq!(Kind::from(reason).facts().reason, Some(reason.as_str()));
        assert_eq!(ShedReason::ALL.get(reason.index()), Some(&reason));
    }
    let shed = Kind::ALL.iter().filter(|kind| kind.shed_reason().is_some());
    assert_eq!(shed.count(), ShedReason::ALL.len());
}

#[test]
fn every_refusal_of_admission_is_overload() {
    for reason in ShedReason::ALL {
        assert_eq!(Kind::from(reason).facts().cause, Cause::Overload);
    }
}

#[test]
fn a_shed_fault_carries_its_refusal_and_its_hint() {
    let refusal = Refusal {
        reason: ShedReason::RateExceeded,
        retry_after: Duration::from_millis(1500),
        bucket: Some(Arc::new(BucketFacts {
            name: "per-client".into(),
            quota: NonZeroU32::MIN,
            window_seconds: 1,
        })),
    };
    let fault = Fault::from(refusal.clone());
    assert_eq!(fault.kind, Kind::RateExceeded);
    assert_eq!(fault.stage, Stage::Rate);
    assert_eq!(fault.retry_after, Some(Duration::from_millis(1500)));
    assert_eq!(fault.refusal, Some(refusal));
}

#[test]
fn a_fault_can_be_seen_at_another_stage_without_changing_its_kind() {
    let fault = Fault::new(Kind::RequestTimeout).at(Stage::Body).detail("x");
    assert_eq!(fault.stage, Stage::Body);
    assert_eq!(fault.kind, Kind::RequestTimeout);
    assert_eq!(fault.detail.as_deref(), Some("x"));
}

#[test]
fn the_words_of_causes_are_the_ones_that_serialise() {
    for cause in Cause::ALL {
        let json = serde_json::to_string(&cause).unwrap();
        assert_eq!(json, format!("\"{cause}\""));
    }
}
