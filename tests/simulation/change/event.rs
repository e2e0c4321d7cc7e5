//! What happens. A new kind of event is a variant here, its part of the draw, and an arm of [`World::suffer`].

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use super::{
    draft::{Draft, NAMES},
    hosts::{HOSTS, Mood, address},
    names::Says,
    world::{World, settle},
};
use rand::{RngExt, rngs::StdRng};
use tidegate::{
    reload::{Trigger, Try},
    resolve::Why,
};

/// One event.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Another config, by the file, or by the API.
    Config(Way),
    /// The config that was in force some entries of the history ago.
    RollBack(u64),
    /// A file that is no config.
    Broken(Broken),
    /// DNS says something else of a name.
    Dns(&'static str, Says),
    /// A host does otherwise.
    Host(usize, Mood),
    /// Every host is well.
    AllWell,
    /// Nothing, or requests alone.
    Quiet(Duration),
}

/// How a config comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Renamed over the file.
    Rename,
    /// Written in place.
    InPlace,
    /// Posted to the API.
    Api,
    /// The same bytes again.
    Same,
}

/// How a file is broken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Broken {
    Half,
    UnknownKey,
    Binary,
    Deleted,
}

// === impl Event ===

impl Event {
    pub(super) fn draw(rng: &mut StdRng, port: u16) -> Self {
        match rng.random_range(0..100) {
            0..12 => Self::Config(Way::Rename),
            12..18 => Self::Config(Way::InPlace),
            18..24 => Self::Config(Way::Api),
            24..27 => Self::Config(Way::Same),
            27..29 => Self::RollBack(rng.random_range(1..=5)),
            29..34 => Self::Broken(match rng.random_range(0..4) {
                0 => Broken::Half,
                1 => Broken::UnknownKey,
                2 => Broken::Binary,
                _ => Broken::Deleted,
            }),
            34..54 => Self::Dns(NAMES[rng.random_range(0..NAMES.len())], says(rng, port)),
            54..76 => {
                let moods = [Mood::Well, Mood::Slow, Mood::Gray, Mood::Flaky, Mood::Dead];
                let mood = moods[rng.random_range(0..moods.len())];
                Self::Host(rng.random_range(0..HOSTS), mood)
            }
            76..80 => Self::AllWell,
            80..97 => Self::Quiet(Duration::from_millis(rng.random_range(50..1500))),
            _ => Self::Quiet(Duration::from_secs(rng.random_range(5..40))),
        }
    }
}

/// What DNS may say.
fn says(rng: &mut StdRng, port: u16) -> Says {
    let errors = [
        Why::NotFound,
        Why::Empty,
        Why::ServerFailure,
        Why::Refused,
        Why::Timeout,
        Why::Truncated,
    ];
    match rng.random_range(0..10) {
        0..6 => Says::Good(some_of(rng, port)),
        6 => Says::Flaps(some_of(rng, port), some_of(rng, port)),
        _ => {
            let why = errors[rng.random_range(0..errors.len())];
            let late = if why == Why::Timeout { 5000 } else { 0 };
            Says::Fails(why, Duration::from_millis(late))
        }
    }
}

/// One address at least.
pub(super) fn some_of(rng: &mut StdRng, port: u16) -> BTreeSet<IpAddr> {
    let many = rng.random_range(1..=8);
    let hosts = (0..many).map(|_| rng.random_range(0..HOSTS));
    hosts.map(|host| address(port, host).into()).collect()
}

// === impl World ===

