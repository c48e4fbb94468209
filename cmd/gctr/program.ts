/** The tree of commands. Each action is a module of its own, loaded when it is run. */
import { Command, Option } from 'commander'
import { build, builder } from './programs/build.ts'
import { containers, ps, run } from './programs/containers.ts'
import { doctor, events, gc, version } from './programs/daemon.ts'
import { images } from './programs/images.ts'
import { networks } from './programs/networks.ts'
import { plugins } from './programs/plugins.ts'
import { content, leases, namespaces, snapshots } from './programs/records.ts'
import { tasks } from './programs/tasks.ts'
import { trace } from './programs/trace.ts'
import { defaultAddress } from './session.ts'

/** Builds the branches of the tree, by every name that leads there. */
const branches: [names: string[], add: (program: Command) => void][] = [
  [['images', 'image'], images],
  [['run'], run],
  [['ps'], ps],
  [['containers', 'container'], containers],
  [['tasks', 'task'], tasks],
  [['snapshots', 'snapshot'], snapshots],
  [['content'], content],
  [['leases', 'lease'], leases],
  [['namespaces', 'namespace', 'ns'], namespaces],
  [['networks', 'network'], networks],
  [['plugins', 'plugin'], plugins],
  [['build'], build],
  [['builder'], builder],
  [['gc'], gc],
  [['doctor'], doctor],
  [['events'], events],
  [['trace'], trace],
  [['version'], version],
]

/** The tree, or of it only the branches that `argv` names: building all of it takes longer than most commands do. */
export function createProgram(argv: readonly string[] = []): Command {
  const program = new Command('gctr')
    .description("Debug client of gantryd, in the manner of containerd's ctr")
    .addOption(new Option('-a, --address <socket>', "gantryd's socket").env('GANTRY_ADDRESS').default(defaultAddress))
    .addOption(new Option('-n, --namespace <name>', 'tenant namespace').env('GANTRY_NAMESPACE').default('default'))
    .addOption(new Option('--format <form>', 'what to print').choices(['table', 'json']).default('table'))
    .addHelpText('after', '\nCompletion: `gctr completion bash|zsh|fish` prints a script to source.')
    .showHelpAfterError('(gctr COMMAND --help explains)')
    .enablePositionalOptions()
    .exitOverride()
  const named = branches.filter(([names]) => names.some(name => argv.includes(name)))
  for (const [, add] of named.length > 0 ? named : branches) add(program)
  return program
}
