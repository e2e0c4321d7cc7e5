//! A try whose client left: the endpoint works on, so its place stays taken until it answers.
//!
//! Giving the place away at once would send the endpoint more than it can do while nobody counts it. The try goes
//! on alone until the head of the answer, or until [`BASELINES`] times what its route usually takes have passed;
//! then its connection is closed.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio_util::task::TaskTracker;

use crate::{
    admission::{Outcome, Permit},
    upstream::{AttemptError, Sent},
};

/// How the try ends.
type Ends = Result<Sent, Box<AttemptError>>;
type Try = Pin<Box<dyn Future<Output = Ends> + Send>>;

/// How long a ghost stays, in times of what its route usually takes.
const BASELINES: u32 = 4;
/// And never longer.
const LONGEST: Duration = Duration::from_secs(30);

/// A try and the permit that it runs by. Dropped before its end, it becomes a ghost.
pub(super) struct Haunting<'a> {
    running: Option<Try>,
    permit: &'a mut Option<Permit>,
    usual: Duration,
    ghosts: &'a TaskTracker,
}

// === impl Haunting ===

impl<'a> Haunting<'a> {
    /// Runs `running` by `permit`; `usual` is how long it usually takes.
    pub(super) fn new(
        running: impl Future<Output = Ends> + Send + 'static,
        permit: &'a mut Option<Permit>,
        usual: Duration,
        ghosts: &'a TaskTracker,
    ) -> Self {
        Self {
            running: Some(Box::pin(running)),
            permit,
            usual,
            ghosts,
        }
    }
}

impl Future for Haunting<'_> {
    type Output = Option<Ends>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Ends>> {
        let Some(running) = &mut self.running else {
            return Poll::Ready(None);
        };
        let ended = running.as_mut().poll(cx);
        if ended.is_ready() {
            self.running = None;
        }
        ended.map(Some)
    }
}

impl Drop for Haunting<'_> {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let haunts = self.permit.as_ref().is_some_and(Permit::is_on_test);
        let stays = self.usual.saturating_mul(BASELINES).min(LONGEST);
        // Outside of the runtime (at its very end) there is nobody to run it.
        if haunts && !stays.is_zero() && tokio::runtime::Handle::try_current().is_ok() {
            let permit = self.permit.take();
            self.ghosts.spawn(haunt(running, permit, stays));
        }
    }
}

async fn haunt(running: Try, permit: Option<Permit>, stays: Duration) {
    let ended = tokio::time::timeout(stays, running).await;
    if let (Some(permit), Ok(Ok(sent))) = (permit, ended) {
        permit.end(Outcome::Succeeded {
            took: sent.first_byte,
        });
    }
}
