//! A scenario file: who comes, what they come to, and what must hold.
//!
//! The keys are those of the table in `benches/overload/README.md`; one that is not there is an error. Where a list
//! of `[second, value]` steps is wanted, a plain number holds all the time; a duration is text such as `"20ms"`, or
//! a number of seconds.

use std::{collections::BTreeMap, path::Path};

use tidegate::names::Priority;
use toml::{Table, Value};

use super::steps::Steps;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    /// Tests take at least so many seeds: what is measured is too short for fewer.
    pub(crate) seeds: u64,
    pub(crate) measure: (f64, f64),
    pub(crate) rate: Steps,
    pub(crate) workers: Steps,
    pub(crate) scale: Steps,
    pub(crate) routes: Vec<Route>,
    pub(crate) distribution: Distribution,
    pub(crate) collapse: f64,
    pub(crate) discipline: Discipline,
    pub(crate) network: f64,
    pub(crate) slo: f64,
    pub(crate) client_timeout: f64,
    pub(crate) client_retries: u32,
    pub(crate) classes: Vec<Class>,
    pub(crate) fail: Steps,
    pub(crate) max_concurrent: usize,
    pub(crate) compare: Vec<f64>,
    pub(crate) expect: BTreeMap<String, (f64, f64)>,
    pub(crate) gateways: usize,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) tenants: Vec<Steps>,
    pub(crate) leave: (f64, f64),
    pub(crate) gateway_retries: u32,
    pub(crate) reload: Option<f64>,
    pub(crate) shadow: Steps,
    pub(crate) floor: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) share: Steps,
    /// Seconds.
    pub(crate) mean: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct Class {
    pub(crate) share: Steps,
    pub(crate) priority: Priority,
}

/// One that serves; what it says is times what the scenario says for all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) workers: f64,
    pub(crate) scale: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distribution {
    Exponential,
    Fixed,
    /// Nine tenths take half of the mean, a tenth 5.5 times it.
    Bimodal,
    /// Sigma 1.
    LogNormal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discipline {
    Queue,
    Shared,
}

// === impl Scenario ===

impl Scenario {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&text, &stem).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Reads a text; `name` holds where it says none.
    pub(crate) fn parse(text: &str, name: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|e| format!("{e}"))?;
        let mut keys = Keys(table);
        let scenario = Self::take(&mut keys, name)?;
        keys.none_left()?;
        Ok(scenario)
    }

    fn take(keys: &mut Keys, name: &str) -> Result<Self, String> {
        let measured = keys.numbers("measure")?;
        let end = measured.as_ref().and_then(|m| m.get(1).copied());
        let seconds = keys.number("seconds", end.unwrap_or(25.0))?;
        let measure = match measured.as_deref() {
            None => (f64::min(5.0, seconds / 5.0), seconds),
            Some(&[from, to]) if from < to => (from, to),
            Some(_) => return Err("`measure` wants [from, to]".into()),
        };
        let routes = keys.list("routes", route, || vec![plain_route()])?;
        let workers = keys.steps("workers", 16.0)?;
        let network = keys.seconds("network", 0.0)?;
        let knee = knee(&workers, measure.0, &routes, network);
        Ok(Self {
            name: keys.word("name", name)?,
            seconds,
            seeds: u64::from(whole(keys.number("seeds", 3.0)?)),
            measure,
            rate: keys.steps("rate", 400.0)?,
            scale: keys.steps("scale", 1.0)?,
            distribution: distribution(&keys.word("distribution", "exponential")?)?,
            collapse: keys.number("collapse", 0.2)?,
            discipline: discipline(&keys.word("discipline", "queue")?)?,
            network,
            slo: keys.seconds("slo", 0.2)?,
            client_timeout: keys.seconds("client_timeout", 1.0)?,
            client_retries: whole(keys.number("client_retries", 0.0)?),
            classes: keys.list("classes", class, || vec![plain_class()])?,
            fail: keys.steps("fail", 0.0)?,
            max_concurrent: whole(keys.number("max_concurrent", 0.0)?) as usize,
            compare: keys
                .numbers("compare")?
                .unwrap_or_else(|| vec![knee, knee + 1.0, knee + 2.0]),
            expect: keys.ranges("expect")?,
            gateways: (whole(keys.number("gateways", 1.0)?) as usize).max(1),
            endpoints: endpoints(keys)?,
            tenants: keys.shares("tenants")?,
            leave: leave(keys)?,
            gateway_retries: whole(keys.number("gateway_retries", 0.0)?),
            reload: Some(keys.seconds("reload", 0.0)?).filter(|every| *every > 0.0),
            shadow: keys.steps("shadow", 0.0)?,
            floor: keys.number("floor", 0.0)?,
            routes,
            workers,
        })
    }

    /// The mean seconds of a request where nothing waits, at this second.
    pub(crate) fn mean(&self, second: f64) -> f64 {
        let shares = self.routes.iter().map(|route| route.share.at(second));
        let all: f64 = shares.clone().sum();
        let weighted: f64 = shares
            .zip(&self.routes)
            .map(|(share, r)| share * r.mean)
            .sum();
        weighted / all.max(f64::MIN_POSITIVE)
    }

    /// Requests a second that all endpoints could work through, at this second.
    pub(crate) fn capacity(&self, second: f64) -> f64 {
        let each = self.workers.at(second) / (self.mean(second) * self.scale.at(second));
        self.endpoints
            .iter()
            .map(|e| each * e.workers / e.scale)
            .sum()
    }

    /// When the backend changes.
    pub(crate) fn changes(&self) -> impl Iterator<Item = f64> {
        self.workers
            .seconds()
            .chain(self.scale.seconds())
            .filter(|at| *at > 0.0)
    }
}

