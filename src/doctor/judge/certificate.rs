//! TLS: the handshake, and the certificates that were shown in it.

use std::fmt::Write as _;

use super::listed;
use crate::{
    doctor::report::{Code, Finding, Stage},
    upstream::{Flaw, NotSecured, Secured},
};

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::doctor) struct Shown {
    /// Whose it is.
    pub(in crate::doctor) subject: String,
    /// Who says so.
    pub(in crate::doctor) issuer: String,
    /// The names and addresses that it is for.
    pub(in crate::doctor) names: Vec<String>,
    /// Its end, in seconds since 1970.
    pub(in crate::doctor) not_after: i64,
}

const DAY: i64 = 24 * 60 * 60;
/// Certificates are renewed a month ahead, where that is automatic: three weeks ahead something is wrong with it.
const SOON: i64 = 21 * DAY;

/// What a handshake came to, where `name` was to be proven and `chain` was shown, at `now` (seconds since 1970).
pub(in crate::doctor) fn certificate(
    secured: Result<&Secured, &NotSecured>,
    chain: &[Shown],
    name: &str,
    now: i64,
) -> Vec<Finding> {
    let mut found = Vec::new();
    match secured {
        Ok(secured) => {
            let above = secured.alpn.as_ref();
            let above = above.map_or_else(|| "no ALPN".to_owned(), |alpn| format!("ALPN {alpn}"));
            let says = format!("{}, {}, {above}", secured.protocol, secured.cipher);
            found.push(Finding::well(Stage::Tls, says).took(secured.took));
            found.extend(shown(chain, now));
        }
        Err(refused) => {
            found.push(handshake(refused, chain, name));
            if let Some(own) = chain.first() {
                found.push(Finding::skipped(Stage::Certificate, words(own, now)));
            }
        }
    }
    found
}

fn handshake(refused: &NotSecured, chain: &[Shown], name: &str) -> Finding {
    let own = chain.first();
    let issuer = own.map_or("an unknown issuer", |own| &own.issuer);
    let names = own.map_or_else(String::new, |own| listed(&own.names));
    let detail = &refused.detail;
    let bad =
        |code, says: String, advice: &str| Finding::bad(Stage::Tls, code, says).advise(advice);
    match refused.flaw {
        Flaw::Name => bad(
            Code::NameMismatch,
            format!("the certificate is for {names}, not for {name}"),
            "set `tls = { server_name = \"...\" }` to a name that it is for, or have it issued for this one",
        ),
        Flaw::Expired => bad(
            Code::Expired,
            detail.clone(),
            "renew it, and look why that did not happen by itself",
        ),
        Flaw::NotYet => bad(
            Code::NotYetValid,
            detail.clone(),
            "compare the clocks of both machines",
        ),
        Flaw::Issuer => bad(
            Code::UnknownIssuer,
            format!(
                "the certificate is of {issuer}, whom nothing that is trusted here vouches for"
            ),
            "name the authority with `tls = { ca = \"FILE\" }`; or the service leaves out the certificates between its own and the authority's",
        ),
        Flaw::Certificate => bad(
            Code::CertificateInvalid,
            format!("the certificate does not do: {detail}"),
            "have it issued anew, for servers, by an authority",
        ),
        Flaw::Alert => bad(
            Code::TlsAlert,
            format!("the service refuses: {detail}"),
            "it may want a certificate of ours (`tls = { client = ... }`), another name, or another version",
        ),
        Flaw::Closed => bad(
            Code::TlsClosed,
            "the service closes the connection within the handshake".to_owned(),
            "it may not speak TLS on this port, or refuse this name",
        ),
        Flaw::Timeout => bad(
            Code::TlsTimeout,
            "the service takes the connection and says nothing".to_owned(),
            "it may not speak TLS on this port, or be too busy to",
        ),
        Flaw::Protocol => bad(
            Code::TlsProtocol,
            format!("what is said is no TLS that both speak: {detail}"),
            "a service of plain HTTP needs no `tls` here; an old one may speak TLS 1.1 at most",
        ),
    }
}

