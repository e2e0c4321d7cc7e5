//! `[errors]` and `[[errors.texts]]`

use std::{fs, path::PathBuf, sync::Arc};

use tempfile::TempDir;

use super::{
    super::{Slot, Template, read, read_after, schema},
    MINIMAL, errors, loaded, warnings,
};

const GERMAN: &str = r#"
[[errors.texts]]
language = "de"
causes = ["overload"]
statuses = [503]
title = "Gerade sehr voll"
sentence = "Es sind zu viele Anfragen auf einmal."
advice = "Bitte warten Sie {retry_after} s."
[[errors.texts]]
language = "de"
title = "Das ging nicht"
sentence = "Die Seite ist nicht da."
"#;

fn with(of_errors: &str) -> String {
    format!("{MINIMAL}\n[errors]\n{of_errors}\n")
}

#[test]
fn a_text_says_what_it_is_for() {
    let plan = loaded(&with(&format!("language = \"DE\"\n{GERMAN}")))
        .plan
        .errors;
    assert_eq!(plan.language.as_str(), "DE");
    let [first, second] = &plan.texts[..] else {
        panic!("{:?}", plan.texts);
    };
    let status = |code| http::StatusCode::from_u16(code).unwrap();
    assert!(first.fits("overload", status(503)));
    assert!(!first.fits("overload", status(429)) && !first.fits("dns", status(503)));
    assert!(second.fits("overload", status(429)) && second.fits("client", status(400)));
    assert!(first.advice.as_ref().unwrap().has(Slot::RetryAfter));
    assert_eq!(second.advice, None);
}

#[test]
fn the_causes_are_those_of_faults() {
    let schema = schema();
    let words = &schema["$defs"]["error_text"]["properties"]["causes"]["items"]["enum"];
    let causes = crate::fault::Cause::ALL.map(crate::fault::Cause::as_str);
    let words: Vec<_> = words.as_array().unwrap().iter().collect();
    assert_eq!(words, causes);
}

#[test]
fn a_place_that_nobody_knows_is_shown() {
    let text = with(&GERMAN.replace("{retry_after}", "{wait}"));
    insta::assert_snapshot!(errors(&text), @r#"
    error[C015]: `advice` must be text of at most 1,000 bytes
      --> tidegate.toml:16:10
       |
    16 | advice = "Bitte warten Sie {wait} s."
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ {wait} stands for nothing here
    "#);
    let text = with(&GERMAN.replace("Die Seite", "Nach {retry_after}: die Seite"));
    insta::assert_snapshot!(errors(&text), @r#"
    error[C015]: `sentence` must be text of at most 1,000 bytes
      --> tidegate.toml:20:12
       |
    20 | sentence = "Nach {retry_after}: die Seite ist nicht da."
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ only `advice` and `advice_sent` can hold {retry_after}
    "#);
}

#[test]
fn a_language_must_be_one_and_the_default_one_that_there_is() {
    insta::assert_snapshot!(errors(&with(&GERMAN.replace("\"de\"\ncauses", "\"de_DE\"\ncauses"))), @r#"
    error[C015]: `language` must be a language tag like "de" or "pt-BR"
      --> tidegate.toml:11:12
       |
    11 | language = "de_DE"
       |            ^^^^^^^ expected a language tag like "de" or "pt-BR"
       |
       = help: a tag of RFC 5646: "de", "pt-BR", "zh-Hant"
    "#);
    insta::assert_snapshot!(errors(&with(&format!("language = \"fr\"\n{GERMAN}"))), @r#"
    error[C021]: no text is in the language `fr`
     --> tidegate.toml:9:12
      |
    9 | language = "fr"
      |            ^^^^ expected `en`, or the language of a text
      |
      = help: texts stand in [[errors.texts]]
    "#);
}

#[test]
fn a_text_behind_one_for_everything_is_never_shown() {
    let (first, second) = GERMAN.split_at(GERMAN.rfind("[[errors").unwrap());
    let turned = format!("{second}{first}");
    assert_eq!(warnings(&with(GERMAN)), "");
    insta::assert_snapshot!(warnings(&with(&turned)), @r#"
    warning[C040]: this text is never shown
      --> tidegate.toml:14:1
       |
     9 | [[errors.texts]]
       | ---------------- this one is for every fault
    ...
    14 | [[errors.texts]]
       | ^^^^^^^^^^^^^^^^ of several that fit, the first holds
    "#);
}

fn written(folder: &TempDir, page: impl AsRef<[u8]>) -> PathBuf {
    fs::write(folder.path().join("sorry.html"), page).unwrap();
    let path = folder.path().join("tidegate.toml");
    fs::write(&path, with("page = \"sorry.html\"")).unwrap();
    path
}

#[test]
fn a_page_is_read_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder, "<p>{title}<p>{request_id}");
    let loaded = read(&path).unwrap();
    let page = loaded.files.page.clone().unwrap();
    assert_eq!(
        *page,
        Template::parse("<p>{title}<p>{request_id}", Slot::PAGE).unwrap()
    );
    let file = folder.path().join("sorry.html");
    assert_eq!(loaded.plan.errors.page.as_ref(), Some(&file));
    assert!(loaded.named_files().contains(&file));
    assert!(
        loaded.another_look().read().is_none(),
        "nothing has changed"
    );
    written(&folder, "<p>other {status}");
    let files = loaded.another_look().read().unwrap();
    assert!(files.page.unwrap().has(Slot::Status));
}

#[test]
fn what_is_wrong_with_a_page_is_told_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let told = |page: &[u8]| {
        let errors = read(&written(&folder, page)).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors}");
        let error = errors.iter().next().unwrap();
        assert_eq!(
            (error.line(), error.column()),
            (Some(9), Some(8)),
            "{error}"
        );
        let shown = error.message().replace(folder.path().to_str().unwrap(), "");
        format!("{} {shown}", error.code())
    };
    assert_eq!(
        told(b"<p>{title}\n<p>{requestid}"),
        "C031 /sorry.html, line 2: {requestid} stands for nothing"
    );
    assert_eq!(told(b" \n"), "C031 /sorry.html is empty");
    assert_eq!(told(b"\xff"), "C031 /sorry.html is not UTF-8");
    let large = "x".repeat((64 << 10) + 1);
    assert!(told(large.as_bytes()).starts_with("C030 /sorry.html cannot be read"));
}

#[test]
fn a_page_that_is_wrong_now_stays_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let before = read(&written(&folder, "<p>{status}")).unwrap();
    let path = written(&folder, "<p>{stattus}");
    let after = read_after(&path, &before.files).unwrap();
    let page = |files: &super::super::Files| Arc::clone(files.page.as_ref().unwrap());
    assert!(Arc::ptr_eq(&page(&before.files), &page(&after.files)));
    assert_eq!(after.files.troubles.len(), 1);
    assert!(after.files.troubles[0].why.contains("{stattus}"));
    let files = before.another_look().read().unwrap();
    assert_eq!(
        files.troubles.len(),
        1,
        "the same where only the file changed"
    );
}

#[test]
fn a_fallback_page_is_followed_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("down.html"), "down").unwrap();
    let path = folder.path().join("tidegate.toml");
    fs::write(
        &path,
        format!("{MINIMAL}\nfallback = {{ file = \"down.html\" }}\n"),
    )
    .unwrap();
    let files = read(&path).unwrap().named_files();
    assert!(
        files.contains(&folder.path().join("down.html")),
        "{files:?}"
    );
}
