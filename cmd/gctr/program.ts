/** The tree of commands. Each action is a module of its own, loaded when it is run. */
import { Command, CommanderError, Option } from 'commander'
import { build, builder } from './build-program.ts'
import { runtimeFailed } from './exit.ts'
import { plugins } from './plugins-program.ts'
import { defaultAddress, lazily } from './session.ts'

const collect = (value: string, earlier: string[] = []) => [...earlier, value]
const many = (flags: string, description: string) => new Option(flags, description).argParser(collect).default([])

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

function images(program: Command): void {
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
    .action(lazily(async () => (await import('./commands/transfer.ts')).pull))
  noun
    .command('push <reference>')
    .description('send an image to its registry')
    .option('--platform <os/arch>', 'only this platform of an index')
    .option('-u, --user <user:secret>', 'credentials')
    .option('--plain-http', 'speak http to a registry that is not on loopback')
    .option('--hosts-dir <folder>', "containerd's hosts.toml folders")
    .action(lazily(async () => (await import('./commands/transfer.ts')).push))
  noun
    .command('import <file>')
    .description('images from a docker-archive or OCI layout tar (- for standard input)')
    .option('--name <reference>', 'name for an archive that has none')
    .option('--platform <os/arch>', "unpack this platform; default: this host's")
    .option('--snapshotter <name>', 'where to unpack')
    .option('--no-unpack', 'store only')
    .action(lazily(async () => (await import('./commands/transfer.ts')).importArchive))
  noun
    .command('export <file> <reference>')
    .description('an image as a tar that docker and OCI tools read (- for standard output)')
    .option('--platform <os/arch>', 'only this platform')
    .option('--all-platforms', 'all that the index names')
    .action(lazily(async () => (await import('./commands/transfer.ts')).exportArchive))
  noun
    .command('tag <reference> <name>')
    .option('--force', 'replace an image of that name')
    .description('give an image another name')
    .action(lazily(async () => (await import('./commands/images.ts')).tag))
  noun
    .command('ls')
    .alias('list')
    .argument('[filter...]', "containerd's filters")
    .option('-q, --quiet', 'names only')
    .description('list')
    .action(lazily(async () => (await import('./commands/images.ts')).list))
  noun
    .command('rm <reference...>')
    .option('--sync', 'wait until the space is free')
    .description('remove names; blobs nobody needs follow')
    .action(lazily(async () => (await import('./commands/images.ts')).remove))
}

