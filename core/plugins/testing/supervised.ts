/** A supervisor of its own for a test, on directories of its own, stopped at the end whatever happened. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '#api/log/log.ts'
import type { GateLimits } from '../call-gate.ts'
import type { PluginKind, PluginSpec, PluginStatus } from '../plugins.ts'
import { createSupervisor } from '../supervisor.ts'
import type { Timing } from '../timing.ts'

export const samplePlugin = join(import.meta.dirname, 'sample-plugin.ts')
export const overlayfsMain = join(import.meta.dirname, '../../../plugins/snapshotters/overlayfs/main.ts')

/** Patience for tests: everything in fractions of a second, except what a loaded machine may need. */
export const quick: Partial<Timing> = { startMs: 20_000, backOffMs: 50, stopMs: 5_000 }

export interface LogLine {
  level: string
  message: string
  fields: Record<string, unknown>
}

/** A logger that keeps its lines. */
export function keepingLogger(lines: LogLine[], bound: Record<string, unknown> = {}): Logger {
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, message, fields: { ...bound, ...fields } })
  const child = (fields: Record<string, unknown>) => keepingLogger(lines, { ...bound, ...fields })
  return { trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child }
}

export interface SpecWish {
  kind?: PluginKind
  id: string
  argv?: readonly string[]
  address?: string
  config?: Record<string, unknown>
  /** What else is different. */
  more?: Partial<PluginSpec>
}

/** A spec of the sample plugin, unless told otherwise. */
export function spec({
  kind = 'network',
  id,
  argv = [process.execPath, samplePlugin],
  address,
  config = {},
  more = {},
}: SpecWish): PluginSpec {
  return {
    kind,
    id,
    source: address === undefined ? { argv } : { address },
    config,
    version: '',
    capabilities: [],
    ...more,
  }
}

export const overlayfs: SpecWish = { kind: 'snapshotter', id: 'overlayfs', argv: [process.execPath, overlayfsMain] }

export async function supervise(
  wishes: readonly SpecWish[],
  { timing = {}, home: given, gateLimits }: { timing?: Partial<Timing>; home?: string; gateLimits?: GateLimits } = {},
) {
  const home = given ?? (await mkdtemp(join(tmpdir(), 'gantry-sup-')))
  const lines: LogLine[] = []
  const plugins = createSupervisor({
    specs: wishes.map(spec),
    root: join(home, 'root'),
    state: join(home, 'state'),
    instance: '0123abcd',
    cgroup: `gantry-test-${process.pid}/plugins`,
    coreAddress: join(home, 'core.sock'),
    log: keepingLogger(lines),
    timing: { ...quick, ...timing },
    ...(gateLimits && { gateLimits }),
  })
  return {
    home,
    plugins,
    lines,
    row(id: string): PluginStatus {
      const found = plugins.list().find(status => status.id === id)
      if (found === undefined) throw new Error(`no plugin ${id} in the table`)
      return found
    },
    async [Symbol.asyncDispose]() {
      await plugins.stop()
      if (given === undefined) await rm(home, { recursive: true, force: true })
    },
  }
}
