//! The old process's side: start the new one, give it everything, and wait until it serves.

use std::{
    fs::File,
    future::pending,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    process::ExitStatus,
    time::Duration,
};

use rustix::fs::{MemfdFlags, memfd_create};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{
    Program,
    link::{Link, Word},
    origin::{FROM, OF_OTHERS},
};
use crate::admin::NotUpgraded;

/// What the new process is given.
#[derive(Debug)]
pub(in crate::cli) struct Handed {
    /// Sockets by the names of their listeners.
    pub(in crate::cli) sockets: Vec<(String, OwnedFd)>,
    /// What limits have learned, as a page.
    pub(in crate::cli) learned: Vec<u8>,
}

/// A process that has taken over.
#[derive(Debug)]
pub(in crate::cli) struct Heir {
    /// Its id.
    pub(in crate::cli) pid: u32,
    /// The names of the sockets that it serves on.
    pub(in crate::cli) kept: Vec<String>,
    child: Child,
}

/// A process that has not proven itself: it is killed where this is dropped.
struct Unproven(Option<Child>);

/// Starts `program` with what is `handed` to it, and waits until it is ready, for at most `within`. Where there is no
/// heir the new process is dead and reaped.
///
/// # Cancel safety
/// The new process is killed.
pub(in crate::cli) async fn raise(
    program: &Program,
    handed: &Handed,
    within: Duration,
) -> Result<Heir, NotUpgraded> {
    if std::process::id() == 1 {
        return Err(NotUpgraded::First);
    }
    let not_started = |error: io::Error| NotUpgraded::NotStarted(error.to_string());
    let (link, theirs) = Link::pair().map_err(not_started)?;
    let learned = file_of(&handed.learned).map_err(not_started)?;
    let mut child = Unproven(Some(start(program, theirs).map_err(not_started)?));
    let Some(running) = &mut child.0 else {
        return Err(NotUpgraded::Busy);
    };
    let pid = running.id().unwrap_or_default();
    let outcome = tokio::select! {
        biased; // one that was ready and then ended has ended
        ended = running.wait() => Err(NotUpgraded::Ended(told(ended))),
        ready = timeout(within, converse(&link, handed, &learned)) => ready.map_err(|_| NotUpgraded::Late),
    };
    match (outcome, child.0.take()) {
        (Ok(kept), Some(child)) => Ok(Heir { pid, kept, child }),
        (Err(why), Some(mut child)) => {
            // It is dead at once and only has to be reaped; nothing comes of an error.
            drop(child.kill().await);
            Err(why)
        }
        (_, None) => Err(NotUpgraded::Busy),
    }
}

/// Starts the program anew, as this process was, with its end of the conversation as standard input.
fn start(program: &Program, theirs: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .env(FROM, std::process::id().to_string())
        .stdin(theirs);
    for variable in OF_OTHERS {
        command.env_remove(variable);
    }
    command.spawn()
}

/// Says all that is to be said, and ends when the other side serves on these sockets and is on its own. Where the
/// conversation breaks off it never ends: the end of the process says more.
async fn converse(link: &Link, handed: &Handed, learned: &File) -> Vec<String> {
    let all = async {
        for (name, socket) in &handed.sockets {
            let name = name.clone();
            link.say(&Word::Socket { name }, Some(socket.as_fd()))
                .await?;
        }
        link.say(&Word::Learned, Some(learned.as_fd())).await?;
        link.say(&Word::Begin, None).await?;
        loop {
            match link.hear().await? {
                Some((Word::Ready { kept }, _)) => {
                    link.say(&Word::Go, None).await?;
                    return Ok(kept);
                }
                Some(_) => {}
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        }
    };
    match all.await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::debug!(%error, "the new process hung up");
            pending().await
        }
    }
}

/// A file in memory that holds `bytes`.
fn file_of(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("tidegate-learned", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}

fn told(ended: io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

// === impl Heir ===

impl Heir {
    /// Tells when it ends; while this process is there, nobody else does.
    pub(in crate::cli) async fn watch(&mut self) {
        let how = told(self.child.wait().await);
        tracing::error!(pid = self.pid, how, "the new process ended");
    }
}

// === impl Unproven ===

impl Drop for Unproven {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // The runtime reaps it.
            drop(child.start_kill());
        }
    }
}
