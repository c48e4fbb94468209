/** One CNI call: configuration on standard input, the verb in the environment, the result or the error on standard output. */
import { isGantryError, messageOf } from '#api/errors/errors.ts'
import { errorCodeOf, readCall } from './call.ts'
import { perform } from './verbs.ts'

try {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  const answer = await perform(readCall(Buffer.concat(chunks).toString(), process.env))
  if (answer !== undefined) process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`)
} catch (error) {
  const code = isGantryError(error) ? errorCodeOf(error.code) : 999
  process.stdout.write(`${JSON.stringify({ cniVersion: '1.1.0', code, msg: messageOf(error) })}\n`)
  process.exitCode = 1
}
