//! A name, asked of the configured resolver and of the system's.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use ipnet::IpNet;
use tokio::{
    net::lookup_host,
    time::{Instant, timeout},
};

use super::{
    judge::{SystemSaid, names},
    report::Finding,
};
use crate::resolve::{Host, Records, Resolver, ask_once};

/// How long the system's resolver may take.
const SYSTEM_WITHIN: Duration = Duration::from_secs(5);

/// What is found of `name`, and its hosts.
///
/// # Cancel safety
/// Dropping the future drops its questions, but that to the system, which runs to its end and is not heard.
pub(super) async fn ask(
    resolver: &Resolver,
    name: &str,
    records: Records,
    allow: &[IpNet],
) -> (Vec<Finding>, Vec<Host>) {
    let began = Instant::now();
    let ours = async {
        let once = ask_once(resolver, name, records, allow).await;
        (once, began.elapsed())
    };
    let ((once, took), system) = tokio::join!(ours, ask_system(name, records));
    let found = names(&once, took, system.as_ref());
    (found, once.said.map(|(hosts, _)| hosts).unwrap_or_default())
}

async fn ask_system(name: &str, records: Records) -> Option<SystemSaid> {
    if records == Records::Services {
        return None;
    }
    let began = Instant::now();
    let said = match timeout(SYSTEM_WITHIN, lookup_host((name, 0))).await {
        Ok(Ok(found)) => {
            let addresses = found.map(|address| address.ip().to_canonical());
            Ok(addresses.collect::<BTreeSet<IpAddr>>())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    Some(SystemSaid {
        said,
        took: began.elapsed(),
    })
}
