//! A Rust file as the checks read it: comments, literals and test items blanked, lines where they were.
//!
//! This is a scanner, not a parser: it knows strings, comments, brackets and `#[cfg(test)]`, which is all
//! that counting lines and following paths needs.

use std::path::PathBuf;

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the root of the clone.
    pub(crate) path: PathBuf,
    /// The text with comments, the insides of literals and test items as spaces.
    pub(crate) code: String,
    /// How many lines are not test items.
    pub(crate) lines: usize,
    /// String literals outside test items, with the line they begin on.
    pub(crate) literals: Vec<(usize, String)>,
}

impl Source {
    /// Reads `text` as the file at `path`.
    pub(crate) fn new(path: PathBuf, text: &str) -> Self {
        let (mut code, mut literals) = blank(text);
        let all_test = path.ends_with("tests.rs")
            || path.iter().any(|part| part == "tests") && path.starts_with("src")
            || code.contains("#![cfg(test)]");
        let total = text.lines().count();
        let mut test_lines = 0;
        if all_test {
            test_lines = total;
            code = code
                .chars()
                .map(|c| if c == '\n' { c } else { ' ' })
                .collect();
            literals.clear();
        } else {
            for (from, to) in test_items(&code) {
                let (first, last) = (line_at(&code, from), line_at(&code, to - 1));
                test_lines += last - first + 1;
                literals.retain(|(line, _)| !(first..=last).contains(line));
                let spaces: String = code[from..to]
                    .chars()
                    .map(|c| if c == '\n' { c } else { ' ' })
                    .collect();
                code.replace_range(from..to, &spaces);
            }
        }
        let lines = total - test_lines.min(total);
        Self {
            path,
            code,
            lines,
            literals,
        }
    }

    /// The line of a byte of `code`, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        line_at(&self.code, at)
    }

    /// Where `word` stands as a whole word.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let code = self.code.as_bytes();
        self.code
            .match_indices(word)
            .map(|(at, _)| at)
            .filter(move |&at| {
                let before = at.checked_sub(1).map(|i| code[i]);
                let after = code.get(at + word.len()).copied();
                !before.is_some_and(is_word) && !after.is_some_and(is_word)
            })
    }
}

/// Whether a byte belongs to an identifier.
pub(crate) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// The index after the bracket that closes the one at `open`; the end where none does.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn line_at(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Where items under `#[cfg(test)]` (or any cfg that wants `test`) begin and end.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(") {
        let start = from + found;
        let attribute_end = closing(code, start + 1);
        let wanted = &code[start..attribute_end];
        from = attribute_end;
        if wants_test(wanted) {
            let end = item_end(code, attribute_end);
            items.push((start, end));
            from = end;
        }
    }
    items
}

fn wants_test(attribute: &str) -> bool {
    !attribute.contains("not(")
        && attribute
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| word == "test")
}

