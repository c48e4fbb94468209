/** The branch `plugins` of the tree of commands. */
import type { Command } from 'commander'
import { lazily } from '../session.ts'

/** `NAME` is an id, or `kind/id` where several kinds have one. */
export function plugins(program: Command): void {
  const noun = program.command('plugins').alias('plugin').description('the processes gantryd is made of')
  watching(noun)
  const changes = async () => await import('../commands/plugin-changes.ts')
  noun
    .command('add <path>')
    .option('--link', 'link to the folder in place of copying it: for one that is being worked on')
    .option('--config <json>', 'its configuration table')
    .description('install a plugin: a folder with a plugin.toml')
    .action(lazily(async () => (await changes()).add))
  noun
    .command('enable <name>')
    .description('allow one that was disabled')
    .action(lazily(async () => (await changes()).enable))
  noun
    .command('disable <name>')
    .description('stop it and refuse further calls')
    .action(lazily(async () => (await changes()).disable))
  noun
    .command('upgrade <path-or-name>')
    .option('--to <version>', 'NAME to a version that is installed')
    .option('--link', 'link to the folder in place of copying it')
    .description('put another version in place while it is in use')
    .action(lazily(async () => (await changes()).upgrade))
  noun
    .command('rollback <name>')
    .description('back to the version before the last upgrade')
    .action(lazily(async () => (await changes()).rollback))
  noun
    .command('rm <name>')
    .alias('remove')
    .option('--purge', 'delete its data too')
    .description('stop and uninstall one that was added')
    .action(lazily(async () => (await changes()).remove))
  authoring(noun)
}

/** For whoever writes one. */
function authoring(noun: Command): void {
  noun
    .command('new <folder>')
    .requiredOption('--kind <kind>', 'what it is to be, such as snapshotter')
    .requiredOption('--language <language>', 'what it is to be written in, such as python')
    .description("make a plugin that works, to start from; the folder's name is its id")
    .action(lazily(async () => (await import('../commands/plugin-new.ts')).create))
  noun
    .command('check <address>')
    .requiredOption('--kind <kind>', 'snapshotter, network, runtime, differ, log-sink, builder or gateway')
    .option('--snapshotter <name>', 'which snapshotter of a server that has several')
    .option('--namespace <name>', 'of a server that has such; default: a new one, deleted afterwards')
    .option('--core <address>', 'of a differ or a log sink: the gantryd it works for')
    .option('--media-type <type>', 'of a differ: the layers it reads; default: what it says of itself')
    .option('--encode <command>', 'of a differ: shell command from a tar to such a layer')
    .option('--image <name>', 'of a log sink: an image with a shell, to run containers of')
    .option('--read <command>', 'of a log sink: shell command that prints what it kept')
    .option('--foreign', 'by containerd’s contract alone, without what Gantry adds to it')
    .option('--copies', 'a snapshotter whose children take the space of their parents too')
    .option('--no-rebase', 'a snapshotter that cannot put a layer on a parent at commit')
    .option('--host', 'a network plugin whose containers have no namespace of their own')
    .option('--json', 'the report as JSON')
    .option('--junit <file>', "the report as JUnit's XML, into a file")
    .description('judge a plugin by the rules of its contract, whoever wrote it; 0: all are kept')
    .action(lazily(async () => (await import('../commands/plugin-check.ts')).check))
}

function watching(noun: Command): void {
  const of = async () => await import('../commands/plugins.ts')
  noun
    .command('ls')
    .alias('list')
    .description('state, version, pid, memory, calls, latency, last error')
    .action(lazily(async () => (await of()).list))
  noun
    .command('inspect <name>')
    .description('one of them, and its calls by method')
    .action(lazily(async () => (await of()).inspect))
  noun
    .command('logs <name>')
    .option('-f, --follow', 'and what it writes from now on')
    .option('--tail <lines>', 'so many of the last lines', '200')
    .option('--since <time>', 'only what it wrote since: 10m, or 2026-11-21T10:00:00Z')
    .description('what it wrote, before a restart of gantryd too')
    .action(lazily(async () => (await of()).logs))
  noun
    .command('trace')
    .argument('[name]')
    .description('calls to plugins, as they end')
    .action(lazily(async () => (await of()).trace))
}
