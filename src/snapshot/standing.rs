//! How the hosts of a name do, as their endpoints know it.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use tokio::time::Instant;

use crate::{
    names::{EndpointId, UpstreamName},
    pool::Registry,
    resolve::{Host, Standing},
};

/// The upstreams that use a name, and the port at which they do (`None`: the record's).
pub(super) type Users = BTreeSet<(UpstreamName, Option<u16>)>;

/// The endpoints that a name's hosts are, in every upstream that uses it.
#[derive(Debug)]
pub(super) struct EndpointsOf {
    endpoints: Arc<Registry>,
    users: Users,
}

// === impl EndpointsOf ===

impl EndpointsOf {
    pub(super) fn new(endpoints: Arc<Registry>, users: Users) -> Self {
        Self { endpoints, users }
    }
}

impl Standing for EndpointsOf {
    /// Where any upstream can use it, it is not out; nor is one that no upstream knows yet.
    fn is_out(&self, host: &Host) -> bool {
        let now = Instant::now();
        let known = self.users.iter().filter_map(|(upstream, port)| {
            let port = port.or(host.service.as_ref().map(|service| service.port))?;
            let id = EndpointId::new(upstream.clone(), SocketAddr::new(host.address, port));
            self.endpoints.get(&id)
        });
        let mut known = known.peekable();
        known.peek().is_some() && known.all(|endpoint| !endpoint.health.can_serve(now))
    }
}
