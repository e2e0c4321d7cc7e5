//! What pages say, and in which language.

use bytes::Bytes;
use http::{HeaderValue, Method, Response};

use super::{Ask, Pages, QUIET, ask, field, limited, pages, render, text, validity};
use crate::{
    config::{ErrorsPlan, Files, Slot, Template},
    fault::{Fault, Kind},
};

const TEXTS: &str = r#"
[[errors.texts]]
language = "de"
causes = ["overload"]
title = "Sehr voll <hier>"
sentence = "Zu viele Anfragen & zu wenig Platz."
advice = "Bitte warten Sie {retry_after} s."
[[errors.texts]]
language = "de"
causes = ["network", "communication"]
title = "Nicht erreichbar"
sentence = "Der Dienst antwortet nicht."
advice = "Laden Sie die Seite neu."
advice_sent = "Bitte sehen Sie nach, ob es angekommen ist."
[[errors.texts]]
language = "ar"
title = "مشغول"
sentence = "حاول مرة أخرى"
[[errors.texts]]
language = "en"
statuses = [404]
title = "Not in our shop"
sentence = "We do not have this page."
advice = "Come back after {retry_after} s."
"#;

/// The page of `fault` for who asks for `language`.
fn asked(pages: &Pages, fault: &Fault, language: &str, method: &Method) -> Response<Bytes> {
    let (html, language) = (
        HeaderValue::from_static("text/html"),
        HeaderValue::from_str(language).unwrap(),
    );
    let ask = Ask {
        accept: Some(&html),
        accept_language: Some(&language),
        method,
        ..ask()
    };
    let response = render(fault, &ask, pages);
    validity::check(text(&response));
    response
}

#[track_caller]
fn says(response: &Response<Bytes>, language: &str, words: &[&str]) {
    assert_eq!(field(response, "content-language"), Some(language));
    let page = text(response);
    assert!(
        page.contains(&format!("<html lang=\"{language}\">")),
        "{page}"
    );
    for words in words {
        assert!(page.contains(words), "{words} is not in {page}");
    }
}

#[test]
fn a_page_is_in_the_language_that_is_asked_for_where_there_is_a_text() {
    let pages = pages(TEXTS);
    let of = |fault: &Fault, language| asked(&pages, fault, language, &Method::GET);
    let german = of(&limited(), "de-CH, en;q=0.8");
    let words = [
        "<h1 dir=\"auto\">Sehr voll &lt;hier&gt;</h1>",
        "Anfragen &amp; zu",
        "Bitte warten Sie 2 s.",
    ];
    says(&german, "de", &words);
    assert_eq!(field(&german, "vary"), Some("Accept, Accept-Language"));
    says(&of(&limited(), "ar"), "ar", &["مشغول"]);
    says(&of(&limited(), "fr"), "en", &["Too many requests"]);
    says(&of(&limited(), "en, de"), "en", &["Too many requests"]);
    let missing = Fault::new(Kind::NoRoute);
    says(&of(&missing, "de, ar;q=0.5"), "ar", &["مشغول"]);
    says(&of(&missing, "de"), "en", &["Not in our shop"]);
    assert!(
        !text(&of(&missing, "de")).contains("Come back"),
        "there is no number to fill in"
    );
}

#[test]
fn who_asks_for_nothing_that_there_is_gets_the_operators_language() {
    let pages = pages(&format!("[errors]\nlanguage = \"de\"\n{TEXTS}"));
    for language in ["fr", "*", "en;q=0, *"] {
        let response = asked(&pages, &limited(), language, &Method::GET);
        says(&response, "de", &["Sehr voll"]);
    }
    let other = asked(&pages, &Fault::new(Kind::Panicked), "fr", &Method::GET);
    says(&other, "en", &["Something broke here"]);
}

#[test]
fn without_texts_the_language_makes_no_difference() {
    let response = asked(&QUIET, &limited(), "de", &Method::GET);
    says(&response, "en", &[]);
    assert_eq!(field(&response, "vary"), Some("Accept"));
}

