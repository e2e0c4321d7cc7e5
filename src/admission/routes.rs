//! The routes of one upstream by small numbers, so that what is counted by route is found without a name.

use std::collections::HashMap;

use super::{
    line::{MAX_GROUPS, RouteNumber},
    meter::MAX_ROUTES,
};
use crate::names::RouteName;

/// Numbers stay with names through reloads, and are given to others only when all are in use.
#[derive(Debug, Default)]
pub(super) struct Routes {
    numbers: HashMap<RouteName, u16>,
    groups: HashMap<RouteName, u8>,
}

// === impl Routes ===

impl Routes {
    pub(super) fn names(&self) -> Vec<(u16, RouteName)> {
        self.numbers
            .iter()
            .map(|(name, number)| (*number, name.clone()))
            .collect()
    }

    /// The number of a route, by which it will be known when it is named; `None` where all are in use.
    pub(super) fn number_of(&mut self, name: &RouteName) -> Option<u16> {
        free(&mut self.numbers, name, 0..last(MAX_ROUTES))
    }

    /// Numbers for `named` routes with their share of places in thousandths, in that order; and the parts of each
    /// share group, group 0 being all routes without a share.
    pub(super) fn number(
        &mut self,
        named: &[(RouteName, Option<u32>)],
    ) -> (Vec<RouteNumber>, Vec<u32>) {
        let known = |name: &RouteName| named.iter().any(|(other, _)| other == name);
        let shared = |name: &RouteName| {
            named
                .iter()
                .any(|(other, share)| other == name && share.is_some())
        };
        if self.numbers.len().saturating_add(named.len()) >= MAX_ROUTES {
            self.numbers.retain(|name, _| known(name));
        }
        self.groups.retain(|name, _| shared(name));
        let mut parts = vec![0; 1];
        let mut numbers = Vec::with_capacity(named.len());
        for (name, share) in named {
            let number =
                free(&mut self.numbers, name, 0..last(MAX_ROUTES)).unwrap_or(last(MAX_ROUTES));
            let group = share.and_then(|part| {
                let all = 1..u8::try_from(MAX_GROUPS).unwrap_or(u8::MAX);
                let group = free(&mut self.groups, name, all)?;
                let at = usize::from(group);
                parts.resize(parts.len().max(at.saturating_add(1)), 0);
                if let Some(own) = parts.get_mut(at) {
                    *own = part;
                }
                Some(group)
            });
            numbers.push(RouteNumber {
                number,
                group: group.unwrap_or(0),
            });
        }
        (numbers, parts)
    }
}

/// The number of `name`: the one it has, or the least that nobody has.
fn free<N>(
    taken: &mut HashMap<RouteName, N>,
    name: &RouteName,
    mut all: impl Iterator<Item = N>,
) -> Option<N>
where
    N: Copy + PartialEq,
{
    if let Some(number) = taken.get(name) {
        return Some(*number);
    }
    let number = all.find(|number| !taken.values().any(|other| other == number))?;
    taken.insert(name.clone(), number);
    Some(number)
}

fn last(count: usize) -> u16 {
    u16::try_from(count.saturating_sub(1)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(routes: &mut Routes, named: &[(&str, Option<u32>)]) -> (Vec<(u16, u8)>, Vec<u32>) {
        let named: Vec<_> = named
            .iter()
            .map(|(name, share)| (RouteName::from(*name), *share))
            .collect();
        let (numbers, parts) = routes.number(&named);
        (
            numbers
                .iter()
                .map(|route| (route.number, route.group))
                .collect(),
            parts,
        )
    }

    #[test]
    fn a_route_keeps_its_number_when_others_come_and_go() {
        let mut routes = Routes::default();
        assert_eq!(
            numbers(&mut routes, &[("a", None), ("b", Some(200))]).0,
            [(0, 0), (1, 1)]
        );
        let (again, parts) = numbers(&mut routes, &[("c", Some(300)), ("b", Some(100))]);
        assert_eq!(again, [(2, 2), (1, 1)]);
        assert_eq!(parts, [0, 100, 300]);
    }

    #[test]
    fn more_routes_than_numbers_share_the_last() {
        let mut routes = Routes::default();
        let names: Vec<String> = (0..40).map(|n| format!("r{n}")).collect();
        let named: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
        let (all, _) = numbers(&mut routes, &named);
        assert_eq!(all[30].0, 30);
        assert!(all[31..].iter().all(|(number, _)| *number == 31));
        assert_eq!(numbers(&mut routes, &[("new", None)]).0, [(0, 0)]);
    }
}