/** What `run` and `containers create` share. */
function containerOptions(command: Command): Command {
  return command
    .helpOption('--help', 'this text')
    .argument('<image>')
    .argument('[command...]')
    .option('--name <id>', 'container id')
    .option('--restart <policy>', 'start it again: no, always, unless-stopped, on-failure[:retries]')
    .option('--init', 'a small first process that reaps and passes signals on')
    .option('--snapshotter <name>', 'where its root lives')
    .option('--runtime <name>', 'runtime name or path of a shim')
    .option('-t, --tty', 'give it a terminal')
    .option('-i, --interactive', 'pass standard input on')
    .addOption(many('--net, --network <name>', 'network to attach: bridge, host, none, or a name'))
    .addOption(many('-p, --publish <[ip:]port:port[/proto]>', 'publish a port'))
    .addOption(many('-e, --env <K=V>', 'environment'))
    .addOption(many('--env-file <file>', 'environment, a line each'))
    .addOption(many('--mount <type=...,src=...,dst=...>', 'mount, as in docker run --mount'))
    .addOption(many('-v, --volume <src:dst[:ro]>', 'bind mount'))
    .addOption(many('--tmpfs <path[:options]>', 'tmpfs mount'))
    .addOption(many('--label <K=V>', 'label'))
    .addOption(many('--annotation <K=V>', 'OCI annotation'))
    .addOption(many('--cap-add <capability>', 'add a capability'))
    .addOption(many('--cap-drop <capability>', 'drop a capability'))
    .addOption(many('--device <host[:container[:rwm]]>', 'device'))
    .addOption(many('--sysctl <K=V>', 'sysctl'))
    .addOption(many('--ulimit <name=soft[:hard]>', 'resource limit'))
    .addOption(many('--add-host <name:address>', 'line for /etc/hosts'))
    .addOption(many('--dns <address>', 'name server'))
    .addOption(many('--dns-search <domain>', 'search domain'))
    .addOption(many('--security-opt <option>', 'seccomp=unconfined|FILE, no-new-privileges'))
    .option('--entrypoint <program>', "replace the image's entrypoint")
    .option('-w, --workdir <path>', 'working directory')
    .option('-u, --user <user[:group]>', 'user')
    .addOption(many('--group-add <group>', 'additional group'))
    .option('-h, --hostname <name>', 'host name')
    .option('--ip <address>', 'IPv4 address in the first network')
    .option('--ip6 <address>', 'IPv6 address in the first network')
    .addOption(many('--network-alias <name>', 'further name in its networks'))
    .addOption(many('--link <container[:alias]>', "another container's name, in the first network"))
    .option('--mac-address <mac>', 'MAC in the first network')
    .option('-m, --memory <bytes>', 'memory limit, such as 64m')
    .option('--memory-swap <bytes>', 'memory and swap together; -1: no limit on swap')
    .option('--cpus <number>', 'CPUs, such as 1.5')
    .option('--cpu-shares <number>', 'relative weight')
    .option('--cpuset-cpus <list>', 'CPUs it may run on, such as 0-1')
    .option('--pids-limit <number>', 'number of processes')
    .option('--shm-size <bytes>', 'size of /dev/shm')
    .option('--pid <mode>', 'host, or container:ID')
    .option('--ipc <mode>', 'host, or container:ID')
    .option('--uts <mode>', 'host')
    .option('--privileged', 'all capabilities and devices')
    .option('--read-only', 'read-only root')
    .option('--platform <os/arch>', 'which platform of the image')
    .option('--log-driver <driver>', 'json-file or none')
    .option('--log-max-size <bytes>', 'rotate the log at this size')
    .option('--log-max-files <number>', 'keep so many')
    .option('--cgroup-driver <driver>', 'cgroupfs or systemd')
    .option('--cgroup-parent <path>', 'parent cgroup')
}

/** As Docker: a bad flag of `run` is 125, so that 1 stays the container's. */
function asRuntimeFailure(error: CommanderError): never {
  throw error.exitCode === 0 ? error : new CommanderError(runtimeFailed, error.code, error.message)
}

function run(program: Command): void {
  containerOptions(program.command('run').description('create a container and start it').passThroughOptions())
    .option('-d, --detach', 'print its id and leave it running')
    .option('--rm', 'remove it when it exits')
    .exitOverride(asRuntimeFailure)
    .action(lazily(async () => (await import('./commands/run.ts')).run))
}

function ps(program: Command): void {
  program
    .command('ps')
    .description('running containers, their addresses and ports')
    .option('-a, --all', 'stopped ones too')
    .option('-q, --quiet', 'ids only')
    .action(lazily(async () => (await import('./commands/ps.ts')).ps))
}

function containers(program: Command): void {
  const noun = program
    .command('containers')
    .enablePositionalOptions()
    .alias('container')
    .description('container records')
  containerOptions(
    noun.command('create').description('record a container without starting it').passThroughOptions(),
  ).action(lazily(async () => (await import('./commands/run.ts')).create))
  noun
    .command('ls')
    .alias('list')
    .argument('[filter...]')
    .option('-q, --quiet', 'ids only')
    .description('list')
    .action(lazily(async () => (await import('./commands/containers.ts')).list))
  noun
    .command('info <id>')
    .option('--spec', 'only the OCI runtime spec')
    .description('everything known of one')
    .action(lazily(async () => (await import('./commands/containers.ts')).info))
  noun
    .command('rm <id...>')
    .option('-f, --force', 'kill its task first')
    .description('remove')
    .action(lazily(async () => (await import('./commands/containers.ts')).remove))
  noun
    .command('logs <id>')
    .option('-f, --follow', 'go on')
    .description('what it has printed')
    .action(lazily(async () => (await import('./commands/logs.ts')).logs))
}

