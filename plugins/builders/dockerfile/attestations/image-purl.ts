/** Images as package URLs (package-url specification, type docker). */
import { formatPlatform, type Platform } from '#api/types/platform.ts'
import { parseReference } from '#api/types/reference.ts'

/** `pkg:docker/NAME@TAG?platform=OS%2FARCH`; Docker Hub goes without saying. */
export function imagePurl(name: string, platform: Platform): string {
  const { domain, repository: path, tag, digest } = parseReference(name)
  const familiar = domain === 'docker.io' ? path.replace(/^library\//, '') : `${domain}/${path}`
  const version = tag ?? digest ?? 'latest'
  const parts = familiar.split('/').map(encodeURIComponent).join('/')
  return `pkg:docker/${parts}@${encodeURIComponent(version)}?platform=${encodeURIComponent(formatPlatform(platform))}`
}
