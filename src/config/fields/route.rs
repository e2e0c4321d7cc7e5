//! `[[routes]]` and what is below it.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use http::StatusCode;

use super::{KIB, MIB, hours, millis, secs, size};
use crate::{
    config::{
        problem::At,
        shape::{Field, Nested, Preset, Section, Shape},
        value::{
            ByteSize, FieldName, FieldValue, FilePath, GRPC_CODES, GrpcCode, HedgeTime, Host,
            Identity, LimitKey, LimitName, Literal, MatchText, Pairs, Portion, Rate, RedirectTo,
            RetryWord, Tenant, UrlPath, Verb, Word,
        },
    },
    names::Priority,
};

pub(crate) static ROUTE: Section = Section {
    one_of: &["upstream", "split", "respond", "redirect"],
    not_both: &[("path", "path_prefix"), ("strip_prefix", "replace_prefix")],
    ..Section::of(
        "route",
        "[[routes]]",
        "Takes the requests that meet all its conditions. The most specific route wins: exact host, then the longest wildcard, then none; exact path, then the longest prefix; then more header and query conditions; then methods.",
        &[
            &NAME,
            &HOSTS,
            &PATH,
            &PATH_PREFIX,
            &METHODS,
            &HEADERS,
            &QUERY,
            &UPSTREAM,
            &SPLIT,
            &RESPOND,
            &REDIRECT,
            &FALLBACK,
            &STRIP_PREFIX,
            &REPLACE_PREFIX,
            &REQUEST_HEADERS,
            &RESPONSE_HEADERS,
            &PRIORITY,
            &PORTION,
            &TENANT,
            &TIMEOUT,
            &MAX_BODY,
            &RETRY,
            &HEDGE,
            &OUTCOMES,
            &RATE_LIMITS,
        ],
    )
};
pub(crate) static NAME: Field<Identity> = Field::optional(
    "name",
    Shape::Text("a name like \"checkout\""),
    "`default` where there is one route; required with several",
    "Its name in logs and metrics. A renamed route is a new one: its rate limits start full.",
);
pub(crate) static HOSTS: Field<Vec<At<Host>>> = Field::optional(
    "hosts",
    Shape::List {
        of: &Shape::Text("a host like \"shop.example.com\" or \"*.example.com\""),
        min: 1,
        max: 1024,
    },
    "every host",
    "Hosts that it takes. `*.` stands for one label or more.",
);
pub(crate) static PATH: Field<UrlPath> = Field::optional(
    "path",
    URL_PATH,
    "every path",
    "The one path that it takes.",
);
pub(crate) static PATH_PREFIX: Field<UrlPath> = Field::optional(
    "path_prefix",
    URL_PATH,
    "every path",
    "Takes this path and those below it: `/shop` takes `/shop` and `/shop/cart`, not `/shopping`.",
);
pub(crate) static METHODS: Field<Vec<At<Verb>>> = Field::optional(
    "methods",
    Shape::List {
        of: &Shape::Text("a method like \"GET\""),
        min: 1,
        max: 32,
    },
    "every method",
    "Methods that it takes.",
);
pub(crate) static HEADERS: Field<Pairs<FieldName, MatchText<FieldValue>>> = Field::optional(
    "headers",
    Shape::Pairs {
        key: "the name of a header field",
        of: &Shape::TextOrTrue("the value of a header field"),
        max: 32,
    },
    "no condition",
    "Header fields that a request must have, with this value, or with any where it is `true`.",
);
pub(crate) static QUERY: Field<Pairs<Literal, MatchText<Literal>>> = Field::optional(
    "query",
    Shape::Pairs {
        key: "the name of a parameter",
        of: &Shape::TextOrTrue("the value of a parameter"),
        max: 32,
    },
    "no condition",
    "Query parameters that a request must have, decoded, with this value, or with any where it is `true`.",
);
pub(crate) static UPSTREAM: Field<Identity> = Field::optional(
    "upstream",
    UPSTREAM_NAME,
    "another of the four is there",
    "Forwards to this upstream.",
);
pub(crate) static SPLIT: Nested = Nested::optional(
    "split",
    Shape::Tables {
        of: &SHARE,
        min: 1,
        max: 64,
    },
    "another of the four is there",
    "Forwards to several upstreams, in proportion to their weights.",
);
pub(crate) static RESPOND: Nested = Nested::optional(
    "respond",
    Shape::Table(&ANSWER),
    "another of the four is there",
    "Answers by itself.",
);
pub(crate) static REDIRECT: Nested = Nested::optional(
    "redirect",
    Shape::Table(&LEAD),
    "another of the four is there",
    "Sends the client elsewhere.",
);
pub(crate) static FALLBACK: Nested = Nested::optional(
    "fallback",
    Shape::Table(&FALLBACK_RULE),
    "the fault is told",
    "What is answered when nothing else can serve.",
);
pub(crate) static STRIP_PREFIX: Field<UrlPath> = Field::optional(
    "strip_prefix",
    URL_PATH,
    "the path goes upstream as it is",
    "Cuts this off the path before it goes upstream.",
);
pub(crate) static REPLACE_PREFIX: Field<UrlPath> = Field::optional(
    "replace_prefix",
    URL_PATH,
    "the path goes upstream as it is",
    "Puts this in place of `path_prefix` (or `path`) before the path goes upstream.",
);
pub(crate) static REQUEST_HEADERS: Nested = Nested::optional(
    "request_headers",
    Shape::Table(&EDITS),
    "none",
    "Changes of the request's head on its way upstream.",
);
pub(crate) static RESPONSE_HEADERS: Nested = Nested::optional(
    "response_headers",
    Shape::Table(&EDITS),
    "none",
    "Changes of the answer's head on its way to the client.",
);
pub(crate) static PRIORITY: Preset<Priority> = Preset::new(
    "priority",
    Priority::SHAPE,
    Priority::Normal,
    "What its requests are worth when not all can be served.",
);
pub(crate) static PORTION: Field<Portion> = Field::optional(
    "share",
    Shape::Share {
        min: 0.001,
        max: 1.0,
    },
    "what the shares of others leave, together with all routes that have none",
    "The part of its upstream's places that is its own when it wants it, in steps of 0.001; what it does not use is lent to others. The shares of all routes of one upstream add up to 1 at most. With `split` it holds at each upstream.",
);
pub(crate) static TENANT: Preset<Tenant> = Preset::new(
    "tenant",
    Shape::Text("one of: none, client_ip, header:NAME"),
    Tenant(crate::config::TenantKey::ClientIp),
    "Among whom places are shared fairly when not all can have one: nobody (all are one), clients by their address (IPv6 by /64), or the values of a header field (the address where it is missing).",
);
pub(crate) static TIMEOUT: Preset<Option<Duration>> = Preset::new(
    "timeout",
    Shape::Time {
        min: millis(1),
        max: hours(24),
        off: true,
    },
    Some(secs(60)),
    "From the request's head to the last byte of the answer, retries included; tunnels are exempt. Then 504, or the body is cut.",
);
pub(crate) static MAX_BODY: Preset<Option<ByteSize>> = Preset::new(
    "max_body",
    Shape::Size {
        min: 0,
        max: MIB << 20,
        off: true,
    },
    None,
    "Largest request body; beyond it 413.",
);
pub(crate) static RETRY: Nested = Nested::optional(
    "retry",
    Shape::Table(&RETRY_RULE),
    "its defaults",
    "What is tried again. A retry needs room in the upstream's budget: a fifth of its live requests, at least 3.",
);
pub(crate) static HEDGE: Nested = Nested::optional(
    "hedge",
    Shape::Table(&HEDGE_RULE),
    "no second try",
    "A second try on another server beside a slow first one; the answer that comes first is taken. Only for idempotent methods, and from the budget of `retry`.",
);
pub(crate) static OUTCOMES: Nested = Nested::optional(
    "outcomes",
    Shape::Table(&OUTCOME_LISTS),
    "its defaults",
    "What an answer says of its server's load, where the limit is found.",
);
pub(crate) static RATE_LIMITS: Nested = Nested::optional(
    "rate_limits",
    Shape::Tables {
        of: &RATE_LIMIT,
        min: 0,
        max: 16,
    },
    "none",
    "Token buckets; all must have a token.",
);

