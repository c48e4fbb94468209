/** The example log sink under a whole gantryd. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Daemon } from '../daemon/daemon.ts'
import { patience } from '../daemon/patience.ts'

const timeout = 300_000 * patience
const skip = process.getuid?.() === 0 ? false : 'needs root'
const example = join(import.meta.dirname, '../../contrib/examples/typescript-log-sink')

interface Line {
  namespace: string
  container: string
  stream: string
  text: string
}

async function gctr(daemon: Daemon, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.run(...args)
  assert.equal(code, 0, `gctr ${args.join(' ')}: ${stderr}\n${daemon.log}`)
  return stdout
}

test('a log sink gets every line of every container, and comes back when it dies', { skip, timeout }, async () => {
  await using daemon = await Daemon.start({ config: '[plugins.gateways.docker]\ndisabled = true\n' })
  const file = join(daemon.folder, 'all.jsonl')
  const image = await daemon.importBusybox()
  await gctr(daemon, 'run', '-d', '--net', 'none', '--name', 'early', image, 'sh', '-c', 'echo before; sleep 3600')
  await gctr(daemon, 'plugins', 'add', '--link', '--config', JSON.stringify({ file }), example)
  const lines = async () => {
    const text = await readFile(file, 'utf8').catch(() => '')
    return text
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as Line)
  }
  const has = (container: string, stream: string, text: string) => async () =>
    (await lines()).some(
      line =>
        line.container === container && line.stream === stream && line.text === text && line.namespace === 'default',
    )
  const until = async (what: string, holds: () => Promise<boolean>) => {
    for (const deadline = Date.now() + 60_000 * patience; !(await holds()); await sleep(50))
      assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(await lines())}\n${daemon.log}`)
  }
  await until('what was written before it came', has('early', 'stdout', 'before'))
  const count = 500
  const script = `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo line $i; done; echo oops >&2; printf unfinished; sleep 1`
  await gctr(daemon, 'run', '-d', '--net', 'none', '--name', 'late', image, 'sh', '-c', script)
  await until('an unfinished last line', has('late', 'stdout', 'unfinished'))
  await until('the other stream', has('late', 'stderr', 'oops'))
  const numbered = (await lines()).filter(line => line.container === 'late' && line.text.startsWith('line '))
  assert.deepEqual(
    numbered.map(({ text }) => text),
    Array.from({ length: count }, (_, index) => `line ${index + 1}`),
  )
  // Those that are gone before the sink can have come to them.
  const brief = (number: number) =>
    gctr(daemon, 'run', '--rm', '--net', 'none', '--name', `brief${number}`, image, 'echo', `bye ${number}`)
  await Promise.all([1, 2, 3].map(brief))
  for (const number of [1, 2, 3])
    await until('a line of one that is gone', has(`brief${number}`, 'stdout', `bye ${number}`))
  const departed = join(daemon.root, 'departed-logs')
  await until('logs go when they were read', async () => (await readdir(departed)).length === 0)
  const rows = JSON.parse(await gctr(daemon, '--format', 'json', 'plugins', 'ls')) as { id: string; pid: number }[]
  process.kill(rows.find(({ id }) => id === 'jsonl')?.pid ?? assert.fail('it does not run'), 'SIGKILL')
  await gctr(daemon, 'run', '-d', '--net', 'none', '--name', 'after', image, 'sh', '-c', 'echo back; sleep 3600')
  await until('a line after its death', has('after', 'stdout', 'back'))
  await gctr(daemon, 'plugins', 'rm', 'jsonl')
})
