//! What signals, and the API, ask of a running gateway.
//!
//! The order of things is in [`until_ended`], which knows no signal, no gateway and no clock.

use std::{future::Future, io, pin::pin};

use tokio::signal::unix::{Signal as Listened, SignalKind, signal};

use crate::admin::{NotUpgraded, UpgradeAsk};

/// What is asked for.
#[derive(Debug)]
pub(super) enum Signal {
    /// SIGTERM, SIGINT: end. The first drains, the second ends at once.
    End,
    /// SIGHUP: read the config again.
    Reload,
    /// SIGUSR2: let a newer binary take over; the API waits to hear how that ended.
    Upgrade(Option<UpgradeAsk>),
}

/// What the signals act on.
pub(super) trait Served {
    /// A process that has taken over.
    type Heir;
    /// Read the config again; several of these in a row may be one.
    fn reload(&self);
    /// Start a process that takes over, and wait until it has: its id, and itself. Tells how that ended. Dropped, there
    /// is none.
    fn upgrade(&self) -> impl Future<Output = Result<(u32, Self::Heir), NotUpgraded>>;
    /// Not ready at once, then end as the config says, or without haste where there is an heir. Returns how much had to
    /// be cut.
    fn end(self, heir: Option<Self::Heir>) -> impl Future<Output = usize>;
}

/// How a gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything was finished.
    Finished,
    /// So many connections and tunnels were cut at the deadline of the drain.
    Cut(usize),
    /// A second signal ended the drain.
    AtOnce,
}

/// The signals of this process. From its making on none of them ends the process by itself.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Listened,
    interrupt: Listened,
    hangup: Listened,
    upgrade: Listened,
    /// Means nothing here, and must not end the process.
    other: Listened,
}

/// How an attempt to upgrade ended.
enum Attempt<H> {
    /// Another process has taken over.
    Succeeded(H),
    /// This one goes on.
    Failed,
    /// This one is to end.
    Ended,
}

/// Serves until a signal ends it, or an heir has taken over. `next` is asked for one signal after the other.
pub(super) async fn until_ended<S, N>(served: S, mut next: N) -> Ending
where
    S: Served,
    N: AsyncFnMut() -> Signal,
{
    let heir = reign(&served, &mut next).await;
    let mut end = pin!(served.end(heir));
    loop {
        tokio::select! {
            biased; // who signals twice does not want to wait
            signal = next() => match signal {
                Signal::End => return Ending::AtOnce,
                Signal::Reload => {} // what ends needs no new config
                Signal::Upgrade(asked) => answer(asked, Err(NotUpgraded::Busy)),
            },
            cut = &mut end => return if cut == 0 { Ending::Finished } else { Ending::Cut(cut) },
        }
    }
}

/// Serves until it is to end; with the heir where there is one.
async fn reign<S, N>(served: &S, next: &mut N) -> Option<S::Heir>
where
    S: Served,
    N: AsyncFnMut() -> Signal,
{
    loop {
        match next().await {
            Signal::End => return None,
            Signal::Reload => served.reload(),
            Signal::Upgrade(asked) => match attempt(served, next, asked).await {
                Attempt::Succeeded(heir) => return Some(heir),
                Attempt::Failed => {}
                Attempt::Ended => return None,
            },
        }
    }
}

/// Tries to upgrade; meanwhile signals mean what they always mean, but there is one attempt at a time.
async fn attempt<S, N>(served: &S, next: &mut N, asked: Option<UpgradeAsk>) -> Attempt<S::Heir>
where
    S: Served,
    N: AsyncFnMut() -> Signal,
{
    let mut upgrade = pin!(served.upgrade());
    loop {
        tokio::select! {
            biased; // an end is not kept waiting
            signal = next() => match signal {
                Signal::End => return Attempt::Ended,
                Signal::Reload => served.reload(),
                Signal::Upgrade(another) => {
                    tracing::warn!("an upgrade is under way already; this one is not begun");
                    answer(another, Err(NotUpgraded::Busy));
                }
            },
            upgraded = &mut upgrade => return match upgraded {
                Ok((pid, heir)) => {
                    answer(asked, Ok(pid));
                    Attempt::Succeeded(heir)
                }
                Err(why) => {
                    answer(asked, Err(why));
                    Attempt::Failed
                }
            },
        }
    }
}

/// Tells who asked, where somebody did and is there still.
fn answer(asked: Option<UpgradeAsk>, answer: Result<u32, NotUpgraded>) {
    if let Some(asked) = asked {
        let _ = asked.send(answer);
    }
}

// === impl Signals ===

impl Signals {
    /// Listens from now on. Needs a tokio runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            other: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next signal.
    ///
    /// # Cancel safety
    /// None is lost; the same one several times may be one.
    pub(super) async fn next(&mut self) -> Signal {
        loop {
            tokio::select! {
                biased; // an end is not kept waiting by others
                _ = self.terminate.recv() => return Signal::End,
                _ = self.interrupt.recv() => return Signal::End,
                _ = self.hangup.recv() => return Signal::Reload,
                _ = self.upgrade.recv() => return Signal::Upgrade(None),
                _ = self.other.recv() => tracing::info!("SIGUSR1 means nothing here; SIGUSR2 upgrades"),
            }
        }
    }

