//! `[upstreams.NAME.health]` and what is below it.

use std::{
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

use super::{hours, millis, secs, time, upstream::count};
use crate::config::{
    CheckMethod,
    problem::At,
    shape::{Field, Nested, Preset, Section, Shape},
    value::{
        BodyText, ByteSize, CheckPath, FieldName, FieldValue, GrpcService, HostField, Pairs,
        Portion, StatusRange, Word,
    },
};

pub(crate) static CHECK: Section = Section {
    not_both: &[("path", "grpc")],
    ..Section::of(
        "health",
        "[upstreams.NAME.health]",
        "Active checks. A first check that fails marks down at once. With `path` a check is a request, with `grpc` a call of the gRPC health protocol, without either a connection; TLS is spoken as to requests, with the same name. A check has a connection of its own. One that ends badly while this process itself stood still (short of CPU, paused, out of descriptors) proves nothing and is not counted.",
        &[
            &PATH,
            &GRPC,
            &METHOD,
            &PORT,
            &HOST,
            &HEADERS,
            &EXPECTED_STATUSES,
            &EXPECTED_BODY,
            &MAX_BODY,
            &DEGRADED,
            &INTERVAL,
            &FAST_INTERVAL,
            &TIMEOUT,
            &UNHEALTHY_AFTER,
            &HEALTHY_AFTER,
        ],
    )
};
pub(crate) static PATH: Field<CheckPath> = Field::optional(
    "path",
    Shape::Text("a path like \"/healthz\""),
    "the connection alone is the check, unless `grpc` is there",
    "What is asked for, with a query if need be. Redirects are not followed.",
);
pub(crate) static GRPC: Nested = Nested::optional(
    "grpc",
    Shape::TableOrTrue(&GRPC_CHECK),
    "no gRPC",
    "Calls `grpc.health.v1.Health/Check` over HTTP/2; SERVING passes. Not with `protocol = \"http1\"`.",
);
pub(crate) static METHOD: Preset<CheckMethod> = Preset::new(
    "method",
    CheckMethod::SHAPE,
    CheckMethod::Get,
    "How `path` is asked for.",
);
pub(crate) static PORT: Field<NonZeroU16> = Field::optional(
    "port",
    Shape::Count { min: 1, max: 65535 },
    "the endpoint's own",
    "Another port of each server, where checks are answered.",
);
pub(crate) static HOST: Field<HostField> = Field::optional(
    "host",
    Shape::Text("a host like \"shop.internal\" or \"shop.internal:8080\""),
    "the server's name or address, and the port that is checked",
    "The `Host` or `:authority` of checks. TLS keeps the upstream's name.",
);
pub(crate) static HEADERS: Field<Pairs<FieldName, FieldValue>> = Field::optional(
    "headers",
    Shape::Pairs {
        key: "the name of a header field",
        of: &Shape::Text("the value of a header field"),
        max: 64,
    },
    "none",
    "More fields of checks. `user-agent` is `tidegate-health` unless it is here.",
);
pub(crate) static EXPECTED_STATUSES: Field<Vec<At<StatusRange>>> = Field::optional(
    "expected_statuses",
    STATUSES,
    "200 to 399",
    "The statuses that pass, as in `[\"200-299\", 304]`.",
);
pub(crate) static EXPECTED_BODY: Field<BodyText> = Field::optional(
    "expected_body",
    Shape::Text("a text that the body must hold, like \"ok\""),
    "the body is not read",
    "Passes only where the body holds this, anywhere in its first `max_body`.",
);
pub(crate) static MAX_BODY: Preset<ByteSize> = Preset::new(
    "max_body",
    Shape::Size {
        min: 1 << 10,
        max: 1 << 20,
        off: false,
    },
    ByteSize(64 << 10),
    "How much of a body is read for `expected_body`, however much is sent.",
);
pub(crate) static DEGRADED: Nested = Nested::optional(
    "degraded",
    Shape::Table(&DEGRADED_RULE),
    "nothing is listened for",
    "How a server says that it can do less. It goes on serving with a share of its weight.",
);
pub(crate) static INTERVAL: Preset<Duration> = Preset::new(
    "interval",
    time(millis(100), hours(1)),
    secs(5),
    "Between two checks of a server, give or take a tenth.",
);
pub(crate) static FAST_INTERVAL: Field<Duration> = Field::optional(
    "fast_interval",
    time(millis(100), hours(1)),
    "`interval`, at most `\"1s\"`",
    "The same while it is unsure: nothing is known yet, or the last check contradicts what holds. Not more than `interval`.",
);
pub(crate) static TIMEOUT: Preset<Duration> = Preset::new(
    "timeout",
    time(millis(1), secs(60)),
    secs(1),
    "How long a check may take. Not more than `interval`.",
);
pub(crate) static UNHEALTHY_AFTER: Preset<NonZeroU32> = Preset::new(
    "unhealthy_after",
    Shape::Count { min: 1, max: 100 },
    count(3),
    "Failures in a row that mark a server down.",
);
pub(crate) static HEALTHY_AFTER: Preset<NonZeroU32> = Preset::new(
    "healthy_after",
    Shape::Count { min: 1, max: 100 },
    count(2),
    "Successes in a row that mark it up.",
);

pub(crate) static GRPC_CHECK: Section = Section::of(
    "grpc_check",
    "grpc of [upstreams.NAME.health]",
    "Whom the gRPC health protocol is asked about. `grpc = true` asks about the server as a whole.",
    &[&SERVICE],
);
pub(crate) static SERVICE: Field<GrpcService> = Field::optional(
    "service",
    Shape::Text("the name of a gRPC service, like \"shop.v1.Orders\""),
    "the server as a whole",
    "The service that is asked about.",
);

pub(crate) static DEGRADED_RULE: Section = Section::of(
    "degraded",
    "degraded of [upstreams.NAME.health]",
    "What says that a server is degraded: a field of its answers, or a status. At least one of `header` and `statuses` must be there; either is enough.",
    &[&HEADER, &VALUE, &STATUSES_DEGRADED, &SHARE],
);
pub(crate) static HEADER: Field<FieldName> = Field::optional(
    "header",
    Shape::Text("the name of a header field"),
    "none",
    "A header field that says so, like `x-envoy-degraded`.",
);
pub(crate) static VALUE: Field<FieldValue> = Field::optional(
    "value",
    Shape::Text("the value of a header field"),
    "any",
    "What `header` must hold to say so.",
);
pub(crate) static STATUSES_DEGRADED: Field<Vec<At<StatusRange>>> = Field::optional(
    "statuses",
    STATUSES,
    "none",
    "Statuses that say so, as in `[218]`. They pass, expected or not.",
);
pub(crate) static SHARE: Preset<Portion> = Preset::new(
    "share",
    Shape::Share {
        min: 0.001,
        max: 1.0,
    },
    QUARTER,
    "How much of its weight a degraded server keeps.",
);

/// Some statuses.
const STATUSES: Shape = Shape::List {
    of: &Shape::Statuses,
    min: 1,
    max: 32,
};
const QUARTER: Portion = Portion(count(250));
