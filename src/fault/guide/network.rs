//! No connection.

use super::Guide;

pub(super) const REFUSED: Guide = Guide {
    means: "The host is there and answered that nothing listens on this port, or a firewall rejected in its name.",
    reasons: &[
        "The service is not running: it crashed, is being deployed, or has not finished starting.",
        "It listens on another port, or on 127.0.0.1 only.",
        "A firewall rule that rejects.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: is it one address, or all? What do both resolvers say of its name?",
        "`endpoint` in the access log: one of them, or all?",
        "`ss -ltn` on that host: is there a listener, and on which address?",
        "The service's log at that second: did it restart?",
    ],
    prevent: &[
        "Active checks (`health`), so that an endpoint that is down gets no requests.",
        "In deployments, take an endpoint out before it stops, and wait until it listens before it comes back.",
        "`retry` on connect, with another endpoint.",
    ],
};

pub(super) const HOST: Guide = Guide {
    means: "The way to the endpoint's net is there, and the last router or this host itself says that nothing answers for the host.",
    reasons: &[
        "The host is down or was replaced: nobody in its net knows its address any more.",
        "A firewall that rejects in the host's name.",
        "The address belongs to nobody: a DNS change was missed.",
    ],
    look: &[
        "`endpoint` in the access log: one of them, or all of one net?",
        "`ping ADDRESS` and `ip neigh` on the gateway's host.",
        "`traceroute ADDRESS`: which hop is the last?",
    ],
    prevent: &[
        "Active checks (`health`), so that an endpoint that is down gets no requests.",
        "Endpoints on more than one host.",
    ],
};

pub(super) const NET: Guide = Guide {
    means: "No way leads to the endpoint's net: this host, or a router on the way, has no route there, or a rule forbids it.",
    reasons: &[
        "A route is missing, or a VPN is down.",
        "IPv6 addresses in DNS on a host without IPv6.",
        "A rule of this host's own firewall, or a network policy, forbids it.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: which address, and by which interface and router would packets go?",
        "`ip route get ADDRESS` on the gateway's host.",
        "Whether only IPv6 endpoints are hit.",
        "`traceroute ADDRESS`: which hop is the last?",
    ],
    prevent: &[
        "Endpoints in two networks, with active checks.",
        "No AAAA records where nothing takes them.",
    ],
};

pub(super) const TIMEOUT: Guide = Guide {
    means: "The request for a connection was not answered within `connect_timeout`. Somebody swallows the packets: a host that is up would have refused.",
    reasons: &[
        "A firewall or security group that drops.",
        "The host is down or frozen.",
        "The service's accept queue is full: it is overloaded, and the kernel drops new connections.",
        "The address belongs to nobody any more: a DNS change was missed.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: which address, and how many hops do packets come?",
        "`endpoint` in the access log: one, some, or all? All at the same second is a firewall or a route.",
        "`nc -vz HOST PORT` from the gateway's host and from another one.",
        "On the service's host `ss -ltn`: does Recv-Q stand at Send-Q?",
    ],
    prevent: &[
        "Active checks and ejection, so that few requests pay for it.",
        "A short `connect_timeout`: within one site 1 s is long.",
        "Rules that reject rather than drop within your own network.",
    ],
};

pub(super) const FAILED: Guide = Guide {
    means: "Making the connection failed in another way, such as a reset in the middle of it.",
    reasons: &[
        "A device on the way that resets connections, such as an intrusion filter or a load balancer without a target.",
        "The service closes its socket while it stops.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: does it happen again, and at which address?",
        "The text of the error in the gateway's log, which names the system's error.",
        "`tcpdump` on the port: who sends the reset?",
    ],
    prevent: &["Active checks, and `retry` on connect."],
};
