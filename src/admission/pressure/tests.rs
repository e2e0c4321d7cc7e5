use super::*;

const ON: PressurePlan = PressurePlan {
    enabled: true,
    shadow: false,
};
const SHADOW: PressurePlan = PressurePlan {
    enabled: true,
    shadow: true,
};

fn at(plan: PressurePlan, level: Level) -> Arc<Pressure> {
    let pressure = Pressure::new(plan);
    pressure.set(level, Readings::default());
    pressure
}

#[test]
fn low_is_shed_before_normal_and_critical_never() {
    let shed = |level| {
        let pressure = at(ON, level);
        Priority::ALL.map(|priority| !pressure.admits(priority))
    };
    assert_eq!(shed(Level::Spare), [false; 4]);
    assert_eq!(shed(Level::ShedLow), [false, false, false, true]);
    assert_eq!(shed(Level::ShedNormal), [false, false, true, true]);
    assert_eq!(shed(Level::Critical), [false, true, true, true]);
}

#[test]
fn in_shadow_the_level_is_shown_and_nothing_is_given_up() {
    let pressure = at(SHADOW, Level::Critical);
    assert_eq!(pressure.level(), Level::Critical);
    assert_eq!(pressure.enforced(), Level::Calm);
    assert!(pressure.admits(Priority::Low) && pressure.retries_allowed());
    assert!(pressure.would_shed(Priority::Low));
    assert!(!pressure.would_shed(Priority::Critical));
}

#[test]
fn what_is_shed_is_not_shed_in_shadow_as_well() {
    let pressure = at(ON, Level::Critical);
    assert!(!pressure.would_shed(Priority::Low));
}

#[test]
fn a_reload_may_end_the_shadow_and_bring_it_back() {
    let pressure = at(SHADOW, Level::ShedLow);
    let level = pressure.subscribe();
    pressure.reshape(ON);
    assert!(!pressure.admits(Priority::Low));
    assert_eq!(*level.borrow(), Level::ShedLow);
    pressure.reshape(SHADOW);
    assert!(pressure.admits(Priority::Low));
    assert_eq!(*level.borrow(), Level::Calm);
}

#[test]
fn one_line_in_ten_is_written_under_pressure_and_every_line_without() {
    let written = |level| {
        let pressure = at(ON, level);
        (0..100).filter(|_| pressure.log_sample()).count()
    };
    assert_eq!(written(Level::Calm), 100);
    assert_eq!(written(Level::Spare), 10);
}

#[tokio::test]
async fn accepting_waits_until_the_worst_is_over() {
    let pressure = at(ON, Level::Critical);
    let mut waiting = Box::pin(pressure.accepting());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    pressure.set(Level::ShedNormal, Readings::default());
    assert!(futures_util::poll!(&mut waiting).is_ready());
}
