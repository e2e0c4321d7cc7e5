//! Files on the disk: the config itself, and those that it names.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use super::{
    super::{ClientAuth, Diagnostics, Files, read, read_after},
    MINIMAL,
};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn written(folder: &TempDir, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join("tidegate.toml");
    fs::write(&path, bytes).unwrap();
    path
}

/// The one error of a file.
fn error(path: &Path) -> (String, String) {
    let errors = read(path).expect_err("it cannot be read");
    let all: Vec<_> = errors.iter().collect();
    assert_eq!(all.len(), 1, "{errors}");
    (all[0].code().to_owned(), all[0].message().to_owned())
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let folder = folder();
    let plain = read(&written(&folder, MINIMAL)).unwrap();
    let text = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"));
    let other = read(&written(&folder, text)).unwrap();
    assert_eq!(plain.plan, other.plan);
    assert_ne!(plain.hash, other.hash);
}

#[test]
fn places_are_right_with_windows_line_ends() {
    let folder = folder();
    let text = format!("\u{feff}{}bogus = 1\r\n", MINIMAL.replace('\n', "\r\n"));
    let errors = read(&written(&folder, text)).unwrap_err();
    assert_eq!(errors.first_line(), Some(7));
    assert_eq!(errors.iter().next().unwrap().column(), Some(1));
    assert!(errors.to_string().contains("tidegate.toml:7:1"), "{errors}");
}

#[test]
fn the_hash_is_of_the_bytes() {
    let folder = folder();
    let loaded = read(&written(&folder, MINIMAL)).unwrap();
    assert_eq!(loaded.hash.as_str().len(), 12);
    assert_eq!(super::loaded(MINIMAL).hash, loaded.hash);
    assert_eq!(super::super::ConfigHash::of(b"").as_str(), "e3b0c44298fc");
}

#[test]
fn what_is_no_file_is_an_error_and_never_a_wait() {
    let folder = folder();
    let (code, message) = error(&folder.path().join("none.toml"));
    assert_eq!(
        (&*code, &*message),
        (
            "C001",
            "the config file cannot be read: there is no such file"
        )
    );
    let (_, message) = error(folder.path());
    assert_eq!(message, "the config file cannot be read: it is a directory");
    let fifo = folder.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let (_, message) = error(&fifo);
    assert_eq!(
        message,
        "the config file cannot be read: it is not a regular file"
    );
    let socket = folder.path().join("socket");
    let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let (_, message) = error(&socket);
    assert_eq!(
        message,
        "the config file cannot be read: it is not a regular file"
    );
    let (_, message) = error(Path::new("/dev/zero"));
    assert_eq!(
        message,
        "the config file cannot be read: it is not a regular file"
    );
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    let folder = folder();
    let path = written(&folder, MINIMAL);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    // Root may read everything.
    if fs::File::open(&path).is_err() {
        let (_, message) = error(&path);
        assert_eq!(message, "the config file cannot be read: permission denied");
    }
}

#[test]
fn a_file_that_is_no_text_says_so() {
    let folder = folder();
    let utf16: Vec<u8> = MINIMAL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [&[0xff, 0xfe], utf16.as_slice()].concat();
    let (code, message) = error(&written(&folder, with_mark));
    assert_eq!(
        (&*code, &*message),
        ("C002", "the config file is UTF-16; save it as UTF-8")
    );
    let (_, message) = error(&written(&folder, utf16));
    assert_eq!(message, "the config file is not text: it holds zero bytes");
    let (_, message) = error(&written(&folder, vec![b'#'; (1 << 20) + 1]));
    assert_eq!(
        message,
        "the config file cannot be read: it is larger than 1 MiB"
    );
}

#[test]
fn a_byte_that_is_no_character_is_shown_at_its_place() {
    let folder = folder();
    let errors = read(&written(&folder, b"# \xc3\xa4\nname = \"\xe4\"\n")).unwrap_err();
    let first = errors.iter().next().unwrap();
    assert_eq!(
        (first.code(), first.line(), first.column()),
        ("C002", Some(2), Some(9))
    );
}

#[test]
fn an_empty_file_lacks_a_listener() {
    let folder = folder();
    let (code, message) = error(&written(&folder, ""));
    assert_eq!((&*code, &*message), ("C012", "the file has no `listeners`"));
}

