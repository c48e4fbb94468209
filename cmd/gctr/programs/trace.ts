/** The branch `trace` of the tree of commands. */
import type { Command } from 'commander'
import { lazily } from '../session.ts'
import { asRuntimeFailure, containerOptions } from './containers.ts'

export function trace(program: Command): void {
  const noun = program.command('trace').enablePositionalOptions().description('where the time of a request goes')
  const of = async () => await import('../commands/trace.ts')
  containerOptions(noun.command('run').description('run --rm, and draw its time line on stderr').passThroughOptions())
    .option('--json', 'the spans as OTLP/JSON instead, one line on stdout after what the container printed')
    .exitOverride(asRuntimeFailure)
    .action(lazily(async () => (await of()).run))
  noun
    .command('show <trace-id>')
    .option('--json', 'OTLP/JSON')
    .description('draw a trace that gantryd remembers')
    .action(lazily(async () => (await of()).show))
  noun
    .command('ls')
    .alias('list')
    .description('traces that gantryd remembers')
    .action(lazily(async () => (await of()).list))
}
