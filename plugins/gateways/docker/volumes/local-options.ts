/** Options of the `local` driver: `type`, `device` and `o`, as mount(8) takes them. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { messageOf } from '#api/errors/errors.ts'
import type { Mount } from '#api/types/mount.ts'
import { badRequest, serverError } from '../http/http-error.ts'

export type LocalOptions = Readonly<Record<string, string>>

const known = ['type', 'o', 'device', 'size']
const needed: Readonly<Record<string, readonly string[]>> = {
  device: ['type'],
  type: ['device'],
  o: ['device', 'type'],
}

/** 400 names the option. */
export function checkOptions(options: LocalOptions): void {
  const stranger = Object.keys(options).find(name => !known.includes(name))
  if (stranger !== undefined) throw badRequest(`invalid option: "${stranger}"`)
  if (options.size !== undefined) throw badRequest('quota size requested but no quota support')
  for (const [name, others] of Object.entries(needed)) {
    if (options[name] === undefined) continue
    const missing = others.find(other => options[other] === undefined)
    if (missing !== undefined) throw badRequest(`missing required option: "${missing}"`)
  }
}

/** Whether the volume is something mounted, not a directory of its own. */
export function needsMount(options: LocalOptions | null): boolean {
  return (options?.type ?? '') !== '' || (options?.device ?? '') !== ''
}

/** What mount(2) is to be asked for. Names in `addr=` become addresses: the kernel resolves none. */
export async function mountOf({ type = '', device = '', o = '' }: LocalOptions): Promise<Mount> {
  const options = o === '' ? [] : o.split(',')
  const isBind = options.some(option => option === 'bind' || option === 'rbind')
  const resolved = type === 'nfs' || type === 'cifs' ? await Promise.all(options.map(withAddress)) : options
  return { type: isBind ? 'bind' : type, source: device, target: '', options: resolved }
}

async function withAddress(option: string): Promise<string> {
  const name = /^addr=(.*)$/.exec(option)?.[1]
  if (name === undefined || isIP(name) !== 0) return option
  try {
    return `addr=${(await lookup(name)).address}`
  } catch (cause) {
    throw serverError(`error resolving passed in network volume address: ${messageOf(cause)}`, { cause })
  }
}

/** Passwords in options stay out of messages. */
export function withoutPasswords(text: string): string {
  return text.replace(/password=[^,\s]*/g, 'password=********')
}
