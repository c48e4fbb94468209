/** Debian's podman with its CNI backend, on private folders, in the network namespace of the caller. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { patience } from '../daemon/patience.ts'
import { type CommandOutcome, runCommand } from '../daemon/run-command.ts'
import { removeCgroup } from './ctr.ts'

export const podmanFiles = { podman: '/usr/bin/podman', conmon: '/usr/bin/conmon', runc: '/usr/sbin/runc' } as const

const cgroup = `interop-podman-${process.pid}`

export interface PodmanOptions {
  /** Where CNI binaries are, in the order they are looked for. */
  binaries: readonly string[]
  /** CNI's configuration lists, by name. */
  lists: Readonly<Record<string, object>>
  /** Storage driver; default `vfs`, which works on any file system. */
  storage?: string
}

export class Podman implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'pm-'))
  readonly env: Readonly<Record<string, string>>
  readonly #storage: string

  constructor({ binaries, lists, storage = 'vfs' }: PodmanOptions) {
    this.#storage = storage
    mkdirSync(this.#at('net.d'))
    for (const [name, list] of Object.entries(lists))
      writeFileSync(join(this.#at('net.d'), `${name}.conflist`), JSON.stringify(list))
    writeFileSync(this.#at('containers.conf'), configuration(this.folder, binaries))
    writeFileSync(this.#at('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}')
    this.env = { CONTAINERS_CONF: this.#at('containers.conf'), HOME: this.folder, TMPDIR: this.folder }
  }

  #at(name: string): string {
    return join(this.folder, name)
  }

  /** `podman` on the private folders; it wants `env`. */
  argv(...args: string[]): string[] {
    const places = ['--root', this.#at('root'), '--runroot', this.#at('run'), '--tmpdir', this.#at('tmp')]
    const storage = ['--storage-driver', this.#storage, '--network-config-dir', this.#at('net.d')]
    return [podmanFiles.podman, ...storage, ...places, ...args]
  }

  /** Never throws for an exit code. */
  outcome(...args: string[]): Promise<CommandOutcome> {
    const limit = ['timeout', '--foreground', '--signal=KILL', `${60 * patience}`]
    return runCommand([...limit, ...this.argv(...args)], { env: this.env })
  }

  /** Its standard output, trimmed; throws for an exit code that is not 0. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.outcome(...args)
    if (code !== 0) throw new Error(`podman ${args.join(' ')}: exit code ${code}: ${stderr}`)
    return stdout.trim()
  }

  /** `run -d`, in a cgroup that goes with this object. */
  start(...args: string[]): Promise<CommandOutcome> {
    return this.outcome('run', '-d', '--cgroup-parent', `/${cgroup}`, ...args)
  }

  /** An image of busybox and nothing else. */
  async importBusybox(name = 'localhost/busybox:test'): Promise<string> {
    const root = this.#at('rootfs')
    for (const part of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp']) mkdirSync(join(root, part), { recursive: true })
    await copyFile('/bin/busybox', join(root, 'bin/busybox'))
    for (const applet of ['sh', 'sleep', 'ip', 'cat', 'ping', 'httpd', 'true'])
      symlinkSync('busybox', join(root, 'bin', applet))
    await runCommand(['tar', '-C', root, '-cf', this.#at('rootfs.tar'), '.'])
    await this.ok('import', this.#at('rootfs.tar'), name)
    return name
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.outcome('rm', '--all', '--force', '--time', '0')
    await runCommand([
      'sh',
      '-c',
      'grep -o " $1/[^ ]*" /proc/self/mountinfo | sort -r | xargs -r -n1 umount',
      'sh',
      this.folder,
    ])
    await removeCgroup(cgroup)
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** No systemd, and no limits above the machine's own: it need not have one, nor let them be raised. */
function configuration(folder: string, binaries: readonly string[]): string {
  return `[network]
network_backend = "cni"
cni_plugin_dirs = [${binaries.map(path => `"${path}"`).join(', ')}]
network_config_dir = "${join(folder, 'net.d')}"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "${join(folder, 'tmp')}"
[engine.runtimes]
runc = ["${podmanFiles.runc}"]
[containers]
seccomp_profile = "unconfined"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
`
}
