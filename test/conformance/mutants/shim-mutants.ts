/** Shims that are right but for one thing: ours behind an executable or a Task service with one answer changed. */
import { isGantryError } from '#api/errors/errors.ts'
import { RuntimeInfo } from '#api/gen/containerd/types/introspection.ts'
import { Status } from '#api/gen/containerd/types/task/task.ts'
import type { SpawnResult } from '#api/sys/types.ts'
import { parseAddress, type Shim, type TaskApi } from '#sdk/check/shim/shim-executable.ts'

export type ShimMutants = Readonly<Record<string, (right: Shim) => Shim>>

const later = { seconds: 1n, nanos: 0 }

/** With some verbs of the Task service replaced. */
const tasks =
  (change: (right: TaskApi) => Partial<TaskApi>) =>
  (right: Shim): Shim => ({
    ...right,
    connect(address, namespace) {
      const connection = right.connect(address, namespace)
      const api = { ...connection.api, ...change(connection.api) }
      return { api, [Symbol.dispose]: () => connection[Symbol.dispose]() }
    },
  })

/** With what `start` or `delete` answers replaced. */
const running =
  (action: 'start' | 'delete', change: (result: SpawnResult) => SpawnResult) =>
  (right: Shim): Shim => ({
    ...right,
    run: async (asked, place) => {
      const result = await right.run(asked, place)
      return asked === action ? change(result) : result
    },
  })

async function despite<T>(code: string, call: Promise<T>, instead: T): Promise<T> {
  try {
    return await call
  } catch (error) {
    if (!isGantryError(error) || error.code !== code) throw error
    return instead
  }
}

const executable: ShimMutants = {
  'start answers more than an address': running('start', result => ({
    ...result,
    stdout: Buffer.from(`starting\n${result.stdout}`),
  })),
  'start answers an address where nobody is': running('start', result => ({
    ...result,
    stdout: Buffer.from(`unix:///run/gantry-nobody-${process.pid}`),
  })),
  'start fails after it has started': running('start', result => ({ ...result, code: 1 })),
  'start claims another version': running('start', result => {
    const address = parseAddress(result.stdout.toString())
    return { ...result, stdout: Buffer.from(JSON.stringify({ ...address, version: 9, protocol: 'http' })) }
  }),
  'delete does nothing': right => ({
    ...right,
    run: async (action, place) =>
      action === 'start'
        ? await right.run(action, place)
        : { pid: 1, code: 0, signal: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) },
  }),
  'delete does not say how it ended': running('delete', result => ({ ...result, stdout: Buffer.alloc(0) })),
  'delete fails': running('delete', result => ({ ...result, code: 1 })),
  'a second delete fails': right => {
    const done = new Set<string>()
    return {
      ...right,
      run: async (action, place) => {
        const result = await right.run(action, place)
        const again = action === 'delete' && done.has(place.id)
        if (action === 'delete') done.add(place.id)
        return again ? { ...result, code: 1 } : result
      },
    }
  },
  '-v says nothing': right => ({
    ...right,
    ask: async flag =>
      flag === '-v' ? { ...(await right.ask(flag)), stdout: Buffer.alloc(0) } : await right.ask(flag),
  }),
  '-info names no runtime': right => ({
    ...right,
    ask: async flag => {
      const result = await right.ask(flag)
      if (flag === '-v') return result
      const info = { ...RuntimeInfo.decode(result.stdout), name: '' }
      return { ...result, stdout: Buffer.from(RuntimeInfo.encode(info).finish()) }
    },
  }),
}

