/** What a registry's refusal means to our callers (distribution spec, "Error Codes"). */
import {
  failedPrecondition,
  type GantryError,
  invalidArgument,
  messageOf,
  notFound,
  permissionDenied,
  resourceExhausted,
  unauthenticated,
  unavailable,
  unknown,
} from '#api/errors/errors.ts'
import { type Answer, addressOf } from './sender.ts'

const maxErrorBytes = 16 * 1024

/** Reads the rest of `answer` and makes an error that says what was wanted, from whom, and what they said. */
export async function errorOfAnswer(what: string, answer: Answer): Promise<GantryError> {
  const said = await explanation(answer)
  const message = `${what}: ${addressOf(answer.url)} answered ${answer.status}${said === '' ? '' : ` (${said})`}`
  return factoryFor(answer.status)(message)
}

function factoryFor(status: number): (message: string) => GantryError {
  if (status === 401) return unauthenticated
  if (status === 403) return permissionDenied
  if (status === 404) return notFound
  if (status === 400) return invalidArgument
  if (status === 413) return resourceExhausted
  if (status === 429) return resourceExhausted
  if (status === 405 || status === 409 || status === 412) return failedPrecondition
  return status >= 500 || status === 408 ? unavailable : unknown
}

async function explanation(answer: Answer): Promise<string> {
  const text = await readLimited(answer.body, maxErrorBytes, 'the answer').then(
    bytes => bytes.toString(),
    () => '',
  )
  const fromBody = errorTexts(text)
  if (fromBody !== '') return fromBody
  return answer.status === 429 ? 'too many requests' : ''
}

/** `{"errors":[{"code":"NAME_UNKNOWN","message":"…"}]}`; of other answers nothing is shown: they are pages. */
function errorTexts(text: string): string {
  try {
    const { errors } = JSON.parse(text) as { errors?: { code?: unknown; message?: unknown }[] }
    if (!Array.isArray(errors)) return ''
    const texts = errors.map(({ code, message }) => [code, message].filter(part => typeof part === 'string').join(': '))
    // A registry chooses this text: one line, of a length fit for a message.
    return texts
      .join('; ')
      .replace(/\p{Cc}+/gu, ' ')
      .slice(0, 500)
  } catch {
    return ''
  }
}

/** A body of bounded length. RESOURCE_EXHAUSTED past the limit; UNAVAILABLE when it breaks off. */
export async function readLimited(body: Answer['body'], limitBytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > limitBytes) break
      chunks.push(chunk)
    }
  } catch (cause) {
    throw unavailable(`${what} broke off after ${length} bytes: ${messageOf(cause)}`, { cause })
  }
  if (length > limitBytes) throw resourceExhausted(`${what} is longer than ${limitBytes} bytes`)
  return Buffer.concat(chunks)
}
