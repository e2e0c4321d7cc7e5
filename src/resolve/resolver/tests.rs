use std::str::FromStr;

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

#[test]
fn names_that_cannot_exist_are_not_asked_for() {
    assert_eq!(names("shop.invalid", &["lan"]), [""; 0]);
    assert_eq!(names("shop.onion.", &[]), [""; 0]);
    assert_eq!(names("onion.shop", &[]), ["onion.shop."]);
}

#[tokio::test]
async fn localhost_needs_neither_file_nor_server() {
    for name in ["localhost", "app.localhost."] {
        let found = local(Path::new("/no/such/file"), name).await.unwrap();
        assert_eq!(found.addresses.len(), 2);
        assert!(found.addresses.iter().all(IpAddr::is_loopback));
    }
    assert_eq!(
        local(Path::new("/no/such/file"), "shop.internal").await,
        None
    );
}

#[test]
fn a_changed_resolv_conf_is_read_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resolv.conf");
    std::fs::write(&file, "search a.lan\nnameserver 10.0.0.1\n").unwrap();
    let resolver = Resolver::new(&[], &file, None).with_hosts_file(folder.path().join("hosts"));
    let search = || {
        resolver
            .setup
            .read()
            .search
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let changes = resolver.changes();
    resolver.look_again();
    assert!(!changes.has_changed().unwrap(), "nothing changed");
    std::fs::write(&file, "search b.lan\nnameserver 10.0.0.1\n").unwrap();
    resolver.look_again();
    assert_eq!(search(), ["b.lan"]);
    assert!(changes.has_changed().unwrap());
    for nobody in ["", "search c.lan\n"] {
        std::fs::write(&file, nobody).unwrap();
        resolver.look_again();
        assert_eq!(search(), ["b.lan"], "{nobody:?}");
    }
    std::fs::remove_file(&file).unwrap();
    resolver.look_again();
    assert_eq!(search(), ["b.lan"]);
    assert_eq!(resolver.files().len(), 2);
}

#[test]
fn a_changed_hosts_file_is_told_whoever_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    let server = NameServer::plain("10.0.0.1:53".parse().unwrap());
    let resolver =
        Resolver::new(&[server], &folder.path().join("none"), None).with_hosts_file(&hosts);
    let changes = resolver.changes();
    std::fs::write(&hosts, "10.0.0.9 shop\n").unwrap();
    resolver.look_again();
    assert!(changes.has_changed().unwrap());
    assert_eq!(resolver.files(), [hosts]);
}
