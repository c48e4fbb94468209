/** OCI platforms (image spec, image-index.md): what an image is made for, what this host can run. */
import { invalidArgument } from '../errors/errors.ts'

export interface Platform {
  os: string
  architecture: string
  /** As `v7` for 32-bit arm; empty where there is no choice. */
  variant: string
}

const architectures: Record<string, Partial<Platform>> = {
  x64: { architecture: 'amd64' },
  x86_64: { architecture: 'amd64' },
  amd64: { architecture: 'amd64' },
  ia32: { architecture: '386' },
  i386: { architecture: '386' },
  aarch64: { architecture: 'arm64' },
  arm64: { architecture: 'arm64' },
  armhf: { architecture: 'arm', variant: 'v7' },
  arm: { architecture: 'arm', variant: 'v7' },
}

/** Go's names for what this process runs on. */
export function hostPlatform(): Platform {
  return normalizePlatform({ os: process.platform, architecture: process.arch, variant: '' })
}

/** Other people's names for an architecture become Go's; `v8` of arm64 is the default and dropped. */
export function normalizePlatform(platform: Platform): Platform {
  const known = architectures[platform.architecture.toLowerCase()] ?? { architecture: platform.architecture }
  const architecture = known.architecture ?? platform.architecture
  const variant = platform.variant || (known.variant ?? '')
  return {
    os: platform.os.toLowerCase(),
    architecture,
    variant: architecture === 'arm64' && variant === 'v8' ? '' : variant,
  }
}

/** `linux/arm/v7`, `linux/amd64`, or `amd64` alone for linux. INVALID_ARGUMENT names the text. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/')
  if (text === '' || parts.length > 3 || parts.includes(''))
    throw invalidArgument(`platform "${text}" is not of the form os/architecture[/variant], such as linux/amd64`)
  const [first = '', second, third = ''] = parts
  if (second === undefined) return normalizePlatform({ os: 'linux', architecture: first, variant: '' })
  return normalizePlatform({ os: first, architecture: second, variant: third })
}

/** As {@link parsePlatform} reads it. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(part => part !== '').join('/')
}

/** True when an image for `image` runs where `host` is asked for: same os and architecture, and no newer arm variant. */
export function platformMatches(host: Platform, image: Platform): boolean {
  const [want, have] = [normalizePlatform(host), normalizePlatform(image)]
  if (want.os !== have.os || want.architecture !== have.architecture) return false
  if (want.architecture === 'arm') return Number(have.variant.slice(1) || 7) <= Number(want.variant.slice(1) || 7)
  return want.variant === have.variant || have.variant === ''
}
