/** The rules of a plugin's contract as checks that can be run against any address, whoever wrote what serves there. */
import { AssertionError } from 'node:assert'
import { inspect } from 'node:util'
import { messageOf } from '#api/errors/errors.ts'

export interface Rule {
  /** The rule's text, in words. */
  readonly text: string
  check(): Promise<void>
}

export interface Verdict {
  /** The text in lower case with dashes: a name to refer to. */
  readonly rule: string
  readonly text: string
  readonly outcome: 'passed' | 'failed'
  /** Why it failed; empty for one that passed. */
  readonly message: string
  /** Where the check compared two values: what the rule asks for, and what was seen. */
  readonly expected: string
  readonly seen: string
  readonly durationMs: number
}

/** No rule takes longer, even with a plugin that copies whole trees on a busy machine. */
const ruleMs = 300_000

/** Judges by each rule in turn; `tell` hears each verdict as it falls. */
export async function judge(rules: readonly Rule[], tell: (verdict: Verdict) => void = () => {}): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  for (const rule of rules) {
    const verdict = await judgeBy(rule)
    verdicts.push(verdict)
    tell(verdict)
  }
  return verdicts
}

async function judgeBy({ text, check }: Rule): Promise<Verdict> {
  const started = performance.now()
  const base = { rule: nameOf(text), text }
  try {
    await inTime(check())
    const durationMs = performance.now() - started
    return { ...base, outcome: 'passed', message: '', expected: '', seen: '', durationMs }
  } catch (error) {
    return { ...base, outcome: 'failed', ...explain(error), durationMs: performance.now() - started }
  }
}

async function inTime(check: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${ruleMs / 1000} s`)), ruleMs)
  try {
    await Promise.race([check, promise])
  } finally {
    clearTimeout(timer)
  }
}

function explain(error: unknown): Pick<Verdict, 'message' | 'expected' | 'seen'> {
  if (!(error instanceof AssertionError)) return { message: messageOf(error), expected: '', seen: '' }
  const show = (value: unknown) => (value === undefined ? '' : inspect(value, { depth: 4, breakLength: 120 }))
  const [message = ''] = error.message.split('\n')
  return { message, expected: show(error.expected), seen: show(error.actual) }
}

function nameOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
}
