/**
 * git, as far as a stranger's repository may be let near it: no configuration but ours, no hooks, no questions, no
 * protocol that reads files or runs programs of this machine.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { notImplemented, unavailable } from '#api/errors/errors.ts'
import { withoutPassword } from './git-address.ts'

export interface GitOptions {
  readonly folder: string
  readonly signal: AbortSignal
  /** The client's ssh agent; undefined: ssh has no keys. */
  readonly agent: string | undefined
  /** HTTP header that says who we are; only for addresses that begin so. */
  readonly authorization: { readonly address: string; readonly header: string } | undefined
}

const mostOutput = 1024 * 1024
const shownOutput = 2000

/** What it writes to stdout. UNAVAILABLE, with its last words: it failed. NOT_IMPLEMENTED: this machine has none. */
export async function git(args: readonly string[], options: GitOptions): Promise<string> {
  const { folder, signal } = options
  signal.throwIfAborted()
  // A group of its own, so that its helpers end with it.
  const child = spawn('git', [...args], {
    cwd: folder,
    env: environment(options),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const kill = () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  }
  const [stdout, stderr] = [gathered(child.stdout), gathered(child.stderr)]
  signal.addEventListener('abort', kill, { once: true })
  try {
    const [code] = await once(child, 'close')
    signal.throwIfAborted()
    if (code === 0) return stdout()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw notImplemented('git repositories without the program git on this host: install it')
  } finally {
    signal.removeEventListener('abort', kill)
  }
  const said = withoutPassword(stderr().trim().slice(-shownOutput))
  throw unavailable(`git ${args[0]}: ${said}`, { bare: true })
}

function gathered(stream: NodeJS.ReadableStream): () => string {
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-mostOutput)
  })
  return () => text
}

/** Hosts are those that the machine's administrator knows; keys are the client's agent's, never this user's own. */
const sshSettings = ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'UserKnownHostsFile=/dev/null', 'IdentityFile=none']

/** See git(1), "Environment variables", and git-config(1). */
function environment({ agent, authorization }: GitOptions): NodeJS.ProcessEnv {
  const settings: (readonly [string, string])[] = [
    ['core.hooksPath', '/dev/null'],
    ['core.fsmonitor', 'false'],
    ['credential.helper', ''],
    ['advice.detachedHead', 'false'],
    ['gc.auto', '0'],
    ...(authorization ? [[`http.${authorization.address}.extraHeader`, authorization.header] as const] : []),
  ]
  const passed = Object.entries(process.env).filter(([name]) => name === 'PATH' || /_proxy$/i.test(name))
  return {
    ...Object.fromEntries(passed),
    // Nobody's home: neither ~/.gitconfig nor ~/.netrc.
    ...{
      HOME: '/nonexistent',
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_ATTR_NOSYSTEM: '1',
    },
    ...{ GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/false', GIT_TEMPLATE_DIR: '', GIT_LFS_SKIP_SMUDGE: '1' },
    GIT_ALLOW_PROTOCOL: 'http:https:git:ssh',
    GIT_SSH_COMMAND: `ssh -F /dev/null ${sshSettings.map(setting => `-o ${setting}`).join(' ')}`,
    ...(agent !== undefined && { SSH_AUTH_SOCK: agent }),
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([key, value], at) => [
        [`GIT_CONFIG_KEY_${at}`, key],
        [`GIT_CONFIG_VALUE_${at}`, value],
      ]),
    ),
  }
}
