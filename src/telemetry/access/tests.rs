use std::{fs, io::Read as _, os::fd::OwnedFd, os::unix::net::UnixStream};

use super::{line::tests::line, *};

const SOON: Duration = Duration::from_secs(20);

fn dropped(telemetry: &Telemetry) -> u64 {
    let page = telemetry.render();
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix("tidegate_access_log_dropped_total "));
    value.unwrap().parse().unwrap()
}

/// A log on a target that has no path.
fn on(target: Target, format: LineFormat, telemetry: &Telemetry) -> AccessLog {
    let log = AccessLog::off(telemetry);
    let way = Arc::new(Way::start(target, telemetry.access_dropped()).unwrap());
    log.turn(Turn {
        to: AccessTo::Stdout,
        queue: Some(Arc::new(Queue { way, format })),
    });
    log
}

fn turn(log: &AccessLog, to: &AccessTo, format: LineFormat) {
    let turn = log.prepare(to.clone(), format).unwrap();
    log.turn(turn);
}

#[tokio::test]
async fn a_flush_waits_until_every_line_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let telemetry = Telemetry::new();
    let log = AccessLog::start(AccessTo::File(path.clone()), LineFormat::Json, &telemetry).unwrap();
    for _ in 0..1_000 {
        log.write(&line());
    }
    assert!(log.flush(SOON).await);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1_000);
    assert_eq!(dropped(&telemetry), 0);
}

#[tokio::test]
async fn a_full_disk_costs_the_lines_and_nothing_else() {
    let telemetry = Telemetry::new();
    let log = AccessLog::start(
        AccessTo::File("/dev/full".into()),
        LineFormat::Json,
        &telemetry,
    )
    .unwrap();
    for _ in 0..10 {
        log.write(&line());
    }
    assert!(log.flush(SOON).await);
    assert_eq!(dropped(&telemetry), 10);
    log.write(&line());
    assert!(log.flush(SOON).await);
    assert_eq!(dropped(&telemetry), 11);
}

#[tokio::test]
async fn a_reader_that_stands_still_blocks_no_request_and_the_lost_lines_are_counted() {
    let telemetry = Telemetry::new();
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let target = Target::from_file(OwnedFd::from(writer).into());
    let log = on(target, LineFormat::Json, &telemetry);
    let written = MAX_LINES as u64 + 10_000;
    for _ in 0..written {
        log.write(&line());
    }
    let lost = dropped(&telemetry);
    assert!(lost > 0, "the queue has no bound");
    drop(log);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count() as u64 + lost, written);
    assert!(
        text.lines()
            .all(|line| line.starts_with('{') && line.ends_with('}'))
    );
}

#[tokio::test]
async fn a_reader_that_went_away_does_not_end_the_thread() {
    let telemetry = Telemetry::new();
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    let target = Target::from_file(OwnedFd::from(writer).into());
    let log = on(target, LineFormat::Text, &telemetry);
    for expected in 1..=3 {
        log.write(&line());
        assert!(log.flush(SOON).await);
        assert_eq!(dropped(&telemetry), expected);
    }
}

#[tokio::test]
async fn the_bytes_that_wait_are_bounded_too() {
    let telemetry = Telemetry::new();
    let (_reader, writer) = UnixStream::pair().unwrap();
    let target = Target::from_file(OwnedFd::from(writer).into());
    let log = on(target, LineFormat::Json, &telemetry);
    let path = "\u{1}".repeat(512);
    let long = AccessLine {
        path: &path,
        host: &path,
        method: &path,
        ..line()
    };
    for _ in 0..4_000 {
        log.write(&long);
    }
    let waiting = log
        .queue
        .load_full()
        .unwrap()
        .way
        .waiting_bytes
        .load(Relaxed);
    assert!(waiting <= MAX_BYTES, "{waiting}");
    assert!(dropped(&telemetry) > 1_000);
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (
        folder.path().join("access.log"),
        folder.path().join("access.log.1"),
    );
    let mut target = Target::file(path.clone()).unwrap();
    target.write(b"one\n").unwrap();
    assert!(!target.reopen_if_moved().unwrap());
    fs::rename(&path, &moved).unwrap();
    target.write(b"two\n").unwrap();
    assert!(target.reopen_if_moved().unwrap());
    target.write(b"three\n").unwrap();
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "by another\n").unwrap();
    assert!(target.reopen_if_moved().unwrap());
    target.write(b"four\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "by another\nfour\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_with_its_path() {
    let telemetry = Telemetry::new();
    let target = AccessTo::File("/nonexistent/access.log".into());
    let error = AccessLog::start(target, LineFormat::Json, &telemetry).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot open the access log /nonexistent/access.log: "),
        "{error}"
    );
}

