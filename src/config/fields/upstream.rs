//! `[upstreams.NAME]` and what is below it.

use std::{num::NonZeroU32, time::Duration};

use super::{hours, millis, secs, time};
use crate::config::{
    BalancePolicy, HostPolicy, LawWord, MOST_GROUPS, UpstreamProtocol,
    problem::At,
    shape::{Field, Nested, Preset, Section, Shape},
    value::{
        AskedServer, ConcurrencyWord, FilePath, Identity, NameAndPort, ServerAddress, ServerHost,
        ServiceName, Word,
    },
};

pub(crate) static UPSTREAM: Section = Section {
    any_of: &["endpoints", "groups"],
    ..Section::of(
        "upstream",
        "[upstreams.NAME]",
        "Servers that do the same work.",
        &[
            &ENDPOINTS,
            &GROUPS,
            &OVERPROVISIONING,
            &NAME_SERVERS,
            &PROTOCOL,
            &BALANCE,
            &CONNECT_TIMEOUT,
            &FIRST_BYTE_TIMEOUT,
            &IDLE_TIMEOUT,
            &MAX_CONNECTION_AGE,
            &HOST,
            &PANIC_THRESHOLD,
            &SLOW_START,
            &TLS,
            &HEALTH,
            &EJECTION,
            &CONCURRENCY,
        ],
    )
};
pub(crate) static ENDPOINTS: Nested = Nested::optional(
    "endpoints",
    SERVERS_OF,
    "`groups` is there",
    "Where its servers are. Beside `groups` they are the first group, before those.",
);
pub(crate) static GROUPS: Nested = Nested::optional(
    "groups",
    Shape::Tables {
        of: &GROUP,
        min: 1,
        max: MOST_GROUPS - 1,
    },
    "one group: `endpoints`",
    "Groups of servers in the order in which they are to serve: the main site first, then those that take over.",
);
pub(crate) static OVERPROVISIONING: Preset<f64> = Preset::new(
    "overprovisioning",
    Shape::Share {
        min: 1.0,
        max: 100.0,
    },
    1.4,
    "How much more than its part a server of a group can take before others are asked: a group takes the share of its servers that can serve, times this, and at most all; the rest goes to the next groups. With 1.4 the next group gets its first request when less than 5 of 7 can serve. No effect with one group.",
);
pub(crate) static NAME_SERVERS: Nested = Nested::optional(
    "dns",
    Shape::Table(&UPSTREAM_DNS),
    "those of `[dns]`",
    "Who is asked for the names of its endpoints. `[dns]` says for all how answers are taken.",
);
pub(crate) static PROTOCOL: Preset<UpstreamProtocol> = Preset::new(
    "protocol",
    UpstreamProtocol::SHAPE,
    UpstreamProtocol::Auto,
    "What is spoken to the servers. `auto` is what ALPN says, and HTTP/1.1 on plain text; `h2` on plain text is by prior knowledge.",
);
pub(crate) static BALANCE: Preset<BalancePolicy> = Preset::new(
    "balance",
    BalancePolicy::SHAPE,
    BalancePolicy::LeastRequest,
    "How one of the servers is chosen: the less busy of two taken at random, in turn, at random, or (`peak_ewma`) of two taken at random the one that would answer sooner, by its latest latencies and what it works on. All follow the weights.",
);
pub(crate) static CONNECT_TIMEOUT: Preset<Duration> = Preset::new(
    "connect_timeout",
    time(millis(1), secs(60)),
    secs(1),
    "How long a connection may take to be made, TLS included.",
);
pub(crate) static FIRST_BYTE_TIMEOUT: Preset<Duration> = Preset::new(
    "first_byte_timeout",
    time(millis(1), hours(1)),
    secs(30),
    "How long the head of an answer may take; then 504.",
);
pub(crate) static IDLE_TIMEOUT: Preset<Duration> = Preset::new(
    "idle_timeout",
    time(millis(1), hours(1)),
    secs(60),
    "How long a connection may rest in the pool. Where a server lets it rest for less, as it tells in `Keep-Alive` or shows by what it closes, connections to it are not used for quite as long.",
);
pub(crate) static MAX_CONNECTION_AGE: Preset<Duration> = Preset::new(
    "max_connection_age",
    time(secs(1), hours(24)),
    secs(600),
    "How old a connection may become before it takes no new request.",
);
pub(crate) static HOST: Preset<HostPolicy> = Preset::new(
    "host",
    HostPolicy::SHAPE,
    HostPolicy::Preserve,
    "The Host that servers see: the client's, or the endpoint's own name and port.",
);
pub(crate) static PANIC_THRESHOLD: Preset<f64> = Preset::new(
    "panic_threshold",
    Shape::Share { min: 0.0, max: 1.0 },
    0.0,
    "Below this share of servers of a group that can serve, all of them are used, since the checks are then doubted; only while the other groups cannot take over. 0: never.",
);
pub(crate) static SLOW_START: Preset<Duration> = Preset::new(
    "slow_start",
    time(Duration::ZERO, hours(1)),
    secs(30),
    "How long a server that is new or comes back takes to its full share. `0s`: at once.",
);
pub(crate) static TLS: Nested = Nested::optional(
    "tls",
    Shape::Table(&UPSTREAM_TLS),
    "plain text",
    "Speaks TLS to the servers. An empty table is enough.",
);
pub(crate) static HEALTH: Nested = Nested::optional(
    "health",
    Shape::Table(&super::health::CHECK),
    "no active checks",
    "Active checks of each server. An empty table is enough.",
);
pub(crate) static EJECTION: Nested = Nested::optional(
    "ejection",
    Shape::Table(&EJECTION_RULE),
    "its defaults",
    "Takes out servers whose requests fail.",
);
pub(crate) static CONCURRENCY: Nested = Nested::optional(
    "concurrency",
    Shape::Table(&CONCURRENCY_LIMIT),
    "its defaults",
    "How many requests the upstream gets at once.",
);

