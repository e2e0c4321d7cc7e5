//! The gateway's own log, on standard error.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::{EnvFilter, filter::Directive};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// One JSON object a line.
    Json,
    /// For eyes.
    Text,
}

/// Sends what rooms say through `tracing` to standard error, from `level` up; libraries speak from `warn` up.
///
/// A second call in one process changes nothing: the first log stays.
pub fn init_logging(level: Level, format: LineFormat) {
    let own = format!("tidegate={}", level.as_str().to_ascii_lowercase());
    let mut filter = EnvFilter::new(Level::WARN.min(level).as_str());
    if let Ok(directive) = own.parse::<Directive>() {
        filter = filter.add_directive(directive);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false) // a closed stderr is silence, not a panic
        .with_ansi(std::io::stderr().is_terminal());
    let set = match format {
        LineFormat::Json => builder.json().flatten_event(true).try_init(),
        LineFormat::Text => builder.try_init(),
    };
    drop(set);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_log_is_refused_without_a_panic() {
        init_logging(Level::INFO, LineFormat::Text);
        init_logging(Level::DEBUG, LineFormat::Json);
        assert!(tracing::dispatcher::has_been_set());
    }
}