pub(crate) static SHARE: Section = Section::of(
    "share",
    "an entry of split",
    "A share of a route's requests.",
    &[&SHARE_UPSTREAM, &SHARE_WEIGHT],
);
pub(crate) static SHARE_UPSTREAM: Field<Identity> =
    Field::required("upstream", UPSTREAM_NAME, "Who gets it.");
pub(crate) static SHARE_WEIGHT: Preset<u32> = Preset::new(
    "weight",
    Shape::Count {
        min: 0,
        max: 1_000_000,
    },
    1,
    "How much, against the others. 0: nothing; not all may be 0.",
);

pub(crate) static ANSWER: Section = Section::of(
    "respond",
    "respond of [[routes]]",
    "An answer of the gateway's own.",
    &[&STATUS, &BODY],
);
pub(crate) static STATUS: Preset<StatusCode> = Preset::new(
    "status",
    Shape::Count { min: 200, max: 599 },
    StatusCode::OK,
    "The status.",
);
pub(crate) static BODY: Field<Literal> = Field::optional(
    "body",
    Shape::Text("text"),
    "empty",
    "The body, as plain text, at most 64 KiB.",
);

pub(crate) static FALLBACK_RULE: Section = Section {
    one_of: &["upstream", "file", "respond"],
    not_both: &[
        ("upstream", "status"),
        ("upstream", "content_type"),
        ("respond", "status"),
        ("respond", "content_type"),
    ],
    ..Section::of(
        "fallback",
        "fallback of [[routes]]",
        "For when nothing else can serve: no server of the upstream can, its name has no address, or every try ended before a connection was made. Not for requests that are refused by a rate limit, for want of a place, or under pressure: there it would only move the load. There is no second fallback: what the other upstream says, or why it cannot, is the answer.",
        &[
            &FALLBACK_UPSTREAM,
            &FALLBACK_FILE,
            &FALLBACK_STATUS,
            &CONTENT_TYPE,
            &FALLBACK_RESPOND,
        ],
    )
};
pub(crate) static FALLBACK_UPSTREAM: Field<Identity> = Field::optional(
    "upstream",
    UPSTREAM_NAME,
    "another of the three is there",
    "Forwards to this upstream, whose limits hold as for any request; the route's `share` does not count there. Not one that the route forwards to, unless it splits to others too. After tries that failed, a body is only sent on where nothing of it was sent, or where it was kept (`retry.replay`).",
);
pub(crate) static FALLBACK_FILE: Field<FilePath> = Field::optional(
    "file",
    super::listener::FILE,
    "another of the three is there",
    "Answers with what this file holds, at most 1 MiB. It is read with the config, and again at SIGHUP.",
);
pub(crate) static FALLBACK_STATUS: Preset<StatusCode> = Preset::new(
    "status",
    Shape::Count { min: 200, max: 599 },
    StatusCode::SERVICE_UNAVAILABLE,
    "The status of `file`.",
);
pub(crate) static CONTENT_TYPE: Field<FieldValue> = Field::optional(
    "content_type",
    Shape::Text("a media type like \"text/html; charset=utf-8\""),
    "`\"text/html; charset=utf-8\"`",
    "What `file` holds.",
);
pub(crate) static FALLBACK_RESPOND: Nested = Nested::optional(
    "respond",
    Shape::Table(&FALLBACK_ANSWER),
    "another of the three is there",
    "Answers by itself.",
);
pub(crate) static FALLBACK_ANSWER: Section = Section::of(
    "fallback_respond",
    "respond of fallback",
    "An answer of the gateway's own.",
    &[&FALLBACK_ANSWER_STATUS, &BODY],
);
pub(crate) static FALLBACK_ANSWER_STATUS: Preset<StatusCode> = Preset::new(
    "status",
    Shape::Count { min: 200, max: 599 },
    StatusCode::SERVICE_UNAVAILABLE,
    "The status.",
);

