//! What the end of an attempt tells of how long the endpoint takes.

use super::*;
use crate::pool::{FAILED_AT_LEAST, Seats};

/// How long the endpoint of a rig takes after one attempt at it, told to its judge.
async fn told(rig: &Rig) -> Option<Duration> {
    let ended = rig.try_once(get()).await;
    judge(rig, &ended)
}

fn judge(rig: &Rig, ended: &Result<Sent, Box<AttemptError>>) -> Option<Duration> {
    let seats = Seats::new([rig.seat.clone()], 0.0, Duration::ZERO);
    let handles = Telemetry::new().upstream(&rig.plan.name);
    let judge = Judge {
        seats: &seats,
        plan: &rig.plan,
        handles: &handles,
    };
    judge.attempted((&rig.seat, Instant::now()), ended, &mut Blame::default());
    let latency = rig.seat.endpoint.latency.at(Instant::now());
    latency.map(|(mean, _)| mean)
}

/// Longer than a local answer takes, shorter than a failure counts.
const BETWEEN: Duration = FAILED_AT_LEAST.checked_div(2).unwrap();

#[tokio::test]
async fn an_answer_counts_by_its_time_whatever_the_client_did_wrong() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ] {
        let rig = Rig::new(Script::answering(answer).await.address);
        let took = told(&rig).await.unwrap();
        assert!(took < BETWEEN, "{answer}: {took:?}");
    }
}

#[tokio::test]
async fn a_failure_or_refusal_counts_as_slow_however_fast_it_came() {
    for answer in [
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
        "garbage\r\n\r\n",
    ] {
        let rig = Rig::new(Script::answering_once(answer).await.address);
        let took = told(&rig).await.unwrap();
        assert!(took > BETWEEN, "{answer}: {took:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::new(listener.local_addr().unwrap());
    drop(listener);
    assert!(told(&rig).await.unwrap() > BETWEEN);
}

#[tokio::test]
async fn what_was_not_the_endpoints_doing_says_nothing_of_its_time() {
    let rig = Rig::new(([127, 0, 0, 1], 9).into());
    let ours = AttemptError::ours(Fault::new(crate::fault::Kind::Internal));
    assert_eq!(judge(&rig, &Err(Box::new(ours))), None);
}
