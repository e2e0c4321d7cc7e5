//! Rows of the file -> a plan. Pure: no file is read, and all errors are noted.
//!
//! What is wrong is left out or takes its default, so that the rest can be looked at; where anything was
//! noted, the plan is thrown away by `read`.

mod change;
mod concurrency;
mod conflict;
mod errors;
mod fallback;
mod groups;
mod health;
mod incidents;
mod limits;
mod listener;
mod matcher;
mod overload;
mod process;
mod route;
mod share;
mod upstream;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::{Spanned, de::DeTable};

pub(super) use incidents::NamedHook;

use super::{
    ClientAuth, Plan, UpstreamProtocol, fields,
    problem::{At, Code, Problem, Problems, Span},
    row::Row,
    value::{FilePath, Identity},
};
use crate::names::{ListenerName, RouteName, UpstreamName};

/// A plan, and the files that it names with their places in the config.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) plan: Plan,
    pub(super) named: Named,
}

/// Files that the config names.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) token: Option<At<PathBuf>>,
    pub(super) listeners: Vec<NamedServer>,
    pub(super) upstreams: Vec<NamedRoots>,
    /// What routes answer with when nothing else can serve.
    pub(super) fallbacks: Vec<(RouteName, At<PathBuf>)>,
    /// What browsers get of a fault.
    pub(super) page: Option<At<PathBuf>>,
    pub(super) webhook: Option<NamedHook>,
    /// What lists of name servers need of which any is asked over TLS.
    pub(super) name_servers: Vec<NamedTrust>,
}

/// What a listener with TLS needs.
#[derive(Debug)]
pub(super) struct NamedServer {
    pub(super) listener: ListenerName,
    pub(super) pairs: Vec<NamedPair>,
    pub(super) clients: Option<NamedClients>,
}

