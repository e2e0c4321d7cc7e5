//! Values that change in steps.

/// What holds from each second on, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Steps(Vec<(f64, f64)>);

// === impl Steps ===

impl Steps {
    /// The same all the time.
    pub(crate) fn always(value: f64) -> Self {
        Self(vec![(0.0, value)])
    }

    /// From each second on, the value beside it; the first holds before its second too.
    pub(crate) fn from_pairs(mut pairs: Vec<(f64, f64)>) -> Self {
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(pairs)
    }

    /// What holds at this second.
    pub(crate) fn at(&self, second: f64) -> f64 {
        let after = self.0.partition_point(|(from, _)| *from <= second);
        let at = after.saturating_sub(1);
        self.0.get(at).map_or(0.0, |(_, value)| *value)
    }

    /// The highest value.
    pub(crate) fn most(&self) -> f64 {
        self.0.iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }

    /// When it changes.
    pub(crate) fn seconds(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|(from, _)| *from)
    }
}

#[test]
fn a_step_holds_from_its_second_to_the_next() {
    let steps = Steps::from_pairs(vec![(2.0, 5.0), (1.0, 3.0)]);
    let seen = [0.0, 1.0, 1.9, 2.0, 9.0].map(|second| steps.at(second).to_string());
    assert_eq!(seen, ["3", "3", "3", "5", "5"]);
}
