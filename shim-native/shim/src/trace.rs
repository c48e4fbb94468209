//! Spans of traced calls, which go back with the answer.
//!
//! A caller that traces sends W3C's `traceparent` and asks by `gantry-want-spans`; the answer's metadata then holds an
//! OTLP message, `gantry-spans-bin`. Nobody else pays: no clock is read but at a process's start and end.

use crate::proto::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use crate::proto::opentelemetry::proto::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use crate::proto::opentelemetry::proto::resource::v1::Resource;
use crate::proto::opentelemetry::proto::trace::v1::{ResourceSpans, ScopeSpans, Span, span::SpanKind};
use gantry_runtime::trace::{self, Step};
use prost::Message;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Response, Status};

const PARENT: &str = "traceparent";
const WANT: &str = "gantry-want-spans";
const SPANS: &str = "gantry-spans-bin";

/// A place in a trace: a span that others can be below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
}

thread_local! {
    /// The span of the call whose code runs.
    static CURRENT: Cell<Option<SpanContext>> = const { Cell::new(None) };
    /// So that no two spans of this process are the same.
    static NEXT: Cell<u64> = const { Cell::new(0) };
    /// What happened by itself, and waits for an answer that takes it along.
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
}

/// Most that wait.
const MAX_TOLD: usize = 64;

/// The call that is traced right now.
pub fn current() -> Option<SpanContext> {
    CURRENT.get()
}

/// `None`: not sampled, not asked for, or malformed.
pub fn asked_for(metadata: &MetadataMap) -> Option<SpanContext> {
    metadata.get(WANT)?;
    parse(metadata.get(PARENT)?.to_str().ok()?)
}

/// `version-traceid-parentid-flags` (https://www.w3.org/TR/trace-context/#traceparent-header).
fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    (version != "ff" && is_sampled).then_some(())?;
    Some(SpanContext {
        trace_id: bytes(trace)?,
        span_id: bytes(span)?,
    })
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if hex.len() != 2 * N || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    (out != [0; N]).then_some(out)
}

/// Unique among the processes of a host: pid, monotonic time, and a count.
fn new_span_id() -> [u8; 8] {
    let count = NEXT.get() + 1;
    NEXT.set(count);
    let mixed =
        (u64::from(std::process::id()) << 40) ^ trace::now_ns().rotate_left(17) ^ (count << 20) ^ count;
    (mixed | 1).to_be_bytes()
}

/// A step below a span of before.
#[derive(Clone, Debug)]
struct Told {
    parent: SpanContext,
    step: Step,
}

/// A step that no call did: the next traced call's answer takes it along.
pub fn tell(parent: SpanContext, step: Step) {
    TOLD.with_borrow_mut(|told| {
        if told.len() < MAX_TOLD {
            told.push(Told { parent, step });
        }
    });
}

