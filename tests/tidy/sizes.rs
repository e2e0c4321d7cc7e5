//! How long files and functions may be.

use crate::{
    none,
    source::{Source, closing, is_word},
    tree,
};

/// Lines of a file, tests left out.
const FILE_LINES: usize = 600;
/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Files or functions that may be longer, as `path` or `path::function`, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("src/fault/guide/mod.rs::guide", EACH_KIND),
    ("src/respond/grpc.rs::code", EACH_KIND),
    ("src/respond/visitor.rs::about", EACH_KIND),
    ("src/upstream/classify.rs::outcome", EACH_KIND),
];
const EACH_KIND: &str =
    "a line for each kind of fault and no `_`: the compiler walks whoever adds one through it";

#[test]
fn no_file_and_no_function_passes_its_size() {
    let sources = tree::sources("src");
    assert!(!sources.is_empty());
    let complaints: Vec<String> = sources.iter().flat_map(check).collect();
    none(&complaints);
}

fn check(source: &Source) -> Vec<String> {
    let path = source.path.display().to_string();
    let mut complaints = Vec::new();
    if source.lines > FILE_LINES && !excepted(&path) {
        complaints.push(format!(
            "{path}: {} lines without tests, at most {FILE_LINES}",
            source.lines
        ));
    }
    for function in functions(source) {
        if function.lines > FUNCTION_LINES && !excepted(&format!("{path}::{}", function.name)) {
            complaints.push(format!(
                "{path}:{}: `{}` has {} lines, at most {FUNCTION_LINES}",
                function.line, function.name, function.lines
            ));
        }
    }
    complaints
}

fn excepted(what: &str) -> bool {
    EXCEPTIONS.iter().any(|(name, _)| *name == what)
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

fn functions(source: &Source) -> Vec<Function> {
    source
        .words("fn")
        .filter_map(|at| function(source, at))
        .collect()
}

/// The function whose `fn` stands at `at`; none for a pointer type or a signature without a body.
fn function(source: &Source, at: usize) -> Option<Function> {
    let code = source.code.as_str();
    let name_at = at + 2 + code[at + 2..].find(|c: char| !c.is_whitespace())?;
    let name: String = code[name_at..]
        .bytes()
        .take_while(|b| is_word(*b))
        .map(char::from)
        .collect();
    if name.is_empty() {
        return None;
    }
    let mut index = name_at;
    let bytes = code.as_bytes();
    while index < bytes.len() {
        match bytes[index] {
            b';' => return None,
            b'(' | b'[' => index = closing(code, index),
            b'{' => {
                let (line, last) = (source.line(at), source.line(closing(code, index) - 1));
                return Some(Function {
                    name,
                    line,
                    lines: last - line + 1,
                });
            }
            _ => index += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        check(&Source::new("src/room/file.rs".into(), text))
    }

    #[test]
    fn a_file_may_have_so_many_lines_and_no_more() {
        assert_eq!(complaints(&"// a line\n".repeat(FILE_LINES)), [""; 0]);
        assert_eq!(
            complaints(&"// a line\n".repeat(FILE_LINES + 1)),
            ["src/room/file.rs: 601 lines without tests, at most 600"]
        );
    }

    #[test]
    fn tests_do_not_count_towards_a_file() {
        let text = format!(
            "fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n",
            "// a line\n".repeat(700)
        );
        assert_eq!(complaints(&text), [""; 0]);
    }

    #[test]
    fn a_function_may_have_so_many_lines_and_no_more() {
        let body = |lines: usize| {
            format!(
                "\nfn long<T: Fn()>(a: [u8; 4]) -> u8\nwhere\n    T: Copy,\n{{\n{}}}\n",
                "    ();\n".repeat(lines)
            )
        };
        assert_eq!(complaints(&body(FUNCTION_LINES - 5)), [""; 0]);
        assert_eq!(
            complaints(&body(FUNCTION_LINES - 4)),
            ["src/room/file.rs:2: `long` has 71 lines, at most 70"]
        );
    }

    #[test]
    fn signatures_and_pointer_types_have_no_lines() {
        let source = Source::new(
            "a.rs".into(),
            "trait T { fn a(&self, b: [u8; 2]); }\ntype F = fn(u8) -> u8;\nfn c() {}\n",
        );
        let names: Vec<String> = functions(&source).into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["c"]);
    }
}
