use std::{
    future::Future,
    num::NonZeroU32,
    pin::{Pin, pin},
    sync::atomic::AtomicUsize,
    task::{Context, Poll, Waker},
};

use rand::rngs::SmallRng;
use tokio::time::advance;

use super::*;
use crate::{
    admission::concurrency::{Limit, Outcome},
    config::{ConcurrencyMode, QueuePlan},
};

/// Always the same endpoint, or none.
struct One(Option<&'static str>);

impl Pick for One {
    type Endpoint = &'static str;

    fn pick(&self, free: &dyn Fn(&&'static str) -> bool) -> Option<&'static str> {
        self.0.filter(free)
    }
}

const A: One = One(Some("a"));

fn plan(limit: u32, max_waiting: u32, max_wait_ms: u64) -> ConcurrencyPlan {
    let mode = NonZeroU32::new(limit).map_or(ConcurrencyMode::Off, ConcurrencyMode::Fixed);
    let max_wait = Duration::from_millis(max_wait_ms);
    ConcurrencyPlan {
        mode,
        queue: QueuePlan {
            max_waiting,
            max_wait,
        },
    }
}

fn gate(limit: u32, max_waiting: u32) -> Arc<Gate> {
    Arc::new(Gate::new(&plan(limit, max_waiting, 100)))
}

type Admitted = Result<Permit<&'static str>, Denied>;
type Admission<'a> = Pin<Box<dyn Future<Output = Admitted> + Send + 'a>>;

/// A request that has come to the gate and was polled once: it waits.
fn waiter(gate: &Arc<Gate>, priority: Priority) -> Admission<'_> {
    let mut admission: Admission<'_> = Box::pin(gate.admit(priority, None, &A));
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
    gate.admit(Priority::Normal, None, &A).await
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
    assert_eq!((*third.endpoint(), third.queued()), ("a", Duration::ZERO));
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
    let denied = gate.admit(Priority::Normal, Some(deadline), &A).await;
    assert_eq!(reason(denied), ShedReason::DeadlineUnmeetable);
    assert_eq!(Instant::now(), deadline);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_past_is_refused_though_a_place_is_free() {
    let gate = gate(1, 9);
    let denied = gate.admit(Priority::Normal, Some(Instant::now()), &A).await;
    assert_eq!(denied.unwrap_err(), Denied::DeadlinePast);
    assert_counts(&gate, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn without_an_endpoint_the_place_is_given_back() {
    let gate = gate(1, 9);
    let denied = gate.admit(Priority::Normal, None, &One(None)).await;
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
    drop(gate.admit(Priority::Normal, None, &A));
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

#[tokio::test(start_paused = true)]
async fn a_place_offered_to_one_who_is_gone_goes_to_the_next() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    for _ in 0..2 {
        // As between the hand-over's choice and its word: still chosen, no longer listening.
        let Ok(Joined::Waits { answer, .. }) = gate.join(Priority::High) else {
            panic!("does not wait");
        };
        drop(answer);
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
    let Ok(Joined::Waits { answer, .. }) = gate.join(Priority::High) else {
        panic!("does not wait");
    };
    drop(answer);
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
async fn a_place_that_comes_with_the_timeout_is_taken_not_lost() {
    let gate = gate(1, 9);
    let holder = admit(&gate).await.unwrap();
    let mut waiting = waiter(&gate, Priority::Normal);
    advance(Duration::from_millis(200)).await;
    drop(holder); // handed over after the time was up, before the waiter looked
    assert!(poll(&mut waiting).unwrap().is_ok());
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

#[tokio::test(start_paused = true)]
async fn another_try_takes_another_endpoint_on_the_same_place() {
    let gate = gate(1, 0);
    let mut permit = admit(&gate).await.unwrap();
    assert_eq!(permit.replace_endpoint("b"), "a");
    assert_eq!(*permit.endpoint(), "b");
    assert_counts(&gate, 1, 0);
}

/// Hears everything; its limit doubles with each window of two ends.
struct Scripted {
    limit: u32,
    heard: Arc<AtomicUsize>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

impl Limit for Scripted {
    fn on_send(&mut self, sent: &Sent) {
        assert!(sent.in_flight >= 1);
        self.heard.fetch_add(1, Relaxed);
    }

    fn on_end(&mut self, ended: &Ended) {
        self.outcomes.lock().push(ended.outcome);
    }

    fn on_window(&mut self, now: Instant, _rng: &mut SmallRng) -> (NonZeroU32, Instant) {
        self.limit *= 2;
        (
            NonZeroU32::new(self.limit).unwrap(),
            now + Duration::from_millis(10),
        )
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_learns_hears_each_end_once_and_moves_the_gate() {
    let (heard, outcomes) = (Arc::default(), Arc::<Mutex<Vec<Outcome>>>::default());
    let limit = Scripted {
        limit: 1,
        heard: Arc::clone(&heard),
        outcomes: Arc::clone(&outcomes),
    };
    let plan = plan(1, 9, 100);
    let source = Source::over(plan.mode, Some(Box::new(limit)), Instant::now());
    let gate = Arc::new(Gate::over(source, &plan));
    assert_eq!(gate.view().limit, Some(2));
    let mut first = admit(&gate).await.unwrap();
    let second = admit(&gate).await.unwrap();
    let mut waiting: Vec<_> = (0..3).map(|_| waiter(&gate, Priority::Normal)).collect();
    first.sent(Instant::now());
    let took = Duration::from_millis(5);
    first.end(Outcome::Succeeded { took });
    assert_eq!(gate.view().limit, Some(2), "the window has not ended");
    advance(Duration::from_millis(10)).await;
    drop(second);
    assert_eq!(gate.view().limit, Some(4));
    assert_counts(&gate, 3, 0);
    assert!(
        waiting
            .iter_mut()
            .all(|waiting| poll(waiting).unwrap().is_ok())
    );
    assert_eq!(heard.load(Relaxed), 1);
    let expected = [Outcome::Succeeded { took }, Outcome::Ignored];
    assert_eq!(outcomes.lock()[..2], expected);
}

#[test]
fn an_admission_and_its_permit_can_go_anywhere() {
    fn anywhere<T: Send + 'static>(_: &T) {}
    let gate = gate(1, 1);
    let admission = async move { gate.admit(Priority::Normal, None, &A).await };
    let admission = pin!(admission);
    let Poll::Ready(Ok(permit)) = admission.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("not admitted");
    };
    anywhere(&permit);
    assert!(
        size_of_val(&permit) <= 112,
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
    let gate = Arc::new(Gate::new(&plan(4, 16, 20_000)));
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
            let mut admission = pin!(gate.admit(priority, None, &A));
            let _ = admission
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            tokio::task::yield_now().await;
            continue;
        }
        if task == 0 {
            gate.reshape(&plan(if round % 2 == 0 { 6 } else { 4 }, 16, 20_000));
        }
        match gate.admit(priority, None, &A).await {
            Ok(permit) => {
                assert!(gate.view().in_flight <= 6, "{:?}", gate.view());
                tokio::task::yield_now().await;
                drop(permit);
            }
            refused => assert_eq!(reason(refused), ShedReason::QueueFull),
        }
    }
}
