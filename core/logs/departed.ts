/** Logs whose containers are gone, below one folder: `<folder>/<random>/` is what was the container's. */
import { randomUUID } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { messageOf } from '#api/errors/errors.ts'
import { Source, State } from '#api/gen/gantry/services/logs/v1/logs.ts'
import type { Logger } from '#api/log/log.ts'

/** How long a departed log waits for its followers. */
const keptMs = 10 * 60 * 1000

interface Departed {
  readonly directory: string
  readonly source: Source
  readonly waiting: Set<string>
  readonly expiry: NodeJS.Timeout
}

/** Beside the log; while the container is still there, what is to be when it is gone. */
const recordName = 'departed.json'

export class DepartedLogs implements Disposable {
  readonly #folder: string
  readonly #logger: Logger
  readonly #kept = new Map<string, Departed>()

  constructor(folder: string, logger: Logger) {
    this.#folder = folder
    this.#logger = logger
  }

  /** Takes up what an earlier daemon kept; what it had just let go of goes. */
  async open(): Promise<void> {
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const directory = join(this.#folder, name)
      try {
        const { source, waiting } = await readRecord(directory)
        this.#keep(directory, Source.decode(Buffer.from(source, 'base64')), waiting)
      } catch (error) {
        this.#logger.warn({ directory, error: messageOf(error) }, 'a departed log without its record goes')
        await rm(directory, { recursive: true, force: true })
      }
    }
  }

  /**
   * Notes in a container's directory what is to become of it once the container is gone: moved aside until all of
   * `waiting` are done, or removed when there is nobody to wait for. A container without a directory: nothing.
   */
  async announce(directory: string, source: Source | undefined, waiting: readonly string[]): Promise<void> {
    const aside = join(this.#folder, randomUUID())
    const departed = source && { ...source, state: State.STATE_DEPARTED, file: join(aside, basename(source.file)) }
    const record: DepartedRecord = {
      source: Buffer.from(departed ? Source.encode(departed).finish() : '').toString('base64'),
      waiting: departed ? waiting : [],
    }
    const file = join(directory, recordName)
    await writeFile(`${file}.new`, JSON.stringify(record)).catch(unlessNoSuchFile)
    await rename(`${file}.new`, file).catch(unlessNoSuchFile)
  }

  /** Does what was announced; nothing where nothing was. Answers a log that is kept, as it is to be told of. */
  async depart(directory: string): Promise<Source | undefined> {
    const record = await readRecord(directory).catch(unlessNoSuchFile)
    if (!record) return undefined
    if (record.waiting.length === 0) {
      await rm(directory, { recursive: true, force: true })
      return undefined
    }
    const source = Source.decode(Buffer.from(record.source, 'base64'))
    const aside = dirname(source.file)
    await rename(directory, aside)
    this.#keep(aside, source, record.waiting)
    return source
  }

  async done(follower: string, file: string): Promise<void> {
    const departed = this.#kept.get(dirname(file))
    departed?.waiting.delete(follower)
    if (departed?.waiting.size === 0) await this.#remove(departed)
  }

  /** As it is kept here, whatever else a message about it says. Undefined: it is not, or not any more. */
  known({ file }: Source): Source | undefined {
    return this.#kept.get(dirname(file))?.source
  }

  waitingFor(follower: string): Source[] {
    return [...this.#kept.values()].filter(({ waiting }) => waiting.has(follower)).map(({ source }) => source)
  }

  [Symbol.dispose](): void {
    for (const { expiry } of this.#kept.values()) clearTimeout(expiry)
  }

  #keep(directory: string, source: Source, waiting: readonly string[]): void {
    const expiry = setTimeout(() => this.#expire(directory), keptMs)
    expiry.unref()
    this.#kept.set(directory, { directory, source, waiting: new Set(waiting), expiry })
  }

  #expire(directory: string): void {
    const departed = this.#kept.get(directory)
    if (!departed) return
    const { source, waiting } = departed
    this.#logger.warn(
      { ns: source.namespace, id: source.container, waiting: [...waiting] },
      'the log of a removed container goes, though it was not read to its end',
    )
    this.#remove(departed).catch(error => this.#logger.error({ directory, error: messageOf(error) }, 'departed log'))
  }

  async #remove({ directory, expiry }: Departed): Promise<void> {
    clearTimeout(expiry)
    this.#kept.delete(directory)
    await rm(directory, { recursive: true, force: true })
  }
}

async function readRecord(directory: string): Promise<DepartedRecord> {
  return JSON.parse(await readFile(join(directory, recordName), 'utf8'))
}

function unlessNoSuchFile(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

interface DepartedRecord {
  /** Where it is kept, in base64. */
  readonly source: string
  readonly waiting: readonly string[]
}
