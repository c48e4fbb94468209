/** Another machine, with a wire to each side: from there published ports are what clients see. */
import { PrivateHost } from './private-host.ts'

export class Outside implements AsyncDisposable {
  readonly host: PrivateHost
  #wires = 0

  private constructor(host: PrivateHost) {
    this.host = host
  }

  static async create(): Promise<Outside> {
    return new Outside(await PrivateHost.create())
  }

  /** The address under which that host is reached from here. Both ends of the wire go with the networks. */
  wireTo(other: PrivateHost): string {
    const wire = this.#wires++
    const [near, far] = [`wire${wire}`, `outside${wire}`]
    const network = `10.98.${wire}`
    const peer = ['peer', 'name', far, 'netns', String(other.pid)]
    this.host.run('ip', 'link', 'add', near, 'type', 'veth', ...peer)
    for (const [host, link, address] of [
      [this.host, near, `${network}.2`],
      [other, far, `${network}.1`],
    ] as const) {
      host.run('ip', 'address', 'add', `${address}/24`, 'dev', link)
      host.run('ip', 'link', 'set', link, 'up')
    }
    return `${network}.1`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]()
  }
}
