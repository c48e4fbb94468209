/** Build arguments that nobody declares: the platform's, and the proxies'. */
import { formatPlatform, type Platform } from '#api/types/platform.ts'

/** Proxy settings reach RUN without an ARG, and count for no cache key (Dockerfile reference, "Predefined ARGs"). */
export const predefinedArgs: ReadonlySet<string> = new Set(
  ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap(name => [name, name.toLowerCase()]),
)

/** Build arguments by which BuildKit is told how to build (Dockerfile reference, "BuildKit built-in build args"). */
export interface BuildSettings {
  /** Of RUN's containers; empty: each its own. */
  readonly hostname: string
  /** Begins the ids of RUN's caches, so that projects do not share them; empty: they do. */
  readonly cacheNamespace: string
  /** A repository as the context has its `.git`. */
  readonly keepGitDir: boolean
  /** One platform gets an index as well. */
  readonly wantsIndex: boolean
  /** The image's configuration says what a later build can take from it. */
  readonly inlineCache: boolean
}

export function settingsOf(args: Readonly<Record<string, string>>): BuildSettings {
  const isSet = (name: string) => ['1', 't', 'true'].includes((args[name] ?? '').toLowerCase())
  return {
    hostname: args.BUILDKIT_SANDBOX_HOSTNAME ?? '',
    cacheNamespace: args.BUILDKIT_CACHE_MOUNT_NS ?? '',
    keepGitDir: isSet('BUILDKIT_CONTEXT_KEEP_GIT_DIR'),
    wantsIndex: isSet('BUILDKIT_MULTI_PLATFORM'),
    inlineCache: isSet('BUILDKIT_INLINE_CACHE'),
  }
}

/** `BUILDPLATFORM`, `TARGETARCH` and their like: known before the first FROM, and to a stage that declares them. */
export function platformArgs(build: Platform, target: Platform, targetStage: string): Map<string, string> {
  const of = (prefix: string, platform: Platform) => [
    [`${prefix}PLATFORM`, formatPlatform(platform)] as const,
    [`${prefix}OS`, platform.os] as const,
    [`${prefix}ARCH`, platform.architecture] as const,
    [`${prefix}VARIANT`, platform.variant] as const,
  ]
  return new Map([...of('BUILD', build), ...of('TARGET', target), ['TARGETSTAGE', targetStage || 'default']])
}
