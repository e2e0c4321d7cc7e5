//! Names followed against a real (scripted) DNS server.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hickory_proto::{op::ResponseCode, rr::RecordType};
use tidegate::{
    config::DnsPlan,
    resolve::{Answer, AnswerState, Followed, Resolver, Why, follow},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::dns::{DnsServer, Reply};

const NAME: &str = "shop.internal";
/// Far more than any of it takes.
const CAP: Duration = Duration::from_secs(30);

/// Looks up anew every few milliseconds.
fn plan(servers: &[&DnsServer]) -> DnsPlan {
    DnsPlan {
        servers: servers.iter().map(|server| server.address()).collect(),
        min_ttl: Duration::from_millis(20),
        max_ttl: Duration::from_millis(20),
        max_stale: Duration::from_secs(3600),
        hold: Duration::from_secs(3600),
        allow_addresses: Vec::new(),
    }
}

/// A name that is followed until this is dropped.
struct Name {
    answer: watch::Receiver<Answer>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Name {
    fn follow(plan: DnsPlan) -> Self {
        let resolver = Resolver::new(&plan).with_hosts_file("/no/such/file");
        Self::follow_by(resolver, plan, NAME)
    }

    fn follow_by(resolver: Resolver, plan: DnsPlan, name: &'static str) -> Self {
        let (out, answer) = watch::channel(Answer::pending());
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let stopped = stop.clone();
        tracker.spawn(async move {
            let followed = Followed {
                name,
                plan: &plan,
                handles: &[],
            };
            follow(followed, &resolver, &out, &stopped).await;
        });
        tracker.close();
        Self {
            answer,
            stop,
            tracker,
        }
    }

    /// Waits for an answer like this, and returns it.
    async fn until(&mut self, wanted: impl FnMut(&Answer) -> bool) -> Answer {
        timeout(CAP, self.answer.wait_for(wanted))
            .await
            .expect("the answer comes")
            .expect("the task runs")
            .clone()
    }

    async fn has(&mut self, addresses: &[&str]) -> Answer {
        let addresses = set(addresses);
        self.until(|answer| answer.addresses == addresses).await
    }

    fn has_now(&self, addresses: &[&str]) -> bool {
        self.answer.borrow().addresses == set(addresses)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn set(addresses: &[&str]) -> Arc<[IpAddr]> {
    addresses.iter().map(|a| a.parse().unwrap()).collect()
}

fn is_stale(answer: &Answer) -> bool {
    matches!(answer.state, AnswerState::Stale { .. })
}

#[tokio::test]
async fn a_name_follows_its_records() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    let mut name = Name::follow(plan(&[&server]));
    name.has(&["10.0.0.1"]).await;
    server.says(NAME, Reply::addresses(["10.0.0.2", "fd00::2"], 0));
    let answer = name.has(&["10.0.0.2", "fd00::2"]).await;
    assert_eq!(answer.state, AnswerState::Fresh);
    assert!(answer.next_lookup.is_some());
}

#[tokio::test]
async fn an_alias_is_followed() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::Alias("target.internal.", 60));
    server.says("target.internal", Reply::addresses(["10.0.0.1"], 60));
    Name::follow(plan(&[&server])).has(&["10.0.0.1"]).await;
}

#[tokio::test]
async fn a_name_that_is_not_there_at_first_recovers_by_itself() {
    let server = DnsServer::start().await;
    let mut name = Name::follow(plan(&[&server]));
    name.until(|answer| answer.state == AnswerState::Failed(Why::NotFound))
        .await;
    server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    name.has(&["10.0.0.1"]).await;
}

#[tokio::test]
async fn errors_are_told_apart() {
    let server = DnsServer::start().await;
    let mut name = Name::follow(plan(&[&server]));
    for (reply, why) in [
        (Reply::Code(ResponseCode::NXDomain), Why::NotFound),
        (Reply::Code(ResponseCode::ServFail), Why::ServerFailure),
        (Reply::Code(ResponseCode::Refused), Why::ServerFailure),
        (Reply::Empty, Why::Empty),
        (Reply::addresses(["127.0.0.1", "::1"], 0), Why::Prohibited),
    ] {
        server.says(NAME, reply);
        name.until(|answer| answer.state == AnswerState::Failed(why))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_a_time_out() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::Silent);
    let mut name = Name::follow(plan(&[&server]));
    let answer = name
        .until(|answer| answer.state != AnswerState::Pending)
        .await;
    assert_eq!(answer.state, AnswerState::Failed(Why::Timeout));
}

#[tokio::test]
async fn errors_keep_the_last_good_set_and_a_good_answer_ends_them() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    let mut name = Name::follow(plan(&[&server]));
    name.has(&["10.0.0.1"]).await;
    for code in [ResponseCode::NXDomain, ResponseCode::ServFail] {
        server.says(NAME, Reply::Code(code));
        name.until(is_stale).await;
        server.is_asked(4).await;
        assert!(name.has_now(&["10.0.0.1"]));
        server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
        name.until(|answer| answer.state == AnswerState::Fresh)
            .await;
    }
}

