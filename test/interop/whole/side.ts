/**
 * One daemon as `ctr` sees it: what was asked of it and what it answered goes into a transcript, from which everything
 * is taken that differs between two runs of the same daemon (times, process ids, its own folders).
 */
import assert from 'node:assert/strict'
import type { CommandOutcome } from '../../daemon/run-command.ts'
import type { Ctr } from '../ctr.ts'

export interface SideOptions {
  name: string
  ctr: Ctr
  /** For the files of the test; all that is below is called FOLDER in the transcript. */
  folder: string
  /** The runtime that containers are run by. */
  runtime: string
}

export class Side {
  readonly name: string
  readonly ctr: Ctr
  readonly folder: string
  readonly runtime: string
  #transcript: string[] = []

  constructor({ name, ctr, folder, runtime }: SideOptions) {
    this.name = name
    this.ctr = ctr
    this.folder = folder
    this.runtime = runtime
  }

  /** Standard output of a command that succeeds. */
  async ok(...args: string[]): Promise<string> {
    return (await this.#said(args, await this.ctr.outcome(args), code => code === 0)).stdout
  }

  /** As {@link ok}, with something to read. */
  async reads(stdin: string, ...args: string[]): Promise<string> {
    return (await this.#said(args, await this.ctr.outcome(args, { stdin }), code => code === 0)).stdout
  }

  /** What a command that does not succeed says on standard error. */
  async fails(...args: string[]): Promise<string> {
    const outcome = await this.#said(args, await this.ctr.outcome(args), code => code !== 0)
    assert.notEqual(outcome.code, 137, `ctr ${args.join(' ')} took too long`)
    return outcome.stderr
  }

  /** As {@link fails}, of a command that shows its progress: only the error is compared. */
  async refused(...args: string[]): Promise<string> {
    const { code, stderr } = await this.ctr.outcome(args)
    assert.notEqual(code, 0, `${this.name}: ctr ${args.join(' ')} succeeded`)
    assert.notEqual(code, 137, `ctr ${args.join(' ')} took too long`)
    this.note(`$ ctr ${args.join(' ')}: ${/^ctr: .*$/m.exec(stderr)?.[0]}`)
    return stderr
  }

  /** Whatever comes of it is compared; 137 may be a container's exit code here. */
  async tells(...args: string[]): Promise<CommandOutcome> {
    return this.#said(args, await this.ctr.outcome(args), () => true)
  }

  /** Standard output of a command whose answers are the daemon's own business; it succeeds. */
  unseen(...args: string[]): Promise<string> {
    return this.ctr.ok(...args)
  }

  /** A collection now: what a daemon has not yet let go would differ otherwise. */
  async collect(): Promise<void> {
    await this.ctr.ok('leases', 'create', '--id', 'collect')
    await this.ctr.ok('leases', 'rm', '--sync', 'collect')
  }

  /** `ctr run` in this side's runtime: flags, then the image and what follows. */
  run(flags: string[], ...rest: string[]): Promise<string> {
    return this.ok(...this.runArguments(flags, ...rest))
  }

  runArguments(flags: string[], ...rest: string[]): string[] {
    return ['run', '--fifo-dir', this.ctr.fifos, '--runtime', this.runtime, ...flags, ...rest]
  }

  /** Adds a fact of the test's own to what is compared. */
  note(fact: string): void {
    this.#transcript.push(this.normal(fact))
  }

  /** What came since the last call. */
  takeTranscript(): string[] {
    const transcript = this.#transcript
    this.#transcript = []
    return transcript
  }

  async #said(args: string[], outcome: CommandOutcome, expected: (code: number) => boolean) {
    const { code, stdout, stderr } = outcome
    this.#transcript.push(this.normal(`$ ctr ${args.join(' ')}\n${stdout}${code === 0 ? '' : stderr}[${code}]`))
    assert.ok(expected(code), `${this.name}: ctr ${args.join(' ')}: exit code ${code}: ${stderr}${stdout}`)
    return outcome
  }

  normal(text: string): string {
    const own: [RegExp, string][] = [
      [/\/\S*?\/snapshots\/\d+\/(fs|work)/g, 'SNAPSHOT/$1'],
      [new RegExp(literally(this.folder), 'g'), 'FOLDER'],
      [new RegExp(literally(this.ctr.namespace), 'g'), 'NAMESPACE'],
      [/io\.containerd\.(gantry\.v1|runc\.v2)/g, 'RUNTIME'],
      [/"NAMESPACE\/\d+\//g, '"NAMESPACE/N/'],
    ]
    const result = [...own, ...passing].reduce((result, [pattern, by]) => result.replace(pattern, by), text)
    return result.replace(labels, list => list.split(',').sort().join(','))
  }
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Labels in ctr's tables come in the order of a Go map. */
const labels = /[\w./-]+=[^\s,]*(,[\w./-]+=[^\s,]*)+/g

/** What passes: times, speeds, sizes of what was compressed, process ids. */
const passing: [RegExp, string][] = [
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?\+0000 UTC|Z|[+-]\d\d:\d\d)?/g, 'TIME'],
  [/^time="\S+" /gm, ''],
  [/elapsed: \S+ ?s?\b.*/g, 'elapsed'],
  [/\b\d+(\.\d+)?(ns|µs|ms|s)\b/g, 'DURATION'],
  [/(Less than a|\b\d+) seconds?\b/g, 'AGE'],
  [/ {2,}/g, '  '],
  [/\t+/g, '  '],
  // What a terminal shows of the end of script(1)'s own input, when it comes before the output.
  [/\^[@D][\b]*/g, ''],
]
