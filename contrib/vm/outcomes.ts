/** What the guest's tests said on its console. */

export interface Outcomes {
  passed: number
  /** A line each. */
  failed: string[]
}

/**
 * Counts `cargo test`'s summaries and those of contrib/bootstrap/test.ts. A Rust program that died or hung has no
 * summary, and a guest that stopped early no last line: both count as failures.
 */
export function countOutcomes(consoleText: string): Outcomes {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals' colours begin with one.
  const text = consoleText.replaceAll('\r', '').replaceAll(/\x1b(\[[\d;?]*[A-Za-z]|\([A-Z])/g, '')
  const rust = [...text.matchAll(/^test result: \w+\. (\d+) passed;/gm)]
  const node = [...text.matchAll(/^(\d+) passed, \d+ failed/gm)]
  const failed = [
    ...sections(text).flatMap(({ name, body }) =>
      [...body.matchAll(/^test (\S+) .*\bFAILED$/gm)].map(match => `${name}: ${match[1]}`),
    ),
    ...[...text.matchAll(/^FAILED: (.*)$/gm)].map(match => match[1] ?? ''),
    ...sections(text)
      .filter(({ name, body }) => name.startsWith('rust/') && !/^test result:/m.test(body))
      .map(({ name }) => `${name} did not come to its end`),
  ]
  if (!/^guest: done/m.test(text)) failed.push('the guest did not come to its end')
  const passed = [...rust, ...node].reduce((total, match) => total + Number(match[1]), 0)
  return { passed, failed }
}

/** The guest begins each part with `guest: NAME, N s after the start`. */
function sections(text: string): { name: string; body: string }[] {
  return text
    .split(/^guest: /m)
    .slice(1)
    .map(part => ({ name: /^[^\s,]*/.exec(part)?.[0] ?? '', body: part }))
}
