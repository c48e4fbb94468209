/** Standard streams as a shim's clients make them: FIFOs, kept open by their maker. */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { mknod } from '#api/sys/sys.ts'

const fifo = 0o010600

/** What came out of one FIFO so far, and what still will. */
export class Output {
  readonly path: string
  #text = ''
  #wake: () => void = () => {}
  readonly #socket: Socket

  private constructor(path: string) {
    this.path = path
    // Both ends, without waiting: opening it never holds up whoever comes next.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    this.#socket = new Socket({ fd, readable: true, writable: false })
    this.#socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1')
      this.#wake()
    })
  }

  static async make(folder: string, name: string): Promise<Output> {
    const path = join(folder, name)
    await mknod(path, fifo)
    return new Output(path)
  }

  get text(): string {
    return this.#text
  }

  /** Resolves when it holds what is wanted; the caller's deadline is the only one. */
  async until(holds: (text: string) => boolean): Promise<string> {
    while (!holds(this.#text))
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    return this.#text
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** The writing end of standard input. */
export class Input {
  readonly path: string
  #fd: number | undefined

  private constructor(path: string) {
    this.path = path
    this.#fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  }

  static async make(folder: string): Promise<Input> {
    const path = join(folder, 'stdin')
    await mknod(path, fifo)
    return new Input(path)
  }

  write(text: string): void {
    if (this.#fd !== undefined) writeSync(this.#fd, text)
  }

  /** Of our end alone: the shim has one too, which CloseIO is for. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}
