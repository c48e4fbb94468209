import { setTimeout as sleep } from 'node:timers/promises'
import { TraceServiceDefinition } from '#api/gen/gantry/services/trace/v1/trace.ts'
import type { ResourceSpans } from '#api/gen/opentelemetry/proto/trace/v1/trace.ts'
import type { Session } from '../session.ts'
import { descend, spanTree } from './span-tree.ts'

const pauseMs = 50
const attempts = 20

/** The spans of a trace when no parent is missing any more: a span that is still under way comes after its children. */
export async function settledTrace(session: Session, traceId: string): Promise<ResourceSpans[]> {
  const traces = session.client(TraceServiceDefinition)
  let count = -1
  for (let attempt = 0; ; attempt++) {
    const { data } = await traces.get({ traceId })
    const spans = data?.resourceSpans ?? []
    const roots = spanTree(spans)
    const now = roots.reduce((sum, root) => sum + [...descend(root)].length, 0)
    if ((roots.length === 1 && now === count) || attempt === attempts) return spans
    count = now
    await sleep(pauseMs)
  }
}
