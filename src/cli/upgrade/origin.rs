//! The new process's side: where it comes from, and what it was given.

use std::{
    env,
    fs::File,
    io::{self, Read, Seek},
    os::fd::OwnedFd,
    time::Duration,
};

use listenfd::ListenFd;
use rustix::{
    net::sockopt::socket_peercred,
    process::{Pid, getppid},
    stdio::{dup2_stdin, stdin},
};
use tokio::time::timeout;

use super::link::{Link, Word};
use crate::{
    listener::{Inherited, Unwanted},
    reload::Learned,
    telemetry::{Events, ProcessEvent},
};

/// Says that standard input is the conversation with this process, the parent.
pub(super) const FROM: &str = "TIDEGATE_UPGRADE_FROM";
/// Names of the sockets that systemd hands over, with colons between them.
const NAMES: &str = "LISTEN_FDNAMES";
/// What is meant for one process and not for its children.
pub(super) const OF_OTHERS: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", NAMES, "WATCHDOG_PID"];
/// How long the old process may take to say that this one is on its own.
const LAST_WORD: Duration = Duration::from_secs(10);
/// The most that limits can have learned, in bytes.
const MOST_LEARNED: u64 = 8 << 20;

/// Where this process comes from, and what it was given.
pub(in crate::cli) struct Origin {
    /// The process before.
    pub(in crate::cli) past: Past,
    /// Sockets that listen already.
    pub(in crate::cli) sockets: Inherited,
    /// What limits of the old process have learned.
    pub(in crate::cli) learned: Option<Learned>,
}

/// The process before, where there is one.
pub(in crate::cli) struct Past(Option<Link>);

/// What systemd hands over, not looked at yet.
pub(in crate::cli) struct Activation(ListenFd);

// === impl Activation ===

impl Activation {
    /// Takes what is there out of the environment. To be called before there are other threads.
    pub(in crate::cli) fn of_process() -> Self {
        Self(ListenFd::from_env())
    }

    /// # Errors
    /// Where one is no TCP socket that listens.
    fn sockets(mut self) -> io::Result<Inherited> {
        let mut inherited = Inherited::none(Unwanted::Refused);
        let names = env::var(NAMES).unwrap_or_default();
        let mut names = names.split(':');
        for index in 0..self.0.len() {
            let name = names.next().unwrap_or_default();
            let wrong = |error: io::Error| {
                io::Error::other(format!("socket {index} (`{name}`) of LISTEN_FDS: {error}"))
            };
            if let Some(socket) = self.0.take_tcp_listener(index).map_err(wrong)? {
                inherited
                    .add(name.to_owned(), socket.into())
                    .map_err(wrong)?;
            }
        }
        Ok(inherited)
    }
}

// === impl Origin ===

impl Origin {
    /// Hears what the old process has to say, where there is one; else takes what systemd handed over.
    ///
    /// # Errors
    /// Where the old process is gone or not understood, or systemd's sockets cannot be used.
    pub(in crate::cli) async fn find(activation: Activation) -> io::Result<Self> {
        let Some(link) = link()? else {
            return Ok(Self {
                past: Past(None),
                sockets: activation.sockets()?,
                learned: None,
            });
        };
        let mut sockets = Inherited::none(Unwanted::Closed);
        let mut learned = None;
        loop {
            match link.hear().await? {
                Some((Word::Socket { name }, Some(socket))) => sockets.add(name, socket)?,
                Some((Word::Learned, Some(file))) => learned = read(file),
                Some((Word::Begin, _)) => break,
                Some(_) => {}
                None => {
                    return Err(io::Error::other(
                        "the process that started this one is gone",
                    ));
                }
            }
        }
        let past = Past(Some(link));
        Ok(Self {
            past,
            sockets,
            learned,
        })
    }
}

// === impl Past ===

impl Past {
    /// Says that this process serves, on these of its sockets, and waits until it is on its own.
    pub(in crate::cli) async fn ready(self, kept: &[String], events: &Events) {
        let Some(link) = self.0 else {
            return;
        };
        let kept = kept.to_vec();
        let told = async {
            link.say(&Word::Ready { kept }, None).await?;
            while let Some((word, _)) = link.hear().await? {
                if word == Word::Go {
                    return Ok(());
                }
            }
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))
        };
        if let Ok(Ok(())) = timeout(LAST_WORD, told).await {
            events.tell(ProcessEvent::TookOver {});
        } else {
            // It serves already, and whoever wants it to end kills it.
            tracing::warn!("the process before went without a word; this one serves alone");
        }
    }
}

/// The conversation with the old process, where that started this one. Standard input is empty afterwards.
fn link() -> io::Result<Option<Link>> {
    let parent = getppid().map(Pid::as_raw_pid);
    let from = env::var(FROM).ok().and_then(|pid| pid.parse::<i32>().ok());
    // The variable outlives its meaning: children of this process see it too.
    if from.is_none() || from != parent {
        return Ok(None);
    }
    let socket = stdin().try_clone_to_owned()?;
    let other = socket_peercred(&socket)?;
    if Some(other.pid.as_raw_pid()) != parent {
        return Ok(None);
    }
    dup2_stdin(File::open("/dev/null")?)?;
    Link::of(socket).map(Some)
}

fn read(file: OwnedFd) -> Option<Learned> {
    let mut file = File::from(file);
    let mut bytes = Vec::new();
    let read = file.rewind();
    match read.and_then(|()| file.take(MOST_LEARNED).read_to_end(&mut bytes)) {
        Ok(_) => Learned::parse(&bytes),
        Err(error) => {
            tracing::warn!(%error, "what limits had learned cannot be read; they begin anew");
            None
        }
    }
}