pub(crate) static GROUP: Section = Section::of(
    "group",
    "[[upstreams.NAME.groups]]",
    "Servers at one site. While enough of the first group can serve, the others get nothing; as it fails, more and more goes to the next, request by request, and back as soon as it recovers. A group without a part of the traffic gets none because another is full: who finds all places taken waits. A retry goes to the next group when it has tried all that can serve of one. Of a group at most a third is ejected (but one), and never its last server.",
    &[&GROUP_NAME, &GROUP_ENDPOINTS],
);
pub(crate) static GROUP_NAME: Field<Identity> = Field::optional(
    "name",
    Shape::Text("a name like \"standby\""),
    "its number, from `1`",
    "Its name in the API, metrics and the log. A server that moves to another group keeps all that is known of it.",
);
pub(crate) static GROUP_ENDPOINTS: Nested = Nested::required(
    "endpoints",
    SERVERS_OF,
    "Where its servers are. A server is in one group; where names of two groups have the same address, it is in the first.",
);
/// Several servers, or names that stand for some.
const SERVERS_OF: Shape = Shape::Tables {
    of: &ENDPOINT,
    min: 1,
    max: 1024,
};

pub(crate) static ENDPOINT: Section = Section {
    one_of: &["address", "dns", "srv"],
    ..Section::of(
        "endpoint",
        "an endpoint",
        "A server, or a name that stands for some.",
        &[&ADDRESS, &DNS, &SRV, &WEIGHT],
    )
};
pub(crate) static ADDRESS: Field<ServerAddress> = Field::optional(
    "address",
    Shape::Text("an IP address with a port, like \"10.0.0.11:8080\""),
    "`dns` or `srv` is there",
    "The address of one server.",
);
pub(crate) static DNS: Field<NameAndPort> = Field::optional(
    "dns",
    Shape::Text("a name with a port, like \"shop.internal:8080\""),
    "`address` or `srv` is there",
    "A name; each of its A and AAAA addresses is a server, followed as they change. With a dot at its end (`shop.internal.:8080`) it is not looked for in search domains.",
);
pub(crate) static SRV: Field<ServiceName> = Field::optional(
    "srv",
    Shape::Text("the name of a service, like \"_http._tcp.shop.internal\""),
    "`address` or `dns` is there",
    "A service; each address of each target of its SRV records is a server, at the record's port and by its weight. Those of the lowest priority serve; the next ones serve while none of them can. TLS is checked by the service's own name (`shop.internal`) unless `server_name` says otherwise.",
);
pub(crate) static WEIGHT: Preset<NonZeroU32> = Preset::new(
    "weight",
    Shape::Count { min: 1, max: 1000 },
    NonZeroU32::MIN,
    "Its share against the others'. For `srv` the records' weights count, times this.",
);

