//! Groups: failover by the share of healthy, panic, and the cap of ejections.

use proptest::prelude::*;

use super::*;

/// An endpoint for each, in these groups, all healthy.
fn grouped(registry: &Registry, groups: &[usize], panic_threshold: f64) -> Seats {
    let seats = (1_u16..).zip(groups).map(|(port, group)| {
        let id = EndpointId::new("shop".into(), ([10, 0, 0, 1], port).into());
        Seat::new(registry.get_or_new(&id), NonZeroU32::MIN, None).in_group(*group)
    });
    let names = ["main".into(), "standby".into(), "far".into()];
    Seats::new(seats, panic_threshold, SLOW_START).with_groups(&names, 1.4)
}

/// Who serves for a request of which `point` is drawn, in the order in which they are looked at.
fn looked_at(seats: &Seats, tried: &[usize], point: f64, now: Instant) -> Vec<Vec<usize>> {
    let able = |at: SeatsAt<'_>| {
        (0..at.len())
            .filter(|index| at.view(*index).can_serve)
            .collect()
    };
    seats.choices(now, tried, point).map(able).collect()
}

fn traffic(seats: &Seats, now: Instant) -> Vec<(String, String, bool)> {
    let view = |group: GroupView| {
        let share = format!("{:.2}", group.traffic);
        (group.name.to_string(), share, group.panic)
    };
    seats.group_views(now).into_iter().map(view).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_group_takes_all_while_enough_of_it_can_serve() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = grouped(&registry, &[0, 0, 0, 0, 1, 1], 0.0);
    down(&seats, 0, now); // 3 of 4, times 1.4, is enough
    for point in [0.0, 0.5, 0.99] {
        assert_eq!(
            looked_at(&seats, &[], point, now),
            [[1, 2, 3]],
            "nobody else for want of room"
        );
    }
    assert!(seats.traffic_of(0, now) >= 1.0);
}

#[tokio::test(start_paused = true)]
async fn the_rest_spills_to_the_next_and_comes_back() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = grouped(&registry, &[0, 0, 1, 1], 0.0);
    down(&seats, 0, now); // 1 of 2, times 1.4: 70 %
    let [first, second] = [vec![1], vec![2, 3]];
    assert_eq!(
        looked_at(&seats, &[], 0.69, now),
        [first.clone(), second.clone()]
    );
    assert_eq!(looked_at(&seats, &[], 0.71, now), [second, first]);
    down(&seats, 1, now);
    assert_eq!(looked_at(&seats, &[], 0.0, now), [[2, 3]]);
    let shares = traffic(&seats, now);
    assert_eq!(
        (&*shares[0].1, &*shares[1].1, &*shares[2].1),
        ("0.00", "1.00", "0.00")
    );
    up(&seats, 0, now);
    up(&seats, 1, now);
    assert_eq!(looked_at(&seats, &[], 0.99, now), [[0, 1]]);
}

#[tokio::test(start_paused = true)]
async fn who_has_tried_all_of_a_group_goes_to_the_next_whether_or_not_it_gets_traffic() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = grouped(&registry, &[0, 1, 2], 0.0);
    assert_eq!(looked_at(&seats, &[], 0.5, now), [[0]]);
    assert_eq!(looked_at(&seats, &[0], 0.5, now)[0], [1]);
    assert_eq!(looked_at(&seats, &[0, 1], 0.5, now)[0], [2]);
    assert_eq!(
        looked_at(&seats, &[0, 1, 2], 0.5, now),
        [[0]],
        "again from the start"
    );
    assert!(seats.another_can_serve(&[0, 1], now));
    assert!(!seats.another_can_serve(&[0, 1, 2], now));
}

