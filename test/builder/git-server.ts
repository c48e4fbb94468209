/** A private git server on loopback: git's own program behind HTTP, or the repository's files alone ("dumb"). */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export interface GitServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`; repositories are below. */
  readonly url: string
  /** Authorization headers seen, in order. */
  readonly seen: readonly string[]
}

/** Serves the bare repositories of a folder. `dumb`: as a plain web server would. */
export async function serveGit(root: string, { dumb = false } = {}): Promise<GitServer> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    if (request.headers.authorization !== undefined) seen.push(request.headers.authorization)
    void (dumb ? answerFile : answerByGit)(root, request, response).catch(() => response.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, seen, [Symbol.asyncDispose]: async () => void server.close() }
}

async function answerFile(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://any')
  const bytes = await readFile(join(root, pathname)).catch(() => undefined)
  response.writeHead(bytes === undefined ? 404 : 200).end(bytes)
}

/** git-http-backend(1) is a CGI program: RFC 3875. */
async function answerByGit(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, search } = new URL(request.url ?? '/', 'http://any')
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      ...{ GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: '1', REMOTE_ADDR: '127.0.0.1' },
      ...{ PATH_INFO: pathname, QUERY_STRING: search.slice(1), REQUEST_METHOD: request.method },
      ...{ CONTENT_TYPE: request.headers['content-type'], HTTP_CONTENT_ENCODING: request.headers['content-encoding'] },
      GIT_PROTOCOL: [request.headers['git-protocol'] ?? []].flat().join(':'),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.on('error', () => {})
  request.pipe(child.stdin)
  const answer = Buffer.concat(await child.stdout.toArray())
  const end = answer.indexOf('\r\n\r\n')
  const fields = answer
    .subarray(0, end)
    .toString()
    .split('\r\n')
    .map(line => line.split(': ', 2) as [string, string])
  const { Status = '200', ...headers } = Object.fromEntries(fields)
  response.writeHead(Number.parseInt(Status, 10), headers).end(answer.subarray(end + 4))
}

/** A work tree to commit in, and its bare repository at `<root>/<name>.git`. */
export class Origin {
  readonly #work: string
  readonly #bare: string

  private constructor(root: string, name: string) {
    this.#work = join(root, `${name}.work`)
    this.#bare = join(root, `${name}.git`)
  }

  static async create(root: string, name: string): Promise<Origin> {
    const origin = new Origin(root, name)
    await execute('git', ['init', '-q', '-b', 'main', origin.#work])
    await execute('git', ['init', '-q', '--bare', '-b', 'main', origin.#bare])
    await origin.run('remote', 'add', 'origin', origin.#bare)
    return origin
  }

  /** What git writes. */
  async run(...args: string[]): Promise<string> {
    const identity = ['-c', 'user.name=test', '-c', 'user.email=test@test.example', '-c', 'commit.gpgsign=false']
    const allowed = ['-c', 'protocol.file.allow=always']
    return (await execute('git', ['-C', this.#work, ...identity, ...allowed, ...args])).stdout.trim()
  }

  /** Writes, commits and pushes; the commit's id. A name that ends with `!` is executable. */
  async commit(files: Readonly<Record<string, string>>, ...pushed: string[]): Promise<string> {
    for (const [name, content] of Object.entries(files)) {
      const path = join(this.#work, name.replace(/!$/, ''))
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, content, { mode: name.endsWith('!') ? 0o755 : 0o644 })
    }
    await this.run('add', '--all')
    await this.run('commit', '-q', '-m', 'a commit')
    await this.push(...pushed)
    return this.run('rev-parse', 'HEAD')
  }

  async push(...refs: string[]): Promise<void> {
    await this.run('push', '-q', 'origin', ...(refs.length > 0 ? refs : ['HEAD']))
    await execute('git', ['-C', this.#bare, 'update-server-info'])
  }
}
