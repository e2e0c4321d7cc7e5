//! What several test binaries share.

pub mod client;
pub mod dns;
pub mod gateway;
pub mod tls;
pub mod upstream;

use std::time::Duration;

/// Waits until `holds`, with a generous cap.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        tokio::time::timeout(client::GENEROUS, waiting)
            .await
            .is_ok(),
        "waited in vain until {what}"
    );
}
