//! Several name servers: one after the other, overlapping where one is slow.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use hickory_resolver::proto::rr::{Name, RecordType};
use rustls::ClientConfig;
use tokio::time::sleep;

use super::{
    Found, Why,
    reading::{self, Target},
    server::Server,
    system::System,
};
use crate::config::NameServer;

/// How long one server is waited for before the next is asked too.
const NEXT_SERVER_AFTER: Duration = Duration::from_secs(1);
/// How long the other family is waited for once one was answered.
const OTHER_FAMILY_AFTER: Duration = Duration::from_millis(500);

/// One question to one server.
pub(super) type Ask<T> = for<'a> fn(&'a Server, &'a Name) -> BoxFuture<'a, Result<T, Why>>;

/// Who is asked.
pub(super) struct Setup {
    servers: Vec<Server>,
    /// Domains in which a name is looked for, too.
    pub(super) search: Vec<Name>,
    /// The server that answered last. Relaxed: a guess at who is fast, nothing else hangs on it.
    first: AtomicUsize,
}

// === impl Setup ===

impl Setup {
    /// `servers`, each of which may take `timeout` for one question.
    pub(super) fn new(
        servers: &[NameServer],
        search: Vec<Name>,
        timeout: Duration,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Self {
        let tls = tls.map(|tls| &**tls);
        Self {
            servers: servers
                .iter()
                .filter_map(|server| Server::new(server, tls, timeout))
                .collect(),
            search,
            first: AtomicUsize::new(0),
        }
    }

    /// What resolv.conf says.
    pub(super) fn of_system(system: System) -> Self {
        Self::new(&system.servers, system.search, system.timeout, None)
    }

    /// The answer of the first server that has one: an answer, or that there is none.
    ///
    /// # Cancel safety
    /// Dropping the future drops the questions that run.
    pub(super) async fn ask<T>(&self, name: &Name, ask: Ask<T>) -> Result<T, Why> {
        let first = self.first.load(Relaxed);
        let count = self.servers.len();
        let mut order =
            (0..count).map(|step| first.wrapping_add(step).checked_rem(count).unwrap_or(0));
        let mut asked = FuturesUnordered::new();
        let mut ended = None;
        loop {
            let next = order
                .next()
                .and_then(|index| Some((index, self.servers.get(index)?)));
            let is_last = next.is_none();
            if let Some((index, server)) = next {
                asked.push(async move { (index, ask(server, name).await) });
            }
            while !asked.is_empty() {
                // An answer wins over the timer that asks the next server.
                let (index, result) = tokio::select! {
                    biased;
                    Some(heard) = asked.next() => heard,
                    () = sleep(NEXT_SERVER_AFTER), if !is_last => break,
                };
                match result {
                    Err(why) if !why.is_of_the_name() => {
                        ended = Some(ended.map_or(why, |ended| reading::worse(ended, why)));
                        if !is_last {
                            break;
                        }
                    }
                    result => {
                        self.first.store(index, Relaxed);
                        return result;
                    }
                }
            }
            if is_last {
                return Err(ended.unwrap_or(Why::ServerFailure));
            }
        }
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("servers", &self.servers.len())
            .field("search", &self.search)
            .finish_non_exhaustive()
    }
}

/// Asks for both families at once.
pub(super) fn addresses<'a>(
    server: &'a Server,
    name: &'a Name,
) -> BoxFuture<'a, Result<Found, Why>> {
    Box::pin(async move {
        let v4 = pin!(family(server, name, RecordType::A));
        let v6 = pin!(family(server, name, RecordType::AAAA));
        let (v4, v6) = both(v4, v6).await;
        reading::join(v4, v6)
    })
}

/// Asks for the SRV records.
pub(super) fn targets<'a>(
    server: &'a Server,
    name: &'a Name,
) -> BoxFuture<'a, Result<(Vec<Target>, Duration), Why>> {
    Box::pin(async move {
        let records = server.ask(name, RecordType::SRV).await?;
        reading::read_targets(name, &records)
    })
}

async fn family(server: &Server, name: &Name, of: RecordType) -> Result<Found, Why> {
    let records = server.ask(name, of).await?;
    reading::read(name, &records)
}

/// Both results, or only one where it is good and the other one late.
async fn both<T, E>(
    mut a: impl Future<Output = Result<T, E>> + Unpin,
    mut b: impl Future<Output = Result<T, E>> + Unpin,
) -> (Option<Result<T, E>>, Option<Result<T, E>>) {
    tokio::select! {
        biased; // both have ended or will; the order decides nothing
        first = &mut a => {
            let second = second(first.is_ok(), b).await;
            (Some(first), second)
        }
        first = &mut b => {
            let second = second(first.is_ok(), a).await;
            (second, Some(first))
        }
    }
}

async fn second<T>(hasty: bool, late: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = late => Some(result),
        () = sleep(OTHER_FAMILY_AFTER), if hasty => None,
    }
}

#[cfg(test)]
mod tests;
