//! The config and the gateway itself.

use super::Guide;

pub(super) const NO_ROUTE: Guide = Guide {
    means: "No route of the config takes this host, path, method, header fields and query together.",
    reasons: &[
        "A host that is missing in `hosts`, such as the name with www.",
        "A path that no `path` or `path_prefix` covers.",
        "A method that `methods` leaves out.",
        "A scanner that asks for names and paths which do not exist.",
    ],
    look: &[
        "`host`, `method` and `path` in the access log.",
        "`/api/v1/routes` for what each route takes.",
        "`tidegate config diff`, if it worked before.",
    ],
    prevent: &["A last route without conditions, that answers what nobody else takes."],
};

pub(super) const PANICKED: Guide = Guide {
    means: "A panic while the request was handled. It was caught: only this request failed, and what it held was given back.",
    reasons: &["A defect of Tidegate."],
    look: &[
        "The gateway's log at that second: it holds the place in the code.",
        "Whether the same request does it again.",
    ],
    prevent: &["Report it with the log line and the version."],
};

pub(super) const BUG: Guide = Guide {
    means: "Something happened that the code takes for impossible. Only this request failed.",
    reasons: &["A defect of Tidegate."],
    look: &["The gateway's log at that second, with its detail."],
    prevent: &["Report it with the log line and the version."],
};
