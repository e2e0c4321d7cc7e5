use std::{future::pending, str::FromStr};

use tokio::time::Instant;

use super::*;

fn names(name: &str, search: &[&str]) -> Vec<String> {
    let search: Vec<Name> = search.iter().map(|s| Name::from_str(s).unwrap()).collect();
    candidates(name, &search)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_name_with_a_dot_is_tried_itself_first() {
    assert_eq!(
        names("shop.default", &["svc.cluster.local", "lan."]),
        [
            "shop.default.",
            "shop.default.svc.cluster.local.",
            "shop.default.lan."
        ]
    );
}

#[test]
fn a_name_without_a_dot_is_tried_itself_last() {
    assert_eq!(names("shop", &["lan"]), ["shop.lan.", "shop."]);
}

#[test]
fn a_trailing_dot_ends_the_search() {
    assert_eq!(names("shop.", &["lan"]), ["shop."]);
    assert_eq!(names("shop.internal.", &["lan"]), ["shop.internal."]);
}

#[test]
fn the_search_is_bounded() {
    let search: Vec<String> = (0..50).map(|n| format!("d{n}.lan")).collect();
    let search: Vec<&str> = search.iter().map(String::as_str).collect();
    assert_eq!(names("shop", &search).len(), MAX_SEARCH + 1);
}

#[test]
fn underscores_are_part_of_names_and_nonsense_is_no_name() {
    assert_eq!(names("_grpc._tcp.shop", &[]), ["_grpc._tcp.shop."]);
    let long = "a".repeat(64);
    assert_eq!(names(&format!("{long}.internal"), &[]), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_good_family_waits_a_short_time_for_the_other() {
    let start = Instant::now();
    let good = pin!(async { Ok::<_, ()>(1) });
    let never = pin!(pending());
    assert_eq!(both(good, never).await, (Some(Ok(1)), None));
    let waited = start.elapsed();
    assert!(waited >= OTHER_FAMILY_AFTER && waited < OTHER_FAMILY_AFTER * 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_family_waits_for_the_other_as_long_as_it_takes() {
    let bad = pin!(async { Err::<u8, _>(1) });
    let late = pin!(async {
        sleep(SERVER_TIMEOUT).await;
        Ok(2)
    });
    assert_eq!(both(late, bad).await, (Some(Ok(2)), Some(Err(1))));
}

#[tokio::test]
async fn localhost_needs_neither_file_nor_server() {
    let found = local(Path::new("/no/such/file"), "localhost")
        .await
        .unwrap();
    assert_eq!(found.addresses.len(), 2);
    assert!(found.addresses.iter().all(IpAddr::is_loopback));
    assert_eq!(
        local(Path::new("/no/such/file"), "shop.internal").await,
        None
    );
}