#[test]
fn the_advice_fits_the_cause() {
    let advice = |kind, method: &Method| {
        let fault = Fault::new(kind);
        let page = asked(&QUIET, &fault, "en", method);
        let advice = text(&page)
            .split("<p dir=\"auto\">")
            .nth(2)
            .unwrap()
            .to_owned();
        advice.split_once("</p>").unwrap().0.to_owned()
    };
    let get = |kind| advice(kind, &Method::GET);
    let wait = Fault::new(Kind::QueueFull).retry_after(std::time::Duration::from_secs(7));
    let page = asked(&QUIET, &wait, "en", &Method::POST);
    says(
        &page,
        "en",
        &["Please wait 7 seconds, then load this page again."],
    );
    assert_eq!(
        get(Kind::QueueFull),
        "Please wait 1 second, then load this page again."
    );
    assert!(get(Kind::NoRoute).contains("check the address"));
    assert!(get(Kind::BodyTooLarge).contains("smaller"));
    assert!(get(Kind::ConnectRefused).contains("in a minute"));
    for hopeless in [
        Kind::LoopDetected,
        Kind::TlsCertificate,
        Kind::MethodRefused,
    ] {
        assert_eq!(get(hopeless), "", "{hopeless:?}");
    }
    assert!(advice(Kind::ConnectionReset, &Method::POST).contains("may have arrived"));
    assert!(advice(Kind::ConnectionReset, &Method::PUT).contains("in a minute"));
    assert!(advice(Kind::ConnectRefused, &Method::POST).contains("in a minute"));
}

#[test]
fn an_operators_advice_does_not_tell_to_send_twice_what_may_have_arrived() {
    let pages = pages(TEXTS);
    let reset = Fault::new(Kind::ConnectionReset);
    let got = asked(&pages, &reset, "de", &Method::GET);
    says(&got, "de", &["Laden Sie die Seite neu."]);
    let posted = asked(&pages, &reset, "de", &Method::POST);
    says(&posted, "de", &["ob es angekommen ist"]);
    assert!(!text(&posted).contains("Laden Sie"));
}

#[test]
fn an_operators_page_is_filled_in_and_nothing_breaks_out_of_it() {
    const PAGE: &str = "<!doctype html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\">\
        <meta name=\"viewport\" content=\"width=device-width\"><title>{status} {title}</title></head><body><main>\
        <h1>{title}</h1><p title=\"{sentence}\">{advice}</p><b>{request_id}</b><i>{retry_after}</i></main></body></html>\n";
    let loaded = pages(TEXTS);
    let mut files = Files::default();
    files.page = Some(Template::parse(PAGE, Slot::PAGE).unwrap().into());
    let plain = Pages::new(&ErrorsPlan::default(), &files);
    let fault = Fault::new(Kind::NameUnresolved).detail("10.0.0.1");
    let page = asked(&plain, &fault, "en", &Method::GET);
    says(
        &page,
        "en",
        &[
            "<title>503 Not available right now</title>",
            "title=\"The service&#39;s name could not be resolved.\"",
            "<b>id-1</b><i>1</i>",
        ],
    );
    assert_eq!(field(&page, "content-security-policy"), None);
    assert!(
        asked(&loaded, &fault, "en", &Method::GET)
            .headers()
            .contains_key("content-security-policy")
    );
    let html = HeaderValue::from_static("text/html");
    let ask = Ask {
        accept: Some(&html),
        request_id: "\"><script>",
        ..ask()
    };
    let response = render(&Fault::new(Kind::NoRoute), &ask, &plain);
    assert!(text(&response).contains("<b>&quot;&gt;&lt;script&gt;</b><i></i>"));
}

#[test]
fn of_several_texts_that_fit_the_first_holds() {
    let text = |title: &str, more: &str| {
        format!(
            "[[errors.texts]]\nlanguage = \"de\"\ntitle = \"{title}\"\nsentence = \"x\"\n{more}\n"
        )
    };
    let busy = text("Voll", "causes = [\"overload\"]\nstatuses = [429]");
    let pages = pages(&format!(
        "{busy}{}{}",
        text("Belegt", "statuses = [429, 503]"),
        text("Weg", "")
    ));
    let of = |kind| asked(&pages, &Fault::new(kind), "de", &Method::GET);
    says(&of(Kind::RateExceeded), "de", &["Voll"]);
    says(&of(Kind::QueueFull), "de", &["Belegt"]);
    says(&of(Kind::NoRoute), "de", &["Weg"]);
}
