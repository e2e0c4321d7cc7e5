//! A gateway without sockets: its keeper, its names, the hosts behind it, and clients that never rest.

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tidegate::{
    config::{self, ConfigHash, Loaded},
    names::Chance,
    pool::REMEMBERED,
    reload::{Handle, Keeper, MOST_ENTRIES, Prepared, Running, Sockets, Unprepared},
    snapshot::{Ground, Snapshot},
    telemetry::Telemetry,
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, sleep},
};

use super::{
    draft::{Draft, NAMES},
    event::{Event, Way, some_of},
    faults::Faults,
    hosts::{HOSTS, Hosts, Mood},
    kept::{Alive, Before},
    names::{Names, Says},
    request::{CLIENTS, Clients},
};

/// How many events a run has.
const EVENTS: usize = 120;
/// At most so long passes between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Longer than any request lasts.
const LONGEST: Duration = Duration::from_secs(60);

/// All of it.
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) draft: Draft,
    pub(super) names: Arc<Names>,
    pub(super) hosts: Hosts,
    /// Whether the file is none of ours at the moment.
    pub(super) is_broken: bool,
    keeper: Running,
    clients: Clients,
    running: JoinSet<()>,
    alive: Alive,
    folder: TempDir,
}

/// One run.
pub(super) async fn run(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed);
    let mut happened = Vec::new();
    for _ in 0..EVENTS {
        let event = Event::draw(&mut world.rng, world.hosts.port());
        happened.push(format!("{event:?}"));
        let suffered = world.step(event).await;
        suffered.map_err(|fault| {
            let last = happened.len().saturating_sub(8);
            format!(
                "{fault}\nafter {} events, the last: {:#?}",
                happened.len(),
                &happened[last..]
            )
        })?;
    }
    world.end().await
}

/// Whatever the config says of listeners, nothing listens here.
#[derive(Debug)]
struct NoSockets;

impl Sockets for NoSockets {
    fn prepare(&self, _: &Loaded) -> Result<Box<dyn Prepared>, Unprepared> {
        Ok(Box::new(Self))
    }
}

impl Prepared for NoSockets {
    fn make(self: Box<Self>) {}
}

// === impl World ===

impl World {
    fn new(seed: u64) -> Self {
        Chance::seed(seed);
        let mut rng = StdRng::seed_from_u64(seed);
        let (hosts, faults) = (Hosts::start(), Faults::default());
        let names = Names::new(faults.clone());
        for name in NAMES {
            names.says(name, Says::Good(some_of(&mut rng, hosts.port())));
        }
        let draft = Draft::new(hosts.port(), &mut rng);
        let folder = folder();
        let file = folder.path().join("tidegate.toml");
        std::fs::write(&file, draft.text()).expect("written");
        let loaded = config::read(&file).unwrap_or_else(|errors| panic!("{errors}"));
        let telemetry = Telemetry::new();
        let ground = Ground::where_names_are(Arc::clone(&names) as _, Arc::clone(&telemetry));
        let keeper = Keeper::prepare_on(ground, loaded, Some(file), telemetry);
        let keeper = keeper.keep(Arc::new(NoSockets));
        names.watch(Arc::clone(&keeper.snapshot));
        let clients = Clients {
            snapshot: Arc::clone(&keeper.snapshot),
            buckets: Arc::default(),
            tally: Arc::new(Mutex::default()),
            moods: hosts.moods(),
            faults,
        };
        Self {
            rng,
            draft,
            names,
            hosts,
            is_broken: false,
            keeper,
            clients,
            running: JoinSet::new(),
            alive: Alive::default(),
            folder,
        }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.keeper.snapshot.load_full()
    }

    pub(super) const fn handle(&self) -> &Handle {
        &self.keeper.handle
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    /// An event among requests, and a look at all that must hold.
    async fn step(&mut self, event: Event) -> Result<(), String> {
        self.requests();
        self.suffer(event).await?;
        let pause = Duration::from_millis(self.rng.random_range(1..250));
        self.pass(pause).await
    }

    /// Requests come for a while.
    fn requests(&mut self) {
        let (many, within) = if self.rng.random_bool(0.1) {
            (60, 30)
        } else {
            (self.rng.random_range(0..25), 400)
        };
        for _ in 0..many {
            let after = Duration::from_millis(self.rng.random_range(0..within));
            let (clients, seed) = (self.clients.clone(), self.rng.random());
            self.running.spawn(async move {
                sleep(after).await;
                clients.send(seed).await;
            });
        }
    }

    /// Time passes, under watch.
    pub(super) async fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        loop {
            self.look().await?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(left.min(LOOK)).await;
        }
    }

