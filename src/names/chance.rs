//! Where decisions draw from that anybody may foresee: jitter, and who of two is taken.

use std::{cell::RefCell, convert::Infallible};

use rand::{Rng, SeedableRng, TryRng, rngs::StdRng};

thread_local! {
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// The thread's own randomness: the system's, unless [`Chance::seed`] was called. Never for secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chance;

// === impl Chance ===

impl Chance {
    /// From now on all that this thread draws follows from `seed`, so that a simulation can be run again.
    pub fn seed(seed: u64) {
        SEEDED.set(Some(StdRng::seed_from_u64(seed)));
    }
}

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(drawn(|rng| rng.next_u32()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(drawn(|rng| rng.next_u64()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        drawn(|rng| rng.fill_bytes(bytes));
        Ok(())
    }
}

fn drawn<T>(draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(seeded) => draw(seeded),
        None => draw(&mut rand::rng()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_thread_draws_the_same_again_and_others_do_not() {
        let drawn = || [(); 4].map(|()| Chance.next_u64());
        let seeded = |seed| {
            Chance::seed(seed);
            drawn()
        };
        let first = seeded(7);
        assert_eq!(first, seeded(7));
        assert_ne!(first, seeded(8));
        let other = std::thread::spawn(move || [(); 4].map(|()| Chance.next_u64()));
        assert_ne!(first, other.join().unwrap());
    }
}
