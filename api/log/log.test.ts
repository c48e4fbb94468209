import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'

test('a process goes on when the reader of its log is gone', async () => {
  const script = `import { createLogger } from ${JSON.stringify(join(import.meta.dirname, 'log.ts'))}
    const log = createLogger({ name: 'x', pretty: true })
    let lines = 0
    const timer = setInterval(() => { log.info({ lines }, 'line'); if (++lines === 20) { clearInterval(timer); process.exit(7) } }, 10)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'ignore', 'pipe'] })
  await once(child.stderr, 'data')
  child.stderr.destroy()
  const [code] = await once(child, 'close')
  assert.equal(code, 7)
})