    /// Everything that must hold at any moment.
    async fn look(&mut self) -> Result<(), String> {
        settle().await;
        while let Some(ended) = self.running.try_join_next() {
            ended.map_err(|panicked| panicked.to_string())?;
        }
        let (snapshot, now) = (self.snapshot(), Instant::now());
        self.clients.faults.look(&snapshot, now);
        self.clients.buckets.lock().follow(&snapshot, now);
        self.alive.note(&snapshot);
        self.clients.tally.lock().forget();
        self.counts_are_right()?;
        Self::seats_are_right(&snapshot)?;
        self.is_bounded(&snapshot, now)?;
        self.clients.faults.found()
    }

    /// What gates count is what there is.
    fn counts_are_right(&self) -> Result<(), String> {
        let tally = self.clients.tally.lock();
        for gate in self.alive.gates() {
            let (view, counted) = (gate.view(), tally.of(&gate));
            if (view.in_flight, view.waiting) != counted {
                return Err(format!("{view:?}, and there are {counted:?}"));
            }
        }
        Ok(())
    }

    /// An upstream has the endpoints of its addresses and its names, and no other.
    fn seats_are_right(snapshot: &Snapshot) -> Result<(), String> {
        use std::collections::BTreeSet;
        use tidegate::config::EndpointSource;
        for live in &snapshot.upstreams {
            let mut wanted = BTreeSet::new();
            for endpoint in &live.plan.endpoints {
                match &endpoint.source {
                    EndpointSource::Address(address) => drop(wanted.insert(address.ip())),
                    EndpointSource::Dns { name, .. } => {
                        wanted.extend(Names::in_force(snapshot, name).unwrap_or_default());
                    }
                    EndpointSource::Srv { .. } => {}
                }
            }
            let seats = live.seats.as_slice().iter();
            let there: BTreeSet<_> = seats.map(|seat| seat.endpoint.id.address.ip()).collect();
            if there != wanted {
                return Err(format!(
                    "{:?} has {there:?}, not {wanted:?}",
                    live.plan.name
                ));
            }
        }
        Ok(())
    }

    /// Nothing grows without bound.
    fn is_bounded(&mut self, snapshot: &Snapshot, now: Instant) -> Result<(), String> {
        let snapshots = self.alive.snapshots();
        let most = self.running.len() + 2; // each request holds the one of its arrival
        if snapshots > most {
            return Err(format!(
                "{snapshots} snapshots for {} requests",
                self.running.len()
            ));
        }
        let entries = self.handle().history().newest_first().count();
        if entries > MOST_ENTRIES {
            return Err(format!("{entries} entries of history"));
        }
        for limit in snapshot.routes.iter().flat_map(|route| &route.limits) {
            let view = limit.view(now);
            if view.keys > usize::from(CLIENTS) {
                return Err(format!("{view:?} for {CLIENTS} clients"));
            }
        }
        for live in &snapshot.upstreams {
            let (most, waiting) = (
                live.plan.concurrency.queue.max_waiting,
                live.gate.view().waiting,
            );
            if waiting > most {
                return Err(format!("{:?}: {waiting} wait, of {most}", live.plan.name));
            }
        }
        Ok(())
    }

    /// The config of this text is in force.
    pub(super) fn is_in_force(&self, text: &str) -> Result<(), String> {
        let status = self.handle().status();
        if self.snapshot().config.hash == ConfigHash::of(text.as_bytes()) {
            return Ok(());
        }
        Err(format!("not in force: {:?}\n{text}", status.last))
    }

    /// What is there before a config comes in this instant.
    pub(super) fn before(&self) -> Before {
        let now = Instant::now();
        let before = Before::of(self.snapshot(), now);
        self.clients.tally.lock().changes(before.waiting(), now);
        before
    }

    /// A config came into force in this instant: what it names it took over.
    pub(super) fn took_over(&mut self, before: &Before) -> Result<(), String> {
        let (next, now) = (self.snapshot(), Instant::now());
        self.names.follow(&next);
        self.clients.buckets.lock().follow(&next, now);
        before.is_kept_by(&next, now)
    }

    /// Nothing is named any more: all ends in peace, and nothing is left.
    async fn end(mut self) -> Result<(), String> {
        (0..HOSTS).for_each(|host| self.hosts.turn(host, Mood::Well));
        let bare = self.draft.bare();
        self.bring(bare, Way::Rename).await?;
        let end = Instant::now() + LONGEST;
        while !self.running.is_empty() && Instant::now() < end {
            self.pass(LOOK).await?;
        }
        if !self.clients.tally.lock().is_idle() || !self.running.is_empty() {
            return Err(format!("{} requests never end", self.running.len()));
        }
        self.look().await?;
        sleep(REMEMBERED + LONGEST).await;
        settle().await;
        self.alive.is_gone()?;
        self.keeper.stop().await;
        Ok(())
    }
}

/// All that is due in this instant has happened.
pub(super) async fn settle() {
    for _ in 0..24 {
        yield_now().await;
    }
}

/// In memory where there is such a place: every applied config is synced to the disk.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    made.expect("a folder")
}
