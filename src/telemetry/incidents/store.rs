//! The incidents of one gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrics::Counter;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Happening, Incident, Rules,
    counts::{Counts, Last},
    evidence,
    machine::{Changes, Machine},
    window::Look,
};
use crate::{
    fault::Cause,
    names::{RouteName, UpstreamName},
    telemetry::{
        Cases, Events, IncidentEvent, IncidentTold, Telemetry, catalog, recorder::Recorder,
    },
};

/// The incidents of one gateway, and what counts them.
#[derive(Debug)]
pub struct Incidents {
    /// The machine counts from here.
    epoch: Instant,
    state: Mutex<State>,
    /// Changes so far. Relaxed: seen late, a change is written down a little later.
    version: AtomicU64,
    began: [Counter; Cause::ALL.len()],
    left_out: Counter,
}

#[derive(Debug, Default)]
struct State {
    machine: Machine,
    last: Last,
    /// The last event that was looked at.
    heard: u64,
    /// When the last look was, in milliseconds since 1970; 0 before the first.
    looked_ms: u64,
}

/// What became of an incident.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// It began.
    Began(Arc<Incident>),
    /// It is over.
    Ended(Arc<Incident>),
}

/// Most events of one look.
const MOST_EVENTS: usize = 256;
/// Most cases that evidence is sought in.
const MOST_CASES: usize = 2_000;

// === impl Incidents ===

impl Incidents {
    pub(in crate::telemetry) fn new(recorder: &Recorder) -> Self {
        Self {
            epoch: Instant::now(),
            state: Mutex::default(),
            version: AtomicU64::new(0),
            began: Cause::ALL.map(|cause| recorder.counter(&catalog::INCIDENTS, [cause.as_str()])),
            left_out: recorder.counter(&catalog::INCIDENTS_LEFT_OUT, []),
        }
    }

    /// How many go on.
    #[must_use]
    pub fn open(&self) -> usize {
        self.state.lock().machine.open()
    }

    /// Another number than before says that something changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// All that are kept, those that go on first, then the newest first; `cases` are what evidence is sought in for
    /// those that go on.
    #[must_use]
    pub fn all(&self, cases: &Cases) -> Vec<Incident> {
        let mut all: Vec<_> = self.state.lock().machine.all().cloned().collect();
        for incident in all.iter_mut().filter(|incident| incident.is_open()) {
            prove(incident, cases);
        }
        all
    }

    /// The one of this id.
    #[must_use]
    pub fn find(&self, id: &str, cases: &Cases) -> Option<Incident> {
        let mut found = {
            let state = self.state.lock();
            state
                .machine
                .all()
                .find(|incident| *incident.id == *id)
                .cloned()
        }?;
        if found.is_open() {
            prove(&mut found, cases);
        }
        Some(found)
    }

    fn count(&self, incident: &Incident) {
        let causes = Cause::ALL.into_iter().zip(&self.began);
        let known = causes.filter(|(cause, _)| Some(*cause) == cause_of(incident));
        known.for_each(|(_, counter)| counter.increment(1));
    }

    /// Takes in incidents of a process before, the newest first as [`all`](Self::all) gives them: those that were open go
    /// on, and end as any other.
    pub fn restore(&self, mut incidents: Vec<Incident>, now: Instant) {
        incidents.reverse();
        let at = now.saturating_duration_since(self.epoch);
        self.state.lock().machine.restore(incidents, at);
        self.version.fetch_add(1, Relaxed);
    }

    fn look(
        &self,
        counts: Counts,
        events: &Events,
        (at, at_ms): (Duration, u64),
        rules: &Rules,
    ) -> Changes {
        let mut state = self.state.lock();
        let State {
            machine,
            last,
            heard,
            looked_ms,
        } = &mut *state;
        for event in events.since(*heard, MOST_EVENTS) {
            *heard = event.id;
            if let Some(happening) = Happening::of(&event) {
                machine.note(happening);
            }
        }
        let counts = last.take(counts);
        let looked = std::mem::replace(looked_ms, at_ms);
        let from_ms = if looked == 0 {
            at_ms
        } else {
            looked.min(at_ms)
        };
        let look = Look {
            at,
            from_ms,
            at_ms,
            counts,
        };
        let changes = machine.look(look, rules);
        if machine.open() > 0 || !changes.ended.is_empty() {
            self.version.fetch_add(1, Relaxed);
        }
        changes
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// Looks at what ended since the last look, and says which incidents began or ended by `rules`. To be called about
    /// once a second by whoever owns the gateway.
    pub fn look_for_incidents(&self, now: Instant, time: SystemTime, rules: &Rules) -> Vec<Turn> {
        let incidents = self.incidents();
        let at = now.saturating_duration_since(incidents.epoch);
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let changes = incidents.look(self.endings(), self.events(), (at, at_ms), rules);
        incidents.left_out.increment(changes.left_out);
        let mut turns = Vec::new();
        for mut incident in changes.began {
            prove(&mut incident, self.cases());
            incidents.count(&incident);
            self.events()
                .tell(IncidentEvent::Began(told(&incident, began(&incident))));
            turns.push(Turn::Began(Arc::new(incident)));
        }
        for mut incident in changes.ended {
            prove(&mut incident, self.cases());
            incidents.state.lock().machine.prove(&incident);
            self.events()
                .tell(IncidentEvent::Ended(told(&incident, ended(&incident))));
            turns.push(Turn::Ended(Arc::new(incident)));
        }
        turns
    }
}

/// What the event says.
fn told(incident: &Incident, sentence: String) -> IncidentTold {
    let route = match &incident.routes[..] {
        [one] if **one != *"none" => Some(RouteName::from(&**one)),
        _ => None,
    };
    IncidentTold {
        incident: incident.id.clone(),
        route,
        upstream: incident.upstream.as_deref().map(UpstreamName::from),
        severity: incident.severity.of_event(),
        cause: cause_of(incident).map_or("none", Cause::as_str),
        requests: incident.faulted,
        sentence: sentence.into(),
    }
}

fn began(incident: &Incident) -> String {
    let Incident {
        sentence,
        faulted,
        requests,
        ..
    } = incident;
    format!("{sentence} {faulted} of {requests} requests so far.")
}

fn ended(incident: &Incident) -> String {
    let Incident {
        id,
        faulted,
        requests,
        ..
    } = incident;
    let seconds = incident.lasted().as_secs();
    let by = incident.ended.as_ref().map_or("", |ended| &ended.by);
    format!("Incident {id} is over after {seconds} s and {faulted} of {requests} requests. {by}")
}

/// Whose doing it is, where this version knows the word.
fn cause_of(incident: &Incident) -> Option<Cause> {
    let mut causes = Cause::ALL.into_iter();
    causes.find(|cause| *cause.as_str() == *incident.cause)
}

fn prove(incident: &mut Incident, cases: &Cases) {
    let found = cases.select(&evidence::filter(incident), MOST_CASES);
    incident.evidence = evidence::of(incident, &found);
    incident.example = evidence::example(incident, &found).map(Box::from);
}
