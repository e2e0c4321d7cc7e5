//! Reads the files that a config names: certificates, keys, authorities, pages, the admin token.
//!
//! The only part of the room, beside the reading of the config itself, that touches the disk. What is wrong
//! with a file is told at the place of the config that names it.

mod hook;
mod kept;
mod page;
mod pem;
mod tls;
mod validity;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use self::kept::Kept;
pub use self::{
    hook::HookFiles,
    kept::{CertificateFacts, Trouble},
    validity::not_after,
};
use super::{
    Template,
    compile::Named,
    problem::{At, Code, Problem, Problems},
    source::{self, ReadError},
};
use crate::names::{ListenerName, RouteName, UpstreamName};

/// What the files that a config names held.
#[derive(Clone, Default)]
pub struct Files {
    /// TLS of each listener that speaks it: a certificate by the client's host name; ALPN `h2`, `http/1.1`.
    pub listeners: BTreeMap<ListenerName, Arc<rustls::ServerConfig>>,
    /// TLS of each upstream that speaks it: roots, our certificate, ALPN by the upstream's protocol.
    pub upstreams: BTreeMap<UpstreamName, Arc<rustls::ClientConfig>>,
    /// How name servers over TLS are checked, where the config has any.
    pub name_servers: DnsTrusts,
    /// What routes answer with when nothing else can serve, where that is a file.
    pub fallbacks: BTreeMap<RouteName, Bytes>,
    /// What browsers get of a fault, where that is a file.
    pub page: Option<Arc<Template>>,
    /// What callers of the admin listener must show.
    pub admin_token: Option<Secret>,
    /// What the webhook needs, where there is one.
    pub webhook: Option<HookFiles>,
    /// SHA-256 over the bytes of all named files; it changes when any of them does.
    pub fingerprint: [u8; 32],
    /// The certificates that listeners show.
    pub certificates: Vec<CertificateFacts>,
    /// Files that are wrong, while what they held before stays in force.
    pub troubles: Vec<Trouble>,
    kept: Kept,
}

/// How name servers over TLS are checked, by the file of authorities; `None`: the system's.
pub type DnsTrusts = BTreeMap<Option<PathBuf>, DnsTrust>;

/// How name servers over TLS are checked.
#[derive(Debug, Clone)]
pub struct DnsTrust {
    /// What connections to them are made by.
    pub config: Arc<rustls::ClientConfig>,
    /// Another one where other authorities are trusted than before.
    pub print: [u8; 32],
}

/// Text that no log and no debug print may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// Reads named files, noting what cannot be read and hashing what can.
struct Reader<'p> {
    problems: &'p Problems,
    hash: Sha256,
    /// What the files held before, where they were read before.
    before: Option<&'p Files>,
    troubles: Vec<Trouble>,
}

/// The largest token file, in bytes.
const MAX_TOKEN: u64 = 4096;
/// The largest file that a route answers with.
const MAX_PAGE: u64 = 1 << 20;

/// Reads what `named` names. What cannot be used is what it was `before`; where it was not there, it is noted and left
/// out.
pub(super) fn load(named: &Named, before: Option<&Files>, problems: &Problems) -> Files {
    let mut reader = Reader {
        problems,
        hash: Sha256::new(),
        before,
        troubles: Vec::new(),
    };
    let mut files = Files::default();
    let token = named.token.as_ref();
    if let Some((path, token)) =
        token.and_then(|file| reader.token_or_before(file, |kept| &kept.token))
    {
        files.admin_token = Some(token.clone());
        files.kept.token = Some((path, token));
    }
    for server in &named.listeners {
        tls::server(server, &mut reader, &mut files);
    }
    let mut system = tls::SystemRoots::default();
    for roots in &named.upstreams {
        tls::client(roots, &mut system, &mut reader, &mut files);
    }
    for trust in &named.name_servers {
        tls::name_servers(trust, &mut system, &mut reader, &mut files);
    }
    files.webhook = named
        .webhook
        .as_ref()
        .and_then(|hook| hook::load(hook, &mut system, &mut reader, &mut files));
    for (route, file) in &named.fallbacks {
        let kept = |before: &Files| before.kept.answers.get(&file.it).cloned();
        let read = |reader: &mut Reader<'_>| reader.bytes(file, MAX_PAGE).map(Bytes::from);
        if let Some(bytes) = reader.or_before(&file.it, kept, read) {
            files.kept.answers.insert(file.it.clone(), bytes.clone());
            files.fallbacks.insert(route.clone(), bytes);
        }
    }
    if let Some(file) = &named.page
        && let Some(page) = reader.page_or_before(file)
    {
        files.page = Some(Arc::clone(&page));
        files.kept.page = Some((file.it.clone(), page));
    }
    files.fingerprint = reader.hash.finalize().into();
    files.troubles = reader.troubles;
    files
}

// === impl Reader ===

impl Reader<'_> {
    /// The bytes of a named file.
    fn bytes(&mut self, file: &At<PathBuf>, max: u64) -> Option<Vec<u8>> {
        match source::read_bounded(&file.it, max) {
            Ok(bytes) => {
                self.hash.update((bytes.len() as u64).to_be_bytes());
                self.hash.update(&bytes);
                Some(bytes)
            }
            Err(error) => {
                self.hash.update(error.reason());
                self.unreadable(file, &error);
                None
            }
        }
    }

    fn unreadable(&self, file: &At<PathBuf>, error: &ReadError) {
        self.problems.add(Problem::error(
            Code::FileUnreadable,
            file.at,
            format!("{} cannot be read: {}", file.it.display(), error.reason()),
            error.reason(),
        ));
    }

    /// Notes that a file does not hold what it should.
    fn content(&self, file: &At<PathBuf>, message: &str, expected: &str) {
        self.problems.add(Problem::error(
            Code::FileContent,
            file.at,
            format!("{} {message}", file.it.display()),
            expected,
        ));
    }

    fn token_or_before(
        &mut self,
        file: &At<PathBuf>,
        of: impl Fn(&Kept) -> &Option<(PathBuf, Secret)>,
    ) -> Option<(PathBuf, Secret)> {
        let kept = |before: &Files| {
            of(&before.kept)
                .clone()
                .filter(|(path, _)| *path == file.it)
        };
        let read = |reader: &mut Reader<'_>| Some((file.it.clone(), reader.token(file)?));
        self.or_before(&file.it, kept, read)
    }

    fn token(&mut self, file: &At<PathBuf>) -> Option<Secret> {
        let bytes = self.bytes(file, MAX_TOKEN)?;
        let text = bytes.trim_ascii();
        if text.is_empty() {
            self.content(file, "holds no token", "the file is empty");
            return None;
        }
        let visible = text.iter().all(u8::is_ascii_graphic);
        match std::str::from_utf8(text) {
            Ok(token) if visible => Some(Secret(token.into())),
            _ => {
                let expected = "expected one line of visible ASCII characters";
                self.content(file, "does not hold a token", expected);
                None
            }
        }
    }
}

// === impl Secret ===

impl Secret {
    /// The secret itself, to compare with.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl Files ===

impl Files {
    /// What decides about the TLS of the upstream of this name: another one than before means other connections.
    #[must_use]
    pub fn print_of(&self, upstream: &UpstreamName) -> Option<[u8; 32]> {
        self.kept.clients.get(upstream.as_str()).copied()
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("listeners", &self.listeners.keys())
            .field("upstreams", &self.upstreams.keys())
            .field("admin_token", &self.admin_token)
            .finish_non_exhaustive()
    }
}
