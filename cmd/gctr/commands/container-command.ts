/** `containers command`. */
import { failedPrecondition, notFound } from '#api/errors/errors.ts'
import { ContainersServiceDefinition } from '#api/gen/gantry/services/containers/v1/containers.ts'
import { dockerExtension, dockerRecord } from '../docker-run/record.ts'
import { runWords, shellLine } from '../docker-run/run-line.ts'
import { printJson } from '../output/json.ts'
import type { Session } from '../session.ts'

/** Prints the `docker run` line, or its words as JSON. FAILED_PRECONDITION for a container of another client. */
export async function command(session: Session, _flags: object, reference: string): Promise<void> {
  const { config, extensions } = await session.client(ContainersServiceDefinition).inspect({ id: reference })
  if (config === undefined) throw notFound(`container "${reference}"`)
  const { id, name } = config
  const extension = extensions[dockerExtension]
  if (extension === undefined)
    throw failedPrecondition(
      `container "${id}" was not made by Docker's API: "gctr containers info ${id}" tells what it was made of`,
    )
  const words = runWords(dockerRecord.parse(JSON.parse(extension.value.toString())), { id, name })
  if (session.json) printJson(words)
  else console.log(shellLine(words))
}
