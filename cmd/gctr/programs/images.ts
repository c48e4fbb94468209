/** The branch `images` of the tree of commands. */
import type { Command } from 'commander'
import { lazily } from '../session.ts'

export function images(program: Command): void {
  const noun = program.command('images').alias('image').description('images by name')
  noun
    .command('pull <reference>')
    .description('fetch an image from its registry and unpack it')
    .option('--platform <os/arch>', "default: this host's")
    .option('--all-platforms', 'fetch every platform of an index')
    .option('--snapshotter <name>', 'where to unpack')
    .option('--no-unpack', 'fetch only')
    .option('-u, --user <user:secret>', 'credentials')
    .option('--plain-http', 'speak http to a registry that is not on loopback')
    .option('--hosts-dir <folder>', "containerd's hosts.toml folders")
    .action(lazily(async () => (await import('../commands/transfer.ts')).pull))
  noun
    .command('push <reference>')
    .description('send an image to its registry')
    .option('--platform <os/arch>', 'only this platform of an index')
    .option('-u, --user <user:secret>', 'credentials')
    .option('--plain-http', 'speak http to a registry that is not on loopback')
    .option('--hosts-dir <folder>', "containerd's hosts.toml folders")
    .action(lazily(async () => (await import('../commands/transfer.ts')).push))
  noun
    .command('import <file>')
    .description('images from a docker-archive or OCI layout tar (- for standard input)')
    .option('--name <reference>', 'name for an archive that has none')
    .option('--platform <os/arch>', "unpack this platform; default: this host's")
    .option('--snapshotter <name>', 'where to unpack')
    .option('--no-unpack', 'store only')
    .action(lazily(async () => (await import('../commands/transfer.ts')).importArchive))
  noun
    .command('export <file> <reference>')
    .description('an image as a tar that docker and OCI tools read (- for standard output)')
    .option('--platform <os/arch>', 'only this platform')
    .option('--all-platforms', 'all that the index names')
    .action(lazily(async () => (await import('../commands/transfer.ts')).exportArchive))
  noun
    .command('tag <reference> <name>')
    .option('--force', 'replace an image of that name')
    .description('give an image another name')
    .action(lazily(async () => (await import('../commands/images.ts')).tag))
  noun
    .command('ls')
    .alias('list')
    .argument('[filter...]', "containerd's filters")
    .option('-q, --quiet', 'names only')
    .description('list')
    .action(lazily(async () => (await import('../commands/images.ts')).list))
  noun
    .command('rm <reference...>')
    .option('--sync', 'wait until the space is free')
    .description('remove names; blobs nobody needs follow')
    .action(lazily(async () => (await import('../commands/images.ts')).remove))
}
