/** `gctr build`: an image from a Dockerfile. */
import { randomUUID } from 'node:crypto'
import { internal } from '#api/errors/errors.ts'
import { LeasesDefinition } from '#api/gen/containerd/services/leases/v1/leases.ts'
import type { BuildOptions, BuildRequest, Result } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { type BuildFlags, optionsOf } from '../builds/build-flags.ts'
import { reachBuilder } from '../builds/builder-client.ts'
import { type BuildContexts, contextPieces, contextsOf } from '../builds/contexts.ts'
import { askedOf, outputsOf } from '../builds/outputs.ts'
import { writeOutputs } from '../builds/write-outputs.ts'
import { printJson } from '../output/json.ts'
import { type BuildView, buildView } from '../progress/builds/build-view.ts'
import type { Session } from '../session.ts'

type Builder = Awaited<ReturnType<typeof reachBuilder>>['builder']

/** `context`: a folder, or an address of a repository, an archive or a Dockerfile. */
export async function build(session: Session, flags: BuildFlags, context: string): Promise<void> {
  const contexts = await contextsOf(context, flags.buildContext)
  const view = await buildView(flags.quiet ? 'quiet' : flags.progress, flags.check ? process.stdout : process.stderr)
  const outputs = outputsOf(flags)
  using client = await reachBuilder(session)
  await using lease = await leaseFor(session)
  const options = { ...(await optionsOf(flags, contexts)), ...askedOf(outputs, flags, lease.id) }
  const { warnings, result } = await follow(client.builder, requests(contexts, options), view)
  if (flags.check) return checked(warnings)
  if (result === undefined) throw internal('the builder ended without a result')
  await writeOutputs(session, outputs, result, { ...flags, silent: flags.quiet === true || session.json })
  if (outputs.takesStdout) return
  if (session.json) printJson(result)
  else if (result.imageId !== '') console.log(result.imageId)
}

/** Holds what is read after the build's end; for an hour when we die. */
async function leaseFor(session: Session): Promise<AsyncDisposable & { readonly id: string }> {
  const leases = session.client(LeasesDefinition)
  const id = `gctr-build-${randomUUID()}`
  const expires = new Date(Date.now() + 3600_000).toISOString()
  await leases.create({ id, labels: { 'containerd.io/gc.expire': expires } })
  return { id, [Symbol.asyncDispose]: async () => void (await leases.delete({ id })) }
}

interface Built {
  readonly warnings: number
  readonly result: Result | undefined
}

/** Shows what is told until the end. */
async function follow(builder: Builder, asked: AsyncIterable<Partial<BuildRequest>>, view: BuildView): Promise<Built> {
  let warnings = 0
  let result: Result | undefined
  try {
    for await (const event of builder.build(asked)) {
      if (event.warning) warnings++
      result = event.result ?? result
      view.tell(event)
    }
  } catch (error) {
    view.end(true)
    throw error
  }
  view.end(false)
  return { warnings, result }
}

/** As `docker build --check`: warnings are a failure. */
function checked(warnings: number): void {
  console.log(
    warnings === 0 ? 'Check complete, no warnings found.' : `Check complete, ${warnings} warnings have been found!`,
  )
  if (warnings > 0) process.exitCode = 1
}

async function* requests(contexts: BuildContexts, options: BuildOptions): AsyncGenerator<Partial<BuildRequest>> {
  yield { options }
  yield* contextPieces(contexts)
}