#[tokio::test]
async fn after_max_stale_a_name_has_no_addresses() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    let mut plan = plan(&[&server]);
    plan.max_stale = Duration::from_millis(100);
    let mut name = Name::follow(plan);
    name.has(&["10.0.0.1"]).await;
    server.says(NAME, Reply::Code(ResponseCode::ServFail));
    let answer = name.until(|answer| answer.addresses.is_empty()).await;
    assert_eq!(answer.state, AnswerState::Expired(Why::ServerFailure));
}

#[tokio::test]
async fn three_hundred_addresses_come_over_tcp() {
    let server = DnsServer::start().await;
    let many: Vec<IpAddr> = (0..300_u16)
        .map(|n| IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]))
        .collect();
    server.says(NAME, Reply::Addresses(many, 0));
    let mut name = Name::follow(plan(&[&server]));
    let answer = name.until(|answer| !answer.addresses.is_empty()).await;
    assert_eq!(answer.addresses.len(), 300);
    assert!(server.asked().tcp > 0);
}

#[tokio::test]
async fn a_cut_answer_without_tcp_is_an_error_and_not_half_a_set() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1", "10.0.0.2"], 0));
    let mut name = Name::follow(plan(&[&server]));
    name.has(&["10.0.0.1", "10.0.0.2"]).await;
    server.says(NAME, Reply::Cut);
    let answer = name.until(is_stale).await;
    assert_eq!(answer.addresses.len(), 2);
    assert!(server.asked().tcp > 0);
}

#[tokio::test]
async fn a_server_that_fails_sends_the_question_to_the_next_one() {
    let (bad, good) = (DnsServer::start().await, DnsServer::start().await);
    bad.says(NAME, Reply::Code(ResponseCode::ServFail));
    good.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    let mut name = Name::follow(plan(&[&bad, &good]));
    let first = name
        .until(|answer| answer.state != AnswerState::Pending)
        .await;
    assert_eq!(first.addresses, set(&["10.0.0.1"]));
}

#[tokio::test]
async fn a_silent_server_is_left_for_one_that_answers() {
    let (silent, good) = (DnsServer::start().await, DnsServer::start().await);
    silent.says(NAME, Reply::Silent);
    good.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    let mut name = Name::follow(plan(&[&silent, &good]));
    let first = name
        .until(|answer| answer.state != AnswerState::Pending)
        .await;
    assert_eq!(first.addresses, set(&["10.0.0.1"]));
    let before = silent.asked().udp;
    good.is_asked(6).await;
    assert_eq!(
        silent.asked().udp,
        before,
        "the one that answers is asked first"
    );
}