/// A certificate for `localhost` and its key, as PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn with_tls(folder: &TempDir) -> PathBuf {
    let tls = "tls = { certificates = [{ cert = \"a.crt\", key = \"a.key\" }] }";
    written(
        folder,
        MINIMAL.replace("[upstreams.app]", &format!("{tls}\n[upstreams.app]")),
    )
}

fn with_upstream_tls(folder: &TempDir, tls: &str) -> PathBuf {
    written(
        folder,
        MINIMAL.replace("[[routes]]", &format!("tls = {{ {tls} }}\n[[routes]]")),
    )
}

fn put(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(folder.path().join(name), bytes).unwrap();
}

#[test]
fn named_files_are_found_beside_the_config() {
    let folder = folder();
    let (cert, key) = certificate();
    put(&folder, "a.crt", cert);
    put(&folder, "a.key", key);
    let loaded = read(&with_tls(&folder)).unwrap();
    let config = loaded.files.listeners.values().next().unwrap();
    assert_eq!(
        config.alpn_protocols,
        [b"h2".to_vec(), b"http/1.1".to_vec()]
    );
    let tls = loaded.plan.listeners[0].tls.clone().unwrap();
    assert_eq!(tls.certificates[0].cert, folder.path().join("a.crt"));
}

#[test]
fn another_certificate_under_the_same_name_is_another_fingerprint() {
    let folder = folder();
    let path = with_tls(&folder);
    let fingerprint = || {
        let (cert, key) = certificate();
        put(&folder, "a.crt", cert);
        put(&folder, "a.key", key);
        read(&path).unwrap().files.fingerprint
    };
    assert_ne!(fingerprint(), fingerprint());
}

#[test]
fn every_wrong_file_is_told_at_its_place() {
    let folder = folder();
    let path = with_tls(&folder);
    let errors = read(&path).unwrap_err();
    let places: Vec<_> = errors
        .iter()
        .map(|error| (error.code(), error.line(), error.column()))
        .collect();
    assert_eq!(
        places,
        [("C030", Some(3), Some(34)), ("C030", Some(3), Some(49))]
    );
}

/// The codes and what was expected, for the content of a certificate and a key.
fn expected(cert: &str, key: &str) -> Vec<(String, String)> {
    let folder = folder();
    put(&folder, "a.crt", cert);
    put(&folder, "a.key", key);
    told(&read(&with_tls(&folder)).unwrap_err())
}

fn told(errors: &Diagnostics) -> Vec<(String, String)> {
    errors
        .iter()
        .map(|error| (error.code().to_owned(), error.label().to_owned()))
        .collect()
}

#[test]
fn what_is_wrong_with_a_certificate_or_a_key_is_told() {
    let (cert, key) = certificate();
    let (_, other_key) = certificate();
    let one = |code: &str, text: &str| vec![(code.to_owned(), text.to_owned())];
    assert_eq!(
        expected(&cert, &other_key),
        one("C032", "belongs to another certificate")
    );
    assert_eq!(
        expected(&key, &key),
        one("C031", "this is a key; expected a certificate")
    );
    assert_eq!(
        expected(&cert, &cert),
        one("C031", "this is a certificate; expected a private key")
    );
    assert_eq!(
        expected("", &key),
        one("C031", "expected -----BEGIN CERTIFICATE-----")
    );
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let sentence = "the key is encrypted; expected one without a passphrase";
    assert_eq!(expected(&cert, &encrypted), one("C031", sentence));
    let cut: String = cert.lines().take(3).collect::<Vec<_>>().join("\n");
    assert_eq!(expected(&cut, &key), one("C031", "a section has no end"));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(
        expected(garbage, &key),
        one("C031", "expected an X.509 certificate, version 3")
    );
}

#[test]
fn an_upstream_trusts_its_own_authority_and_shows_its_certificate() {
    let folder = folder();
    let (cert, key) = certificate();
    put(&folder, "ca.crt", &cert);
    put(&folder, "us.key", key);
    let path = with_upstream_tls(
        &folder,
        "ca = \"ca.crt\", client = { cert = \"ca.crt\", key = \"us.key\" }",
    );
    let loaded = read(&path).unwrap();
    let config = loaded.files.upstreams.values().next().unwrap();
    assert!(config.client_auth_cert_resolver.has_certs());
    put(&folder, "ca.crt", "nothing");
    let errors = read(&path).unwrap_err();
    assert_eq!(told(&errors)[0].1, "expected -----BEGIN CERTIFICATE-----");
}

