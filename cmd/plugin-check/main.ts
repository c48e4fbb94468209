/**
 * gantry-plugin-check: the conformance kit. Judges whatever serves at an address by the rules of its kind's contract. `gctr
 * plugins check` runs it. Exit code: 0 all rules are kept, 1 some are not, 2 they could not be tried.
 */
import { writeFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { messageOf } from '#api/errors/errors.ts'
import { summaryText, toJson, toJunit, verdictText } from '#sdk/check/report.ts'
import { judge, type Verdict } from '#sdk/check/rule.ts'
import { type CheckFlags, checkedKinds, rulesFor } from './rules-for.ts'

interface Flags extends CheckFlags {
  json?: boolean
  junit?: string
}

const command = new Command('gantry-plugin-check')
  .description(
    'Checks a plugin by the rules of its contract. It must be an empty one: the checks make and remove things.',
  )
  .addOption(new Option('--kind <kind>', 'what it is').choices(checkedKinds).makeOptionMandatory())
  .option('--snapshotter <name>', 'which snapshotter of a server that has several', '')
  .option('--namespace <name>', 'of a server that has such, as containerd; default: a new one, deleted afterwards')
  .option('--core <address>', 'of a differ or a log sink: the gantryd it works for; default: itself')
  .option('--media-type <type>', 'of a differ: the layers it reads; default: what it says of itself')
  .option('--encode <command>', 'of a differ: shell command from a tar to such a layer, where it is none of OCI’s own')
  .option('--image <name>', 'of a log sink: an image with a shell, to run containers of')
  .option('--read <command>', 'of a log sink: shell command that prints what it kept')
  .option('--foreign', 'by containerd’s contract alone, without gantry.plugin.v1, health checks and rules of ours')
  .option('--copies', 'a snapshotter whose children take the space of their parents too')
  .option('--no-rebase', 'a snapshotter that cannot put a layer on a parent at commit; default: what it says of itself')
  .option('--host', 'a network plugin whose containers have no namespace of their own')
  .option('--json', 'the report as JSON')
  .option('--junit <file>', "the report as JUnit's XML, into a file")
  .argument('<address>', 'unix socket it serves on; of a runtime, its executable')
  .action(run)

async function run(address: string, flags: Flags): Promise<void> {
  const verdicts = await judgeAll(address, flags, verdict => {
    if (!flags.json) console.log(verdictText(verdict))
  })
  const report = { kind: flags.kind, address, verdicts }
  if (flags.junit !== undefined) writeFileSync(flags.junit, toJunit(report))
  console.log(flags.json ? toJson(report) : summaryText(report))
  process.exit(verdicts.every(({ outcome }) => outcome === 'passed') ? 0 : 1)
}

async function judgeAll(address: string, flags: Flags, tell: (verdict: Verdict) => void): Promise<Verdict[]> {
  await using book = await rulesFor(address, flags)
  return await judge(book.rules, tell)
}

try {
  await command.parseAsync()
} catch (error) {
  process.stderr.write(`gantry-plugin-check: ${messageOf(error)}\n`)
  process.exit(2)
}
