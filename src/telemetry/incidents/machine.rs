//! When an incident begins, what belongs to it, and when it is over. Pure: counts and the time are handed in.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::{
    Ended, Happening, Incident, MOST_KEPT, MOST_OPEN, Pair, Rules, Severity,
    happening::{Side, latest},
    incident::text_of,
    open::{Open, requests_of},
    window::{Group, Look, Streak, Sums, Window, name_of},
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Machine {
    window: Window,
    streaks: HashMap<Pair, Streak>,
    open: Vec<Open>,
    /// Those that have ended, the oldest first.
    past: VecDeque<Incident>,
    /// What happened lately, the oldest first.
    happenings: VecDeque<Happening>,
    /// Groups that no incident was begun for, because there are [`MOST_OPEN`].
    left_out: HashSet<Group>,
    begun: u64,
}

/// What one look changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) began: Vec<Incident>,
    pub(super) ended: Vec<Incident>,
    /// How many were not begun because there are too many.
    pub(super) left_out: u64,
}

/// Where so many requests of a route fail one after the other, their number is enough.
const IN_A_ROW: u64 = 3;
/// How long before an incident something may have happened to have to do with its begin.
const BEFORE_MS: u64 = 60_000;
/// How long before its last fault something may have happened to have to do with its end.
const BEFORE_END_MS: u64 = 30_000;
/// Looks are a second apart, and clocks are read one after the other.
const ABOUT_MS: u64 = 2_000;
/// Most happenings that are remembered.
const MOST_HAPPENINGS: usize = 256;

// === impl Machine ===

impl Machine {
    /// Something happened that may have to do with an incident.
    pub(super) fn note(&mut self, happening: Happening) {
        if self.happenings.len() >= MOST_HAPPENINGS {
            self.happenings.pop_front();
        }
        self.happenings.push_back(happening);
    }

    /// Takes in incidents of a process before: those that were open go on.
    pub(super) fn restore(&mut self, incidents: Vec<Incident>, now: Duration) {
        for incident in incidents {
            match Group::of_incident(&incident).filter(|_| incident.is_open()) {
                Some(group) if self.open.len() < MOST_OPEN => self.open.push(Open {
                    group,
                    incident,
                    last: now,
                    healed_ms: None,
                }),
                _ if incident.is_open() => {}
                _ => self.past.push_back(incident),
            }
        }
        self.bound();
    }

    /// All that are kept, those that go on first, the newest before the others.
    pub(super) fn all(&self) -> impl Iterator<Item = &Incident> {
        let open = self.open.iter().rev().map(|open| &open.incident);
        open.chain(self.past.iter().rev())
    }

    /// How many go on.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes in what came since the look before.
    pub(super) fn look(&mut self, look: Look, rules: &Rules) -> Changes {
        let mut changes = Changes::default();
        let now = look.at;
        self.follow_streaks(&look);
        self.window.push(look, rules.window);
        let sums = self.window.sums();
        if let Some(look) = self.window.last() {
            let open = self.open.iter_mut();
            open.for_each(|open| open.look(look, &sums, rules));
        }
        self.begin(&sums, rules, &mut changes);
        self.end(now, rules, &mut changes);
        changes
    }

    fn follow_streaks(&mut self, look: &Look) {
        for (pair, count) in &look.counts {
            let before = self.streaks.remove(pair);
            if let Some(streak) = Streak::after(before, pair, count, look) {
                self.streaks.insert(pair.clone(), streak);
            }
        }
    }

    /// Begins what the last look makes an incident of.
    fn begin(&mut self, sums: &Sums, rules: &Rules, changes: &mut Changes) {
        let Some(look) = self.window.last() else {
            return;
        };
        let faults = look.counts.iter().flat_map(|(pair, count)| {
            let endings = count.faults.iter();
            endings.map(move |(ending, _)| (Group::of(pair, *ending), pair.clone()))
        });
        let mut found: Vec<(Group, Pair)> = Vec::new();
        for (group, pair) in faults {
            let known = self.open.iter().any(|open| open.group == group)
                || found.iter().any(|(other, _)| *other == group);
            if !known && self.is_enough(&group, &pair, sums, rules) {
                found.push((group, pair));
            }
        }
        self.left_out.retain(|group| sums.knows(group));
        for (group, pair) in found {
            if self.open.len() >= MOST_OPEN {
                changes.left_out += u64::from(self.left_out.insert(group));
                continue;
            }
            self.left_out.remove(&group);
            let open = self.opened(group, &pair);
            changes.began.push(open.incident.clone());
            self.open.push(open);
        }
        self.bound();
    }

