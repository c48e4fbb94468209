/**
 * Conditional references (containerd 2.3): an image or a blob keeps a snapshot while a condition on it holds.
 * ```
 * on the image:     containerd.io/gc.cond.snapshot.<snapshotter>[/x] = usedat<168h[,…]|<key>
 * on the snapshot:  containerd.io/gc.cond.value-usedat = <RFC 3339>
 * ```
 * Conditions separated by commas are alternatives; `usedat` is the one there is, with `<` and `>` against its age.
 */
import type { StringMap } from '#core/metadata/metadata.ts'

const conditionLabel = 'containerd.io/gc.cond.snapshot'
const usedAtLabel = 'containerd.io/gc.cond.value-usedat'

export interface Condition {
  readonly label: string
  /** `<snapshotter>/<key>` */
  readonly snapshot: string
  holds(usedAtMs: number): boolean
}

/** The conditional references among an object's labels; what cannot be read says nothing. */
export function conditionsOf(labels: StringMap, nowMs: number): Condition[] {
  return Object.entries(labels).flatMap(([label, value]) => {
    const bar = value.indexOf('|')
    if (!label.startsWith(conditionLabel) || bar < 0) return []
    const [snapshotter = ''] = label
      .slice(conditionLabel.length)
      .replace(/^[./]+/, '')
      .split('/')
    const tests = value
      .slice(0, bar)
      .split(',')
      .flatMap(text => parseTest(text, nowMs) ?? [])
    const holds = (usedAtMs: number) => tests.some(test => test(usedAtMs))
    return tests.length === 0 ? [] : [{ label, snapshot: `${snapshotter}/${value.slice(bar + 1)}`, holds }]
  })
}

/** When the snapshot with these labels was last used, in milliseconds since the epoch. */
export function usedAtMs(labels: StringMap): number | undefined {
  const text = labels[usedAtLabel]
  const ms = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

function parseTest(text: string, nowMs: number): ((usedAtMs: number) => boolean) | undefined {
  const [, operator, duration = ''] = /^usedat([<>])([^=].*)$/.exec(text) ?? []
  const limitMs = parseDurationMs(duration)
  if (operator === undefined || limitMs === undefined) return undefined
  return operator === '<' ? at => nowMs - at < limitMs : at => nowMs - at > limitMs
}

const unitsMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
}

/** Go's durations: `168h`, `1h30m`, `-1.5s`. */
function parseDurationMs(text: string): number | undefined {
  const [, sign, parts = ''] = /^([+-]?)((?:\d+(?:\.\d*)?(?:h|ms|m|s|us|µs|ns))+)$/.exec(text) ?? []
  if (parts === '') return undefined
  const terms = parts.matchAll(/(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)/g)
  const total = [...terms].reduce((sum, [, number, unit]) => sum + Number(number) * (unitsMs[unit ?? ''] ?? 0), 0)
  return sign === '-' ? -total : total
}
