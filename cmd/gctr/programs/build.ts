/** `build`, and `builder` for its cache. */
import { type Command, Option } from 'commander'
import { progressKinds } from '../builds/progress-kinds.ts'
import { lazily } from '../session.ts'
import { many } from './option-forms.ts'

export function build(program: Command): void {
  const verb = program
    .command('build <context>')
    .description(
      'make an image from a Dockerfile; the context is a folder, the address of a repository or archive, or -',
    )
    .addOption(many('-t, --tag <name>', 'name of the image; may be repeated'))
    .option('-f, --file <path>', 'Dockerfile; default: the one in the folder; -: standard input')
    .option('--target <stage>', 'stage to build; default: the last')
    .addOption(many('--build-arg <name=value>', 'value of an ARG; without value: from the environment'))
    .addOption(many('--label <key=value>', 'label of the image'))
    .addOption(many('-o, --output <spec>', 'type=image|registry|oci|docker|local|tar,dest=...; or a folder, or -'))
    .option('--push', 'the same as --output type=registry')
    .addOption(many('--annotation <[level:]key=value>', 'of the manifest, or of index or manifest-descriptor'))
    .option('--provenance [mode]', 'attest how it was made: mode=min or mode=max; false: not')
    .option('--sbom', 'attest what packages are in it')
    .addOption(many('--attest <spec>', 'type=provenance,mode=min|max or type=sbom'))
    .option('-u, --user <user:secret>', 'credentials of the registry that is pushed to')
    .option('--plain-http', 'speak http to one that is not on loopback')
    .option('--hosts-dir <folder>', "containerd's hosts.toml folders")
    .option('--platform <os/arch>', "default: this host's; several, with commas, make an index")
    .addOption(many('--build-context <name=value>', 'folder, docker-image://, oci-layout:// or address for a name'))
    .addOption(many('--cache-from <spec>', 'type=registry|local|image,ref=...|src=...; or the name of an image'))
    .addOption(many('--cache-to <spec>', 'type=registry|local|inline,ref=...|dest=...[,mode=min|max]'))
    .option('--network <name>', 'network of RUN steps: default, none, host or a name')
    .addOption(many('--add-host <name:address>', 'line for the hosts file of RUN steps'))
    .option('--no-cache', 'do every step again')
    .option('--pull', 'ask the registries even for images that are here')
    .addOption(many('--allow <entitlement>', 'let steps have it: security.insecure'))
    .addOption(many('--secret <id=name,src=file>', 'for RUN --mount=type=secret; also env=VARIABLE'))
    .addOption(many('--ssh <id=socket>', 'agent for RUN --mount=type=ssh; without socket: SSH_AUTH_SOCK'))
    .option('--check', 'only tell what the Dockerfile says and its author may not have meant')
    .option('-q, --quiet', "print only the image's id")
    .addOption(
      new Option('--progress <kind>', 'how it is shown; auto: tty on a terminal, else plain')
        .choices(progressKinds)
        .default('auto'),
    )
    .action(lazily(async () => (await import('../commands/build.ts')).build))
  verb
    .command('why [step]')
    .description('why a step of the last build was not cached: by its number, or a part of its text')
    .option('--build <id>', 'of another one of the last builds', '')
    .action(lazily(async () => (await import('../commands/build-why.ts')).why))
}

export function builder(program: Command): void {
  const noun = program.command('builder').description('the cache of builds')
  const of = async () => await import('../commands/builder.ts')
  noun
    .command('ls')
    .description('finished steps, least recently used first')
    .action(lazily(async () => (await of()).list))
  noun
    .command('prune')
    .description('forget finished steps, least recently used first')
    .option('--keep <bytes>', 'leave so much', '0')
    .addOption(many('--filter <name=value>', 'until=24h: only what was not used for so long, or since a time'))
    .action(lazily(async () => (await of()).prune))
}
