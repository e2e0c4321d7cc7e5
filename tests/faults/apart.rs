//! Scenes in a process of their own, where they may change what a process or a host has only once.

use std::process::Output;

use tokio::process::Command;

use crate::scene::{Place, Scene};

/// Set to a kind, only its scene is played, in this very process.
pub const ONLY: &str = "LAB_ONLY";
/// A net that no host answers for, in networks of a scene's own.
pub const DEAD_NET: &str = "198.51.100.0/24";

/// How it went.
pub enum Apart {
    Seen,
    NotHere(String),
    Failed(String),
}

/// Plays `scene` in a process of its own: this test once more, with nothing but that scene.
pub async fn play(scene: &Scene) -> Apart {
    if scene.place == Place::Network
        && let Err(why) = network_is_allowed().await
    {
        return Apart::NotHere(why);
    }
    let this = std::env::current_exe().expect("a program");
    let mut command = match scene.place {
        Place::Network => in_a_network(),
        Place::Process | Place::Here => Command::new("env"),
    };
    command
        .arg(this)
        .args([
            "--exact",
            "each_kind_happens_and_is_told_of_everywhere",
            "--nocapture",
        ])
        .env(ONLY, format!("{:?}", scene.kind))
        .kill_on_drop(true);
    let output = command.output().await.expect("it runs");
    let told = told(&output);
    // A name that fits no test would be a success of nothing.
    if output.status.success() && told.contains("1 passed") {
        Apart::Seen
    } else {
        Apart::Failed(told)
    }
}

/// A network of its own for what follows, with a loopback device and a dead net; as an ordinary user, where the system
/// lets users have one.
fn in_a_network() -> Command {
    let mut command = Command::new("unshare");
    let ready = format!("ip link set lo up && ip route add unreachable {DEAD_NET} && exec \"$@\"");
    command.args(["-rn", "sh", "-c", &ready, "sh"]);
    command
}

async fn network_is_allowed() -> Result<(), String> {
    let output = in_a_network().arg("true").output().await;
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("no network of its own: {}", told(&output).trim())),
        Err(error) => Err(format!("`unshare` cannot be run: {error}")),
    }
}

fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
