//! What the webhook needs of files: its token, and how its receiver is checked.

use std::sync::Arc;

use rustls::{ClientConfig, crypto::ring};

use super::{
    Files, Reader, Secret,
    tls::{SystemRoots, roots_of},
};
use crate::config::compile::NamedHook;

/// What the files of a webhook held.
#[derive(Debug, Clone)]
pub struct HookFiles {
    /// What is shown to the receiver.
    pub token: Option<Secret>,
    /// How the receiver is checked; ALPN `http/1.1`. There where the URL is `https`.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Reads what `named` names; `None` where that cannot be used, which was noted.
pub(super) fn load(
    named: &NamedHook,
    system: &mut SystemRoots,
    reader: &mut Reader<'_>,
    files: &mut Files,
) -> Option<HookFiles> {
    let mut token = None;
    if let Some(file) = &named.token {
        let (path, read) = reader.token_or_before(file, |kept| &kept.hook_token)?;
        files.kept.hook_token = Some((path, read.clone()));
        token = Some(read);
    }
    let tls = if named.secure {
        Some(Arc::new(client(named, system, reader, files)?))
    } else {
        None
    };
    Some(HookFiles { token, tls })
}

fn client(
    named: &NamedHook,
    system: &mut SystemRoots,
    reader: &mut Reader<'_>,
    files: &mut Files,
) -> Option<ClientConfig> {
    let store = match &named.ca {
        Some(ca) => roots_of(ca, reader, files)?.store,
        None => Arc::new(system.roots(named.at, reader)),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(config)
}
