/** Restart policies, in the words that containerd's labels and Docker's flags share. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { RestartPolicy as PolicyWish } from '#api/gen/gantry/services/containers/v1/containers.ts'

const policyNames = ['no', 'always', 'on-failure', 'unless-stopped'] as const

export interface RestartPolicy {
  readonly name: (typeof policyNames)[number]
  /** Of `on-failure`; 0: no limit. */
  readonly maxRetries: number
}

/** What is known when a container has ended. */
export interface EndedRun {
  readonly exitStatus: number
  /** Restarts since it was last started by somebody. */
  readonly count: number
  /** Somebody asked it to end. */
  readonly stoppedByHand: boolean
}

/** `always`, `on-failure:3`; empty means `emptyName`. INVALID_ARGUMENT. */
export function parsePolicy(text: string, emptyName: RestartPolicy['name']): RestartPolicy {
  const [name = '', retries] = text === '' ? [emptyName] : text.split(':')
  const known = policyNames.find(candidate => candidate === name)
  if (known === undefined) throw refused(text, `there are ${policyNames.join(', ')}`)
  if (retries === undefined) return { name: known, maxRetries: 0 }
  if (known !== 'on-failure') throw refused(text, 'only on-failure takes a number of retries')
  if (!/^\d{1,9}$/.test(retries)) throw refused(text, `"${retries}" is no number of retries`)
  return { name: known, maxRetries: Number(retries) }
}

const refused = (text: string, why: string) => invalidArgument(`restart policy "${text}": ${why}`)

/** Of a launched container's wish. INVALID_ARGUMENT. */
export function restartPolicyOf(wish: PolicyWish | undefined): RestartPolicy {
  if (wish === undefined) return { name: 'no', maxRetries: 0 }
  if (wish.maxRetries > 0) return parsePolicy(`${wish.name}:${wish.maxRetries}`, 'no')
  return parsePolicy(wish.name, 'no')
}

/** Whether the policy starts it again. */
export function wantsRestart({ name, maxRetries }: RestartPolicy, run: EndedRun): boolean {
  if (name === 'always') return true
  if (name === 'unless-stopped') return !run.stoppedByHand
  return name === 'on-failure' && run.exitStatus !== 0 && (maxRetries === 0 || run.count < maxRetries)
}
