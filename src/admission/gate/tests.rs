use std::{
    future::Future,
    num::NonZeroU32,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::time::advance;

use super::*;
use crate::{
    admission::{Picked, concurrency::Outcome, line::Ask},
    config::{ConcurrencyMode, LawWord, LimitBounds, QueuePlan, Stretch},
};

/// Always the same endpoint, or none.
struct One(Option<Arc<Lane>>);

impl Pick for One {
    fn pick(&self, free: &dyn Fn(&Lane, f32) -> bool) -> Option<Picked<'_>> {
        let lane = self.0.as_ref().filter(|lane| free(lane, 1.0))?;
        Some(Picked {
            lane,
            seat: 7,
            share: 1.0,
        })
    }

    fn can_serve(&self) -> bool {
        self.0.is_some()
    }

    fn seat_of(&self, lane: &Lane) -> Option<usize> {
        self.0
            .as_ref()
            .filter(|own| std::ptr::eq(&raw const ***own, lane))
            .map(|_| 7)
    }
}

fn id(port: u16) -> EndpointId {
    EndpointId::new("up".into(), ([10, 0, 0, 1], port).into())
}

fn one(gate: &Arc<Gate>) -> One {
    One(Some(gate.lane(&id(1))))
}

fn wish(priority: Priority, deadline: Option<Instant>) -> Wish {
    Wish {
        priority,
        route: RouteNumber::default(),
        tenant: 0,
        deadline,
        retry: false,
    }
}

fn plan(limit: u32, max_waiting: u32, max_wait_ms: u64) -> ConcurrencyPlan {
    let mode = NonZeroU32::new(limit).map_or(ConcurrencyMode::Off, ConcurrencyMode::Fixed);
    let max_wait = Duration::from_millis(max_wait_ms);
    ConcurrencyPlan {
        mode,
        queue: QueuePlan {
            stretch: Stretch::Never,
            max_waiting,
            max_wait,
        },
        shadow: false,
    }
}

fn gate(limit: u32, max_waiting: u32) -> Arc<Gate> {
    started(&plan(limit, max_waiting, 100))
}

fn started(plan: &ConcurrencyPlan) -> Arc<Gate> {
    let gate = Arc::new(Gate::new(plan, Events::default()));
    let picks = one(&gate);
    gate.follow(Arc::new(picks), &HashSet::from([&id(1)]));
    gate
}

async fn admit_as(gate: &Arc<Gate>, priority: Priority, deadline: Option<Instant>) -> Admitted {
    gate.admit(&wish(priority, deadline), &one(gate)).await
}

type Admitted = Result<Permit, Denied>;
type Admission<'a> = Pin<Box<dyn Future<Output = Admitted> + Send + 'a>>;

/// A request that has come to the gate and was polled once: it waits.
fn waiter(gate: &Arc<Gate>, priority: Priority) -> Admission<'_> {
    let mut admission: Admission<'_> = Box::pin(admit_as(gate, priority, None));
    assert!(poll(&mut admission).is_none(), "admitted at once");
    admission
}

fn poll(admission: &mut Admission<'_>) -> Option<Admitted> {
    match admission
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(admitted) => Some(admitted),
        Poll::Pending => None,
    }
}

async fn admit(gate: &Arc<Gate>) -> Admitted {
    admit_as(gate, Priority::Normal, None).await
}

