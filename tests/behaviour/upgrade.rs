//! A newer binary takes over: the built program, started again by itself.

mod load;
mod process;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use http::StatusCode;
use rustix::process::Signal;
use tokio::time::Instant;

use self::{
    load::{Load, Tunnel, echoing},
    process::{Process, Started, alive, folder, kill, launch},
};
use crate::support::{
    client::{self, GENEROUS},
    until,
};

/// How long an old process may finish what it has begun.
const DRAIN: Duration = Duration::from_secs(6);

fn config(upstream: SocketAddr) -> String {
    format!(
        "[drain]\ntimeout = \"{}s\"\n\
         [upstreams.up]\nendpoints = [{{ address = \"{upstream}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        DRAIN.as_secs()
    )
}

/// A config that needs no upstream, and says `body`.
fn saying(body: &str) -> String {
    format!("[[routes]]\nname = \"all\"\nrespond = {{ status = 200, body = \"{body}\" }}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_upgrades_in_a_row_fail_no_request_and_a_tunnel_lives_until_its_deadline() {
    let upstream = echoing().await;
    let process = Process::start(&config(upstream.address)).await;
    let mut tunnel = Tunnel::open(process.web).await;
    tunnel.echoes().await;
    let load = Load::start(process.web);
    load.goes_on().await;
    let began = Instant::now();
    for round in 0..10 {
        let before = process.pid().await;
        if round % 2 == 0 {
            kill(before, Signal::USR2);
        } else {
            let output = process.verb(&["upgrade"]).await;
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        let now = process.succeeded(before).await;
        assert_ne!(now, before);
        load.goes_on().await;
        if round == 0 {
            tunnel.echoes().await;
        }
    }
    tunnel.ends().await;
    assert!(began.elapsed() >= DRAIN, "cut after {:?}", began.elapsed());
    assert_eq!(load.stop().await, [""; 0]);
    let first = process.first_ended().await;
    assert_eq!(first, Some(3), "the tunnel was cut\n{}", process.log());
    let last = process.pid().await;
    kill(last, Signal::TERM);
    until("the last one ends", || !alive(last)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_process_that_does_not_take_the_config_changes_nothing() {
    let process = Process::start(&saying("old")).await;
    let before = process.pid().await;
    process.write("[[routes]]\nupstrem = \"a\"\n");
    let output = process.verb(&["upgrade"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.starts_with("not upgraded: ") && told.contains("the new process ended"),
        "{told}"
    );
    assert!(process.log().contains("upstrem"), "{}", process.log());
    assert_eq!(process.pid().await, before);
    assert_eq!(client::get(process.web, "/").await.text(), "old");
    process.write(&saying("new"));
    let output = process.verb(&["upgrade"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    process.succeeded(before).await;
    assert_eq!(client::get(process.web, "/").await.text(), "new");
}

/// The next program is one that is never ready; the file that holds its id once it runs.
fn never_ready(process: &Process) -> PathBuf {
    let pid_file = process.folder().join("pid");
    process.replace_program(&format!(
        "#!/bin/sh\necho $$ > {0}.new && mv {0}.new {0}\nexec sleep 600\n",
        pid_file.display()
    ));
    pid_file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_process_that_is_never_ready_is_killed_and_a_second_attempt_waits_for_none() {
    let toml = format!("[upgrade]\ntimeout = \"2s\"\n{}", saying("old"));
    let process = Process::start(&toml).await;
    let before = process.pid().await;
    let pid_file = never_ready(&process);
    kill(before, Signal::USR2);
    until("the new one runs", || pid_file.exists()).await;
    kill(before, Signal::USR2);
    process.logged("an upgrade is under way already").await;
    let second = process.verb(&["upgrade"]).await;
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another upgrade is under way"), "{told}");
    process.logged("was not ready in time").await;
    let stuck = std::fs::read_to_string(&pid_file).expect("its id");
    let stuck = stuck.trim().parse().expect("a number");
    let reaped = || !std::path::Path::new(&format!("/proc/{stuck}")).exists();
    until("the new one is killed and reaped", reaped).await;
    assert!(!alive(stuck));
    assert_eq!(process.pid().await, before);
    assert_eq!(client::get(process.web, "/").await.text(), "old");
    process.restore_program();
    let third = process.verb(&["upgrade"]).await;
    assert_eq!(third.status.code(), Some(0), "{third:?}\n{}", process.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_during_an_upgrade_ends_both() {
    let process = Process::start(&saying("old")).await;
    let before = process.pid().await;
    let pid_file = never_ready(&process);
    kill(before, Signal::USR2);
    until("the new one runs", || pid_file.exists()).await;
    kill(before, Signal::TERM);
    until("the old one ends", || !alive(before)).await;
    let stuck = std::fs::read_to_string(&pid_file).expect("its id");
    let stuck = stuck.trim().parse().expect("a number");
    until("the new one ends", || !alive(stuck)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_may_change_listeners() {
    let two = "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n\
               [[listeners]]\nname = \"NAME\"\nbind = \"ADDRESS:0\"\n";
    // Another address: one that has the same would only be renamed.
    let with = |name: &str, address: &str| {
        let listeners = two.replace("NAME", name).replace("ADDRESS", address);
        format!("{listeners}{}", saying("here"))
    };
    let process = Process::start(&with("leaves", "127.0.0.1")).await;
    let leaves = process.address("leaves").await;
    let before = process.pid().await;
    process.write(&with("comes", "127.0.0.2"));
    kill(before, Signal::USR2);
    process.succeeded(before).await;
    let comes = process.address("comes").await;
    assert_eq!(client::get(comes, "/").await.text(), "here");
    assert_eq!(client::get(process.web, "/").await.text(), "here");
    let closed = || std::net::TcpStream::connect(leaves).is_err();
    until("the old socket is closed", closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_may_move_a_listener_to_an_address_that_overlaps_the_one_before() {
    let at = |bind: &str, body: &str| {
        format!(
            "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n\
             [[listeners]]\nname = \"moves\"\nbind = \"{bind}\"\n{}",
            saying(body)
        )
    };
    let process = Process::start(&at("0.0.0.0:0", "everywhere")).await;
    let port = process.address("moves").await.port();
    let [here, elsewhere] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| SocketAddr::from((ip, port)));
    let load = Load::start(here);
    load.goes_on().await;
    for (bind, body, is_everywhere) in [
        (format!("127.0.0.1:{port}"), "here", false),
        (format!("0.0.0.0:{port}"), "everywhere again", true),
    ] {
        let before = process.pid().await;
        process.write(&at(&bind, body));
        let output = process.verb(&["upgrade"]).await;
        assert_eq!(
            output.status.code(),
            Some(0),
            "{output:?} {}",
            process.log()
        );
        process.succeeded(before).await;
        until("the new process alone listens", || {
            std::net::TcpStream::connect(elsewhere).is_ok() == is_everywhere
        })
        .await;
        assert_eq!(client::get(here, "/").await.text(), body);
        load.goes_on().await;
    }
    assert_eq!(load.stop().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_what_happens() {
    let folder = folder();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_nonblocking(true).expect("set");
    let socket = tokio::net::UnixDatagram::from_std(socket).expect("a socket");
    let process = Process::start_with(folder, &saying("old"), |command| {
        command.env("NOTIFY_SOCKET", &path);
        command.env("WATCHDOG_USEC", "200000");
    })
    .await;
    let before = process.pid().await;
    hears(&socket, &format!("READY=1\nMAINPID={before}\n")).await;
    hears(&socket, "WATCHDOG=1").await;
    kill(before, Signal::HUP);
    hears(&socket, "RELOADING=1\nMONOTONIC_USEC=").await;
    hears(&socket, "READY=1\nSTATUS=serving").await;
    kill(before, Signal::USR2);
    let now = process.succeeded(before).await;
    hears(&socket, &format!("READY=1\nMAINPID={now}\n")).await;
    hears(&socket, "WATCHDOG=1").await;
    kill(now, Signal::TERM);
    hears(&socket, "STOPPING=1").await;
}

/// Waits for a message that begins so.
async fn hears(socket: &tokio::net::UnixDatagram, start: &str) {
    let waiting = async {
        let mut bytes = [0; 512];
        loop {
            let count = socket.recv(&mut bytes).await.expect("a message");
            if bytes[..count].starts_with(start.as_bytes()) {
                return;
            }
        }
    };
    let heard = tokio::time::timeout(GENEROUS, waiting).await;
    assert!(heard.is_ok(), "nobody said {start:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_systemd_hands_over_is_served_and_handed_on() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = socket.local_addr().expect("an address");
    let toml = format!(
        "[[listeners]]\nname = \"web\"\nbind = \"{address}\"\n{}",
        saying("old")
    );
    let held = socket.try_clone().expect("another handle");
    let process = Process::start_with(folder(), &toml, |command| {
        // Standard input is as good a descriptor as the third.
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
        command
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDS_FIRST_FD", "0");
        command.env("LISTEN_FDNAMES", "tidegate.socket");
    })
    .await;
    drop(held);
    assert_eq!(process.web, address);
    assert_eq!(client::get(address, "/").await.text(), "old");
    let before = process.pid().await;
    kill(before, Signal::USR2);
    process.succeeded(before).await;
    assert_eq!(client::get(address, "/").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_no_listener_wants_and_a_port_that_is_taken_end_the_start() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = socket.local_addr().expect("an address");
    let ended = |toml: &str, given: Option<TcpListener>| match launch(folder(), toml, |command| {
        if let Some(socket) = given {
            command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
            command
                .env("LISTEN_FDS", "1")
                .env("LISTEN_FDS_FIRST_FD", "0");
            command.env("LISTEN_FDNAMES", "other");
        }
    }) {
        Started::Ended(code, log) => (code, log),
        Started::Runs(_) => panic!("it serves"),
    };
    let bound = format!(
        "[[listeners]]\nname = \"web\"\nbind = \"{address}\"\n{}",
        saying("x")
    );
    let (code, log) = ended(&bound, None);
    assert_eq!(code, Some(1), "{log}");
    let wanted = format!("listener `web` cannot bind {address}: ");
    assert!(
        log.contains(&wanted) && log.contains("another process has it"),
        "{log}"
    );
    let (code, log) = ended(&saying("x"), Some(socket));
    assert_eq!(code, Some(1), "{log}");
    let wanted = format!("no listener of the config is bound to: {address} (`other`)");
    assert!(log.contains(&wanted), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_means_nothing_ends_nothing() {
    let process = Process::start(&saying("old")).await;
    let pid = process.pid().await;
    kill(pid, Signal::USR1);
    process.logged("SIGUSR1 means nothing here").await;
    assert_eq!(client::get(process.web, "/").await.text(), "old");
}
