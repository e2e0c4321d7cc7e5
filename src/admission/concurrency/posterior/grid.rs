//! A probability for each capacity, slowness and discipline, and how it blurs while time passes.

/// Steps of capacity, from 1 request to [`TOP`](Grid::top).
pub(super) const CAPACITIES: usize = 84;
/// Steps of slowness, from a sixth to six times the baseline.
pub(super) const SLOWNESSES: usize = 31;
/// Width of a step of capacity, in ln.
pub(super) const CAPACITY_STEP: f32 = 0.1;
/// Width of a step of slowness, in ln.
pub(super) const SLOWNESS_STEP: f32 = 0.12;
/// The ln of the largest slowness.
pub(super) const LARGEST: f32 = 15.0 * SLOWNESS_STEP;

/// No cell is ever less likely than this share of an even spread: what was ruled out may come back.
const FLOOR: f32 = 1e-9;

/// One capacity, all slownesses.
pub(super) type Row = [f32; SLOWNESSES];
/// One discipline: a row for each capacity.
pub(super) type Plane = [Row; CAPACITIES];

/// A distribution over (discipline, ln capacity, ln slowness). Sums up to 1 after each public operation.
///
/// All operations are local or separable: two passes over some five thousand numbers, and no allocation.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    /// One queue before workers; a processor that all share.
    pub(super) planes: [Box<Plane>; 2],
    scratch: Box<Plane>,
    capacity_jump: Jump<CAPACITIES>,
    slowness_jump: Jump<SLOWNESSES>,
}

/// How much blurs in a step of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Blur {
    /// Probability that capacity jumps.
    pub(super) capacity_jump: f32,
    /// Variance of capacity's drift, in ln².
    pub(super) capacity_drift: f32,
    /// Probability that slowness jumps.
    pub(super) slowness_jump: f32,
    /// Variance of slowness' drift, in ln².
    pub(super) slowness_drift: f32,
    /// Probability that the discipline flips.
    pub(super) flip: f32,
}

/// A two-sided exponential jump on an axis of `N` steps that stays on the axis.
#[derive(Debug, Clone)]
struct Jump<const N: usize> {
    /// What is left of the density one step further.
    decay: f32,
    /// For each step, one over the sum of where a jump from it may land.
    share: [f32; N],
}

// === impl Grid ===

impl Grid {
    /// Normal in ln capacity around `capacity` and in ln slowness around 0, with these deviations.
    pub(super) fn normal(
        capacity: f64,
        spread: (f32, f32),
        shared: f32,
        jumps: (f32, f32),
    ) -> Self {
        let mut grid = Self {
            planes: [(); 2].map(|()| Box::new([[0.0; SLOWNESSES]; CAPACITIES])),
            scratch: Box::new([[0.0; SLOWNESSES]; CAPACITIES]),
            capacity_jump: Jump::new(jumps.0, CAPACITY_STEP),
            slowness_jump: Jump::new(jumps.1, SLOWNESS_STEP),
        };
        let middle = log(capacity);
        for (plane, weight) in grid.planes.iter_mut().zip([1.0 - shared, shared]) {
            for (row, ln_capacity) in plane.iter_mut().zip(ln_capacities()) {
                for (cell, ln_slowness) in row.iter_mut().zip(ln_slownesses()) {
                    let far = (ln_capacity - middle) / spread.0;
                    let slow = ln_slowness / spread.1;
                    *cell = weight * (-0.5 * (far * far + slow * slow)).exp();
                }
            }
        }
        grid.normalize();
        grid
    }

    /// Time passed in which things may have changed.
    pub(super) fn blur(&mut self, blur: &Blur) {
        let [queue, shared] = &mut self.planes;
        for plane in [&mut **queue, &mut **shared] {
            let stay = 1.0 - blur.capacity_jump - blur.slowness_jump;
            scale(plane, stay, &mut self.scratch);
            self.slowness_jump
                .along_rows(plane, blur.slowness_jump, &mut self.scratch);
            self.capacity_jump
                .across_rows(plane, blur.capacity_jump, &mut self.scratch);
            plane.copy_from_slice(&*self.scratch);
            drift_across_rows(plane, 0.5 * blur.capacity_drift / CAPACITY_STEP.powi(2));
            drift_along_rows(plane, 0.5 * blur.slowness_drift / SLOWNESS_STEP.powi(2));
        }
        if blur.flip > 0.0 {
            for (a, b) in queue.iter_mut().flatten().zip(shared.iter_mut().flatten()) {
                let moved = 0.5 * blur.flip * (*b - *a);
                *a += moved;
                *b -= moved;
            }
        }
        self.normalize();
    }

