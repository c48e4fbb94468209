/**
 * The process that dies: opens a snapshotter on a root, calls one verb, and kills itself at one of the steps on the way.
 * Arguments: a {@link CrashOrder} as JSON. Writes the name of each step it comes by to stdout.
 */
import { writeSync } from 'node:fs'
import { openSnapshotter, type SnapshotterPlugin } from '../define-snapshotter.ts'
import type { Snapshotter } from '../snapshotter.ts'

export interface CrashOrder {
  /** Module URL and the name of the plugin it exports. */
  module: string
  plugin: string
  root: string
  verb: Verb
  /** Number of the step to die at, counted from 0, or its name. */
  at: number | string
  /** Milliseconds from the step to death; what it starts goes on meanwhile. Default 0: on the spot. */
  delayMs?: number
}

export const verbs = {
  prepare: (s: Snapshotter) => s.prepare('new', 'top'),
  'prepare on nothing': (s: Snapshotter) => s.prepare('new', ''),
  view: (s: Snapshotter) => s.view('new', 'top'),
  'view of nothing': (s: Snapshotter) => s.view('new', ''),
  commit: (s: Snapshotter) => s.commit('new', 'active'),
  remove: async (s: Snapshotter) => {
    await s.remove('active')
    await s.cleanup()
  },
  'remove a layer': async (s: Snapshotter) => {
    await s.remove('leaf')
    await s.cleanup()
  },
} satisfies Record<string, (s: Snapshotter) => Promise<unknown>>

export type Verb = keyof typeof verbs

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? '') as CrashOrder)

async function run({ module, plugin, root, verb, at, delayMs = 0 }: CrashOrder): Promise<void> {
  let passed = 0
  const step = (name: string) => {
    writeSync(1, `${name}\n`)
    if (passed++ !== at && name !== at) return
    if (delayMs === 0) process.kill(process.pid, 'SIGKILL')
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), delayMs)
  }
  const exported = (await import(module)) as Record<string, SnapshotterPlugin<unknown>>
  const definition = exported[plugin]
  if (definition === undefined) throw new Error(`${module} exports no "${plugin}"`)
  const snapshotter = await openSnapshotter(definition, { root, step })
  await verbs[verb](snapshotter)
  await snapshotter.close()
}
