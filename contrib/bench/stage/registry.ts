/** Debian's registry for each side, on the loopback of its network; all of them serve one storage. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../../../test/daemon/patience.ts'
import { runCommand } from '../../../test/daemon/run-command.ts'
import type { PrivateHost } from './private-host.ts'

/** The same everywhere: names of images are then the same for everyone. */
export const registry = '127.0.0.1:5000'
/** Another, whose storage is emptied before each push. */
export const pushRegistry = '127.0.0.1:5001'

export class Registry implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** `storage` may be served by several at once: blobs are files that come by rename. */
  static async serve(storage: string, host: PrivateHost, address = registry): Promise<Registry> {
    const config = `${storage}.yml`
    await writeFile(config, configuration(storage, address))
    const [file = '', ...args] = host.enter(['docker-registry', 'serve', config])
    const child = spawn(file, args, { stdio: 'ignore' })
    child.on('error', () => {})
    const ping = host.enter(['curl', '-sf', '--max-time', '5', `http://${address}/v2/`])
    for (const deadline = Date.now() + 20_000 * patience; (await runCommand(ping)).code !== 0; await sleep(50))
      if (Date.now() > deadline || child.exitCode !== null) {
        child.kill('SIGKILL')
        throw new Error('docker-registry did not come up')
      }
    return new Registry(child)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

function configuration(storage: string, address: string): string {
  return [
    'version: 0.1',
    'log: { level: error, accesslog: { disabled: true } }',
    `storage: { filesystem: { rootdirectory: ${JSON.stringify(storage)} }, delete: { enabled: true } }`,
    `http: { addr: "${address}", secret: only-for-the-benchmark }`,
    '',
  ].join('\n')
}
