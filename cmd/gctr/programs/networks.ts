/** The branch `networks` of the tree of commands. */
import type { Command } from 'commander'
import { lazily } from '../session.ts'
import { many } from './option-forms.ts'

export function networks(program: Command): void {
  const noun = program.command('networks').alias('network').description('networks and who is attached')
  const of = async () => await import('../commands/networks.ts')
  const options = async () => await import('../commands/network-options.ts')
  const endpoints = async () => await import('../commands/network-endpoints.ts')
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
    .addOption(many('--gateway <address>', 'gateway in the subnet of the same family'))
    .addOption(many('--ip-range <cidr>', 'addresses to give out, within the subnet of the same family'))
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
    .command('egress <container> [entry...]')
    .description(
      'all that a container may reach: 10.0.0.0/8, 10.1.2.3:5432, [fd00::]/8:53/udp, example.org:443, *.example.org, none',
    )
    .option('--network <name>', 'default: all of its networks')
    .option('--off', 'no list: everything')
    .action(lazily(async () => (await options()).egress))
  noun
    .command('limit <container>')
    .description('how fast a container receives and sends, such as 10mbit; 0: no limit')
    .option('--in <rate>', 'towards the container')
    .option('--out <rate>', 'out of it')
    .option('--network <name>', 'default: all of its networks')
    .action(lazily(async () => (await options()).limit))
  noun
    .command('capture <container> [filter...]')
    .description('what a container sends and receives, as pcap on standard output (tcpdump in its network namespace)')
    .option('-w, --write <file>', 'into a file')
    .option('-i, --interface <name>', 'default: its first')
    .option('-c, --count <packets>', 'end after so many')
    .action(lazily(async () => (await import('../commands/network-capture.ts')).capture))
  noun
    .command('trace <container> <destination>')
    .description(
      'send a packet to address:port[/udp] and tell what became of it: routes, neighbours, rules of the host',
    )
    .action(lazily(async () => (await import('../commands/network-trace.ts')).trace))
  noun
    .command('check <network>')
    .description("compare its attachments with the kernel's state; exits with 1 when something is missing")
    .action(lazily(async () => (await endpoints()).check))
  noun
    .command('gc')
    .description('remove what belongs to no network and no container, and print it')
    .option('--dry-run', 'only print it')
    .action(lazily(async () => (await of()).collect))
  noun
    .command('rm <network...>')
    .description('remove')
    .action(lazily(async () => (await of()).remove))
}