/// Whose certificates clients of a listener show.
#[derive(Debug, Clone)]
pub(super) struct NamedClients {
    pub(super) ca: At<PathBuf>,
    pub(super) auth: ClientAuth,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub(super) struct NamedPair {
    pub(super) cert: At<PathBuf>,
    pub(super) key: At<PathBuf>,
}

/// What an upstream with TLS needs.
#[derive(Debug)]
pub(super) struct NamedRoots {
    pub(super) upstream: UpstreamName,
    pub(super) protocol: UpstreamProtocol,
    /// The `tls` table.
    pub(super) at: Span,
    pub(super) ca: Option<At<PathBuf>>,
    pub(super) client: Option<NamedPair>,
}

/// What a list of name servers needs of which one is asked over TLS.
#[derive(Debug, Clone)]
pub(super) struct NamedTrust {
    /// The first server that is.
    pub(super) at: Span,
    /// Left out: the system's.
    pub(super) ca: Option<At<PathBuf>>,
}

/// Turns paths of the file into paths of the system: those that are relative start at the file's folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder<'a>(pub(super) &'a Path);

/// Compiles a file whose relative paths start at `folder`.
pub(super) fn compile(
    tables: &Spanned<DeTable<'_>>,
    folder: Folder<'_>,
    problems: &Problems,
) -> Compiled {
    let root = Row::open(tables.get_ref(), Span::default(), &fields::ROOT, problems);
    let (admin, token) = process::admin(&root.table_or_empty(&fields::ADMIN), folder);
    let listeners = listener::all(&root, folder);
    let upstreams = upstream::all(&root, folder);
    let routes = route::all(&root, &upstreams, folder);
    conflict::binds(&root, &admin, &listeners);
    conflict::loops(&listeners, &upstreams, &routes, problems);
    conflict::waits(&upstreams, &routes, problems);
    share::check(&upstreams, &routes, problems);
    conflict::equal_routes(&routes, problems);
    conflict::unused(&upstreams, &routes, problems);
    let (dns, trust) = process::dns(&root.table_or_empty(&fields::DNS), folder);
    let (errors, page) = errors::errors(&root.table_or_empty(&fields::ERRORS), folder);
    let (incidents, webhook) =
        incidents::incidents(&root.table_or_empty(&fields::INCIDENTS), folder);
    let trust_of = |upstream: &upstream::Upstream| upstream.name_servers.clone();
    let named = Named {
        token,
        name_servers: trust
            .into_iter()
            .chain(upstreams.iter().filter_map(trust_of))
            .collect(),
        listeners: listeners
            .iter()
            .filter(|listener| listener.plan.tls.is_some())
            .map(listener::Listener::server)
            .collect(),
        upstreams: upstreams
            .iter()
            .filter_map(upstream::Upstream::roots)
            .collect(),
        fallbacks: routes.iter().filter_map(route::Route::page).collect(),
        page,
        webhook,
    };
    let plan = Plan {
        admin: admin.plan,
        log: process::log(&root.table_or_empty(&fields::LOG), folder),
        drain: process::drain(&root.table_or_empty(&fields::DRAIN)),
        upgrade: change::upgrade(&root.table_or_empty(&fields::UPGRADE)),
        errors,
        dns,
        pressure: process::pressure(&root.table_or_empty(&fields::PRESSURE)),
        reload: change::reload(&root.table_or_empty(&fields::RELOAD)),
        history: change::history(&root.table_or_empty(&fields::HISTORY), folder),
        incidents,
        listeners: listeners
            .into_iter()
            .map(|listener| listener.plan)
            .collect(),
        upstreams: upstreams
            .into_iter()
            .map(|upstream| (upstream.plan.name.clone(), Arc::new(upstream.plan)))
            .collect(),
        routes: routes
            .into_iter()
            .map(|route| Arc::new(route.plan))
            .collect(),
    };
    Compiled { plan, named }
}

// === impl Named ===

impl Named {
    /// The paths of all of them.
    pub(super) fn paths(&self) -> BTreeSet<PathBuf> {
        let pairs = self.listeners.iter().flat_map(|server| &server.pairs);
        let shown = self
            .upstreams
            .iter()
            .filter_map(|roots| roots.client.as_ref());
        let pairs = pairs.chain(shown).flat_map(|pair| [&pair.cert, &pair.key]);
        let clients = self
            .listeners
            .iter()
            .filter_map(|server| server.clients.as_ref());
        let roots = self.upstreams.iter().filter_map(|roots| roots.ca.as_ref());
        let asked = self
            .name_servers
            .iter()
            .filter_map(|trust| trust.ca.as_ref());
        let roots = roots.chain(clients.map(|clients| &clients.ca)).chain(asked);
        let pages = self.fallbacks.iter().map(|(_, file)| file);
        let pages = pages.chain(&self.page);
        let hook = self.webhook.iter();
        let hook = hook.flat_map(|hook| hook.token.iter().chain(&hook.ca));
        let named = pages.chain(&self.token).chain(hook);
        let files = pairs.chain(roots).chain(named);
        files.map(|file| file.it.clone()).collect()
    }
}

// === impl Folder ===

impl Folder<'_> {
    fn path(self, file: At<FilePath>) -> At<PathBuf> {
        file.map(|file| self.join(&file.0))
    }

    fn join(self, file: &Path) -> PathBuf {
        self.0.join(file)
    }
}

/// The names of several things of one kind: `default` where there is only one, else given and different.
fn names(
    rows: &[Row<'_>],
    given: &[Option<At<Identity>>],
    what: &str,
    problems: &Problems,
) -> Vec<String> {
    let mut taken: BTreeMap<&str, Span> = BTreeMap::new();
    let mut names = Vec::new();
    for (row, name) in rows.iter().zip(given) {
        let Some(name) = name else {
            // A name that is wrong was noted where it was read.
            if rows.len() > 1 && !row.has("name") {
                problems.add(
                    Problem::error(
                        Code::Name,
                        row.at,
                        format!("this {what} has no name"),
                        "expected `name`",
                    )
                    .help(format!("only a single {what} may go without one")),
                );
            }
            names.push("default".to_owned());
            continue;
        };
        match taken.get(name.it.0.as_str()) {
            Some(first) => problems.add(
                Problem::error(
                    Code::Name,
                    name.at,
                    format!("two {what}s are named `{}`", name.it.0),
                    "the name is taken",
                )
                .and(*first, "taken here"),
            ),
            None => {
                taken.insert(&name.it.0, name.at);
            }
        }
        names.push(name.it.0.clone());
    }
    names
}