    /// Moves everything so many steps towards the slower; what leaves the grid stays at its edge.
    pub(super) fn shift_slowness(&mut self, steps: isize) {
        for row in self.planes.iter_mut().flat_map(|plane| plane.iter_mut()) {
            for _ in 0..steps.unsigned_abs().min(SLOWNESSES) {
                if steps > 0 {
                    row.rotate_right(1);
                    let [first, .., last] = row;
                    *last += std::mem::take(first);
                } else {
                    row.rotate_left(1);
                    let [first, .., last] = row;
                    *first += std::mem::take(last);
                }
            }
        }
    }

    /// How likely each capacity is.
    pub(super) fn capacities(&self) -> [f32; CAPACITIES] {
        let mut sums = [0.0; CAPACITIES];
        for plane in &self.planes {
            for (sum, row) in sums.iter_mut().zip(&**plane) {
                *sum += total(row);
            }
        }
        sums
    }

    /// The mean of ln slowness.
    pub(super) fn ln_slowness(&self) -> f32 {
        let mut sums = [0.0; SLOWNESSES];
        for row in self.planes.iter().flat_map(|plane| plane.iter()) {
            for (sum, cell) in sums.iter_mut().zip(row) {
                *sum += cell;
            }
        }
        dot(&sums, ln_slownesses())
    }

    /// How likely it is that a processor is shared.
    pub(super) fn shared(&self) -> f32 {
        let [_, shared] = &self.planes;
        shared.iter().map(total).sum()
    }

    /// Makes it sum up to 1, with nothing ruled out for good.
    pub(super) fn normalize(&mut self) {
        let sum: f32 = self.capacities().iter().sum();
        let share = if sum > 0.0 { 1.0 / sum } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "some thousand cells")]
        let floor = FLOOR / (2 * CAPACITIES * SLOWNESSES) as f32;
        for cell in self
            .planes
            .iter_mut()
            .flat_map(|plane| plane.iter_mut())
            .flatten()
        {
            *cell = (*cell * share).max(floor);
        }
    }
}

/// ln of each capacity of the grid.
pub(super) fn ln_capacities() -> impl Iterator<Item = f32> {
    steps(0.0, CAPACITY_STEP)
}

/// ln of each slowness of the grid.
pub(super) fn ln_slownesses() -> impl Iterator<Item = f32> {
    steps(-LARGEST, SLOWNESS_STEP)
}

/// The mean of ln capacity.
pub(super) fn ln_capacity(capacities: &[f32; CAPACITIES]) -> f32 {
    dot(capacities, ln_capacities()) / capacities.iter().sum::<f32>().max(f32::MIN_POSITIVE)
}

/// The capacity below which it lies with this probability; between the steps it is interpolated in ln.
pub(super) fn quantile(capacities: &[f32; CAPACITIES], of: f32) -> f64 {
    let wanted = of * capacities.iter().sum::<f32>();
    let mut below = 0.0;
    for (here, ln_capacity) in capacities.iter().zip(ln_capacities()) {
        if below + here >= wanted {
            let part = (wanted - below) / here.max(f32::MIN_POSITIVE);
            return f64::from(ln_capacity + CAPACITY_STEP * (part - 0.5)).exp();
        }
        below += here;
    }
    ln_capacities()
        .last()
        .map_or(1.0, |last| f64::from(last).exp())
}

/// How likely a capacity above `bound` is.
pub(super) fn beyond(capacities: &[f32; CAPACITIES], bound: f64) -> f32 {
    let bound = log(bound);
    let all = capacities.iter().zip(ln_capacities());
    all.filter(|(_, ln_capacity)| *ln_capacity > bound)
        .map(|(here, _)| here)
        .sum()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the grid is coarser than an f32"
)]
pub(super) fn log(number: f64) -> f32 {
    number.max(f64::MIN_POSITIVE).ln() as f32
}

