/**
 * Debian's `docker-registry` (distribution) for tests: its own folder and configuration, a free port on loopback,
 * gone with `await using`. With `users` it asks for basic credentials.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly port: number
  /** Its storage, to damage it. */
  readonly storage: string
}

export interface RegistryOptions {
  /** Basic credentials to ask for. */
  user?: { name: string; password: string }
  /** Bearer tokens (distribution's token authentication): realm, service, issuer, and the issuer's certificate. */
  token?: { realm: string; service: string; issuer: string; rootcertbundle: string }
  tls?: { certificate: string; key: string }
  /** A folder for its storage that stays; default: one of its own. */
  storage?: string
}

/** Starts one; it answers when this resolves. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-registry-'))
  const port = await freePort()
  const storage = options.storage ?? join(folder, 'storage')
  const config = join(folder, 'config.yml')
  await writeFile(config, configuration(folder, storage, port, options))
  if (options.user) await writeFile(join(folder, 'htpasswd'), htpasswd(options.user.name, options.user.password))
  const child = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'pipe', 'pipe'] })
  const log: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => log.push(chunk.toString()))
  child.on('error', error => log.push(`docker-registry: ${error.message} (apt-get install docker-registry)`))
  await answering(child, port, log)
  return {
    host: `127.0.0.1:${port}`,
    port,
    storage,
    async [Symbol.asyncDispose]() {
      await stop(child)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function configuration(folder: string, storage: string, port: number, { user, token, tls }: RegistryOptions): string {
  const lines = [
    'version: 0.1',
    'log: { level: error, accesslog: { disabled: true } }',
    'storage:',
    `  filesystem: { rootdirectory: ${JSON.stringify(storage)} }`,
    '  delete: { enabled: true }',
    'http:',
    `  addr: 127.0.0.1:${port}`,
    '  secret: only-for-tests',
  ]
  if (tls) lines.push(`  tls: { certificate: ${JSON.stringify(tls.certificate)}, key: ${JSON.stringify(tls.key)} }`)
  if (user) lines.push('auth:', `  htpasswd: { realm: test, path: ${JSON.stringify(join(folder, 'htpasswd'))} }`)
  if (token) lines.push('auth:', `  token: ${JSON.stringify(token)}`)
  return `${lines.join('\n')}\n`
}

/** bcrypt is what distribution wants, and what crypt(3) of Debian's libc offers through python or perl. */
function htpasswd(name: string, password: string): string {
  const script = 'print crypt($ARGV[0], q{$2b$05$abcdefghijklmnopqrstuu})'
  return `${name}:${execFileSync('perl', ['-e', script, password]).toString()}\n`
}

/** A port nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return address.port
}

async function answering(child: ChildProcess, port: number, log: string[]): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (child.exitCode !== null || child.pid === undefined) break
    // Any answer will do, also "401" and "speak TLS".
    if (
      await fetch(`http://127.0.0.1:${port}/v2/`).then(
        () => true,
        () => false,
      )
    )
      return
    await sleep(50)
  }
  child.kill('SIGKILL')
  throw new Error(`docker-registry does not answer on port ${port}:\n${log.join('')}`)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
