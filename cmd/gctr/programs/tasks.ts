/** The branch `tasks` of the tree of commands. */
import type { Command } from 'commander'
import { lazily } from '../session.ts'
import { many } from './option-forms.ts'

export function tasks(program: Command): void {
  const noun = program
    .command('tasks')
    .enablePositionalOptions()
    .alias('task')
    .description('running processes of containers')
  const of = async () => await import('../commands/tasks.ts')
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
    .action(lazily(async () => (await import('../commands/run.ts')).start))
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
    .action(lazily(async () => (await import('../commands/exec.ts')).exec))
  noun
    .command('attach <id>')
    .option('--replay', 'what the log holds first')
    .description('its streams, from now on')
    .action(lazily(async () => (await import('../commands/run.ts')).attach))
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
    .action(lazily(async () => (await import('../commands/metrics.ts')).metrics))
  noun
    .command('rm <id...>')
    .option('-f, --force', 'kill it first')
    .description('forget a stopped task')
    .action(lazily(async () => (await of()).remove))
}
