//! What is done to a gateway, its services, its names or by its clients; and in which words that may be named.

use std::{net::Ipv4Addr, time::Duration};

use hickory_proto::op::ResponseCode;
use rand::rngs::StdRng;

use super::{
    authority::Authority,
    crowd::Way,
    incident::Injected,
    server::{Manner, Server},
    stage::{Needs, Stage},
};
use crate::support::dns::Reply;

/// A fault. Those of single servers take the one at an index; others are of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    RefuseOne,
    RefuseAll,
    DarkOne,
    DarkAll,
    ResetOne,
    CloseAll,
    CutAll,
    GarbageAll,
    HangOne,
    HangAll,
    SlowAll,
    ErrorOne,
    ErrorAll,
    ErrorOnPath,
    Restart,
    RouteMoved,
    EndpointsWrong,
    LimitLowered,
    TimeoutLowered,
    RateLowered,
    NameMoved,
    NameGone,
    NameServersFail,
    NeverResolved,
    CertificateExpired,
    CertificateForAnother,
    CertificateOfAnother,
    MoreThanFits,
    SlowerThanFits,
    GreedyClient,
    ClientsLeave,
    ClientsStall,
    ClientsMalformed,
    ClosesRested,
    ShortOfMemory,
}

// === impl Fault ===

impl Fault {
    pub const ALL: [Self; 35] = [
        Self::RefuseOne,
        Self::RefuseAll,
        Self::DarkOne,
        Self::DarkAll,
        Self::ResetOne,
        Self::CloseAll,
        Self::CutAll,
        Self::GarbageAll,
        Self::HangOne,
        Self::HangAll,
        Self::SlowAll,
        Self::ErrorOne,
        Self::ErrorAll,
        Self::ErrorOnPath,
        Self::Restart,
        Self::RouteMoved,
        Self::EndpointsWrong,
        Self::LimitLowered,
        Self::TimeoutLowered,
        Self::RateLowered,
        Self::NameMoved,
        Self::NameGone,
        Self::NameServersFail,
        Self::NeverResolved,
        Self::CertificateExpired,
        Self::CertificateForAnother,
        Self::CertificateOfAnother,
        Self::MoreThanFits,
        Self::SlowerThanFits,
        Self::GreedyClient,
        Self::ClientsLeave,
        Self::ClientsStall,
        Self::ClientsMalformed,
        Self::ClosesRested,
        Self::ShortOfMemory,
    ];

    /// Those that can be at one server while another fault is at another, or with the clients.
    pub const AT_ONE: [Self; 5] = [
        Self::RefuseOne,
        Self::DarkOne,
        Self::ResetOne,
        Self::HangOne,
        Self::ErrorOne,
    ];

    /// Those that can be beside one of these.
    pub const BESIDE: [Self; 4] = [
        Self::GreedyClient,
        Self::ClientsLeave,
        Self::ClientsStall,
        Self::ClientsMalformed,
    ];

    pub fn needs(self) -> Needs {
        let mut needs = Needs::default();
        match self {
            _ if Self::AT_ONE.contains(&self) => needs.servers = 2,
            Self::NameMoved => needs.name = true,
            Self::NameGone | Self::NameServersFail => {
                (needs.name, needs.forgets) = (true, true);
            }
            Self::NeverResolved => {
                needs.name = true;
                needs.nameless = Some(Reply::Code(ResponseCode::NXDomain));
            }
            Self::CertificateExpired | Self::CertificateForAnother | Self::CertificateOfAnother => {
                needs.tls = true;
            }
            Self::LimitLowered => {
                needs.limit = Some(32);
                needs.takes_ms = Some(60);
                needs.per_second = Some(40.0);
            }
            Self::TimeoutLowered => needs.takes_ms = Some(60),
            Self::MoreThanFits | Self::SlowerThanFits => {
                needs.limit = Some(3);
                needs.takes_ms = Some(60);
                needs.per_second = Some(15.0);
            }
            Self::GreedyClient | Self::RateLowered => needs.rate = Some(20),
            Self::ClosesRested => needs.post = true,
            _ => {}
        }
        needs
    }

    /// In which words it may be named.
    pub fn injected(self) -> Injected {
        let named: &[(&str, &str)] = match self {
            Self::RefuseOne | Self::RefuseAll => &[("network", "refused: process not listening")],
            Self::DarkOne | Self::DarkAll => &[("network", "filtered: firewall")],
            Self::ResetOne | Self::CloseAll => &[(
                "communication",
                "connection broken: process ends or crashes",
            )],
            Self::CutAll => &[("communication", "answer cut short")],
            Self::GarbageAll => &[("communication", "answer is not HTTP")],
            Self::HangOne => &[("application", "slow: one endpoint")],
            Self::HangAll | Self::SlowAll | Self::SlowerThanFits => {
                &[("application", "slow: all endpoints")]
            }
            Self::ErrorOne => &[(
                "application",
                "deployment or bug in application: one endpoint",
            )],
            Self::ErrorAll => &[("application", "bug in application: all endpoints")],
            Self::ErrorOnPath => &[("application", "bug in application: one path")],
            Self::Restart => &[("application", "deployment: fails since its restart")],
            Self::RouteMoved
            | Self::EndpointsWrong
            | Self::LimitLowered
            | Self::TimeoutLowered
            | Self::RateLowered => &[("config", "config change")],
            Self::NameMoved => &[("dns", "DNS change: new addresses do not serve")],
            Self::NameGone | Self::NeverResolved => &[("dns", "name does not exist")],
            Self::NameServersFail => &[("dns", "name servers do not answer")],
            Self::CertificateExpired => &[("communication", "certificate expired")],
            Self::CertificateForAnother => &[("communication", "certificate for another name")],
            Self::CertificateOfAnother => &[("communication", "certificate of an unknown issuer")],
            Self::MoreThanFits => &[("overload", "capacity of upstream reached")],
            Self::GreedyClient => &[("overload", "one client over its rate")],
            Self::ClientsLeave => &[("client", "client left")],
            Self::ClientsStall => &[("client", "client too slow")],
            Self::ClientsMalformed => &[("client", "client's request not valid")],
            Self::ClosesRested => &[("communication", "keep-alive race")],
            Self::ShortOfMemory => &[("overload", "gateway short of resources")],
        };
        let own = |(cause, finer): &(&str, &str)| ((*cause).to_owned(), (*finer).to_owned());
        Injected {
            fault: format!("{self:?}"),
            named: named.iter().map(own).collect(),
        }
    }

