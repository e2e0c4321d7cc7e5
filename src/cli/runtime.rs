//! What the process takes from the machine: threads and descriptors.

use std::{io, num::NonZeroUsize, thread::available_parallelism};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

/// A runtime with one worker for each processor that this process may use: the affinity mask and the CPU
/// quota of the cgroup count (versions 1 and 2; the standard library reads both), so that a container with
/// two processors' time on a machine of 64 gets two workers and is not throttled.
pub(super) fn threaded() -> io::Result<Runtime> {
    let workers = available_parallelism().map_or(1, NonZeroUsize::get);
    Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("tidegate")
        .enable_all()
        .build()
}

/// A runtime for one thing, on this thread.
pub(super) fn small() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Raises the soft limit of descriptors to the hard one, as a server that holds two for each request must.
/// Where that is not allowed, the caps that follow from the limit are lower.
pub(super) fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the descriptor limit stays");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_descriptors_becomes_the_hard_one() {
        raise_descriptor_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
