/** Whether this machine can run programs of a platform: its processor, or an emulator that the kernel knows of. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { failedPrecondition } from '#api/errors/errors.ts'
import { formatPlatform, hostPlatform, type Platform } from '#api/types/platform.ts'

const registered = '/proc/sys/fs/binfmt_misc'

/** `e_machine` of each architecture's programs as its two bytes lie in an ELF header (elf(5)), in hex. */
const machines: Readonly<Record<string, string>> = {
  ...{ amd64: '3e00', arm64: 'b700', arm: '2800', '386': '0300', riscv64: 'f300', loong64: '0201' },
  ...{ ppc64le: '1500', s390x: '0016', mips64le: '0800', mips64: '0008' },
}
const machineOffset = 18

/** What processors run besides their own. */
const alsoRuns: Readonly<Record<string, readonly string[]>> = { amd64: ['386'], arm64: ['arm'] }

/** `folder`: where the kernel shows binfmt_misc. FAILED_PRECONDITION says what to install. */
export async function requireRunnable(wanted: Platform, folder = registered): Promise<void> {
  const host = hostPlatform()
  const native = [host.architecture, ...(alsoRuns[host.architecture] ?? [])]
  if (wanted.os === host.os && native.includes(wanted.architecture)) return
  if (wanted.os === host.os && (await isEmulated(wanted.architecture, folder))) return
  throw failedPrecondition(
    `RUN for ${formatPlatform(wanted)} on this ${formatPlatform(host)} machine: no emulator for it is registered with ` +
      `binfmt_misc with the flag F; install one (Debian: qemu-user-static), or build with --platform=$BUILDPLATFORM`,
    { bare: true },
  )
}

/** F: the emulator was opened when it was registered, so that it works in a root that does not have it. */
async function isEmulated(architecture: string, folder: string): Promise<boolean> {
  const machine = machines[architecture]
  const names = await readdir(folder).catch(() => [])
  const entries = await Promise.all(
    names.filter(name => name !== 'register' && name !== 'status').map(name => readFile(join(folder, name), 'utf8')),
  )
  return entries.some(entry => {
    const field = (name: string) => new RegExp(`^${name}:? (.*)$`, 'm').exec(entry)?.[1] ?? ''
    const magic = field('magic')
    return (
      entry.startsWith('enabled') &&
      field('flags').includes('F') &&
      Number(field('offset') || 0) === 0 &&
      magic.startsWith('7f454c46') &&
      magic.slice(machineOffset * 2, machineOffset * 2 + 4) === machine
    )
  })
}

/** True when it is the machine's own. */
export function isHost({ os, architecture, variant }: Platform): boolean {
  const host = hostPlatform()
  return os === host.os && architecture === host.architecture && (variant === '' || variant === host.variant)
}