    /// Does it, to the server at `index` where it is one server's.
    pub async fn strikes(self, stage: &mut Stage, index: usize, rng: &mut StdRng) {
        match self {
            Self::RefuseOne => stage.servers[index].goes_down(),
            Self::DarkOne => stage.servers[index].goes_dark().await,
            Self::ResetOne => stage.servers[index].turns(Manner::Reset),
            Self::HangOne => stage.servers[index].turns(Manner::Hang),
            Self::ErrorOne => stage.servers[index].turns(Manner::Error),
            Self::RefuseAll => stage.servers.iter_mut().for_each(Server::goes_down),
            Self::DarkAll => {
                for server in &mut stage.servers {
                    server.goes_dark().await;
                }
            }
            Self::CloseAll => all(stage, Manner::Close),
            Self::CutAll => all(stage, Manner::Cut),
            Self::GarbageAll => all(stage, Manner::Garbage),
            Self::HangAll => all(stage, Manner::Hang),
            Self::SlowAll => all(stage, Manner::Well(Duration::from_millis(600))),
            Self::SlowerThanFits => all(stage, Manner::Well(Duration::from_millis(350))),
            Self::ErrorAll => all(stage, Manner::Error),
            Self::ErrorOnPath => all(stage, Manner::ErrorOn("/d")),
            Self::ClosesRested => all(stage, Manner::CloseRested),
            Self::Restart => {
                stage.servers.iter_mut().for_each(Server::goes_down);
                stage.goes_on(Duration::from_millis(300), rng).await;
                for server in &mut stage.servers {
                    server.comes_up(Manner::Error).await;
                }
            }
            Self::ShortOfMemory => {
                stage.memory.set(0.94);
                stage.goes_on(Duration::from_millis(500), rng).await;
            }
            Self::RouteMoved
            | Self::EndpointsWrong
            | Self::LimitLowered
            | Self::TimeoutLowered
            | Self::RateLowered => self.misconfigures(stage).await,
            Self::NameMoved | Self::NameGone | Self::NameServersFail | Self::NeverResolved => {
                self.renames(stage).await;
            }
            Self::CertificateExpired | Self::CertificateForAnother | Self::CertificateOfAnother => {
                self.certifies(stage).await;
            }
            Self::MoreThanFits
            | Self::GreedyClient
            | Self::ClientsLeave
            | Self::ClientsStall
            | Self::ClientsMalformed => self.crowds(stage),
        }
    }

    async fn misconfigures(self, stage: &mut Stage) {
        let draft = &mut stage.draft;
        match self {
            Self::RouteMoved => draft.prefix = "/b",
            Self::EndpointsWrong => {
                draft.endpoints = vec!["address = \"127.0.0.9:9\"".to_owned()];
            }
            Self::LimitLowered => draft.limit = Some(1),
            Self::TimeoutLowered => draft.first_byte_ms = 20,
            _ => draft.rate = Some(1),
        }
        stage.reloads().await;
    }

    async fn renames(self, stage: &mut Stage) {
        match self {
            Self::NameMoved => {
                stage.name_says(Reply::addresses(["127.0.0.8", "127.0.0.9"], 0));
                stage.has_moved().await;
            }
            Self::NameGone => stage.name_says(Reply::Code(ResponseCode::NXDomain)),
            Self::NameServersFail => stage.name_says(Reply::Code(ResponseCode::ServFail)),
            _ => {} // it never resolved
        }
    }

    /// Servers are started anew with another certificate: connections that are open would hide it.
    async fn certifies(self, stage: &mut Stage) {
        let shown = match self {
            Self::CertificateExpired => stage.authority.expired(),
            Self::CertificateForAnother => stage.authority.for_another(),
            _ => Authority::new().right(),
        };
        for server in &mut stage.servers {
            server.shows(shown.clone());
            server.goes_down();
            server
                .comes_up(Manner::Well(Duration::from_millis(5)))
                .await;
        }
    }

    fn crowds(self, stage: &mut Stage) {
        let crowd = &mut stage.crowd;
        match self {
            Self::MoreThanFits => crowd.rate *= 8.0,
            Self::GreedyClient => crowd.greedy = Some((Ipv4Addr::new(127, 0, 2, 1), 3.0)),
            Self::ClientsLeave => crowd.odd = Some((40, Way::LeaveAfter(Duration::from_millis(1)))),
            Self::ClientsStall => crowd.odd = Some((30, Way::HalfBody)),
            _ => crowd.odd = Some((30, Way::Malformed)),
        }
    }
}

fn all(stage: &Stage, manner: Manner) {
    for server in &stage.servers {
        server.turns(manner);
    }
}
