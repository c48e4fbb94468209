/**
 * Debian's dockerd 20.10 with its defaults (iptables, a userland proxy per port), in a network namespace of its own, with a
 * wire from there to the client's. Asked over its HTTP API by one connection each.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { run, type World } from '../../../test/integration/networks-world.ts'
import { debian } from '../../../test/interop/ctr.ts'
import { DebianContainerd } from '../../../test/interop/debian-containerd.ts'
import { Dockerd, dockerFiles } from '../../../test/interop/dockerd.ts'
import type { Served, Side } from './side.ts'

const host = '10.98.0.1'
const firstOther = 2000

/** Empty: all is there. */
export function lackingForDocker(): string[] {
  return [dockerFiles.dockerd, dockerFiles.docker, debian.containerd, debian.runcShim].filter(path => !existsSync(path))
}

export class Docker implements Side, AsyncDisposable {
  readonly name = 'dockerd'
  readonly #dockerd: Dockerd
  readonly #containerd: DebianContainerd
  readonly #client: string
  readonly #image: string
  #rules = 0

  private constructor(dockerd: Dockerd, containerd: DebianContainerd, client: string, image: string) {
    this.#dockerd = dockerd
    this.#containerd = containerd
    this.#client = client
    this.#image = image
  }

  static async start(world: World): Promise<Docker> {
    const containerd = await DebianContainerd.start()
    const dockerd = await Dockerd.start(containerd.address, { networks: true })
    const client = await world.namespace('client')
    const docker = new Docker(dockerd, containerd, client, await dockerd.importBusybox())
    docker.#wire()
    const httpd = ['/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/']
    await dockerd.ok('run', '-d', '--name', 'server', '-p', '1080:80', docker.#image, ...httpd)
    await dockerd.ok('run', '-d', '--name', 'subject', docker.#image, 'sleep', '100000')
    await dockerd.ok('network', 'create', 'second')
    return docker
  }

  /** Two namespaces, one wire; ip-link(8) takes processes for both. */
  #wire(): void {
    const inside = (...argv: string[]) => run('nsenter', '--target', String(this.#dockerd.pid), '--net', ...argv)
    inside('ip', 'link', 'add', 'cable0', 'type', 'veth', 'peer', 'name', 'cable1')
    const pid = run('nsenter', `--net=${this.#client}`, 'sh', '-c', 'sleep 60 >/dev/null 2>&1 & echo $!').trim()
    inside('ip', 'link', 'set', 'cable1', 'netns', pid)
    inside('ip', 'addr', 'add', `${host}/24`, 'dev', 'cable0')
    inside('ip', 'link', 'set', 'cable0', 'up')
    run('nsenter', `--net=${this.#client}`, 'ip', 'addr', 'add', '10.98.0.2/24', 'dev', 'cable1')
    run('nsenter', `--net=${this.#client}`, 'ip', 'link', 'set', 'cable1', 'up')
  }

  async serve(): Promise<Served> {
    return { host, port: 1080, netns: this.#client }
  }

  /** The rules that dockerd would have written, without the two processes for each. */
  async otherPorts(count: number): Promise<void> {
    const rules = Array.from({ length: Math.max(0, count - this.#rules) }, (_, i) => {
      const port = firstOther + this.#rules + i
      return `-I DOCKER 2 ! -i docker0 -p tcp -m tcp --dport ${port} -j DNAT --to-destination 172.17.0.9:${port}`
    })
    if (rules.length === 0) return
    const input = ['*nat', ...rules, 'COMMIT', ''].join('\n')
    const argv = ['--target', String(this.#dockerd.pid), '--net', 'iptables-restore', '--noflush', '--wait']
    const { status, stderr } = spawnSync('nsenter', argv, { input, encoding: 'utf8' })
    if (status !== 0) throw new Error(`iptables-restore: ${stderr}`)
    this.#rules = count
  }

  /** A container with a range of UDP ports, and one without: what the range cost. MiB are those of its proxies. */
  async range(count: number): Promise<{ openMs: number; mib: number }> {
    const timed = async (...flags: string[]) => {
      const startMs = performance.now()
      await this.#dockerd.ok('run', '-d', '--name', 'ranged', ...flags, this.#image, 'sleep', '1000')
      const tookMs = performance.now() - startMs
      const mib = proxiesMib()
      await this.#dockerd.ok('rm', '--force', 'ranged')
      return { tookMs, mib }
    }
    const without = await timed()
    const last = 30_000 + count - 1
    const withRange = await timed('-p', `30000-${last}:30000-${last}/udp`)
    return { openMs: withRange.tookMs - without.tookMs, mib: withRange.mib - without.mib }
  }

  async endpoint(): Promise<{ addMs: number; delMs: number }> {
    const addMs = await this.#post('/networks/second/connect', { Container: 'subject' })
    const delMs = await this.#post('/networks/second/disconnect', { Container: 'subject' })
    return { addMs, delMs }
  }

  async network(): Promise<{ createMs: number; removeMs: number }> {
    const createMs = await this.#post('/networks/create', { Name: 'passing' })
    return { createMs, removeMs: await this.#post('/networks/passing', undefined, 'DELETE') }
  }

  #post(path: string, body?: object, method = 'POST'): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const startMs = performance.now()
    const headers = { 'content-type': 'application/json' }
    const call = request({ socketPath: this.#dockerd.socket, path, method, headers }, response => {
      response.resume().once('end', () => {
        if ((response.statusCode ?? 500) < 300) resolve(performance.now() - startMs)
        else reject(new Error(`${method} ${path}: status ${response.statusCode}`))
      })
    })
    call.once('error', reject).end(body && JSON.stringify(body))
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dockerd[Symbol.asyncDispose]()
    await this.#containerd[Symbol.asyncDispose]()
  }
}

/** Proportional memory of every docker-proxy in this namespace of processes. */
function proxiesMib(): number {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  const kib = pids.map(pid => {
    try {
      if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'docker-proxy') return 0
      return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0)
    } catch {
      return 0
    }
  })
  return kib.reduce((sum, own) => sum + own, 0) / 1024
}
