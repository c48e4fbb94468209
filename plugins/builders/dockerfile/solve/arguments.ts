/** Build arguments that nobody declares: the platform's, and the proxies'. */
import { formatPlatform, type Platform } from '#api/types/platform.ts'

/** Proxy settings reach RUN without an ARG, and count for no cache key (Dockerfile reference, "Predefined ARGs"). */
export const predefinedArgs: ReadonlySet<string> = new Set(
  ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap(name => [name, name.toLowerCase()]),
)

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