pub(crate) static UPSTREAM_DNS: Section = Section::of(
    "upstream_dns",
    "dns of [upstreams.NAME]",
    "Name servers of one upstream.",
    &[&SERVERS, &super::process::DNS_CA],
);
pub(crate) static SERVERS: Field<Vec<At<AskedServer>>> = Field::required(
    "servers",
    Shape::List {
        of: &super::process::SERVER,
        min: 1,
        max: 16,
    },
    "As in `[dns]`.",
);

pub(crate) static UPSTREAM_TLS: Section = Section::of(
    "upstream_tls",
    "tls of [upstreams.NAME]",
    "TLS to the servers of an upstream.",
    &[&SERVER_NAME, &CA, &CLIENT],
);
pub(crate) static SERVER_NAME: Field<ServerHost> = Field::optional(
    "server_name",
    Shape::Text("the name of a server, like \"shop.internal\""),
    "the endpoint's name or address",
    "The name that is asked for (SNI) and that the certificate must hold.",
);
pub(crate) static CA: Field<FilePath> = Field::optional(
    "ca",
    super::listener::FILE,
    "the system's certificate authorities",
    "A PEM file with the certificate authorities that are trusted.",
);
pub(crate) static CLIENT: Nested = Nested::optional(
    "client",
    Shape::Table(&super::listener::CERTIFICATE),
    "none",
    "The certificate that is shown to the servers.",
);

pub(crate) static EJECTION_RULE: Section = Section::of(
    "ejection",
    "[upstreams.NAME.ejection]",
    "Takes out a server whose requests fail: connect errors, resets, time-outs, 500, 502, 503 and 504. Never the last one, at most a third (but one), and not for failures in a row that most of the others have too. When its time is over it is on trial: one request at a time goes there until one succeeds, and where that fails it is out anew, for longer. The failures of one request and its retries count once, but for those to connect.",
    &[
        &ENABLED,
        &CONSECUTIVE_FAILURES,
        &CONSECUTIVE_LOCAL_FAILURES,
        &COMPARED_EACH,
        &SUCCESS_RATE,
        &LATENCY,
        &BASE_TIME,
        &MAX_TIME,
    ],
);
pub(crate) static ENABLED: Preset<bool> = Preset::new(
    "enabled",
    Shape::Flag,
    true,
    "Whether servers are ejected at all.",
);
pub(crate) static CONSECUTIVE_FAILURES: Preset<NonZeroU32> = Preset::new(
    "consecutive_failures",
    Shape::Count { min: 1, max: 1000 },
    count(5),
    "Failures in a row that eject, of whatever kind.",
);
pub(crate) static CONSECUTIVE_LOCAL_FAILURES: Field<NonZeroU32> = Field::optional(
    "consecutive_local_failures",
    Shape::Count { min: 1, max: 1000 },
    "as `consecutive_failures`",
    "Failures in a row to reach the server that eject: no connection, no TLS, a reset or a close before an answer. An answer ends the row, whatever it says.",
);
pub(crate) static COMPARED_EACH: Preset<Duration> = Preset::new(
    "interval",
    time(secs(1), hours(1)),
    secs(10),
    "How long the windows are over which servers are compared with each other.",
);
pub(crate) static SUCCESS_RATE: Nested = Nested::optional(
    "success_rate",
    Shape::Table(&SUCCESS_RATE_RULE),
    "its defaults",
    "Takes out a server that fails far more of its requests than the others. What fails everywhere takes out nobody.",
);
pub(crate) static LATENCY: Nested = Nested::optional(
    "latency",
    Shape::Table(&LATENCY_RULE),
    "latencies are not compared",
    "Takes out a server that answers far slower than the others. An empty table is enough.",
);

