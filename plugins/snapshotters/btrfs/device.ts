import { readFile, realpath } from 'node:fs/promises'
import { failedPrecondition } from '#api/errors/errors.ts'

/**
 * The device of the file system that holds `path`: the source of the innermost mount above it (proc(5), mountinfo).
 * stat(2) does not tell: each subvolume has a device number of its own, which no mount has.
 */
export async function deviceOf(path: string): Promise<string> {
  const real = await realpath(path)
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  const device = innermost(real, table)
  if (device) return device
  throw failedPrecondition(`the device that holds "${real}" is not in /proc/self/mountinfo`)
}

/** Of several mounts at one place the last hides the others. */
export function innermost(path: string, mountinfo: string): string | undefined {
  let best = { point: '', source: undefined as string | undefined }
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ')
    const point = unescaped(fields[4] ?? '')
    // Optional fields end with a hyphen; then type, source.
    const source = fields[fields.indexOf('-', 6) + 2]
    if (isAtOrBelow(path, point) && point.length >= best.point.length)
      best = { point, source: source && unescaped(source) }
  }
  return best.source
}

function isAtOrBelow(path: string, point: string): boolean {
  return point !== '' && (point === '/' || path === point || path.startsWith(`${point}/`))
}

/** Space, tab, newline and backslash come as three octal digits. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
