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
    let log = AccessLog::start_on(target, LineFormat::Json, &telemetry).unwrap();
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
    let log = AccessLog::start_on(target, LineFormat::Text, &telemetry).unwrap();
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
    let log = AccessLog::start_on(target, LineFormat::Json, &telemetry).unwrap();
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
    let waiting = log.queue.as_ref().unwrap().waiting_bytes.load(Relaxed);
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
