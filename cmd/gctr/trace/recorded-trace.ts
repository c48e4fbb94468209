/** A trace that begins in this command. */

import { monotonicNs } from '#api/trace/clock.ts'
import { CollectedSpans } from '#api/trace/collected-spans.ts'
import { exportRequest } from '#api/trace/otlp.ts'
import { type OpenRequest, openRequest, spanKind, stepSince } from '#api/trace/spans.ts'

/** A root span from the start of this process on, and what came before it was asked for as its first steps. */
export class RecordedTrace {
  readonly #spans = new CollectedSpans()
  readonly #request: OpenRequest

  constructor(name: string) {
    const startNs = processStartNs()
    this.#request = openRequest({ name, kind: spanKind.internal, sink: this.#spans, startNs })
    const bootedNs = startNs + BigInt(Math.round(performance.nodeTiming.bootstrapComplete * 1e6))
    this.#request.run(() => {
      stepSince('start Node', startNs, bootedNs)
      stepSince('load gctr', bootedNs)
    })
  }

  get traceId(): string {
    return this.#request.scope.traceId
  }

  run<T>(work: () => T): T {
    return this.#request.run(work)
  }

  /** Ends the root; the spans of this process as an OTLP message. */
  end(): Buffer {
    this.#request.end()
    const { own, foreign } = this.#spans.take()
    return Buffer.concat([exportRequest({ name: 'gctr', pid: process.pid }, own), ...foreign])
  }
}

function processStartNs(): bigint {
  return monotonicNs() - BigInt(Math.round(performance.now() * 1e6))
}
