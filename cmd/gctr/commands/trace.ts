/** `trace run|show|ls`. */
import { notFound } from '#api/errors/errors.ts'
import { TraceServiceDefinition } from '#api/gen/gantry/services/trace/v1/trace.ts'
import { TraceServiceDefinition as CollectorDefinition } from '#api/gen/opentelemetry/proto/collector/trace/v1/trace_service.ts'
import type { ResourceSpans } from '#api/gen/opentelemetry/proto/trace/v1/trace.ts'
import { decodeExport } from '#api/trace/otlp.ts'
import { Exit } from '../exit.ts'
import type { ContainerFlags } from '../flags.ts'
import { printRecords } from '../output/table.ts'
import { formatTime } from '../output/units.ts'
import type { Session } from '../session.ts'
import { drawTrace } from '../trace/draw.ts'
import { otlpJson } from '../trace/otlp-json.ts'
import { RecordedTrace } from '../trace/recorded-trace.ts'
import { settledTrace } from '../trace/settled-trace.ts'
import { spanTree, underOneRoot } from '../trace/span-tree.ts'
import { run as runContainer } from './run.ts'

interface TraceFlags {
  json?: boolean
}

/** The container's streams are its own: the drawing goes to stderr. Ends with the container's exit code. */
export async function run(
  session: Session,
  flags: ContainerFlags & TraceFlags,
  image: string,
  args: string[],
): Promise<void> {
  const trace = new RecordedTrace('gctr run')
  const exit = await trace.run(() => exitOf(runContainer(session, { ...flags, rm: true }, image, args)))
  const own = decodeExport(trace.end())
  await session.client(CollectorDefinition).export({ resourceSpans: own })
  const spans = await settledTrace(session, trace.traceId)
  if (flags.json) process.stdout.write(`${otlpJson(spans)}\n`)
  else process.stderr.write(`${drawing(spans, process.stderr)}\ntrace ${trace.traceId}\n`)
  if (exit !== undefined) throw exit
}

export async function show(session: Session, flags: TraceFlags, traceId: string): Promise<void> {
  const { data } = await session.client(TraceServiceDefinition).get({ traceId })
  const spans = data?.resourceSpans ?? []
  if (spans.length === 0) throw notFound(`trace "${traceId}"`)
  const text = flags.json || session.json ? otlpJson(spans) : drawing(spans, process.stdout)
  process.stdout.write(`${text}\n`)
}

export async function list(session: Session): Promise<void> {
  const { traces } = await session.client(TraceServiceDefinition).list({})
  printRecords(
    traces,
    {
      TRACE: ({ traceId }) => traceId,
      NAME: ({ name }) => name,
      BEGAN: ({ startTimeUnixNano: ns }) =>
        formatTime({ seconds: ns / 1_000_000_000n, nanos: Number(ns % 1_000_000_000n) }),
      MS: ({ durationNano }) => (Number(durationNano) / 1e6).toFixed(1),
      SPANS: ({ spanCount }) => spanCount,
    },
    session.json,
  )
}

/** How the container ended, as the command would end by it. */
async function exitOf(running: Promise<void>): Promise<Exit | undefined> {
  try {
    await running
    return undefined
  } catch (error) {
    if (error instanceof Exit) return error
    throw error
  }
}

function drawing(spans: readonly ResourceSpans[], stream: NodeJS.WriteStream): string {
  const options = {
    columns: stream.columns ?? 120,
    colours: stream.isTTY === true && process.env.NO_COLOR === undefined,
  }
  return drawTrace(underOneRoot(spanTree(spans)), options)
}
