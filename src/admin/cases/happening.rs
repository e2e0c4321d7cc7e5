//! What happened around a request beside other requests, as a verdict reads it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::config::Change;

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    /// In milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// Something that may make requests fail, or end it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Happening {
    /// A config came into force.
    ConfigApplied {
        /// Its hash.
        hash: Box<str>,
        /// What it changed, where both files are kept.
        changes: Vec<Change>,
    },
    /// A config was refused; the one before stayed in force.
    ConfigRefused {
        /// The first line of what was wrong with it.
        why: String,
    },
    /// A config was taken back, after it had been in force.
    ConfigTakenBack {
        /// Its hash.
        hash: Box<str>,
        /// Why.
        why: String,
    },
    /// A name stands for other addresses.
    AddressesChanged {
        /// The name.
        name: Box<str>,
        /// Those that came.
        added: Vec<IpAddr>,
        /// Those that went.
        removed: Vec<IpAddr>,
        /// How many more came that are not named.
        #[serde(default)]
        unnamed: usize,
    },
    /// A name can be looked up again.
    NameRecovered {
        /// The name.
        name: Box<str>,
    },
    /// Files that the config names changed.
    FilesChanged {
        /// How many of them are wrong, and not in force.
        wrong: usize,
    },
    /// A name cannot be looked up.
    LookupsFail {
        /// The name.
        name: Box<str>,
        /// What the name servers say.
        trouble: NameTrouble,
        /// Whether it has no addresses for it.
        empty: bool,
    },
    /// An endpoint was taken out of rotation.
    EndpointOut {
        /// Whose endpoint it is.
        upstream: Box<str>,
        /// Its address.
        endpoint: SocketAddr,
        /// What took it out.
        by: OutBy,
        /// Why, in a sentence.
        why: String,
    },
    /// An endpoint may serve again.
    EndpointBack {
        /// Whose endpoint it is.
        upstream: Box<str>,
        /// Its address.
        endpoint: SocketAddr,
    },
    /// So few endpoints of an upstream can serve that all are used, or that is over.
    Panic {
        /// Which upstream.
        upstream: Box<str>,
        /// Whether it begins.
        begins: bool,
    },
    /// Traffic of an upstream goes to another group than the first, or all of it is back.
    Spill {
        /// Which upstream.
        upstream: Box<str>,
        /// Whether it begins.
        begins: bool,
    },
    /// This process gives up more or less for want of something.
    Pressure {
        /// How much, 0 to 4.
        level: u8,
    },
    /// A limit that is learned moved.
    LimitMoved {
        /// Whose limit it is.
        upstream: Box<str>,
        /// Where it was.
        from: f64,
        /// Where it is.
        to: f64,
    },
    /// This process did not run for a while.
    StoodStill {
        /// How long, in milliseconds.
        late_ms: u64,
    },
}

/// What took an endpoint out of rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutBy {
    /// Its checks failed.
    Checks,
    /// Its traffic failed.
    Traffic,
}

/// What name servers say of a name that cannot be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameTrouble {
    /// There is no such name, or it has no addresses.
    Gone,
    /// Nothing.
    Silence,
    /// That they cannot or will not answer.
    Failure,
    /// Addresses that the name may not have.
    Prohibited,
}
