//! Which endpoints serve: first the group, by how many of each can, then of the group the lowest priority that can.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{Seat, Seats, SeatsAt};
use crate::{balance::in_panic, config::MOST_GROUPS, pool::Loads};

/// One group of an upstream's endpoints.
#[derive(Debug)]
pub(super) struct Group {
    name: Box<str>,
    /// Its seats, by their index.
    members: Box<[usize]>,
    /// Every priority that one of them has, the lowest first.
    priorities: Box<[u16]>,
}

/// Those of a group that serve at one moment: the seats of one priority.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Level {
    pub(super) group: usize,
    pub(super) priority: u16,
    /// Too few of them can serve, so all are taken.
    pub(super) panic: bool,
    total: usize,
    /// How many of them can serve.
    able: usize,
    /// Whether one of those was not tried.
    untried: bool,
}

/// All groups at one moment.
struct Standing {
    levels: [Level; MOST_GROUPS],
    loads: Loads,
    /// Whether too few that can serve are a reason for all to: no other group can take over.
    doubted: bool,
    /// Who is asked where no group can serve: the first that has endpoints.
    last_resort: usize,
}

/// A group, to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupView {
    /// Its name.
    pub name: Box<str>,
    /// How many endpoints it has.
    pub endpoints: usize,
    /// How many of them can serve.
    pub healthy: usize,
    /// What it gets of the traffic, 0 to 1.
    pub traffic: f64,
    /// Whether so few can serve that all of them do.
    pub panic: bool,
}

// === impl Group ===

impl Group {
    /// The groups of `seats`, called by these names, else by their numbers.
    pub(super) fn all(seats: &[Seat], names: &[Box<str>]) -> Box<[Self]> {
        let last = seats.iter().map(|seat| seat.group).max().unwrap_or(0);
        let count = last.saturating_add(1).max(names.len()).min(MOST_GROUPS);
        let group = |group: usize| {
            let of = || {
                seats
                    .iter()
                    .enumerate()
                    .filter(|(_, seat)| seat.group == group)
            };
            let priorities: BTreeSet<u16> = of().map(|(_, seat)| seat.priority).collect();
            let number = || group.saturating_add(1).to_string().into();
            Self {
                name: names.get(group).cloned().unwrap_or_else(number),
                members: of().map(|(index, _)| index).collect(),
                priorities: priorities.into_iter().collect(),
            }
        };
        (0..count).map(group).collect()
    }
}

// === impl Level ===

impl Level {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of a number of endpoints"
    )]
    fn healthy(&self) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        self.able as f64 / self.total as f64
    }
}

// === impl Seats ===

