/** How far an image fits the host and a record. */
import { notFound } from '#api/errors/errors.ts'
import type { ContainerConfig } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from '#api/types/platform.ts'
import type { ImageConfig } from '#core/spec/spec.ts'

/** Of a label's key and value together (api/types/identifiers.ts). */
const maxLabelBytes = 4096

/** NOT_FOUND when a platform was asked for that the image is not of; one that merely is not the host's is only worth a warning. */
export function checkPlatform({ image, platform }: ContainerConfig, { os, architecture }: ImageConfig): string[] {
  const wanted = platform ? parsePlatform(platform) : hostPlatform()
  const offered = { os, architecture: architecture || wanted.architecture, variant: '' }
  if (wanted.os === os && normalizePlatform(offered).architecture === wanted.architecture) return []
  const offer = formatPlatform(offered)
  if (platform) throw notFound(`image "${image}" for platform ${platform} (it is for ${offer})`)
  return [`image "${image}" is for ${offer}, this host is ${formatPlatform(wanted)}`]
}

/** An image may carry labels that are too long for a record: they are left out, and told. */
export function fittingLabels({ labels }: ImageConfig): {
  imageLabels: Record<string, string>
  labelWarnings: string[]
} {
  const isTooLong = ([key, value]: [string, string]) =>
    Buffer.byteLength(key) + Buffer.byteLength(value) > maxLabelBytes
  const [long, fitting] = [Object.entries(labels).filter(isTooLong), Object.entries(labels).filter(e => !isTooLong(e))]
  const labelWarnings = long.map(
    ([key]) => `image label "${key.slice(0, 64)}" is longer than ${maxLabelBytes} bytes: left out`,
  )
  return { imageLabels: Object.fromEntries(fitting), labelWarnings }
}
