//! A report for people.

use std::fmt::Write as _;

use crate::doctor::{Finding, Mark, Report, Section};

/// How wide lines are, where their words let them.
const WIDTH: usize = 110;
/// Where sentences begin.
const INDENT: usize = 22;

/// In colours or without.
pub(super) fn whole(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    let mut upstream = None;
    for section in &report.sections {
        if section.upstream != upstream {
            upstream.clone_from(&section.upstream);
            if let Some(name) = &upstream {
                let _ = writeln!(text, "upstream {name}");
            }
        }
        write_section(&mut text, section, colour);
    }
    let _ = writeln!(text, "{}", verdict(report));
    text
}

fn write_section(text: &mut String, section: &Section, colour: bool) {
    let indent = if section.upstream.is_some() { "  " } else { "" };
    let _ = writeln!(text, "{indent}{}", section.about);
    for finding in &section.findings {
        write_finding(text, finding, colour);
    }
    text.push('\n');
}

fn write_finding(text: &mut String, finding: &Finding, colour: bool) {
    let took = finding
        .took_ms
        .map_or_else(String::new, |took| format!(" [{took:.1} ms]"));
    // A skipped step is nothing to see to.
    let mark = match finding.mark {
        Mark::Skipped => "-",
        mark => mark.as_str(),
    };
    let (on, off) = colours(finding.mark, colour);
    let says = wrapped(&format!("{}{took}", finding.says));
    let _ = writeln!(text, "    {on}{mark:<4}{off} {:<12} {says}", finding.stage);
    if let Some(advice) = &finding.advice {
        let _ = writeln!(text, "{:INDENT$}{}", "", wrapped(&format!("> {advice}")));
    }
}

fn colours(mark: Mark, colour: bool) -> (&'static str, &'static str) {
    match (colour, mark) {
        (false, _) => ("", ""),
        (true, Mark::Ok) => ("\u{1b}[32m", "\u{1b}[0m"),
        (true, Mark::Skipped) => ("\u{1b}[2m", "\u{1b}[0m"),
        (true, Mark::Warn) => ("\u{1b}[33m", "\u{1b}[0m"),
        (true, Mark::Bad) => ("\u{1b}[31m", "\u{1b}[0m"),
    }
}

/// In lines that begin at [`INDENT`].
fn wrapped(text: &str) -> String {
    let (mut lines, mut used) = (String::new(), INDENT);
    for word in text.split(' ') {
        if used > INDENT && used + 1 + word.len() > WIDTH {
            let _ = write!(lines, "\n{:INDENT$}", "");
            used = INDENT;
        } else if used > INDENT {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += word.len();
    }
    lines
}

fn verdict(report: &Report) -> String {
    let counts = [
        (Mark::Bad, "bad"),
        (Mark::Warn, "to see to"),
        (Mark::Skipped, "skipped"),
    ];
    let mut parts = vec![format!("{} well", report.count(Mark::Ok))];
    for (mark, word) in counts {
        let count = report.count(mark);
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    format!("{} in {:.1} s", parts.join(", "), report.took_ms / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Code, Stage};

    fn report() -> Report {
        let finding = |stage, mark, says: &str, advice: Option<&str>| Finding {
            stage,
            mark,
            code: Code::Well,
            took_ms: (mark == Mark::Ok).then_some(1.25),
            says: says.to_owned(),
            advice: advice.map(str::to_owned),
        };
        let findings = vec![
            finding(Stage::Way, Mark::Ok, "this machine itself", None),
            finding(Stage::Connect, Mark::Bad, "refused", Some("look there")),
        ];
        let machine = vec![finding(
            Stage::Cpu,
            Mark::Skipped,
            &"word ".repeat(30),
            None,
        )];
        let section = |upstream: Option<&str>, about: &str, findings| Section {
            upstream: upstream.map(str::to_owned),
            about: about.to_owned(),
            findings,
        };
        Report::new(
            None,
            std::time::Duration::from_millis(1500),
            vec![
                section(Some("shop"), "10.0.0.1:80", findings),
                section(None, "machine", machine),
            ],
        )
    }

    #[test]
    fn marks_stand_in_a_column_and_advice_below_what_it_is_about() {
        let text = whole(&report(), false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..7],
            [
                "upstream shop",
                "  10.0.0.1:80",
                "    ok   way          this machine itself [1.2 ms]",
                "    bad  connect      refused",
                "                      > look there",
                "",
                "machine",
            ]
        );
        assert_eq!(lines.last(), Some(&"1 well, 1 bad, 1 skipped in 1.5 s"));
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn colours_are_there_only_where_they_are_wanted() {
        assert!(!whole(&report(), false).contains('\u{1b}'));
        assert!(whole(&report(), true).contains("\u{1b}[31mbad \u{1b}[0m"));
    }
}
