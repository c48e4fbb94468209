/**
 * Answers the server's requests for credentials (containerd.types.transfer.AuthRequest): from --user, else from
 * Docker's configuration file, `auths` and credential helpers, else none.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { invalidArgument } from '#api/errors/errors.ts'
import { StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import { AuthRequest, AuthResponse, AuthType } from '#api/gen/containerd/types/transfer/registry.ts'
import { openStream } from '#api/streaming/named-stream.ts'
import type { Session } from '../session.ts'

interface Credentials {
  username: string
  secret: string
}

/** The stream to name in RegistryResolver.auth_stream. INVALID_ARGUMENT for a --user without a colon. */
export async function answerCredentials(
  session: Session,
  user: string | undefined,
): Promise<AsyncDisposable & { id: string }> {
  const given = user === undefined ? undefined : splitUser(user)
  const stream = await openStream(session.client(StreamingDefinition), 'credentials')
  const answer = async () => {
    for await (const { value } of stream.received) {
      const { host } = AuthRequest.decode(value)
      stream.send({
        typeUrl: 'containerd.types.transfer.AuthResponse',
        value: encode(given ?? dockerCredentials(host)),
      })
    }
  }
  // When the stream ends, so does the Transfer, which says why.
  void answer().catch(() => {})
  return { id: stream.id, [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose]() }
}

function splitUser(text: string): Credentials {
  const at = text.indexOf(':')
  if (at < 0) throw invalidArgument('--user has no secret; write user:secret')
  return { username: text.slice(0, at), secret: text.slice(at + 1) }
}

function encode(credentials: Credentials | undefined): Buffer {
  const authType =
    credentials === undefined ? AuthType.NONE : credentials.username === '' ? AuthType.REFRESH : AuthType.CREDENTIALS
  return Buffer.from(AuthResponse.encode(AuthResponse.fromPartial({ authType, ...credentials })).finish())
}

interface DockerConfig {
  auths?: Record<string, { auth?: string; identitytoken?: string }>
  credHelpers?: Record<string, string>
  credsStore?: string
}

function dockerCredentials(host: string): Credentials | undefined {
  const config = readDockerConfig()
  const keys = host.endsWith('docker.io')
    ? ['https://index.docker.io/v1/', 'docker.io', host]
    : [host, `https://${host}`]
  for (const key of keys) {
    const helper = config.credHelpers?.[key] ?? config.credsStore
    const found = fromAuths(config, key) ?? (helper === undefined ? undefined : fromHelper(helper, key))
    if (found !== undefined) return found
  }
  return undefined
}

function readDockerConfig(): DockerConfig {
  try {
    return JSON.parse(
      readFileSync(join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json'), 'utf8'),
    )
  } catch {
    return {}
  }
}

function fromAuths(config: DockerConfig, key: string): Credentials | undefined {
  const entry = config.auths?.[key]
  if (entry?.identitytoken) return { username: '', secret: entry.identitytoken }
  return entry?.auth ? splitUser(Buffer.from(entry.auth, 'base64').toString()) : undefined
}

/** docker-credential-helpers' protocol: the server on stdin, JSON on stdout. */
function fromHelper(helper: string, key: string): Credentials | undefined {
  try {
    const answer = execFileSync(`docker-credential-${helper}`, ['get'], {
      input: key,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const { Username, Secret } = JSON.parse(answer.toString())
    return { username: Username === '<token>' ? '' : Username, secret: Secret }
  } catch {
    return undefined
  }
}