impl Seats {
    /// The candidates of this moment for who has tried `tried`, group by group in the order in which to look for a
    /// free place. `point`, evenly from 0 up to 1, says which group is first. Then come the others that get some of
    /// the traffic now: one that gets none is not asked because another is full.
    ///
    /// Where all that could serve of a group were tried, the next is asked, whether or not it gets traffic.
    pub fn choices<'a>(
        &'a self,
        now: Instant,
        tried: &[usize],
        point: f64,
    ) -> impl Iterator<Item = SeatsAt<'a>> {
        let (levels, count) = self.levels(now, tried, point);
        let levels = levels.into_iter().take(count);
        levels.map(move |level| SeatsAt {
            seats: self,
            now,
            level,
        })
    }

    /// What the group at `index` gets of the traffic now, 0 to 1.
    #[must_use]
    pub fn traffic_of(&self, group: usize, now: Instant) -> f64 {
        self.standing(now).traffic(group)
    }

    /// Every group, to look at.
    #[must_use]
    pub fn group_views(&self, now: Instant) -> Vec<GroupView> {
        let standing = self.standing(now);
        let able = |index: &usize| self.get(*index).is_some_and(|seat| seat.can_serve(now));
        let view = |(index, group): (usize, &Group)| GroupView {
            name: group.name.clone(),
            endpoints: group.members.len(),
            healthy: group.members.iter().filter(|index| able(index)).count(),
            traffic: standing.traffic(index),
            panic: standing.panics(index),
        };
        self.groups.iter().enumerate().map(view).collect()
    }

    /// Whether of any group that serves so few endpoints can that all of them do.
    #[must_use]
    pub fn is_in_panic(&self, now: Instant) -> bool {
        if self.panic_threshold <= 0.0 || self.seats.is_empty() {
            return false;
        }
        let standing = self.standing(now);
        (0..self.groups.len()).any(|group| standing.panics(group))
    }

    /// The levels to look at, and how many of them.
    fn levels(&self, now: Instant, tried: &[usize], point: f64) -> ([Level; MOST_GROUPS], usize) {
        let mut levels = [Level::default(); MOST_GROUPS];
        if let Some(only) = self.only_level(now, tried) {
            levels[0] = only;
            return (levels, 1);
        }
        let standing = self.standing(now);
        let drawn = standing.loads.draw(point).unwrap_or(standing.last_resort);
        let level = |group: usize| {
            let mut level = self.serving(group, tried, now);
            level.panic &= standing.doubted;
            level
        };
        let mut first = level(drawn);
        if !first.untried && !tried.is_empty() {
            let others = (0..self.groups.len()).map(level);
            first = others
                .into_iter()
                .find(|other| other.untried)
                .unwrap_or(first);
        }
        let others = (0..self.groups.len())
            .filter(|group| *group != first.group && standing.loads.share(*group) > 0.0);
        let wanted = std::iter::once(first).chain(others.map(level));
        let mut count = 0;
        for (place, level) in levels.iter_mut().zip(wanted) {
            *place = level;
            count += 1;
        }
        (levels, count)
    }

    /// The level of the first group, where it is the only one to look at: there is no other, or it takes all.
    fn only_level(&self, now: Instant, tried: &[usize]) -> Option<Level> {
        let alone = self.groups.len() < 2;
        if let ([group], true) = (&*self.groups, self.panic_threshold <= 0.0)
            && let [priority] = *group.priorities
        {
            return Some(Level {
                priority,
                ..Level::default()
            });
        }
        if !alone && !tried.is_empty() {
            return None;
        }
        let main = self.serving(0, tried, now);
        let suffices = !main.panic && main.healthy() * self.overprovisioning >= 1.0;
        (alone || suffices).then_some(main)
    }

    fn standing(&self, now: Instant) -> Standing {
        let mut levels = [Level::default(); MOST_GROUPS];
        for (group, level) in levels.iter_mut().enumerate().take(self.groups.len()) {
            *level = self.serving(group, &[], now);
        }
        let loads = Loads::of(levels.iter().map(Level::healthy), self.overprovisioning);
        let able = levels.iter().filter(|level| level.able > 0).count();
        let others_take_over = loads.is_whole() && able > 1;
        let doubted = !others_take_over;
        for level in &mut levels {
            level.panic &= doubted;
        }
        let has_some = |group: &Group| !group.members.is_empty();
        Standing {
            levels,
            loads,
            doubted,
            last_resort: self.groups.iter().position(has_some).unwrap_or(0),
        }
    }

    /// Who serves of a group: of the priorities of which enough can, the lowest with one that is not in `tried`; else
    /// the lowest of which any can; else the lowest, and in panic all of it.
    fn serving(&self, group: usize, tried: &[usize], now: Instant) -> Level {
        let Some(of) = self.groups.get(group) else {
            return Level::default();
        };
        let mut found: Option<Level> = None;
        for priority in &of.priorities {
            let mut level = self.level(of, *priority, tried, now);
            level.group = group;
            if level.able == 0 {
                continue;
            }
            if !level.panic && level.untried {
                return level;
            }
            if found.is_none_or(|found| found.panic && !level.panic) {
                found = Some(level);
            }
        }
        found.unwrap_or_else(|| Level {
            group,
            priority: of.priorities.first().copied().unwrap_or_default(),
            panic: self.panic_threshold > 0.0,
            ..Level::default()
        })
    }

    fn level(&self, of: &Group, priority: u16, tried: &[usize], now: Instant) -> Level {
        let mut level = Level {
            priority,
            ..Level::default()
        };
        for index in &of.members {
            let Some(seat) = self.get(*index).filter(|seat| seat.priority == priority) else {
                continue;
            };
            level.total += 1;
            if seat.can_serve(now) {
                level.able += 1;
                level.untried |= !tried.contains(index);
            }
        }
        level.panic = in_panic(level.able, level.total, self.panic_threshold);
        level
    }
}

// === impl Standing ===

impl Standing {
    fn traffic(&self, group: usize) -> f64 {
        if self.is_lost() && self.panics(group) {
            return 1.0;
        }
        self.loads.share(group)
    }

    /// Whether all of the group serves; only one that gets traffic does.
    fn panics(&self, group: usize) -> bool {
        let serves = if self.is_lost() {
            group == self.last_resort
        } else {
            self.loads.share(group) > 0.0
        };
        serves && self.levels.get(group).is_some_and(|level| level.panic)
    }

    /// Whether no group can serve.
    fn is_lost(&self) -> bool {
        self.levels.iter().all(|level| level.able == 0)
    }
}
