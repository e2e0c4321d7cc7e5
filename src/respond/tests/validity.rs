//! Whether a page is one: every element closed, and what people and their programs need is there.

/// Elements without an end.
const VOID: [&str; 4] = ["meta", "link", "br", "img"];

/// Panics where `page` is not well formed, or lacks its language, title, character set, landmark or heading.
#[track_caller]
pub(super) fn check(page: &str) {
    let rest = page.strip_prefix("<!doctype html>\n").expect("a doctype");
    let (mut open, mut seen): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for piece in rest.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag that ends");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{page}");
        } else {
            let name = tag.split([' ', '\n']).next().unwrap();
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            seen.push(name);
            if !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert!(
            open.last() == Some(&"style") || !text.contains(['>', '{', '}']),
            "{text}"
        );
        let references = text.matches('&').count();
        let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
        let right: usize = known.iter().map(|one| text.matches(one).count()).sum();
        assert_eq!(references, right, "{text}");
    }
    assert!(open.is_empty(), "{open:?} in {page}");
    for once in ["html", "head", "title", "body", "main", "h1"] {
        assert_eq!(
            seen.iter().filter(|name| **name == once).count(),
            1,
            "{once}"
        );
    }
    assert!(page.contains("<meta charset=\"utf-8\">"));
    assert!(page.contains("name=\"viewport\""));
    let (_, language) = page.split_once("<html lang=\"").expect("a language");
    assert!(!language.starts_with('"'));
    let (_, title) = page.split_once("<title>").expect("a title");
    assert!(!title.starts_with("</title>"));
}

#[test]
#[should_panic(expected = "assertion")]
fn an_element_that_is_not_closed_is_found() {
    check(
        "<!doctype html>\n<html lang=\"en\"><head><title>a</title></head><body><main><h1>a</main></body></html>\n",
    );
}