function tasks(program: Command): void {
  const noun = program
    .command('tasks')
    .enablePositionalOptions()
    .alias('task')
    .description('running processes of containers')
  const of = async () => await import('./commands/tasks.ts')
  noun
    .command('ls')
    .alias('list')
    .option('-q, --quiet', 'ids only')
    .description('list')
    .action(lazily(async () => (await of()).list))
  noun
    .command('start <id>')
    .option('-d, --detach', 'leave it running')
    .description('start a created container')
    .action(lazily(async () => (await import('./commands/run.ts')).start))
  noun
    .command('exec <id> <command...>')
    .description('run another process in it')
    .passThroughOptions()
    .option('-t, --tty', 'give it a terminal')
    .option('-i, --interactive', 'pass standard input on')
    .option('-d, --detach', 'leave it running')
    .addOption(many('-e, --env <K=V>', 'environment'))
    .option('-w, --workdir <path>', 'working directory')
    .option('-u, --user <user[:group]>', 'user')
    .option('--exec-id <id>', 'name of the process')
    .action(lazily(async () => (await import('./commands/exec.ts')).exec))
  noun
    .command('attach <id>')
    .option('--replay', 'what the log holds first')
    .description('its streams, from now on')
    .action(lazily(async () => (await import('./commands/run.ts')).attach))
  noun
    .command('stop <id>')
    .option('-s, --signal <signal>', 'what asks it to end', 'SIGTERM')
    .option('-t, --time <duration>', 'how long it may take before it is killed', '10s')
    .description('ask it to end, then kill it; print its exit status')
    .action(lazily(async () => (await of()).stop))
  noun
    .command('kill <id>')
    .option('-s, --signal <signal>', 'name or number', 'SIGTERM')
    .option('--exec-id <id>', 'this process of it')
    .option('--all', 'every process of it')
    .description('send a signal')
    .action(lazily(async () => (await of()).kill))
  noun
    .command('pause <id>')
    .description('freeze')
    .action(lazily(async () => (await of()).pause))
  noun
    .command('resume <id>')
    .description('thaw')
    .action(lazily(async () => (await of()).resume))
  noun
    .command('wait <id>')
    .option('--exec-id <id>', 'this process of it')
    .description('until it exits; print and pass on its code')
    .action(lazily(async () => (await of()).wait))
  noun
    .command('ps <id>')
    .description('its processes')
    .action(lazily(async () => (await of()).processes))
  noun
    .command('metrics <id>')
    .description('what it uses')
    .action(lazily(async () => (await import('./commands/metrics.ts')).metrics))
  noun
    .command('rm <id...>')
    .option('-f, --force', 'kill it first')
    .description('forget a stopped task')
    .action(lazily(async () => (await of()).remove))
}

function snapshots(program: Command): void {
  const noun = program
    .command('snapshots')
    .alias('snapshot')
    .description('root file systems')
    .option('--snapshotter <name>', 'which snapshotter', 'overlayfs')
  const of = async () => await import('./commands/snapshots.ts')
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
    .action(lazily(async () => (await import('./commands/snapshot-move.ts')).move))
}

