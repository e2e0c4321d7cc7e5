//! What signals ask of a running gateway.
//!
//! The order of things is in [`until_ended`], which knows no signal, no gateway and no clock.

use std::{future::Future, io, pin::pin};

use tokio::signal::unix::{Signal as Listened, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM, SIGINT: end. The first drains, the second ends at once.
    End,
    /// SIGHUP: read the config again.
    Reload,
}

/// What the signals act on.
pub(super) trait Served {
    /// Read the config again; several of these in a row may be one.
    fn reload(&self);
    /// Not ready at once, then end as the config says. Returns how much had to be cut.
    fn drain(self) -> impl Future<Output = usize>;
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
}

/// Serves until a signal ends it. `next` is asked for one signal after the other.
pub(super) async fn until_ended<S, N>(served: S, mut next: N) -> Ending
where
    S: Served,
    N: AsyncFnMut() -> Signal,
{
    while next().await == Signal::Reload {
        served.reload();
    }
    let mut drain = pin!(served.drain());
    loop {
        tokio::select! {
            biased; // who signals twice does not want to wait
            signal = next() => match signal {
                Signal::End => return Ending::AtOnce,
                Signal::Reload => {} // what ends needs no new config
            },
            cut = &mut drain => return if cut == 0 { Ending::Finished } else { Ending::Cut(cut) },
        }
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
        })
    }

    /// The next signal.
    ///
    /// # Cancel safety
    /// None is lost; the same one several times may be one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            biased; // an end is not kept waiting by reloads
            _ = self.terminate.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    /// Ends with the first signal that asks for the end; others mean nothing yet.
    pub(super) async fn end(&mut self) {
        while self.next().await != Signal::End {}
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc, time::Duration};

    use tokio::{
        sync::mpsc,
        time::{Instant, sleep},
    };

    use super::*;

    /// Takes so long to drain and then cut so much; writes down what it was asked.
    struct Script {
        takes: Duration,
        cut: usize,
        asked: Rc<RefCell<Vec<&'static str>>>,
    }

    impl Served for Script {
        fn reload(&self) {
            self.asked.borrow_mut().push("reload");
        }

        async fn drain(self) -> usize {
            self.asked.borrow_mut().push("drain");
            sleep(self.takes).await;
            self.cut
        }
    }

    const LONG: Duration = Duration::from_secs(30);

    /// Runs a script with signals that come so late each.
    async fn play(
        cut: usize,
        signals: &'static [(u64, Signal)],
    ) -> (Ending, Vec<&'static str>, Duration) {
        let start = Instant::now();
        let asked = Rc::new(RefCell::new(Vec::new()));
        let script = Script {
            takes: LONG,
            cut,
            asked: Rc::clone(&asked),
        };
        let (send, mut receive) = mpsc::channel(8);
        let feed = async {
            for (at, signal) in signals {
                tokio::time::sleep_until(start + Duration::from_secs(*at)).await;
                send.send(*signal).await.unwrap();
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
        let (ending, asked, took) = play(0, &[(1, Signal::End)]).await;
        assert_eq!(ending, Ending::Finished);
        assert_eq!(asked, ["drain"]);
        assert_eq!(took, LONG + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cut_is_told() {
        let (ending, ..) = play(2, &[(0, Signal::End)]).await;
        assert_eq!(ending, Ending::Cut(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_end_does_not_wait() {
        let (ending, _, took) = play(0, &[(1, Signal::End), (2, Signal::End)]).await;
        assert_eq!(ending, Ending::AtOnce);
        assert_eq!(took, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn reloads_come_before_the_end_and_mean_nothing_after_it() {
        let (ending, asked, took) = play(
            0,
            &[
                (1, Signal::Reload),
                (2, Signal::Reload),
                (3, Signal::End),
                (4, Signal::Reload),
            ],
        )
        .await;
        assert_eq!(ending, Ending::Finished);
        assert_eq!(asked, ["reload", "reload", "drain"]);
        assert_eq!(took, LONG + Duration::from_secs(3));
    }
}
