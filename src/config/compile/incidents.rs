//! `[incidents]`

use std::path::PathBuf;

use http::uri::Scheme;

use super::Folder;
use crate::config::{
    IncidentsPlan, WebhookPlan,
    fields::incidents as keys,
    problem::{At, Code, Problem, Span},
    row::Row,
};

/// The files that a webhook names.
#[derive(Debug)]
pub(in crate::config) struct NamedHook {
    /// The `webhook` table.
    pub(in crate::config) at: Span,
    pub(in crate::config) secure: bool,
    pub(in crate::config) token: Option<At<PathBuf>>,
    pub(in crate::config) ca: Option<At<PathBuf>>,
}

pub(super) fn incidents(row: &Row<'_>, folder: Folder<'_>) -> (IncidentsPlan, Option<NamedHook>) {
    let hook = row
        .table(&keys::WEBHOOK)
        .and_then(|hook| webhook(&hook, folder));
    let (webhook, named) = hook.unzip();
    let plan = IncidentsPlan {
        min_faults: row.value(&keys::MIN_FAULTS),
        min_share: row.value(&keys::MIN_SHARE),
        window: row.value(&keys::WINDOW),
        end_after: row.value(&keys::END_AFTER),
        webhook,
    };
    (plan, named)
}

fn webhook(row: &Row<'_>, folder: Folder<'_>) -> Option<(WebhookPlan, NamedHook)> {
    let timeout = row.value(&keys::TIMEOUT);
    let token = row.get(&keys::TOKEN_FILE).map(|file| folder.path(file));
    let ca = row.get(&keys::CA).map(|file| folder.path(file));
    let url = row.get(&keys::URL)?.it.0;
    let secure = url.scheme() == Some(&Scheme::HTTPS);
    if !secure {
        if let Some(ca) = &ca {
            row.problems().add(Problem::error(
                Code::Conflict,
                ca.at,
                "`ca` of a webhook without TLS",
                "the URL is `http://`",
            ));
        }
        if let Some(token) = &token {
            row.problems().add(
                Problem::warning(
                    Code::Dangerous,
                    token.at,
                    "the token of the webhook goes over the network as plain text",
                    "the URL is `http://`",
                )
                .help("use `https://`, unless the receiver is on this machine"),
            );
        }
    }
    let named = NamedHook {
        at: row.at,
        secure,
        token: token.clone(),
        ca: ca.clone(),
    };
    let plan = WebhookPlan {
        url,
        token_file: token.map(|file| file.it),
        ca: ca.map(|file| file.it),
        timeout,
    };
    Some((plan, named))
}
