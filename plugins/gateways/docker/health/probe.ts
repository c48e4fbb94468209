/** One health probe: a process in the container, its exit code and what it says, within a time. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#api/errors/errors.ts'
import type { KnownRecord } from '../containers/known-containers.ts'
import type { HealthProbe } from '../containers/record.ts'
import type { Found } from '../containers/store.ts'
import type { Core } from '../core-client/core.ts'
import { execSchema } from '../exec/body.ts'
import { execProcess, specProcess } from '../exec/exec-process.ts'
import { openShimStream } from '../streams/shim-stream.ts'
import { addressOf, parseNetworkProbe, runNetworkProbe } from './network-probe.ts'

/** Docker keeps so much of what a probe says. */
const maxOutputBytes = 4096
const SIGKILL = 9
/** Docker's exit code of a probe that could not be run, or took too long. */
const failedCode = -1

/** Undefined: the container has no probe of its own. Of a probe by the engine it is its address alone. */
export function probeCommand({
  config,
}: {
  config: Pick<KnownRecord['config'], 'Healthcheck' | 'Shell'>
}): string[] | undefined {
  const [kind, ...words] = config.Healthcheck?.Test ?? []
  if (kind === 'CMD') return words
  if (kind === 'CMD-SHELL') return [...(config.Shell ?? ['/bin/sh', '-c']), words[0] ?? '']
  return undefined
}

/** Never throws: what goes wrong is a failed probe. */
export async function probe(core: Core, found: Found, command: string[], timeoutMs: number): Promise<HealthProbe> {
  const start = new Date().toISOString()
  const byEngine = parseNetworkProbe(found.record.config.Healthcheck?.Test ?? [])
  const outcome = byEngine
    ? runNetworkProbe(byEngine, await addressNow(core, found), timeoutMs)
    : run(core, found, command, timeoutMs)
  const { exitCode, output } = await outcome.catch(error => ({
    exitCode: failedCode,
    output: messageOf(error),
  }))
  return { Start: start, End: new Date().toISOString(), ExitCode: exitCode, Output: output }
}

/** It may have joined another network since it was started. */
async function addressNow(core: Core, { id, record }: Found): Promise<string> {
  return addressOf({ core: await core.containers.inspect({ id }), record })
}

interface Outcome {
  exitCode: number
  output: string
}

async function run(core: Core, { id, record }: Found, command: string[], timeoutMs: number): Promise<Outcome> {
  const target = { containerId: id, execId: `health-${randomBytes(8).toString('hex')}` }
  const [{ container }, { paths }] = await Promise.all([
    core.records.get({ id }),
    core.containers.inspect({ id, execId: target.execId }),
  ])
  const wish = execSchema.parse({ Cmd: command, User: record.config.User, Env: record.config.Env })
  await core.tasks.exec({
    ...target,
    terminal: false,
    spec: execProcess(specProcess(container?.spec), wish),
  })
  try {
    const { ended } = await collect(core, target, paths?.attachSocket ?? '')
    const late = Symbol('late')
    const outcome = await Promise.race([ended, sleep(timeoutMs, late, { ref: false })])
    if (outcome !== late) return outcome as Outcome
    await core.tasks.kill({ ...target, signal: SIGKILL }).catch(() => {})
    await ended
    return { exitCode: failedCode, output: `Health check exceeded timeout (${timeoutMs / 1000}s)` }
  } finally {
    await core.tasks.deleteProcess(target).catch(() => {})
  }
}

/** Starts it; the answer's promise settles at its end. */
async function collect(
  core: Core,
  target: { containerId: string; execId: string },
  socket: string,
): Promise<{ ended: Promise<Outcome> }> {
  const stream = await openShimStream(socket, { stdin: false, stdout: true, stderr: true, replay: false })
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  let output = Buffer.alloc(0)
  stream.deliver({
    output(_, payload) {
      if (output.length < maxOutputBytes) output = Buffer.concat([output, payload])
      return true
    },
    end: exitCode => resolve({ exitCode: exitCode ?? failedCode, output: output.toString('utf8', 0, maxOutputBytes) }),
  })
  try {
    await core.tasks.start(target)
  } catch (error) {
    stream.close()
    throw error
  }
  return { ended: promise }
}
