//! Names followed against a real (scripted) DNS server.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use hickory_proto::{op::ResponseCode, rr::RecordType};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tidegate::{
    config::{DnsPlan, DnsTransport, NameServer, NameServers},
    resolve::{Answer, AnswerState, Followed, Records, Resolver, Why, follow},
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::reload::versatile_at;
use crate::support::{
    dns::{DnsServer, Reply},
    gateway::TestGateway,
    until,
};

const NAME: &str = "shop.internal";
/// Far more than any of it takes.
const CAP: Duration = Duration::from_secs(30);

/// Looks up anew every few milliseconds.
fn plan(servers: &[&DnsServer]) -> DnsPlan {
    DnsPlan {
        servers: NameServers {
            list: servers
                .iter()
                .map(|server| NameServer::plain(server.address()))
                .collect(),
            ca: None,
        },
        resolv_conf: "/no/such/file".into(),
        min_ttl: Duration::from_millis(20),
        max_ttl: Duration::from_millis(20),
        max_stale: Duration::from_secs(3600),
        gone_after: NonZeroU32::new(3).unwrap(),
        hold: Duration::from_secs(3600),
        allow_addresses: Vec::new(),
    }
}

fn resolver(plan: &DnsPlan) -> Resolver {
    Resolver::new(&plan.servers.list, &plan.resolv_conf, None)
}

/// A name that is followed until this is dropped.
struct Name {
    answer: watch::Receiver<Answer>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Name {
    fn follow(plan: DnsPlan) -> Self {
        let resolver = Arc::new(resolver(&plan).with_hosts_file("/no/such/file"));
        Self::follow_by(resolver, plan, NAME)
    }

    fn follow_by(resolver: Arc<Resolver>, plan: DnsPlan, name: &'static str) -> Self {
        Self::follow_for(resolver, plan, name, Records::Addresses)
    }

    fn follow_for(
        resolver: Arc<Resolver>,
        plan: DnsPlan,
        name: &'static str,
        records: Records,
    ) -> Self {
        let (out, answer) = watch::channel(Answer::pending());
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let stopped = stop.clone();
        tracker.spawn(async move {
            let followed = Followed {
                name,
                records,
                plan: &plan,
                handles: &[],
                standing: &(),
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
        self.until(|answer| answer.addresses() == addresses).await
    }

    fn has_now(&self, addresses: &[&str]) -> bool {
        self.answer.borrow().addresses() == set(addresses)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn set(addresses: &[&str]) -> Vec<IpAddr> {
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
    server.says("b.internal", Reply::Alias("shop.internal.", 60));
    let mut name = Name::follow(plan(&[&server]));
    for (reply, why) in [
        (Reply::Code(ResponseCode::NXDomain), Why::NotFound),
        (Reply::Code(ResponseCode::ServFail), Why::ServerFailure),
        (Reply::Code(ResponseCode::Refused), Why::Refused),
        (Reply::Cut, Why::Truncated),
        (Reply::Alias("b.internal.", 60), Why::AliasLoop),
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
    let answer = name.until(|answer| answer.hosts.is_empty()).await;
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
    let answer = name.until(|answer| !answer.hosts.is_empty()).await;
    assert_eq!(answer.hosts.len(), 300);
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
    assert_eq!(answer.hosts.len(), 2);
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
    assert_eq!(first.addresses(), set(&["10.0.0.1"]));
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
    assert_eq!(first.addresses(), set(&["10.0.0.1"]));
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
    let doubted = name.until(|answer| answer.hosts.len() != 4).await;
    assert_eq!(doubted.hosts.len(), 5, "what is new is used");
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
    let resolver = Arc::new(resolver(&plan).with_hosts_file(&hosts));
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
    let resolver = Arc::new(resolver(&plan).with_hosts_file("/no/such/file"));
    let mut name = Name::follow_by(resolver, plan, "localhost");
    name.has(&["127.0.0.1", "::1"]).await;
    assert_eq!(server.asked().udp, 0);
}

#[tokio::test]
async fn a_change_of_the_hosts_file_is_followed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, format!("10.9.9.9 {NAME}\n")).unwrap();
    let server = DnsServer::start().await;
    let mut plan = plan(&[&server]);
    let hour = Duration::from_secs(3600);
    (plan.min_ttl, plan.max_ttl, plan.hold) = (hour, hour, Duration::ZERO);
    let asked = Arc::new(resolver(&plan).with_hosts_file(&hosts));
    let mut name = Name::follow_by(Arc::clone(&asked), plan, NAME);
    name.has(&["10.9.9.9"]).await;
    std::fs::write(&hosts, format!("10.8.8.8 {NAME}\n")).unwrap();
    asked.look_again();
    name.has(&["10.8.8.8"]).await;
}

// === who is asked, and how ===

/// An authority, and the config of a server whose certificate it gave to `name`.
fn certified(name: &str, alpn: &[&str]) -> (Arc<ClientConfig>, ServerConfig) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&own, &issuer).unwrap().der().clone();
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf],
            PrivatePkcs8KeyDer::from(own.serialize_der()).into(),
        )
        .unwrap();
    server.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(client), server)
}

/// Follows `NAME` at `server` over `transport`.
fn over(server: &DnsServer, transport: DnsTransport, tls: Option<&Arc<ClientConfig>>) -> Name {
    let mut plan = plan(&[]);
    plan.servers.list = vec![NameServer {
        address: server.address(),
        transport,
    }];
    let asked =
        Resolver::new(&plan.servers.list, &plan.resolv_conf, tls).with_hosts_file("/no/such/file");
    Name::follow_by(Arc::new(asked), plan, NAME)
}