/// Runs a call and puts its spans, and what was told meanwhile, into its answer.
pub async fn traced<T>(
    parent: SpanContext,
    name: &str,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<Response<T>, Status> {
    let start_ns = trace::now_ns();
    let own = SpanContext {
        trace_id: parent.trace_id,
        span_id: new_span_id(),
    };
    let (result, steps) = Recorded {
        call: Box::pin(call),
        own,
        steps: Vec::new(),
    }
    .await;
    let mut spans = TOLD.take();
    spans.extend(steps.into_iter().map(|step| Told { parent: own, step }));
    let server = Step {
        name: name.to_owned().into(),
        start_ns,
        end_ns: trace::now_ns(),
        pid: 0,
    };
    let message = message(parent, own, server, &spans);
    let value = MetadataValue::from_bytes(&message.encode_to_vec());
    match result {
        Ok(answer) => {
            let mut response = Response::new(answer);
            response.metadata_mut().insert_bin(SPANS, value);
            Ok(response)
        }
        Err(mut status) => {
            status.metadata_mut().insert_bin(SPANS, value);
            Err(status)
        }
    }
}

/// A call whose steps are recorded whenever it is its turn.
struct Recorded<F> {
    call: Pin<Box<F>>,
    own: SpanContext,
    steps: Vec<Step>,
}

impl<F: Future> Future for Recorded<F> {
    type Output = (F::Output, Vec<Step>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let outer = CURRENT.replace(Some(this.own));
        let polled = trace::record(&mut this.steps, || this.call.as_mut().poll(context));
        CURRENT.set(outer);
        polled.map(|output| (output, std::mem::take(&mut this.steps)))
    }
}

/// Spans by the process that did them: the shim's own, and those of the container's.
fn message(parent: SpanContext, own: SpanContext, server: Step, told: &[Told]) -> ExportTraceServiceRequest {
    let offset_ns = trace::wall_offset_ns();
    let mut by_pid: BTreeMap<i32, Vec<Span>> = BTreeMap::new();
    let answered = span(own.span_id, parent, &server, SpanKind::Server, offset_ns);
    by_pid.entry(0).or_default().push(answered);
    for Told { parent, step } in told {
        let span = span(new_span_id(), *parent, step, SpanKind::Internal, offset_ns);
        by_pid.entry(step.pid).or_default().push(span);
    }
    ExportTraceServiceRequest {
        resource_spans: by_pid
            .into_iter()
            .map(|(pid, spans)| of_process(pid, spans))
            .collect(),
    }
}

fn span(id: [u8; 8], parent: SpanContext, step: &Step, kind: SpanKind, offset_ns: u64) -> Span {
    Span {
        trace_id: parent.trace_id.to_vec(),
        span_id: id.to_vec(),
        parent_span_id: parent.span_id.to_vec(),
        name: step.name.to_string(),
        kind: kind.into(),
        start_time_unix_nano: step.start_ns + offset_ns,
        end_time_unix_nano: step.end_ns + offset_ns,
        flags: 1,
        ..Span::default()
    }
}

fn of_process(pid: i32, spans: Vec<Span>) -> ResourceSpans {
    let (name, pid) = match pid {
        0 => ("shim", std::process::id() as i32),
        init => ("init", init),
    };
    let attribute = |key: &str, value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    };
    let attributes = vec![
        attribute("service.name", any_value::Value::StringValue(name.to_owned())),
        attribute("process.pid", any_value::Value::IntValue(pid.into())),
    ];
    ResourceSpans {
        resource: Some(Resource {
            attributes,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "gantry".to_owned(),
                ..InstrumentationScope::default()
            }),
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_sampled_and_well_formed_parents_count() {
        assert!(parse(TEXT).is_some());
        let zero = TEXT.replace("b7ad6b7169203331", "0000000000000000");
        let short = TEXT.replace("0af7", "0af");
        for bad in [
            &TEXT.replace("-01", "-00"),
            &zero,
            &short,
            &TEXT.replace("00-0a", "ff-0a"),
            "",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_answer_holds_the_call_its_steps_and_what_is_told_of_others() {
        let parent = parse(TEXT).unwrap();
        let step = |name: &'static str, pid| Step {
            name: name.into(),
            start_ns: 1,
            end_ns: 2,
            pid,
        };
        let call = async {
            drop(trace::step("inside"));
            assert!(current().is_some());
            Ok(())
        };
        tell(parent, step("run", 7));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let response = runtime.block_on(traced(parent, "Task/Delete", call)).unwrap();
        let value = response.metadata().get_bin(SPANS).unwrap().to_bytes().unwrap();
        let message = ExportTraceServiceRequest::decode(value).unwrap();
        let [shim, init] = &message.resource_spans[..] else {
            panic!("{message:?}")
        };
        let names = |part: &ResourceSpans| -> Vec<_> {
            part.scope_spans[0]
                .spans
                .iter()
                .map(|span| span.name.clone())
                .collect()
        };
        assert_eq!(names(shim), ["Task/Delete", "inside"]);
        assert_eq!(names(init), ["run"]);
        let [server, inside] = &shim.scope_spans[0].spans[..] else {
            panic!()
        };
        assert_eq!(inside.parent_span_id, server.span_id);
        assert_eq!(server.parent_span_id, parent.span_id);
        assert!(current().is_none());
    }
}
