/** What each rule for shims works with: a daemon's folder, and containers that leave nothing behind. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { unmount } from '#api/sys/sys.ts'
import { type Process, processOf, writeBundle } from './shim-bundle.ts'
import { killAllIn, removeCgroup } from './shim-cgroups.ts'
import { EventSink } from './shim-events.ts'
import { parseAddress, type Shim, type ShimConnection, type ShimPlace, type TaskApi } from './shim-executable.ts'
import { killNamed } from './shim-leftovers.ts'
import { Input, Output } from './shim-streams.ts'

/** No answer of a shim's takes longer on a machine that is of any use. */
let soonMs = 30_000
const pollMs = 20
const namespace = 'gantry-check'

/** For whoever judges shims that are known to be broken, and need not wait for long. */
export function limitWaits(ms: number): void {
  soonMs = ms
}

/** Rejects when it takes too long; the message says what was awaited. */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = new AbortController()
  const timer = sleep(soonMs, undefined, { signal: late.signal }).then(() => {
    throw new Error(`${what}: not within ${soonMs / 1000} s`)
  })
  timer.catch(() => {})
  try {
    return await Promise.race([promise, timer])
  } finally {
    late.abort()
  }
}

/** Asks again and again. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + soonMs; !(await holds()); await sleep(pollMs))
    assert.ok(Date.now() < deadline, `${what}: not within ${soonMs / 1000} s`)
}

export function alive(pid: number): boolean {
  try {
    // A zombie is dead: whoever is its parent has only not been told yet.
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** A shim, started for one container. */
export class Subject implements AsyncDisposable {
  readonly place: ShimPlace
  readonly stdout: Output
  readonly stderr: Output
  readonly stdin: Input
  /** The shim's own messages: the daemon makes this FIFO and reads it. */
  readonly log: Output
  readonly events: EventSink
  readonly #shim: Shim
  readonly #process: Process
  #connection: ShimConnection | undefined
  shimPid = 0

  private constructor(parts: {
    place: ShimPlace
    streams: [Input, Output, Output, Output]
    events: EventSink
    shim: Shim
    process: Process
  }) {
    this.place = parts.place
    ;[this.stdin, this.stdout, this.stderr, this.log] = parts.streams
    this.events = parts.events
    this.#shim = parts.shim
    this.#process = parts.process
  }

  /** A bundle whose process is `sh -c script`, or another one; nothing runs yet. */
  static async prepare(shim: Shim, script: string, { terminal = false } = {}): Promise<Subject> {
    const folder = await mkdtemp(join(tmpdir(), 'gc-'))
    const id = `c${randomBytes(4).toString('hex')}`
    // A bundle is called by its container's id: shims look for it so.
    const place = { namespace, id, bundle: join(folder, id), daemon: join(folder, 'd') }
    const process = { args: ['sh', '-c', script], terminal }
    writeBundle(place.bundle, id, process)
    const streams: [Input, Output, Output, Output] = [
      await Input.make(folder),
      await Output.make(folder, 'stdout'),
      await Output.make(folder, 'stderr'),
      await Output.make(place.bundle, 'log'),
    ]
    return new Subject({ place, streams, events: await EventSink.open(place.daemon), shim, process })
  }

  /** With its shim started. */
  static async begin(shim: Shim, script: string, options?: { terminal?: boolean }): Promise<Subject> {
    return await Subject.#whole(shim, script, options, async subject => subject.startShim())
  }

  /** Its process created. */
  static async created(shim: Shim, script: string, options?: { terminal?: boolean }): Promise<Subject> {
    return await Subject.#whole(shim, script, options, async subject => {
      await subject.startShim()
      await subject.create()
    })
  }

  /** Its process started. */
  static async running(shim: Shim, script: string, options?: { terminal?: boolean }): Promise<Subject> {
    return await Subject.#whole(shim, script, options, async subject => {
      await subject.startShim()
      await subject.create()
      await subject.api.start({ id: subject.id })
    })
  }

  static async #whole(
    shim: Shim,
    script: string,
    options: { terminal?: boolean } | undefined,
    make: (subject: Subject) => Promise<void>,
  ): Promise<Subject> {
    await using undo = new AsyncDisposableStack()
    const subject = undo.use(await Subject.prepare(shim, script, options))
    await make(subject)
    undo.move()
    return subject
  }

  get id(): string {
    return this.place.id
  }

  get api(): TaskApi {
    if (this.#connection === undefined) throw new Error('the shim was not started')
    return this.#connection.api
  }

  async startShim(): Promise<void> {
    const { code, stdout, stderr } = await this.#shim.run('start', this.place)
    assert.equal(code, 0, `start failed: ${stderr}${stdout}`)
    const address = parseAddress(stdout.toString())
    assert.ok(address, `start answered "${stdout}", which is no address`)
    this.#connection = this.#shim.connect(address, namespace)
    const { shimPid } = await soon(this.api.connect({ id: this.id }), 'Connect')
    this.shimPid = shimPid
  }

  /** Another connection in place of this one, as a daemon makes that was restarted. */
  async reconnect(): Promise<void> {
    const { stdout } = await this.#shim.run('start', this.place)
    const address = parseAddress(stdout.toString())
    assert.ok(address)
    this.#connection?.[Symbol.dispose]()
    this.#connection = this.#shim.connect(address, namespace)
  }

  async create(): Promise<number> {
    const { bundle } = this.place
    const { terminal = false } = this.#process
    const streams = { stdin: this.stdin.path, stdout: this.stdout.path, stderr: terminal ? '' : this.stderr.path }
    const { pid } = await soon(this.api.create({ id: this.id, bundle, terminal, ...streams }), 'Create')
    return pid
  }

  /** A further process, added but not started; its output goes to `stdout`. */
  async exec(execId: string, script: string): Promise<void> {
    const value = Buffer.from(JSON.stringify(processOf({ args: ['sh', '-c', script] })))
    const spec = { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Process', value }
    await soon(this.api.exec({ id: this.id, execId, stdout: this.stdout.path, stderr: this.stderr.path, spec }), 'Exec')
  }

  /** Code of the process, once it has ended. */
  async ended(execId = ''): Promise<number> {
    return (await soon(this.api.wait({ id: this.id, execId }), 'Wait')).exitStatus
  }

  /** A file that the container made in its `/shared`. */
  shared(name: string): string | undefined {
    const path = join(this.place.bundle, 'shared', name)
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined
  }

  run(action: 'start' | 'delete') {
    return this.#shim.run(action, this.place)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection?.[Symbol.dispose]()
    killNamed(this.id)
    await this.#shim.run('delete', this.place).catch(() => {})
    killAllIn(this.id)
    for (const stream of [this.stdin, this.stdout, this.stderr, this.log]) stream.close()
    await this.events[Symbol.asyncDispose]()
    await unmount(join(this.place.bundle, 'rootfs'), { detach: true, recursive: true }).catch(() => {})
    await rm(dirname(this.place.bundle), { recursive: true, force: true })
    await removeCgroup(this.id)
  }
}
