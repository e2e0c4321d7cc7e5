//! `[incidents]`.

use std::{fs, time::Duration};

use super::{MINIMAL, errors, loaded, warnings};

fn with(incidents: &str) -> String {
    format!("[incidents]\n{incidents}\n{MINIMAL}")
}

#[test]
fn without_a_word_there_are_incidents_and_nobody_is_told() {
    let plan = loaded(MINIMAL).plan.incidents;
    assert_eq!(plan.min_faults.get(), 5);
    assert!((plan.min_share - 0.01).abs() < f64::EPSILON);
    assert_eq!(plan.window, Duration::from_secs(10));
    assert_eq!(plan.end_after, Duration::from_secs(60));
    assert_eq!(plan.webhook, None);
}

#[test]
fn a_webhook_has_its_token_and_its_receiver_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    let token = folder.path().join("token");
    fs::write(&token, "first\n").unwrap();
    let hook = "webhook = { url = \"https://alerts.internal/hook\", token_file = \"token\" }";
    let text = with(hook);
    let first = super::super::parse(&text, &path).unwrap();
    let plan = first.plan.incidents.webhook.clone().unwrap();
    assert_eq!(plan.timeout, Duration::from_secs(5));
    assert_eq!(plan.token_file.as_deref(), Some(&*token));
    let files = first.files.webhook.clone().unwrap();
    assert_eq!(files.token.unwrap().expose(), "first");
    assert!(files.tls.is_some());
    assert!(first.named_files().contains(&token));

    fs::write(&token, "").unwrap();
    let second = super::super::parse_after(&text, &path, &first.files).unwrap();
    let kept = second.files.webhook.unwrap().token.unwrap();
    assert_eq!(
        kept.expose(),
        "first",
        "a token that is wrong stays what it was"
    );
    assert_eq!(second.files.troubles.len(), 1);
    assert!(super::super::parse(&text, &path).is_err());
}

#[test]
fn what_is_wrong_with_a_webhook_is_told_at_its_place() {
    let ca = with("webhook = { url = \"http://127.0.0.1/\", ca = \"ca.pem\" }");
    insta::assert_snapshot!(errors(&ca), @r#"
    error[C022]: `ca` of a webhook without TLS
     --> tidegate.toml:2:45
      |
    2 | webhook = { url = "http://127.0.0.1/", ca = "ca.pem" }
      |                                             ^^^^^^^^ the URL is `http://`
    "#);
    let no_url = with("webhook = { timeout = \"1s\" }");
    insta::assert_snapshot!(errors(&no_url), @r#"
    error[C012]: webhook of [incidents] has no `url`
     --> tidegate.toml:2:11
      |
    2 | webhook = { timeout = "1s" }
      |           ^^^^^^^^^^^^^^^^^^ expected `url`: a URL like "https://alerts.internal/tidegate"
    "#);
    let bare = with("webhook = { url = \"alerts.internal/hook\" }");
    insta::assert_snapshot!(errors(&bare), @r#"
    error[C015]: `url` must be a URL like "https://alerts.internal/tidegate"
     --> tidegate.toml:2:19
      |
    2 | webhook = { url = "alerts.internal/hook" }
      |                   ^^^^^^^^^^^^^^^^^^^^^^ expected a URL like "https://alerts.internal/tidegate"
      |
      = help: write "https://alerts.internal/hook"
    "#);
    let secret = with("webhook = { url = \"https://me:pass@alerts.internal/\" }");
    insta::assert_snapshot!(errors(&secret), @r#"
    error[C015]: `url` must be a URL like "https://alerts.internal/tidegate"
     --> tidegate.toml:2:19
      |
    2 | webhook = { url = "https://me:pass@alerts.internal/" }
      |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a URL shows a secret to whoever reads it
      |
      = help: put a token into a file, and name it with `token_file`
    "#);
    let bounds = with("window = \"2m\"\nmin_faults = 0\nmin_share = 1.5");
    insta::assert_snapshot!(errors(&bounds), @r#"
    error[C013]: `window` is out of bounds
     --> tidegate.toml:2:10
      |
    2 | window = "2m"
      |          ^^^^ expected "1s" to "1m"
    error[C013]: `min_faults` is out of bounds
     --> tidegate.toml:3:14
      |
    3 | min_faults = 0
      |              ^ expected 1 to 1,000,000
    error[C013]: `min_share` is out of bounds
     --> tidegate.toml:4:13
      |
    4 | min_share = 1.5
      |             ^^^ expected 0 to 1
    "#);
}

#[test]
fn a_token_over_plain_text_is_doubted() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "secret").unwrap();
    let hook = format!(
        "webhook = {{ url = \"http://alerts.internal/\", token_file = \"{}\" }}",
        token.display()
    );
    let told = warnings(&with(&hook));
    assert!(
        told.starts_with("warning[C041]: the token of the webhook goes over"),
        "{told}"
    );
}