pub(crate) static BASE_TIME: Preset<Duration> = Preset::new(
    "base_time",
    time(millis(100), hours(1)),
    secs(30),
    "How long the first ejection lasts; the second lasts twice as long, and so on.",
);
pub(crate) static MAX_TIME: Preset<Duration> = Preset::new(
    "max_time",
    time(millis(100), hours(24)),
    secs(300),
    "The longest ejection. Not less than `base_time`.",
);

pub(crate) static SUCCESS_RATE_RULE: Section = Section::of(
    "success_rate",
    "success_rate of [upstreams.NAME.ejection]",
    "Compares the share of failures of each server with that of all others together, window by window.",
    &[
        &SUCCESS_RATE_ENABLED,
        &SUCCESS_RATE_REQUESTS,
        &FAILURE_MARGIN,
    ],
);
pub(crate) static SUCCESS_RATE_ENABLED: Preset<bool> = Preset::new(
    "enabled",
    Shape::Flag,
    true,
    "Whether servers are compared by their failures.",
);
pub(crate) static SUCCESS_RATE_REQUESTS: Preset<NonZeroU32> = Preset::new(
    "minimum_requests",
    REQUESTS,
    count(100),
    "Requests that a server, and the others together, must each have had in a window.",
);
pub(crate) static FAILURE_MARGIN: Preset<f64> = Preset::new(
    "margin",
    Shape::Share {
        min: 0.01,
        max: 1.0,
    },
    0.3,
    "By how much its share of failures must be above that of the others: with 0.3 one that fails 45 % is out where the others fail 15 %. Of 100 requests on either side, chance alone makes a difference of 0.07 (one standard error, at the most).",
);

pub(crate) static LATENCY_RULE: Section = Section::of(
    "latency",
    "latency of [upstreams.NAME.ejection]",
    "Compares how long nine of ten answers of each server took with the median of the others', window by window.",
    &[
        &LATENCY_ENABLED,
        &LATENCY_REQUESTS,
        &LATENCY_FACTOR,
        &LATENCY_MARGIN,
    ],
);
pub(crate) static LATENCY_ENABLED: Preset<bool> = Preset::new(
    "enabled",
    Shape::Flag,
    true,
    "Whether servers are compared by their latency.",
);
pub(crate) static LATENCY_REQUESTS: Preset<NonZeroU32> = Preset::new(
    "minimum_requests",
    REQUESTS,
    count(50),
    "Answers that a server must have given in a window to be compared. Half of the others must have given as many.",
);
pub(crate) static LATENCY_FACTOR: Preset<f64> = Preset::new(
    "factor",
    Shape::Share {
        min: 1.1,
        max: 100.0,
    },
    3.0,
    "How many times the others' median takes a server out.",
);
pub(crate) static LATENCY_MARGIN: Preset<Duration> = Preset::new(
    "margin",
    time(Duration::ZERO, hours(1)),
    millis(10),
    "And by how much it must be above that median, so that two very quick servers are alike.",
);