#[tokio::test(start_paused = true)]
async fn of_a_group_the_lowest_priority_that_can_serve_does_before_the_next_group() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = (1_u16..)
        .zip([(0, 0), (0, 1), (1, 0)])
        .map(|(port, (group, priority))| {
            let id = EndpointId::new("shop".into(), ([10, 0, 0, 1], port).into());
            Seat::new(registry.get_or_new(&id), NonZeroU32::MIN, Some("a.shop."))
                .of_service("_http._tcp.shop.internal", priority)
                .in_group(group)
        });
    let names = ["main".into(), "standby".into()];
    let seats = Seats::new(seats, 0.0, SLOW_START).with_groups(&names, 1.4);
    assert_eq!(looked_at(&seats, &[], 0.9, now), [[0]]);
    assert_eq!(looked_at(&seats, &[0], 0.9, now)[0], [1]);
    down(&seats, 0, now);
    assert_eq!(
        looked_at(&seats, &[], 0.9, now),
        [[1]],
        "the whole of the next priority can"
    );
    down(&seats, 1, now);
    assert_eq!(looked_at(&seats, &[], 0.9, now), [[2]]);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_in_panic_only_where_no_other_can_take_over() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = grouped(&registry, &[0, 0, 0, 0, 1, 1], 0.5);
    for index in [0, 1, 2] {
        down(&seats, index, now);
    }
    assert!(!seats.is_in_panic(now));
    assert_eq!(looked_at(&seats, &[], 0.0, now), [vec![3], vec![4, 5]]);
    down(&seats, 4, now); // 1 of 4 and 1 of 2, times 1.4: 105 %
    assert!(!seats.is_in_panic(now));
    down(&seats, 5, now);
    assert!(seats.is_in_panic(now));
    assert_eq!(looked_at(&seats, &[], 0.0, now), [[0, 1, 2, 3]]);
    down(&seats, 3, now);
    assert_eq!(
        looked_at(&seats, &[], 0.9, now),
        [[0, 1, 2, 3]],
        "nobody can: the first, all of it"
    );
    assert!(seats.can_serve(now) && seats.is_in_panic(now));
    assert_eq!(
        traffic(&seats, now)[0],
        ("main".to_owned(), "1.00".to_owned(), true)
    );
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_serve_and_nothing_panics_no_group_gets_anything() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = grouped(&registry, &[0, 1], 0.0);
    for index in [0, 1] {
        down(&seats, index, now);
    }
    assert_eq!(looked_at(&seats, &[], 0.5, now), [[0; 0]]);
    assert!(!seats.can_serve(now) && !seats.is_in_panic(now));
    assert!(seats.traffic_of(0, now) <= 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_group_is_passed_over() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = grouped(&registry, &[1, 1], 0.9);
    assert_eq!(looked_at(&seats, &[], 0.5, now), [[0, 1]]);
    for index in [0, 1] {
        down(&seats, index, now);
    }
    assert_eq!(looked_at(&seats, &[], 0.5, now), [[0, 1]], "in panic");
}

#[tokio::test(start_paused = true)]
async fn each_group_has_its_own_cap_of_ejections_and_keeps_its_last() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = grouped(&registry, &[0, 0, 1, 1, 2], 0.0);
    assert!(matches!(fail(&seats, 0, now), Some(Change::Ejected { .. })));
    assert_eq!(fail(&seats, 1, now), None, "the last of its group");
    assert!(matches!(fail(&seats, 2, now), Some(Change::Ejected { .. })));
    assert_eq!(fail(&seats, 4, now), None, "alone in its group");
}

/// Takes the endpoint at `index` back in, as a check that passes does.
fn up(seats: &Seats, index: usize, now: Instant) {
    let health = &seats.get(index).unwrap().endpoint.health;
    health.checked(Ok(Passed::Whole), &checks(), now);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_one_that_is_down_is_chosen_while_one_of_its_group_is_up(
        endpoints in proptest::collection::vec((0..3_usize, any::<bool>()), 1..12),
        threshold in prop_oneof![Just(0.0), 0.0..1.0],
        point in 0.0..1.0,
        tried in proptest::collection::vec(0..12_usize, 0..4),
    ) {
        let (registry, now) = (Registry::new(), Instant::now());
        let groups: Vec<usize> = endpoints.iter().map(|(group, _)| *group).collect();
        let seats = grouped(&registry, &groups, threshold);
        for (index, (_, is_up)) in endpoints.iter().enumerate() {
            if !is_up {
                down(&seats, index, now);
            }
        }
        let any_up = endpoints.iter().any(|(_, is_up)| *is_up);
        let sum: f64 = seats.group_views(now).iter().map(|group| group.traffic).sum();
        prop_assert!((sum - f64::from(u8::from(any_up || threshold > 0.0))).abs() < 1e-9, "{sum}");
        for (place, chosen) in looked_at(&seats, &tried, point, now).into_iter().enumerate() {
            prop_assert!(!chosen.is_empty() || !(any_up || threshold > 0.0));
            for index in chosen {
                let (_, is_up) = endpoints[index];
                prop_assert!(is_up || seats.is_in_panic(now), "{index} is down, at {place}");
            }
        }
        let untried = endpoints.iter().enumerate().any(|(at, (_, up))| *up && !tried.contains(&at));
        prop_assert!(!untried || seats.another_can_serve(&tried, now));
    }
}
