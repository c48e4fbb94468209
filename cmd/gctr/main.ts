/** `gctr`: the debug CLI. Loads commander and the one command that is run; see program.ts for the whole tree. */
import { exitCodeOf, reportError } from './exit.ts'
import { createProgram } from './program.ts'

async function main(): Promise<void> {
  const completing = ['completion', 'complete'].includes(process.argv[2] ?? '')
  const program = createProgram(completing ? [] : process.argv.slice(2))
  try {
    if (completing) (await import('./commands/completion.ts')).addCompletion(program)
    await program.parseAsync()
  } catch (error) {
    reportError(error)
    process.exitCode = exitCodeOf(error)
  }
}

void main()
