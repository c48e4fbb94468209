/** Twenty steps, done anew and not at all; and a large context of which one file changed. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, Row } from '../../row.ts'
import { base } from './base.ts'
import type { Builder } from './builder.ts'

/** FROM and nineteen more: ten commands, five copies, four that only say something. */
const twentySteps = [
  `FROM ${base}`,
  ...Array.from({ length: 10 }, (_, at) => `RUN mkdir /made${at} && echo ${at} > /made${at}/file`),
  ...Array.from({ length: 5 }, (_, at) => `COPY file${at} /copied/${at}/`),
  'ENV A=1 B=2',
  'WORKDIR /copied',
  'LABEL bench=true',
  'CMD ["true"]',
]

export async function cold(builders: readonly Builder[], folder: string): Promise<Row> {
  const context = await twentyStepsIn(folder)
  const contestants = builders.map(({ name, side, build }) => ({
    name,
    side,
    work: () => build(context, '--no-cache'),
  }))
  return { name: '20 steps, nothing cached', rounds: 7, warmUps: 1, budget: { times: 2 }, contestants }
}

export async function cached(builders: readonly Builder[], folder: string): Promise<Row> {
  const context = await twentyStepsIn(folder)
  const contestants = builders.map(({ name, side, build }) => ({ name, side, work: () => build(context) }))
  return { name: '20 steps, all cached', rounds: 20, budget: { atMost: 150 }, contestants }
}

async function twentyStepsIn(folder: string): Promise<string> {
  const context = join(folder, 'twenty')
  await mkdir(context, { recursive: true })
  for (let at = 0; at < 5; at++) await writeFile(join(context, `file${at}`), `${at}\n`)
  await writeFile(join(context, 'Dockerfile'), `${twentySteps.join('\n')}\n`)
  return context
}

const filesPerFolder = 100
/** As long as sources are. */
const sourceBytes = 2000

export async function changed(builders: readonly Builder[], folder: string, files: number): Promise<Row> {
  const context = join(folder, 'large')
  for (let at = 0; at < files; at++) {
    const below = join(context, 'src', String(Math.floor(at / filesPerFolder)))
    if (at % filesPerFolder === 0) await mkdir(below, { recursive: true })
    await writeFile(join(below, `${at}.c`), `/* ${at} */\n`.repeat(Math.ceil(sourceBytes / 12)))
  }
  const lines = [`FROM ${base}`, 'RUN mkdir /app', 'COPY src /app/src', 'CMD ["true"]']
  await writeFile(join(context, 'Dockerfile'), `${lines.join('\n')}\n`)
  const contestants = builders.map(({ name, side, build }): Contestant => {
    const prepare = (round: number) => writeFile(join(context, 'src/0/0.c'), `/* ${name} ${round} */\n`)
    return { name, side, prepare, work: () => build(context) }
  })
  const what = `one file changed in a context of ${files.toLocaleString('en')}`
  return { name: what, rounds: 5, warmUps: 1, budget: { times: 3 }, contestants }
}
