//! The gateway's own log, on standard error. One process has one; what it shows and how can change while it runs.

use std::{
    fmt,
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::Directive,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Full, Json, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// One JSON object a line.
    Json,
    /// For eyes.
    Text,
}

/// The log that [`init_logging`] began.
#[derive(Debug, Clone)]
pub struct OwnLog {
    filter: reload::Handle<EnvFilter, Registry>,
    look: Look,
    level: Arc<Mutex<Level>>,
}

/// Sends what rooms say through `tracing` to standard error, from `level` up; libraries speak from `warn` up.
///
/// A second call in one process changes nothing: the first log stays, and what is returned moves nothing.
pub fn init_logging(level: Level, format: LineFormat) -> OwnLog {
    let colour = std::io::stderr().is_terminal();
    let (subscriber, log) = subscriber(level, format, std::io::stderr, colour);
    drop(subscriber.try_init());
    log
}

fn subscriber<W>(
    level: Level,
    format: LineFormat,
    writer: W,
    colour: bool,
) -> (impl Subscriber + Send + Sync, OwnLog)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter_of(level));
    let look = Look::new(format);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colour)
        .log_internal_errors(false) // a closed stderr is silence, not a panic
        .event_format(look.clone());
    let log = OwnLog {
        filter: handle,
        look,
        level: Arc::new(Mutex::new(level)),
    };
    (Registry::default().with(filter).with(lines), log)
}

fn filter_of(level: Level) -> EnvFilter {
    let own = format!("tidegate={}", level.as_str().to_ascii_lowercase());
    let filter = EnvFilter::new(Level::WARN.min(level).as_str());
    match own.parse::<Directive>() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    }
}

// === impl OwnLog ===

impl OwnLog {
    /// From now on it says what is of `level` and above, in `format`.
    pub fn reshape(&self, level: Level, format: LineFormat) {
        self.look.is_json.store(format == LineFormat::Json, Relaxed);
        let mut now = self.level.lock();
        // Every place that speaks is judged anew, so only where there is something to judge.
        if *now != level {
            *now = level;
            drop(self.filter.reload(filter_of(level))); // a log that was refused has nothing to change
        }
    }
}

/// How lines look now.
#[derive(Debug, Clone)]
struct Look {
    json: Format<Json>,
    text: Format<Full>,
    /// Relaxed: a line that is written meanwhile may look either way.
    is_json: Arc<AtomicBool>,
}

// === impl Look ===

impl Look {
    fn new(format: LineFormat) -> Self {
        Self {
            json: Format::default().json().flatten_event(true),
            text: Format::default(),
            is_json: Arc::new(AtomicBool::new(format == LineFormat::Json)),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Look
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.is_json.load(Relaxed) {
            self.json.format_event(context, writer, event)
        } else {
            self.text.format_event(context, writer, event)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn speak(number: u32) {
        tracing::debug!(target: "tidegate::test", number, "low");
        tracing::debug!(target: "a_library", number, "low");
        tracing::warn!(target: "tidegate::test", number, "high");
    }

    #[test]
    fn a_second_log_is_refused_without_a_panic() {
        init_logging(Level::INFO, LineFormat::Text);
        init_logging(Level::DEBUG, LineFormat::Json).reshape(Level::INFO, LineFormat::Text);
        assert!(tracing::dispatcher::has_been_set());
    }

    #[test]
    fn level_and_format_change_while_it_runs() {
        let page = Page::default();
        let to = page.clone();
        let (subscriber, log) =
            subscriber(Level::INFO, LineFormat::Json, move || to.clone(), false);
        tracing::subscriber::with_default(subscriber, || {
            speak(1);
            log.reshape(Level::DEBUG, LineFormat::Text);
            speak(2);
            log.reshape(Level::ERROR, LineFormat::Text);
            speak(3);
            log.reshape(Level::WARN, LineFormat::Json);
            speak(4);
        });
        let text = String::from_utf8(page.0.lock().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains(r#""number":1"#) && lines[0].contains("high"));
        assert!(
            lines[1].contains("DEBUG tidegate::test: low number=2"),
            "{text}"
        );
        assert!(
            lines[2].contains("WARN tidegate::test: high number=2"),
            "{text}"
        );
        assert!(lines[3].starts_with('{') && lines[3].contains(r#""number":4"#));
    }
}
