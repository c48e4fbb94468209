/**
 * A network of its own for one side: loopback and what the side makes there. Two daemons that think the host is theirs (bridges,
 * iptables, published ports) do not meet. A sleeping process holds it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'

export class PrivateHost implements AsyncDisposable {
  readonly #holder: ChildProcess

  private constructor(holder: ChildProcess) {
    this.#holder = holder
  }

  static async create(): Promise<PrivateHost> {
    // It says a word when it is inside, and ends with this process: cat's input ends.
    const inside = 'ip link set lo up && echo 1 > /proc/sys/net/ipv4/ip_forward && echo ready && exec cat >/dev/null'
    const holder = spawn('unshare', ['--net', 'sh', '-c', inside], { stdio: ['pipe', 'pipe', 'inherit'] })
    const host = new PrivateHost(holder)
    const ready = once(holder.stdout, 'data').then(() => true)
    if (!(await Promise.race([ready, once(holder, 'exit').then(() => false)])))
      throw new Error('no network namespace could be made (ip-link of iproute2?)')
    return host
  }

  get pid(): number {
    return this.#holder.pid ?? 0
  }

  /** argv that starts a program in it. */
  enter(argv: readonly string[]): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, ...argv]
  }

  /** Runs a program in it to its end; answers what it printed. */
  run(...argv: string[]): string {
    const [file = '', ...args] = this.enter(argv)
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#holder.exitCode !== null) return
    const ended = once(this.#holder, 'exit')
    this.#holder.kill('SIGKILL')
    await ended
  }
}