#[tokio::test]
async fn lines_of_before_go_where_they_went_and_those_to_come_to_the_new_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let telemetry = Telemetry::new();
    let (a, b) = (AccessTo::File(path("a")), AccessTo::File(path("b")));
    let log = AccessLog::start(a.clone(), LineFormat::Json, &telemetry).unwrap();
    let lines = |count| (0..count).for_each(|_| log.write(&line()));
    lines(500);
    turn(&log, &b, LineFormat::Text);
    lines(300);
    turn(&log, &AccessTo::Off, LineFormat::Text);
    lines(200);
    turn(&log, &a, LineFormat::Json);
    lines(1);
    assert!(log.flush(SOON).await);
    let read = |name| fs::read_to_string(path(name)).unwrap();
    let (a, b) = (read("a"), read("b"));
    assert_eq!((a.lines().count(), b.lines().count()), (501, 300));
    assert!(a.lines().all(|line| line.starts_with('{')));
    assert!(!b.lines().any(|line| line.starts_with('{')));
    assert_eq!(dropped(&telemetry), 0);
}

#[tokio::test]
async fn another_format_alone_keeps_the_file_and_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let to = AccessTo::File(path.clone());
    let log = AccessLog::start(to.clone(), LineFormat::Json, &Telemetry::new()).unwrap();
    let way = || log.queue.load_full().unwrap().way.clone();
    let before = way();
    log.write(&line());
    turn(&log, &to, LineFormat::Text);
    log.write(&line());
    assert!(log.flush(SOON).await);
    assert!(Arc::ptr_eq(&before, &way()));
    let text = fs::read_to_string(&path).unwrap();
    let json: Vec<_> = text.lines().map(|line| line.starts_with('{')).collect();
    assert_eq!(json, [true, false]);
}

#[tokio::test]
async fn a_change_that_is_not_made_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let to = AccessTo::File(path("a"));
    let log = AccessLog::start(to, LineFormat::Json, &Telemetry::new()).unwrap();
    let other = AccessTo::File(path("b"));
    drop(log.prepare(other, LineFormat::Json).unwrap());
    let missing = AccessTo::File("/nonexistent/access.log".into());
    assert!(log.prepare(missing, LineFormat::Json).is_err());
    log.write(&line());
    assert!(log.flush(SOON).await);
    assert_eq!(fs::read_to_string(path("a")).unwrap().lines().count(), 1);
    assert_eq!(fs::read_to_string(path("b")).unwrap(), "");
}

#[tokio::test]
async fn a_target_that_stands_still_is_turned_away_from_and_their_number_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::new();
    let log = AccessLog::off(&telemetry);
    let mut readers = Vec::new();
    for number in 0..=MOST_FORMER {
        let (reader, writer) = UnixStream::pair().unwrap();
        readers.push(reader);
        let target = Target::from_file(OwnedFd::from(writer).into());
        let way = Way::start(target, telemetry.access_dropped()).unwrap();
        log.turn(Turn {
            to: AccessTo::File(number.to_string().into()),
            queue: Some(Arc::new(Queue {
                way: Arc::new(way),
                format: LineFormat::Json,
            })),
        });
        // More than fits between a writer and a reader that does not read.
        (0..10_000).for_each(|_| log.write(&line()));
    }
    let path = folder.path().join("access.log");
    let to = AccessTo::File(path.clone());
    let refused = log.prepare(to.clone(), LineFormat::Json).unwrap_err();
    assert!(matches!(refused, AccessLogError::Stuck), "{refused}");
    drop(readers.remove(0)); // its thread ends, since nobody can read any more
    let ended = async {
        while log.prepare(to.clone(), LineFormat::Json).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, ended).await.unwrap();
    turn(&log, &to, LineFormat::Json);
    log.write(&line());
    let written = async {
        while fs::read_to_string(&path).unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, written).await.unwrap();
}

#[tokio::test]
async fn a_fifo_that_nobody_reads_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let telemetry = Telemetry::new();
    let log = AccessLog::start(AccessTo::File(fifo.clone()), LineFormat::Json, &telemetry).unwrap();
    log.write(&line());
    assert!(log.flush(SOON).await);
    let mut reader = fs::File::open(&fifo).unwrap();
    let mut first = [0];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{");
}
