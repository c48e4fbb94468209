/** The branches `run`, `ps` and `containers` of the tree of commands. */
import { type Command, CommanderError } from 'commander'
import { runtimeFailed } from '../exit.ts'
import { lazily } from '../session.ts'
import { many } from './option-forms.ts'

export function run(program: Command): void {
  containerOptions(program.command('run').description('create a container and start it').passThroughOptions())
    .option('-d, --detach', 'print its id and leave it running')
    .option('--rm', 'remove it when it exits')
    .exitOverride(asRuntimeFailure)
    .action(lazily(async () => (await import('../commands/run.ts')).run))
}

export function ps(program: Command): void {
  program
    .command('ps')
    .description('running containers, their addresses and ports')
    .option('-a, --all', 'stopped ones too')
    .option('-q, --quiet', 'ids only')
    .action(lazily(async () => (await import('../commands/ps.ts')).ps))
}

export function containers(program: Command): void {
  const noun = program
    .command('containers')
    .enablePositionalOptions()
    .alias('container')
    .description('container records')
  containerOptions(
    noun.command('create').description('record a container without starting it').passThroughOptions(),
  ).action(lazily(async () => (await import('../commands/run.ts')).create))
  noun
    .command('ls')
    .alias('list')
    .argument('[filter...]')
    .option('-q, --quiet', 'ids only')
    .description('list')
    .action(lazily(async () => (await import('../commands/containers.ts')).list))
  noun
    .command('info <id>')
    .option('--spec', 'only the OCI runtime spec')
    .description('everything known of one')
    .action(lazily(async () => (await import('../commands/containers.ts')).info))
  noun
    .command('command <id>')
    .description('the docker run line that would make it again')
    .action(lazily(async () => (await import('../commands/container-command.ts')).command))
  noun
    .command('rm <id...>')
    .option('-f, --force', 'kill its task first')
    .description('remove')
    .action(lazily(async () => (await import('../commands/containers.ts')).remove))
  noun
    .command('logs <id>')
    .option('-f, --follow', 'go on')
    .description('what it has printed')
    .action(lazily(async () => (await import('../commands/logs.ts')).logs))
}

/** What `run` and `containers create` share. */
export function containerOptions(command: Command): Command {
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
    .addOption(many('--dns-option <option>', 'option of resolv.conf(5), such as ndots:2'))
    .addOption(many('--security-opt <option>', 'seccomp=unconfined|FILE, apparmor=PROFILE, no-new-privileges'))
    .option('--entrypoint <program>', "replace the image's entrypoint")
    .option('-w, --workdir <path>', 'working directory')
    .option('-u, --user <user[:group]>', 'user')
    .addOption(many('--group-add <group>', 'additional group'))
    .option('-h, --hostname <name>', 'host name')
    .option('--ip <address>', 'IPv4 address in the first network')
    .option('--ip6 <address>', 'IPv6 address in the first network')
    .addOption(many('--network-opt <K=V>', 'option for its endpoints, such as gantry.network.egress=example.org'))
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
export function asRuntimeFailure(error: CommanderError): never {
  throw error.exitCode === 0 ? error : new CommanderError(runtimeFailed, error.code, error.message)
}