fn reason(admitted: Admitted) -> ShedReason {
    match admitted {
        Err(Denied::Refused(refusal)) => {
            assert!(refusal.retry_after >= Duration::from_secs(1));
            refusal.reason
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn assert_counts(gate: &Gate, in_flight: u32, waiting: u32) {
    let view = gate.view();
    assert_eq!((view.in_flight, view.waiting), (in_flight, waiting));
}

#[tokio::test(start_paused = true)]
async fn as_many_enter_as_the_limit_says() {
    let gate = gate(2, 0);
    let first = admit(&gate).await.unwrap();
    let _second = admit(&gate).await.unwrap();
    assert_eq!(reason(admit(&gate).await), ShedReason::ConcurrencyExceeded);
    drop(first);
    let third = admit(&gate).await.unwrap();
    assert_eq!((third.seat(), third.queued()), (7, Duration::ZERO));
    assert_counts(&gate, 2, 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_everyone_enters_and_is_counted() {
    let gate = gate(0, 0);
    let permits: Vec<_> = [admit(&gate).await, admit(&gate).await]
        .into_iter()
        .collect();
    assert_eq!(gate.view().limit, None);
    assert_counts(&gate, 2, 0);
    drop(permits);
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_goes_to_the_highest_class_and_inside_it_to_the_oldest() {
    let gate = gate(1, 9);
    let mut holder = Some(admit(&gate).await.unwrap());
    let mut waiters: Vec<_> = [
        Priority::Low,
        Priority::Normal,
        Priority::Critical,
        Priority::Normal,
    ]
    .map(|priority| waiter(&gate, priority))
    .into();
    for expected in [2, 1, 3, 0] {
        drop(holder.take());
        let ready: Vec<usize> = (0..4)
            .filter(|index| {
                let admitted = poll(&mut waiters[*index]);
                let entered = admitted.is_some();
                holder = holder.take().or(admitted.map(Result::unwrap));
                if entered {
                    waiters[*index] = Box::pin(std::future::pending());
                }
                entered
            })
            .collect();
        assert_eq!(ready, [expected]);
    }
    assert_counts(&gate, 1, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_enters_past_those_who_wait() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let mut first = waiter(&gate, Priority::Low);
    drop(holder);
    assert_counts(&gate, 1, 0);
    let _second = waiter(&gate, Priority::Low);
    assert!(poll(&mut first).unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses() {
    let gate = gate(1, 1);
    let _holder = admit(&gate).await.unwrap();
    let _waiting = waiter(&gate, Priority::Normal);
    assert_eq!(reason(admit(&gate).await), ShedReason::QueueFull);
    assert_counts(&gate, 1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_gives_a_lower_one_up_for_a_higher_one() {
    let gate = gate(1, 2);
    let holder = admit(&gate).await.unwrap();
    let mut older = waiter(&gate, Priority::Low);
    let mut younger = waiter(&gate, Priority::Low);
    let mut high = waiter(&gate, Priority::High);
    assert_eq!(reason(poll(&mut younger).unwrap()), ShedReason::QueueFull);
    assert_counts(&gate, 1, 2);
    drop(holder);
    assert!(poll(&mut older).is_none());
    assert!(poll(&mut high).unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_refused_after_max_wait_and_not_before() {
    let gate = gate(1, 9);
    let _holder = admit(&gate).await.unwrap();
    let came = Instant::now();
    assert_eq!(reason(admit(&gate).await), ShedReason::QueueTimeout);
    assert_eq!(came.elapsed(), Duration::from_millis(100));
    assert_counts(&gate, 1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_before_max_wait_is_what_the_refusal_names() {
    let gate = gate(1, 9);
    let _holder = admit(&gate).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(40);
    let denied = admit_as(&gate, Priority::Normal, Some(deadline)).await;
    assert_eq!(reason(denied), ShedReason::DeadlineUnmeetable);
    assert_eq!(Instant::now(), deadline);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_past_is_refused_though_a_place_is_free() {
    let gate = gate(1, 9);
    let denied = admit_as(&gate, Priority::Normal, Some(Instant::now())).await;
    assert_eq!(denied.unwrap_err(), Denied::DeadlinePast);
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn without_an_endpoint_the_place_is_given_back() {
    let gate = gate(1, 9);
    let denied = gate.admit(&wish(Priority::Normal, None), &One(None)).await;
    assert_eq!(denied.unwrap_err(), Denied::NoEndpoint);
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn the_permit_knows_how_long_it_was_waited_for() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let mut waiting = waiter(&gate, Priority::Normal);
    advance(Duration::from_millis(30)).await;
    drop(holder);
    let permit = poll(&mut waiting).unwrap().unwrap();
    assert_eq!(permit.queued(), Duration::from_millis(30));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_it_is_polled_takes_nothing() {
    let gate = gate(1, 9);
    drop(admit_as(&gate, Priority::Normal, None));
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_waits_is_out_of_the_queue_at_once() {
    let gate = gate(1, 2);
    let holder = admit(&gate).await.unwrap();
    let first = waiter(&gate, Priority::Normal);
    let mut second = waiter(&gate, Priority::Normal);
    drop(first);
    assert_counts(&gate, 1, 1);
    drop(holder);
    assert!(poll(&mut second).unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_with_a_place_on_its_way_hands_it_to_the_next() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let first = waiter(&gate, Priority::Normal);
    let mut second = waiter(&gate, Priority::Normal);
    drop(holder);
    assert_counts(&gate, 1, 1);
    drop(first); // it was given the place, and never polled again
    assert_counts(&gate, 1, 0);
    drop(poll(&mut second).unwrap().unwrap());
    assert_counts(&gate, 0, 0);
}

/// One that waits and no longer listens, as between the choice of a waiter and the word to it.
fn gone(gate: &Arc<Gate>) {
    let ask = Ask {
        priority: Priority::High,
        retry: false,
        route: RouteNumber::default(),
        tenant: 0,
        deadline: None,
    };
    let token = || oneshot::channel().0;
    let arrived = gate
        .core
        .arrive(&ask, &one(gate), gate.now(), token, &mut Told::new());
    assert!(matches!(arrived, Arrived::Waits(_)), "{arrived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_place_offered_to_one_who_is_gone_goes_to_the_next() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    for _ in 0..2 {
        gone(&gate);
    }
    let mut next = waiter(&gate, Priority::Normal);
    drop(holder);
    assert!(poll(&mut next).unwrap().is_ok());
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_larger_limit_loses_no_place_on_one_who_is_gone() {
    let gate = gate(1, 9);
    let _holder = admit(&gate).await.unwrap();
    gone(&gate);
    let mut next = waiter(&gate, Priority::Normal);
    gate.reshape(&plan(2, 9, 100));
    assert!(poll(&mut next).unwrap().is_ok());
    assert_counts(&gate, 1, 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_who_leaves_with_a_place_on_its_way_frees_it() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let only = waiter(&gate, Priority::Normal);
    drop(holder);
    drop(only);
    assert_counts(&gate, 0, 0);
    assert!(admit(&gate).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_after_the_time_was_up_is_not_given_and_not_lost() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let mut late = waiter(&gate, Priority::Normal);
    advance(Duration::from_millis(200)).await;
    let mut next = waiter(&gate, Priority::Normal);
    drop(holder); // before the first one looked at the clock
    assert_eq!(reason(poll(&mut late).unwrap()), ShedReason::QueueTimeout);
    assert!(poll(&mut next).unwrap().is_ok());
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_after_its_time_was_up_leaves_nothing_behind() {
    let gate = gate(1, 9);
    let _holder = admit(&gate).await.unwrap();
    let waiting = waiter(&gate, Priority::Normal);
    advance(Duration::from_millis(200)).await;
    drop(waiting);
    assert_counts(&gate, 1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_woken_by_the_place_not_by_a_timer() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let came = Instant::now();
    let waits = async { admit(&gate).await.unwrap() };
    let releases = async {
        tokio::task::yield_now().await;
        drop(holder);
    };
    let (permit, ()) = tokio::join!(waits, releases);
    assert_eq!(came.elapsed(), Duration::ZERO);
    permit.end(Outcome::Ignored);
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_larger_limit_lets_those_in_who_wait() {
    let gate = gate(1, 9);
    let _holder = admit(&gate).await.unwrap();
    let mut waiters: Vec<_> = (0..4).map(|_| waiter(&gate, Priority::Normal)).collect();
    gate.reshape(&plan(3, 9, 100));
    assert_counts(&gate, 3, 2);
    let entered: Vec<_> = waiters.iter_mut().filter_map(poll).collect();
    assert_eq!(entered.len(), 2);
    gate.reshape(&plan(0, 9, 100));
    assert_counts(&gate, 5, 0);
}

#[tokio::test(start_paused = true)]
async fn a_smaller_limit_cancels_nobody_and_admits_nobody_until_it_is_met() {
    let gate = gate(3, 9);
    let mut permits = Vec::new();
    for _ in 0..3 {
        permits.push(admit(&gate).await.unwrap());
    }
    gate.reshape(&plan(1, 9, 100));
    let mut waiting = waiter(&gate, Priority::Normal);
    assert_counts(&gate, 3, 1);
    permits.pop();
    permits.pop();
    assert!(poll(&mut waiting).is_none());
    assert_counts(&gate, 1, 1);
    permits.pop();
    assert!(poll(&mut waiting).unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_smaller_queue_refuses_the_newest_beyond_it() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| waiter(&gate, Priority::Normal)).collect();
    gate.reshape(&plan(1, 1, 100));
    assert_counts(&gate, 1, 1);
    for newest in [2, 1] {
        assert_eq!(
            reason(poll(&mut waiters[newest]).unwrap()),
            ShedReason::QueueFull
        );
    }
    drop(holder);
    assert!(poll(&mut waiters[0]).unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_of_a_route_whose_time_shrank_is_judged_by_what_it_has_now() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let mut early = waiter(&gate, Priority::Normal);
    advance(Duration::from_millis(60)).await;
    let mut late = waiter(&gate, Priority::Normal);
    let time = Duration::from_millis(50);
    gate.hurry(RouteNumber::new(1, 0), time);
    assert_counts(&gate, 1, 2);
    gate.hurry(RouteNumber::default(), time);
    assert_counts(&gate, 1, 1);
    let told = reason(poll(&mut early).unwrap());
    assert_eq!(told, ShedReason::DeadlineUnmeetable);
    advance(Duration::from_millis(60)).await;
    drop(holder);
    assert!(poll(&mut late).unwrap().is_err(), "too late at its turn");
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_max_wait_holds_for_who_comes_after() {
    let gate = gate(1, 9);
    let _holder = admit(&gate).await.unwrap();
    let mut before = waiter(&gate, Priority::Normal);
    gate.reshape(&plan(1, 9, 1000));
    let mut after = waiter(&gate, Priority::Normal);
    advance(Duration::from_millis(101)).await;
    assert_eq!(reason(poll(&mut before).unwrap()), ShedReason::QueueTimeout);
    assert!(poll(&mut after).is_none());
}

fn learning(law: LawWord, initial: u32) -> ConcurrencyPlan {
    let number = |number| NonZeroU32::new(number).unwrap();
    ConcurrencyPlan {
        mode: ConcurrencyMode::Learned {
            law,
            bounds: LimitBounds {
                min: number(1),
                max: number(64),
                initial: number(initial),
            },
            total: None,
        },
        ..plan(1, 9, 100)
    }
}

#[tokio::test(start_paused = true)]
async fn a_learned_limit_moves_when_its_window_is_over_and_lets_those_in_who_wait() {
    let gate = started(&learning(LawWord::Aimd, 2));
    let mut permits: Vec<_> = [admit(&gate).await, admit(&gate).await]
        .map(Result::unwrap)
        .into();
    let mut waiting: Vec<_> = (0..3).map(|_| waiter(&gate, Priority::Normal)).collect();
    permits.iter_mut().for_each(Permit::sent);
    assert!(permits.iter().all(Permit::is_on_test));
    let took = Duration::from_millis(5);
    for _ in 0..40 {
        advance(took).await;
        for mut permit in std::mem::take(&mut permits) {
            permit.answered(Outcome::Succeeded { took });
        }
        gate.close_windows();
        let entered = waiting.iter_mut().filter_map(poll).map(Result::unwrap);
        permits.extend(entered.inspect(|_| ()));
        permits.iter_mut().for_each(Permit::sent);
        waiting.retain_mut(|_| false);
        while permits.len() < 2 {
            permits.push(admit(&gate).await.unwrap());
        }
        permits.iter_mut().for_each(Permit::sent);
    }
    let limit = gate.lane(&id(1)).limit().unwrap();
    assert!(limit > 2, "{limit}");
}

#[tokio::test(start_paused = true)]
async fn a_body_keeps_its_place_for_a_multiple_of_what_is_usual_where_the_limit_is_learned() {
    let gate = started(&learning(LawWord::Adaptive, 4));
    let lingers = async |head_ms: u64, body: Option<Duration>| {
        let mut permit = admit(&gate).await.unwrap();
        permit.sent();
        let took = Duration::from_millis(head_ms);
        permit.answered(Outcome::Succeeded { took });
        let lingers = permit.lingers();
        permit.give_place_back();
        assert_counts(&gate, 0, 0);
        if let Some(took) = body {
            permit.streamed(took);
        }
        lingers.unwrap()
    };
    let (endless, long) = (None, Some(Duration::from_secs(6)));
    assert_eq!(lingers(1, endless).await, Duration::from_millis(50));
    assert_eq!(lingers(1, long).await, Duration::from_millis(50));
    let body = Some(Duration::from_millis(200));
    assert_eq!(lingers(1, body).await, Duration::from_millis(50));
    assert_eq!(lingers(1, None).await, Duration::from_millis(804));
    assert!(lingers(60_000, None).await == Duration::from_secs(5));

    let fixed = self::gate(1, 0);
    let mut permit = admit(&fixed).await.unwrap();
    permit.sent();
    permit.answered(Outcome::Succeeded {
        took: Duration::from_millis(1),
    });
    assert_eq!(permit.lingers(), None);
}

#[tokio::test(start_paused = true)]
async fn another_mode_keeps_who_is_in_flight_and_begins_where_the_limit_was() {
    let gate = started(&learning(LawWord::Vegas, 3));
    let _permits: Vec<_> = [admit(&gate).await, admit(&gate).await].into();
    gate.reshape(&learning(LawWord::Gradient2, 9));
    assert_eq!(gate.lane(&id(1)).limit(), Some(3));
    assert_counts(&gate, 2, 0);
    gate.reshape(&plan(2, 0, 100));
    assert_eq!(
        (gate.lane(&id(1)).limit(), gate.view().limit),
        (None, Some(2))
    );
    assert_eq!(reason(admit(&gate).await), ShedReason::ConcurrencyExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_limit_in_shadow_counts_and_refuses_nobody() {
    let shadow = ConcurrencyPlan {
        shadow: true,
        ..plan(1, 0, 100)
    };
    let gate = started(&shadow);
    let first = admit(&gate).await.unwrap();
    let second = admit(&gate).await.unwrap();
    assert_eq!(first.shadow(), None);
    assert_eq!(second.shadow(), Some(ShedReason::ConcurrencyExceeded));
    drop((first, second));
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_shed_a_moment_ago_is_shedding_and_later_is_not() {
    let gate = gate(1, 0);
    let _holder = admit(&gate).await.unwrap();
    assert!(!gate.is_shedding());
    assert_eq!(reason(admit(&gate).await), ShedReason::ConcurrencyExceeded);
    assert!(gate.is_shedding());
    advance(Duration::from_secs(2)).await;
    assert!(!gate.is_shedding());
}

#[test]
fn an_admission_and_its_permit_can_go_anywhere() {
    fn anywhere<T: Send + 'static>(_: &T) {}
    let gate = gate(1, 1);
    let admission = async move { admit_as(&gate, Priority::Normal, None).await };
    let admission = pin!(admission);
    let Poll::Ready(Ok(permit)) = admission.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("not admitted");
    };
    anywhere(&permit);
    assert!(
        size_of_val(&permit) <= 144,
        "{} bytes",
        size_of_val(&permit)
    );
}

/// Threads that admit, give up, release and reshape as fast as they can. A place or a wake-up that is lost shows
/// as a waiter whose time runs out, though everyone holds its place for an instant only.
#[test]
fn under_threads_no_place_is_lost_and_no_waiter_forgotten() {
    const ROUNDS: usize = 64_000;
    const TASKS: usize = 32;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let gate = started(&plan(4, 16, 20_000));
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let gate = Arc::clone(&gate);
            tasks.spawn(async move { storm(&gate, task, ROUNDS / TASKS).await });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    });
    assert_counts(&gate, 0, 0);
}

async fn storm(gate: &Arc<Gate>, task: usize, rounds: usize) {
    for round in 0..rounds {
        let priority = Priority::ALL[(task + round) % 4];
        if (task + round).is_multiple_of(5) {
            // Gone as soon as it waits, perhaps with a place on its way.
            let mut admission = pin!(admit_as(gate, priority, None));
            let _ = admission
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            tokio::task::yield_now().await;
            continue;
        }
        if task == 0 {
            gate.reshape(&plan(if round % 2 == 0 { 6 } else { 4 }, 16, 20_000));
        }
        match admit_as(gate, priority, None).await {
            Ok(permit) => {
                assert!(gate.view().in_flight <= 6, "{:?}", gate.view());
                tokio::task::yield_now().await;
                drop(permit);
            }
            refused => assert_eq!(reason(refused), ShedReason::QueueFull),
        }
    }
}

// === one at a time ===

/// An endpoint of which only this share may be used now; 0: it is on trial.
struct Part(Arc<Lane>, f32);

impl Pick for Part {
    fn pick(&self, free: &dyn Fn(&Lane, f32) -> bool) -> Option<Picked<'_>> {
        let Self(lane, share) = self;
        let share = *share;
        free(lane, share).then_some(Picked {
            lane,
            seat: 7,
            share,
        })
    }

    fn can_serve(&self) -> bool {
        true
    }

    fn seat_of(&self, _: &Lane) -> Option<usize> {
        Some(7)
    }
}

/// An upstream without limits whose one endpoint is on trial.
fn on_trial() -> (Arc<Gate>, Part) {
    let gate = Arc::new(Gate::new(&plan(0, 4, 100), Events::default()));
    let tried = || Part(gate.lane(&id(1)), 0.0);
    gate.follow(Arc::new(tried()), &HashSet::from([&id(1)]));
    let picks = tried();
    (gate, picks)
}

fn try_in(gate: &Arc<Gate>, picks: &Part) -> Option<Permit> {
    gate.try_admit(&wish(Priority::Normal, None), picks)
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_on_trial_takes_one_request_at_a_time_whatever_the_limit() {
    let (gate, picks) = on_trial();
    let first = try_in(&gate, &picks).unwrap();
    assert!(try_in(&gate, &picks).is_none());
    drop(first);
    let mut second = try_in(&gate, &picks).unwrap();
    second.answered(Outcome::Ignored);
    let third = try_in(&gate, &picks).unwrap(); // the body of the second still runs
    drop(second);
    assert!(try_in(&gate, &picks).is_none(), "freed twice by the second");
    drop(third);
    assert!(try_in(&gate, &picks).is_some());
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn what_runs_there_from_before_does_not_keep_a_trial_away() {
    let (gate, picks) = on_trial();
    let well = Part(Arc::clone(&picks.0), 1.0);
    let before = [(); 3].map(|()| try_in(&gate, &well).unwrap());
    let trial = try_in(&gate, &picks).unwrap();
    assert!(try_in(&gate, &picks).is_none());
    drop(before);
    assert!(try_in(&gate, &picks).is_none(), "it was not theirs to free");
    drop(trial);
    assert!(try_in(&gate, &picks).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_met_leaves_the_trial_to_the_next() {
    let (gate, picks) = on_trial();
    gate.reshape(&plan(1, 4, 100));
    let well = Part(Arc::clone(&picks.0), 1.0);
    let before = try_in(&gate, &well).unwrap();
    assert!(try_in(&gate, &picks).is_none(), "the upstream is full");
    drop(before);
    assert!(try_in(&gate, &picks).is_some());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_trial_gets_it_or_passes_it_on() {
    let (gate, picks) = on_trial();
    let running = try_in(&gate, &picks).unwrap();
    let normal = wish(Priority::Normal, None);
    let mut first: Admission<'_> = Box::pin(gate.admit(&normal, &picks));
    let mut second: Admission<'_> = Box::pin(gate.admit(&normal, &picks));
    assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
    drop(running);
    drop(first); // it was given the place, and has gone
    let permit = poll(&mut second).unwrap().unwrap();
    assert!(try_in(&gate, &picks).is_none());
    drop(permit);
    assert!(try_in(&gate, &picks).is_some());
}
