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
import { answerCredentials as answer, type RegistryCredentials } from '#api/streaming/answer-credentials.ts'
import { registryDomain } from '#api/types/registry-domain.ts'
import type { Session } from '../session.ts'

/** The stream to name in RegistryResolver.auth_stream. INVALID_ARGUMENT for a --user without a colon. */
export function answerCredentials(
  session: Session,
  user: string | undefined,
): Promise<AsyncDisposable & { readonly id: string }> {
  const given = user === undefined ? undefined : splitUser(user)
  return answer(session.client(StreamingDefinition), host => given ?? dockerCredentials(host))
}

/** Of every registry that Docker's configuration names, by domain: for who asks them later, and is told now. */
export function knownCredentials(): Record<string, RegistryCredentials> {
  const { auths = {}, credHelpers = {} } = readDockerConfig()
  const domains = new Set([...Object.keys(auths), ...Object.keys(credHelpers)].map(registryDomain))
  const known = [...domains].map(domain => [domain, dockerCredentials(domain)] as const)
  return Object.fromEntries(known.filter((entry): entry is [string, RegistryCredentials] => entry[1] !== undefined))
}

function splitUser(text: string): RegistryCredentials {
  const at = text.indexOf(':')
  if (at < 0) throw invalidArgument('--user has no secret; write user:secret')
  const secret = text.slice(at + 1)
  return at === 0 ? { identityToken: secret } : { username: text.slice(0, at), password: secret }
}

interface DockerConfig {
  auths?: Record<string, { auth?: string; identitytoken?: string }>
  credHelpers?: Record<string, string>
  credsStore?: string
}

function dockerCredentials(host: string): RegistryCredentials | undefined {
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

function fromAuths(config: DockerConfig, key: string): RegistryCredentials | undefined {
  const entry = config.auths?.[key]
  if (entry?.identitytoken) return { identityToken: entry.identitytoken }
  return entry?.auth ? splitUser(Buffer.from(entry.auth, 'base64').toString()) : undefined
}

/** docker-credential-helpers' protocol: the server on stdin, JSON on stdout. */
function fromHelper(helper: string, key: string): RegistryCredentials | undefined {
  try {
    const answer = execFileSync(`docker-credential-${helper}`, ['get'], {
      input: key,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const { Username, Secret } = JSON.parse(answer.toString())
    return Username === '<token>' ? { identityToken: Secret } : { username: Username, password: Secret }
  } catch {
    return undefined
  }
}
