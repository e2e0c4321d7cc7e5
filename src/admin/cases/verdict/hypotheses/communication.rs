//! A connection that was made, and did not do.

use super::super::{
    root::Root,
    scene::{Scene, Spread},
    suspect::Finding,
};
use crate::fault::Cause;

/// Of failures on connections that had rested, so many of a hundred are on such alone.
const RESTED_SHARE: usize = 90;

/// TLS, and who the service says that it is.
pub(super) fn certificate(scene: &Scene<'_>) -> Option<Finding> {
    let facts = scene.ending.facts()?;
    let root = match (facts.name, facts.reason) {
        ("tls_certificate_error", Some("expired")) => Root::CertificateExpired,
        ("tls_certificate_error", Some("name")) => Root::CertificateName,
        ("tls_certificate_error", Some("unknown_issuer")) => Root::CertificateIssuer,
        ("tls_certificate_error", _) => Root::Certificate,
        ("tls_protocol_error" | "tls_alert_received", _) => Root::Tls,
        _ => return None,
    };
    let ill = scene.case.fault.as_ref();
    let detail = ill.and_then(|ill| ill.detail.as_deref());
    let finding = Finding::new(root, 88);
    Some(match detail {
        Some(detail) => finding.because(format!("What TLS said: {detail}.")),
        None => finding,
    })
}

/// The endpoint closed connections that rested, and requests crossed its close.
pub(super) fn kept_too_long(scene: &Scene<'_>) -> Option<Finding> {
    let facts = scene.ending.facts()?;
    if facts.name != "connection_terminated" || facts.cause != Cause::Communication {
        return None;
    }
    let all = scene.tries().count();
    let reused = scene.tries().filter(|tried| tried.reused).count();
    if all == 0 || reused * 100 < all * RESTED_SHARE {
        return None;
    }
    let well = scene
        .good
        .iter()
        .any(|one| one.timings_ms.connect.is_some());
    let seen = well || facts.reason == Some("closed_idle");
    let weight = if seen { 88 } else { 70 };
    Some(Finding::new(Root::KeepAliveRace, weight).because(format!(
        "{reused} of {all} that failed so were sent over a connection that had served before, and got not a byte back: \
         the other side had closed it."
    )))
}

/// Connections end, answers cannot be read or are cut.
pub(super) fn broken(scene: &Scene<'_>) -> Option<Finding> {
    let facts = scene.ending.facts()?;
    if facts.cause != Cause::Communication {
        return None;
    }
    let root = match facts.name {
        "connection_terminated" => Root::Breaks,
        "http_protocol_error" | "http_response_header_section_size" | "http_upgrade_failed" => {
            Root::NotHttp
        }
        "http_response_incomplete" => Root::CutShort,
        "proxy_loop_detected" => Root::Loop,
        _ => return None,
    };
    let fresh = scene.tries().filter(|tried| !tried.reused).count();
    let finding = Finding::new(root, 0);
    let finding = if root == Root::Breaks && fresh > 0 {
        finding.because(format!(
            "{fresh} that failed so were sent over a connection that was new."
        ))
    } else {
        finding
    };
    Some(match scene.spread() {
        Spread::One(at) => finding.weighing(85).about(&at),
        Spread::All | Spread::Several => finding.weighing(80),
        Spread::Unknown => finding.weighing(65),
    })
}