pub(crate) static LEAD: Section = Section::of(
    "redirect",
    "redirect of [[routes]]",
    "Sends the client elsewhere.",
    &[&LEAD_STATUS, &TO],
);
pub(crate) static LEAD_STATUS: Preset<StatusCode> = Preset::new(
    "status",
    Shape::Count { min: 301, max: 308 },
    StatusCode::PERMANENT_REDIRECT,
    "301, 302, 303, 307 or 308.",
);
pub(crate) static TO: Field<RedirectTo> = Field::required(
    "to",
    Shape::Text("a path like \"/new\", or a URL like \"https://example.com{path}\""),
    "Where to: a path, or a whole URL. `{path}` and `{query}` stand for the request's.",
);

pub(crate) static EDITS: Section = Section::of(
    "header_edits",
    "request_headers or response_headers",
    "Changes of a head. First fields are removed, then set.",
    &[&SET, &REMOVE],
);
pub(crate) static SET: Field<Pairs<FieldName, FieldValue>> = Field::optional(
    "set",
    Shape::Pairs {
        key: "the name of a header field",
        of: &Shape::Text("the value of a header field"),
        max: 64,
    },
    "none",
    "Fields that are set, each replacing what was there.",
);
pub(crate) static REMOVE: Field<Vec<At<FieldName>>> = Field::optional(
    "remove",
    Shape::List {
        of: &Shape::Text("the name of a header field"),
        min: 0,
        max: 64,
    },
    "none",
    "Fields that are taken out.",
);

pub(crate) static RETRY_RULE: Section = Section::of(
    "retry",
    "retry of [[routes]]",
    "What is tried again: on another server if one can serve, else once on the same.",
    &[&ATTEMPTS, &ON, &REPLAY],
);
pub(crate) static ATTEMPTS: Preset<NonZeroU32> = Preset::new(
    "attempts",
    Shape::Count { min: 1, max: 10 },
    match NonZeroU32::new(2) {
        Some(two) => two,
        None => NonZeroU32::MIN,
    },
    "All tries, the first included. 1: no retry.",
);
pub(crate) static ON: Field<Vec<At<RetryWord>>> = Field::optional(
    "on",
    Shape::List {
        of: &RetryWord::SHAPE,
        min: 0,
        max: 6,
    },
    "`[\"connect\", \"reset\"]`",
    "After what. All but `connect` only for idempotent methods.",
);
pub(crate) static REPLAY: Preset<ByteSize> = Preset::new(
    "replay",
    size(0, 16 * MIB),
    ByteSize(64 * KIB),
    "How much of a request body is kept for another try; a longer one is not tried again.",
);