function content(program: Command): void {
  const noun = program.command('content').description('blobs by digest')
  const of = async () => await import('./commands/content.ts')
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

function leases(program: Command): void {
  const noun = program.command('leases').alias('lease').description('what keeps objects from collection')
  const of = async () => await import('./commands/leases.ts')
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

function namespaces(program: Command): void {
  const noun = program.command('namespaces').aliases(['namespace', 'ns']).description('tenants')
  const of = async () => await import('./commands/namespaces.ts')
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

function networks(program: Command): void {
  const noun = program.command('networks').alias('network').description('networks and who is attached')
  const of = async () => await import('./commands/networks.ts')
  const endpoints = async () => await import('./commands/network-endpoints.ts')
  noun
    .command('ls')
    .alias('list')
    .option('-q, --quiet', 'names only')
    .description('list')
    .action(lazily(async () => (await of()).list))
  noun
    .command('create <name>')
    .description('make one')
    .option('--driver <plugin>', 'network plugin', 'bridge')
    .addOption(many('--subnet <cidr>', 'subnet; default: a free one'))
    .option('--gateway <address>', 'gateway in the first subnet')
    .option('--no-ipv4', 'IPv6 alone')
    .option('--no-ipv6', 'IPv4 alone')
    .option('--mtu <bytes>', 'MTU')
    .option('--internal', 'no way out')
    .addOption(many('-o, --opt <K=V>', "the plugin's options"))
    .addOption(many('--label <K=V>', 'label'))
    .action(lazily(async () => (await of()).create))
  noun
    .command('inspect <network>')
    .description('one of them')
    .action(lazily(async () => (await of()).inspect))
  noun
    .command('connect <network> <container>')
    .description('join a container to one more network, now and at each later start')
    .option('--ip <address>', 'IPv4 address')
    .option('--ip6 <address>', 'IPv6 address')
    .option('--mac-address <mac>', 'MAC')
    .addOption(many('--alias <name>', 'further name in the network'))
    .addOption(many('--link <container[:alias]>', 'name for another container of the network'))
    .addOption(many('-p, --publish <[ip:]port:port[/proto]>', 'publish a port'))
    .option('--gw-priority <number>', 'the network with the highest gives the default route')
    .action(lazily(async () => (await endpoints()).connect))
  noun
    .command('disconnect <network> <container>')
    .description('take a container off a network')
    .option('-f, --force', 'even when the plugin cannot be reached')
    .action(lazily(async () => (await endpoints()).disconnect))
  noun
    .command('publish <container> <port...>')
    .description('open ports of a running container: [ip:][port:]port[/proto]')
    .option('--network <name>', 'default: the one with the default route')
    .action(lazily(async () => (await endpoints()).publish))
  noun
    .command('unpublish <container> [port...]')
    .description('close ports of a running container; default: all')
    .option('--network <name>', 'default: all of its networks')
    .action(lazily(async () => (await endpoints()).unpublish))
  noun
    .command('capture <container> [filter...]')
    .description('what a container sends and receives, as pcap on standard output (tcpdump in its network namespace)')
    .option('-w, --write <file>', 'into a file')
    .option('-i, --interface <name>', 'default: its first')
    .option('-c, --count <packets>', 'end after so many')
    .action(lazily(async () => (await import('./commands/network-capture.ts')).capture))
  noun
    .command('check <network>')
    .description("compare its attachments with the kernel's state; exits with 1 when something is missing")
    .action(lazily(async () => (await endpoints()).check))
  noun
    .command('rm <network...>')
    .description('remove')
    .action(lazily(async () => (await of()).remove))
}

function gc(program: Command): void {
  const noun = program.command('gc').description('what garbage collection would do, and why')
  const of = async () => await import('./commands/gc.ts')
  noun
    .command('plan')
    .description('what the next sweep frees, in bytes')
    .action(lazily(async () => (await of()).plan))
  noun
    .command('explain <ref>')
    .description('what keeps an object (digest, name, id, key), or that it goes')
    .option('--type <type>', 'only objects of this type: content, snapshot, image, ...')
    .action(lazily(async () => (await of()).explain))
  noun
    .command('run')
    .description('collect now')
    .action(lazily(async () => (await of()).collect))
}

function doctor(program: Command): void {
  program
    .command('doctor')
    .description('what does not fit together; exits with 1 when something is damaged')
    .option('--deep', 'read every blob and compare its digest')
    .option('--repair', 'mend what can be mended without losing anything')
    .action(lazily(async () => (await import('./commands/doctor.ts')).doctor))
}

function events(program: Command): void {
  program
    .command('events')
    .argument('[filter...]')
    .description('what happens, from now on')
    .action(lazily(async () => (await import('./commands/events.ts')).events))
}

function version(program: Command): void {
  program
    .command('version')
    .description("client's and server's")
    .action(lazily(async () => (await import('./commands/version.ts')).version))
}
