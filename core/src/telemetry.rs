//! Logs: on stderr, as text for people or JSON for machines; stdout belongs to results. And, with the feature `otlp`, the
//! traces of meetings ([`crate::trace`]), sent to `telemetry.otlp_url`.
//!
//! The level of logs can be changed while a process runs ([`Telemetry::on_hangup`]); what goes into traces does not
//! follow it.

#[cfg(feature = "otlp")]
pub(crate) mod otlp;

use std::io::IsTerminal;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{Subscriber, info, warn};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{Config, LogFormat};

/// Libraries below this are of no use to an operator; `log.level` may name them to turn them up.
const QUIET: &str = "hyper=warn,hyper_util=warn,h2=warn,reqwest=warn,rustls=warn,sqlx=warn,apalis_core=warn,opentelemetry=warn,opentelemetry_sdk=warn";

/// Why a process cannot tell what it does.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(
        "telemetry.otlp_url is set, and this program was made without traces; make it with `--features otlp`, or leave the key out"
    )]
    NoTraces,
    #[error("telemetry.otlp_url: {0}")]
    Traces(String),
}

/// What a process tells of itself, until [`Telemetry::end`].
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    #[cfg(feature = "otlp")]
    traces: Option<otlp::Traces>,
}

/// Starts logging at `level`: `info`, or directives such as `recapture_core::zoom=debug,info`. Called once, outside of
/// the runtime.
pub fn start<W>(config: &Config, level: &str, writer: W) -> Result<Telemetry, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(level));
    let logs = lines(config.log.format, writer).with_filter(filter);
    #[cfg(feature = "otlp")]
    let (traces, spans) = config.telemetry.otlp_url.as_ref().map(otlp::start).transpose()?.unzip();
    #[cfg(not(feature = "otlp"))]
    let spans = match &config.telemetry.otlp_url {
        Some(_) => return Err(TelemetryError::NoTraces),
        None => tracing_subscriber::layer::Identity::new(),
    };
    // A second start (tests in one process) keeps the first one's settings.
    let _ = tracing_subscriber::registry().with(logs).with(spans).try_init();
    Ok(Telemetry {
        filter: handle,
        #[cfg(feature = "otlp")]
        traces,
    })
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(format!("{QUIET},{level}"))
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        // The list of spans holds the current one.
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text => layer.with_target(false).with_ansi(may_colour()).boxed(),
    }
}

/// Colours are for people at a terminal who want them: <https://no-color.org>.
fn may_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Telemetry {
    /// Reads the level anew at each SIGHUP, as long as the process lives. A configuration that cannot be read changes
    /// nothing. Must be called inside the runtime.
    pub fn on_hangup(
        &self,
        level: impl Fn() -> Result<String, String> + Send + 'static,
    ) -> std::io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let handle = self.filter.clone();
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                match level() {
                    Ok(level) => match handle.reload(filter(&level)) {
                        Ok(()) => info!(level, "log.level was read anew"),
                        Err(error) => warn!(%error, "log.level could not be changed"),
                    },
                    Err(fault) => {
                        warn!(fault, "the configuration cannot be read; log.level stays what it is");
                    }
                }
            }
        });
        Ok(())
    }

    /// Sends what is left of the traces. Called outside of the runtime, at the end of the process.
    pub fn end(self) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.traces {
            traces.end();
        }
    }
}