pub(crate) static HEDGE_RULE: Section = Section::of(
    "hedge",
    "hedge of [[routes]]",
    "A second try beside a slow first one. Where the budget has no room, or no other server has a place, there is none.",
    &[&AFTER],
);
pub(crate) static AFTER: Field<HedgeTime> = Field::required(
    "after",
    Shape::Text("a percentile like \"p95\", or a duration like \"50ms\""),
    "How long the first try is waited for: a duration, `\"1ms\"` to `\"1h\"`, or as long as that percentage of the route's requests take, `\"p50\"` to `\"p99\"`.",
);

pub(crate) static OUTCOME_LISTS: Section = Section::of(
    "outcomes",
    "outcomes of [[routes]]",
    "What statuses mean to a limit that is found. What no list names is a success. A status is in one list at most.",
    &[&DROPPED, &IGNORED, &GRPC_DROPPED],
);
pub(crate) static DROPPED: Field<Vec<At<StatusCode>>> = Field::optional(
    "dropped",
    STATUSES,
    "`[429, 503, 504]`",
    "Statuses by which a server says that it has too much to do: they lower its limit, and how fast they came counts for nothing.",
);
pub(crate) static IGNORED: Field<Vec<At<StatusCode>>> = Field::optional(
    "ignored",
    STATUSES,
    "none",
    "Statuses that say nothing of a server's load: they change nothing.",
);
pub(crate) static GRPC_DROPPED: Field<Vec<At<GrpcCode>>> = Field::optional(
    "grpc_dropped",
    Shape::List {
        of: &Shape::Code {
            what: "the name of a gRPC code like \"UNAVAILABLE\"",
            words: GRPC_CODES,
        },
        min: 0,
        max: GRPC_CODES.len(),
    },
    "`[\"RESOURCE_EXHAUSTED\", \"UNAVAILABLE\"]`",
    "The same for gRPC, by `grpc-status`: each code by its name or its number.",
);
/// Statuses that end an exchange.
const STATUSES: Shape = Shape::List {
    of: &Shape::Count { min: 200, max: 599 },
    min: 0,
    max: 64,
};

pub(crate) static RATE_LIMIT: Section = Section::of(
    "rate_limit",
    "[[routes.rate_limits]]",
    "A token bucket. A request that finds no token is refused with 429 and `Retry-After`.",
    &[&LIMIT_NAME, &RATE, &BURST, &LIMIT_KEY, &MAX_KEYS, &SHADOW],
);
pub(crate) static LIMIT_NAME: Field<LimitName> = Field::optional(
    "name",
    Shape::Text("a name like \"per-client\""),
    "the key",
    "Its name, unique in the route; clients see it in `RateLimit-Policy`.",
);
pub(crate) static RATE: Field<Rate> = Field::required(
    "rate",
    Shape::Text("a rate like \"200/s\", \"30/m\" or \"1000/h\""),
    "How many tokens come back, per second, minute or hour: 1 to 1,000,000,000.",
);
pub(crate) static BURST: Field<NonZeroU32> = Field::optional(
    "burst",
    Shape::Count {
        min: 1,
        max: 1_000_000_000,
    },
    "the count of `rate`",
    "How many tokens the bucket holds.",
);
pub(crate) static LIMIT_KEY: Preset<LimitKey> = Preset::new(
    "key",
    Shape::Text("one of: none, client_ip, header:NAME"),
    LimitKey(crate::config::RateKey::ClientIp),
    "What has a bucket of its own: nothing (one for all), the client's address (IPv6 by /64), or the value of a header field (the address where it is missing).",
);
pub(crate) static MAX_KEYS: Preset<NonZeroUsize> = Preset::new(
    "max_keys",
    Shape::Count {
        min: 1,
        max: 16_777_216,
    },
    match NonZeroUsize::new(65_536) {
        Some(keys) => keys,
        None => NonZeroUsize::MIN,
    },
    "Most buckets kept at a time.",
);
pub(crate) static SHADOW: Preset<bool> = Preset::new(
    "shadow",
    Shape::Flag,
    false,
    "Counts what it would refuse, and refuses nothing.",
);

const URL_PATH: Shape = Shape::Text("a path like \"/shop\"");
const UPSTREAM_NAME: Shape = Shape::Text("the name of an upstream");