impl World {
    /// Lets it happen.
    pub(super) async fn suffer(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Config(Way::Same) => self.same_again().await,
            Event::Config(way) => self.reload(way).await,
            Event::RollBack(back) => self.roll_back(back).await,
            Event::Broken(how) => self.broken(how).await,
            Event::Dns(name, says) => {
                self.names.says(name, says);
                Ok(())
            }
            Event::Host(host, mood) => {
                self.hosts.turn(host, mood);
                Ok(())
            }
            Event::AllWell => {
                (0..HOSTS).for_each(|host| self.hosts.turn(host, Mood::Well));
                Ok(())
            }
            Event::Quiet(time) => self.pass(time).await,
        }
    }

    /// Another config comes into force, and whatever it still names is kept.
    async fn reload(&mut self, way: Way) -> Result<(), String> {
        let mut next = self.draft.clone();
        next.change(&mut self.rng);
        self.bring(next, way).await
    }

    /// This config comes into force.
    pub(super) async fn bring(&mut self, next: Draft, way: Way) -> Result<(), String> {
        settle().await;
        let before = self.before();
        let text = next.text();
        match way {
            Way::Api => {
                let applied = self
                    .handle()
                    .apply(text.as_str().into(), None, Try::ForReal);
                match applied.await {
                    Ok(_) => {}
                    Err(_) if self.is_broken => return Ok(()),
                    Err(refused) => return Err(format!("{refused}\n{text}")),
                }
            }
            Way::Rename => {
                let beside = self.file().with_extension("new");
                std::fs::write(&beside, &text).expect("written");
                std::fs::rename(&beside, self.file()).expect("renamed");
                self.is_read().await;
            }
            Way::InPlace | Way::Same => {
                std::fs::write(self.file(), &text).expect("written");
                self.is_read().await;
            }
        }
        self.is_in_force(&text)?;
        (self.draft, self.is_broken) = (next, false);
        self.took_over(&before)
    }

    /// The same bytes change nothing.
    async fn same_again(&mut self) -> Result<(), String> {
        settle().await;
        let revision = self.snapshot().config.revision;
        let text = self.draft.text();
        std::fs::write(self.file(), &text).expect("written");
        self.is_read().await;
        self.is_broken = false;
        self.is_in_force(&text)?;
        let now = self.snapshot().config.revision;
        if now != revision {
            return Err(format!("the same bytes made {now} of revision {revision}"));
        }
        Ok(())
    }

    async fn roll_back(&mut self, back: u64) -> Result<(), String> {
        settle().await;
        let history = self.handle().history();
        let Some(entry) = history
            .newest_first()
            .nth(usize::try_from(back).unwrap_or(1))
        else {
            return Ok(());
        };
        let Some(text) = entry.text.clone() else {
            return Ok(());
        };
        let before = self.before();
        let rolled = self.handle().roll_back(entry.number, Try::ForReal).await;
        match rolled {
            Ok(_) => {}
            Err(_) if self.is_broken => return Ok(()), // a file that is gone is not written
            Err(refused) => return Err(format!("not rolled back: {refused}")),
        }
        self.is_broken = false;
        self.is_in_force(&text)?;
        self.took_over(&before)?;
        // What the draft says goes on from here.
        let draft = self.draft.clone();
        self.bring(draft, Way::Rename).await
    }

    /// A file that is no config changes nothing.
    async fn broken(&mut self, how: Broken) -> Result<(), String> {
        settle().await;
        let before = self.snapshot().config.clone();
        let text = self.draft.text();
        let half = text.len() - 40;
        let bytes = match how {
            Broken::Half => text.as_bytes()[..half].to_vec(),
            Broken::UnknownKey => text.replace("[dns]", "[dnss]").into_bytes(),
            Broken::Binary => vec![0xff, 0xfe, 0, 1],
            Broken::Deleted => Vec::new(),
        };
        if matches!(how, Broken::Deleted) {
            drop(std::fs::remove_file(self.file()));
        } else {
            std::fs::write(self.file(), bytes).expect("written");
        }
        self.is_read().await;
        self.is_broken = true;
        let status = self.handle().status();
        let rejected = status.last.is_some_and(|last| !last.verdict.is_in_force());
        if !rejected || self.snapshot().config != before {
            return Err(format!("a broken file ({how:?}) was taken"));
        }
        Ok(())
    }

    /// Asks for the file to be read, and waits until it was. Files are read beside virtual time: a reading that was
    /// under way while the file was written may have seen it empty. So there are two, and the second saw it whole.
    async fn is_read(&self) {
        for _ in 0..2 {
            let mut told = self.handle().subscribe();
            told.mark_unchanged();
            self.handle().reload(Trigger::Signal);
            told.changed().await.expect("the keeper runs");
        }
    }
}
