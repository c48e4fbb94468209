/** `containers logs`: what a container has printed, from its shim or, when it has none any more, from the file. */
import { createReadStream, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { attach } from '#api/attach/attach-client.ts'
import { failedPrecondition, isGantryError } from '#api/errors/errors.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import type { Session } from '../session.ts'
import { join } from '../stdio/terminal.ts'

export async function logs(session: Session, flags: { follow?: boolean }, id: string): Promise<void> {
  const { paths } = await session.client(ContainersServiceDefinition).inspect({ id })
  const file = paths?.logFile ?? ''
  if (file === '') throw failedPrecondition(`container "${id}" keeps no log (--log-driver none)`)
  if (!flags.follow || !(await follow(paths?.attachSocket ?? ''))) await print(file)
}

/** False when there is no process to follow. */
async function follow(socket: string): Promise<boolean> {
  try {
    await using attachment = await attach(socket, { stdin: false, stdout: true, stderr: true, replay: true })
    await join(attachment, { stdin: false, tty: false })
    return true
  } catch (error) {
    if (isGantryError(error, 'UNAVAILABLE')) return false
    throw error
  }
}

/** Docker's json-file format, rotated files (`.2`, `.1`) first. */
async function print(file: string): Promise<void> {
  const rotated = Array.from({ length: 100 }, (_, index) => `${file}.${index + 1}`).filter(path => existsSync(path))
  for (const path of [...rotated.reverse(), file].filter(path => existsSync(path)))
    for await (const line of createInterface({ input: createReadStream(path) })) {
      const { log, stream } = JSON.parse(line) as { log: string; stream: string }
      if (stream === 'stderr') process.stderr.write(log)
      else process.stdout.write(log)
    }
}