#[tokio::test]
async fn a_server_that_says_no_is_believed() {
    let (first, second) = (DnsServer::start().await, DnsServer::start().await);
    second.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    let mut name = Name::follow(plan(&[&first, &second]));
    name.until(|answer| answer.state == AnswerState::Failed(Why::NotFound))
        .await;
    assert_eq!(second.asked().udp, 0);
}

#[tokio::test]
async fn a_family_without_answer_does_not_hold_the_other_up() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    server.says_of(NAME, RecordType::AAAA, Reply::Silent);
    let start = Instant::now();
    Name::follow(plan(&[&server])).has(&["10.0.0.1"]).await;
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_family_that_fails_later_keeps_its_addresses() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1", "fd00::1"], 0));
    let mut name = Name::follow(plan(&[&server]));
    name.has(&["10.0.0.1", "fd00::1"]).await;
    let failure = Reply::Code(ResponseCode::ServFail);
    server.says_of(NAME, RecordType::AAAA, failure);
    server.says_of(NAME, RecordType::A, Reply::addresses(["10.0.0.2"], 0));
    name.has(&["10.0.0.2", "fd00::1"]).await;
}

#[tokio::test]
async fn the_same_answer_again_wakes_nobody() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1", "10.0.0.2"], 0));
    let mut name = Name::follow(plan(&[&server]));
    name.has(&["10.0.0.1", "10.0.0.2"]).await;
    let woken = name.answer.borrow_and_update().next_lookup;
    server.says(NAME, Reply::addresses(["10.0.0.2", "10.0.0.1"], 0));
    server.is_asked(10).await;
    assert!(!name.answer.has_changed().unwrap());
    assert_ne!(name.answer.borrow().next_lookup, woken, "it was looked up");
}

#[tokio::test]
async fn a_shrinking_answer_is_held_until_it_is_seen_again() {
    let server = DnsServer::start().await;
    let four = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    server.says(NAME, Reply::addresses(four, 0));
    let mut name = Name::follow(plan(&[&server]));
    name.has(&four).await;
    server.says(NAME, Reply::addresses(["10.0.0.9"], 0));
    let doubted = name.until(|answer| answer.addresses.len() != 4).await;
    assert_eq!(doubted.addresses.len(), 5, "what is new is used");
    name.has(&["10.0.0.9"]).await;
}

#[tokio::test]
async fn loopback_addresses_are_used_where_they_are_allowed() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["127.0.0.1", "169.254.169.254"], 0));
    let mut plan = plan(&[&server]);
    plan.allow_addresses = vec!["127.0.0.0/8".parse().unwrap()];
    Name::follow(plan).has(&["127.0.0.1"]).await;
}

#[tokio::test]
async fn the_hosts_file_comes_first_and_is_read_again() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, format!("10.9.9.9 {NAME}\n")).unwrap();
    let plan = plan(&[&server]);
    let resolver = Resolver::new(&plan).with_hosts_file(&hosts);
    let mut name = Name::follow_by(resolver, plan, NAME);
    name.has(&["10.9.9.9"]).await;
    assert_eq!(server.asked().udp, 0);
    std::fs::write(&hosts, "").unwrap();
    name.has(&["10.0.0.1"]).await;
}

#[tokio::test]
async fn localhost_is_on_loopback_without_a_server() {
    let server = DnsServer::start().await;
    let plan = plan(&[&server]);
    let resolver = Resolver::new(&plan).with_hosts_file("/no/such/file");
    let mut name = Name::follow_by(resolver, plan, "localhost");
    name.has(&["127.0.0.1", "::1"]).await;
    assert_eq!(server.asked().udp, 0);
}

#[tokio::test]
async fn a_stop_ends_the_task_even_while_it_waits_for_a_server() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::Silent);
    let name = Name::follow(plan(&[&server]));
    timeout(CAP, server.is_asked(1)).await.unwrap();
    let start = Instant::now();
    name.stop.cancel();
    name.tracker.wait().await;
    assert!(start.elapsed() < Duration::from_secs(4));
}
