/** Bodies of the exec endpoints. */
import * as z from 'zod'
import { command, flag, list, text, texts } from '../http/go-json.ts'

export const execSchema = z.object({
  User: text,
  Privileged: flag,
  Tty: flag,
  ConsoleSize: list(z.int()),
  AttachStdin: flag,
  AttachStderr: flag,
  AttachStdout: flag,
  DetachKeys: text,
  Env: texts,
  WorkingDir: text,
  Cmd: command,
})

export const execStartSchema = z.object({ Detach: flag, Tty: flag, ConsoleSize: list(z.int()) })

export type ExecWish = z.output<typeof execSchema> & {
  /** The container's own: whose processes without a User are. Shown alone. */
  containerUser?: string
}
export type ExecStart = z.output<typeof execStartSchema>