fn steps(from: f32, step: f32) -> impl Iterator<Item = f32> {
    (0_u8..=u8::MAX).map(move |at| from + step * f32::from(at))
}

fn dot(weights: &[f32], values: impl Iterator<Item = f32>) -> f32 {
    weights.iter().zip(values).map(|(w, v)| w * v).sum()
}

/// The sum of a row, in lanes that a processor adds at once.
fn total(row: &Row) -> f32 {
    let (eights, rest) = row.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for eight in eights {
        for (lane, cell) in lanes.iter_mut().zip(eight) {
            *lane += cell;
        }
    }
    lanes.iter().chain(rest).sum()
}

fn scale(from: &Plane, by: f32, to: &mut Plane) {
    for (to, from) in to.iter_mut().zip(from) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from * by;
        }
    }
}

/// Explicit diffusion over capacity; the outermost rows rest.
fn drift_across_rows(plane: &mut Plane, share: f32) {
    let share = share.min(0.25);
    if share <= 0.0 {
        return;
    }
    let [first, ..] = plane;
    let mut before = *first;
    let mut rows = plane.iter_mut().skip(1).peekable();
    while let Some(row) = rows.next() {
        let Some(next) = rows.peek() else { return };
        let old = *row;
        for (((cell, old), before), next) in row.iter_mut().zip(&old).zip(&before).zip(next.iter())
        {
            *cell = old + share * (next - 2.0 * old + before);
        }
        before = old;
    }
}

/// Explicit diffusion over slowness; the outermost cells rest.
fn drift_along_rows(plane: &mut Plane, share: f32) {
    let share = share.min(0.25);
    if share <= 0.0 {
        return;
    }
    for row in plane {
        let old = *row;
        for (cell, around) in row.iter_mut().skip(1).zip(old.windows(3)) {
            if let [before, here, next] = around {
                *cell = here + share * (next - 2.0 * here + before);
            }
        }
    }
}

// === impl Jump ===

impl<const N: usize> Jump<N> {
    /// A jump whose mean distance is `width` on an axis of this step.
    fn new(width: f32, step: f32) -> Self {
        let decay = (-step / width).exp();
        let mut share = [0.0; N];
        for (from, share) in share.iter_mut().enumerate() {
            let landing = (0..N).map(|to| decay.powi(distance(from, to)));
            *share = 1.0 / landing.sum::<f32>();
        }
        Self { decay, share }
    }
}

impl Jump<CAPACITIES> {
    /// Adds `weight` times what lands at each capacity: once from below, once from above.
    fn across_rows(&self, plane: &Plane, weight: f32, to: &mut Plane) {
        if weight <= 0.0 {
            return;
        }
        let mut landing = [0.0; SLOWNESSES];
        for ((row, share), to) in plane.iter().zip(&self.share).zip(to.iter_mut()) {
            for ((cell, landing), to) in row.iter().zip(&mut landing).zip(to) {
                *landing = *landing * self.decay + cell * share;
                *to += weight * *landing;
            }
        }
        landing = [0.0; SLOWNESSES];
        for ((row, share), to) in plane.iter().zip(&self.share).zip(to.iter_mut()).rev() {
            for ((cell, landing), to) in row.iter().zip(&mut landing).zip(to) {
                *to += weight * *landing;
                *landing = (*landing + cell * share) * self.decay;
            }
        }
    }
}

impl Jump<SLOWNESSES> {
    /// Adds `weight` times what lands at each slowness.
    fn along_rows(&self, plane: &Plane, weight: f32, to: &mut Plane) {
        if weight <= 0.0 {
            return;
        }
        for (row, to) in plane.iter().zip(to) {
            let mut landing = 0.0;
            for ((cell, share), to) in row.iter().zip(&self.share).zip(to.iter_mut()) {
                landing = landing * self.decay + cell * share;
                *to += weight * landing;
            }
            landing = 0.0;
            for ((cell, share), to) in row.iter().zip(&self.share).zip(to.iter_mut()).rev() {
                *to += weight * landing;
                landing = (landing + cell * share) * self.decay;
            }
        }
    }
}

fn distance(from: usize, to: usize) -> i32 {
    i32::try_from(from.abs_diff(to)).unwrap_or(i32::MAX)
}
