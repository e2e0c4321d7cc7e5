//! What a scene is made of.

use futures_util::future::BoxFuture;
use tidegate::{admission::Signals, fault::Kind};

use crate::support::{client::Reply, gateway::TestGateway};

/// One kind of fault, how it is made to happen, and what must be seen.
#[derive(Clone, Copy)]
pub struct Scene {
    pub kind: Kind,
    /// `STATUS NAME/REASON CAUSE STAGE BEGUN-BY`, the reason `-` where there is none.
    pub row: &'static str,
    pub told: Told,
    pub place: Place,
    pub play: fn() -> BoxFuture<'static, Played>,
}

/// What the client must get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A problem document.
    Problem,
    /// A page.
    Page,
    /// 200 with this status of gRPC.
    Grpc(u8),
    /// The beginning of the service's answer, and a connection that breaks off.
    Cut,
    /// Nothing.
    Nothing,
}

/// Where a scene is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this process.
    Here,
    /// In a process of its own, since it changes what all of a process share.
    Process,
    /// In a process and a network of its own.
    Network,
}

/// What came of a scene.
pub struct Played {
    pub gate: TestGateway,
    pub seen: Seen,
}

/// What the client got.
#[derive(Debug)]
pub enum Seen {
    /// An answer.
    Answer(Box<Reply>),
    /// A part of one.
    Cut,
    /// Nothing.
    Nothing,
}

/// A scene in this process.
pub const fn scene(
    kind: Kind,
    row: &'static str,
    told: Told,
    play: fn() -> BoxFuture<'static, Played>,
) -> Scene {
    Scene {
        kind,
        row,
        told,
        place: Place::Here,
        play,
    }
}

// === impl Scene ===

impl Scene {
    /// The same, played elsewhere.
    pub const fn played_in(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

// === impl Played ===

impl Played {
    /// The client got this.
    pub fn told(gate: TestGateway, reply: Reply) -> Self {
        let seen = Seen::Answer(Box::new(reply));
        Self { gate, seen }
    }

    /// The client's answer broke off.
    pub fn cut(gate: TestGateway) -> Self {
        let seen = Seen::Cut;
        Self { gate, seen }
    }

    /// The client got nothing.
    pub fn nothing(gate: TestGateway) -> Self {
        let seen = Seen::Nothing;
        Self { gate, seen }
    }
}

/// Where every gateway of the laboratory writes its access log, beside its file.
const LOG: &str = "[log]\naccess = \"access.log\"\n";

/// A gateway that writes an access log.
pub async fn gate(toml: &str) -> TestGateway {
    TestGateway::start(&format!("{LOG}{toml}")).await
}

/// The same, where `signals` say how the process is.
pub async fn gate_with(toml: &str, signals: impl Signals + 'static) -> TestGateway {
    TestGateway::start_with(&format!("{LOG}{toml}"), signals).await
}

/// The same, in a folder that already holds named files.
pub fn gate_in(folder: tempfile::TempDir, toml: &str) -> TestGateway {
    TestGateway::start_in(folder, &format!("{LOG}{toml}"))
}

/// One route for everything to `address`, that tries once, with what follows under `[upstreams.up]` and under the route.
pub fn route(address: std::net::SocketAddr, of_upstream: &str, of_route: &str) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{address}\" }}]\n{of_upstream}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\nretry = {{ attempts = 1 }}\n{of_route}\n"
    )
}
