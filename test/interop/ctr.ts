/** Debian's unmodified `ctr`, pointed at a socket and a tenant namespace of the test's own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { patience } from '../daemon/patience.ts'
import { type CommandOutcome, runCommand } from '../daemon/run-command.ts'

/** Why a suite that needs the files cannot run; false when it can. */
export function lacking(...files: string[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  const missing = files.filter(file => !existsSync(file))
  return missing.length > 0 && `${missing.join(', ')}: not installed (contrib/bootstrap/packages.sh: test_packages)`
}

export const debian = {
  ctr: '/usr/bin/ctr',
  containerd: '/usr/bin/containerd',
  runcShim: '/usr/bin/containerd-shim-runc-v2',
  runc: '/usr/sbin/runc',
} as const

// ctr hands SIGTERM on to its container and goes on waiting: only SIGKILL ends it for sure.
const limit = ['timeout', '--signal=KILL', `${30 * patience}`]

export class Ctr implements AsyncDisposable {
  readonly address: string
  /** Also the name of the cgroup that ctr puts its containers into. */
  readonly namespace: string
  readonly fifos: string

  /** `folder`: where the FIFOs of containers go, instead of ctr's /run/containerd/fifo. */
  constructor(address: string, folder: string, namespace = `interop-${process.pid}`) {
    this.address = address
    this.namespace = namespace
    this.fifos = join(folder, 'fifos')
  }

  argv(...args: string[]): string[] {
    return [debian.ctr, '--address', this.address, '--namespace', this.namespace, ...args]
  }

  /** Runs it; never throws for an exit code. 137: it took too long. */
  async outcome(args: string[], options: { stdin?: string } = {}): Promise<CommandOutcome> {
    await mkdir(this.fifos, { recursive: true })
    return runCommand([...limit, ...this.argv(...args)], options)
  }

  /** Its standard output; throws for an exit code that is not 0. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.outcome(args)
    assert.equal(code, 0, `ctr ${args.join(' ')}: exit code ${code}: ${stderr}${stdout}`)
    return stdout
  }

  /** With a terminal for its standard streams. */
  async onTerminal(...args: string[]): Promise<CommandOutcome> {
    await mkdir(this.fifos, { recursive: true })
    const quoted = this.argv(...args).map(arg => `'${arg.replaceAll("'", `'\\''`)}'`)
    return runCommand([...limit, 'script', '--quiet', '--return', '--command', quoted.join(' '), '/dev/null'])
  }

  /** Left running, for the caller to end. */
  spawn(...args: string[]): ChildProcess {
    const [file = '', ...rest] = this.argv(...args)
    return spawn(file, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  }

  /** Ends every container of the namespace and removes the cgroup that no runtime removes: the namespace's. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ids = (await this.outcome(['containers', 'ls', '-q'])).stdout.split('\n').filter(id => id !== '')
    for (const id of ids) {
      await this.outcome(['tasks', 'rm', '--force', id])
      await this.outcome(['containers', 'rm', id])
    }
    await removeCgroup(this.namespace)
    // Where runc's shim keeps runc's state, one folder per namespace.
    await rmdir(join('/run/containerd/runc', this.namespace)).catch(() => {})
  }
}

/** An empty one below the root, in every hierarchy it is in. */
export async function removeCgroup(name: string): Promise<void> {
  const hierarchies = await readdir('/sys/fs/cgroup')
  for (const folder of ['', ...hierarchies]) await rmdir(join('/sys/fs/cgroup', folder, name)).catch(() => {})
}
