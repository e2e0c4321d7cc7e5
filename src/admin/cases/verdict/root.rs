//! What can be at the root of a failure: the finer word of a verdict.

use crate::fault::Cause;

/// Makes the enum, its list and its facts out of one table, so that none can lack a row.
macro_rules! roots {
    ($($(#[$doc:meta])+ $root:ident: $cause:ident, $word:literal;)+) => {
        /// What is at the root of a failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Root {
            $($(#[$doc])+ $root,)+
        }

        impl Root {
            /// Whose doing it is.
            pub(super) const fn cause(self) -> Cause {
                match self {
                    $(Self::$root => Cause::$cause,)+
                }
            }

            /// The finer word.
            pub(super) const fn word(self) -> &'static str {
                match self {
                    $(Self::$root => $word,)+
                }
            }
        }
    };
}

roots! {
    /// A config that had just come into force.
    ConfigChange: Config, "config change";
    /// No part of the config takes the request, and none did before.
    NoRoute: Config, "no route for this request";
    /// A name stands for other addresses, and those do not serve.
    DnsChange: Dns, "DNS change: new addresses do not serve";
    /// There is no such name.
    NameGone: Dns, "name does not exist";
    /// Name servers do not answer, or not with an address.
    NameServers: Dns, "name servers do not answer";
    /// The name stands for addresses that it may not have.
    NamePointsInside: Dns, "name points where it may not";
    /// The host answers, and nothing listens at the port.
    NotListening: Network, "refused: process not listening";
    /// Nothing comes back.
    Filtered: Network, "filtered: firewall";
    /// There is no way to the host.
    Unreachable: Network, "unreachable: routing or host down";
    /// The connection broke while it was made.
    ConnectBroken: Network, "connection fails while it is made";
    /// The certificate's time is over.
    CertificateExpired: Communication, "certificate expired";
    /// The certificate is for another name.
    CertificateName: Communication, "certificate for another name";
    /// Nobody who is trusted vouches for the certificate.
    CertificateIssuer: Communication, "certificate of an unknown issuer";
    /// The certificate is wrong in another way.
    Certificate: Communication, "certificate not valid";
    /// The two find no TLS in common, or the handshake does not end.
    Tls: Communication, "TLS: the two do not agree";
    /// The endpoint closes connections that rest, and a request crossed its close.
    KeepAliveRace: Communication, "keep-alive race";
    /// Connections end before an answer is there.
    Breaks: Communication, "connection broken: process ends or crashes";
    /// What comes back is not HTTP.
    NotHttp: Communication, "answer is not HTTP";
    /// Answers end before they are whole.
    CutShort: Communication, "answer cut short";
    /// The request came around.
    Loop: Communication, "loop through this gateway";
    /// One endpoint fails, the others do not.
    OneEndpoint: Application, "deployment or bug in application: one endpoint";
    /// All endpoints fail alike.
    AllEndpoints: Application, "bug in application: all endpoints";
    /// One path fails, the others do not.
    OnePath: Application, "bug in application: one path";
    /// The service was restarted, and fails since.
    Deployment: Application, "deployment: fails since its restart";
    /// The service answered with an error, and nothing says more.
    OwnError: Application, "error of the service's own";
    /// The service did not answer in time, and nothing says more.
    Slow: Application, "slow";
    /// One endpoint is slow, the others are not.
    SlowEndpoint: Application, "slow: one endpoint";
    /// All endpoints are slow.
    SlowService: Application, "slow: all endpoints";
    /// The endpoints fail their checks.
    ChecksFail: Application, "endpoints fail their checks";
    /// More is asked of the service than it can do.
    Capacity: Overload, "capacity of upstream reached";
    /// One client asks for more than its rate.
    OneClient: Overload, "one client over its rate";
    /// All clients together ask for more than a rate.
    OverRate: Overload, "traffic over a rate limit";
    /// This process is short of something.
    OwnPressure: Overload, "gateway short of resources";
    /// This process did not run for a while.
    OwnStandstill: Overload, "gateway stood still";
    /// The client left.
    ClientLeft: Client, "client left";
    /// The client is too slow.
    ClientSlow: Client, "client too slow";
    /// The client's request cannot be served.
    ClientWrong: Client, "client's request not valid";
    /// A bug of this gateway's.
    Bug: Internal, "bug in the gateway";
}

impl Root {
    /// Where to look and what to do now; empty where what the kind of fault says is all there is to say.
    pub(super) const fn next(self) -> &'static [&'static str] {
        match self {
            Self::ConfigChange => &[
                "`tidegate config diff`: what exactly changed?",
                "`tidegate config rollback NUMBER` (numbers are in `tidegate config history`) if it was not meant.",
            ],
            Self::DnsChange => &[
                "Who changed the name, and do the new hosts listen yet? `tidegate doctor` or `curl` to each of them.",
                "Put the old addresses back until they do.",
            ],
            Self::KeepAliveRace => &[
                "The service's keep-alive time: the upstream's `idle_timeout` must be below it.",
                "`retry = { on = [\"reset\"] }` hides it for idempotent requests; others need the right `idle_timeout`.",
            ],
            Self::Deployment => &[
                "What was deployed just then? Take it back.",
                "The service's log from its start on.",
            ],
            Self::OneEndpoint | Self::SlowEndpoint => &[
                "The log of this endpoint, and what it does otherwise than the others: version, host, disk, neighbours.",
                "Take it out of the config or stop it; the others serve.",
            ],
            Self::OnePath => &[
                "The service's log for this path: the others work.",
                "What was changed in the code behind it?",
            ],
            Self::AllEndpoints | Self::SlowService | Self::OwnError => &[
                "The service's log at the moment at which it began.",
                "What all endpoints share: a database, a cache, another service, a version.",
            ],
            Self::Capacity => &[
                "`tidegate recommend`: does the limit fit what the service can do?",
                "More endpoints, or less traffic: `/api/v1/routes` and the access log say whose it is.",
            ],
            Self::OneClient => &[
                "Who is it (`client` in the access log), and is its rate meant? Speak with it, or give it a limit of its own.",
            ],
            Self::OwnStandstill => &[
                "What else took the processor of this host at that second: steal, cgroup throttling, suspend?",
            ],
            _ => &[],
        }
    }
}
