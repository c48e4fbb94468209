/** containerd's rules for names that become paths and keys (pkg identifiers, labels). */
import { invalidArgument } from '../errors/errors.ts'

const pattern = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/
const maxIdentifierLength = 76
/** Of a label's key and value together. */
export const maxLabelBytes = 4096

/**
 * Checks a tenant namespace, container, task or exec id, or a topic component.
 * INVALID_ARGUMENT in containerd's words; `field` is put in front (`container.ID: identifier ...`).
 */
export function validateIdentifier(value: string, field?: string): void {
  const prefix = field === undefined ? '' : `${field}: `
  if (value === '') throw invalidArgument(`${prefix}identifier must not be empty`)
  if (value.length > maxIdentifierLength)
    throw invalidArgument(
      `${prefix}identifier "${value}" greater than maximum length (${maxIdentifierLength} characters)`,
    )
  if (!pattern.test(value)) throw invalidArgument(`${prefix}identifier "${value}" must match ${pattern.source}`)
}

/** Checks each label: key and value together take at most 4096 bytes. INVALID_ARGUMENT names the key's first 10 characters. */
export function validateLabels(labels: Readonly<Record<string, string>>, field?: string): void {
  const prefix = field === undefined ? '' : `${field}: `
  for (const [key, value] of Object.entries(labels)) {
    if (Buffer.byteLength(key) + Buffer.byteLength(value) <= maxLabelBytes) continue
    throw invalidArgument(
      `${prefix}label key and value greater than maximum size (${maxLabelBytes} bytes), key: ${key.slice(0, 10)}`,
    )
  }
}