#[test]
fn who_lets_clients_in_names_an_authority() {
    let folder = folder();
    let (cert, key) = certificate();
    put(&folder, "a.crt", &cert);
    put(&folder, "a.key", key);
    let with = |more: &str| {
        let tls =
            format!("tls = {{ certificates = [{{ cert = \"a.crt\", key = \"a.key\" }}]{more} }}");
        let text = MINIMAL.replace("[upstreams.app]", &format!("{tls}\n[upstreams.app]"));
        read(&written(&folder, text))
    };
    let sentence = "no authority is named whose certificates count";
    let errors = with(", client_auth = \"optional\"").unwrap_err();
    assert_eq!(told(&errors), [("C022".to_owned(), sentence.to_owned())]);
    let loaded = with(", client_ca = \"a.crt\"").unwrap();
    let tls = loaded.plan.listeners[0].tls.clone().unwrap();
    let clients = tls.clients.unwrap();
    assert_eq!(clients.auth, ClientAuth::Required);
    assert_eq!(clients.ca, folder.path().join("a.crt"));
    let errors = with(", client_ca = \"a.key\"").unwrap_err();
    assert_eq!(told(&errors)[0].1, "this is a key; expected a certificate");
}

#[test]
fn what_is_wrong_now_stays_what_it_was_and_what_is_the_same_is_kept() {
    let folder = folder();
    let (cert, key) = certificate();
    put(&folder, "a.crt", &cert);
    put(&folder, "a.key", &key);
    let path = with_tls(&folder);
    let before = read(&path).unwrap();
    let of = |files: &Files| Arc::clone(files.listeners.values().next().unwrap());
    let same = read_after(&path, &before.files).unwrap();
    assert!(Arc::ptr_eq(&of(&before.files), &of(&same.files)));
    assert!(
        before.another_look().read().is_none(),
        "nothing has changed"
    );

    let (other, other_key) = certificate();
    put(&folder, "a.crt", &other);
    let kept = read_after(&path, &before.files).unwrap();
    assert!(Arc::ptr_eq(&of(&before.files), &of(&kept.files)));
    assert_ne!(kept.files.fingerprint, before.files.fingerprint);
    assert!(kept.files.certificates[0].stale);
    let trouble = &kept.files.troubles[0];
    assert_eq!(trouble.file, folder.path().join("a.crt"));
    assert!(trouble.why.contains("is not the key of"), "{}", trouble.why);
    assert_eq!(
        read(&path).unwrap_err().iter().count(),
        1,
        "a start is stricter"
    );

    put(&folder, "a.key", &other_key);
    let files = kept.another_look().read().expect("it has changed");
    assert!(files.troubles.is_empty() && !files.certificates[0].stale);
    assert!(!Arc::ptr_eq(&of(&before.files), &of(&files)));
}

#[test]
fn a_file_of_a_fallback_that_is_gone_stays_what_it_was_and_holds_back_no_other() {
    let folder = folder();
    let fallback = "fallback = { file = \"sorry.html\" }\n";
    let path = written(
        &folder,
        format!("{MINIMAL}{fallback}[admin]\ntoken_file = \"token\"\n"),
    );
    put(&folder, "sorry.html", "sorry");
    put(&folder, "token", "one");
    let before = read(&path).unwrap();
    std::fs::remove_file(folder.path().join("sorry.html")).unwrap();
    put(&folder, "token", "two");
    let files = before.another_look().read().expect("it has changed");
    assert_eq!(files.admin_token.as_ref().unwrap().expose(), "two");
    assert_eq!(files.fallbacks.values().next().unwrap(), "sorry");
    let troubled: Vec<_> = files.troubles.iter().map(|trouble| &trouble.file).collect();
    assert_eq!(troubled, [&folder.path().join("sorry.html")]);
    let since = files.troubles[0].since;
    let kept = read_after(&path, &files).unwrap().files;
    assert_eq!(kept.troubles[0].since, since, "it is wrong since then");
    assert_eq!(
        read(&path).unwrap_err().iter().count(),
        1,
        "a start is stricter"
    );
}

#[test]
fn what_an_upstream_is_trusted_by_decides_about_its_connections() {
    let folder = folder();
    let (cert, key) = certificate();
    put(&folder, "ca.crt", &cert);
    put(&folder, "us.key", key);
    let path = with_upstream_tls(&folder, "ca = \"ca.crt\"");
    let print = || {
        let loaded = read(&path).unwrap();
        let name = loaded.plan.upstreams.keys().next().unwrap().clone();
        loaded.files.print_of(&name).unwrap()
    };
    let before = print();
    assert_eq!(print(), before);
    put(&folder, "ca.crt", certificate().0);
    assert_ne!(print(), before);
}