// === parts ===

fn route(keys: &mut Keys) -> Result<Route, String> {
    keys.0.remove("name");
    Ok(Route {
        share: keys.steps("share", 1.0)?,
        mean: keys.seconds("mean", 0.02)?,
    })
}

fn plain_route() -> Route {
    Route {
        share: Steps::always(1.0),
        mean: 0.02,
    }
}

fn class(keys: &mut Keys) -> Result<Class, String> {
    let priority = match keys.word("priority", "normal")?.as_str() {
        "critical" => Priority::Critical,
        "high" => Priority::High,
        "normal" => Priority::Normal,
        "low" => Priority::Low,
        other => return Err(format!("no priority is called `{other}`")),
    };
    Ok(Class {
        share: keys.steps("share", 1.0)?,
        priority,
    })
}

fn plain_class() -> Class {
    Class {
        share: Steps::always(1.0),
        priority: Priority::Normal,
    }
}

fn endpoints(keys: &mut Keys) -> Result<Vec<Endpoint>, String> {
    let one = Endpoint {
        workers: 1.0,
        scale: 1.0,
    };
    let groups = keys.list(
        "endpoints",
        |keys| {
            let count = whole(keys.number("count", 1.0)?) as usize;
            let endpoint = Endpoint {
                workers: keys.number("workers", 1.0)?,
                scale: keys.number("scale", 1.0)?,
            };
            Ok(vec![endpoint; count])
        },
        || vec![vec![one]],
    )?;
    Ok(groups.concat())
}

/// The share of clients that leave, and after how long.
fn leave(keys: &mut Keys) -> Result<(f64, f64), String> {
    let Some(value) = keys.0.remove("leave") else {
        return Ok((0.0, 0.0));
    };
    let Value::Table(table) = value else {
        return Err("`leave` wants { share, after }".into());
    };
    let mut keys = Keys(table);
    let leave = (keys.number("share", 0.1)?, keys.seconds("after", 0.05)?);
    keys.none_left()?;
    Ok(leave)
}

fn distribution(word: &str) -> Result<Distribution, String> {
    match word {
        "exponential" => Ok(Distribution::Exponential),
        "fixed" => Ok(Distribution::Fixed),
        "bimodal" => Ok(Distribution::Bimodal),
        "lognormal" => Ok(Distribution::LogNormal),
        other => Err(format!("no distribution is called `{other}`")),
    }
}

fn discipline(word: &str) -> Result<Discipline, String> {
    match word {
        "queue" => Ok(Discipline::Queue),
        "shared" => Ok(Discipline::Shared),
        other => Err(format!("no discipline is called `{other}`")),
    }
}

/// How many in flight keep all workers busy when measuring begins.
fn knee(workers: &Steps, second: f64, routes: &[Route], network: f64) -> f64 {
    let all: f64 = routes.iter().map(|r| r.share.at(second)).sum();
    let mean: f64 = routes.iter().map(|r| r.share.at(second) * r.mean).sum();
    let away = network * all / mean.max(f64::MIN_POSITIVE);
    (workers.at(second) * (1.0 + away)).round().max(1.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts in a file are small"
)]
fn whole(number: f64) -> u32 {
    number.round().max(0.0) as u32
}

// === reading ===

/// What of a table was not taken yet.
struct Keys(Table);