    /// Ends with the first signal that asks for the end; others mean nothing yet.
    pub(super) async fn end(&mut self) {
        while !matches!(self.next().await, Signal::End) {}
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc, time::Duration};

    use tokio::{
        sync::{mpsc, oneshot},
        time::{Instant, sleep},
    };

    use super::*;

    /// Takes so long to drain and then cut so much, and as long to start another; writes down what it was asked.
    struct Script {
        takes: Duration,
        cut: usize,
        heir: bool,
        asked: Rc<RefCell<Vec<&'static str>>>,
    }

    impl Served for Script {
        type Heir = ();

        fn reload(&self) {
            self.asked.borrow_mut().push("reload");
        }

        async fn upgrade(&self) -> Result<(u32, ()), NotUpgraded> {
            self.asked.borrow_mut().push("upgrade");
            sleep(self.takes).await;
            if self.heir {
                Ok((7, ()))
            } else {
                Err(NotUpgraded::Late)
            }
        }

        async fn end(self, heir: Option<()>) -> usize {
            let how = if heir.is_some() { "hand over" } else { "drain" };
            self.asked.borrow_mut().push(how);
            sleep(self.takes).await;
            self.cut
        }
    }

    const LONG: Duration = Duration::from_secs(30);

    fn script(cut: usize, heir: bool) -> Script {
        Script {
            takes: LONG,
            cut,
            heir,
            asked: Rc::default(),
        }
    }

    /// Runs a script with signals that come so late each.
    async fn play(
        script: Script,
        signals: Vec<(u64, Signal)>,
    ) -> (Ending, Vec<&'static str>, Duration) {
        let start = Instant::now();
        let asked = Rc::clone(&script.asked);
        let (send, mut receive) = mpsc::channel(8);
        let feed = async {
            for (at, signal) in signals {
                tokio::time::sleep_until(start + Duration::from_secs(at)).await;
                send.send(signal).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ending = until_ended(script, async || receive.recv().await.unwrap()) => ending,
            () = feed => unreachable!(),
        };
        let asked = asked.borrow().clone();
        (ended, asked, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_end_drains_to_the_end() {
        let (ending, asked, took) = play(script(0, false), vec![(1, Signal::End)]).await;
        assert_eq!(ending, Ending::Finished);
        assert_eq!(asked, ["drain"]);
        assert_eq!(took, LONG + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cut_is_told() {
        let (ending, ..) = play(script(2, false), vec![(0, Signal::End)]).await;
        assert_eq!(ending, Ending::Cut(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_end_does_not_wait() {
        let signals = vec![(1, Signal::End), (2, Signal::End)];
        let (ending, _, took) = play(script(0, false), signals).await;
        assert_eq!(ending, Ending::AtOnce);
        assert_eq!(took, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn reloads_come_before_the_end_and_mean_nothing_after_it() {
        let signals = vec![
            (1, Signal::Reload),
            (2, Signal::Reload),
            (3, Signal::End),
            (4, Signal::Reload),
        ];
        let (ending, asked, took) = play(script(0, false), signals).await;
        assert_eq!(ending, Ending::Finished);
        assert_eq!(asked, ["reload", "reload", "drain"]);
        assert_eq!(took, LONG + Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_an_heir_hands_over_and_tells_who_asked() {
        let (ask, answer) = oneshot::channel();
        let signals = vec![(1, Signal::Upgrade(Some(ask))), (2, Signal::Reload)];
        let (ending, asked, _) = play(script(0, true), signals).await;
        assert_eq!(ending, Ending::Finished);
        assert_eq!(asked, ["upgrade", "reload", "hand over"]);
        assert_eq!(answer.await.unwrap(), Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_heir_goes_on_until_it_is_ended() {
        let (ask, answer) = oneshot::channel();
        let signals = vec![(1, Signal::Upgrade(Some(ask))), (100, Signal::End)];
        let (ending, asked, took) = play(script(0, false), signals).await;
        assert_eq!(ending, Ending::Finished);
        assert_eq!(asked, ["upgrade", "drain"]);
        assert_eq!(took, LONG + Duration::from_secs(100));
        assert_eq!(answer.await.unwrap(), Err(NotUpgraded::Late));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_attempt_at_a_time_and_none_while_it_ends() {
        let (second, during) = oneshot::channel();
        let (third, after) = oneshot::channel();
        let signals = vec![
            (1, Signal::Upgrade(None)),
            (2, Signal::Upgrade(Some(second))),
            (32, Signal::Upgrade(Some(third))),
        ];
        let (_, asked, _) = play(script(0, true), signals).await;
        assert_eq!(asked, ["upgrade", "hand over"]);
        assert_eq!(during.await.unwrap(), Err(NotUpgraded::Busy));
        assert_eq!(after.await.unwrap(), Err(NotUpgraded::Busy));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_does_not_wait_for_an_attempt() {
        let (ask, answer) = oneshot::channel();
        let signals = vec![(1, Signal::Upgrade(Some(ask))), (2, Signal::End)];
        let (ending, asked, took) = play(script(0, true), signals).await;
        assert_eq!(ending, Ending::Finished);
        assert_eq!(asked, ["upgrade", "drain"]);
        assert_eq!(took, LONG + Duration::from_secs(2));
        assert!(answer.await.is_err(), "nobody answers, for it ends");
    }
}
