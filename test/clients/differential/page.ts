/** docs/docker-differential.md, made of the tables. `node test/clients/differential/page.ts` writes it. */
import { writeFileSync } from 'node:fs'
import { type KnownDifference, knownDifferences } from './known-differences.ts'
import { rewordings } from './newer-words.ts'
import { knownOutcomes } from './outcomes.ts'

export const pagePath = new URL('../../../docs/docker-differential.md', import.meta.url)

export function differentialPage(): string {
  return `${[
    '# Beside dockerd: where the answers differ',
    '',
    '<!-- Made by test/clients/differential/page.ts: change the tables there. -->',
    '',
    "`test/clients/differential` starts Debian's dockerd 20.10 (on its own containerd, in a network namespace of its own) and a",
    'gantryd, and sends both the same random requests, valid and not, one after the other. Status codes and bodies are compared,',
    'without what is each engine’s own: ids, times, addresses, sizes, folders. When one has made what the other has not, both are',
    'emptied, so that a difference is counted once.',
    '',
    '    GANTRY_RANDOM_SEED=7 GANTRY_RANDOM_CALLS=5000 node --test test/clients/differential/fuzz.test.ts',
    '',
    'CI sends 300. The test fails under 98% of equal answers (95% of so few), and for every difference that is not in the first',
    'two tables and comes up again when the same requests are sent once more.',
    '',
    '## Differences that stay',
    '',
    '| requests | what we do | why |',
    '|---|---|---|',
    ...rowsOf(knownDifferences.filter(({ isNewest }) => isNewest !== true)),
    '',
    '## Where newer engines than 20.10 do as we do',
    '',
    'Read in the sources of moby; these do not count as differences.',
    '',
    '| requests | what we do | why |',
    '|---|---|---|',
    ...rowsOf(knownDifferences.filter(({ isNewest }) => isNewest === true)),
    '',
    '## The docker command',
    '',
    'Scripts of commands (`scripts.ts`) and a Compose project run on both; exit codes and output are the same, but:',
    '',
    ...knownOutcomes.map(({ step, why }) => `- \`${plainStep(step)}\`: ${why}`),
    '',
    '## Read as a newer engine would have said it',
    '',
    'Where newer engines than 20.10 changed a status or its words, ours are theirs, and the answers of 20.10 are translated',
    'before they are compared. Capital letters are not compared.',
    '',
    ...rewordings.map(({ what, status }) => `- ${what}${status ? ` (${status.from} → ${status.to})` : ''}`),
    '',
    '## Not compared',
    '',
    '- storage: `GraphDriver`, `RootFS`, the name of the snapshotter, sizes;',
    '- the subnets and options of the default networks, and IPv6: our default bridge has it;',
    '- `null`, `""`, `[]`, `{}` and a member that is missing are one and the same, as they are to clients;',
    '- what newer engines added: masked paths, the label of volumes without a name, `"no"` for the empty restart policy.',
  ].join('\n')}\n`
}

function rowsOf(known: readonly KnownDifference[]): string[] {
  return known.map(({ kind, what, why }) => `| ${named(kind)} | ${what} | ${why} |`)
}

/** The command that a pattern is for. */
const plainStep = (step: RegExp): string => step.source.replaceAll('\\S+', 'CONTAINER').replace(/[\^$]/g, '')

/** The kinds in a pattern, as people read them. */
const named = (kind: RegExp): string => kind.source.replace(/[\^$()]/g, '').replaceAll('|', ', ')

if (import.meta.main) writeFileSync(pagePath, differentialPage())
