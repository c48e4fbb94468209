/** A root of the core's as a source, mounted only when something is asked that was not asked of it before. */
import { Readable } from 'node:stream'
import { DirectorySource } from './directory-source.ts'
import type { Entry, SourceTree } from './source-tree.ts'

/** Answers that are kept; a root has few places that builds look at. */
const mostAnswers = 10_000
/** A longer list of a directory is read again. */
const mostChildren = 1000

/** What was seen of roots. A chainID names one root for ever, so that no answer grows old. */
export class RootMemory {
  readonly #answers = new Map<string, unknown>()

  /** `find` is asked where nothing is known; what `isKept` refuses is not remembered. */
  async recall<T>(question: string, find: () => Promise<T>, isKept: (answer: T) => boolean = () => true): Promise<T> {
    const known = this.#answers.has(question)
    const answer = known ? (this.#answers.get(question) as T) : await find()
    if (isKept(answer)) this.#keep(question, answer)
    return answer
  }

  /** The least recently asked go first. */
  #keep(question: string, answer: unknown): void {
    this.#answers.delete(question)
    this.#answers.set(question, answer)
    const [oldest] = this.#answers.keys()
    if (this.#answers.size > mostAnswers && oldest !== undefined) this.#answers.delete(oldest)
  }
}

/** An inode's number is that of one mount. */
function isLasting(entry: Entry | undefined): boolean {
  return entry?.inode === undefined
}

export type OpenedView = AsyncDisposable & { readonly path: string }

export interface RootSourceOptions {
  readonly chainID: string
  readonly memory: RootMemory
  /** Mounts it, read-only. */
  open(): Promise<OpenedView>
}

/** Unmounted when it is disposed of: streams that were read from it must have ended. */
export class RootSource implements SourceTree, AsyncDisposable {
  readonly #options: RootSourceOptions
  #opened: Promise<OpenedView> | undefined

  constructor(options: RootSourceOptions) {
    this.#options = options
  }

  at(path: string): Promise<Entry | undefined> {
    return this.#ask('at', path, tree => tree.at(path), isLasting)
  }

  children(path: string): Promise<Entry[]> {
    return this.#ask(
      'children',
      path,
      tree => tree.children(path),
      children => children.length <= mostChildren && children.every(isLasting),
    )
  }

  digest(entry: Entry): Promise<string> {
    return this.#ask('digest', entry.path, tree => tree.digest(entry))
  }

  read(entry: Entry): Readable {
    const opened = this.#tree()
    // Told to who reads.
    opened.catch(() => {})
    return Readable.from(
      (async function* () {
        yield* (await opened).read(entry)
      })(),
      { objectMode: false },
    )
  }

  async bytes(entry: Entry): Promise<Buffer> {
    return (await this.#tree()).bytes(entry)
  }

  #ask<T>(what: string, path: string, find: (tree: DirectorySource) => Promise<T>, isKept?: (answer: T) => boolean) {
    const { chainID, memory } = this.#options
    return memory.recall(`${chainID} ${what} ${path}`, async () => find(await this.#tree()), isKept)
  }

  async #tree(): Promise<DirectorySource> {
    this.#opened ??= this.#options.open()
    return new DirectorySource((await this.#opened).path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined)
    await opened?.[Symbol.asyncDispose]()
  }
}
