/** `gctr build`: an image from a Dockerfile. */
import { lstat } from 'node:fs/promises'
import { invalidArgument } from '#api/errors/errors.ts'
import type { BuildOptions, BuildRequest, Result } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { type BuildFlags, optionsOf } from '../build/build-flags.ts'
import { reachBuilder } from '../build/builder-client.ts'
import { contextArchive } from '../build/context-archive.ts'
import { printJson } from '../output/json.ts'
import { type BuildView, buildView } from '../progress/build/build-view.ts'
import type { Session } from '../session.ts'

type Builder = Awaited<ReturnType<typeof reachBuilder>>['builder']

export async function build(session: Session, flags: BuildFlags, folder: string): Promise<void> {
  if (!(await lstat(folder)).isDirectory()) throw invalidArgument(`context "${folder}" is not a directory`)
  const view = await buildView(flags.quiet ? 'quiet' : flags.progress, flags.check ? process.stdout : process.stderr)
  using client = await reachBuilder(session)
  const { warnings, result } = await follow(client.builder, requests(folder, await optionsOf(flags)), view)
  if (flags.check) checked(warnings)
  else if (result !== undefined && session.json) printJson(result)
  else if (result !== undefined) console.log(result.imageId)
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

async function* requests(folder: string, options: BuildOptions): AsyncGenerator<Partial<BuildRequest>> {
  yield { options }
  for await (const context of contextArchive(folder)) yield { context }
}
