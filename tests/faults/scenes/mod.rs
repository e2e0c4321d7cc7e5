//! One scene for each kind, by what it has to do with.

mod application;
mod bodies;
mod communication;
mod heads;
mod http2;
mod internal;
mod names;
mod network;
mod overload;
mod tls;

use crate::scene::Scene;

/// All of them.
pub fn all() -> Vec<Scene> {
    [
        heads::SCENES,
        bodies::SCENES,
        overload::SCENES,
        application::SCENES,
        names::SCENES,
        network::SCENES,
        tls::SCENES,
        communication::SCENES,
        http2::SCENES,
        internal::SCENES,
    ]
    .concat()
}
