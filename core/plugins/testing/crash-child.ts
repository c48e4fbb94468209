/** One verb of an administrator in a process that dies at one of its steps; crash.test.ts runs it. Prints the steps. */
import { writeSync } from 'node:fs'
import { administered } from './administered.ts'

/** The plugin that is changed. */
export const name = { kind: 'network', id: 'paper' } as const

export interface CrashOrder {
  home: string
  cgroup: string
  /** Folders of its two versions. */
  versions: readonly [first: string, second: string]
  verb: Verb
  /** Number of the step to die at; -1: none. */
  at: number
}

type Parts = Awaited<ReturnType<typeof administered>>
type Versions = CrashOrder['versions']

export const config = { network: true, children: 1 }

/** What is done before, by another gantryd, and then the verb. */
export const verbs = {
  add: { before: async () => {}, verb: (p: Parts, [first]: Versions) => p.administration.add(first, { config }) },
  disable: { before: add, verb: (p: Parts) => p.administration.disable(name) },
  enable: { before: disabled, verb: (p: Parts) => p.administration.enable(name) },
  upgrade: {
    before: add,
    verb: (p: Parts, [, second]: Versions) => p.administration.upgrade(undefined, { path: second }),
  },
  rollback: { before: upgraded, verb: (p: Parts) => p.administration.rollback(name) },
  remove: { before: upgraded, verb: (p: Parts) => p.administration.remove(name) },
  purge: { before: upgraded, verb: (p: Parts) => p.administration.remove(name, { purge: true }) },
} satisfies Record<string, { before: Work; verb: Work }>

type Work = (parts: Parts, versions: Versions) => Promise<unknown>
export type Verb = keyof typeof verbs

async function add({ administration }: Parts, [first]: Versions): Promise<void> {
  await administration.add(first, { config })
}

async function disabled(parts: Parts, versions: Versions): Promise<void> {
  await add(parts, versions)
  await parts.administration.disable(name)
}

async function upgraded(parts: Parts, versions: Versions): Promise<void> {
  await add(parts, versions)
  await parts.administration.upgrade(undefined, { path: versions[1] })
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? '') as CrashOrder)

async function run({ home, cgroup, versions, verb, at }: CrashOrder): Promise<void> {
  let armed = false
  let passed = 0
  const step = (named: string) => {
    if (!armed) return
    writeSync(1, `${named}\n`)
    if (passed++ === at) process.kill(process.pid, 'SIGKILL')
  }
  const parts = await administered({ home, cgroup, step })
  if (parts.supervisor.list().some(({ state }) => state === 'idle')) await parts.supervisor.network(name.id).status({})
  armed = true
  await verbs[verb].verb(parts, versions)
  step('answered')
  armed = false
  await parts[Symbol.asyncDispose]()
}
