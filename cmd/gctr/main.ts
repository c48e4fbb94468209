/** `gctr`: the debug CLI. Loads commander and the one command that is run; see program.ts for the whole tree. */
import { exitCodeOf, reportError } from './exit.ts'
import { createProgram } from './program.ts'

try {
  await createProgram().parseAsync()
} catch (error) {
  reportError(error)
  process.exitCode = exitCodeOf(error)
}