/// The end of the item that begins after `at`, its own attributes included.
fn item_end(code: &str, mut at: usize) -> usize {
    let bytes = code.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b';' => return at + 1,
            b'{' => return closing(code, at),
            b'(' | b'[' => at = closing(code, at),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The text with comments and the insides of literals as spaces, and the string literals.
fn blank(text: &str) -> (String, Vec<(usize, String)>) {
    let mut scan = Scan {
        chars: text.chars().collect(),
        at: 0,
        line: 1,
        out: String::with_capacity(text.len()),
        literals: Vec::new(),
    };
    while scan.at < scan.chars.len() {
        scan.step();
    }
    (scan.out, scan.literals)
}

struct Scan {
    chars: Vec<char>,
    at: usize,
    line: usize,
    out: String,
    literals: Vec<(usize, String)>,
}

impl Scan {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn after_word(&self) -> bool {
        self.out.bytes().last().is_some_and(is_word)
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.hide_while(|scan| scan.peek(0) != '\n'),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('r' | 'b' | 'c', '"' | 'r' | '#') if !self.after_word() => self.prefixed(),
            ('\'', next) if next == '\\' || self.peek(2) == '\'' => self.character(),
            _ => self.keep(),
        }
    }

    /// `r"`, `r#"`, `b"`, `br#"`, `c"`; anything else that begins so is a word.
    fn prefixed(&mut self) {
        let mut ahead = 1;
        let raw = self.peek(0) == 'r' || self.peek(1) == 'r';
        if self.peek(0) != 'r' && self.peek(1) == 'r' {
            ahead += 1;
        }
        let mut hashes = 0;
        while raw && self.peek(ahead + hashes) == '#' {
            hashes += 1;
        }
        if self.peek(ahead + hashes) != '"' {
            self.keep();
            return;
        }
        for _ in 0..ahead + hashes {
            self.keep();
        }
        if raw {
            self.raw_string(hashes);
        } else {
            self.string();
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut literal = String::new();
        self.keep();
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                literal.push(self.peek(0));
                self.hide();
            }
            literal.push(self.peek(0));
            self.hide();
        }
        self.keep();
        self.literals.push((line, literal));
    }

    fn raw_string(&mut self, hashes: usize) {
        let line = self.line;
        let mut literal = String::new();
        self.keep();
        let ends = |scan: &Self| scan.peek(0) == '"' && (1..=hashes).all(|i| scan.peek(i) == '#');
        while self.at < self.chars.len() && !ends(self) {
            literal.push(self.peek(0));
            self.hide();
        }
        for _ in 0..=hashes {
            self.keep();
        }
        self.literals.push((line, literal));
    }

    fn character(&mut self) {
        self.keep();
        if self.peek(0) == '\\' {
            self.hide();
        }
        self.hide();
        self.hide_while(|scan| scan.peek(0) != '\'' && scan.peek(0) != '\n');
        self.keep();
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.hide();
                    continue;
                }
            }
            self.hide();
            self.hide();
            if depth == 0 {
                return;
            }
        }
    }

    fn hide_while(&mut self, goes_on: impl Fn(&Self) -> bool) {
        while self.at < self.chars.len() && goes_on(self) {
            self.hide();
        }
    }

    fn hide(&mut self) {
        self.put(' ');
    }

    fn keep(&mut self) {
        let kept = self.peek(0);
        self.put(if kept.is_ascii() { kept } else { ' ' });
    }

    fn put(&mut self, shown: char) {
        if self.at >= self.chars.len() {
            return;
        }
        let newline = self.chars[self.at] == '\n';
        self.line += usize::from(newline);
        self.out.push(if newline { '\n' } else { shown });
        self.at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Source {
        Source::new(PathBuf::from("src/room/file.rs"), text)
    }

    #[test]
    fn comments_and_the_insides_of_literals_are_blanked() {
        let source = read(
            "let a = \"crate::x {\"; // crate::y\nlet b = r#\"crate::\"z\"#; /* crate:: /* {} */ { */ let c = '{';\n",
        );
        assert!(!source.code.contains("crate"));
        assert!(!source.code.contains('{'));
        assert_eq!(source.code.lines().count(), 2);
        assert_eq!(source.literals[0], (1, "crate::x {".to_owned()));
        assert_eq!(source.literals[1], (2, "crate::\"z".to_owned()));
    }

    #[test]
    fn a_lifetime_is_not_a_literal() {
        let source = read("fn a<'a>(b: &'a str) -> &'a str { b }\nfn c() {}\n");
        assert_eq!(source.words("fn").count(), 2);
        assert_eq!(source.words("str").count(), 2);
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_literal() {
        let source = read("let a = \"\\\"crate\"; let b = '\\''; let crates = 1;");
        assert_eq!(source.words("crate").count(), 0);
        assert_eq!(source.words("crates").count(), 1);
    }

    #[test]
    fn test_items_are_blanked_and_not_counted() {
        let source = read(
            "fn a() {}\n#[cfg(test)]\n#[allow(dead_code)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod more;\n#[cfg(not(test))]\nfn d() {}\n",
        );
        assert_eq!(source.words("fn").count(), 3);
        assert_eq!(source.lines, 4);
    }

    #[test]
    fn a_file_of_tests_has_no_lines() {
        let text = "fn a() {}\n";
        assert_eq!(Source::new("src/room/tests.rs".into(), text).lines, 0);
        assert_eq!(Source::new("src/room/tests/one.rs".into(), text).lines, 0);
        assert_eq!(read("#![cfg(test)]\nfn a() {}\n").lines, 0);
        assert_eq!(read(text).lines, 1);
    }
}