impl Keys {
    fn none_left(&self) -> Result<(), String> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!("unknown key `{key}`")),
        }
    }

    fn number(&mut self, key: &str, default: f64) -> Result<f64, String> {
        let Some(value) = self.0.remove(key) else {
            return Ok(default);
        };
        number(&value).ok_or_else(|| format!("`{key}` wants a number"))
    }

    fn seconds(&mut self, key: &str, default: f64) -> Result<f64, String> {
        let Some(value) = self.0.remove(key) else {
            return Ok(default);
        };
        seconds(&value).ok_or_else(|| format!("`{key}` wants a duration such as \"20ms\""))
    }

    fn word(&mut self, key: &str, default: &str) -> Result<String, String> {
        match self.0.remove(key) {
            None => Ok(default.into()),
            Some(Value::String(word)) => Ok(word),
            Some(_) => Err(format!("`{key}` wants a word")),
        }
    }

    fn steps(&mut self, key: &str, default: f64) -> Result<Steps, String> {
        let Some(value) = self.0.remove(key) else {
            return Ok(Steps::always(default));
        };
        steps(&value).ok_or_else(|| format!("`{key}` wants a number or [[second, value], ...]"))
    }

    fn numbers(&mut self, key: &str) -> Result<Option<Vec<f64>>, String> {
        let Some(value) = self.0.remove(key) else {
            return Ok(None);
        };
        let numbers = match &value {
            Value::Array(items) => items.iter().map(number).collect(),
            one => number(one).map(|one| vec![one]),
        };
        let numbers: Option<Vec<f64>> = numbers;
        Ok(Some(numbers.ok_or_else(|| {
            format!("`{key}` wants a list of numbers")
        })?))
    }

    fn shares(&mut self, key: &str) -> Result<Vec<Steps>, String> {
        match self.0.remove(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                let shares: Option<Vec<Steps>> = items.iter().map(steps).collect();
                shares.ok_or_else(|| format!("`{key}` wants a list of shares"))
            }
            Some(_) => Err(format!("`{key}` wants a list of shares")),
        }
    }

    fn ranges(&mut self, key: &str) -> Result<BTreeMap<String, (f64, f64)>, String> {
        let Some(value) = self.0.remove(key) else {
            return Ok(BTreeMap::new());
        };
        let Value::Table(table) = value else {
            return Err(format!("`{key}` wants a table of ranges"));
        };
        let range = |(name, value): (String, Value)| match value.as_array().map(Vec::as_slice) {
            Some([low, high]) => match (number(low), number(high)) {
                (Some(low), Some(high)) => Ok((name, (low, high))),
                _ => Err(format!("`{key}.{name}` wants [low, high]")),
            },
            _ => Err(format!("`{key}.{name}` wants [low, high]")),
        };
        let ranges: Result<BTreeMap<_, _>, String> = table.into_iter().map(range).collect();
        let ranges = ranges?;
        match ranges
            .keys()
            .find(|name| !super::measure::FIGURES.contains(&name.as_str()))
        {
            None => Ok(ranges),
            Some(name) => Err(format!("unknown key `{key}.{name}`")),
        }
    }

    fn list<T>(
        &mut self,
        key: &str,
        mut each: impl FnMut(&mut Keys) -> Result<T, String>,
        default: impl FnOnce() -> Vec<T>,
    ) -> Result<Vec<T>, String> {
        let Some(value) = self.0.remove(key) else {
            return Ok(default());
        };
        let Value::Array(items) = value else {
            return Err(format!("`{key}` wants a list of tables"));
        };
        let items = items.into_iter().map(|item| {
            let Value::Table(table) = item else {
                return Err(format!("`{key}` wants a list of tables"));
            };
            let mut keys = Keys(table);
            let item = each(&mut keys).map_err(|e| format!("`{key}`: {e}"))?;
            keys.none_left().map_err(|e| format!("`{key}`: {e}"))?;
            Ok(item)
        });
        let items: Vec<T> = items.collect::<Result<_, _>>()?;
        if items.is_empty() {
            return Err(format!("`{key}` is empty"));
        }
        Ok(items)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "numbers in a file are small")]
        Value::Integer(whole) => Some(*whole as f64),
        Value::Float(number) => Some(*number),
        Value::Boolean(yes) => Some(f64::from(u8::from(*yes))),
        _ => None,
    }
}

fn seconds(value: &Value) -> Option<f64> {
    let Some(text) = value.as_str() else {
        return number(value);
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    digits
        .trim()
        .parse::<f64>()
        .ok()
        .map(|number| number * unit)
}

fn steps(value: &Value) -> Option<Steps> {
    let Some(items) = value.as_array() else {
        return number(value).map(Steps::always);
    };
    let pairs = items
        .iter()
        .map(|item| match item.as_array().map(Vec::as_slice) {
            Some([from, value]) => Some((number(from)?, number(value)?)),
            _ => None,
        });
    let pairs: Vec<(f64, f64)> = pairs.collect::<Option<_>>()?;
    (!pairs.is_empty()).then(|| Steps::from_pairs(pairs))
}
