/** What a command said, without what is each engine's own; and where the two may differ. */
import type { CommandOutcome } from '../../daemon/run-command.ts'
import { compare } from './compare.ts'
import type { Engine } from './engine.ts'
import { reasonOf } from './known-differences.ts'
import { ourRewordings, reworded, rewordings } from './newer-words.ts'
import { inOwnWords, normaliseJson } from './normalise.ts'

export function plainOutcome(engine: Engine, { code, stdout, stderr }: CommandOutcome): CommandOutcome {
  return { code, stdout: plainText(engine, stdout), stderr: plainError(engine, stderr) }
}

/** Lists of JSON (inspect) are compared by what they say, everything else by its lines. */
function plainText(engine: Engine, text: string): string {
  if (/^\s*\[\s*[{\]]/.test(text)) return JSON.stringify(normaliseJson(engine, JSON.parse(text)), undefined, 1)
  return inOwnWords(engine, text.includes('\0') ? text.replace(/[^\x20-\x7e\n]/g, '') : text)
}

function plainError({ name, ...engine }: Engine, text: string): string {
  const table = name === 'dockerd' ? rewordings : ourRewordings
  const lines = text
    .split('\n')
    .map(line => line.replace(/^(docker: )?Error response from daemon: /, ''))
    // The command repeats itself, and counts what it does not know.
    .filter(line => line.trim() !== '' && !/^(Run 'docker|See 'docker|time=)/.test(line))
    .map(
      line =>
        reworded({ status: 0, message: inOwnWords({ name, ...engine } as Engine, line.replace(/\.$/, '')) }, table)
          .message,
    )
  return [...new Set(lines)].sort().join('\n')
}

interface KnownOutcome {
  step: RegExp
  why: string
  differs: (theirs: CommandOutcome, ours: CommandOutcome) => boolean
}

/** Made into docs/docker-differential.md. */
export const knownOutcomes: readonly KnownOutcome[] = [
  {
    step: /^docker exec \S+ nosuchcommand$/,
    why: 'a command that is not there is 127 on standard error, as in newer engines; 20.10 says 126 on standard output',
    differs: (theirs, ours) => theirs.code === 126 && ours.code === 127,
  },
  {
    step: /^docker exec/,
    why: 'of a container that is paused the id is told, as in newer engines',
    differs: (theirs, ours) => theirs.code === ours.code && /is paused/.test(ours.stderr),
  },
  {
    step: /^docker run --rm nosuch:1/,
    why: 'why the registry cannot be reached is told in the words of each one’s HTTP client',
    differs: (theirs, ours) => theirs.code === ours.code && /unable to find image/.test(ours.stderr),
  },
  {
    step: /^docker rmi/,
    why: 'layers that went with an image are not the same ones in another store',
    differs: (theirs, ours) =>
      theirs.code === ours.code && /Deleted: /.test(theirs.stdout) === /Deleted: /.test(ours.stdout),
  },
  {
    step: /^docker save/,
    why: 'an image that is not there is told by its name',
    differs: (theirs, ours) => theirs.code === ours.code && /no such image/.test(ours.stderr),
  },
  {
    step: /^docker inspect \S+$/,
    why: 'the members of the first table',
    differs: (theirs, ours) =>
      theirs.code === ours.code &&
      compare('container inspect', read(theirs), read(ours)).every(difference => reasonOf(difference) !== undefined),
  },
]

const read = ({ stdout }: CommandOutcome) => ({ status: 200, body: JSON.parse(stdout) as unknown })

export function isKnown(step: string, theirs: CommandOutcome, ours: CommandOutcome): boolean {
  if (theirs.code === ours.code && theirs.stdout === ours.stdout && theirs.stderr === ours.stderr) return true
  return knownOutcomes.some(known => known.step.test(step) && known.differs(theirs, ours))
}