    /// Whether what `group` did to `pair` is an incident.
    fn is_enough(&self, group: &Group, pair: &Pair, sums: &Sums, rules: &Rules) -> bool {
        let streak = self.streaks.get(pair).map(|streak| streak.faults.requests);
        let in_a_row = matches!(group, Group::Upstream(_) | Group::Route(_))
            && streak.is_some_and(|count| count >= IN_A_ROW);
        in_a_row || rules.are_met_by(sums.seen(group, pair), group)
    }

    fn opened(&mut self, group: Group, pair: &Pair) -> Open {
        let mut incident = Incident {
            id: "".into(),
            scope: group.scope(),
            upstream: group.upstream().map(Into::into),
            routes: Vec::new(),
            kinds: Vec::new(),
            severity: Severity::Low,
            cause: "".into(),
            sentence: String::new(),
            evidence: Vec::new(),
            example: None,
            began: String::new(),
            began_ms: 0,
            last_fault_ms: 0,
            ended: None,
            requests: 0,
            faulted: 0,
            share: 0.0,
            peak_share: 0.0,
            after: None,
        };
        let looks: Vec<_> = self.window.since_first(&group).collect();
        for look in &looks {
            for (pair, _) in look.hit(&group) {
                incident.hits(name_of(pair.route.as_ref()));
            }
        }
        let mut began_ms = looks.first().map_or(0, |look| look.from_ms);
        let mut last = Duration::ZERO;
        for look in looks {
            let faults = look.hit(&group).flat_map(|(_, faults)| faults);
            incident.add(
                requests_of(&incident, &group, look),
                &faults.collect::<Vec<_>>(),
            );
            incident.last_fault_ms = look.at_ms;
            last = look.at;
        }
        // A streak may reach further back than the window.
        if let Some(streak) = self.streaks.get(pair)
            && streak.faults.requests > incident.faulted
            && streak
                .faults
                .faults
                .iter()
                .all(|(ending, _)| group.takes(pair, *ending))
        {
            (incident.requests, incident.faulted) = (0, 0);
            incident.kinds.clear();
            incident.add(streak.faults.requests, &streak.faults.faults);
            began_ms = began_ms.min(streak.since_ms);
        }
        self.begun = self.begun.wrapping_add(1);
        incident.id = format!("{began_ms:x}-{}", self.begun).into();
        (incident.began, incident.began_ms) = (text_of(began_ms), began_ms);
        let lately = (
            began_ms.saturating_sub(BEFORE_MS),
            began_ms.saturating_add(ABOUT_MS),
        );
        let before = latest(&self.happenings, Side::Begin, group.upstream(), lately);
        incident.after = before.cloned();
        incident.judge();
        Open {
            group,
            incident,
            last,
            healed_ms: None,
        }
    }

    /// Ends what is over at `now`.
    fn end(&mut self, now: Duration, rules: &Rules, changes: &mut Changes) {
        let mut index = 0;
        while let Some(open) = self.open.get(index) {
            if !open.is_over(now, rules) {
                index += 1;
                continue;
            }
            let mut open = self.open.remove(index);
            open.incident.ended = Some(self.how(&open));
            changes.ended.push(open.incident.clone());
            // A streak that was told of is none any more.
            self.streaks.retain(|pair, _| !open.group.heals_by(pair));
            self.past.push_back(open.incident);
        }
        self.bound();
    }

    /// What ended it.
    fn how(&self, open: &Open) -> Ended {
        let at_ms = open.incident.last_fault_ms;
        let Some(healed_ms) = open.healed_ms else {
            let by = "No request came any more that it could have hit.".to_owned();
            return Ended::new(at_ms, by, None);
        };
        let about = (
            at_ms
                .saturating_sub(BEFORE_END_MS)
                .max(open.incident.began_ms),
            healed_ms.saturating_add(ABOUT_MS),
        );
        let after = latest(&self.happenings, Side::End, open.group.upstream(), about).cloned();
        let by = match &after {
            Some(happening) => format!("No fault came any more after this: {}", happening.sentence),
            None => {
                "Requests were answered well again; nothing is known to have changed at that time."
                    .to_owned()
            }
        };
        Ended::new(at_ms, by, after)
    }

    /// Takes over the evidence that was found for one that has ended.
    pub(super) fn prove(&mut self, proven: &Incident) {
        let mut past = self.past.iter_mut().rev();
        if let Some(incident) = past.find(|incident| incident.id == proven.id) {
            incident.evidence.clone_from(&proven.evidence);
            incident.example.clone_from(&proven.example);
        }
    }

    fn bound(&mut self) {
        while self.past.len() + self.open.len() > MOST_KEPT && self.past.pop_front().is_some() {}
    }
}

#[cfg(test)]
mod tests;
