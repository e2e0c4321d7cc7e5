//! Which sockets a new config keeps, wants and lets go. Pure.

use std::net::SocketAddr;

use crate::names::ListenerName;

/// A listener as far as its socket is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) name: ListenerName,
    /// As the config says it: port 0 is equal to itself.
    pub(super) bind: SocketAddr,
}

/// What becomes of sockets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// For each listener of the new config: the index of the running one whose socket is its own from now on; `None`
    /// where one is to be bound.
    pub(super) takes: Vec<Option<usize>>,
    /// The running ones that nobody takes.
    pub(super) goes: Vec<usize>,
}

/// Decides for the listeners `running` and those that `next` wants.
///
/// A socket is its address: who wants an address that is bound takes that socket, whatever the name, so that renamed
/// listeners and those that exchange their addresses lose nothing. Where several want the same (with port 0), equal
/// names find each other first.
pub(super) fn decide(running: &[Seat], next: &[Seat]) -> Decision {
    let mut takes = vec![None; next.len()];
    let mut free: Vec<usize> = (0..running.len()).collect();
    let by_name = |one: &Seat, other: &Seat| one == other;
    let by_bind = |one: &Seat, other: &Seat| one.bind == other.bind;
    for fits in [by_name, by_bind] {
        for (take, wanted) in takes.iter_mut().zip(next) {
            if take.is_some() {
                continue;
            }
            let found = free.iter().position(|index| {
                let seat = running.get(*index);
                seat.is_some_and(|seat| fits(seat, wanted))
            });
            *take = found.map(|place| free.remove(place));
        }
    }
    Decision { takes, goes: free }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(of: &[(&str, &str)]) -> Vec<Seat> {
        let seat = |(name, bind): &(&str, &str)| Seat {
            name: ListenerName::from(*name),
            bind: format!("127.0.0.1:{bind}").parse().unwrap(),
        };
        of.iter().map(seat).collect()
    }

    type Side = &'static [(&'static str, &'static str)];
    type Case = (
        &'static str,
        Side,
        Side,
        &'static [Option<usize>],
        &'static [usize],
    );

    #[test]
    fn sockets_stay_come_and_go_by_their_addresses() {
        let two: Side = &[("a", "1"), ("b", "2")];
        let cases: [Case; 11] = [
            ("nothing", two, two, &[Some(0), Some(1)], &[]),
            (
                "order",
                two,
                &[("b", "2"), ("a", "1")],
                &[Some(1), Some(0)],
                &[],
            ),
            (
                "added",
                two,
                &[("a", "1"), ("b", "2"), ("c", "3")],
                &[Some(0), Some(1), None],
                &[],
            ),
            ("removed", two, &[("b", "2")], &[Some(1)], &[0]),
            (
                "moved",
                two,
                &[("a", "3"), ("b", "2")],
                &[None, Some(1)],
                &[0],
            ),
            (
                "renamed",
                two,
                &[("c", "1"), ("b", "2")],
                &[Some(0), Some(1)],
                &[],
            ),
            (
                "swapped",
                two,
                &[("a", "2"), ("b", "1")],
                &[Some(1), Some(0)],
                &[],
            ),
            (
                "handed on",
                two,
                &[("a", "3"), ("b", "1")],
                &[None, Some(0)],
                &[1],
            ),
            ("replaced", two, &[("c", "3")], &[None], &[0, 1]),
            (
                "port 0 by name",
                &[("a", "0"), ("b", "0")],
                &[("b", "0"), ("c", "0")],
                &[Some(1), Some(0)],
                &[],
            ),
            (
                "port 0 once more",
                &[("a", "0")],
                &[("b", "0"), ("a", "0")],
                &[None, Some(0)],
                &[],
            ),
        ];
        for (what, running, next, takes, goes) in cases {
            let found = decide(&seats(running), &seats(next));
            assert_eq!(found.takes, takes, "{what}");
            assert_eq!(found.goes, goes, "{what}");
        }
    }
}