const states: ShimMutants = {
  'Create starts it': tasks(s => ({
    create: async (request, options) => {
      const answer = await s.create(request, options)
      await s.start({ id: request.id ?? '' })
      return answer
    },
    start: async request => (request.execId ? await s.start(request) : { pid: (await s.state(request)).pid }),
  })),
  'Create answers no pid': tasks(s => ({ create: async request => ({ ...(await s.create(request)), pid: 0 }) })),
  'a container is created twice': tasks(s => ({
    create: async request => {
      const { pid } = await s.state({ id: request.id ?? '' }).catch(() => ({ pid: 0 }))
      return pid === 0 ? await s.create(request) : { pid }
    },
  })),
  'a second Start is fine': tasks(s => ({
    start: async request => {
      try {
        return await s.start(request)
      } catch (error) {
        if (isGantryError(error, 'NOT_FOUND')) throw error
        return { pid: 1 }
      }
    },
  })),
  'Start answers another pid': tasks(s => ({
    start: async request => ({ pid: (await s.start(request)).pid + 1 }),
  })),
  'Connect knows no task': tasks(s => ({ connect: async request => ({ ...(await s.connect(request)), taskPid: 0 }) })),
  'everything always runs': tasks(s => ({
    state: async request => ({ ...(await s.state(request)), status: Status.RUNNING }),
  })),
  'State forgets the exit status': tasks(s => ({
    state: async request => ({ ...(await s.state(request)), exitStatus: 0 }),
  })),
  'State forgets the streams': tasks(s => ({
    state: async request => ({ ...(await s.state(request)), stdout: '', stdin: '' }),
  })),
  'State of nobody is stopped': tasks(s => ({
    state: async request => {
      const nobody = { ...(await s.state({ id: request.id ?? '' }).catch(() => undefined)), status: Status.STOPPED }
      return await despite('NOT_FOUND', s.state(request), nobody as Awaited<ReturnType<TaskApi['state']>>)
    },
  })),
  'Wait answers at once': tasks(() => ({ wait: async () => ({ exitStatus: 0, exitedAt: later }) })),
  'Wait always says zero': tasks(s => ({ wait: async request => ({ ...(await s.wait(request)), exitStatus: 0 }) })),
  'Wait says no time': tasks(s => ({ wait: async request => ({ ...(await s.wait(request)), exitedAt: later }) })),
  'a signal is told without 128': tasks(s => ({
    wait: async request => {
      const answer = await s.wait(request)
      return { ...answer, exitStatus: answer.exitStatus & 0x7f }
    },
  })),
}

const verbs: ShimMutants = {
  'Kill sends SIGKILL, whatever was asked': tasks(s => ({ kill: request => s.kill({ ...request, signal: 9 }) })),
  'Kill of a further process kills the first': tasks(s => ({ kill: request => s.kill({ ...request, execId: '' }) })),
  'Kill does nothing': tasks(() => ({ kill: async () => ({}) })),
  'Kill of nobody is fine': tasks(s => ({ kill: request => despite('NOT_FOUND', s.kill(request), {}) })),
  'Delete kills what runs': tasks(s => ({
    delete: async request => {
      await s.kill({ id: request.id ?? '', execId: request.execId ?? '', signal: 9 }).catch(() => {})
      await s.wait(request)
      return await s.delete(request)
    },
  })),
  'Delete forgets how it ended': tasks(s => ({
    delete: async request => ({ ...(await s.delete(request)), exitStatus: 0 }),
  })),
  'Delete does nothing': tasks(s => ({
    delete: async request => {
      const { pid, exitStatus, exitedAt } = await s.state(request)
      return { pid, exitStatus, exitedAt }
    },
  })),
  'an exec id is taken twice': tasks(s => ({ exec: request => despite('ALREADY_EXISTS', s.exec(request), {}) })),
  'Exec runs at once': tasks(s => ({
    exec: async request => {
      const answer = await s.exec(request)
      await s.start({ id: request.id ?? '', execId: request.execId ?? '' })
      return answer
    },
  })),
  'Pids names the first process alone': tasks(s => ({
    pids: async request => ({ processes: (await s.pids(request)).processes.slice(0, 1) }),
  })),
  'Pause does nothing': tasks(() => ({ pause: async () => ({}) })),
  'Resume does nothing': tasks(() => ({ resume: async () => ({}) })),
  'Stats answers nothing': tasks(() => ({ stats: async () => ({}) })),
  'CloseIO does nothing': tasks(() => ({ closeIO: async () => ({}) })),
  'ResizePty does nothing': tasks(() => ({ resizePty: async () => ({}) })),
  'ResizePty mixes up rows and columns': tasks(s => ({
    resizePty: ({ width = 0, height = 0, ...rest }) => s.resizePty({ ...rest, width: height, height: width }),
  })),
  'standard error goes to standard output': tasks(s => ({
    create: request => s.create({ ...request, stderr: request.stdout ?? '' }),
  })),
  'standard input is not connected': tasks(s => ({ create: request => s.create({ ...request, stdin: '' }) })),
  'Shutdown does nothing': tasks(() => ({ shutdown: async () => ({}) })),
  'Shutdown ends it with a container': tasks(s => ({
    shutdown: async request => {
      const { shimPid } = await s.connect({ id: request.id ?? '' })
      process.kill(shimPid, 'SIGKILL')
      return {}
    },
  })),
}

/** The daemon's socket is another one for the shim than the one that listens: its events reach nobody. */
const deaf: ShimMutants = {
  'events are not sent': right => ({
    ...right,
    run: (action, place) => right.run(action, { ...place, daemon: `${place.daemon}-elsewhere` }),
  }),
  'events are sent in another namespace': right => ({
    ...right,
    run: (action, place) => right.run(action, { ...place, namespace: 'elsewhere' }),
  }),
}

export const shimMutants: ShimMutants = { ...executable, ...states, ...verbs, ...deaf }
