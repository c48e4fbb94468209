/** The branches about gantryd as a whole: `gc`, `doctor`, `events`, `version`. */
import type { Command } from 'commander'
import { lazily } from '../session.ts'

export function gc(program: Command): void {
  const noun = program.command('gc').description('what garbage collection would do, and why')
  const of = async () => await import('../commands/gc.ts')
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

export function doctor(program: Command): void {
  program
    .command('doctor')
    .description('what does not fit together; exits with 1 when something is damaged')
    .option('--deep', 'read every blob and compare its digest')
    .option('--repair', 'mend what can be mended without losing anything')
    .action(lazily(async () => (await import('../commands/doctor.ts')).doctor))
}

export function events(program: Command): void {
  program
    .command('events')
    .argument('[filter...]')
    .description('what happens, from now on')
    .action(lazily(async () => (await import('../commands/events.ts')).events))
}

export function version(program: Command): void {
  program
    .command('version')
    .description("client's and server's")
    .action(lazily(async () => (await import('../commands/version.ts')).version))
}
