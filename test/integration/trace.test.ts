/** A traced start, seen whole: every process has its part, nothing is without a name, and nobody records unasked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Docker } from '../clients/docker.ts'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'
import { runCommand } from '../daemon/run-command.ts'

const timeout = 180_000 * patience
const skip = process.getuid?.() === 0 ? false : 'needs root'

/** What OTLP/JSON says of a span. */
interface Span {
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
}

interface Traces {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] }
    scopeSpans: { spans: Span[] }[]
  }[]
}

interface Told extends Span {
  process: string
}

function spansOf(json: string): Told[] {
  const { resourceSpans } = JSON.parse(json) as Traces
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const name = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? ''
    return scopeSpans.flatMap(({ spans }) => spans.map(span => ({ ...span, process: name })))
  })
}

/** The processes on the way from a span up to the root, itself first. */
function lineOf(spans: readonly Told[], span: Told): string[] {
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
  return [span.process, ...(parent === undefined ? [] : lineOf(spans, parent))].filter(
    (name, index, all) => name !== all[index - 1],
  )
}

test('a run is told by every process it goes through, and all of its time has a name', { skip, timeout }, async () => {
  await using daemon = await Daemon.start()
  const image = await daemon.importBusybox()

  await daemon.run('run', '--rm', image, 'true')
  assert.deepEqual(JSON.parse((await daemon.run('--format', 'json', 'trace', 'ls')).stdout), [])

  const { code, stdout, stderr } = await daemon.run('trace', 'run', '--json', image, 'sh', '-c', 'echo hello; exit 3')
  assert.equal(code, 3, stderr)
  const [output, json = ''] = stdout.split('\n')
  assert.equal(output, 'hello')
  const spans = spansOf(json)

  const roots = spans.filter(({ parentSpanId }) => parentSpanId === '')
  assert.deepEqual(
    roots.map(({ process, name }) => `${process}: ${name}`),
    ['gctr: gctr run'],
  )
  const ids = new Set(spans.map(({ spanId }) => spanId))
  assert.equal(ids.size, spans.length)
  assert.deepEqual(
    spans.filter(({ parentSpanId }) => parentSpanId !== '' && !ids.has(parentSpanId)),
    [],
  )

  const where = (name: string, process: string) => {
    const span = spans.find(candidate => candidate.name === name && candidate.process === process)
    assert.ok(span, `${process} tells no "${name}": ${spans.map(s => `${s.process}: ${s.name}`).join(', ')}`)
    assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano))
    return lineOf(spans, span).join(' < ')
  }
  assert.equal(where('record the container', 'gantryd'), 'gantryd < gctr')
  assert.equal(where('make the network namespace', 'gantryd'), 'gantryd < gctr')
  assert.equal(where('make the snapshot', 'snapshotter/overlayfs'), 'snapshotter/overlayfs < gantryd < gctr')
  assert.equal(where('plug in the link', 'network/bridge'), 'network/bridge < gantryd < gctr')
  assert.equal(where('make the cgroup', 'shim'), 'shim < gantryd < gctr')
  assert.equal(where('mount, make devices', 'init'), 'init < shim < gantryd < gctr')
  assert.equal(where('execute the program', 'shim'), 'shim < gantryd < gctr')
  assert.equal(where('run the program', 'init'), 'init < shim < gantryd < gctr')
  assert.equal(where('what follows the exit', 'gantryd'), 'gantryd < gctr')
  // A commit of the store, wherever it happened.
  assert.equal(where('commit to the store', 'snapshotter/overlayfs'), 'snapshotter/overlayfs < gantryd < gctr')

  const shown = await daemon.run('trace', 'show', roots[0]?.traceId ?? '')
  const [, share = '0'] = /^named: ([\d.]+)% of /m.exec(shown.stdout) ?? []
  assert.ok(Number(share) >= 95, shown.stdout)
})

test("a request of Docker's clients that brings a traceparent is traced through the gateway", {
  skip,
  timeout,
}, async () => {
  await using docker = await Docker.start()
  const { daemon } = docker
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const ask = (...headers: string[]) =>
    runCommand(['curl', '-sf', '--unix-socket', docker.socket, ...headers, 'http://d/v1.41/containers/json'])
  await ask()
  await ask('-H', `traceparent: 00-${traceId}-00f067aa0ba902b7-00`)
  const unknown = await daemon.run('trace', 'show', traceId)
  assert.deepEqual([unknown.code, unknown.stderr], [1, `gctr: trace "${traceId}": not found\n`])
  const malformed = await daemon.run('trace', 'show', 'abc')
  assert.match(malformed.stderr, /trace id "abc" is not 32 hexadecimal digits/)

  await ask('-H', `traceparent: 00-${traceId}-00f067aa0ba902b7-01`)
  // The gateway hands its part in behind its answer.
  const deadline = Date.now() + 20_000 * patience
  for (;;) {
    const { code, stdout, stderr } = await daemon.run('trace', 'show', '--json', traceId)
    const spans = code === 0 ? spansOf(stdout) : []
    const route = spans.find(({ parentSpanId }) => parentSpanId === '00f067aa0ba902b7')
    if (route !== undefined) {
      assert.deepEqual([route.process, route.name], ['gateway/docker', 'GET /containers/json'])
      const core = spans.find(({ process }) => process === 'gantryd')
      assert.ok(core, stdout)
      assert.deepEqual(lineOf(spans, core), ['gantryd', 'gateway/docker'])
      return
    }
    assert.ok(Date.now() < deadline, `${stdout}${stderr}\n${daemon.log}`)
    await sleep(50)
  }
})
