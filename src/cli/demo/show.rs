//! The demo on a terminal, or as JSON lines.

use std::net::SocketAddr;

use serde_json::json;

use super::{Fragility, Tally};

/// What a stretch of time had, behind the gateway and without it.
#[derive(Debug, Clone, Default)]
pub(super) struct Second {
    pub(super) seconds: u64,
    pub(super) guarded: Tally,
    pub(super) bare: Tally,
}

impl Second {
    /// Adds another stretch of time.
    pub(super) fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.guarded.add(&other.guarded);
        self.bare.add(&other.bare);
    }
}

/// A line on standard output. A reader that has gone is no reason to fail.
pub(super) fn line(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// What runs where.
pub(super) fn opening(
    json: bool,
    fragility: Fragility,
    gateway: SocketAddr,
    admin: Option<SocketAddr>,
    guarded: SocketAddr,
    bare: SocketAddr,
) {
    if json {
        line(
            &json!({
                "gateway": gateway, "admin": admin, "upstream": guarded, "unprotected": bare,
                "capacity": fragility.capacity(),
            })
            .to_string(),
        );
        return;
    }
    line(&format!(
        "A service of {} workers x {} ms: {:.0} requests a second at best, far fewer when overrun.",
        fragility.workers,
        fragility.service.as_millis(),
        fragility.capacity()
    ));
    line(&format!(
        "  through Tidegate   http://{gateway}  ->  {guarded}"
    ));
    line(&format!("  unprotected        http://{bare}"));
    if let Some(admin) = admin {
        line(&format!("  dashboard          http://{admin}/"));
    }
    line(
        "Both get the same load: open loop, climbing to three times what the service can do. Ctrl-C ends it.\n",
    );
    line(
        "          ----------------- through Tidegate -----------------   ----- unprotected -----",
    );
    line(
        "  second  offered  admitted  goodput   shed    p50 ms   p99 ms   goodput  p50 ms  p99 ms",
    );
}

/// One second.
pub(super) fn second(json: bool, number: u64, second: &mut Second) {
    let quantiles = |tally: &mut Tally| (tally.quantile_ms(0.5), tally.quantile_ms(0.99));
    let (p50, p99) = quantiles(&mut second.guarded);
    let (bare_p50, bare_p99) = quantiles(&mut second.bare);
    let (guarded, bare) = (&second.guarded, &second.bare);
    if json {
        line(&json!({
            "second": number,
            "offered": guarded.offered, "admitted": guarded.answered, "goodput": guarded.good, "shed": guarded.shed,
            "failed": guarded.failed, "p50_ms": p50, "p99_ms": p99,
            "unprotected": {
                "offered": bare.offered, "goodput": bare.good, "failed": bare.failed,
                "p50_ms": bare_p50, "p99_ms": bare_p99,
            },
        }).to_string());
        return;
    }
    line(&format!(
        "  {number:>6}  {:>7}  {:>8}  {:>7}  {:>5}  {p50:>8.1} {p99:>8.1}   {:>7}  {bare_p50:>6.0}  {bare_p99:>6.0}",
        guarded.offered, guarded.answered, guarded.good, guarded.shed, bare.good
    ));
}

/// What the seconds at full load came to.
pub(super) fn closing(json: bool, fragility: Fragility, total: &Second) {
    if total.seconds == 0 {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a demo")]
    let share = |good: u64| good as f64 / (fragility.capacity() * total.seconds as f64);
    let (guarded, bare) = (share(total.guarded.good), share(total.bare.good));
    if json {
        let summary = json!({ "seconds": total.seconds, "goodput_share": guarded, "unprotected_share": bare });
        line(&json!({ "at_full_load": summary }).to_string());
        return;
    }
    line(&format!(
        "\nAt three times its capacity the service did {:.0} % of its best behind Tidegate, and {:.0} % without.",
        guarded * 100.0,
        bare * 100.0
    ));
}
