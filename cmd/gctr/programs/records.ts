/** The branches of what the store holds: `snapshots`, `content`, `leases`, `namespaces`. */
import type { Command } from 'commander'
import { lazily } from '../session.ts'
import { many } from './option-forms.ts'

export function snapshots(program: Command): void {
  const noun = program
    .command('snapshots')
    .alias('snapshot')
    .description('root file systems')
    .option('--snapshotter <name>', 'which snapshotter', 'overlayfs')
  const of = async () => await import('../commands/snapshots.ts')
  noun
    .command('ls')
    .alias('list')
    .argument('[filter...]')
    .description('list')
    .action(lazily(async () => (await of()).list))
  noun
    .command('tree')
    .description('who is built on whom')
    .action(lazily(async () => (await of()).tree))
  noun
    .command('info <key>')
    .description('one of them')
    .action(lazily(async () => (await of()).info))
  noun
    .command('usage [key...]')
    .description('disk space of each, its parents left out')
    .action(lazily(async () => (await of()).usage))
  noun
    .command('mounts <key>')
    .description('the mounts that give its files')
    .action(lazily(async () => (await of()).mounts))
  noun
    .command('rm <key...>')
    .description('remove')
    .action(lazily(async () => (await of()).remove))
  noun
    .command('move <image>')
    .description("an image's layers into another snapshotter, from which it is run then")
    .requiredOption('--to <snapshotter>', 'where to')
    .option('--keep', 'leave the old snapshots')
    .action(lazily(async () => (await import('../commands/snapshot-move.ts')).move))
}

export function content(program: Command): void {
  const noun = program.command('content').description('blobs by digest')
  const of = async () => await import('../commands/content.ts')
  noun
    .command('ls')
    .alias('list')
    .argument('[filter...]')
    .option('-q, --quiet', 'digests only')
    .description('list')
    .action(lazily(async () => (await of()).list))
  noun
    .command('active')
    .description('writes under way')
    .action(lazily(async () => (await of()).active))
  noun
    .command('get <digest>')
    .description('a blob, to standard output')
    .action(lazily(async () => (await of()).get))
  noun
    .command('ingest <ref>')
    .option('--expected <digest>', 'refuse anything else')
    .description('a blob, from standard input')
    .action(lazily(async () => (await of()).ingest))
  noun
    .command('rm <digest...>')
    .description('remove')
    .action(lazily(async () => (await of()).remove))
}

export function leases(program: Command): void {
  const noun = program.command('leases').alias('lease').description('what keeps objects from collection')
  const of = async () => await import('../commands/leases.ts')
  noun
    .command('ls')
    .alias('list')
    .argument('[filter...]')
    .description('list')
    .action(lazily(async () => (await of()).list))
  noun
    .command('create')
    .option('--id <id>', 'default: random')
    .option('--expires <duration>', 'such as 24h; 0: never', '24h')
    .description('make one')
    .action(lazily(async () => (await of()).create))
  noun
    .command('resources <id>')
    .description('what it holds')
    .action(lazily(async () => (await of()).resources))
  noun
    .command('rm <id...>')
    .option('--sync', 'wait until the space is free')
    .description('remove')
    .action(lazily(async () => (await of()).remove))
}

export function namespaces(program: Command): void {
  const noun = program.command('namespaces').aliases(['namespace', 'ns']).description('tenants')
  const of = async () => await import('../commands/namespaces.ts')
  noun
    .command('ls')
    .alias('list')
    .description('list')
    .action(lazily(async () => (await of()).list))
  noun
    .command('create <name>')
    .addOption(many('--label <K=V>', 'label'))
    .description('make one')
    .action(lazily(async () => (await of()).create))
  noun
    .command('label <name> <label...>')
    .description('set labels, K= removes one')
    .action(lazily(async () => (await of()).label))
  noun
    .command('rm <name...>')
    .description('remove empty ones')
    .action(lazily(async () => (await of()).remove))
}
