/** The name servers of the host, as its resolv.conf(5) says now. */
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'

const path = '/etc/resolv.conf'
/** How long a reading is trusted without looking whether the file changed. */
const freshMs = 1000

export class HostServers {
  #servers: readonly string[] = []
  #changedAtMs = -1
  #lookedAtMs = Number.NEGATIVE_INFINITY

  async list(): Promise<readonly string[]> {
    const now = performance.now()
    if (now - this.#lookedAtMs < freshMs) return this.#servers
    this.#lookedAtMs = now
    const changedAtMs = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    )
    if (changedAtMs !== this.#changedAtMs) {
      this.#changedAtMs = changedAtMs
      this.#servers = nameServers(await readFile(path, 'utf8').catch(() => ''))
    }
    return this.#servers
  }
}

/** `nameserver` lines, in order; what is no address (an fe80:: one with its link, say) is left out. */
export function nameServers(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .flatMap(([keyword, value = '']) => (keyword === 'nameserver' && isIP(value) !== 0 ? [value] : []))
}