/// The certificates of a handshake that succeeded: the first to end counts.
fn shown(chain: &[Shown], now: i64) -> Option<Finding> {
    let own = chain.first()?;
    let ending = chain.iter().min_by_key(|one| one.not_after)?;
    let mut says = words(own, now);
    if ending.not_after < own.not_after {
        let days = (ending.not_after - now) / DAY;
        let _ = write!(says, "; {} above it ends in {days} days", ending.subject);
    }
    Some(if ending.not_after - now < SOON {
        Finding::warn(Stage::Certificate, Code::ExpiresSoon, says)
            .advise("renew it now: automatic renewal would have come by this time")
    } else {
        Finding::well(Stage::Certificate, says)
    })
}

fn words(own: &Shown, now: i64) -> String {
    let days = (own.not_after - now).div_euclid(DAY);
    let end = if own.not_after < now {
        format!("ended {} days ago", -days)
    } else {
        format!("ends in {days} days")
    };
    format!("for {}, by {}, {end}", listed(&own.names), own.issuer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::report::Mark;

    const NOW: i64 = 1_800_000_000;

    fn shown_until(days: i64) -> Shown {
        Shown {
            subject: "CN=shop".to_owned(),
            issuer: "CN=house".to_owned(),
            names: vec!["shop.test".to_owned()],
            not_after: NOW + days * DAY,
        }
    }

    fn secured(chain: &[Shown]) -> Vec<Finding> {
        let secured = Secured {
            protocol: "TLSv1_3".to_owned(),
            cipher: "TLS13_AES_256_GCM_SHA384".to_owned(),
            alpn: Some("h2".to_owned()),
            chain: Vec::new(),
            took: Duration::from_millis(4),
        };
        certificate(Ok(&secured), chain, "shop.test", NOW)
    }

    #[test]
    fn a_handshake_is_told_with_names_issuer_and_days() {
        let found = secured(&[shown_until(90)]);
        assert_eq!(found[0].says, "TLSv1_3, TLS13_AES_256_GCM_SHA384, ALPN h2");
        assert_eq!(found[1].says, "for shop.test, by CN=house, ends in 90 days");
        assert!(found.iter().all(|it| it.mark == Mark::Ok));
    }

    #[test]
    fn who_ends_within_three_weeks_is_warned_of_and_so_is_who_vouches_for_it() {
        assert_eq!(secured(&[shown_until(20)])[1].code, Code::ExpiresSoon);
        let found = secured(&[shown_until(90), shown_until(5)]);
        assert_eq!(found[1].mark, Mark::Warn);
        assert!(
            found[1].says.ends_with("CN=shop above it ends in 5 days"),
            "{}",
            found[1].says
        );
    }

    #[test]
    fn every_flaw_has_its_own_word_and_something_to_do() {
        let flaws = [
            (
                Flaw::Name,
                Code::NameMismatch,
                "is for shop.test, not for app.test",
            ),
            (Flaw::Expired, Code::Expired, "the detail"),
            (Flaw::NotYet, Code::NotYetValid, "the detail"),
            (Flaw::Issuer, Code::UnknownIssuer, "of CN=house"),
            (Flaw::Certificate, Code::CertificateInvalid, "the detail"),
            (Flaw::Alert, Code::TlsAlert, "the detail"),
            (Flaw::Closed, Code::TlsClosed, "closes"),
            (Flaw::Timeout, Code::TlsTimeout, "says nothing"),
            (Flaw::Protocol, Code::TlsProtocol, "the detail"),
        ];
        for (flaw, code, says) in flaws {
            let refused = NotSecured {
                flaw,
                detail: "the detail".to_owned(),
                chain: Vec::new(),
            };
            let found = certificate(Err(&refused), &[shown_until(-3)], "app.test", NOW);
            assert_eq!(
                (found[0].mark, found[0].code),
                (Mark::Bad, code),
                "{flaw:?}"
            );
            assert!(found[0].says.contains(says), "{}", found[0].says);
            assert!(found[0].advice.is_some());
            assert!(
                found[1].says.ends_with("ended 3 days ago"),
                "{}",
                found[1].says
            );
        }
    }
}