pub(crate) static CONCURRENCY_LIMIT: Section = Section::of(
    "concurrency",
    "[upstreams.NAME.concurrency]",
    "How many requests the upstream works on at once. What is beyond it waits, or is refused with 503. The default finds the limit by itself and needs no number.",
    &[
        &MODE,
        &LIMIT,
        &MIN,
        &MAX,
        &INITIAL,
        &TOTAL,
        &QUEUE,
        &LIMIT_SHADOW,
    ],
);
pub(crate) static MODE: Preset<ConcurrencyWord> = Preset::new(
    "mode",
    ConcurrencyWord::SHAPE,
    ConcurrencyWord::Learned(LawWord::Adaptive),
    "Where the limit comes from. `adaptive` finds it for each server from how long answers take and how many fail, and needs no number. `aimd`, `vegas` and `gradient2` find it by older laws, to compare. `fixed` takes `limit`, for the upstream as a whole. `off` knows no limit.",
);
pub(crate) static LIMIT: Field<NonZeroU32> = Field::optional(
    "limit",
    REQUESTS,
    "required with `fixed`",
    "How many requests at once over all servers, for `mode = \"fixed\"` alone.",
);
pub(crate) static MIN: Preset<NonZeroU32> = Preset::new(
    "min",
    REQUESTS,
    NonZeroU32::MIN,
    "The lowest limit of one server that is found: it never falls below. Not more than `max` or `total`; no effect with `fixed` and `off`.",
);
pub(crate) static MAX: Preset<NonZeroU32> = Preset::new(
    "max",
    REQUESTS,
    count(4096),
    "The highest limit of one server that is found: it never grows beyond, however fast answers come. No effect with `fixed` and `off`.",
);
pub(crate) static INITIAL: Preset<NonZeroU32> = Preset::new(
    "initial",
    REQUESTS,
    count(10),
    "The limit of a server that nothing is known of yet. From `min` to `max`; left out, it is the nearest number to 10 between the two. No effect with `fixed` and `off`.",
);
pub(crate) static TOTAL: Field<NonZeroU32> = Field::optional(
    "total",
    REQUESTS,
    "the sum of what is found for each server",
    "The most requests at once over all servers, whatever their limits add up to; what is beyond it waits as if no server had a place. No effect with `fixed` and `off`.",
);
pub(crate) static LIMIT_SHADOW: Preset<bool> = Preset::new(
    "shadow",
    Shape::Flag,
    false,
    "Finds the limit and counts what it would refuse, but refuses nobody and makes nobody wait.",
);
pub(crate) static QUEUE: Nested = Nested::optional(
    "queue",
    Shape::Table(&QUEUE_RULE),
    "its defaults",
    "Who may wait for a place, whatever the mode. The highest priority goes first; among equals the tenants take turns.",
);

pub(crate) static QUEUE_RULE: Section = Section::of(
    "queue",
    "queue of [upstreams.NAME.concurrency]",
    "Requests that wait for a place.",
    &[&MAX_WAITING, &MAX_WAIT],
);
pub(crate) static MAX_WAITING: Preset<u32> = Preset::new(
    "max_waiting",
    Shape::Count {
        min: 0,
        max: 1_000_000,
    },
    64,
    "How many may wait; beyond it the newest of the lowest priority gets 503 with `queue_full`. 0: nobody waits. Left out, it is at least 64, and as many as get a place within `max_wait` at the present pace. One that waits costs about 200 bytes.",
);
pub(crate) static MAX_WAIT: Preset<Duration> = Preset::new(
    "max_wait",
    time(millis(1), secs(30)),
    millis(100),
    "How long one may wait; then 503 with `queue_timeout`, at once where that can be foreseen. Not longer than the `timeout` of a route that uses the upstream; the default gives way to a shorter one unless `mode` is given.",
);

/// A number of requests at once.
const REQUESTS: Shape = Shape::Count {
    min: 1,
    max: 1_000_000,
};

pub(super) const fn count(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}
