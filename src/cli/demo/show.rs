//! The demo on a terminal, or as JSON lines.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::{CLIENTS, FIXED_HOST, Fragility, Tally};

/// What runs where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    pub(super) fragility: Fragility,
    pub(super) gateway: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    pub(super) adaptive: SocketAddr,
    pub(super) fixed: SocketAddr,
    pub(super) bare: SocketAddr,
    /// The limit that was set by hand.
    pub(super) wrong: u32,
}

/// What a stretch of time had: behind the limit that is found, behind the one that was set, and without any.
#[derive(Debug, Clone, Default)]
pub(super) struct Second {
    pub(super) seconds: u64,
    /// The limit that was found, at its end.
    pub(super) limit: Option<u32>,
    pub(super) adaptive: Tally,
    pub(super) fixed: Tally,
    pub(super) bare: Tally,
}

impl Second {
    /// Adds another stretch of time.
    pub(super) fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.limit = other.limit;
        self.adaptive.add(&other.adaptive);
        self.fixed.add(&other.fixed);
        self.bare.add(&other.bare);
    }
}

/// A line on standard output. A reader that has gone is no reason to fail.
pub(super) fn line(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// What runs where.
pub(super) fn opening(json: bool, scene: &Scene) {
    if json {
        line(&opening_json(scene).to_string());
    } else {
        line(&opening_text(scene));
    }
}

/// One second.
pub(super) fn second(json: bool, number: u64, second: &mut Second) {
    if json {
        line(&row_json(number, second).to_string());
    } else {
        line(&row(number, second));
    }
}

/// What the seconds at full load came to; nothing where there were none.
pub(super) fn closing(json: bool, scene: &Scene, total: &Second) {
    if total.seconds == 0 {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a demo")]
    let share =
        |tally: &Tally| tally.good as f64 / (scene.fragility.capacity() * total.seconds as f64);
    let shares = [&total.adaptive, &total.fixed, &total.bare].map(share);
    if json {
        line(&summary_json(total.seconds, shares).to_string());
    } else {
        line(&summary(scene.wrong, shares));
    }
}

fn opening_json(scene: &Scene) -> Value {
    json!({
        "gateway": scene.gateway, "admin": scene.admin, "upstream": scene.adaptive, "unprotected": scene.bare,
        "fixed": { "upstream": scene.fixed, "host": FIXED_HOST, "limit": scene.wrong },
        "capacity": scene.fragility.capacity(),
    })
}

fn opening_text(scene: &Scene) -> String {
    let Scene {
        fragility, gateway, ..
    } = scene;
    let dashboard = scene.admin.map_or(String::new(), |admin| {
        format!("  dashboard  http://{admin}/\n")
    });
    format!(
        "A service of {} workers x {} ms: {:.0} requests a second at best, far fewer when overrun. Three of them:\n\
         \x20 adaptive   http://{gateway}  ->  {}   Tidegate finds the limit by itself\n\
         \x20 fixed      http://{gateway}  ->  {}   Host: {FIXED_HOST}; its limit of {} was set too high\n\
         \x20 bare       http://{}  no gateway\n\
         {dashboard}\
         All get the same load: open loop, climbing to three times what the service can do. Ctrl-C ends it.\n\
         in time: answered within {} ms. late: answered later, failed, or given up after {} s.\n\n\
         {HEAD}",
        fragility.workers,
        fragility.service.as_millis(),
        fragility.capacity(),
        scene.adaptive,
        scene.fixed,
        scene.wrong,
        scene.bare,
        CLIENTS.in_time.as_millis(),
        CLIENTS.patience.as_secs()
    )
}

const HEAD: &str = "\
\x20                  ------------- adaptive -------------   ---------- fixed -----------   ---- bare ----
  second  offered  limit  in time   shed   late  p99 ms   in time  shed  late  p99 ms   in time   late";

fn row(number: u64, second: &mut Second) -> String {
    let p99 = second.adaptive.quantile_ms(0.99);
    let fixed_p99 = second.fixed.quantile_ms(0.99);
    let (adaptive, fixed, bare) = (&second.adaptive, &second.fixed, &second.bare);
    let limit = second
        .limit
        .map_or("-".to_owned(), |limit| limit.to_string());
    format!(
        "  {number:>6}  {:>7}  {limit:>5}  {:>7}  {:>5}  {:>5}  {p99:>6.0}   {:>7}  {:>4}  {:>4}  {fixed_p99:>6.0}   \
         {:>7}  {:>5}",
        adaptive.offered,
        adaptive.good,
        adaptive.shed,
        adaptive.late(),
        fixed.good,
        fixed.shed,
        fixed.late(),
        bare.good,
        bare.late(),
    )
}

/// The gateway's own fields are those of the limit that is found; beside them the two others.
fn row_json(number: u64, second: &mut Second) -> Value {
    let mut row = tally_json(&mut second.adaptive);
    let beside = [
        ("second", json!(number)),
        ("limit", json!(second.limit)),
        ("fixed", tally_json(&mut second.fixed).into()),
        ("unprotected", tally_json(&mut second.bare).into()),
    ];
    row.extend(beside.map(|(name, value)| (name.to_owned(), value)));
    row.into()
}

fn tally_json(tally: &mut Tally) -> Map<String, Value> {
    let (p50, p99) = (tally.quantile_ms(0.5), tally.quantile_ms(0.99));
    let fields = [
        ("offered", json!(tally.offered)),
        ("admitted", json!(tally.answered)),
        ("goodput", json!(tally.good)),
        ("shed", json!(tally.shed)),
        ("late", json!(tally.late())),
        ("failed", json!(tally.failed)),
        ("p50_ms", json!(p50)),
        ("p99_ms", json!(p99)),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

fn summary_json(seconds: u64, [adaptive, fixed, bare]: [f64; 3]) -> Value {
    json!({ "at_full_load": {
        "seconds": seconds, "goodput_share": adaptive, "fixed_share": fixed, "unprotected_share": bare,
    }})
}

fn summary(wrong: u32, [adaptive, fixed, bare]: [f64; 3]) -> String {
    format!(
        "\nAt three times its capacity the service did {:.0} % of its best behind Tidegate, {:.0} % behind a limit \
         of {wrong}, and {:.0} % without.",
        adaptive * 100.0,
        fixed * 100.0,
        bare * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(offered: u64, answered: u64, good: u64, shed: u64, failed: u64) -> Tally {
        Tally {
            offered,
            answered,
            good,
            shed,
            failed,
            ..Tally::default()
        }
    }

    fn a_second() -> Second {
        Second {
            seconds: 1,
            limit: Some(17),
            adaptive: tally(1200, 390, 385, 800, 2),
            fixed: tally(1190, 240, 180, 900, 4),
            bare: tally(1210, 30, 0, 0, 1100),
        }
    }

    #[test]
    fn each_figure_of_a_row_stands_under_its_word() {
        let words = HEAD.lines().last().unwrap();
        let row = row(7, &mut a_second());
        assert_eq!(row.chars().count(), words.chars().count(), "{row}");
        let figures: Vec<&str> = row.split_whitespace().collect();
        let shown = ["7", "1200", "17", "385", "800", "7"];
        assert_eq!(figures[..6], shown);
        assert_eq!(figures[7..10], ["180", "900", "64"]);
        assert_eq!(figures[11..], ["0", "1130"]);
    }

    #[test]
    fn a_row_without_a_limit_says_so() {
        let mut second = Second {
            limit: None,
            ..a_second()
        };
        assert_eq!(row(1, &mut second).split_whitespace().nth(2), Some("-"));
        assert_eq!(row_json(1, &mut second)["limit"], Value::Null);
    }

    #[test]
    fn the_json_row_speaks_of_the_limit_that_is_found_and_has_the_others_beside_it() {
        let row = row_json(7, &mut a_second());
        assert_eq!(row["second"], 7);
        assert_eq!(row["goodput"], 385);
        assert_eq!(row["admitted"], 390);
        assert_eq!(row["limit"], 17);
        assert_eq!(row["fixed"]["shed"], 900);
        assert_eq!(row["unprotected"]["failed"], 1100);
    }

    #[test]
    fn the_summary_has_all_three() {
        let shares = [0.951, 0.55, 0.0];
        let text = summary(64, shares);
        assert!(
            text.contains("95 % of its best behind Tidegate, 55 % behind a limit of 64, and 0 % "),
            "{text}"
        );
        let json = summary_json(9, shares);
        assert_eq!(json["at_full_load"]["fixed_share"], 0.55);
    }
}
