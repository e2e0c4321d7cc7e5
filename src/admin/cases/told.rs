//! Events, as a verdict reads them.

use std::net::{IpAddr, SocketAddr};

use super::happening::{Happened, Happening, NameTrouble, OutBy};
use crate::telemetry::{
    ConfigEvent, EndpointChange, EndpointEvent, Event, Few, LoadEvent, NameChange, NameEvent,
    ProcessEvent, UpstreamEvent, What,
};

/// What `event` is to requests; `None`: nothing, or it is known from the history of configs.
pub(super) fn happened(event: &Event) -> Option<Happened> {
    let what = match &event.what {
        What::Config(config) => of_config(config),
        What::Name(name) => of_name(name),
        What::Endpoint(endpoint) => of_endpoint(endpoint),
        What::Upstream(upstream) => of_upstream(upstream),
        What::Load(load) => Some(of_load(load)),
        What::Process(ProcessEvent::StoodStill { late_ms }) => {
            Some(Happening::StoodStill { late_ms: *late_ms })
        }
        What::Process(_) | What::Incident(_) => None,
    };
    Some(Happened {
        at_ms: event.at_ms,
        what: what?,
    })
}

/// Whether it may have to do with requests to `upstream`: it is about that, or about no single one.
pub(super) fn concerns(event: &Event, upstream: &str) -> bool {
    if let What::Name(name) = &event.what {
        return name.upstreams.iter().any(|one| one.as_str() == upstream);
    }
    let about = event.subject.upstream.as_ref();
    about.is_none_or(|one| one.as_str() == upstream)
}

fn of_config(config: &ConfigEvent) -> Option<Happening> {
    match config {
        ConfigEvent::TakenBack { bad, why, .. } => Some(Happening::ConfigTakenBack {
            hash: bad.clone(),
            why: why.to_string(),
        }),
        ConfigEvent::FilesChanged { wrong } => Some(Happening::FilesChanged { wrong: *wrong }),
        ConfigEvent::Applied { .. }
        | ConfigEvent::Rejected { .. }
        | ConfigEvent::FileWrong { .. }
        | ConfigEvent::CertificateExpires { .. } => None,
    }
}

fn of_name(event: &NameEvent) -> Option<Happening> {
    let name = event.name.clone();
    let fails = |why: &str, empty: bool| Happening::LookupsFail {
        name: event.name.clone(),
        trouble: trouble(why),
        empty,
    };
    match &event.change {
        NameChange::Changed { added, removed, .. } => Some(Happening::AddressesChanged {
            name,
            added: addresses(added),
            removed: addresses(removed),
            unnamed: added.count.saturating_sub(added.first.len()),
        }),
        NameChange::Failing { why, serves } => Some(fails(why, !serves)),
        NameChange::Gone { why } | NameChange::Expired { why } => Some(fails(why, true)),
        NameChange::Recovered {} => Some(Happening::NameRecovered { name }),
        NameChange::Expires { .. }
        | NameChange::Held { .. }
        | NameChange::Refused { .. }
        | NameChange::TooMany { .. } => None,
    }
}

/// The trouble behind a word of [`crate::resolve`], which is not imported here.
fn trouble(why: &str) -> NameTrouble {
    match why {
        "not_found" | "empty" => NameTrouble::Gone,
        "timeout" => NameTrouble::Silence,
        "prohibited" => NameTrouble::Prohibited,
        _ => NameTrouble::Failure,
    }
}

/// Addresses, of hosts with or without a port.
fn addresses(few: &Few) -> Vec<IpAddr> {
    let address = |text: &str| {
        let alone = text.parse::<IpAddr>().ok();
        alone.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
    };
    few.first.iter().filter_map(|text| address(text)).collect()
}

fn of_endpoint(event: &EndpointEvent) -> Option<Happening> {
    let upstream = event.endpoint.upstream.as_str().into();
    let endpoint = event.endpoint.address;
    let out = |by| Happening::EndpointOut {
        upstream: event.endpoint.upstream.as_str().into(),
        endpoint,
        by,
        why: event.why.to_string(),
    };
    match event.change {
        EndpointChange::Down {} => Some(out(OutBy::Checks)),
        EndpointChange::Ejected { .. } => Some(out(OutBy::Traffic)),
        EndpointChange::Up {} | EndpointChange::Returned {} => {
            Some(Happening::EndpointBack { upstream, endpoint })
        }
        EndpointChange::Degraded {}
        | EndpointChange::Recovered {}
        | EndpointChange::CertificateExpires { .. } => None,
    }
}

fn of_upstream(event: &UpstreamEvent) -> Option<Happening> {
    let panic = |upstream: &str, begins| Happening::Panic {
        upstream: upstream.into(),
        begins,
    };
    let spill = |upstream: &str, begins| Happening::Spill {
        upstream: upstream.into(),
        begins,
    };
    match event {
        UpstreamEvent::PanicBegan { upstream, .. } => Some(panic(upstream.as_str(), true)),
        UpstreamEvent::PanicEnded { upstream, .. } => Some(panic(upstream.as_str(), false)),
        UpstreamEvent::SpillBegan { upstream, .. } => Some(spill(upstream.as_str(), true)),
        UpstreamEvent::SpillEnded { upstream } => Some(spill(upstream.as_str(), false)),
        UpstreamEvent::ChecksSuspicious { .. } => None,
    }
}

fn of_load(event: &LoadEvent) -> Happening {
    match event {
        LoadEvent::LimitMoved {
            endpoint, from, to, ..
        } => Happening::LimitMoved {
            upstream: endpoint.upstream.as_str().into(),
            from: *from,
            to: *to,
        },
        LoadEvent::Pressure { to, .. } => Happening::Pressure { level: *to },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{names::UpstreamName, resolve::Why, telemetry::Telemetry};

    #[test]
    fn the_words_of_names_are_known() {
        for (why, is) in [
            (Why::NotFound, NameTrouble::Gone),
            (Why::Empty, NameTrouble::Gone),
            (Why::Timeout, NameTrouble::Silence),
            (Why::Prohibited, NameTrouble::Prohibited),
            (Why::ServerFailure, NameTrouble::Failure),
        ] {
            assert_eq!(trouble(why.as_str()), is, "{why:?}");
        }
    }

    #[test]
    fn addresses_are_read_with_and_without_a_port_and_belong_to_the_names_upstreams() {
        let telemetry = Telemetry::new();
        telemetry.events().tell(NameEvent {
            name: "shop.internal".into(),
            upstreams: vec![UpstreamName::from("shop"), UpstreamName::from("cart")],
            change: NameChange::Changed {
                count: 3,
                added: Few::of(&["10.0.0.1", "[fd00::1]:80"]),
                removed: Few::of(&["10.0.0.2"]),
            },
        });
        let events = telemetry.events().since(0, 10);
        assert!(concerns(&events[0], "cart") && !concerns(&events[0], "other"));
        let told = happened(&events[0]).unwrap();
        let Happening::AddressesChanged { added, removed, .. } = told.what else {
            panic!("{told:?}");
        };
        let ips = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        assert_eq!(added, ips(&["10.0.0.1", "fd00::1"]));
        assert_eq!(removed, ips(&["10.0.0.2"]));
    }
}