#[test]
fn authorities_of_name_servers_are_read_where_a_server_is_asked_over_tls() {
    let folder = folder();
    let of_all = "[dns]\nservers = [\"tls://192.0.2.1\"]\nca = \"dns.crt\"\n";
    let own = "dns = { servers = [\"https://192.0.2.2#dns.example\"], ca = \"own.crt\" }\n";
    let text = MINIMAL.replace("[[routes]]", &format!("{own}[[routes]]")) + of_all;
    let path = written(&folder, text);
    let errors = read(&path).unwrap_err();
    let places: Vec<_> = errors
        .iter()
        .map(|error| (error.code(), error.line(), error.column()))
        .collect();
    assert_eq!(
        places,
        [("C030", Some(5), Some(59)), ("C030", Some(10), Some(6))]
    );
    put(&folder, "own.crt", certificate().0);
    put(&folder, "dns.crt", certificate().1);
    let errors = read(&path).unwrap_err();
    let expected = "this is a key; expected a certificate";
    assert_eq!(told(&errors), [("C031".to_owned(), expected.to_owned())]);

    put(&folder, "dns.crt", certificate().0);
    let before = read(&path).unwrap();
    let in_folder = |name| Some(folder.path().join(name));
    let files = &before.files.name_servers;
    let keys: Vec<_> = files.keys().cloned().collect();
    assert_eq!(keys, [in_folder("dns.crt"), in_folder("own.crt")]);
    assert!(
        before
            .named_files()
            .contains(&folder.path().join("own.crt"))
    );

    // The same authorities keep what is known of sessions; others make another print.
    let same = read_after(&path, &before.files).unwrap().files.name_servers;
    let (dns, own) = (in_folder("dns.crt"), in_folder("own.crt"));
    assert!(Arc::ptr_eq(&same[&dns].config, &files[&dns].config));
    put(&folder, "own.crt", certificate().0);
    let other = read_after(&path, &before.files).unwrap().files.name_servers;
    assert!(Arc::ptr_eq(&other[&dns].config, &files[&dns].config));
    assert_ne!(other[&own].print, files[&own].print);
    put(&folder, "own.crt", "");
    let kept = read_after(&path, &before.files).unwrap().files;
    assert_eq!(kept.name_servers[&own].print, files[&own].print);
    assert_eq!(kept.troubles.len(), 1);
}

#[test]
fn the_protocol_decides_what_is_offered_by_alpn() {
    let folder = folder();
    for (protocol, offered) in [
        ("http1", vec!["http/1.1"]),
        ("h2", vec!["h2"]),
        ("auto", vec!["h2", "http/1.1"]),
    ] {
        let text = MINIMAL.replace(
            "[[routes]]",
            &format!("tls = {{}}\nprotocol = \"{protocol}\"\n[[routes]]"),
        );
        let loaded = read(&written(&folder, text)).unwrap();
        let config = loaded.files.upstreams.values().next().unwrap();
        let offered: Vec<_> = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        assert_eq!(config.alpn_protocols, offered);
    }
}

#[test]
fn the_token_is_trimmed_and_never_printed() {
    let folder = folder();
    let path = written(
        &folder,
        format!("{MINIMAL}[admin]\nbind = \"0.0.0.0:9900\"\ntoken_file = \"token\"\n"),
    );
    put(&folder, "token", "s3cret-token\n");
    let loaded = read(&path).unwrap();
    assert_eq!(
        loaded.files.admin_token.as_ref().unwrap().expose(),
        "s3cret-token"
    );
    let printed = format!("{loaded:?}");
    assert!(
        printed.contains("[redacted]") && !printed.contains("s3cret"),
        "{printed}"
    );
    for (content, expected) in [
        ("\n", "the file is empty"),
        ("two words", "expected one line of visible ASCII characters"),
        (
            "gehe\u{fc}m",
            "expected one line of visible ASCII characters",
        ),
    ] {
        put(&folder, "token", content);
        let errors = read(&path).unwrap_err();
        assert_eq!(told(&errors), [("C031".to_owned(), expected.to_owned())]);
    }
}