#[tokio::test]
async fn over_tcp_nothing_is_asked_by_datagrams() {
    let server = DnsServer::start().await;
    server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    over(&server, DnsTransport::Tcp, None)
        .has(&["10.0.0.1"])
        .await;
    assert_eq!(server.asked().udp, 0);
}

#[tokio::test]
async fn over_tls_a_server_with_the_right_certificate_is_asked() {
    for name in ["dns.internal", "127.0.0.1"] {
        let (tls, config) = certified(name, &[]);
        let server = DnsServer::start_tls(config).await;
        server.says(NAME, Reply::addresses(["10.0.0.1", "fd00::1"], 0));
        let transport = DnsTransport::Tls { name: name.into() };
        let mut followed = over(&server, transport, Some(&tls));
        followed.has(&["10.0.0.1", "fd00::1"]).await;
    }
}

#[tokio::test]
async fn over_tls_a_server_with_the_certificate_of_another_is_asked_nothing() {
    let (tls, config) = certified("other.internal", &[]);
    let (stranger, _) = certified("dns.internal", &[]);
    let server = DnsServer::start_tls(config).await;
    server.says(NAME, Reply::addresses(["10.0.0.1"], 0));
    for tls in [Some(&tls), Some(&stranger), None] {
        let name = "dns.internal".into();
        let mut followed = over(&server, DnsTransport::Tls { name }, tls);
        followed
            .until(|answer| answer.state == AnswerState::Failed(Why::ServerFailure))
            .await;
    }
    assert_eq!(server.asked().tcp, 0);
}

#[tokio::test]
async fn over_https_a_server_is_asked_by_http_2() {
    let (tls, config) = certified("dns.internal", &["h2"]);
    let server = DnsServer::start_tls(config).await;
    server.says(NAME, Reply::addresses(["10.0.0.1", "fd00::1"], 0));
    let transport = DnsTransport::Https {
        name: "dns.internal".into(),
        path: "/dns-query".into(),
    };
    let mut followed = over(&server, transport, Some(&tls));
    followed.has(&["10.0.0.1", "fd00::1"]).await;
    server.says(NAME, Reply::Code(ResponseCode::NXDomain));
    followed.until(is_stale).await;
}

// === services ===

#[tokio::test]
async fn a_service_has_the_addresses_of_its_targets_with_what_the_records_say() {
    let server = DnsServer::start().await;
    let records = vec![(1, 10, 8080, "a.internal."), (2, 0, 8081, "b.internal.")];
    server.says("_http._tcp.shop.internal", Reply::Services(records, 0));
    server.says("a.internal", Reply::addresses(["10.0.0.1", "fd00::1"], 0));
    server.says("b.internal", Reply::addresses(["10.0.0.2"], 0));
    let plan = plan(&[&server]);
    let asked = Arc::new(resolver(&plan).with_hosts_file("/no/such/file"));
    let service = "_http._tcp.shop.internal";
    let mut name = Name::follow_for(asked, plan, service, Records::Services);
    let answer = name.until(|answer| answer.hosts.len() == 3).await;
    let shown: Vec<_> = answer
        .hosts
        .iter()
        .filter_map(|host| Some((host.to_string(), host.service.as_ref()?)))
        .map(|(host, service)| {
            (
                host,
                service.priority,
                service.weight,
                service.target.to_string(),
            )
        })
        .collect();
    let told = |host: &str, priority, weight, target: &str| {
        (host.to_owned(), priority, weight, target.to_owned())
    };
    assert_eq!(
        shown,
        [
            told("10.0.0.1:8080", 1, 10, "a.internal."),
            told("10.0.0.2:8081", 2, 0, "b.internal."),
            told("[fd00::1]:8080", 1, 10, "a.internal."),
        ]
    );
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

#[tokio::test]
async fn d09_a_websocket_on_an_address_that_is_removed_goes_on() {
    let server = DnsServer::start().await;
    let upstream = versatile_at("0.0.0.0:0".parse().expect("an address")).await;
    server.says(NAME, Reply::addresses(["127.0.0.2"], 0));
    let text = format!(
        "[dns]\nservers = [\"{}\"]\nmin_ttl = \"100ms\"\nmax_ttl = \"100ms\"\nallow_addresses = [\"127.0.0.0/8\"]\n\
         [upstreams.up]\nendpoints = [{{ dns = \"{NAME}:{}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        server.address(),
        upstream.address.port()
    );
    let gate = TestGateway::start(&text).await;
    let is_at = |address: &str| {
        let snapshot = gate.gateway.snapshot();
        let mut ids = snapshot.endpoints();
        ids.all(|id| id.address.ip().to_string() == address) && snapshot.endpoints().count() == 1
    };
    until("the name is resolved", || is_at("127.0.0.2")).await;
    let stream = TcpStream::connect(gate.web).await.expect("connected");
    let tunnel = tokio_tungstenite::client_async("ws://test/ws", stream).await;
    let (mut tunnel, _) = tunnel.expect("a tunnel");
    server.says(NAME, Reply::addresses(["127.0.0.3"], 0));
    until("the address is another", || is_at("127.0.0.3")).await;
    for number in 0..100 {
        let echo = Message::text(format!("message {number}"));
        tunnel.send(echo.clone()).await.expect("sent");
        let back = timeout(CAP, tunnel.next()).await.expect("in time");
        assert_eq!(back.expect("open").expect("a message"), echo);
    }
}
