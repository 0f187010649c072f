//! Traces over OTLP: protobuf over HTTP, in batches, from a thread of its own. What cannot be sent is dropped with a
//! warning; no meeting waits for it.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider};
use sha2::{Digest, Sha256};
use tracing::level_filters::LevelFilter;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::TelemetryError;
use crate::http;
use crate::meeting::MeetingUuid;
use crate::run::RunId;
use crate::trace::Detected;

/// How long the end of a process may wait for what is left to be sent.
const LAST: Duration = Duration::from_secs(5);

/// A collector that takes longer for a batch does not get it.
const PATIENCE: Duration = Duration::from_secs(10);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Until the process ends.
pub(super) struct Traces(SdkTracerProvider);

/// The sender, and the layer that feeds it.
pub(super) fn start<S>(collector: &Url) -> Result<(Traces, impl Layer<S> + use<S>), TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    http::install_tls();
    let fault = |error: &dyn std::fmt::Display| TelemetryError::Traces(error.to_string());
    let client =
        reqwest::blocking::Client::builder().timeout(PATIENCE).build().map_err(|error| fault(&error))?;
    let path = format!("{}/v1/traces", collector.as_str().trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_http_client(client).with_endpoint(path);
    let exporter = exporter.build().map_err(|error| fault(&error))?;
    let resource = Resource::builder()
        .with_service_name("recapture")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_id_generator(Ids(RandomIdGenerator::default()))
        .with_resource(resource.build())
        .build();
    let tracer = TRACER.get_or_init(|| provider.tracer("recapture")).clone();
    // A beginning: all of our crates are meant.
    let ours = Targets::new().with_target("recapture", LevelFilter::INFO);
    let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours);
    Ok((Traces(provider), layer))
}

impl Traces {
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

thread_local! {
    /// The ids of the trace that is begun right now.
    static BEGINS: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Ids by chance, but for the first span of a meeting.
#[derive(Debug)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        BEGINS.get().map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        BEGINS.get().map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}

/// The ids of a meeting's trace and of its first span.
fn ids(run: &RunId, meeting: &MeetingUuid) -> (TraceId, SpanId) {
    let hash: [u8; 32] = Sha256::digest(format!("{run}\n{meeting}")).into();
    let (mut trace, mut span) = ([0; 16], [0; 8]);
    trace.copy_from_slice(&hash[..16]);
    span.copy_from_slice(&hash[16..24]);
    (TraceId::from_bytes(trace), SpanId::from_bytes(span))
}

pub(crate) fn detected(detected: &Detected<'_>) {
    let Some(tracer) = TRACER.get() else { return };
    let Detected { run, meeting, verdict, listed, compared } = *detected;
    let attributes = vec![
        KeyValue::new("uuid", meeting.to_string()),
        KeyValue::new("run", run.to_string()),
        KeyValue::new("verdict", verdict.to_owned()),
    ];
    BEGINS.set(Some(ids(run, meeting)));
    let first = tracer.span_builder("detect").with_start_time(listed).with_attributes(attributes);
    let mut first = tracer.build_with_context(first, &Context::new());
    BEGINS.set(None);
    let within = Context::new().with_remote_span_context(first.span_context().clone());
    let now = SystemTime::now();
    for (name, from, to) in [("list", listed, compared), ("decide", compared, now)] {
        let step = tracer.span_builder(name).with_start_time(from);
        tracer.build_with_context(step, &within).end_with_timestamp(to);
    }
    first.end_with_timestamp(now);
}

pub(crate) fn join(span: &Span, run: &RunId, meeting: &MeetingUuid) {
    if TRACER.get().is_none() {
        return;
    }
    let (trace, first) = ids(run, meeting);
    let first = SpanContext::new(trace, first, TraceFlags::SAMPLED, true, TraceState::default());
    // Refused only if no layer knows the span, which is then in no trace.
    let _ = span.set_parent(Context::new().with_remote_span_context(first));
}
