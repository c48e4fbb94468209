/** `plugins check`: the conformance kit, a program of its own: it needs what plugin authors get, and gctr is only a client. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { notFound } from '#api/errors/errors.ts'
import type { Session } from '../session.ts'

interface Flags {
  kind: string
  snapshotter?: string
  namespace?: string
  core?: string
  mediaType?: string
  encode?: string
  image?: string
  read?: string
  foreign?: boolean
  copies?: boolean
  rebase: boolean
  host?: boolean
  json?: boolean
  junit?: string
}

/** Ends with the kit's exit code. */
export async function check(_session: Session, flags: Flags, address: string): Promise<void> {
  const child = spawn(process.execPath, [kit(), ...argumentsOf(flags), address], { stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  process.exitCode = typeof code === 'number' ? code : 2
}

/** Beside us in a build, in its own folder in the sources. */
function kit(): string {
  const here = dirname(realpathSync(process.argv[1] ?? '.'))
  const places = [join(here, 'gantry-plugin-check.js'), join(here, '../plugin-check/main.ts')]
  const found = places.find(path => existsSync(path))
  if (found === undefined) throw notFound(`the conformance kit (${places[0]})`)
  return found
}

function argumentsOf({ rebase, foreign, copies, host, json, mediaType, ...values }: Flags): string[] {
  const switches = { foreign, copies, 'no-rebase': !rebase, host, json }
  return [
    ...Object.entries({ ...values, 'media-type': mediaType }).flatMap(([flag, value]) =>
      value === undefined ? [] : [`--${flag}=${value}`],
    ),
    ...Object.entries(switches).flatMap(([flag, on]) => (on ? [`--${flag}`] : [])),
  ]
}
