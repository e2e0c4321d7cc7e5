//! One after the other, each as often as its weight says.

use super::{Candidates, Turn};

/// Weights are told apart to one part in so many of the heaviest.
const STEPS: u32 = 1 << 24;

/// The next in turn.
///
/// Turns go round the candidates. A candidate of weight `w` takes `w / heaviest` of its turns, spread as evenly
/// as whole turns can be, and lets the others pass; with equal weights that is strict rotation. One that cannot
/// serve lets all pass, and the next takes its own turn, not that one's: the load of what is out spreads over
/// all. The heaviest is looked for once a round. Source: gRPC's static stride scheduler.
pub(super) fn pick(turn: &Turn, candidates: &impl Candidates) -> Option<usize> {
    let len = candidates.len();
    let mut start = 0;
    for _ in 0..len.saturating_mul(2) {
        let (round, index) = place(turn.take(), len)?;
        let heaviest = if index == 0 || turn.heaviest() <= 0.0 {
            turn.look(candidates)
        } else {
            turn.heaviest()
        };
        let view = candidates.view(index);
        if view.can_serve {
            let share = view.share();
            if share > heaviest {
                turn.raise(share);
            }
            if takes(steps(share, heaviest), round, index) {
                return Some(index);
            }
        }
        start = index;
    }
    // Others took the turns of those that can serve, or hardly any can.
    let from = |index: usize| (index.wrapping_add(start)) % len;
    (0..len)
        .map(from)
        .find(|index| candidates.view(*index).can_serve)
}

/// Which round a turn is in, and whose it is.
fn place(turn: u64, len: usize) -> Option<(u64, usize)> {
    let len = u64::try_from(len).ok()?;
    let round = turn.checked_div(len)?;
    let index = turn.checked_rem(len)?;
    Some((round, usize::try_from(index).ok()?))
}

/// A weight as steps of the heaviest: 1 to [`STEPS`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1, in steps"
)]
fn steps(share: f32, heaviest: f32) -> u32 {
    let part = f64::from(share) / f64::from(heaviest.max(share));
    ((part * f64::from(STEPS)) as u32).clamp(1, STEPS)
}

/// Whether one of this weight takes its turn in this round. Of any [`STEPS`] rounds it takes `steps`, evenly
/// spread; neighbours are half a round apart, so that equal ones do not crowd into the same rounds.
fn takes(steps: u32, round: u64, index: usize) -> bool {
    let all = u64::from(STEPS);
    let offset = if index.is_multiple_of(2) { 0 } else { all / 2 };
    let phase = (round % all)
        .wrapping_mul(u64::from(steps))
        .wrapping_add(offset)
        % all;
    phase >= all - u64::from(steps)
}
